"""Objects as Keras 2 writes them into configs: a name, or {"class_name", "config"}."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from ..core.serialize import custom_object_scope, registered_name, registered_object

__all__ = ["deserialize_keras_object", "serialize_keras_object"]


def serialize_keras_object(instance: Any) -> str | dict[str, Any] | None:
    """None, a function's name, or an object's class and config. Raises ValueError for anything else."""
    if instance is None:
        return None
    if hasattr(instance, "get_config"):
        config = {
            key: serialize_keras_object(value) if hasattr(value, "get_config") else value
            for key, value in instance.get_config().items()
        }
        return {"class_name": registered_name(type(instance)), "config": config}
    if hasattr(instance, "__name__"):
        return registered_name(instance)
    raise ValueError(f"serialize_keras_object: {instance!r} has no `get_config`.")


def deserialize_keras_object(
    identifier: Any,
    module_objects: Mapping[str, Any] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    printable_module_name: str = "object",
) -> Any:
    """The object that a name or a {"class_name", "config"} stands for.

    It is looked up in `custom_objects`, the open scopes, the registry and `module_objects`, and nowhere else. A
    function is returned as it is. Raises ValueError for unknown names and for anything else.
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        found = named(identifier, module_objects, custom_objects, printable_module_name)
        return found() if inspect.isclass(found) else found
    if inspect.isfunction(identifier):
        return identifier
    if not isinstance(identifier, Mapping):
        raise ValueError(f"Could not interpret serialized {printable_module_name}: {identifier!r}.")
    if not {"class_name", "config"} <= identifier.keys():
        raise ValueError(f"Expected a dictionary with `class_name` and `config`; got {identifier!r}.")
    cls = named(identifier["class_name"], module_objects, custom_objects, printable_module_name)
    config = identifier["config"]
    told = {"custom_objects": custom_objects or {}}
    with custom_object_scope(custom_objects or {}):
        if not hasattr(cls, "from_config"):
            return cls(**config)
        takes = inspect.signature(cls.from_config).parameters
        return cls.from_config(config, **(told if "custom_objects" in takes else {}))


def named(name: str, module_objects: Mapping[str, Any] | None, custom_objects: Any, what: str) -> Any:
    """The class or function of a name, as `deserialize_keras_object` looks for it."""
    found = registered_object(name, custom_objects)
    found = (module_objects or {}).get(name) if found is None else found
    if found is None:
        raise ValueError(
            f"Unknown {what}: {name!r}. Pass it in `custom_objects`, or open a `custom_object_scope` with it."
        )
    return found
