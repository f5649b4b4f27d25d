"""What the names in a generation's homes mean."""

from __future__ import annotations

import functools
import importlib
from types import ModuleType
from typing import Any

from .. import layers
from ..core import serialize
from ..layers import old
from ..translation.words import words
from . import activations, backend, callbacks, initializations, models, objects, plots, shim, tf_only, utils
from .dialect import Dialect, Find

_SPECIAL = ("Layer", "Input", "InputLayer", "InputSpec", "merge", "Recurrent", "Wrapper")
_BASES = ("Regularizer", "Constraint", "Initializer", "Optimizer")


def fill(dialect: Dialect) -> None:
    """Tell a dialect how names are found, in each of its homes."""
    table, homes = dialect.table, dialect.homes
    anywhere = _first(functools.partial(dialect.find, "models"), functools.partial(dialect.find, "layers"))
    pictures, drawing = plots.FOUND[table.name]
    helper = _first(drawing.get, _defined(utils), _modern("utils"))
    homes[pictures] = drawing.get
    homes["layers"] = functools.partial(_layer, dialect)
    for part in sorted({entry.part for entry in table.objects["layers"].values()} - {""}):
        homes[f"layers.{part}"] = functools.partial(_in_part, dialect, part)
    homes["models"] = _first(functools.partial(models.find, dialect), _modern("models"))
    homes |= dict.fromkeys(("engine", "engine.topology", "engine.training", "engine.base_layer"), anywhere)
    for home in ("regularizers", "constraints", "initializers", "optimizers"):
        homes[home] = functools.partial(_object, dialect, home)
    homes["activations"] = _first(_defined(activations), _modern("activations"))
    homes["losses"], homes["metrics"] = _modern("losses"), _modern("metrics")
    homes["callbacks"] = _first(functools.partial(callbacks.find, table.name), _modern("callbacks"))
    homes["backend"] = lambda name: backend.names(dialect).get(name)
    for home in ("utils", "utils.np_utils", "utils.data_utils", "preprocessing", "preprocessing.sequence"):
        homes[home] = helper
    homes["utils.generic_utils"] = _first(_defined(serialize), helper)
    if table.shares_modern:
        homes["optimizers.legacy"] = functools.partial(_object, dialect, "optimizers.legacy")
        tf_only.fill(dialect, homes, _first, _modern)
    else:
        homes["wrappers"] = lambda _: None
        homes["wrappers.scikit_learn"] = functools.partial(_estimator, dialect)
    for home, second in table.functions.items():
        homes[home] = _renamed(second, homes[home])
    homes |= {alias: functools.partial(dialect.find, home) for alias, home in table.modules.items()}
    homes[""] = anywhere


def _first(*finders: Find) -> Find:
    """What the first of several finds."""

    def find(name: str) -> Any:
        return next((found for each in finders if (found := each(name)) is not None), None)

    return find


def _renamed(second: Any, find: Find) -> Find:
    """With second names for some; a name without a meaning is none of the generation's."""
    return lambda name: find(second.get(name, name)) if second.get(name, name) else None


def _defined(module: ModuleType) -> Find:
    """What a module defines itself."""

    def find(name: str) -> Any:
        found = getattr(module, name, None)
        return found if getattr(found, "__module__", None) == module.__name__ else None

    return find


def modern_module(home: str) -> ModuleType | None:
    """Today's module of that name, if there is one."""
    try:
        return importlib.import_module(f"lamina.{home}")
    except ModuleNotFoundError:
        return None


def _modern(home: str) -> Find:
    return lambda name: getattr(modern_module(home), name, None)


def _estimator(dialect: Dialect, name: str) -> Any:
    from . import scikit_learn  # which brings scikit-learn along

    return scikit_learn.find(dialect, name)


def _in_part(dialect: Dialect, part: str, name: str) -> Any:
    entry = dialect.table.find(name)
    if entry is None or (
        entry.part not in (part, dialect.table.extras.get(part)) and name not in ("Layer", "InputSpec")
    ):
        return None
    return dialect.find("layers", name)


def _layer(dialect: Dialect, name: str) -> Any:
    """A layer's class, or a function beside them."""
    table = dialect.table
    if name in ("deserialize", "layer_from_config"):
        return dialect.from_config
    if name == "serialize":
        return serialize.serialize
    own = table.canonical(name)
    if own is None:
        return getattr(layers, name, None) if table.shares_modern else None
    if own != name:
        return dialect.find("layers", own)
    if name in _SPECIAL:
        return models.special(dialect, name)
    entry = table.objects["layers"][name]
    if entry.makes:
        return _calling(dialect, name)
    modern = getattr(layers, entry.modern, None) or getattr(old, entry.modern, None)
    if modern is None:
        raise AttributeError(f"{name} of Keras {table.version} has no counterpart here yet ({entry.modern}).")
    return shim.make_class(dialect, "layers", name, modern)


def _calling(dialect: Dialect, name: str) -> Any:
    """A function that makes a layer and calls it."""
    own = words(dialect.table, "layers", name)

    def function(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        return dialect.find("layers", own.entry.makes)(*args, **kwargs)(inputs)

    function.__doc__ = f"`{own.entry.makes}` as a function of a list of inputs."
    return shim.named_function(function, dialect.module("layers"), own)


def _object(dialect: Dialect, home: str, name: str) -> Any:
    """A regularizer, constraint, initializer or optimizer: its class, a function that makes one, or `get`."""
    table = dialect.table
    if name == "get":
        return functools.partial(dialect.get, home)
    if name == "deserialize":
        return functools.partial(_deserialize, dialect, home)
    if table.draws_by_layout and home == "initializers":
        return initializations.find(name)
    own = table.canonical(name, home)
    today = _modern(home.partition(".")[0])
    if own is None:
        return today(name)
    if own != name:
        return dialect.find(home, own)
    entry = table.objects[home][name]
    if entry.makes:
        return shim.make_function(dialect, home, name)
    modern = today(entry.modern) or getattr(objects, entry.modern)
    return modern if entry.modern in _BASES else shim.make_class(dialect, home, name, modern)


def _deserialize(dialect: Dialect, home: str, config: Any, custom_objects: Any = None) -> Any:
    with serialize.custom_object_scope(custom_objects or {}):
        return dialect.get(home, config)
