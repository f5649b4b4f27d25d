"""Convolutions: plain, transposed, depthwise, separable; one class each for any rank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ..activations import linear, shape_after
from ..activations import relu as positive_part
from ..constraints import constraint
from ..core.declare import Declared, Kind, arg, as_sizes, integer, one_of, sizes
from ..core.errors import named
from ..core.fusion import grants
from ..core.symbolic import Node
from ..core.trail import Advice, named_sizes
from ..core.weight import held, weight
from ..initializers import initializer
from ..kernels import window
from ..kernels.convolution import Affine, plan_convolution, plan_transposed, run
from ..regularizers import regularizer
from .activation import Activated
from .arguments import ActivationBias, DataFormat, Dilation, Filters, KernelBias, Window, count
from .lora import LoRA, lora_alpha, lora_rank
from .spatial import Windowed

__all__ = [
    "Conv1D", "Conv1DTranspose", "Conv2D", "Conv2DTranspose", "Conv3D", "Conv3DTranspose", "DepthwiseConv1D",
    "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D",
]  # fmt: skip

padding = one_of("valid", "same")
output_padding = Kind(
    "a non-negative integer, or one for each spatial axis",
    lambda value, owner: as_sizes(value, owner.rank, 0),
    bad=("a", -1),
).optional()


class _Convolution(Activated, Windowed):
    """What all convolutions share: where their windows go."""

    _causal = False
    groups = None
    depth_multiplier = 1
    filters = 0
    kernel_size = strides = dilation_rate = ()
    padding = "valid"

    def build(self, input_shape: tuple) -> None:
        channels, groups = self.channels(input_shape), self.groups or 1
        if channels % groups:
            raise ValueError(
                f"{named(self)}: the input's channels must be a multiple of `groups`; "
                f"got {channels} channels, groups={groups}."
            )
        self.check_window(input_shape, self.kernel_size, self.dilation_rate, self.padding)
        self.fix_input(input_shape, channels)
        sizes = {"channels": channels, "channels_of_group": channels // groups, "ones": (1,) * self.rank}
        self.make_weights(**sizes, multiplied=channels * self.depth_multiplier)

    def _advice(self, shapes: Sequence[tuple], before: Sequence[Node]) -> Advice:
        found, groups = super()._advice(shapes, before), self.groups or 1
        channels = None if found.expected or not shapes else shapes[0][self.channel_axis]
        if not channels or channels % groups == 0:
            return found
        fitting = [str(n) for n in range(1, channels + 1) if channels % n == self.filters % n == 0]
        return Advice(
            f"channels that are a multiple of groups={groups}",
            named_sizes(shapes[0], self.data_format),
            f"groups={' or '.join(fitting[:4])}, or another number of filters before it.",
        )

    @grants("relu", "affine")
    def call(self: Any, inputs: Tensor, *, relu: bool | None = None, affine: Affine = None) -> Tensor:
        activation = self.activation
        positive = activation is positive_part if relu is None else relu
        kernel, bias = held(self, "kernel", "bias")
        y = run(inputs, kernel, bias, self.plan_for(inputs), positive, affine)
        return y if activation is linear or activation is positive_part or relu is not None else activation(y)

    def windows(self) -> tuple[tuple, tuple, Any, tuple]:
        """Kernel size, strides, padding and dilation for each spatial axis."""
        return self.kernel_size, self.strides, window.per_axis(self.padding, self.rank), self.dilation_rate

    def make_plan(self, shape: tuple) -> Any:
        return plan_convolution(
            shape, self.kernel_size, self.strides, self.padding, self.dilation_rate, self.groups, self.channels_last
        )

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return shape_after(self.activation, self.convolved(input_shape), self)

    def convolved(self, input_shape: tuple) -> tuple:
        """The shape before the activation. Raises ValueError for inputs that do not fit."""
        self.check_shape(input_shape)
        self.check_window(input_shape, self.kernel_size, self.dilation_rate, self.padding)
        shape = self.resized(input_shape, window.output_size, *self.windows())
        return self.with_spatial(shape, self.spatial(shape), self.output_channels(input_shape))

    def output_channels(self, input_shape: tuple) -> int:
        return self.filters


def _refuse_dilated_strides(
    layer: _Convolution, words: str = "`strides > 1` not supported in conjunction with"
) -> None:
    if max(layer.strides) > 1 and max(layer.dilation_rate) > 1:
        raise ValueError(
            f"{type(layer).__name__}: {words} `dilation_rate > 1`. "
            f"Received: strides={layer.strides} and dilation_rate={layer.dilation_rate}. Set one of them to 1."
        )


def _kernel_order(layer: Windowed) -> tuple[int, ...]:
    """Memory order of a kernel (*k, in, out): the one torch reads in place, (out, *k, in) for channels last."""
    rank = layer.rank
    return (rank + 1, *range(rank), rank) if layer.channels_last else (rank + 1, rank, *range(rank))


def _depthwise_order(layer: Windowed) -> tuple[int, ...]:
    """Memory order of a depthwise kernel (*k, in, multiplier): (in, multiplier, *k), as torch reads it."""
    return (layer.rank, layer.rank + 1, *range(layer.rank))


class _Groups(Declared):
    groups: int = arg(
        integer(1).saying("argument `{0}`: The number of {0} must be {expected}. Received: {0}={got}."),
        default=1,
        doc="Parts of the channels that do not see each other.",
    )


class Conv(KernelBias, ActivationBias, _Groups, Dilation, DataFormat, Window, Filters, LoRA, _Convolution):
    """Convolution with a kernel (*kernel_size, channels // groups, filters), and a bias (filters,).

    Input (batch, *spatial, channels), output (batch, *new spatial, filters); channels first likewise.
    Raises ValueError for strides together with dilation, and where groups do not divide channels and filters.
    """

    lora_rank: Any = arg(lora_rank, default=None, config=False, kw_only=True, doc="Train a product of this rank.")
    lora_alpha: Any = arg(lora_alpha, default=None, config=False, kw_only=True)

    _causal = _takes_alpha = True
    kernel = weight("*kernel_size", "channels_of_group", "filters", order=_kernel_order, adapts=True)
    bias = weight("filters", when="use_bias")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "convolution_op" in vars(cls) and "call" not in vars(cls):
            cls.call = _call_own  # type: ignore[method-assign]
        super().__init_subclass__(**kwargs)

    def convolution_op(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        """The convolution alone, without bias and activation. To be overridden."""
        return run(inputs, kernel, None, self.plan_for(inputs), False, None)

    def check(self) -> None:
        _refuse_dilated_strides(self)
        if self.filters % self.groups:
            raise ValueError(
                f"{type(self).__name__}: The number of filters must be evenly divisible by the number of groups. "
                f"Received: groups={self.groups}, filters={self.filters}."
            )


def _call_own(self: Conv, inputs: Tensor) -> Tensor:
    """The call of a subclass with its own `convolution_op`."""
    kernel, bias = held(self, "kernel", "bias")
    y = self.convolution_op(inputs, kernel)
    if bias is not None:
        y = y + (bias if self.channels_last else bias.reshape(-1, *(1,) * self.rank))
    return self.activation(y)


class Conv1D(Conv):
    rank = 1


class Conv2D(Conv):
    rank = 2


class Conv3D(Conv):
    rank = 3


class _OutputPadding(Declared):
    output_padding: Any = arg(output_padding, default=None, doc="Added to the size of the output.")


class ConvTranspose(KernelBias, ActivationBias, Dilation, DataFormat, _OutputPadding, Window, Filters, _Convolution):
    """Transposed convolution: the gradient of a convolution. Kernel (*kernel_size, filters, channels).

    Input (batch, *spatial, channels), output (batch, *new spatial, filters). Without `output_padding`, "same" gives
    size * stride and "valid" size * stride + max(kernel - stride, 0).
    Raises ValueError for an `output_padding` not below the stride, and for strides together with dilation.
    """

    strides: Any = arg(sizes(1), default=1, doc="Steps between windows in the output.")
    padding: str = arg(padding, default="valid")

    kernel = weight("*kernel_size", "filters", "channels", order=_kernel_order)
    bias = weight("filters", when="use_bias")

    def check(self) -> None:
        _refuse_dilated_strides(self)
        if self.output_padding and any(o >= s for o, s in zip(self.output_padding, self.strides, strict=True)):
            raise ValueError(
                f"{type(self).__name__}: `output_padding` must be strictly less than `strides`; "
                f"got output_padding={self.output_padding}, strides={self.strides}."
            )

    def build(self, input_shape: tuple) -> None:
        channels = self.channels(input_shape)
        self.fix_input(input_shape, channels)
        self.make_weights(channels=channels)

    def make_plan(self, shape: tuple) -> Any:
        kernel, strides, padding, dilation = self.windows()
        return plan_transposed(shape, kernel, strides, padding, self.output_padding, dilation, self.channels_last)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        extra = self.output_padding or (None,) * self.rank
        kernel, strides, padding, dilation = self.windows()
        shape = self.resized(input_shape, window.transposed_size, kernel, strides, padding, extra, dilation)
        return shape_after(self.activation, self.with_spatial(shape, self.spatial(shape), self.filters), self)


class Conv1DTranspose(ConvTranspose):
    rank = 1


class Conv2DTranspose(ConvTranspose):
    rank = 2


class Conv3DTranspose(ConvTranspose):
    rank = 3
    _order = ("filters", "kernel_size", "strides", "padding", "data_format")  # as Keras 3 has it in 3-D alone


class _DepthMultiplier(Declared):
    depth_multiplier: int = arg(count, default=1, doc="Outputs for each input channel.")


class DepthwiseConv(ActivationBias, Dilation, DataFormat, _DepthMultiplier, Window, _Convolution):
    """Convolution of each channel by itself, with a kernel (*kernel_size, channels, depth_multiplier).

    Output (batch, *new spatial, channels * depth_multiplier).
    """

    depthwise_initializer: Any = arg(initializer, default="glorot_uniform")
    bias_initializer: Any = arg(initializer, default="zeros")
    depthwise_regularizer: Any = arg(regularizer, default=None)
    bias_regularizer: Any = arg(regularizer, default=None)
    activity_regularizer: Any = arg(regularizer, default=None)
    depthwise_constraint: Any = arg(constraint, default=None)
    bias_constraint: Any = arg(constraint, default=None)

    kernel = weight("*kernel_size", "channels", "depth_multiplier", role="depthwise", order=_depthwise_order)
    bias = weight("multiplied", when="use_bias")

    def output_channels(self, input_shape: tuple) -> int:
        return self.channels(input_shape) * self.depth_multiplier


class DepthwiseConv1D(DepthwiseConv):
    rank = 1


class DepthwiseConv2D(DepthwiseConv):
    rank = 2


class SeparableConv(ActivationBias, _DepthMultiplier, Dilation, DataFormat, Window, Filters, _Convolution):
    """A depthwise convolution, then one of size 1 that mixes the channels.

    Kernels (*kernel_size, channels, depth_multiplier) and (*1, channels * depth_multiplier, filters).
    """

    depth_multiplier: int = arg(count, default=1, doc="Depthwise outputs for each input channel.")
    depthwise_initializer: Any = arg(initializer, default="glorot_uniform")
    pointwise_initializer: Any = arg(initializer, default="glorot_uniform")
    bias_initializer: Any = arg(initializer, default="zeros")
    depthwise_regularizer: Any = arg(regularizer, default=None)
    pointwise_regularizer: Any = arg(regularizer, default=None)
    bias_regularizer: Any = arg(regularizer, default=None)
    activity_regularizer: Any = arg(regularizer, default=None)
    depthwise_constraint: Any = arg(constraint, default=None)
    pointwise_constraint: Any = arg(constraint, default=None)
    bias_constraint: Any = arg(constraint, default=None)

    depthwise_kernel = weight("*kernel_size", "channels", "depth_multiplier", role="depthwise", order=_depthwise_order)
    pointwise_kernel = weight("*ones", "multiplied", "filters", role="pointwise", order=_kernel_order)
    bias = weight("filters", when="use_bias")

    @grants("relu", "affine")
    def call(self, inputs: Tensor, *, relu: bool | None = None, affine: Affine = None) -> Tensor:
        activation = self.activation
        positive = activation is positive_part if relu is None else relu
        first, last, bias = held(self, "depthwise_kernel", "pointwise_kernel", "bias")
        depthwise, pointwise = self.plan_for(inputs)
        y = run(run(inputs, first, None, depthwise), last, bias, pointwise, positive, affine)
        return y if activation is linear or activation is positive_part or relu is not None else activation(y)

    def make_plan(self, shape: tuple) -> Any:
        depthwise = super().make_plan(shape)
        ones, shape = (1,) * self.rank, self.convolved(shape)
        pointwise = plan_convolution(shape, ones, ones, "valid", ones, 1, self.channels_last)
        if depthwise.row is None and pointwise.row is None and not depthwise.keep:  # no way back and forth in between
            return depthwise._replace(last=None), pointwise._replace(first=None)
        return depthwise, pointwise


class SeparableConv1D(SeparableConv):
    rank = 1


class SeparableConv2D(SeparableConv):
    rank = 2
