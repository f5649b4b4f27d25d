"""Who is at work on which modules: threads share the modules' `training` flags, gradients, metrics and states.

The flags belong to whoever was there first, and to those who want the same. Who wants the other flag meanwhile leaves
them alone and sets `scope.training` of its own thread, which goes before the flags; what cannot be right is refused.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any

import torch
from torch import nn

from .children import Children
from .errors import named
from .scope import scope

_at_work: list[_Work] = []
_lock = threading.RLock()


class _Work:
    training: bool | None = None  # the flag it relies on
    by_scope = False  # it has set that of its thread
    alone_in: str | None = None  # what no other thread may do at the same time

    def __init__(self, of: nn.Module | list[nn.Module]):
        self._of, self.thread = of, scope.thread
        self.before: list[tuple[nn.Module, bool]] = []  # flags to be put back

    @functools.cached_property
    def modules(self) -> dict[int, nn.Module]:
        return {id(module): module for module in self._of} if isinstance(self._of, list) else modules_inside(self._of)

    def beside(self) -> list[_Work]:
        """The works of other threads on some of these modules."""
        others = [work for work in _at_work if work.thread != self.thread]
        return [work for work in others if not self.modules.keys().isdisjoint(work.modules)]


@contextmanager
def training_flags(
    owner: Any, of: nn.Module | list[nn.Module], training: bool, put: Callable[[bool], Any]
) -> Iterator[Collection[nn.Module]]:
    """Inside, this thread's calls of a module and all in it, or of those in a list, train or not; afterwards all flags
    are as before. `put` sets them. Gives these modules.

    Raises RuntimeError, before any change, where another thread is at work on them and it cannot be right.
    """
    work, outer = _Work(of), scope.training
    with _lock:
        beside = work.beside()
        if beside:
            _check_states(owner, work, beside)
        holders = [one for one in beside if one.training is not None]
        within = [one for one in _at_work if one.thread == work.thread and one.by_scope]
        if any(one.training != training for one in holders):
            _check_flags(owner, work, training)
            work.by_scope = True
        else:
            held = {key for one in holders for key in one.modules} if holders else ()  # others put these back
            work.before = [(module, module.training) for key, module in work.modules.items() if key not in held]
            work.training, work.by_scope = training, bool(within)
            if any(flag != training for _, flag in work.before):
                put(training)
        if work.by_scope:
            scope.training = training
        _at_work.append(work)
    try:
        yield work.modules.values()
    finally:
        with _lock:
            _at_work.remove(work)
            if work.by_scope:
                scope.training = outer
            holders = [one for one in work.beside() if one.training is not None]
            for module, flag in work.before:
                holder = next((one for one in holders if id(module) in one.modules), None) if holders else None
                if holder is not None:
                    holder.before.append((module, flag))
                elif module.training != flag:
                    put_flag(module, flag)


@contextmanager
def alone_in(what: str, model: Any) -> Iterator[None]:
    """Inside, no other thread trains or measures a model with these modules: gradients and metrics are kept there.

    Raises RuntimeError where one does already.
    """
    work = _Work(model)
    with _lock:
        other = next((one.alone_in for one in work.beside() if one.alone_in is not None), None)
        if other is not None:
            raise RuntimeError(
                f"{named(model)}: another thread is in `{other}` of it, or of a model with the same layers; `{what}` "
                f"at the same time would mix their results. {_REPAIR}"
            )
        work.alone_in = what
        _at_work.append(work)
    try:
        yield
    finally:
        with _lock:
            _at_work.remove(work)


@contextmanager
def aside() -> Iterator[None]:
    """Inside, calls of what this thread trains are inference unless told; what it is made to train there, trains."""
    with _lock:
        begun = [work for work in _at_work if work.thread == scope.thread and work.training and not work.by_scope]
    outer = scope.training
    if not begun or outer is not None:
        yield
        return
    scope.training = False
    for work in begun:
        work.by_scope = True
    try:
        yield
    finally:
        scope.training = outer
        for work in begun:
            work.by_scope = False


def put_flag(module: nn.Module, training: bool) -> None:
    """`module.training = training`, of layers without the way through `__setattr__`."""
    if "_care" in vars(module) and not hasattr(type(module), "training"):
        vars(module)["training"] = training
    else:
        module.training = training


def keeps_states(module: nn.Module) -> bool:
    """Whether what a module computes depends on the batches before, in inference as well."""
    stated = vars(module).get("stateful", getattr(type(module), "stateful", False))
    return bool(stated) and not isinstance(stated, property)  # as models have it, who ask their layers


def phase() -> bool | None:
    """Whether this thread's calls are in training, as far as a call or the work it does on a model has said so."""
    told = [work.training for work in _at_work if work.thread == scope.thread and work.training is not None]
    return scope.training if scope.training is not None or not told else told[-1]


_REPAIR = "Wait until that is done, or work on a copy made before: copy.deepcopy(model)."


def modules_inside(root: nn.Module) -> dict[int, nn.Module]:
    """A module and those inside it by their id, in the order of `root.modules()`."""
    found: dict[int, nn.Module] = {}
    waiting: list[Any] = [root]
    while waiting:
        module = waiting.pop()
        if module is not None and id(module) not in found:
            found[id(module)] = module
            if inner := module._modules:
                waiting += reversed([*inner.values()])
    return {key: module for key, module in found.items() if type(module) is not Children}


def _check_states(owner: Any, work: _Work, beside: list[_Work]) -> None:
    for key, module in work.modules.items():
        if keeps_states(module) and any(key in one.modules for one in beside):
            raise RuntimeError(
                f"{named(owner)}: another thread is at work on {named(module)}, which keeps states from batch to "
                f"batch; two would mix them. {_REPAIR}"
            )


def _check_flags(owner: Any, work: _Work, training: bool) -> None:
    wanted, other = ("training", "inference") if training else ("inference", "training")
    for module in work.modules.values():
        if _reads_flag(module):
            raise RuntimeError(
                f"{named(owner)}: cannot be in {wanted} while another thread has it in {other}: the code of "
                f"{named(module)} goes by its own `training`, which the threads share. {_REPAIR}"
            )


def _reads_flag(module: nn.Module) -> bool:
    """Whether code of the module, Lamina's and that of `torch.nn.Module` itself apart, uses its own flag."""
    if isinstance(module, torch.jit.ScriptModule):
        return True
    classes = [cls for cls in type(module).__mro__ if cls is not nn.Module and not cls.__module__.startswith("lamina.")]
    functions = [value for holder in (*classes, module) for value in vars(holder).values() if callable(value)]
    codes = (getattr(inspect.unwrap(function), "__code__", None) for function in functions)
    return any(code is not None and _uses_flag(code) for code in codes)


def _uses_flag(code: CodeType) -> bool:
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return not {"training", "train", "eval"}.isdisjoint(code.co_names) or any(map(_uses_flag, inner))
