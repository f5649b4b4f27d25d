"""Functions that files hold as bytecode, rebuilt where their meaning is certain: read as syntax, computed by a list of
operations that only compute. Nothing of a file is run."""

from __future__ import annotations

import ast
import inspect
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from .. import ops
from ..core.arrays import reversing_item
from ..core.functions import Uncertain
from ..core.symbolic import SymbolicTensor
from ..translation import lambdas
from ..translation.bytecode import Function
from . import backend, tensorflow
from .dialect import DIALECTS
from .tensors import Shape

Env = dict[str, Any]
Value = Callable[[Env], Any]

MAX_ITEMS = 10_000  # of a list or tuple
MAX_BITS = 128  # of a whole number
MAX_VALUES = 1 << 31  # of a tensor

_NUMBERS = (int, float, complex, np.generic, np.ndarray)
_TENSORS = (Tensor, SymbolicTensor)
_NOTHING = object()


def runner(function: Function, defaults: Sequence[Any], closure: Sequence[Any], generation: str) -> Callable:
    """What computes the same on tensors, with the function's `__signature__`.

    Raises Uncertain where the meaning of a part of it is not.
    """
    if function.body is None:
        raise Uncertain(function.problem)
    told = function.arguments
    positional = [*told.posonlyargs, *told.args]
    if told.vararg or told.kwarg:
        raise Uncertain("it takes any number of arguments")
    if len(defaults) > len(positional) or len(closure) != len(function.free):
        raise Uncertain("the file does not hold all of its values")
    names = [each.arg for each in positional]
    first = len(names) - len(defaults)
    own = dict(zip(names[first:], map(_plain, defaults), strict=True))
    kind = inspect.Parameter
    signature = inspect.Signature(
        [kind(name, kind.POSITIONAL_OR_KEYWORD, default=own.get(name, kind.empty)) for name in names]
        + [kind(each.arg, kind.KEYWORD_ONLY) for each in told.kwonlyargs]
    )
    world = _World(dict(zip(function.free, map(_plain, closure), strict=True)), generation)
    run = world.function([*names, *(each.arg for each in told.kwonlyargs)], function.body)
    every = frozenset(signature.parameters)

    def rebuilt(*args: Any, **kwargs: Any) -> Any:
        given = {**own, **dict(zip(names, args, strict=False)), **kwargs}
        if len(args) > len(names) or given.keys() != every:
            raise TypeError(f"The function takes {', '.join(every)}; got {len(args)} values and {', '.join(kwargs)}.")
        return run(given)

    rebuilt.__signature__ = signature  # type: ignore[attr-defined]
    return rebuilt


def _plain(value: Any) -> Any:
    """A value of a config, if it is nothing but numbers and texts."""
    if isinstance(value, dict) and value.get("class_name") == "__tuple__":
        return tuple(map(_plain, value["config"]["value"] if isinstance(value["config"], dict) else value["config"]))
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise Uncertain("it needs a value that the file does not hold")


class _World:
    """What names stand for in one function."""

    def __init__(self, known: Env, generation: str):
        self.known, self.generation = known, generation
        self.modules: dict[str, str] = {}
        self.locals: frozenset[str] = frozenset()

    # -- statements ---------------------------------------------------------------------------------------------------

    def function(self, arguments: list[str], body: list[ast.stmt]) -> Value:
        self.locals = frozenset(arguments) | _stored(body)
        for one in body:
            if isinstance(one, (ast.Import, ast.ImportFrom)):
                self.take(one)
        run = self.block([one for one in body if not isinstance(one, (ast.Import, ast.ImportFrom))])

        def answer(env: Env) -> Any:
            found = run(env)
            return None if found is _NOTHING else found

        return answer

    def take(self, statement: ast.Import | ast.ImportFrom) -> None:
        """What an import brings."""
        alias = statement.names[0]
        name = alias.asname or alias.name.partition(".")[0]
        module = alias.name if alias.asname or isinstance(statement, ast.ImportFrom) else name
        if isinstance(statement, ast.ImportFrom):
            path = f"{lambdas.MODULES.get(str(statement.module), '?')}.{alias.name}"
            path = lambdas.MODULES.get(f"{statement.module}.{alias.name}", path)
        else:
            path = lambdas.MODULES.get(module, "?")
        if "?" in path or name in self.locals or name in self.modules:
            raise Uncertain(f"it imports {module}")
        self.modules[name] = path

    def block(self, statements: list[ast.stmt]) -> Value:
        steps = [self.statement(one) for one in statements]

        def run(env: Env) -> Any:
            for step in steps:
                found = step(env)
                if found is not _NOTHING:
                    return found
            return _NOTHING

        return run

    def statement(self, node: ast.stmt) -> Value:
        if isinstance(node, ast.Return):
            return self.value(node.value)
        if isinstance(node, ast.If):
            test, yes, no = self.value(node.test), self.block(node.body), self.block(node.orelse)
            return lambda env: yes(env) if test(env) else no(env)
        if isinstance(node, ast.Pass):
            return lambda env: _NOTHING
        if isinstance(node, ast.Assign):
            return self.assignment(node.targets[0], self.value(node.value))
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            name, combine, right = node.target.id, _operator(node.op), self.value(node.value)

            def change(env: Env) -> Any:
                if isinstance(env[name], list):
                    raise Uncertain("it changes a list in place")
                env[name] = combine(env[name], right(env))
                return _NOTHING

            return change
        raise Uncertain("it does more than to compute")

    def assignment(self, target: ast.expr, value: Value) -> Value:
        names = [node.id for node in ast.walk(target) if isinstance(node, ast.Name)]

        def store(env: Env) -> Any:
            found = value(env)
            if isinstance(target, ast.Tuple):
                found = _listed(found)
                if len(found) != len(names):
                    raise ValueError(f"Expected {len(names)} values for {', '.join(names)}; got {len(found)}.")
                env.update(zip(names, found, strict=True))
            else:
                env[names[0]] = found
            return _NOTHING

        return store

    # -- expressions --------------------------------------------------------------------------------------------------

    def value(self, node: Any) -> Value:
        make = getattr(self, f"_{type(node).__name__}", None)
        if make is None:
            raise Uncertain("it does more than to compute")
        return make(node)

    def _Constant(self, node: ast.Constant) -> Value:
        value = node.value
        if not _is_plain(value):
            raise Uncertain("it holds a value that is neither a number nor a text")
        return lambda env: value

    def _Name(self, node: ast.Name) -> Value:
        name = node.id
        if name in self.locals:
            return lambda env: env[name]
        if name in self.known:
            known = self.known[name]
            return lambda env: known
        raise Uncertain(f"what {name} is, the file does not say")

    def path(self, node: ast.expr) -> str | None:
        """The dotted name of a module's part; None where the root is no module."""
        if isinstance(node, ast.Attribute):
            before = self.path(node.value)
            return None if before is None else lambdas.canonical(f"{before}.{node.attr}")
        if not isinstance(node, ast.Name) or node.id in self.locals or node.id in self.known:
            return None
        return self.modules.get(node.id) or lambdas.ROOTS.get(node.id)

    def named(self, path: str) -> Any:
        """What a dotted name stands for. Raises Uncertain where that is not known."""
        root, _, name = path.partition(".")
        found: Any = None
        if lambdas.is_known(path, self.generation):
            if root == "K":
                found = backend.names(DIALECTS.get(self.generation) or DIALECTS["tf_keras"]).get(name)
            elif root == "tf":
                found = tensorflow.NAMES.get(name)
            else:
                found = {"ops": ops, "np": np, "math": math}[root]
                for part in name.split("."):
                    found = getattr(found, part, None)
                found = _on_numbers(found) if root != "ops" and callable(found) else found
            if name in lambdas.IN_TURN:
                found = _in_turn(found)
        if found is None and not path.endswith(".newaxis"):
            raise Uncertain(f"what {path} computes is not certain here")
        return found

    def _Attribute(self, node: ast.Attribute) -> Value:
        path = self.path(node)
        if path is not None:
            found = self.named(path)
            return lambda env: found
        if node.attr not in _ATTRIBUTES:
            raise Uncertain(f"what .{node.attr} is, the file does not say")
        read, of = _ATTRIBUTES[node.attr], self.value(node.value)
        return lambda env: read(of(env))

    def _Call(self, node: ast.Call) -> Value:
        arguments = self._List(ast.Tuple(node.args))
        keywords = {str(each.arg): self.value(each.value) for each in node.keywords}
        path = self.path(node.func)
        if path is not None and path not in lambdas.ROOTS.values():
            called = self.named(path)
        elif isinstance(node.func, ast.Name) and node.func.id in _BUILTINS and node.func.id not in self.locals:
            called = _BUILTINS[node.func.id]
        elif isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS and not node.args and not keywords:
            called, arguments = _METHODS[node.func.attr], self._List(ast.Tuple([node.func.value]))
        else:
            raise Uncertain(f"what {ast.unparse(node.func)[:80]} is, the file does not say")
        if not callable(called):
            raise Uncertain(f"it calls {path}")

        def call(env: Env) -> Any:
            found = called(*arguments(env), **{key: each(env) for key, each in keywords.items()})
            if isinstance(found, Tensor) and found.numel() > MAX_VALUES:
                raise ValueError(f"A function makes {found.numel()} values; at most {MAX_VALUES} are computed.")
            return found

        return call

    def _BinOp(self, node: ast.BinOp) -> Value:
        combine, left, right = _operator(node.op), self.value(node.left), self.value(node.right)
        return lambda env: combine(left(env), right(env))

    def _UnaryOp(self, node: ast.UnaryOp) -> Value:
        combine, of = _UNARY[type(node.op)], self.value(node.operand)
        return lambda env: combine(of(env))

    def _BoolOp(self, node: ast.BoolOp) -> Value:
        first, second = map(self.value, node.values)
        if isinstance(node.op, ast.And):
            return lambda env: second(env) if (found := first(env)) else found
        return lambda env: found if (found := first(env)) else second(env)

    def _IfExp(self, node: ast.IfExp) -> Value:
        test, yes, no = self.value(node.test), self.value(node.body), self.value(node.orelse)
        return lambda env: yes(env) if test(env) else no(env)

    def _Compare(self, node: ast.Compare) -> Value:
        kind = type(node.ops[0])
        compare, left, right = _COMPARE[kind], self.value(node.left), self.value(node.comparators[0])
        unsure = kind in (ast.Eq, ast.NotEq) and self.generation in ("keras1", "keras2")

        def run(env: Env) -> Any:
            one, other = left(env), right(env)
            if unsure and (isinstance(one, _TENSORS) or isinstance(other, _TENSORS)):
                raise Uncertain("TensorFlow 1 compared tensors by == as objects")
            return compare(one, other)

        return run

    def _Subscript(self, node: ast.Subscript) -> Value:
        of, key = self.value(node.value), self.key(node.slice)
        return lambda env: _item(of(env), key(env))

    def key(self, node: ast.expr) -> Value:
        if isinstance(node, ast.Slice):
            ends = [self.value(end or ast.Constant(None)) for end in (node.lower, node.upper, node.step)]
            return lambda env: slice(*(end(env) for end in ends))
        if isinstance(node, ast.Tuple):
            parts = [self.key(each) for each in node.elts]
            return lambda env: tuple(part(env) for part in parts)
        return self.value(node)

    def _List(self, node: ast.List | ast.Tuple) -> Value:
        stars = [isinstance(each, ast.Starred) for each in node.elts]
        values = [self.value(each.value if isinstance(each, ast.Starred) else each) for each in node.elts]
        make = tuple if isinstance(node, ast.Tuple) else list

        def run(env: Env) -> Any:
            found: list[Any] = []
            for star, value in zip(stars, values, strict=True):
                found += _listed(value(env)) if star else [value(env)]
            return make(found)

        return run

    _Tuple = _List

    def _Dict(self, node: ast.Dict) -> Value:
        keys, values = ([self.value(each) for each in some] for some in (node.keys, node.values))
        return lambda env: {key(env): value(env) for key, value in zip(keys, values, strict=True)}

    def _Lambda(self, node: ast.Lambda) -> Value:
        if node.args.vararg or node.args.kwarg or node.args.kwonlyargs:
            raise Uncertain("it has a function inside")
        names = [each.arg for each in (*node.args.posonlyargs, *node.args.args)]
        outer, self.locals = self.locals, self.locals | set(names)
        body = self.value(node.body)
        self.locals = outer
        return lambda env: lambda *args: body({**env, **dict(zip(names, args, strict=True))})


def _stored(body: list[ast.stmt]) -> frozenset[str]:
    """The variables that statements set."""
    inside = [node for one in body for node in ast.walk(one) if isinstance(node, (ast.Assign, ast.AugAssign))]
    targets = [node.targets[0] if isinstance(node, ast.Assign) else node.target for node in inside]
    return frozenset(node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))


def _is_plain(value: object) -> bool:
    if isinstance(value, (tuple, frozenset)):
        return all(map(_is_plain, value))
    return value is None or value is Ellipsis or isinstance(value, (bool, int, float, complex, str))


# What operators and words do ------------------------------------------------------------------------------------------


def _operator(node: ast.operator) -> Callable[[Any, Any], Any]:
    function = _BINARY[type(node)]
    whole = getattr(node, "of_python_2", False)

    def combine(left: Any, right: Any) -> Any:
        if isinstance(left, _TENSORS) or isinstance(right, _TENSORS):
            left, right = _beside(left, right), _beside(right, left)
            if whole and not _is_float(left) and not _is_float(right):
                return left // right
            return function(left, right)
        _check_size(node, left, right)
        if whole and isinstance(left, int) and isinstance(right, int):
            return left // right  # in Python 2
        return function(left, right)

    return combine


def _beside(value: Any, other: Any) -> Any:
    """Lists and arrays beside a tensor are tensors of its type."""
    if not isinstance(value, (list, tuple, np.ndarray)) or not isinstance(other, Tensor):
        return value
    return torch.as_tensor(np.asarray(value), dtype=other.dtype, device=other.device)


def _is_float(value: object) -> bool:
    return value.is_floating_point() if isinstance(value, Tensor) else isinstance(value, (float, complex))


def _check_size(node: ast.operator, left: Any, right: Any) -> None:
    """Raises ValueError for what is no arithmetic of numbers, or would make large ones or long lists."""
    for one, other in ((left, right), (right, left)):
        if isinstance(one, (list, tuple)):
            count = len(one) * other if isinstance(other, int) else len(one) + len(other)
            if not isinstance(node, (ast.Add, ast.Mult)) or count > MAX_ITEMS:
                raise ValueError("A function combines lists in an unknown way, or to very long ones.")
        elif not isinstance(one, _NUMBERS):
            raise ValueError(f"A function computes with {type(one).__name__}; expected numbers and tensors.")
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length() + right.bit_length()
        if isinstance(node, ast.Pow):
            bits = left.bit_length() * max(right, 1)
        elif isinstance(node, ast.LShift):
            bits = left.bit_length() + max(right, 0)
        if bits > MAX_BITS:
            raise ValueError(f"A function computes with whole numbers of more than {MAX_BITS} bits.")


_BINARY, _UNARY, _COMPARE = (
    {getattr(ast, kind): getattr(operator, name) for kind, name in table.items()} for table in lambdas.OPERATORS
)
_COMPARE |= {ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b}


def _item(value: Any, key: Any) -> Any:
    """`value[key]`, of tensors by numbers and slices alone."""
    if not isinstance(value, _TENSORS):
        if not isinstance(value, (list, tuple, dict, np.ndarray)):
            raise ValueError(f"A function takes a part of {type(value).__name__}; expected a tensor or a list.")
        return value[key]
    parts = key if isinstance(key, tuple) else (key,)
    if not all(part is None or part is Ellipsis or isinstance(part, (int, slice, np.integer)) for part in parts):
        raise ValueError("A function takes parts of a tensor by something else than numbers and slices.")
    back = any(isinstance(part, slice) and isinstance(part.step, int) and part.step < 0 for part in parts)
    return reversing_item(value, key) if back and isinstance(value, Tensor) else value[key]


def _on_numbers(function: Callable) -> Callable:
    """NumPy's and Python's functions take no tensors."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if any(isinstance(each, _TENSORS) for each in pytree.tree_leaves((args, kwargs))):
            raise ValueError(f"A function gives a tensor to {function.__name__}, which is for numbers.")
        return function(*args, **kwargs)

    return call


def _listed(value: Any) -> list[Any]:
    """The items of a list, or along the first axis of a tensor, if they are not too many to be taken one by one."""
    if len(value) > MAX_ITEMS:
        raise ValueError(f"A function takes {len(value)} items one by one; at most {MAX_ITEMS} are taken.")
    return list(value)


def _in_turn(function: Callable) -> Callable:
    """A function that goes through an axis of a tensor."""

    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        for each in (x, *args, *kwargs.values()):
            if (isinstance(each, int) and each > MAX_ITEMS) or max(getattr(each, "shape", ()), default=0) > MAX_ITEMS:
                raise ValueError(f"A function takes parts one by one; of more than {MAX_ITEMS} none are taken.")
        return function(x, *args, **kwargs)

    return call


def _whole(value: Any) -> int:
    return operator.index(value)


def _shape(value: Any) -> Shape:
    return Shape(value.shape)


def _range(*ends: int) -> list[int]:
    found = range(*ends)
    if len(found) > MAX_ITEMS:
        raise ValueError(f"A function counts to {len(found)}; at most {MAX_ITEMS} are counted.")
    return list(found)


_METHODS: dict[str, Callable[[Any], Any]] = {"get_shape": _shape, "as_list": list}
_ATTRIBUTES: dict[str, Callable[[Any], Any]] = {
    "shape": _shape, "_keras_shape": lambda x: tuple(x.shape), "ndim": lambda x: x.ndim, "dtype": backend.dtype,
    "ndims": len, "rank": len, "value": _whole, "dims": list,
}  # fmt: skip
_BUILTINS: dict[str, Callable] = {
    "abs": abs, "len": len, "list": lambda x=(): _listed(x), "tuple": lambda x=(): tuple(_listed(x)), "range": _range,
    "sum": lambda x, *start: sum(_listed(x), *start), "slice": slice,
    **{function.__name__: _on_numbers(function) for function in (int, float, bool, round, max, min)},
}  # fmt: skip
