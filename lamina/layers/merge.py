"""Layers of several inputs, and the functions of the same names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ..core import masking, symbolic
from ..core.declare import Kind, Refused, arg, as_integer, boolean, integer, short
from ..core.devices import here
from ..core.errors import axis_names, named
from ..core.fusion import grants
from ..core.layer import Layer
from ..core.symbolic import Node
from ..core.trail import Advice, named_sizes
from ..kernels import products

__all__ = [
    "Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract", "add", "average",
    "concatenate", "dot", "maximum", "minimum", "multiply", "subtract",
]  # fmt: skip


class OfSeveral(Layer):
    """Base of layers that are called on a list of inputs."""

    _creates_mask = False

    def _finish_build(self) -> None:
        super()._finish_build()
        vars(self)["_ndim"] = -1  # no tensor by itself is an input

    def _plain_inputs(self, x: Any) -> list[Tensor] | None:
        if type(x) is not list:
            return None
        passing = self._passing
        for each in x:
            if type(each) is not Tensor or each.dtype not in passing or masking.get_mask(each) is not None:
                return None
        return x or None

    def _checked_first(self, args: tuple, kwargs: Mapping[str, Any]) -> tuple:
        args, mask = super()._checked_first(args, kwargs), kwargs.get("mask")
        if mask is not None and not isinstance(mask, (list, tuple)):
            raise ValueError(f"{named(self)}: `mask` must be a list, one for each input; got {short(mask)}.")
        if args:
            given = args[0]
            if not isinstance(given, (list, tuple)) or not given:
                _shapes(self, symbolic.shapes_of(given))
            for index, each in enumerate(given):
                if not hasattr(each, "shape"):
                    raise ValueError(f"{named(self)}: call it on a list of tensors; item {index} is {short(each)}.")
        return args


class Merge(OfSeveral):
    """Base of layers that `combine` a list of inputs, two at a time; sizes of 1 and missing axes broadcast."""

    supports_masking = True
    _creates_mask = False

    combine: ClassVar[Callable[[Tensor, Tensor], Tensor]]

    def build(self, input_shape: Any) -> None:
        self.compute_output_shape(_shapes(self, input_shape))

    def _advice(self, shapes: Sequence[tuple], before: Sequence[Node]) -> Advice:
        got = "; ".join(map(named_sizes, shapes))
        unlike = self._unlike(shapes)
        if unlike is None:
            return Advice("the same number of axes", got, "Reshape, Flatten or RepeatVector before one of them.")
        rank = max(map(len, shapes), default=0)
        if not unlike:
            return Advice()
        within = rank > 2 and unlike != [rank - 1]
        return Advice(
            f"equal sizes along {' and '.join(axis_names(rank)[axis] for axis in unlike)}",
            got,
            "padding='same' and equal strides in all branches, or Cropping, ZeroPadding or Resizing in one of them."
            if within
            else "a Dense, or a convolution of size 1, that gives one of them the other's size.",
        )

    def _unlike(self, shapes: Sequence[tuple]) -> list[int] | None:
        """The axes whose sizes do not fit; None where not even their number does."""
        padded = _padded(shapes)
        return [axis for axis, sizes in enumerate(zip(*padded, strict=True)) if len({*sizes} - {None, 1}) > 1]

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        if len({x.ndim for x in inputs}) > 1:
            inputs = _aligned(inputs)
        return reduce(self.combine, inputs)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        shapes = _shapes(self, input_shape)
        result = []
        for axis, sizes in enumerate(zip(*_padded(shapes), strict=True)):
            known = {size for size in sizes if size not in (None, 1)}
            if len(known) > 1:
                raise ValueError(
                    f"{named(self)}: inputs of shapes {_listed(shapes)} do not broadcast along axis {axis}: "
                    f"sizes {sorted(known)}. Make them equal, or 1."
                )
            result.append(known.pop() if known else None if None in sizes else 1)
        return tuple(result)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Where any input is valid; none where one of the inputs has no mask."""
        masks = masks_of(self, inputs, mask)
        return None if None in masks else reduce(torch.logical_or, masks)


def _padded(shapes: Sequence[tuple]) -> list[tuple]:
    """Shapes of one length: a missing axis stands behind the batch, as the layers insert it."""
    rank = max(map(len, shapes))
    return [(shape[0], *(1,) * (rank - len(shape)), *shape[1:]) if shape else (1,) * rank for shape in shapes]


def masks_of(layer: Layer, inputs: Any, mask: Any) -> list[Any]:
    """A mask, or None, for each input. Raises ValueError for anything else."""
    if mask is None:
        return [None]
    for name, value in (("inputs", inputs), ("mask", mask)):
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{named(layer)}: `{name}` should be a list, as of a call; got {short(value)}.")
    if len(mask) != len(inputs):
        raise ValueError(
            f"{named(layer)}: `inputs` and `mask` should have the same length; got {len(inputs)} and {len(mask)}."
        )
    return [here(torch.from_numpy(item)) if isinstance(item, np.ndarray) else item for item in mask]


class OfValid(Merge):
    """What a mask leaves out of one input has no part in the result. Older generations go by the values alone."""

    by_values = False

    def call(self, inputs: Sequence[Tensor], mask: Any = None) -> Tensor:
        if mask is None or self.by_values or len({x.ndim for x in inputs}) > 1:
            return super().call(inputs)
        return self.combine_valid([
            (x, None if valid is None else valid.view(*valid.shape, *[1] * (x.ndim - valid.ndim)))
            for x, valid in zip(inputs, mask, strict=True)
        ])  # fmt: skip

    def combine_valid(self, inputs: list[tuple[Tensor, Tensor | None]]) -> Tensor:
        """Two at a time, the other one stands in for what a mask leaves out."""
        result, known = inputs[0]
        for x, valid in inputs[1:]:
            second = x if valid is None else torch.where(valid, x, result)
            first = result if known is None else torch.where(known, result, second)
            known = None if valid is None or known is None else known | valid
            result = self.combine(first, second)
        return result


def _shapes(layer: Layer, input_shape: Any) -> list[tuple]:
    if not isinstance(input_shape, (list, tuple)) or symbolic.is_shape(input_shape):
        raise ValueError(f"{named(layer)} must be called on a list of inputs; got one input of shape {input_shape}.")
    for index, shape in enumerate(input_shape):
        if not symbolic.is_shape(shape):
            raise ValueError(f"{named(layer)} must be called on a list of tensors; item {index} is none.")
    return [tuple(shape) for shape in input_shape]


def _two(layer: Any, inputs: Sequence[Any]) -> None:
    if len(inputs) != 2:
        raise ValueError(f"{named(layer)}: the layer should be called on exactly 2 inputs; got {len(inputs)}.")


def _aligned(inputs: Sequence[Tensor]) -> list[Tensor]:
    """Inputs of fewer axes get the missing ones behind the batch axis."""
    rank = max(x.ndim for x in inputs)
    return [x if x.ndim == rank else x.reshape(x.shape[0], *(1,) * (rank - x.ndim), *x.shape[1:]) for x in inputs]


class Add(Merge):
    """The sum of the inputs."""

    combine = staticmethod(torch.add)
    ends_in_relu = False

    @grants("relu")
    def call(self, inputs: Sequence[Tensor], *, relu: bool = False) -> Tensor:
        result = super().call(inputs)
        if relu:
            return torch.relu_(result) if len(inputs) > 1 else torch.relu(result)
        return result


class Subtract(Merge):
    """The first input minus the second. Raises ValueError unless there are two."""

    combine = staticmethod(torch.sub)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        _two(self, inputs)
        return super().call(inputs)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        _two(self, _shapes(self, input_shape))
        return super().compute_output_shape(input_shape)


class Multiply(OfValid):
    """The product of the inputs."""

    combine = staticmethod(torch.mul)

    def combine_valid(self, inputs: list[tuple[Tensor, Tensor | None]]) -> Tensor:
        """Ones stand in for what a mask leaves out; where all inputs do, the result is zero."""
        product = super(OfValid, self).call([x if v is None else torch.where(v, x, 1) for x, v in inputs])
        masks = [valid for _, valid in inputs if valid is not None]
        return product if len(masks) < len(inputs) else torch.where(reduce(torch.logical_or, masks), product, 0)


class Average(Merge):
    """The mean of the inputs."""

    combine = staticmethod(torch.add)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        return super().call(inputs) / len(inputs)


class Maximum(OfValid):
    """The larger of the inputs, value by value."""

    combine = staticmethod(torch.maximum)


class Minimum(OfValid):
    """The smaller of the inputs, value by value."""

    combine = staticmethod(torch.minimum)


class Concatenate(Merge):
    """The inputs one behind another along `axis`; all other sizes must agree."""

    axis: int = arg(integer(), default=-1, doc="The axis to join along.")
    _reduced: ClassVar[Any] = staticmethod(torch.any)

    def build(self, input_shape: Any) -> None:
        shapes = _shapes(self, input_shape)
        rank = len(shapes[0])
        if any(len(shape) != rank for shape in shapes):
            raise ValueError(f"{named(self)}: inputs must have the same number of axes; got {_listed(shapes)}.")
        if not -rank <= self.axis < rank:
            raise ValueError(f"{named(self)}: `axis` {self.axis} is out of range for inputs of {rank} axes.")
        unlike = self._unlike(shapes)
        if unlike:
            raise ValueError(
                f"{named(self)} requires inputs with matching shapes except for the concatenation axis, {self.axis}; "
                f"got {_listed(shapes)}, which differ along axis {unlike[0]}."
            )

    def _unlike(self, shapes: Sequence[tuple]) -> list[int] | None:
        if len({*map(len, shapes)}) > 1:
            return None
        joined = range(len(shapes[0]))[self.axis]
        return [i for i, sizes in enumerate(zip(*shapes, strict=True)) if i != joined and len({*sizes} - {None}) > 1]

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(inputs), self.axis)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        shapes = _shapes(self, input_shape)
        total = [shape[self.axis] for shape in shapes]
        result = [next((size for size in sizes if size is not None), None) for sizes in zip(*shapes, strict=True)]
        result[self.axis] = None if None in total else sum(total)
        return tuple(result)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The masks joined likewise, True for inputs without one; reduced over the last axis."""
        masks = masks_of(self, inputs, mask)
        if all(item is None for item in masks):
            return None
        joined = []
        for x, item in zip(inputs, masks, strict=True):
            if item is None or item.ndim < x.ndim:
                x = here(torch.from_numpy(x)) if isinstance(x, np.ndarray) else x
                everywhere = torch.ones_like(x, dtype=torch.bool)
                while item is not None and item.ndim < x.ndim:
                    item = item.unsqueeze(-1)
                item = everywhere if item is None else torch.logical_and(everywhere, item)
            joined.append(item.bool())
        return self._reduced(torch.cat(joined, self.axis), -1)


def _listed(shapes: list[tuple]) -> str:
    return ", ".join(map(str, shapes))


def _axes(value: Any, owner: Any) -> Any:
    if isinstance(value, (list, tuple)):
        if len(value) != 2:
            raise Refused("Give one axis, or one for each of the two inputs.")
        return tuple(as_integer(axis) for axis in value)
    return as_integer(value)


_axis_or_pair = Kind("an axis, or a pair of axes", _axes, good=(1, (1, 1)), bad=("a", (1, 2, 3)), error=TypeError)


class Dot(Merge):
    """Products of two inputs summed along an axis of each, sample by sample."""

    axes: Any = arg(_axis_or_pair, doc="Sum over.")
    normalize: bool = arg(boolean, default=False, doc="Scale both to length 1 along it first: cosine proximity.")

    def _advice(self, shapes: Sequence[tuple], before: Sequence[Node]) -> Advice:
        expected = f"two inputs with equal sizes along axes={self.axes}"
        return Advice(expected, "; ".join(map(named_sizes, shapes)), "other `axes`, or a Dense before one of them.")

    def _pair(self, shapes: list[tuple]) -> tuple[int, int]:
        axes = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        return axes[0] % len(shapes[0]), axes[1] % len(shapes[1])

    def build(self, input_shape: Any) -> None:
        shapes = _shapes(self, input_shape)
        _two(self, shapes)
        axes = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        for shape, axis in zip(shapes, axes, strict=True):
            if not -len(shape) <= axis < len(shape) or axis % len(shape) == 0:
                raise ValueError(
                    f"{named(self)}: `axes` {self.axes} must be axes of {_listed(shapes)} after the batch."
                )
        a, b = (shape[axis] for shape, axis in zip(shapes, self._pair(shapes), strict=True))
        if None not in (a, b) and a != b:
            raise ValueError(
                f"{named(self)}: the summed axes must have equal sizes; got {a} and {b} "
                f"(axes={self.axes}, shapes {_listed(shapes)})."
            )

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        _two(self, inputs)
        a, b = inputs
        axes = self._pair([a.shape, b.shape])
        if self.normalize:
            a, b = (products.unit(x, axis) for x, axis in zip((a, b), axes, strict=True))
        return products.batch_dot(a, b, *axes)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        first, second = _shapes(self, input_shape)
        a, b = self._pair([first, second])
        rest = [size for axis, size in enumerate(first) if axis not in (0, a)]
        rest += [size for axis, size in enumerate(second) if axis not in (0, b)]
        return (first[0], *(rest or [1]))

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Products have no mask."""


def add(inputs: Any, **kwargs: Any) -> Any:
    """`Add` as a function of a list of inputs."""
    return Add(**kwargs)(inputs)


def subtract(inputs: Any, **kwargs: Any) -> Any:
    """`Subtract` as a function."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Any, **kwargs: Any) -> Any:
    """`Multiply` as a function."""
    return Multiply(**kwargs)(inputs)


def average(inputs: Any, **kwargs: Any) -> Any:
    """`Average` as a function."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Any, **kwargs: Any) -> Any:
    """`Maximum` as a function."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Any, **kwargs: Any) -> Any:
    """`Minimum` as a function."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """`Concatenate` as a function."""
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Any, axes: Any = -1, **kwargs: Any) -> Any:
    """`Dot` as a function."""
    return Dot(axes=axes, **kwargs)(inputs)
