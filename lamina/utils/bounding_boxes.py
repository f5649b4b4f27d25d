"""Boxes round things in pictures, (boxes, 4) or (batch, boxes, 4). Lists and arrays give tensors.

"xyxy" is left, top, right, bottom; "xywh" left, top, width, height; "center_xywh" has the centre in place of the
corner; "yxyx" and "center_yxhw" name rows first; "rel_" counts in parts of the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ..core import config
from ..core.errors import short
from ..kernels import boxes as kernel
from ..ops.base import dtype_or_floatx, floating, tensor

__all__ = [
    "affine_transform", "clip_to_image_size", "compute_ciou", "compute_iou", "convert_format", "crop",
    "decode_deltas_to_boxes", "encode_box_to_deltas", "pad",
]  # fmt: skip

FORMATS = kernel.FORMATS
Number: TypeAlias = float | Tensor


def _format(value: Any, where: str) -> str:
    style = value.lower() if isinstance(value, str) else value
    if style not in FORMATS:
        raise ValueError(f"{where}: unknown format of boxes {value!r}; expected one of {', '.join(FORMATS)}.")
    return style


def _boxes(given: Any, where: str) -> Tensor:
    found = tensor(given)
    if found.ndim == 0 or found.shape[-1] != 4:
        raise ValueError(f"{where}: expected boxes, four numbers on the last axis; got shape {tuple(found.shape)}.")
    return found


def convert_format(
    boxes: Any,
    source: str,
    target: str,
    height: Number | None = None,
    width: Number | None = None,
    dtype: str | torch.dtype = "float32",
) -> Any:
    """Boxes of format `source` in format `target`, as a tensor of type `dtype`.

    Of a dictionary, what is under "boxes" is converted, in a copy. height, width: of the picture, in pixels. Raises
    ValueError for unknown formats, and where a size is needed and missing.
    """
    if isinstance(boxes, Mapping):
        return {**boxes, "boxes": convert_format(boxes["boxes"], source, target, height, width, dtype)}
    found = _boxes(boxes, "convert_format").to(dtype_or_floatx(dtype))
    source, target = (_format(style, "convert_format") for style in (source, target))
    if source.startswith("rel_") != target.startswith("rel_") and (height is None or width is None):
        raise ValueError(
            f"convert_format: it must receive `height` and `width` of the picture, for {source!r} to {target!r}."
        )
    return kernel.convert(found, source, target, (height, width))


def _changed(
    boxes: Any, style: str, where: str, change: Callable[[Tensor], Tensor], size: Any = (None, None)
) -> Tensor:
    """Boxes changed as "xyxy", in their own format. Those of a "rel_" format need the picture's size."""
    found, style = _boxes(boxes, where), _format(style, where)
    if style == "xyxy":
        return change(found)
    if style.startswith("rel_") and None in size:
        raise ValueError(
            f"{where}: it counts in pixels, {style!r} in parts of the picture; use `convert_format` first."
        )
    return kernel.convert(change(kernel.convert(floating(found), style, "xyxy", size)), "xyxy", style, size)


def clip_to_image_size(
    bounding_boxes: Mapping[str, Any],
    height: Number | None = None,
    width: Number | None = None,
    bounding_box_format: str = "xyxy",
) -> dict[str, Any]:
    """A copy of a dictionary with "boxes" cut off at the edges of the picture.

    The "labels", if there are any, of boxes of which nothing is left become -1. height, width: needed except by "rel_"
    formats. Raises ValueError for missing ones, and for unknown formats.
    """
    where = "clip_to_image_size"
    if not isinstance(bounding_boxes, Mapping) or "boxes" not in bounding_boxes:
        raise ValueError(f'{where}: expected a dictionary with "boxes"; got {short(bounding_boxes)}.')
    style = _format(bounding_box_format, where)
    relative = style.startswith("rel_")
    if not relative and (height is None or width is None):
        raise ValueError(f"{where}: it must receive `height` and `width` of the picture, for format {style!r}.")
    corners, size = ("rel_xyxy", (1, 1)) if relative else ("xyxy", (height, width))
    found = {**bounding_boxes, "boxes": _boxes(bounding_boxes["boxes"], where)}
    if style != corners:
        found["boxes"] = kernel.convert(floating(found["boxes"]), style, corners, size)
    if found.get("labels") is not None:
        found["labels"] = tensor(found["labels"])
    found = kernel.clipped(found, size)
    return {**found, "boxes": kernel.convert(found["boxes"], corners, style, size)}


def affine_transform(
    boxes: Any,
    angle: Any,
    translate_x: Any,
    translate_y: Any,
    scale: Any,
    shear_x: Any,
    shear_y: Any,
    height: Number,
    width: Number,
    center_x: Number | None = None,
    center_y: Number | None = None,
    bounding_box_format: str = "xyxy",
) -> Tensor:
    """The smallest upright boxes round boxes that are turned, moved, enlarged and sheared, each a number or (batch,).

    Angles and shears are in degrees, against the clock; moves and the centre in parts of the picture, (0.5, 0.5) if
    None. height, width: of the picture, in pixels.
    """
    angle, across, down, scale, *shears = torch.broadcast_tensors(
        *(torch.atleast_1d(floating(x)) for x in (angle, translate_x, translate_y, scale, shear_x, shear_y))
    )
    centre = [0.5 if place is None else tensor(place) for place in (center_x, center_y)]
    shift, shear, size = torch.stack([across, down], -1), torch.stack(shears, -1), (height, width)
    matrix = kernel.turned(angle, shift, scale, shear, size, centre)

    def change(corners: Tensor) -> Tensor:
        alone = corners.ndim == 2 and len(matrix) == 1
        moved = kernel.moved(corners.to(matrix.dtype) if corners.ndim > 2 else corners.to(matrix.dtype)[None], matrix)
        return moved.squeeze(0) if alone else moved

    return _changed(boxes, bounding_box_format, "affine_transform", change, size)


def crop(
    boxes: Any, top: Number, left: Number, height: Number, width: Number, bounding_box_format: str = "xyxy"
) -> Tensor:
    """Boxes of a picture in a part of it: what of them lies there, counted from its corner.

    Raises ValueError for "rel_" formats.
    """

    def change(corners: Tensor) -> Tensor:
        return kernel.clipped({"boxes": kernel.shifted(corners, (-top, -left))}, (height, width))["boxes"]

    return _changed(boxes, bounding_box_format, "crop", change)


def pad(
    boxes: Any,
    top: Number,
    left: Number,
    height: Number | None = None,
    width: Number | None = None,
    bounding_box_format: str = "xyxy",
) -> Tensor:
    """Boxes of a picture to which rows are added above and columns on the left.

    height, width: of the picture; boxes do not depend on it. Raises ValueError for "rel_" formats.
    """
    return _changed(boxes, bounding_box_format, "pad", lambda corners: kernel.shifted(corners, (top, left)))


# Boxes and others --------------------------------------------------------------------------------------------------


def _size(image_shape: Sequence[int] | None, where: str, *styles: str) -> tuple[int | None, int | None]:
    if image_shape is None:
        if any("rel" in style for style in styles):
            raise ValueError(f'{where}: formats that begin with "rel_" need `image_shape` (height, width, channels).')
        return None, None
    height, width, _ = image_shape
    return height, width


def _pair(boxes1: Any, boxes2: Any, style: str, image_shape: Sequence[int] | None, where: str) -> tuple[Tensor, Tensor]:
    size = _size(image_shape, where, style)
    one, other = (convert_format(boxes, style, "xyxy", *size) for boxes in (boxes1, boxes2))
    return one, other


def compute_iou(
    boxes1: Any,
    boxes2: Any,
    bounding_box_format: str,
    use_masking: bool = False,
    mask_val: float = -1,
    image_shape: Sequence[int] | None = None,
) -> Tensor:
    """Each box with each other: the area in common divided by that of both together. ([batch,] M, N).

    boxes1: ([batch,] M, 4). boxes2: ([batch,] N, 4). use_masking: `mask_val` stands where all numbers of a box are
    negative. image_shape: (height, width, channels), for "rel_" formats. Raises ValueError for other shapes.
    """
    where = "compute_iou"
    one, other = _pair(boxes1, boxes2, bounding_box_format, image_shape, where)
    for name, boxes in (("boxes1", one), ("boxes2", other)):
        if boxes.ndim not in (2, 3):
            raise ValueError(f"{where}: `{name}` must be (boxes, 4) or (batch, boxes, 4); got {tuple(boxes.shape)}.")
    one, other = one.unsqueeze(-2), other.unsqueeze(-3)
    found = kernel.overlaps(one, other, config.epsilon())
    if use_masking:
        found = torch.where((one.amax(-1) < 0) | (other.amax(-1) < 0), mask_val, found)
    return found


def compute_ciou(
    boxes1: Any, boxes2: Any, bounding_box_format: str, image_shape: Sequence[int] | None = None
) -> Tensor:
    """How well boxes fit others, at most 1: the area in common, less for distant centres and other proportions.

    boxes1, boxes2: (..., 4), which broadcast. image_shape: (height, width, channels), for "rel_" formats.
    Zheng et al., 2020.
    """
    return kernel.complete_overlaps(
        *_pair(boxes1, boxes2, bounding_box_format, image_shape, "compute_ciou"), config.epsilon()
    )


def _centred(style: str, variance: Any, where: str, name: str) -> Tensor | None:
    if style not in ("center_xywh", "center_yxhw"):
        raise ValueError(f'{where}: `{name}` must be "center_xywh" or "center_yxhw"; got {style!r}.')
    if variance is None:
        return None
    variance = tensor(variance, torch.float32)
    if variance.shape[-1:] != (4,):
        raise ValueError(f"{where}: `variance` must be four numbers; got {short(variance)}.")
    return variance


def encode_box_to_deltas(
    anchors: Any,
    boxes: Any,
    anchor_format: str,
    box_format: str,
    encoding_format: str = "center_yxhw",
    variance: Any = None,
    image_shape: Sequence[int] | None = None,
) -> Tensor:
    """What turns anchors (N, 4) into boxes ([batch,] N, 4): moves in sizes of the anchor, logarithms of its growth.

    encoding_format: the order of both, "center_yxhw" or "center_xywh". variance: four numbers that the result is
    divided by. image_shape: (height, width, channels), for "rel_" formats. Raises ValueError for anything else.
    """
    where = "encode_box_to_deltas"
    variance = _centred(encoding_format, variance, where, "encoding_format")
    size = _size(image_shape, where, anchor_format, box_format)
    found, start = (
        convert_format(given, style, encoding_format, *size)
        for given, style in ((boxes, box_format), (anchors, anchor_format))
    )
    deltas = kernel.encoded(found, start, config.epsilon())
    return deltas if variance is None else deltas / variance


def decode_deltas_to_boxes(
    anchors: Any,
    boxes_delta: Any,
    anchor_format: str,
    box_format: str,
    encoded_format: str = "center_yxhw",
    variance: Any = None,
    image_shape: Sequence[int] | None = None,
) -> Any:
    """The boxes that `encode_box_to_deltas` encodes so, in `box_format`. Dictionaries of both give one, level by level.

    encoded_format: the order of the deltas, "center_yxhw" or "center_xywh". Raises ValueError as the encoder does.
    """
    where = "decode_deltas_to_boxes"
    if isinstance(anchors, Mapping) and isinstance(boxes_delta, Mapping):
        rest = (anchor_format, box_format, encoded_format, variance, image_shape)
        return {level: decode_deltas_to_boxes(each, boxes_delta[level], *rest) for level, each in anchors.items()}
    variance = _centred(encoded_format, variance, where, "encoded_format")
    size = _size(image_shape, where, anchor_format, box_format)
    deltas = floating(_boxes(boxes_delta, where))
    start = convert_format(anchors, anchor_format, encoded_format, *size)
    boxes = kernel.decoded(deltas if variance is None else deltas * variance, start)
    return convert_format(boxes, encoded_format, box_format, *size)
