"""Weights alone, from a model to the names and shapes of torch's and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..core.errors import named, quoted, show_shape
from .writer import Weights

_SECOND = 1 << 50


class Places(Weights):
    """Each value of a weight as its place among all: -1 and below, for what is written beside them is not negative."""

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


def load(model: Any, places: Mapping[str, Tensor], source: Places, state: Mapping[str, Tensor], what: str) -> None:
    """Give a model the values of a state of torch's, whose places say where each comes from.

    Raises ValueError, with no weight changed, for names and shapes that are not those of `to_torch(model)`, and for
    values that the model has no weight for.
    """
    missing, unknown = sorted(places.keys() - state.keys()), sorted(state.keys() - places.keys())
    if missing or unknown:
        words = [
            f"{word} {quoted(names[:5])}" for word, names in (("misses", missing), ("has unknown", unknown)) if names
        ]
        raise ValueError(f"{what}: the state for {named(model)} {' and '.join(words)}.")
    known = [weight for weight, _ in source.weights.values()]
    if not {id(weight) for weight in known} <= {id(each) for each in [*model.parameters(), *model.buffers()]}:
        raise ValueError(f"{what}: {named(model)} is adapted by LoRA; load its weights before `enable_lora`.")
    values = torch.zeros(source.count, dtype=torch.float64)
    for name, place in places.items():
        given = state[name].detach().to("cpu", torch.float64)
        if given.shape != place.shape:
            shapes = f"{show_shape(place.shape)}; got {show_shape(given.shape)}"
            raise ValueError(f"{what}: {name!r} must have shape {shapes}.")
        kept, second = place >= 0, place <= -_SECOND
        if not name.endswith("num_batches_tracked") and not torch.equal(given[kept], place[kept].double()):
            raise ValueError(
                f"{what}: {named(model)} has no weight for {name!r}, which must be "
                f"{place[kept].flatten()[0].item():g} throughout. Make the layer with that weight."
            )
        first = ~kept & ~second
        values[-1 - place[first]] = given[first]
        values.index_add_(0, -1 - _SECOND - place[second], given[second])
    with torch.no_grad():
        for weight, start in source.weights.values():
            weight.copy_(values[start : start + weight.numel()].reshape(weight.shape))
    frozen = {name for name, value in state.items() if isinstance(value, nn.Parameter) and not value.requires_grad}
    for weight, start in source.weights.values():
        names = {name for name in frozen if bool((places[name] == -1 - start).any())}
        if names and isinstance(weight, nn.Parameter):
            weight.trainable = False
