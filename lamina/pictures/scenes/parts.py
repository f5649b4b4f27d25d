"""What scenes are made of: small twins of layers, which may be run, and tensors as grids."""

from __future__ import annotations

import inspect
import itertools
import math
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..said import Language, sentences
from ..scene import PLAIN, Frame, Grid, Link, Mark, Note, Scene, Style

GAP = 2.0  # between grids: room for a title
_SAID = sentences("parts")


# Layers -----------------------------------------------------------------------------------------------------------


def cut(shape: Sequence[int | None], most: int, unknown: int | None = None) -> tuple[int, ...]:
    """The shape with no size above `most`; unknown ones are `unknown`, by default as large as allowed."""
    return tuple(min(size or unknown or most, most) for size in shape)


def twin(
    layer: Any, *shapes: Sequence[int], positive: bool = True, settings: Mapping[str, Any] | None = None, **changes: Any
) -> Any:
    """Another layer of the same config, built for one sample of these shapes, all weights positive unless told not to.

    `settings` are attributes it gets before it is built, `changes` arguments.
    The given layer, the counts of names and torch's random numbers stay as they are.
    """
    config = {**layer.get_config(), "name": layer.name, "dtype": "float32", **changes}
    for name, declared in type(layer)._args.items():  # functions of somebody's own stand in no registry
        value = vars(layer).get(declared.attribute)
        if name in config and callable(value) and not hasattr(value, "get_config"):
            config[name] = value
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = type(layer).from_config(config)
        if hasattr(layer, "data_format"):  # some configs of Keras 1 do not tell it
            vars(made)["data_format"] = layer.data_format
        vars(made).update(settings or {})
        if not made.built:
            given = [(1, *shape) for shape in shapes]
            one = len(given) == 1 or len(inspect.signature(made.build).parameters) > 1
            made.build(*given) if one else made.build(given)
        with torch.no_grad():
            for weight in made.weights:
                if positive and weight.is_floating_point():
                    weight.copy_(0.2 + 0.8 * torch.rand(weight.shape))
    return made


def numbered(shape: Sequence[int], first: int = 1) -> Tensor:
    """Values first, first + 1, ... in this shape."""
    return torch.arange(first, first + math.prod(shape), dtype=torch.float32).reshape(tuple(shape))


def drawn(shape: Sequence[int], seed: int = 0) -> Tensor:
    """Normal values, always the same."""
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed))


def influence(function: Callable[..., Tensor], *inputs: Tensor) -> list[Tensor]:
    """For each input a table (outputs, values of the input): True where the output changes with the value."""
    found = torch.autograd.functional.jacobian(function, inputs)
    return [each.reshape(-1, x.numel()) != 0 for each, x in zip(found, inputs, strict=True)]


# Numbers and sizes as texts ---------------------------------------------------------------------------------------


def number(value: float) -> str:
    """Three digits or so: 7, 0.5, 1.25, 22.8, 784."""
    text = f"{value:.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def breadth(text: str) -> float:
    """About how many cells a title is wide."""
    return sum(0.5 if unicodedata.east_asian_width(letter) in "WF" else 0.28 for letter in text)


def sizes(shape: Sequence[int | None]) -> str:
    return " × ".join("?" if size is None else str(size) for size in shape) or "1"


def smaller(full: Sequence[int | None], shown: Sequence[int], language: Language, part: bool = False) -> str:
    """What says that a drawing has other sizes; "" where it has the same."""
    if all(size in (None, other) for size, other in zip(full, shown, strict=True)):
        return ""
    return (_SAID.part if part else _SAID.cut)(language, drawn=sizes(shown), full=sizes(full))


def notes(grids: Iterable[Grid], *texts: str) -> list[Note]:
    """Texts under all grids, one a line."""
    bottom = max(grid.at[1] + grid.rows for grid in grids)
    said = [text for text in texts if text]
    return [Note((0.0, bottom + 1 + line), text) for line, text in enumerate(said)]


def lit(links: Iterable[Link], colour: int = 0) -> list[Link]:
    """Lines as they stand out in their frame."""
    return [link._replace(colour=colour) for link in links]


# Tensors ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Board:
    """A tensor as grids, and where its values, or places, are in them: those that are drawn."""

    grids: Sequence[Grid]
    cells: Mapping[Any, tuple[str, int]]

    def marks(self, values: Iterable[Any], colour: int = PLAIN) -> list[Mark]:
        return [Mark(*self.cells[value], colour) for value in values if value in self.cells]

    @property
    def right(self) -> float:
        return max(grid.at[0] + grid.columns for grid in self.grids)

    @property
    def bottom(self) -> float:
        return max(grid.at[1] + grid.rows for grid in self.grids)


@dataclass(frozen=True)
class Sheet(Board):
    """A tensor as grids: its last two axes are rows and columns; for each place along the others there is a grid.

    Values are numbered as in memory. `shape` is the tensor's, `shown` what is drawn of it, from the start of each axis.
    """

    shape: tuple[int, ...]
    shown: tuple[int, ...]


def whole(title: str, boards: Iterable[Board], frames: Sequence[Frame], *below: str) -> Scene:
    """The grids of boards, and texts under them."""
    grids = [grid for board in boards for grid in board.grids]
    return Scene(title, grids, frames or [Frame("")], notes=notes(grids, *below))


class Layout(NamedTuple):
    """How the grids of a sheet are cut, named and set."""

    of: str = ""  # numbers the grids, as in "sample {}"
    most: tuple[int, int, int] = (3, 6, 12)  # grids along each leading axis, rows, columns
    room: float = 0.0  # least width of the first grid
    axes: tuple[str, str] = ("", "")  # what runs down and across


_WHOLE = Layout()


def sheet(
    name: str,
    shape: Sequence[int],
    at: tuple[float, float] = (0.0, 0.0),
    title: str = "",
    texts: Sequence[str] | None = None,
    styles: Sequence[Style | None] | None = None,
    colours: Sequence[int] | None = None,
    layout: Layout = _WHOLE,
) -> Sheet:
    """A tensor drawn at `at`; texts, styles and colours are one a value."""
    of, most, room, axes = layout
    shape = tuple(shape) or (1,)
    shape = shape[:-1] if len(shape) > 2 and shape[-1] == 1 else shape
    limits = (most[0],) * (len(shape) - 2) + most[-2:] if len(shape) > 1 else most[-1:]
    shown = tuple(map(min, shape, limits))
    rows, columns = (1, *shown)[-2:]
    kept = torch.arange(math.prod(shape)).reshape(shape)[tuple(map(slice, shown))].reshape(-1, rows * columns).tolist()
    grids: list[Grid] = []
    cells: dict[int, tuple[str, int]] = {}
    for count, values in enumerate(kept):
        key = f"{name} {count + 1}" if len(kept) > 1 else name
        parts = [title] if title and (count == 0 or not of) else []
        parts += [of.format(count + 1)] if of and len(kept) > 1 else []
        wide = max(columns, breadth(grids[-1].title), room if count == 1 else 0) if grids else 0
        corner = grids[-1].at[0] + wide + 1 if grids else at[0], at[1]
        cells |= {value: (key, cell) for cell, value in enumerate(values)}
        said, looks, tints = (_by_cell(values, each) for each in (texts, styles, colours))
        names = axes if count == 0 else ("", "")
        grids.append(Grid(key, rows, columns, corner, said, looks, tints, names, ", ".join(parts)))
    return Sheet(grids, cells, shape, shown)


def _by_cell(values: list[int], given: Sequence[Any] | None) -> dict[int, Any]:
    """What is given for each value, by cell; None and PLAIN say nothing."""
    by_cell = {} if given is None else {cell: given[value] for cell, value in enumerate(values)}
    return {cell: each for cell, each in by_cell.items() if each not in (None, PLAIN)}


def rows_of(shape: Sequence[int]) -> list[list[int]]:
    """The values of each row, along the last axis, numbered as in memory."""
    width = shape[-1] if shape else 1
    count = math.prod(shape)
    return [list(range(start, start + width)) for start in range(0, count, width)]


def joined(table: Tensor) -> list[int]:
    """A colour for each value of a table (values, values) that is True where one is computed from the other: values
    that hang together, directly or through others, have one colour."""
    colours = [PLAIN] * len(table)
    fresh = itertools.count()
    for start in range(len(table)):
        if colours[start] != PLAIN:
            continue
        colour, waiting = next(fresh), [start]
        while waiting:
            value = waiting.pop()
            if colours[value] == PLAIN:
                colours[value] = colour
                waiting += (table[value] | table[:, value]).nonzero().flatten().tolist()
    return colours
