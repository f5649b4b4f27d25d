"""Layers to look at, by idea: what the gallery and the documentation draw, from `examples.json`."""

from __future__ import annotations

from typing import Any, NamedTuple

from .said import Said, data

Shape = tuple[int, ...]


class Example(NamedTuple):
    """A layer as it is written, and the shape of its input without the batch; a list of shapes for several inputs."""

    text: str
    input_shape: Shape | list[Shape]
    old: bool = False  # only older generations have it


class Idea(NamedTuple):
    key: str
    title: Said
    examples: tuple[Example, ...]


def _example(text: str, shape: list[Any], old: bool = False) -> Example:
    return Example(text, [*map(tuple, shape)] if isinstance(shape[0], list) else tuple(shape), old)


IDEAS = tuple(
    Idea(idea["key"], Said(*idea["title"]), tuple(_example(*each) for each in idea["examples"]))
    for idea in data("examples.json")
)
