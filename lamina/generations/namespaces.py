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

from ..translation.absent import hint
from . import backend, names, tensors
from .dialect import DIALECTS, Dialect, Find

_making = threading.RLock()


class _Missing(AttributeError):
    """What to use is looked for when it is asked: most such errors are `hasattr`'s."""

    def __str__(self) -> str:
        module, name = self.args
        path = ".".join(module.split(".")[2:])
        told = hint(path, name) or hint(f"{path}.{name}".lstrip("."))
        return f"module {module!r} has no attribute {name!r}. {told}".rstrip(" .")


class Namespace(ModuleType):
    """A module whose names are found on first use."""

    def __init__(self, name: str, doc: str, find: Find, names: Callable[[], list[str]]):
        super().__init__(name, doc)
        self.__path__: list[str] = []  # it may have submodules
        self.__file__ = __file__  # where `inspect` says its classes are from
        self.__spec__ = ModuleSpec(name, None, origin=__file__, is_package=True)
        self.__spec__.has_location = True  # so that `importlib.reload` leaves `__file__`
        vars(self).update(_find=find, _names=names)

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return vars(self)["_names"]()
        if name.startswith("__"):
            raise AttributeError(name)
        with _making:  # one object for each name, whichever threads ask for it first
            found = vars(self)[name] if name in vars(self) else vars(self)["_find"](name)
            if found is None:
                raise _Missing(vars(self)["__spec__"].name, name)  # `install` calls it by another name
            setattr(self, name, found)
        return found

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *vars(self)["_names"]()})


class _Absent(importlib.abc.MetaPathFinder):
    """Comes last, and says for a module or name that a generation has and this project has not what to use."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if isinstance(target, Namespace):  # `importlib.reload`: there is nothing to do
            return target.__spec__
        parent = sys.modules.get(fullname.rpartition(".")[0])
        if not isinstance(parent, Namespace) or parent.__spec__ is None:
            return None
        root, _, own = parent.__spec__.name.removeprefix("lamina.").partition(".")
        name = fullname.rpartition(".")[2]
        told = hint(own, name, near=vars(parent)["_names"]()) or hint(f"{own}.{name}".lstrip("."))
        asked, version = f"{own}.{name}".lstrip("."), DIALECTS[root].table.version
        raise ModuleNotFoundError(f"keras.{asked} of Keras {version} is not in Lamina. {told}".strip())


sys.meta_path.append(_Absent())


def open_namespace(name: str) -> ModuleType:
    """The root module of a generation, with its submodules in `sys.modules` under the same names as the files'."""
    with _making:
        found = sys.modules.get(f"lamina.{name}")
        return found if isinstance(found, Namespace) else _made(DIALECTS[name])


def _made(dialect: Dialect) -> ModuleType:
    names.fill(dialect)
    tensors.equip()
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


# Modules whose names the tables tell; the others have those of today's.
_OF_TABLES = ("", "layers", "engine", "activations", "constraints", "initializers", "losses", "regularizers")


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
    found += [name for name in table.objects.get(home, {}) if "." not in name] if part else []
    found += ["Model", "Sequential", "model_from_config", "model_from_json"] if own == "models" else []
    if own == "backend":
        found += backend.names(dialect)
    elif own not in _OF_TABLES:
        found += getattr(names.modern_module(home if part else own), "__all__", ())
    found += table.holds.get(table.modules.get(home, home), "").split()
    found += () if home else dialect.homes
    module = sys.modules[dialect.module(home)]
    return [name for name in dict.fromkeys(found) if name[:1] not in ("", "_") and hasattr(module, name)]
