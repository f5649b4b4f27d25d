"""Array functions recorded in a model, under the names Keras 3 gives them in a config.

A config names an operation by its class ("Sum"), keeps the tensors among the call's arguments and the rest ("axis")
in the operation's own config. Only what this table lists is ever written or made from a config.
"""

from __future__ import annotations

import inspect
import itertools
import operator
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core import dtypes, serialize, symbolic
from ..core.errors import named
from ..core.layer import snake_case
from ..core.operation import Operation

# Keras' modules of operations, by Lamina's; all others are Keras' `numpy`.
_KERAS_ROOMS = {"nn": "nn", "linalg": "linalg", "math": "math", "image": "image"}


class _Entry(NamedTuple):
    room: str  # Keras' module of the class
    function: Any
    tensors: int  # how many leading arguments belong to the call
    options: Mapping[str, str]  # Keras' option -> the function's argument, in the function's order
    gathers: bool = False  # the first option may come as several arguments: x.reshape(2, 3)


def _same(room: str, tensors: int, functions: Mapping[str, Any], **options: str) -> dict[str, _Entry]:
    return {name: _Entry(room, function, tensors, options) for name, function in functions.items()}


_AXES = {"axis": "dim", "keepdims": "keepdim"}
_ENTRIES: dict[str, _Entry] = {
    **_same(
        "numpy",
        2,
        {
            "Add": operator.add,
            "Subtract": operator.sub,
            "Multiply": operator.mul,
            "TrueDivide": operator.truediv,
            "Divide": torch.divide,
            "FloorDivide": operator.floordiv,
            "Mod": operator.mod,
            "Power": operator.pow,
            "Matmul": operator.matmul,
            "GetItem": operator.getitem,
            "Maximum": torch.maximum,
            "Minimum": torch.minimum,
            "Equal": torch.eq,
            "NotEqual": torch.ne,
            "Less": torch.lt,
            "LessEqual": torch.le,
            "Greater": torch.gt,
            "GreaterEqual": torch.ge,
            "LogicalAnd": torch.logical_and,
            "LogicalOr": torch.logical_or,
            "LogicalXor": torch.logical_xor,
            "BitwiseAnd": torch.bitwise_and,
            "BitwiseOr": torch.bitwise_or,
            "BitwiseXor": torch.bitwise_xor,
            "Arctan2": torch.arctan2,
        },
    ),
    **_same(
        "numpy",
        1,
        {
            "Absolute": torch.abs,
            "Negative": torch.neg,
            "Exp": torch.exp,
            "Expm1": torch.expm1,
            "Log": torch.log,
            "Log1p": torch.log1p,
            "Log2": torch.log2,
            "Log10": torch.log10,
            "Sqrt": torch.sqrt,
            "Square": torch.square,
            "Reciprocal": torch.reciprocal,
            "Sin": torch.sin,
            "Sinh": torch.sinh,
            "Cos": torch.cos,
            "Cosh": torch.cosh,
            "Tan": torch.tan,
            "Tanh": torch.tanh,
            "Arcsin": torch.arcsin,
            "Arccos": torch.arccos,
            "Arctan": torch.arctan,
            "Sign": torch.sign,
            "Floor": torch.floor,
            "Ceil": torch.ceil,
            "Isnan": torch.isnan,
            "Isinf": torch.isinf,
            "Isfinite": torch.isfinite,
            "LogicalNot": torch.logical_not,
            "OnesLike": torch.ones_like,
            "ZerosLike": torch.zeros_like,
            "Ravel": torch.ravel,
        },
    ),
    **_same(
        "nn",
        1,
        {
            "Relu": torch.relu,
            "Relu6": F.relu6,
            "Sigmoid": torch.sigmoid,
            "Softplus": F.softplus,
            "Softsign": F.softsign,
            "Silu": F.silu,
            "Selu": torch.selu,
            "LogSigmoid": F.logsigmoid,
        },
    ),
    **_same("nn", 1, {"Softmax": torch.softmax, "LogSoftmax": torch.log_softmax}, axis="dim"),
    **_same("math", 1, {"Rsqrt": torch.rsqrt, "Erf": torch.erf}),
    **_same(
        "numpy",
        1,
        {"Sum": torch.sum, "Mean": torch.mean, "Prod": torch.prod, "Any": torch.any, "All": torch.all},
        **_AXES,
    ),
    **_same("numpy", 1, {"Max": torch.amax, "Min": torch.amin}, **_AXES),
    **_same("numpy", 1, {"Argmax": torch.argmax, "Argmin": torch.argmin}, **_AXES),
    **_same("numpy", 1, {"Concatenate": torch.cat, "Stack": torch.stack, "Cumsum": torch.cumsum}, axis="dim"),
    **_same("numpy", 1, {"ExpandDims": torch.unsqueeze, "Squeeze": torch.squeeze}, axis="dim"),
    **_same("numpy", 1, {"Swapaxes": torch.swapaxes}, axis1="axis0", axis2="axis1"),
    **_same("numpy", 1, {"Moveaxis": torch.moveaxis}, source="source", destination="destination"),
    **_same("numpy", 1, {"Clip": torch.clamp}, x_min="min", x_max="max"),
    **_same("core", 1, {"Cast": Tensor.to}, dtype="dtype"),
    "Where": _Entry("numpy", torch.where, 3, {}),
    "Reshape": _Entry("numpy", torch.reshape, 1, {"newshape": "shape"}, gathers=True),
    "Transpose": _Entry("numpy", torch.permute, 1, {"axes": "dims"}, gathers=True),
    "Flip": _Entry("numpy", torch.flip, 1, {"axis": "dims"}, gathers=True),
}
# Further names of the same functions, in torch and its tensors' methods.
_ALIASES = {
    "sub": "Subtract",
    "subtract": "Subtract",
    "mul": "Multiply",
    "multiply": "Multiply",
    "true_divide": "TrueDivide",
    "div": "TrueDivide",
    "floor_divide": "FloorDivide",
    "remainder": "Mod",
    "absolute": "Absolute",
    "negative": "Negative",
    "greater": "Greater",
    "greater_equal": "GreaterEqual",
    "less": "Less",
    "less_equal": "LessEqual",
    "not_equal": "NotEqual",
    "concat": "Concatenate",
    "concatenate": "Concatenate",
    "view": "Reshape",
    "clip": "Clip",
    "transpose": "Swapaxes",
}
_BY_NAME = {entry.function.__name__: name for name, entry in _ENTRIES.items()} | _ALIASES
_ROOMS = (operator, torch, Tensor, F)


def operation_config(operation: Operation, args: tuple, kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], tuple]:
    """An operation as Keras 3 writes it, and the arguments that belong to its call. Raises ValueError for others."""
    if str(getattr(operation.function, "__module__", "")).startswith("lamina.ops."):
        return _op_config(operation, args, kwargs)
    function = operation.function
    word = getattr(function, "__name__", "")
    name = _BY_NAME.get(word)
    if name is None or all(getattr(room, word, None) is not function for room in _ROOMS):
        raise ValueError(
            f"{named(operation)}: the function {word or function!r} cannot be written into a config. "
            "Put a layer with get_config in its place, or save the weights alone."
        )
    entry = _ENTRIES[name]
    given = list(args[entry.tensors :])
    if entry.gathers and len(given) > 1:
        given = [tuple(given)]
    keras_names = {argument: option for option, argument in entry.options.items()}
    keras_names |= {"axis": "axis"} if "axis" in entry.options else {}
    known = len(given) <= len(entry.options) and set(kwargs) <= set(keras_names)
    options = dict(zip(entry.options, given, strict=False)) if known else {}
    options |= {keras_names[argument]: value for argument, value in kwargs.items() if known}
    if name == "Cast" and not isinstance(options.get("dtype"), torch.dtype):
        known = False
    if not known:
        raise ValueError(
            f"{named(operation)}: arguments of {word!r} that Keras has no name for cannot be written into a config. "
            f"It knows {', '.join(entry.options) or 'none beside the tensors'}."
        )
    config = {
        "module": f"keras.src.ops.{entry.room}",
        "class_name": name,
        "config": {"name": operation.name, **serialize.serialize(options)},
        "registered_name": name,
    }
    return config, args[: entry.tensors]


def _op_config(operation: Operation, args: tuple, kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], tuple]:
    """A function of `lamina.ops`: leading arguments with tensors belong to the call, the rest by name to the config."""
    function = operation.function
    given = inspect.signature(function).bind(*args, **kwargs).arguments
    tensors = [*itertools.takewhile(symbolic.any_symbolic, given.values())]
    options = dict(itertools.islice(given.items(), len(tensors), None))
    config = {
        "module": f"keras.src.ops.{_KERAS_ROOMS.get(function.__module__.rpartition('.')[2], 'numpy')}",
        "class_name": "".join(part[:1].upper() + part[1:] for part in function.__name__.split("_")),
        "config": {"name": operation.name, **serialize.serialize(options)},
    }
    return {**config, "registered_name": config["class_name"]}, tuple(tensors)


def _public_op(class_name: str) -> Any:
    """The function of `lamina.ops` for Keras' class of an operation, else None."""
    from .. import ops

    found = getattr(ops, snake_case(class_name), None)
    return found if getattr(found, "__module__", "").startswith("lamina.ops.") else None


def is_operation(config: Mapping[str, Any]) -> bool:
    """Whether a layer's entry in a config is an operation: by its module, or in files without, by what it lacks."""
    module = config.get("module")
    if isinstance(module, str):
        return module.startswith(("keras.src.ops.", "keras.ops"))
    return config.get("class_name") in _ENTRIES and "trainable" not in config.get("config", {})


class StoredOperation:
    """An operation read from a config: each call records one. Raises ValueError for one the table does not list."""

    def __init__(self, config: Mapping[str, Any]):
        options = dict(config["config"])
        self.name = options.pop("name", None)
        given = {option: value for option, value in options.items() if value is not None}
        entry = _ENTRIES.get(config["class_name"])
        if entry is None or not entry.options.keys() <= given.keys():  # torch's function may have another default
            function = _public_op(config["class_name"])
            if function is not None:
                names = {name: name for name in inspect.signature(function).parameters}
                entry = _Entry("numpy", function, 1, names)
        unknown = [] if entry is None else sorted(set(given) - set(entry.options))
        if entry is None or unknown:
            what = config["class_name"] + (f" with {', '.join(unknown)}" if unknown else "")
            raise ValueError(f"Operation {self.name!r}: {what} is not among the operations that can be loaded.")
        self.function, self.indexes = entry.function, entry.function is operator.getitem
        self.kwargs = {entry.options[option]: _plain(option, value) for option, value in given.items()}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.indexes and isinstance(args[1], list):
            args = (args[0], tuple(args[1]))
        return Operation(self.function, name=self.name)(*args, **kwargs, **self.kwargs)


def _plain(option: str, value: Any) -> Any:
    if option == "dtype":
        return dtypes.torch_dtype(value)
    return tuple(value) if isinstance(value, list) else value
