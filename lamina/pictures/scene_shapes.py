"""Where everything in the picture of a scene stands, in pixels, and its colours in light and dark."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from .drawing import Label, Line, Rect, width_of
from .layout import Place
from .scene import PLAIN, Curve, Frame, Grid, Link, Scene

EDGE = 14.0  # round the picture
LARGEST, SMALLEST = 28.0, 15.0  # sides of a cell
WIDEST = 860.0  # of what is in cells, while those are not the smallest
NARROWEST = 380.0  # of a picture: captions need room
TITLE, HEAD, TEXT = 15.0, 12.0, 12.0  # sizes of letters
LINE = 18.0  # from a line of text to the next


class Item(NamedTuple):
    """A shape, what it is drawn for, which tells its colours, and the frame it belongs to; None: all of them."""

    shape: Rect | Label | Line
    role: str
    frame: int | None = None


class Picture(NamedTuple):
    width: float
    height: float
    items: Sequence[Item]  # what is in front comes last
    frames: int
    telling: int  # the frame to show where nothing moves
    title: str
    says: str  # the caption of that frame


# Colours: Okabe and Ito's, which colour-blind people tell apart, as tints that letters stay readable on -------------

STRONG = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#b5a800", "#8c6bb1")
Colours = Mapping[str, tuple[str, str]]  # of a role: inside, and line


def _mixed(colour: str, share: float, paper: str) -> str:
    pairs = ((int(colour[i : i + 2], 16), int(paper[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)


def _theme(paper: str, ink: str, faint: str, cell: str, edge: str, soft: float, strong: float) -> Colours:
    roles = {
        "paper": (paper, "none"), "back": (paper, "none"), "ink": (ink, "none"), "faint": (faint, "none"),
        "value": (cell, edge), "pad": (paper, edge), "dropped": (paper, edge), "cross": ("none", faint),
        "weight": (_mixed(faint, 0.14, cell), edge), "state": (_mixed("#0072b2", 0.14, cell), edge),
        "masked": (_mixed(faint, 0.35, cell), edge), "box": ("none", edge), "axis": ("none", _mixed(edge, 0.5, paper)),
    }  # fmt: skip
    for number, colour in ((PLAIN, faint), *enumerate(STRONG)):
        line = ink if number == PLAIN else _mixed(colour, 0.85, ink)
        roles[f"of{number}"] = _mixed(colour, soft, cell), edge
        roles[f"mark{number}"] = _mixed(colour, strong, cell), line
        roles[f"link{number}"] = line, line
        roles[f"line{number}"] = _mixed(colour, 0.6, paper), _mixed(colour, 0.6, paper)
    return roles


LIGHT = _theme("#ffffff", "#1f2328", "#59636e", "#ffffff", "#8c959f", 0.24, 0.55)
DARK = _theme("#0d1117", "#e6edf3", "#9198a1", "#161b22", "#59636e", 0.3, 0.55)


def telling(scene: Scene) -> int:
    """The frame that shows most; of those, the one nearest to the middle."""
    middle = (len(scene.frames) - 1) / 2
    return min(
        range(len(scene.frames)),
        key=lambda at: (-len(scene.frames[at].marks) - len(scene.frames[at].links), abs(at - middle)),
    )


def lines_of(text: str, width: float, width_of: Callable[[str], float]) -> list[str]:
    """The text in lines no wider than `width`: broken at spaces, or after any Chinese character."""
    lines, line = [], ""
    for word in _words(text):
        if line and width_of((line + word).rstrip()) > width:
            lines.append(line.rstrip())
            line = word.lstrip()
        else:
            line += word
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


_CLOSING = frozenset("，。；：、！？）》」")  # begin no line


def _words(text: str) -> Iterator[str]:
    word = ""
    for letter, following in itertools.zip_longest(text, text[1:], fillvalue=""):
        word += letter
        if letter == " " or (ord(letter) > 0x2E80 and following not in _CLOSING):
            yield word
            word = ""
    yield word


def picture(scene: Scene) -> Picture:
    """All shapes of a scene."""
    across, down = scene.size
    side = max(SMALLEST, min(LARGEST, WIDEST / max(across, 1)))
    left, top = EDGE, EDGE + LINE * 1.5 + (LINE if any(grid.at[1] < 1 for grid in scene.grids) else 0)

    def pixel(x: float, y: float) -> tuple[float, float]:
        return left + x * side, top + y * side

    heads = list(_heads(scene, side, pixel))
    rights = [head.x + width_of(head.text, head.size, head.bold) + EDGE for head in heads]
    rights += [pixel(*note.at)[0] + width_of(note.text, TEXT) + EDGE for note in scene.notes]
    rights += [pixel(curve.at[0] + curve.size[0], 0)[0] + 60 for curve in scene.curves]  # its numbers
    width = max([NARROWEST, width_of(scene.title, TITLE, True) + 2 * EDGE, left + across * side + EDGE, *rights])
    chosen = telling(scene)

    items = [Item(Rect(Place(0, 0, width, 0), None), "paper")]  # its height is known at the end
    items.append(Item(Label(left, EDGE + TITLE / 2, scene.title, TITLE, "", True, False), "ink"))
    grids = {grid.name: grid for grid in scene.grids}
    frames: list[tuple[int | None, Frame]] = [(None, Frame("", (), scene.links)), *enumerate(scene.frames)]
    behind, between, before = [], [], []
    for at, frame in frames:
        ends = Counter(link.end for link in frame.links)
        for link in frame.links:
            line, inside = _line(link, grids, side, pixel, at is None, ends[link.end] <= 5)
            role = f"{'line' if at is None else 'link'}{_colour(link.colour)}"
            plane = all(grids[name].rows > 1 and grids[name].columns > 1 for name, _ in (link.start, link.end))
            (before if inside else between if plane else behind).append(Item(line, role, at))
    items += behind
    items += (item for grid in scene.grids for item in _cells(grid, side, pixel))
    items += between  # from cell to cell, over those that stand between
    for at, frame in enumerate(scene.frames):
        for mark in frame.marks:
            place = _place(grids[mark.grid], mark.cell, side, pixel, 1.0)
            dashed = grids[mark.grid].styles.get(mark.cell) == "pad"
            items.append(Item(Rect(place, None, dashed, width=2.0), f"mark{_colour(mark.colour)}", at))
    items += (item for grid in scene.grids for item in _over(grid, side, pixel))
    items += before
    for head in heads:
        back = Place(head.x - 2, head.y - 7, width_of(head.text, head.size) * 0.9 + 4, 14)
        items += [Item(Rect(back, None), "back"), Item(head, "ink" if head.bold else "faint")]
    items += (item for curve in scene.curves for item in _curve(curve, side, pixel))
    items += (Item(Label(*pixel(*note.at), note.text, TEXT, "", middle=False), "faint") for note in scene.notes)

    below = [pixel(*note.at)[1] + LINE / 2 for note in scene.notes]
    below += [head.y + LINE / 3 for head in heads]
    below += [pixel(0, curve.at[1] + curve.size[1])[1] + LINE for curve in scene.curves]
    y = max([pixel(0, down)[1], *below]) + LINE
    for item in _legend(scene.legend, left, y, width - EDGE):
        items.append(item)
        y = max(y, item.shape.y) if isinstance(item.shape, Label) else y
    y += LINE * 1.2 * bool(scene.legend)
    captions = [lines_of(frame.caption, width - 2 * EDGE, partial(width_of, size=13)) for frame in scene.frames]
    for at, lines in enumerate(captions):
        frame = None if len(captions) == 1 else at
        for turn, line in enumerate(lines):
            items.append(Item(Label(left, y + turn * LINE, line, 13, "", middle=False), "ink", frame))
    most = max(map(len, captions)) if any(frame.caption for frame in scene.frames) else 0
    height = y + (most - 1) * LINE + EDGE if most else y - LINE / 2 + EDGE / 2
    items[0] = Item(Rect(Place(0, 0, width, height), None), "paper")
    return Picture(width, height, items, len(scene.frames), chosen, scene.title, scene.frames[chosen].caption)


def _colour(number: int) -> int:
    return number if number == PLAIN else number % len(STRONG)


def _heads(scene: Scene, side: float, pixel) -> Iterator[Label]:
    """Titles, with the names of the axes where they have room before the next one.

    They stand above the grids; below, where lines come from above and there is room; beside rows that lines come to
    from above and leave below.
    """
    grids = scene.grids
    tops = {grid.name: grid.at[1] for grid in grids}
    links = [*scene.links, *(link for frame in scene.frames for link in frame.links)]
    pairs = {
        (start, end) for link in links for start, end in ((link.start[0], link.end[0]), (link.end[0], link.start[0]))
    }
    come = {one for one, other in pairs if tops[other] < tops[one]}
    leave = {one for one, other in pairs if tops[other] > tops[one]}
    above = come - leave
    ways = {
        name: [scene.grid(other) for one, other in pairs if one == name and tops[other] != tops[name]]
        for name in come & leave
    }
    for grid in grids:
        x, y = grid.at
        title, end = grid.label, y + grid.rows
        under = [other.at[1] for other in grids if other.at[1] >= end and _over_each_other(grid, other)]
        under += [note.at[1] for note in scene.notes if note.at[1] >= end]
        below = grid.name in above and min(under, default=math.inf) >= end + 1.4
        right = scene.beside(grid)
        level = [other.at[0] for other in right if other.label]
        room = (min(level, default=math.inf) - x) * side - 6
        left, line = pixel(x, end if below else y)
        line += 11 if below else -10
        through = ways.get(grid.name, [])
        if through and not level and all(_over_each_other(grid, other) for other in through):
            left, line = pixel(max(other.at[0] + other.columns for other in (grid, *right)) + 0.25, y + grid.rows / 2)
        size = max(8.0, min(HEAD, HEAD * room / max(width_of(title, HEAD, True), 1)))
        if title:
            yield Label(left, line, title, size, "", True, False)
        names = "  ".join(f"{arrow} {name}" for arrow, name in zip("↓→", grid.axes, strict=True) if name)
        start = width_of(title, size, True) + 8 if title else 0
        if names and start + width_of(names, 11) < room:
            yield Label(left + start, line, names, 11, "", False, False)


def _over_each_other(one: Grid, other: Grid) -> bool:
    return one.at[0] < other.at[0] + other.columns and other.at[0] < one.at[0] + one.columns


def _place(grid: Grid, cell: int, side: float, pixel, inset: float = 0.0) -> Place:
    down, across = divmod(cell, grid.columns)
    x, y = pixel(grid.at[0] + across, grid.at[1] + down)
    return Place(x + inset, y + inset, side - 2 * inset, side - 2 * inset)


def _cells(grid: Grid, side: float, pixel) -> Iterator[Item]:
    for cell in range(grid.rows * grid.columns):
        style = grid.styles.get(cell, "value")
        if style == "gap":
            continue
        role = f"of{_colour(grid.colours[cell])}" if cell in grid.colours else style
        yield Item(Rect(_place(grid, cell, side, pixel), None, style == "pad"), role)


def _over(grid: Grid, side: float, pixel) -> Iterator[Item]:
    """Texts, and crosses through what is masked or dropped."""
    for cell, style in grid.styles.items():
        if style in ("masked", "dropped"):
            x, y, w, h = _place(grid, cell, side, pixel, side * 0.2)
            yield Item(Line([(x, y), (x + w, y + h)], False, head=False), "cross")
            if style == "dropped":
                yield Item(Line([(x, y + h), (x + w, y)], False, head=False), "cross")
    widest = max((width_of(text, 1) for text in grid.texts.values()), default=0)
    size = min(side * 0.46, 12.5, (side - 3) / max(widest, 0.1))
    for cell, text in grid.texts.items():
        x, y, w, h = _place(grid, cell, side, pixel)
        if size >= 4.5:
            yield Item(Label(x + w / 2, y + h / 2, text, size, ""), "ink")


def _line(link: Link, grids: Mapping[str, Grid], side: float, pixel, thin: bool, head: bool) -> tuple[Line, bool]:
    """The line of a link, and whether it stays inside one grid, where it must be in front of the cells."""
    (a, start), (b, end) = link.start, link.end
    one, other = pixel(*grids[a].centre(start)), pixel(*grids[b].centre(end))
    width, head = 1.0 if thin else 1.8 if head else 1.3, head and not thin
    if a == b and start != end:
        bend = side * min(0.55 + 0.12 * math.dist(one, other) / side, 1.6)
        half = side / 2
        (x, y), (to, below) = one, other
        if y == below:
            points = [(x, y - half), ((x + to) / 2, y - half - bend), (to, y - half)]
        else:
            points = [(x + half, y), (x + half + bend, (y + below) / 2), (to + half, below)]
        return Line(points, True, width=width, dashed=link.dashed, head=head), True
    points = [_towards(one, other, side / 2), _towards(other, one, side / 2)]
    return Line(points, False, width=width, dashed=link.dashed, head=head), False


def _towards(point: tuple[float, float], other: tuple[float, float], reach: float) -> tuple[float, float]:
    """Where the way from the middle of a cell to another point leaves the cell."""
    dx, dy = other[0] - point[0], other[1] - point[1]
    part = reach / max(abs(dx), abs(dy), reach)
    return point[0] + dx * part, point[1] + dy * part


def _curve(curve: Curve, side: float, pixel) -> Iterator[Item]:
    x, y = pixel(*curve.at)
    w, h = curve.size[0] * side, curve.size[1] * side
    left, right, least, most = curve.limits
    spare = (most - least) * 0.06 or 1.0
    low, high = least - spare, most + spare

    def at(one: float, value: float) -> tuple[float, float]:
        return x + (one - left) / ((right - left) or 1.0) * w, y + (high - value) / (high - low) * h

    yield Item(Rect(Place(x, y, w, h), None), "box")
    for inside, *ends in ((left < 0 < right, (0, low), (0, high)), (low < 0 < high, (left, 0), (right, 0))):
        if inside:
            yield Item(Line([at(*end) for end in ends], False, head=False), "axis")
    yield Item(Line([at(*point) for point in curve.points], False, width=2.0, head=False), "link0")
    for value, where in ((left, 0.0), (right, w)):
        yield Item(Label(x + where, y + h + 10, f"{value:.3g}", 11, ""), "faint")
    for value in (most, least):
        yield Item(Label(x + w + 5, at(left, value)[1], f"{value:.3g}", 11, "", middle=False), "faint")
    yield Item(Label(x, y - 10, curve.name, HEAD, "", True, False), "ink")


def _legend(legend: Mapping[int, str], left: float, y: float, right: float) -> Iterator[Item]:
    x = left
    for colour, text in legend.items():
        wide = 20 + width_of(text, TEXT) + 14
        if x > left and x + wide > right:
            x, y = left, y + LINE
        yield Item(Rect(Place(x, y - 6, 12, 12), None), f"mark{_colour(colour)}")
        yield Item(Label(x + 18, y, text, TEXT, "", middle=False), "ink")
        x += wide
