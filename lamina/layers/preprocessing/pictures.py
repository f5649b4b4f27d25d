"""What layers over pictures share: random draws, batches and single pictures, and what goes with a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ...core import random
from ...core.declare import Declared, Kind, Refused, arg, listed, number, one_of, seed
from ...core.errors import named
from ...core.layer import Layer
from ...core.scope import put
from ...kernels import boxes, noise, resize
from ..spatial import Spatial, data_format

# Arguments -------------------------------------------------------------------------------------------------------


def numbers(value: Any, owner: Any, count: int = 2) -> tuple:
    """So many numbers, as a tuple. Raises Refused."""
    found = tuple(number().convert(item, owner) for item in listed(value))
    if len(found) != count:
        raise Refused
    return found


def _extent(value: Any, owner: Any, bounds: tuple[float, float], strict: bool) -> tuple[float, float]:
    low, high = bounds
    if isinstance(value, (tuple, list)):
        lower, upper = sorted(numbers(value, owner))
        if lower < low or upper > high if strict else lower > high or upper < low:
            raise Refused(f"Here these are from {low} to {high}.")
        return lower, upper
    try:
        size = number(low, high).convert(value, owner)
    except Refused:
        raise Refused(f"Here it is from {low} to {high}.") from None
    return max(-abs(size), low), abs(size)


# How far a random change goes: f stands for the range from -f to f, and not below the layer's lower bound.
_WORDS, _SAYS = "a number, or a pair of numbers", "The `{}` argument should be"
extent = Kind(
    _WORDS,
    lambda value, owner: _extent(value, owner, owner.bounds, False),
    good=(1,),
    bad=("a", None, (1,)),
    says=_SAYS,
)


def _as_given(value: Any, owner: Any) -> Any:
    _extent(value, owner, (-1, 1), True)
    return tuple(value) if isinstance(value, list) else value


extent_as_given = Kind(_WORDS, _as_given, good=(0.5,), bad=("a", None, 2, (0.1,)))


def span(value: Any) -> tuple[float, float]:
    """The range that `extent_as_given` stands for."""
    lower, upper = sorted(value) if isinstance(value, tuple) else (-abs(value), abs(value))
    return lower, upper


value_range = Kind(
    "a list of two numbers",
    lambda value, owner: tuple(sorted(numbers(value, owner))),
    good=((0, 1),),
    bad=(3, (1,), "ab", None),
    says=_SAYS,
)
interpolation = one_of("nearest", "bilinear")
fill_mode = one_of("reflect", "wrap", "constant", "nearest")


class Factor(Declared):
    bounds: ClassVar[tuple[float, float]] = (-1, 1)
    factor: Any = arg(extent, doc="How much.")


class Chance(Declared):
    bounds: ClassVar[tuple[float, float]] = (0, 1)
    factor: Any = arg(extent, default=1.0, doc="The probability of a change, or the range it is drawn from.")


class ValueRange(Declared):
    value_range: Any = arg(value_range, default=(0, 255), doc="Least and largest value of a picture.")


class Filling(Declared):
    fill_mode: str = arg(fill_mode, default="reflect", doc="What is outside of the picture.")
    interpolation: str = arg(interpolation, default="bilinear")
    seed: Any = arg(seed, default=None)
    fill_value: float = arg(number(), default=0.0, doc="The value outside, for constant.")
    data_format: str = arg(data_format, default=None)


def operations() -> Any:
    """`lamina.ops.image`, which is not read before pictures change: it brings all operations along."""
    from ...ops import image

    return image


Size = tuple[int, int]  # height and width
Seeds = int | random.SeedGenerator | None
Transformation = dict[str, Any]  # what is done to pictures, by the names of Keras


# Layers ----------------------------------------------------------------------------------------------------------


class Pictures(Spatial):
    """Base of layers over pictures, one (H, W, C) or a batch (N, H, W, C); channels before H for "channels_first".

    The output has the layer's compute type. Called on a dictionary, it gives one, in which what is under
    "segmentation_masks", "bounding_boxes" (in `bounding_box_format`) and "labels" has followed the "images".

    A subclass says how pictures (N, C, H, W) change: `transform`; where places come to lie: `moved`; and what is random
    about it: `draw`. Or it has a `get_random_transformation`, `transform_images`, ... of its own, as in Keras: they
    take and give what a user does, in batches.
    """

    rank = 2
    bounding_box_format: str | None = arg(
        one_of(*boxes.FORMATS).optional(), default=None, kw_only=True, config="set", doc="How boxes are written."
    )
    _stateless = True
    build = Layer.build  # of any rank

    def call(self, data: Any) -> Any:
        return self._changed(data, True)

    def draw(self, x: Tensor) -> Transformation:
        """What is done to pictures like these, by the names that Keras' layers give it."""
        return {}

    def transform(self, x: Tensor, how: Transformation) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} needs a `transform` method.")

    def transform_masks(self, masks: Tensor, how: Transformation) -> Tensor:
        """`transform` for masks of segments, whose values are not to be mixed."""
        return masks

    def moved(self, size: Size, how: Transformation, like: Tensor) -> Tensor | None:
        """A matrix (N, 3, 3) that says where places (column, row, 1) of the pictures come to lie; None: they stay."""
        return None

    def size_after(self, size: Size, how: Transformation) -> Size:
        """Height and width of what pictures of this size become."""
        return size

    def transform_boxes(self, found: dict[str, Tensor], size: Size, how: Transformation) -> dict[str, Tensor]:
        """Boxes (N, K, 4), as left, top, right, bottom, and labels (N, K) of pictures of this size."""
        matrix = self.moved(size, how, found["boxes"])
        if matrix is None:
            return found
        return boxes.clipped({**found, "boxes": boxes.moved(found["boxes"], matrix)}, self.size_after(size, how))

    # -- what Keras' layers have ------------------------------------------------------------------------------------

    def get_random_transformation(self, data: Any, training: bool = True, seed: Seeds = None) -> Transformation | None:
        """What is done to such data, for `transform_images` and the like: so several pictures change alike.

        It is drawn from `seed`, a number or a SeedGenerator, where one is given. None: nothing is done.
        """
        images = self._images(data)
        return {**self.draw(self._batch(images)[0]), "input_shape": tuple(images.shape)}

    def transform_images(self, images: Any, transformation: Transformation | None, training: bool = True) -> Tensor:
        """Pictures, changed."""
        images = self._images(images)
        if self._rests(transformation, training):
            return images
        x, alone = self._batch(images)
        return self._like(self.transform(x, said(transformation, x)), alone)

    def transform_labels(self, labels: Any, transformation: Transformation | None, training: bool = True) -> Any:
        """What is known of changed pictures, (N, ...)."""
        return labels

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Transformation | None, training: bool = True
    ) -> Tensor:
        """Masks of changed pictures, in the form of these."""
        if self._rests(transformation, training):
            return segmentation_masks
        masks, alone = self._batch(torch.as_tensor(segmentation_masks))
        return self._like(self.transform_masks(masks, said(transformation, masks)), alone)

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Transformation | None, training: bool = True
    ) -> Any:
        """Of changed pictures, or of one: "boxes" (N, K, 4), in `bounding_box_format`, and "labels" (N, K)."""
        if self._rests(transformation, training):
            return bounding_boxes
        alone = getattr(bounding_boxes["boxes"], "ndim", 3) == 2
        style: Any = self.bounding_box_format
        found = self._boxes(bounding_boxes, alone)
        how = said(transformation, found["boxes"])
        shape = how["input_shape"]
        height, width = map(int, shape[-3:-1] if self.channels_last else shape[-2:])
        found["boxes"] = boxes.convert(found["boxes"], style, "xyxy", (height, width))
        found = self.transform_boxes(found, (height, width), how)
        found["boxes"] = boxes.convert(found["boxes"], "xyxy", style, self.size_after((height, width), how))
        return first(found) if alone else found

    def _rests(self, transformation: Transformation | None, training: bool) -> bool:
        """Whether nothing is done."""
        return False

    def _checked_first(self, args: tuple, kwargs: Any) -> tuple:
        first = args[0] if args else None
        if isinstance(first, (list, tuple)) and first and all(isinstance(each, np.ndarray) for each in first):
            sizes = {each.shape for each in first}
            if len(sizes) > 1:
                raise ValueError(
                    f"{named(self)}: expected pictures of one size; got {sorted(sizes)}. Use Resizing first."
                )
            args = (np.stack(first), *args[1:])
        return super()._checked_first(args, kwargs)

    # -- forms ------------------------------------------------------------------------------------------------------

    def coloured(self, x: Tensor) -> Tensor:
        """Pictures (N, C, H, W) as they are. Raises ValueError unless they have three channels."""
        if x.shape[1] != 3:
            raise ValueError(f"{named(self)}: expected 3 channels, red, green and blue; got {x.shape[1]}.")
        return x

    def _images(self, data: Any) -> Tensor:
        """The pictures in data, of the layer's compute type."""
        if isinstance(data, dict):
            if "images" not in data:
                raise ValueError(f'{named(self)}: a dictionary needs pictures under "images"; it has {sorted(data)}.')
            data = data["images"]
        images = torch.as_tensor(data)
        kind = self.dtype_policy.compute
        return images if self._keeps_dtype else images.to(kind if kind.is_floating_point else torch.float32)

    def _batch(self, data: Any) -> tuple[Tensor, bool]:
        """Pictures (N, C, H, W), and whether it is one alone. Raises ValueError for other than 3 or 4 axes."""
        if data.ndim not in (3, 4):
            form = "(height, width, channels)" if self.channels_last else "(channels, height, width)"
            raise ValueError(
                f"{named(self)}: Expected the input image to be rank 3 or 4, {form} or a batch of these; "
                f"got shape {tuple(data.shape)}."
            )
        alone = data.ndim == 3
        x = data.unsqueeze(0) if alone else data
        return x.movedim(-1, 1) if self.data_format == "channels_last" else x, alone

    def _like(self, y: Tensor, alone: bool) -> Tensor:
        y = y.movedim(1, -1) if self.data_format == "channels_last" else y
        return y.squeeze(0) if alone else y

    def _changed(self, data: Any, training: bool) -> Any:
        lone = not isinstance(data, dict)
        changed: dict[str, Any] = {} if lone else {**data}
        images = changed["images"] = self._images(data)
        alone = images.ndim == 3
        how = self.get_random_transformation(images if lone else changed, training=training)
        for key, change in (
            ("images", self.transform_images),
            ("labels", self.transform_labels),
            ("segmentation_masks", self.transform_segmentation_masks),
        ):
            if key in changed:
                value = torch.as_tensor(changed[key], device=images.device)
                value = change(value.unsqueeze(0) if alone else value, how, training=training)
                changed[key] = value.squeeze(0) if alone else value
        if "bounding_boxes" in changed:
            found = self._boxes(changed["bounding_boxes"], alone, images.device)
            found = self.transform_bounding_boxes(found, how, training=training)
            changed["bounding_boxes"] = first(found) if alone else found
        if not (self._keeps_dtype or (kind := self.dtype_policy.compute).is_floating_point):
            changed["images"] = resize.rounded(changed["images"].clone(), kind)
        return changed["images"] if lone else changed

    def _boxes(self, given: Any, alone: bool, device: torch.device | None = None) -> dict[str, Any]:
        """Boxes and labels with a batch axis; lists of different lengths are filled up."""
        if self.bounding_box_format is None:
            raise ValueError(
                f"{named(self)}: there are bounding boxes, but argument `bounding_box_format` does not say how they "
                f"are written; expected one of {', '.join(boxes.FORMATS)}."
            )
        if not isinstance(given, Mapping) or not {"boxes", "labels"} <= set(given):
            raise ValueError(f'{named(self)}: bounding boxes must be a dictionary with "boxes" and "labels".')
        found = {
            "boxes": _filled(given["boxes"], alone, 0.0, 4).to(device, torch.float32),
            "labels": _filled(given["labels"], alone, -1).to(device),
        }
        return {**given, **found}


def _filled(value: Any, alone: bool, fill: float, *inner: int) -> Tensor:
    if isinstance(value, (list, tuple)) and not alone:
        rows = [torch.as_tensor(np.asarray(row)).reshape(-1, *inner) for row in value]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=fill)
    whole = torch.as_tensor(value)
    return whole.unsqueeze(0) if alone else whole


def first(found: dict[str, Any]) -> dict[str, Any]:
    """Boxes and labels of the only picture."""
    return {**found, **{key: found[key].squeeze(0) for key in ("boxes", "labels")}}


def said(transformation: Transformation | None, like: Tensor) -> Transformation:
    """A transformation whose numbers are tensors."""
    kind = torch.promote_types(like.dtype, torch.float32)
    found = {**(transformation or {})}
    for key, value in found.items():
        if not isinstance(value, (Tensor, tuple, random.SeedGenerator)):
            value = torch.as_tensor(value, device=like.device)
            found[key] = value.to(kind) if value.is_floating_point() else value
    return found


def each(numbers: Tensor, like: Tensor) -> Tensor:
    """One number for each picture, (N, 1, 1, 1), of the type of these; or whether something is."""
    numbers = numbers.reshape(-1, 1, 1, 1)
    return numbers if numbers.dtype is torch.bool else numbers.to(like.dtype)


class Random(Pictures):
    """A layer that changes pictures at random in training, and gives them back as they are at inference.

    As in Keras 3, a call outside of a model is one in training unless it says `training=False`, or `eval()` was called.
    With a seed the layer has a random stream of its own.
    """

    seed = None

    def check(self) -> None:
        self.seed_generator = random.stream(self.seed)

    def call(self, data: Any, training: bool = True) -> Any:
        return self._changed(data, training)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Seeds = None) -> Transformation | None:
        if not training:
            return None
        if seed is None:
            return super().get_random_transformation(data)
        with put(self, seed_generator=random.stream(seed)):
            return super().get_random_transformation(data)

    def _rests(self, transformation: Transformation | None, training: bool) -> bool:
        drawn = type(self).draw is not Pictures.draw
        return not training or (transformation is None and drawn)

    def uniform(self, x: Tensor, bounds: Sequence[float], *shape: int, count: int | None = None) -> Tensor:
        """Numbers between the bounds, of this shape for each picture; or so many of this shape."""
        kind = torch.empty((), dtype=torch.promote_types(x.dtype, torch.float32), device=x.device)
        lower, upper = bounds
        return noise.draw(
            kind,
            (x.shape[0] if count is None else count, *shape),
            self.seed_generator,
            "uniform_",
            float(lower),
            float(upper),
        )

    def chance(self, x: Tensor, bounds: Sequence[float]) -> Tensor:
        """Whether each picture is changed, (N,), with a probability drawn between the bounds."""
        return self.uniform(x, (0, 1)) < self.uniform(x, bounds)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape
