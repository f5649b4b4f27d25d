"""The module trees `lamina.keras1`, `lamina.keras2` and `lamina.tf_keras`, their classes made on first use."""

from __future__ import annotations

import functools
import importlib.abc
import sys
import threading
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from . import backend, names
from .dialect import DIALECTS, Dialect, Find

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
        with _making:  # one object for each name, whichever threads ask for it first
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
    "applications": "`lamina.applications` has the networks of Keras 3, as models of Keras 3.",
    "wrappers": "`lamina.wrappers` has estimators of scikit-learn.",
    "get_file": "Fetch the file yourself.",
    "multi_gpu_model": "Use torch's own tools for several devices.",
}


class _Absent(importlib.abc.MetaPathFinder):
    """Comes last, and says for a module or name that a generation has and this project has not what to use."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if isinstance(target, Namespace):  # `importlib.reload`: there is nothing to do
            return target.__spec__
        parent = sys.modules.get(fullname.rpartition(".")[0])
        if not isinstance(parent, Namespace) or parent.__spec__ is None:
            return None
        root, _, own = parent.__spec__.name.removeprefix("lamina.").partition(".")
        asked = f"{own}.{fullname.rpartition('.')[2]}".lstrip(".")
        hint = next((text for name, text in _INSTEAD.items() if f".{name}." in f".{asked}."), "")
        version = DIALECTS[root].table.version
        raise ModuleNotFoundError(f"keras.{asked} of Keras {version} is not in Lamina. {hint}".strip())


sys.meta_path.append(_Absent())


def open_namespace(name: str) -> ModuleType:
    """The root module of a generation, with its submodules in `sys.modules` under the same names as the files'."""
    with _making:
        found = sys.modules.get(f"lamina.{name}")
        return found if isinstance(found, Namespace) else _made(DIALECTS[name])


def _made(dialect: Dialect) -> ModuleType:
    names.fill(dialect)
    modules: dict[str, Namespace] = {}
    for home in dialect.homes:
        doc = f"Keras {dialect.table.version} on Lamina's layers." if not home else ""
        find, listed = (functools.partial(each, home) for each in (dialect.find, functools.partial(_listed, dialect)))
        modules[home] = Namespace(dialect.module(home), doc, find, listed)
    for home, module in modules.items():
        parent, _, leaf = home.rpartition(".")
        if home:
            setattr(modules[parent], leaf, module)
    vars(modules[""])["__version__"] = dialect.table.version
    sys.modules.update({module.__name__: module for module in modules.values()})  # all at once: others may be importing
    return modules[""]


def _listed(dialect: Dialect, home: str) -> list[str]:
    """The names in a module, without those that have no counterpart yet."""
    table = dialect.table
    own, _, part = table.modules.get(home, home).partition(".")
    found = [
        alias
        for key, entry in table.objects.get(own, {}).items()
        if not part or entry.part in (part, table.extras.get(part))
        for alias in (key, *entry.aliases.split())
    ]
    found += ["Model", "Sequential", "model_from_config", "model_from_json"] if own == "models" else []
    if own == "backend":
        found += backend.names(dialect)
    elif own not in ("", "layers", "engine"):
        found += getattr(names.modern_module(own), "__all__", ())
    module = sys.modules[dialect.module(home)]
    return [name for name in dict.fromkeys(found) if name[0] != "_" and hasattr(module, name)]
