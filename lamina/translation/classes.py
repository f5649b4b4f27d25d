"""A generation's tables of classes, read from the file that holds them.

A module's path leads to its classes by name. A class is told by its signature, or by the fields of `Class` that are no
defaults; "like" names another class of the module, or the one of that name in the generation before, whose fields it
has otherwise. Words in braces stand for the file's "parts", which signatures share, and those of the generation before.
A "note" is for the reader. A text may be a list of its lines.
"""

from __future__ import annotations

import json
import re
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from .table import Class


class Told(NamedTuple):
    """What a file says: the parts of signatures, written out; classes by home and name; all else as it stands."""

    parts: dict[str, str]
    objects: dict[str, dict[str, Class]]
    lists: dict[str, Any]


def told(file: str, before: Told | None = None) -> Told:
    """What a file beside this one says; `before`: the file of the generation before."""
    lists = json.loads(Path(__file__).with_name(file).read_text("utf-8"))
    older = before or Told({}, {}, {})
    raw = {**older.parts, **lists.pop("parts", {})}
    parts = {name: _spelled(text, raw) for name, text in raw.items()}
    objects: dict[str, dict[str, Class]] = {}
    for path, entries in lists.pop("objects").items():
        home, part = ("layers", path[7:]) if path.startswith("layers.") else (path, "")
        found = objects.setdefault(home, {})
        known = ChainMap(found, older.objects.get(home, {}))
        for name, entry in entries.items():
            found[name] = _class(name, part, entry, parts, known)
    for key in ("methods", "callbacks"):
        lists[key] = {name: _spelled(text, parts) for name, text in lists.get(key, {}).items()}
    return Told(parts, objects, lists)


def _spelled(text: str | list[str], parts: Mapping[str, Any]) -> str:
    text = text if isinstance(text, str) else " ".join(text)
    return re.sub(r"\{(\w+)\}", lambda found: _spelled(parts[found[1]], parts), text)


def _class(name: str, part: str, entry: Any, parts: Mapping[str, str], known: Mapping[str, Class]) -> Class:
    if isinstance(entry, (str, list)):
        entry = {"signature": entry}
    fields = {key: value for key, value in entry.items() if key not in ("like", "note")}
    if "signature" in fields:
        fields["signature"] = _spelled(fields["signature"], parts)
    like = entry.get("like")
    base = Class(name) if like is None else known[like]
    return replace(base, **{"part": part, "modern": base.modern if like in (None, name) else name, **fields})
