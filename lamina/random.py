"""Random numbers: draws from torch's global stream, from a `SeedGenerator`, or from a fixed integer seed.

`seed`: None draws from the global stream, an integer gives the same numbers on every call, a `SeedGenerator` goes on
from call to call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .core.dtypes import config, held_dtype, torch_dtype
from .core.random import SeedGenerator as SeedGenerator
from .core.random import generator, stream
from .kernels import noise

__all__ = [
    "SeedGenerator", "beta", "binomial", "categorical", "dropout", "gamma", "normal", "randint", "shuffle",
    "truncated_normal", "uniform",
]  # fmt: skip


def _empty(shape: Sequence[int], dtype: Any) -> Tensor:
    return torch.empty(tuple(shape), dtype=torch_dtype(dtype or config.floatx()))


def _drawn(shape: Sequence[int], dtype: object) -> tuple[Tensor, torch.dtype]:
    """An empty tensor of a type that torch draws every distribution in, and the type asked for."""
    asked = torch_dtype(dtype or config.floatx())
    return _empty(shape, asked if asked is torch.float64 else "float32"), asked


def _source(seed: Any, device: torch.device) -> torch.Generator | None:
    return generator(stream(seed), device)


def normal(shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Tensor:
    """Normally distributed numbers."""
    values = _empty(shape, dtype)
    return values.normal_(mean, stddev, generator=_source(seed, values.device))


def truncated_normal(
    shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Tensor:
    """Normally distributed numbers no further than two standard deviations from the mean."""
    values = _empty(shape, dtype)
    ends = mean - 2 * stddev, mean + 2 * stddev
    return nn.init.trunc_normal_(values, mean, stddev, *ends, generator=_source(seed, values.device))


def uniform(
    shape: Sequence[int], minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None
) -> Tensor:
    """Numbers spread evenly over [minval, maxval); of an integer dtype, integers."""
    type_ = torch_dtype(dtype or config.floatx())
    if not type_.is_floating_point:
        return randint(shape, int(minval), int(maxval), type_, seed)
    values = _empty(shape, type_)
    return values.uniform_(minval, maxval, generator=_source(seed, values.device))


def randint(shape: Sequence[int], minval: int, maxval: int, dtype: Any = "int32", seed: Any = None) -> Tensor:
    """Integers from `minval` up to but without `maxval`."""
    device = torch.get_default_device()
    drawn = torch.randint(minval, maxval, tuple(shape), generator=_source(seed, device), device=device)
    return drawn.to(held_dtype(dtype))


def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> Tensor:
    """Classes drawn with probabilities softmax(logits): (batch, classes) to (batch, num_samples)."""
    logits = torch.as_tensor(logits)
    if logits.ndim != 2:
        raise ValueError(f"categorical: expected logits (batch, classes); got shape {tuple(logits.shape)}.")
    chances = torch.softmax(logits, -1)
    drawn = torch.multinomial(chances, num_samples, replacement=True, generator=_source(seed, chances.device))
    return drawn.to(held_dtype(dtype))


def dropout(inputs: Any, rate: float, noise_shape: Sequence[int | None] | None = None, seed: Any = None) -> Tensor:
    """`inputs` with a fraction `rate` set to 0 and the rest scaled by 1 / (1 - rate).

    Where `noise_shape` has 1, all values along an axis share their fate; None is the axis' own size.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"dropout: `rate` must be from 0 to 1; got {rate}.")
    x = torch.as_tensor(inputs)
    if noise_shape is not None:
        noise_shape = [x.shape[axis] if size is None else size for axis, size in enumerate(noise_shape)]
    return noise.dropout(x, rate, noise_shape, stream(seed))


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Tensor:
    """`x` with its slices along `axis` in random order."""
    x = torch.as_tensor(x)
    order = torch.randperm(x.shape[axis], generator=_source(seed, x.device), device=x.device)
    return x.index_select(axis, order)


def gamma(shape: Sequence[int], alpha: Any, dtype: Any = None, seed: Any = None) -> Tensor:
    """Gamma distributed numbers of shape parameter `alpha` and rate 1."""
    values, asked = _drawn(shape, dtype)
    shapes = torch.as_tensor(alpha, dtype=values.dtype, device=values.device).expand(values.shape)
    return torch.ops.aten._standard_gamma(shapes, _source(seed, values.device)).to(asked)


def beta(shape: Sequence[int], alpha: Any, beta: Any, dtype: Any = None, seed: Any = None) -> Tensor:
    """Beta distributed numbers of parameters `alpha` and `beta`."""
    source = stream(seed)
    first, second = (gamma(shape, parameter, dtype, source) for parameter in (alpha, beta))
    return first / (first + second)


def binomial(shape: Sequence[int], counts: Any, probabilities: Any, dtype: Any = None, seed: Any = None) -> Tensor:
    """Numbers of successes in `counts` trials of chance `probabilities`."""
    values, asked = _drawn(shape, dtype)
    numbers, chances = (
        torch.as_tensor(value, dtype=values.dtype, device=values.device).expand(values.shape)
        for value in (counts, probabilities)
    )
    drawn = torch.binomial(numbers.contiguous(), chances.contiguous(), generator=_source(seed, values.device))
    return drawn.to(asked)
