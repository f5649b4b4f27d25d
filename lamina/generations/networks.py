"""The networks of `applications` as models of an older generation, which saves and names them in its words."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import applications
from ..applications._network import channel_axis
from ..core.config import image_data_format
from ..core.layer import Layer
from ..layers import Activation, Add, BatchNormalization, Concatenate, Conv2D, InputLayer
from ..models import clone_model
from ..translation.words import words
from .arithmetic import FORMATS
from .dialect import Dialect

_MERGED = {Add: "sum", Concatenate: "concat"}  # what Keras 1 had one class for


def find(dialect: Dialect, module: str, name: str) -> Any:
    """What a name means in a module of networks, such as "vgg16", or in `applications` itself ("")."""
    if name in _BLOCKS and module == "resnet50":
        return functools.partial(_BLOCKS[name], dialect)
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
        given = kwargs.get("input_tensor")
        return _translated(dialect, network.__name__, model, given) if begun and known else model

    return made


def _translated(dialect: Dialect, network: str, model: Any, given: Any) -> Any:
    """The same model of the generation's layers."""
    start = model.inputs[0]
    if start is not given:
        start = dialect.find("layers", "Input")(batch_shape=start.shape)
    of_today = {layer.name: layer for layer in model.layers if not isinstance(layer, InputLayer)}
    turned = _is_first_resnet(dialect, network)
    pads_less = turned and dialect.table.name == "keras1"
    instead = {"pool1_pad": lambda x: x, "avg_pool": functools.partial(_flat, dialect)} if pads_less else {}
    in_order = sorted(of_today.values(), key=lambda layer: _number(layer) or 0)  # for the numbers in names
    made = {layer.name: _layer(dialect, layer, **_told(dialect, network, layer)) for layer in in_order}
    kept = {made[name].name for name, layer in of_today.items() if getattr(layer, "keepdims", False)}

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if turned and isinstance(args[0], list):  # which orders the layers, and so the weights in files
            args = (args[0][::-1],)
        if layer.name in instead:
            return instead[layer.name](args[0])
        found = layer(*args, **kwargs)
        if layer.name not in kept or len(found.shape) == len(args[0].shape):
            return found
        shape = [1] * (len(args[0].shape) - 1)  # the generation's pooling keeps no axes
        shape[channel_axis() - 1] = found.shape[-1]
        return dialect.find("layers", "Reshape")(shape, name="reshape_1" if len(kept) == 1 else None)(found)

    copy = clone_model(model, start, lambda layer: made[layer.name], call)
    for name, layer in made.items():
        arrays = Layer.get_weights(of_today[name])
        if isinstance(layer, BatchNormalization) and len(arrays) < len(layer.weights):
            arrays = [np.ones_like(arrays[0]), *arrays]  # Keras 1 always has a scale
        Layer.set_weights(layer, arrays)
    end = copy.outputs[0]
    if pads_less and len(end.shape) == 4:
        end = _pooled(dialect, end)
    return dialect.find("models", "Model")(start, end, name=model.name)


def _pooled(dialect: Dialect, x: Any) -> Any:
    """How ResNet50 of Keras 1 ends."""
    return dialect.find("layers", "AveragePooling2D")((7, 7), name="avg_pool")(x)


def _flat(dialect: Dialect, x: Any) -> Any:
    return dialect.find("layers", "Flatten")()(_pooled(dialect, x))


def _name(dialect: Dialect, layer: Any) -> str | None:
    """What the generation calls layers of this kind."""
    table, modern = dialect.table, type(layer).__name__
    if type(layer) in _MERGED and table.find("Add") is None:
        return "Merge"
    same = (name for name, entry in table.objects["layers"].items() if entry.modern == modern)
    return next(same, modern if table.find(modern) else None)


def _number(layer: Any) -> int | None:
    """Which of its class a layer is that was given no name."""
    counted = re.search(r"_(\d+)$", layer.name)
    return None if layer._given_name else int(counted[1]) if counted else 0


def _is_first_resnet(dialect: Dialect, network: str) -> bool:
    return network == "ResNet50" and dialect.table.name != "tf_keras"


def _told(dialect: Dialect, network: str, layer: Any) -> dict[str, Any]:
    """What the generation's network tells a layer otherwise than today's: its name, None for one that counts up."""
    if not _is_first_resnet(dialect, network):
        return {"name": layer.name if _number(layer) is None else None}
    told = {"epsilon": 1e-3} if isinstance(layer, BatchNormalization) else {}
    counts = layer.name == "conv1_pad" and dialect.table.name == "keras1"
    return {"name": None if counts else _of_resnet50(layer.name), **told}


def _of_resnet50(name: str) -> str | None:
    """What Keras 1 and 2 call a layer of ResNet50; None where they count."""
    if inside := re.fullmatch(r"conv(\d)_block(\d)_(\d)_(conv|bn)", name):
        stage, block, at, kind = inside.groups()
        branch = ("1", "2a", "2b", "2c")[int(at)]
        return f"{'res' if kind == 'conv' else kind}{stage}{'abcdef'[int(block) - 1]}_branch{branch}"
    named = {"conv1_conv": "conv1", "conv1_bn": "bn_conv1", "predictions": "fc1000"}
    counted = re.search("(_relu|_out|_add|1_pool)$", name)
    return named.get(name, None if counted else name)


def _identity_block(
    dialect: Dialect, input_tensor: Any, kernel_size: Any, filters: Sequence[int], stage: int, block: str
) -> Any:
    return _block(dialect, input_tensor, kernel_size, filters, f"{stage}{block}", None)


def _conv_block(
    dialect: Dialect,
    input_tensor: Any,
    kernel_size: Any,
    filters: Sequence[int],
    stage: int,
    block: str,
    strides: Any = (2, 2),
) -> Any:
    return _block(dialect, input_tensor, kernel_size, filters, f"{stage}{block}", strides)


def _block(dialect: Dialect, start: Any, size: Any, filters: Sequence[int], at: str, strides: Any) -> Any:
    """A bottleneck of ResNet50, as a function of its module; without strides what came in is added as it is."""

    def convolved(x: Any, branch: str, layer: Any) -> Any:
        x = _layer(dialect, layer, name=f"res{at}_branch{branch}")(x)
        return _layer(dialect, BatchNormalization(channel_axis()), name=f"bn{at}_branch{branch}")(x)

    def relu(x: Any) -> Any:
        return _layer(dialect, Activation("relu"), name=None)(x)

    x = relu(convolved(start, "2a", Conv2D(filters[0], 1, strides or 1)))
    x = relu(convolved(x, "2b", Conv2D(filters[1], size, padding="same")))
    x = convolved(x, "2c", Conv2D(filters[2], 1))
    beside = start if strides is None else convolved(start, "1", Conv2D(filters[2], 1, strides))
    return relu(_layer(dialect, Add(), name=None)([x, beside]))


_BLOCKS = {"identity_block": _identity_block, "conv_block": _conv_block}


def _layer(dialect: Dialect, layer: Any, **told: Any) -> Any:
    """A layer in the generation's words, with what is told in place of its config."""
    name = _name(dialect, layer) or type(layer).__name__
    if name == "Merge":
        return dialect.find("layers", name)(mode=_MERGED[type(layer)], **told)
    spoken = words(dialect.table, "layers", name)
    beside = {key: default for key, default in spoken.accepted.items() if not spoken.now(key)}  # means nothing today
    config = spoken.to_old({"activity_regularizer": None, **layer.get_config()}, beside)
    return dialect.find("layers", name).from_config({"trainable": layer.trainable, **config, **told})
