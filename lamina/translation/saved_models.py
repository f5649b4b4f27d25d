"""What tf.keras says of objects in SavedModels, as the plain data that configs hold elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SPARE = {"has_input_vocabulary"}  # said in SavedModels alone; `vocabulary` says it elsewhere


def plain(value: Any) -> Any:
    """The same without the marks for shapes, tuples and types of tensors; a type becomes the tensor's shape."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    mark = value.get("class_name")
    if mark in ("TensorShape", "__tuple__") and "items" in value:
        items = value["items"]
        return None if items is None else [plain(item) for item in items]
    if mark == "TypeSpec" and "serialized" in value:
        return plain(value["serialized"])
    return {key: plain(item) for key, item in value.items() if key not in _SPARE}


def input_shape(described: Mapping[str, Any]) -> Any:
    """The shape that a model was built for, (batch, ...), or several of them; None where nothing says it."""
    found = described.get("build_input_shape", described.get("batch_input_shape"))
    if found is None:
        specs = described.get("save_spec")
        found = specs[0] if isinstance(specs, list) and specs and isinstance(specs[0], list) else specs
    return tuple(found) if isinstance(found, list) else found
