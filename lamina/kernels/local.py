"""Locally connected layers: a convolution whose kernel differs at every position. x is (N, *S, C) or (N, C, *S).

A kernel is (positions, taps, filters), positions in row-major order; a tap is (*k, C), or (C, *k) for channels first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from . import window

Sizes = Sequence[int]


def output_sizes(sizes: Sizes, kernel_size: Sizes, strides: Sizes, padding: str) -> tuple[int, ...]:
    """Positions along each axis."""
    return tuple(window.output_size(n, k, s, padding) for n, k, s in zip(sizes, kernel_size, strides, strict=True))


class Plan(NamedTuple):
    """How to run one shape of the input."""

    kernel_size: Sizes
    strides: Sizes
    channels_last: bool
    copy: list[int] | None  # zeros to put round the input, as torch.constant_pad_nd takes them
    positions: tuple[int, ...]
    order: tuple[int, ...]  # axes of (*positions, batch, filters) as the result has them


def plan_local(shape: Sizes, kernel_size: Sizes, strides: Sizes, padding: str, channels_last: bool) -> Plan:
    """What `run` needs for inputs of ``shape``."""
    sizes = tuple(shape[1:-1] if channels_last else shape[2:])
    out = output_sizes(sizes, kernel_size, strides, padding)
    copy = None
    if padding == "same":
        flat = [n for pair in reversed(same_pads(sizes, out, kernel_size, strides)) for n in pair]
        copy = [0, 0, *flat] if channels_last else flat
    rank = len(out)
    order = (rank, *range(rank), rank + 1) if channels_last else (rank, rank + 1, *range(rank))
    return Plan(tuple(kernel_size), tuple(strides), channels_last, copy, out, order)


def run(x: Tensor, kernel: Tensor, bias: Tensor | None, plan: Plan) -> Tensor:
    """Multiply the taps at each position with ``kernel[position]`` and add ``bias`` (*out, filters).

    For channels first Keras takes the bias's numbers in the order (filters, *out), and so does this.
    """
    kernel_size, strides, channels_last, copy, out, order = plan
    if copy is not None:
        x = torch.constant_pad_nd(x, copy)
    take = _Patches.apply if x.requires_grad else _patches
    patches = take(x, kernel_size, strides, channels_last)
    if bias is None:
        y = torch.bmm(patches, kernel)
    else:
        offset = bias.flatten(0, -2) if channels_last else bias.reshape(bias.shape[-1], -1).t()
        y = torch.baddbmm(offset.unsqueeze(1), patches, kernel)
    return y.view(*out, *y.shape[1:]).permute(order)


def same_pads(sizes: Sizes, out: Sizes, kernel_size: Sizes, strides: Sizes) -> list[tuple[int, int]]:
    """Each window has element ``i * stride`` at its tap ``k // 2``, whatever the size: not TensorFlow's rule."""
    axes = zip(sizes, out, kernel_size, strides, strict=True)
    return [(k // 2, max((o - 1) * s + k - k // 2 - n, 0)) for n, o, k, s in axes]


def _patches(x: Tensor, kernel_size: Sizes, strides: Sizes, channels_last: bool) -> Tensor:
    """The taps of every position, (positions, N, taps)."""
    rank, first = len(kernel_size), 1 if channels_last else 2
    batch = x.shape[0]
    for axis, (k, s) in enumerate(zip(kernel_size, strides, strict=True), start=first):
        x = x.unfold(axis, k, s)
    positions, offsets = range(first, first + rank), range(rank + 2, 2 * rank + 2)
    x = x.permute(*positions, 0, *((*offsets, rank + 1) if channels_last else (1, *offsets)))
    return x.reshape(math.prod(x.shape[:rank]), batch, math.prod(x.shape[rank + 1 :]))


class _Patches(torch.autograd.Function):
    """`_patches`, its gradient summed over one kernel axis after the other; autograd's own is several times slower."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel_size: Sizes, strides: Sizes, channels_last: bool) -> Tensor:
        ctx.geometry = x.shape, kernel_size, strides, channels_last
        return _patches(x, kernel_size, strides, channels_last)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        shape, kernel_size, strides, channels_last = ctx.geometry
        rank = len(kernel_size)
        sizes, channels = (shape[1:-1], shape[-1]) if channels_last else (shape[2:], shape[1])
        taps = (*kernel_size, channels) if channels_last else (channels, *kernel_size)
        offsets = rank + (1 if channels_last else 2)
        out = output_sizes(sizes, kernel_size, strides, "valid")
        grad = grad.reshape(*out, shape[0], *taps).movedim(rank, 0)
        for axis, (size, stride, kernel) in enumerate(zip(sizes, strides, kernel_size, strict=True), start=1):
            positions = grad.shape[axis]
            merged = [*grad.shape[:axis], size, *grad.shape[axis + 1 : offsets], *grad.shape[offsets + 1 :]]
            total = grad.new_zeros(merged)
            for tap in range(kernel):
                reached = slice(tap, tap + (positions - 1) * stride + 1, stride)
                total[(slice(None),) * axis + (reached,)] += grad.select(offsets, tap)
            grad = total
        return grad if channels_last else grad.movedim(-1, 1), None, None, None
