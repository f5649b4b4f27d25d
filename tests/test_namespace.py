"""The public names: what a module lists is there, and type checkers are told the same."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from types import ModuleType

import pytest
from support import api

import lamina

MODULES = ["lamina", *(f"lamina.{name}" for name in lamina._MODULES)]


@pytest.mark.parametrize("module", MODULES)
def test_all_names_can_be_imported_at_once(module: str) -> None:
    names: dict[str, object] = {}
    exec(f"from {module} import *", names)
    listed = getattr(importlib.import_module(module), "__all__", ())
    assert names.keys() > set(listed) and all(names[name] is not None for name in listed)


@pytest.mark.parametrize(
    "module", sorted({within for within, _ in api.KERAS} & {*lamina._MODULES} - {"ops", "preprocessing"})
)
def test_all_names_at_once_are_those_of_keras_alone(module: str) -> None:
    """So that a script's own `np`, `math` or `input` stay what they are."""
    names: dict[str, object] = {}
    exec(f"from lamina.{module} import *", names)
    del names["__builtins__"]
    ours = importlib.import_module(f"lamina.{module}")
    assert {name for within, name in api.KERAS if within == module and hasattr(ours, name)} <= names.keys()
    strange = {name: item for name, item in names.items() if not _is_of_lamina(item)}
    assert not strange


def _is_of_lamina(item: object) -> bool:
    if isinstance(item, ModuleType):  # one that Keras has, too
        return any(within == item.__name__.removeprefix("lamina.") for within, _ in api.KERAS)
    return str(getattr(item, "__module__", "lamina")).startswith("lamina")


def test_what_type_checkers_are_told_is_what_there_is() -> None:
    tree = ast.parse(Path(lamina.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    told = {}
    for line in block.body:
        assert isinstance(line, ast.ImportFrom)
        home = importlib.import_module(f".{line.module}" if line.module else "lamina", "lamina")
        told |= {name.asname: getattr(home, name.name) for name in line.names}
    assert told == {name: getattr(lamina, name) for name in lamina.__all__ if name not in ("__version__", "version")}


@pytest.mark.parametrize("name, once", [("clip", True), ("sum", True), ("einsum", False)])
def test_functions_that_left_the_backend_say_how_code_for_keras_2_runs(name: str, once: bool) -> None:
    with pytest.raises(AttributeError, match=f"lamina.ops.{name}") as told:
        getattr(lamina.backend, name)
    assert ("lamina run --keras 2" in str(told.value)) is once
