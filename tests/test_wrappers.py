"""Bidirectional against its two layers, TimeDistributed against a loop over the steps, Pipeline."""

from __future__ import annotations

import copy
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.frames import frames

import lamina
from lamina import ops
from lamina.layers import (
    GRU,
    LSTM,
    RNN,
    Activation,
    BatchNormalization,
    Bidirectional,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Lambda,
    Layer,
    LayerNormalization,
    Masking,
    Pipeline,
    SimpleRNN,
    Softmax,
    TimeDistributed,
    UnitNormalization,
    Wrapper,
)

HOLES = torch.tensor([[1, 0, 1, 1, 0], [0, 0, 1, 0, 1], [0, 0, 0, 0, 0]]).bool()


def draw(*shape, dtype=torch.float32, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


# Bidirectional ----------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    cls=st.sampled_from([SimpleRNN, LSTM, GRU]),
    mode=st.sampled_from(["concat", "sum", "mul", "ave", None]),
    sequences=st.booleans(),
    state=st.booleans(),
    initial=st.booleans(),
    masked=st.booleans(),
    use_bias=st.booleans(),
    grad=st.booleans(),
)
def test_bidirectional_merges_its_two_layers(cls, mode, sequences, state, initial, masked, use_bias, grad):
    inner = cls(4, return_sequences=sequences, return_state=state, use_bias=use_bias, dtype="float64")
    layer = Bidirectional(inner, merge_mode=mode, dtype="float64")
    x, mask = draw(3, 5, 2, dtype=torch.float64), HOLES if masked else None
    with torch.set_grad_enabled(grad):
        layer(x)
        count = 2 * len(inner.state_size)
        states = [draw(3, 4, dtype=torch.float64, seed=i) for i in range(count)] if initial else None
        found = layer(x, initial_state=states, mask=mask)
        halves = (states[: count // 2], states[count // 2 :]) if initial else (None, None)
        y = layer.forward_layer(x, initial_state=halves[0], mask=mask)
        back = layer.backward_layer(x, initial_state=halves[1], mask=mask)
    (y, *ends), (back, *back_ends) = (y, back) if state else ((y,), (back,))
    back = back.flip(1) if sequences else back
    merged = {
        "concat": lambda: (torch.cat((y, back), -1),),
        "sum": lambda: (y + back,),
        "mul": lambda: (y * back,),
        "ave": lambda: ((y + back) / 2,),
        None: lambda: (y, back),
    }[mode]()
    expected = (*merged, *ends, *back_ends)
    found = found if isinstance(found, tuple) else (found,)
    torch.testing.assert_close(found, expected)
    promised = layer.compute_output_shape((3, 5, 2))
    assert (promised if len(expected) > 1 else (promised,)) == tuple(tuple(leaf.shape) for leaf in expected)


@pytest.mark.parametrize("cls", [SimpleRNN, LSTM, GRU])
@pytest.mark.parametrize("sequences", [False, True])
def test_bidirectional_has_the_gradients_of_its_two_layers(cls, sequences):
    layer = Bidirectional(cls(4, return_sequences=sequences, dtype="float64"), merge_mode="sum", dtype="float64")
    x = draw(3, 5, 2, dtype=torch.float64).requires_grad_()
    layer(x).square().sum().backward()
    found = [x.grad, *(weight.grad for weight in layer.trainable_weights)]
    x.grad = None
    layer.zero_grad()
    back = layer.backward_layer(x)
    (layer.forward_layer(x) + (back.flip(1) if sequences else back)).square().sum().backward()
    torch.testing.assert_close(found, [x.grad, *(weight.grad for weight in layer.trainable_weights)])


def test_bidirectional_copies_its_layer_under_new_names():
    inner = LSTM(3, activation="relu", name="reader")
    layer = Bidirectional(inner, name="both")
    layer(draw(2, 4, 5))
    assert layer.forward_layer is not inner
    assert not inner.built
    assert [w.path for w in layer.weights] == [
        f"both/{way}_reader/lstm_cell/{name}"
        for way in ("forward", "backward")
        for name in ("kernel", "recurrent_kernel", "bias")
    ]
    assert layer.backward_layer.go_backwards
    again = Bidirectional.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def test_bidirectional_takes_a_backward_layer_of_its_own():
    layer = Bidirectional(GRU(3), backward_layer=SimpleRNN(3, go_backwards=True), merge_mode=None)
    forward, backward = layer(draw(2, 4, 5))
    torch.testing.assert_close(backward, layer.backward_layer(draw(2, 4, 5)))
    assert forward.shape == backward.shape


class Echo(Layer):
    """A cell of the user's own, which no registry knows."""

    state_size = 2

    def call(self, inputs, states):
        return inputs + states[0], [inputs]


def double(x):
    return 2 * x


def test_bidirectional_copies_what_is_the_users_own():
    x = draw(2, 4, 2)
    layer = Bidirectional(RNN(Echo(), return_sequences=True), merge_mode=None)
    forward, backward = layer(x)
    torch.testing.assert_close(forward[:, 1:], x[:, 1:] + x[:, :-1])
    torch.testing.assert_close(backward[:, :-1], x[:, :-1] + x[:, 1:])
    assert Bidirectional(GRU(3, activation=double)).backward_layer.cell.activation is double


def test_bidirectional_stateful():
    layer, x = Bidirectional(GRU(3, stateful=True)), draw(2, 4, 5)
    first = layer(x)
    assert not torch.allclose(layer(x), first)
    assert len(layer.states) == 2
    layer.reset_state()
    torch.testing.assert_close(layer(x), first)


def test_bidirectional_trains_with_dropout():
    layer, x = Bidirectional(LSTM(8, dropout=0.5)), draw(2, 4, 5)
    calm = layer(x)
    assert not torch.allclose(layer(x, training=True), calm)
    torch.testing.assert_close(layer(x), calm)


def test_bidirectional_takes_masks_and_states_in_a_model():
    x, h, back = lamina.Input((5, 2)), lamina.Input((4,)), lamina.Input((4,))
    layer = Bidirectional(GRU(4, return_sequences=True))
    masked = Masking()(x)
    model = lamina.Model([x, h, back], layer(masked, initial_state=[h, back], mask=Masking().compute_mask(x)))
    values = draw(3, 5, 2) * HOLES.unsqueeze(-1), draw(3, 4), draw(3, 4, seed=1)
    found = model(list(values))
    torch.testing.assert_close(found, layer(values[0], initial_state=list(values[1:]), mask=HOLES))
    assert not found[~HOLES].any()


@pytest.mark.parametrize("sequences", [False, True])
def test_bidirectional_is_one_kernel(sequences):
    layer, x = Bidirectional(LSTM(8, return_sequences=sequences)), draw(2, 8, 8)
    layer(x)
    with torch.no_grad():
        assert len(frames(lambda: layer(x))) <= 8
    hook = layer.forward_layer.register_forward_hook(lambda module, args, output: torch.zeros_like(output))
    assert not layer(x)[..., :8].any()
    hook.remove()


def test_bidirectional_weights_may_be_given():
    layer = Bidirectional(GRU(3))
    layer(draw(2, 4, 5))
    given = Bidirectional(GRU(3), weights=layer.get_weights())
    torch.testing.assert_close(given(draw(2, 4, 5)), layer(draw(2, 4, 5)))


# TimeDistributed --------------------------------------------------------------------------------------------------


def loop(layer, x, **options):
    return torch.stack([layer(step, **options) for step in x.unbind(1)], 1)


class Centred(Layer):
    """A layer of a user's own in which the samples of a batch matter to each other."""

    def call(self, inputs):
        return inputs - inputs.mean(0, keepdim=True)


def centred(x):
    return x - x.mean(0, keepdim=True)


def operations(function):
    inputs = lamina.Input((5,))
    return lamina.Model(inputs, function(inputs))


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: Dense(3, activation="relu"), (2, 4, 5)),
        (lambda: Conv2D(3, 2), (2, 3, 5, 4, 2)),
        (lambda: Flatten(), (2, 3, 4, 5)),
        (lambda: LSTM(3), (2, 3, 4, 5)),
        (lambda: GRU(3, stateful=True), (2, 3, 4, 5)),
        (lambda: lamina.Sequential([Dense(4), Dropout(0.5), Dense(3)]), (2, 4, 5)),
        (lambda: torch.nn.Linear(5, 3), (2, 4, 5)),
        (lambda: Centred(), (2, 4, 5)),
        (lambda: Lambda(lambda x: x - x.mean(0)), (2, 4, 5)),
        (lambda: lamina.Sequential([Dense(4), Centred()]), (2, 4, 5)),
        (lambda: Dense(3, activation=centred), (2, 4, 5)),
        (lambda: LSTM(3, recurrent_activation=centred), (2, 3, 4, 5)),
        (lambda: lamina.Sequential([Dense(4), Activation(centred)]), (2, 4, 5)),
        (lambda: lamina.Sequential([Dense(4), Softmax(axis=0)]), (2, 4, 5)),
        (lambda: Softmax(axis=-2), (2, 4, 5)),
        (lambda: UnitNormalization(axis=0), (2, 4, 5)),
        (lambda: torch.nn.Softmax(dim=0), (2, 4, 5)),
        (lambda: operations(lambda x: x - ops.mean(x, axis=0, keepdims=True)), (2, 4, 5)),
        (lambda: operations(lambda x: x - ops.max(x, axis=0)), (2, 4, 5)),
        (lambda: operations(lambda x: ops.softmax(x, axis=0)), (2, 4, 5)),
        (lambda: operations(lambda x: torch.softmax(x, -2)), (2, 4, 5)),
        (lambda: operations(lambda x: ops.cumsum(x, axis=0)), (2, 4, 5)),
        (lambda: operations(lambda x: x * 2 + ops.mean(x, axis=1, keepdims=True)), (2, 4, 5)),
    ],
)
def test_time_distributed_runs_each_step_by_itself(make, shape):
    layer, x = TimeDistributed(make()), draw(*shape)
    layer(x)
    inner = copy.deepcopy(layer.layer)
    for one in (layer.layer, inner):
        if getattr(one, "stateful", False):
            one.reset_state()
    found = layer(x)
    torch.testing.assert_close(found, loop(inner, x))
    assert layer.compute_output_shape(shape) == tuple(found.shape)


def test_time_distributed_is_one_call():
    layer, x = TimeDistributed(Dense(3)), draw(2, 50, 5)
    layer(x)
    assert len(frames(lambda: layer(x))) <= 8


@pytest.mark.parametrize(
    "make",
    [lambda: operations(lambda x: torch.relu(x + 1) / 255), lambda: Dense(3, activation=ops.relu), LayerNormalization],
)
def test_time_distributed_is_one_call_of_what_is_known(make):
    """Operations on single elements, functions of Lamina and torch, axes that are not the batch's."""
    layer, x = TimeDistributed(make()), draw(2, 4, 5)
    layer(x)
    shapes = []
    inner, run = layer.layer, layer.layer.call
    inner.call = lambda x: (shapes.append(tuple(x.shape)), run(x))[1]
    layer(x)
    assert shapes == [(8, 5)]


def test_time_distributed_batch_normalization_sees_one_step_at_a_time():
    layer, x = TimeDistributed(BatchNormalization(momentum=0.5)), draw(4, 3, 2)
    layer(x)
    inner = copy.deepcopy(layer.layer)
    torch.testing.assert_close(layer(x, training=True), loop(inner, x, training=True))
    torch.testing.assert_close(layer.layer.moving_mean, inner.moving_mean)
    torch.testing.assert_close(layer(x), loop(inner, x))


def test_time_distributed_of_unknown_length():
    x = lamina.Input((None, 6, 6, 1))
    y = TimeDistributed(Conv2D(2, 3, name="conv"), name="each")(x)
    assert y.shape == (None, None, 4, 4, 2)
    model = lamina.Model(x, y)
    assert [w.path for w in model.weights] == ["each/conv/kernel", "each/conv/bias"]
    assert model(draw(2, 7, 6, 6, 1)).shape == (2, 7, 4, 4, 2)
    assert model(draw(0, 7, 6, 6, 1)).shape == (0, 7, 4, 4, 2)


def test_time_distributed_passes_masks_on():
    x = draw(3, 5, 2) * HOLES.unsqueeze(-1)
    inputs = lamina.Input((5, 2))
    model = lamina.Model(inputs, LSTM(4)(TimeDistributed(Dense(3))(Masking()(inputs))))
    _, _, each, lstm = model.layers
    torch.testing.assert_close(model(x), lstm(each(x), mask=HOLES))


def test_time_distributed_gives_its_layer_the_mask_of_its_steps():
    words = torch.tensor([[[1, 2, 0], [3, 0, 0]], [[1, 0, 0], [2, 3, 1]]])
    embedded, mask = Embedding(5, 4)(words), words != 0
    layer = TimeDistributed(LSTM(3))
    found = layer(embedded, mask=mask)
    inner = layer.layer
    torch.testing.assert_close(found, torch.stack([inner(embedded[:, i], mask=mask[:, i]) for i in range(2)], 1))


def test_losses_inside_are_kept():
    each = TimeDistributed(Dense(3, activity_regularizer="l2"))
    both = Bidirectional(GRU(3, activity_regularizer="l2"))
    for layer, count in ((each, 1), (both, 2)):
        for _ in range(2):
            layer(draw(2, 4, 5))
        assert len(layer.losses) == count


@pytest.mark.parametrize("make", [lambda: Bidirectional(GRU(3)), lambda: TimeDistributed(Dense(3))])
def test_wrappers_compile_whole_and_in_mixed_precision(make):
    layer, x = make(), draw(2, 4, 5)
    expected = layer(x)
    torch._dynamo.reset()
    torch.testing.assert_close(torch.compile(layer, fullgraph=True, backend="eager")(x), expected)
    with_half = type(layer).from_config({**layer.get_config(), "dtype": "mixed_bfloat16"})
    assert with_half(x).dtype in (torch.float32, torch.bfloat16)


# Errors -----------------------------------------------------------------------------------------------------------

X = torch.zeros(2, 4, 3)


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda: Wrapper(3), "Wrapper: argument `layer` must be a layer; got 3"),
        (lambda: TimeDistributed(Dense), "add parentheses"),
        (lambda: TimeDistributed(Dense(3))(X[0]), "expected at least 3 axes"),
        (lambda: TimeDistributed(Dense(3))(X, mask=torch.ones(2, 3)), r"`mask` passed to .* must have shape \(2, 4\)"),
        (lambda: Bidirectional(3), "Bidirectional: argument `layer` must be a layer; got 3"),
        (lambda: Bidirectional(Dense(3)), "must be a recurrent layer"),
        (lambda: Bidirectional(GRU(3), merge_mode="max"), "`merge_mode` must be one of"),
        (lambda: Bidirectional(GRU(3), backward_layer=GRU(3)), "different `go_backwards`"),
        (
            lambda: Bidirectional(GRU(3), backward_layer=GRU(3, go_backwards=True, return_state=True)),
            "the same `return_state`",
        ),
        (lambda: Bidirectional(GRU(3))(X, initial_state=[X[:, 0]]), "2 halves, .* as many backward ones; got 1"),
    ],
)
def test_bad_use_is_explained(use, words):
    with pytest.raises(ValueError, match=words):
        use()


def test_other_features_are_refused():
    for layer, x in ((Bidirectional(LSTM(3)), X), (TimeDistributed(LSTM(3)), X[None])):
        layer(x)
        with pytest.raises(ValueError, match=r"expected 3 .*; got 5"):
            layer(torch.zeros(*x.shape[:-1], 5))


def test_unfit_states_change_neither_direction():
    layer = Bidirectional(GRU(3, stateful=True))
    layer(X + 1)
    before = [state.clone() for state in layer.states]
    good, bad = torch.ones(2, 3), torch.ones(2, 5)
    with pytest.raises(ValueError, match=r"backward_gru.*`initial_state`, state 0 must have shape \(2, 3\)"):
        layer(X, initial_state=[good, bad])
    assert all(map(torch.equal, layer.states, before))


def test_unfit_states_are_refused_while_a_model_is_made():
    x, h = lamina.Input((4, 3)), lamina.Input((3,))
    assert Bidirectional(GRU(3))(x, initial_state=[h, h]).shape == (None, 6)
    for states in (h, [h], [h, lamina.Input((5,))]):
        with pytest.raises(ValueError, match="`initial_state`"):
            Bidirectional(GRU(3))(x, initial_state=states)


def test_reset_needs_states():
    with pytest.raises(AttributeError, match="stateful=True"):
        Bidirectional(GRU(3)).reset_state()


# Pipeline ---------------------------------------------------------------------------------------------------------


def test_a_pipeline_starts_in_training() -> None:
    pipeline = Pipeline([Dropout(0.5, seed=1), Dense(2)], name="changes")
    x = torch.ones(8, 6)
    assert not torch.equal(pipeline(x), pipeline(x))
    calm = pipeline(x, training=False)
    assert torch.equal(calm, pipeline(x, training=False))
    assert torch.equal(pipeline.eval()(x), calm)
    inputs = lamina.Input((6,))
    model = lamina.Model(inputs, Pipeline([Dropout(0.5), Dense(2)])(inputs))
    np.testing.assert_array_equal(model.predict(x, verbose=0), model.predict(x, verbose=0))
    assert not torch.equal(model(x, training=True), model(x, training=True))


def test_a_pipeline_is_stored_as_keras_3_stores_it(tmp_path: Path) -> None:
    model = lamina.Sequential([lamina.Input((4,)), Pipeline([Dense(3), Dense(2)], name="both")])
    assert {*model.layers[0].get_config()} == {"layers", "name"}
    model.save_weights(tmp_path / "both.weights.h5")
    with h5py.File(tmp_path / "both.weights.h5") as file:
        assert file["layers/pipeline/layers/dense_1/vars/0"].shape == (3, 2)
    model.save(tmp_path / "both.keras")
    again = lamina.models.load_model(tmp_path / "both.keras")
    torch.testing.assert_close(again(torch.ones(2, 4)), model(torch.ones(2, 4)))


def test_a_pipeline_hands_masks_on() -> None:
    x = Masking()(torch.tensor([[[1.0, 2.0], [0.0, 0.0]]]))
    assert torch.equal(Pipeline([Dense(3), lamina.layers.ReLU()])(x)._keras_mask, torch.tensor([[True, False]]))
    with pytest.raises(ValueError, match="`layers` must be a list of layers"):
        Pipeline(Dense(3))


@pytest.mark.parametrize("mode", ["concat", None])
@pytest.mark.parametrize("state", [False, True])
def test_a_backward_layer_of_another_size_has_its_own_shapes(mode, state):
    """As tf_keras 2.21; Keras 3 announces twice the forward layer's."""
    options = {"return_sequences": True, "return_state": state}
    layer = Bidirectional(LSTM(2, **options), mode, backward_layer=LSTM(3, go_backwards=True, **options))
    outputs = layer(torch.ones(4, 5, 6))
    shapes = [tuple(output.shape) for output in outputs] if mode is None or state else tuple(outputs.shape)
    found = layer.compute_output_shape((4, 5, 6))
    assert (list(found) if mode is None or state else found) == shapes
