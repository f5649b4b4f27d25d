"""A stand-in for `import tensorflow as tf`, for scripts that use a little of it beside Keras: eager, on torch.

`NAMES` of `base` has all it offers, by path. What is not there says so, and what to use.
"""

from __future__ import annotations

import importlib.abc
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from ...translation.lists import listed
from .. import tensors
from . import arrays, data, environment, images, randomness, records, signals, sparse, state, tables, testing  # noqa: F401  they fill NAMES
from .base import NAMES

_VERSIONS = {"keras1": "1.15.5", "keras2": "1.15.5", "tf_keras": "2.15.1", "keras3": "2.18.1"}  # that went with it

_LISTS = listed("tensorflow.json")
_INSTEAD: dict[str, str] = _LISTS["instead"]  # what to use for what is not here, by a part of its path


def _missing(path: str) -> str:
    hint = next((text for part, text in _INSTEAD.items() if part in path.split(".")), "Use torch or lamina.ops for it.")
    return f"tf.{path} is not in Lamina's stand-in for TensorFlow. {hint}"


def _never_made(path: str) -> type:
    """A class that code may name, in types and where it asks what something is; there is no object of it."""

    def refuse(*_: object, **__: object) -> None:
        raise AttributeError(_missing(path))

    return type(path.rpartition(".")[2], (), {"__init__": refuse, "__module__": "tensorflow"})


NAMES.update({path: _never_made(path) for path in _LISTS["never_made"].split()})


class StandIn(ModuleType):
    """A module of the stand-in."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # `from tensorflow.python.ops import x` found no better
        raise AttributeError(_missing(self.__name__.partition(".")[2]))

    def __mro_entries__(self, _: Any) -> Any:
        self()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        path = f"{self.__name__}.{name}".partition(".")[2]
        if path.partition(".")[0] in _INSIDE:
            homes = [vars(sys.modules[f"tensorflow{home}"]) for home in _PUBLIC_HOMES]
            found = next((home[name] for home in homes if name in home), None)
            found = getattr(sys.modules["tensorflow.initializers"], name, None) if found is None else found
            if found is not None:
                return found
        raise AttributeError(_missing(path))


# TensorFlow's inside, as far as modules go: importing one is no use of it, and what a function is called, as
# `array_ops.stack`, is mostly its public name. `contrib` was there up to TensorFlow 1.15.
_INSIDE = ("python", "contrib")
_PUBLIC_HOMES = ("", ".nn", ".math", ".linalg", ".image", ".random", ".dtypes", ".nest")


class _Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Comes last, and says of a module that is not here what to use."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        root = sys.modules.get("tensorflow")
        if not fullname.startswith("tensorflow.") or not isinstance(root, StandIn):
            return None
        asked = fullname.partition(".")[2]
        part = asked.partition(".")[0]
        if part == "python" or (part == "contrib" and root.__version__.startswith("1.")):
            return ModuleSpec(fullname, self, is_package=True)
        raise ModuleNotFoundError(_missing(asked), name=fullname)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return StandIn(spec.name, "A module of TensorFlow's inside.")

    def exec_module(self, _: ModuleType) -> None:
        """There is nothing in it but the public names."""


sys.meta_path.append(_Absent())


def stand_in(generation: str, keras: dict[str, ModuleType]) -> dict[str, ModuleType]:
    """The modules `tensorflow`, `tensorflow.nn`, ...; `keras`: those of `tf.keras`, by their path below it."""
    tensors.equip()
    made: dict[str, ModuleType] = {}
    for name in [name for name, each in sys.modules.items() if "." in name and isinstance(each, StandIn)]:
        del sys.modules[name]  # of the generation before, whose inside may have been another

    def module(path: str) -> ModuleType:
        name = f"tensorflow.{path}".rstrip(".")
        if name not in made:
            made[name] = found = StandIn(name, "Lamina's stand-in for a part of TensorFlow.")
            found.__path__ = []
            found.__spec__ = ModuleSpec(name, None, is_package=True)
            if path:
                parent, _, leaf = path.rpartition(".")
                vars(module(parent)).setdefault(leaf, found)
        return made[name]

    root = module("")
    for path, item in NAMES.items():
        home, _, leaf = path.rpartition(".")
        setattr(module(home), leaf, item)
    for path in ("keras", "python.keras", "contrib.keras", "compat.v1.keras", "compat.v2.keras"):
        home, _, leaf = path.rpartition(".")
        setattr(module(home), leaf, keras[""])
        made |= {f"tensorflow.{path}.{inner}".rstrip("."): found for inner, found in keras.items()}
    for home in ("initializers", "losses", "metrics", "optimizers"):
        setattr(root, home, keras[home])
        made[f"tensorflow.{home}"] = keras[home]
    module("python.ops.rnn_cell").RNNCell = keras["layers"].Layer  # type: ignore[attr-defined]
    for word, name in _LISTS["initializers"].items():
        setattr(root, word, getattr(keras["initializers"], name))
    root.__version__ = module("version").VERSION = _VERSIONS[generation]  # type: ignore[attr-defined]
    module("version").COMPILER_VERSION = module("version").GIT_VERSION = "lamina"  # type: ignore[attr-defined]
    for path in ("compat.v1", "compat.v2"):  # whoever names a version finds the same
        _fill(module(path), root)
    return made


def _fill(module: ModuleType, other: ModuleType) -> None:
    """Give a module what it lacks of another, in the modules below both, too."""
    for key, item in vars(other).items():
        own = vars(module).setdefault(key, item)
        if own is not item and isinstance(own, StandIn) and isinstance(item, StandIn) and key != "compat":
            _fill(own, item)
