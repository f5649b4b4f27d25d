"""TensorFlow's functions as layers of tf.keras models, by their public names: `tf.math.multiply`, `tf.nn.relu_1`."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from .. import ops
from ..core import dtypes
from ..core.arrays import reversing_item
from ..core.layer import unique_name
from ..core.operation import Operation
from ..models.operations import of_torch
from ..translation import tf_functions
from .tensors import KerasTensor, sliced


class TFOpLambda(Operation):
    """One of TensorFlow's functions as a layer."""

    def __init__(self, function: Callable, name: str | None = None):
        self.public, self.words = known(function)
        super().__init__(function, name or (unique_name(f"tf.{self.public}") if self.public else None))

    def operation_config(self, args: tuple, kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], list, dict[str, Any]]:
        """The layer as tf.keras writes it, and the arguments of its call by TensorFlow's words. Raises ValueError for
        a function that it would not read."""
        if tf_functions.allowed(self.public) is None or len(args) > len(self.words):
            raise ValueError(
                f'Layer "{self.name}": the function {self.public or self.function!r} cannot be written into a config. '
                "Put a layer with get_config in its place, or save the weights alone."
            )
        own = {"name": self.name, "trainable": True, "dtype": self.dtype_policy.name, "function": self.public}
        given = {**dict(zip(self.words, args, strict=False)), **kwargs}
        given = {word: _plain(value) for word, value in given.items()}
        floats = any(isinstance(value, KerasTensor) and value.torch_dtype.is_floating_point for value in args)
        if args and type(args[0]) is int and floats:  # it was a tensor, of the other's type
            given[self.words[0]] = float(args[0])
        return {"class_name": type(self).__name__, "config": own}, [], {**given, "name": None}


class SlicingOpLambda(TFOpLambda):
    """`x[...]` as a layer."""

    def operation_config(self, args: tuple, kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], list, dict[str, Any]]:
        x, key = args
        described, _, _ = super().operation_config((x,), {})
        spec = [*map(_index, key)] if isinstance(key, (tuple, list)) else _index(key)
        return described, [], {"tensor": x, "slice_spec": spec}


def _index(key: Any) -> Any:
    if isinstance(key, (slice, tuple)):
        ends = key if isinstance(key, tuple) else (key.start, key.stop, key.step)
        return dict(zip(("start", "stop", "step"), map(_plain, ends), strict=True))
    return "..." if key is ... else _plain(key)


def _plain(value: Any) -> Any:
    def one(leaf: Any) -> Any:
        if isinstance(leaf, torch.dtype):
            return dtypes.dtype_name(leaf)
        return leaf.tolist() if isinstance(leaf, (torch.Tensor, np.ndarray, np.generic)) else leaf

    return pytree.tree_map(one, value)


@functools.cache
def _public() -> dict[Any, tuple[str, list[str]]]:
    """The public name and the words for arguments, by function and by what each stands on."""
    from . import tensorflow

    paths: dict[Any, list[str]] = {}
    for path, item in tensorflow.NAMES.items():
        if hasattr(item, "words"):
            for each in _behind(item):
                paths.setdefault(each, []).append(path)
    return {function: (tf_functions.public(of), tensorflow.NAMES[of[0]].words) for function, of in paths.items()}


def _behind(function: Any) -> Iterator[Any]:
    while function is not None:
        yield function
        function = getattr(function, "__wrapped__", None)


def known(function: Any) -> tuple[str, list[str]]:
    """TensorFlow's public name of a function, of ours or of torch, and its words for arguments; none for others."""
    from . import tensorflow

    if function in _OPERATORS:
        return _OPERATORS[function]
    word = of_torch(function)[0] or getattr(function, "__name__", "")
    meant = (*_behind(function), getattr(ops, word, None), tensorflow.NAMES.get(word))
    return next((_public()[each] for each in meant if each in _public()), ("", []))


_OPERATORS = {
    torch.add: ("__operators__.add", ["x", "y"]),
    torch.eq: ("__operators__.eq", ["self", "other"]),
    torch.ne: ("__operators__.ne", ["self", "other"]),
    **dict.fromkeys((operator.getitem, reversing_item, sliced), ("__operators__.getitem", ["tensor", "slice_spec"])),
}


def is_layer(function: object) -> bool:
    """Whether a function of the stand-in is one layer, whatever it is made of, and may stand in a config."""
    path, _ = known(function)
    return path not in _STATIC and tf_functions.allowed(path) is not None


_STATIC = ("compat.v1.shape", "compat.v1.size", "rank")  # these know what is known of a tensor themselves


def as_layer(function: Callable, name: str | None = None) -> TFOpLambda:
    """A layer of a function of symbolic tensors of tf.keras."""
    slicing = known(function)[0] == "__operators__.getitem"
    return _LAYERS[slicing](function, name)


_LAYERS: dict[bool, Callable[..., TFOpLambda]] = {True: SlicingOpLambda, False: TFOpLambda}
KerasTensor._as_layer, KerasTensor._is_layer = staticmethod(as_layer), staticmethod(is_layer)
