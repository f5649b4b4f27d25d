"""Files of Keras 1, Keras 2 and tf.keras: told from today's, and read for models of their own generation."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core import serialize
from ..core.errors import named
from ..core.layer import Layer
from ..translation import origin, weights
from ..translation.keras1 import KERAS1
from ..translation.table import Class, Generation
from ..translation.tf_keras import TF_KERAS
from . import safe

_LAYOUTS = {"keras1": KERAS1, "tf_keras": TF_KERAS}  # the generations that store arrays otherwise
_ALL_BUT_ZERO = 1_000_000  # steps after which a product of momenta is nothing

Convert = Callable[[Layer, Sequence[np.ndarray]], Sequence[np.ndarray]]


@dataclass(frozen=True)
class Writer:
    """The Keras that wrote an HDF5 file's weights."""

    version: str | None
    backend: str
    generation: str


def writer(holder: Any) -> Writer:
    """Who wrote a group of layers' weights. Keras 1 says nothing there; its TensorFlow's weights end in ":0"."""
    told = [group.attrs for group in (holder, holder.file) if "keras_version" in group.attrs]
    version = safe.as_text(told[0]["keras_version"]) if told else None
    if "backend" in holder.attrs:
        backend = safe.as_text(holder.attrs["backend"])
    else:
        groups = (safe.subgroup(holder, name) for name in safe.texts(holder, "layer_names"))
        first = next((name for group in groups for name in safe.texts(group, "weight_names")), ":0")
        backend = "tensorflow" if first.endswith(":0") else "theano"
    return Writer(version, backend, origin.generation_of_version(version or "1"))


def addressed(config: Any, version: str | None) -> Any:
    """A model's config, for the generation that wrote it."""
    return origin.addressed(config, origin.generation_of(config, version)) if isinstance(config, dict) else config


def converter(model: Any, source: Writer) -> Convert:
    """What turns a layer's arrays as they are stored into today's, trained ones first.

    Raises Misfit where they, or what the layers compute, are others and the model is not of that generation.
    """
    generation = _LAYOUTS.get(source.generation)
    if generation is not None and _first_home(model, f"lamina.{generation.name}.models"):
        return _by_layouts(model, generation, source.backend)
    others = origin.otherwise(source.generation, source.backend)
    for layer in model.modules() if others else ():
        if any(cls.__name__ in others for cls in type(layer).__mro__):
            remedy = "Write it anew with that Keras on TensorFlow."
            if source.generation == "keras1":
                remedy = "Make the model with lamina.keras1, and load the weights into that."
            raise safe.Misfit(
                f"it was written by Keras {source.version or 1} on {source.backend}, where {named(layer)} stores or "
                f"computes something else. {remedy}"
            )
    return lambda layer, arrays: arrays


def _first_home(item: Any, home: str) -> type | None:
    """The class, or the first base of it, that configs name in that home."""
    return next((cls for cls in type(item).__mro__ if serialize.home_of(cls) == home), None)


def _by_layouts(model: Any, generation: Generation, backend: str) -> Convert:
    """What turns the arrays of one of the generation's layers into today's, by the layer's config.

    Raises Misfit where the model was not made for that backend's arithmetic.
    """
    for layer in model.modules():
        entry = _entry(layer, generation)
        differs = entry is not None and entry.adapt in ("convolution", "conv_lstm", "pooling")
        if differs and layer._theano != (backend == "theano"):
            made = "theano" if layer._theano else "tensorflow"
            raise safe.Misfit(
                f"{named(layer)} was made for {made}, and the file was written on {backend}, which computes "
                f"it otherwise. Make the model after lamina.keras1.backend.set_backend({backend!r})."
            )

    def read(layer: Layer, arrays: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        parts = [(leaf, part) for part in ("trainable_weights", "non_trainable_weights") for leaf in _leaves(layer)]
        layouts = [_layout(leaf, generation, backend) for leaf, _ in parts]
        counts = [len(getattr(leaf, part)) for leaf, part in parts]
        counts = [
            len(own.names()) if n and own.kind.endswith("gates") else n for own, n in zip(layouts, counts, strict=True)
        ]
        if sum(counts) != len(arrays):
            return arrays  # a misfit, which is told where they are assigned
        found, start = [], 0
        for own, count in zip(layouts, counts, strict=True):
            found += own.to_modern(arrays[start : start + count]) if count else []
            start += count
        return found

    return read


def _leaves(layer: Any) -> Iterator[Any]:
    """The layers that have weights of their own."""
    inner = layer.weight_parts() if hasattr(layer, "weight_parts") else None
    if inner is None:
        yield layer
    for part in inner or ():
        yield from _leaves(part)


def _entry(layer: Any, generation: Generation) -> Class | None:
    cls = _first_home(layer, f"lamina.{generation.name}.layers")
    return None if cls is None else generation.find(cls.__name__)


def _layout(layer: Any, generation: Generation, backend: str) -> weights.Layout:
    entry = _entry(layer, generation)
    if entry is None or not entry.weights:
        return weights.Layout()
    shape = layer.built_shape() if entry.weights in weights.BY_SHAPE else ()
    return weights.layout(entry, layer.get_config(), shape, backend)


def converter_of(layer: Any) -> Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]] | None:
    """What turns the arrays of a layer of tf.keras' into today's, where it stores others."""
    layout = _layout(layer, TF_KERAS, "tensorflow")
    return layout.to_modern if layout.kind else None


def training(settings: Mapping[str, Any], generation: str) -> Mapping[str, Any]:
    """What a file says of training, in words that are read today. Raises ValueError for Keras 1's."""
    if generation == "keras1":
        raise ValueError("The optimizers' state of Keras 1 is not read.")
    return settings if generation == "keras3" else origin.training(settings, generation)


def without_state(loads: list[tuple[Any, dict[str, np.ndarray]]]) -> list[tuple[Any, dict[str, np.ndarray]]]:
    """The arrays for the objects of a `.keras` file without the optimizer's, which is set: they have no names there."""
    kept = []
    for item, arrays in loads:
        if not hasattr(item, "_slot_names"):
            kept.append((item, arrays))
            continue
        ordered = [arrays[str(index)] for index in range(len(arrays))]
        words = ["iteration", "learning_rate"] if len(ordered) > 1 and ordered[1].ndim == 0 else ["iteration"]
        names = [*words, *map(str, range(len(ordered) - len(words)))]
        load_state(item, dict(zip(names, ordered, strict=True)))
    return kept


def load_state(optimizer: Any, stored: Mapping[str, np.ndarray]) -> None:
    """Set an optimizer's state as Keras 2 and tf.keras store it; warns, as they do, where it does not fit."""
    found = origin.optimizer_state(stored, optimizer._slot_names(), [tuple(w.shape) for w in optimizer._weights])
    if found is None:
        warnings.warn(f"State of optimizer {optimizer.name!r} not loaded: it does not fit.", stacklevel=4)
        return
    set_state(optimizer, *found)


def set_state(
    optimizer: Any, steps: Any, product: Any, slots: Mapping[str, Sequence[np.ndarray | None]]
) -> None:
    """Set an optimizer's count of steps, Nadam's product, and state tensors, one a weight or none."""
    optimizer._iterations.assign(steps)
    if hasattr(optimizer, "_product"):  # Nadam's, which tf.keras does not store
        passed = np.arange(1, min(int(steps), _ALL_BUT_ZERO) + 1)
        optimizer._product.assign(np.prod(optimizer._share(passed)) if product is None else product)
    for name, arrays in slots.items():
        for variable, array in zip(optimizer._slots[name], arrays, strict=True):
            if array is not None:
                variable.assign(array)
