"""The tables, applied: what a class of a generation takes, and its calls and configs in modern terms and back."""

from __future__ import annotations

import difflib
import functools
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import unused
from .conversions import ADAPT, WRITE, dropped
from .table import Generation, Settings, Value, same

# What every layer takes beside its own arguments.
BASE = (
    "name", "trainable", "dtype", "input_shape", "batch_input_shape", "batch_size", "weights", "dynamic",
    "autocast", "activity_regularizer",
)  # fmt: skip
FIRST = ("input_dim", "input_length", "input_dtype", "batch_shape")  # and the first one of a model
_LAYERS = ("layer", "backward_layer", "cell", "cells")  # arguments that are layers


_REQUIRED: Any = inspect.Parameter.empty
_CATCH_ALL = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
# Homes of classes that take more arguments by name than their signatures say.
_OPEN = ("layers", "optimizers")


def signature_of(text: str, surplus: bool = False) -> inspect.Signature:
    """The signature a table's text stands for; `surplus` adds `**kwargs`."""
    text = f"{text}, **kwargs".removeprefix(", ") if surplus else text
    return inspect.signature(eval(f"lambda {text}: None"))


@functools.cache
def words(generation: Generation, home: str, name: str) -> Words:
    """The words of a class, by any of its names. Raises KeyError where the generation has none of that name."""
    told = generation.canonical(name, home)
    if told is None:
        raise KeyError(f"Keras {generation.version} has no {name!r} in `{home}`.")
    return Words(generation, home, told) if told == name else words(generation, home, told)


class Words:
    """A class (or function) in the words of its generation: what its table says, worked out once."""

    def __init__(self, generation: Generation, home: str, name: str):
        self.generation, self.name = generation, name
        entry = self.entry = generation.objects[home][name]
        written = signature_of(entry.signature).parameters.values()
        own = {p.name: p.default for p in written if p.kind not in _CATCH_ALL}
        self.positional = tuple(own)
        base = words(generation, home, entry.base).accepted if entry.base else {}
        self.accepted = own | {key: default for key, default in base.items() if key not in own}  # with their defaults
        self.required = tuple(key for key, default in self.accepted.items() if default is _REQUIRED)
        everywhere = {"layers": (*BASE, *FIRST), "optimizers": ("name",)}.get(home, ())
        self.known = frozenset((*everywhere, *entry.renamed, *self.accepted))
        # Words of earlier versions that are still taken.
        self.former = {
            key: word for key, word in entry.renamed.items() if key not in self.accepted and word in self.accepted
        }
        closed = home not in _OPEN or entry.closed or "kwargs" in entry.signature
        self.signature = signature_of(entry.signature, not closed)
        joined = (names for names in generation.joined if self.accepted.keys() >= {*names})
        self.several = next(joined, ())  # arguments that are one now
        self._now: dict[str, tuple[tuple[str, Callable | None], ...]] = {}
        self.older: Words | None = None
        if home in _OPEN and (older := generation.older) is not None:
            names = (name, *entry.aliases.split())
            before = next((words(older, home, each) for each in names if older.find(each, home)), None)
            if before is not None and not before.entry.signature.startswith("*"):
                self.older = before

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """All arguments of a call by their names. Raises TypeError for missing, doubled or surplus ones."""
        if self.older is not None:
            args, kwargs = self.older.respell(args, kwargs, self)
        if not self.former.keys().isdisjoint(kwargs):
            doubled = [key for key in kwargs if self.former.get(key) in kwargs]
            if doubled:
                raise TypeError(
                    f"{self.name} got `{self.former[doubled[0]]}` twice: also by its former name `{doubled[0]}`."
                )
            kwargs = {self.former.get(key, key): value for key, value in kwargs.items()}
        given = by_name(self.name, self.positional, args, kwargs)
        if not given.keys() <= self.known:
            surplus = next(key for key in given if key not in self.known)
            near = difflib.get_close_matches(surplus, self.known, 1)
            hint = f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(self.accepted)}."
            raise TypeError(f"{self.name} of Keras {self.generation.version} has no argument `{surplus}`. {hint}")
        for key in self.required:
            if key not in given:
                raise TypeError(f"{self.name} misses the required argument `{key}`.")
        return given | {key: default for key, default in self.accepted.items() if key not in given}

    def respell(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], newer: Words
    ) -> tuple[Sequence[Any], Mapping[str, Any]]:
        """A call in these words in those of the generation after: `Conv2D(64, 3, 3, border_mode="same")`."""
        several = self.several
        begun = args[1 : 1 + len(several)]  # sizes by position, the rest of them by name
        named = several[len(begun) :] if begun else ()
        joins = begun and all(isinstance(size, int) for size in begun) and kwargs.keys() >= {*named}
        if joins and not (named and newer.known & {*several}):
            beyond = 1 + len(begun)
            rest = {key: value for key, value in kwargs.items() if key not in named}
            kwargs, sizes = {**dict(zip(self.positional[beyond:], args[beyond:], strict=False)), **rest}, kwargs
            args = (args[0], (*begun, *(sizes[part] for part in named)))
        if kwargs.keys() <= newer.known:
            return args, kwargs
        new = {key: value for key, value in kwargs.items() if key in newer.known or key not in self.accepted}
        rest = {key: value for key, value in kwargs.items() if key not in new}
        if several and rest.keys() >= {*several}:
            new[self.generation.joined[several]] = tuple(rest.pop(part) for part in several)
        for key, value in rest.items():
            if key == "forget_bias_init" and value != "one":
                warnings.warn(f"{self.name}: `{key}` other than 'one' is left out, as in Keras 2.", stacklevel=6)
                continue
            if not self.now(key):
                unused.check(self.name, key, value)
            if key == "consume_less" and "implementation" in newer.known:
                new["implementation"] = ("cpu", "mem", "gpu").index(value)
            for name, convert in self.now(key):
                new[name] = value if convert is None or name.endswith("initializer") else convert(value)
        return args, new

    def now(self, key: str) -> tuple[tuple[str, Callable | None], ...]:
        """What an argument is called now, one name, several or none, and what converts its values, if anything."""
        if key not in self._now:
            own = key in self.entry.renamed or key in self.positional or key not in BASE
            name = self.entry.renamed.get(key, self.generation.renamed.get(key, key)) if own else key
            kinds = {new: _kind(self.generation, new) for new in name.split()}
            self._now[key] = tuple(
                (new, None if kind is None or kind.modern is same else kind.modern) for new, kind in kinds.items()
            )
        return self._now[key]

    def to_modern(self, given: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
        """The modern class' arguments for bound ones."""
        entry, several = self.entry, self.several
        modern: dict[str, Any] = dict(entry.fixed)
        if several:
            modern[self.generation.joined[several]] = tuple(given[part] for part in several)
        for key, value in given.items():
            if key in several:
                continue
            found = self._now.get(key) or self.now(key)
            for name, convert in found:
                modern[name] = value if convert is None else convert(value)
            if not found:
                unused.check(self.name, key, value)
        try:
            return ADAPT[entry.adapt](modern, given, settings) if entry.adapt else modern
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None

    def kept(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What of a call stands in the config as it was given."""
        names = (*self.entry.kept.split(), self.entry.learned)
        return {k: value for k, value in given.items() if k in names or not (self._now.get(k) or self.now(k))}

    def to_old(self, config: Mapping[str, Any], kept: Mapping[str, Any], shape: tuple | None = None) -> dict[str, Any]:
        """A class' own part of the config in these words, from the modern config.

        `kept`: what `kept` returned for its call. `shape`: of the input the layer is built for.
        """
        generation, unsaved = self.generation, self.entry.unsaved.split()
        found = {}
        for key, default in self.accepted.items():
            if key in unsaved:
                continue
            if key in kept and (key not in ("rate", "p") or config["rate"] == dropped(kept[key])):  # not changed since
                found[key] = kept[key]
            elif key in self.several:
                found[key] = config[generation.joined[self.several]][self.several.index(key)]
            else:
                new = self.now(key)[0][0]
                value = config.get(new, default)
                one = generation.scalars and key in SCALARS and isinstance(value, (tuple, list)) and len(value) == 1
                found[key] = to_old_value(generation, new, value[0] if one else value)
        return WRITE[self.entry.write](found, shape) if self.entry.write else found


def by_name(what: str, names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by name. Raises TypeError for too many by position, and for one given twice."""
    if len(args) > len(names):
        known = ", ".join(names)
        raise TypeError(f"{what} takes at most {len(names)} positional arguments ({known}); got {len(args)}.")
    given = dict(zip(names, args, strict=False))
    doubled = given.keys() & kwargs.keys()
    if doubled:
        raise TypeError(f"{what} got argument `{min(doubled)}` twice: by position and by name.")
    return {**given, **kwargs}


def _kind(generation: Generation, name: str) -> Value | None:
    return generation.values.get(name) or generation.values.get(name.rsplit("_", 1)[-1])


@functools.cache
def _method(generation: Generation, method: str) -> dict[str, Any]:
    """The arguments of a model's method, with their defaults."""
    return {p.name: p.default for p in signature_of(generation.methods[method]).parameters.values()}


def method_arguments(
    generation: Generation, method: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """The modern arguments of a call of a model's method. Raises TypeError for doubled or too many ones."""
    own = _method(generation, method)
    given = by_name(method, tuple(own), args, kwargs)
    missing = next((name for name, default in own.items() if default is _REQUIRED and name not in given), None)
    if missing is not None:
        raise TypeError(f"{method} misses the required argument `{missing}`.")
    set_here = {name: default for name, default in own.items() if default is not _REQUIRED and default is not None}
    found: dict[str, Any] = {}
    for key, value in {**set_here, **given}.items():
        new = generation.method_words.get(key, key)
        if not new:
            unused.check(method, key, value)
        elif new not in found or key in given:
            found[new] = value
    return found


# Of the objects that arguments stand for, by the last word of their names.
HOMES = {"regularizer": "regularizers", "constraint": "constraints", "initializer": "initializers"}


def read_policy(value: Any) -> Any:
    """A type, or the name of the policy that stands in a config."""
    return value["config"]["name"] if isinstance(value, Mapping) else value


def written_policy(generation: Generation, name: str) -> Any:
    """A policy as configs have it: its name, but for tf.keras' mixed ones."""
    if not (generation.writes_modules and name.startswith("mixed")):
        return name
    return {"module": "keras.mixed_precision", "class_name": "Policy", "config": {"name": name},
            "registered_name": None}  # fmt: skip


SCALARS = ("filter_length", "subsample_length", "atrous_rate", "pool_length", "stride")


def to_old_value(generation: Generation, name: str, value: Any) -> Any:
    """A value of a modern config in the generation's words."""
    if name in _LAYERS:
        many = isinstance(value, (list, tuple))
        return [_nested(generation, item) for item in value] if many else _nested(generation, value)
    if isinstance(value, Mapping) and is_old(value):
        return value["config"] if generation.named_configs else _nested(generation, value)
    found = _kind(generation, name)
    return value if found is None else found.old(value)


def is_old(config: Mapping[str, Any]) -> bool:
    """Whether a config names a generation's module, as Lamina writes it, and so is in that one's words."""
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
