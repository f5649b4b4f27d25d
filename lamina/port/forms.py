"""How layers are written in plain torch, one function a kind of layer."""

from __future__ import annotations

import copy
import math
import operator
import string
from collections.abc import Sequence
from functools import partial, reduce
from typing import Any

import torch
from torch import nn

from .. import activations, layers
from ..core.layer import Layer
from ..kernels import window
from ..layers.convolution import Conv, ConvTranspose, DepthwiseConv, SeparableConv
from ..layers.dropout import SpatialDropout
from ..layers.merge import Merge
from ..layers.pooling import (
    AdaptiveAveragePooling,
    AdaptiveMaxPooling,
    AveragePooling,
    GlobalAveragePooling,
    GlobalMaxPooling,
    MaxPooling,
)
from ..layers.reshape import ZeroPadding, _Cropping, _UpSampling
from .axes import Value, channels_second, flatten_order, reread
from .writer import TRAINING, From, NoForm, Writer, filled, form, otherwise, parameter

# Activations ---------------------------------------------------------------------------------------------------------

_MODULES: dict[Any, Any] = {
    activations.relu: nn.ReLU, activations.relu6: nn.ReLU6, activations.elu: nn.ELU, activations.selu: nn.SELU,
    activations.celu: nn.CELU, activations.gelu: nn.GELU, activations.silu: nn.SiLU, activations.mish: nn.Mish,
    activations.hard_silu: nn.Hardswish, activations.sigmoid: nn.Sigmoid, activations.hard_sigmoid: nn.Hardsigmoid,
    activations.log_sigmoid: nn.LogSigmoid, activations.tanh: nn.Tanh, activations.hard_tanh: nn.Hardtanh,
    activations.tanh_shrink: nn.Tanhshrink, activations.hard_shrink: nn.Hardshrink,
    activations.soft_shrink: nn.Softshrink, activations.softplus: partial(nn.Softplus, threshold=40),
    activations.softsign: nn.Softsign, activations.leaky_relu: partial(nn.LeakyReLU, 0.2),
}  # fmt: skip
_ALONG: dict[Any, Any] = {
    activations.softmax: nn.Softmax, activations.log_softmax: nn.LogSoftmax, activations.glu: nn.GLU
}  # fmt: skip


def activated(to: Writer, layer: Layer, x: Value, function: Any, name: str | None = None) -> Value:
    """An activation behind what a layer does, as a submodule named after both."""
    function = getattr(function, "stands_for", function)
    part = getattr(function, "__name__", "activation").strip("_") if name is None else name
    if function is activations.linear:
        return x
    if function in _MODULES:
        return x.like(to.module(layer, _MODULES[function], x.made, part=part))
    if function in _ALONG and function is not activations.glu:
        return softmax(to, layer, x, -1, part, _ALONG[function])
    if function is activations.exponential:
        return x.like(torch.exp(x.made))
    return to.traced(layer, (x,), {}, part, call=function)


def softmax(to: Writer, layer: Layer, x: Value, axis: int, part: str = "", make: Any = nn.Softmax) -> Value:
    x = to.settled(x) if x.columns else x
    place = x.axis(axis)
    place = -1 if place == len(x.shape) - 1 else place
    return x.like(to.module(layer, partial(make, place), x.made, part=part))


@form(layers.Activation)
def activation(to: Writer, layer: Layer, x: Value) -> Value:
    return activated(to, layer, x, layer.activation, "")


@form(layers.Softmax)
def softmax_layer(to: Writer, layer: Layer, x: Value) -> Value:
    otherwise(isinstance(layer.axis, int))
    return softmax(to, layer, x, layer.axis)


@form(layers.ReLU)
def relu(to: Writer, layer: Layer, x: Value) -> Value:
    slope, most, threshold = layer.negative_slope, layer.max_value, layer.threshold
    otherwise([bool(slope), most is not None, bool(threshold)].count(True) < 2)
    if most is not None:
        made = nn.ReLU6() if most == 6 else nn.Hardtanh(0.0, most)
    else:
        made = nn.LeakyReLU(slope) if slope else nn.Threshold(threshold, 0.0) if threshold else nn.ReLU()
    return x.like(to.module(layer, lambda: made, x.made))


@form(layers.LeakyReLU, layers.ELU)
def leaking(to: Writer, layer: Layer, x: Value) -> Value:
    make, slope = (nn.ELU, "alpha") if isinstance(layer, layers.ELU) else (nn.LeakyReLU, "negative_slope")
    return x.like(to.module(layer, partial(make, getattr(layer, slope)), x.made))


@form(layers.PReLU)
def prelu(to: Writer, layer: Layer, x: Value) -> Value:
    otherwise(layer.alpha.numel() == layer.alpha.shape[-1] and len(x.shape) > 1)
    x = to.channels(x, -1)
    make = partial(nn.PReLU, layer.alpha.numel())
    change = _columns_of(x, lambda alpha: alpha.flatten())
    return x.like(to.module(layer, lambda: filled(to, layer, make, weight=From("alpha", change)), x.made))


@form(layers.Identity, layers.ActivityRegularization)
def identity(_to: Writer, _layer: Layer, x: Any) -> Any:
    return x


# Dense ---------------------------------------------------------------------------------------------------------------


def _columns_of(x: Value, change: Any = None) -> Any:
    """`change`, of a weight whose first axis is in the order of the columns of a flattened value."""
    if x.columns is None:
        return change
    order = flatten_order(x.columns)
    return lambda weight: (weight if change is None else change(weight))[order]


@form(layers.Dense, layers.EinsumDense)
def dense(to: Writer, layer: Layer, x: Value) -> Value:
    """A Linear; an equation is one where it takes the last axis and gives another one."""
    if isinstance(layer, layers.EinsumDense):
        bias = layer.bias is None or layer.bias.ndim == 1
        if not (layer._summed == 1 and layer.kernel.ndim == 2 and bias):
            otherwise(not layer.lora_enabled)
            made = torch.einsum(layer.equation, to.settled(x).made, to.constant(layer, layer.kernel, "kernel"))
            made = made if layer.bias is None else made + to.constant(layer, layer.bias, "bias")
            return activated(to, layer, Value(made, layer.compute_output_shape(x.shape), x.dtype), layer.activation)
    x, (features, units) = x if x.columns else to.settled(x), layer.kernel.shape
    rows = _columns_of(x)

    def make() -> nn.Module:
        linear = partial(nn.Linear, features, units, bias=layer.bias is not None)
        kernel = From("kernel", lambda kernel: (kernel if rows is None else rows(kernel)).T)
        return filled(to, layer, linear, weight=kernel, bias=From("bias"))

    y = Value(to.module(layer, make, x.made), (*x.shape[:-1], units), x.dtype)
    return activated(to, layer, y, layer.activation)


@form(layers.Embedding, layers.ReversibleEmbedding)
def embedding(to: Writer, layer: Layer, x: Value, reverse: bool = False) -> Value:
    x = to.settled(x)
    name = to.name(layer)
    if reverse:
        otherwise(layer.reverse_dtype is None and name in to.root._modules)
        kernel = to.attribute(f"{name}.weight").t() if layer.tie_weights else None
        kernel = to.constant(layer, layer.reverse_embeddings, "reverse") if kernel is None else kernel
        made, cap = torch.matmul(x.made, kernel), layer.logit_soft_cap
        made = made if cap is None else torch.tanh(made / cap) * cap
        return Value(made, (*x.shape[:-1], layer.input_dim), x.dtype)
    ids = x.made if x.dtype in (torch.int32, torch.int64) else x.made.int()
    make = partial(nn.Embedding, layer.input_dim, layer.output_dim)
    made = to.module(layer, lambda: filled(to, layer, make, weight=From("embeddings")), ids)
    return Value(made, (*x.shape, layer.output_dim), layer.dtype_policy.compute)


# Convolutions --------------------------------------------------------------------------------------------------------

_RANKS: dict[str, list[Any]] = {
    word: [getattr(nn, f"{word}{rank}d") for rank in (1, 2, 3)]
    for word in (
        "Conv", "ConvTranspose", "MaxPool", "AvgPool", "ZeroPad", "ConstantPad", "AdaptiveAvgPool", "AdaptiveMaxPool",
        "Dropout", "BatchNorm", "InstanceNorm", "ReflectionPad", "ReplicationPad",
    )
}  # fmt: skip


def _kernel(rank: int) -> Any:
    """(*k, in, out) as (out, in, *k)."""
    return lambda kernel: kernel.permute(rank + 1, rank, *range(rank))


def _depthwise_kernel(rank: int) -> Any:
    """(*k, channels, multiplier) as (channels * multiplier, 1, *k)."""
    return lambda kernel: kernel.permute(rank, rank + 1, *range(rank)).flatten(0, 1).unsqueeze(1)


def _first(to: Writer, layer: Layer, x: Value) -> Value:
    return to.channels(x, layer.channel_axis)


def _made(layer: Layer, x: Value, made: Any, sizes: Sequence[int | None], channels: int | None = None) -> Value:
    """A value with channels behind the batch, of other spatial sizes than x."""
    return Value(made, layer.with_spatial(x.shape, tuple(sizes), channels), x.dtype, x.order)


def _pads(layer: Layer, x: Value, kernel: Sequence[int], dilation: Sequence[int]) -> list[tuple[int, int]]:
    """Before and after each spatial axis. Raises NoForm where they depend on an unknown size."""
    padding = window.per_axis(layer.padding, layer.rank)
    sizes = layer.spatial(x.shape)
    found = [window.pads(*each) for each in zip(sizes, kernel, layer.strides, padding, dilation, strict=True)]
    if any(None in pair for pair in found):
        why = f"pads by the size of its input, which is unknown in {x.shape}"
        raise NoForm(layer, why, 'Give the input\'s size as numbers, or use strides 1 or padding="valid".')
    return found  # type: ignore[return-value]


def padded(to: Writer, layer: Layer, made: Any, pads: Sequence[tuple[int, int]], value: float = 0.0) -> Any:
    """A submodule that pads, or with negative numbers cuts, what has its channels behind the batch."""
    flat = tuple(size for pair in reversed(pads) for size in pair)
    if not any(flat):
        return made
    rank = len(pads) - 1
    make = partial(_RANKS["ZeroPad"][rank], flat) if value == 0 else partial(_RANKS["ConstantPad"][rank], flat, value)
    return to.module(layer, make, made, part="pad")


def _settled_pads(to: Writer, layer: Layer, x: Value, kernel: Any, dilation: Any) -> tuple[Any, tuple[int, ...]]:
    """The input of a window, and the pads that torch adds on both sides by itself."""
    pads = _pads(layer, x, kernel, dilation)
    if all(before == after for before, after in pads):
        return x.made, tuple(before for before, _ in pads)
    return padded(to, layer, x.made, pads), (0,) * layer.rank


def _output_sizes(layer: Layer, x: Value) -> tuple:
    return tuple(layer.resized(x.shape, window.output_size, *layer.windows())[slice(*_spatial_places(layer))])


def _spatial_places(layer: Layer) -> tuple[int, int]:
    return (1, layer.rank + 1) if layer.channels_last else (2, layer.rank + 2)


def _convolve(to: Writer, layer: Layer, x: Value, filters: int, groups: int, kernel: From) -> Value:
    x, rank = _first(to, layer, x), layer.rank
    given, pads = _settled_pads(to, layer, x, layer.kernel_size, layer.dilation_rate)

    def make() -> nn.Module:
        convolution = partial(
            _RANKS["Conv"][rank - 1], layer.channels(x.shape), filters, layer.kernel_size, layer.strides, pads,
            layer.dilation_rate, groups, layer.use_bias,
        )  # fmt: skip
        return filled(to, layer, convolution, weight=kernel, bias=From("bias"))

    y = _made(layer, x, to.module(layer, make, given), _output_sizes(layer, x), filters)
    return activated(to, layer, y, layer.activation)


@form(Conv)
def convolution(to: Writer, layer: Layer, x: Value) -> Value:
    return _convolve(to, layer, x, layer.filters, layer.groups or 1, From("kernel", _kernel(layer.rank)))


@form(DepthwiseConv)
def depthwise(to: Writer, layer: Layer, x: Value) -> Value:
    channels = layer.channels(x.shape)
    kernel = From("kernel", _depthwise_kernel(layer.rank))
    return _convolve(to, layer, x, channels * layer.depth_multiplier, channels, kernel)


@form(SeparableConv)
def separable(to: Writer, layer: Layer, x: Value) -> Value:
    """A Sequential of a depthwise and a pointwise convolution."""
    x, rank = _first(to, layer, x), layer.rank
    channels, one = layer.channels(x.shape), (1,) * layer.rank
    given, pads = _settled_pads(to, layer, x, layer.kernel_size, layer.dilation_rate)
    make, middle = _RANKS["Conv"][rank - 1], channels * layer.depth_multiplier

    def both() -> nn.Module:
        windows = layer.kernel_size, layer.strides, pads, layer.dilation_rate
        made = nn.Sequential()
        depthwise = From("depthwise_kernel", _depthwise_kernel(rank))
        first = partial(make, channels, middle, *windows, channels, False)
        made.add_module("depthwise", filled(to, layer, first, weight=depthwise))
        pointwise = From("pointwise_kernel", _kernel(rank))
        second = partial(make, middle, layer.filters, one, bias=layer.use_bias)
        made.add_module("pointwise", filled(to, layer, second, weight=pointwise, bias=From("bias")))
        return made

    y = _made(layer, x, to.module(layer, both, given), _output_sizes(layer, x), layer.filters)
    return activated(to, layer, y, layer.activation)


@form(ConvTranspose)
def transposed(to: Writer, layer: Layer, x: Value) -> Value:
    """torch cuts both sides alike and adds at the end; what is left of the pads is cut behind it."""
    x, rank, extra = _first(to, layer, x), layer.rank, layer.output_padding or (None,) * layer.rank
    kernel, strides, padding, dilation = layer.windows()
    per_axis = [*zip(kernel, strides, padding, extra, dilation, strict=True)]
    cuts = [window.transposed_pads(*each) for each in per_axis]
    most = [max(stride, rate) - 1 for stride, rate in zip(strides, dilation, strict=True)]
    more = [min(max(before - after, 0), limit) for (before, after), limit in zip(cuts, most, strict=True)]
    left = [before - after - more for (before, after), more in zip(cuts, more, strict=True)]
    otherwise(all(size <= 0 for size in left) or not layer.use_bias)

    def make() -> nn.Module:
        convolution = partial(
            _RANKS["ConvTranspose"][rank - 1], layer.channels(x.shape), layer.filters, kernel, strides,
            tuple(before for before, _ in cuts), tuple(more), 1, layer.use_bias, dilation,
        )  # fmt: skip
        return filled(to, layer, convolution, weight=From("kernel", _kernel(rank)), bias=From("bias"))

    made = padded(to, layer, to.module(layer, make, x.made), [(0, size) for size in left])
    sizes = [window.transposed_size(size, *each) for size, each in zip(layer.spatial(x.shape), per_axis, strict=True)]
    return activated(to, layer, _made(layer, x, made, sizes, layer.filters), layer.activation)


# Pooling -------------------------------------------------------------------------------------------------------------


@form(MaxPooling, AveragePooling)
def pooling(to: Writer, layer: Layer, x: Value) -> Value:
    """torch pads both sides alike; one more at the end it adds in `ceil_mode`, where windows move by more than 1."""
    x, largest = _first(to, layer, x), isinstance(layer, MaxPooling)
    pads = _pads(layer, x, layer.pool_size, (1,) * layer.rank)
    uneven = [stride for stride, (before, after) in zip(layer.strides, pads, strict=True) if before != after]
    made, ceil = x.made, bool(uneven)
    if 1 in uneven:
        otherwise(largest)
        made, pads, ceil = padded(to, layer, made, pads, float("-inf")), [(0, 0)] * layer.rank, False
    options = {} if largest or not any(map(any, pads)) else {"count_include_pad": False}
    make = partial(
        _RANKS["MaxPool" if largest else "AvgPool"][layer.rank - 1], layer.pool_size, layer.strides,
        tuple(before for before, _ in pads), ceil_mode=ceil, **options,
    )  # fmt: skip
    shape = layer.compute_output_shape(x.shape)
    return _made(layer, x, to.module(layer, make, made), layer.spatial(shape))


@form(GlobalAveragePooling, GlobalMaxPooling, layers.GlobalAveragePooling1D)
def global_pooling(to: Writer, layer: Layer, x: Value, mask: Value | None = None) -> Value:
    otherwise(mask is None)
    mean, axes = isinstance(layer, GlobalAveragePooling), range(*_spatial_places(layer))
    rank, channels = layer.rank, layer.channels(x.shape)
    x = to.settled(x) if x.columns else x
    if x.axis(layer.channel_axis) != 1:
        function = torch.mean if mean else torch.amax
        made = function(x.made, [x.axis(axis) for axis in axes], keepdim=layer.keepdims)
    else:
        pool = _RANKS["AdaptiveAvgPool" if mean else "AdaptiveMaxPool"][rank - 1]
        made = to.module(layer, partial(pool, 1), x.made)
        made = made if layer.keepdims else to.module(layer, nn.Flatten, made, part="flatten")
    if layer.keepdims:
        return _made(layer, x, made, (1,) * rank)
    return Value(made, (x.shape[0], channels), x.dtype)


@form(AdaptiveAveragePooling, AdaptiveMaxPooling)
def adaptive_pooling(to: Writer, layer: Layer, x: Value) -> Value:
    x, mean = _first(to, layer, x), isinstance(layer, AdaptiveAveragePooling)
    pool = _RANKS["AdaptiveAvgPool" if mean else "AdaptiveMaxPool"][layer.rank - 1]
    made = to.module(layer, partial(pool, layer.output_size), x.made)
    return _made(layer, x, made, layer.spatial(layer.compute_output_shape(x.shape)))


# Normalization -------------------------------------------------------------------------------------------------------


@form(layers.BatchNormalization)
def batch_normalization(to: Writer, layer: Layer, x: Value, mask: Value | None = None) -> Value:
    """A frozen one is a call of torch's function, since a module would take a batch's statistics in training."""
    otherwise(layer.axes is None and layer.axis % len(x.shape) and x.dtype.is_floating_point)
    regardless = layer.batch_statistics == "regardless"
    whole = (layer.batch_statistics is None or regardless) and not layer.synchronized and mask is None
    frozen = to.inference or not (layer.trainable or regardless)
    if not frozen and (layer.renorm or not whole):
        raise NoForm(layer, *TRAINING[:2])
    otherwise(layer.batch_statistics != "always" and len(x.shape) <= 5)
    x = to.channels(x, layer.axis)
    channels, rank = x.shape[layer.axis] or 0, max(len(x.shape) - 2, 1)

    def make() -> nn.Module:
        options = {
            "eps": layer.epsilon,
            "momentum": round(1 - layer.momentum, 12),
            "affine": layer.scale or layer.center,
        }
        of = partial(From, change=_columns_of(x))
        return filled(
            to, layer, partial(_RANKS["BatchNorm"][rank - 1], channels, **options),
            weight=of("gamma", default=1.0), bias=of("beta"),
            running_mean=of("moving_mean"), running_var=of("moving_variance"),
        )  # fmt: skip

    made = to.module(layer, make, x.made)
    if frozen:
        made.node.graph.erase_node(made.node)
        affine = ("weight", "bias") if layer.scale or layer.center else ()
        weights = {name: to.attribute(f"{to.name(layer)}.{name}") for name in ("running_mean", "running_var", *affine)}
        made = nn.functional.batch_norm(x.made, **weights, training=False, momentum=0.0, eps=layer.epsilon)
    return x.like(made)


@form(layers.LayerNormalization, layers.RMSNormalization)
def layer_normalization(to: Writer, layer: Layer, x: Value) -> Value:
    rms = isinstance(layer, layers.RMSNormalization)
    otherwise(layer._moved is None and not getattr(layer, "rms_scaling", False) and x.dtype.is_floating_point)
    x = to.settled(x)

    def make() -> nn.Module:
        if rms:
            return filled(to, layer, partial(nn.RMSNorm, layer._sizes, layer.epsilon), weight=From("scale"))
        affine = layer.scale or layer.center
        made = partial(nn.LayerNorm, layer._sizes, layer.epsilon, affine, bool(layer.center))
        return filled(to, layer, made, weight=From("gamma", default=1.0), bias=From("beta"))

    return x.like(to.module(layer, make, x.made))


@form(layers.GroupNormalization)
def group_normalization(to: Writer, layer: Layer, x: Value) -> Value:
    otherwise(layer.axis % len(x.shape) and x.dtype.is_floating_point)
    x = to.channels(to.settled(x) if x.columns else x, layer.axis)

    def make() -> nn.Module:
        channels, affine = x.shape[layer.axis] or 0, layer.scale or layer.center
        made = partial(nn.GroupNorm, layer.groups, channels, layer.epsilon, affine)
        return filled(to, layer, made, weight=From("gamma", default=1.0), bias=From("beta"))

    return x.like(to.module(layer, make, x.made))


@form(layers.UnitNormalization)
def unit_normalization(to: Writer, layer: Layer, x: Value) -> Value:
    otherwise(isinstance(layer.axis, int) and x.dtype.is_floating_point)
    x = to.settled(x) if x.columns else x
    return x.like(nn.functional.normalize(x.made, dim=x.axis(layer.axis), eps=1e-12))


# Random in training --------------------------------------------------------------------------------------------------


@form(layers.Dropout, layers.AlphaDropout, SpatialDropout)
def dropout(to: Writer, layer: Layer, x: Value, training: bool = False) -> Value:
    alpha = isinstance(layer, layers.AlphaDropout)
    kind = nn.AlphaDropout if alpha else nn.Dropout
    if layer.rate == 0 or (to.inference and not training):
        return x
    if isinstance(layer, SpatialDropout):
        otherwise(not training)
        x, kind = _first(to, layer, x), _RANKS["Dropout"][layer.rank - 1]
    if layer.noise_shape is not None:
        otherwise(not alpha and not training)
        x = to.settled(x) if x.columns else x
        shared = x.made
        for axis, size in enumerate(layer.noise_shape):
            shared = shared.narrow(x.axis(axis), 0, 1) if size == 1 and x.shape[axis] != 1 else shared
        return x.like(x.made * to.module(layer, partial(nn.Dropout, layer.rate), torch.ones_like(shared)))
    if training:
        function = nn.functional.alpha_dropout if alpha else nn.functional.dropout
        return x.like(function(x.made, layer.rate, True))
    return x.like(to.module(layer, partial(kind, layer.rate), x.made))


@form(layers.GaussianNoise, layers.GaussianDropout)
def noise(to: Writer, layer: Layer, x: Value, training: bool = False) -> Value:
    """A Dropout of everything tells training from inference: its zeros let the noise through."""
    if to.inference and not training:
        return x
    factor = isinstance(layer, layers.GaussianDropout)
    deviation = math.sqrt(layer.rate / (1 - layer.rate)) if factor else layer.stddev
    made = torch.randn_like(x.made) * deviation
    if not training:
        made = made * (1 - to.module(layer, partial(nn.Dropout, 1.0), x.made.new_ones(())))
    return x.like(x.made * (made + 1) if factor else x.made + made)


# Shapes --------------------------------------------------------------------------------------------------------------


@form(layers.Flatten)
def flatten(to: Writer, layer: Layer, x: Value) -> Value:
    rank = len(x.shape)
    if rank < 3:
        return x if rank == 2 else Value(x.made.unsqueeze(-1), (*x.shape, 1), x.dtype)
    shape = layer.compute_output_shape(x.shape)
    if layer.data_format == "channels_first":  # Keras flattens with the channels at the end
        x = reread(x, (0, *range(2, rank), 1))
    if x.turned and None in x.shape[1:]:
        x = to.settled(x)
    columns = (x.sizes(), x.order) if x.turned else None
    return Value(to.module(layer, nn.Flatten, x.made), shape, x.dtype, (), columns)  # type: ignore[arg-type]


@form(layers.Permute)
def permute(to: Writer, layer: Layer, x: Value) -> Value:
    return reread(to.settled(x) if x.columns else x, (0, *layer.dims))


@form(layers.Reshape)
def reshape(to: Writer, layer: Layer, x: Value) -> Value:
    shape, rank = layer.compute_output_shape(x.shape), len(layer.target_shape) + 1
    if len(x.shape) == 2 < rank and shape[1:] == ((1,) * (rank - 2)) + x.shape[1:]:  # a picture of one place
        x, order = to.settled(x), channels_second(rank)
        return Value(x.made.reshape(-1, *(shape[axis] for axis in order[1:])), shape, x.dtype, order)
    alone = [size for size in x.shape[1:] if size != 1]
    x = x if len(alone) < 2 and x.columns is None else to.settled(x)  # axes of one place may lie anywhere
    if None not in shape[1:]:
        return Value(x.made.reshape(-1, *shape[1:]), shape, x.dtype)
    return Value(x.made.reshape(x.made.size(0), *layer.target_shape), shape, x.dtype)


@form(layers.RepeatVector)
def repeat_vector(to: Writer, layer: Layer, x: Value) -> Value:
    made = to.settled(x).made.unsqueeze(1).expand(-1, layer.n, -1)
    return Value(made, (x.shape[0], layer.n, x.shape[1]), x.dtype)


@form(ZeroPadding, _Cropping)
def zero_padding(to: Writer, layer: Layer, x: Value) -> Value:
    pads = layer.padding if isinstance(layer, ZeroPadding) else [(-a, -b) for a, b in layer.cropping]
    sizes = layer.spatial(layer.compute_output_shape(x.shape))
    if x.columns is None and x.axis(layer.channel_axis) != 1:
        flat = [0, 0, *(size for pair in reversed(pads) for size in pair)]
        return _made(layer, x, nn.functional.pad(x.made, flat), sizes)
    x = _first(to, layer, x)
    flat = tuple(size for pair in reversed(pads) for size in pair)
    return _made(layer, x, to.module(layer, partial(_RANKS["ZeroPad"][layer.rank - 1], flat), x.made), sizes)


@form(_UpSampling)
def upsampling(to: Writer, layer: Layer, x: Value) -> Value:
    otherwise(layer.interpolation in ("nearest", "bilinear") and x.dtype.is_floating_point)
    x = _first(to, layer, x)
    factors = tuple(float(size) for size in layer._factors)
    make = partial(nn.Upsample, scale_factor=factors, mode=layer.interpolation)
    return _made(layer, x, to.module(layer, make, x.made), layer.spatial(layer.compute_output_shape(x.shape)))


# Several inputs ------------------------------------------------------------------------------------------------------


_MERGES: dict[type, Any] = {
    layers.Add: operator.add, layers.Subtract: operator.sub, layers.Multiply: operator.mul,
    layers.Average: operator.add, layers.Maximum: torch.maximum, layers.Minimum: torch.minimum,
}  # fmt: skip


@form(*_MERGES)
def merge(to: Writer, layer: Any, inputs: Sequence[Value], mask: Any = None) -> Value:
    kind = next(cls for cls in type(layer).__mro__ if cls in _MERGES)
    otherwise(mask is None or getattr(layer, "by_values", False))
    otherwise(len({len(value.shape) for value in inputs}) == 1)
    inputs = to.together(inputs)
    made = reduce(_MERGES[kind], (value.made for value in inputs))
    made = made / len(inputs) if kind is layers.Average else made
    shape = Merge.compute_output_shape(layer, [value.shape for value in inputs])
    return Value(made, shape, inputs[0].dtype, inputs[0].order)


@form(layers.Concatenate)
def concatenate(to: Writer, layer: Layer, inputs: Sequence[Value]) -> Value:
    inputs = to.together(inputs)
    made = torch.cat([value.made for value in inputs], inputs[0].axis(layer.axis))
    shape = layer.compute_output_shape([value.shape for value in inputs])
    return Value(made, shape, inputs[0].dtype, inputs[0].order)


@form(layers.Dot)
def dot(to: Writer, layer: Any, inputs: Sequence[Value]) -> Value:
    shapes = [value.shape for value in inputs]
    (i, j), (first, second) = layer._pair(shapes), (string.ascii_letters[: len(shapes[0])], string.ascii_letters[26:])
    second = "".join(
        first[0] if axis == 0 else first[i] if axis == j else second[axis] for axis in range(len(shapes[1]))
    )
    rest = "".join(letter for place, letter in enumerate(first + second) if place != len(first) and letter != first[i])
    x = [to.settled(value).made for value in inputs]
    if layer.normalize:
        x = [nn.functional.normalize(made, dim=axis) for made, axis in zip(x, (i, j), strict=True)]
    made = torch.einsum(f"{first},{second}->{rest}", *x)
    shape = layer.compute_output_shape(shapes)
    return Value(made if len(rest) > 1 else made.unsqueeze(-1), shape, inputs[0].dtype)


# Wrappers and others -------------------------------------------------------------------------------------------------


@form(layers.TimeDistributed)
def time_distributed(to: Writer, layer: Layer, x: Value, mask: Any = None) -> Value:
    coupled = layer._coupled and not to.inference
    otherwise(layer._together and not coupled and (mask is None or not layer.layer._takes_mask))
    x = to.settled(x)
    steps = Value(x.made.flatten(0, 1), (None, *x.shape[2:]), x.dtype)
    to._given[id(layer.layer)] = to.name(layer)
    to._names.pop((id(layer), "", to.inference))
    y = to.settled(to.layer(layer.layer, steps))
    made = y.made.unflatten(0, (x.made.size(0), x.made.size(1)))
    return Value(made, (x.shape[0], x.shape[1], *y.shape[1:]), y.dtype)


@form(layers.SpectralNormalization)
def spectral_normalization(to: Writer, layer: Layer, x: Value) -> Value:
    """In inference alone: torch's spectral_norm leaves the kernel as it is."""
    return to.layer(layer.layer, x)


@form(layers.Rescaling)
def rescaling(_: Writer, layer: Layer, x: Value) -> Value:
    otherwise(layer._scale.ndim == layer._offset.ndim == 0)
    compute = layer.dtype_policy.compute
    made = x.made if x.dtype is compute else x.made.to(compute)
    factor, shift = layer.scale, layer.offset
    made = made * float(factor) if factor != 1 else made
    return Value(made + float(shift) if shift else made, x.shape, compute, x.order, x.columns)


@form(layers.Normalization)
def normalization(to: Writer, layer: Layer, x: Value) -> Value:
    """Its statistics are constants of the code."""
    otherwise(x.dtype.is_floating_point)
    x = to.settled(x) if x.columns else x
    mean, deviation = (
        to.constant(layer, value.expand(layer._broadcast).permute(x.order), part)
        for value, part in zip(layer._computed(x.dtype), ("mean", "deviation"), strict=True)
    )
    return x.like(x.made * deviation + mean if layer.invert else (x.made - mean) / deviation)


@form(layers.TorchModuleWrapper)
def torch_module(to: Writer, layer: Layer, *args: Value) -> Any:
    otherwise(len(args) == 1)
    shape = layer.compute_output_shape(args[0].shape)
    made = to.module(layer, lambda: _copied(to, layer.module), to.settled(args[0]).made)
    return Value(made, tuple(shape), args[0].dtype)


def _copied(to: Writer, module: nn.Module) -> nn.Module:
    made, known = copy.deepcopy(module), {}
    for target, source in zip(made.modules(), module.modules(), strict=True):
        for name, value in source._parameters.items():
            if value is not None:
                setattr(target, name, known.setdefault(id(value), parameter(to.weights.of(value), value)))
        for name, value in source._buffers.items():
            if value is not None and name not in source._non_persistent_buffers_set:
                target._buffers[name] = to.weights.of(value).clone()
    return made
