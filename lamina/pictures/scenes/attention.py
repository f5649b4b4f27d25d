"""Attention: which keys each query looks at, and how much, found by running the layer; and how heads share keys."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ...layers import attention
from ..said import Said, sentences
from ..scene import Frame, Grid, Link, Mark, Scene, Style
from .kinds import At, scenes
from .parts import breadth, drawn, lit, notes, sizes, twin

_MOST = 6  # queries, and keys

_SAID = sentences("attention")


def _shapes(at: At) -> list[tuple]:
    """Of query, value and key; a layer that is called on one tensor attends to it."""
    shapes = [*at.inputs] * (3 if len(at.inputs) == 1 else 1)
    return shapes if len(shapes) > 2 else [*shapes, shapes[1]]


def _looks(layer: Any, at: At) -> tuple[Callable[..., Tensor], tuple[int, int]]:
    """A function from masked keys and options of a call to weights (heads, queries, keys); how many of the latter."""
    projected = isinstance(layer, attention._Projected)
    shapes = [list(shape[1:]) for shape in _shapes(at)]
    axes = [axis - 1 for axis in layer.attention_axes] if projected else [len(shapes[0]) - 2]
    most = _MOST if len(axes) == 1 else math.isqrt(_MOST + 3)
    for shape in shapes:
        shape[:-1] = [min(size or most, most) if axis in axes else 1 for axis, size in enumerate(shape[:-1])]
    counts = tuple(math.prod(shape[axis] for axis in axes) for shape in shapes[:2])
    shapes = shapes if projected or len(at.inputs) > 2 else shapes[:2]
    made = twin(layer, *shapes, positive=False)
    inputs = [0.7 * drawn((1, *shape), min(seed, len(at.inputs) - 1)) for seed, shape in enumerate(shapes)]

    def run(hidden: Sequence[int] = (), **options: Any) -> Tensor:
        mask = torch.ones(1, counts[1], dtype=torch.bool)
        mask[0, [*hidden]] = False
        if hidden:
            options |= {"value_mask": mask.reshape(1, *shapes[1][:-1])} if projected else {"mask": [None, mask]}
        with torch.no_grad():
            weights = made(*(inputs if projected else [inputs]), **options, return_attention_scores=True)[1]
        return weights.reshape(-1, *counts)

    return run, (counts[0], counts[1])


# Who looks at whom ------------------------------------------------------------------------------------------------


def _scene(at: At, title: str, seen: Tensor, hidden: Sequence[int], remarks: Sequence[str], count: int) -> Scene:
    """`seen` (heads, queries, keys): a grid for each head, its rows in line with the queries."""
    heads, queries, keys = seen.shape
    top, left = 3.0, 3.5
    step = max(keys, breadth(_SAID.keys(at.language)), breadth(_SAID.head(at.language, index=10))) + 1.5
    masked: dict[int, Style] = dict.fromkeys(hidden, "masked")
    each = range(queries)
    names = {letter: {i: f"{letter}{i + 1}" for i in each} for letter in "qy"}
    grids = [Grid("query", queries, 1, (0.0, top), names["q"], title=_SAID.queries(at.language))]
    for head in range(heads):
        x = left + head * step
        said = _SAID.weights(at.language) if count == 1 else _SAID.head(at.language, index=head + 1)
        texts = {cell: f"{100 * value:.0f}" for cell, value in enumerate(seen[head].flatten().tolist()) if value > 0}
        styles: dict[int, Style] = {cell: "masked" for cell in range(queries * keys) if cell not in texts}
        numbers = {j: f"k{j + 1}" for j in range(keys)}
        grids.append(Grid(f"keys {head + 1}", 1, keys, (x, 0.0), numbers, masked, title=_SAID.keys(at.language)))
        grids.append(Grid(f"weights {head + 1}", queries, keys, (x, top), texts, styles, title=said))
    last = (left + heads * step, top)
    grids.append(Grid("output", queries, 1, last, names["y"], title=_SAID.output(at.language)))
    frames = []
    for i in each:
        looked = [j for j in range(keys) if (seen[:, i, j] > 0).any()]
        said = _SAID.row if len(looked) > 1 else _SAID.alone if looked else _SAID.none
        marks = [Mark("query", i), Mark("output", i)]
        for head in range(heads):
            at_all = [j for j in range(keys) if seen[head, i, j] > 0]
            marks += [Mark(f"keys {head + 1}", j, head if count > 1 else -1) for j in at_all]
            marks += [Mark(f"weights {head + 1}", i * keys + j, head if count > 1 else -1) for j in at_all]
        listed = ", ".join(str(j + 1) for j in looked)
        frames.append(Frame(said(at.language, query=i + 1, keys=listed), marks))
    return Scene(title, grids, frames, notes=notes(grids, *remarks))


@scenes.register(attention._Projected)
@scenes.register(attention.Attention)
def _(layer: Any, at: At) -> list[Scene]:
    run, (queries, keys) = _looks(layer, at)
    query, value, _ = _shapes(at)
    axes = getattr(layer, "attention_axes", (len(query) - 2,))
    window = getattr(layer, "sliding_window", None)
    whole = run()
    cases: list[tuple[Said, Tensor, tuple[int, ...]]] = [
        (_SAID.plain if (whole > 0).all() else _SAID.window if window else _SAID.earlier, whole, ())
    ]
    if len(axes) == 1 and cases[0][0] is not _SAID.earlier:
        cases.append((_SAID.causal, run(use_causal_mask=True), ()))
    if keys > 1:
        hidden = tuple(range(max(keys - 2, 1), keys))
        cases.append((_SAID.padded, run(hidden), hidden))
    full = [shape[axis] for shape in (query, value) for axis in axes]
    found = []
    for index, (title, weights, hidden) in enumerate(cases):
        shown = min(len(weights), 1 if index else 3)
        remarks = [_SAID.random(at.language)]
        if None not in full and math.prod(full) > queries * keys:
            sides = (sizes([math.prod(full[: len(axes)]), math.prod(full[len(axes) :])]), sizes((queries, keys)))
            remarks.append(_SAID.cut(at.language, full=sides[0], drawn=sides[1]))
        if shown < len(weights):
            remarks.append(_SAID.fewer(at.language, drawn=shown, full=len(weights)))
        said = title(at.language, name=type(layer).__name__, window=window)
        found.append(_scene(at, said, weights[:shown], hidden, remarks, len(weights)))
    if isinstance(layer, attention._Projected):
        found.insert(1, _heads(layer, at))
    return found


# Heads ------------------------------------------------------------------------------------------------------------


def _heads(layer: Any, at: At) -> Scene:
    queries, size = layer._query_dense.kernel.shape[-2:]
    others, value_size = layer._value_dense.kernel.shape[-2:]
    share = queries // others
    drawn_others = min(others, max(8 // share, 1))
    shown = drawn_others * share
    language, both = at.language, sizes(tuple(dict.fromkeys((size, value_size))))

    def row(name: str, top: float, count: int, title: str) -> Grid:
        own = {head: head * drawn_others // count for head in range(count)}
        return Grid(name, 1, count, (0.0, top), {head: str(head + 1) for head in own}, colours=own, title=title)

    output = _SAID.joined(language, sizes=sizes(at.outputs[0][-1:]))
    grids = [
        row("query heads", 0.0, shown, _SAID.of_queries(language, count=queries, size=size)),
        row("key heads", 3.5, drawn_others, _SAID.of_keys(language, count=others, size=both)),
        row("results", 7.0, shown, _SAID.results(language, count=queries, size=value_size)),
        Grid("output", 1, 1, ((shown - 1) / 2, 10.5), {0: "y"}, title=output),
    ]
    links, frames = [], []
    for head in range(shown):
        now = [
            Link(("query heads", head), ("key heads", head // share)),
            Link(("key heads", head // share), ("results", head)),
        ]
        links += [*now, Link(("results", head), ("output", 0))]
        said = _SAID.own if share == 1 else _SAID.shared
        marks = [Mark("query heads", head), Mark("key heads", head // share), Mark("results", head)]
        caption = said(language, head=head + 1, other=head // share + 1, count=share)
        frames.append(Frame(caption, marks, lit(now)))
    into = [Link(("results", head), ("output", 0), 0) for head in range(shown)]
    marks = [Mark("output", 0), *(Mark("results", head) for head in range(shown))]
    frames.append(Frame(_SAID.together(language), marks, into))
    remarks = [_SAID.fewer(language, drawn=shown, full=queries)] if shown < queries else []
    title = _SAID.split(language, name=type(layer).__name__, queries=queries, others=others)
    return Scene(title, grids, frames, links, notes=notes(grids, *remarks))
