"""What the page shows of each layer: its arguments, with example values and inputs, from `families.json`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ..said import Said, data

Shapes = list[list[int]]


class Row(NamedTuple):
    """Layers that the page's arithmetic treats alike. `names` end in "#" where there is one for each rank."""

    names: str
    kind: str  # the function in layers.js
    arguments: str  # those shown, in this order
    inputs: dict[str, Shapes]  # by rank, "0" for layers without one
    values: Mapping[str, Any] = MappingProxyType({})  # what the page starts with, where that is not the default


class Family(NamedTuple):
    title: Said
    rows: list[Row]


FAMILIES = [
    Family(Said(*family["title"]), [Row(**row) for row in family["rows"]]) for family in data("page/families.json")
]
