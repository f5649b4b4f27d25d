"""Layers and models as small HTML, for notebooks: light or dark as the page is, without anything from elsewhere."""

from __future__ import annotations

import html
from typing import Any

import torch

from ..core import symbolic
from ..core.errors import printable, show_shape
from ..core.layer import Layer
from .cells import basic_columns, in_bytes, layers_of, shape_of
from .cost import UNKNOWN, Count, as_built, costs
from .explain import explain
from .summary import totals
from .table import STYLE, Column, as_html, escaped, shown

ROWS = 100  # of a model's table
BOXES = 80  # a model with more shows no picture by itself
WEIGHTS = 12


def html_of(layer: Layer) -> str:
    """A model as its table and picture; a layer as its arguments, shapes, costs and weights."""
    body = _model(layer) if hasattr(layer, "layers") else _layer(layer)
    return f'<div class="lamina">{STYLE}{body}</div>'


def _head(layer: Layer) -> str:
    name = html.escape(printable(layer.name))
    return f'<b>{html.escape(type(layer).__name__)}</b> <span class="dim">&quot;{name}&quot;</span>'


def _model(model: Any) -> str:
    layers = layers_of(model)
    table = as_html(basic_columns(model), [(layer, 0) for layer in layers], ROWS)
    lines = (
        [escaped(line) for line in totals(model)] if model.built else ["not built: call it on data to see its sizes"]
    )
    graph = getattr(model, "_graph", None)
    if graph is not None and len(layers) <= BOXES:
        found = costs(model)
        lines += _costs(found.total, *found.memory)
    return f"{_head(model)}\n{table}\n<div>{'<br>'.join(lines)}</div>{_diagram(model, len(layers))}"


def _diagram(model: Any, boxes: int) -> str:
    if getattr(model, "_graph", None) is None or boxes > BOXES:
        return ""
    from .plot import plotted

    return f"<details><summary>Graph</summary>{plotted(model, show_shapes=True, fold=True)._repr_html_()}</details>"


def _costs(cost: Count, outputs: Count, peak: Count | None = None) -> list[str]:
    most = f" (at one time at most {in_bytes(peak)})" if peak is not None and peak != UNKNOWN else ""
    said = [f"Multiply-adds of one sample: {cost}"] if cost != UNKNOWN else []
    return [*said, *([f"Outputs of one sample: {in_bytes(outputs)}{most}"] if outputs != UNKNOWN else [])]


def _layer(layer: Layer) -> str:
    lines = [f"{_head(layer)} <code>{html.escape(layer.extra_repr())}</code>"]
    if not layer.built:
        return "".join([*lines, '<div class="dim">not built: it has no weights before it is called</div>'])
    facts = [f"{_inputs(layer)} &rarr; {html.escape(shape_of(layer))}", f"{layer.count_params():,} parameters"]
    facts += [] if layer.trainable else ["not trained"]
    facts += [html.escape(line) for line in _costs(*as_built(layer))]
    lines.append(f"<div>{' &middot; '.join(facts)}</div>")
    weights = layer.weights
    if weights:
        lines.append(as_html(_OF_WEIGHTS, weights, WEIGHTS))
    return "\n".join([*lines, _picture(layer)])


def _inputs(layer: Layer) -> str:
    if layer._nodes:
        return html.escape(", ".join(show_shape(tensor.shape) for tensor in layer._nodes[-1].inputs)) or "?"
    args, kwargs = layer._build_shapes or ((), {})
    texts: list[str] = []
    for shape in (*args, *kwargs.values()):
        symbolic.map_shapes(lambda one: texts.append(show_shape((None, *one[1:]))), shape)
    return html.escape(", ".join(texts)) or "?"


def _values(weight: Any) -> str:
    """Mean, spread and limits of a weight of floating point."""
    if weight.device.type == "meta" or not weight.is_floating_point() or not weight.numel():
        return ""
    with torch.no_grad():
        values = weight.detach().float()
        deviation, mean = torch.std_mean(values, correction=0)
        low, high = torch.aminmax(values)
    return f"{mean:.3g} ± {deviation:.3g}, from {low:.3g} to {high:.3g}"


_OF_WEIGHTS = (
    Column("Weight", lambda weight: shown(weight.name)),
    Column("Shape", lambda weight: shown(show_shape(weight.shape))),
    Column("Trained", lambda weight: "yes" if weight.requires_grad else "no"),
    Column("Values", _values),
)


def _picture(layer: Layer) -> str:
    """The layer's picture, where there is one."""
    try:
        drawn = explain(layer)._repr_svg_()
    except (ValueError, TypeError, NotImplementedError, KeyError):  # a layer of the user's own, or open sizes
        return ""
    return f"<details><summary>Picture</summary>{drawn}</details>" if drawn else ""
