"""Tables told by their columns, for terminals (by rich) and as HTML."""

from __future__ import annotations

import html
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ..core.errors import printable

NUMBER = "color(34)"


def style_sheet(name: str) -> str:
    """A style sheet beside this file, as a page has it inside."""
    lines = Path(__file__).with_name(name).read_text("utf-8").splitlines()
    return f"<style>{''.join(map(str.strip, lines))}</style>"


STYLE = style_sheet("table.css")  # what is shown inside a notebook has no other


class Column(NamedTuple):
    """A column: its title, and what it says of an item, in rich's markup."""

    title: str
    cell: Callable[[Any], str]
    width: int | None = None  # characters; None: a share of what the others leave
    justify: Literal["left", "right", "center"] = "left"


def fixed(columns: Iterable[Column]) -> int:
    """The characters of the columns that have a width, borders included."""
    return sum(column.width + 3 for column in columns if column.width)


def number(value: Any, unit: str = "") -> str:
    return f"[{NUMBER}]{value}[/]{unit}"


def as_rich(
    columns: Sequence[Column], items: Iterable[Any], width: int, shares: Sequence[int], lines: bool = True
) -> Any:
    """The table of `rich`; shares: the characters, borders included, of the columns without a width of their own."""
    from rich.table import Table

    table, left = Table(width=width, show_lines=lines), iter(shares)
    for column in columns:
        table.add_column(column.title, justify=column.justify, width=column.width or max(4, next(left) - 3))
    for item in items:
        table.add_row(*(column.cell(item) for column in columns))
    return table


def as_html(columns: Sequence[Column], items: Sequence[Any], most: int = 100) -> str:
    """The table's first rows; a line tells how many are left out."""
    lines = ["<table>", "<tr>" + "".join(f"<th{_class(column)}>{html.escape(column.title)}</th>" for column in columns)]
    for item in islice(items, most):
        lines.append("<tr>" + "".join(f"<td{_class(column)}>{escaped(column.cell(item))}</td>" for column in columns))
    if len(items) > most:
        lines.append(f'<tr><td class="dim" colspan="{len(columns)}">... and {len(items) - most:,} more')
    return "\n".join([*lines, "</table>"])


def _class(column: Column) -> str:
    return ' class="r"' if column.justify == "right" else ' class="n"'


def escaped(markup: str) -> str:
    """A text in rich's markup as HTML without colours."""
    from rich.text import Text

    return html.escape(Text.from_markup(markup).plain)


def shown(text: str) -> str:
    """A text from outside as rich's markup."""
    from rich.markup import escape

    return escape(printable(text))


def printed(parts: Iterable[Any], width: int, plain: bool) -> str:
    """Tables, and texts in markup one a line, as they go to a terminal, or without colours."""
    from rich.console import Console

    options: dict[str, Any] = {"force_terminal": False, "color_system": None} if plain else {}
    console = Console(highlight=False, width=width, force_jupyter=False, **options)
    with console.capture() as captured:
        for part in parts:
            console.print(part, soft_wrap=isinstance(part, str))
    return captured.get()


def nobody_watches() -> bool:
    return not sys.stdout.isatty()


def terminal_width() -> int:
    return max(40, shutil.get_terminal_size((120, 24)).columns - 4)
