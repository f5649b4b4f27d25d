"""Copies of models with weights of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch.utils import _pytree as pytree

from ..core import serialize
from ..core.errors import named
from ..core.graph import called_again
from ..core.layer import Layer
from ..core.operation import Operation
from ..core.symbolic import Node, SymbolicTensor
from ..layers.input import InputLayer
from .functional import Functional
from .graph_config import own_kwargs
from .model import Model
from .sequential import Sequential


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Callable | None = None,
    recursive: bool = False,
) -> Model:
    """A model of the same architecture with layers, and so weights, of its own.

    input_tensors: symbolic tensors to build it on, in the structure of the model's inputs. clone_function: makes the
    copy of a layer (inputs aside). call_function: calls it, `f(layer, *args, **kwargs)`; functional models only.
    recursive: apply both within nested models too. A layer that stands in several places is copied once.
    Raises ValueError for these arguments with a model of another kind.
    """
    return _clone(model, input_tensors, clone_function, call_function, recursive, {})


def _clone(
    model: Any, input_tensors: Any, clone_function: Any, call_function: Any, recursive: bool, copies: dict[int, Any]
) -> Any:
    def copy(layer: Layer) -> Layer:
        if id(layer) not in copies:
            if recursive and isinstance(layer, (Functional, Sequential)):
                call = call_function if isinstance(layer, Functional) else None
                copies[id(layer)] = _clone(layer, None, clone_function, call, True, copies)
            elif isinstance(layer, Operation):
                copies[id(layer)] = type(layer)(layer.function, name=layer.name)
            else:
                copies[id(layer)] = (clone_function or _from_config)(layer)
        return copies[id(layer)]

    if isinstance(model, Sequential):
        if call_function is not None:
            raise ValueError(f"clone_model: `call_function` is for functional models; {named(model)} is sequential.")
        made: Model = _clone_sequential(model, input_tensors, copy)
    elif isinstance(model, Functional):
        made = _clone_functional(model, input_tensors, copy, call_function)
    elif input_tensors is not None or clone_function is not None or call_function is not None:
        raise ValueError(
            f"clone_model: {named(model)} is no sequential or functional model; it is copied through its config alone."
        )
    else:
        made = _from_config(model)
        made.build_from_config(model.get_build_config() or {})
    if getattr(model, "compiled", False):
        made.compile_from_config(model.get_compile_config())
    return made


def _from_config(layer: Any) -> Any:
    config = layer.config_of_copy() if hasattr(layer, "config_of_copy") else layer.get_config()
    with serialize.as_made(layer):
        return type(layer).from_config(config)


def _symbolic(input_tensors: Any, count: int) -> list[SymbolicTensor]:
    found = pytree.tree_leaves(input_tensors)
    if len(found) != count or not all(isinstance(tensor, SymbolicTensor) for tensor in found):
        raise ValueError(
            f"clone_model: `input_tensors` must be {count} symbolic tensor{'s' * (count > 1)}, one for each input of "
            "the model; make them with Input(shape)."
        )
    return found


def _clone_sequential(model: Sequential, input_tensors: Any, copy: Callable) -> Sequential:
    layers = [copy(layer) for layer in model.layers]
    if input_tensors is not None:
        layers.insert(0, *_symbolic(input_tensors, 1))
    elif model._input is not None:
        layers.insert(0, _from_config(model._input))
    cls = type(model) if model._ours else Sequential
    made = cls(layers, name=model.name, trainable=model.trainable)
    model.finish_copy(made, None)
    return made


def _clone_functional(model: Functional, input_tensors: Any, copy: Callable, call: Callable | None) -> Functional:
    graph = model._graph
    assert graph is not None
    if input_tensors is None:
        layers = [_from_config(node.layer) for node in graph.input_nodes]
        fresh = [layer._nodes[0].outputs for layer in layers if isinstance(layer, InputLayer)]
    else:
        given = model._by_key(input_tensors)
        given = model._flat_inputs(given) if isinstance(given, Mapping) else given
        fresh = _symbolic(given, len(graph.inputs))

    def call_copy(node: Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        layer, kwargs = copy(node.layer), {key: kwargs[key] for key in own_kwargs(node)}
        if call is None and isinstance(layer, Operation):
            return layer.copy_of_call(node, args, kwargs)
        return layer(*args, **kwargs) if call is None else call(layer, *args, **kwargs)

    substitute = called_again(model.nodes_to_copy(), graph.inputs, fresh, call_copy)
    inputs = model.structured(fresh)
    outputs = pytree.tree_map(substitute, model._output_structure)
    cls = type(model) if model._ours or not model._owns_init else Functional
    made = cls(inputs, outputs, name=model.name, trainable=model.trainable)
    model.finish_copy(made, substitute)
    return made
