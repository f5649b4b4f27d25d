"""What in a source tells the generation it was written for."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from ..translation.known import ARGUMENTS, BUILTINS, KEPT, METHOD_WORDS, METHODS, MODULES, NAMES, TIMES, by_name
from ..translation.words import BASE, FIRST, words
from .dialect import DIALECTS

ALL = "12t3"  # one character for a generation
OLDER = {"1": "keras1", "2": "keras2", "t": "tf_keras"}


class Kind(IntEnum):
    """How much a piece of evidence weighs: it decides among what the kinds before it left."""

    NAME = 0  # a module, or what is in it
    WORD = 1  # an argument, a method
    HABIT = 2  # what is of a time, and would run in others as well
    STYLE = 3  # how `keras` is imported


class Evidence(NamedTuple):
    kind: Kind
    generations: str  # those that have it
    line: int
    what: str


# Where `keras` is found: the beginnings of full names, and whether `tensorflow` brings it.
_ROOTS = {"tensorflow.python.keras": True, "tensorflow.contrib.keras": True, "tensorflow.compat.v1.keras": True,
          "tensorflow.compat.v2.keras": True, "tensorflow.keras": True, "tf_keras": True, "keras_core": False,
          "keras": False}  # fmt: skip


class Reader:
    """One source: what its names stand for, and what they say. `before`: that of the cell above in a notebook."""

    def __init__(self, tree: ast.AST, before: Reader | None = None):
        self.nodes = list(ast.walk(tree))
        self.guarded = {id(inner) for node in self.nodes if _is_guard(node) for inner in ast.walk(node)}
        self.bound: dict[str, str] = {**before.bound} if before else {}  # full dotted names by what they are called
        self.stars: list[str] = [*before.stars] if before else []  # homes that `from keras... import *` took all of
        self.homes = self.stars
        self.defined = {node.name for node in self.nodes if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
        self.defined |= before.defined if before else set()
        self.tensorflow = 0  # the first line that imports it
        self.of_tensorflow = 0  # the first line that uses its Keras
        for node in self.nodes:
            self._bind(node)
        self.of_keras = bool(self.stars) or any(path.partition(".")[0] == "keras" for path in self.bound.values())
        knows = any(self.stars) or any(below(path)[1] is not None for path in self.bound.values())
        if not knows:  # a piece of a script
            self.homes = ["layers", "models", "optimizers"]
        for node in self.nodes:
            if isinstance(node, ast.Attribute):
                self._use(self._path(node) or "", node.lineno)

    def _use(self, path: str, line: int) -> None:
        if path.partition(".")[0] == "tensorflow":
            self.tensorflow = min(line, self.tensorflow or line)
        if below(path)[0]:
            self.of_tensorflow = min(line, self.of_tensorflow or line)

    def _bind(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                self.bound[alias.asname or top] = alias.name if alias.asname else top
                self._use(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                self._use(f"{node.module}.{alias.name}", node.lineno)
                if alias.name == "*":
                    own = below(node.module)[1]
                    self.stars += [] if own is None else [own.partition(".")[0]]
                else:
                    self.bound[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            path = self._path(node.value) if isinstance(node.value, ast.Attribute) else None
            if path is not None:
                self.bound[node.targets[0].id] = path

    def _path(self, node: ast.AST) -> str | None:
        """The full name that a name or a chain of attributes stands for."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        start = self.bound.get(node.id) or self._of_star(node.id)
        if start is None:
            return None
        return ".".join([start, *reversed(parts)])

    def _of_star(self, name: str) -> str | None:
        """What a name may stand for that is bound nowhere: one of `from keras... import *`, or of a cell left out."""
        if name not in self.defined:
            for home in self.homes:
                if name in _table_names(home) or (home, name) in _NAMED:
                    return f"keras.{home}.{name}"
        return None

    def read(self) -> Iterator[Evidence]:
        for node in self.nodes:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                if id(node) not in self.guarded:
                    yield from self._of_import(node)
            elif isinstance(node, ast.Attribute):
                yield from self._of_attribute(node)
            elif isinstance(node, ast.Call):
                yield from self._of_call(node)
                yield from _of_backend(node.args)
                yield from _of_times(node)
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
                yield from _of_backend([node.targets[0].slice, node.value])
            elif isinstance(node, ast.FunctionDef) and node.name in ("get_output_shape_for", "compute_output_shape"):
                yield Evidence(Kind.WORD, METHODS[node.name], node.lineno, f"def {node.name}")
            else:
                yield from _of_times(node)
        yield from self._of_style()

    def _of_import(self, node: ast.Import | ast.ImportFrom) -> Iterator[Evidence]:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif node.level:
            return
        elif node.module == "__future__":
            if any(alias.name != "annotations" for alias in node.names):
                yield Evidence(Kind.HABIT, "12", node.lineno, "from __future__ import")
            return
        else:
            names = [f"{node.module}.{alias.name}".removesuffix(".*") for alias in node.names]
        for name in names:
            yield from _of_path(name, node.lineno)

    def _of_style(self) -> Iterator[Evidence]:
        """Scripts of Keras 3 say `import keras` or `from keras import layers`; those before mostly did not."""
        for node in self.nodes:
            if isinstance(node, ast.Import) and any(alias.name.startswith("keras.") for alias in node.names):
                yield Evidence(Kind.STYLE, "12", node.lineno, "`import keras. ...`")
            elif isinstance(node, ast.ImportFrom) and any(
                f"{node.module}.{alias.name}" == "keras.backend" for alias in node.names
            ):
                yield Evidence(Kind.STYLE, "12", node.lineno, "`from keras import backend`")
        lines = [
            node.lineno
            for node in self.nodes
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keras.") and not node.level
        ]
        if lines and "keras" not in self.bound and "keras.layers" not in self.bound.values():
            yield Evidence(Kind.STYLE, "12", min(lines), "`from keras. ... import` without `import keras`")

    def _of_attribute(self, node: ast.Attribute) -> Iterator[Evidence]:
        path = self._path(node)
        if path is not None and id(node) not in self.guarded:
            yield from _of_path(path, node.lineno)
        if (path is None or "." not in path) and node.attr in METHODS:
            yield Evidence(Kind.WORD, METHODS[node.attr], node.lineno, f".{node.attr}")
        elif node.attr == "lr" and "optimizer" in ast.unparse(node.value):
            yield Evidence(Kind.WORD, "12t", node.lineno, "optimizer.lr")

    def _of_call(self, node: ast.Call) -> Iterator[Evidence]:
        given = [keyword.arg for keyword in node.keywords if keyword.arg]
        path = self._path(node.func) or ""
        if isinstance(node.func, ast.Name) and node.func.id not in self.bound:
            yield from _of_path(path, node.lineno)
        if path.endswith("Sequential") or getattr(node.func, "attr", "") == "add":
            held = [each for arg in node.args[:1] for each in (arg.elts if isinstance(arg, ast.List) else [arg])]
            if any(isinstance(each, ast.Call) and (self._path(each.func) or "").endswith(".Input") for each in held):
                yield Evidence(Kind.WORD, "t3", node.lineno, "an Input in a Sequential")
        own = below(path)[1]
        if own:
            home, _, name = own.rpartition(".")
            home = home.partition(".")[0]
            home = {"": "models", "engine": "models"}.get(home, home)
            if name[:1].isupper() and home in ("layers", "optimizers", "regularizers", "constraints", "initializers"):
                yield from _of_class(home, name, node)
            known = ARGUMENTS.get(own) or ARGUMENTS.get(f"{home}.{name}") or {}
            for word in given:
                if word in known:
                    yield Evidence(Kind.WORD, known[word], node.lineno, f"{name}({word}=)")
        elif isinstance(node.func, ast.Attribute):
            method = node.func.attr
            for word in given:
                yield from _of_method(method, word, node.lineno)


def _of_path(path: str, line: int) -> Iterator[Evidence]:
    """What a full name says: the module, and the name in it."""
    own = below(path)[1]
    if own is None:
        for generations in _of_time(path):
            yield Evidence(Kind.HABIT, generations, line, path)
        return
    parts = own.split(".") if own else []
    for length in range(len(parts)):
        generations = age(".".join(parts[:length]), parts[length])
        if generations is not None:
            named = ".".join(parts[: length + 1])
            yield Evidence(Kind.WORD if parts[length] in KEPT else Kind.NAME, generations, line, f"keras.{named}")
    modules = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    module = next((each for each in modules if each in MODULE_AGES), "")
    in_a_file_of_its_own = parts[:1] == ["layers"] and len(parts) == 4 and parts[3] in _table_names("layers")
    if in_a_file_of_its_own and module == ".".join(parts[:2]):
        yield Evidence(Kind.NAME, "t", line, f"keras.{own}")  # as tf.keras alone had them
    elif module and (module != own or tuple(own.rpartition(".")[::2]) not in _NAMED):  # `layers.merge` was both
        yield Evidence(Kind.NAME, MODULE_AGES[module], line, f"keras.{module}")


def _of_time(path: str) -> list[str]:
    """The generations that a full name of another package is of the time of."""
    return [
        generations
        for generations, text in TIMES.items()
        if any(path == told or path.startswith(f"{told}.") for told in text.split())
    ] or ["12"] * path.startswith("keras_")  # what was built upon Keras


MODULE_AGES = by_name(MODULES)
_NAMED = {(home, name): ages for home, lists in NAMES.items() for name, ages in by_name(lists).items()}


@functools.cache
def _table_names(home: str) -> frozenset[str]:
    """The names in a home that a table of a generation has."""
    names = {"Model", "Sequential"} if home == "models" else set()
    for dialect in DIALECTS.values():
        names.update(dialect.table.objects.get(home, ()))
    return frozenset(names)


def age(home: str, name: str) -> str | None:
    """The generations that have a name in a module; None where the table does not tell."""
    if home.startswith("layers."):
        home = home if (home, name) in _NAMED else "layers"  # where all its classes are as well
    found = _NAMED.get((home, name))
    for length in range(len(name), -1, -1):
        found = found or _NAMED.get((home, f"{name[:length]}*"))
    return None if found == ALL else found


def below(path: str) -> tuple[bool, str | None]:
    """Whether a full name is of TensorFlow's Keras, and its part below `keras`; None where it is none."""
    for root, tensorflow in _ROOTS.items():
        if path == root or path.startswith(f"{root}."):
            return tensorflow, path[len(root) + 1 :]
    return False, None


def _of_class(home: str, name: str, node: ast.Call) -> Iterator[Evidence]:
    takes = "".join(each for each in ALL if _takes(each, home, name, node))
    if takes not in ("", ALL, "t"):
        said = ", ".join([*map(ast.unparse, node.args), *(f"{word.arg}=" for word in node.keywords if word.arg)])
        yield Evidence(Kind.WORD, takes, node.lineno, f"{name}({said if len(said) < 60 else '...'})")
    if home == "layers" and name not in ("Input", "InputLayer", "Embedding"):
        for keyword in node.keywords:
            if keyword.arg in ("input_shape", "batch_input_shape", *FIRST):
                yield Evidence(Kind.HABIT, "12t", node.lineno, f"{name}({keyword.arg}=)")


def _takes(generation: str, home: str, name: str, node: ast.Call) -> bool:
    """Whether a class of that name takes such a call. Its own words count, not those it also understands."""
    given = {keyword.arg for keyword in node.keywords if keyword.arg}
    if generation == "3":
        modern = getattr(importlib.import_module(f"lamina.{home}"), name, None)
        if not callable(modern):
            return False
        parameters = inspect.signature(modern).parameters
        own = [p for p in parameters.values() if p.kind is not p.KEYWORD_ONLY]
        return given <= {*parameters, *_COMMON} and len(node.args) <= len(own) and not _sizes_apart(name, node)
    table = DIALECTS[OLDER[generation]].table
    if table.canonical(name, home) is None:
        return table.shares_modern and _takes("3", home, name, node)
    told = words(table, home, name)
    if home == "optimizers":
        given -= {"lr", "decay"}  # of all older ones
    apart = generation != "1" and _sizes_apart(told.entry.modern, node)
    return given <= {*told.accepted, *_COMMON} and not apart


_COMMON = (*BASE, "input_dim", "input_length", "clipnorm", "clipvalue", "global_clipnorm")


def _sizes_apart(name: str, node: ast.Call) -> bool:
    """Whether a convolution's sizes are three numbers, as in Conv2D(64, 3, 3)."""
    return "Conv" in name and "1D" not in name and len(node.args) == 3 and not isinstance(node.args[1], ast.Tuple)


@functools.cache
def _method_words(method: str) -> dict[str, str]:
    """Which generations' models know an argument of a method."""
    found: dict[str, str] = {}
    for generation in ALL:
        if generation == "3":
            method_of = getattr(importlib.import_module("lamina.models").Model, method, None)
            own = inspect.signature(method_of).parameters if callable(method_of) else ()
        else:
            own = [
                part.partition("=")[0].strip()
                for part in DIALECTS[OLDER[generation]].table.methods.get(method, "").split(",")
            ]
        for word in own:
            found[word] = found.get(word, "") + generation
    return found


def _of_method(method: str, word: str, line: int) -> Iterator[Evidence]:
    if not any(method in dialect.table.methods for dialect in DIALECTS.values()):
        return
    known = METHOD_WORDS.get(word) or _method_words(method).get(word)
    if known and known != ALL:
        yield Evidence(Kind.WORD, known, line, f".{method}({word}=)")


def _of_times(node: ast.AST) -> Iterator[Evidence]:
    """What is of a time, though not of Keras."""
    if isinstance(node, ast.Name) and node.id in BUILTINS:
        yield Evidence(Kind.HABIT, "12", node.lineno, f"{node.id} of Python 2")
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super" and node.args:
        yield Evidence(Kind.HABIT, "12t", node.lineno, "super(...) with arguments")
    elif isinstance(node, ast.ClassDef) and any(
        isinstance(base, ast.Name) and base.id == "object" for base in node.bases
    ):
        yield Evidence(Kind.HABIT, "12t", node.lineno, "class (object)")
    elif isinstance(node, ast.JoinedStr):
        yield Evidence(Kind.HABIT, "2t3", node.lineno, "an f-string")
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        said = node.value
        if said in ("val_acc", "acc", "th", "theano", "cntk"):
            yield Evidence(Kind.HABIT, "12", node.lineno, repr(said))
        elif said in ("channels_first", "channels_last"):
            yield Evidence(Kind.HABIT, "2t3", node.lineno, repr(said))
        elif said.endswith((".keras", ".weights.h5")) and len(said) > 6:
            yield Evidence(Kind.HABIT, "t3", node.lineno, "a .keras or .weights.h5 file")
        elif said.endswith((".h5", ".hdf5")) and len(said) > 6:
            yield Evidence(Kind.HABIT, "12t", node.lineno, "a file in HDF5")


def _of_backend(parts: list[ast.expr]) -> Iterator[Evidence]:
    """`os.environ["KERAS_BACKEND"] = "jax"`, or set by a call."""
    texts = [part.value for part in parts if isinstance(part, ast.Constant)]
    if texts[:1] == ["KERAS_BACKEND"] and texts[-1] in ("jax", "torch", "openvino"):
        yield Evidence(Kind.NAME, "3", parts[0].lineno, f"the backend {texts[-1]!r}")


def _is_guard(node: ast.AST) -> bool:
    """Whether a `try` is there for what may not be importable."""
    return isinstance(node, ast.Try) and any(isinstance(each, (ast.Import, ast.ImportFrom)) for each in node.body)
