"""Values and gradients of every kind of convolution are those of plain, contiguous tensors in float64: of one channel
or filter, of one sample, where parts of the kernel meet padding alone, and in all types."""

from __future__ import annotations

import copy
import itertools
import pickle
import random
from typing import Any

import numpy as np
import pytest
import torch

import lamina as keras
from lamina.kernels import convolution, window

FORWARD = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}
TRANSPOSED = {1: torch.conv_transpose1d, 2: torch.conv_transpose2d, 3: torch.conv_transpose3d}
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 6e-2}


def plainly(
    kind: str, x: torch.Tensor, kernel: torch.Tensor, stride: int, padding: str, dilation: int, groups: int
) -> torch.Tensor:
    """x (N, C, *S), kernel as Keras has it; every element of every window counts, padding is made of zeros."""
    rank = x.ndim - 2
    k = kernel.shape[0]
    if kind == "transposed":
        before, after = window.transposed_pads(k, stride, padding, None, dilation)
        y = TRANSPOSED[rank](
            x, kernel.permute(rank + 1, rank, *range(rank)).contiguous(), None, stride, 0, 0, 1, dilation
        )
        y = torch.nn.functional.pad(y, (0, max(-after, 0)) * rank)
        for axis in range(2, rank + 2):
            y = y.narrow(axis, before, y.shape[axis] - before - max(after, 0))
        return y
    if kind == "depthwise":
        groups, kernel = x.shape[1], kernel.flatten(-2).unsqueeze(-2)
    pads = [n for size in reversed(x.shape[2:]) for n in window.pads(size, k, stride, padding, dilation)]
    kernel = kernel.permute(rank + 1, rank, *range(rank)).contiguous()
    return FORWARD[rank](torch.nn.functional.pad(x, pads), kernel, None, stride, 0, dilation, groups)


def ours(
    kind: str, x: torch.Tensor, kernel: torch.Tensor, stride: int, padding: str, dilation: int, groups: int, last: bool
) -> torch.Tensor:
    rank = x.ndim - 2
    steps, gaps = (stride,) * rank, (dilation,) * rank
    if last:
        x = x.movedim(1, -1).contiguous()
    if kind == "transposed":
        y = convolution.transposed_convolution(x, kernel, None, steps, padding, None, gaps, last)
    else:
        many = None if kind == "depthwise" else groups
        y = convolution.convolution(x, kernel, None, steps, padding, gaps, many, last)
    return y.movedim(-1, 1) if last else y


def cases(kind: str, rank: int, dtype: torch.dtype) -> Any:
    every = itertools.product(
        (1, 2),
        (1, 2, 5, 40) if rank == 1 else (1, 2, 5),  # long sequences become pictures of one row
        (1, 2, 16),
        (1, 2, 16),
        (1, 2, 3, 5),
        (1, 2, 3),
        ("valid", "same", "causal") if rank == 1 and kind != "transposed" else ("valid", "same"),
        (1, 2, 3),
        (1, 2),
        (False, True),
    )
    drawn = random.Random(f"{kind}{rank}{dtype}")
    for samples, size, inputs, outputs, k, stride, padding, dilation, groups, last in every:
        fits = padding != "valid" or window.extent(k, dilation) <= size
        grouped = groups == 1 or (kind == "forward" and inputs % 2 == outputs % 2 == 0)
        small = rank < 3 or max(inputs, outputs, k) < 5
        chosen = drawn.random() < (0.025 if rank == 1 else 0.05)
        if chosen and fits and grouped and small and not (stride > 1 and dilation > 1):
            yield samples, size, inputs, outputs, k, stride, padding, dilation, groups, last


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("kind", ["forward", "transposed", "depthwise"])
def test_values_and_gradients_of_any_sizes(kind: str, rank: int, dtype: torch.dtype) -> None:
    count = 0
    for case in cases(kind, rank, dtype):
        samples, size, inputs, outputs, k, stride, padding, dilation, groups, last = case
        channels = {"transposed": (outputs, inputs)}.get(kind, (inputs // groups, outputs))
        x = torch.randn(samples, inputs, *[size] * rank).to(dtype)
        kernel = torch.randn(*[k] * rank, *channels).to(dtype)
        found, wanted = [], []
        for kept, kind_of, compute in ((found, dtype, ours), (wanted, torch.float64, plainly)):
            a, b = (tensor.to(kind_of, copy=True).requires_grad_() for tensor in (x, kernel))
            more = (last,) if compute is ours else ()
            y = compute(kind, a, b, stride, padding, dilation, groups, *more)  # type: ignore[operator]
            slopes = torch.linspace(-1, 1, y.numel()).to(dtype).to(kind_of).view(y.shape)
            kept += [y, *torch.autograd.grad(y, (a, b), slopes)]
        for one, other in zip(found, wanted, strict=True):
            assert one.shape == other.shape, case
            scale = max(1.0, float(other.detach().abs().max()))
            torch.testing.assert_close(
                one.double(),
                other,
                rtol=0,
                atol=TOLERANCE[dtype] * scale,
                msg=lambda text, case=case: f"{case}: {text}",
            )
        count += 1
    assert count > 25


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "mixed_float16", "bfloat16"])
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("name", ["Conv1D", "Conv2D", "Conv2DTranspose", "SeparableConv2D", "Conv3D"])
def test_layers_of_one_filter_learn_from_one_sample(name: str, size: int, dtype: str) -> None:
    rank = int(name.removesuffix("Transpose")[-2])
    filters, channels = (2, 1) if name.endswith("Transpose") else (1, 2)  # the last axis of the kernel has one element
    layer = getattr(keras.layers, name)(filters, size, padding="same", dtype=dtype)
    first = keras.Sequential([keras.Input((*[4] * rank, channels)), layer])
    for model in (first, copy.deepcopy(first), pickle.loads(pickle.dumps(first))):  # with strides of their own
        x = np.ones((1, *model.input_shape[1:]), np.float32)
        model.compile("sgd", "mse", jit_compile=False)
        before = [weight.copy() for weight in model.get_weights()]
        model.train_on_batch(x, model.predict_on_batch(x) + 1)
        assert all((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("last", [True, False])
def test_what_onednn_gets_wrong_goes_another_way(last: bool) -> None:
    def way(size: tuple[int, int], channels: int, kernel: int, strides: tuple[int, int], groups: int = 1) -> Any:
        shape = (2, *size, channels) if last else (2, channels, *size)
        return convolution.plan_convolution(shape, (kernel, kernel), strides, "valid", (1, 1), groups, last).op

    assert way((5, 5), 4, 1, (2, 1)) is way((5, 5), 15, 1, (1, 2)) is convolution._picked  # it writes beyond its memory
    assert way((5, 5), 16, 1, (2, 2)) is way((5, 5), 4, 1, (1, 1)) is way((5, 5), 4, 1, (2, 2), 2) is torch.conv2d
    assert way((5, 4), 1, 3, (1, 2)) is convolution._of_one_channel  # it reads beyond its memory
    assert way((5, 5), 1, 3, (1, 2)) is way((5, 4), 1, 3, (2, 2)) is way((5, 4), 2, 3, (1, 2)) is torch.conv2d


def test_elements_that_meet_padding_alone_cost_nothing_and_get_no_gradient() -> None:
    plan = convolution.plan_convolution((2, 1, 1, 3), (3, 3), (1, 1), "same", (1, 1), 1, True)
    assert plan.met == (slice(1, 2), slice(1, 2)) and plan.copy is None
    wide = convolution.plan_convolution((2, 9, 9, 3), (3, 3), (1, 1), "same", (12, 12), 1, True)
    assert wide.met == (slice(1, 2), slice(1, 2))
    assert convolution.plan_convolution((2, 9, 9, 3), (3, 3), (1, 1), "same", (8, 8), 1, True).met is None
    kernel = torch.randn(3, 3, 3, 4, requires_grad=True)
    convolution.run(torch.randn(2, 1, 1, 3), kernel, None, plan).sum().backward()
    assert kernel.grad is not None and kernel.grad[1, 1].all()
    assert not kernel.grad[[0, 2]].any() and not kernel.grad[:, [0, 2]].any()
