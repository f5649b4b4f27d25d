"""How functions of torch, and modules that are more than calls of these, are read as layers: one function a kind."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from .. import activations, layers, ops
from ..core.symbolic import SymbolicTensor
from .axes import Order, Value, channels_behind, plain, reread, turn
from .forms import _RANKS
from .reader import BATCH, Flag, InTraining, Reader, flat, reads, reshaped, shape_of, weighs

Computing = Callable[..., Any]


def computes(*words: str) -> Callable[[Computing], Computing]:
    """Marks a function as what functions of torch compute, written in ops on symbolic tensors in torch's order of axes.

    Its first argument is which of the words it is, where there are several.
    """

    def enter(compute: Computing) -> Computing:
        def reading(reader: Reader, name: str, *args: Any, **options: Any) -> Any:
            args, options = pytree.tree_map(partial(_made, reader), (args, options))
            found = compute(*([reader.word] if len(words) > 1 else ()), *args, **options)
            return pytree.tree_map(lambda leaf: reader.value(leaf) if isinstance(leaf, SymbolicTensor) else leaf, found)

        reads(*words)(reading)
        return compute

    return enter


def _made(reader: Reader, value: Any) -> Any:
    return reader.settled(value).made if isinstance(value, Value) else value


# Activations ---------------------------------------------------------------------------------------------------------

# Functions of torch that are activations: the name of these, and the values of further arguments that they have.
_ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("relu", {}), "relu6": ("relu6", {}), "selu": ("selu", {}), "silu": ("silu", {}), "mish": ("mish", {}),
    "sigmoid": ("sigmoid", {}), "tanh": ("tanh", {}), "softsign": ("softsign", {}), "exp": ("exponential", {}),
    "hardsigmoid": ("hard_sigmoid", {}), "hardswish": ("hard_silu", {}), "tanhshrink": ("tanh_shrink", {}),
    "logsigmoid": ("log_sigmoid", {}), "log_sigmoid": ("log_sigmoid", {}), "elu": ("elu", {"alpha": 1.0}),
    "celu": ("celu", {"alpha": 1.0}), "leaky_relu": ("leaky_relu", {"negative_slope": 0.01}),
    "hardtanh": ("hard_tanh", {"min_val": -1.0, "max_val": 1.0}), "hardshrink": ("hard_shrink", {"lambd": 0.5}),
    "softshrink": ("soft_shrink", {"lambd": 0.5}), "softplus": ("softplus", {"beta": 1.0, "threshold": 20.0}),
    "gelu": ("gelu", {"approximate": "none"}),
}  # fmt: skip


@reads(*_ACTIVATIONS)
def activation(reader: Reader, name: str, x: Value, *args: Any, **options: Any) -> Any:
    word, meant = _ACTIVATIONS[reader.word]
    options.pop("inplace", None)
    given = {**meant, **dict(zip(meant, args, strict=False)), **options}
    make = partial(layers.Activation, getattr(activations, word), name=name)
    if word == "leaky_relu":
        make = partial(layers.LeakyReLU, given["negative_slope"], name=name)
    elif word == "elu":
        make = partial(layers.ELU, given["alpha"], name=name)
    elif word in ("relu", "relu6") or given.get("min_val") == 0:
        make = partial(layers.ReLU, given.get("max_val", 6.0 if word == "relu6" else None), name=name)
    elif word == "hard_tanh" and given != meant:
        return x.like(ops.clip(x.made, given["min_val"], given["max_val"]))
    elif given != meant:  # what Activation has no place for
        (value, *more) = given.values()
        value = value == "tanh" if word == "gelu" else value
        return NotImplemented if more else x.like(getattr(ops, word)(x.made, value))
    return x.like(reader.layer(name, make, x.made))


@reads("softmax", "log_softmax")
def softmax(reader: Reader, name: str, x: Value, dim: int | None = None, **options: Any) -> Any:
    if options.get("dtype") is not None:
        x = cast(reader, name, x, options["dtype"])
    axis = x.axis((1 if len(x.shape) in (2, 4) else 0) if dim is None else dim)  # as torch chooses one
    if axis == 0:
        raise reader.unreadable("goes along the batch", "Give its `dim`.")
    axis = -1 if axis == len(x.shape) - 1 else axis
    if reader.word == "softmax":
        return x.like(reader.layer(name, partial(layers.Softmax, axis, name=name), x.made))
    return reader.value(ops.log_softmax(x.made, axis=axis), x.order)


def bound(defaults: dict[str, Any], args: tuple, options: dict[str, Any]) -> list[Any]:
    """Further arguments of a function of torch, by position or by name. Raises TypeError for others."""
    given = {**defaults, **dict(zip(defaults, args, strict=False)), **options}
    if len(args) > len(defaults) or len(given) > len(defaults):
        raise TypeError(f"expected arguments {', '.join(defaults)}; got {args} and {', '.join(options)}")
    return [*given.values()]


# Weights: of a layer, behind its input -------------------------------------------------------------------------------

Size = int | Sequence[int]


def _per_axis(value: Any, rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value) * (rank if len(value) == 1 else 1)


def _spatial(reader: Reader, x: Value, rank: int) -> Value:
    if len(x.shape) != rank + 2:
        raise reader.unreadable(f"needs a batch of {rank + 2} axes; got {x.shape}")
    return reader.pictures(x)


def _ending(reader: Reader, x: Value, count: int) -> Value:
    """The value with its last axes where they are read; the others may lie in another order."""
    there = x.columns is None and x.order[-count:] == plain(len(x.shape))[-count:]
    return x if there else reader.settled(x)


@weighs("linear")
def linear(reader: Reader, name: str, x: Value, weight: Tensor, bias: Tensor | None = None) -> Value:
    x = _ending(reader, x, 1)
    if reader.embeds(weight):
        made = reader.table(name, weight)(x.made, reverse=True)
        made = made if bias is None else made + reader.parameter(f"{name}_bias", bias).made
    else:
        make = partial(layers.Dense, len(weight), use_bias=bias is not None, name=name)
        made = reader.weighted(name, make, {"weight": weight, "bias": bias}, x.made)
    return reader.value(made, x.order)


@weighs("embedding")
def embedding(reader: Reader, name: str, x: Value, weight: Tensor, *args: Any, **options: Any) -> Value:
    defaults = {"padding_idx": None, "max_norm": None, "norm_type": 2.0, "scale_grad_by_freq": False, "sparse": False}
    padding, max_norm, _, by_frequency, _ = bound(defaults, args, options)
    if max_norm is not None or by_frequency:
        raise reader.unreadable("has `max_norm` or `scale_grad_by_freq`, which no layer has")
    places = reader.settled(x).made
    made = reader.table(name, weight)(places)
    if padding is not None and weight.requires_grad:  # a row that does not train
        padded = ops.expand_dims(ops.equal(places, padding % len(weight)), -1)
        made = ops.where(padded, ops.stop_gradient(made), made)
    return reader.value(made)


def _windows(reader: Reader, name: str, x: Value, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    """The input, padded as torch pads it, and the layer's `padding`: "same" where that is the same."""
    reach = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
    if padding == "same" and any(size % 2 for size in reach):
        return zero_padded(reader, f"{name}_pad", x, [(size // 2, size - size // 2) for size in reach]), "valid"
    if isinstance(padding, str):
        return x, padding
    padding = _per_axis(padding, len(kernel))
    if not any(padding):
        return x, "valid"
    if all(s == 1 and 2 * p == size for s, p, size in zip(stride, padding, reach, strict=True)):
        return x, "same"
    return zero_padded(reader, f"{name}_pad", x, [(p, p) for p in padding]), "valid"


def zero_padded(reader: Reader, name: str, x: Value, pads: Sequence[tuple[int, int]]) -> Value:
    """Zeros round the spatial axes, or with negative numbers less of these."""
    rank = len(pads)
    x = _spatial(reader, x, rank)
    formats = {"data_format": reader.data_format} if rank > 1 or not reader.channels_last else {}
    kind, sizes = "ZeroPadding", tuple(pads)
    if all(a <= 0 and b <= 0 for a, b in pads):
        kind, sizes = "Cropping", tuple((-a, -b) for a, b in pads)
        formats = formats if rank > 1 else {}
        x = x if rank > 1 else reader.arranged(x, (0, 2, 1))
    elif any(a < 0 or b < 0 for a, b in pads):
        x = zero_padded(reader, f"{name}_cut", x, [(min(a, 0), min(b, 0)) for a, b in pads])
        return zero_padded(reader, name, x, [(max(a, 0), max(b, 0)) for a, b in pads])
    given: Any = sizes[0] if rank == 1 else sizes
    make = partial(getattr(layers, f"{kind}{rank}D"), given, name=name, **formats)
    return reader.value(reader.layer(name, make, x.made), x.order)


@weighs("conv1d", "conv2d", "conv3d")
def convolution(
    reader: Reader, name: str, x: Value, weight: Tensor, bias: Tensor | None = None, *args: Any, **options: Any
) -> Value:
    defaults = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
    stride, padding, dilation, groups = bound(defaults, args, options)
    filters, channels, *kernel = weight.shape
    rank, channels = len(kernel), channels * groups
    strides, rates = _per_axis(stride, rank), _per_axis(dilation, rank)
    rates = tuple(1 if size == 1 else rate for size, rate in zip(kernel, rates, strict=True))
    x, given = _windows(reader, name, _spatial(reader, x, rank), kernel, strides, padding, rates)
    left = (1,) * rank
    if max(strides) > 1 and max(rates) > 1:  # no layer has both: places of its input and output are left out
        shared = [*map(math.gcd, strides, rates)]
        x = _every(reader, x, shared)
        strides, rates = (tuple(map(operator.floordiv, each, shared)) for each in (strides, rates))
        if max(rates) > 1:
            left, strides = strides, left
    options = {
        "strides": strides, "padding": given, "dilation_rate": rates, "name": name, "use_bias": bias is not None,
        "data_format": reader.data_format,
    }  # fmt: skip
    if groups == channels > 1 and rank < 3 and len({*strides}) == 1:
        cls = getattr(layers, f"DepthwiseConv{rank}D")
        make = partial(cls, tuple(kernel), depth_multiplier=filters // channels, **options)
    else:
        make = partial(getattr(layers, f"Conv{rank}D"), filters, tuple(kernel), groups=groups, **options)
    made = reader.weighted(name, make, {"weight": weight, "bias": bias}, x.made)
    return _every(reader, reader.value(made, x.order), left)


def _every(reader: Reader, x: Value, steps: Sequence[int]) -> Value:
    """Every n-th place of the spatial axes."""
    keys = [slice(None)] * 2 + [slice(None, None, step) for step in steps]
    return x if {*steps} == {1} else reader.value(x.made[tuple(keys[axis] for axis in x.order)], x.order)


@weighs("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def transposed(
    reader: Reader, name: str, x: Value, weight: Tensor, bias: Tensor | None = None, *args: Any, **options: Any
) -> Value:
    """Without pads, then cut: what torch leaves out on both sides, less what it adds at the end. Keras' layer has no
    groups: with these torch's module is wrapped."""
    defaults = {"stride": 1, "padding": 0, "output_padding": 0, "groups": 1, "dilation": 1}
    stride, padding, output_padding, groups, dilation = bound(defaults, args, options)
    _, filters, *kernel = weight.shape
    rank = len(kernel)
    strides, pads, added, rates = (_per_axis(each, rank) for each in (stride, padding, output_padding, dilation))
    x = _spatial(reader, x, rank)
    axes = [*zip(kernel, strides, pads, added, rates, strict=True)]
    # A layer's result has size * stride elements at least: those behind torch's go, too.
    cuts = [(p, p - op + max(s - (k - 1) * d - 1, 0)) for k, s, p, op, d in axes]
    if groups > 1 or (max(strides) > 1 and max(rates) > 1) or any(after < 0 for _, after in cuts):  # no layer has these
        cls, sizes = getattr(nn, f"ConvTranspose{rank}d"), (weight.shape[0], filters * groups, tuple(kernel))
        module = cls(*sizes, strides, pads, added, groups, bias is not None, rates, dtype=weight.dtype)
        make = partial(layers.TorchModuleWrapper, module, name=name)
        return reader.value(reader.weighted(name, make, {"weight": weight, "bias": bias}, reader.settled(x).made))
    same = all(k >= s and (k - s) // 2 == p and (k - s + 1) // 2 == p - op and d == 1 for k, s, p, op, d in axes)
    make = partial(
        getattr(layers, f"Conv{rank}DTranspose"), filters, tuple(kernel), strides=strides, dilation_rate=rates,
        use_bias=bias is not None, data_format=reader.data_format, name=name, padding="same" if same else "valid",
    )  # fmt: skip
    y = reader.value(reader.weighted(name, make, {"weight": weight, "bias": bias}, x.made), x.order)
    if same or not any(map(any, cuts)):
        return y
    return zero_padded(reader, f"{name}_cut", y, [(-before, -after) for before, after in cuts])


@weighs("prelu")
def prelu(reader: Reader, name: str, x: Value, weight: Tensor) -> Value:
    rank = len(x.shape)
    x = reader.arranged(x, channels_behind(rank))
    shared = [*range(1, rank if weight.numel() == 1 else rank - 1)] or None
    make = partial(layers.PReLU, shared_axes=shared, name=name)
    return x.like(reader.weighted(name, make, {"weight": weight}, x.made))


def _last_or(axis: int, x: Value) -> int:
    """An axis as people write it: the last one is -1."""
    return -1 if axis == len(x.shape) - 1 else axis


def _affine(weight: Tensor | None, bias: Tensor | None) -> dict[str, Tensor | None]:
    """Weights of a module that has both or none."""
    if weight is not None and bias is None:
        bias = nn.Parameter(torch.zeros_like(weight), requires_grad=False)
    return {"weight": weight, "bias": bias}


@reads(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
def batch_norm_module(reader: Reader, module: Any, name: str, x: Value) -> Value:
    if not module.track_running_stats or module.momentum is None:
        raise reader.unreadable("keeps no moving statistics with a momentum, as the layer does")
    statistics, weights = (module.running_mean, module.running_var), (module.weight, module.bias)
    return batch_norm(reader, name, x, *statistics, *weights, Flag(False), module.momentum, module.eps)


@weighs("batch_norm")
def batch_norm(
    reader: Reader, name: str, x: Value, mean: Tensor | None, variance: Tensor | None, *args: Any, **options: Any
) -> Value:
    """`training` is a Flag where it is that of the module; else the statistics never change."""
    defaults = {"weight": None, "bias": None, "training": False, "momentum": 0.1, "eps": 1e-5}
    weight, bias, training, momentum, eps = bound(defaults, args, options)
    if training or mean is None:
        raise reader.unreadable("takes the statistics of a batch in inference, too")
    axis = _last_or(x.axis(1), x)
    make = partial(
        layers.BatchNormalization, axis, round(1 - momentum, 12), eps, weight is not None, weight is not None,
        unbiased_variance="spatial" if len(x.shape) > 3 else "always", name=name,
    )  # fmt: skip
    state = {**_affine(weight, bias), "running_mean": mean, "running_var": variance}
    fixed = {} if isinstance(training, Flag) else {"training": False}
    return x.like(reader.weighted(name, make, state, x.made, **fixed))


@weighs("layer_norm")
def layer_norm(
    reader: Reader, name: str, x: Value, shape: Sequence[int], weight: Tensor | None = None,
    bias: Tensor | None = None, eps: float = 1e-5,
) -> Value:  # fmt: skip
    x, options = _ending(reader, x, len(shape)), {"center": bias is not None, "scale": weight is not None, "name": name}
    make = partial(layers.LayerNormalization, [*range(-len(shape), 0)], eps, **options)
    return x.like(reader.weighted(name, make, {"weight": weight, "bias": bias}, x.made))


@weighs("rms_norm")
def rms_norm(
    reader: Reader, name: str, x: Value, shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Value:
    x = _ending(reader, x, len(shape))
    axes, epsilon = [*range(-len(shape), 0)], torch.finfo(x.dtype).eps if eps is None else eps
    if weight is None:
        return x.like(ops.rms_normalization(x.made, axis=axes, epsilon=epsilon))
    make = partial(layers.RMSNormalization, axes, epsilon, name=name)
    return x.like(reader.weighted(name, make, {"weight": weight}, x.made))


@weighs("group_norm")
def group_norm(
    reader: Reader, name: str, x: Value, groups: int, weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Value:  # fmt: skip
    affine = weight is not None
    axis = _last_or(x.axis(1), x)
    make = partial(layers.GroupNormalization, groups, axis, eps, center=affine, scale=affine, name=name)
    return x.like(reader.weighted(name, make, _affine(weight, bias), x.made))


@reads(*_RANKS["InstanceNorm"])
def instance_norm_module(reader: Reader, module: Any, name: str, x: Value) -> Value:
    if module.track_running_stats:
        raise reader.unreadable("keeps moving statistics, which the layer does not")
    return group_norm(reader, name, x, -1, module.weight, module.bias, module.eps)


# Random in training --------------------------------------------------------------------------------------------------


def _drops(reader: Reader, p: float, training: Any) -> bool:
    """Whether something is dropped in training. `training` is a Flag where it is that of the module; else it never
    drops, or always."""
    if not p or (not training and not isinstance(training, Flag)):
        return False
    if training:
        raise reader.unreadable("drops always", "Hand on `self.training`, or use nn.Dropout.")
    return True


@reads("dropout", "alpha_dropout", "dropout1d", "dropout2d", "dropout3d")
def dropout(reader: Reader, name: str, x: Value, p: float = 0.5, training: int = True, inplace: bool = False) -> Value:
    p, training = (p.training, Flag(False)) if isinstance(p, InTraining) else (p, training)
    if not _drops(reader, p, training):
        return x
    whole = reader.word.endswith("d") and len(x.shape) > 2  # of two axes, each feature is a channel
    rank = int(reader.word[-2]) if whole else 0
    if not rank:
        make = partial(layers.AlphaDropout if reader.word == "alpha_dropout" else layers.Dropout, p, name=name)
    else:
        x = _spatial(reader, x, rank) if rank > 1 else reader.arranged(x, (0, 2, 1))
        formats = {"data_format": reader.data_format} if rank > 1 else {}
        make = partial(getattr(layers, f"SpatialDropout{rank}D"), p, name=name, **formats)
    return x.like(reader.layer(name, make, x.made))


@reads("stochastic_depth")
def stochastic_depth(reader: Reader, name: str, x: Value, p: float, mode: str, training: bool = True) -> Value:
    """torchvision's: all of a sample at once."""
    if not _drops(reader, p, training):
        return x
    shape = (None if mode == "row" else 1, *[1] * (len(x.shape) - 1))
    return x.like(reader.layer(name, partial(layers.Dropout, p, noise_shape=shape, name=name), x.made))


# Pooling -------------------------------------------------------------------------------------------------------------


def _pooled(
    reader: Reader, name: str, x: Value, kind: str, window: Sequence[Any], ceil: bool, counts_pads: bool = True
) -> Any:
    """window: size, strides and padding."""
    rank = int(reader.word[-2])
    x = _spatial(reader, x, rank)
    sizes: list[Any] = [x.shape[axis] for axis in range(2, rank + 2)]
    kernel, stride, padding = window
    strides = kernel if stride is None or stride == [] else stride
    kernel, strides, padding = (_per_axis(each, rank) for each in (kernel, strides, padding))
    axes = [*zip(sizes, kernel, strides, padding, strict=True)]
    pads = [(p, p + _more_at_the_end(size, k, s, p) if ceil else p) for size, k, s, p in axes]
    uneven = kind == "Average" and (pads != [(p, p) for p in padding] or (any(padding) and not counts_pads))
    if uneven or (ceil and None in sizes):  # the layer divides by the size of a window, and counts no half ones
        return NotImplemented
    if any(map(any, pads)):
        if kind == "Average" or _never_negative(x.made):
            x = zero_padded(reader, f"{name}_pad", x, pads)
        else:
            x = _padded_with(reader, x, pads, torch.finfo(x.dtype).min)
    cls = getattr(layers, f"{kind}Pooling{rank}D")
    make = partial(cls, kernel, strides, data_format=reader.data_format, name=name)
    return reader.value(reader.layer(name, make, x.made), x.order)


def _more_at_the_end(size: int | None, kernel: int, stride: int, pad: int) -> int:
    """What the last window of `ceil_mode` has beyond the pads: it begins in the picture or before it."""
    count = -(-((size or 0) + 2 * pad - kernel) // stride)
    count -= count * stride >= (size or 0) + pad
    return max(count * stride + kernel - (size or 0) - 2 * pad, 0)


def _never_negative(symbol: Any) -> bool:
    """Whether zeros round it are never the largest."""
    return bool(getattr(symbol.node.layer, "ends_in_relu", False))


_PADS = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def _padded_with(
    reader: Reader, x: Value, pads: Sequence[tuple[int, int]], value: float | None = None, mode: str = "constant"
) -> Value:
    """Values round the last axes."""
    widths = [(0, 0)] * len(x.shape)
    for axis, pair in enumerate(pads, start=len(x.shape) - len(pads)):
        widths[x.axis(axis)] = pair
    return reader.value(ops.pad(x.made, widths, _PADS[mode], constant_values=value), x.order)


@reads("max_pool1d", "max_pool2d", "max_pool3d")
def max_pool(reader: Reader, name: str, x: Value, kernel_size: Size, *args: Any, **options: Any) -> Any:
    defaults = {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False, "return_indices": False}
    stride, padding, dilation, ceil, return_indices = bound(defaults, args, options)
    if {*pytree.tree_leaves(dilation)} != {1} or return_indices:
        return NotImplemented
    return _pooled(reader, name, x, "Max", (kernel_size, stride, padding), ceil)


@reads("avg_pool1d", "avg_pool2d", "avg_pool3d")
def average_pool(reader: Reader, name: str, x: Value, kernel_size: Size, *args: Any, **options: Any) -> Any:
    defaults = {"stride": None, "padding": 0, "ceil_mode": False, "count_include_pad": True, "divisor_override": None}
    stride, padding, ceil, counts_pads, divisor_override = bound(defaults, args, options)
    if divisor_override is not None:
        return NotImplemented
    return _pooled(reader, name, x, "Average", (kernel_size, stride, padding), ceil, counts_pads)


@reads(*(f"adaptive_{kind}_pool{rank}d" for kind in ("avg", "max") for rank in (1, 2, 3)))
def adaptive_pool(reader: Reader, name: str, x: Value, output_size: Any, return_indices: bool = False) -> Any:
    if return_indices:
        return NotImplemented
    rank, kind = int(reader.word[-2]), "Max" if "max" in reader.word else "Average"
    x = _spatial(reader, x, rank)
    sizes = (output_size,) * rank if output_size is None else _per_axis(output_size, rank)
    sizes = tuple(x.shape[axis + 2] if each is None else each for axis, each in enumerate(sizes))
    options = {"data_format": reader.data_format, "name": name}
    if set(sizes) == {1}:
        make = partial(getattr(layers, f"Global{kind}Pooling{rank}D"), keepdims=True, **options)
    else:
        make = partial(getattr(layers, f"Adaptive{kind}Pooling{rank}D"), sizes, **options)
    return reader.value(reader.layer(name, make, x.made), x.order)


@reads("mean")
def mean(reader: Reader, name: str, x: Value, dim: Any = None, keepdim: bool = False, **options: Any) -> Any:
    dim = options.pop("axis", dim)
    if dim is None or options:
        return NotImplemented
    rank = len(x.shape)
    axes = {axis % rank for axis in ([dim] if isinstance(dim, int) else dim)}
    channels_second = axes == {*range(2, rank)} and 3 <= rank <= 5
    if channels_second:
        x = reader.pictures(x)
    if channels_second or (axes == {1} and rank == 3):
        data_format = reader.data_format
        if not channels_second:
            x, data_format = reader.settled(x), "channels_last"
        made = getattr(layers, f"GlobalAveragePooling{rank - 2}D")(data_format=data_format, keepdims=keepdim)(x.made)
        return reader.value(made, x.order if keepdim else ())
    return _along(reader, x, ops.mean, axes, keepdim)


def _along(reader: Reader, x: Value, function: Callable, axes: set[int], keepdim: bool) -> Value:
    """A function of `ops` along axes, wherever these are."""
    made = function(x.made, axis=tuple(sorted(x.axis(axis) for axis in axes)), keepdims=keepdim)
    left = [axis for axis in x.order if keepdim or axis not in axes]
    return reader.value(made, tuple(sorted(left).index(axis) for axis in left))


_REDUCTIONS = {
    "sum": ops.sum, "prod": ops.prod, "amax": ops.max, "amin": ops.min, "logsumexp": ops.logsumexp,
}  # fmt: skip


@reads(*_REDUCTIONS)
def reduced(reader: Reader, name: str, x: Value, dim: Any = None, keepdim: bool = False, **options: Any) -> Any:
    if dim is None or options or not x.turned or not x.dtype.is_floating_point:
        return NotImplemented
    axes = {axis % len(x.shape) for axis in ([dim] if isinstance(dim, int) else dim)}
    return _along(reader, x, _REDUCTIONS[reader.word], axes, keepdim)


# Shapes --------------------------------------------------------------------------------------------------------------


class _Extremes(NamedTuple):
    """The result of `max` and `min` along an axis."""

    values: Any
    indices: Any


@reads("max", "min")
def extremes(reader: Reader, name: str, x: Value, dim: Any = None, keepdim: bool = False, **options: Any) -> Any:
    """Along an axis; of two tensors, the larger or the smaller."""
    word, dim = reader.word, options.get("other", dim)
    if isinstance(dim, Value):
        return arithmetic(reader, name, x, dim, word=f"{word}imum")
    if not isinstance(dim, int):
        return NotImplemented
    functions = (getattr(ops, word), lambda made, axis, keepdims: getattr(ops, f"arg{word}")(made, axis[0], keepdims))
    return _Extremes(*(_along(reader, x, each, {dim % len(x.shape)}, keepdim) for each in functions))


@reads("glu")
def gated(reader: Reader, name: str, x: Value, dim: int = -1) -> Value:
    return reader.value(ops.glu(x.made, x.axis(dim)), x.order)


@reads("masked_fill")
def masked_fill(reader: Reader, name: str, x: Value, mask: Any, value: Any) -> Any:
    return reader.operation(torch.where, (mask, value, x), {})


@computes("gather")
def gathered(x: Any, dim: int, index: Any) -> Any:
    """Of axes that the index has less of, the first places."""
    if not isinstance(x, SymbolicTensor) or not isinstance(index, SymbolicTensor):
        return NotImplemented
    axis = dim % len(x.shape)
    keys = [
        slice(None) if place == axis or own == size else slice(size)
        for place, (own, size) in enumerate(zip(x.shape, index.shape, strict=True))
    ]
    return ops.take_along_axis(x[tuple(keys)], ops.cast(index, "int32"), axis)


@computes("one_hot")
def one_hot(x: Tensor, num_classes: int = -1) -> Any:
    return NotImplemented if num_classes < 0 else ops.one_hot(x, num_classes, dtype="int64")


@computes("affine_grid")
def affine_grid(theta: Any, size: Sequence[int], align_corners: bool | None = None) -> Any:
    _, channels, *sizes = size
    rank = len(sizes)
    places = nn.functional.affine_grid(torch.eye(rank, rank + 1)[None], [1, channels, *sizes], align_corners)
    places = torch.cat([places, torch.ones(*places.shape[:-1], 1)], -1).reshape(1, -1, rank + 1).to(theta.torch_dtype)
    return ops.reshape(ops.matmul(places, ops.swapaxes(theta, 1, 2)), (-1, *sizes, rank))


@reads("threshold")
def threshold(reader: Reader, name: str, x: Value, threshold: float, value: float, inplace: bool = False) -> Value:
    return x.like(ops.where(ops.greater(x.made, threshold), x.made, value))


@reads("eq", "ne")
def comparison(reader: Reader, name: str, a: Any, b: Any) -> Any:
    """By values; Python compares symbols by what they are."""
    a, b = (a, b) if isinstance(a, Value) else (b, a)
    return reader.operation(getattr(torch, reader.word), (a, b), {})


@reads("clamp_min", "clamp_max")
def bounded(reader: Reader, name: str, x: Value, bound: Any) -> Any:
    return reader.operation(torch.clamp, (x,), {reader.word[-3:]: bound})


@computes("narrow", "select", "index_select")
def picked(word: str, x: Tensor, dim: int, place: Any, length: int = 0) -> Tensor:
    key = slice(place, place + length) if word == "narrow" else place
    return x[(*(slice(None),) * (dim % len(x.shape)), key)]


@computes("einsum")
def einsum(equation: str, *operands: Tensor) -> Tensor:
    return ops.einsum(equation, *pytree.tree_leaves(operands))


@reads("flatten")
def flatten(reader: Reader, name: str, x: Value, start_dim: int = 0, end_dim: int = -1) -> Value:
    rank = len(x.shape)
    start, end = start_dim % rank, end_dim % rank
    if start == 0 and end == rank - 1:
        raise reader.unreadable("flattens the batch axis", "Use start_dim=1.")
    x = reader.settled(x)
    if start == 0:
        return reshaped(reader, x, [-1, *shape_of(x)[end + 1 :]])
    if (start, end) == (1, rank - 1):
        return reader.value(reader.layer(name, lambda: layers.Flatten(name=name), x.made))
    sizes = shape_of(x)
    return reshaped(reader, x, [*sizes[:start], math.prod(sizes[start : end + 1]), *sizes[end + 1 :]])


@reads("reshape_as", "view_as")
def view_as(reader: Reader, name: str, x: Value, other: Value) -> Value:
    return reshaped(reader, x, shape_of(other))


@reads("view", "reshape")
def view(reader: Reader, name: str, x: Value, *sizes: Any) -> Value:
    return reshaped(reader, x, flat(sizes))


@reads("unflatten")
def unflatten(reader: Reader, name: str, x: Value, dim: int, sizes: Sequence[int]) -> Value:
    shape = [*shape_of(x)]
    place = dim % len(shape)
    known = math.prod(size for size in sizes if size != -1)
    sizes = [shape[place] // known if size == -1 else size for size in sizes]
    return reshaped(reader, x, [*shape[:place], *sizes, *shape[place + 1 :]])


@reads("permute")
def permute(reader: Reader, name: str, x: Value, *dims: Any) -> Value:
    return reread(x, flat(dims))


@reads("transpose", "swapaxes")
def transpose(reader: Reader, name: str, x: Value, dim0: int, dim1: int) -> Value:
    axes = [*plain(len(x.shape))]
    axes[dim0], axes[dim1] = axes[dim1], axes[dim0]
    return reread(x, axes)


@reads("t")
def matrix_transpose(reader: Reader, name: str, x: Value) -> Value:
    return transpose(reader, name, x, 0, 1)


@reads("contiguous", "clone", "requires_grad", "retain_grad")
def unchanged(reader: Reader, name: str, x: Value, *args: Any, **kwargs: Any) -> Value:
    """Of a clone, what changes in place changes nothing else."""
    return x.like(x.made) if reader.word == "clone" else x


@reads("detach")
def detach(reader: Reader, name: str, x: Value) -> Value:
    return x.like(ops.stop_gradient(x.made))


_TYPES = {"half": torch.float16, "double": torch.float64, "bool": torch.bool, "int": torch.int32, "long": torch.int64}


@reads("float", "to", "type", "type_as", *_TYPES)
def cast(reader: Reader, name: str, x: Value, *args: Any, **options: Any) -> Value:
    """The type is the method's, or that of an argument; where there is none, a device is asked for."""
    word = "to" if reader.word.endswith("softmax") else reader.word
    given = [*args, *options.values()] if word in ("to", "type", "type_as") else [_TYPES.get(word, torch.float32)]
    types = [each if isinstance(each, torch.dtype) else getattr(each, "dtype", None) for each in given]
    dtype = next((each for each in types if each is not None), x.dtype)
    return x if x.dtype is dtype else reader.value(ops.cast(x.made, dtype), x.order)


@reads("size")
def size(reader: Reader, name: str, x: Value, dim: int | None = None) -> Any:
    return shape_of(x) if dim is None else shape_of(x)[dim]


@reads("getattr")
def attribute(reader: Reader, name: str, x: Any, word: str) -> Any:
    if isinstance(x, tuple):  # several results by name
        return getattr(x, word)
    if word == "shape":
        return shape_of(x)
    if word in ("device", "dtype", "ndim"):
        return {"device": torch.device("cpu"), "dtype": x.dtype, "ndim": len(x.shape)}[word]
    if word in ("T", "mT"):
        return transpose(reader, name, x, -1, -2)
    if word in ("real", "imag"):
        return reader.operation(getattr(torch, word), (x,), {})
    raise reader.unreadable(f"reads `{word}` of a tensor")


@reads("dim")
def dim(reader: Reader, name: str, x: Value) -> int:
    return len(x.shape)


def _added_axis(order: Sequence[int], axis: int) -> tuple[int, Order]:
    """Where one more axis is written, which is never before the batch, and the order with it."""
    place = axis if axis and tuple(order) == plain(len(order)) else 1
    after = [each + (each >= axis) for each in order]
    return place, (*after[:place], axis, *after[place:])


@reads("unsqueeze")
def unsqueeze(reader: Reader, name: str, x: Value, dim: int) -> Value:
    axis = dim % (len(x.shape) + 1)
    if x.free or not x.shape:
        return reader.value(ops.expand_dims(reader.settled(x).made, axis))
    x = reader.settled(x) if x.columns else x
    place, order = _added_axis(x.order, axis)
    return reader.value(ops.expand_dims(x.made, place), order)


@reads("stack")
def stack(reader: Reader, name: str, tensors: Any, dim: int = 0, **options: Any) -> Any:
    if (
        options
        or not isinstance(tensors, (tuple, list))
        or not all(isinstance(x, Value) and not x.free for x in tensors)
    ):
        return NotImplemented
    values = together(reader, tensors)
    place, order = _added_axis(values[0].order, dim % (len(values[0].shape) + 1))
    return reader.value(ops.stack([value.made for value in values], axis=place), order)


@reads("squeeze")
def squeeze(reader: Reader, name: str, x: Value, dim: int | None = None) -> Value:
    if dim is None:
        raise reader.unreadable("needs the `dim` to squeeze", "Give it.")
    if x.shape[dim] != 1:
        return x
    left = [axis for axis in x.order if axis != dim % len(x.shape)]
    return reader.value(ops.squeeze(x.made, axis=x.axis(dim)), tuple(sorted(left).index(axis) for axis in left))


@reads("getitem")
def getitem(reader: Reader, name: str, x: Any, key: Any) -> Any:
    """What only cuts axes or picks from them does so wherever they are."""
    keys = key if isinstance(key, tuple) else (key,)
    if not isinstance(x, Value):
        return x[key]
    if any(each is ... for each in keys):
        place, taken = keys.index(...), sum(each is not None and each is not ... for each in keys)
        keys = keys[:place] + (slice(None),) * (len(x.shape) - taken) + keys[place + 1 :]
    if keys[:1] == (None,) and not x.free:
        rest = reader._called("getitem", operator.getitem, (x, keys[1:]), {}) if keys[1:] else x
        return unsqueeze(reader, name, rest, 0)
    if not all(isinstance(each, (int, slice)) for each in keys) or not x.turned:
        return NotImplemented
    keys += (slice(None),) * (len(x.shape) - len(keys))
    left = [axis for axis in x.order if isinstance(keys[axis], slice)]
    return reader.value(x.made[tuple(keys[axis] for axis in x.order)], turn(tuple(sorted(left)), tuple(left)))


@reads("setitem")
def setitem(reader: Reader, name: str, x: Any, key: Any, value: Any) -> Any:
    """Of parts that slices tell, of all samples alike."""
    if isinstance(x, Value) and isinstance(key, Value) and key.dtype is torch.bool and len(key.shape) == len(x.shape):
        return reader.operation(torch.where, (key, value, x), {})
    given = keys = key if isinstance(key, tuple) else (key,)
    if isinstance(x, Value) and not x.free and keys[-1:] == (...,):
        given = keys = keys[:-1]
    keys = tuple(slice(each, each + 1 or None) if type(each) is int else each for each in keys)
    cuts = all(isinstance(each, slice) and each.step in (None, 1) for each in keys) and keys[:1] == (slice(None),)
    if not isinstance(x, Value) or x.free or not cuts:
        raise reader.unreadable("writes into a part of a tensor", "Join the parts: torch.cat, torch.where.")
    x = reader.settled(x)
    part = ops.add(ops.zeros_like(x.made[given]), _made(reader, value))
    for axis, each in enumerate(given):
        part = ops.expand_dims(part, axis) if isinstance(each, int) else part
    places = itertools.zip_longest(x.shape, keys, fillvalue=slice(None))
    starts = [each.indices(size or BATCH)[0] for size, each in places]  # type: ignore[union-attr]
    return reader.value(ops.slice_update(x.made, starts, ops.cast(part, x.dtype)))


@reads("new_zeros", "new_ones", "new_full", "new_empty")
def constant(reader: Reader, name: str, x: Value, *sizes: Any, **options: Any) -> Tensor:
    """What is made without the values of x: to be computed with, or written into."""
    return getattr(torch.empty((), dtype=x.dtype), reader.word)(*sizes, **options)


@reads("expand", "repeat", "tile", "broadcast_to", "expand_as")
def expand(reader: Reader, name: str, x: Value, *sizes: Any) -> Any:
    """With the size of the batch, of what is one sample for all of them."""
    target = {"tile": "repeat"}.get(reader.word, reader.word)
    sizes = tuple(shape_of(sizes[0]) if target == "expand_as" else flat(sizes))
    sizes = (1,) * (len(x.shape) - len(sizes)) + sizes
    x, rest = reader.settled(x), [*sizes[1:]]
    if x.free:
        whole, batch = _widened(reader, x, len(sizes)), sizes[0] > 0 and sizes[0] % BATCH == 0
        first = 1 if batch and target == "repeat" else whole.shape[0] if batch else sizes[0]
        if target == "repeat":
            found = reader.value(ops.tile(whole.made, [first, *rest]))
        else:
            wanted = [own if size == -1 else size for own, size in zip(whole.shape, (first, *rest), strict=True)]
            found = whole if [*whole.shape] == wanted else reader.value(ops.broadcast_to(whole.made, wanted))
        return reader.for_each(found) if batch else found
    if target == "repeat":
        if sizes[0] != 1 or len(sizes) != len(x.shape):
            raise reader.unreadable("repeats samples")
        return reader.value(ops.tile(x.made, [1, *rest]))
    if sizes[0] not in (-1, BATCH) or len(sizes) != len(x.shape):
        raise reader.unreadable("adds an axis before the batch, or samples")
    rest = [own if size == -1 else size for own, size in zip(x.shape[1:], rest, strict=True)]
    return reader.value(
        ops.tile(x.made, [1, *((new or 1) // (own or 1) for own, new in zip(x.shape[1:], rest, strict=True))])
    )


@reads("repeat_interleave")
def repeat_interleave(reader: Reader, name: str, x: Value, repeats: Any, dim: int | None = None) -> Any:
    if dim is None or not isinstance(repeats, int):
        return NotImplemented
    return reader.value(ops.repeat(x.made, repeats, axis=x.axis(dim)), x.order)


@reads("randn_like", "rand_like", "bernoulli", "multinomial", "normal")
def random(reader: Reader, name: str, *args: Any, **kwargs: Any) -> Any:
    raise reader.unreadable("draws random numbers", "Convert what is before it and behind it by themselves.")


@reads("chunk")
def chunk(reader: Reader, name: str, x: Value, chunks: int, dim: int = 0) -> tuple:
    length = x.shape[dim] or 0
    return split(reader, name, x, -(-length // chunks), dim)


@reads("split")
def split(reader: Reader, name: str, x: Value, sizes: Any, dim: int = 0) -> tuple:
    length, axis = x.shape[dim] or 0, x.axis(dim)
    sizes = [min(sizes, length - i) for i in range(0, length, sizes)] if isinstance(sizes, int) else [*sizes]
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    keys = [(slice(None),) * axis + (slice(start, start + n),) for start, n in zip(starts, sizes, strict=True)]
    return tuple(reader.value(x.made[key], x.order) for key in keys)


@reads("pad")
def pad(reader: Reader, name: str, x: Value, pads: Any, mode: str = "constant", value: Any = None) -> Any:
    pairs = [(pads[i], pads[i + 1]) for i in range(0, len(pads), 2)]
    pairs = [*reversed(pairs)]
    if mode == "constant" and not value and len(pairs) == len(x.shape) - 2:
        return zero_padded(reader, name, x, pairs)
    if min(map(min, pairs)) < 0 or len(pairs) == len(x.shape):
        return NotImplemented
    return _padded_with(reader, x, pairs, value, mode)


@reads("pixel_shuffle")
def pixel_shuffle(reader: Reader, name: str, x: Value, factor: int) -> Value:
    """Channels to places, in the order of torch's."""
    x = reader.settled(x)
    _, channels, *sizes = shape_of(x)
    whole = [factor * size for size in sizes]
    made = layers.Reshape((channels // factor**2, factor, factor, *sizes))(x.made)
    return reader.value(layers.Reshape((channels // factor**2, *whole))(layers.Permute((1, 4, 2, 5, 3))(made)))


@reads("interpolate")
def interpolate(
    reader: Reader, name: str, x: Value, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None, **options: Any,
) -> Any:  # fmt: skip
    rank = len(x.shape) - 2
    x = _spatial(reader, x, rank)
    sizes = [x.shape[axis] for axis in range(2, rank + 2)]
    if size is not None and None not in sizes:
        wanted = (size,) * rank if isinstance(size, int) else tuple(size)
        scale_factor = [new / old for new, old in zip(wanted, sizes, strict=True)]  # type: ignore[operator]
    factors = (scale_factor,) * rank if isinstance(scale_factor, (int, float)) else tuple(scale_factor or ())
    whole = len(factors) == rank and all(float(factor).is_integer() and factor >= 1 for factor in factors)
    layered = whole and not align_corners and (mode == "nearest" or (mode == "bilinear" and rank == 2))
    if any(options.values()) or not layered:
        return NotImplemented
    if all(factor == 1 for factor in factors):
        return x
    given = tuple(int(factor) for factor in factors)
    extra = {"data_format": reader.data_format} if rank > 1 else {}
    extra |= {"interpolation": mode} if rank == 2 else {}
    x = x if rank > 1 else reader.arranged(x, (0, 2, 1))
    make = partial(getattr(layers, f"UpSampling{rank}D"), given if rank > 1 else given[0], name=name, **extra)
    return reader.value(reader.layer(name, make, x.made), x.order)


# Several inputs ------------------------------------------------------------------------------------------------------

_ARITHMETIC = {
    "add": (layers.Add, ops.add), "sub": (layers.Subtract, ops.subtract), "mul": (layers.Multiply, ops.multiply),
    "maximum": (layers.Maximum, ops.maximum), "minimum": (layers.Minimum, ops.minimum),
    "multiply": (None, ops.multiply), "truediv": (None, ops.divide), "div": (None, ops.divide),
}  # fmt: skip
_ARITHMETIC |= {f"i{word}": _ARITHMETIC[word] for word in ("add", "sub", "mul", "truediv")}


def together(reader: Reader, values: Sequence[Value]) -> list[Value]:
    """The values in one order; what has no batch gets the axes that it is taken with."""
    rank = max(len(value.shape) for value in values)
    if any(value.turned for value in values) and all(value.free or len(value.shape) == rank for value in values):
        values = [_widened(reader, value, rank) for value in values]
    return reader.together(values)


def _widened(reader: Reader, value: Value, rank: int) -> Value:
    """With axes of one place in front, as torch takes it beside what has so many axes."""
    missing = rank - len(value.shape)
    return reader.value(ops.expand_dims(reader.settled(value).made, [*range(missing)])) if missing else value


@reads(*_ARITHMETIC)
def arithmetic(reader: Reader, name: str, a: Any, b: Any, word: str = "", **options: Any) -> Any:
    layer, function = _ARITHMETIC[word or reader.word]
    if any(isinstance(each, Value) and each.order[:1] != (0,) for each in (a, b)):
        a, b = (reader.constant(each) if isinstance(each, Tensor) else each for each in (a, b))
    values = [each for each in (a, b) if isinstance(each, Value)]
    if options or any(isinstance(each, torch.Tensor) for each in (a, b)):
        return NotImplemented
    if len(values) == 1:
        made = [each.made if isinstance(each, Value) else each for each in (a, b)]
        return reader.value(function(*made), values[0].order)
    values = together(reader, values)
    made, alike = [value.made for value in values], len(values[0].shape) == len(values[1].shape)
    result = layer(name=name)(made) if layer and alike and not any(v.free for v in values) else function(*made)
    return reader.value(result, values[0].order if alike else ())


@reads("cat", "concat", "concatenate")
def concatenate(reader: Reader, name: str, tensors: Sequence[Value], dim: int = 0, **options: Any) -> Value:
    values = together(reader, tensors)
    axis = values[0].axis(options.get("axis", dim))
    if axis == 0:
        raise reader.unreadable("joins along the batch axis")
    axis = -1 if axis == len(values[0].shape) - 1 else axis
    made = layers.Concatenate(axis, name=name)([value.made for value in values])
    return reader.value(made, values[0].order)


@reads("normalize")
def normalize(
    reader: Reader, name: str, x: Value, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Any = None
) -> Any:
    return x.like(ops.normalize(x.made, x.axis(dim), p, eps)) if p == int(p) else NotImplemented


@reads("unbind")
def unbind(reader: Reader, name: str, x: Value, dim: int = 0) -> tuple:
    keys = (slice(None),) * (dim % len(x.shape))
    pieces = (getitem(reader, name, x, (*keys, place)) for place in range(x.shape[dim] or 0))
    return tuple(reader.value(x.made[(*keys, i)]) if y is NotImplemented else y for i, y in enumerate(pieces))


@reads("matmul", "bmm")
def matmul(reader: Reader, name: str, a: Any, b: Any) -> Any:
    rank, values = max(len(each.shape) for each in (a, b)), [each for each in (a, b) if isinstance(each, Value)]
    if isinstance(b, Value) and not b.free and b.order[0] >= len(b.shape) - 2 >= 0:
        raise reader.unreadable("multiplies what is of one sample with what is of others", "Keep the batch in front.")
    behind = any(value.order[0] and value.order[-2:] == (rank - 2, rank - 1) for value in values)
    if not behind and len(values) < 2:
        return NotImplemented
    a, b = (each if isinstance(each, Value) else reader.constant(each) for each in (a, b))
    a, b = together(reader, [a, b]) if behind else map(reader.settled, (a, b))
    return reader.value(ops.matmul(a.made, b.made), a.order if behind else ())


# Sequences -----------------------------------------------------------------------------------------------------------


@reads(nn.LSTM, nn.GRU, nn.RNN)
def recurrent(reader: Reader, module: Any, name: str, x: Value, states: Any = None) -> Any:
    """A layer for each of torch's, Bidirectional where these are; states come and go as torch stacks them."""
    if getattr(module, "proj_size", 0):
        raise reader.unreadable("projects its states", "Make it without `proj_size`, and put a Linear behind it.")
    order, stacked = plain(3) if module.batch_first else (1, 0, 2), (1, 0, 2)
    given = [each for each in pytree.tree_leaves(states) if each is not None]
    if all(isinstance(each, Tensor) and not each.any() for each in given):
        given = []
    given = [reader.constant(each.permute(stacked)) if isinstance(each, Tensor) else each for each in given]
    starts = [reader.arranged(each, stacked if each.order == stacked else plain(3)).made for each in given]
    x = reader.arranged(x, order)
    lstm, gru = isinstance(module, nn.LSTM), isinstance(module, nn.GRU)
    cls = layers.LSTM if lstm else layers.GRU if gru else layers.SimpleRNN
    options = {"use_bias": module.bias, "return_sequences": True}
    options |= {} if lstm or gru else {"activation": module.nonlinearity}
    options["return_state"] = asked = reader.asks_more()
    y, found = x.made, []
    for index in range(module.num_layers):
        own = name if module.num_layers == 1 else f"{name}_l{index}"

        def make(own: str = own) -> Any:
            inner = cls(module.hidden_size, **options, name=own)
            return layers.Bidirectional(inner, name=own) if module.bidirectional else inner

        places = range(index * (1 + module.bidirectional), (index + 1) * (1 + module.bidirectional))
        begin = {"initial_state": [each[:, place] for place in places for each in starts]} if starts else {}
        y, *ends = reader.layer(own, make, y, **begin) if asked else [reader.layer(own, make, y, **begin)]
        found += ends
        rest = {
            key.replace(f"_l{index}", "_l0"): value
            for key, value in module.state_dict(keep_vars=True).items()
            if key.removesuffix("_reverse").endswith(f"_l{index}")
        }
        reader.keep(own, rest)
        if module.dropout and index < module.num_layers - 1:
            y = layers.Dropout(module.dropout)(y)
    output = reader.value(y, order)
    if not asked:
        return output, None
    step = 2 if lstm else 1
    ends = [reader.value(ops.stack(found[place::step], axis=1), stacked) for place in range(step)]
    return output, tuple(ends) if lstm else ends[0]


@reads("scaled_dot_product_attention")
def dot_product_attention(
    reader: Reader, name: str, query: Value, key: Value, value: Value, *args: Any, **options: Any
) -> Any:
    defaults = {"attn_mask": None, "dropout_p": 0.0, "is_causal": False, "scale": None, "enable_gqa": False}
    attn_mask, dropout_p, is_causal, scale, enable_gqa = bound(defaults, args, options)
    rate = dropout_p.training if isinstance(dropout_p, InTraining) else 0.0
    if dropout_p:
        raise reader.unreadable("drops always", "Hand on a rate that is 0 unless `self.training`, or use nn.Dropout.")
    parts = [reader.settled(each) for each in (query, key, value)]
    if enable_gqa:  # heads of the query share those of key and value
        heads = parts[0].shape[1] or 0
        parts[1:] = [reader.value(ops.repeat(each.made, heads // (each.shape[1] or 1), axis=1)) for each in parts[1:]]
    mask = reader.settled(attn_mask).made if isinstance(attn_mask, Value) else attn_mask
    boolean = getattr(attn_mask, "dtype", None) is torch.bool
    if not rate and all(len(part.shape) == 4 for part in parts):
        given = {} if mask is None else {"mask" if boolean else "bias": mask}
        heads = [reader.settled(reread(part, (0, 2, 1, 3))).made for part in parts]
        made = ops.dot_product_attention(*heads, **given, is_causal=is_causal, scale=scale)
        return reread(reader.value(made), (0, 2, 1, 3))
    q, k, v = (part.made for part in parts)
    scores = ops.matmul(q, ops.swapaxes(k, -1, -2)) * ((q.shape[-1] or 1) ** -0.5 if scale is None else scale)
    if is_causal:
        boolean, mask = True, torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).tril()
    if boolean:
        scores = ops.where(mask, scores, -1e30)
    elif mask is not None:
        scores = ops.add(scores, mask)
    shares = layers.Dropout(rate, name=name)(ops.softmax(scores, axis=-1))
    return reader.value(ops.matmul(shares, v))


_ATTENTION = "key_padding_mask", "need_weights", "attn_mask", "average_attn_weights", "is_causal"


@reads(nn.MultiheadAttention)
def multi_head_attention(
    reader: Reader, module: Any, name: str, query: Value, key: Value, value: Value, *args: Any, **options: Any
) -> Any:
    """The output, and the weights where they are asked for."""
    options = {
        "need_weights": True,
        "average_attn_weights": True,
        **dict(zip(_ATTENTION, args, strict=False)),
        **options,
    }
    attn_mask, padding = options.get("attn_mask"), options.get("key_padding_mask")
    query, key, value = (reader.constant(each) if isinstance(each, Tensor) else each for each in (query, key, value))
    if module.bias_k is not None or module.add_zero_attn:
        raise reader.unreadable("has `add_bias_kv` or `add_zero_attn`, which the layer has not")
    order = plain(3) if module.batch_first else (1, 0, 2)
    asked = options["need_weights"] and reader.asks_more()
    if attn_mask is not None and (not isinstance(attn_mask, Tensor) or attn_mask.ndim != 2):
        raise reader.unreadable("computes its mask, or has one for each sample", "Give it one of (targets, sources).")
    if padding is not None and padding.dtype is not torch.bool:
        raise reader.unreadable("has a padding mask of numbers", "Give it booleans, true where nothing is attended to.")
    size = module.embed_dim // module.num_heads
    bias = module.in_proj_bias is not None

    def make() -> Any:
        return layers.MultiHeadAttention(module.num_heads, size, dropout=module.dropout, use_bias=bias, name=name)

    given: dict[str, Any] = {"attention_mask": _as_allowed(attn_mask)} if attn_mask is not None else {}
    if padding is not None:
        allowed = ops.expand_dims(ops.logical_not(_made(reader, padding)), 1)
        given = {"attention_mask": ops.logical_and(given["attention_mask"], allowed) if given else allowed}
    inputs = [reader.arranged(each, order).made for each in (query, value, key)]
    made, weights = (
        reader.layer(name, make, *inputs, **given, return_attention_scores=True)
        if asked
        else (reader.layer(name, make, *inputs, **given), None)
    )
    parts = module.in_proj_weight
    names = ("query", "key", "value")
    kernels = parts.chunk(3) if parts is not None else [getattr(module, f"{word[0]}_proj_weight") for word in names]
    state = {f"{word}.weight": kernel for word, kernel in zip(names, kernels, strict=True)}
    if bias:
        pieces = module.in_proj_bias.chunk(3)
        state |= {f"{word}.bias": piece for word, piece in zip(names, pieces, strict=True)}
    state |= {f"output_proj.{word}": value for word, value in module.out_proj.state_dict(keep_vars=True).items()}
    reader.keep(name, state)
    if weights is not None:
        weights = reader.value(ops.mean(weights, axis=1) if options["average_attn_weights"] else weights)
    return reader.value(made, order), weights


def _as_allowed(mask: torch.Tensor) -> torch.Tensor:
    """A mask of torch's, true or -inf where nothing is attended to, as the layer takes it."""
    if mask.dtype is torch.bool:
        return ~mask
    if not bool(((mask == 0) | (mask == float("-inf"))).all()):
        raise ValueError("its mask has numbers other than 0 and -inf")
    return mask == 0
