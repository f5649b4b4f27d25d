"""What layers are and how they differ from their neighbours, in the words of `told.json`: by class, for the classes
below it as well.

Fields in braces: `layer`, and `axes`, the names of a window's axes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .said import Language, Said, data, sentences


class Told(NamedTuple):
    """What a layer is, how it differs from its neighbours, and where it comes from."""

    what: Said
    differs: Said
    paper: str = ""


def _told(words: dict[str, Any]) -> Told:
    return Told(Said(*words["what"]), Said(*words["differs"]), words.get("paper", ""))


TOLD = {name: _told(words) for name, words in data("told.json").items()}

_SAID = sentences("told")


def told(layer: Any) -> Told:
    """The words for a layer's class, or for the nearest one above it. Raises KeyError where there are none."""
    found = next((TOLD[cls.__name__] for cls in type(layer).__mro__ if cls.__name__ in TOLD), None)
    if found is None:
        raise KeyError(f"There are no words for {type(layer).__name__}; add them to lamina/pictures/told.json.")
    return found


class _Shown:
    """A layer whose attributes are texts: a list of one as its item."""

    def __init__(self, layer: Any):
        self._layer = layer

    def __getattr__(self, name: str) -> str:
        return shown(getattr(self._layer, name))


def shown(value: object) -> str:
    """A value as text."""
    if isinstance(value, (list, tuple)) and value and all(isinstance(item, int) for item in value):
        return str(value[0]) if len(value) == 1 else str(tuple(value))
    return str(value)


def axes_of(rank: int | None, language: Language) -> str:
    """The names of a window's axes, if it has any."""
    return _SAID.axes[str(rank)](language) if rank else ""


def filled(said: Said, layer: Any, language: Language, **values: Any) -> str:
    """A sentence of `TOLD`, or one like these, with the layer's own values."""
    rank = getattr(layer, "rank", None)
    function = getattr(getattr(layer, "activation", None), "__name__", "?")
    inner = getattr(layer, "_pipeline_layers", ())
    values |= {"function": function.strip("_"), "n": len(inner), "axes": axes_of(rank, language)}
    return said(language, layer=_Shown(layer), **values)
