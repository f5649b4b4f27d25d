"""The tables, applied to calls and configs."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from . import unused
from .conversions import ADAPT, WRITE
from .table import Class, Generation, Settings, Value

# What every layer takes beside its own arguments.
BASE = (
    "name", "trainable", "dtype", "input_shape", "batch_input_shape", "batch_size", "weights", "dynamic",
    "autocast", "activity_regularizer",
)  # fmt: skip
_FIRST = ("input_dim", "input_length", "input_dtype", "batch_shape")  # and the first one of a model
_LAYERS = ("layer", "backward_layer", "cell", "cells")  # arguments that are layers


@functools.cache
def signature_of(text: str, surplus: bool) -> inspect.Signature:
    """The signature a table's text stands for; `surplus` adds `**kwargs`."""
    text = f"{text}, **kwargs".removeprefix(", ") if surplus else text
    return inspect.signature(eval(f"lambda {text}: None"))


def signature(generation: Generation, name: str, home: str = "layers") -> inspect.Signature:
    """The signature of a class of that generation."""
    entry = generation.entry(name, home)
    closed = home not in ("layers", "optimizers") or entry.modern in (
        "InputSpec",
        "InputLayer",
        "Input",
        "MergeByMode",
        "merge",
    )
    closed = closed and not (generation.name == "tf_keras" and entry.modern in ("Input", "InputLayer"))
    return signature_of(entry.signature, not closed and "kwargs" not in entry.signature)


def _own(entry: Class) -> list[inspect.Parameter]:
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [p for p in signature_of(entry.signature, False).parameters.values() if p.kind not in kinds]


def parameters(generation: Generation, entry: Class, home: str) -> list[inspect.Parameter]:
    base = _own(generation.entry(entry.base, home)) if entry.base else []
    own = _own(entry)
    return own + [parameter for parameter in base if parameter.name not in {p.name for p in own}]


def bind(
    generation: Generation, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], home: str = "layers"
) -> dict[str, Any]:
    """All arguments of a call by the generation's names. Raises TypeError for missing, doubled or surplus ones."""
    entry = generation.entry(name, home)
    own = _own(entry)
    accepted = parameters(generation, entry, home)
    known = {*BASE, *_FIRST, *entry.renamed, *(parameter.name for parameter in accepted)}
    if generation.older is not None and home in ("layers", "optimizers"):
        args, kwargs = respell(generation.older, name, args, kwargs, known, home)
    if len(args) > len(own):
        names = ", ".join(parameter.name for parameter in own)
        raise TypeError(f"{name} takes at most {len(own)} positional arguments ({names}); got {len(args)}.")
    given = {parameter.name: value for parameter, value in zip(own, args, strict=False)}
    doubled = next((key for key in kwargs if key in given), None)
    if doubled is not None:
        raise TypeError(f"{name} got argument `{doubled}` twice: by position and by name.")
    given.update(kwargs)
    surplus = next((key for key in given if key not in known), None)
    if surplus is not None and "**kwargs" not in entry.signature:
        near = difflib.get_close_matches(surplus, known, 1)
        hint = f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(p.name for p in accepted)}."
        raise TypeError(f"{name} of Keras {generation.version} has no argument `{surplus}`. {hint}")
    for parameter in accepted:
        if parameter.name not in given:
            if parameter.default is inspect.Parameter.empty:
                raise TypeError(f"{name} misses the required argument `{parameter.name}`.")
            given[parameter.name] = parameter.default
    return given


def respell(
    older: Generation, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], known: Collection[str], home: str
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """A call in the words of the generation before, in today's: `Conv2D(64, 3, 3, border_mode="same")`."""
    entry = older.find(name, home)
    if entry is None or entry.signature.startswith("*"):
        return args, kwargs
    names = [parameter.name for parameter in _own(entry)]
    group = next((several for several in older.joined if names[1 : 1 + len(several)] == list(several)), None)
    if group and len(args) > len(group) and all(isinstance(size, int) for size in args[1 : 1 + len(group)]):
        args = (args[0], tuple(args[1 : 1 + len(group)]), *args[1 + len(group) :])
    if all(key in known for key in kwargs):
        return args, kwargs
    theirs = {parameter.name for parameter in parameters(older, entry, home)}
    new = {key: value for key, value in kwargs.items() if key in known or key not in theirs}
    rest = {key: value for key, value in kwargs.items() if key not in new}
    if group and all(part in rest for part in group):
        new[older.joined[group]] = tuple(rest.pop(part) for part in group)
    for key, value in rest.items():
        found = modern_names(older, entry, key)
        if not found:
            unused.check(name, key, value)
        for now in found:
            new[now] = value if now.endswith("initializer") else convert(older, now, value)
    return args, new


def to_modern(
    generation: Generation, name: str, given: Mapping[str, Any], settings: Settings, home: str = "layers"
) -> dict[str, Any]:
    """The modern class' arguments for bound ones."""
    entry = generation.entry(name, home)
    modern: dict[str, Any] = dict(entry.fixed)
    rest = dict(given)
    for several, one in generation.joined.items():
        if all(part in rest for part in several):
            modern[one] = tuple(rest.pop(part) for part in several)
    for key, value in rest.items():
        names = modern_names(generation, entry, key)
        for new in names:
            modern[new] = convert(generation, new, value)
        if not names:
            unused.check(name, key, value)
    return ADAPT[entry.adapt](modern, given, settings) if entry.adapt else modern


def modern_names(generation: Generation, entry: Class, key: str) -> list[str]:
    """What an argument is called now: one name, several, or none."""
    own = key in entry.renamed or key in {parameter.name for parameter in _own(entry)} or key not in BASE
    return (entry.renamed.get(key, generation.renamed.get(key, key)) if own else key).split()


def _value(generation: Generation, name: str) -> Value | None:
    return generation.values.get(name) or generation.values.get(name.rsplit("_", 1)[-1])


def convert(generation: Generation, name: str, value: Any) -> Any:
    found = _value(generation, name)
    return value if found is None else found.modern(value)


def kept(generation: Generation, name: str, given: Mapping[str, Any], home: str = "layers") -> dict[str, Any]:
    """What of a call stands in the config as it was given."""
    entry = generation.entry(name, home)
    names = (*entry.kept.split(), entry.learned)
    return {key: value for key, value in given.items() if key in names or not modern_names(generation, entry, key)}


def to_old(
    generation: Generation,
    name: str,
    config: Mapping[str, Any],
    kept: Mapping[str, Any],
    home: str = "layers",
    shape: tuple | None = None,
) -> dict[str, Any]:
    """A class' own part of the config in the generation's words, from the modern config.

    `kept`: what `kept` returned for its call. `shape`: of the input the layer is built for.
    """
    entry = generation.entry(name, home)
    unsaved = entry.unsaved.split()
    found = {}
    for parameter in parameters(generation, entry, home):
        key = parameter.name
        if key in unsaved:
            continue
        if key in kept:
            found[key] = kept[key]
            continue
        group = next((several for several in generation.joined if key in several), None)
        new = generation.joined[group] if group else modern_names(generation, entry, key)[0]
        value = config.get(new, parameter.default)
        if group:
            value = value[group.index(key)]
        elif generation.scalars and isinstance(value, (tuple, list)) and len(value) == 1 and key in _SCALARS:
            value = value[0]
        found[key] = to_old_value(generation, new, value)
    return WRITE[entry.write](found, shape) if entry.write else found


def method_arguments(
    generation: Generation, method: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """The modern arguments of a call of a model's method. Raises TypeError for doubled or too many ones."""
    own = signature_of(generation.methods[method], False).parameters
    if len(args) > len(own):
        raise TypeError(f"{method} takes at most {len(own)} positional arguments ({', '.join(own)}); got {len(args)}.")
    given = dict(zip(own, args, strict=False))
    doubled = next((key for key in kwargs if key in given), None)
    if doubled is not None:
        raise TypeError(f"{method} got argument `{doubled}` twice: by position and by name.")
    given.update(kwargs)
    missing = next((p.name for p in own.values() if p.default is p.empty and p.name not in given), None)
    if missing is not None:
        raise TypeError(f"{method} misses the required argument `{missing}`.")
    set_here = {p.name: p.default for p in own.values() if p.default is not p.empty and p.default is not None}
    found: dict[str, Any] = {}
    for key, value in {**set_here, **given}.items():
        new = generation.method_words.get(key, key)
        if not new:
            unused.check(method, key, value)
        elif new not in found or key in given:
            found[new] = value
    return found


# Whole configs -----------------------------------------------------------------------------------------------------

_ROOMS = {"regularizer": "regularizers", "constraint": "constraints", "initializer": "initializers"}


def modern_config(generation: Generation, described: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """The modern {"class_name", "config"} of a layer or model that one of this generation describes.

    Classes without an entry, such as a user's own, stay as they are.
    """
    name, config = described["class_name"], described["config"]
    others = {key: value for key, value in described.items() if key not in ("class_name", "config")}
    if name in ("Sequential", "Model", "Functional"):
        return {**others, "class_name": _MODELS.get(name, name), "config": _model_config(generation, config, settings)}
    if generation.find(name) is None:
        return {**others, "class_name": name, "config": config}
    for key in ("module", "registered_name", *(("build_config",) if name == "TimeDistributed" else ())):
        others.pop(key, None)  # where the original's class stood; and a shape that its layer has as well
    given = {key: _modern_object(generation, key, value, settings) for key, value in config.items()}
    given = bind(generation, name, (), given)
    if given.get("time_major"):
        raise ValueError(f"{name}: `time_major` has no modern counterpart; transpose the layer's input and output.")
    found = to_modern(generation, name, given, settings)
    return {**others, "class_name": generation.entry(name).modern, "config": found}


_MODELS = {"Model": "Functional"}


def _model_config(generation: Generation, config: Any, settings: Settings) -> dict[str, Any]:
    if isinstance(config, (list, tuple)):  # Keras 1's sequential models
        return {"layers": [modern_config(generation, layer, settings) for layer in config]}
    return {**config, "layers": [modern_config(generation, layer, settings) for layer in config["layers"]]}


def read_policy(value: Any) -> Any:
    """A type, or the name of the policy that stands in a config."""
    return value["config"]["name"] if isinstance(value, Mapping) else value


def written_policy(generation: Generation, name: str) -> Any:
    """A policy as configs have it: its name, but for tf.keras' mixed ones."""
    if not (generation.writes_modules and name.startswith("mixed")):
        return name
    return {"module": "keras.mixed_precision", "class_name": "Policy", "config": {"name": name},
            "registered_name": None}  # fmt: skip


def _modern_object(generation: Generation, key: str, value: Any, settings: Settings) -> Any:
    if key == "dtype":
        return read_policy(value)
    if key in _LAYERS and value is not None:
        if isinstance(value, (list, tuple)):
            return [modern_config(generation, one, settings) for one in value]
        return modern_config(generation, value, settings)
    room = _ROOMS.get(key.rsplit("_", 1)[-1])
    if room is None or not isinstance(value, Mapping):
        return value
    own = {k: v for k, v in value.items() if k != "name"} if "name" in value else value.get("config") or {}
    name = value.get("name") or value["class_name"]
    if room not in generation.objects or generation.find(name, room) is None:
        return {"class_name": name, "config": own}
    given = bind(generation, name, (), own, room)
    return {"class_name": generation.entry(name, room).modern,
            "config": to_modern(generation, name, given, settings, room)}  # fmt: skip


_SCALARS = ("filter_length", "subsample_length", "atrous_rate", "pool_length", "stride")


def to_old_value(generation: Generation, name: str, value: Any) -> Any:
    """A value of a modern config in the generation's words."""
    if name in _LAYERS:
        many = isinstance(value, (list, tuple))
        return [_nested(generation, item) for item in value] if many else _nested(generation, value)
    if isinstance(value, Mapping) and is_old(value):
        return value["config"] if generation.named_configs else _nested(generation, value)
    found = _value(generation, name)
    return value if found is None else found.old(value)


def is_old(config: Mapping[str, Any]) -> bool:
    """Whether a nested config is in a generation's own words already."""
    return str(config.get("module")).startswith(("lamina.keras", "lamina.tf_keras"))


def _nested(generation: Generation, config: Any) -> Any:
    """The config of an object inside another, as this generation writes it."""
    if not isinstance(config, Mapping) or "class_name" not in config or not is_old(config):
        return config
    plain = {"class_name": config["class_name"], "config": config["config"]}
    if not generation.writes_modules:
        return plain
    home = "keras." + config["module"].rsplit(".", 1)[-1]
    found = {**plain, "module": home, "registered_name": None}
    return {**found, "build_config": config["build_config"]} if config.get("build_config") else found
