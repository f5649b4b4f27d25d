"""The blocks of code on pages, and what they do when they run in order; `python pages.py PAGE` runs one page."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if DOCS / "reference" not in page.parents)
CHINESE = DOCS / "zh"


class Block(NamedTuple):
    language: str  # what stands behind the opening fence
    line: int  # of the first line inside
    text: str


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^(`{3,})([^\n`]*)\n(.*?)^\1$", text, re.MULTILINE | re.DOTALL):
        yield Block(found[2], text.count("\n", 0, found.start(3)), found[3])


def code_of(page: Path, language: str = "python") -> list[Block]:
    return [block for block in blocks(page) if block.language == language]


def play(page: Path) -> None:
    """Runs the Python of a page in one namespace, and holds what is printed against the `text` that follows."""
    names: dict[str, Any] = {"__name__": "__main__"}
    printed = ""
    for block in blocks(page):
        if block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as out:  # at its own lines, so that an error names them
                exec(compile("\n" * block.line + block.text, str(page), "exec"), names)
            printed = out.getvalue()
        elif block.language == "text":
            assert printed.strip() == block.text.strip(), f"{page.name}, line {block.line}: printed\n{printed}"


if __name__ == "__main__":
    play(Path(sys.argv[1]))
