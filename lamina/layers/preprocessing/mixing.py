"""Layers that put several changes of pictures, or several pictures, together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ...core import random
from ...core.declare import anything, arg, boolean, integer, number
from ...core.errors import as_own
from ...kernels import boxes
from ..arguments import DataFormat, Seed
from ..spatial import data_format
from . import colours, geometry, pictures
from .pictures import Pictures, Random, Size, Transformation, ValueRange, each, extent, interpolation, said

__all__ = ["AugMix", "CutMix", "MaxNumBoundingBoxes", "MixUp", "RandAugment", "RandomColorJitter"]


class _InTurn(Random):
    """Several changes, one after the other: `draw` gives each with what it has drawn."""

    def transform(self, x: Tensor, how: Transformation) -> Tensor:
        for change, what in how["transforms"]:
            x = change.transform(x, what)
        return x

    def steps(self, changes: Iterable[Pictures], x: Tensor) -> tuple[tuple[Pictures, Transformation], ...]:
        """Each with what it has drawn, from the stream of this layer."""
        for change in changes:
            vars(change)["seed_generator"] = self.seed_generator
        return tuple((change, change.draw(x)) for change in changes)


class RandomColorJitter(DataFormat, Seed, ValueRange, _InTurn):
    """In training, RandomBrightness, RandomContrast, RandomSaturation and RandomHue, one after the other.

    Each has the factor given for it; one without is left out.
    """

    brightness_factor: Any = arg(anything, default=None, doc="As of RandomBrightness.")
    contrast_factor: Any = arg(anything, default=None, doc="As of RandomContrast.")
    saturation_factor: Any = arg(anything, default=None, doc="As of RandomSaturation.")
    hue_factor: Any = arg(anything, default=None, doc="As of RandomHue.")
    _order = ("value_range", "brightness_factor", "contrast_factor", "saturation_factor", "hue_factor", "seed")

    def check(self) -> None:
        super().check()
        made = []
        for what in ("brightness", "contrast", "saturation", "hue"):
            cls, factor = getattr(colours, f"Random{what.title()}"), getattr(self, f"{what}_factor")
            own = {"value_range": self.value_range, "seed": self.seed_generator, "dtype": self.dtype_policy}
            with as_own(cls.__name__, type(self).__name__), as_own("`factor`", f"`{what}_factor`"):
                made += [] if factor is None else [cls(factor, **own)]
        vars(self)["_steps"] = tuple(made)

    def draw(self, x: Tensor) -> Transformation:
        return {"transforms": self.steps(self._steps, x)}


# Several changes, chosen at random ---------------------------------------------------------------------------------


class _Chosen(_InTurn):
    """Base of layers that choose among changes: `_changes` are what may be done, to whole batches at once."""

    bounds = (0, 1)
    value_range, interpolation, factor = (0, 255), "bilinear", (0, 1)

    def check(self) -> None:
        super().check()
        own = {"data_format": self.data_format, "dtype": self.dtype_policy}
        drawn = {**own, "seed": self.seed_generator}
        valued, warped = {**drawn, "value_range": self.value_range}, {**drawn, "interpolation": self.interpolation}
        factor = self.factor
        changes = {
            "shear": geometry.RandomShear(x_factor=factor, y_factor=factor, **warped),
            "translation": geometry.RandomTranslation(factor, factor, **warped),
            "rotation": geometry.RandomRotation(factor, **warped),
            "posterization": colours.RandomPosterization(max(1, int(8 * factor[1])), **valued),
            "solarization": colours.Solarization(factor, factor, **valued),
            "auto_contrast": colours.AutoContrast(self.value_range, **own),
            "equalization": colours.Equalization(self.value_range, **own),
            "brightness": colours.RandomBrightness(factor, **valued),
            "degeneration": colours.RandomColorDegeneration(factor, **valued),
            "contrast": colours.RandomContrast(factor, **valued),
            "sharpness": colours.RandomSharpness(factor, **valued),
        }
        vars(self)["_changes"] = tuple(changes.values())

    def chosen(self, below: int, count: int) -> list[int]:
        """So many integers; they are drawn on the CPU, since what runs depends on them."""
        return self.uniform(torch.empty(1), (0, below), count=count).long().clamp(max=below - 1).tolist()


class RandAugment(DataFormat, Seed, ValueRange, _Chosen):
    """In training, `num_ops` changes out of eleven, the same ones for a whole batch (Cubuk et al., 2020)."""

    num_ops: int = arg(integer(0), default=2, doc="How many changes, one after the other.")
    factor: Any = arg(extent, default=0.5, doc="How strong each is.")
    interpolation: str = arg(interpolation, default="bilinear")
    _order = ("value_range", "num_ops", "factor", "interpolation", "seed", "data_format")

    def draw(self, x: Tensor) -> Transformation:
        changes = [self._changes[index] for index in self.chosen(len(self._changes), self.num_ops)]
        return {"transforms": self.steps(changes, x)}

    def transform_masks(self, masks: Tensor, how: Transformation) -> Tensor:
        for change, what in how["transforms"]:
            masks = change.transform_masks(masks, what)
        return masks

    def transform_boxes(self, found: dict[str, Tensor], size: Size, how: Transformation) -> dict[str, Tensor]:
        for change, what in how["transforms"]:
            found = change.transform_boxes(found, size, what)
        return found


class AugMix(DataFormat, Seed, ValueRange, _Chosen):
    """In training, pictures mixed with several chains of changes of themselves (Hendrycks et al., 2020)."""

    num_chains: int = arg(integer(1), default=3, doc="How many chains.")
    chain_depth: int = arg(integer(0), default=3, doc="How many changes each has, at most.")
    factor: Any = arg(extent, default=0.3, doc="How strong each is.")
    alpha: float = arg(number(0), default=1.0, doc="The larger, the more equal are the shares of the mixture.")
    all_ops: bool = arg(boolean, default=True, doc="With changes of brightness, contrast, colour and sharpness, too.")
    interpolation: str = arg(interpolation, default="bilinear")
    _order = ("value_range", "num_chains", "chain_depth", "factor", "alpha", "all_ops", "interpolation", "seed",
              "data_format")  # fmt: skip

    def draw(self, x: Tensor) -> Transformation:
        changes = self._changes if self.all_ops else self._changes[:7]
        shares = gamma(self, x, self.alpha, self.num_chains)
        chains = []
        for _ in range(self.num_chains):
            steps = self.chosen(len(changes) + 1, self.chain_depth)  # the last number: nothing
            chains.append(self.steps([changes[i] for i in steps if i < len(changes)], x))
        return {
            "chain_mixing_weights": shares / shares.sum(),
            "weight_sample": beta(self, x, self.alpha, 1),
            "chain_transforms": tuple(chains),
        }

    def transform(self, x: Tensor, how: Transformation) -> Tensor:
        mixed: Any = 0
        for share, chain in zip(how["chain_mixing_weights"].to(x.dtype), how["chain_transforms"], strict=True):
            mixed = mixed + share * super().transform(x, {"transforms": chain})
        return torch.lerp(mixed, x, how["weight_sample"].to(x.dtype)).clamp(*self.value_range)


# Several pictures ------------------------------------------------------------------------------------------------


def gamma(layer: Random, x: Tensor, alpha: float | Tensor, count: int) -> Tensor:
    """So many numbers of a gamma distribution."""
    kind = torch.promote_types(x.dtype, torch.float32)
    shapes = torch.as_tensor(alpha, dtype=kind, device=x.device).clamp(min=1e-6).expand(count)
    source = random.generator(layer.seed_generator, x.device)
    return torch.ops.aten._standard_gamma(shapes, source).clamp(min=torch.finfo(kind).tiny)


def beta(layer: Random, x: Tensor, alpha: float | Tensor, count: int) -> Tensor:
    """So many numbers of a beta distribution that is the same from both ends."""
    first, second = gamma(layer, x, alpha, count), gamma(layer, x, alpha, count)
    return first / (first + second)


class _Partners(Random):
    """Each picture of a batch meets another: `shares` says how much of it stays."""

    def draw(self, x: Tensor) -> Transformation:
        order = self.uniform(x, (0, 1)).argsort()
        return {"permutation_order": order, **self.shares(x)}

    def shares(self, x: Tensor) -> Transformation:
        raise NotImplementedError(f"{type(self).__name__} needs a `shares` method.")

    def transform_labels(self, labels: Any, transformation: Transformation | None, training: bool = True) -> Any:
        if self._rests(transformation, training):
            return labels
        labels = torch.as_tensor(labels)
        return self.mixed(labels, said(transformation, labels))

    def mixed(self, values: Tensor, how: Transformation) -> Tensor:
        """Each value and that of another picture, in their shares."""
        share = how["mix_weight"].reshape(-1, *(1,) * (values.ndim - 1))
        return share * values + (1 - share) * values[how["permutation_order"]]


class MixUp(Seed, DataFormat, _Partners):
    """In training, each picture and its label mixed with those of another of the batch (Zhang et al., 2018).

    Boxes of both remain.
    """

    alpha: float = arg(number(0), default=0.2, doc="The larger, the more equal are the shares.")
    _order = ("alpha", "data_format", "seed")

    def shares(self, x: Tensor) -> Transformation:
        return {"mix_weight": beta(self, x, self.alpha, x.shape[0])}

    def transform(self, x: Tensor, how: Transformation) -> Tensor:
        return torch.lerp(x[how["permutation_order"]], x, each(how["mix_weight"], x))

    def transform_masks(self, masks: Tensor, how: Transformation) -> Tensor:
        return self.mixed(masks, how)

    def transform_boxes(self, found: dict[str, Tensor], size: Size, how: Transformation) -> dict[str, Tensor]:
        order = how["permutation_order"]
        return {**found, **{key: torch.cat([found[key], found[key][order]], 1) for key in ("boxes", "labels")}}


class CutMix(DataFormat, Seed, _Partners):
    """In training, a rectangle of each picture from another of the batch, and its label mixed (Yun et al., 2019)."""

    bounds = (0, 1)
    factor: Any = arg(extent, default=1.0, doc="The larger, the more equal are the shares.")
    _order = ("factor", "seed", "data_format")

    def shares(self, x: Tensor) -> Transformation:
        alpha = self.uniform(x, self.factor, count=1)
        side = (1 - beta(self, x, alpha, x.shape[0])).clamp(min=0).sqrt()
        within, area = colours.rectangle(self, x, side.unsqueeze(1).expand(-1, 2))
        return {"mix_weight": 1 - area, "batch_masks": within}

    def transform(self, x: Tensor, how: Transformation) -> Tensor:
        return torch.where(self._batch(how["batch_masks"])[0], x[how["permutation_order"]], x)

    def transform_masks(self, masks: Tensor, how: Transformation) -> Tensor:
        return self.transform(masks, how)


class MaxNumBoundingBoxes(Pictures):
    """The first so many boxes of each picture, filled up with `fill_value`; pictures stay."""

    max_number: int = arg(integer(0), doc="How many.")
    fill_value: int = arg(integer(), default=-1, config=False, doc="What boxes and labels that are missing consist of.")
    data_format: str = arg(data_format, default=None, kw_only=True, doc="Where the channels are.")
    _keeps_dtype = True

    def transform(self, x: Tensor, how: Transformation) -> Tensor:
        return x

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Transformation | None, training: bool = True
    ) -> Any:
        """What fills up is `fill_value` in any `bounding_box_format`."""
        alone = getattr(bounding_boxes["boxes"], "ndim", 3) == 2
        found = boxes.so_many(self._boxes(bounding_boxes, alone), self.max_number, self.fill_value)
        return pictures.first(found) if alone else found
