"""Classes of a generation, made from its table: a modern class that is called, saved and loaded in the old words.

What runs is the modern class' `call`; the old words cost nothing once the object is made.
"""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from ..core import config as settings
from ..core import functions, serialize
from ..core.arrays import numbers
from ..core.errors import named
from ..core.layer import InputSpec, Layer, scope
from ..core.operation import recorded
from ..core.scope import put
from ..core.symbolic import SymbolicTensor, any_symbolic, is_shape, map_shapes
from ..core.weight import Weight, all_or_none, take
from ..files import older
from ..files.stored import Given
from ..initializers import Identity
from ..layers import GRU, LSTM, RNN, Bidirectional, Lambda, MultiHeadAttention, SimpleRNN, TimeDistributed
from ..layers.activation import Activated
from ..layers.merge import Merge
from ..layers.old import RNNWithConstants, WithConstants, take_time_first
from ..optimizers.schedules import InverseTimeDecay
from ..translation import origin
from ..translation.conversions import FUNCTIONS
from ..translation.weights import BY_SHAPE, Layout, layout
from ..translation.words import HOMES, SCALARS, Words, read_policy, to_old_value, words, written_policy
from . import activations, hooks, steps
from .additions import Adds
from .dialect import CountsOthers, Dialect
from .habits import of_older
from .initializations import InLayout, OfEachGate, constrain_in_layout, forget_bias, in_layout
from .parts import Setting, lying, part_of
from .rules import ByUpdates, StepsOfTensorFlow
from .tensors import Shape, names_symbols
from .updates import Expression, outside

_Modern: Any = object  # the modern class, which comes behind in the classes made
_PLAIN = (type(None), bool, int, float)  # values that stand for no object


class Shim(_Modern):
    """The old words of one class. Made classes derive from it and from the modern class."""

    _dialect: Dialect
    _words: Words
    _as_given: dict[str, Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "_words" in vars(cls):
            cls.__signature__ = cls._words.signature

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given = self._words.bind(args, kwargs)
        given = {key: value if type(value) in _PLAIN else self._resolve(key, value) for key, value in given.items()}
        super().__init__(**self._modern(given))
        self.__dict__["_as_given"] = self._words.kept(given)

    def _resolve(self, key: str, value: Any) -> Any:
        """Names and configs of objects in the generation's words become those objects."""
        return value

    def _modern(self, given: dict[str, Any]) -> dict[str, Any]:
        return self._words.to_modern(given, self._dialect.settings() if self._words.entry.adapt else {})

    def modern_config(self) -> dict[str, Any]:
        """In today's words, with numbers alone."""
        return super().get_config()

    def get_config(self) -> dict[str, Any]:
        own = self._words.to_old(self.modern_config(), self._as_given)
        return {"name": type(self).__name__, **own} if self._dialect.table.named_configs else own

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        if "name" in cls._words.accepted:
            return cls(**config)
        return cls(**{key: value for key, value in config.items() if key != "name"})


class SeededShim(Shim):
    """Random first values, others at each call, so layers that share it differ: an integer `seed` is then one more."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> torch.Tensor:
        values = super().__call__(shape, dtype)
        self._taken = None
        if isinstance(self.seed, int) and not (values.is_meta or scope.trying):
            self.seed += 1
        return values


class OptimizerShim(ByUpdates, Shim):
    """The old words of an optimizer. `lr`, or `learning_rate`, is what `decay` starts from, a tensor to write to."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = {name: value for name, value in vars(self).items() if type(value) is float and name in self._args}
        own |= {"decay": self._as_given["decay"]} if self._divides_rate else {}
        self.__dict__.update({name: Setting(value, self, name) for name, value in own.items()})

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in self._args and self.built:
            lacking = {slot for slots in self._slot_names() for slot in slots} - {*self._slots}
            if lacking:  # a momentum that was 0 has no state
                self._slots.update({slot: [self._make_slot(slot, w) for w in self._weights] for slot in lacking})
                self._groups = None

    def _modern(self, given: dict[str, Any]) -> dict[str, Any]:
        """Without the schedule that `decay` is today: the rate of now divides by 1 + decay * steps."""
        return super()._modern({**given, "decay": 0.0} if self._divides_rate else given)

    @property
    def _divides_rate(self) -> bool:
        return self._words.entry.adapt == "decaying" and "decay" in self._words.accepted

    def _current_rate(self) -> Any:
        rate = super()._current_rate()
        if not (self._divides_rate and self.decay):
            return rate
        return rate / (1 + self.decay * (self._iterations.detach() if self._capturable else self._iterations.item()))

    def __getattr__(self, name: str) -> Any:
        given = vars(self).get("_as_given", {})
        if name in given and not name.startswith("_"):
            return given[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")

    @property
    def _serves_several(self) -> bool:
        own_build = not type(self).build.__module__.startswith("lamina.")
        return self._in_todays_words() and not own_build

    def build(self, variables: Iterable[Any]) -> None:
        """Makes the state for weights it does not know yet, also behind that of another model."""
        if not self.built:
            super().build(variables)
        elif self._serves_several:
            self._take([weight for weight in variables if id(weight) not in self._places])

    @property
    def learning_rate(self) -> Any:
        if self._dialect.table.shares_modern and not isinstance(self._learning_rate, Weight):  # that of the last step
            rate = self._rate_function((self._iterations.detach() - 1).clamp(min=0))
            return torch.as_tensor(rate, dtype=torch.float32)
        return super().learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(value, Expression) and "_as_given" in vars(self):
            self.__dict__["_rate_to_follow"] = value
        else:
            super(Shim, type(self)).learning_rate.fset(self, value)

    lr = learning_rate

    def modern_config(self) -> dict[str, Any]:
        config = self._plain_config()
        if self._divides_rate and self.decay:
            schedule = InverseTimeDecay(float(self.learning_rate), 1, float(self.decay))
            config["learning_rate"] = serialize.serialize(schedule)
        return config

    def _plain_config(self) -> dict[str, Any]:
        found = super().modern_config().items()
        return {key: float(value) if isinstance(value, Setting) else value for key, value in found}

    def get_config(self) -> dict[str, Any]:
        """With the learning rate of now."""
        own = {key: vars(self).get(key, value) for key, value in self._as_given.items()}
        own |= {key: float(self.learning_rate) for key in ("lr", "learning_rate") if key in own}
        return self._words.to_old(self._plain_config(), own)


class OptimizerOfTape(StepsOfTensorFlow, OptimizerShim):
    """An optimizer of tf.keras."""


class ListedOptimizer(OptimizerShim):
    """An optimizer of Keras 1 and 2, which lists its state, and may clip gradients by their norm, then by value."""

    _clips_one_way = False

    def build(self, variables: Iterable[Any]) -> None:
        """Makes the state of a model, or finds it again: models that share weights have each their own."""
        weights = list(variables)
        if self.built and (not self._serves_several or self._places.keys() == {*map(id, weights)}):
            return
        self._places = self._places_for(weights)
        super().build(weights)
        models = self.__dict__.setdefault("_models", [])
        if not self._places_for(weights):
            models.append([self._places[id(weight)] for weight in weights])

    def _places_for(self, weights: Iterable[Any]) -> dict[int, int]:
        """Where the state is of a model with just these weights; empty if it has none yet."""
        own = {*map(id, weights)}
        found = ({id(self._weights[place]): place for place in model} for model in vars(self).get("_models", ()))
        return next((places for places in found if places.keys() == own), {})

    def begin_afresh(self, weights: Iterable[Any]) -> None:
        """Give what goes with these weights its first values, as each `compile` did; steps go on being counted."""
        self.__dict__.pop("_made", None)
        places = self._places_for(weights).values()
        for name, slots in self._slots.items():
            for place in places:
                if slots[place] is not None:
                    slots[place].assign(self._initial(name, self._weights[place].detach()))

    def _state(self) -> list[tuple[str, Any]]:
        """Names and variables as Keras 1 and 2 list them: counts of steps, then each kind of state; none before a step.

        What the optimizer here does without is an array of zeros.
        """
        if not self.built:
            return []
        singles = {"iterations": self._iterations}
        if hasattr(self, "_product"):
            singles["m_schedule"] = self._product
        slots = [(name, slot) for names in self._slot_names() for name in names for slot in self._slots[name]]
        unused = [("unused", np.zeros(tuple(weight.shape), "float32")) for weight in self._weights]
        return origin.written_state(self._dialect.table.name, type(self).__name__, singles, slots, unused)

    @property
    def weights(self) -> list[Any]:
        """The variables whose values `get_weights` gives; none before the first step."""
        return [torch.as_tensor(value) for _, value in self._state()]

    def get_weights(self) -> list[np.ndarray]:
        """The state, as `set_weights` takes it back; nothing before the first step."""
        return [weight.numpy(force=True) for weight in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Raises ValueError for arrays of another number or shape than `get_weights` gives."""
        what = f"{type(self).__name__}: set_weights"
        state, arrays = self._state(), [numbers(array, what) for array in weights]
        shapes = [tuple(value.shape) for _, value in state]
        if shapes != [array.shape for array in arrays]:
            raise ValueError(
                f"{what} expected {len(state)} arrays of shapes "
                f"{shapes}; got {[array.shape for array in arrays]}. Before the first "
                "step an optimizer has none."
            )
        names = [f"{place}/{name}" for place, (name, _) in enumerate(state)]
        stored = {name: Given(name, array) for name, array in zip(names, arrays, strict=True)}
        listed = {"_iterations": "0/iterations", "_product": "1/m_schedule"}
        kept = {name: getattr(self, name).detach().clone() for name in listed if hasattr(self, name)}
        older.load_state(self, stored)
        for name, value in kept.items():
            if listed[name] not in stored:
                getattr(self, name).assign(value)


def parts_of(layer: Any) -> list[Any] | None:
    """The layers a layer's weights are those of, where these have an order of their own; None where it has its own."""
    inner = [part for part in layer._inner_layers if part.weights]
    if inner and not layer._own_weights() and all(hasattr(part, "weight_names") for part in inner):
        return inner
    return None


def weight_names(layer: Any) -> list[str]:
    """What its generation calls a layer's weights; those of users' own layers have the names they were given."""
    told = getattr(layer, "weight_names", None)
    return told() if told else [weight.name for weight in layer.weights]


def shared_out(
    parts: Iterable[Any], arrays: Sequence[Any], count: Callable[[Any], list[Any]]
) -> Iterator[tuple[Any, list[Any]]]:
    """Each part that has any, with as many of the arrays as `count` lists of it."""
    rest = iter(arrays)
    for part in parts:
        own = list(itertools.islice(rest, len(count(part))))
        if own:
            yield part, own


def in_old_order(parts: Iterable[Any], arrays: Sequence[Any]) -> list[Any]:
    """Arrays in the modern order, of parts one after the other, as the generation has them."""
    pairs = shared_out(parts, arrays, lambda part: part.weights)
    return [array for part, own in pairs for array in part.to_old_weights(own)]


def _halves(layer: Any) -> list[tuple[Any, list[Any], list[Any]]]:
    """Each leaf, with its arrays that are trained, and with its others."""
    found = []
    for leaf in older.leaves(layer, lambda one: getattr(one, "_weight_layers", lambda: parts_of(one))()):
        arrays = leaf.get_weights()
        count = len(arrays) - len(leaf.non_trainable_weights) if leaf.trainable_weights else 0
        found.append((leaf, arrays[:count], arrays[count:]))
    return found


def trained_first(layer: Any) -> list[Any]:
    """A layer's arrays in the order of its `weights`: those of all parts that are trained, then the others."""
    halves = _halves(layer)
    return [array for trained in (1, 2) for half in halves for array in half[trained]]


def set_trained_first(layer: Any, arrays: Sequence[Any]) -> None:
    """Give a layer arrays in the order of `trained_first`."""
    halves, rest = _halves(layer), iter(arrays)
    trained, others = ([list(itertools.islice(rest, len(half[kind]))) for half in halves] for kind in (1, 2))
    for (leaf, *_), first, last in zip(halves, trained, others, strict=True):
        if first or last:
            leaf.set_weights([*first, *last])


def check_count(owner: Any, arrays: Sequence[Any]) -> None:
    expected = len(owner.get_weights())
    if len(arrays) != expected:
        raise ValueError(f"{type(owner).__name__}: set_weights expected {expected} arrays; got {len(arrays)}.")


def _function(key: str, value: Any) -> Any:
    """The function that a Lambda's config of this process stands for, or that draws first values."""
    if key not in FUNCTIONS:
        return InLayout(value.__name__, value)
    if isinstance(value, (list, tuple)) and len(value) == 3:
        return functions.written(*value) or value
    if isinstance(value, str) and serialize.registered_object(value) is None:
        return functions.noted(value) or value
    return value


_SIDE_BY_SIDE = ("LSTM", "GRU", "LSTMCell", "GRUCell")  # not the layers for cuDNN


def _of_layer(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """What every layer's config says, without a type that its class' own arguments name."""
    return {key: value for key, value in base.items() if key != "dtype" or not isinstance(own.get(key), str)}


class LayerShim(Adds, Shim):
    """The old words of a layer: also its name, its weights' order, its losses' scale."""

    _theano = False
    _needs_no_shape = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        shape, learned = kwargs.get("batch_input_shape"), self._words.entry.learned
        if shape is not None and learned in kwargs:
            kwargs[learned] = shape[-1]  # another one in a config whose `batch_input_shape` was changed
        gated = self._dialect.early and self._words.name in _SIDE_BY_SIDE and len(args) < 3
        if gated and kwargs.keys().isdisjoint(("recurrent_activation", "inner_activation")):
            kwargs["recurrent_activation"] = "hard_sigmoid"  # "sigmoid" since 2.3
        super().__init__(*args, **kwargs)
        self._dialect.seed()
        kept, table = self._as_given, self._dialect.table
        if kept.get("input_dtype") is not None:
            self.input_dtype = kept["input_dtype"]
        self.__dict__["_theano"] = self._dialect.backend == "theano"
        length = kept.get("input_length")
        if length is not None and not (table.lists_weights or table.shares_modern):  # Keras 2 goes by it
            self.input_spec = InputSpec(shape=(None, *(length if isinstance(length, (list, tuple)) else (length,))))
        if kept.get("time_major"):
            take_time_first(self)

    def _resolve(self, key: str, value: Any) -> Any:
        dialect = self._dialect
        if key == "layers" and isinstance(value, (list, tuple)):
            return [dialect.from_config(one) if isinstance(one, Mapping) else one for one in value]
        if key in ("cell", "cells") and isinstance(value, (list, tuple)):
            made = [self._resolve("cell", item) for item in value]
            return made if key == "cells" else dialect.find("layers", "StackedRNNCells")(made)
        if key in FUNCTIONS or (key.endswith("init") and inspect.isfunction(value)):
            return _function(key, value)
        if key.endswith("activation"):
            found = activations.get(value) if isinstance(value, (str, Mapping)) else value
            tells = key == "activation" and isinstance(self, Activated)
            return activations.telling(found, dialect.table.name) if tells else getattr(found, "stands_for", found)
        if value is None or not isinstance(value, (str, Mapping)):
            return value
        if key == "dtype":
            return read_policy(value)
        home = HOMES.get(key.rsplit("_", 1)[-1])
        if key == "init" and not dialect.table.draws_by_layout:
            home = "initializers"
        if home is not None:
            return dialect.get(home, value)
        if key in ("layer", "backward_layer", "cell") and isinstance(value, Mapping):
            return dialect.from_config(value)
        return value

    def _set_args(self, values: Mapping[str, Any]) -> None:
        super()._set_args(values)
        if values.get("activity_regularizer") is not None:  # Keras 3's recurrent layers take it and leave it out
            self.activity_regularizer = values["activity_regularizer"]

    def _modern(self, given: dict[str, Any]) -> dict[str, Any]:
        modern = super()._modern(given)
        if self._dialect.table.draws_by_layout:
            modern |= in_layout(self._words, given, modern, self._dialect.settings())
            modern |= forget_bias(given["forget_bias_init"]) if "forget_bias_init" in given else {}
        if self._dialect.early and self._words.name == "BatchNormalization":
            modern["zero_debias"] = True  # 2.1.3 to 2.2.5
        gates = modern.get("recurrent_initializer") if self._dialect.table.sums_activity else None
        if isinstance(gates, Identity) and self._words.name in _SIDE_BY_SIDE:
            modern["recurrent_initializer"] = OfEachGate(gates.gain)
        return modern

    def _finish_build(self) -> None:
        super()._finish_build()
        if not self._dialect.table.draws_by_layout:
            return
        if any(getattr(weight, "constraint", None) for weight in self.weights):
            constrain_in_layout(self.weights, self.weight_layout())
        kind = self._words.entry.weights
        last = kind in ("kernel", "kernels") and not self._theano and self.data_format != "channels_first"
        if kind.endswith(("kernel", "kernels")) and not last:
            own = self.weight_layout()
            for weight in self._own_weights():
                shaped = torch.empty(weight.shape, device="meta")  # a file may be about to give the values
                if lying(shaped, own) is not shaped:
                    vars(weight)["_lies"] = own

    def _next_name(self) -> str:
        return self._dialect.unique_name(type(self).__name__) or super()._next_name()

    def __getattr__(self, name: str) -> Any:
        weights = self.__dict__.get("_parameters", ())
        if name in weights:
            return weights[name]  # in calls: no more hops than today's
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name.startswith("_"):
                raise
            if name in self._names_of_time:
                found = self._of_its_time(name) or self._of_own_build(name)
                if found is not None:
                    return found[0]
            if name in vars(self).get("_as_given", ()):
                return self._as_given[name]
            now = self._words.now(name)
            if now and now[0][0] != name:
                value = getattr(self, now[0][0])
                if isinstance(value, tuple) and len(value) == 1 and self._dialect.table.scalars:
                    return value[0] if name in SCALARS else (*value, 1)  # of a picture of one column
                return to_old_value(self._dialect.table, now[0][0], value) if isinstance(value, str) else value
            raise

    def _of_its_time(self, name: str) -> tuple[Any] | None:
        """An attribute of the time, in a tuple: a size of several that are one now, the size of the input, a weight or
        its shape."""
        words = self._words
        if name in _PADS:
            return (int(np.ravel(self.padding)[_PADS.index(name) - len(_PADS)]),)
        if name in words.several:
            return (getattr(self, self._dialect.table.joined[words.several])[words.several.index(name)],)
        if name == words.entry.learned and self._build_shapes is not None:
            return (self.built_shape()[-1],)
        if name.endswith("_shape"):
            weight = self._of_its_time(name.removesuffix("_shape"))
            return weight and (tuple(weight[0].shape),)
        for fused in (False, True):
            if name in Layout(words.entry.weights, words.entry.weight_names, fused=fused).names():
                weights = self.weights[: self._count_laid_out(self.weights)]
                if not weights:
                    return None
                laid = replace(self.weight_layout(), fused=fused)
                found = laid.place_of(name, len(weights))
                return (None,) if found is None else (self._as_listed(weights[found[0]], laid, found[1]),)
        return None

    def _of_own_build(self, name: str) -> tuple[Any] | None:
        """Today's weight, in a tuple, of the one that a subclass' `build` made by the name of the time."""
        declared = [*type(self)._weights]
        if not self._dialect.table.lists_weights or name not in declared:
            return None
        laid = self._table_layout()
        names = laid.names()
        old = names[declared.index(name)] if len(names) >= len(declared) else ""
        made = {**self._parameters, **self._buffers, **vars(self)}
        if old not in made:
            return None
        return (made[old] if made[old] is None else laid.as_modern([made[old]])[0],)

    def _as_listed(self, weight: Any, laid: Layout, part: int) -> Any:
        lies = lying(weight, laid, part)
        return lies if lies is weight or not outside() else part_of(weight, laid, part)

    def _kept_as(self, name: str) -> str:
        registered, known = {**self._parameters, **self._buffers}, self._words.entry.weight_names.split()
        if name not in known or name in registered or len(registered) != len(known):
            return name
        own = self._own_weights()[known.index(name)]
        return next(key for key, one in registered.items() if one is own)

    def _as_today(self, name: str, value: Any) -> Any:
        """What is to stand for the weight of this name, as that lies today."""
        own = self._kept_as(name)
        lies = vars(self._parameters[own]).get("_lies") if name != own else None
        return value if lies is None else lies.as_modern([value])[0]

    # -- config -----------------------------------------------------------------------------------------------------

    @property
    def _made_for(self) -> str | None:
        """The backend whose arithmetic it follows; None where all have one."""
        return ("theano" if self._theano else "tensorflow") if self._dialect.table.lists_weights else None

    def get_config(self) -> dict[str, Any]:
        generation, entry = self._dialect.table, self._words.entry
        kept = dict(self._as_given)
        if entry.learned and self._build_shapes is not None:
            kept[entry.learned] = self.built_shape()[-1]
        base: dict[str, Any] = {"name": self.name, "trainable": self.trainable}
        if generation.writes_dtype:
            base["dtype"] = written_policy(generation, self.dtype_policy.name)
        shape = vars(self).get("_batch_shape")
        if shape is not None:
            base["batch_input_shape"] = tuple(shape)
            if not generation.writes_dtype:
                base["input_dtype"] = self.input_dtype or settings.floatx()
        if entry.modern == "MergeByMode":
            del base["trainable"]
        kept = {key: self._written(key, value) for key, value in kept.items()}
        modern = {"activity_regularizer": None, **super(Shim, self).get_config()}
        if self.activity_regularizer is not None and modern["activity_regularizer"] is None:
            modern["activity_regularizer"] = serialize.serialize(self.activity_regularizer)
        shape = self.built_shape() if self._build_shapes is not None else None
        if isinstance(kept.get("backward_layer"), dict):
            kept["backward_layer"].pop("build_config", None)
        own = self._words.to_old(modern, kept, shape)
        return {**base, **own, **_of_layer(base, own)}

    def _written(self, key: str, value: Any) -> Any:
        if isinstance(value, InLayout):
            return value.draws
        described = hasattr(value, "get_config")
        return to_old_value(self._dialect.table, key, serialize.serialize(value)) if described else value

    def config_of_copy(self) -> dict[str, Any]:
        """With the order of axes, which Keras 1 leaves out where it was the same in a whole process."""
        unsaved = {"dim_ordering"} & {*self._words.entry.unsaved.split()} if hasattr(self, "data_format") else ()
        own = {key: to_old_value(self._dialect.table, "data_format", self.data_format) for key in unsaved}
        return {**self.get_config(), **own}

    def get_build_config(self) -> dict[str, Any] | None:
        """tf.keras writes it for layers without weights, too, and of a TimeDistributed its layer's."""
        if not self._dialect.table.writes_modules or self._build_shapes is None:
            return super().get_build_config()
        shape = self.built_shape()
        return {"input_shape": (shape[0], *shape[2:]) if isinstance(self, TimeDistributed) else shape}

    def build_from_config(self, config: Mapping[str, Any]) -> None:
        if isinstance(self, TimeDistributed) and "input_shape" in config:
            batch, *rest = config["input_shape"]
            config = {"input_shape": (batch, None, *rest)}
        shape = config.get("input_shape")
        if isinstance(self, MultiHeadAttention):
            return  # the query's shape alone stands there
        if isinstance(self, (RNN, Bidirectional)) and shape is not None and not is_shape(shape):
            config = {"input_shape": shape[0]}  # those of states come behind
        super().build_from_config(config)

    def built_shape(self) -> tuple:
        args, kwargs = self._build_shapes
        shape = args[0] if args else next(iter(kwargs.values()))
        return tuple(shape if is_shape(shape) else shape[0])

    @property
    def input(self) -> Any:
        """What the layer was called on: one symbolic tensor, or a list of all."""
        node = self._only_node("input")
        given = node.args, {key: value for key, value in node.kwargs.items() if key != "mask"}
        tensors = [leaf for leaf in pytree.tree_leaves(given) if isinstance(leaf, SymbolicTensor)]
        return tensors if len(tensors) > 1 else node.input

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
        with serialize.custom_object_scope(custom_objects or {}):
            return cls(**config)

    # -- weights ----------------------------------------------------------------------------------------------------

    def make_weights(self, **sizes: Any) -> None:
        """By the names that tf.keras and Keras 2 give them, where these are others than today's."""
        super().make_weights(**sizes)
        entry, table = self._words.entry, self._dialect.table
        if entry.weight_names and not entry.weights and not table.draws_by_layout:
            for name, weight in zip(entry.weight_names.split(), self.weights, strict=False):
                weight.path = f"{weight.path.removesuffix(weight._name)}{name}"
                weight._name = name
        elif table.draws_by_layout and type(self)._weights and not entry.weights.endswith("gates"):
            made = (self._parameters | self._buffers).values()
            for name, weight in zip(entry.weight_names.split(), made, strict=False):
                if weight is not None:
                    weight.path = weight._name = f"{self.name}_{name}"

    def weight_layout(self) -> Layout:
        """How the arrays of `get_weights` lie, and what they are called; those of a `build` of its own lie as then."""
        found = self._table_layout()
        own = found.kind and self._parameters.keys() & {*found.names()} - {*type(self)._weights}
        return Layout(listed=found.listed) if own and not found.kind.endswith("gates") else found

    def _table_layout(self) -> Layout:
        entry = self._words.entry
        given = self.get_config() if entry.weights == "local" else self._as_given
        config = {**given, "data_format": getattr(self, "data_format", None)}
        shape = self.built_shape() if self._build_shapes and entry.weights in BY_SHAPE else ()
        return layout(entry, config, shape, "theano" if self._theano else "")

    weight_parts = parts_of

    def weight_names(self) -> list[str]:
        """The generation's names of the weights, in the order of `get_weights`."""
        inner = parts_of(self)
        if inner is not None:
            return [name for part in inner for name in part.weight_names()]
        names = self.weight_layout().names()
        return names[: len(self.get_weights())] if names else [getattr(w, "name", "") for w in self.weights]

    def to_old_weights(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Arrays in the modern order and shapes (the weights', or their gradients) as this generation has them."""
        inner = parts_of(self)
        if inner is not None:
            return in_old_order(inner, arrays)
        count = self._count_laid_out(arrays)
        return [*self.weight_layout().to_old(arrays[:count]), *arrays[count:]]

    def get_weights(self) -> list[np.ndarray]:
        """Of a layer around others in tf.keras what is trained comes first."""
        if self._dialect.table.shares_modern and parts_of(self) is not None:
            return trained_first(self)
        return self.to_old_weights(super().get_weights())

    def set_weights(self, weights: Sequence[Any]) -> None:
        inner = parts_of(self)
        if inner is not None:
            check_count(self, weights)
            with all_or_none(self.weights):
                if self._dialect.table.shares_modern:
                    set_trained_first(self, weights)
                    return
                for part, own in shared_out(inner, weights, lambda part: part.get_weights()):
                    part.set_weights(own)
            return
        arrays = list(map(np.asarray, weights))
        check_count(self, arrays)
        count = len(arrays) - len(self.weights) + self._count_laid_out(self.weights)
        super().set_weights([*self.weight_layout().to_modern(arrays[:count]), *arrays[count:]])

    def _count_laid_out(self, weights: Sequence[Any]) -> int:
        """How many of the weights the layout concerns; a subclass' own come behind these."""
        cell = getattr(self, "cell", None) if isinstance(self, RNN) else None
        return len(cell.weights) if isinstance(cell, Layer) else len(weights)

    # -- old methods ------------------------------------------------------------------------------------------------

    def _checked_mask(self, inputs: Any, mask: Any) -> Any:
        alone = type(self).compute_mask is Layer.compute_mask and not self.supports_masking
        if alone and mask is not None and not self._dialect.table.masks_may_end:
            raise TypeError(
                f"Layer {self.name} does not support masking, but was passed an input_mask. Use a layer that does, or "
                "end the mask before it."
            )
        return super()._checked_mask(inputs, mask)

    @property
    def losses(self) -> list[Any]:
        """Keras 1 and 2 list the weights' penalties first."""
        found = super().losses
        if not self._dialect.table.sums_activity:
            return found
        count = len(self.weight_losses())
        return [*found[len(found) - count :], *found[: len(found) - count]]

    def _weights_come_first(self) -> bool:
        return self._dialect.table.sums_activity


class _LambdaWords(_Modern):
    def _call_with_care(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """One whose function names symbolic tensors stands for what the function does.

        tf.keras: raises ValueError where layers in the function make weights, which would be others at each call.
        """
        with put(scope, made=[]):
            inside = any_symbolic(args) and names_symbols(self.function)
            found = self.function(*args, **self.arguments) if inside else super()._call_with_care(args, kwargs)
            made = scope.made or []
        own = {id(weight) for weight in self.weights} if made else ()
        loose = ", ".join(weight.path for weight in made if id(weight) not in own)
        if loose and self._dialect.table.shares_modern:
            raise ValueError(
                f"{named(self)}: its function made the weights {loose}, which are not the layer's: they would never be "
                "trained. Write a layer class that makes them in `build`, or set the layer that has them as an "
                "attribute of the Lambda."
            )
        return found


class _OutputsInList(_Modern):
    def _call_with_care(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Several outputs were a list."""
        found = super()._call_with_care(args, kwargs)
        return list(found) if type(found) is tuple else found


def _load_local(layer: Any, store: Mapping[str, Any]) -> None:
    """From a `.keras` file, in which a local kernel lies as the layer's `implementation` wants it, or as today's."""
    arrays = [np.asarray(store[str(place)]) for place in range(len(store))]
    today = bool(arrays) and arrays[0].shape == tuple(layer.weights[0].shape)
    arrays = arrays if today else layer.weight_layout().to_modern(arrays)
    expected, got = [tuple(weight.shape) for weight in layer.weights], [array.shape for array in arrays]
    if expected != got:
        raise ValueError(f"{named(layer)}: expected weights of shapes {expected}; got {got}.")
    with torch.no_grad():
        for weight, array in zip(layer.weights, arrays, strict=True):
            take(weight, torch.as_tensor(array))


def _zero_states(layer: Any) -> None:
    """Let the next batch start from zeros."""
    _reset_states(layer)


def _summed(layer: Any, outputs: Any) -> list[torch.Tensor]:
    """The penalties of an activity, not divided by the size of the batch."""
    found = []
    for output in (outputs,) if isinstance(outputs, torch.Tensor) else pytree.tree_leaves(outputs):
        if isinstance(output, torch.Tensor):
            found.append(layer.activity_regularizer(output))
    return found


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


def _states(layer: Any) -> list[Any]:
    """The states the next batch starts from; None for each where the layer keeps none, unless some were set."""
    told = vars(layer).get("_told_states")
    return RNN.states.__get__(layer) or told or [None] * len(pytree.tree_leaves(layer.state_size))


def _set_states(layer: Any, states: Any) -> None:
    """Let the next batch start from these. A layer that keeps none only remembers them, as in the originals.

    Raises ValueError for those of another shape.
    """
    if RNN.states.__get__(layer):
        layer.reset_state(states)
    else:
        vars(layer)["_told_states"] = states


def _initial_states(layer: Any, inputs: Any = None, batch_size: int | None = None) -> list[Any]:
    """Zeros for the states of a batch as large as `inputs`, or `batch_size`."""
    if not hasattr(inputs, "shape"):
        return layer._start_states(torch.empty(inputs or batch_size or 0, dtype=layer.dtype_policy.compute))
    return recorded(layer._start_states)(inputs)


def _own_beginning(layer: Any, sequences: Any) -> Any:
    """A subclass' states to start from: the generation's `get_initial_state` takes the inputs."""
    return layer.get_initial_state(sequences)


def _old_shapes(method: Callable, least: int) -> Callable:
    """`compute_output_shape`, which gives several shapes as a list, and takes so many inputs at least."""

    @functools.wraps(method)
    def compute(self: Any, input_shape: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_shape(input_shape) and len(input_shape) < least:
            raise ValueError(f"{named(self)}: call it on a list of at least {least} inputs; got {len(input_shape)}.")
        found = method(self, input_shape, *args, **kwargs)
        found = found if is_shape(found) else list(found)
        return map_shapes(Shape, found) if self._dialect.table.shares_modern else found

    return compute


class _ToldShapes(_Modern):
    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """In shapes that know TensorFlow's words."""
        return map_shapes(Shape, super().compute_output_shape(*args, **kwargs))


def _reset_both(layer: Any) -> None:
    """Let the next batch start from zeros, in both directions. Raises AttributeError unless they are stateful."""
    layer.forward_layer.reset_states()
    layer.backward_layer.reset_states()


class _PenaltyOfMerged:
    """A Bidirectional whose layer's `activity_regularizer` looks at what is merged, and not at each direction."""

    def check(self: Any) -> None:
        regularizer = getattr(self.forward_layer, "activity_regularizer", None)
        super().check()  # type: ignore[misc]
        if regularizer is not None:
            self.activity_regularizer = regularizer
            for one in (self.forward_layer, self.backward_layer):
                vars(one)["_activity_losses"] = _no_losses


def _no_losses(outputs: object) -> list[torch.Tensor]:
    return []


# By generation: which layers were of the kind of another one, beside those whose layers of today are.
_KIN = {
    "keras1": {"Convolution1D": "AtrousConvolution1D", "Convolution2D": "AtrousConvolution2D Deconvolution2D"},
    "keras2": {"Conv2D": "Conv2DTranspose DepthwiseConv2D", "Conv3D": "Conv3DTranspose"},
    "tf_keras": {f"Conv{rank}D": f"Conv{rank}DTranspose" for rank in (1, 2, 3)},
}


def _base(dialect: Dialect, home: str, modern: Any) -> type:
    """What has the old words of a class of this kind."""
    if issubclass(modern, Layer):
        return LayerShim
    if home.startswith("optimizers"):
        return OptimizerOfTape if dialect.table.shares_modern else ListedOptimizer
    return SeededShim if home == "initializers" and "seed" in modern._args else Shim


_LIMITS: Mapping[str, Any] = {"_least": 0}  # of croppings: nothing may be left
# Of lookups, the output modes that give floats; the type of bins' numbers.
_OF_TF_KERAS: Mapping[str, Any] = {"_of_floats": ("one_hot", "multi_hot", "count", "tf_idf"), "_counts_in": torch.int64}


_PADS = ("top_pad", "bottom_pad", "left_pad", "right_pad")  # attributes of Keras 1; its ZeroPadding1D has the last two


def _names_of_time(own: Words, modern: Any) -> frozenset[str]:
    laid = (Layout(own.entry.weights, own.entry.weight_names, fused=fused) for fused in (False, True))
    weights = [name for each in laid for name in each.names()]
    pads = {"ZeroPadding1D": _PADS[2:], "ZeroPadding2D": _PADS}.get(own.name, ())
    return frozenset(
        (*pads, *own.several, own.entry.learned, *weights, *(f"{name}_shape" for name in weights), *modern._weights)
    )


def _built_for(build: Callable) -> Callable:
    """A `build` that calls its shape `input_shape`, too."""
    build = build.__wrapped__  # pyright: ignore[reportFunctionMemberAccess] -- guarded once, as the class' own

    @functools.wraps(build)
    def built(self: Any, *shapes: Any, input_shape: Any = None, **others: Any) -> None:
        build(self, *(shapes if input_shape is None else (input_shape, *shapes)), **others)

    return built


class _SetBy:
    """An argument's old name, by which layers were changed after they were made; `__getattr__` reads it."""

    def __init__(self, old: str, new: str, convert: Callable[[Any], Any] | None):
        self._old, self._new, self._convert = old, new, convert

    def __get__(self, layer: Any, owner: type) -> Any:
        if layer is None:
            return self
        if self._old in layer.__dict__:
            return layer.__dict__[self._old]
        raise AttributeError(self._old)

    def __set__(self, layer: Any, value: Any) -> None:
        old, given = self._old, layer.__dict__.get("_as_given")
        if given is None:  # before `__init__`
            layer.__dict__[old] = value
            return
        value = layer._resolve(old, value)
        given.update({old: value} if old in given else {})
        setattr(layer, self._new, value if self._convert is None else self._convert(value))


def make_class(dialect: Dialect, home: str, name: str, modern: type) -> type:
    """The class of that name: the modern one in the generation's words."""
    own = words(dialect.table, home, name)
    base = _base(dialect, home, modern)
    members: dict[str, Any] = {
        "__module__": dialect.module(home),
        "__doc__": f"{own.name} of Keras {dialect.table.version}: `{modern.__name__}` in its words.",
        "_dialect": dialect,
        "_words": own,
        "_home": dialect.module(home),
        "_instances_of": () if modern is Layer else RNN if modern is RNNWithConstants else modern,
        "_kin": _KIN.get(dialect.table.name, {}).get(own.name, "").split(),
    }
    if base is LayerShim:
        members["_names_of_time"] = _names_of_time(own, modern)
        members |= {"load_own_variables": _load_local} if own.entry.weights == "local" else {}
        members |= {"_activity_losses": _summed} if dialect.table.sums_activity else {}
        members |= of_older(dialect.table) if dialect.table.lists_weights else {}
        now = {old: own.now(old) for old in own.accepted}
        renamed = {old: each[0] for old, each in now.items() if len(each) == 1 and not hasattr(modern, old)}
        members |= {old: _SetBy(old, *new) for old, new in renamed.items() if new[0] in modern._args.keys() - {old}}
    bases: tuple[type, ...] = (base, modern)
    if dialect.table.lists_weights and issubclass(modern, (SimpleRNN, GRU, LSTM)):
        bases = (base, steps.StepsOfOurs, modern)
    if issubclass(modern, (RNN, Bidirectional, Merge)):
        least = 1 if dialect.table.shares_modern else 2
        members["compute_output_shape"] = _old_shapes(modern.compute_output_shape, least)
    bases = (base, *hooks.hooks_of(dialect, modern), *bases[1:])
    members |= hooks.facts_of(dialect, modern)
    limits = {**_LIMITS, **(_OF_TF_KERAS if dialect.table.shares_modern else {})}
    members |= {name: value for name, value in limits.items() if hasattr(modern, name)}
    if issubclass(modern, Lambda):
        bases = (_LambdaWords, *bases)
    if base is LayerShim and dialect.table.shares_modern and modern._has_shape_rule:
        bases = (_ToldShapes, *bases)
    if issubclass(modern, RNN) and not issubclass(modern, WithConstants):
        bases = (_OutputsInList, *bases)
    if issubclass(modern, RNN):
        if steps.StepsOfOurs not in bases:
            members["states"] = property(_states, _set_states)
        members["reset_states"] = _reset_states if dialect.table.resets_to_states else _zero_states
        members |= {"get_initial_state": _initial_states, "_beginning": _own_beginning}
        members |= {} if dialect.table.lists_weights else {"build": _built_for(modern.build)}
    elif issubclass(modern, Bidirectional):
        members |= {"reset_states": _reset_both, "build": _built_for(modern.build)}
        bases = (_PenaltyOfMerged, *bases) if dialect.table.sums_activity else bases
    return CountsOthers(own.name, bases, members)


def make_function(dialect: Dialect, home: str, name: str) -> Callable:
    """A function of that name which returns an object of another class."""
    own = words(dialect.table, home, name)
    return spoken(dialect, home, own, lambda **given: dialect.find(home, own.entry.makes)(**given))


def spoken(dialect: Dialect, home: str, own: Words, meant: Callable) -> Callable:
    """A function of today in the generation's words."""

    def function(*args: Any, **kwargs: Any) -> Any:
        return meant(**own.to_modern(own.bind(args, kwargs), dialect.settings()))

    function.__doc__ = meant.__doc__
    return named_function(function, dialect.module(home), own)


def named_function(function: Any, module: str, own: Words) -> Any:
    """A function with the name and the signature that its generation knows."""
    function.__name__ = function.__qualname__ = own.name
    function.__module__, function.__signature__ = module, own.signature
    return function
