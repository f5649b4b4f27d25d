"""The functions around layers that code of the older generations calls by hand, by values that NumPy gives as well."""

from __future__ import annotations

import importlib
import itertools
from contextlib import nullcontext
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from lamina import keras1, keras2, tf_keras

EVERY = pytest.mark.parametrize("space", [keras1, keras2, tf_keras], ids=["keras1", "keras2", "tf_keras"])


def draw(*shape: int) -> np.ndarray:
    return np.random.rand(*shape).astype("float32")


def room(space: Any, path: str) -> Any:
    return importlib.import_module(f"{space.__name__}.{path}")


@EVERY
def test_windows_with_kernels_of_their_own(space: Any) -> None:
    K = space.backend
    x, kernel = draw(2, 5, 3), draw(2, 2 * 3, 4)  # two places, 3 apart
    found = K.eval(K.local_conv1d(K.variable(x), K.variable(kernel), (2,), (3,)))
    expected = [x[:, at : at + 2].reshape(2, 6) @ kernel[place] for place, at in enumerate((0, 3))]
    np.testing.assert_allclose(found, np.stack(expected, 1), rtol=1e-5)
    x, kernel = draw(2, 4, 5, 2), draw(3 * 2, 2 * 2 * 2, 3)
    expected = np.stack(
        [x[:, i : i + 2, j : j + 2].reshape(2, 8) @ kernel[2 * i + j // 2] for i in range(3) for j in (0, 2)], 1
    ).reshape(2, 3, 2, 3)
    found = K.local_conv2d(K.variable(x), K.variable(kernel), (2, 2), (1, 2), (3, 2), "channels_last")
    np.testing.assert_allclose(K.eval(found), expected, rtol=1e-5)
    kernel = kernel.reshape(6, 2, 2, 2, 3).transpose(0, 3, 1, 2, 4).reshape(6, 8, 3)
    first = K.local_conv2d(
        K.variable(x.transpose(0, 3, 1, 2)), K.variable(kernel), (2, 2), (1, 2), (3, 2), "channels_first"
    )
    np.testing.assert_allclose(K.eval(first), expected.transpose(0, 3, 1, 2), rtol=1e-5)


@EVERY
def test_arithmetic_of_the_backend(space: Any) -> None:
    K = space.backend
    a, x = draw(2, 3, 4), draw(4, 3, 3, 2)
    of = K.variable(a)
    values = {
        "eye": (K.eye(3), np.eye(3)),
        "identity": (K.identity(of), a),
        "size": (K.size(of), a.size),
        "slice": (K.slice(of, [0, 1, 0], [1, 2, 3]), a[:1, 1:, :3]),
        "elu": (K.elu(of - 0.5, 0.3), np.where(a > 0.5, a - 0.5, 0.3 * np.expm1(a - 0.5))),
        "test": (K.in_test_phase(of, of * 0), a),
    }
    for axes in ((0, 1, 2), (0, 2, 3)):
        kept = [axis for axis in range(4) if axis not in axes]
        scale = np.arange(1, 1 + x.shape[kept[0]], dtype="float32")
        wide = np.expand_dims(scale, axes)
        mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
        found = K.normalize_batch_in_training(K.variable(x), K.variable(scale), K.variable(2 * scale), list(axes), 1e-3)
        values[f"normal {axes}"] = found[0], (x - mean) / np.sqrt(variance + 1e-3) * wide + 2 * wide
        values[f"mean {axes}"] = found[1], mean.ravel()
        sampled = 36 / 35 if space is not keras1 and axes == (0, 1, 2) else 1  # TensorFlow's fused kernel gave that
        values[f"variance {axes}"] = found[2], sampled * variance.ravel()
    box = draw(1, 2, 2, 3, 2)
    sizes = box.repeat(2, 1).repeat(3, 3)
    values["volumes"] = K.resize_volumes(K.variable(box), 2, 1, 3, "channels_last"), sizes
    for name, (found, expected) in values.items():
        np.testing.assert_allclose(K.eval(found), expected, rtol=1e-4, atol=1e-6, err_msg=name)


@EVERY
def test_state_and_kinds_of_tensors(space: Any) -> None:
    K = space.backend
    a, b = K.variable(np.ones((2, 3))), K.variable(np.zeros(4))
    K.batch_set_value([(a, np.full((2, 3), 5.0)), (b, np.arange(4.0))])
    found = K.batch_get_value([a, b])
    assert found[0].tolist() == [[5.0] * 3] * 2 and found[1].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert K.dtype(a) == "float32" and int(K.count_params(a)) == 6
    assert [K.get_uid("helpers"), K.get_uid("helpers")] == [1, 2]
    symbol = space.layers.Input((3,))
    assert K.is_keras_tensor(symbol) and K.is_keras_tensor(space.layers.Dense(2)(symbol))
    with nullcontext() if space is keras1 else pytest.raises(ValueError, match="expected a tensor"):
        assert not K.is_keras_tensor(np.ones(3))  # Keras 1 asks about anything
    if space in (keras1, keras2):  # layers count on by the same numbers
        name = f"dense_{K.get_uid('dense')}"
        assert (
            len({space.layers.Dense(2).name, name, space.layers.Dense(2, name=f"dense_{K.get_uid('dense')}").name}) == 3
        )
    if space is not keras1:
        assert K.is_placeholder(symbol) and not K.is_placeholder(a)
        update = K.moving_average_update(b, np.zeros(4), 0.9)
        if space is keras2:  # it waits for who carries it out
            assert K.get_value(b).tolist() == [0.0, 1.0, 2.0, 3.0]
            K.function([], [], updates=[update])([])
            more = K.function([], [], updates=[K.update_add(a, 1.0)])
            more([]), more([])
            assert K.get_value(a).tolist() == [[7.0] * 3] * 2
        np.testing.assert_allclose(K.get_value(b), 0.9 * np.arange(4), rtol=1e-6)


@pytest.mark.parametrize("space", [keras1, keras2], ids=["keras1", "keras2"])
def test_classes_as_arrays(space: Any) -> None:
    utils = room(space, "utils.np_utils")
    rows = np.array([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1]])
    if space is keras1:
        assert utils.probas_to_classes(rows).tolist() == utils.categorical_probas_to_classes(rows).tolist() == [1, 0]
        assert utils.probas_to_classes(np.array([[0.4], [0.6]])).tolist() == [0, 1]
        assert utils.binary_logloss([0.9, 0.2], [1, 0]) == pytest.approx(-np.log([0.9, 0.8]).mean())
        assert utils.multiclass_logloss(rows, [2, 1]) == pytest.approx(-np.log([0.7, 0.6]).mean())
        assert utils.accuracy([1, 2, 3, 4], [1, 2, 4, 4]) == 0.75
    assert utils.to_ordinal([[0], [2], [1]], 4).tolist() == [[0, 0, 0], [1, 1, 0], [1, 0, 0]]


def test_batches_of_keras_2() -> None:
    training = room(keras2, "engine.training_utils")
    assert list(training.make_batches(10, 4)) == [(0, 4), (4, 8), (8, 10)]
    mixed = training.batch_shuffle(np.arange(10), 3)
    assert sorted(mixed) == list(range(10)) and mixed[-1] == 9  # whole batches, and what is left behind them
    assert all(list(mixed[i : i + 3]) == list(range(mixed[i], mixed[i] + 3)) for i in (0, 3, 6))
    assert training.is_generator_or_sequence(x for x in [1]) and not training.is_generator_or_sequence([1])
    assert training.should_run_validation([1, 3], 2) and not training.should_run_validation([1, 3], 1)
    assert [training.should_run_validation(2, epoch) for epoch in range(3)] == [False, True, False]


def test_scores_and_their_thresholds_in_keras_2() -> None:
    utils, K = room(keras2, "utils.metrics_utils"), keras2.backend
    found = K.eval(utils.filter_top_k(K.variable([[0.1, 0.9, 0.5]]), 2))
    assert found[0, 1:].tolist() == pytest.approx([0.9, 0.5]) and found[0, 0] < -1e9
    assert utils.parse_init_thresholds(None) == [0.5] and utils.parse_init_thresholds((0.1, 0.2)) == [0.1, 0.2]
    with pytest.raises(ValueError, match=r"range \[0, 1\]; got \[1.2\]"):
        utils.assert_thresholds_range([0.5, 1.2])


@EVERY
def test_counts_of_a_model(space: Any) -> None:
    layers = space.layers
    model = space.models.Sequential([layers.Dense(2, input_shape=(3,)), layers.BatchNormalization()])
    utils = room(space, "utils.layer_utils")
    if space is not keras1:
        assert int(utils.count_params(model.weights)) == 16 and int(utils.count_params(model.trainable_weights)) == 12
    if space is keras1:
        assert tuple(map(int, utils.count_total_params(model.layers))) == (12, 4)
        config = {"class_name": "Dense", "config": model.layers[0].get_config()}
        assert utils.layer_from_config(config).output_dim == 2
    (source,) = (room(space, "engine.topology") if space is keras1 else utils).get_source_inputs(model.output)
    assert source is model.inputs[0]


def test_arrays_and_files_of_keras_1_and_2(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    utils = room(keras1, "utils.io_utils")
    utils.save_array(np.arange(6.0).reshape(2, 3), str(tmp_path / "a.h5"))
    assert utils.load_array(str(tmp_path / "a.h5")).tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert utils.HDF5Matrix(str(tmp_path / "a.h5"), "array").size == 6
    given = iter(["what", "y", "n"])
    monkeypatch.setattr("builtins.input", lambda text: next(given))
    assert utils.ask_to_proceed_with_overwrite("a.h5") and not utils.ask_to_proceed_with_overwrite("a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        held = room(keras2, "utils.io_utils").H5Dict(file)
        held["group"]["values"] = np.arange(3)
        assert len(held) == 1 and [*held] == [*held.keys()] == ["group"]


@pytest.mark.parametrize("space", [keras1, keras2, tf_keras], ids=["keras1", "keras2", "tf_keras"])
def test_whitened_pictures_are_uncorrelated(space: Any) -> None:
    x = draw(60, 1, 1, 1) + 0.1 * draw(60, 2, 2, 1)
    maker = space.preprocessing.image.ImageDataGenerator(featurewise_center=True, zca_whitening=True)
    maker.zca_epsilon = 1e-9
    maker.fit(x)
    white = np.stack([maker.standardize(picture.copy()) for picture in x]).reshape(60, 4)
    np.testing.assert_allclose(white.T @ white / 60, np.eye(4), atol=1e-3)


def test_pictures_are_moved_and_listed(tmp_path: Any) -> None:
    image = room(keras1, "preprocessing.image")
    x = draw(1, 4, 4)
    matrix = image.transform_matrix_offset_center(np.diag([1.0, -1.0, 1.0]), 4, 4)
    turned = image.apply_transform(x, matrix)  # about the point 2.5, half a pixel right of the middle, as it was then
    expected = x[:, :, [3, 3, 3, 2]]
    np.testing.assert_array_equal(turned[:, :, 2:], expected[:, :, 2:])
    for name in ("b.png", "c.txt", "d.jpg"):
        (tmp_path / "a").mkdir(exist_ok=True)
        Image.new("L", (2, 2)).save(tmp_path / "a" / name) if name != "c.txt" else (tmp_path / "a" / name).write_text(
            ""
        )
    assert sorted(path[-5:] for path in image.list_pictures(str(tmp_path))) == ["b.png", "d.jpg"]


@pytest.mark.parametrize(
    ("outputs", "endless", "weighted", "class_weight", "losses"),
    [
        (1, False, False, {0: 1.0, 1: 3.0}, [3.1967, 2.9797]),
        (1, True, False, {0: 1.0, 1: 3.0}, [3.1967, 2.9797]),
        (1, True, True, {0: 1.0, 1: 3.0}, [6.3379, 5.1886]),
        (2, True, False, {"o0": {0: 1.0, 1: 3.0}, "o1": {0: 2.0, 1: 1.0}}, [5.6007]),
        (2, False, False, [{0: 1.0, 1: 3.0}, None], [4.8044]),
    ],
)
def test_weights_of_classes_reach_what_datasets_give(
    outputs: int, endless: bool, weighted: bool, class_weight: Any, losses: list[float]
) -> None:
    """Keras 2.3.1 gave these losses."""
    rows, classes = np.sin(np.arange(24.0)).reshape(8, 3), np.eye(2)[[0, 1, 1, 0, 1, 0, 0, 1]]

    class Batches(keras2.utils.Sequence):
        ends = 0

        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> tuple:
            place = slice(4 * index, 4 * index + 4)
            target = [classes[place]] * outputs if outputs > 1 else classes[place]
            return (rows[place], target, *([np.arange(8.0)[place]] if weighted else []))

        def on_epoch_end(self) -> None:
            self.ends += 1

    x = keras2.layers.Input((3,))
    found = [keras2.layers.Dense(2, kernel_initializer="ones", name=f"o{at}")(x) for at in range(outputs)]
    model = keras2.models.Model(x, found)
    model.compile("sgd", "mse")
    batches, options = Batches(), {"epochs": len(losses), "verbose": 0, "class_weight": class_weight, "shuffle": False}
    if endless:
        history = model.fit_generator(itertools.cycle([batches[0], batches[1]]), steps_per_epoch=2, **options)
    else:
        history = model.fit_generator(batches, **options)
        assert batches.ends
    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-4)


@pytest.mark.parametrize(("padding", "size"), [("same", 4), ("valid", 3)])
def test_recurrent_convolutions_of_users(padding: str, size: int) -> None:
    K = keras2.backend

    class Own(keras2.layers.ConvRecurrent2D):
        def build(self, input_shape: Any) -> None:
            shape = (*self.kernel_size, input_shape[-1], self.filters)
            self.states, self.kernel = [None], self.add_weight(shape=shape, initializer="ones", name="kernel")
            self.built = True

        def get_initial_state(self, x: Any) -> list[Any]:
            return [K.conv2d(K.zeros_like(x[:, 0]), self.kernel, padding=self.padding)]

        def step(self, x: Any, states: Any) -> Any:
            h = K.tanh(K.conv2d(x, self.kernel, padding=self.padding) * 0.1 + states[0] * 0.5)
            return h, [h]

    x = keras2.layers.Input((3, 4, 4, 2))
    model = keras2.models.Model(x, (layer := Own(2, 2, padding=padding))(x))
    found = model.predict(np.sin(np.arange(192.0)).reshape(2, 3, 4, 4, 2))
    assert model.output_shape == (None, size, size, 2) and found.shape == (2, size, size, 2)
    if padding == "same":  # as Keras 2.3.1
        np.testing.assert_allclose(found[0, 0, :, 0], [-0.0257, -0.3283, 0.3047, 0.3256], atol=1e-4)
        np.testing.assert_allclose(found[1, 3, :, 1], [0.052, -0.282, 0.1887, 0.2694], atol=1e-4)
    again = Own.from_config(layer.get_config())
    assert (again.filters, again.kernel_size, again.strides, again.padding) == (2, (2, 2), (1, 1), padding)
