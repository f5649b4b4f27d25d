"""Imports of modules and names that only other generations of Keras have: an error that says what to use."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from typing import Any

_OLDER = ("keras1", "keras2", "tf_keras")  # which say it themselves


class Finder:
    """Comes last and finds nothing. `root`: the package whose paths it reads as those below `keras`."""

    def __init__(self, root: str):
        self.root = root

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        """Raises ModuleNotFoundError where there is something to say; None leaves Python its own words."""
        if not fullname.startswith(f"{self.root}."):
            return
        parent, _, name = fullname.removeprefix(f"{self.root}.").rpartition(".")
        if parent.partition(".")[0] in _OLDER:
            return
        above = sys.modules.get(f"{self.root}.{parent}".rstrip("."))
        told = _told(parent, name, getattr(above, "__all__", ()))
        if told:
            raise ModuleNotFoundError(f"{fullname} is not in Lamina. {told}")


def attribute(module: str, name: str) -> AttributeError:
    """The error for a name that a module of today has not."""
    told = "" if name.startswith("_") else _told(module.partition(".")[2], name)
    return AttributeError(f"module {module!r} has no attribute {name!r}. {told}".rstrip(" ."))


def _told(path: str, name: str, near: Iterable[str] = ()) -> str:
    from .translation.absent import hint

    if path == "backend":
        if callable(getattr(importlib.import_module("lamina.ops"), name, None)):
            once = hasattr(importlib.import_module("lamina.keras2.backend"), name)
            ran = ", or run code for Keras 2 with `lamina run --keras 2 script.py`" * once
            return f"Use `lamina.ops.{name}`{ran}."
    return hint(path, name, near) or hint(f"{path}.{name}".lstrip("."))
