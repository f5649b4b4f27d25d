"""Matrix products over the last axis."""

from __future__ import annotations

import operator
import platform
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.compiler import is_dynamo_compiling
from torch.nn import functional

from . import eager


def _mkl_is_slow() -> bool:
    """Whether torch multiplies by MKL on a processor of which MKL uses half: AMD's with all 512 bits of AVX-512, from
    family 26 (Zen 5) on. Earlier ones take them in two halves, and MKL uses those whole."""
    if not (torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()):
        return False
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    told, facts = Path("/proc/cpuinfo"), platform.processor()
    if told.exists():
        with told.open() as lines:
            facts = lines.read(1000)
    family = re.search(r"family\s*:?\s*(\d+)", facts, re.IGNORECASE)
    return "AuthenticAMD" in facts and family is not None and int(family[1]) >= 26


MKL_IS_SLOW = _mkl_is_slow()
_dispatch = operator.attrgetter("__torch_dispatch__")

# Multiplications for each thread from which oneDNN is faster where MKL is slow: its product takes 10 us to begin.
_LARGE = 1 << 20
_THIN = 4  # rows or columns below which reading the matrices is what takes the time


def dense(x: Tensor, kernel: Tensor, bias: Tensor | None, relu: bool = False) -> Tensor:
    """`x @ kernel + bias`, or the positive part of it: x (..., in), kernel (in, out), bias (out,) or None."""
    if (
        MKL_IS_SLOW
        and not is_dynamo_compiling()  # sizes may be open there, and in an export, and are not to be looked at
        and type(count := x.numel()) is int
        and count * kernel.shape[-1] >= _LARGE  # most products are small, and stop here
        and x.ndim > 1
        and _by_onednn(x, kernel)
    ):
        if torch.is_grad_enabled():
            return _Product.apply(*eager.seen(x, kernel, bias), relu)
        return _rows(_multiply(x.flatten(0, -2), kernel, bias, relu), x)
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


def multiply(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """`a @ b + bias` of two matrices, or of as many as are stacked. Without gradients."""
    if not (MKL_IS_SLOW and _by_onednn(a, b)):
        if bias is None:
            return torch.matmul(a, b)
        return torch.addmm(bias, a, b) if a.ndim == 2 else torch.baddbmm(bias, a, b)
    if a.ndim > 2:
        biases = [None] * len(a) if bias is None else bias
        return torch.stack([multiply(*each) for each in zip(a, b, biases, strict=True)])
    return _multiply(a, b, None if bias is None else bias.flatten(), False)


def _multiply(a: Tensor, b: Tensor, bias: Tensor | None, relu: bool) -> Tensor:
    """`a @ b + bias` of two matrices by oneDNN, or the positive part of it. Without gradients."""
    return torch.ops.mkldnn._linear_pointwise(a, b.t(), bias, "relu" if relu else "none", [], "")


class _Product(torch.autograd.Function):
    """`dense` by oneDNN."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, bias: Tensor | None, relu: bool) -> Tensor:
        y = _rows(_multiply(x.flatten(0, -2), kernel, bias, relu), x)
        ctx.save_for_backward(x, kernel, y if relu else None)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, kernel, y = ctx.saved_tensors
        if y is not None:
            grad = torch.ops.aten.threshold_backward(grad, y, 0)
        flat, rows = grad.flatten(0, -2), x.flatten(0, -2)
        product = torch.matmul if torch.is_grad_enabled() else multiply  # gradients of the gradients are autograd's
        for_x, for_kernel, for_bias, _ = ctx.needs_input_grad
        grad_x = _rows(product(flat, kernel.t()), x) if for_x else None
        grad_kernel = None
        if for_kernel:  # in the memory order of the kernel, so that it becomes its .grad without a copy
            turned = kernel.stride(0) == 1 < kernel.stride(1)
            grad_kernel = product(flat.t(), rows).t() if turned else product(rows.t(), flat)
        return grad_x, grad_kernel, flat.sum(0) if for_bias else None, None


def _rows(y: Tensor, x: Tensor) -> Tensor:
    """Rows in the axes that x has in front of its last one."""
    return y if x.ndim == 2 else y.view(*x.shape[:-1], -1)


def _by_onednn(a: Tensor, b: Tensor) -> bool:
    """Whether oneDNN multiplies these faster than MKL, to which torch leaves float32: a (..., in), b (..., in, out)."""
    count, (inside, out) = a.numel(), b.shape[-2:]
    if type(count) is not int or out < _THIN or count < _THIN * inside:
        return False
    return count * out >= _LARGE * torch.get_num_threads() and is_plain(a, b)


def is_plain(a: Tensor, b: Tensor) -> bool:
    """Whether the two are numbers that oneDNN may multiply: single ones on a CPU, with nobody watching."""
    if not eager.has_values(a) or _dispatch(type(b)) is not _dispatch(Tensor):  # as of a DTensor
        return False
    return bool(a.dtype is b.dtype is torch.float32 and eager.on_cpu(a) and torch.backends.mkldnn.enabled)
