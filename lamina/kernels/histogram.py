"""Histograms of pictures, tile by tile."""

from __future__ import annotations

import torch
from torch import Tensor

_VALUES = 256


def locally_equalized(x: Tensor, grid: tuple[int, int], limit: float) -> Tensor:
    """Pictures (N, C, H, W) of values 0 .. 255 with each value at its place among those of the tiles around it.

    grid: how many tiles there are down and across. limit: how many times the mean a value's share of a tile may be, 0
    or less for any; what is above is shared out among all values (Zuiderveld, 1994).
    """
    pictures, (height, width) = x.shape[0] * x.shape[1], x.shape[2:]
    kinds = x.contiguous().clamp(0, _VALUES - 1).long().reshape(pictures, height, width)
    tall, wide = -(-height // grid[0]), -(-width // grid[1])
    tables = _tables(_counts(kinds, grid, tall, wide), tall * wide, limit).flatten()
    rows, below, down = _neighbours(height, tall, grid[0], x.device)
    columns, beside, across = _neighbours(width, wide, grid[1], x.device)
    base = kinds + (torch.arange(pictures, device=x.device) * (grid[0] * grid[1] * _VALUES))[:, None, None]

    def at(row: Tensor, column: Tensor) -> Tensor:
        places = base + (row[:, None] * grid[1] + column) * _VALUES
        return tables.index_select(0, places.flatten()).reshape(places.shape)

    def between(row: Tensor) -> Tensor:
        return at(row, columns).mul_(1 - across).add_(at(row, beside).mul_(across))

    down = down[:, None]
    return between(rows).mul_(1 - down).add_(between(below).mul_(down)).reshape(x.shape)


def _counts(kinds: Tensor, grid: tuple[int, int], tall: int, wide: int) -> Tensor:
    """How often each value is in each tile, (N, rows * columns, 256); pictures end in their own mirror image."""
    rows, columns = (
        _mirrored(count * size, kinds.shape[axis], kinds.device)
        for axis, count, size in zip((1, 2), grid, (tall, wide), strict=True)
    )
    whole = kinds if len(rows) == kinds.shape[1] and len(columns) == kinds.shape[2] else kinds[:, rows][:, :, columns]
    down, across = (
        torch.arange(count, device=kinds.device).repeat_interleave(size)
        for count, size in zip(grid, (tall, wide), strict=True)
    )
    tiles = grid[0] * grid[1]
    picture = torch.arange(kinds.shape[0], device=kinds.device)[:, None, None] * tiles
    places = (picture + down[:, None] * grid[1] + across) * _VALUES + whole
    counts = torch.zeros(kinds.shape[0] * tiles * _VALUES, dtype=torch.float32, device=kinds.device)
    counts.scatter_add_(0, places.flatten(), counts.new_ones(()).expand(places.numel()))
    return counts.reshape(kinds.shape[0], tiles, _VALUES)


def _mirrored(length: int, size: int, device: torch.device) -> Tensor:
    at = torch.arange(length, device=device) % (2 * size)
    return torch.minimum(at, 2 * size - 1 - at)


def _tables(counts: Tensor, size: int, limit: float) -> Tensor:
    """What each value becomes in each tile."""
    if limit > 0:
        clipped = counts.clamp(max=limit * size / _VALUES)
        counts = clipped + (counts - clipped).sum(-1, keepdim=True) / _VALUES
    below = counts.cumsum(-1)
    least = below[..., :1]
    rest = size - least
    return ((below - least) * (_VALUES - 1.0) / torch.where(rest == 0, 1, rest)).clamp(0, _VALUES - 1.0)


def _neighbours(length: int, size: int, count: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The tiles before and behind each place, and how far the place is on the way between their middles."""
    place = (torch.arange(length, dtype=torch.float32, device=device) - size / 2) / size + 1
    before = place.floor()
    first = before.long()
    return (first - 1).clamp(0, count - 1), first.clamp(0, count - 1), place - before
