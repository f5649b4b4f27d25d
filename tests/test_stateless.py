"""Calls with other values of weights: as Keras' custom training loops make them, with `torch.func`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import lamina as keras
from lamina import StatelessScope, SymbolicScope, ops
from lamina import layers as L
from lamina.core.stateless import in_symbolic_scope


def copies(weights: Any) -> list[Any]:
    return [weight.detach().clone() for weight in weights]


def same(weights: Any, values: Any) -> bool:
    return all(torch.equal(weight, value) for weight, value in zip(weights, values, strict=True))


# The scope -----------------------------------------------------------------------------------------------------------


def test_weights_have_other_values_inside() -> None:
    one, two, out = (keras.Variable(np.zeros(2, "float32")) for _ in range(3))
    with StatelessScope([(one, torch.ones(2)), (two, np.ones(2))]) as scope:
        assert out.assign(one + two) is out
        assert (out + 0).tolist() == [2, 2] and one.numpy().tolist() == [1, 1]
        one += 1
        assert isinstance(one, keras.Variable)
    assert not any(variable.any() for variable in (one, two, out))
    assert scope.get_current_value(out).tolist() == scope.get_current_value(one).tolist() == [2, 2]
    out.assign(scope.get_current_value(out))
    assert out.tolist() == [2, 2]


def test_what_is_only_read_has_no_value() -> None:
    variable, given = keras.Variable([1.0, 2.0]), torch.zeros(2)
    with StatelessScope() as scope:
        assert (variable * 2).tolist() == [2, 4] and scope.get_current_value(variable) is None
        scope.add_update((variable, given))
        variable.assign_add([1, 1])
        assert variable.numpy().tolist() == [1, 1] and not given.any()
    assert variable.tolist() == [1, 2]


def test_views_are_written_to_inside_only() -> None:
    variable, given = keras.Variable(np.zeros((2, 2), "float32"), trainable=False), torch.zeros(2, 2)
    with StatelessScope([(variable, given)]) as scope:
        with torch.no_grad():
            variable.flatten()[0] = 1
            variable.detach().add_(1)
        assert variable.numpy().tolist() == scope.get_current_value(variable).tolist() == [[2, 1], [1, 1]]
    assert not variable.any() and not given.any()


def test_scopes_within_scopes() -> None:
    layer = L.Dense(2, kernel_initializer="ones")
    layer.build((None, 2))
    x = torch.ones(1, 2)
    with StatelessScope([(layer.kernel, torch.zeros(2, 2))]):
        with StatelessScope([(layer.bias, torch.ones(2))]):
            assert layer(x).tolist() == [[1, 1]]
            layer.kernel.assign(torch.full((2, 2), 5.0))
        assert layer(x).tolist() == [[0, 0]]
    assert layer(x).tolist() == [[2, 2]]


def test_other_threads_see_the_weights_as_they_are() -> None:
    layer, seen = L.Dense(2, kernel_initializer="ones"), []
    layer.build((None, 2))
    with StatelessScope([(layer.kernel, torch.zeros(2, 2))]):
        thread = threading.Thread(target=lambda: seen.append(layer(torch.ones(1, 2)).tolist()))
        thread.start()
        thread.join()
        assert layer(torch.ones(1, 2)).tolist() == [[0, 0]]
    assert seen == [[[2, 2]]]


def test_a_layer_may_be_built_inside() -> None:
    layer = L.Dense(3)
    with StatelessScope():
        layer(torch.ones(2, 4))
    assert len(layer.trainable_weights) == 2 and layer.kernel.requires_grad
    assert layer(torch.ones(2, 4)).any()


def test_losses_stay_inside() -> None:
    layer = L.ActivityRegularization(l2=1.0)
    layer(torch.full((1, 1), 2.0))
    for collect in (False, True):
        with StatelessScope(collect_losses=collect) as scope:
            assert layer.losses == []
            layer(torch.full((1, 1), 3.0))
            scope.add_loss(torch.tensor(1.0))
            assert layer.losses == [9]
        assert scope.losses == ([9, 1] if collect else [1]) and layer.losses == [4]


def test_what_a_model_keeps_does_not_change_inside() -> None:
    inputs = [L.Input((4, 6)), L.Dense(3), L.BatchNormalization(axis=1), L.BatchNormalization(axes=(1, 2))]
    model = keras.Sequential([*inputs, L.Flatten(), L.Dense(1)])
    model.compile(keras.optimizers.Adam(use_ema=True), "mse", metrics=["mae"])
    x, y = torch.rand(8, 4, 6), torch.rand(8, 1)
    for again in range(2):  # before there are metrics, and after
        model.optimizer.build(model.trainable_weights)
        state = [*model.weights, *model.optimizer.variables, *model.metrics_variables]
        before, grads = copies(state), [torch.ones_like(weight) for weight in model.trainable_weights]
        with StatelessScope() as scope:
            model(x, training=True)
            model.optimizer.apply(grads)
            model.compute_metrics(x, y, model(x))
        assert same(state, before), again
        for written in (model.layers[1].moving_mean, model.layers[2].moving_variance, model.layers[0].kernel):
            assert not torch.equal(scope.get_current_value(written), written)
        model.fit(x, y, verbose=0)
        assert not torch.equal(before[0], model.weights[0])


def test_what_does_not_fit() -> None:
    layer, optimizer = L.Dense(2), keras.optimizers.SGD()
    model = keras.Sequential([L.Input((3,)), L.Dense(2)])
    variable = keras.Variable(np.zeros(2))
    calls: list[tuple[Callable, str]] = [
        (lambda: StatelessScope([("kernel", 1)]), "must be weights"),
        (lambda: StatelessScope([(variable, torch.ones(3))]), r"shape \(2,\)"),
        (lambda: layer.stateless_call([], [], torch.ones(1, 2)), "needs a layer with weights"),
        (lambda: model.stateless_call([], [], torch.ones(1, 3)), "`trainable_variables` must be as many"),
        (lambda: model.stateless_call(model.weights, [1], torch.ones(1, 3)), "`non_trainable_variables`"),
        (lambda: optimizer.stateless_apply([], [], []), "needs a built optimizer"),
        (lambda: model.stateless_compute_loss([], [], []), "`trainable_variables`"),
    ]
    for call, message in calls:
        with pytest.raises(ValueError, match=message):
            call()


def test_symbolic_scope() -> None:
    assert not in_symbolic_scope()
    with SymbolicScope():
        with SymbolicScope():
            pass
        assert in_symbolic_scope()
    assert not in_symbolic_scope()


# Layers --------------------------------------------------------------------------------------------------------------


class Stateful(L.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.stream = keras.random.SeedGenerator(1337)
        self.state = self.add_weight(shape=(), initializer="zeros", trainable=False)
        self.own = self.add_weight(shape=(), initializer="zeros", regularizer="l1")
        self.built = True

    def call(self, x: Any) -> Any:
        self.add_loss(ops.sum(x))
        self.state.assign(ops.sum(x))
        return x + keras.random.normal((), seed=self.stream) + self.own + self.state


def test_a_stateless_call_is_the_call() -> None:
    x = np.random.default_rng(0).random((3, 4), "float32")
    one, other, third = Stateful(), Stateful(), Stateful()
    expected = one(x)
    found, after = other.stateless_call(other.trainable_variables, other.non_trainable_variables, x)
    torch.testing.assert_close(found, expected)
    assert after[0] == one.state and other.state == 0 and len(other.losses) == 1
    assert after[1].tolist() == [1337, 1] and other.stream.state.tolist() == [1337, 0]
    start = [torch.tensor(7.0), torch.tensor([1337, 0])]
    found, after, losses = third.stateless_call([torch.tensor(-2.0)], start, x, return_losses=True)
    torch.testing.assert_close(found, expected - 2)
    torch.testing.assert_close(losses, [one.losses[0], torch.tensor(0.02)])
    assert third.own == 0 and after[0] == one.state


def test_streams_are_variables_from_which_draws_repeat() -> None:
    x = np.ones((3, 4), "float32")
    layer, other = Stateful(), Stateful()
    assert layer.non_trainable_variables[-1] is layer.stream.state and len(layer.weights) == 2
    assert {*layer.torch_params.values()} == {*layer.variables} and not layer.stream.state.trainable
    first, second = layer(x), layer(x)
    _, middle = other.stateless_call(other.trainable_variables, other.non_trainable_variables, x)
    again = [other.stateless_call(other.trainable_variables, middle, x)[0] for _ in range(2)]
    assert torch.equal(*again) and not torch.equal(again[0], first)
    torch.testing.assert_close((other(x), other(x)), (first, second), rtol=0, atol=0)
    other.stream.state.assign([1337, 0])
    torch.testing.assert_close(other(x), first, rtol=0, atol=0)


@pytest.mark.parametrize("hold", [lambda one: [one], lambda one: {"a": (one,)}])
def test_streams_in_lists_are_variables(hold: Any) -> None:
    layer = L.Dense(2)
    layer.streams = hold(keras.random.SeedGenerator(3))
    model = keras.Sequential([keras.Input((4,)), layer, L.Dropout(0.5, seed=1)])
    assert [variable.tolist() for variable in model.non_trainable_variables] == [[3, 0], [1, 0]]
    tree = model.get_state_tree()
    model(np.ones((2, 4)), training=True)
    model.set_state_tree(tree)
    assert [variable.tolist() for variable in model.non_trainable_variables] == [[3, 0], [1, 0]]
    assert (
        model.non_trainable_weights
        == []
        == keras.tf_keras.Sequential([keras.tf_keras.layers.Dropout(0.5, seed=1)]).variables
    )


INPUTS = {
    "normalized": ((8, 8, 3), [L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU(), L.Flatten()]),
    "depthwise": ((8, 8, 3), [L.DepthwiseConv2D(3), L.LayerNormalization(), L.GlobalMaxPooling2D()]),
    "lstm": ((5, 6), [L.LSTM(4)]),
    "gru": ((5, 6), [L.GRU(4)]),
    "both ways": ((5, 6), [L.Bidirectional(L.GRU(4))]),
    "cells": ((5, 6), [L.RNN(L.SimpleRNNCell(4))]),
    "local": ((5, 6), [L.LocallyConnected1D(3, 2), L.Flatten()]),
    "half": ((6,), [L.Dense(4, dtype="mixed_bfloat16")]),
}


@pytest.mark.parametrize("kind", INPUTS)
def test_a_loop_with_torch_func(kind: str) -> None:
    """Loss, gradients, state and steps are those of the usual loop with the same values; the model stays as it is."""
    shape, layers = INPUTS[kind]
    model = keras.Sequential([L.Input(shape), *(type(each).from_config(each.get_config()) for each in layers)])
    model.add(L.Dense(3))
    usual = keras.models.clone_model(model)
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(4, *shape, generator=generator), torch.tensor([0, 2, 1, 2])
    judge = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizers = [keras.optimizers.Adam(0.1, weight_decay=0.01, clipnorm=1.0) for _ in range(2)]
    meters = [keras.metrics.SparseCategoricalAccuracy() for _ in range(2)]
    optimizers[0].build(model.trainable_variables)
    optimizers[1].build(usual.trainable_variables)
    for weight, other in zip(model.weights, usual.weights, strict=True):
        other.assign(weight.detach() * 1.1 + 0.01)
    values, state, slots, counts = map(
        copies,
        (usual.trainable_variables, usual.non_trainable_variables, optimizers[0].variables, meters[0].variables),
    )
    kept = [*model.weights, *optimizers[0].variables, *meters[0].variables]
    before = copies(kept)

    def forward(values: Any, state: Any, counts: Any) -> Any:
        outputs, state = model.stateless_call(values, state, x, training=True)
        return judge(y, outputs), (state, meters[0].stateless_update_state(counts, y, outputs))

    for _ in range(2):
        given = copies(values)
        outputs = usual(x, training=True)
        loss = judge(y, outputs)
        grads = torch.autograd.grad(loss, usual.trainable_variables)
        optimizers[1].apply(grads)
        meters[1].update_state(y, outputs)

        found_grads, _ = torch.func.grad(forward, has_aux=True)(values, state, counts)
        found, (state, counts) = forward(values, state, counts)
        assert same(values, given) and same(kept, before)
        torch.testing.assert_close(found, loss)
        torch.testing.assert_close(found_grads, grads, rtol=1e-4, atol=1e-5)
        values, slots = optimizers[0].stateless_apply(slots, found_grads, values)
        torch.testing.assert_close(values, copies(usual.trainable_variables), rtol=1e-3, atol=1e-3)
        for one, other in zip(state, usual.non_trainable_variables, strict=True):
            torch.testing.assert_close(one, other.detach(), rtol=1e-3, atol=1e-3)
    assert slots[0] == 2 and same(kept, before)
    torch.testing.assert_close(meters[0].stateless_result(counts), meters[1].result())


def test_gradients_of_values_by_autograd() -> None:
    for layer in (L.GRU(4), L.Dense(4)):
        x = torch.rand(2, 3, 5)
        layer(x)
        values = [(weight.detach() * 2).requires_grad_() for weight in layer.trainable_variables]
        layer.stateless_call(values, layer.non_trainable_variables, x)[0].sum().backward()
        assert all(value.grad is not None and value.grad.any() for value in values)
        assert all(weight.grad is None for weight in layer.weights)


def test_gradients_through_what_is_rematerialized() -> None:
    def grads(mode: str | None) -> list[Any]:
        with keras.RematScope(mode=mode):
            model = keras.Sequential([L.Input((4,)), L.Dense(3, "tanh"), L.Dense(1)])
        values = [torch.full_like(weight, 0.3, requires_grad=True) for weight in model.trainable_variables]
        model.stateless_call(values, [], torch.ones(2, 4))[0].sum().backward()
        return [value.grad for value in values]

    torch.testing.assert_close(grads("full"), grads(None))


def test_gradients_of_ones_own() -> None:
    double = ops.custom_gradient(lambda x: (x * 1.0, lambda upstream: 2 * upstream))
    variable, value = keras.Variable(1.0), torch.tensor(3.0, requires_grad=True)
    with StatelessScope([(variable, value)]):
        result = double(variable)
    result.backward()
    assert result == 3 and value.grad == 2 and variable.grad is None


def test_several_sets_of_weights_at_once() -> None:
    model = keras.Sequential([L.Input((3,)), L.Dense(4, "tanh"), L.Dense(1)])
    several = [torch.stack([weight.detach(), -weight.detach()]) for weight in model.trainable_variables]
    x = torch.rand(5, 3)
    found = torch.func.vmap(lambda values: model.stateless_call(values, [], x)[0])(several)
    torch.testing.assert_close(found[0], model(x))
    assert found.shape == (2, 5, 1)


def test_the_loss_with_other_values() -> None:
    model = keras.Sequential([L.Input((3,)), L.Dense(2, kernel_regularizer="l2")])
    model.compile("sgd", "mse", metrics=["mae"])
    x, y = torch.rand(4, 3), torch.rand(4, 2)
    model.train_on_batch(x, y)
    values = [torch.ones_like(weight) for weight in model.trainable_variables]
    outputs = model(x).detach()
    loss, (_, state, counts) = model.stateless_compute_loss(values, [], model.metrics_variables, x, y, outputs)
    torch.testing.assert_close(loss, ((outputs - y) ** 2).mean() + 0.01 * 6)
    assert state == [] and len(counts) == len(model.metrics_variables) > 0


def test_streams_go_on_inside_of_torch_func() -> None:
    model = keras.Sequential([L.Input((4,)), L.Dropout(0.5, seed=3), L.Dense(2)])
    values, state = copies(model.trainable_variables), copies(model.non_trainable_variables)

    def forward(values: Any, state: Any) -> Any:
        outputs, state = model.stateless_call(values, state, torch.ones(2, 4), training=True)
        return outputs.sum(), state

    for draws in (1, 2, 3):
        grads, state = torch.func.grad(forward, has_aux=True)(values, state)
        assert state[0].tolist() == [3, draws] and {*grads[0].flatten().tolist()} <= {0.0, 2.0, 4.0}


def test_a_tree_of_states_tells_two_cells_of_one_name_apart() -> None:
    keras.backend.clear_session()
    x = keras.Input((5, 4))
    model = keras.Model(x, L.Bidirectional(L.LSTM(3, recurrent_dropout=0.1))(x))
    tree = model.get_state_tree()
    assert [*tree["non_trainable_variables"]["bidirectional"]] == ["forward_lstm", "backward_lstm"]
    model.set_state_tree(tree)
