"""Layers along time, unrolled: which step reads what, in which order, and what a mask skips."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch.utils import _pytree as pytree

from ...layers import recurrent, wrappers
from ..said import Language, Said, sentences
from ..scene import PLAIN, Frame, Grid, Link, Mark, Scene, Style
from .gates import gates
from .kinds import At, scenes
from .parts import GAP, notes, sizes

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


def _steps(at: At) -> int:
    return min(at.inputs[0][1] or _MOST, _MOST)


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
    """One layer's run along time: its lines, the links between them, and what happens at each step it takes."""

    lines: list[Line]
    links: list[Link]
    moments: list[tuple[str, list[tuple[str, int]], list[Link]]]  # caption, marked cells, lines
    order: list[int]


def _sweep(
    layer: Any, at: At, x: Line, top: float, name: str = "", left: float = 0.0, start: float | None = None
) -> Sweep:
    """The states below `top`, each level under the one that it takes its input from."""
    steps, masked = x.steps, x.masked
    order = [*range(steps)][:: -1 if layer.go_backwards else 1]
    lines: list[Line] = []
    levels = _levels(layer)
    for index, (kind, rows, size) in enumerate(levels):
        said = _SAID.state(at.language, sizes=_state_sizes(layer, at, size))
        if len(levels) > 1:
            said = _SAID.stacked(at.language, index=index + 1, name=kind, sizes=size)
        where = (left, lines[-1].bottom + GAP if lines else top)
        label = f"{name}state {index + 1}" if len(levels) > 1 else f"{name}state"
        lines.append(Line(label, steps, where, said, rows, x.pitch, "state", masked))
    beside = (left - 2 if start is None else start) if not layer.go_backwards else left + lines[0].columns + 1
    ends = [
        Line(
            f"{line.name} start",
            1,
            (beside, line.at[1]),
            _SAID.start(at.language),
            [f"{row}0" if layer.stateful else "0" for row in line.rows],
            style="state",
            numbered=False,
        )
        for line in lines
    ]
    links: list[Link] = []
    moments = []
    for count, step in enumerate(order):
        skipped = step in masked
        marked: list[tuple[str, int]] = [] if skipped else [x.cell(step)]
        now: list[Link] = []
        for index, (line, end) in enumerate(zip(lines, ends, strict=True)):
            before = line.column(order[count - 1]) if count else end.column(0)
            after = line.column(step)
            now += _across(before, after, dashed=skipped)
            if not skipped:
                now.append(Link(lines[index - 1].cell(step) if index else x.cell(step), line.cell(step, 0)))
            marked += [*before, *after]
        links += now
        said = (
            _SAID.skipped(at.language, x=x.text(step))
            if skipped
            else (_SAID.step if count else _SAID.first)(
                at.language,
                new=lines[-1].names(step),
                x=x.text(step),
                old=lines[-1].names(order[count - 1]),
                start=(_SAID.before if layer.stateful else _SAID.zeros)(at.language),
            )
        )
        moments.append((said, marked, now))
    return Sweep([*lines, *ends], links, moments, order)


# One direction ----------------------------------------------------------------------------------------------------


def _unrolled(layer: Any, at: At, masked: Sequence[int] = ()) -> Scene:
    steps, language = _steps(at), at.language
    x = Line("x", steps, (2.0, 0.0), _SAID.x(language, sizes=sizes(at.inputs[0][2:])), ["x"], masked=masked)
    sweep = _sweep(layer, at, x, x.bottom + GAP, left=x.at[0])
    levels = sweep.lines[: len(sweep.lines) // 2]
    y, outs = _outputs(layer, at, sweep, levels[-1], masked)
    links, frames = [*sweep.links], []
    for count, (said, marked, now) in enumerate(sweep.moments):
        if layer.return_sequences:
            out, how = outs[count]
            links += out
            now, marked = [*now, *out], [*marked, y.cell(count)]
            said += how(language, y=f"y{count + 1}")
        frames.append(Frame(said, _marks(marked), [link._replace(colour=0) for link in now]))
    ends, said = _ends(layer, at, levels)
    last = sweep.order[-1]
    into = [link for end, line in zip(ends, levels, strict=False) for link in _across(line.column(last), end.column(0))]
    if not layer.return_sequences:
        into += outs[0][0]
        said = _last(outs[0][0], levels[-1], x, language) + said
    if said:
        links += into
        marked = [cell for link in into for cell in (link.start, link.end)]
        frames.append(Frame(said.strip(), _marks(marked), [link._replace(colour=0) for link in into]))
    grids = [grid for line in (x, *sweep.lines, y, *ends) for grid in line.grids()]
    name, known = type(layer).__name__, at.inputs[0][1]
    way = (_SAID.backward if layer.go_backwards else _SAID.forward)(language)
    title = _SAID.along(
        language, name=name, way=way, what=(_SAID.every if layer.return_sequences else _SAID.one)(language)
    )
    title = _SAID.masked(language, name=name) if masked else title
    below = [_SAID.order(language)] if layer.return_sequences and layer.go_backwards and steps > 1 else []
    below += [_SAID.cut(language, steps=steps, all=known)] if known and known > steps else []
    return Scene(title, grids, frames, links, notes=notes(grids, *below))


def _outputs(
    layer: Any, at: At, sweep: Sweep, top: Line, masked: Sequence[int]
) -> tuple[Line, list[tuple[list[Link], Said]]]:
    """What is put out, and how each output comes about: the lines into it, and what to say."""
    order, steps = sweep.order, len(sweep.order)
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
    wanted = [said for said, asked in ((_SAID.returned, layer.return_state), (_SAID.kept, layer.stateful)) if asked]
    if not wanted:
        return [], ""
    title = _SAID.both if len(wanted) > 1 else wanted[0]
    ends = (_SAID.ends_are[said.en](at.language) for said in wanted)
    what = _SAID.end(at.language, what={"en": " and ", "zh": "，"}[at.language].join(ends))
    left = levels[0].at[0]
    beside = left + levels[0].columns + 1 if not layer.go_backwards else left - 2
    said = title(at.language)
    return [
        Line(f"{line.name} end", 1, (beside, line.at[1]), said, line.rows, style="state", numbered=False)
        for line in levels
    ], what


@scenes.register
def _(layer: recurrent.RNN, at: At) -> list[Scene]:
    steps = _steps(at)
    found = [_unrolled(layer, at)]
    cells = getattr(layer.cell, "cells", [layer.cell])
    for cell in {type(cell): cell for cell in cells}.values():
        found += gates(cell, at)
    if steps > 2:
        found.append(_unrolled(layer, at, masked=(1, steps - 1)))
    return found


# Both directions --------------------------------------------------------------------------------------------------

_SIGN = {"concat": "{f} | {b}", "sum": "{f} + {b}", "ave": "({f} + {b}) / 2", "mul": "{f} ⊙ {b}", None: "{f}, {b}"}


def _both(layer: wrappers.Bidirectional, at: At, masked: Sequence[int] = ()) -> Scene:
    language, steps = at.language, min(_steps(at), 5)
    left = 2.0
    x = Line("x", steps, (left + 0.5, 0.0), _SAID.x(language, sizes=sizes(at.inputs[0][2:])), ["x"], 3, masked=masked)
    ahead = _sweep(layer.forward_layer, at, x, x.bottom + GAP, "forward ", left, 0.0)
    levels = [sweep_line for sweep_line in ahead.lines if not sweep_line.name.endswith("start")]
    back = _sweep(layer.backward_layer, at, x, levels[-1].bottom + GAP, "backward ", left + 1, 1.0)
    back_levels = [sweep_line for sweep_line in back.lines if not sweep_line.name.endswith("start")]
    for lines, letter, said in ((levels, "f", _SAID.forth), (back_levels, "b", _SAID.back)):
        for line in lines:
            line.rows = [letter if row == "h" else f"{row}{letter}" for row in line.rows]
            line.title = said(language, state=line.title)
    top, under = levels[-1], back_levels[-1]
    sequences, mode = layer.return_sequences, layer.merge_mode
    rows = ["y", "y"] if mode == "concat" else ["y"]
    bottom = under.bottom + GAP
    count = steps if sequences else 1
    outs = [
        Line(
            name,
            count,
            (left + 0.5, bottom + shift),
            f"{_SAID.y(language)} {index}".strip(),
            rows,
            3,
            numbered=sequences,
        )
        for name, shift, index in ((("y", 0, "1"), ("y 2", 3, "2")) if mode is None else (("y", 0, ""),))
    ]
    if sequences:
        for line in outs:
            hidden = [place for place, step in enumerate(ahead.order) if step in masked]
            line.masked, line.texts = hidden, dict.fromkeys(hidden, "0")
    links, frames = [*ahead.links, *back.links], []
    for index, (one, other) in enumerate(zip(ahead.moments, back.moments, strict=True)):
        f, b = ahead.order[index], back.order[index]
        said = _SAID.steps(language, count=index + 1, f=x.text(f), b=x.text(b))
        said += "".join(_SAID.skips(language, x=x.text(step)) for step in sorted({f, b} & {*masked}))
        now = [*(link._replace(colour=0) for link in one[2]), *(link._replace(colour=1) for link in other[2])]
        frames.append(Frame(said, [*_marks(one[1], 0), *_marks(other[1], 1)], now))
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
        ends = [outs[0].cell(place, 0), outs[-1].cell(place)]
        into = [Link(top.cell(f), ends[0], 0), Link(under.cell(b), ends[1], 1)]
        links += [link._replace(colour=PLAIN) for link in into]
        joint = _SIGN[mode].format(f=top.text(f), b=under.text(b))
        seen = [f"{x.text(sweep.order[0])}…{x.text(f)}" for sweep in (ahead, back)]
        said = (_SAID.meets if sequences else _SAID.ends)(language, y=text, sum=joint, before=seen[0], after=seen[1])
        marks = [*_marks(cells), Mark(*top.cell(f), 0), Mark(*under.cell(b), 1)]
        frames.append(Frame(said, marks, into))
    name = f"Bidirectional({type(layer.forward_layer).__name__})"
    title = _SAID.two(language, name=name, what=_SAID.merged[str(mode)](language))
    grids = [grid for line in (x, *ahead.lines, *back.lines, *outs) for grid in line.grids()]
    known = at.inputs[0][1]
    below = [_SAID.cut(language, steps=steps, all=known)] if known and known > steps else []
    below += [_SAID.states(language)] if layer.return_state else []
    below += [_SAID.keeps(language)] if layer.stateful else []
    title = _SAID.masked(language, name=name) if masked else title
    legend = {0: _SAID.ahead(language), 1: _SAID.behind(language)}
    return Scene(title, grids, frames, links, notes=notes(grids, *below), legend=legend)


@scenes.register
def _(layer: wrappers.Bidirectional, at: At) -> list[Scene]:
    if not (isinstance(layer.forward_layer, recurrent.RNN) and isinstance(layer.backward_layer, recurrent.RNN)):
        return []
    found = [_both(layer, at)]
    found += gates(layer.forward_layer.cell, at)
    steps = min(_steps(at), 5)
    if steps > 2:
        found.append(_both(layer, at, masked=(steps - 1,)))
    return found


# Layers round layers ----------------------------------------------------------------------------------------------


@scenes.register
def _(layer: wrappers.TimeDistributed, at: At) -> list[Scene]:
    steps, inner = _steps(at), layer.layer
    x = Line("x", steps, (0.0, 0.0), _SAID.x(at.language, sizes=sizes(at.inputs[0][2:])), ["x"])
    weights = Line(
        "layer",
        steps,
        (0.0, 3.0),
        _SAID.layer(at.language, parameters=inner.count_params()),
        ["L"],
        style="weight",
        numbered=False,
    )
    y = Line("y", steps, (0.0, 6.0), _SAID.output(at.language, sizes=sizes(at.outputs[0][2:])), ["y"])
    links, frames = [], []
    for step in range(steps):
        now = [Link(x.cell(step), weights.cell(step)), Link(weights.cell(step), y.cell(step))]
        links += now
        marks = _marks([x.cell(step), weights.cell(step), y.cell(step)])
        said = _SAID.alone(at.language, y=y.text(step), x=x.text(step))
        frames.append(Frame(said, marks, [link._replace(colour=0) for link in now]))
    grids = [grid for line in (x, weights, y) for grid in line.grids()]
    known = at.inputs[0][1]
    below = [_SAID.cut(at.language, steps=steps, all=known)] if known and known > steps else []
    title = _SAID.same(at.language, name=type(inner).__name__)
    within = At(((None, *at.inputs[0][2:]),), ((None, *at.outputs[0][2:]),), at.language)
    return [Scene(title, grids, frames, links, notes=notes(grids, *below)), *scenes(inner, within)]


@scenes.register
def _(layer: recurrent.StackedRNNCells, at: At) -> list[Scene]:
    """One step."""
    whole = At(((None, 1, *at.inputs[0][1:]),), ((None, layer.output_size),), at.language)
    found = _unrolled(recurrent.RNN(layer, name=layer.name), whole)
    inner = [scene for cell in {type(cell): cell for cell in layer.cells}.values() for scene in gates(cell, at)]
    return [Scene(_SAID.upon(at.language), found.grids, found.frames, found.links, notes=found.notes), *inner]


@scenes.register
def _(layer: wrappers.Pipeline, at: At) -> list[Scene]:
    """Those of the layers inside, in their order."""
    found, shape = [], at.inputs[0]
    for inner in layer.layers:
        after = inner.compute_output_shape(shape)
        found += scenes(inner, At((shape,), (after,), at.language))
        shape = after
    return found
