"""Layers of several inputs: value by value, one behind another, or summed along an axis of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ...layers import merge, old
from ..said import Said, sentences
from ..scene import Frame, Scene
from .kinds import At, scenes
from .parts import GAP, Layout, Sheet, cut, influence, number, numbered, rows_of, sheet, sizes, smaller, twin, whole

Shapes = Sequence[tuple[int, ...]]

_SAID = sentences("merging")


def _small(at: At) -> list[tuple[int, ...]]:
    """The inputs' sizes without the batch, cut alike."""
    most = 4 if max(map(len, at.inputs)) < 4 else 2
    return [cut(shape[1:], most) for shape in at.inputs[:3]]


def _run(layer: Any, values: Sequence[Tensor]) -> Tensor:
    with torch.no_grad():
        return twin(layer, *(tuple(x.shape) for x in values))([x[None] for x in values])[0]


def _drawn(at: At, values: Sequence[Tensor], y: Tensor, owners: list[int] | None = None) -> list[Sheet]:
    """The inputs side by side, or under each other where they are wide, and the output under them.

    owners: of the output's values, the inputs that they are of, whose colours they have.
    """
    made: list[Sheet] = []
    narrow = all(x.ndim < 3 for x in values) and sum(x.shape[-1] for x in values) <= 12
    for index, x in enumerate(values):
        where = (0.0, 0.0)
        if made:
            last = made[-1]
            where = (max(last.right + 1.5, last.grids[0].at[0] + 6.0), 0.0) if narrow else (0.0, last.bottom + GAP)
        said = _SAID.input(at.language, index=index + 1, sizes=sizes(tuple(x.shape)))
        colours = [index] * x.numel() if owners else None
        made.append(sheet(f"input {index + 1}", x.shape, where, said, _texts(x), None, colours, Layout("[{}]")))
    below = max(one.bottom for one in made) + GAP
    said = _SAID.output(at.language, sizes=sizes(tuple(y.shape)))
    most = Layout("[{}]", (6, 9, 12))
    return [*made, sheet("output", y.shape, (0.0, below), said, _texts(y), None, owners, most)]


def _texts(x: Tensor) -> list[str]:
    return [number(value) for value in x.flatten().tolist()]


def _below(at: At, shapes: Shapes) -> Iterator[str]:
    yield from dict.fromkeys(
        smaller(full[1:], shape, at.language) for full, shape in zip(at.inputs, shapes, strict=False)
    )
    rest = len(at.inputs) - len(shapes)
    yield _SAID.more(at.language, count=rest) if rest else ""


def _stepwise(
    layer: Any,
    at: At,
    title: str,
    sources: Callable[[Shapes, Tensor], list[list[list[int]]]],
    said: Callable[[float, list[list[float]]], str],
    remark: str = "",
) -> Scene:
    """One frame an output. sources: for each input, and each value of the output, the values that it is computed from;
    said: what there is to say of a value of the output and these."""
    shapes = _small(at)
    values = [_varied(shape, index) for index, shape in enumerate(shapes)]
    y = _run(layer, values)
    *given, found = _drawn(at, values, y)
    seen = sources(shapes, y)
    frames = []
    for place, result in enumerate(y.flatten().tolist()):
        marks = found.marks([place])
        for index, (one, table) in enumerate(zip(given, seen, strict=True)):
            marks += one.marks(table[place], index)
        if place in found.cells:
            operands = [x.flatten()[table[place]].tolist() for x, table in zip(values, seen, strict=True)]
            frames.append(Frame(said(result, operands), marks))
    return whole(title, [*given, found], frames[:12], remark, *_below(at, shapes))


def _varied(shape: tuple[int, ...], index: int) -> Tensor:
    """Whole numbers of which now one input has the larger, now the other."""
    x = numbered(shape)
    return x if index == 0 else (x * (3 + 2 * index) + index) % 10


@scenes.register
def _(layer: merge.Merge, at: At) -> list[Scene]:
    what = _SAID.what.of(layer)
    return [] if what is None else [_each(layer, at, what)]


def _each(layer: Any, at: At, what: Said) -> Scene:
    def sources(shapes: Shapes, y: Tensor) -> list[list[list[int]]]:
        return [_spread(numbered(shape, 0), tuple(y.shape)).reshape(-1, 1).int().tolist() for shape in shapes]

    def said(result: float, operands: list[list[float]]) -> str:
        written = _written(layer, [number(value) for (value,) in operands])
        return _SAID.equal(at.language, left=number(result), right=written)

    title = _SAID.each(at.language, name=type(layer).__name__, what=what(at.language))
    repeats = len({*_small(at)}) > 1
    return _stepwise(layer, at, title, sources, said, _SAID.broadcast(at.language) if repeats else "")


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
    shapes, starts = _small(at), [1]
    for shape in shapes:
        starts.append(starts[-1] + math.prod(shape))
    values = [numbered(shape, start) for shape, start in zip(shapes, starts, strict=False)]
    y = _run(layer, values)
    told = y.flatten().int().tolist()
    owners = [max(index for index, start in enumerate(starts) if start <= value) for value in told]
    *given, found = _drawn(at, values, y, owners)
    frames = []
    for count, row in enumerate(rows_of(tuple(y.shape))):
        marks = found.marks(row)
        if not marks:
            continue
        for place in row:
            marks += given[owners[place]].marks([told[place] - starts[owners[place]]])
        inputs = ", ".join(str(owner + 1) for owner in dict.fromkeys(owners[place] for place in row))
        frames.append(Frame(_SAID.row(at.language, row=count + 1, inputs=inputs), marks))
    title = _SAID.join(at.language, name=type(layer).__name__, axis=axis)
    return whole(title, [*given, found], frames[:12], *_below(at, shapes))


@scenes.register
def _(layer: merge.Dot, at: At) -> list[Scene]:
    axes = (layer.axes, layer.axes) if isinstance(layer.axes, int) else layer.axes
    return [_dotted(layer, at, layer, axes)]


def _dotted(layer: Any, at: At, dot: merge.Dot, axes: Sequence[int]) -> Scene:
    """`dot` is the modern layer that computes the same, apart from how lengths are kept from zero."""

    def sources(shapes: Shapes, _: Tensor) -> list[list[list[int]]]:
        plain = merge.Dot(axes=dot.axes, name=layer.name, dtype="float32")
        tables = influence(lambda *xs: plain([x[None] for x in xs])[0], *(torch.ones(shape) for shape in shapes))
        return [[row.nonzero().flatten().tolist() for row in table] for table in tables]

    def said(_: float, operands: list[list[float]]) -> str:
        pairs = _SAID.pairs(at.language, count=at.inputs[0][axes[0]] or len(operands[0]))
        return pairs + (_SAID.lengths(at.language) if dot.normalize else "")

    title = (_SAID.cosine if dot.normalize else _SAID.dot)(at.language, name=type(layer).__name__, a=axes[0], b=axes[1])
    return _stepwise(layer, at, title, sources, said)


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
