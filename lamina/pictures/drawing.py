"""Diagrams as pictures: SVG as text, PNG and PDF by matplotlib (`pip install lamina[plot]`)."""

from __future__ import annotations

import html
import io
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from ..core.errors import needing, warn
from .diagram import Box, Cell, Diagram
from .layout import MARGIN, Layout, Place, Points, Size, laid_out, without_angles

TITLE, TEXT = 12.0, 10.0  # sizes of letters, in points
PAD = 8.0
HEAD = 20.0  # of the title of a nested model
_HEADING, _ROW = TITLE + PAD * 1.5, TEXT + PAD * 1.5  # heights of a box's title, and of a row
EDGE = 12.0  # round the picture
ARROW = 6.0
MOST_PIXELS = 60_000  # a side: what matplotlib and PNG readers take
FONTS = (
    "DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei", "Droid Sans Fallback", "Microsoft YaHei", "SimHei", "PingFang SC", "Hiragino Sans GB",
    "Arial Unicode MS", "Unifont",
)  # fmt: skip
# Widths of letters in parts of their size, no less than in any usual font.
_NARROW, _WIDE = frozenset("iljftr.,:;|!'()[]/ "), frozenset("mwMW@%")


class Rect(NamedTuple):
    at: Place
    fill: str | None
    dashed: bool = False
    line: str = "black"
    width: float = 1.0


class Label(NamedTuple):
    x: float  # of its middle, or of its beginning
    y: float  # of its middle
    text: str
    size: float
    colour: str
    bold: bool = False
    middle: bool = True


class Line(NamedTuple):
    points: Points
    curved: bool
    colour: str = "black"
    width: float = 1.0
    dashed: bool = False
    head: bool = True


Shape = Rect | Label | Line


def width_of(text: str, size: float, bold: bool = False) -> float:
    """An upper estimate of a text's width."""
    return size * (1.1 if bold else 1.0) * sum(map(_letter, text))


def _letter(letter: str) -> float:
    if unicodedata.combining(letter):
        return 0.0
    if letter in _NARROW:
        return 0.42
    if letter in _WIDE or unicodedata.east_asian_width(letter) in "WF":
        return 1.03
    return 0.78 if letter.isupper() else 0.66


def drawn(diagram: Diagram, rankdir: str, splines: str, format: str, dpi: float, columns: int | None = 1) -> bytes:
    """The bytes of a picture, "svg", "png" or "pdf". Raises ValueError for another format."""
    if format not in ("svg", "png", "pdf"):
        raise ValueError(f"plot_model: pictures are written as .svg, .png or .pdf; got {format!r}.")
    layout = placed(diagram, rankdir, splines, columns)
    shapes = list(_shapes(diagram, layout.moved(EDGE, EDGE), splines))
    width, height = layout.width + 2 * EDGE, layout.height + 2 * EDGE
    if format == "svg":
        return _svg(shapes, width, height).encode()
    return by_matplotlib(shapes, width, height, format, dpi)


def placed(diagram: Diagram, rankdir: str, splines: str, columns: int | None = 1) -> Layout:
    """Places of all boxes, frames and arrows, in the direction that is asked for."""
    across = rankdir in ("LR", "RL")

    def size(box: Box) -> Size:
        width, height = size_of(box)
        return (height, width) if across else (width, height)

    def room(title: str) -> tuple[Size, Size]:
        width = width_of(title, TEXT) + 2 * MARGIN
        return ((HEAD, 0.0), (0.0, width)) if across else ((0.0, HEAD), (width, 0.0))

    layout = laid_out(diagram, size, room, columns)
    if splines != "ortho":
        layout.arrows = [without_angles(points) for points in layout.arrows]
    return _turned(layout, rankdir)


def size_of(box: Box) -> Size:
    widths = [sum(map(_cell_width, row)) for row in box.rows]
    return max(width_of(box.title, TITLE, True) + 2 * PAD, *widths, 40.0), _HEADING + len(box.rows) * _ROW


def _cell_width(cell: Cell) -> float:
    return width_of(_said(cell), TEXT) + 2 * PAD


def _said(cell: Cell) -> str:
    return f"{cell.label}: {cell.text}" if cell.label else cell.text


def _turned(layout: Layout, rankdir: str) -> Layout:
    """From top to bottom into another direction."""
    if rankdir == "TB":
        return layout
    across, back = rankdir in ("LR", "RL"), rankdir in ("BT", "RL")
    end = layout.height

    def point(x: float, y: float) -> tuple[float, float]:
        y = end - y if back else y
        return (y, x) if across else (x, y)

    sizes = (layout.height, layout.width) if across else (layout.width, layout.height)
    return layout.turned(*sizes, point)


def _shapes(diagram: Diagram, placed: Layout, splines: str) -> Iterator[Shape]:
    for title, at in placed.frames:
        yield Rect(at, None, True)
        yield Label(at.x + MARGIN / 2, at.y + HEAD / 2 + 2, title, TEXT, "black", middle=False)
    for points in placed.arrows:
        yield Line(points, splines in ("curved", "spline"))
    for box in diagram.boxes():
        yield from _box(box, placed.boxes[box.key])


def _box(box: Box, at: Place) -> Iterator[Shape]:
    yield Rect(Place(at.x, at.y, at.width, _HEADING), box.colour)
    yield Label(at.x + at.width / 2, at.y + _HEADING / 2, box.title, TITLE, "white", True)
    y = at.y + _HEADING
    for row in box.rows:
        spare = (at.width - sum(map(_cell_width, row))) / len(row)
        x = at.x
        for cell in row:
            width = _cell_width(cell) + spare
            yield Rect(Place(x, y, width, _ROW), cell.colour or "white")
            colour = "white" if cell.colour else "black"
            yield Label(x + width / 2, y + _ROW / 2, _said(cell), TEXT, colour)
            x += width
        y += _ROW


def installed_fonts() -> list[str]:
    """Those that matplotlib finds and that have the letters of both languages."""
    from matplotlib.font_manager import fontManager

    there = {font.name for font in fontManager.ttflist}
    return [name for name in FONTS if name in there] or ["sans-serif"]


def head(points: Points) -> list[tuple[float, float]]:
    """The corners of an arrow's head."""
    (x0, y0), (x, y) = points[-2], points[-1]
    length = max(((x - x0) ** 2 + (y - y0) ** 2) ** 0.5, 1e-9)
    dx, dy = (x - x0) / length * ARROW, (y - y0) / length * ARROW
    return [(x, y), (x - dx - dy / 2, y - dy + dx / 2), (x - dx + dy / 2, y - dy - dx / 2)]


def _curve(points: Points) -> list[tuple[float, float]]:
    """Corners and middles between: a quadratic curve goes from one middle to the next, towards a corner."""
    middles = [((x0 + x1) / 2, (y0 + y1) / 2) for (x0, y0), (x1, y1) in pairwise(points)]
    return [each for pair in zip(points[1:-1], [*middles[1:-1], points[-1]], strict=True) for each in pair]


# SVG -------------------------------------------------------------------------------------------------------------


def _svg(shapes: Sequence[Shape], width: float, height: float) -> str:
    size = f'width="{width:.0f}pt" height="{height:.0f}pt" viewBox="0 0 {width:.1f} {height:.1f}"'
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="DejaVu Sans, Helvetica, Arial, sans-serif">']
    lines.append(f'<rect width="{width:.1f}" height="{height:.1f}" fill="white"/>')
    for shape in shapes:
        if isinstance(shape, Rect):
            x, y, w, h = shape.at
            style = f'fill="{shape.fill or "none"}" stroke="black"' + ' stroke-dasharray="4 3"' * shape.dashed
            lines.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" {style}/>')
        elif isinstance(shape, Label):
            style = f'font-size="{shape.size:g}" fill="{shape.colour}"' + ' font-weight="bold"' * shape.bold
            place = f'x="{shape.x:.1f}" y="{shape.y:.1f}" dominant-baseline="central"'
            anchor = ' text-anchor="middle"' * shape.middle
            lines.append(f"<text {place} {style}{anchor}>{html.escape(shape.text)}</text>")
        else:
            lines.append(f'<path d="{way_of(shape.points, shape.curved)}" fill="none" stroke="black"/>')
            lines.append(f'<polygon points="{numbers(head(shape.points))}"/>')
    return "\n".join([*lines, "</svg>", ""])


def way_of(points: Points, curved: bool) -> str:
    """A line as SVG writes it."""
    if curved and len(points) > 2:
        return f"M{numbers(points[:1])}Q{numbers(_curve(points))}"
    return f"M{numbers(points[:1])}L{numbers(points[1:])}"


def numbers(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


# matplotlib ------------------------------------------------------------------------------------------------------


def by_matplotlib(
    shapes: Sequence[Shape], width: float, height: float, format: str, dpi: float, what: str = "plot_model"
) -> bytes:
    """The bytes of a picture of `width` x `height` points. `what` asked for it, as messages say."""
    drawn = f"{what}: {format} pictures are drawn by matplotlib"
    with needing(f"{drawn}: pip install matplotlib. A name that ends in .svg needs nothing."):
        from matplotlib.figure import Figure
        from matplotlib.patches import PathPatch, Polygon, Rectangle
        from matplotlib.path import Path as Way
    if format == "png" and max(width, height) / 72 * dpi > MOST_PIXELS:
        dpi = MOST_PIXELS / max(width, height) * 72
        warn(f"{what}: the picture is drawn at {dpi:.0f} dots per inch: at more, it would be too long.")
    figure = Figure(figsize=(width / 72, height / 72), dpi=dpi)
    axes: Any = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    fonts: Any = {"family": installed_fonts()}

    def pen(shape: Rect | Line) -> dict[str, Any]:
        return {"linewidth": shape.width, "linestyle": "--" if shape.dashed else "-"}

    for order, shape in enumerate(shapes):
        if isinstance(shape, Rect):
            x, y, w, h = shape.at
            colours = {"facecolor": shape.fill or "none", "edgecolor": shape.line}
            axes.add_patch(Rectangle((x, y), w, h, **colours, **pen(shape), zorder=order))
        elif isinstance(shape, Label):
            looks = {"fontsize": shape.size, "color": shape.colour, "fontweight": "bold" if shape.bold else "normal"}
            place = {"ha": "center" if shape.middle else "left", "va": "center"}
            axes.text(shape.x, shape.y, shape.text, parse_math=False, zorder=order, **looks, **place, **fonts)
        else:
            points, codes = list(shape.points), [Way.MOVETO] + [Way.LINETO] * (len(shape.points) - 1)
            if shape.curved and len(points) > 2:
                points = [points[0], *_curve(points)]
                codes = [Way.MOVETO] + [Way.CURVE3] * (len(points) - 1)
            line = PathPatch(Way(points, codes), fill=False, edgecolor=shape.colour, **pen(shape), zorder=order)
            axes.add_patch(line)
            if shape.head:
                axes.add_patch(Polygon(head(shape.points), facecolor=shape.colour, linewidth=0, zorder=order))
    target = io.BytesIO()
    said = f"{what}: no installed font has all letters of the texts; a name that ends in .svg shows them."
    saved(figure, target, said, format=format)
    return target.getvalue()


def saved(figure: Any, target: Any, missing: str, **options: Any) -> None:
    """Write a figure; `missing` is the warning where a font lacks letters."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        figure.savefig(target, **options)
    if any("missing from font" in str(each.message) for each in said):
        warn(missing)
