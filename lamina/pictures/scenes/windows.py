"""Scenes of layers whose windows slide over spatial axes: what each position sees or writes to, and the channels."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from ...core.errors import axis_names
from ...kernels import local, window
from ...layers import convolution, old, pooling
from ...layers.local import LocallyConnected
from ..said import Language, sentences
from ..scene import PLAIN, Frame, Grid, Link, Mark, Note, Scene, Style
from .kinds import At, Shape, scenes

Place = tuple[int, ...]  # along each spatial axis
Row = list[int | None]  # the places of an axis that are shown; None: a gap

MOST = {1: 40, 2: 10, 3: 6}  # places shown of an axis, by rank
MOST_CHANNELS = 10
MOST_FRAMES = 36
MOST_KERNELS = 16  # of a locally connected layer
MOST_COLOURS = 8

_SAID = sentences("windows")


class Sliding(NamedTuple):
    """One axis: a window takes `positions` along one tensor, and at each touches places of another by its taps.

    `taps(position)` gives (tap, place); a place below 0, or from `places` on, is outside.
    """

    positions: int
    places: int
    taps: Callable[[int], Sequence[tuple[int, int]]]

    def touched(self, position: int) -> list[int]:
        return [place for _, place in self.taps(position)]

    @property
    def outside(self) -> tuple[int, int]:
        """How far windows reach over the ends of the other tensor."""
        touched = [*self.touched(0), *self.touched(self.positions - 1)]
        return max(0, -min(touched)), max(0, max(touched) + 1 - self.places)


def sliding(layer: Any, inputs: Sequence[int], outputs: Sequence[int]) -> list[Sliding]:
    """How the window of a layer goes along each spatial axis, of sizes `inputs` and `outputs`."""
    if isinstance(layer, convolution.ConvTranspose):
        kernel, strides, padding, dilation = layer.windows()
        padding = layer.pads_for(tuple(inputs)) if isinstance(layer, old.DeconvolutionTo) else padding
        arguments = kernel, strides, padding, dilation, layer.output_padding or (None,) * layer.rank
        return [_spread(*axis) for axis in zip(inputs, outputs, *arguments, strict=True)]
    if isinstance(layer, pooling._GlobalPooling):
        return [_parts(size, 1) for size in inputs]
    if isinstance(layer, pooling._AdaptivePooling):
        return [_parts(*axis) for axis in zip(inputs, layer.output_size, strict=True)]
    ones = (1,) * layer.rank
    if isinstance(layer, pooling._Pooling):
        theano = isinstance(layer, old._TheanoPooling) and layer.padding == "theano"
        padding = layer.pads_for(tuple(inputs)) if theano else window.per_axis(layer.padding, layer.rank)
        arguments = layer.pool_size, layer.strides, padding, ones
    elif isinstance(layer, LocallyConnected):
        pads = local.same_pads(inputs, outputs, layer.kernel_size, layer.strides) if layer.padding == "same" else ()
        arguments = layer.kernel_size, layer.strides, pads or ("valid",) * layer.rank, ones
    else:
        arguments = layer.windows()
    return [_window(*axis) for axis in zip(inputs, outputs, *arguments, strict=True)]


def _window(size: int, outputs: int, kernel: int, stride: int, padding: Any, dilation: int) -> Sliding:
    before, _ = window.pads(size, kernel, stride, padding, dilation)
    return Sliding(outputs, size, lambda at: list(enumerate(window.taps(at, before, kernel, stride, dilation))))


def _spread(
    size: int, outputs: int, kernel: int, stride: int, padding: Any, dilation: int, extra: int | None
) -> Sliding:
    before, _ = window.transposed_pads(kernel, stride, padding, extra, dilation)
    return Sliding(size, outputs, lambda at: list(enumerate(window.taps(at, before, kernel, stride, dilation))))


def _parts(size: int, parts: int) -> Sliding:
    return Sliding(parts, size, lambda at: list(enumerate(window.part(at, size, parts))))


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


class Board(NamedTuple):
    """A tensor without batch and channels: a grid, or one for each slice, and where its places are in them."""

    grids: list[Grid]
    cells: dict[Place, tuple[str, int]]

    @property
    def right(self) -> float:
        return max(grid.at[0] + grid.columns for grid in self.grids)

    @property
    def bottom(self) -> float:
        return max(grid.at[1] + grid.rows for grid in self.grids)


def _board(
    name: str,
    title: str,
    rows: Sequence[Row],
    sizes: Sequence[int],
    at: tuple[float, float],
    axes: Sequence[str],
    language: Language,
    outside: Style = "pad",
) -> Board:
    """The shown places of a tensor with one to three spatial axes."""
    rank = len(rows)
    down, across = ([0], rows[0]) if rank == 1 else rows[-2:]
    grids, cells = [], {}
    x, y = at
    for first in rows[0] if rank == 3 else (0,):
        key = name if rank < 3 else f"{name} {first}"
        texts, styles = {}, {}
        if first is None:
            x += 1
            continue
        for cell, (i, j) in enumerate(itertools.product(down, across)):
            if i is None or j is None:
                texts[cell], styles[cell] = "…", "gap"
                continue
            place = (j,) if rank == 1 else (i, j) if rank == 2 else (first, i, j)
            cells[place] = key, cell
            if not all(0 <= one < size for one, size in zip(place, sizes, strict=True)):
                styles[cell] = outside
            elif rank == 1:
                texts[cell] = str(j)
        said = title if rank < 3 else _SAID.slice(language, what=title, place=first)
        names = ("", axes[-1]) if rank == 1 else (axes[-2], axes[-1]) if rank == 2 else ("", "")
        grids.append(Grid(key, len(down), len(across), (x, y), texts, styles, axes=names, title=said))
        x += len(across) + 1
    return Board(grids, cells)


def _recoloured(board: Board, colours: Mapping[Place, int]) -> Board:
    """The board with places that belong to one of several."""
    by_grid: dict[str, dict[int, int]] = {}
    for place, colour in colours.items():
        if place in board.cells:
            name, cell = board.cells[place]
            by_grid.setdefault(name, {})[cell] = colour
    grids = [Grid(**{**vars(grid), "colours": by_grid.get(grid.name, {})}) for grid in board.grids]
    return Board(grids, board.cells)


def _with_texts(board: Board, texts: Mapping[Place, str]) -> Board:
    by_grid: dict[str, dict[int, str]] = {grid.name: dict(grid.texts) for grid in board.grids}
    for place, text in texts.items():
        if place in board.cells:
            name, cell = board.cells[place]
            by_grid[name][cell] = text
    return Board([Grid(**{**vars(grid), "texts": by_grid[grid.name]}) for grid in board.grids], board.cells)


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
    words = axis_names(rank + 2, "channels_last")[1:-1]
    names = [_SAID.axes[word](language) for word in words]

    # Where the window stands, and what it touches: outputs and inputs, for a transposed convolution the reverse.
    places, positions = [each.places for each in cuts], [each.positions for each in cuts]
    upper, lower = (positions, places) if spreads else (places, positions)
    top = _board("input", _SAID.input(language), upper, inputs, (0, 0), names, language)
    if rank == 2:
        below = top.right + 2.5, max(0.0, (top.bottom - len(lower[0])) / 2)
    elif getattr(layer, "padding", None) == "causal" and layer.strides == (1,):  # below the newest input it sees
        below = float(sum(place is not None and place < 0 for place in upper[0])), top.bottom + 3
    else:
        below = max(0.0, (len(upper[0]) - len(lower[0])) / 2) * (rank == 1), top.bottom + 3
    bottom = _board(
        "output", _SAID.output(language), lower, outputs, below, names, language, "dropped" if spreads else "pad"
    )
    near, far = (top, bottom) if spreads else (bottom, top)
    shown = [place for place in itertools.product(*map(_numbers, positions)) if place in near.cells]
    colour_of = {place: index % MOST_COLOURS for index, place in enumerate(shown)} if unshared else {}
    near = _recoloured(near, colour_of)
    far = _with_counts(far, axes, places) if spreads and rank > 1 else far
    grids = [*near.grids, *far.grids]
    right, end = max(near.right, far.right), max(near.bottom, far.bottom)

    kernels: Callable[[Place], list[Mark]] = _nothing
    by_tap = rank == 1 and isinstance(layer, convolution._Convolution) and max(layer.kernel_size) <= MOST_COLOURS
    if spreads and rank == 1:
        real = [
            [place for place in row if place is None or 0 <= place < size]
            for row, size in zip(lower, outputs, strict=True)
        ]
        left = below[0] + max(0, len(lower[0]) - len(real[0])) * (places[0][0] != real[0][0])
        counts = _with_counts(
            _board("overlaps", _SAID.overlaps(language), real, outputs, (left, end + 2.5), [""], language), axes, places
        )
        grids += counts.grids
        end = counts.bottom
    if unshared:
        more, kernels = _local_kernels(layer, shown, colour_of, rank, right, end, language)
        grids += more
    elif isinstance(layer, convolution._Convolution):
        grids += _kernel(layer, by_tap, rank, right, end, language)
    end = max(grid.at[1] + grid.rows for grid in grids)

    frames = []
    for place in shown[:: -(-len(shown) // MOST_FRAMES)]:
        own = near.cells[place]
        colour = colour_of.get(place, PLAIN)
        marks, links, corners = [Mark(*own, colour), *kernels(place)], [], _corners(axes, place)
        for taps in itertools.product(*(axis.taps(one) for axis, one in zip(axes, place, strict=True))):
            touched = far.cells.get(tuple(where for _, where in taps))
            if touched is None:
                continue
            shade = taps[0][0] if by_tap else colour if unshared else 0
            marks.append(Mark(*touched, shade))
            if rank == 1 or (rank == 2 and tuple(tap for tap, _ in taps) in corners):
                links.append(Link(own, touched, shade) if spreads else Link(touched, own, shade))
        frames.append(Frame(_caption(layer, axes, place, names, language), marks, links))
    notes = [
        Note((0, end + 1.5 + line * 0.75), text) for line, text in enumerate(_notes(layer, axes, cuts, names, language))
    ]
    title = (_SAID.spreads if spreads else _SAID.sees)(language, name=type(layer).__name__)
    return Scene(title, grids, frames, notes=notes)


def _nothing(place: Place) -> list[Mark]:
    return []


def _numbers(row: Row) -> list[int]:
    return [place for place in row if place is not None]


def _corners(axes: Sequence[Sliding], place: Place) -> set[Place]:
    """The taps at the corners of a window."""
    lasts = [len(axis.taps(one)) - 1 for axis, one in zip(axes, place, strict=True)]
    return set(itertools.product(*((0, last) for last in lasts)))


def _with_counts(board: Board, axes: Sequence[Sliding], rows: Sequence[Row]) -> Board:
    """The board with how often windows touch each place as its text."""
    counts = []
    for axis, row in zip(axes, rows, strict=True):
        touched = [place for position in range(axis.positions) for place in axis.touched(position)]
        counts.append({place: touched.count(place) for place in row if place is not None and 0 <= place < axis.places})
    texts = {}
    for place in itertools.product(*counts):
        number = 1
        for one, count in zip(place, counts, strict=True):
            number *= count[one]
        texts[place] = str(number)
    return _with_texts(board, texts)


def _kernel(layer: Any, by_tap: bool, rank: int, right: float, end: float, language: Language) -> list[Grid]:
    """The kernel as one more grid, its taps in their colours."""
    *slices, down, across = (1, 1, *layer.kernel_size)[-max(rank, 2) :]
    if max(down, across, *slices) > MOST[max(rank, 2)] + 2:
        return []
    at = (right + 2.5, 0.0) if rank == 2 else (0.0, end + 2.5)
    texts = {tap: f"w{tap}" for tap in range(across)} if rank == 1 else {}
    styles: dict[int, Style] = dict.fromkeys(range(down * across), "weight")
    colours = {tap: tap for tap in range(across)} if by_tap else {}
    grids = []
    for number in range(*slices or (1,)):
        title = _SAID.kernel(language) if not number else " "
        grids.append(Grid(f"kernel {number}", down, across, at, texts, styles, colours, title=title))
        at = at[0] + across + 1, at[1]
    return grids


def _local_kernels(
    layer: Any,
    shown: Sequence[Place],
    colours: Mapping[Place, int],
    rank: int,
    right: float,
    end: float,
    language: Language,
) -> tuple[list[Grid], Callable[[Place], list[Mark]]]:
    """A kernel for each position that is shown, in its colour, and what to mark for a position."""
    if len(shown) > MOST_KERNELS or rank == 3:
        return [], _nothing
    down, across = (1, *layer.kernel_size)[-2:]
    size = down * across
    width = across + 1 if rank == 2 else across + 2
    columns = len({place[-1] for place in shown}) if rank == 2 else max(1, int(max(right, 20) // width))
    left, top = (right + 2.5, 0.0) if rank == 2 else (0.0, end + 2.5)
    grids = []
    for index, place in enumerate(shown):
        turn, step = divmod(index, columns)
        at = (left + step * width, top + turn * (down + (1 if rank == 2 else 1.6)))
        styles: dict[int, Style] = dict.fromkeys(range(size), "weight")
        title = _SAID.kernels(language) if not index else " "
        texts = {tap: f"w{tap}" for tap in range(size)} if rank == 1 else {}
        grids.append(
            Grid(
                f"kernel {index}",
                down,
                across,
                at,
                texts,
                styles,
                dict.fromkeys(range(size), colours[place]),
                title=title,
            )
        )
    numbers = {place: index for index, place in enumerate(shown)}
    return grids, lambda place: [Mark(f"kernel {numbers[place]}", tap, colours[place]) for tap in range(size)]


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
    every = real = 1
    for all_, inside in zip(touched, within, strict=True):
        every, real = every * len(all_), real * len(inside)
    return (
        caption if spreads or every == real else _SAID.padded(language, caption=caption, count=every - real, all=every)
    )


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
        terms = [
            f"w{tap}{own}·{f'x[{place}]' if 0 <= place < axis.places else '0'}" for tap, place in axis.taps(position)
        ]
        return f"y[{position}] = {' + '.join(terms)}"
    largest = isinstance(layer, (pooling.MaxPooling, pooling.GlobalMaxPooling, pooling.AdaptiveMaxPooling))
    return f"y[{position}] = {'max' if largest else 'mean'}({', '.join(f'x[{place}]' for _, place in inside)})"


def _notes(
    layer: Any, axes: Sequence[Sliding], cuts: Sequence[Cut], names: Sequence[str], language: Language
) -> Iterable[str]:
    spreads = isinstance(layer, convolution.ConvTranspose)
    if len(axes) == 3:
        yield _SAID.slices(language, axis=names[0])
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
    if isinstance(layer, convolution.DepthwiseConv) or not isinstance(
        layer, (convolution._Convolution, LocallyConnected)
    ):
        return [grouped(inputs, outputs, inputs)]
    return [grouped(inputs, outputs, getattr(layer, "groups", 1) or 1)]


def _group(output: int, share: int, each: int) -> list[tuple[int, int]]:
    start = output // each * share
    return list(enumerate(range(start, start + share)))


def _over_channels(layer: Any, inputs: Shape, outputs: Shape, language: Language) -> list[Scene]:
    """Channels as rows of cells, and a line wherever one sees another."""
    before, after = inputs[layer.channel_axis], outputs[layer.channel_axis]
    if before is None or after is None or (before == after == 1):
        return []
    found = stages(layer, before, after)
    rows = _rows([stage for stage, _ in found])
    sizes = [before, *(stage.positions for stage, _ in found)]
    titles = [_SAID.input_channels, *[_SAID.between_channels] * (len(found) - 1), _SAID.output_channels]
    widest, boards = max(map(len, rows)), []
    for number, (title, size, row) in enumerate(zip(titles, sizes, rows, strict=True)):
        corner = (widest - len(row)) / 2, 4.0 * number
        boards.append(_board(f"channels {number}", title(language, count=size), [row], [size], corner, [""], language))
    links = []
    for number, (stage, groups) in enumerate(found):
        upper, lower = boards[number : number + 2]
        if groups > 1:  # a group in its colour, on both sides
            boards[number] = upper = _grouped(upper, stage.places // groups)
            boards[number + 1] = lower = _grouped(lower, stage.positions // groups)
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


def _grouped(board: Board, each: int) -> Board:
    return _recoloured(board, {place: place[0] // each % MOST_COLOURS for place in board.cells})


def _of_channel(
    output: int, found: Sequence[Sliding], boards: Sequence[Board], links: Sequence[Link], language: Language
) -> Frame:
    """What an output channel sees, through all stages."""
    marks, seen = [Mark(*boards[-1].cells[output,])], {output}
    for stage, board in zip(reversed(found), reversed(boards[:-1]), strict=True):
        seen = {place for one in seen for place in stage.touched(one)}
        marks += [Mark(*board.cells[place,]) for place in sorted(seen) if (place,) in board.cells]
    marked = {(mark.grid, mark.cell) for mark in marks}
    strong = [link for link in links if link.start in marked and link.end in marked]
    return Frame(_SAID.from_channels(language, output=output, inputs=_span(sorted(seen))), marks, strong)
