"""Calls with other values of weights, which change nothing outside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from .errors import named, short, show_shape
from .random import Place, SeedState
from .scope import scope
from .weight import BLIND, Weight


class _Held(NamedTuple):
    weight: Tensor  # kept, so that no other tensor gets its id
    value: Tensor
    version: int  # of the value, when it was only read


class StatelessScope(TorchFunctionMode):
    """Inside, weights have other values, and what is written to weights stays inside. For this thread alone.

    state_mapping: pairs of a weight, or a stream's state, and its value. collect_losses: `losses` are what calls inside
    have added. Outside, only streams of random numbers that the mapping does not name have gone on. Raises ValueError
    for keys that are no weights, and for values of another shape.
    """

    def __init__(
        self,
        state_mapping: Iterable[tuple[Tensor, Any]] | None = None,
        collect_losses: bool = False,
        initialize_variables: bool = True,
    ):
        super().__init__()
        self.collect_losses = collect_losses
        self._held: dict[int, _Held] = {}
        self._added: list[Tensor] = []
        self._streams: list[tuple[SeedState, Place]] = []
        self._losses: WeakKeyDictionary[object, list[Tensor]] = WeakKeyDictionary()
        self._outer: list[WeakKeyDictionary[object, list[Tensor]]] = []
        for variable, value in state_mapping or ():
            if not isinstance(variable, nn.Parameter):
                raise ValueError(f"StatelessScope: the keys of `state_mapping` must be weights; got {short(variable)}.")
            value = torch.as_tensor(value, device=variable.device)
            if value.shape != variable.shape:
                raise ValueError(
                    f"StatelessScope: weight {getattr(variable, 'path', '')!r} has shape {show_shape(variable.shape)}; "
                    f"got a value of shape {show_shape(value.shape)}."
                )
            self.add_update((variable, value.to(variable.dtype)))

    def __enter__(self) -> StatelessScope:
        super().__enter__()
        self._outer.append(scope.losses)
        scope.losses = self._losses
        for state, value, _ in self._held.values():
            if isinstance(state, SeedState):
                self._streams.append((state, state.stream.place()))
                state.stream.begin(*value.tolist())
        return self

    def __exit__(self, *exception: object) -> None:
        for state, place in self._streams:
            self._held[id(state)] = _Held(state, state.stream.state.detach().clone(), -1)
            state.stream.go_to(place)
        self._streams.clear()
        scope.losses = self._outer.pop()
        super().__exit__(*exception)

    @property
    def losses(self) -> list[Tensor]:
        """What calls inside have added to the loss, with `collect_losses`."""
        found = [loss for losses in self._losses.values() for loss in losses] if self.collect_losses else []
        return found + self._added

    def add_loss(self, loss: Tensor) -> None:
        self._added.append(loss)

    def add_update(self, update: tuple[Tensor, Tensor]) -> None:
        """Give a weight a value: `(weight, value)`."""
        variable, value = update
        self._held[id(variable)] = _Held(variable, torch.as_tensor(value).clone(), -1)

    def get_current_value(self, variable: Tensor) -> Tensor | None:
        """The value that a weight was given, here or by `state_mapping`; None where it was given none."""
        held = self._held.get(id(variable))
        if held is None or (held.weight.requires_grad and held.value._version == held.version):
            return None
        return held.value  # kernels of normalization write to state without telling

    def value_of(self, variable: Tensor) -> Tensor:
        """The value of a weight in `state_mapping`, as it is now."""
        return self._held[id(variable)].value

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # Where a dispatch mode runs, it is that of FakeTensors, which looks at shapes alone.
        if func in BLIND or torch._C._len_torch_dispatch_stack():
            return func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        in_place = name.endswith("_") and (name[:2] != "__" or name[2] == "i")
        see = self._written if in_place else self._seen
        seen_args, seen_kwargs = pytree.tree_map_only(Tensor, see, (args, kwargs or {}))
        result = func(*seen_args, **seen_kwargs)
        return args[0] if in_place and args and result is seen_args[0] else result

    def _seen(self, x: Tensor) -> Tensor:
        """What stands in for a tensor: for a weight its value here, which is its own until it is written to."""
        held = self._held.get(id(x))
        if held is not None:
            return held.value
        alias = getattr(x, "stands_for", None)
        if alias is not None:
            return self._seen(alias).detach()
        if not isinstance(x, Weight):
            return x
        value = x.clone()
        self._held[id(x)] = _Held(x, value, value._version)
        return value

    def _written(self, x: Tensor) -> Tensor:
        value = self._seen(x)
        for key in (id(x), id(getattr(x, "stands_for", None))):
            if key in self._held:  # fused kernels write without telling
                self._held[key] = self._held[key]._replace(version=-1)
        return value


def paired(
    owner: object, name: str, variables: Sequence[Tensor], values: Sequence[Any]
) -> Iterator[tuple[Tensor, Any]]:
    """Weights with their values. Raises ValueError unless there are as many."""
    if len(values) != len(variables):
        raise ValueError(
            f"{named(owner)}: `{name}` must be as many tensors as it has of these weights, {len(variables)}; "
            f"got {len(values)}."
        )
    return zip(variables, values, strict=True)


class SymbolicScope:
    """Inside, code can know by `in_symbolic_scope()` that shapes are traced, and not data computed."""

    def __enter__(self) -> SymbolicScope:
        self._outer, scope.trying = scope.trying, True
        return self

    def __exit__(self, *exception: object) -> None:
        scope.trying = self._outer


def in_symbolic_scope() -> bool:
    """Whether a `SymbolicScope` is open in this thread, or the shapes of a model are being traced."""
    return scope.trying
