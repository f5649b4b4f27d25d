"""Layers that change the colours of pictures; where things are stays."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...core.declare import arg
from ..arguments import Seed
from ..spatial import data_format
from .pictures import Factor, Random, ValueRange


class _Coloured(Random):
    """A random change of values. `data_format` is taken by name."""

    data_format: str = arg(data_format, default=None, kw_only=True, doc="Where the channels are.")
    value_range = (0, 255)

    def within(self, x: Tensor) -> Tensor:
        return x.clamp(*self.value_range)


class RandomContrast(Seed, ValueRange, Factor, _Coloured):
    """In training, the distance of values from their channel's mean, times a number from 1 - lower to 1 + upper."""

    bounds = (0, 1)

    def draw(self, x: Tensor) -> Tensor:
        lower, upper = self.factor
        return self.uniform(x, (1 - lower, 1 + upper), 1, 1, 1)

    def transform(self, x: Tensor, drawn: Any) -> Tensor:
        mean = x.mean((2, 3), keepdim=True)
        return self.within(torch.lerp(mean, x, drawn.to(x.dtype)))


class RandomBrightness(Seed, ValueRange, Factor, _Coloured):
    """In training, all values of a picture plus a random part of the value range."""

    def draw(self, x: Tensor) -> Tensor:
        lower, upper = self.value_range
        return self.uniform(x, self.factor, 1, 1, 1) * (upper - lower)

    def transform(self, x: Tensor, drawn: Any) -> Tensor:
        return self.within(x + drawn.to(x.dtype))
