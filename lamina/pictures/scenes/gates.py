"""What a recurrent cell computes in one step, and other layers with gates: formulas, and which value enters which."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ... import activations
from ...layers import convolutional_recurrent, old, recurrent
from ..said import Said, sentences
from ..scene import Frame, Grid, Link, Mark, Note, Scene, Style
from .kinds import At, scenes
from .parts import lit

NEW = "'"  # behind the name of a value after the step
_NAMES = re.compile(rf"(?<![A-Za-z])[a-z]{NEW}?(?![A-Za-z(])")
_SAID = sentences("gates")
_GIVEN: dict[str, Said] = vars(_SAID.given)


Places = Mapping[str, tuple[float, float]]


def flow(
    title: str, at: At, texts: Mapping[str, str], meanings: Any, places: Places, given: Mapping[str, Said] = _GIVEN
) -> Scene:
    """One cell for each value at its place, lines to what is computed from it, and one frame a formula.

    texts: how values are computed; · is a matrix product, * a convolution, ⊙ a product by value. meanings: what these
    are, by the first letter of their names. given: what those are that no formula computes.
    """
    grids = []
    for name, where in places.items():
        style: Style = "state" if name[0] in "hc" else "value" if name in "xy" else "weight"
        said = given[name](at.language) if name in given else " "
        grids.append(Grid(name, 1, 1, where, {0: name}, {0: style}, title=said))
    links, frames = [], []
    lines = [f"{name} = {text}" for name, text in texts.items()]
    for (name, text), line in zip(texts.items(), lines, strict=True):
        sources = dict.fromkeys(each for each in _NAMES.findall(text) if each in places)
        into = [Link((source, 0), (name, 0)) for source in sources]
        links += into
        said = _SAID.comes_from(at.language, meaning=meanings[name[0]](at.language), formula=line)
        frames.append(Frame(said, [*(Mark(source, 0, 0) for source in sources), Mark(name, 0)], lit(into)))
    signs = vars(_SAID.signs).items()
    lines += [said(at.language) for sign, said in signs if any(sign in text for text in texts.values())]
    bottom = max(y for _, y in places.values()) + 2.5
    below = [Note((0.0, bottom + line), text) for line, text in enumerate(lines)]
    return Scene(title, grids, frames, links, notes=below)


def applied(function: Any, text: str) -> str:
    """The function of a text, as its name is written, f where it has none; the text itself where it is the identity."""
    if function is activations.linear:
        return text
    name = getattr(function, "__name__", type(function).__name__)
    return f"{name if name.isidentifier() else 'f'}({text})"


def _affine(gate: str, product: str, bias: bool) -> str:
    """What the inputs and the state bring to a gate."""
    return f"x{product}W{gate} + h{product}U{gate}" + (f" + b{gate}" if bias else "")


def _simple(cell: Any) -> dict[str, str]:
    return {f"h{NEW}": applied(cell.activation, _affine("", "·", cell.use_bias))}


def _lstm(cell: Any) -> dict[str, str]:
    product = "*" if isinstance(cell, convolutional_recurrent.ConvLSTMCell) else "·"

    def gate(name: str, function: Any) -> str:
        return applied(function, _affine(name, product, cell.use_bias))

    return {
        "i": gate("i", cell.recurrent_activation), "f": gate("f", cell.recurrent_activation),
        "g": gate("g", cell.activation), f"c{NEW}": "f ⊙ c + i ⊙ g", "o": gate("o", cell.recurrent_activation),
        f"h{NEW}": f"o ⊙ {applied(cell.activation, f'c{NEW}')}",
    }  # fmt: skip


def _gru(cell: Any) -> dict[str, str]:
    bias = cell.use_bias
    both = cell.reset_after and bias  # then the products with the state have a bias of their own

    def gate(name: str) -> str:
        text = _affine(name, "·", bias) + (f" + d{name}" if both else "")
        return applied(cell.recurrent_activation, text)

    if cell.reset_after:
        state = "h·Ug + dg" if bias else "h·Ug"
        candidate = "x·Wg" + (" + bg" if bias else "") + f" + r ⊙ ({state})"
    else:
        candidate = "x·Wg + (r ⊙ h)·Ug" + (" + bg" if bias else "")
    mixed = "z ⊙ h + (1 - z) ⊙ g"
    return {"z": gate("z"), "r": gate("r"), "g": applied(cell.activation, candidate), f"h{NEW}": mixed}


_LSTM: Places = {
    "c": (0, 0), "x": (0, 4), "h": (0, 7), "f": (7, 2), "i": (7, 4), "g": (7, 6), "o": (7, 8), f"c{NEW}": (12, 0),
    f"h{NEW}": (15, 8),
}  # fmt: skip
_GRU: Places = {"h": (0, 0), "x": (0, 6.5), "z": (7, 1.5), "r": (7, 3.2), "g": (11, 6.5), f"h{NEW}": (15, 0)}
# How the formulas of a cell are made, and where its values stand.
_CELLS: dict[type, tuple[Callable[[Any], dict[str, str]], Places]] = {
    recurrent.SimpleRNNCell: (_simple, {"h": (0, 0), "x": (0, 3), f"h{NEW}": (7, 1.5)}),
    recurrent.GRUCell: (_gru, _GRU),
    recurrent.LSTMCell: (_lstm, _LSTM),
    convolutional_recurrent.ConvLSTMCell: (_lstm, _LSTM),
}


def gates(cell: Any, at: At) -> list[Scene]:
    """One step of a cell, or of each kind in a stack, where it is known; the notes are its formulas, in the order in
    which they are computed."""
    found = []
    for one in {type(each): each for each in getattr(cell, "cells", [cell])}.values():
        known = next((_CELLS[kind] for kind in type(one).__mro__ if kind in _CELLS), None)
        if known is not None:
            formulas, places = known
            title = _SAID.title(at.language, name=type(one).__name__)
            found.append(flow(title, at, formulas(one), _SAID.meanings, places))
    return found


for _kind in _CELLS:
    scenes.register(_kind, gates)


@scenes.register
def _(layer: old.Highway, at: At) -> list[Scene]:
    """The gate's weights are called `carry` and `carry_bias`."""
    biases = (" + bt", " + bg") if layer.use_bias else ("", "")
    texts = {
        "t": f"sigmoid(x·Wt{biases[0]})",
        "g": applied(layer.activation, f"x·Wg{biases[1]}"),
        "y": "t ⊙ g + (1 - t) ⊙ x",
    }
    places: Places = {"x": (0, 3), "t": (6, 0), "g": (6, 3), "y": (11, 3)}
    return [flow(_SAID.whole(at.language, name="Highway"), at, texts, _SAID.highway, places, vars(_SAID.input))]
