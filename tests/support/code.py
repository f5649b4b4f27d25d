"""The package's source, as trees."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import lamina

ROOT = Path(lamina.__file__).parent


@functools.cache
def sources() -> dict[str, ast.Module]:
    """The package's modules by their name within it."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def functions(node: ast.AST, place: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function by its dotted name. Lambdas are left out: what they are given is for their caller to say."""
    for child in ast.iter_child_nodes(node):
        inner = place
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            inner = f"{place}.{child.name}".lstrip(".")
            if not isinstance(child, ast.ClassDef):
                yield inner, child
        yield from functions(child, inner)


def all_functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for module, tree in sources().items():
        yield from functions(tree, module)


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    given = function.args
    several = [extra.arg for extra in (given.vararg, given.kwarg) if extra is not None]
    names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)] + several
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def excused(place: str, table: dict[str, str]) -> list[str]:
    """The patterns of a table that a dotted name fits."""
    return [pattern for pattern in table if fnmatchcase(place, pattern)]
