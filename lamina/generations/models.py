"""Models and base classes in the words of older generations."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from torch.utils import _pytree as pytree

from .. import files
from .. import layers as modern_layers
from ..core import serialize
from ..core.errors import named, warn
from ..core.graph import Graph
from ..core.layer import InputSpec, Layer
from ..layers.input import InputLayer
from ..layers.old import MergeByMode
from ..models import Model, Sequential
from ..models.functional import Functional
from ..models.graph_config import graph_config, graph_from_config
from ..models.sequential import called_in_turn
from ..translation.words import method_arguments, words
from . import shim
from .additions import Adds, AddsBeside
from .dialect import Dialect, model_from


def find(dialect: Dialect, name: str) -> Any:
    """A model class of a generation, or what reads one's config; None for anything else."""
    if name == "Sequential":
        return _class(dialect, name, _Sequential, Sequential)
    if name == "Model":
        return _class(dialect, name, _AnyModel, Model)
    if name == "Functional":
        cls = _class(dialect, "Model", _Functional, Functional, dialect.find("models", "Model"))
        cls.__qualname__ = name  # where pickle finds it
        return cls
    if name not in ("model_from_config", "model_from_json"):
        return None

    def load(config: Any, custom_objects: Any = None) -> Any:
        """The model that `to_json` (or `get_config` beside its class) described, as its writer computed it."""
        return model_from(json.loads(config) if isinstance(config, str) else config, custom_objects, dialect)

    return load


def _class(dialect: Dialect, name: str, *bases: type) -> type:
    module = dialect.module("models")
    return type(name, bases, {"__module__": module, "_home": module, "_dialect": dialect})


def _by_steps(given: dict[str, Any], data: str, samples: str, steps: str = "steps") -> dict[str, Any]:
    """Keras 1 counted samples of a generator: as many batches, by the size of the first one."""
    count = given.pop(samples, None)
    if count is None or not isinstance(given.get(data), Iterator):
        return given
    first = next(given[data])
    size = len(pytree.tree_leaves(first)[0])
    return {**given, data: itertools.chain([first], given[data]), steps: -(-count // size)}


class _Compiled:
    """What was trainable at `compile`: layers frozen or thawed since then count from the next `compile` on."""

    def __init__(self, model: Any):
        self._flags = [(layer, layer.trainable) for layer in model._flat_layers()]
        self._told = False

    def changed(self) -> list[tuple[Any, bool]]:
        """Layers whose `trainable` was set since, and what it was."""
        return [(layer, flag) for layer, flag in self._flags if layer.trainable is not flag]

    @contextmanager
    def holds(self) -> Iterator[None]:
        """Inside, layers are trainable as they were then."""
        changed = self.changed()
        for layer, flag in changed:
            layer._set_own_trainable(flag)
        try:
            yield
        finally:
            for layer, flag in changed:
                layer._set_own_trainable(not flag)

    def tell(self, model: Any) -> None:
        """Warn, once, where `trainable` was set since."""
        changed = [] if self._told else self.changed()
        if changed:
            self._told = True
            names = ", ".join(layer.name for layer, _ in changed[:3])
            warn(
                f"{named(model)}: `trainable` of {names}{', ...' if len(changed) > 3 else ''} was set after `compile`, "
                "and training goes by what it was then, as the two halves of a GAN need it. For the change to count "
                "here, compile this model again."
            )


_Model: Any = object  # the modern class, which comes behind in the classes made
_ENDINGS = (".h5", ".hdf5", ".keras", ".safetensors", ".weights.json")


def _told(options: dict[str, Any]) -> dict[str, Any]:
    """What says something: the name says the format, and how TensorFlow writes is its own matter."""
    return {key: value for key, value in options.items() if key not in ("options", "save_format") and value is not None}


class _ModelWords(Adds):
    """The methods of models in the words of a generation."""

    _dialect: Dialect
    _compile_keeps = False
    _compiled_trainable: _Compiled | None = None

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As today's, with the generation's own optimizers behind their names."""
        given = self._modern("compile", args, kwargs)
        given["optimizer"] = self._dialect.get("optimizers", given["optimizer"])
        metrics = given.get("metrics")
        if isinstance(metrics, list) and not any(isinstance(metric, (list, tuple)) for metric in metrics):
            count = len(getattr(self, "outputs", None) or [None])
            given["metrics"] = [list(metrics) for _ in range(count)] if count > 1 else metrics  # of every output
        if self._dialect.table.short_accuracy:
            given["metrics"] = pytree.tree_map(lambda name: "acc" if name == "accuracy" else name, given.get("metrics"))
        super().compile(**given)
        self.__dict__["_compiled_trainable"] = _Compiled(self)

    def _as_compiled(self) -> AbstractContextManager[None]:
        """Inside, layers are trainable as at `compile`."""
        compiled = self._compiled_trainable
        return nullcontext() if compiled is None else compiled.holds()

    @contextmanager
    def _at_work(self, method: str) -> Iterator[None]:
        if method == "fit":
            self._dialect.seed()
        if self._compiled_trainable is not None and method in ("fit", "train_on_batch"):
            self._compiled_trainable.tell(self)
        with self._as_compiled(), super()._at_work(method):
            yield

    def _build_optimizer(self) -> None:
        with self._as_compiled():
            super()._build_optimizer()

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        return super().fit(**self._modern("fit", args, kwargs))

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        return super().evaluate(**self._modern("evaluate", args, kwargs))

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        return super().predict(**self._modern("predict", args, kwargs))

    def _modern(self, method: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        return method_arguments(self._dialect.table, method, args, kwargs)

    @property
    def metrics_names(self) -> list[str]:
        """The names of what `evaluate` returns."""
        return self._names_in_order(self.get_metrics_result())

    def fit_generator(self, *args: Any, **kwargs: Any) -> Any:
        """`fit` on a generator; Keras 1's `samples_per_epoch` ends an epoch after as many samples."""
        given = _by_steps(self._modern("fit_generator", args, kwargs), "x", "samples_per_epoch", "steps_per_epoch")
        return super().fit(**_by_steps(given, "validation_data", "nb_val_samples", "validation_steps"))

    def evaluate_generator(self, *args: Any, **kwargs: Any) -> Any:
        return super().evaluate(**_by_steps(self._modern("evaluate_generator", args, kwargs), "x", "val_samples"))

    def predict_generator(self, *args: Any, **kwargs: Any) -> Any:
        return super().predict(**_by_steps(self._modern("predict_generator", args, kwargs), "x", "val_samples"))

    def save_weights(self, filepath: Any, overwrite: bool = True, **options: Any) -> None:
        """As today's for its names; `weights.h5` and `weights.hdf5` hold them layer by layer. tf.keras' other names,
        such as `cp.ckpt`, become `cp.ckpt.weights.h5`."""
        name = self._weights_file(filepath)
        by_layers = name.endswith((".h5", ".hdf5")) and not name.endswith(".weights.h5")
        files.save_weights(self, name, overwrite, by_layers=by_layers, **_told(options))

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, by_name: bool = False, **options: Any) -> Any:
        name = self._weights_file(filepath) if not Path(filepath).is_file() else filepath
        files.load_weights(self, name, skip_mismatch, by_name=by_name, **_told(options))
        return _Loaded() if self._dialect.table.shares_modern else None

    def _weights_file(self, filepath: Any) -> str:
        name = str(filepath)
        ours = not self._dialect.table.shares_modern or name.endswith(_ENDINGS)
        return name if ours else f"{name}.weights.h5"

    def save(self, filepath: Any, overwrite: bool = True, **options: Any) -> None:
        """As today's. tf.keras' names without ending are folders, which `load_model` takes: they hold `model.keras`."""
        path = Path(filepath)
        if self._dialect.table.shares_modern and not path.suffix:
            path.mkdir(parents=True, exist_ok=True)
            filepath = path / files.IN_FOLDER
        super().save(filepath, overwrite, **_told(options))

    def predict_proba(self, x: Any, batch_size: int = 32, verbose: int = 0) -> Any:
        return self.predict(x, batch_size=batch_size, verbose=verbose)

    def predict_classes(self, x: Any, batch_size: int = 32, verbose: int = 0) -> Any:
        """The likeliest class of each sample, or for one output whether it exceeds 0.5."""
        outputs = self.predict(x, batch_size=batch_size, verbose=verbose)
        return outputs.argmax(-1) if outputs.shape[-1] > 1 else (outputs > 0.5).astype("int32")

    def to_json(self, **options: Any) -> str:
        """The architecture in this generation's form; `model_from_json` reads it."""
        described = {"class_name": type(self).__name__, "config": self.get_config()}
        written = {"keras_version": self._dialect.table.version, "backend": "tensorflow"}
        return json.dumps({**described, **written}, **options)

    @property
    def stateful(self) -> bool:
        """Whether a layer inside keeps states."""
        return any(getattr(layer, "stateful", False) for layer in self.layers)

    def reset_states(self) -> None:
        """Let the next batch start from zeros."""
        for layer in self.layers:
            if getattr(layer, "stateful", False):
                layer.reset_states()

    def get_weights(self) -> list[Any]:
        return [array for layer in self._weight_layers() for array in layer.get_weights()]

    def set_weights(self, arrays: Sequence[Any]) -> None:
        start = 0
        for layer in self._weight_layers():
            count = len(layer.get_weights())
            if count:
                layer.set_weights(arrays[start : start + count])
            start += count
        if start != len(arrays):
            raise ValueError(f"{type(self).__name__}: set_weights expected {start} arrays; got {len(arrays)}.")

    weight_parts = shim.parts_of

    def weight_names(self) -> list[str]:
        return [name for layer in self._weight_layers() if layer.weights for name in layer.weight_names()]

    def to_old_weights(self, arrays: Sequence[Any]) -> list[Any]:
        found, start = [], 0
        for layer in self._weight_layers():
            count = len(layer.weights)
            if count:
                found += layer.to_old_weights(arrays[start : start + count])
            start += count
        return found

    def _weight_layers(self) -> list[Any]:
        return list(self.layers)


class _Loaded:
    """What `load_weights` of tf.keras gives: all was compared before a weight changed."""

    def assert_consumed(self) -> _Loaded:
        return self

    expect_partial = assert_existing_objects_matched = assert_nontrivial_match = assert_consumed


class _Sequential(AddsBeside, _ModelWords):
    def __init__(self, layers: Any = None, name: str | None = None, **kwargs: Any):
        super().__init__(layers, name=name or self._dialect.unique_name("Sequential"), **kwargs)

    def build(self, input_shape: Any = None) -> None:
        """Where a Merge of other models comes first, their inputs are this model's."""
        first = self._stack[0] if self._stack else None
        if not (isinstance(first, MergeByMode) and first.branches):
            super().build(input_shape)
            return
        x = first.output if first._nodes else first([branch.output for branch in first.branches])
        x = called_in_turn(self._stack[1:], x)
        inputs = [tensor for branch in first.branches for tensor in branch.inputs]
        specs = [InputSpec(shape=(None, *tensor.shape[1:])) for tensor in inputs]
        self.__dict__.update(
            _graph=Graph(inputs, x, self.name), _input_structure=inputs, _output_structure=x, input_spec=specs
        )
        self._register(self._stack)
        self._finish_build()

    def _maybe_rebuild(self) -> None:
        super()._maybe_rebuild()
        if self._stack and isinstance(self._stack[0], MergeByMode) and self._stack[0].branches:
            self.build()

    def _weight_layers(self) -> list[Any]:
        first = self._stack[0] if self._stack else None
        if isinstance(first, MergeByMode) and first.branches:
            return [*first.branches, *self._stack[1:]]
        return list(self._stack)

    def get_config(self) -> Any:
        self._tell_of_added()
        stack = [{"class_name": type(layer).__name__, "config": layer.get_config()} for layer in self._stack]
        return stack if self._dialect.table.named_configs else {"name": self.name, "layers": stack}

    @classmethod
    def from_config(cls, config: Any, custom_objects: Any = None) -> Any:
        stack, name = (config, None) if isinstance(config, (list, tuple)) else (config["layers"], config.get("name"))
        made = [cls._dialect.from_config(entry, custom_objects) for entry in stack]
        model = cls(made, name=name)
        shape = config.get("build_input_shape") if isinstance(config, Mapping) else None
        if made and shape and not model.built:
            model.build(tuple(shape))
        return model


class _AnyModel(_ModelWords):
    """`Model(inputs, outputs)` is functional; subclasses write their own `call`."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        functional = cls._is_model() and bool(args or {"inputs", "outputs", "input", "output"} & set(kwargs))
        return super().__new__(cls._dialect.find("models", "Functional") if functional else cls)

    @classmethod
    def _is_model(cls) -> bool:
        return cls is cls._dialect.find("models", "Model")

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
        if cls._is_model() and "layers" in config:
            return cls._dialect.find("models", "Functional").from_config(config, custom_objects)
        return super().from_config(config, custom_objects)


class _Functional(AddsBeside, _ModelWords):
    def __init__(self, *args: Any, **kwargs: Any):
        for old, new in (("input", "inputs"), ("output", "outputs")):
            if old in kwargs:
                kwargs[new] = kwargs.pop(old)
        names = ("inputs", "outputs", "name")
        kwargs = {**dict(zip(names, args, strict=False)), **kwargs}
        kwargs["name"] = kwargs.get("name") or self._dialect.unique_name("Model")
        self.__init_graph__(**kwargs)

    def get_config(self) -> dict[str, Any]:
        """The layers and the calls between them, as lists [layer, call, output, arguments]."""
        self._tell_of_added()
        config = graph_config(self)
        layers = [
            {
                "name": layer["name"],
                "class_name": layer["class_name"],
                "config": layer["config"],
                "inbound_nodes": [_node(node) for node in layer["inbound_nodes"]],
            }
            for layer in config["layers"]
        ]
        ends = {key: _listed(config[key]) for key in ("input_layers", "output_layers")}
        return {"name": config["name"], "layers": layers, **ends}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
        with serialize.custom_object_scope(custom_objects or {}):
            inputs, outputs = graph_from_config(config, cls._dialect.from_config)
        return cls(inputs, outputs, name=config.get("name"))


def _node(node: Mapping[str, Any]) -> list[list[Any]]:
    """One call as Keras 1 and 2 write it: where its inputs come from, the first with the call's other arguments."""
    found: list[Any] = []

    def collect(value: Any) -> None:
        if isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__":
            found.append([*value["config"]["keras_history"], {}])
        elif isinstance(value, (list, tuple)):
            for item in value:
                collect(item)

    collect(node["args"])
    if found and node["kwargs"]:
        found[0][3] = dict(node["kwargs"])
    return found


def _listed(ends: Any) -> list[Any]:
    return [ends] if isinstance(ends[0], str) else list(ends)


# Base classes and functions -------------------------------------------------------------------------------------------


class _UserLayer(Adds, Layer):
    """Base class of a user's own layers: `get_output_shape_for` is Keras 1's `compute_output_shape`."""

    _dialect: Dialect

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "get_output_shape_for" in vars(cls) and "compute_output_shape" not in vars(cls):
            cls.compute_output_shape = vars(cls)["get_output_shape_for"]
        super().__init_subclass__(**kwargs)

    def __init__(self, **kwargs: Any):
        input_dtype = kwargs.pop("input_dtype", None)
        super().__init__(**kwargs)
        if input_dtype is not None:
            self.input_dtype = input_dtype

    def _next_name(self) -> str:
        return self._dialect.unique_name(type(self).__name__) or super()._next_name()

    def get_output_shape_for(self, input_shape: Any) -> Any:
        return self.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        base = {"name": self.name, "trainable": self.trainable}
        return {**base, "dtype": self.dtype_policy.name} if self._dialect.table.writes_dtype else base


def special(dialect: Dialect, name: str) -> Any:
    """What is no layer of a table: base classes, Input, merge."""
    module = dialect.module("layers")
    if name in _AS_TODAY:
        return _AS_TODAY[name]
    if name == "Layer":
        cls: Any = type(name, (_UserLayer,), {"__module__": module, "_dialect": dialect, "__doc__": _UserLayer.__doc__})
    elif name == "InputLayer":
        members = {"__module__": module, "_dialect": dialect, "_home": module, "__doc__": InputLayer.__doc__}
        cls = type(name, (_InputWords, InputLayer), members)
    else:
        return (_merge if name == "merge" else _input)(dialect)
    cls.__signature__ = words(dialect.table, "layers", name).signature
    return cls


_AS_TODAY = {"InputSpec": InputSpec, "Recurrent": modern_layers.RNN, "Wrapper": modern_layers.Wrapper}


class _InputWords(_Model):
    _dialect: Dialect

    def __init__(self, *args: Any, **kwargs: Any):
        own = words(self._dialect.table, "layers", "InputLayer")
        self._init_modern(own.to_modern(own.bind(args, kwargs), {}))

    def _init_modern(self, modern: dict[str, Any]) -> None:
        modern["name"] = modern.get("name") or self._dialect.unique_name("Input")
        modern["input_tensor"] = modern.pop("tensor", None) or modern.get("input_tensor")
        super().__init__(**{key: value for key, value in modern.items() if value is not None})

    def get_config(self) -> dict[str, Any]:
        table = self._dialect.table
        dtype = "dtype" if table.writes_dtype else "input_dtype"
        config = {"batch_input_shape": self.batch_shape, dtype: self.dtype, "sparse": self.sparse, "name": self.name}
        return {**config, "ragged": self.ragged} if table.writes_modules else config


def _input(dialect: Dialect) -> Any:
    own = words(dialect.table, "layers", "Input")

    def function(*args: Any, **kwargs: Any) -> Any:
        given = own.bind(args, kwargs)
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
