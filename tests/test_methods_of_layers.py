"""Methods that layers of Keras have below `call`, and that users' subclasses define: they count, as there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import lamina
from lamina import tf_keras

X = torch.arange(24.0).reshape(2, 3, 4) / 10
FOUR = X.reshape(2, 3, 2, 2)


def _normalized(x: torch.Tensor) -> np.ndarray:
    """With a mean 1 larger, and twice the variance."""
    axes = tuple(range(x.ndim - 1))
    return ((x - x.mean(axes) - 1) / (2 * x.var(axes, correction=0) + 0.001).sqrt()).numpy()


def _shifted(found: Any) -> Any:
    mean, variance = found
    return mean + 1.0, variance * 2.0


class Moments(tf_keras.layers.BatchNormalization):
    def _moments(self, inputs: Any, reduction_axes: Any, keep_dims: Any, mask: Any = None) -> Any:
        return _shifted(super()._moments(inputs, reduction_axes, keep_dims))


class MeanAndVar(tf_keras.layers.BatchNormalization):
    def _calculate_mean_and_var(self, x: Any, axes: Any, keep_dims: Any) -> Any:
        return _shifted(super()._calculate_mean_and_var(x, axes, keep_dims))


class Today(lamina.layers.BatchNormalization):
    def _moments(self, inputs: Any, mask: Any) -> Any:
        return _shifted(super()._moments(inputs, mask))


@pytest.mark.parametrize("cls", [Moments, MeanAndVar, Today])
def test_moments(cls: type) -> None:
    layer: Any = cls()
    np.testing.assert_allclose(layer(X, training=True).detach().numpy(), _normalized(X), 1e-5, 1e-6)
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.01 * (X.mean((0, 1)) + 1), 1e-5)
    np.testing.assert_allclose(layer.moving_variance.numpy(), 0.99 + 0.02 * X.var((0, 1), correction=0), 1e-5)


@pytest.mark.parametrize("cls", [Moments, MeanAndVar])
def test_moments_where_tensorflow_had_a_kernel(cls: type) -> None:
    """Pictures are normalized by that, unless `fused=False` says otherwise."""
    plain = tf_keras.layers.BatchNormalization()(FOUR, training=True)
    np.testing.assert_allclose(cls()(FOUR, training=True).detach(), plain.detach())  # type: ignore[call-arg]
    found: Any = cls(fused=False)(FOUR, training=True)  # type: ignore[call-arg]
    np.testing.assert_allclose(found.detach().numpy(), _normalized(FOUR), 1e-5, 1e-6)


class Fused(tf_keras.layers.LSTMCell):
    def _compute_carry_and_output_fused(self, z: Any, c_tm1: Any) -> Any:
        c, o = super()._compute_carry_and_output_fused(z, c_tm1)
        return c, o * 2.0


class Single(tf_keras.layers.LSTMCell):
    def _compute_carry_and_output(self, x: Any, h_tm1: Any, c_tm1: Any) -> Any:
        c, o = super()._compute_carry_and_output(x, h_tm1, c_tm1)
        return c, o * 2.0


@pytest.mark.parametrize(("cls", "implementation"), [(Fused, 2), (Single, 1), (Fused, 1)])
def test_steps_of_cells(cls: type, implementation: int) -> None:
    """As tf_keras 2.21: an output gate twice as wide open."""
    ones = {"kernel_initializer": "ones", "recurrent_initializer": "ones", "implementation": implementation}
    layer = tf_keras.layers.RNN(cls(2, **ones), return_sequences=True)
    h, c = np.zeros((2, 2)), np.zeros((2, 2))
    sigmoid = lambda value: 1 / (1 + np.exp(-value))  # noqa: E731
    for x in X.numpy().transpose(1, 0, 2):
        z = x.sum(1, keepdims=True) + h.sum(1, keepdims=True)
        c = sigmoid(z + 1) * c + sigmoid(z) * np.tanh(z)
        h = 2 * sigmoid(z) * np.tanh(c)
    np.testing.assert_allclose(layer(X)[:, -1].detach().numpy(), h, 1e-5)


def test_steps_with_dropout() -> None:
    """Masks reach the parts that a method is given."""
    layer = tf_keras.layers.RNN(Single(2, implementation=1, dropout=0.5, recurrent_dropout=0.5))
    assert layer(X, training=True).shape == (2, 2)


class Parts(tf_keras.layers.MultiHeadAttention):
    made: list[Any]

    def _build_from_signature(self, query: Any, value: Any, key: Any = None) -> None:
        self.made = ["signature"]
        super()._build_from_signature(query, value, key)
        self.extra = self.add_weight("extra", shape=(1,), initializer="ones")

    def _build_attention(self, rank: int) -> None:
        super()._build_attention(rank)
        self.made.append(rank)

    def call(self, query: Any, value: Any, **options: Any) -> Any:
        return super().call(query, value, **options) * (self.extra + 1.0)


def test_parts_of_attention() -> None:
    plain, own = tf_keras.layers.MultiHeadAttention(2, 2), Parts(2, 2)
    expected = plain(X, X)
    own(X, X)
    assert own.made == ["signature", 4] and len(own.weights) == len(plain.weights) + 1
    own.set_weights([np.ones(1), *plain.get_weights()])
    np.testing.assert_allclose(own(X, X).detach(), 2 * expected.detach(), 1e-5)
