"""`tf.random`: draws from torch's global stream, or from one that goes on from call to call for a seed of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ... import ops
from ... import random as draws
from ...core import dtypes
from ...ops.base import tensor
from ...utils import set_random_seed
from ..arithmetic import forget_streams, stream
from .base import NAMES, named, op, whole


def fresh(seed: Any) -> int | None:
    """The seed of one draw: the same for a pair, as `stateless` functions take it, else another each time."""
    if np.ndim(seed):
        return _of_seed(seed)
    source = stream(seed)
    return None if source is None else int(torch.randint(2**31, (), generator=source))


@named("random.set_seed set_random_seed random.set_random_seed")
def set_seed(seed):
    """From now on all draws, first values of weights among them, follow from the seed."""
    forget_streams()
    set_random_seed(int(seed))


@op("random.normal random_normal")
def normal(shape, mean=0.0, stddev=1.0, dtype="float32", seed=None):
    if not isinstance(mean, (int, float)) or not isinstance(stddev, (int, float)):
        return draws.normal(shape, dtype=dtype, seed=fresh(seed)) * tensor(stddev) + tensor(mean)
    return draws.normal(shape, mean, stddev, dtype, fresh(seed))


@op("random.uniform random_uniform")
def uniform(shape, minval=0, maxval=None, dtype="float32", seed=None):
    """Numbers from `minval` up to but without `maxval`, by default 1."""
    if maxval is None and not dtypes.torch_dtype(dtype).is_floating_point:
        raise ValueError(f"random.uniform: `maxval` is needed for {dtype}.")
    low, high = tensor(minval), tensor(1 if maxval is None else maxval)
    given = any(isinstance(bound, torch.Tensor) and bound.is_floating_point() for bound in (minval, maxval))
    if given or low.ndim or high.ndim:  # values of tensors stay unread: a trial has none
        share = draws.uniform(shape, dtype="float32", seed=fresh(seed))
        return (share * (high - low) + low).to(dtypes.torch_dtype(dtype))
    return draws.uniform(shape, float(low), float(high), dtype, fresh(seed))


@op("random.truncated_normal truncated_normal")
def truncated_normal(shape, mean=0.0, stddev=1.0, dtype="float32", seed=None):
    return draws.truncated_normal(shape, mean, stddev, dtype, fresh(seed))


@op("random.shuffle random_shuffle")
def shuffle(value, seed=None):
    return draws.shuffle(tensor(value), 0, fresh(seed))


@op("random.categorical multinomial random.multinomial")
def categorical(logits, num_samples, dtype="int64", seed=None):
    return draws.categorical(tensor(logits), int(num_samples), dtype or "int64", fresh(seed))


@op("random.gamma random_gamma")
def gamma(shape, alpha, beta=1.0, dtype="float32", seed=None):
    return draws.gamma((*shape, *tensor(alpha).shape), alpha, dtype, fresh(seed)) / beta


@op("random.poisson")
def poisson(shape, lam, dtype="float32", seed=None):
    rates = ops.broadcast_to(tensor(lam, torch.float32), (*shape, *tensor(lam).shape))
    return torch.poisson(rates, generator=stream(seed)).to(dtypes.torch_dtype(dtype))


def _of_seed(seed: Any) -> int:
    """One number of a pair: the same draws for the same pair."""
    first, second = whole(seed)
    return (int(first) * 1_000_003 + int(second)) % 2**31


def _stateless(function: Callable[..., Any]) -> Callable[..., Any]:
    """Those draws, with the seed as the second argument."""
    return lambda shape, seed, *args, **kwargs: function(shape, *args, seed=seed, **kwargs)


for _word in ("normal", "uniform", "truncated_normal"):
    NAMES[f"random.stateless_{_word}"] = _stateless(NAMES[f"random.{_word}"])


@named("random.stateless_categorical")
def stateless_categorical(logits, num_samples, seed, dtype="int64"):
    return categorical(logits, num_samples, dtype, seed)


@named("random.Generator")
class Generator:
    """Draws that follow from a seed of their own."""

    def __init__(self, seed: Any = None):
        self._draws = draws.SeedGenerator(seed)

    @classmethod
    def from_seed(cls, seed: Any) -> Generator:
        return cls(int(seed))

    @classmethod
    def from_non_deterministic_state(cls) -> Generator:
        return cls()

    def normal(self, shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = "float32") -> torch.Tensor:
        return draws.normal(whole(shape), mean, stddev, dtype, self._draws)

    def uniform(self, shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = "float32") -> torch.Tensor:
        return draws.uniform(whole(shape), minval, 1 if maxval is None else maxval, dtype, self._draws)

    def truncated_normal(self, shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = "float32") -> Any:
        return draws.truncated_normal(whole(shape), mean, stddev, dtype, self._draws)

    def reset_from_seed(self, seed: int) -> None:
        self.__init__(int(seed))  # type: ignore[misc]

    def split(self, count: int = 1) -> list[Generator]:
        """So many that draw other numbers."""
        return [Generator(int(seed)) for seed in self.make_seeds(count)[0]]

    def make_seeds(self, count: int = 1) -> torch.Tensor:
        return draws.randint((2, count), 0, 2**31 - 1, "int64", self._draws)


_global = Generator()
NAMES["random.get_global_generator"] = lambda: _global
