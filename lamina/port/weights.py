"""Weights alone, from a model to the names and shapes of torch's and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..core.errors import named, quoted, show_shape
from .writer import Weights

_SECOND = 1 << 50
_ANY = 1 << 60


class Places(Weights):
    """Each value of a weight as its place among all, counted down from -1; of what has to be a number, that number."""

    def __init__(self) -> None:
        self.weights: dict[int, tuple[Tensor, int]] = {}
        self.count = 0

    def of(self, weight: Tensor) -> Tensor:
        if id(weight) not in self.weights:
            self.weights[id(weight)] = weight, self.count
            self.count += weight.numel()
        start = self.weights[id(weight)][1]
        return -1 - torch.arange(start, start + weight.numel()).reshape(weight.shape)

    def rest(self, weight: Tensor) -> Tensor:
        return self.of(weight) - _SECOND

    def constant(self, value: Tensor) -> Tensor:
        return torch.full(value.shape, _ANY)


def load(model: Any, places: Mapping[str, Tensor], source: Places, state: Mapping[str, Tensor], what: str) -> None:
    """Give a model the values of a state of torch's, whose places say where each comes from.

    Raises ValueError, with no weight changed, for names and shapes that are not those of `to_torch(model)`, and for
    values that the model has no weight for.
    """
    needed = {name for name, place in places.items() if not bool((place == _ANY).any())}
    pairs = {"misses": sorted(needed - state.keys()), "has unknown": sorted(state.keys() - places.keys())}
    words = [f"{word} {quoted(names[:5])}" for word, names in pairs.items() if names]
    if words:
        raise ValueError(f"{what}: the state for {named(model)} {' and '.join(words)}.")
    own = {id(each) for each in (*model.parameters(), *model.buffers())}
    if not source.weights.keys() <= own:
        raise ValueError(f"{what}: {named(model)} is adapted by LoRA; load its weights before `enable_lora`.")
    values = torch.zeros(source.count, dtype=torch.float64)
    more = []
    for name in sorted(needed):
        place, given = places[name].long(), state[name].detach().to("cpu", torch.float64)
        if given.shape != place.shape:
            shapes = f"{show_shape(place.shape)}; got {show_shape(given.shape)}"
            raise ValueError(f"{what}: {name!r} must have shape {shapes}.")
        fixed, second = place >= 0, place <= -_SECOND
        if not torch.equal(given[fixed], place[fixed].double()):
            raise ValueError(
                f"{what}: {named(model)} has no weight for {name!r}, which must be {int(place[fixed][0])} throughout. "
                "Make the layer with that weight."
            )
        first = ~fixed & ~second
        values[-1 - place[first]] = given[first]
        more.append((-1 - _SECOND - place[second], given[second]))
    for second, given in more:
        values.index_add_(0, second, given)
    frozen = [
        places[name] for name in needed if isinstance(state[name], nn.Parameter) and not state[name].requires_grad
    ]
    with torch.no_grad():
        for weight, start in source.weights.values():
            weight.copy_(values[start : start + weight.numel()].reshape(weight.shape))
            if isinstance(weight, nn.Parameter) and any(bool((place == -1 - start).any()) for place in frozen):
                weight.trainable = False  # type: ignore[attr-defined]
