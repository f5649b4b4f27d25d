"""The imports of a source: what they bring in now, those that nothing uses any more, and those that are missing."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

import libcst as cst

from ...translation import migrating
from ..evidence import below
from ..sources import parsed
from .calls import OLD_SIGMOID, text_of
from .names import Names, Reader, Target

_SIGMOID = f'''

@keras.saving.register_keras_serializable()
def {OLD_SIGMOID}(x):
    """The hard sigmoid of Keras 1 and 2, which is steeper than that of Keras 3."""
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)
'''
_ROOTS = ("keras", "tensorflow", "lamina")


def _local(alias: cst.ImportAlias) -> str:
    return text_of(alias.asname.name) if alias.asname else text_of(alias.name)


def _called(alias: cst.ImportAlias, name: str, local: str) -> cst.ImportAlias:
    """The alias with another name; `local` is what the source calls it."""
    old = alias.asname
    as_name = None if name == local else old if old and text_of(old.name) == local else cst.AsName(cst.Name(local))
    dotted: Any = cst.parse_expression(name)
    return alias.with_changes(name=dotted, asname=as_name)


class Imports(cst.CSTTransformer):
    """The part of the rewriter that sees to imports."""

    names: Names
    reader: Reader
    package: str
    touched: set[str]
    absent: Callable[[cst.CSTNode, str], None]

    def __init__(self) -> None:
        super().__init__()
        self.split: dict[cst.CSTNode, list[cst.BaseSmallStatement]] = {}  # an import that became several

    def visit_Import(self, node: cst.Import) -> bool:
        return False

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        return False

    def _path(self, home: str) -> str:
        return f"{self.package}.{home}".rstrip(".")

    def leave_Import(self, original_node: cst.Import, updated_node: cst.Import) -> cst.Import:
        return updated_node.with_changes(names=[self._module(original_node, each) for each in original_node.names])

    def _module(self, node: cst.Import, alias: cst.ImportAlias) -> cst.ImportAlias:
        own = below(text_of(alias.name))[1]
        if own is None:
            return alias
        home = self.names.module(own)
        if own and not home and not self.names.is_module(own):
            self.absent(node, own)
            return alias
        if alias.asname is None:
            return _called(alias, *((self._path(home),) * 2 if self.package == "keras" else (self.package, "keras")))
        return _called(alias, self._path(home), _local(alias))

    def leave_ImportFrom(self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom) -> cst.BaseSmallStatement:
        node = original_node
        if node.relative or node.module is None:
            return node
        module = text_of(node.module)
        own = below(module)[1]
        if isinstance(node.names, cst.ImportStar):
            where: Any = cst.parse_expression(self._path(self.names.module(own or "")))
            return node if own is None else node.with_changes(module=where)
        groups: dict[str, dict[str, cst.ImportAlias]] = {}
        for alias in node.names:
            inner = below(f"{module}.{text_of(alias.name)}")[1]
            home, alias = (module, alias) if inner is None else self._imported(node, module, inner, alias)
            groups.setdefault(home, {}).setdefault(f"{text_of(alias.name)} {_local(alias)}", alias)
        made = [self._from(node, home, [*found.values()], len(groups) == 1) for home, found in groups.items()]
        if len(made) > 1 or made[0] is not node:
            self.split[node] = made
        return node

    def _imported(
        self, node: cst.CSTNode, module: str, own: str, alias: cst.ImportAlias
    ) -> tuple[str, cst.ImportAlias]:
        """The module that a name is imported from now, "" for `import` itself, and under which alias."""
        local, (home, _, name) = _local(alias), own.rpartition(".")
        if self.names.merges(own):
            return module, alias
        target = self.names.find(own)
        if home == "backend" and name in migrating.BACKEND and (target is None or migrating.BACKEND[name].renamed):
            self.touched.add(local)
            return self._path(home), alias
        if target is None:
            self.absent(node, own)
            return module if below(module)[0] else self._path(home), alias
        if target == Target(""):
            return "", alias
        if not target.name:  # a module
            above, _, leaf = target.home.rpartition(".")
            return self._path(above), _called(alias, leaf, local)
        keeps = alias.asname is not None or target.name in self.reader.defined
        return self._path(target.home), _called(alias, target.name, local if keeps else target.name)

    def _from(self, node: cst.ImportFrom, home: str, names: list[cst.ImportAlias], alone: bool) -> Any:
        if not home:  # `from tensorflow import keras`
            return cst.Import([_called(names[0], self.package, _local(names[0])).with_changes(comma=_NO_COMMA)])
        where: Any = cst.parse_expression(home)
        if alone and node.lpar is not None:
            return node.with_changes(module=where, names=names)
        comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
        names = [each.with_changes(comma=comma) for each in names[:-1]] + [names[-1].with_changes(comma=_NO_COMMA)]
        return node.with_changes(module=where, names=names, lpar=None, rpar=None)

    def lines_of(self, line: cst.SimpleStatementLine) -> Sequence[cst.SimpleStatementLine] | None:
        """The lines that an import became; None for another statement."""
        parts = self.split.get(line.body[0]) if len(line.body) == 1 else None
        if parts is None:
            return None
        plain = cst.SimpleStatementLine([])
        lines = [plain.with_changes(body=[each]) for each in parts]
        lines[-1] = lines[-1].with_changes(trailing_whitespace=line.trailing_whitespace)
        lines[0] = lines[0].with_changes(leading_lines=line.leading_lines)
        return lines


_NO_COMMA = cst.MaybeSentinel.DEFAULT


def _used(module: cst.Module) -> set[str]:
    """The names that are used outside imports."""
    return {node.id for node in ast.walk(parsed(module.code)[0]) if isinstance(node, ast.Name)}


class Unused(cst.CSTTransformer):
    """Leaves out imports of names that nothing uses any more; comments above them stay."""

    def __init__(self, module: cst.Module, touched: set[str]):
        super().__init__()
        used = _used(module)
        self.gone = touched - used - {"keras"}
        self.tensorflow = {"tf", "tensorflow"} - used

    def _trimmed(self, body: Sequence[Any]) -> list[Any]:
        found: list[Any] = []
        above: list[cst.EmptyLine] = []
        for line in body:
            statement = line.body[0] if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None
            if isinstance(statement, (cst.Import, cst.ImportFrom)) and not isinstance(statement.names, cst.ImportStar):
                relative = isinstance(statement, cst.ImportFrom) and statement.relative
                kept = [each for each in statement.names if relative or not self._is_gone(each, statement)]
                if not kept:
                    above += [each for each in line.leading_lines if each.comment or above or not found]
                    continue
                if len(kept) < len(statement.names):
                    kept[-1] = kept[-1].with_changes(comma=statement.names[-1].comma)
                    line = line.with_changes(body=[statement.with_changes(names=kept)])
            if above and hasattr(line, "leading_lines"):
                line = line.with_changes(leading_lines=[*above, *line.leading_lines])
                above = []
            found.append(line)
        return found

    def _is_gone(self, alias: cst.ImportAlias, statement: cst.CSTNode) -> bool:
        name = text_of(alias.name)
        whole = isinstance(statement, cst.Import) and name == "tensorflow" and _local(alias) in self.tensorflow
        return whole or _local(alias).partition(".")[0] in self.gone

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:
        return updated_node.with_changes(body=self._trimmed(updated_node.body))

    def leave_IndentedBlock(self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock) -> Any:
        body = self._trimmed(updated_node.body)
        return updated_node.with_changes(body=body or [cst.parse_statement("pass")])


def _imports(line: Any) -> list[tuple[str, str]]:
    """What a statement imports: full names, and what they are called."""
    statement = line.body[0] if isinstance(line, cst.SimpleStatementLine) else None
    if isinstance(statement, cst.Import):
        return [(text_of(each.name), _local(each).partition(".")[0]) for each in statement.names]
    if isinstance(statement, cst.ImportFrom) and statement.module and not statement.relative:
        return [(text_of(statement.module), "")]
    return []


def _before_use(body: Sequence[Any], *names: str) -> list[list[tuple[str, str]]]:
    """What the statements import that stand before the first one that uses a name."""
    use = next((at for at, line in enumerate(body) if not _used(cst.Module([line])).isdisjoint(names)), None)
    return [_imports(line) for line in body[:use]]


def complete(module: cst.Module, package: str, sigmoid: bool) -> cst.Module:
    """With `import keras` where the source says `keras` before it imports it, and the function that is missing."""
    body: list[Any] = list(module.body)
    told = _before_use(body, "keras", OLD_SIGMOID)
    if (sigmoid or len(told) < len(body)) and all(local != "keras" for found in told for _, local in found):
        of_keras = [at for at, found in enumerate(told) if any(name.partition(".")[0] in _ROOTS for name, _ in found)]
        start = sum(1 for name in told if name[:1] and name[0][0] == "__future__") + (
            module.get_docstring() is not None
        )
        place = max(start, next(iter(of_keras or [at for at, found in enumerate(told) if found]), start))
        line: Any = cst.parse_statement("import keras" if package == "keras" else f"import {package} as keras")
        if place < len(body) and place:
            line = line.with_changes(leading_lines=body[place].leading_lines)
            body[place] = body[place].with_changes(leading_lines=[])
        body.insert(place, line)
    if sigmoid:
        told = _before_use(body, OLD_SIGMOID)
        places = [at for at, found in enumerate(told) if any(name.partition(".")[0] in _ROOTS for name, _ in found)]
        place = places[-1] + 1
        made: Any = cst.parse_module(_SIGMOID).body[0]
        if place < len(body):
            lines = list(body[place].leading_lines)
            blank = 2 - sum(1 for each in lines[:2] if each.comment is None)
            body[place] = body[place].with_changes(leading_lines=[cst.EmptyLine(indent=False)] * blank + lines)
        body.insert(place, made.with_changes(leading_lines=[cst.EmptyLine(indent=False)] * 2))
    return module.with_changes(body=body)
