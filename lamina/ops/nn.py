"""Functions of networks: activations, convolution, pooling, normalization, attention, crossentropies."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Concatenate

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import activations
from ..core import config
from ..kernels import attention, convolution, normalization, pooling
from .arrangement import depth_to_space as depth_to_space
from .arrangement import space_to_depth as space_to_depth
from .base import OPS, Axis, Op, P, as_index, axes_of, channels_last, floating, is_trial, op, same_dtype, tensor
from .creation import multi_hot as multi_hot
from .creation import one_hot as one_hot
from .creation import saturate_cast
from .elementwise import polar as polar
from .linalg import dot as dot

Sizes = int | Sequence[int]

# Activations -----------------------------------------------------------------------------------------------------


def _op(activation: Callable[Concatenate[Tensor, P], Tensor]) -> Callable[Concatenate[Any, P], Tensor]:
    """An activation as an op: of anything that makes a tensor, in floating numbers."""

    @functools.wraps(activation)
    def function(x: Any, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        return activation(floating(x), *args, **kwargs)

    function.__module__ = __name__
    return op(function)


leaky_relu = _op(activations.leaky_relu)
elu = _op(activations.elu)
selu = _op(activations.selu)
celu = _op(activations.celu)
silu = _op(activations.silu)
hard_silu = _op(activations.hard_silu)
sigmoid = _op(activations.sigmoid)
hard_sigmoid = _op(activations.hard_sigmoid)
log_sigmoid = _op(activations.log_sigmoid)
sparse_sigmoid = _op(activations.sparse_sigmoid)
hard_tanh = _op(activations.hard_tanh)
tanh_shrink = _op(activations.tanh_shrink)
hard_shrink = _op(activations.hard_shrink)
soft_shrink = _op(activations.soft_shrink)
softplus = _op(activations.softplus)
squareplus = _op(activations.squareplus)
sparse_plus = _op(activations.sparse_plus)
softsign = _op(activations.softsign)
glu = _op(activations.glu)
sparsemax = _op(activations.sparsemax)


@op
def relu(x: Any) -> Tensor:
    """x where positive, else 0."""
    return torch.relu(tensor(x))


@op
def relu6(x: Any) -> Tensor:
    """x kept between 0 and 6."""
    return F.relu6(tensor(x))


@op
def gelu(x: Any, approximate: bool = True) -> Tensor:
    """x times the normal distribution function of x, by default approximated with tanh."""
    return activations.gelu(floating(x), approximate)


@op
def threshold(x: Any, threshold: float, default_value: float) -> Tensor:
    """x where it exceeds the threshold, else the default."""
    return activations.threshold(tensor(x), threshold, default_value)


@op
def softmax(x: Any, axis: Axis = -1) -> Tensor:
    """Exponentials that sum to 1 along an axis, over several together, or over all (None)."""
    x = floating(x)
    axes = axes_of(axis, x.ndim)  # in a trial torch takes any axis
    return activations.softmax(x, axes[0] if isinstance(axis, int) else axes)


@op
def log_softmax(x: Any, axis: Axis = -1) -> Tensor:
    """log(softmax(x)), without overflow."""
    x = floating(x)
    return activations.log_softmax(x, axis if isinstance(axis, int) else axes_of(axis, x.ndim))


swish = silu
hard_swish = hard_silu
OPS["re_lu"] = Op(activations.relu, "activations", "ReLU", None)  # which are operations, and no ops
OPS["mish"] = Op(activations.mish, "activations", "Mish", None)

# Convolution and pooling: x is (N, *S, C), or (N, C, *S) for "channels_first" -----------------------------------


def _sizes(value: Sizes, rank: int, name: str) -> tuple[int, ...]:
    """One integer for each of `rank` axes."""
    sizes = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(sizes) != rank or min(sizes, default=1) < 1:
        raise ValueError(f"{name} must be one positive integer or {rank} of them; got {value!r}.")
    return sizes


def _rank(x: Tensor, name: str) -> int:
    if x.ndim not in (3, 4, 5):
        raise ValueError(
            f"{name}: expected 3, 4 or 5 axes (batch, 1 to 3 spatial ones, channels); got shape {tuple(x.shape)}."
        )
    return x.ndim - 2


def _windows(
    x: Tensor, strides: Sizes, padding: str, dilation: Sizes, name: str
) -> tuple[tuple[int, ...], str, tuple[int, ...]]:
    rank = _rank(x, name)
    padding = padding.lower()
    if padding not in ("valid", "same"):
        raise ValueError(f'{name}: `padding` must be "valid" or "same"; got {padding!r}.')
    strides, dilation = _sizes(strides, rank, f"{name}: `strides`"), _sizes(dilation, rank, f"{name}: `dilation_rate`")
    return strides, padding, dilation


@op(call=2)
def conv(
    inputs: Any,
    kernel: Any,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    """Cross-correlation with a kernel (*k, channels / groups, filters); the groups follow from its shape."""
    x, kernel = same_dtype(floating(inputs), floating(kernel))
    windows = _windows(x, strides, padding, dilation_rate, "conv")
    last = channels_last(data_format)
    channels, taken = x.shape[-1 if last else 1], kernel.shape[-2]
    if channels % taken:
        raise ValueError(
            f"conv: the input has {channels} channels, which the kernel's {taken} (shape {tuple(kernel.shape)}) do not "
            "divide. The kernel is (*sizes, channels / groups, filters)."
        )
    return convolution.convolution(x, kernel, None, *windows, channels // taken, last)


@op(call=2)
def depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    """Each channel with its own kernel (*k, channels, multiplier)."""
    x, kernel = same_dtype(floating(inputs), floating(kernel))
    windows = _windows(x, strides, padding, dilation_rate, "depthwise_conv")
    return convolution.convolution(x, kernel, None, *windows, None, channels_last(data_format))


@op(call=3)
def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    """`depthwise_conv`, then a kernel (*1, channels * multiplier, filters) at every place."""
    x, depthwise, pointwise = same_dtype(floating(inputs), floating(depthwise_kernel), floating(pointwise_kernel))
    windows = _windows(x, strides, padding, dilation_rate, "separable_conv")
    last = channels_last(data_format)
    return convolution.separable_convolution(x, depthwise, pointwise, None, *windows, last)


@op(call=2)
def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: Sizes = 1,
    padding: str = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    """The gradient of `conv` by its input: a kernel (*k, filters, channels) spreads each value over a window."""
    x, kernel = same_dtype(floating(inputs), floating(kernel))
    strides, padding, dilation = _windows(x, strides, padding, dilation_rate, "conv_transpose")
    if isinstance(output_padding, int):
        output_padding = (output_padding,) * (x.ndim - 2)
    last = channels_last(data_format)
    return convolution.transposed_convolution(x, kernel, None, strides, padding, output_padding, dilation, last)


@op
def max_pool(
    inputs: Any, pool_size: Sizes, strides: Sizes | None = None, padding: str = "valid", data_format: str | None = None
) -> Tensor:
    """The greatest value of each window. `strides` defaults to `pool_size`."""
    x = tensor(inputs)
    strides, padding, _ = _windows(x, pool_size if strides is None else strides, padding, 1, "max_pool")
    size = _sizes(pool_size, x.ndim - 2, "max_pool: `pool_size`")
    return pooling.max_pool(x, size, strides, padding, channels_last(data_format))


@op
def average_pool(
    inputs: Any, pool_size: Sizes, strides: Sizes | None = None, padding: str = "valid", data_format: str | None = None
) -> Tensor:
    """The mean of each window, padding left out. `strides` defaults to `pool_size`."""
    x = floating(inputs)
    strides, padding, _ = _windows(x, pool_size if strides is None else strides, padding, 1, "average_pool")
    size = _sizes(pool_size, x.ndim - 2, "average_pool: `pool_size`")
    return pooling.average_pool(x, size, strides, padding, channels_last(data_format))


@op
def adaptive_max_pool(inputs: Any, output_size: Sizes, data_format: str | None = None) -> Tensor:
    """The greatest value of each of `output_size` nearly equal parts of the axes."""
    x = floating(inputs)
    size = _sizes(output_size, _rank(x, "adaptive_max_pool"), "adaptive_max_pool: `output_size`")
    return pooling.adaptive_max(x, size, channels_last(data_format))


@op
def adaptive_average_pool(inputs: Any, output_size: Sizes, data_format: str | None = None) -> Tensor:
    """The mean of each of `output_size` nearly equal parts of the axes."""
    x = floating(inputs)
    size = _sizes(output_size, _rank(x, "adaptive_average_pool"), "adaptive_average_pool: `output_size`")
    return pooling.adaptive_average(x, size, channels_last(data_format))


@op
def unfold(x: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """The windows of pictures (N, C, H, W) as columns (N, C * window, windows)."""
    return F.unfold(tensor(x), kernel_size, dilation, padding, stride)


@op
def fold(x: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """Columns (N, C * window, windows) added up into pictures (N, C, H, W)."""
    return F.fold(tensor(x), output_size, kernel_size, dilation, padding, stride)


# Normalization ---------------------------------------------------------------------------------------------------


@op
def normalize(x: Any, axis: Axis = -1, order: float | None = 2, epsilon: float | None = None) -> Tensor:
    """x divided by its norm of this order over the axes, which counts as at least `epsilon`."""
    x = floating(x)
    if not isinstance(order, (int, float)) or order < 1:
        raise ValueError(f"normalize: `order` must be a number of at least 1; got {order!r}.")
    least = config.epsilon() if epsilon is None else epsilon
    lengths = torch.linalg.vector_norm(x, order, axes_of(axis, x.ndim), keepdim=True)
    return x / lengths.clamp_min(least)


@op
def moments(x: Any, axes: Axis, keepdims: bool = False, synchronized: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and biased variance over the axes, of all processes together if `synchronized`."""
    x = floating(x)
    over = axes_of(axes, x.ndim)
    kept = tuple(place for place in range(x.ndim) if place not in over)
    found = normalization.moments(x, kept, synchronized=synchronized)
    mean, variance = (saturate_cast(y if keepdims else y.squeeze(over), x.dtype) for y in found)
    return mean, variance


@op(name="BatchNorm", call="x,mean,variance,offset,scale")
def batch_normalization(
    x: Any, mean: Any, variance: Any, axis: int, offset: Any = None, scale: Any = None, epsilon: float = 1e-3
) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * scale + offset, each a vector along `axis`."""
    x, mean, variance = same_dtype(floating(x), tensor(mean), tensor(variance))
    (axis,) = axes_of(axis, x.ndim)
    shape = [-1 if place == axis else 1 for place in range(x.ndim)]
    mean, variance = (value.to(x.device).reshape(shape) for value in (mean, variance))
    scale, offset = (None if value is None else tensor(value, x.dtype, x.device) for value in (scale, offset))
    return normalization.normalize(x, mean, variance, scale, offset, epsilon)


@op(name="LayerNorm", call=3)
def layer_normalization(
    x: Any, gamma: Any = None, beta: Any = None, axis: Axis = -1, epsilon: float | None = None, **kwargs: Any
) -> Tensor:
    """Each sample less its mean, divided by its deviation over the axes, times gamma plus beta.

    `rms_scaling=True` leaves the mean in and takes no beta.
    """
    rms_scaling = kwargs.pop("rms_scaling", False)
    if kwargs:
        raise TypeError(f"layer_normalization: unknown keyword arguments {sorted(kwargs)}.")
    if rms_scaling and beta is not None:
        raise ValueError("layer_normalization: `rms_scaling` takes no `beta`.")
    x, gamma, beta, sizes, least, axes = _per_sample(x, gamma, beta, axis, epsilon)
    if rms_scaling:
        return normalization.deviation_norm(x, gamma, sizes, least, axes)
    return normalization.layer_norm(x, gamma, beta, sizes, least, axes)


@op(name="RMSNorm", call="x,scale=")
def rms_normalization(x: Any, scale: Any = None, axis: Axis = -1, epsilon: float | None = None) -> Tensor:
    """x / sqrt(mean(x**2) + epsilon) over the axes, times scale."""
    x, scale, _, sizes, least, axes = _per_sample(x, scale, None, axis, epsilon)
    return normalization.rms_norm(x, scale, sizes, least, axes)


def _per_sample(x: Any, gamma: Any, beta: Any, axis: Axis, epsilon: float | None) -> tuple[Any, ...]:
    x = floating(x)
    axes = tuple(sorted(axes_of(axis, x.ndim)))
    sizes = tuple(x.shape[place] for place in axes)
    weights = (None if w is None else tensor(w, x.dtype, x.device).reshape(sizes) for w in (gamma, beta))
    last = axes == tuple(range(x.ndim - len(axes), x.ndim))
    return x, *weights, sizes, config.epsilon() if epsilon is None else epsilon, None if last else axes


# Attention -------------------------------------------------------------------------------------------------------


@op(call="query,key,value,bias=,mask=,scale=")
def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Tensor:
    """softmax(scale * query key^T + bias) value for each head.

    query (batch, target, heads, size), key and value (batch, source, heads or a divisor of them, size); `bias` and
    `mask` broadcast to (batch, heads, target, source), `mask` being true where there is attention. `scale` defaults to
    size**-0.5; a soft cap c turns scores s into c tanh(s / c). `flash_attention=True` accepts no other kernel.
    """
    query, key, value = same_dtype(floating(query), floating(key), floating(value))
    if any(x.ndim != 4 for x in (query, key, value)):
        shapes = ", ".join(str(tuple(x.shape)) for x in (query, key, value))
        raise ValueError(f"dot_product_attention: query, key and value need 4 axes; got shapes {shapes}.")
    query, key, value = (x.transpose(1, 2) for x in (query, key, value))
    bias = None if bias is None else tensor(bias, query.dtype, query.device)
    mask = None if mask is None else tensor(mask, torch.bool, query.device)
    if is_causal and (bias is not None or mask is not None or attn_logits_soft_cap is not None):
        earlier = attention.earlier(query.shape[2], key.shape[2], query.device)
        mask, is_causal = earlier if mask is None else mask & earlier, False
    if attn_logits_soft_cap is not None:
        scores = attention.scores(query, key, scale)
        scores = attn_logits_soft_cap * torch.tanh(scores / attn_logits_soft_cap)
        scores = scores if bias is None else scores + bias
        return attention.combine(attention.shares(scores, mask), value).transpose(1, 2)
    query, bias = attention.masked(query, mask, bias)
    flash = bool(flash_attention)
    return attention.attend(query, key, value, bias, is_causal, scale, flash=flash).transpose(1, 2)


# Crossentropies --------------------------------------------------------------------------------------------------


@op(call=2)
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Tensor:
    """-log of the probability given to the right one of two answers, for each element."""
    from ..losses import functions

    target, output = (x.unsqueeze(-1) for x in _with_target(target, output))  # the loss takes means of the last axis
    return functions.binary_crossentropy(target, output, from_logits)


def _with_target(target: Any, output: Any) -> tuple[Tensor, Tensor]:
    """Both in the type that holds them; targets that are no real numbers take the output's."""
    target, output = tensor(target), floating(output)
    return same_dtype(target, output) if target.is_floating_point() else (target.to(output.dtype), output)


@op(call=2)
def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    """-log of the probability given to the right class; classes lie along `axis`, the target is one-hot."""
    from ..losses import functions

    return functions.categorical_crossentropy(*_with_target(target, output), from_logits, axis=axis)


@op(call=2)
def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    """`categorical_crossentropy` with classes as integers."""
    from ..losses import functions

    return functions.sparse_categorical_crossentropy(target, output, from_logits, axis=axis)


def _exact(scores: Any) -> Tensor:
    scores = floating(scores)
    return scores.float() if scores.dtype.itemsize < 4 else scores


@op(name="CTCLoss", call=4)
def ctc_loss(target: Any, output: Any, target_length: Any, output_length: Any, mask_index: int = 0) -> Tensor:
    """Connectionist temporal classification, a value a sample.

    target (batch, labels), output (batch, steps, classes): scores; how many of each count; the class of blanks.
    """
    output = _exact(output)
    target = as_index(target, output.device)
    if target.ndim != 2 or output.ndim != 3:
        raise ValueError(
            "ctc_loss: expected target (batch, labels) and output (batch, steps, classes); got shapes "
            f"{tuple(target.shape)} and {tuple(output.shape)}."
        )
    if is_trial(output):  # torch has no shapes for it
        return output.new_empty(output.shape[:1])
    log = output.log_softmax(-1).transpose(0, 1)
    lengths = (as_index(length, output.device) for length in (output_length, target_length))
    return F.ctc_loss(log, target, *lengths, blank=mask_index, reduction="none")


@op(name="CTCDecode", call=2)
def ctc_decode(
    inputs: Any,
    sequence_lengths: Any,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int = 0,
) -> tuple[Tensor, Tensor]:
    """Labels from scores (batch, steps, classes): (paths, batch, steps) padded with -1, and the score of each path.

    "greedy" takes the best class of each step (scores: -log likelihood), "beam_search" the `top_paths` best of
    `beam_width` label sequences (scores: log likelihood). Runs on the host.
    """
    inputs = _exact(inputs)
    lengths = as_index(sequence_lengths, inputs.device)
    if strategy == "greedy":
        return _decode_greedy(inputs, lengths, merge_repeated, mask_index)
    if strategy != "beam_search":
        raise ValueError(f'ctc_decode: `strategy` must be "greedy" or "beam_search"; got {strategy!r}.')
    if not 1 <= top_paths <= beam_width:
        raise ValueError(f"ctc_decode: top_paths must be between 1 and beam_width {beam_width}; got {top_paths}.")
    paths = torch.full((top_paths, *inputs.shape[:2]), -1, dtype=torch.int32, device=inputs.device)
    scores = inputs.new_full((inputs.shape[0], top_paths), float("-inf"))
    if is_trial(inputs):
        return paths, scores
    samples = zip(inputs.log_softmax(-1).tolist(), lengths.tolist(), strict=True)
    found = [_beams(rows[:n], beam_width, mask_index)[:top_paths] for rows, n in samples]
    for sample, beams in enumerate(found):
        for rank, (labels, score) in enumerate(beams):
            paths[rank, sample, : len(labels)] = torch.tensor(labels, dtype=torch.int32)
            scores[sample, rank] = score
    return paths, scores


def _decode_greedy(x: Tensor, lengths: Tensor, merge_repeated: bool, blank: int) -> tuple[Tensor, Tensor]:
    inside = torch.arange(x.shape[1], device=x.device) < lengths.unsqueeze(-1)
    best, labels = x.max(-1)
    scores = -torch.where(inside, best, 0.0).sum(-1, keepdim=True)
    kept = inside & (labels != (blank % x.shape[-1]))
    if merge_repeated:
        kept[:, 1:] &= labels[:, 1:] != labels[:, :-1]
    order = torch.sort(kept.logical_not(), dim=-1, stable=True).indices  # labels to the front, in their order
    labels = torch.where(kept, labels, -1).gather(-1, order)
    return labels.unsqueeze(0).to(torch.int32), scores


def _beams(rows: list[list[float]], width: int, blank: int) -> list[tuple[tuple[int, ...], float]]:
    """Prefix beam search: for each prefix the log likelihoods of the paths that end in a blank and that do not."""
    never = float("-inf")
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, never)}
    for row in rows:
        blank %= len(row)
        grown: dict[tuple[int, ...], tuple[float, float]] = {}

        def put(prefix, ended, open_, grown=grown):
            before = grown.get(prefix, (never, never))
            grown[prefix] = (_log_add(before[0], ended), _log_add(before[1], open_))

        for prefix, (ended, open_) in beams.items():
            both = _log_add(ended, open_)
            put(prefix, both + row[blank], open_ + row[prefix[-1]] if prefix else never)
            for label, score in enumerate(row):
                if label != blank:
                    same = bool(prefix) and prefix[-1] == label
                    put((*prefix, label), never, (ended if same else both) + score)
        ranked = sorted(grown.items(), key=lambda item: -_log_add(*item[1]))
        beams = dict(ranked[:width])
    return [(prefix, _log_add(*scores)) for prefix, scores in beams.items()]


def _log_add(a: float, b: float) -> float:
    if a == b == float("-inf"):
        return a
    return max(a, b) + math.log1p(math.exp(-abs(a - b)))


@op(name="PSNR")
def psnr(x1: Any, x2: Any, max_val: float) -> Tensor:
    """Peak signal to noise ratio of two tensors of one shape, in decibels."""
    x1, x2 = same_dtype(floating(x1), floating(x2))
    if x1.shape != x2.shape:
        raise ValueError(f"psnr: both must have one shape; got {tuple(x1.shape)} and {tuple(x2.shape)}.")
    peak = tensor(max_val, x1.dtype, x1.device)
    return 20 * torch.log10(peak) - 10 * torch.log10((x1 - x2).square().mean())
