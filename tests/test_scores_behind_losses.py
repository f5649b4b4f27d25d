"""Crossentropies, whoever calls them, find the scores behind a softmax or sigmoid, where tf_keras 2.21 and Keras 2.3.1
do; the numbers are what these computed."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lamina import keras2, tf_keras

layers, losses, K = tf_keras.layers, tf_keras.losses, tf_keras.backend
X = np.float32([[9, 9], [50, -1], [-80, -9], [0.3, 0.2]])
KERNEL = np.float32([[1, 2, -3], [0, 1, 2]])
ONES = np.float32([[0], [0], [1], [1]])
ONE_HOT = np.float32([[1, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]])
CLASSES = np.int32([0, 2, 0, 1])

OF_SIGMOID = (39.119, [34.722, 4.2311])  # the loss and its gradient by the kernel
OF_SOFTMAX = (142.91, [17.774, 14.715, -32.489, 0.016139, 1.9766, -1.9927])
CUT_OFF = 11.641, [-0.028316, -0.018877]  # of probabilities between 1e-7 and 1 - 1e-7


def _dense(activation: Any, units: int, **options: Any) -> Any:
    kernel = "ones" if units == 1 else tf_keras.initializers.Constant(KERNEL)
    return layers.Dense(units, activation=activation, kernel_initializer=kernel, **options)


def _sequential(activation: Any, units: int) -> Any:
    return tf_keras.Sequential([_dense(activation, units, input_shape=(2,))])


def _functional(activation: Any, units: int) -> Any:
    x = tf_keras.Input((2,))
    return tf_keras.Model(x, _dense(activation, units)(x))


def _nested(activation: Any, units: int) -> Any:
    x = tf_keras.Input((2,))
    return tf_keras.Model(x, _sequential(activation, units)(x))


def _own_layer(activation: Any, units: int) -> Any:
    return tf_keras.Sequential([_dense(None, units, input_shape=(2,)), layers.Activation(activation)])


class _Subclassed(tf_keras.Model):
    def __init__(self, activation: Any, units: int):
        super().__init__()
        self.dense = _dense(activation, units)

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)


class _Calling(tf_keras.Model):
    def __init__(self, activation: Any, units: int):
        super().__init__()
        self.dense, self.last = _dense(None, units), tf_keras.activations.get(activation)

    def call(self, inputs: Any) -> Any:
        return self.last(self.dense(inputs))


def _cloned(activation: Any, units: int) -> Any:
    return tf_keras.models.clone_model(_functional(activation, units))


def _copied(activation: Any, units: int) -> Any:
    return copy.deepcopy(_sequential(activation, units))


MADE = (_sequential, _functional, _nested, _own_layer, _Subclassed, _Calling, _cloned, _copied)


def _check(tf: Any, loss: Callable, y: Any, model: Any, expected: Any, then: Callable = lambda p: p) -> None:
    with tf.GradientTape() as tape:
        value = tf.reduce_mean(loss(y, then(model(X))))
    gradient = tape.gradient(value, model.trainable_variables)[0]
    np.testing.assert_allclose(float(value), expected[0], 2e-4)
    np.testing.assert_allclose(gradient.numpy().ravel(), expected[1], 2e-4, 1e-5)


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("named", (True, False))
def test_the_loss_of_a_model_called_by_hand(tf: Any, made: Callable, named: bool) -> None:
    sigmoid, softmax = ("sigmoid", "softmax") if named else (tf_keras.activations.sigmoid, tf_keras.activations.softmax)
    _check(tf, losses.BinaryCrossentropy(), ONES, made(sigmoid, 1), OF_SIGMOID)
    _check(tf, losses.CategoricalCrossentropy(), ONE_HOT, made(softmax, 3), OF_SOFTMAX)
    _check(tf, losses.SparseCategoricalCrossentropy(), CLASSES, made(softmax, 3), OF_SOFTMAX)


@pytest.mark.parametrize(
    "loss",
    [
        losses.binary_crossentropy, K.binary_crossentropy, losses.BinaryCrossentropy(from_logits=True),
        losses.get("binary_crossentropy"), losses.BinaryCrossentropy(reduction="none"),
        lambda y, p: tf_keras.metrics.BinaryCrossentropy()(y, p) + 0 * losses.binary_crossentropy(y, p),
    ],
)  # fmt: skip
def test_each_way_to_ask_for_binary_crossentropy(tf: Any, loss: Callable) -> None:
    value = tf.reduce_mean(loss(ONES, _sequential("sigmoid", 1)(X)))
    np.testing.assert_allclose(float(value), OF_SIGMOID[0], 2e-4)


@pytest.mark.parametrize(
    ("loss", "y", "expected"),
    [
        (losses.categorical_crossentropy, ONE_HOT, OF_SOFTMAX[0]),
        (losses.sparse_categorical_crossentropy, CLASSES, OF_SOFTMAX[0]),
        (K.categorical_crossentropy, ONE_HOT, OF_SOFTMAX[0]),
        (losses.SparseCategoricalCrossentropy(from_logits=True), CLASSES, OF_SOFTMAX[0]),
        (losses.BinaryCrossentropy(), ONE_HOT, 52.642),  # of the scores one by one
    ],
)
def test_each_way_to_ask_behind_a_softmax(tf: Any, loss: Callable, y: Any, expected: float) -> None:
    for last in (_dense("softmax", 3, input_shape=(2,)),), (_dense(None, 3, input_shape=(2,)), layers.Softmax()):
        np.testing.assert_allclose(float(tf.reduce_mean(loss(y, tf_keras.Sequential([*last])(X)))), expected, 2e-4)


def test_focal_loss_takes_its_factor_of_probabilities(tf: Any) -> None:
    _check(tf, losses.BinaryFocalCrossentropy(), ONES, _sequential("sigmoid", 1), (39.017, [34.74, 4.2431]))


@pytest.mark.parametrize(
    "then",
    [lambda p: p[:, :1], lambda p: p[...], lambda p: p * 1.0, lambda p: p.reshape(-1, 1), lambda p: p.clip(0, 1)],
)
def test_what_is_made_of_the_output_sees_probabilities(tf: Any, then: Callable) -> None:
    _check(tf, losses.BinaryCrossentropy(), ONES, _sequential("sigmoid", 1), CUT_OFF, then)


def test_targets_of_fewer_axes_make_another_tensor_of_the_output(tf: Any) -> None:
    _check(tf, losses.BinaryCrossentropy(), ONES[:, 0], _sequential("sigmoid", 1), CUT_OFF)


def test_of_each_output_its_own(tf: Any) -> None:
    x = tf_keras.Input((2,))
    a, b = tf_keras.Model(x, [_dense("sigmoid", 1)(x), _dense("softmax", 3)(x)])(X)
    total = losses.BinaryCrossentropy()(ONES, a) + losses.CategoricalCrossentropy()(ONE_HOT, b)
    np.testing.assert_allclose(float(total), OF_SIGMOID[0] + OF_SOFTMAX[0], 2e-4)


def _own(tf: Any, function: Any) -> Any:
    class Own(tf_keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = _dense(None, 1)

        def call(self, inputs: Any) -> Any:
            return function(self.dense(inputs))

    return Own()


@pytest.mark.parametrize("layer", (True, False))
def test_the_sigmoid_of_tensorflow_tells_within_functions(tf: Any, layer: bool) -> None:
    model = _sequential(tf.nn.sigmoid, 1) if layer else _own(tf, tf.sigmoid)
    value = lambda: losses.BinaryCrossentropy()(ONES, model(X))  # noqa: E731
    np.testing.assert_allclose(float(value()), CUT_OFF[0], 2e-4)
    np.testing.assert_allclose(float(tf.function(value)()), OF_SIGMOID[0], 2e-4)


def test_a_recorded_activation_tells_within_functions(tf: Any) -> None:
    x = tf_keras.Input((2,))
    model = tf_keras.Model(x, tf_keras.activations.sigmoid(_dense(None, 1)(x)))
    assert [layer.name.rstrip("_0123456789") for layer in model.layers][-1] == "tf.math.sigmoid"
    value = lambda: losses.BinaryCrossentropy()(ONES, model(X))  # noqa: E731
    np.testing.assert_allclose(float(value()), CUT_OFF[0], 2e-4)
    np.testing.assert_allclose(float(tf.function(value)()), OF_SIGMOID[0], 2e-4)


STEPPED = [0.65278, 0.95769]  # the kernel after one step of SGD


@pytest.mark.parametrize("keras", (tf_keras, keras2))
@pytest.mark.parametrize("of_backend", (True, False))
def test_losses_that_a_model_adds(keras: Any, of_backend: bool) -> None:
    x, y = keras.layers.Input((2,)), keras.layers.Input((1,))
    p = keras.layers.Dense(1, activation="sigmoid", kernel_initializer="ones")(x)
    model = keras.models.Model([x, y], p)
    loss = keras.backend if of_backend else keras.losses
    model.add_loss(keras.backend.mean(loss.binary_crossentropy(y, p)))
    model.compile("sgd")
    history = model.fit([X, ONES], verbose=0, batch_size=4)
    np.testing.assert_allclose(history.history["loss"][0], OF_SIGMOID[0], 2e-4)
    np.testing.assert_allclose(model.get_weights()[0].ravel(), STEPPED, 2e-4)
    np.testing.assert_allclose(model.evaluate([X, ONES], verbose=0), 26.884, 2e-4)


@pytest.mark.parametrize("keras", (tf_keras, keras2))
@pytest.mark.parametrize("loss", ("categorical_crossentropy", "sparse_categorical_crossentropy"))
def test_losses_that_a_model_adds_behind_a_softmax(keras: Any, loss: str) -> None:
    targets = ONE_HOT if loss.startswith("c") else CLASSES[:, None]
    x, y = keras.layers.Input((2,)), keras.layers.Input(targets.shape[1:])
    p = keras.layers.Dense(3, activation=keras.activations.softmax)(x)
    model = keras.models.Model([x, y], p)
    model.add_loss(keras.backend.mean(getattr(keras.losses, loss)(y, p)))
    model.compile("sgd")
    model.set_weights([KERNEL, np.zeros(3)])
    history = model.fit([X, targets], verbose=0, batch_size=4)
    np.testing.assert_allclose(history.history["loss"][0], OF_SOFTMAX[0], 2e-4)


@pytest.mark.parametrize("keras", (tf_keras, keras2))
def test_losses_that_a_layer_adds(keras: Any) -> None:
    class Endpoint(keras.layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.kernel = self.add_weight(name="kernel", shape=(2, 1), initializer="ones")
            super().build(input_shape)

        def call(self, inputs: Any) -> Any:
            p = keras.backend.sigmoid(keras.backend.dot(inputs[0], self.kernel))
            self.add_loss(keras.backend.mean(keras.backend.binary_crossentropy(inputs[1], p)), inputs=inputs)
            return p

        def compute_output_shape(self, input_shape: Any) -> Any:
            return (None, 1)

    x, y = keras.layers.Input((2,)), keras.layers.Input((1,))
    model = keras.models.Model([x, y], Endpoint()([x, y]))
    model.compile("sgd")
    history = model.fit([X, ONES], verbose=0, batch_size=4)
    np.testing.assert_allclose(history.history["loss"][0], OF_SIGMOID[0], 2e-4)


@pytest.mark.parametrize("keras", (tf_keras, keras2))
@pytest.mark.parametrize("wrapped", (True, False))
def test_fit_knows_a_softmax_given_as_a_function(keras: Any, wrapped: bool) -> None:
    softmax = keras.activations.softmax
    activation = (lambda x: softmax(x)) if wrapped else softmax
    model = keras.models.Sequential([keras.layers.Dense(3, activation=activation, input_shape=(2,))])
    model.compile("sgd", "categorical_crossentropy")
    model.set_weights([KERNEL, np.zeros(3)])
    history = model.fit(X, ONE_HOT, verbose=0, batch_size=4)
    np.testing.assert_allclose(history.history["loss"][0], OF_SOFTMAX[0], 2e-4)


def test_a_step_of_ones_own_within_fit(tf: Any) -> None:
    class Own(tf_keras.Sequential):
        def train_step(self, data: Any) -> Any:
            x, y = data
            with tf.GradientTape() as tape:
                loss = losses.BinaryCrossentropy()(y, self(x, training=True))
            found = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(found, self.trainable_variables, strict=True))
            return {"loss": loss}

    model = Own([_dense("sigmoid", 1, input_shape=(2,))])
    model.compile("sgd")
    history = model.fit(X, ONES, verbose=0, batch_size=4)
    np.testing.assert_allclose(history.history["loss"][0], OF_SIGMOID[0], 2e-4)
    np.testing.assert_allclose(model.get_weights()[0].ravel(), STEPPED, 2e-4)


@pytest.mark.parametrize("keras", (tf_keras, keras2))
def test_they_are_the_activations_of_the_time(keras: Any) -> None:
    for name in ("softmax", "sigmoid"):
        function = getattr(keras.activations, name)
        dense = keras.layers.Dense(2, activation=name)
        assert dense.activation is function is keras.activations.get(name)
        assert function.__name__ == dense.get_config()["activation"] == keras.activations.serialize(function) == name
        assert pickle.loads(pickle.dumps(function)) is copy.deepcopy(function) is function
    cell = keras.layers.LSTM(2, recurrent_activation=keras.activations.sigmoid)  # has a fused kernel of its own
    assert not hasattr(cell.recurrent_activation, "stands_for")
