"""What layers make of a sample, and which parts of it a score rests on."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...core.errors import show_shape
from ..curves import thinned
from ..said import Language, sentences
from . import canvas
from .running import (
    Samples,
    channels_last,
    check_model,
    following,
    is_convolution,
    is_embedding,
    is_picture,
    layer_of,
    name_of,
    outputs_of,
    scores_of,
    shown_last,
    takes_indices,
)

_COLUMNS = 8
_LAYERS = 8
_MAPS = 8
_SAMPLES = 8
_PASSING = ("InputLayer", "Dropout", "SpatialDropout", "GaussianNoise", "GaussianDropout", "AlphaDropout", "Flatten")

_SAID = sentences("maps")


def activations(
    model: Any, x: Any, layers: Sequence[Any] | Any = None, path: canvas.Target = None, *, language: Language = "en"
) -> Any:
    """Draw what layers make of one sample, a row for each, and return the `matplotlib.figure.Figure`.

    x: a sample, or a batch, whose first is taken; several inputs as a list or a dictionary. Feature maps are tiles, the
    first 8 channels of them; sequences heat maps, steps across; vectors bars. layers: layers, names or places; None:
    those of the model, 8 at most, evenly chosen. path: where to save it. Raises ValueError for a layer or an input that
    does not fit.
    """
    what = "activations"
    check_model(what, model)
    samples = Samples(what, model, x, 1)
    if layers is None:
        chosen = thinned([each for each in _layers(model) if type(each).__name__ not in _PASSING], _LAYERS)
    else:
        several = layers if isinstance(layers, (list, tuple)) else [layers]
        chosen = [layer_of(what, model, layer) for layer in several]
    with torch.no_grad(), outputs_of(list({id(each): each for each in chosen}.values())) as calls:
        samples.call()
    last: dict[int, Tensor] = {id(module): output for module, output in calls}
    missing = [name_of(model, module) for module in chosen if id(module) not in last]
    if layers is not None and missing:
        raise ValueError(f"{what}: {', '.join(missing)} gave nothing for this sample.")
    rows = [(module, canvas.array_of(last[id(module)][0])) for module in chosen if id(module) in last]
    if not rows:
        raise ValueError(f"{what}: the model has no layers inside.")
    heights = [canvas.SIDE + 0.15 if values.ndim > 2 else 1.1 for _, values in rows]
    made = canvas.figure(what, _COLUMNS * canvas.SIDE + 1.6, sum(heights) + 0.5)
    made.suptitle(_SAID.activations(language), fontsize=10)
    grid = made.add_gridspec(len(rows), _COLUMNS, height_ratios=heights)
    for row, (module, values) in enumerate(rows):
        label = f"{canvas.shown(name_of(model, module), 20)}\n{type(module).__name__}\n{show_shape(values.shape)}"
        _draw_activation(made, grid, row, values, channels_last(module, model), label, language)
    return canvas.finished(what, made, path)


def _layers(model: Any) -> list[Any]:
    layers = getattr(model, "layers", None)
    return list(layers) if isinstance(layers, list) else list(model.children())


def _draw_activation(
    made: Any, grid: Any, row: int, values: np.ndarray, last: bool, label: str, language: Language
) -> None:
    maps = _maps_of(values, last)
    if maps is not None:
        low, high = float(maps.min()), float(maps.max())
        for number, each in enumerate(maps[:_MAPS]):
            axes = made.add_subplot(grid[row, number])
            canvas.tile(axes, each, str(number), cmap="viridis", vmin=low, vmax=high if high > low else low + 1)
            if not number:
                _name_row(axes, label)
        return
    axes = made.add_subplot(grid[row, :])
    draw_values(axes, values if last or values.ndim != 2 else values.T, "", "viridis", False, language)
    _name_row(axes, label)


def _name_row(axes: Any, label: str) -> None:
    axes.set_ylabel(label, fontsize=7, rotation=0, ha="right", va="center")


def _maps_of(values: np.ndarray, last: bool) -> np.ndarray | None:
    """Feature maps (channels, height, width); of volumes the slice in the middle."""
    if values.ndim < 3:
        return None
    maps = np.moveaxis(values, -1, 0) if last else values
    while maps.ndim > 3:
        maps = maps[:, maps.shape[1] // 2]
    return maps


# Gradients -----------------------------------------------------------------------------------------------------------


def saliency(
    model: Any,
    x: Any,
    target: Any = None,
    path: canvas.Target = None,
    *,
    smooth: int = 0,
    noise: float = 0.15,
    language: Language = "en",
) -> Any:
    """Draw how much the score of a class changes with each part of a sample; return the `matplotlib.figure.Figure`.

    It is the gradient's absolute value, of pictures the largest over the channels; of words that of the gradient by
    their vector times that vector. Of volumes the slice in the middle is drawn. The score is what the last softmax or
    sigmoid is given, where that is known. x: a sample or a batch, of which 8 are drawn. target: the class, or one for
    each sample; None: the one with the highest score. smooth: the mean over so many samples with noise, whose deviation
    is `noise` times the sample's range. path: where to save it. Raises ValueError for a class or an input that does not
    fit, and where no gradient reaches the input.
    """
    what = "saliency"
    check_model(what, model)
    if smooth < 0 or noise <= 0:
        raise ValueError(
            f"{what}: `smooth` must not be negative and `noise` must be positive; got {smooth} and {noise}."
        )
    samples = Samples(what, model, x, _SAMPLES)
    grads, classes = _gradients(what, model, samples, target, smooth, noise)
    made, panels = _pairs(what, samples.count)
    for index, (left, right) in enumerate(panels):
        sample = samples.pictures[index]
        draw_sample(left, sample, _SAID.sample(language) if not index else "", model, language)
        title = _SAID.saliency(language, number=classes[index])
        values, picture = grads[index], is_picture(model, sample)
        if picture and values.ndim > 2:
            values = _middle(values.max(-1 if channels_of(sample, model) == -1 else 0))
        draw_values(right, values, title, "magma", picture, language)
        if isinstance(sample, str):
            _name_words(right, sample, model)
    return canvas.finished(what, made, path)


def _pairs(what: str, count: int) -> tuple[Any, list[tuple[Any, Any]]]:
    made = canvas.figure(what, 6.4, 2.6 * count + 0.3)
    return made, [(made.add_subplot(count, 2, 2 * i + 1), made.add_subplot(count, 2, 2 * i + 2)) for i in range(count)]


def channels_of(sample: np.ndarray, model: Any) -> int:
    """Where the channels of a picture stand, -1 or 0."""
    return -1 if sample.ndim == 2 or canvas.picture_is_last(sample.shape, shown_last(model)) else 0


def _middle(values: np.ndarray) -> np.ndarray:
    """Of a volume (depth, height, width) the slice in the middle."""
    return values[len(values) // 2] if values.ndim > 2 else values


def _name_words(axes: Any, text: str, model: Any) -> None:
    """The words of a text below their bars, where a layer of the model makes them of it by the spaces."""
    plain = [each for each in model.modules() if getattr(each, "split", None) == "whitespace"]
    words = text.split()[: len(axes.patches)]
    if plain and words and getattr(plain[0], "ngrams", None) is None:
        axes.set_xticks(range(len(words)), [canvas.shown(word, 14) for word in words], rotation=60, ha="right")


def draw_sample(axes: Any, sample: Any, title: str, model: Any, language: Language) -> None:
    """One sample as what it is: a picture, a text, a sequence, or numbers."""
    if not isinstance(sample, np.ndarray) or sample.dtype.kind in "OUS":
        text = sample if isinstance(sample, str) else str(np.asarray(sample).item())
        lines = "\n".join(textwrap.wrap(canvas.shown(text, 300), 34))
        canvas.bare(axes, title).text(0.03, 0.97, lines, va="top", fontsize=7, transform=axes.transAxes)
        return
    if sample.ndim == 1 and takes_indices(model):
        words = " ".join(f"{value:g}" for value in sample)
        draw_sample(axes, np.asarray(words, dtype=object), title, model, language)
        return
    if sample.ndim == 4 and is_picture(model, sample):
        sample = _middle(sample) if channels_of(sample, model) == -1 else sample[:, sample.shape[1] // 2]
    picture = canvas.picture_of(sample, shown_last(model)) if is_picture(model, sample) else None
    if picture is not None:
        canvas.tile(axes, picture, title, **({"vmin": 0, "vmax": 1} if picture.ndim == 2 else {}))
    else:
        draw_values(axes, sample, title, "viridis", False, language)


def draw_values(axes: Any, values: np.ndarray, title: str, cmap: str, picture: bool, language: Language) -> None:
    """Numbers as a map of a picture, a heat map with steps across, or bars."""
    if picture and values.ndim == 2:
        canvas.tile(axes, values, title, cmap=cmap)
        return
    if values.ndim >= 2:
        rows = values.reshape(values.shape[0], -1)
        axes.imshow(rows.T, aspect="auto", cmap=cmap, interpolation="nearest")
        axes.set_xlabel(_SAID.steps(language), fontsize=7)
    else:
        axes.bar(range(values.size), values.reshape(-1), color=canvas.BLUE, width=0.9)
        axes.axhline(0, color=canvas.GREY, linewidth=0.5)
        axes.set_xlim(-0.6, max(values.size, 4) - 0.4)
    canvas.integer_ticks(axes.xaxis, *([axes.yaxis] if values.ndim >= 2 else []))
    axes.set_title(title, fontsize=8, pad=2)
    axes.tick_params(labelsize=6, length=2)


def _gradients(
    what: str, model: Any, samples: Samples, target: Any, smooth: int, noise: float
) -> tuple[np.ndarray, list[int]]:
    """The gradient of the score by the shown input, (samples, ...); by the vectors of its words, (samples, words)."""
    shown_input = samples.inputs[samples.shown]
    floats = isinstance(shown_input, Tensor) and shown_input.is_floating_point()
    if not floats:
        return _gradients_of_words(what, model, samples, target)
    generator = torch.Generator(device=shown_input.device).manual_seed(0)
    flat = shown_input.reshape(samples.count, -1)
    spread = (flat.amax(1) - flat.amin(1)).reshape(-1, *[1] * (shown_input.ndim - 1)) * noise
    total, classes = 0.0, target
    if smooth and target is None:  # the class of the sample without noise
        with torch.no_grad():
            _, classes = scores_of(what, samples, samples.inputs, None)
    for _ in range(max(smooth, 1)):
        with following():
            given = shown_input.clone()
            if smooth:
                drawn = torch.randn(given.shape, generator=generator, device=given.device)
                given = given + spread * drawn.to(given.dtype)
            given.requires_grad_()
            inputs = [given if place == samples.shown else part for place, part in enumerate(samples.inputs)]
            scores, classes = scores_of(what, samples, inputs, classes)
            total = total + canvas.array_of(_grad(what, scores, [given])[0]).__abs__()
    return np.asarray(total) / max(smooth, 1), classes  # type: ignore[return-value]


def _gradients_of_words(what: str, model: Any, samples: Samples, target: Any) -> tuple[np.ndarray, list[int]]:
    embeddings = [module for module in model.modules() if is_embedding(module)]
    with following(), outputs_of(embeddings) as calls:
        scores, classes = scores_of(what, samples, samples.inputs, target)
        if not calls:
            raise ValueError(f"{what}: the input has no gradient: it is of whole numbers, and no Embedding takes it.")
        vectors = calls[0][1]
        (grad,) = _grad(what, scores, [vectors])
    return np.abs((canvas.array_of(grad) * canvas.array_of(vectors)).sum(-1)).reshape(samples.count, -1), classes


def _grad(what: str, scores: Tensor, by: list[Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(scores.sum(), by, allow_unused=True) if scores.requires_grad else [None] * len(by)
    if any(each is None for each in found):
        raise ValueError(f"{what}: the score does not depend on it by anything that has a gradient.")
    return [each for each in found if each is not None]


def grad_cam(
    model: Any, x: Any, target: Any = None, layer: Any = None, path: canvas.Target = None, *, language: Language = "en"
) -> Any:
    """Draw where a convolution saw what speaks for a class, over the picture; return the `matplotlib.figure.Figure`.

    Grad-CAM: the layer's feature maps, each times the mean of the score's gradient by it, summed, the positive part,
    the largest value 1. The score is what the last softmax or sigmoid is given, where that is known. x: a picture or a
    sequence, or a batch, of which 8 are drawn. target: the class, or one for each sample; None: the one with the
    highest score. layer: a layer, its name or its place; None: the convolution called last. path: where to save it.
    Raises ValueError where there is no convolution, and for a class, a layer or an input that does not fit.
    """
    what = "grad_cam"
    check_model(what, model)
    samples = Samples(what, model, x, _SAMPLES)
    modules = [layer_of(what, model, layer)] if layer is not None else [m for m in model.modules() if is_convolution(m)]
    if not modules:
        raise ValueError(f"{what}: the model has no convolution; name a `layer` that gives feature maps.")
    cams, classes = _cams(what, samples, modules, target)
    made, panels = _pairs(what, samples.count)
    for index, (left, right) in enumerate(panels):
        sample = samples.pictures[index]
        title = _SAID.cam(language, number=classes[index])
        draw_sample(left, sample, _SAID.sample(language) if not index else "", model, language)
        draw_sample(right, sample, title, model, language)
        _overlay(right, cams[index], is_picture(model, sample))
    return canvas.finished(what, made, path)


def _cams(what: str, samples: Samples, modules: list[Any], target: Any) -> tuple[np.ndarray, list[int]]:
    with following(), outputs_of(modules) as calls:
        scores, classes = scores_of(what, samples, samples.inputs, target)
        maps = [(module, output) for module, output in calls if output.ndim > 2]
        if not maps:
            raise ValueError(f"{what}: {', '.join(type(module).__name__ for module in modules)} gave no feature maps.")
        module, output = maps[-1]
        (grad,) = _grad(what, scores, [output])
    values, slopes = output.detach().float(), grad.float()
    if channels_last(module, samples.model):
        values, slopes = values.movedim(-1, 1), slopes.movedim(-1, 1)
    weights = slopes.mean(tuple(range(2, slopes.ndim)), keepdim=True)
    cams = (weights * values).sum(1).clamp(min=0)
    largest = cams.flatten(1).amax(1).reshape(-1, *[1] * (cams.ndim - 1))
    return canvas.array_of(cams / largest.clamp(min=torch.finfo(cams.dtype).tiny)), classes


def _overlay(axes: Any, cam: np.ndarray, picture: bool) -> None:
    """The map over the sample, as large as that; along the steps of a sequence as a strip of colours."""
    strip = _middle(cam) if picture and cam.ndim > 1 else cam.reshape(len(cam), -1).mean(1)[None]
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    axes.imshow(strip, cmap="turbo", alpha=0.45, interpolation="bilinear", aspect=axes.get_aspect(),
                extent=(left, right, low, high), vmin=0, vmax=1)  # fmt: skip
