"""Growing and shrinking of spatial axes: up-sampling, zero padding, cropping. x is (N, *S, C) or (N, C, *S)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Pairs = Sequence[tuple[int, int]]

_nn: Any = torch._C.__dict__["_nn"]  # torch.nn.functional without its Python frames


def pad(x: Tensor, pads: Pairs, channels_last: bool, value: float = 0.0) -> Tensor:
    """Put ``pads[i] = (before, after)`` elements of ``value`` round spatial axis ``i``."""
    flat = [element for pair in reversed(pads) for element in pair]
    return functional.pad(x, [0, 0, *flat] if channels_last else flat, value=value)


def crop(x: Tensor, crops: Pairs, channels_last: bool) -> Tensor:
    """A view of ``x`` without the outer ``crops[i] = (before, after)`` elements of spatial axis ``i``."""
    for axis, (before, after) in enumerate(crops, start=1 if channels_last else 2):
        if before or after:
            x = x.narrow(axis, before, x.shape[axis] - before - after)
    return x


def upsample(
    x: Tensor, size: tuple[int, ...], interpolation: str, channels_last: bool, half_pixel: bool = True
) -> Tensor:
    """Enlarge spatial axis ``i`` ``size[i]`` times.

    ``interpolation``: ``"nearest"`` repeats, for rank 1 to 3; so does ``"area"``, whose cells are whole at an integer
    scale. Rank 2 also takes ``"bilinear"``, ``"bicubic"`` (Keys, a = -1/2), ``"lanczos3"`` and ``"lanczos5"``, with
    the weights of taps outside the picture spread over the others, as in TensorFlow. ``half_pixel=False`` puts output
    ``i`` at ``i / size`` instead of ``(i + 1/2) / size - 1/2``, as Keras 2 did before tf.keras.
    """
    first = 1 if channels_last else 2
    if interpolation in ("nearest", "area"):
        if x.dtype.is_floating_point:
            return _interpolate(x, size, "nearest", channels_last)
        for axis, factor in enumerate(size, start=first):
            x = x.repeat_interleave(factor, axis)
        return x
    if interpolation == "bilinear":
        return _interpolate(x, size, "bilinear", channels_last) if half_pixel else _from_corners(x, size, channels_last)
    if interpolation not in _TAPS:
        raise ValueError(
            f"Unknown interpolation {interpolation!r} of up-sampling. Expected one of {['nearest', 'area', *_TAPS]}."
        )
    for axis, factor in enumerate(size, start=first):
        weights = _shares(x.shape[axis], x.shape[axis] * factor, interpolation, False, x, half_pixel)
        rows = x.reshape(*x.shape[: axis + 1], math.prod(x.shape[axis + 1 :]))
        x = (weights @ rows).reshape(*x.shape[:axis], -1 if x.numel() else x.shape[axis] * factor, *x.shape[axis + 1 :])
    return x


def _interpolate(x: Tensor, size: tuple[int, ...], mode: str, channels_last: bool) -> Tensor:
    if len(size) == 1:
        row = -3 if channels_last else -2
        return _interpolate(x.unsqueeze(row), (1, *size), mode, channels_last).squeeze(row)
    if channels_last:
        x = x.movedim(-1, 1)
    y = functional.interpolate(x, scale_factor=tuple(map(float, size)), mode=mode)
    return y.movedim(1, -1) if channels_last else y


def _from_corners(x: Tensor, size: tuple[int, ...], channels_last: bool) -> Tensor:
    """Bilinear, output ``i`` at ``i / size``: with the last values once more, both pictures have the same corners."""
    if channels_last:
        x = x.movedim(-1, 1)
    rows, columns = x.shape[2] * size[0], x.shape[3] * size[1]
    y = _nn.upsample_bilinear2d(_nn.replication_pad2d(x, (0, 1, 0, 1)), (rows + 1, columns + 1), True)
    y = y.narrow(2, 0, rows).narrow(3, 0, columns)
    return y.movedim(1, -1) if channels_last else y


def _lanczos(radius: int):
    return lambda d: torch.where(d < radius, torch.sinc(d) * torch.sinc(d / radius), 0.0)


def _cubic(d: Tensor) -> Tensor:
    near = (1.5 * d - 2.5) * d * d + 1
    far = ((-0.5 * d + 2.5) * d - 4) * d + 2
    return torch.where(d <= 1, near, torch.where(d < 2, far, 0.0))


# Weight of a tap at a distance from the sampled point.
_TAPS = {
    "bilinear": lambda d: (1 - d).clamp(min=0),
    "bicubic": _cubic,
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
}


def size_of_ratio(size: Sequence[int], target: tuple[int, int], pad: bool) -> tuple[int, int]:
    """Height and width of what `to_ratio` makes of pictures of that size."""
    height, width = size
    rows, columns = int(float(width * target[0]) / target[1]), int(float(height * target[1]) / target[0])
    if pad:  # as much before as after; of an odd number of rows or columns, one fewer
        return height + max(rows - height, 0) // 2 * 2, width + max(columns - width, 0) // 2 * 2
    return max(min(height, rows), 1), max(min(width, columns), 1)


def to_ratio(x: Tensor, target: tuple[int, int], pad: bool, fill_value: float = 0.0) -> Tensor:
    """The middle of (N, C, H, W) that has the aspect ratio of `target`; or, with `pad`, all of it with more around."""
    height, width = x.shape[2:]
    rows, columns = size_of_ratio((height, width), target, pad)
    top, left = abs(height - rows) // 2, abs(width - columns) // 2
    if pad:
        return functional.pad(x, (left, left, top, top), value=fill_value)
    return x[:, :, top : top + rows, left : left + columns]


def resize(x: Tensor, size: Sequence[int], interpolation: str, antialias: bool = False) -> Tensor:
    """Pictures (N, C, H, W) of another size; integers are rounded and kept in range.

    `interpolation`: nearest, bilinear, bicubic (Keys, a = -1/2), lanczos3, lanczos5, area (means over what an output
    covers). `antialias` widens the taps when shrinking.
    """
    size, dtype = list(size), x.dtype
    if interpolation == "nearest":  # torch knows no nearest kernel of other integers
        x = x if dtype.is_floating_point or dtype is torch.uint8 else x.float()
        return _nn._upsample_nearest_exact2d(x, size).to(dtype)
    exact = dtype.itemsize > 2 or not antialias  # torch's antialiased kernel knows no half precision on a CPU
    y = x if dtype.is_floating_point and exact else x.float()
    if interpolation == "bilinear":
        y = (_nn._upsample_bilinear2d_aa if antialias else _nn.upsample_bilinear2d)(y, size, False)
    else:
        rows, columns = (_shares(*sizes, interpolation, antialias, y) for sizes in zip(x.shape[2:], size, strict=True))
        y = rows @ y @ columns.T
    return rounded(y, dtype)


def rounded(y: Tensor, dtype: torch.dtype) -> Tensor:
    """y in another type, for integers rounded in place and kept in range."""
    if not dtype.is_floating_point:
        kind = torch.iinfo(dtype) if dtype is not torch.bool else None
        y = y.round_().clamp_(*((0, 1) if kind is None else (kind.min, kind.max)))
    return y.to(dtype)


def _shares(
    before: int, after: int, interpolation: str, antialias: bool, like: Tensor, half_pixel: bool = True
) -> Tensor:
    """(after, before): what each output takes of each input."""
    exact = torch.promote_types(like.dtype, torch.float32)
    outputs = torch.arange(after, dtype=exact, device=like.device).unsqueeze(1)
    inputs, scale = torch.arange(before, dtype=exact, device=like.device), before / max(after, 1)
    if interpolation == "area":
        ends = torch.minimum((outputs + 1) * scale, inputs + 1)
        weights = (ends - torch.maximum(outputs * scale, inputs)).clamp(min=0)
    else:
        centre = (outputs + 0.5) * scale - 0.5 if half_pixel else outputs * scale
        if interpolation == "bicubic" and not antialias:  # TensorFlow takes the weights from a table of 1024 offsets
            centre = (centre * 1024).round() / 1024
        weights = _TAPS[interpolation]((centre - inputs).abs() / (max(scale, 1.0) if antialias else 1.0))
    return (weights / weights.sum(1, keepdim=True)).to(like.dtype)
