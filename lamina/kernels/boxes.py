"""Boxes round things in pictures: four numbers on the last axis. A size is (height, width)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

FORMATS = (
    "xyxy",
    "yxyx",
    "xywh",
    "center_xywh",
    "center_yxhw",
    "rel_xyxy",
    "rel_yxyx",
    "rel_xywh",
    "rel_center_xywh",
)


def convert(boxes: Tensor, source: str, target: str, size: Sequence[int]) -> Tensor:
    """Boxes written one way in another. "rel_" counts in parts of the picture, "y" before "x" names rows first."""
    if source == target:
        return boxes
    first, second = boxes.split(2, -1)
    if _rows_first(source):
        first, second = first.flip(-1), second.flip(-1)
    if "center" in source:
        first = first - second / 2
    if "xywh" in source or "yxhw" in source:
        second = first + second
    one, other = source.startswith("rel_"), target.startswith("rel_")
    if one != other:
        scale = torch.stack([torch.full((), float(n), dtype=boxes.dtype, device=boxes.device) for n in size[::-1]])
        first, second = (first * scale, second * scale) if one else (first / scale, second / scale)
    if "xywh" in target or "yxhw" in target:
        second = second - first
    if "center" in target:
        first = first + second / 2
    if _rows_first(target):
        first, second = first.flip(-1), second.flip(-1)
    return torch.cat([first, second], -1)


def _rows_first(style: str) -> bool:
    return style.split("_")[-1].startswith("y")


def moved(boxes: Tensor, matrix: Tensor) -> Tensor:
    """The smallest upright boxes round what becomes of boxes (N, K, 4), "xyxy". `matrix` is (N, 3, 3)."""
    corners = boxes[..., [0, 1, 2, 1, 0, 3, 2, 3]].unflatten(-1, (4, 2))
    matrix = matrix.to(boxes.dtype).unsqueeze(1)
    places = corners @ matrix[..., :2].mT + matrix[..., 2].unsqueeze(-2)
    places = places[..., :2] / places[..., 2:]
    return torch.cat([places.amin(-2), places.amax(-2)], -1)


def clipped(found: dict[str, Tensor], size: Sequence[int]) -> dict[str, Tensor]:
    """What of the boxes, "xyxy", lies within the picture. The label of one of which nothing does becomes -1."""
    left, top, right, bottom = found["boxes"].unbind(-1)
    (left, right), (top, bottom) = (
        (before.clamp(0, length), after.clamp(0, length))
        for before, after, length in ((left, right, size[1]), (top, bottom, size[0]))
    )
    labels = torch.where((right - left) * (bottom - top) > 0, found["labels"], -1)
    return {**found, "boxes": torch.stack([left, top, right, bottom], -1), "labels": labels}


def so_many(found: dict[str, Tensor], count: int, fill: float) -> dict[str, Tensor]:
    """The first `count` boxes (N, K, 4) and labels (N, K), filled up to so many."""
    boxes, labels = found["boxes"][:, :count], found["labels"][:, :count]
    missing = count - boxes.shape[1]
    boxes, labels = (
        functional.pad(boxes, (0, 0, 0, missing), value=fill),
        functional.pad(labels, (0, missing), value=fill),
    )
    return {**found, "boxes": boxes, "labels": labels}
