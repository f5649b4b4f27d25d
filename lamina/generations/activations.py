"""Activations of older generations that compute something else than the modern ones of the same name."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .. import activations
from ..core.scope import Watched

_SOFTMAX, _SIGMOID = Watched(activations.softmax), Watched(activations.sigmoid)


class _Own:
    """A function in the generation's words, which equals today's: that is what layers have that were told its name."""

    def __init__(self, today: Callable, function: Callable):
        functools.update_wrapper(self, function)
        self.__name__ = today.__name__
        self._today, self._function = today, function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def __eq__(self, other: object) -> bool:
        return other is self or other is self._today

    def __hash__(self) -> int:
        return hash(self._today)

    def __reduce__(self) -> str:
        return self.__qualname__  # type: ignore[attr-defined]


def _own(today: Callable) -> Callable[[Callable], Any]:
    return functools.partial(_Own, today)


def told_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """The backend's: crossentropies of Keras 2 and tf.keras find the scores behind it, whoever calls it."""
    return _SOFTMAX(x) if axis in (-1, x.ndim - 1) else torch.softmax(x, axis)


def told_sigmoid(x: Tensor) -> Tensor:
    """The backend's, as `told_softmax`."""
    return _SIGMOID(x)


def hard_sigmoid(x: Tensor) -> Tensor:
    """`0.2 * x + 0.5`, kept between 0 and 1 (Keras 1 and 2)."""
    return torch.nn.functional.hardsigmoid(1.2 * x)  # torch's rises by 1 / 6; a step of an LSTM calls it three times


@_own(activations.linear)
def linear(x: Any) -> Any:
    """`x` as it is."""
    return x


def swish(x: Tensor) -> Tensor:
    """`x * sigmoid(x)` (Ramachandran et al., 2017)."""
    return torch.nn.functional.silu(x)


@_own(activations.relu)
def relu(x: Tensor, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    """`x` above `threshold`, `alpha * (x - threshold)` below, and never more than `max_value`."""
    return activations.relu(x, alpha, max_value, threshold)


@_own(activations.softmax)
def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """Exponentials that sum to 1 along `axis`. Raises ValueError for vectors, as Keras 1 and 2 do."""
    if x.ndim < 2:
        raise ValueError(f"softmax of Keras 1 and 2 takes at least two axes; got shape {tuple(x.shape)}.")
    return torch.softmax(x, axis)


@_own(activations.softmax)
def softmax_by_rows(x: Tensor, axis: int = -1) -> Tensor:
    """`softmax` that takes the last axis of matrices whatever `axis` says (Keras 2.3)."""
    return softmax(x, -1 if x.ndim == 2 else axis)


def get(identifier: Any) -> Any:
    """The activation that a name or a config stands for."""
    if identifier in ("hard_sigmoid", "swish", "silu"):
        return hard_sigmoid if identifier == "hard_sigmoid" else swish
    return activations.get(identifier)


def serialize(activation: Any) -> Any:
    """The name of a function, the config of anything else."""
    if getattr(activation, "__module__", None) == __name__:
        return activation.__name__
    return activations.serialize(activation)
