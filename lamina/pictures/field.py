"""Receptive fields: which part of a model's input one value behind each layer sees."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import torch

from .. import layers
from ..core.operation import Operation
from ..kernels import window
from ..kernels.window import EVERYTHING, Field
from ..layers import convolution, convolutional_recurrent, merge, normalization, pooling, reshape
from ..layers.activation import _Elementwise
from ..layers.local import LocallyConnected

Seen = tuple[Field, ...]  # one for each spatial axis
Fields = Seen | None  # None: unknown


def fields_of_inputs(tensor: Any) -> Fields:
    """Each value of an input (batch, *spatial, channels) sees itself."""
    return (Field(),) * max(len(tensor.shape) - 2, 0)


def shown(outputs: list[Fields]) -> str:
    """Sizes as text: "3 x 5"; "all" for the whole input, "-" where there is no spatial axis, "?" where unknown."""

    def one(seen: Fields) -> str:
        if seen is None:
            return "?"
        sizes = ["all" if field.size == math.inf else str(field.size) for field in seen]
        return "all" if sizes and set(sizes) == {"all"} else " x ".join(sizes) or "-"

    return ", ".join(dict.fromkeys(map(one, outputs)))


class At(NamedTuple):
    """Where a layer is called: shapes of its first input and output, and whether channels stand last."""

    inputs: tuple
    outputs: tuple
    last: bool


def fields_after(layer: Any, given: list[Fields], inputs: tuple, outputs: tuple, last: bool) -> Fields:
    """What the outputs of a call see, where its inputs see `given`."""
    seen = functools.reduce(_joined, given)
    if seen and all(field == EVERYTHING for field in seen):
        return seen
    return None if seen is None else fields(layer, seen, At(inputs, outputs, last))


def _joined(a: Fields, b: Fields) -> Fields:
    """What the sum of two tensors sees; one without spatial axes adds nothing."""
    if not a or not b:
        return None if a is None or b is None else a or b
    if len(a) != len(b):
        return None
    both = [one.joined(other) for one, other in zip(a, b, strict=True)]
    return tuple(field for field in both if field is not None) if None not in both else None


@functools.singledispatch
def fields(layer: Any, seen: Seen, at: At) -> Fields:
    """What the outputs of a layer see where its inputs see `seen`: a rule for each kind of layer, else unknown."""
    return None if seen else ()


def _mixing(axes: Callable[[Any, int], Iterable[int]]) -> Callable:
    """The rule of layers that mix values along some axes, (layer, rank of the input) -> axes, and along no others."""

    def rule(layer: Any, seen: Seen, at: At) -> Fields:
        rank = len(at.inputs)
        mixed = {axis % rank - (1 if at.last else 2) for axis in axes(layer, rank)}
        return tuple(EVERYTHING if axis in mixed else field for axis, field in enumerate(seen))

    return rule


for _kinds, _axes in {
    (layers.InputLayer, _Elementwise, merge.Merge, layers.BatchNormalization): lambda layer, rank: (),
    (layers.Dense,): lambda layer, rank: (-1,),
    (layers.Softmax,): lambda layer, rank: layer.axis if isinstance(layer.axis, (list, tuple)) else (layer.axis,),
    (normalization._SampleNormalization, layers.UnitNormalization): lambda layer, rank: layer.normalized_axes(),
    (layers.GroupNormalization, pooling._GlobalPooling, layers.Flatten): lambda layer, rank: range(1, rank),
}.items():
    for _kind in _kinds:
        fields.register(_kind, _mixing(_axes))


@fields.register
def _(layer: convolutional_recurrent.ConvLSTM, seen: Seen, at: At) -> Fields:
    """With every step the state sees further."""
    return (EVERYTHING,) * (len(at.outputs) - 2)


@fields.register(layers.RNN)
@fields.register(layers.Bidirectional)
def _(layer: Any, seen: Seen, at: At) -> Fields:
    return (EVERYTHING, *seen[1:])


@fields.register
def _(layer: Operation, seen: Seen, at: At) -> Fields:
    """Functions that torch marks as working value by value."""
    packet = getattr(torch.ops.aten, getattr(layer.function, "__name__", ""), None)
    overloads = [] if packet is None else [getattr(packet, name) for name in packet.overloads()]
    return seen if not seen or any(torch.Tag.pointwise in overload.tags for overload in overloads) else None


@fields.register
def _(layer: layers.Concatenate, seen: Seen, at: At) -> Fields:
    rank = len(at.inputs)
    return seen if layer.axis % rank == (rank - 1 if at.last else 1) else None


fields.register(layers.Dot, lambda layer, seen, at: None if seen else ())
fields.register(layers.Embedding, lambda layer, seen, at: (*seen, Field()))


@fields.register(layers.Reshape)
@fields.register(layers.Permute)
def _(layer: Any, seen: Seen, at: At) -> Fields:
    """While every value is one of the input's, its new place counts as its place in the input."""
    return (Field(),) * (len(at.outputs) - 2) if set(seen) <= {Field()} else None


fields.register(layers.SpectralNormalization, lambda layer, seen, at: fields(layer.layer, seen, at))


@fields.register
def _(layer: layers.TimeDistributed, seen: Any, at: At) -> Fields:
    inner = fields(layer.layer, seen[1:], At((None, *at.inputs[2:]), (None, *at.outputs[2:]), at.last))
    return None if inner is None else (*seen[:1], *inner)


# Layers that treat each spatial axis by itself ------------------------------------------------------------------------


def _by_axis(through: Callable[..., Field], arguments: Callable[[Any, At], Iterable[Iterable]]) -> Callable:
    """The rule `through(field, *arguments)` for each axis; `arguments` come as tuples over all axes."""

    def rule(layer: Any, seen: Seen, at: At) -> Fields:
        if len(seen) != layer.rank:
            return None
        return tuple(through(*axis) for axis in zip(seen, *arguments(layer, at), strict=True))

    return rule


def _transposed(layer: convolution.ConvTranspose, at: At) -> Iterable[Iterable]:
    kernel, strides, padding, dilation = layer.windows()
    return kernel, strides, padding, layer.output_padding or (None,) * layer.rank, dilation


def windows_of(layer: Any) -> tuple[Any, ...]:
    """Sizes, strides, paddings and dilations of a layer's window, each for all spatial axes."""
    if hasattr(layer, "windows"):
        return layer.windows()
    size = layer.pool_size if isinstance(layer, pooling._Pooling) else layer.kernel_size
    return size, layer.strides, window.per_axis(layer.padding, layer.rank), (1,) * layer.rank


def _window(layer: Any, at: At) -> Iterable[Iterable]:
    return *windows_of(layer), layer.spatial(at.inputs)


def _local(layer: Any, at: At) -> Iterable[Iterable]:
    """Of "same", a window begins half its size before its place, whatever the size of the axis."""
    size, strides, paddings, *more = _window(layer, at)
    paddings = [(k // 2, 0) if name == "same" else name for k, name in zip(size, paddings, strict=True)]
    return size, strides, paddings, *more


def _shifted(field: Field, by: int) -> Field:
    return field.through(lambda output: [output + by])


_SUPPORT = {"bilinear": 1, "bicubic": 2, "lanczos3": 3, "lanczos5": 5}  # reach of the curve on either side


def _enlarged(field: Field, factor: int, interpolation: str) -> Field:
    if interpolation not in _SUPPORT:
        return field.through(lambda output: [output // factor], 1, factor)
    reach = _SUPPORT[interpolation]

    def taps(output: int) -> Iterator[int]:
        place = Fraction(2 * output + 1 - factor, 2 * factor)
        if place.denominator == 1:  # the curve is zero at all others
            yield int(place)
        else:
            yield from range(math.ceil(place - reach), math.floor(place + reach) + 1)

    return field.through(taps, 1, factor)


for _kind, _through, _arguments in (
    (convolution._Convolution, Field.window, _window),
    (convolution.ConvTranspose, Field.transposed, _transposed),
    (pooling._Pooling, Field.window, _window),
    (LocallyConnected, Field.window, _local),
    (reshape.ZeroPadding, _shifted, lambda layer, at: [[-before for before, _ in layer.padding]]),
    (reshape._Cropping, _shifted, lambda layer, at: [[before for before, _ in layer.cropping]]),
    (reshape._UpSampling, _enlarged, lambda layer, at: (layer._factors, (layer.interpolation,) * layer.rank)),
):
    fields.register(_kind, _by_axis(_through, _arguments))


@fields.register
def _(layer: pooling._AdaptivePooling, seen: Seen, at: At) -> Fields:
    """Equal parts are windows side by side; others have no one size."""
    sizes = list(zip(layer.spatial(at.inputs), layer.output_size, strict=True))
    if len(seen) != layer.rank or any(size is None or size % parts for size, parts in sizes):
        return None
    return tuple(field.window(size // parts, size // parts) for field, (size, parts) in zip(seen, sizes, strict=True))
