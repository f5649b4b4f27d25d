"""Matrix products over the last axis."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def dense(x: Tensor, kernel: Tensor, bias: Tensor | None, relu: bool = False) -> Tensor:
    """`x @ kernel + bias`, or the positive part of it: x (..., in), kernel (in, out), bias (out,) or None."""
    if bias is None:
        y = torch.matmul(x, kernel)
    elif x.ndim == 2:
        y = torch.addmm(bias, x, kernel)
    else:
        y = functional.linear(x, kernel.t(), bias)
    return torch.relu_(y) if relu else y


def einsum(equation: str, x: Tensor, kernel: Tensor, summed: int, bias: Tensor | None = None) -> Tensor:
    """The product that an equation says, plus a bias. `summed`: so many last axes of x are summed over with the first
    ones of the kernel, whose others take their place, as `equation` says as well; 0 where only the equation tells."""
    if not summed:
        y = torch.einsum(equation, x, kernel)
        return y if bias is None else y.add_(bias)
    made = kernel.shape[summed:]
    if len(made) > 1:
        kernel = kernel.flatten(summed)
    if summed > 1:
        x, kernel = x.flatten(-summed), kernel.flatten(0, summed - 1)
    inside, after = (None, bias) if bias is None or bias.shape != made else (bias.flatten(), None)
    y = dense(x, kernel, inside)
    y = y.unflatten(-1, made) if len(made) > 1 else y
    return y if after is None else y.add_(after)
