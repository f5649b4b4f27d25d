"""Masks: where they begin, and how they travel from layer to layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...core.masking import get_mask
from ...layers import dense, lambda_, pooling, recurrent
from ..said import Said, sentences
from ..scene import Frame, Grid, Link, Mark, Scene, Style
from .kinds import At, scenes
from .parts import GAP, Sheet, cut, lit, number, numbered, sheet, sizes, smaller, twin, whole

_SAID = sentences("masks")


@scenes.register
def _(layer: lambda_.Masking, at: At) -> list[Scene]:
    given = at.inputs[0][1:]
    steps, width = cut((*given[:-1], 1)[:1], 6)[0], cut(given[-1:], 3)[0]
    x = numbered((steps, width))
    x[x == layer.mask_value] += 0.5
    hidden = sorted({steps // 3, steps - 1})
    x[hidden] = float(layer.mask_value)
    if width > 1 and steps > 1:
        x[0, 0] = float(layer.mask_value)  # one feature is not enough
    made = twin(layer, (steps, width))
    mask = made.compute_mask(x).flatten().tolist()
    values = made(x[None]).reshape(steps, width)
    titles = [_SAID.input(at.language, sizes=sizes((steps, width))), _SAID.mask(at.language), _SAID.values(at.language)]
    boards: list[Sheet] = []
    texts = (
        [number(v) for v in x.t().flatten().tolist()],
        ["T" if valid else "F" for valid in mask],
        [number(v) for v in values.t().flatten().tolist()],
    )
    for name, rows, text, title in zip(("input", "mask", "output"), (width, 1, width), texts, titles, strict=True):
        top = boards[-1].bottom + GAP if boards else 0.0
        styles: list[Any] = [None if valid else "masked" for valid in mask * rows]
        boards.append(sheet(name, (rows, steps), (0.0, top), title, text, styles))
    frames = []
    for step in range(steps):
        said = (_SAID.kept if mask[step] else _SAID.hidden)(at.language, step=step + 1, value=number(layer.mask_value))
        marks = [mark for board in boards for mark in board.marks(range(step, len(board.cells), steps))]
        links = [
            Link(("input", (width - 1) * steps + step), ("mask", step)),
            Link(("mask", step), ("output", step), dashed=not mask[step]),
        ]
        frames.append(Frame(said, marks, links))
    title = _SAID.masking(at.language, value=number(layer.mask_value))
    less = smaller(given, (steps, width)[-len(given) :], at.language)
    return [whole(title, boards, frames, less), *travels(made, x[None], at)]


# From layer to layer --------------------------------------------------------------------------------------------------


def _behind() -> list[tuple[str, Callable[[], Any], Said]]:
    """Layers that do something else with a mask each."""
    return [
        ("Dense(2)", lambda: dense.Dense(2, name="dense"), _SAID.passes),
        ("LSTM(2, return_sequences=True)", lambda: recurrent.LSTM(2, return_sequences=True, name="lstm"), _SAID.skips),
        ("GlobalAveragePooling1D()", lambda: pooling.GlobalAveragePooling1D(name="pooling"), _SAID.ends),
    ]


def travels(made: Any, x: Tensor, at: At) -> list[Scene]:
    """The mask behind `made`, called on x (1, steps, ...), and behind layers that stand behind it; found by calls."""
    name = type(made).__name__
    found: list[tuple[str, Any, Said]] = []
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        y = made(x)
        found.append((name, get_mask(y), _SAID.begins))
        for title, make, said in _behind():
            y = make()(y)
            found.append((title, get_mask(y), said))
    grids: list[Grid] = []
    links, frames = [], []
    for index, (title, mask, said) in enumerate(found):
        row = f"mask {index + 1}"
        where = (0.0, index * (1 + GAP))
        valid = [True] if mask is None else mask[0].tolist()
        texts = {0: " "} if mask is None else {step: "T" if one else "F" for step, one in enumerate(valid)}
        styles: dict[int, Style] = {step: "masked" for step, one in enumerate(valid) if not one}
        shown = _SAID.no_mask(at.language, name=title) if mask is None else title
        grids.append(Grid(row, 1, len(valid), where, texts, styles, title=shown))
        now = []
        if index:
            before = grids[-2]
            cells = [step for step in range(before.columns) if mask is not None or step not in before.styles]
            ends = cells if mask is not None else [0] * len(cells)
            now = [
                Link((before.name, step), (row, end), dashed=step in before.styles)
                for step, end in zip(cells, ends, strict=True)
            ]
        links += now
        marks = [Mark(row, step) for step in range(len(valid))]
        frames.append(Frame(said(at.language, name=title), marks, lit(now)))
    return [Scene(_SAID.travel(at.language, name=name), grids, frames, links)]
