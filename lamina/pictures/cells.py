"""What tables of models say of layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..core import symbolic
from ..core.layer import Layer
from .cost import Count
from .table import NUMBER, Column, number, shown

_CLASS, _NONE = "color(33)", "color(45)"


def basic_columns(model: Any) -> list[Column]:
    """Keras' columns, of items (layer, level of nesting)."""
    graph = getattr(model, "_graph", None)
    made = [
        Column("Layer (type)", lambda item: _name(*item)),
        Column("Output Shape", lambda item: _shape(item[0])),
        Column("Param #", lambda item: _count(item[0]), justify="right"),
    ]
    if graph is not None and not is_linear(graph):
        inside = {id(node) for node in (*graph.nodes, *graph.input_nodes)}
        made.append(Column("Connected to", lambda item: _connections(item[0], inside)))
    return made


def layers_of(model: Any) -> list[Any]:
    """The layers of a model in the order of its table."""
    graph = getattr(model, "_graph", None)
    return model.layers if graph is None or hasattr(model, "_stack") else graph.layers


def nested(layers: Iterable[Any], expand: bool, level: int = 0) -> Iterator[tuple[Any, int]]:
    """The layers, each with its level of nesting; with `expand` also those inside them."""
    for layer in layers:
        yield layer, level
        if expand:
            yield from nested(layer._inner_layers, True, level + 1)


def is_linear(graph: Any) -> bool:
    """Whether every call has one input and every layer one call, one after another."""
    layers = [id(node.layer) for node in graph.nodes]
    single = all(len(node.inputs) == 1 for node in graph.nodes) and len(graph.inputs) == 1
    readers = [id(tensor) for node in graph.nodes for tensor in node.inputs]
    return single and len(set(layers)) == len(layers) and len(set(readers)) == len(readers)


def _name(layer: Layer, level: int) -> str:
    indent = "   " * level + "└ " if level else ""
    remark = f", {layer._remark}" if getattr(layer, "_remark", "") else ""
    return f"{indent}{shown(layer.name)} ([{_CLASS}]{shown(type(layer).__name__)}[/]{remark})"


def _shape(layer: Layer) -> str:
    if layer._nodes:
        shapes = symbolic.shapes_of(layer._nodes[-1].outputs)
    elif layer.built and layer._build_shapes is not None:
        args, kwargs = layer._build_shapes
        try:
            shapes = layer.compute_output_shape(*args, **kwargs)
        except (TypeError, ValueError, NotImplementedError):  # a rule that asks for more than the build was told
            return "?"
    else:
        return "?"
    if not layer._nodes:  # the batch that it was built with says nothing about others
        shapes = symbolic.map_shapes(lambda shape: (None, *shape[1:]), shapes)
    texts: list[str] = []
    symbolic.map_shapes(lambda shape: texts.append(_one_shape(shape)), shapes)
    return ", ".join(texts) if len(texts) < 2 else f"[{', '.join(texts)}]".replace("[(", r"\[(", 1)


def shape_of(layer: Layer) -> str:
    """The shape of a layer's output as text: "(None, 3)"; "?" where it is not known."""
    from rich.text import Text

    return Text.from_markup(_shape(layer)).plain


def _one_shape(shape: tuple) -> str:
    return "(" + ", ".join(f"[{_NONE if size is None else NUMBER}]{size}[/]" for size in shape) + ")"


def _count(layer: Layer) -> str:
    return number(f"{layer.count_params():,}") if layer.built else number(0, " (unbuilt)")


def _connections(layer: Layer, inside: set[int]) -> str:
    """The tensors that those calls of a layer read which are `inside` a graph."""
    tensors = [tensor for node in layer._nodes if id(node) in inside for tensor in node.inputs]
    places = [(t.node.layer, t.node.layer._nodes.index(t.node), t.index) for t in tensors if t.node is not None]
    return ", ".join(rf"{shown(producer.name)}\[{call}]\[{index}]" for producer, call, index in places) or "-"


def in_bytes(count: Count) -> str:
    """A number of bytes in words: "? x 1.50 KB"."""
    return "?" if count.number is None else f"{'? x ' if count.each else ''}{readable_size(count.number)}"


def readable_size(size: float) -> str:
    """A number of bytes in words: "1.50 KB"."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} TB"
