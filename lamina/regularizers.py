"""Regularizers: penalties on a weight, each a scalar that the training loss adds up."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .core import config
from .core import serialize as objects
from .core.arrays import TakesArrays
from .core.declare import Declared, Kind, Refused, arg, looked_up, one_of

__all__ = [
    "L1", "L1L2", "L2", "OrthogonalRegularizer", "Regularizer", "deserialize", "get", "l1", "l1_l2", "l2",
    "orthogonal_regularizer", "serialize",
]  # fmt: skip


class Regularizer(TakesArrays, Declared):
    """A penalty on a weight; subclasses write `__call__`."""

    def __call__(self, x: Tensor) -> Tensor:
        return x.new_zeros(())


def _convert_factor(value: Any, owner: Any) -> float:
    if value is None and isinstance(owner, (L1, L2, L1L2)):
        return 0.0 if isinstance(owner, L1L2) else 0.01  # the default, as in Keras
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise Refused
    factor = float(value)
    if not 0 <= factor < math.inf:
        raise Refused
    return factor


_factor = Kind(
    "a finite number of at least 0", _convert_factor, good=(0.0, 0.01), bad=(-0.1, math.nan, math.inf, "a", [0.1])
)


class L1L2(Regularizer):
    """`l1 * sum(|x|) + l2 * sum(x**2)`."""

    l1: float = arg(_factor, default=0.0, doc="Weight of the absolute values.")
    l2: float = arg(_factor, default=0.0, doc="Weight of the squares.")

    def __call__(self, x: Tensor) -> Tensor:
        penalty = x.new_zeros(())
        if self.l1:
            penalty = penalty + self.l1 * torch.abs(x).sum()
        if self.l2:
            penalty = penalty + self.l2 * torch.square(x).sum()
        return penalty


class L1(Regularizer):
    """`l1 * sum(|x|)`."""

    l1: float = arg(_factor, default=0.01, doc="Weight of the absolute values.")

    def __call__(self, x: Tensor) -> Tensor:
        return self.l1 * torch.abs(x).sum()


class L2(Regularizer):
    """`l2 * sum(x**2)`."""

    l2: float = arg(_factor, default=0.01, doc="Weight of the squares.")

    def __call__(self, x: Tensor) -> Tensor:
        return self.l2 * torch.square(x).sum()


class OrthogonalRegularizer(Regularizer):
    """`factor` times the mean `|cosine|` over all pairs of rows (or columns) of a matrix."""

    factor: float = arg(_factor, default=0.01, doc="Weight of the penalty.")
    mode: str = arg(one_of("rows", "columns"), default="rows", doc="Which vectors are to be orthogonal.")

    def __call__(self, x: Tensor) -> Tensor:
        if x.ndim != 2:
            raise ValueError(
                f"OrthogonalRegularizer: expected a matrix; got a weight of shape {tuple(x.shape)}. "
                "Reshape it to two axes inside a regularizer of your own."
            )
        vectors = x if self.mode == "rows" else x.T
        count = vectors.shape[0]
        unit = F.normalize(vectors, dim=1, eps=config.epsilon())
        cosines = torch.triu(unit @ unit.T, 1)
        return self.factor * torch.abs(cosines).sum() / max(count * (count - 1) / 2, 1)


l1 = L1
l2 = L2
l1_l2 = L1L2
orthogonal_regularizer = OrthogonalRegularizer


def get(identifier: Any) -> Any:
    """The regularizer that a name, a config, a class or a callable stands for; None for None. ValueError if unknown."""
    if identifier is None:
        return None
    if isinstance(identifier, str) and identifier == "l1_l2":
        raise ValueError('The name "l1_l2" leaves the factors open; pass regularizers.L1L2(l1=..., l2=...).')
    return objects.lookup(identifier, "keras.regularizers", "regularizer", {"l1l2": "L1L2"})


def serialize(regularizer: Any) -> Any:
    """The config of a regularizer."""
    return objects.serialize(regularizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """What `serialize` described."""
    with objects.custom_object_scope(custom_objects or {}):
        return get(config)


regularizer = Kind(
    "the name of a regularizer, a regularizer or None",
    looked_up(get),
    good=(None, "l2", L1L2(0.01, 0.02)),
    bad=("no-such-regularizer", 3.5, "l1_l2"),
)
