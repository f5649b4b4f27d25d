"""Every argument of every public function changes its result for some value, or is refused.

The calls to start from are those the other tests record; each argument is then given other values until one counts.
A function without a call, and an argument that no value moves, fail unless a table says why.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from test_arguments_have_effects import same
from test_operations import EXPRESSIONS
from test_ops import NUMPY, OPS, SETTING, TABLE, TENSORS
from torch.utils import _pytree as pytree

from lamina import activations, losses, metrics, ops, random, utils

pytestmark = pytest.mark.filterwarnings("ignore")

NAMES: dict[str, Any] = {
    **OPS, **SETTING, **TENSORS, "np": np, "random": random, "utils": utils, "activations": activations,
    "losses": losses, "metrics": metrics, "Y": torch.tensor([[0.0, 1, 0], [1, 0, 0]]), "YS": torch.tensor([1, 2]),
    "CL": torch.tensor([0, 1, 0, 1, 2, 2]), "EMB": TENSORS["A"].reshape(6, 4),
    "CUBE": torch.softmax(TENSORS["K"][:, :, :3, 0], -1),
}  # fmt: skip
FURTHER = """\
array_split(A, 2, 1); unique(I2, axis=0); unique(I2, return_counts=True, size=2); isclose(A, A + 1e-6, 1e-9, 1e-9)
allclose(NAN, NAN); isclose(NAN, NAN); heaviside(Z, 0.5); logical_or(Z, I0); cross(C3, C3, 1, 1, 1); qr(M.T); svd(M)
cross(torch.ones(3, 3), SPD); batch_normalization(torch.ones(3, 3, 3), V[:3], V[:3].abs(), 1)
fold(KT[:1, :1].reshape(1, 4, 5), (2, 6), (1, 2)); ctc_decode(torch.tensor([[[0.1, 2, 0], [0, 2, 0]]]), [2])
sparse_categorical_crossentropy(YS[:1], torch.ones(1, 3)); image.pad_images(X, 1, 1, target_height=8, target_width=9)
image.pad_images(X, top_padding=1, bottom_padding=1, left_padding=1, target_width=9); image.extract_patches_3d(X5, 3)
image.rgb_to_grayscale(torch.ones(1, 3, 4, 3)); image.elastic_transform(X, 9.0, 2.0, fill_mode="constant", seed=3)
image.rgb_to_hsv(SPD.abs()[None].repeat(3, 1, 1)); image.hsv_to_rgb(SPD.abs()[None].repeat(3, 1, 1))
image.rgb_to_grayscale(SPD.abs()[None].repeat(3, 1, 1) * torch.tensor([[[1.0, 2, 3]]]))
image.ssim(X, X + 0.1 * torch.sin(X), filter_size=3); empty((2,)); empty_like(A); is_tensor(A); shape(A); size(A)
ndim(A); dtype(A); convert_to_numpy(A); argpartition(A, 1); activations.linear(A); activations.relu(A)
activations.leaky_relu(A); activations.relu6(4 * A); activations.elu(A); activations.selu(A); activations.celu(A)
activations.gelu(A); activations.silu(A); activations.hard_silu(A); activations.mish(A); activations.sigmoid(A)
activations.hard_sigmoid(A); activations.log_sigmoid(A); activations.sparse_sigmoid(A); activations.tanh(A)
activations.hard_tanh(A); activations.tanh_shrink(A); activations.hard_shrink(A); activations.soft_shrink(A)
activations.softplus(A); activations.squareplus(A); activations.sparse_plus(A); activations.softsign(A)
activations.exponential(A); activations.threshold(A, 0.2, 0.1); activations.glu(P.repeat(1, 2, 1))
activations.softmax(A); activations.log_softmax(A); activations.sparsemax(A); losses.binary_crossentropy(Y, SM)
losses.binary_focal_crossentropy(Y, SM); losses.categorical_crossentropy(Y, SM)
losses.categorical_focal_crossentropy(Y, SM); losses.categorical_generalized_cross_entropy(YS, SM, 0.5)
losses.categorical_hinge(Y, SM); losses.circle(CL, EMB); losses.circle(CL, EMB, CL, EMB)
losses.cosine_similarity(A, B); losses.ctc(torch.tensor([[1, 2, 1], [1, 2, 2]]), LOG); losses.dice(Y, SM)
losses.hinge(Y, SM); losses.huber(3 * A, B); losses.kl_divergence(Y + 0.1, SM); losses.log_cosh(A, B)
losses.mean_absolute_error(A, B); losses.poisson(P, P1); losses.mean_absolute_percentage_error(A, B)
losses.mean_squared_error(A, B); losses.squared_hinge(Y, SM); losses.mean_squared_logarithmic_error(P, P1)
losses.sparse_categorical_crossentropy(YS, SM); losses.tversky(Y, SM)
losses.sparse_categorical_crossentropy(I3[0], torch.softmax(A.repeat(1,1,1), 1)); metrics.binary_accuracy(Y, SM)
metrics.categorical_accuracy(Y, SM); metrics.sparse_categorical_accuracy(YS, SM); metrics.pearson_correlation(A, B)
metrics.concordance_correlation(A, B); metrics.top_k_categorical_accuracy(Y, SM, 1)
metrics.sparse_top_k_categorical_accuracy(YS, SM, 1)
metrics.sparse_top_k_categorical_accuracy(YS, torch.tensor([[1, 0], [1, 2]]), 1, True); random.normal((3, 4))
random.truncated_normal((3, 4)); random.uniform((3, 4)); random.randint((3, 4), 0, 9); random.categorical(A[0], 5)
random.dropout(A, 0.5); random.shuffle(A); random.gamma((3,), 2.0); random.beta((3,), 2.0, 3.0)
random.binomial((3,), 9.0, 0.4); utils.standardize_dtype("int32"); utils.count_params([A, B])
utils.to_categorical([1, 2]); utils.normalize(np.ones((2, 3))); utils.pad_sequences([[1, 2, 3], [4]], 2)
utils.pad_sequences([[1, 2, 3], [4]]); jvp(lambda x: (x * 2, x), (V,), (V,)); rearrange(A, "a b c -> a c b")
rearrange(EMB, "(a b) c -> a b c", a=2); multi_hot(I3, num_tokens=30); layer_normalization(A, rms_scaling=True)
allclose(V, V); cross(CUBE[0], CUBE[1]); fold(L[:16].reshape(1, 4, 4), (5, 5), (2, 2), stride=2)
fold(L[:16].reshape(1, 4, 4), (5, 5), (2, 2), stride=3); sparse_categorical_crossentropy(I3[0][:, :3], CUBE)
losses.sparse_categorical_crossentropy(I3[0][:, :3], CUBE); losses.binary_focal_crossentropy(Y, SM, True)
cond(torch.tensor(False), lambda: A, lambda: B)
metrics.sparse_top_k_categorical_accuracy(torch.tensor([1, 1]), torch.eye(2).flip(0), 1)
"""


def own(prefix: str, package: ModuleType, *homes: str) -> Iterator[tuple[Callable, str]]:
    """The public functions of a module that are written in one of `homes`, and how a call names them."""
    for name, item in vars(package).items():
        if inspect.isfunction(item) and name[0] != "_" and item.__module__ in homes:
            yield item, f"{prefix}{name}"


FUNCTIONS: dict[Callable, str] = {}
for _function, _name in (
    *own("", ops, *(item.__module__ for item in vars(ops).values() if inspect.isfunction(item))),
    *own("image.", ops.image, "lamina.ops.image"),
    *own("activations.", activations, "lamina.activations"),
    *own("losses.", losses, "lamina.losses.functions"),
    *own("metrics.", metrics, "lamina.metrics.pointwise", "lamina.metrics.scores"),
    *own("random.", random, "lamina.random"),
    *own("utils.", utils, "lamina.utils"),
):
    FUNCTIONS.setdefault(_function, _name)
for _function, _name in [*FUNCTIONS.items()]:  # beside activations stands what looks them up
    if _name.startswith("activations.") and "x" not in inspect.signature(_function).parameters:
        del FUNCTIONS[_function]


def evaluated(node: ast.AST) -> Any:
    return eval(compile(ast.Expression(node), "call", "eval"), dict(NAMES))  # type: ignore[arg-type]


@functools.cache
def calls() -> dict[Callable, list[inspect.BoundArguments]]:
    """The recorded calls of each function, arguments by name."""
    found: dict[Callable, list[inspect.BoundArguments]] = {}
    recorded = [*(expression for expression, _ in TABLE), *NUMPY, *EXPRESSIONS]
    for text in dict.fromkeys([*re.split(r"; |\n", FURTHER), *recorded]):
        if not text:
            continue
        for node in ast.walk(ast.parse(text, mode="eval")):
            if isinstance(node, ast.Call):
                try:
                    function = evaluated(node.func)
                    if function in FUNCTIONS:
                        given = [value for arg in node.args for value in spread(arg)]
                        named = {str(word.arg): evaluated(word.value) for word in node.keywords}
                        found.setdefault(function, []).append(inspect.signature(function).bind(*given, **named))
                except (NameError, TypeError):  # inside a lambda
                    continue
    return found


def spread(arg: ast.AST) -> list[Any]:
    return [*evaluated(arg.value)] if isinstance(arg, ast.Starred) else [evaluated(arg)]


STRINGS = (
    "same valid full reflect symmetric wrap edge constant nearest bilinear bicubic linear lower higher midpoint left "
    "right max average sum channels_first channels_last xy ij float64 int32 tanh sum mean none greedy beam_search "
    "complete spectrum post pre density floor trunc lanczos3 hann hamming rectangular word crop"
).split()  # fmt: skip
POOL = [
    "a b c -> c b a", None, True, False, 0, 1, 2, -1, 3, 5, 0.0, 0.5, 0.25, -0.5, 2.0, 1e-1, *STRINGS, (0, 1), (1, 2),
    [0], [1], (1,), (0,), (2, 2), [0.5], ("float64", "float64"), ((1, 0), (1, 0)), 7, 20, ((1, 2),), (1, 0, 2),
    (0, 2, 1), (3, 4), (24,), (4, 6), [2, 1], (2, 1, 2),
]  # fmt: skip


def others(value: Any) -> Iterator[Any]:
    """Values that an argument may have instead, near ones first."""
    if isinstance(value, torch.Tensor):
        if value.dtype == torch.bool:
            yield ~value
        elif value.dtype.is_floating_point or value.dtype.is_complex:
            yield from (value * 0.7 + 0.1, -value, value.flip(-1), value + 2)
        else:
            yield from (value.flip(-1), value + 1, value.flip(0), torch.ones_like(value))
    elif isinstance(value, (list, tuple)) and value:
        whole = type(value)(value)
        yield whole[::-1]
        yield whole[:-1]
        for index, item in enumerate(whole):
            for other in others(item):
                yield type(value)([*whole[:index], other, *whole[index + 1 :]])
                break
    elif isinstance(value, (int, float, complex)) and not isinstance(value, bool):
        yield from (value + 1, value - 1, value * 2, value * 0.5)
    elif inspect.isfunction(value):
        yield lambda *args: pytree.tree_map(lambda x: x + 1, value(*args))
        yield lambda *args: torch.tensor(False)
        yield lambda *args: args
    yield from sorted(POOL, key=lambda other: type(other) is not type(value))


def result(function: Callable, given: inspect.BoundArguments) -> Any:
    torch.manual_seed(0)
    found = function(*given.args, **given.kwargs)
    return pytree.tree_map(lambda x: x.detach().clone() if isinstance(x, torch.Tensor) else x, found)


@functools.lru_cache(2)
def results(function: Callable) -> list[tuple[inspect.BoundArguments, Any]]:
    """The recorded calls of a function that it takes, and what they give."""
    found = []
    for given in calls().get(function, ()):
        with suppress(Exception):
            found.append((given, result(function, given)))
    return found


def counts(function: Callable, parameter: str) -> bool:
    """Whether some value of the argument changes what a recorded call gives."""
    for given, base in results(function):
        before = given.arguments.get(parameter, inspect.signature(function).parameters[parameter].default)
        if inspect.signature(function).parameters[parameter].kind is inspect.Parameter.VAR_KEYWORD:
            words = dict(given.arguments.get(parameter, {}))
            candidates: Any = ({**words, word: other} for word in words for other in others(words[word]))
        else:
            candidates = others(before)
        for value in candidates:
            changed = inspect.BoundArguments(given.signature, dict(given.arguments))  # type: ignore[arg-type]
            changed.arguments[parameter] = value
            changed.arguments = {p: changed.arguments[p] for p in given.signature.parameters if p in changed.arguments}  # type: ignore
            try:
                if not same(base, result(function, changed)):
                    return True
            except Exception:  # the value does not fit this call
                continue
    return False


EXCUSED = {
    "custom_gradient:f": "the result is a function",
    "while_loop:*": "tried by itself, since others may never end",
    "*:sparse": "True is refused: there are no sparse tensors",
    "*:ragged": "True is refused: there are no ragged tensors",
    "*:sorted": "a promise, or a wish that torch grants in any case: the results are the same",
    "unstack:num": "must be the number of slices",
    "scan:unroll": "of JAX's compiler",
    "einsum:kwargs": "`optimize` is for other engines, others are refused",
    "isin:assume_unique": "a promise: the results are the same",
    "argpartition:kth": "all values are sorted, which puts each in its place; one that is not there is refused",
    "dot_product_attention:flash_attention": "chooses a kernel: the results are the same",
    "image.resize:fill_mode": 'anything but "constant" is refused',
    "empty:*": "its values are not set",
    "empty_like:*": "its values are not set",
}  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS, ids=FUNCTIONS.get)
def test_every_argument_of_a_function_counts(function: Callable) -> None:
    name = FUNCTIONS[function]
    silent = [
        parameter
        for parameter in inspect.signature(function).parameters
        if not any(fnmatchcase(f"{name}:{parameter}", pattern) for pattern in EXCUSED)
        and not counts(function, parameter)
    ]
    assert not silent, f"{name}: no value changes anything: {', '.join(silent)}"


def test_arguments_of_while_loop_count() -> None:
    def end(limit: int = 5, step: int = 1, start: int = 0, most: int | None = None) -> int:
        return int(ops.while_loop(lambda i: i < limit, lambda i: i + step, torch.tensor(start), most))

    assert (end(), end(limit=7), end(step=3), end(start=9), end(most=2)) == (5, 7, 6, 9, 2)
