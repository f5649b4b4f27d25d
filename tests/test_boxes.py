"""Boxes in pictures as Keras 3.15 converts, moves and compares them, and pictures with boxes and masks drawn in."""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lamina import visualization as V
from lamina.kernels.boxes import FORMATS, complete_overlaps
from lamina.utils import bounding_boxes as B

BOXES = np.array([[2, 3, 14, 15], [-9, -8, -7, -6], [5, 0, 9, 30]], "float32")
OTHERS = np.array([[0, 1, 12, 17], [6, 2, 8, 28]], "float32")


def close(found: Any, expected: Any, rtol: float = 2e-5) -> None:
    torch.testing.assert_close(found, torch.tensor(expected), rtol=rtol, atol=1e-4, check_dtype=False)


# As recorded from Keras ----------------------------------------------------------------------------------------------


def test_overlaps() -> None:
    shared = [[0.55556, 0.13953], [-3, -3], [0.25806, 0.43333]]
    close(B.compute_iou(BOXES, OTHERS, "xyxy", True, -3), shared)
    close(B.compute_iou(BOXES[:1], OTHERS, "center_yxhw"), [[0.59231, 0.31915]])
    close(B.compute_ciou(BOXES[::2], OTHERS, "xyxy"), [0.54656, 0.43333])
    assert B.compute_iou(BOXES, OTHERS, "xyxy")[1].tolist() == [0, 0]
    for one, other in itertools.product((BOXES, np.stack([BOXES, BOXES])), (OTHERS, np.stack([OTHERS, OTHERS]))):
        found = B.compute_iou(one, other, "xyxy", True, -3)
        assert found.ndim == max(one.ndim, other.ndim)
        close(found, np.broadcast_to(shared, found.shape).tolist())


@pytest.mark.parametrize("epsilon", [0.0, 0.1])
def test_complete_overlaps_are_those_of_the_paper(epsilon: float) -> None:
    """Zheng et al., 2020, with Keras' epsilons, of boxes that are far from alike."""

    def plain(box: list[float], other: list[float]) -> float:
        (left, top, right, bottom), (left2, top2, right2, bottom2) = box, other
        width, height = right - left, bottom - top + epsilon
        width2, height2 = right2 - left2, bottom2 - top2 + epsilon
        common = max(0, min(right, right2) - max(left, left2)) * max(0, min(bottom, bottom2) - max(top, top2))
        shared = common / (width * height + width2 * height2 - common + 2 * epsilon)
        hull = (max(right, right2) - min(left, left2)) ** 2 + (max(bottom, bottom2) - min(top, top2)) ** 2 + epsilon
        apart = ((left + right - left2 - right2) / 2) ** 2 + ((top + bottom - top2 - bottom2) / 2) ** 2
        unlike = 4 / math.pi**2 * (math.atan(width2 / height2) - math.atan(width / height)) ** 2
        return shared - apart / hull - unlike**2 / (unlike - shared + 1 + epsilon)

    boxes = [[2.0, 3.0, 14.0, 5.0], [0.0, 0.0, 1.0, 3.0], [4.0, 1.0, 5.0, 2.0]]
    others = [[1.0, 0.0, 5.0, 9.0], [0.5, 1.0, 9.0, 2.5], [7.0, 4.0, 8.5, 9.0]]
    found = complete_overlaps(*(torch.tensor(each, dtype=torch.float64) for each in (boxes, others)), epsilon)
    torch.testing.assert_close(found.tolist(), [plain(*pair) for pair in zip(boxes, others, strict=True)])


def test_deltas() -> None:
    encoded = [[0.41667, -1.66667, 1.74153, 0], [0.33333, 7.5, -0.34496, 3.46574]]
    variance = [0.1, 0.1, 0.2, 0.2]
    close(B.encode_box_to_deltas(BOXES[::2], OTHERS, "xyxy", "xywh", variance=variance), encoded)
    deltas = {"P1": torch.tensor(OTHERS) / 20}
    found = B.decode_deltas_to_boxes(
        {"P1": BOXES[::2]}, deltas, "rel_xyxy", "yxyx", "center_xywh", image_shape=(20, 10, 3)
    )
    expected = [[-88.75763, -29.32713, 472.75763, 189.32713], [-856.56006, 52.1635, 1576.56006, 111.83649]]
    close(found["P1"], expected)


@pytest.mark.parametrize("order", ["center_xywh", "center_yxhw"])
@pytest.mark.parametrize("style", FORMATS)
def test_deltas_back_and_forth(style: str, order: str) -> None:
    options = {"variance": [0.1, 0.2, 0.3, 0.4], "image_shape": (20, 10, 3)}
    boxes = B.convert_format(torch.tensor([[[2.0, 3, 14, 15]], [[1, 1, 4, 20]]]), "xyxy", style, 20, 10)
    deltas = B.encode_box_to_deltas(BOXES[:1], boxes, "xyxy", style, order, **options)
    torch.testing.assert_close(B.decode_deltas_to_boxes(BOXES[:1], deltas, "xyxy", style, order, **options), boxes)


def test_moves() -> None:
    turned = [
        [-10.24509, -15.40507, 18.78061, 9.7598], [-36.85198, -10.83604, -32.01436, -6.64189],
        [-8.79358, -14.78708, 26.03628, 25.67017],
    ]  # fmt: skip
    how = (30.0, 0.1, -0.2, 1.5, 10, -5, 20, 10, 0.2, 0.7)
    close(B.affine_transform(BOXES, *how), turned)
    close(B.affine_transform(BOXES[None], *(np.array([x], "float32") for x in how[:6]), *how[6:]), [turned])
    style = "rel_center_xywh"
    found = B.affine_transform(B.convert_format(BOXES, "xyxy", style, 20, 10), *how, bounding_box_format=style)
    close(B.convert_format(found, style, "xyxy", 20, 10), turned)
    close(
        B.affine_transform(BOXES, 90, 0, 0, 1, 0, 0, 21, 11)[0], [-2, 1, 10, 13]
    )  # the left edge becomes the lower one

    close(B.crop(BOXES, 2, 4, 10, 8), [[0, 1, 8, 10], [0, 0, 0, 0], [1, 0, 5, 10]])
    close(B.pad(BOXES, 2, 4), [[6, 5, 18, 17], [-5, -6, -3, -4], [9, 2, 13, 32]])
    assert B.crop(BOXES.astype("int32"), 2, 4, 10, 8).dtype == torch.int32
    close(B.crop([[8, 9, 12, 12]], 2, 4, 10, 8, "center_xywh"), [[4, 5.5, 8, 9]])
    close(B.pad([[8, 9, 12, 12]], 2, 4, bounding_box_format="center_xywh"), [[12, 11, 12, 12]])


@pytest.mark.parametrize("style", FORMATS)
def test_what_is_outside_is_cut_off(style: str) -> None:
    given = {"boxes": B.convert_format(BOXES, "xyxy", style, 20, 10), "labels": np.arange(3), "more": 1}
    kept = given["boxes"].clone()
    found = B.clip_to_image_size(given, 20, 10, style)
    assert found["labels"].tolist() == [0, -1, 2] and found["more"] == 1 and torch.equal(given["boxes"], kept)
    close(B.convert_format(found, style, "xyxy", 20, 10)["boxes"], [[2, 3, 10, 15], [0, 0, 0, 0], [5, 0, 9, 20]])
    assert B.clip_to_image_size({"boxes": given["boxes"]}, 20, 10, style).keys() == {"boxes"}


def test_formats_of_boxes() -> None:
    given = {"boxes": BOXES, "labels": 7}
    found = B.convert_format(given, "XYXY", "rel_xywh", 20, 10, dtype="float64")
    assert found["labels"] == 7 and found["boxes"].dtype == torch.float64 and given["boxes"] is BOXES
    np.testing.assert_allclose(found["boxes"][0], [0.2, 0.15, 1.2, 0.6])
    sizes = torch.tensor([[[20]], [[40]]])
    found = B.convert_format(np.stack([BOXES, BOXES]), "xyxy", "rel_xyxy", sizes, sizes)
    torch.testing.assert_close(found[0], 2 * found[1])
    assert B.convert_format(np.zeros((0, 4)), "xyxy", "yxyx").shape == (0, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: B.convert_format(BOXES, "xyxy", "abc"), "unknown format of boxes 'abc'"),
        (lambda: B.convert_format(BOXES[:, :3], "xyxy", "xywh"), "four numbers"),
        (lambda: B.convert_format(BOXES, "xyxy", "rel_xyxy"), "`height` and `width`"),
        (lambda: B.clip_to_image_size({"boxes": BOXES}, 3), "`height` and `width`"),
        (lambda: B.clip_to_image_size(BOXES, 3, 4), "dictionary"),
        (lambda: B.compute_iou(BOXES, BOXES, "rel_xyxy"), "`image_shape`"),
        (lambda: B.compute_iou(BOXES[None, None], BOXES, "xyxy"), "`boxes1`"),
        (lambda: B.encode_box_to_deltas(BOXES, BOXES, "xyxy", "xyxy", "xyxy"), "`encoding_format`"),
        (lambda: B.decode_deltas_to_boxes(BOXES, BOXES, "xyxy", "xyxy", variance=[1, 2]), "`variance`"),
        (lambda: B.crop(BOXES, 1, 1, 2, 2, "rel_xyxy"), "counts in pixels"),
    ],
)
def test_what_does_not_fit(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


# Pictures ------------------------------------------------------------------------------------------------------------

PICTURE = """\
..............
....#######...
...#########..
..###########.
..###########.
..###########.
..###########.
..###########.
..###########.
...#########..
....#######...
..............
..............""".splitlines()
DRAWN = {  # by thickness: checksums of pictures that Keras made
    -1: 186817734, 1: 2715261672, 2: 2965707030, 3: 2911485116, 4: 2911485116, 5: 1600599465, 6: 1600599465,
    7: 2941057147, 8: 2941057147, 13: 3063994684,
}  # fmt: skip
COLOURS = (np.arange(40 * 50 * 3).reshape(1, 40, 50, 3) * 7 % 251).astype("uint8")
FOUND = {
    "boxes": np.array([[[(7 * i + 11 * j) % 60 - 10 for j in range(4)] for i in range(6)]], "float32"),
    "labels": np.array([[0, 1, -1, 2, 3, 4]]),
}


def test_boxes_are_drawn_as_by_a_round_pen() -> None:
    found = {"boxes": [[[4, 3.9, 10.2, 8]]], "labels": [[0]]}
    drawn = V.draw_bounding_boxes(np.zeros((1, 13, 14, 1)), found, "xyxy", color=(9,), line_thickness=3)[0, ..., 0]
    assert ["".join(".#"[value // 9] for value in row) for row in drawn] == PICTURE


@pytest.mark.parametrize("thickness", DRAWN)
def test_boxes_are_drawn_as_keras_draws_them(thickness: int) -> None:
    before = COLOURS.copy()
    options: Any = {"color": (1, 200, 30), "line_thickness": thickness}
    drawn = V.draw_bounding_boxes(COLOURS, FOUND, "xyxy", **options)
    assert zlib.crc32(drawn.tobytes()) == DRAWN[thickness] and np.array_equal(COLOURS, before)
    first = V.draw_bounding_boxes(COLOURS.transpose(0, 3, 1, 2), FOUND, "xyxy", data_format="channels_first", **options)
    assert np.array_equal(first.transpose(0, 2, 3, 1), drawn)


def test_values_of_pictures_with_boxes() -> None:
    for pictures in (torch.tensor(COLOURS), COLOURS / 255 + 1e-7, COLOURS.astype("float64")):
        drawn = V.draw_bounding_boxes(pictures, FOUND, "xyxy")
        assert np.array_equal(drawn, V.draw_bounding_boxes(COLOURS, FOUND, "xyxy"))
    none = {"boxes": np.zeros((1, 0, 4)), "labels": np.zeros((1, 0))}
    assert V.draw_bounding_boxes(np.array([[[[-1.0, 0.5, 2000]]]]), none, "xyxy").tolist() == [[[[0, 0, 255]]]]


def test_names_stand_above_boxes_or_within() -> None:
    pytest.importorskip("PIL")
    dark = np.zeros((1, 120, 160, 3), "uint8")
    boxes = {"boxes": [[[10, 60, 150, 100], [20, 5, 150, 110], [0, 0, 3, 3]]], "labels": [[0, 1, 7]]}
    plain = V.draw_bounding_boxes(dark, boxes, "xyxy", color=(0, 255, 0))
    for label, rows in ((0, slice(30, 54)), (1, slice(9, 36))):
        named = V.draw_bounding_boxes(dark, boxes, "xyxy", {label: "cat"}, (0, 255, 0))
        changed = np.argwhere((named != plain).any(-1)[0])
        assert rows.start <= changed[:, 0].min() and changed[:, 0].max() < rows.stop
        assert changed[:, 1].min() < 30 and named[..., [0, 2]].max() == 0
        longer = V.draw_bounding_boxes(dark, boxes | {"confidences": [[0.5, 0.5, 0.5]]}, "xyxy", {label: "cat"})
        assert np.argwhere((longer != plain).any(-1)[0])[:, 1].max() > changed[:, 1].max() + 20
        larger = V.draw_bounding_boxes(dark, boxes, "xyxy", {label: "cat"}, (0, 255, 0), font_scale=1.5)
        bolder = V.draw_bounding_boxes(dark, boxes, "xyxy", {label: "cat"}, (0, 255, 0), text_thickness=5)
        assert min(larger.sum(), bolder.sum()) > named.sum()


PLACES = np.array([[[-1, 0, 1, 2], [2, 1, 0, -1]]])
SMALL = np.arange(24).reshape(1, 2, 4, 3) * 10


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0, 10, 20, 6, 8, 10, 12, 115, 40, 19, 223, 71, 25, 229, 77, 30, 133, 58, 36, 38, 40, 210, 220, 230]),
        (
            {"ignore_index": 0},
            [0, 10, 20, 30, 40, 50, 12, 115, 40, 19, 223, 71, 25, 229, 77, 30, 133, 58, 180, 190, 200, 210, 220, 230],
        ),
        (
            {"alpha": 0.25, "num_classes": 3},
            [0, 10, 20, 22, 30, 37, 45, 84, 67, 68, 138, 98, 90, 161, 120, 112, 151, 135, 135, 142, 150, 210, 220, 230],
        ),
        (
            {"blend": False},
            [0, 10, 20, 0, 0, 0, 1, 127, 31, 2, 254, 62, 2, 254, 62, 1, 127, 31, 0, 0, 0, 210, 220, 230],
        ),
        (
            {"color_mapping": {0: (9, 8, 7), 1: (1, 2, 3), 2: (4, 5, 6)}},
            [0, 10, 20, 13, 14, 15, 12, 15, 18, 21, 24, 26, 27, 30, 32, 30, 33, 36, 43, 44, 45, 210, 220, 230],
        ),
    ],
)
def test_masks_are_drawn_as_keras_draws_them(options: Any, expected: Any) -> None:
    drawn = V.draw_segmentation_masks(SMALL, PLACES, **options)
    assert drawn.ravel().tolist() == expected
    assert drawn.dtype == ("uint8" if options.get("blend", True) else "float32")
    for images, masks, form in (
        (torch.tensor(SMALL), torch.tensor(PLACES)[..., None], "channels_last"),
        (SMALL.transpose(0, 3, 1, 2), PLACES[:, None], "channels_first"),
    ):
        assert np.array_equal(V.draw_segmentation_masks(images, masks, **options, data_format=form), drawn)


def test_masks_without_a_colour_are_not_drawn() -> None:
    assert np.array_equal(V.draw_segmentation_masks(SMALL, PLACES, 0), SMALL)
    drawn = V.draw_segmentation_masks(SMALL, PLACES, color_mapping={1: (1, 2, 3)}, blend=False)
    assert np.array_equal((drawn != SMALL).any(-1), PLACES == 1)
    drawn = V.draw_segmentation_masks(SMALL, PLACES, blend=False, ignore_index=1)
    assert np.array_equal((drawn != SMALL).any(-1), (PLACES == 0) | (PLACES == 2))


@pytest.fixture
def pyplot() -> Iterator[Any]:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def shown(pyplot: Any) -> list[Any]:
    return [np.asarray(axis.images[0].get_array()) if axis.images else None for axis in pyplot.gcf().axes]


def test_galleries_show_every_picture(pyplot: Any) -> None:
    pictures = np.stack([np.full((4, 5, 3), i * 10) for i in range(3)])
    names: Any = {"y_true": np.array([0, 1, 9]), "y_pred": torch.tensor([1, 1, 0]), "label_map": {0: "cat", 1: "dog"}}
    for first in (False, True):
        given = pictures.transpose(0, 3, 1, 2) if first else pictures
        form = "channels_first" if first else "channels_last"
        V.plot_image_gallery(given / 255, show=False, value_range=(0, 1), data_format=form, scale=3, **names)
        assert [None if x is None else (x.shape, x.max()) for x in shown(pyplot)] == [
            ((4, 5, 3), 0), ((4, 5, 3), 10), ((4, 5, 3), 20), None]  # fmt: skip
        titles = [axis.get_title() for axis in pyplot.gcf().axes]
        assert titles == ["Label: cat  Pred: dog", "Label: dog  Pred: dog", "Label: Unknown  Pred: cat", ""]
        assert pyplot.gcf().get_size_inches().tolist() == [6, 6]
        pyplot.close()
    V.plot_image_gallery(pictures, rows=1, cols=2, show=False)
    assert len(shown(pyplot)) == 2


def test_galleries_of_boxes_and_masks(pyplot: Any) -> None:
    pictures = np.concatenate([COLOURS, COLOURS // 2])
    found = {key: np.concatenate([value, value]) for key, value in FOUND.items()}
    options: Any = {"show": False, "legend": True, "true_color": (9, 8, 7), "value_range": (0, 1)}
    V.plot_bounding_box_gallery(pictures / 255, "xyxy", found, **options)
    drawn = V.draw_bounding_boxes(pictures, found, "xyxy", color=(9, 8, 7))
    assert all(np.abs(x.astype(int) - y).max() <= 1 for x, y in zip(shown(pyplot), drawn, strict=True))
    assert [text.get_text() for text in pyplot.gcf().legends[0].get_texts()] == ["Ground Truth", "Prediction"]
    pyplot.close()
    V.plot_bounding_box_gallery(pictures, "xyxy", found, {**found, "boxes": found["boxes"] + 3}, show=False)
    drawn = V.draw_bounding_boxes(pictures, found, "xyxy", color=(0, 188, 212))
    again = {**found, "boxes": found["boxes"] + 3}
    assert np.array_equal(shown(pyplot), V.draw_bounding_boxes(drawn, again, "xyxy", color=(255, 235, 59)))
    pyplot.close()
    masks = np.arange(2 * 40 * 50).reshape(2, 1, 40, 50) % 7
    channels_first = pictures.transpose(0, 3, 1, 2)
    V.plot_segmentation_mask_gallery(
        channels_first, 7, y_true=masks, y_pred=6 - masks, show=False, data_format="channels_first"
    )
    expected = np.stack([pictures, *(V.draw_segmentation_masks(pictures, m[:, 0], 7) for m in (masks, 6 - masks))], 1)
    assert np.array_equal(shown(pyplot), expected.reshape(-1, 40, 50, 3))


def test_galleries_are_written_or_shown(pyplot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(pyplot, "show", lambda: calls.append(1))
    V.plot_image_gallery(COLOURS)
    assert calls == [1] and not pyplot.get_fignums()
    sizes = {}
    for transparent, dpi in ((True, 60), (False, 60), (True, 120)):
        V.plot_image_gallery(np.repeat(COLOURS, 3, 0), path=tmp_path / "a.png", transparent=transparent, dpi=dpi)
        sizes[transparent, dpi] = pyplot.imread(tmp_path / "a.png")
    assert calls == [1] and not pyplot.get_fignums()
    assert sizes[True, 120].shape[0] > 1.5 * sizes[True, 60].shape[0]
    assert sizes[True, 60][..., 3].min() == 0 and sizes[False, 60][..., 3].min() == 1


@pytest.mark.parametrize(
    ("kind", "call", "message"),
    [
        (ValueError, lambda: V.draw_bounding_boxes(COLOURS[0], FOUND, "xyxy"), "rank 4"),
        (ValueError, lambda: V.draw_bounding_boxes(COLOURS, {"boxes": 1}, "xyxy"), '"boxes" and "labels"'),
        (TypeError, lambda: V.draw_bounding_boxes(COLOURS, FOUND["boxes"], "xyxy"), "dictionary"),
        (TypeError, lambda: V.draw_segmentation_masks(SMALL, PLACES / 2), "whole numbers"),
        (TypeError, lambda: V.draw_segmentation_masks(SMALL, PLACES > 0), "whole numbers"),
        (ValueError, lambda: V.draw_segmentation_masks(SMALL, PLACES[:, :1]), "do not fit"),
        (ValueError, lambda: V.plot_image_gallery(COLOURS, path="a.png", show=True), "`path`"),
        (ValueError, lambda: V.plot_image_gallery(COLOURS, y_pred=[1]), "`label_map`"),
        (ValueError, lambda: V.plot_image_gallery(COLOURS[:0]), "no pictures"),
        (ValueError, lambda: V.plot_bounding_box_gallery(COLOURS, "xyxy", legend=True, legend_handles=[1]), "`legend`"),
    ],
)
def test_pictures_that_cannot_be_drawn(kind: Any, call: Any, message: str, pyplot: Any) -> None:
    with pytest.raises(kind, match=message):
        call()
