"""Functional models as plain data, in Keras 3's form, and back; the node lists of Keras 2 are read as well."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch.utils import _pytree as pytree

from ..core import masking, serialize
from ..core.errors import named, short
from ..core.layer import Layer
from ..core.operation import Operation
from ..core.symbolic import Node, SymbolicTensor, any_symbolic
from ..layers.input import InputLayer
from .operations import is_operation, operation_config, stored

if TYPE_CHECKING:
    from .functional import Functional


def _first_call(layer: Any) -> int:
    """The number of a layer's first call: a model's is 1, for Keras counts how it was made."""
    return getattr(layer, "_first_call", 0)


# Writing ---------------------------------------------------------------------------------------------------------


def graph_config(model: Functional, counts_models: bool = False) -> dict[str, Any]:
    """Layers, the calls between them, inputs and outputs. Masks that follow from the layers are left out.

    counts_models: how a model was made is its first call everywhere, as before Keras 3, and not among outputs alone.
    """
    graph = model._graph
    assert graph is not None
    inputs = {id(node) for node in graph.input_nodes}
    calls = calls_by_layer(graph)
    place = {id(node): index for nodes in calls.values() for index, node in enumerate(nodes)}

    def history(tensor: SymbolicTensor) -> list[Any]:
        assert tensor.node is not None
        layer, first = tensor.node.layer, _first_call(tensor.node.layer) if counts_models else 0
        return [layer.name, first + place[id(tensor.node)], tensor.index]

    def end(tensor: SymbolicTensor) -> list[Any]:
        name, index, output = history(tensor)
        layer = None if tensor.node is None or counts_models else tensor.node.layer
        return [name, index + _first_call(layer), output]

    layers = []
    for layer in graph.layers:
        nodes = calls.get(id(layer), [])
        if not nodes:
            continue
        nodes = [node for node in nodes if id(node) not in inputs]
        if isinstance(layer, Operation):
            (node,) = nodes
            write = getattr(layer, "operation_config", None) or functools.partial(operation_config, layer)
            config, args, kwargs = write(node.args, node.kwargs)
            recorded = [_node_config(args, kwargs, history)]
        else:
            config = serialize.serialize(layer)
            recorded = [_node_config(node.args, own_kwargs(node), history) for node in nodes]
        layers.append({**config, "name": layer.name, "inbound_nodes": recorded})
    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": layers,
        "input_layers": pytree.tree_map(end, model._input_structure),
        "output_layers": pytree.tree_map(end, model._output_structure),
    }


def calls_by_layer(graph: Any) -> dict[int, list[Node]]:
    """The calls that the outputs rest on, in the order they were recorded, for each layer (by id)."""
    inputs = {id(node): node for node in graph.input_nodes}
    needed = dict(inputs)
    stack = [tensor.node for tensor in pytree.tree_leaves(graph.outputs)]
    while stack:
        node = stack.pop()
        if id(node) in needed:
            continue
        needed[id(node)] = node
        leaves = pytree.tree_leaves((node.args, own_kwargs(node)))
        stack.extend(leaf.node for leaf in leaves if isinstance(leaf, SymbolicTensor))
    calls: dict[int, list[Node]] = {}
    for node in (*graph.input_nodes, *graph.nodes):
        if id(node) in needed:
            calls.setdefault(id(node.layer), []).append(node)
    for nodes in calls.values():
        order = {id(node): index for index, node in enumerate(nodes[0].layer._nodes)}
        nodes.sort(key=lambda node: order.get(id(node), len(order)))
    return calls


def own_kwargs(node: Node) -> dict[str, Any]:
    """The keyword arguments without the masks that ride on the inputs: loading routes those anew."""
    carried = {"mask": masking.masks_of(node.args[0])} if node.args else {}
    names = node.layer._call_places
    carried |= {f"{name}_mask": masking.masks_of(value) for name, value in zip(names, node.args, strict=False)}

    def rides(key: str, value: Any) -> bool:
        leaves, riding = pytree.tree_leaves(value), pytree.tree_leaves(carried.get(key))
        return bool(leaves) and len(leaves) == len(riding) and all(a is b for a, b in zip(leaves, riding, strict=True))

    return {key: value for key, value in node.kwargs.items() if not rides(key, value)}


def _node_config(args: Sequence[Any], kwargs: Mapping[str, Any], history: Callable) -> dict[str, Any]:
    def write(value: Any) -> Any:
        if isinstance(value, SymbolicTensor):
            config = {"shape": value.shape, "dtype": value.dtype, "keras_history": history(value)}
            return {"class_name": "__keras_tensor__", "config": config}
        if isinstance(value, (list, tuple)):
            return [write(item) for item in value]
        if isinstance(value, Mapping):
            return {key: write(item) for key, item in value.items()}
        return serialize.serialize(value)

    return {"args": write(args), "kwargs": write(kwargs)}


# Reading ---------------------------------------------------------------------------------------------------------


_CALL = "the call of a layer: its `args` and `kwargs`, or in older files a list of [layer, call, output, options]"


def graph_from_config(config: Mapping[str, Any], make: Callable | None = None) -> tuple[Any, Any]:
    """Inputs and outputs of the model that a config describes. Raises ValueError for calls that rest on nothing.

    make: the layer that an entry of the config describes, where that is not one of today's.
    """
    reader = _Reader(config, make or _make)
    reader.run()
    return reader.ends("input_layers"), reader.ends("output_layers")


class _Reader:
    def __init__(self, config: Mapping[str, Any], make: Callable):
        self.config = config
        self.layers: dict[str, Any] = {}
        self.calls: dict[str, list[list[Any]]] = {}  # the outputs of each call of a layer
        self.waiting: dict[str, deque[Any]] = {}  # for each layer the calls to make
        self.missing: set[tuple[str, int]] = set()  # calls whose outputs were asked for before they were there
        with serialize.reading_part(config["layers"], "a list of layers and their calls"):
            for entry in config["layers"]:
                with serialize.reading_part(entry, "a layer: its `class_name`, `config`, `name` and `inbound_nodes`"):
                    self._add(entry, make)
            self.legacy = any(_is_legacy(node) for nodes in self.waiting.values() for node in nodes)
            self.first = self._first_calls() if self.legacy else {}

    def _add(self, entry: Mapping[str, Any], make: Callable) -> None:
        name = entry.get("name") or entry["config"]["name"]
        if name in self.layers:
            raise ValueError(f"The config of model {self.config.get('name')!r} names two layers {name!r}.")
        layer = self.layers[name] = make(entry)
        starts = isinstance(layer, InputLayer)
        self.calls[name] = [[layer._nodes[0].outputs]] if starts else []
        if not starts:
            self.waiting[name] = deque(entry.get("inbound_nodes", ()))

    def run(self) -> None:
        """Make all calls, in the order of the layers as far as their inputs are there."""
        turn = deque(self.waiting)
        lacks: dict[str, int] = {}  # how many calls each stopped layer waits for
        stopped: dict[tuple[str, int], list[str]] = {}  # who waits for a call
        while turn:
            name = turn.popleft()
            nodes = self.waiting[name]
            while nodes:
                self.missing = set()
                with serialize.reading_part(nodes[0], _CALL, theirs=not getattr(self.layers[name], "_ours", True)):
                    args, kwargs = self._arguments(nodes[0])
                    outputs = None if self.missing else self._call(name, args, kwargs)
                if outputs is None:
                    lacks[name] = len(self.missing)
                    for call in self.missing:
                        stopped.setdefault(call, []).append(name)
                    break
                nodes.popleft()
                done = (name, len(self.calls[name]))
                self.calls[name].append(outputs)
                for waiter in stopped.pop(done, ()):
                    lacks[waiter] -= 1
                    if not lacks[waiter]:
                        turn.append(waiter)
        left = ", ".join(repr(name) for name, nodes in self.waiting.items() if nodes)
        if left:
            raise ValueError(
                f"The config of model {self.config.get('name')!r} has loops or lacks layers: no inputs for {left}."
            )

    def _call(self, name: str, args: Any, kwargs: Any) -> list[Any]:
        """The outputs of a call. Raises ValueError for one on constants alone, which would do work while loading."""
        model = f"The config of model {self.config.get('name')!r}"
        if not isinstance(args, (list, tuple)) or not isinstance(kwargs, dict):
            raise ValueError(f"expected {_CALL}; got {short(kwargs if isinstance(args, (list, tuple)) else args)}.")
        if not any_symbolic(args, kwargs):
            raise ValueError(f"{model} calls {name!r} on no tensor of the model.")
        if not self.legacy and _is_default(self.layers[name], kwargs.get("training")):
            del kwargs["training"]
        try:
            return pytree.tree_leaves(self.layers[name](*args, **kwargs))
        except TypeError as error:
            raise ValueError(f"{model}, a call of {name!r}: {error}") from error

    def ends(self, key: str) -> Any:
        def find(reference: Any) -> Any:
            name, index, output = reference
            first = 0 if self.legacy else _first_call(self.layers.get(name))
            return self._tensor(name, index - first, output)

        self.missing = set()
        with serialize.reading_part(self.config[key], "layers' outputs, each as [layer, call, output]"):
            found = pytree.tree_map(find, self.config[key], is_leaf=_is_reference)
        if self.missing:
            raise ValueError(f"The config of model {self.config.get('name')!r} has no call for its {key}.")
        return found[0] if self.legacy and isinstance(found, list) and len(found) == 1 else found

    def _arguments(self, node: Any) -> tuple[Any, dict[str, Any]]:
        if _is_legacy(node):
            entries = _entries(node)
            kwargs = entries[0][3] if entries and len(entries[0]) > 3 else {}
            inputs = self._inputs(node)
            alone = isinstance(inputs, list) and len(inputs) == 1
            return [inputs[0] if alone else inputs], self._read(kwargs)
        return self._read(node.get("args", [])), self._read(node.get("kwargs", {}))

    def _inputs(self, node: Any) -> Any:
        """The inputs of a call in their structure."""

        def find(entry: Any) -> Any:
            return entry[2] if entry[0] == CONSTANT else self._tensor(*entry[:3])

        return pytree.tree_map(find, node, is_leaf=_is_entry)

    def _read(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            if value.get("class_name") == "__keras_tensor__":
                return self._tensor(*value["config"]["keras_history"])
            if "class_name" in value:
                return serialize.deserialize(value)
            return {key: self._read(item) for key, item in value.items()}
        if self.legacy and _is_reference(value):
            return self._tensor(*value)
        return [self._read(item) for item in value] if isinstance(value, (list, tuple)) else value

    def _tensor(self, name: str, call: int, output: int) -> Any:
        if name not in self.calls:
            raise ValueError(f"The config of model {self.config.get('name')!r} lacks the layer {name!r}.")
        outputs, call = self.calls[name], call - self.first.get(name, 0)
        if not 0 <= call < len(outputs):
            self.missing.add((name, call))
            return None
        if not 0 <= output < len(outputs[call]):
            raise ValueError(f"{named(self.layers[name])} has no output {output}, which the config asks for.")
        return outputs[call][output]

    def _first_calls(self) -> dict[str, int]:
        """Keras 2 counts the call a nested model was made of first: where each layer's numbers begin."""
        used = [entry for nodes in self.waiting.values() for node in nodes for entry in _entries(node)]
        used = [entry for entry in used if entry[0] != CONSTANT]
        ends = pytree.tree_leaves(self.config["output_layers"], is_leaf=_is_reference)
        lowest: dict[str, int] = {}
        for name, call, *_ in (*used, *filter(_is_reference, ends)):
            lowest[name] = min(call, lowest.get(name, call))
        return lowest


def _make(entry: Mapping[str, Any]) -> Any:
    if is_operation(entry):
        return stored(entry)
    made = serialize.deserialize(entry, homes=("keras.layers", "keras.models", "keras.applications"))
    if not callable(made) or isinstance(made, type):
        raise ValueError(f"The config names {entry.get('class_name')!r} as a layer, which it is not.")
    return made


CONSTANT = "_CONSTANT_VALUE"  # what tf.keras writes in a layer's place before a number that a function takes first


def _is_legacy(node: Any) -> bool:
    """Whether a call is told as before Keras 3: by its inputs alone, in a list or a dictionary."""
    return isinstance(node, list) or (isinstance(node, Mapping) and not node.keys() <= {"args", "kwargs"})


def _is_entry(node: Any) -> bool:
    return isinstance(node, list) and bool(node) and isinstance(node[0], str)


def _entries(node: Any) -> list[Any]:
    """The inputs of a call, in any structure; where it was made on one alone, tf.keras leaves out the list."""
    return pytree.tree_leaves(node, is_leaf=_is_entry)


def _is_default(layer: Any, training: Any) -> bool:
    """Whether a call's `training` is what Keras 3 writes where none was given: the default of the layer's `call`."""
    if not isinstance(training, bool) or not isinstance(layer, Layer):
        return False
    parameter = layer._call_signature.parameters.get("training")
    return parameter is not None and parameter.default is training


def _is_reference(value: object) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 3 and isinstance(value[0], str) and type(value[1]) is int
