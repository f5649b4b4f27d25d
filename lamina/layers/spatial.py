"""What layers over spatial axes share: rank, data format, and shapes axis by axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from torch import Tensor
from torch.compiler import is_dynamo_compiling

from ..core import config
from ..core.declare import Kind, Refused, worked_out
from ..core.errors import axis_names, named, unsized
from ..core.layer import InputSpec, Layer
from ..core.spec import require
from ..core.symbolic import Node
from ..core.trail import Advice, advice_of, named_sizes
from ..kernels import window


def _data_format(value: Any, owner: Any) -> str:
    value = config.image_data_format() if value is None else value
    word = value.lower() if isinstance(value, str) else value
    if word not in ("channels_last", "channels_first"):
        raise Refused
    return word


data_format = Kind(
    '"channels_last" or "channels_first" (None: the default of keras.json)',
    _data_format,
    good=("channels_last", "channels_first"),
    bad=("channels_middle", 3),
)


# Plans a layer keeps; data of ever new lengths must not fill the memory.
_MOST_PLANS = 64


class Spatial(Layer):
    """A layer over `rank` spatial axes: inputs (batch, *spatial, channels), or (batch, channels, *spatial)."""

    rank: ClassVar[int]
    data_format = "channels_last"
    _worked_out: ClassVar[tuple[str, ...]] = ("_last",)

    @property
    def channels_last(self) -> bool:
        return self.data_format == "channels_last"

    @worked_out
    def _last(self) -> bool:  # where `call` is called by hand before `build`
        return self.channels_last

    def build(self, input_shape: tuple) -> None:
        self.fix_input(input_shape)

    def fix_input(self, input_shape: tuple, channels: int | None = None) -> None:
        """Refuse inputs of another rank, or of other than `channels` channels, from now on."""
        vars(self)["_last"] = self.channels_last
        axes = {} if channels is None else {self.channel_axis: channels}
        self.input_spec = InputSpec(ndim=self.rank + 2, axes=axes, data_format=self.data_format)
        self.check_shape(input_shape)

    def check_shape(self, input_shape: tuple) -> None:
        """Raises ValueError for an input of another rank."""
        require(self, input_shape, InputSpec(ndim=self.rank + 2, data_format=self.data_format))

    def _advice(self, shapes: Sequence[tuple], before: Sequence[Node]) -> Advice:
        spec = self.input_spec or InputSpec(ndim=self.rank + 2, data_format=self.data_format)
        return advice_of(spec, shapes, before)

    @property
    def channel_axis(self) -> int:
        return -1 if self.channels_last else 1

    def channels(self, input_shape: tuple) -> int:
        """The number of channels. Raises ValueError where it is unknown."""
        self.check_shape(input_shape)
        channels = input_shape[self.channel_axis]
        if channels is None:
            raise unsized(self, f"channels axis (axis {self.channel_axis})", input_shape)
        return channels

    def spatial(self, shape: tuple) -> tuple:
        return tuple(shape[1:-1] if self.channels_last else shape[2:])

    def with_spatial(self, shape: tuple, sizes: tuple, channels: int | None = None) -> tuple:
        """`shape` with other spatial sizes, and other channels where given."""
        channels = shape[self.channel_axis] if channels is None else channels
        return (shape[0], *sizes, channels) if self.channels_last else (shape[0], channels, *sizes)

    def resized(self, input_shape: tuple, resize: Callable[..., int | None], *per_axis: tuple) -> tuple:
        """`input_shape` with every spatial size passed through `resize(size, *arguments of that axis)`."""
        self.check_shape(input_shape)
        sizes = tuple(resize(*axis) for axis in zip(self.spatial(input_shape), *per_axis, strict=True))
        axes = axis_names(self.rank + 2, self.data_format)
        for position, size in enumerate(sizes, start=1 if self.channels_last else 2):
            if size is not None and size < 0:
                raise ValueError(f"{named(self)}: nothing is left of the {axes[position]} axis of {input_shape}.")
        return self.with_spatial(input_shape, sizes)


class Windowed(Spatial):
    """A layer whose window slides over the spatial axes. Its call is planned once for a shape of the input."""

    _worked_out: ClassVar[tuple[str, ...]] = ("_last", "_plans")

    def check_window(self, input_shape: tuple, size: tuple, dilation: tuple | int = 1, padding: Any = "valid") -> None:
        """Raises ValueError where the window does not fit into the input."""
        names = axis_names(self.rank + 2, self.data_format)
        axes = [name for name in names if name not in ("batch", "channels", "features")]
        window.check_fits(named(self), self.spatial(input_shape), size, dilation, padding, axes)

    def _advice(self: Any, shapes: Sequence[tuple], before: Sequence[Node]) -> Advice:
        found = super()._advice(shapes, before)
        word = "kernel_size" if hasattr(self, "kernel_size") else "pool_size"
        if found.expected or not shapes or not hasattr(self, word):
            return found
        shape, rank = shapes[0], self.rank
        kernel, dilation = getattr(self, word), getattr(self, "dilation_rate", (1,) * rank)
        each = zip(self.spatial(shape), kernel, window.per_axis(self.padding, rank), dilation, strict=True)
        axes = [(size, k, d) for size, k, padding, d in each if window.output_size(size, k, 1, padding, d) == 0]
        if not axes:
            return found
        size = min(size for size, _, _ in axes)
        wanted = max(window.extent(k, d) for _, k, d in axes)
        smaller = f"{word} <= {(size - 1) // max(d for *_, d in axes) + 1}, " if size else ""
        return Advice(
            f"at least {wanted} along each spatial axis",
            named_sizes(shape, self.data_format),
            f"{smaller}padding='same', or fewer strides and poolings before it.",
        )

    @worked_out
    def _plans(self) -> dict[Any, Any]:
        return {}

    def plan_for(self, inputs: Tensor) -> Any:
        """The plan for inputs of this shape, whatever their number."""
        if is_dynamo_compiling():  # sizes may be symbols there, which no table can hold
            return self.make_plan(inputs.shape)
        shape = inputs.shape
        try:
            plan = self._plans.get(shape)
        except TypeError:  # the same while torch.export traces
            return self.make_plan(shape)
        if plan is None:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            plan = self._plans[shape] = self.make_plan((-1, *shape[1:]))
        return plan

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_plans": {}}

    def make_plan(self, shape: tuple) -> Any:
        """The plan for inputs of shape (-1, ...)."""
        raise NotImplementedError(f"{type(self).__name__} needs a `make_plan` method.")
