"""Convolutions of any rank. Kernels have Keras' shape, in any memory order; x is (N, *S, C) or (N, C, *S).

A channels-last input reaches torch as a permuted view, and so does the result. One spatial axis runs as a picture of
one row, for which channels-last kernels exist: 1 to 4 times as fast as conv1d, most where the dilation is large.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from . import resize, window

Padding = str | Sequence[int | tuple[int, int]]

# By the rank torch computes in: a Keras kernel (*k, in, out) in torch's order, and the data to channels first and back.
_KERNEL = {2: (3, 2, 0, 1), 3: (4, 3, 0, 1, 2)}
TO_FIRST = {2: (0, 3, 1, 2), 3: (0, 4, 1, 2, 3)}
TO_LAST = {2: (0, 2, 3, 1), 3: (0, 2, 3, 4, 1)}
_FORWARD = {2: torch.conv2d, 3: torch.conv3d}
_TRANSPOSED = {2: torch.conv_transpose2d, 3: torch.conv_transpose3d}


def convolution(
    x: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    strides: tuple[int, ...],
    padding: Padding,
    dilation: tuple[int, ...],
    groups: int,
    channels_last: bool,
) -> Tensor:
    """Cross-correlation of ``x`` with ``kernel`` (*k, in // groups, out), plus ``bias`` (out,).

    ``padding``: a name `window.pads` knows, or for each axis an integer or for each a pair (before, after).
    """
    pad: int | tuple[int, ...] = 0
    keep = None
    if padding != "valid":
        x, pad, keep = _padded(x, kernel, strides, padding, dilation, channels_last)
    if kernel.ndim == 3:
        pad = (0, *pad) if pad else 0
        y = _one_row(_FORWARD[2], x, kernel, channels_last, bias, (1, *strides), pad, (1, *dilation), groups)
    else:
        y = _run(_FORWARD[kernel.ndim - 2], x, kernel, channels_last, bias, strides, pad, dilation, groups)
    return y if keep is None else y.narrow(1 if channels_last else 2, 0, keep)


def transposed_convolution(
    x: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    strides: tuple[int, ...],
    padding: Padding,
    output_padding: tuple[int, ...] | None,
    dilation: tuple[int, ...],
    channels_last: bool,
) -> Tensor:
    """Gradient of the convolution with ``kernel`` (*k, out, in), strides and ``padding`` with respect to its input.

    Sizes as `window.transposed_size`. Where the pads are odd the result is a slice of one element more.
    """
    rank = kernel.ndim - 2
    extra = output_padding or (None,) * rank
    drops = [
        window.transposed_pads(k, s, p, o, d)
        for k, s, p, o, d in zip(
            kernel.shape[:rank], strides, window.per_axis(padding, rank), extra, dilation, strict=True
        )
    ]
    # torch drops the same on both sides or appends; what is left to drop after (or before) is sliced off.
    pad = tuple(max(min(drop), 0) for drop in drops)
    grow = tuple(max(-after, 0) for _, after in drops)
    if rank == 1:
        args = (1, *strides), (0, *pad), (0, *grow), 1, (1, *dilation)
        y = _one_row(_TRANSPOSED[2], x, kernel, channels_last, bias, *args)
    else:
        y = _run(_TRANSPOSED[rank], x, kernel, channels_last, bias, strides, pad, grow, 1, dilation)
    rest = [(before - p, max(after - p, 0)) for (before, after), p in zip(drops, pad, strict=True)]
    return resize.crop(y, rest, channels_last)


def depthwise_convolution(
    x: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    strides: tuple[int, ...],
    padding: Padding,
    dilation: tuple[int, ...],
    channels_last: bool,
) -> Tensor:
    """Each channel with its own ``kernel`` (*k, in, multiplier); channel ``i`` gives outputs ``i * multiplier ...``."""
    groups = kernel.shape[-2]
    return convolution(x, kernel.flatten(-2).unsqueeze(-2), bias, strides, padding, dilation, groups, channels_last)


def separable_convolution(
    x: Tensor,
    depthwise_kernel: Tensor,
    pointwise_kernel: Tensor,
    bias: Tensor | None,
    strides: tuple[int, ...],
    padding: Padding,
    dilation: tuple[int, ...],
    channels_last: bool,
) -> Tensor:
    """A depthwise convolution, then ``pointwise_kernel`` (*1, in * multiplier, out) at every position."""
    x = depthwise_convolution(x, depthwise_kernel, None, strides, padding, dilation, channels_last)
    ones = (1,) * len(strides)
    return convolution(x, pointwise_kernel, bias, ones, "valid", ones, 1, channels_last)


def _run(op: Callable[..., Tensor], x: Tensor, kernel: Tensor, channels_last: bool, *args: object) -> Tensor:
    rank = kernel.ndim - 2
    kernel = kernel.permute(_KERNEL[rank])
    if not channels_last:
        return op(x, kernel, *args)
    return op(x.permute(TO_FIRST[rank]), kernel, *args).permute(TO_LAST[rank])


def _one_row(op: Callable[..., Tensor], x: Tensor, kernel: Tensor, channels_last: bool, *args: object) -> Tensor:
    row = -3 if channels_last else -2
    return _run(op, x.unsqueeze(row), kernel.unsqueeze(0), channels_last, *args).squeeze(row)


def _padded(
    x: Tensor,
    kernel: Tensor,
    strides: tuple[int, ...],
    padding: Padding,
    dilation: tuple[int, ...],
    channels_last: bool,
) -> tuple[Tensor, int | tuple[int, ...], int | None]:
    """``x``, padded where torch cannot do it; the pad torch is to apply; the length to keep of one axis, or None."""
    rank = kernel.ndim - 2
    if isinstance(padding[0], int):
        return x, padding, None
    sizes = x.shape[1:-1] if channels_last else x.shape[2:]
    axes = list(zip(sizes, kernel.shape[:rank], strides, window.per_axis(padding, rank), dilation, strict=True))
    pads = [window.pads(*axis) for axis in axes]
    if all(before == after for before, after in pads):
        return x, tuple(before for before, _ in pads), None
    # Padding both sides and dropping the end saves a copy of x; it pays while few outputs are computed in vain. For
    # the shifted windows of "same" it does not: the backward of a slice costs more than the copy.
    if rank == 1 and pads[0][1] == 0 and pads[0][0] * 4 <= sizes[0]:
        return x, (pads[0][0],), window.output_size(*axes[0])
    return resize.pad(x, pads, channels_last), 0, None
