"""Every code example of the documents the project began with, in its own generation's words."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import numpy as np
import pytest
import torch

import lamina
from lamina import keras1, keras2, tf_keras


@pytest.fixture
def theano_order() -> Iterator[None]:
    """`image_dim_ordering` "th", under which the documents' pictures are (3, 32, 32)."""
    keras1.backend.set_image_dim_ordering("th")
    yield
    keras1.backend.set_image_dim_ordering("tf")


# Keras 1 ----------------------------------------------------------------------------------------------------------


def test_flatten(theano_order: None) -> None:
    from lamina.keras1.layers.convolutional import Convolution2D
    from lamina.keras1.layers.core import Flatten
    from lamina.keras1.models import Sequential

    model = Sequential()
    model.add(Convolution2D(64, 3, 3, border_mode="same", input_shape=(3, 32, 32)))
    assert model.output_shape == (None, 64, 32, 32)
    model.add(Flatten())
    assert model.output_shape == (None, 65536)
    assert model.count_params() == 3 * 3 * 3 * 64 + 64
    assert model.predict(np.zeros((2, 3, 32, 32), "float32")).shape == (2, 65536)


def test_recurrent_layers() -> None:
    layers = keras1.layers.recurrent
    simple = layers.SimpleRNN(
        3, init="glorot_uniform", inner_init="orthogonal", activation="tanh", W_regularizer=None, U_regularizer=None,
        b_regularizer=None, dropout_W=0.0, dropout_U=0.0,
    )  # fmt: skip
    lstm = layers.LSTM(
        4, init="glorot_uniform", inner_init="orthogonal", forget_bias_init="one", activation="tanh",
        inner_activation="hard_sigmoid", W_regularizer=None, U_regularizer=None, b_regularizer=None, dropout_W=0.0,
        dropout_U=0.0, return_sequences=True, go_backwards=False, stateful=False, unroll=False, consume_less="cpu",
        input_dim=5, input_length=7,
    )  # fmt: skip
    model = keras1.models.Sequential([lstm, simple])
    assert model.layers[0].output_shape == (None, 7, 4)
    assert model.output_shape == (None, 3)
    assert [array.shape for array in lstm.get_weights()] == [(5, 4), (4, 4), (4,)] * 4
    assert np.array_equal(lstm.get_weights()[8], np.ones(4))  # b_f: the forget gate's
    assert simple.count_params() == 4 * 3 + 3 * 3 + 3


def test_the_abstract_recurrent_layer_states_its_arguments() -> None:
    recurrent = keras1.layers.recurrent.LSTM(
        2, weights=None, return_sequences=True, go_backwards=True, stateful=False, unroll=True, consume_less="gpu",
        input_dim=3, input_length=4,
    )  # fmt: skip
    recurrent.build((None, 4, 3))
    assert [array.shape for array in recurrent.get_weights()] == [(3, 8), (2, 8), (8,)]
    assert recurrent.get_config()["consume_less"] == "gpu"


@pytest.mark.parametrize("name", ["GlobalMaxPooling2D", "GlobalAveragePooling2D"])
def test_global_pooling_takes_its_order_from_the_settings(theano_order: None, name: str) -> None:
    layer = getattr(keras1.layers.pooling, name)(dim_ordering="default")
    assert layer(np.zeros((2, 3, 4, 5), "float32")).shape == (2, 3)


def test_layer_from_config_and_nodes() -> None:
    layer = keras1.layers.Dense(3, input_dim=2)
    model = keras1.models.Sequential([layer])
    config = layer.get_config()
    again = keras1.layers.layer_from_config({"class_name": "Dense", "config": config})
    assert again.get_config() == config
    layer.set_weights([np.ones((2, 3)), np.zeros(3)])
    assert np.array_equal(layer.get_weights()[0], np.ones((2, 3)))
    assert layer.input_shape == layer.get_input_shape_at(0) == (None, 2)
    assert layer.output_shape == layer.get_output_shape_at(0) == (None, 3)
    assert model.input is layer.input and model.output is layer.output
    assert layer.get_input_at(0) is layer.input and layer.get_output_at(0) is layer.output


# Keras 2, in the module tree the documents write -------------------------------------------------------------------

_KERNEL = (
    "kernel_initializer='glorot_uniform', bias_initializer='zeros', kernel_regularizer=None, bias_regularizer=None, "
    "activity_regularizer=None, kernel_constraint=None, bias_constraint=None"
)
_SEPARABLE = (
    "depthwise_initializer='glorot_uniform', pointwise_initializer='glorot_uniform', bias_initializer='zeros', "
    "depthwise_regularizer=None, pointwise_regularizer=None, bias_regularizer=None, activity_regularizer=None, "
    "depthwise_constraint=None, pointwise_constraint=None, bias_constraint=None"
)
_LOCAL = f"data_format=None, activation=None, use_bias=True, {_KERNEL}"

# The call as a document writes it, arguments without a default filled in; an input's shape; the output's.
CALLS = [
    (f"core.Dense(units=4, activation=None, use_bias=True, {_KERNEL})", (2, 3), (2, 4)),
    ("core.Activation(activation='relu')", (2, 3), (2, 3)),
    ("core.Dropout(rate=0.5, noise_shape=None, seed=None)", (2, 3), (2, 3)),
    ("core.Flatten()", (2, 3, 4), (2, 12)),
    ("core.Reshape(target_shape=(4, 3))", (2, 12), (2, 4, 3)),
    ("core.Permute(dims=(2, 1))", (2, 10, 64), (2, 64, 10)),
    ("core.RepeatVector(n=3)", (2, 32), (2, 3, 32)),
    ("core.Lambda(function=abs, output_shape=None, mask=None, arguments=None)", (2, 3), (2, 3)),
    ("core.ActivityRegularization(l1=0.0, l2=0.0)", (2, 3), (2, 3)),
    ("core.Masking(mask_value=0.0)", (2, 3, 4), (2, 3, 4)),
    (
        "convolutional.Conv1D(filters=4, kernel_size=3, strides=1, padding='valid', dilation_rate=1, activation=None, "
        f"use_bias=True, {_KERNEL})",
        (2, 10, 3),
        (2, 8, 4),
    ),
    (
        "convolutional.Conv2D(filters=4, kernel_size=3, strides=(1, 1), padding='valid', data_format=None, "
        f"dilation_rate=(1, 1), activation=None, use_bias=True, {_KERNEL})",
        (2, 8, 8, 3),
        (2, 6, 6, 4),
    ),
    (
        "convolutional.SeparableConv2D(filters=4, kernel_size=3, strides=(1, 1), padding='valid', data_format=None, "
        f"depth_multiplier=1, activation=None, use_bias=True, {_SEPARABLE})",
        (2, 8, 8, 3),
        (2, 6, 6, 4),
    ),
    (
        "convolutional.Conv2DTranspose(filters=4, kernel_size=3, strides=(1, 1), padding='valid', data_format=None, "
        f"activation=None, use_bias=True, {_KERNEL})",
        (2, 8, 8, 3),
        (2, 10, 10, 4),
    ),
    (
        "convolutional.Conv3D(filters=4, kernel_size=3, strides=(1, 1, 1), padding='valid', data_format=None, "
        f"dilation_rate=(1, 1, 1), activation=None, use_bias=True, {_KERNEL})",
        (2, 4, 5, 6, 3),
        (2, 2, 3, 4, 4),
    ),
    ("convolutional.Cropping1D(cropping=(1, 1))", (2, 5, 3), (2, 3, 3)),
    ("convolutional.Cropping2D(cropping=((0, 0), (0, 0)), data_format=None)", (2, 5, 6, 3), (2, 5, 6, 3)),
    ("convolutional.Cropping3D(cropping=((1, 1), (1, 1), (1, 1)), data_format=None)", (2, 4, 5, 6, 3), (2, 2, 3, 4, 3)),
    ("convolutional.UpSampling1D(size=2)", (2, 5, 3), (2, 10, 3)),
    ("convolutional.UpSampling2D(size=(2, 2), data_format=None)", (2, 4, 5, 3), (2, 8, 10, 3)),
    ("convolutional.UpSampling3D(size=(2, 2, 2), data_format=None)", (2, 2, 3, 4, 3), (2, 4, 6, 8, 3)),
    ("convolutional.ZeroPadding1D(padding=1)", (2, 5, 3), (2, 7, 3)),
    ("convolutional.ZeroPadding2D(padding=(1, 1), data_format=None)", (2, 5, 6, 3), (2, 7, 8, 3)),
    ("convolutional.ZeroPadding3D(padding=(1, 1, 1), data_format=None)", (2, 2, 3, 4, 3), (2, 4, 5, 6, 3)),
    ("pooling.MaxPooling1D(pool_size=2, strides=None, padding='valid')", (2, 6, 3), (2, 3, 3)),
    (
        "pooling.MaxPooling2D(pool_size=(2, 2), strides=None, padding='valid', data_format=None)",
        (2, 4, 6, 3),
        (2, 2, 3, 3),
    ),
    (
        "pooling.MaxPooling3D(pool_size=(2, 2, 2), strides=None, padding='valid', data_format=None)",
        (2, 4, 6, 8, 3),
        (2, 2, 3, 4, 3),
    ),
    ("pooling.AveragePooling1D(pool_size=2, strides=None, padding='valid')", (2, 6, 3), (2, 3, 3)),
    (
        "pooling.AveragePooling2D(pool_size=(2, 2), strides=None, padding='valid', data_format=None)",
        (2, 4, 6, 3),
        (2, 2, 3, 3),
    ),
    (
        "pooling.AveragePooling3D(pool_size=(2, 2, 2), strides=None, padding='valid', data_format=None)",
        (2, 4, 6, 8, 3),
        (2, 2, 3, 4, 3),
    ),
    ("pooling.GlobalMaxPooling1D()", (2, 6, 3), (2, 3)),
    ("pooling.GlobalAveragePooling1D()", (2, 6, 3), (2, 3)),
    ("pooling.GlobalMaxPooling2D(dim_ordering='default')", (2, 4, 6, 3), (2, 3)),
    ("pooling.GlobalAveragePooling2D(dim_ordering='default')", (2, 4, 6, 3), (2, 3)),
    (f"local.LocallyConnected1D(filters=4, kernel_size=3, strides=1, padding='valid', {_LOCAL})", (2, 7, 3), (2, 5, 4)),
    (
        f"local.LocallyConnected2D(filters=4, kernel_size=3, strides=(1, 1), padding='valid', {_LOCAL})",
        (2, 5, 6, 3),
        (2, 3, 4, 4),
    ),
]


@pytest.mark.parametrize(("call", "given", "expected"), CALLS, ids=[call.split("(")[0] for call, _, _ in CALLS])
def test_a_call_as_written(call: str, given: tuple, expected: tuple) -> None:
    layer = eval(f"keras.layers.{call}", {"keras": keras2})
    assert tuple(layer(np.ones(given, "float32")).shape) == expected
    assert layer.compute_output_shape((None, *given[1:])) == (None, *expected[1:])


def test_locally_connected_parameters() -> None:
    LocallyConnected2D, Sequential = keras2.layers.local.LocallyConnected2D, keras2.models.Sequential
    model = Sequential()
    model.add(LocallyConnected2D(64, (3, 3), input_shape=(32, 32, 3)))
    assert model.output_shape == (None, 30, 30, 64)
    assert model.count_params() == (30 * 30) * (3 * 3 * 3 * 64) + (30 * 30) * 64
    model.add(LocallyConnected2D(32, (3, 3)))
    assert model.output_shape == (None, 28, 28, 32)


def test_reshape() -> None:
    Reshape, model = keras2.layers.Reshape, keras2.models.Sequential()
    model.add(Reshape((3, 4), input_shape=(12,)))
    assert model.output_shape == (None, 3, 4)
    model.add(Reshape((6, 2)))
    assert model.output_shape == (None, 6, 2)
    model.add(Reshape((-1, 2, 2)))
    assert model.output_shape == (None, 3, 2, 2)


def test_permute() -> None:
    model = keras2.models.Sequential()
    model.add(keras2.layers.Permute((2, 1), input_shape=(10, 64)))
    assert model.output_shape == (None, 64, 10)


def test_repeat_vector() -> None:
    model = keras2.models.Sequential()
    model.add(keras2.layers.Dense(32, input_dim=32))
    assert model.output_shape == (None, 32)
    model.add(keras2.layers.RepeatVector(3))
    assert model.output_shape == (None, 3, 32)


@pytest.mark.parametrize("keras", [keras1, keras2, tf_keras], ids=["keras1", "keras2", "tf_keras"])
def test_antirectifier(keras: object) -> None:
    K, Lambda = keras.backend, keras.layers.Lambda

    def antirectifier(x):
        x -= K.mean(x, axis=1, keepdims=True)
        x = K.l2_normalize(x, axis=1)
        pos = K.relu(x)
        neg = K.relu(-x)
        return K.concatenate([pos, neg], axis=1)

    def antirectifier_output_shape(input_shape):
        shape = list(input_shape)
        assert len(shape) == 2  # only valid for 2D tensors
        shape[-1] *= 2
        return tuple(shape)

    model = keras.models.Sequential()
    model.add(Lambda(lambda x: x**2, input_shape=(3,)))
    model.add(Lambda(antirectifier, output_shape=antirectifier_output_shape))
    assert model.output_shape == (None, 6)
    squares = np.array([[1.0, 4.0, 9.0]], "float32")
    centred = squares - squares.mean()
    unit = centred / np.sqrt((centred**2).sum())
    expected = np.concatenate([np.maximum(unit, 0), np.maximum(-unit, 0)], 1)
    np.testing.assert_allclose(model.predict(np.sqrt(squares), verbose=0), expected, atol=1e-6)

    # `x -= ...` leaves what came in alone: a network with it learns, and the caller's array stays as it is.
    given = torch.tensor([[1.0, 2.0, 4.0]], requires_grad=True)
    hidden = torch.relu(given)
    Lambda(antirectifier)(hidden).sum().backward()
    assert hidden.tolist() == [[1.0, 2.0, 4.0]]


# tf.keras and Keras 3 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keras", [tf_keras, lamina], ids=["tf_keras", "keras3"])
def test_embedding(keras: object) -> None:
    model = keras.Sequential()
    model.add(keras.layers.Embedding(1000, 64))
    input_array = np.random.randint(1000, size=(32, 10))
    model.compile("rmsprop", "mse")
    output_array = model.predict(input_array, verbose=0)
    assert output_array.shape == (32, 10, 64)


def test_embedding_with_a_length() -> None:
    model = tf_keras.Sequential()
    model.add(tf_keras.layers.Embedding(1000, 64, input_length=10))
    assert model.output_shape == (None, 10, 64)


def test_embedding_as_keras_3_states_it() -> None:
    names = list(inspect.signature(lamina.layers.Embedding).parameters)
    assert names[:7] == [
        "input_dim", "output_dim", "embeddings_initializer", "embeddings_regularizer", "embeddings_constraint",
        "mask_zero", "weights",
    ]  # fmt: skip
    assert "lora_rank" in names


def test_conv2d_of_keras_3() -> None:
    x = np.random.rand(4, 10, 10, 128)
    y = lamina.layers.Conv2D(32, 3, activation="relu")(x)
    assert tuple(y.shape) == (4, 8, 8, 32)


def test_kinds_of_convolutions() -> None:
    layers, sequence = lamina.layers, np.zeros((1, 16, 3), "float32")
    causal = layers.Conv1D(4, 3, padding="causal", dilation_rate=2)
    assert tuple(causal(sequence).shape) == (1, 16, 4)
    picture = np.zeros((1, 8, 8, 3), "float32")
    assert tuple(layers.DepthwiseConv2D(3)(picture).shape) == (1, 6, 6, 3)
    assert tuple(layers.Conv2D(5, kernel_size=[1, 1])(picture).shape) == (1, 8, 8, 5)
    assert tuple(layers.SeparableConv1D(4, 3)(sequence).shape) == (1, 14, 4)
    assert tuple(layers.Conv1DTranspose(4, 3)(sequence).shape) == (1, 18, 4)
    with pytest.raises(ValueError, match="dilation_rate"):
        layers.Conv2D(4, 3, strides=2, dilation_rate=2)
