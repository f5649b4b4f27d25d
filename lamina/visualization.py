"""Pictures with what was found in them, and galleries of pictures, by matplotlib (`pip install lamina[plot]`)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .core.dtypes import dtype_name
from .core.errors import needing, short
from .ops.base import channels_last
from .ops.creation import convert_to_numpy
from .utils.bounding_boxes import convert_format
from .utils.pictures import pillow

__all__ = [
    "draw_bounding_boxes", "draw_segmentation_masks", "plot_bounding_box_gallery", "plot_image_gallery",
    "plot_segmentation_mask_gallery",
]  # fmt: skip

Colour = Sequence[float]


def _pyplot() -> Any:
    with needing("Galleries of pictures are plotted by matplotlib: pip install matplotlib."):
        from matplotlib import pyplot
    return pyplot


def _batch(images: Any, data_format: str | None, where: str) -> np.ndarray:
    """Pictures (N, height, width, channels)."""
    found = convert_to_numpy(images)
    if found.ndim != 4:
        raise ValueError(f"{where}: expected a batch of pictures, of rank 4; got {short(found)}.")
    return found if channels_last(data_format) else found.transpose(0, 2, 3, 1)


# Boxes ---------------------------------------------------------------------------------------------------------------


def draw_bounding_boxes(
    images: Any,
    bounding_boxes: Mapping[str, Any],
    bounding_box_format: str,
    class_mapping: Mapping[int, str] | None = None,
    color: Colour = (128, 128, 128),
    line_thickness: int = 2,
    text_thickness: int | None = 1,
    font_scale: float = 1.0,
    data_format: str | None = None,
) -> np.ndarray:
    """Pictures, as uint8 and otherwise as they were given, with boxes drawn in.

    images: (N, height, width, channels); floats up to 1 count as parts of 255. bounding_boxes: "boxes" (N, K, 4), in
    `bounding_box_format`, "labels" (N, K) and perhaps "confidences" (N, K); label -1 is left out. class_mapping: names
    by label; boxes of others have none. line_thickness: below 0 fills the box. font_scale: 1 is letters of 21 pixels.
    Names need Pillow. Raises ValueError for pictures of other ranks and missing boxes or labels, TypeError for boxes
    that are no dictionary.
    """
    where = "draw_bounding_boxes"
    pictures = _bytes(_batch(images, data_format, where))
    if not isinstance(bounding_boxes, Mapping):
        raise TypeError(f"{where}: `bounding_boxes` must be a dictionary; got {short(bounding_boxes)}.")
    if not {"boxes", "labels"} <= set(bounding_boxes):
        raise ValueError(f'{where}: `bounding_boxes` needs "boxes" and "labels"; it has {sorted(bounding_boxes)}.')
    height, width, channels = pictures.shape[1:]
    colour = np.array([*color, 0, 0, 0, 0][:channels]).round().astype("uint8")
    corners = convert_format(bounding_boxes["boxes"], bounding_box_format, "xyxy", height, width)
    each = {**bounding_boxes, "boxes": corners}
    columns = [convert_to_numpy(each[key]) for key in ("boxes", "labels", "confidences") if key in each]
    for picture, *found in zip(pictures, *columns, strict=True):
        for box, label, *confidence in zip(*found, strict=True):
            if int(label) == -1:
                continue
            left, top, right, bottom = (int(place) for place in box)
            _draw_box(picture, (left, top, right, bottom), colour, line_thickness)
            name = (class_mapping or {}).get(int(label))
            if name is not None:
                text = " | ".join([name, *(f"{part:.2f}" for part in confidence)])
                _write(picture, text, left, top, colour, font_scale, text_thickness or line_thickness)
    return pictures if channels_last(data_format) else pictures.transpose(0, 3, 1, 2)


def _bytes(pictures: np.ndarray) -> np.ndarray:
    """A copy as uint8."""
    if pictures.dtype.kind == "f" and pictures.size:
        pictures = np.clip(pictures, 0, 1) * 255 if pictures.max() <= 1 else np.clip(pictures, 0, 255)
    return np.array(pictures, "uint8")


def _draw_box(picture: np.ndarray, box: tuple[int, int, int, int], colour: np.ndarray, thickness: int) -> None:
    """A box drawn by a round pen that goes along its edges."""
    left, top, right, bottom = box
    (left, right), (top, bottom) = sorted((left, right)), sorted((top, bottom))
    edges = [(left, right, top, top), (left, right, bottom, bottom), (left, left, top, bottom)]
    edges.append((right, right, top, bottom))
    if thickness < 0:
        edges, thickness = [(left, right, top, bottom)], 1
    for reach, half in _pen((thickness + 1) // 2 if thickness > 1 else 0):
        for first, last, upper, lower in edges:
            across, down = (reach, half) if upper == lower else (half, reach)
            # picture rows and columns from the first to the last, as far as they are there
            rows = slice(max(upper - down, 0), max(lower + down + 1, 0))
            picture[rows, max(first - across, 0) : max(last + across + 1, 0)] = colour


def _pen(radius: int) -> Iterator[tuple[int, int]]:
    """The rectangles of which a disc consists, by half their width and height."""
    yield 0, radius
    wide, error, less = radius, 0, 2 * radius - 1
    for high in range(radius + 1):
        if high > wide:
            return
        yield wide, high
        yield high, wide
        error += 2 * high + 1
        if error > 0:
            error, wide, less = error - less, wide - 1, less - 2


def _write(
    picture: np.ndarray, text: str, left: int, top: int, colour: np.ndarray, scale: float, thickness: int
) -> None:
    """A name above the corner of a box, or within where there is no room."""
    from PIL import ImageDraw, ImageFont

    letters = int(12 * scale)
    above = top - 8 - 2 * letters > 0
    place = (left, top - 8) if above else (left + 3, top + 2 * letters + thickness + 3)
    mask = pillow().new("L", picture.shape[1::-1])
    font = ImageFont.load_default(30 * scale)
    ImageDraw.Draw(mask).text(place, text, 255, font, anchor="ls", stroke_width=(thickness - 1) // 2)
    part = np.asarray(mask, "float32")[..., None] / 255
    picture[:] = (picture * (1 - part) + colour * part).round()


# Masks ---------------------------------------------------------------------------------------------------------------


def draw_segmentation_masks(
    images: Any,
    segmentation_masks: Any,
    num_classes: int | None = None,
    color_mapping: Mapping[int, Colour] | None = None,
    alpha: float = 0.8,
    blend: bool = True,
    ignore_index: int = -1,
    data_format: str | None = None,
) -> np.ndarray:
    """Pictures (N, height, width, channels) in which what belongs to a class has its colour.

    segmentation_masks: whole numbers below `num_classes`, by default all of them; the others, `ignore_index`, and
    those without a colour in `color_mapping` are not drawn. (N, height, width[, 1]), or (N, 1, height, width) for
    "channels_first". alpha: the part of the colour; the result is uint8. blend: with False the colour alone, as
    float32. Raises ValueError for pictures of other ranks, TypeError for masks that are no whole numbers.
    """
    where = "draw_segmentation_masks"
    pictures = _batch(images, data_format, where).astype("float32")
    masks = convert_to_numpy(segmentation_masks)
    if masks.dtype.kind not in "iu":
        raise TypeError(f"{where}: masks must be whole numbers; got {dtype_name(masks.dtype)}.")
    if masks.ndim == 4:
        masks = masks[..., 0] if channels_last(data_format) else masks[:, 0]
    if masks.shape != pictures.shape[:3]:
        raise ValueError(f"{where}: masks of shape {masks.shape} do not fit pictures of shape {pictures.shape}.")
    count = int(masks.max(initial=-1)) + 1 if num_classes is None else num_classes
    colours = {i: (i * np.array([2**25 - 1, 2**15 - 1, 2**21 - 1])) % 255 for i in range(count)}
    if color_mapping is not None:
        colours = {i: color_mapping[i] for i in range(count) if i in color_mapping}
    drawn = pictures.copy()
    for label, colour in colours.items():
        if label != ignore_index:
            drawn[masks == label] = np.asarray(colour, "float32")
    if not blend:
        return drawn
    mixed = pictures * (1 - alpha) + drawn * alpha
    return np.where((masks == ignore_index)[..., None], pictures, mixed).astype("uint8")


# Galleries -----------------------------------------------------------------------------------------------------------


def _in_bytes(pictures: np.ndarray, value_range: Sequence[float]) -> np.ndarray:
    """Pictures as floats, with what goes from 0 to 255 for a range of values."""
    low, high = value_range
    return (pictures.astype("float32") - low) / (high - low) * 255


def plot_image_gallery(
    images: Any,
    y_true: Any = None,
    y_pred: Any = None,
    label_map: Mapping[int, str] | None = None,
    rows: int | None = None,
    cols: int | None = None,
    value_range: Sequence[float] = (0, 255),
    scale: float = 2,
    path: Any = None,
    show: bool | None = None,
    transparent: bool = True,
    dpi: float = 60,
    legend_handles: Any = None,
    data_format: str | None = None,
) -> None:
    """Show pictures (N, height, width, channels) side by side, or write them to a file at `path`.

    y_true, y_pred: a label for each, named by `label_map`, for the titles. rows, cols: by default as many as all
    pictures need. value_range: of the pictures' values. scale: inches of one picture. show: False leaves matplotlib's
    current figure as it is. transparent, dpi: of the file. legend_handles: of matplotlib. Raises ValueError for both
    `path` and `show`, labels without `label_map`, and pictures of other ranks.
    """
    where = "plot_image_gallery"
    if path is not None and show:
        raise ValueError(f"{where}: either give `path`, to write a file, or `show`; not both.")
    if label_map is None and (y_true is not None or y_pred is not None):
        raise ValueError(f"{where}: `y_true` and `y_pred` need `label_map`, the names of the labels.")
    pyplot, pictures = _pyplot(), _in_bytes(_batch(images, data_format, where), value_range)
    count = len(pictures)
    rows = rows or math.ceil(count / cols if cols else math.sqrt(count))
    cols = cols or math.ceil(count / max(rows, 1))
    if not count:
        raise ValueError(f"{where}: there are no pictures.")
    figure, axes = pyplot.subplots(
        rows, cols, figsize=(cols * scale, rows * scale), frameon=False, layout="tight", squeeze=False,
        sharex="row", sharey="col",
    )  # fmt: skip
    figure.subplots_adjust(wspace=0, hspace=0)
    if legend_handles is not None:
        figure.legend(handles=legend_handles, loc="lower center")
    titles = _titles(count, {"Label": y_true, "Pred": y_pred}, label_map or {})
    for index, axis in enumerate(axes.flat):
        axis.axis("off")
        if index < count:
            axis.imshow(np.clip(pictures[index], 0, 255).astype("uint8"))
            axis.margins(x=0, y=0)
            axis.set_title(titles[index], fontsize=8)
    if path is not None:
        figure.set_frameon(not transparent)
        figure.savefig(path, pad_inches=0, bbox_inches="tight", transparent=transparent, dpi=dpi)
    elif show is not False:
        pyplot.show()
    if path is not None or show is not False:
        pyplot.close(figure)


def _titles(count: int, labels: Mapping[str, Any], names: Mapping[int, str]) -> list[str]:
    parts: list[list[str]] = [[] for _ in range(count)]
    for word, given in labels.items():
        for title, label in zip(parts, () if given is None else convert_to_numpy(given).tolist(), strict=False):
            title.append(f"{word}: {names.get(label, 'Unknown')}")
    return ["  ".join(title) for title in parts]


def plot_bounding_box_gallery(
    images: Any,
    bounding_box_format: str,
    y_true: Mapping[str, Any] | None = None,
    y_pred: Mapping[str, Any] | None = None,
    value_range: Sequence[float] = (0, 255),
    true_color: Colour = (0, 188, 212),
    pred_color: Colour = (255, 235, 59),
    line_thickness: int = 2,
    font_scale: float = 1.0,
    text_thickness: int | None = None,
    class_mapping: Mapping[int, str] | None = None,
    ground_truth_mapping: Mapping[int, str] | None = None,
    prediction_mapping: Mapping[int, str] | None = None,
    legend: bool = False,
    legend_handles: Any = None,
    rows: int | None = None,
    cols: int | None = None,
    data_format: str | None = None,
    **kwargs: Any,
) -> None:
    """Show pictures with their boxes and those that were predicted, as `draw_bounding_boxes` takes them.

    ground_truth_mapping, prediction_mapping: names by label, by default `class_mapping`. legend: say which is which.
    kwargs: what `plot_image_gallery` takes. Raises ValueError for both `legend` and `legend_handles`.
    """
    where = "plot_bounding_box_gallery"
    if legend and legend_handles:
        raise ValueError(f"{where}: give `legend` or `legend_handles`, not both.")
    pictures = _in_bytes(_batch(images, data_format, where), value_range)
    for boxes, colour, names in (
        (y_true, true_color, ground_truth_mapping or class_mapping),
        (y_pred, pred_color, prediction_mapping or class_mapping),
    ):
        if boxes is not None:
            pictures = draw_bounding_boxes(
                pictures, boxes, bounding_box_format, names, colour, line_thickness, text_thickness, font_scale,
                "channels_last",
            )  # fmt: skip
    if legend:
        _pyplot()
        from matplotlib.patches import Patch

        shades: Any = np.array([true_color, pred_color]) / 255
        legend_handles = [Patch(color=shades[0], label="Ground Truth"), Patch(color=shades[1], label="Prediction")]
    plot_image_gallery(
        pictures, rows=rows, cols=cols, legend_handles=legend_handles, data_format="channels_last", **kwargs
    )


def plot_segmentation_mask_gallery(
    images: Any,
    num_classes: int,
    value_range: Sequence[float] = (0, 255),
    y_true: Any = None,
    y_pred: Any = None,
    color_mapping: Mapping[int, Colour] | None = None,
    blend: bool = True,
    alpha: float = 0.8,
    ignore_index: int = -1,
    data_format: str | None = None,
    **kwargs: Any,
) -> None:
    """Show each picture beside itself with its masks and with those predicted, as `draw_segmentation_masks` draws them.

    kwargs: what `plot_image_gallery` takes, beside rows and columns.
    """
    pictures = _in_bytes(_batch(images, data_format, "plot_segmentation_mask_gallery"), value_range)
    columns = [pictures]
    for masks in (y_true, y_pred):
        if masks is not None:
            masks = convert_to_numpy(masks).astype("int32")
            if masks.ndim == 4 and not channels_last(data_format):
                masks = masks[:, 0]
            columns.append(
                draw_segmentation_masks(
                    pictures, masks, num_classes, color_mapping, alpha, blend, ignore_index, "channels_last"
                )
            )
    shown = np.stack(columns, 1).reshape(-1, *pictures.shape[1:])
    plot_image_gallery(shown, rows=len(pictures), cols=len(columns), data_format="channels_last", **kwargs)
