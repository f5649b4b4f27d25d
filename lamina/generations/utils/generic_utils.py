"""`keras.utils.generic_utils` of Keras 1 and 2: arguments, lists, functions and names of objects."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import CellType, FunctionType
from typing import Any

import numpy as np

from ... import utils
from ...core import functions, serialize
from ...legacy import saving
from ..dialect import Dialect


def has_arg(fn: Callable, name: str, accept_all: bool = False) -> bool:
    """Whether `fn` takes an argument by that name. accept_all: by `**kwargs`, too."""
    parameters = inspect.signature(fn).parameters
    if name not in parameters:
        return accept_all and any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    return parameters[name].kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def to_list(x: Any, allow_tuple: bool = False) -> list[Any]:
    """A list as it is, anything else as a list of one. allow_tuple: a tuple as a list of its items."""
    if isinstance(x, list):
        return x
    return list(x) if allow_tuple and isinstance(x, tuple) else [x]


def unpack_singleton(x: Sequence[Any]) -> Any:
    """The only item of a list or tuple, or all of it."""
    return x[0] if len(x) == 1 else x


def object_list_uid(object_list: Any) -> str:
    """A text that is the same for the same objects in the same order."""
    return ", ".join(str(abs(id(item))) for item in to_list(object_list, allow_tuple=True))


def is_all_none(iterable_or_element: object) -> bool:
    """Whether something, or each of a list's or tuple's items, is None."""
    return all(item is None for item in to_list(iterable_or_element, allow_tuple=True))


def slice_arrays(arrays: Any, start: Any = None, stop: int | None = None) -> Any:
    """Rows `start` to `stop` of an array, or of each of a list; `start` may be a list of rows. None stays None."""
    if arrays is None:
        return [None]
    if isinstance(arrays, list):
        return [None if array is None else _rows(array, start, stop) for array in arrays]
    return _rows(arrays, start, stop) if hasattr(start, "__len__") or hasattr(arrays, "__getitem__") else [None]


slice_X = slice_arrays  # Keras 1's name


def _rows(array: Any, start: Any, stop: int | None) -> Any:
    if not hasattr(start, "__len__"):
        return array[start:stop]
    return array[start.tolist() if isinstance(start, np.ndarray) and not isinstance(array, np.ndarray) else start]


def transpose_shape(shape: Sequence[Any], target_format: str, spatial_axes: Sequence[int]) -> tuple[Any, ...]:
    """A shape (batch, *space, channels) in a data format. Raises ValueError for another than the two."""
    if target_format == "channels_first":
        return (*shape[: spatial_axes[0]], shape[-1], *(shape[axis] for axis in spatial_axes))
    if target_format == "channels_last":
        return tuple(shape)
    raise ValueError(f'The data format must be "channels_first" or "channels_last"; got {target_format!r}.')


def check_for_unexpected_keys(name: str, input_dict: Mapping[str, Any], expected_values: Sequence[str]) -> None:
    """Raises KeyError for a key that is not expected."""
    unknown = set(input_dict).difference(expected_values)
    if unknown:
        raise KeyError(f"{name}: unknown {', '.join(sorted(unknown))}; expected {', '.join(expected_values)}.")


def make_tuple(*args: Any) -> tuple[Any, ...]:
    return args


# Functions ------------------------------------------------------------------------------------------------------------


def func_dump(func: Any) -> tuple[str, Any, Any]:
    """A function as (code, defaults, closure), of which `func_load` makes it again in the same process."""
    return functions.dump(func)


def func_load(code: Any, defaults: Any = None, closure: Any = None, globs: Any = None) -> FunctionType:
    """The function that `func_dump` wrote. globs: its global names, by default those that it had.

    Raises ValueError for code of another process: what a file holds is never run.
    """
    if isinstance(code, (tuple, list)):
        code, defaults, closure = code
    known = functions.known_functions(code)
    if not known:
        raise ValueError(
            "func_load: this code was not written by `func_dump` in this process, and code out of a file is not run. "
            "Define the function in your program and pass it in custom_objects."
        )
    cells = tuple(cell if isinstance(cell, CellType) else CellType(cell) for cell in closure or ())
    defaults = tuple(defaults) if isinstance(defaults, list) else defaults
    own = known[0].__globals__ if globs is None else globs
    return FunctionType(known[0].__code__, own, known[0].__name__, defaults, cells or None)


# Objects of names -----------------------------------------------------------------------------------------------------


def custom_object_scope(*args: Mapping[str, Any]) -> AbstractContextManager[None]:
    """Inside, names mean what the dictionaries say."""
    return serialize.custom_object_scope({name: item for one in args for name, item in one.items()})


CustomObjectScope = custom_object_scope


def serialize_keras_object(instance: Any) -> Any:
    """{"class_name": ..., "config": ...} of an object, the name of a function. Raises ValueError for anything else."""
    if instance is None:
        return None
    if hasattr(instance, "get_config"):
        return {"class_name": type(instance).__name__, "config": instance.get_config()}
    if hasattr(instance, "__name__"):
        return instance.__name__
    raise ValueError(f"Cannot write {instance!r} into a config; give its class a `get_config` method.")


def deserialize_keras_object(
    identifier: Any, module_objects: Any = None, custom_objects: Any = None, printable_module_name: str = "object"
) -> Any:
    """The object that a config or a name stands for in `module_objects`, such as `globals()`.

    Raises ValueError for one that is neither there nor in custom_objects.
    """
    if isinstance(identifier, str):  # of a class it is the class
        return saving.named(identifier, module_objects, custom_objects, printable_module_name)
    return saving.deserialize_keras_object(identifier, module_objects, custom_objects, printable_module_name)


def get_from_module(
    identifier: Any,
    module_params: Mapping[str, Any],
    module_name: str,
    instantiate: bool = False,
    kwargs: Mapping[str, Any] | None = None,
) -> Any:
    """What a name, or a dictionary of `name` and arguments, stands for in a module (Keras 1).

    Raises ValueError for a name that is neither there nor a custom object.
    """
    if isinstance(identifier, Mapping):
        kwargs = dict(identifier)
        identifier, instantiate = kwargs.pop("name"), True
    if not isinstance(identifier, str):
        return identifier
    found = serialize.registered_object(identifier) or module_params.get(identifier)
    if not found:
        raise ValueError(f"Unknown {module_name}: {identifier!r}.")
    return found(**(kwargs or {})) if instantiate else found


class MeanProgbar(utils.Progbar):
    """As today's; what it shows at the end is a mean, too."""

    _last_alone = False


class Progbar(MeanProgbar):
    """`force` shows a step at once."""

    def update(self, current: int, values: Any = None, force: bool = False) -> None:
        if force:
            self.interval = 0
        super().update(current, values)


# Steps of the training ------------------------------------------------------------------------------------------------


def make_batches(size: int, batch_size: int) -> list[tuple[int, int]]:
    """Where batches of that size start and end."""
    return [(start, min(size, start + batch_size)) for start in range(0, size, batch_size)]


def batch_shuffle(index_array: np.ndarray, batch_size: int) -> np.ndarray:
    """Indices in another order, in which those of one batch stay together; what fills no batch stays at the end."""
    whole = len(index_array) // batch_size * batch_size
    batches = np.random.permutation(index_array[:whole].reshape(-1, batch_size))
    return np.append(batches.reshape(-1), index_array[whole:])


def is_sequence(seq: object) -> bool:
    """Whether it is a dataset of whole batches."""
    return isinstance(seq, utils.PyDataset)


def is_generator_or_sequence(x: object) -> bool:
    return inspect.isgenerator(x) or is_sequence(x)


def iter_sequence_infinite(seq: Any) -> Any:
    """The batches of a dataset, over and over."""
    while True:
        yield from seq


def should_run_validation(validation_freq: Any, epoch: int) -> bool:
    """Whether epoch (from 0) is validated: every `validation_freq` epochs, or those that a list names (from 1)."""
    return (epoch + 1) % validation_freq == 0 if isinstance(validation_freq, int) else epoch + 1 in validation_freq


def clip_norm(g: Any, c: float, n: Any) -> Any:
    """A gradient of norm `n` scaled to the norm `c`, where it is longer; a `c` of 0 leaves it."""
    import torch

    return torch.where(torch.as_tensor(n) >= c, g * c / n, g) if c > 0 else g


def optimizer_from_config(dialect: Dialect, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
    """The optimizer of {"class_name": ..., "config": ...} (Keras 1)."""
    with serialize.custom_object_scope(custom_objects or {}):
        return dialect.get("optimizers", config)
