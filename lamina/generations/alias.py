"""`import keras` as one of the generations, for this process."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from .. import _absent
from ..core.scope import snake_case
from ..files.keras3 import KERAS_VERSION
from . import insides, tensors, theano
from .dialect import DIALECTS
from .evidence import MODULE_AGES, below
from .namespaces import Namespace, open_namespace
from .times import bring_back, take_back

_finder = _absent.Finder("keras")
_replaced: list[tuple[ModuleType, str, Any]] = []  # what modules of today's Keras had
_opened: list[ModuleType] = []  # modules of one file, which may have others below them while it is installed
_NAMES = {
    "keras1": ("keras",),
    "keras2": ("keras",),
    "tf_keras": ("keras", "tf_keras"),
    "keras3": ("keras", "keras_core"),
}
_INSIDES = "src", "api", "_v1", "_v2", "_tf_keras", "keras"  # what stands before the path of a public module
_installed: dict[str, ModuleType | None] = {}  # what stood in `sys.modules` before


def install(generation: str, *, backend: str | None = None, replace: bool = False) -> None:
    """From now on `import keras` and its submodules mean this generation: keras1, keras2, tf_keras or keras3; with
    keras2.2, Keras 2 before 2.3, whose `K.batch_dot` was a product of matrices.

    Where there is no TensorFlow, `import tensorflow` gives a stand-in for a part of it, with `tensorflow.keras`.
    `backend="theano"` turns kernels round and pads as Keras 1 did there. Raises ImportError where a Keras is installed
    already, unless `replace`; ValueError for another generation or backend.
    """
    early = generation == "keras2.2"
    generation = "keras2" if early else generation
    if generation not in _NAMES:
        raise ValueError(f"install: expected one of {', '.join(_NAMES)}; got {generation!r}.")
    found = installed_keras()
    if found and not replace:
        raise ImportError(
            f"Keras is installed in {found}, and left alone; pass replace=True to put Lamina in its place."
        )
    if backend is not None and generation in DIALECTS:
        DIALECTS[generation].follow(backend)
    uninstall()
    DIALECTS["keras2"].early = early
    modules = _modules(generation)
    if generation in DIALECTS:
        _bring_back(modules)
        tensors.as_old_code_has_them(True, DIALECTS[generation].table.shares_modern)
    sys.meta_path[:0] = [_Inside(modules, dated=generation == "tf_keras"), _Aliases()]
    if generation == "keras3":
        sys.meta_path.insert(2, _finder)  # type: ignore[arg-type]  # says what is not there
        own = vars(modules[""])
        _replaced.append((modules[""], "__version__", own["__version__"]))
        own["__version__"] = KERAS_VERSION  # by which code tells the generations apart
    modules[""].__name__ = "keras"
    for path, module in modules.items():
        _take_in(module, f"keras.{path}".rstrip("."))
    for name in _NAMES[generation]:
        _alias({f"{name}.{path}".rstrip("."): module for path, module in modules.items()})
    if generation == "keras3":
        importlib.import_module("keras.src")  # which is there after `import keras`
    if importlib.util.find_spec("tensorflow") is None:
        _stand_in(generation, modules)
        tensor: Any = tensors.Tensor
        tensor.__array_function__ = tensors.of_array_function  # which NumPy's functions take


def _take_in(module: ModuleType, name: str) -> None:
    """Let a module be called so, where it is of a generation, and have modules below it."""
    if isinstance(module, Namespace):
        module.__name__ = name
    if not hasattr(module, "__path__"):
        module.__path__ = []
        _opened.append(module)


def uninstall() -> None:
    """Undo `install`."""
    sys.meta_path[:] = [one for one in sys.meta_path if one is not _finder and not isinstance(one, (_Aliases, _Inside))]
    for name, before in _installed.items():
        if module := sys.modules.get(name):
            module.__name__ = _home(module)
        if before is None:
            sys.modules.pop(name, None)
        else:
            sys.modules[name] = before
    _installed.clear()
    while _opened:
        vars(module := _opened.pop()).pop("src", None)
        del module.__path__
    for name in [name for name, module in sys.modules.items() if "." in name and _is_stand_in(module)]:
        del sys.modules[name]  # imported below the stand-in since
    tensors.as_old_code_has_them(False)
    DIALECTS["keras2"].early = False
    take_back()
    theano.leave()
    while _replaced:
        setattr(*_replaced.pop())


def _is_stand_in(module: object) -> bool:
    return type(module).__module__ in (f"{__package__}.tensorflow", f"{__package__}.theano")


def _bring_back(modules: dict[str, ModuleType]) -> None:
    """What older code finds outside Keras, the package that `preprocessing` once was among it."""
    if importlib.util.find_spec("keras_preprocessing") is None:
        parts = {path: module for path, module in modules.items() if path.startswith("preprocessing")}
        _alias({f"keras_{path}": module for path, module in parts.items()})
    if importlib.util.find_spec("theano") is None:
        _alias(theano.stand_in(modules["backend"]))
    bring_back()


def _stand_in(generation: str, modules: dict[str, ModuleType]) -> None:
    """`import tensorflow`. Keras 3's data sets of folders and arrays are pipelines of `tf.data` then, as in Keras."""
    from .tensorflow import stand_in
    from .tf_only import as_dataset, gives_loaders

    if generation == "keras3":
        kept = {path: _Kept(path, modules[path]) for path in ("", "backend", "losses", "metrics")}
        vars(kept[""]).update({path: module for path, module in kept.items() if path})
    _alias(stand_in(generation, modules | kept if generation == "keras3" else _modules("tf_keras")))
    if generation != "keras3":
        sys.meta_path.insert(0, _Inside(_modules("tf_keras"), dated=True))
    for module in (modules["utils"], modules["preprocessing"]) if generation == "keras3" else ():
        for name in filter(gives_loaders, module.__all__):
            _replaced.append((module, name, getattr(module, name)))
            setattr(module, name, as_dataset(getattr(module, name)))


class _Kept(ModuleType):
    """A module of Keras 3's `tf.keras`, which still has names that `keras` dropped: `K.mean`, `losses.mse`."""

    def __init__(self, path: str, module: ModuleType):
        super().__init__(module.__name__, module.__doc__)
        self.__path__, self.__spec__ = [], module.__spec__
        vars(self).update(_path=path, _same=module)

    def __getattr__(self, name: str) -> Any:
        path, same = vars(self)["_path"], vars(self)["_same"]
        if not path or name.startswith("_") or hasattr(same, name):
            return getattr(same, name)
        return getattr(_modules("tf_keras")[path], name)

    def __dir__(self) -> list[str]:
        return dir(vars(self)["_same"])


def installed_keras() -> str | None:
    """Where a Keras of another maker is installed; None where there is none."""
    if "keras" in _installed:
        return None
    spec = importlib.util.find_spec("keras") if "keras" not in sys.modules else sys.modules["keras"].__spec__
    return None if spec is None else spec.origin


def _alias(modules: dict[str, ModuleType]) -> None:
    for name, module in modules.items():
        _installed.setdefault(name, sys.modules.get(name))
        sys.modules[name] = module


class _Aliases(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules below those that `install` put in place: one object each, whatever it is imported as."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        own = self._own(fullname) if fullname.rpartition(".")[0] in _installed else fullname
        return None if own == fullname or importlib.util.find_spec(own) is None else ModuleSpec(fullname, self)

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        _installed[name], sys.modules[name] = None, importlib.import_module(self._own(name))

    @staticmethod
    def _own(name: str) -> str:
        parent, _, leaf = name.rpartition(".")
        return f"{_home(sys.modules[parent])}.{leaf}"


class _Inside(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules inside Keras that editors write into imports: `keras.src` and its like, with all below them,
    and those that tf.keras kept beside its public ones. They have the names that are public in a module above them."""

    def __init__(self, modules: dict[str, ModuleType], dated: bool):
        self.modules, self.dated = modules, dated  # dated: they are tf.keras'

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        above, own = sys.modules.get(fullname.rpartition(".")[0]), below(fullname)[1]
        ours = above in self.modules.values() or (isinstance(above, _InnerModule) and above.finder is self)
        inside = ours and own is not None and (own.split(".")[0] in _INSIDES or (self.dated and _is_dated(own, above)))
        return ModuleSpec(fullname, self, is_package=True) if inside else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _InnerModule(spec.name, self)

    def exec_module(self, module: ModuleType) -> None:
        _installed[module.__name__] = None


def _is_dated(path: str, above: ModuleType | None) -> bool:
    """Whether tf.keras had a module there: one that tells its age, or one with the name of a class."""
    parts = path.split(".")
    paths = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    age = next((MODULE_AGES[each] for each in paths if each in MODULE_AGES), "")
    return "t" in age or parts[-1] in map(snake_case, getattr(above, "__all__", ()))


class _InnerModule(ModuleType):
    def __init__(self, name: str, finder: _Inside):
        super().__init__(name)
        parts = [part for part in (below(name)[1] or "").split(".") if part not in _INSIDES]
        public = [part for part in parts if part != "legacy"]  # as Keras 3 calls what it shows in `tf.keras` alone
        above = (finder.modules.get(".".join(of[:at])) for of in (parts, public) for at in range(len(of), 0, -1))
        self._same = finder.modules.get(".".join(parts))
        engine = (finder.modules.get(path) for path in (parts[-1], "ops")) if parts[:1] == ["backend"] else ()
        self._above = [*(each for each in (*above, *engine) if each is not None), finder.modules[""]]
        self.finder = finder

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            if name == "__all__" and self._same is not None:  # for `from keras.src.ops import *`
                return [each for each in dir(self._same) if not each.startswith("_")]
            raise AttributeError(name)
        for module in self._above:
            found = getattr(module, name, None)
            if found is not None and not isinstance(found, ModuleType):
                return found
            if found is not None and module is self._same:
                deep = name in ("backend", "utils")  # which have most of what is asked for inside
                return importlib.import_module(f"{self.__name__}.{name}") if deep else found
        if name in insides.NAMES:
            return insides.NAMES[name]
        if name.endswith(("_lib", "_scope", "_utils")) or name in insides.MODULES:
            return importlib.import_module(f"{self.__name__}.{name}")
        raise ImportError(  # after an AttributeError, `from module import name` would look for a module of that name
            f"{self.__name__}.{name} is Keras' own inside, and no public module of Lamina's has that name."
        )


def _home(module: ModuleType) -> str:
    """The name that a module has of its own, whatever it is called while it is installed."""
    return module.__spec__.name if module.__spec__ else module.__name__


def _modules(generation: str) -> dict[str, ModuleType]:
    """The modules of a generation by their path below `keras`."""
    if generation in DIALECTS:
        open_namespace(generation)
        root = f"lamina.{generation}"
    else:
        root = "lamina"
        from .. import _MODULES

        for name in _MODULES:
            if name not in DIALECTS and importlib.util.find_spec(f"lamina.{name}") is not None:
                importlib.import_module(f"lamina.{name}")
    found = {"": importlib.import_module(root)}
    return found | {
        name.removeprefix(f"{root}."): module for name, module in sys.modules.items() if name.startswith(f"{root}.")
    }
