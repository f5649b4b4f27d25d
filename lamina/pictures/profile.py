"""How long each layer of a model takes: `lamina.profile`, and the tables of it."""

from __future__ import annotations

import html
import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ..core import arrays, symbolic
from ..core.devices import device_of
from ..core.errors import for_screen, named, short, show_shape
from ..core.graph import Graph
from ..layers.embedding import Embedding
from . import clock
from .cells import shape_of
from .cost import UNKNOWN, costs
from .cost import Row as Cost
from .table import STYLE, Column, as_html, as_rich, fixed, nobody_watches, number, printed, shown, terminal_width

SECONDS = 1.0  # for the runs that are measured, in all
_REST = "(between the layers)"


@dataclass
class Row:
    """A layer within a model. Seconds are those of one batch, of all calls together; None: it has none of its own,
    because `part_of` runs it as well, or because no gradient passes it. Costs and bytes are of one sample."""

    name: str
    kind: str
    level: int  # of nesting
    shape: str
    params: int
    multiply_adds: int | None
    bytes: int | None
    forward: float | None = None
    backward: float | None = None
    part_of: str = ""

    @property
    def seconds(self) -> float:
        return (self.forward or 0.0) + (self.backward or 0.0)


@dataclass(repr=False)
class Profile:
    """What was measured, a row a layer. `forward` and `backward`: seconds of a batch, with the clock running; rows of
    level 0 and `rest` add up to them. `undisturbed`: seconds of both without it. Shows itself in notebooks."""

    model: str
    device: str
    threads: int
    batch_size: int
    train: bool
    runs: int
    rows: list[Row]
    forward: float
    backward: float | None
    rest: tuple[float, float | None]
    undisturbed: float
    _layers: list[Any] = field(default_factory=list)  # of the rows

    @property
    def seconds(self) -> float:
        return self.forward + (self.backward or 0.0)

    @property
    def overhead(self) -> float:
        """How much longer the runs took because of the clock: 0.05 is 5 %."""
        return self.seconds / self.undisturbed - 1

    def __str__(self) -> str:
        return self._text(terminal_width(), plain=True)

    __repr__ = __str__

    def print(self) -> None:
        """Write the table to the screen, in colours where that is a terminal."""
        print(for_screen(self._text(terminal_width(), plain=nobody_watches())), end="")

    def as_dict(self) -> dict[str, Any]:
        """All of it in lists, dictionaries, numbers and texts."""
        told = {name: value for name, value in vars(self).items() if name not in ("rows", "rest", "_layers")}
        rows = [asdict(row) for row in self.rows]
        return {**told, "rest": {"forward": self.rest[0], "backward": self.rest[1]}, "rows": rows}

    def save(self, path: str | Path) -> None:
        """Write it to a file that ends in .json, .html or .txt. Raises ValueError for another."""
        path = Path(path)
        write = {
            ".json": lambda: json.dumps(self.as_dict(), indent=1),
            ".html": lambda: (
                f"<!doctype html><meta charset=utf-8><meta name=color-scheme content='light dark'>"
                f"<title>{html.escape(self.model)}</title>{self._html(len(self.rows) + 1)}"
            ),
            ".txt": self.__str__,
        }.get(path.suffix.lower())
        if write is None:
            raise ValueError(f"Profile.save: the name must end in .json, .html or .txt; got {str(path)!r}.")
        path.write_text(write(), encoding="utf-8")

    def _repr_html_(self) -> str:
        return self._html(100)

    def _html(self, most: int) -> str:
        table = as_html(self._columns(), self._with_rest(), most)
        lines = "<br>".join(html.escape(line) for line in self._says())
        return f'<div class="lamina">{STYLE}<b>{html.escape(self.model)}</b>\n{table}\n<div>{lines}</div></div>'

    def _text(self, width: int, plain: bool) -> str:
        columns = self._columns()
        width = min(width, 70 + fixed(columns))
        left = width - fixed(columns)
        shares = [left - left * 4 // 9, left * 4 // 9]
        table = as_rich(columns, self._with_rest(), width, shares, lines=False)
        return printed([f'[bold]Model: "{shown(self.model)}"[/]', table, *map(shown, self._says())], width, plain)

    def _with_rest(self) -> list[Row]:
        return [*self.rows, Row(_REST, "", 0, "", 0, None, None, *self.rest)]

    def _columns(self) -> list[Column]:
        def cost(row: Row) -> str:
            return "" if row.name == _REST else number("?" if row.multiply_adds is None else f"{row.multiply_adds:,}")

        def share(row: Row) -> str:
            return "" if row.forward is None else f"{row.seconds / self.seconds:.1%}"

        made = [
            Column("Layer (type)", lambda row: f"{'   ' * row.level}{'└ ' * (row.level > 0)}{_called(row)}"),
            Column("Output shape", lambda row: shown(row.shape)),
            Column("Param #", lambda row: "" if row.name == _REST else number(f"{row.params:,}"), 11, "right"),
            Column("Multiply-adds", cost, 15, "right"),
            Column("Forward", lambda row: number(duration(row.forward)), 8, "right"),
        ]
        if self.train:
            made.append(Column("Backward", lambda row: number(duration(row.backward)), 8, "right"))
        return [*made, Column("Share", share, 6, "right")]

    def columns_by_layer(self) -> list[Column]:
        """The times as columns of `summary`, whose items are (layer, level of nesting)."""
        found: dict[int, Row] = {}
        for layer, row in zip(self._layers, self.rows, strict=True):
            found.setdefault(id(layer), row)

        def column(title: str, which: str) -> Column:
            def cell(item: Any) -> str:
                row = found.get(id(item[0]))
                if row is None:
                    return ""
                return f"with {shown(row.part_of)}" if row.part_of else number(duration(getattr(row, which)))

            return Column(title, cell, 10, "right")

        return [column("Forward", "forward"), *([column("Backward", "backward")] if self.train else [])]

    def total_line(self) -> str:
        """What is said below the table, in rich's markup."""
        return f"[bold] Time of a batch of {self.batch_size}: [/]{shown(self._says()[0])}"

    def _says(self) -> list[str]:
        both = f"forward {duration(self.forward)}"
        both += "" if self.backward is None else f", backward {duration(self.backward)}"
        each = duration(self.seconds / self.batch_size)
        return [
            f"{both} ({each} a sample; {self.device}, {self.threads} thread{'s' * (self.threads > 1)}, "
            f"mean of the faster half of {self.runs} runs)",
            f"batch of {self.batch_size}; without the clock {duration(self.undisturbed)}",
        ]


def _called(row: Row) -> str:
    if not row.kind:
        return shown(row.name)
    return f"{shown(row.name)} ({shown(row.kind)}){f', with {shown(row.part_of)}' if row.part_of else ''}"


def duration(seconds: float | None) -> str:
    """ "12.3 ms"; a dash for None."""
    if seconds is None:
        return "-"
    for unit, factor in (("s", 1), ("ms", 1e3)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


def profile(
    model: Any,
    data: Any = None,
    batch_size: int = 32,
    train: bool = False,
    input_shape: Sequence[int] | None = None,
    seconds: float = SECONDS,
) -> Profile:
    """Measure how long each layer of a model takes for a batch, with torch's clock of the device it lies on.

    data: an array, a list or dictionary of arrays, or what gives batches; its first `batch_size` samples are used.
    Without data: random numbers of the model's input shape, or of `input_shape`, which has no batch axis.
    train: in training mode and also back, from a gradient of ones at the outputs; weights, statistics and random states
    are left as they were. Losses, metrics and optimizers are not in it. seconds: how long it measures; each way is run
    at least four times. On a GPU layers that are launched one after another count with the gaps between their kernels.
    Raises ValueError for a model that is not built and for open sizes without data.
    """
    if not model.built:
        raise ValueError(f"profile: {named(model)} is not built: call it on data or build it first.")
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"profile: `batch_size` must be a whole number of at least 1; got {short(batch_size)}.")
    inputs = _random(model, batch_size, input_shape) if data is None else _batch_of(data, batch_size)
    device = device_of(model)
    inputs = model._convert((inputs,), {})[0][0]
    if clock.graph_of(model) is not None and isinstance(inputs, list):
        inputs = model.structured(inputs)
    inputs = pytree.tree_map(lambda leaf: leaf.to(device) if isinstance(leaf, Tensor) else leaf, inputs)
    samples = next((leaf.shape[0] for leaf in pytree.tree_leaves(inputs) if getattr(leaf, "shape", ())), batch_size)
    with clock.as_found(model, train), torch.set_grad_enabled(train):
        for _ in range(2):
            clock.run(model, inputs, clock.Clock(device), train)
        plain = clock.measure(lambda: clock.run(model, inputs, clock.Clock(device), train), seconds / 2)
        places: list[clock.Place] = [clock.Place(0, (id(model),))]
        with clock.clocked(model, places) as put:
            clock.run(model, inputs, put(clock.Clock(device)), train)
            timed = clock.measure(lambda: clock.run(model, inputs, put(clock.Clock(device)), train), seconds / 2)
    times = clock.mean([each.by_place(len(places)) for each in clock.faster_half(timed)])
    undisturbed = statistics.mean(each.total() for each in clock.faster_half(plain))
    return _made(model, places, times, undisturbed, samples, train, len(timed), device)


# Data -----------------------------------------------------------------------------------------------------------------


def _batch_of(data: Any, batch_size: int) -> Any:
    """The first samples of arrays, or of the first of several batches, of which targets are left out."""
    if not isinstance(data, (Tensor, np.ndarray, list, tuple, Mapping)):
        data = next(iter(data))
    if isinstance(data, tuple):
        data = data[0]
    if arrays.is_listed(data):
        data = np.asarray(data)
    return pytree.tree_map(lambda leaf: leaf[:batch_size] if hasattr(leaf, "shape") else leaf, data)


def _random(model: Any, batch_size: int, input_shape: Sequence[int] | None) -> Any:
    """Random inputs: small integers where they are numbers of words, else from 0 to 1."""
    graph = clock.graph_of(model)
    words = min((each.input_dim for each in model.modules() if isinstance(each, Embedding)), default=2)

    if model._takes_text:
        raise ValueError(f"profile: {named(model)} takes texts: give `data`.")

    def of(shape: Sequence[int | None], is_integer: bool) -> Tensor:
        sizes = tuple(shape[1:]) if input_shape is None else tuple(input_shape)
        if None in sizes:
            raise ValueError(
                f"profile: {named(model)} leaves sizes of its input open, {show_shape(shape)}: give `data` or "
                "`input_shape`."
            )
        made = (batch_size, *map(int, sizes))  # type: ignore[arg-type]
        return torch.randint(words, made) if is_integer else torch.rand(made)

    if graph is not None:
        found = [of(tensor.shape, _is_integer(graph, tensor)) for tensor in graph.inputs]
        return found[0] if len(found) == 1 else model.structured(found)
    args, kwargs = model._build_shapes or ((), {})
    shape = next(iter((*args, *kwargs.values())), None)
    if shape is None and input_shape is None:
        raise ValueError(f"profile: the input of {named(model)} is not known: give `data` or `input_shape`.")
    integer = next((isinstance(each, Embedding) for each in model.modules() if each._parameters), False)
    if input_shape is not None:
        return of((), integer)
    return symbolic.map_shapes(lambda each: of(each, integer), shape)


def _is_integer(graph: Graph, tensor: Any) -> bool:
    """Whether an input holds integers, or numbers of words that a layer looks up."""
    if getattr(tensor.torch_dtype, "is_floating_point", True) is False:
        return True
    for node in graph.nodes:
        for place, each in enumerate(node.inputs):
            inner = clock.graph_of(node.layer)
            if each is tensor and (
                isinstance(node.layer, Embedding) or (inner and _is_integer(inner, inner.inputs[place]))
            ):
                return True
    return False


# Rows -----------------------------------------------------------------------------------------------------------------


def _made(
    model: Any,
    places: list[clock.Place],
    times: clock.Times,
    undisturbed: float,
    samples: int,
    train: bool,
    runs: int,
    device: torch.device,
) -> Profile:
    cost_of = costs(model).rows
    by_layer: dict[tuple[int, int], list[int]] = defaultdict(list)
    with_others: dict[tuple[int, int], int] = {}
    for number_, place in enumerate(places):
        by_layer[place.owner, place.layers[0]].append(number_)
        with_others |= {(place.owner, other): place.layers[0] for other in place.layers[1:]}
    names = {id(layer): layer.name for owner in clock.opened(model) for layer in clock.inside(owner)}
    layers: list[Any] = []

    def rows_of(owner: Any, level: int) -> list[Row]:
        made = []
        for layer in dict.fromkeys(clock.inside(owner)):
            cost = cost_of.get(id(layer), Cost(UNKNOWN, "?"))
            work, held = (each.exact for each in (cost.multiply_adds, cost.memory))
            params = layer.count_params() if layer.built else 0
            row = Row(layer.name, type(layer).__name__, level, shape_of(layer), params, work, held)
            layers.append(layer)
            made.append(row)
            below = rows_of(layer, level + 1) if clock.is_open(layer) else []
            key = id(owner), id(layer)
            if key in by_layer:
                row.forward = sum(times.forward[place] for place in by_layer[key])
                backs = [times.backward[place] for place in by_layer[key]]
                backs += [each.backward for each in below if each.level == level + 1]
                row.backward = sum(back for back in backs if back is not None) if set(backs) - {None} else None
            elif key in with_others:
                row.part_of = names[with_others[key]]
            made += below
        return made

    rows = rows_of(model, 0)
    whole, back = times.total
    top = [row for row in rows if row.level == 0]
    rest = whole - sum(row.forward or 0.0 for row in top)
    rest_back = None if back is None else back - sum(row.backward or 0.0 for row in top)
    said = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()
    return Profile(
        model.name, said, torch.get_num_threads(), samples, train, runs, rows, whole, back, (rest, rest_back),
        undisturbed, layers,
    )  # fmt: skip
