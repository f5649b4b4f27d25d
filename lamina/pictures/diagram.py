"""A model as boxes and arrows, which `dot.py` writes as text and `layout.py` gives places."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch.utils import _pytree as pytree

from .. import layers
from ..core.errors import named, printable, show_shape
from ..core.layer import Layer
from ..layers import attention, convolution, local, merge, normalization, pooling

TRAINED, FIXED, INPUT = "#228b22", "#b22222", "#555555"


_COLOURS: tuple[tuple[Any, str], ...] = (
    (layers.InputLayer, INPUT),
    ((convolution._Convolution, local.LocallyConnected), "#1f4e8c"),
    ((layers.Dense, layers.EinsumDense, layers.Embedding), "#5b3a8c"),
    ((layers.RNN, layers.Bidirectional), "#8c3a62"),
    (attention._Attention, "#8c4a1f"),
    (normalization._Normalization, "#1f6b6b"),
    ((pooling._Pooling, pooling._GlobalPooling, pooling._AdaptivePooling), "#2e6b2e"),
    (merge.Merge, "#7a6000"),
)


class Cell(NamedTuple):
    """A text in a box: what it is called (may be empty), what it says, and a colour behind it."""

    label: str
    text: str
    colour: str | None = None


@dataclass(eq=False)
class Box:
    """A layer: its title, and rows of cells. `alike`: what layers have in common that differ in name alone."""

    key: str
    title: str
    rows: list[list[Cell]] = field(default_factory=list)
    colour: str = "black"  # behind the title
    alike: Hashable = None


@dataclass(eq=False)
class Diagram:
    """Boxes and the diagrams of models inside, with arrows between them; `ends` of an arrow are keys of boxes."""

    key: str
    title: str
    parts: list[Box | Diagram]
    arrows: list[tuple[str, str]]  # between boxes anywhere below

    def boxes(self) -> Iterator[Box]:
        for part in self.parts:
            yield from part.boxes() if isinstance(part, Diagram) else (part,)


class Shown(NamedTuple):
    """What the boxes show."""

    shapes: bool = False
    dtype: bool = False
    names: bool = True
    expand: bool = False
    activations: bool = False
    trainable: bool = False


def diagram(model: Any, shown: Shown, change: Callable[[Diagram], None] | None = None) -> Diagram:
    """The boxes and arrows of a model, changed by a function where one is given. Raises ValueError for a model that is
    not built."""
    if not isinstance(model, Layer):
        raise TypeError(f"plot_model: expected a model; got {type(model).__name__}.")
    if not model.built:
        raise ValueError(f"plot_model: {named(model)} is not built: call it on data or build it first.")
    made = _Maker(shown).diagram(model)
    if change is not None:
        change(made)
    _share_out(made, list(dict.fromkeys(_arrows(made))))
    return made


def _arrows(diagram: Diagram) -> Iterator[tuple[str, str]]:
    yield from diagram.arrows
    for part in diagram.parts:
        if isinstance(part, Diagram):
            yield from _arrows(part)


def _share_out(diagram: Diagram, arrows: list[tuple[str, str]]) -> None:
    """Give each arrow to the innermost diagram that has both its ends: a shared layer may stand in another model."""
    inside = {box.key: part for part in diagram.parts if isinstance(part, Diagram) for box in part.boxes()}
    diagram.arrows = [(a, b) for a, b in arrows if a not in inside or inside[a] is not inside.get(b)]
    for part in diagram.parts:
        if isinstance(part, Diagram):
            _share_out(part, [(a, b) for a, b in arrows if inside.get(a) is part is inside.get(b)])


class _Maker:
    def __init__(self, shown: Shown):
        self._shown = shown
        self._keys: dict[int, str] = {}  # of layers, by their ids

    def diagram(self, model: Any) -> Diagram:
        graph = _graph_of(model)
        key = self._key(model)
        title = printable(model.name)
        if graph is None:
            return Diagram(key, title, [self._box(model, [])], [])
        calls: dict[int, list[Any]] = {}
        for node in (*graph.input_nodes, *graph.nodes):
            calls.setdefault(id(node.layer), []).append(node)
        parts: list[Box | Diagram] = []
        for layer in dict.fromkeys(model.layers if _is_stack(model) else graph.layers):
            if id(layer) in self._keys:  # it has its box elsewhere
                continue
            inside = self._shown.expand and _graph_of(layer) is not None
            parts.append(self.diagram(layer) if inside else self._box(layer, calls.get(id(layer), [])))
        arrows = [
            (before, after)
            for node in graph.nodes
            for index, tensor in enumerate(node.inputs)
            for before in self._ends(tensor)
            for after in self._starts(node.layer, index)
        ]
        return Diagram(key, title, parts, arrows)

    def _key(self, layer: Any) -> str:
        return self._keys.setdefault(id(layer), f"n{len(self._keys)}")

    def _ends(self, tensor: Any) -> list[str]:
        """The box that an arrow from a tensor begins at; none where the tensor is a stack's input, which has no box."""
        layer = tensor.node.layer
        if self._shown.expand and (graph := _graph_of(layer)) is not None:
            return self._ends(pytree.tree_leaves(graph.outputs)[tensor.index])
        key = self._keys.get(id(layer))
        return [] if key is None else [key]

    def _starts(self, layer: Any, index: int) -> list[str]:
        """The boxes that an arrow to an input of a layer ends at."""
        graph = _graph_of(layer) if self._shown.expand else None
        if graph is None:
            return [self._keys[id(layer)]] if id(layer) in self._keys else []
        given = graph.inputs[min(index, len(graph.inputs) - 1)]
        if not _is_stack(layer):
            return self._ends(given)
        readers = [(node, place) for node in graph.nodes for place, each in enumerate(node.inputs) if each is given]
        return [key for node, place in readers for key in self._starts(node.layer, place)]

    def _box(self, layer: Any, calls: list[Any]) -> Box:
        kind, shown = type(layer).__name__, self._shown
        title = f"{printable(layer.name)} ({kind})" if shown.names else kind
        rows: list[list[Cell]] = []
        activation = getattr(layer, "activation", None)
        if shown.activations and activation is not None:
            called = getattr(activation, "name", None) or getattr(activation, "__name__", type(activation).__name__)
            rows.append([Cell("Activation", printable(str(called)))])
        cells = []
        if shown.shapes:
            if any(node.inputs for node in calls) or not calls:
                cells.append(Cell("Input shape", _shapes([node.inputs for node in calls])))
            cells.append(Cell("Output shape", _shapes([pytree.tree_leaves(node.outputs) for node in calls])))
        if shown.dtype:
            types = dict.fromkeys(leaf.dtype for node in calls for leaf in pytree.tree_leaves(node.outputs))
            cells.append(Cell("Output dtype", ", ".join(types) or "?"))
        if shown.trainable and layer.weights:
            cells.append(Cell("", "Trainable", TRAINED) if layer.trainable else Cell("", "Non-trainable", FIXED))
        shapes = tuple(tuple(leaf.shape) for node in calls for leaf in pytree.tree_leaves(node.outputs))
        weights = tuple(tuple(weight.shape) for weight in layer.weights)
        said = tuple(cell for row in rows for cell in row)
        return Box(
            self._key(layer),
            title,
            [*rows, cells] if cells else rows,
            _colour(layer),
            (type(layer), layer.extra_repr(), layer.trainable, shapes, weights, said),
        )


def _colour(layer: object) -> str:
    """By the kind of layer: dark ones, on which white letters can be read."""
    return next((colour for kinds, colour in _COLOURS if isinstance(layer, kinds)), "black")


def _graph_of(layer: Any) -> Any:
    return getattr(layer, "_graph", None)


def _is_stack(model: object) -> bool:
    """Whether it is a Sequential model, whose input has no box."""
    return hasattr(model, "_stack")


def _shapes(calls: list[list[Any]]) -> str:
    """The shapes of several calls' tensors, each list once."""
    return " / ".join(dict.fromkeys(", ".join(show_shape(leaf.shape) for leaf in leaves) for leaves in calls)) or "?"
