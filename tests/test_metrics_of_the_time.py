"""Metrics of Keras 1, 2 and tf.keras by the originals' values."""

from typing import Any

import numpy as np
import pytest
import torch

import lamina
from lamina import keras1, keras2, tf_keras

SCORES = [0.0, 0.1, 0.2, 0.3, 0.4, 0.1, 0.45, 0.5, 0.8, 0.9]
CLASSES = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("name", "asked", "values"),  # for the classes, for these turned round, without positives
    [
        ("SpecificityAtSensitivity", 0.8, (0.4, 0.0, 0.1)),
        ("SpecificityAtSensitivity", 0.4, (1.0, 0.2, 0.1)),
        ("SpecificityAtSensitivity", 1.0, (0.2, 0.0, 0.1)),
        ("SpecificityAtSensitivity", 0.55, (1.0, 0.2, 0.1)),
        ("SensitivityAtSpecificity", 0.8, (0.8, 0.0, 0.0)),
        ("SensitivityAtSpecificity", 0.0, (1.0, 0.8, 0.0)),
        ("SensitivityAtSpecificity", 1.0, (0.8, 0.0, 0.0)),
    ],
)
def test_keras_2_takes_the_nearest_threshold(name: str, asked: float, values: tuple[float, ...]) -> None:
    for classes, expected in zip((CLASSES, CLASSES[::-1], [0] * 10), values, strict=True):
        metric = getattr(keras2.metrics, name)(asked)
        metric.update_state(np.array(classes), np.array(SCORES, np.float32))
        assert float(metric.result()) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["hinge", "squared_hinge", "cosine", "cosine_proximity", "mse", "binary_accuracy"])
@pytest.mark.parametrize("shape", [(6, 7), (6, 3, 4)])
def test_of_keras_1_are_means_over_the_batch(name: str, shape: tuple[int, ...]) -> None:
    draw = np.random.RandomState(0)
    true, given = draw.rand(*shape), draw.rand(*shape)
    value = getattr(keras1.metrics, name)(keras1.backend.variable(true), keras1.backend.variable(given))
    assert tuple(value.shape) == ()
    if name == "hinge" and shape == (6, 7):
        assert float(value.detach()) == pytest.approx(0.7932, abs=1e-4)  # of Keras 1.2.2


@pytest.mark.parametrize("keras", [keras2, tf_keras], ids=["keras2", "tf_keras"])
def test_an_object_in_a_plain_list_measures_each_output_by_itself(keras: object) -> None:
    layers = keras.layers  # type: ignore[attr-defined]
    start = layers.Input((1,))
    ones, zeros = (
        layers.Dense(1, kernel_initializer=first, name=name)(start) for first, name in (("ones", "a"), ("zeros", "b"))
    )
    model = keras.models.Model(start, [ones, zeros])  # type: ignore[attr-defined]
    metrics = keras.metrics  # type: ignore[attr-defined]
    model.compile(
        "sgd",
        "mse",
        metrics=[metrics.MeanSquaredError(name="q"), "mae"],
        weighted_metrics=[metrics.MeanAbsoluteError(name="w")],
    )
    x = np.arange(4.0)[:, None]
    values = model.evaluate(x, [x * 2, x * 3], verbose=0)
    found = {name: float(value) for name, value in zip(model.metrics_names, values, strict=True)}
    expected = {"a_q": 3.5, "a_mae": 1.5, "a_w": 1.5, "b_q": 31.5, "b_mae": 4.5, "b_w": 4.5}
    assert {name: found.get(name) for name in expected} == pytest.approx(expected)


PROBABILITIES = np.array([[1 - 1e-6, 1e-6, 0.3], [1, 0, 0.99999], [1e-9, 0.5, 0.5]], "float32")
LABELS = {"SparseCategoricalCrossentropy": np.array([1, 1, 2.0])}
OF_CLASSES = [  # values of tf_keras 2.21 and Keras 2.3.1, which are the same
    ("BinaryCrossentropy", {}, 8.372724),
    ("BinaryCrossentropy", {"label_smoothing": 0.1}, 8.032375),
    ("CategoricalCrossentropy", {}, 15.669072),
    ("SparseCategoricalCrossentropy", {}, 10.527420),
    ("BinaryFocalCrossentropy", {}, 8.221128),
]


@pytest.mark.parametrize("space", [keras2, tf_keras])
@pytest.mark.parametrize(("name", "options", "expected"), OF_CLASSES)
def test_objects_of_crossentropies_near_certainty(space: Any, name: str, options: dict, expected: float) -> None:
    truth = LABELS.get(name, np.array([[0, 1, 0], [0, 1, 1], [1, 0, 0.0]]))
    loss = getattr(space.losses, name)(**options)
    again = space.losses.deserialize(space.losses.serialize(loss))
    for each in (loss, again):
        assert float(each(torch.tensor(truth), torch.tensor(PROBABILITIES))) == pytest.approx(expected, rel=1e-5)
    assert isinstance(loss, getattr(lamina.losses, name))
    if hasattr(lamina.metrics, name):
        metric = getattr(space.metrics, name)(**options)
        metric.update_state(torch.tensor(truth), torch.tensor(PROBABILITIES))
        assert float(metric.result()) == pytest.approx(expected, rel=1e-5)
