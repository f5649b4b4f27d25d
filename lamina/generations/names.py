"""What the names in a generation's homes mean."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from .. import layers
from ..core import serialize
from ..core.symbolic import Node
from ..layers import old
from ..layers.convolution import _Convolution
from ..layers.pooling import _GlobalPooling, _Pooling
from ..metrics import Metric
from ..translation.modules import OUTSIDE
from ..translation.words import words
from . import (
    activations,
    backend,
    bases,
    callbacks,
    initializations,
    loss_names,
    models,
    objects,
    preparing,
    recurrent,
    rules,
    shim,
    tf_only,
)  # fmt: skip
from .dialect import CountsOthers, Dialect, Find
from .utils import (
    data_utils,
    generic_utils,
    inner_utils,
    interfaces,
    io_utils,
    layer_utils,
    losses_utils,
    np_utils,
    test_utils,
)  # fmt: skip

_SPECIAL = ("Layer", "Input", "InputLayer", "InputSpec", "merge", "Wrapper")
_OBJECTS = ("regularizers", "constraints", "initializers", "optimizers")
_BASES = ("Regularizer", "Constraint", "Initializer", "Optimizer")


def fill(dialect: Dialect) -> None:
    """Tell a dialect how names are found, in each of its homes."""
    table, homes = dialect.table, dialect.homes
    anywhere = _first(functools.partial(dialect.find, "models"), functools.partial(dialect.find, "layers"))
    helper = _helpers(dialect)
    homes["layers"] = functools.partial(_layer, dialect)
    for part in sorted({entry.part for entry in table.objects["layers"].values()} - {""}):
        homes[f"layers.{part}"] = functools.partial(_in_part, dialect, part)
    homes["models"] = _first(functools.partial(models.find, dialect), _modern("models"))
    homes |= dict.fromkeys(("engine", "engine.topology", "engine.training", "engine.base_layer"), anywhere)
    for home in _OBJECTS:
        homes[home] = functools.partial(_object, dialect, home)
    homes["activations"] = _first(
        activations.of_generation(table.name).get, _defined(activations), _modern("activations")
    )
    for home in ("losses", "metrics"):
        readers = loss_names.readers(dialect, home).get
        homes[home] = _first(readers, functools.partial(loss_names.find, dialect, home), _modern(home))
    homes["callbacks"] = _first(functools.partial(callbacks.find, table), _modern("callbacks"))
    homes["backend"] = lambda name: backend.names(dialect).get(name)
    for home in ("utils", "utils.np_utils", "utils.data_utils", "preprocessing"):
        homes[home] = helper
    homes["utils"] = functools.partial(preparing.find, dialect, "utils.data_utils", helper)
    for home in ("datasets", *preparing.homes(table)):
        homes[home] = functools.partial(preparing.find, dialect, home, homes.get(home) or _modern(home))
    homes["wrappers"] = lambda _: None
    homes["wrappers.scikit_learn"] = functools.partial(_estimator, dialect)
    if table.shares_modern:
        homes["optimizers.legacy"] = functools.partial(_object, dialect, "optimizers.legacy")
        tf_only.fill(dialect, homes, _first, _modern)
    else:
        _fill_older(dialect)
    for home, second in table.functions.items():
        homes[home] = _renamed(second, homes[home])
    homes |= {alias: functools.partial(dialect.find, home) for alias, home in table.modules.items()}
    _fill_held(dialect, helper)
    homes[""] = anywhere


def _fill_older(dialect: Dialect) -> None:
    """What Keras 1 and 2 have beside tf.keras, or write otherwise."""
    homes = dialect.homes
    homes["layers"] = _first(functools.partial(recurrent.find, dialect), homes["layers"])
    homes["backend"] = _first(homes["backend"], functools.partial(_setting, dialect))
    if "layers.merge" in homes:
        homes["layers.merge"] = _first(homes["layers.merge"], functools.partial(bases.merge_base, dialect))
    written = {"serialize": generic_utils.serialize_keras_object}.get
    for home in ("activations", "layers", "losses", "metrics", *_OBJECTS):
        homes[home] = _first(written, homes[home])
    homes["initializers"] = _first({"_compute_fans": initializations.fans_of}.get, homes["initializers"])
    if not dialect.table.lists_weights:
        homes["metrics"] = _weighted(dialect, homes["metrics"])


def _weighted(dialect: Dialect, find: Find) -> Find:
    """The metrics' classes as those of Keras 2, whose variables are weights."""

    def found(name: str) -> Any:
        metric = find(name)
        is_class = inspect.isclass(metric) and issubclass(metric, Metric)
        return tf_only.metric_of(dialect.module(""), metric) if is_class else metric

    return found


def _setting(dialect: Dialect, name: str) -> Any:
    """The names that settings have inside K, as they are now; and `K.tf`."""
    settings = {"_BACKEND": dialect.backend, "_FLOATX": backend.floatx(), "_EPSILON": backend.epsilon()}
    settings["th_sparse_module"] = False  # Theano's matrices of few entries went with it
    return sys.modules.get("tensorflow") if name == "tf" else settings.get(name)


def _fill_held(dialect: Dialect, helper: Find) -> None:
    """The modules, and the names in them, that the table of modules tells."""
    homes, holds = dialect.homes, dialect.table.holds
    named = ("models", "layers", "callbacks", "losses", "metrics", "optimizers", "backend")
    around = _first(_also(dialect), helper, *(functools.partial(dialect.once, home, homes[home]) for home in named))
    if "legacy" in holds:
        homes["legacy.interfaces"] = interfaces.find
        homes["legacy.layers"] = {"merge": functools.partial(bases.merge_of_keras1, dialect)}.get
    for home, held in holds.items():
        if home.startswith("applications"):
            homes[home] = functools.partial(_network, dialect, home.partition(".")[2])
        own = functools.partial(_held, dialect, around, frozenset(held.split()))
        homes[home] = _first(homes[home], own) if home in homes else own


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
        plain = not hasattr(found, "__module__") and name.isupper()
        return found if plain or getattr(found, "__module__", None) == module.__name__ else None

    return find


def modern_module(home: str) -> ModuleType | None:
    """Today's module of that name, if there is one."""
    try:
        return importlib.import_module(f"lamina.{home}")
    except ModuleNotFoundError:
        return None


# What the functions and classes around layers are, by the modules that have them.
_AROUND = np_utils, generic_utils, data_utils, io_utils, layer_utils, losses_utils, test_utils, inner_utils

# Names of modules that others import, and the names under which they do.
CALLED = {"K": "backend", "cbks": "callbacks", "metrics_module": "metrics", "layer_module": "layers"}
# Up to Keras 2.1 with a line before it.
_LINED = "slice_arrays make_batches batch_shuffle check_loss_and_target_compatibility standardize_weights to_list"
CALLED |= {f"_{name}": name for name in (*_LINED.split(), "object_list_uid")}


def _held(dialect: Dialect, around: Find, held: frozenset[str], name: str) -> Any:
    """What a name means in a module that holds it beside the names of tables."""
    if name not in held:
        return None
    if name in OUTSIDE:
        module, _, attribute = OUTSIDE[name].partition(":")
        found = importlib.import_module(module)
        return getattr(found, attribute) if attribute else found
    called = CALLED.get(name, name)
    places = (f"{above}{called}" for above in ("", "utils.", "legacy.", "engine.", "layers."))
    home = next((place for place in places if place in dialect.homes), None)
    return around(called) if home is None else sys.modules[dialect.module(home)]


def _helpers(dialect: Dialect) -> Find:
    """The functions and classes around layers."""
    drawing = next(home for home in ("utils.visualize_util", "utils.vis_utils") if home in dialect.table.objects)

    def drawn(name: str) -> Any:
        return dialect.find(drawing, name) if name in dialect.table.objects[drawing] else None

    modern = _modern("utils")
    around = _first(*(functools.partial(_own, dialect, module) for module in _AROUND))
    if dialect.table.scalars:
        around = _first({"to_categorical": np_utils.to_categorical_rows}.get, around)
    if dialect.table.shares_modern:
        own = {
            "to_categorical": np_utils.to_categorical,
            "to_ordinal": np_utils.to_ordinal,
            "Progbar": generic_utils.MeanProgbar,
        }
        return _first(drawn, own.get, modern, around)
    return _first(drawn, around, modern)


def _also(dialect: Dialect) -> Find:
    """Classes that code asks for to tell objects apart, by their names of the time."""

    def find(name: str) -> Any:
        if name in ("Container", "Network"):
            return dialect.find("models", "Model")
        if name in _INNER_BASES:
            return _Inner(name, (), {"__module__": dialect.module("layers"), "told": _INNER_BASES[name]})
        return {"Node": Node, "Wrapper": dialect.find("layers", "Wrapper")}.get(name)

    return find


# The base classes of layers inside Keras 2: today's, and of how many dimensions.
_INNER_BASES = {
    "_Conv": (_Convolution, ...),
    **{f"_Pooling{rank}D": (_Pooling, rank) for rank in (1, 2, 3)},
    **{f"_GlobalPooling{rank}D": (_GlobalPooling, rank) for rank in (1, 2, 3)},
}


class _Inner(type):
    """Such a base class: `isinstance` tells the layers of its kind."""

    told: tuple[type, Any]

    def __instancecheck__(cls, instance: Any) -> bool:
        base, rank = cls.told
        return isinstance(instance, base) and rank in (..., getattr(instance, "rank", None))

    def __subclasscheck__(cls, other: type) -> bool:
        base, rank = cls.told
        return issubclass(other, base) and rank in (..., getattr(other, "rank", None))

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            f"{cls.__name__} only tells layers apart; make a layer of Keras' own, or derive one from Layer."
        )


def _own(dialect: Dialect, module: ModuleType, name: str) -> Any:
    """What a module of `generations.utils` defines; with the dialect in place of its first argument `dialect`."""
    found = _defined(module)(name)
    if not (inspect.isfunction(found) and next(iter(inspect.signature(found).parameters), "") == "dialect"):
        return found
    bound = functools.partial(found, dialect)
    return functools.update_wrapper(bound, found)


def _modern(home: str) -> Find:
    return lambda name: getattr(modern_module(home), name, None)


def _estimator(dialect: Dialect, name: str) -> Any:
    from . import scikit_learn  # which brings scikit-learn along

    return scikit_learn.find(dialect, name)


def _network(dialect: Dialect, module: str, name: str) -> Any:
    from . import networks  # which brings all networks along

    return networks.find(dialect, module, name)


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
        return functools.partial(_layer_from_config, dialect)
    if name == "serialize":
        return _serialize
    own = table.canonical(name)
    if own is None:
        return getattr(layers, name, None) if table.shares_modern else None
    if own != name:
        return dialect.find("layers", own)
    if name in _SPECIAL:
        return bases.special(dialect, name)
    entry = table.objects["layers"][name]
    if entry.makes:
        return _calling(dialect, name)
    modern = getattr(layers, entry.modern, None) or getattr(old, entry.modern, None)
    if modern is None:
        raise AttributeError(f"{name} of Keras {table.version} has no counterpart here yet ({entry.modern}).")
    return shim.make_class(dialect, "layers", name, modern)


def _calling(dialect: Dialect, name: str) -> Any:
    """A function that makes a layer, and calls it if it takes `inputs`."""
    own = words(dialect.table, "layers", name)
    made = functools.partial(dialect.find, "layers", own.entry.makes)

    def called(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        return made()(*args, **kwargs)(inputs)

    def plain(*args: Any, **kwargs: Any) -> Any:
        return made()(*args, **{own.entry.renamed.get(key, key): value for key, value in kwargs.items()})

    calls = "inputs" in own.accepted
    function = called if calls else plain
    function.__doc__ = f"`{own.entry.makes}` as a function{' of a list of inputs' * calls}."
    return shim.named_function(function, dialect.module("layers"), own)


def _object(dialect: Dialect, home: str, name: str) -> Any:
    """A regularizer, constraint, initializer or optimizer: its class, a function that makes one, or `get`."""
    table = dialect.table
    if name == "get":
        found = functools.partial(_get_optimizer if home == "optimizers" else Dialect.get, dialect, home)
        return functools.partial(_get_with, found) if table.draws_by_layout else found
    if name == "deserialize":
        return functools.partial(_deserialize, dialect, home)
    if table.draws_by_layout and home == "initializers":
        return initializations.find(name)
    own = table.canonical(name, home)
    today = _modern(home.partition(".")[0])
    if own is None:
        return rules.OptimizerOfTensorFlow if name == "Optimizer" else today(name)
    if own != name:
        return dialect.find(home, own)
    entry = table.objects[home][name]
    if entry.makes:
        return shim.make_function(dialect, home, name)
    modern = today(entry.modern) or getattr(objects, entry.modern)
    if entry.modern == "Optimizer" == name and not table.shares_modern:
        members = {"__module__": dialect.module(home), "_dialect": dialect, "_instances_of": modern}
        return CountsOthers(name, (rules.OptimizerOfUsers,), members)
    return modern if entry.modern in _BASES else shim.make_class(dialect, home, name, modern)


def _get_optimizer(dialect: Dialect, home: str, identifier: object, use_legacy_optimizer: bool = False) -> object:
    """One class serves as both of TensorFlow's of a name."""
    return dialect.get(home, identifier)


def _get_with(get: Callable[[Any], Any], identifier: Any, kwargs: Mapping[str, Any] | None = None, **_: Any) -> Any:
    """As Keras 1 has it: a class of that name is made with `kwargs`; other words (`dim_ordering=`) go nowhere there."""
    return get({"class_name": identifier, "config": kwargs} if kwargs and isinstance(identifier, str) else identifier)


def _layer_from_config(
    dialect: Dialect, config: Mapping, custom_objects: Mapping | None = None, use_legacy_format: bool = False
) -> object:
    """Of either format, whatever is said of it."""
    return dialect.from_config(config, custom_objects)


def _serialize(layer: object, use_legacy_format: bool = False) -> dict:
    """Its class and config; in the format of tf.keras up to 2.12 under the registered name alone."""
    made = serialize.serialize(layer)
    if not use_legacy_format:
        return made
    return {"class_name": made["registered_name"] or made["class_name"], "config": made["config"]}


def _deserialize(dialect: Dialect, home: str, config: Any, custom_objects: Any = None) -> Any:
    if home == "optimizers" and dialect.table.name == "keras2" and dialect.table.canonical(config["class_name"], home):
        config["class_name"] = config["class_name"].lower()  # in the caller's config, as Keras 2 did
    with serialize.custom_object_scope(custom_objects or {}):
        return dialect.get(home, config)
