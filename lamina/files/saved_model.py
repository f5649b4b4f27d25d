"""Folders that tf.keras wrote by `model.save("folder")`: TensorFlow's SavedModel with what Keras says of its objects.

No function in it is ever run: the architecture is made of the config of Keras' metadata, the weights come from the
checkpoint that lies beside it, and of the graph no more is read than the words of vocabularies, which are constants.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..core import serialize
from ..core.errors import short
from ..translation import origin, saved_models
from . import bundle, h5, keras3, metadata, object_graph, older, safe
from .metadata import FILE
from .wire import Message, message

_VARIABLES = Path("variables", "variables")


def folder_of(path: Path) -> Path | None:
    """The folder of a SavedModel that a path means, by itself or by its `saved_model.pb`."""
    if path.name == FILE and path.is_file():
        return path.parent
    return path if (path / FILE).is_file() else None


def load(folder: Path, custom_objects: Mapping[str, Any] | None = None, compile: bool = True) -> Any:
    """The model in a folder. Raises ValueError for a damaged one, and one that says nothing of Keras' objects.

    A model of your own class is made by its `from_config` from `custom_objects`.
    """
    described = metadata.described(folder)
    version = described.get("keras_version")
    with serialize.custom_object_scope(custom_objects or {}):
        _add_shapes(described, folder)
        config = older.addressed(_architecture(described, folder), version)
        with keras3.filling(folder / _VARIABLES.with_suffix(".index")):
            model = keras3.make_model(config, folder)
            shape = saved_models.input_shape(described)
            if shape is not None and not model.built:
                with safe.reading(folder):
                    model.build(shape)
            training = described.get("training_config") if compile else None
            if training:
                h5._compile(model, training, folder, "tf_keras")
            object_graph.load_weights(model, folder / _VARIABLES, tables=_tables(model, folder))
    return model


def _architecture(described: dict[str, Any], folder: Path) -> dict[str, Any]:
    config = described.get("model_config")
    if config is None:
        config = {"class_name": described.get("class_name"), "config": described.get("config")}
    name, inner = config.get("class_name"), config.get("config")
    own = name not in ("Sequential", "Functional", "Model")
    if own and serialize.registered_object(str(name)) is None:
        raise ValueError(
            f"{folder}: it holds a model of the class {short(name)}, which is yours. Pass it as "
            f"custom_objects={{{name!r}: ...}}, or make the model in code, call it once, and use "
            f'model.load_weights("{folder}").'
        )
    if not isinstance(inner, dict) or "layer was saved without config" in inner:
        raise ValueError(
            f"{folder}: it holds a model of the class {short(name)}, which wrote no config, so that nothing says how "
            f'to make it. Make it in code, call it once, and use model.load_weights("{folder}").'
        )
    return config


def _add_shapes(described: Mapping[str, Any], folder: Path) -> None:
    """Tell layers their shapes where one learned statistics: the model's input need not say them then."""
    entries = [each for each in origin.entries(described) if isinstance(each["config"], dict)]
    if any(each["class_name"] == "Normalization" for each in entries):
        shapes = metadata.input_shapes(folder)
        for each in entries:
            if shapes.get(each["config"].get("name")) is not None and "layers" not in each["config"]:
                each["build_config"] = {"input_shape": shapes[each["config"]["name"]]}


def _tables(model: Any, folder: Path) -> dict[int, list[Any]]:
    """The words of tables that never change, by their objects' places: constants, which fill them at the start."""
    if not any(hasattr(layer, "set_vocabulary") for layer in model.modules()):
        return {}
    path = folder / FILE
    with safe.reading(path):
        held = message(path.read_bytes()).message(2)
        graph = held.message(7)
        nodes = graph.messages(1)
        bound = {item.text(1): item.message(2).numbers(2) for item in graph.messages(2)}
        found: dict[int, tuple[str, str]] = {}
        for place, node in enumerate(nodes):
            starts = [child.number(1) for child in node.messages(1) if child.text(2) == "_initialize"]
            names = [str(name, "utf-8") for start in starts[:1] for name in nodes[start].message(6).all(1)[:1]]
            inputs = [nodes[at].message(9).text(1) for name in names for at in bound.get(name, [])[1:3]]
            if len(inputs) == 2 and all(inputs):
                found[place] = (inputs[0], inputs[1])
        wanted = {name for pair in found.values() for name in pair}
        constants = {item.text(1): item for item in held.message(2).messages(1) if item.text(1) in wanted}
        values = {name: _constant(constants[name]) for name in wanted}
        return {place: bundle.in_order(*(values[name] for name in pair)) for place, pair in found.items()}


def _constant(node: Message) -> list[Any]:
    """The values of a constant of a graph: texts or whole numbers."""
    value = next(item.message(2).message(8) for item in node.messages(5) if item.text(1) == "value")
    if value.number(1) == bundle.STRING:
        return [bytes(text) for text in value.all(8)]
    return np.frombuffer(value.bytes(4), "<i8").tolist() or value.numbers(10)
