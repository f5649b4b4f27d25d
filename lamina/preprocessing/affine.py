"""Pictures drawn anew from other places of themselves, as arrays: what scipy's `affine_transform` computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ..core.errors import needing


def matrix_of(theta: float, tx: float, ty: float, shear: float, zx: float, zy: float) -> np.ndarray:
    """The 3 x 3 matrix of a rotation, a shift, a shear and a zoom, in this order; angles in radians."""
    made = np.array([[np.cos(theta), -np.sin(theta), 0], [np.sin(theta), np.cos(theta), 0], [0, 0, 1]])
    for each in (
        [[1, 0, tx], [0, 1, ty], [0, 0, 1]],
        [[1, -np.sin(shear), 0], [0, np.cos(shear), 0], [0, 0, 1]],
        [[zx, 0, 0], [0, zy, 0], [0, 0, 1]],
    ):
        made = made @ np.array(each)
    return made


def about(matrix: np.ndarray, x: float, y: float) -> np.ndarray:
    """The same with the point (x, y) in place of the origin."""
    there = np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])
    back = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1]])
    return there @ matrix @ back


def warp(x: np.ndarray, matrix: np.ndarray, channel_axis: int, fill_mode: str, cval: float, order: int) -> np.ndarray:
    """A picture of rank 3 whose point p shows what was at `matrix @ p`, for each of its channels.

    order: 0, the nearest pixel; 1, linear in both directions; 2 to 5, splines, which scipy computes. fill_mode: what
    lies outside: "constant" (`cval`), "nearest", "reflect" (the picture mirrored), "wrap". Raises ValueError for
    others, ImportError where splines need scipy.
    """
    if fill_mode not in _OUTSIDE:
        raise ValueError(f"`fill_mode` must be one of {', '.join(_OUTSIDE)}; got {fill_mode!r}.")
    if order not in range(6):
        raise ValueError(f"The order of an interpolation is an integer from 0 to 5; got {order!r}.")
    planes = np.moveaxis(x, channel_axis, 0)
    if order > 1:
        made = np.stack([_spline(plane, matrix, fill_mode, cval, order) for plane in planes])
    else:
        made = _rounded(_drawn(planes, matrix, fill_mode, cval, order), x.dtype)
    return np.moveaxis(made, 0, channel_axis)


def _spline(plane: np.ndarray, matrix: np.ndarray, fill_mode: str, cval: float, order: int) -> np.ndarray:
    with needing(f"Interpolation of order {order} is done by scipy: pip install scipy."):
        from scipy import ndimage
    offset: Any = matrix[:2, 2]
    return ndimage.affine_transform(plane, matrix[:2, :2], offset, order=order, mode=fill_mode, cval=cval)


def _drawn(planes: np.ndarray, matrix: np.ndarray, fill_mode: str, cval: float, order: int) -> np.ndarray:
    channels, height, width = planes.shape
    rows, columns = np.arange(height)[:, None], np.arange(width)
    places, outside = [], np.False_
    for (by_row, by_column, start), size in zip(matrix[:2], (height, width), strict=True):
        place = start + by_row * rows + by_column * columns
        outside = outside | (place < 0) | (place > size - 1)
        places.append(_OUTSIDE[fill_mode](place, size))
    if order == 0:
        row, column = (
            np.floor(place + 0.5).clip(0, size - 1).astype(np.intp)
            for place, size in zip(places, (height, width), strict=True)
        )
        made = planes.reshape(channels, -1).take(row * width + column, 1)
    else:  # torch counts from -1, a picture's first pixel, to 1, its last one, and the column comes first
        sizes = np.array([max(width - 1, 1), max(height - 1, 1)])
        grid = torch.from_numpy(2 * np.stack(places[::-1], -1) / sizes - 1)
        values = torch.from_numpy(planes.astype("float64"))
        made = torch.grid_sampler(values[None], grid[None], 0, 1, True)[0].numpy()  # linear; the edge goes on
    if fill_mode == "constant":
        made[:, outside] = cval
    return made


def _rounded(values: np.ndarray, dtype: Any) -> np.ndarray:
    if np.dtype(dtype).kind in "iu":
        info = np.iinfo(dtype)
        values = (np.sign(values) * np.floor(np.abs(values) + 0.5)).clip(info.min, info.max)
    return values.astype(dtype)


def _reflected(place: np.ndarray, size: int) -> np.ndarray:
    place = np.mod(place + 0.5, 2 * size)
    return np.minimum(place, 2 * size - place) - 0.5


def _wrapped(place: np.ndarray, size: int) -> np.ndarray:
    """The first and the last pixel fall together, as in scipy."""
    if size == 1:
        return np.zeros_like(place)
    period = size - 1
    before = place + period * (np.floor(-place / period) + 1)
    behind = place - period * np.floor(place / period)
    return np.where(place < 0, before, np.where(place > period, behind, place))


# Where places outside of 0 to size - 1 take their values from.
_OUTSIDE: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "constant": lambda place, size: place.clip(0, size - 1),
    "nearest": lambda place, size: place.clip(0, size - 1),
    "reflect": _reflected,
    "wrap": _wrapped,
}
