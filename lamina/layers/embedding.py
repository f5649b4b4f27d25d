"""Embedding: rows of a table, looked up by integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..constraints import constraint
from ..core.declare import Declared, arg, boolean, integer
from ..core.fusion import grants
from ..core.layer import first_values
from ..core.weight import weight
from ..initializers import initializer
from ..regularizers import regularizer
from .lora import LoRA, LowRank


class _Vectors(Declared):
    input_dim: int = arg(integer(1), doc="Size of the vocabulary, largest index plus 1.")
    output_dim: int = arg(integer(1), doc="Size of the vectors.")
    embeddings_initializer: Any = arg(initializer, default="uniform")
    embeddings_regularizer: Any = arg(regularizer, default=None)
    embeddings_constraint: Any = arg(constraint, default=None)
    mask_zero: bool = arg(boolean, default=False, doc="Mask index 0.")
    weights: Any = arg(first_values, default=None, config=False, attribute="_initial_weights", doc="First vectors.")


class Embedding(LowRank, _Vectors, LoRA):
    """Turns integers 0 .. input_dim - 1 into vectors. Input (batch, ...), output (batch, ..., output_dim).

    `mask_zero`: 0 is padding, and masked from the layers behind. Raises ValueError for an index out of range.
    """

    activity_regularizer: Any = arg(regularizer, default=None, kw_only=True)

    input_dtype = "int32"
    _autocast = False
    embeddings = weight("input_dim", "output_dim", adapts=True)

    def check(self) -> None:
        vars(self)["_creates_mask"] = self.mask_zero

    def build(self, input_shape: Any = None) -> None:
        self.make_weights()

    @grants("time_first")
    def call(self, inputs: Tensor, time_first: bool = False) -> Tensor:
        if inputs.dtype.is_floating_point or inputs.dtype in (torch.int8, torch.int16, torch.uint8, torch.bool):
            inputs = inputs.int()
        if time_first and inputs.ndim == 2:
            return functional.embedding(inputs.t(), self.embeddings).transpose(0, 1)
        return functional.embedding(inputs, self.embeddings)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if not self.mask_zero:
            return None
        return torch.ne(torch.as_tensor(inputs) if isinstance(inputs, np.ndarray) else inputs, 0)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (*input_shape, self.output_dim)

    def output_dtype(self, input_dtype: torch.dtype) -> torch.dtype:
        return self.dtype_policy.compute

    def _explain(self, args: tuple, error: Exception) -> None:
        if isinstance(error, IndexError) and args and isinstance(args[0], Tensor) and args[0].numel():
            if not bool(torch.isfinite(args[0]).all()):
                raise ValueError(f'Embedding "{self.name}": indices must be whole numbers; got NaN or inf.') from error
            low, high = int(args[0].min()), int(args[0].max())
            raise ValueError(
                f'Embedding "{self.name}": indices must be 0 to {self.input_dim - 1} (input_dim={self.input_dim}); '
                f"got {low} to {high}. Raise input_dim to {high + 1} or map the words outside to one index."
            ) from error
        super()._explain(args, error)
