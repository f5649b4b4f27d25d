"""`reset_states` of the older generations: states that are given count, and others are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import lamina
import lamina as keras
from lamina import keras1, keras2, tf_keras

SPACES = (keras2, tf_keras)
EVERY = pytest.mark.parametrize("space", SPACES, ids=lambda space: space.__name__)


def rnn(space: Any, cell: Any = None, **options: Any) -> Any:
    return space.layers.RNN(cell or space.layers.SimpleRNNCell(5), **options)


LAYERS = {
    "LSTM": (lambda space, **o: space.layers.LSTM(5, **o), 2),
    "GRU": (lambda space, **o: space.layers.GRU(5, **o), 1),
    "SimpleRNN": (lambda space, **o: space.layers.SimpleRNN(5, **o), 1),
    "RNN": (rnn, 1),
    "stacked": (lambda space, **o: rnn(space, [space.layers.LSTMCell(5), space.layers.GRUCell(5)], **o), 3),
    "backwards": (lambda space, **o: space.layers.LSTM(5, go_backwards=True, **o), 2),
    "CuDNNLSTM": (lambda space, **o: keras2.layers.CuDNNLSTM(5, **o), 2),
    "CuDNNGRU": (lambda space, **o: keras2.layers.CuDNNGRU(5, **o), 1),
}
KINDS = pytest.mark.parametrize("kind", LAYERS)


def built(space: Any, kind: str) -> tuple[Any, Any, int]:
    make, count = LAYERS[kind]
    layer = make(space, stateful=True)
    entrance = space.layers.Input(batch_shape=(2, 3, 4))
    return layer, space.models.Model(entrance, layer(entrance)), count


def draw(count: int) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.normal(size=(2, 5)).astype("float32") for _ in range(count)]


@EVERY
@KINDS
@pytest.mark.parametrize("form", ["arrays", "tensors", "tuple", "reversed", "float64"])
def test_given_states_are_those_the_next_batch_starts_from(space: Any, kind: str, form: str) -> None:
    layer, model, count = built(space, kind)
    x, states = np.random.default_rng(1).normal(size=(2, 3, 4)).astype("float32"), draw(count)
    forms = {
        "arrays": lambda: states,
        "tensors": lambda: [torch.tensor(state, requires_grad=True) for state in states],
        "tuple": lambda: tuple(states),
        "reversed": lambda: [state[::-1].copy()[::-1] for state in states],
        "float64": lambda: [state.astype(">f8") for state in states],
    }
    expected = layer(torch.tensor(x), initial_state=[torch.tensor(state) for state in states]).detach()
    layer.reset_states()
    from_zeros = model.predict(x, verbose=0)
    layer.reset_states(forms[form]())
    found = model.predict(x, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert not np.allclose(found, from_zeros)
    layer.reset_states()
    np.testing.assert_allclose(model.predict(x, verbose=0), from_zeros, rtol=1e-5, atol=1e-6)
    assert not any(state.requires_grad for state in torch.utils._pytree.tree_leaves(layer.states))


@EVERY
def test_a_single_state_needs_no_list(space: Any) -> None:
    layer, _, _ = built(space, "GRU")
    (state,) = draw(1)
    layer.reset_states(state)
    np.testing.assert_allclose(layer.states[0], state)


@EVERY
@KINDS
def test_other_states_are_refused_before_any_is_set(space: Any, kind: str) -> None:
    layer, _, count = built(space, kind)
    kept = draw(count)
    layer.reset_states(kept)
    wrong = {
        f"expected {count} states in `states`; got {count + 1}": [*kept, kept[0]],
        rf"state {count - 1} must have shape \(2, 5\).*got \(2, 6\)": [*kept[:-1], np.zeros((2, 6))],
        r"must have shape \(2, 5\).*got \(3, 5\)": [*kept[:-1], np.zeros((3, 5))],
        r"must have shape \(2, 5\).*got \(5\,\)": [*kept[:-1], np.zeros(5)],
        r"arrays of shape \(batch, units\); got None": [*kept[:-1], None],
    }
    if count > 1:
        wrong[f"expected {count} states in `states`; got 1"] = kept[:1]
    for message, states in wrong.items():
        with pytest.raises(ValueError, match=message):
            layer.reset_states(states)
        for found, state in zip(torch.utils._pytree.tree_leaves(layer.states), kept, strict=True):
            np.testing.assert_array_equal(found, state)


@pytest.mark.parametrize("space", [keras1, *SPACES], ids=lambda space: space.__name__)
def test_a_layer_without_states_says_so(space: Any) -> None:
    for layer in (space.layers.LSTM(5), space.layers.Bidirectional(space.layers.LSTM(5))):
        with pytest.raises(AttributeError, match="Layer must be stateful"):
            layer.reset_states()
    with pytest.raises(ValueError, match="batch size"):
        space.layers.LSTM(5, stateful=True).reset_states()
    assert not hasattr(space.layers.Dense(3), "reset_states")


def test_keras1_took_no_states() -> None:
    layer = keras1.layers.LSTM(5, stateful=True, batch_input_shape=(2, 3, 4))
    keras1.models.Sequential([layer])
    with pytest.raises(TypeError):
        layer.reset_states(draw(2))
    with pytest.raises(TypeError):
        keras1.layers.Bidirectional(layer).reset_states(draw(4))


@pytest.mark.parametrize("space", [keras1, *SPACES], ids=lambda space: space.__name__)
def test_models_reset_every_layer_inside(space: Any) -> None:
    layers = space.layers
    inner = space.models.Sequential([layers.LSTM(5, stateful=True, return_sequences=True, batch_input_shape=(2, 3, 4))])
    model = space.models.Sequential([
        inner,
        layers.Bidirectional(layers.GRU(5, stateful=True, return_sequences=True)),
        layers.SimpleRNN(2, stateful=True),
    ])  # fmt: skip
    assert model.stateful and not space.models.Sequential([layers.Dense(1, input_shape=(2,))]).stateful
    x = np.ones((2, 3, 4), "float32")
    first, second = model.predict(x, batch_size=2, verbose=0), model.predict(x, batch_size=2, verbose=0)
    assert not np.allclose(first, second)
    model.reset_states()
    np.testing.assert_allclose(model.predict(x, batch_size=2, verbose=0), first, rtol=1e-5, atol=1e-6)


def test_todays_method_is_todays() -> None:
    layer = lamina.layers.LSTM(5)
    layer.reset_state()  # does nothing, as in Keras 3
    lamina.layers.LSTM(5, stateful=True).reset_state()


class Counted(keras.metrics.Metric):
    """A metric of a user's own."""

    def __init__(self) -> None:
        super().__init__()
        self.n = self.add_variable((), "zeros")

    def update_state(self, y_true: Any, y_pred: Any) -> None:
        self.n.assign(self.n + 1)


@pytest.mark.parametrize("base", [keras.Model, keras.layers.Layer])
@pytest.mark.parametrize("metric", [keras.metrics.Mean, keras.metrics.Sum, keras.metrics.MeanMetricWrapper, Counted])
def test_a_trial_of_a_call_counts_nothing(base: type, metric: Any) -> None:
    """What a metric in `call` has seen are calls on data, not those that infer shapes."""
    two = metric in (keras.metrics.MeanMetricWrapper, Counted)

    class Watched(base):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(2)
            self.metric = (
                metric(lambda y_true, y_pred: y_true) if metric is keras.metrics.MeanMetricWrapper else metric()
            )

        def call(self, x: Any) -> Any:
            self.metric.update_state(*[x] * (1 + two))
            return self.dense(x)

    watched, x = Watched(), np.ones((4, 3), "float32")
    keras.Model(given := keras.Input((3,)), watched(given))
    assert [float(value) for value in watched.metric.variables] == [0] * len(watched.metric.variables)
    watched(x)
    first = [float(value) for value in watched.metric.variables]
    keras.Sequential([keras.Input((3,)), watched])
    watched.compute_output_shape((None, 3))
    assert [float(value) for value in watched.metric.variables] == first
    watched(x)
    assert [float(value) for value in watched.metric.variables] == [2 * value for value in first]
    assert any(first)
