"""Where each object's weights stand in a Keras 3 weights file, and the moving of weights between objects and file.

The path of a layer follows the attributes that lead to it: `layers/dense_1`, `layers/bidirectional/forward_layer/cell`.
Members of lists and dicts are named by their class and numbered. What is reached twice stands under its first path.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from ..core.children import Children
from ..core.dtypes import kind
from ..core.errors import show_shape
from ..core.layer import Layer, snake_case
from ..core.weight import take
from ..layers.torch_module import TorchModuleWrapper
from ..optimizers import Optimizer
from . import safe
from .safe import FAULTS, Arrays, Misfit, StoredArray, reason
from .stored import Stored, shown_in_pieces


def saveables(
    root: Any,
    skip: Collection[int] = (),
    below: Callable[[Any], list[tuple[str, Any]]] | None = None,
    number_all: bool = True,
) -> Iterator[tuple[str, Any]]:
    """(path, object) of every layer, torch module and optimizer below `root` and of itself; `skip` holds ids.

    `below`: what hangs below an object, by names, where a file has it otherwise. number_all: whether members of lists
    that stand under another path already count in the numbers of the others.
    """
    return _Walk(set(skip), below or attributes, number_all).object("", root)


_CONTAINERS = (list, tuple, dict)


class _Walk(NamedTuple):
    seen: set[int]
    below: Callable[[Any], list[tuple[str, Any]]]
    number_all: bool

    def object(self, path: str, item: Any) -> Iterator[tuple[str, Any]]:
        if id(item) in self.seen:
            return
        self.seen.add(id(item))
        yield path, item
        for name, value in self.below(item):
            yield from self._value(f"{path}/{name}".lstrip("/"), value)

    def _value(self, path: str, value: Any, around: tuple = ()) -> Iterator[tuple[str, Any]]:
        return self._container(path, value, around) if isinstance(value, _CONTAINERS) else self.object(path, value)

    def _container(self, path: str, items: list | tuple | dict, around: tuple) -> Iterator[tuple[str, Any]]:
        counts: dict[str, int] = {}
        around = (*around, id(items))  # a list may hold itself
        for item in items.values() if isinstance(items, dict) else items:
            if isinstance(item, _CONTAINERS) and id(item) not in around:
                base = "container"
            elif isinstance(item, nn.Module) and (self.number_all or id(item) not in self.seen):
                base = snake_case(type(item).__name__)
            else:
                continue
            count = counts[base] = counts.get(base, -1) + 1
            yield from self._value(f"{path}/{base}_{count}" if count else f"{path}/{base}", item, around)


def attributes(item: Any, shown: bool = True) -> list[tuple[str, Any]]:
    """What hangs below an object, in Keras' order: `layers` of a graph first, then by name, private ones last.

    shown: also under the names of properties that show it.
    """
    if not isinstance(item, Layer) or isinstance(item, TorchModuleWrapper):
        return []
    found: dict[str, Any] = {name: value for name, value in item._modules.items() if value is not None}
    found = {name: value._items if isinstance(value, Children) else value for name, value in found.items()}
    found |= _public_names(item, found) if shown else {}
    lists = {name: value for name, value in vars(item).items() if name[0] != "_" and name not in found and _full(value)}
    listed = {id(member) for value in lists.values() for member in value}
    found = {name: value for name, value in found.items() if id(value) not in listed} | lists
    first = []
    if getattr(item, "_is_composite", False):
        found["layers"] = item.layers
        if hasattr(item, "_graph"):
            first = [("layers", found.pop("layers"))]
        optimizer = getattr(item, "optimizer", None)
        if hasattr(optimizer, "save_own_variables"):
            found["optimizer"] = optimizer
    return first + sorted(found.items(), key=lambda pair: f"~{pair[0]}" if pair[0].startswith("_") else pair[0])


_DEPENDENCIES = "_layer_checkpoint_dependencies"  # where TensorFlow 2.12 to 2.14 has the layers of a graph


def _dependencies(item: Any, times: int) -> list[tuple[str, Any]]:
    """As `attributes`, in the order of names; a graph's layers with weights count so many times."""
    found = sorted(attributes(item))
    if not hasattr(item, "_graph"):
        return found
    layers = [each for layer in item.layers for each in (layer,) * (times if layer.weights else 1)]
    return [(_DEPENDENCIES, layers), *((name, value) for name, value in found if name != "layers")]


def backwards(item: Any, shown: bool = True) -> list[tuple[str, Any]]:
    """As `attributes`, in tf.keras' order: by name from the last on, `layers` of a model of your own among them."""
    found = attributes(item, shown)
    return found if hasattr(item, "_graph") else sorted(found, reverse=True)


def outermost(item: Any) -> list[tuple[str, Any]]:
    """As `attributes`, without lists in lists, whose layers Keras found among `layers` alone up to 3.15.0."""

    def members(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: one for key, one in value.items() if not isinstance(one, _CONTAINERS)}
        if isinstance(value, (list, tuple)):
            return [one for one in value if not isinstance(one, _CONTAINERS)]
        return value

    return [(name, members(value)) for name, value in attributes(item)]


def walk_of(
    root: Any, names: Iterable[str], has: Callable[[str], bool], skip: Collection[int] = ()
) -> Callable[..., Iterator[tuple[str, Any]]]:
    """`saveables` in the layout of a file whose topmost groups or folders are `names`.

    `has`: whether the file has something of the object of a path. Up to TensorFlow 2.13 what was listed twice counted
    twice.
    """
    if any(name.startswith(_DEPENDENCIES) for name in names):
        walks = [functools.partial(saveables, below=functools.partial(_dependencies, times=times)) for times in (1, 2)]
    else:
        models = (item for item in root.modules() if getattr(item, "_is_composite", False))
        if all(item is root and hasattr(item, "_graph") for item in models):
            return saveables
        walks = [
            saveables,
            functools.partial(saveables, below=backwards, number_all=False),
            functools.partial(saveables, below=outermost),
        ]
    return max(walks, key=lambda walk: sum(has(path) or has(_private(path)) for path, _ in walk(root, skip)))


def _private(path: str) -> str:
    """The path by the name that tf.keras has, where Keras 3 has a property."""
    return "/_".join(path.rpartition("/")[::2])


def _full(value: Any) -> bool:
    """Whether it is a list of layers: Keras finds them there, whatever names torch knows them under."""
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(member, nn.Module) for member in value)


def _public_names(item: Layer, found: Mapping[str, Any]) -> dict[str, Any]:
    """Properties that show a private sublayer: Keras finds it under the public name."""
    private = {id(value): value for name, value in found.items() if name.startswith("_")}
    if not private:
        return {}
    classes = type(item).__mro__[: type(item).__mro__.index(Layer)]
    names = {name for cls in classes for name, member in vars(cls).items() if isinstance(member, property)}
    shown = {name: getattr(item, name, None) for name in names if not name.startswith("_")}
    return {name: value for name, value in shown.items() if id(value) in private}


# Writing ---------------------------------------------------------------------------------------------------------


def own_arrays(item: Any) -> dict[str, Any]:
    """What one object stores, by key."""
    if not hasattr(item, "save_own_variables"):
        return item.state_dict()
    arrays: dict[str, Any] = {}
    if type(item).save_own_variables is Optimizer.save_own_variables:
        arrays |= {str(place): variable for place, variable in enumerate(item.variables)}  # without its copies
    else:
        item.save_own_variables(arrays)
    return arrays


def put(group: Any, key: str, value: Any, halves: bool = True) -> None:
    """Write one array into an HDF5 group; bfloat16 as its bits, as Keras does, or without `halves` as float32."""
    if not isinstance(value, torch.Tensor):
        group.create_dataset(key, data=np.asarray(value))
        return
    half = value.dtype is torch.bfloat16
    dtype = ("V2" if halves else "f4") if half else str(value.dtype).removeprefix("torch.")
    stored = group.create_dataset(key, shape=tuple(value.shape), dtype=dtype)
    if half and halves:
        stored.attrs["dtype"] = "bfloat16"
    for place, values in shown_in_pieces(value):
        if half:
            values = values.view("V2") if halves else (values.view("u2").astype("u4") << 16).view("f4")
        stored[place] = values


def as_it_is(item: Any, arrays: dict[str, Any]) -> dict[str, Any]:
    return arrays


def write(
    root: Any,
    file: Any,
    skip: Collection[int] = (),
    adapt: Callable[[Any, dict], dict] = as_it_is,
    walk: Callable[..., Iterator[tuple[str, Any]]] = saveables,
) -> None:
    """Write the weights of everything below `root` into an open HDF5 file, or the shards of one.

    adapt: what an object stores, made of what it would store; walk: `saveables` of the file's layout.
    """
    for path, item in walk(root, skip):
        group = file.create_group(f"{path}/vars".lstrip("/"))
        if isinstance(getattr(item, "name", None), str):
            group.attrs["name"] = item.name.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
        for key, value in adapt(item, own_arrays(item)).items():
            put(group, key, value)


# Reading ---------------------------------------------------------------------------------------------------------


Loads = list[tuple[Any, Mapping[str, Stored]]]  # objects, and what will be read for them


def read(
    root: Any,
    held: Arrays,
    skip: Collection[int] = (),
    skip_mismatch: bool = False,
    done: Collection[int] = (),
    grows: bool = False,
) -> Loads:
    """What files hold for everything below `root`, for `load` while they are open; nothing changes yet.

    `done` holds ids of what has been read, `grows` says that more will hang below `root`. Raises Misfit with all names,
    numbers and shapes that differ; with `skip_mismatch` leaves those out, with a warning.
    """
    problems: list[str] = []
    asked: set[str] = set()
    fitting: list[tuple[Any, dict[str, StoredArray]]] = []
    pairs: list[tuple[str, Iterable[Any], Iterable[Any]]] = []
    top = dict.fromkeys(place.partition("/")[0] for place in held.places)
    for path, item in walk_of(root, top, held.has, skip)(root, skip):
        private = _private(path)
        asked.update((path, private))
        if id(item) in done:
            continue
        own = _own_tensors(item)
        stored = held.of(path) or (held.of(private) if own else {})
        if not stored and not (own and isinstance(item, nn.Module)):
            continue
        problem = other_state(item, stored) if own is None else misfit(own, stored)
        if own:
            order = [*own].index if own.keys() >= stored.keys() else None
            pairs.append((path, own.values(), [stored[key] for key in sorted(stored, key=order)]))
        if problem:
            problems.append(f"{path or 'the model itself'}: {problem}")
        else:
            fitting.append((item, stored))
    if not skip and not grows:
        beside = [path for path in held.paths if held.has(path) and path not in asked and not _aside(path, asked)]
        problems += [f"{path}: stored, but the model has no such layer" for path in beside]
    safe.tell_misfits(problems, skip_mismatch, pairs)
    held.check_total(array for _, stored in fitting for array in stored.values())
    return [*fitting]


def _aside(path: str, asked: set[str]) -> bool:
    """Whether it is a state that the file's model had beside its layers."""
    parts = path.split("/")
    private = parts[0][:1] == "_" and parts[0] != _DEPENDENCIES
    added = "_metrics" in parts  # those that a model's `add_metric` made
    owners = ("/".join(parts[:k]) for k, part in enumerate(parts) if part in ("optimizer", "metrics"))
    return private or added or any(owner in asked for owner in owners)


def _own_tensors(item: Any) -> dict[str, Any] | None:
    """What an object's own arrays must fit, by key; None where it reads them in a way of its own."""
    item = item.module if isinstance(item, TorchModuleWrapper) else item
    if isinstance(item, Layer):
        reader = next(cls for cls in type(item).__mro__ if "load_own_variables" in vars(cls))
        if "_stored_weights" not in vars(reader):
            return None
        return {str(index): weight for index, weight in enumerate(item._stored_weights())}
    return item.state_dict(keep_vars=True) if isinstance(item, nn.Module) else None


def misfit(
    own: Mapping[Any, Any], stored: Mapping[Any, Any], word: str = "name", holder: str = "the file"
) -> str | None:
    """What to say where tensors and the arrays for them differ in number, shape or kind of values.

    word: the attribute that says what a tensor is called, by default its key.
    """
    if own.keys() != stored.keys():
        words = ", ".join(f"{getattr(weight, word, key)} {show_shape(weight.shape)}" for key, weight in own.items())
        return f"expected {len(own)} arrays ({words or 'no weights'}); {holder} has {len(stored)}"
    for key, weight in own.items():
        if tuple(weight.shape) != tuple(stored[key].shape):
            name, expected, got = getattr(weight, word, key), show_shape(weight.shape), show_shape(stored[key].shape)
            return f"expected shape {expected} for {name}; {holder} has {got}"
    return other_kind(own, stored, word, holder)


def other_kind(
    own: Mapping[Any, Any], stored: Mapping[Any, Any], word: str = "name", holder: str = "the file"
) -> str | None:
    """The same of the kind of values alone."""
    for key, tensor in own.items():
        expected, got = kind(tensor.dtype), kind(stored[key].dtype)
        if expected != got:
            return f"expected {expected} for {getattr(tensor, word, key)}; {holder} has {got}"
    return None


def other_state(item: Any, stored: Mapping[str, Any]) -> str | None:
    """The same for an optimizer, which reads a state of the right number of arrays in their order."""
    state = {} if isinstance(item, Layer) else {str(index): tensor for index, tensor in enumerate(item.variables)}
    if set(state) != set(stored):
        return None
    stored = _in_order_of_today(item, stored)
    # A single number may stand for a state that a small weight does not need; its type has changed.
    own = {key: tensor for key, tensor in state.items() if tensor.shape or stored[key].shape}
    return (misfit if _reads_as_ours(item) else other_kind)(own, {key: stored[key] for key in own})


def _in_order_of_today(optimizer: Any, arrays: Mapping[str, Any]) -> Mapping[str, Any]:
    """An optimizer's arrays by their places: up to Keras 3.9 the average of a weight stood beside the sum of its
    gradients, and Nadam's product before the states of its rule."""
    if not hasattr(optimizer, "_slot_names"):
        return arrays
    own = [tensor.shape for tensor in optimizer.variables]
    first, count = optimizer._unbuilt, len(optimizer._weights)
    kinds = sum(names in (("average",), ("gradient_accumulator",)) for names in optimizer._slot_names())
    rest = [*range(first + kinds * count, len(own))]
    if hasattr(optimizer, "_product"):
        rest = [*rest[1:], *rest[:1]]
    places = [*range(first), *(first + kinds * n + kind for kind in range(kinds) for n in range(count)), *rest]

    def fits(places: Sequence[int]) -> bool:
        return all(arrays[str(place)].shape == shape for place, shape in zip(places, own, strict=True))

    if not len(arrays) == len(own) == len(places) or fits(range(len(own))) or not fits(places):
        return arrays
    return {str(index): arrays[str(place)] for index, place in enumerate(places)}


def load(loads: Loads, path: Any) -> None:
    """Hand every object its arrays; those with a reading of their own come first and are set back if one raises.

    Raises ValueError, naming the file, where one cannot take them.
    """
    for item, arrays in loads:
        check(tensors_of(item), arrays.values())
    _load_by_own_reading([pair for pair in loads if _own_tensors(pair[0]) is None], path)
    for item, arrays in loads:
        weights = _own_tensors(item)
        if weights is None:
            continue
        plainly = isinstance(item, Layer) and not getattr(item, "lora_enabled", False)
        if plainly or any(map(waits, weights.values())):
            with torch.no_grad(), torch._C.DisableTorchFunction():  # nothing here looks at values that wait
                for key, weight in weights.items():
                    take(weight, arrays[key])
        elif isinstance(item, Layer):
            item.load_own_variables(_Values(arrays))
        else:
            item.load_state_dict({key: torch.as_tensor(array.read()) for key, array in arrays.items()})


def _load_by_own_reading(own: Loads, path: Any) -> None:
    theirs = [item for item, _ in own if not _reads_as_ours(item)]
    before = [(tensor, tensor.detach().clone()) for item in theirs for tensor in tensors_of(item) if not waits(tensor)]
    try:
        for item, arrays in own:
            arrays = _in_order_of_today(item, arrays)
            item.load_own_variables(arrays if _reads_as_ours(item) else _Values(arrays))
    except BaseException as error:
        with torch.no_grad():
            for tensor, value in before:
                tensor.copy_(value)
        if isinstance(error, FAULTS):
            raise Misfit(f"{path}: the weights do not fit the model: {reason(error)}") from error
        raise


def check(tensors: Iterable[Any], arrays: Iterable[Stored]) -> None:
    """Raises ValueError where arrays cannot be read, before tensors change that have values which would be lost."""
    if not all(map(waits, tensors)):
        for array in arrays:
            array.check()


def waits(tensor: Any) -> bool:
    """Whether a weight has no values yet."""
    return getattr(tensor, "_awaited", None) is not None


def _reads_as_ours(item: Any) -> bool:
    """Whether it is an optimizer that takes arrays one by one; none can fail that `other_state` has seen."""
    return getattr(type(item), "load_own_variables", None) is Optimizer.load_own_variables


class _Values(Mapping[str, np.ndarray]):
    """Arrays by their keys, each read when it is asked for."""

    def __init__(self, arrays: Mapping[str, Stored]):
        self._arrays = arrays

    def __getitem__(self, key: str) -> np.ndarray:
        return self._arrays[key].read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


def tensors_of(item: Any) -> list[Any]:
    """The weights of one object, or an optimizer's state."""
    if isinstance(item, Layer):
        return item._own_weights()
    return list(item.variables) if hasattr(item, "variables") else list(item.state_dict(keep_vars=True).values())
