"""Dense layers: every output sees every input."""

from __future__ import annotations

from typing import Any

import torch

from ..activations import activation, linear, shape_after
from ..activations import relu as positive_part
from ..constraints import constraint
from ..core.declare import arg, boolean, integer
from ..core.errors import named
from ..core.fusion import grants
from ..core.layer import InputSpec
from ..core.weight import weight
from ..initializers import initializer
from ..kernels.linear import dense
from ..regularizers import regularizer
from .activation import Activated
from .lora import LoRA, lora_alpha, lora_rank, quantization_config


class Dense(Activated, LoRA):
    """`activation(inputs @ kernel + bias)` over the last axis.

    Input (batch, ..., features), output (batch, ..., units); kernel (features, units), bias (units,).
    """

    units: int = arg(integer(1), doc="Size of the output.")
    activation: Any = arg(activation, default=None)
    use_bias: bool = arg(boolean, default=True)
    kernel_initializer: Any = arg(initializer, default="glorot_uniform")
    bias_initializer: Any = arg(initializer, default="zeros")
    kernel_regularizer: Any = arg(regularizer, default=None)
    bias_regularizer: Any = arg(regularizer, default=None)
    activity_regularizer: Any = arg(regularizer, default=None, config="set")
    kernel_constraint: Any = arg(constraint, default=None)
    bias_constraint: Any = arg(constraint, default=None)
    lora_rank: Any = arg(lora_rank, default=None, config=False, doc="Train a product of this rank instead.")
    lora_alpha: Any = arg(lora_alpha, default=None, config=False, doc="Building sets it to the rank, as in Keras 3.")
    quantization_config: Any = arg(quantization_config, default=None)

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
        return y if activation is linear or activation is positive_part else activation(y)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return shape_after(self.activation, (*input_shape[:-1], self.units), self)
