"""How the sizes of a layer's output come about, with the numbers put in."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from ..core.errors import axis_names
from ..kernels import window
from ..layers import (
    attention,
    convolution,
    convolutional_recurrent,
    dense,
    embedding,
    merge,
    pooling,
    recurrent,
    reshape,
    wrappers,
)
from ..layers.local import LocallyConnected
from .field import windows_of
from .said import Language, sentences
from .scenes.kinds import At, Shape

_SAID = sentences("formulas")


def shapes(at: At) -> str:
    def one(shape: Shape) -> str:
        return f"({', '.join(['batch', *('?' if size is None else str(size) for size in shape[1:])])})"

    return f"{', '.join(map(one, at.inputs))} -> {', '.join(map(one, at.outputs))}"


def by(sizes: Iterable[Any]) -> str:
    """Sizes as a product."""
    return " x ".join(map(str, sizes))


@functools.singledispatch
def formula(layer: Any, at: At) -> list[str]:
    """How the sizes of the output come about, with the numbers put in; nothing where it is as large as the input."""
    return []


Sizes = list[tuple[int | None, int | None]]  # of each spatial axis, before and after


def _sizes(layer: Any, at: At) -> Sizes:
    return [*zip(layer.spatial(at.inputs[0]), layer.spatial(at.outputs[0]), strict=True)]


def _by_axis(at: At, sizes: Sizes, line: Callable[[int, int | None, int | None], str]) -> list[str]:
    """`line(axis, before, after)` for each spatial axis; equal ones are written once."""
    names = [_SAID.axes[word](at.language) for word in axis_names(len(sizes) + 2, "channels_last")[1:-1]]
    lines = [line(axis, n, m) for axis, (n, m) in enumerate(sizes)]
    if len({*lines}) == 1:
        names, lines = [", ".join(names)], lines[:1]
    return [_SAID.on_axis(at.language, name=name, text=text) for name, text in zip(names, lines, strict=True)]


def _n(size: int | None) -> str:
    return "n" if size is None else str(size)


def _result(size: int | None) -> str:
    return "" if size is None else f" = {size}"


def window_formula(
    n: int | None, window_of: tuple[int, int, Any, int], result: int | None, language: Language = "en"
) -> str:
    """Positions of a window (kernel, stride, padding, dilation) along an axis of `n`, as `output_size` counts them."""
    kernel, stride, padding, dilation = window_of
    if padding == "same":
        before, after = window.pads(n, kernel, stride, padding, dilation)
        padded = "" if before is None else _SAID.padded(language, before=before, after=after)
        return (f"ceil({_n(n)} / {stride})" if stride > 1 else _n(n)) + _result(result) * (stride > 1) + padded
    pads = sum(window.pads(n or 0, kernel, stride, padding, dilation))
    span = str(kernel) if dilation == 1 else f"{window.extent(kernel, dilation)}"
    told_span = "" if dilation == 1 else f"  ({span} = ({kernel} - 1) x {dilation} + 1)"
    padded = f" + {pads}" if pads else ""
    return f"floor(({_n(n)}{padded} - {span}) / {stride}) + 1{_result(result)}{told_span}"


def transposed_formula(
    n: int | None, window_of: tuple[int, int, Any, int], output_padding: int | None, result: int | None
) -> str:
    """Size of an axis of `n` after a transposed convolution, as `kernels.window.transposed_size` counts it."""
    kernel, stride, padding, dilation = window_of
    dropped = sum(window.transposed_pads(kernel, stride, padding, output_padding, dilation))
    rest = f" - {dropped}" if dropped > 0 else f" + {-dropped}" if dropped else ""
    return f"({_n(n)} - 1) x {stride} + {window.extent(kernel, dilation)}{rest}{_result(result)}"


@formula.register(convolution._Convolution)
@formula.register(pooling._Pooling)
@formula.register(LocallyConnected)
def _(layer: Any, at: At) -> list[str]:
    each = [*zip(*windows_of(layer), strict=True)]
    return _by_axis(at, _sizes(layer, at), lambda axis, n, m: window_formula(n, each[axis], m, at.language))


@formula.register
def _(layer: convolution.ConvTranspose, at: At) -> list[str]:
    each = [*zip(*windows_of(layer), strict=True)]
    extra = layer.output_padding or (None,) * len(layer.strides)

    def line(axis: int, n: int | None, m: int | None) -> str:
        return transposed_formula(n, each[axis], extra[axis], m)

    return _by_axis(at, _sizes(layer, at), line)


@formula.register
def _(layer: convolutional_recurrent.ConvLSTM, at: At) -> list[str]:
    step = at.of_a_step()
    return formula(layer.cell, step._replace(outputs=(layer.cell.compute_output_shape(step.inputs[0]),)))


@formula.register
def _(layer: reshape.ZeroPadding, at: At) -> list[str]:
    def line(axis: int, n: int | None, m: int | None) -> str:
        before, after = layer.padding[axis]
        return f"{before} + {_n(n)} + {after}{_result(m)}"

    return _by_axis(at, _sizes(layer, at), line)


@formula.register(reshape._Cropping)
def _(layer: Any, at: At) -> list[str]:
    def line(axis: int, n: int | None, m: int | None) -> str:
        before, after = layer.cropping[axis]
        return f"{_n(n)} - {before} - {after}{_result(m)}"

    return _by_axis(at, _sizes(layer, at), line)


@formula.register
def _(layer: reshape._UpSampling, at: At) -> list[str]:
    return _by_axis(at, _sizes(layer, at), lambda axis, n, m: f"{_n(n)} x {layer._factors[axis]}{_result(m)}")


@formula.register
def _(layer: pooling._AdaptivePooling, at: At) -> list[str]:
    return _by_axis(at, _sizes(layer, at), lambda axis, n, m: _SAID.parts(at.language, n=_n(n), m=m))


@formula.register
def _(layer: pooling._GlobalPooling, at: At) -> list[str]:
    sizes: Sizes = [(n, 1) for n in layer.spatial(at.inputs[0])]
    return _by_axis(at, sizes, lambda axis, n, m: f"{_n(n)} -> {m}")


@formula.register(reshape.Flatten)
@formula.register(reshape.Reshape)
def _(layer: Any, at: At) -> list[str]:
    inputs, outputs = at.inputs[0][1:] or (1,), at.outputs[0][1:]
    return [f"{by(map(_n, inputs))} = {by(map(_n, outputs))}"] if None not in outputs else []


@formula.register
def _(layer: reshape.Permute, at: At) -> list[str]:
    sizes = at.inputs[0]
    return [", ".join(f"{place} <- {axis} ({_n(sizes[axis])})" for place, axis in enumerate(layer.dims, 1))]


@formula.register
def _(layer: reshape.RepeatVector, at: At) -> list[str]:
    return [f"{_n(at.inputs[0][1])} -> {layer.n} x {_n(at.inputs[0][1])}"]


@formula.register(dense.Dense)
def _(layer: Any, at: At) -> list[str]:
    return [_SAID.last_axis(at.language, text=f"{_n(at.inputs[0][-1])} -> {layer.units}")]


formula.register(dense.EinsumDense, lambda layer, at: [layer.equation])


@formula.register
def _(layer: embedding.Embedding, at: At) -> list[str]:
    return [f"{by(map(_n, at.inputs[0][1:]))} -> {by(map(_n, at.outputs[0][1:]))}"]


@formula.register
def _(layer: recurrent.RNN, at: At) -> list[str]:
    size = layer.state_size if isinstance(layer.state_size, int) else None
    steps, units = at.inputs[0][1], at.outputs[0][-1] if size is None else size
    outputs = f"{_n(steps)} x {_n(units)}" if layer.return_sequences else _n(units)
    return [_SAID.steps(at.language, text=f"{_n(steps)} x {_n(at.inputs[0][-1])} -> {outputs}")]


@formula.register
def _(layer: wrappers.Bidirectional, at: At) -> list[str]:
    size = at.outputs[0][-1]
    return [f"{size // 2} + {size // 2} = {size}"] if layer.merge_mode == "concat" and size else []


@formula.register
def _(layer: merge.Concatenate, at: At) -> list[str]:
    sizes = [shape[layer.axis] for shape in at.inputs]
    return [f"{' + '.join(map(_n, sizes))}{_result(at.outputs[0][layer.axis])}"]


@formula.register
def _(layer: merge.Dot, at: At) -> list[str]:
    axes = (layer.axes,) * 2 if isinstance(layer.axes, int) else layer.axes
    return [f"{' . '.join(f'{_n(shape[axis])}' for shape, axis in zip(at.inputs, axes, strict=True))} -> 1"]


@formula.register
def _(layer: attention._Attention, at: At) -> list[str]:
    queries, values = at.inputs[0], at.inputs[min(1, len(at.inputs) - 1)]
    if len(queries) != 3:
        return []
    scores = _SAID.scores(at.language, q=_n(queries[1]), v=_n(values[1]))
    text = f"{_n(queries[1])} x {_n(queries[2])} -> {_n(queries[1])} x {_n(at.outputs[0][-1])}  ({scores})"
    return [_SAID.steps(at.language, text=text)]
