"""Every argument of every public function changes its result for some value, or is refused.

The calls to start from are those the other tests record; each argument is then given other values until one counts.
A function without a call, and an argument that no value moves, fail unless a table says why.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any

import pytest
import torch
from support.functions import FUNCTIONS, calls
from support.observed import same
from torch.utils import _pytree as pytree

from lamina import ops

pytestmark = pytest.mark.filterwarnings("ignore")

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
    "image.homography:*": "of transforms among themselves: test_pictures.py, test_ops.py",
    "utils.get_source_inputs:tensor": "of a model's graph: test_operations_of_users.py",
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
