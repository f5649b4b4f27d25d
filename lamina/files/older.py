"""Files of Keras 1, Keras 2 and tf.keras: told from today's, and read for models of their own generation."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.errors import named
from ..core.layer import Layer
from ..translation import origin
from . import safe

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
    reader = getattr(model, "reader_of_arrays", None)
    if reader is not None and model._generation.name == source.generation == "keras1":
        try:
            return reader(source.backend)
        except ValueError as error:
            raise safe.Misfit(str(error)) from error
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
    steps, product, slots = found
    optimizer._iterations.assign(steps)
    if hasattr(optimizer, "_product"):  # Nadam's, which tf.keras does not store
        passed = np.arange(1, min(int(steps), _ALL_BUT_ZERO) + 1)
        optimizer._product.assign(np.prod(optimizer._share(passed)) if product is None else product)
    for name, arrays in slots.items():
        for variable, array in zip(optimizer._slots[name], arrays, strict=True):
            variable.assign(array)
