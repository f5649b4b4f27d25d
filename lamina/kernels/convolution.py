"""Convolutions of any rank. Kernels have Keras' shape, in any memory order; x is (N, *S, C) or (N, C, *S).

A plan holds all that a convolution needs beside its tensors and is made once for a shape of the input; `run` follows
it. A channels-last input reaches torch as a permuted view, and so does the result. One spatial axis runs as a picture
of one row where that is faster: channels-last kernels exist for pictures only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.compiler import is_dynamo_compiling

from . import linear, window

Sizes = Sequence[int]
Padding = str | Sequence[int | tuple[int, int]]
Affine = tuple[Tensor, Tensor] | None  # a scale and a shift

# By the rank torch computes in: a Keras kernel (*k, in, out) in torch's order, and the data to channels first and back.
_KERNEL = {1: (2, 1, 0), 2: (3, 2, 0, 1), 3: (4, 3, 0, 1, 2)}
TO_FIRST = {1: (0, 2, 1), 2: (0, 3, 1, 2), 3: (0, 4, 1, 2, 3)}
TO_LAST = {1: (0, 2, 1), 2: (0, 2, 3, 1), 3: (0, 2, 3, 4, 1)}
_FORWARD = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}
_TRANSPOSED = {1: torch.conv_transpose1d, 2: torch.conv_transpose2d, 3: torch.conv_transpose3d}

# Channels below which oneDNN (as of torch 2.13, on CPUs with AVX-512) writes beyond its memory in the gradient of a
# channels-last kernel of one element with strides.
_SAFE_CHANNELS = 16

# Values in a sample from which one row in channels-last memory beats 1-D kernels, whose calls are fewer.
ROW_PAYS = 256

# The largest pad with which oneDNN's backward of a convolution is as fast as without: from 32 on, 1.3 times slower.
_FAST_PAD = 28

# oneDNN puts the kernel into an order of its own in every call, which takes longest where positions are few: there one
# product of the kernel as it lies is faster. At most so many positions, for kernels of one element and for larger ones;
_FEW = 1000, 64
# at least so many multiplications by kernels of one element, or numbers in larger ones.
_MUCH = 1 << 22, 1 << 19
# torch takes no oneDNN for one sample of at most so many numbers, by kernels of at most so many elements along an axis.
_SMALL, _SHORT = 20480, 3
_WORK = 6 << 20, 6 << 17  # multiplications from which oneDNN is faster all the same, where MKL is slow; with dilation
_WIDE = 64  # numbers that one result is made of, below which nobody looks


def _quickest(
    x: Tensor, kernel: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, groups: int
) -> Tensor:
    """`torch.conv2d` of channels-last data, without gradients in the way that is fastest where MKL is slow."""
    if torch.is_grad_enabled() or is_dynamo_compiling() or not linear.is_plain(x, kernel):
        return torch.conv2d(x, kernel, bias, stride, padding, dilation, groups)
    steps, pads, gaps, sizes = _pair(stride), _pair(padding), _pair(dilation), kernel.shape[2:]
    rows, columns = (
        (n + 2 * pad - gap * (k - 1) - 1) // step + 1
        for n, k, step, pad, gap in zip(x.shape[2:], sizes, steps, pads, gaps, strict=True)
    )
    positions, larger = len(x) * rows * columns, max(sizes) > 1
    work = kernel.numel() * positions
    straight = max(gaps) == 1 and (max(steps) == 1 or not (larger or any(pads)))
    much = (kernel.numel() if larger else work) >= _MUCH[larger]
    if 0 < positions <= _FEW[larger] and straight and much and kernel.is_contiguous(memory_format=torch.channels_last):
        windows = x[:, :, :: steps[0], :: steps[1]].permute(0, 2, 3, 1)
        if larger:
            windows = torch.constant_pad_nd(windows, (0, 0, pads[1], pads[1], pads[0], pads[0]))
            windows = windows.unfold(1, sizes[0], 1).unfold(2, sizes[1], 1).permute(0, 1, 2, 4, 5, 3)
        y = linear.multiply(windows.reshape(positions, -1), kernel.permute(0, 2, 3, 1).flatten(1).t(), bias)
        return y.view(-1, rows, columns, len(kernel)).permute(0, 3, 1, 2)
    if larger and len(x) == 1 and x.numel() <= _SMALL and work >= _WORK[max(gaps) > 1]:
        return torch.mkldnn_convolution(x, kernel, bias, pads, steps, gaps, groups)
    return torch.conv2d(x, kernel, bias, stride, padding, dilation, groups)


def _picked(x: Tensor, kernel: Tensor, bias: Tensor | None, stride: Any, padding: Any, *_: Any) -> Tensor:
    """`torch.conv2d` with a kernel of one element and strides: of the elements that it meets alone."""
    high, wide = _pair(padding)
    if high or wide:
        x = torch.constant_pad_nd(x, (wide, wide, high, high))
    down, along = _pair(stride)
    return torch.conv2d(x[:, :, ::down, ::along], kernel, bias)


def _of_one_channel(x: Tensor, kernel: Tensor, *args: Any) -> Tensor:
    """`torch.conv2d` of one channel, which does not look like channels last: for results of one column, with strides
    along rows alone, oneDNN (as of torch 2.13) then reads beyond its memory."""
    return torch.conv2d(x.squeeze(1).unsqueeze(1), kernel.squeeze(1).unsqueeze(1), *args)


def _spread(
    x: Tensor, kernel: Tensor, bias: Tensor | None, stride: Any, padding: Any, append: Any = 0, *_: Any
) -> Tensor:
    """`torch.conv_transpose2d` with a kernel of one element and strides: what comes of each element, and zeros."""
    y = torch.conv2d(x, kernel.transpose(0, 1))
    (down, along), (high, wide), more = _pair(stride), _pair(padding), _pair(append)
    size = [(n - 1) * step + 1 + extra for n, step, extra in zip(y.shape[2:], (down, along), more, strict=True)]
    full = y.new_zeros((*y.shape[:2], *size))
    full[:, :, ::down, ::along] = y
    full = full[:, :, high : size[0] - high, wide : size[1] - wide]
    return full if bias is None else full + bias.view(-1, 1, 1)


def _then_bias(x: Tensor, kernel: Tensor, bias: Tensor | None, *args: Any) -> Tensor:
    """`torch.conv_transpose1d`, `2d` or `3d`, and the bias in a pass of its own."""
    rank = x.ndim - 2
    y = _TRANSPOSED[rank](x, kernel, None, *args)
    return y if bias is None else y.add_(bias.view(-1, *[1] * rank))


def _pair(axes: Any) -> Sizes:
    return axes if isinstance(axes, tuple) else (axes, axes)


class Plan(NamedTuple):
    """How to call torch for inputs of one shape, whatever their number."""

    op: Callable[..., Tensor]
    args: tuple  # of `op` after input, kernel and bias
    kernel: Sizes  # the kernel's axes in torch's order
    first: Sizes | None  # the input's axes with channels first; None where they are
    last: Sizes | None  # and those of the result back
    apart: bool  # each channel has a kernel of its own: (*k, in, multiplier)
    row: int | None  # where one sequence becomes a picture of one row
    copy: list[int] | None  # zeros to put round a copy of the input, as torch.constant_pad_nd takes them
    keep: tuple[tuple, ...]  # (axis, start, length) of what to keep of the result
    met: tuple[slice, ...] | None = None  # what to take of the kernel, where the rest meets padding alone


def run(
    x: Tensor, kernel: Tensor, bias: Tensor | None, plan: Plan, relu: bool = False, affine: Affine = None
) -> Tensor:
    """The convolution of ``x`` with ``kernel`` as planned, plus ``bias`` (out,); ``relu``: its positive part.

    ``affine``: a scale and a shift (out,) for the result, before the positive part is taken.
    """
    if affine is not None:
        return _run_scaled(x, kernel, bias, plan, relu, *affine)
    op, args, order, first, last, apart, row, copy, keep, met = plan
    if met is not None or copy is not None:
        x, kernel = x if copy is None else torch.constant_pad_nd(x, copy), kernel if met is None else kernel[met]
    if apart:
        kernel = kernel.flatten(-2).unsqueeze(-2)
    if row is not None:
        x, kernel = x.unsqueeze(row), kernel.unsqueeze(0)
    # Spread: torch reads separate numbers faster than a tuple.
    kernel = kernel.permute(*order) if kernel.shape[-1] > 1 else _of_one(kernel)
    y = op(x if first is None else x.permute(*first), kernel, bias, *args)
    if relu:
        torch.relu_(y)  # before any view of it: autograd copies where a view changes in place
    if last is not None:
        y = y.permute(*last)
    if row is not None:
        y = y.squeeze(row)
    for axis, start, length in keep:
        y = y.narrow(axis, start, length)
    return y


def _of_one(kernel: Tensor) -> Tensor:
    """A kernel for one filter in torch's order: its axis of one element has the stride that fits the others, without
    which torch's own backward (as of 2.13) refuses it."""
    return kernel.squeeze(-1).unsqueeze(0).permute(*TO_FIRST[kernel.ndim - 2])


def _run_scaled(
    x: Tensor, kernel: Tensor, bias: Tensor | None, plan: Plan, relu: bool, scale: Tensor, shift: Tensor
) -> Tensor:
    if kernel.numel() <= x.numel():  # the smaller of kernel and result, more or less, is scaled
        if plan.apart:
            kernel, plan = kernel.flatten(-2).unsqueeze(-2), plan._replace(apart=False)
        transposed = plan.op in (*_TRANSPOSED.values(), _spread, _then_bias)
        scaled = kernel * (scale.unsqueeze(1) if transposed else scale)
        return run(x, scaled, shift if bias is None else torch.addcmul(shift, bias, scale), plan, relu)
    y = run(x, kernel, bias, plan)
    if plan.last is None:
        scale, shift = (each.view(-1, *[1] * (y.ndim - 2)) for each in (scale, shift))
    y = torch.addcmul(shift, y, scale)
    return torch.relu_(y) if relu else y


def plan_convolution(
    shape: Sizes,
    kernel_size: Sizes,
    strides: Sizes,
    padding: Padding,
    dilation: Sizes,
    groups: int | None,
    channels_last: bool,
) -> Plan:
    """A cross-correlation with a kernel (*kernel_size, in // groups, out) for inputs of ``shape``.

    ``groups`` None: each channel by itself, with a kernel (*kernel_size, in, multiplier); channel ``i`` gives outputs
    ``i * multiplier ...``.
    ``padding``: a name `window.pads` knows, or for each axis an integer or for each a pair (before, after).
    """
    sizes = shape[1:-1] if channels_last else shape[2:]
    rank = len(kernel_size)
    axes = list(zip(sizes, kernel_size, strides, window.per_axis(padding, rank), dilation, strict=True))
    pads = [window.pads(*axis) for axis in axes]
    safe = [True]
    if window.known(sizes) and all(map(window.known, pads)):
        windows = [window.output_size(*axis) for axis in axes]
        part, smaller, left, safe = _part(windows, sizes, kernel_size, strides, pads, dilation)
        if part is not None:
            return plan_convolution(shape, smaller, strides, left, dilation, groups, channels_last)._replace(met=part)
        # A window that fills the axis makes no steps: oneDNN takes its strides amiss in bfloat16 (as of torch 2.13).
        filled = [
            n + sum(pair) == window.extent(k, gap)
            for n, pair, k, gap in zip(sizes, pads, kernel_size, dilation, strict=True)
        ]
        strides = tuple(1 if full else step for full, step in zip(filled, strides, strict=True))
    before = tuple(pair[0] for pair in pads)
    copy, keep = None, ()
    if not all(safe) or not all(map(window.known, pads)) or any(first != last for first, last in pads):
        # Padding both sides and dropping the end saves a copy of x; it pays while few outputs are computed in vain, and
        # while oneDNN has its fast backward for such a pad. For the shifted windows of "same" it does not: the backward
        # of a slice costs more than the copy.
        known = window.known(sizes)
        if padding == "causal" and rank == 1 and known and before[0] <= min(_FAST_PAD, sizes[0] // 4):
            keep = ((1 if channels_last else 2, 0, window.output_size(*axes[0])),)
        else:
            flat = [n for pair in reversed(pads) for n in pair]
            copy, before = [0, 0, *flat] if channels_last else flat, (0,) * rank
    plan = _plan(_FORWARD, shape, (strides, before, dilation), (), groups, channels_last, copy, keep)
    if plan.op is not torch.conv2d:
        return plan
    channels = shape[-1 if channels_last else 1] or 0
    if groups == 1 and channels < _SAFE_CHANNELS and max(kernel_size) == 1 < max(strides):
        return plan._replace(op=_picked)
    if linear.MKL_IS_SLOW and groups == 1 and channels_last and window.known(shape[1:]):
        positions = math.prod([window.output_size(*axis) for axis in axes])
        small = math.prod(shape[1:]) <= _SMALL and min(kernel_size) <= _SHORT
        few = small or positions <= _FEW[max(kernel_size) > 1]
        if few and channels * math.prod(kernel_size) >= _WIDE:
            return plan._replace(op=_quickest)
    column = channels == 1 and strides[0] == 1 < strides[-1] and window.output_size(*axes[-1]) == 1
    return plan._replace(op=_of_one_channel) if column else plan


def plan_transposed(
    shape: Sizes,
    kernel_size: Sizes,
    strides: Sizes,
    padding: Padding,
    output_padding: Sizes | None,
    dilation: Sizes,
    channels_last: bool,
) -> Plan:
    """The gradient of a convolution with a kernel (*kernel_size, out, in) with respect to its input.

    Sizes as `window.transposed_size`. Where the pads are odd the result is a slice of one element more.
    """
    sizes = shape[1:-1] if channels_last else shape[2:]
    rank = len(kernel_size)
    extra = output_padding or (None,) * rank
    axes = list(zip(kernel_size, strides, window.per_axis(padding, rank), extra, dilation, strict=True))
    drops = [window.transposed_pads(*axis) for axis in axes]
    part, safe = None, [True] * rank
    if window.known(sizes) and any(max(drop) > 0 for drop in drops):
        results = [
            (size - 1) * step + window.extent(k, gap) - sum(drop)
            for size, k, step, drop, gap in zip(sizes, kernel_size, strides, drops, dilation, strict=True)
        ]
        part, kernel_size, drops, safe = _part(sizes, results, kernel_size, strides, drops, dilation)
    # torch drops the same on both sides or appends; what is left to drop on one side is sliced off.
    pad = tuple(max(min(drop), 0) if fine else 0 for drop, fine in zip(drops, safe, strict=True))
    append = tuple(max(-after, 0) for _, after in drops)
    keep = tuple(
        (axis, before - p, window.transposed_size(size, *arguments))
        for axis, (size, arguments, (before, after), p) in enumerate(
            zip(sizes, axes, drops, pad, strict=True), start=1 if channels_last else 2
        )
        if (before - p, max(after - p, 0)) != (0, 0)
    )
    plan = _plan(_TRANSPOSED, shape, (strides, pad, dilation), append, 1, channels_last, None, keep)._replace(met=part)
    if plan.op is torch.conv_transpose2d and max(kernel_size) == 1 < max(strides):
        return plan._replace(op=_spread)
    # oneDNN adds a bias value by value, in up to three times the convolution's own time (in bfloat16 ten times), unless
    # the size it computes is a multiple of the strides.
    sizes = (reach * (k - 1) + 1 - 2 * p for k, p, reach in zip(kernel_size, pad, dilation, strict=True))
    uneven = any((n + more) % step for n, more, step in zip(sizes, append, strides, strict=True))
    return plan._replace(op=_then_bias) if uneven else plan


def _part(
    windows: Sizes, sizes: Sizes, kernel_size: Sizes, strides: Sizes, pads: Sequence[window.Pair], dilation: Sizes
) -> tuple[tuple[slice, ...] | None, Sizes, list[window.Pair], list[bool]]:
    """The part of a kernel from the first to the last element that meets a value in one of the windows (None: all of
    it), its sizes, the pads that it takes, and for each axis whether oneDNN may be left alone with these.

    oneDNN multiplies by the others all the same, and does not write their gradients in bfloat16 (as of torch 2.13), nor
    in three dimensions those of a kernel that is larger than what it slides over.
    """
    parts, left, safe = [], [], []
    for count, size, k, step, (first, last), gap in zip(
        windows, sizes, kernel_size, strides, pads, dilation, strict=True
    ):
        met = window.met(count, size, first, k, step, gap)
        start, stop = (met[0], met[-1] + 1) if met else (0, k)
        if min(first - start * gap, last - (k - stop) * gap) < 0:
            start, stop = 0, k
        parts.append(slice(start, stop))
        left.append((first - start * gap, last - (k - stop) * gap))
        larger = len(sizes) == 3 and window.extent(stop - start, gap) > size
        safe.append(len(met) == stop - start and not larger)
    smaller = tuple(part.stop - part.start for part in parts)
    return None if smaller == tuple(kernel_size) else tuple(parts), smaller, left, safe


def _plan(
    ops: dict[int, Callable[..., Tensor]],
    shape: Sizes,
    windows: tuple[Sizes, Sizes, Sizes],
    append: Sizes,
    groups: int | None,
    channels_last: bool,
    copy: list[int] | None,
    keep: tuple[tuple, ...],
) -> Plan:
    rank = len(shape) - 2
    row = None
    axes: list[Sizes] = list(windows)
    if rank == 1 and not (window.known(shape[1:]) and math.prod(shape[1:]) < ROW_PAYS):
        row, rank = 1 if channels_last else 2, 2
        axes = [(neutral, *given) for neutral, given in zip((1, 0, 1), windows, strict=True)]
        append = append and (0, *append)
    strides, pad, dilation = map(alike, axes)
    apart, groups = groups is None, groups or shape[-1 if channels_last else 1]
    args = (strides, pad, alike(append), groups, dilation) if append else (strides, pad, dilation, groups)
    first, last = (TO_FIRST[rank], TO_LAST[rank]) if channels_last else (None, None)
    return Plan(ops[rank], args, _KERNEL[rank], first, last, apart, row, copy, keep)


def alike(axes: Sizes) -> Sizes | int:
    """One number where all axes have the same: torch reads it faster than a tuple."""
    return axes[0] if len(set(axes)) == 1 else axes


def convolution(
    x: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    strides: Sizes,
    padding: Padding,
    dilation: Sizes,
    groups: int | None,
    channels_last: bool,
) -> Tensor:
    """`plan_convolution` and `run` in one."""
    plan = plan_convolution(x.shape, kernel.shape[:-2], strides, padding, dilation, groups, channels_last)
    return run(x, kernel, bias, plan)


def transposed_convolution(
    x: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    strides: Sizes,
    padding: Padding,
    output_padding: Sizes | None,
    dilation: Sizes,
    channels_last: bool,
) -> Tensor:
    """`plan_transposed` and `run` in one."""
    plan = plan_transposed(x.shape, kernel.shape[:-2], strides, padding, output_padding, dilation, channels_last)
    return run(x, kernel, bias, plan)


def separable_convolution(
    x: Tensor,
    depthwise_kernel: Tensor,
    pointwise_kernel: Tensor,
    bias: Tensor | None,
    strides: Sizes,
    padding: Padding,
    dilation: Sizes,
    channels_last: bool,
) -> Tensor:
    """A depthwise convolution, then ``pointwise_kernel`` (*1, in * multiplier, out) at every position."""
    x = convolution(x, depthwise_kernel, None, strides, padding, dilation, None, channels_last)
    ones = (1,) * len(strides)
    return convolution(x, pointwise_kernel, bias, ones, "valid", ones, 1, channels_last)
