"""Input layers of Keras 1, 2 and tf.keras take part where code walks through `model.layers`."""

from typing import Any

import pytest

from lamina import keras1, keras2, tf_keras

GENERATIONS = pytest.mark.parametrize("keras", [keras1, keras2, tf_keras], ids=["keras1", "keras2", "tf_keras"])


@GENERATIONS
def test_calls(keras: Any) -> None:
    start = keras.layers.Input((4,))
    model = keras.models.Model(start, keras.layers.Dense(3)(start))
    layer, dense = model.layers
    assert [node.outbound_layer for node in layer._inbound_nodes] == [layer]
    assert [list(node.inbound_layers) for node in layer._inbound_nodes] == [[]]
    assert [node.outbound_layer for node in layer._outbound_nodes] == [dense]
    assert layer.trainable_weights == layer.updates == layer.losses == []
    assert tuple(layer.batch_input_shape) == (None, 4)
    assert not layer.stateful


@GENERATIONS
def test_another_shape_is_said_by_configs(keras: Any) -> None:
    start = keras.layers.Input((4,))
    model = keras.models.Model(start, keras.layers.Dense(3)(start))
    model.layers[0].batch_input_shape = (None, 7)
    other = keras.models.model_from_json(model.to_json())
    assert tuple(other.input_shape) == (None, 7)
    assert [array.shape for array in other.get_weights()] == [(7, 3), (3,)]
    assert tuple(model.input_shape) == (None, 4)


@pytest.mark.parametrize("keras", [keras1, keras2], ids=["keras1", "keras2"])
def test_another_shape_of_the_first_layer(keras: Any) -> None:
    model = keras.models.Sequential([keras.layers.Dense(3, input_shape=(2,)), keras.layers.Dense(1)])
    model.layers[0].batch_input_shape = (None, 5)
    other = keras.models.model_from_json(model.to_json())
    assert [array.shape for array in other.get_weights()] == [(5, 3), (3,), (3, 1), (1,)]


@pytest.mark.parametrize(("said", "today"), [("th", "channels_first"), ("tf", "channels_last")])
def test_keras_1_tells_the_order_of_axes_in_its_words(said: str, today: str) -> None:
    layer = keras1.layers.Convolution2D(2, 2, 2, dim_ordering=said)
    assert (layer.dim_ordering, layer.data_format) == (said, today)


def test_keras_1_tells_sizes_along_one_axis_as_numbers() -> None:
    layer = keras1.layers.Convolution1D(2, 3, subsample_length=2)
    pool = keras1.layers.MaxPooling1D(3, stride=2)
    assert (layer.filter_length, layer.subsample_length, pool.pool_length, pool.stride) == (3, 2, 3, 2)


def test_padding_is_copied() -> None:
    layer = keras1.layers.ZeroPadding1D((1, 0))
    copied = type(layer).from_config(layer.config_of_copy())
    assert copied.compute_output_shape((None, 3, 4)) == (None, 4, 4)
