"""Random masks and noise. `generator` is a torch generator on the data's device, or None for torch's global one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

# The value that selu saturates at, which alpha dropout puts in place of what it drops (Klambauer et al., 2017).
_ALPHA = -1.7580993408473766


def dropout(
    x: Tensor, rate: float, shape: Sequence[int] | None = None, generator: torch.Generator | None = None
) -> Tensor:
    """`x` with a fraction `rate` set to 0 and the rest scaled by 1 / (1 - rate); `shape` broadcasts the mask."""
    if shape is None and generator is None:
        return functional.dropout(x, rate)
    if rate >= 1:
        return torch.zeros_like(x)
    keep = x.new_empty(x.shape if shape is None else shape).bernoulli_(1 - rate, generator=generator)
    return x * keep.div_(1 - rate)


def dropout_mask(like: Tensor, shape: Sequence[int], rate: float, generator: torch.Generator | None = None) -> Tensor:
    """What `dropout` multiplies with, for masks that serve several products."""
    return like.new_empty(shape).bernoulli_(1 - rate, generator=generator).div_(1 - rate)


def gaussian_noise(x: Tensor, stddev: float, generator: torch.Generator | None = None) -> Tensor:
    """`x` plus normal noise."""
    return x + torch.empty_like(x).normal_(0, stddev, generator=generator)


def gaussian_dropout(x: Tensor, rate: float, generator: torch.Generator | None = None) -> Tensor:
    """`x` times normal noise of mean 1 and variance rate / (1 - rate)."""
    return x * torch.empty_like(x).normal_(1, (rate / (1 - rate)) ** 0.5, generator=generator)


def alpha_dropout(
    x: Tensor, rate: float, shape: Sequence[int] | None = None, generator: torch.Generator | None = None
) -> Tensor:
    """Dropout to selu's negative limit, then the affine map that restores mean 0 and variance 1."""
    keep = x.new_empty(x.shape if shape is None else shape).bernoulli_(1 - rate, generator=generator)
    a = ((1 - rate) * (1 + rate * _ALPHA**2)) ** -0.5
    return torch.where(keep.bool(), x, _ALPHA) * a - a * _ALPHA * rate
