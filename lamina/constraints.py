"""Constraints: projections that a weight goes through after each update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .core import config
from .core import serialize as objects
from .core.arrays import TakesArrays
from .core.declare import Declared, Kind, arg, as_integer, looked_up, number

__all__ = [
    "Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "deserialize", "get", "max_norm", "min_max_norm",
    "non_neg", "serialize", "unit_norm",
]  # fmt: skip


class Constraint(TakesArrays, Declared):
    """A projection of a weight, as a new tensor; subclasses write `__call__`."""

    def __call__(self, w: Tensor) -> Tensor:
        return w


class NonNeg(Constraint):
    """Negative values become 0."""

    def __call__(self, w: Tensor) -> Tensor:
        return torch.relu(w)


def _convert_axis(value: Any, owner: Any) -> int | tuple[int, ...]:
    return tuple(map(as_integer, value)) if isinstance(value, (list, tuple)) else as_integer(value)


_axis = Kind(
    "an integer or several",
    _convert_axis,
    dump=lambda axis: list(axis) if isinstance(axis, tuple) else axis,
    good=(0, 1, (0, 1)),
    bad=("a", 0.5, None, (0, "a")),
)
_AXIS_DOC = "Axes over which a norm is taken: those of one unit's incoming weights."


def _norms(w: Tensor, axis: int | tuple[int, ...]) -> Tensor:
    return torch.linalg.vector_norm(w, dim=axis, keepdim=True)


def _rescaled(w: Tensor, norms: Tensor, desired: Tensor | float) -> Tensor:
    return w / (norms + config.epsilon()) * desired


class MaxNorm(Constraint):
    """Vectors longer than `max_value` are shortened to it (Srivastava et al., 2014)."""

    max_value: float = arg(number(0), default=2, doc="The greatest norm.")
    axis: int | tuple[int, ...] = arg(_axis, default=0, doc=_AXIS_DOC)

    def __call__(self, w: Tensor) -> Tensor:
        norms = _norms(w, self.axis)
        return _rescaled(w, norms, torch.clamp(norms, max=self.max_value))


class UnitNorm(Constraint):
    """Vectors get the norm 1."""

    axis: int | tuple[int, ...] = arg(_axis, default=0, doc=_AXIS_DOC)

    def __call__(self, w: Tensor) -> Tensor:
        return _rescaled(w, _norms(w, self.axis), 1.0)


class MinMaxNorm(Constraint):
    """Norms move into the interval from `min_value` to `max_value`, by the share `rate` of the way."""

    min_value: float = arg(number(0), default=0.0, doc="The least norm.")
    max_value: float = arg(number(0), default=1.0, doc="The greatest norm.")
    rate: float = arg(number(0, 1), default=1.0, doc="1 goes all the way at once.")
    axis: int | tuple[int, ...] = arg(_axis, default=0, doc=_AXIS_DOC)

    def check(self) -> None:
        if self.min_value > self.max_value:
            raise ValueError(
                f"{type(self).__name__}: argument `min_value` must be at most `max_value`; "
                f"got {self.min_value} and {self.max_value}."
            )

    def __call__(self, w: Tensor) -> Tensor:
        norms = _norms(w, self.axis)
        within = torch.clamp(norms, self.min_value, self.max_value)
        return _rescaled(w, norms, torch.lerp(norms, within, self.rate))


max_norm = MaxNorm
non_neg = NonNeg
unit_norm = UnitNorm
min_max_norm = MinMaxNorm


def get(identifier: Any) -> Any:
    """The constraint that a name, a config, a class or a callable stands for; None for None. ValueError if unknown."""
    return None if identifier is None else objects.lookup(identifier, "keras.constraints", "constraint")


def serialize(constraint: Any) -> Any:
    """The config of a constraint."""
    return objects.serialize(constraint)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """What `serialize` described."""
    with objects.custom_object_scope(custom_objects or {}):
        return get(config)


constraint = Kind(
    "the name of a constraint, a constraint or None",
    looked_up(get),
    good=(None, "non_neg", MaxNorm(1.0)),
    bad=("no-such-constraint", 3.5),
)
