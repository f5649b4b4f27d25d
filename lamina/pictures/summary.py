"""The table `model.summary()` prints."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from ..core import symbolic
from ..core.layer import Layer
from .cost import UNKNOWN, Costs, Row, costs

_SHAPE, _NUMBER, _CLASS, _NONE = "color(34)", "color(34)", "color(33)", "color(45)"
_COSTS = 36  # characters of the two columns


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
    show_costs: bool = False,
) -> None:
    """Print the layers with output shapes and numbers of parameters, then the totals.

    Where a layer is shared or joins several, a column says what it is connected to. line_length: width in characters.
    positions: where the columns end, in characters, or all at most 1 as parts of the width.
    print_fn: takes the whole text instead of the screen. layer_range: first and last layer, as names or patterns.

    show_costs adds two columns. Multiply-adds of one sample, of all calls of the layer: products with weights and of
    tensors with each other count, as in papers; biases, activations, pooling and normalization do not. "? x 512": 512
    for each step or position of an axis whose size is unknown; "?": unknown. Receptive field: how many places of the
    model's input, along each of its spatial axes, one value of the output sees at most, borders aside; "all" where it
    sees the whole input, "-" where that has no spatial axes.
    """
    from rich.console import Console

    graph = getattr(model, "_graph", None)
    linear = graph is None or _is_linear(graph)
    least = (24 if linear else 31) + 12 * show_trainable + _COSTS * show_costs
    if line_length is not None and line_length < least:
        raise ValueError(f"summary: `line_length` must be at least {least} for these columns; got {line_length}.")
    width = line_length or min((88 if linear else 108) + 12 * show_trainable + _COSTS * show_costs, _terminal_width())
    plain = print_fn is not None or not sys.stdout.isatty()
    options = {"force_terminal": False, "color_system": None} if plain else {}
    console = Console(highlight=False, width=width, **options)
    layers = model.layers if graph is None or hasattr(model, "_stack") else graph.layers
    cost = costs(model) if show_costs else None
    with console.capture() as captured:
        console.print(f'[bold]Model: "{_escaped(model.name)}"[/]')
        layers = _between(layers, layer_range)
        console.print(_table(layers, graph, linear, width, positions, expand_nested, show_trainable, cost))
        for line in _totals(model, cost):
            console.print(line, soft_wrap=True)
    if print_fn is not None:
        print_fn(captured.get())
    else:
        sys.stdout.write(captured.get())


def _terminal_width() -> int:
    return max(40, shutil.get_terminal_size((120, 24)).columns - 4)


def _is_linear(graph: Any) -> bool:
    """Whether every call has one input and every layer one call, one after another."""
    layers = [id(node.layer) for node in graph.nodes]
    single = all(len(node.inputs) == 1 for node in graph.nodes) and len(graph.inputs) == 1
    readers = [id(tensor) for node in graph.nodes for tensor in node.inputs]
    return single and len(set(layers)) == len(layers) and len(set(readers)) == len(readers)


def _between(layers: list[Any], layer_range: Sequence[str] | None) -> list[Any]:
    if layer_range is None:
        return layers
    if len(layer_range) != 2 or not all(isinstance(name, str) for name in layer_range):
        raise ValueError(f"summary: `layer_range` must be two names or patterns; got {layer_range!r}.")
    first, last = ([i for i, layer in enumerate(layers) if re.match(name, layer.name)] for name in layer_range)
    if not first or not last:
        raise ValueError(f"summary: no layers are named like {layer_range!r}.")
    start, end = sorted((min(first), max(last))) if min(first) <= max(last) else (min(last), max(first))
    return layers[start : end + 1]


def _widths(positions: Sequence[float] | None, count: int, width: int) -> list[int]:
    """The characters of each column, borders included. Raises ValueError for positions that say none."""
    ends = [0, *(positions or ((0.45, 0.8, 1) if count == 3 else (0.3, 0.56, 0.74, 1)))]
    widths = [end - before for before, end in pairwise(ends)][:count]
    if len(widths) < count or min(widths) <= 0:
        raise ValueError(f"summary: `positions` must be {count} ascending numbers, one a column; got {positions!r}.")
    return [int(part * width) if max(ends) <= 1 else int(part) for part in widths]


def _table(
    layers: list[Any],
    graph: Any,
    linear: bool,
    width: int,
    positions: Sequence[float] | None,
    expand: bool,
    trainable: bool,
    cost: Costs | None,
) -> Any:
    from rich.table import Table

    columns: list[tuple[str, Any]] = [("Layer (type)", "left"), ("Output Shape", "left"), ("Param #", "right")]
    columns += [] if linear else [("Connected to", "left")]
    table = Table(width=width, show_lines=True)
    shared = width - 12 * trainable - (0 if cost is None else _COSTS)
    for (title, justify), characters in zip(columns, _widths(positions, len(columns), shared), strict=True):
        table.add_column(title, justify=justify, width=max(4, characters - 3))
    if trainable:
        table.add_column("Trainable", justify="center", width=9)
    if cost is not None:
        table.add_column("Multiply-adds", justify="right", width=15)
        table.add_column("Receptive field", justify="right", width=15)
    for layer, level in _nested(layers, expand):
        cells = [_name(layer, level), _shape(layer), _count(layer)]
        if not linear:
            cells.append(_connections(layer, graph))
        if trainable:
            cells.append("-" if not layer.weights else "Y" if layer.trainable else "N")
        if cost is not None:
            row = cost[1].get(id(layer), Row(UNKNOWN, "?"))
            cells += [f"[{_NUMBER}]{row.multiply_adds}[/]", f"[{_NUMBER}]{row.field}[/]"]
        table.add_row(*cells)
    return table


def _nested(layers: Iterable[Any], expand: bool, level: int = 0) -> Iterator[tuple[Any, int]]:
    for layer in layers:
        yield layer, level
        if expand:
            yield from _nested(layer._inner_layers, True, level + 1)


def _name(layer: Layer, level: int) -> str:
    indent = "   " * level + "└ " if level else ""
    remark = f", {layer._remark}" if getattr(layer, "_remark", "") else ""
    return f"{indent}{_escaped(layer.name)} ([{_CLASS}]{_escaped(type(layer).__name__)}[/]{remark})"


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


def _one_shape(shape: tuple) -> str:
    return "(" + ", ".join(f"[{_NONE if size is None else _SHAPE}]{size}[/]" for size in shape) + ")"


def _count(layer: Layer) -> str:
    return f"[{_NUMBER}]{layer.count_params():,}[/]" if layer.built else f"[{_NUMBER}]0[/] (unbuilt)"


def _connections(layer: Layer, graph: Any) -> str:
    inside = {id(node) for node in (*graph.nodes, *graph.input_nodes)}
    tensors = [tensor for node in layer._nodes if id(node) in inside for tensor in node.inputs]
    places = [(t.node.layer, t.node.layer._nodes.index(t.node), t.index) for t in tensors if t.node is not None]
    shown = [rf"{_escaped(producer.name)}\[{call}]\[{index}]" for producer, call, index in places]
    return ", ".join(shown) or "-"


def _totals(model: Any, cost: Costs | None) -> Iterator[str]:
    trainable, fixed = model.trainable_weights, model.non_trainable_weights
    optimizer = getattr(model, "optimizer", None) if getattr(model, "compiled", False) else None
    state = optimizer.variables if optimizer is not None and optimizer.built else []
    yield _total("Total", [*trainable, *fixed, *state])
    yield _total("Trainable", trainable)
    yield _total("Non-trainable", fixed)
    if state:
        yield _total("Optimizer", state)
    if cost is not None:
        yield f"[bold] Multiply-adds of one sample: [/][{_NUMBER}]{cost[0]}[/]"


def _total(what: str, weights: list[Any]) -> str:
    number = sum(weight.numel() for weight in weights)
    size = sum(weight.numel() * weight.element_size() for weight in weights)
    return f"[bold] {what} params: [/][{_NUMBER}]{number:,}[/] ({readable_size(size)})"


def readable_size(size: float) -> str:
    """A number of bytes in words: "1.50 KB"."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} TB"


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
