"""New tensors: ranges, constants, windows, diagonals; and conversion from and to what is no tensor."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core import dtypes
from ..core.dtypes import held_dtype
from ..core.symbolic import SymbolicTensor
from .base import (
    as_index,
    axes_of,
    dtype_or_floatx,
    floating,
    floatx,
    number_dtype,
    op,
    recorded,
    saved,
    tensor,
    tensors,
)
from .reduction import sum

# Conversion ------------------------------------------------------------------------------------------------------


@saved(room="core")
def convert_to_tensor(x: Any, dtype: Any = None, sparse: bool | None = None, ragged: bool | None = None) -> Any:
    """`x` as a tensor of `dtype`; tensors of that type, and symbolic ones, as they are."""
    if sparse or ragged:
        raise ValueError("convert_to_tensor: sparse and ragged tensors are not supported; leave both False.")
    if isinstance(x, SymbolicTensor):
        return x if dtype is None or dtypes.torch_dtype(dtype) is x.torch_dtype else cast(x, dtype)
    return tensor(x, None if dtype is None else held_dtype(dtype))


def convert_to_numpy(x: Any) -> np.ndarray:
    """The values as a NumPy array; bfloat16, which NumPy does not know, as float32."""
    if isinstance(x, SymbolicTensor):
        raise TypeError(f"convert_to_numpy: {x!r} has no values; use functions of lamina.ops in a model.")
    if isinstance(x, (list, tuple)):
        return np.array([convert_to_numpy(item) for item in x])
    if not isinstance(x, Tensor):
        return np.array(x)
    x = x.detach().cpu().resolve_conj().resolve_neg()
    return (x.float() if x.dtype is torch.bfloat16 else x).numpy().copy()


def is_tensor(x: object) -> bool:
    """Whether `x` is a tensor with values."""
    return isinstance(x, Tensor)


def dtype(x: Any) -> str:
    """The name of the number type of a tensor."""
    return x.dtype if isinstance(x, SymbolicTensor) else dtypes.dtype_name(tensor(x).dtype)


@op(room="core")
def cast(x: Any, dtype: Any) -> Tensor:
    """`x` in another number type."""
    x = tensor(x)
    dtype = dtype_or_floatx(dtype)
    if x.is_complex() and not dtype.is_complex:
        x = x.real
    return x.to(dtype)


@op(room="core")
def saturate_cast(x: Any, dtype: Any) -> Tensor:
    """`cast`, with values beyond the range of the new type at its ends."""
    x = tensor(x)
    dtype = floatx() if dtype is None else dtypes.torch_dtype(dtype)
    if x.dtype is torch.bool or dtype is torch.bool or x.dtype is dtype:
        return x.to(dtype)
    own, limits = _limits(x.dtype), _limits(dtype)
    low, high = max(own.min, limits.min), min(own.max, limits.max)
    if x.is_floating_point() and not dtype.is_floating_point:
        high = float(np.nextafter(np.float32(high), 0)) if int(np.float32(high)) > high else high
    return torch.clamp(x, low, high).to(dtype)


def _limits(dtype: torch.dtype) -> Any:
    return torch.finfo(dtype) if dtype.is_floating_point else torch.iinfo(dtype)


@op
def view(x: Any, dtype: Any = None) -> Tensor:
    """The same bytes read as another number type."""
    return tensor(x).view(dtype_or_floatx(dtype))


@op
def copy(x: Any) -> Tensor:
    """The same values in memory of their own."""
    return tensor(x).clone()


@op
def array(x: Any, dtype: Any = None) -> Tensor:
    """`x` as a new tensor."""
    return tensor(x, None if dtype is None else dtypes.torch_dtype(dtype)).clone()


# Constants -------------------------------------------------------------------------------------------------------


def _shape(shape: Any) -> Any:
    return (shape,) if isinstance(shape, int) else tuple(shape)


@recorded
def zeros(shape: Any, dtype: Any = None) -> Tensor:
    """Zeros."""
    return torch.zeros(_shape(shape), dtype=dtype_or_floatx(dtype))


@recorded
def ones(shape: Any, dtype: Any = None) -> Tensor:
    """Ones."""
    return torch.ones(_shape(shape), dtype=dtype_or_floatx(dtype))


@recorded
def empty(shape: Any, dtype: Any = None) -> Tensor:
    """Values that are not set."""
    return torch.empty(_shape(shape), dtype=dtype_or_floatx(dtype))


@op(call="fill_value")
def full(shape: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """One value everywhere; it may be an array that broadcasts."""
    dtype = dtype_or_floatx(dtype)
    if isinstance(fill_value, (bool, int, float, complex)):
        return torch.full(_shape(shape), fill_value, dtype=dtype)
    return tensor(fill_value, dtype).expand(_shape(shape)).clone()


@op
def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    """Zeros in the shape and type of `x`."""
    return torch.zeros_like(tensor(x), dtype=None if dtype is None else dtypes.torch_dtype(dtype))


@op
def ones_like(x: Any, dtype: Any = None) -> Tensor:
    """Ones in the shape and type of `x`."""
    return torch.ones_like(tensor(x), dtype=None if dtype is None else dtypes.torch_dtype(dtype))


@op
def empty_like(x: Any, dtype: Any = None) -> Tensor:
    """Values that are not set, in the shape and type of `x`."""
    return torch.empty_like(tensor(x), dtype=None if dtype is None else dtypes.torch_dtype(dtype))


@op(call=2)
def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """One value everywhere, in the shape and type of `x`."""
    x = tensor(x)
    dtype = x.dtype if dtype is None else dtypes.torch_dtype(dtype)
    if isinstance(fill_value, (bool, int, float, complex)):
        return torch.full_like(x, fill_value, dtype=dtype)
    return tensor(fill_value, dtype, x.device).expand(x.shape).clone()


# Ranges ----------------------------------------------------------------------------------------------------------


@op(call="start,stop,step=")
def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Tensor:
    """start, start + step, ... below `stop`; with one argument 0, 1, ... below it. Whole numbers give int32."""
    ends = [0, start] if stop is None else [start, stop]
    ends.append(1 if step is None else step)
    kinds = [number_dtype(end) if isinstance(end, (int, float)) else tensor(end).dtype for end in ends]
    if dtype is None:
        kind = next((kind for kind in kinds if kind.is_floating_point), None)
        kind = kind or (torch.int64 if torch.int64 in kinds else torch.int32)
    else:
        kind = dtypes.torch_dtype(dtype)
    ends = [end.item() if isinstance(end, (Tensor, np.generic)) else end for end in ends]
    return torch.arange(*ends, dtype=torch.int32 if kind is torch.bool else kind).to(kind)


@op(call=2)
def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None, axis: int = 0
) -> Any:
    """`num` values at equal steps from `start` to `stop` (not itself without `endpoint`); with `retstep` the step."""
    start, stop = tensors(start, stop)
    kind = torch.promote_types(start.dtype, stop.dtype)
    kind = kind if kind.is_floating_point or kind.is_complex else floatx()
    parts = num - 1 if endpoint else num
    start, stop = torch.broadcast_tensors(start.to(kind), stop.to(kind))
    step = (stop - start) / parts if parts > 0 else torch.full_like(start, math.nan)
    index = torch.arange(num, device=start.device).to(kind).reshape(-1, *(1,) * start.ndim)
    values = start + index * step if parts > 0 else start.expand(num, *start.shape)
    if endpoint and num > 1:
        values = torch.where(index == num - 1, stop, values)
    values = values.movedim(0, axis)
    values = values if dtype is None else values.to(dtypes.torch_dtype(dtype))
    return (values, step) if retstep else values


@op(call=2)
def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10, dtype: Any = None, axis: int = 0
) -> Tensor:
    """`base` to the powers that `linspace` gives."""
    powers = linspace(start, stop, num, endpoint, axis=axis)
    values = torch.pow(tensor(base, powers.dtype, powers.device), powers)
    return values if dtype is None else values.to(dtypes.torch_dtype(dtype))


@op(call=2)
def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Tensor:
    """`num` values at equal ratios from `start` to `stop`, which have the same sign."""
    start, stop = (floating(end) for end in tensors(start, stop))
    sign = torch.sign(start)
    powers = linspace(torch.log(start * sign), torch.log(stop * sign), num, endpoint, axis=axis)
    values = torch.exp(powers) * sign.unsqueeze(axis) if start.ndim else torch.exp(powers) * sign
    return values if dtype is None else values.to(dtypes.torch_dtype(dtype))


@op(call="*x")
def meshgrid(*x: Any, indexing: str = "xy") -> list[Tensor]:
    """The coordinates of a grid over vectors; "xy" swaps the first two axes, "ij" does not."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f'meshgrid: `indexing` must be "xy" or "ij"; got {indexing!r}.')
    vectors = [tensor(item).reshape(-1) for item in x]
    if len(vectors) < 2:
        return vectors
    return list(torch.meshgrid(*vectors, indexing=indexing))


# Windows ---------------------------------------------------------------------------------------------------------


def _window(x: Any, function: Any) -> Tensor:
    size = int(x)
    if size < 2:
        return torch.ones(max(size, 0), dtype=floatx())
    return function(size, periodic=False, dtype=floatx())


@recorded
def bartlett(x: Any) -> Tensor:
    """The triangle of `x` values."""
    return _window(x, torch.bartlett_window)


@recorded
def blackman(x: Any) -> Tensor:
    """Blackman's window of `x` values."""
    return _window(x, torch.blackman_window)


@recorded
def hamming(x: Any) -> Tensor:
    """Hamming's window of `x` values."""
    return _window(x, torch.hamming_window)


@recorded
def hanning(x: Any) -> Tensor:
    """Hann's window of `x` values."""
    return _window(x, torch.hann_window)


@recorded
def kaiser(x: Any, beta: Any) -> Tensor:
    """Kaiser's window of `x` values; `beta` makes it narrower."""
    size = int(x)
    place = torch.linspace(-1, 1, size, dtype=floatx()) if size > 1 else torch.zeros(size, dtype=floatx())
    beta = tensor(beta, floatx())
    return torch.i0(beta * torch.sqrt((1 - place * place).clamp(min=0))) / torch.i0(beta)


# Diagonals -------------------------------------------------------------------------------------------------------


@recorded
def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Tensor:
    """(N, M) zeros with ones on diagonal `k`."""
    return _below(N, M, k, torch.eq, dtype)


@recorded
def identity(n: int, dtype: Any = None) -> Tensor:
    """(n, n) zeros with ones on the diagonal."""
    return _below(n, n, 0, torch.eq, dtype)


@recorded
def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Tensor:
    """(N, M) ones up to diagonal `k`, zeros above."""
    return _below(N, M, k, torch.le, dtype)


def _below(rows: int, columns: int | None, k: int, compare: Any, dtype: Any) -> Tensor:
    rows, columns, k = map(operator.index, (rows, rows if columns is None else columns, k))
    return compare(torch.arange(columns), torch.arange(rows).unsqueeze(1) + k).to(dtype_or_floatx(dtype))


@op
def tril(x: Any, k: int = 0) -> Tensor:
    """`x` up to diagonal `k`, zeros above."""
    return torch.tril(tensor(x), k)


@op
def triu(x: Any, k: int = 0) -> Tensor:
    """`x` from diagonal `k` on, zeros below."""
    return torch.triu(tensor(x), k)


@op
def diag(x: Any, k: int = 0) -> Tensor:
    """A matrix with the vector `x` on diagonal `k`, or that diagonal of the matrix `x`."""
    return torch.diag(tensor(x), k)


@op
def diagflat(x: Any, k: int = 0) -> Tensor:
    """A matrix with all values of `x` on diagonal `k`."""
    return torch.diagflat(tensor(x), k)


@op
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """A diagonal of the matrices in two axes, as the last axis."""
    return torch.diagonal(tensor(x), offset, axis1, axis2)


@op
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sum of a diagonal of the matrices in two axes."""
    return sum(torch.diagonal(tensor(x), offset, axis1, axis2), -1)


@op
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of each value of a vector side by side."""
    x = tensor(x)
    powers = torch.arange(x.shape[0] if N is None else N, device=x.device)
    return x.unsqueeze(-1) ** (powers if increasing else powers.flip(0)).to(x.dtype)


# Classes ---------------------------------------------------------------------------------------------------------


@op(room="nn")
def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Tensor:
    """A vector along a new axis for each class: 1 at its place; all 0 for a class that is not there."""
    _refuse_sparse("one_hot", sparse)
    x = as_index(x)
    (axis,) = axes_of(axis, x.ndim + 1)
    classes = torch.arange(num_classes, device=x.device).reshape(-1, *(1,) * (x.ndim - axis))
    return (x.unsqueeze(axis) == classes).to(dtype_or_floatx(dtype))


@op(room="nn")
def multi_hot(
    inputs: Any, num_classes: int | None = None, axis: int = -1, dtype: Any = None, sparse: bool = False, **kwargs: Any
) -> Tensor:
    """For each sample a vector with 1 at the place of each of its classes, along `axis`. inputs (batch, many)."""
    _refuse_sparse("multi_hot", sparse)
    num_classes = kwargs.pop("num_tokens", num_classes)
    if kwargs or num_classes is None:
        raise ValueError(f"multi_hot: `num_classes` is needed, and no other keyword; got {sorted(kwargs)}.")
    x = as_index(inputs)
    hot = one_hot(x, num_classes, axis, dtype)
    return hot.amax(1 if x.ndim > 1 else 0)


def _refuse_sparse(name: str, sparse: bool) -> None:
    if sparse:
        raise ValueError(f"{name}: sparse tensors are not supported; leave `sparse` False.")
