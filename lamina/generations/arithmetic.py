"""The tensor functions of `keras.backend` of Keras 1 and 2, on torch.

Each takes symbolic tensors, too, and is then one step of a model. Parameters said to be `X` are tensors: numbers,
arrays and lists become some, in the type of the tensor beside them; `Xs` are several.
"""

from __future__ import annotations

import builtins
import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils import _pytree as pytree

from ..activations import elu as _elu
from ..core import dtypes
from ..core.arrays import beside
from ..core.config import epsilon, floatx, image_data_format
from ..core.devices import here
from ..core.operation import recorded
from ..core.scope import scope
from ..core.symbolic import SIZES, SymbolicTensor
from ..kernels import convolution, local, normalization, pooling, products, resize, window
from ..losses import functions as losses
from ..ops import base, nn
from ..translation.conversions import per_axis
from . import activations
from . import losses as of_the_time
from .tensors import names_symbols

X = Any
Xs = Any
Axis = Any
FORMATS = {"th": "channels_first", "tf": "channels_last"}
PUBLIC: dict[str, Callable] = {}


def public(function: Callable) -> Callable:
    """Makes a function, by its name, one of the backend."""
    call = PUBLIC[function.__name__] = taking_all(function)
    return call


def _named(name: str, function: Callable) -> None:
    """Makes a function one of the backend by this name."""
    function.__name__ = function.__qualname__ = name
    public(function)


def taking_all(function: Callable) -> Callable:
    """A function that converts what it gets, and is recorded where that is symbolic.

    A loop over a function that itself names symbolic tensors is written out, step by step.
    """
    signature = inspect.signature(function)
    kinds = {name: parameter.annotation for name, parameter in signature.parameters.items()}

    @recorded
    @functools.wraps(function)
    def recording(*args: Any, **kwargs: Any) -> Any:
        given = {**dict(zip(kinds, args, strict=False)), **kwargs}
        named = [key for key in given if kinds.get(key) in ("X", "Xs") and given[key] is not None]
        found = [leaf for key in named for leaf in pytree.tree_leaves(given[key]) if isinstance(leaf, Tensor)]
        like = next((x for x in found if x.is_floating_point()), found[0] if found else None)
        values = {key: _tensors(given[key], like) if kinds[key] == "Xs" else _tensor(given[key], like) for key in named}
        rest = args[len(kinds) :]
        return function(*(values.get(key, value) for key, value in zip(kinds, args, strict=False)), *rest,
                        **{key: values.get(key, value) for key, value in kwargs.items()})  # fmt: skip

    @functools.wraps(function)
    def written_out(first: Callable, *args: Any, **kwargs: Any) -> Any:
        return (function if names_symbols(first) else recording)(first, *args, **kwargs)

    return written_out if "Callable" in kinds.values() else recording


def _tensor(value: Any, like: Tensor | None = None) -> Any:
    if isinstance(value, (Tensor, SymbolicTensor)):
        return value
    dtype, device = (None, None) if like is None else (like.dtype, like.device)
    if isinstance(value, (np.ndarray, np.generic)):
        return beside(value, dtype, device) if value.dtype.kind in "biufc" else base.tensor(value)
    follows = dtype is not None and (dtype.is_floating_point or isinstance(value, int)) and not isinstance(value, bool)
    kind = dtype if follows else None
    if isinstance(value, (bool, int, float)):
        return torch.full((), value, dtype=kind or base.number_dtype(value), device=device)  # which a trial can read
    return base.tensor(value, kind, device)


def _tensors(values: Any, like: Tensor | None) -> list[Tensor]:
    return [_tensor(value, like) for value in values]


def sizes(shape: Any) -> tuple[int, ...]:
    """A shape that may be a tensor, or hold some, as Python's numbers; -1 for None."""
    shape = shape.tolist() if hasattr(shape, "tolist") else shape
    return tuple(-1 if size is None else int(size) for size in ((shape,) if isinstance(shape, int) else shape))


def _axes(x: Tensor, axis: Axis) -> Any:
    if isinstance(axis, (list, tuple, range, np.ndarray)) and np.ndim(axis):
        return tuple(int(one) for one in axis)
    return tuple(range(x.ndim)) if axis is None else int(axis)  # type: ignore[arg-type]


def _float(x: Tensor) -> Tensor:
    return x if x.is_floating_point() else x.to(torch_dtype(None))


def torch_dtype(dtype: Any) -> torch.dtype:
    return dtypes.torch_dtype(floatx() if dtype is None else dtype)


def _last(data_format: str | None) -> bool:
    chosen = image_data_format() if data_format in (None, "default") else FORMATS.get(data_format, data_format)
    if chosen not in FORMATS.values():
        raise ValueError(f"data_format: expected 'channels_last' or 'channels_first'; got {data_format!r}.")
    return chosen == "channels_last"


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


# Creation -------------------------------------------------------------------------------------------------------------


def _filled(name: str, function: Callable, like: Callable) -> None:
    def filled(shape: Any, dtype: Any = None, name: str | None = None) -> Tensor:
        return function(sizes(shape), dtype=torch_dtype(dtype))

    def filled_like(x: X, dtype: Any = None, name: str | None = None) -> Tensor:
        return like(x, dtype=None if dtype is None else torch_dtype(dtype), requires_grad=False)

    _named(name, filled)
    _named(f"{name}_like", filled_like)


_filled("zeros", torch.zeros, torch.zeros_like)
_filled("ones", torch.ones, torch.ones_like)


@public
def eye(size: int, dtype: Any = None, name: str | None = None) -> Tensor:
    return torch.eye(*sizes(size), dtype=torch_dtype(dtype))


@public
def constant(value: X, dtype: Any = None, shape: Any = None, name: str | None = None) -> Tensor:
    """One value everywhere, or as many values as the shape has places."""
    made = value.to(torch_dtype(dtype))
    if shape is None:
        return made
    return made.reshape(()).expand(sizes(shape)).clone() if made.numel() == 1 else made.reshape(sizes(shape)).clone()


@public
def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = "int32") -> Tensor:
    """From `start` up to `stop`; beside a float, "int32" says nothing and all are floats."""
    first, end = (0, max(start, 0)) if stop is None else (start, stop)
    numbers = [value.item() if isinstance(value, Tensor) else value for value in (first, end, step)]
    floats = dtype == "int32" and any(isinstance(number, float) for number in numbers)
    return torch.arange(*numbers, dtype=torch.float32 if floats else torch_dtype(dtype))


@public
def cast(x: X, dtype: Any) -> Tensor:
    return x.to(dtypes.torch_dtype(dtype))


@public
def shape(x: X) -> Tensor:
    """The sizes, as a tensor."""
    return torch.tensor(list(x.shape), dtype=torch.int32)


@public
def size(x: X, name: str | None = None) -> Tensor:
    """How many elements there are, as a tensor."""
    return torch.tensor(x.numel(), dtype=torch.int32)


SIZES.update((shape, size))


# Random numbers -------------------------------------------------------------------------------------------------------

_streams: dict[tuple[int, object], torch.Generator] = {}


def stream(seed: Any, place: object = None) -> torch.Generator | None:
    """The numbers of a seed, which go on from call to call; those of another place are others."""
    if seed is None or scope.trying:
        return None
    if isinstance(seed, torch.Generator):
        return seed
    return _streams.setdefault((int(seed), place), torch.Generator().manual_seed(int(seed)))


def forget_streams() -> None:
    """Let the numbers of all seeds start afresh."""
    _streams.clear()


def drawn(draw: Callable, shape: Any, dtype: torch.dtype | None, source: torch.Generator | None) -> Tensor:
    """Where tensors are made; a stream's numbers are those of the CPU on every device."""
    place = None if source is None else source.device
    return here(draw(sizes(shape), dtype=dtype, generator=source, device=place))


@public
def random_normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Tensor:
    return drawn(torch.randn, shape, torch_dtype(dtype), stream(seed)) * stddev + mean


@public
def random_uniform(shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None) -> Tensor:
    kind, source = torch_dtype(dtype), stream(seed)
    if not kind.is_floating_point:
        return drawn(functools.partial(torch.randint, int(minval), int(maxval)), shape, kind, source)
    return drawn(torch.rand, shape, kind, source) * (maxval - minval) + minval


@public
def random_binomial(shape: Any, p: float = 0.0, dtype: Any = None, seed: Any = None) -> Tensor:
    return (drawn(torch.rand, shape, None, stream(seed)) < p).to(torch_dtype(dtype))


PUBLIC["random_bernoulli"] = PUBLIC["random_binomial"]


@public
def truncated_normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Tensor:
    return drawn(_truncated, shape, torch_dtype(dtype), stream(seed)) * stddev + mean


def _truncated(shape: tuple[int, ...], *, generator: torch.Generator | None, **how: Any) -> Tensor:
    return torch.nn.init.trunc_normal_(torch.empty(shape, **how), 0.0, 1.0, -2.0, 2.0, generator)


@public
def dropout(x: X, level: float, noise_shape: Any = None, seed: Any = None) -> Tensor:
    if not 0 <= level < 1:
        raise ValueError(f"dropout: `level` is the share to drop, from 0 to below 1; got {level!r}.")
    asked = [None] * x.ndim if noise_shape is None else noise_shape
    shape = [have if size is None else size for size, have in zip(asked, x.shape, strict=True)]
    kept = (drawn(torch.rand, shape, None, stream(seed)) >= level).to(x.device, x.dtype)
    return x * kept / (1 - level)


# Reductions -----------------------------------------------------------------------------------------------------------


def _reducing(name: str, function: Callable) -> None:
    def reduced(x: X, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return function(x, _axes(x, axis), keepdims)

    _named(name, reduced)


def _along(name: str, function: Callable, default: int) -> None:
    def along(x: X, axis: int = default) -> Tensor:
        return function(x, axis)

    _named(name, along)


def _of_sums(x: Tensor) -> torch.dtype:
    return torch.int64 if x.dtype is torch.bool else x.dtype  # truths are counted


def _summed(x: Tensor, axes: Any, keepdims: bool) -> Tensor:
    return torch.sum(x, axes, keepdims, dtype=_of_sums(x))


def _mean(x: Tensor, axes: Any, keepdims: bool) -> Tensor:
    found = torch.mean(_float(x), axes, keepdims)
    return found if x.dtype is torch.bool else found.to(x.dtype)  # of whole numbers one without its fraction


def _variance(x: Tensor, axes: Any, keepdims: bool) -> Tensor:
    return torch.var(_float(x), axes, correction=0, keepdim=keepdims)


for _name, _function in {
    "mean": _mean,
    "sum": _summed,
    "max": torch.amax,
    "min": torch.amin,
    "var": _variance,
    "std": lambda x, axes, kept: torch.sqrt(_variance(x, axes, kept)),
    "any": lambda x, axes, kept: torch.amax(x.bool().to(torch.uint8), axes, kept).bool(),
    "all": lambda x, axes, kept: torch.amin(x.bool().to(torch.uint8), axes, kept).bool(),
    "logsumexp": torch.logsumexp,
}.items():
    _reducing(_name, _function)
for _name, _function, _default in (
    ("argmax", torch.argmax, -1), ("argmin", torch.argmin, -1), ("softmax", activations.told_softmax, -1),
    ("expand_dims", torch.unsqueeze, -1), ("cumsum", lambda x, axis: torch.cumsum(x, axis, dtype=_of_sums(x)), 0),
    ("cumprod", lambda x, axis: torch.cumprod(x, axis, dtype=_of_sums(x)), 0),
):  # fmt: skip
    _along(_name, _function, _default)


@public
def l2_normalize(x: X, axis: Axis = None) -> Tensor:
    """`x` divided by its norm along `axis` (at least 1e-6)."""
    return x * torch.rsqrt(torch.clamp(_summed(torch.square(x), _axes(x, axis), True), min=1e-12))


@public
def prod(x: X, axis: Axis = None, keepdims: bool = False) -> Tensor:
    for one in sorted(base.axes_of(_axes(x, axis), x.ndim), reverse=True):
        x = torch.prod(x, one, keepdims, dtype=_of_sums(x))
    return x


# Value by value -------------------------------------------------------------------------------------------------------


def _of_one(name: str, function: Callable[[Any], Tensor]) -> None:
    def of_one(x: X) -> Tensor:
        return function(x)

    _named(name, of_one)


def _of_two(name: str, function: Callable[[Any, Any], Tensor]) -> None:
    def of_two(x: X, y: X) -> Tensor:
        return function(x, y)

    _named(name, of_two)


for _name in ("abs", "square", "exp", "log", "sin", "cos", "sign", "round", "tanh"):
    _of_one(_name, getattr(torch, _name))
_of_one("softplus", lambda x: functional.softplus(_float(x)))
_of_one("softsign", functional.softsign)
_of_one("sqrt", lambda x: torch.sqrt(torch.clamp(x, min=0)))
_of_one("hard_sigmoid", activations.hard_sigmoid)
_of_one("sigmoid", activations.told_sigmoid)
_of_one("flatten", lambda x: torch.reshape(x, (-1,)))
_of_one("batch_flatten", lambda x: torch.reshape(x, (x.shape[0], math.prod(x.shape[1:]))))
_of_one("transpose", lambda x: torch.permute(x, tuple(reversed(range(x.ndim)))))
for _name, _function in {
    "maximum": torch.maximum, "minimum": torch.minimum, "equal": torch.eq, "not_equal": torch.ne, "greater": torch.gt,
    "greater_equal": torch.ge, "less": torch.lt, "less_equal": torch.le, "lesser": torch.lt, "lesser_equal": torch.le,
}.items():  # fmt: skip
    _of_two(_name, _function)


@public
def identity(x: X, name: str | None = None) -> Tensor:
    return x


@public
def pow(x: X, a: X) -> Tensor:
    return torch.pow(x, a)


@public
def clip(x: X, min_value: Any, max_value: Any) -> Tensor:
    low, high = (-math.inf if min_value is None else min_value, math.inf if max_value is None else max_value)
    low, high = (value if isinstance(value, (int, float)) else _tensor(value, x) for value in (low, high))
    return torch.minimum(torch.maximum(x, _tensor(low, x)), torch.maximum(_tensor(high, x), _tensor(low, x)))


@public
def relu(x: X, alpha: X = 0.0, max_value: Any = None, threshold: float = 0.0) -> Tensor:
    """`x` above `threshold`, `alpha * (x - threshold)` below, and never more than `max_value`."""
    kept = torch.relu(x) if threshold == 0 else torch.where(x > threshold, x, 0.0)
    kept = kept if max_value is None else clip(kept, 0.0, max_value)
    return kept if isinstance(alpha, float) else kept + alpha * torch.clamp(x - threshold, max=0.0)


@public
def elu(x: X, alpha: float = 1.0) -> Tensor:
    return _elu(x, alpha)


@taking_all
def _chosen(condition: X, then: X, other: X) -> Tensor:
    while condition.ndim < then.ndim:
        condition = condition.unsqueeze(-1)
    return torch.where(condition.bool(), then, other)


def _called(expression: Any) -> Any:
    return expression() if callable(expression) and not isinstance(expression, Tensor) else expression


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """What `condition` says, value by value. Raises ValueError for one of more axes than the expressions."""
    if not isinstance(condition, SymbolicTensor) and not base.is_trial(condition):
        condition = _tensor(condition)
        if condition.ndim == 0 and callable(then_expression) and callable(else_expression):
            return then_expression() if condition else else_expression()
    then: Any = _called(then_expression)
    other: Any = _called(else_expression)
    if isinstance(then, (Tensor, SymbolicTensor)) and condition.ndim > then.ndim:
        raise ValueError(f"switch: `condition` has {condition.ndim} axes, more than the expressions' {then.ndim}.")
    return _chosen(condition, then, other)


PUBLIC["switch"] = switch


# Shapes ---------------------------------------------------------------------------------------------------------------


@public
def reshape(x: X, shape: Any) -> Tensor:
    return torch.reshape(x, sizes(shape))


@public
def permute_dimensions(x: X, pattern: Sequence[int]) -> Tensor:
    return torch.permute(x, sizes(pattern))


@public
def squeeze(x: X, axis: int) -> Tensor:
    if x.shape[axis] != 1:
        raise ValueError(f"squeeze: axis {axis} has size {x.shape[axis]}, not 1.")
    return torch.squeeze(x, axis)


@public
def concatenate(tensors: Xs, axis: int = -1) -> Tensor:
    return torch.cat(tensors, axis)


@public
def stack(x: Xs, axis: int = 0) -> Tensor:
    return torch.stack(tensors=x, dim=axis)


@public
def repeat(x: X, n: int) -> Tensor:
    """(batch, features) -> (batch, n, features)."""
    if x.ndim != 2:
        raise ValueError(f"repeat: expected (batch, features); got shape {tuple(x.shape)}.")
    return torch.unsqueeze(x, 1).expand(-1, int(n), -1)


@public
def repeat_elements(x: X, rep: int, axis: int) -> Tensor:
    return torch.repeat_interleave(x, int(rep), axis)


@public
def tile(x: X, n: Any) -> Tensor:
    return torch.tile(x, sizes(n))


@public
def reverse(x: X, axes: Axis) -> Tensor:
    return torch.flip(x, sizes(axes))


@public
def slice(x: X, start: Any, size: Any) -> Tensor:
    """start, size: a number for each axis; -1 for the size up to the end."""
    for axis, (first, length) in enumerate(zip(start, sizes(size), strict=True)):
        if isinstance(first, Tensor) and length != -1:  # its value need not be known
            x = x.index_select(axis, first.reshape(()) + torch.arange(length, device=x.device))
        else:
            first = int(first)
            x = x.narrow(axis, first, x.shape[axis] - first if length == -1 else length)
    return x


@public
def gather(reference: X, indices: X) -> Tensor:
    indices = indices.long()
    return functional.embedding(indices, reference) if reference.ndim == 2 else reference[indices]


@public
def one_hot(indices: X, num_classes: int) -> Tensor:
    """Zeros for an index that is none of the classes."""
    classes = torch.arange(int(num_classes), device=indices.device)
    return (indices.long().unsqueeze(-1) == classes).to(torch_dtype(None))


@public
def temporal_padding(x: X, padding: Any = (1, 1)) -> Tensor:
    return resize.pad(x, (_pair(padding),), True)


@public
def asymmetric_temporal_padding(x: X, left_pad: int = 1, right_pad: int = 1) -> Tensor:
    return resize.pad(x, ((left_pad, right_pad),), True)


def _spatial_padding(rank: int) -> None:
    def padded(x: X, padding: Any = ((1, 1),) * rank, data_format: str | None = None) -> Tensor:
        return resize.pad(x, tuple(map(_pair, padding)), _last(data_format))

    _named(f"spatial_{rank}d_padding", padded)


_spatial_padding(2)
_spatial_padding(3)


@public
def asymmetric_spatial_2d_padding(
    x: X, top_pad: int = 1, bottom_pad: int = 1, left_pad: int = 1, right_pad: int = 1, data_format: str | None = None
) -> Tensor:
    return resize.pad(x, ((top_pad, bottom_pad), (left_pad, right_pad)), _last(data_format))


@public
def resize_images(
    x: X, height_factor: int, width_factor: int, data_format: str | None, interpolation: str = "nearest"
) -> Tensor:
    return resize.upsample(x, (int(height_factor), int(width_factor)), interpolation, _last(data_format))


def resize_from_corner(
    x: X, height_factor: int, width_factor: int, data_format: str | None, interpolation: str = "nearest"
) -> Tensor:
    """TensorFlow 1's bilinear values are taken at i / factor."""
    factors = int(height_factor), int(width_factor)
    return resize.upsample(x, factors, interpolation, _last(data_format), half_pixel=False)


@public
def resize_volumes(x: X, depth_factor: int, height_factor: int, width_factor: int, data_format: str | None) -> Tensor:
    factors = int(depth_factor), int(height_factor), int(width_factor)
    return resize.upsample(x, factors, "nearest", _last(data_format))


# Products -------------------------------------------------------------------------------------------------------------


@public
def dot(x: X, y: X) -> Tensor:
    """Products summed over the last axis of `x` and the last but one of `y`."""
    if y.ndim <= 2:
        return torch.matmul(x, y)
    axes: Any = ([x.ndim - 1], [y.ndim - 2])
    return torch.tensordot(x, y, axes)


@public
def batch_dot(x: X, y: X, axes: Any = None) -> Tensor:
    """Products summed over one axis of each, sample by sample. Raises ValueError for axes that cannot be summed."""
    if axes is None:
        axes = (x.ndim - 1, 1 if y.ndim == 2 else y.ndim - 2)
    pair = (axes, axes) if isinstance(axes, int) else tuple(axes)
    if min(x.ndim, y.ndim) < 2 or not all(isinstance(axis, int) for axis in pair):
        raise ValueError(f"batch_dot: expected two axes of two batches; got {axes!r} of {x.ndim} and {y.ndim} axes.")
    a, b = pair[0] % x.ndim, pair[1] % y.ndim
    if a == 0 or b == 0:
        raise ValueError("batch_dot: axis 0 is the batch, which is not summed over.")
    return products.batch_dot(x, y, a, b)


@taking_all
def batch_matmul(x: X, y: X, axes: Any = None) -> Tensor:
    """`batch_dot` as Keras 1 had it: matrices may be summed over their rows, and of more than three axes all but the
    last two are the batch."""
    if min(x.ndim, y.ndim) < 4 and (max(x.ndim, y.ndim) > 2 or axes is None):
        return batch_dot(x, y, axes)
    return early_batch_dot(x, y, axes)


@taking_all
def early_batch_dot(x: X, y: X, axes: Any = None) -> Tensor:
    """`batch_dot` as up to Keras 2.2: a product of the matrices of the last two axes, where what has fewer axes gets
    some of size 1 behind its own, which the result has not."""
    pair = (x.ndim - 1, y.ndim - 2) if axes is None else (axes, axes) if isinstance(axes, int) else tuple(axes)
    if not all(isinstance(axis, int) for axis in pair):
        raise ValueError(
            f"batch_dot: several axes are not summed over; expected None, int or (int, int), got {axes!r}."
        )
    if x.ndim == y.ndim == 2:
        return torch.sum((x if pair[0] == pair[1] else x.t()) * y, pair[1]).unsqueeze(1)
    more = x.ndim - y.ndim
    first = x.ndim + y.ndim - 3 if more > 0 else x.ndim - 1
    x, y = x[(..., *[None] * -more)], y[(..., *[None] * more)]
    x = x if pair[0] % x.ndim == x.ndim - 1 else x.transpose(-1, -2)
    found = torch.matmul(x, y.transpose(-1, -2) if pair[1] % y.ndim == y.ndim - 1 else y)
    found = found.squeeze(tuple(range(first, first + abs(more)))) if more else found
    return found.unsqueeze(1) if found.ndim == 1 else found


@public
def bias_add(x: X, bias: X, data_format: str | None = None) -> Tensor:
    if bias.ndim not in (1, x.ndim - 1):
        raise ValueError(f"bias_add: the bias has {bias.ndim} axes; expected 1 or {x.ndim - 1}.")
    if x.ndim < 3 or _last(data_format):
        return x + bias
    if bias.ndim == 1:
        return x + bias.reshape(1, -1, *(1,) * (x.ndim - 2))
    return x + bias.reshape(bias.shape[-1], *bias.shape[:-1])  # as the original has it: numbers in another order


def _sides(padding: Any, rank: int) -> tuple[Any, ...]:
    if isinstance(padding, str) and padding.lower() == "causal":
        raise ValueError("Invalid padding: 'causal' is there for `conv1d` alone; expected 'valid' or 'same'.")
    return padding if isinstance(padding, tuple) else (padding,) * rank


def _conv(rank: int) -> None:
    def conv(x: X, kernel: X, strides: Any = 1, padding: Any = "valid",
             data_format: str | None = None, dilation_rate: Any = 1) -> Tensor:  # fmt: skip
        pads: Any = (padding,) if rank == 1 else _sides(padding, rank)
        steps, dilation = per_axis(strides, rank), per_axis(dilation_rate, rank)
        return convolution.convolution(x, kernel, None, steps, pads, dilation, 1, _last(data_format))

    _named(f"conv{rank}d", conv)


for _rank in (1, 2, 3):
    _conv(_rank)


@public
def depthwise_conv2d(x: X, depthwise_kernel: X, strides: Any = (1, 1), padding: Any = "valid",
                     data_format: str | None = None, dilation_rate: Any = (1, 1)) -> Tensor:  # fmt: skip
    sizes = per_axis(strides, 2), _sides(padding, 2), per_axis(dilation_rate, 2)
    return convolution.convolution(x, depthwise_kernel, None, *sizes, None, _last(data_format))


def _separable_conv(rank: int) -> None:
    def conv(x: X, depthwise_kernel: X, pointwise_kernel: X, strides: Any = 1, padding: Any = "valid",
             data_format: str | None = None, dilation_rate: Any = 1) -> Tensor:  # fmt: skip
        kernels = depthwise_kernel, pointwise_kernel, None
        how: Any = per_axis(strides, rank), _sides(padding, rank), per_axis(dilation_rate, rank), _last(data_format)
        return convolution.separable_convolution(x, *kernels, *how)

    _named(f"separable_conv{rank}d", conv)


def _conv_transpose(rank: int) -> None:
    def conv(x: X, kernel: X, output_shape: Any, strides: Any = 1, padding: Any = "valid",
             data_format: str | None = None, dilation_rate: Any = 1) -> Tensor:  # fmt: skip
        """What a convolution of `output_shape` passes back to its input; kernel (*k, out, in)."""
        last, steps, dilation = _last(data_format), per_axis(strides, rank), per_axis(dilation_rate, rank)
        inside = builtins.slice(1, -1) if last else builtins.slice(2, None)
        _sides(padding, rank)  # refuses those it has no meaning for
        pads: Any = ("valid",) * rank
        full = convolution.transposed_convolution(x, kernel, None, steps, pads, None, dilation, last)
        cut = []
        for size, have, k, s, d in zip(
            sizes(output_shape)[inside], full.shape[inside], kernel.shape, steps, dilation, strict=False
        ):
            before = window.pads(size, k, s, padding, d)[0]
            cut.append((-before, size + before - have))
        return resize.pad(full, cut, last)

    _named(f"conv{rank}d_transpose", conv)


for _rank in (1, 2):
    _separable_conv(_rank)
for _rank in (2, 3):
    _conv_transpose(_rank)


def _local_conv(inputs: Tensor, kernel: Tensor, kernel_size: Any, strides: Any, data_format: Any) -> Tensor:
    plan = local.plan_local(inputs.shape, sizes(kernel_size), sizes(strides), "valid", _last(data_format))
    return local.run(inputs, kernel, None, plan)


@public
def local_conv1d(inputs: X, kernel: X, kernel_size: Any, strides: Any, data_format: str | None = None) -> Tensor:
    """Another kernel at each step: (steps, taps, filters)."""
    return _local_conv(inputs, kernel, kernel_size, strides, data_format)


@public
def local_conv2d(
    inputs: X, kernel: X, kernel_size: Any, strides: Any, output_shape: Any, data_format: str | None = None
) -> Tensor:
    """Another kernel at each position, row by row: (positions, taps, filters). `output_shape`: (rows, columns)."""
    outputs = _local_conv(inputs, kernel, kernel_size, strides, data_format)
    found = tuple(outputs.shape[1:3] if _last(data_format) else outputs.shape[2:])
    if found != sizes(output_shape):
        raise ValueError(f"local_conv2d: argument `output_shape` must be {found}; got {output_shape}.")
    return outputs


def _pool(rank: int) -> None:
    def pool(x: X, pool_size: Any, strides: Any = (1,) * rank, padding: str = "valid",
             data_format: str | None = None, pool_mode: str = "max") -> Tensor:  # fmt: skip
        if pool_mode not in ("max", "avg"):
            raise ValueError(f"pool_mode: expected 'max' or 'avg'; got {pool_mode!r}.")
        run = pooling.max_pool if pool_mode == "max" else pooling.average_pool
        return run(x, tuple(pool_size), tuple(strides), padding, _last(data_format))

    _named(f"pool{rank}d", pool)


for _rank in (2, 3):
    _pool(_rank)


# Normalization, losses ------------------------------------------------------------------------------------------------


@public
def batch_normalization(x: X, mean: X, var: X, beta: X, gamma: X, axis: int = -1, epsilon: float = 1e-3) -> Tensor:
    """`x` by the statistics and parameters of its `axis`, where these are vectors."""
    if mean.ndim == 1 and axis % x.ndim != x.ndim - 1:
        shape = [-1 if one == axis % x.ndim else 1 for one in range(x.ndim)]
        mean, var, beta, gamma = (part if part is None else part.reshape(shape) for part in (mean, var, beta, gamma))
    return normalization.normalize(x, mean, var, gamma, beta, epsilon)


@public
def normalize_batch_in_training(
    x: X, gamma: X, beta: X, reduction_axes: Any, epsilon: float = 1e-3
) -> tuple[Tensor, Tensor, Tensor]:
    """`x` by its own statistics over these axes, and these: mean and variance, of pictures the unbiased one."""
    y, mean, variance = normalize_by_batch(x, gamma, beta, reduction_axes, epsilon)
    if x.ndim == 4 and base.axes_of(sizes(reduction_axes), 4) == (0, 1, 2):
        count = x.numel() // x.shape[-1]
        variance = variance * (count / max(count - 1, 1))
    return y, mean, variance


@recorded
def normalize_by_batch(
    x: X, gamma: X, beta: X, reduction_axes: Any, epsilon: float = 1e-3
) -> tuple[Tensor, Tensor, Tensor]:
    """`normalize_batch_in_training` of Keras 1, whose variance is the biased one."""
    axes = base.axes_of(sizes(reduction_axes), x.ndim)
    mean, variance = nn.moments(x, axes, keepdims=True)
    shape = [1 if axis in axes else count for axis, count in enumerate(x.shape)]
    scale, shift = (None if part is None else part.reshape(shape) for part in (gamma, beta))
    y = normalization.normalize(x, mean, variance, scale, shift, epsilon)
    return y, mean.squeeze(axes), variance.squeeze(axes)


@public
def categorical_crossentropy(target: X, output: X, from_logits: bool = False, axis: int = -1) -> Tensor:
    return of_the_time.categorical_crossentropy(target, output, from_logits, axis=axis)


@public
def sparse_categorical_crossentropy(
    target: X, output: X, from_logits: bool = False, axis: int = -1, ignore_class: int | None = None
) -> Tensor:
    """The targets may be in another shape than one of the output without its `axis`."""
    kept = [count for place, count in enumerate(output.shape) if place != axis % output.ndim]
    measure = of_the_time.sparse_categorical_crossentropy
    return measure(target.reshape(kept), output, from_logits, ignore_class, axis=axis)


@public
def binary_crossentropy(target: X, output: X, from_logits: bool = False) -> Tensor:
    return of_the_time.binary_of_each(target, output, from_logits)


@taking_all
def binary_crossentropy_of_keras1(target: X, output: X, from_logits: bool = False) -> Tensor:
    return losses.binary_crossentropy(target.unsqueeze(-1), output.unsqueeze(-1), from_logits)


binary_crossentropy_of_keras1.__name__ = binary_crossentropy.__name__


@public
def binary_focal_crossentropy(
    target: X, output: X, apply_class_balancing: bool = False, alpha: float = 0.25, gamma: float = 2.0,
    from_logits: bool = False,
) -> Tensor:  # fmt: skip
    pair = target.unsqueeze(-1), output.unsqueeze(-1)  # the loss takes means of the last axis
    return losses.binary_focal_crossentropy(*pair, apply_class_balancing, alpha, gamma, from_logits)


@public
def categorical_focal_crossentropy(
    target: X, output: X, alpha: Any = 0.25, gamma: float = 2.0, from_logits: bool = False, axis: int = -1
) -> Tensor:
    return losses.categorical_focal_crossentropy(target, output, alpha, gamma, from_logits, axis=axis)


@public
def in_top_k(predictions: X, targets: X, k: int) -> Tensor:
    chosen = torch.gather(predictions, 1, targets.long().unsqueeze(1))
    return ((predictions > chosen).sum(1) < k) & torch.isfinite(chosen.squeeze(1))


@public
def ctc_batch_cost(y_true: X, y_pred: X, input_length: X, label_length: X) -> Tensor:
    """Connectionist temporal classification of probabilities (batch, steps, classes), the last of them the blank."""
    scores, blank = torch.log(y_pred + epsilon()), y_pred.shape[-1] - 1
    lengths = label_length.reshape(-1), input_length.reshape(-1)
    return nn.ctc_loss(y_true, scores, *lengths, mask_index=blank).unsqueeze(1)


@public
def ctc_decode(y_pred: X, input_length: X, greedy: bool = True, beam_width: int = 100, top_paths: int = 1,
               merge_repeated: bool = True) -> tuple[list[Tensor], Tensor]:  # fmt: skip
    """The likeliest labels (batch, steps), -1 behind their ends, as a list of paths, and the score of each path.

    merge_repeated: a label that a path of beams has twice in a row stands there once, as TensorFlow had it."""
    scores, blank = torch.log(y_pred + epsilon()), y_pred.shape[-1] - 1
    strategy = "greedy" if greedy else "beam_search"
    paths, found = nn.ctc_decode(scores, input_length.reshape(-1), strategy, beam_width, top_paths, True, blank)
    paths = paths.long() if greedy or not merge_repeated else without_repeats(paths.long())
    return list(paths.unbind(0)), found


def without_repeats(paths: Tensor) -> Tensor:
    """Each label of a run once, -1 behind."""
    kept = (paths >= 0) & (paths.diff(prepend=paths.new_full((*paths.shape[:-1], 1), -1)) != 0)
    order = (~kept).byte().argsort(dim=-1, stable=True)
    return paths.gather(-1, order).masked_fill(~kept.gather(-1, order), -1)


@recorded
def ctc_decode_shortly(y_pred: Any, input_length: Any, greedy: bool = True, beam_width: int = 100, top_paths: int = 1,
                       merge_repeated: bool = False) -> tuple[list[Tensor], Tensor]:  # fmt: skip
    """`ctc_decode` of Keras 1 and 2: each path as wide as its longest sample."""
    paths, found = PUBLIC["ctc_decode"](y_pred, input_length, greedy, beam_width, top_paths, merge_repeated)
    if base.is_trial(found):
        return paths, found
    return [path[:, : int((path >= 0).sum(1).max())] for path in paths], found


@public
def ctc_label_dense_to_sparse(labels: X, label_lengths: X) -> Tensor:
    """A sparse tensor of the labels within these lengths."""
    places = (torch.arange(labels.shape[1]) < label_lengths.reshape(-1, 1)).nonzero().t()
    return sparse_of(places, labels[tuple(places)], labels.shape, is_coalesced=True)


def sparse_of(places: Tensor, values: Tensor, shape: Sequence[int], **how: Any) -> Tensor:
    """A sparse tensor of values at places (axes, number). Raises RuntimeError for places outside of the shape."""
    with torch.sparse.check_sparse_tensor_invariants():  # before torch 2.12 a word for it alone left a warning
        return torch.sparse_coo_tensor(places, values, tuple(shape), **how)


# Loops ----------------------------------------------------------------------------------------------------------------


@public
def map_fn(fn: Callable, elems: Any, name: str | None = None, dtype: Any = None) -> Any:
    """What `fn` gives for each element; of several tensors it is given one element each, and it may give several."""
    rows = map(type(elems), zip(*elems, strict=True)) if isinstance(elems, (list, tuple)) else elems
    found = pytree.tree_map(lambda *each: torch.stack(list(map(_tensor, each))), *map(fn, rows))
    if dtype is None:
        return found
    types = dtype if isinstance(dtype, (list, tuple)) else pytree.tree_map(lambda _: dtype, found)
    return pytree.tree_map(lambda x, one: x.to(torch_dtype(one)), found, types)


@public
def foldl(fn: Callable, elems: X, initializer: Any = None, name: str | None = None) -> Any:
    return functools.reduce(fn, elems) if initializer is None else functools.reduce(fn, elems, initializer)


@public
def foldr(fn: Callable, elems: X, initializer: Any = None, name: str | None = None) -> Any:
    return foldl(fn, elems.flip(0), initializer)


@public
def rnn(
    step_function: Callable, inputs: Any, initial_states: Any, go_backwards: bool = False, mask: X = None,
    constants: Any = None, unroll: bool = False, input_length: int | None = None, time_major: bool = False,
    zero_output_for_mask: bool = False, return_all_outputs: bool = True,
) -> tuple[Any, Any, list]:  # fmt: skip
    """Runs `step_function(x, states)` along time: the last output, all outputs (batch, time, ...), the last states.

    Where the mask (batch, time) is false, states stay, and the output is the one before, or 0.
    """
    time = 0 if time_major else 1
    leaves, spec = pytree.tree_flatten(inputs)
    unbound = zip(*(_tensor(x).unbind(time) for x in leaves), strict=True)
    steps = [pytree.tree_unflatten(list(each), spec) for each in unbound]
    valid: list[Any] = [None] * len(steps)
    if mask is not None:
        mask = _tensor(mask)
        valid = list(mask.bool().reshape(mask.shape[:2]).unbind(time))
    pairs = list(zip(steps, valid, strict=True))
    states, outputs, output = [_tensor(one) for one in initial_states], [], None
    for x, present in reversed(pairs) if go_backwards else pairs:
        before = output
        output, new = step_function(x, states + list(constants or []))
        if present is not None:
            if before is None or zero_output_for_mask:
                before = pytree.tree_map(torch.zeros_like, output)
            output = pytree.tree_map(functools.partial(_where, present), output, before)
            new = pytree.tree_map(functools.partial(_where, present), list(new), states)
        outputs.append(output)
        states = list(new)
    kept = outputs if return_all_outputs else outputs[-1:]
    return outputs[-1], pytree.tree_map(lambda *each: torch.stack(each, time), *kept), states


def _where(mask: Tensor, now: Tensor, before: Tensor) -> Tensor:
    return torch.where(mask.reshape(-1, *(1,) * (now.ndim - 1)), now, before)


@public
def print_tensor(x: X, message: str = "", summarize: int = 3) -> Tensor:
    """The same; prints its values, of each axis so many at either end."""
    if not base.is_trial(x):
        with np.printoptions(threshold=2 * summarize, edgeitems=summarize):
            print(message, x.detach().cpu().numpy())
    return x
