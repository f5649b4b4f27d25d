"""Functions written as code, as configs of Keras hold lambdas. Code is never run.

A text of code stands for the function that it was made of, in the process that made it; elsewhere it is read as data,
and rebuilt of known operations where all of it is known.
"""

from __future__ import annotations

import base64
import importlib
import marshal
from collections.abc import Mapping
from types import FunctionType
from typing import Any

from .. import REBUILDER
from .errors import short

_SHOWN = 800  # characters of a function's source in an error

_written: dict[str, list[FunctionType]] = {}
_named: dict[str, list[Any]] = {}


def dump(function: FunctionType) -> tuple[str, Any, Any]:
    """Its code as text, its defaults, and what it holds of the functions around it."""
    code = base64.encodebytes(marshal.dumps(function.__code__)).decode("ascii")
    known = _written.setdefault(code, [])
    if not any(function is one for one in known):
        known.append(function)
    return code, function.__defaults__, _closure(function)


def known_functions(code: Any) -> list[FunctionType]:
    """The functions that `dump` wrote as this code, the last one first."""
    return _written.get(code, [])[::-1] if isinstance(code, str) else []


def written(code: Any, defaults: Any, closure: Any) -> FunctionType | None:
    """The very function that `dump` wrote so; None for any other."""
    told = _plain([defaults, closure])
    return next((f for f in known_functions(code) if _plain([f.__defaults__, _closure(f)]) == told), None)


def note(function: Any) -> None:
    """Keep in mind a function whose name alone is written."""
    known = _named.setdefault(getattr(function, "__name__", ""), [])
    if not any(function is one for one in known):
        known.append(function)


def noted(name: str) -> Any:
    """The function of that name that `note` was told; None where there is none, or several."""
    known = _named.get(name, [])
    return known[0] if len(known) == 1 else None


def _closure(function: FunctionType) -> tuple[Any, ...] | None:
    return tuple(cell.cell_contents for cell in function.__closure__ or ()) or None


def _plain(value: Any) -> Any:
    """As JSON gives it back: tuples are lists; objects of other kinds are told apart by identity."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else ("object", id(value))


class Uncertain(ValueError):
    """Why a function is not rebuilt."""


class Told(ValueError):
    """An error of several lines, which go together."""


class Rebuilt:
    """A function that a file holds as bytecode, rebuilt of known operations: `source` is what it computes.

    generation: whose backend `K` means. Raises Uncertain where its meaning is not certain, and Unreadable for what is
    no code.
    """

    def __init__(self, code: str, defaults: Any = None, closure: Any = None, generation: str = "keras3"):
        from ..translation import bytecode  # loaded where a file has some

        self.code, self.defaults, self.closure, self.generation = code, defaults, closure, generation
        function = bytecode.function_of(code)
        self.source = function.source(defaults, closure)
        self._run = importlib.import_module(REBUILDER).runner(function, defaults or (), closure or (), generation)
        self.__signature__ = self._run.__signature__
        self.__name__ = function.name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._run(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<rebuilt from a file: {self.source}>"

    def __reduce__(self) -> Any:
        return Rebuilt, (self.code, self.defaults, self.closure, self.generation)

    def described(self) -> dict[str, Any]:
        """As a config holds it: as it was read; the generation where that is not Keras 3."""
        from ..translation import bytecode

        more = {} if self.generation == "keras3" else {"generation": self.generation}
        return bytecode.described(self.code, self.defaults, self.closure, **more)


def rebuilt(inner: Any, key: str, what: str) -> Rebuilt:
    """The function that the inner part of `bytecode.described` holds; `key`: the word in `custom_objects` for another.

    Raises ValueError, with what the function did, where it is not rebuilt.
    """
    from ..translation import bytecode

    inner = inner if isinstance(inner, Mapping) else {}
    code, defaults, closure = (inner.get(word) for word in ("code", "defaults", "closure"))
    if code is None and isinstance(inner.get("value"), (list, tuple)) and len(inner["value"]) == 3:
        code, defaults, closure = inner["value"]  # of functions that are no layer's
    values = all(each is None or isinstance(each, (list, tuple)) for each in (defaults, closure))
    if not isinstance(code, str) or not values:
        raise ValueError(f"{what}: expected the code of a function, which is never run; got {short(dict(inner))}.")
    remedy = f"Pass a function that does the same as custom_objects={{{key!r}: ...}}."
    try:
        return Rebuilt(code, defaults, closure, str(inner.get("generation", "keras3")))
    except bytecode.Unreadable as error:
        raise ValueError(f"{what} is bytecode, which is never run, nor can it be read: {error}. {remedy}") from None
    except Uncertain as error:
        function = bytecode.function_of(code)
        source = function.source(defaults, closure)
        shown = source if len(source) <= _SHOWN else f"{source[:_SHOWN]}..."
        raise Told(
            f"{what} is bytecode of Python {function.python}, which is never run, and is not rebuilt: {error}. "
            f"{remedy} It is:\n{shown}"
        ) from None
