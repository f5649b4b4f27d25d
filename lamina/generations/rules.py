"""Optimizers that people wrote for Keras 1 and 2: `get_updates` says once, for a static graph, what each step does."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..core.declare import short
from ..core.operation import Gradients
from ..core.symbolic import SymbolicTensor
from ..core.weight import Weight
from ..optimizers import Optimizer
from .tensors import rests_on
from .updates import Descent, Expression, carry_out, rule_of, step_gradients

_Modern: Any = object  # the modern class, which comes behind in the classes made


class ByUpdates(_Modern):
    """Runs a subclass' own `get_updates(loss, params)`, in Keras 1 `get_updates(params, constraints, loss)`, in every
    step: the variables that it makes are those of the first step, and updates happen when all are found."""

    _dialect: Any

    def get_updates(self, *args: Any, **kwargs: Any) -> list[Any]:
        """A step down a symbolic loss, for `K.function`, or down the loss that is trained, for the rule of an optimizer
        that holds this one: `(loss, params)`, or `(params, constraints, loss)`.

        Raises ValueError for a loss that has its value already.
        """
        if type(self).get_updates is not ByUpdates.get_updates or isinstance(self, OptimizerOfUsers):
            raise NotImplementedError(f"{type(self).__name__} needs a method `get_updates`, with its rule.")
        order = ("params", "constraints", "loss") if len(args) == 3 or self._older_order() else ("loss", "params")
        given = {**dict(zip(order, args, strict=False)), **kwargs}
        loss, weights, known = given["loss"], list(given["params"]), step_gradients()
        if loss is None and known is not None:
            return [Descent(self, [known[id(weight)] for weight in weights], weights)]
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

    def _older_order(self) -> bool:
        return self._dialect.table.lists_weights

    def get_gradients(self, loss: Any, params: Sequence[Any]) -> list[Tensor]:
        """The step's gradients, clipped; only the loss that is trained has some."""
        return [self._step_gradients[id(param)] for param in params]

    def _apply(self, grads: Sequence[Tensor | None]) -> None:
        if self._in_todays_words():
            super()._apply(grads)
            return
        found = {id(weight): grad for weight, grad in zip(self._weights, grads, strict=True) if grad is not None}
        params = [weight for weight in self._weights if id(weight) in found]
        self.__dict__["_step_gradients"] = dict(zip(found, self._clipped([*found.values()]), strict=True))
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
        carry_out(updates)
        self._iterations.add_(1)

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


class OptimizerOfUsers(ByUpdates, Optimizer):
    """Base class of a user's own optimizers, which makes `lr` (or `learning_rate`) and `iterations`; `weights` are the
    variables that files keep."""

    iterations: Any = None

    def __init__(self, **kwargs: Any):
        unknown = kwargs.keys() - {"clipnorm", "clipvalue", "name"}
        if unknown:
            raise TypeError(f"Unexpected keyword argument passed to optimizer: {min(unknown)}")
        super().__init__(0.0, name=kwargs.get("name"))
        self.__dict__.update({"updates": [], "weights": [], **kwargs})
        if self.iterations is None:
            self.iterations = self._iterations

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

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Raises ValueError where their number or shapes are others than those of `weights`."""
        variables = self.variables
        if len(variables) != len(weights):
            raise ValueError(f"{type(self).__name__}: expected {len(variables)} arrays; got {len(weights)}.")
        for variable, value in zip(variables, weights, strict=True):
            variable.assign(value)

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        arrays = [store[str(place)][()] for place in range(len(store))]
        if self.variables:
            self.set_weights(arrays)
        else:
            self.__dict__["_stored"] = arrays

    def get_weights(self) -> list[Any]:
        return [weight.numpy() for weight in self.variables]

    def get_config(self) -> dict[str, Any]:
        found = {key: self.__dict__.get(key) for key in ("clipnorm", "clipvalue")}
        return {key: value for key, value in found.items() if value is not None}
