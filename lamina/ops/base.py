"""What every op stands on: the decorator that records calls on symbolic tensors, and conversion and number types.

Tensors combine as torch combines them, which is Keras' rule for all types up to 32 bits; 64 bits stay 64 bits.
Python numbers take the type of the tensor beside them where it can hold their kind, else int32 or `floatx()`.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple, ParamSpec, TypeVar, overload

import numpy as np
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from ..core import config, dtypes
from ..core.arrays import is_array, numbers, shared, widened
from ..core.devices import here
from ..core.dtypes import held_dtype
from ..core.errors import NoSuchAxis, short
from ..core.operation import record as record
from ..core.operation import recorded
from ..core.symbolic import SymbolicTensor

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable)
Axis = int | tuple[int, ...] | list[int] | None

_OF_NUMPY = ("arrangement", "creation", "elementwise", "reduction")  # files; others are named as Keras' modules
_SMALL = frozenset({torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16})


class Op(NamedTuple):
    """A function that a config can hold: Keras has a class for it.

    What Keras gives the class ("axis") stands in the operation's own config, what it gives the call (tensors, and the
    constants beside them) in the node's arguments.
    """

    function: Callable
    room: str  # Keras' module of the class
    class_name: str
    call: int | str | None

    @property
    def word(self) -> str:
        return self.function.__name__

    @property
    def module(self) -> str:
        return "keras.src.activations.activations" if self.room == "activations" else f"keras.src.ops.{self.room}"

    @property
    def signature(self) -> inspect.Signature:
        return inspect.signature(self.function)

    @property
    def taken(self) -> list[str]:
        """The parameters of the call, in its order: `name`, or `name=` by keyword, `*name`, `**name`."""
        if isinstance(self.call, str):
            return self.call.split(",")
        names = [*self.signature.parameters]
        return names[: self.call or (2 if names[:2] == ["x1", "x2"] else 1)]


OPS: dict[str, Op] = {}  # by the function's name; complete once `lamina.ops` is imported


def saved(room: str | None = None, name: str | None = None, call: int | str | None = None) -> Callable[[F], F]:
    """Decorator: configs may name this function, by Keras' class `name` in Keras' module `room`.

    The class is by default the function's name in capitals, the module follows from the file. The call takes so many
    leading parameters, or those listed, written as in `Op.taken`; by default a pair x1, x2 or else one.
    """

    def put(function: F) -> F:
        word, file = function.__name__, function.__module__.rpartition(".")[2]
        class_name = name or "".join(part.capitalize() for part in word.split("_"))
        OPS[word] = Op(function, room or ("numpy" if file in _OF_NUMPY else file), class_name, call)
        return function

    return put


@overload
def op(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def op(
    *, room: str | None = None, name: str | None = None, call: int | str | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def op(function: Any = None, /, **facts: Any) -> Any:
    """Decorator: `recorded`, and `saved` with these facts."""
    put = saved(**facts)
    return put(recorded(function)) if function is not None else lambda function: put(recorded(function))


def public(room: ModuleType) -> dict[str, Any]:
    """What a module of ops defines for everybody, by name."""
    return {
        name: item
        for name, item in vars(room).items()
        if name[0] != "_" and getattr(item, "__module__", None) == room.__name__
    }


def is_trial(x: object) -> bool:
    """Whether `x` is a stand-in without values, by which the shapes of a model are found."""
    return isinstance(x, FakeTensor)


def needs_values(x: Tensor, name: str, repair: str) -> None:
    """Raises ValueError in a trial, for functions whose values decide the shape of the result."""
    if is_trial(x):
        raise ValueError(f"{name}: the shape of the result depends on values, which are not known in a model. {repair}")


# Tensors ---------------------------------------------------------------------------------------------------------


def floatx() -> torch.dtype:
    return dtypes.FLOATS[config.floatx()]


def dtype_or_floatx(dtype: Any) -> torch.dtype:
    return floatx() if dtype is None else held_dtype(dtype)


def number_dtype(value: complex) -> torch.dtype:
    """The type of a Python number by itself."""
    if isinstance(value, bool):
        return torch.bool
    if isinstance(value, int):
        return torch.int32 if -(2**31) <= value < 2**31 else torch.int64
    if not isinstance(value, (float, complex)):
        raise ValueError(f"Expected a tensor, an array or numbers; got {short(value)}.")
    return floatx() if isinstance(value, float) else torch.complex64


_LARGE = torch.finfo(torch.float16).max  # of the types, the first whose end a number meets


def _number(x: bool | int | float | complex, dtype: torch.dtype, device: Any) -> Tensor:
    if type(x) is float and abs(x) > _LARGE and dtype.is_floating_point:
        limits = torch.finfo(dtype)
        if abs(x) > limits.max:  # rounded to what the type holds, or infinite; torch raises
            x = math.copysign(limits.max if abs(x) < limits.max * (1 + limits.eps / 4) else math.inf, x)
    return torch.full((), x, dtype=dtype, device=device)


def tensor(x: Any, dtype: torch.dtype | None = None, device: Any = None) -> Tensor:
    """`x` as a tensor: tensors as they are, arrays in their own type, numbers and lists in Keras'."""
    if isinstance(x, Tensor):
        return x if dtype is None or x.dtype is dtype else x.to(dtype)
    if isinstance(x, (bool, int, float, complex)):
        return _number(x, dtype or number_dtype(x), device)
    if isinstance(x, (list, tuple, range)):
        leaves = _leaves(x)
        if any(isinstance(leaf, (Tensor, np.ndarray)) for leaf in leaves):
            return torch.stack([tensor(item, dtype, device) for item in x])
        return torch.tensor(x, dtype=dtype or _common_dtype(leaves), device=device)
    if isinstance(x, SymbolicTensor):
        raise TypeError(f"Expected a tensor with values; got {x!r}.")
    if not (isinstance(x, np.generic) or is_array(x) or hasattr(x, "__array__")):
        if not hasattr(x, "__dlpack__"):
            raise ValueError(
                f"Cannot make a tensor of {type(x).__name__} {x!r}; expected a tensor, an array or numbers."
            )
        return torch.from_dlpack(x).to(dtype=dtype, device=device)
    x = widened(numbers(x))
    found = shared(x if x.flags.writeable else x.copy()).to(dtype=dtype, device=device)
    return here(found) if device is None else found


def _leaves(x: Any) -> list[Any]:
    found = []
    for item in x:
        if isinstance(item, (list, tuple)):
            found += _leaves(item)
        else:
            found.append(item)
    return found


def _common_dtype(numbers: list[Any]) -> torch.dtype:
    """The type of a list of Python numbers."""
    kinds = {number_dtype(n.item() if isinstance(n, np.generic) else n) for n in numbers} or {floatx()}
    return functools.reduce(torch.promote_types, kinds)


def floating(x: Any) -> Tensor:
    """`x` as a floating or complex tensor; integers become `floatx()`."""
    if isinstance(x, Tensor) and x.is_floating_point():
        return x
    x = tensor(x)
    return x if x.is_floating_point() or x.is_complex() else x.to(floatx())


def operands(x1: Any, x2: Any) -> tuple[Any, Any]:
    """Both sides of an operator: tensors on one device, or a number that takes the type of the tensor beside it."""
    if isinstance(x1, Tensor):
        return (x1, x2) if isinstance(x2, Tensor) else (x1, _beside(x1, x2))
    if isinstance(x2, Tensor):
        return _beside(x2, x1), x2
    if isinstance(x2, (bool, int, float)) and not isinstance(x1, (bool, int, float)):
        x1 = tensor(x1)
        return x1, _beside(x1, x2)
    x2 = tensor(x2)
    return _beside(x2, x1), x2


def _beside(other: Tensor, x: Any) -> Any:
    if isinstance(x, (bool, int, float)):
        kind = other.dtype
        if kind.is_floating_point or kind.is_complex or isinstance(x, bool):
            return x
        if kind is not torch.bool and not isinstance(x, float):
            return x
    return tensor(x, device=other.device)


def tensors(x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    """`operands`, the number as a tensor too."""
    if isinstance(x1, Tensor) and isinstance(x2, Tensor):
        return x1, x2
    x1, x2 = operands(x1, x2)
    if not isinstance(x1, Tensor):
        return x2.new_full((), x1), x2
    return x1, x2 if isinstance(x2, Tensor) else x1.new_full((), x2)


def floats(x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    """`tensors` for a function of real numbers: two integers become `floatx()`."""
    x1, x2 = tensors(x1, x2)
    if torch.promote_types(x1.dtype, x2.dtype) in dtypes.FLOATS.values():
        return x1, x2
    return floating(x1), floating(x2)


def same_dtype(*values: Any) -> tuple[Any, ...]:
    """Tensors of the type that holds them all, for functions that take no mixture."""
    found = [tensor(value) for value in values]
    dtype = functools.reduce(torch.promote_types, [value.dtype for value in found])
    return tuple(value.to(dtype) for value in found)


def as_index(x: Any, device: Any = None) -> Tensor:
    """`x` as indices."""
    x = tensor(x, device=device)
    return x if x.dtype is torch.int64 else x.to(torch.int64)


def summed_dtype(dtype: torch.dtype) -> torch.dtype | None:
    """The type in which a sum is kept: int32 for small integers, else its own."""
    return torch.int32 if dtype in _SMALL else None


def axes_of(axis: Axis, ndim: int) -> tuple[int, ...]:
    """Axes as non-negative numbers; None is all. Raises ValueError for one that is not there."""
    if axis is None:
        return tuple(range(ndim))
    given = (axis,) if isinstance(axis, int) else tuple(axis)
    for place in given:
        if not -ndim <= place < ndim:
            raise NoSuchAxis(f"Axis {place} is not there: the tensor has {ndim} axes, {-ndim} to {ndim - 1}.")
    return tuple(place % ndim for place in given)


def channels_last(data_format: str | None) -> bool:
    """Whether channels come last; None is the global setting. Raises ValueError for an unknown format."""
    data_format = config.image_data_format() if data_format is None else data_format
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f'data_format must be "channels_last" or "channels_first"; got {data_format!r}.')
    return data_format == "channels_last"
