"""A call of a layer as code of torch's, as one would write it by hand."""

from __future__ import annotations

import ast
import inspect
import re
import string
from collections import Counter
from collections.abc import Iterator
from typing import Any, NoReturn

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from ..core import symbolic
from ..core.layer import Layer
from .writer import NoForm, Weights, Writer

_ROOMS = {"torch.nn.functional": "F", "torch._C._nn": "F", "torch.functional": "torch"}  # as one calls them
_DEFAULTS = re.compile(r"\w+=None|(keepdim|is_causal)=False")


class _Shapes(Weights):
    """What becomes of weights where values do not matter: tensors of their shapes."""

    def of(self, weight: Tensor) -> Tensor:
        return torch.empty(weight.shape, dtype=weight.dtype, device="meta")

    rest = of

    def constant(self, value: Tensor) -> Tensor:
        return self.of(value)


class _Plain(Writer):
    """Writes what there are forms for, and no traces."""

    def traced(self, layer: object, args: object, kwargs: object, part: str = "", call: object = None) -> NoReturn:
        raise NoForm(layer, "has no twin in torch", "")


def module_of(layer: Layer, shapes: tuple, dtype: torch.dtype, weights: Weights) -> nn.Module:
    """What does the same as a layer called on inputs of these shapes, one or several an argument. Raises NoForm, too
    for what torch has with a parameter more."""
    to, names = _Plain(weights), iter(string.ascii_lowercase)
    inputs = symbolic.map_shapes(lambda shape: to.placeholder(next(names), shape, dtype), shapes)
    made = to.finish(pytree.tree_map(to.settled, to.layer(layer, *inputs)))
    parts = [*made.children()]
    for name, each in (pair for part in parts for pair in part.named_parameters()):
        if layer.trainable and not each.requires_grad and "bias_hh" not in name:
            raise NoForm(layer, "has no twin in torch", "")
    return parts[0] if len(parts) == 1 and isinstance(parts[0], fx.GraphModule) else made


def code_of(layer: Layer, shapes: tuple, dtype: torch.dtype = torch.float32) -> str:
    """Statements that make modules and weights, then y of the input x, or of several: a, b, c, ... Raises NoForm."""
    module = module_of(layer, shapes, dtype, _Shapes())
    if isinstance(module, nn.Sequential):
        return f"layer = {_constructed(module)}\ny = layer(x)"
    return "\n".join(_ByHand(module).lines())


def _constructed(module: nn.Module) -> str:
    """The call of a module's constructor, without what is a default, but with rates and slopes."""
    if isinstance(module, nn.Sequential):
        return _in_turn([_constructed(part) for part in module])
    kind = type(module)
    if getattr(nn, kind.__name__, None) is not kind:
        raise NoForm(module, "is no module of torch.nn", "")
    recurrent, given = isinstance(module, nn.RNNBase), []
    for place, (name, each) in enumerate(inspect.signature(nn.RNNBase if recurrent else kind).parameters.items()):
        if (recurrent and name == "mode") or each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
            continue
        value = getattr(module, name, each.default)
        value = value is not None if name == "bias" and not isinstance(value, bool) else value
        if isinstance(value, tuple) and len({*value}) == 1 and (len(value) == 1 or name != "normalized_shape"):
            value = value[0]
        if each.default is each.empty or (not place and type(value) is float):
            given.append(repr(value))
        elif value != each.default:
            given.append(f"{name}={value!r}")
    if recurrent and getattr(module, "nonlinearity", "tanh") != "tanh":  # which the class of all does not know
        given.append(f"nonlinearity={module.nonlinearity!r}")
    return f"nn.{kind.__name__}({', '.join(given)})"


def _in_turn(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"nn.Sequential({', '.join(parts)})"


class _ByHand(ast.NodeTransformer):
    """The code of torch.fx without `self`, and with each step where its result is used, if that is in one place."""

    def __init__(self, module: nn.Module):
        self._function: Any = ast.parse(str(module.code).strip()).body[0]
        self._made = {name: [_constructed(part)] for name, part in module.named_children()}
        self._weights = {name: ", ".join(map(str, each.shape)) for name, each in module.named_parameters(recurse=False)}
        self._values: dict[str, ast.expr] = {}  # what stands for names

    def lines(self) -> Iterator[str]:
        _, *names = [each.arg for each in self._function.args.args]
        letters = "x" if len(names) == 1 else string.ascii_lowercase
        self._values = {name: ast.Name(letter) for name, letter in zip(names, letters, strict=False)}
        loads = (node for node in ast.walk(self._function) if isinstance(node, ast.Name))
        uses = Counter(node.id for node in loads if isinstance(node.ctx, ast.Load))
        steps: list[tuple[str, ast.expr]] = []
        for step in self._function.body:
            value = self.visit(step.value)
            name = "y" if isinstance(step, ast.Return) else step.targets[0].id
            if name == "y" or (uses[name] > 1 and any(isinstance(each, ast.Call) for each in ast.walk(value))):
                steps.append((name if name == "y" else f"h{len(steps) + 1}", value))
                value = ast.Name(steps[-1][0])
            self._values[name] = value  # None where a name is given up
        alone = next(iter(self._made)) if len(self._made) == 1 else None
        for node in (node for _, value in steps for node in ast.walk(value) if isinstance(node, ast.Name)):
            node.id = "layer" if node.id == alone else node.id
        for name, parts in self._made.items():
            yield f"{'layer' if alone else name} = {_in_turn(parts)}"
        for name, sizes in self._weights.items():
            yield f"{name} = torch.randn({sizes or '()'})"
        yield from (f"{name} = {ast.unparse(value)}" for name, value in steps)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._values.get(node.id, node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if ast.unparse(node) in _ROOMS:
            return ast.Name(_ROOMS[ast.unparse(node)])
        if isinstance(node.value, ast.Name) and node.value.id == "self":
            return ast.Name(node.attr)
        node.value = self.visit(node.value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        node.keywords = [each for each in node.keywords if not _DEFAULTS.fullmatch(ast.unparse(each))]
        name = getattr(node.func, "id", "")
        if name == "slice":
            return ast.Slice(*(None if ast.unparse(each) == "None" else each for each in node.args))
        inner = getattr(getattr(node.args[0] if len(node.args) == 1 else None, "func", None), "id", "")
        if name in self._made and inner in self._made and name != inner:  # one module behind the other
            self._made[name] = [*self._made.pop(inner), *self._made[name]]
            node.args = node.args[0].args  # type: ignore[attr-defined]
        return node
