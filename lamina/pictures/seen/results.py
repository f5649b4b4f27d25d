"""What a model says of data, beside what is true."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ...core.errors import short
from ..said import Language, sentences
from .canvas import BLUE, GREEN, GREY, RED, Target, array_of, figure, finished, shown
from .maps import draw_sample
from .running import Samples, alone, check_model

_SAID = sentences("results")
_MOST_NUMBERS = 30  # classes, with numbers in the cells
_MOST_NAMES = 50  # classes, with every name at the sides
_BARS = 5


def confusion(
    y_true: Any,
    y_pred: Any,
    labels: Sequence[Any] | None = None,
    normalize: str | None = None,
    path: Target = None,
    *,
    language: Language = "en",
) -> Any:
    """Draw how often each class (rows) was taken for which (columns); return the `matplotlib.figure.Figure`.

    y_true, y_pred: classes as numbers or names (samples,), or one-hot vectors or probabilities (samples, classes); one
    probability a sample is that of class 1. labels: names of the classes 0, 1, ..., or, of classes with names, their
    order. normalize: "true", "pred" or "all" shows parts of the rows, of the columns, or of everything. Colours are
    parts of the rows, or what `normalize` says. path: where to save it. Raises ValueError for numbers of samples that
    differ, classes without a label, or another `normalize`.
    """
    what = "confusion"
    if normalize not in (None, *vars(_SAID.per)):
        raise ValueError(f"{what}: `normalize` must be None, 'true', 'pred' or 'all'; got {normalize!r}.")
    counts, names = _counted(what, _classes(what, y_true, False), _classes(what, y_pred, True), labels)
    values = _normalized(counts, normalize)
    size = len(names)
    side = min(14.0, max(3.4, 1.6 + size * (0.42 if size <= _MOST_NUMBERS else 0.12)))
    made = figure(what, side + 0.8, side)
    from matplotlib.colors import PowerNorm

    axes = made.add_subplot()
    colours = _normalized(counts, normalize or "true")
    scale = PowerNorm(1 if size <= _MOST_NUMBERS else 0.5, 0, max(float(colours.max()), 1e-12))  # few are to be seen
    image = axes.imshow(colours, cmap="Blues", norm=scale)
    right, total = int(np.trace(counts)), int(counts.sum())
    axes.set_title(_SAID.correct(language, right=right, all=total, part=right / max(total, 1)), fontsize=10)
    axes.set(xlabel=_SAID.predicted(language), ylabel=_SAID.true(language))
    _name_sides(axes, names)
    if size <= _MOST_NUMBERS:
        dark = float(colours.max()) / 2
        for row, column in np.ndindex(counts.shape):
            if counts[row, column]:
                text = str(counts[row, column]) if normalize is None else f"{values[row, column]:.2f}"
                colour = "white" if colours[row, column] > dark else "black"
                axes.text(column, row, text, ha="center", va="center", fontsize=8 if size <= 15 else 6, color=colour)
    bar = made.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label(_SAID.per[normalize or "true"](language), fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return finished(what, made, path)


def _name_sides(axes: Any, names: list[str]) -> None:
    step = 1 if len(names) <= _MOST_NAMES else math.ceil(len(names) / 25)
    places = range(0, len(names), step)
    told = [shown(names[place]) for place in places]
    upright = max(map(len, told)) > 3 or len(names) > 20
    size = 8 if len(names) <= 20 else 6
    axes.set_xticks(places, told, rotation=90 if upright else 0, fontsize=size)
    axes.set_yticks(places, told, fontsize=size)


def _classes(what: str, y: Any, predicted: bool) -> np.ndarray:
    """A class for each sample."""
    values = array_of(y)
    if values.ndim == 2 and values.shape[1] > 1:
        return values.argmax(1)
    values = values.reshape(-1) if values.ndim == 2 else values
    if values.ndim != 1:
        name = "y_pred" if predicted else "y_true"
        raise ValueError(f"{what}: `{name}` must be (samples,) or (samples, classes); got {short(values)}.")
    if values.dtype.kind == "f":
        whole = np.array_equal(values, np.round(values))
        return values.astype(int) if whole else (values > 0.5).astype(int)
    return values.astype(int) if values.dtype.kind == "b" else values


def _counted(
    what: str, true: np.ndarray, said: np.ndarray, labels: Sequence[Any] | None
) -> tuple[np.ndarray, list[str]]:
    if len(true) != len(said):
        raise ValueError(f"{what}: `y_true` has {len(true)} samples, `y_pred` {len(said)}.")
    if not len(true):
        raise ValueError(f"{what}: there are no samples.")
    if true.dtype.kind in "OUS" or said.dtype.kind in "OUS":
        names = {*map(str, true), *map(str, said)}
        order = sorted(names) if labels is None else [*map(str, labels)]
        known = {name: index for index, name in enumerate(order)}
        strange = sorted(names - known.keys())
        if strange:
            raise ValueError(f"{what}: {', '.join(map(repr, strange[:5]))} is not among the `labels`.")
        true, said = (np.array([known[str(one)] for one in side]) for side in (true, said))
    else:
        least, largest = min(true.min(), said.min()), int(max(true.max(), said.max()))
        order = [*map(str, range(max(largest + 1, 2)) if labels is None else labels)]
        if least < 0 or largest >= len(order):
            raise ValueError(f"{what}: classes must be 0 to {len(order) - 1}; got {least} to {largest}.")
    counts = np.zeros((len(order), len(order)), int)
    np.add.at(counts, (true, said), 1)
    return counts, order


def _normalized(counts: np.ndarray, normalize: str | None) -> np.ndarray:
    if normalize is None:
        return counts
    total = counts.sum({"true": 1, "pred": 0, "all": None}[normalize], keepdims=True)
    return counts / np.maximum(total, 1)


# Predictions ---------------------------------------------------------------------------------------------------------


def predictions(
    model: Any,
    x: Any,
    y: Any = None,
    labels: Sequence[Any] | None = None,
    path: Target = None,
    *,
    most: int = 12,
    language: Language = "en",
) -> Any:
    """Draw samples with the probabilities that the model gives them; return the `matplotlib.figure.Figure`.

    Green is right, red is wrong. x: a sample or a batch of pictures, sequences, texts or numbers. y: the true classes,
    or one-hot vectors; of a model of one value that is no probability, the true values. labels: names of the classes.
    Outputs that are no probabilities pass a softmax first. path: where to save it. most: samples that are drawn.
    Raises ValueError for an input, true classes or labels that do not fit.
    """
    what = "predictions"
    check_model(what, model)
    samples = Samples(what, model, x, max(1, most))
    with torch.no_grad():
        outputs = alone(what, samples.call())
    scores = array_of(outputs).reshape(samples.count, -1)
    if outputs.ndim > 2:
        raise ValueError(f"{what}: the outputs must be (samples, classes); got {tuple(outputs.shape)}.")
    true = _true(what, y, samples.count)
    values = scores.shape[1] == 1 and not _may_be_probability(scores, true)
    parts = scores if values else probabilities(scores)
    names = [*map(str, range(parts.shape[1]) if labels is None else labels)]
    if not values:
        _check_names(what, parts.shape[1], names, true)
    across = min(3, samples.count)
    rows = math.ceil(samples.count / across)
    made = figure(what, across * 3.6 + 0.2, rows * 1.9 + 0.2)
    grid = made.add_gridspec(rows, 2 * across, width_ratios=[1, 1] * across)
    for index in range(samples.count):
        row, column = divmod(index, across)
        left, right = (made.add_subplot(grid[row, 2 * column + side]) for side in (0, 1))
        draw_sample(left, samples.pictures[index], "", model, language)
        one = None if true is None else true[index]
        if values:
            _draw_value(right, float(scores[index, 0]), one, language)
        else:
            _draw_bars(right, parts[index], names, None if one is None else int(one), language)
    return finished(what, made, path)


def probabilities(scores: np.ndarray) -> np.ndarray:
    """Those of the classes, (samples, classes): as they are, of one value both, or by softmax."""
    if scores.shape[1] == 1:
        return np.concatenate([1 - scores, scores], 1)
    if scores.min() >= 0 and np.allclose(scores.sum(1), 1, atol=1e-2):
        return scores
    if scores.min() >= 0 and scores.max() <= 1:
        return scores  # of several classes at once
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def _may_be_probability(scores: np.ndarray, true: np.ndarray | None) -> bool:
    inside = bool(scores.min() >= 0 and scores.max() <= 1)
    return inside and (true is None or bool(np.isin(true, (0, 1)).all()))


def _true(what: str, y: Any, count: int) -> np.ndarray | None:
    """A class, or a value, for each of the samples that are shown."""
    if y is None:
        return None
    values = array_of(y)
    values = values[None] if values.ndim == 0 else values
    if values.ndim == 2:
        values = values.argmax(1) if values.shape[1] > 1 else values[:, 0]
    if values.ndim != 1 or len(values) < count or values.dtype.kind not in "biuf":
        raise ValueError(f"{what}: `y` must hold a class for each of {count} samples; got {short(y)}.")
    return values[:count]


def _check_names(what: str, classes: int, names: Sequence[str], true: np.ndarray | None) -> None:
    if len(names) != classes:
        raise ValueError(f"{what}: the model has {classes} classes; got {len(names)} labels.")
    if true is not None and not (0 <= true.min() and true.max() < classes):
        raise ValueError(f"{what}: `y` must be classes, 0 to {classes - 1}; got {true.min()} to {true.max()}.")


def _draw_bars(axes: Any, parts: np.ndarray, names: Sequence[str], true: int | None, language: Language) -> None:
    """The likeliest classes, and the true one."""
    order = [int(one) for one in np.argsort(-parts, kind="stable")[:_BARS]]
    if true is not None and true not in order:
        order[-1] = true
    said = order[0]
    colours = [BLUE if true is None else GREEN if one == true else RED if one == said else GREY for one in order]
    axes.barh(range(len(order)), parts[order], color=colours, height=0.75)
    axes.set(xlim=(0, 1), ylim=(max(len(order), 3) - 0.4, -0.6))
    axes.set_yticks(range(len(order)), [shown(names[one], 14) for one in order], fontsize=7)
    axes.set_xticks([0, 0.5, 1])
    for place, one in enumerate(order):
        beyond = parts[one] > 0.7
        axes.text(parts[one] + (-0.03 if beyond else 0.03), place, f"{parts[one]:.0%}", va="center", fontsize=6.5,
                  ha="right" if beyond else "left", color="white" if beyond else "black")  # fmt: skip
    right = true is None or said == true
    title = shown(names[said])
    if true is not None and not right:
        title = _SAID.was(language, said=shown(names[said], 14), true=shown(names[true], 14))
    _finish_panel(axes, title, "black" if true is None else GREEN if right else RED)


def _draw_value(axes: Any, said: float, true: Any, language: Language) -> None:
    """One value, and the true one."""
    told = [said] if true is None else [said, float(true)]
    axes.barh(range(len(told)), told, color=[BLUE, GREY][: len(told)], height=0.6)
    axes.set_yticks(range(len(told)), [f"{value:.4g}" for value in told], fontsize=7)
    axes.axvline(0, color=GREY, linewidth=0.5)
    axes.set_ylim(2.5, -0.6)
    title = _SAID.predicts(language, said=f"{said:.4g}")
    _finish_panel(axes, title if true is None else _SAID.was(language, said=title, true=f"{float(true):.4g}"), "black")


def _finish_panel(axes: Any, title: str, colour: str) -> None:
    axes.set_title(title, fontsize=8, color=colour, pad=3)
    axes.tick_params(labelsize=7, length=2)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
