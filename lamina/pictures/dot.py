"""Diagrams as text: Graphviz' DOT and Mermaid."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..core.errors import short
from .diagram import Box, Diagram

_DIRECTIONS = ("TB", "LR", "BT", "RL")
_SPLINES = ("ortho", "curved", "polyline", "spline", "line")


class Look(NamedTuple):
    """How a graph is drawn."""

    rankdir: str
    dpi: float
    splines: str
    columns: int | None

    def check(self, what: str) -> None:
        """Raises ValueError for what is no such thing."""
        rankdir, dpi, splines, columns = self
        if rankdir not in _DIRECTIONS:
            raise ValueError(f"{what}: `rankdir` must be one of {_DIRECTIONS}; got {short(rankdir)}.")
        if isinstance(dpi, bool) or not isinstance(dpi, (int, float)) or not 0 < dpi < 10_000:
            raise ValueError(f"{what}: `dpi` must be a number above 0; got {short(dpi)}.")
        if splines not in _SPLINES:
            raise ValueError(f"{what}: `splines` must be one of {_SPLINES}; got {short(splines)}.")
        if columns is not None and (isinstance(columns, bool) or not isinstance(columns, int) or columns < 1):
            raise ValueError(f"{what}: `columns` must be a whole number of at least 1, or None; got {short(columns)}.")


class Dot:
    """A model's graph in Graphviz' language. `str()` is the text; in a notebook it shows as a picture."""

    def __init__(self, diagram: Diagram, look: Look, subgraph: bool = False):
        self._diagram, self._look, self._subgraph = diagram, look, subgraph

    def to_string(self) -> str:
        return "\n".join(self._lines()) + "\n"

    __str__ = to_string

    def write(self, path: str | Path, prog: str | None = None, format: str = "raw") -> bool:
        """Write the text ("raw" or "dot", or "mmd" for Mermaid's) or a picture ("svg", "png", "pdf")."""
        Path(path).write_bytes(self.create(prog, format))
        return True

    def create(self, prog: str | None = None, format: str = "svg") -> bytes:
        """The bytes of such a file. `prog` is there for Graphviz' "dot" alone, whose layout this is not."""
        from . import drawing

        if prog not in (None, "dot"):
            raise ValueError(f"Graphviz' program {prog!r} is not used here: leave `prog` out.")
        if format in ("raw", "dot"):
            return self.to_string().encode()
        if format == "mmd":
            return self.mermaid().encode()
        rankdir, dpi, splines, columns = self._look
        return drawing.drawn(self._diagram, rankdir, splines, format, dpi, columns)

    def mermaid(self) -> str:
        """The graph in Mermaid's language, which documents on the web show."""
        return mermaid(self._diagram, self._look.rankdir)

    def _repr_svg_(self) -> str:
        return self.create(format="svg").decode()

    def _repr_html_(self) -> str:
        """The picture in its own size, to be scrolled where that is larger than the page."""
        return f'<div style="overflow:auto;max-height:85vh;background:white">{self._repr_svg_()}</div>'

    def _lines(self) -> Iterator[str]:
        if self._subgraph:
            yield from _cluster(self._diagram, "")
            return
        yield f"digraph {_quoted(self._diagram.title)} {{"
        rankdir, dpi, splines, _ = self._look
        yield f"  rankdir={rankdir}; dpi={dpi:g}; splines={splines}; concentrate=true;"
        yield '  node [shape=plain, fontname="Helvetica"];'
        yield from _body(self._diagram, "  ")
        yield "}"


def _cluster(diagram: Diagram, indent: str) -> Iterator[str]:
    yield f"{indent}subgraph cluster_{diagram.key} {{"
    yield f"{indent}  label={_quoted(diagram.title)}; labeljust=l; style=dashed;"
    yield from _body(diagram, indent + "  ")
    yield f"{indent}}}"


def _body(diagram: Diagram, indent: str) -> Iterator[str]:
    for part in diagram.parts:
        if isinstance(part, Diagram):
            yield from _cluster(part, indent)
        else:
            yield f"{indent}{part.key} [label=<{_table(part)}>];"
    for before, after in diagram.arrows:
        yield f"{indent}{before} -> {after};"


def _table(box: Box) -> str:
    """A box as the table of an HTML-like label."""
    span = max([1, *map(len, box.rows)])

    def cell(text: str, colour: str, back: str, width: int) -> str:
        return f'<td colspan="{width}" bgcolor="{back}"><font color="{colour}">{text}</font></td>'

    lines = [f"<tr>{cell(f'<b>{html.escape(box.title)}</b>', 'white', box.colour, span)}</tr>"]
    for row in box.rows:
        width = span if len(row) == 1 else 1
        cells = [
            cell(
                f"{html.escape(label)}{': ' * bool(label)}<b>{html.escape(text)}</b>",
                "white" if colour else "black",
                colour or "white",
                width,
            )
            for label, text, colour in row
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f'<table border="0" cellborder="1" cellspacing="0" cellpadding="8">{"".join(lines)}</table>'


def _quoted(text: str) -> str:
    """A string of DOT, in which only quotes and what stands for line ends are special."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def mermaid(diagram: Diagram, rankdir: str) -> str:
    """The diagram in Mermaid's language, which documents on the web show."""

    def body(part: Diagram, indent: str) -> Iterator[str]:
        for each in part.parts:
            if isinstance(each, Diagram):
                yield f'{indent}subgraph {each.key}["{_escaped(each.title)}"]'
                yield from body(each, indent + "  ")
                yield f"{indent}end"
            else:
                rows = [f"{cell.label}{': ' * bool(cell.label)}{cell.text}" for row in each.rows for cell in row]
                yield f'{indent}{each.key}["{"<br/>".join(map(_escaped, [each.title, *rows]))}"]'
        for before, after in part.arrows:
            yield f"{indent}{before} --> {after}"

    return "\n".join([f"flowchart {rankdir}", *body(diagram, "  ")]) + "\n"


_MERMAID = {ord(sign): f"#{ord(sign)};" for sign in '#"<>&`[](){}|\\'}


def _escaped(text: str) -> str:
    return text.translate(_MERMAID)
