"""Normalization layers: over the batch, over a sample, over groups of channels, and of a layer's weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..activations import linear
from ..core import masking, serialize
from ..core.declare import Declared, Kind, Refused, arg, as_integer, boolean, integer, items, number, one_of
from ..core.errors import named, show_shape, unsized
from ..core.fusion import granted, grants
from ..core.layer import InputSpec, Layer
from ..core.weight import weight
from ..initializers import TruncatedNormal, initializer
from ..kernels import eager
from ..kernels import normalization as kernels
from .arguments import BetaGammaLimits, CenterScale
from .torch_module import layer_inside

__all__ = [
    "BatchNormalization", "GroupNormalization", "LayerNormalization", "RMSNormalization", "SpectralNormalization",
    "UnitNormalization",
]  # fmt: skip


def _one_axis(value: Any, owner: Any) -> int:
    if isinstance(value, (list, tuple)):
        raise Refused(f"Write axis={value[0]!r}." if len(value) == 1 else f"Write axes={tuple(value)!r} for several.")
    return as_integer(value)


def _groups(value: Any, owner: Any) -> int:
    count = as_integer(value)
    if count < 1 and count != -1:
        raise Refused
    return count


def _limits(value: Any, owner: Any) -> dict[str, float | None]:
    if not isinstance(value, Mapping):
        raise Refused
    for key, limit in value.items():
        if key not in ("rmin", "rmax", "dmax"):
            raise Refused(f"Received invalid keys: {key!r} is no limit.")
        if limit is not None and number().convert(limit, owner) < 0:
            raise Refused(f"{key} should be non-negative.")
    rmin, rmax = value.get("rmin"), value.get("rmax")
    if rmin is not None and rmax is not None and rmin > rmax:
        raise Refused("rmax should be at least rmin.")
    return dict(value)


_UNMOVED = ("always", "training")  # `batch_statistics` with which moving ones stay
_axis = Kind("an integer", _one_axis, good=(-1, 1), bad=("a", 1.5, None, [1, 2]), error=TypeError)
_several_axes = Kind("several integers", lambda v, o: items(v, integer(), o), dump=list, bad=("a", 3, (1, "a"), ()))
_axis_or_axes = Kind(
    "an integer or several",
    lambda v, o: list(items(v, integer(), o)) if isinstance(v, (list, tuple)) else as_integer(v),
    good=(-1, [-2, -1]),
    bad=("a", 1.5, None, (1, "a")),
    error=TypeError,
)
_group_count = Kind("a positive integer, or -1 for a group for each channel", _groups, good=(1,), bad=(0, -2, "a", 2.5))
_clipping = Kind(
    'a dictionary with numbers for some of "rmin", "rmax" and "dmax"',
    _limits,
    good=({"rmin": 0.5, "rmax": 2.0, "dmax": 1.0},),
    bad=(3, {"r": 1.0}, {"dmax": -1.0}, {"rmin": 2.0, "rmax": 1.0}),
).optional()
_layer = Kind(
    layer_inside.expected,
    layer_inside.convert,
    dump=lambda layer: {**serialize.serialize(layer), **_build_config(layer)},
    bad=layer_inside.bad,
)


def _build_config(layer: Layer) -> dict[str, Any]:
    built = layer.get_build_config()
    return {} if built is None else {"build_config": built}


class _Normalization(Layer):
    """A layer that keeps the shape of its input."""

    supports_masking = True

    def sizes_along(self, axes: list[int], shape: tuple) -> tuple[int, ...]:
        """The sizes of these axes. Raises ValueError where one is out of range or of unknown size."""
        ndim = len(shape)
        for axis in axes:
            if not -ndim <= axis < ndim:
                raise ValueError(
                    f"{named(self)}: All `axis` values must be in the range from {-ndim} to {ndim - 1} for an input "
                    f"of shape {show_shape(shape)}; got {axis}."
                )
        for axis in axes:
            if shape[axis] is None:
                raise unsized(self, f"normalized axis (axis {axis})", shape)
        if len({axis % ndim for axis in axes}) < len(axes):
            raise ValueError(f"{named(self)}: `axis` {axes} names an axis of shape {show_shape(shape)} twice.")
        return tuple(shape[axis] for axis in axes)

    def normalized_axes(self) -> list[int]:
        return [self.axis] if isinstance(self.axis, int) else self.axis

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        self.sizes_along(self.normalized_axes(), tuple(0 if size is None else size for size in input_shape))
        return tuple(input_shape)


def _deviation(layer: Any) -> Any:
    """The initializer of a deviation: the root of what the variance starts from."""
    return lambda shape, dtype=None: torch.sqrt(layer.moving_variance_initializer(shape, dtype=dtype))


class _Moving(Declared):
    axis: int = arg(_axis, default=-1, doc="Where the channels are.")
    momentum: float = arg(number(0, 1), default=0.99, doc="What moving statistics keep of themselves in a step.")
    epsilon: float = arg(number(0), default=0.001, doc="Added to the variance.")


class _MovingInitializers(Declared):
    moving_mean_initializer: Any = arg(initializer, default="zeros")
    moving_variance_initializer: Any = arg(initializer, default="ones")


class BatchNormalization(BetaGammaLimits, _MovingInitializers, CenterScale, _Moving, _Normalization):
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta` for each channel (Ioffe & Szegedy, 2015).

    In training, mean and variance are those of the batch (of the values its mask lets through), and the moving ones
    become `moving * momentum + batch * (1 - momentum)`; in inference, and wherever `trainable` is False, they are the
    moving ones. A mask (batch, ...) has all axes of the input but the last. Every weight is (channels,); with `axes`,
    it has all axes of the input, of size 1 where they are not among `axes`.
    """

    ends_in_relu = False
    renorm: bool = arg(boolean, default=False, doc="Batch renormalization (Ioffe, 2017): train by slow statistics.")
    renorm_clipping: dict | None = arg(_clipping, default=None, doc="Limits of the renormalization.")
    renorm_momentum: float = arg(number(0, 1), default=0.99, doc="What the renormalization's averages keep in a step.")
    synchronized: bool = arg(boolean, default=False, doc="Take a batch's statistics over all processes.")
    axes: Any = arg(
        _several_axes.optional(),
        default=None,
        doc="Several axes instead of `axis`: every combination of their places is a channel.",
        kw_only=True,
        config="set",
    )
    unbiased_variance: str | None = arg(
        one_of("spatial", "always").optional(),
        default=None,
        doc="Multiply a batch's variance, before it enters the moving one, by n / (n - 1) for inputs with 4 or 5 axes "
        '("spatial"), or by n / (n - 1 - epsilon), and by n / (n - 1) besides for inputs with 4 axes ("always").',
        kw_only=True,
        config="set",
    )
    batch_statistics: str | None = arg(
        one_of("frozen", "regardless", "training", "always").optional(),
        default=None,
        doc='Normalize by the batch also in training with `trainable=False` ("frozen"; "regardless": and keep up the '
        'moving statistics; "training": never do), or "always", even in inference, and keep up none.',
        kw_only=True,
        config="set",
    )

    # Not cast: torch takes float32 scales beside half-precision data.
    gamma = weight("*channels", when="scale", autocast=False)
    beta = weight("*channels", when="center", autocast=False)
    moving_mean = weight("*channels", trainable=False)
    moving_variance = weight("*channels", trainable=False)
    moving_stddev = weight("*channels", when="renorm", initializer=_deviation, trainable=False)
    renorm_mean = weight("*channels", when="renorm", role="moving_mean", trainable=False)
    renorm_stddev = weight("*channels", when="renorm", initializer=_deviation, trainable=False)

    def check(self) -> None:
        if self.renorm and self.renorm_clipping is None:
            self.renorm_clipping = {}

    def normalized_axes(self) -> list[int]:
        return [self.axis] if self.axes is None else list(self.axes)

    def build(self, input_shape: tuple) -> None:
        axes, ndim = self.normalized_axes(), len(input_shape)
        sizes = dict(zip(axes, self.sizes_along(axes, input_shape), strict=True))
        self.input_spec = InputSpec(ndim=ndim, axes=sizes)
        places = {axis % ndim: size for axis, size in sizes.items()}
        if self.axes is None:
            (place,) = places
            vars(self)["_channels"] = -1 if place == ndim - 1 > 1 else place
            shape: tuple[int, ...] = tuple(sizes.values())
        else:
            vars(self)["_channels"] = tuple(sorted(places))
            shape = tuple(places.get(axis, 1) for axis in range(ndim))
        fused = self.axes is None and set(places) <= {1, ndim - 1}  # as TensorFlow does it for pictures
        vars(self)["_unbiased"] = self.unbiased_variance if fused or self.unbiased_variance == "always" else None
        vars(self)["_plain"] = not (self.renorm or self.synchronized or self._has_own_moments())
        self.make_weights(channels=shape)

    @grants("relu")
    def call(
        self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None, *, relu: bool = False
    ) -> Tensor:
        if not inputs.is_floating_point():
            inputs = inputs.to(self.dtype_policy.compute)
        averages, gamma, beta = self._buffers, self.gamma, self.beta
        mean: Any = averages["moving_mean"]
        variance: Any = averages["moving_variance"]
        by_batch = self.batch_statistics
        if not (by_batch == "always" or (training and (self._trainable or by_batch is not None))):
            return kernels.batch_norm(inputs, gamma, beta, mean, variance, self.epsilon, self._channels, relu)
        update = bool(training and (self._trainable or by_batch == "regardless") and by_batch not in _UNMOVED)
        return self._by_batch(inputs, gamma, beta, mean, variance, mask, update, relu)

    def behind(self, layer: Any) -> Any:
        fits = (
            "affine" in granted(layer)
            and "relu" in granted(self)
            and layer.activation is linear
            and self._channels == layer.channel_axis
            and self._compute == layer._compute in (torch.float32, torch.float64)
        )
        return self._of_convolution if fits else None

    def _of_convolution(
        self, convolve: Any, inputs: Tensor, training: bool | None = None, relu: bool = False
    ) -> Tensor:
        """`self(convolve(inputs))`. With moving statistics, on a CPU, for many values and where nobody asks for
        gradients, the convolution scales its kernel, so that its result need not be read again."""
        by_batch = training or self.batch_statistics == "always"
        if by_batch or torch.is_grad_enabled() or not eager.many(inputs) or not eager.on_cpu(inputs):
            return self.call(convolve(inputs), training, relu=relu)
        averages = self.moving_mean, self.moving_variance
        affine = kernels.scale_and_shift(self.gamma, self.beta, *averages, self.epsilon)
        return convolve(inputs, relu=relu, affine=affine)

    def _by_batch(
        self,
        inputs: Tensor,
        gamma: Tensor | None,
        beta: Tensor | None,
        moving_mean: Tensor,
        moving_variance: Tensor,
        mask: Tensor | None,
        update: bool,
        relu: bool,
    ) -> Tensor:
        """The call with statistics of the batch, which with `update` enter the moving ones."""
        if mask is not None and mask.ndim != inputs.ndim - 1:
            raise masking.misfit(self, mask, inputs.shape[:-1])
        epsilon, axis, values = self.epsilon, self._channels, inputs.numel()
        if values == 0:  # an empty batch has no statistics
            return kernels.batch_norm(inputs, gamma, beta, moving_mean, moving_variance, epsilon, axis, relu)
        plain = self._plain and mask is None
        if plain and not update:
            return kernels.batch_norm_by_batch(inputs, gamma, beta, epsilon, axis, relu)
        correction = 1.0
        if self._unbiased is not None:
            correction = kernels.variance_correction(inputs, moving_mean, self._unbiased, epsilon)
        if plain and values > moving_mean.numel():
            return kernels.batch_norm_and_update(
                inputs, gamma, beta, moving_mean, moving_variance, self.momentum, epsilon, axis, correction, relu
            )
        mean, variance = self._moments_of(inputs, mask)
        if not self.renorm:
            outputs = kernels.normalize(inputs, mean, variance, gamma, beta, epsilon)
        else:
            slow, limits = (self.renorm_mean, self.renorm_stddev), self.renorm_clipping or {}
            outputs = kernels.renormalize(inputs, mean, variance, *slow, gamma, beta, epsilon, limits)
        if update:
            self._move(mean, variance, correction)
        return torch.relu(outputs) if relu else outputs

    def _has_own_moments(self) -> bool:
        return type(self)._moments is not BatchNormalization._moments

    def _moments_of(self, inputs: Tensor, mask: Tensor | None) -> Any:
        """Mean and variance, with all axes kept."""
        found = self._moments(inputs, mask)
        if self.axes is not None:
            return found
        shape = [1] * inputs.ndim
        shape[self._channels] = -1
        return [each.reshape(shape) for each in found]

    def _moments(self, inputs: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean and variance of the batch, (channels,); users' own layers may have others."""
        mean, variance = kernels.moments(inputs, self._channels, mask, self.synchronized)
        return (mean.flatten(), variance.flatten()) if self.axes is None else (mean, variance)

    def _move(self, mean: Tensor, variance: Tensor, correction: float) -> None:
        kernels.move(self.moving_mean, mean, self.momentum)
        if not self.renorm:
            kernels.move(self.moving_variance, variance * correction, self.momentum)
            return
        deviation = torch.sqrt(variance + self.epsilon)
        kernels.move(self.renorm_mean, mean, self.renorm_momentum)
        kernels.move(self.renorm_stddev, deviation, self.renorm_momentum)
        kernels.move(self.moving_stddev, deviation, self.momentum)
        self.moving_variance.copy_(torch.relu(self.moving_stddev.square() - self.epsilon))


class _SampleNormalization(_Normalization):
    """Statistics over some axes of each sample, and weights with those axes."""

    def build(self, input_shape: tuple) -> None:
        axes = sorted(self.normalized_axes())
        shape, ndim = self.sizes_along(axes, input_shape), len(input_shape)
        ascending = sorted(axes, key=lambda axis: axis % ndim)
        trailing = axes == ascending and [axis % ndim for axis in axes] == list(range(ndim - len(axes), ndim))
        any_rank = axes[-1] < 0
        sizes = dict(zip(axes, shape, strict=True))
        self.axis = axes
        self.input_spec = InputSpec(
            ndim=None if any_rank else ndim, min_ndim=-axes[0] if any_rank else None, axes=sizes
        )
        vars(self)["_sizes"] = tuple(sizes[axis] for axis in ascending)
        vars(self)["_moved"] = None if trailing else tuple(ascending)
        self.make_weights(normalized=shape)


class _Axes(Declared):
    axis: Any = arg(
        _axis_or_axes.saying("`{0}`: Expected an int or a list/tuple of ints for the argument '{0}'; got {got}."),
        default=-1,
        doc="What the statistics are taken over.",
    )
    epsilon: float = arg(number(0), default=0.001, doc="Added to the variance.")


class LayerNormalization(BetaGammaLimits, CenterScale, _Axes, _SampleNormalization):
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta` over some axes of each sample (Ba et al., 2016).

    gamma and beta have the sizes of those axes, in ascending order of the numbers in `axis`. With `rms_scaling` it is
    `x / sqrt(variance + epsilon) * gamma`, which is no RMS normalization: that is `RMSNormalization`.
    """

    rms_scaling: bool = arg(boolean, default=False, doc="Leave the mean where it is.", kw_only=True)

    gamma = weight("*normalized", when=lambda layer: layer.scale or layer.rms_scaling)
    beta = weight("*normalized", when=lambda layer: layer.center and not layer.rms_scaling)

    def call(self, inputs: Tensor) -> Tensor:
        if not inputs.is_floating_point():
            inputs = inputs.to(self.dtype_policy.compute)
        if self.rms_scaling:
            return kernels.deviation_norm(inputs, self.gamma, self._sizes, self.epsilon, self._moved)
        return kernels.layer_norm(inputs, self.gamma, self.beta, self._sizes, self.epsilon, self._moved)


class RMSNormalization(_SampleNormalization):
    """`x / sqrt(mean(x**2) + epsilon) * scale` over some axes of each sample (Zhang & Sennrich, 2019)."""

    axis: Any = arg(_axis_or_axes, default=-1, doc="What the mean is taken over.")
    epsilon: float = arg(number(0), default=1e-6, doc="Added to the mean square.")

    scale = weight("*normalized", initializer="ones")

    def call(self, inputs: Tensor) -> Tensor:
        if not inputs.is_floating_point():
            inputs = inputs.to(self.dtype_policy.compute)
        return kernels.rms_norm(inputs, self.scale, self._sizes, self.epsilon, self._moved)


class _ChannelGroups(Declared):
    groups: int = arg(_group_count, default=32, doc="Into how many parts the channels fall.")
    axis: int = arg(_axis, default=-1, doc="Where the channels are.")
    epsilon: float = arg(number(0), default=0.001, doc="Added to the variance.")


class GroupNormalization(BetaGammaLimits, CenterScale, _ChannelGroups, _Normalization):
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta` over each group of channels of a sample (Wu & He, 2018).

    One group is layer normalization over all axes, as many groups as channels are instance normalization.
    Raises ValueError where `groups` does not divide the channels.
    """

    _autocast = False  # float32 inputs may be larger than any of half precision; the output is cast
    gamma = weight("channels", when="scale", autocast=False)
    beta = weight("channels", when="center", autocast=False)

    def build(self, input_shape: tuple) -> None:
        (channels,), ndim = self.sizes_along([self.axis], input_shape), len(input_shape)
        place = self.axis % ndim
        groups = channels if self.groups == -1 else self.groups
        if place == 0:
            raise ValueError(f"{named(self)}: `axis` must not be the batch axis; got axis={self.axis}.")
        if channels % groups:
            rule = "must divide the" if groups < channels else "cannot be more than the number of"
            raise ValueError(
                f"{named(self)}: `groups` {rule} channels (axis {self.axis}); got groups={groups}, {channels} channels."
            )
        self.groups = groups
        self.input_spec = InputSpec(ndim=ndim, axes={self.axis: channels})
        vars(self)["_channels"] = -1 if place == ndim - 1 > 1 else place
        self.make_weights(channels=channels)

    def call(self, inputs: Tensor) -> Tensor:
        policy = self.dtype_policy
        wide = inputs.to(policy.variable)
        outputs = kernels.group_norm(wide, self.gamma, self.beta, self.groups, self.epsilon, self._channels)
        return outputs.to(policy.compute)

    def output_dtype(self, input_dtype: torch.dtype) -> torch.dtype:
        return self.dtype_policy.compute


class UnitNormalization(_Normalization):
    """`x` divided by its Euclidean norm over some axes."""

    axis: Any = arg(
        _axis_or_axes.saying("Invalid value for `{0}` argument: expected an int or a list/tuple of ints; got {got}."),
        default=-1,
        doc="What the norm is taken over.",
    )

    _stateless = True

    def check(self) -> None:
        axes = self.normalized_axes()
        self.input_spec = InputSpec(min_ndim=max(-axis if axis < 0 else axis + 1 for axis in axes))

    def call(self, inputs: Tensor) -> Tensor:
        if not inputs.is_floating_point():
            inputs = inputs.to(self.dtype_policy.compute)
        return kernels.unit_norm(inputs, self.axis)


class SpectralNormalization(Layer):
    """A layer whose kernel (or embeddings) is divided by its greatest singular value before every call in training.

    The value is estimated by power iteration (Miyato et al., 2018), and the divided kernel is what the layer keeps.
    Raises ValueError for a layer with neither `kernel` nor `embeddings`.
    """

    layer: Layer = arg(_layer, doc="What is run.")
    power_iterations: int = arg(
        integer(1).saying("`{}` should be greater than zero,"), default=1, doc="Steps of the estimate in each call."
    )

    vector_u = weight(
        "*row",
        initializer=lambda layer: TruncatedNormal(stddev=0.02),
        dtype=lambda layer: layer.kernel.dtype,
        trainable=False,
    )

    def build(self, input_shape: tuple) -> None:
        if not self.layer._ready:
            self.layer.build(input_shape)
        found = next((name for name in ("kernel", "embeddings") if getattr(self.layer, name, None) is not None), None)
        if found is None:
            raise ValueError(
                f"{named(self)}: the object has no attribute 'kernel' nor 'embeddings': {named(self.layer)}."
            )
        vars(self)["_normalized"] = found
        self.make_weights(row=(1, self.kernel.shape[-1]))

    @property
    def kernel(self) -> Any:
        """The inner layer's weight that is normalized."""
        return getattr(self.layer, self._normalized)

    def _stored_weights(self) -> list[Any]:
        return [self.kernel, *self._own_weights()]  # as Keras 3 orders and stores them

    def _listed_weights(self) -> list[Any]:
        return self._stored_weights() if self.built else []

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if training:
            kernel, u = self.kernel, self.vector_u
            with torch.no_grad():
                normalized, direction = kernels.spectral_step(kernel, u, self.power_iterations)
                kernel.copy_(normalized)
                u.copy_(direction)
        return self.layer(inputs)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return self.layer.compute_output_shape(input_shape)
