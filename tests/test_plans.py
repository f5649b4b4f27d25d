"""Plans: what a model's straight line of calls lets go of, and what it does at one go."""

from __future__ import annotations

import inspect
import weakref
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lamina as keras
from lamina import keras1, keras2, tf_keras
from lamina.core.fusion import granted
from lamina.kernels import eager

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


# Layers that follow a convolution ----------------------------------------------------------------------------------

CONVOLUTIONS = {
    "Conv1D": lambda **o: (L.Conv1D(4, 3, padding="causal", **o), (9, 6)),
    "Conv2D": lambda **o: (L.Conv2D(4, 3, strides=2, groups=2, **o), (9, 8, 6)),
    "Conv3D": lambda **o: (L.Conv3D(4, 2, **o), (4, 5, 6, 3)),
    "Conv2DTranspose": lambda **o: (L.Conv2DTranspose(4, 3, strides=2, padding="same", **o), (5, 4, 3)),
    "DepthwiseConv2D": lambda **o: (L.DepthwiseConv2D(3, depth_multiplier=2, **o), (6, 5, 3)),
    "SeparableConv2D": lambda **o: (L.SeparableConv2D(4, 3, depth_multiplier=2, **o), (6, 5, 3)),
    "wide kernel": lambda **o: (L.Conv2D(40, 3, **o), (3, 3, 20)),  # more values in the kernel than in the data
}


def scattered(model: keras.Model) -> keras.Model:
    """The model with weights that tell one from another."""
    for weight in model.weights:
        torch.nn.init.uniform_(weight, 0.2, 1.5)
    return model


@pytest.fixture
def few_are_many(monkeypatch) -> None:
    """Small tensors take the ways that pay for large ones."""
    monkeypatch.setattr(eager, "MANY", 0)


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("kind", CONVOLUTIONS)
@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize("follow", ["", "relu", "pool", "relu pool"])
def test_normalization_of_a_convolution(kind, use_bias, follow) -> None:
    layer, shape = CONVOLUTIONS[kind](use_bias=use_bias, dtype="float64")
    layers = [layer, L.BatchNormalization(center=use_bias, dtype="float64")]
    layers += [L.ReLU(dtype="float64")] * ("relu" in follow)
    if "pool" in follow and kind != "wide kernel":
        layers.append({2: L.MaxPooling1D, 3: L.MaxPooling2D, 4: L.MaxPooling3D}[len(shape)](2, dtype="float64"))
    model = scattered(keras.Sequential([keras.Input(shape, dtype="float64"), *layers]))
    x = torch.randn(8, *shape, dtype=torch.float64)
    assert f"  # {type(layer).__name__} {layer.name!r}, BatchNormalization {layers[1].name!r}\n" in str(model.plan)
    for training in (False, True):
        expected = x
        for each in layers:
            expected = each(expected, training=training) if each is layers[1] else each(expected)
        torch.testing.assert_close(model(x, training=training), expected)
    expected = x
    for each in layers:
        expected = each(expected)
    with torch.no_grad():
        torch.testing.assert_close(model(x), expected)


@pytest.mark.usefixtures("few_are_many")
def test_normalization_of_a_convolution_reads_its_own_weights_each_time() -> None:
    model = keras.Sequential([keras.Input((4, 4, 3)), L.Conv2D(2, 3), L.BatchNormalization()])
    x, normalization = torch.randn(2, 4, 4, 3), model.layers[1]
    with torch.no_grad():
        before = model(x)
        normalization.moving_mean.add_(1)
        normalization.gamma.mul_(2)
        torch.testing.assert_close(model(x), 2 * before - 2 / (1 + normalization.epsilon) ** 0.5)


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [L.Conv2D(4, 3, activation="tanh"), L.BatchNormalization()],
        lambda: [L.Conv2D(4, 3, activation="relu"), L.BatchNormalization()],
        lambda: [L.Conv2D(4, 3), L.BatchNormalization(axis=1)],
        lambda: [L.Conv2D(4, 3), L.LayerNormalization()],
        lambda: [L.Conv2D(4, 3, activity_regularizer="l2"), L.BatchNormalization()],
        lambda: [L.Conv2D(4, 3, dtype="mixed_bfloat16"), L.BatchNormalization(dtype="mixed_bfloat16")],
    ],
)
def test_what_is_no_normalization_of_a_convolution_alone(layers) -> None:
    layers = layers()
    model = scattered(keras.Sequential([keras.Input((6, 6, 3)), *layers]))
    assert f"  # Conv2D {layers[0].name!r}\n" in str(model.plan)
    x = torch.randn(2, 6, 6, 3)
    with torch.no_grad():
        torch.testing.assert_close(model(x), layers[1](layers[0](x)))


@pytest.mark.usefixtures("few_are_many")
def test_adapted_convolutions_are_followed_likewise() -> None:
    layers = [L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU(), L.MaxPooling2D()]
    model = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    layers[0].enable_lora(2)
    expected = x = torch.randn(2, 8, 8, 3)
    for layer in [scattered(model), *layers][1:]:
        expected = layer(expected)
    with torch.no_grad():
        torch.testing.assert_close(model(x), expected)


@pytest.mark.usefixtures("few_are_many")
def test_normalization_of_a_convolution_compiles_for_any_batch() -> None:
    model = scattered(keras.Sequential([keras.Input((6, 6, 3)), L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU()]))
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    with torch.no_grad():
        for size in (2, 3, 40):
            x = torch.randn(size, 6, 6, 3)
            torch._dynamo.mark_dynamic(x, 0)
            torch.testing.assert_close(compiled(x), model(x))


def test_gradients_go_through_the_statistics_in_inference() -> None:
    model = scattered(keras.Sequential([keras.Input((4, 4, 3)), L.Conv2D(2, 3), L.BatchNormalization()]))
    model(torch.randn(2, 4, 4, 3), training=False).sum().backward()
    assert all((weight.grad != 0).any() for weight in model.trainable_weights)


@pytest.mark.parametrize("relu", ["layer", "own"])
@pytest.mark.parametrize("size", [(6, 6), (40, 40)])
def test_relu_goes_behind_the_largest(relu, size) -> None:
    own = relu == "own"
    layers = [L.Conv2D(8, 3, activation="relu" if own else None), *([] if own else [L.ReLU()]), L.MaxPooling2D(2)]
    model = keras.Sequential([keras.Input((*size, 3)), *layers])
    assert "relu=False" in model.plan.source
    assert "relu=True" in model.plan.source
    x = torch.randn(8, *size, 3)
    given = [x.clone().requires_grad_() for _ in range(2)]
    expected = given[1]
    for layer in layers:
        expected = layer(expected)
    for y in (model(given[0]), expected):
        (y * torch.linspace(-1, 1, 8)).sum().backward()
    assert torch.equal(given[0].grad, given[1].grad)
    with torch.no_grad():
        assert torch.equal(model(x), expected)


def test_relu_stays_where_the_average_is_taken() -> None:
    model = keras.Sequential([keras.Input((6, 6, 3)), L.Conv2D(4, 3, activation="relu"), L.AveragePooling2D(2)])
    assert "relu" not in model.plan.source


@pytest.mark.parametrize("layer", [lambda: L.Dense(5), lambda: L.Conv1D(5, 2)])
def test_relu_is_done_by_the_layer_before(layer) -> None:
    layers = [layer(), L.ReLU()]
    model = keras.Sequential([keras.Input((4, 3)), *layers])
    assert "relu=True" in model.plan.source
    x = torch.randn(2, 4, 3)
    assert torch.equal(model(x), layers[1](layers[0](x)))


def test_relu_after_another_activation_is_not() -> None:
    layers = [L.Dense(5, activation="tanh"), L.ReLU()]
    model = keras.Sequential([keras.Input((3,)), *layers])
    assert "relu=" not in model.plan.source
    x = torch.randn(2, 3)
    assert torch.equal(model(x), layers[1](layers[0](x)))


# The order of words in memory ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rnn", [lambda: L.LSTM(3), lambda: L.Bidirectional(L.GRU(3, return_sequences=True))])
def test_words_are_laid_out_as_recurrent_layers_read_them(rnn) -> None:
    layers = [L.Embedding(9, 4), rnn()]
    model = keras.Sequential([keras.Input((5,), dtype="int32"), *layers])
    assert "time_first=True" in model.plan.source
    x = torch.randint(0, 9, (2, 5))
    torch.testing.assert_close(model(x), layers[1](layers[0](x)))


def test_words_that_others_read_are_not() -> None:
    inputs = keras.Input((5,), dtype="int32")
    words = L.Embedding(9, 4)(inputs)
    model = keras.Model(inputs, [L.LSTM(3)(words), L.Flatten()(words)])
    assert "time_first" not in model.plan.source


# Any chain of layers ----------------------------------------------------------------------------------------------

ACTIVATIONS = st.sampled_from([None, None, "relu", "tanh"])
FORMATS = st.sampled_from(["channels_last", "channels_first"])


def links(data_format: str) -> st.SearchStrategy:
    """Strategies for layers that may stand anywhere in a chain over pictures."""
    of_format = {"data_format": st.just(data_format), "dtype": st.just("float64")}
    same = {"padding": st.just("same"), **of_format}
    convolution = {"activation": ACTIVATIONS, "use_bias": st.booleans(), **same}
    plain = {"dtype": st.just("float64")}
    return st.one_of(
        st.builds(L.Conv2D, st.integers(2, 4), st.integers(1, 3), strides=st.integers(1, 2), **convolution),
        st.builds(L.SeparableConv2D, st.integers(2, 4), st.integers(1, 3), **convolution),
        st.builds(L.DepthwiseConv2D, st.integers(1, 3), depth_multiplier=st.integers(1, 2), **convolution),
        st.builds(L.Conv2DTranspose, st.integers(2, 3), st.integers(1, 3), **convolution),
        st.builds(L.BatchNormalization, axis=st.sampled_from([-1, 1]), scale=st.booleans(), **plain),
        st.builds(L.Dense, st.integers(2, 4), activation=ACTIVATIONS, **plain),
        st.builds(L.ReLU, max_value=st.sampled_from([None, None, 1.0]), **plain),
        st.builds(L.Activation, st.sampled_from(["relu", "relu", "softplus"]), **plain),
        st.builds(L.MaxPooling2D, st.integers(1, 3), strides=st.integers(1, 2), **same),
        st.builds(L.AveragePooling2D, st.integers(1, 2), **same),
    )


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_plan_gives_what_its_layers_give(data) -> None:
    layers = data.draw(st.lists(links(data.draw(FORMATS)), min_size=2, max_size=6))
    model = scattered(keras.Sequential([keras.Input((6, 5, 4), dtype="float64"), *layers]))
    x = torch.randn(3, 6, 5, 4, dtype=torch.float64)

    def one_by_one(values: torch.Tensor) -> torch.Tensor:
        for layer in layers:
            values = layer(values)
        return values

    with torch.no_grad(), mock.patch.object(eager, "MANY", 0):
        torch.testing.assert_close(model(x), one_by_one(x))
    for training in (False, True):
        model.train(training)
        found = []
        for run in (model, one_by_one):
            given_x = x.clone().requires_grad_()
            model.zero_grad()
            run(given_x).sin().sum().backward()
            found.append([given_x.grad, *(weight.grad for weight in model.trainable_weights)])
        torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_sum_and_the_relu_behind_it_run_as_one_and_leave_the_inputs_alone(count: int) -> None:
    inputs = [keras.Input((4,)) for _ in range(count)]
    total = L.Add()(inputs)
    model = keras.Model(inputs, [L.ReLU()(total), *inputs])
    assert "relu=True" in model.plan.source
    given = [torch.randn(3, 4, requires_grad=True) for _ in inputs]
    positive, *same = model(given)
    torch.testing.assert_close(positive, sum(given).relu())  # type: ignore[union-attr]
    positive.sum().backward()
    assert all(torch.equal(x, y) for x, y in zip(same, given, strict=True))
    assert all(torch.equal(x.grad, (positive > 0).float()) for x in given if x.grad is not None)
    both = keras.Model(inputs, [total, L.ReLU()(total)])
    plain, _ = both(given)
    torch.testing.assert_close(plain, sum(given))


# Wishes that a call grants ---------------------------------------------------------------------------------------

SPACES = [keras, keras1, keras2, tf_keras]


def pictures(space) -> keras.Model:
    layers, options = space.layers, {} if space is keras else {"input_shape": (16, 16, 3)}
    first = [keras.Input((16, 16, 3))] if space is keras else []
    if space is keras1:
        conv = layers.Convolution2D(8, 3, 3, border_mode="same", dim_ordering="tf", **options)
        pool = layers.MaxPooling2D(dim_ordering="tf")
    else:
        conv, pool = layers.Conv2D(8, 3, padding="same", **options), layers.MaxPooling2D()
    rest = [layers.BatchNormalization(axis=-1), layers.Activation("relu"), pool, layers.Flatten()]
    return space.models.Sequential([*first, conv, *rest, layers.Dense(4), layers.Activation("relu")])


def test_every_generation_has_the_same_plan() -> None:
    plans = [pictures(space).plan.source for space in SPACES]
    assert plans[0].count("\n") < 8
    assert all(plan == plans[0] for plan in plans)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("training", [False, True])
def test_plans_of_every_generation_give_what_the_layers_give(space, training) -> None:
    model, x = scattered(pictures(space)), torch.randn(4, 16, 16, 3)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    expected = x
    for layer in model.layers:
        expected = layer(expected, training=training) if layer._takes_training else layer(expected)
    model.load_state_dict(state)
    torch.testing.assert_close(model(x, training=training), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("space", SPACES)
def test_words_are_laid_out_time_first_in_every_generation(space) -> None:
    words = space.layers.Input((7,))
    model = space.models.Model(words, space.layers.LSTM(3)(space.layers.Embedding(9, 4)(words)))
    assert "time_first=True" in model.plan.source
    x = torch.randint(0, 9, (2, 7))
    torch.testing.assert_close(model(x), model.layers[2](model.layers[1](x)))


@pytest.mark.parametrize("space", [keras, keras2, tf_keras])
@pytest.mark.parametrize("cell", ["LSTMCell", "GRUCell", "SimpleRNNCell"])
def test_cells_of_every_generation_run_a_sequence_at_once(space, cell) -> None:
    layer, x = space.layers.RNN(getattr(space.layers, cell)(3), return_sequences=True), torch.randn(2, 5, 4)
    with mock.patch("lamina.layers.recurrent._step_of", side_effect=AssertionError("step by step")):
        found = layer(x)
    states, steps = layer.cell.get_initial_state(batch_size=2), []
    for index in range(5):
        y, states = layer.cell(x[:, index], states)
        steps.append(y)
    torch.testing.assert_close(found, torch.stack(steps, 1))


def test_a_call_of_ones_own_grants_nothing() -> None:
    class Doubled(L.Conv2D):
        def call(self, inputs):
            return super().call(inputs) * 2

    class Cell(L.LSTMCell):
        def call(self, inputs, states, training=False):
            y, states = super().call(inputs, states, training)
            return y * 2, states

    conv = Doubled(4, 3)
    model = keras.Sequential([keras.Input((6, 6, 3)), conv, L.BatchNormalization(), L.ReLU()])
    x = torch.randn(2, 6, 6, 3)
    torch.testing.assert_close(model(x), model.layers[2](model.layers[1](conv(x))))
    assert f"Doubled {conv.name!r}\n" in str(model.plan)
    assert not granted(conv)
    plain, own = L.RNN(L.LSTMCell(3)), L.RNN(Cell(3))
    plain(y := torch.randn(2, 5, 4))
    own(y)
    own.set_weights(plain.get_weights())
    torch.testing.assert_close(own(y), plain(y) * 2)


@pytest.mark.parametrize(
    "cls", [L.Conv2D, L.SeparableConv2D, L.Dense, L.BatchNormalization, L.MaxPooling2D, L.Embedding]
)
def test_what_plans_wish_for_is_no_part_of_the_signature(cls) -> None:
    assert granted(cls.__new__(cls))
    assert set(inspect.signature(cls.call).parameters) <= {"self", "inputs", "training", "mask", "states"}
