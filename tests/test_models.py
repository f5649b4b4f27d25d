"""Models made of layers: what they return, what they may be made of, what they write of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import lamina as keras
from lamina.core import serialize

L = keras.layers


def test_a_list_of_one_output_is_returned_alone(tmp_path) -> None:
    inputs = keras.Input((4,))
    output = L.Dense(3)(inputs)
    model = keras.Model([inputs], [output])
    x = torch.randn(2, 4)
    assert model.output == [output]
    assert (model.input_shape, model.output_shape) == ((None, 4), (None, 3))
    assert model(x).shape == model([x]).shape == (2, 3)
    assert model.get_config()["output_layers"] == [[model.layers[1].name, 0, 0]]
    model.compile("sgd", "mse")
    model.fit(x, torch.ones(2, 3), verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_a_layer_may_stand_twice_in_a_sequential(tmp_path) -> None:
    dense = L.Dense(4)
    model = keras.Sequential([keras.Input((4,)), dense, L.ReLU(), dense])
    x = torch.randn(3, 4)
    torch.testing.assert_close(model(x), dense(torch.relu(dense(x))))
    assert (model.count_params(), len(model.weights), len(model.layers)) == (20, 2, 3)
    for ending in ("keras", "h5"):
        model.save(tmp_path / f"model.{ending}")
        again = keras.models.load_model(tmp_path / f"model.{ending}")
        assert again.layers[0] is again.layers[2]
        torch.testing.assert_close(again(x), model(x))
    model.pop()
    torch.testing.assert_close(model(x), torch.relu(dense(x)))


def test_layers_of_one_name_may_not() -> None:
    with pytest.raises(ValueError, match="named 'a'"):
        keras.Sequential([L.Dense(4, name="a"), L.Dense(4, name="a")])


def test_a_functional_model_may_extend_its_call() -> None:
    class Doubled(keras.Model):
        def call(self, x, training=None):
            return 2 * super().call(x, training=training)

    inputs = keras.Input((4,))
    dense, x = L.Dense(3), torch.randn(2, 4)
    model = Doubled(inputs, dense(inputs))
    torch.testing.assert_close(model(x, training=True), 2 * dense(x))


@pytest.mark.parametrize("mask", [None, lambda inputs, mask: mask])
def test_a_lambda_passes_no_mask_on_but_its_own(mask) -> None:
    inputs = keras.Input((3, 2))
    outputs = L.Lambda(lambda x: x * 2, mask=mask)(L.Masking()(inputs))
    masked = getattr(keras.Model(inputs, outputs)(torch.zeros(1, 3, 2)), "_keras_mask", None)
    assert (masked is None) == (mask is None)


@keras.saving.register_keras_serializable("mine", "loss_of_mine")
def loss_of_mine(y_true, y_pred):
    return (y_true - y_pred).abs().sum(-1)


def test_functions_are_named_in_configs_as_keras_names_them() -> None:
    def form(name: str) -> dict:
        return {"module": "builtins", "class_name": "function", "config": name, "registered_name": "function"}

    for function, name in (
        (keras.losses.categorical_crossentropy, "categorical_crossentropy"),
        (loss_of_mine, "mine>loss_of_mine"),
    ):
        assert serialize.serialize(function) == form(name)
        assert serialize.deserialize(form(name)) is function


def test_a_class_of_ones_own_does_not_replace_keras_class_of_that_name(tmp_path) -> None:
    @keras.saving.register_keras_serializable("other")
    class Dense(L.Layer):
        def call(self, x):
            return x + 1

    try:
        model = keras.Sequential([keras.Input((2,)), L.Dense(2), Dense()])
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        assert [type(layer) for layer in again.layers] == [L.Dense, Dense]
    finally:
        serialize._registered.pop("other>Dense")


def test_masks_count_beside_initial_states_as_each_generation_has_it() -> None:
    x, h = torch.randn(2, 4, 3), torch.randn(2, 5)
    x[:, 2:] = 0
    for space, counts in ((keras, False), (keras.tf_keras, True), (keras.keras2, True)):
        layer = space.layers.GRU(5)
        masked = space.layers.Masking()(x)
        plain, riding = layer(x, initial_state=h), layer(masked, initial_state=h)
        given = layer(x, initial_state=h, mask=x.any(-1))
        torch.testing.assert_close(riding, given if counts else plain)
        assert not torch.allclose(plain, given)
        assert not torch.allclose(layer(masked), layer(x))


def test_a_seed_generator_is_read_from_a_config() -> None:
    layer = L.Dropout(0.5, seed=keras.random.SeedGenerator(7))
    again = L.Dropout.from_config(serialize.serialize(layer)["config"])
    x = torch.ones(4, 8)
    torch.testing.assert_close(again(x, training=True), layer(x, training=True))
