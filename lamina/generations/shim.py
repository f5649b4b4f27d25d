"""Classes of a generation, made from its table: a modern class that is called, saved and loaded in the old words.

What runs is the modern class' `call`; the old words cost nothing once the object is made.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from ..core import config as settings
from ..core import serialize
from ..core.errors import named
from ..core.layer import Layer
from ..core.symbolic import is_shape
from ..core.weight import after_first_values
from ..layers import RNN, Bidirectional, TimeDistributed
from ..layers.old import take_time_first
from ..optimizers.schedules import InverseTimeDecay
from ..translation import apply, weights
from ..translation.table import Class, Generation
from .additions import Adds

# The backend whose arithmetic a generation follows. Only Keras 1 on Theano computes otherwise.
backends = {"keras1": os.environ.get("KERAS_BACKEND", "tensorflow"), "keras2": "tensorflow", "tf_keras": "tensorflow"}
_counts: dict[str, Iterator[int]] = {}


def unique_name(generation: Generation, cls: str) -> str | None:
    """The name of the next layer of a class that was given none; None where it is the modern one."""
    style = generation.first_name
    if style == "snake":
        return None
    from ..core.layer import snake_case

    prefix = cls.lower() if style.startswith("lower") else snake_case(cls)
    return f"{prefix}_{count(f'{generation.name}/{prefix}')}"


def count(what: str) -> int:
    """1, 2, 3, ... for each `what`."""
    return next(_counts.setdefault(what, itertools.count(1)))


def reset_names() -> None:
    _counts.clear()


_Modern: Any = object  # the modern class, which comes behind in the classes made


class Shim(_Modern):
    """The old words of one class. Made classes derive from it and from the modern class."""

    _generation: Generation
    _told_as: str  # the class' name in its generation's table
    _room: str  # the module of the table
    _as_given: dict[str, Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" not in vars(cls) and "_told_as" in vars(cls):
            cls.__signature__ = apply.signature(cls._generation, cls._told_as, cls._room)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        generation, told = self._generation, self._told_as
        given = apply.bind(generation, told, args, kwargs, self._room)
        given = {key: self._resolve(key, value) for key, value in given.items()}
        modern = apply.to_modern(generation, told, given, self._settings(), self._room)
        self._init_modern(modern, apply.kept(generation, told, given, self._room))

    def _init_modern(self, modern: dict[str, Any], kept: dict[str, Any]) -> None:
        super().__init__(**modern)
        self.__dict__["_as_given"] = kept

    def _settings(self) -> dict[str, Any]:
        return {"backend": backends[self._generation.name], "image_data_format": settings.image_data_format()}

    def _resolve(self, key: str, value: Any) -> Any:
        """Names and configs of objects in the generation's words become those objects."""
        return value

    def get_config(self) -> dict[str, Any]:
        own = apply.to_old(self._generation, self._told_as, super().get_config(), self._as_given, self._room)
        return {"name": type(self).__name__, **own} if self._generation.named_configs else own

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        entry = cls._generation.entry(cls._told_as, cls._room)
        if "name" in {parameter.name for parameter in apply.parameters(cls._generation, entry, cls._room)}:
            return cls(**config)
        return cls(**{key: value for key, value in config.items() if key != "name"})


class OptimizerShim(Shim):
    """The old words of an optimizer. `lr`, or `learning_rate`, is what `decay` starts from, a tensor to write to."""

    def _init_modern(self, modern: dict[str, Any], kept: dict[str, Any]) -> None:
        super()._init_modern(modern, kept)
        if self._decaying():
            schedule: Any = self._learning_rate
            vars(schedule)["initial_learning_rate"] = torch.tensor(schedule.initial_learning_rate)

    def _decaying(self) -> bool:
        """Whether its schedule is the one that `decay` asked for."""
        asked = vars(self).get("_as_given", {}).get("decay")
        return bool(asked) and isinstance(vars(self).get("_learning_rate"), InverseTimeDecay)

    @property
    def learning_rate(self) -> Any:
        return self._learning_rate.initial_learning_rate if self._decaying() else super().learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if self._decaying() and not callable(value):
            self.learning_rate.fill_(self._args["learning_rate"].convert(value, self))
        else:
            super(Shim, type(self)).learning_rate.fset(self, value)

    lr = learning_rate

    def get_config(self) -> dict[str, Any]:
        """With the learning rate of now."""
        modern, own = super(Shim, self).get_config(), dict(self._as_given)
        if self._decaying():
            modern["learning_rate"] = float(self.learning_rate)
        own |= {key: float(self.learning_rate) for key in ("lr", "learning_rate") if key in own}
        return apply.to_old(self._generation, self._told_as, modern, own, self._room)


_OBJECTS = {"regularizer": "regularizers", "constraint": "constraints", "initializer": "initializers"}


class LayerShim(Adds, Shim):
    """The old words of a layer: also its name, its weights' order, its losses' scale."""

    _theano = False
    _mask_beside_others = True

    def _resolve(self, key: str, value: Any) -> Any:
        from . import namespaces

        if key == "layers" and isinstance(value, (list, tuple)):
            return [
                namespaces.layer_from_config(self._generation, one) if isinstance(one, Mapping) else one
                for one in value
            ]
        if key in ("cell", "cells") and isinstance(value, (list, tuple)):
            made = [self._resolve("cell", item) for item in value]
            stacked = namespaces.open_namespace(self._generation.name).layers.StackedRNNCells
            return made if key == "cells" else stacked(made)
        if key.endswith("init") and inspect.isfunction(value):
            return _as_initializer(value)
        if value is None or not isinstance(value, (str, Mapping)):
            return value
        if key == "dtype":
            return apply.read_policy(value)
        home = _OBJECTS.get(key.rsplit("_", 1)[-1])
        if home is not None:
            return namespaces.get_object(self._generation, home, value)
        if key.endswith("activation") and isinstance(value, str):
            return namespaces.get_activation(self._generation, value)
        if key in ("layer", "backward_layer", "cell") and isinstance(value, Mapping):
            return namespaces.layer_from_config(self._generation, value)
        return value

    def _init_modern(self, modern: dict[str, Any], kept: dict[str, Any]) -> None:
        if "name" not in modern or modern["name"] is None:
            modern["name"] = unique_name(self._generation, type(self).__name__)
        super()._init_modern(modern, kept)
        if self.activity_regularizer is None and modern.get("activity_regularizer") is not None:
            self.activity_regularizer = modern["activity_regularizer"]
        if kept.get("input_dtype") is not None:
            self.input_dtype = kept["input_dtype"]
        self.__dict__["_theano"] = backends[self._generation.name] == "theano"
        if kept.get("time_major"):
            take_time_first(self)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name.startswith("_"):
                raise
            entry = self._entry()
            now = apply.modern_names(self._generation, entry, name)
            if now and now[0] != name:
                return getattr(self, now[0])
            if name in vars(self).get("_as_given", ()):
                return self._as_given[name]
            known = entry.weight_names.split()
            if not entry.weights and name in known and vars(self).get("built"):
                return self._own_weights()[known.index(name)]
            raise

    def _entry(self) -> Class:
        return self._generation.objects[self._room][self._told_as]

    # -- config -----------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        generation, entry = self._generation, self._entry()
        kept = dict(self._as_given)
        if entry.learned and self._build_shapes is not None:
            kept[entry.learned] = self._built_shape()[-1]
        base: dict[str, Any] = {"name": self.name, "trainable": self.trainable}
        if generation.writes_dtype:
            base["dtype"] = apply.written_policy(generation, self.dtype_policy.name)
        shape = vars(self).get("_batch_shape")
        if shape is not None:
            base["batch_input_shape"] = tuple(shape)
            if not generation.writes_dtype:
                base["input_dtype"] = self.input_dtype or settings.floatx()
        if entry.modern == "MergeByMode":
            del base["trainable"]
        for key, value in kept.items():
            if hasattr(value, "get_config"):
                kept[key] = apply.to_old_value(generation, key, serialize.serialize(value))
        modern = {"activity_regularizer": None, **super(Shim, self).get_config()}
        if self.activity_regularizer is not None and modern["activity_regularizer"] is None:
            modern["activity_regularizer"] = serialize.serialize(self.activity_regularizer)
        shape = self._built_shape() if self._build_shapes is not None else None
        if isinstance(kept.get("backward_layer"), dict):
            kept["backward_layer"].pop("build_config", None)
        return {**base, **apply.to_old(generation, self._told_as, modern, kept, self._room, shape)}

    def get_build_config(self) -> dict[str, Any] | None:
        """tf.keras writes it for layers without weights, too, and of a TimeDistributed its layer's."""
        if not self._generation.writes_modules or self._build_shapes is None:
            return super().get_build_config()
        shape = self._built_shape()
        return {"input_shape": (shape[0], *shape[2:]) if isinstance(self, TimeDistributed) else shape}

    def build_from_config(self, config: Mapping[str, Any]) -> None:
        if isinstance(self, TimeDistributed) and "input_shape" in config:
            batch, *rest = config["input_shape"]
            config = {"input_shape": (batch, None, *rest)}
        super().build_from_config(config)

    def _built_shape(self) -> tuple:
        args, kwargs = self._build_shapes
        shape = args[0] if args else next(iter(kwargs.values()))
        return tuple(shape if is_shape(shape) else shape[0])

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        return cls(**config)

    # -- weights ----------------------------------------------------------------------------------------------------

    def _finish_build(self) -> None:
        drawn = self._initial_weights is None and self._generation.draws_by_layout
        super()._finish_build()
        if drawn and _parts(self) is None:
            after_first_values(self.weights, self._draw_by_layout)

    def _draw_by_layout(self) -> None:
        """First values as this generation drew them: array by array, with the fans of its own shapes."""
        from . import initializations

        entry, facts = self._entry(), self.weight_facts()
        known = weights.names(entry.weights, entry.weight_names, facts)
        arrays = super().get_weights()
        if not arrays or not known or known[0][0] != "W":
            return
        # The gates' recurrent weights are drawn like the others, unless all gates are one array.
        config = self.get_config()
        arguments = {"W": "init", "U": "init" if entry.weights == "gates" and not facts["fused"] else "inner_init"}
        arrays = weights.to_old(entry.weights, arrays, facts)
        ordering = config.get("dim_ordering", "th")
        for index, (name, array) in enumerate(zip(known, arrays, strict=False)):
            draw = initializations.find(self._generation, str(config.get(arguments.get(name[0], ""))))
            if draw is not None:
                arrays[index] = draw(array.shape, dim_ordering=ordering).numpy()
        super().set_weights(weights.to_modern(entry.weights, arrays, facts))

    def weight_facts(self) -> dict[str, Any]:
        """What the layout of the weights depends on."""
        return {
            "channels_first": getattr(self, "data_format", None) == "channels_first",
            "theano": self._theano,
            "fused": self._as_given.get("consume_less") == "gpu",
            "gates": self._entry().weight_names,
            "sizes": self._sizes_along_axes() if self._entry().weights == "axes" else (),
        }

    def _sizes_along_axes(self) -> tuple[list[int], list[int]]:
        """The shape of weights along several axes: the modern one, and in the order the axes were given."""
        shape, given = self._built_shape(), self._as_given["axis"]
        return [shape[axis] for axis in self.axis], [shape[axis] for axis in np.atleast_1d(given)]

    def weight_names(self) -> list[str]:
        """The generation's names of the weights, in the order of `get_weights`."""
        inner = _parts(self)
        if inner is not None:
            return [name for part in inner for name in part.weight_names()]
        names = weights.names(self._entry().weights, self._entry().weight_names, self.weight_facts())
        return names[: len(self.get_weights())] if names else [getattr(w, "name", "") for w in self.weights]

    def to_old_weights(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Arrays in the modern order and shapes (the weights', or their gradients) as this generation has them."""
        inner = _parts(self)
        if inner is None:
            return weights.to_old(self._entry().weights, arrays, self.weight_facts())
        found, start = [], 0
        for part in inner:
            count = len(part.weights)
            found += part.to_old_weights(arrays[start : start + count])
            start += count
        return found

    def get_weights(self) -> list[np.ndarray]:
        return self.to_old_weights(super().get_weights())

    def set_weights(self, arrays: Sequence[Any]) -> None:
        inner = _parts(self)
        if inner is None:
            arrays = list(map(np.asarray, arrays))
            self._check_count(arrays)
            super().set_weights(weights.to_modern(self._entry().weights, arrays, self.weight_facts()))
            return
        start = 0
        for part in inner:
            count = len(part.get_weights())
            part.set_weights(arrays[start : start + count])
            start += count

    def _check_count(self, arrays: Sequence[Any]) -> None:
        expected = len(self.get_weights())
        if len(arrays) != expected:
            raise ValueError(f"{type(self).__name__}: set_weights expected {expected} arrays; got {len(arrays)}.")

    # -- old methods ------------------------------------------------------------------------------------------------

    def _add_activity_loss(self, outputs: Any) -> None:
        if not self._generation.sums_activity:
            return super()._add_activity_loss(outputs)
        self._losses.extend(self.activity_regularizer(output) for output in pytree.tree_leaves(outputs))

    def _checked_mask(self, inputs: Any, mask: Any) -> Any:
        alone = type(self).compute_mask is Layer.compute_mask and not self.supports_masking
        if alone and mask is not None and not self._generation.masks_may_end:
            raise TypeError(
                f"Layer {self.name} does not support masking, but was passed an input_mask. Use a layer that does, or "
                "end the mask before it."
            )
        return super()._checked_mask(inputs, mask)

    @property
    def losses(self) -> list[Any]:
        """Keras 1 and 2 list the weights' penalties first."""
        found = super().losses
        if not self._generation.sums_activity:
            return found
        count = len(self.weight_losses())
        return [*found[len(found) - count :], *found[: len(found) - count]]

    def get_output_shape_for(self, input_shape: Any) -> Any:
        return self.compute_output_shape(input_shape)


def _zero_states(layer: Any) -> None:
    """Let the next batch start from zeros."""
    _reset_states(layer)


def _reset_states(layer: Any, states: Any = None) -> None:
    """Let the next batch start from `states`, by default zeros: (batch, units) for each of the layer's states.

    Raises AttributeError unless the layer is stateful; ValueError before its batch size is known, and for states of
    another number or shape.
    """
    if not layer.stateful:
        raise AttributeError(f"Layer must be stateful: make {named(layer)} with stateful=True.")
    if not layer._kept:
        raise ValueError(
            f"{named(layer)}: a stateful layer needs to know its batch size before its states are reset. Give the "
            "first layer a `batch_input_shape`, or call this one."
        )
    layer.reset_state(None if states is None else [_as_state(layer, one) for one in pytree.tree_leaves(states)])


def _as_state(layer: Any, value: Any) -> torch.Tensor:
    if value is None or isinstance(value, (str, bytes)):
        raise ValueError(f"{named(layer)}: `states` must be arrays of shape (batch, units); got {value!r}.")
    return value.detach() if isinstance(value, torch.Tensor) else torch.from_numpy(np.array(value, dtype="float64"))


def _reset_both(layer: Any) -> None:
    """Let the next batch start from zeros, in both directions. Raises AttributeError unless they are stateful."""
    layer.forward_layer.reset_states()
    layer.backward_layer.reset_states()


def _as_initializer(function: Callable) -> Callable:
    """A function (shape, name) of Keras 1 as one that is also given a dtype."""

    @functools.wraps(function)
    def draw(shape: Sequence[int], dtype: Any = None) -> Any:
        return torch.as_tensor(function(shape, name=None)).detach()

    return draw


def _parts(layer: Any) -> list[Any] | None:
    """The layers a layer's weights are those of, where these have an order of their own; None where it has its own."""
    inner = [part for part in getattr(layer, "layers", ()) if part.weights]
    if inner and not layer._own_weights() and all(hasattr(part, "weight_names") for part in inner):
        return inner
    return None


def reader_of_arrays(model: Any, backend: str) -> Callable:
    """What turns the arrays of one of the model's layers, in a file of its generation, into today's in the same order:
    those that are trained first. Raises ValueError where the model was not made for that backend's arithmetic."""
    theano = backend == "theano"
    for layer in model.modules():
        if isinstance(layer, LayerShim) and layer._theano != theano and layer._entry().adapt in _BY_BACKEND:
            space = layer._generation.name
            raise ValueError(
                f"{named(layer)} was made for {backends[space]}, and the file was written on {backend}, which computes "
                f"it otherwise. Make the model after lamina.{space}.backend.set_backend({backend!r})."
            )

    def read(layer: Any, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        leaves = list(_leaves(layer))
        parts = [(leaf, part) for part in ("trainable_weights", "non_trainable_weights") for leaf in leaves]
        counts = [_stored_count(leaf, len(getattr(leaf, part))) for leaf, part in parts]
        if sum(counts) != len(arrays):
            return list(arrays)  # a misfit, which is told where they are assigned
        found, start = [], 0
        for (leaf, _), count in zip(parts, counts, strict=True):
            own = arrays[start : start + count]
            start += count
            entry = leaf._entry() if isinstance(leaf, LayerShim) else None
            found += weights.to_modern(entry.weights, own, leaf.weight_facts()) if entry and count else list(own)
        return found

    return read


_BY_BACKEND = ("convolution", "pooling")  # conversions that ask for the backend


def _leaves(layer: Any) -> Iterator[Any]:
    inner = _parts(layer)
    if inner is None:
        yield layer
    for part in inner or ():
        yield from _leaves(part)


def _stored_count(leaf: Any, count: int) -> int:
    """How many arrays stand in a file for so many weights of a layer."""
    if not (count and isinstance(leaf, LayerShim) and leaf._entry().weights.endswith("gates")):
        return count
    return len(weights.names(leaf._entry().weights, leaf._entry().weight_names, leaf.weight_facts()))


def make_class(generation: Generation, name: str, modern: type, module: str, room: str = "layers") -> type:
    """The class of that name: the modern one in the generation's words."""
    told = generation.canonical(name, room) or name
    base = LayerShim if issubclass(modern, Layer) else OptimizerShim if room == "optimizers" else Shim
    doc = f"{told} of Keras {generation.version}: `{modern.__name__}` in its words."
    members = {
        "__module__": module,
        "__doc__": doc,
        "_generation": generation,
        "_told_as": told,
        "_room": room,
        "_home": module,
    }
    if issubclass(modern, RNN):
        members["reset_states"] = _zero_states if generation.name == "keras1" else _reset_states
    elif issubclass(modern, Bidirectional):
        members["reset_states"] = _reset_both
    return type(told, (base, modern), members)


def make_function(generation: Generation, name: str, make: Callable[[str], type], module: str, room: str) -> Callable:
    """A function of that name which returns an object of another class, its arguments translated."""
    entry = generation.entry(name, room)

    def function(*args: Any, **kwargs: Any) -> Any:
        given = apply.bind(generation, name, args, kwargs, room)
        modern = apply.to_modern(generation, name, given, {}, room)
        cls: Any = make(entry.makes)
        made = cls.__new__(cls)
        made._init_modern(modern, {})
        return made

    function.__name__ = function.__qualname__ = name
    function.__module__ = module
    function.__signature__ = apply.signature(generation, name, room)
    return function
