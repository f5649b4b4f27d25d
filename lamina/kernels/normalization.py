"""Normalization: values shifted and scaled by the statistics of a batch, of a sample or of moving averages.

Channels may lie on any axis; torch sees them second through a view, and so comes the result back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Axis = int | tuple[int, ...]


def batch_norm(
    x: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    epsilon: float,
    axis: Axis,
    relu: bool = False,
) -> Tensor:
    """``(x - mean) / sqrt(variance + epsilon) * gamma + beta`` by given statistics, one for each channel.

    ``axis``: where the channels are; several axes if every combination of their places is a channel. ``relu``: the
    positive part of the result.
    """
    return _batch_norm(x, axis, gamma, beta, mean, variance, False, 0.0, epsilon, relu)


def scale_and_shift(
    gamma: Tensor | None, beta: Tensor | None, mean: Tensor, variance: Tensor, epsilon: float
) -> tuple[Tensor, Tensor]:
    """`batch_norm` as two numbers for each channel: what to multiply with, what to add to that."""
    scale = torch.rsqrt(variance + epsilon)
    scale = scale if gamma is None else scale * gamma
    return scale, -mean * scale if beta is None else torch.addcmul(beta, mean, scale, value=-1)


def batch_norm_by_batch(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, epsilon: float, axis: Axis, relu: bool = False
) -> Tensor:
    """`batch_norm` by the statistics of ``x`` itself, with its biased variance."""
    return _batch_norm(x, axis, gamma, beta, None, None, True, 0.0, epsilon, relu)


def batch_norm_and_update(
    x: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    moving_mean: Tensor,
    moving_variance: Tensor,
    momentum: float,
    epsilon: float,
    axis: Axis,
    correction: float,
    relu: bool = False,
) -> Tensor:
    """`batch_norm_by_batch`, which on its way moves the averages: ``moving * momentum + batch * (1 - momentum)``.

    ``correction``: what the biased variance is multiplied with on its way into the average. Needs two values a channel.
    """
    # torch's average takes n / (n - 1) times the biased variance: it runs on a scaled copy where that is not wanted.
    count = _count(x, moving_mean)
    ratio = correction * (count - 1) / count
    scaled = moving_variance / ratio
    y = _batch_norm(x, axis, gamma, beta, moving_mean, scaled, True, 1.0 - momentum, epsilon, relu)
    torch.mul(scaled, ratio, out=moving_variance)
    return y


def _batch_norm(
    x: Tensor,
    axis: Axis,
    gamma: Tensor | None,
    beta: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    training: bool,
    rate: float,
    epsilon: float,
    relu: bool,
) -> Tensor:
    """`torch.batch_norm` for channels on any axis; the averages move in place."""
    # torch knows no channels-last order of three axes, so they become rows; cuDNN is slow on long matrices.
    rows = axis == -1 and x.ndim == 3
    last = () if isinstance(axis, int) else tuple(range(-len(axis), 0))
    if isinstance(axis, int):
        seen = x if axis == 1 else x.flatten(0, 1) if rows else x.movedim(axis, 1)
    else:
        weights = (gamma, beta, mean, variance)
        gamma, beta, mean, variance = [None if weight is None else weight.flatten() for weight in weights]
        seen = x.movedim(axis, last).flatten(0, -len(axis) - 1).flatten(1)
    if gamma is None and beta is not None and x.is_cuda:
        gamma = torch.ones_like(beta)  # without it torch has no gradient for beta there
    y = torch.batch_norm(seen, gamma, beta, mean, variance, training, rate, epsilon, not (rows or last))
    if relu:
        torch.relu_(y)  # before any view of it: autograd copies where a view changes in place
    if isinstance(axis, int):
        return y if axis == 1 else y.view_as(x) if rows else y.movedim(1, axis)
    return y.view_as(x.movedim(axis, last)).movedim(last, axis)


def variance_correction(x: Tensor, statistic: Tensor, unbiased: str | None, epsilon: float) -> float:
    """What a batch's biased variance is multiplied with before it enters the moving average.

    ``unbiased``: None for 1; "spatial" for n / (n - 1) where ``x`` has 4 or 5 axes, else 1; "always" for
    n / (n - 1 - epsilon), and n / (n - 1) times that where it has 4. n is the number of values a channel.
    """
    count = _count(x, statistic)
    if unbiased is None or count < 2:
        return 1.0
    sample = count / (count - 1)
    if unbiased == "spatial":
        return sample if x.ndim in (4, 5) else 1.0
    return count / (count - 1 - epsilon) * (sample if x.ndim == 4 else 1.0)


def _count(x: Tensor, statistic: Tensor) -> int:
    return x.numel() // max(statistic.numel(), 1)


def moments(x: Tensor, axis: Axis, mask: Tensor | None = None, synchronized: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of every channel, with all axes kept. Half precision is read as float32.

    ``mask``: the values that count, of the shape of ``x`` without the last axis; with none of them both are 0.
    ``synchronized``: over all processes of the default group, gradients included.
    """
    kept = [place % x.ndim for place in ((axis,) if isinstance(axis, int) else axis)]
    axes = [place for place in range(x.ndim) if place not in kept]
    x = _at_least_float32(x)
    if mask is None and not synchronized:
        variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
        return mean, variance
    chosen = None if mask is None else mask.to(torch.bool).unsqueeze(-1)

    def total(values: Tensor) -> Tensor:
        values = values if chosen is None else torch.where(chosen, values, 0.0)
        found = values.sum(axes, keepdim=True)
        return _over_processes(found) if synchronized else found

    count = total(x.new_ones(()).expand_as(x)).clamp_min(1.0)
    mean = total(x) / count
    return mean, total((x - mean).square()) / count


part = 1.0  # what the loss of this process counts in that of all; with 0 its values count for nothing


def _over_processes(values: Tensor) -> Tensor:
    """The sum over all processes of the default group; as it is where there is none."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return values
    return _Sum.apply(values, part)


class _Sum(torch.autograd.Function):
    """Gradients that come back count as the losses of their processes do, of which the mean is still to be taken."""

    @staticmethod
    def forward(context: Any, values: Tensor, part: float) -> Tensor:
        context.part = part
        total = values.clone() if part else torch.zeros_like(values)
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *grads: Tensor) -> tuple[Tensor, None]:
        total = grads[0] * context.part
        torch.distributed.all_reduce(total)
        return total / (context.part or 1.0), None


def normalize(
    x: Tensor, mean: Tensor, variance: Tensor, gamma: Tensor | None, beta: Tensor | None, epsilon: float
) -> Tensor:
    """`batch_norm` through which the statistics pass gradients. They have the axes of ``x``."""
    y = (x - mean) * torch.rsqrt(variance + epsilon)
    y = y if gamma is None else y * gamma.view(mean.shape)
    return (y if beta is None else y + beta.view(mean.shape)).to(x.dtype)


def renormalize(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    renorm_mean: Tensor,
    renorm_deviation: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    epsilon: float,
    limits: Mapping[str, float | None],
) -> Tensor:
    """Batch renormalization (Ioffe, 2017): `normalize`, then what turns it into one by the slow averages.

    ``limits``: "rmin" and "rmax" of the ratio of deviations, "dmax" of the distance of means; what is missing is open.
    """
    slow = renorm_deviation.to(mean.dtype).view(mean.shape).clamp_min(epsilon**0.5)
    ratio = torch.sqrt(variance.detach() + epsilon) / slow
    distance = (mean.detach() - renorm_mean.view(mean.shape)) / slow
    if limits.get("rmin") is not None or limits.get("rmax") is not None:
        ratio = ratio.clamp(limits.get("rmin"), limits.get("rmax"))
    if (dmax := limits.get("dmax")) is not None:
        distance = distance.clamp(-dmax, dmax)
    y = (x - mean) * (torch.rsqrt(variance + epsilon) * ratio) + distance
    y = y if gamma is None else y * gamma.view(mean.shape)
    return (y if beta is None else y + beta.view(mean.shape)).to(x.dtype)


def move(average: Tensor, value: Tensor, momentum: float) -> None:
    """``average * momentum + value * (1 - momentum)``, in place."""
    value = value.detach().view(average.shape)
    average.copy_(torch.lerp(value, average.to(value.dtype), momentum))


def layer_norm(
    x: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    sizes: tuple[int, ...],
    epsilon: float,
    axes: tuple[int, ...] | None,
) -> Tensor:
    """``(x - mean) / sqrt(variance + epsilon) * gamma + beta`` with the statistics over ``axes`` of each sample.

    ``axes`` ascend, None for the last ones; ``sizes`` are theirs.
    """
    if axes is None:
        return torch.layer_norm(x, sizes, gamma, beta, epsilon)
    return _axes_last(torch.layer_norm, x, axes, sizes, _shaped(gamma, sizes), _shaped(beta, sizes), epsilon)


def rms_norm(
    x: Tensor, scale: Tensor | None, sizes: tuple[int, ...], epsilon: float, axes: tuple[int, ...] | None
) -> Tensor:
    """``x / sqrt(mean(x**2) + epsilon) * scale`` with the mean over ``axes`` of each sample, as in `layer_norm`."""
    if axes is None:
        return torch.rms_norm(x, sizes, scale, epsilon)
    return _axes_last(torch.rms_norm, x, axes, sizes, _shaped(scale, sizes), epsilon)


def deviation_norm(
    x: Tensor, gamma: Tensor | None, sizes: tuple[int, ...], epsilon: float, axes: tuple[int, ...] | None
) -> Tensor:
    """``x / sqrt(variance + epsilon) * gamma``: `layer_norm` that divides by the deviation and leaves the mean."""
    if axes is not None:
        return _axes_last(deviation_norm, x, axes, _shaped(gamma, sizes), sizes, epsilon, None)
    wide = _at_least_float32(x)
    last = tuple(range(-len(sizes), 0))
    variance = (wide - wide.mean(last, keepdim=True)).square().mean(last, keepdim=True)
    y = wide * torch.rsqrt(variance + epsilon)
    return (y if gamma is None else y * gamma).to(x.dtype)


def group_norm(x: Tensor, gamma: Tensor | None, beta: Tensor | None, groups: int, epsilon: float, axis: int) -> Tensor:
    """``(x - mean) / sqrt(variance + epsilon) * gamma + beta`` by each group of a sample's channels.

    Channels lie on ``axis``, those of a group side by side; gamma and beta are (channels,).
    """
    if gamma is None and beta is not None:
        gamma = torch.ones_like(beta)  # torch wants both or none
    if axis == 1:
        return torch.group_norm(x, groups, gamma, beta, epsilon)
    x = x.movedim(axis, 1)
    if not x.requires_grad and any(weight is not None and weight.requires_grad for weight in (gamma, beta)):
        x = x.contiguous()  # torch 2.13 crashes in the backward of channels-last data that needs no gradient itself
    return torch.group_norm(x, groups, gamma, beta, epsilon).movedim(1, axis)


def unit_norm(x: Tensor, axes: Axis) -> Tensor:
    """``x`` divided by its Euclidean norm over ``axes``; zeros stay zeros."""
    wide = _at_least_float32(x)
    return (wide / torch.linalg.vector_norm(wide, dim=axes, keepdim=True).clamp_min(1e-12)).to(x.dtype)


def spectral_step(kernel: Tensor, u: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """``kernel`` (..., out) divided by its greatest singular value, and the singular vector ``u`` (1, out) it rests on.

    Each power iteration starts from the last ``u`` (Miyato et al., 2018). A kernel of zeros stays, with its ``u``.
    """
    matrix = kernel.reshape(-1, kernel.shape[-1])
    v, start = u, u
    for _ in range(iterations):
        v = _unit(u @ matrix.T)
        u = _unit(v @ matrix)
    sigma = v @ matrix @ u.T
    some = (kernel != 0).any()
    return torch.where(some, kernel / sigma, kernel), torch.where(some, u, start)


def _unit(vector: Tensor) -> Tensor:
    return vector / torch.linalg.vector_norm(vector).clamp_min(1e-7)


def _at_least_float32(x: Tensor) -> Tensor:
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def _shaped(weight: Tensor | None, sizes: tuple[int, ...]) -> Tensor | None:
    return None if weight is None else weight.reshape(sizes)


def _axes_last(function: Callable[..., Tensor], x: Tensor, axes: Sequence[int], *args: object) -> Tensor:
    last = tuple(range(-len(axes), 0))
    return function(x.movedim(tuple(axes), last), *args).movedim(last, tuple(axes))
