"""Layers that change the colours of pictures; where things are stays."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ...core import config
from ...core.declare import Kind, Refused, arg, as_integer, as_sizes, integer, listed, number
from ...kernels import histogram, noise
from ..arguments import DataFormat, Seed
from ..spatial import data_format
from .pictures import Chance, Factor, Pictures, Random, Transformation, ValueRange, each, extent, numbers, operations

__all__ = [
    "AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "Equalization", "RandomBrightness",
    "RandomColorDegeneration", "RandomContrast", "RandomErasing", "RandomGaussianBlur", "RandomGrayscale", "RandomHue",
    "RandomInvert", "RandomPosterization", "RandomSaturation", "RandomSharpness", "Solarization",
]  # fmt: skip

_FIRST = "channels_first"


class _Scaled:
    """Values of one range in another."""

    value_range: Any = (0, 255)

    def scaled(self, x: Tensor, top: float) -> Tensor:
        """From the value range to 0 .. `top`."""
        lower, upper = self.value_range
        return x if (lower, upper) == (0, top) else (x - lower) / (upper - lower) * top  # as Keras rounds it

    def unscaled(self, y: Tensor, top: float) -> Tensor:
        lower, upper = self.value_range
        return y if (lower, upper) == (0, top) else y / top * (upper - lower) + lower


class _Coloured(_Scaled, Random):
    """A random change of values between two limits."""

    bounds = (0, 1)

    def within(self, y: Tensor) -> Tensor:
        return y.clamp_(*self.value_range)


class _ByName(_Coloured):
    """Takes `data_format` by name."""

    data_format: str = arg(data_format, default=None, kw_only=True, doc="Where the channels are.")


class RandomContrast(Seed, ValueRange, Factor, _ByName):
    """In training, the distance of values from their channel's mean, times a number from 1 - lower to 1 + upper."""

    bounds = (0, 1)

    def draw(self, x: Tensor) -> Transformation:
        lower, upper = self.factor
        return {"contrast_factor": self.uniform(x, (1 - lower, 1 + upper), 1, 1, 1)}

    def transform(self, x: Tensor, how: Transformation) -> Tensor:
        mean = x.mean((2, 3), keepdim=True)
        return self.within(torch.lerp(mean, x, each(how["contrast_factor"], x)))


class RandomBrightness(Seed, ValueRange, Factor, _ByName):
    """In training, all values of a picture plus a random part of the value range."""

    def draw(self, x: Tensor) -> Transformation:
        lower, upper = self.value_range
        return {"rgb_delta": self.uniform(x, self.factor, 1, 1, 1) * (upper - lower)}

    def transform(self, x: Tensor, how: Transformation) -> Tensor:
        return self.within(x + each(how["rgb_delta"], x))


class _Changed(Seed, DataFormat, ValueRange, Factor, _Coloured):
    """One number a picture, uniform between the bounds of `factor`."""

    def draw(self, x: Tensor) -> Transformation:
        return {"factor": self.uniform(x, self.factor)}


class RandomColorDegeneration(_Changed):
    """In training, colours on the way to grey: 0 leaves them, 1 is grey, below 0 they become stronger."""

    def transform(self, x: Tensor, how: Transformation) -> Tensor:
        grey = operations().rgb_to_grayscale(self.coloured(x), _FIRST)
        return self.within(torch.lerp(x, grey.expand_as(x), each(how["factor"], x)))


class RandomHue(_Changed):
    """In training, all hues turned one way or the other, by half a circle at most."""

    bounds = (0, 1)

    def draw(self, x: Tensor) -> Transformation:
        side = torch.where(self.uniform(x, (0, 1)) > 0.5, -0.5, 0.5)
        return {"factor": side * self.uniform(x, self.factor)}

    def transform(self, x: Tensor, how: Transformation) -> Tensor:
        hue, rest = operations().rgb_to_hsv(self.scaled(self.coloured(x), 1), _FIRST).split([1, 2], 1)
        turned = torch.cat([torch.remainder(hue + each(how["factor"], x), 1.0), rest], 1)
        return self.unscaled(operations().hsv_to_rgb(turned, _FIRST).clamp(0, 1), 1)


class RandomSaturation(_Changed):
    """In training, the saturation times f / (1 - f): 0 is grey, 0.5 changes nothing, 1 is without limit."""

    def draw(self, x: Tensor) -> Transformation:
        factor = self.uniform(x, self.factor)
        return {"factor": factor / (1 - factor + config.epsilon())}

    def transform(self, x: Tensor, how: Transformation) -> Tensor:
        times = each(how["factor"], x)
        hue, saturation, value = operations().rgb_to_hsv(self.coloured(x), _FIRST).split(1, 1)
        return operations().hsv_to_rgb(
            torch.cat([hue, (saturation * times).clamp(*self.value_range), value], 1), _FIRST
        )


class RandomSharpness(_Changed):
    """In training, pictures smoothed (0) to sharpened (1); 0.5 changes nothing."""

    bounds = (0, 1)

    def transform(self, x: Tensor, how: Transformation) -> Tensor:
        smooth = functional.avg_pool2d(x, 3, 1, 1) * (9 / 13) + x * (4 / 13)
        return self.within(torch.lerp(smooth, x, each(2 * how["factor"], x)))


class RandomPosterization(_Changed):
    """In training, values of fewer bits: of 8 as many remain as `factor` says, its upper end left out."""

    bounds = (1, 8)

    def draw(self, x: Tensor) -> Transformation:
        lower, upper = self.factor
        bits = self.uniform(x, (lower, upper)).floor().clamp(max=max(upper - 1, lower))
        return {"shift_factor": 8 - bits}

    def transform(self, x: Tensor, how: Transformation) -> Tensor:
        step = torch.exp2(each(how["shift_factor"], x)).to(x.dtype)
        return self.unscaled(torch.floor(self.scaled(x, 255).floor() / step) * step, 255)


class RandomGrayscale(Seed, DataFormat, Random):
    """In training, a part `factor` of the pictures in grey, in three channels as before."""

    factor: float = arg(number(0, 1), default=0.5, doc="How many of all.")
    seed: Any = arg(Seed._args["seed"].kind, default=None, config="set")
    _order = ("factor", "data_format", "seed")

    def draw(self, x: Tensor) -> Transformation:
        return {"should_apply": self.uniform(x, (0, 1)) < self.factor}

    def transform(self, x: Tensor, how: Transformation) -> Tensor:
        if x.shape[1] == 1:  # grey already
            return x
        return torch.where(each(how["should_apply"], x), operations().rgb_to_grayscale(self.coloured(x), _FIRST), x)


class RandomInvert(DataFormat, Seed, ValueRange, Chance, _Coloured):
    """In training, the negative of some of the pictures."""

    def draw(self, x: Tensor) -> Transformation:
        return {"apply_inversion": self.chance(x, self.factor)}

    def transform(self, x: Tensor, how: Transformation) -> Tensor:
        return torch.where(each(how["apply_inversion"], x), self.value_range[1] - x, x)


def _odd(value: Any, owner: Any) -> tuple[int, ...]:
    found = as_sizes(value, 2, 1)
    if not all(size % 2 for size in found):
        raise Refused("A kernel has a middle.")
    return found


_odds = Kind("an odd integer, or one for each of height and width", _odd, good=(3, (5, 1)), bad=(2, "a", None))


class RandomGaussianBlur(Seed, DataFormat, ValueRange, Chance, _Coloured):
    """In training, some of the pictures smoothed by a Gaussian of random widths."""

    kernel_size: Any = arg(_odds, default=3, doc="Size of the kernel.")
    sigma: Any = arg(extent, default=1.0, doc="Its width, in pixels.")
    _order = ("factor", "kernel_size", "sigma", "value_range", "data_format", "seed")

    def draw(self, x: Tensor) -> Transformation:
        chosen = self.chance(x, self.factor)
        return {"should_apply_blur": chosen, "blur_factor": self.uniform(x, self.sigma, count=2) + 1e-6}

    def transform(self, x: Tensor, how: Transformation) -> Tensor:
        blurred = operations().gaussian_blur(x, self.kernel_size, how["blur_factor"].to(x.dtype), _FIRST)
        return self.within(torch.where(each(how["should_apply_blur"], x), blurred, x))


def _fill(value: Any, owner: Any) -> Any:
    return numbers(value, owner, 3) if isinstance(value, (tuple, list)) else number().convert(value, owner)


class RandomErasing(DataFormat, Seed, ValueRange, Chance, _Coloured):
    """In training, a rectangle of some of the pictures filled with one value, or with noise (Zhong et al., 2017)."""

    scale: Any = arg(extent, default=(0.02, 0.33), doc="Squares of its sides, in parts of the picture's.")
    fill_value: Any = arg(
        Kind("a number, or one for each of 3 channels", _fill, good=(3.0, (1, 2, 3)), bad=("a", (1, 2))).optional(),
        default=None,
        doc="What is there then; None for noise.",
    )
    _order = ("factor", "scale", "fill_value", "value_range", "seed", "data_format")

    def draw(self, x: Tensor) -> Transformation:
        chosen = self.chance(x, self.factor)
        masks = rectangle(self, x, self.uniform(x, self.scale, 2).sqrt())[0]
        if self.fill_value is None:
            values = noise.draw(x, x.shape, self.seed_generator, "normal_", 0, 1) * self.value_range[1]
        else:
            values = torch.as_tensor(self.fill_value, dtype=x.dtype, device=x.device).reshape(1, -1, 1, 1)
        values = self._like(self.within(values), False)
        return {"apply_erasing": chosen, "batch_masks": masks, "fill_value": values}

    def transform(self, x: Tensor, how: Transformation) -> Tensor:
        values = how["fill_value"].to(x.dtype)
        values = self._batch(values)[0] if values.ndim == 4 else values.reshape(-1, 1, 1)
        return torch.where(each(how["apply_erasing"], x) & self._batch(how["batch_masks"])[0], values, x)


def rectangle(layer: Random, x: Tensor, sides: Tensor) -> tuple[Tensor, Tensor]:
    """Where in each picture a rectangle is, a mask, at a random place, and its part of the area, (N,).

    `sides`: (N, 2) parts of height and width.
    """
    within = []
    for size, part, start in zip(x.shape[2:], sides.split(1, 1), layer.uniform(x, (0, 1), 2).split(1, 1), strict=True):
        places = torch.arange(size, dtype=sides.dtype, device=x.device)
        first = start * (1 - part) * size
        within.append((places >= first) & (places < first + part * size))
    rows, columns = within
    return layer._like(rows[:, None, :, None] & columns[:, None, None, :], False), sides.prod(1)


class Solarization(Seed, ValueRange, _ByName):
    """In training, values made larger, and the negative of what is then above a threshold."""

    addition_factor: Any = arg(extent, default=0.0, doc="How much is added, in parts of the value range.")
    threshold_factor: Any = arg(extent, default=0.0, doc="Where the negative begins.")
    _order = ("addition_factor", "threshold_factor", "value_range", "seed")

    def draw(self, x: Tensor) -> Transformation:
        limits = {"additions": self.addition_factor, "thresholds": self.threshold_factor}
        return {
            key: self.uniform(x, (lower, 255 * upper), 1, 1, 1).to(x.dtype) for key, (lower, upper) in limits.items()
        }

    def transform(self, x: Tensor, how: Transformation) -> Tensor:
        more, threshold = each(how["additions"], x), each(how["thresholds"], x)
        y = (self.scaled(x, 255) + more).clamp(0, 255)
        return self.unscaled(torch.where(y < threshold, y, 255 - y), 255)


class AutoContrast(ValueRange, Pictures):
    """Values stretched so that each channel of a picture reaches from end to end of the value range."""

    data_format: str = arg(data_format, default=None, kw_only=True, doc="Where the channels are.")

    def transform(self, x: Tensor, how: Transformation) -> Tensor:
        lower, upper = self.value_range
        low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        scale = (upper - lower) / torch.where(high > low, high - low, 1)
        return torch.where(high > low, ((x - low) * scale + lower).clamp(lower, upper), x)


class Equalization(DataFormat, ValueRange, _Coloured):
    """In training, values spread so that all of a channel, over the batch, are about equally frequent."""

    bins: int = arg(integer(2), default=256, doc="How many values are told apart.")
    _order = ("value_range", "bins", "data_format")

    def transform(self, x: Tensor, how: Transformation) -> Tensor:
        values = self.scaled(x, 255)
        kinds = (values * ((self.bins - 1) / 255)).clamp(0, self.bins - 1).long()
        kinds = kinds + torch.arange(x.shape[1], device=x.device).reshape(-1, 1, 1) * self.bins
        counts = torch.zeros(x.shape[1] * self.bins, dtype=torch.int64, device=x.device)
        counts = counts.index_add_(0, kinds.flatten(), counts.new_ones(()).expand(kinds.numel())).reshape(-1, self.bins)
        below = counts.cumsum(1)
        least = torch.where(below > 0, below, below[:, -1:]).amin(1, keepdim=True)
        spread = below[:, -1:] - least
        table = ((below - least) * 255 / spread.clamp(min=1)).round().clamp(0, 255).to(x.dtype)
        several = (spread > 0).reshape(-1, 1, 1)
        return self.unscaled(torch.where(several, table.flatten()[kinds], values), 255)


def _grid(value: Any, owner: Any) -> tuple[int, ...]:
    found = tuple(as_integer(count) for count in listed(value))
    if len(found) != 2 or min(found) < 1:
        raise Refused
    return found


_tiles = Kind("a pair of positive integers", _grid, good=((1, 2),), bad=(8, (1,), (0, 1), "ab", None))


class ContrastLimitedAdaptiveHistogramEqualization(ValueRange, _Scaled, Pictures):
    """Values spread so that all are about equally frequent in each part of a picture, in the input's type (Zuiderveld,
    1994). Between the middles of neighbouring tiles, the values that these give are interpolated."""

    clip_limit: float = arg(number(), default=4.0, doc="How many times the mean a value may count; 0 or less: any.")
    tile_grid_size: Any = arg(_tiles, default=(8, 8), doc="How many tiles there are down and across.")
    data_format: str = arg(data_format, default=None)
    _keeps_dtype = True

    def transform(self, x: Tensor, how: Transformation) -> Tensor:
        values = self.scaled(x.float(), 255)
        return self.unscaled(histogram.locally_equalized(values, self.tile_grid_size, self.clip_limit), 255).to(x.dtype)
