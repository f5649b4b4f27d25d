"""What a picture of a layer holds, as data: rows of cells, what is marked in them, and lines between them.

Scenes are made from a layer's own arithmetic, and drawn as SVG, PNG or text. Lengths are in cells: a cell is one value,
or one vector where the channels are not shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Style = Literal["value", "pad", "weight", "state", "masked", "dropped", "gap"]
PLAIN = -1  # the colour of what is marked without being one of several


@dataclass(frozen=True)
class Grid:
    """Cells in rows and columns, numbered row by row; `at` is the upper left corner, (across, down)."""

    name: str
    rows: int
    columns: int
    at: tuple[float, float] = (0.0, 0.0)
    texts: Mapping[int, str] = field(default_factory=dict)  # by cell
    styles: Mapping[int, Style] = field(default_factory=dict)  # of cells that are no plain values
    colours: Mapping[int, int] = field(default_factory=dict)  # of cells that belong to one of several, all the time
    axes: tuple[str, str] = ("", "")  # what runs down and what runs across
    title: str = ""  # shown above; empty: the name

    @property
    def label(self) -> str:
        """What is shown above."""
        return (self.title or self.name).strip()

    def centre(self, cell: int) -> tuple[float, float]:
        down, across = divmod(cell, self.columns)
        return self.at[0] + across + 0.5, self.at[1] + down + 0.5


class Mark(NamedTuple):
    """A cell that stands out, in one of the colours: those of taps, heads, groups, or PLAIN."""

    grid: str
    cell: int
    colour: int = PLAIN


class Link(NamedTuple):
    """A line from a cell to a cell: (name of the grid, cell). A dashed one carries nothing new, as past a mask."""

    start: tuple[str, int]
    end: tuple[str, int]
    colour: int = PLAIN
    dashed: bool = False


@dataclass(frozen=True)
class Frame:
    """One moment of a picture that moves: what is marked and joined, and a line that says what happens."""

    caption: str
    marks: Sequence[Mark] = ()
    links: Sequence[Link] = ()


@dataclass(frozen=True)
class Curve:
    """The graph of a function in a box; `points` (x, y) are in its own numbers."""

    name: str
    points: Sequence[tuple[float, float]]
    at: tuple[float, float] = (0.0, 0.0)
    size: tuple[float, float] = (12.0, 6.0)  # of the box, across and down

    @property
    def limits(self) -> tuple[float, float, float, float]:
        """The least and the largest x, the least and the largest y."""
        xs, ys = zip(*self.points, strict=True)
        return min(xs), max(xs), min(ys), max(ys)


class Note(NamedTuple):
    """A text in the picture; `at` is the middle of its left end."""

    at: tuple[float, float]
    text: str


@dataclass(frozen=True)
class Scene:
    """One picture. Grids have different names; `links` are there in every frame, and there is at least one frame."""

    title: str
    grids: Sequence[Grid]
    frames: Sequence[Frame] = (Frame(""),)
    links: Sequence[Link] = ()
    curves: Sequence[Curve] = ()
    notes: Sequence[Note] = ()
    legend: Mapping[int, str] = field(default_factory=dict)  # what a colour stands for

    def beside(self, grid: Grid) -> list[Grid]:
        """The grids at its right, in the same line."""
        return [each for each in self.grids if each.at[0] > grid.at[0] and abs(each.at[1] - grid.at[1]) < 1]

    def grid(self, name: str) -> Grid:
        return next(grid for grid in self.grids if grid.name == name)

    @property
    def size(self) -> tuple[float, float]:
        """Across and down, from (0, 0), titles aside."""
        corners = [(grid.at[0] + grid.columns, grid.at[1] + grid.rows) for grid in self.grids]
        corners += [(curve.at[0] + curve.size[0], curve.at[1] + curve.size[1]) for curve in self.curves]
        corners += [note.at for note in self.notes]
        return max(x for x, _ in corners), max(y for _, y in corners)
