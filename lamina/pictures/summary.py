"""The table `model.summary()` prints."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from ..core.declare import unknown_keyword
from ..core.errors import for_screen
from ..core.layer import Layer
from .cells import basic_columns, in_bytes, is_linear, layers_of, nested, readable_size
from .cost import UNKNOWN, Row, costs
from .profile import Profile, profile
from .table import Column, as_rich, fixed, nobody_watches, number, printed, shown, terminal_width

_SHOWN = ("show_trainable", "show_costs", "show_memory", "show_time")


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    layer_range: Sequence[str] | None = None,
    **show: Any,
) -> None:
    """Print the layers with output shapes and numbers of parameters, then the totals.

    Where a layer is shared or joins several, a column says what it is connected to. line_length: width in characters.
    positions: where the columns end, in characters, or all at most 1 as parts of the width.
    print_fn: takes the whole text instead of the screen. layer_range: first and last layer, as names or patterns.
    show: of the columns below those that are wanted; show_trainable tells whether a layer is trained.

    show_costs adds two columns. Multiply-adds of one sample, of all calls of the layer: products with weights and of
    tensors with each other count, as in papers; biases, activations, pooling and normalization do not. "? x 512": 512
    for each step or position of an axis whose size is unknown; "?": unknown. Receptive field: how many places of the
    model's input, along each of its spatial axes, one value of the output sees at most, borders aside; "all" where it
    sees the whole input, "-" where that has no spatial axes.

    show_memory adds the bytes that the outputs for one sample take, and in the end the most that is there at one time.
    show_time adds the time that each layer takes for a batch, forward, and back where that was measured: True measures
    it on 32 random samples, data on their first 32; or it is what `lamina.profile` gave.
    """
    for name in show:
        if name not in _SHOWN:
            raise TypeError(unknown_keyword("summary", name, _SHOWN))
    graph = getattr(model, "_graph", None)
    linear = graph is None or is_linear(graph)
    more = further(model, **show)
    extra = fixed(more.columns)
    least = (24 if linear else 31) + extra
    if line_length is not None and line_length < least:
        raise ValueError(f"summary: `line_length` must be at least {least} for these columns; got {line_length}.")
    width = line_length or min((88 if linear else 108) + extra, terminal_width())
    columns = [*basic_columns(model), *more.columns]
    shares = _widths(positions, 3 if linear else 4, width - extra)
    layers = [*nested(_between(layers_of(model), layer_range), expand_nested)]
    parts = [f'[bold]Model: "{shown(model.name)}"[/]', as_rich(columns, layers, width, shares), *totals(model)]
    text = printed([*parts, *more.totals], width, print_fn is not None or nobody_watches())
    if print_fn is not None:
        print_fn(text)
    else:
        sys.stdout.write(for_screen(text))


class Further(NamedTuple):
    """The columns that are there when asked for, and lines behind the table."""

    columns: list[Column]
    totals: list[str]


def further(
    model: Any,
    show_trainable: bool = False,
    show_costs: bool = False,
    show_memory: bool = False,
    show_time: Any = False,
) -> Further:
    """What `summary` shows beside shapes and parameters. Items of the columns are (layer, level of nesting)."""
    made = Further([], [])
    if show_trainable:
        made.columns.append(Column("Trainable", lambda item: _trained(item[0]), 9, "center"))
    if show_costs or show_memory:
        total, rows, used = costs(model)

        def row(item: tuple[Any, int]) -> Row:
            return rows.get(id(item[0]), Row(UNKNOWN, "?"))

        if show_costs:
            made.columns.append(Column("Multiply-adds", lambda item: number(row(item).multiply_adds), 15, "right"))
            made.columns.append(Column("Receptive field", lambda item: number(row(item).field), 15, "right"))
            made.totals.append(f"[bold] Multiply-adds of one sample: [/]{number(total)}")
        if show_memory:
            made.columns.append(Column("Activations", lambda item: number(in_bytes(row(item).memory)), 13, "right"))
            made.totals.append(
                f"[bold] Activations of one sample: [/]{number(in_bytes(used.total))}"
                f" (at one time at most, input included: {in_bytes(used.peak)})"
            )
    if show_time is not False and show_time is not None:
        if not isinstance(show_time, Profile):
            show_time = profile(model, None if show_time is True else show_time)
        made.columns.extend(show_time.columns_by_layer())
        made.totals.append(show_time.total_line())
    return made


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


def totals(model: Any) -> Iterator[str]:
    """The lines behind the table: numbers of parameters, and their bytes."""
    trainable, fixed = model.trainable_weights, model.non_trainable_weights
    counted = getattr(model, "compiled", False) and getattr(model, "_counts_optimizer", True)
    optimizer = getattr(model, "optimizer", None) if counted else None
    state = optimizer.variables if optimizer is not None and optimizer.built else []
    yield _total("Total", [*trainable, *fixed, *state])
    yield _total("Trainable", trainable)
    yield _total("Non-trainable", fixed)
    if state:
        yield _total("Optimizer", state)


def _total(what: str, weights: list[Any]) -> str:
    count = sum(weight.numel() for weight in weights)
    size = sum(weight.numel() * weight.element_size() for weight in weights)
    return f"[bold] {what} params: [/]{number(f'{count:,}')} ({readable_size(size)})"


def _trained(layer: Layer) -> str:
    return "-" if not layer.weights else "Y" if layer.trainable else "N"
