"""Boxes round things in pictures: four numbers on the last axis. A size is (height, width)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

FORMATS = ("xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw", "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh")


def convert(boxes: Tensor, source: str, target: str, size: Sequence[Any]) -> Tensor:
    """Boxes written one way in another. "rel_" counts in parts of the picture, "y" before "x" names rows first.

    Sizes are numbers, or tensors (..., 1) that fit the boxes; they are read where one of both ways is "rel_".
    """
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
        scale = _sides(size, boxes)
        first, second = (first * scale, second * scale) if one else (first / scale, second / scale)
    if "xywh" in target or "yxhw" in target:
        second = second - first
    if "center" in target:
        first = first + second / 2
    if _rows_first(target):
        first, second = first.flip(-1), second.flip(-1)
    return torch.cat([first, second], -1)


def _sides(size: Sequence[Any], like: Tensor) -> Tensor:
    """Width and height on the last axis."""
    sides = [
        torch.atleast_1d(n.to(like))
        if isinstance(n, Tensor)
        else torch.full((1,), float(n), dtype=like.dtype, device=like.device)
        for n in size[::-1]
    ]
    return torch.cat(torch.broadcast_tensors(*sides), -1)


def _rows_first(style: str) -> bool:
    return style.split("_")[-1].startswith("y")


def moved(boxes: Tensor, matrix: Tensor) -> Tensor:
    """The smallest upright boxes round what becomes of boxes (N, K, 4), "xyxy". `matrix` is (N, 3, 3)."""
    corners = boxes[..., [0, 1, 2, 1, 0, 3, 2, 3]].unflatten(-1, (4, 2))
    matrix = matrix.to(boxes.dtype).unsqueeze(1)
    places = corners @ matrix[..., :2].mT + matrix[..., 2].unsqueeze(-2)
    places = places[..., :2] / places[..., 2:]
    return torch.cat([places.amin(-2), places.amax(-2)], -1)


def shifted(boxes: Tensor, places: Sequence[Any]) -> Tensor:
    """Boxes, "xyxy", moved down and to the right."""
    down, across = places
    left, top, right, bottom = boxes.split(1, -1)
    return torch.cat([left + across, top + down, right + across, bottom + down], -1)


def turned(
    angle: Tensor, shift: Tensor, scale: Tensor, shear: Tensor, size: Sequence[Any], centre: Sequence[Any]
) -> Tensor:
    """A matrix (N, 3, 3) for `moved`, of angles (N,) in degrees about a centre.

    `scale` is (N,); `shift` and `shear`, in degrees, are (N, 2), across and down. The centre (across, down) and the
    shift count in parts of the picture.
    """
    turn, (across, down) = torch.deg2rad(-angle), torch.deg2rad(-shear).unbind(-1)
    a, c = torch.cos(turn - down) / torch.cos(down), -torch.sin(turn - down) / torch.cos(down)
    b, d = a * torch.tan(across) + torch.sin(turn), torch.cos(turn) - c * torch.tan(across)
    linear = torch.stack([d, -b, -c, a], -1).unflatten(-1, (2, 2)) * scale[..., None, None]
    sides = torch.stack([torch.as_tensor(n).to(angle) - 1 for n in size[::-1]], -1)
    middle = torch.stack([torch.as_tensor(n).to(angle) for n in centre], -1) * sides
    moved = middle - (linear @ (middle - shift * sides).unsqueeze(-1)).squeeze(-1)
    last = torch.tensor([0.0, 0.0, 1.0], dtype=angle.dtype, device=angle.device).expand(len(angle), 1, 3)
    return torch.cat([torch.cat([linear, moved.unsqueeze(-1)], -1), last], -2)


def clipped(found: dict[str, Tensor], size: Sequence[Any]) -> dict[str, Tensor]:
    """What of the boxes, "xyxy", lies within the picture. The label of one of which nothing does becomes -1."""
    sides = _sides(size, found["boxes"])
    low, high = (places.clamp(min=0).minimum(sides) for places in found["boxes"].split(2, -1))
    found = {**found, "boxes": torch.cat([low, high], -1)}
    if "labels" in found:
        found["labels"] = torch.where((high - low).prod(-1) > 0, found["labels"], -1)
    return found


# How alike boxes are -----------------------------------------------------------------------------------------------


def overlaps(boxes: Tensor, others: Tensor, epsilon: float) -> Tensor:
    """What boxes, "xyxy", have in common with others, in parts of both together; the shapes broadcast."""
    common, together = _areas(boxes, others, 0.0)
    return common / (together + epsilon)


def complete_overlaps(boxes: Tensor, others: Tensor, epsilon: float) -> Tensor:
    """`overlaps`, less for distant centres and other proportions (Zheng et al., 2020)."""
    common, together = _areas(boxes, others, epsilon)
    shared = common / (together + 2 * epsilon)
    low, high, width, height = _parts(boxes, epsilon)
    other_low, other_high, other_width, other_height = _parts(others, epsilon)
    hull = torch.maximum(high, other_high) - torch.minimum(low, other_low)
    apart = (low + high) / 2 - (other_low + other_high) / 2
    unlike = 4 / math.pi**2 * (torch.atan(other_width / other_height) - torch.atan(width / height)) ** 2
    weight = unlike / (unlike - shared + (1 + epsilon))
    return shared - ((apart**2).sum(-1) / ((hull**2).sum(-1) + epsilon) + unlike * weight)


def _parts(boxes: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    low, high = boxes.split(2, -1)
    width, height = (high - low).unbind(-1)
    return low, high, width, height + epsilon


def _areas(boxes: Tensor, others: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """The area of what boxes have in common, and that of both together."""
    low, high, width, height = _parts(boxes, epsilon)
    other_low, other_high, other_width, other_height = _parts(others, epsilon)
    common = (torch.minimum(high, other_high) - torch.maximum(low, other_low)).clamp(min=0).prod(-1)
    return common, width * height + other_width * other_height - common


def encoded(boxes: Tensor, anchors: Tensor, epsilon: float) -> Tensor:
    """How far boxes, written from their centres, are from anchors, in sizes of these; the sizes as logarithms."""
    sizes = anchors[..., 2:].clamp(min=epsilon)
    apart = (boxes[..., :2] - anchors[..., :2]) / sizes
    larger = torch.log(boxes[..., 2:].clamp(min=epsilon) / sizes)
    return torch.cat(torch.broadcast_tensors(apart, larger), -1)


def decoded(deltas: Tensor, anchors: Tensor) -> Tensor:
    """The boxes that `encoded` as these."""
    places, sizes = anchors.split(2, -1)
    return torch.cat([deltas[..., :2] * sizes + places, torch.exp(deltas[..., 2:]) * sizes], -1)


# -------------------------------------------------------------------------------------------------------------------


def so_many(found: dict[str, Tensor], count: int, fill: float) -> dict[str, Tensor]:
    """The first `count` boxes (N, K, 4) and labels (N, K), filled up to so many."""
    boxes, labels = found["boxes"][:, :count], found["labels"][:, :count]
    missing = count - boxes.shape[1]
    boxes, labels = (
        functional.pad(boxes, (0, 0, 0, missing), value=fill),
        functional.pad(labels, (0, missing), value=fill),
    )
    return {**found, "boxes": boxes, "labels": labels}
