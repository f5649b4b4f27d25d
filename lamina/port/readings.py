"""How modules and functions of torch are read as layers, one function a kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from .. import activations, layers, ops
from .axes import Value, channels_behind, plain, turn
from .forms import _ALONG, _MODULES, _RANKS
from .reader import BATCH, MODULES, WEIGHTED, Flag, Reader, flat, reads, reshaped, shape_of

# Activations ---------------------------------------------------------------------------------------------------------

_ACTIVATIONS = {cls if isinstance(cls, type) else cls.func: function for function, cls in _MODULES.items()}
_AXES = {cls: function for function, cls in _ALONG.items()}
# Functions of torch that are activations under another name.
_WORDS = {
    "hardtanh": "hard_tanh", "hardsigmoid": "hard_sigmoid", "hardswish": "hard_silu", "logsigmoid": "log_sigmoid",
    "tanhshrink": "tanh_shrink", "exp": "exponential", "relu": "relu", "relu6": "relu6", "selu": "selu", "silu": "silu",
    "mish": "mish", "sigmoid": "sigmoid", "tanh": "tanh", "softsign": "softsign",
}  # fmt: skip


def _activation(function: Any) -> Any:
    return layers.ReLU() if function is activations.relu else layers.Activation(function)


# Those with arguments as layers; None where no layer has these.
_WITH_ARGUMENTS: dict[type, Any] = {
    nn.Hardtanh: lambda m: layers.ReLU(m.max_val) if m.min_val == 0 else _plain(m, min_val=-1.0, max_val=1.0),
    nn.ReLU6: lambda m: layers.ReLU(6.0),
    nn.LeakyReLU: lambda m: layers.LeakyReLU(m.negative_slope),
    nn.ELU: lambda m: layers.ELU(m.alpha),
    nn.GELU: lambda m: _tanh_gelu() if m.approximate == "tanh" else _plain(m),
    nn.Softplus: lambda m: _plain(m, beta=1.0),
    nn.CELU: lambda m: _plain(m, alpha=1.0),
    nn.Hardshrink: lambda m: _plain(m, lambd=0.5),
    nn.Softshrink: lambda m: _plain(m, lambd=0.5),
}


def _plain(module: nn.Module, **defaults: float) -> Any:
    """The activation of a module with these values of its arguments."""
    function = _ACTIVATIONS[next(cls for cls in type(module).__mro__ if cls in _ACTIVATIONS)]
    return _activation(function) if all(getattr(module, word) == v for word, v in defaults.items()) else None


def _tanh_gelu() -> Any:
    return layers.Activation(partial(activations.gelu, approximate=True))


@reads(*_ACTIVATIONS)
def activation_module(reader: Reader, module: nn.Module, name: str, x: Value) -> Value:
    made = _WITH_ARGUMENTS.get(type(module), _plain)(module)
    if made is None:
        raise reader.unreadable(f"has arguments that no layer has: {module!r}")
    made.name = name
    return x.like(reader.layer(name, lambda: made, x.made))


def _along(reader: Reader, name: str, x: Value, dim: int | None, function: Any) -> Value:
    axis = x.axis((1 if len(x.shape) in (2, 4) else 0) if dim is None else dim)  # as torch chooses one
    if axis == 0:
        raise reader.unreadable("goes along the batch", "Give its `dim`.")
    axis = -1 if axis == len(x.shape) - 1 else axis
    if function is activations.softmax:
        return x.like(reader.layer(name, lambda: layers.Softmax(axis, name=name), x.made))
    return reader.value(getattr(ops, function.__name__)(x.made, axis=axis), x.order)


@reads(*_AXES)
def softmax_module(reader: Reader, module: Any, name: str, x: Value) -> Value:
    return _along(reader, name, x, module.dim, _AXES[type(module)])


@reads("softmax", "log_softmax")
def softmax(reader: Reader, name: str, x: Value, dim: int | None = None, **options: Any) -> Any:
    if options.get("dtype") is not None:
        return NotImplemented
    function = activations.log_softmax if name.startswith("log") else activations.softmax
    return _along(reader, name, x, dim, function)


@reads(*_WORDS, "gelu", "leaky_relu", "elu")
def activation(reader: Reader, name: str, x: Value, *args: Any, **options: Any) -> Any:
    target = reader._node.target
    word = (target if isinstance(target, str) else target.__name__).strip("_")
    options.pop("inplace", None)
    known = args or options
    if word == "leaky_relu":
        slope = args[0] if args else options.get("negative_slope", 0.01)
        return x.like(layers.LeakyReLU(slope)(x.made))
    if word == "gelu" and not args and options.get("approximate", "none") == "tanh":
        return x.like(_tanh_gelu()(x.made))
    if known and not (word == "gelu" and options == {"approximate": "none"}):
        return NotImplemented
    return x.like(_activation(getattr(activations, _WORDS.get(word, word)))(x.made))


@reads(nn.PReLU)
def prelu(reader: Reader, module: Any, name: str, x: Value) -> Value:
    rank = len(x.shape)
    x = reader.arranged(x, channels_behind(rank))
    shared = [*range(1, rank if module.weight.numel() == 1 else rank - 1)] or None
    reader.keep(name, module)
    return x.like(reader.layer(name, lambda: layers.PReLU(shared_axes=shared, name=name), x.made))


@reads(nn.Identity)
def identity(reader: Reader, module: Any, name: str, x: Any) -> Any:
    return x


# Layers with weights -------------------------------------------------------------------------------------------------


@reads(nn.Linear)
def linear(reader: Reader, module: Any, name: str, x: Value) -> Value:
    x = x if x.order[0] != 0 and x.order[-1] == len(x.shape) - 1 else reader.settled(x)
    reader.keep(name, module)
    make = partial(layers.Dense, module.out_features, use_bias=module.bias is not None, name=name)
    return reader.value(reader.layer(name, make, x.made), x.order)


@reads(nn.Embedding)
def embedding(reader: Reader, module: Any, name: str, x: Value) -> Value:
    if module.max_norm is not None or module.scale_grad_by_freq:
        raise reader.unreadable("has `max_norm` or `scale_grad_by_freq`, which no layer has")
    reader.keep(name, module)
    make = partial(layers.Embedding, module.num_embeddings, module.embedding_dim, name=name)
    return reader.value(reader.layer(name, make, reader.settled(x).made))


def _spatial(reader: Reader, x: Value, rank: int) -> Value:
    if len(x.shape) != rank + 2:
        raise reader.unreadable(f"needs a batch of {rank + 2} axes; got {x.shape}")
    return reader.pictures(x)


def _windows(reader: Reader, module: Any, name: str, x: Value) -> tuple[Value, str]:
    """The input, padded as the module pads it, and the layer's `padding`: "same" where that is the same."""
    padding, mode = module.padding, getattr(module, "padding_mode", "zeros")
    reach = [(k - 1) * d for k, d in zip(module.kernel_size, module.dilation, strict=True)]
    if mode != "zeros" and padding != "valid":
        pads = [(n // 2, n - n // 2) for n in reach] if padding == "same" else [(p, p) for p in padding]
        return _padded_with(reader, x, pads, mode=mode), "valid"
    if padding == "same" or padding == "valid":
        if padding == "same" and any(size % 2 for size in reach):
            pads = [(size // 2, size - size // 2) for size in reach]
            return zero_padded(reader, f"{name}_pad", x, pads), "valid"
        return x, padding
    if not any(padding):
        return x, "valid"
    if all(s == 1 and 2 * p == size for s, p, size in zip(module.stride, padding, reach, strict=True)):
        return x, "same"
    return zero_padded(reader, f"{name}_pad", x, [(p, p) for p in padding], ), "valid"  # fmt: skip


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
        raise reader.unreadable("pads and cuts at once")
    given: Any = sizes[0] if rank == 1 else sizes
    make = partial(getattr(layers, f"{kind}{rank}D"), given, name=name, **formats)
    return reader.value(reader.layer(name, make, x.made), x.order)


@reads(*_RANKS["Conv"])
def convolution(reader: Reader, module: Any, name: str, x: Value) -> Value:
    rank = len(module.kernel_size)
    depthwise = module.groups == module.in_channels > 1 and rank < 3 and len({*module.stride}) == 1
    dilated = max(module.stride) > 1 and max(module.dilation) > 1
    if dilated:
        raise reader.unreadable("has strides and dilation above 1, which Keras does not combine")
    x, padding = _windows(reader, module, name, _spatial(reader, x, rank))
    options = {
        "strides": module.stride, "padding": padding, "dilation_rate": module.dilation, "name": name,
        "use_bias": module.bias is not None, "data_format": reader.data_format,
    }  # fmt: skip
    reader.keep(name, module)

    def make() -> Any:
        if depthwise:
            multiplier = module.out_channels // module.in_channels
            cls = getattr(layers, f"DepthwiseConv{rank}D")
            return cls(module.kernel_size, depth_multiplier=multiplier, **options)
        cls = getattr(layers, f"Conv{rank}D")
        return cls(module.out_channels, module.kernel_size, groups=module.groups, **options)

    return reader.value(reader.layer(name, make, x.made), x.order)


@reads(*_RANKS["ConvTranspose"])
def transposed(reader: Reader, module: Any, name: str, x: Value) -> Value:
    """Without pads, then cut: what torch leaves out on both sides, less what it adds at the end."""
    rank = len(module.kernel_size)
    spans = [(k - 1) * d + 1 for k, d in zip(module.kernel_size, module.dilation, strict=True)]
    if module.groups > 1 or (max(module.stride) > 1 and max(module.dilation) > 1):
        raise reader.unreadable("has groups, or strides and dilation above 1, which Keras' layer has not")
    x = _spatial(reader, x, rank)
    # A layer's result has size * stride elements at least: those behind torch's go, too.
    more = [max(stride - span, 0) for stride, span in zip(module.stride, spans, strict=True)]
    cuts = [(p, p - op + extra) for p, op, extra in zip(module.padding, module.output_padding, more, strict=True)]
    if any(after < 0 for _, after in cuts):
        raise reader.unreadable("has an `output_padding` larger than its padding")
    options = {
        "strides": module.stride, "dilation_rate": module.dilation, "use_bias": module.bias is not None,
        "data_format": reader.data_format, "name": name, "padding": "valid",
    }  # fmt: skip
    same = all(k >= s and (k - s) // 2 == p and (k - s + 1) // 2 == p - op for k, s, p, op in zip(
        module.kernel_size, module.stride, module.padding, module.output_padding, strict=True))  # fmt: skip
    same = same and max(module.dilation) == 1
    options |= {"padding": "same"} if same else {}
    make = partial(getattr(layers, f"Conv{rank}DTranspose"), module.out_channels, module.kernel_size, **options)
    reader.keep(name, module)
    y = reader.value(reader.layer(name, make, x.made), x.order)
    if same or not any(map(any, cuts)):
        return y
    return zero_padded(reader, f"{name}_cut", y, [(-before, -after) for before, after in cuts])


@reads(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
def batch_norm(reader: Reader, module: Any, name: str, x: Value) -> Value:
    if not module.track_running_stats or module.momentum is None:
        raise reader.unreadable("keeps no moving statistics with a momentum, as the layer does")

    axis, unbiased = x.axis(1), "spatial" if len(x.shape) > 3 else None

    def make() -> Any:
        return layers.BatchNormalization(
            -1 if axis == len(x.shape) - 1 else axis, round(1 - module.momentum, 12), module.eps, module.affine,
            module.affine, unbiased_variance=unbiased, name=name,
        )  # fmt: skip

    reader.keep(name, module)
    return x.like(reader.layer(name, make, x.made))


@reads(nn.LayerNorm)
def layer_norm(reader: Reader, module: Any, name: str, x: Value) -> Value:
    x, count = reader.settled(x), len(module.normalized_shape)
    options = {"center": module.bias is not None, "scale": module.weight is not None, "name": name}
    make = partial(layers.LayerNormalization, [*range(-count, 0)], module.eps, **options)
    reader.keep(name, module)
    return x.like(reader.layer(name, make, x.made))


@reads(nn.RMSNorm)
def rms_norm(reader: Reader, module: Any, name: str, x: Value) -> Value:
    x, count = reader.settled(x), len(module.normalized_shape)
    if module.weight is None:
        raise reader.unreadable("needs its weight", "Leave `elementwise_affine` on.")
    epsilon = torch.finfo(module.weight.dtype).eps if module.eps is None else module.eps
    make = partial(layers.RMSNormalization, [*range(-count, 0)], epsilon, name=name)
    reader.keep(name, module)
    return x.like(reader.layer(name, make, x.made))


@reads(nn.GroupNorm, *_RANKS["InstanceNorm"])
def group_norm(reader: Reader, module: Any, name: str, x: Value) -> Value:
    if getattr(module, "track_running_stats", False):
        raise reader.unreadable("keeps moving statistics, which the layer does not")
    axis = x.axis(1)
    groups, axis = getattr(module, "num_groups", -1), -1 if axis == len(x.shape) - 1 else axis
    make = partial(
        layers.GroupNormalization, groups, axis, module.eps,
        center=module.affine, scale=module.affine, name=name,
    )  # fmt: skip
    reader.keep(name, module)
    return x.like(reader.layer(name, make, x.made))


# Functions that get their weights, read as the modules that would hold them ------------------------------------------


Size = int | Sequence[int]


def _holding(cls: Any, *args: Any, weights: Mapping[str, Any], **options: Any) -> nn.Module:
    with torch.device("meta"):
        module = cls(*args, **options)
    for name, value in weights.items():
        held = value is None or name in module._buffers or isinstance(value, nn.Parameter)
        kept = module._buffers if name in module._buffers else module._parameters
        kept[name] = value if held else nn.Parameter(value.detach(), value.requires_grad)  # type: ignore[union-attr]
    return module


def _affine(weight: Tensor | None, bias: Tensor | None, **more: Tensor | None) -> dict[str, Tensor | None]:
    """Weights of a module that has both or none."""
    if weight is not None and bias is None:
        bias = nn.Parameter(torch.zeros_like(weight), requires_grad=False)
    return {"weight": weight, "bias": bias, **more}


def _linear_of(weight: Tensor, bias: Tensor | None = None) -> nn.Module:
    units, features = weight.shape
    return _holding(nn.Linear, features, units, bias is not None, weights={"weight": weight, "bias": bias})


def _convolution_of(
    weight: Tensor, bias: Tensor | None = None, stride: Size = 1, padding: Size = 0, dilation: Size = 1, groups: int = 1
) -> nn.Module:
    filters, channels, *kernel = weight.shape
    options = {"dilation": dilation, "groups": groups, "bias": bias is not None}
    cls, weights = _RANKS["Conv"][len(kernel) - 1], {"weight": weight, "bias": bias}
    return _holding(cls, channels * groups, filters, tuple(kernel), stride, padding, **options, weights=weights)


def _transposed_of(
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> nn.Module:
    channels, filters, *kernel = weight.shape
    sizes = channels, filters * groups, tuple(kernel), stride, padding, output_padding, groups, bias is not None
    cls, weights = _RANKS["ConvTranspose"][len(kernel) - 1], {"weight": weight, "bias": bias}
    return _holding(cls, *sizes, dilation, weights=weights)


def _batch_norm_of(
    mean: Tensor | None,
    variance: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> nn.Module:
    if training or mean is None:
        raise ValueError("takes the statistics of a batch in inference, too")
    weights = _affine(weight, bias, running_mean=mean, running_var=variance)
    return _holding(nn.BatchNorm1d, len(mean), eps, momentum, weight is not None, weights=weights)


def _layer_norm_of(
    shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> nn.Module:
    options = {"elementwise_affine": weight is not None, "bias": bias is not None}
    return _holding(nn.LayerNorm, tuple(shape), eps, **options, weights={"weight": weight, "bias": bias})


def _rms_norm_of(shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None) -> nn.Module:
    return _holding(nn.RMSNorm, tuple(shape), eps, weight is not None, weights={"weight": weight})


def _group_norm_of(
    groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> nn.Module:
    options = {"eps": eps, "affine": weight is not None}
    return _holding(
        nn.GroupNorm, groups, groups if weight is None else len(weight), **options, weights=_affine(weight, bias)
    )


def _embedding_of(weight: Tensor, *_: object, **options: object) -> nn.Module:
    return _holding(nn.Embedding, *weight.shape, weights={"weight": weight})


def _prelu_of(weight: Tensor) -> nn.Module:
    return _holding(nn.PReLU, weight.numel(), weights={"weight": weight})


_OF_WEIGHTS: dict[str, Callable[..., nn.Module]] = {
    "linear": _linear_of, "batch_norm": _batch_norm_of, "layer_norm": _layer_norm_of, "rms_norm": _rms_norm_of,
    "group_norm": _group_norm_of, "embedding": _embedding_of, "prelu": _prelu_of,
    **{f"conv{rank}d": _convolution_of for rank in (1, 2, 3)},
    **{f"conv_transpose{rank}d": _transposed_of for rank in (1, 2, 3)},
}  # fmt: skip


def _weighted(make: Callable[..., nn.Module], reader: Reader, x: Value, *args: Any, **kwargs: Any) -> Any:
    if any(isinstance(leaf, Value) for leaf in pytree.tree_leaves((args, kwargs))):
        raise reader.unreadable("computes its weights of the input")
    module = make(*args, **kwargs)
    return MODULES[type(module)](reader, module, reader.owner(), x)


WEIGHTED.update({word: partial(_weighted, make) for word, make in _OF_WEIGHTS.items()})


# Random in training --------------------------------------------------------------------------------------------------


@reads(nn.Dropout, nn.AlphaDropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
def dropout_module(reader: Reader, module: Any, name: str, x: Value) -> Value:
    kind = type(module).__name__
    if kind[-1] == "d" and len(x.shape) == 2:  # each feature is a channel
        make = partial(layers.Dropout, module.p, name=name)
    elif kind[-1] == "d":
        rank = int(kind[-2])
        x = _spatial(reader, x, rank) if rank > 1 else reader.arranged(x, (0, 2, 1))
        formats = {"data_format": reader.data_format} if rank > 1 else {}
        make = partial(getattr(layers, f"SpatialDropout{rank}D"), module.p, name=name, **formats)
    else:
        make = partial(getattr(layers, kind), module.p, name=name)
    return x.like(reader.layer(name, make, x.made))


@reads("dropout")
def dropout(reader: Reader, name: str, x: Value, p: float = 0.5, training: bool = True, inplace: bool = False) -> Value:
    """`training` is a Flag where it is that of the module; else it never drops, or always."""
    if not p or (not training and not isinstance(training, Flag)):
        return x
    if training:
        raise reader.unreadable("drops always", "Hand on `self.training`, or use nn.Dropout.")
    return x.like(reader.layer(name, lambda: layers.Dropout(p, name=name), x.made))


# Pooling -------------------------------------------------------------------------------------------------------------


class _Pool:
    """The arguments of a pooling, of a module or a function."""

    def __init__(self, rank: int, kernel: Any, stride: Any = None, padding: Any = 0, ceil: bool = False):
        def per_axis(value: Any) -> tuple[int, ...]:
            return (value,) * rank if isinstance(value, int) else tuple(value)

        self.kernel_size, self.padding = per_axis(kernel), per_axis(padding)
        self.stride, self.ceil = per_axis(kernel if stride is None or stride == [] else stride), ceil


def _pooled(reader: Reader, name: str, x: Value, kind: str, pool: _Pool, counts_pads: bool = True) -> Value:
    rank = len(pool.kernel_size)
    x = _spatial(reader, x, rank)
    sizes: list[Any] = [x.shape[axis] for axis in range(2, rank + 2)]
    axes = [*zip(sizes, pool.kernel_size, pool.stride, pool.padding, strict=True)]
    pads = [(p, p + _more_at_the_end(size, k, s, p) if pool.ceil else p) for size, k, s, p in axes]
    uneven = kind == "Average" and (pads != [(p, p) for p in pool.padding] or (any(pool.padding) and not counts_pads))
    if None in sizes and (pool.ceil or uneven):
        raise reader.unreadable("counts by the size of its input", "Give the input's size as numbers.")
    if any(map(any, pads)):
        if kind == "Average" or _never_negative(x.made):
            x = zero_padded(reader, f"{name}_pad", x, pads)
        else:
            x = _padded_with(reader, x, pads, torch.finfo(x.dtype).min)
    make = partial(
        getattr(layers, f"{kind}Pooling{rank}D"), pool.kernel_size, pool.stride, data_format=reader.data_format,
        name=name,
    )  # fmt: skip
    y = reader.value(reader.layer(name, make, x.made), x.order)
    if uneven:  # the layer divides by the size of a window, torch by what is inside of the picture
        average, ones = getattr(nn.functional, f"avg_pool{rank}d"), torch.ones(1, 1, *sizes)
        mine = average(
            nn.functional.pad(ones, [n for pair in reversed(pads) for n in pair]), pool.kernel_size, pool.stride
        )
        theirs = average(ones, pool.kernel_size, pool.stride, pool.padding, pool.ceil, counts_pads)
        y = y.like(ops.multiply(y.made, (theirs / mine).permute(y.order)))
    return y


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


@reads(*_RANKS["MaxPool"])
def max_pool_module(reader: Reader, module: Any, name: str, x: Value) -> Value:
    rank = int(type(module).__name__[-2])
    if module.return_indices or module.dilation not in (1, (1,) * rank):
        raise reader.unreadable("returns indices or is dilated")
    pool = _Pool(rank, module.kernel_size, module.stride, module.padding, module.ceil_mode)
    return _pooled(reader, name, x, "Max", pool)


@reads(*_RANKS["AvgPool"])
def average_pool_module(reader: Reader, module: Any, name: str, x: Value) -> Value:
    rank = int(type(module).__name__[-2])
    if getattr(module, "divisor_override", None) is not None:
        raise reader.unreadable("has a `divisor_override`")
    pool = _Pool(rank, module.kernel_size, module.stride, module.padding, module.ceil_mode)
    return _pooled(reader, name, x, "Average", pool, module.count_include_pad)


@reads("max_pool1d", "max_pool2d", "max_pool3d")
def max_pool(
    reader: Reader, name: str, x: Value, kernel_size: Any, stride: Any = None, padding: Any = 0, **options: Any
) -> Value:
    ceil = options.pop("ceil_mode", False)
    if {*pytree.tree_leaves(options.pop("dilation", 1))} != {1} or any(options.values()):
        raise reader.unreadable("returns indices or is dilated")
    return _pooled(reader, name, x, "Max", _Pool(len(x.shape) - 2, kernel_size, stride, padding, ceil))


@reads("avg_pool1d", "avg_pool2d", "avg_pool3d")
def average_pool(
    reader: Reader, name: str, x: Value, kernel_size: Any, stride: Any = None, padding: Any = 0,
    ceil_mode: bool = False, count_include_pad: bool = True,
) -> Value:  # fmt: skip
    pool = _Pool(len(x.shape) - 2, kernel_size, stride, padding, ceil_mode)
    return _pooled(reader, name, x, "Average", pool, count_include_pad)


def _adapted(reader: Reader, name: str, x: Value, kind: str, size: Any, rank: int) -> Value:
    x = _spatial(reader, x, rank)
    sizes = (size,) * rank if isinstance(size, int) or size is None else tuple(size)
    sizes = tuple(x.shape[axis + 2] if each is None else each for axis, each in enumerate(sizes))
    options = {"data_format": reader.data_format, "name": name}
    if set(sizes) == {1}:
        cls = getattr(layers, f"Global{kind}Pooling{rank}D")
        return reader.value(reader.layer(name, lambda: cls(keepdims=True, **options), x.made), x.order)
    cls = getattr(layers, f"Adaptive{kind}Pooling{rank}D")
    return reader.value(reader.layer(name, lambda: cls(sizes, **options), x.made), x.order)


@reads(*_RANKS["AdaptiveAvgPool"], *_RANKS["AdaptiveMaxPool"])
def adaptive_pool_module(reader: Reader, module: Any, name: str, x: Value) -> Value:
    kind = type(module).__name__
    return _adapted(reader, name, x, "Max" if "Max" in kind else "Average", module.output_size, int(kind[-2]))


@reads("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def adaptive_pool(reader: Reader, name: str, x: Value, output_size: Any) -> Value:
    return _adapted(reader, name, x, "Average", output_size, len(x.shape) - 2)


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
    made = ops.mean(x.made, axis=tuple(sorted(x.axis(axis) for axis in axes)), keepdims=keepdim)
    if keepdim:
        return reader.value(made, x.order)
    left = [axis for axis in x.order if axis not in axes]
    return reader.value(made, tuple(sorted(left).index(axis) for axis in left))


# Shapes --------------------------------------------------------------------------------------------------------------


@reads(nn.Flatten)
def flatten_module(reader: Reader, module: Any, name: str, x: Value) -> Value:
    return flatten(reader, name, x, module.start_dim, module.end_dim)


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
        made = reader.layer(name, lambda: layers.Flatten(name=name), x.made)
        return reader.value(made)
    sizes = shape_of(x)
    return reshaped(reader, x, [*sizes[:start], int(torch.tensor(sizes[start : end + 1]).prod()), *sizes[end + 1 :]])


@reads("reshape_as", "view_as")
def view_as(reader: Reader, name: str, x: Value, other: Value) -> Value:
    return reshaped(reader, x, shape_of(other))


@reads("view", "reshape")
def view(reader: Reader, name: str, x: Value, *sizes: Any) -> Value:
    return reshaped(reader, x, flat(sizes))


@reads(nn.Unflatten)
def unflatten_module(reader: Reader, module: Any, name: str, x: Value) -> Value:
    return unflatten(reader, name, x, module.dim, module.unflattened_size)


@reads("unflatten")
def unflatten(reader: Reader, name: str, x: Value, dim: int, sizes: Sequence[int]) -> Value:
    shape = [*shape_of(x)]
    place = dim % len(shape)
    known = 1
    for size in sizes:
        known *= size if size != -1 else 1
    sizes = [shape[place] // known if size == -1 else size for size in sizes]
    return reshaped(reader, x, [*shape[:place], *sizes, *shape[place + 1 :]])


def _reread(x: Value, axes: Sequence[int]) -> Value:
    """x with its axes in another order: nothing is computed until a layer asks for it."""
    axes = [axis % len(x.shape) for axis in axes]
    shape = tuple(x.shape[axis] for axis in axes)
    return Value(x.made, shape, x.dtype, tuple(axes.index(axis) for axis in x.order))


@reads("permute")
def permute(reader: Reader, name: str, x: Value, *dims: Any) -> Value:
    return _reread(x, flat(dims))


@reads("transpose", "swapaxes")
def transpose(reader: Reader, name: str, x: Value, dim0: int, dim1: int) -> Value:
    axes = [*plain(len(x.shape))]
    axes[dim0], axes[dim1] = axes[dim1], axes[dim0]
    return _reread(x, axes)


@reads("contiguous", "clone", "float", "detach")
def unchanged(reader: Reader, name: str, x: Value, *args: Any, **kwargs: Any) -> Any:
    return x if x.dtype.is_floating_point else NotImplemented


@reads("size")
def size(reader: Reader, name: str, x: Value, dim: int | None = None) -> Any:
    return shape_of(x) if dim is None else shape_of(x)[dim]


@reads("getattr")
def attribute(reader: Reader, name: str, x: Value, word: str) -> Any:
    if word == "shape":
        return shape_of(x)
    if word in ("device", "dtype", "ndim"):
        return {"device": torch.device("cpu"), "dtype": x.dtype, "ndim": len(x.shape)}[word]
    if word in ("T", "mT"):
        return transpose(reader, name, x, -1, -2)
    raise reader.unreadable(f"reads `{word}` of a tensor")


@reads("dim")
def dim(reader: Reader, name: str, x: Value) -> int:
    return len(x.shape)


@reads("unsqueeze")
def unsqueeze(reader: Reader, name: str, x: Value, dim: int) -> Value:
    x = reader.settled(x)
    return reader.value(ops.expand_dims(x.made, dim))


@reads("squeeze")
def squeeze(reader: Reader, name: str, x: Value, dim: int | None = None) -> Value:
    x = reader.settled(x)
    if dim is None:
        raise reader.unreadable("needs the `dim` to squeeze", "Give it.")
    return reader.value(ops.squeeze(x.made, axis=dim)) if x.shape[dim] == 1 else x


@reads("getitem")
def getitem(reader: Reader, name: str, x: Any, key: Any) -> Any:
    """What only cuts axes or picks from them does so wherever they are."""
    keys = key if isinstance(key, tuple) else (key,)
    if not isinstance(x, Value):
        return x[key]
    if not all(isinstance(each, (int, slice)) for each in keys) or not x.turned:
        return NotImplemented
    keys += (slice(None),) * (len(x.shape) - len(keys))
    left = [axis for axis in x.order if isinstance(keys[axis], slice)]
    return reader.value(x.made[tuple(keys[axis] for axis in x.order)], turn(tuple(sorted(left)), tuple(left)))


@reads("expand", "repeat", "broadcast_to", "expand_as")
def expand(reader: Reader, name: str, x: Value, *sizes: Any) -> Any:
    """With the size of the batch, of what is one sample for all of them."""
    target = str(reader._node.target)
    sizes = tuple(shape_of(sizes[0]) if target == "expand_as" else flat(sizes))
    x, rest = reader.settled(x), [*sizes[1:]]
    if x.free:
        if sizes[0] % BATCH or sizes[0] < 0:
            return NotImplemented
        whole = _widened(reader, x, len(sizes))
        if target == "repeat":
            return reader.for_each(reader.value(ops.tile(whole.made, [1, *rest])))
        rest = [own if size == -1 else size for own, size in zip(whole.shape[1:], rest, strict=True)]
        made = whole.made if whole.shape[1:] == (*rest,) else ops.broadcast_to(whole.made, (whole.shape[0], *rest))
        return reader.for_each(reader.value(made))
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


@reads(*_RANKS["ZeroPad"], *_RANKS["ConstantPad"], *_RANKS["ReflectionPad"], *_RANKS["ReplicationPad"])
def pad_module(reader: Reader, module: Any, name: str, x: Value) -> Any:
    kind = type(module).__name__
    mode = "reflect" if kind.startswith("Refl") else "replicate" if kind.startswith("Repl") else "constant"
    return pad(reader, name, x, module.padding, mode, getattr(module, "value", None))


@reads(nn.PixelShuffle)
def pixel_shuffle_module(reader: Reader, module: Any, name: str, x: Value) -> Value:
    return pixel_shuffle(reader, name, x, module.upscale_factor)


@reads("pixel_shuffle")
def pixel_shuffle(reader: Reader, name: str, x: Value, factor: int) -> Value:
    """Channels to places, in the order of torch's."""
    x = reader.settled(x)
    _, channels, *sizes = shape_of(x)
    whole = [factor * size for size in sizes]
    made = layers.Reshape((channels // factor**2, factor, factor, *sizes))(x.made)
    return reader.value(layers.Reshape((channels // factor**2, *whole))(layers.Permute((1, 4, 2, 5, 3))(made)))


@reads(nn.Upsample)
def upsample(reader: Reader, module: Any, name: str, x: Value) -> Any:
    return interpolate(reader, name, x, module.size, module.scale_factor, module.mode, module.align_corners)


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
    kind, mode = mode, {"linear": "bilinear", "trilinear": "bilinear"}.get(mode, mode)
    if (
        any(options.values())
        or not whole
        or align_corners
        or not (mode == "nearest" or (mode == "bilinear" and rank == 2))
    ):
        if any(options.values()):
            raise reader.unreadable("has options that no layer has")
        given: Any = {"size": size, "scale_factor": None if size else factors, "mode": kind}
        module = nn.Upsample(**given, align_corners=align_corners)
        x = reader.settled(x)
        return reader.value(reader.layer(name, lambda: layers.TorchModuleWrapper(module, name=name), x.made))
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
    """The values in one order, where all have as many axes; else as torch has them."""
    ranks = {len(value.shape) for value in values}
    order = next((value.order for value in values if value.turned), None)
    if order is not None and len(ranks) > 1 and all(value.free or len(value.shape) == max(ranks) for value in values):
        values = [_widened(reader, value, max(ranks)) for value in values]
    elif order is None or len(ranks) > 1:
        return [reader.settled(value) for value in values]
    return [reader.arranged(value, order) for value in values]


def _widened(reader: Reader, value: Value, rank: int) -> Value:
    """With axes of one place in front, as torch takes it beside what has so many axes."""
    missing = rank - len(value.shape)
    return reader.value(ops.expand_dims(reader.settled(value).made, [*range(missing)])) if missing else value


@reads(*_ARITHMETIC)
def arithmetic(reader: Reader, name: str, a: Any, b: Any, **options: Any) -> Any:
    target = reader._node.target
    layer, function = _ARITHMETIC[(target if isinstance(target, str) else target.__name__).strip("_")]
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
    if not (isinstance(a, Value) and isinstance(b, Value)):
        return NotImplemented
    return reader.value(ops.matmul(reader.settled(a).made, reader.settled(b).made))


# Sequences -----------------------------------------------------------------------------------------------------------


@reads(nn.LSTM, nn.GRU, nn.RNN)
def recurrent(reader: Reader, module: Any, name: str, x: Value, states: Any = None) -> Any:
    """A layer for each of torch's, Bidirectional where these are; states come as torch stacks them."""
    given = [each for each in pytree.tree_leaves(states) if each is not None]
    zeros = all(isinstance(each, torch.Tensor) and not each.any() for each in given)
    if not zeros or getattr(module, "proj_size", 0):
        raise reader.unreadable("is given states, or projects them", "Let it start from zeros, without `proj_size`.")
    order = plain(3) if module.batch_first else (1, 0, 2)
    x = reader.arranged(x, order)
    lstm, gru = isinstance(module, nn.LSTM), isinstance(module, nn.GRU)
    cls = layers.LSTM if lstm else layers.GRU if gru else layers.SimpleRNN
    options = {"use_bias": module.bias, "return_sequences": True}
    options |= {} if lstm or gru else {"activation": module.nonlinearity}
    options["return_state"] = asked = any(key != 0 for key in reader.picked())
    y, found = x.made, []
    for index in range(module.num_layers):
        own = name if module.num_layers == 1 else f"{name}_l{index}"

        def make(own: str = own) -> Any:
            inner = cls(module.hidden_size, **options, name=own)
            return layers.Bidirectional(inner, name=own) if module.bidirectional else inner

        y, *ends = reader.layer(own, make, y) if asked else [reader.layer(own, make, y)]
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
    step = 2 if lstm else 1
    hidden = _States([reader.value(state) for state in found[::step]])
    return output, (hidden, _States([reader.value(state) for state in found[1::step]])) if lstm else hidden


class _States(list):
    """Last states, (layers * directions, batch, units), as a list of them."""


_ATTENTION = "key_padding_mask", "need_weights", "attn_mask", "average_attn_weights", "is_causal"


@reads("scaled_dot_product_attention")
def dot_product_attention(
    reader: Reader, name: str, query: Value, key: Value, value: Value, attn_mask: Any = None, *args: Any, **options: Any
) -> Any:
    options |= dict(zip(("dropout_p", "is_causal", "scale"), args, strict=False))
    if options.get("dropout_p"):
        raise reader.unreadable("drops always", "Hand on `self.training`, or use nn.Dropout.")
    parts = query, key, value
    if any(len(part.shape) != 4 for part in parts):
        return NotImplemented
    mask = reader.settled(attn_mask).made if isinstance(attn_mask, Value) else attn_mask
    dtype = getattr(attn_mask, "dtype", None)
    given = {} if mask is None else {"mask" if dtype is torch.bool else "bias": mask}
    inputs = [reader.settled(_reread(part, (0, 2, 1, 3))).made for part in parts]
    given |= {word: options[word] for word in ("scale", "is_causal") if word in options}
    made = ops.dot_product_attention(*inputs, **given)
    return _reread(reader.value(made), (0, 2, 1, 3))


@reads(nn.MultiheadAttention)
def multi_head_attention(
    reader: Reader, module: Any, name: str, query: Value, key: Value, value: Value, *args: Any, **options: Any
) -> Any:
    """The output and None: weights that are asked for are refused."""
    options |= dict(zip(_ATTENTION, args, strict=False))
    attn_mask = options.get("attn_mask")
    if module.bias_k is not None or module.add_zero_attn or options.get("key_padding_mask") is not None:
        raise reader.unreadable("has `add_bias_kv`, `add_zero_attn` or a padding mask, which the layer has not")
    order = plain(3) if module.batch_first else (1, 0, 2)
    if any(key == 1 for key in reader.picked()):
        raise reader.unreadable("gives its weights", "Leave them alone: `y, _ = attention(...)`.")
    if attn_mask is not None and not isinstance(attn_mask, torch.Tensor):
        raise reader.unreadable("computes its mask")
    size = module.embed_dim // module.num_heads
    bias = module.in_proj_bias is not None

    def make() -> Any:
        return layers.MultiHeadAttention(module.num_heads, size, dropout=module.dropout, use_bias=bias, name=name)

    given = {"attention_mask": _as_allowed(attn_mask)} if attn_mask is not None else {}
    inputs = [reader.arranged(each, order).made for each in (query, value, key)]
    made = reader.layer(name, make, *inputs, **given)
    parts = module.in_proj_weight
    names = ("query", "key", "value")
    kernels = parts.chunk(3) if parts is not None else [getattr(module, f"{word[0]}_proj_weight") for word in names]
    state = {f"{word}.weight": kernel for word, kernel in zip(names, kernels, strict=True)}
    if bias:
        pieces = module.in_proj_bias.chunk(3)
        state |= {f"{word}.bias": piece for word, piece in zip(names, pieces, strict=True)}
    state |= {f"output_proj.{word}": value for word, value in module.out_proj.state_dict(keep_vars=True).items()}
    reader.keep(name, state)
    return reader.value(made, order), None


def _as_allowed(mask: torch.Tensor) -> torch.Tensor:
    """A mask of torch's, true or -inf where nothing is attended to, as the layer takes it."""
    if mask.dtype is torch.bool:
        return ~mask
    if not bool(((mask == 0) | (mask == float("-inf"))).all()):
        raise ValueError("its mask has numbers other than 0 and -inf")
    return mask == 0


@reads(nn.TransformerEncoderLayer)
def transformer_layer(reader: Reader, module: Any, name: str, x: Value, src_mask: Any = None, **options: Any) -> Value:
    def attended(value: Value) -> Value:
        own, parts = module.self_attn, (value, value, value)
        y, _ = multi_head_attention(reader, own, f"{name}_self_attn", *parts, attn_mask=src_mask)
        return dropout_module(reader, module.dropout1, f"{name}_dropout1", y)

    def fed(value: Value) -> Value:
        y = linear(reader, module.linear1, f"{name}_linear1", value)
        word = getattr(module.activation, "__name__", "") or type(module.activation).__name__.lower()
        y = y.like(_activation(getattr(activations, word))(y.made))
        y = dropout_module(reader, module.dropout, f"{name}_dropout", y)
        y = linear(reader, module.linear2, f"{name}_linear2", y)
        return dropout_module(reader, module.dropout2, f"{name}_dropout2", y)

    def normed(value: Value, part: str) -> Value:
        return layer_norm(reader, getattr(module, part), f"{name}_{part}", value)

    def added(a: Value, b: Value) -> Value:
        return reader.value(layers.Add()([a.made, b.made]))

    x = reader.settled(x)
    if any(value is not None and value is not False for value in options.values()):
        raise reader.unreadable("is given a padding mask, or told that its mask is causal")
    if module.norm_first:
        x = added(x, attended(normed(x, "norm1")))
        return added(x, fed(normed(x, "norm2")))
    x = normed(added(x, attended(x)), "norm1")
    return normed(added(x, fed(x)), "norm2")


@reads(nn.TransformerEncoder)
def transformer(reader: Reader, module: Any, name: str, x: Value, mask: Any = None, **options: Any) -> Value:
    for index, layer in enumerate(module.layers):
        x = transformer_layer(reader, layer, f"{name}_layers_{index}", x, mask, **options)
    return x if module.norm is None else layer_norm(reader, module.norm, f"{name}_norm", x)
