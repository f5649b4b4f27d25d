"""Rematerialization: what a call computed on its way is computed again for the gradients, not kept in memory."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils import _pytree as pytree

from . import symbolic
from .declare import short
from .devices import modes
from .fusion import around
from .random import streams_of
from .scope import scope

_MODES = ("full", "activations", "larger_than", "list_of_layers", None)


def remat(f: Callable) -> Callable:
    """`f`, a function or layer, that keeps only its inputs for the backward pass, which then calls it once more.

    Dropout draws the same again, and moving statistics change once.
    """

    @functools.wraps(f)
    def again(*args: Any, **kwargs: Any) -> Any:
        return _twice(f, _module_of(f), args, kwargs)

    return again


class RematScope:
    """Inside, layers are made such that their calls are rematerialized, which costs time and saves memory.

    mode: "full": all; "activations": those with an activation; "larger_than": those whose output has more than
    `output_size_threshold` values; "list_of_layers": those whose names are in `layer_names`; None: none.
    Raises ValueError for another mode.
    """

    def __init__(
        self, mode: str | None = "full", output_size_threshold: int = 1024, layer_names: Sequence[str] | None = None
    ):
        if mode not in _MODES:
            raise ValueError(f"RematScope: `mode` must be one of {', '.join(map(repr, _MODES))}; got {short(mode)}.")
        self.mode, self.output_size_threshold = mode, output_size_threshold
        self.layer_names = list(layer_names or ())
        self._outer: list[RematScope | None] = []

    def __enter__(self) -> RematScope:
        self._outer.append(scope.remat)
        scope.remat = self
        return self

    def __exit__(self, *error: object) -> None:
        scope.remat = self._outer.pop()

    def install(self, layer: Any) -> None:
        """Let the layer's calls be rematerialized, as far as the scope says."""
        call = vars(layer).get("call") or functools.partial(type(layer).call, layer)
        made = around(layer, _call, layer, call, self)
        vars(layer).update(call=made, forward=made, _remat=self)

    def concerns(self, layer: Any, args: tuple, kwargs: dict[str, Any]) -> bool:
        """Whether this call of a layer is to be rematerialized."""
        if self.mode == "list_of_layers":
            return layer.name in self.layer_names
        if self.mode == "activations":
            activation = getattr(layer, "activation", None)
            return activation is not None and getattr(activation, "__name__", "") != "linear"
        return self.mode == "full" or _output_size(layer, args, kwargs) > self.output_size_threshold


def _call(layer: Any, call: Callable, how: RematScope, /, *args: Any, **kwargs: Any) -> Any:
    if torch.is_grad_enabled() and not scope.trying and how.concerns(layer, args, kwargs):
        return _twice(call, layer, args, kwargs)
    return call(*args, **kwargs)


def _output_size(layer: Any, args: tuple, kwargs: dict[str, Any]) -> int:
    told = {key: value for key, value in kwargs.items() if key != "training"}
    args, kwargs = pytree.tree_map(symbolic.symbol_of, (args, told))
    found = pytree.tree_leaves(symbolic.infer(layer, args, kwargs))
    return sum(math.prod(leaf.shape) for leaf in found if hasattr(leaf, "shape"))


def _module_of(f: Any) -> Any:
    """The layer that a function is, or is a method of."""
    owner = getattr(f, "__self__", f)
    return owner if isinstance(owner, torch.nn.Module) else None


def _twice(f: Callable, layer: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """f(*args, **kwargs), of which nothing is kept but the arguments and what it takes to do the same again."""
    if not torch.is_grad_enabled() or torch.compiler.is_compiling() or symbolic.any_symbolic(args, kwargs):
        return f(*args, **kwargs)  # a compiler decides itself what to compute again
    if modes():  # a StatelessScope, which is over when gradients are computed
        return f(*args, **kwargs)
    from torch.utils.checkpoint import checkpoint

    before, first = Moment(layer), True

    def run(*args: Any, **kwargs: Any) -> Any:
        nonlocal first
        if first:
            first = False
            return f(*args, **kwargs)
        now = Moment(layer)
        before.come_back()
        try:
            return f(*args, **kwargs)
        finally:
            now.come_back()

    return checkpoint(run, *args, use_reentrant=False, **kwargs)


class Moment:
    """What a call depends on beside its arguments: what is handed down to it, the weights that stand in for the
    layer's, its state, its random streams."""

    def __init__(self, layer: Any):
        self.scope = scope.training, scope.depth, scope.path
        self.register: Any = getattr(layer, "_parameters", None)
        self.standing = getattr(self.register, "standing", {}).get(scope.thread)
        self.state = [] if layer is None else [(buffer, buffer.detach().clone()) for buffer in layer.buffers()]
        self.streams = [] if layer is None else [(stream, stream.place()) for stream in streams_of(layer)]

    def come_back(self) -> None:
        scope.training, scope.depth, scope.path = self.scope
        if hasattr(self.register, "standing"):
            self.register.standing[scope.thread] = self.standing
        for buffer, value in self.state:
            buffer.data.copy_(value)  # not seen by autograd, for which nothing has changed
        for stream, place in self.streams:
            stream.go_to(place)
