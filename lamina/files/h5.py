"""The older HDF5 files: a whole model (`model.save("x.h5")`) or its weights, by layers in order."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from ..core import serialize
from ..core.errors import named, show_shape, warn
from ..core.layer import Layer
from ..core.weight import memory_of
from ..translation import origin
from . import layered, older, safe, tree
from .keras3 import KERAS_VERSION, assets_of, compiling, filling, make_model, require_built, stored_model

HEADER_LIMIT = 64512  # bytes of one attribute that HDF5 keeps in an object's header


# Writing ---------------------------------------------------------------------------------------------------------


def save(model: Any, path: Path, include_optimizer: bool = True) -> None:
    """Write a whole model as HDF5: architecture, weights, compile arguments and the optimizer's state.

    Raises ValueError for a model with files of its own, such as a learned vocabulary.
    """
    for name, _ in assets_of(model):
        raise ValueError(f"{path}: HDF5 has no place for {name!r}, which belongs to the model; save it as .keras.")
    described = stored_model(model)
    architecture = {**_named(described), "config": _older(described["config"])}
    architecture["build_config"] = described.get("build_config")  # ours: Keras forgets a subclassed model's input
    architecture |= {"backend": described["backend"]} if "backend" in described else {}
    source = older.writer_of(model)
    attributes = {**_told(source), "model_config": json.dumps(architecture, default=serialize.plain)}
    settings = model.get_compile_config() if include_optimizer and getattr(model, "compiled", False) else None
    if settings:
        optimizer = settings.pop("optimizer")
        settings = {key: serialize.serialize(value) for key, value in settings.items()}
        if source is not None and source.generation == "tf_keras":
            older.metrics_of_outputs(model, settings)
        elif source is not None:
            settings = pytree.tree_map(older.by_name, settings, is_leaf=older.names_function)
        settings["optimizer_config"] = {**_named(optimizer), "config": optimizer["config"]}
        attributes["training_config"] = json.dumps(settings, default=serialize.plain)
    with safe.replacing_hdf5(path) as file:
        for name, text in attributes.items():
            file.attrs[name] = text.encode()  # Keras 1 and 2 decode them
        _write_weights(file.create_group("model_weights"), model, source)
        early = source is not None and source.generation != "tf_keras"  # its state is made by the first step
        if settings and model.optimizer.variables and (model.optimizer.built or not early):
            group = file.create_group("optimizer_weights")
            if source is not None and model.optimizer.built and older.has_slots(model.optimizer):
                _write_arrays(group, older.stored_state(model, source))
                return
            prefix = model.optimizer.name
            _write_arrays(group, [(_below(prefix, variable.path), variable) for variable in model.optimizer.variables])


def save_weights(model: Any, path: Path) -> None:
    """Write the weights alone, by layers."""
    require_built(model, "save its weights")
    with safe.replacing_hdf5(path) as file:
        _write_weights(file, model, older.writer_of(model))


def _told(source: layered.Writer | None) -> dict[str, str]:
    """Who wrote a file, as readers find it."""
    if source is None:
        return {"keras_version": KERAS_VERSION, "backend": "torch"}
    return {"keras_version": str(source.version), "backend": str(source.backend)}


def _below(prefix: str, path: str) -> str:
    return path if path.startswith(f"{prefix}/") else f"{prefix}/{path}"


def _named(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The class; with its module only where that is a generation's own, since these files have none."""
    module = str(entry.get("module"))
    own = {"module": module} if module in serialize.HOMES and not module.startswith("keras") else {}
    return {"class_name": entry.get("registered_name") or entry["class_name"], **own}


def _older(config: Any) -> Any:
    """A model's config with its layers in the older form: class and config alone."""
    if not isinstance(config, Mapping) or "layers" not in config:
        return config
    layers = []
    for entry in config["layers"]:
        kept = {key: entry[key] for key in ("name", "inbound_nodes", "shared_object_id") if key in entry}
        layers.append({**_named(entry), "config": _older(entry["config"]), **kept})
    return {**config, "layers": layers}


def _write_weights(group: Any, model: Any, source: layered.Writer | None) -> None:
    convert = None if source is None else older.converter_to(source)
    layers = _flat(model, convert)
    for layer in layers:
        if layer.name == "." or layer.name != layer.name.replace("\0", "").encode("utf-8", "replace").decode():
            raise ValueError(f"HDF5 can name no group {layer.name!r}: rename the layer, or save the model as .keras.")
    _write_texts(group, "layer_names", [layer.name for layer in layers])
    for name, text in _told(source).items():
        group.attrs[name] = text.encode()
    for layer in sorted(layers, key=lambda layer: layer.name):
        arrays: list[Any] = [(_path(weight), weight) for weight in _in_order(layer)] if convert is None else []
        if convert is not None:
            arrays = convert.stored(layer)
            arrays += older.learned(layer).items() if convert.in_turns else ()
        _write_arrays(group.create_group(layer.name), arrays)
    _write_arrays(group.create_group(layered.TOP), [(_path(weight), weight) for weight in _in_order(model, own=True)])


def _in_order(layer: Layer, own: bool = False) -> list[Any]:
    """The order of these files: trainable weights first. `own`: without those of the layers inside."""
    found = [*layer.trainable_weights, *layer.non_trainable_weights]
    kept = {id(weight) for weight in (layer._own_weights() if own else found)}
    return [weight for weight in found if id(weight) in kept]


def _path(weight: Any) -> str:
    return getattr(weight, "path", "weight")


def _write_arrays(group: Any, arrays: Sequence[tuple[str, Any]]) -> None:
    names: list[str] = []
    for path, tensor in arrays:
        name, count = path, 0
        while name in names:
            count += 1
            name = f"{path}_{count}"
        names.append(name)
        tree.put(group, name, tensor, halves=False)
    _write_texts(group, "weight_names", names)


def _write_texts(group: Any, name: str, items: list[str]) -> None:
    """A list as one attribute, or where it is too long as several numbered ones."""
    encoded = np.array([item.encode() for item in items], "S")  # side by side, as Keras has them
    each = max(1, HEADER_LIMIT // encoded.itemsize)
    if len(encoded) <= each:
        group.attrs[name] = encoded
        return
    for index, start in enumerate(range(0, len(encoded), each)):
        group.attrs[f"{name}{index}"] = encoded[start : start + each]


# Reading ---------------------------------------------------------------------------------------------------------


def load(
    path: Path, custom_objects: Mapping[str, Any] | None = None, compile: bool = True, backend: str | None = None
) -> Any:
    """The model in an HDF5 file. Raises ValueError for a damaged file, an unknown class or weights that misfit."""
    with safe.reading(path):
        file = safe.opened_hdf5(path)
    with file, serialize.custom_object_scope(custom_objects or {}):
        with safe.reading(path):
            if "model_config" not in file.attrs:
                raise ValueError("it holds no architecture; if it holds weights, use model.load_weights")
            config = safe.json_of(file, "model_config")
            training = safe.json_of(file, "training_config") if "training_config" in file.attrs else None
            groups, writer = layered.read(safe.subgroup(file, "model_weights"), backend)
            config = older.addressed(config, writer.version)
            read_state = compile and training and "optimizer_weights" in file
            state = safe.subgroup(file, "optimizer_weights") if read_state else None
            optimizer_state = {} if state is None else layered.by_names(state)
            safe.check_total(optimizer_state.values(), file)
        with serialize.computing_as_on(writer.backend):
            with filling(path):
                model = make_model(config, path)
                with safe.reading(path):
                    convert, learned = older.converter(model, writer), _learned(model, groups)
                    pairs = _in_file_order(model, groups, convert)
                    _assign(pairs, learned, skip_mismatch=False)
                    _tell_of_vocabularies(model)
            if compile and training:
                _compile(model, training, path, writer.generation)
                if optimizer_state and model.optimizer is not None:
                    with safe.reading(path):
                        _load_state(model.optimizer, optimizer_state, pairs, writer)
    return model


def _tell_of_vocabularies(model: Any) -> None:
    """Warns of layers whose learned vocabulary is not in the file, in which Keras has no place for one."""
    for layer in model.modules():
        if hasattr(layer, "set_vocabulary") and not layer.get_vocabulary(include_special_tokens=False):
            warn(
                f"{named(layer)} has no vocabulary: HDF5 has no place for one that was learned. Before you use the "
                "model, call its `adapt(data)` or `set_vocabulary(terms)`; or save the model as .keras."
            )
            return


def _load_state(optimizer: Any, stored: dict[str, Any], pairs: list[older.Pair], writer: layered.Writer) -> None:
    if older.has_slots(optimizer) and writer.generation != "keras3":
        older.load_state_of(optimizer, stored, pairs, origin.sorts_weights(writer.version))
        return
    arrays = {str(index): array for index, array in enumerate(stored.values())}
    problem = tree.other_state(optimizer, arrays)
    if problem:
        raise safe.Misfit(f"the optimizer's state does not fit: {problem}")
    tree.load([(optimizer, arrays)], "its optimizer")


def _compile(model: Any, training: Mapping[str, Any], path: Path, generation: str) -> None:
    homes = {"loss": ("keras.losses",), "metrics": ("keras.metrics",), "weighted_metrics": ("keras.metrics",)}
    with compiling(model, training, path):
        training = older.training(training, generation)
        if generation == "tf_keras":
            older.metrics_as_given(model, training)
        settings = {key: serialize.deserialize(training.get(key), homes=rooms) for key, rooms in homes.items()}
        settings["loss_weights"] = training.get("loss_weights")
        settings["optimizer"] = serialize.deserialize(training["optimizer_config"], homes=("keras.optimizers",))
        model.compile_from_config(settings)


def load_weights(
    model: Any, path: Path, skip_mismatch: bool = False, by_name: bool = False, backend: str | None = None
) -> None:
    """Set a model's weights from an HDF5 file of layers, in order or by the layers' names."""
    require_built(model, "load weights")
    with safe.reading(path), safe.opened_hdf5(path) as file:
        holder = safe.subgroup(file, "model_weights") if "model_weights" in file else file
        groups, writer = layered.read(holder, backend)
        convert, learned = older.converter(model, writer), _learned(model, groups)
        pairs = (_by_name if by_name else _in_file_order)(model, groups, convert)
        _assign(pairs, learned, skip_mismatch)


def is_by_layers(path: Path) -> bool:
    """Whether an HDF5 file is of this older kind. Raises ValueError for a damaged one."""
    import h5py

    with safe.reading(path), h5py.File(path, "r") as file:  # of which it reads no texts
        return layered.is_layered(file)


def _in_file_order(model: Any, groups: layered.Groups, convert: older.Converter) -> list[older.Pair]:
    layers = _layers(model, convert)
    stored = {name: arrays for name, arrays in groups.items() if arrays and name != layered.TOP}
    if [*stored] == [layered.GRAPH]:
        layers = _as_told(model, layers)
        stored = _divided(stored[layered.GRAPH], layers, convert)
    if len(layers) != len(stored):
        whole = [layer for layer in model.layers if layer.weights]
        layers = whole if len(whole) == len(stored) else layers  # where a Merge counts as one, as before Keras 1.0
    if len(layers) != len(stored):
        hint = "" if model.built else " The model is not built, since the file does not say its input's shape."
        raise safe.Misfit(f"the model has {len(layers)} layers with weights; the file has {len(stored)}.{hint}")
    pairs = [
        older.Pair(f"{layer.name!r} (in the file {name!r})", convert.parts(layer), arrays)
        for layer, (name, arrays) in zip(layers, stored.items(), strict=True)
    ]
    return [*pairs, *_top(model, groups)]


def _flat(model: Any, convert: older.Converter | None) -> list[Any]:
    """The layers in the order of files: of Keras 1 with those that a first Merge joins."""
    flat = convert is not None and convert.generation is not None and getattr(model, "flattened_layers", None)
    return [*dict.fromkeys(flat or model.layers)]


def _layers(model: Any, convert: older.Converter) -> list[Any]:
    """Those with weights."""
    return [layer for layer in _flat(model, convert) if layer.weights]


def _as_told(model: Any, layers: list[Any]) -> list[Any]:
    """In the order in which the model's config has them."""
    order = {name: place for place, name in enumerate(getattr(model, "_told_order", ()))}
    return sorted(layers, key=lambda layer: order.get(layer.name, len(order)))


def _divided(arrays: Mapping[str, safe.StoredArray], layers: list[Any], convert: older.Converter) -> layered.Groups:
    """One list of all arrays as those of each layer."""
    names, found = iter(arrays), {}
    for layer in layers:
        count = sum(part.count for part in convert.parts(layer))
        found[layer.name] = {name: arrays[name] for name in itertools.islice(names, count)}
    rest = list(names)
    return {**found, "the rest": {name: arrays[name] for name in rest}} if rest else found


def _by_name(model: Any, groups: layered.Groups, convert: older.Converter) -> list[older.Pair]:
    known = [layer for layer in _layers(model, convert) if groups.get(layer.name)]
    pairs = [older.Pair(repr(layer.name), convert.parts(layer), groups[layer.name]) for layer in known]
    return [*pairs, *_top(model, groups)]


def _top(model: Any, groups: layered.Groups) -> list[older.Pair]:
    if layered.TOP not in groups:
        return []
    own = _in_order(model, own=True)
    parts = [older.as_today([one for one in own if one.trainable is each], each) for each in (True, False)]
    return [older.Pair(f"model {model.name!r}", parts, groups[layered.TOP])]


Learned = list[tuple[Any, Any]]  # layers, and the quantiles or weights of terms for them


def _learned(model: Any, groups: layered.Groups) -> Learned:
    """What layers learned that is no weight of theirs, taken out of the groups."""
    held = [(layer, *each) for layer in dict.fromkeys(model.layers) for each in older.learned(layer).items()]
    ends = {name: [path.rpartition("/")[2] for path in arrays] for name, arrays in groups.items()}
    found = [name for name, words in ends.items() if words in [[word] for _, word, _ in held]]
    if [ends[name] for name in found] != [[word] for _, word, _ in held]:
        return []  # which is told as other layers' weights are
    stored = [array.read() for name in found for array in groups.pop(name).values()]
    for (layer, word, own), array in zip(held, stored, strict=True):
        if array.ndim != own.ndim or len(array) != len(own):
            expected, got = show_shape(own.shape), show_shape(array.shape)
            raise ValueError(f"{named(layer)}: expected shape {expected} for {word!r}; the file has {got}")
    return [(layer, array) for (layer, *_), array in zip(held, stored, strict=True)]


def _assign(pairs: list[older.Pair], learned: Learned, skip_mismatch: bool) -> None:
    """Compare everything, then write. With `skip_mismatch` weights that do not fit are left, with a warning."""
    compared = [(pair.what, pair.weights, pair.outlines()) for pair in pairs]
    problems: list[str] = []
    fitting: list[tuple[older.Pair, list[Any]]] = []
    for pair, (what, weights, arrays) in zip(pairs, compared, strict=True):
        alone = skip_mismatch and len(weights) == len(arrays)  # one after another, as in Keras
        own, stored = dict(enumerate(weights)), dict(enumerate(arrays))
        parts = [({key: own[key]}, {key: stored[key]}) for key in own] if alone else [(own, stored)]
        wanted: list[Any] = []
        for part in parts:
            problem = tree.misfit(*part, word="path")
            problems += [f"layer {what}: {problem}"] if problem else []
            wanted += [None] * len(part[0]) if problem else part[0].values()
        fitting.append((pair, wanted))
    safe.tell_misfits(problems, skip_mismatch, compared)
    fitting = [(pair, wanted) for pair, wanted in fitting if any(weight is not None for weight in wanted)]
    for pair, _ in fitting:
        tree.check(pair.weights, pair.arrays)
    with torch.no_grad(), torch._C.DisableTorchFunction():  # nothing here looks at values that wait
        for pair, wanted in fitting:
            pair.fill([None if weight is None else memory_of(weight) for weight in wanted], pair.arrays)
    for layer, values in learned:
        layer.load_own_variables({"0" if older.learns_bins(layer) else "idf_weights": values})
