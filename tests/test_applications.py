"""Keras' networks for pictures: each layer, weight and prediction as Keras has them, and what else is promised."""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.applications import CASES, KEPT, SIZE, call_of, described, fill, gain, pictures, recorded, variants

import lamina as keras
from lamina import applications
from lamina.applications import imagenet_utils
from lamina.core.weight import waiting_weights

# What the usual run looks at; the rest is slow.
USUAL = (
    "VGG16", "ResNet50", "ResNet50V2", "DenseNet121", "InceptionV3", "Xception", "MobileNet(alpha=0.25)",
    "MobileNetV2(alpha=0.35)", "MobileNetV3Small", "MobileNetV3Large(minimalistic=True)", "EfficientNetB0",
    "EfficientNetV2B0", "NASNetMobile", "ConvNeXtTiny",
)  # fmt: skip
FAMILIES = {  # by module, one network each
    "densenet": "DenseNet121", "efficientnet": "EfficientNetB0", "efficientnet_v2": "EfficientNetV2B0",
    "inception_resnet_v2": "InceptionResNetV2", "inception_v3": "InceptionV3", "mobilenet": "MobileNet",
    "mobilenet_v2": "MobileNetV2", "mobilenet_v3": "MobileNetV3Small", "nasnet": "NASNetMobile",
    "resnet": "ResNet50", "resnet_v2": "ResNet50V2", "vgg16": "VGG16", "vgg19": "VGG19", "xception": "Xception",
    "convnext": "ConvNeXtTiny",
}  # fmt: skip
CHANNELS_LAST = ("ConvNeXt", "DenseNet", "NASNet")


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cache of its own, no network, and channels last afterwards."""

    def closed(*_: Any, **__: Any) -> None:
        raise OSError("no network here")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("urllib.request.urlopen", closed)
    yield
    keras.config.set_image_data_format("channels_last")


def make(case: str, **options: Any) -> keras.Model:
    name, given = call_of(case)
    return getattr(applications, name)(**{"weights": None, **given, **options})


def filled(case: str, **options: Any) -> keras.Model:
    model = make(case, **options)
    fill(model, gain(case))
    return model


def slow_but(*cases: str) -> list[Any]:
    """All cases, of which the usual run takes these."""
    return [case if case in cases else pytest.param(case, marks=pytest.mark.slow) for case in CASES]


def families_slow_but(*names: str) -> list[Any]:
    return [name if name in names else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES.values()]


# As Keras has them ---------------------------------------------------------------------------------------------------


def differs(ours: Any, theirs: Any, where: str = "") -> str | None:
    """Where the first difference is, and what it is."""
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        pairs = [(f"{where}.{key}", ours[key], theirs[key]) for key in ours]
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        name = ("[{0}]({1})" if ours and isinstance(ours[0], dict) and "name" in ours[0] else "[{0}]").format
        pairs = [
            (where + name(i, x.get("name") if isinstance(x, dict) else ""), x, y)
            for i, (x, y) in enumerate(zip(ours, theirs, strict=True))
        ]
    elif type(ours) is type(theirs) is float and math.isclose(ours, theirs, rel_tol=1e-6):
        return None
    else:
        return None if ours == theirs else f"{where}: {str(ours)[:200]}, of Keras {str(theirs)[:200]}"
    return next(filter(None, (differs(x, y, place) for place, x, y in pairs)), None)


@pytest.mark.parametrize("case", slow_but(*USUAL))
def test_each_layer_and_weight(case: str) -> None:
    """Configs, the order of layers and weights, their names, shapes and counts, all shapes on the way."""
    same_as_recorded(case, "top")


@pytest.mark.parametrize("case", slow_but())
def test_each_layer_and_weight_without_the_top(case: str) -> None:
    same_as_recorded(case, "features")


def same_as_recorded(case: str, kind: str) -> None:
    keras.backend.clear_session()  # names are counted from the start
    with waiting_weights():
        found = described(make(case, **variants(case)[kind][0]))
    theirs = {key: value for key, value in recorded(case)[kind].items() if key in found}
    assert found == theirs, differs(found, theirs)


@pytest.mark.parametrize("case", slow_but(*USUAL))
def test_features(case: str) -> None:
    predicts_as_recorded(case, "features")


@pytest.mark.parametrize("case", slow_but("MobileNet(alpha=0.25)", "MobileNetV3Small"))
def test_predictions(case: str) -> None:
    predicts_as_recorded(case, "top")


def predicts_as_recorded(case: str, kind: str) -> None:
    model = filled(case, **variants(case)[kind][1])
    with torch.no_grad():
        found = model(pictures(SIZE)).numpy()[:, :KEPT]
    expected = np.array(recorded(case)[kind]["outputs"])
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("case", slow_but("MobileNetV2(alpha=0.35)", "MobileNetV3Small", "EfficientNetB0"))
def test_where_published_weights_are(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name, address and sum of the files, with and without the top."""
    asked: list[list[Any]] = []

    class Enough(Exception):
        pass

    def get_file(name: str, origin: str, cache_subdir: str, file_hash: str | None) -> str:
        assert cache_subdir == "models"
        asked.append([name, origin, file_hash])
        raise Enough

    monkeypatch.setattr(applications._network, "get_file", get_file)
    expected = recorded(case)["files"]
    for include_top in (True, False):
        with pytest.raises(Enough if expected else ValueError), waiting_weights():
            make(case, weights="imagenet", include_top=include_top)
    assert asked == expected


# Arguments -----------------------------------------------------------------------------------------------------------

TINY = {"alpha": 0.25, "input_shape": (32, 32, 3)}


@pytest.mark.parametrize("name", families_slow_but("MobileNet", "MobileNetV3Small"))
def test_channels_and_classes(name: str) -> None:
    with waiting_weights():
        places = make(name, include_top=False, input_shape=(96, 107, 4)).output_shape
        model = make(name, classes=7, input_shape=(96, 107, 1), name="mine")
    assert len(places) == 4
    assert (model.input_shape, model.output_shape, model.name) == ((None, 96, 107, 1), (None, 7), "mine")


def test_pooling_takes_the_mean_or_the_largest() -> None:
    options = {**TINY, "include_top": False}
    models = {pooling: filled("MobileNet", **options, pooling=pooling) for pooling in (None, "avg", "max")}
    x = pictures((32, 32, 3), 1)
    places, mean, largest = (models[key].predict(x, verbose=0) for key in (None, "avg", "max"))
    np.testing.assert_allclose(mean, places.mean((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(largest, places.max((1, 2)), rtol=1e-5)


@pytest.mark.parametrize("name", ["MobileNet(alpha=0.25)", "MobileNetV3Small(alpha=0.35)"])
def test_classifier_activation(name: str) -> None:
    outputs = []
    for activation in (None, "softmax", keras.activations.sigmoid):
        model = filled(name, classes=5, input_shape=(32, 32, 3), classifier_activation=activation)
        outputs.append(model.predict(pictures((32, 32, 3)), verbose=0))
    scores, likely, each = outputs
    np.testing.assert_allclose(likely, torch.softmax(torch.tensor(scores), -1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(each, torch.sigmoid(torch.tensor(scores)), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", families_slow_but("MobileNetV2", "ConvNeXtTiny"))
def test_an_input_of_ones_own(name: str) -> None:
    start = keras.Input((200, 200, 4), name="custom")
    with waiting_weights():
        x = keras.layers.Conv2D(3, 2, strides=2)(start)
        model = make(name, include_top=False, input_tensor=x)
    assert model.layers[0].name == "custom" and isinstance(model.layers[1], keras.layers.Conv2D)
    assert model.inputs[0] is start and model.input_shape == (None, 200, 200, 4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pooling": "mean"}, '`pooling` must be None, "avg" or "max"; got \'mean\''),
        ({"weights": "nowhere.h5"}, '`weights` must be None, "imagenet" or the path of a file that is there'),
        ({"weights": "imagenet", "classes": 10}, "`classes` must be 1000"),
        ({"weights": "imagenet", "input_shape": (160, 161, 3)}, "`input_shape` must be (224, 224, 3)"),
        ({"weights": "imagenet", "include_top": False, "input_shape": (64, 64, 1)}, "of 3 channels"),
        ({"weights": "imagenet", "alpha": 0.3}, "`alpha` must be one of"),
        ({"input_shape": (31, 64, 3)}, "`input_shape` must be at least 32x32; got (31, 64, 3)"),
        ({"input_shape": (None, None, 3)}, "of known sizes with the top"),
        ({"input_shape": (64, 3)}, "`input_shape` must be three sizes"),
        ({"wide": 2}, "unexpected keyword argument 'wide'"),
    ],
)
@pytest.mark.parametrize("name", ["MobileNet", "MobileNetV2"])
def test_what_is_refused(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=f"{name}: .*{re.escape(words)}"):
        make(name, **options)


def test_what_only_some_refuse() -> None:
    with pytest.raises(ValueError, match="MobileNetV3Large: `alpha` must be"):
        make("MobileNetV3Large", weights="imagenet", alpha=0.75, minimalistic=True)
    with pytest.raises(ValueError, match=r"input_shape.*that of `input_tensor`"):
        make("MobileNetV2", input_tensor=keras.Input((64, 64, 3)), input_shape=(96, 96, 3))
    with pytest.raises(ValueError, match="at least 75x75"):
        make("InceptionV3", input_shape=(74, 80, 3))
    assert make("MobileNetV3Small", input_shape=(None, None, 3)).output_shape == (None, 1000)  # convolutions to the end


@pytest.mark.parametrize("case", slow_but("MobileNet(alpha=0.25)", "MobileNetV2(alpha=0.35)", "MobileNetV3Small"))
def test_both_orders_of_axes(case: str) -> None:
    """The same weights give the same features."""
    options = {"include_top": False, "pooling": "max"}
    height, width, channels = SIZE
    model = filled(case, **options, input_shape=SIZE)
    keras.config.set_image_data_format("channels_first")
    if case.startswith(CHANNELS_LAST):
        with pytest.raises(ValueError, match='`image_data_format` must be "channels_last"'):
            make(case, **options)
        return
    turned = filled(case, **options, input_shape=(channels, height, width))
    assert turned.input_shape == (None, channels, height, width)
    x = torch.tensor(pictures(SIZE))
    with torch.no_grad():
        found, expected = turned(x.permute(0, 3, 1, 2).contiguous()), model(x)
    assert float((found - expected).abs().max()) < 1e-4 * float(expected.abs().max())


# Files ---------------------------------------------------------------------------------------------------------------


def test_weights_from_a_file(tmp_path: Path) -> None:
    model = filled("MobileNet", **TINY, classes=4)
    x = pictures((32, 32, 3), 1)
    for path in (tmp_path / "mine.weights.h5", tmp_path / "mine.h5"):
        (model.save_weights if ".weights" in path.name else model.save)(path)
        again = make("MobileNet", **TINY, classes=4, weights=path)
        np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    for other in ({"classes": 5}, {"include_top": False}, {"alpha": 0.5, "classes": 4}):
        with pytest.raises(ValueError):
            make("MobileNet", **{**TINY, **other}, weights=str(path))
    with pytest.raises(ValueError, match='`classifier_activation` must be "softmax" or None'):
        make("MobileNet", **TINY, classes=4, weights=path, classifier_activation="relu")


def test_weights_that_are_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of EfficientNets come with a further scale before the first convolution."""
    model = filled("EfficientNetB0", include_top=False)
    model.save(tmp_path / "published.h5")
    monkeypatch.setattr(applications._network, "get_file", lambda *_, **__: str(tmp_path / "published.h5"))
    again = make("EfficientNetB0", weights="imagenet", include_top=False)
    for mine, fetched in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(mine.numpy(), fetched.numpy())
    scales = [layer.scale for layer in again.layers if isinstance(layer, keras.layers.Rescaling)]
    np.testing.assert_allclose(scales[0], 1 / 255)
    np.testing.assert_allclose(scales[1], 1 / np.sqrt(DEVIATIONS))


def test_a_model_in_a_file(tmp_path: Path) -> None:
    model = filled("MobileNetV3Small", minimalistic=True, alpha=0.35, input_shape=(32, 32, 3), classes=3)
    x = pictures((32, 32, 3))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert again.get_config() == model.get_config()
    assert keras.models.model_from_json(model.to_json()).count_params() == model.count_params()


def test_layers_of_convnexts(tmp_path: Path) -> None:
    from lamina.applications.convnext import LayerScale, StochasticDepth

    x = np.random.RandomState(0).uniform(-1, 1, (2000, 3)).astype("float32")
    model = keras.Sequential([keras.Input((3,)), LayerScale(0.5, 3), StochasticDepth(0.25)])
    described = keras.saving.serialize_keras_object(model.layers[0])
    assert (described["module"], described["registered_name"]) == ("keras.src.applications.convnext", "LayerScale")
    assert described["config"]["init_values"] == 0.5 and described["config"]["projection_dim"] == 3
    np.testing.assert_array_equal(model.predict(x, verbose=0), x * 0.5)
    ratio = model(x, training=True).detach().numpy() / (x * 0.5)
    assert (np.ptp(ratio, axis=1) < 1e-5).all()  # samples are dropped as a whole
    assert set(np.round(ratio.ravel(), 4)) == {0, np.float32(1.3333)}
    assert abs((ratio == 0).mean() - 0.25) < 0.05
    model.layers[0].set_weights([np.array([1, 2, 3], "float32")])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    with pytest.raises(ValueError, match="drop_path_rate"):
        StochasticDepth(1.5)


def test_a_config_makes_no_network() -> None:
    """It may name layers of this module, and no function that would fetch weights."""
    config = {"module": "keras.applications", "class_name": "MobileNet", "config": {}, "registered_name": None}
    with pytest.raises((ValueError, TypeError)):
        keras.saving.deserialize_keras_object(config)
    with pytest.raises((ValueError, TypeError)):
        keras.layers.deserialize(config)


@pytest.mark.parametrize("name", ["MobileNet", "EfficientNetV2B0"])
def test_without_a_network(name: str) -> None:
    with pytest.raises(ConnectionError, match=r"storage\.googleapis\.com/tensorflow/keras-applications/"):
        make(name, weights="imagenet", include_top=False)


# Pictures and predictions --------------------------------------------------------------------------------------------

MEANS, DEVIATIONS = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
MODES = {
    "caffe": lambda x: x[..., ::-1] - [103.939, 116.779, 123.68],
    "tf": lambda x: x / 127.5 - 1,
    "torch": lambda x: (x / 255 - MEANS) / DEVIATIONS,
}


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("shape", [(2, 4, 5, 3), (4, 5, 3)])
@pytest.mark.parametrize("mode", MODES)
def test_preprocess_input(mode: str, shape: tuple[int, ...], dtype: str) -> None:
    x = np.random.RandomState(0).randint(0, 256, shape).astype(dtype)
    given, expected = x.copy(), MODES[mode](x.astype("float64"))
    found = imagenet_utils.preprocess_input(x, mode=mode)
    assert isinstance(found, np.ndarray) and found.dtype == ("float32" if dtype == "uint8" else dtype)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(x, given)  # a caller's array stays as it is
    tensor = imagenet_utils.preprocess_input(torch.tensor(x), mode=mode)
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-5, atol=1e-4)
    turned = imagenet_utils.preprocess_input(np.moveaxis(x, -1, -3), "channels_first", mode)
    np.testing.assert_allclose(turned, np.moveaxis(expected, -1, -3), rtol=1e-5, atol=1e-4)
    if len(shape) == 4:
        start = keras.Input(shape[1:], dtype=dtype)
        model = keras.Model(start, imagenet_utils.preprocess_input(start, mode=mode))
        np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-4)


def test_each_module_knows_what_its_networks_expect() -> None:
    x = np.random.RandomState(0).randint(0, 256, (1, 4, 5, 3)).astype("float32")
    modes = {"resnet": "caffe", "vgg16": "caffe", "vgg19": "caffe", "densenet": "torch"}
    as_they_are = ("convnext", "efficientnet", "efficientnet_v2", "mobilenet_v3")
    for name in FAMILIES:
        module = getattr(applications, name)
        expected = x if name in as_they_are else MODES[modes.get(name, "tf")](x)
        np.testing.assert_allclose(module.preprocess_input(x), expected, rtol=1e-5, atol=1e-4, err_msg=name)
        assert module.decode_predictions is imagenet_utils.decode_predictions
        assert [*inspect.signature(module.preprocess_input).parameters] == ["x", "data_format"]


def test_what_preprocess_input_refuses() -> None:
    x = np.zeros((1, 2, 2, 3))
    with pytest.raises(ValueError, match="`mode` must be one of caffe, tf, torch; got 'pil'"):
        imagenet_utils.preprocess_input(x, mode="pil")
    with pytest.raises(ValueError, match="`data_format`"):
        imagenet_utils.preprocess_input(x, data_format="channels")


def test_decode_predictions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = tmp_path / "index.json"
    index.write_text(json.dumps({str(i): [f"n{i:08}", f"class {i}"] for i in range(1000)}))
    monkeypatch.setattr(imagenet_utils, "get_file", lambda *_, **__: str(index))
    imagenet_utils._classes.cache_clear()
    scores = np.random.RandomState(0).permutation(2000).reshape(2, 1000).astype("float32")
    for given in (scores, torch.tensor(scores)):
        found = imagenet_utils.decode_predictions(given, top=3)
        for row, best in zip(scores, found, strict=True):
            places = np.argsort(row)[::-1][:3]
            assert best == [(f"n{i:08}", f"class {i}", row[i]) for i in places]
    assert [len(best) for best in imagenet_utils.decode_predictions(scores)] == [5, 5]
    for shape in ((1000,), (2, 999)):
        with pytest.raises(ValueError, match=r"`preds` must be of shape \(batch, 1000\)"):
            imagenet_utils.decode_predictions(np.zeros(shape))
    imagenet_utils._classes.cache_clear()


# Training ------------------------------------------------------------------------------------------------------------


def test_a_step_of_training_and_a_summary() -> None:
    keras.utils.set_random_seed(0)
    model = make("MobileNet", **TINY, classes=3)
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert f"{model.count_params():,}" in "\n".join(lines)
    before = [weight.numpy() for weight in model.weights]
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(pictures((32, 32, 3), 1), np.array([0, 2]), epochs=1, verbose=0).history
    assert np.isfinite(history["loss"][0])
    assert all((old != new.numpy()).any() for old, new in zip(before, model.weights, strict=True))


def test_transfer_learning() -> None:
    """A frozen base under a head of one's own; then the base is thawed and learns too, its statistics kept."""
    keras.utils.set_random_seed(0)
    base = filled("MobileNet", **TINY, include_top=False)
    base.trainable = False
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(base(x, training=False))
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Dropout(0.2)(x)))
    x, y = pictures((32, 32, 3)), np.array([[0.0], [1.0]])

    def changed(weights: list[Any]) -> list[bool]:
        before = [weight.numpy() for weight in weights]
        model.compile(keras.optimizers.Adam(1e-3), keras.losses.BinaryCrossentropy(from_logits=True))
        model.fit(x, y, epochs=1, verbose=0)
        return [bool((old != new.numpy()).any()) for old, new in zip(before, weights, strict=True)]

    assert len(model.trainable_weights) == 2
    assert not any(changed(base.weights))
    base.trainable = True
    assert len(model.trainable_weights) == 2 + len(base.trainable_weights) > 2
    moving = {id(weight) for weight in base.non_trainable_weights}
    for weight, is_new in zip(base.weights, changed(base.weights), strict=True):
        assert is_new == (id(weight) not in moving), weight.path
