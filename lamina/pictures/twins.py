"""The module or function of torch that does what a layer does, as code that runs."""

from __future__ import annotations

import functools
import inspect
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from .. import layers
from ..kernels import window
from ..layers import attention, convolution, dropout, merge, pooling, recurrent, reshape
from .field import windows_of
from .said import Language, Said, data, sentences
from .scenes.kinds import At


@dataclass(frozen=True)
class Twin:
    """Code of torch: statements that make what is needed, and an expression of the inputs.

    The input is `x`, several are `a`, `b`, `c`, ... Without code, `why` says what torch lacks.
    """

    make: str = ""
    call: str = "layer(x)"
    why: Said | None = None
    values: Mapping[str, Any] = field(default_factory=dict)  # that `why` names

    def text(self, language: Language) -> str:
        """The code, or why there is none."""
        return f"{self.make}\ny = {self.call}".strip() if self.why is None else self.why(language, **self.values)


_SAID = sentences("twins")


class _Lacks(Exception):
    """There is no code, for a reason in each language."""

    def __init__(self, why: Sequence[str], frame: Said = _SAID.no_twin, **values: Any):
        super().__init__(why)
        self.why = Said(*(text.replace("{why}", part) for text, part in zip(frame, why, strict=True)))
        self.values = values


def twin(layer: Any, at: At) -> Twin:
    """The twin of a built layer for a call."""
    try:
        if getattr(layer, "quantization_mode", None) is not None:
            raise _Lacks(_SAID.nothing)
        return _twin(layer, at)
    except _Lacks as lacks:
        return Twin(why=lacks.why, values=lacks.values)


@functools.singledispatch
def _twin(layer: Any, at: At) -> Twin:
    """A rule for each kind of layer. Raises _Lacks where torch has no such thing."""
    library = _SAID.elsewhere.of(layer)
    raise _Lacks((library, library), _SAID.not_in_torch) if library else _Lacks(_SAID.lacks.of(layer) or _SAID.nothing)


def _one(values: Sequence[Any]) -> str:
    """Sizes: one number where all are the same."""
    return str(values[0]) if len({*values}) == 1 else str(tuple(values))


def _sizes(weight: Any) -> str:
    return ", ".join(map(str, weight.shape))


def _module(name: str, *positional: Any, **words: Any) -> str:
    """A module of torch.nn as code: of the words, sizes among them, those that are no defaults of its."""
    given = [*map(str, positional)]
    for key, value in words.items():
        text = _one(value) if isinstance(value, tuple) else repr(value)
        given += [f"{key}={text}"] if text != repr(_default(name, key)) else []
    return f"nn.{name}({', '.join(given)})"


def _default(name: str, word: str) -> Any:
    """What a module takes where a word is not given: nn.LSTM and its like leave that to the class above."""
    known = (inspect.signature(cls).parameters for cls in getattr(nn, name).__mro__)
    return next((words[word].default for words in known if word in words), inspect.Parameter.empty)


def _sequential(*modules: str) -> str:
    modules = tuple(filter(None, modules))
    return modules[0] if len(modules) == 1 else f"nn.Sequential({', '.join(modules)})"


def _second(make: str, axis: int) -> Twin:
    """A module that wants this axis second."""
    return Twin(f"layer = {make}", "layer(x)" if axis == 1 else f"layer(x.movedim({axis}, 1)).movedim(1, {axis})")


def _moved(layer: Any, *modules: str) -> Twin:
    """Modules, one after another, that want the channels second."""
    return _second(_sequential(*modules), -1 if layer.channels_last else 1)


def _names(at: At) -> list[str]:
    return list(string.ascii_lowercase[: len(at.inputs)])


# What is a line of its own in torch: what to make, and the call; and the modules of activations.
_PLAIN, _ACTIVATIONS = data("twins.json").values()


def _plain(layer: Any, at: At) -> Twin:
    make, call = next(_PLAIN[cls.__name__] for cls in type(layer).__mro__ if cls.__name__ in _PLAIN)
    return Twin(make.format(layer=layer), call.format(layer=layer))


for _name in _PLAIN:
    _twin.register(getattr(layers, _name), _plain)

# Activations ----------------------------------------------------------------------------------------------------------


def _activated(layer: Any, axis: int = -1) -> str:
    """The module of the activation behind a layer; `axis` is where that has the channels."""
    name = getattr(layer.activation, "__name__", "")
    if name not in _ACTIVATIONS:
        raise _Lacks(_SAID.activation, name=name)
    return _ACTIVATIONS[name].format(axis=axis)


@_twin.register
def _(layer: layers.Activation, at: At) -> Twin:
    return Twin(f"layer = {_activated(layer) or 'nn.Identity()'}")


@_twin.register
def _(layer: layers.ReLU, at: At) -> Twin:
    slope, least, most = layer.negative_slope, layer.threshold, layer.max_value
    if not slope and not least and most in (None, 6):
        return Twin("layer = nn.ReLU()" if most is None else "layer = nn.ReLU6()")
    below = f"{slope} * (x - {least})" if least else f"{slope} * x"
    text = f"torch.where(x >= {least}, x, {below})"
    return Twin("", text if most is None else f"{text}.clamp(max={most})")


@_twin.register
def _(layer: layers.PReLU, at: At) -> Twin:
    return Twin(f"alpha = torch.zeros({_sizes(layer.alpha)})", "torch.where(x > 0, x, alpha * x)")


@_twin.register
def _(layer: layers.Softmax, at: At) -> Twin:
    if isinstance(layer.axis, int):
        return Twin(f"layer = nn.Softmax({layer.axis})")
    return Twin("", f"torch.exp(x - torch.logsumexp(x, {tuple(layer.axis)}, keepdim=True))")


# Convolutions and pooling ---------------------------------------------------------------------------------------------


def _padder(rank: int, pads: Sequence[tuple[int, int]], value: str = "0.0") -> str:
    """The module that pads, the last axis first as torch has it; empty where nothing is padded."""
    flat = [size for pair in reversed(pads) for size in pair]
    return f"nn.ConstantPad{rank}d({tuple(flat)}, {value})" if any(flat) else ""


def _padded(layer: Any, at: At, value: str = "0.0") -> tuple[str, tuple[int, ...]]:
    """The module that pads unevenly, where one has to, and else the pads that a module of windows adds itself."""
    pads: list[Any] = [window.pads(*axis) for axis in zip(layer.spatial(at.inputs[0]), *windows_of(layer), strict=True)]
    if any(None in pair for pair in pads):
        raise _Lacks(_SAID.unknown_size)
    if all(before == after for before, after in pads):
        return "", tuple(before for before, _ in pads)
    return _padder(layer.rank, pads, value), (0,) * layer.rank


@_twin.register
def _(layer: convolution._Convolution, at: At) -> Twin:
    """A depthwise one has a group for each channel, a separable one mixes what this gives by windows of one place."""
    channels, separable = layer.channels(at.inputs[0]), isinstance(layer, convolution.SeparableConv)
    plain = isinstance(layer, convolution.Conv)
    outputs, groups = (layer.filters, layer.groups) if plain else (channels * layer.depth_multiplier, channels)
    before, padding = _padded(layer, at)
    found = _module(
        f"Conv{layer.rank}d", channels, outputs, _one(layer.kernel_size), stride=layer.strides, padding=padding,
        dilation=layer.dilation_rate, groups=groups, bias=layer.use_bias and not separable,
    )  # fmt: skip
    mixing = _module(f"Conv{layer.rank}d", outputs, layer.filters, 1, bias=layer.use_bias) if separable else ""
    return _moved(layer, before, found, mixing, _activated(layer, 1))


@_twin.register
def _(layer: convolution.ConvTranspose, at: At) -> Twin:
    extra = layer.output_padding or (None,) * len(layer.strides)
    each = [
        window.transposed_pads(kernel, stride, padding, more, dilation)
        for kernel, stride, padding, dilation, more in zip(*layer.windows(), extra, strict=True)
    ]
    most = map(max, layer.strides, layer.dilation_rate)
    own = all(0 <= before - after < limit for (before, after), limit in zip(each, most, strict=True))
    if not own and any(after < 0 for _, after in each):
        raise _Lacks(_SAID.output_padding)
    module = _module(
        f"ConvTranspose{layer.rank}d", layer.channels(at.inputs[0]), layer.filters, _one(layer.kernel_size),
        stride=layer.strides, padding=tuple(before * own for before, _ in each),
        output_padding=tuple((before - after) * own for before, after in each), bias=layer.use_bias,
        dilation=layer.dilation_rate,
    )  # fmt: skip
    cut = "" if own else _padder(layer.rank, [(-before, -after) for before, after in each])
    return _moved(layer, module, cut, _activated(layer, 1))


def _pooled(layer: Any, at: At, kind: str) -> Twin:
    before, padding = _padded(layer, at, "-torch.inf")
    if kind == "Avg" and before:
        raise _Lacks(_SAID.mean_padding)
    counted = {"count_include_pad": False} if kind == "Avg" and any(padding) else {}
    stride = None if layer.strides == layer.pool_size else layer.strides
    module = _module(f"{kind}Pool{layer.rank}d", _one(layer.pool_size), stride=stride, padding=padding, **counted)
    return _moved(layer, before, module)


_twin.register(pooling.MaxPooling, lambda layer, at: _pooled(layer, at, "Max"))
_twin.register(pooling.AveragePooling, lambda layer, at: _pooled(layer, at, "Avg"))


def _reduced(layer: Any, name: str) -> Twin:
    first = 1 if layer.channels_last else 2
    axes = first if layer.rank == 1 else tuple(range(first, first + layer.rank))
    return Twin("", f"x.{name}({axes}{', keepdim=True' if layer.keepdims else ''})")


_twin.register(pooling.GlobalMaxPooling, lambda layer, at: _reduced(layer, "amax"))
_twin.register(pooling.GlobalAveragePooling, lambda layer, at: _reduced(layer, "mean"))


@_twin.register
def _(layer: pooling._AdaptivePooling, at: At) -> Twin:
    kind = "Max" if isinstance(layer, pooling.AdaptiveMaxPooling) else "Avg"
    return _moved(layer, f"nn.Adaptive{kind}Pool{layer.rank}d({_one(layer.output_size)})")


# Shapes ---------------------------------------------------------------------------------------------------------------


@_twin.register
def _(layer: reshape.ZeroPadding, at: At) -> Twin:
    return _moved(layer, _padder(layer.rank, layer.padding) or "nn.Identity()")


@_twin.register(reshape._Cropping)
def _(layer: Any, at: At) -> Twin:
    cuts = [f"{before or ''}:{-after or ''}" for before, after in layer.cropping]
    lead = [":"] if layer.channels_last else [":", ":"]
    return Twin("", f"x[{', '.join([*lead, *cuts])}]")


@_twin.register
def _(layer: reshape._UpSampling, at: At) -> Twin:
    mode = layer.interpolation
    if mode not in ("nearest", "bilinear"):
        raise _Lacks(_SAID.curve, name=mode)
    curve = "" if mode == "nearest" else f", mode={mode!r}"
    return _moved(layer, f"nn.Upsample(scale_factor={tuple(layer._factors)}{curve})")


@_twin.register
def _(layer: layers.Flatten, at: At) -> Twin:
    if len(at.inputs[0]) == 1:
        return Twin("", "x.unsqueeze(-1)")
    first = layer.data_format == "channels_first" and len(at.inputs[0]) > 2
    return Twin("layer = nn.Flatten()", "layer(x.movedim(1, -1))" if first else "layer(x)")


@_twin.register
def _(layer: layers.Reshape, at: At) -> Twin:
    return Twin("", f"x.reshape(len(x), {', '.join(map(str, layer.target_shape))})")


_twin.register(layers.Permute, lambda layer, at: Twin("", f"x.permute(0, {', '.join(map(str, layer.dims))})"))
# Dense ----------------------------------------------------------------------------------------------------------------


@_twin.register
def _(layer: layers.Dense, at: At) -> Twin:
    module = _module("Linear", at.inputs[0][-1], layer.units, bias=layer.use_bias)
    return Twin(f"layer = {_sequential(module, _activated(layer))}")


@_twin.register
def _(layer: layers.EinsumDense, at: At) -> Twin:
    make, call = f"kernel = torch.randn({_sizes(layer.kernel)})", f'torch.einsum("{layer.equation}", x, kernel)'
    if layer.bias is not None:
        make, call = f"{make}\nbias = torch.zeros({_sizes(layer.bias)})", f"{call} + bias"
    behind = _activated(layer)
    return Twin(make, f"{behind}({call})" if behind else call)


# Recurrence -----------------------------------------------------------------------------------------------------------

_CELLS = {layers.LSTMCell: "LSTM", layers.GRUCell: "GRU", layers.SimpleRNNCell: "RNN"}


def _recurrent_module(cell: Any, features: Any, suffix: str = "", **words: Any) -> str:
    """The module for a cell's arithmetic."""
    kind = next((name for cls, name in _CELLS.items() if isinstance(cell, cls)), None)
    names = [getattr(cell, key, None) for key in ("activation", "recurrent_activation")]
    names = [getattr(function, "__name__", "") for function in names if function is not None]
    usual = names in (["tanh", "sigmoid"], ["tanh"]) or (kind == "RNN" and names == ["relu"])
    random = cell.dropout or cell.recurrent_dropout
    if kind is None or not usual or random or not getattr(cell, "reset_after", True):
        raise _Lacks(_SAID.other_cell)
    if names == ["relu"]:
        words["nonlinearity"] = "relu"
    return _module(kind + suffix, features, cell.units, bias=cell.use_bias, **words)


@_twin.register
def _(layer: recurrent._Cell, at: At) -> Twin:
    module = _recurrent_module(layer, at.inputs[0][-1], "Cell")
    states = _names(at)[1:]
    held = f"({', '.join(states)})" if len(states) > 1 else states[0]
    return Twin(f"layer = {module}", f"layer(a, {held})")


@_twin.register
def _(layer: layers.RNN, at: At) -> Twin:
    if isinstance(layer.cell, layers.StackedRNNCells) or not isinstance(layer.cell, tuple(_CELLS)):
        raise _Lacks(_SAID.loop)
    module = _recurrent_module(layer.cell, at.inputs[0][-1], batch_first=True)
    if layer.stateful:
        raise _Lacks(_SAID.hand_on)
    x = "x.flip(1)" if layer.go_backwards else "x"
    part = "" if layer.return_sequences else "[:, -1]"
    if not layer.return_state:
        return Twin(f"layer = {module}", f"layer({x})[0]{part}")
    several = isinstance(layer.cell, layers.LSTMCell)
    states = "(s[0][0], s[1][0])" if several else "(s[0],)"
    return Twin(f"layer = {module}", f"(lambda y, s: (y{part}, *{states}))(*layer({x}))")


_MERGES = {"concat": "torch.cat([{0}, {1}], -1)", "sum": "{0} + {1}", "mul": "{0} * {1}", "ave": "({0} + {1}) / 2"}


@_twin.register
def _(layer: layers.Bidirectional, at: At) -> Twin:
    one, other = layer.forward_layer, layer.backward_layer
    fits = isinstance(one, layers.RNN) and isinstance(getattr(one, "cell", None), tuple(_CELLS))
    plain = fits and type(one) is type(other) and not (one.return_state or one.stateful or one.go_backwards)
    if not plain or layer.merge_mode not in _MERGES:
        raise _Lacks(_SAID.other_cell)
    module = _recurrent_module(one.cell, at.inputs[0][-1], batch_first=True, bidirectional=True)
    u = one.cell.units
    halves = (f"y[..., :{u}]", f"y[..., {u}:]") if one.return_sequences else (f"y[:, -1, :{u}]", f"y[:, 0, {u}:]")
    if layer.merge_mode == "concat" and one.return_sequences:
        return Twin(f"layer = {module}", "layer(x)[0]")
    return Twin(f"layer = {module}", f"(lambda y: {_MERGES[layer.merge_mode].format(*halves)})(layer(x)[0])")


@_twin.register
def _(layer: layers.TimeDistributed, at: At) -> Twin:
    inner = _twin(layer.layer, at.of_a_step())
    call = re.sub(r"\bx\b", "x.flatten(0, 1)", inner.call)
    return Twin(inner.make, f"({call}).unflatten(0, x.shape[:2])")


# Attention ------------------------------------------------------------------------------------------------------------


def _operands(at: At) -> tuple[str, str, str]:
    """The names of query, value and key: a layer that is called on one tensor attends to it."""
    names = _names(at) if len(at.inputs) > 1 else _names(at) * 2
    return names[0], names[1], names[2] if len(names) > 2 else names[1]


@_twin.register
def _(layer: attention._Projected, at: At) -> Twin:
    """Projections, heads side by side, and a projection of these."""
    if layer.use_gate or layer.sliding_window is not None or len(at.inputs[0]) != 3 or len(at.outputs[0]) != 3:
        raise _Lacks(_SAID.heads)
    (queries, size), (others, value_size) = (
        dense.kernel.shape[-2:] for dense in (layer._query_dense, layer._value_dense)
    )
    query, value, key = _operands(at)
    features = dict(zip(_names(at), (shape[-1] for shape in at.inputs), strict=True))

    def projection(inputs: Any, outputs: Any) -> str:
        return _module("Linear", inputs, outputs, bias=layer.use_bias)

    make = [
        f"q = {projection(features[query], queries * size)}",
        f"k = {projection(features[key], others * size)}",
        f"v = {projection(features[value], others * value_size)}",
        f"o = {projection(queries * value_size, at.outputs[0][-1])}",
        "heads = lambda x, n: x.unflatten(-1, (n, -1)).transpose(1, 2)",
    ]
    shared = ", enable_gqa=True" if queries != others else ""
    call = (
        f"o(F.scaled_dot_product_attention(heads(q({query}), {queries}), heads(k({key}), {others}), "
        f"heads(v({value}), {others}){shared}).transpose(1, 2).flatten(2))"
    )
    return Twin("\n".join(make), call)


@_twin.register
def _(layer: layers.Attention, at: At) -> Twin:
    query, value, key = _operands(at)
    make, scale = ("scale = torch.ones(())", "scale * ") if layer.use_scale else ("", "")
    both = f"{query}.unsqueeze(2) + {key}.unsqueeze(1)"
    if isinstance(layer, layers.AdditiveAttention):
        make = f"scale = torch.ones({at.inputs[0][-1]})" if layer.use_scale else ""
        scores = f"({scale}torch.tanh({both})).sum(-1)"
    elif layer.score_mode == "dot":
        scores = f"{scale}({query} @ {key}.transpose(1, 2))"
    else:
        make = f"{make}\nweight = torch.ones(())".strip()
        inner = f"{scale}({both})"
        scores = f"(weight * torch.tanh({inner}).sum(-1))"
    return Twin(make, f"torch.softmax({scores}, -1) @ {value}")


# Normalization --------------------------------------------------------------------------------------------------------


@_twin.register
def _(layer: layers.BatchNormalization, at: At) -> Twin:
    rank = len(at.inputs[0])
    if layer.center != layer.scale or layer.renorm or layer.axes is not None or rank > 5:
        raise _Lacks(_SAID.both if layer.center != layer.scale else _SAID.option)
    axis, momentum = layer.axis % rank, round(1 - layer.momentum, 10)
    channels, options = at.inputs[0][axis], {"eps": layer.epsilon, "momentum": momentum, "affine": layer.center}
    return _second(_module(f"BatchNorm{max(rank - 2, 1)}d", channels, **options), axis)


@_twin.register(layers.LayerNormalization)
@_twin.register(layers.RMSNormalization)
def _(layer: Any, at: At) -> Twin:
    rank, axes = len(at.inputs[0]), sorted(axis % len(at.inputs[0]) for axis in layer.normalized_axes())
    sizes = [at.inputs[0][axis] for axis in axes]
    shape = sizes[0] if len(sizes) == 1 else tuple(sizes)
    if isinstance(layer, layers.RMSNormalization):
        module = _module("RMSNorm", shape, eps=layer.epsilon)
    else:
        if layer.rms_scaling or (layer.center and not layer.scale):
            raise _Lacks(_SAID.beta)
        affine = {"elementwise_affine": layer.scale, "bias": layer.center or not layer.scale}
        module = _module("LayerNorm", shape, eps=layer.epsilon, **affine)
    if axes == [*range(rank - len(axes), rank)]:
        return Twin(f"layer = {module}")
    ends = tuple(range(-len(axes), 0))
    return Twin(f"layer = {module}", f"layer(x.movedim({tuple(axes)}, {ends})).movedim({ends}, {tuple(axes)})")


@_twin.register
def _(layer: layers.GroupNormalization, at: At) -> Twin:
    if layer.center != layer.scale:
        raise _Lacks(_SAID.both)
    axis = layer.axis % len(at.inputs[0])
    channels = at.inputs[0][axis]
    groups = channels if layer.groups == -1 else layer.groups
    return _second(_module("GroupNorm", groups, channels, eps=layer.epsilon, affine=layer.center), axis)


@_twin.register
def _(layer: layers.UnitNormalization, at: At) -> Twin:
    axes = layer.normalized_axes()
    return Twin("", f"F.normalize(x, dim={axes[0] if len(axes) == 1 else tuple(axes)}, eps=1e-06)")


@_twin.register
def _(layer: layers.SpectralNormalization, at: At) -> Twin:
    inner = _twin(layer.layer, at)
    if not inner.make.startswith("layer = nn."):
        return inner
    made = inner.make.removeprefix("layer = ")
    return Twin(f"layer = nn.utils.parametrizations.spectral_norm({made})", inner.call)


# Noise ----------------------------------------------------------------------------------------------------------------


@_twin.register
def _(layer: layers.Dropout, at: At) -> Twin:
    if layer.noise_shape is None:
        return Twin(f"layer = nn.Dropout({layer.rate})")
    sizes = [f"x.shape[{axis}]" if size is None else str(size) for axis, size in enumerate(layer.noise_shape)]
    return Twin("", f"x * F.dropout(torch.ones({', '.join(sizes)}), {layer.rate}, training)")


_twin.register(layers.AlphaDropout, lambda layer, at: Twin(f"layer = nn.AlphaDropout({layer.rate})"))
_twin.register(dropout.SpatialDropout, lambda layer, at: _moved(layer, f"nn.Dropout{layer.rank}d({layer.rate})"))
# Preparing data -------------------------------------------------------------------------------------------------------


@_twin.register
def _(layer: layers.Rescaling, at: At) -> Twin:
    if not any(isinstance(number, list) for number in (layer.scale, layer.offset)):
        return Twin("", f"x * {layer.scale} + {layer.offset}")
    return Twin(f"scale, offset = torch.tensor({layer.scale}), torch.tensor({layer.offset})", "x * scale + offset")


@_twin.register
def _(layer: layers.CategoryEncoding, at: At) -> Twin:
    encoded = f"F.one_hot(x, {layer.num_tokens})"
    behind = {"multi_hot": ".amax(-2)", "count": ".sum(-2)"}.get(layer.output_mode, "")
    flat = len(at.inputs[0]) > 1 and at.inputs[0][-1] == 1 and layer.output_mode == "one_hot"
    return Twin("", f"{encoded}{'.squeeze(-2)' if flat else behind}")


@_twin.register
def _(layer: layers.Discretization, at: At) -> Twin:
    if layer.output_mode != "int" or not layer.bin_boundaries:
        raise _Lacks(_SAID.buckets)
    return Twin(f"edges = torch.tensor({[*layer.bin_boundaries]})", "torch.bucketize(x, edges, right=True)")


@_twin.register
def _(layer: layers.Normalization, at: At) -> Twin:
    raise _Lacks(_SAID.statistics, name="x * deviation + mean" if layer.invert else "(x - mean) / deviation")


# Merging --------------------------------------------------------------------------------------------------------------

_SIGNS = {layers.Add: " + ", layers.Subtract: " - ", layers.Multiply: " * ", layers.Average: " + "}
_FUNCTIONS = {layers.Maximum: "torch.maximum", layers.Minimum: "torch.minimum"}


@_twin.register
def _(layer: merge.Merge, at: At) -> Twin:
    if len({len(shape) for shape in at.inputs}) > 1:
        raise _Lacks(_SAID.ranks)
    names, kind = _names(at), next((cls for cls in (*_SIGNS, *_FUNCTIONS) if isinstance(layer, cls)), None)
    if kind is None:
        raise _Lacks(_SAID.expression)
    if kind in _FUNCTIONS:
        return Twin("", functools.reduce(lambda left, right: f"{_FUNCTIONS[kind]}({left}, {right})", names))
    text = _SIGNS[kind].join(names)
    return Twin("", f"({text}) / {len(names)}" if kind is layers.Average else text)


_twin.register(layers.Concatenate, lambda layer, at: Twin("", f"torch.cat([{', '.join(_names(at))}], {layer.axis})"))


@_twin.register
def _(layer: layers.Dot, at: At) -> Twin:
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
