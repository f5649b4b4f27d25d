"""Where in a model a shape does not fit: the way of the data to the layer at fault, told below an error's own words.

An error passes through the calls it was raised in, innermost first; each adds what it knows (`tell`). Calls on symbols
know what came before them. A model called on data repeats the call on shapes alone, after it has failed, so that calls
that succeed do nothing for it.
"""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils import _pytree as pytree

from . import symbolic
from .errors import MOST_ROWS, axis_names, cut, note, printable, show_shape
from .scope import scope
from .spec import InputSpec
from .symbolic import Node, SymbolicTensor, symbol_of

FAULTS = (ValueError, RuntimeError, IndexError)  # what shapes that do not fit are told by, here and in torch


class Row(NamedTuple):
    """A call on the way: its layer (or a text), the shape it gave, how deep in nested models it stands."""

    layer: Any
    shape: str  # empty for a model that the rows below it are in
    depth: int = 0
    node: Node | None = None
    name: str = ""  # of a module that does not know its own


class Advice(NamedTuple):
    """What a layer says of shapes that it cannot take; empty where it has nothing to say."""

    expected: str = ""
    got: str = ""
    repair: str = ""


class Trail:
    """What an error has gathered on its way out."""

    def __init__(self, culprit: Any, args: Any):
        self.culprit, self.told_by = culprit, culprit
        self.depth, self.name = 0, ""  # of the culprit
        self.rows: list[Row] = []
        leaves = [leaf for leaf in pytree.tree_leaves(args) if hasattr(leaf, "shape")]
        self.shapes = [tuple(leaf.shape) for leaf in leaves]
        nodes = [leaf.node for leaf in leaves if isinstance(leaf, SymbolicTensor) and leaf.node is not None]
        self.before = list({id(node): node for node in nodes}.values())  # the calls that gave its inputs

    def inside(self, layer: Any, outer: list[Row], inner: Trail) -> None:
        """Stand in `layer`, which `outer` leads to, at the place that `inner` tells."""
        known = {id(row.node) for row in outer if row.node is not None}
        rows = [row for row in inner.rows if id(row.node) not in known and not (outer and _is_input(row))]
        if inner.culprit is layer and all(map(_is_input, rows)):
            self.rows, self.depth = outer, 0
            return
        self.rows = [*outer, Row(layer, ""), *(row._replace(depth=row.depth + 1) for row in rows)]
        self.culprit, self.shapes, self.before, self.name = inner.culprit, inner.shapes, inner.before, inner.name
        self.depth = inner.depth + 1

    def __str__(self) -> str:
        rows, depth = self.rows, self.depth
        while rows and not rows[0].shape and depth and all(row.depth for row in rows[1:]):  # all in one model
            rows, depth = [row._replace(depth=row.depth - 1) for row in rows[1:]], depth - 1
        cells = [_cells(row) for row in rows]
        given = " and ".join(map(show_shape, self.shapes)) or "nothing"
        cells.append(_cells(Row(self.culprit, f"given {given}", depth, None, self.name)))
        widths = [max(len(cell[column]) for cell in cells) for column in range(2)]
        lines = [f"{name:<{widths[0]}}  {kind:<{widths[1]}}  {shape}".rstrip() for name, kind, shape in cells]
        text = ["How the data got there (layer, class, output shape):", ""]
        last = -1
        for index in [*self._shown(rows), len(rows)]:
            if index > last + 1:
                text.append(f"       ... {index - last - 1} more ...")
            text.append(("    -> " if index == len(rows) else "       ") + lines[index])
            last = index
        advice = [(what, said) for what, said in zip(Advice._fields, self._advice(), strict=True) if said]
        if advice:
            text.append("")
            for what, said in advice:
                text += textwrap.wrap(
                    said, 100, initial_indent=f"{what.capitalize() + ':':<10}", subsequent_indent=" " * 10
                )
        return "\n".join(text)

    def _shown(self, rows: list[Row]) -> list[int]:
        """Which rows there is room for: the first, those that lead to the culprit, models it is in, the last."""
        room = MOST_ROWS - 2
        if len(rows) <= room + 1:
            return list(range(len(rows)))
        before = {id(node) for node in self.before}
        kept = {0, 1} | {i for i, row in enumerate(rows) if not row.shape or id(row.node) in before}
        for index in reversed(range(len(rows))):
            if len(kept) >= room:
                break
            kept.add(index)
        return sorted(kept)

    def _advice(self) -> Advice:
        advise = getattr(self.culprit, "_advice", None)
        found = advise(self.shapes, self.before) if advise is not None else Advice()
        first = next((row.node.outputs for row in self.rows if row.node is not None and _is_input(row)), None)
        turned = _turned(self.culprit, getattr(first, "shape", ()))
        return found._replace(repair=turned or found.repair)


def tell(layer: Any, args: Any, kwargs: Mapping[str, Any], error: Exception) -> None:
    """Add to an error that leaves a call of `layer` what led there. Whatever goes wrong here leaves it as it was."""
    with contextlib.suppress(Exception):
        arguments = [*args, *(value for key, value in kwargs.items() if key not in ("mask", "training"))]
        trail = getattr(error, "_trail", None)
        if trail is not None and trail.told_by is layer:
            return
        outer = way_to(arguments)
        told = trail is not None and trail.rows and outer and hasattr(layer, "_graph")  # by calls on symbols
        again = None if told else layer._again(args, kwargs)
        if trail is None:
            trail = Trail(layer, arguments)
        trail.told_by = layer
        trail.inside(layer, outer, again or trail)
        vars(error)["_trail"] = trail
        if trail.rows:
            note(error, str(trail))


def way_to(tensors: Any) -> list[Row]:
    """The calls that symbolic tensors come from, in their order."""
    nodes: dict[int, Node] = {}
    waiting = [leaf.node for leaf in pytree.tree_leaves(tensors) if isinstance(leaf, SymbolicTensor)]
    while waiting:
        node = waiting.pop()
        if node is not None and id(node) not in nodes:
            nodes[id(node)] = node
            waiting.extend(tensor.node for tensor in node.inputs)
    ordered = sorted(nodes.values(), key=lambda node: node.number)
    return [Row(node.layer, _shapes(node.outputs), 0, node) for node in ordered]


class Onlooker:
    """Runs the `call` of a layer with layers inside on shapes alone, and sees what is called there by this thread."""

    def __init__(self, layer: Any, args: Any, kwargs: Mapping[str, Any]):
        self.layer, self.args, self.thread = layer, args, scope.thread
        told = {key: value for key, value in kwargs.items() if key != "training"}
        self.given, self.told = pytree.tree_map(symbol_of, (tuple(args), told))
        leaves = [leaf for leaf in pytree.tree_leaves((self.given, self.told)) if isinstance(leaf, SymbolicTensor)]
        self.unknown = any(None in leaf.shape for leaf in leaves)
        self.names = {id(module): name.rpartition(".")[2] for name, module in layer.named_modules()}
        self.rows = [Row("inputs", _shapes(args))]
        self.opened: list[tuple[Any, int, Any]] = []  # calls that have begun: module, its first row, its inputs

    def sizes(self, shape: Any) -> tuple:
        """A shape, sizes that stood for unknown ones unknown again."""
        return tuple(None if self.unknown and size == symbolic.TRIAL_SIZES[0] else size for size in shape)

    def row(self, module: Any, shape: str) -> Row:
        return Row(module, shape, len(self.opened), None, self.names.get(id(module), ""))

    def before(self, module: Any, inputs: Any) -> None:
        within = any("_graph" in vars(opened) for opened, _, _ in self.opened)  # its error tells the way itself
        if scope.thread == self.thread and not within:
            self.rows.append(self.row(module, ""))
            self.opened.append((module, len(self.rows) - 1, inputs))

    def after(self, module: Any, inputs: Any, outputs: Any) -> None:
        while scope.thread == self.thread and any(opened is module for opened, _, _ in self.opened):
            known, start, _ = self.opened.pop()
            if known is module:
                self.rows[start:] = [self.row(module, _shapes(outputs, self.sizes))]
                return

    def error(self) -> Exception | None:
        hooks = register_module_forward_pre_hook(self.before), register_module_forward_hook(self.after)
        try:
            symbolic.call_on_trial_tensors(self.layer, self.given, self.told)
        except Exception as error:
            return error
        finally:
            for hook in hooks:
                hook.remove()
        return None

    def trail(self) -> Trail | None:
        """What led to the call that failed; None where none did, or for another reason than shapes."""
        error, rows = self.error(), self.rows
        if not isinstance(error, FAULTS) or beyond_shapes(error):
            return None
        module, _, inputs = self.opened[-1] if self.opened else (self.layer, 0, self.args)
        found = trail_of(error) or Trail(module, inputs)
        found.name = found.name or self.names.get(id(found.culprit), "")
        found.shapes = [*map(self.sizes, found.shapes)]
        inner = [row for row in found.rows if not _is_input(row)]
        if not rows[-1].shape and rows[-1].layer is (inner[0].layer if inner else found.culprit):
            rows.pop()
        deep = sum(not row.shape for row in rows)
        found.rows = [*rows, *(row._replace(depth=row.depth + deep) for row in inner)]
        found.depth += deep
        return found


def advice_of(spec: Any, shapes: Sequence[tuple], before: Sequence[Node]) -> Advice:
    """What an InputSpec says of shapes."""
    if not isinstance(spec, InputSpec) or len(shapes) != 1:
        return Advice()
    (shape,) = shapes
    if spec.problem(shape) is None:
        return Advice()
    rank = spec.ndim or len(shape)
    rank = max(rank, spec.min_ndim or 0) if spec.max_ndim is None else min(rank, spec.max_ndim)
    sizes = {axis % rank: size for axis, size in spec.axes.items() if -rank <= axis < rank and size is not None}
    names = axis_names(rank, spec.data_format)
    expected = ", ".join(f"{name} {sizes[axis]}" if axis in sizes else name for axis, name in enumerate(names))
    got = named_sizes(shape, spec.data_format)
    return Advice(f"({expected})", got, _rank_repair(rank, shape, before) or _size_repair(spec, sizes, shape, before))


def named_sizes(shape: Sequence[int | None], data_format: str | None = None) -> str:
    """ "(batch None, height 28, width 28, channels 1)"."""
    names = axis_names(len(shape), data_format)
    return f"({', '.join(f'{name} {size}' for name, size in zip(names, shape, strict=True))})"


def called(layer: Any) -> str:
    """A layer in one line, whatever its name holds."""
    return f"{type(layer).__name__} {layer.name!r}"


def _rank_repair(rank: int, shape: Sequence[int | None], before: Sequence[Node]) -> str:
    if rank == len(shape):
        return ""
    last = before[0] if len(before) == 1 else None
    if last is not None and len(shape) < rank:
        given = [tensor.shape for tensor in last.inputs]
        if any(len(each) == rank for each in given):
            if getattr(last.layer, "return_sequences", True) is False:
                return f"{called(last.layer)} gives its last output alone: set return_sequences=True there."
            taken = f"{called(last.layer)} makes {len(shape)} axes of {rank}"
            return f"{taken}: put it behind this layer, or leave it out."
    if len(shape) == rank - 1:
        sizes = f"({', '.join(map(str, [*shape[1:], 1]))})"
        first = last is not None and not last.inputs
        given = f"Input({sizes}), and x[..., None] for the data" if first else f"Reshape({sizes}) before it"
        return f"an axis of size 1 at the end: {given}."
    if len(shape) < rank:
        return f"Reshape before it to {rank - 1} axes beside the batch."
    one = "Flatten() or a global pooling" if rank == 2 else f"Reshape to {rank - 1} axes beside the batch"
    return f"{one} before it, or TimeDistributed(...) round it, which takes one step at a time."


def _size_repair(spec: InputSpec, sizes: Mapping[int, int], shape: tuple, before: Sequence[Node]) -> str:
    axis, size = next(((axis, size) for axis, size in sizes.items() if shape[axis] not in (None, size)), (0, 0))
    if spec.data_format and axis and len(shape) > 2:
        other = 1 if axis == len(shape) - 1 else len(shape) - 1
        if shape[other] == size:
            word = "channels_first" if other == 1 else "channels_last"
            order = [0, *range(2, len(shape)), 1] if other == 1 else [0, len(shape) - 1, *range(1, len(shape) - 1)]
            return f"data_format={word!r}? Or x.permute{tuple(order)} before it."
    last = before[0] if len(before) == 1 else None
    if last is not None and axis and any(len(tensor.shape) > len(shape) for tensor in last.inputs):
        return (
            f"the weights are for {size}: give the model inputs of the size it was built for; or, in place of "
            f"{called(last.layer)}, use a global pooling, which takes any size."
        )
    return f"the weights are for {size}: give it that many, or make a new layer." if size else ""


def _turned(layer: Any, shape: Sequence[int | None]) -> str:
    """What to do where the input of a model looks like pictures whose channels stand at the other end."""
    few, form = (1, 3, 4), getattr(layer, "data_format", None)
    if form is None or len(shape) not in (4, 5):
        return ""
    rest = shape[1:]
    ends = (rest[0], rest[-1]) if form == "channels_last" else (rest[-1], rest[0])
    if ends[0] not in few or ends[1] is None or ends[1] <= 4:
        return ""
    last = form == "channels_last"
    word = "channels_first" if last else "channels_last"
    other = (*rest[1:], rest[0]) if last else (rest[-1], *rest[:-1])
    return f"the channels of {show_shape(shape)} stand {'first' if last else 'last'}: {form} means Input({other}); " + (
        f"else data_format={word!r} for each layer."
    )


def _cells(row: Row) -> tuple[str, str, str]:
    text = isinstance(row.layer, str)
    name = printable(row.layer if text else str(getattr(row.layer, "name", row.name)))
    return "  " * row.depth + cut(name), "" if text else type(row.layer).__name__, row.shape


def _shapes(outputs: Any, sizes: Callable[[Any], tuple] = tuple) -> str:
    shapes = [sizes(leaf.shape) for leaf in pytree.tree_leaves(outputs) if hasattr(leaf, "shape")]
    return " and ".join(map(show_shape, shapes)) or "?"


def _is_input(row: Row) -> bool:
    return isinstance(row.layer, str) if row.node is None else not row.node.inputs


def trail_of(error: BaseException | None) -> Trail | None:
    """Of an error, or of one that it was raised from."""
    while error is not None:
        if (trail := getattr(error, "_trail", None)) is not None:
            return trail
        error = error.__cause__
    return None


def beyond_shapes(error: BaseException | None) -> bool:
    """Whether tensors without values could not do what was asked of them."""
    while error is not None and not type(error).__module__.startswith("torch._subclasses"):
        error = error.__cause__
    return error is not None
