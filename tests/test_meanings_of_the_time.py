"""What Keras 1.2.2, Keras 2.3.1 and tf_keras 2.21 gave for the same lines; the numbers are theirs."""

from __future__ import annotations

import importlib
import pickle
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import lamina
from lamina import generations, keras1, keras2, tf_keras

EACH = pytest.mark.parametrize("space", [keras1, keras2, tf_keras], ids=lambda space: space.__name__[7:])
OLDER = pytest.mark.parametrize("space", [keras1, keras2], ids=lambda space: space.__name__[7:])


def drawn(*shape: int, seed: int = 7, low: float = -1, high: float = 1) -> np.ndarray:
    return np.random.RandomState(seed).uniform(low, high, shape).astype("float32")


def filled(model: Any) -> Any:
    """With weights of a seed, variances above 0."""
    random = np.random.RandomState(5)
    arrays = [random.uniform(-0.6, 0.6, array.shape) for array in model.get_weights()]
    for place, weight in enumerate(model.weights):
        if weight.name.endswith(("variance", "_std")):
            arrays[place] = np.abs(arrays[place]) + 0.3
    model.set_weights(arrays)
    return model


def penalized(space: ModuleType) -> Any:
    word = "W_regularizer" if space is keras1 else "kernel_regularizer"
    layers = space.layers
    dense = [layers.Dense(2, input_dim=3, **{word: "l2"}), layers.Dense(1, **{word: "l2"})]
    return filled(space.models.Sequential([*dense, layers.BatchNormalization()]))


@EACH
@pytest.mark.parametrize("frozen", ["nothing", "a layer", "the normalization", "the model"])
@pytest.mark.filterwarnings("ignore:The model has no trainable weights")
def test_penalties_of_what_is_frozen_count(space: ModuleType, frozen: str) -> None:
    """And a frozen normalization goes by the batch in Keras 1 and 2, where 1 keeps up its averages as well."""
    model = penalized(space)
    if frozen == "the model":
        model.trainable = False
    elif frozen != "nothing":
        model.layers[0 if frozen == "a layer" else -1].trainable = False
    model.compile("sgd", "mse")
    assert len(model.losses) == 2
    x, y = drawn(4, 3), drawn(4, 1)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(0.365030, abs=1e-5)
    normal = frozen in ("nothing", "a layer")
    by_batch = normal or space is not tf_keras
    assert model.train_on_batch(x, y) == pytest.approx(0.600529 if by_batch else 0.365030, abs=1e-5)
    moves = normal or space is keras1
    assert model.get_weights()[-2].item() == pytest.approx(-0.412007 if moves else -0.410028, abs=1e-5)


@OLDER
def test_a_frozen_model_leaves_its_layers_as_they_are(space: ModuleType) -> None:
    """Its layers train in other models, and those of it that were frozen by themselves stay frozen."""
    dense, options = space.layers.Dense, {"verbose": 0, "nb_epoch" if space is keras1 else "epochs": 1}
    inner = space.models.Sequential([dense(2, input_dim=3), dense(2)])
    filled(inner).trainable = False
    assert [layer.trainable for layer in inner.layers] == [True, True] and not inner.trainable_weights
    words = ("input", "output") if space is keras1 else ("inputs", "outputs")

    def trained(model: Any) -> list[bool]:
        model.compile("sgd", "mse")
        before = model.get_weights()
        model.fit(drawn(4, 3), drawn(4, 1), **options)
        changed = [bool((one != other).any()) for one, other in zip(before, model.get_weights(), strict=True)]
        assert sum(changed) == len(model.trainable_weights)
        return changed

    beside = space.models.Model(**dict(zip(words, (inner.input, dense(1)(inner.output)), strict=True)))
    assert trained(beside) == [True] * 6
    around = space.models.Sequential([inner, dense(1)])
    assert trained(around) == [False] * 4 + [True] * 2
    assert inner.layers[0].kernel.requires_grad
    inner.layers[0].trainable = False
    inner.trainable = True
    last = [True] * 2  # Keras 2 lists what is trained in a model inside before its other weights
    assert trained(around) == ([True, True, False, False] if space is keras2 else [False, False, True, True]) + last


def net(space: ModuleType, outputs: int = 1, activation: str = "linear") -> Any:
    layers = space.layers
    return filled(
        space.models.Sequential(
            [layers.Dense(3, input_dim=4, activation="tanh"), layers.Dense(outputs, activation=activation)]
        )
    )


@OLDER
def test_accuracy_is_that_of_the_loss(space: ModuleType) -> None:
    """With binary crossentropy each of several outputs is right or wrong by itself."""
    model = net(space, 3, "sigmoid")
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    labels = np.eye(3, dtype="float32")[np.random.RandomState(3).randint(0, 3, 10)]
    _, accuracy = model.evaluate(drawn(10, 4), labels, verbose=0)
    assert accuracy == pytest.approx(((model.predict(drawn(10, 4)) > 0.5) == labels).mean(), abs=1e-6)
    model.compile("sgd", "mse", metrics=["accuracy"])
    _, accuracy = model.evaluate(drawn(10, 4), labels, verbose=0)
    assert accuracy == pytest.approx((model.predict(drawn(10, 4)).argmax(1) == labels.argmax(1)).mean(), abs=1e-6)


@OLDER
@pytest.mark.parametrize("from_generator", [False, True])
def test_logs_of_a_batch_hold_its_own_loss(space: ModuleType, from_generator: bool) -> None:
    told: list[dict[str, Any]] = []

    class Told(space.callbacks.Callback):
        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            told.append(dict(logs))

    x, y = drawn(10, 4), drawn(10, 1, seed=2)
    model = net(space)
    model.compile(space.optimizers.SGD(lr=0.0), "mse", metrics=["mae"])
    epochs = "nb_epoch" if space is keras1 else "epochs"
    options = {"verbose": 0, "callbacks": [Told()], epochs: 2}
    parts = [slice(0, 4), slice(4, 8), slice(8, 10)]
    if from_generator:
        batches = ((x[part], y[part]) for part in parts * 2)
        steps = {"samples_per_epoch": 10} if space is keras1 else {"steps_per_epoch": 3}
        model.fit_generator(batches, **steps, **options)
    else:
        model.fit(x, y, batch_size=4, shuffle=False, **options)
    errors = model.predict(x) - y
    name = "mean_absolute_error" if space is keras1 else "mae"
    assert [logs["size"] for logs in told] == [4, 4, 2] * 2
    assert [logs["loss"] for logs in told] == pytest.approx([np.square(errors[part]).mean() for part in parts] * 2)
    ends = [part if space is keras1 else slice(0, part.stop) for part in parts]  # Keras 2's metrics count up
    assert [logs[name] for logs in told] == pytest.approx([np.abs(errors[part]).mean() for part in ends] * 2)


def test_metrics_of_keras1() -> None:
    """They are called by their long names, and a value for a batch weighs as much as the batch is large."""

    def of_batch(y_true: Any, y_pred: Any) -> Any:
        return keras1.backend.max(keras1.backend.abs(y_true - y_pred))

    x, y = drawn(10, 4), drawn(10, 1, seed=2)
    model = net(keras1)
    model.compile("sgd", "mse", metrics=["mae", "MSE", "kld", of_batch])
    values = model.evaluate(x, y, batch_size=4, verbose=0)
    names = ["loss", "mean_absolute_error", "mean_squared_error", "kullback_leibler_divergence", "of_batch"]
    assert model.metrics_names == names
    largest = [np.abs(model.predict(x) - y)[at : at + 4].max() for at in (0, 4, 8)]
    assert values[-1] == pytest.approx(np.average(largest, weights=[4, 4, 2]), abs=1e-6)
    history = model.fit(x, y, nb_epoch=1, verbose=0).history
    assert history["mae"] == history["mean_absolute_error"]


@EACH
def test_a_loss_of_each_feature_takes_weights_of_samples(space: ModuleType) -> None:
    x, y, weights = drawn(10, 4), drawn(10, 2, seed=2), drawn(10, seed=6, low=0, high=2)
    model = net(space, 2)
    model.compile("sgd", lambda y_true, y_pred: space.backend.square(y_true - y_pred))
    expected = (np.square(model.predict(x) - y).mean(1) * weights).mean()
    assert model.test_on_batch(x, y, sample_weight=weights) == pytest.approx(expected, abs=1e-6)


@OLDER
def test_weights_of_samples_and_of_classes(space: ModuleType) -> None:
    """Keras 2 multiplies them; in Keras 1 those of samples are all that counts."""
    x, y, weights = drawn(8, 4), np.arange(8)[:, None] % 2, np.linspace(0.5, 2, 8)
    model = net(space)
    model.compile(space.optimizers.SGD(lr=0.0), "mse")
    classes = np.where(y[:, 0] == 1, 3.0, 1.0) if space is keras2 else 1.0
    expected = (np.square(model.predict(x) - y)[:, 0] * weights * classes).mean()
    epochs = {"nb_epoch" if space is keras1 else "epochs": 1}
    history = model.fit(x, y, verbose=0, sample_weight=weights, class_weight={0: 1.0, 1: 3.0}, **epochs).history
    assert history["loss"][0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("ordering", ["th", "tf"])
@pytest.mark.parametrize(
    "code",
    ["Convolution1D(2, 1)", "AtrousConvolution1D(2, 1)", "Convolution2D(2, 1, 1)", "Convolution2D(2, 1, 3)",
     "Deconvolution2D(2, 1, 1, (2, 2, 3, 3))", "SeparableConvolution2D(2, 1, 1)"],
)  # fmt: skip
def test_kernels_of_one_element_on_theano(code: str, ordering: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from lamina.generations.dialect import DIALECTS

    monkeypatch.setattr(DIALECTS["keras1"], "_backend", "theano")
    options = {} if "1D" in code else {"dim_ordering": ordering}
    layer = eval(code, vars(keras1.layers) | {name: getattr(keras1.layers, name) for name in [code.split("(")[0]]})
    config = layer.get_config() | options
    if "output_shape" in config and ordering == "tf":
        config["output_shape"] = (2, 3, 3, 2)
    layer = type(layer).from_config(config)
    x = drawn(2, 4, 2) if "1D" in code else drawn(2, 3, 3, 3)
    tensor = keras1.layers.Input(batch_shape=x.shape)
    words = {"input": tensor, "output": layer(tensor)}
    model = keras1.models.Model(**words)
    arrays = [drawn(*array.shape) for array in model.get_weights()]
    model.set_weights(arrays)
    for one, other in zip(arrays, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@EACH
def test_functions_of_several_tensors_and_of_one(space: ModuleType) -> None:
    backend = space.backend
    a, b = drawn(3, 4), drawn(3, 4, seed=8)
    tensors = backend.variable(a), backend.variable(b)
    found = backend.map_fn(lambda pair: pair[0] + pair[1], tensors, dtype="float32")
    np.testing.assert_allclose(backend.get_value(found), a + b, rtol=1e-6)
    x = backend.placeholder(shape=(None, 4))
    found = backend.function([x], x * 2 if space is not keras1 else [x * 2])([a])
    np.testing.assert_allclose(found if space is not keras1 else found[0], a * 2, rtol=1e-6)


def test_helpers_of_keras1() -> None:
    from lamina.keras1.applications import imagenet_utils
    from lamina.keras1.utils import np_utils

    assert np_utils.to_categorical(np.array([[0, 1], [2, 1]])).shape == (4, 3)
    assert np_utils.to_categorical(3).shape == (1, 4)
    assert np_utils.probas_to_classes(np.array([[0.7], [0.3]])).tolist() == [1, 0]
    pictures = drawn(2, 3, 4, 5, low=0, high=255)
    turned = imagenet_utils.preprocess_input(pictures.transpose(0, 2, 3, 1).copy(), "tf")
    np.testing.assert_allclose(imagenet_utils.preprocess_input(pictures, "th"), turned.transpose(0, 3, 1, 2))
    backend = keras1.backend
    x, ones = backend.variable(drawn(2, 3, 4, 5)), backend.ones((5,))
    _, _, variance = backend.normalize_batch_in_training(x, ones, ones, [0, 1, 2])
    np.testing.assert_allclose(backend.get_value(variance), drawn(2, 3, 4, 5).var((0, 1, 2)), rtol=1e-5)


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_the_variance_of_pictures_is_unbiased_where_tensorflow_fuses(axis: int) -> None:
    """Not along an axis in the middle."""
    x = drawn(3, 2, 4, 3)
    layer = tf_keras.layers.BatchNormalization(axis=axis, momentum=0.0)
    layer(x, training=True)
    others = tuple(place for place in range(4) if place != axis)
    count = x.size // x.shape[axis]
    expected = x.var(others) * (count / (count - 1) if axis != 2 else 1.0)
    np.testing.assert_allclose(layer.moving_variance.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize(("fused", "unbiased"), [(None, True), (True, True), (False, False)])
def test_a_variance_that_is_not_fused_is_biased(fused: bool | None, unbiased: bool) -> None:
    """`fused` is taken as a keyword and does not stand in the config, as in tf_keras 2.21."""
    x = drawn(3, 2, 4, 5)
    layer = tf_keras.layers.BatchNormalization(momentum=0.0, fused=fused)
    layer(x, training=True)
    expected = x.reshape(-1, 5).var(0, ddof=int(unbiased))
    np.testing.assert_allclose(layer.moving_variance.numpy(), expected, rtol=1e-5)
    assert "fused" not in layer.get_config()
    for other in ({"axis": [1, 2]}, {"renorm": True}):
        tf_keras.layers.BatchNormalization(**other, fused=fused)(x)


@EACH
def test_a_plateau_is_waited_for_as_in_the_time(space: ModuleType) -> None:
    """With a patience of 1, in Keras 1 the second epoch without progress cuts the rate, then each one."""
    rates: list[float] = []

    class Rates(space.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            rates.append(float(self.model.optimizer.learning_rate))

    delta = {"epsilon" if space is keras1 else "min_delta": 1.0}
    plateau = space.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=1, min_lr=0.001, **delta)
    model = net(space)
    model.compile(space.optimizers.SGD(lr=0.1), "mse")
    epochs = {"nb_epoch" if space is keras1 else "epochs": 5}
    model.fit(drawn(10, 4), drawn(10, 1), verbose=0, callbacks=[plateau, Rates()], **epochs)
    expected = [0.1, 0.1, 0.05, 0.025, 0.0125] if space is keras1 else [0.1, 0.05, 0.025, 0.0125, 0.00625]
    assert rates == pytest.approx(expected)


def test_functions_of_lambda_callbacks_may_name_their_arguments_as_they_like() -> None:
    told: list[int] = []
    callback = keras1.callbacks.LambdaCallback(on_batch_end=lambda b, l: told.append(b))  # noqa: E741
    model = net(keras1)
    model.compile("sgd", "mse")
    model.fit(drawn(8, 4), drawn(8, 1), batch_size=4, nb_epoch=1, verbose=0, callbacks=[callback])
    assert told == [0, 1]


@EACH
def test_outputs_of_one_layer_have_their_own_losses(space: ModuleType) -> None:
    layers = space.layers
    inputs, dense = [layers.Input((4,)), layers.Input((4,))], layers.Dense(2, name="d")
    words = ("input", "output") if space is keras1 else ("inputs", "outputs")
    model = filled(space.models.Model(**dict(zip(words, (inputs, [dense(one) for one in inputs]), strict=True))))
    model.compile("sgd", loss=["mse", "mae"], loss_weights=[1.0, 2.0])
    x, y = [drawn(4, 4), drawn(4, 4, seed=3)], [drawn(4, 2, seed=1), drawn(4, 2, seed=2)]
    assert model.train_on_batch(x, y) == pytest.approx([1.535571, 0.416222, 0.559675], abs=1e-5)
    assert model.metrics_names == ["loss", "d_loss", "d_1_loss"]


_RESULTS = {  # what is compiled: names and values of results, as Keras 2.3.1 and tf_keras 2.21 give them
    "several metrics": (
        {"loss": "mse", "metrics": ["mse", "mae", "accuracy"]},
        {"loss": 125, "o1_loss": 56, "o2_loss": 69, "o1_mse": 56, "o1_mae": 6, "o1_accuracy": 1, "o2_mse": 69,
         "o2_mae": 7, "o2_accuracy": 1},
    ),
    "metrics by output": (
        {"loss": "mse", "metrics": {"o2": ["mse", "accuracy"], "o1": "mae"}},
        {"loss": 125, "o1_loss": 56, "o2_loss": 69, "o1_mae": 6, "o2_mse": 69, "o2_accuracy": 1},
    ),
    "weighted metrics": (
        {"loss": {"o1": "mse", "o2": "mae"}, "metrics": {"o2": ["mse", "accuracy"]}, "weighted_metrics": ["mae"]},
        {"loss": 63, "o1_loss": 56, "o2_loss": 7, "o1_mae": 6, "o2_mse": 69, "o2_accuracy": 1, "o2_mae": 7},
    ),
    "one loss": (
        {"loss": {"o1": "mse"}, "metrics": {"o1": ["mse", "mae"]}},
        {"loss": 56, "o1_loss": 56, "o1_mse": 56, "o1_mae": 6},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", _RESULTS)
@pytest.mark.parametrize("space", [keras1, keras2, tf_keras])
def test_results_come_output_by_output(space: Any, name: str) -> None:
    if space is keras1 and name == "weighted metrics":
        pytest.skip("Keras 1 has none.")
    compiled, results = _RESULTS[name]
    words = {"init" if space is keras1 else "kernel_initializer": "one" if space is keras1 else "ones"}
    start = space.layers.Input((2,))
    outputs = [space.layers.Dense(size, name=called, **words)(start) for called, size in (("o1", 3), ("o2", 2))]
    model = space.models.Model(start, outputs)
    model.compile("sgd", **compiled)
    short = {"accuracy": "acc"} if space is keras1 else {}
    long = {"mse": "mean_squared_error", "mae": "mean_absolute_error"} if space is keras1 else {}
    names = []
    for each in results:
        output, _, metric = each.rpartition("_")
        names.append(f"{output}_{(short | long).get(metric, metric)}".lstrip("_"))
    if space is not tf_keras:  # there from `compile` on
        assert model.metrics_names == names
    x = np.arange(8, dtype="float32").reshape(4, 2)
    targets = [np.ones((4, 3), "float32"), np.zeros((4, 2), "float32")]
    given = targets if len(compiled["loss"]) > 1 else targets[:1]
    found = model.evaluate(x, {"o1": targets[0]} if name == "one loss" else given, verbose=0)
    assert model.metrics_names == names
    np.testing.assert_allclose(found, [*results.values()], rtol=1e-5)


_SINGLE, _SLOT = [()], [(2, 1), (1,)]
_STATES = {  # shapes of `optimizer.get_weights()` for weights (2, 1) and (1,): in Keras 1.2.2, in 2.3.1
    "SGD": (_SINGLE + _SLOT, _SINGLE + _SLOT),
    "RMSprop": (_SLOT, _SINGLE + _SLOT),
    "Adagrad": (_SLOT, _SINGLE + _SLOT),
    "Adadelta": (_SLOT * 2, _SINGLE + _SLOT * 2),
    "Adam": (_SINGLE + _SLOT * 2, _SINGLE + _SLOT * 2 + [(1,), (1,)]),
    "Adamax": (_SINGLE + _SLOT * 2, _SINGLE + _SLOT * 2),
    "Nadam": (_SINGLE + _SLOT * 2, _SINGLE * 2 + _SLOT * 2),
}


@pytest.mark.parametrize("name", _STATES)
@pytest.mark.parametrize("space", [keras1, keras2])
def test_an_optimizer_lists_its_state_and_goes_on_with_it(space: Any, name: str) -> None:
    x, y = np.arange(8, dtype="float32").reshape(4, 2) / 8, np.ones((4, 1), "float32")

    def trained(steps: int) -> Any:
        model = space.models.Sequential([space.layers.Dense(1, input_shape=(2,))])
        model.set_weights([np.ones((2, 1), "float32"), np.zeros(1, "float32")])
        model.compile(getattr(space.optimizers, name)(**({"momentum": 0.9} if name == "SGD" else {})), "mse")
        for _ in range(steps):
            model.train_on_batch(x, y)
        return model

    first, second = trained(3), trained(3)
    assert trained(0).optimizer.get_weights() == trained(0).optimizer.weights == []
    state = first.optimizer.get_weights()
    for array, weight in zip(state, first.optimizer.weights, strict=True):
        np.testing.assert_array_equal(space.backend.get_value(weight), array)
    assert [array.shape for array in state] == _STATES[name][space is keras2]
    for _ in range(2):
        second.train_on_batch(x, y)
    second.set_weights(first.get_weights())
    second.optimizer.set_weights(state)
    for array, again in zip(state, second.optimizer.get_weights(), strict=True):
        np.testing.assert_array_equal(array, again)
    if name != "Nadam" or space is keras2:  # whose product of momenta Keras 1 does not list
        first.train_on_batch(x, y)
        second.train_on_batch(x, y)
        np.testing.assert_allclose(first.get_weights()[0], second.get_weights()[0], rtol=1e-6)
    with pytest.raises(ValueError, match=r"expected \d+ arrays of shapes"):
        second.optimizer.set_weights(state[:-1])


ONES = np.random.RandomState(1).randint(0, 2, (3,)).astype("float32")
COLUMN = drawn(3, 1, seed=2)


@OLDER
@pytest.mark.parametrize(
    "name, value",
    {
        "hinge": [1.04267, 1.3160492, 0.9668917],
        "categorical_hinge": [1.2560204, 2.896295, 0.90067506],
        "logcosh": [0.35905495, 0.9816992, 0.24185096],
        "huber_loss": [
            [0.62801015, 0.62801015, 0.00819331],
            [1.4481475, 1.4481475, 0.4494919],
            [0.4056078, 0.4056078, 0.00493272],
        ],
        "kullback_leibler_divergence": [32.23619, 32.23619, 4.6187153],
    }.items(),
)
def test_losses_compare_each_value_with_each(space: ModuleType, name: str, value: Any) -> None:
    if space is keras1 and name != "kullback_leibler_divergence":
        pytest.skip("Keras 1 has none, or another one.")
    home = space.objectives if space is keras1 else space.losses
    for loss in (getattr(home, name), home.get(name)):
        np.testing.assert_allclose(loss(ONES, COLUMN), value, rtol=1e-4)


def test_get_gives_the_losses_and_metrics_of_the_time() -> None:
    labels = np.random.RandomState(1).randint(0, 2, (3, 4)).astype("float32")
    scores = np.exp(drawn(3, 4, seed=2))
    scores /= scores.sum(-1, keepdims=True)
    get = keras1.objectives.get
    np.testing.assert_allclose(get("hinge")(labels, scores), [0.90252686, 0.75, 0.8809053], rtol=1e-4)
    np.testing.assert_allclose(get("cosine")(labels, scores), [-0.13119212, -0.23853673, -0.16141245], rtol=1e-4)
    with pytest.raises(ValueError, match="Unknown"):
        get("crossentropy_of_mine")
    of_mine = {"crossentropy_of_mine": lambda y_true, y_pred: y_pred}
    with keras2.utils.CustomObjectScope(of_mine):
        assert keras2.losses.get("crossentropy_of_mine") is of_mine["crossentropy_of_mine"]
    assert keras2.losses.deserialize("crossentropy_of_mine", of_mine) is of_mine["crossentropy_of_mine"]
    assert isinstance(keras2.losses.get("Huber"), keras2.losses.Huber)
    assert keras2.metrics.get("cosine_proximity") is keras2.metrics.cosine_proximity
    assert keras2.losses.get("cosine_proximity") is keras2.losses.cosine_proximity
    assert keras2.losses.get(None) is None


@pytest.mark.parametrize("space", [keras2, tf_keras], ids=lambda space: space.__name__[7:])
def test_binary_accuracy_is_a_mean_of_each_sample(space: ModuleType) -> None:
    labels = np.random.RandomState(1).randint(0, 2, (3, 4)).astype("float32")
    scores = np.random.RandomState(2).uniform(0.05, 0.95, (3, 4)).astype("float32")
    np.testing.assert_allclose(space.metrics.binary_accuracy(labels, scores, threshold=0.7), [0.5, 0, 0.5])


def test_hits_among_the_best_stand_in_a_row() -> None:
    classes = np.random.RandomState(1).randint(0, 4, (3, 1)).astype("float32")
    scores = np.random.RandomState(2).uniform(0.05, 0.95, (3, 4)).astype("float32")
    np.testing.assert_allclose(keras2.metrics.sparse_top_k_categorical_accuracy(classes, scores, k=2), [0, 1, 0])


def test_the_penalty_of_an_eigenvalue_is_its_root() -> None:
    penalty = keras1.regularizers.EigenvalueRegularizer(0.1)
    K = keras1.backend
    assert K.eval(penalty(K.variable(drawn(4, 4, seed=1)))) == pytest.approx(0.17842194, rel=1e-4)


@EACH
def test_ranges_of_floats_and_counts_of_truths(space: ModuleType) -> None:
    K = space.backend
    np.testing.assert_allclose(K.eval(K.arange(0.0, 2.0, 0.5)), [0, 0.5, 1, 1.5])
    assert K.eval(K.arange(3)).dtype == "int32"
    truths = K.greater(K.variable([[1.0, 2.0], [3.0, -1.0]]), 0)
    assert K.eval(K.sum(truths)) == 3
    assert K.eval(K.prod(truths)) == 0
    assert K.eval(K.cumsum(truths, axis=1)).tolist() == [[1, 2], [1, 1]]


@EACH
@pytest.mark.parametrize(
    "name, kernels", [("conv2d", [(3, 3, 2, 2)]), ("separable_conv2d", [(3, 3, 2, 1), (1, 1, 2, 3)])]
)
def test_only_conv1d_is_causal(space: ModuleType, name: str, kernels: list[tuple[int, ...]]) -> None:
    K, word = space.backend, "border_mode" if space is keras1 else "padding"
    arrays = [K.variable(drawn(*shape)) for shape in [(1, 5, 5, 2), *kernels]]
    with pytest.raises(ValueError, match="Invalid padding"):
        getattr(K, name)(*arrays, **{word: "causal"})


@pytest.mark.parametrize(
    "name, kernel, shape, axes, options",
    [
        ("Convolution2D", (2, 3), (5, 5, 4), (1, 2, 3), {"dim_ordering": "th"}),
        ("Convolution2D", (2, 3), (5, 5, 4), 0, {"dim_ordering": "tf"}),
        ("Convolution3D", (2, 3, 1), (3, 4, 4, 4), (1, 2, 3, 4), {"dim_ordering": "th"}),
        ("Deconvolution2D", (3, 3), (4, 5, 5), 0, {"dim_ordering": "th", "output_shape": (None, 3, 7, 7)}),
        ("Convolution1D", (3,), (5, 4), (0, 1, 2), {}),
    ],
)
def test_constraints_see_kernels_as_they_lay(name: str, kernel: Any, shape: Any, axes: Any, options: Any) -> None:
    constraint = keras1.constraints.unitnorm(axis=axes if isinstance(axes, int) else list(axes))
    layer = getattr(keras1.layers, name)(3, *kernel, input_shape=shape, W_constraint=constraint, **options)
    model = filled(keras1.models.Sequential([layer]))
    model.compile(keras1.optimizers.SGD(lr=0.0), "mse")
    before = model.get_weights()[0]
    model.train_on_batch(drawn(2, *shape), np.zeros(model.predict(drawn(2, *shape)).shape))
    expected = before / (np.sqrt(np.square(before).sum(axes, keepdims=True)) + 1e-7)
    np.testing.assert_allclose(model.get_weights()[0], expected, rtol=1e-4)


RANDOM = (
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Orthogonal",
    "glorot_uniform",
    "he_normal",
)


@pytest.mark.parametrize("space", [keras2, tf_keras, lamina], ids=["keras2", "tf_keras", "keras3"])
@pytest.mark.parametrize("name", RANDOM)
def test_layers_that_share_a_seed_of_keras_2_differ(space: ModuleType, name: str) -> None:
    """There a seed is one more after each call; since tf.keras all layers of a shape start alike."""
    layers, seeded = space.layers, getattr(space.initializers, name)
    shared = seeded(seed=3)
    model = space.models.Sequential([layers.Dense(4, kernel_initializer=shared) for _ in range(3)])
    model.build((None, 4))
    kernels = model.get_weights()[::2]
    moves = space is keras2
    assert shared.seed == shared.get_config()["seed"] == (6 if moves else 3)
    for number, kernel in enumerate(kernels):
        layer = layers.Dense(4, kernel_initializer=seeded(seed=3 + number * moves))
        layer.build((None, 4))
        assert np.array_equal(kernel, layer.get_weights()[0])
    assert np.array_equal(kernels[0], kernels[1]) != moves


def test_each_weight_of_a_layer_takes_a_seed_of_keras_2() -> None:
    layers = keras2.layers
    for layer, shape, words in [
        (layers.LSTM(4), (None, 3, 4), "kernel recurrent"),
        (layers.SeparableConv2D(3, 2), (None, 4, 4, 3), "depthwise pointwise"),
        (layers.Embedding(5, 2), (None, 3), "embeddings"),
    ]:
        shared = keras2.initializers.RandomNormal(seed=3)
        again = type(layer)(**{**layer.get_config(), **{f"{word}_initializer": shared for word in words.split()}})
        again.build(shape)
        assert shared.seed == 3 + len(words.split())


@pytest.mark.parametrize("name", ["cosine", "cosine_proximity"])
def test_results_of_cosines_go_by_keras_1s_name(name: str) -> None:
    model = filled(keras1.models.Sequential([keras1.layers.Dense(2, input_dim=3)]))
    model.compile("sgd", "mse", metrics=[name])
    assert model.metrics_names == ["loss", "cosine_proximity"]


@OLDER
@pytest.mark.parametrize("inside", [False, True], ids=["itself", "in TimeDistributed"])
def test_batch_normalization_counts_masked_steps(space: ModuleType, inside: bool) -> None:
    layer = space.layers.BatchNormalization()
    model = space.models.Sequential()
    model.add(space.layers.Masking(input_shape=(4, 3)))
    model.add(space.layers.TimeDistributed(layer) if inside else layer)
    model.compile(space.optimizers.SGD(lr=0.0), "mse")
    x = drawn(8, 4, 3)
    x[:, 2:] = 0
    model.train_on_batch(x, x)
    np.testing.assert_allclose(model.get_weights()[2], x.mean((0, 1)) / 100, rtol=1e-4)


@pytest.mark.parametrize(("space", "first"), [(keras1, 0), (keras2, 1)])
def test_checkpoints_count_epochs_from_where_training_began(space: ModuleType, first: int, tmp_path: Any) -> None:
    """And name them from 0 in Keras 1, from 1 in Keras 2."""
    model = space.models.Sequential([space.layers.Dense(1, input_dim=3)])
    model.compile("sgd", "mse")
    saver = space.callbacks.ModelCheckpoint(str(tmp_path / "{epoch}.h5"), period=2)
    epochs = {"nb_epoch" if space is keras1 else "epochs": 5}
    model.fit(drawn(4, 3), drawn(4, 1), verbose=0, initial_epoch=1, callbacks=[saver], **epochs)
    assert sorted(file.stem for file in tmp_path.iterdir()) == [str(2 + first), str(4 + first)]


@pytest.mark.parametrize(("space", "place"), [(keras1, 1), (keras2, 0)])
def test_places_of_layers_count_keras_1s_inputs(space: ModuleType, place: int) -> None:
    model = space.models.Sequential([space.layers.Dense(2, input_dim=3), space.layers.Dense(1)])
    assert model.get_layer(index=place) is model.layers[0]
    assert model.get_layer(index=-1) is model.layers[-1]


@pytest.mark.parametrize(
    ("loss", "value"),
    [
        ("sparse_categorical_crossentropy", 6.021336),
        ("categorical_crossentropy", 5.886180),
        ("binary_crossentropy", 5.866240),
    ],
)
def test_crossentropies_of_what_is_no_probability_in_keras_2(loss: str, value: float) -> None:
    model = keras2.models.Sequential([keras2.layers.Activation("relu", input_shape=(3,))])
    model.compile("sgd", loss)
    x = np.array([[0, 0, 2], [0, 3, 1], [0.5, 0.2, 0]], "float32")
    y = np.array([[0], [1], [1]]) if loss.startswith("sparse") else np.eye(3)[[0, 1, 1]]
    if loss.startswith("binary"):
        x, y = x / 3, np.array([[1, 1, 0], [0, 0, 1], [1, 1, 0]])
    assert model.evaluate(x, y, verbose=0) == pytest.approx(value, rel=2e-3)


@OLDER
@pytest.mark.parametrize("units", [1, 3])
def test_own_losses_and_metrics_see_plain_targets_as_a_column(space: ModuleType, units: int) -> None:
    K, seen = space.backend, []

    def loss(y_true: Any, y_pred: Any) -> Any:
        seen.append(("loss", tuple(y_true.shape)))
        return K.mean(K.square(y_true - y_pred), axis=-1)

    def distance(y_true: Any, y_pred: Any) -> Any:
        seen.append(("metric", tuple(y_true.shape)))
        return K.mean(K.abs(y_true - y_pred))

    once = {"init": "one"} if space is keras1 else {"kernel_initializer": "ones"}
    model = space.models.Sequential([space.layers.Dense(units, input_shape=(2,), **once)])
    model.compile("sgd", loss, metrics=[distance])
    x, y = np.arange(12, dtype="float32").reshape(6, 2), np.arange(6, dtype="float32")
    for found in (model.evaluate(x, y, verbose=0), model.test_on_batch(x, y), model.train_on_batch(x, y)):
        np.testing.assert_allclose(found, [98.5, 8.5], rtol=1e-6)  # tf_keras 2.21
    assert {shape for _, shape in seen} == {(6, 1)}


# What 2.3.1 and tf_keras 2.21 add to the loss for the activity of an LSTM in both directions.
PENALTIES: list[Any] = [
    (keras2, "concat", True, 0.19378), (keras2, "sum", True, 0.17979), (keras2, "sum", False, 0.04271),
    (keras2, "mul", False, 0.00055), (keras2, "ave", True, 0.04495), (keras2, None, False, 0.04394),
    (tf_keras, "concat", True, 0.0484), (tf_keras, "sum", True, 0.0484), (tf_keras, "mul", False, 0.011),
]  # fmt: skip


@pytest.mark.parametrize(("space", "mode", "sequences", "penalty"), PENALTIES)
def test_the_penalty_of_activity_in_both_directions(space: Any, mode: str, sequences: bool, penalty: float) -> None:
    regularizer = space.regularizers.l2(0.1)
    inner = space.layers.LSTM(2, return_sequences=sequences, activity_regularizer=regularizer)
    layer = space.layers.Bidirectional(inner, merge_mode=mode)
    x = np.random.RandomState(0).randn(4, 5, 3).astype("float32")
    layer(x)
    values = np.random.RandomState(3)
    layer.set_weights([values.uniform(-0.5, 0.5, weight.shape) for weight in layer.get_weights()])
    for made in (layer, type(layer).from_config(layer.get_config())):
        made(x)
        made.set_weights(layer.get_weights())
        made(x)
        assert sum(made.losses).item() == pytest.approx(penalty, abs=6e-5)


@pytest.mark.parametrize("space", [keras2, tf_keras], ids=["keras2", "tf_keras"])
@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN"])
def test_states_may_be_set(space: Any, name: str) -> None:
    layer = getattr(space.layers, name)(2, stateful=True)
    x = np.random.RandomState(0).randn(4, 5, 3).astype("float32")
    layer(x)
    states = [np.full((4, 2), 0.5 / (place + 1), "float32") for place in range(len(layer.states))]
    plain = getattr(space.layers, name).from_config({**layer.get_config(), "stateful": False})
    plain(x)
    plain.set_weights(layer.get_weights())
    layer.states = [space.backend.variable(state) for state in states]
    expected = plain(x, initial_state=[space.backend.variable(state) for state in states])
    assert np.allclose(layer(x).detach(), expected.detach())
    with pytest.raises(ValueError, match="state"):
        layer.states = [np.zeros((4, 5), "float32") for _ in states]
    plain.states = [1]
    assert plain.states == [1]


# Values, their targets, and the accuracy that 1.2.2 and 2.3.1 gave: a value counts as what it is rounded to.
ROUNDED: list[Any] = [
    ([-0.9, 0.2, 0.8, 1.7], [-1.0, 0.0, 1.0, 1.0], 0.75),
    ([2.4, 2.6, -1.2, 0.0], [2.0, 2.0, -1.0, 0.0], 0.75),
    ([0.4, 0.6, 0.9, 0.1], [0.0, 1.0, 0.0, 0.0], 0.75),
]


@pytest.mark.parametrize("space", [keras1, keras2], ids=["keras1", "keras2"])
@pytest.mark.parametrize("name", ["accuracy", "acc", "binary_accuracy"])
@pytest.mark.parametrize(("values", "targets", "share"), ROUNDED)
def test_binary_accuracy_compares_what_is_rounded(
    space: Any, name: str, values: Any, targets: Any, share: float
) -> None:
    x, y = (np.array(each, "float32")[:, None] for each in (values, targets))
    model = space.models.Sequential([space.layers.Activation("linear", input_shape=(1,))])
    model.compile("sgd", "mse", metrics=[name])
    assert model.evaluate(x, y, verbose=0)[1] == pytest.approx(share)
    found = space.metrics.binary_accuracy(space.backend.variable(y), space.backend.variable(x))
    assert float(np.mean(space.backend.eval(found))) == pytest.approx(share)


CROSSENTROPIES: list[Any] = [
    ("mse", "sigmoid", 1, "binary_crossentropy"), ("mse", "softmax", 3, "categorical_crossentropy"),
    ("binary_crossentropy", "softmax", 3, "binary_crossentropy"),
    ("sparse_categorical_crossentropy", "softmax", 3, "sparse_categorical_crossentropy"),
]  # fmt: skip


@pytest.mark.parametrize("name", ["ce", "crossentropy"])
@pytest.mark.parametrize(("loss", "last", "units", "meant"), CROSSENTROPIES)
def test_the_crossentropy_that_is_meant(name: str, loss: str, last: str, units: int, meant: str) -> None:
    x, labels = np.random.RandomState(0).randn(6, 4).astype("float32"), np.arange(6) % max(units, 2)
    y = np.eye(units)[labels] if units > 1 and "sparse" not in loss else labels[:, None]
    model = keras2.models.Sequential([keras2.layers.Dense(units, activation=last, input_shape=(4,))])
    model.compile("sgd", loss, metrics=[name, meant])
    assert model.metrics_names == ["loss", name, meant]
    _, found, expected = model.evaluate(x, y, verbose=0)
    assert found == pytest.approx(expected, rel=1e-4)


SINCE_KERAS_2 = ["huber", "bce", "kl_divergence", "log_cosh", "binary_focal_crossentropy", "cosine_similarity"]
SINCE_KERAS_3 = ["dice", "tversky", "circle", "ctc", "nonsense"]


@pytest.mark.parametrize("what", ["loss", "metric"])
@pytest.mark.parametrize(
    ("space", "name"),
    [(keras1, name) for name in SINCE_KERAS_2 + SINCE_KERAS_3] + [(keras2, name) for name in SINCE_KERAS_3],
)
def test_names_of_later_functions_are_refused(space: Any, what: str, name: str) -> None:
    model = space.models.Sequential([space.layers.Dense(1, input_shape=(2,))])
    with pytest.raises(ValueError, match=f"no {what} '{name}'"):
        model.compile("sgd", **({"loss": name} if what == "loss" else {"loss": "mse", "metrics": [name]}))


def test_registered_names_are_taken() -> None:
    with keras2.utils.CustomObjectScope({"mine": lambda y, y_pred: (y - y_pred).abs().mean()}):
        model = keras2.models.Sequential([keras2.layers.Dense(1, input_shape=(2,))])
        model.compile("sgd", "mine", metrics=["mine"])


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("training", [None, True, False])
def test_the_dropout_mask_of_cells(count: int, training: bool | None) -> None:
    recurrent = importlib.import_module("lamina.keras2.layers.recurrent")
    ones = keras2.backend.ones((20, 20))
    for phase in (0, 1):
        with keras2.backend.learning_phase_scope(phase):
            masks = recurrent._generate_dropout_mask(ones, 0.5, training=training, count=count)
            masks = masks if count > 1 else [masks]
            drops = bool(phase) if training is None else training
            found = [set(np.unique(keras2.backend.eval(mask)).tolist()) for mask in masks]
            assert found == [{0.0, 2.0} if drops else {1.0}] * count


GATED = pytest.mark.parametrize("name", ["LSTM", "GRU"])


@GATED
@pytest.mark.parametrize("kind", ["layer", "cell", "both directions"])
@pytest.mark.parametrize("initializer", ["identity", keras2.initializers.Identity(2.0)], ids=["name", "gain"])
def test_an_identity_is_that_of_each_gate_in_keras_2(name: str, kind: str, initializer: Any) -> None:
    layers = keras2.layers
    made = getattr(layers, f"{name}Cell" if kind == "cell" else name)(3, recurrent_initializer=initializer)
    whole = layers.RNN(made) if kind == "cell" else layers.Bidirectional(made) if kind != "layer" else made
    whole.build((None, 5, 2))
    gates = 4 if name == "LSTM" else 3
    assert whole.get_weights()[1].tolist() == np.tile(np.eye(3), gates).tolist()
    gain = getattr(initializer, "gain", 1.0)
    assert made.get_config()["recurrent_initializer"] == {"class_name": "Identity", "config": {"gain": gain}}
    again = pickle.loads(pickle.dumps(made)).from_config(made.get_config())
    again = layers.RNN(again) if kind == "cell" else again
    again.build((None, 5, 2))
    assert again.get_weights()[1].tolist() == np.tile(np.eye(3), gates).tolist()


@GATED
@pytest.mark.parametrize("space", [tf_keras, lamina], ids=["tf_keras", "lamina"])
def test_an_identity_is_that_of_the_first_gate_since(name: str, space: Any) -> None:
    layer = getattr(space.layers, name)(3, recurrent_initializer="identity")
    layer.build((None, 5, 2))
    assert layer.get_weights()[1].tolist() == np.eye(3, 12 if name == "LSTM" else 9).tolist()
    layer = getattr(keras2.layers, f"CuDNN{name}")(3, recurrent_initializer="identity")
    layer.build((None, 5, 2))
    assert layer.get_weights()[1].tolist() == np.eye(3, 12 if name == "LSTM" else 9).tolist()


@pytest.mark.parametrize("space", [keras2, tf_keras, lamina], ids=["keras2", "tf_keras", "lamina"])
@pytest.mark.parametrize("convolves", [False, True])
def test_the_bias_around_that_of_the_forget_gate_is_drawn_in_two_parts(space: Any, convolves: bool) -> None:
    asked = []

    def initializer(shape: Any, dtype: Any = None, **options: Any) -> np.ndarray:
        asked.append(tuple(shape))
        return np.arange(np.prod(shape)) + 2.0

    layers = space.layers
    given = {"bias_initializer": initializer}
    layer = layers.ConvLSTM2D(3, 2, **given) if convolves else layers.LSTM(3, **given)
    layer.build((None, 2, 5, 5, 2) if convolves else (None, 5, 2))
    assert asked == [(3,), (6,)]
    assert layer.get_weights()[-1].tolist() == [2, 3, 4, 1, 1, 1, 2, 3, 4, 5, 6, 7]


# After three steps, another `compile` and two steps more.
RECOMPILED = {
    "SGD": [0.91376, 0.904127, 0.894495, -0.096328],
    "RMSprop": [0.987198, 0.9872, 0.987201, -0.012786],
    "Adagrad": [0.960421, 0.960439, 0.960454, -0.039406],
}


@OLDER
@pytest.mark.parametrize("name", RECOMPILED)
def test_each_compile_starts_moments_afresh(space: ModuleType, name: str) -> None:
    optimizer = getattr(space.optimizers, name)(**({"momentum": 0.9} if name == "SGD" else {}))
    one = {"init" if space is keras1 else "kernel_initializer": "one" if space is keras1 else "ones"}
    model = space.models.Sequential([space.layers.Dense(1, input_shape=(3,), **one)])
    x, y = np.arange(12.0).reshape(4, 3) / 10, np.array([[1.0], [0], [2], [1]])
    for steps in (3, 2):
        model.compile(optimizer, "mse")
        for _ in range(steps):
            model.train_on_batch(x, y)
    found = np.concatenate([array.ravel() for array in model.get_weights()])
    np.testing.assert_allclose(found, RECOMPILED[name], atol=2e-6)


def test_a_compile_leaves_the_moments_of_other_models(tmp_path: Any) -> None:
    optimizer = keras2.optimizers.SGD(momentum=0.9)
    models = [keras2.models.Sequential([keras2.layers.Dense(1, input_shape=(3,))]) for _ in range(2)]
    models[0].compile(optimizer, "mse")
    models[0].train_on_batch(drawn(4, 3), drawn(4, 1))
    before = optimizer.get_weights()
    models[1].compile(optimizer, "mse")
    for first, second in zip(before, optimizer.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
    assert np.abs(before[1]).sum() > 0
    models[0].save(tmp_path / "a.h5")
    loaded = keras2.models.load_model(tmp_path / "a.h5").optimizer.get_weights()
    np.testing.assert_array_equal(loaded[1], before[1])


NO_PROBABILITIES = np.array([[-1, 2, 0.5], [0.3, -2, 1], [0, 0, 3]], "float32")
ONE_HOT = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]], "float32")


@pytest.mark.parametrize("space", [keras2, tf_keras], ids=["keras2", "tf_keras"])
@pytest.mark.parametrize("home", ["losses", "backend"])
def test_crossentropies_as_functions_cut_probabilities_off(space: Any, home: str) -> None:
    functions, K = getattr(space, home), space.backend
    given, one_hot = K.constant(NO_PROBABILITIES), K.constant(ONE_HOT)
    found = K.eval(functions.sparse_categorical_crossentropy(K.constant([[1.0], [0], [2]]), given))
    np.testing.assert_allclose(found, [0.405465, 1.466337, 0], atol=1e-5)
    found = K.eval(functions.binary_crossentropy(one_hot, given))
    wanted = [0, 0, 0.693147], [1.203972, 0, 15.249238], [0, 0, 0]
    wanted = wanted if home == "backend" else np.mean(wanted, -1)
    np.testing.assert_allclose(found, wanted, rtol=0.01, atol=1e-5)  # TensorFlow sums 1 - p + epsilon in another order


FAR = np.array([[-30, 60, 15], [9, -60, 30], [0, 0, 90]], "float32")
# Keras 2: there a softmax is found by categorical crossentropies, a sigmoid by binary ones.
BEHIND = {
    ("softmax", "categorical_crossentropy"): 7.0,
    ("softmax", "sparse_categorical_crossentropy"): 7.0,
    ("softmax", "binary_crossentropy"): 3.408243,
    ("sigmoid", "binary_crossentropy"): 5.154047,
}


@pytest.mark.parametrize(("last", "name"), BEHIND)
@pytest.mark.parametrize("home", ["losses", "backend"])
def test_crossentropies_in_a_users_loss_find_the_scores(last: str, name: str, home: str) -> None:
    function = getattr(getattr(keras2, home), name)

    def own(y: Any, y_pred: Any) -> Any:
        return function(y, y_pred)

    y = np.array([[1.0], [0], [2]]) if name.startswith("sparse") else ONE_HOT
    for loss in (own, getattr(keras2.losses, name), name):
        model = keras2.models.Sequential([keras2.layers.Activation(last, input_shape=(3,))])
        model.compile("sgd", loss)
        assert model.evaluate(FAR, y, verbose=0) == pytest.approx(BEHIND[last, name], rel=0.01), loss
    model.compile("sgd", lambda y, y_pred: function(y, y_pred * 1.0))
    assert model.evaluate(FAR, y, verbose=0) <= 16.2


@pytest.mark.parametrize("reduction", ["none", "sum", "sum_over_batch_size"])
def test_huber_is_of_each_value_in_keras_2(reduction: str) -> None:
    loss, weights = keras2.losses.Huber(reduction=reduction), np.array([1.0, 0, 2], "float32")
    each = np.array([[0.5, 0.5, 0.125], [0.245, 1.5, 0.5], [0, 0, 1.5]])
    weighted = [[0.5, 0.5, 0.125], [0, 0, 0], [0, 0, 3]]
    wanted = [each, weighted] if reduction == "none" else [4.87, 4.125] if reduction == "sum" else [0.541111, 0.458333]
    found = [loss(ONE_HOT, NO_PROBABILITIES), loss(ONE_HOT, NO_PROBABILITIES, sample_weight=weights)]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    if reduction != "none":
        model = keras2.models.Sequential([keras2.layers.Activation("linear", input_shape=(3,))])
        model.compile("sgd", loss)
        given = [model.evaluate(NO_PROBABILITIES, ONE_HOT, sample_weight=w, verbose=0) for w in (None, weights)]
        assert given == pytest.approx(wanted, abs=1e-6)


@OLDER
def test_gradients_are_clipped_by_norm_and_by_value(space: ModuleType) -> None:
    one = {"init" if space is keras1 else "kernel_initializer": "one" if space is keras1 else "ones"}
    model = space.models.Sequential([space.layers.Dense(1, input_shape=(2,), **one)])
    model.compile(space.optimizers.SGD(lr=1.0, clipnorm=0.1, clipvalue=0.02), "mse")
    model.train_on_batch(np.array([[3.0, 0.5]]), np.zeros((1, 1)))
    norm = np.sqrt(3**2 + 0.5**2 + 1)
    wanted = 1 - np.minimum(np.array([3, 0.5]) * 0.1 / norm, 0.02)
    np.testing.assert_allclose(model.get_weights()[0].ravel(), wanted, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:The model has no trainable weights")
def test_what_callbacks_of_keras_2_are_told_outside_of_fit() -> None:
    told = []

    class Telling(keras2.callbacks.Callback):
        def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
            told.append((batch, logs["size"], logs["loss"]))

        def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
            told.append((batch, logs["size"], [array.shape for array in logs["outputs"]]))

    model = keras2.models.Sequential([keras2.layers.Activation("linear", input_shape=(1,))])
    model.compile("sgd", "mse")
    x = np.array([[1.0], [2], [3], [4], [5]])
    model.evaluate(x, x * 0, batch_size=2, verbose=0, callbacks=[Telling()])
    assert told == [(0, 2, 2.5), (1, 2, 12.5), (2, 1, pytest.approx(25))]
    told.clear()
    model.predict(x, batch_size=4, callbacks=[Telling()])
    assert told == [(0, 4, [(4, 1)]), (1, 1, [(1, 1)])]
    told.clear()
    model.fit(x, x * 0, batch_size=4, validation_data=(x[:3], x[:3] * 0), verbose=0, callbacks=[Telling()])
    assert [size for _, size, _ in told] == [3]


def test_keras_2_s_softmax_sees_no_mask() -> None:
    layers = keras2.layers
    model = keras2.models.Sequential([layers.Masking(input_shape=(2, 3)), layers.Softmax()])
    x = drawn(2, 2, 3)
    x[0, 1] = 0
    wanted = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    np.testing.assert_allclose(model.predict(x), wanted, rtol=1e-5)


def test_expressions_among_outputs_of_functions_are_found_anew() -> None:
    generations.install("keras2")
    try:
        K = keras2.backend
        given, kept = K.placeholder((2,)), K.variable(np.zeros(2))
        twice = kept * 2
        run = K.function([given], [K.sum(given), kept + 1.0], updates=[(kept, kept + given)])
        found = [run([np.full(2, number)])[1].tolist() for number in (1.0, 2.0, 3.0)]
        assert found == [[1, 1], [2, 2], [4, 4]]
        assert K.eval(twice).tolist() == [12, 12]
    finally:
        generations.alias.uninstall()


EVERY = pytest.mark.parametrize("space", [keras1, keras2, tf_keras, lamina], ids=lambda space: space.__name__)
STEPS = drawn(2, 3, 4, seed=0)
STEPS[0, 2] = STEPS[1, 0] = 0


def ones(space: Any, name: str, size: int) -> Any:
    words = ("init", "inner_init") if space is keras1 else ("kernel_initializer", "recurrent_initializer")
    return getattr(space.layers, name)(
        size, **dict.fromkeys(words[: 1 + (name != "Dense")], "one" + "s" * (space is not keras1))
    )


@EVERY
@pytest.mark.parametrize("kind", ["Sequential", "Model", "in a Sequential", "twice"])
def test_masks_made_inside_a_model_go_on_behind_it(space: Any, kind: str) -> None:
    layers, models = space.layers, space.models
    masking = layers.Masking(input_shape=(3, 4)) if space is not lamina else layers.Masking()
    sequential = models.Sequential([masking] if space is not lamina else [lamina.Input((3, 4)), masking])
    given = layers.Input((3, 4))
    inner = models.Model(given, masking(given)) if kind == "Model" else sequential
    inner = models.Sequential([inner]) if kind == "twice" else inner
    last = ones(space, "SimpleRNN", 2)
    flat = models.Model(given, last(layers.Masking()(given)))
    model = models.Sequential([inner, last]) if kind == "in a Sequential" else models.Model(given, last(inner(given)))
    wanted = flat.predict(STEPS, verbose=0)
    assert np.abs(wanted - models.Model(given, last(given)).predict(STEPS, verbose=0)).max() > 0.01
    np.testing.assert_allclose(model.predict(STEPS, verbose=0), wanted, rtol=1e-5)
    again = type(model).from_config(model.get_config())
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again.predict(STEPS, verbose=0), wanted, rtol=1e-5)
    np.testing.assert_allclose(pickle.loads(pickle.dumps(model)).predict(STEPS, verbose=0), wanted, rtol=1e-5)
    assert not any("mask_of" in layer.name for layer in model.layers)


@EVERY
def test_losses_leave_out_what_is_masked_inside_a_model(space: Any) -> None:
    """Keras 2 counts masked steps in the mean."""
    steps = np.random.RandomState(0).uniform(-1, 1, (2, 3, 4)).astype("float32")
    steps[0, 2] = steps[1, 0] = 0
    layers, models = space.layers, space.models
    inner = models.Sequential(
        [layers.Input((3, 4)), layers.Masking()] if space is lamina else [layers.Masking(input_shape=(3, 4))]
    )
    given = layers.Input((3, 4))
    model = models.Model(given, layers.TimeDistributed(ones(space, "Dense", 1))(inner(given)))
    model.compile("sgd", "mse")
    wanted = 0.192135 if space is keras2 else 0.288203
    assert model.evaluate(steps, np.ones((2, 3, 1)), verbose=0) == pytest.approx(wanted, abs=1e-5)


OTHER = drawn(2, 3, 4, seed=1)
OTHER[0, 1:] = 0


@pytest.mark.parametrize("output_mask", [None, lambda masks: masks[0]])
def test_a_merge_by_a_function_of_keras_1_makes_no_mask(output_mask: Any) -> None:
    layers, models = keras1.layers, keras1.models
    first, second = layers.Input((3, 4)), layers.Input((3, 4))
    options = {"mode": lambda pair: pair[0] - pair[1], "output_shape": (3, 4), "output_mask": output_mask}
    last = ones(keras1, "SimpleRNN", 2)
    merged = layers.merge([layers.Masking()(first), layers.Masking()(second)], **options)
    plain = layers.merge([first, second], **{**options, "output_mask": None})
    masked = models.Model([first, second], last(merged)).predict([STEPS, OTHER])
    unmasked = models.Model([first, second], last(plain)).predict([STEPS, OTHER])
    assert np.allclose(masked, unmasked) is (output_mask is None)
    assert models.Model([first, second], last(plain)).predict([STEPS, OTHER]).shape == (2, 2)


@pytest.mark.parametrize("mode", ["sum", "concat"])
def test_a_first_merge_of_keras_1_knows_no_masks_of_sequential_models(mode: str) -> None:
    layers, models = keras1.layers, keras1.models
    branches = [models.Sequential([layers.Masking(input_shape=(3, 4))]) for _ in range(2)]
    last = ones(keras1, "SimpleRNN", 2)
    found = models.Sequential([layers.Merge(branches, mode=mode), last]).predict([STEPS, OTHER])
    given = [layers.Input((3, 4)), layers.Input((3, 4))]
    wanted = models.Model(given, last(layers.merge(given, mode=mode))).predict([STEPS, OTHER])
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@OLDER
def test_keras_1_s_time_distributed_passes_no_mask_of_the_layer_inside(space: ModuleType) -> None:
    layers, models = space.layers, space.models
    given = layers.Input((3, 5))
    words = layers.TimeDistributed(layers.Embedding(6, 3, mask_zero=True, weights=[np.arange(18.0).reshape(6, 3) / 10]))
    words = words(given)
    model = models.Model(given, layers.TimeDistributed(ones(space, "SimpleRNN", 2))(words))
    numbers = [[[1, 2, 0, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]], [[5, 4, 3, 2, 0], [0, 1, 0, 1, 0], [2, 0, 0, 0, 0]]]
    found = model.predict(np.array(numbers))[:, :, 0]
    if space is keras1:
        wanted = [[0.978325, 0.996638, 0.977982], [0.980053, 0.979806, 0.978312]]
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    else:
        assert found[0, 2] == 0  # nothing but masked steps


@EACH
@pytest.mark.parametrize("kind", ["wrapper", "layer"])
@pytest.mark.parametrize("steps", [False, True])
def test_a_tensor_never_put_back_ends_with_the_call(space: Any, kind: str, steps: bool) -> None:
    """As DropConnect of the time did it: in a static graph `call` ran once."""
    name = "W" if space is keras1 else "kernel"

    class HalfDense(space.layers.Dense):
        def call(self, x: Any, mask: Any = None) -> Any:
            setattr(self, name, getattr(self, name) * 0.5)
            return super().call(x)

    class Half(space.layers.Wrapper):
        supports_masking = True

        def build(self, input_shape: Any) -> None:
            self.layer.build(input_shape)
            super().build()

        def call(self, x: Any, mask: Any = None) -> Any:
            setattr(self.layer, name, getattr(self.layer, name) * 0.5)
            return self.layer.call(x)

        def compute_output_shape(self, input_shape: Any) -> Any:
            return self.layer.compute_output_shape(input_shape)

        get_output_shape_for = compute_output_shape

    one = {"init" if space is keras1 else "kernel_initializer": "one" if space is keras1 else "ones"}
    layer = HalfDense(2, **one) if kind == "layer" else Half(space.layers.Dense(2, **one))
    given = space.layers.Input((4, 3) if steps else (3,))
    model = space.models.Model(given, space.layers.TimeDistributed(layer)(given) if steps else layer(given))
    model.compile("sgd", "mse")
    x = np.arange(24.0).reshape(2, 4, 3).astype("float32") / 10 if steps else np.arange(12.0).reshape(4, 3) / 10
    for _ in range(2):
        np.testing.assert_allclose(model.predict(x), np.repeat(x.sum(-1, keepdims=True) / 2, 2, -1), rtol=1e-5)
    y = np.array([[1.0, 1], [0, 0], [2, 1], [1, 3]])
    if not steps:
        assert [model.train_on_batch(x, y) for _ in range(2)] == pytest.approx([0.69625, 0.69334], abs=1e-5)
        wanted = [[0.999846, 1.002836], [1.00002, 1.003258], [1.000194, 1.00368]]
        np.testing.assert_allclose(model.get_weights()[0], wanted, atol=1e-5)


@pytest.mark.parametrize("wrapped", [None, "Bidirectional", "TimeDistributed", "model"])
@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU", "Dropout", "Dense"])
@pytest.mark.parametrize("rate", [0.0, 0.2])
def test_the_learning_phase_counts_where_something_drops(name: str, rate: float, wrapped: str | None) -> None:
    layers, models = keras2.layers, keras2.models
    if wrapped == "Bidirectional" and name in ("Dropout", "Dense"):
        pytest.skip("It takes recurrent layers.")
    made = layers.Dropout(rate) if name == "Dropout" else layers.Dense(3)
    made = made if name in ("Dropout", "Dense") else getattr(layers, name)(3, recurrent_dropout=rate)
    given = layers.Input((4, 5, 2) if wrapped == "TimeDistributed" else (5, 2))
    inside = layers.Input((5, 2))
    layer = models.Model(inside, made(inside)) if wrapped == "model" else getattr(layers, wrapped or "Layer", None)
    output = layer(given) if wrapped == "model" else layer(made)(given) if wrapped else made(given)
    wanted = rate > 0 and name != "Dense"
    assert (output._uses_learning_phase, models.Model(given, output).uses_learning_phase) == (wanted, wanted)


@pytest.mark.parametrize("effort", ["cpu", "gpu"])
@pytest.mark.parametrize("layer", ["LSTM", "ConvLSTM2D"])
def test_forget_biases_of_keras_1(layer: str, effort: str) -> None:
    given, shape = ((2,), (3, 4)) if layer == "LSTM" else ((2, 1, 1), (3, 4, 4, 1))
    kept: dict[str, Any] = {"consume_less": effort} if layer == "LSTM" else {"dim_ordering": "tf"}
    cls = getattr(keras1.layers, layer)
    own = lambda shape, name=None: keras1.backend.variable(np.full(shape, 0.7), name=name)  # noqa: E731
    for value, low, high in (("one", 1, 1), ("zero", 0, 0), ("uniform", -0.05, 0.05), (own, 0.7, 0.7)):
        made = cls(*given, forget_bias_init=value, input_shape=shape, **kept)
        keras1.models.Sequential([made])
        biases = made.get_weights()[2::3]
        whole = biases[0] if len(biases) == 1 else np.concatenate([biases[at] for at in (0, 2, 1, 3)])  # i, f, c, o
        assert np.all(whole[[0, 1, 4, 5, 6, 7]] == 0)
        assert np.all((whole[2:4] >= np.float32(low)) & (whole[2:4] <= np.float32(high)))
        config = made.get_config()
        assert config["forget_bias_init"] == (value if isinstance(value, str) else "<lambda>")
        if isinstance(value, str):
            assert cls.from_config(config).get_config()["forget_bias_init"] == value
    with pytest.raises(ValueError, match="`forget_bias_init` must be a function of a shape"):
        cls(*given, forget_bias_init="nothing", **kept)


def test_what_keras_1_writes_of_input_dim() -> None:
    for name in ("Dense", "Highway", "MaxoutDense", "TimeDistributedDense"):
        given = () if name == "Highway" else (4,)
        cls = getattr(keras1.layers, name)
        told, untold = cls(*given, input_dim=4), cls(*given)
        shape = (3, 4) if name == "TimeDistributedDense" else (4,)
        keras1.models.Sequential([keras1.layers.InputLayer(input_shape=shape), untold])
        learned = 4 if name == "Dense" else None
        assert (told.get_config()["input_dim"], untold.get_config()["input_dim"]) == (4, learned)


@OLDER
def test_a_threshold_below_zero(space: ModuleType) -> None:
    model = space.models.Sequential([space.layers.ThresholdedReLU(-0.2, input_shape=(4,))])
    assert model.predict(np.array([[-0.5, -0.2, -0.1, 0.3]])).tolist() == [[0, 0, np.float32(-0.1), np.float32(0.3)]]


_COUNTED = ["precision", "recall", "fmeasure", "matthews_correlation"]


@EACH
@pytest.mark.parametrize("home", ["losses", "metrics"])
def test_losses_and_metrics_take_symbolic_tensors(space: ModuleType, home: str) -> None:
    """As variational autoencoders do: `binary_crossentropy(inputs, outputs)`."""
    functions = importlib.import_module(f"{space.__name__}.{home}")
    names = (
        "mean_squared_error mae mape msle poisson kld hinge squared_hinge cosine_proximity binary_crossentropy".split()
    )
    names += ["binary_accuracy", "categorical_accuracy"] if home == "metrics" else ["categorical_crossentropy"]
    names += _COUNTED if space is keras1 and home == "metrics" else []
    names += ["logcosh", "categorical_hinge"] if space is keras2 else []
    y, p = drawn(4, 3, seed=1, low=0.1, high=0.9), drawn(4, 3, seed=2, low=0.1, high=0.9)
    for name in names:
        function = getattr(functions, name)
        inputs = [space.layers.Input(shape=(3,)) for _ in range(2)]
        value = space.models.Model(inputs, function(*inputs))([torch.tensor(y), torch.tensor(p)])
        np.testing.assert_allclose(
            value.numpy(), function(torch.tensor(y), torch.tensor(p)).numpy(), 1e-5, err_msg=name
        )


def test_a_variational_autoencoder_of_keras_2() -> None:
    layers, losses, K = keras2.layers, keras2.losses, keras2.backend
    inputs = layers.Input(shape=(6,))
    mean, log_variance = layers.Dense(2)(inputs), layers.Dense(2)(inputs)
    code = layers.Lambda(lambda args: args[0] + K.exp(0.5 * args[1]) * 0.3)([mean, log_variance])
    outputs = layers.Dense(6, activation="sigmoid")(code)
    model = filled(keras2.models.Model(inputs, outputs))
    penalty = -0.5 * K.sum(1 + log_variance - K.square(mean) - K.exp(log_variance), axis=-1)
    model.add_loss(K.mean(losses.binary_crossentropy(inputs, outputs) * 6 + penalty))
    model.compile("sgd")
    x = drawn(4, 6, low=0)
    inner = keras2.models.Model(inputs, [mean, log_variance, outputs])
    m, v, p = map(np.asarray, inner.predict(x))
    expected = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum(-1) - 0.5 * (1 + v - m**2 - np.exp(v)).sum(-1)
    assert model.evaluate(x, verbose=0) == pytest.approx(expected.mean(), rel=1e-4)
    first = model.train_on_batch(x, None)
    assert model.train_on_batch(x, None) < first


@EACH
def test_shapes_of_a_layer_called_twice(space: ModuleType) -> None:
    """One for all calls where they agree, and ambiguous only where they do not."""
    layers = space.layers
    shared, flat = layers.Dense(4), layers.Activation("tanh")
    for size in (3, 3):
        shared(layers.Input(shape=(size,)))
    assert (shared.input_shape, shared.output_shape) == ((None, 3), (None, 4))
    for size in (3, 5):
        flat(layers.Input(shape=(size,)))
    for name in ("input_shape", "output_shape"):
        with pytest.raises(AttributeError, match="ambiguous"):
            getattr(flat, name)
    with pytest.raises(AttributeError, match="ambiguous"):
        _ = shared.output


def test_automatic_names_of_tf_keras() -> None:
    layers = tf_keras.layers
    tf_keras.backend.clear_session()
    first, second = layers.Input((5,)), layers.Input((5,))
    models = [tf_keras.Model([first, second], layers.Add()([first, second])) for _ in range(2)]
    assert models[0].input_names == ["input_1", "input_2"] and layers.InputLayer(input_shape=(3,)).name == "input_3"
    assert [model.name for model in models] == ["model", "model_1"]
    assert (
        models[0].predict({"input_1": np.ones((2, 5)), "input_2": np.ones((2, 5))}, verbose=0).tolist() == [[2] * 5] * 2
    )
    sequential = tf_keras.Sequential([layers.Dense(2, input_shape=(3,))])
    assert (sequential.name, sequential.input_names) == ("sequential", ["dense_input"])

    class Mine(tf_keras.Model):
        pass

    assert Mine(first, layers.Dense(2)(first)).name == "mine"


def test_input_of_values_is_refused_clearly() -> None:
    with pytest.raises(ValueError, match="`input_tensor` must be a KerasTensor"):
        tf_keras.layers.Input(tensor=tf_keras.backend.constant(np.ones((2, 3))))


RATES = [  # of what was asked for, by name of the argument: what the config says
    (keras1, "Dropout", "p", {1.5: 1.5, -0.5: -0.5, 0.3: 0.3}),
    (keras1, "SpatialDropout1D", "p", {1.5: 1.5, -0.5: -0.5, 0.3: 0.3}),
    (keras2, "Dropout", "rate", {1.5: 1.0, -0.5: 0.0, 0.3: 0.3}),
    (keras2, "SpatialDropout1D", "rate", {1.5: 1.0, -0.5: 0.0, 0.3: 0.3}),
    (keras2, "AlphaDropout", "rate", {1.5: 1.5, -0.5: -0.5, 0.3: 0.3}),
    (tf_keras, "AlphaDropout", "rate", {1.5: 1.5, -0.5: -0.5, 0.3: 0.3}),
]


@pytest.mark.parametrize(("space", "name", "word", "found"), RATES, ids=lambda part: getattr(part, "__name__", None))
def test_rates_beyond_their_bounds(space: ModuleType, name: str, word: str, found: dict[float, float]) -> None:
    for rate, told in found.items():
        layer = getattr(space.layers, name)(rate)
        assert layer.get_config()[word] == told
        x = torch.ones(20, 3, 40)
        assert torch.equal(layer(x, training=True), x) == (rate != 0.3)


INPUTS = [
    ({"input_dim": 3}, (None, None, 3), (3, None)),
    ({"input_dim": 3, "input_length": 4}, (None, 4, 3), (3, 4)),
    ({"input_shape": (4, 3)}, (None, 4, 3), (None, None)),
]


@EACH
@pytest.mark.parametrize(("words", "shape", "told"), INPUTS, ids=lambda part: str(part))
def test_recurrent_layers_told_their_input(space: ModuleType, words: dict[str, Any], shape: tuple, told: tuple) -> None:
    for name in ("LSTM", "GRU", "SimpleRNN"):
        layer = getattr(space.layers, name)(2, **words)
        config = layer.get_config()
        assert layer.batch_input_shape == shape == config["batch_input_shape"]
        own = (config["input_dim"], config["input_length"]) if space is keras1 else told
        assert own == told and ("input_dim" in config) == (space is keras1)
    config = keras1.layers.LSTM(2, input_length=4).get_config()
    assert config["input_length"] == 4 and config["input_dim"] is None and "batch_input_shape" not in config


@OLDER
@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_recurrent_layers_drop_nothing_at_a_rate_of_1(space: ModuleType, name: str) -> None:
    words = ("dropout_W", "dropout_U") if space is keras1 else ("dropout", "recurrent_dropout")
    model = space.models.Sequential([getattr(space.layers, name)(2, input_shape=(4, 3), **dict.fromkeys(words, 1.0))])
    model.compile("sgd", "mse")
    model.set_weights([np.full(array.shape, 0.01) for array in model.get_weights()])
    loss = model.train_on_batch(np.arange(12, dtype="float32").reshape(1, 4, 3), np.zeros((1, 2)))
    expected = {"keras1": {"LSTM": 0.020517, "GRU": 0.043973}, "keras2": {"LSTM": 0.0231, "GRU": 0.042476}}
    assert float(loss) == pytest.approx(expected[space.__name__[7:]][name], abs=2e-6)


def scaled(x: Any, by: Any = None, n: int = 1) -> Any:
    return x * by * n


@EACH
def test_arrays_among_the_arguments_of_a_lambda(space: ModuleType) -> None:
    words = {"by": np.array([1.0, 2.0, 3.0], "float32"), "n": 2}
    model = space.models.Sequential([space.layers.Lambda(scaled, input_shape=(3,), arguments=words)])
    again = space.models.model_from_json(model.to_json(), custom_objects={"scaled": scaled})
    for one in (model, again):
        np.testing.assert_allclose(one.predict(np.ones((1, 3), "float32")), [[2, 4, 6]])


def test_words_of_tf_keras_that_configs_tell_where_there_is_something_to_say() -> None:
    layers = tf_keras.layers
    for axis, told, shape in ((1, [1], (2,)), ([1], [1], (2,)), ([1, 3], [1, 3], (1, 2, 1, 4)), ([-1], [3], (4,))):
        layer = layers.BatchNormalization(axis=axis)
        layer.build((None, 2, 3, 4))
        assert layer.get_config()["axis"] == told and {array.shape for array in layer.get_weights()} == {shape}
    binned = layers.Discretization(num_bins=3)
    binned.adapt(np.arange(9.0))
    assert (binned.get_config()["num_bins"], binned.get_config()["bin_boundaries"]) == (3, None)
    assert layers.Discretization(bin_boundaries=[1.0, 2.0]).get_config()["bin_boundaries"] == [1.0, 2.0]
    for lookup, terms in ((layers.IntegerLookup, [3, 4]), (layers.StringLookup, ["a"])):
        for mode, dtype in (("int", "int64"), ("one_hot", "float32"), ("multi_hot", "float32")):
            config = lookup(vocabulary=terms, output_mode=mode).get_config()
            assert config["dtype"] == dtype
    earlier = [(layers.IntegerLookup, [3, 4], "int64"), (layers.StringLookup, ["a", "b"], "string")]
    for lookup, terms, dtype in earlier:  # told the type of what they take
        config = lookup(vocabulary=terms, output_mode="one_hot").get_config()
        for told in (dtype, "float32"):
            again = lookup.from_config({**config, "dtype": told})
            found = np.asarray(again(np.array([terms[0], terms[0] * 3])))
            assert found.tolist() == [[0, 1, 0], [1, 0, 0]] and found.dtype == "float32"
            assert again.get_config()["dtype"] == "float32"
    assert layers.TextVectorization(vocabulary=["a"]).get_config()["dtype"] == "string"
    assert "zero_output_for_mask" not in layers.LSTM(2).get_config()
    assert layers.LSTM(2, zero_output_for_mask=True).get_config()["zero_output_for_mask"] is True


@EACH
@pytest.mark.parametrize("known", [False, True], ids=["any batch", "known batch"])
@pytest.mark.parametrize("kind", ["Lambda", "Activation", "Dense", "model", "own layer", "own Dense"])
def test_steps_are_one_batch_where_the_original_took_them_so(space: ModuleType, kind: str, known: bool) -> None:
    """In Keras 1 and 2 where the batch's size is unknown; in tf.keras always but for layers of users' own."""
    layers, K = space.layers, space.backend

    def mixed(x: Any) -> Any:
        return x - K.mean(x, axis=0, keepdims=True)

    class Own(layers.Layer):
        def call(self, x: Any, mask: Any = None) -> Any:
            return mixed(x)

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

        get_output_shape_for = compute_output_shape

    class OwnDense(layers.Dense):
        def call(self, x: Any, mask: Any = None) -> Any:
            return mixed(super().call(x))

    inner = {
        "Lambda": lambda: layers.Lambda(mixed, input_shape=(3,)),
        "Activation": lambda: layers.Activation(mixed),
        "Dense": lambda: layers.Dense(3, activation=mixed),
        "model": lambda: space.models.Sequential([layers.Dense(3, input_shape=(3,)), layers.Lambda(mixed)]),
        "own layer": Own,
        "own Dense": lambda: OwnDense(3),
    }[kind]()
    given = layers.Input(batch_shape=(4, 5, 3)) if known else layers.Input(shape=(5, 3))
    model = space.models.Model(given, layers.TimeDistributed(inner)(given))
    found = model.predict(drawn(4, 5, 3), batch_size=4)
    by_step = kind == "own layer" if space is tf_keras else known
    assert np.abs(found.mean(0)).max() < 1e-6 if by_step else np.abs(found.mean(0)).max() > 0.05
    assert np.abs(found.mean((0, 1))).max() < 1e-6
