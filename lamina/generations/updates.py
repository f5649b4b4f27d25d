"""Updates of variables as Keras 1 and 2 hand them on: pairs of a variable and what it becomes."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils import _pytree as pytree

from ..core.layer import scope
from ..core.scope import put
from ..core.weight import Weight


class Expression(Tensor):
    """The value of an expression of variables outside of any call, which, among updates, is found anew in each step:
    `tau * a + (1 - tau) * b` of a target network."""

    _made: tuple[Callable[..., Any], Any, Any]

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            value = func(*args, **(kwargs or {}))
        return cls.of(value, func, args, kwargs or {}) if type(value) is Tensor else value

    def __format__(self, spec: str) -> str:
        return format(self.detach().as_subclass(Tensor), spec)

    @staticmethod
    def of(value: Any, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """A value that remembers what made it; as it is where code runs in each step."""
        if not outside():
            return value
        expression = value.as_subclass(Expression)
        expression._made = function, args, kwargs
        return expression

    def anew(self) -> Tensor:
        """By the values that its variables have now."""
        function, args, kwargs = pytree.tree_map_only(Expression, Expression.anew, self._made)
        with torch.no_grad(), torch._C.DisableTorchFunctionSubclass():
            return function(*args, **kwargs)


def _remembering(name: str) -> Callable[..., Any]:
    def combined(self: Weight, *others: Any) -> Any:
        plain = getattr(Tensor, name)  # which `install` changes
        found = plain(self, *others)
        return Expression.of(found, plain, (self, *others), {}) if type(found) is Tensor else found

    return combined


_OPERATORS = ("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "neg", "pow")


OF_VARIABLES = {f"__{name}__": _remembering(f"__{name}__") for name in _OPERATORS}


def at_work() -> AbstractContextManager[None]:
    """Inside, steps are taken: expressions have their values for this one."""
    return put(_collecting, at_work=True)


class Update(tuple):
    """`(variable, value)`: what `K.update` gives where it is not done at once."""


class Descent(NamedTuple):
    """What `get_updates` of Keras' own optimizers gives: `K.function`, or the optimizer that asked, carries it out."""

    optimizer: Any
    gradients: list[Any]  # for each of the weights; of a symbolic loss they are symbolic
    weights: list[Any]


class _Collecting(threading.local):
    made: list[Any] | None = None  # the variables that a rule made in its first run, in turn
    place = 0
    gradients: Mapping[int, Any] | None = None  # of the step, by the weight's id
    at_work = False


_collecting = _Collecting()


def outside() -> bool:
    """Whether code runs once, in no call and no step."""
    return not (scope.depth or scope.trying or _collecting.made is not None or _collecting.at_work)


def rule_of(made: list[Any], gradients: Mapping[int, Any]) -> AbstractContextManager[None]:
    """Inside runs, for one step more, a rule written for a static graph: updates are handed on, and the variables it
    makes are those it made in the first step."""
    return put(_collecting, made=made, place=0, gradients=gradients)


def step_gradients() -> Mapping[int, Any] | None:
    """Those of the step whose rule runs, by the weight's id; None outside of rules."""
    return _collecting.gradients


def made_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """What makes a variable, made to give in every step of a rule the one of its first step."""

    @functools.wraps(function)
    def making(*args: Any, **kwargs: Any) -> Any:
        made = _collecting.made
        if made is None:
            return function(*args, **kwargs)
        if _collecting.place == len(made):
            value = function(*args, **kwargs)
            made.append(value if isinstance(value, Weight) else Weight(value, trainable=False, name=kwargs.get("name")))
        _collecting.place += 1
        return made[_collecting.place - 1]

    return making


def change(variable: Any, value: Any) -> Any:
    """Give a variable a value: at once, or in a layer's call and a rule by the pair that is handed on."""
    update = Update((variable, value))
    if scope.depth or _collecting.made is not None:
        return update
    carry_out([update])
    return variable


def at_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """An update made to happen wherever it is called (tf.keras), but for trials without values."""

    @functools.wraps(function)
    def updating(*args: Any, **kwargs: Any) -> Any:
        found = function(*args, **kwargs)
        if not isinstance(found, Update) or _collecting.made is not None:
            return found
        carry_out([found])
        return found[0]

    return updating


def carry_out(updates: Sequence[Any]) -> None:
    """Give variables the values that go with them, all found before. What is no pair has happened already."""
    with torch.no_grad():
        now = {id(value): value.anew() for value in pytree.tree_leaves([*updates]) if isinstance(value, Expression)}
        for update in updates:
            if isinstance(update, Descent):
                update.optimizer.apply(update.gradients, update.weights)
            elif isinstance(update, (tuple, list)) and len(update) == 2 and isinstance(update[0], Tensor):
                variable, value = update
                value = now.get(id(value), value)
                if not isinstance(value, FakeTensor) and not scope.trying:
                    target, value = variable.detach(), torch.as_tensor(value)
                    if value.shape != target.shape:
                        raise ValueError(
                            f"An update of a variable of shape {tuple(target.shape)} has shape {tuple(value.shape)}."
                        )
                    target.copy_(value)
