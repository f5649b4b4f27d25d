"""Layers that move, repeat, pad or cut values and compute nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ..core.declare import Kind, Refused, arg, as_integer, as_sizes, integer, listed, one_of, sizes, worked_out
from ..core.errors import named
from ..core.layer import InputSpec, Layer
from ..core.symbolic import Node
from ..core.trail import Advice, named_sizes
from ..kernels import resize
from .spatial import Spatial, data_format

__all__ = [
    "Cropping1D", "Cropping2D", "Cropping3D", "Flatten", "Permute", "RepeatVector", "Reshape", "UpSampling1D",
    "UpSampling2D", "UpSampling3D", "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D",
]  # fmt: skip


def _shape(value: Any, owner: Any) -> tuple[int, ...]:
    shape = tuple(as_integer(size) for size in listed(value))
    if shape.count(-1) > 1 or any(size < -1 for size in shape):
        raise Refused("-1 means the rest.")
    return shape


_target = Kind(
    "a tuple of sizes, one of which may be -1",
    _shape,
    good=((2, -1),),
    bad=(3.5, (-1, -1)),
    says="argument `{0}` must be a tuple of non-negative integers with at most one unknown dimension, -1; got "
    "{0}={got}.",
)


class Flatten(Layer):
    """All axes but the first as one. Input (batch, ...), output (batch, product of the rest)."""

    data_format: str = arg(data_format, default=None)
    _keeps_dtype = True

    def call(self, inputs: Tensor) -> Tensor:
        if inputs.ndim > 2:
            if self.data_format == "channels_first":
                inputs = inputs.movedim(1, -1)
            return inputs.flatten(1)
        return inputs if inputs.ndim == 2 else inputs.unsqueeze(-1)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        rest = input_shape[1:]
        return (input_shape[0], None if None in rest else math.prod(rest))


class Reshape(Layer):
    """The same values in another shape. Input (batch, ...), output (batch, *target_shape)."""

    target_shape: Any = arg(_target, doc="Shape without the batch axis.")
    _stateless = True
    _keeps_dtype = True

    def build(self, input_shape: tuple) -> None:
        self.compute_output_shape(input_shape)

    def _advice(self, shapes: Sequence[tuple], before: Sequence[Node]) -> Advice:
        if len(shapes) != 1 or None in shapes[0][1:] or len(self.target_shape) > 16:  # a list of all axes helps nobody
            return Advice()
        values, target = math.prod(shapes[0][1:]), list(self.target_shape)
        known = math.prod(size for size in target if size != -1)
        fits = []
        for axis, size in enumerate(target):
            others = known if size == -1 else known // max(size, 1)
            if others and values % others == 0 and (size == -1 or -1 not in target):
                fits.append(str((*target[:axis], values // others, *target[axis + 1 :])))
        return Advice(
            f"{known} values for each sample" if -1 not in target else f"a multiple of {known} values for each sample",
            f"{values}, {named_sizes(shapes[0])}",
            f"target_shape={' or '.join(fits)}, or a layer before it that gives {known} values."
            if fits
            else f"a layer before it that gives {known} values.",
        )

    def call(self, inputs: Tensor) -> Tensor:
        return inputs.reshape(inputs.shape[0], *self.target_shape) if inputs.numel() else self._empty(inputs)

    def _empty(self, inputs: Tensor) -> Tensor:
        return inputs.reshape(inputs.shape[0], *self.compute_output_shape(tuple(inputs.shape))[1:])

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        if not input_shape:
            raise ValueError(f"{named(self)}: expected an input with a batch axis; got a single value.")
        rest, target = input_shape[1:], self.target_shape
        if None in rest:
            return (input_shape[0], *(None if size == -1 else size for size in target))
        values, known = math.prod(rest), math.prod(size for size in target if size != -1)
        fits = values == known if -1 not in target else known and values % known == 0
        if not fits:
            raise ValueError(
                f"{named(self)}: cannot reshape {values} values, shape {input_shape}, into {target}"
                + (f" ({known} values)." if -1 not in target else f": {values} is no multiple of {known}.")
            )
        return (input_shape[0], *(values // known if size == -1 else size for size in target))


def _permutation(value: Any, owner: Any) -> tuple[int, ...]:
    dims = _shape(value, owner)
    if sorted(dims) != list(range(1, len(dims) + 1)):
        raise Refused("Invalid permutation in `dims`: axes count from 1; the batch axis stays in front.")
    return dims


class Permute(Layer):
    """The axes in another order: `dims` counts from 1 and leaves the batch axis out."""

    dims: Any = arg(
        Kind("a permutation of 1, 2, ...", _permutation, good=((2, 1),), bad=((0, 1), (1, 1), 2.5)),
        doc="The axes' order.",
    )
    _keeps_dtype = True

    def build(self, input_shape: tuple) -> None:
        if len(input_shape) != len(self.dims) + 1:
            raise ValueError(
                f"{named(self)}: dims={self.dims} permutes {len(self.dims)} axes, so inputs need "
                f"{len(self.dims) + 1} with the batch axis; got shape {input_shape}."
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Tensor) -> Tensor:
        return inputs.permute(0, *self.dims)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (input_shape[0], *(input_shape[axis] for axis in self.dims))


def _as_times(value: Any, owner: Any) -> int:
    number = integer().convert(value, owner)
    if number < 1:
        raise Refused(error=ValueError)
    return number


_times = Kind(
    "a positive integer",
    _as_times,
    good=(1, 3),
    bad=("3", 2.5, None),
    error=TypeError,
    says="Expected an integer value for `{}`, and it should be",
)


class RepeatVector(Layer):
    """Each vector `n` times over. Input (batch, features), output (batch, n, features)."""

    n: int = arg(_times, doc="How often.")
    input_spec = InputSpec(ndim=2)
    _keeps_dtype = True

    def call(self, inputs: Tensor) -> Tensor:
        return inputs.unsqueeze(1).expand(-1, self.n, -1)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (input_shape[0], self.n, input_shape[1])


def _pairs(value: Any, owner: Any) -> tuple[tuple[int, ...], ...]:
    """Pairs (before, after) for each axis from an integer, an integer an axis, or pairs."""
    if owner.rank == 1 and isinstance(value, (tuple, list)) and len(value) == 2:
        return (as_sizes(value, 2, 0),)
    many = value if isinstance(value, (tuple, list)) else (value,) * owner.rank
    if len(many) != owner.rank or (owner.rank == 1 and many is value and not isinstance(many[0], (tuple, list))):
        raise Refused(f"Give one integer, {owner.rank} integers, or {owner.rank} pairs (before, after).")
    return tuple(as_sizes(item, 2, 0) for item in many)


_amounts = Kind(
    "a non-negative integer, one for each spatial axis, or a pair (before, after) for each",
    _pairs,
    dump=lambda pairs: pairs[0] if len(pairs) == 1 else pairs,
    good=(1, 0),
    bad=("a", -1, (1, 2, 3, 4), 1.5),
)


class ZeroPadding(Spatial):
    """Zeros round the spatial axes: a number for all sides, one for each axis, or (before, after) for each."""

    padding: Any = arg(_amounts, default=1, doc="How many.")
    data_format: str = arg(data_format, default=None)
    _keeps_dtype = True

    def call(self, inputs: Tensor) -> Tensor:
        return resize.pad(inputs, self.padding, self._last)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return self.resized(input_shape, lambda size, pair: None if size is None else size + sum(pair), self.padding)


class ZeroPadding1D(ZeroPadding):
    rank = 1


class ZeroPadding2D(ZeroPadding):
    rank = 2


class ZeroPadding3D(ZeroPadding):
    rank = 3


class _Cropping(Spatial):
    cropping = ()
    _least = 1  # how much must be left of each axis
    _keeps_dtype = True

    def build(self, input_shape: tuple) -> None:
        super().build(input_shape)
        self.compute_output_shape(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        return resize.crop(inputs, self.cropping, self._last)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        self.check_shape(input_shape)
        for size, pair in zip(self.spatial(input_shape), self.cropping, strict=True):
            if size is not None and sum(pair) > size - self._least:
                steps = "`cropping` parameter of `Cropping1D` layer must"
                raise ValueError(
                    f"{named(self)}: {steps if self.rank == 1 else 'Values in `cropping` argument should'} be smaller "
                    f"than the corresponding spatial dimension of the input, but of {self.spatial(input_shape)} "
                    f"{self.cropping} leaves nothing; crop less than {size}."
                )
        return self.resized(input_shape, lambda size, pair: None if size is None else size - sum(pair), self.cropping)


class Cropping1D(_Cropping):
    """Cuts steps off both ends of time. Input and output (batch, steps, features)."""

    cropping: Any = arg(_amounts, default=(1, 1), doc="How many steps.")
    rank = 1


class Cropping2D(_Cropping):
    """Cuts rows and columns off the borders of images."""

    cropping: Any = arg(_amounts, default=((0, 0), (0, 0)), doc="How many rows and columns.")
    data_format: str = arg(data_format, default=None)
    rank = 2


class Cropping3D(_Cropping):
    """Cuts planes off the borders of volumes."""

    cropping: Any = arg(_amounts, default=((1, 1), (1, 1), (1, 1)), doc="How many planes an axis.")
    data_format: str = arg(data_format, default=None)
    rank = 3


class _UpSampling(Spatial):
    size = 2
    interpolation = "nearest"

    _worked_out = ("_last", "_factors")

    @worked_out
    def _factors(self) -> tuple[int, ...]:
        return as_sizes(self.size, self.rank, 1)

    def call(self, inputs: Tensor) -> Tensor:
        if not inputs.is_floating_point() and self.interpolation != "nearest":
            inputs = inputs.to(self.dtype_policy.compute)
        return resize.upsample(inputs, self._factors, self.interpolation, self._last)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return self.resized(input_shape, lambda size, factor: None if size is None else size * factor, self._factors)


class UpSampling1D(_UpSampling):
    """Every step `size` times over. Input (batch, steps, features)."""

    size: int = arg(_times, default=2, doc="How often.")
    rank = 1


class UpSampling2D(_UpSampling):
    """Enlarges images by whole factors."""

    size: Any = arg(sizes(1), default=2, doc="Factors for rows and columns.")
    data_format: str = arg(data_format, default=None)
    interpolation: str = arg(
        one_of("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "area"), default="nearest"
    )
    rank = 2


class UpSampling3D(_UpSampling):
    """Enlarges volumes by repeating values."""

    size: Any = arg(sizes(1), default=2, doc="Factors for the three axes.")
    data_format: str = arg(data_format, default=None)
    rank = 3
