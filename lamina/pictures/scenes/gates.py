"""What a recurrent cell computes in one step, and other layers with gates: formulas, and which value enters which."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ... import activations
from ...layers import convolutional_recurrent, old, recurrent
from ..said import Said, sentences
from ..scene import Frame, Grid, Link, Mark, Note, Scene
from .kinds import At, scenes

NEW = "'"  # behind the name of a value after the step


class Formula(NamedTuple):
    """`text` says how the value `name` is computed; · is a matrix product, * a convolution, ⊙ a product by value."""

    name: str
    text: str
    meaning: Said


_NAMES = re.compile(rf"(?<![A-Za-z])[a-z]{NEW}?(?![A-Za-z(])")
_SAID = sentences("gates")
_GIVEN: dict[str, Said] = vars(_SAID.given)


def flow(
    title: str,
    at: At,
    formulas: Sequence[Formula],
    places: dict[str, tuple[float, float]],
    given: dict[str, Said] = _GIVEN,
) -> Scene:
    """One cell for each value at its place, lines to what is computed from it, and one frame a formula.

    `given` says what those are that no formula computes.
    """
    grids = [
        Grid(
            name,
            1,
            1,
            where,
            {0: name},
            {0: "state" if name[0] in "hc" else "value" if name in "xy" else "weight"},
            title=given[name](at.language) if name in given else " ",
        )
        for name, where in places.items()
    ]
    links, frames = [], []
    for formula in formulas:
        sources = dict.fromkeys(name for name in _NAMES.findall(formula.text.split("=")[1]) if name in places)
        into = [Link((source, 0), (formula.name, 0)) for source in sources]
        links += into
        said = _SAID.comes_from(at.language, meaning=formula.meaning(at.language), formula=formula.text)
        marks = [*(Mark(source, 0, 0) for source in sources), Mark(formula.name, 0)]
        frames.append(Frame(said, marks, [link._replace(colour=0) for link in into]))
    lines = [formula.text for formula in formulas]
    lines += [said(at.language) for sign, said in vars(_SAID.signs).items() if any(sign in text for text in lines)]
    bottom = max(y for _, y in places.values()) + 2.5
    return Scene(
        title, grids, frames, links, notes=[Note((0.0, bottom + line), text) for line, text in enumerate(lines)]
    )


def applied(function: Any, text: str) -> str:
    """The function of a text, as its name is written, f where it has none; the text itself where it is the identity."""
    if function is activations.linear:
        return text
    name = getattr(function, "__name__", type(function).__name__)
    return f"{name if name.isidentifier() else 'f'}({text})"


def _affine(gate: str, product: str, bias: bool) -> str:
    """What the inputs and the state bring to a gate."""
    return f"x{product}W{gate} + h{product}U{gate}" + (f" + b{gate}" if bias else "")


def _meant(formulas: dict[str, str]) -> list[Formula]:
    return [Formula(name, f"{name} = {text}", _SAID.meanings[name[0]]) for name, text in formulas.items()]


def _simple(cell: Any) -> list[Formula]:
    return _meant({f"h{NEW}": applied(cell.activation, _affine("", "·", cell.use_bias))})


def _lstm(cell: Any) -> list[Formula]:
    product = "*" if isinstance(cell, convolutional_recurrent.ConvLSTMCell) else "·"

    def gate(name: str, function: Any) -> str:
        return applied(function, _affine(name, product, cell.use_bias))

    return _meant(
        {name: gate(name, cell.recurrent_activation) for name in "if"}
        | {"g": gate("g", cell.activation)}
        | {f"c{NEW}": "f ⊙ c + i ⊙ g", "o": gate("o", cell.recurrent_activation)}
        | {f"h{NEW}": f"o ⊙ {applied(cell.activation, f'c{NEW}')}"}
    )


def _gru(cell: Any) -> list[Formula]:
    bias = cell.use_bias
    after = cell.reset_after

    def gate(name: str) -> str:
        both = after and bias  # then the products with the state have a bias of their own
        return _affine(name, "·", bias) + (f" + d{name}" if both else "")

    if after:
        state = "h·Ug + dg" if bias else "h·Ug"
        candidate = "x·Wg" + (" + bg" if bias else "") + f" + r ⊙ ({state})"
    else:
        candidate = "x·Wg + (r ⊙ h)·Ug" + (" + bg" if bias else "")
    return _meant(
        {name: applied(cell.recurrent_activation, gate(name)) for name in "zr"}
        | {"g": applied(cell.activation, candidate), f"h{NEW}": "z ⊙ h + (1 - z) ⊙ g"}
    )


# How the formulas of a cell are made, and where its values stand.
_CELLS: dict[type, tuple[Callable[[Any], list[Formula]], dict[str, tuple[float, float]]]] = {
    recurrent.SimpleRNNCell: (_simple, {"h": (0, 0), "x": (0, 3), f"h{NEW}": (7, 1.5)}),
    recurrent.GRUCell: (
        _gru, {"h": (0, 0), "x": (0, 6.5), "z": (7, 1.5), "r": (7, 3.2), "g": (11, 6.5), f"h{NEW}": (15, 0)},
    ),
    recurrent.LSTMCell: (
        _lstm,
        {
            "c": (0, 0), "x": (0, 4), "h": (0, 7), "f": (7, 2), "i": (7, 4), "g": (7, 6), "o": (7, 8),
            f"c{NEW}": (12, 0), f"h{NEW}": (15, 8),
        },
    ),
}  # fmt: skip
_CELLS[convolutional_recurrent.ConvLSTMCell] = _CELLS[recurrent.LSTMCell]


def gates(cell: Any, at: At) -> list[Scene]:
    """One step of a cell, where it is known; the notes are its formulas, in the order in which they are computed."""
    known = next((_CELLS[kind] for kind in type(cell).__mro__ if kind in _CELLS), None)
    if known is None:
        return []
    formulas, places = known
    return [flow(_SAID.title(at.language, name=type(cell).__name__), at, formulas(cell), places)]


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
    formulas = [Formula(name, f"{name} = {text}", _SAID.highway[name]) for name, text in texts.items()]
    places: dict[str, tuple[float, float]] = {"x": (0, 3), "t": (6, 0), "g": (6, 3), "y": (11, 3)}
    return [flow(_SAID.whole(at.language, name="Highway"), at, formulas, places, vars(_SAID.input))]
