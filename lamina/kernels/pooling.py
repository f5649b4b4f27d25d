"""Pooling of any rank. x is (N, *S, C) or (N, C, *S); what lies channels-last in memory comes back so."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from . import eager, resize, window
from .convolution import ROW_PAYS, TO_FIRST, TO_LAST, alike

Sizes = Sequence[int]
Padding = str | resize.Pairs
Ops = Mapping[int, Callable[..., Any]]

_nn: Any = torch._C.__dict__["_nn"]  # torch.nn.functional without its Python frames

# By rank. What is missing is composed of 2-D calls: torch's 3-D averages know neither channels-last nor half precision.
_MAX: Ops = {1: torch.max_pool1d, 2: torch.max_pool2d, 3: torch.max_pool3d}
_AVERAGE: Ops = {1: torch.avg_pool1d, 2: _nn.avg_pool2d}


def _channels_first(op: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`op`, which on a GPU gets a copy: torch's gradients of means without the padding are wrong for channels last."""

    def run(x: Tensor, *args: Any) -> Tensor:
        return op(x.contiguous() if x.is_cuda and x.requires_grad else x, *args)

    return run


_AVERAGE_OF_PADDED: Ops = {rank: _channels_first(op) for rank, op in _AVERAGE.items()}
_ADAPTIVE_MAX: Ops = {2: _nn.adaptive_max_pool2d}
_ADAPTIVE_AVERAGE: Ops = {2: _nn.adaptive_avg_pool2d}


class Plan(NamedTuple):
    """How to pool inputs of one shape, whatever their number.

    For each step the shape to read x in, the call and its arguments; then the shape and the part of the result to keep.
    """

    steps: tuple[tuple[Sizes | None, Sizes | None, Callable[..., Any], tuple, Sizes | None], ...]
    shape: Sizes | None
    keep: tuple[tuple[int, int, int], ...]
    shifted: tuple[tuple[int, int, int], ...] = ()  # (axis, size, stride) where shifted views can do it
    share: float | None = None  # of each value in a mean; None for the largest


def run(x: Tensor, plan: Plan, relu: bool = False) -> Tensor:
    """Pool as planned; ``relu``: the positive part of largest elements."""
    # Maxima or sums of shifted views beat torch's kernels, by 1 to 3 times for channels last and 3 to 20 times for
    # channels first. Gradients would have to go through all the views.
    if plan.shifted and not x.requires_grad and eager.many(x) and _may_shift(x, plan):
        x = _by_shifted_views(x, plan)
        return torch.relu_(x) if relu else x
    for shape, first, op, args, last in plan.steps:
        if shape is not None:
            x = x.reshape(shape)
        x = op(x, *args) if first is None else op(x.permute(*first), *args)
        if type(x) is tuple:  # adaptive maxima come with their indices
            x = x[0]
        if relu:
            torch.relu_(x)  # before any view of it: autograd copies where a view changes in place
        if last is not None:
            x = x.permute(*last)
    if plan.shape is not None:
        x = x.reshape(plan.shape)
    for axis, start, length in plan.keep:
        x = x.narrow(axis, start, length)
    return x


def _may_shift(x: Tensor, plan: Plan) -> bool:
    exact = plan.share is None or x.dtype in (torch.float32, torch.float64)  # torch sums half precision in float32
    return exact and eager.on_cpu(x)


def _by_shifted_views(x: Tensor, plan: Plan) -> Tensor:
    combine = torch.maximum if plan.share is None else torch.add
    for axis, size, stride in plan.shifted:
        x = _combined(combine, x, axis, size, stride)
    return x if plan.share is None else x.mul_(plan.share)


def _combined(combine: Callable[..., Tensor], x: Tensor, axis: int, size: int, stride: int) -> Tensor:
    """The maximum or the sum of each ``size`` neighbours along an axis."""
    span = x.shape[axis] - size + 1
    shifted = [x.narrow(axis, start, span) for start in range(size)]
    if stride > 1:
        every = (slice(None),) * axis + (slice(None, None, stride),)
        shifted = [view[every] for view in shifted]
    y = combine(shifted[0], shifted[1])
    for view in shifted[2:]:
        combine(y, view, out=y)
    return y


def plan_max(shape: Sizes, size: Sizes, strides: Sizes, padding: str, channels_last: bool) -> Plan:
    """The largest element of each window; padding never wins."""
    if pads := _unknown_pads(shape, size, strides, padding, channels_last):
        return Plan(((None, None, max_pool, (size, strides, pads, channels_last), None),), None, ())
    plan = _plan_windows(_MAX, shape, size, strides, padding, (1, padding == "same"), channels_last)
    return plan._replace(shifted=_shifted(shape, size, strides, padding, channels_last))


def plan_average(shape: Sizes, size: Sizes, strides: Sizes, padding: str, channels_last: bool) -> Plan:
    """The mean of the real elements of each window, as TensorFlow: padding does not count."""
    if pads := _unknown_pads(shape, size, strides, padding, channels_last):
        return Plan(((None, None, average_pool, (size, strides, pads, channels_last), None),), None, ())
    ops = _AVERAGE_OF_PADDED if padding == "same" else _AVERAGE
    plan = _plan_windows(ops, shape, size, strides, padding, (padding == "same", False), channels_last)
    shifted = _shifted(shape, size, strides, padding, channels_last)
    return plan._replace(shifted=shifted, share=1 / math.prod(size))


def _unknown_pads(
    shape: Sizes, size: Sizes, strides: Sizes, padding: str, channels_last: bool
) -> tuple[tuple[int, int], ...] | None:
    """The pads where torch.export must work them out anew for every input; torch's pooling takes numbers alone."""
    axes = zip(shape[1:-1] if channels_last else shape[2:], size, strides, strict=True)
    pads = tuple(window.pads(*axis, padding) for axis in axes)
    return None if all(map(window.known, pads)) else pads


def _shifted(
    shape: Sizes, size: Sizes, strides: Sizes, padding: str, channels_last: bool
) -> tuple[tuple[int, int, int], ...]:
    """The axes to combine shifted views along, unless a window needs padding or leaves values out on its way, or
    samples are so small that there are hardly ever enough of them."""
    if torch.compiler.is_compiling() or math.prod(shape[1:]) < eager.MANY >> 6:  # symbolic sizes are not to be compared
        return ()
    axes = list(zip(shape[1:-1] if channels_last else shape[2:], size, strides, strict=True))
    if any(window.pads(*axis, padding) != (0, 0) or axis[1] == 1 < axis[2] for axis in axes):
        return ()
    places = enumerate(zip(size, strides, strict=True), 1 if channels_last else 2)
    return tuple((axis, n, stride) for axis, (n, stride) in places if n > 1)


def plan_adaptive_max(shape: Sizes, output_size: Sizes, channels_last: bool) -> Plan:
    """The largest element of each of ``output_size`` nearly equal parts of the axes."""
    return _plan(_ADAPTIVE_MAX, shape, output_size, (output_size,), (None,), (), channels_last)


def plan_adaptive_average(shape: Sizes, output_size: Sizes, channels_last: bool) -> Plan:
    """The mean of each of ``output_size`` nearly equal parts of the axes."""
    return _plan(_ADAPTIVE_AVERAGE, shape, output_size, (output_size,), (None,), (), channels_last)


def _plan_windows(
    ops: Ops, shape: Sizes, size: Sizes, strides: Sizes, padding: str, extra: tuple, channels_last: bool
) -> Plan:
    # torch pads both sides alike. With a stride, its ceil mode supplies the odd element at the end; without, one window
    # too many begins before the axis and is dropped.
    sizes = shape[1:-1] if channels_last else shape[2:]
    axes = list(zip(sizes, size, strides, strict=True))
    pads = [window.pads(*axis, padding) for axis in axes]
    pad = tuple(after if s == 1 else before for (before, after), s in zip(pads, strides, strict=True))
    out = tuple(window.output_size(*axis, padding) for axis in axes)
    first = 1 if channels_last else 2
    keep = tuple((i, p - b, n) for i, ((b, _), p, n) in enumerate(zip(pads, pad, out, strict=True), first) if p != b)
    grown = tuple(n + (p - b) for (b, _), p, n in zip(pads, pad, out, strict=True))
    plan = _plan(ops, shape, grown, (size, strides, pad), (1, 1, 0), extra, channels_last)
    return plan._replace(keep=keep)


def _plan(
    ops: Ops, shape: Sizes, out: Sizes, windows: tuple[Sizes, ...], neutral: tuple, extra: tuple, channels_last: bool
) -> Plan:
    """The pooling of ``ops`` that takes as many axes as ``windows`` have, or its composition of 2-D ones.

    ``out``: the sizes that come out. ``neutral``: the entries of ``windows`` for an axis that is to stay as it is, None
    for its size.
    """
    rank = len(shape) - 2
    channels = shape[-1] if channels_last else shape[1]

    def step(sizes: Sizes | None, axes: tuple) -> tuple:
        places = len(axes[0])
        first, last = (TO_FIRST[places], TO_LAST[places]) if channels_last else (None, None)
        seen = None if sizes is None else (-1, *sizes, channels) if channels_last else (-1, channels, *sizes)
        return seen, first, ops[places], (*map(alike, axes), *extra), last

    whole = (-1, *out, channels) if channels_last else (-1, channels, *out)
    if rank in ops and (rank > 1 or (window.known(shape[1:]) and math.prod(shape[1:]) < ROW_PAYS)):
        return Plan((step(None, windows),), None, ())
    sizes = tuple(shape[1:-1] if channels_last else shape[2:])
    if rank == 1:
        row = tuple((1 if keep is None else keep, *axes) for keep, axes in zip(neutral, windows, strict=True))
        return Plan((step((1, *sizes), row),), whole, ())
    # The last two axes as pictures, the first among what does not matter; then the first, with the others as one.
    planes = tuple(tuple(axes[1:]) for axes in windows)
    others = out[1] * out[2]
    columns = tuple((axes[0], others if keep is None else keep) for keep, axes in zip(neutral, windows, strict=True))
    if channels_last:
        first = step(sizes[1:], planes)
    else:
        first = ((-1, channels * sizes[0], *sizes[1:]), *step(sizes[1:], planes)[1:])
    return Plan((first, step((sizes[0], others), columns)), whole, ())


def max_pool(x: Tensor, size: Sizes, strides: Sizes, padding: Padding, channels_last: bool) -> Tensor:
    """Largest element of each window. ``padding``: "valid", "same" or a pair for each axis."""
    if isinstance(padding, str):
        return run(x, plan_max(x.shape, size, strides, padding, channels_last))
    lowest = float("-inf") if x.dtype.is_floating_point else torch.iinfo(x.dtype).min
    return max_pool(resize.pad(x, padding, channels_last, lowest), size, strides, "valid", channels_last)


def average_pool(x: Tensor, size: Sizes, strides: Sizes, padding: Padding, channels_last: bool) -> Tensor:
    """Mean of the real elements of each window. ``padding``: "valid", "same" or a pair for each axis."""
    if isinstance(padding, str):
        return run(x, plan_average(x.shape, size, strides, padding, channels_last))
    y = average_pool(resize.pad(x, padding, channels_last), size, strides, "valid", channels_last)
    real = torch.ones_like(x[:1, ..., :1] if channels_last else x[:1, :1])
    return y / average_pool(resize.pad(real, padding, channels_last), size, strides, "valid", channels_last)


def adaptive_max(x: Tensor, output_size: Sizes, channels_last: bool) -> Tensor:
    """`plan_adaptive_max` and `run` in one."""
    return run(x, plan_adaptive_max(x.shape, output_size, channels_last))


def adaptive_average(x: Tensor, output_size: Sizes, channels_last: bool) -> Tensor:
    """`plan_adaptive_average` and `run` in one."""
    return run(x, plan_adaptive_average(x.shape, output_size, channels_last))


def global_max(x: Tensor, channels_last: bool, keepdims: bool = False) -> Tensor:
    """Largest element of each channel; equal ones share the gradient."""
    return x.amax(_spatial(x, channels_last), keepdims)


def global_average(x: Tensor, channels_last: bool, keepdims: bool = False, mask: Tensor | None = None) -> Tensor:
    """Mean of each channel; with ``mask`` (N, steps) of a sequence, of the steps where it is true."""
    axes = _spatial(x, channels_last)
    if mask is None:
        return x.mean(axes, keepdims)
    mask = mask.to(x.dtype).unsqueeze(-1 if channels_last else 1)
    return (x * mask).sum(axes, keepdims) / mask.sum(axes, keepdims)


def _spatial(x: Tensor, channels_last: bool) -> tuple[int, ...]:
    return tuple(range(1, x.ndim - 1) if channels_last else range(2, x.ndim))
