"""Layers told apart by axes: which values one output is summed from, share a statistic, fall together, add up to 1."""

from __future__ import annotations

import math
import string
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from ...layers import activation, dense, dropout, embedding, normalization, old
from ...layers.preprocessing import features
from ..said import Said, sentences
from ..scene import PLAIN, Curve, Frame, Grid, Link, Mark, Note, Scene
from .gates import Places, applied, flow
from .kinds import At, scenes
from .masks import travels
from .parts import (
    GAP,
    Layout,
    Sheet,
    breadth,
    cut,
    drawn,
    influence,
    joined,
    notes,
    number,
    sheet,
    sizes,
    smaller,
    twin,
    whole,
)

# Products with a kernel -------------------------------------------------------------------------------------------

_SAID = sentences("axes")


def _product(
    title: str, at: At, equation: tuple[str, str, str], full: dict[str, int | None], then: str = "", note: str = ""
) -> Scene:
    """Letters of the axes of input, kernel and output, without the batch; `full` are the sizes of the axes."""
    many = max(map(len, equation)) > 2
    small = {letter: min(size or 4, 2 if many else 4) for letter, size in full.items()}
    shapes = [tuple(small[letter] for letter in letters) or (1,) for letters in equation]
    real = [tuple(full[letter] for letter in letters) or (1,) for letters in equation]
    x, kernel = (torch.ones(shape, requires_grad=True) for shape in shapes[:2])
    y = torch.einsum(f"{equation[0]},{equation[1]}->{equation[2]}", x, kernel).flatten()
    titles = zip((_SAID.input, _SAID.kernel, _SAID.output), real, strict=True)
    named = [said(at.language, sizes=sizes(size)) for said, size in titles]
    # A product of matrices: an output stands where the row of its inputs and the column of its weights cross.
    width, height = (0.0, 0.0) if many else (shapes[0][-1] + GAP + 2, shapes[1][0] + GAP + 1)
    given = sheet("input", shapes[0], (0, height), named[0], layout=Layout("[{}]"))
    where = (width, given.bottom + GAP if many else 0)
    trained: list[Any] = ["weight"] * kernel.numel()
    weights = sheet("kernel", shapes[1], where, named[1], styles=trained, layout=Layout("[{}]"))
    where = (width, weights.bottom + GAP if many else height)
    found = sheet("output", shapes[2], where, named[2], layout=Layout("[{}]"))
    count = math.prod(full[letter] or small[letter] for letter in {*equation[0]} - {*equation[2]})
    frames = []
    for index in _from_the_corner(shapes[2]):
        slopes = torch.autograd.grad(y[index], (x, kernel), retain_graph=True)
        seen = [slope.flatten().nonzero().flatten().tolist() for slope in slopes]
        marks = [*given.marks(seen[0], 0), *weights.marks(seen[1], 1), *found.marks([index])]
        frames.append(Frame(_SAID.sum(at.language, count=count, then=then), marks))
    cut_off = any(smaller(full, shape, at.language) for full, shape in zip(real, shapes, strict=True))
    return whole(title, (given, weights, found), frames, note, _SAID.fewer(at.language) if cut_off else "")


def _then(layer: Any, at: At, biased: bool) -> str:
    name = applied(layer.activation, "").removesuffix("()")
    return (_SAID.bias(at.language) if biased else "") + (_SAID.then(at.language, function=name) if name else "")


def _from_the_corner(shape: Sequence[int]) -> list[int]:
    """The values along each axis, all other places being the first."""
    flat = torch.arange(math.prod(shape)).reshape(tuple(shape))
    lines = [flat.movedim(axis, -1).reshape(-1, size)[0].tolist() for axis, size in reversed([*enumerate(shape)])]
    return [*dict.fromkeys(value for line in lines for value in line)]


@scenes.register
def _(layer: dense.Dense, at: At) -> list[Scene]:
    steps, width = at.inputs[0][1:-1], at.inputs[0][-1]
    positions = None if None in steps else math.prod(size or 1 for size in steps)
    full = {"p": positions, "f": width, "u": layer.units}
    equation = ("pf", "fu", "pu") if steps else ("f", "fu", "u")
    title = _SAID.product(at.language, name=type(layer).__name__, summed=_SAID.all_features(at.language))
    note = _SAID.positions(at.language) if steps else ""
    return [_product(title, at, equation, full, _then(layer, at, layer.use_bias), note)]


@scenes.register
def _(layer: dense.EinsumDense, at: At) -> list[Scene]:
    terms = dense.Equation.read(layer.equation)
    rank = len(at.inputs[0])
    letters = iter(letter for letter in string.ascii_letters if letter not in terms.inputs + terms.outputs)
    others = "".join(next(letters) for _ in range(rank - len(terms.inputs)))
    right = terms.dots == "right"
    x, y = (letters + others if right else others + letters for letters in (terms.inputs, terms.outputs))
    full = dict(zip(x, at.inputs[0], strict=True)) | dict(zip(terms.kernel, layer.kernel.shape, strict=True))
    equation = (x[1:], terms.kernel, y[1:])  # without the batch
    summed = ", ".join(letter for letter in equation[0] if letter not in equation[2])
    what = (_SAID.letters if "," in summed else _SAID.letter)(at.language, letters=summed)
    title = f"{_SAID.product(at.language, name=type(layer).__name__, summed=what)} ({layer.equation})"
    return [_product(title, at, equation, full, _then(layer, at, layer.bias_axes is not None))]


@scenes.register
def _(layer: old.MaxoutDense, at: At) -> list[Scene]:
    width, maps, units = (min(size or 4, 5) for size in (at.inputs[0][-1], layer.features, layer.units))
    given = sheet("input", (width,), (0, 0), _SAID.input(at.language, sizes=sizes(at.inputs[0][1:])))
    named = _SAID.maps(at.language, sizes=sizes((layer.features, layer.units)))
    middle = sheet("maps", (maps, units), (0, given.bottom + GAP), named)
    found = sheet("output", (units,), (0, middle.bottom + GAP), _SAID.output(at.language, sizes=str(layer.units)))
    frames = []
    for unit in range(units):
        column = range(unit, maps * units, units)
        marks = [*given.marks(range(width), 0), *middle.marks(column, 1), *found.marks([unit])]
        frames.append(Frame(_SAID.largest(at.language, unit=unit + 1, count=layer.features), marks))
    cut_sizes = smaller((at.inputs[0][-1], layer.features, layer.units), (width, maps, units), at.language)
    return [whole(_SAID.maxout(at.language, count=layer.features), (given, middle, found), frames, cut_sizes)]


# Rows of a table --------------------------------------------------------------------------------------------------


@scenes.register
def _(layer: embedding.Embedding, at: At) -> list[Scene]:
    language, steps = at.language, min((at.inputs[0][1] if len(at.inputs[0]) > 1 else 1) or 5, 5)
    words, width = min(layer.input_dim, 6), min(layer.output_dim, 4)
    indices = [(words // 2 + 2 * step + step // 2) % words for step in range(steps)]
    if layer.mask_zero and steps > 1:
        indices = [index or words - 1 for index in indices[:-1]] + [0]
    mask = layer.compute_mask(torch.tensor([indices]))
    valid = [True] * steps if mask is None else mask[0].tolist()
    masked: dict[int, Any] = {step: "masked" for step in range(steps) if not valid[step]}
    table_at, vectors_at = 4.0, width + 10.0
    named = _SAID.table(language, sizes=sizes((layer.input_dim, layer.output_dim)))
    fetched = _SAID.vectors(language, sizes=sizes(at.outputs[0][1:]))
    weights: dict[int, Any] = dict.fromkeys(range(words * width), "weight")
    of_word = {cell: cell // width for cell in range(words * width)}
    of_step = {cell: indices[cell // width] for cell in range(steps * width)}
    texts = {step: str(index) for step, index in enumerate(indices)}
    rows = {row: str(row) for row in range(words)}
    grids = [
        Grid("indices", steps, 1, texts=texts, styles=masked, title=_SAID.index(language)),
        Grid("rows", words, 1, (table_at, 0.0), rows, title=_SAID.at(language)),
        Grid("table", words, width, (table_at + 2, 0.0), {}, weights, of_word, title=named),
        Grid("vectors", steps, width, (vectors_at, 0.0), {}, {}, of_step, title=fetched),
    ]
    if mask is not None:
        texts = {step: "T" if value else "F" for step, value in enumerate(valid)}
        grids.append(Grid("mask", steps, 1, (vectors_at + width + 2, 0.0), texts, masked, title=_SAID.mask(language)))
    frames = []
    for step, index in enumerate(indices):
        row = [Mark("table", index * width + column, index) for column in range(width)]
        row += [Mark("vectors", step * width + column, index) for column in range(width)]
        marks = [Mark("indices", step), Mark("rows", index), *row, *([Mark("mask", step)] if mask is not None else [])]
        links = [
            Link(("indices", step), ("rows", index)),
            Link(("table", index * width + width - 1), ("vectors", step * width)),
        ]
        said = _SAID.row(language, step=step + 1, index=index) + ("" if valid[step] else _SAID.padding(language))
        frames.append(Frame(said, marks, links))
    said = smaller((layer.input_dim, layer.output_dim), (words, width), language)
    found = [Scene(_SAID.lookup(language, name=type(layer).__name__), grids, frames, notes=notes(grids, said))]
    if layer.mask_zero and steps > 1:
        found += travels(twin(layer, (steps,), input_dim=words, output_dim=width), torch.tensor([indices]), at)
    if isinstance(layer, embedding.ReversibleEmbedding):
        full = {"p": at.inputs[0][1] if len(at.inputs[0]) > 1 else 1, "d": layer.output_dim, "v": layer.input_dim}
        table = (_SAID.same_table if layer.tie_weights else _SAID.own_table)(language)
        found.append(_product(_SAID.scores(language, table=table), at, ("pd", "dv", "pv"), full))
    return found


# Values that share a statistic ------------------------------------------------------------------------------------


def _grouped(
    at: At, title: str, colours: list[int], shape: tuple[int, ...], channels_last: bool, numbered: bool = False
) -> Scene:
    """A batch drawn as a grid for each sample; one frame for each group of values of one colour.

    `numbered` axes are called by their numbers, where each is drawn.
    """
    axes = ["samples", *(("positions", "channels") if channels_last else ("channels", "positions"))]
    axes = axes if len(shape) > 2 else ["samples", "channels"]
    if numbered and len(at.inputs[0]) == len(shape):
        axes[1:] = ["numbered"] * (len(shape) - 1)
    names = [_SAID.several[name](at.language, axis=axis) for axis, name in enumerate(axes)]
    said = "" if len(shape) > 2 else _SAID.batch(at.language)
    room = breadth(f"{said or _SAID.sample(at.language)} ↓ {names[-2]} → {names[-1]}")
    layout = Layout(_SAID.sample(at.language), (3, 9, 12), room, (names[-2], names[-1]))
    batch = sheet("batch", shape, title=said, colours=colours, layout=layout)
    frames = []
    for group in dict.fromkeys(colours):
        members = [index for index, colour in enumerate(colours) if colour == group]
        if batch.marks(members):
            where = ", ".join(_where(at, members, shape, axes))
            frames.append(Frame(_SAID.group(at.language, count=len(members), where=where), batch.marks(members, group)))
    return whole(title, [batch], frames[:12], _SAID.full(at.language, sizes=sizes(at.inputs[0])))


def _where(at: At, members: list[int], shape: tuple[int, ...], axes: Sequence[str]) -> Iterable[str]:
    """Which places the values have along each axis."""
    coordinates = torch.stack(torch.unravel_index(torch.tensor(members), shape))
    for axis, (name, size, places) in enumerate(zip(axes, shape, coordinates, strict=True)):
        found = places.unique().tolist()
        if len(found) == size and size > 1:
            yield _SAID.all(at.language, axis=_SAID.several[name](at.language, axis=axis))
        else:
            said = _SAID.single[name](at.language, axis=axis)
            yield _SAID.some(at.language, axis=said, places=" + ".join(str(place + 1) for place in found))


def _batch(at: At, axis: int, channels: int) -> tuple[tuple[int, ...], tuple[int, ...], bool]:
    """The sizes of a small batch, as the layer gets it and as it is drawn, and whether channels come last in it."""
    rank = len(at.inputs[0])
    place = axis % rank
    sizes_of = [2 if axis == 0 or rank > 3 else 3 for axis in range(rank)]
    sizes_of[place] = channels
    shape = tuple(sizes_of)
    if rank == 2:
        return shape, shape, True
    if place in (0, rank - 1):
        return shape, (shape[0], math.prod(shape[1:-1]), shape[-1]), True
    return shape, (shape[0], shape[1], math.prod(shape[2:])), False


def _shared(made: Any, shape: tuple[int, ...], **options: Any) -> list[int]:
    """The groups of values that are computed from each other."""
    (table,) = influence(lambda x: made(x, **options), drawn(shape))
    return joined(table)


def _by_weight(made: Any, weight: Tensor, x: Tensor) -> list[int]:
    """For each output which number of a weight it is computed with."""
    colours = torch.full((x.numel(),), PLAIN)
    with torch.no_grad():
        before, kept = made(x).flatten(), weight.clone()
        for place in range(weight.numel()):
            weight.view(-1)[place] += 1
            colours[made(x).flatten() != before] = place
            weight.copy_(kept)
    return colours.tolist()


def _statistics(layer: Any, at: At, axis: int, channels: int, what: Said, **changes: Any) -> list[Scene]:
    """Which values share a statistic, and which share a scale and an offset."""
    shape, as_drawn, last = _batch(at, axis, channels)
    made = twin(layer, shape[1:], **changes)
    name, said = type(layer).__name__, what(at.language)
    moving = isinstance(layer, normalization.BatchNormalization) and layer.batch_statistics != "always"
    when, options = (_SAID.training(at.language), {"training": True}) if moving else ("", {})
    found = {_SAID.share(at.language, name=name, when=when, what=said): _shared(made, shape, **options)}
    if moving:
        title = _SAID.share(at.language, name=name, when=_SAID.inference(at.language), what=_SAID.moving(at.language))
        found[title] = _by_weight(made, made.moving_mean, drawn(shape))
    weights = [one for one in ("gamma", "beta", "scale") if isinstance(getattr(made, one, None), Tensor)]
    if weights:
        title = _SAID.parameters(at.language, name=name, weights=", ".join(weights))
        found[title] = _by_weight(made, getattr(made, weights[0]), drawn(shape))
    return [_grouped(at, title, colours, as_drawn, last) for title, colours in found.items()]


@scenes.register
def _(layer: normalization.BatchNormalization, at: At) -> list[Scene]:
    axis = layer.normalized_axes()[-1]
    return _statistics(layer, at, axis, min(at.inputs[0][axis] or 3, 3), _SAID.statistics)


@scenes.register
def _(layer: normalization._SampleNormalization, at: At) -> list[Scene]:
    squares = isinstance(layer, normalization.RMSNormalization)
    what = _SAID.squares if squares else _SAID.variance if getattr(layer, "rms_scaling", False) else _SAID.statistics
    return _statistics(layer, at, -1, min(at.inputs[0][-1] or 3, 3), what)


@scenes.register
def _(layer: normalization.GroupNormalization, at: At) -> list[Scene]:
    channels = at.inputs[0][layer.axis] or layer.groups
    groups = min(layer.groups, 3)
    each = min(channels // layer.groups, 6 // groups)
    return _statistics(layer, at, layer.axis, groups * each, _SAID.statistics, groups=groups)


@scenes.register
def _(layer: normalization.UnitNormalization, at: At) -> list[Scene]:
    return _statistics(layer, at, -1, min(at.inputs[0][-1] or 3, 3), _SAID.length)


@scenes.register
def _(layer: features.Normalization, at: At) -> list[Scene]:
    rank = len(at.inputs[0])
    axis = layer.axis[-1] if layer.axis else -1
    shape, as_drawn, last = _batch(at, axis, min(at.inputs[0][axis] or 3, 3))
    places = torch.arange(math.prod(shape)).reshape(shape)
    kept = {axis % rank for axis in layer.axis}
    for axis in range(rank):
        if axis not in kept:
            places = places.narrow(axis, 0, 1).expand(*places.shape[:axis], shape[axis], *places.shape[axis + 1 :])
    order = {place: colour for colour, place in enumerate(dict.fromkeys(places.flatten().tolist()))}
    colours = [order[place] for place in places.flatten().tolist()]
    title = _SAID.share(at.language, name="Normalization", when="", what=_SAID.learned(at.language))
    return [_grouped(at, title, colours, as_drawn, last)]


@scenes.register
def _(layer: normalization.SpectralNormalization, at: At) -> list[Scene]:
    texts = {"s": "max |w·u| / |u|", "v": "w / s"}
    places: Places = {"w": (0, 0), "s": (5, 2), "v": (10, 0)}
    picture = flow(_SAID.divided(at.language), at, texts, _SAID.spectral, places, vars(_SAID.weight))
    return [picture, *scenes(layer.layer, at)]


# Functions of one value -------------------------------------------------------------------------------------------

_HERE = 0.25  # what trained weights are in a curve


@scenes.register(activation._Elementwise)
def _(layer: Any, at: At) -> list[Scene]:
    """A curve where the layer works value by value, else what adds up to 1."""
    rank = len(at.inputs[0])
    if isinstance(layer, (activation.Softmax, activation.Activation)) and _mixes(layer, rank):
        axis = getattr(layer, "axis", -1)
        shape, as_drawn, last = _batch(at, axis if isinstance(axis, int) else -1, 3)
        made = twin(layer, shape[1:])
        title = _SAID.one(at.language, name=applied(getattr(layer, "activation", layer), "").removesuffix("()"))
        return [_grouped(at, title, _shared(made, shape), as_drawn, last, numbered=True)]
    made = twin(layer, (1,) * (rank - 1))
    trained = any(weight.is_floating_point() for weight in made.weights)
    with torch.no_grad():
        for weight in made.weights:
            weight.fill_(_HERE)
    name = type(layer).__name__
    if isinstance(layer, activation.Activation):
        name = f"Activation({applied(layer.activation, '').removesuffix('()') or 'linear'})"
    found = [_curve(at, made, name, torch.linspace(-4, 4, 161), rank, _SAID.trained if trained else None)]
    return found + _slopes(layer, at)


def _mixes(layer: Any, rank: int) -> bool:
    made = twin(layer, (3,) * (rank - 1))
    (table,) = influence(made, drawn((2,) + (3,) * (rank - 1)))
    return bool((table & ~torch.eye(len(table), dtype=torch.bool)).any())


def _curve(at: At, made: Any, name: str, x: Tensor, rank: int, remark: Said | None) -> Scene:
    with torch.no_grad():
        y = made(x.reshape(-1, *(1,) * (rank - 1))).flatten()
    points = [(round(a, 4), round(b, 4)) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    said = [Note((0.0, 9.0), remark(at.language, value=_HERE))] if remark else []
    graph = Curve(_SAID.graph(at.language), points, (0.0, 1.0))
    return Scene(_SAID.curve(at.language, name=name), (), curves=[graph], notes=said)


def _slopes(layer: Any, at: At) -> list[Scene]:
    """Which values of a sample share a trained parameter, where some do."""
    shared = getattr(layer, "shared_axes", None)
    if not shared:
        return []
    shape, as_drawn, last = _batch(at, -1, 3)
    made = twin(layer, shape[1:])
    names = ", ".join(dict.fromkeys(one.name.split("/")[-1] for one in made.weights))
    colours = _by_weight(made, made.weights[0], -1 - drawn(shape).abs())
    title = _SAID.parameters(at.language, name=type(layer).__name__, weights=names)
    return [_grouped(at, title, colours, as_drawn, last)]


@scenes.register
def _(layer: features.Rescaling, at: At) -> list[Scene]:
    """Of one channel; the first, where each has a factor of its own."""
    first = [float(value.flatten()[0]) for value in (layer._scale, layer._offset)]
    made = features.Rescaling(*first, name=layer.name, dtype="float32")
    return [_curve(at, made, type(layer).__name__, torch.linspace(0, 255, 52), 2, None)]


@scenes.register
def _(layer: features.Discretization, at: At) -> list[Scene]:
    edges = layer.bin_boundaries
    if not edges:  # not adapted yet
        return []
    made = features.Discretization(edges, name=layer.name)
    margin = (edges[-1] - edges[0]) / 4 or 1.0
    x = torch.linspace(edges[0] - margin, edges[-1] + margin, 241)
    return [_curve(at, made, type(layer).__name__, x, 2, None)]


# Values that fall together ----------------------------------------------------------------------------------------


@scenes.register
def _(layer: dropout._Noise, at: At) -> list[Scene]:
    noise_shape = getattr(layer, "noise_shape", None) or (None,) * len(at.inputs[0])
    sizes_of = cut(at.inputs[0][1:], 4 if len(at.inputs[0]) < 4 else 3)
    shape = tuple(given if given and given > 1 else size for given, size in zip(noise_shape[1:], sizes_of, strict=True))
    made, x = twin(layer, shape), torch.ones(noise_shape[0] or 1, *shape)
    falls = isinstance(layer, dropout._Dropping)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        for attempt in range(20):  # two calls in which some values fall, where no seed tells what happens
            torch.manual_seed(attempt)
            calls = [made(x, training=True)[0] for _ in range(2)]
            if not falls or layer.seed is not None or all(0 < (y <= 0).sum() < y.numel() for y in calls):
                break
        rests = made(x, training=False)[0]
        together = _falling(made, x) if falls else [PLAIN] * rests.numel()
    planes = len(shape) > 2
    if planes:
        first = getattr(layer, "data_format", "channels_last") == "channels_first"
        x, rests, *calls = (y if first else y.movedim(-1, 0) for y in (x[0], rests, *calls))
        table = torch.tensor(together).reshape(shape)
        together = (table if first else table.movedim(-1, 0)).flatten().tolist()
    else:
        x = x[0]
    titles = [
        _SAID.ones(at.language),
        *(_SAID.call(at.language, index=index) for index in (1, 2)),
        _SAID.rests(at.language),
    ]
    room = max(breadth(f"{title}, {_SAID.channel(at.language).format(1)}") for title in titles) if planes else 0.0
    layout = Layout(_SAID.channel(at.language), (4, 6, 12), room)
    boards: list[Sheet] = []
    frames = []
    for index, (title, y) in enumerate(zip(titles, (x, *calls, rests), strict=True)):
        called, values = index in (1, 2), y.flatten().tolist()
        fallen = [place for place, value in enumerate(values) if falls and called and value <= 0]
        where = (0.0, 0.0)
        if boards:
            before = boards[-1]
            beside = max(before.right, before.grids[0].at[0] + breadth(before.grids[0].title)) + 1.5
            where = (0.0, before.bottom + GAP) if planes else (beside, 0.0)
        styles: list[Any] = ["dropped" if place in fallen else None for place in range(len(values))]
        texts, colours = [number(value) for value in values], None if index else together
        boards.append(sheet(str(index), y.shape, where, title, texts, styles, colours, layout))
        if called:
            kept = next((text for place, text in enumerate(texts) if place not in fallen), "")
            said = (_SAID.fell if falls else _SAID.changed)(
                at.language, index=index, count=len(fallen), all=len(values), rate=getattr(layer, "rate", 0), kept=kept
            )
            frames.append(Frame(said, boards[-1].marks(fallen if falls else range(len(values)))))
    frames.append(Frame(_SAID.unchanged(at.language)))
    said = _SAID.together if max(together) > PLAIN else _SAID.drops if falls else _SAID.noise
    lowest = number(min(float(y.min()) for y in calls))
    title = said(at.language, name=type(layer).__name__, value=lowest)
    return [whole(title, boards, frames, smaller(at.inputs[0][1:], shape, at.language))]


def _falling(made: Any, x: Tensor) -> list[int]:
    """Colours of the values that always fall together, found by many calls; PLAIN where each falls by itself."""
    vars(made)["rate"] = 0.5
    history = torch.stack([made(x, training=True)[0].flatten() <= 0 for _ in range(32)])
    seen: dict[tuple[bool, ...], int] = {}
    colours = [seen.setdefault(tuple(column), len(seen)) for column in history.t().tolist()]
    return colours if len(seen) < len(colours) else [PLAIN] * len(colours)
