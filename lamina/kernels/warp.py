"""Pictures drawn anew from other places of themselves. x is (N, C, H, W), in any memory order."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

_ORDERS = {"bilinear": 0, "nearest": 1}
# What lies outside: one value, the last values, the picture mirrored at its edge; for "wrap", the picture again.
_PADDINGS = {"constant": 0, "nearest": 1, "wrap": 1, "reflect": 2}


def project(
    x: Tensor,
    matrix: Tensor,
    interpolation: str,
    fill_mode: str,
    fill_value: float = 0.0,
    settle: Callable[[Tensor, Tensor, str, str], Tensor] | None = None,
) -> Tensor:
    """Place (column, row) shows what was at `matrix @ (column, row, 1)`, divided by the third component.

    `matrix` is (N, 3, 3), or (N, 2, 3) where the third component is 1. `interpolation`: bilinear, nearest;
    `fill_mode`: constant, nearest, wrap, reflect. `settle` moves places into the picture by rules of its own.
    """
    if settle:
        places = _plane(matrix, x)
        places = places[..., :2] / places[..., 2:] if matrix.shape[1] == 3 else places
        places = settle(places, _size(x, places), interpolation, fill_mode)
        return displace(x, places, interpolation, fill_mode, fill_value)
    last = matrix[:, 2:] if matrix.shape[1] == 3 else torch.eye(3, dtype=matrix.dtype, device=x.device)[2:]
    grid = _plane(_on_grid(matrix[:, :2], _size(x, matrix).unsqueeze(-1), last), x)
    if matrix.shape[1] == 3:
        grid = grid / _plane(last, x)
    return _sample(x, grid, interpolation, fill_mode, fill_value)


def displace(x: Tensor, places: Tensor, interpolation: str, fill_mode: str, fill_value: float = 0.0) -> Tensor:
    """The values of `x` at places (N, H, W, 2), each a column and a row."""
    return _sample(x, _on_grid(places, _size(x, places), 1.0), interpolation, fill_mode, fill_value)


def settled_as_tensorflow(places: Tensor, size: Tensor, interpolation: str, fill_mode: str) -> Tensor:
    """Places (..., 2) in pictures of `size` (2,) as in TensorFlow: in a picture first, then halves away from zero.

    Its "wrap" shows the nearer end between the last and the first values, and goes by steps of the size less one.
    Source: ImageProjectiveTransformV3.
    """
    last = size - 1
    if fill_mode == "wrap":
        steps = (places.abs() / last).trunc() + (places < 0)
        outside = (places < 0) | (places > last)
        places = torch.where(outside, places - places.sign() * size * steps, places)
    elif fill_mode == "reflect":
        places = torch.remainder(places + 0.5, 2 * size)
        places = torch.minimum(places, 2 * size - places) - 0.5
    if fill_mode != "constant":
        places = places.nan_to_num(0.0).clamp(torch.zeros_like(last), last)
    return (places + torch.copysign(places.new_tensor(0.5), places)).trunc() if interpolation == "nearest" else places


def _size(x: Tensor, like: Tensor) -> Tensor:
    return torch.stack([torch.full((), size, dtype=like.dtype, device=x.device) for size in (x.shape[3], x.shape[2])])


def _on_grid(places: Tensor, size: Tensor, one: Tensor | float) -> Tensor:
    """torch counts from -1 to 1 between the outer edges of a picture, not from 0 to size - 1 between its pixels."""
    return (2 * places + one) / size - one


def _plane(matrix: Tensor, x: Tensor) -> Tensor:
    """`matrix @ (column, row, 1)` for all places: (N, H, W, the rows of the matrix)."""
    columns = torch.arange(x.shape[3], dtype=matrix.dtype, device=x.device)
    rows = torch.arange(x.shape[2], dtype=matrix.dtype, device=x.device)
    across, down, shift = matrix.unsqueeze(-1).unbind(2)
    return (across * columns).movedim(1, -1).unsqueeze(1) + (down * rows + shift).movedim(1, -1).unsqueeze(2)


def _sample(x: Tensor, grid: Tensor, interpolation: str, fill_mode: str, fill_value: float) -> Tensor:
    exact = x.to(grid.dtype)
    offset = fill_value if fill_mode == "constant" else 0.0
    if offset:
        exact = exact - offset
    if fill_mode == "wrap":
        size = _size(x, grid)
        grid = _on_grid(torch.remainder(((grid + 1) * size - 1) / 2, size), size + 1, 1.0)
        exact = functional.pad(exact, (0, 1, 0, 1), mode="circular")
    y = torch.grid_sampler(exact, grid, _ORDERS[interpolation], _PADDINGS[fill_mode], False)
    return (y + offset if offset else y).to(x.dtype)
