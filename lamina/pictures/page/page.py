"""Joins the page's sources and the data of the layers to one HTML file that asks for nothing else."""

from __future__ import annotations

import json
from pathlib import Path

from ..said import LANGUAGES, Language
from .data import page_data

SCRIPTS = ("layers.js", "code.js", "drawing.js", "page.js")  # in this order


def source(name: str) -> str:
    """The text of one of the page's files."""
    return (Path(__file__).parent / name).read_text("utf-8")


def page_html(language: Language = "en") -> str:
    """The page as one HTML text: it works offline and from a file. `language` is what it opens in, "en" or "zh".

    Raises ValueError for another language.
    """
    if language not in LANGUAGES:
        raise ValueError(f"page_html: `language` must be one of {', '.join(LANGUAGES)}; got {language!r}.")
    data = json.dumps({"language": language, **page_data()}, ensure_ascii=False, separators=(",", ":"))
    parts = {
        "language": {"en": "en", "zh": "zh-CN"}[language],
        "style": source("page.css"),
        "data": data.replace("<", "\\u003c"),  # nothing in it ends the script
        "scripts": "\n".join(map(source, SCRIPTS)),
    }
    html = source("page.html")
    for name, text in parts.items():
        html = html.replace(f"{{{{ {name} }}}}", text)
    return html
