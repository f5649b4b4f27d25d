"""A model that is called twice on one symbolic tensor: Keras 1 and 2 computed it once."""

from __future__ import annotations

import numpy as np
import pytest

import lamina
from lamina import keras1, keras2, tf_keras

ONCE = [keras1, keras2]
TWICE = [tf_keras, lamina]


def _model(keras, layer, kind):
    if kind == "sequential":
        given = {"input_shape": (4,)}
        model = keras.models.Sequential()
        model.add(keras.layers.Dense(4, **given))
        model.add(layer)
        return model
    x = keras.layers.Input((4,))
    return keras.models.Model(x, layer(keras.layers.Dense(4)(x)))


def _difference(keras, model):
    x = keras.layers.Input((4,))
    if keras is keras1:
        negative = keras.layers.Lambda(lambda t: -t, output_shape=(4,))(model(x))
        return keras.models.Model(x, keras.layers.merge([model(x), negative], mode="sum"))
    subtract = keras.layers.subtract if keras is not lamina else keras.layers.Subtract()
    return keras.models.Model(x, subtract([model(x), model(x)]))


@pytest.mark.parametrize("kind", ["sequential", "functional"])
@pytest.mark.parametrize(("keras", "once"), [*((one, True) for one in ONCE), *((one, False) for one in TWICE)])
def test_dropout_inside_has_one_mask_where_it_is_computed_once(keras, once, kind):
    whole = _difference(keras, _model(keras, keras.layers.Dropout(0.5), kind))
    whole.train()
    assert bool((whole(np.ones((8, 4), "float32")) == 0).all()) is once


@pytest.mark.parametrize("kind", ["sequential", "functional"])
@pytest.mark.parametrize("keras", ONCE)
def test_moving_means_inside_are_of_one_call(keras, kind):
    model = _model(keras, keras.layers.BatchNormalization(), kind)
    whole, x = _difference(keras, model), np.random.default_rng(1).normal(size=(8, 4)).astype("float32")
    dense = model.layers[0 if kind == "sequential" else 1].get_weights()
    whole.compile("sgd", "mse")
    whole.train_on_batch(x, np.zeros((8, 4), "float32"))
    expected = 0.01 * (x @ dense[0] + dense[1]).mean(0)
    np.testing.assert_allclose(model.layers[-1].get_weights()[2], expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("keras", ONCE)
def test_other_inputs_and_other_orders_of_them_are_calls_of_their_own(keras):
    ends = [keras.layers.Input((4,)) for _ in range(2)]
    joined = keras.layers.merge(ends, mode="concat") if keras is keras1 else keras.layers.concatenate(ends)
    model = keras.models.Model(ends, joined)
    a, b = (keras.layers.Input((4,)) for _ in range(2))
    assert model([a, b]) is model([a, b])
    assert model([a, b]) is not model([b, a])
    whole = keras.models.Model([a, b], [model([a, b]), model([b, a]), model([a, b])])
    x, y = np.zeros((1, 4), "float32"), np.ones((1, 4), "float32")
    found = whole.predict([x, y])
    for values, first, second in zip(found, (x, y, x), (y, x, y), strict=True):
        np.testing.assert_array_equal(values, np.concatenate([first, second], 1))
