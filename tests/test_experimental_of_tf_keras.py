"""What tf.keras had under `experimental`, against what tf_keras 2.21 and TensorFlow 1.15 computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lamina import tf_keras as keras


def _drawn(seed: int, *shape: int) -> np.ndarray:
    return np.random.RandomState(seed).randn(*shape).astype("float32")


X, Y = _drawn(1, 8, 3), _drawn(2, 8, 1)


def test_fourier_features() -> None:
    layer: Any = keras.layers.experimental.RandomFourierFeatures(4, scale=2.0, trainable=True)
    layer(X)
    assert [tuple(weight.shape) for weight in layer.weights] == [(1,), (3, 4), (4,)] and len(
        layer.trainable_weights
    ) == 1
    layer.set_weights([np.array([2.0]), _drawn(6, 3, 4), _drawn(7, 4)])
    np.testing.assert_allclose(layer(X).detach()[0], [-0.193, 0.9992, 0.6749, 0.9998], 0, 1e-4)
    config = layer.get_config()
    assert {key: config[key] for key in ("output_dim", "kernel_initializer", "scale")} == {
        "output_dim": 4, "kernel_initializer": "gaussian", "scale": 2.0
    }  # fmt: skip
    again = type(layer).from_config(config)
    again(X)
    again.set_weights(layer.get_weights())
    torch.testing.assert_close(again(X), layer(X))


def test_scales_of_fourier_features() -> None:
    for kernel, scale in (("gaussian", 1.5**0.5), ("laplacian", 1.0), (keras.initializers.RandomNormal(), 1.0)):
        layer = keras.layers.experimental.RandomFourierFeatures(4, kernel)
        layer(X)
        assert layer.kernel_scale.item() == pytest.approx(scale) and not layer.trainable_weights
    with pytest.raises(ValueError, match="'gaussian', 'laplacian' or an initializer; got 'cosine'"):
        keras.layers.experimental.RandomFourierFeatures(4, "cosine")


@pytest.mark.parametrize(
    ("parts", "history", "kernel"),
    [
        (None, {"loss": [5.5748, 1.6758], "mae": [2.0018, 1.0523]}, [0.8877, 0.443, 0.3535, -2.3495]),
        (2, {"loss": [4.9036, 1.3045], "mae": [1.7949, 0.9839]}, [0.8828, 0.6115, 0.3656, -2.3502]),
    ],
)
def test_sharpness_aware_minimization(parts: int | None, history: dict[str, list[float]], kernel: list[float]) -> None:
    inner = keras.Sequential([keras.layers.Dense(4, activation="tanh", input_shape=(3,)), keras.layers.Dense(1)])
    inner.set_weights([_drawn(place + 20, *array.shape) for place, array in enumerate(inner.get_weights())])
    model = keras.models.experimental.SharpnessAwareMinimization(inner, rho=0.1, num_batch_splits=parts)
    model.compile(keras.optimizers.SGD(0.05), "mse", metrics=["mae"])
    found = model.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0).history
    for name, values in history.items():
        np.testing.assert_allclose(found[name], values, 0, 2e-4)
    np.testing.assert_allclose(inner.get_weights()[0].ravel()[:4], kernel, 0, 2e-4)


@pytest.mark.parametrize(
    ("options", "expected"),
    [((), [0.1001, 0.087898, 0.0251, 0.0001, 0.0001]), ((1.0, 0.1, 0.01), [0.111, 0.091451, 0.001, 0.011, 0.011])],
)
def test_linear_cosine_decay(options: tuple[float, ...], expected: list[float]) -> None:
    schedule = keras.experimental.LinearCosineDecay(0.1, 10, *options)
    np.testing.assert_allclose([float(schedule(step)) for step in (0, 1, 5, 10, 50)], expected, 1e-4)


def test_short_names() -> None:
    assert isinstance(keras.initializers.normal(stddev=0.1), keras.initializers.RandomNormal)
    assert keras.losses.cosine_proximity([[1.0, 0.0]], [[2.0, 0.0]]).tolist() == [-1.0]
