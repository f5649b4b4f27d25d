"""Layers that move, repeat, pad or cut values: found by running the layer on the numbers 1, 2, 3, ..."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ...layers import activation, reshape
from ...layers.preprocessing import geometry
from ..said import sentences
from ..scene import Frame, Scene
from .kinds import At, scenes
from .parts import GAP, Layout, Sheet, cut, influence, number, numbered, sheet, sizes, smaller, twin, whole

_SAID = sentences("places")


def _amounts(layer: Any) -> str:
    pairs = getattr(layer, "padding", None) or getattr(layer, "cropping", None) or ()
    return ", ".join(f"{before} + {after}" for before, after in pairs) or sizes(getattr(layer, "_factors", ()))


def _title(layer: Any, at: At) -> str:
    values = {
        "axes": ", ".join(map(str, getattr(layer, "dims", ()))),
        "n": getattr(layer, "n", ""),
        "amounts": _amounts(layer),
        "how": getattr(layer, "interpolation", ""),
    }
    return _SAID.titles.of(layer)(at.language, **values)


# Numbers in, numbers out ------------------------------------------------------------------------------------------


def _moved(layer: Any, at: At, made: Any, shape: tuple[int, ...], channels: int | None = None, note: str = "") -> Scene:
    """`made` run on numbers of this shape. Where `channels` is an axis of a sample, it is drawn as grids."""
    x = numbered(shape)
    with torch.no_grad():
        y = made(x[None])[0]
    marked = _sources(made, x, y)
    leading = "channel" if channels is not None and len(shape) == 3 else "plane" if channels is not None else "row"
    given, found = _sheets(at, x, y, channels, _SAID.grids[leading](at.language))
    where = _order(x, channels).argsort().tolist()
    sources = [[where[index] for index in marked[place]] for place in _order(y, channels).tolist()]
    frames = [*_frames(at, given, found, sources, bool(y.is_floating_point() and (y != y.round()).any()))]
    less = smaller(at.inputs[0][1:], shape, at.language), smaller(found.shape, found.shown, at.language, part=True)
    return whole(_title(layer, at), (given, found), frames, note, *less)


def _sources(made: Any, x: Tensor, y: Tensor) -> list[list[int]]:
    """For each value of y the values of x that it is made from, all numbered as in memory."""
    if (
        torch.equal(y, y.round())
        and int(y.max()) <= x.numel()
        and getattr(made, "interpolation", "") in ("", "nearest")
    ):
        return [[value - 1] if value else [] for value in y.flatten().int().tolist()]
    (table,) = influence(lambda x: made(x[None])[0], x)
    return [row.nonzero().flatten().tolist() for row in table]


def _shown(x: Tensor, channels: int | None) -> Tensor:
    """As it is drawn: channels first, and not at all where there is one."""
    if channels is None:
        return x
    x = x.movedim(channels, 0)
    return x[0] if x.shape[0] == 1 and x.ndim > 2 else x


def _order(x: Tensor, channels: int | None) -> Tensor:
    """Where in memory the values stand that are drawn 0th, 1st, ..."""
    return _shown(torch.arange(x.numel()).reshape(x.shape), channels).flatten()


def _sheets(at: At, x: Tensor, y: Tensor, channels: int | None, of: str) -> tuple[Sheet, Sheet]:
    made: list[Sheet] = []
    for name, tensor, said in (("input", x, _SAID.input), ("output", y, _SAID.output)):
        values = _shown(tensor, channels)
        where, title = (0.0, made[0].bottom + GAP if made else 0.0), said(at.language, sizes=sizes(tuple(tensor.shape)))
        flat, layout = values.flatten().tolist(), Layout(of, (4, 10, 24 if values.ndim < 3 else 10))
        styles: list[Any] = ["pad" if value == 0 else None for value in flat]
        made.append(sheet(name, values.shape, where, title, [number(value) for value in flat], styles, layout=layout))
    return made[0], made[1]


def _frames(at: At, given: Sheet, found: Sheet, sources: list[list[int]], computed: bool) -> Iterator[Frame]:
    """`sources` are those of each drawn value: one value a frame where they are computed, else one row."""
    if computed:
        for place in [place for place in range(len(sources)) if place in found.cells][:16]:
            marks = [*given.marks(sources[place]), *found.marks([place])]
            yield Frame(_SAID.cell(at.language, count=len(sources[place])), marks)
        return
    by_input = math.prod(found.shape[:-1]) < math.prod(given.shape[:-1])
    sheet_of = given if by_input else found
    width, rows = sheet_of.shape[-1], math.prod(sheet_of.shape[:-1])
    for row in range(min(rows, 64)):
        here = [*range(row * width, row * width + width)]
        if not sheet_of.marks(here):
            continue
        if by_input:
            goes = [place for place, source in enumerate(sources) if set(source) & {*here}]
            said = _SAID.comes_from if goes else _SAID.gone
            yield Frame(said(at.language, row=row + 1), [*given.marks(here), *found.marks(goes)])
            continue
        seen = [index for place in here for index in sources[place]]
        texts = dict.fromkeys(text for place in here if (text := _text(found, place)) not in ("", "0"))
        said = _SAID.zeros if not seen else _SAID.pads if any(not sources[place] for place in here) else _SAID.row
        values = ", ".join(texts) + (", …" if len(found.marks(here)) < width else "")
        marks = [*given.marks(dict.fromkeys(seen)), *found.marks(here)]
        yield Frame(said(at.language, row=row + 1, values=values), marks)


def _text(of: Sheet, index: int) -> str:
    name, cell = of.cells.get(index, ("", 0))
    return next((grid.texts[cell] for grid in of.grids if grid.name == name), "")


# Which sizes tell enough ------------------------------------------------------------------------------------------


@scenes.register(reshape.Flatten)
@scenes.register(reshape.Permute)
@scenes.register(reshape.RepeatVector)
@scenes.register(activation.Identity)
@scenes.register(activation.ActivityRegularization)
def _(layer: Any, at: At) -> list[Scene]:
    shape = at.inputs[0][1:]
    small = (*cut(shape[:-2], 2), *cut(shape[-2:-1], 3), *cut(shape[-1:], 4)) if len(shape) < 4 else cut(shape, 2)
    return [_moved(layer, at, twin(layer, small), small)]


@scenes.register
def _(layer: reshape.Reshape, at: At) -> list[Scene]:
    """On the real sizes, as far as they are known: no others fit."""
    given = at.inputs[0][1:]
    known = math.prod(size or 1 for size in given)
    wanted = math.prod(size for size in layer.target_shape if size != -1)
    fitting = wanted // math.gcd(wanted, known)
    first = given.index(None) if None in given else -1
    shape = tuple(fitting if axis == first else size or 1 for axis, size in enumerate(given))
    return [_moved(layer, at, twin(layer, shape), shape)] if math.prod(shape) <= 100_000 else []


@scenes.register(reshape.ZeroPadding)
@scenes.register(reshape._Cropping)
@scenes.register(reshape._UpSampling)
def _(layer: Any, at: At) -> list[Scene]:
    """Few places, and amounts no larger than can be looked over."""
    shape, last, most = at.inputs[0], layer.channels_last, 4 - layer.rank
    settings = {}
    for name in ("padding", "cropping"):
        if pairs := getattr(layer, name, ()):
            settings[name] = tuple((min(before, most), min(after, most)) for before, after in pairs)
    if factors := getattr(layer, "_factors", ()):
        settings["_factors"] = tuple(min(factor, max(most, 2) + 1) for factor in factors)
    cropped = [sum(pair) for pair in settings.get("cropping", ((0, 0),) * layer.rank)]
    least = 5 - layer.rank
    spatial = [
        min(size or least + gone, least + gone) for size, gone in zip(layer.spatial(shape), cropped, strict=True)
    ]
    channels = min(shape[layer.channel_axis] or 2, 2) if layer.rank < 3 else 1
    small = (*spatial, channels) if last else (channels, *spatial)
    made = twin(layer, small, settings=settings)
    asked, done = (_amounts(one) for one in (layer, made))
    note = _SAID.amounts(at.language, drawn=done, full=asked) if asked != done else ""
    return [_moved(layer, at, made, small, channels=-1 if last else 0, note=note)]


@scenes.register(geometry.CenterCrop)
@scenes.register(geometry.Resizing)
def _(layer: Any, at: At) -> list[Scene]:
    """Sizes are divided until the larger of input and output has few cells."""
    before, after = (layer.spatial(shape)[-2:] for shape in (at.inputs[0], at.outputs[0]))
    if None in before:
        before = tuple(2 * size for size in after)
    factor = max(*before, *after, 8) / 8
    rows, columns, height, width = (max(round(size / factor), 1) for size in (*before, *after))
    last = layer.channels_last
    small = (rows, columns, 1) if last else (1, rows, columns)
    made = twin(layer, small, height=height, width=width)
    return [_moved(layer, at, made, small, channels=-1 if last else 0)]
