"""What this site adds to Sphinx: pictures, tables made from the code, a reference, two languages, a search for both."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any

import reference
import tables
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.search import languages
from sphinx.search.en import SearchEnglish
from sphinx.util.docutils import SphinxDirective

import lamina
from lamina.pictures import gallery
from lamina.pictures.page.page import page_html
from lamina.pictures.said import LANGUAGES, Language, Said
from lamina.pictures.scene_svg import svg

NUMBERS = Said("In words and numbers", "文字与数字说明")


def language_of(page: str) -> Language:
    return "zh" if page.startswith("zh/") else "en"


class Explain(SphinxDirective):
    """The pictures of a layer, moving, and what is said of it: `lamina.explain`. Inputs stand apart by ";".

    ```{explain} Conv1D(8, 3, padding="causal")
    :input: 32,16
    ```
    """

    required_arguments = 1
    final_argument_whitespace = True
    option_spec = {"input": directives.unchanged_required}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        text = " ".join(self.arguments[0].split())
        shapes = [tables.sizes_of(sizes) for sizes in self.options["input"].split(";")]
        language = language_of(self.env.docname)
        shape = shapes if len(shapes) > 1 else shapes[0]
        told = lamina.explain(tables.layer_of(text), shape, language, title=text)
        return [nodes.raw("", figure(told, language), format="html")]


def figure(told: Any, language: Language) -> str:
    """An explanation as a part of a page; what it says is folded away."""
    pictures = "".join(f"<div>{svg(scene)}</div>" for scene in told.scenes)
    lines = "".join(f"<tr><th>{escape(label)}</th><td>{escape(text)}</td></tr>" for label, text in told.lines)
    return (
        f'<figure class="explained"><figcaption><code>{escape(told.title)}</code></figcaption>{pictures}'
        f"<details><summary>{NUMBERS(language)}</summary><table>{lines}</table></details></figure>"
    )


class Made(SphinxDirective):
    """A table that a function of `tables` writes: its name, an argument, and lines."""

    required_arguments = 1
    optional_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        make = tables.TABLES[self.arguments[0]]
        argument = self.arguments[1] if len(self.arguments) > 1 else ""
        text = make(argument, list(self.content), language_of(self.env.docname))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


class BothLanguages(SearchEnglish):
    """English words by their stems, Chinese by pairs of characters."""

    _chinese = re.compile(r"[\u4e00-\u9fff]+")

    def split(self, text: str) -> list[str]:
        pairs = [run[at : at + 2] for run in self._chinese.findall(text) for at in range(max(1, len(run) - 1))]
        return [*super().split(self._chinese.sub(" ", text)), *pairs]

    js_splitter_code = """
function splitQuery(query) {
    const chinese = /[\\u4e00-\\u9fff]+/g;
    const words = query.replace(chinese, " ").split(/[^\\p{Letter}\\p{Number}_\\p{Emoji_Presentation}]+/gu);
    const pairs = (query.match(chinese) || []).flatMap((run) =>
        Array.from({length: Math.max(1, run.length - 1)}, (_, at) => run.slice(at, at + 2)));
    return [...words.filter((word) => word), ...pairs];
}
"""


_CHINESE = "\u3000-\u303f\u4e00-\u9fff\uff00-\uffef"
_BREAK = re.compile(f"(?<=[{_CHINESE}])\n *(?=[{_CHINESE}`[])")


def unbroken(_app: Any, page: str, source: list[str]) -> None:
    """Joins the lines of Chinese paragraphs, where the end of a line is no space."""
    if page.startswith("zh/"):
        parts = re.split(r"(^```.*?^```$)", source[0], flags=re.MULTILINE | re.DOTALL)
        source[0] = "".join(part if part.startswith("```") else _BREAK.sub("", part) for part in parts)


def by_language(app: Any, page: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    """Gives the sidebar the pages of one language, and the way to this page in the other."""
    chinese = language_of(page) == "zh"
    twin = page.removeprefix("zh/") if chinese else f"zh/{page}"
    context["other_language"] = twin if twin in app.env.all_docs else "zh/index"
    context["page_language"] = language_of(page)
    parts = re.split(r'(?=<p class="caption")', context.get("furo_navigation_tree", ""))
    context["furo_navigation_tree"] = "".join(part for part in parts if ("中文</span>" in part) == chinese)


def pages_of_pictures(app: Any, error: Any) -> None:
    """The gallery, and the page on which the arguments of a layer can be moved, beside the pages."""
    if error is None:
        folder = Path(app.outdir)
        list(gallery.write(folder / "gallery"))
        for language in LANGUAGES:
            (folder / f"explain-{language}.html").write_text(page_html(language), encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    languages["en"] = BothLanguages
    app.add_directive("explain", Explain)
    app.add_directive("made", Made)
    app.connect("builder-inited", lambda app: reference.write(Path(app.srcdir) / "reference"))
    app.connect("source-read", unbroken)
    app.connect("html-page-context", by_language, priority=900)  # after the theme
    app.connect("build-finished", pages_of_pictures)
    return {"parallel_read_safe": True}
