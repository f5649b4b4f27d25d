"""What users derive their own classes from in older generations, and what stands beside the tables of layers: `Layer`,
`Wrapper`, `Merge`, `Input`, `merge`."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor
from torch.utils import _pytree as pytree

from .. import layers as modern_layers
from ..core import serialize
from ..core.layer import InputSpec, Layer
from ..core.symbolic import any_symbolic
from ..layers.input import InputLayer
from ..layers.old import AllMasks
from ..metrics import Metric
from ..translation.words import words
from . import shim
from .additions import Adds
from .dialect import CountsOthers, Dialect
from .functions import KerasTensor
from .habits import of_older
from .tensors import places_of_symbols


def _reaching(cls: Any) -> type:
    """The class, whose `call` has the values of symbolic tensors in place of them while it runs."""
    call = cls.call

    def reach(self: Any, *args: Any, _outside: Mapping[str, Any] | None = None, **kwargs: Any) -> Any:
        before = {name: self._places[name][0]() for name in _outside or ()}
        try:
            for name, value in (_outside or {}).items():
                self._places[name][1](value)
            return call(self, *args, **kwargs)
        finally:
            for name, value in before.items():
                self._places[name][1](value)

    signature = inspect.signature(call)
    words = {
        **signature.parameters,
        "_outside": inspect.Parameter("_outside", inspect.Parameter.KEYWORD_ONLY, default=None),
    }
    told: Any = reach
    told.__signature__ = signature.replace(parameters=sorted(words.values(), key=lambda word: word.kind))
    return type(cls.__name__, (cls,), {"call": reach, "__module__": cls.__module__, "__qualname__": cls.__qualname__})


class _UserLayer(Adds, Layer):
    """Base class of a user's own layers."""

    _dialect: Dialect
    _grows_in_calls = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._has_shape_rule = cls.compute_output_shape is not _UserLayer.compute_output_shape

    def __init__(self, **kwargs: Any):
        input_dtype = kwargs.pop("input_dtype", None)
        super().__init__(**kwargs)
        if input_dtype is not None:
            self.input_dtype = input_dtype

    def _next_name(self) -> str:
        return self._dialect.unique_name(type(self).__name__) or super()._next_name()

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """What it was given: users' `call` asks for it."""
        return inputs

    def compute_output_shape(self, *args: object, **kwargs: object) -> Any:
        """What a user's own rule of Keras 1 and 2 goes on from is the shape of the input."""
        own = self._has_shape_rule and not self._dialect.table.shares_modern
        return args[0] if own else super().compute_output_shape(*args, **kwargs)

    def get_output_shape_for(self, input_shape: object) -> Any:
        return _UserLayer.compute_output_shape(self, input_shape)

    def _call_with_care(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Symbolic tensors that the layer's methods name, which a static graph had, are inputs, too."""
        if not self._dialect.table.shares_modern and any_symbolic(args) and (places := places_of_symbols(self)):
            if not hasattr(self, "_places"):
                object.__setattr__(self, "__class__", _reaching(type(self)))
            self.__dict__["_places"] = self.__dict__.get("_places", {}) | places
            kwargs = {**kwargs, "_outside": {name: get() for name, (get, _) in places.items()}}
        return super()._call_with_care(args, kwargs)

    @property
    def weights(self) -> list[Any]:
        """Those that are trained come first."""
        found = super().weights
        if self._dialect.table.lists_weights or not self._trainable:
            return found
        return sorted(found, key=lambda weight: not weight.requires_grad)

    def get_config(self) -> dict[str, Any]:
        base: dict[str, Any] = {"name": self.name, "trainable": self.trainable}
        if self.__dict__.get("_batch_shape") is not None:
            base["batch_input_shape"] = self.batch_input_shape
        base |= {"dtype": self.dtype_policy.name} if self._dialect.table.writes_dtype else {}
        captures = self._owns_init and self._dialect.table.shares_modern
        return self._captured(base) if captures and type(self).get_config is _UserLayer.get_config else base

    def _captured(self, base: dict[str, Any]) -> dict[str, Any]:
        """With what a user's own `__init__` was told, where all of it is plain; `base` alone otherwise."""
        args, kwargs = self._init_arguments
        accepted = inspect.getfullargspec(type(self).__init__)
        told = {**kwargs, **dict(zip(accepted.args[1:], args, strict=False))}
        if not all(isinstance(one, (str, bool, int, float, type(None))) for one in pytree.tree_leaves(told)):
            return base
        if accepted.varkw is None:
            base = {key: value for key, value in base.items() if key in accepted.args}
        return base | told


class _MergeWords(AllMasks, _UserLayer):
    """Base class of a user's own layers of several inputs: what they give is `_merge_function(inputs)`, and its shape
    that of the inputs' sum."""

    supports_masking = True

    def _merge_function(self, inputs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs a method `_merge_function`.")

    def call(self, inputs: Any) -> Any:
        return self._merge_function(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return modern_layers.Add().compute_output_shape(input_shape)


def merge_base(dialect: Dialect, name: str) -> Any:
    """`_Merge`, the base class of merging layers (Keras 2)."""
    return type(name, (_MergeWords,), _of_users(dialect, _MergeWords)) if name == "_Merge" else None


def _of_users(dialect: Dialect, base: type) -> dict[str, Any]:
    """What a class that users derive theirs from has of its own."""
    members = {"__module__": dialect.module("layers"), "_dialect": dialect, "__doc__": base.__doc__}
    return members | of_older(dialect.table)


def special(dialect: Dialect, name: str) -> Any:
    """What is no layer of a table: base classes, Input, merge."""
    module = dialect.module("layers")
    if name == "InputSpec":
        return InputSpec
    if name == "Layer":
        counted = Layer if dialect.table.lists_weights else (Layer, Metric)  # metrics were layers
        cls: Any = CountsOthers(name, (_UserLayer,), {**_of_users(dialect, _UserLayer), "_instances_of": counted})
    elif name == "Wrapper":  # such as TimeDistributed
        kin = {"_instances_of": modern_layers.Wrapper, "_kin": ("Bidirectional", "SpectralNormalization")}
        cls = CountsOthers(name, (_WrapperWords,), {**_of_users(dialect, _WrapperWords), **kin})
    elif name == "InputLayer":
        members = {"__module__": module, "_dialect": dialect, "_home": module, "__doc__": InputLayer.__doc__}
        members |= {"_symbol": KerasTensor} if dialect.table.shares_modern else {}
        cls = type(name, (_InputWords, InputLayer), members)
    else:
        return (_merge if name == "merge" else _input)(dialect)
    cls.__signature__ = words(dialect.table, "layers", name).signature
    return cls


class _WrapperWords(_UserLayer):
    """Base class of a user's own layers around one."""

    def _listed_weights(self) -> list[Any]:
        """Without those that were added to the layer inside, which lists them."""
        inside = {id(weight) for weight in self.layer.weights}
        return [weight for weight in super()._listed_weights() if id(weight) not in inside]

    def __init__(self, layer: Any, **kwargs: Any):
        self.layer = layer
        super().__init__(**kwargs)

    def build(self, input_shape: Any = None) -> None:
        self.supports_masking = self.layer.supports_masking
        if input_shape is not None and not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True
        super().build(input_shape)

    def get_config(self) -> dict[str, Any]:
        described = {"class_name": type(self.layer).__name__, "config": config_in_file(self.layer)}
        return {"layer": described, **super().get_config()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
        layer = cls._dialect.from_config(config["layer"], custom_objects)
        return cls(layer, **{key: value for key, value in config.items() if key != "layer"})


class _InputWords(Adds):
    _dialect: Dialect
    batch_shape: Any

    @property
    def batch_input_shape(self) -> Any:
        return self.batch_shape

    @batch_input_shape.setter
    def batch_input_shape(self, shape: Iterable[int | None]) -> None:
        """What configs say from now on; nothing changes in a model that is made already."""
        self.batch_shape = tuple(shape)

    def __init__(self, *args: Any, **kwargs: Any):
        own = words(self._dialect.table, "layers", "InputLayer")
        self._init_modern(own.to_modern(own.bind(args, kwargs), {}))

    def _init_modern(self, modern: dict[str, Any]) -> None:
        modern["name"] = modern.get("name") or self._dialect.unique_name("Input")
        tensor = modern.pop("tensor", None)
        tensor = modern.get("input_tensor") if tensor is None else tensor
        if isinstance(tensor, Tensor) and not self._dialect.table.shares_modern:
            given = {"batch_shape": tuple(tensor.shape), "dtype": tensor.dtype, "shape": None, "batch_size": None}
        else:
            given = {"input_tensor": tensor}
        super().__init__(**{key: value for key, value in {**modern, **given}.items() if value is not None})
        if "batch_shape" in given:
            self.__dict__["_held"] = tensor

    def get_config(self) -> dict[str, Any]:
        table = self._dialect.table
        dtype = "dtype" if table.writes_dtype else "input_dtype"
        config = {"batch_input_shape": self.batch_shape, dtype: self.dtype, "sparse": self.sparse, "name": self.name}
        return {**config, "ragged": self.ragged} if table.writes_modules else config


def _input(dialect: Dialect) -> Any:
    own = words(dialect.table, "layers", "Input")

    def function(*args: Any, **kwargs: Any) -> Any:
        given = own.bind(args, kwargs)
        if given.get("batch_shape") is not None and not dialect.table.shares_modern:
            given.pop("shape", None)  # both may be told
        if dialect.table.shares_modern and isinstance(given.get("shape"), int):  # one axis, which tf.keras took alone
            given["shape"] = (given["shape"],)
        tensor = given.get("tensor")
        if tensor is not None and getattr(tensor, "node", None) is not None:
            return tensor
        cls = dialect.find("layers", "InputLayer")
        made = cls.__new__(cls)
        made._init_modern(own.to_modern(given, {}))
        return made._nodes[0].outputs

    function.__doc__ = modern_layers.Input.__doc__
    return shim.named_function(function, dialect.module("layers"), own)


def _merge(dialect: Dialect) -> Any:
    own = words(dialect.table, "layers", "merge")

    def merge(*args: Any, **kwargs: Any) -> Any:
        """A Merge layer called on the inputs."""
        given = own.bind(args, kwargs)
        inputs = given.pop("inputs")
        return dialect.find("layers", "Merge")(**given)(inputs)

    return shim.named_function(merge, dialect.module("layers"), own)


def merge_of_keras1(dialect: Dialect, inputs: Any, mode: Any = "sum", **options: Any) -> Any:
    """A Merge layer called on the inputs, as `keras.legacy.layers` of Keras 2 has it."""
    return dialect.find("layers", "Merge")(mode=mode, **options)(inputs)


def config_in_file(layer: Any) -> Any:
    """Of a layer inside of another one or a model."""
    config = layer.get_config()
    serialize.check_arguments(layer, config)
    return config
