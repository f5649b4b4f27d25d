"""Scenes as text for the terminal: cells as letters, lines between them in dots of Braille."""

from __future__ import annotations

import itertools
import math
import unicodedata
from collections.abc import Iterable
from typing import Any

from .scene import PLAIN, Curve, Frame, Grid, Link, Mark, Note, Scene, Style
from .scene_shapes import lines_of, telling

CELLS: dict[Style, str] = {
    "value": "□", "pad": "░", "weight": "▫", "state": "◇", "masked": "/", "dropped": "×", "gap": "…",
}  # fmt: skip
MARKED, MARKED_PAD = "■", "▓"
COLOURS = (  # names that every terminal has, in the order of those in pictures
    "bright_blue", "bright_red", "bright_green", "bright_magenta", "bright_yellow", "bright_cyan", "yellow", "magenta",
)  # fmt: skip
LINES = 44  # of all frames together, about
MOST_LINKS = 24  # in all frames alike: more would be a blot
Run = tuple[str, str]  # a text, and its style as rich knows it
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # of a Braille letter: rows of two


def text(scene: Scene, width: int = 80, frames: int | None = None) -> str:
    """The scene in lines of at most `width` columns: its title, and some frames below each other, the captions last."""
    lines = ("".join(run for run, _ in line).rstrip() for line in _lines(scene, width, frames))
    return "\n".join(lines) + "\n"


def coloured(scene: Scene, width: int = 80, frames: int | None = None) -> Any:
    """The same as a text of rich."""
    from rich.text import Text

    result = Text(no_wrap=True)
    for line in _lines(scene, width, frames):
        for run, style in line:
            result.append(run, style)
        result.append("\n")
    return result


def columns_of(text: str) -> int:
    """Columns a text takes in a terminal: two for each Chinese character."""
    return sum(0 if unicodedata.combining(one) else 1 + (unicodedata.east_asian_width(one) in "WF") for one in text)


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """The text in lines of at most `width` columns, those from the second on indented."""
    lines = lines_of(text, width - len(indent), columns_of)
    return [line if not number else indent + line for number, line in enumerate(lines)]


def _lines(scene: Scene, width: int, frames: int | None) -> Iterable[list[Run]]:
    for line in wrapped(scene.title, width):
        yield [(line, "bold")]
    yield []
    chosen = _chosen(scene, frames)
    for turn, at in enumerate(chosen):
        frame = scene.frames[at]
        last = turn == len(chosen) - 1
        yield from _drawn(scene, frame, width, last)
        for line in wrapped(frame.caption, width) if frame.caption else []:
            yield [(line, "bold" if len(chosen) > 1 else "")]
        if not last:
            yield []
    if scene.legend:
        yield []
        for colour, said in scene.legend.items():
            yield [(_marked("value", colour), _style(colour)), (f" {said}", "")]


def _chosen(scene: Scene, frames: int | None) -> list[int]:
    """Frames all over the scene, the most telling one among them."""
    count, best = len(scene.frames), telling(scene)
    wanted = max(1, min(4, int(LINES // (scene.size[1] + 4)))) if frames is None else frames
    if wanted >= count:
        return list(range(count))
    if wanted == 1:
        return [best]
    spread = {round(turn * (count - 1) / (wanted - 1)) for turn in range(wanted)}
    nearest = min(spread, key=lambda at: abs(at - best))
    return sorted(spread - {nearest} | {best})


class _Canvas:
    """Letters in columns and lines, each with a style; dots of lines between them where there is no letter."""

    def __init__(self, width: int, height: int):
        self.width, self.height = width, 0
        self.letters: list[list[str | None]] = []
        self.styles: list[list[str]] = []
        self.dots: list[list[int]] = []
        for _ in range(height):
            self.grow()

    def grow(self) -> None:
        """One line more."""
        self.letters.append([None] * self.width)
        self.styles.append([""] * self.width)
        self.dots.append([0] * self.width)
        self.height += 1

    def write(self, x: int, y: int, text: str, style: str = "") -> None:
        for letter in text:
            step = columns_of(letter)
            if 0 <= y < self.height and 0 <= x and x + step <= self.width:
                self.letters[y][x], self.styles[y][x] = letter, style
                if step == 2:
                    self.letters[y][x + 1] = ""
            x += step

    def line(self, start: tuple[float, float], end: tuple[float, float], style: str) -> None:
        """From one place to another, in columns and lines."""
        dots = int(max(abs(end[0] - start[0]) * 2, abs(end[1] - start[1]) * 4, 1))
        for turn in range(dots + 1):
            x = start[0] + (end[0] - start[0]) * turn / dots
            y = start[1] + (end[1] - start[1]) * turn / dots
            column, row = math.floor(x), math.floor(y)
            if 0 <= column < self.width and 0 <= row < self.height:
                self.dots[row][column] |= _DOTS[int((y - row) * 4)][int((x - column) * 2)]
                if self.letters[row][column] is None:
                    self.styles[row][column] = style

    def runs(self) -> Iterable[list[Run]]:
        for letters, styles, dots in zip(self.letters, self.styles, self.dots, strict=True):
            line = []
            for letter, style, dot in zip(letters, styles, dots, strict=True):
                if letter is None:
                    letter, style = (chr(0x2800 + dot), style) if dot else (" ", "")
                line.append((letter, style))
            grouped = itertools.groupby(line, lambda run: run[1])
            yield [("".join(letter for letter, _ in run), style) for style, run in grouped]


def _drawn(scene: Scene, frame: Frame, width: int, notes: bool) -> Iterable[list[Run]]:
    """One frame; blank lines follow each other nowhere."""
    across, down = scene.size
    texts = [text for grid in scene.grids for text in grid.texts.values() if text != CELLS["gap"]]
    longest = max(map(columns_of, texts), default=0)
    cell = next((cell for cell in (longest + 2, longest + 1, 2) if cell > 1 and across * cell <= width), 1)
    cell = max(cell, 2) if across * 2 <= width else 1
    canvas = _Canvas(width, math.ceil(down) + 4)
    grids = {grid.name: grid for grid in scene.grids}
    marks = {(mark.grid, mark.cell): mark for mark in frame.marks}
    colours = {mark.colour for each in scene.frames for mark in each.marks} - {PLAIN}
    marked = {mark.grid for each in scene.frames for mark in each.marks}
    for grid in scene.grids:
        _write_grid(canvas, grid, marks, cell, len(colours) > 1, grid.name in marked)
    for grid in scene.grids:
        _write_title(canvas, grid, scene, cell)
    for note in scene.notes if notes else ():
        _write_note(canvas, note, cell)
    for link in (*(scene.links if len(scene.links) <= MOST_LINKS else ()), *frame.links):
        _draw_link(canvas, link, grids, cell)
    for curve in scene.curves:
        _draw_curve(canvas, curve, cell)
    blank = True
    for line in canvas.runs():
        empty = not "".join(run for run, _ in line).strip()
        if not (empty and blank):
            yield line
        blank = empty


def _at(grid: Grid, cell: int, wide: int) -> tuple[int, int]:
    down, across = divmod(cell, grid.columns)
    return round(grid.at[0] * wide) + across * wide, math.floor(grid.at[1] + 1e-6) + down + 1


def _write_grid(
    canvas: _Canvas, grid: Grid, marks: dict[tuple[str, int], Mark], wide: int, numbered: bool, marked: bool
) -> None:
    """Cells; marked ones as the number of their colour where `numbered`. `marked`: some are, in some frame."""
    said = {cell: text for cell, text in grid.texts.items() if grid.styles.get(cell) != "gap"}
    longest = max(map(columns_of, said.values()), default=0)
    numbers = all(text.isdigit() for text in said.values())
    if longest + (2 if numbers and marked else 1 if numbers and wide > 1 else 0) > wide:
        said = {}  # all of them, or none
    for cell in range(grid.rows * grid.columns):
        x, y = _at(grid, cell, wide)
        mark, style, colour = marks.get((grid.name, cell)), grid.styles.get(cell, "value"), grid.colours.get(cell)
        look = _style(mark.colour) if mark else "dim" if style in ("pad", "gap") else _style(colour, False)
        letters = said.get(cell, "")
        if mark and letters:
            letters = f"[{letters}]" if columns_of(letters) + 2 <= wide else ""
        if not letters:
            letters = _marked(style, mark.colour if numbered else PLAIN) if mark else CELLS[style]
            if colour is not None and style != "gap" and (mark is None or mark.colour == colour):
                letters = chr(ord("A" if mark else "a") + colour % 26)
        canvas.write(x, y, " " * wide)
        canvas.write(x + (wide - columns_of(letters)) // 2, y, letters, look)


def _marked(style: Style, colour: int) -> str:
    if style == "pad":
        return MARKED_PAD
    return MARKED if colour == PLAIN else str(colour % 10)


def _style(colour: int | None, marked: bool = True) -> str:
    if colour is None:
        return ""
    if not marked:
        return COLOURS[colour % len(COLOURS)] if colour != PLAIN else ""
    return "reverse bold" if colour == PLAIN else f"bold black on {COLOURS[colour % len(COLOURS)]}"


def _write_title(canvas: _Canvas, grid: Grid, scene: Scene, wide: int) -> None:
    """Beside a row of cells where there is room, else above."""
    title = grid.label
    if not title:
        return
    x, y = _at(grid, 0, wide)
    end = x + grid.columns * wide + 1
    right = scene.beside(grid)
    if grid.rows == 1 and not right and end + columns_of(title) <= canvas.width:
        canvas.write(end, y, title, "bold")
    else:
        taken = [at for at in range(x, canvas.width) if y > 0 and canvas.letters[y - 1][at] is not None]
        room = min([_at(other, 0, wide)[0] for other in right if other.label] + (taken or [canvas.width + 1])) - x - 1
        names = "".join(f" {arrow}{name}" for arrow, name in zip("↓→", grid.axes, strict=True) if name)
        said = title + names if columns_of(title + names) <= room else title
        while columns_of(said) > room and len(said) > 1:
            said = said[:-2] + "…"
        canvas.write(x, y - 1, said, "bold")


def _write_note(canvas: _Canvas, note: Note, wide: int) -> None:
    y = round(note.at[1]) + 1
    while 0 <= y < canvas.height and any(letter is not None for letter in canvas.letters[y]):
        y += 1  # notes stand closer in pictures than lines do here
    for turn, line in enumerate(wrapped(note.text, canvas.width - round(note.at[0] * wide))):
        while y + turn >= canvas.height:
            canvas.grow()
        canvas.write(round(note.at[0] * wide), y + turn, line, "dim")


def _draw_link(canvas: _Canvas, link: Link, grids: dict[str, Grid], wide: int) -> None:
    if link.start[0] != link.end[0]:
        (x, y), (to, below) = (_at(grids[name], cell, wide) for name, cell in (link.start, link.end))
        middle = (wide - 1) // 2 + 0.5
        style = "" if link.colour == PLAIN else COLOURS[link.colour % len(COLOURS)]
        canvas.line((x + middle, y + 0.5), (to + middle, below + 0.5), style)


def _draw_curve(canvas: _Canvas, curve: Curve, wide: int) -> None:
    left, right, low, high = curve.limits
    x, y = round(curve.at[0] * wide), math.floor(curve.at[1]) + 1
    w, h = min(round(curve.size[0] * wide), canvas.width - x - 8), round(curve.size[1])

    def at(one: float, value: float) -> tuple[float, float]:
        across, down = (one - left) / ((right - left) or 1), (high - value) / ((high - low) or 1)
        return x + across * (w - 0.51), y + down * (h - 0.26)

    for start, end in itertools.pairwise(curve.points):
        canvas.line(at(*start), at(*end), COLOURS[0])
    canvas.write(x, y - 1, curve.name, "bold")
    canvas.write(x + w + 1, y, f"{high:.3g}", "dim")
    canvas.write(x + w + 1, y + h - 1, f"{low:.3g}", "dim")
    canvas.write(x, y + h, f"{left:.3g}", "dim")
    canvas.write(x + w - len(f"{right:.3g}"), y + h, f"{right:.3g}", "dim")
