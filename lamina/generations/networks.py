"""The networks of `applications` as models of an older generation, which saves and names them in its words."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import applications
from ..applications._network import channel_axis
from ..core.config import image_data_format
from ..core.layer import Layer
from ..layers import Add, BatchNormalization, Concatenate, InputLayer
from ..models import clone_model
from ..translation.words import words
from .arithmetic import FORMATS
from .dialect import Dialect

_MERGED = {Add: "sum", Concatenate: "concat"}  # what Keras 1 had one class for


def find(dialect: Dialect, module: str, name: str) -> Any:
    """What a name means in a module of networks, such as "vgg16", or in `applications` itself ("")."""
    found: Any = getattr(getattr(applications, module, None) if module else applications, name, None)
    if inspect.isclass(found):  # a layer of today that the module is written with
        return None
    if name == "preprocess_input" and dialect.table.scalars:
        return functools.partial(_preprocess_input, found)
    return _of_generation(dialect, found) if inspect.isfunction(found) and name[0].isupper() else found


def _preprocess_input(
    modern: Callable[..., np.ndarray], x: np.ndarray, dim_ordering: str | None = "default"
) -> np.ndarray:
    return modern(x, FORMATS.get(dim_ordering or "default", image_data_format()))


def _of_generation(dialect: Dialect, network: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(network)
    def made(*args: Any, **kwargs: Any) -> Any:
        model = network(*args, **kwargs)
        begun = all(isinstance(tensor.node.layer, InputLayer) for tensor in model.inputs)
        known = all(isinstance(layer, InputLayer) or _name(dialect, layer) for layer in model.layers)
        return _translated(dialect, model, kwargs.get("input_tensor")) if begun and known else model

    return made


def _translated(dialect: Dialect, model: Any, given: Any) -> Any:
    """The same model of the generation's layers."""
    start = model.inputs[0]
    if start is not given:
        start = dialect.find("layers", "Input")(batch_shape=start.shape)
    kept = {layer.name for layer in model.layers if getattr(layer, "keepdims", False)}

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        found = layer(*args, **kwargs)
        if layer.name not in kept or len(found.shape) == len(args[0].shape):
            return found
        shape = [1] * (len(args[0].shape) - 1)  # the generation's pooling keeps no axes
        shape[channel_axis() - 1] = found.shape[-1]
        return dialect.find("layers", "Reshape")(shape, name="reshape_1" if len(kept) == 1 else None)(found)

    copy = clone_model(model, start, functools.partial(_layer, dialect), call)
    of_today = {layer.name: layer for layer in model.layers}
    for layer in copy.layers:
        arrays = Layer.get_weights(of_today[layer.name]) if layer.name in of_today else []
        if isinstance(layer, BatchNormalization) and len(arrays) < len(layer.weights):
            arrays = [np.ones_like(arrays[0]), *arrays]  # Keras 1 always has a scale
        Layer.set_weights(layer, arrays)
    return dialect.find("models", "Model")(start, copy.outputs[0], name=model.name)


def _name(dialect: Dialect, layer: Any) -> str | None:
    """What the generation calls layers of this kind."""
    table, modern = dialect.table, type(layer).__name__
    if type(layer) in _MERGED and table.find("Add") is None:
        return "Merge"
    same = (name for name, entry in table.objects["layers"].items() if entry.modern == modern)
    return next(same, modern if table.find(modern) else None)


def _layer(dialect: Dialect, layer: Any) -> Any:
    """A layer in the generation's words."""
    name = _name(dialect, layer) or type(layer).__name__
    if name == "Merge":
        return dialect.find("layers", name)(mode=_MERGED[type(layer)], name=layer.name)
    told = words(dialect.table, "layers", name)
    beside = {key: default for key, default in told.accepted.items() if not told.now(key)}  # means nothing today
    own = told.to_old({"activity_regularizer": None, **layer.get_config()}, beside)
    return dialect.find("layers", name).from_config({"name": layer.name, "trainable": layer.trainable, **own})
