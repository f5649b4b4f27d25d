"""One generation, ready to be spoken: its table, the backend it follows, its counts of names, what its names mean."""

from __future__ import annotations

import inspect
import itertools
import os
import threading
from abc import ABCMeta
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from ..core import config as settings
from ..core import scope, serialize
from ..core.layer import snake_case
from ..translation.keras1 import KERAS1
from ..translation.keras2 import KERAS2
from ..translation.table import Generation
from ..translation.tf_keras import TF_KERAS

Find = Callable[[str], Any]

_finding = threading.RLock()
_MODELS = ("Model", "Functional", "Sequential")


class CountsOthers(ABCMeta):
    """Of a class whose instances are those of others, too: of `_instances_of`, a class of today, and of those of its
    generation named in `_kin`. Not of classes derived from it, nor of another one made of the same class of today."""

    def __instancecheck__(cls, instance: Any) -> bool:
        if "_instances_of" in vars(cls):
            return cls.__subclasscheck__(type(instance))
        return super().__instancecheck__(instance)

    def __subclasscheck__(cls, other: type) -> bool:
        counted = vars(cls).get("_instances_of")
        if counted is None:
            return super().__subclasscheck__(other)
        if type.__subclasscheck__(cls, other):
            return True
        also = vars(cls).get("_kin", ())
        if any(base.__name__ in also and base.__module__ == cls.__module__ for base in other.__mro__):
            return True
        made = next((base for base in other.__mro__ if "_instances_of" in vars(base)), other)
        return issubclass(other, counted) and vars(made).get("_instances_of") is not counted


class Dialect:
    """Everything that is made of a generation's table is given this, and asks it for the rest."""

    def __init__(self, table: Generation, backend: str = "tensorflow"):
        self.table = table
        self._backend = backend
        self.early = False  # of Keras 2, whether it is one before 2.3
        self.homes: dict[str, Find] = {}  # how names are found in each; `names.fill` says it
        self._found: dict[tuple[str, str], Any] = {}
        self._counts: dict[str, Iterator[int]] = {}

    @property
    def before_2_3(self) -> bool:
        """Whether it is Keras 1, or 2 up to 2.2."""
        return self.early or self.table.lists_weights

    @property
    def backend(self) -> str:
        """Whose arithmetic it follows; only Keras 1 on Theano computes otherwise."""
        return serialize.read_backend() or self._backend

    def find(self, home: str, name: str) -> Any:
        """What a name means in a home such as `layers`: one object, whichever threads ask first. None for nothing."""
        with _finding:
            return self.once(home, self.homes[home], name)

    def once(self, home: str, find: Find, name: str) -> Any:
        """What a finder of a home finds, made once."""
        key = home, name
        found = self._found[key] if key in self._found else find(name)
        return None if found is None else self._found.setdefault(key, found)  # finding may have asked for it, too

    def module(self, home: str) -> str:
        """The full name of a home's module."""
        return f"lamina.{self.table.name}.{home}".rstrip(".")

    def follow(self, backend: str) -> None:
        """Compute as that backend did. Raises ValueError for another than "tensorflow" and "theano"."""
        if backend not in ("tensorflow", "theano"):
            raise ValueError(f'The backend of an older Keras is "tensorflow" or "theano"; got {backend!r}.')
        self._backend = backend

    def settings(self) -> dict[str, Any]:
        """Of the process, as conversions ask for them."""
        return {
            "generation": self.table.name,
            "backend": self.backend,
            "image_data_format": settings.image_data_format(),
        }

    def seed(self) -> None:
        """Let what torch draws from now on follow NumPy's generator, where all draws of this generation did."""
        if self.table.seeded_by_numpy:
            seed = int(np.random.randint(2**31))
            torch.default_generator.manual_seed(seed)
            if torch.cuda.is_initialized():
                torch.cuda.manual_seed_all(seed)

    # -- names of layers --------------------------------------------------------------------------------------------

    def unique_name(self, cls: str) -> str | None:
        """The name of the next layer of a class that was given none; None where it is the modern one."""
        style = self.table.first_name
        if style == "snake":
            if cls == "Input":
                return f"input_{scope.count_name('input') + 1}"
            return scope.unique_name("model") if cls == "Model" else None
        prefix = cls.lower() if style.startswith("lower") else snake_case(cls, "[a-z0-9]")
        return f"{prefix}_{self.count(prefix)}"

    def count(self, what: str) -> int:
        """1, 2, 3, ... for each `what`."""
        return next(self._counts.setdefault(what, itertools.count(1)))

    def reset_names(self) -> None:
        self._counts.clear()

    # -- objects of names and configs -------------------------------------------------------------------------------

    def get(self, home: str, identifier: Any) -> Any:
        """The regularizer, constraint, initializer or optimizer that a name or a config stands for.

        Raises ValueError for an unknown one.
        """
        if identifier is None or not isinstance(identifier, (str, Mapping)):
            return identifier() if inspect.isclass(identifier) else identifier
        text = isinstance(identifier, str)
        described: dict[str, Any] = {"class_name": identifier} if text else dict(identifier)
        if "class_name" not in described:  # Keras 1 keeps the name among the arguments
            described = {"class_name": described.pop("name"), "config": described}
        if not text:
            described["config"] = self.table.read(home, described.get("config") or {})
        name = described.get("registered_name") or described["class_name"]
        functions = self.table.draws_by_layout and home == "initializers"
        registered = serialize.registered_object(name) is not None
        found = None if registered else self.find(home, name)
        if found is None:
            if not (text or registered or functions):
                raise ValueError(f"Unknown {home[:-1]} {name!r} of Keras {self.table.version}.")
            made = serialize.get(identifier if text else described, f"keras.{home}")
            own = self.find(home, type(made).__name__) if text and not (registered or functions) else None
            return own() if isinstance(own, type) else made
        if functions:
            return found  # of a shape: it needs no making
        own = described.get("config", {})
        return found.from_config(own) if isinstance(found, type) else found(**own)

    def from_config(self, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
        """The layer or model that {"class_name": ..., "config": ...} describes."""
        name = config["class_name"]
        if name == "Sequential" and isinstance(config["config"], list) and "name" in config:
            config = {**config, "config": {"name": config["name"], "layers": config["config"]}}
        module = self.module("models" if name in _MODELS else "layers")
        keys = [key for key in (config.get("registered_name"), name) if key]
        registered = any(serialize.registered_object(key, custom_objects) is not None for key in keys)
        if not registered and serialize.find(name, module) is None:
            raise ValueError(
                f"Unknown layer {name!r} in a config of Keras {self.table.version}; pass it in custom_objects."
            )
        return serialize.deserialize({**config, "module": module}, custom_objects)


DIALECTS = {
    table.name: Dialect(table, os.environ.get("KERAS_BACKEND", "tensorflow") if table is KERAS1 else "tensorflow")
    for table in (KERAS1, KERAS2, TF_KERAS)
}
