"""How the sizes of a layer's output come about, with the numbers put in."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from .. import layers
from ..core.errors import axis_names
from ..kernels import window
from ..layers import attention, convolution, convolutional_recurrent, pooling, reshape
from ..layers.local import LocallyConnected
from .field import windows_of
from .said import Language, sentences
from .scenes.kinds import At, Shape

_SAID = sentences("formulas")


def shapes(at: At) -> str:
    def one(shape: Shape) -> str:
        return f"({', '.join(['batch', *('?' if size is None else str(size) for size in shape[1:])])})"

    return f"{', '.join(map(one, at.inputs))} -> {', '.join(map(one, at.outputs))}"


def by(sizes: Iterable[object]) -> str:
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


# Layers that treat each spatial axis by itself ------------------------------------------------------------------------

Line = Callable[[Any, int, int | None, int | None, Language], str]  # of a layer: axis, sizes before and after


def _window(layer: Any, axis: int, n: int | None, m: int | None, language: Language) -> str:
    return window_formula(n, [*zip(*windows_of(layer), strict=True)][axis], m, language)


def _transposed(layer: Any, axis: int, n: int | None, m: int | None, language: Language) -> str:
    extra = layer.output_padding or (None,) * layer.rank
    return transposed_formula(n, [*zip(*windows_of(layer), strict=True)][axis], extra[axis], m)


_LINES: dict[Any, Line] = {
    convolution._Convolution: _window,
    pooling._Pooling: _window,
    LocallyConnected: _window,
    convolution.ConvTranspose: _transposed,
    reshape.ZeroPadding: lambda of, axis, n, m, _: f" + {_n(n)} + ".join(map(str, of.padding[axis])) + _result(m),
    reshape._Cropping: lambda of, axis, n, m, _: f"{_n(n)} - {' - '.join(map(str, of.cropping[axis]))}{_result(m)}",
    reshape._UpSampling: lambda of, axis, n, m, _: f"{_n(n)} x {of._factors[axis]}{_result(m)}",
    pooling._AdaptivePooling: lambda of, axis, n, m, language: _SAID.parts(language, n=_n(n), m=m),
}


def _by_lines(layer: Any, at: At) -> list[str]:
    line = next(_LINES[cls] for cls in type(layer).__mro__ if cls in _LINES)
    return _by_axis(at, _sizes(layer, at), lambda axis, n, m: line(layer, axis, n, m, at.language))


for _kind in _LINES:
    formula.register(_kind, _by_lines)


@formula.register
def _(layer: convolutional_recurrent.ConvLSTM, at: At) -> list[str]:
    step = at.of_a_step()
    return formula(layer.cell, step._replace(outputs=(layer.cell.compute_output_shape(step.inputs[0]),)))


@formula.register
def _(layer: pooling._GlobalPooling, at: At) -> list[str]:
    sizes: Sizes = [(n, 1) for n in layer.spatial(at.inputs[0])]
    return _by_axis(at, sizes, lambda axis, n, m: f"{_n(n)} -> {m}")


@formula.register(layers.Flatten)
@formula.register(layers.Reshape)
def _(layer: Any, at: At) -> list[str]:
    inputs, outputs = at.inputs[0][1:] or (1,), at.outputs[0][1:]
    return [f"{by(map(_n, inputs))} = {by(map(_n, outputs))}"] if None not in outputs else []


@formula.register
def _(layer: layers.Permute, at: At) -> list[str]:
    sizes = at.inputs[0]
    return [", ".join(f"{place} <- {axis} ({_n(sizes[axis])})" for place, axis in enumerate(layer.dims, 1))]


@formula.register
def _(layer: layers.RepeatVector, at: At) -> list[str]:
    return [f"{_n(at.inputs[0][1])} -> {layer.n} x {_n(at.inputs[0][1])}"]


@formula.register(layers.Dense)
def _(layer: Any, at: At) -> list[str]:
    return [_SAID.last_axis(at.language, text=f"{_n(at.inputs[0][-1])} -> {layer.units}")]


formula.register(layers.EinsumDense, lambda layer, at: [layer.equation])


@formula.register
def _(layer: layers.Embedding, at: At) -> list[str]:
    return [f"{by(map(_n, at.inputs[0][1:]))} -> {by(map(_n, at.outputs[0][1:]))}"]


@formula.register
def _(layer: layers.RNN, at: At) -> list[str]:
    size = layer.state_size if isinstance(layer.state_size, int) else None
    steps, units = at.inputs[0][1], at.outputs[0][-1] if size is None else size
    outputs = f"{_n(steps)} x {_n(units)}" if layer.return_sequences else _n(units)
    return [_SAID.steps(at.language, text=f"{_n(steps)} x {_n(at.inputs[0][-1])} -> {outputs}")]


@formula.register
def _(layer: layers.Bidirectional, at: At) -> list[str]:
    size = at.outputs[0][-1]
    return [f"{size // 2} + {size // 2} = {size}"] if layer.merge_mode == "concat" and size else []


@formula.register
def _(layer: layers.Concatenate, at: At) -> list[str]:
    sizes = [shape[layer.axis] for shape in at.inputs]
    return [f"{' + '.join(map(_n, sizes))}{_result(at.outputs[0][layer.axis])}"]


@formula.register
def _(layer: layers.Dot, at: At) -> list[str]:
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
