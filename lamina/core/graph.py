"""Graphs of recorded calls, and the straight line of calls (the plan) that runs one."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils import _pytree as pytree

from . import masking
from .declare import short
from .fusion import calls
from .layer import Changes, Layer, scope
from .symbolic import Node, SymbolicTensor, call_layer


class Graph:
    """All calls between some inputs and some outputs (structures of symbolic tensors), in running order.

    Raises ValueError where an output does not depend on the inputs alone.
    """

    def __init__(self, inputs: Any, outputs: Any, name: str = "model"):
        self.inputs: list[SymbolicTensor] = pytree.tree_leaves(inputs)
        self.outputs = outputs
        self.nodes: list[Node] = []
        leaves = pytree.tree_leaves(outputs)
        for output in leaves:
            if not isinstance(output, SymbolicTensor):
                raise ValueError(f"{name}: outputs must be symbolic tensors (from lamina.Input); got {short(output)}.")
        given = {id(tensor) for tensor in self.inputs}
        done: set[int] = set()
        order: dict[int, int] = {}  # layers in the order they are met, walking back from the outputs
        self._collect(leaves, given, done, order, name)
        self.input_nodes = [_producer(tensor, name) for tensor in self.inputs]
        self.nodes = [node for node in self.nodes if not self._is_input(node, given)]
        self.layers = self._layers_by_depth(order)
        self.masks = {id(leaf): masking.get_mask(leaf) for leaf in leaves if id(leaf) not in given}
        for key, mask in self.masks.items():
            count, before = len(self.nodes), set(done)
            try:
                self._collect([] if mask is None else [mask], given, done, {}, name)
            except ValueError:  # a mask from before the inputs, in a model that starts inside another graph
                self.masks[key] = None
                del self.nodes[count:]
                done = before
        self.nodes = [node for node in self.nodes if not self._is_input(node, given)]

    def _collect(
        self, outputs: list[SymbolicTensor], given: set[int], done: set[int], order: dict[int, int], name: str
    ) -> None:
        stack: list[tuple[Node, bool]] = []
        for output in outputs:
            stack.append((_producer(output, name), False))
            while stack:
                node, expanded = stack.pop()
                if id(node) in done:
                    continue
                if expanded:
                    done.add(id(node))
                    self.nodes.append(node)
                    continue
                order.setdefault(id(node.layer), len(order))
                stack.append((node, True))
                if id(node.outputs) in given or any(id(t) in given for t in pytree.tree_leaves(node.outputs)):
                    continue
                if not node.inputs:
                    raise ValueError(
                        f"{name}: the graph is disconnected: output {output.name!r} depends on input "
                        f"{node.layer.name!r}, which is not among the model's inputs. Add it to `inputs`."
                    )
                stack.extend((_producer(tensor, name), False) for tensor in reversed(node.inputs))

    @staticmethod
    def _is_input(node: Node, given: set[int]) -> bool:
        return any(id(tensor) in given for tensor in pytree.tree_leaves(node.outputs))

    def _layers_by_depth(self, order: dict[int, int]) -> list[Layer]:
        """Keras' order of `model.layers`, on which the order of weights in files rests: farthest first."""
        depth: dict[int, int] = {}
        layer_depth: dict[int, int] = {}
        layers: dict[int, Layer] = {}
        for node in [*reversed(self.nodes), *self.input_nodes]:
            key = id(node.layer)
            layers[key] = node.layer
            here = max(depth.get(id(node), 0), layer_depth.get(key, 0))
            layer_depth[key] = depth[id(node)] = here
            for tensor in node.inputs:
                before = id(tensor.node)
                depth[before] = max(depth.get(before, 0), here + 1)
        return sorted(layers.values(), key=lambda layer: (-layer_depth[id(layer)], order.get(id(layer), -1)))

    def replay(self, inputs: list[Any]) -> Any:
        """Record the same calls once more on other symbolic inputs; the layers keep no trace of it."""
        known = {id(old): fresh for old, fresh in zip(self.inputs, inputs, strict=True)}

        def substitute(leaf):
            return known.get(id(leaf), leaf) if isinstance(leaf, SymbolicTensor) else leaf

        for node in self.nodes:
            args, kwargs = pytree.tree_map(substitute, (node.args, node.kwargs))
            if node.layer._takes_mask and kwargs.get("mask") is node.kwargs.get("mask"):
                kwargs.pop("mask", None)
            outputs = call_layer(node.layer, args, kwargs)
            node.layer._nodes.pop()
            fresh = pytree.tree_leaves(outputs)
            known.update({id(old): new for old, new in zip(pytree.tree_leaves(node.outputs), fresh, strict=True)})
        return pytree.tree_map(substitute, self.outputs)


def _producer(tensor: SymbolicTensor, name: str) -> Node:
    if tensor.node is None:
        raise ValueError(f"{name}: {tensor!r} was not made by a layer; start from lamina.Input(shape).")
    return tensor.node


class Plan:
    """A graph as one Python function. `source` is its text; calling it runs the layers one after another.

    After its last use a value's name passes to the next one or is deleted, so that its memory serves what follows.
    """

    def __init__(self, graph: Graph, name: str = "plan"):
        self._names: dict[int, str] = {}
        self._free: list[str] = []
        self._taken = {"training", "scope", "leaves"}
        self._space: dict[str, Any] = {"scope": scope, "leaves": pytree.tree_leaves}
        self.changes = Changes.count
        self.runs_bare = True  # no call inside needs anything around it
        parameters = ", ".join(self._variable(tensor) for tensor in graph.inputs)
        lines = [*self._lines(graph), *self._mask_lines(graph)]
        uses_training = any("training" in line for line in lines)
        head = ["    training = scope.training"] if uses_training else []
        returned = self._render(graph.outputs)
        self.source = "\n".join(
            [f"def {_identifier(name)}({parameters}):", *head, *lines, f"    return {returned}", ""]
        )
        exec(compile(self.source, f"<plan of {name}>", "exec"), self._space)
        self.run: Callable = self._space[_identifier(name)]

    def __call__(self, *inputs: Any) -> Any:
        return self.run(*inputs)

    def __repr__(self) -> str:
        return self.source

    def _lines(self, graph: Graph) -> Iterator[str]:
        for call in calls(graph.nodes, [*pytree.tree_leaves(graph.outputs), *graph.masks.values()]):
            node, layer = call.node, call.node.layer
            bare = layer.runs_in_plan()
            self.runs_bare = self.runs_bare and bare and not _holds_care(layer)
            arguments = [self._render(value, layer, bare) for value in node.args]
            arguments += [f"{key}={self._render(value, layer, bare)}" for key, value in node.kwargs.items()]
            given = "training" in node.kwargs or "training" in layer._call_parameters[: len(node.args)]
            function = self._function(layer, layer.call if bare else layer)
            if call.after is not None:
                layer = call.after
                function, arguments = self._function(layer, layer.after), [function, *arguments]
            if bare and layer._takes_training and not given:  # other layers ask the scope themselves
                own = self._function(layer, layer)
                arguments.append(f"training={own}.training if training is None else training")
            arguments += [f"{option}={value}" for option, value in call.options.items()]
            unused = [tensor for tensor in call.ended if id(tensor) not in self._names]
            self._free = [self._names[id(tensor)] for tensor in call.ended if id(tensor) in self._names]
            yield f"    {self._assigned(call.outputs)}{function}({', '.join(arguments)}){self._unpacking()}"
            dropped = [*self._free, *map(self._variable, unused)]
            if dropped:
                yield f"    del {', '.join(dropped)}"

    def _mask_lines(self, graph: Graph) -> Iterator[str]:
        """Masks of the outputs ride on them, for the losses and whatever comes after the model."""
        for output in pytree.tree_leaves(graph.outputs):
            mask = graph.masks.get(id(output))
            if mask is not None:
                yield f"    {self._variable(output)}._keras_mask = {self._variable(mask)}"

    def _assigned(self, outputs: Any) -> str:
        names = [self._variable(tensor) for tensor in pytree.tree_leaves(outputs)]
        flat = isinstance(outputs, (list, tuple)) and all(isinstance(item, SymbolicTensor) for item in outputs)
        self._nested = not (flat or isinstance(outputs, SymbolicTensor))
        return f"{', '.join(names)}{',' if len(names) == 1 and (flat or self._nested) else ''} = " + (
            "leaves(" if self._nested else ""
        )

    def _unpacking(self) -> str:
        return ")" if self._nested else ""

    def _variable(self, tensor: SymbolicTensor) -> str:
        if id(tensor) not in self._names:
            self._names[id(tensor)] = self._free.pop() if self._free else f"x{len(self._names)}"
            self._taken.add(self._names[id(tensor)])
        return self._names[id(tensor)]

    def _function(self, layer: Layer, value: Any) -> str:
        suffix = "_layer" if value is layer else ""
        name = base = _identifier(layer.name) + suffix
        count = 1
        while name in self._taken and self._space.get(name) != value:
            count += 1
            name = f"{base}_{count}"
        self._taken.add(name)
        self._space[name] = value
        return name

    def _render(self, value: Any, layer: Layer | None = None, bare: bool = False) -> str:
        """The argument as source text; what has no literal becomes a named constant."""
        if isinstance(value, SymbolicTensor):
            name = self._variable(value)
            if layer is not None and bare and layer._compute is not None and value.torch_dtype not in layer._passing:
                return f"{name}.to({self._constant(layer._compute)})"
            return name
        if value is None or isinstance(value, (bool, int, str)):
            return repr(value)
        if type(value) is list:
            return f"[{', '.join(self._render(item, layer, bare) for item in value)}]"
        if type(value) is tuple:
            return f"({', '.join(self._render(item, layer, bare) for item in value)}{',' * (len(value) == 1)})"
        if type(value) is dict and all(isinstance(key, str) for key in value):
            return "{" + ", ".join(f"{k!r}: {self._render(v, layer, bare)}" for k, v in value.items()) + "}"
        return self._constant(value)

    def _constant(self, value: Any) -> str:
        if isinstance(value, torch.dtype):
            self._space["torch"] = torch
            self._taken.add("torch")
            return str(value)
        name = f"constant_{len(self._space)}"
        self._space[name] = value
        self._taken.add(name)
        return name


def _identifier(name: str) -> str:
    text = re.sub(r"\W", "_", name)
    return f"_{text}" if not text or text[0].isdigit() or keyword.iskeyword(text) else text


def _holds_care(layer: Layer) -> bool:
    """Whether a layer inside keeps losses, so that a call has to start by clearing them."""
    return any(inner._adds_losses or inner.activity_regularizer is not None for inner in layer._flat_layers())


def masked_inputs(graph: Graph, masks: list[Any]) -> tuple[list[SymbolicTensor], list[SymbolicTensor]]:
    """Fresh inputs for `replay` that carry masks, and those masks: for a model called with masks on its inputs."""
    inputs, carried = [], []
    for tensor, mask in zip(graph.inputs, masks, strict=True):
        fresh = _input_like(tensor, tensor.shape, tensor.torch_dtype)
        if mask is not None:
            symbol = _input_like(tensor, mask.shape, torch.bool)
            masking.set_mask(fresh, symbol)
            carried.append(symbol)
        inputs.append(fresh)
    return inputs, carried


def _input_like(tensor: SymbolicTensor, shape: Any, dtype: torch.dtype) -> SymbolicTensor:
    assert tensor.node is not None
    node = Node(tensor.node.layer, (), {})
    node.outputs = SymbolicTensor(shape, dtype, tensor.name, node)
    return node.outputs
