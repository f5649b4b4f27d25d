"""The module or function of torch that does what a layer does, as code that runs."""

from __future__ import annotations

import functools
import re
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..kernels import window
from ..layers import activation as activations
from ..layers import (
    attention,
    convolution,
    dense,
    dropout,
    embedding,
    merge,
    normalization,
    pooling,
    recurrent,
    reshape,
    wrappers,
)
from ..layers.preprocessing import features
from .said import Language, Said, sentences
from .scenes.kinds import At


@dataclass(frozen=True)
class Twin:
    """Code of torch: statements that make what is needed, and an expression of the inputs.

    The input is `x`, several are `a`, `b`, `c`, ... Without code, `why` says what torch lacks.
    """

    make: str = ""
    call: str = ""
    why: Said | None = None
    values: Mapping[str, Any] = field(default_factory=dict)  # that `why` names

    def text(self, language: Language) -> str:
        """The code, or why there is none."""
        return f"{self.make}\ny = {self.call}".strip() if self.why is None else self.why(language, **self.values)


_SAID = sentences("twins")


def _lacks(why: Sequence[str], frame: Said = _SAID.no_twin, **values: Any) -> Twin:
    """No code, for a reason in each language."""
    return Twin(why=Said(*(text.replace("{why}", part) for text, part in zip(frame, why, strict=True))), values=values)


@functools.singledispatch
def twin(layer: Any, at: At) -> Twin:
    """The twin of a built layer for a call."""
    library = _SAID.elsewhere.of(layer)
    return _lacks((library, library), _SAID.not_in_torch) if library else _lacks(_SAID.lacks.of(layer) or _SAID.nothing)


def _one(values: Sequence[Any]) -> str:
    """Sizes: one number where all are the same."""
    return str(values[0]) if len({*values}) == 1 else str(tuple(values))


def _sizes(weight: Any) -> str:
    return ", ".join(map(str, weight.shape))


def _call(name: str, *positional: Any, **words: tuple[Any, Any]) -> str:
    """A call; of the words, (value, default), those that are no defaults."""
    given = [str(each) for each in positional]
    given += [f"{key}={value}" for key, (value, default) in words.items() if str(value) != str(default)]
    return f"{name}({', '.join(given)})"


def _sequential(*modules: str) -> str:
    modules = tuple(filter(None, modules))
    return modules[0] if len(modules) == 1 else f"nn.Sequential({', '.join(modules)})"


def _moved(layer: Any, make: str) -> Twin:
    """A module that wants the channels second."""
    if layer.channels_last:
        return Twin(f"layer = {make}", "layer(x.movedim(-1, 1)).movedim(1, -1)")
    return Twin(f"layer = {make}", "layer(x)")


def _names(at: At) -> list[str]:
    return list(string.ascii_lowercase[: len(at.inputs)])


# What is a line of its own in torch: what to make, and the call.
_PLAIN = {
    activations.LeakyReLU: ("layer = nn.LeakyReLU({layer.negative_slope})", "layer(x)"),
    activations.ELU: ("layer = nn.ELU({layer.alpha})", "layer(x)"),
    activations.Identity: ("layer = nn.Identity()", "layer(x)"),
    reshape.RepeatVector: ("", "x.unsqueeze(1).expand(-1, {layer.n}, -1)"),
    embedding.Embedding: ("layer = nn.Embedding({layer.input_dim}, {layer.output_dim})", "layer(x)"),
    dropout.AlphaDropout: ("layer = nn.AlphaDropout({layer.rate})", "layer(x)"),
    dropout.GaussianNoise: ("", "x + torch.randn_like(x) * {layer.stddev} if training else x"),
    dropout.GaussianDropout: (
        "",
        "x * (1 + torch.randn_like(x) * ({layer.rate} / (1 - {layer.rate})) ** 0.5) if training else x",
    ),
}


def _plain(layer: Any, at: At) -> Twin:
    make, call = next(_PLAIN[cls] for cls in type(layer).__mro__ if cls in _PLAIN)
    return Twin(make.format(layer=layer), call.format(layer=layer))


for _cls in _PLAIN:
    twin.register(_cls, _plain)

# Activations ----------------------------------------------------------------------------------------------------------

_ACTIVATIONS = {
    "linear": "", "relu": "nn.ReLU()", "relu6": "nn.ReLU6()", "elu": "nn.ELU()", "selu": "nn.SELU()",
    "celu": "nn.CELU()", "gelu": "nn.GELU()", "silu": "nn.SiLU()", "mish": "nn.Mish()", "hard_silu": "nn.Hardswish()",
    "sigmoid": "nn.Sigmoid()", "hard_sigmoid": "nn.Hardsigmoid()", "log_sigmoid": "nn.LogSigmoid()",
    "tanh": "nn.Tanh()", "hard_tanh": "nn.Hardtanh()", "tanh_shrink": "nn.Tanhshrink()",
    "hard_shrink": "nn.Hardshrink()", "soft_shrink": "nn.Softshrink()", "softplus": "nn.Softplus()",
    "softsign": "nn.Softsign()", "leaky_relu": "nn.LeakyReLU(0.2)", "softmax": "nn.Softmax({axis})",
    "log_softmax": "nn.LogSoftmax({axis})",
}  # fmt: skip


class _NoTwin(Exception):
    pass


def _activated(layer: Any, axis: int = -1) -> str:
    """The module of the activation behind a layer; `axis` is where that has the channels."""
    name = getattr(layer.activation, "__name__", "")
    if name not in _ACTIVATIONS:
        raise _NoTwin(name)
    return _ACTIVATIONS[name].format(axis=axis)


def _with_activation(rule: Callable[[Any, At], Twin]) -> Callable[[Any, At], Twin]:
    @functools.wraps(rule)
    def wrapped(layer: Any, at: At) -> Twin:
        try:
            return rule(layer, at)
        except _NoTwin as missing:
            return _lacks(_SAID.activation, name=missing)

    return wrapped


@twin.register(activations.Activation)
@_with_activation
def _(layer: Any, at: At) -> Twin:
    return Twin(f"layer = {_activated(layer) or 'nn.Identity()'}", "layer(x)")


@twin.register
def _(layer: activations.ReLU, at: At) -> Twin:
    slope, least, most = layer.negative_slope, layer.threshold, layer.max_value
    if not slope and not least and most in (None, 6):
        return Twin("layer = nn.ReLU()" if most is None else "layer = nn.ReLU6()", "layer(x)")
    below = f"{slope} * (x - {least})" if least else f"{slope} * x"
    text = f"torch.where(x >= {least}, x, {below})"
    return Twin("", text if most is None else f"{text}.clamp(max={most})")


@twin.register
def _(layer: activations.PReLU, at: At) -> Twin:
    return Twin(f"alpha = torch.zeros({_sizes(layer.alpha)})", "torch.where(x > 0, x, alpha * x)")


@twin.register
def _(layer: activations.Softmax, at: At) -> Twin:
    if isinstance(layer.axis, int):
        return Twin(f"layer = nn.Softmax({layer.axis})", "layer(x)")
    return Twin("", f"torch.exp(x - torch.logsumexp(x, {tuple(layer.axis)}, keepdim=True))")


# Convolutions and pooling ---------------------------------------------------------------------------------------------


def _pads(layer: Any, at: At, windows: Iterable[tuple[Any, ...]]) -> list[tuple[int, int]] | None:
    """Pads before and after each axis; None where they depend on an unknown size."""
    found: list[tuple[int, int]] = []
    for n, (kernel, stride, padding, dilation) in zip(layer.spatial(at.inputs[0]), windows, strict=True):
        before, after = window.pads(n, kernel, stride, padding, dilation)
        if before is None or after is None:
            return None
        found.append((before, after))
    return found


def _padder(rank: int, pads: Sequence[tuple[int, int]], value: str = "0.0") -> str:
    """The module that pads, the last axis first as torch has it; empty where nothing is padded."""
    flat = [size for pair in reversed(pads) for size in pair]
    return f"nn.ConstantPad{rank}d({tuple(flat)}, {value})" if any(flat) else ""


def _convolution(layer: Any, at: At, inputs: int, outputs: int, groups: int, bias: bool) -> tuple[str, str] | None:
    """The modules that pad and convolve; None where the pads are unknown."""
    pads = _pads(layer, at, zip(*layer.windows(), strict=True))
    if pads is None:
        return None
    even = all(before == after for before, after in pads)
    module = _call(
        f"nn.Conv{layer.rank}d", inputs, outputs, _one(layer.kernel_size),
        stride=(_one(layer.strides), 1), padding=(_one([before for before, _ in pads]) if even else 0, 0),
        dilation=(_one(layer.dilation_rate), 1), groups=(groups, 1), bias=(bias, True),
    )  # fmt: skip
    return "" if even else _padder(layer.rank, pads), module


@twin.register
@_with_activation
def _(layer: convolution.Conv, at: At) -> Twin:
    channels = layer.channels(at.inputs[0])
    found = _convolution(layer, at, channels, layer.filters, layer.groups, layer.use_bias)
    return _moved(layer, _sequential(*found, _activated(layer, 1))) if found else _lacks(_SAID.unknown_size)


@twin.register
@_with_activation
def _(layer: convolution.DepthwiseConv, at: At) -> Twin:
    channels = layer.channels(at.inputs[0])
    found = _convolution(layer, at, channels, channels * layer.depth_multiplier, channels, layer.use_bias)
    return _moved(layer, _sequential(*found, _activated(layer, 1))) if found else _lacks(_SAID.unknown_size)


@twin.register
@_with_activation
def _(layer: convolution.SeparableConv, at: At) -> Twin:
    channels = layer.channels(at.inputs[0])
    between = channels * layer.depth_multiplier
    found = _convolution(layer, at, channels, between, channels, False)
    if not found:
        return _lacks(_SAID.unknown_size)
    mixing = _call(f"nn.Conv{layer.rank}d", between, layer.filters, 1, bias=(layer.use_bias, True))
    return _moved(layer, _sequential(*found, mixing, _activated(layer, 1)))


@twin.register
@_with_activation
def _(layer: convolution.ConvTranspose, at: At) -> Twin:
    extra = layer.output_padding or (None,) * len(layer.strides)
    each = [
        window.transposed_pads(kernel, stride, padding, more, dilation)
        for kernel, stride, padding, dilation, more in zip(*layer.windows(), extra, strict=True)
    ]
    own = all(0 <= before - after < max(s, d) for (before, after), s, d in zip(
        each, layer.strides, layer.dilation_rate, strict=True))  # fmt: skip
    module = _call(
        f"nn.ConvTranspose{layer.rank}d", layer.channels(at.inputs[0]), layer.filters, _one(layer.kernel_size),
        stride=(_one(layer.strides), 1), padding=(_one([before for before, _ in each]) if own else 0, 0),
        output_padding=(_one([before - after for before, after in each]) if own else 0, 0),
        bias=(layer.use_bias, True), dilation=(_one(layer.dilation_rate), 1),
    )  # fmt: skip
    cut = "" if own else _padder(layer.rank, [(-before, -after) for before, after in each])
    if not own and any(after < 0 for _, after in each):
        return _lacks(_SAID.output_padding)
    return _moved(layer, _sequential(module, cut, _activated(layer, 1)))


def _pooled(layer: Any, at: At, kind: str) -> Twin:
    ones = (1,) * layer.rank
    windows = zip(layer.pool_size, layer.strides, (layer.padding,) * layer.rank, ones, strict=True)
    pads = _pads(layer, at, windows)
    if pads is None:
        return _lacks(_SAID.unknown_size)
    even = all(before == after for before, after in pads)
    if kind == "Avg" and not even:
        return _lacks(_SAID.mean_padding)
    padding = _one([before for before, _ in pads]) if even else 0
    padded = kind == "Avg" and padding not in (0, "0")
    module = _call(
        f"nn.{kind}Pool{layer.rank}d", _one(layer.pool_size), stride=(_one(layer.strides), _one(layer.pool_size)),
        padding=(padding, 0), **({"count_include_pad": (False, True)} if padded else {}),
    )  # fmt: skip
    before = "" if even else _padder(layer.rank, pads, "-torch.inf")
    return _moved(layer, _sequential(before, module))


twin.register(pooling.MaxPooling, lambda layer, at: _pooled(layer, at, "Max"))
twin.register(pooling.AveragePooling, lambda layer, at: _pooled(layer, at, "Avg"))


def _spatial_axes(layer: Any) -> tuple[int, ...]:
    first = 1 if layer.channels_last else 2
    return tuple(range(first, first + layer.rank))


def _reduced(layer: Any, name: str) -> Twin:
    axes = _spatial_axes(layer)
    return Twin("", _call(f"x.{name}", axes[0] if len(axes) == 1 else axes, keepdim=(layer.keepdims, False)))


twin.register(pooling.GlobalMaxPooling, lambda layer, at: _reduced(layer, "amax"))
twin.register(pooling.GlobalAveragePooling, lambda layer, at: _reduced(layer, "mean"))


@twin.register
def _(layer: pooling.AdaptiveMaxPooling, at: At) -> Twin:
    return _moved(layer, f"nn.AdaptiveMaxPool{layer.rank}d({_one(layer.output_size)})")


@twin.register
def _(layer: pooling.AdaptiveAveragePooling, at: At) -> Twin:
    return _moved(layer, f"nn.AdaptiveAvgPool{layer.rank}d({_one(layer.output_size)})")


# Shapes ---------------------------------------------------------------------------------------------------------------


@twin.register
def _(layer: reshape.ZeroPadding, at: At) -> Twin:
    return _moved(layer, _padder(layer.rank, layer.padding) or "nn.Identity()")


@twin.register(reshape._Cropping)
def _(layer: Any, at: At) -> Twin:
    cuts = [f"{before or ''}:{-after or ''}" for before, after in layer.cropping]
    lead = [":"] if layer.channels_last else [":", ":"]
    return Twin("", f"x[{', '.join([*lead, *cuts])}]")


@twin.register
def _(layer: reshape._UpSampling, at: At) -> Twin:
    mode = layer.interpolation
    if mode not in ("nearest", "bilinear"):
        return _lacks(_SAID.curve, name=mode)
    factors = tuple(layer._factors)
    return _moved(layer, _call("nn.Upsample", scale_factor=(factors, None), mode=(repr(mode), "'nearest'")))


@twin.register
def _(layer: reshape.Flatten, at: At) -> Twin:
    if len(at.inputs[0]) == 1:
        return Twin("", "x.unsqueeze(-1)")
    first = layer.data_format == "channels_first" and len(at.inputs[0]) > 2
    return Twin("layer = nn.Flatten()", "layer(x.movedim(1, -1))" if first else "layer(x)")


@twin.register
def _(layer: reshape.Reshape, at: At) -> Twin:
    return Twin("", f"x.reshape(len(x), {', '.join(map(str, layer.target_shape))})")


twin.register(reshape.Permute, lambda layer, at: Twin("", f"x.permute(0, {', '.join(map(str, layer.dims))})"))
# Dense ----------------------------------------------------------------------------------------------------------------


@twin.register
@_with_activation
def _(layer: dense.Dense, at: At) -> Twin:
    module = _call("nn.Linear", at.inputs[0][-1], layer.units, bias=(layer.use_bias, True))
    return Twin(f"layer = {_sequential(module, _activated(layer))}", "layer(x)")


@twin.register
@_with_activation
def _(layer: dense.EinsumDense, at: At) -> Twin:
    kernel, bias = layer.kernel, layer.bias
    make = [f"kernel = torch.randn({_sizes(kernel)})"]
    call = f'torch.einsum("{layer.equation}", x, kernel)'
    if bias is not None:
        make.append(f"bias = torch.zeros({_sizes(bias)})")
        call += " + bias"
    behind = _activated(layer)
    return Twin("\n".join(make), f"{behind}({call})" if behind else call)


# Recurrence -----------------------------------------------------------------------------------------------------------

_CELLS = {recurrent.LSTMCell: "LSTM", recurrent.GRUCell: "GRU", recurrent.SimpleRNNCell: "RNN"}


def _recurrent_module(cell: Any, features: Any, suffix: str = "", **words: tuple[Any, Any]) -> str | None:
    """The module for a cell's arithmetic; None where torch has another one only."""
    kind = next((name for cls, name in _CELLS.items() if isinstance(cell, cls)), None)
    names = [getattr(cell, key, None) for key in ("activation", "recurrent_activation")]
    names = [getattr(function, "__name__", "") for function in names if function is not None]
    usual = names in (["tanh", "sigmoid"], ["tanh"]) or (kind == "RNN" and names == ["relu"])
    random = cell.dropout or cell.recurrent_dropout
    if kind is None or not usual or random or not getattr(cell, "reset_after", True):
        return None
    if names == ["relu"]:
        words["nonlinearity"] = ("'relu'", "")
    return _call(f"nn.{kind}{suffix}", features, cell.units, bias=(cell.use_bias, True), **words)


@twin.register
def _(layer: recurrent._Cell, at: At) -> Twin:
    module = _recurrent_module(layer, at.inputs[0][-1], "Cell")
    if module is None:
        return _lacks(_SAID.other_cell)
    states = _names(at)[1:]
    held = f"({', '.join(states)})" if len(states) > 1 else states[0]
    return Twin(f"layer = {module}", f"layer(a, {held})")


@twin.register
def _(layer: recurrent.RNN, at: At) -> Twin:
    if isinstance(layer.cell, recurrent.StackedRNNCells) or not isinstance(layer.cell, tuple(_CELLS)):
        return _lacks(_SAID.loop)
    module = _recurrent_module(layer.cell, at.inputs[0][-1], batch_first=(True, False))
    if module is None or layer.stateful:
        return _lacks(_SAID.other_cell) if module is None else _lacks(_SAID.hand_on)
    x = "x.flip(1)" if layer.go_backwards else "x"
    part = "" if layer.return_sequences else "[:, -1]"
    if not layer.return_state:
        return Twin(f"layer = {module}", f"layer({x})[0]{part}")
    several = isinstance(layer.cell, recurrent.LSTMCell)
    states = "(s[0][0], s[1][0])" if several else "(s[0],)"
    return Twin(f"layer = {module}", f"(lambda y, s: (y{part}, *{states}))(*layer({x}))")


_MERGES = {"sum": "{0} + {1}", "mul": "{0} * {1}", "ave": "({0} + {1}) / 2"}


@twin.register
def _(layer: wrappers.Bidirectional, at: At) -> Twin:
    one = layer.forward_layer
    fits = isinstance(one, recurrent.RNN) and isinstance(getattr(one, "cell", None), tuple(_CELLS))
    ways = (True, False)
    module = _recurrent_module(one.cell, at.inputs[0][-1], batch_first=ways, bidirectional=ways) if fits else None
    same = type(one) is type(layer.backward_layer) and not (one.return_state or one.stateful or one.go_backwards)
    if module is None or not same or layer.merge_mode not in ("concat", *_MERGES):
        return _lacks(_SAID.other_cell)
    u = one.cell.units
    halves = (f"y[..., :{u}]", f"y[..., {u}:]") if one.return_sequences else (f"y[:, -1, :{u}]", f"y[:, 0, {u}:]")
    if layer.merge_mode == "concat" and one.return_sequences:
        return Twin(f"layer = {module}", "layer(x)[0]")
    joined = "torch.cat([{0}, {1}], -1)" if layer.merge_mode == "concat" else _MERGES[layer.merge_mode]
    return Twin(f"layer = {module}", f"(lambda y: {joined.format(*halves)})(layer(x)[0])")


def _within(at: At) -> At:
    """What the layer inside a TimeDistributed is called on."""
    return At(tuple((s[0], *s[2:]) for s in at.inputs), tuple((s[0], *s[2:]) for s in at.outputs), at.language)


@twin.register
def _(layer: wrappers.TimeDistributed, at: At) -> Twin:
    inner = twin(layer.layer, _within(at))
    if inner.why is not None:
        return inner
    call = re.sub(r"\bx\b", "x.flatten(0, 1)", inner.call)
    return Twin(inner.make, f"({call}).unflatten(0, x.shape[:2])")


# Attention ------------------------------------------------------------------------------------------------------------


def _heads(layer: Any, at: At, names: Sequence[str], counts: tuple[int, int, int, int]) -> Twin:
    """Projections, heads side by side, and a projection of these.

    counts: heads of the query, heads of key and value, sizes of a key and of a value.
    """
    if layer.use_gate or layer.sliding_window is not None or len(at.inputs[0]) != 3 or len(at.outputs[0]) != 3:
        return _lacks(_SAID.heads)
    queries, others, size, value_size = counts
    query, value, key = names[0], names[1], names[2] if len(names) > 2 else names[1]
    features = dict(zip(names, (shape[-1] for shape in at.inputs), strict=True))
    bias = (layer.use_bias, True)
    make = [
        f"q = {_call('nn.Linear', features[query], queries * size, bias=bias)}",
        f"k = {_call('nn.Linear', features[key], others * size, bias=bias)}",
        f"v = {_call('nn.Linear', features[value], others * value_size, bias=bias)}",
        f"o = {_call('nn.Linear', queries * value_size, at.outputs[0][-1], bias=bias)}",
        "heads = lambda x, n: x.unflatten(-1, (n, -1)).transpose(1, 2)",
    ]
    shared = ", enable_gqa=True" if queries != others else ""
    call = (
        f"o(F.scaled_dot_product_attention(heads(q({query}), {queries}), heads(k({key}), {others}), "
        f"heads(v({value}), {others}){shared}).transpose(1, 2).flatten(2))"
    )
    return Twin("\n".join(make), call)


def _call_names(at: At) -> list[str]:
    names = _names(at)
    return names if len(names) > 1 else names * 2


@twin.register
def _(layer: attention.MultiHeadAttention, at: At) -> Twin:
    counts = layer.num_heads, layer.num_heads, layer.key_dim, layer.value_dim or layer.key_dim
    return _heads(layer, at, _call_names(at), counts)


@twin.register
def _(layer: attention.GroupedQueryAttention, at: At) -> Twin:
    counts = layer.num_query_heads, layer.num_key_value_heads, layer.head_dim, layer.head_dim
    return _heads(layer, at, _call_names(at), counts)


@twin.register
def _(layer: attention.Attention, at: At) -> Twin:
    names = _call_names(at)
    query, value, key = names[0], names[1], names[2] if len(names) > 2 else names[1]
    additive = isinstance(layer, attention.AdditiveAttention)
    if not additive and layer.score_mode == "dot":
        make, scale = ("scale = torch.ones(())", "scale * ") if layer.use_scale else ("", "")
        return Twin(make, f"torch.softmax({scale}({query} @ {key}.transpose(1, 2)), -1) @ {value}")
    sums = f"torch.tanh({query}.unsqueeze(2) + {key}.unsqueeze(1))"
    if additive:
        make = f"scale = torch.ones({at.inputs[0][-1]})" if layer.use_scale else ""
        scores = f"({'scale * ' * layer.use_scale}{sums}).sum(-1)"
    else:
        make = "scale = torch.ones(())\nweight = torch.ones(())" if layer.use_scale else "weight = torch.ones(())"
        inner = f"torch.tanh({'scale * ' * layer.use_scale}({query}.unsqueeze(2) + {key}.unsqueeze(1)))"
        scores = f"(weight * {inner}.sum(-1))"
    return Twin(make, f"torch.softmax({scores}, -1) @ {value}")


# Normalization --------------------------------------------------------------------------------------------------------


@twin.register
def _(layer: normalization.BatchNormalization, at: At) -> Twin:
    rank = len(at.inputs[0])
    if layer.center != layer.scale or layer.renorm or layer.axes is not None or rank > 5:
        return _lacks(_SAID.both) if layer.center != layer.scale else _lacks(_SAID.option)
    axis = layer.axis % rank
    module = _call(
        f"nn.BatchNorm{max(rank - 2, 1)}d", at.inputs[0][axis], eps=(layer.epsilon, 1e-05),
        momentum=(round(1 - layer.momentum, 10), 0.1), affine=(layer.center, True),
    )  # fmt: skip
    second = axis == 1
    return Twin(f"layer = {module}", "layer(x)" if second else f"layer(x.movedim({axis}, 1)).movedim(1, {axis})")


@twin.register(normalization.LayerNormalization)
@twin.register(normalization.RMSNormalization)
def _(layer: Any, at: At) -> Twin:
    rank, axes = len(at.inputs[0]), sorted(axis % len(at.inputs[0]) for axis in layer.normalized_axes())
    sizes = [at.inputs[0][axis] for axis in axes]
    shape = sizes[0] if len(sizes) == 1 else tuple(sizes)
    if isinstance(layer, normalization.RMSNormalization):
        module = _call("nn.RMSNorm", shape, eps=(layer.epsilon, None))
    else:
        if layer.rms_scaling or (layer.center and not layer.scale):
            return _lacks(_SAID.beta)
        words = {"bias": (False, True)} if layer.scale and not layer.center else {}
        affine = (layer.scale, True)
        module = _call("nn.LayerNorm", shape, eps=(layer.epsilon, 1e-05), elementwise_affine=affine, **words)
    if axes == [*range(rank - len(axes), rank)]:
        return Twin(f"layer = {module}", "layer(x)")
    ends = tuple(range(-len(axes), 0))
    return Twin(f"layer = {module}", f"layer(x.movedim({tuple(axes)}, {ends})).movedim({ends}, {tuple(axes)})")


@twin.register
def _(layer: normalization.GroupNormalization, at: At) -> Twin:
    if layer.center != layer.scale:
        return _lacks(_SAID.both)
    axis = layer.axis % len(at.inputs[0])
    channels = at.inputs[0][axis]
    groups = channels if layer.groups == -1 else layer.groups
    module = _call("nn.GroupNorm", groups, channels, eps=(layer.epsilon, 1e-05), affine=(layer.center, True))
    return Twin(f"layer = {module}", "layer(x)" if axis == 1 else f"layer(x.movedim({axis}, 1)).movedim(1, {axis})")


@twin.register
def _(layer: normalization.UnitNormalization, at: At) -> Twin:
    axes = layer.normalized_axes()
    return Twin("", f"F.normalize(x, dim={axes[0] if len(axes) == 1 else tuple(axes)}, eps=1e-06)")


@twin.register
def _(layer: normalization.SpectralNormalization, at: At) -> Twin:
    inner = twin(layer.layer, at)
    if inner.why is not None or not inner.make.startswith("layer = nn."):
        return inner
    made = inner.make.removeprefix("layer = ")
    return Twin(f"layer = nn.utils.parametrizations.spectral_norm({made})", inner.call)


# Noise ----------------------------------------------------------------------------------------------------------------


@twin.register
def _(layer: dropout.Dropout, at: At) -> Twin:
    if layer.noise_shape is not None:
        return Twin("", f"x * F.dropout(torch.ones({_noise(layer, at)}), {layer.rate}, training)")
    return Twin(f"layer = nn.Dropout({layer.rate})", "layer(x)")


def _noise(layer: Any, at: At) -> str:
    sizes = [f"x.shape[{axis}]" if size is None else str(size) for axis, size in enumerate(layer.noise_shape)]
    return ", ".join(sizes)


twin.register(dropout.SpatialDropout, lambda layer, at: _moved(layer, f"nn.Dropout{layer.rank}d({layer.rate})"))
# Preparing data -------------------------------------------------------------------------------------------------------


@twin.register
def _(layer: features.Rescaling, at: At) -> Twin:
    plain = not any(isinstance(number, list) for number in (layer.scale, layer.offset))
    if plain:
        return Twin("", f"x * {layer.scale} + {layer.offset}")
    return Twin(f"scale, offset = torch.tensor({layer.scale}), torch.tensor({layer.offset})", "x * scale + offset")


@twin.register
def _(layer: features.CategoryEncoding, at: At) -> Twin:
    encoded = f"F.one_hot(x, {layer.num_tokens})"
    behind = {"multi_hot": ".amax(-2)", "count": ".sum(-2)"}.get(layer.output_mode, "")
    flat = len(at.inputs[0]) > 1 and at.inputs[0][-1] == 1 and layer.output_mode == "one_hot"
    return Twin("", f"{encoded}{'.squeeze(-2)' if flat else behind}")


@twin.register
def _(layer: features.Discretization, at: At) -> Twin:
    if layer.output_mode != "int" or not layer.bin_boundaries:
        return _lacks(_SAID.buckets)
    edges = list(layer.bin_boundaries)
    return Twin(f"edges = torch.tensor({edges})", "torch.bucketize(x, edges, right=True)")


@twin.register
def _(layer: features.Normalization, at: At) -> Twin:
    turned = "x * deviation + mean" if layer.invert else "(x - mean) / deviation"
    return _lacks(_SAID.statistics, name=turned)


# Merging --------------------------------------------------------------------------------------------------------------


def _folded(at: At, sign: str) -> str:
    names = _names(at)
    if sign[0].isalpha():
        return functools.reduce(lambda left, right: f"{sign}({left}, {right})", names)
    return f" {sign} ".join(names)


@twin.register
def _(layer: merge.Merge, at: At) -> Twin:
    if len({len(shape) for shape in at.inputs}) > 1:
        return _lacks(_SAID.ranks)
    signs = {
        merge.Add: "+", merge.Subtract: "-", merge.Multiply: "*", merge.Average: "+",
        merge.Maximum: "torch.maximum", merge.Minimum: "torch.minimum",
    }  # fmt: skip
    sign = next((sign for cls, sign in signs.items() if isinstance(layer, cls)), None)
    if sign is None:
        return _lacks(_SAID.expression)
    text = _folded(at, sign)
    return Twin("", f"({text}) / {len(at.inputs)}" if isinstance(layer, merge.Average) else text)


twin.register(merge.Concatenate, lambda layer, at: Twin("", f"torch.cat([{', '.join(_names(at))}], {layer.axis})"))


@twin.register
def _(layer: merge.Dot, at: At) -> Twin:
    one, other = at.inputs
    axes = (layer.axes,) * 2 if isinstance(layer.axes, int) else layer.axes
    i, j = axes[0] % len(one), axes[1] % len(other)
    first = string.ascii_lowercase[: len(one)]
    second = first[0] + string.ascii_uppercase[1 : len(other)]
    second = second[:j] + first[i] + second[j + 1 :]
    rest = first[0] + (first[1:i] + first[i + 1 :]) + (second[1:j] + second[j + 1 :])
    names = [f"F.normalize({n}, dim={axis})" if layer.normalize else n for n, axis in zip("ab", (i, j), strict=True)]
    text = f'torch.einsum("{first},{second}->{rest}", {", ".join(names)})'
    return Twin("", text if len(rest) > 1 else f"{text}.unsqueeze(-1)")
