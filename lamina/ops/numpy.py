"""`keras.ops.numpy`: the functions that NumPy has too."""

from __future__ import annotations

from typing import Any

from . import arrangement, creation, elementwise, linalg, reduction
from .control import vectorize as vectorize

_ROOMS = (elementwise, reduction, creation, arrangement, linalg)


def __getattr__(name: str) -> Any:
    for room in _ROOMS:
        if not name.startswith("_") and getattr(vars(room).get(name), "__module__", None) == room.__name__:
            return vars(room)[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({name for room in _ROOMS for name, item in vars(room).items() if _own(room, name, item)})


def _own(room: Any, name: str, item: Any) -> bool:
    return not name.startswith("_") and getattr(item, "__module__", None) == room.__name__
