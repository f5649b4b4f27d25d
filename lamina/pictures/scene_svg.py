"""Scenes as SVG. It moves by style sheets alone: a frame after the other, still under the pointer."""

from __future__ import annotations

import hashlib
import html
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .drawing import Label, Rect, numbers, way_of
from .drawing import head as head_of
from .scene import Scene
from .scene_shapes import DARK, LIGHT, Colours, Item, Picture, picture

SECONDS = 0.8  # a frame
FONTS = "system-ui, 'Segoe UI', Roboto, 'Noto Sans', 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif"


def svg(scene: Scene, still: bool = False) -> str:
    """The scene as one `<svg>`, which needs nothing else. `still`: the most telling frame, and no other."""
    drawn = picture(scene)
    if still:
        items = [item._replace(frame=None) for item in drawn.items if item.frame in (None, drawn.telling)]
        drawn = drawn._replace(items=items, frames=1)
    body = "".join(_groups(drawn))
    key = "lamina-" + hashlib.sha256(body.encode()).hexdigest()[:8]  # styles in a page are everyone's
    says = f"<title>{html.escape(drawn.title)}</title><desc>{html.escape(drawn.says)}</desc>"
    style = f"<style>{''.join(_styles(key, drawn))}</style>"
    return f"{_open(drawn.width, drawn.height, key)}{says}{style}{body}</svg>\n"


def stacked(parts: Sequence[str], sizes: Sequence[tuple[float, float]], across: bool = False) -> str:
    """Pictures below or beside each other, as one; `sizes` in pixels."""
    widths, heights = zip(*sizes, strict=True)
    width, height = (sum(widths), max(heights)) if across else (max(widths), sum(heights))
    body, at = "", 0.0
    for part, size in zip(parts, sizes, strict=True):
        body += part.replace("<svg ", f'<svg {"x" if across else "y"}="{at:.1f}" ', 1)
        at += size[0 if across else 1]
    return f"{_open(width, height, 'lamina')}{body}</svg>\n"


def _open(width: float, height: float, key: str) -> str:
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.1f} {height:.1f}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" class="{key}">'


def _styles(key: str, drawn: Picture) -> Iterator[str]:
    used = {item.role for item in drawn.items}
    yield f".{key}{{max-width:100%;height:auto;font-family:{FONTS}}}.{key} text{{dominant-baseline:central}}"
    yield f".{key} .m{{text-anchor:middle}}.{key} .b{{font-weight:600}}"
    yield from _colours(key, used, LIGHT)
    yield f"@media (prefers-color-scheme:dark){{{''.join(_colours(key, used, DARK))}}}"
    if drawn.frames > 1:
        total, share = SECONDS * drawn.frames, 100 / drawn.frames
        yield f"@keyframes {key}{{0%{{visibility:visible}}{share:.4f}%,100%{{visibility:hidden}}}}"
        yield f"@media (prefers-reduced-motion:no-preference){{.{key} .f{{animation:{key} {total:g}s step-end infinite;"
        yield f"animation-delay:calc(var(--i)*{SECONDS}s - {total:g}s)}}"
        yield f".{key}:hover .f{{animation-play-state:paused}}}}"


def _colours(key: str, used: Iterable[str], colours: Colours) -> Iterator[str]:
    for role in sorted(used):
        inside, line = colours[role]
        yield f".{key} .{role}{{fill:{inside};stroke:{line}}}"


def _groups(drawn: Picture) -> Iterator[str]:
    """The shapes in their order; those of a frame, in a group that shows itself in its turn."""
    for frame, items in itertools.groupby(drawn.items, lambda item: item.frame):
        text = "".join(_shapes(list(items)))
        if frame is None:
            yield text
        else:
            hidden = "" if frame == drawn.telling else ' visibility="hidden"'
            yield f'<g class="f" style="--i:{frame}"{hidden}>{text}</g>'


def _shapes(items: Sequence[Item]) -> Iterator[str]:
    def alike(item: Item) -> tuple:
        shape = item.shape
        if isinstance(shape, Label):
            return "text", item.role, id(item)
        return type(shape).__name__, item.role, shape.width, shape.dashed

    for (_, role, *_), items_alike in itertools.groupby(items, alike):
        group: list[Any] = [item.shape for item in items_alike]
        first = group[0]
        if isinstance(first, Label):
            classes = " ".join([role, *["b"] * first.bold, *["m"] * first.middle])
            place = f'x="{first.x:.1f}" y="{first.y:.1f}" font-size="{first.size:.3g}"'
            yield f'<text class="{classes}" {place}>{html.escape(first.text)}</text>'
            continue
        dashes = ' stroke-dasharray="3 2.5"' * first.dashed
        width = f' stroke-width="{first.width:g}"' if first.width != 1 else ""
        if isinstance(first, Rect):
            way = "".join("M{:.1f} {:.1f}h{:.1f}v{:.1f}h-{:.1f}z".format(*at, at[2]) for at, *_ in group)
            yield f'<path class="{role}"{width}{dashes} d="{way}"/>'
        else:
            way = "".join(way_of(line.points, line.curved) for line in group)
            yield f'<path class="{role}"{width}{dashes} style="fill:none" d="{way}"/>'
            heads = "".join(f"M{numbers(head_of(line.points))}z" for line in group if line.head)
            if heads:
                yield f'<path class="{role}" d="{heads}"/>'
