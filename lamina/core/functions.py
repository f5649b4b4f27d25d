"""Functions written as code, as configs of Keras hold lambdas. Code is never run: what this process wrote is known.

A text of code stands for the function that it was made of, in the process that made it; elsewhere it is nothing.
"""

from __future__ import annotations

import base64
import marshal
from types import FunctionType
from typing import Any

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
