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
        weights = _weights(x.shape[axis], factor, interpolation, half_pixel, x)
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


def _weights(size: int, factor: int, interpolation: str, half_pixel: bool, like: Tensor) -> Tensor:
    """(size * factor, size): what each output takes of each input."""
    exact = torch.promote_types(like.dtype, torch.float32)
    index = torch.arange(size * factor, dtype=exact, device=like.device)
    centre = (index + 0.5) / factor - 0.5 if half_pixel else index / factor
    if interpolation == "bicubic":  # TensorFlow takes the weights from a table of 1024 offsets.
        centre = (centre * 1024).round() / 1024
    weights = _TAPS[interpolation]((centre[:, None] - index[:size]).abs())
    return (weights / weights.sum(1, keepdim=True)).to(like.dtype)
