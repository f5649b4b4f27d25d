"""Layers of several inputs: value by value, one behind another, or summed along an axis of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...layers import merge, old
from ..said import Said, sentences
from ..scene import Frame, Note, Scene
from .kinds import At, scenes
from .parts import GAP, Layout, Sheet, cut, influence, notes, number, numbered, rows_of, sheet, sizes, smaller, twin

_SAID = sentences("merging")


def _small(at: At) -> list[tuple[int, ...]]:
    """The inputs' sizes without the batch, cut alike."""
    most = 4 if max(map(len, at.inputs)) < 4 else 2
    return [cut(shape[1:], most) for shape in at.inputs[:3]]


def _drawn(at: At, values: Sequence[Tensor], y: Tensor, coloured: bool = False) -> tuple[list[Sheet], Sheet]:
    """The inputs side by side, or under each other where they are wide, and the output under them."""
    given: list[Sheet] = []
    narrow = all(x.ndim < 3 for x in values) and sum(x.shape[-1] for x in values) <= 12
    for index, x in enumerate(values):
        where = (0.0, 0.0)
        if given:
            last = given[-1]
            where = (max(last.right + 1.5, last.grids[0].at[0] + 6.0), 0.0) if narrow else (0.0, last.bottom + GAP)
        said = _SAID.input(at.language, index=index + 1, sizes=sizes(tuple(x.shape)))
        colours = [index] * x.numel() if coloured else None
        given.append(
            sheet(f"input {index + 1}", x.shape, where, said, _texts(x), colours=colours, layout=Layout("[{}]"))
        )
    below = max(one.bottom for one in given) + GAP
    said = _SAID.output(at.language, sizes=sizes(tuple(y.shape)))
    return given, sheet("output", y.shape, (0.0, below), said, _texts(y), layout=Layout("[{}]", (6, 9, 12)))


def _texts(x: Tensor) -> list[str]:
    return [number(value) for value in x.flatten().tolist()]


def _below(at: At, grids: Any, shapes: Sequence[tuple], *more: str) -> list[Note]:
    cuts = [smaller(full[1:], shape, at.language) for full, shape in zip(at.inputs, shapes, strict=False)]
    rest = len(at.inputs) - len(shapes)
    return notes(grids, *more, *dict.fromkeys(cuts), _SAID.more(at.language, count=rest) if rest else "")


@scenes.register
def _(layer: merge.Merge, at: At) -> list[Scene]:
    what = _SAID.what.of(layer)
    return [] if what is None else [_each(layer, at, what)]


def _each(layer: Any, at: At, what: Said) -> Scene:
    shapes = _small(at)
    made = twin(layer, *shapes)
    values = [_varied(shape, index) for index, shape in enumerate(shapes)]
    with torch.no_grad():
        y = made([x[None] for x in values])[0]
    sources = [_spread(numbered(shape, 0), tuple(y.shape)).flatten().int().tolist() for shape in shapes]
    given, found = _drawn(at, values, y)
    frames = []
    for place in range(min(y.numel(), 12)):
        marks = found.marks([place])
        if not marks:
            continue
        for index, one in enumerate(given):
            marks += one.marks([sources[index][place]], index)
        operands = [number(float(x.flatten()[source[place]])) for x, source in zip(values, sources, strict=True)]
        said = _SAID.equal(at.language, left=number(float(y.flatten()[place])), right=_written(layer, operands))
        frames.append(Frame(said, marks))
    grids = [grid for one in (*given, found) for grid in one.grids]
    repeats = any(shape != tuple(y.shape) for shape in shapes)
    title = _SAID.each(at.language, name=type(layer).__name__, what=what(at.language))
    return Scene(title, grids, frames, notes=_below(at, grids, shapes, _SAID.broadcast(at.language) if repeats else ""))


def _varied(shape: tuple[int, ...], index: int) -> Tensor:
    """Whole numbers of which now one input has the larger, now the other."""
    x = numbered(shape)
    return x if index == 0 else (x * (3 + 2 * index) + index) % 10


def _spread(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Broadcast as these layers do: missing axes stand in front of a sample's."""
    return x.reshape(*(1,) * (len(shape) - x.ndim), *x.shape).expand(shape)


def _written(layer: Any, operands: Sequence[str]) -> str:
    mode = getattr(layer, "mode", None)
    if isinstance(layer, merge.Average) or mode == "ave":
        return f"({' + '.join(operands)}) / {len(operands)}"
    for kind, name, sign in ((merge.Add, "sum", " + "), (merge.Subtract, "", " - "), (merge.Multiply, "mul", " × ")):
        if isinstance(layer, kind) or mode == name:
            return sign.join(operands)
    return f"{'min' if isinstance(layer, merge.Minimum) else 'max'}({', '.join(operands)})"


scenes.register(merge.Concatenate, lambda layer, at: [_joined(layer, at, layer.axis)])


def _joined(layer: Any, at: At, axis: int) -> Scene:
    shapes = _small(at)
    made = twin(layer, *shapes)
    values, first = [], 1
    for shape in shapes:
        values.append(numbered(shape, first))
        first += math.prod(shape)
    with torch.no_grad():
        y = made([x[None] for x in values])[0]
    given, found = _drawn(at, values, y, coloured=True)
    starts = [int(x.flatten()[0]) for x in values]
    owners = [max(index for index, start in enumerate(starts) if start <= value) for value in y.flatten().tolist()]
    found = sheet(
        "output", y.shape, found.grids[0].at, found.grids[0].title.removesuffix(", [1]"), _texts(y), colours=owners,
        layout=Layout("[{}]", (6, 9, 12)),
    )  # fmt: skip
    frames = []
    for count, row in enumerate(rows_of(tuple(y.shape))):
        marks = found.marks(row)
        if not marks:
            continue
        for place in row:
            owner = owners[place]
            marks += given[owner].marks([int(y.flatten()[place]) - starts[owner]])
        inputs = ", ".join(str(owner + 1) for owner in dict.fromkeys(owners[place] for place in row))
        frames.append(Frame(_SAID.row(at.language, row=count + 1, inputs=inputs), marks))
    grids = [grid for one in (*given, found) for grid in one.grids]
    title = _SAID.join(at.language, name=type(layer).__name__, axis=axis)
    return Scene(title, grids, frames[:12], notes=_below(at, grids, shapes))


@scenes.register
def _(layer: merge.Dot, at: At) -> list[Scene]:
    axes = (layer.axes, layer.axes) if isinstance(layer.axes, int) else layer.axes
    return [_dotted(layer, at, layer, axes)]


def _dotted(layer: Any, at: At, dot: merge.Dot, axes: Sequence[int]) -> Scene:
    """`dot` is the modern layer that computes the same, apart from how lengths are kept from zero."""
    shapes = _small(at)
    made = twin(layer, *shapes)
    values = [_varied(shape, index) for index, shape in enumerate(shapes)]
    plain = merge.Dot(axes=dot.axes, name=layer.name, dtype="float32")
    tables = influence(lambda *xs: plain([x[None] for x in xs])[0], *(torch.ones(shape) for shape in shapes))
    with torch.no_grad():
        y = made([x[None] for x in values])[0]
    given, found = _drawn(at, values, y)
    frames = []
    for place in range(y.numel()):
        marks = found.marks([place])
        if not marks:
            continue
        seen = [table[place].nonzero().flatten().tolist() for table in tables]
        for index, (one, indices) in enumerate(zip(given, seen, strict=True)):
            marks += one.marks(indices, index)
        said = _SAID.pairs(at.language, count=_summed(at, axes) or len(seen[0]))
        frames.append(Frame(said + (_SAID.lengths(at.language) if dot.normalize else ""), marks))
    grids = [grid for one in (*given, found) for grid in one.grids]
    title = (_SAID.cosine if dot.normalize else _SAID.dot)(at.language, name=type(layer).__name__, a=axes[0], b=axes[1])
    return Scene(title, grids, frames[:12], notes=_below(at, grids, shapes))


def _summed(at: At, axes: Sequence[int]) -> int | None:
    return at.inputs[0][axes[0]]


@scenes.register
def _(layer: old.MergeByMode, at: At) -> list[Scene]:
    """As the modern layer of the same arithmetic; a function's arithmetic is not known."""
    mode = layer.mode
    if mode == "concat":
        return [_joined(layer, at, layer.concat_axis)]
    if mode == "dot":
        return [_dotted(layer, at, layer._merging(), layer.dot_axes)]
    kind = {"sum": merge.Add, "mul": merge.Multiply, "ave": merge.Average, "max": merge.Maximum}.get(mode)
    return [] if kind is None else [_each(layer, at, _SAID.what[kind.__name__])]
