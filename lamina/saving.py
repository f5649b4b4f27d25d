"""Saving and loading, and the registry of your own classes that files may name."""

from __future__ import annotations

import importlib
from typing import Any

from .core import serialize
from .core.serialize import custom_object_scope as CustomObjectScope
from .core.serialize import custom_object_scope as custom_object_scope
from .core.serialize import deserialize_keras_object as deserialize_keras_object
from .core.serialize import register as register_keras_serializable
from .core.serialize import registered_name as get_registered_name
from .core.serialize import registered_object as _registered_object
from .core.serialize import serialize as serialize_keras_object
from .files import load_model as load_model
from .files import load_weights as load_weights
from .files import save_model as save_model
from .files import save_weights as save_weights
from .files.bundle import read_checkpoint as read_checkpoint
from .files.check import check as check
from .files.editor import KerasFileEditor as KerasFileEditor

__all__ = [
    "CustomObjectScope", "KerasFileEditor", "check", "convert", "custom_object_scope", "deserialize_keras_object",
    "get_custom_objects", "get_registered_name", "get_registered_object", "load_model", "load_weights",
    "read_checkpoint", "register_keras_serializable", "save_model", "save_weights", "serialize_keras_object",
]  # fmt: skip


def convert(old: Any, new: Any, weights: Any = None, custom_objects: Any = None, **options: Any) -> Any:
    """Write the model in a file of any Keras as one of today's, and compare their predictions.

    new: its suffix says the form: `.keras`, `.h5`, weights as `.weights.h5` or `.safetensors`, programs as `.pt2` or
    `.onnx`. weights: the file of those of `old` where that is an architecture in JSON or YAML. Options are those of
    `load_model`. Returns what changed. Raises ValueError, and leaves no file, where the predictions differ.
    """
    return importlib.import_module("lamina.generations.convert").convert(old, new, weights, custom_objects, **options)


def get_custom_objects() -> dict[str, Any]:
    """The registry itself: names, as files hold them, to your classes and functions. It may be changed."""
    return serialize._registered


def get_registered_object(name: str, custom_objects: Any = None, module_objects: Any = None) -> Any:
    """The class or function a file means by `name`, None if there is none."""
    found = _registered_object(name, custom_objects)
    return found if found is not None else (module_objects or {}).get(name)
