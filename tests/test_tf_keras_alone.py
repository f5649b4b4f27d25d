"""What tf.keras alone has: optimizers.legacy, reductions, metrics of tensors, small models, folders, modules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lamina import tf_keras
from lamina.generations.tensorflow.data import Dataset

legacy: Any = tf_keras.optimizers.legacy


def _stepped(optimizer: Any, gradients: list[float]) -> float:
    weight = torch.nn.Parameter(torch.zeros(1))
    for gradient in gradients:
        optimizer.apply_gradients([(torch.tensor([gradient]), weight)])
    return float(weight.detach())


# After gradients 1 and 2 on a weight of 0, from tf_keras 2.21.
STEPS = {
    "SGD": ({"lr": 0.5, "decay": 1.0}, -0.5 - 1.0 / 2),
    "RMSprop": ({"learning_rate": 0.1, "epsilon": 0.5}, -0.1 / (0.1**0.5 + 0.5) - 0.2 / (0.49**0.5 + 0.5)),
    "Adagrad": ({"learning_rate": 0.1, "epsilon": 0.5}, -0.1 / (1.1**0.5 + 0.5) - 0.2 / (5.1**0.5 + 0.5)),
}


@pytest.mark.parametrize("name", STEPS)
def test_legacy_optimizers_compute_as_theirs(name: str) -> None:
    arguments, expected = STEPS[name]
    assert _stepped(getattr(legacy, name)(**arguments), [1.0, 2.0]) == pytest.approx(expected, rel=1e-5)


def test_legacy_words() -> None:
    adam = legacy.Adam(0.1, 0.8, 0.99, 1e-3, True, clipnorm=1.0)  # `amsgrad` comes fifth
    assert adam.get_config()["amsgrad"] is True and adam.get_config()["clipnorm"] == 1
    for name in ("SGD", "RMSprop", "Adagrad", "Adadelta", "Adam", "Adamax", "Nadam", "Ftrl"):
        config = getattr(legacy, name)(lr=0.5, decay=0.01).get_config()
        again = getattr(legacy, name).from_config(config)
        assert again.get_config() == config and config["learning_rate"] == 0.5 and config["decay"] == 0.01
    assert tf_keras.optimizers.experimental.Adam is tf_keras.optimizers.Adam


def test_reductions() -> None:
    y, p = np.zeros((2, 1), "float32"), np.ones((2, 1), "float32")
    reduction: Any = tf_keras.losses.Reduction
    for told, expected in ((reduction.AUTO, 1), ("auto", 1), (reduction.SUM, 2), (reduction.NONE, [1, 1])):
        loss = tf_keras.losses.MeanSquaredError(told)
        assert loss(y, p).tolist() == expected and isinstance(loss, tf_keras.losses.Loss)

    class Own(tf_keras.losses.Loss):
        def __init__(self):
            super().__init__(reduction="auto", name="own")

        def call(self, y_true, y_pred):
            return (y_true - y_pred) ** 2

    assert float(Own()(y, p)) == 1
    with pytest.raises(ValueError, match="reduction"):
        tf_keras.losses.MeanSquaredError("all")


def test_metrics_of_tensors() -> None:
    mean: Any = tf_keras.metrics.MeanTensor()
    with pytest.raises(ValueError, match="give it a tensor"):
        mean.result()
    mean.update_state([0.0, 1, 2, 3])
    mean.update_state([4.0, 5, 6, 7])
    assert mean.result().tolist() == [2, 3, 4, 5]
    mean.update_state([12.0, 10, 8, 6], sample_weight=[0, 0.2, 0.5, 1])
    np.testing.assert_allclose(mean.result(), [2, 3.6363635, 4.8, 5.3333335], rtol=1e-6)
    with pytest.raises(ValueError, match="shape"):
        mean.update_state([1.0])
    relative: Any = tf_keras.metrics.MeanRelativeError(normalizer=[1, 3, 2, 3])
    relative.update_state([1, 3, 2, 3], [2, 4, 6, 8])
    assert float(relative.result()) == 1.25


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("MeanIoU", (2,), 0.4107143),
        ("BinaryIoU", (), 0.4107143),
        ("IoU", (2, [1]), 0.25),
        ("OneHotIoU", (2, [0]), 0.5714286),
        ("OneHotMeanIoU", (2,), 0.4107143),
    ],
)
def test_overlaps_count_fractions_of_weights(name: str, arguments: tuple, expected: float) -> None:
    metric: Any = getattr(tf_keras.metrics, name)(*arguments)
    y_true, y_pred = np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0])
    if name.startswith("OneHot"):
        y_true, y_pred = np.eye(2)[y_true], np.eye(2)[y_pred]
    metric.update_state(y_true, y_pred, sample_weight=np.array([0.5, 0.25, 0.75, 0.5]))
    assert metric.dtype == "float32"
    np.testing.assert_allclose(metric.result(), expected, rtol=1e-6)  # tf_keras 2.21


@pytest.mark.parametrize(
    ("home", "name", "arguments"),
    [
        ("losses", "CosineSimilarity", {"axis": 0}),
        ("losses", "Huber", {"delta": 3.0}),
        ("metrics", "CosineSimilarity", {"axis": 0}),
    ],
)
def test_configs_have_what_todays_leave_out(home: str, name: str, arguments: dict[str, Any]) -> None:
    made = getattr(getattr(tf_keras, home), name)(**arguments)
    for one in (made, type(made).from_config(made.get_config())):
        assert {key: one.get_config()[key] for key in arguments} == arguments


def test_metrics_start_afresh_by_either_name() -> None:
    class Own(tf_keras.metrics.Mean):
        cleared = 0

        def reset_states(self):
            super().reset_states()
            Own.cleared += 1

    metric: Any = Own()
    for reset in (metric.reset_state, metric.reset_states):
        assert isinstance(metric, tf_keras.metrics.Metric)
        metric.update_state(3.0)
        reset()
        assert float(metric.result()) == 0
    assert Own.cleared == 2


def test_small_models() -> None:
    x = np.ones((4, 3), "float32")
    linear = tf_keras.experimental.LinearModel(units=2, bias_initializer="ones")
    assert linear([x, x[:, :1]]).tolist() == [[1, 1]] * 4
    both = tf_keras.experimental.WideDeepModel(linear, tf_keras.Sequential([tf_keras.layers.Dense(2)]))
    both.compile("sgd", "mse")
    assert both([[x, x[:, :1]], x]).shape == (4, 2)
    with pytest.raises(ValueError, match="fit"):
        tf_keras.estimator.model_to_estimator(both)


def test_folders_are_pipelines(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for place in range(3):
            (tmp_path / name / f"{place}.txt").write_text(f"{name} {place}")
    found: Any = tf_keras.utils.text_dataset_from_directory(tmp_path, batch_size=2, verbose=False)
    assert isinstance(found, Dataset) and found.class_names == ["a", "b"] and len(found) == 3
    texts, labels = next(iter(found.take(1)))
    assert texts.numpy()[0].decode()[0] == "ab"[int(labels[0])]
    assert len(list(found.unbatch().cache().batch(6))) == 1


def test_modules_and_names() -> None:
    assert tf_keras.saving.load_model is tf_keras.models.load_model
    assert tf_keras.mixed_precision.experimental.Policy("mixed_float16").name == "mixed_float16"
    assert tf_keras.layers.experimental.SyncBatchNormalization is tf_keras.layers.BatchNormalization
    assert tf_keras.layers.experimental.preprocessing.Rescaling is tf_keras.layers.Rescaling
    with pytest.warns(UserWarning, match="profiles"):
        tf_keras.callbacks.TensorBoard("logs", profile_batch=2)


def test_weights_and_models_under_tensorflows_names(tmp_path: Path) -> None:
    model = tf_keras.Sequential([tf_keras.layers.Dense(1, input_shape=(3,))])
    model.compile("sgd", "mse")
    saving = tf_keras.callbacks.ModelCheckpoint(str(tmp_path / "cp-{epoch:02d}.ckpt"), save_weights_only=True)
    model.fit(np.ones((4, 3)), np.ones(4), callbacks=[saving], verbose=0)
    assert (tmp_path / "cp-01.ckpt.weights.h5").is_file()
    trained = model.get_weights()
    model.set_weights([w * 0 for w in trained])
    model.load_weights(tmp_path / "cp-01.ckpt").assert_consumed()
    assert np.array_equal(model.get_weights()[0], trained[0])
    model.save(tmp_path / "folder")
    assert np.array_equal(tf_keras.models.load_model(tmp_path / "folder").get_weights()[0], trained[0])


def test_categories_have_the_type_they_are_told() -> None:
    rows: Any = tf_keras.utils.to_categorical(y=[0, 2], num_classes=4, dtype="uint8")
    assert rows.dtype == "uint8" and rows.tolist() == [[1, 0, 0, 0], [0, 0, 1, 0]]
    assert tf_keras.utils.to_categorical([1]).dtype == "float32"


MASK = np.array([[1, 0, 1, 1], [0, 0, 0, 0]], bool)


@pytest.mark.parametrize("robust", [False, True])
def test_a_softmax_of_what_is_all_hidden(robust: bool) -> None:
    """Values of tf_keras 2.21, whose mask lowers by 1e9: float64 still tells the values apart unless it is robust."""
    x = np.array([[1.0, 2.0, 0.0, 3.0], [1.0, 2.0, 0.0, 3.0]])
    plain = np.exp(x[1]) / np.exp(x[1]).sum()
    layers: Any = tf_keras.layers
    for dtype, rest in (("float32", 0.25), ("float64", 0.25 if robust else plain)):
        layer = layers.Softmax(robust_masking=robust, dtype=dtype)
        for mask in (MASK, MASK.astype("float32")):
            found = layer(torch.as_tensor(x), torch.as_tensor(mask))
            np.testing.assert_allclose(found[0], [0.1141952, 0, 0.0420101, 0.8437947], atol=1e-6)
            np.testing.assert_allclose(found[1], np.broadcast_to(rest, 4), atol=1e-6)
        config = layer.get_config()
        assert config.get("robust_masking", False) is robust and ("robust_masking" in config) is robust
        assert layers.Softmax.from_config(config).robust_masking is robust


@pytest.mark.parametrize("rank", [1, 2])
def test_the_kernel_of_a_depthwise_convolution_has_its_long_name(rank: int) -> None:
    layer = getattr(tf_keras.layers, f"DepthwiseConv{rank}D")(3, name="deep")
    layer.build((None, *(8,) * rank, 3))
    assert [weight.name for weight in layer.weights] == ["depthwise_kernel", "bias"]
    assert [weight.path for weight in layer.weights] == ["deep/depthwise_kernel", "deep/bias"]


@pytest.mark.parametrize(
    ("home", "name", "arguments"),
    [
        ("losses", "Huber", {"delta": 2.0}),
        ("losses", "CosineSimilarity", {"axis": 0}),
        ("losses", "BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1, "axis": -1}),
        ("metrics", "CosineSimilarity", {"axis": 0}),
    ],
)
def test_configs_of_losses_and_metrics_hold_their_arguments(home: str, name: str, arguments: dict) -> None:
    cls = getattr(getattr(tf_keras, home), name)
    config = cls(**arguments).get_config()
    assert arguments.items() <= config.items()
    again = cls.from_config({**config, "reduction": "auto", "fn": name.lower()} if home == "losses" else config)
    assert again.get_config() == config


def test_the_divergence_goes_by_its_long_name() -> None:
    assert tf_keras.metrics.KLDivergence().name == "kullback_leibler_divergence"
    assert tf_keras.metrics.KLDivergence("kl").name == "kl" and tf_keras.losses.KLDivergence().name == "kl_divergence"


@pytest.mark.parametrize("name", ["hard_sigmoid", "swish", "relu", "softmax"])
def test_activations_are_serialized_by_name(name: str) -> None:
    activations: Any = tf_keras.activations
    assert activations.serialize(activations.get(name)) == activations.serialize(getattr(activations, name)) == name


def _classifier() -> Any:
    layers: Any = tf_keras.layers
    model: Any = tf_keras.Sequential([layers.Dense(3, "softmax", input_shape=(2,), kernel_initializer="ones")])
    model.compile(tf_keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    return model


def test_weights_of_classes_and_of_samples_multiply() -> None:
    x, y = np.arange(12.0, dtype="float32").reshape(6, 2), np.array([0, 1, 2, 0, 1, 2])
    weights, classes = np.array([1.0, 2, 0, 1, 3, 1]), {0: 1.0, 1: 2.0, 2: 0.5}
    product = weights * np.array([classes[one] for one in y])
    for how in ({}, {"validation_split": 0.4}):  # what is held back is weighed by sample alone
        both, one = _classifier(), _classifier()
        told = both.fit(x, y, 2, sample_weight=weights, class_weight=classes, shuffle=False, verbose=0, **how)
        held = {"validation_data": (x[3:], y[3:], weights[3:])} if how else {}
        kept = slice(3 if how else 6)
        expected = one.fit(x[kept], y[kept], 2, sample_weight=product[kept], shuffle=False, verbose=0, **held)
        assert all(told.history[name] == pytest.approx(values) for name, values in expected.history.items())
        np.testing.assert_allclose(both.get_weights()[0], one.get_weights()[0], rtol=1e-6)
    assert _classifier().train_on_batch(x, y, weights, classes) == pytest.approx(1.0986123 * product.mean())


def test_one_weight_a_sample_for_all_its_steps() -> None:
    # As many steps as samples, where weights would also fit the steps. From tf_keras 2.21.
    random = np.random.RandomState
    x, y = random(1).rand(4, 4, 5).astype("float32"), np.arange(16).reshape(4, 4) % 3
    weights = random(2).rand(4).astype("float32")
    layers: Any = tf_keras.layers
    first = layers.Dense(2, kernel_initializer=tf_keras.initializers.Constant(0.1), input_shape=(4, 5))
    model: Any = tf_keras.Sequential([first, layers.Dense(3, "softmax", kernel_initializer="ones")])
    model.compile("sgd", "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
    found = model.evaluate(x, y, sample_weight=weights, verbose=0)
    np.testing.assert_allclose(found, [0.3974, 0.40055], atol=1e-5)
    loss: Any = tf_keras.losses.MeanSquaredError()
    given = [torch.from_numpy(random(seed).rand(3, 3, 4).astype("float32")) for seed in (1, 2)]
    assert float(loss(*given, sample_weight=random(3).rand(3))) == pytest.approx(0.0704570562)


def test_checkpoints_by_batches_are_counted_by_batches(tmp_path: Any) -> None:
    x, y = np.ones((12, 2), "float32"), np.zeros(12, "int64")
    seen: list[str] = []

    class Told(tf_keras.callbacks.ModelCheckpoint):
        def _save(self, epoch: int, batch: int | None, logs: Any) -> None:
            seen.append(f"{epoch}-{batch}")

    _classifier().fit(x, y, 4, 4, verbose=0, callbacks=[Told(str(tmp_path / "a.keras"), save_freq=2)])
    assert seen == ["0-1", "1-0", "1-2", "2-1", "3-0", "3-2"]


@pytest.mark.parametrize("size", [4, 5])
def test_arrays_go_on_where_an_epoch_of_so_many_steps_ends(size: int) -> None:
    x, y = np.arange(22.0, dtype="float32").reshape(11, 2), np.arange(11) % 3
    epochs, by_hand = _classifier(), _classifier()
    epochs.fit(x, y, size, 2, steps_per_epoch=2, shuffle=False, verbose=0)
    for start in (0, size, 2 * size, 0):
        by_hand.train_on_batch(x[start : start + size], y[start : start + size])
    np.testing.assert_allclose(epochs.get_weights()[0], by_hand.get_weights()[0], rtol=1e-6)
