"""The results of training over its epochs: as a figure of matplotlib, and as HTML for notebooks."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..core.errors import needing, short
from .table import STYLE, Column, as_html, shown

T = TypeVar("T")

TRAIN, VALIDATION = "#4477aa", "#cc5566"  # can be told apart by all, on light and dark pages
DECADES = 100  # a loss that spans as much is shown on a logarithmic axis
WIDE, HIGH = 300.0, 170.0  # of a panel in HTML, in pixels


class Curve(NamedTuple):
    """The values of one result, with the numbers of the epochs that they are from, counted from 1."""

    label: str
    epochs: list[int]
    values: list[float]
    dashed: bool = False


class Panel(NamedTuple):
    """A metric in training and in validation."""

    name: str
    curves: list[Curve]
    logarithmic: bool
    best: tuple[int, float] | None  # epoch and value, of the last curve


def panels(
    results: Mapping[str, Sequence[Any]],
    epochs: Mapping[str, Sequence[int]],
    direction: Callable[[str], str | None],
    metrics: Sequence[str] | None = None,
) -> list[Panel]:
    """What is to be drawn. epochs: of each value, counted from 0. direction: "min" or "max", which way a metric is
    better. metrics: some of the results; "val_..." comes with its own. Raises ValueError for one that is not there."""
    if isinstance(metrics, str):
        metrics = [metrics]
    wanted = [name.removeprefix("val_") for name in (results if metrics is None else metrics)]
    names = dict.fromkeys(wanted if metrics is not None else sorted(wanted, key=lambda name: name != "loss"))
    made = []
    for name in names:
        found = [key for key in (name, f"val_{name}") if key in results]
        if not found:
            known = ", ".join(repr(key) for key in results) or "nothing"
            raise ValueError(f"History.plot: there is no {short(name)}; there are: {known}.")
        curves = [_curve(key, results[key], epochs.get(key)) for key in found]
        curves = [curve for curve in curves if curve is not None]
        if curves:
            made.append(Panel(name, curves, _is_wide(curves), _best(curves[-1], direction(name))))
        elif metrics is not None:
            raise ValueError(f"History.plot: {name!r} holds no numbers.")
    if not made:
        raise ValueError("History.plot: there are no results yet; train first.")
    return made


def _curve(key: str, values: Sequence[Any], epochs: Sequence[int] | None) -> Curve | None:
    try:
        numbers = [float(np.mean(value)) for value in values]  # a metric may have a value for each class
    except (TypeError, ValueError):
        return None
    at = range(len(numbers)) if epochs is None or len(epochs) != len(numbers) else epochs
    validation = key.startswith("val_")
    label = "validation" if validation else "training"
    return Curve(label, [epoch + 1 for epoch in at], numbers, validation) if numbers else None


def _is_wide(curves: list[Curve]) -> bool:
    values = [value for curve in curves for value in curve.values if math.isfinite(value)]
    return bool(values) and min(values) > 0 and max(values) >= DECADES * min(values)


def _best(curve: Curve, direction: str | None) -> tuple[int, float] | None:
    pairs = [(epoch, value) for epoch, value in zip(curve.epochs, curve.values, strict=True) if math.isfinite(value)]
    if direction is None or not pairs:
        return None
    return (min if direction == "min" else max)(pairs, key=lambda pair: pair[1])


# matplotlib -----------------------------------------------------------------------------------------------------------


def figure(found: list[Panel], path: Any = None) -> Any:
    """A figure of matplotlib, one panel a metric; written to a file where one is given."""
    with needing("History.plot: curves are plotted by matplotlib: pip install matplotlib."):
        from matplotlib import get_backend, pyplot
        from matplotlib.ticker import MaxNLocator
    across = min(len(found), 3)
    down = -(-len(found) // across)
    made = pyplot.figure(figsize=(4.6 * across, 3.4 * down), layout="constrained")
    for number, panel in enumerate(found, 1):
        axes = made.add_subplot(down, across, number)
        for curve in panel.curves:
            few = "o" if len(curve.values) < 2 else None
            looks = {"label": curve.label, "marker": few, "color": _colour(curve)}
            axes.plot(curve.epochs, curve.values, "--" if curve.dashed else "-", **looks)
        if panel.best is not None:
            epoch, value = panel.best
            label = f"best: {value:.4g}, epoch {epoch}"
            axes.plot([epoch], [value], "o", color=_colour(panel.curves[-1]), mec="black", label=label, zorder=3)
        if panel.logarithmic:
            axes.set_yscale("log")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(panel.name, parse_math=False)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    if path is not None:
        made.savefig(path)
    if path is not None or "inline" in get_backend():  # which would show it once more at the end of the cell
        pyplot.close(made)
    return made


def _colour(curve: Curve) -> str:
    return VALIDATION if curve.dashed else TRAIN


# HTML -----------------------------------------------------------------------------------------------------------------


def as_page(found: list[Panel], title: str) -> str:
    """Small curves, and a table of last and best values."""
    curves = "".join(_svg(panel) for panel in found)
    columns = [
        Column("", lambda row: shown(row[0])),
        *(Column(head, lambda row, i=i: shown(row[i]), justify="right") for i, head in enumerate(_HEADS, 1)),
    ]
    table = as_html(columns, [_row(panel) for panel in found])
    validated = any(curve.dashed for panel in found for curve in panel.curves)
    key = '<div class="dim">dashed: validation</div>' if validated else ""
    return f'<div class="lamina">{STYLE}<b>{html.escape(title)}</b><div>{curves}</div>{key}{table}</div>'


_HEADS = ("training, last", "validation, last", "best", "epoch of the best")


def _row(panel: Panel) -> list[str]:
    last = {curve.label: f"{curve.values[-1]:.4g}" for curve in panel.curves}
    best = ("", "") if panel.best is None else (f"{panel.best[1]:.4g}", str(panel.best[0]))
    return [panel.name, last.get("training", ""), last.get("validation", ""), *best]


def _svg(panel: Panel) -> str:
    """A panel whose letters and axes have the colour of the page's text."""
    left, right, top, bottom = 62.0, 10.0, 22.0, 20.0
    scale = math.log10 if panel.logarithmic else float
    points = [
        [(epoch, scale(value)) for epoch, value in zip(curve.epochs, curve.values, strict=True) if math.isfinite(value)]
        for curve in panel.curves
    ]
    values = [value for each in points for _, value in each] or [0.0]
    first, last = (pick(epoch for curve in panel.curves for epoch in curve.epochs) for pick in (min, max))
    low, high = min(values), max(values)

    def place(epoch: float, value: float) -> tuple[float, float]:
        across = (epoch - first) / ((last - first) or 1)
        up = (value - low) / ((high - low) or 1)
        return left + across * (WIDE - left - right), HIGH - bottom - up * (HIGH - top - bottom)

    def lines() -> Iterator[str]:
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDE:.0f}" height="{HIGH:.0f}" font-size="11" '
            f'viewBox="0 0 {WIDE:.0f} {HIGH:.0f}" font-family="system-ui,sans-serif" fill="currentColor">'
        )
        log = " (log)" if panel.logarithmic else ""
        yield f'<text x="{left:.0f}" y="13" font-weight="bold">{html.escape(panel.name)}{log}</text>'
        edge = f"M{left},{top}V{HIGH - bottom}H{WIDE - right}"
        yield f'<path d="{edge}" fill="none" stroke="currentColor" opacity=".5"/>'
        for value in dict.fromkeys((low, high)):
            said = 10**value if panel.logarithmic else value
            yield f'<text x="{left - 5:.0f}" y="{place(first, value)[1] + 4:.1f}" text-anchor="end">{said:.3g}</text>'
        for epoch, anchor in {first: "start", last: "end"}.items():
            yield f'<text x="{place(epoch, low)[0]:.1f}" y="{HIGH - 6:.0f}" text-anchor="{anchor}">{epoch}</text>'
        for curve, each in zip(panel.curves, points, strict=True):
            places = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in thinned(each)))
            style = f'stroke="{_colour(curve)}" stroke-width="1.8"' + ' stroke-dasharray="5 3"' * curve.dashed
            yield f'<polyline points="{places}" fill="none" {style}/>'
        if panel.best is not None:
            x, y = place(panel.best[0], scale(panel.best[1]))
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{_colour(panel.curves[-1])}"/>'
        yield "</svg>"

    return "".join(lines())


def thinned(items: Sequence[T], most: int = 300) -> Sequence[T]:
    """Of many some, evenly, the first and the last among them."""
    if len(items) <= most:
        return items
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]
