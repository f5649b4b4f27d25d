"""Messages that teach: what was expected, what came, and the likely repair."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Iterable
from typing import Any


class UnknownArgument(TypeError, ValueError):
    """A keyword that is none of a class's arguments. Keras raises ValueError for those of layers, else TypeError."""


class Unwritable(TypeError):
    """An object of which no config can tell."""


class NotInitialized(RuntimeError, AttributeError):
    """A layer whose `__init__` did not call that of its base: Keras raises RuntimeError, attributes AttributeError."""


_AXES = {
    "channels_last": {3: ("steps",), 4: ("height", "width"), 5: ("depth", "height", "width")},
}


def axis_names(ndim: int, data_format: str | None = None) -> tuple[str, ...]:
    """Names of the axes of a batch of rank `ndim`, as messages call them."""
    if ndim == 2:
        return ("batch", "features")
    spatial = _AXES["channels_last"].get(ndim)
    if spatial is None:
        return ("batch", *(f"axis {i}" for i in range(1, ndim)))
    if data_format == "channels_first":
        return ("batch", "channels", *spatial)
    return ("batch", *spatial, "channels" if ndim > 3 or data_format else "features")


def layout(ndim: int, data_format: str | None = None) -> str:
    return f"({', '.join(axis_names(ndim, data_format))})"


def show_shape(shape: Any) -> str:
    return "(" + ", ".join(str(size) for size in shape) + ("," if len(shape) == 1 else "") + ")"


def named(layer: Any) -> str:
    """How a message calls a layer: its class, and its name where that says more."""
    cls, name = type(layer).__name__, getattr(layer, "name", None)
    return f'{cls} "{name}"' if name else cls


def short(value: Any, limit: int = 80) -> str:
    """`repr` for messages: tensors and long values as their shape and type only."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{type(value).__name__} of shape {tuple(value.shape)}"
    if inspect.isfunction(value) or inspect.isclass(value):
        return value.__name__
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def printable(text: str) -> str:
    """A text from outside as it may go to a terminal or into a picture."""
    return text if text.isprintable() else ascii(text)[1:-1]


def quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def answered(layer: Any, outputs: Any) -> Any:
    """What a call gave. Raises ValueError for None."""
    if outputs is None:
        raise ValueError(f"{named(layer)}: its call returned nothing; end `call` with `return` and the output.")
    return outputs


def warn(message: str) -> None:
    """A UserWarning at the line outside this package that led here."""
    frame: Any = sys._getframe()
    level, inside = 1, (__name__.partition(".")[0], "contextlib")
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in inside:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, UserWarning, stacklevel=level)
