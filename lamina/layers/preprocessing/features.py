"""Numbers and categories: scaled, put into bins, counted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...core import arrays, config, serialize
from ...core.declare import Declared, Kind, Refused, arg, boolean, integer, items, number
from ...core.errors import named, show_shape
from ...core.layer import Layer
from ...core.weight import weight
from ...kernels.encoding import encode
from ..normalization import _Normalization
from .adapting import Adapting, as_tensor, dense, encoded_shape, output_mode

__all__ = ["CategoryEncoding", "Discretization", "Normalization", "Rescaling"]


def _numbers(value: Any, owner: Layer) -> Any:
    value = serialize.deserialize(value) if isinstance(value, Mapping) else value
    if isinstance(value, bool) or not (isinstance(value, (int, float)) or arrays.is_array(value) or _listed(value)):
        raise Refused
    try:
        found = np.asarray(as_tensor(value, owner) if arrays.is_array(value) else value, dtype=float)
    except ValueError:
        raise Refused from None
    if np.isnan(found).any():
        raise Refused
    return value


def _listed(value: Any) -> bool:
    return arrays.is_listed(value) and not isinstance(arrays.first_of(value), (str, bytes, complex))


def _plain(value: Any) -> Any:
    return np.asarray(value).tolist()


_bad_numbers = ("a", math.nan, ["a"], [[1.0], [1.0, 2.0]])
_number_or_array = Kind("a number or an array of numbers", _numbers, good=(0.5, [1.0]), bad=_bad_numbers)
_statistic = Kind(
    "a number or an array of numbers", _numbers, dump=_plain, good=(0.5, [1.0]), bad=_bad_numbers
).optional()


class Rescaling(Layer):
    """`inputs * scale + offset`, in the layer's type. Arrays count along the last axes, or where pictures have their
    channels first, along the channels."""

    scale: Any = arg(_number_or_array, doc="Factor.")
    offset: Any = arg(_number_or_array, default=0.0, doc="Added after it.")

    supports_masking = True

    def _set_attribute(self, name: str, value: Any) -> None:
        super()._set_attribute(name, value)
        if name in ("scale", "offset"):
            self.register_buffer(
                f"_{name}", torch.as_tensor(getattr(self, name), dtype=torch.float32), persistent=False
            )

    def call(self, inputs: Tensor) -> Tensor:
        compute = self.dtype_policy.compute
        x = inputs if inputs.dtype is compute else inputs.to(compute)
        own: Any = self._buffers
        factor, shift = own["_scale"].to(x.device, compute), own["_offset"].to(x.device, compute)
        if config.image_data_format() == "channels_first":
            factor, shift = _along_channels(factor), _along_channels(shift)
        return torch.addcmul(shift, x, factor)

    def compute_output_shape(self, input_shape: Any) -> Any:
        numbers = all(value.ndim == 0 for value in self._buffers.values() if value is not None)
        return input_shape if numbers else super().compute_output_shape(input_shape)


def _along_channels(values: Tensor) -> Tensor:
    return values.reshape(*values.shape, *(1,) * (3 - values.ndim)) if values.ndim else values


_kept_axes = Kind(
    "an integer, several, or None",
    lambda v, o: () if v is None else items(v, integer(), o, alone=True, least=0),
    dump=list,
    good=(-1,),
    bad=("a", 1.5, ("a",)),
)


class _Statistics(Declared):
    axis: Any = arg(_kept_axes, default=-1, doc="Axes whose every place has statistics of its own; None: one for all.")
    mean: Any = arg(_statistic, default=None, attribute="input_mean", doc="The mean, where it is not learned.")
    variance: Any = arg(_statistic, default=None, attribute="input_variance", doc="The variance beside it.")
    invert: bool = arg(boolean, default=False, doc="Turn standardized values back.")


class Normalization(_Statistics, _Normalization, Adapting):
    """`(inputs - mean) / sqrt(variance)`, by statistics that are given or that `adapt` finds in data.

    mean and variance have the sizes of the axes in `axis`. Raises ValueError for one without the other.
    """

    adapt_mean = weight("*kept", when="_learns", initializer="zeros", trainable=False, name="mean")
    adapt_variance = weight("*kept", when="_learns", initializer="ones", trainable=False, name="variance")
    count = weight(when="_learns", initializer="zeros", dtype="int32", trainable=False)

    _takes_integers = False

    def check(self) -> None:
        mean, variance = np.shape(self.input_mean), np.shape(self.input_variance)
        if (self.input_mean is None) != (self.input_variance is None) or mean != variance:
            raise ValueError(
                f"Normalization: both `mean` and `variance` must be set, in one shape, or neither; got "
                f"mean={self.input_mean}, variance={self.input_variance}."
            )
        if len(mean) > len(self.axis):
            raise ValueError(
                f"Normalization: `mean` has {len(mean)} axes, more than the {len(self.axis)} in `axis` {self.axis}."
            )
        vars(self).update(_learns=self.input_mean is None)
        self.reset_state()

    def build(self, input_shape: tuple) -> None:
        ndim = len(input_shape)
        self.sizes_along(list(self.axis), input_shape)
        kept = sorted(axis % ndim for axis in self.axis)
        sizes = tuple(input_shape[axis] for axis in kept)
        broadcast = [input_shape[axis] if axis in kept else 1 for axis in range(ndim)]
        vars(self).update(_kept=kept, _broadcast=broadcast)
        self.make_weights(kept=sizes)
        if not self._learns:
            given = [torch.as_tensor(value, dtype=torch.float32) for value in (self.input_mean, self.input_variance)]
            try:
                both = torch.stack([value.expand(sizes).reshape(broadcast) for value in given])
            except RuntimeError:
                raise ValueError(
                    f"{named(self)}: `mean` of shape {show_shape(given[0].shape)} does not fit the axes {self.axis} of "
                    f"an input of shape {show_shape(input_shape)}."
                ) from None
            self.register_buffer("_given", both, persistent=False)

    @property
    def mean(self) -> Tensor | None:
        """The mean, in a shape that inputs broadcast with; None before the layer is built."""
        return self._statistics()[0] if self.built else None

    @property
    def variance(self) -> Tensor | None:
        return self._statistics()[1] if self.built else None

    def _statistics(self) -> tuple[Tensor, Tensor]:
        own = self._buffers
        if not self._learns:
            return own["_given"][0], own["_given"][1]
        return own["adapt_mean"].reshape(self._broadcast), own["adapt_variance"].reshape(self._broadcast)

    def call(self, inputs: Tensor) -> Tensor:
        x = inputs if inputs.is_floating_point() else inputs.to(self.dtype_policy.compute)
        mean, deviation = self._computed(x.dtype)
        return torch.addcmul(mean, x, deviation) if self.invert else (x - mean) / deviation

    def _computed(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The mean and the deviation for inputs of a type."""
        mean, variance = self._statistics()
        return mean.to(dtype), variance.sqrt().clamp(min=config.epsilon()).to(dtype)

    def adapt(self, data: Any, steps: int | None = None, *, batch_size: int | None = None) -> None:
        """Find mean and variance of an array, or of an iterable of batches."""
        if not self._learns:
            raise ValueError(f"{named(self)}: `mean` and `variance` were given, so there is nothing to adapt.")
        super().adapt(data, steps, batch_size=batch_size)

    def reset_state(self) -> None:
        vars(self)["_seen"] = (0, 0.0, 0.0)  # how many, their mean, their sum of squares around it

    def update_state(self, data: Any) -> None:
        batch = as_tensor(data, self)
        if not self.built:
            self.build(tuple(batch.shape))
        if batch.ndim != len(self._broadcast) or any(batch.shape[axis] != self._broadcast[axis] for axis in self._kept):
            expected = show_shape([size if axis in self._kept else None for axis, size in enumerate(self._broadcast)])
            raise ValueError(
                f"{named(self)}: `adapt` got data of an incompatible shape; expected data of shape {expected}; "
                f"got {show_shape(batch.shape)}."
            )
        batch = batch.double()
        others = [axis for axis in range(batch.ndim) if axis not in self._kept]
        count = math.prod(batch.shape[axis] for axis in others)
        mean = batch.mean(others) if others else batch
        square = (batch - batch.mean(others, keepdim=True)).square().sum(others) if others else torch.zeros_like(batch)
        before, old, squares = self._seen
        shift = mean - old
        both = max(before + count, 1)
        vars(self)["_seen"] = (
            before + count, old + shift * count / both, squares + square + shift.square() * before * count / both
        )  # fmt: skip

    def finalize_state(self) -> None:
        count, mean, squares = self._seen
        if count and self._learns and self.built:
            self.adapt_mean.assign(mean)
            self.adapt_variance.assign(squares / count)
            self.reset_state()


def _increasing(value: Any, owner: Layer) -> list[float]:
    if not (arrays.is_array(value) or _listed(value) or value in ([], ())):
        raise Refused
    found = np.asarray(as_tensor(value, owner) if arrays.is_array(value) else value)
    if found.ndim != 1 or found.dtype.kind not in "iuf" or not (found[1:] >= found[:-1]).all():
        raise Refused
    return found.tolist()


_boundaries = Kind(
    "a list of numbers in increasing order", _increasing, good=([0.0, 1.0],), bad=("a", 3, [1.0, 0.0], ["a"])
).optional()


class Discretization(Layer, Adapting):
    """The number of the bin that a value lies in: boundary i is the lower end of bin i + 1.

    The boundaries are given, or `adapt` finds those that put as many values into each of `num_bins` bins. Raises
    ValueError for both or neither.
    """

    bin_boundaries: Any = arg(_boundaries, default=None, doc="Ends of the bins.")
    num_bins: int | None = arg(integer(1).optional(), default=None, doc="How many bins to find.")
    epsilon: float = arg(number(0, 1), default=0.01, doc="How finely quantiles are told apart.")
    output_mode: str = arg(output_mode("int", "one_hot", "multi_hot", "count"), default="int")
    sparse: bool = arg(dense, default=False)
    _counts_in = torch.int32
    _autocast = False  # a short type would put values beside an edge into the bin behind it

    def check(self) -> None:
        if (self.num_bins is None) == (self.bin_boundaries is None):
            both = "got neither" if self.num_bins is None else "Both `num_bins` and `bin_boundaries` were given"
            raise ValueError(f"Discretization: give either `num_bins` or `bin_boundaries`. {both}.")
        if not self.epsilon:
            raise ValueError("Discretization: `epsilon` must be above 0.")
        self.reset_state()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "bin_boundaries":
            edges = None if value is None else torch.tensor(value, dtype=torch.float32)
            self.register_buffer("_edges", edges, persistent=False)

    def reset_state(self) -> None:
        vars(self)["summary"] = np.zeros((2, 0), "float32")

    def update_state(self, data: Any) -> None:
        if self.num_bins is None:
            raise ValueError(f"{named(self)}: `bin_boundaries` were given; to adapt it, make it with `num_bins`.")
        values = as_tensor(data, self).float().numpy()
        parts = np.concatenate([_summary(values, self.epsilon), self.summary], 1)
        vars(self)["summary"] = _compressed(parts[:, np.argsort(parts[0])], self.epsilon)

    def finalize_state(self) -> None:
        if self.num_bins is not None:
            self.bin_boundaries = _compressed(self.summary, 1 / self.num_bins)[0, :-1].tolist()

    def call(self, inputs: Tensor) -> Tensor:
        if self.bin_boundaries is None:
            raise ValueError(
                f"{named(self)} has no bins yet. You need to call `adapt(data)` first, or to give `bin_boundaries`."
            )
        edges, small = self._buffers["_edges"].float(), self._counts_in is torch.int32
        bins = torch.bucketize(inputs.float().contiguous(), edges, out_int32=small, right=True)
        return encode(bins, self.output_mode, self._depth, self.output_dtype(inputs.dtype))

    @property
    def _depth(self) -> Any:
        return self.num_bins if self.bin_boundaries is None else len(self.bin_boundaries) + 1

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return encoded_shape(input_shape, self.output_mode, self._depth)

    def output_dtype(self, input_dtype: torch.dtype) -> torch.dtype:
        return self._counts_in if self.output_mode == "int" else self.dtype_policy.compute

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["trainable"]
        return {**config, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        if isinstance(config, Mapping) and config.get("num_bins") is not None:  # the boundaries are what it learned
            made = super().from_config({**config, "bin_boundaries": None})
            made.bin_boundaries = config.get("bin_boundaries")
            return made
        return super().from_config(config)

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        if "0" in store:  # some files hold it
            vars(self)["summary"] = np.asarray(store["0"])
            if self.summary.size:
                self.finalize_state()


def _summary(values: np.ndarray, epsilon: float) -> np.ndarray:
    """About 1 / epsilon of the values, evenly spaced in their order, and how many each of them stands for."""
    ordered = np.sort(values, axis=None)
    step = max(ordered.size / (1.0 / epsilon), 1)
    chosen = ordered[int(step - 1) :: int(step)]
    return np.stack([chosen, np.ones_like(chosen) * step])


def _compressed(summary: np.ndarray, epsilon: float) -> np.ndarray:
    """A summary of 1 / epsilon values, between which is interpolated; a smaller one as it is."""
    if summary.shape[1] * epsilon < 1:
        return summary
    wanted = epsilon + np.arange(0.0, 1.0, epsilon)
    weights = summary[1].cumsum()
    shares = weights / weights[-1]
    upto = np.interp(wanted, shares, weights)
    found = np.stack([np.interp(wanted, shares, summary[0]), np.diff(upto, prepend=0)])
    return found.astype("float32")


def _positive(value: Any, owner: Any) -> int:
    if value is None:
        raise Refused("num_tokens must be set to use this layer; where the number is not known, use IntegerLookup.")
    return integer(1).convert(value, owner)


_tokens = Kind("a positive integer", _positive, good=(4,), bad=(0, -1, "a", None), says="`{}` must be >= 1,")


class CategoryEncoding(Layer):
    """Integers 0 .. num_tokens - 1 as vectors of that many values; negative ones count nowhere.

    "one_hot": input (batch, ...) or (batch, ..., 1), output (batch, ..., num_tokens). "multi_hot" and "count": input
    (batch, n, ...), output (batch, ..., num_tokens). Raises ValueError for a larger integer.
    """

    num_tokens: int = arg(_tokens, default=None, doc="How many there are.")
    output_mode: str = arg(output_mode("one_hot", "multi_hot", "count"), default="multi_hot")
    sparse: bool = arg(dense, default=False, config=False)

    _autocast = False

    def call(self, inputs: Tensor, count_weights: Tensor | None = None) -> Tensor:
        if count_weights is not None and self.output_mode != "count":
            raise ValueError(
                f"{named(self)}: `count_weights` is not used when `output_mode` is {self.output_mode!r}; "
                "it is for 'count'."
            )
        return encode(inputs, self.output_mode, self.num_tokens, self.dtype_policy.compute, count_weights)
