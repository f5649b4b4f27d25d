"""Layers that are random in training and do nothing else."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..core import random
from ..core.declare import Kind, Refused, arg, as_integer, fixed, listed, number, seed
from ..core.errors import named
from ..kernels import noise
from .activation import _Elementwise
from .arguments import DataFormat
from .spatial import Spatial

__all__ = [
    "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D", "SpatialDropout2D",
    "SpatialDropout3D",
]  # fmt: skip

_INVALID = "Invalid value received for argument `{0}`. Expected"
_RATE = _INVALID + " a float value between 0 and 1:"


def _noise_shape(value: Any, owner: Any) -> tuple | None:
    if value is None:
        return None
    words = "a tuple or list of integers"
    try:
        sizes = listed(value)
        words = "all elements to be integers or None"
        sizes = tuple(size if size is None else as_integer(size) for size in sizes)
        words = "all dimensions to be positive integers or None"
        if any(size is not None and size < 1 for size in sizes):
            raise Refused
    except Refused:
        raise Refused(says=f"{_INVALID} {words}; got {{got}}.") from None
    return sizes


noise_shape = Kind("a tuple of sizes or None", _noise_shape, good=(None, (None, 1)), bad=(3.5, "a", (0, 1), (-1, None)))


class _Noise(_Elementwise):
    """Random in training, the identity otherwise. With a seed the layer has a random stream of its own."""

    seed = None

    def check(self) -> None:
        vars(self)["seed_generator"] = random.stream(self.seed)


class _Dropping(_Noise):
    """What drops values by a mask, of the inputs' shape or one that broadcasts to it."""

    rate: float = arg(number(0, 1).saying(_RATE), doc="Fraction to drop.")
    noise_shape: Any = arg(noise_shape, default=None, doc="Shape of the mask.")
    seed: Any = arg(seed, default=None)

    def mask_shape(self, inputs: Tensor) -> tuple | None:
        """The shape of the mask, or None for the input's. Raises ValueError where `noise_shape` does not fit."""
        shape = self.noise_shape
        if shape is None:
            return None
        if len(shape) != inputs.ndim or any(s not in (None, 1, n) for s, n in zip(shape, inputs.shape, strict=True)):
            raise ValueError(
                f"{named(self)}: `noise_shape` {shape} does not broadcast to inputs of shape {tuple(inputs.shape)}; "
                "each size must be None, 1 or the input's."
            )
        return tuple(n if s is None else s for s, n in zip(shape, inputs.shape, strict=True))


class Dropout(_Dropping):
    """In training sets a fraction `rate` of the values to 0 and scales the others by 1 / (1 - rate).

    `noise_shape` broadcasts the mask: (None, 1, None) drops the same features at every step.
    """

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if not training or self.rate == 0:
            return inputs
        return noise.dropout(inputs, self.rate, self.mask_shape(inputs), self.seed_generator)


class SpatialDropout(Dropout, Spatial):
    """Drops whole channels in training (Tompson et al., 2014)."""

    rate: float = arg(number(0, 1).saying(_RATE), doc="Fraction of the channels to drop.")
    noise_shape: Any = fixed(None)

    def mask_shape(self, inputs: Tensor) -> tuple | None:
        """The shape of the mask: one place for all."""
        return self.with_spatial(tuple(inputs.shape), (1,) * self.rank)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["trainable"]  # Keras 3 writes neither it nor a full policy here
        return {**config, "dtype": self.dtype}


class SpatialDropout1D(SpatialDropout):
    rank = 1


class SpatialDropout2D(DataFormat, SpatialDropout):
    _order = ("rate", "data_format", "seed")
    rank = 2


class SpatialDropout3D(DataFormat, SpatialDropout):
    _order = ("rate", "data_format", "seed")
    rank = 3


class GaussianNoise(_Noise):
    """Adds normal noise in training."""

    stddev: float = arg(number(0), doc="Standard deviation of the noise.")
    seed: Any = arg(seed, default=None)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if not training or self.stddev == 0:
            return inputs
        return noise.gaussian_noise(inputs, self.stddev, self.seed_generator)


class GaussianDropout(_Noise):
    """Multiplies with normal noise of mean 1 and variance rate / (1 - rate) in training (Srivastava et al., 2014)."""

    rate: float = arg(number(0, 1, below=True).saying(_RATE), doc="As of a Dropout of the same strength.")
    seed: Any = arg(seed, default=None)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if not training or self.rate == 0:
            return inputs
        return noise.gaussian_dropout(inputs, self.rate, self.seed_generator)


class AlphaDropout(_Dropping):
    """Dropout that keeps mean and variance of selu's outputs (Klambauer et al., 2017)."""

    rate: float = arg(number(0, 1, below=True).saying(_RATE), doc="Fraction to drop.")

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if not training or self.rate == 0:
            return inputs
        return noise.alpha_dropout(inputs, self.rate, self.mask_shape(inputs), self.seed_generator)
