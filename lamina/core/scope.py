"""What a call hands down to the layers inside it, and names."""

from __future__ import annotations

import gc
import itertools
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary


class _Scope(threading.local):
    """What a call hands down to the layers inside it; every thread has its own."""

    training: bool | None = None
    depth = 0
    path: tuple[str, ...] = ()
    caller: tuple[object, str] | None = None  # who opened the innermost `name_scope`, if that is known, and its name
    calls_left: int | None = None  # how many more calls may be recorded; None: any number
    remat: Any = None  # how layers made now are to be rematerialized
    context: Mapping[str, Any] = MappingProxyType({})  # what calls around told the layers inside, by argument
    trying = False  # a trial on tensors without values is in progress
    trial_on_zeros = False  # the tensors of trials have values after all: zeros
    gathered: list[tuple[Any, str]] | None = None  # weights put together during a call, and their registers
    made: list[Any] | None = None  # weights that layers make from now on, where someone asks
    by_running = False  # shapes of outputs come from running layers, whatever rules they have

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.losses: WeakKeyDictionary[Any, list[Any]] = WeakKeyDictionary()  # by layer: what its last call added


scope = _Scope()

asking: dict[int, list[tuple[Any, Any, Watched]]] = {}  # by thread, while its step asks for scores: those told so far


class Watched:
    """Stands for a softmax or sigmoid and does the same. Where its thread asks, it also tells its result, what it was
    given (the scores) and itself: a loss can do with the scores where a model's output is that very result."""

    def __init__(self, function: Callable):
        self.stands_for = function

    def __call__(self, x: Any) -> Any:
        y = self.stands_for(x)
        if asking and scope.thread in asking:
            asking[scope.thread].append((y, x, self))
        return y

    def __reduce__(self) -> Any:
        return _itself, (self.stands_for,)  # copies and files hold the function


def _itself(function: Callable) -> Callable:
    return function


@contextmanager
def put(holder: Any, **values: Any) -> Iterator[None]:
    """Inside, attributes of an object have other values."""
    outer = {name: getattr(holder, name) for name in values}
    vars(holder).update(values)
    try:
        yield
    finally:
        vars(holder).update(outer)


@contextmanager
def in_mode(modules: Iterable[Any], training: bool) -> Iterator[None]:
    """Inside, these modules have this flag, each by itself; afterwards those they had."""
    flags = [(each, each.training) for each in modules]
    try:
        for each, _ in flags:
            each.training = training
        yield
    finally:
        for each, flag in flags:
            each.training = flag


def told(training: bool) -> AbstractContextManager[None]:
    """Inside, this thread's calls are in training or not, whatever flags layers have."""
    return put(scope, training=training)


def at_most(calls: int) -> AbstractContextManager[None]:
    """Inside, no more than so many calls on symbolic tensors: nested models may multiply them beyond measure."""
    return put(scope, calls_left=calls)


class name_scope:
    """Inside, weights and layers have a path that begins with `name`, and with the names of the scopes around it.

    deduplicate: with True, a scope within one of the same `caller` and name counts as that one. override_parent: what
    stands before the name in place of the scopes around it. Raises ValueError unless `name` is a text without "/".
    """

    def __init__(self, name: str, caller: object = None, deduplicate: bool = True, override_parent: str | None = None):
        if not isinstance(name, str) or "/" in name:
            raise ValueError(f'name_scope: `name` must be a text without "/"; got {name!r}.')
        self.name, self.caller, self.deduplicate, self.override_parent = name, caller, deduplicate, override_parent
        self._outer: list[tuple[tuple[str, ...], tuple[object, str] | None]] = []

    def __enter__(self) -> name_scope:
        path, caller = scope.path, scope.caller
        self._outer.append((path, caller))
        before = path if self.override_parent is None else tuple(self.override_parent.split("/"))
        scope.caller = None if self.caller is None else (self.caller, self.name)
        again = self.deduplicate and caller is not None and caller[0] is self.caller and caller[1] == self.name
        scope.path = path if again else (*before, self.name)
        return self

    def __exit__(self, *exception: object) -> None:
        scope.path, scope.caller = self._outer.pop()


_builders: WeakKeyDictionary[Any, threading.RLock] = WeakKeyDictionary()  # by the layer whose weights are made
_one_at_a_time = threading.Lock()


def building(layer: Any) -> threading.RLock:
    """Inside, no other thread makes this layer's weights: of two first calls at once one waits for the other."""
    with _one_at_a_time:
        return _builders.setdefault(layer, threading.RLock())


_name_counts: dict[str, Iterator[int]] = {}


def snake_case(name: str, small: str = "[a-z]") -> str:
    """ "Conv2DTranspose" -> "conv2d_transpose", as Keras names layers. A capital and what is `small` begin a word."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(f"(.)([A-Z]{small}+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def count_name(prefix: str) -> int:
    """0, 1, 2, ... for each prefix, until `clear_session`."""
    return next(_name_counts.setdefault(prefix, itertools.count()))


def unique_name(prefix: str) -> str:
    """`prefix`, then `prefix_1`, `prefix_2`, ... within the process, until `clear_session`."""
    count = count_name(prefix)
    return f"{prefix}_{count}" if count else prefix


def clear_session(free_memory: bool = True) -> None:
    """Start automatic names afresh; `free_memory` collects at once what nothing refers to any more."""
    _name_counts.clear()
    if free_memory:
        gc.collect()
