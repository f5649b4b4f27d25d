"""Products of two tensors sample by sample."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def batch_dot(a: Tensor, b: Tensor, a_axis: int, b_axis: int) -> Tensor:
    """Sum over axis `a_axis` of a and `b_axis` of b for each sample.

    The result has a's other axes, then b's; (batch, 1) where none is left.
    """
    left, right = a.movedim(a_axis, -1), b.movedim(b_axis, 1)
    rest = (*left.shape[1:-1], *right.shape[2:])
    rows, columns = math.prod(left.shape[1:-1]), math.prod(right.shape[2:])
    product = torch.bmm(
        left.reshape(a.shape[0], rows, left.shape[-1]), right.reshape(b.shape[0], right.shape[1], columns)
    )
    return product.reshape(a.shape[0], *(rest or (1,)))


def unit(x: Tensor, axis: int) -> Tensor:
    """x scaled to length 1 along `axis`."""
    return functional.normalize(x, dim=axis, eps=1e-6)
