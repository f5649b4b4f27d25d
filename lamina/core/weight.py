"""Weights: torch Parameters (or buffers) that know their Keras name, regularizer and constraint."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from . import config, dtypes, serialize

_AGGREGATIONS = ("none", "mean", "sum", "only_first_replica")
_SYNCHRONIZATIONS = ("none", "auto", "on_read", "on_write")


class Weight(nn.Parameter):
    """A layer's tensor. As a Parameter it is trained by any torch optimizer; as a buffer it is the layer's state.

    initializer: the first value, or with a `shape` what makes it. path: "layer/weight", as files and messages call it.
    regularizer, constraint: callables or None. autocast: whether a mixed policy casts it for the call.
    aggregation, synchronization: one of Keras' words for several replicas; there is one here.
    """

    path: str
    regularizer: Any
    constraint: Any
    autocast: bool
    _name: str
    _trainable: bool  # of the weight itself; the layer's own `trainable` comes on top

    def __new__(
        cls,
        initializer: Any,
        shape: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: Any = None,
        synchronization: Any = None,
        name: str | None = None,
        *,
        path: str = "",
        regularizer: Any = None,
        constraint: Any = None,
    ) -> Weight:
        for what, value, known in (
            ("aggregation", aggregation, _AGGREGATIONS),
            ("synchronization", synchronization, _SYNCHRONIZATIONS),
        ):
            if value is not None and value not in known:
                raise ValueError(f"Variable: `{what}` must be one of {', '.join(known)}; got {value!r}.")
        data = initializer if isinstance(initializer, torch.Tensor) else _first_value(initializer, shape, dtype)
        if dtype is not None:
            data = data.to(dtypes.torch_dtype(dtype))
        weight = torch.Tensor._make_subclass(cls, data, trainable and data.is_floating_point())
        weight._name, weight.path = name or "variable", path or name or "variable"
        weight.regularizer, weight.constraint = regularizer, constraint
        weight._trainable, weight.autocast = trainable, autocast
        return weight

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    @property
    def name(self) -> str:  # type: ignore[override]
        return self._name

    @property
    def trainable(self) -> bool:
        """Whether training changes it: False, too, while its layer is frozen."""
        return self._trainable and (self.requires_grad or not self.is_floating_point())

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        self.requires_grad_(self._trainable and self.is_floating_point())

    @property
    def value(self) -> torch.Tensor:
        return self

    def assign(self, value: Any) -> Weight:
        """Write `value` (array or tensor of the same shape) in place. Raises ValueError for another shape."""
        value = torch.as_tensor(value, device=self.device)
        if value.shape != self.shape:
            raise ValueError(
                f"Weight {self.path!r}: expected a value of shape {tuple(self.shape)}; got {tuple(value.shape)}."
            )
        with torch.no_grad():
            self.copy_(value)
        return self

    def assign_add(self, value: Any) -> Weight:
        with torch.no_grad():
            return self.assign(self + torch.as_tensor(value, device=self.device, dtype=self.dtype))

    def assign_sub(self, value: Any) -> Weight:
        return self.assign_add(-torch.as_tensor(value, device=self.device, dtype=self.dtype))

    def numpy(self, *, force: bool = True) -> np.ndarray:
        """A NumPy copy of the value."""
        tensor = self.detach().cpu()
        return (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).numpy().copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError(f"Weight {self.path!r}: NumPy gets a copy of its value; copy=False cannot be had.")
        array = self.numpy()
        return array if dtype is None else array.astype(dtype)

    def like(self, data: torch.Tensor) -> Weight:
        """The same weight holding other data, after a move or a change of type."""
        weight = Weight(data, trainable=self._trainable and self.requires_grad)
        vars(weight).update(vars(self))
        return weight

    def __deepcopy__(self, memo: dict) -> Weight:
        if id(self) not in memo:
            made = self.like(self.detach().clone(memory_format=torch.preserve_format))
            made.requires_grad_(self.requires_grad)
            vars(made).update(copy.deepcopy(vars(self), memo))
            memo[id(self)] = made
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuild, (self.detach(), self.requires_grad, dict(vars(self)))

    def __repr__(self, **kwargs: Any) -> str:
        return f"<Weight path={self.path}, shape={tuple(self.shape)}, dtype={self.dtype}>"


def _first_value(initializer: Any, shape: Any, dtype: Any) -> torch.Tensor:
    if not (callable(initializer) or isinstance(initializer, (str, Mapping))):
        return torch.tensor(initializer)
    if shape is None:
        raise ValueError(f"Variable: `shape` is needed with the initializer {initializer!r}; only a value has its own.")
    make = serialize.get(initializer, "keras.initializers")
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    return torch.as_tensor(make(shape, dtype=dtypes.dtype_name(dtype or config.floatx())))


def _rebuild(data: torch.Tensor, requires_grad: bool, state: dict[str, Any]) -> Weight:
    weight = Weight(data, trainable=requires_grad)
    vars(weight).update(state)
    return weight


class weight:
    """Declares an attribute that holds a weight, or None where the layer has none: read faster than by torch."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, layer: Any, owner: type | None = None) -> Any:
        if layer is None:
            return self
        try:
            return layer._parameters[self.name]
        except KeyError:
            raise AttributeError(self.name) from None


def allocate(values: torch.Tensor, order: tuple[int, ...] | None) -> torch.Tensor:
    """`values` with its memory laid out so that `permute(order)` is contiguous: the order a kernel reads."""
    if order is None:
        return values.contiguous()
    back = sorted(range(len(order)), key=order.__getitem__)
    return values.permute(order).contiguous().permute(back)
