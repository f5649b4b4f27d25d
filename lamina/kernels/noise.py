"""Random masks and noise. `stream` is what the random numbers come from, None for torch's global generators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

# The value that selu saturates at, which alpha dropout puts in place of what it drops (Klambauer et al., 2017).
_ALPHA = -1.7580993408473766


class Stream(Protocol):
    """A source of random numbers: `draw` gives a tensor like another, filled by torch's in-place method `how`."""

    def draw(self, like: Tensor, shape: Sequence[int], how: str, *numbers: float) -> Tensor: ...


def _draw(x: Tensor, shape: Sequence[int] | None, stream: Stream | None, how: str, *numbers: float) -> Tensor:
    shape = x.shape if shape is None else shape
    return getattr(x.new_empty(shape), how)(*numbers) if stream is None else stream.draw(x, shape, how, *numbers)


def dropout(x: Tensor, rate: float, shape: Sequence[int] | None = None, stream: Stream | None = None) -> Tensor:
    """`x` with a fraction `rate` set to 0 and the rest scaled by 1 / (1 - rate); `shape` broadcasts the mask."""
    if shape is None and stream is None:
        return functional.dropout(x, rate)
    if rate >= 1:
        return torch.zeros_like(x)
    return x * _draw(x, shape, stream, "bernoulli_", 1 - rate).div_(1 - rate)


def gaussian_noise(x: Tensor, stddev: float, stream: Stream | None = None) -> Tensor:
    """`x` plus normal noise."""
    return x + _draw(x, None, stream, "normal_", 0, stddev)


def gaussian_dropout(x: Tensor, rate: float, stream: Stream | None = None) -> Tensor:
    """`x` times normal noise of mean 1 and variance rate / (1 - rate)."""
    return x * _draw(x, None, stream, "normal_", 1, (rate / (1 - rate)) ** 0.5)


def alpha_dropout(x: Tensor, rate: float, shape: Sequence[int] | None = None, stream: Stream | None = None) -> Tensor:
    """Dropout to selu's negative limit, then the affine map that restores mean 0 and variance 1."""
    keep = _draw(x, shape, stream, "bernoulli_", 1 - rate)
    a = ((1 - rate) * (1 + rate * _ALPHA**2)) ** -0.5
    return torch.where(keep.bool(), x, _ALPHA) * a - a * _ALPHA * rate
