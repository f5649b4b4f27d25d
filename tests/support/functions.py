"""The public functions, and calls of each with its arguments by name."""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import torch

from lamina import activations, losses, metrics, ops, random, utils

from .expressions import EXPRESSIONS, NUMPY, OPS, SETTING, TABLE, TENSORS

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
