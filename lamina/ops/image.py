"""Pictures: sizes, colours, geometry, filters. (H, W, C) or (N, H, W, C); channels before H for "channels_first"."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..core import random
from ..kernels import window
from ..kernels.resize import _TAPS, rounded, to_ratio
from ..kernels.resize import resize as resized
from .arrangement import PLACES
from .base import axes_of, channels_last, floating, op, same_dtype, tensor

_ORDERS = {"nearest": 0, "bilinear": 1}
_FILLS = {"constant": "edge", "nearest": "edge", "wrap": "wrap", "mirror": "reflect", "reflect": "symmetric"}


def _pictures(images: Any, data_format: str | None, name: str) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """A batch (N, C, H, W), and what gives results the axes of `images`. Raises ValueError for other ranks."""
    x, last = tensor(images), channels_last(data_format)
    alone = x.ndim == 3
    if x.ndim not in (3, 4):
        raise ValueError(f"{name}: expected one picture (3 axes) or a batch (4 axes); got shape {tuple(x.shape)}.")

    def back(y: Tensor) -> Tensor:
        y = y.movedim(1, -1) if last else y
        return y.squeeze(0) if alone else y

    x = x.unsqueeze(0) if alone else x
    return x.movedim(-1, 1) if last else x, back


def _known(value: str, table: Any, name: str, argument: str) -> Any:
    if value not in table:
        raise ValueError(f"{name}: unknown {argument} {value!r}; expected one of {', '.join(table)}.")
    return table[value] if isinstance(table, dict) else value


# Sizes -----------------------------------------------------------------------------------------------------------


@op
def resize(
    images: Any,
    size: Any,
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """Pictures of `size` (height, width).

    `interpolation`: nearest, bilinear, bicubic, lanczos3, lanczos5; `antialias` widens it when shrinking. Where the
    aspect ratio is to stay, the middle is cropped out, or `fill_value` put round.
    """
    x, back = _pictures(images, data_format, "resize")
    _known(interpolation, ("nearest", *_TAPS), "resize", "interpolation")
    if len(size) != 2:
        raise ValueError(f"resize: `size` must be (height, width); got {size!r}.")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("resize: only one of crop_to_aspect_ratio and pad_to_aspect_ratio can be True.")
    if fill_mode != "constant":
        raise ValueError(f'resize: `fill_mode` must be "constant"; got {fill_mode!r}.')
    target = int(size[0]), int(size[1])
    if crop_to_aspect_ratio or pad_to_aspect_ratio:
        x = to_ratio(x, target, pad_to_aspect_ratio, fill_value)
    if interpolation != "bicubic":
        return back(resized(x, target, interpolation, antialias))
    wide = floating(x)
    if antialias and wide.dtype.itemsize < 4:  # torch's kernel knows no half precision on a CPU
        wide = wide.float()
    # Its a is -3/4; that of the layers' kernel is Keys' -1/2.
    y = F.interpolate(wide, target, mode="bicubic", align_corners=False, antialias=antialias)
    return back(rounded(y, x.dtype))


_METHODS = {
    **_TAPS,
    **dict.fromkeys(("linear", "triangle", "trilinear"), _TAPS["bilinear"]),
    **dict.fromkeys(("cubic", "tricubic"), _TAPS["bicubic"]),
}


def _resampled(
    x: Tensor, axis: int, size: int, scale: Tensor, translation: Tensor, taps: Callable, antialias: bool
) -> Tensor:
    """One axis scaled and moved: a value is the mean, weighed by taps, of those near where it comes from."""
    exact = torch.promote_types(x.dtype, torch.float32)
    inverse = 1 / scale.to(exact)
    width = inverse.clamp(min=1) if antialias else torch.ones_like(inverse)
    centre = (torch.arange(size, device=x.device, dtype=exact) + 0.5) * inverse - translation * inverse - 0.5
    distance = (centre.unsqueeze(0) - torch.arange(x.shape[axis], device=x.device, dtype=exact).unsqueeze(1)).abs()
    weights = taps(distance / width)
    total = weights.sum(0, keepdim=True)
    weights = torch.where(total.abs() > 1000 * torch.finfo(torch.float32).eps, weights / total, 0.0)
    inside = (centre >= -0.5) & (centre <= x.shape[axis] - 0.5)
    weights = torch.where(inside.unsqueeze(0), weights, 0.0).to(x.dtype)
    return (x.movedim(axis, -1) @ weights).movedim(-1, axis)


@op(call=4)
def scale_and_translate(
    images: Any,
    output_shape: Sequence[int],
    scale: Any,
    translation: Any,
    spatial_dims: Sequence[int],
    method: str,
    antialias: bool = True,
) -> Tensor:
    """The axes `spatial_dims` scaled and moved: place y of the result shows place (y - translation) / scale.

    What lies outside is 0. `method`: linear, cubic, lanczos3 or lanczos5; `antialias` widens it when shrinking.
    """
    x = tensor(images)
    taps = _known(method, _METHODS, "scale_and_translate", "method")
    dtype, y = x.dtype, floating(x)
    scale, translation = (floating(value).to(x.device).reshape(-1) for value in (scale, translation))
    for place, axis in enumerate(axes_of(tuple(spatial_dims), x.ndim)):
        y = _resampled(y, axis, int(output_shape[axis]), scale[place], translation[place], taps, antialias)
    return rounded(y, dtype)


def _borders(
    before: int | None, after: int | None, target: int | None, size: int, sign: int, name: str, axis: str
) -> tuple[int, int]:
    """What to add (sign 1) or take off (-1) before and after an axis, from two of these three."""
    given = sum(value is not None for value in (before, after, target))
    if given != 2:
        raise ValueError(f"{name}: give two of the border before, the border after and the {axis}; got {given}.")
    if target is not None:
        total = sign * (target - size)
        before, after = (total - (after or 0), after) if before is None else (before, total - before)
    assert before is not None and after is not None
    if before < 0 or after < 0 or size + sign * (before + after) < 0:
        raise ValueError(
            f"{name}: borders must not be negative, or more than there is; got {before} and {after} for {axis} {size}."
        )
    return before, after


@op
def pad_images(
    images: Any,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Zeros round pictures; of each axis two of before, after and target size say how many."""
    x, back = _pictures(images, data_format, "pad_images")
    rows = _borders(top_padding, bottom_padding, target_height, x.shape[2], 1, "pad_images", "height")
    columns = _borders(left_padding, right_padding, target_width, x.shape[3], 1, "pad_images", "width")
    return back(F.pad(x, (*columns, *rows)))


@op
def crop_images(
    images: Any,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Pictures without their borders; of each axis two of before, after and target size say how much."""
    x, back = _pictures(images, data_format, "crop_images")
    top, bottom = _borders(top_cropping, bottom_cropping, target_height, x.shape[2], -1, "crop_images", "height")
    left, right = _borders(left_cropping, right_cropping, target_width, x.shape[3], -1, "crop_images", "width")
    return back(x[:, :, top : x.shape[2] - bottom, left : x.shape[3] - right])


@op
def extract_patches(
    images: Any,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Windows of pictures as channels: (N, H, W, C) to (N, rows, columns, height * width * C)."""
    rank = 3 if not isinstance(size, int) and len(size) == 3 else 2
    x = tensor(images)
    alone = x.ndim == rank + 1
    x = x.unsqueeze(0) if alone else x
    if x.ndim != rank + 2:
        shape = tuple(tensor(images).shape)
        raise ValueError(f"extract_patches: expected {rank + 1} or {rank + 2} axes; got shape {shape}.")
    _known(padding, ("valid", "same"), "extract_patches", "padding")
    last = channels_last(data_format)
    x = x.movedim(-1, 1) if last else x
    sizes, steps, gaps = (
        (value,) * rank if isinstance(value, int) else tuple(value)
        for value in (size, size if strides is None else strides, dilation_rate)
    )
    for axis, (length, step, gap) in enumerate(zip(sizes, steps, gaps, strict=True), start=2):
        before, after = window.pads(x.shape[axis], length, step, padding, gap)
        if before or after:
            x = torch.constant_pad_nd(x, [0, 0] * (x.ndim - 1 - axis) + [before, after])
        x = x.unfold(axis, window.extent(length, gap), step)[..., ::gap]
    # (N, C, *places, *window) to (N, window * C, *places)
    x = x.permute(0, *range(2 + rank, 2 + 2 * rank), 1, *range(2, 2 + rank))
    x = x.flatten(1, rank + 1)
    x = x.movedim(1, -1) if last else x
    return x.squeeze(0) if alone else x


def extract_patches_3d(
    volumes: Any,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """`extract_patches` of volumes (N, D, H, W, C)."""
    sizes = (size,) * 3 if isinstance(size, int) else size
    return extract_patches(volumes, sizes, strides, dilation_rate, padding, data_format)


# Colours ---------------------------------------------------------------------------------------------------------


def _colours(images: Any, data_format: str | None, name: str) -> tuple[Tensor, int]:
    """Floating pictures and the axis of their three colours."""
    x = tensor(images)
    axis = -1 if channels_last(data_format) else -3
    if x.ndim not in (3, 4) or x.shape[axis] != 3:
        raise ValueError(f"{name}: expected pictures with 3 channels on axis {axis}; got shape {tuple(x.shape)}.")
    return x, axis


@op(name="RGBToGrayscale")
def rgb_to_grayscale(images: Any, data_format: str | None = None) -> Tensor:
    """One channel of brightness: 0.299 red + 0.587 green + 0.114 blue."""
    x, axis = _colours(images, data_format, "rgb_to_grayscale")
    red, green, blue = floating(x).split(1, axis)
    return (0.2989 * red + 0.587 * green + 0.114 * blue).to(x.dtype)


def _floating_colours(images: Any, data_format: str | None, name: str) -> tuple[Tensor, int]:
    x, axis = _colours(images, data_format, name)
    if not x.is_floating_point():
        raise ValueError(f"{name}: expected floating values between 0 and 1; got {x.dtype}. Divide by 255 first.")
    return x, axis


@op(name="RGBToHSV")
def rgb_to_hsv(images: Any, data_format: str | None = None) -> Tensor:
    """Red, green and blue to hue, saturation and value, all between 0 and 1."""
    x, axis = _floating_colours(images, data_format, "rgb_to_hsv")
    red, green, blue = x.unbind(axis)
    value = x.amax(axis)
    spread = value - x.amin(axis)
    grey = spread == 0
    safe = torch.where(grey, 1.0, spread)
    hue = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    hue = torch.where(grey, 0.0, torch.remainder(hue / 6, 1.0))
    saturation = torch.where(value > 0, spread / torch.where(value > 0, value, 1.0), 0.0)
    return torch.stack([hue, saturation, value], axis)


@op(name="HSVToRGB")
def hsv_to_rgb(images: Any, data_format: str | None = None) -> Tensor:
    """The inverse of `rgb_to_hsv`."""
    x, axis = _floating_colours(images, data_format, "hsv_to_rgb")
    hue, saturation, value = x.unbind(axis)
    sixth = hue * 6
    shares = [
        ((sixth - 3).abs() - 1).clamp(0, 1),
        (2 - (sixth - 2).abs()).clamp(0, 1),
        (2 - (sixth - 4).abs()).clamp(0, 1),
    ]
    return torch.stack([((share - 1) * saturation + 1) * value for share in shares], axis)


# Geometry --------------------------------------------------------------------------------------------------------


def _sample(x: Tensor, lead: tuple, coordinates: Sequence[Tensor], order: int, mode: str, fill_value: float) -> Tensor:
    """Values of `x` between its places: `lead` are plain indices of the first axes, `coordinates` those of the next;
    axes behind are taken whole."""
    place = PLACES[_FILLS[mode]]
    sizes = x.shape[len(lead) : len(lead) + len(coordinates)]
    nodes = []
    for at, length in zip(coordinates, sizes, strict=True):
        if order == 0:
            points = [(torch.round(at), None)]
        else:
            below = torch.floor(at)
            points = [(below, 1 - (at - below)), (below + 1, at - below)]
        nodes.append(
            [
                (place(index.long(), length), (index >= 0) & (index < length) if mode == "constant" else None, weight)
                for index, weight in points
            ]
        )
    behind = (None,) * (x.ndim - len(lead) - len(coordinates))
    total: Any = 0
    for corner in itertools.product(*nodes):
        value = x[(*lead, *(index for index, _, _ in corner))]
        if mode == "constant":
            inside = corner[0][1]
            for _, valid, _ in corner[1:]:
                inside = inside & valid
            value = torch.where(inside[(..., *behind)], value, fill_value)
        for _, _, weight in corner:
            value = value if weight is None else value * weight[(..., *behind)]
        total = total + value
    return rounded(total, x.dtype)


@op(call=2)
def map_coordinates(
    inputs: Any, coordinates: Any, order: int, fill_mode: str = "constant", fill_value: float = 0
) -> Tensor:
    """Values of `inputs` at places given by one array for each axis: the nearest (order 0) or linear between (1).

    `fill_mode`: what lies outside: constant, nearest, wrap, mirror, reflect.
    """
    x = tensor(inputs)
    places = [floating(at) for at in coordinates]
    _known(fill_mode, _FILLS, "map_coordinates", "fill_mode")
    if order not in (0, 1):
        raise ValueError(f"map_coordinates: `order` must be 0 or 1; got {order!r}.")
    if len(places) != x.ndim:
        raise ValueError(f"map_coordinates: {len(places)} coordinates for an array of {x.ndim} axes; expected as many.")
    return _sample(x, (), places, order, fill_mode, fill_value)


def _warped(x: Tensor, rows: Tensor, columns: Tensor, order: int, fill_mode: str, fill_value: float) -> Tensor:
    """Pictures whose value at each place comes from (rows, columns), each (N, H, W)."""
    batch = torch.arange(x.shape[0], device=x.device).reshape(-1, 1, 1)
    return _sample(x.movedim(1, -1), (batch,), (rows, columns), order, fill_mode, fill_value).movedim(-1, 1)


def _grid(x: Tensor, dtype: torch.dtype, size: Sequence[int] = ()) -> tuple[Tensor, Tensor]:
    height, width = size or x.shape[2:]
    rows = torch.arange(height, dtype=dtype, device=x.device).unsqueeze(1)
    return rows, torch.arange(width, dtype=dtype, device=x.device).unsqueeze(0)


@op(call=2)
def affine_transform(
    images: Any,
    transform: Any,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Tensor:
    """Place (x, y) shows what was at (a0 x + a1 y + a2, b0 x + b1 y + b2).

    `transform`: (a0, a1, a2, b0, b1, b2, 0, 0), one, or one for each picture.
    """
    x, back = _pictures(images, data_format, "affine_transform")
    order = _known(interpolation, _ORDERS, "affine_transform", "interpolation")
    _known(fill_mode, _FILLS, "affine_transform", "fill_mode")
    transform = floating(transform).to(x.device)
    if transform.ndim not in (1, 2) or transform.shape[-1] != 8:
        raise ValueError(f"affine_transform: `transform` must be (8,) or (N, 8); got {tuple(transform.shape)}.")
    return back(_warped(x, *_projected(x, transform.expand(x.shape[0], 8)), order, fill_mode, fill_value))


def _projected(x: Tensor, transform: Tensor, size: Sequence[int] = ()) -> tuple[Tensor, Tensor]:
    """Whence each place of pictures (N, C, H, W), or of another `size`, comes: rows and columns, each (N, H, W).

    `transform`: (N, 8) as of `affine_transform`; the last two are those of a perspective.
    """
    rows, columns = _grid(x, transform.dtype, size)
    a0, a1, a2, b0, b1, b2, c0, c1 = transform.reshape(-1, 8, 1, 1).unbind(1)
    scale = c0 * columns + c1 * rows + 1
    return (b0 * columns + b1 * rows + b2) / scale, (a0 * columns + a1 * rows + a2) / scale


@op(call=3)
def perspective_transform(
    images: Any,
    start_points: Any,
    end_points: Any,
    interpolation: str = "bilinear",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Tensor:
    """The picture pulled so that four points (x, y) come to lie where `end_points` say. Points (4, 2) or (N, 4, 2)."""
    x, back = _pictures(images, data_format, "perspective_transform")
    order = _known(interpolation, _ORDERS, "perspective_transform", "interpolation")
    start, end = (value.to(x.device) for value in same_dtype(floating(start_points), floating(end_points)))
    if start.shape != end.shape or start.shape[-2:] != (4, 2) or start.ndim not in (2, 3):
        raise ValueError(
            "perspective_transform: start_points and end_points must both be (4, 2) or (N, 4, 2); got "
            f"{tuple(start.shape)} and {tuple(end.shape)}."
        )
    exact = torch.promote_types(start.dtype, torch.float32)  # torch solves no equations in half precision
    transform = homography(end.to(exact).reshape(-1, 4, 2), start.to(exact).reshape(-1, 4, 2)).expand(x.shape[0], 8)
    return back(_warped(x, *_projected(x, transform), order, "constant", fill_value))


def homography(source: Tensor, target: Tensor) -> Tensor:
    """The 8 numbers of the projection that takes four points (N, 4, 2) to four others."""
    x, y = source.unbind(-1)
    u, v = target.unbind(-1)
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    for_u = torch.stack([x, y, one, zero, zero, zero, -u * x, -u * y], -1)
    for_v = torch.stack([zero, zero, zero, x, y, one, -v * x, -v * y], -1)
    return torch.linalg.solve(torch.cat([for_u, for_v], 1), torch.cat([u, v], 1))


@op
def elastic_transform(
    images: Any,
    alpha: float = 20.0,
    sigma: float = 5.0,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
    seed: Any = None,
    data_format: str | None = None,
) -> Tensor:
    """Places moved at random, by noise of strength `alpha` that is smooth over `sigma` pixels (Simard et al., 2003)."""
    x, back = _pictures(images, data_format, "elastic_transform")
    order = _known(interpolation, _ORDERS, "elastic_transform", "interpolation")
    _known(fill_mode, _FILLS, "elastic_transform", "fill_mode")
    dtype = floating(x).dtype
    rows, columns = _grid(x, dtype)
    generator = random.generator(random.stream(seed), x.device)
    noise = torch.empty((x.shape[0], 2, rows.shape[0], columns.shape[1]), dtype=dtype, device=x.device)
    noise = noise.normal_(0, float(sigma), generator=generator)
    length = int(6 * sigma) | 1
    across, down = gaussian_blur(noise, (length, length), (sigma, sigma), "channels_first").unbind(1)
    return back(_warped(x, rows + alpha * down, columns + alpha * across, order, fill_mode, fill_value))


# Filters ---------------------------------------------------------------------------------------------------------


def _gaussian(size: int, sigma: Any, like: Tensor) -> Tensor:
    place = torch.arange(size, dtype=like.dtype, device=like.device) - (size - 1) / 2
    weights = torch.exp(-0.5 * (place / sigma) ** 2)
    return weights / weights.sum()


def _filtered(x: Tensor, down: Tensor, across: Tensor, padding: Any) -> Tensor:
    """Each channel of (N, C, H, W) filtered by columns, then by rows."""
    channels = x.shape[1]
    x = torch.conv2d(x, down.reshape(1, 1, -1, 1).expand(channels, 1, -1, 1), padding=(padding[0], 0), groups=channels)
    return torch.conv2d(
        x, across.reshape(1, 1, 1, -1).expand(channels, 1, 1, -1), padding=(0, padding[1]), groups=channels
    )


@op
def gaussian_blur(
    images: Any, kernel_size: Any = (3, 3), sigma: Any = (1.0, 1.0), data_format: str | None = None
) -> Tensor:
    """Pictures smoothed over `sigma` (x, y) pixels by a kernel (height, width), with zeros beyond the edges."""
    given, back = _pictures(images, data_format, "gaussian_blur")
    x = floating(given)
    height, width = (kernel_size,) * 2 if isinstance(kernel_size, int) else (int(size) for size in kernel_size)
    horizontal, vertical = (sigma,) * 2 if isinstance(sigma, (int, float)) else sigma
    down, across = _gaussian(height, vertical, x), _gaussian(width, horizontal, x)
    return back(rounded(_filtered(x, down, across, (height // 2, width // 2)), given.dtype))


@op
def sobel_edges(images: Any, data_format: str | None = None) -> Tensor:
    """The slopes downwards and to the right, as a last axis of 2; there are zeros beyond the edges."""
    x, back = _pictures(images, data_format, "sobel_edges")
    x = floating(x)
    smooth, slope = x.new_tensor([1, 2, 1]), x.new_tensor([-1, 0, 1])
    return torch.stack([back(_filtered(x, *each, (1, 1))) for each in ((slope, smooth), (smooth, slope))], -1)


@op(name="SSIM", call=2)
def ssim(
    image1: Any,
    image2: Any,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str | None = None,
) -> Tensor:
    """Structural similarity of two batches of pictures, a value a picture, 1 for equal ones (Wang et al., 2004)."""
    image1, image2 = tensor(image1), tensor(image2)
    x, y = (_pictures(image, data_format, "ssim")[0] for image in (image1, image2))
    if x.shape != y.shape:
        raise ValueError(f"ssim: both must have one shape; got {tuple(image1.shape)} and {tuple(image2.shape)}.")
    x, y = same_dtype(floating(x), floating(y))
    if min(x.shape[2:]) < filter_size:
        raise ValueError(f"ssim: pictures of {tuple(x.shape[2:])} are smaller than the filter, {filter_size}.")
    taps = _gaussian(filter_size, filter_sigma, x)

    def local(z):
        return _filtered(z, taps, taps, (0, 0))

    mean_x, mean_y = local(x), local(y)
    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    spread = local(x * x + y * y) - mean_x**2 - mean_y**2
    structure = (2 * (local(x * y) - mean_x * mean_y) + c2) / (spread + c2)
    value = (luminance * structure).mean((1, 2, 3))
    return value.squeeze(0) if image1.ndim == 3 else value
