"""The module trees `lamina.keras1`, `lamina.keras2` and `lamina.tf_keras`, their classes made on first use."""

from __future__ import annotations

import functools
import importlib
import importlib.abc
import inspect
import sys
import threading
from collections.abc import Callable, Mapping
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from .. import layers as modern_layers
from ..core import config, serialize
from ..layers import old as old_layers
from ..translation import apply
from ..translation.keras1 import KERAS1
from ..translation.keras2 import KERAS2
from ..translation.table import Class, Generation
from ..translation.tf_keras import TF_KERAS
from . import activations as old_activations
from . import callbacks as old_callbacks
from . import models as old_models
from . import objects, shim

GENERATIONS: dict[str, Generation] = {g.name: g for g in (KERAS1, KERAS2, TF_KERAS)}

Find = Callable[[str], Any]
_making = threading.RLock()


class Namespace(ModuleType):
    """A module whose names are found on first use."""

    def __init__(self, name: str, doc: str, find: Find, names: Callable[[], list[str]]):
        super().__init__(name, doc)
        self.__path__: list[str] = []  # it may have submodules
        self.__spec__ = ModuleSpec(name, None, is_package=True)
        vars(self).update(_find=find, _names=names)

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return vars(self)["_names"]()
        if name.startswith("__"):
            raise AttributeError(name)
        with _making:  # every name stands for one object, whichever threads ask for it first
            found = vars(self)[name] if name in vars(self) else vars(self)["_find"](name)
            if found is None:
                raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
            setattr(self, name, found)
        return found

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *vars(self)["_names"]()})


# What to use for what is not here, by a part of its path below `keras`.
_INSTEAD = {
    "datasets": "Load arrays of your own, or the digits of lamina.data.load_digits().",
    "preprocessing.text": "Split and count words in Python; `preprocessing.sequence.pad_sequences` is here.",
    "preprocessing.image": "Augment arrays with NumPy or torchvision, and pass them to `fit` as a generator.",
    "applications": "Build the model from its layers, and load its weights by `load_weights`.",
    "wrappers": "Call `fit` and `predict` yourself.",
    **dict.fromkeys(("plot_model", "vis_utils", "visualize_util"), "`model.summary()` shows the layers."),
    "get_file": "Fetch the file yourself.",
    "multi_gpu_model": "Use torch's own tools for several devices.",
}


class _Absent(importlib.abc.MetaPathFinder):
    """Comes last, and says for a module or name that a generation has and this project has not what to use."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        parent = sys.modules.get(fullname.rpartition(".")[0])
        if not isinstance(parent, Namespace):
            return
        root, _, own = parent.__name__.removeprefix("lamina.").partition(".")
        told = f"{own}.{fullname.rpartition('.')[2]}".lstrip(".")
        hint = next((text for name, text in _INSTEAD.items() if f".{name}." in f".{told}."), "")
        raise ModuleNotFoundError(f"keras.{told} of Keras {GENERATIONS[root].version} is not in Lamina. {hint}".strip())


sys.meta_path.append(_Absent())


def open_namespace(name: str) -> ModuleType:
    """The root module of a generation, with its submodules in `sys.modules` under the same names as the files'."""
    with _making:
        found = sys.modules.get(f"lamina.{name}")
        return found if isinstance(found, Namespace) else _made(name)


def _made(name: str) -> ModuleType:
    root = f"lamina.{name}"
    generation = GENERATIONS[name]
    modules: dict[str, Namespace] = {}

    def add(path: str, doc: str, find: Find, names: Callable[[], list[str]] = list) -> None:
        full = f"{root}.{path}".rstrip(".")
        modules[path] = Namespace(full, doc, find, names)

    rooms = _rooms(generation)
    doc = f"Keras {generation.version} on Lamina's layers."
    add("", doc, lambda key: modules.get(key) or rooms["models"](key) or rooms["layers"](key))
    for path, find in rooms.items():
        add(path, doc, find, functools.partial(_listed, generation, path))
    for path, module in modules.items():
        parent, _, leaf = path.rpartition(".")
        if path:
            setattr(modules[parent], leaf, module)
    vars(modules[""])["__version__"] = generation.version
    sys.modules.update({module.__name__: module for module in modules.values()})  # all at once: others may be importing
    return modules[""]


def _listed(generation: Generation, path: str) -> list[str]:
    """The names in a module, without those that have no counterpart yet."""
    home, _, place = generation.modules.get(path, path).partition(".")
    names = [
        alias
        for key, entry in generation.objects.get(home, {}).items()
        if not place or entry.home in (place, generation.extras.get(place))
        for alias in (key, *entry.aliases.split())
    ]
    names += _ELSEWHERE.get(home, [])
    if home == "backend":
        names += _backend_names(generation)
    elif home not in ("layers", "engine"):
        names += getattr(_modern_module(home), "__all__", ())
    module = sys.modules[f"lamina.{generation.name}.{path}"]
    return [name for name in dict.fromkeys(names) if name[0] != "_" and hasattr(module, name)]


_ELSEWHERE = {"models": ["Model", "Sequential", "model_from_config", "model_from_json"]}


def _rooms(generation: Generation) -> dict[str, Find]:
    """How names are found, for each module of a generation."""
    name = generation.name
    rooms: dict[str, Find] = {"layers": lambda key: get_class(generation, key)}
    places = sorted({entry.home for entry in generation.objects["layers"].values() if entry.home})
    for place in places:
        rooms[f"layers.{place}"] = lambda key, place=place: _in_place(generation, place, key)
    rooms["engine"] = rooms["engine.topology"] = lambda key: _engine(generation, key)
    rooms["engine.training"] = rooms["engine.base_layer"] = rooms["engine.topology"]
    rooms["models"] = lambda key: old_models.find(generation, key) or _modern("models", key)
    for home in ("regularizers", "constraints", "initializers", "optimizers"):
        rooms[home] = lambda key, home=home: _object(generation, home, key)
    rooms["activations"] = lambda key: _activation(generation, key)
    for home in ("losses", "metrics", "callbacks"):
        second = generation.functions.get("losses" if home == "metrics" else home, {})
        rooms[home] = lambda key, home=home, second=second: _modern(home, second.get(key, key))
    modern_callback = rooms["callbacks"]
    rooms["callbacks"] = lambda key: old_callbacks.find(name, key) or modern_callback(key)
    for alias in ("utils", "utils.np_utils", "utils.data_utils", "preprocessing", "preprocessing.sequence"):
        rooms[alias] = _utility
    rooms["utils.generic_utils"] = lambda key: getattr(serialize, key, None) or _utility(key)
    rooms["backend"] = lambda key: _backend(generation, key)
    for alias, home in generation.modules.items():
        rooms[alias] = rooms[home]
    if name == "tf_keras":
        rooms["mixed_precision"] = _mixed_precision
        rooms["optimizers.schedules"] = lambda key: _modern("optimizers.schedules", key)
    return rooms


def _mixed_precision(key: str) -> Any:
    from ..core import dtypes

    found = {
        "Policy": dtypes.DTypePolicy,
        "set_global_policy": dtypes.set_dtype_policy,
        "global_policy": dtypes.dtype_policy,
    }
    return found.get(key)


def _modern(home: str, key: str) -> Any:
    return getattr(_modern_module(home), key, None)


def _modern_module(home: str) -> ModuleType | None:
    try:
        return importlib.import_module(f"lamina.{home}")
    except ModuleNotFoundError:
        return None


def _backend(generation: Generation, key: str) -> Any:
    return _backend_names(generation).get(key)


def _backend_names(generation: Generation) -> dict[str, Any]:
    from . import backend

    return backend.for_generation(generation.name)


def _utility(key: str) -> Any:
    from . import utils

    return getattr(utils, key, None) or _modern("utils", key)


def _engine(generation: Generation, key: str) -> Any:
    return old_models.find(generation, key) or get_class(generation, key)


def _in_place(generation: Generation, place: str, key: str) -> Any:
    entry = generation.find(key)
    if entry is None:
        return None
    if key in ("Layer", "InputSpec") or entry.home in (place, generation.extras.get(place)):
        return getattr(open_namespace(generation.name).layers, key)
    return None


_functions = {"add", "subtract", "multiply", "average", "maximum", "minimum", "concatenate", "dot"}


def get_class(generation: Generation, name: str) -> Any:
    """A layer class (or function) of a generation; None where it has none of that name."""
    if name in ("deserialize", "layer_from_config"):
        return functools.partial(layer_from_config, generation)
    if name == "serialize":
        return serialize.serialize
    entry = generation.find(name)
    if entry is None:  # what tf.keras has in common with Keras 3 needs no table
        return _modern("layers", name) if generation.name == "tf_keras" else None
    told = generation.canonical(name) or name
    if told != name:
        return getattr(open_namespace(generation.name).layers, told)
    module = f"lamina.{generation.name}.layers"
    if name in _functions:
        return _merging(generation, name, entry, module)
    if name in ("Layer", "Input", "InputLayer", "InputSpec", "merge", "Recurrent", "Wrapper"):
        return old_models.special(generation, name, module)
    modern = getattr(modern_layers, entry.modern, None) or getattr(old_layers, entry.modern, None)
    if modern is None:
        raise AttributeError(f"{name} of Keras {generation.version} has no counterpart here yet ({entry.modern}).")
    return shim.make_class(generation, name, modern, module)


def _merging(generation: Generation, name: str, entry: Class, module: str) -> Any:
    cls = getattr(open_namespace(generation.name).layers, entry.makes)

    def function(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        return cls(*args, **kwargs)(inputs)

    function.__name__ = function.__qualname__ = name
    function.__module__, function.__doc__ = module, f"`{entry.makes}` as a function of a list of inputs."
    function.__signature__ = apply.signature(generation, name)
    return function


def _object(generation: Generation, home: str, key: str) -> Any:
    """A regularizer, constraint or initializer of a generation: its class, a function, or `get`."""
    if key == "get":
        return lambda identifier: get_object(generation, home, identifier)
    if key == "deserialize":
        return functools.partial(_object_from_config, generation, home)
    if home == "initializers" and generation.named_configs:
        from . import initializations

        return initializations.find(generation, key)
    entry = generation.find(key, home) if home in generation.objects else None
    if entry is None:
        return _modern(home, key)
    namespace = getattr(open_namespace(generation.name), home)
    told = generation.canonical(key, home) or key
    module = f"lamina.{generation.name}.{home}"
    if entry.makes:
        return shim.make_function(generation, key, lambda name: getattr(namespace, name), module, home)
    if told != key:
        return getattr(namespace, told)
    modern = _modern(home, entry.modern) or getattr(objects, entry.modern)
    if entry.modern == "Optimizer" or (
        "*args" in entry.signature and entry.modern in ("Regularizer", "Constraint", "Initializer")
    ):
        return modern
    return shim.make_class(generation, key, modern, module, home)


def _object_from_config(generation: Generation, home: str, config: Any, custom_objects: Any = None) -> Any:
    with serialize.custom_object_scope(custom_objects or {}):
        return get_object(generation, home, config)


def get_object(generation: Generation, home: str, identifier: Any) -> Any:
    """The regularizer, constraint or initializer that a generation's name or config stands for."""
    if identifier is None or not isinstance(identifier, (str, Mapping)):
        return identifier() if inspect.isclass(identifier) else identifier
    if home not in generation.objects:
        return importlib.import_module(f"lamina.{home}").get(identifier)
    namespace = getattr(open_namespace(generation.name), home)
    if isinstance(identifier, str):
        if serialize.registered_object(identifier) is not None:
            return importlib.import_module(f"lamina.{home}").get(identifier)
        found = getattr(namespace, identifier, None)
        if found is None:
            return importlib.import_module(f"lamina.{home}").get(identifier)
        return found if home == "initializers" and generation.named_configs else found()
    if "class_name" in identifier:
        name, config = identifier["class_name"], dict(identifier.get("config") or {})
    else:
        config = dict(identifier)
        name = config.pop("name")
    if home == "initializers" and generation.named_configs:
        return importlib.import_module(f"lamina.{home}").get(identifier)
    own = serialize.registered_object(name)
    if own is not None and "class_name" in identifier:
        return importlib.import_module(f"lamina.{home}").get(identifier)
    cls = own or getattr(namespace, name, None)
    if cls is None:
        raise ValueError(f"Unknown {home[:-1]} {name!r} of Keras {generation.version}.")
    return cls.from_config(config) if hasattr(cls, "from_config") else cls(**config)


_CHANGED = {"hard_sigmoid", "relu", "softmax"}


def _activation(generation: Generation, key: str) -> Any:
    if key == "get":
        return lambda identifier: get_activation(generation, identifier)
    if key == "softmax" and generation.name == "keras2":
        return old_activations.softmax_by_rows
    if key in _CHANGED:
        return getattr(old_activations, key)
    if generation.name == "keras1" and key in ("selu", "exponential"):
        return None
    return _modern("activations", key)


def get_activation(generation: Generation, identifier: Any) -> Any:
    """The activation that a generation's name stands for."""
    if identifier in ("hard_sigmoid", "swish", "silu"):
        return getattr(old_activations, "swish" if identifier == "silu" else identifier)
    from .. import activations

    if isinstance(identifier, str) and identifier in _CHANGED:
        return getattr(activations, identifier)
    return activations.get(identifier)


def layer_from_config(generation: Generation, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
    """The layer or model of a generation that {"class_name": ..., "config": ...} describes."""
    name = config["class_name"]
    home = f"lamina.{generation.name}.{'models' if name in _MODELS else 'layers'}"
    own = (serialize.registered_object(key, custom_objects) for key in (config.get("registered_name"), name) if key)
    if serialize.find(name, home) is None and not any(found is not None for found in own):
        raise ValueError(
            f"Unknown layer {name!r} in a config of Keras {generation.version}; pass it in custom_objects."
        )
    return serialize.deserialize({**config, "module": home}, custom_objects)


_MODELS = ("Model", "Functional", "Sequential")


def modern_from_config(generation: str, described: Mapping[str, Any], custom_objects: Any = None) -> Any:
    """The modern layer or model of what a generation's {"class_name": ..., "config": ...} describes."""
    table = GENERATIONS[generation]
    settings = {"backend": shim.backends[generation], "image_data_format": config.image_data_format()}
    found = apply.modern_config(table, described, settings)
    own = {name: getattr(old_activations, name) for name in ("hard_sigmoid", "swish")}
    for module in (old_layers, objects):
        own |= {name: item for name, item in vars(module).items() if getattr(item, "__module__", "") == module.__name__}
    with serialize.custom_object_scope({**own, **(custom_objects or {})}):
        return serialize.deserialize(found, homes=("keras.layers", "keras.models"))
