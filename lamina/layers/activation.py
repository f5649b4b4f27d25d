"""Activations as layers."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from .. import activations
from ..activations import activation
from ..constraints import constraint
from ..core import symbolic
from ..core.declare import Kind, arg, as_integer, integer, items, number
from ..core.errors import named, show_shape
from ..core.fusion import grants
from ..core.layer import InputSpec, Layer
from ..core.weight import weight
from ..initializers import initializer
from ..regularizers import L1L2, regularizer

__all__ = ["ELU", "Activation", "ActivityRegularization", "Identity", "LeakyReLU", "PReLU", "ReLU", "Softmax"]


class Activated(Layer):
    """A layer that ends in its `activation`; where that is a ReLU or nothing, `call(relu=...)` says which."""

    @property
    def ends_in_relu(self: Any) -> bool | None:  # type: ignore[override]
        positive = self.activation is activations.relu
        return positive if positive or self.activation is activations.linear else None

    @property
    def log_space(self: Any) -> Any:  # type: ignore[override]
        return activations.log_space(self.activation)


class _Elementwise(Layer):
    """The output has the input's shape, and its mask."""

    supports_masking = True
    _stateless = _stacks = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


class Activation(Activated, _Elementwise):
    """Applies a function to every value."""

    activation: Any = arg(activation, doc="What to apply.")

    @grants(says="elementwise")
    def call(self, inputs: Tensor) -> Tensor:
        return self.activation(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return symbolic.map_shapes(lambda shape: activations.shape_after(self.activation, shape, self), input_shape)


_relu = number(0).saying("argument `{0}`: the {0} of a ReLU layer cannot be None or a negative value, it must be")
_leaky = number(0).saying("argument `{0}`: The {0} value of a Leaky ReLU layer cannot be None, it must be")


class ReLU(_Elementwise):
    """max(x, 0), with a slope below a threshold and a largest value."""

    max_value: float | None = arg(
        number(0).optional().saying("argument `{0}`: the {0} of a ReLU layer cannot be a negative value, it must be"),
        default=None,
        doc="Largest output.",
    )
    negative_slope: float = arg(_relu, default=0.0, doc="Slope below the threshold.")
    threshold: float = arg(_relu, default=0.0, doc="Where the identity begins.")

    @property
    def ends_in_relu(self) -> bool:  # type: ignore[override]
        return (self.max_value, self.negative_slope, self.threshold) == (None, 0, 0)

    @grants(says="elementwise")
    def call(self, inputs: Tensor) -> Tensor:
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)


class LeakyReLU(_Elementwise):
    """x where positive, else `negative_slope * x`."""

    negative_slope: float = arg(_leaky, default=0.3, doc="Slope below zero.")
    alpha: Any = arg(
        number(0).optional(), default=None, kw_only=True, config=False, attribute="_alpha", doc="The slope as well."
    )

    def check(self) -> None:
        if self._alpha is not None:
            self.negative_slope = self._alpha

    def call(self, inputs: Tensor) -> Tensor:
        return activations.leaky_relu(inputs, self.negative_slope)


class ELU(_Elementwise):
    """x where positive, else `alpha * (exp(x) - 1)`."""

    alpha: float = arg(number(), default=1.0, doc="Limit below zero, negated.")

    def call(self, inputs: Tensor) -> Tensor:
        return activations.elu(inputs, self.alpha)


class _PerValue(_Elementwise):
    """Parameters for each value of a sample, or shared along some axes."""

    _stateless = False
    shared_axes: Any

    def build(self, input_shape: tuple) -> None:
        places = list(input_shape[1:])
        for axis in self.shared_axes or ():
            if not 1 <= axis < len(input_shape):
                raise ValueError(f"{named(self)}: `shared_axes` {self.shared_axes} do not fit shape {input_shape}.")
            places[axis - 1] = 1
        self.make_weights(places=places)
        shared = self.shared_axes or ()
        axes = {axis: size for axis, size in enumerate(input_shape) if axis and axis not in shared}
        self.input_spec = InputSpec(ndim=len(input_shape), axes=axes)


class PReLU(_PerValue):
    """x where positive, else `alpha * x` with a trained alpha for each value, or shared along some axes (He, 2015)."""

    alpha_initializer: Any = arg(initializer, default="zeros")
    alpha_regularizer: Any = arg(regularizer, default=None)
    alpha_constraint: Any = arg(constraint, default=None)
    shared_axes: Any = arg(
        Kind(
            "a list of axes from 1, or one",
            lambda v, o: list(items(v, integer(), o, alone=True, least=0)),
            bad=("a", 1.5),
        ).optional(),
        default=None,
        doc="Axes along which alpha is one.",
    )

    alpha = weight("*places")

    def call(self, inputs: Tensor) -> Tensor:
        return torch.where(inputs > 0, inputs, self.alpha * inputs)


_axis_or_axes = Kind(
    "an axis or a list of them",
    lambda v, o: list(items(v, integer(), o)) if isinstance(v, (list, tuple)) else as_integer(v),
    bad=("a", 1.5, []),
)


class Softmax(_Elementwise):
    """exp(x) / sum(exp(x)) along `axis`; where a mask is False the result is 0."""

    _stacks = False
    axis: Any = arg(_axis_or_axes, default=-1)
    _softmax: ClassVar[Any] = staticmethod(torch.softmax)  # along one axis

    def build(self, input_shape: tuple) -> None:
        rank = len(input_shape)
        for axis in [self.axis] if isinstance(self.axis, int) else self.axis:
            if not -rank <= axis < rank:
                raise ValueError(f"{named(self)}: `axis` {axis} is out of range for inputs of shape {input_shape}.")

    @property
    def log_space(self) -> Any:  # type: ignore[override]
        return activations.softmax if self.axis == -1 else None

    @grants(says="elementwise")
    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None and inputs.is_floating_point():
            sizes = zip(reversed(mask.shape), reversed(inputs.shape), strict=False)
            if mask.ndim > inputs.ndim or any(own not in (1, size) for own, size in sizes):
                raise ValueError(
                    f"{named(self)}: `mask` must not have more dimensions than the inputs, of shape "
                    f"{show_shape(inputs.shape)}, and must be broadcastable to them; got {show_shape(mask.shape)}."
                )
            hidden = ~mask if mask.dtype is torch.bool else mask <= 0.5
            return self.call(inputs.masked_fill(hidden, torch.finfo(inputs.dtype).min)).masked_fill(hidden, 0)
        if isinstance(self.axis, int):
            return self._softmax(inputs, self.axis)
        return activations.softmax(inputs, tuple(self.axis))


class Identity(_Elementwise):
    """The input itself."""

    _keeps_dtype = True

    def call(self, inputs: Any) -> Any:
        return inputs


class ActivityRegularization(_Elementwise):
    """The input itself, with `l1 * sum(abs(x)) + l2 * sum(x ** 2)` added to the loss."""

    l1: float = arg(L1L2._args["l1"].kind, default=0.0, doc="Factor of the sum of absolute values.")
    l2: float = arg(L1L2._args["l2"].kind, default=0.0, doc="Factor of the sum of squares.")

    def check(self) -> None:
        if self.activity_regularizer is not None:
            raise ValueError("ActivityRegularization: `l1` and `l2` are its `activity_regularizer`; give no other.")
        vars(self)["activity_regularizer"] = L1L2(l1=self.l1, l2=self.l2)

    def call(self, inputs: Tensor) -> Tensor:
        return inputs

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["activity_regularizer"]
        return config
