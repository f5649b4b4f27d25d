"""What code took from inside Keras 1 and 2: helpers of the engine and of the networks of `applications`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...core.config import image_data_format


def _collect_previous_mask(input_tensors: Any) -> Any:
    """The mask of a tensor, or of each in a list; None for one that has none."""
    several = isinstance(input_tensors, (list, tuple))
    masks = [getattr(x, "_keras_mask", None) for x in (input_tensors if several else [input_tensors])]
    return masks if len(masks) > 1 else masks[0]


def _collect_input_shape(input_tensors: Any) -> Any:
    """The shape of a tensor, or of each in a list."""
    several = isinstance(input_tensors, (list, tuple))
    shapes = [tuple(x.shape) for x in (input_tensors if several else [input_tensors])]
    return shapes if len(shapes) > 1 else shapes[0]


def _obtain_input_shape(
    input_shape: Sequence[int | None] | None, default_size: int, min_size: int, data_format: str | None = None,
    require_flatten: bool = True, weights: str | None = None, *, include_top: bool = True,
    dim_ordering: str | None = None,
) -> tuple[int | None, ...]:  # fmt: skip
    """The shape of a network's pictures. Raises ValueError for one that is too small, and for another than that of
    `weights="imagenet"`."""
    first = (data_format or dim_ordering or image_data_format()) in ("channels_first", "th")
    flat, known = require_flatten and include_top, weights == "imagenet"

    def ordered(channels: Any, size: int | None) -> tuple[int | None, ...]:
        return (channels, size, size) if first else (size, size, channels)

    if not input_shape:
        return ordered(3, default_size if flat else None)
    shape = tuple(input_shape)
    if len(shape) != 3:
        raise ValueError(f"input_shape: expected three sizes; got {shape}.")
    channels, sides = (shape[0], shape[1:]) if first else (shape[-1], shape[:-1])
    if known and (channels != 3 or (flat and shape != ordered(3, default_size))):
        told = ordered(3, default_size) if flat else "3 channels"
        raise ValueError(f"input_shape: the weights of ImageNet need {told}; got {shape}.")
    if any(side is not None and side < min_size for side in sides) or (flat and None in sides):
        raise ValueError(f"input_shape: expected pictures of {min_size} x {min_size} at least; got {shape}.")
    return shape


obtain_input_shape = _obtain_input_shape
