"""Scenes as PNG by matplotlib (`pip install lamina[plot]`)."""

from __future__ import annotations

from collections.abc import Sequence

from .drawing import Label, Rect, Shape, by_matplotlib
from .layout import Place
from .scene import Scene
from .scene_shapes import LIGHT, Item, picture


def png(groups: Sequence[Sequence[Scene]], dpi: float = 144) -> bytes:
    """The most telling frames of scenes as one picture: those of a group below each other, the groups side by side."""
    shapes: list[Shape] = []
    left = height = 0.0
    for group in groups:
        right, top = left, 0.0
        for scene in group:
            drawn = picture(scene)
            shapes += [_coloured(item, left, top) for item in drawn.items if item.frame in (None, drawn.telling)]
            right, top = max(right, left + drawn.width), top + drawn.height
        left, height = right, max(height, top)
    return by_matplotlib(shapes, left, height, "png", dpi, "explain")


def _coloured(item: Item, x: float, y: float) -> Shape:
    inside, line = LIGHT[item.role]
    shape = item.shape
    if isinstance(shape, Label):
        return shape._replace(x=shape.x + x, y=shape.y + y, colour=inside)
    if isinstance(shape, Rect):
        at = Place(shape.at.x + x, shape.at.y + y, shape.at.width, shape.at.height)
        return shape._replace(at=at, fill=None if inside == "none" else inside, line=line)
    return shape._replace(points=[(a + x, b + y) for a, b in shape.points], colour=line)
