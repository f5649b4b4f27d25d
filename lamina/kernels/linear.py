"""Matrix products over the last axis."""

from __future__ import annotations

import torch
from torch import Tensor


def dense(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    """`x @ kernel + bias`: x (..., in), kernel (in, out), bias (out,) or None."""
    if bias is not None and x.ndim == 2:
        return torch.addmm(bias, x, kernel)
    y = torch.matmul(x, kernel)
    return y if bias is None else y + bias
