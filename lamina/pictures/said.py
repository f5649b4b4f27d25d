"""Sentences in English and Chinese. They stand side by side in `said.json`, by the module that says them."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")


class Said(NamedTuple):
    """One sentence in each language, with the same fields in braces."""

    en: str
    zh: str

    def __call__(self, language: Language, **values: Any) -> str:
        return getattr(self, language).format(**values)


class Sentences(SimpleNamespace):
    """Sentences by name, and groups of them: `said.title`, `said.signs["*"]`."""

    def __getitem__(self, name: str) -> Said:
        return getattr(self, name)

    def of(self, layer: Any) -> Said | None:
        """That by the name of the layer's class, or of the nearest one above it."""
        return next((said for cls in type(layer).__mro__ if (said := getattr(self, cls.__name__, None))), None)


@functools.cache
def sentences(module: str) -> Any:
    """The `Sentences` of a module of pictures."""
    return _all()[module]


@functools.cache
def _all() -> Sentences:
    def made(given: dict[str, Any]) -> Sentences:
        return Sentences(**{name: Said(*each) if isinstance(each, list) else each for name, each in given.items()})

    return data("said.json", made)


def data(name: str, made: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """What a file of this folder holds; `made`: what its objects become."""
    return json.loads((Path(__file__).parent / name).read_text("utf-8"), object_hook=made)
