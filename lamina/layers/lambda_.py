"""Any function as a layer, and the masking of steps."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core import functions, serialize
from ..core.declare import Kind, Refused, arg, as_integer, listed, mapping, number
from ..core.devices import here
from ..core.layer import Layer
from ..core.symbolic import is_shape, map_shapes
from .activation import _Elementwise

__all__ = ["Lambda", "Masking"]


def function_of(value: Any, owner: Any, part: str = "function") -> Any:
    """The function that stands in a config: by its name, by its description, or as code, which is rebuilt.

    `custom_objects` may have another one in the place of code: under the layer's name, or behind that the `part`.
    """
    if isinstance(value, Mapping):
        if value.get("class_name") == "__lambda__":
            name = owner._given_name or ""
            key = name if part == "function" else f"{name}.{part}"
            given = serialize.registered_object(key)
            if given is not None:
                return given
            return functions.rebuilt(value.get("config"), key, f'{type(owner).__name__} "{name}": its `{part}`')
        found = serialize.deserialize(value)
        if not callable(found):
            raise Refused
        return found
    if isinstance(value, str):
        found = serialize.registered_object(value)
        if found is None:
            raise ValueError(
                f"{type(owner).__name__}: `{part}` {value!r} is unknown; pass it in custom_objects={{{value!r}: ...}}."
            )
        return found
    if not callable(value):
        raise Refused
    return value


def _dump_function(function: Any) -> Any:
    """A named function by its name; a lambda as Keras 3 writes it, so that Keras can read the file."""
    if isinstance(function, functions.Rebuilt):
        return dump_code(function)
    if getattr(function, "__name__", "") != "<lambda>":
        functions.note(function)
        return serialize.serialize(function)
    return dump_code(function)


def dump_code(function: Any) -> dict[str, Any]:
    if isinstance(function, functions.Rebuilt):
        return function.described()
    from ..translation import bytecode

    return bytecode.described(*functions.dump(function))


_code = Kind("a function", function_of, dump=_dump_function, bad=(3.5, None), error=TypeError)


def _mask_or_function(value: Any, owner: Any) -> Any:
    if isinstance(value, Mapping) and value.get("class_name") in ("__tensor__", "__numpy__"):
        value = serialize.deserialize(value)
    return value if value is None or hasattr(value, "shape") else function_of(value, owner, "mask")


def _sizes(value: Any, owner: Any) -> Any:
    if value is None or (callable(value) and not inspect.isclass(value)):
        return value
    if isinstance(value, Mapping):
        return function_of(value, owner, "output_shape")
    for size in listed(value):
        if size is not None and not isinstance(size, (list, tuple)):
            as_integer(size)
    return value


_mask = Kind(
    "a mask or a function",
    _mask_or_function,
    bad=(3.5,),
    dump=lambda v: _dump_function(v) if callable(v) else serialize.serialize(v),
)
_shape = Kind(
    "a tuple of sizes or a function",
    _sizes,
    dump=lambda v: _dump_function(v) if callable(v) else v,
    bad=(3.5, "wide", (2.5,)),
    error=TypeError,
)


def _more(value: Any, owner: Any) -> dict[str, Any]:
    """Arguments; arrays as configs describe them are arrays."""
    given = {} if value is None else mapping.convert(value, owner)
    described = {key: each for key, each in given.items() if isinstance(each, Mapping) and "class_name" in each}
    return given | {key: serialize.deserialize(each) for key, each in described.items()}


_arguments = Kind(mapping.expected, _more, dump=serialize.serialize, bad=(3,))


class Lambda(Layer):
    """Runs `function(inputs, **arguments)`.

    output_shape: the shape without the batch axis, or a function of the input's shape; found by running where not
    given. mask: the mask of the output, or a function (inputs, mask). A function that takes `mask` or `training` is
    given them. Loading never runs code from a file: a lambda is read as data and rebuilt of known operations where all
    of it is known, as `summary` says.
    """

    function: Any = arg(_code, doc="What to run.")
    output_shape: Any = arg(_shape, default=None, config="set", attribute="_output_shape", doc="Its output's shape.")
    mask: Any = arg(_mask, default=None, config="set", doc="Its output's mask.")
    arguments: dict = arg(_arguments, default=None, doc="More arguments for it.")

    _keeps_dtype = True

    @property
    def _remark(self) -> str:
        """What `summary` says beside the class."""
        return "rebuilt" if isinstance(self.function, functions.Rebuilt) else ""

    def check(self) -> None:
        try:
            parameters = inspect.signature(self.function).parameters
        except (TypeError, ValueError):
            parameters = {}
        names = {name for name in ("mask", "training") if name in parameters and name not in self.arguments}
        vars(self).update(_wanted=names, _creates_mask=self.mask is not None, supports_masking=self.mask is not None)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None, safe_mode: bool | None = None) -> Any:
        """Code in a config is never run, whatever `safe_mode` says."""
        with serialize.custom_object_scope(custom_objects or {}):
            return super().from_config(config)

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        extra = {name: value for name, value in (("mask", mask), ("training", training)) if name in self._wanted}
        return self.function(inputs, **self.arguments, **extra)

    def compute_output_shape(self, input_shape: Any) -> Any:
        given = self._output_shape
        if given is None:
            return super().compute_output_shape(input_shape)
        if callable(given):
            return given(input_shape)
        first = input_shape if is_shape(input_shape) else input_shape[0]
        return map_shapes(lambda shape: (first[0], *shape), given)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        from ..core import symbolic

        if self._output_shape is None:
            return symbolic.run_beside_known_sizes(self.call, args, kwargs, self)
        return symbolic.infer(self, args, kwargs)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.mask(inputs, mask) if callable(self.mask) else self.mask


class Masking(_Elementwise):
    """Masks the steps all of whose features equal `mask_value`, and sets them to 0. Input (batch, steps, features)."""

    mask_value: Any = arg(number(), default=0.0, doc="What marks padding.")

    _creates_mask = True
    _stacks = False

    def call(self, inputs: Tensor) -> Tensor:
        return inputs * torch.any(torch.ne(inputs, self.mask_value), -1, keepdim=True)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        values = here(torch.from_numpy(inputs)) if isinstance(inputs, np.ndarray) else inputs
        return torch.any(torch.ne(values, self.mask_value), -1)
