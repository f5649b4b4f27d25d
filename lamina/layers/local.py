"""Locally connected layers: convolutions whose kernel differs at every position (Keras 1 and 2)."""

from __future__ import annotations

import math

from torch import Tensor

from ..activations import shape_after
from ..core.declare import Kind, arg, one_of
from ..core.errors import named
from ..core.weight import weight
from ..kernels import local
from .arguments import ActivationBias, DataFormat, Filters, KernelBias, Window
from .spatial import Windowed

__all__ = ["LocallyConnected1D", "LocallyConnected2D", "LocallyConnected3D"]

_implementation = Kind(
    "1, 2 or 3",
    lambda value, owner: int(one_of("1", "2", "3").convert(str(value), owner)),
    good=(1, 2, 3),
    bad=(4, "a"),
)


class LocallyConnected(KernelBias, ActivationBias, DataFormat, Window, Filters, Windowed):
    """A convolution without shared weights: every output position has a kernel and a bias of its own.

    Input (batch, *spatial, channels) of fixed spatial sizes, output (batch, *positions, filters); kernel
    (prod(positions), prod(kernel_size) * channels, filters), bias (*positions, filters). Memory beside the weights:
    the patches, batch * prod(positions) * prod(kernel_size) * channels values.
    `implementation` chose between equal results in tf.keras; here all three run as one batched product.
    Raises ValueError where a spatial size is unknown.
    """

    padding: str = arg(one_of("valid", "same"), default="valid")
    implementation: int = arg(_implementation, default=1, doc="Accepted for tf.keras' sake.")

    kernel = weight("places", "taps", "filters")
    bias = weight("*positions", "filters", when="use_bias")

    def build(self, input_shape: tuple) -> None:
        channels = self.channels(input_shape)
        if None in self.spatial(input_shape):
            raise ValueError(
                f"{named(self)}: every position has weights of its own, so the spatial sizes must be known; "
                f"got shape {input_shape}. Give them in the input's shape."
            )
        self.check_window(input_shape, self.kernel_size, 1, self.padding)
        self.fix_input(input_shape, channels)
        windows = self.kernel_size, self.strides, self.padding
        vars(self)["_plan"] = local.plan_local(input_shape, *windows, self.channels_last)
        self.input_spec.axes |= dict(enumerate(input_shape[1:], start=1))
        positions = self.spatial(self._positions(input_shape))
        taps = math.prod(self.kernel_size) * channels
        self.make_weights(positions=positions, places=math.prod(positions), taps=taps)

    def call(self, inputs: Tensor) -> Tensor:
        return self.activation(local.run(inputs, self.kernel, self.bias, self._plan))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return shape_after(self.activation, self._positions(input_shape), self)

    def _positions(self, input_shape: tuple) -> tuple:
        """The shape of the output before the activation."""
        self.check_shape(input_shape)
        self.check_window(input_shape, self.kernel_size, 1, self.padding)
        sizes = local.output_sizes(self.spatial(input_shape), self.kernel_size, self.strides, self.padding)
        return self.with_spatial(input_shape, sizes, self.filters)


class LocallyConnected1D(LocallyConnected):
    rank = 1


class LocallyConnected2D(LocallyConnected):
    rank = 2


class LocallyConnected3D(LocallyConnected):
    rank = 3
