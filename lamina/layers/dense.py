"""Dense layers: every output sees every input."""

from __future__ import annotations

from typing import Any

import torch

from ..activations import linear, shape_after
from ..activations import relu as positive_part
from ..core.declare import Declared, arg, integer
from ..core.errors import named
from ..core.fusion import grants
from ..core.layer import InputSpec
from ..core.weight import weight
from ..kernels.linear import dense
from ..regularizers import regularizer
from .activation import Activated
from .arguments import ActivationBias, KernelBias
from .lora import LoRA, LowRank


class _Units(Declared):
    units: int = arg(integer(1), doc="Size of the output.")


class Dense(LowRank, KernelBias, ActivationBias, _Units, Activated, LoRA):
    """`activation(inputs @ kernel + bias)` over the last axis.

    Input (batch, ..., features), output (batch, ..., units); kernel (features, units), bias (units,).
    """

    activity_regularizer: Any = arg(regularizer, default=None, config="set")

    supports_masking = True
    input_spec = InputSpec(min_ndim=2)
    kernel = weight("features", "units", adapts=True)
    bias = weight("units", when="use_bias")

    def build(self, input_shape: tuple) -> None:
        features = input_shape[-1]
        if features is None:
            raise ValueError(
                f"{named(self)}: the last axis must have a known size, since the kernel depends on it; "
                f"got shape {input_shape}."
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features})
        self.make_weights(features=features)

    @grants("relu")
    def call(self, inputs: torch.Tensor, relu: bool | None = None) -> torch.Tensor:
        activation = self.activation
        y = dense(inputs, self.kernel, self.bias, activation is positive_part if relu is None else relu)
        return y if activation is linear or activation is positive_part or relu is not None else activation(y)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return shape_after(self.activation, (*input_shape[:-1], self.units), self)
