"""Graphs of recorded calls, and the straight line of calls (the plan) that runs one."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from . import care, masking
from .care import Changes
from .errors import answered, short
from .fusion import calls, granted, watched
from .layer import Layer, scope
from .operation import Operation, tracked
from .scope import put
from .symbolic import Node, SymbolicTensor, leaves_in_order
from .trail import FAULTS, Trail, beyond_shapes, called, trail_of


class Graph:
    """All calls between some inputs and some outputs (structures of symbolic tensors), in running order.

    `keywords_sorted`: whether the keyword arguments of a call are met in the order of their names, not as given.
    Raises ValueError where an output does not depend on the inputs alone.
    """

    def __init__(self, inputs: Any, outputs: Any, name: str = "model", keywords_sorted: bool = True):
        self._keywords_sorted = keywords_sorted
        self.inputs: list[SymbolicTensor] = pytree.tree_leaves(inputs)
        self.outputs = outputs
        self.nodes: list[Node] = []
        leaves = leaves_in_order(outputs)
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
                self._collect([mask] if isinstance(mask, SymbolicTensor) else [], given, done, {}, name)
            except ValueError:  # a mask from before the inputs, in a model that starts inside another graph
                self.masks[key] = None
                del self.nodes[count:]
                done = before
        self.nodes = [node for node in self.nodes if not self._is_input(node, given)]
        self._computes = self._compute_types()

    def __getstate__(self) -> dict[str, Any]:
        """The calls come first, in their order: so a copy goes from one to the next, however long the chain."""
        masks = [(leaf, self.masks.get(id(leaf))) for leaf in pytree.tree_leaves(self.outputs)]
        return {"input_nodes": self.input_nodes, "nodes": self.nodes, **vars(self), "masks": masks}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, masks={id(leaf): mask for leaf, mask in state["masks"]})
        nodes = [*self.input_nodes, *self.nodes]
        known = {id(node) for layer in {id(node.layer): node.layer for node in nodes}.values() for node in layer._nodes}
        for node in nodes:  # copies of layers know no calls but these
            node.count()
            if id(node) not in known:
                node.layer._nodes.append(node)

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
                inputs = node.inputs
                if len(inputs) > 1:
                    keywords = node.kwargs if self._keywords_sorted else [*node.kwargs.values()]
                    leaves = leaves_in_order((node.args, keywords))
                    inputs = [leaf for leaf in leaves if isinstance(leaf, SymbolicTensor)]
                stack.extend((_producer(tensor, name), False) for tensor in reversed(inputs))

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
        if len(layers) < len(depth):  # what a shared layer counts rests on the order of its calls: Keras' one
            known = {id(node): node for node in self.nodes}
            self.nodes = sorted((known[key] for key in depth if key in known), key=lambda node: -depth[id(node)])
        return sorted(layers.values(), key=lambda layer: (-layer_depth[id(layer)], order.get(id(layer), -1)))

    @functools.cached_property
    def own_layers(self) -> list[Layer]:
        """The layers but for plain functions."""
        return [layer for layer in self.layers if not isinstance(layer, Operation)]

    @functools.cached_property
    def called_layers(self) -> list[Layer]:
        """The layers and the plain functions, but for those that only masks rest on."""
        kept: set[int] = set()
        seen: set[int] = set()
        waiting = pytree.tree_leaves(self.outputs)
        while waiting:
            node = getattr(waiting.pop(), "node", None)
            if node is not None and id(node) not in seen:
                seen.add(id(node))
                kept.add(id(node.layer))
                waiting += pytree.tree_leaves(node.args)
                waiting += pytree.tree_leaves([value for key, value in node.kwargs.items() if key != "mask"])
        return [layer for layer in self.layers if id(layer) in kept or not isinstance(layer, Operation)]

    def _compute_types(self) -> list[torch.dtype]:
        return [each.dtype_policy.compute for layer in self.layers for each in layer._flat_layers()]

    def heed_policies(self) -> None:
        """Find the types of all results anew where layers have got another policy since."""
        types = self._compute_types()
        if types != self._computes:
            self._computes, results = types, [node.outputs for node in self.nodes]
            fresh = [_input_like(tensor, tensor.shape, tensor.torch_dtype) for tensor in self.inputs]
            for old, new in zip(*map(pytree.tree_leaves, (results, self.replay(fresh, results))), strict=True):
                old.torch_dtype = new.torch_dtype

    def run(self, *inputs: Any) -> Any:
        """Call the layers one after another, each with all that happens around a call."""
        return self._through(inputs, lambda layer, args, kwargs: layer(*args, **kwargs), self.outputs)

    def replay(self, inputs: Sequence[Any], results: Any = None) -> Any:
        """Record the same calls once more on other symbolic inputs; the layers keep no trace of it. Gives what stands
        for the outputs, or for other `results`."""

        def recorded(layer: Layer, args: tuple, kwargs: dict[str, Any]) -> Any:
            outputs = layer._call_with_care(args, kwargs)
            symbol: Any = next(leaf for leaf in pytree.tree_leaves(outputs) if isinstance(leaf, SymbolicTensor))
            layer._nodes.remove(symbol.node)
            return outputs

        return self._through(inputs, recorded, self.outputs if results is None else results)

    def _through(self, inputs: Sequence[Any], call: Callable, results: Any) -> Any:
        def without_mask(node: Node, args: tuple, kwargs: dict[str, Any]) -> Any:
            if node.layer._takes_mask and kwargs.get("mask") is node.kwargs.get("mask"):
                kwargs.pop("mask", None)
            return call(node.layer, args, kwargs)

        return pytree.tree_map(called_again(self.nodes, self.inputs, inputs, without_mask), results)

    def misfit(self, inputs: list[Any]) -> Trail | None:
        """Where the shapes of these inputs do not fit; None where they do."""
        fresh = [
            x if isinstance(x, SymbolicTensor) else _input_like(own, x.shape, x.dtype)
            for own, x in zip(self.inputs, inputs, strict=True)
        ]
        try:
            for by_running in (scope.by_running, True):  # rules tell more clearly; running tells all
                with put(scope, by_running=by_running):
                    self.replay(fresh)
        except FAULTS as error:
            return None if beyond_shapes(error) else trail_of(error)
        return None


def called_again(
    nodes: Iterable[Node], inputs: Sequence[Any], fresh: Sequence[Any], call: Callable[[Node, tuple, Any], Any]
) -> Callable[[Any], Any]:
    """Make calls once more, `call(node, args, kwargs)`, with others in the place of some inputs. The result tells what
    stands for each tensor then."""
    known = {id(old): new for old, new in zip(inputs, fresh, strict=True)}

    def substitute(leaf: Any) -> Any:
        return known.get(id(leaf), leaf) if isinstance(leaf, SymbolicTensor) else leaf

    for node in nodes:
        made = call(node, *pytree.tree_map(substitute, (node.args, node.kwargs)))
        pairs = zip(pytree.tree_leaves(node.outputs), pytree.tree_leaves(made), strict=True)
        known.update({id(old): new for old, new in pairs})
    return substitute


def _producer(tensor: SymbolicTensor, name: str) -> Node:
    if tensor.node is None:
        raise ValueError(f"{name}: {tensor!r} was not made by a layer; start from lamina.Input(shape).")
    return tensor.node


class Constant:
    """A tensor in a model, on the device of whatever it meets."""

    def __init__(self, tensor: Tensor):
        self.tensor = tensor
        self._elsewhere: dict[torch.device, Tensor] = {}

    def __call__(self, x: Tensor) -> Tensor:
        if self.tensor.device == x.device:
            return self.tensor
        if x.device not in self._elsewhere:
            self._elsewhere[x.device] = self.tensor.to(x.device)
        return self._elsewhere[x.device]


class Plan:
    """A graph as one Python function; calling it runs the layers one after another.

    `source` is what is executed. All its names are the plan's own (`x` values, `f` functions, `c` constants): names and
    texts of users and files reach it as objects alone, so that nothing of theirs is ever run. Printing a plan shows
    which layer each line calls. After its last use a value's name passes to the next one or is deleted, so that its
    memory serves what follows.
    """

    def __init__(self, graph: Graph, scored: bool = False):
        self._graph, self._scored = graph, scored
        self._names: dict[int, str] = {}  # of symbolic tensors
        self._free: list[str] = []
        self._numbers = itertools.count()
        self._space: dict[str, Any] = {
            "answered": answered,
            "leaves": pytree.tree_leaves,
            "scope": scope,
            "torch": torch,
            "unflatten": pytree.tree_unflatten,
        }
        self.changes = Changes.count
        self.specs: dict[Any, Any] = {}  # the outputs' shapes and types by those of the inputs, as far as asked for
        parameters = ", ".join(self._variable(tensor) for tensor in graph.inputs)
        lines = [*self._lines(graph), *((line, "") for line in self._mask_lines(graph))]
        if any("training" in line for line, _ in lines):
            lines.insert(0, ("training = scope.training", ""))
        lines.append((f"return {self._render(graph.outputs)}", ""))
        head = f"def plan({parameters}):"
        self.source = "\n    ".join([head, *(line for line, _ in lines)]) + "\n"
        self._shown = "\n    ".join([head, *(f"{line}  # {note}" if note else line for line, note in lines)]) + "\n"
        exec(compile(self.source, "<plan>", "exec"), self._space)
        self.run: Callable = self._space["plan"]
        if any(node.layer._asks_gradients for node in graph.nodes):
            self.run = tracked(self.run, graph.nodes)
        self.repeated = self.run  # for calls without gradients

    @functools.cached_property
    def scored(self) -> Plan:
        """A plan for the same that also tells of the softmax or sigmoid at its ends (see `Watched`)."""
        return self if self._scored else Plan(self._graph, scored=True)

    def __call__(self, *inputs: Any) -> Any:
        return self.run(*inputs)

    def __repr__(self) -> str:
        return self._shown

    def _lines(self, graph: Graph) -> Iterator[tuple[str, str]]:
        outputs = pytree.tree_leaves(graph.outputs)
        ends = {*map(id, outputs)} if self._scored else set()
        for call in calls(graph.nodes, [*outputs, *graph.masks.values()]):
            node, layer = call.node, call.node.layer
            given = "training" in node.kwargs or "training" in layer._call_places[: len(node.args)]
            tells = given and next(layer.children(), None) is not None  # an explicit flag is one for what is inside
            bare = not (layer._care & care.IN_PLAN or tells)
            self._near = node.inputs[0]
            first = next(iter(layer._call_parameters), "")
            arguments = [
                self._render(value, layer, bare and (layer._casts_all or not place))
                for place, value in enumerate(node.args)
            ]
            for key, value in node.kwargs.items():
                text = self._render(value, layer, bare and (layer._casts_all or key == first))
                known = key in layer._call_parameters  # a word of a program; others may be anybody's
                arguments.append(f"{key}={text}" if known else f"**{{{self._give(key)}: {text}}}")
            function, note = self._give(layer.call if bare else layer), called(layer)
            if call.both is not None:
                layer = call.last
                function, arguments = self._give(call.both), [function, *arguments]
                note += f", {called(layer)}"
            if bare and layer._takes_training and not given:  # other layers ask the scope themselves
                arguments.append(f"training={self._give(layer)}.training if training is None else training")
            arguments += [f"{option}={value}" for option, value in call.options.items()]
            unused = [tensor for tensor in call.ended if id(tensor) not in self._names]
            self._free = [self._names[id(tensor)] for tensor in call.ended if id(tensor) in self._names]
            result = f"{function}({', '.join(arguments)})"
            last = watched(call) if id(call.outputs) in ends else None
            if last is not None:
                before = f"{function}({', '.join([*arguments, 'relu=False'])})"
                result = f"{self._give(last)}({before if 'relu' in granted(layer) else arguments[0]})"
            if bare and not layer._ours:
                result = f"answered({self._give(layer)}, {result})"
            yield self._assigned(call.outputs, result), note
            dropped = [*self._free, *map(self._variable, unused)]
            if dropped:
                yield f"del {', '.join(dropped)}", ""

    def _mask_lines(self, graph: Graph) -> Iterator[str]:
        """Masks of the outputs ride on them, for the losses and whatever comes after the model."""
        for output in pytree.tree_leaves(graph.outputs):
            mask = graph.masks.get(id(output))
            if mask is not None:
                self._near = output
                yield f"{self._variable(output)}._keras_mask = {self._render(mask)}"

    def _assigned(self, outputs: Any, result: str) -> str:
        names = [self._variable(tensor) for tensor in pytree.tree_leaves(outputs)]
        if isinstance(outputs, SymbolicTensor):
            return f"{names[0]} = {result}"
        flat = isinstance(outputs, (list, tuple)) and all(isinstance(item, SymbolicTensor) for item in outputs)
        targets = f"{names[0]}," if len(names) == 1 else ", ".join(names)
        return f"{targets} = {result}" if flat else f"{targets} = leaves({result})"

    def _variable(self, tensor: SymbolicTensor) -> str:
        if id(tensor) not in self._names:
            self._names[id(tensor)] = self._free.pop() if self._free else f"x{len(self._names)}"
        return self._names[id(tensor)]

    def _give(self, value: Any) -> str:
        """A name under which the source finds an object."""
        name = f"{'f' if callable(value) else 'c'}{next(self._numbers)}"
        self._space[name] = value
        return name

    def _render(self, value: Any, layer: Layer | None = None, bare: bool = False) -> str:
        """The argument as source text: numbers and structures as they are, anything else by a name."""

        def render(item: Any) -> str:
            return self._render(item, layer, bare)

        if isinstance(value, Tensor | SymbolicTensor):
            return self._render_tensor(value, layer if bare else None)
        if value is None or type(value) is bool or (type(value) is int and value.bit_length() < 64):
            return repr(value)
        if isinstance(value, torch.dtype):
            return str(value)
        if type(value) is list:
            return f"[{', '.join(map(render, value))}]"
        if type(value) is tuple:
            return f"({', '.join(map(render, value))}{',' * (len(value) == 1)})"
        if type(value) is dict:
            return "{" + ", ".join(f"{self._give(key)}: {render(item)}" for key, item in value.items()) + "}"
        items, spec = pytree.tree_flatten(value)
        if any(isinstance(item, SymbolicTensor) for item in items):  # in a named tuple, an ordered dictionary, ...
            return f"unflatten({render(items)}, {self._give(spec)})"
        return self._give(value)

    def _render_tensor(self, value: Any, layer: Layer | None) -> str:
        """A variable, in the type in which a layer that is called bare computes; or a constant."""
        if isinstance(value, SymbolicTensor):
            name = self._variable(value)
            if layer is not None and layer._compute is not None and value.torch_dtype not in layer._passing:
                return f"{name}.to({layer._compute})"
            return name
        if type(value) is Tensor and not value.requires_grad:
            return f"{self._give(Constant(value))}({self._variable(self._near)})"
        return self._give(value)


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
    node.outputs = tensor._kind(shape, dtype, name=tensor.name, node=node)
    return node.outputs
