"""Objects to plain data and back. A config names a class; only registered classes are ever made from it."""

from __future__ import annotations

import dis
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np
import torch

from .. import FUNCTION_HOMES, HOMES
from . import functions
from .errors import Unwritable, short, warn

_LAMBDA = "<lambda>"  # its name, as Python has it
_TORCH = "torch.nn"
_GENERATIONS = ("keras1", "keras2", "tf_keras")  # of their classes, those that stand in none of `HOMES` are today's
_registered: dict[str, Any] = {}
_names: dict[Any, str] = {}
_scopes: ContextVar[tuple[Mapping[str, Any], ...]] = ContextVar("_scopes", default=())


def register(package: str = "Custom", name: str | None = None) -> Callable[[Any], Any]:
    """Class or function decorator: saved configs may name it, as `package>name`."""

    def decorate(item):
        full = f"{package}>{name or item.__name__}"
        if inspect.isclass(item) and not hasattr(item, "get_config"):
            raise ValueError(f"register_keras_serializable: {item.__name__} has no `get_config` method.")
        _registered[full] = item
        _names[item] = full
        return item

    return decorate


def registered_name(obj: Any) -> str:
    """The name under which configs know a class or function; a class remade under its own name keeps it."""
    same = (base for base in getattr(obj, "__mro__", (obj,)) if base.__name__ == obj.__name__)
    return next((_names[base] for base in same if base in _names), obj.__name__)


def registered_object(name: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """What `name` stands for in `custom_objects`, the open scopes or the registry, else None."""
    found = _exactly(name, custom_objects)
    return _registered.get(f"Custom>{name}") if found is None else found


def _exactly(name: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    for scope in ((custom_objects or {}), *reversed(_scopes.get()), _registered):
        if name in scope:
            return scope[name]
    return None


@contextmanager
def custom_object_scope(custom_objects: Mapping[str, Any] | None) -> Iterator[None]:
    """Inside, configs that this thread reads may name these classes and functions."""
    with _within(_scopes, (*_scopes.get(), dict(custom_objects or {}))):
        yield


def home_of(cls: type) -> str | None:
    """The module under which configs name one of Lamina's own classes, such as "keras.layers"; None for others."""
    declared = vars(cls).get("_home")
    if declared:
        return declared
    module = cls.__module__
    if module in HOMES:
        return module
    if not module.startswith("lamina."):
        return None
    rooms = [part for part in module.split(".")[1:] if part not in _GENERATIONS]
    return ".".join(["keras", *rooms[:1]])


def public_home(module: Any) -> str | None:
    """Where a class of one of Keras' modules is found, its private modules included; None for anybody else's."""
    if module in HOMES:
        return module
    parts = module.split(".") if isinstance(module, str) else []
    if parts[:2] != ["keras", "src"]:
        return None
    return next((f"keras.{part}" for part in reversed(parts) if f"keras.{part}" in HOMES), None)


def find(name: str, home: str) -> Any:
    """Lamina's own public object of that name in one of Keras' modules, else None."""
    if home not in HOMES or name.startswith("_") or name in ("get", "serialize", "deserialize"):
        return None
    try:
        found = getattr(sys.modules.get(HOMES[home]) or importlib.import_module(HOMES[home]), name, None)
    except ModuleNotFoundError:
        return None
    room = getattr(found, "__module__", None) or ""
    helper = room.startswith("lamina.core.") and (room.endswith(".declare") or not inspect.isclass(found))
    return found if room.startswith("lamina.") and not helper else None


def get(identifier: Any, home: str) -> Any:
    """What an identifier stands for in one of Keras' modules, by that module's own `get`."""
    module: Any = sys.modules.get(HOMES[home]) or importlib.import_module(HOMES[home])
    return module.get(identifier)


_ENDS = "start", "stop", "step"


def serialize(obj: Any) -> Any:
    """Plain data for `obj`: numbers, text, lists and dictionaries as they are, objects as class and config."""
    if obj is None or isinstance(obj, (bool, int, float, str)):
        return obj
    if isinstance(obj, np.generic):
        return obj.item()
    if isinstance(obj, torch.dtype):
        return str(obj).removeprefix("torch.")
    if isinstance(obj, (list, tuple)):
        return type(obj)(serialize(item) for item in obj) if type(obj) in (list, tuple) else list(obj)
    if isinstance(obj, Mapping) and not hasattr(obj, "get_config"):
        return {key: serialize(item) for key, item in obj.items()}
    if isinstance(obj, np.ndarray):
        return {"class_name": "__numpy__", "config": {"value": obj.tolist(), "dtype": obj.dtype.name}}
    if isinstance(obj, torch.Tensor):
        array = obj.detach().cpu()
        return {"class_name": "__tensor__", "config": {"value": array.tolist(), "dtype": serialize(array.dtype)}}
    if isinstance(obj, bytes):
        return {"class_name": "__bytes__", "config": {"value": obj.decode()}}
    if isinstance(obj, slice):
        return {"class_name": "__slice__", "config": {key: serialize(getattr(obj, key)) for key in _ENDS}}
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(obj, functions.Rebuilt):
        return obj.described()
    if inspect.ismodule(obj):  # such as a lambda holds of the function around it
        return {"module": "builtins", "class_name": "module", "config": obj.__name__, "registered_name": "module"}
    if inspect.isroutine(obj) or inspect.isclass(obj):
        return _serialize_callable(obj)
    if hasattr(obj, "get_config"):
        return _describe(obj)
    if isinstance(obj, torch.nn.Module) and (arguments := _torch_nn().arguments_of(obj)) is not None:
        return {
            "module": _TORCH, "class_name": type(obj).__name__, "config": serialize(arguments), "registered_name": None
        }  # fmt: skip
    name = _name_of(obj)
    if callable(obj) and name is not None:  # such as a loss: `custom_objects` gives it back
        return _named_function(name)
    raise Unwritable(
        f"Cannot write {type(obj).__name__} {short(obj)} into a config: give its class a `get_config` method, or the "
        "object itself a name, as in register_keras_serializable(name=...)(object)."
    )


def _named_function(name: Any) -> dict[str, Any]:
    return {"module": "builtins", "class_name": "function", "config": name, "registered_name": name}


def _lambda_code(function: Any) -> dict[str, Any]:
    """A lambda as Keras 3 writes it."""
    if _written.get() is not None:
        warn(
            "A lambda is saved as its bytecode, which is data to Lamina and run only by Keras with safe_mode=False. To "
            f"read the model again, pass custom_objects={{{_LAMBDA!r}: ...}}, or name the function with `def`."
        )
    return {"class_name": "__lambda__", "config": {"value": list(functions.dump(function))}}


def _lambda_of(config: Any) -> Any:
    """The function given for a lambda, that of this process, or one rebuilt of known operations. Raises ValueError,
    with its source, where there is none."""
    found = registered_object(_LAMBDA)
    value = config.get("value") if isinstance(config, Mapping) else None
    if found is None and isinstance(value, list) and len(value) == 3:
        found = functions.written(*value)
    if found is None:
        found = functions.rebuilt(config, _LAMBDA, "A function of the file")
    return found


def _torch_nn() -> Any:
    return importlib.import_module(HOMES[_TORCH])


def _name_of(obj: Any) -> str | None:
    """The name of an object that is given to readers under it: in the scopes, the registry, or as its `__name__`."""
    for known in (*reversed(_scopes.get()), _registered):
        for name, one in known.items():
            if one is obj:
                return name
    return name if isinstance(name := getattr(obj, "__name__", None), str) else None


def plain(value: Any) -> Any:
    """What stands as it is in a config, as JSON takes it: a `default=` of `json.dumps`. Arrays and numbers of NumPy,
    objects with a config of their own, functions and classes by their names."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if hasattr(value, "get_config"):
        return {"class_name": type(value).__name__, "config": value.get_config()}
    if inspect.isroutine(value) or inspect.isclass(value):
        return value.__name__
    raise TypeError(f"Cannot write {type(value).__name__} {short(value)} into a config of plain values.")


def _serialize_callable(value: Any) -> dict[str, Any]:
    if getattr(value, "__name__", "") == "<lambda>":
        name = _name_of(value)
        return _lambda_code(value) if name == _LAMBDA else _named_function(name)
    kind, name = "class" if inspect.isclass(value) else "function", registered_name(value)
    module, full = value.__module__, name
    if module not in HOMES and (kind == "function" or name != value.__name__):
        module, full = "builtins", kind  # Keras looks these up by what stands in `config` alone
    return {"module": module, "class_name": kind, "config": name, "registered_name": full}


def _describe(value: Any) -> dict[str, Any]:
    cls = type(value)
    module = home_of(cls)
    public = module is not None and not module.startswith("keras.src.")
    described = {
        "module": module or cls.__module__,
        "class_name": vars(cls).get("_public_name", cls.__name__),
        "config": value.get_config() if module else serialize(value.get_config()),  # a user's own may hold objects
        "registered_name": None if public else registered_name(cls),
    }
    check_arguments(value, described["config"])
    for part in ("build_config", "compile_config"):
        give = getattr(value, f"get_{part}", None)
        found = give() if give is not None else None
        if found is not None:
            described[part] = serialize(found)
    written = _written.get()
    if written is not None and "build_config" in described:
        # The object is kept: once it is gone, another may get its id.
        described["shared_object_id"] = written.setdefault(id(value), (len(written), value))[0]
    return described


def check_arguments(value: Any, config: Any) -> None:
    """While a file is written: raises TypeError where `from_config` could not make one of a user's layers again, since
    its `__init__` lacks arguments of the config, or wants others.

    Warns for what a file can be read without, and for layers of older generations: there such files give back their
    weights, and programs live by it.
    """
    cls = type(value)
    ours = str(getattr(getattr(cls, "from_config", None), "__module__", "")).startswith("lamina.")
    if (
        _written.get() is None
        or home_of(cls) is not None
        or not ours
        or str(getattr(cls.__init__, "__module__", "")).startswith("lamina.")
        or not isinstance(config, Mapping)
    ):
        return
    try:
        inspect.signature(cls.__init__).bind(None, **config)
    except TypeError as error:
        name = getattr(value, "name", None)
        text = (
            f"{cls.__name__}{'' if name is None else f' {name!r}'} could not be made again from its config, which "
            f"`__init__` does not fit: {error}. Let that take **kwargs and hand them to super().__init__, and have "
            "`get_config` give all that it needs."
        )
        older = any(str(home_of(base)).startswith("lamina.") for base in cls.__mro__)
        if hasattr(cls, "get_build_config") and not older:
            raise TypeError(text) from None
        way = "gives back its weights alone (load_weights)" if older else "is read by load_model(..., compile=False)"
        warn(f"{text} Until then the file {way}.")


class _Reading(NamedTuple):
    shared: dict[Any, tuple[Any, Any]]  # by `shared_object_id` the config and the object
    compiled: list[tuple[Any, Any]]

    def note(self, config: Mapping[str, Any], made: Any) -> None:
        """Keep what was made of a config."""
        if config.get("shared_object_id") is not None:
            self.shared[config["shared_object_id"]] = (config, made)
        if config.get("compile_config") and hasattr(made, "compile_from_config"):
            self.compiled.append((made, config["compile_config"]))


_written: ContextVar[dict[int, tuple[int, Any]] | None] = ContextVar("_written", default=None)
_read: ContextVar[_Reading | None] = ContextVar("_read", default=None)


@contextmanager
def _within(variable: ContextVar, value: Any) -> Iterator[None]:
    outer = variable.get()
    variable.set(value)
    try:
        yield
    finally:
        variable.set(outer)


def sharing() -> AbstractContextManager[None]:
    """Inside, an object that stands in several places of one config is written with one `shared_object_id`."""
    return _within(_written, {})


@contextmanager
def reading_shared() -> Iterator[list[tuple[Any, Any]]]:
    """Inside, what stands in several places of one config, by its `shared_object_id`, is read as one object.

    Gives the list of models whose config says how they were compiled, and what it says: those inside others first.
    """
    reading = _Reading({}, [])
    with _within(_read, reading):
        yield reading.compiled


_backend: ContextVar[str | None] = ContextVar("_backend", default=None)


def computing_as_on(backend: str | None) -> AbstractContextManager[None]:
    """Inside, configs that this thread reads are of an older Keras on that backend; None: whatever is set."""
    return _within(_backend, backend)


def as_made(item: Any) -> AbstractContextManager[None]:
    """Inside, configs are read as where this layer or model was made."""
    return computing_as_on(getattr(item, "_made_for", None))


def read_backend() -> str | None:
    """The backend whose arithmetic the configs being read are meant for."""
    return _backend.get()


def in_file() -> bool:
    """Whether a config that a file holds is being read."""
    return _read.get() is not None


@contextmanager
def reading_part(part: Any, expected: str, theirs: bool = False) -> Iterator[None]:
    """Around reading one part of a config: errors learn where they arose, for `place_of`.

    What Python or torch stumbled over, instead of a check, becomes a ValueError that says what was `expected`; not
    in code of others (`theirs`), who need to see it.
    """
    try:
        yield
    except Exception as error:
        told: Any = error
        if isinstance(error, RecursionError):
            told = ValueError("it is nested too deeply.")
        elif not theirs and not hasattr(error, "parts") and not _raised_by_a_check(error):
            told = ValueError(f"expected {expected}; got {short(part)}.")
        told.parts = [*getattr(error, "parts", ()), part]
        if told is not error:
            raise told from error
        raise


def _raised_by_a_check(error: BaseException) -> bool:
    """Whether a `raise` stands where the error arose."""
    trace: Any = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    return dis.opname[trace.tb_frame.f_code.co_code[trace.tb_lasti]] == "RAISE_VARARGS"


def place_of(error: BaseException, root: Any, name: str = "") -> str:
    """Where in a config called `name` the innermost part lies that an error arose from: " at config.layers[2]"."""
    parts = [part for part in getattr(error, "parts", ()) if isinstance(part, (dict, list))]
    paths = {id(part): "" for part in parts}
    stack = [(root, name)]
    while stack:
        node, path = stack.pop()
        if id(node) in paths:
            paths[id(node)] = paths[id(node)] or path.lstrip(".")
        if isinstance(node, dict):
            stack.extend((item, f"{path}.{key}") for key, item in node.items())
        elif isinstance(node, list):
            stack.extend((item, f"{path}[{index}]") for index, item in enumerate(node))
    found = next((paths[id(part)] for part in parts if paths[id(part)]), "")
    return f" at {found}" if found else ""


def deserialize(
    config: Any, custom_objects: Mapping[str, Any] | None = None, homes: tuple[str, ...] = ("keras.layers",)
) -> Any:
    """The object a config describes. `homes`: where to look for names that carry no module.

    Raises TypeError for a class that is neither Lamina's own, registered nor in `custom_objects`.
    """
    if isinstance(config, (list, tuple)):
        return type(config)(deserialize(item, custom_objects, homes) for item in config)
    if not isinstance(config, Mapping):
        return config
    if "class_name" not in config:
        return {key: deserialize(item, custom_objects, homes) for key, item in config.items()}
    with reading_part(config, "an object, with its class and module named by texts"):
        return _object(config, custom_objects, homes)


def deserialize_keras_object(
    config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True, **kwargs: Any
) -> Any:
    """The object a config describes. Code in it is never run, whatever `safe_mode` says.

    `module_objects`: classes and functions by name, which the config may name as well; a name alone stands for a
    function, or for an instance by the class' defaults, and stays a name where it is none of them.
    """
    known = kwargs.pop("module_objects", None)
    kwargs.pop("printable_module_name", None)  # for messages
    if kwargs:
        raise TypeError(f"deserialize_keras_object has no argument {next(iter(kwargs))!r}.")
    if known is not None:
        custom_objects = {**known, **(custom_objects or {})}
        if isinstance(config, str):
            found = registered_object(config, custom_objects)
            found = config if found is None else found
            return found() if isinstance(found, type) else found
    return deserialize(config, custom_objects)


def _object(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None, homes: tuple[str, ...]) -> Any:
    shared, read = config.get("shared_object_id"), _read.get()
    if read is not None and shared in read.shared:
        before, made = read.shared[shared]
        if any(config.get(key) != before.get(key) for key in ("class_name", "config")):  # an object's config is whole
            raise ValueError(f"Two different objects share the id {shared!r} in a config.")
        return made
    name, inner = config["class_name"], config.get("config")
    plain = _PLAIN.get(name)
    if plain is not None:
        return plain(inner)
    if config.get("module") == _TORCH and config.get("registered_name") is None:
        return _torch_nn().made_of(name, inner)
    if name in ("function", "class"):
        return _named_object(config, str(inner), custom_objects, homes)
    cls: Any = _named_object(config, str(name), custom_objects, homes)
    if not isinstance(cls, type):
        return cls
    theirs = home_of(cls) is None
    with reading_part(inner, f"the arguments of {cls.__name__}", theirs):
        if not hasattr(cls, "from_config"):
            return cls(**(inner or {}))
        # `from_config` of a nested object finds the caller's custom classes without every class passing them on.
        with custom_object_scope(custom_objects) if custom_objects else nullcontext():
            made = cls.from_config(dict(inner) if isinstance(inner, Mapping) else inner if inner is not None else {})
        build_config = config.get("build_config")
        if build_config and hasattr(made, "build_from_config") and not getattr(made, "_ready", True):
            with reading_part(build_config, f"the shapes that {cls.__name__} was built for", theirs):
                made.build_from_config(build_config)
    if read is not None:
        read.note(config, made)
    return made


def _named_object(config: Mapping[str, Any], name: str, custom_objects: Any, homes: tuple[str, ...]) -> Any:
    module, full = config.get("module"), config.get("registered_name", name)
    home = public_home(module)
    foreign = full is not None or home is None  # else one of Keras' own, which a class of yours does not replace
    if foreign:
        for key in (full, name):
            found = _exactly(key, custom_objects) if key else None
            if found is not None:
                return found
        if home is None and (found := _loaded_class(module, name)) is not None:
            return found
    anywhere = module == "builtins" and config["class_name"] == "function"
    for room in (home,) if home is not None else (*homes, *FUNCTION_HOMES) if anywhere else homes:
        found = find(name, room) if isinstance(name, str) else None
        if inspect.isclass(found) or (callable(found) and room in FUNCTION_HOMES):
            return found
    if foreign and (found := registered_object(name)) is not None:
        return found  # after Keras' own of that name, as there
    ends = [value for key, value in _registered.items() if key.endswith(f">{name}")] if anywhere else []
    if len(ends) == 1:  # Keras up to 3.6 wrote of functions the name alone, without the package
        return ends[0]
    if (found := _loaded_class(module, name)) is not None:
        return found
    raise TypeError(
        f"Unknown class or function {short(name)}"
        + (f" of module {short(module)}" if module else "")
        + " in a config. "
        f"Pass it as custom_objects={{{short(name)}: ...}} or decorate it with @register_keras_serializable()."
    )


def _loaded_class(module: Any, name: Any) -> type | None:
    """The class of this name that a loaded module derives from one of Lamina's. Nothing is imported for a config."""
    found = vars(sys.modules.get(module, object)).get(name) if isinstance(module, str) else None
    if not isinstance(found, type) or found.__module__ != module or home_of(found) is not None:
        return None
    return found if any(home_of(base) is not None for base in found.__mro__) else None


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "__lambda__": _lambda_of,
    "__tuple__": lambda config: tuple(deserialize(config["value"] if isinstance(config, Mapping) else config)),
    "__numpy__": lambda config: np.array(config["value"], dtype=_number_type(config["dtype"])),
    "__tensor__": lambda config: torch.tensor(config["value"], dtype=_tensor_type(config["dtype"])),
    "__slice__": lambda config: slice(*(deserialize(config[end]) for end in _ENDS)),
    "__bytes__": lambda config: str(config["value"]).encode(),
    "__ellipsis__": lambda config: Ellipsis,
}


def _number_type(name: str) -> np.dtype:
    """Raises ValueError for types whose values may be of any size, such as texts."""
    dtype = np.dtype(name)
    if dtype.kind not in "biufc":
        raise ValueError(f"A config holds an array of type {name!r}; expected numbers.")
    return dtype


def _tensor_type(name: Any) -> torch.dtype:
    found = getattr(torch, str(name), None)
    if not isinstance(found, torch.dtype):
        raise ValueError(f"A config holds a tensor of type {short(name)}; expected numbers.")
    return found


def lookup(identifier: Any, home: str, what: str, aliases: Mapping[str, str] | None = None) -> Any:
    """The object an argument stands for: a name, a config, a class or the object itself.

    Raises ValueError, naming the near misses, for an unknown name.
    """
    if isinstance(identifier, Mapping) and "class_name" in identifier:
        return deserialize(identifier, homes=(home,))
    if isinstance(identifier, Mapping):
        from ..translation.origin import is_lambda  # loaded where a file has such

        if is_lambda(identifier):
            return _lambda_of(identifier)
    if isinstance(identifier, str):
        found = _exactly(identifier)
        if found is None:
            found = find((aliases or {}).get(identifier, identifier), home) or registered_object(identifier)
        if found is None or not callable(found):
            raise ValueError(unknown_name(identifier, home, what))
        return found() if inspect.isclass(found) else found
    if inspect.isclass(identifier) and not issubclass(identifier, (Mapping, list, tuple, str, int, float)):
        return identifier()
    if callable(identifier) and not inspect.isclass(identifier):
        return identifier
    raise ValueError(f"Unknown {what} {short(identifier)}; expected a name, a config or a callable.")


def unknown_name(name: str, home: str, what: str) -> str:
    import difflib

    known = [n for n in dir(importlib.import_module(HOMES[home])) if find(n, home) is not None]
    near = difflib.get_close_matches(name, known, 3, 0.6)
    hint = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    return f"Unknown {what} {name!r}.{hint}"
