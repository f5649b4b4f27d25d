"""Scenes of layers whose windows slide over spatial axes: what each position sees or writes to, and the channels."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from ...core.errors import axis_names
from ...kernels import local, window
from ...layers import convolution, old, pooling
from ...layers.local import LocallyConnected
from ..field import windows_of
from ..said import Language, sentences
from ..scene import PLAIN, Frame, Grid, Link, Mark, Note, Scene, Style
from .kinds import At, Shape, scenes
from .parts import Board

Place = tuple[int, ...]  # along each spatial axis
Row = list[int | None]  # the places of an axis that are shown; None: a gap

MOST = {1: 40, 2: 10, 3: 6}  # places shown of an axis, by rank
MOST_CHANNELS = 10
MOST_FRAMES = 36
MOST_KERNELS = 16  # of a locally connected layer
MOST_COLOURS = 8

_SAID = sentences("windows")
_NO_BOARD = Board((), {})


class Sliding(NamedTuple):
    """One axis: a window takes `positions` along one tensor, and at each touches places of another by its taps.

    A place below 0, or from `places` on, is outside.
    """

    positions: int
    places: int
    window: Callable[[int], Sequence[int]]  # at a position: the place of each tap

    def touched(self, position: int) -> list[int]:
        return list(self.window(position))

    def taps(self, position: int) -> list[tuple[int, int]]:
        """Each tap and its place."""
        return list(enumerate(self.window(position)))

    @property
    def outside(self) -> tuple[int, int]:
        """How far windows reach over the ends of the other tensor."""
        touched = [*self.touched(0), *self.touched(self.positions - 1)]
        return max(0, -min(touched)), max(0, max(touched) + 1 - self.places)


def sliding(layer: Any, inputs: Sequence[int], outputs: Sequence[int]) -> list[Sliding]:
    """How the window of a layer goes along each spatial axis, of sizes `inputs` and `outputs`."""
    if isinstance(layer, (pooling._GlobalPooling, pooling._AdaptivePooling)):
        sizes = zip(inputs, outputs, strict=True)
        return [Sliding(m, n, partial(window.part, size=n, parts=m)) for n, m in sizes]
    kernel, strides, padding, dilation = windows_of(layer)
    if isinstance(layer, old.DeconvolutionTo) or layer.padding == "theano":
        padding = layer.pads_for(tuple(inputs))
    elif isinstance(layer, LocallyConnected) and layer.padding == "same":
        padding = local.same_pads(inputs, outputs, kernel, strides)
    extra = getattr(layer, "output_padding", None) or (None,) * layer.rank
    found = []
    before: Any
    for n, m, k, s, p, d, more in zip(inputs, outputs, kernel, strides, padding, dilation, extra, strict=True):
        if isinstance(layer, convolution.ConvTranspose):
            (before, _), positions, places = window.transposed_pads(k, s, p, more, d), n, m
        else:
            (before, _), positions, places = window.pads(n, k, s, p, d), m, n
        found.append(Sliding(positions, places, partial(window.taps, before=before, kernel=k, stride=s, dilation=d)))
    return found


# What is shown of a long axis ---------------------------------------------------------------------------------------


class Cut(NamedTuple):
    """The positions of a window, and the places it touches, that are shown; where they have gaps, with None."""

    positions: Row
    places: Row


def cut(axis: Sliding, most: int) -> Cut:
    """The first positions, and the last one, as far as what they touch has room in `most` cells."""
    before, after = axis.outside
    low, high, end = -before, axis.places + after, axis.positions - 1
    if high - low <= most and axis.positions <= most:
        return Cut([*range(axis.positions)], [*range(low, high)])
    chosen, seen = {0}, set(axis.touched(0))
    wide = len(seen) > most - 2
    if wide:  # the ends of the window alone
        seen = set(sorted(seen)[: most // 2]) | set(sorted(seen)[-(most // 2) :])
    for position in (end, *range(1, min(end, most - 2))):
        more = seen | set(axis.touched(position))
        if wide or len(more) <= most - 2:
            chosen, seen = chosen | {position}, seen if wide else more
    return Cut(_with_gaps(chosen, 0, axis.positions), _with_gaps(seen, low, high))


def _with_gaps(numbers: set[int], low: int, high: int) -> Row:
    row: Row = []
    for number in sorted({*numbers, high}):
        last = next((each for each in reversed(row) if each is not None), low - 1)
        if number - last == 2:
            row.append(last + 1)
        elif number - last > 2:
            row.append(None)
        if number < high:
            row.append(number)
    return row


# Tensors as grids ---------------------------------------------------------------------------------------------------


def _board(
    name: str,
    title: str,
    spatial: Iterable[tuple[Row, int]],
    at: tuple[float, float],
    axes: tuple[str, str] = ("", ""),
    outside: Style = "pad",
    texts: Mapping[Place, str] | None = None,
    colours: Mapping[Place, int] | None = None,
) -> Board:
    """The shown places of a tensor with one to three spatial axes, of three as slices, whose place `title` names.

    spatial: the shown places of each axis, and its size. texts: of places, in place of their numbers. colours: of those
    that belong to one of several.
    """
    rows, sizes = zip(*spatial, strict=True)
    rank = len(rows)
    *slices, down, across = ([0], [0], *rows)[-max(rank, 2) :]
    texts, colours = texts or {}, colours or {}
    grids: list[Grid] = []
    cells: dict[Place, tuple[str, int]] = {}
    x, y = at
    for first in slices[0] if slices else (0,):
        if first is None:
            x += 1
            continue
        key = f"{name} {first}" if slices else name
        said: dict[int, str] = {}
        styles: dict[int, Style] = {}
        tints: dict[int, int] = {}
        for cell, (i, j) in enumerate(itertools.product(down, across)):
            if i is None or j is None:
                said[cell], styles[cell] = "…", "gap"
                continue
            place = (first, i, j)[-rank:]
            cells[place] = key, cell
            if not all(0 <= one < size for one, size in zip(place, sizes, strict=True)):
                styles[cell] = outside
            elif rank == 1 or place in texts:
                said[cell] = texts.get(place, str(j))
            if place in colours:
                tints[cell] = colours[place]
        grids.append(Grid(key, len(down), len(across), (x, y), said, styles, tints, axes, title.format(first)))
        x += len(across) + 1
    return Board(grids, cells)


# Over the spatial axes ----------------------------------------------------------------------------------------------


@scenes.register(convolution._Convolution)
@scenes.register(pooling._Pooling)
@scenes.register(pooling._GlobalPooling)
@scenes.register(pooling._AdaptivePooling)
@scenes.register(LocallyConnected)
def _(layer: Any, at: At) -> list[Scene]:
    inputs, outputs = at.inputs[0], at.outputs[0]
    sizes = layer.spatial(inputs)
    after = (1,) * layer.rank if isinstance(layer, pooling._GlobalPooling) else layer.spatial(outputs)
    if None in (*sizes, *after) or layer.rank > 3:
        return []
    return [_over_space(layer, sizes, after, at.language), *_over_channels(layer, inputs, outputs, at.language)]


def _over_space(layer: Any, inputs: Sequence[int], outputs: Sequence[int], language: Language) -> Scene:
    rank = layer.rank
    axes = sliding(layer, inputs, outputs)
    cuts = [cut(axis, MOST[rank]) for axis in axes]
    spreads, unshared = isinstance(layer, convolution.ConvTranspose), isinstance(layer, LocallyConnected)
    names = [_SAID.axes[word](language) for word in axis_names(rank + 2, "channels_last")[1:-1]]

    # Where the window stands, and what it touches: outputs and inputs, for a transposed convolution the reverse.
    places, positions = [each.places for each in cuts], [each.positions for each in cuts]
    upper, lower = (positions, places) if spreads else (places, positions)
    shown = [*itertools.product(*map(_numbers, positions))]
    colour_of = {place: index % MOST_COLOURS for index, place in enumerate(shown)} if unshared else {}
    counts = _counts(axes, places) if spreads else {}

    titles = [said(language) for said in (_SAID.input, _SAID.output)]
    if rank == 3:
        titles = [_SAID.slice(language, what=title, place="{}") for title in titles]
    across: Any = ("", *names) if rank == 1 else tuple(names) if rank == 2 else ("", "")
    top = _board("input", titles[0], zip(upper, inputs, strict=True), (0, 0), across)
    below = _below(layer, top, upper[0], lower[0])
    outside, texts = ("dropped", counts if rank > 1 else {}) if spreads else ("pad", {})
    bottom = _board("output", titles[1], zip(lower, outputs, strict=True), below, across, outside, texts, colour_of)
    near, far = (top, bottom) if spreads else (bottom, top)
    grids = [*near.grids, *far.grids]
    right, end = max(near.right, far.right), max(near.bottom, far.bottom)

    by_tap = rank == 1 and isinstance(layer, convolution._Convolution) and max(layer.kernel_size) <= MOST_COLOURS
    if spreads and rank == 1:
        real = [place for place in lower[0] if place is None or 0 <= place < outputs[0]]
        left = below[0] + max(0, len(lower[0]) - len(real)) * (lower[0][0] != real[0])
        overlaps = _board("overlaps", _SAID.overlaps(language), [(real, outputs[0])], (left, end + 2.5), texts=counts)
        grids += overlaps.grids
        end = overlaps.bottom
    kernels = _NO_BOARD
    if unshared:
        kernels = _local_kernels(layer, shown, colour_of, right, end, language)
    elif isinstance(layer, convolution._Convolution):
        kernels = _kernel(layer, by_tap, right, end, language)
    grids += kernels.grids
    end = max(grid.at[1] + grid.rows for grid in grids)

    frames, taps_of_own = [], range(math.prod(layer.kernel_size)) if unshared else ()
    for place in shown[:: -(-len(shown) // MOST_FRAMES)]:
        own = near.cells[place]
        colour = colour_of.get(place, PLAIN)
        marks, links, corners = [Mark(*own, colour)], [], _corners(axes, place)
        marks += kernels.marks(((place, tap) for tap in taps_of_own), colour)
        for taps in itertools.product(*(axis.taps(one) for axis, one in zip(axes, place, strict=True))):
            touched = far.cells.get(tuple(where for _, where in taps))
            if touched is None:
                continue
            shade = taps[0][0] if by_tap else colour if unshared else 0
            marks.append(Mark(*touched, shade))
            if rank == 1 or (rank == 2 and tuple(tap for tap, _ in taps) in corners):
                links.append(Link(own, touched, shade) if spreads else Link(touched, own, shade))
        frames.append(Frame(_caption(layer, axes, place, names, language), marks, links))
    said = _notes(layer, axes, cuts, names, language)
    notes = [Note((0, end + 1.5 + line * 0.75), text) for line, text in enumerate(said)]
    title = (_SAID.spreads if spreads else _SAID.sees)(language, name=type(layer).__name__)
    return Scene(title, grids, frames, notes=notes)


def _below(layer: Any, top: Board, upper: Row, lower: Row) -> tuple[float, float]:
    """Where the lower board stands: beside a picture, under a row so that its middle, or time, is the same."""
    if layer.rank == 2:
        return top.right + 2.5, max(0.0, (top.bottom - len(lower)) / 2)
    if getattr(layer, "padding", None) == "causal" and layer.strides == (1,):  # below the newest input it sees
        return float(sum(place is not None and place < 0 for place in upper)), top.bottom + 3
    return max(0.0, (len(upper) - len(lower)) / 2) * (layer.rank == 1), top.bottom + 3


def _numbers(row: Row) -> list[int]:
    return [place for place in row if place is not None]


def _corners(axes: Sequence[Sliding], place: Place) -> set[Place]:
    """The taps at the corners of a window."""
    lasts = [len(axis.taps(one)) - 1 for axis, one in zip(axes, place, strict=True)]
    return set(itertools.product(*((0, last) for last in lasts)))


def _counts(axes: Sequence[Sliding], rows: Sequence[Row]) -> dict[Place, str]:
    """How often windows touch each place."""
    counts = []
    for axis, row in zip(axes, rows, strict=True):
        touched = [place for position in range(axis.positions) for place in axis.touched(position)]
        counts.append({place: touched.count(place) for place in _numbers(row) if 0 <= place < axis.places})
    every = itertools.product(*(count.items() for count in counts))
    return {tuple(place for place, _ in each): str(math.prod(count for _, count in each)) for each in every}


def _kernel(layer: Any, by_tap: bool, right: float, end: float, language: Language) -> Board:
    """The kernel as one more grid, its taps in their colours."""
    rank = layer.rank
    *slices, down, across = (1, 1, *layer.kernel_size)[-max(rank, 2) :]
    if max(down, across, *slices) > MOST[max(rank, 2)] + 2:
        return _NO_BOARD
    at = (right + 2.5, 0.0) if rank == 2 else (0.0, end + 2.5)
    texts = {tap: f"w{tap}" for tap in range(across)} if rank == 1 else {}
    styles: dict[int, Style] = dict.fromkeys(range(down * across), "weight")
    colours = {tap: tap for tap in range(across)} if by_tap else {}
    grids = []
    for number in range(*slices or (1,)):
        title = _SAID.kernel(language) if not number else " "
        grids.append(Grid(f"kernel {number}", down, across, at, texts, styles, colours, title=title))
        at = at[0] + across + 1, at[1]
    return Board(grids, {})


def _local_kernels(
    layer: Any, shown: Sequence[Place], colours: Mapping[Place, int], right: float, end: float, language: Language
) -> Board:
    """A kernel for each position that is shown, in its colour; cells are found by (position, tap)."""
    if len(shown) > MOST_KERNELS or layer.rank == 3:
        return _NO_BOARD
    flat = layer.rank == 1
    down, across = (1, *layer.kernel_size)[-2:]
    taps = range(down * across)
    width, height = (across + 2, down + 1.6) if flat else (across + 1, down + 1)
    columns = max(1, int(max(right, 20) // width)) if flat else len({place[-1] for place in shown})
    left, top = (0.0, end + 2.5) if flat else (right + 2.5, 0.0)
    styles: dict[int, Style] = dict.fromkeys(taps, "weight")
    texts = {tap: f"w{tap}" for tap in taps} if flat else {}
    grids, cells = [], {}
    for index, place in enumerate(shown):
        turn, step = divmod(index, columns)
        name, title = f"kernel {index}", " " if index else _SAID.kernels(language)
        at, own = (left + step * width, top + turn * height), dict.fromkeys(taps, colours[place])
        grids.append(Grid(name, down, across, at, texts, styles, own, title=title))
        cells |= {(place, tap): (name, tap) for tap in taps}
    return Board(grids, cells)


def _caption(layer: Any, axes: Sequence[Sliding], place: Place, names: Sequence[str], language: Language) -> str:
    """What is computed at a position, in symbols for one axis and few taps, else in words."""
    at = ", ".join(map(str, place))
    spreads = isinstance(layer, convolution.ConvTranspose)
    touched = [axis.touched(one) for axis, one in zip(axes, place, strict=True)]
    if len(axes) == 1 and len(touched[0]) <= 6:
        return _formula(layer, axes[0], place[0])
    within = [[one for one in row if 0 <= one < axis.places] for row, axis in zip(touched, axes, strict=True)]
    spans = ", ".join(f"{name} {_span(row)}" for name, row in zip(names, within, strict=True))
    caption = (_SAID.writes if spreads else _SAID.wide)(language, at=at, places=spans)
    every, real = (math.prod(map(len, rows)) for rows in (touched, within))
    if spreads or every == real:
        return caption
    return _SAID.padded(language, caption=caption, count=every - real, all=every)


def _span(row: Sequence[int]) -> str:
    if not row:
        return "–"
    step = row[1] - row[0] if len(row) > 1 else 1
    return str(row[0]) if len(row) == 1 else f"{row[0]}–{row[-1]}" if step == 1 else ", ".join(map(str, row))


def _formula(layer: Any, axis: Sliding, position: int) -> str:
    inside = [(tap, place) for tap, place in axis.taps(position) if 0 <= place < axis.places]
    if isinstance(layer, convolution.ConvTranspose):
        return ", ".join(f"y[{place}] += w{tap}·x[{position}]" for tap, place in inside)
    if isinstance(layer, (convolution._Convolution, LocallyConnected)):
        own = f"[{position}]" if isinstance(layer, LocallyConnected) else ""
        read = {tap: f"x[{place}]" for tap, place in inside}
        return f"y[{position}] = {' + '.join(f'w{tap}{own}·{read.get(tap, 0)}' for tap, _ in axis.taps(position))}"
    largest = isinstance(layer, (pooling.MaxPooling, pooling.GlobalMaxPooling, pooling.AdaptiveMaxPooling))
    return f"y[{position}] = {'max' if largest else 'mean'}({', '.join(f'x[{place}]' for _, place in inside)})"


def _notes(
    layer: Any, axes: Sequence[Sliding], cuts: Sequence[Cut], names: Sequence[str], language: Language
) -> Iterable[str]:
    spreads = isinstance(layer, convolution.ConvTranspose)
    if len(axes) == 3:
        yield _SAID.slices(language, axis=names[0])
    if spreads and len(axes) > 1:
        yield _SAID.numbers(language)
    ends = [
        _SAID.pads(language, axis=name if len(axes) > 1 else "", before=axis.outside[0], after=axis.outside[1]).strip()
        for axis, name in zip(axes, names, strict=True)
        if axis.outside != (0, 0)
    ]
    if ends:
        yield (_SAID.dropped if spreads else _SAID.padding)(language, pads="; ".join(ends))
        if isinstance(layer, pooling.MaxPooling):
            yield _SAID.never_wins(language)
        elif isinstance(layer, pooling.AveragePooling):
            yield _SAID.uncounted(language)
    strides = getattr(layer, "strides", ()) or (1,) * len(axes)
    dilations = getattr(layer, "dilation_rate", ()) or (1,) * len(axes)
    pairs = list(zip(strides, dilations, strict=True))
    for pair in dict.fromkeys(pairs):
        if pair != (1, 1):
            same = [name for name, each in zip(names, pairs, strict=True) if each == pair]
            yield _SAID.steps(language, axis=", ".join(same), stride=pair[0], dilation=pair[1])
    shown = [len(_numbers(each.positions)) for each in cuts]
    if shown != [axis.positions for axis in axes]:
        every = " × ".join(str(axis.positions) for axis in axes)
        yield _SAID.cut(language, shown=" × ".join(map(str, shown)), all=every)


# Across the channels ------------------------------------------------------------------------------------------------


def stages(layer: Any, inputs: int, outputs: int) -> list[tuple[Sliding, int]]:
    """How channels see channels, stage by stage, and in how many groups: the later ones are the `positions`."""

    def grouped(before: int, after: int, groups: int) -> tuple[Sliding, int]:
        share = before // groups
        return Sliding(after, before, partial(_group, share=share, each=after // groups)), groups

    if isinstance(layer, convolution.SeparableConv):
        between = inputs * layer.depth_multiplier
        return [grouped(inputs, between, inputs), grouped(between, outputs, 1)]
    mixes = isinstance(layer, (convolution.Conv, convolution.ConvTranspose, LocallyConnected))
    return [grouped(inputs, outputs, (getattr(layer, "groups", 1) or 1) if mixes else inputs)]


def _group(output: int, share: int, each: int) -> range:
    start = output // each * share
    return range(start, start + share)


def _over_channels(layer: Any, inputs: Shape, outputs: Shape, language: Language) -> list[Scene]:
    """Channels as rows of cells, and a line wherever one sees another."""
    before, after = inputs[layer.channel_axis], outputs[layer.channel_axis]
    if before is None or after is None or (before == after == 1):
        return []
    found = stages(layer, before, after)
    rows = _rows([stage for stage, _ in found])
    sizes = [before, *(stage.positions for stage, _ in found)]
    titles = [_SAID.input_channels, *[_SAID.between_channels] * (len(found) - 1), _SAID.output_channels]
    shares = [0] * len(sizes)  # the channels of a group, which has its colour on both sides
    for number, (stage, groups) in enumerate(found):
        if groups > 1:
            shares[number : number + 2] = stage.places // groups, stage.positions // groups
    widest, boards = max(map(len, rows)), []
    for number, (title, size, row, share) in enumerate(zip(titles, sizes, rows, shares, strict=True)):
        corner, said = ((widest - len(row)) / 2, 4.0 * number), title(language, count=size)
        colours = {(place,): place // share % MOST_COLOURS for place in _numbers(row)} if share else {}
        boards.append(_board(f"channels {number}", said, [(row, size)], corner, colours=colours))
    links = []
    for (stage, groups), upper, lower in zip(found, boards, boards[1:], strict=False):
        for (position,), own in lower.cells.items():
            colour = PLAIN if groups == 1 else position * groups // stage.positions % MOST_COLOURS
            seen = [upper.cells[place,] for place in stage.touched(position) if (place,) in upper.cells]
            links += [Link(cell, own, colour) for cell in seen]
    frames = [
        _of_channel(place[0], [stage for stage, _ in found], boards, links, language) for place in boards[-1].cells
    ]
    shown = [len(_numbers(row)) for row in rows]
    notes = []
    if shown != sizes:
        text = _SAID.cut_channels(language, shown=" → ".join(map(str, shown)), all=" → ".join(map(str, sizes)))
        notes.append(Note((0, boards[-1].bottom + 1.75), text))
    grids = [grid for board in boards for grid in board.grids]
    return [Scene(_SAID.channels(language, name=type(layer).__name__), grids, frames, links, notes=notes)]


def _rows(found: Sequence[Sliding]) -> list[Row]:
    """The channels that are shown before, between and after the stages."""
    cuts = [cut(stage, MOST_CHANNELS) for stage in found]
    rows = [cuts[0].places, *(each.positions for each in cuts)]
    if len(found) == 2:  # both stages show the same of the channels between
        both = {*_numbers(cuts[0].positions), *_numbers(cuts[1].places)}
        seen = {place for position in both for place in found[0].touched(position)}
        rows[0] = _with_gaps(seen | set(_numbers(rows[0])), 0, found[0].places)
        rows[1] = _with_gaps(both, 0, found[0].positions)
    return rows


def _of_channel(
    output: int, found: Sequence[Sliding], boards: Sequence[Board], links: Sequence[Link], language: Language
) -> Frame:
    """What an output channel sees, through all stages."""
    marks, seen = boards[-1].marks([(output,)]), {output}
    for stage, board in zip(reversed(found), reversed(boards[:-1]), strict=True):
        seen = {place for one in seen for place in stage.touched(one)}
        marks += board.marks((place,) for place in sorted(seen))
    marked = {(mark.grid, mark.cell) for mark in marks}
    strong = [link for link in links if link.start in marked and link.end in marked]
    return Frame(_SAID.from_channels(language, output=output, inputs=_span(sorted(seen))), marks, strong)
