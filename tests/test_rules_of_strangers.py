"""What code of more public repositories relies on: layers, losses, optimizers and callbacks of the time."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest
import torch

import lamina
from lamina import keras1, keras2, tf_keras
from lamina.generations import install, tensors
from lamina.generations.alias import uninstall
from lamina.training import loop

OLDER = pytest.mark.parametrize("space", [keras1, keras2], ids=["keras1", "keras2"])
X = np.arange(8, dtype="float32").reshape(2, 4) / 8


@pytest.fixture(autouse=True)
def where_old_code_runs() -> Iterator[None]:
    """As `install` leaves tensors."""
    tensors.as_old_code_has_them(True)
    yield
    tensors.as_old_code_has_them(False)


@pytest.fixture
def early() -> Iterator[None]:
    install("keras2.2")
    yield
    uninstall()


def _model(space: ModuleType, layer: Any, out: int = 1) -> Any:
    x = space.layers.Input((4,))
    return space.models.Model(x, space.layers.Dense(out)(layer(x)))


# Keras 2.0 to 2.2 -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("early")
def test_gates_before_keras_2_3_are_hard_sigmoids() -> None:
    layers = keras2.layers
    for layer in (layers.LSTM(2), layers.GRU(2), layers.Bidirectional(layers.LSTM(2)).layer, layers.LSTMCell(2)):
        assert layer.get_config()["recurrent_activation"] == "hard_sigmoid"
    assert layers.LSTM(2, recurrent_activation="sigmoid").get_config()["recurrent_activation"] == "sigmoid"
    assert layers.LSTM(2, "tanh", "sigmoid").get_config()["recurrent_activation"] == "sigmoid"


def test_gates_since_keras_2_3_are_sigmoids() -> None:
    assert keras2.layers.LSTM(2).get_config()["recurrent_activation"] == "sigmoid"


@pytest.mark.usefixtures("early")
def test_losses_before_keras_2_3_leave_out_samples_of_weight_0() -> None:
    model = keras2.models.Sequential([keras2.layers.Dense(1, input_shape=(4,), kernel_initializer="zeros")])
    model.compile("sgd", "mse", metrics=["accuracy"])
    assert model.metrics_names == ["loss", "acc"]
    y = np.array([[2.0], [4.0]])
    assert model.test_on_batch(X, y, sample_weight=np.array([1.0, 0.0]))[0] == pytest.approx(4.0)


@pytest.mark.usefixtures("early")
def test_variables_as_attributes_before_keras_2_3_are_no_weights() -> None:
    class Scaled(keras2.layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.fixed = keras2.backend.ones((4,))
            self.own = self.add_weight(name="own", shape=(4,), initializer="ones")
            super().build(input_shape)

        def call(self, x: Any) -> Any:
            return x * self.own * self.fixed

    assert len(_model(keras2, Scaled()).get_weights()) == 3


# What a call sets, and losses that know of it ---------------------------------------------------------------------


@pytest.mark.parametrize("rule", [False, True], ids=["traced", "by its rule"])
@OLDER
def test_what_a_call_sets_on_its_layer_is_symbolic(space: ModuleType, rule: bool) -> None:
    class Penalized(space.layers.Layer):
        def call(self, x: Any, mask: Any = None) -> Any:
            self.size = space.backend.sum(space.backend.square(x), axis=-1)
            return x * 2

        if rule:
            compute_output_shape = get_output_shape_for = lambda self, input_shape: input_shape

    layer = Penalized()
    model = _model(space, layer)
    size = layer.size
    model.compile("sgd", lambda y, p: space.backend.mean(space.backend.square(p), axis=-1) * 0 + size)
    assert model.train_on_batch(X, np.zeros((2, 1))) == pytest.approx(float((X**2).sum(-1).mean()))
    found = space.backend.function([model.input], [size])([X])[0]
    np.testing.assert_allclose(found, (X**2).sum(-1), rtol=1e-6)


@OLDER
def test_a_shape_rule_may_go_by_what_the_call_has_set(space: ModuleType) -> None:
    class Halves(space.layers.Layer):
        parts = None

        def call(self, x: Any, mask: Any = None) -> Any:
            self.parts = [1, 3]
            return x[:, :3]

        def compute_output_shape(self, input_shape: Any) -> Any:
            return (input_shape[0], max(self.parts))  # type: ignore[call-overload]

        get_output_shape_for = compute_output_shape

    assert _model(space, Halves()).predict(X).shape == (2, 1)


@OLDER
def test_metrics_may_be_appended_beside_their_names(space: ModuleType) -> None:
    model = _model(space, space.layers.Activation("linear"))
    model.compile("sgd", "mse")
    model.metrics_names.append("size")
    model.metrics_tensors.append(space.backend.sum(model.output) * 0 + 3)
    assert model.train_on_batch(X, np.zeros((2, 1)))[-1] == pytest.approx(3.0)


def test_updates_appended_to_a_model_are_made_by_its_steps() -> None:
    model, backend = _model(keras2, keras2.layers.Activation("linear")), keras2.backend
    model.compile("sgd", "mse")
    steps, average = backend.variable(0.0), backend.zeros((4, 1))
    model.metrics_updates.append(backend.update_add(steps, 1))
    model.metrics_updates.append(backend.moving_average_update(average, model.weights[0], 0.5))
    model.train_on_batch(X, np.ones((2, 1)))
    assert np.allclose(backend.get_value(average), 0.5 * model.get_weights()[0])
    model.fit(X, np.ones((2, 1)), verbose=0)
    model.evaluate(X, np.ones((2, 1)), verbose=0)
    assert float(backend.get_value(steps)) == 3.0


@OLDER
def test_losses_name_symbolic_tensors_that_an_object_holds(space: ModuleType) -> None:
    backend, layers = space.backend, space.layers

    class Builder:
        def __init__(self) -> None:
            x = layers.Input((4,))
            self.mean = layers.Dense(2)(x)
            self.made = space.models.Model(x, layers.Dense(4)(self.mean))
            self.inner = self

        def compiled(self) -> Any:
            def own(y_true: Any, y_pred: Any) -> Any:
                return backend.sum(backend.square(self.inner.mean), axis=1)

            def loss(y_true: Any, y_pred: Any) -> Any:
                return backend.mean(backend.square(y_true - y_pred), axis=1) + own(y_true, y_pred)

            self.made.compile("sgd", loss, metrics=[own])
            return self.made

    model = Builder().compiled()
    mean = space.models.Model(model.input, model.layers[1].output).predict(X)
    value = np.mean(np.sum(mean**2, 1))
    fits = np.mean((X - model.predict(X)) ** 2)
    assert model.test_on_batch(X, X) == pytest.approx([fits + value, value], rel=1e-5)


@pytest.mark.filterwarnings("ignore:.*was set after")
@pytest.mark.parametrize(("thawed", "moved"), [(False, []), (True, ["its own", "the generator's"])])
def test_steps_of_keras_2_move_averages_of_what_is_trainable_at_the_first(thawed: bool, moved: list[str]) -> None:
    """As with Keras 2.3.1: a discriminator frozen for the combined model keeps its averages in its own steps, too."""
    layers, models = keras2.layers, keras2.models
    judge = models.Sequential([layers.BatchNormalization(input_shape=(4,)), layers.Dense(1)])
    judge.compile("sgd", "mse")
    judge.trainable = False
    x = layers.Input((4,))
    maker = models.Sequential([layers.BatchNormalization(input_shape=(4,)), layers.Dense(4)])
    both = models.Model(x, judge(maker(x)))
    both.compile("sgd", "mse")
    judge.trainable = thawed
    found, before = [], judge.layers[0].get_weights()[2:]
    for name, model in (("its own", judge), ("the generator's", both)):
        weights = judge.layers[1].get_weights()[0]
        for _ in range(2):
            model.train_on_batch(X, np.zeros((2, 1)))
        after = judge.layers[0].get_weights()[2:]
        found += [name] if not np.array_equal(before, after) else []
        before = after
        assert np.array_equal(weights, judge.layers[1].get_weights()[0]) == (model is both)
    assert found == moved
    assert not np.array_equal(maker.layers[0].get_weights()[2], np.zeros(4))


@pytest.mark.parametrize("space", [lamina, keras2, tf_keras], ids=["keras3", "keras2", "tf_keras"])
def test_who_sets_a_name_of_layers_leaves_the_same_name_above_alone(
    space: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room, name in ((space.layers, "Input"), (space.models, "Model"), (space.models, "Sequential")):
        monkeypatch.setattr(room, name, None)
        assert getattr(space, name) is not None


@pytest.mark.parametrize("space", [lamina, keras2, tf_keras], ids=["keras3", "keras2", "tf_keras"])
def test_building_on_the_way_to_a_call_asks_no_shapes_of_whole_numbers(space: ModuleType) -> None:
    class Summing(space.layers.Layer):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.inner = space.layers.Dense(3)

        def build(self, input_shape: Any) -> None:
            super().build(input_shape)

        def call(self, inputs: Any) -> Any:
            rows, places = inputs
            rows = self.inner(rows)
            return torch.zeros(2, 3).scatter_reduce(0, places[:, None].expand_as(rows), rows, "sum")

        def compute_output_shape(self, input_shape: Any) -> Any:
            return (2, 3)

    layer = Summing()
    found = layer([space.layers.Input((4,)), space.layers.Input(batch_shape=(None,), dtype="int64")])
    assert tuple(found.shape) == (2, 3) and len(layer.weights) == 2
    assert layer([torch.ones(3, 4), torch.tensor([0, 1, 1])]).shape == (2, 3)


# Optimizers and training ------------------------------------------------------------------------------------------


@OLDER
def test_numbers_of_an_optimizer_are_set_like_variables(space: ModuleType) -> None:
    model = _model(space, space.layers.Activation("linear"))
    optimizer = space.optimizers.SGD(lr=0.1, momentum=0.9)
    model.compile(optimizer, "mse")
    space.backend.set_value(optimizer.momentum, 0.0)
    model.train_on_batch(X, np.ones((2, 1)))
    before = model.get_weights()
    space.backend.set_value(optimizer.lr, 0.0)
    model.train_on_batch(X, np.ones((2, 1)))
    assert optimizer.get_config()["momentum"] == 0.0
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_remainders_follow_their_variable() -> None:
    K = keras2.backend
    count = K.variable(3, dtype="int64")
    whole, rest, of = K.equal(count % 3, 0), count // 2, 7 % count
    assert (K.eval(whole), K.eval(rest), K.eval(of)) == (True, 1, 1)
    K.set_value(count, 4)
    assert (K.eval(whole), K.eval(rest), K.eval(of)) == (False, 2, 3)


def test_an_optimizer_that_accumulates_for_the_one_it_holds() -> None:
    K = keras2.backend

    class Accumulating(keras2.optimizers.Optimizer):
        def __init__(self, optimizer: Any, steps: int):  # and not that of its base
            self.optimizer, self.steps = optimizer, steps
            self.iterations = K.variable(0, dtype="int64")
            self.due = K.equal(self.iterations % steps, 0)
            self.optimizer.lr = K.switch(self.due, self.optimizer.lr, 0.0)
            self.optimizer.get_gradients = lambda loss, params: [one / self.steps for one in self.sums]

        def get_updates(self, loss: Any, params: Any) -> Any:
            self.updates = [K.update_add(self.iterations, 1)]
            self.updates.append(K.update_add(self.optimizer.iterations, K.cast(self.due, "int64")))
            self.sums = [K.zeros(K.int_shape(one)) for one in params]
            for grad, one in zip(self.get_gradients(loss, params), self.sums, strict=True):
                self.updates.append(K.update(one, K.switch(self.due, grad, one + grad)))
            self.updates += self.optimizer.get_updates(loss, params)[1:]
            return self.updates

    model = keras2.models.Sequential([keras2.layers.Dense(1, input_shape=(4,), use_bias=False)])
    model.compile(Accumulating(keras2.optimizers.SGD(0.1), 2), "mse")
    weights = [model.get_weights()[0]]
    for _ in range(3):
        model.train_on_batch(X, np.zeros((2, 1)))
        weights.append(model.get_weights()[0])
    np.testing.assert_array_equal(weights[0], weights[2])
    gradient = 2 * (X.T @ (X @ weights[0])) / 2
    np.testing.assert_allclose(weights[3], weights[2] - 0.1 * gradient, rtol=1e-4, atol=1e-6)


def test_an_optimizer_of_ones_own_clips_once() -> None:
    class Halved(keras2.optimizers.Optimizer):
        def __init__(self, optimizer: Any):
            self.optimizer, self.clipnorm = optimizer, 1e-6
            self._gradients = optimizer.get_gradients

        def get_gradients(self, loss: Any, params: Any) -> Any:
            return [grad / 2 for grad in self._gradients(loss, params)]

        def get_updates(self, loss: Any, params: Any) -> Any:
            self.optimizer.get_gradients = self.get_gradients
            return self.optimizer.get_updates(loss, params)

    found = []
    for optimizer in (keras2.optimizers.SGD(0.05), Halved(keras2.optimizers.SGD(0.1))):
        layer = keras2.layers.Dense(1, input_shape=(4,), kernel_initializer="ones")
        model = keras2.models.Sequential([layer])
        model.compile(optimizer, "mse")
        model.train_on_batch(X, np.zeros((2, 1)))
        found.append(model.get_weights()[0])
    np.testing.assert_allclose(*found, rtol=1e-6)


@pytest.mark.parametrize("space", [keras2, tf_keras], ids=["keras2", "tf_keras"])
def test_steps_count_up(space: ModuleType) -> None:
    model = _model(space, space.layers.Activation("linear"))
    model.compile("sgd", "mse")
    batches: list[int] = []

    def data() -> Iterator[Any]:
        while True:
            batches.append(1)
            yield X, np.zeros((2, 1))

    told = space.callbacks.LambdaCallback(on_batch_end=lambda batch, logs: steps.append(batch))
    steps: list[int] = []
    model.fit_generator(data(), steps_per_epoch=5 / 2, epochs=1, verbose=0, callbacks=[told])
    assert steps == [0, 1, 2]


# Keras 1 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [keras1, keras2, tf_keras], ids=["keras1", "keras2", "tf"])
def test_in_place_operators_leave_variables(space: ModuleType) -> None:
    K = space.backend
    zeros = total = K.zeros((3,))
    total += K.constant(np.ones((2, 3)))
    assert total.shape == (2, 3)
    for change in ("+=", "-=", "*=", "/="):
        held = {"v": K.ones((3,))}
        exec(f"before = v\nv {change} 2.0", held)
        assert held["before"].tolist() == [1, 1, 1] != held["v"].tolist()
    assert zeros.tolist() == [0, 0, 0]


def test_sides_of_zero_padding_of_keras_1() -> None:
    for padding, sides in (((1, 2), (1, 1, 2, 2)), ((1, 2, 3, 4), (1, 2, 3, 4)), ({"top_pad": 3}, (3, 0, 0, 0))):
        layer = keras1.layers.ZeroPadding2D(padding)
        assert (layer.top_pad, layer.bottom_pad, layer.left_pad, layer.right_pad) == sides
    assert keras1.layers.ZeroPadding1D((2, 3)).right_pad == 3
    assert not hasattr(keras1.layers.ZeroPadding1D(2), "top_pad")


def _joined() -> tuple[Any, list[Any]]:
    """A model that begins with a Merge of models, one of which does so, of a layer, and the arrays that it takes."""
    layers, Sequential = keras1.layers, keras1.models.Sequential
    dense, words = Sequential([layers.Dense(3, input_dim=4)]), Sequential([layers.Embedding(5, 2, input_length=2)])
    words.add(layers.LSTM(3))
    inner = Sequential([layers.Merge([dense, words], mode="concat"), layers.Dense(2)])
    start = layers.InputLayer(input_shape=(2,))
    return Sequential([layers.Merge([inner, start], mode="concat"), layers.Dense(1)]), [X, np.ones((2, 2)), X[:, :2]]


def test_models_that_begin_with_a_merge_are_saved_with_what_it_joins(tmp_path: Any) -> None:
    model, arrays = _joined()
    model.compile("sgd", "mse")
    model.train_on_batch(arrays, np.ones((2, 1)))
    expected = model.predict(arrays)
    model.save(tmp_path / "model.h5")
    model.save_weights(tmp_path / "weights.h5")
    loaded = keras1.models.load_model(tmp_path / "model.h5")
    np.testing.assert_allclose(loaded.predict(arrays), expected, rtol=1e-5)
    again = keras1.models.model_from_json(model.to_json())
    again.load_weights(tmp_path / "weights.h5")
    np.testing.assert_allclose(again.predict(arrays), expected, rtol=1e-5)
    with h5py.File(tmp_path / "weights.h5") as file:  # Keras 1 reads it layer by layer
        names = [name.decode() for name in file.attrs["layer_names"]]
    assert names == [layer.name for layer in model.flattened_layers] and len(names) == 6


def test_models_of_several_inputs_begin_a_sequential() -> None:
    model, arrays = _joined()
    outer = keras1.models.Sequential([model, keras1.layers.RepeatVector(2)])
    np.testing.assert_allclose(outer.predict(arrays)[:, 1], model.predict(arrays), rtol=1e-6)
    outer.compile("sgd", "mse")
    again = keras1.models.Sequential.from_config(outer.get_config())
    assert len(again.inputs) == 3 and again.count_params() == model.count_params()


def test_files_for_keras_1_hold_no_state_of_an_optimizer_before_its_first_step(tmp_path: Any) -> None:
    model = keras1.models.Sequential([keras1.layers.Dense(1, input_dim=4)])
    model.compile("adam", "mse")
    for step in range(2):
        model.save(tmp_path / f"{step}.h5")
        model.train_on_batch(X, np.ones((2, 1)))
    held = [h5py.File(tmp_path / f"{step}.h5") for step in range(2)]
    assert ["optimizer_weights" in file for file in held] == [False, True]


def test_get_of_keras_1_takes_what_a_class_is_made_with() -> None:
    assert keras1.optimizers.get("sgd", {"lr": 0.5}).get_config()["lr"] == 0.5
    assert keras1.constraints.get("maxnorm", kwargs={"m": 3}).get_config()["m"] == 3
    drawn = keras1.initializations.get("one", dim_ordering="th")
    assert drawn((2, 3), name="w").shape == (2, 3)
    own = keras1.initializations.get(lambda shape, name=None: drawn(shape), dim_ordering="tf")
    assert own((1,)).tolist() == [1]


# tf.keras ---------------------------------------------------------------------------------------------------------


def test_shapes_in_tf_keras_are_those_of_the_call() -> None:
    class First(tf_keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs[0]

        def compute_output_shape(self, input_shape: Any) -> Any:
            return input_shape

    inputs = [tf_keras.layers.Input((4,)) for _ in range(2)]
    assert tuple(First()(inputs).shape) == (None, 4)


def test_words_of_tensorflow_1() -> None:
    install("keras2")
    try:
        import tensorflow as tf

        y = np.array([1.0, 0.0], "float32")
        found = tf.nn.weighted_cross_entropy_with_logits(targets=y, logits=y * 0, pos_weight=2.0)
        np.testing.assert_allclose(found.numpy(), np.log(2) * np.array([2, 1]), rtol=1e-6)
        assert keras2.layers.Input((3,)).shape[1]._value == 3
        rows, columns = tf.shape(tf.ones((2, 3)), out_type=tf.float32)
        assert tf.eye(rows, columns).numpy().tolist() == [[1, 0, 0], [0, 1, 0]]
    finally:
        uninstall()


# Keras 3 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", [lamina.optimizers.Optimizer, lamina.optimizers.SGD])
def test_optimizers_of_ones_own_extend_the_step(base: Any) -> None:
    class Own(base):
        def _backend_apply_gradients(self, grads: Any, trainable_variables: Any) -> None:
            assert len(grads) == len(trainable_variables) == 1  # the other weight has no gradient
            super()._backend_apply_gradients([grad * 0 + 1 for grad in grads], trainable_variables)

        if base is lamina.optimizers.Optimizer:

            def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
                self.assign_sub(variable, gradient * learning_rate)

    optimizer = Own(0.25)
    moved, still = lamina.Variable(np.ones(2)), lamina.Variable(np.ones(2))
    optimizer.build([still, moved])
    optimizer.apply([moved * 5], [moved])
    assert (moved.tolist(), still.tolist(), int(optimizer.iterations)) == ([0.75] * 2, [1, 1], 1)
    model = lamina.Sequential([lamina.Input((4,)), lamina.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(Own(0.25), "mse")
    model.fit(X, np.ones((2, 1)), verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], -0.25)


@pytest.mark.parametrize("kind", ["functional", "subclassed"])
def test_tf_keras_lists_a_model_once_that_a_layer_holds_too(kind: str) -> None:
    """tf_keras 2.21, which lists its arrays where they come first."""
    keras = tf_keras

    class Twice(keras.layers.Layer):
        def __init__(self, model: Any, **kwargs: Any):
            super().__init__(**kwargs)
            self.model = model

        def call(self, x: Any) -> Any:
            return self.model(x) * 2

    class Both(keras.Model):
        def __init__(self, net: Any):
            super().__init__()
            self.twice, self.net = Twice(net), net

        def call(self, x: Any) -> Any:
            return self.twice(x[0]), self.net(x[1])

    net = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(3), keras.layers.Dense(1)])
    inputs = [keras.Input((2,)), keras.Input((2,))]
    model = keras.Model(inputs, [Twice(net)(inputs[0]), net(inputs[1])]) if kind == "functional" else Both(net)
    model([np.ones((1, 2), "float32")] * 2)
    assert [array.shape for array in model.get_weights()] == [(2, 3), (3,), (3, 1), (1,)]
    model.set_weights([np.full(array.shape, at, "float32") for at, array in enumerate(model.get_weights())])
    assert [array.flat[0] for array in net.get_weights()] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="expected 4 arrays; got 8"):
        model.set_weights(model.get_weights() * 2)


def test_losses_take_lists_of_tensors() -> None:
    """As tf_keras and Keras 3 on torch: as one tensor."""
    wanted, told = [torch.ones(3, 1)] * 2, [torch.zeros(3, 1)] * 2
    for losses in (lamina.losses, tf_keras.losses):
        assert losses.mean_squared_error(wanted, told).shape == (2, 3)


def test_a_tape_inside_a_call_gives_gradients_in_predictions_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that know physics: derivatives were 0 where nothing is trained. Values of tf_keras 2.21."""
    monkeypatch.setattr("lamina.training.loop.tapes", False)
    install("tf_keras")
    try:
        import tensorflow as tf

        class Slope(tf_keras.Model):
            def __init__(self) -> None:
                super().__init__()
                self.dense = tf_keras.layers.Dense(1, "tanh", kernel_initializer="ones")

            def call(self, x: Any) -> Any:
                with tf.GradientTape() as tape:
                    tape.watch(x)
                    y = self.dense(x)
                return tape.gradient(y, x)

        x, expected = np.array([[0.1, 0.2], [0.3, -0.5]], "float32"), [[0.91513693] * 2, [0.961043] * 2]
        with tf.GradientTape():
            tf_keras.layers.Dense(1)(x)
        assert not loop.tapes  # around calls it concerns no prediction
        model = Slope()
        np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5)
        np.testing.assert_allclose(model.predict_on_batch(x), expected, rtol=1e-5)
        model.compile("sgd", "mse")
        assert model.evaluate(x, x * 0, verbose=0) == pytest.approx(0.8805397, rel=1e-5)
    finally:
        uninstall()
