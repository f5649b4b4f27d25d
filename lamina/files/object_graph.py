"""TensorFlow's object graphs: which tensor of a checkpoint is which weight of a model.

A node is an object; its children have the names of attributes, and "0", "1", ... in lists. `layer_with_weights-0` is a
functional model's first layer that has some. Variables are nodes that name their tensor.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from ..core.children import Children, metrics_of
from ..core.errors import show_shape
from ..core.layer import Layer
from ..core.weight import Weight, memory_of
from ..optimizers import Optimizer
from ..translation import checkpoints
from ..translation.weights import Layout
from . import keras3, older, safe, tree
from .bundle import OBJECT_GRAPH, Bundle, StoredTensor, in_order
from .wire import message

_VALUE = "VARIABLE_VALUE"
_FEW = 100  # objects that are looked at where one of them is searched for


class Node(NamedTuple):
    """An object of a checkpoint: its parts by name, its tensors by what they are, and its slots of an optimizer."""

    children: dict[str, int]
    tensors: dict[str, tuple[str, str]]  # what: (variable's name, tensor's key)
    slots: list[tuple[int, str, int]]  # of which variable, called what, where


def nodes_of(bundle: Bundle) -> list[Node] | None:
    """The object graph of a checkpoint; None for one that has names alone. Raises ValueError for a damaged one."""
    if OBJECT_GRAPH not in bundle.stored:
        return None
    found = []
    for item in message(bundle.stored[OBJECT_GRAPH].checked().item()).messages(1):
        children = {child.text(2): child.number(1) for child in item.messages(1)}
        tensors = {one.text(1): (one.text(2), one.text(3)) for one in item.messages(2)}
        slots = [(one.number(1), one.text(2), one.number(3)) for one in item.messages(3)]
        found.append(Node(children, tensors, slots))
    if any(not 0 <= place < len(found) for node in found for place in _neighbours(node)):
        raise ValueError("its object graph names an object that is not there")
    return found


def _neighbours(node: Node) -> Iterator[int]:
    yield from node.children.values()
    for one, _, other in node.slots:
        yield from (one, other)


class _Part(NamedTuple):
    """The own weights of a layer, and what is stored for them."""

    path: str
    layer: Any
    weights: list[Any]
    arrays: Sequence[StoredTensor]


class Match:
    """What a checkpoint has for everything below some objects, each at a node. Nothing changes until `write`."""

    def __init__(self, bundle: Bundle, nodes: list[Node], tables: Mapping[int, list[Any]] | None = None):
        self.bundle, self.nodes = bundle, nodes
        self.parts: list[_Part] = []
        self.problems: list[str] = []
        self.optimizers: list[tuple[Any, int]] = []
        self.places: dict[int, int] = {}  # weight: node
        self._seen: set[int] = set()
        self._used: set[int] = set()
        self._metrics: set[int] = set()
        self._tables = tables or {}
        self._then: list[Callable[[], Any]] = []  # what sets state that is no weight

    # -- finding ----------------------------------------------------------------------------------------------------

    def add(self, item: Any, place: int, path: str = "") -> None:
        """Look for all below an object at a node."""
        if isinstance(item, Weight):
            self._weights(path, item, [(path, item)], {path: place})
            return
        if isinstance(item, Optimizer):
            self.optimizers.append((item, place))
            return
        if id(item) in self._seen:
            return
        self._seen.add(id(item))
        node = self.nodes[place]
        for names, child in _children(item, node):
            below = next((node.children[name] for name in names if name in node.children), None)
            where = f"{path}/{names[0]}".lstrip("/")
            if below is not None:
                self.add(child, below, where)
            elif id(child) not in self._seen and _has_weights(child):
                self.problems.append(f"{where}: not in the checkpoint")
        if isinstance(item, Layer):
            own = [(_attribute(item, weight), weight) for weight in item._own_weights()]
            self._weights(path, item, own, node.children)
            self._state_of_layer(item, place)
        optimizer = getattr(item, "optimizer", None) if isinstance(item, nn.Module) else None
        if isinstance(optimizer, Optimizer) and "optimizer" in node.children:
            self.add(optimizer, node.children["optimizer"])

    def _state_of_layer(self, layer: Any, place: int) -> None:
        """What a layer keeps beside weights: a vocabulary, quantiles, states; its metrics start anew."""
        node = self.nodes[place]
        if hasattr(layer, "_kept_states"):
            self._states_of(layer, node)
        if hasattr(layer, "set_vocabulary"):
            self._table(layer, place)
        if older.learns_bins(layer):
            summary = self._value(node, checkpoints.SUMMARY)
            if summary is not None:
                self._then.append(lambda: layer.load_own_variables({"0": summary}))
        held = {id(metric) for metric in metrics_of(layer)}
        names = [name for name, value in vars(layer).items() if id(value) in held and name in node.children]
        self._metrics |= {node.children[name] for name in names}

    def _states_of(self, layer: Any, node: Node) -> None:
        """What the next batch of a stateful recurrent layer starts from, which SavedModels have."""
        for name in checkpoints.STATES:
            node = self.nodes[node.children[name]] if name in node.children else Node({}, {}, [])
        places = [place for index in range(len(node.children)) for place in self._ends(node.children.get(str(index)))]
        kept, found = layer._kept_states(), [self._tensor(place) for place in places]
        if [tuple(state.shape) for state in kept] == [tuple(array.shape) for array in found]:
            for state, array in zip(kept, found, strict=True):
                array.check()
                self._then.append(functools.partial(array.into, state))

    def _ends(self, place: int | None) -> list[int]:
        """The variables of a list of lists, in order."""
        if place is None or self._is_variable(place):
            return [] if place is None else [place]
        children = self.nodes[place].children
        return [children[str(index)] for index in range(len(children)) if self._is_variable(children.get(str(index)))]

    def _weights(self, path: str, layer: Any, own: list[tuple[str, Any]], children: dict[str, int]) -> None:
        stored: list[StoredTensor] = []
        for attribute, weight in own:
            names = [attribute, *checkpoints.names(weight.name), *checkpoints.names(attribute)]
            place = next((children[name] for name in names if self._is_variable(children.get(name))), None)
            if place is None:
                self.problems.append(f"{path}/{attribute}: not in the checkpoint".lstrip("/"))
                return
            self._used.add(place)
            self.places[id(weight)] = place
            stored.append(self._tensor(place))
        if own:
            self.take(path, layer, [weight for _, weight in own], stored)

    def _is_variable(self, place: int | None) -> bool:
        return place is not None and self.nodes[place].tensors.get(_VALUE, ("", ""))[1] in self.bundle.stored

    def take(self, path: str, layer: Any, weights: list[Any], stored: Sequence[StoredTensor]) -> None:
        """These are for those, where shapes and kinds of values agree."""
        outlines = older.outlines(older.layout_of(layer), stored)
        problem = tree.misfit(dict(enumerate(weights)), dict(enumerate(outlines)), holder="the checkpoint")
        if problem:
            self.problems.append(f"{path}: {problem}")
        else:
            self.parts.append(_Part(path, layer, weights, stored))

    def _table(self, layer: Any, place: int) -> None:
        """A vocabulary is a table of words and their places, in the checkpoint or among constants beside it."""
        seen, waiting, idf = {place}, [place], None
        while waiting and len(seen) < _FEW:  # it hangs some objects below the layer
            place = waiting.pop()
            node = self.nodes[place]
            words = self._tables.get(place, [])
            for _, name in node.tensors.values():
                keys, values = (self.bundle.stored.get(f"{name}-{what}") for what in ("keys", "values"))
                if keys is not None and values is not None and keys.size and keys.shape == values.shape:
                    words = in_order(keys.checked().ravel().tolist(), values.checked().ravel().tolist())
            counts = {node.children[name] for name in checkpoints.COUNTS if name in node.children}
            self._used |= counts
            found = self._value(node, checkpoints.IDF)
            idf = found if idf is None else idf
            if words:
                self._then.append(functools.partial(_set_vocabulary, layer, words, idf))
                return
            fresh = set(node.children.values()) - seen - counts
            seen |= fresh
            waiting += fresh

    def beside(self, root: int) -> list[str]:
        """What to say of weights below a node that no object of the model stands for, the state of training aside."""
        slots = {place for node in self.nodes for _, _, place in node.slots}
        seen, waiting, found = {root, *slots, *self._metrics}, [root], []
        while waiting:
            for name, place in self.nodes[waiting.pop()].children.items():
                if name in checkpoints.ASIDE or place in seen:
                    continue
                seen.add(place)
                waiting.append(place)
                if _VALUE in self.nodes[place].tensors and place not in self._used:
                    key = self.nodes[place].tensors[_VALUE][1].removesuffix(f"/.ATTRIBUTES/{_VALUE}")
                    found.append(f"{key}: stored, but the model has no such layer")
        return found

    # -- writing ----------------------------------------------------------------------------------------------------

    def settle(self, skip_mismatch: bool = False) -> None:
        """Check all that is to be read. Raises Misfit with all that differs; with `skip_mismatch` warns instead."""
        safe.tell_misfits(self.problems, skip_mismatch)
        for part in self.parts:
            for array in part.arrays:
                array.check()
        self._states = [self._state(older.updating(item), place) for item, place in self.optimizers]

    def write(self) -> None:
        """Set weights, vocabularies and the optimizers' state, each tensor read when its turn comes."""
        with torch.no_grad():
            for part in self.parts:
                older.fill(older.layout_of(part.layer), [*map(memory_of, part.weights)], part.arrays)
        for step in self._then:
            step()
        for (optimizer, _), state in zip(self.optimizers, self._states, strict=True):
            if state.scale is not None and hasattr(optimizer, "dynamic_scale"):
                optimizer.dynamic_scale.assign(state.scale)
                optimizer.step_counter.assign(state.good_steps or 0)
            optimizer = older.updating(optimizer)
            older.set_counts(optimizer, state.steps or 0, state.product)
            with torch.no_grad():
                for layout, variables, arrays in state.slots:
                    older.fill(layout, variables, arrays)
            if state.rate is not None and not hasattr(optimizer._learning_rate, "get_config"):
                optimizer.learning_rate = state.rate

    # -- optimizers -------------------------------------------------------------------------------------------------

    def _value(self, node: Node, *names: str) -> Any:
        """The value of the first of these children that is a variable; None where none is."""
        place = next((node.children[name] for name in names if self._is_variable(node.children.get(name))), None)
        if place is None:
            return None
        self._used.add(place)
        return self._tensor(place).checked()

    def _tensor(self, place: int) -> StoredTensor:
        return self.bundle.stored[self.nodes[place].tensors[_VALUE][1]]

    def _state(self, optimizer: Any, place: int) -> _State:
        """What a checkpoint has of an optimizer. Raises Misfit where that is of other shapes."""
        node = self.nodes[place]
        scaling = self.nodes[node.children.get(checkpoints.LOSS_SCALE, place)]
        inner = self.nodes[node.children.get(checkpoints.WRAPPED, place)]
        node = Node({**inner.children, **node.children}, {}, [*inner.slots, *node.slots])
        stored = {(owner, word): slot for owner, word, slot in node.slots} or self._slots_by_name(node)
        if not optimizer.built and stored:
            owned = {owner for owner, _ in stored}
            optimizer.build(
                [weight for part in self.parts for weight in part.weights if self.places[id(weight)] in owned]
            )
        names = [name for group in optimizer._slot_names() for name in group]
        slots = [each for name in names for each in self._slots(optimizer, name, stored)]
        numbers = (self._value(node, *names) for names in (checkpoints.STEPS, checkpoints.PRODUCT, checkpoints.RATE))
        scales = (self._value(scaling, *names) for names in (checkpoints.SCALE, checkpoints.GOOD_STEPS))
        found = [None if value is None else value.item() for value in (*numbers, *scales)]
        return _State(slots, *found)

    def _slots(self, optimizer: Any, name: str, stored: Mapping[tuple[int, str], int]) -> Iterator[_Slots]:
        """What is stored for the slots of a name, part by part."""
        variables = dict(zip(map(id, optimizer._weights), optimizer._slots.get(name, ()), strict=True))
        for part in self.parts:
            found: list[tuple[Any, Any, StoredTensor]] = []
            for weight in part.weights:
                keys = [(self.places.get(id(weight), -1), word) for word in checkpoints.SLOTS.get(name, (name,))]
                place = next((stored[key] for key in keys if key in stored), None)
                if id(weight) in variables and place is not None:
                    found.append((weight, variables[id(weight)], self._tensor(place)))
            arrays = [array for *_, array in found]
            layout = older.layout_of(part.layer) if len(found) == len(part.weights) else Layout()
            for array in arrays:
                array.check()
            for (weight, variable, _), got in zip(found, older.outlines(layout, arrays), strict=True):
                if variable is None or tuple(variable.shape) != tuple(got.shape):
                    expected = "none" if variable is None else f"shape {show_shape(variable.shape)}"
                    raise safe.Misfit(
                        f"the optimizer's {name} of {weight.path}: expected {expected}; the checkpoint has "
                        f"{show_shape(got.shape)}"
                    )
            yield layout, [variable for _, variable, _ in found], arrays

    def _slots_by_name(self, node: Node) -> dict[tuple[int, str], int]:
        """State in a list: "Adam/m/dense/kernel" is the m of "dense/kernel", the first of two that of the first."""
        if "_variables" not in node.children:
            return {}
        weights: dict[str, list[int]] = {}
        for place in self.places.values():
            weights.setdefault(self.nodes[place].tensors[_VALUE][0], []).append(place)
        found: dict[tuple[int, str], int] = {}
        members = self.nodes[node.children["_variables"]].children
        for place in (members[str(index)] for index in range(len(members)) if str(index) in members):
            parts = self.nodes[place].tensors[_VALUE][0].split("/") if self._is_variable(place) else []
            for start in range(1, len(parts)):
                owners = [(owner, parts[start - 1]) for owner in weights.get("/".join(parts[start:]), ())]
                fresh = next((owner for owner in owners if owner not in found), None)
                if fresh is not None:
                    found[fresh] = place
                    break
        return found


_Slots = tuple[Layout, list[Any], list[StoredTensor]]  # today's tensors, and what they are to hold


class _State(NamedTuple):
    """Of an optimizer; None for what the checkpoint does not have."""

    slots: list[_Slots]
    steps: Any
    product: Any
    rate: Any
    scale: Any
    good_steps: Any


def _set_vocabulary(layer: Any, words: list[Any], idf: np.ndarray | None) -> None:
    weights = None
    if idf is not None and layer.output_mode == "tf_idf":
        first = len(layer.get_vocabulary()) - len(layer.get_vocabulary(include_special_tokens=False))
        weights = idf[first : first + len(words)].tolist()
    layer.set_vocabulary(words, weights)


def _children(item: Any, node: Node) -> Iterator[tuple[list[str], Any]]:
    """The objects inside one, each with the names that it may have."""
    if isinstance(item, (list, tuple)):
        yield from (([str(place)], child) for place, child in enumerate(item) if _holds(child))
        return
    if isinstance(item, dict):
        yield from (([str(key)], child) for key, child in item.items() if _holds(child))
        return
    if "_modules" not in vars(item):  # a module of TensorFlow's, or another object
        yield from (
            ([name], child) for name, child in vars(item).items() if _holds(child) or hasattr(child, "__dict__")
        )
        return
    found = {name: child for name, child in tree.attributes(item) if name != "optimizer"}
    if hasattr(item, "_graph") or hasattr(item, "_stack"):
        layers = found.pop("layers")
        weighted = [layer for layer in layers if layer.weights]
        all_of = {word: sum(name.startswith(word) for name in node.children) for word in checkpoints.LAYERS}
        weighted_word, word = checkpoints.LAYERS
        by_weights = all_of[weighted_word] == len(weighted)  # else tables of words count as weights there
        if by_weights:
            yield from (([f"{weighted_word}{place}"], layer) for place, layer in enumerate(weighted))
        if not by_weights or all_of[word] == len(layers):
            yield from (([f"{word}{place}"], layer) for place, layer in enumerate(layers))
    elif getattr(item, "_is_composite", False):
        found.pop("layers")
    yield from ((list(checkpoints.names(name)), child) for name, child in found.items())


def _holds(value: object) -> bool:
    return isinstance(value, (list, tuple, dict, nn.Module, Weight))


def _has_weights(item: object) -> bool:
    if isinstance(item, Weight):
        return True
    modules = Children(item) if isinstance(item, (list, tuple, dict)) else item
    return any(module._own_weights() for module in getattr(modules, "modules", list)() if isinstance(module, Layer))


def _attribute(layer: Layer, weight: Any) -> str:
    both = {**layer._parameters, **layer._buffers}
    return next((name for name, found in both.items() if found is weight), weight.name)


# Models ---------------------------------------------------------------------------------------------------------------


def load_weights(
    model: Any, prefix: Path, skip_mismatch: bool = False, tables: Mapping[int, list[Any]] | None = None
) -> None:
    """Set a model's weights from a checkpoint, and the optimizer's state where both have one.

    The model may stand at the checkpoint's root, as `save_weights` writes it, or be a part of a `tf.train.Checkpoint`.
    `tables`: words of vocabularies by the places of their objects. Raises ValueError, before any change, for a damaged
    checkpoint or one that does not fit.
    """
    keras3.require_built(model, "load weights")
    keras3.build_optimizer(model)
    bundle = Bundle(prefix)
    with safe.reading(prefix):
        nodes = nodes_of(bundle)
        match = by_names(bundle, model) if nodes is None else _best(bundle, nodes, model, tables)
        match.settle(skip_mismatch)
        match.write()


def _best(bundle: Bundle, nodes: list[Node], model: Any, tables: Any) -> Match:
    """The model at the root, or where that does not fit, as the only part that does."""
    if not nodes:
        raise ValueError("its object graph is empty")

    def at(place: int) -> Match:
        found = Match(bundle, nodes, tables)
        found.add(model, place)
        found.problems += found.beside(place)
        optimizer = nodes[0].children.get("optimizer")
        if optimizer is not None and not found.optimizers and getattr(model, "optimizer", None) is not None:
            found.add(model.optimizer, optimizer)
        return found

    first = at(0)
    parts = [place for name, place in nodes[0].children.items() if name not in checkpoints.ASIDE]
    fitting = [found for place in parts[:_FEW] if first.problems and not (found := at(place)).problems and found.parts]
    return fitting[0] if len(fitting) == 1 else first


def restore(parts: Mapping[str, Any], prefix: Path) -> int:
    """Set models, optimizers and variables from the objects of these names in a checkpoint; "root" is all of it.

    Gives the checkpoint's number, 0 for one that has none. Raises ValueError, before any change, where a part is
    missing or does not fit; what the checkpoint has beside these parts is left.
    """
    for item in parts.values():
        if isinstance(item, Layer):
            keras3.require_built(item, "restore it")
    bundle = Bundle(prefix)
    with safe.reading(prefix):
        nodes = nodes_of(bundle)
        if not nodes:
            raise safe.Misfit("it has names alone, no objects: use `load_weights` of a model.")
        match = Match(bundle, nodes)
        for name, item in parts.items():
            place = 0 if name == "root" else nodes[0].children.get(name)
            if place is None:
                raise safe.Misfit(f"it has no part {name!r}; it has {', '.join(nodes[0].children)}")
            match.add(item, place, name)
            if isinstance(item, nn.Module):
                match.problems += match.beside(place)
        match.settle()
        match.write()
        number = match._value(nodes[0], "save_counter")
        return 0 if number is None else number.item()


def by_names(bundle: Bundle, model: Any) -> Match:
    """By the weights' names, as sessions of TensorFlow 1 saved them, where models gave their layers no prefix.

    Raises Misfit where one is not there.
    """
    match = Match(bundle, [])
    taken: dict[str, str] = {}
    for layer in model.modules():
        own = layer._own_weights() if isinstance(layer, Layer) else []
        found = []
        for weight in own:
            parts = weight.path.split("/")
            names = ("/".join(parts[start:]) for start in range(max(len(parts) - 1, 1)))
            name = next((name for name in names if name in bundle.stored), weight.path)
            if taken.setdefault(name, weight.path) != weight.path or name not in bundle.stored:
                raise safe.Misfit(
                    f"it has names alone, as a session of TensorFlow 1 saves them, and none for {weight.path!r}; it "
                    f"has {', '.join(list(bundle)[:5])}, ... Read its arrays with lamina.saving.read_checkpoint, and "
                    "set them with `set_weights`."
                )
            found.append(bundle.stored[name])
        if own:
            match.take(layer.name, layer, own, found)
    return match
