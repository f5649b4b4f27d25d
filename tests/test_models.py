"""Models made of layers: what they return, what they may be made of, what they write of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pytest
import torch

import lamina as keras
from lamina import keras1, keras2, tf_keras
from lamina.core import serialize
from lamina.core.layer import Layer
from lamina.core.scope import at_most
from lamina.models.graph_config import _Reader


@pytest.mark.parametrize("base", [keras.Model, keras.Sequential])
def test_the_name_of_a_models_layers_is_taken(base: Any) -> None:
    class Own(base):
        def __init__(self) -> None:
            super().__init__()
            self.layers = [keras.layers.Dense(1)]

    with pytest.raises(AttributeError, match="`layers` lists the layers of a model; give yours another name"):
        Own()


def grown(space: Any) -> Any:
    class Grows(space.layers.Layer):
        def call(self, x: Any) -> Any:
            return x * self.add_weight(shape=(3,), initializer="ones", name="w")

    return Grows()


def test_a_call_adds_no_weights() -> None:
    with pytest.raises(ValueError, match="would make another weight in every call; make it in `build`"):
        grown(keras)(np.ones((2, 3), "float32"))
    with pytest.raises(ValueError, match="would make another weight"):
        keras.Sequential([keras.Input((3,)), grown(keras)])
    assert grown(tf_keras)(np.ones((2, 3), "float32")).shape == (2, 3)


@pytest.mark.parametrize("weights", [np.ones((3, 2)), [np.ones((3, 2), "float32")]], ids=["array", "list"])
def test_first_vectors_are_there_at_once(weights: Any) -> None:
    layer = keras.layers.Embedding(3, 2, weights=weights, name="words")
    assert layer.built and [weight.path for weight in layer.weights] == ["words/embeddings"]
    np.testing.assert_array_equal(layer.get_weights()[0], 1)
    with pytest.raises(ValueError, match=r"expected shape \(3, 2\)"):
        keras.layers.Embedding(3, 2, weights=[np.ones((4, 2))])


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


@pytest.mark.parametrize("space", [keras, tf_keras], ids=["keras3", "tf"])
def test_calls_of_a_shared_layer_come_in_the_order_of_keras(space: Any) -> None:
    """What it counts rests on that; the numbers are those of Keras 3.15 and tf_keras 2.21."""
    layers = space.layers
    norm = layers.BatchNormalization(momentum=0.8)
    tower = space.models.Sequential([layers.Dense(2, kernel_initializer="ones"), norm])
    first, second = layers.Input((3,)), layers.Input((3,))
    model = space.models.Model([first, second], [layers.Dense(1)(tower(first)), layers.Dense(1)(tower(second))])
    model.compile(space.optimizers.SGD(0.0), "mse")
    x = np.arange(12.0).reshape(4, 3) / 5
    x[:, 1] *= x[:, 0]
    for mean, variance in [(1.8928, 6.7969), (3.1042, 10.5069)]:
        model.train_on_batch([x, 2 * x], [np.zeros((4, 1))] * 2)
        np.testing.assert_allclose([w[0] for w in norm.get_weights()[2:]], [mean, variance], rtol=1e-4)


@pytest.mark.parametrize("base", [keras.layers.Layer, tf_keras.layers.Layer], ids=["keras3", "tf"])
def test_an_unknown_size_may_be_the_one_beside_it(base: Any) -> None:
    """Layers of graphs take all nodes as one batch: the other axis of the neighbours is as long."""

    class Neighbours(base):
        def call(self, inputs: Any) -> Any:
            return inputs[1] @ inputs[0]

    class First(base):
        def call(self, inputs: Any) -> Any:
            return inputs.squeeze(0)

    features, neighbours = keras.Input((6,)), keras.Input((20,))
    assert Neighbours()([features, neighbours]).shape == (None, 6)
    assert First()(keras.Input((1, 4))[:, 0]).shape in [(4,), (None, 4)]
    pictures = [keras.Input((None, None, 3)), keras.Input((8, 9, 3))]
    difference = keras.layers.Lambda(lambda told: told[0] - told[1])(pictures)
    assert difference.shape == (None, 8, 9, 3)
    x, y = np.random.default_rng(0).random((2, 4, 8, 9, 3)).astype("float32")
    np.testing.assert_array_equal(keras.Model(pictures, difference).predict([x, y], verbose=0), x - y)
    with pytest.raises(ValueError, match="6"):
        keras.layers.Dot(1)([features, neighbours])


@pytest.mark.parametrize("space", [keras, tf_keras, keras2], ids=["keras3", "tf", "keras2"])
def test_layers_that_a_cell_makes_in_its_build_have_weights_at_once(space: Any) -> None:
    class Cell(space.layers.Layer):
        state_size = 4

        def build(self, input_shape: Any) -> None:
            self.kernel = self.add_weight(name="kernel", shape=(input_shape[-1], 4), initializer="ones")
            self.inner = space.layers.Dense(4)
            self.built = True

        def call(self, x: Any, states: Any) -> Any:
            out = x @ self.kernel + self.inner(states[0])
            return out, [out]

    model = space.models.Sequential([space.layers.RNN(Cell(), input_shape=(5, 3)), space.layers.Dense(1)])
    assert sorted(w.shape for w in model.get_weights()) == [(1,), (3, 4), (4,), (4, 1), (4, 4)]


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


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_a_mask_of_steps_goes_along_time_wherever_that_is(data_format: str) -> None:
    x, mask = np.random.default_rng(0).random((2, 5, 3), "float32"), np.arange(5) < np.array([[2], [4]])
    last = data_format == "channels_last"
    layer = L.GlobalAveragePooling1D(data_format=data_format)
    found = layer(x if last else x.transpose(0, 2, 1), mask=mask)
    np.testing.assert_allclose(found, (x * mask[..., None]).sum(1) / mask.sum(1)[:, None], rtol=1e-6)
    with pytest.raises(ValueError, match=r"`mask` passed to .* must have shape \(2, 5\)"):
        layer(x if last else x.transpose(0, 2, 1), mask=mask[:, :3])


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


# Masks and nested models -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2])
def test_masks_pass_through_nested_models(depth: int) -> None:
    layer = L.LSTM(4, return_sequences=True)
    inner = layer
    for _ in range(depth):
        given = keras.Input((5, 8))
        inner = keras.Model(given, inner(given))
    inputs, embedding, last = keras.Input((5,)), L.Embedding(9, 8, mask_zero=True), L.LSTM(3)
    model = keras.Model(inputs, last(inner(embedding(inputs))))
    x = np.array([[1, 2, 0, 0, 0], [3, 0, 1, 0, 0]])
    expected = last(layer(embedding(x)))
    torch.testing.assert_close(model(x), expected)
    torch.testing.assert_close(last(inner(embedding(x))), expected)
    torch.testing.assert_close(keras.Model.from_config(model.get_config())(x).shape, expected.shape)


def test_masks_made_inside_a_nested_model_depend_on_its_input() -> None:
    given = keras.Input((5, 2))
    inner = keras.Model(given, L.Masking()(given))
    inputs, last = keras.Input((5, 2)), L.LSTM(3)
    x = torch.tensor([[[1.0, 2.0], [0.0, 0.0], [3.0, 1.0], [0.0, 0.0], [0.0, 0.0]]])
    outer = keras.Model(inputs, last(inner(L.Masking(9.0)(inputs))))
    torch.testing.assert_close(outer(x), last(L.Masking()(x)))


@pytest.mark.parametrize("space", [keras, keras1, keras2, tf_keras])
def test_a_stack_that_grows_calls_its_layers_once(space) -> None:
    layers = space.layers
    model = space.models.Sequential()
    model.add(layers.Embedding(9, 4, mask_zero=True, **({} if space is keras else {"input_length": 5})))
    if space is keras:
        model.build((None, 5))
    stack = [layers.LSTM(3, return_sequences=True), layers.TimeDistributed(layers.Dense(2)), layers.LSTM(2)]
    for layer in stack:
        model.add(layer)
    model.add(layers.Dense(1))
    middle = space.models.Model(model.input, stack[0].output)
    assert middle.predict(np.ones((2, 5)), verbose=0).shape == (2, 5, 3)
    assert stack[1].output_shape == (None, 5, 2)


# What it takes to make and load a model --------------------------------------------------------------------------


def test_models_that_call_a_model_twice_are_made_once_for_each_level() -> None:
    with mock.patch.object(Layer, "_call_with_care", autospec=True, side_effect=Layer._call_with_care) as calls:
        given = keras.Input((4,))
        model = keras.Model(given, L.Dense(4)(given))
        for _ in range(10):
            given = keras.Input((4,))
            model = keras.Model(given, model(model(given)))
    assert calls.call_count < 60
    assert model(torch.ones(1, 4)).shape == (1, 4)


def test_a_file_may_not_ask_for_more_calls_than_it_describes() -> None:
    given = keras.Input((5, 4))
    model = keras.Model(given, L.LSTM(4, return_sequences=True)(given))
    with pytest.raises(ValueError, match="far more calls"), at_most(1000):
        for _ in range(20):
            given = keras.Input((5, 4))
            model = keras.Model(given, model(model(L.Masking()(given))))


def chain(count: int) -> keras.Model:
    given = x = keras.Input((4,))
    for _ in range(count):
        x = L.ReLU()(x)
    return keras.Model(given, x)


@pytest.mark.parametrize("order", [list, lambda layers: layers[::-1], lambda layers: layers[::2] + layers[1::2]])
def test_layers_of_a_config_stand_in_any_order(order) -> None:
    config = chain(200).get_config()
    config["layers"] = order(config["layers"])
    with mock.patch.object(_Reader, "_arguments", autospec=True, side_effect=_Reader._arguments) as arguments:
        model = keras.Model.from_config(config)
    assert arguments.call_count <= 2 * 200
    torch.testing.assert_close(model(torch.tensor([[-1.0, 2, -3, 4]])), torch.tensor([[0.0, 2, 0, 4]]))


def test_a_shared_layer_called_before_and_after_others_is_read_in_any_order() -> None:
    given, shared = keras.Input((4,), name="in"), L.Dense(4, name="shared")
    x = L.ReLU(name="between")(shared(given))
    config = keras.Model(given, L.Add(name="sum")([shared(x), x])).get_config()
    for layers in (config["layers"], config["layers"][::-1]):
        model = keras.Model.from_config({**config, "layers": layers})
        x = torch.randn(2, 4)
        dense = model.get_layer("shared")
        torch.testing.assert_close(model(x), dense(dense(x).relu()) + dense(x).relu())


def test_loops_in_a_config_are_refused() -> None:
    config = chain(3).get_config()
    for first, second in ((1, 2), (2, 1)):
        node = config["layers"][first]["inbound_nodes"][0]
        node["args"][0]["config"]["keras_history"] = [config["layers"][second]["config"]["name"], 0, 0]
    with pytest.raises(ValueError, match="has loops or lacks layers"):
        keras.Model.from_config(config)


def test_modules_shared_by_many_are_visited_once() -> None:
    model = keras.Sequential([keras.Input((4,)), L.Dense(4)])
    for level in range(40):
        sides = [keras.Sequential([keras.Input((4,)), model], name=f"{side}{level}") for side in "ab"]
        model = keras.Model(given := keras.Input((4,)), L.Add()([side(given) for side in sides]))
        if level == 4:
            expected = model(torch.ones(1, 4))
            assert expected.shape == (1, 4)
    assert len(model.weights) == len(model.trainable_weights) == 2
    model.trainable = False
    assert not model.trainable_weights
    assert not any(weight.requires_grad for weight in model.weights)


def test_one_id_for_two_objects_is_refused() -> None:
    config = [serialize.serialize(L.Dense(units, name="d")) for units in (2, 3)]
    for each in config:
        each["shared_object_id"] = 1
    with serialize.reading_shared(), pytest.raises(ValueError, match="share the id 1"):
        serialize.deserialize(config)
    config[1] = config[0]
    with serialize.reading_shared():
        first, second = serialize.deserialize(config)
    assert first is second


def test_frozen_torch_modules_are_frozen_in_the_models_round_them() -> None:
    linear = torch.nn.Linear(4, 4)
    linear.bias.requires_grad_(False)
    model = keras.Sequential([keras.Input((4,)), L.TorchModuleWrapper(linear)])
    for frozen in (True, False):
        model.layers[0].trainable = not frozen
        assert len(model.trainable_weights) == 1 - frozen
        assert not linear.bias.requires_grad


# What models and calls refuse ------------------------------------------------------------------------------------


def test_models_need_both_ends() -> None:
    given = keras.Input((3,))
    with pytest.raises(TypeError, match=r"Model\(inputs, outputs\)"):
        keras.Model(given)
    with pytest.raises(ValueError, match="`outputs` is empty"):
        keras.Model(given, [])
    with pytest.raises(ValueError, match="`inputs` is empty"):
        keras.Model([], given)


class Forgets(L.Layer):
    def call(self, inputs):
        inputs * 2


class ForgetsAndSaysItsShape(Forgets):
    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.mark.parametrize("cls", [Forgets, ForgetsAndSaysItsShape])
def test_a_call_that_returns_nothing_is_an_error(cls) -> None:
    layer, x = cls(name="forgets"), torch.ones(2, 3)
    for _ in range(2):
        with pytest.raises(ValueError, match=r'"forgets": its call returned nothing'):
            layer(x)
    with pytest.raises(ValueError, match=r'"forgets": its call returned nothing'):
        given = keras.Input((3,))
        keras.Model(given, L.Dense(2)(layer(given)))(x)
    with pytest.raises(ValueError, match=r"Lambda .*: its call returned nothing"):
        L.Lambda(lambda x: None)(keras.Input((3,)))


# NumPy arrays beside symbolic tensors ----------------------------------------------------------------------------

MEAN = np.array([1.0, 2.0, 4.0], "float32")


@pytest.mark.filterwarnings("ignore:__array_wrap__")  # of torch's own tensors, too
@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x - MEAN, lambda x: x - MEAN),
        (lambda x: MEAN - x, lambda x: MEAN - x),
        (lambda x: x / MEAN, lambda x: x / MEAN),
        (lambda x: MEAN**x, lambda x: MEAN**x),
        (lambda x: x @ np.ones((3, 2), "float32"), lambda x: x @ np.ones((3, 2), "float32")),
        (lambda x: x > MEAN, lambda x: x > MEAN),
        (lambda x: MEAN >= x, lambda x: MEAN >= x),
        (lambda x: L.Lambda(lambda y: (y - MEAN) * 2)(x), lambda x: (x - MEAN) * 2),
    ],
)
def test_arrays_are_operands(function, expected) -> None:
    given, x = keras.Input((5, 3)), np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    outputs = function(given)
    found = keras.Model(given, outputs).predict(x, verbose=0)
    np.testing.assert_allclose(found, expected(x), rtol=1e-6)
    assert found.shape[1:] == outputs.shape[1:]


def test_numpys_functions_are_operations() -> None:
    x = keras.Input((3,))
    found = keras.Model(x, np.sin(x) + np.maximum(np.ones(3, "float32"), x))(torch.zeros(2, 3))
    torch.testing.assert_close(found, torch.ones(2, 3))


def test_one_tensor_cannot_be_two_inputs():
    first = keras.Input((3,), name="first")
    with pytest.raises(ValueError, match="input 'first' is given 2 times"):
        keras.Model([first, first], keras.layers.Dense(2)(first))


def test_class_weights_are_of_class_numbers():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="`class_weight` goes from class numbers to weights; got 'a': 1"):
        model.fit(np.ones((2, 3)), np.ones((2, 1)), class_weight={"a": 1}, verbose=0)


def test_types_that_keywords_give_are_policies_in_configs():
    """As Keras 3.15 writes them, for its own layers and those of users."""

    class Doubled(Layer):
        def __init__(self, factor=2, **kwargs):
            super().__init__(**kwargs)

    policy = keras.layers.Dense(2, dtype="float16").get_config()["dtype"]
    assert policy["class_name"] == "DTypePolicy"
    for kind in (keras.layers.Add, keras.layers.Identity, Doubled):
        config = kind(dtype="float16").get_config()
        assert config["dtype"] == policy
        assert kind.from_config(config).dtype_policy.name == "float16"


def test_what_was_computed_from_weights_outside_is_a_constant() -> None:
    positions = L.Embedding(3, 4)
    x = keras.Input((3, 4))
    outside = positions(np.arange(3))
    outputs = L.Dense(1)(L.Flatten()(L.Add()([x, keras.ops.expand_dims(outside, 0)]) * outside))
    model = keras.Model(x, outputs)
    model.compile("sgd", "mse")
    before = positions.get_weights()[0]
    x_new = np.ones((4, 3, 4), "float32")
    losses = model.fit(x_new, np.ones((4, 1)), epochs=3, verbose=0).history["loss"]
    assert losses == sorted(losses, reverse=True)
    np.testing.assert_array_equal(positions.get_weights()[0], before)


@pytest.mark.parametrize(
    "sizes",
    [
        lambda n: keras.ops.concatenate([keras.ops.expand_dims(n, -1), keras.ops.convert_to_tensor([1, 1])], 0),
        lambda n: keras.ops.full((3,), 1) * keras.ops.stack([n, 1, 1]),
        lambda n: keras.ops.arange(3) * 0 + keras.ops.concatenate([keras.ops.ones((1,), "int32") * n, [1, 1]]),
        lambda n: keras.ops.zeros((3,), "int32") + keras.ops.stack([n, 1, 1]),
    ],
)
def test_numbers_made_of_sizes_are_known_while_shapes_are_found(sizes: Any) -> None:
    class Mask(L.Layer):
        def call(self, x: Any) -> Any:
            batch, steps = keras.ops.shape(x)[:2]
            row = keras.ops.arange(steps)
            return keras.ops.tile((row[:, None] >= row)[None], sizes(batch))

    x = keras.Input((5, 2))
    model = keras.Model(x, Mask()(x))
    assert model.output_shape == (None, 5, 5)
    assert model(np.zeros((3, 5, 2))).shape == (3, 5, 5)


@pytest.mark.parametrize("space", [keras, tf_keras], ids=lambda space: space.__name__)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_a_convolution_of_ones_own_between_bias_and_activation(space: Any, data_format: str) -> None:
    class Doubled(space.layers.Conv2D):
        def convolution_op(self, inputs: Any, kernel: Any) -> Any:
            return super().convolution_op(inputs, kernel * 2) + 1

    class Called(space.layers.Conv2D):
        def call(self, inputs: Any) -> Any:
            return self.convolution_op(inputs, self.kernel * 2)

    x = torch.rand(2, 6, 6, 6)
    options = {"strides": 2, "padding": "same", "data_format": data_format}
    plain, own = space.layers.Conv2D(4, 3, **options), Doubled(4, 3, activation="relu", **options)
    alone = Called(4, 3, **options)
    expected = plain(x)
    for layer in (own, alone):
        layer.build((None, 6, 6, 6))
        layer.set_weights([plain.get_weights()[0], np.arange(4.0) - 2])
    bias = torch.arange(4.0) - 2
    bias = bias if data_format == "channels_last" else bias[:, None, None]
    torch.testing.assert_close(own(x), torch.relu(expected * 2 + 1 + bias))
    torch.testing.assert_close(alone(x), expected * 2)
    symbol = space.Input((6, 6, 6))
    model = space.Model(symbol, own(symbol))
    torch.testing.assert_close(torch.as_tensor(model.predict(x.numpy(), verbose=0)), own(x).detach())


@pytest.mark.parametrize("home", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_layers_of_outputs_by_name_stand_in_the_order_of_the_names(home: Any) -> None:
    """As recorded of Keras 3.15 and tf_keras 2.21: the order of weights in files rests on it."""
    inputs = home.Input((6,), name="i")
    model = home.Model(inputs, {name: home.layers.Dense(3, name=name)(inputs) for name in ("reg", "cls")})
    assert [layer.name for layer in model.layers] == ["i", "cls", "reg"]


@pytest.mark.parametrize(("home", "order"), [(keras, "qkv"), (tf_keras, "qvk")], ids=["keras", "tf_keras"])
def test_layers_that_reach_another_by_keyword_stand_in_the_order_of_the_generation(home: Any, order: str) -> None:
    """As recorded of Keras 3.15, which sorts keywords, and tf_keras 2.21, which takes them as they are given."""
    inputs = home.Input((4, 3))
    q, v, k = (home.layers.Dense(3, name=name)(inputs) for name in "qvk")
    outputs = home.layers.MultiHeadAttention(1, 2)(q, value=v, key=k)
    model = home.Model(inputs, outputs)
    assert "".join(layer.name for layer in model.layers[1:-1]) == order


@pytest.mark.parametrize("home", [keras, tf_keras], ids=["keras", "tf_keras"])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"loss": ["mse", "mae"]}, {"cls_loss": 25.0, "reg_loss": 2.0, "loss": 27.0}),
        ({"loss": "mse", "metrics": [["mae"], ["mse"]]}, {"cls_mae": 5.0, "reg_mse": 4.0, "loss": 29.0}),
        ({"loss": ["mse", "mse"], "loss_weights": [1, 10]}, {"cls_loss": 25.0, "reg_loss": 4.0, "loss": 65.0}),
    ],
    ids=["loss", "metrics", "loss_weights"],
)
def test_lists_go_to_outputs_by_name_in_the_order_of_the_names(home: Any, given: Any, expected: Any) -> None:
    """As recorded of Keras 3.15 and tf_keras 2.21, whose outputs were called after their layers."""
    inputs = home.Input((3,))
    zeros = {"kernel_initializer": "zeros"}
    outputs = {
        "reg": home.layers.Dense(2, name="reg", bias_initializer="ones", **zeros)(inputs),
        "cls": home.layers.Dense(2, name="cls", **zeros)(inputs),
    }
    model = home.Model(inputs, outputs)
    model.compile("sgd", **given)
    targets = {"reg": np.full((4, 2), 3.0, "float32"), "cls": np.full((4, 2), 5.0, "float32")}
    found = model.evaluate(np.ones((4, 3), "float32"), targets, verbose=0, return_dict=True)
    assert {key: found[key] for key in expected} == expected


class _Named(Layer):
    def __init__(self, units: int, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.units = units

    def call(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.units


@pytest.mark.parametrize(
    "make", [keras.layers.Add, keras.layers.Multiply, partial(_Named, 2), partial(keras.layers.Dense, 3)]
)
def test_a_layer_that_was_renamed_is_so_in_its_config(make: Any) -> None:
    for layer in (make(name="first"), make()):
        layer.name = "second"
        assert layer.get_config()["name"] == "second"
        assert type(layer).from_config(layer.get_config()).name == "second"


def test_others_ask_for_the_layers_inside_by_a_name_of_keras() -> None:
    inner = keras.Sequential([L.Dense(3)])
    model = keras.Sequential([keras.Input((4,)), L.Dense(2), inner])
    first = model.layers[0]
    assert model._flatten_layers() == [model, first, inner, *inner.layers]
    assert model._flatten_layers(include_self=False) == [first, inner, *inner.layers]
    assert model._flatten_layers(recursive=False, include_self=False) == [first, inner]


def test_a_class_of_a_module_under_the_name_of_keras_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("keras.src.layers.core.own_test")
    module.Own = type("Own", (L.Dense,), {"__module__": module.__name__})  # type: ignore[attr-defined]
    config = keras.saving.serialize_keras_object(module.Own(2))  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="Unknown class"):
        keras.saving.deserialize_keras_object(config)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert type(keras.saving.deserialize_keras_object(config)) is module.Own  # type: ignore[attr-defined]


def test_own_layers_open_their_tracker_to_add_weights_when_built() -> None:
    class Grown(L.Dense):
        def grow(self) -> None:
            self._tracker.unlock()
            self.more = self.add_weight((2,), "zeros", name="more")
            self._tracker.lock()

    layer = Grown(3)
    layer(np.ones((2, 4), "float32"))
    layer.grow()
    assert [weight.name for weight in layer.trainable_weights] == ["kernel", "bias", "more"]


def test_a_functional_subclass_comes_back_with_arguments_of_its_own(tmp_path: Any) -> None:
    class Own(keras.Model):
        def __init__(self, *args: Any, param: int = 1, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.param = param

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "param": self.param}

    inputs = keras.Input((3,))
    model = Own(inputs=inputs, outputs=L.Dense(5)(inputs), param=3)
    assert Own.from_config(model.get_config()).param == 3
    model.save(tmp_path / "own.keras")
    assert keras.models.load_model(tmp_path / "own.keras", custom_objects={"Own": Own}).param == 3
    assert keras.models.clone_model(model).get_config()["layers"]


HELD: dict[str, Any] = {
    "tuples": lambda one, two: ((one,), (two,)),
    "lists in a tuple": lambda one, two: ([one], [two]),
    "a dictionary in a tuple": lambda one, two: ({"a": one}, two),
    "gaps in a list": lambda one, two: fill([None, None], one, two),
    "gaps in a dictionary": lambda one, two: fill({0: None, 1: None}, one, two),
    "empty lists in a tuple": lambda one, two: ([], []),
}


def fill(into: Any, *layers: Any) -> Any:
    return into, layers


@pytest.mark.parametrize("kind", HELD)
def test_layers_in_containers_of_containers_are_trained_and_saved(kind: str, tmp_path: Any) -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            made = L.Dense(3), L.Dense(3)
            self.own = made_of = HELD[kind](*made)
            if kind.startswith("gaps"):
                self.own = into = made_of[0]
                into[0], into[1] = made
            elif kind.startswith("empty"):
                for each, layer in zip(made_of, made, strict=True):
                    each.append(layer)
            self.__dict__["order"] = made

        def call(self, x: Any) -> Any:
            return self.order[1](self.order[0](x))

    x = np.ones((2, 4), "float32")
    model, other = Own(), Own()
    expected = model(x)
    other(x)
    assert len(model.trainable_weights) == 4
    model.save_weights(tmp_path / "own.weights.h5")
    other.load_weights(tmp_path / "own.weights.h5")
    assert torch.equal(other(x), expected)


def test_registered_functions_come_back_by_their_bare_name_as_keras_3_6_wrote_it() -> None:
    @keras.saving.register_keras_serializable(package="bare")
    def squared_by_name(x: Any) -> Any:
        return x**2

    bare = {"module": "builtins", "class_name": "function", "config": "squared_by_name", "registered_name": "function"}
    for config in (bare, {**bare, "config": "bare>squared_by_name"}):
        assert keras.saving.deserialize_keras_object(config) is squared_by_name

    @keras.saving.register_keras_serializable(package="other", name="squared_by_name")
    def another(x: Any) -> Any:
        return x

    with pytest.raises(TypeError, match="Unknown class or function 'squared_by_name'"):
        keras.saving.deserialize_keras_object(bare)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor], ids=["array", "tensor"])
@pytest.mark.parametrize(
    "apply",
    [
        lambda x, of: keras.layers.Add()([x, of(np.ones((1, 4, 6)))]),
        lambda x, of: keras.layers.Concatenate(-1)([of(np.ones((1, 4, 6), "float32")), x]),
        lambda x, of: keras.layers.Dot(2)([x, of(np.ones((1, 4, 6), "float32"))]),
        lambda x, of: keras.layers.Attention()([x, of(np.ones((1, 4, 6), "float32"))]),
        lambda x, of: keras.layers.Attention()([x, x], mask=[of(np.array([[True, True, False, True]]))] * 2),
        lambda x, of: keras.layers.MultiHeadAttention(2, 3, seed=1)(x, x, attention_mask=of(np.tri(4, dtype=bool))),
        lambda x, of: keras.layers.Softmax()(x, mask=of(np.tri(4, 6, dtype=bool))),
        lambda x, of: keras.layers.GlobalAveragePooling1D()(x, mask=of(np.array([[True, False, True, True]]))),
        lambda x, of: keras.layers.LSTM(3, seed=2)(x, mask=of(np.array([[True, False, True, True]]))),
        lambda x, of: keras.layers.LSTM(3, seed=2)(x, initial_state=[of(np.ones((1, 3), "float32"))] * 2),
        lambda x, of: keras.layers.Lambda(lambda both: both[0] * both[1])([x, of(np.ones((1, 4, 6), "float32"))]),
    ],
)
def test_constants_beside_symbols_are_those_of_a_call_on_values(apply, kind):
    values = torch.rand(1, 4, 6)
    symbol = keras.Input((4, 6))
    keras.utils.set_random_seed(3)
    expected = apply(values, kind)
    keras.utils.set_random_seed(3)
    model = keras.Model(symbol, apply(symbol, kind))
    model.set_weights([np.full(weight.shape, 0.1, "float32") for weight in model.weights])
    found = model(values)
    assert found.shape == expected.shape and found.dtype == expected.dtype
    if not model.weights:
        torch.testing.assert_close(found, expected)
    np.testing.assert_allclose(model.predict(values.numpy(), verbose=0), found.detach(), rtol=1e-5, atol=1e-6)


def test_a_constant_mask_goes_on_to_what_comes_behind():
    mask = np.array([[True, True, False, False]])
    symbol = keras.Input((4, 6))
    first = keras.layers.LSTM(3, return_sequences=True)
    behind = keras.layers.GlobalAveragePooling1D()
    model = keras.Model(symbol, [behind(first(symbol, mask=mask)), first.output])
    values = torch.rand(1, 4, 6)
    mean, steps = model(values)
    torch.testing.assert_close(mean, steps[:, :2].mean(1))
    assert steps._keras_mask.tolist() == mask.tolist()


def test_constants_are_where_the_inputs_are():
    """A device without values stands for any other."""
    symbol = keras.Input((4, 6))
    masked = keras.layers.Softmax()(symbol, mask=np.tri(4, 6, dtype=bool))
    steps = keras.layers.LSTM(2, return_sequences=True)(symbol, mask=torch.ones(1, 4, dtype=torch.bool))
    sums = keras.layers.Add()([symbol * torch.ones(4, 1), np.ones((1, 4, 6))])
    model = keras.Model(symbol, [masked, steps, sums])
    here = model(torch.rand(1, 4, 6))
    model.to("meta")
    found = model(torch.empty(1, 4, 6, device="meta"))
    assert [each.device.type for each in found] == ["meta"] * 3
    assert [each.shape for each in found] == [each.shape for each in here]
    compiled = torch.compile(keras.Model(symbol, sums), backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(torch.ones(1, 4, 6)), torch.full((1, 4, 6), 2.0))


def test_a_layer_called_twice_has_the_ends_of_its_first_call() -> None:
    """As Keras 3 documents `input` and `output`; older generations call that ambiguous."""
    first, second = keras.Input((4,)), keras.Input((4,))
    shared = keras.layers.Dense(4)
    outputs = shared(first), shared(second)
    assert shared.input is first
    assert shared.output is outputs[0]
    assert shared.get_output_at(1) is outputs[1]


@pytest.mark.parametrize("begin", [(), (keras.Input((4,)),)], ids=["unbuilt", "built"])
def test_a_sequential_model_inside_another_one_ends_there(begin: tuple) -> None:
    """Its `input` and `output` are those of the call, so that a model can be cut behind it; `inputs` its own."""
    inner = keras.Sequential([*begin, keras.layers.Dense(3), keras.layers.Dense(2)])
    if begin:
        assert inner.output is inner.outputs[0]
    x = keras.Input((4,))
    y = inner(x)
    assert (inner.input, inner.output) == (x, y)
    assert inner.inputs[0] is not x
    assert inner.outputs[0] is not y
    assert inner.output_shape == (None, 2)
    model = keras.Model(x, keras.layers.Dense(5)(y))
    assert keras.Model(model.input, inner.output).predict(np.ones((3, 4)), verbose=0).shape == (3, 2)


def test_operators_are_named_as_keras_names_them() -> None:
    """Layers of these names count on from there."""
    keras.backend.clear_session()
    x = keras.Input((4,))
    operators = [
        x * 2,
        x - 1,
        x**2,
        -x,
        abs(x),
        x % 2,
        x > 1,
        x >= 1,
        x < 1,
        x <= 1,
        x != 1,
        x + 1,
        x / 2,
        x // 2,
        x[:, :2],
    ]
    names = [keras.Model(x, y).get_config()["layers"][1]["name"] for y in operators]
    assert names == [
        *("multiply", "subtract", "power", "negative", "absolute", "mod", "greater", "greater_equal", "less"),
        *("less_equal", "not_equal", "add", "true_divide", "floor_divide", "get_item"),
    ]
    assert [layer().name for layer in (keras.layers.Multiply, keras.layers.Subtract, keras.layers.Add)] == [
        "multiply_1",
        "subtract_1",
        "add_1",
    ]


def test_a_layer_with_its_own_compute_mask_supports_masking() -> None:
    class Own(keras.layers.Layer):
        def compute_mask(self, inputs: Any, mask: Any = None) -> None:
            return None

    class Neither(keras.layers.Layer):
        pass

    class Told(Own):
        supports_masking = False

    assert [each().supports_masking for each in (Own, Neither, Told)] == [True, False, False]


@pytest.mark.parametrize("space", [keras, tf_keras], ids=["keras3", "tf_keras"])
def test_own_layers_take_texts_for_layers_inside(space: Any) -> None:
    class Embedded(space.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.lookup = space.layers.StringLookup(vocabulary=["a", "b", "c"])
            self.embedding = space.layers.Embedding(4, 2)

        def call(self, words: Any) -> Any:
            return self.embedding(self.lookup(words))

    class Plain(space.layers.Layer):
        def call(self, words: Any) -> Any:
            return words * 2

    words, layer = space.Input((2,), dtype="string"), Embedded()
    data = np.array([["b", "?"], ["a", "c"]], dtype=object)
    model = space.Model(words, layer(words))
    assert model.output_shape == (None, 2, 2)
    expected = layer.embedding(torch.tensor([[2, 0], [1, 3]])).detach()
    np.testing.assert_array_equal(model.predict(data, verbose=0), expected)
    with pytest.raises(ValueError, match="got texts"):
        Plain()(words)


@pytest.mark.parametrize(
    ("policy", "kind"), [("float64", "float64"), ("mixed_bfloat16", "bfloat16"), ("float32", "float32")]
)
def test_a_sequential_model_built_for_a_shape_takes_the_type_of_its_first_layer(policy: str, kind: str) -> None:
    """As in Keras 3: float32 would round what a layer in float64 is given."""
    model = keras.Sequential([keras.layers.Activation("linear", dtype=policy)])
    model.build((None, 1))
    assert model.inputs[0].dtype == kind
    if kind == "float64":
        assert float(model(np.array([[1 / 3]]))) == 1 / 3


@pytest.mark.parametrize("space", [keras, tf_keras])
def test_a_layer_of_two_names_is_one_of_the_models_layers(space: Any) -> None:
    class Tied(space.Model):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = space.layers.Dense(3)
            self.decoder, self.both = self.encoder, [self.encoder, space.layers.Dense(2)]

        def call(self, x: Any) -> Any:
            return self.decoder(x)

    model = Tied()
    assert model.layers == [model.encoder, model.both[1]]


@pytest.mark.parametrize("space", [keras, keras1, keras2, tf_keras])
def test_symbolic_tensors_tell_where_they_come_from(space: Any) -> None:
    layer = space.layers.Dense(2)
    layer(space.layers.Input((3,)))
    made = layer(space.layers.Input((3,)))._keras_history
    assert made.operation is made.layer is made[0] is layer and tuple(made[1:]) == (made.node_index, 0) == (1, 0)


@pytest.mark.parametrize("space", [keras, keras1, keras2, tf_keras])
@pytest.mark.parametrize("end", ["activation", "layer"])
@pytest.mark.parametrize("loss", ["binary_crossentropy", "mse"])
def test_a_softmax_over_one_class_is_told_of_in_training(space: Any, end: str, loss: str) -> None:
    layers = space.layers
    x = layers.Input((3,))
    y = layers.Activation("softmax")(layers.Dense(1)(x)) if end == "layer" else layers.Dense(1, activation="softmax")(x)
    model = space.models.Model(x, y)
    model.compile("sgd", loss)
    with pytest.warns(UserWarning, match="softmax over one class is always 1.*sigmoid") as told:
        model.fit(np.ones((4, 3), "float32"), np.ones((4, 1), "float32"), verbose=0)
    assert len(told) == 1


@pytest.mark.parametrize("space", [keras, tf_keras])
def test_a_list_of_layers_may_hold_itself(space: Any, tmp_path: Path) -> None:
    class Cyclic(space.Model):
        def __init__(self) -> None:
            super().__init__()
            self.blocks: list[Any] = [space.layers.Dense(3)]
            named: dict[str, Any] = {"again": self.blocks, "one": space.layers.Dense(2)}
            named["named"] = named
            self.blocks += [self.blocks, named]

        def call(self, x: Any) -> Any:
            return self.blocks[2]["one"](self.blocks[0](x))

    x = np.ones((4, 2), "float32")
    model, other = Cyclic(), Cyclic()
    model.compile("sgd", "mse")
    model.fit(x, x, verbose=0)
    assert len(model.weights) == len(model.state_dict()) == 4 and len(model.layers) == 2
    other(x)
    model.save_weights(tmp_path / "m.weights.h5")
    other.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_allclose(other.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-6)


# Attributes, and code that reads values -----------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.1, 3, "relu", None, True, (1, 2), {"a": 1}])
def test_a_setting_is_called_as_a_layer_inside(value: Any) -> None:
    """`self.dropout = dropout` beside a layer of that name, as large libraries of models write it."""

    class Own(keras.Model):
        def __init__(self) -> None:
            x = keras.Input((4,))
            super().__init__(x, keras.layers.Dropout(0.1)(keras.layers.Dense(3)(x)))
            self.dropout = self.dense = value

    model = Own()
    assert model.dropout == model.dense == value
    assert [type(layer) for layer in model.layers] == [
        keras.layers.InputLayer,
        keras.layers.Dense,
        keras.layers.Dropout,
    ]
    assert len(model.weights) == len([*model.parameters()]) == 2


def test_a_layer_gives_way_to_a_setting_of_its_name() -> None:
    class Own(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.act = keras.layers.Activation("relu")
            self.act = "relu"

    assert Own().act == "relu" and not [*Own().children()]


def test_a_model_whose_code_reads_values_is_built_by_its_first_data() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, inputs: Any) -> Any:
            rows = int(keras.ops.convert_to_numpy(inputs["counts"]).sum())
            return self.dense(inputs["x"])[:rows]

    x, counts = np.ones((4, 2), "float32"), np.array([1, 2])
    model = Own()
    assert model({"x": x, "counts": counts}).shape == (3, 3) and len(model.weights) == 2
    assert Own()(inputs={"x": x, "counts": counts}).shape == (3, 3)
    with pytest.raises(ValueError, match="cannot take"):
        Own()({"x": keras.Input((2,)), "counts": keras.Input((), dtype="int32")})


def test_own_loading_goes_by_keras_names_for_variables() -> None:
    layer = keras.layers.BatchNormalization()
    layer.build((None, 2))
    assert [each.name for each in layer._trainable_variables] == ["gamma", "beta"]
    assert [each.name for each in layer._non_trainable_variables] == ["moving_mean", "moving_variance"]


@pytest.mark.parametrize(("value", "dtype", "expected"), [
    (3.4028235e38, "float32", np.finfo("float32").max), (1e39, "float32", np.inf), (-1e5, "float16", -np.inf),
    (1e39, "float64", 1e39),
])  # fmt: skip
def test_numbers_at_the_end_of_a_type(value: float, dtype: str, expected: float) -> None:
    assert float(keras.ops.convert_to_tensor(value, dtype=dtype)) == expected


class _Graph(NamedTuple):
    nodes: Any
    edges: Any
    graph: Any


def _graph(nodes: int = 6, graphs: int = 2) -> tuple[_Graph, np.ndarray]:
    ones = np.full((nodes, 3), 0.1, "float32"), np.full((7, 1), 0.1, "float32")
    return _Graph(*ones, np.arange(nodes) % graphs), np.zeros((graphs, 1), "float32")


def test_batches_that_are_graphs_have_arrays_of_several_lengths() -> None:
    class Net(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(1, kernel_initializer="ones")

        def call(self, given: Any) -> Any:
            nodes, edges, graph = given
            return keras.ops.segment_sum(self.dense(nodes), graph, num_segments=2) + keras.ops.sum(edges)

    def forever() -> Iterator[Any]:
        while True:
            yield _graph(6)
            yield _graph(8)

    model = Net()
    model.compile("sgd", "mse", metrics=["mae"])
    found = [model.train_on_batch(*_graph()), model.train_on_batch(*_graph()), model.test_on_batch(*_graph(8))]
    np.testing.assert_allclose(found, [[2.56, 1.6], [1.698747, 1.30336], [1.397808, 1.182289]], rtol=1e-5)  # Keras 3.15
    history = model.fit(forever(), steps_per_epoch=4, epochs=2, verbose=0).history
    np.testing.assert_allclose(history["loss"], [0.63059, 0.0657026], rtol=1e-5)
    assert model.predict_on_batch(_graph()[0]).shape == (2, 1)
    with pytest.raises(ValueError, match="same number of samples"):
        model.fit(*_graph(), verbose=0)
    plain = keras.Sequential([keras.layers.Dense(1)])
    plain.compile("sgd", "mse")
    with pytest.raises(ValueError, match="same number of samples"):
        plain.train_on_batch(np.ones((3, 2)), np.ones((2, 1)))


@pytest.mark.parametrize("base", [keras.Model, keras.layers.Layer])
def test_a_build_of_ones_own_makes_what_it_needs_and_runs_nothing(base: Any) -> None:
    class Net(base):
        def __init__(self) -> None:
            super().__init__()
            self.dense, self.late = (
                keras.layers.Dense(1, kernel_initializer="ones"),
                keras.layers.Dense(1, kernel_initializer="ones"),
            )

        def build(self, input_shape: Any = None) -> None:
            super().build(input_shape)
            self.dense.build((None, 4))

        def call(self, x: Any, more: Any) -> Any:
            return self.late(self.dense(x)) + keras.ops.sum(more)

    for shape in (None, (3, 4)):
        net = Net()
        net.build(shape)
        assert net.built and len(net.weights) == 2
        assert net(np.ones((2, 4), "float32"), np.ones((3, 1), "float32")).tolist() == [[7.0], [7.0]]
        assert len(net.weights) == 4


@pytest.mark.parametrize("base", [keras.Model, keras.layers.Layer])
def test_layers_of_ones_own_are_called_on_nothing_and_on_what_they_know(base: Any) -> None:
    seen: list[Any] = []

    class Own(base):
        def build(self, input_shape: Any) -> None:
            seen.append(input_shape)
            self.w = self.add_weight(shape=(2,), initializer="ones")

        def call(self, x: Any = None, adjacency: Any = None) -> Any:
            return self.w * (1 if x is None else 2) + (0 if adjacency is None else float(adjacency.sum()))

    assert Own()(None).tolist() == Own()(x=None).tolist() == Own()().tolist() == [1, 1]
    assert Own()(None, np.ones((2, 3), "float32")).tolist() == [7, 7] and seen[-1] == (2, 3)
    sparse = pytest.importorskip("scipy.sparse")
    assert Own()(np.ones(2, "float32"), adjacency=sparse.eye(3)).tolist() == [5, 5]


def test_a_layer_of_this_package_is_not_called_on_nothing() -> None:
    with pytest.raises(ValueError, match="got None"):
        keras.layers.Dense(1)(None)


def test_a_batch_that_a_reshape_has_written_out() -> None:
    """Rows of a whole batch put together, as mixtures of experts do, hold for that batch alone."""

    class Joined(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            y = keras.ops.reshape(x, [48, 3])
            return keras.ops.reshape(y * 2, [keras.ops.shape(x)[0], 6, 3])

    inputs = keras.Input((6, 3))
    for call in (Joined(), lambda x: keras.ops.reshape(keras.ops.reshape(x, [48, 3]) * 2, (-1, 6, 3))):
        model = keras.Model(inputs, call(inputs))
        assert model.output_shape[1:] == (6, 3)
        data = np.arange(16 * 18.0).reshape(16, 6, 3)
        np.testing.assert_array_equal(model.predict(data, batch_size=8, verbose=0), data * 2)
    with pytest.raises(ValueError, match="cannot take inputs"):
        keras.ops.reshape(keras.Input((5, 3)), [49, 3])


@pytest.mark.parametrize("shape", [5, 5.0, "x"])
def test_what_is_no_shape_builds_no_sequential(shape: Any) -> None:
    model = keras.Sequential([keras.layers.Dense(2)])
    with pytest.raises(ValueError, match=rf"Sequential \"sequential.*\": give the shape of its input.*; got {shape!r}"):
        model.build(shape)
    assert not model.built and model(torch.ones(3, 5)).shape == (3, 2)
