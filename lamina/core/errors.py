"""Messages that teach: what was expected, what came, and the likely repair."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any


class UnknownArgument(TypeError, ValueError):
    """A keyword that is none of a class's arguments. Keras raises ValueError for those of layers, else TypeError."""


class BadConfig(TypeError, ValueError):
    """A config of a layer that its class refuses. Keras raises TypeError, the class itself ValueError."""


class Unwritable(TypeError):
    """An object of which no config can tell."""


class NoSuchAxis(ValueError):
    """An axis that a tensor does not have."""


class NotInitialized(RuntimeError, AttributeError):
    """A layer whose `__init__` did not call that of its base: Keras raises RuntimeError, attributes AttributeError."""


MOST_ROWS = 12  # of a table below an error
_SPATIAL = {3: ("steps",), 4: ("height", "width"), 5: ("depth", "height", "width")}  # by the number of all axes


def axis_names(ndim: int, data_format: str | None = None) -> tuple[str, ...]:
    """Names of the axes of a batch of rank `ndim`, as messages call them."""
    if ndim == 2:
        return ("batch", "features")
    spatial = _SPATIAL.get(ndim)
    if spatial is None:
        return ("batch", *(f"axis {i}" for i in range(1, ndim)))
    if data_format == "channels_first":
        return ("batch", "channels", *spatial)
    return ("batch", *spatial, "channels" if ndim > 3 or data_format else "features")


def layout(ndim: int, data_format: str | None = None) -> str:
    return f"({', '.join(axis_names(ndim, data_format))})"


def show_shape(shape: Any) -> str:
    return "(" + ", ".join(str(size) for size in shape) + ("," if len(shape) == 1 else "") + ")"


def unsized(layer: Any, axis: str, shape: Any) -> ValueError:
    """What is said of an axis on which weights depend and whose size is unknown."""
    got = f"received an input with shape {show_shape(shape)}. Give its size there."
    words = "of the input tensor should have a defined dimension but the layer"
    return ValueError(f"{named(layer)}: the {axis} {words} {got}")


def named(layer: Any) -> str:
    """How a message calls a layer: its class, and its name where that says more."""
    cls, name = type(layer).__name__, getattr(layer, "name", None)
    return f'{cls} "{printable(str(name))}"' if name else cls


@contextmanager
def as_own(inner: str, own: str) -> Iterator[None]:
    """What something made inside refuses, in the words of the layer that was asked for it."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise type(error)(str(error).replace(inner, own, 1)) from None


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


def for_screen(text: str, encoding: str | None = None) -> str:
    """A text without what the encoding, by default the screen's, lacks; "?" stands for that."""
    letters: str = encoding or getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(letters)
    except UnicodeEncodeError:
        return text.replace("└", "+").encode(letters, "replace").decode(letters)
    return text


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


@contextmanager
def needing(said: str) -> Iterator[None]:
    """Inside, packages are imported that may be missing: what is done by them, and how to get them, is said then."""
    try:
        yield
    except ImportError as error:
        raise ImportError(said) from error


def cut(name: str, limit: int = 32) -> str:
    """A name that is not too long for a table."""
    return name if len(name) <= limit else name[: limit - 3] + "..."


def note(error: Any, text: str) -> None:
    """Say it below the error's words, in place of what was said there before."""
    before = vars(error).get("_trail_note")
    vars(error)["_trail_note"] = text
    if sys.version_info >= (3, 11):
        notes: Iterable[str] = getattr(error, "__notes__", ())
        error.__notes__ = [*(note for note in notes if note != before), text]
    elif error.args and isinstance(error.args[0], str):
        words = error.args[0] if before is None else error.args[0].removesuffix(f"\n\n{before}")
        error.args = (f"{words}\n\n{text}", *error.args[1:])


def compare(error: Exception, pairs: Sequence[tuple[str, Iterable[Any], Iterable[Any]]], skips: bool) -> None:
    """Show below an error which arrays (of which name, of the model, given for it) fit and which do not.

    skips: those that do not can be left as they are.
    """

    def shapes(side: Iterable[Any]) -> str:
        return cut(", ".join(show_shape(each.shape) for each in side), 60)

    cells = [(cut(printable(what), 44), shapes(own), shapes(given)) for what, own, given in pairs]
    cells = [(what, own or "nothing", given or "nothing") for what, own, given in cells if own or given]
    wrong = [index for index, (_, own, given) in enumerate(cells) if own != given]
    if not wrong:
        return
    start = max(0, min(wrong[0] - MOST_ROWS // 2, len(cells) - MOST_ROWS))
    shown = range(start, min(start + MOST_ROWS, len(cells)))
    heads = ("", "in the model", "given")
    widths = [max(len(heads[i]), *(len(cells[row][i]) for row in shown)) for i in range(3)]

    def line(mark: str, texts: Sequence[str]) -> str:
        return f"    {mark} {'  '.join(text.ljust(width) for text, width in zip(texts, widths, strict=True))}".rstrip()

    more = [f"       ... {count} more ..." if count else "" for count in (start, len(cells) - shown.stop)]
    table = [line("->" if row in wrong else "  ", cells[row]) for row in shown]
    text = [line("  ", heads), *more[:1], *table, *more[1:]]
    repair = "make the layers as large as those that gave these weights"
    repair += "; or skip_mismatch=True leaves these." if skips else "."
    note(error, "\n".join(["Shapes of the weights:", "", *filter(None, text), "", f"Repair:   {repair}"]))


def pass_on(error: Exception, fresh: Exception) -> Exception:
    """Give another error what stands below the words of one."""
    if notes := getattr(error, "__notes__", None):
        vars(fresh)["__notes__"] = notes
    return fresh
