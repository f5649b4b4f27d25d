"""Embedding: rows of a table, looked up by integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..constraints import constraint
from ..core import symbolic
from ..core.declare import Declared, Kind, arg, boolean, integer, looked_up, number
from ..core.dtypes import FLOATS, dtype_name
from ..core.errors import named
from ..core.fusion import grants
from ..core.layer import first_values
from ..core.weight import weight
from ..initializers import initializer
from ..kernels.linear import dense
from ..quantizers import quantization_config
from ..regularizers import regularizer
from .lora import LoRA, LowRank, lora_alpha, lora_rank

__all__ = ["Embedding", "ReversibleEmbedding"]


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
    _needs_no_shape = True
    _quantizes = (None, "int8", "int4")
    embeddings = weight("input_dim", "output_dim", adapts=True)

    def check(self) -> None:
        vars(self).update(_creates_mask=self.mask_zero, supports_masking=self.mask_zero)

    def build(self, input_shape: Any = None) -> None:
        self.make_weights()

    @grants("time_first")
    def call(self, inputs: Tensor, *, time_first: bool = False) -> Tensor:
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
                raise ValueError(f"{named(self)}: indices must be whole numbers; got NaN or inf.") from error
            low, high = int(args[0].min()), int(args[0].max())
            raise ValueError(
                f"{named(self)}: indices must be 0 to {self.input_dim - 1} (input_dim={self.input_dim}); "
                f"got {low} to {high}. {f'Raise input_dim to {high + 1} or map' if low >= 0 else 'Map'} the words "
                "outside to one index."
            ) from error
        super()._explain(args, error)


def _float_name(dtype: Any) -> str:
    name = dtype_name(dtype)
    if name not in FLOATS:
        raise ValueError(f"Give one of {', '.join(FLOATS)}.")
    return name


_float_type = Kind("a type of numbers", looked_up(_float_name), good=("float64",), bad=("float99", 3.5)).optional()


class ReversibleEmbedding(Embedding):
    """An Embedding that with `reverse=True` also goes back: from vectors (..., output_dim) to a score for each index.

    The scores (..., input_dim) are the products with the vectors, or with a matrix of its own (Press & Wolf, 2016).
    """

    tie_weights: bool = arg(boolean, default=True, doc="Go back by the same vectors.")
    reverse_dtype: str | None = arg(_float_type, default=None, doc="Type in which the way back is computed.")
    logit_soft_cap: float | None = arg(
        number().optional(), default=None, doc="A cap c turns scores s into c tanh(s / c)."
    )
    weights: Any = arg(
        first_values, default=None, config=False, attribute="_initial_weights", kw_only=True, doc="First vectors."
    )
    lora_rank: Any = arg(lora_rank, default=None, config=False, kw_only=True, doc="As of an Embedding.")
    lora_alpha: Any = arg(lora_alpha, default=None, config=False, kw_only=True, doc="As of an Embedding.")
    quantization_config: Any = arg(quantization_config, default=None, kw_only=True, doc="As of an Embedding.")

    _order = ("input_dim", "output_dim", "tie_weights")
    reverse_embeddings = weight(
        "output_dim",
        "input_dim",
        when=lambda layer: not layer.tie_weights,
        initializer=lambda layer: layer.embeddings_initializer,
    )

    @grants("time_first")
    def call(self, inputs: Tensor, reverse: bool = False, *, time_first: bool = False) -> Tensor:
        if not reverse:
            return super().call(inputs, time_first=time_first)
        kernel = self.embeddings.t() if self.tie_weights else self.reverse_embeddings
        dtype = FLOATS[self.reverse_dtype] if self.reverse_dtype else kernel.dtype
        scores = dense(inputs.to(dtype), kernel.to(dtype), None)
        cap = self.logit_soft_cap
        return scores if cap is None else torch.tanh(scores / cap) * cap

    def compute_output_spec(self, inputs: Any, reverse: bool = False) -> Any:
        dtype = self.reverse_dtype if reverse and self.reverse_dtype else self.dtype_policy.compute
        return symbolic.SymbolicTensor(self.compute_output_shape(inputs.shape, reverse), dtype)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """None for vectors, which are on the way back."""
        vectors = (
            getattr(inputs, "torch_dtype", inputs.dtype) in FLOATS.values() and inputs.shape[-1] == self.output_dim
        )
        return None if vectors else super().compute_mask(inputs, mask)

    def compute_output_shape(self, input_shape: tuple, reverse: bool = False) -> tuple:
        return (*input_shape[:-1], self.input_dim) if reverse else super().compute_output_shape(input_shape)
