"""What tensors of the older generations could do and torch's refuse: torch's are given it with the first namespace.

Nothing that works changes its result, but for arrays beside tensors: NumPy would take those without their gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from torch import Tensor

from ..core.arrays import of_numpy, reversing_item
from ..core.symbolic import SymbolicTensor
from ..core.weight import Weight


class Shape(tuple):
    """What `get_shape()` gives: sizes, None where unknown, in TensorFlow's words."""

    __slots__ = ()

    def as_list(self) -> list[int | None]:
        return list(self)

    @property
    def ndims(self) -> int:
        return len(self)

    rank = ndims


def get_shape(self: Any) -> Shape:
    return Shape(self.shape)


class Told:
    """An attribute that a function tells until code sets it, as code of the time did."""

    def __init__(self, tell: Callable[[Any], Any]):
        self.tell = tell

    def __get__(self, owner: Any, cls: type) -> Any:
        return self if owner is None else self.tell(owner)


def uses_learning_phase(self: Any) -> bool:
    """Whether a layer that a symbolic tensor rests on does something else in training."""
    return isinstance(self, SymbolicTensor) and any(node.layer._takes_training for node in nodes_before(self))


def nodes_before(*tensors: SymbolicTensor) -> Iterator[Any]:
    """The calls that tensors rest on, the last ones first."""
    seen: set[int] = set()
    stack = [tensor.node for tensor in tensors]
    while stack:
        node = stack.pop()
        if node is not None and id(node) not in seen:
            seen.add(id(node))
            yield node
            stack += [tensor.node for tensor in node.inputs]


def evaluated(self: Tensor, session: Any = None) -> np.ndarray:
    return self.numpy()


_numpy, _item = Tensor.numpy, Tensor.__getitem__


def numpy(self: Tensor, *, force: bool = False) -> np.ndarray:
    """Its values; where gradients flow back from it, these stay behind."""
    return _numpy(self.detach() if self.requires_grad else self, force=force)


def item(self: Tensor, key: Any) -> Tensor:
    """`x[key]`, steps below zero, too."""
    try:
        return _item(self, key)
    except ValueError:
        return reversing_item(self, key)


def itself(self: Weight) -> Weight:
    return self


def equip() -> None:
    """Give torch's tensors, symbolic ones and weights these methods."""
    tensor, symbolic, weight = (_open(cls) for cls in (Tensor, SymbolicTensor, Weight))
    for cls in (tensor, symbolic):
        cls.get_shape, cls._keras_shape = get_shape, Told(lambda x: tuple(x.shape))
        cls._uses_learning_phase = Told(uses_learning_phase)
    tensor.numpy, tensor.eval, tensor.__getitem__, tensor.__array_ufunc__ = numpy, evaluated, item, of_numpy
    weight.__call__ = weight.read_value = weight.initialized_value = itself  # `w.value()`, of a property


def _open(cls: Any) -> Any:
    return cls
