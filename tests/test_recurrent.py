"""Recurrent layers against their cells run step by step, and what only layers have: states, masks, stacks, errors."""

from __future__ import annotations

import copy
import inspect
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.frames import frames

import lamina
from lamina.layers import (
    GRU,
    LSTM,
    RNN,
    Dense,
    Embedding,
    GRUCell,
    Layer,
    LSTMCell,
    SimpleRNN,
    SimpleRNNCell,
    StackedRNNCells,
)

LAYERS = [SimpleRNN, LSTM, GRU]
HOLES = torch.tensor([[1, 0, 1, 1, 0], [0, 0, 1, 0, 1], [0, 0, 0, 0, 0]]).bool()


def draw(*shape, dtype=torch.float32, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def randomize(layer):
    with torch.no_grad():
        for index, weight in enumerate(layer.weights):
            weight.copy_(0.5 * draw(*weight.shape, seed=index))
    return layer


def step_by_step(cell, x, states, mask=None, backwards=False, zero=False):
    """What Keras documents: one call of the cell a step; all outputs as they come, and the last states."""
    steps = list(range(x.shape[1]))[:: -1 if backwards else 1]
    outputs, before = [], torch.zeros(x.shape[0], cell.units, dtype=x.dtype)
    for t in steps:
        output, fresh = cell(x[:, t], states)
        if mask is not None:
            valid = mask[:, t, None]
            fresh = [torch.where(valid, new, old) for new, old in zip(fresh, states, strict=True)]
            output = torch.where(valid, output, torch.zeros_like(output) if zero else before)
        states, before = fresh, output
        outputs.append(output)
    return torch.stack(outputs, 1), states


@settings(max_examples=60)
@given(
    cls=st.sampled_from(LAYERS),
    activation=st.sampled_from(["tanh", "relu", "linear"]),
    gate=st.sampled_from(["sigmoid", "hard_sigmoid"]),
    use_bias=st.booleans(),
    reset_after=st.booleans(),
    backwards=st.booleans(),
    masked=st.booleans(),
    zero=st.booleans(),
    initial=st.booleans(),
    sequences=st.booleans(),
    use_cudnn=st.sampled_from(["auto", False]),
)
def test_layer_is_its_cell_step_by_step(
    cls, activation, gate, use_bias, reset_after, backwards, masked, zero, initial, sequences, use_cudnn
):
    options = {"recurrent_activation": gate, "use_cudnn": use_cudnn} if cls is not SimpleRNN else {}
    options |= {"reset_after": reset_after} if cls is GRU else {}
    layer = cls(
        4,
        activation=activation,
        use_bias=use_bias,
        go_backwards=backwards,
        return_sequences=sequences,
        return_state=True,
        zero_output_for_mask=zero,
        dtype="float64",
        **options,
    )
    x = draw(3, 5, 2, dtype=torch.float64)
    layer(x)
    randomize(layer)
    states = [draw(3, 4, dtype=torch.float64, seed=9 + i) for i in range(len(layer.state_size))]
    mask = HOLES if masked else None
    start = states if initial else [torch.zeros_like(state) for state in states]
    expected, ends = step_by_step(layer.cell, x, start, mask, backwards, zero)
    output, *found = layer(x, initial_state=states if initial else None, mask=mask)
    torch.testing.assert_close(output, expected if sequences else expected[:, -1])
    torch.testing.assert_close(found, list(ends))


@pytest.mark.parametrize("cls", LAYERS)
def test_signature_stands_in_keras_order(cls):
    names = [p.name for p in inspect.signature(cls).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert names[:2] == ["units", "activation"]
    assert names[-1] == {SimpleRNN: "seed", LSTM: "use_cudnn", GRU: "use_cudnn"}[cls]
    assert issubclass(cls, RNN)
    assert "cell" not in names
    assert "cell" not in cls(3).get_config()


@pytest.mark.parametrize("cls", LAYERS)
def test_weights_have_keras_names_and_torch_order(cls):
    layer = cls(3, name="rnn")
    layer(draw(2, 4, 5))
    cell = layer.cell.name
    assert [w.path for w in layer.weights] == [f"rnn/{cell}/{name}" for name in ("kernel", "recurrent_kernel", "bias")]
    assert layer.cell.kernel.t().is_contiguous()
    assert layer.cell.recurrent_kernel.t().is_contiguous()


@pytest.mark.parametrize(("opens", "first"), [(True, 1), (False, 0)])
def test_forget_gate_may_start_open(opens, first):
    layer = LSTM(2, unit_forget_bias=opens)
    layer.build((None, None, 3))
    np.testing.assert_array_equal(layer.get_weights()[2], [0, 0, first, first, 0, 0, 0, 0])


@pytest.mark.parametrize("cls", LAYERS)
def test_plain_call_takes_few_frames(cls):
    layer, x = cls(8), draw(2, 8, 8)
    layer(x)
    with torch.no_grad():
        assert len(frames(lambda: layer(x))) <= 8


# Initial states ---------------------------------------------------------------------------------------------------


def test_initial_state_as_tensor_list_or_with_the_inputs():
    layer, x, h = GRU(3), draw(2, 4, 5), draw(2, 3, seed=1)
    expected = layer(x, initial_state=[h])
    assert not torch.allclose(expected, layer(x))
    for found in (layer(x, initial_state=h), layer([x, h]), layer(x, h)):
        torch.testing.assert_close(found, expected)


def test_symbolic_initial_state_is_part_of_the_graph():
    x, h, c = lamina.Input((4, 5)), lamina.Input((3,)), lamina.Input((3,))
    layer = LSTM(3)
    for call in (lambda: layer([x, h, c]), lambda: layer(x, initial_state=[h, c])):
        model = lamina.Model([x, h, c], call())
        values = draw(2, 4, 5), draw(2, 3, seed=1), draw(2, 3, seed=2)
        torch.testing.assert_close(model(list(values)), layer(values[0], initial_state=list(values[1:])))


def test_encoder_states_start_a_decoder():
    x, y = lamina.Input((4, 5)), lamina.Input((None, 5))
    _, *states = LSTM(3, return_state=True, name="encoder")(x)
    decoded = LSTM(3, return_sequences=True, name="decoder")(y, initial_state=states)
    assert decoded.shape == (None, None, 3)
    model = lamina.Model([x, y], decoded)
    assert model([draw(2, 4, 5), draw(2, 6, 5)]).shape == (2, 6, 3)


# Masks ------------------------------------------------------------------------------------------------------------


def test_embedding_mask_reaches_through_a_stack_of_layers():
    tokens = torch.tensor([[1, 2, 0, 0], [3, 0, 2, 1]])
    model = lamina.Sequential([Embedding(5, 3, mask_zero=True), GRU(4, return_sequences=True), LSTM(2)])
    found = model(tokens)
    embedding, gru, lstm = model.layers
    mask = tokens != 0
    torch.testing.assert_close(found, lstm(gru(embedding(tokens), mask=mask), mask=mask))
    torch.testing.assert_close(model(tokens[:1]), model(tokens[:1, :2]))


def test_number_masks_are_masks():
    layer, x = LSTM(3), draw(3, 5, 2)
    torch.testing.assert_close(layer(x, mask=HOLES.float()), layer(x, mask=HOLES))


@pytest.mark.parametrize(("sequences", "state"), [(True, False), (False, False), (True, True)])
def test_compute_mask(sequences, state):
    layer = LSTM(3, return_sequences=sequences, return_state=state)
    steps = HOLES if sequences else None
    found = layer.compute_mask(None, HOLES)
    first, *others = found if state else [found]
    assert first is steps
    assert others == [None, None] * state


# Stateful ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", LAYERS)
def test_stateful_continues_where_it_stopped(cls):
    layer = cls(3, stateful=True, return_sequences=True)
    x = draw(2, 6, 4)
    first, second = layer(x[:, :2]), layer(x[:, 2:])
    layer.reset_state()
    torch.testing.assert_close(torch.cat((first, second), 1), layer(x))
    kept = [state.clone() for state in layer.states]
    layer.reset_states([torch.ones(2, 3)] * len(kept))
    assert all(state.eq(1).all() for state in layer.states)
    layer.reset_states()
    assert not any(state.any() for state in layer.states)
    assert len(layer.weights) == 3
    assert not any("state" in name for name in layer.state_dict())


def test_stateful_trains_over_several_batches():
    layer, x = LSTM(3, stateful=True), draw(2, 4, 5)
    (layer(x).sum() + layer(x).sum()).backward()
    assert layer.cell.kernel.grad is not None


def test_stateful_keeps_its_state_inside_a_plan_and_when_compiled():
    x = draw(2, 4, 5)
    layer = GRU(3, stateful=True)
    inputs = lamina.Input(batch_shape=(2, 4, 5))
    model = lamina.Model(inputs, layer(inputs))
    torch._dynamo.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    layer.reset_state()
    expected = layer(x), layer(x)
    for call in (model, compiled):
        layer.reset_state()
        torch.testing.assert_close((call(x), call(x)), expected)


# Any cell ---------------------------------------------------------------------------------------------------------


class Minimal(Layer):
    """A cell as Keras' guide writes it."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
        self.recurrent_kernel = self.add_weight(shape=(self.units, self.units), name="recurrent_kernel")

    def call(self, inputs, states):
        output = inputs @ self.kernel + states[0] @ self.recurrent_kernel
        return output, [output]


class Counting(Layer):
    """Two states, an output of another size, a first state of its own, layers inside, and no `build`."""

    output_size = 4

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.state_size = [2, 1]
        self.inner, self.outer = Dense(2), Dense(4)

    def get_initial_state(self, batch_size=None):
        return [torch.zeros(batch_size, 2), torch.full((batch_size, 1), 10.0)]

    def call(self, inputs, states, training=False):
        h = torch.tanh(self.inner(inputs) + states[0])
        return self.outer(h) * (2.0 if training else 1.0), [h, states[1] + 1]


def test_user_cell_runs_like_a_simple_rnn():
    x = draw(3, 5, 2)
    layer = RNN(Minimal(4, name="minimal"), return_sequences=True, go_backwards=True)
    twin = SimpleRNN(4, activation=None, use_bias=False, return_sequences=True, go_backwards=True)
    assert layer(x, mask=HOLES).shape == twin(x).shape
    twin.set_weights(layer.get_weights())
    torch.testing.assert_close(layer(x, mask=HOLES), twin(x, mask=HOLES))
    assert [w.path.split("/")[1] for w in layer.weights] == ["minimal", "minimal"]


class Sum:
    """A cell that is no layer: it weighs what it adds up."""

    def __init__(self, features, factor=2.0):
        self.state_size, self.factor = features, factor

    def call(self, inputs, states):
        total = states[0] + self.factor * inputs
        return total, [total]


@pytest.mark.parametrize("words", [lamina.keras2, lamina.tf_keras, lamina], ids=lambda one: one.__name__)
def test_a_cell_may_be_no_layer(words):
    x = draw(3, 5, 2)
    layers, total = words.layers, 2 * x.cumsum(1)
    torch.testing.assert_close(layers.RNN(Sum(2), return_sequences=True)(x), total)
    torch.testing.assert_close(layers.RNN([Sum(2), Sum(2, 3.0)])(x), 3 * total.sum(1))
    torch.testing.assert_close(layers.RNN(Sum(2), go_backwards=True)(x), total[:, -1])
    model = words.Sequential([words.Input((5, 2)), layers.RNN(Sum(2), return_sequences=True), layers.RNN(Sum(2, 1.0))])
    torch.testing.assert_close(model(x), total.sum(1))


def test_user_cell_with_its_own_states_and_layers():
    layer = RNN(Counting(), return_state=True)
    symbolic = layer(lamina.Input((5, 2)))
    assert [s.shape for s in symbolic] == [(None, 4), (None, 2), (None, 1)]
    assert len(layer.weights) == 4
    x = draw(3, 5, 2)
    output, _, count = layer(x)
    assert output.shape == (3, 4)
    assert count.eq(15).all()
    torch.testing.assert_close(layer(x, training=True)[0], 2 * output)


def test_layer_of_a_known_cell_is_the_layer_of_that_name():
    x = draw(3, 5, 2)
    layer, twin = RNN(LSTMCell(4), return_sequences=True), LSTM(4, return_sequences=True)
    layer(x), twin(x)
    twin.set_weights(layer.get_weights())
    torch.testing.assert_close(layer(x, mask=HOLES), twin(x, mask=HOLES))


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_stack_runs_as_its_cells_step_by_step(backwards, masked):
    class Stepwise(StackedRNNCells):
        """Not known to the layer, which therefore calls it at every step."""

    cells = [LSTMCell(3), Minimal(2), GRUCell(4)]
    options = {"go_backwards": backwards, "return_sequences": True, "return_state": True}
    layer, slow = RNN(cells, **options), RNN(Stepwise(cells), **options)
    x, mask = draw(3, 5, 2), HOLES if masked else None
    output, (h, c), middle, top = layer(x, mask=mask)
    assert [t.shape[1] for t in (h, c, middle, top)] == [3, 3, 2, 4]
    torch.testing.assert_close((output, [h, c], middle, top), slow(x, mask=mask))
    assert layer.compute_output_shape((3, 5, 2)) == ((3, 5, 4), [(3, 3), (3, 3)], (3, 2), (3, 4))


def test_stack_takes_its_states_back():
    layer, x = RNN([GRUCell(3), LSTMCell(2)], return_state=True), draw(2, 6, 4)
    expected = layer(x)
    _, *states = layer(x[:, :2])
    torch.testing.assert_close(layer(x[:, 2:], initial_state=states), expected)


# Dropout ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", LAYERS)
@pytest.mark.parametrize("rates", [(0.5, 0.0), (0.0, 0.5), (0.4, 0.4), (1.0, 0.0)])
def test_dropout_is_for_training_and_seeded(cls, rates):
    def make():
        torch.manual_seed(0)
        layer = cls(16, dropout=rates[0], recurrent_dropout=rates[1], seed=7)
        layer(x)
        return layer

    x = draw(4, 5, 8)
    layer, plain = make(), cls(16)
    plain(x)
    plain.set_weights(layer.get_weights())
    torch.testing.assert_close(layer(x), plain(x))
    first = layer(x, training=True)
    assert not torch.allclose(first, plain(x))
    torch.testing.assert_close(first, make()(x, training=True))
    if rates[0] == 1:
        torch.testing.assert_close(first, plain(torch.zeros_like(x)))
    else:
        assert not torch.allclose(first, layer(x, training=True))


# Types, copies, compilation ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", LAYERS)
def test_mixed_precision_computes_in_half_and_trains_in_float(cls):
    layer = cls(4, dtype="mixed_bfloat16", return_state=True)
    x = draw(2, 3, 5)
    outputs = layer(x, initial_state=[draw(2, 4, seed=i) for i in range(len(layer.state_size))])
    assert all(output.dtype is torch.bfloat16 for output in outputs)
    sum(output.sum() for output in outputs).backward()
    assert all(weight.dtype is weight.grad.dtype is torch.float32 for weight in layer.weights)


@pytest.mark.parametrize("cls", LAYERS)
@pytest.mark.parametrize("again", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_of_a_built_stateful_layer_stand_alone(cls, again):
    layer, x = cls(3, stateful=True), draw(2, 4, 5)
    layer(x)
    twin = again(layer)
    torch.testing.assert_close(twin(x), layer(x))
    twin.reset_state()
    assert all(state.any() for state in layer.states)


@pytest.mark.parametrize("cls", LAYERS)
@pytest.mark.parametrize("masked", [False, True])
def test_compiles_whole(cls, masked):
    layer = cls(3, return_sequences=True, return_state=True)
    x, mask = draw(3, 5, 2), HOLES if masked else None
    states = [draw(3, 3, seed=i) for i in range(len(layer.state_size))]
    expected = layer(x, initial_state=states, mask=mask)
    torch._dynamo.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x, initial_state=states, mask=mask), expected)


def test_parametrized_weights_are_used():
    layer, x = GRU(3), draw(2, 4, 5)
    before = layer(x)
    torch.nn.utils.parametrize.register_parametrization(layer.cell, "kernel", torch.nn.Identity())
    torch.testing.assert_close(layer(x), before)


def test_config_with_unregistered_cell_comes_back_with_custom_objects():
    layer = RNN(Minimal(4), stateful=True)
    config = layer.get_config()
    again = RNN.from_config(config, custom_objects={"Minimal": Minimal})
    assert again.cell.units == 4
    assert again.stateful


# Errors -----------------------------------------------------------------------------------------------------------

X = torch.zeros(2, 4, 3)


@pytest.mark.parametrize(
    ("use", "error", "words"),
    [
        (lambda: LSTM(0), ValueError, "LSTM: argument `units`"),
        (lambda: LSTM(3, dropout=1.5), ValueError, "`dropout` must be a number from 0 to 1"),
        (lambda: LSTM(3, use_cudnn=3), ValueError, "`use_cudnn`"),
        (lambda: SimpleRNN(3, implementation=1), ValueError, "no argument `implementation`"),
        (lambda: LSTM(3)(X[0]), ValueError, "expected 3 axes .batch, steps, features.; got 2"),
        (
            lambda: LSTM(3)(lamina.Input((4, None))),
            ValueError,
            "features axis .axis 2. of the input tensor should have a defined dimension",
        ),
        (lambda: LSTM(3)(X[:, :0]), ValueError, "at least one step"),
        (lambda: LSTM(3)(X, initial_state=[X[:, 0]]), ValueError, "expected 2 states in `initial_state`; got 1"),
        (lambda: GRU(3)(X, initial_state=torch.zeros(2, 5)), ValueError, r"state 0 must have shape \(2, 3\)"),
        (lambda: GRU(3)([lamina.Input((4, 3)), lamina.Input((5,))]), ValueError, r"must have shape \(None, 3\)"),
        (lambda: GRU(3)(X, mask=torch.ones(2, 3).bool()), ValueError, r"`mask` passed to .* must have shape \(2, 4\)"),
        (lambda: GRU(3, stateful=True)(lamina.Input((4, 3))), ValueError, "known batch size"),
        (lambda: RNN(3), ValueError, "RNN: argument `cell` must be a cell"),
        (lambda: RNN(Dense(3)), ValueError, "needs a `state_size`"),
        (lambda: StackedRNNCells([]), ValueError, "argument `cells` must be a list of cells"),
        (lambda: SimpleRNNCell(3)(X[:, 0], [X[:, 0], X[:, 0]]), ValueError, "expected 1 states; got 2"),
    ],
)
def test_bad_use_is_explained(use, error, words):
    with pytest.raises(error, match=words):
        use()


@pytest.mark.parametrize("make", [lambda: LSTM(3), lambda: GRU(3), lambda: RNN([LSTMCell(3), GRUCell(3)])])
@pytest.mark.parametrize("features", [2, 5])
def test_other_features_are_refused(make, features):
    layer = make()
    layer(X)
    for gradient in (True, False):
        with torch.set_grad_enabled(gradient), pytest.raises(ValueError, match=f"expected 3 .*; got {features}"):
            layer(torch.zeros(2, 4, features))


def test_stateful_refuses_another_batch_size():
    layer = GRU(3, stateful=True)
    layer(X)
    with pytest.raises(ValueError, match="built for a batch size of 2; got 1"):
        layer(X[:1])


@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU", "Bidirectional"])
@pytest.mark.parametrize("given", [False, True], ids=["zeros", "states"])
def test_a_compiled_layer_has_gradients_for_its_weights(name: str, given: bool) -> None:
    inner = lamina.layers.LSTM(3, return_sequences=True)
    layer = lamina.layers.Bidirectional(inner) if name == "Bidirectional" else getattr(lamina.layers, name)(3)
    x = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    states = {"SimpleRNN": 1, "GRU": 1, "LSTM": 2, "Bidirectional": 4}[name] if given else 0
    start = [torch.full((2, 3), 0.1) for _ in range(states)] or None
    layer(x, initial_state=start)
    torch._dynamo.reset()
    found = []
    for run in (layer, torch.compile(layer, fullgraph=True, backend="aot_eager")):
        layer.zero_grad()
        run(x, initial_state=start).square().sum().backward()
        found.append([weight.grad for weight in layer.trainable_weights])
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs)
