"""What tensors of the older generations could do and torch's refuse: torch's are given it with the first namespace.

Nothing that works changes its result, but for arrays beside tensors: NumPy would take those without their gradients.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
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


def told(name: str, tell: Callable[[Any], Any]) -> property:
    """An attribute that a function tells until code sets it, as code of the time did."""
    return property(
        lambda self: vars(self)[name] if name in vars(self) else tell(self),
        lambda self, value: vars(self).update({name: value}),
    )


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


def names_symbols(value: Any, seen: set[int] | None = None) -> bool:
    """Whether a value is, holds or, as a function of users, names symbolic tensors."""
    seen = set() if seen is None else seen
    if isinstance(value, SymbolicTensor):
        return True
    if id(value) in seen:
        return False
    seen.add(id(value))
    inside: list[Any] = []
    if isinstance(value, (list, tuple, set)):
        inside = list(value)
    elif isinstance(value, dict):
        inside = list(value.values())
    elif isinstance(value, functools.partial):
        inside = [value.func, *value.args, *value.keywords.values()]
    elif inspect.ismethod(value):
        inside = [value.__func__, getattr(value.__self__, "__dict__", {})]
    elif inspect.isfunction(value) and not (value.__module__ or "").startswith("lamina."):
        try:
            told = inspect.getclosurevars(value)
        except ValueError:  # a variable that is not yet there
            return False
        inside = [*told.nonlocals.values(), *told.globals.values()]
    return any(names_symbols(each, seen) for each in inside)


def evaluated(self: Tensor, session: Any = None) -> np.ndarray:
    return self.numpy()


_numpy, _item, _bool = Tensor.numpy, Tensor.__getitem__, Tensor.__bool__


def numpy(self: Tensor, *, force: bool = False) -> np.ndarray:
    """Its values; where gradients flow back from it, these stay behind."""
    return _numpy(self.detach() if self.requires_grad else self, force=force)


def item(self: Tensor, key: Any) -> Tensor:
    """`x[key]`, steps below zero, too."""
    try:
        return _item(self, key)
    except ValueError:
        return reversing_item(self, key)


def set_shape(self: Any, shape: Any) -> None:
    """Told sizes that were not known. Raises ValueError where they are others; None stands for any."""
    told = tuple(shape)
    if len(told) != self.ndim or any(None not in (a, b) and a != b for a, b in zip(told, self.shape, strict=True)):
        raise ValueError(f"set_shape: a tensor of shape {tuple(self.shape)} cannot have shape {told}.")


def rebinding(name: str) -> Callable[[Tensor, Any], Any]:
    """`x += ...` makes another tensor where the code that says so knows no torch: Keras' tensors did not change."""
    inside, beside = getattr(Tensor, f"__i{name}__"), getattr(Tensor, f"__{name}__")

    def combined(self: Tensor, other: Any) -> Any:
        names = sys._getframe(1).f_globals
        writes = "torch" in names or names.get("__name__", "").partition(".")[0] in ("torch", "lamina")
        return (inside if writes else beside)(self, other)

    return combined


def out_of_place(name: str) -> Callable[[Weight, Any], Any]:
    """`loss += ...` of a variable that gradients are taken by makes another tensor, where torch refuses to write."""
    inside, beside = getattr(Weight, f"__i{name}__"), getattr(Weight, f"__{name}__")

    def combined(self: Weight, other: Any) -> Any:
        return (beside if self.requires_grad and torch.is_grad_enabled() else inside)(self, other)

    return combined


def is_there(self: Weight) -> bool:
    """`if self.bias:` asks whether there is one; of a single value the value counts."""
    return self.numel() != 1 or _bool(self)


def itself(self: Weight) -> Weight:
    return self


@functools.cache
def equip() -> None:
    """Give torch's tensors, symbolic ones and weights these methods."""
    tensor: Any = Tensor
    symbolic: Any = SymbolicTensor
    weight: Any = Weight
    for cls in (tensor, symbolic):
        cls.get_shape, cls.set_shape = get_shape, set_shape
        cls._keras_shape = told("_keras_shape", lambda x: tuple(x.shape))
        cls._uses_learning_phase = told("_uses_learning_phase", uses_learning_phase)
    tensor.numpy, tensor.eval, tensor.__getitem__, tensor.__array_ufunc__ = numpy, evaluated, item, of_numpy
    weight.__call__ = weight.read_value = weight.initialized_value = itself  # `w.value()`, of a property
    weight.__bool__ = is_there
    for name in ("add", "sub", "mul", "truediv"):
        setattr(weight, f"__i{name}__", out_of_place(name))
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor"):
        setattr(tensor, f"__i{name}__", rebinding(name))
