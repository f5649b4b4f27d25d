"""What the kernels of a layer look like."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import nn

from ...core.errors import named
from ..said import Language, sentences
from .canvas import SIDE, Target, array_of, bare, figure, finished, integer_ticks, picture_of, scaled, shown, tile
from .running import check_model, is_convolution, layer_of, name_of

_SAID = sentences("weights")
_COLUMNS = 8
_TILES = 16  # channels of a kernel that are drawn
_CURVES = 6  # more input channels than that are a heat map


def filters(model: Any, layer: Any = None, path: Target = None, *, most: int = 64, language: Language = "en") -> Any:
    """Draw the kernels of a layer, and return the `matplotlib.figure.Figure`.

    A convolution's are tiles in 2-D, in colours where it has three input channels, and curves in 1-D; of a 3-D kernel
    each row is one and each tile a slice. The weights of other layers are a heat map; those of a Dense layer on
    flattened pictures are pictures again. layer: a layer, its name or its place; None: the first convolution, else the
    first layer with a kernel or vectors. path: where to save it. most: kernels that are drawn. language: "en" or "zh".
    Raises ValueError where there is no such layer, or it has no weights yet.
    """
    what = "filters"
    check_model(what, model)
    module = _first(model) if layer is None else layer_of(what, model, layer)
    kernel = _kernel_of(module) if module is not None else None
    if kernel is None:
        unbuilt = any(not getattr(each, "built", True) for each in model.modules())
        hint = " Call or build the model first." if unbuilt else ""
        place = "the model has" if layer is None else f"{named(module)} has"
        raise ValueError(f"{what}: {place} no weights to look at.{hint}")
    name = shown(name_of(model, module))
    if not is_convolution(module) or kernel.ndim < 3:
        return finished(what, _of_matrix(what, model, kernel, name, most, language), path)
    draw = {1: _curves, 2: _tiles}.get(kernel.ndim - 2, _slices)
    return finished(what, draw(what, kernel, name, most, language), path)


def _kernel_of(module: Any) -> np.ndarray | None:
    """A layer's largest kind of weights, a convolution's as (*kernel_size, inputs, outputs)."""
    if isinstance(module, nn.modules.conv._ConvNd):
        kernel = array_of(module.weight)  # (out, in, *k), transposed (in, out, *k)
        first, second = (0, 1) if module.transposed else (1, 0)
        return np.moveaxis(kernel, (first, second), (-2, -1))
    for name in ("kernel", "depthwise_kernel", "embeddings", "weight", "query_kernel"):
        found = getattr(module, name, None)
        if found is None or not hasattr(found, "detach") or found.ndim < 2:
            continue
        kernel = array_of(found)
        if isinstance(module, nn.Linear):
            return kernel.T
        if is_convolution(module):
            rank = module.rank
            if kernel.ndim != rank + 2:  # one for each place, as of locally connected layers
                return kernel.reshape(-1, kernel.shape[-1])
            if hasattr(module, "output_padding"):
                return np.swapaxes(kernel, -1, -2)
            if not hasattr(module, "filters") or name == "depthwise_kernel" or not module.filters:
                return kernel.reshape(*kernel.shape[:rank], 1, -1)  # each channel by itself
        return kernel
    return None


def _first(model: Any) -> Any:
    modules = [*model.modules()]
    convolutions = [module for module in modules if is_convolution(module)]
    return next((module for module in (*convolutions, *modules) if _kernel_of(module) is not None), None)


def _title(kernel: np.ndarray, name: str, count: int, language: Language) -> str:
    total, shape = kernel.shape[-1], " x ".join(map(str, kernel.shape[:-1]))
    if count < total:
        return _SAID.first(language, name=name, shown=count, all=total)
    title = _SAID.all(language, name=name, all=total, shape=shape)
    return (
        _SAID.channels(language, title=title, shown=_TILES) if kernel.ndim == 4 and kernel.shape[-2] > _TILES else title
    )


def _panels(
    what: str, kernel: np.ndarray, name: str, most: int, language: Language, side: float = SIDE
) -> tuple[Any, list[Any]]:
    count = max(1, min(most, kernel.shape[-1]))
    columns = min(_COLUMNS, count)
    rows = math.ceil(count / columns)
    made = figure(what, max(3.2, columns * side), rows * (side + 0.18) + 0.45)
    made.suptitle(_title(kernel, name, count, language), fontsize=10)
    return made, [made.add_subplot(rows, columns, i + 1) for i in range(count)]


def _tiles(what: str, kernel: np.ndarray, name: str, most: int, language: Language) -> Any:
    inputs = kernel.shape[-2]
    made, panels = _panels(what, kernel, name, most, language)
    low, high = float(kernel.min()), float(kernel.max())
    for number, axes in enumerate(panels):
        values = kernel[..., number]
        if inputs == 3:
            tile(axes, scaled_between(values, low, high), str(number))
        elif inputs == 1:
            tile(axes, values[..., 0], str(number), vmin=low, vmax=high)
        else:  # the channels side by side, as many as make a square
            tile(axes, mosaic(np.moveaxis(values, -1, 0)), str(number), vmin=low, vmax=high)
    return made


def scaled_between(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return (values - low) / (high - low) if high > low else np.full_like(values, 0.5)


def mosaic(pictures: np.ndarray) -> np.ndarray:
    """The first pictures of (count, height, width) in one square one, with empty lines between them."""
    pictures = pictures[:_TILES]
    count, height, width = pictures.shape
    side = math.ceil(math.sqrt(count))
    rows = math.ceil(count / side)
    found = np.full((rows * (height + 1) - 1, side * (width + 1) - 1), np.nan)
    for index, picture in enumerate(pictures):
        down, across = (index // side) * (height + 1), (index % side) * (width + 1)
        found[down : down + height, across : across + width] = picture
    return found


def _curves(what: str, kernel: np.ndarray, name: str, most: int, language: Language) -> Any:
    taps, inputs, _ = kernel.shape
    made, panels = _panels(what, kernel, name, most, language, 1.6)
    reach = float(np.abs(kernel).max()) or 1.0
    for number, axes in enumerate(panels):
        values = kernel[..., number]
        if inputs > _CURVES:
            tile(axes, values.T, str(number), cmap="RdBu_r", vmin=-reach, vmax=reach, aspect="auto")
            continue
        for channel in range(inputs):
            label = _SAID.channel(language, number=channel)
            axes.plot(range(taps), values[:, channel], marker="o", markersize=2.5, linewidth=1, label=label)
        axes.axhline(0, color="0.8", linewidth=0.6, zorder=0)
        bare(axes, str(number)).set_ylim(-reach * 1.1, reach * 1.1)
        axes.set_xticks(range(taps) if taps <= 9 else [0, taps - 1])
        axes.tick_params(labelsize=6, length=2)
    if 1 < inputs <= _CURVES:
        made.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=inputs, fontsize=7)
    return made


def _slices(what: str, kernel: np.ndarray, name: str, most: int, language: Language) -> Any:
    count, depth = min(most, kernel.shape[-1], 16), min(kernel.shape[0], _COLUMNS)
    made = figure(what, max(3.2, depth * SIDE), count * (SIDE + 0.1) + 0.45)
    made.suptitle(_title(kernel, name, count, language), fontsize=10)
    means = kernel.mean(-2)
    low, high = float(means.min()), float(means.max())
    for number in range(count):
        for place in range(depth):
            axes = made.add_subplot(count, depth, number * depth + place + 1)
            tile(axes, means[place, ..., number], vmin=low, vmax=high)
            if not place:
                axes.set_ylabel(_SAID.kernel(language, number=number), fontsize=7)
    return made


def _of_matrix(what: str, model: Any, kernel: np.ndarray, name: str, most: int, language: Language) -> Any:
    """A heat map, or pictures where the rows are the pixels of the model's input."""
    shape = _picture_shape(model, kernel.shape[0]) if kernel.ndim == 2 else None
    if shape is not None:
        last = shape[-1] in (1, 3)
        made, panels = _panels(what, kernel, name, most, language)
        for number, axes in enumerate(panels):
            picture = picture_of(scaled(kernel[:, number]).reshape(shape), last)
            assert picture is not None
            tile(axes, picture, str(number))
        return made
    matrix = kernel.reshape(-1, kernel.shape[-1])
    title = _SAID.weights(language, name=name, shape=" x ".join(map(str, kernel.shape)))
    rows, columns = matrix.shape
    made = figure(what, min(9.0, max(4.0, columns * 0.12 + 2)), min(8.0, max(3.0, rows * 0.06 + 1.5)))
    axes, reach = made.add_subplot(), float(np.abs(matrix).max()) or 1.0
    image = axes.imshow(matrix, cmap="RdBu_r", vmin=-reach, vmax=reach, aspect="auto", interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.set(xlabel=_SAID.outputs(language), ylabel=_SAID.inputs(language))
    integer_ticks(axes.xaxis, axes.yaxis)
    axes.tick_params(labelsize=7)
    made.colorbar(image, ax=axes, shrink=0.8).ax.tick_params(labelsize=7)
    return made


def _picture_shape(model: Any, inputs: int) -> tuple[int, ...] | None:
    """The shape of the model's pictures, where they have so many values."""
    graph = getattr(model, "_graph", None)
    for shape in () if graph is None else [tuple(tensor.shape[1:]) for tensor in graph.inputs]:
        if None not in shape and len(shape) in (2, 3) and math.prod(shape) == inputs and min(shape[:2]) > 1:
            return shape if len(shape) == 2 or shape[-1] in (1, 3) or shape[0] in (1, 3) else None
    return None
