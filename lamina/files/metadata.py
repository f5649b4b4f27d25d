"""What tf.keras says of a model's objects in a SavedModel folder, read without its graphs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..translation import saved_models
from . import safe
from .wire import Message, message

FILE = "saved_model.pb"
_METADATA = "keras_metadata.pb"


def described(folder: Path) -> dict[str, Any]:
    """What the file says of the model: Keras' metadata of the object at the root."""
    found = next((plain for root, plain in _said(folder, roots=True) if root), None)
    if not isinstance(found, dict):
        raise ValueError(
            f"{folder}: a SavedModel that says nothing of Keras' layers, as `model.export` of Keras 3, "
            "`tf.saved_model.save` and TensorFlow Hub write it. It holds graphs of TensorFlow alone, which are never "
            "run. Its arrays can be read with lamina.saving.read_checkpoint; a model that is made in code takes them."
        )
    return found


def input_shapes(folder: Path) -> dict[str, Any]:
    """The shapes that layers were built for, by the layers' names."""
    said = [plain for _, plain in _said(folder) if isinstance(plain, dict)]
    return {each["name"]: each["build_input_shape"] for each in said if "name" in each and "build_input_shape" in each}


def _said(folder: Path, roots: bool = False) -> Iterator[tuple[bool, Any]]:
    """Of each object of Keras, or of the `roots` alone, whether it is the root, and what is said of it."""
    own = folder / _METADATA
    path = own if own.is_file() else folder / FILE
    with safe.reading(path):
        size, data = path.stat().st_size, message(path.read_bytes())
        for root, text in _of_metadata(data) if own.is_file() else _of_graph(data):
            if text and (root or not roots):
                yield root, saved_models.plain(safe.parse_json(text, size, "the metadata of Keras"))


def _of_metadata(data: Message) -> Iterator[tuple[bool, str]]:
    yield from ((node.text(3) == "root", node.text(5)) for node in data.messages(1))


def _of_graph(data: Message) -> Iterator[tuple[bool, str]]:
    """From TensorFlow 2.0 to 2.4 the metadata stand in the graph of objects, whose first is the root."""
    graph = data.messages(2)[0].message(7) if 2 in data else Message()
    for place, node in enumerate(graph.all(1)):
        user = message(node).message(4)
        if user.text(1).startswith("_tf_keras"):
            yield place == 0, user.text(3)
