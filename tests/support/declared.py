"""The public classes with declared arguments, and values that make each of them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import lamina as keras
from lamina.core.declare import REQUIRED, Arg, Declared
from lamina.core.layer import Layer

from .examples import halved

L = keras.layers
MODULES = (
    "layers", "initializers", "regularizers", "constraints", "losses", "metrics", "optimizers", "optimizers.schedules",
)  # fmt: skip
BASE = set(Layer._args)  # what every layer takes by name


def declared() -> Iterator[tuple[str, type[Declared]]]:
    """Every public class with declared arguments, by Keras' name for it."""
    for module in MODULES:
        found = vars(importlib.import_module(f"lamina.{module}"))
        for name, item in found.items():
            public = not name.startswith("_") and inspect.isclass(item) and issubclass(item, Declared)
            if public and item.__name__ == name and item.__module__.startswith(f"lamina.{module.split('.')[0]}"):
                yield f"{module}.{name}", item


CLASSES = dict(declared())
FREE = {name: cls for name, cls in CLASSES.items() if cls._args.keys() - BASE and not cls._owns_init}


def arguments(cls: type[Declared]) -> dict[str, Arg]:
    """The class's own arguments, without those every layer takes."""
    return {name: a for name, a in cls._args.items() if not (issubclass(cls, Layer) and name in BASE)}


# Required arguments: values every class takes, where the first example of the kind is not one.
NEEDED: dict[str, Callable[[], Any]] = {
    "activation": lambda: "relu",
    "axes": lambda: 1,
    "boundaries": lambda: [1.0],
    "cell": lambda: L.GRUCell(2),
    "cells": lambda: [L.GRUCell(2)],
    "dims": lambda: (2, 1),
    "equation": lambda: "ab,bc->ac",
    "filters": lambda: 12,
    "function": lambda: halved,
    "layer": lambda: L.GRU(2),
    "layers": lambda: [L.ReLU()],
    "values": lambda: [0.5, 0.1],
}
# What some classes cannot be made without, though there are defaults; and what cannot be tried alone.
OTHERS: dict[str, dict[str, Any]] = {"CategoryEncoding": {"num_tokens": 4}, "Discretization": {"num_bins": 3}}
NOT_ALONE = {
    ("layers.CategoryEncoding", "num_tokens"), ("layers.Discretization", "num_bins"),
    ("layers.Discretization", "bin_boundaries"), ("layers.Normalization", "mean"), ("layers.Normalization", "variance"),
}  # fmt: skip
# What some arguments need beside them.
BESIDE = {
    ("AUC", "num_labels"): {"multi_label": True},
    ("GroupedQueryAttention", "num_query_heads"): {"num_key_value_heads": 1},
    ("GroupedQueryAttention", "num_key_value_heads"): {"num_query_heads": 12},
    ("Discretization", "bin_boundaries"): {"num_bins": None},
    ("IntegerLookup", "salt"): {"oov_method": "farmhash"},
    **{
        (name, "pad_to_max_tokens"): {"max_tokens": 5}
        for name in ("IntegerLookup", "StringLookup", "TextVectorization")
    },
    ("PiecewiseConstantDecay", "boundaries"): {"values": [1.0, 2.0, 3.0]},
    ("PiecewiseConstantDecay", "values"): {"boundaries": [1]},
}


def required(cls: type[Declared], argument: str = "") -> dict[str, Any]:
    """Good values for the arguments without a default, and for those `argument` needs beside it."""
    needed = {name: a for name, a in cls._args.items() if a.default is REQUIRED}
    values = {name: NEEDED[name]() if name in NEEDED else a.kind.good[0] for name, a in needed.items()}
    return {**values, **OTHERS.get(cls.__name__, {}), **BESIDE.get((cls.__name__, argument), {})}
