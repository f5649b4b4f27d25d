"""`tf.image` and the part of `tf.io` that reads pictures: (height, width, channels), alone or in batches."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ... import ops
from ... import random as draws
from ...core import dtypes
from ...core.devices import here
from ...kernels import resize as kernel
from ...kernels.boxes import overlaps
from ...kernels.warp import settled_as_tensorflow
from ...ops import image as pictures
from ...ops.base import floating, is_trial, recorded, tensor
from ...utils.pictures import as_mode, check_pixels, is_wide, pillow
from .base import NAMES, named, op, ops_by_path, taking, text_bytes, texts, whole
from .randomness import fresh

_LAST = "channels_last"
METHODS = {word.upper(): word for word in "bilinear bicubic lanczos3 lanczos5 area gaussian mitchellcubic".split()}
METHODS["NEAREST_NEIGHBOR"] = "nearest"
_OF_TF1 = ("bilinear", "nearest", "bicubic", "area")  # by number
NAMES.update({f"image.ResizeMethod.{key}": value for key, value in METHODS.items()})


@op("image.resize")
def resize(images, size, method="bilinear", preserve_aspect_ratio=False, antialias=False):
    """Pictures of `size` (height, width), by the nearest pixel in their own type, else as floats."""
    images = tensor(images)
    method = _method(method)
    size = _in_proportion(images, size) if preserve_aspect_ratio else size
    if method == "area":
        height, width = (_covering(images.shape[axis], length) for axis, length in zip((-3, -2), size, strict=True))
        return torch.einsum("ih,...hwc,jw->...ijc", height, images.to(torch.float32), width)
    if method not in ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5"):
        raise ValueError(
            f"image.resize: no method {method!r} here; use bilinear, nearest, bicubic, lanczos3, lanczos5 or area."
        )
    images = images if method == "nearest" else images.to(torch.float32)
    if method == "bicubic":  # torch's own cubic is another
        planes = images.movedim(-1, -3)
        planes = kernel.resize(planes.reshape(-1, *planes.shape[-3:]), size, method, antialias)
        return planes.reshape(*images.shape[:-3], *planes.shape[1:]).movedim(-3, -1)
    return pictures.resize(images, size, method, antialias, data_format=_LAST)


def _method(given: Any) -> Any:
    return _OF_TF1[given] if isinstance(given, int) else {"nearest_neighbor": "nearest"}.get(given, given)


def _in_proportion(images: Tensor, size: Any) -> tuple[int, int]:
    height, width = images.shape[-3:-1]
    scale = min(size[0] / height, size[1] / width)
    return round(height * scale), round(width * scale)


@op("image.resize_images compat.v1.image.resize compat.v1.image.resize_images")
def resize_images(images, size, method="bilinear", align_corners=False, preserve_aspect_ratio=False):
    """TensorFlow 1's: output i is taken at i * step; the first pixels fall together, and with `align_corners` the last.

    Raises ValueError for another method than bilinear, nearest and area.
    """
    images, method = tensor(images), _method(method)
    size = _in_proportion(images, size) if preserve_aspect_ratio else size
    if method == "area":
        return resize(images, size, method)
    if method not in ("bilinear", "nearest"):
        raise ValueError(f"image.resize_images: no method {method!r} here; use bilinear, nearest or area.")
    images = images if method == "nearest" else images.to(torch.float32)
    for axis, target in zip((-3, -2), size, strict=True):
        length = images.shape[axis]
        step = (length - 1) / (target - 1) if align_corners and target > 1 else length / target
        places = torch.arange(target, dtype=torch.float32) * step
        low = (places + 0.5 * (align_corners and method == "nearest")).long().clamp(max=length - 1)
        found = images.index_select(axis, low)
        if method == "bilinear":
            share = (places - low).to(images.dtype).reshape(-1, *[1] * (-1 - axis))
            found = torch.lerp(found, images.index_select(axis, (low + 1).clamp(max=length - 1)), share)
        images = found
    return images


def _resizing(method: str) -> None:
    @named(f"image.resize_{method} compat.v1.image.resize_{method}")
    @recorded
    def function(images, size, align_corners=False, half_pixel_centers=False):
        if half_pixel_centers:
            return resize(images, size, method)
        return resize_images(images, size, method, align_corners)


for _word in ("bilinear", "nearest_neighbor", "bicubic", "area"):
    _resizing(_word)


def _covering(length: int, target: int) -> Tensor:
    """How much of each pixel lies in each of the target's, in shares of the latter: (target, length)."""
    step = length / target
    starts, places = torch.arange(target)[:, None] * step, torch.arange(length)
    return ((places + 1).minimum(starts + step) - torch.maximum(places, starts)).clamp(min=0) / step


@op("image.resize_with_pad")
def resize_with_pad(image, target_height, target_width, method="bilinear", antialias=False):
    targets = int(target_height), int(target_width)
    sizes = tensor(image).shape[-3:-1]
    scale = max(size / target for size, target in zip(sizes, targets, strict=True))
    found = resize(image, [int(size / scale) for size in sizes], method, False, antialias)
    for axis, size, target in zip((-3, -2), sizes, targets, strict=True):
        found = _padded(found, axis, max(0, int((target - size / scale) / 2)), target)
    return found


@op("image.resize_with_crop_or_pad image.resize_image_with_crop_or_pad")
def resize_with_crop_or_pad(image, target_height, target_width):
    """The middle of the picture, with zeros round it where it is smaller."""
    x = tensor(image)
    for axis, target in ((-3, int(target_height)), (-2, int(target_width))):
        length = x.shape[axis]
        if length > target:
            x = x.narrow(axis, (length - target) // 2, target)
        elif length < target:
            x = _padded(x, axis, (target - length) // 2, target)
    return x


def _padded(x: Tensor, axis: int, before: int, target: int) -> Tensor:
    widths = [(0, 0)] * x.ndim
    widths[axis] = (before, target - x.shape[axis] - before)
    return ops.pad(x, widths)


@op("image.pad_to_bounding_box")
def pad_to_bounding_box(image, offset_height, offset_width, target_height, target_width):
    return _padded(_padded(tensor(image), -3, offset_height, target_height), -2, offset_width, target_width)


@op("image.crop_to_bounding_box")
def crop_to_bounding_box(image, offset_height, offset_width, target_height, target_width):
    rows = tensor(image).narrow(-3, int(offset_height), int(target_height))
    return rows.narrow(-2, int(offset_width), int(target_width))


@op("image.central_crop")
def central_crop(image, central_fraction):
    x = tensor(image)
    starts = [int((size - size * central_fraction) / 2) for size in x.shape[-3:-1]]
    return x[..., starts[0] : x.shape[-3] - starts[0], starts[1] : x.shape[-2] - starts[1], :]


@op("image.random_crop random_crop image.stateless_random_crop")
def random_crop(value, size, seed=None):
    x = tensor(value)
    for axis, length in enumerate(whole(size)):
        start = int(draws.randint((), 0, x.shape[axis] - length + 1, seed=fresh(seed)))
        x = x.narrow(axis, start, length)
    return x


# Brightness beside colours, as television has them.
_TO_YUV = [[0.299, -0.14714119, 0.61497538], [0.587, -0.28886916, -0.51496512], [0.114, 0.43601035, -0.10001026]]
_FROM_YUV = [[1.0, 1.0, 1.0], [0.0, -0.394642334, 2.03206185], [1.13988303, -0.58062185, 0.0]]
_IN_A_LINE: dict[str, Callable] = {
    "image.flip_left_right": lambda image: tensor(image).flip(-2),
    "image.flip_up_down": lambda image: tensor(image).flip(-3),
    "image.transpose image.transpose_image": lambda image: tensor(image).transpose(-3, -2),
    "image.rot90": lambda image, k=1: torch.rot90(tensor(image), int(k), (-3, -2)),
    "image.grayscale_to_rgb": lambda images: tensor(images).expand(*images.shape[:-1], 3).clone(),
    "image.rgb_to_yuv": lambda images: floating(images) @ torch.tensor(_TO_YUV, dtype=floating(images).dtype),
    "image.yuv_to_rgb": lambda images: floating(images) @ torch.tensor(_FROM_YUV, dtype=floating(images).dtype),
}
ops_by_path(_IN_A_LINE)


def _at_random(axis: int) -> Any:
    """Turned round along an axis, or not: each picture of a batch by itself."""

    def function(image, seed=None):
        x = tensor(image)
        if x.ndim == 3:
            return x.flip(axis) if draws.uniform((), seed=fresh(seed)) < 0.5 else x
        return torch.where(draws.uniform((len(x), 1, 1, 1), seed=fresh(seed)).to(x.device) < 0.5, x.flip(axis), x)

    return recorded(function)


named("image.random_flip_left_right image.stateless_random_flip_left_right")(_at_random(-2))
named("image.random_flip_up_down image.stateless_random_flip_up_down")(_at_random(-3))


def _in_floats(change: Any) -> Any:
    """A change of colours from 0 to 1, for pictures of any type."""

    def function(image, *args, **kwargs):
        image = tensor(image)
        found = change(convert_image_dtype(image, "float32"), *args, **kwargs)
        return convert_image_dtype(found, image.dtype, True)

    function.__name__ = change.__name__
    return recorded(function)


@_in_floats
def adjust_brightness(image, delta):
    return image + delta


@_in_floats
def adjust_saturation(image, saturation_factor):
    hue, saturation, value = pictures.rgb_to_hsv(image, _LAST).unbind(-1)
    return pictures.hsv_to_rgb(torch.stack([hue, (saturation * saturation_factor).clamp(0, 1), value], -1), _LAST)


@_in_floats
def adjust_hue(image, delta):
    hue, saturation, value = pictures.rgb_to_hsv(image, _LAST).unbind(-1)
    return pictures.hsv_to_rgb(torch.stack([(hue + delta) % 1, saturation, value], -1), _LAST)


@_in_floats
def adjust_contrast(images, contrast_factor):
    mean = images.mean((-3, -2), keepdim=True)
    return (images - mean) * contrast_factor + mean


@_in_floats
def adjust_gamma(image, gamma=1, gain=1):
    return gain * image**gamma


@_in_floats
def rgb_to_grayscale(images):
    return pictures.rgb_to_grayscale(images, _LAST)


for _change in (rgb_to_grayscale, adjust_brightness, adjust_saturation, adjust_hue, adjust_contrast, adjust_gamma):
    NAMES[f"image.{_change.__name__}"] = taking(_change)


@named("image.random_brightness image.stateless_random_brightness")
def random_brightness(image, max_delta, seed=None):
    return adjust_brightness(image, float(draws.uniform((), -max_delta, max_delta, seed=fresh(seed))))


@named("image.random_hue image.stateless_random_hue")
def random_hue(image, max_delta, seed=None):
    return adjust_hue(image, float(draws.uniform((), -max_delta, max_delta, seed=fresh(seed))))


@named("image.random_contrast image.stateless_random_contrast")
def random_contrast(image, lower, upper, seed=None):
    return adjust_contrast(image, float(draws.uniform((), lower, upper, seed=fresh(seed))))


@named("image.random_saturation image.stateless_random_saturation")
def random_saturation(image, lower, upper, seed=None):
    return adjust_saturation(image, float(draws.uniform((), lower, upper, seed=fresh(seed))))


@op("image.convert_image_dtype")
def convert_image_dtype(image, dtype, saturate=False):
    """Whole numbers fill their range, floats that from 0 to 1."""
    x, to = tensor(image), dtypes.torch_dtype(dtype)
    if x.dtype is to:
        return x
    if not x.is_floating_point():
        if to.is_floating_point:
            return x.to(to) / torch.iinfo(x.dtype).max
        own, other = torch.iinfo(x.dtype).max + 1, torch.iinfo(to).max + 1
        return (x.long() // (own // other) if own > other else x.long() * (other // own)).to(to)
    if to.is_floating_point:
        return x.to(to)
    y = x * (torch.iinfo(to).max + 0.5)
    return ops.saturate_cast(y, to) if saturate else y.to(to)


@op("image.per_image_standardization")
def per_image_standardization(image):
    x = tensor(image).to(torch.float32)
    axes = (-3, -2, -1)
    count = x.shape[-1] * x.shape[-2] * x.shape[-3]
    spread = x.std(axes, correction=0, keepdim=True).clamp(min=count**-0.5)
    return (x - x.mean(axes, keepdim=True)) / spread


@op("image.total_variation")
def total_variation(images):
    x = tensor(images)
    axes = (-3, -2, -1)
    return x.diff(dim=-3).abs().sum(axes) + x.diff(dim=-2).abs().sum(axes)


@op("image.image_gradients")
def image_gradients(image):
    x = tensor(image)
    down, across = torch.zeros_like(x), torch.zeros_like(x)
    down[:, :-1], across[:, :, :-1] = x.diff(dim=1), x.diff(dim=2)
    return down, across


@op("image.sobel_edges")
def sobel_edges(image):
    """The slopes down and across, along a new last axis."""
    x = ops.pad(tensor(image), [(0, 0), (1, 1), (1, 1), (0, 0)], "reflect")
    return pictures.sobel_edges(x, _LAST)[:, 1:-1, 1:-1]


@op("image.psnr")
def psnr(a, b, max_val):
    x, y = (
        convert_image_dtype(each, "float32") if not tensor(each).is_floating_point() else tensor(each)
        for each in (a, b)
    )
    top = max_val if tensor(a).is_floating_point() else max_val / torch.iinfo(tensor(a).dtype).max
    return 10 * torch.log10(top**2 / (x - y).square().mean((-3, -2, -1)))


@op("image.ssim")
def ssim(img1, img2, max_val, filter_size=11, filter_sigma=1.5, k1=0.01, k2=0.03):
    return pictures.ssim(floating(img1), floating(img2), max_val, filter_size, filter_sigma, k1, k2, _LAST)


@op("image.extract_patches extract_image_patches image.extract_image_patches")
def extract_patches(images, sizes, strides, rates, padding):
    return pictures.extract_patches(images, sizes[1:3], strides[1:3], rates[1:3], padding.lower(), _LAST)


@op("image.crop_and_resize", "image")
def crop_and_resize(image, boxes, box_indices, crop_size, method="bilinear", extrapolation_value=0.0):
    """Parts of pictures, each in `crop_size`: boxes are (top, left, bottom, right) in shares of the last pixel's place,
    `box_indices` say of which picture. Raises ValueError for another method than bilinear and nearest."""
    if method not in ("bilinear", "nearest"):
        raise ValueError(f"image.crop_and_resize: expected method 'bilinear' or 'nearest'; got {method!r}.")
    image, boxes, of = tensor(image).float(), tensor(boxes).float(), tensor(box_indices).long()[:, None, None]
    ends = [image.shape[axis] - 1 for axis in (1, 2)]
    places = []
    for axis, (end, count) in enumerate(zip(ends, whole(crop_size), strict=True)):
        low, length = boxes[:, axis, None], boxes[:, axis + 2, None] - boxes[:, axis, None]
        steps = torch.arange(count) * (length * end / (count - 1)) if count > 1 else length * end / 2
        places.append(low * end + steps)
    y, x = places[0][:, :, None], places[1][:, None, :]
    inside = (y >= 0) & (y <= ends[0]) & (x >= 0) & (x <= ends[1])
    y, x = y.clamp(0, ends[0]), x.clamp(0, ends[1])
    if method == "nearest":
        found = image[of, (y + 0.5).long(), (x + 0.5).long()]
    else:
        top, left, bottom, right = y.long(), x.long(), y.ceil().long(), x.ceil().long()
        down, across = (y - top)[..., None], (x - left)[..., None]
        upper = torch.lerp(image[of, top, left], image[of, top, right], across)
        found = torch.lerp(upper, torch.lerp(image[of, bottom, left], image[of, bottom, right], across), down)
    return torch.where(inside[..., None], found, extrapolation_value)


# Of boxes that are drawn without colours of one's own: red, green, blue and opacity.
_COLORS = [[1, 1, 0, 1], [0, 0, 1, 1], [1, 0, 0, 1], [0, 1, 0, 1], [0.5, 0, 0.5, 1], [0.5, 0.5, 0, 1], [0.5, 0, 0, 1]]
_COLORS += [[0, 0, 0.5, 1], [0, 1, 1, 1], [1, 0, 1, 1]]


@op("image.draw_bounding_boxes")
def draw_bounding_boxes(images, boxes, colors=None):
    """Pictures with the edges of boxes, (top, left, bottom, right) in shares of the last pixel's place. Colours take
    turns; what lies outside is left out."""
    images, depth = tensor(images).clone(), images.shape[-1]
    height, width = images.shape[1:3]
    ends = torch.tensor([height - 1, width - 1] * 2)
    table = tensor(_COLORS if colors is None or not len(colors) else colors).to(images.dtype)[:, :depth]
    table = torch.ones_like(table) if depth == 1 else table
    for image, rows in zip(images, (tensor(boxes).float() * ends).long().tolist(), strict=True):
        for number, (top, left, bottom, right) in enumerate(rows):
            down, across = slice(max(top, 0), max(bottom + 1, 0)), slice(max(left, 0), max(right + 1, 0))
            if top > bottom or left > right:
                continue
            for row in (top, bottom):
                if 0 <= row < height:
                    image[row, across] = table[number % len(table)]
            for column in (left, right):
                if 0 <= column < width:
                    image[down, column] = table[number % len(table)]
    return images


@op("image.non_max_suppression")
def non_max_suppression(boxes, scores, max_output_size, iou_threshold=0.5, score_threshold=float("-inf")):
    """The places of the best boxes (y1, x1, y2, x2), without those that cover better ones."""
    boxes, scores = tensor(boxes), tensor(scores)
    boxes = torch.cat([boxes[:, :2].minimum(boxes[:, 2:]), boxes[:, :2].maximum(boxes[:, 2:])], -1)
    if is_trial(scores):  # while shapes are found: a number that goes with the unknown ones
        return scores.new_empty(scores.shape, dtype=torch.int32)
    chosen: list[int] = []
    for place in scores.argsort(descending=True, stable=True).tolist():
        if len(chosen) >= int(max_output_size) or scores[place] <= score_threshold:
            break
        if not chosen or (overlaps(boxes[place], boxes[chosen], 0.0) <= iou_threshold).all():
            chosen.append(place)
    return torch.tensor(chosen, dtype=torch.int32)


@op("image.non_max_suppression_with_scores")
def non_max_suppression_with_scores(
    boxes, scores, max_output_size, iou_threshold=0.5, score_threshold=float("-inf"), soft_nms_sigma=0.0
):
    """Those places, and the scores there. Scores that fade with overlap (`soft_nms_sigma`) are refused."""
    if soft_nms_sigma:
        raise ValueError("non_max_suppression_with_scores: `soft_nms_sigma` other than 0 is not in Lamina's stand-in.")
    chosen = non_max_suppression(boxes, scores, max_output_size, iou_threshold, score_threshold)
    return chosen, tensor(scores)[chosen.long()]


class Detections(NamedTuple):
    nmsed_boxes: Tensor
    nmsed_scores: Tensor
    nmsed_classes: Tensor
    valid_detections: Tensor


@op("image.combined_non_max_suppression")
def combined_non_max_suppression(
    boxes, scores, max_output_size_per_class, max_total_size, iou_threshold=0.5, score_threshold=float("-inf"),
    pad_per_class=False, clip_boxes=True,
):  # fmt: skip
    """The best boxes of each picture, class by class: boxes, scores, classes, and how many there are before zeros.

    boxes (batch, n, 1 or classes, 4), scores (batch, n, classes).
    """
    boxes, scores = tensor(boxes), tensor(scores)
    count, classes = len(boxes), scores.shape[-1]
    most = int(max_output_size_per_class)
    total = min(int(max_total_size), most * classes) if pad_per_class else int(max_total_size)
    found, best, kinds = (scores.new_zeros(count, total, *last) for last in ((4,), (), ()))
    valid = scores.new_zeros(count, dtype=torch.int32)
    if is_trial(scores):
        return Detections(found, best, kinds, valid)
    for row in range(count):
        chosen = [
            non_max_suppression(
                boxes[row, :, kind % boxes.shape[2]], scores[row, :, kind], most, iou_threshold, score_threshold
            )
            for kind in range(classes)
        ]
        of = torch.arange(classes).repeat_interleave(torch.tensor(list(map(len, chosen))))
        places = torch.cat(chosen).long()
        order = scores[row, places, of].argsort(descending=True, stable=True)[:total]
        places, of, valid[row] = places[order], of[order], len(order)
        found[row, : len(order)] = boxes[row, places, of % boxes.shape[2]]
        best[row, : len(order)], kinds[row, : len(order)] = scores[row, places, of], of.to(kinds)
    return Detections(found.clamp(0, 1) if clip_boxes else found, best, kinds, valid)


@op("raw_ops.ImageProjectiveTransformV3")
def projective_transform(images, transforms, output_shape, fill_value, interpolation, fill_mode="CONSTANT"):
    """Pictures of `output_shape`: place (x, y) shows what was at ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k).

    `transforms`: (a0, a1, a2, b0, b1, b2, c0, c1), one or one for each picture; k = c0 x + c1 y + 1.
    """
    x, transforms = tensor(images).movedim(-1, 1), floating(transforms)
    rows, columns = pictures._projected(x, transforms.expand(len(x), 8), whole(output_shape))
    places, size, fill_mode = torch.stack([rows, columns], -1), rows.new_tensor(x.shape[2:]), fill_mode.lower()
    rows, columns = settled_as_tensorflow(places, size, interpolation.lower(), fill_mode).unbind(-1)
    made = pictures._warped(x.float(), rows, columns, int(interpolation != "NEAREST"), fill_mode, float(fill_value))
    return made.movedim(1, -1).to(x.dtype)


# Files ----------------------------------------------------------------------------------------------------------------


_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}  # by the number of channels


@named("image.decode_image image.decode_gif io.decode_image io.decode_gif")
def decode_image(contents, channels=0, dtype="uint8", expand_animations=True):
    """The picture that a file's bytes hold, of as many channels (0: its own), values 0 to 255, or 0 to 1 of floats.

    Of a GIF all pictures, of shape (pictures, height, width, 3), or the first without `expand_animations`. Where one
    channel has 16 bits, uint16 gets all of them, other types the higher 8.
    """
    return _decoded(pillow().open(io.BytesIO(text_bytes(contents))), channels, dtype, expand_animations)


def _decoded(found, channels, dtype="uint8", expand_animations=False):
    if found.format == "GIF" and expand_animations:
        if channels not in (0, 3):
            raise ValueError(f"decode_image: pictures of a GIF have 3 channels; got channels={channels}.")
        frames = range(getattr(found, "n_frames", 1))
        check_pixels(found, len(frames))
        array = np.stack([np.array(found.convert("RGB")) for at in frames if found.seek(at) is None])
    else:
        own = "RGBA" if found.mode == "P" and "transparency" in found.info else {"1": "L"}.get(found.mode, found.mode)
        own = "L" if is_wide(found) else own if own in _MODES.values() else "RGB"
        array = np.array(as_mode(found, _MODES.get(int(channels), own)))
        array = array.reshape(*array.shape[:2], -1)
    if dtypes.dtype_name(dtype) != "uint16":
        return convert_image_dtype(here(torch.from_numpy(array)), dtype)
    array = array * np.uint16(257 if found.format == "PNG" else 256)
    if is_wide(found):
        array[..., : array.shape[-1] - 1 + array.shape[-1] % 2] = np.asarray(found)[:, :, None]
    return here(torch.from_numpy(array))


@named("image.decode_png image.decode_bmp io.decode_png io.decode_bmp")
def decode_png(contents, channels=0, dtype="uint8"):
    return decode_image(contents, channels, dtype, expand_animations=False)


@named("image.decode_jpeg io.decode_jpeg")
def decode_jpeg(contents, channels=0, ratio=1):
    """As `decode_image`; a JPEG by `ratio` smaller, which its decoder does by itself."""
    if ratio not in (1, 2, 4, 8):
        raise ValueError(f"decode_jpeg: ratio must be 1, 2, 4 or 8; got {ratio}.")
    found = pillow().open(io.BytesIO(text_bytes(contents)))
    if ratio > 1 and found.format == "JPEG":
        found.draft(found.mode, tuple(max(1, size // ratio) for size in found.size))
    return _decoded(found, channels)


@named("io.encode_jpeg image.encode_jpeg")
def encode_jpeg(image, quality=95):
    return _encoded(image, "JPEG", quality=quality)


@named("image.adjust_jpeg_quality")
def adjust_jpeg_quality(image, jpeg_quality):
    """What is left of a picture of shape (height, width, 1 or 3) after JPEG, in its own type."""
    x = tensor(image)
    left = decode_image(encode_jpeg(convert_image_dtype(x, "uint8", True), int(jpeg_quality)))
    return convert_image_dtype(left, x.dtype, True)


@named("image.random_jpeg_quality image.stateless_random_jpeg_quality")
def random_jpeg_quality(image, min_jpeg_quality, max_jpeg_quality, seed=None):
    low, high = min_jpeg_quality, max_jpeg_quality
    return adjust_jpeg_quality(image, int(draws.randint((), low, high, seed=fresh(seed))))


@named("io.is_jpeg image.is_jpeg")
def is_jpeg(contents):
    return torch.tensor(text_bytes(contents)[:3] == b"\xff\xd8\xff")


@named("io.encode_png image.encode_png")
def encode_png(image):
    return _encoded(image, "PNG")


def _encoded(image: Any, kind: str, **options: Any) -> Any:
    array, file = np.asarray(tensor(image).cpu()), io.BytesIO()
    pillow().fromarray(array[..., 0] if array.shape[-1] == 1 else array).save(file, kind, **options)
    return texts(file.getvalue())
