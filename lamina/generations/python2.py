"""Python 2 as Python 3: sources up to 2019, rewritten as they are read, by `fissix` or Python's own `lib2to3`.

What these leave to people is done here where it is certain: whole numbers divide to whole numbers, `round` leaves zero
at halves and gives floats, texts may be decoded, pickles hold bytes as texts and lie in files that are open for text.
"""

from __future__ import annotations

import ast
import copy
import importlib
import importlib.util
import io
import linecache
import math
import operator
import pickle
import re
import sys
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

from ..translation.known import BUILTINS
from .processes import is_first

_LINE = (
    r"(print\s+[^=(]|print\s*>>|exec\s+[\"']|raise\s+\w+\s*,|except\s+[\w.() ,]+,\s*\w+\s*:)"
    r"|.*(<>|\b0[0-7]+\b|\d[lL]\b|`)"
)  # of Python 2


def is_python2(line: str) -> bool:
    """Whether a line that Python 3 refuses is one of Python 2."""
    return bool(re.match(_LINE, line))


class NoTool(Exception):
    """Nothing is installed that rewrites Python 2."""


def compiled(parts: Mapping[str, str | bytes], packaged: bool = False) -> list[CodeType]:
    """A module, or the cells of a notebook by their names, as code; rewritten where one of them is Python 2.

    Modules of a package import from beside them first there. Raises SyntaxError for what is neither Python 3 nor
    Python 2; NoTool.
    """
    refused: SyntaxError | None = None
    try:
        codes = [compile(source, name, "exec", dont_inherit=True) for name, source in parts.items()]
        if not any(map(_is_older, parts.values())):
            return codes
    except SyntaxError as error:
        refused, codes = error, []
        if _tool() is None and is_python2((error.text or "").strip()):
            raise NoTool(error.filename) from None
    texts = [importlib.util.decode_source(source) if isinstance(source, bytes) else source for source in parts.values()]
    try:
        rewritten = _rewritten(texts, next(iter(parts)), packaged)
        meanings = _Meanings("\n".join(texts))
        codes = [
            compile(meanings.visit(ast.parse(text)), name, "exec", dont_inherit=True)
            for name, text in zip(parts, rewritten, strict=True)
        ]
    except SyntaxError:
        if refused is not None:
            raise refused from None
        return codes
    for name, text in zip(parts, rewritten, strict=True):
        linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
    if is_first():
        told = next(iter(parts)).partition(", cell ")[0]
        print(f"lamina: {told} is Python 2: run as 2to3 rewrites it, with Python 2's division", file=sys.stderr)
    return codes


def _is_older(source: str | bytes) -> bool:
    """Whether Python 3 reads it, and must fail: it asks for what only Python 2 has, in no function that may never run,
    and not for one of two versions."""
    tree = ast.parse(source)
    bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, _UNSURE) or (isinstance(node, ast.If) and re.search("version|PY|py", ast.dump(node.test))):
            continue
        asked = [alias.name for alias in node.names] if isinstance(node, ast.Import) else ()
        if isinstance(node, ast.ImportFrom) and not node.level:
            asked = [node.module]
        if any(name in _MODULES and importlib.util.find_spec(name) is None for name in asked):
            return True
        if isinstance(node, ast.Name) and node.id in BUILTINS and node.id not in bound:
            return True
        waiting += ast.iter_child_nodes(node)
    return False


_MODULES = ("cPickle", "cStringIO", "StringIO", "urllib2", "urlparse", "ConfigParser", "Queue", "Tkinter", "HTMLParser")
_UNSURE = (ast.Try, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_NEXT = "#%lamina-next\n"  # between parts


def _rewritten(texts: Sequence[str], name: str, packaged: bool) -> list[str]:
    if (found := _tool()) is None:
        raise SyntaxError(name)
    tool, refactor = found
    fixers = set(refactor.get_fixers_from_package(f"{tool}.fixes"))
    if not packaged:
        fixers.remove(f"{tool}.fixes.fix_import")
    text = _NEXT.join(f"{text}\n" for text in texts)
    text = re.sub(r"(?m)^[ \t]+", lambda margin: margin[0].expandtabs(8), text)  # as Python 2 counts a tab
    try:
        return str(refactor.RefactoringTool(sorted(fixers)).refactor_string(text, name)).split(_NEXT)
    except Exception as error:  # the tools' classes for what they cannot read differ
        raise SyntaxError(str(error)) from None


@cache
def _tool() -> tuple[str, Any] | None:
    for tool in ("fissix", "lib2to3"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of lib2to3, which is leaving Python
                return tool, importlib.import_module(f"{tool}.refactor")
        except ImportError:
            continue
    return None


class _Meanings(ast.NodeTransformer):
    """Lets a module, as 2to3 rewrites it, ask the functions below."""

    def __init__(self, source: str):
        self.divides = not re.search(r"(?m)^from __future__ import .*\bdivision\b", source)
        self.bound: set[str] = set()  # the module's own names
        self.pickles = {"pickle"}  # what it calls that module

    def visit_Module(self, node: ast.Module) -> ast.AST:
        for each in ast.walk(node):
            if isinstance(each, (ast.FunctionDef, ast.ClassDef)):
                self.bound.add(each.name)
            elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                self.bound.add(each.id)
            elif isinstance(each, ast.alias):
                self.bound.add(each.asname or each.name)
                self.pickles |= {each.asname or each.name} if each.name == "pickle" else set()
        self.generic_visit(node)
        after = ast.get_docstring(node) is not None
        node.body.insert(after, ast.Import([ast.alias(__name__, _HERE)]))
        return ast.fix_missing_locations(node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        return _ask("divide", node.left, node.right) if self.divides and isinstance(node.op, ast.Div) else node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        calls = any(isinstance(each, ast.Call) for each in ast.walk(node.target))  # once, as it is written
        if not self.divides or calls or not isinstance(node.op, ast.Div):
            return node
        there = copy.deepcopy(node.target)
        there.ctx = ast.Load()
        return ast.Assign([node.target], _ask("divide_in_place", there, node.value))

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        function = node.func
        if isinstance(function, ast.Name) and function.id in ("round", "cmp") and function.id not in self.bound:
            return _ask(function.id, *node.args)
        if isinstance(function, ast.Name) and function.id == "str" and len(node.args) > 1:  # unicode(text, "utf8")
            return _ask("decode", *node.args)
        if isinstance(function, ast.Attribute):
            of = function.value
            if function.attr == "decode":
                return _ask("decode", of, *node.args)
            if function.attr in ("load", "loads", "dump") and isinstance(of, ast.Name) and of.id in self.pickles:
                return _ask(function.attr, *node.args, keywords=node.keywords)
            if function.attr == "setdefaultencoding":
                return ast.Constant(None)
        return node


_HERE = "_python2"  # this module, in a rewritten one


def _ask(name: str, *given: ast.expr, keywords: Sequence[ast.keyword] = ()) -> ast.Call:
    return ast.Call(ast.Attribute(ast.Name(_HERE, ast.Load()), name, ast.Load()), list(given), list(keywords))


def _whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) or (isinstance(value, np.ndarray) and value.dtype.kind in "iu")


def divide(left, right):
    return left // right if _whole(left) and _whole(right) else left / right


def divide_in_place(left, right):
    return operator.ifloordiv(left, right) if _whole(left) and _whole(right) else operator.itruediv(left, right)


def round(value, digits=0):
    scale = 10.0**digits
    return math.copysign(math.floor(abs(value) * scale + 0.5) / scale, value)


def cmp(left, right):
    return (left > right) - (left < right)


def decode(value, *how):
    return value if isinstance(value, str) else value.decode(*how)


def load(file):
    return pickle.load(_binary(file), encoding="latin1")


def loads(text):
    return pickle.loads(text.encode("latin1") if isinstance(text, str) else text, encoding="latin1")


def dump(value, file, protocol=None):
    pickle.dump(value, _binary(file), protocol)


def _binary(file):
    return file.buffer if isinstance(file, io.TextIOWrapper) else file


def find_below(root: str) -> None:
    """From now on `import` reads modules in Python 2 that lie below a folder."""
    if root:  # what Lamina has in the place of a module goes first
        sys.meta_path.insert(sys.meta_path.index(PathFinder), _Finder(root))


class _Finder:
    def __init__(self, root: str):
        self._root = Path(root).resolve()

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        places = (
            [str(self._root)]
            if path is None
            else [place for place in path if Path(place).resolve().is_relative_to(self._root)]
        )
        spec = PathFinder.find_spec(name, places)
        if spec is None or not isinstance(spec.loader, SourceFileLoader):
            return None
        source = spec.loader.get_data(spec.loader.path)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if not _is_older(source):
                    return None
        except SyntaxError:
            pass
        spec.loader = _Loader(name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    def path_stats(self, path: str) -> Any:
        raise OSError("not kept in __pycache__, where plain Python would find it")

    def source_to_code(self, data: Any, path: Any, *, _optimization: int = -1) -> CodeType:
        return compiled({path: data}, packaged="." in self.name or self.is_package(self.name))[0]
