"""Layers that change where things are in pictures: sizes, parts, turns. Boxes and masks of segments follow."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ...core import random
from ...core.declare import Declared, arg, boolean, integer, number, one_of, seed
from ...kernels import noise, resize, warp
from ..arguments import DataFormat, Seed
from ..spatial import data_format
from .pictures import (
    Chance,
    Factor,
    Filling,
    Pictures,
    Random,
    Size,
    Transformation,
    ValueRange,
    each,
    extent,
    extent_as_given,
    interpolation,
    operations,
    span,
)

__all__ = [
    "CenterCrop", "RandomCrop", "RandomElasticTransform", "RandomFlip", "RandomPerspective", "RandomRotation",
    "RandomShear", "RandomTranslation", "RandomZoom", "Resizing",
]  # fmt: skip

# Sizes -----------------------------------------------------------------------------------------------------------


class _Sized(Declared):
    """Outputs of one size. Inputs (H, W, C) or (N, H, W, C), output with `height` and `width` in their place."""

    height: int = arg(integer(1), doc="Rows of the output.")
    width: int = arg(integer(1), doc="Columns of the output.")

    def compute_output_shape(self: Any, input_shape: Any) -> Any:
        place = len(input_shape) - (3 if self.channels_last else 2)
        return (*input_shape[:place], *self.size, *input_shape[place + 2 :])

    @property
    def size(self) -> Size:
        return self.height, self.width

    def size_after(self, size: Size, how: Transformation) -> Size:
        return self.size

    def transform_masks(self: Any, masks: Tensor, how: Transformation) -> Tensor:
        return self.transform(masks, how, "nearest")


def _scaled(like: Tensor, before: tuple, after: tuple, left: float = 0.0, top: float = 0.0) -> Tensor:
    """The matrix that takes the part (rows, columns) of a picture at (left, top) to a whole one of another size."""
    down, across = after[0] / before[0], after[1] / before[1]
    rows = ((across, 0.0, -across * left), (0.0, down, -down * top), (0.0, 0.0, 1.0))
    return torch.tensor(rows, dtype=torch.float32, device=like.device).unsqueeze(0)


class Resizing(DataFormat, _Sized, Pictures):
    """Pictures of another size, in their own type: whole, or the middle of the same aspect ratio, or filled up to it.

    Raises ValueError for both `crop_to_aspect_ratio` and `pad_to_aspect_ratio`.
    """

    interpolation: str = arg(
        one_of("bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5"), default="bilinear"
    )
    crop_to_aspect_ratio: bool = arg(boolean, default=False, doc="Cut the middle out of the longer axis.")
    pad_to_aspect_ratio: bool = arg(boolean, default=False, doc="Put `fill_value` round the shorter axis.")
    fill_mode: str = arg(one_of("constant"), default="constant")
    fill_value: float = arg(number(), default=0.0, doc="The value of what is put round.")
    antialias: bool = arg(boolean, default=False, doc="Mean over more of the input where the output is smaller.")
    _order = ("height", "width", "interpolation", "crop_to_aspect_ratio", "pad_to_aspect_ratio",
              "fill_mode", "fill_value", "antialias", "data_format")  # fmt: skip
    _keeps_dtype = True

    def check(self) -> None:
        if self.crop_to_aspect_ratio and self.pad_to_aspect_ratio:
            raise ValueError("Resizing: only one of `crop_to_aspect_ratio` and `pad_to_aspect_ratio` can be True.")

    def transform(self, x: Tensor, how: Transformation, interpolation: str | None = None) -> Tensor:
        if self.crop_to_aspect_ratio or self.pad_to_aspect_ratio:
            x = resize.to_ratio(x, self.size, self.pad_to_aspect_ratio, self.fill_value)
        return resize.resize(x, self.size, interpolation or self.interpolation, self.antialias)

    def moved(self, size: Size, how: Transformation, like: Tensor) -> Tensor:
        whole = size
        if self.crop_to_aspect_ratio or self.pad_to_aspect_ratio:
            whole = resize.size_of_ratio(size, self.size, self.pad_to_aspect_ratio)
        top, left = ((old - new) / 2 for old, new in zip(size, whole, strict=True))
        return _scaled(like, whole, self.size, left, top)


class CenterCrop(DataFormat, _Sized, Pictures):
    """The middle of pictures; of smaller ones, the largest middle part of the same aspect ratio, enlarged."""

    def transform(self, x: Tensor, how: Transformation, interpolation: str = "bilinear") -> Tensor:
        top, left = (x.shape[2] - self.height) // 2, (x.shape[3] - self.width) // 2
        if top >= 0 and left >= 0:
            return x.narrow(2, top, self.height).narrow(3, left, self.width)
        return resize.resize(resize.to_ratio(x, self.size, False), self.size, interpolation)

    def moved(self, size: Size, how: Transformation, like: Tensor) -> Tensor:
        part = self.size
        if any(length < target for length, target in zip(size, part, strict=True)):
            part = resize.size_of_ratio(size, part, False)
        top, left = ((old - new) // 2 for old, new in zip(size, part, strict=True))
        return _scaled(like, part, self.size, left, top)


def _starts(how: Transformation) -> tuple[Tensor, Tensor]:
    return how["h_start"].reshape(1), how["w_start"].reshape(1)


class RandomCrop(DataFormat, Seed, _Sized, Random):
    """In training, one part of all pictures at a random place; of those not larger both ways, the middle, resized.

    At inference pictures stay whole.
    """

    def draw(self, x: Tensor) -> Transformation:
        size: Any = x.shape[2:]
        if self._fits(size):
            top, left = (
                self.uniform(x, (0, length - target + 1), count=1).clamp(max=length - target).long()
                for length, target in zip(size, self.size, strict=True)
            )
        else:
            top, left = (torch.full((1,), start, device=x.device) for start in self._middle(size))
        return {"h_start": top, "w_start": left}

    def _fits(self, size: Size) -> bool:
        return all(length > target for length, target in zip(size, self.size, strict=True))

    def _middle(self, size: Size) -> Any:
        return tuple(
            (old - new) // 2 for old, new in zip(size, resize.size_of_ratio(size, self.size, False), strict=True)
        )

    def _part(self, size: Size) -> Any:
        """Height and width of what is taken, before it is resized. A part that does not fit ends, as in Keras, with the
        target's size or the picture."""
        ends = size if self._fits(size) else [old - start for old, start in zip(size, self._middle(size), strict=True)]
        return tuple(map(min, ends, self.size))

    def transform(self, x: Tensor, how: Transformation, interpolation: str = "bilinear") -> Tensor:
        part = self._part((x.shape[2], x.shape[3]))
        for axis, (start, length) in enumerate(zip(_starts(how), part, strict=True), start=2):
            if x.shape[axis] > length:
                x = x.index_select(axis, start + torch.arange(length, device=x.device))
        return x if part == self.size else resize.resize(x, self.size, interpolation)

    def moved(self, size: Size, how: Transformation, like: Tensor) -> Tensor:
        matrix = _scaled(like, self._part(size), self.size)
        top, left = _starts(how)
        shift = torch.cat([left, top, torch.zeros_like(top)]).to(matrix.dtype)
        return torch.cat([matrix[..., :2], matrix[..., 2:] - (matrix[0] @ shift).reshape(1, 3, 1)], -1)


# Turns -----------------------------------------------------------------------------------------------------------


class RandomFlip(DataFormat, Seed, Random):
    """In training, half of the pictures mirrored, left to right, top to bottom, or both at once."""

    mode: str = arg(
        one_of("horizontal", "vertical", "horizontal_and_vertical"), default="horizontal_and_vertical", doc="Which way."
    )
    _order = ("mode", "seed", "data_format")

    def draw(self, x: Tensor) -> Transformation:
        return {"flips": self.uniform(x, (0, 1), 1, 1, 1) <= 0.5}

    @property
    def _axes(self) -> list[int]:
        return [axis for axis, way in ((2, "vertical"), (3, "horizontal")) if way in self.mode]

    def transform(self, x: Tensor, how: Transformation) -> Tensor:
        return torch.where(each(how["flips"], x), x.flip(self._axes), x)

    def transform_masks(self, masks: Tensor, how: Transformation) -> Tensor:
        return self.transform(masks, how)

    def moved(self, size: Size, how: Transformation, like: Tensor) -> Tensor:
        same = torch.eye(3, device=like.device)
        flipped = same.clone()
        for axis in self._axes:
            place = 3 - axis
            flipped[place, place], flipped[place, 2] = -1.0, float(size[axis - 2])
        return torch.where(how["flips"].reshape(-1, 1, 1), flipped, same)


class _Warped(Random):
    """Base of layers that draw pictures anew: `matrix` (N, 2 or 3, 3) tells where places come from."""

    interpolation, fill_mode, fill_value = "bilinear", "constant", 0.0
    _settle = None  # rules for what is outside and between, if not the usual ones

    def matrix(self, size: Size, how: Transformation) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} needs a `matrix` method.")

    def transform(self, x: Tensor, how: Transformation) -> Tensor:
        matrix = self.matrix((x.shape[2], x.shape[3]), how)
        y = warp.project(x, matrix, self.interpolation, self.fill_mode, self.fill_value, self._settle)
        same = torch.eye(3, dtype=matrix.dtype, device=x.device)[: matrix.shape[1]]
        return torch.where((matrix == same).flatten(1).all(1).reshape(-1, 1, 1, 1), x, y)

    def transform_masks(self, masks: Tensor, how: Transformation) -> Tensor:
        matrix = self.matrix((masks.shape[2], masks.shape[3]), how)
        y = warp.project(masks.to(matrix.dtype), matrix, "nearest", self.fill_mode, self.fill_value)
        return y.to(masks.dtype)

    def moved(self, size: Size, how: Transformation, like: Tensor) -> Tensor:
        matrix = self.matrix(size, how)
        last = torch.eye(3, dtype=matrix.dtype, device=like.device)[2:].expand(matrix.shape[0], 1, 3)
        return torch.linalg.inv(torch.cat([matrix[:, :2], matrix[:, 2:] if matrix.shape[1] == 3 else last], 1))


def _matrix(*rows: tuple[Tensor | float, Tensor | float, Tensor | float]) -> Tensor:
    like = next(item for row in rows for item in row if isinstance(item, Tensor))
    full = (item if isinstance(item, Tensor) else torch.full_like(like, item) for row in rows for item in row)
    return torch.stack([*full], -1).unflatten(-1, (len(rows), 3))


class _Factors(Declared):
    height_factor: Any = arg(extent_as_given, doc="How far from top to bottom.")
    width_factor: Any = arg(extent_as_given, doc="How far from left to right.")


class RandomRotation(Filling, Factor, _Warped):
    """In training, pictures turned about their middle by a random part of a whole turn; clockwise is negative."""

    def draw(self, x: Tensor) -> Transformation:
        part = self.uniform(x, self.factor)
        cos, sin = (part * (2 * math.pi)).cos(), (part * (2 * math.pi)).sin()
        y, x0 = ((size - 1) / 2 for size in x.shape[2:])
        matrix = _matrix((cos, -sin, x0 - x0 * cos + y * sin), (sin, cos, y - x0 * sin - y * cos))
        return {"angle": part * 360, "rotation_matrix": functional.pad(matrix.flatten(1), (0, 2))}

    def matrix(self, size: Size, how: Transformation) -> Tensor:
        return how["rotation_matrix"].reshape(-1, 8)[:, :6].unflatten(1, (2, 3))


class RandomZoom(Filling, _Factors, _Warped):
    """In training, pictures farther away (positive) or nearer (negative), by a random part of their size.

    Without `width_factor` both axes change alike.
    """

    width_factor: Any = arg(extent_as_given.optional(), default=None)

    def check(self) -> None:
        super().check()
        given = [value for value in (self.height_factor, self.width_factor) if value is not None]
        if any(-1 in (value if isinstance(value, tuple) else (value,)) for value in given):
            raise ValueError(f"{type(self).__name__}: a factor must be larger than -1, which leaves nothing to see.")

    def draw(self, x: Tensor) -> Transformation:
        down = 1 + self.uniform(x, span(self.height_factor), 1)
        across = down if self.width_factor is None else 1 + self.uniform(x, span(self.width_factor), 1)
        return {"height_zoom": down, "width_zoom": across}

    def matrix(self, size: Size, how: Transformation) -> Tensor:
        down, across = how["height_zoom"].reshape(-1), how["width_zoom"].reshape(-1)
        y, x0 = ((length - 1) / 2 for length in size)
        return _matrix((across, 0.0, x0 * (1 - across)), (0.0, down, y * (1 - down)))


class RandomTranslation(Filling, _Factors, _Warped):
    """In training, pictures moved down (positive) and to the right by a random part of their size."""

    def draw(self, x: Tensor) -> Transformation:
        down, across = (
            size * self.uniform(x, span(value), 1)
            for size, value in zip(x.shape[2:], (self.height_factor, self.width_factor), strict=True)
        )
        return {"translations": torch.cat([across, down], 1)}

    def matrix(self, size: Size, how: Transformation) -> Tensor:
        across, down = how["translations"].unbind(-1)
        return _matrix((1.0, 0.0, -across), (0.0, 1.0, -down))


class RandomShear(Filling, _Warped):
    """In training, pictures whose rows and columns slide along each other, one way or the other."""

    bounds = (-1, 1)
    x_factor: Any = arg(extent, default=0.0, doc="How far a row slides against the next.")
    y_factor: Any = arg(extent, default=0.0, doc="How far a column does.")
    _order = ("x_factor", "y_factor", "interpolation", "fill_mode", "fill_value", "data_format", "seed")

    def draw(self, x: Tensor) -> Transformation:
        side = torch.where(self.uniform(x, (0, 1), 1) > 0.5, -1.0, 1.0)
        across, down = (side * self.uniform(x, bounds, 1) for bounds in (self.x_factor, self.y_factor))
        return {"shear_factor": torch.cat([across, down], 1)}

    def matrix(self, size: Size, how: Transformation) -> Tensor:
        across, down = how["shear_factor"].unbind(-1)
        return _matrix((1.0, across, 0.0), (down, 1.0, 0.0))


class RandomPerspective(Chance, _Warped):
    """In training, some of the pictures as if seen from aside: each corner is moved by a random part of its place."""

    scale: float = arg(number(0, 1), default=1.0, doc="Twice the largest part.")
    interpolation: str = arg(interpolation, default="bilinear")
    fill_value: float = arg(number(), default=0.0, doc="The value outside.")
    seed: Any = arg(seed, default=None)
    data_format: str = arg(data_format, default=None)

    def draw(self, x: Tensor) -> Transformation:
        right, bottom = max(x.shape[3] - 1, 1), max(x.shape[2] - 1, 1)  # the corners of one row would be two
        parts = 1 + self.uniform(x, (-self.scale / 2, self.scale / 2), 4, 2)
        corners = torch.zeros((4, 2), dtype=parts.dtype, device=x.device)
        corners[1::2, 0], corners[2:, 1] = right, bottom
        points = {"start_points": corners.expand_as(parts), "end_points": corners * parts}
        return {"apply_perspective": self.chance(x, self.factor), **points}

    def matrix(self, size: Size, how: Transformation) -> Tensor:
        numbers = operations().homography(how["end_points"], how["start_points"])
        matrix = functional.pad(numbers, (0, 1), value=1.0).unflatten(1, (3, 3))
        same = torch.eye(3, dtype=matrix.dtype, device=matrix.device)
        return torch.where(how["apply_perspective"].reshape(-1, 1, 1), matrix, same)


class RandomElasticTransform(Filling, ValueRange, Chance, Random):
    """In training, some of the pictures distorted like a sheet of rubber (Simard et al., 2003)."""

    scale: Any = arg(extent, default=1.0, doc="How strong it is.")
    _order = ("factor", "scale", "interpolation", "fill_mode", "fill_value", "value_range", "seed", "data_format")

    def draw(self, x: Tensor) -> Transformation:
        strength = self.uniform(x, self.scale, 1, 1, 1, count=1)
        places = self._places(x, strength, self.seed_generator)
        chosen = self.chance(x, self.factor if self.scale[1] else (0, 0))
        return {"apply_transform": chosen, "distortion_factor": strength, "places": places}

    def _places(self, x: Tensor, strength: Tensor, stream: Any) -> Tensor:
        """Where the values of pictures come from, (N, H, W, 2)."""
        height, width = x.shape[2:]
        deviation = 0.05 * min(height, width)
        sigma = (deviation * strength.flatten()).clamp(min=1e-6).expand(2)
        places = noise.draw(strength, (x.shape[0], 2, height, width), stream, "normal_", 0, 1)
        length = int(6 * deviation * self.scale[1]) | 1
        moves = operations().gaussian_blur(places * deviation * strength, (length, length), sigma, "channels_first")
        moves = moves * (0.1 * max(height, width) * strength)
        rows, columns = (torch.arange(size, dtype=moves.dtype, device=x.device) for size in (height, width))
        across, down = moves.unbind(1)
        return torch.stack([columns + across, rows.unsqueeze(1) + down], -1)

    def transform(self, x: Tensor, how: Transformation) -> Tensor:
        return self._displaced(x, how, self.interpolation).clamp(*self.value_range)

    def transform_masks(self, masks: Tensor, how: Transformation) -> Tensor:
        return self._displaced(masks, how, "nearest")

    def _displaced(self, x: Tensor, how: Transformation, interpolation: str) -> Tensor:
        places = how.get("places")
        if places is None:  # as Keras draws it: a seed says them
            seed = how["seed"]
            stream = random.stream(int(seed) if isinstance(seed, Tensor) else seed)
            places = self._places(x, how["distortion_factor"].reshape(1, 1, 1, 1), stream)
        y = warp.displace(x, places, interpolation, self.fill_mode, self.fill_value)
        return torch.where(each(how["apply_transform"], x), y, x)
