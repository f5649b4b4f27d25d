"""Plans: what a model's straight line of calls lets go of, and what it does at one go."""

from __future__ import annotations

import weakref

import pytest
import torch

import lamina as keras

L = keras.layers


class Watched(L.Layer):
    """Remembers weakly what it has put out, and how much of it is still there when it is called again."""

    seen: list
    alive: list

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        self.alive.append(sum(each() is not None for each in self.seen))
        y = inputs + 1
        self.seen.append(weakref.ref(y))
        return y


def watched() -> tuple[type, list]:
    alive: list = []
    return type("Watched", (Watched,), {"seen": [], "alive": alive}), alive


def test_values_go_after_their_last_use() -> None:
    layer, alive = watched()
    model = keras.Sequential([keras.Input((3,)), *(layer() for _ in range(5))])
    alive.clear()
    model(torch.ones(2, 3))
    assert max(alive) == 1  # what the layer was given


def test_values_go_after_their_last_use_in_a_graph() -> None:
    layer, alive = watched()
    x = inputs = keras.Input((3,))
    for _ in range(4):
        x = L.add([x, layer()(layer()(x))])
    model = keras.Model(inputs, x)
    alive.clear()
    given = torch.ones(2, 3)
    torch.testing.assert_close(model(given), given * 16 + 2 * 15)
    assert max(alive) == 1


def test_outputs_and_inputs_stay() -> None:
    inputs = keras.Input((3,))
    first = L.Dense(4)(inputs)
    second = L.ReLU()(first)
    given = torch.randn(2, 3)
    x, y, z = keras.Model(inputs, [inputs, first, second])(given)
    torch.testing.assert_close(x, given)
    torch.testing.assert_close(z, torch.relu(y))
    assert (y < 0).any()


def test_values_nobody_uses() -> None:
    inputs = keras.Input((4, 3))
    outputs, *_ = L.LSTM(2, return_sequences=True, return_state=True)(inputs)
    model = keras.Model(inputs, L.Dense(1)(outputs))
    assert model(torch.ones(2, 4, 3)).shape == (2, 4, 1)
    assert "del " in model.plan.source


# A ReLU after a batch normalization ------------------------------------------------------------------------------


def model_with(relu: L.Layer, **options) -> keras.Model:
    inputs = keras.Input((5, 5, 3))
    return keras.Model(inputs, relu(L.BatchNormalization(**options)(inputs)))


@pytest.mark.parametrize("make", [L.ReLU, lambda: L.Activation("relu")], ids=["ReLU", "Activation"])
@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize("training", [False, True])
def test_relu_is_done_by_the_normalization(make, axis, training) -> None:
    model = model_with(make(), axis=axis)
    assert model.plan.source.count("=True") == 1
    normalization, relu = model.layers[1:]
    x = torch.randn(4, 5, 5, 3)
    given = [x.clone().requires_grad_() for _ in range(2)]
    results = model(given[0], training=training), relu(normalization(given[1], training=training))
    torch.testing.assert_close(*results)
    for result in results:
        (result * torch.arange(3.0)).sum().backward()
    torch.testing.assert_close(given[0].grad, given[1].grad)
    torch.testing.assert_close(given[0].detach(), x)


@pytest.mark.parametrize("relu", [lambda: L.ReLU(max_value=6), lambda: L.LeakyReLU(), lambda: L.Activation("tanh")])
def test_other_activations_are_not(relu) -> None:
    assert "relu=" not in model_with(relu()).plan.source


def test_relu_with_a_hook_or_a_loss_is_not() -> None:
    model = model_with(L.ReLU())
    seen = []
    model.layers[1].register_forward_hook(lambda layer, args, output: seen.append(output))
    model(torch.randn(4, 5, 5, 3))
    assert (seen[0] < 0).any()
    assert "relu=" not in model_with(L.ReLU(activity_regularizer="l2")).plan.source


def test_a_value_that_others_see_stays() -> None:
    inputs = keras.Input((5, 5, 3))
    normalized = L.BatchNormalization()(inputs)
    model = keras.Model(inputs, [L.ReLU()(normalized), L.Activation("tanh")(normalized)])
    positive, other = model(torch.randn(4, 5, 5, 3))
    assert (other < 0).any()
    assert (positive >= 0).all()


def test_an_activation_may_change_later() -> None:
    model = model_with(L.Activation("relu"))
    x = torch.randn(4, 5, 5, 3)
    assert (model(x) >= 0).all()
    model.layers[2].activation = keras.activations.linear
    torch.testing.assert_close(model(x), model.layers[1](x))


@pytest.mark.parametrize("make", [lambda: L.Dense(4, activation="relu"), lambda: L.Conv1D(4, 2, activation="relu")])
def test_activation_of_a_layer_may_change_later(make) -> None:
    layer, x = make(), torch.randn(2, 6, 3)
    assert (layer(x) >= 0).all()
    layer.activation = keras.activations.linear
    assert (layer(x) < 0).any()
