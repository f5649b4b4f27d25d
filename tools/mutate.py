"""Mutation testing: changes one thing in a module's functions at a time, and tells which changes no test notices.

    python tools/mutate.py lamina/kernels/window.py [--sample N] [--line N] [--most N] [--jobs N] tests/... [-k WORD]

What it does not know goes to pytest. Each change is tried by the tests that enter its function; first come those that
noticed others. A process is forked for each mutant. Functions get the changed code in place, so that whoever holds them
has it; what stands outside of functions stays as it is. A test that fails, or more than `--seconds` of the processor's
time, kills a mutant. Prints the survivors, one a line: place, the change, and the line as it was. (Linux, macOS.)
"""

from __future__ import annotations

import argparse
import ast
import copy
import gc
import importlib
import os
import pickle
import random
import resource
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]

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


def mutants(source: str) -> Iterator[tuple[int, int, str, ast.Module]]:
    """(line, first line of the function, change, whole module) for every change."""
    tree = ast.parse(source)
    kinds = (ast.FunctionDef, ast.Lambda)
    inner = {
        id(node): function for function in ast.walk(tree) if isinstance(function, kinds) for node in ast.walk(function)
    }
    for parent, name, index, node in list(_inside(tree)):
        function = inner[id(parent)]
        first = min(each.lineno for each in (*getattr(function, "decorator_list", ()), function))
        for new in changed(node):
            if ast.unparse(new) == ast.unparse(node):
                continue
            ast.copy_location(new, node)
            value = getattr(parent, name)
            if index is None:
                setattr(parent, name, new)
            else:
                value[index] = new
            change = "  ->  ".join(ast.unparse(form).split("\n")[0] for form in (node, new))
            yield getattr(node, "lineno", first), first, change, ast.fix_missing_locations(tree)
            if index is None:
                setattr(parent, name, node)
            else:
                value[index] = node


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _codes(inner)


def _in_child(function: Callable[[], int], seconds: int) -> int:
    """A process, which says nothing and ends with what the function returns, or a signal if it takes too long."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (int(sum(os.times()[:2])) + seconds,) * 2)
            out = os.open(os.devnull, os.O_WRONLY)
            os.dup2(out, 1)
            os.dup2(out, 2)
            code = function()
        finally:
            os._exit(code)
    return child


class Trial:
    """What pytest does in place of running the collected tests."""

    def __init__(self, asked: argparse.Namespace):
        self.asked, self.path = asked, asked.file.resolve()
        self.source = self.path.read_text()
        self.folder = Path(tempfile.mkdtemp(prefix="mutants-"))

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        importlib.import_module(".".join(self.path.relative_to(ROOT).with_suffix("").parts))
        gc.unfreeze()  # or its functions are not among the objects
        everything = (each for each in gc.get_objects() if type(each) is types.FunctionType)
        self.functions = [each for each in everything if each.__code__.co_filename == str(self.path)]
        self.items = session.items
        entered = self.entered()
        total = sum(1 for _ in mutants(self.source))
        chosen = {*random.Random(0).sample(range(total), min(self.asked.sample or total, total))}
        self.best: dict[int, int] = {}  # by test: the last change that it noticed
        self.running: dict[int, tuple[int, int, str]] = {}
        tried = survivors = 0
        for number, (line, first, change, tree) in enumerate(mutants(self.source)):
            if number not in chosen or (self.asked.line and line not in self.asked.line):
                continue
            tried += 1
            tests = entered.get(first, [])
            known = sorted((test for test in tests if test in self.best), key=self.best.__getitem__, reverse=True)[:20]
            tests = [*known, *tests[:: -(-len(tests) // self.asked.most) or 1]]
            mutant = compile(tree, str(self.path), "exec")
            child = _in_child(lambda: self.tried(mutant, tests, number), self.asked.seconds)  # noqa: B023 (at once)
            self.running[child] = number, line, change if tests else f"{change} (entered by no test)"
            while len(self.running) >= self.asked.jobs:
                survivors += self.ended()
        while self.running:
            survivors += self.ended()
        print(f"{tried} of {total} mutants tried by {len(self.items)} tests, {survivors} survived.")
        return True

    def passes(self, test: int, following: int) -> bool:
        item, before = self.items[test], self.items[test].session.testsfailed
        item.ihook.pytest_runtest_protocol(item=item, nextitem=self.items[following])
        return item.session.testsfailed == before

    def entered(self) -> dict[int, list[int]]:
        """By first line of a function, the tests that enter it and pass without a change, the quickest first."""
        told = self.folder / "entered"

        def run() -> int:
            found: dict[int, list[tuple[float, int]]] = {}
            lines: set[int] = set()

            def watch(frame: Any, *_: Any) -> None:
                if frame.f_code.co_filename == str(self.path):
                    lines.add(frame.f_code.co_firstlineno)

            for test in range(len(self.items)):
                lines.clear()
                started = time.thread_time()
                sys.settrace(watch)
                passed = self.passes(test, min(test + 1, len(self.items) - 1))
                sys.settrace(None)
                for line in lines if passed else ():
                    found.setdefault(line, []).append((time.thread_time() - started, test))
            told.write_bytes(pickle.dumps({line: [test for _, test in sorted(tests)] for line, tests in found.items()}))
            return 0

        _in_child(run, 3600)
        os.wait()
        return pickle.loads(told.read_bytes())

    def tried(self, mutant: types.CodeType, tests: list[int], number: int) -> int:
        """0 if all tests pass with the changed code; else the first that does not is written down."""
        changed = {(code.co_name, code.co_firstlineno): code for code in _codes(mutant)}
        for function in self.functions:
            code = changed.get((function.__code__.co_name, function.__code__.co_firstlineno))
            if code is not None and len(code.co_freevars) == len(function.__code__.co_freevars):
                function.__code__ = code
        told = self.folder / str(number)
        for test, following in zip(tests, [*tests[1:], *tests[-1:]], strict=True):
            told.write_text(str(test))
            if not self.passes(test, following):
                return 1
        told.unlink(missing_ok=True)
        return 0

    def ended(self) -> int:
        """Wait for one process; 1 if its mutant survived, which is told."""
        child, status = os.wait()
        number, line, change = self.running.pop(child)
        told = self.folder / str(number)
        if told.exists():
            self.best[int(told.read_text())] = number
        if not status:
            print(f"{self.asked.file}:{line}: {change}    in: {self.source.splitlines()[line - 1].strip()}", flush=True)
        return not status


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--sample", type=int, help="try so many, drawn at random")
    parser.add_argument("--line", type=int, action="append", help="try only changes in this line")
    parser.add_argument("--most", type=int, default=1000, help="tests of one mutant, drawn evenly")
    parser.add_argument("--seconds", type=int, default=60, help="of the processor's time for the tests of one mutant")
    parser.add_argument("--jobs", type=int, default=1, help="mutants tried at the same time")
    asked, rest = parser.parse_known_args()
    sys.path.insert(0, str(ROOT))
    options = ["-qq", "-s", "--no-summary", "-p", "no:cacheprovider", "-m", "not slow and not gpu"]
    sys.exit(pytest.main([*options, *rest], plugins=[Trial(asked)]))


if __name__ == "__main__":
    main()
