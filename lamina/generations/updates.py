"""Updates of variables as Keras 1 and 2 hand them on: pairs of a variable and what it becomes."""

from __future__ import annotations

import copy
import functools
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from ..core.devices import as_chosen
from ..core.layer import scope
from ..core.scope import put
from ..core.symbolic import SymbolicTensor
from ..core.weight import BLIND, Weight


class Expression(Tensor):
    """The value of an expression of variables outside of any call. In a static graph it followed them: so calls,
    steps, updates and `K.eval` find it anew by what made it."""

    _made: tuple[Callable[..., object], object, object]

    @classmethod
    def __torch_function__(cls, func: Any, types: object, args: Any = (), kwargs: Any = None) -> object:
        kwargs = kwargs or {}
        if func in BLIND:
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **kwargs)
        with as_chosen():
            now, named = _of_now((args, kwargs))
            value = func(*now, **named)
        return (
            _remembered(value, func, args, kwargs) if outside() and _of_variables((*args, *kwargs.values())) else value
        )

    def __format__(self, spec: str) -> str:
        return format(self.anew(), spec)

    def __deepcopy__(self, memo: dict[int, object]) -> object:
        return made_of(*copy.deepcopy(self._made, memo))

    def __reduce_ex__(self, protocol: object) -> tuple[object, ...]:
        return made_of, self._made

    def anew(self) -> Tensor:
        """By the values that its variables have now."""
        with torch.enable_grad():  # which may be what it asks for
            return _of_now(self).detach()


def _expressions(made: object) -> list[Expression]:
    return [leaf for leaf in pytree.tree_leaves(made) if isinstance(leaf, Expression)]


def _of_now(given: Any) -> Any:
    """The same with expressions by the values that their variables have now; gradients flow back to these."""
    known: dict[int, Any] = {}
    waiting = _expressions(given)
    while waiting:  # not by recursion: a sum in a loop is a long chain
        latest = waiting[-1]
        missing = [one for one in _expressions(latest._made[1:]) if id(one) not in known]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        if id(latest) not in known:
            function, args, kwargs = latest._made
            args, kwargs = pytree.tree_map_only(Expression, lambda one: known[id(one)], (args, kwargs))
            with put_apart():
                known[id(latest)] = function(*args, **kwargs)
    return pytree.tree_map_only(Expression, lambda one: known[id(one)], given)


def _remembered(value: Any, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """A tensor, or several, that remember what made them."""
    if isinstance(value, (list, tuple)):
        several = (_remembered(one, _part, (function, place, args, kwargs), {}) for place, one in enumerate(value))
        return type(value)(several) if type(value) in (list, tuple) else value
    if type(value) not in (Tensor, Expression):
        return value
    expression = value.as_subclass(Expression)
    expression._made = function, args, kwargs
    return expression


def _part(function: Callable[..., Any], place: int, args: Any, kwargs: Any) -> Any:
    return function(*args, **kwargs)[place]


def made_of(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """What a function makes of variables, and that it was made so."""
    with put_apart():
        return _remembered(function(*_of_now(args), **_of_now(kwargs)), function, args, kwargs)


def _of_variables(values: Iterable[Any]) -> bool | None:
    """Whether there are variables among values, or what was computed of some; None where data or symbols are, too."""
    found = False
    for value in values:
        kind = type(value)
        if kind in (list, tuple):
            inside = _of_variables(value)
        elif kind is Tensor:
            inside = True if isinstance(value._base, Weight) else None
        else:
            inside = None if kind is SymbolicTensor else isinstance(value, (Weight, Expression))
        if inside is None:
            return None
        found = found or inside
    return found


def remembering(function: Callable[..., object], constants: bool = False) -> Callable[..., object]:
    """A function whose results, where it gets variables and code runs once, remember what made them.

    constants: also where it gets none, as what makes a tensor that expressions of variables may hold.
    """

    @functools.wraps(function)
    def remembered(*args: object, **kwargs: object) -> object:
        found = _of_variables((*args, *kwargs.values())) if outside() else None
        return made_of(function, args, kwargs) if found or (constants and found is False) else function(*args, **kwargs)

    return remembered


def _is_new(value: object) -> bool:
    """Whether it is to remember what made it; gates that a cell's `build` cuts out of a kernel see that as they are."""
    return type(value) is Tensor and not (_collecting.building and isinstance(value._base, Weight))


class _Remembering(TorchFunctionMode):
    """Inside, so does all that torch computes."""

    def __torch_function__(self, func: Any, types: object, args: Any = (), kwargs: Any = None) -> object:
        kwargs = kwargs or {}
        value = func(*args, **kwargs)
        new = _is_new(value) and torch.is_grad_enabled() and outside() and _of_variables((*args, *kwargs.values()))
        return _remembered(value, func, args, kwargs) if new else value


def once(build: Callable[..., object]) -> Callable[..., object]:
    """`build` of a layer of users, which in a static graph ran once: what it computes of weights follows these."""

    @functools.wraps(build)
    def building(*args: object, **kwargs: object) -> object:
        remembers = nullcontext() if _collecting.building else _Remembering()
        with put(_collecting, building=True), remembers:
            return build(*args, **kwargs)

    return building


def builds() -> bool:
    """Whether `build` of a layer of users is at work."""
    return _collecting.building


class Standing:
    """A loss in the place of a weight that has a regularizer."""

    def __init__(self, value: Tensor):
        self.value = value

    def regularizer(self, _: object) -> Tensor:
        return _of_now(self.value)


def put_apart() -> AbstractContextManager[None]:
    """Inside, nothing is remembered."""
    return put(_collecting, apart=True)


def _operator(name: str) -> Callable[..., object]:
    def combined(self: Weight, *others: object) -> object:
        plain = getattr(Tensor, name)  # which `install` changes
        found = plain(self, *others)
        new = _is_new(found) and outside() and _of_variables((self, *others))
        return _remembered(found, plain, (self, *others), {}) if new else found

    return combined


_OPERATORS = """
    add radd sub rsub mul rmul truediv rtruediv floordiv rfloordiv mod rmod neg pow rpow matmul rmatmul abs getitem
    lt le gt ge""".split()


OF_VARIABLES = {f"__{name}__": _operator(f"__{name}__") for name in _OPERATORS}


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
    counts: bool = True  # the step; else an update beside it does


class _Collecting(threading.local):
    made: list[Any] | None = None  # the variables that a rule made in its first run, in turn
    place = 0
    gradients: Mapping[int, Any] | None = None  # of the step, by the weight's id
    at_work = building = apart = False


_collecting = _Collecting()


def outside() -> bool:
    """Whether code runs once, in no call and no step."""
    if _collecting.apart:
        return False
    if _collecting.building:
        return True
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
        for update in sorted(updates, key=lambda one: not isinstance(one, Descent)):
            if isinstance(update, Descent):
                update.optimizer.descend(update.gradients, update.weights)
                if not update.counts:
                    update.optimizer._iterations.sub_(1)
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
