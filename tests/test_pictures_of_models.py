"""Figures of what a model has learned: their values against torch, and the saved pictures themselves."""

from __future__ import annotations

import builtins
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import lamina as keras
from lamina import Input, Model, Sequential, pictures
from lamina import layers as L
from lamina.pictures.drawing import FONTS

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure

Layer = L.Layer
RNG = np.random.RandomState(0)


def _has_chinese_letters() -> bool:
    from matplotlib.font_manager import fontManager, get_font

    named = (font.fname for font in fontManager.ttflist if font.name in FONTS)
    return any(ord("鸟") in get_font(name).get_charmap() for name in named)


chinese = pytest.mark.skipif(not _has_chinese_letters(), reason="no installed font has Chinese letters")


@pytest.fixture(autouse=True)
def the_same_numbers_every_time() -> None:
    RNG.seed(3)
    keras.utils.set_random_seed(3)


def pixels(figure: Figure, path: Path) -> np.ndarray:
    """The saved picture (height, width, 3), 0 to 1."""
    from matplotlib import image

    figure.savefig(path, dpi=60)
    return image.imread(path)[..., :3]


def parts(figure: Figure, path: Path) -> list[tuple[Any, np.ndarray]]:
    """Each panel with its part of the saved picture."""
    whole = pixels(figure, path)
    height, width = whole.shape[:2]
    found = []
    for axes in figure.axes:
        box = axes.get_position()
        rows = slice(round((1 - box.y1) * height), round((1 - box.y0) * height))
        found.append((axes, whole[rows, round(box.x0 * width) : round(box.x1 * width)]))
    return found


def check(figure: Any, path: Path, panels: int) -> list[Any]:
    """A figure of so many panels that do not overlap, none of them blank; its panels."""
    assert isinstance(figure, Figure) and len(figure.axes) == panels
    for axes, part in parts(figure, path):
        assert min(part.shape[:2]) > 4 and part.std() > 0.01, axes.get_title()
    boxes = [axes.get_position() for axes in figure.axes]
    for index, one in enumerate(boxes):
        assert 0 <= one.x0 < one.x1 <= 1 and 0 <= one.y0 < one.y1 <= 1
        assert not any(one.shrunk(0.99, 0.99).overlaps(other.shrunk(0.99, 0.99)) for other in boxes[:index])
    return figure.axes


def titles(figure: Figure) -> list[str]:
    return [axes.get_title() for axes in figure.axes]


def convolutional(form: str = "channels_last", channels: int = 1, activation: str | None = "softmax") -> Sequential:
    shape = (12, 10, channels) if form == "channels_last" else (channels, 12, 10)
    return Sequential([
        Input(shape),
        L.Conv2D(4, 3, activation="relu", data_format=form, name="first"),
        L.BatchNormalization(axis=-1 if form == "channels_last" else 1, name="normal"),
        L.Conv2D(6, 3, activation="relu", data_format=form, name="second"),
        L.GlobalAveragePooling2D(data_format=form, name="pool"),
        L.Dropout(0.5),
        L.Dense(3, activation=activation, name="scores"),
    ])  # fmt: skip


def like(model: Model, other: Model) -> Model:
    model.set_weights(other.get_weights())
    return model


class Own(Model):
    def __init__(self) -> None:
        super().__init__()
        self.first = L.Conv2D(4, 3, activation="relu", name="first")
        self.second = nn.Conv2d(4, 5, 3)
        self.act = nn.ReLU(inplace=True)
        self.scores = L.Dense(3, name="scores")

    def call(self, inputs: Tensor) -> Tensor:
        x = self.act(self.second(self.first(inputs).permute(0, 3, 1, 2)))
        return self.scores(x.mean((2, 3)))


# Kernels -------------------------------------------------------------------------------------------------------------


def test_filters_of_grey_and_coloured_pictures_are_tiles(tmp_path: Path) -> None:
    grey, coloured = convolutional(), convolutional(channels=3)
    figure = pictures.filters(grey, path=tmp_path / "saved.png")
    panels = check(figure, tmp_path / "a.png", 4)
    assert (tmp_path / "saved.png").stat().st_size > 1000
    assert figure.get_suptitle() == "first: 4 kernels of shape 3 x 3 x 1" and titles(figure) == ["0", "1", "2", "3"]
    kernel = grey.get_layer("first").kernel.detach().numpy()
    for number, axes in enumerate(panels):
        assert np.array_equal(axes.images[0].get_array(), kernel[:, :, 0, number])
    panels = check(pictures.filters(coloured), tmp_path / "b.png", 4)
    kernel = coloured.get_layer("first").kernel.detach().numpy()
    shown = panels[2].images[0].get_array()
    assert shown.shape == (3, 3, 3) and np.allclose(shown, (kernel[..., 2] - kernel.min()) / np.ptp(kernel))


def test_filters_by_name_place_and_layer_are_the_same() -> None:
    model = convolutional()
    found = [pictures.filters(model, layer) for layer in ("second", 2, model.get_layer("second"))]
    shown = [figure.axes[0].images[0].get_array() for figure in found]
    assert all(np.array_equal(shown[0].filled(9), each.filled(9)) for each in shown[1:])
    kernel = model.get_layer("second").kernel.detach().numpy()
    assert np.array_equal(shown[0][:3, :3], kernel[:, :, 0, 0]) and np.array_equal(
        shown[0][:3, 4:7], kernel[:, :, 1, 0]
    )
    assert shown[0].mask[3].all()  # the line between


def test_filters_in_one_dimension_are_curves(tmp_path: Path) -> None:
    layer = L.Conv1D(5, 4)
    model = Sequential([Input((20, 2)), layer])
    panels = check(pictures.filters(model), tmp_path / "a.png", 5)
    for number, axes in enumerate(panels):
        drawn = np.stack([line.get_ydata() for line in axes.lines[:2]], 1)
        assert np.array_equal(drawn, layer.kernel.detach().numpy()[:, :, number])
    wide = pictures.filters(Sequential([Input((20, 9)), L.Conv1D(5, 4)]))
    assert wide.axes[0].images[0].get_array().shape == (9, 4)


@pytest.mark.parametrize(
    ("layer", "shape", "panels"),
    [
        (L.DepthwiseConv2D(3, depth_multiplier=2), (8, 8, 4), 8),
        (L.SeparableConv2D(4, 3), (8, 8, 3), 3),
        (L.Conv2DTranspose(5, 3), (8, 8, 2), 5),
        (L.Conv3D(4, 3), (6, 6, 6, 2), 12),
        (L.LocallyConnected2D(3, 3), (8, 8, 2), 2),
        (L.Dense(7), (5,), 2),
        (L.LSTM(3), (4, 5), 2),
    ],
)
def test_filters_of_other_layers(layer: Any, shape: tuple, panels: int, tmp_path: Path) -> None:
    check(pictures.filters(Sequential([Input(shape), layer])), tmp_path / "a.png", panels)


def test_transposed_kernels_belong_to_their_outputs() -> None:
    layer = L.Conv2DTranspose(5, 3)
    shown = pictures.filters(Sequential([Input((8, 8, 1)), layer])).axes[3].images[0].get_array()
    assert np.array_equal(shown, layer.kernel.detach().numpy()[:, :, 3, 0])
    module = nn.ConvTranspose2d(1, 5, 3)
    shown = pictures.filters(module).axes[3].images[0].get_array()
    assert np.array_equal(shown, module.weight.detach().numpy()[0, 3])


def test_weights_on_flattened_pictures_are_pictures_again(tmp_path: Path) -> None:
    layer = L.Dense(10)
    model = Sequential([Input((6, 7)), L.Flatten(), layer])
    panels = check(pictures.filters(model), tmp_path / "a.png", 10)
    kernel = layer.kernel.detach().numpy()[:, 4]
    expected = ((kernel - kernel.min()) / np.ptp(kernel)).reshape(6, 7)
    assert np.allclose(panels[4].images[0].get_array(), expected, atol=1e-6)


@chinese
def test_vectors_of_words_are_a_heat_map(tmp_path: Path) -> None:
    model = Sequential([Input((4,), dtype="int32"), L.Embedding(30, 6, name="words"), L.LSTM(3)])
    axes, bar = check(pictures.filters(model, language="zh"), tmp_path / "a.png", 2)
    assert axes.images[0].get_array().shape == (30, 6) and "权重" in axes.get_title() and bar.get_title() == ""


def test_no_more_kernels_than_asked_for(tmp_path: Path) -> None:
    model = Sequential([Input((8, 8, 20)), L.Conv2D(70, 3, name="many")])
    assert pictures.filters(model).get_suptitle() == "many: the first 64 of 70"
    figure = pictures.filters(model, most=9)
    check(figure, tmp_path / "a.png", 9)
    assert figure.axes[0].get_position().y0 > figure.axes[8].get_position().y1  # the ninth begins a row


# Activations ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["channels_last", "channels_first"])
def test_activations_are_what_the_layers_give(form: str, tmp_path: Path) -> None:
    model = convolutional(form)
    x = RNG.rand(*model.input_shape[1:]).astype("float32")
    figure = pictures.activations(model, x, path=tmp_path / "saved.png")
    panels = check(figure, tmp_path / "a.png", 4 + 4 + 6 + 1 + 1)
    layers = model.layers
    y = layers[0](torch.from_numpy(x)[None])
    for row, layer in enumerate(layers[:3]):
        y = layer(y) if row else y
        maps = y[0].movedim(-1, 0) if form == "channels_last" else y[0]
        start = (0, 4, 8)[row]
        for number in range(len(maps)):
            assert np.allclose(panels[start + number].images[0].get_array(), maps[number].detach(), atol=1e-5)
    labels = [axes.get_ylabel().split("\n") for axes in panels if axes.get_ylabel()]
    assert [label[:2] for label in labels] == [
        ["first", "Conv2D"], ["normal", "BatchNormalization"], ["second", "Conv2D"],
        ["pool", "GlobalAveragePooling2D"], ["scores", "Dense"],
    ]  # fmt: skip
    tops = [axes.get_position().y0 for axes in panels if axes.get_ylabel()]
    assert tops == sorted(tops, reverse=True)


def test_activations_of_chosen_layers_nested_ones_too(tmp_path: Path) -> None:
    inner = Sequential([Input((9, 9, 1)), L.Conv2D(3, 3, name="inside")], name="inner")
    inputs = Input((9, 9, 1))
    model = Model(inputs, L.Dense(2)(L.Flatten()(inner(inputs))))
    x = RNG.rand(2, 9, 9, 1)
    figure = pictures.activations(model, x, ["inside", inner])
    check(figure, tmp_path / "a.png", 6)
    with pytest.raises(ValueError, match=r"activations: the model has no layer 'nope'; it has"):
        pictures.activations(model, x, "nope")
    with pytest.raises(ValueError, match="is not in the model"):
        pictures.activations(model, x, L.Dense(2))


def test_activations_of_sequences_and_of_long_models(tmp_path: Path) -> None:
    model = Sequential([Input((30, 2)), *(L.Conv1D(3, 3, name=f"c{i}") for i in range(12)), L.GRU(4, name="gru")])
    figure = pictures.activations(model, RNG.randn(30, 2))
    panels = check(figure, tmp_path / "a.png", 8)
    names = [axes.get_ylabel().split("\n")[0] for axes in panels]
    assert names[0] == "c0" and names[-1] == "gru"
    assert panels[0].images[0].get_array().shape == (3, 28) and panels[0].get_xlabel() == "steps"


# Gradients -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["channels_last", "channels_first"])
@pytest.mark.parametrize("target", [None, 1])
def test_saliency_is_the_gradient_of_the_score_before_softmax(form: str, target: int | None, tmp_path: Path) -> None:
    model = convolutional(form, 3)
    logits = like(convolutional(form, 3, None), model)
    x = RNG.rand(2, *model.input_shape[1:]).astype("float32")
    given = torch.from_numpy(x).requires_grad_()
    scores = logits(given)
    chosen = scores.argmax(1) if target is None else torch.full((2,), target)
    expected = torch.autograd.grad(scores.gather(1, chosen[:, None]).sum(), given)[0].abs()
    expected = expected.amax(-1 if form == "channels_last" else 1)
    figure = pictures.saliency(model, x, target)
    panels = check(figure, tmp_path / "a.png", 4)
    for index in range(2):
        assert np.allclose(panels[2 * index + 1].images[0].get_array(), expected[index], atol=1e-6)
        assert panels[2 * index + 1].get_title() == f"saliency of class {int(chosen[index])}"
        assert panels[2 * index].images[0].get_array().shape == (12, 10, 3)


def test_smoothed_saliency_is_a_mean_over_noise() -> None:
    model, x = convolutional(), RNG.rand(12, 10, 1).astype("float32")
    before = torch.get_rng_state()
    one, again = (pictures.saliency(model, x, 0, smooth=20, noise=0.3) for _ in range(2))
    shown = [figure.axes[1].images[0].get_array() for figure in (one, again, pictures.saliency(model, x, 0))]
    assert np.array_equal(shown[0], shown[1]) and not np.allclose(shown[0], shown[2])
    assert torch.equal(torch.get_rng_state(), before)
    near = pictures.saliency(model, x, 0, smooth=2, noise=1e-9).axes[1].images[0].get_array()
    assert np.allclose(near, shown[2], atol=1e-5)


def cam_of(output: Tensor, scores: Tensor) -> np.ndarray:
    """Grad-CAM of (samples, channels, height, width), as in the paper."""
    grads = torch.autograd.grad(scores.sum(), output)[0]
    cam = F.relu((grads.mean((2, 3), keepdim=True) * output).sum(1))
    return (cam / cam.amax((1, 2), keepdim=True).clamp(min=1e-30)).detach().numpy()


@pytest.mark.parametrize("form", ["channels_last", "channels_first"])
def test_grad_cam_against_torch(form: str, tmp_path: Path) -> None:
    model = convolutional(form, 3)
    logits = like(convolutional(form, 3, None), model)
    x = RNG.rand(2, *model.input_shape[1:]).astype("float32")
    y = torch.from_numpy(x)
    for name in ("first", "normal", "second"):
        y = logits.get_layer(name)(y)
    maps = y.movedim(-1, 1) if form == "channels_last" else y
    rest = maps.movedim(1, -1) if form == "channels_last" else maps
    scores = logits.get_layer("scores")(logits.get_layer("pool")(rest))
    expected = cam_of(maps, scores[:, 2])
    figure = pictures.grad_cam(model, x, 2)
    panels = check(figure, tmp_path / "a.png", 4)
    for index in range(2):
        picture, overlay = panels[2 * index + 1].images
        assert np.allclose(overlay.get_array(), expected[index], atol=1e-4)
        assert tuple(overlay.get_extent()) == tuple(picture.get_extent()) == (-0.5, 9.5, 11.5, -0.5)
    assert titles(figure) == ["sample", "Grad-CAM of class 2", "", "Grad-CAM of class 2"]


def test_grad_cam_of_modules_of_torch_that_work_in_place(tmp_path: Path) -> None:
    model = Own()
    x = RNG.rand(1, 9, 9, 3).astype("float32")
    model(x)
    before = model.second(model.first(torch.from_numpy(x)).permute(0, 3, 1, 2))
    expected = cam_of(before, model.scores(F.relu(before).mean((2, 3)))[:, 1])
    overlay = check(pictures.grad_cam(model, x, 1), tmp_path / "a.png", 2)[1].images[1]
    assert np.allclose(overlay.get_array(), expected[0], atol=1e-4)
    assert pictures.grad_cam(model, x, 1, "first").axes[1].images[1].get_array().shape == (7, 7)


def test_grad_cam_of_sequences_lies_along_the_steps(tmp_path: Path) -> None:
    model = Sequential([Input((30, 2)), L.Conv1D(4, 5, activation="relu"), L.GlobalMaxPooling1D(), L.Dense(2)])
    overlay = check(pictures.grad_cam(model, RNG.randn(30, 2)), tmp_path / "a.png", 2)[1].images[1]
    assert overlay.get_array().shape == (1, 26) and overlay.get_array().max() == pytest.approx(1)


def test_saliency_of_words_is_gradient_times_vector() -> None:
    model = Sequential([Input((5,), dtype="int32"), L.Embedding(20, 4, name="words"), L.Flatten(), L.Dense(3)])
    x = np.array([[3, 1, 4, 1, 5]])
    vectors = model.get_layer("words")(torch.from_numpy(x)).detach()
    kernel = model.layers[-1].kernel.detach()[:, 2].reshape(5, 4)
    expected = (kernel * vectors[0]).sum(1).abs()
    bars = [bar.get_height() for bar in pictures.saliency(model, x, 2).axes[1].patches]
    assert np.allclose(bars, expected, atol=1e-6)


def test_saliency_of_texts_names_the_words(tmp_path: Path) -> None:
    texts = L.TextVectorization(max_tokens=20, output_sequence_length=6)
    texts.adapt(["the film was good", "a bad film"])
    model = Sequential([Input((), dtype="string"), texts, L.Embedding(20, 4), L.Flatten(), L.Dense(2)])
    figure = pictures.saliency(model, ["the film was good", "a bad film"])
    panels = check(figure, tmp_path / "a.png", 4)
    assert [text.get_text() for text in panels[1].get_xticklabels()] == ["the", "film", "was", "good"]
    assert panels[2].texts[0].get_text() == "a bad film"


# Left as found -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("look", ["activations", "saliency", "grad_cam", "predictions"])
@pytest.mark.parametrize("make", [convolutional, Own, "torch"])
def test_flags_gradients_and_weights_stay_as_they_were(look: str, make: Any) -> None:
    if make == "torch":
        model: Any = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1),
            nn.Flatten(), nn.Linear(4, 3),
        )  # fmt: skip
        x = torch.rand(2, 3, 9, 9)
    else:
        model = make() if make is Own else make(channels=3)
        x = torch.rand(2, 12, 10, 3)
        model(x)
    model.train()
    first = next(model.parameters())
    first.requires_grad_(False)
    first.grad = None
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    flags = [(module.training, len(module._forward_hooks)) for module in model.modules()]
    needs = [weight.requires_grad for weight in model.parameters()]
    with torch.no_grad():
        figures = [getattr(pictures, look)(model, x) for _ in range(2)]
    assert [(module.training, len(module._forward_hooks)) for module in model.modules()] == flags
    assert [weight.requires_grad for weight in model.parameters()] == needs
    assert all(weight.grad is None for weight in model.parameters())
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    shown = [[image.get_array() for axes in figure.axes for image in axes.images] for figure in figures]
    assert all(map(np.array_equal, *shown)) and shown[0]  # no dropout in it


def test_a_model_is_as_fast_afterwards_as_before() -> None:
    """Its layers need no care that they did not need before: plans run them without hooks."""
    model, x = convolutional(), torch.rand(1, 12, 10, 1)
    model(x)
    before = model._care, [layer._care for layer in model.layers], str(model.plan)
    for look in (pictures.activations, pictures.saliency, pictures.grad_cam, pictures.predictions):
        look(model, x)
    assert (model._care, [layer._care for layer in model.layers], str(model.plan)) == before


def test_frozen_models_and_mixed_precision(tmp_path: Path) -> None:
    model = convolutional()
    expected = pictures.grad_cam(model, x := RNG.rand(12, 10, 1)).axes[1].images[1].get_array()
    model.trainable = False
    assert np.allclose(pictures.grad_cam(model, x).axes[1].images[1].get_array(), expected)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        mixed = convolutional()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    for look, panels in (
        (pictures.activations, 16),
        (pictures.saliency, 2),
        (pictures.grad_cam, 2),
        (pictures.predictions, 2),
    ):
        check(look(like(mixed, model), x), tmp_path / "a.png", panels)


# Inputs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["uint8", "unit", "bytes as floats", "standardized", "not a number", "constant"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_any_range_are_shown(kind: str, channels: int) -> None:
    from lamina.pictures.seen.canvas import picture_of

    x = RNG.rand(6, 5, channels)
    x = {
        "uint8": (x * 255).astype("uint8"), "unit": x, "bytes as floats": x * 255.0, "standardized": (x - 0.5) * 5,
        "not a number": np.where(x > 0.9, np.nan, x), "constant": np.full_like(x, -3.0),
    }[kind]  # fmt: skip
    found = [picture_of(each) for each in (x, np.moveaxis(x, -1, 0))]
    for picture in found:
        assert picture is not None and picture.shape == ((6, 5) if channels == 1 else (6, 5, 3))
        assert picture.min() >= 0 and picture.max() <= 1 and np.isfinite(picture).all()
    assert np.array_equal(*found)
    figure = pictures.saliency(convolutional(channels=channels), np.resize(np.nan_to_num(x), (12, 10, channels)))
    assert figure.axes[0].images[0].get_array().shape[:2] == (12, 10)


@pytest.mark.parametrize("shape", [(12, 10, 1), (1, 12, 10, 1), (12, 10), (3, 12, 10), (3, 12, 10, 1)])
def test_one_sample_or_several_with_or_without_channels(shape: tuple) -> None:
    figure = pictures.saliency(convolutional(), RNG.rand(*shape))
    assert len(figure.axes) == (6 if shape[0] == 3 else 2)


def test_several_inputs() -> None:
    a, b = Input((8, 8, 1), name="picture"), Input((3,), name="numbers")
    model = Model([a, b], L.Dense(2)(L.Concatenate()([L.Flatten()(L.Conv2D(2, 3)(a)), b])))
    x = RNG.rand(2, 8, 8, 1), RNG.rand(2, 3)
    shown = [
        pictures.grad_cam(model, given, 0).axes[3].images[1].get_array()
        for given in ([*x], {"numbers": x[1], "picture": x[0]}, {"picture": x[0][1], "numbers": x[1][1]})
        if not isinstance(given, dict) or given["picture"].ndim == 4
    ]
    assert np.allclose(*shown)
    assert len(pictures.saliency(model, {"picture": x[0][1], "numbers": x[1][1]}).axes) == 2
    with pytest.raises(ValueError, match=r"the model has 2 inputs \(picture, numbers\): give a list"):
        pictures.saliency(model, x[0])
    with pytest.raises(ValueError, match="different numbers of samples"):
        pictures.saliency(model, [x[0], x[1][:1]])


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "no model": (lambda: pictures.filters("model"), TypeError, "must be a model or a layer; got 'model'"),
    "no weights": (lambda: pictures.filters(Sequential([L.Conv2D(2, 3)])), ValueError, "Call or build the model first"),
    "none at all": (lambda: pictures.filters(convolutional(), "pool"), ValueError, "has no weights to look at"),
    "no convolution": (
        lambda: pictures.grad_cam(Sequential([Input((3,)), L.Dense(2)]), np.ones(3)), ValueError, "has no convolution",
    ),
    "no feature maps": (
        lambda: pictures.grad_cam(convolutional(), np.ones((12, 10, 1)), layer="scores"), ValueError, "no feature maps",
    ),
    "another class": (
        lambda: pictures.saliency(convolutional(), np.ones((12, 10, 1)), 3), ValueError, "must be a class, 0 to 2",
    ),
    "another shape": (
        lambda: pictures.saliency(convolutional(), np.ones((2, 2, 9, 9, 1))), ValueError,
        r"samples of shape \(12, 10, 1\)",
    ),
    "no sample": (lambda: pictures.saliency(convolutional(), np.ones((0, 12, 10, 1))), ValueError, "no sample in `x`"),
    "two outputs": (
        lambda: pictures.saliency(Model(i := Input((3,)), [L.Dense(2)(i), L.Dense(2)(i)]), np.ones(3)),
        ValueError, "has 2 outputs",
    ),
    "negative smoothing": (
        lambda: pictures.saliency(convolutional(), np.ones((12, 10, 1)), smooth=-1), ValueError, "must not be negative",
    ),
    "numbers of samples": (lambda: pictures.confusion([1, 2], [1]), ValueError, "has 2 samples, `y_pred` 1"),
    "too few labels": (lambda: pictures.confusion([1, 2], [1, 2], ["a", "b"]), ValueError, "classes must be 0 to 1"),
    "a strange name": (lambda: pictures.confusion(["a"], ["c"], ["a", "b"]), ValueError, "'c' is not among"),
    "normalize": (lambda: pictures.confusion([1], [1], normalize="rows"), ValueError, "'true', 'pred' or 'all'"),
    "labels": (
        lambda: pictures.predictions(convolutional(), np.ones((12, 10, 1)), labels=["a"]), ValueError, "got 1 labels",
    ),
    "true classes": (
        lambda: pictures.predictions(convolutional(), np.ones((2, 12, 10, 1)), [0, 7]), ValueError,
        "0 to 2; got 0 to 7",
    ),
    "too few true classes": (
        lambda: pictures.predictions(convolutional(), np.ones((2, 12, 10, 1)), [0]), ValueError, "each of 2 samples",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_said(case: str) -> None:
    call, kind, words = BAD[case]
    with pytest.raises(kind, match=words):
        call()


# Results -------------------------------------------------------------------------------------------------------------


@chinese
def test_confusion_counts(tmp_path: Path) -> None:
    true, said = np.array([0, 0, 1, 1, 1, 2]), np.array([0, 1, 1, 1, 0, 2])
    figure = pictures.confusion(true, said, ["cat", "dog", "$x$ 鸟"], path=tmp_path / "saved.png")
    axes, _ = check(figure, tmp_path / "a.png", 2)
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert cells == {(0, 0): "1", (1, 0): "1", (1, 1): "2", (0, 1): "1", (2, 2): "1"}  # across: predicted
    assert np.allclose(axes.images[0].get_array(), [[0.5, 0.5, 0], [1 / 3, 2 / 3, 0], [0, 0, 1]])
    assert axes.get_title() == "4 of 6 right (66.7%)"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog", "$x$ 鸟"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")


@pytest.mark.parametrize(
    ("normalize", "expected"),
    [
        ("true", [[0.5, 0.5], [0.25, 0.75]]),
        ("pred", [[2 / 3, 0.4], [1 / 3, 0.6]]),
        ("all", [[0.25, 0.25], [0.125, 0.375]]),
    ],
)
def test_confusion_normalized(normalize: str, expected: Any) -> None:
    true, said = [0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 0, 1, 1, 1]
    axes = pictures.confusion(true, said, normalize=normalize).axes[0]
    assert np.allclose(axes.images[0].get_array(), expected)
    assert [text.get_text() for text in axes.texts] == [f"{value:.2f}" for value in np.ravel(expected)]


def test_confusion_of_vectors_probabilities_names_and_tensors() -> None:
    def cells(*args: Any) -> Any:
        return {text.get_position(): text.get_text() for text in pictures.confusion(*args).axes[0].texts}

    true, parts = [0, 1, 1, 0], [0.2, 0.9, 0.3, 0.4]
    expected = cells(true, [0, 1, 0, 0])
    both = np.stack([1 - np.array(parts), parts], 1)
    assert cells(true, parts) == cells(true, np.array(parts)[:, None]) == cells(np.eye(2)[true], both) == expected
    assert cells(torch.tensor(true), torch.tensor(parts)) == expected
    names = np.array(["no", "yes"])
    assert cells(names[true], names[[0, 1, 0, 0]]) == expected


@pytest.mark.parametrize("classes", [2, 12, 30, 100])
def test_confusion_is_readable_for_any_number_of_classes(classes: int, tmp_path: Path) -> None:
    true = RNG.randint(0, classes, 20 * classes)
    said = np.where(RNG.rand(len(true)) < 0.7, true, RNG.randint(0, classes, len(true)))
    figure = pictures.confusion(true, said, [f"class {index}" for index in range(classes)])
    axes, _ = check(figure, tmp_path / "a.png", 2)
    assert max(figure.get_size_inches()) <= 15
    figure.canvas.draw()
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        boxes = [label.get_window_extent() for label in labels]
        assert 2 <= len(boxes) <= 50 and not any(a.overlaps(b) for a, b in pairwise(boxes))
        assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 and box.y0 >= figure.bbox.y0 for box in boxes)
    numbers = [text.get_window_extent() for text in axes.texts]
    assert bool(numbers) == (classes <= 30)
    cell = axes.get_window_extent().width / classes
    assert all(box.width <= cell for box in numbers)


def test_predictions_of_pictures(tmp_path: Path) -> None:
    from matplotlib.colors import to_hex

    from lamina.pictures.seen.canvas import GREEN, RED

    model, x = convolutional(), RNG.rand(5, 12, 10, 1).astype("float32")
    found = model.predict(x, verbose=0)
    said = found.argmax(1)
    true = np.where(np.arange(5) == 2, (said + 1) % 3, said)
    names = ["cat", "dog", "bird"]
    figure = pictures.predictions(model, x, true, names)
    panels = check(figure, tmp_path / "a.png", 10)
    for index in range(5):
        bars = panels[2 * index + 1]
        order = np.argsort(-found[index])
        assert np.allclose([bar.get_width() for bar in bars.patches], found[index][order], atol=1e-5)
        assert [label.get_text() for label in bars.get_yticklabels()] == [names[one] for one in order]
        right = index != 2
        assert to_hex(bars.patches[0].get_facecolor()) == (GREEN if right else RED)
        title = names[said[index]] if right else f"{names[said[index]]} (true: {names[true[index]]})"
        assert bars.get_title() == title
        picture, box = panels[2 * index].get_position(), bars.get_position()
        assert picture.x1 < box.x0 and abs((picture.y0 + picture.y1) - (box.y0 + box.y1)) < 0.1
    assert titles(pictures.predictions(model, x, np.eye(3)[true], names)) == titles(figure)
    assert len(pictures.predictions(model, x, most=3).axes) == 6


def test_predictions_of_logits_of_one_probability_and_of_values(tmp_path: Path) -> None:
    x = RNG.randn(2, 5).astype("float32")
    logits = Sequential([Input((5,)), L.Dense(3, kernel_initializer=keras.initializers.RandomNormal(stddev=5))])
    widths = [bar.get_width() for bar in pictures.predictions(logits, x[0]).axes[1].patches]
    assert np.allclose(widths, torch.softmax(logits(x[:1]), 1).sort(descending=True)[0][0].detach(), atol=1e-5)
    one = Sequential([Input((5,)), L.Dense(1, activation="sigmoid")])
    figure = pictures.predictions(one, x, [1, 0], ["no", "yes"])
    check(figure, tmp_path / "a.png", 4)
    assert sum(bar.get_width() for bar in figure.axes[1].patches) == pytest.approx(1)
    values = Sequential([Input((5,)), L.Dense(1)])
    figure = pictures.predictions(values, x, [3.5, -1.0])
    check(figure, tmp_path / "b.png", 4)
    assert "true: 3.5" in figure.axes[1].get_title()
    assert figure.axes[1].patches[0].get_width() == pytest.approx(values.predict(x, verbose=0)[0, 0], abs=1e-5)


@chinese
def test_predictions_of_texts_in_chinese(tmp_path: Path) -> None:
    texts = L.TextVectorization(max_tokens=20, output_sequence_length=6)
    texts.adapt(["good film", "bad film"])
    model = Sequential([Input((), dtype="string"), texts, L.Embedding(20, 4), L.GlobalAveragePooling1D(), L.Dense(2)])
    figure = pictures.predictions(model, np.array(["good film", "bad $film$"], dtype=object), [0, 1], language="zh")
    panels = check(figure, tmp_path / "a.png", 4)
    assert [axes.texts[0].get_text() for axes in panels[::2]] == ["good film", "bad $film$"]
    wrong = [axes.get_title() for axes in panels[1::2] if "(" in axes.get_title()]
    assert all("真实" in title for title in wrong)


# Generations, packaging ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generation", ["keras1", "keras2", "tf_keras"])
def test_models_of_every_generation(generation: str, tmp_path: Path) -> None:
    space = getattr(keras, generation)
    model = space.models.Sequential()
    if generation == "keras1":
        model.add(space.layers.Convolution2D(4, 3, 3, dim_ordering="th", input_shape=(1, 9, 9), name="conv"))
    else:
        model.add(space.layers.Conv2D(4, 3, data_format="channels_first", input_shape=(1, 9, 9), name="conv"))
    model.add(space.layers.Flatten())
    model.add(space.layers.Dense(3, activation="softmax"))
    x = RNG.rand(2, 1, 9, 9)
    check(pictures.filters(model), tmp_path / "a.png", 4)
    check(pictures.activations(model, x), tmp_path / "a.png", 5)
    check(pictures.saliency(model, x), tmp_path / "a.png", 4)
    check(pictures.predictions(model, x), tmp_path / "a.png", 4)
    overlay = check(pictures.grad_cam(model, x), tmp_path / "a.png", 4)[1].images[1]
    assert overlay.get_array().shape == (7, 7)


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    there = builtins.__import__

    def absent(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return there(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ImportError, match=r"filters: figures are drawn by matplotlib: pip install matplotlib"):
        pictures.filters(convolutional())


def test_nothing_is_imported_before_it_is_used() -> None:
    code = "import sys, lamina.pictures as p; assert 'filters' in dir(p); print('matplotlib' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
    with pytest.raises(AttributeError, match="nope"):
        _ = pictures.nope  # type: ignore[attr-defined]
