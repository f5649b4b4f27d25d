"""Optimizers that people wrote: for Keras 1 and 2, where `get_updates` says once, for a static graph, what each step
does; for tf.keras by hyperparameters and slots, or by `update_step`."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core import serialize
from ..core.declare import short
from ..core.dtypes import torch_dtype
from ..core.operation import Gradients
from ..core.scope import put
from ..core.symbolic import SymbolicTensor
from ..core.weight import Weight, assign_all
from ..optimizers import Optimizer
from ..optimizers.schedules import LearningRateSchedule
from .dialect import CountsOthers
from .tensors import rests_on
from .updates import Descent, Expression, Update, carry_out, made_of, rule_of, step_gradients

_Sizes = Sequence[int]
_Modern: Any = object  # the modern class, which comes behind in the classes made


class ByUpdates(_Modern):
    """Runs a subclass' own `get_updates(loss, params)`, in Keras 1 `get_updates(params, constraints, loss)`, in every
    step: the variables that it makes are those of the first step, and updates happen when all are found."""

    _dialect: Any

    def get_updates(self, *args: Any, **kwargs: Any) -> list[Any]:
        """A step down a loss, symbolic or an expression of variables, for `K.function`, or down the loss that is
        trained, for the rule of an optimizer that holds this one, or of a subclass, which gets pairs of what
        `K.update` gives: `(loss, params)`, or `(params, constraints, loss)`.

        Raises ValueError for a loss that has its value already.
        """
        if isinstance(self, OptimizerOfUsers):
            raise NotImplementedError(f"{type(self).__name__} needs a method `get_updates`, with its rule.")
        order = ("params", "constraints", "loss") if len(args) == 3 or self._older_order() else ("loss", "params")
        given = {**dict(zip(order, args, strict=False)), **kwargs}
        loss, weights, known = given["loss"], list(given["params"]), step_gradients()
        if not self._in_todays_words() and loss is None and self.__dict__.get("_step_gradients") is not None:
            self.__dict__["updates"] = self._as_pairs(self.get_gradients(loss, weights), weights)
            return self.updates
        if loss is None and known is not None:
            other = vars(self).get("get_gradients")  # of the optimizer that holds this one
            found = [known[id(weight)] for weight in weights] if other is None else other(loss, weights)
            if not self.built:
                self.build(weights)
            count = self._iterations
            self.__dict__["updates"] = [Update((count, count.detach() + 1)), Descent(self, found, weights, False)]
            return self.updates
        if isinstance(loss, Expression):
            return [Descent(self, made_of(Gradients.of, ([loss], weights), {}), weights)]
        if not isinstance(loss, SymbolicTensor):
            raise ValueError(f"{type(self).__name__}.get_updates: `loss` must be symbolic; got {short(loss)}.")
        known = rests_on([loss])
        apart = [weight for weight in weights if id(weight) not in known]
        if apart:
            raise ValueError(
                f"{type(self).__name__}.get_updates: the loss does not rest on {len(apart)} of the weights, "
                f"{apart[0].path} among them. Where their model was called on values, such as those of "
                "K.random_normal, its outputs are values as well: call it on an Input."
            )
        return [Descent(self, Gradients()([loss], weights), weights)]

    def _as_pairs(self, grads: Sequence[Tensor], weights: Sequence[Any]) -> list[Any]:
        """What a step changes, by today's `K.update`, which the rule may have put another in the place of."""
        state = [one for made in self._slots.values() for one in made if one is not None]
        before = [one.detach().clone() for one in (self._iterations, *state, *weights)]
        super()._apply(self._in_order(list(grads), list(weights)))
        after = [one.detach().clone() for one in (*state, *weights)]
        for one, value in zip((self._iterations, *state, *weights), before, strict=True):
            one.detach().copy_(value)  # `_apply` counts the step
        update = importlib.import_module(self._dialect.module("backend")).update
        return [update(one, value) for one, value in zip((*state, *weights), after, strict=True)]

    def _older_order(self) -> bool:
        return self._dialect.table.lists_weights

    def descend(self, gradients: list[Any], weights: list[Any]) -> None:
        """A step by the values that numbers of this optimizer have now, which code may have made follow variables."""
        follow = {name: float(one.anew()) for name, one in vars(self).items() if isinstance(one, Expression)}
        rate = follow.pop("_rate_to_follow", None)
        before = None if rate is None else self._learning_rate.detach().clone()
        with put(self, **follow):
            if before is not None:
                self._learning_rate.assign(rate)
            self.apply(gradients, weights)
        if before is not None:
            self._learning_rate.assign(before)

    def get_gradients(self, loss: Any, params: Sequence[Any]) -> list[Tensor]:
        """The step's gradients, clipped; those of a symbolic loss are symbolic."""
        if isinstance(loss, SymbolicTensor):
            return Gradients()([loss], list(params) if isinstance(params, (list, tuple)) else [params])
        known = self.__dict__.get("_step_gradients") or step_gradients() or {}  # those of one that holds this
        return self._clipped([known[id(param)] for param in params])

    def _apply(self, grads: Sequence[Tensor | None]) -> None:
        if self._in_todays_words():
            super()._apply(grads)
            return
        found = {id(weight): grad for weight, grad in zip(self._weights, grads, strict=True) if grad is not None}
        params = [weight for weight in self._weights if id(weight) in found]
        self.__dict__["_step_gradients"] = found
        constraints = {param: param.constraint for param in params if getattr(param, "constraint", None) is not None}
        given = {"loss": None, "params": params, "constraints": constraints}
        updates = self._asked(given)
        if self.__dict__.get("_stored"):  # from a file, read before there were variables to hold it
            self.set_weights(self.__dict__.pop("_stored"))
            updates = self._asked(given)
        updates = updates or self.updates
        for variable, value in (one for one in updates if isinstance(one, (tuple, list)) and len(one) == 2):
            fixed = isinstance(value, Tensor) and not isinstance(value, Expression)
            if fixed and value.grad_fn is not None:  # in a rule gradients are off
                raise ValueError(
                    f"{type(self).__name__}: the update of {variable.path} has a value that was computed once, before "
                    "the first step. Compute it in `get_updates`, which every step calls."
                )
        carry_out([self._of_now(update) if isinstance(update, Descent) else update for update in updates])
        self._iterations.add_(1)

    def _of_now(self, descent: Descent) -> Descent:
        """Down the gradients of this step, also where the rule told its updates once and hands them on again; not where
        it put a function of its own in the place of those that find them."""
        if "get_gradients" in vars(descent.optimizer):
            return descent
        return descent._replace(gradients=[self.__dict__["_step_gradients"][id(one)] for one in descent.weights])

    def _in_todays_words(self) -> bool:
        return getattr(type(self).get_updates, "__module__", "").startswith("lamina.")

    def _set_capturable(self, value: bool) -> None:
        if not self._in_todays_words():
            raise ValueError(f"{type(self).__name__}: a rule that `get_updates` tells runs step by step.")
        super()._set_capturable(value)

    def _asked(self, given: dict[str, Any]) -> Any:
        names = list(inspect.signature(self.get_updates).parameters)
        if not set(names) <= given.keys():
            names = ["params", "constraints", "loss"] if self._older_order() else ["loss", "params"]
        with rule_of(self.__dict__.setdefault("_made", []), self.__dict__["_step_gradients"]):
            return self.get_updates(*(given[name] for name in names))

    def _clipped(self, grads: list[Tensor]) -> list[Tensor]:
        limit = self.__dict__.get("clipnorm") or 0
        if limit > 0:
            norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(grad) for grad in grads]))
            grads = [grad * (limit / norm) if norm >= limit else grad for grad in grads]
        limit = self.__dict__.get("clipvalue") or 0
        return [grad.clamp(-limit, limit) for grad in grads] if limit > 0 else grads


class WeightsAsArrays(_Modern):
    """The values of `weights` as arrays."""

    def get_weights(self) -> list[np.ndarray]:
        return [each.numpy() for each in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Raises ValueError where their number or shapes are others than those of `get_weights`."""
        assign_all(self, self.weights, weights)


class OptimizerOfUsers(WeightsAsArrays, ByUpdates, Optimizer):
    """Base class of a user's own optimizers, which makes `lr` (or `learning_rate`) and `iterations`; `weights` are the
    variables that files keep."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """One whose `__init__` does not call this one's is as good."""
        made = super().__new__(cls)
        OptimizerOfUsers.__init__(made)
        return made

    def __init__(self, **kwargs: Any):
        unknown = kwargs.keys() - {"clipnorm", "clipvalue", "name"}
        if unknown:
            raise TypeError(f"Unexpected keyword argument passed to optimizer: {min(unknown)}")
        super().__init__(0.0, name=kwargs.get("name"))
        self.__dict__.update({"updates": [], "weights": [], **kwargs})

    def _set_args(self, values: Mapping[str, Any]) -> None:
        """Without the properties that a class which holds another optimizer has, and which ask that one."""
        self.__dict__["_learning_rate"] = values["learning_rate"]
        super()._set_args({name: value for name, value in values.items() if name != "learning_rate"})

    @property
    def iterations(self) -> Any:
        return self.__dict__.get("_counted_steps", self._iterations)

    @iterations.setter
    def iterations(self, value: Any) -> None:
        self.__dict__["_counted_steps"] = value

    @property
    def learning_rate(self) -> Any:
        return self.__dict__.get("_learning_rate")

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(self.learning_rate, Weight) and not isinstance(value, Tensor):
            self.learning_rate.assign(value)
        else:
            self.__dict__["_learning_rate"] = value

    lr = learning_rate

    @property
    def variables(self) -> list[Weight]:
        found: list[Any] = list(self.__dict__.get("weights") or ())
        for place, weight in enumerate(found):
            weight.path = f"{self.name}/{place}"
        return found

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        arrays = [store[str(place)][()] for place in range(len(store))]
        if self.variables:
            self.set_weights(arrays)
        else:
            self.__dict__["_stored"] = arrays

    def get_config(self) -> dict[str, Any]:
        found = {key: self.__dict__.get(key) for key in ("clipnorm", "clipvalue")}
        return {key: value for key, value in found.items() if value is not None}


class _Variables(list):
    listed: Sequence[Weight] = ()

    def __call__(self) -> list[Weight]:
        """Those of `weights`: `variables` was a method up to TensorFlow 2.10."""
        return [*self.listed]


class StepsOfTensorFlow(WeightsAsArrays):
    """What tf.keras' optimizers do besides: steps down a loss, which a function computes or a tape recorded."""

    _averages_begin_with_weights = True
    _counted_in = torch.int64

    @property
    def iterations(self) -> Any:
        """Updates made so far; before the first, a variable that counts them in its place may be set."""
        return super().iterations

    @iterations.setter
    def iterations(self, variable: Any) -> None:
        if self.built:
            raise RuntimeError(
                f"{type(self).__name__}: Cannot set `iterations` to a new Variable after the optimizer's weights have "
                "been created. Set it before the first `apply_gradients`, or give it a value by `iterations.assign`."
            )
        for listed in (self._variables, self._scalars):
            listed[[one is self._iterations for one in listed].index(True)] = variable
        self._iterations = variable

    def compute_gradients(
        self, loss: Any, var_list: Any, tape: Any = None, grad_loss: Tensor | None = None
    ) -> list[tuple[Tensor | None, Tensor]]:
        """Pairs of gradient and weight. Raises ValueError for a loss that is computed already, and no tape of it."""
        from .tensorflow.state import GradientTape

        if callable(loss) and not isinstance(loss, Tensor):
            with tape or GradientTape() as tape:
                loss = loss()
        elif tape is None:
            raise ValueError(
                f"{type(self).__name__}: a loss that is computed already needs the `tape` that recorded it. Pass that, "
                "or a function that computes the loss."
            )
        given: Any = var_list() if callable(var_list) else var_list
        weights = list(given)
        return list(zip(tape.gradient(loss, weights, grad_loss), weights, strict=True))

    _compute_gradients = compute_gradients

    def minimize(
        self, loss: Any, var_list: Any, tape: Any = None, grad_loss: Tensor | None = None, name: str | None = None
    ) -> Tensor:
        """One step down the loss; returns the step counter. Raises ValueError as `compute_gradients` does."""
        return self.apply_gradients(self.compute_gradients(loss, var_list, tape, grad_loss))

    def apply_gradients(
        self,
        grads_and_vars: Iterable[tuple[Tensor | None, Tensor]],
        name: str | None = None,
        skip_gradients_aggregation: bool = False,
        experimental_aggregate_gradients: bool = True,
    ) -> Tensor:
        """As today's; how replicas share gradients says nothing, as there is one."""
        return super().apply_gradients(grads_and_vars)

    def _initial(self, name: str, weight: Tensor) -> Tensor:
        return weight.clone() if name == "average" else super()._initial(name, weight)

    _rules_of_one = frozenset({"update_step", "_resource_apply_dense"})

    @property
    def _of_slots(self) -> bool:
        """Whether the rule is in the words of TensorFlow up to 2.10."""
        return type(self)._resource_apply_dense is not StepsOfTensorFlow._resource_apply_dense

    def _step_of(self, gradient: Tensor, variable: Tensor, rate: object) -> None:
        if not self._of_slots:
            self.update_step(gradient, variable)
        elif "apply_state" in inspect.signature(self._resource_apply_dense).parameters:
            self._resource_apply_dense(gradient, variable, apply_state=None)
        else:
            self._resource_apply_dense(gradient, variable)

    def update_step(self, gradient: Tensor, variable: Tensor) -> None:
        """Update one weight: what an optimizer of one's own defines, and a subclass may do in another way."""
        super().update_step(gradient, variable, self._current_rate())

    def _resource_apply_dense(self, grad: Tensor, var: Tensor, apply_state: dict | None = None) -> None:
        super().update_step(grad, var, self._current_rate())

    # In the words of TensorFlow up to 2.10

    _use_locking = False
    _track_trackable = staticmethod(lambda trackable, *_, **__: trackable)  # an attribute is tracked as it is set

    @functools.cached_property
    def _hyper(self) -> dict[str, Any]:
        return {}

    def _set_hyper(self, name: str, value: object) -> None:
        self._hyper[name] = value
        if name == "learning_rate":
            self.learning_rate = value

    def _get_hyper(self, name: str, dtype: object = None) -> Any:
        if name in ("learning_rate", "lr"):
            value = self.__dict__["_learning_rate"]
        else:
            value = self._hyper[name] if name in self._hyper else getattr(self, name)
        if callable(value) and not isinstance(value, (Tensor, LearningRateSchedule)):
            value = value()
        return value if callable(value) or dtype is None else torch.as_tensor(value).detach().to(torch_dtype(dtype))

    def _serialize_hyperparameter(self, hyperparameter: object) -> Any:
        value = self._get_hyper(hyperparameter) if isinstance(hyperparameter, str) else hyperparameter
        if isinstance(value, LearningRateSchedule):
            return serialize.serialize(value)
        return float(value) if isinstance(value, Tensor) else value

    def _create_slots(self, var_list: Iterable[Tensor]) -> None:
        """Makes the state of each weight; for an optimizer that holds this one."""
        if not self.built:
            self.build(list(var_list))

    def _prepare_local(self, var_device: object, var_dtype: object, apply_state: dict[tuple, dict]) -> None:
        apply_state[var_device, var_dtype]["lr_t"] = self._decayed_lr(var_dtype)

    def _fallback_apply_state(self, var_device: object, var_dtype: object) -> dict:
        state: dict[tuple, dict] = {(var_device, var_dtype): {}}
        self._prepare_local(var_device, var_dtype, state)
        return state[var_device, var_dtype]

    def _decayed_lr(self, var_dtype: Any) -> Tensor:
        """The rate of the next step."""
        return torch.as_tensor(self._current_rate(), dtype=torch_dtype(var_dtype))

    @property
    def variables(self) -> _Variables:
        found = _Variables(super().variables)
        found.listed = self._listed(found)
        return found

    @property
    def weights(self) -> list[Weight]:
        """The number of steps, then each kind of state of all weights; those of Ftrl weight by weight."""
        return self.variables()

    def _listed(self, variables: Iterable[Weight]) -> list[Weight]:
        slots = {} if "linear" in self._slots else self._slots
        places = {id(slot): place for place, kind in enumerate(slots, 1) for slot in slots[kind]}
        found = [each for each in variables if each is not self.__dict__.get("_learning_rate")]
        return sorted(found, key=lambda each: places.get(id(each), 0))


class OptimizerOfTensorFlow(StepsOfTensorFlow, Optimizer, metaclass=CountsOthers):
    """Base class of a user's own optimizers in tf.keras, all of whose optimizers count as instances.

    Its rule is `update_step(gradient, variable)`, or, as up to TensorFlow 2.10, `_resource_apply_dense(grad, var)`
    beside `_set_hyper`, `_create_slots` and `_prepare_local`.
    """

    _instances_of = Optimizer
    _initial_decay = 0.0
    jit_compile = True  # how it runs, not what it computes

    def __init__(self, name: str | None = None, **kwargs: Any):
        self.__dict__["_hyper"] = {}
        rate, decay = kwargs.pop("lr", 0.001), kwargs.pop("decay", 0.0)
        for key in ("jit_compile", "is_legacy_optimizer"):
            kwargs.pop(key, None)
        if kwargs.get("weight_decay") == 0:
            del kwargs["weight_decay"]
        super().__init__(rate, name=name, **kwargs)
        self._initial_decay, self._slot = decay, {}

    # In the words of TensorFlow up to 2.10

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("_hyper", ()):
            return self._get_hyper(name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")

    def __setattr__(self, name: str, value: Any) -> None:
        name = "learning_rate" if name == "lr" else name
        if name == "learning_rate" and "_learning_rate" not in self.__dict__:
            vars(Optimizer)["learning_rate"].fset(self, value)  # the first is no subclass' own property's
            return
        if name in self.__dict__["_hyper"]:
            self.__dict__["_hyper"][name] = value
        if name not in self.__dict__["_hyper"] or name == "learning_rate":
            super().__setattr__(name, value)

    @property
    def lr(self) -> Any:
        return self.learning_rate

    @property
    def _name(self) -> str | None:
        return self.name

    def _decayed_lr(self, var_dtype: object) -> Tensor:
        return super()._decayed_lr(var_dtype) / (1.0 + self._initial_decay * self._iterations.detach())

    def add_slot(
        self, var: Tensor, slot_name: str, initializer: object = "zeros", shape: _Sizes | None = None
    ) -> Weight:
        key = id(var), slot_name
        if key not in self._slot:
            if isinstance(initializer, Tensor):
                self._slot[key] = self.add_variable(initializer.shape, "zeros", initializer.dtype, slot_name)
                return self._slot[key].assign(initializer)
            shape = var.shape if shape is None else shape
            if tuple(shape) == tuple(var.shape):
                self._slot[key] = super().add_variable_from_reference(var, slot_name, initializer)
            else:
                self._slot[key] = self.add_variable(shape, initializer, var.dtype, slot_name)
        return self._slot[key]

    def get_slot(self, var: Tensor, slot_name: str) -> Weight:
        return self._slot[id(var), slot_name]

    def add_weight(
        self, name: str, shape: _Sizes, dtype: object = None, initializer: object = "zeros", **where: object
    ) -> Weight:
        return self.add_variable(shape, initializer, dtype, name)

    def get_slot_names(self) -> list[str]:
        return list(dict.fromkeys(name for _, name in self._slot))

    def _create_slots(self, var_list: Iterable[Tensor]) -> None:
        """Makes the state of each weight."""

    # In those since 2.11

    def _build_learning_rate(self, learning_rate: object) -> Any:
        self.learning_rate = learning_rate
        return self.__dict__["_learning_rate"]

    @property
    def _index_dict(self) -> dict[int, int]:
        return self._places

    def _var_key(self, variable: Tensor) -> int:
        return id(variable)

    def add_variable_from_reference(
        self, model_variable: Tensor, variable_name: str, shape: _Sizes | None = None, initial_value: object = None
    ) -> Weight:
        if shape is not None:
            made = self.add_variable(shape, name=variable_name, dtype=model_variable.dtype)
        else:
            made = super().add_variable_from_reference(model_variable, variable_name)
        if initial_value is not None:
            made.assign(initial_value)
        return made

    def build(self, var_list: Iterable[Tensor]) -> None:
        if not self.built:
            super().build(var_list)
            self._create_slots(self._weights)

    def get_config(self) -> dict[str, Any]:
        clips = {key: getattr(self, key) for key in ("clipnorm", "global_clipnorm", "clipvalue")}
        if self._of_slots:
            return {"name": self.name, **{key: value for key, value in clips.items() if value is not None}}
        shared = ("weight_decay", "use_ema", "ema_momentum", "ema_overwrite_frequency")
        own = {key: getattr(self, key) for key in shared}
        return {"name": self.name, **clips, **own, "jit_compile": self.jit_compile, "is_legacy_optimizer": False}
