"""`keras.legacy.interfaces` of Keras 2: decorators that let functions and `__init__`s be called in older words."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...translation.keras1 import METHOD_WORDS, RENAMED, VALUES

_ORDERS = {old: VALUES["data_format"].modern(old) for old in ("th", "tf", "default")}
_WORDS = {**RENAMED, **METHOD_WORDS, "input": "inputs", "output": "outputs", "length": "size", "val_samples": "steps"}
_WORDS |= {"samples_per_epoch": "steps_per_epoch", "nb_val_samples": "validation_steps", "nb_worker": "workers"}
_WORDS |= {"pickle_safe": "use_multiprocessing", "max_q_size": "max_queue_size", "input_dtype": "dtype"}
_SIZES = ("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3")


def generate_legacy_interface(
    allowed_positional_args: Sequence[str] | None = None,
    conversions: Sequence[tuple[str, str]] | None = None,
    preprocessor: Callable | None = None,
    value_conversions: Mapping[str, Mapping[Any, Any]] | None = None,
    object_type: str = "class",
) -> Callable[[Callable], Callable]:
    """A decorator: keyword arguments are renamed by `conversions`, their values changed by `value_conversions`.

    preprocessor: makes (args, kwargs, converted) of (args, kwargs) first. The decorated function raises TypeError for
    more arguments by position than are allowed, and for one that is given in both words.
    """

    def decorate(function: Callable) -> Callable:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if preprocessor:
                args, kwargs, _ = preprocessor(args, kwargs)
            if allowed_positional_args is not None and len(args) > len(allowed_positional_args) + 1:
                raise TypeError(
                    f"{type(args[0]).__name__}: takes {', '.join(allowed_positional_args) or 'none'} by position; got "
                    f"{len(args) - 1} arguments."
                )
            for key, values in (value_conversions or {}).items():
                if key in kwargs and kwargs[key] in values:
                    kwargs[key] = values[kwargs[key]]
            for old, new in conversions or ():
                if old in kwargs:
                    if new in kwargs:
                        raise_duplicate_arg_error(old, new)
                    kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        vars(wrapper)["_original_function"] = function
        return wrapper

    return decorate


generate_legacy_method_interface = functools.partial(generate_legacy_interface, object_type="method")


def raise_duplicate_arg_error(old_arg: str, new_arg: str) -> None:
    raise TypeError(f"Got `{new_arg}` and, under its older name, `{old_arg}`; pass one of them.")


def recurrent_args_preprocessor(args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any], list]:
    """Keras 1's `forget_bias_init`, `input_dim` and `input_length` in Keras 2's words."""
    if kwargs.pop("forget_bias_init", None) == "one":
        kwargs["unit_forget_bias"] = True
    if "input_dim" in kwargs:
        kwargs["input_shape"] = kwargs.pop("input_length", None), kwargs.pop("input_dim")
    return args, kwargs, []


def _support(function: Callable) -> Callable:
    """The function, which also takes Keras 1's names of the arguments that it has."""
    own = inspect.signature(function).parameters
    renamed = [(old, new) for old, new in _WORDS.items() if old not in own and new in own]
    initializer = next((name for name in own if name.endswith("_initializer")), None)
    if initializer and "init" not in own and "kernel_initializer" not in own:
        renamed.append(("init", initializer))

    def joined(args: Any, kwargs: Any) -> Any:
        for sizes in _SIZES:
            if "kernel_size" in own and all(size in kwargs for size in sizes):
                kwargs["kernel_size"] = tuple(kwargs.pop(size) for size in sizes)
        return args, kwargs, []

    return generate_legacy_interface(None, renamed, joined, {"dim_ordering": _ORDERS})(function)


def find(name: str) -> Any:
    """What a name in the module means: all of `legacy_dense_support`, ... are one decorator."""
    if name.startswith("legacy_") and name.endswith("_support"):
        return _support
    found = globals().get(name)
    return found if name.startswith(("generate_legacy", "raise_", "recurrent_")) else None
