"""Layers over pictures in training: what they draw, what they do with it, and what follows the pictures."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from support.frames import frames
from torch import Tensor

import lamina as keras
from lamina import ops
from lamina.kernels import boxes, warp
from lamina.layers.preprocessing.pictures import Random

L = keras.layers

# Each draws something else for every picture of a batch.
DRAWN: dict[str, Callable[..., Random]] = {
    "RandomFlip": lambda **kw: L.RandomFlip(**kw),
    "RandomRotation": lambda **kw: L.RandomRotation(0.2, **kw),
    "RandomZoom": lambda **kw: L.RandomZoom(0.3, 0.3, **kw),
    "RandomTranslation": lambda **kw: L.RandomTranslation(0.3, 0.3, **kw),
    "RandomShear": lambda **kw: L.RandomShear(0.4, 0.2, **kw),
    "RandomContrast": lambda **kw: L.RandomContrast(0.5, **kw),
    "RandomBrightness": lambda **kw: L.RandomBrightness(0.2, **kw),
    "RandomPerspective": lambda **kw: L.RandomPerspective((1, 1), 0.3, **kw),
    "RandomElasticTransform": lambda **kw: L.RandomElasticTransform((1, 1), **kw),
    "RandomColorDegeneration": lambda **kw: L.RandomColorDegeneration(0.8, **kw),
    "RandomHue": lambda **kw: L.RandomHue(0.8, **kw),
    "RandomSaturation": lambda **kw: L.RandomSaturation((0.1, 0.5), **kw),
    "RandomSharpness": lambda **kw: L.RandomSharpness(1.0, **kw),
    "RandomPosterization": lambda **kw: L.RandomPosterization((1, 6), **kw),
    "RandomGrayscale": lambda **kw: L.RandomGrayscale(0.5, **kw),
    "RandomInvert": lambda **kw: L.RandomInvert((0.5, 0.5), **kw),
    "RandomGaussianBlur": lambda **kw: L.RandomGaussianBlur((0.5, 0.5), 3, (0.5, 1), **kw),
    "RandomErasing": lambda **kw: L.RandomErasing((1, 1), **kw),
    "Solarization": lambda **kw: L.Solarization(0.5, 0.5, **kw),
    "RandomColorJitter": lambda **kw: L.RandomColorJitter(
        **{"brightness_factor": 0.2, "contrast_factor": 0.5, "hue_factor": 0.2, **kw}
    ),
}
MIXED: dict[str, Callable[..., Random]] = {
    "RandAugment": lambda **kw: L.RandAugment(num_ops=3, **kw),
    "AugMix": lambda **kw: L.AugMix(**kw),
    "MixUp": lambda **kw: L.MixUp(**kw),
    "CutMix": lambda **kw: L.CutMix(**kw),
}
FEW = {"RandomFlip", "RandomPosterization", "RandomGrayscale", "RandomInvert", "RandomGaussianBlur"}  # outcomes
MAKERS = {"RandomCrop": lambda **kw: L.RandomCrop(5, 4, **kw), **DRAWN}
each_or_mixed = pytest.mark.parametrize("make", [*MAKERS.values(), *MIXED.values()], ids=[*MAKERS, *MIXED])
each = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
each_drawn = pytest.mark.parametrize("make", DRAWN.values(), ids=DRAWN.keys())


@pytest.fixture
def pictures() -> Tensor:
    return torch.rand(64, 12, 10, 3, generator=torch.Generator().manual_seed(0)) * 255


@each_or_mixed
def test_nothing_happens_at_inference(make: Any, pictures: Tensor) -> None:
    layer = make()
    torch.testing.assert_close(layer(pictures, training=False), pictures, rtol=0, atol=0)
    torch.testing.assert_close(layer.eval()(pictures), pictures, rtol=0, atol=0)
    found = layer({"images": pictures, "labels": 3}, training=False)
    torch.testing.assert_close(found["images"], pictures, rtol=0, atol=0)
    assert found["labels"] == 3
    with torch.no_grad():
        assert len(frames(lambda: layer(pictures))) <= 8


@each_or_mixed
def test_a_call_alone_is_one_in_training_and_predict_is_not(make: Any, pictures: Tensor) -> None:
    model = keras.Sequential([keras.Input((12, 10, 3)), make()])
    assert tuple(model(pictures).shape) != tuple(pictures.shape) or not torch.equal(model(pictures), pictures)
    np.testing.assert_array_equal(model.predict(pictures.numpy(), verbose=0), pictures.numpy())


@each_or_mixed
def test_seeds_are_obeyed(make: Any, pictures: Tensor) -> None:
    first, second, other = make(seed=1), make(seed=1), make(seed=2)
    drawn = [layer(pictures) for layer in (first, second, other)]
    torch.testing.assert_close(drawn[0], drawn[1], rtol=0, atol=0)
    assert not torch.equal(drawn[0], drawn[2])
    assert not torch.equal(first(pictures), drawn[0])
    keras.utils.set_random_seed(3)
    free = make()(pictures)
    keras.utils.set_random_seed(3)
    torch.testing.assert_close(make()(pictures), free, rtol=0, atol=0)


@each_drawn
def test_each_picture_is_drawn_for_itself(make: Any) -> None:
    one = torch.rand(1, 12, 10, 3, generator=torch.Generator().manual_seed(0)) * 255
    found = make(seed=1)(one.expand(64, -1, -1, -1))
    assert len(torch.unique(found.round(decimals=2), dim=0)) >= (2 if type(make()).__name__ in FEW else 32)


@each
def test_one_picture_a_batch_and_both_formats(make: Any, pictures: Tensor) -> None:
    batch = make(seed=1)(pictures[:1])
    torch.testing.assert_close(make(seed=1)(pictures[0]), batch[0])
    first = make(seed=1, data_format="channels_first")(pictures[:1].movedim(-1, 1))
    torch.testing.assert_close(first.movedim(1, -1), batch)


@each_or_mixed
def test_integers_become_what_floats_become(make: Any, pictures: Tensor) -> None:
    whole = pictures.to(torch.uint8)
    found = make(seed=1)(whole)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, make(seed=1)(whole.float()), rtol=0, atol=0)
    assert make()(whole, training=False).dtype == torch.float32
    assert make()(whole.numpy()).dtype == torch.float32


@each_or_mixed
def test_a_layer_of_integers_rounds_what_it_gives(make: Any, pictures: Tensor) -> None:
    whole = pictures.to(torch.uint8)
    found = make(seed=1, dtype="uint8")(whole)
    assert found.dtype == torch.uint8
    expected = make(seed=1)(whole).round().clamp(0, 255)
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=0)
    assert torch.equal(make(dtype="uint8")(whole, training=False), whole)
    assert make(dtype="uint8")(keras.Input((12, 10, 3), dtype="uint8")).dtype == "uint8"


@each
def test_compiles_whole_in_training(make: Any, pictures: Tensor) -> None:
    torch._dynamo.reset()
    keras.utils.set_random_seed(3)
    expected = make(seed=1)(pictures)
    layer = make(seed=1)
    layer(pictures, training=False)
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(pictures), expected, rtol=1e-5, atol=1e-4)


@each
def test_gradients_reach_the_pictures(make: Any) -> None:
    x = (torch.rand(1, 6, 6, 3, dtype=torch.float64) * 200 + 20).requires_grad_()

    def function(x: Tensor) -> Tensor:
        return (
            make(seed=1, dtype="float64", value_range=(-1000, 1000))(x)
            if takes_range
            else make(seed=1, dtype="float64")(x)
        )

    takes_range = hasattr(make(), "value_range")
    assert torch.autograd.gradcheck(function, (x,))


@each_or_mixed
def test_other_ranks_are_refused(make: Any) -> None:
    with pytest.raises(ValueError, match=r"rank 3 or 4, .* got shape \(2, 3\)"):
        make()(torch.ones(2, 3))


class Turned(torch.utils.data.Dataset):
    def __init__(self) -> None:
        self.layer = L.RandomRotation(0.3, seed=1)
        self.layer(torch.zeros(4, 4, 1))  # it has drawn before there are workers

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Tensor:
        return self.layer(torch.arange(64.0).reshape(8, 8, 1))


def test_workers_draw_each_for_themselves_and_repeatably() -> None:
    def epochs() -> list[Tensor]:
        torch.manual_seed(3)
        loader = torch.utils.data.DataLoader(Turned(), num_workers=2)
        return [torch.cat(list(loader)) for _ in range(2)]

    first, second = epochs()
    assert len(torch.unique(torch.cat([first, second]), dim=0)) == 8
    torch.testing.assert_close(epochs(), [first, second], rtol=0, atol=0)


# What is drawn ----------------------------------------------------------------------------------------------------


def drawn(layer: Random, key: str, count: int = 4000) -> Any:
    return layer.get_random_transformation(torch.empty(count, 12, 10, 3))[key]


def matrices(layer: Any) -> Any:
    return layer.matrix((12, 10), layer.get_random_transformation(torch.empty(4000, 12, 10, 3)))


def assert_uniform(values: Tensor, lower: float, upper: float) -> None:
    values = values.flatten()
    assert lower <= values.min() < lower + 0.02 * (upper - lower)
    assert upper - 0.02 * (upper - lower) < values.max() <= upper
    counts = torch.histc(values, 10, lower, upper)
    assert counts.min() > 0.8 * len(values) / 10 and counts.max() < 1.2 * len(values) / 10


@pytest.mark.parametrize("name", ["RandomPerspective", "RandomRotation", "RandomShear"])
def test_what_is_not_moved_stays_to_the_last_bit(name: str) -> None:
    x = 255 * torch.rand(3, 37, 41, 3)
    assert torch.equal(getattr(L, name)(0.0)(x), x)
    y = L.RandomPerspective(0.5, seed=1)(torch.cat([x] * 4))
    assert {True, False} == {torch.equal(one, before) for one, before in zip(y, torch.cat([x] * 4), strict=True)}


def test_what_is_sheared_is_filled() -> None:
    x = torch.rand(1, 9, 9, 1)
    plain = {"interpolation": "bilinear", "fill_mode": "constant", "fill_value": 0.0}
    others = [
        {"interpolation": "nearest"},
        {"fill_mode": "reflect"},
        {"fill_value": 0.5},
        {"data_format": "channels_first"},
    ]
    made = [L.RandomShear((0.3, 0.3), 0.2, seed=1, **{**plain, **other})(x, training=True) for other in ({}, *others)]
    assert not any(torch.equal(made[0], other) for other in made[1:])
    assert made[0].min() == 0 and made[2].min() > 0 and made[3].min() > 0


def test_half_of_the_pictures_are_flipped() -> None:
    assert abs(drawn(L.RandomFlip(seed=1), "flips").float().mean() - 0.5) < 0.03


def test_angles_zooms_shifts_and_shears_are_uniform() -> None:
    turns = matrices(L.RandomRotation((-0.1, 0.2), seed=1))
    assert_uniform(torch.atan2(turns[:, 1, 0], turns[:, 0, 0]) / (2 * torch.pi), -0.1, 0.2)
    zooms = matrices(L.RandomZoom((-0.5, 0.2), 0.3, seed=1))
    assert_uniform(zooms[:, 1, 1], 0.5, 1.2)
    assert_uniform(zooms[:, 0, 0], 0.7, 1.3)
    alike = matrices(L.RandomZoom(0.3, seed=1))
    torch.testing.assert_close(alike[:, 0, 0], alike[:, 1, 1])
    shifts = matrices(L.RandomTranslation((0.1, 0.2), (-0.3, 0.4), seed=1))
    assert_uniform(shifts[:, 1, 2], -12 * 0.2, -12 * 0.1)
    assert_uniform(shifts[:, 0, 2], -10 * 0.4, 10 * 0.3)
    shears = matrices(L.RandomShear((0.2, 0.3), (0.1, 0.4), seed=1))
    assert_uniform(shears[:, 0, 1].abs(), 0.2, 0.3)
    assert_uniform(shears[:, 1, 0].abs(), 0.1, 0.4)
    assert (shears[:, 0, 1].sign() == shears[:, 1, 0].sign()).all() and abs(shears[:, 0, 1].sign().mean()) < 0.06


def test_contrast_and_brightness_are_uniform() -> None:
    assert_uniform(drawn(L.RandomContrast((0.2, 0.5), seed=1), "contrast_factor"), 0.8, 1.5)
    assert_uniform(
        drawn(L.RandomContrast(0.5, seed=1), "contrast_factor"), 1.0, 1.5
    )  # as in Keras 3: nothing below 1 for a number
    assert_uniform(drawn(L.RandomBrightness(0.5, (0, 1), seed=1), "rgb_delta"), -0.5, 0.5)
    assert_uniform(drawn(L.RandomBrightness((0.1, 0.3), (-1, 1), seed=1), "rgb_delta"), 0.2, 0.6)


def test_colours_are_drawn_in_their_ranges() -> None:
    assert_uniform(drawn(L.RandomColorDegeneration((-0.2, 0.7), seed=1), "factor"), -0.2, 0.7)
    assert_uniform(drawn(L.RandomHue(0.6, seed=1), "factor"), -0.3, 0.3)
    times = drawn(L.RandomSaturation(0.6, seed=1), "factor")
    assert_uniform(times / (1 + times), -0.6, 0.6)
    assert_uniform(drawn(L.RandomSharpness((0.2, 0.6), seed=1), "factor"), 0.2, 0.6)
    bits = 8 - drawn(L.RandomPosterization((2, 6), seed=1), "shift_factor")
    assert torch.bincount(bits.flatten().long()).tolist()[2:] == pytest.approx([1000] * 4, abs=130)
    assert (drawn(L.RandomPosterization((3, 3)), "shift_factor") == 5).all()
    assert_uniform(drawn(L.Solarization(0.5, (0.2, 0.6), seed=1), "additions"), 0, 127.5)
    assert_uniform(drawn(L.Solarization(0.5, (0.2, 0.6), seed=1), "thresholds"), 0.2, 153)
    for layer, key, part in (
        (L.RandomGrayscale(0.3), "should_apply", 0.3),
        (L.RandomInvert((0.2, 0.6)), "apply_inversion", 0.4),
        (L.RandomInvert(), "apply_inversion", 0.5),
        (L.RandomGaussianBlur((0.2, 0.6)), "should_apply_blur", 0.4),
        (L.RandomErasing(fill_value=3.0), "apply_erasing", 0.5),
    ):
        assert abs(drawn(layer, key).float().mean() - part) < 0.04
    sigma = drawn(L.RandomGaussianBlur(1.0, 3, (0.5, 0.9)), "blur_factor")
    assert 0.5 <= sigma.min() and sigma.max() <= 0.91
    masks = drawn(L.RandomErasing((1, 1), (0.25, 0.25)), "batch_masks")
    assert (abs(masks.float().mean((1, 2, 3)) - 0.25) < 0.06).all()
    values = drawn(L.RandomErasing((1, 1)), "fill_value")
    assert values.min() == 0 and values.max() == 255 and abs((values == 0).float().mean() - 0.5) < 0.01


def test_grey_pictures_stay_as_they_are() -> None:
    grey = torch.rand(2, 4, 4, 1)
    assert torch.equal(L.RandomGrayscale(1.0)(grey, training=True), grey)


def test_crops_are_taken_from_everywhere() -> None:
    x = torch.arange(12 * 10.0).reshape(1, 12, 10, 1)
    layer = L.RandomCrop(9, 8, seed=1)
    corners = torch.stack([layer(x)[0, 0, 0, 0] for _ in range(400)])
    rows, columns = corners // 10, corners % 10
    assert torch.bincount(rows.long()).tolist() == pytest.approx([100] * 4, abs=35)
    assert torch.bincount(columns.long()).tolist() == pytest.approx([133] * 3, abs=40)
    whole = layer(x)
    assert torch.equal(whole[0, 1:, 0, 0] - whole[0, :-1, 0, 0], torch.full((8,), 10.0))
    assert layer(x[:, :, :8]).shape == (1, 9, 8, 1)
    torch.testing.assert_close(L.RandomCrop(9, 10)(x), x[:, 1:10])
    assert L.RandomCrop(20, 4)(x).shape == (1, 20, 4, 1)
    enlarged = L.RandomCrop(24, 20, seed=1)(x[:, :, :6])  # as in Keras: the middle's start, up to the picture's end
    torch.testing.assert_close(enlarged, L.Resizing(24, 20)(x[:, 2:, :6]))


# What may be called and overridden, as in Keras ----------------------------------------------------------------------


@each_or_mixed
def test_a_transformation_serves_several_pictures(make: Any, pictures: Tensor) -> None:
    layer = make(bounding_box_format="xyxy")
    data = {
        "images": pictures,
        "labels": torch.eye(64),
        "segmentation_masks": pictures[..., :1],
        "bounding_boxes": {"boxes": torch.tensor([[[2.0, 1, 4, 3]]] * 64), "labels": torch.ones(64, 1)},
    }
    how = layer.get_random_transformation(data, training=True, seed=5)
    expected = make(bounding_box_format="xyxy", seed=5)(data)
    found = {
        "images": layer.transform_images(pictures.numpy(), how),
        "labels": layer.transform_labels(data["labels"], how),
        "segmentation_masks": layer.transform_segmentation_masks(data["segmentation_masks"], how),
        "bounding_boxes": layer.transform_bounding_boxes(data["bounding_boxes"], how),
    }
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert layer.get_random_transformation(data, training=False) is None
    torch.testing.assert_close(layer.transform_images(pictures, None), pictures, rtol=0, atol=0)
    torch.testing.assert_close(layer.transform_images(pictures, how, training=False), pictures, rtol=0, atol=0)


@pytest.mark.parametrize("how", [{"factor": 0}, {"scale": 0}])
def test_an_elastic_transform_of_nothing_changes_nothing(how: Any, pictures: Tensor) -> None:
    torch.testing.assert_close(L.RandomElasticTransform(**how)(pictures), pictures, rtol=0, atol=0)


@pytest.mark.parametrize("count", [1, 2])
def test_a_seed_says_an_elastic_transform(count: int) -> None:
    x = torch.rand(count, 12, 10, 3) * 255
    layer = L.RandomElasticTransform()
    bare = {"apply_transform": np.arange(count) == 0, "distortion_factor": np.float32(0.9), "seed": 42}
    y = layer.transform_images(x, bare)
    torch.testing.assert_close(layer.transform_images(x, bare), y, rtol=0, atol=0)
    assert not torch.allclose(y[0], x[0])
    torch.testing.assert_close(y[1:], x[1:], rtol=0, atol=0)
    assert not torch.allclose(layer.transform_images(x, {**bare, "seed": keras.random.SeedGenerator(1)})[0], y[0])
    masks = layer.transform_segmentation_masks((x > 99).to(torch.int32), bare)
    assert set(masks.unique().tolist()) <= {0, 1}


HALF = torch.tensor([[[[2.0], [4.0]], [[6.0], [8.0]]]])  # a picture of two rows
GIVEN: dict[str, tuple[Callable[..., Any], dict[str, Any], Any]] = {
    "flips": (lambda: L.RandomFlip("horizontal"), {"flips": [[True]]}, [[4, 2], [8, 6]]),
    "rgb_delta": (lambda: L.RandomBrightness(0.5), {"rgb_delta": 1.5}, [[3.5, 5.5], [7.5, 9.5]]),
    "contrast_factor": (lambda: L.RandomContrast(0.5), {"contrast_factor": np.full((1,), 2.0)}, [[0, 3], [7, 11]]),
    "apply_inversion": (lambda: L.RandomInvert(), {"apply_inversion": np.array([True])}, [[253, 251], [249, 247]]),
    "shift_factor": (lambda: L.RandomPosterization(4), {"shift_factor": np.array([2], "uint8")}, [[0, 4], [4, 8]]),
    "translations": (
        lambda: L.RandomTranslation(0.5, 0.5, "constant"),
        {"translations": np.array([[1.0, 0.0]])},
        [[0, 2], [0, 6]],
    ),
    "batch_masks": (
        lambda: L.RandomErasing(),
        {"apply_erasing": [True], "batch_masks": [[[[True], [False]]] * 2], "fill_value": 0},
        [[0, 4], [0, 8]],
    ),
    "mix_weight": (lambda: L.MixUp(), {"mix_weight": 1, "permutation_order": [0]}, [[2, 4], [6, 8]]),
}


@pytest.mark.parametrize("make, how, expected", GIVEN.values(), ids=GIVEN.keys())
def test_a_transformation_is_told_by_the_names_of_keras(make: Any, how: dict[str, Any], expected: Any) -> None:
    class Told(type(make())):  # type: ignore[misc]
        def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> dict[str, Any]:
            assert (tuple(data.shape), training, seed) == (tuple(HALF.shape), True, None)
            return how

    config = make().get_config()
    found = Told.from_config(config)(HALF)
    torch.testing.assert_close(found[0, ..., 0], torch.tensor(expected).float())
    assert set(how) <= set(make().get_random_transformation(HALF))


def test_a_layer_may_change_pictures_its_own_way() -> None:
    class Halved(L.RandomFlip):
        def transform_images(self, images: Tensor, transformation: Any, training: bool = True) -> Tensor:
            assert images.ndim == 4 and transformation["input_shape"] == (2, 2, 1)
            return super().transform_images(images, transformation, training=training) / 2

        def transform_labels(self, labels: Tensor, transformation: Any, training: bool = True) -> Tensor:
            assert labels.shape == (1, 3)
            return labels + transformation["flips"].sum() * 0 + 1

    found = Halved("horizontal", seed=1)({"images": HALF[0], "labels": np.zeros(3)})
    assert sorted(found["images"].flatten().tolist()) == [1, 2, 3, 4]
    assert found["labels"].tolist() == [1, 1, 1]


# What is done with it ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fill_mode", ["reflect", "wrap", "constant", "nearest"])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_warps_are_what_the_operation_computes(fill_mode: str, interpolation: str, pictures: Tensor) -> None:
    layer = L.RandomRotation(0.4, fill_mode, interpolation, fill_value=7.0, seed=1)
    how = layer.get_random_transformation(pictures)
    matrix = how["rotation_matrix"]
    expected = ops.image.affine_transform(pictures, matrix, interpolation, fill_mode, 7.0, "channels_last")
    found = layer.transform_images(pictures, how)
    if interpolation == "bilinear":
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-2)
    else:  # places halfway between two pixels
        assert ((found - expected).abs() > 1e-3).float().mean() < 1e-3


def drawn_anew(x: np.ndarray, places: np.ndarray, interpolation: str, fill_mode: str, fill_value: float) -> np.ndarray:
    """The values of a picture (H, W, C) at places (H, W, 2), each a column and a row, one after the other."""
    inside: dict[str, Callable[[int, int], int]] = {
        "constant": lambda at, size: at if 0 <= at < size else -1,
        "nearest": lambda at, size: min(max(at, 0), size - 1),
        "wrap": lambda at, size: at % size,
        "reflect": lambda at, size: min(at % (2 * size), 2 * size - 1 - at % (2 * size)),
    }

    def value(row: int, column: int) -> np.ndarray:
        row, column = (inside[fill_mode](at, size) for at, size in zip((row, column), x.shape, strict=False))
        return x[row, column] if min(row, column) >= 0 else np.full(x.shape[2], fill_value)

    y = np.zeros_like(x)
    for place in np.ndindex(x.shape[:2]):
        column, row = places[place]
        if interpolation == "nearest":
            y[place] = value(round(row), round(column))
            continue
        for below, beside in np.ndindex(2, 2):
            high, wide = math.floor(row), math.floor(column)
            share = abs(1 - below - (row - high)) * abs(1 - beside - (column - wide))
            y[place] += share * value(high + below, wide + beside)
    return y


@pytest.mark.parametrize("fill_mode", ["reflect", "wrap", "constant", "nearest"])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_pictures_are_drawn_from_the_places_that_are_said(fill_mode: str, interpolation: str) -> None:
    random = np.random.default_rng(0)
    x, matrices = random.normal(size=(2, 5, 4, 3)), np.eye(3) + random.normal(size=(2, 3, 3)) / [[[3], [3], [40]]]
    columns, rows = np.meshgrid(np.arange(4), np.arange(5))
    for matrix in (matrices, matrices[:, :2]):
        seen = np.einsum("nij,hwj->nhwi", matrix, np.stack([columns, rows, np.ones_like(rows)], -1))
        places = seen[..., :2] / seen[..., 2:] if matrix.shape[1] == 3 else seen
        expected = [drawn_anew(*pair, interpolation, fill_mode, 0.7) for pair in zip(x, places, strict=True)]
        pictures = torch.tensor(x).movedim(-1, 1)
        found = warp.project(pictures, torch.tensor(matrix), interpolation, fill_mode, 0.7)
        torch.testing.assert_close(found.movedim(1, -1), torch.tensor(np.array(expected)))
        layer = L.RandomElasticTransform(1, 1, interpolation, fill_mode, 0.7, (-9, 9), dtype="float64")
        how = {"apply_transform": np.ones(2, bool), "distortion_factor": 1.0, "places": torch.tensor(places)}
        torch.testing.assert_close(layer.transform_images(torch.tensor(x), how), torch.tensor(np.array(expected)))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_a_perspective_takes_corners_where_it_says(interpolation: str, pictures: Tensor) -> None:
    layer = L.RandomPerspective((1, 1), 0.6, interpolation, fill_value=7.0, seed=1)
    how = layer.get_random_transformation(pictures)
    points = how["start_points"], how["end_points"]
    expected = ops.image.perspective_transform(pictures, *points, interpolation, 7.0, "channels_last")
    unlike = (layer.transform_images(pictures, how) - expected).abs() > 0.05
    assert unlike.float().mean() < 1e-3  # places halfway between two pixels, and at the edge


def test_rand_augment_and_aug_mix_stay_in_range_and_do_something(pictures: Tensor) -> None:
    for layer in (L.RandAugment(seed=1), L.AugMix(seed=1), L.AugMix(all_ops=False, seed=1)):
        found = [layer(pictures) for _ in range(30)]
        assert all(each.min() >= 0 and each.max() <= 255 for each in found)
        assert sum(not torch.equal(each, pictures) for each in found) >= 28
    assert L.RandAugment(num_ops=0)(pictures).equal(pictures)
    how = L.AugMix(seed=1).get_random_transformation(pictures)
    assert how["chain_mixing_weights"].sum() == pytest.approx(1) and 0 <= how["weight_sample"] <= 1
    assert len(how["chain_transforms"]) == 3


def test_mixtures_take_labels_along() -> None:
    labels = torch.eye(64)
    images = labels[:, :, None, None].expand(-1, -1, 16, 16)  # a channel for each picture: its share can be read
    for layer, atol in (
        (L.MixUp(0.5, "channels_first", seed=1), 1e-5),
        (L.CutMix(seed=1, data_format="channels_first"), 0.15),
    ):
        boxed = {"boxes": torch.ones(64, 1, 4), "labels": torch.arange(64).reshape(64, 1)}
        layer.bounding_box_format = "xyxy"
        found = layer({"images": images, "labels": labels, "segmentation_masks": images, "bounding_boxes": boxed})
        torch.testing.assert_close(found["images"].mean((2, 3)), found["labels"], rtol=0, atol=atol)
        torch.testing.assert_close(found["segmentation_masks"], found["images"])
        torch.testing.assert_close(found["labels"].sum(1), torch.ones(64))
        assert (found["labels"].diagonal() < 1).sum() > 40
        assert found["bounding_boxes"]["labels"].shape[1] == (2 if isinstance(layer, L.MixUp) else 1)


def test_shares_of_mixtures_are_of_a_beta_distribution() -> None:
    share = drawn(L.MixUp(0.2, seed=1), "mix_weight")
    variance = 1 / (4 * (2 * 0.2 + 1))
    assert share.mean() == pytest.approx(0.5, abs=0.03) and share.var() == pytest.approx(variance, rel=0.1)
    share = drawn(L.CutMix((1, 1), seed=1), "mix_weight")
    assert share.mean() == pytest.approx(0.5, abs=0.03) and share.var() == pytest.approx(1 / 12, rel=0.1)


def test_numbers_of_boxes_are_made_equal() -> None:
    given = {"boxes": torch.ones(2, 2, 4), "labels": torch.ones(2, 2)}
    for count, labels in ((3, [1, 1, -1]), (1, [1])):
        layer = L.MaxNumBoundingBoxes(count, bounding_box_format="xyxy")
        found = layer({"images": torch.zeros(2, 4, 4, 3), "bounding_boxes": given})["bounding_boxes"]
        assert found["boxes"].shape == (2, count, 4) and found["labels"][0].tolist() == labels
    layer = L.MaxNumBoundingBoxes(3, 7, bounding_box_format="xyxy")
    found = layer({"images": torch.zeros(2, 4, 4, 3), "bounding_boxes": given})["bounding_boxes"]
    assert found["boxes"][0, 2].tolist() == [7] * 4 and found["labels"][0, 2] == 7


@pytest.mark.parametrize("style", ["xyxy", "yxyx", "xywh", "center_xywh", "rel_xyxy", "rel_yxyx", "rel_xywh"])
def test_boxes_are_filled_up_in_their_own_format(style: str) -> None:
    boxes, labels = torch.tensor([[[0.25, 0.25, 0.5, 0.5]]]), torch.ones(1, 1)
    layer = L.MaxNumBoundingBoxes(2, bounding_box_format=style)
    for take in (slice(None), 0):  # a batch, and one picture
        given = {"boxes": boxes[take], "labels": labels[take]}
        found = layer({"images": torch.zeros(1, 4, 8, 3)[take], "bounding_boxes": given})["bounding_boxes"]
        assert found["boxes"].reshape(2, 4).tolist() == [[0.25, 0.25, 0.5, 0.5], [-1] * 4], style
        assert found["labels"].reshape(2).tolist() == [1, -1]


# What follows ----------------------------------------------------------------------------------------------------

GEOMETRIC: dict[str, Callable[..., Any]] = {
    "flip": lambda **kw: L.RandomFlip("horizontal", seed=3, **kw),
    "rotation": lambda **kw: L.RandomRotation((0.25, 0.25), "constant", "nearest", **kw),
    "zoom": lambda **kw: L.RandomZoom((-0.3, -0.3), (0.2, 0.2), "constant", "nearest", **kw),
    "translation": lambda **kw: L.RandomTranslation((0.2, 0.2), (-0.1, -0.1), "constant", "nearest", **kw),
    "crop": lambda **kw: L.RandomCrop(9, 8, seed=1, **kw),
    "center": lambda **kw: L.CenterCrop(8, 6, **kw),
    "smaller": lambda **kw: L.CenterCrop(24, 10, **kw),
    "resizing": lambda **kw: L.Resizing(24, 30, "nearest", **kw),
    "cut": lambda **kw: L.Resizing(24, 24, "nearest", crop_to_aspect_ratio=True, **kw),
    "padded": lambda **kw: L.Resizing(24, 24, "nearest", pad_to_aspect_ratio=True, **kw),
}


@pytest.mark.parametrize("make", GEOMETRIC.values(), ids=GEOMETRIC.keys())
def test_masks_and_boxes_stay_round_what_they_were_round(make: Any) -> None:
    left, top, right, bottom = (2, 3, 7, 9)
    mask = torch.zeros(8, 12, 10, 1, dtype=torch.int32)
    mask[:, top:bottom, left:right] = 3
    given = {"boxes": np.full((8, 1, 4), (left, top, right, bottom)), "labels": np.full((8, 1), 2)}
    data = {"images": mask.float(), "segmentation_masks": mask, "bounding_boxes": given, "labels": torch.arange(8)}
    found = make(bounding_box_format="xyxy")(data)
    assert found["labels"].tolist() == list(range(8)) and given["boxes"].shape == (8, 1, 4)
    masks = found["segmentation_masks"]
    assert masks.dtype == torch.int32 and set(masks.unique().tolist()) <= {0, 3}
    assert (found["images"].round() != masks).float().mean() < 0.25  # edges may be mixed there
    for each, box in zip(masks[..., 0], found["bounding_boxes"]["boxes"][:, 0], strict=True):
        rows, columns = each.nonzero(as_tuple=True)
        edges = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        assert (edges - box).abs().max() <= 1.6


def test_boxes_in_other_words_and_out_of_sight() -> None:
    image = torch.zeros(10, 20, 3)
    box = {"boxes": [[0.1, 0.2, 0.2, 0.3], [0.8, 0.0, 0.2, 0.2]], "labels": [1, 2]}
    layer = L.RandomTranslation(0, (-0.5, -0.5), bounding_box_format="rel_xywh")
    found = layer({"images": image, "bounding_boxes": box})["bounding_boxes"]
    torch.testing.assert_close(found["boxes"][1], torch.tensor([0.3, 0.0, 0.2, 0.2]))
    assert found["labels"].tolist() == [-1, 2] and found["boxes"][0, 2] == 0
    assert layer.get_config()["bounding_box_format"] == "rel_xywh"
    assert "bounding_box_format" not in L.RandomFlip().get_config()
    with pytest.raises(ValueError, match="`bounding_box_format` does not say"):
        L.RandomFlip()({"images": image, "bounding_boxes": box})


def test_lists_of_boxes_are_filled_up() -> None:
    given = {"boxes": [[[0, 0, 2, 2]], [[0, 0, 4, 4], [1, 1, 3, 3]]], "labels": [[1], [2, 3]]}
    found = L.Resizing(20, 20, bounding_box_format="xyxy")(
        {"images": torch.zeros(2, 10, 10, 3), "bounding_boxes": given}
    )
    assert found["bounding_boxes"]["labels"].tolist() == [[1, -1], [2, 3]]
    assert found["bounding_boxes"]["boxes"][1, 1].tolist() == [2, 2, 6, 6]


# Arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: L.RandomRotation(2),
        lambda: L.RandomZoom(-1.0),
        lambda: L.RandomZoom((0.1, 2)),
        lambda: L.RandomTranslation((0.1,), 0),
        lambda: L.RandomContrast("a"),
        lambda: L.RandomContrast(1.5),
        lambda: L.RandomBrightness(0.1, (1, 2, 3)),
        lambda: L.RandomFlip("diagonal"),
        lambda: L.RandomRotation(0.1, "mirror"),
        lambda: L.RandomShear(2.0),
        lambda: L.Resizing(3, 0),
        lambda: L.Resizing(3, 3, "cubic"),
        lambda: L.Resizing(3, 3, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any) -> None:
    with pytest.raises(ValueError):
        make()


def test_boxes_are_written_in_every_way() -> None:
    size, box = (10, 20), torch.tensor([[2.0, 1.0, 6.0, 5.0]])
    ways = {
        "yxyx": [1, 2, 5, 6],
        "xywh": [2, 1, 4, 4],
        "center_xywh": [4, 3, 4, 4],
        "center_yxhw": [3, 4, 4, 4],
        "rel_xyxy": [0.1, 0.1, 0.3, 0.5],
        "rel_yxyx": [0.1, 0.1, 0.5, 0.3],
        "rel_xywh": [0.1, 0.1, 0.2, 0.4],
        "rel_center_xywh": [0.2, 0.3, 0.2, 0.4],
        "xyxy": [2, 1, 6, 5],
    }
    assert set(ways) == set(boxes.FORMATS)
    for way, expected in ways.items():
        found = boxes.convert(box, "xyxy", way, size)
        torch.testing.assert_close(found, torch.tensor([expected], dtype=torch.float32))
        for other, numbers in ways.items():
            converted = boxes.convert(found, way, other, size)
            torch.testing.assert_close(converted, torch.tensor([numbers], dtype=torch.float32))


def _by_the_book(x: np.ndarray, grid: tuple[int, int], limit: float) -> np.ndarray:
    """CLAHE of one channel (H, W), pixel by pixel."""
    (height, width), (rows, columns) = x.shape, grid
    tall, wide = -(-height // rows), -(-width // columns)
    padded = np.pad(x, ((0, tall * rows - height), (0, wide * columns - width)), mode="symmetric").astype(int)
    tables = np.zeros((rows, columns, 256))
    for row, column in np.ndindex(rows, columns):
        tile = padded[row * tall : (row + 1) * tall, column * wide : (column + 1) * wide]
        counts = np.bincount(tile.ravel(), minlength=256).astype(float)
        if limit > 0:
            kept = np.minimum(counts, limit * tile.size / 256)
            counts = kept + (counts - kept).sum() / 256
        below = counts.cumsum()
        tables[row, column] = ((below - below[0]) * 255 / max(tile.size - below[0], 1e-9)).clip(0, 255)
    found = np.zeros((height, width))
    for i, j in np.ndindex(height, width):
        y, z = (i - tall / 2) / tall, (j - wide / 2) / wide
        for row in (math.floor(y), math.floor(y) + 1):
            for column in (math.floor(z), math.floor(z) + 1):
                share = (1 - abs(y - row)) * (1 - abs(z - column))
                tile = tables[min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)]
                found[i, j] += share * tile[int(x[i, j])]
    return found


@pytest.mark.parametrize("limit", [4.0, 0.5, 40.0, 0, -1])
@pytest.mark.parametrize(("size", "grid"), [((24, 24), (8, 8)), ((9, 11), (2, 3)), ((5, 3), (4, 1)), ((3, 2), (8, 8))])
def test_local_equalization_by_the_book(size: tuple, grid: tuple, limit: float) -> None:
    x = np.random.default_rng(0).integers(0, 256, (2, *size, 2)).astype("float32")
    found = L.ContrastLimitedAdaptiveHistogramEqualization(clip_limit=limit, tile_grid_size=grid)(x)
    expected = [[_by_the_book(x[i, ..., c], grid, limit) for c in range(2)] for i in range(2)]
    np.testing.assert_allclose(found, np.moveaxis(np.array(expected), 1, -1), atol=2e-3)


def test_local_equalization_in_every_form() -> None:
    layer = L.ContrastLimitedAdaptiveHistogramEqualization
    x = torch.randint(0, 256, (2, 20, 17, 3), generator=torch.Generator().manual_seed(0))
    whole = layer()(x.float())
    torch.testing.assert_close(layer()(x[1].float()), whole[1])
    torch.testing.assert_close(layer(data_format="channels_first")(x.float().movedim(-1, 1)).movedim(1, -1), whole)
    assert layer()(x.to(torch.uint8)).dtype is torch.uint8
    assert ((layer()(x.to(torch.uint8)).float() - whole).abs() <= 1).all()
    torch.testing.assert_close(layer(value_range=(-1, 1))((x + 0.5) / 127.5 - 1), whole / 127.5 - 1, atol=0.02, rtol=0)
    assert (layer()(torch.full((16, 16, 1), 77.0)).unique().numel()) == 1
    assert layer()(x[:0].float()).shape == (0, 20, 17, 3)
    # The corner of a ramp, as Keras 3.15.1 gives it.
    ramp = torch.arange(64.0).reshape(1, 8, 8, 1) * 4
    found = layer(tile_grid_size=(2, 2))(ramp)[0, :2, :3, 0]
    np.testing.assert_allclose(found, [[0, 7.104477, 14.208955], [40.597015, 47.701492, 54.805969]], rtol=1e-5)


# tf.keras ------------------------------------------------------------------------------------------------------------

OLD = keras.tf_keras.layers


@pytest.mark.parametrize(("name", "axis"), [("RandomHeight", 1), ("RandomWidth", 2)])
def test_random_sides(name: str, axis: int, pictures: Tensor) -> None:
    make = getattr(OLD, name)
    sizes = {make((-0.5, 0.5), seed=seed)(pictures, training=True).shape[axis] for seed in range(30)}
    size = pictures.shape[axis]
    assert len(sizes) > 4 and size * 0.5 <= min(sizes) <= max(sizes) < size * 1.5
    for interpolation in ("bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5"):
        found = make((0.3, 0.3), interpolation)(pictures, training=True)
        rows, columns = (int(n * 1.3) if side == axis else n for side, n in ((1, 12), (2, 10)))
        torch.testing.assert_close(found, L.Resizing(rows, columns, interpolation)(pictures), rtol=1e-6, atol=1e-4)
    assert make(0.3)(pictures[0], training=True).shape[2 - axis] == pictures.shape[3 - axis]
    torch.testing.assert_close(make(0.3)(pictures, training=False), pictures)
    assert make(0.3, seed=3).get_config()["factor"] == 0.3
    assert make(0.3).compute_output_shape((None, 12, 10, 3))[axis] is None
    for bad in (-0.2, (0.5, 0.2), (-2, 0), "a"):
        with pytest.raises(ValueError, match="factor"):
            make(bad)


@pytest.mark.parametrize(
    ("part", "fill_mode", "nearest", "bilinear"),
    [
        (0.3, "constant", [0, 0, 2, 3, 4], [0, 0.5, 1.5, 2.5, 3.5]),
        (0.3, "reflect", [2, 1, 2, 3, 4], [1.5, 1, 1.5, 2.5, 3.5]),
        (0.3, "wrap", [5, 5, 2, 3, 4], [4.5, 5, 1.5, 2.5, 3.5]),
        (-0.3, "nearest", [3, 4, 5, 5, 5], [2.5, 3.5, 4.5, 5, 5]),
        (-0.3, "wrap", [3, 4, 5, 1, 2], [2.5, 3.5, 4.5, 1, 1.5]),
        (0.9, "reflect", [5, 4, 3, 2, 1], [4.5, 3.5, 2.5, 1.5, 1]),
        (0.9, "wrap", [5, 3, 4, 5, 5], [5, 2.5, 3.5, 4.5, 5]),
    ],
)
def test_places_outside_and_halfway_are_tensorflows(part: float, fill_mode: str, nearest: list, bilinear: list) -> None:
    """By tf_keras 2.21; turns and zooms go by the same rules."""
    row = torch.arange(1.0, 6.0).reshape(1, 1, 5, 1)
    for how, expected in (("nearest", nearest), ("bilinear", bilinear)):
        found = OLD.RandomTranslation(0.0, (part, part), fill_mode, how)(row, training=True)
        torch.testing.assert_close(found.flatten(), torch.tensor(expected, dtype=torch.float32), rtol=1e-5, atol=1e-5)
    assert OLD.RandomTranslation._settle is OLD.RandomRotation._settle is OLD.RandomZoom._settle


def test_a_crop_at_inference_is_the_middle_resized(pictures: Tensor) -> None:
    layer = OLD.RandomCrop(6, 4)
    assert layer(pictures, training=True).shape == (64, 6, 4, 3)
    torch.testing.assert_close(
        layer(pictures, training=False), L.Resizing(6, 4, crop_to_aspect_ratio=True)(pictures), rtol=1e-6, atol=1e-4
    )


def test_one_number_of_contrast_goes_both_ways(pictures: Tensor) -> None:
    layer = OLD.RandomContrast(0.5, seed=1)
    layer(pictures, training=True)
    assert layer.get_config()["factor"] == 0.5
    assert_uniform(drawn(layer, "contrast_factor"), 0.5, 1.5)


def test_names_under_experimental() -> None:
    home = OLD.experimental.preprocessing
    names = "CenterCrop RandomContrast RandomCrop RandomFlip RandomHeight RandomRotation RandomTranslation RandomWidth"
    for name in (*names.split(), "RandomZoom", "Rescaling", "Resizing", "Normalization", "StringLookup"):
        assert getattr(home, name) is getattr(OLD, name)
    layer = home.RandomRotation(0.1, "constant", "nearest", 3, 0.5, rng_type="stateless")
    assert (layer.fill_mode, layer.interpolation, layer.seed, layer.fill_value) == ("constant", "nearest", 3, 0.5)


@pytest.mark.parametrize("what", ["brightness", "contrast", "saturation", "hue"])
@pytest.mark.parametrize("wrong", [-2, "", [1, 2, 3]])
def test_color_jitter_names_its_own_arguments(what: str, wrong: Any) -> None:
    with pytest.raises(ValueError, match=rf"^RandomColorJitter: .*`{what}_factor`"):
        L.RandomColorJitter(**{f"{what}_factor": wrong})
