"""Matrix products over the last axis."""

from __future__ import annotations

import torch
from torch import Tensor


def dense(x: Tensor, kernel: Tensor, bias: Tensor | None, relu: bool = False) -> Tensor:
    """`x @ kernel + bias`, or the positive part of it: x (..., in), kernel (in, out), bias (out,) or None."""
    if bias is not None and x.ndim == 2:
        y = torch.addmm(bias, x, kernel)
    else:
        y = torch.matmul(x, kernel)
        y = y if bias is None else y + bias
    return torch.relu_(y) if relu else y
