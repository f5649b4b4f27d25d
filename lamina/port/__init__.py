"""Models as plain modules of torch, and such modules as models, with their weights."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ..core import dtypes as types
from ..core.errors import named, short
from ..core.graph import Graph
from ..core.layer import Layer
from ..core.scope import put
from ..core.symbolic import SymbolicTensor
from ..files.program import signature_of
from ..layers.input import Input
from ..layers.spatial import Spatial
from ..models.functional import Functional, GraphModel
from . import checking, forms, reader, readings, sequences, weights
from .axes import Order, Value, channels_second, plain, turn
from .writer import Weights, Writer, forgotten, names_in

__all__ = ["from_torch", "load_torch_weights", "to_torch", "torch_state_dict"]
_TABLES = forms, sequences, readings  # they enter themselves into the tables of `writer` and `reader`
_Source = tuple[Graph, dict[int, str]]  # the calls to be written, the names of what makes them


def to_torch(
    model: Any, *, channels_first: bool = False, inference: bool = False, verify: bool = True, tolerance: float = 1e-4
) -> nn.Module:
    """The model or layer as a plain module of torch, without anything of Lamina's inside, and with weights of its own.

    A `torch.nn.Sequential` where one layer follows another, else a `torch.fx.GraphModule`; submodules have the layers'
    names, parameters torch's. Inputs and outputs are as the model's; with `channels_first`, pictures have their
    channels behind the batch, as in torch. `inference` leaves out what happens in training alone. `verify` compares
    both on random input and prints the largest difference; `tolerance` is relative to the largest value.
    Raises ValueError for a layer that has no form in torch, and where the results differ.
    """
    source = _source(model, "to_torch")
    module, orders, outputs = _written(source, Weights(), channels_first, inference)
    device = next((weight.device for weight in model.parameters()), None)
    module = module if device is None else module.to(device)
    if verify:
        inputs = checking.random_inputs(model, source[0])
        with checking.evaluating(model):
            whole = [model.structured(inputs)] if isinstance(model, GraphModel) and len(inputs) > 1 else inputs
            expected = model(*whole, training=False)
        with checking.evaluating(module):
            got = module(*(x.permute(order) for x, order in zip(inputs, orders, strict=True)))
        found = [
            y.permute(turn(order, plain(y.ndim))) for y, order in zip(pytree.tree_leaves(got), outputs, strict=True)
        ]
        checking.report("to_torch", model, expected, found, tolerance)
    return module


def from_torch(
    module: nn.Module,
    input_shape: Any,
    *,
    channels_last: bool = False,
    dtype: Any = None,
    name: str | None = None,
    verify: bool = True,
    tolerance: float = 1e-4,
) -> Functional:
    """A model of layers that computes what a module of torch does, with its weights.

    input_shape: the shape of an input as the module takes it, without the batch; a list of them for several. dtype: of
    the input, or of each in a list; by default that of numbers, or int32 where it goes into an Embedding. The model
    takes what the module takes; with `channels_last`, pictures have their channels last, as in Keras. `verify` and
    `tolerance` as of `to_torch`.
    Raises ValueError for a call that no layer makes, naming it, and where the results differ.
    """
    if not isinstance(module, nn.Module) or isinstance(module, Layer):
        raise TypeError(f"from_torch: expected a torch.nn.Module that is no layer; got {short(module)}.")
    shapes = [*input_shape] if input_shape and isinstance(input_shape[0], (list, tuple)) else [tuple(input_shape)]
    dtypes = [*dtype] if isinstance(dtype, (list, tuple)) else [dtype] * len(shapes)
    floats = {each.dtype for each in module.state_dict().values() if each.is_floating_point()}
    own = types.get(types.dtype_name(*floats)) if len(floats) == 1 and floats != {torch.float32} else None
    with put(types, _global_policy=own or types._global_policy):
        traced = reader.trace(module, shapes, dtypes)
        inputs = reader.inputs_of(traced, shapes, channels_last, dtypes)
        run = reader.Reader(traced, inputs, channels_last)
        outputs = pytree.tree_map(lambda value: value if channels_last else run.settled(value), run.run())
        made = pytree.tree_map(lambda value: value.made, outputs)
        symbols = [value.made for value in inputs]
        run.name_apart(Graph(symbols, made, "from_torch").layers)
        model = Functional(symbols if len(symbols) > 1 else symbols[0], made, name=name)
        _load(model, run.weights(model), "from_torch")
    if verify:
        with checking.evaluating(module), checking.evaluating(model):
            given = checking.random_inputs(model, model._graph)
            tensors = [
                (x if x.is_floating_point() or x.dtype is torch.bool else x.long())
                .permute(turn(value.order, plain(x.ndim)))
                .clone(memory_format=torch.contiguous_format)
                for x, value in zip(given, inputs, strict=True)
            ]
            count = sum(each.kind is not each.KEYWORD_ONLY for each in signature(module.forward).parameters.values())
            names = [value.made.name for value in inputs[count:]]
            expected = module(*tensors[:count], **dict(zip(names, tensors[count:], strict=True)))
            got = model(given if len(given) > 1 else given[0])
        pairs = zip(pytree.tree_leaves(got), pytree.tree_leaves(outputs), strict=True)
        found = [y.permute(turn(value.order, plain(y.ndim))) for y, value in pairs]
        expected = [y for y in pytree.tree_leaves(expected) if y is not None]
        checking.report("from_torch", model, expected, found, tolerance)
    return model


def torch_state_dict(model: Any, *, channels_first: bool = False, inference: bool = False) -> dict[str, Tensor]:
    """The weights of a model under the names, and in the shapes, that `to_torch` gives them."""
    module, *_ = _written(_source(model, "torch_state_dict"), Weights(), channels_first, inference)
    return dict(module.state_dict())


def load_torch_weights(
    model: Any, state_dict: Mapping[str, Tensor], *, channels_first: bool = False, inference: bool = False
) -> None:
    """Give a model the weights of a module that `to_torch` made of it, or of one like it.

    Raises ValueError, with nothing changed, for other names or shapes, and for values the model has no weight for.
    """
    _load(model, state_dict, "load_torch_weights", channels_first, inference)


def _load(
    model: Any, state: Mapping[str, Tensor], what: str, channels_first: bool = False, inference: bool = False
) -> None:
    places = weights.Places()
    module, *_ = _written(_source(model, what), places, channels_first, inference)
    weights.load(model, module.state_dict(), places, state, what)


def _written(
    source: _Source, into: Weights, channels_first: bool, inference: bool
) -> tuple[nn.Module, list[Order], list[Order]]:
    """The module, and the orders of the axes of its inputs and outputs."""
    writer, (graph, names) = Writer(into, inference), source
    orders = [_input_order(graph, symbol, channels_first) for symbol in graph.inputs]

    def finished(value: Value) -> Value:
        keeps = channels_first and not value.columns and value.order == channels_second(len(value.shape))
        return value if keeps else writer.settled(value)

    outputs = pytree.tree_map(finished, writer.written(graph, names, orders))
    return writer.finish(outputs), orders, [value.order for value in pytree.tree_leaves(outputs)]


def _input_order(graph: Any, symbol: SymbolicTensor, channels_first: bool) -> Order:
    """Channels first, where that is asked for and all layers that first read the input see its last axis so."""
    rank, seen, found = len(symbol.shape), {id(symbol)}, []
    for node in graph.nodes if channels_first and rank > 2 else ():
        if any(id(tensor) in seen for tensor in node.inputs):
            inner = getattr(node.layer, "_graph", None)
            if isinstance(node.layer, Spatial):
                found.append(node.layer.channels_last)
            elif inner is not None:
                found += [_input_order(inner, each, True) != plain(rank) for each in inner.inputs]
            elif type(node.outputs) is SymbolicTensor and node.outputs.shape == symbol.shape:
                seen.add(id(node.outputs))  # of what leaves the axes where they are, such as a Rescaling
    return channels_second(rank) if found and all(found) else plain(rank)


def _source(model: Any, what: str) -> _Source:
    """The calls of a model; of one written as a class, those that its `call` makes; of a layer, one."""
    if not isinstance(model, Layer):
        raise TypeError(f"{what}: expected a Lamina model or layer; got {short(model)}.")
    if not model.built or (isinstance(model, GraphModel) and model._graph is None):
        raise ValueError(f"{what}: {named(model)} is not built: give its input shape, or call it on data, first.")
    if isinstance(model, GraphModel):
        return model._graph, names_in(model)
    symbols = [Input(batch_shape=spec.shape, dtype=spec.dtype) for spec in pytree.tree_leaves(signature_of(model))]
    with forgotten(model):
        try:
            graph = Graph(symbols, (model if model._ours else model.call)(*symbols), named(model))
        except Exception:  # what its code does with values, a trace of the whole may tell
            graph = Graph(symbols, model(*symbols), named(model))
    paths = [*model.named_modules(), *model.named_parameters()]
    return graph, {id(each): path.replace(".", "_") for path, each in paths if path}
