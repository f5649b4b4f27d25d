"""Arrays of any kind as tensors: one way for what layers are called on, what `fit` and `predict` get and ops take."""

from __future__ import annotations

import array as python_array
import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import config
from .devices import here
from .errors import short

_WIDER = {"uint16": np.int32, "uint32": np.int64, "uint64": np.int64}  # what torch can hardly compute with
READ = frozenset(np.dtype(name) for name in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "?"))
_OTHER_FLOATS = {"f": np.float64, "c": np.complex128}  # for longdouble and its complex sister
TEXTS = (str, bytes, np.str_, np.bytes_)
PLAIN = int, float, complex, str, bytes, np.generic
_BUFFERS = (memoryview, python_array.array)


def is_array(value: object) -> bool:
    """Whether `value` is an array of any library: NumPy, torch, pandas or one that NumPy can read."""
    if isinstance(value, (np.ndarray, Tensor, *_BUFFERS)):
        return True
    return hasattr(value, "shape") and (hasattr(value, "__array__") or hasattr(value, "toarray"))


def alike(structure: Any, parts: Iterable[Any]) -> Any:
    """Other parts in a list or tuple of the same type, one with names, too."""
    return type(structure)(*parts) if hasattr(structure, "_fields") else type(structure)(parts)


def is_listed(value: object) -> bool:
    """Whether `value` is a list, perhaps of lists, of numbers or texts: one array in Python's words."""
    if not isinstance(value, (list, tuple)) or not isinstance(first_of(value), PLAIN):
        return False
    return all(item is None or isinstance(first_of(item), PLAIN) for item in value)


def first_of(value: Any) -> Any:
    """The first item of a nested list."""
    while isinstance(value, (list, tuple)) and len(value):
        value = value[0]
    return value


def texts(value: Any) -> np.ndarray | None:
    """What holds texts, among others perhaps, as an array of them; None for anything else."""
    if hasattr(value, "__torch_function__") or (
        is_listed(value) and not isinstance(first_of(value), (*TEXTS, type(None)))
    ):
        return None
    if not isinstance(value, (str, bytes)) and not is_listed(value) and not is_array(value):
        return None
    try:
        found = np.asarray(getattr(value, "to_numpy", lambda: value)(), object if is_listed(value) else None)
    except ValueError:  # the lists differ in length
        return None
    if found.dtype.kind in "UST":
        return found
    return found if found.dtype.kind == "O" and any(isinstance(item, TEXTS) for item in found.flat) else None


def tensor_of(value: Any, name: str = "data") -> Tensor:
    """An array, a nested list of numbers or a tensor as a tensor, in its own type where torch can compute with that,
    and without a copy where possible. A pandas Series becomes a column, as in Keras.

    Raises ValueError, naming `name`, for text, objects, dates, masked values and other things that are no numbers.
    """
    if isinstance(value, Tensor):
        return value
    if type(value) is np.ndarray and (found := at_once(value)) is not None:
        return found
    found = numbers(value, name)
    if found.ndim == 1 and hasattr(value, "to_numpy"):
        found = found[:, None]
    return shared(widened(found, name))


def widened(found: np.ndarray, name: str = "data") -> np.ndarray:
    """Numbers in a type that torch can compute with. Raises ValueError, naming `name`, for those that none holds."""
    wider = _WIDER.get(found.dtype.name)
    if wider is None:
        return found
    if found.size and found.max() > np.iinfo(wider).max:
        raise ValueError(f"{name}: {found.max()} is too large for {np.dtype(wider)}, the widest integer there is.")
    return found.astype(wider)


def floats_of(value: Any, name: str) -> Any:
    """What is no tensor as one: integers, and numbers of Python's, as the default type of floats."""
    if hasattr(value, "__torch_function__"):
        return value
    found = here(tensor_of(value, name))
    return found if found.is_floating_point() and hasattr(value, "dtype") else found.to(getattr(torch, config.floatx()))


def of_tensors(function: Any) -> Any:
    """What a function does with tensors, without a look at what it is given."""
    return getattr(function, "of_tensors", function)


class TakesArrays:
    """Base of objects that are called on a tensor, and may be on an array."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        call = vars(cls).get("__call__")
        if call is not None:
            cls.__call__ = functools.wraps(call)(
                lambda self, x: call(self, x if isinstance(x, Tensor) else floats_of(x, cls.__name__))
            )


def at_once(
    array: np.ndarray,
    device: torch.device | None = None,
    passing: frozenset[torch.dtype] = frozenset(),
    floats: torch.dtype | None = None,
) -> Tensor | None:
    """A tensor of the array's memory, where there is nothing to be done for it, as for most.

    With a device: there, and floats that are not `passing` as `floats`.
    """
    if array.dtype not in READ or not array.flags.carray:
        return None
    tensor = torch.from_numpy(array)
    if device is None:
        return tensor
    tensor = tensor.to(device)
    return tensor.to(floats) if tensor.dtype not in passing and tensor.is_floating_point() else tensor


def numbers(value: Any, name: str = "data") -> np.ndarray:
    """What holds numbers as a NumPy array of them, in their own type. Raises ValueError for anything else."""
    if hasattr(value, "toarray"):
        raise ValueError(f"{name}: sparse matrices are not supported; pass the result of .toarray().")
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(f"{name}: an array with masked values has gaps; fill them first, as with .filled(0).")
    to_numpy = getattr(value, "to_numpy", None)
    try:
        found = np.asarray(value if to_numpy is None else to_numpy())
    except ValueError as error:
        raise ValueError(f"{name}: the lists differ in length, so they are no array. {_PAD}") from error
    if found.dtype.kind == "O" and to_numpy is not None and _columns_of_numbers(value):
        found = found.astype(np.float64)
    if found.dtype.kind not in "biufc" and found.dtype.name != "bfloat16":
        raise ValueError(_refusal(found, name))
    return found


def _columns_of_numbers(frame: Any) -> bool:
    """Whether each column of a pandas object holds numbers, of several types together, without a missing one."""
    kinds = getattr(frame, "dtypes", None)
    kinds = getattr(kinds, "tolist", lambda kinds=kinds: [kinds])()
    return all(getattr(kind, "kind", "O") in "biuf" for kind in kinds) and not np.asarray(frame.isna()).any()


_REPAIRS = {
    "U": "Encode text as integers.",
    "S": "Encode text as integers.",
    "M": "Make numbers of the dates, such as the days since a first one.",
    "m": 'Make numbers of the time spans, as with / np.timedelta64(1, "s").',
    "V": "Stack its fields into one array of numbers.",
}


def _refusal(found: np.ndarray, name: str) -> str:
    if found.dtype.kind != "O":
        first = next((f", {item} at {_row(place)}" for place, item in np.ndenumerate(found)), "")
        return f"{name}: expected numbers; got an array of {found.dtype}{first}. {_REPAIRS[found.dtype.kind]}"
    if not found.ndim:
        return f"{name}: expected an array of numbers; got {short(found.item())}."
    kinds = int, float, np.number, np.bool_
    bad = [(place, item) for place, item in np.ndenumerate(found) if not isinstance(item, kinds)]
    if not bad:
        return f'{name}: the array holds its numbers as Python objects; make them numbers with .astype("float32").'
    shown = ", ".join(
        f"{short(item, 30)}{'' if item is None else f' ({type(item).__name__})'} at {_row(place)}"
        for place, item in bad[:3]
    )
    more = f" and at {len(bad) - 3} other places" if len(bad) > 3 else ""
    repair = "Replace what is missing, encode text as integers, and make it numbers with .astype(...)."
    if isinstance(bad[0][1], (list, tuple, np.ndarray)):
        repair = _PAD
    return f"{name}: expected numbers; got an array of objects with {shown}{more}. {repair}"


def _row(place: tuple[int, ...]) -> str:
    return f"row {place[0]}" + (f", column {', '.join(map(str, place[1:]))}" if place[1:] else "") if place else "row 0"


_PAD = "Pad the rows to one length, as with lamina.utils.pad_sequences."


def shared(found: np.ndarray) -> Tensor:
    """A tensor of the array's memory, or of a copy where torch cannot read that. Read-only arrays are not copied:
    nothing here writes to what it was given."""
    kind = found.dtype.kind
    if kind in _OTHER_FLOATS and found.dtype.itemsize > np.dtype(_OTHER_FLOATS[kind]).itemsize:
        found = found.astype(_OTHER_FLOATS[kind])
    if any(stride < 0 or stride % max(found.itemsize, 1) for stride in found.strides) or not found.dtype.isnative:
        found = np.array(found, found.dtype.newbyteorder("="), order="C")
    if not found.flags.writeable:
        found = np.asarray(_Writeable(found))  # torch would warn
    if found.dtype.name == "bfloat16":  # of the package ml_dtypes, which JAX and Keras use
        return torch.from_numpy(found.view(np.uint16)).view(torch.bfloat16)
    return torch.from_numpy(found)


class _Writeable:
    """The same memory, said to be writeable."""

    def __init__(self, found: np.ndarray):
        self._kept = found
        self.__array_interface__ = {**found.__array_interface__, "data": (found.ctypes.data, False)}


def cast(tensor: Tensor, dtype: torch.dtype, who: str) -> Tensor:
    """`tensor` in another type. Raises ValueError where the imaginary part would be lost."""
    if tensor.is_complex() and not dtype.is_complex:
        raise no_complex(who, dtype)
    return tensor.to(dtype)


def no_complex(who: str, dtype: torch.dtype | None) -> ValueError:
    return ValueError(
        f"{who}: got complex numbers, whose imaginary part would be lost in {str(dtype).removeprefix('torch.')}. "
        "Pass the real and the imaginary part (x.real, x.imag) as two features."
    )


# Arrays beside tensors ------------------------------------------------------------------------------------------------

_TWINS: dict[Any, Callable] = {
    np.conjugate: torch.conj, np.equal: torch.eq, np.invert: torch.bitwise_not, np.power: torch.pow,
    np.rint: torch.round,
}  # fmt: skip


def twin(ufunc: Any) -> Callable | None:
    """torch's function for one of NumPy's, by its own name or another."""
    return _TWINS.get(ufunc) or getattr(torch, ufunc.__name__, None)


def beside(value: Any, dtype: torch.dtype | None, device: Any = None) -> Any:
    """An array of numbers as a tensor, real ones in the type of a floating tensor beside it; else what it is."""
    if not isinstance(value, (np.ndarray, np.generic)) or value.dtype.kind not in "biufc":
        return value
    follows = value.dtype.kind in "iuf" and dtype is not None and dtype.is_floating_point
    found = shared(np.array(value, order="C")).to(dtype=dtype if follows else None, device=device)
    return here(found) if device is None else found


def of_numpy(self: Any, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
    """The `__array_ufunc__` of tensors: NumPy's operators and functions are torch's, and gradients pass.

    Where torch has none, or there is an `out`, the tensors are arrays to NumPy.
    """
    function = twin(ufunc)
    if function is None or method != "__call__" or options:
        inputs = tuple(np.asarray(value) if isinstance(value, Tensor) else value for value in inputs)
        return getattr(ufunc, method)(*inputs, **options)
    like = next(value for value in inputs if isinstance(value, Tensor))
    return function(*(torch.as_tensor(beside(value, like.dtype, like.device)) for value in inputs))


def reversing_item(x: Tensor, key: Any) -> Tensor:
    """`x[key]` with negative steps, which torch refuses."""
    keys = list(key) if isinstance(key, tuple) else [key]
    if not any(each is Ellipsis for each in keys):
        keys.append(Ellipsis)
    takes = [getattr(each, "ndim", 1) if getattr(each, "dtype", None) in (torch.bool, bool) else 1 for each in keys]
    takes = [0 if each is None or each is Ellipsis else count for each, count in zip(keys, takes, strict=True)]
    axis, flipped = 0, []
    for place, (each, count) in enumerate(zip(keys, takes, strict=True)):
        if each is Ellipsis:
            axis += x.ndim - sum(takes)
        elif isinstance(each, slice) and (each.step or 1) < 0:
            size = x.shape[axis]
            positions = range(size)[each]
            keys[place] = slice(size - 1 - positions[0], size - positions[-1], -each.step) if positions else slice(0, 0)
            flipped.append(axis)
        axis += count
    return x.flip(flipped)[tuple(keys)]
