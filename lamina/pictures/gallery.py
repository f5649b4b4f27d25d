"""The gallery: pages in each language with pictures of the layers in `examples.json`, which the documentation draws."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .. import layers
from ..layers import old
from .explain import STYLE, Explanation, explain, page, safe, table_of_lines
from .reading import read_layer
from .said import LANGUAGES, Language, Said, data, sentences

_SAID = sentences("gallery")


class Example(NamedTuple):
    """A layer as it is written, and the shape of its input without the batch; a list of shapes for several inputs."""

    text: str
    input_shape: tuple[int, ...] | list[tuple[int, ...]]
    old: bool = False  # only older generations have it


class Idea(NamedTuple):
    key: str
    title: Said
    examples: tuple[Example, ...]


def _example(text: str, shape: list[Any], old: bool = False) -> Example:
    return Example(text, [*map(tuple, shape)] if isinstance(shape[0], list) else tuple(shape), old)


IDEAS = tuple(
    Idea(idea["key"], Said(*idea["title"]), tuple(_example(*each) for each in idea["examples"]))
    for idea in data("examples.json")
)


def explained(example: Example, language: Language) -> Explanation:
    """The explanation of an example."""
    layer = read_layer(example.text, old if example.old else layers)
    return explain(layer, example.input_shape, language, title=example.text)


def write(folder: str | Path) -> Iterator[Path]:
    """Write `en/index.html` and `zh/index.html`, with their pictures beside them, and give the paths of both."""
    for language in LANGUAGES:
        target = Path(folder) / language
        target.mkdir(parents=True, exist_ok=True)
        body = "".join(_section(idea, language, target) for idea in IDEAS)
        links = " · ".join(f'<a href="#{idea.key}">{safe(idea.title(language))}</a>' for idea in IDEAS)
        other = next(each for each in LANGUAGES if each != language)
        head = f'<h1>{_SAID.title(language)}</h1><p><a href="../{other}/index.html">{_SAID.other(language)}</a></p>'
        words = safe(_SAID.introduction(language)).split("`")
        said = "".join(f"<code>{word}</code>" if number % 2 else word for number, word in enumerate(words))
        whole = f'<div class="lamina-page">{STYLE}{head}<p>{said}</p><p>{links}</p>{body}</div>'
        path = target / "index.html"
        path.write_text(page(_SAID.title(language), whole, language), encoding="utf-8")
        yield path


def _section(idea: Idea, language: Language, folder: Path) -> str:
    """A part of the page; its pictures become files in the folder."""
    from .scene_shapes import picture
    from .scene_svg import svg

    parts = [f'<h2 id="{idea.key}">{safe(idea.title(language))}</h2>']
    for number, example in enumerate(idea.examples):
        found = explained(example, language)
        parts.append(f"<h3><code>{safe(example.text)}</code></h3>{table_of_lines(found.lines)}")
        for turn, scene in enumerate(found.scenes):
            name = f"{idea.key}-{number}-{turn}.svg"
            (folder / name).write_text(svg(scene), encoding="utf-8")
            drawn = picture(scene)
            size = f'width="{drawn.width:.0f}" height="{drawn.height:.0f}"'
            said = html.escape(f"{scene.title}. {drawn.says}")
            parts.append(f'<img src="{name}" {size} alt="{said}" loading="lazy">')
    return "".join(parts)
