"""What tf.keras says of a model's objects in a SavedModel folder, read without its graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..translation import saved_models
from . import safe
from .wire import Message, message

FILE = "saved_model.pb"
_METADATA = "keras_metadata.pb"


def described(folder: Path) -> dict[str, Any]:
    """What the file says of the model: Keras' metadata of the object at the root."""
    own = folder / _METADATA
    path = own if own.is_file() else folder / FILE
    with safe.reading(path):
        size = path.stat().st_size
        data = message(path.read_bytes())
        root = _root_of_metadata(data) if own.is_file() else _root_of_graph(data)
        text = root and safe.parse_json(root, size, "the metadata of Keras")
        found = saved_models.plain(text)
    if not isinstance(found, dict):
        raise ValueError(
            f"{folder}: a SavedModel that says nothing of Keras' layers, as `model.export` of Keras 3, "
            "`tf.saved_model.save` and TensorFlow Hub write it. It holds graphs of TensorFlow alone, which are never "
            "run. Its arrays can be read with lamina.saving.read_checkpoint; a model that is made in code takes them."
        )
    return found


def _root_of_metadata(data: Message) -> str | None:
    nodes = data.messages(1)
    found = next((node for node in nodes if node.text(3) == "root"), None)
    return None if found is None else found.text(5)


def _root_of_graph(data: Message) -> str | None:
    """From TensorFlow 2.0 to 2.4 the metadata stand in the graph of objects, whose first is the root."""
    graph = data.messages(2)[0].message(7) if 2 in data else Message()
    nodes = graph.all(1)
    user = message(nodes[0]).message(4) if nodes else Message()
    return user.text(3) if user.text(1).startswith("_tf_keras") else None
