"""What to use instead of a module or name that one generation of Keras has and another, or Lamina, has not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from .keras1 import KERAS1
from .keras2 import KERAS2
from .lists import listed
from .tf_keras import TF_KERAS

# What to use, by a part of the path below `keras`.
_INSTEAD: dict[str, str] = listed("instead.json")["lamina"]
_RUN = {"keras1": "1", "keras2": "2", "tf_keras": "tf"}  # as `lamina run --keras` calls them


def hint(path: str, name: str = "", near: Iterable[str] = ()) -> str:
    """Where to find a name, or a module itself, of a path below `keras`; empty where nothing is known.

    near: the names that there are, for words that are misspelt.
    """
    asked = f"{path}.{name}".strip(".")
    told = [text for part, text in _INSTEAD.items() if f".{part}." in f".{asked}."][:1]
    having = next((table for table in (KERAS2, KERAS1, TF_KERAS) if table.has(path, name)), None)
    if having is not None:
        told.append(
            f"Keras {having.version} has it: `lamina.{having.name}.{asked}`, and `lamina run --keras "
            f"{_RUN[having.name]} script.py` runs a script written for it."
        )
    elif path == "backend":
        told.append("Functions of tensors are in `lamina.ops`; those of Keras 2 in `lamina.keras2.backend`.")
    close = [] if told else difflib.get_close_matches(name, near, 1, 0.75)
    return " ".join([*told, *(f"Did you mean `{one}`?" for one in close)])
