"""Sentences in English and Chinese, side by side where they are needed."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")


class Said(NamedTuple):
    """One sentence in each language, with the same fields in braces."""

    en: str
    zh: str

    def __call__(self, language: Language, **values: Any) -> str:
        return getattr(self, language).format(**values)
