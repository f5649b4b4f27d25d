"""What Keras 1.2.2 and 2.3.1 do around layers; the numbers are theirs."""

from __future__ import annotations

import copy
import importlib
import pickle
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

import lamina.keras1
import lamina.keras2
import lamina.tf_keras
from lamina.generations.alias import install, uninstall

K1: Any = lamina.keras1
K2: Any = lamina.keras2
TF: Any = lamina.tf_keras
BOTH = pytest.mark.parametrize("keras", [K1, K2], ids=["keras1", "keras2"])
X = np.linspace(-1, 1, 12).reshape(4, 3).astype("float32")
Y = np.array([[0.0], [1], [0], [1]], "float32")


def _line(keras: Any, optimizer: Any) -> Any:
    """One layer that begins with weights of 1, after one step on ones."""
    first = {"init": "one"} if keras is K1 else {"kernel_initializer": "ones"}
    model = keras.models.Sequential([keras.layers.Dense(1, input_shape=(2,), **first)])
    model.compile(optimizer, "mse")
    model.train_on_batch(np.ones((4, 2)), np.zeros((4, 1)))
    return model


@pytest.mark.parametrize(
    ("name", "options", "values", "weight"),
    [
        ("SGD", {"momentum": 0.9}, {"momentum": 0.5, "lr": 0.05}, 0.184),
        ("SGD", {"momentum": 0.9}, {"momentum": 0.5}, 0.116),
        ("SGD", {"momentum": 0.9, "nesterov": True}, {"momentum": 0.0}, 0.3184),
        ("Adam", {}, {"beta_1": 0.5, "beta_2": 0.9, "lr": 0.01}, 0.8792),
        ("RMSprop", {}, {"rho": 0.5}, 0.4747),
    ],
)
def test_numbers_of_an_optimizer_can_be_set(name: str, options: dict, values: dict, weight: float) -> None:
    optimizer = getattr(K2.optimizers, name)(lr=0.1, **options)
    model = _line(K2, optimizer)
    for key, value in values.items():
        K2.backend.set_value(getattr(model.optimizer, key), value)
        assert K2.backend.get_value(getattr(optimizer, key)) == np.float32(value)
    for _ in range(2):
        model.train_on_batch(np.ones((4, 2)), np.zeros((4, 1)))
    np.testing.assert_allclose(model.get_weights()[0], weight, atol=6e-5)
    told = {"learning_rate" if key == "lr" else key: value for key, value in values.items()}
    assert optimizer.get_config().items() >= {key: pytest.approx(value) for key, value in told.items()}.items()


@BOTH
def test_a_number_of_an_optimizer_is_its_own(keras: Any) -> None:
    first = keras.optimizers.SGD(lr=0.1, momentum=0.9)
    for second in (copy.deepcopy(first), pickle.loads(pickle.dumps(first))):
        keras.backend.set_value(second.momentum, 0.25)
        assert (first.momentum, second.momentum, type(second.get_config()["momentum"])) == (0.9, 0.25, float)
    model = _line(keras, keras.optimizers.SGD(lr=0.1))
    keras.backend.set_value(model.optimizer.momentum, 0.9)  # which has no state yet
    assert model.train_on_batch(np.ones((4, 2)), np.zeros((4, 1))) > 0


@BOTH
def test_at_a_rate_of_one_nothing_is_dropped(keras: Any) -> None:
    names = ["Dropout", "GaussianDropout", *([] if keras is K1 else ["AlphaDropout"])]
    for name in names:
        model = keras.models.Sequential([getattr(keras.layers, name)(1.0, input_shape=(3,))])
        model.compile("sgd", "mse")
        with pytest.warns(UserWarning, match="no trainable weights"):
            assert model.train_on_batch(X, np.zeros_like(X)) == pytest.approx((X**2).mean())
    rates = ("dropout_W", "dropout_U") if keras is K1 else ("dropout", "recurrent_dropout")
    for rate in rates:
        model = keras.models.Sequential([keras.layers.LSTM(2, input_shape=(3, 4), **{rate: 1.0})])
        model.compile("sgd", "mse")
        inputs = np.ones((2, 3, 4), "float32")
        before = model.predict(inputs)
        assert model.train_on_batch(inputs, np.zeros((2, 2))) == pytest.approx((before**2).mean(), rel=1e-5)
    layer = keras.layers.SpatialDropout1D(0.5)
    layer.rate = 0.25
    assert layer.get_config()["p" if keras is K1 else "rate"] == 0.25


def test_at_a_rate_of_one_all_is_dropped_in_tf_keras() -> None:
    for layer in (TF.layers.Dropout(1.0), TF.layers.SpatialDropout1D(1.0)):
        assert not layer(np.ones((2, 3, 4), "float32"), training=True).numpy().any()


@BOTH
def test_what_is_trained_comes_first_in_weights(keras: Any) -> None:
    layers = keras.layers
    inner = keras.models.Sequential([layers.Dense(3, input_shape=(4,), name="a"), layers.BatchNormalization(name="b")])
    model = keras.models.Sequential([inner, layers.Dense(2, name="c")])
    sizes = [tuple(weight.shape) for weight in model.weights]
    assert sizes == [(4, 3), (3,), (3,), (3,), (3, 2), (2,), (3,), (3,)]
    assert [tuple(array.shape) for array in inner.get_weights()] == [(4, 3), *[(3,)] * 5]
    model.layers[1].trainable = False
    assert [tuple(weight.shape) for weight in model.weights] == [(4, 3), *[(3,)] * 5, (3, 2), (2,)]


@pytest.mark.parametrize("keras", [K2, TF], ids=["keras2", "tf_keras"])
def test_recurrent_layers_are_built_by_keyword(keras: Any) -> None:
    for layer in (keras.layers.LSTM(2), keras.layers.GRU(2), keras.layers.Bidirectional(keras.layers.LSTM(2))):
        layer.build(input_shape=(None, 3, 4))
        assert layer.built and layer.get_weights()


def test_metrics_of_keras_2_have_weights() -> None:
    metric = K2.metrics.MeanSquaredError()
    assert metric.stateful and [tuple(weight.shape) for weight in metric.weights] == [(), ()]
    assert [tuple(weight.shape) for weight in K2.metrics.Precision(thresholds=[0.3, 0.5]).weights] == [(2,), (2,)]
    assert isinstance(lamina.metrics.AUC(), K2.metrics.AUC) and isinstance(metric, lamina.metrics.Metric)

    class Sum(K2.metrics.Metric):
        def __init__(self, name: str = "sum", **kwargs: Any):
            super().__init__(name=name, **kwargs)
            self.total = self.add_weight("total", initializer="zeros")

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            self.total.assign_add(K2.backend.sum(y_true))

        def result(self) -> Any:
            return self.total

        def reset_states(self) -> None:
            super().reset_states()
            self.total.assign(10.0)

    model = K2.models.Sequential([K2.layers.Dense(1, input_shape=(3,))])
    model.compile("sgd", "mse", metrics=[Sum()])
    assert model.fit(X, Y, epochs=2, verbose=0).history["sum"] == [12.0, 12.0]


def test_metrics_of_keras_1_may_be_several() -> None:
    def ends(y_true: Any, y_pred: Any) -> dict[str, Any]:
        return {"lo": K1.backend.min(y_pred), "hi": K1.backend.max(y_pred)}

    model = K1.models.Sequential([K1.layers.Dense(1, input_dim=3, init="one")])
    model.compile("sgd", "mse", metrics=[ends, "mae"])
    assert model.metrics_names == ["loss", "lo", "hi", "mean_absolute_error"]
    said = model.fit(X, Y, nb_epoch=1, verbose=0, batch_size=4, shuffle=False, validation_data=(X, Y)).history
    assert {*said} == {f"{when}{name}" for when in ("", "val_") for name in model.metrics_names}
    np.testing.assert_allclose(model.evaluate(X, Y, verbose=0), [2.9046, -2.3958, 2.4171, 1.6043], atol=1e-4)
    start = K1.layers.Input((3,))
    model = K1.models.Model(start, [K1.layers.Dense(1, init="one", name=name)(start) for name in "ab"])
    model.compile("sgd", "mse", metrics={"b": [ends]})
    assert model.metrics_names == ["loss", "a_loss", "b_loss", "b_lo", "b_hi"]


def test_outputs_without_a_loss_have_no_metrics() -> None:
    start = K2.layers.Input((3,))
    hidden = K2.layers.Dense(1, name="a")(start)
    model = K2.models.Model(start, [hidden, K2.layers.Activation("relu", name="b")(hidden)])
    model.compile("sgd", {"a": "mse"}, metrics={"a": "mae", "b": "mse"})
    assert model.metrics_names == ["loss", "a_loss", "a_mae"]
    assert {*model.fit(X, [Y], verbose=0).history} == {*model.metrics_names}
    assert len(model.evaluate(X, [Y], verbose=0)) == 3


@pytest.mark.parametrize(
    ("name", "gates", "answer"),
    [
        ("CuDNNLSTM", 4, [0.079364, -0.109197, -0.234557, -0.287438]),
        ("CuDNNGRU", 3, [-0.004288, 0.062822, 0.079301, 0.251496]),
    ],
)
def test_weights_of_cudnn_layers_lie_as_in_keras_2(name: str, gates: int, answer: list[float], tmp_path: Path) -> None:
    width = 4 * gates
    values = 0.5 * np.sin(np.arange(8 * width) * 0.7).astype("float32")
    arrays = [
        values[: 2 * width].reshape(2, width),
        values[2 * width : 6 * width].reshape(4, width),
        values[6 * width :],
    ]

    def made() -> Any:
        return K2.models.Sequential([getattr(K2.layers, name)(4, input_shape=(3, 2), name="cu")])

    model, x = made(), np.cos(np.arange(6)).reshape(1, 3, 2)
    model.set_weights(arrays)
    np.testing.assert_allclose(model.predict(x)[0], answer, atol=1e-6)
    kernel, recurrent, bias = model.get_weights()
    np.testing.assert_array_equal(kernel, arrays[0])
    np.testing.assert_array_equal(recurrent, arrays[1])
    np.testing.assert_allclose(bias.reshape(2, -1).sum(0), arrays[2].reshape(2, -1).sum(0), rtol=1e-6)
    model.save_weights(tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5", "r+") as file:
        assert file["cu/cu/bias:0"].shape == (2 * width,)
        file["cu/cu/bias:0"][...] = arrays[2]
    other = made()
    other.load_weights(tmp_path / "w.h5")
    np.testing.assert_allclose(other.predict(x)[0], answer, atol=1e-6)


def test_regularizers_of_layers_of_keras_1_are_none() -> None:
    layer = K1.layers.Dense(2, W_regularizer="l2", input_dim=3)
    layer.regularizers = ["l2"]
    assert layer.regularizers == []


def test_keras_2_takes_all_words_of_keras_1() -> None:
    assert K2.layers.Embedding(3, 4, dropout=0.2).get_config().keys() == K2.layers.Embedding(3, 4).get_config().keys()
    assert K2.layers.BatchNormalization(mode=0).axis == -1
    assert K2.layers.ZeroPadding2D({"top_pad": 1, "right_pad": 2}).padding == ((1, 0), (0, 2))
    for refused in (lambda: K2.layers.BatchNormalization(mode=1), lambda: K2.layers.ZeroPadding2D((1, 2, 3, 4))):
        with pytest.raises(ValueError):
            refused()


@pytest.mark.slow
def test_resnet50_of_keras_1_ends_in_flatten() -> None:
    model = K1.applications.resnet50.ResNet50(weights=None, input_shape=(224, 224, 3))
    names = [type(layer).__name__ for layer in model.layers]
    assert names[-4:] == ["Activation", "AveragePooling2D", "Flatten", "Dense"] and len(names) == 177
    assert model.layers[1].name.startswith("zeropadding2d_")
    assert model.get_layer("avg_pool").output_shape == (None, 1, 1, 2048) and model.count_params() == 25636712


@contextmanager
def _before_2_3() -> Iterator[Any]:
    install("keras2.2")
    try:
        yield importlib.import_module("keras")
    finally:
        uninstall()


def _own_layer(keras: Any, listed: str = "") -> Any:
    class Own(keras.layers.Layer):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.inner, self.many, self.drop = keras.layers.Dense(3), [], keras.layers.Dropout(0.5)

        def build(self, shape: Any) -> None:
            self.inner.build(shape)
            self.many.append(keras.layers.Dense(3))
            self.many[0].build(shape)
            if listed == "set":
                self.trainable_weights = self.inner.trainable_weights
            elif listed:
                self._trainable_weights.extend(self.inner.trainable_weights)
            super().build(shape)

        def call(self, x: Any, mask: Any = None) -> Any:
            return self.drop(x) + self.inner(x) + self.many[0](x)

        def compute_output_shape(self, shape: Any) -> Any:
            return (shape[0], 3)

        get_output_shape_for = compute_output_shape

    return Own


# Counts of weights as in Keras 1.2.2 and 2.3.1; 2.2.4 tracks no layers.
@pytest.mark.parametrize(
    ("generation", "listed", "count"),
    [("keras1", "", 0), ("keras1", "set", 2), ("keras2.2", "", 0), ("keras2.2", "extend", 2), ("keras2", "", 2)],
)
def test_which_layers_inside_count(generation: str, listed: str, count: int) -> None:
    with _before_2_3() if generation == "keras2.2" else nullcontext(K1 if generation == "keras1" else K2) as keras:
        model = keras.models.Sequential()
        model.add(_own_layer(keras, listed)(input_shape=(3,)))
        model.add(keras.layers.Dense(1))
        own = model.layers[0]
        model.compile("sgd", "mse")
        assert (len(own.weights), len(own.trainable_weights), len(model.get_weights())) == (count, count, count + 2)
        before = [layer.get_weights()[0] for layer in (own.inner, own.many[0])]
        losses = {float(model.train_on_batch(X[:, :3], np.ones((len(X), 1)))) for _ in range(2)}
        after = [layer.get_weights()[0] for layer in (own.inner, own.many[0])]
        assert [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)] == [count > 0, False]
        ones = np.ones((1, 3), "float32")
        inside = keras.backend.function([model.inputs[0], keras.backend.learning_phase()], [own.output])
        assert len({str(inside([ones, 1])[0]) for _ in range(20)}) > 1  # a Dropout inside drops, in training alone
        assert len({str(model.predict(ones)) for _ in range(5)}) == 1
        assert len(losses) == 2


# By TF 1.15's assign_moving_average(zero_debias=True), as Keras 2.1.3 to 2.2.5 called it.
def test_moving_averages_before_2_3_forget_what_they_began_with() -> None:
    inputs = np.random.RandomState(0).randn(8, 3) * 3 + 2
    start = [np.ones(3), np.zeros(3), np.full(3, 7.0), np.full(3, 9.0)]
    with _before_2_3() as keras:
        model = keras.models.Sequential([keras.layers.BatchNormalization(input_shape=(3,))])
        model.compile("sgd", "mse")
        for shift, mean in ((0, [4.7851, 3.4574, 1.361]), (1, [5.2877, 3.96, 1.8635]), (2, [5.7918, 4.4641, 2.3677])):
            if shift == 0:
                model.set_weights(start)
            model.train_on_batch(inputs + shift, inputs)
            found = model.layers[0].get_weights()[2:]
            np.testing.assert_allclose(found, [mean, [4.5333, 7.1075, 14.1234]], rtol=1e-4)
        model.set_weights(start)
        model.train_on_batch(inputs, inputs)
        np.testing.assert_allclose(model.layers[0].get_weights()[2], [5.5364, 4.2087, 2.1122], rtol=1e-4)
        assert len(model.get_weights()) == 4 and "zero_debias" not in model.layers[0].get_config()


@BOTH
def test_arguments_are_set_by_their_old_names(keras: Any) -> None:
    first, x, picture = keras is K1, keras.layers.Input((2,)), keras.layers.Input((8, 8, 3))
    layer = keras.layers.LeakyReLU(0.1)
    layer.alpha = 0.5
    np.testing.assert_allclose(keras.models.Model(x, layer(x)).predict(-np.ones((1, 2))), -0.5)
    assert layer.get_config()["alpha"] == 0.5
    layer = keras.layers.Dropout(0.5)
    setattr(layer, "p" if first else "rate", 0.25)
    assert layer.get_config()["p" if first else "rate"] == 0.25 and layer(x) is not None
    layer = keras.layers.Dense(3)
    setattr(layer, "output_dim" if first else "units", 5)
    assert keras.backend.int_shape(layer(x)) == (None, 5)
    layer = keras.layers.Convolution2D(2, 3, 3, dim_ordering="tf") if first else keras.layers.Conv2D(2, 3)
    setattr(layer, "border_mode" if first else "padding", "same")
    setattr(layer, "subsample" if first else "strides", (2, 2))
    assert keras.backend.int_shape(layer(picture)) == (None, 4, 4, 2)


@BOTH
def test_a_decay_can_be_set(keras: Any) -> None:
    for decay in (0.0, 0.5):
        optimizer = keras.optimizers.SGD(lr=1.0, decay=decay)
        model = _line(keras, optimizer)  # one step
        keras.backend.set_value(optimizer.decay, 3.0)
        assert keras.backend.get_value(optimizer.decay) == 3 == optimizer.get_config()["decay"]
        before = model.get_weights()[1]
        loss = model.train_on_batch(np.zeros((1, 2)), before.reshape(1, 1) - 1)
        assert loss == pytest.approx(1)
        np.testing.assert_allclose(model.get_weights()[1], before - 2 / (1 + 3 * 1), rtol=1e-5)
        keras.backend.set_value(optimizer.lr, 0.5)
        assert keras.backend.get_value(optimizer.lr) == 0.5 and optimizer.get_config()["decay"] == 3


# Values of Keras 2.3.1.
@pytest.mark.parametrize(
    ("options", "values"),
    [
        ({}, [0, 0, -0.5, 0, 2]),
        ({"negative_slope": 0.1}, [-0.2, 0, -0.5, 0, 2]),
        ({"negative_slope": 0.3, "max_value": 1.0}, [-0.6, 0, 0, 0, 1]),
    ],
)
def test_a_relu_of_keras2_may_begin_below_zero(options: dict, values: list[float]) -> None:
    layer = K2.layers.ReLU(threshold=-1.0, **options)
    found = K2.backend.get_value(layer(K2.backend.variable(np.array([[-3.0, -1.0, -0.5, 0.0, 2.0]]))))
    np.testing.assert_allclose(found, [values], atol=1e-6)
    with pytest.raises(ValueError, match="threshold"):
        TF.layers.ReLU(threshold=-1.0)


@BOTH
def test_several_outputs_without_masks_have_a_none_each(keras: Any) -> None:
    x = keras.layers.Input((2,))
    model = keras.models.Model(x, [keras.layers.Dense(1)(x), keras.layers.Dense(2)(x)])
    assert model.compute_mask([x], [None]) == [None, None]


def test_deserialize_writes_the_name_in_small_letters() -> None:
    config = K2.optimizers.serialize(K2.optimizers.SGD())
    assert isinstance(K2.optimizers.deserialize(config), K2.optimizers.SGD) and config["class_name"] == "sgd"


class _Calls:
    """Own layers that ask for the `call` of what they derive from, or hold, in the words of the time."""

    def __init__(self, keras: Any):
        layers = keras.layers

        class Drops(layers.Dropout):
            def call(self, x, *mask):
                return super().call(x, *mask) if keras is K1 else super().call(x)

        class Normalizes(layers.BatchNormalization):
            def call(self, x, *mask):
                return super().call(x, *mask) if keras is K1 else super().call(x)

        class Holds(layers.Layer):
            def __init__(self, inner, **kwargs):
                super().__init__(**kwargs)
                self.inner = inner

            def build(self, input_shape):
                self.inner.build(input_shape)
                self.trainable_weights = self.inner.trainable_weights
                super().build(input_shape)

            def call(self, x, mask=None):
                return self.inner.call(x, mask) if keras is K1 else self.inner.call(x)

        self.Drops, self.Normalizes, self.Holds = Drops, Normalizes, Holds


@BOTH
def test_a_call_that_own_layers_ask_for_knows_whether_the_model_trains(keras: Any) -> None:
    own, ones = _Calls(keras), np.ones((4, 50), "float32")
    for layer in (own.Drops(0.5, input_shape=(50,)), own.Holds(keras.layers.Dropout(0.5), input_shape=(50,))):
        model = copy.deepcopy(keras.models.Sequential([layer]))
        run = keras.backend.function([model.input, keras.backend.learning_phase()], [model.output])
        assert 0 < np.mean(run([ones, 1])[0] == 0) < 1 and np.mean(run([ones, 0])[0] == 0) == 0
    found = []
    for layer in (keras.layers.BatchNormalization(input_shape=(3,)), own.Normalizes(input_shape=(3,))):
        model = keras.models.Sequential([layer])
        model.compile("sgd", "mse")
        found.append([model.train_on_batch(X, X[::-1]), *model.get_weights()])
    for plain, asked in zip(*found, strict=True):
        np.testing.assert_allclose(asked, plain, rtol=1e-6)


def test_own_layers_give_calls_of_keras1_a_mask() -> None:
    layers, found = K1.layers, []

    def derived(base: Any) -> Any:
        class Own(base):
            def call(self, x, mask=None):
                return super().call(x, mask)

        return Own

    for make in (lambda base: base, derived):
        kinds = ("Embedding", "TimeDistributed", "Dense", "LSTM", "Bidirectional", "GRU", "Activation", "Flatten")
        E, T, D, L, B, G, A, F = (make(getattr(layers, kind)) for kind in kinds)
        stack = [E(5, 3, input_length=4, mask_zero=True), T(D(3)), L(3, return_sequences=True), B(G(2)), A("tanh")]
        model = K1.models.Sequential([*stack, D(2)])
        flat = K1.models.Sequential([F(input_shape=(2, 3)), make(layers.Reshape)((3, 2))])
        model.set_weights([np.linspace(-0.5, 1, w.size).reshape(w.shape) for w in model.get_weights()])
        found.append([model.predict(np.array([[1, 2, 0, 0], [3, 4, 1, 0]])), flat.predict(X.reshape(2, 2, 3))])
    for plain, asked in zip(*found, strict=True):
        np.testing.assert_allclose(asked, plain, rtol=1e-5)


def test_own_layers_give_calls_of_keras2_their_arguments_in_order() -> None:
    class Own(K2.layers.LSTM):
        def call(self, inputs, mask=None, training=None, initial_state=None):
            return super().call(inputs, mask, training, initial_state) + 1

    class Cell(K2.layers.GRUCell):
        def call(self, inputs, states):
            output, states = super().call(inputs, states)
            return output + 1, states

    x, found = np.where(np.arange(24).reshape(2, 6, 2) < 16, np.linspace(-1, 1, 24).reshape(2, 6, 2), 0), []
    for layers in ([K2.layers.LSTM(3)], [Own(3)]):
        model = K2.models.Sequential([K2.layers.Masking(0.0, input_shape=(6, 2)), *layers])
        model.set_weights([np.linspace(-0.5, 1, w.size).reshape(w.shape) for w in model.get_weights()])
        found.append(model.predict(x))
    np.testing.assert_allclose(found[1], found[0] + 1, rtol=1e-5)
    model = K2.models.Sequential([K2.layers.RNN(Cell(3, dropout=0.5), input_shape=(6, 2))])
    model.compile("sgd", "mse")
    assert model.train_on_batch(x, model.predict(x)) > 1e-4 and model.test_on_batch(x, model.predict(x)) < 1e-9


# Keras 1.2.2's; as an agent of several sets of instructions shares one core.
def test_models_that_begin_with_a_merge_list_their_weights_once() -> None:
    layers, models = K1.layers, K1.models
    one, other = (models.Sequential([layers.InputLayer(batch_input_shape=(2, size))]) for size in (5, 3))
    joined = models.Sequential([layers.Merge([one, other], mode="concat"), layers.Dense(4), layers.RepeatVector(1)])
    words = models.Sequential([layers.Embedding(7, 3, input_length=1, batch_input_shape=(2, 1))])
    core = models.Sequential([layers.Merge([joined, words], mode="concat"), layers.Flatten()])
    ends = [models.Sequential([core, layers.Dense(size)]) for size in (1, 2)]
    model = models.Model([one.input, other.input, words.input], [end.output for end in ends])
    shapes = [(8, 4), (4,), (7, 3), (7, 1), (1,), (7, 2), (2,)]
    assert [array.shape for array in model.get_weights()] == shapes and len(model.trainable_weights) == 7
    assert model.count_params() == sum(np.prod(shape) for shape in shapes)
    values = [np.full(shape, place, "float32") for place, shape in enumerate(shapes)]
    model.set_weights(values)
    for array, value in zip(model.get_weights(), values, strict=True):
        np.testing.assert_array_equal(array, value)
    assert [array.shape for array in core.get_weights()] == shapes[:3]


@BOTH
def test_a_compiled_model_says_how_its_losses_count(keras: Any) -> None:
    x = keras.layers.Input((2,))
    model = keras.models.Model(x, [keras.layers.Dense(1, name="a")(x), keras.layers.Dense(2, name="b")(x)])
    for weights in ([1.0, 0.5], {"a": 0.3}, None):
        model.compile("sgd", "mse", loss_weights=weights, sample_weight_mode=None)
        assert model.loss_weights == weights and model.sample_weight_mode is None


def _two_ends() -> Any:
    start = K2.layers.Input(shape=(3,))
    first = K2.layers.Dense(2, name="first")(start)
    return K2.models.Model(start, [first, K2.layers.Dense(1, name="second")(first)])


@pytest.mark.parametrize("metrics", [{"first": "mae"}, ["mae"], None])
def test_outputs_without_a_loss_need_no_targets(metrics: Any) -> None:
    """Nor do their metrics count."""
    model = _two_ends()
    model.compile("sgd", {"second": "mse"}, metrics=metrics)
    found = [model.fit(X, [Y], verbose=0).history, model.fit(X, {"second": Y}, verbose=0).history]
    assert all(not any("first" in name for name in history) for history in found)
    assert np.isfinite(model.evaluate(X, [Y], verbose=0)).all()


@pytest.mark.parametrize("form", [lambda y: [None, y], lambda y: {"second": y}], ids=["list", "names"])
def test_targets_that_compile_is_told_are_learned_from(form: Any) -> None:
    model, twin = _two_ends(), _two_ends()
    twin.set_weights(model.get_weights())
    model.compile("sgd", {"second": "mse"}, target_tensors=form(K2.backend.constant(Y)))
    twin.compile("sgd", {"second": "mse"})
    wanted = [twin.train_on_batch(X, [None, Y]) for _ in range(4)]
    np.testing.assert_allclose(model.train_on_batch(X, None), wanted[0], rtol=1e-6)
    history = model.fit(X, epochs=3, batch_size=4, verbose=0).history["loss"]
    np.testing.assert_allclose(history, [loss[0] for loss in wanted[1:]], rtol=1e-6)
    with pytest.raises(ValueError, match="leave these out"):
        model.fit(X, [Y, Y], verbose=0)


def test_placeholders_for_targets_get_what_fit_is_given() -> None:
    model = _line(K2, "sgd")
    model.compile("sgd", "mse", target_tensors=[K2.backend.placeholder((None, 1))])
    assert model.train_on_batch(np.ones((4, 2)), Y) > 0
    for targets, error in [(set(), TypeError), ([None, None], ValueError), ({"other": None}, ValueError),
                           (model.output, ValueError)]:  # fmt: skip
        with pytest.raises(error, match="target_tensors"):
            model.compile("sgd", "mse", target_tensors=targets)


def test_an_input_of_values_is_data_by_itself() -> None:
    """A model of it needs no data, or that of its other inputs alone."""
    held = K2.layers.Input(tensor=K2.backend.constant(X))
    assert K2.backend.int_shape(held) == (4, 3)
    layer = K2.layers.Dense(2)
    alone = K2.models.Model(held, layer(held))
    wanted = X @ layer.get_weights()[0]
    np.testing.assert_allclose(alone.predict(None, steps=2), np.concatenate([wanted] * 2), rtol=1e-5)
    np.testing.assert_allclose(alone.predict_on_batch(None), wanted, rtol=1e-5)
    other = K2.layers.Input(shape=(2,), name="other")
    both = K2.models.Model([held, other], K2.layers.add([layer(held), other]))
    for given in (np.ones((4, 2)), [np.ones((4, 2))], {"other": np.ones((4, 2))}):
        np.testing.assert_allclose(both.predict(given), wanted + 1, rtol=1e-5)
    alone.compile("sgd", "mse", target_tensors=[K2.backend.constant(np.zeros((4, 2)))])
    losses = alone.fit(epochs=3, steps_per_epoch=2, verbose=0).history["loss"]
    assert losses[0] > losses[1] > losses[2]
    with pytest.raises(ValueError, match="steps_per_epoch"):
        alone.fit()


@pytest.mark.parametrize("keras", [K1, K2, TF], ids=["keras1", "keras2", "tf_keras"])
def test_a_model_that_is_not_compiled_raises_runtime_errors(keras: Any) -> None:
    model = keras.models.Sequential([keras.layers.Dense(1, input_shape=(3,))])
    for work in (model.fit, model.train_on_batch, model.test_on_batch, model.evaluate):
        with pytest.raises(RuntimeError, match="compile"):
            work(X, Y)


@BOTH
def test_losses_of_a_model_count_penalties_of_activities_before_it_runs(keras: Any) -> None:
    """Once for each call of the layer; then they have values."""
    penalty = {"activity_regularizer": K1.regularizers.activity_l2(0.5) if keras is K1 else "l2"}
    layer = keras.layers.Dense(2, **penalty)
    one, other = keras.layers.Input(shape=(3,)), keras.layers.Input(shape=(3,))
    inner = keras.models.Model(one, layer(one))
    outer = keras.models.Model(other, inner(other))
    assert [len(inner.losses), len(outer.losses)] == [1, 1]
    twice = keras.models.Model([one, other], [layer(one), layer(other)])
    assert len(twice.losses) == 2 and not any(isinstance(loss, torch.Tensor) for loss in twice.losses)
    inner.predict(X)
    (loss,) = inner.losses
    assert float(loss) > 0


@pytest.mark.parametrize("keras", [K2, TF], ids=["keras2", "tf_keras"])
def test_metrics_of_symbolic_tensors_can_be_added(keras: Any) -> None:
    start = keras.layers.Input(shape=(3,))
    model = keras.models.Model(start, keras.layers.Dense(1, kernel_initializer="ones")(start))
    model.add_metric(keras.metrics.Mean(name="height")(model.output))
    model.compile("sgd", "mse")
    results = dict(zip(["loss", "height"], model.evaluate(X, Y, batch_size=3, verbose=0), strict=True))
    assert results["height"] == pytest.approx(X.sum(-1).mean(), abs=1e-6)


@BOTH
def test_a_rule_of_shapes_goes_on_from_that_of_the_input(keras: Any) -> None:
    """In own layers, and those below others' and ours."""
    word, K = "get_output_shape_for" if keras is K1 else "compute_output_shape", keras.backend

    class Twice(keras.layers.Layer):
        def call(self, x, mask=None):
            return K.concatenate([x, x], axis=-1)

        def rule(self, shape):
            shape = getattr(super(), word)(shape)
            return (*shape[:-1], shape[-1] * 2)

        locals()[word] = rule

    class More(Twice):
        def call(self, x, mask=None):
            return K.concatenate([x, x, x[:, :1]], axis=-1)

        def rule(self, shape):
            shape = getattr(super(), word)(shape)
            return (*shape[:-1], shape[-1] + 1)

        locals()[word] = rule

    class Wide(keras.layers.Dense):
        def call(self, x, mask=None):
            y = super().call(x)
            return K.concatenate([y, y], axis=-1)

        def rule(self, shape):
            shape = getattr(super(), word)(shape)
            return (*shape[:-1], shape[-1] * 2)

        locals()[word] = rule

    start = keras.layers.Input(shape=(3,))
    model = keras.models.Model(start, More()(Wide(4)(Twice()(start))))
    assert model.output_shape == (None, 17) and model.predict(X).shape == (4, 17)
    assert getattr(keras.layers.Layer(), word)((2, 3)) == (2, 3)


@BOTH
def test_rnn_takes_arrays_as_states_and_mask(keras: Any) -> None:
    x = np.ones((2, 3, 4), "float32")
    mask = np.array([[True, True, False], [True, False, False]])
    _, every, (state,) = keras.backend.rnn(
        lambda x, states: (x + states[0], [x + states[0]]), keras.backend.constant(x), [np.zeros((2, 4), "float32")],
        mask=mask,
    )  # fmt: skip
    np.testing.assert_allclose(state.numpy()[:, 0], [2, 1])
    np.testing.assert_allclose(every.numpy()[:, :, 0], [[1, 2, 2], [1, 1, 1]])


@BOTH
def test_an_input_that_was_added_is_a_layer_of_a_sequential_of_keras1(keras: Any) -> None:
    model = keras.models.Sequential([keras.layers.InputLayer(input_shape=(3,)), keras.layers.Dense(2)])
    again = keras.models.model_from_json(model.to_json())
    kinds = ["InputLayer", "Dense"] if keras is K1 else ["Dense"]
    assert [[type(one).__name__ for one in each.layers] for each in (model, again)] == [kinds, kinds]
    assert type(model.get_layer(index=1 if keras is K1 else 0)).__name__ == "Dense"
    model.add(keras.layers.Activation("relu"))
    model.pop()
    assert model.output_shape == (None, 2) and len(model.get_weights()) == 2
    assert len(keras.models.Sequential([keras.layers.Dense(2, input_shape=(3,))]).layers) == 1


def test_losses_of_outputs_are_means_of_batches_in_keras_2_3() -> None:
    """However many samples these have; the loss of the model counts samples."""
    model = _two_ends()
    model.compile("sgd", "mse")
    targets = [np.ones((4, 2), "float32"), Y]
    batches = [model.test_on_batch(X[part], [y[part] for y in targets]) for part in (slice(3), slice(3, 4))]
    found = model.evaluate(X, targets, batch_size=3, verbose=0)
    np.testing.assert_allclose(found[1:], np.mean(batches, 0)[1:], rtol=1e-5)
    np.testing.assert_allclose(found[0], np.average([one[0] for one in batches], weights=[3, 1]), rtol=1e-5)


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict", "train_on_batch"])
def test_a_list_of_one_array_is_the_array_to_a_sequential_without_an_input(method: str) -> None:
    model = lamina.keras2.models.Sequential([lamina.keras2.layers.Dense(3), lamina.keras2.layers.Dense(2)])
    model.compile("sgd", "mse")
    x, y = np.ones((8, 4), "float32"), np.ones((8, 2), "float32")
    getattr(model, method)([x], *([] if method == "predict" else [y]))
    assert model.predict([x]).shape == (8, 2)


def _small(keras: Any, **options: Any) -> Any:
    """A model that was compiled with SGD and has taken a step."""
    inputs = keras.layers.Input((3,))
    model = keras.models.Model(inputs, keras.layers.Dense(1)(inputs))
    model.set_weights([np.ones((3, 1)), np.zeros(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse", **options)
    model.train_on_batch(X, Y)
    return model


@pytest.mark.parametrize("keras", [K1, K2, TF], ids=["keras1", "keras2", "tf_keras"])
@pytest.mark.parametrize("how", ["fit", "train_on_batch"])
def test_training_goes_on_with_the_optimizer_it_began_with(keras: Any, how: str) -> None:
    same, other = _small(keras), _small(keras)
    with pytest.warns(UserWarning, match="goes on with the optimizer"):
        other.optimizer = keras.optimizers.RMSprop(0.5)
    for model in (same, other):
        for _ in range(2):
            getattr(model, how)(X, Y, **({"verbose": 0} if how == "fit" else {}))
    assert type(other.optimizer).__name__ == "RMSprop"
    for expected, found in zip(same.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("keras", [K1, K2, TF], ids=["keras1", "keras2", "tf_keras"])
@pytest.mark.parametrize("way", ["before", "none", "made", "compiled"])
def test_an_optimizer_that_is_set_counts_where_the_function_of_training_is_made(keras: Any, way: str) -> None:
    model = _small(keras)
    if way == "before":
        model.compile("sgd", "mse")
        model.optimizer = keras.optimizers.SGD(0.0)
    elif way == "compiled":
        model.compile(keras.optimizers.SGD(0.0), "mse")
    else:
        with pytest.warns(UserWarning, match="goes on with the optimizer"):
            model.optimizer = keras.optimizers.SGD(0.0)
        if way == "none" or keras is not TF:
            model.train_function = None
        if way == "made":
            model.make_train_function(force=True) if keras is TF else model._make_train_function()
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    for expected, found in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("keras", "name"), [(K1, "SGD"), (K2, "SGD"), (TF, "SGD"), (TF, "RMSprop")])
def test_a_momentum_may_begin_between_steps(keras: Any, name: str) -> None:
    model = _small(keras)
    model.compile(getattr(keras.optimizers, name)(0.01), "mse")
    model.train_on_batch(X, Y)
    model.optimizer.momentum = 0.9
    moved = []
    for _ in range(3):
        before = model.get_weights()[1]
        model.train_on_batch(X[:1] * 0, Y[:1] + 9)  # about the same gradient each time
        moved.append((model.get_weights()[1] - before).item())
    assert 1.5 * moved[0] < moved[1] < moved[2]


def _normalized(size: int) -> Any:
    model = K2.models.Sequential([K2.layers.Dense(3, input_shape=(size,)), K2.layers.BatchNormalization()])
    model.set_weights([np.ones((size, 3)), *[np.ones(3)] * 5])
    return model


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(("frozen", "moves"), [("layer", True), ("model", True), ("outer", False)])
def test_averages_in_models_move_by_when_these_were_called(deep: bool, frozen: str, moves: bool) -> None:
    inner, inputs = _normalized(3), K2.layers.Input((3,))
    called = _normalized(3)
    if deep:
        called.add(inner)
    else:
        called, frozen = inner, {"model": "outer"}.get(frozen, frozen)
        moves = moves and frozen == "layer"
    model = K2.models.Model(inputs, K2.layers.Dense(1)(called(inputs)))
    {"layer": inner.layers[-1], "model": inner, "outer": called}[frozen].trainable = False
    model.compile("sgd", "mse")
    model.train_on_batch(X, Y)
    assert (inner.layers[-1].get_weights()[-1] != 1).any() == moves  # the variance


@BOTH
def test_a_frozen_model_lists_what_its_layers_train_first(keras: Any) -> None:
    layers = keras.layers
    inner = keras.models.Sequential(
        [layers.Dense(2, input_shape=(3,)), layers.BatchNormalization(), layers.Dense(4), layers.BatchNormalization()]
    )
    listed = inner.weights
    inner.trainable = False
    model = keras.models.Sequential([layers.Dense(3, input_shape=(3,)), inner, layers.Dense(1)])
    assert [*map(id, inner.weights)] == [*map(id, inner.non_trainable_weights)] == [*map(id, listed)]
    assert [*map(id, model.non_trainable_weights)] == [*map(id, listed)]
    assert [*map(id, model.weights)] == [*map(id, [*model.trainable_weights, *listed])]


def test_a_stack_of_keras1_shares_the_input_of_the_model_it_begins_with() -> None:
    first = K1.models.Sequential([K1.layers.Dense(3, input_dim=3)])
    second = K1.models.Sequential([first, K1.layers.Dense(2)])
    third = K1.models.Sequential()
    third.add(second)
    third.add(K1.layers.Dense(1))
    assert third.input is second.input is first.input
    model = K1.models.Model(first.input, [first.output, second.output, third.output])
    for expected, found in zip((first, second, third), model.predict(X), strict=True):
        np.testing.assert_allclose(found, expected.predict(X), rtol=1e-5)
    again = K1.models.Sequential.from_config(third.get_config())
    again.set_weights(third.get_weights())
    np.testing.assert_allclose(again.predict(X), third.predict(X), rtol=1e-5)


@pytest.mark.parametrize("name", ["zeros_like", "ones_like"])
def test_fillings_of_keras_2_3_are_floats(name: str) -> None:
    def types(keras: Any) -> list[str]:
        K = keras.backend
        like, x = getattr(K, name), K.variable(np.arange(3), dtype="int32")
        return [K.dtype(like(x)), K.dtype(like(x, dtype="int64")), K.dtype(like(K.cast(x, "float64")))]

    assert types(K2) == ["float32", "int64", "float32"]
    assert types(K1) == types(TF) == ["int32", "int64", "float64"]
    with _before_2_3() as early:
        assert types(early) == ["int32", "int64", "float64"]


@pytest.mark.parametrize("keras", [K1, K2, TF], ids=["keras1", "keras2", "tf_keras"])
def test_an_activation_is_read_as_that_of_its_generation(keras: Any) -> None:
    activations, x = keras.activations, torch.tensor([[-2.0, 0.5, 1.0]])
    for name in ("hard_sigmoid", "softmax", "sigmoid", "relu", "tanh", "linear"):
        read = activations.deserialize(name)
        assert read == getattr(activations, name) and torch.equal(read(x), activations.get(name)(x))
    np.testing.assert_allclose(activations.deserialize("hard_sigmoid")(x), [[0.1, 0.6, 0.7]], rtol=1e-6)
    assert activations.deserialize("own", {"own": len}) is len


@BOTH
def test_of_no_samples_nothing_is_predicted(keras: Any) -> None:
    model = keras.models.Sequential([keras.layers.Dense(2, input_shape=(3,))])
    assert model.predict(X[:0]) == []
    assert model.predict_on_batch(X[:0]).shape == (0, 2)
    tf = TF.models.Sequential([TF.layers.Dense(2, input_shape=(3,))])
    with pytest.raises(ValueError, match="empty"):
        tf.predict(X[:0])


@BOTH
def test_a_call_told_whether_it_trains_has_no_learning_phase(keras: Any) -> None:
    x = keras.layers.Input((3,))
    told, free = (keras.models.Model(x, keras.layers.Dropout(0.5)(x, **given)) for given in ({"training": True}, {}))
    assert not told.uses_learning_phase and free.uses_learning_phase
    assert not told(x)._uses_learning_phase and free(x)._uses_learning_phase


def test_a_copy_on_values_holds_them() -> None:
    model = K2.models.Sequential([K2.layers.Dense(1, input_shape=(3,))])
    copy = K2.models.clone_model(model, K2.backend.variable(X))
    copy.set_weights(model.get_weights())
    copy.compile("sgd", "mse")
    model.compile("sgd", "mse")
    np.testing.assert_allclose(copy.train_on_batch(None, Y), model.train_on_batch(X, Y), rtol=1e-6)


@pytest.mark.parametrize("keras", [K1, K2, TF], ids=["keras1", "keras2", "tf_keras"])
def test_a_loss_without_a_gradient_is_told(keras: Any) -> None:
    K, layers = keras.backend, keras.layers
    told = {"output_shape": lambda shape: (shape[0],)} if keras is not TF else {}
    model = keras.models.Sequential(
        [layers.Dense(2, input_shape=(3,)), layers.Lambda(lambda x: K.cast(K.argmax(x), "float32"), **told)]
    )
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="no gradient for any weight"):
        model.fit(X, Y[:, 0], verbose=0)


@pytest.mark.parametrize("keras", [K2, TF], ids=["keras2", "tf_keras"])
@pytest.mark.parametrize("stacked", [True, False], ids=["sequential", "functional"])
def test_a_model_is_made_anew_for_other_inputs(keras: Any, stacked: bool) -> None:
    def layers() -> list[Any]:
        return [keras.layers.Conv2D(2, 3, activation="relu"), keras.layers.GlobalMaxPooling2D(), keras.layers.Dense(1)]

    model = keras.models.Sequential([keras.layers.InputLayer((8, 8, 1)), *layers()])
    if not stacked:
        x = y = keras.layers.Input((8, 8, 1))
        for layer in layers():
            y = layer(y)
        model = keras.models.Model(x, y)
    assert [type(layer).__name__ for layer in model._layers][:2] == ["InputLayer", "Conv2D"]
    assert model._layers[1:] == model.layers[0 if stacked else 1 :]
    model._layers[0].batch_input_shape = (None, 12, 12, 1)
    wider = keras.models.model_from_json(model.to_json())
    assert wider.input_shape == (None, 12, 12, 1)
    wider.set_weights(model.get_weights())
    assert wider.predict(np.ones((1, 12, 12, 1), "float32")) == model.predict(np.ones((1, 8, 8, 1), "float32"))


def test_a_metric_that_counts_itself() -> None:
    class Right(K2.layers.Layer):
        def __init__(self, name: str = "right", **kwargs: Any):
            super().__init__(name=name, **kwargs)
            self.stateful = True
            self.count = K2.backend.variable(0, dtype="int32")

        def reset_states(self) -> None:
            K2.backend.set_value(self.count, 0)

        def __call__(self, y_true: Any, y_pred: Any) -> Any:
            K = K2.backend
            right, before = K.cast(K.sum(K.cast(K.equal(K.round(y_pred), y_true), "int32")), "int32"), self.count * 1
            self.add_update(K.update_add(self.count, right), inputs=[y_true, y_pred])
            return before + right

    y = np.tile(Y, (5, 1))
    model = K2.models.Sequential([K2.layers.Lambda(lambda x: x * 1.0, input_shape=(1,)), K2.layers.Dense(1)])
    model.compile(K2.optimizers.SGD(0.0), "mse", metrics=["mae", Right()])
    model.set_weights([np.ones((1, 1)), np.zeros(1)])
    for _ in range(2):
        held = model.fit(y, y, batch_size=2, validation_data=(y[:6], y[:6]), verbose=0).history
        assert held["right"] == [20] and held["val_right"] == [6]
        assert model.evaluate(y, 1 - y, batch_size=3, verbose=0)[2] == 0
        assert model.evaluate(y[:7], y[:7], batch_size=3, verbose=0)[2] == 7
    model.compile("sgd", "mse", weighted_metrics=[Right()])
    with pytest.raises(ValueError, match="counts itself takes no"):
        model.fit(y, y, sample_weight=np.ones(20), verbose=0)


def test_names_of_keras_2_1_are_held() -> None:
    topology, legacy = (
        importlib.import_module(f"lamina.keras2.{name}") for name in ("engine.topology", "legacy.layers")
    )
    assert topology._to_list(1) == [1] and topology._object_list_uid([X]) == str(id(X))
    a, b = (K2.layers.Input((3,)) for _ in range(2))
    model = K2.models.Model([a, b], legacy.merge([a, b], mode="mul"))
    np.testing.assert_allclose(model.predict([X, X]), X * X)


@pytest.mark.parametrize("given", [["mae", "mse"], ["acc"], {"a": "mae"}, None], ids=str)
@BOTH
def test_a_model_is_compiled_again_with_what_it_shows(keras: Any, given: Any) -> None:
    """Its metrics are those that `compile` was given; in Keras 2.3 objects from the first batch on."""
    x = keras.layers.Input((3,))
    outputs = [keras.layers.Dense(1, name=name)(x) for name in "ab"]
    model = keras.models.Model(x, outputs)
    model.compile("sgd", "mse", loss_weights=[1, 2], **({"metrics": given} if given else {}))
    assert model.metrics == (given or [])
    first = model.evaluate(X, [Y, Y], verbose=0)
    model.train_on_batch(X, [Y, Y])
    if keras is K2 and given:
        assert all(isinstance(one, K2.metrics.Metric) for one in model.metrics)
        assert {one.name for one in model.metrics} == set(given if isinstance(given, list) else given.values())
    names, weights = model.metrics_names, model.get_weights()
    for again in (model, keras.models.Model(x, outputs)):
        again.compile(model.optimizer, model.loss, metrics=given or model.metrics, loss_weights=model.loss_weights)
        assert again.metrics_names == names and len(again.evaluate(X, [Y, Y], verbose=0)) == len(first)
    single = keras.models.Sequential([keras.layers.Dense(1, input_shape=(3,))])
    single.compile("sgd", "mse", metrics=["mae"])
    single.fit(X, Y, verbose=0)
    before = single.evaluate(X, Y, verbose=0)
    single.compile(single.optimizer, single.loss, metrics=single.metrics)
    np.testing.assert_allclose(single.evaluate(X, Y, verbose=0), before, rtol=1e-6)
    assert weights[0].shape == (3, 1)


def test_added_metrics_are_shown_in_keras_2_3() -> None:
    class Counts(K2.models.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = K2.layers.Dense(1)

        def call(self, x: Any) -> Any:
            self.add_metric(K2.backend.sum(x), name="summed")
            return self.dense(x)

    model = Counts()
    model.compile("sgd", "mse", metrics=[K2.metrics.MeanSquaredError("first")])
    model.fit(X, Y, verbose=0)
    assert [one.name for one in model.metrics] == ["first", "summed"]
    assert [one.name for one in model._compile_metrics] == ["first"]


FUNCTIONS = "mean_squared_error hinge kullback_leibler_divergence cosine_proximity categorical_crossentropy".split()


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("keras", [K1, K2, TF], ids=["keras1", "keras2", "tf_keras"])
def test_compiled_models_are_pickled_whatever_their_loss(keras: Any, name: str) -> None:
    module = keras.objectives if keras is K1 else keras.losses
    y = np.eye(2)[[0, 1, 0, 1]]
    for loss in (name, getattr(module, name)):
        model = keras.models.Sequential([keras.layers.Dense(2, activation="softmax", input_shape=(3,))])
        model.compile("sgd", loss, metrics=["mse", name, "acc"])
        model.fit(X, y, verbose=0)
        copied = pickle.loads(pickle.dumps(model))
        np.testing.assert_allclose(copied.evaluate(X, y, verbose=0), model.evaluate(X, y, verbose=0), rtol=1e-6)
        np.testing.assert_allclose(copied.train_on_batch(X, y), model.train_on_batch(X, y), rtol=1e-6)


@pytest.mark.parametrize("keras", [K1, K2, TF], ids=["keras1", "keras2", "tf_keras"])
def test_losses_of_users_are_pickled_with_the_model(keras: Any) -> None:
    model = keras.models.Sequential([keras.layers.Dense(2, input_shape=(3,))])
    model.compile("sgd", squares, metrics=[squares])
    model.fit(X, np.zeros((4, 2)), verbose=0)
    copied = pickle.loads(pickle.dumps(model))
    assert copied.evaluate(X, np.zeros((4, 2)), verbose=0) == model.evaluate(X, np.zeros((4, 2)), verbose=0)


def squares(y_true: Any, y_pred: Any) -> Any:
    """A loss of each feature."""
    return (y_true - y_pred) ** 2


def test_callbacks_know_how_many_batches_an_epoch_has() -> None:
    """Of a dataset whose number changes; the original tells them with every epoch."""

    class Grows(K2.utils.Sequence):
        size = 1

        def __len__(self) -> int:
            return -(-4 // self.size)

        def __getitem__(self, index: int) -> Any:
            return X[: self.size], Y[: self.size]

        def on_epoch_end(self) -> None:
            self.size += 1

    told, seen = [], []

    class Tells(K2.callbacks.Callback):
        def set_params(self, params: dict[str, Any]) -> None:
            super().set_params(params)
            told.append(params["steps"])

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            seen.append(self.params["steps"])

    model = K2.models.Sequential([K2.layers.Dense(1, input_shape=(3,))])
    model.compile("sgd", "mse")
    model.fit_generator(Grows(), epochs=5, verbose=0, callbacks=[Tells()])
    assert told == seen == [4, 2, 2, 1, 1]
    told.clear()
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[Tells()])
    assert len(told) == 1


@pytest.mark.parametrize("keras", [K2, TF], ids=["keras2", "tf_keras"])
def test_inputs_of_a_subclassed_model_are_set(keras: Any) -> None:
    class Net(keras.models.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x: Any, training: Any = None) -> Any:
            return self.dense(x["x"] if isinstance(x, dict) else x)

    spec = lamina.tf_keras.backend.placeholder((None, 3))
    for like in (X, torch.zeros(1, 3), keras.layers.Input((3,)), spec, {"x": X}):
        model = Net()
        model._set_inputs(like, training=False)
        assert [tuple(weight.shape) for weight in model.weights] == [(3, 2), (2,)]
        assert model.predict({"x": X} if isinstance(like, dict) else X, verbose=0).shape == (4, 2)
        with pytest.raises(ValueError, match="known already"):
            model._set_inputs(like)


@pytest.mark.parametrize("modes", [["temporal"], {"c": "temporal"}, {"a": "temporal"}], ids=str)
@BOTH
def test_modes_of_weights_are_for_the_outputs(keras: Any, modes: Any) -> None:
    x = keras.layers.Input((3,))
    model = keras.models.Model(x, [keras.layers.Dense(1, name=name)(x) for name in "ab"])
    with pytest.raises(ValueError, match="sample_weight_mode"):
        model.compile("sgd", "mse", sample_weight_mode=modes)
    model.compile("sgd", "mse", sample_weight_mode={"a": "temporal", "b": None})


def test_words_of_keras_1_in_configs_of_keras_2() -> None:
    for name in ("LSTM", "GRU"):
        for implementation, consumed in enumerate(("cpu", "mem", "gpu")):
            layer = getattr(K2.layers, name)(2, consume_less=consumed)
            assert layer.get_config()["implementation"] == implementation
    for given in ("one", "zero"):
        with nullcontext() if given == "one" else pytest.warns(UserWarning, match="forget_bias_init"):
            assert K2.layers.LSTM(2, forget_bias_init=given).unit_forget_bias is True
    assert K1.layers.LSTM(2, forget_bias_init="zero").get_config()["forget_bias_init"] == "zero"


def test_what_code_takes_from_inside_the_engine() -> None:
    training, utils, older = (
        importlib.import_module(f"lamina.{name}")
        for name in ("keras2.engine.training", "keras2.engine.training_utils", "keras1.engine.training")
    )
    assert training._make_batches(5, 2) == [(0, 2), (2, 4), (4, 5)]
    assert training._slice_arrays([X], 1, 2)[0].shape == (1, 3)
    y = np.array([0, 1, 0, 0, 2])
    for module in (utils, older):
        weights = module.standardize_weights(y, np.array([0.5, 1, 1, 0, 2]), {0: 0.5, 1: 1.0, 2: 1.5})
        np.testing.assert_allclose(weights, [0.25, 1, 0.5, 0, 3])
        np.testing.assert_allclose(module.standardize_weights(y[:, None], sample_weight_mode="temporal"), [[1]] * 5)
        check, loss = module.check_loss_and_target_compatibility, lamina.losses.categorical_crossentropy
        check([X, None], [loss, loss], [(4, 3), (4, 3)])
        check([X], [loss], [(None, None)])
        with pytest.raises(ValueError, match="You are passing a target array"):
            check([Y], [loss], [(4, 1)])
        with pytest.raises(ValueError, match="targets to have the same shape"):
            check([X], [K2.losses.CategoricalCrossentropy()], [(4, 2)])
    with pytest.raises(AssertionError, match="diagonal"):
        importlib.import_module("lamina.keras2.utils.conv_utils").conv_output_length(4, 2, "diagonal", 1)
    assert importlib.import_module("lamina.keras1.backend.theano_backend").th_sparse_module is False


def test_depths_count_all_calls_of_a_layer() -> None:
    """The inputs of a layer that is called twice lie at the depth of the deeper call."""
    a, b = (K2.layers.Input((3,), name=name) for name in "ab")
    shared = K2.layers.Dense(3, name="shared")
    deep = K2.layers.Dense(3)(K2.layers.Dense(3)(shared(b)))
    model = K2.models.Model([a, b], K2.layers.add([shared(a), deep]))
    depths = {layer.name: depth for depth, layers in model._layers_by_depth.items() for layer in layers}
    assert depths["a"] == depths["b"] == depths["shared"] + 1 == 4
    assert [node.get_config()["inbound_layers"] for node in shared._inbound_nodes] == [["b"], ["a"]]


def test_a_summary_tells_of_layers_that_train_otherwise(capsys: Any) -> None:
    inner = K2.models.Sequential([K2.layers.Dense(1, input_shape=(3,))])
    model = K2.models.Sequential([inner, K2.layers.Dense(1)])
    inner.trainable = False
    model.compile("sgd", "mse")
    inner.trainable = True
    for _ in range(2):
        with pytest.warns(UserWarning, match="Discrepancy between trainable weights"):
            model.summary()
    with pytest.warns(UserWarning, match="Discrepancy"):
        model.fit(X, Y, verbose=0)
    model.compile("sgd", "mse")
    model.summary()
    assert "Total params" in capsys.readouterr().out


def test_one_target_tensor_for_several_outputs() -> None:
    x = K2.layers.Input((3,))
    model = K2.models.Model(x, [K2.layers.Dense(1)(x), K2.layers.Dense(1)(x)])
    with pytest.raises(ValueError, match="passed a single tensor as `target_tensors`"):
        model.compile("sgd", "mse", target_tensors=K2.backend.variable(Y))


@pytest.mark.parametrize("keras", [lamina, K1, K2, TF], ids=["keras3", "keras1", "keras2", "tf_keras"])
def test_models_are_saved_into_open_hdf5_files(keras: Any, tmp_path: Path) -> None:
    """Also into a group of one, twice, and into one in memory alone."""
    model = keras.models.Sequential([keras.layers.Dense(2, activation="relu", name="d"), keras.layers.Dense(1)])
    model.build((None, 3))
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(X, Y, verbose=0)
    with h5py.File(tmp_path / "held", "w", driver="core", backing_store=False) as file:
        group = file.create_group("models/first")
        for target in (file, group, group):
            (keras.models.save_model(model, target) if target is file else model.save(target))
            loaded = keras.models.load_model(target)
            assert type(loaded) is type(model)
            np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
            np.testing.assert_allclose(loaded.train_on_batch(X, Y), model.train_on_batch(X, Y), rtol=1e-6)
        assert not list(tmp_path.iterdir()) and "model_weights" in group
