"""Pooling of any rank. x is (N, *S, C) or (N, C, *S); what lies channels-last in memory comes back so."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from . import resize, window
from .convolution import TO_FIRST, TO_LAST

Sizes = tuple[int, ...]
Padding = str | resize.Pairs
Ops = Mapping[int, Callable[..., Tensor]]

# By rank. What is missing is composed of 2-D calls: torch's 3-D averages know neither channels-last nor half precision.
_MAX: Ops = {2: torch.max_pool2d, 3: torch.max_pool3d}
_AVERAGE: Ops = {2: functional.avg_pool2d}
_ADAPTIVE_MAX: Ops = {2: functional.adaptive_max_pool2d}
_ADAPTIVE_AVERAGE: Ops = {2: functional.adaptive_avg_pool2d}


def max_pool(x: Tensor, size: Sizes, strides: Sizes, padding: Padding, channels_last: bool) -> Tensor:
    """Largest element of each window; padding never wins. ``padding``: "valid", "same" or a pair for each axis."""
    if isinstance(padding, str):
        return _windows(_MAX, x, size, strides, padding, (1, padding == "same"), channels_last)
    lowest = float("-inf") if x.dtype.is_floating_point else torch.iinfo(x.dtype).min
    return max_pool(resize.pad(x, padding, channels_last, lowest), size, strides, "valid", channels_last)


def average_pool(x: Tensor, size: Sizes, strides: Sizes, padding: Padding, channels_last: bool) -> Tensor:
    """Mean of the real elements of each window, as TensorFlow: padding does not count."""
    if isinstance(padding, str):
        return _windows(_AVERAGE, x, size, strides, padding, (padding == "same", False), channels_last)
    y = average_pool(resize.pad(x, padding, channels_last), size, strides, "valid", channels_last)
    real = torch.ones_like(x[:1, ..., :1] if channels_last else x[:1, :1])
    return y / average_pool(resize.pad(real, padding, channels_last), size, strides, "valid", channels_last)


def adaptive_max(x: Tensor, output_size: Sizes, channels_last: bool) -> Tensor:
    """Largest element of each of ``output_size`` nearly equal parts of the axes."""
    return _planar(_ADAPTIVE_MAX, x, (output_size,), (None,), (), channels_last)


def adaptive_average(x: Tensor, output_size: Sizes, channels_last: bool) -> Tensor:
    """Mean of each of ``output_size`` nearly equal parts of the axes."""
    return _planar(_ADAPTIVE_AVERAGE, x, (output_size,), (None,), (), channels_last)


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


def _windows(
    ops: Ops, x: Tensor, size: Sizes, strides: Sizes, padding: str, extra: tuple[object, ...], channels_last: bool
) -> Tensor:
    if padding == "valid":
        return _planar(ops, x, (size, strides, (0,) * len(size)), (1, 1, 0), extra, channels_last)
    # torch pads both sides alike. With a stride, its ceil mode supplies the odd element at the end; without, one window
    # too many begins before the axis and is dropped.
    sizes = x.shape[1:-1] if channels_last else x.shape[2:]
    pads = [window.pads(n, k, s, padding) for n, k, s in zip(sizes, size, strides, strict=True)]
    pad = tuple(after if s == 1 else before for (before, after), s in zip(pads, strides, strict=True))
    y = _planar(ops, x, (size, strides, pad), (1, 1, 0), extra, channels_last)
    return resize.crop(y, [(p - before, 0) for (before, _), p in zip(pads, pad, strict=True)], channels_last)


def _planar(
    ops: Ops, x: Tensor, windows: tuple[Sizes, ...], neutral: tuple, extra: tuple[object, ...], channels_last: bool
) -> Tensor:
    """Run the pooling of ``ops`` that takes as many axes as ``windows`` have, or compose it of 2-D ones.

    ``neutral``: the entries of ``windows`` for an axis that is to stay as it is.
    """
    rank = x.ndim - 2
    if op := ops.get(rank):
        if not channels_last:
            return op(x, *windows, *extra)
        return op(x.permute(TO_FIRST[rank]), *windows, *extra).permute(TO_LAST[rank])
    if rank == 1:
        row = -3 if channels_last else -2
        plane = tuple((keep, *axes) for keep, axes in zip(neutral, windows, strict=True))
        return _planar(ops, x.unsqueeze(row), plane, neutral, extra, channels_last).squeeze(row)
    # Each slice of the first axis as a picture, then that axis with the other two as one.
    lead = 0 if channels_last else 1
    y = _planar(ops, x.flatten(lead, lead + 1), tuple(axes[1:] for axes in windows), neutral, extra, channels_last)
    y = y.unflatten(lead, x.shape[lead : lead + 2])
    rows, columns = y.shape[lead + 2 : lead + 4]
    plane = tuple((axes[0], keep) for keep, axes in zip(neutral, windows, strict=True))
    y = _planar(ops, y.flatten(lead + 2, lead + 3), plane, neutral, extra, channels_last)
    return y.unflatten(lead + 2, (rows, columns))
