"""Which generation of Keras a script was written for, told from its source."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from typing import Any

from .. import layers as modern_layers
from ..translation.table import Generation
from ..translation.words import BASE, words
from .dialect import DIALECTS

# The newest that fits is taken; tf_keras only where a script imports it.
_ORDER = ("keras3", "keras2", "keras1")
_MODEL_WORDS = {
    "nb_epoch": ("keras1",),
    "samples_per_epoch": ("keras1",),
    "nb_val_samples": ("keras1",),
    "fit_generator": ("keras1", "keras2"),
}


def detect(source: str) -> tuple[str, str]:
    """The generation, and the reason in words. Raises SyntaxError for what is no Python 3."""
    tree = ast.parse(source)
    against: dict[str, str] = {}
    for generations, reason in _evidence(tree):
        if generations == ("tf_keras",):
            return "tf_keras", reason
        for name in _ORDER:
            if name not in generations:
                against.setdefault(name, reason)
    fitting = [name for name in _ORDER if name not in against]
    if not fitting:  # words of several: Keras 2 understands its own and those of Keras 1
        return "keras2", against["keras3"]
    chosen = fitting[0]
    newer = [against[name] for name in _ORDER[: _ORDER.index(chosen)]]
    return chosen, newer[-1] if newer else "nothing in it is older than Keras 3"


def _evidence(tree: ast.AST) -> Iterator[tuple[tuple[str, ...], str]]:
    """Which generations each word of a script belongs to."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from _of_import(node)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if (node.value.id, node.attr) == ("tf", "keras"):
                yield ("tf_keras",), f"line {node.lineno}: tf.keras"
        elif isinstance(node, ast.Call):
            yield from _of_call(node)


def _of_import(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[tuple[str, ...], str]]:
    names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        names += [f"{node.module}.{alias.name}" for alias in node.names]
    for name in names:
        if (
            name.startswith("tf_keras")
            or name.startswith("tensorflow.keras")
            or name.startswith("tensorflow.python.keras")
        ):
            yield ("tf_keras",), f"line {node.lineno}: import of {name}"
        parts = name.split(".")
        if parts[0] != "keras" or len(parts) < 2:
            continue
        path = ".".join(parts[1:3])
        if path.startswith("layers.") and not hasattr(modern_layers, parts[2]):
            here = tuple(key for key, dialect in DIALECTS.items() if _has(dialect.table, path))
            if here:
                yield here, f"line {node.lineno}: {name} is of Keras {_listed(here)}"
        elif parts[1] in ("initializations", "objectives", "engine", "ops", "saving", "random"):
            here = {"initializations": ("keras1",), "objectives": ("keras1", "keras2"), "engine": ("keras1", "keras2")}
            chosen = here.get(parts[1], ("keras3",))
            yield chosen, f"line {node.lineno}: {name} is of Keras {_listed(chosen)}"


def _has(generation: Generation, path: str) -> bool:
    _, _, name = path.partition(".")
    parts = {entry.part for entry in generation.objects["layers"].values()}
    return generation.name != "tf_keras" and (name in parts or generation.find(name) is not None)


def _of_call(node: ast.Call) -> Iterator[tuple[tuple[str, ...], str]]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    words = [keyword.arg for keyword in node.keywords if keyword.arg]
    for word in (*words, name):
        if word in _MODEL_WORDS and (word == name or name.startswith("fit")):
            yield _MODEL_WORDS[word], f"line {node.lineno}: {word} is of Keras {_listed(_MODEL_WORDS[word])}"
    known = [key for key in _ORDER if name[:1].isupper() and _takes(key, name, node)]
    if known and len(known) < len(_ORDER):
        yield tuple(known), f"line {node.lineno}: this call of {name} is of Keras {_listed(tuple(known))}"


def _takes(generation: str, name: str, node: ast.Call) -> bool:
    """Whether a class of that name takes such a call. Its own words count, not those it also understands."""
    given = {keyword.arg for keyword in node.keywords if keyword.arg}
    if generation == "keras3":
        cls: Any = getattr(modern_layers, name, None)
        if not callable(cls):
            return False
        parameters = inspect.signature(cls).parameters
        own = [p for p in parameters.values() if p.kind is not p.KEYWORD_ONLY]
        return given <= {*parameters, *_COMMON} and len(node.args) <= len(own) and not _sizes_apart(name, node)
    table = DIALECTS[generation].table
    if table.find(name) is None:
        return False
    own = words(table, "layers", name)
    apart = generation == "keras2" and _sizes_apart(own.entry.modern, node)
    return given <= {*own.accepted, *BASE, *_COMMON} and not apart


_COMMON = ("name", "trainable", "dtype", "input_shape", "batch_input_shape", "input_dim", "input_length",
           "activity_regularizer", "weights")  # fmt: skip


def _sizes_apart(name: str, node: ast.Call) -> bool:
    """Whether a convolution's sizes are three numbers, as in Conv2D(64, 3, 3)."""
    numbers = [isinstance(value, ast.Constant) and isinstance(value.value, int) for value in node.args[:3]]
    return "Conv" in name and "1D" not in name and len(numbers) == 3 and all(numbers)


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join(name.removeprefix("keras").replace("tf_keras", "tf") for name in sorted(names))
