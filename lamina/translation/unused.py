"""Arguments of older generations that change no result here: why, and which values of theirs may be given.

Whatever a table drops (a rename to "") stands here. A value that would change a result in the original is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Unused:
    """Why an argument needs no effect. `allowed`: its values, where others would need one; None: any."""

    reason: str
    allowed: Collection[Any] | Callable[[Any], bool] | None = None


def _timewise(value: Any) -> bool:
    """Weights of steps need no mode: their shape tells."""
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else [value]
    return all(part in (None, "temporal") for part in parts)


_TOLD = json.loads(Path(__file__).with_name("unused.json").read_text("utf-8"))
_ALLOWED = {
    **_TOLD["allowed"],
    "sample_weight_mode": _timewise,
    "mode": lambda mode: not (mode and isinstance(mode, int)),
}
UNUSED = {
    word: Unused(reason, _ALLOWED.get(word)) for reason, words in _TOLD["reasons"].items() for word in words.split()
}


def check(owner: str, word: str, value: Any) -> None:
    """Raises ValueError for a value that would have to have an effect."""
    known = UNUSED[word]
    allowed, given = known.allowed, list(value) if isinstance(value, tuple) else value
    if value is None or allowed is None or (allowed(value) if callable(allowed) else given in allowed):
        return
    fit = "" if callable(allowed) or not allowed else f"; only {', '.join(map(repr, allowed))} can be"
    raise ValueError(f"{owner}: `{word}={value!r}` is not supported here ({known.reason}){fit}. Leave it out.")
