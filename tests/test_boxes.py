"""Boxes in pictures as Keras 3.15 converts, moves and compares them, and pictures with boxes and masks drawn in."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from lamina.kernels.boxes import FORMATS
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
