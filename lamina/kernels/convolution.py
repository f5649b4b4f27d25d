"""Convolutions of any rank. Kernels have Keras' shape, in any memory order; x is (N, *S, C) or (N, C, *S).

A channels-last input reaches torch as a permuted view, and so does the result. One spatial axis runs as a picture of
one row, for which channels-last kernels exist: 1 to 4 times as fast as conv1d, most where the dilation is large.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from . import resize, window

Padding = str | Sequence[int] | Sequence[tuple[int, int]]

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
    if kernel.ndim == 3:
        row = -3 if channels_last else -2
        one_row = x.unsqueeze(row), kernel.unsqueeze(0), bias, (1, *strides), _one_row(padding), (1, *dilation)
        return convolution(*one_row, groups, channels_last).squeeze(row)
    pad: int | Sequence[int] = 0
    keep = None
    if padding != "valid":
        x, pad, keep = _padded(x, kernel, strides, padding, dilation, channels_last)
    rank = kernel.ndim - 2
    kernel = kernel.permute(_KERNEL[rank])
    if channels_last:
        y = _FORWARD[rank](x.permute(TO_FIRST[rank]), kernel, bias, strides, pad, dilation, groups)
        y = y.permute(TO_LAST[rank])
    else:
        y = _FORWARD[rank](x, kernel, bias, strides, pad, dilation, groups)
    return y if keep is None else y.narrow(-2 if channels_last else -1, 0, keep)


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
    if kernel.ndim == 3:
        row = -3 if channels_last else -2
        one_row = x.unsqueeze(row), kernel.unsqueeze(0), bias, (1, *strides), _one_row(padding)
        extra = output_padding and (0, *output_padding)
        return transposed_convolution(*one_row, extra, (1, *dilation), channels_last).squeeze(row)
    rank = kernel.ndim - 2
    axes = kernel.shape[:rank], strides, window.per_axis(padding, rank), output_padding or (None,) * rank, dilation
    drops = [window.transposed_pads(*axis) for axis in zip(*axes, strict=True)]
    # torch drops the same on both sides or appends; what is left to drop on one side is sliced off.
    pad = tuple(max(min(drop), 0) for drop in drops)
    append = tuple(max(-after, 0) for _, after in drops)
    rest = [(before - p, max(after - p, 0)) for (before, after), p in zip(drops, pad, strict=True)]
    kernel = kernel.permute(_KERNEL[rank])
    x = x.permute(TO_FIRST[rank]) if channels_last else x
    y = _TRANSPOSED[rank](x, kernel, bias, strides, pad, append, 1, dilation)
    return resize.crop(y.permute(TO_LAST[rank]) if channels_last else y, rest, channels_last)


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


def _one_row(padding: Padding) -> Padding:
    """``padding`` with an axis of size 1, window 1 and no pad before the others."""
    if isinstance(padding, str):
        return padding
    none = 0 if isinstance(padding[0], int) else (0, 0)
    return cast("Padding", (none, *padding))


def _padded(
    x: Tensor,
    kernel: Tensor,
    strides: tuple[int, ...],
    padding: Padding,
    dilation: tuple[int, ...],
    channels_last: bool,
) -> tuple[Tensor, int | Sequence[int], int | None]:
    """``x``, padded where torch cannot do it; the pads torch is to apply; length to keep of the last axis, or None."""
    if isinstance(padding[0], int):
        return x, cast("Sequence[int]", padding), None
    rank = kernel.ndim - 2
    sizes = x.shape[1:-1] if channels_last else x.shape[2:]
    axes = list(zip(sizes, kernel.shape[:rank], strides, window.per_axis(padding, rank), dilation, strict=True))
    pads = [window.pads(*axis) for axis in axes]
    before = tuple(pair[0] for pair in pads)
    if all(first == last for first, last in pads):
        return x, before, None
    # Padding both sides and dropping the end saves a copy of x; it pays while few outputs are computed in vain. For
    # the shifted windows of "same" it does not: the backward of a slice costs more than the copy.
    if padding == "causal" and before[-1] * 4 <= sizes[-1]:
        return x, before, window.output_size(*axes[-1])
    return resize.pad(x, pads, channels_last), 0, None
