"""What a source's names stand for, and where Keras 3 has them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import libcst as cst
from libcst.metadata import QualifiedNameSource

from ...translation import migrating
from ..dialect import Dialect
from ..evidence import MODULE_AGES, below
from ..names import CALLED
from ..namespaces import open_namespace
from ..sources import parsed
from .calls import known, module_of, public_class, text_of

# What makes a model, by its home.
MODEL_MAKERS = frozenset(
    ("Sequential", "Model", "Functional", "load_model", "clone_model", "model_from_json", "model_from_config",
     "model_from_yaml", "multi_gpu_model")
)  # fmt: skip


# What TensorFlow 2 has at its own root, too; small names there may be those of TensorFlow 1.
_AT_ROOT = re.compile(r"^tensorflow(\.compat\.v2)?\.(?=optimizers\.|(losses|metrics|initializers)\.[A-Z])")


class Target(NamedTuple):
    """A module (`name` is empty) or a name in one, as Keras 3 has it."""

    home: str
    name: str = ""

    @property
    def path(self) -> str:
        return f"{self.home}.{self.name}".strip(".")


class Names:
    """Where Keras 3 has what a generation had."""

    def __init__(self, dialect: Dialect):
        open_namespace(dialect.table.name)
        self.dialect, self.table = dialect, dialect.table

    def home_of(self, own: str) -> Iterator[str]:
        """The modules in which a name of an old module may be found, the likeliest first."""
        base = self.table.modules.get(own, own)
        yield base
        parts = base.split(".")
        for length in range(len(parts) - 1, 0, -1):
            yield ".".join(parts[:length])
        if parts[0] in ("", "engine", "legacy", "layers", "models"):
            yield from ("layers", "models", "utils")

    def entry_of(self, own: str) -> tuple[str, str] | None:
        """The home and the name under which a table has an old path."""
        home, _, name = own.rpartition(".")
        for each in self.home_of(home):
            if each in self.table.objects and self.table.canonical(name, each) is not None:
                return each, name
        return None

    def merges(self, own: str) -> bool:
        """Whether it is Keras 1's function `merge`."""
        return own.rpartition(".")[2] == "merge" and self.table.find("merge") is not None

    def is_module(self, own: str) -> bool:
        return own in self.dialect.homes or own in MODULE_AGES or (own.count(".") < 2 and _modern(own))

    def module(self, own: str) -> str:
        """Today's module of an old one, or of the one above."""
        for each in self.home_of(own):
            if _modern(each):
                return each
        return ""

    def find(self, own: str) -> Target | None:
        """Where Keras 3 has an old path; None where it has not."""
        if own == "":
            return Target("")
        moved = migrating.MOVED.get(own)
        if moved is not None:
            return Target(*moved.rpartition(".")[::2]) if moved else None
        home, _, name = own.rpartition(".")
        found = self.entry_of(own)
        if found is not None and not found[0].startswith(("datasets", "preprocessing", "utils")):
            return self._of_table(home, *found)
        if home.partition(".")[0] == "backend":
            return self._of_backend(name)
        for each in self.home_of(home):
            if _modern(each) and known(each, name):
                return Target(each, name)
        for each in self.home_of(home):
            second = self.table.functions.get(each, {}).get(name)
            if second and known("losses", second):
                return Target("losses", second)
        if self.is_module(own):
            return Target(self.module(own))
        held = CALLED.get(name, name)  # modules that others import
        return Target(held) if home and _modern(held) and known("", held) else None

    def _of_table(self, home: str, each: str, name: str) -> Target | None:
        """What an entry of a table is called; `home`: where the source found it."""
        cls = public_class(each, self.table.objects[each][self.table.canonical(name, each) or name].modern)
        if cls is None:
            return None
        called = name if each != "layers" and known(each, name) else getattr(cls, "__name__", name)
        return Target(home if home == "" and known(home, called) else each.partition(".")[0], called)

    def _of_backend(self, name: str) -> Target | None:
        """A name of K that is called, or handed on, as it is."""
        if known("backend", name):
            return Target("backend", name)
        entry = migrating.BACKEND.get(name)
        return None if entry is None or "{" in entry.modern else Target(*entry.modern.rpartition(".")[::2])


def _is_chain(node: object) -> bool:
    """Whether it is a name, or attributes of one."""
    while isinstance(node, cst.Attribute):
        node = node.value
    return isinstance(node, cst.Name)


def _modern(home: str) -> bool:
    """Whether Keras 3 has a module."""
    return home != "optimizers.legacy" and module_of(home) is not None and "3" in MODULE_AGES.get(home, "3")


class Reader(cst.CSTVisitor):
    """What is told before anything is rewritten: aliases, models, own layers, what is defined."""

    def __init__(self, names: Names, scopes: Mapping[cst.CSTNode, Any]):
        super().__init__()
        self.names = names
        self.scopes = scopes
        self.aliases: dict[str, str] = {}  # variables that are modules or classes of Keras
        self.stars: list[str] = []
        self.defined: set[str] = set()
        self.values: dict[str, list[cst.BaseExpression]] = {}  # what is assigned to names and attributes
        self.returns: dict[str, list[cst.BaseExpression]] = {}
        self.functions: dict[str, cst.FunctionDef] = {}
        self.own_classes: dict[str, str] = {}  # classes derived from Keras': "layers", "models", ...
        self.added: dict[str, list[cst.BaseExpression]] = {}  # what `.add` was given
        self.metrics: set[str] = set()
        self.saved: set[str] = set()  # names of weights' files
        self._functions: list[str] = []

    def path(self, node: cst.CSTNode) -> str | None:
        """The full name that a name or a chain of attributes stands for, if it is imported."""
        found = self.qualified(node)
        told = sorted((each for each in found if each.source is QualifiedNameSource.IMPORT), key=lambda each: each.name)
        for each in told:
            if below(each.name)[1] is not None:
                return each.name
        for each in found:
            first, dot, rest = each.name.partition(".")
            if each.source is QualifiedNameSource.LOCAL and first in self.aliases:
                return f"{self.aliases[first]}{dot}{rest}"
        if told:
            return told[0].name
        if not found and isinstance(node, cst.Name) and node.value not in self.defined:
            for home in self.stars:
                if self._in_star(home, node.value):
                    return f"keras.{home}.{node.value}"
        return None

    def qualified(self, node: cst.CSTNode) -> set[Any]:
        """What a name may stand for; nothing for one that is bound nowhere."""
        scope = self.scopes.get(node)
        return set() if scope is None else scope.get_qualified_names_for(node)

    def _in_star(self, home: str, name: str) -> bool:
        return not name.startswith("_") and (
            self.names.table.has(home, name)
            or (home in ("models",) and name in MODEL_MAKERS)
            or (home in ("callbacks", "utils") and known(home, name))
        )

    def own(self, node: cst.CSTNode) -> str | None:
        """The part of the full name below `keras`; None for what is not Keras'."""
        path = self.path(node) if _is_chain(node) else None
        return None if path is None else below(_AT_ROOT.sub("keras.", path))[1]

    def visit_ImportFrom(self, node: cst.ImportFrom) -> None:
        if isinstance(node.names, cst.ImportStar) and node.module is not None and not node.relative:
            own = below(text_of(node.module))[1]
            if own is not None:
                self.stars.append(own)

    def visit_Assign(self, node: cst.Assign) -> None:
        for target in node.targets:
            name = text_of(target.target)
            self.values.setdefault(name, []).append(node.value)
            if isinstance(target.target, cst.Name):
                self.defined.add(name)
                path = self.path(node.value) if isinstance(node.value, (cst.Attribute, cst.Name)) else None
                if path is not None and below(path)[1] is not None and not self._functions:
                    self.aliases[name] = path

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        self.defined.add(node.name.value)
        self.functions[node.name.value] = node
        self._functions.append(node.name.value)

    def leave_FunctionDef(self, original_node: cst.FunctionDef) -> None:
        self._functions.pop()

    def visit_Return(self, node: cst.Return) -> None:
        if self._functions and node.value is not None:
            self.returns.setdefault(self._functions[-1], []).append(node.value)

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        self.defined.add(node.name.value)
        for base in node.bases:
            own = self.own(base.value)
            found = None if own is None else self.names.find(own)
            makes_models = own is not None and own.rpartition(".")[2] in MODEL_MAKERS
            kind = "models" if makes_models else found.home if found else None
            kind = kind or self.own_classes.get(text_of(base.value))
            if kind:
                self.own_classes[node.name.value] = kind

    def visit_Call(self, node: cst.Call) -> None:
        if not isinstance(node.func, cst.Attribute):
            return
        method = node.func.attr.value
        if method == "add" and node.args:
            self.added.setdefault(text_of(node.func.value), []).append(node.args[0].value)
        elif method == "save_weights" and node.args:
            self.saved.add(text_of(node.args[0].value))
        elif method == "compile":
            for arg in node.args:
                if arg.keyword and arg.keyword.value == "metrics":
                    self.metrics.update(text_of(arg.value).replace('"', "'").split("'")[1::2])

    # -- models -----------------------------------------------------------------------------------------------------

    def is_model(self, node: cst.BaseExpression, depth: int = 0) -> bool:
        """Whether an expression is certainly a model of Keras."""
        if depth > 4:
            return False
        if isinstance(node, cst.Call):
            own = self.own(node.func)
            name = text_of(node.func)
            if own is not None:
                last = own.rpartition(".")[2]
                return last in MODEL_MAKERS or (own.startswith("applications.") and last[:1].isupper())
            if self.own_classes.get(name) == "models":
                return True
            found = self.returns.get(name.removeprefix("self."), [])
            return bool(found) and all(self.is_model(each, depth + 1) for each in found)
        name = text_of(node)
        nothing = ("None", f"{name}.load_weights")
        found = [each for each in self.values.get(name, []) if not text_of(each).startswith(nothing)]
        return bool(found) and all(self.is_model(each, depth + 1) for each in found)

    def symbol_in(self, node: cst.BaseExpression) -> str | None:
        """A tensor between a model's layers that an expression, or a function by its name, uses."""
        function = self.functions.get(text_of(node))
        inside = parsed(f"({text_of(node)})" if function is None else text_of(function))[0]
        names = [each for each in ast.walk(inside) if isinstance(each, (ast.Name, ast.arg))]
        own = {each.arg if isinstance(each, ast.arg) else each.id for each in names
               if isinstance(each, ast.arg) or isinstance(each.ctx, ast.Store)}  # fmt: skip
        used = [each.id for each in names if isinstance(each, ast.Name) and each.id not in own]
        return next((name for name in used if self._is_symbol(name)), None)

    def _is_symbol(self, name: str) -> bool:
        """Whether a name is given what a layer makes of something, or an input."""
        return any(
            isinstance(each, cst.Call)
            and (isinstance(each.func, cst.Call) or (self.own(each.func) or "").rpartition(".")[2] == "Input")
            for each in self.values.get(name, [])
        )

    def outputs_of(self, node: cst.BaseExpression) -> int | None:
        """The size of the last Dense that a sequential model was given, where it is told; 2 of a softmax, whose outputs
        are several."""
        name = text_of(node)
        given = list(self.added.get(name, []))
        for value in self.values.get(name, []):
            if isinstance(value, cst.Call) and value.args and isinstance(value.args[0].value, cst.List):
                given = [each.value for each in value.args[0].value.elements] + given
        if given and "softmax" in text_of(given[-1]):
            return 2
        for layer in reversed(given):
            if isinstance(layer, cst.Call) and text_of(layer.func).rpartition(".")[2] == "Dense" and layer.args:
                size = text_of(layer.args[0].value)
                told = self.values.get(size, [])
                size = text_of(told[0]) if len(told) == 1 else size
                return int(size) if size.isdigit() else None
        return None
