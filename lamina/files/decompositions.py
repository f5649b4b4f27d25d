"""Operators of torch in terms of others, for programs that are translated further."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def _in_parts(x: Tensor, counts: Sequence[int], largest: bool) -> Tensor:
    """The mean, or the largest, of each of so many nearly equal parts of the last axes, of whatever sizes."""
    for axis, count in enumerate(counts, start=-len(counts)):
        size, x = x.shape[axis], x.movedim(axis, -1)
        ends = size * torch.arange(count + 1, device=x.device).unsqueeze(1)
        places = torch.arange(size, device=x.device)
        inside = (ends[:-1] // count <= places) & (places < (ends[1:] + (count - 1)) // count)
        if largest:
            x = torch.where(inside, x.unsqueeze(-2), -torch.inf).amax(-1)
        else:
            x = x @ (inside / inside.sum(1, keepdim=True)).to(x.dtype).T
        x = x.movedim(-1, axis)
    return x


def _clamped(x: Tensor, low: Any = None, high: Any = None) -> Tensor:
    x = x if low is None else x.clamp_min(low)
    return x if high is None else x.clamp_max(high)


def _largest(x: Tensor, dim: Sequence[int] = (), keepdim: bool = False) -> Any:
    return NotImplemented if dim else x.amax(tuple(range(x.ndim)), keepdim)


def _searched(keys: Tensor, values: Any, *, right: bool = False, out_int32: bool = False, **others: Any) -> Any:
    """Places in sorted keys, (n,), by halves. Others than torch's defaults stay torch's operator."""
    if keys.ndim != 1 or any(each is not None for each in others.values()):
        return NotImplemented
    found, count, step = torch.zeros_like(values, dtype=torch.int64), len(keys), 1 << len(keys).bit_length()
    while step := step // 2:
        place = found + step
        key = keys[(place - 1).clamp_max(count - 1)]
        found = torch.where((place <= count) & (key <= values if right else key < values), place, found)
    return found.int() if out_int32 else found


# Where torch's own decompositions hold for the sizes of the sample alone, refuse bounds of two types, or are missing.
TABLE: dict[Any, Any] = {
    getattr(torch.ops.aten, f"adaptive_{word}_pool{rank}d").default: call
    for rank in (2, 3)
    for word, call in (
        ("avg", lambda x, counts: _in_parts(x, counts, False)),
        ("max", lambda x, counts: (_in_parts(x, counts, True), x.new_empty(0, dtype=torch.int64))),
    )
} | {
    torch.ops.aten.amax.default: _largest,
    torch.ops.aten.clamp.default: _clamped,
    torch.ops.aten.searchsorted.Tensor: _searched,
    torch.ops.aten.__lshift__.Tensor: torch.bitwise_left_shift,
    torch.ops.aten.__rshift__.Tensor: torch.bitwise_right_shift,
    torch.ops.aten.__lshift__.Scalar: torch.bitwise_left_shift,
    torch.ops.aten.__rshift__.Scalar: torch.bitwise_right_shift,
}
