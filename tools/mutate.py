"""Mutation testing: changes one thing in a module's functions at a time, and tells which changes no test notices.

    python tools/mutate.py lamina/kernels/window.py [--sample N] [--only WORD] [--every N] [--jobs N] tests/...

Runs those functions of the test files that take no fixtures and have one of the words in their names, as they stand.
A process is forked for each mutant. The functions it runs get the changed code in place, so that whoever holds them
has it; what stands outside of functions stays as it is. A test that fails, or more than `--seconds` of the processor's
time, kills a mutant. Prints the survivors, one a line: place, the line as it was, and the change. (Linux, macOS.)
"""

from __future__ import annotations

import argparse
import ast
import copy
import functools
import importlib
import inspect
import os
import random
import resource
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
Test = Callable[[], Any]

_OPERATORS: dict[type, tuple[type, ...]] = {
    ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Add,), ast.FloorDiv: (ast.Mult,), ast.Mod: (ast.FloorDiv,),
    ast.Div: (ast.Mult,), ast.BitOr: (ast.BitAnd,), ast.BitAnd: (ast.BitOr,), ast.LShift: (ast.RShift,),
    ast.RShift: (ast.LShift,), ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt,), ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt,), ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.And: (ast.Or,), ast.Or: (ast.And,),
}  # fmt: skip
_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}


def changed(node: ast.AST) -> Iterator[ast.AST]:
    """Other forms of one node."""
    if isinstance(node, (ast.BinOp, ast.BoolOp, ast.AugAssign)):
        for other in _OPERATORS.get(type(node.op), ()):
            new = copy.deepcopy(node)
            new.op = other()
            yield new
    elif isinstance(node, ast.Compare):
        for index, op in enumerate(node.ops):
            for other in _OPERATORS.get(type(op), ()):
                new = copy.deepcopy(node)
                new.ops[index] = other()
                yield new
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.Constant) and type(node.value) in (int, bool):
        yield ast.Constant(not node.value if type(node.value) is bool else node.value + 1)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        yield ast.Constant(f"{node.value}~")
    elif isinstance(node, ast.Name) and node.id in _NAMES and isinstance(node.ctx, ast.Load):
        yield ast.Name(_NAMES[node.id], node.ctx)
    elif isinstance(node, ast.IfExp):
        yield node.body
        yield node.orelse
    elif isinstance(node, (ast.If, ast.While)):
        new = copy.deepcopy(node)
        new.test = ast.UnaryOp(ast.Not(), new.test)
        yield new
    elif isinstance(node, ast.Return) and node.value is not None:
        yield ast.Return(ast.Constant(None))


def _inside(tree: ast.Module) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """(parent, field, place in it, node) of what functions run, without texts about it, annotations and messages."""
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    while waiting:
        node, runs = waiting.pop()
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "type_params") or isinstance(
                node, (ast.Raise, ast.JoinedStr)
            ):
                continue
            for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
                text = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
                if not isinstance(child, ast.AST) or text:
                    continue
                function = isinstance(node, (ast.FunctionDef, ast.Lambda)) and name == "body"
                if runs or function:
                    yield node, name, index, child
                waiting.append((child, runs or function))


def mutants(source: str) -> Iterator[tuple[int, str, ast.Module]]:
    """(line, change, whole module) for every change."""
    tree = ast.parse(source)
    for parent, name, index, node in list(_inside(tree)):
        for new in changed(node):
            if ast.unparse(new) == ast.unparse(node):
                continue
            ast.copy_location(new, node)
            value = getattr(parent, name)
            if index is None:
                setattr(parent, name, new)
            else:
                value[index] = new
            first = ast.unparse(node).split("\n")[0]
            yield (
                getattr(node, "lineno", 0),
                f"{first}  ->  {ast.unparse(new).split(chr(10))[0]}",
                ast.fix_missing_locations(tree),
            )
            if index is None:
                setattr(parent, name, node)
            else:
                value[index] = node


def _exchange(old: Any, new: Any, seen: set[int]) -> None:
    """Give functions, and those of classes, the code of others of the same name."""
    for name, item in vars(new).items():
        mine = vars(old).get(name)
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, property):
            item, mine = item.fget, getattr(mine, "fget", None)
        item, mine = (getattr(each, "__wrapped__", getattr(each, "__func__", each)) for each in (item, mine))
        if isinstance(item, types.FunctionType) and isinstance(mine, types.FunctionType):
            if item.__module__ == mine.__module__ and len(item.__code__.co_freevars) == len(mine.__code__.co_freevars):
                mine.__code__, mine.__defaults__ = item.__code__, item.__defaults__
        elif isinstance(item, type) and isinstance(mine, type) and item.__module__ == mine.__module__:
            _exchange(mine, item, seen)


def begun(module: types.ModuleType, tree: ast.Module, tests: list[Test], seconds: int) -> int:
    """The process that runs the tests with the changed module: it ends with 0 where all pass."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (int(sum(os.times()[:2])) + seconds,) * 2)
            out = os.open(os.devnull, os.O_WRONLY)
            os.dup2(out, 1)
            os.dup2(out, 2)
            made = types.ModuleType(module.__name__)
            vars(made).update(__file__=module.__file__, __package__=module.__package__)
            exec(compile(tree, str(module.__file__), "exec"), vars(made))
            _exchange(module, made, set())
            for test in tests:
                test()
            code = 0
        finally:
            os._exit(code)
    return child


def _row(value: Any, count: int) -> Any:
    if isinstance(value, type(pytest.param())):
        return value.values
    return value if count > 1 else (value,)


def passing(tests: list[Test]) -> bytes:
    """1 for each test that passes alone and without a change, else 0: some need what pytest sets up."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        out = os.open(os.devnull, os.O_WRONLY)
        os.dup2(out, 1)
        os.dup2(out, 2)
        for test in tests:
            try:
                test()
                os.write(writing, b"\1")
            except BaseException:
                os.write(writing, b"\0")
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        found = told.read()
    os.wait()
    return found


def tests_of(name: str, words: list[str]) -> Iterator[Test]:
    """The tests of a file that need no fixtures, once for each of their parameters."""
    module = importlib.import_module(Path(name).stem)
    for title, function in vars(module).items():
        if not title.startswith("test_") or not any(word in title for word in words or [""]):
            continue
        marks = [mark.args for mark in getattr(function, "pytestmark", ()) if mark.name == "parametrize"]
        given: list[dict[str, Any]] = [{}]
        for names, values in marks:
            keys = [key.strip() for key in names.split(",")] if isinstance(names, str) else names
            rows = [_row(value, len(keys)) for value in values]
            given = [{**one, **dict(zip(keys, row, strict=True))} for one in given for row in rows]
        if set(inspect.signature(function).parameters) <= given[0].keys():
            yield from (functools.partial(function, **one) for one in given)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--sample", type=int, help="try so many, drawn at random")
    parser.add_argument("--seconds", type=int, default=60, help="of the processor's time for the tests of one mutant")
    parser.add_argument("--only", action="append", default=[], help="a word in the names of tests")
    parser.add_argument("--jobs", type=int, default=1, help="mutants tried at the same time")
    parser.add_argument("--every", type=int, default=1, help="run each so-manieth test alone")
    parser.add_argument("tests", nargs="+")
    asked = parser.parse_args()
    for folder in (ROOT, ROOT / "tests"):
        sys.path.insert(0, str(folder))
    importlib.import_module("conftest")
    path = asked.file.resolve()
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    source = path.read_text()
    tests = [test for name in asked.tests for test in tests_of(name, asked.only)][:: asked.every]
    tests = [test for test, passes in zip(tests, passing(tests), strict=True) if passes]
    if not tests:
        sys.exit("There are no such tests, or they fail without a change.")
    total = sum(1 for _ in mutants(source))
    chosen = set(random.Random(0).sample(range(total), min(asked.sample or total, total)))
    lines, survivors = source.splitlines(), 0
    running: dict[int, tuple[int, str]] = {}

    def ended() -> int:
        """Wait for one process; 1 if its mutant survived, which is told."""
        child, status = os.wait()
        line, change = running.pop(child)
        if not status:
            print(f"{asked.file}:{line}: {change}    in: {lines[line - 1].strip()}", flush=True)
        return not status

    for index, (line, change, tree) in enumerate(mutants(source)):
        if index in chosen:
            running[begun(module, tree, tests, asked.seconds)] = line, change
        while len(running) >= asked.jobs:
            survivors += ended()
    while running:
        survivors += ended()
    print(f"{len(chosen)} of {total} mutants tried by {len(tests)} tests, {survivors} survived.")


if __name__ == "__main__":
    main()
