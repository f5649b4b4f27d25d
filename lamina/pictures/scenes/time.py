"""Layers along time, unrolled: which step reads what, in which order, and what a mask skips."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch.utils import _pytree as pytree

from ...layers import recurrent, wrappers
from ..said import Language, Said, sentences
from ..scene import PLAIN, Frame, Grid, Link, Mark, Scene, Style
from .gates import gates
from .kinds import At, scenes
from .parts import GAP, lit, notes, sizes

_MOST = 6  # steps

_SAID = sentences("time")


@dataclass
class Line:
    """A row of values along time, one every `pitch` cells; states have several rows, what is put out lowest."""

    name: str
    steps: int
    at: tuple[float, float]
    title: str
    rows: Sequence[str]  # how the values of each row are called
    pitch: int = 2
    style: Style = "value"
    masked: Sequence[int] = ()
    texts: Mapping[int, str] = field(default_factory=dict)  # of steps that are called otherwise
    numbered: bool = True

    def cell(self, step: int, row: int = -1) -> tuple[str, int]:
        return f"{self.name} {step + 1}", row % len(self.rows)

    def column(self, step: int) -> list[tuple[str, int]]:
        return [self.cell(step, row) for row in range(len(self.rows))]

    def text(self, step: int, row: int = -1) -> str:
        return self.texts.get(step, f"{self.rows[row]}{step + 1}" if self.numbered else self.rows[row])

    def names(self, step: int) -> str:
        return ", ".join(self.text(step, row) for row in range(len(self.rows)))

    @property
    def columns(self) -> int:
        return self.pitch * (self.steps - 1) + 1

    @property
    def bottom(self) -> float:
        return self.at[1] + len(self.rows)

    def grids(self) -> Iterator[Grid]:
        """One for each step, so that lines between steps are straight."""
        for step in range(self.steps):
            style: Style = "masked" if step in self.masked else self.style
            where = (self.at[0] + step * self.pitch, self.at[1])
            texts = {row: self.text(step, row) for row in range(len(self.rows))}
            title = " " if step else self.title
            yield Grid(self.cell(step)[0], len(self.rows), 1, where, texts, dict.fromkeys(texts, style), title=title)


def _marks(cells: Sequence[tuple[str, int]], colour: int = PLAIN) -> list[Mark]:
    return [Mark(*cell, colour) for cell in cells]


def _across(before: Sequence[tuple[str, int]], after: Sequence[tuple[str, int]], dashed: bool = False) -> list[Link]:
    return [Link(a, b, dashed=dashed) for a, b in zip(before, after, strict=True)]


def _steps(at: At, most: int = _MOST) -> int:
    return min(at.inputs[0][1] or most, most)


def _input(at: At, steps: int, left: float, pitch: int = 2, masked: Sequence[int] = ()) -> Line:
    return Line(
        "x", steps, (left, 0.0), _SAID.x(at.language, sizes=sizes(at.inputs[0][2:])), ["x"], pitch, masked=masked
    )


def _scene(
    title: str, at: At, lines: Iterable[Line], frames: Sequence[Frame], links: Sequence[Link], *below: str, **more: Any
) -> Scene:
    """Lines, the first of which are the inputs, and notes below them."""
    lines, known = list(lines), at.inputs[0][1]
    cut = _SAID.cut(at.language, steps=lines[0].steps, all=known) if known and known > lines[0].steps else ""
    grids = [grid for line in lines for grid in line.grids()]
    return Scene(title, grids, frames, links, notes=notes(grids, *below, cut), **more)


def _levels(layer: Any) -> list[tuple[str, list[str], str]]:
    """Of each cell, the lowest first: its class, how its states are called (what is put out last), their sizes."""
    cell = layer.cell
    found = []
    for one in getattr(cell, "cells", [cell]):
        count = len(pytree.tree_leaves(one.state_size))
        names = ["h"] if count == 1 else ["c", "h"] if count == 2 else [f"s{index}" for index in range(count, 0, -1)]
        found.append((type(one).__name__, names, sizes(tuple(dict.fromkeys(pytree.tree_leaves(one.state_size))))))
    return found


def _state_sizes(layer: Any, at: At, given: str) -> str:
    """As a ConvLSTM's are pictures, the cell alone does not tell."""
    shapes = layer.state_shapes(at.inputs[0])
    return sizes(shapes[0][1:]) if len(shapes[0]) > 2 else given


@dataclass
class Sweep:
    """One layer's run along time: its states and what they start from, and what happens at each step it takes."""

    levels: list[Line]  # the lowest first
    starts: list[Line]
    moments: list[tuple[str, list[tuple[str, int]], list[Link]]]  # caption, marked cells, lines
    order: list[int]

    @property
    def top(self) -> Line:
        return self.levels[-1]

    @property
    def links(self) -> list[Link]:
        return [link for *_, now in self.moments for link in now]


def _sweep(
    layer: Any, at: At, x: Line, top: float, name: str = "", left: float = 0.0, start: float | None = None
) -> Sweep:
    """The states below `top`, each level under the one that it takes its input from."""
    order = [*range(x.steps)][:: -1 if layer.go_backwards else 1]
    lines: list[Line] = []
    levels = _levels(layer)
    for index, (kind, rows, size) in enumerate(levels):
        label, said = f"{name}state", _SAID.state(at.language, sizes=_state_sizes(layer, at, size))
        if len(levels) > 1:
            label, said = f"{label} {index + 1}", _SAID.stacked(at.language, index=index + 1, name=kind, sizes=size)
        where = (left, lines[-1].bottom + GAP if lines else top)
        lines.append(Line(label, x.steps, where, said, rows, x.pitch, "state", x.masked))
    beside = (left - 2 if start is None else start) if not layer.go_backwards else left + lines[0].columns + 1
    begins = _SAID.start(at.language)
    starts = []
    for line in lines:
        rows = [f"{row}0" if layer.stateful else "0" for row in line.rows]
        starts.append(Line(f"{line.name} start", 1, (beside, line.at[1]), begins, rows, style="state", numbered=False))
    moments = []
    for count, step in enumerate(order):
        skipped = step in x.masked
        marked: list[tuple[str, int]] = [] if skipped else [x.cell(step)]
        now: list[Link] = []
        given = x
        for line, begin in zip(lines, starts, strict=True):
            before = line.column(order[count - 1]) if count else begin.column(0)
            after = line.column(step)
            now += _across(before, after, dashed=skipped)
            if not skipped:
                now.append(Link(given.cell(step), line.cell(step, 0)))
            marked += [*before, *after]
            given = line
        how = _SAID.skipped if skipped else _SAID.step if count else _SAID.first
        old, from_what = given.names(order[count - 1]), _SAID.before if layer.stateful else _SAID.zeros
        said = how(at.language, new=given.names(step), x=x.text(step), old=old, start=from_what(at.language))
        moments.append((said, marked, now))
    return Sweep(lines, starts, moments, order)


# One direction ----------------------------------------------------------------------------------------------------


def _unrolled(layer: Any, at: At, masked: Sequence[int] = ()) -> Scene:
    language = at.language
    x = _input(at, _steps(at), 2.0, masked=masked)
    sweep = _sweep(layer, at, x, x.bottom + GAP, left=x.at[0])
    y, outs = _outputs(layer, at, sweep, masked)
    links, frames = sweep.links, []
    for count, (said, marked, now) in enumerate(sweep.moments):
        if layer.return_sequences:
            out, how = outs[count]
            links += out
            now, marked = [*now, *out], [*marked, y.cell(count)]
            said += how(language, y=f"y{count + 1}")
        frames.append(Frame(said, _marks(marked), lit(now)))
    ends, said = _ends(layer, at, sweep.levels)
    last = sweep.order[-1]
    pairs = zip(ends, sweep.levels, strict=False)
    into = [link for end, line in pairs for link in _across(line.column(last), end.column(0))]
    if not layer.return_sequences:
        into += outs[0][0]
        said = _last(outs[0][0], sweep.top, x, language) + said
    if said:
        links += into
        marked = [cell for link in into for cell in (link.start, link.end)]
        frames.append(Frame(said.strip(), _marks(marked), lit(into)))
    name = type(layer).__name__
    way = (_SAID.backward if layer.go_backwards else _SAID.forward)(language)
    what = (_SAID.every if layer.return_sequences else _SAID.one)(language)
    title = _SAID.masked(language, name=name) if masked else _SAID.along(language, name=name, way=way, what=what)
    turned = layer.return_sequences and layer.go_backwards and x.steps > 1
    lines = (x, *sweep.levels, *sweep.starts, y, *ends)
    return _scene(title, at, lines, frames, links, _SAID.order(language) if turned else "")


def _outputs(layer: Any, at: At, sweep: Sweep, masked: Sequence[int]) -> tuple[Line, list[tuple[list[Link], Said]]]:
    """What is put out, and how each output comes about: the lines into it, and what to say."""
    order, steps, top = sweep.order, len(sweep.order), sweep.top
    valid = [step not in masked for step in order]
    zero = [
        count for count in range(steps) if not valid[count] and (layer.zero_output_for_mask or not any(valid[:count]))
    ]
    left, where = top.at[0], top.bottom + GAP
    if layer.return_sequences:
        y = Line("y", steps, (left, where), _SAID.y(at.language), ["y"], masked=zero, texts=dict.fromkeys(zero, "0"))
    else:
        ends = [0] if steps - 1 in zero else []
        y = Line("y", 1, (left + top.pitch * order[-1], where), _SAID.y(at.language), ["y"], numbered=False)
        y.masked, y.texts = ends, dict.fromkeys(ends, "0")
    found: list[tuple[list[Link], Said]] = []
    for place, count in enumerate(range(steps) if layer.return_sequences else [steps - 1]):
        if count in zero:
            found.append(([], _SAID.nothing))
        elif valid[count]:
            found.append(([Link(top.cell(order[count]), y.cell(place))], _SAID.out))
        else:
            before = max(other for other in range(count) if valid[other])
            source = y.cell(place - 1) if layer.return_sequences else top.cell(order[before])
            found.append(([Link(source, y.cell(place), dashed=True)], _SAID.repeated))
    return y, found


def _last(into: list[Link], top: Line, x: Line, language: Language) -> str:
    """What the one output is."""
    if not into:
        return _SAID.last_zero(language)
    state = next(top.text(step) for step in range(x.steps) if top.cell(step) == into[0].start)
    seen = ", ".join(x.text(step) for step in range(x.steps) if step not in x.masked)
    return _SAID.last(language, h=state, seen=seen)


def _ends(layer: Any, at: At, levels: list[Line]) -> tuple[list[Line], str]:
    """Where the last states go, where they go anywhere."""
    asked = [(_SAID.returned, _SAID.ends_are.returned)] if layer.return_state else []
    asked += [(_SAID.kept, _SAID.ends_are.kept)] if layer.stateful else []
    if not asked:
        return [], ""
    said = _SAID.both(at.language) if len(asked) > 1 else asked[0][0](at.language)
    what = {"en": " and ", "zh": "，"}[at.language].join(end(at.language) for _, end in asked)
    what = _SAID.end(at.language, what=what)
    left = levels[0].at[0]
    beside = left + levels[0].columns + 1 if not layer.go_backwards else left - 2
    return [
        Line(f"{line.name} end", 1, (beside, line.at[1]), said, line.rows, style="state", numbered=False)
        for line in levels
    ], what


@scenes.register
def _(layer: recurrent.RNN, at: At) -> list[Scene]:
    steps = _steps(at)
    found = [_unrolled(layer, at), *gates(layer.cell, at)]
    return [*found, _unrolled(layer, at, masked=(1, steps - 1))] if steps > 2 else found


# Both directions --------------------------------------------------------------------------------------------------

_SIGN = {"concat": "{f} | {b}", "sum": "{f} + {b}", "ave": "({f} + {b}) / 2", "mul": "{f} ⊙ {b}", None: "{f}, {b}"}
_MOST_BOTH = 5  # steps


def _both(layer: wrappers.Bidirectional, at: At, masked: Sequence[int] = ()) -> Scene:
    language, steps = at.language, _steps(at, _MOST_BOTH)
    left = 2.0
    x = _input(at, steps, left + 0.5, 3, masked)
    ahead = _sweep(layer.forward_layer, at, x, x.bottom + GAP, "forward ", left, 0.0)
    back = _sweep(layer.backward_layer, at, x, ahead.top.bottom + GAP, "backward ", left + 1, 1.0)
    for sweep, letter, said in ((ahead, "f", _SAID.forth), (back, "b", _SAID.back)):
        for line in sweep.levels:
            line.rows = [letter if row == "h" else f"{row}{letter}" for row in line.rows]
            line.title = said(language, state=line.title)
    sequences, mode = layer.return_sequences, layer.merge_mode
    rows = ["y", "y"] if mode == "concat" else ["y"]
    count = steps if sequences else 1
    outs = []
    both = (("y", 0.0, 0, " 1"), ("y 2", 1.0, 3, " 2"))  # each below its direction
    for name, across, shift, index in both if mode is None else (("y", 0.5, 0, ""),):
        where = (left + across, back.top.bottom + GAP + shift)
        outs.append(Line(name, count, where, _SAID.y(language) + index, rows, 3, numbered=sequences))
    if sequences:
        for line in outs:
            hidden = [place for place, step in enumerate(ahead.order) if step in masked]
            line.masked, line.texts = hidden, dict.fromkeys(hidden, "0")
    links, frames = [*ahead.links, *back.links], []
    for index, (one, other) in enumerate(zip(ahead.moments, back.moments, strict=True)):
        f, b = ahead.order[index], back.order[index]
        said = _SAID.steps(language, count=index + 1, f=x.text(f), b=x.text(b))
        said += "".join(_SAID.skips(language, x=x.text(step)) for step in sorted({f, b} & {*masked}))
        frames.append(Frame(said, [*_marks(one[1], 0), *_marks(other[1], 1)], [*lit(one[2]), *lit(other[2], 1)]))
    for place in range(count):
        if sequences:
            f = b = ahead.order[place]
        else:  # a mask leaves the last state that was computed
            f, b = (next(step for step in reversed(sweep.order) if step not in masked) for sweep in (ahead, back))
        text = outs[0].text(place)
        cells = [cell for line in outs for cell in line.column(place)]
        if sequences and f in masked:
            frames.append(Frame(_SAID.hidden(language, y=text), _marks(cells)))
            continue
        sources = ahead.top.cell(f), back.top.cell(b)
        into = [Link(sources[0], outs[0].cell(place, 0), 0), Link(sources[1], outs[-1].cell(place), 1)]
        links += lit(into, PLAIN)
        joint = _SIGN[mode].format(f=ahead.top.text(f), b=back.top.text(b))
        seen = [f"{x.text(sweep.order[0])}…{x.text(f)}" for sweep in (ahead, back)]
        said = (_SAID.meets if sequences else _SAID.ends)(language, y=text, sum=joint, before=seen[0], after=seen[1])
        frames.append(Frame(said, [*_marks(cells), Mark(*sources[0], 0), Mark(*sources[1], 1)], into))
    name = f"Bidirectional({type(layer.forward_layer).__name__})"
    title = _SAID.two(language, name=name, what=_SAID.merged[str(mode)](language))
    title = _SAID.masked(language, name=name) if masked else title
    lines = (x, *ahead.levels, *ahead.starts, *back.levels, *back.starts, *outs)
    below = _SAID.states(language) if layer.return_state else "", _SAID.keeps(language) if layer.stateful else ""
    legend = {0: _SAID.ahead(language), 1: _SAID.behind(language)}
    return _scene(title, at, lines, frames, links, *below, legend=legend)


@scenes.register
def _(layer: wrappers.Bidirectional, at: At) -> list[Scene]:
    if not (isinstance(layer.forward_layer, recurrent.RNN) and isinstance(layer.backward_layer, recurrent.RNN)):
        return []
    steps = _steps(at, _MOST_BOTH)
    found = [_both(layer, at), *gates(layer.forward_layer.cell, at)]
    return [*found, _both(layer, at, masked=(steps - 1,))] if steps > 2 else found


# Layers round layers ----------------------------------------------------------------------------------------------


@scenes.register
def _(layer: wrappers.TimeDistributed, at: At) -> list[Scene]:
    steps, inner = _steps(at), layer.layer
    x = _input(at, steps, 0.0)
    shared = _SAID.layer(at.language, parameters=inner.count_params())
    given = _SAID.output(at.language, sizes=sizes(at.outputs[0][2:]))
    weights = Line("layer", steps, (0.0, 3.0), shared, ["L"], style="weight", numbered=False)
    y = Line("y", steps, (0.0, 6.0), given, ["y"])
    links, frames = [], []
    for step in range(steps):
        now = [Link(x.cell(step), weights.cell(step)), Link(weights.cell(step), y.cell(step))]
        links += now
        said = _SAID.alone(at.language, y=y.text(step), x=x.text(step))
        frames.append(Frame(said, _marks([line.cell(step) for line in (x, weights, y)]), lit(now)))
    title = _SAID.same(at.language, name=type(inner).__name__)
    return [_scene(title, at, (x, weights, y), frames, links), *scenes(inner, at.of_a_step())]


@scenes.register
def _(layer: recurrent.StackedRNNCells, at: At) -> list[Scene]:
    """One step."""
    whole = At(((None, 1, *at.inputs[0][1:]),), ((None, layer.output_size),), at.language)
    found = _unrolled(recurrent.RNN(layer, name=layer.name), whole)
    return [replace(found, title=_SAID.upon(at.language)), *gates(layer, at)]


@scenes.register
def _(layer: wrappers.Pipeline, at: At) -> list[Scene]:
    """Those of the layers inside, in their order."""
    found, shape = [], at.inputs[0]
    for inner in layer.layers:
        after = inner.compute_output_shape(shape)
        found += scenes(inner, At((shape,), (after,), at.language))
        shape = after
    return found
