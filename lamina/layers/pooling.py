"""Pooling over windows, over everything, and to a wanted size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor

from ..core.declare import Kind, arg, as_sizes, boolean, one_of, sizes
from ..core.fusion import grants
from ..kernels import pooling, window
from .arguments import DataFormat
from .spatial import Spatial, Windowed, data_format

__all__ = [
    "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D", "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D",
    "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D", "GlobalMaxPooling1D",
    "GlobalMaxPooling2D", "GlobalMaxPooling3D", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D",
]  # fmt: skip

_strides = Kind(
    "a positive integer, or one for each spatial axis (None: the pool size)",
    lambda value, owner: None if value is None else as_sizes(value, owner.rank, 1),
    good=(None, 1, 2),
    bad=("a", 0, (1, 2, 3, 4)),
)


class _Pooling(Windowed):
    _stateless = True
    pool_size: Any = arg(sizes(1), doc="Size of the window.")
    strides: Any = arg(_strides, default=None, doc="Steps between windows.")
    padding: str = arg(one_of("valid", "same"), default="valid")
    data_format: str = arg(data_format, default=None)

    def check(self) -> None:
        self.strides = self.strides or self.pool_size

    def build(self, input_shape: tuple) -> None:
        self.fix_input(input_shape)
        self.check_window(input_shape, self.pool_size, 1, self.padding)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        self.check_shape(input_shape)
        self.check_window(input_shape, self.pool_size, 1, self.padding)
        padding = (self.padding,) * self.rank
        return self.resized(input_shape, window.output_size, self.pool_size, self.strides, padding)


class MaxPooling(_Pooling):
    """The largest value of each window. Input and output (batch, *spatial, channels)."""

    ends_in_relu = False
    pool_size: Any = arg(sizes(1), default=2, doc="Size of the window.")

    @grants("relu", says="largest")
    def call(self, inputs: Tensor, *, relu: bool = False) -> Tensor:
        return pooling.run(inputs, self.plan_for(inputs), relu)

    def make_plan(self, shape: tuple) -> Any:
        return pooling.plan_max(shape, self.pool_size, self.strides, self.padding, self.channels_last)


class MaxPooling1D(MaxPooling):
    rank = 1


class MaxPooling2D(MaxPooling):
    rank = 2


class MaxPooling3D(MaxPooling):
    rank = 3


class AveragePooling(_Pooling):
    """The mean of each window; padding does not count. Input and output (batch, *spatial, channels)."""

    def call(self, inputs: Tensor) -> Tensor:
        return pooling.run(inputs, self.plan_for(inputs))

    def make_plan(self, shape: tuple) -> Any:
        return pooling.plan_average(shape, self.pool_size, self.strides, self.padding, self.channels_last)


class AveragePooling1D(AveragePooling):
    rank = 1


class AveragePooling2D(AveragePooling):
    rank = 2


class AveragePooling3D(AveragePooling):
    rank = 3


class _GlobalPooling(DataFormat, Spatial):
    _stateless = True
    keepdims: bool = arg(boolean, default=False, doc="Keep the spatial axes, with size 1.")

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        self.check_shape(input_shape)
        if self.keepdims:
            return self.with_spatial(input_shape, (1,) * self.rank)
        return (input_shape[0], input_shape[self.channel_axis])


class GlobalMaxPooling(_GlobalPooling):
    """The largest value of each channel. Input (batch, *spatial, channels), output (batch, channels)."""

    def call(self, inputs: Tensor) -> Tensor:
        return pooling.global_max(inputs, self._last, self.keepdims)


class GlobalMaxPooling1D(GlobalMaxPooling):
    rank = 1


class GlobalMaxPooling2D(GlobalMaxPooling):
    rank = 2


class GlobalMaxPooling3D(GlobalMaxPooling):
    rank = 3


class GlobalAveragePooling(_GlobalPooling):
    """The mean of each channel. Input (batch, *spatial, channels), output (batch, channels)."""

    def call(self, inputs: Tensor) -> Tensor:
        return pooling.global_average(inputs, self._last, self.keepdims)


class GlobalAveragePooling1D(GlobalAveragePooling):
    """The mean over time, of the steps that the mask, (batch, steps), lets through. Input (batch, steps, features)."""

    rank = 1
    supports_masking = True
    _creates_mask = False

    @property
    def _mask_axes(self) -> tuple[int, int]:  # type: ignore[override]
        return (0, 1 if self.channels_last else 2)

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        return pooling.global_average(inputs, self._last, self.keepdims, mask)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """The mask ends here."""


class GlobalAveragePooling2D(GlobalAveragePooling):
    rank = 2


class GlobalAveragePooling3D(GlobalAveragePooling):
    rank = 3


class _AdaptivePooling(Windowed):
    _stateless = True
    output_size: Any = arg(sizes(1), doc="Spatial size of the output.")
    data_format: str = arg(data_format, default=None)
    _plan: ClassVar[Callable[..., Any]]

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        self.check_shape(input_shape)
        return self.with_spatial(input_shape, self.output_size)

    def call(self, inputs: Tensor) -> Tensor:
        return pooling.run(inputs, self.plan_for(inputs))

    def make_plan(self, shape: tuple) -> Any:
        return self._plan(shape, self.output_size, self.channels_last)


class AdaptiveMaxPooling(_AdaptivePooling):
    """The largest value of each of `output_size` nearly equal parts."""

    _plan = staticmethod(pooling.plan_adaptive_max)


class AdaptiveMaxPooling1D(AdaptiveMaxPooling):
    rank = 1


class AdaptiveMaxPooling2D(AdaptiveMaxPooling):
    rank = 2


class AdaptiveMaxPooling3D(AdaptiveMaxPooling):
    rank = 3


class AdaptiveAveragePooling(_AdaptivePooling):
    """The mean of each of `output_size` nearly equal parts."""

    _plan = staticmethod(pooling.plan_adaptive_average)


class AdaptiveAveragePooling1D(AdaptiveAveragePooling):
    rank = 1


class AdaptiveAveragePooling2D(AdaptiveAveragePooling):
    rank = 2


class AdaptiveAveragePooling3D(AdaptiveAveragePooling):
    rank = 3
