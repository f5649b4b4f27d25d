"""Names, results and weights in code of tf.keras, against what tf_keras 2.21 gave."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from lamina import keras1, keras2
from lamina import tf_keras as keras
from lamina.generations.tensorflow.base import TensorSpec


def _drawn(seed: int, *shape: int) -> np.ndarray:
    return np.random.RandomState(seed).randn(*shape).astype("float32")


X, Y = _drawn(1, 6, 2), _drawn(2, 6, 1)
ONCE = {"verbose": 0, "shuffle": False}


def _near(found: Any, expected: Any) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, 2e-5, 1e-6)


def F1(y: Any, y_pred: Any) -> Any:
    return keras.backend.mean(y * y_pred)


class Ones(keras.Model):
    """A dense layer of ones, and means of two things."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(1, kernel_initializer="ones")
        self.z, self.a = keras.metrics.Mean(name="z"), keras.metrics.Mean(name="a")

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)


# Names ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generation", [keras, keras2])
@pytest.mark.parametrize(
    "given, name",
    [
        (F1, "F1"),
        (lambda y, p: keras.backend.mean(p), "<lambda>"),
        ("AUC", "auc"),
        ("MeanSquaredError", "mean_squared_error"),
        ("mse", "mse"),
    ],
)
def test_metrics_are_called_as_they_were(generation: Any, given: Any, name: str) -> None:
    if generation is keras2 and name == "auc":
        pytest.skip("Keras 2 counts names of metrics from 1.")
    generation.backend.clear_session()
    layer = generation.layers.Dense(1, activation="sigmoid", input_shape=(2,))
    model = generation.models.Sequential([layer])
    model.compile("sgd", "mse", metrics=[given])
    history = model.fit(X, (Y > 0).astype("float32"), validation_split=0.5, **ONCE).history
    assert set(history) == {"loss", name, "val_loss", f"val_{name}"}


@pytest.mark.parametrize("given", ["mae", keras.metrics.MeanAbsoluteError(name="mae")])
def test_a_metric_may_be_alone(given: Any) -> None:
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse", metrics=given)
    assert list(model.fit(X, Y, **ONCE).history) == ["loss", "mae"]


def test_inputs_and_models_count_up_by_their_names() -> None:
    keras.backend.clear_session()
    first, second = keras.Input((2,)), keras.layers.InputLayer((2,))
    models = [keras.Model(first, keras.layers.Dense(1)(first)) for _ in range(2)]
    assert [first.name, second.name] == ["input_1", "input_2"]
    assert [model.name for model in models] == ["model", "model_1"] and models[0].input_names == ["input_1"]
    assert models[0].predict({"input_1": X}, verbose=0).shape == (6, 1)
    assert keras.Model(first, models[1](first)).get_layer("model_1") is models[1]
    assert keras.applications.MobileNet(weights=None, input_shape=(32, 32, 3)).input_names == ["input_3"]


def test_functions_are_layers_of_a_functional_model() -> None:
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(4)(inputs)
    last = keras.layers.Dense(1)
    model = keras.Model(inputs, last((hidden + inputs) * 2.0))
    assert len(model.layers) == 5 and model.layers[-1] is last and not model.layers[2].weights
    steps = keras.Input((4, 3))  # of what only masks rest on, none is a layer
    masked = keras.Model(steps, keras.layers.LSTM(2)(keras.layers.Add()([keras.layers.Masking()(steps), steps])))
    assert [type(layer).__name__ for layer in masked.layers] == ["InputLayer", "Masking", "Add", "LSTM"]


# Results --------------------------------------------------------------------------------------------------------------


def test_results_come_as_a_step_gives_them() -> None:
    seen: list[Any] = []

    class Note(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append(list(logs))

    class Own(Ones):
        def train_step(self, data: Any) -> Any:
            return {"z": torch.tensor(1.0), "loss": torch.tensor(2.0), "a": torch.tensor(3.0)}

    model = Own()
    model.compile("sgd")
    assert list(model.fit(X, Y, callbacks=[Note()], **ONCE).history) == seen[0] == ["z", "loss", "a"]
    told = keras.Sequential([keras.layers.Dense(1, input_shape=(2,))])
    told.compile("sgd", "mse", metrics=["mse", "mae"])
    told.fit(X, Y, callbacks=[Note()], **ONCE)
    assert seen[1] == ["loss", "mse", "mae"]


def test_a_loss_is_a_metric_from_its_first_batch_on() -> None:
    class Own(Ones):
        def train_step(self, data: Any) -> Any:
            self.z.update_state(1.0)
            return {metric.name: metric.result() for metric in self.metrics}

    model = Own()
    model.compile("sgd")
    assert model.fit(X, Y, **ONCE).history == {"z": [1.0], "a": [0.0]}
    model = Ones()
    model.compile("sgd", "mse", metrics=["mae"])
    assert [metric.name for metric in model.metrics] == ["z", "a"]
    model.evaluate(X, Y, verbose=0)
    assert [metric.name for metric in model.metrics] == ["loss", "mae", "z", "a"]


def test_logged_is_what_was_compiled() -> None:
    class More(Ones):
        def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None) -> Any:
            return super().compute_loss(x, y, y_pred, sample_weight) + 1.0

    class Other(Ones):
        def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None) -> Any:
            return (y - y_pred).abs().mean()

    losses = []
    for cls in (Ones, More):
        model = cls()
        model.compile("sgd", "mse")
        losses.append(model.fit(X, Y, epochs=2, batch_size=4, **ONCE).history["loss"])
    assert losses[0] == losses[1]
    other = Other()
    other.compile("sgd", "mse")
    assert set(other.fit(X, Y, **ONCE).history) == {"z", "a"} and other.dense.bias.numpy() != 0.0


def test_batches_without_targets_count_alike() -> None:
    inputs = keras.Input((3,))
    outputs = keras.layers.Dense(1, kernel_initializer="ones")(inputs)
    model = keras.Model(inputs, outputs)
    model.add_loss((outputs**2).mean())
    model.compile("sgd")
    history = model.fit(_drawn(1, 12, 3), batch_size=5, epochs=2, **ONCE).history
    _near([history["loss"]], [[2.2250619, 1.9160066]])


# Losses that are functions --------------------------------------------------------------------------------------------


class Half(keras.layers.Layer):
    """Multiplies, and adds half of its weights to the loss."""

    def build(self, input_shape: Any) -> None:
        self.w = self.add_weight("w", (2,), initializer="ones")
        self.add_loss(lambda: keras.backend.sum(self.w) * 0.5)

    def call(self, inputs: Any) -> Any:
        return inputs * self.w


def _in_build() -> Any:
    return keras.Sequential([Half(input_shape=(2,)), keras.layers.Dense(1, kernel_initializer="ones")])


def _of_a_model() -> Any:
    model = Ones()
    model.add_loss(lambda: keras.backend.sum(model.dense.kernel**2) * 0.1)
    return model


def _of_a_layer() -> Any:
    dense, inputs = keras.layers.Dense(1, kernel_initializer="ones"), keras.Input((2,))
    model = keras.Model(inputs, dense(inputs))
    dense.add_loss(lambda: keras.backend.mean(keras.backend.abs(dense.kernel)))
    return model


@pytest.mark.parametrize(
    "make, losses, last",
    [
        (_in_build, [2.4802537, 2.1896605, 2.0508494], 0.76322883),
        (_of_a_model, [1.6802536, 1.5019537, 1.434101], 0.14279182),
        (_of_a_layer, [2.4802537, 2.2146895, 2.0708385], 0.75458837),
    ],
)
def test_losses_may_be_functions(make: Any, losses: list[float], last: float) -> None:
    model = make()
    model.compile(keras.optimizers.SGD(0.1), "mse")
    history = model.fit(X, Y, epochs=3, **ONCE).history
    _near([history["loss"], [loss.detach() for loss in model.losses]], [losses, [last]])


def test_a_function_that_a_call_adds_counts_within_it() -> None:
    class Own(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            self.add_loss(lambda: torch.tensor(2.0))
            return inputs

    layer: Any = Own()
    for _ in range(2):
        layer(X)
        assert [float(loss) for loss in layer.losses] == [2.0]


# Weights --------------------------------------------------------------------------------------------------------------


class Block(keras.layers.Layer):
    """Two normalized layers and a weight that is not trained."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.parts = [keras.layers.Dense(3), keras.layers.BatchNormalization(), keras.layers.Dense(2)]
        self.fixed = self.add_weight("fixed", (5,), trainable=False)

    def call(self, inputs: Any) -> Any:
        for part in self.parts:
            inputs = part(inputs)
        return inputs


def test_own_layers_list_what_is_trained_first() -> None:
    block, shapes = Block(), [(2, 3), (3,), (3,), (3,), (3, 2), (2,), (5,), (3,), (3,)]
    model = keras.Sequential([block])
    model(X)
    assert [tuple(weight.shape) for weight in block.weights] == shapes
    assert [array.shape for array in model.get_weights()] == [tuple(weight.shape) for weight in model.weights] == shapes
    assert [type(layer).__name__ for layer in model.submodules] == ["Block", "Dense", "BatchNormalization", "Dense"]


@pytest.mark.parametrize(
    "name, kinds", [("SGD", 0), ("Adam", 2), ("RMSprop", 1), ("Nadam", 2), ("Adadelta", 2), ("Adamax", 2)]
)
def test_optimizers_list_one_kind_of_state_after_the_other(name: str, kinds: int) -> None:
    optimizer = getattr(keras.optimizers.legacy, name)()
    weights = [keras.backend.variable(_drawn(1, 3, 2)), keras.backend.variable(_drawn(2, 2))]
    optimizer.apply_gradients((weight * 0.1, weight) for weight in weights)
    shapes = [(), *[()] * (name == "Nadam"), *[(3, 2), (2,)] * kinds]
    assert [array.shape for array in optimizer.get_weights()] == shapes
    assert [tuple(one.shape) for one in optimizer.variables()] == shapes
    optimizer.set_weights([np.full_like(array, 2) for array in optimizer.get_weights()])
    assert all((one.numpy() == 2).all() for one in optimizer.weights)


def test_a_schedule_tells_the_rate_of_the_last_step() -> None:
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5))
    weight, rates = keras.backend.variable(X), []
    for _ in range(3):
        rates.append(float(optimizer.learning_rate))
        optimizer.apply_gradients([(weight * 1.0, weight)])
    _near([[*rates, float(optimizer.lr)]], [[0.1, 0.1, 0.07071068, 0.05]])


# Layers ---------------------------------------------------------------------------------------------------------------


def test_types_of_what_prepares() -> None:
    assert keras.layers.Discretization([0.0, 1.0])(np.array([0.5])).dtype == torch.int64
    pictures = np.arange(144, dtype="uint8").reshape(6, 8, 3)
    resized = keras.layers.Resizing(4, 4)(pictures)
    assert resized.dtype == torch.float32 and float(resized[0, 0, 1]) == 8.5
    assert keras.backend.mean(keras.backend.constant([1, 2], "int32")) == 1


@pytest.mark.parametrize("count", [1, 2])
def test_own_attention_may_call_its_inputs_otherwise(count: int) -> None:
    class One(keras.layers.MultiHeadAttention):
        def call(self, x: Any) -> Any:
            return super().call(x, x)

    class Two(keras.layers.MultiHeadAttention):
        def call(self, q: Any, v: Any, mask: Any = None) -> Any:
            return super().call(q, v, attention_mask=mask)

    layer: Any = (One if count == 1 else Two)(2, 3)
    assert layer(*[_drawn(1, 2, 4, 3), _drawn(2, 2, 5, 6)][:count]).shape == (2, 4, 3)
    assert tuple(layer.weights[2].shape) == ((3, 2, 3) if count == 1 else (6, 2, 3))


def test_a_wide_and_a_deep_model_have_an_optimizer_each() -> None:
    wide_in, deep_in, y = _drawn(1, 12, 3), _drawn(2, 12, 2), _drawn(3, 12, 1)
    linear = keras.experimental.LinearModel(kernel_initializer="ones")
    deep = keras.Sequential([keras.layers.Dense(units, kernel_initializer="ones") for units in (2, 1)])
    model = keras.experimental.WideDeepModel(linear, deep)
    model.compile(["sgd", "adam"], "mse", ["mse"])
    history = model.fit([wide_in, deep_in], y, epochs=2, **ONCE).history
    _near([history["loss"], history["mse"]], [[9.081786, 8.958107]] * 2)
    _near(linear.get_weights(), [[[0.9915914], [0.98462075], [0.9745651]], [0.04986512]])
    _near(deep.get_weights()[3:], [[0.00199913]])


def test_loggers_of_the_time() -> None:
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse")
    logger = keras.callbacks.BaseLogger(stateful_metrics=["q"])
    assert model.fit(X, Y, callbacks=[logger, keras.callbacks.ProgbarLogger("steps")], **ONCE).epoch == [0]


def test_metrics_have_weights() -> None:
    metric = keras.metrics.MeanIoU(2)
    metric.update_state([0, 1, 1], [0, 1, 0])
    (counts,) = metric.get_weights()
    assert counts.tolist() == [[1, 0], [1, 1]]
    again = keras.metrics.MeanIoU(2)
    again.set_weights([counts])
    assert float(again.result()) == float(metric.result())
    with pytest.raises(ValueError, match="expected 1 arrays; got 0"):
        again.set_weights([])


# Several outputs ------------------------------------------------------------------------------------------------------


def _of_two(keys: str) -> Any:
    """Outputs of ones, `d` of two units and `e` of one, under two keys."""
    x = keras.Input((2,))
    d, e = (keras.layers.Dense(units, kernel_initializer="ones", name=name)(x) for name, units in (("d", 2), ("e", 1)))
    return keras.Model(x, dict(zip(keys, (d, e), strict=True)))


@pytest.mark.parametrize("keys, names", [("za", ["e", "d"]), ("az", ["d", "e"])])
def test_dictionaries_of_outputs_go_by_their_keys(keys: str, names: list[str]) -> None:
    model = _of_two(keys)
    assert model.output_names == names
    assert [output.name for output in model.outputs] == names
    model.compile(keras.optimizers.SGD(0.0), "mse", loss_weights=[1.0, 10.0], metrics=["mae"])
    targets = dict(zip(keys, (np.zeros((6, 2)), np.zeros((6, 1))), strict=True))
    logs = model.evaluate(X, targets, verbose=0, return_dict=True)
    first, second = (f"{name}_loss" for name in names)
    assert [*logs] == ["loss", first, second, f"{names[0]}_mae", f"{names[1]}_mae"]
    assert logs["loss"] == pytest.approx(logs[first] + 10 * logs[second])
    assert [*model.predict(X, verbose=0)] == [*keys]


def test_lists_for_a_dictionary_of_inputs_go_by_its_keys() -> None:
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    model = keras.Model({"z": a, "c": b}, keras.layers.Concatenate()([a, b]))
    assert model.input_names == ["b", "a"]
    found = model.predict([np.zeros((1, 2)), np.ones((1, 3))], verbose=0)
    np.testing.assert_array_equal(found, [[1, 1, 1, 0, 0]])


@pytest.mark.parametrize(
    ("generation", "kind"), [(keras, list), (keras, tuple), (keras, lambda metrics: metrics[0]), (keras2, list)]
)
def test_each_output_has_a_metric_of_its_own(generation: Any, kind: Any) -> None:
    x = generation.layers.Input((2,))
    outputs = [generation.layers.Dense(1, kernel_initializer=first, name=first)(x) for first in ("ones", "zeros")]
    model = generation.models.Model(x, outputs)
    given = kind([generation.metrics.MeanSquaredError(name="q")])
    model.compile(generation.optimizers.SGD(0.0), "mse", metrics=given)
    logs = dict(zip(model.metrics_names, model.evaluate(X, [Y, Y], verbose=0), strict=False))
    if generation is keras:
        logs = model.evaluate(X, [Y, Y], verbose=0, return_dict=True)
    assert logs["ones_q"] == pytest.approx(logs["ones_loss"]) and logs["zeros_q"] == pytest.approx(logs["zeros_loss"])


def test_one_metric_for_two_outputs_is_refused() -> None:
    same, model = keras.metrics.MeanSquaredError(name="q"), _of_two("az")
    model.compile("sgd", "mse", metrics={"a": same, "z": same})
    with pytest.raises(ValueError, match="'q' stands in two places"):
        model.evaluate(X, {"a": np.zeros((6, 2)), "z": Y}, verbose=0)


def test_a_model_of_a_file_knows_the_names_of_its_metrics(tmp_path: Any) -> None:
    x = keras.Input((2,))
    model = keras.Model(x, [keras.layers.Dense(1, name=name)(x) for name in "de"])
    model.compile("sgd", "mse", metrics=["mae", keras.metrics.MeanSquaredError(name="q")])
    assert model.metrics_names == []
    model.save(tmp_path / "model.h5")
    names = keras.models.load_model(tmp_path / "model.h5").metrics_names
    assert names == ["loss", "d_loss", "e_loss", "d_mae", "d_q", "e_mae", "e_q"]


# Shapes ---------------------------------------------------------------------------------------------------------------

_ONE = {
    "Dense": (lambda: keras.layers.Dense(3), (None, 4, 3)),
    "ReLU": (lambda: keras.layers.ReLU(), (None, 4, 6)),
    "Dropout": (lambda: keras.layers.Dropout(0.5), (None, 4, 6)),
    "MaxPooling1D": (lambda: keras.layers.MaxPooling1D(2), (None, 2, 6)),
    "Flatten": (lambda: keras.layers.Flatten(), (None, 24)),
    "Lambda": (lambda: keras.layers.Lambda(lambda x: x + 1), (None, 4, 6)),
    "Lambda with a shape": (lambda: keras.layers.Lambda(lambda x: x + 1, output_shape=(4, 6)), (None, 4, 6)),
    "Bidirectional": (lambda: keras.layers.Bidirectional(keras.layers.LSTM(5)), (None, 10)),
    "TimeDistributed": (lambda: keras.layers.TimeDistributed(keras.layers.Dense(2)), (None, 4, 2)),
    "Sequential": (lambda: keras.Sequential([keras.layers.Dense(3)]), (None, 4, 3)),
}


@pytest.mark.parametrize("layer", _ONE)
@pytest.mark.parametrize("given", [tuple, list])
def test_shapes_of_outputs_know_tensorflows_words(layer: str, given: Any) -> None:
    make, expected = _ONE[layer]
    found = make().compute_output_shape(given((None, 4, 6)))
    assert found == expected
    assert found.as_list() == list(expected)


def test_several_shapes_of_outputs_know_tensorflows_words() -> None:
    states = keras.layers.LSTM(5, return_state=True).compute_output_shape((None, 4, 6))
    assert [shape.as_list() for shape in states] == [[None, 5]] * 3
    assert keras.layers.Concatenate().compute_output_shape([(None, 4, 6)] * 2).as_list() == [None, 4, 12]


class Twice(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return [x, x]


@pytest.mark.parametrize(
    "make, expected",
    [
        (lambda: keras.layers.Dense(3), [((2, 4, 3), "float32")]),
        (lambda: keras.layers.Dense(3, dtype="mixed_float16"), [((2, 4, 3), "float16")]),
        (lambda: keras.layers.Embedding(5, 3), [((2, 4, 6, 3), "float32")]),
        (lambda: keras.layers.Lambda(lambda x: x.to(torch.int32)), [((2, 4, 6), "int32")]),
        (lambda: Twice(), [((2, 4, 6), "float32")] * 2),
        (lambda: keras.Sequential([keras.layers.Dense(3)]), [((2, 4, 3), "float32")]),
    ],
)
def test_signatures_of_outputs(make: Any, expected: Any) -> None:
    found = make().compute_output_signature(TensorSpec((2, 4, 6), "float32"))
    specs = found if isinstance(found, list) else [found]
    assert [(tuple(spec.shape), spec.dtype) for spec in specs] == expected
    assert all(isinstance(spec, TensorSpec) for spec in specs)


def test_signatures_of_outputs_want_signatures() -> None:
    with pytest.raises(TypeError, match="TensorSpec; got 2"):
        keras.layers.Dense(3).compute_output_signature((2, 3))


# Several axes of a batch ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.layers.Conv1D(3, 2, padding="causal", activation="relu"),
        lambda: keras.layers.Conv1D(4, 3, groups=2, strides=2),
        lambda: keras.layers.Conv2D(3, 2, padding="same", dilation_rate=2),
        lambda: keras.layers.Conv2D(3, (2, 1), data_format="channels_first"),
        lambda: keras.layers.Conv3D(2, 2, use_bias=False),
    ],
)
@pytest.mark.parametrize("more", [(2,), (2, 3)])
def test_convolutions_of_batches_of_several_axes(make: Any, more: tuple) -> None:
    layer = make()
    image = (4, 6, 5, 2)[-layer.rank - 1 :] if layer.data_format == "channels_last" else (2, 5, 4)
    x = torch.from_numpy(_drawn(3, 3, *more, *image))
    inputs = keras.Input((*[None] * len(more), *image))
    model = keras.Model(inputs, layer(inputs))
    plain = type(layer).from_config(layer.get_config())
    plain.build((None, *image))
    plain.set_weights(layer.get_weights())
    expected = plain(x.reshape(-1, *image))
    expected = expected.reshape(3, *more, *expected.shape[1:]).detach()
    assert layer.compute_output_shape((None, *more, *image)) == (None, *expected.shape[1:])
    assert model.output_shape == (None, *[None] * len(more), *expected.shape[len(more) + 1 :])
    _near(model.predict(x.numpy(), verbose=0), expected.numpy())
    _near(layer(x.reshape(-1, *image)).detach().numpy(), plain(x.reshape(-1, *image)).detach().numpy())
    model.compile("sgd", "mse")
    model.fit(x.numpy(), expected.numpy() + 1, verbose=0)
    assert np.abs(layer.get_weights()[0] - plain.get_weights()[0]).max() > 0


def test_convolutions_of_batches_of_several_axes_know_their_channels() -> None:
    layer = keras.layers.Conv1D(3, 2)
    layer(torch.ones(2, 3, 4, 5))
    with pytest.raises(ValueError, match="axis -1"):
        layer(torch.ones(2, 3, 4, 6))


# Masks of groups, steps of several inputs, states of cells ------------------------------------------------------------

_GROUPED, _LEFT = (
    np.random.RandomState(0).randn(2, 4, 6).astype("float32"),
    np.random.RandomState(1).rand(2, 4, 6) > 0.4,
)


@pytest.mark.parametrize(
    "groups, mask, place, expected",
    [
        (3, _LEFT, (0, 0), [1.3950, -0.5037, 0.9654, 1.9267, 1.5993, -1.5634]),
        (3, _LEFT[:, :, :1], (0, 0), [0.9989, -0.9989, -0.9987, 0.9987, 0.9998, -0.9998]),
        (2, _LEFT.astype("float32"), (0, 1), [0.6500, -0.0541, -0.0233, -0.0450, -0.4171, 1.4116]),
    ],
)
def test_group_normalization_sees_masks(groups: int, mask: Any, place: tuple, expected: list) -> None:
    layer = keras.layers.GroupNormalization(groups)
    found = layer(torch.from_numpy(_GROUPED), mask=torch.from_numpy(mask)).detach()
    np.testing.assert_allclose(found[place], expected, atol=6e-5)
    rows = layer(torch.from_numpy(_GROUPED), mask=torch.ones(2, 4, 1)).detach()
    np.testing.assert_allclose(rows, layer(torch.from_numpy(_GROUPED)).detach(), atol=1e-5)
    first = keras.layers.GroupNormalization(groups, axis=1, scale=False)
    moved = (
        torch.from_numpy(_GROUPED).movedim(-1, 1),
        torch.from_numpy(np.array(np.broadcast_to(mask, (2, 4, 6)))).movedim(-1, 1),
    )
    np.testing.assert_allclose(first(moved[0], mask=moved[1]).movedim(1, -1).detach(), found, atol=1e-5)
    with pytest.raises(ValueError, match="a mask that fits"):
        layer(torch.from_numpy(_GROUPED), mask=torch.ones(2, 4))


class Ends(keras.layers.Layer):
    def call(self, inputs: Any) -> Any:
        return inputs["a"] + 1, inputs["b"] * 2


def test_time_distributed_layers_of_several_inputs() -> None:
    a, b = keras.Input((3, 4)), keras.Input((3, 5))
    x, y = _drawn(1, 2, 3, 4), _drawn(2, 2, 3, 5)
    joined = keras.layers.TimeDistributed(keras.layers.Concatenate())([a, b])
    assert joined.shape == (None, 3, 9)
    _near([keras.Model([a, b], joined).predict([x, y], verbose=0)], [np.concatenate([x, y], -1)])
    attended = keras.layers.TimeDistributed(keras.layers.Attention())([torch.from_numpy(x)[..., None]] * 2)
    _near(attended[:, 1], keras.layers.Attention()([torch.from_numpy(x)[:, 1, :, None]] * 2))
    more, twice = keras.layers.TimeDistributed(Ends())({"a": torch.from_numpy(x), "b": torch.from_numpy(y)})
    _near([more, twice], [x + 1, y * 2])
    with pytest.raises(ValueError, match="one number of samples and of steps"):
        keras.layers.TimeDistributed(keras.layers.Concatenate())([torch.ones(2, 3, 4), torch.ones(2, 4, 4)])


def test_states_that_cells_start_from() -> None:
    layers = keras.layers
    assert layers.SimpleRNNCell(3).get_initial_state(batch_size=2, dtype="float32").shape == (2, 3)
    assert layers.GRUCell(3).get_initial_state(torch.ones(4, 2)).shape == (4, 3)
    states = layers.LSTMCell(3).get_initial_state(None, 2, "float64")
    assert [(tuple(state.shape), state.dtype) for state in states] == [((2, 3), torch.float64)] * 2
    stacked = layers.StackedRNNCells([layers.GRUCell(3), layers.LSTMCell(2)])
    one, pair = stacked.get_initial_state(batch_size=5)
    assert one.shape == (5, 3) and [tuple(each.shape) for each in pair] == [(5, 2)] * 2
    assert layers.RNN([layers.GRUCell(3), layers.SimpleRNNCell(2)])(torch.ones(4, 3, 2)).shape == (4, 2)


# Lambdas --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [
        lambda x: keras.layers.Dense(2)(x),
        lambda x: keras.layers.BatchNormalization()(x),
    ],
    ids=["layer", "state"],
)
@pytest.mark.parametrize("called", [lambda: keras.Input((3,)), lambda: torch.ones(2, 3)], ids=["symbolic", "values"])
def test_a_lambda_that_makes_weights_is_refused(function: Any, called: Any) -> None:
    with pytest.raises(ValueError, match="never be trained"):
        keras.layers.Lambda(function)(called())


def test_a_lambda_that_makes_weights_of_its_own() -> None:
    layer = keras.layers.Lambda(lambda x: layer.dense(x))
    layer.dense = keras.layers.Dense(2)
    layer(keras.Input((3,)))
    assert len(layer.trainable_weights) == 2


@pytest.mark.parametrize("generation", [keras, keras2])
@pytest.mark.parametrize("value", [2.0, np.full(3, 2.0)], ids=["number", "array"])
def test_a_lambda_may_make_a_variable_of_a_value(generation: Any, value: Any) -> None:
    inputs = generation.Input((3,))
    outputs = generation.layers.Lambda(lambda x: x * generation.backend.variable(value))(inputs)
    np.testing.assert_array_equal(generation.models.Model(inputs, outputs).predict(np.ones((2, 3))), 2)


# Losses and metrics ---------------------------------------------------------------------------------------------------

_IGNORED = np.asarray([-1, 2]), np.asarray([[0.05, 0.95, 0], [0.1, 0.8, 0.1]], "float32")


def test_ignored_classes_do_not_count_in_the_metric() -> None:
    def metric() -> Any:
        return keras.metrics.SparseCategoricalCrossentropy(ignore_class=-1)

    assert float(metric()(*_IGNORED)) == pytest.approx(2.3025851)
    assert float(metric()(*_IGNORED, sample_weight=[3.0, 2.0])) == pytest.approx(2.3025851)
    model = keras.Sequential([keras.layers.Activation("linear", input_shape=(3,))])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(ignore_class=-1), metrics=[metric()])
    _near(model.evaluate(*_IGNORED[::-1], verbose=0), [2.3025851, 2.3025851])


def test_one_weight_for_all_samples_of_a_mean() -> None:
    mean = keras.metrics.Mean()
    found = [
        float(mean(100, sample_weight=0.5)),
        float(mean([1, 5], sample_weight=[1, 0.2])),
        float(mean([1, 2], sample_weight=0.5)),
        float(mean([1, 5], sample_weight=[[1], [0.2]])),
        float(mean([[1], [5]], sample_weight=[1, 0.2])),
        float(mean([[[1.0, 2.0], [3.0, 2.0], [0.5, 4.0]]], sample_weight=[0.5])),
    ]
    _near(found, [100.0, 30.588234, 19.814814, 14.230769, 11.274509, 10.453869])
    error = keras.metrics.MeanSquaredError()
    error([[1.0], [2.0]], [[2.0], [4.0]], sample_weight=0.5)
    assert float(error([[1.0]], [[1.0]])) == pytest.approx(1.25)  # (0.5 + 2 + 0) / (0.5 + 0.5 + 1)


@pytest.mark.parametrize(
    "name", ["MeanSquaredError", "BinaryCrossentropy", "CosineSimilarity", "KLDivergence", "LogCosh"]
)
@pytest.mark.parametrize("given", [torch.from_numpy, np.asarray])
def test_losses_of_doubles_are_doubles(name: str, given: Any) -> None:
    loss = getattr(keras.losses, name)()
    y_true, y_pred = np.asarray([[0.2, 0.8]]), np.asarray([[0.3, 0.7]])
    assert loss(given(y_true), given(y_pred)).dtype == torch.float64
    assert loss(given(y_true), given(y_pred.astype("float32"))).dtype == torch.float32
    if name == "MeanSquaredError":
        assert float(loss(given(np.asarray([[2.1]])), given(np.asarray([[3.68]])))) == (2.1 - 3.68) ** 2


def test_metrics_that_take_over_what_others_have_seen() -> None:
    one, other = keras.metrics.Mean(), keras.metrics.Mean()
    one.update_state([1.0, 2.0])
    other.update_state([5.0])
    one.merge_state([other])
    assert float(one.result()) == pytest.approx(8 / 3) and float(other.result()) == 5
    one, other = keras.metrics.AUC(num_thresholds=5), keras.metrics.AUC(num_thresholds=5)
    one.update_state([0, 1, 1], [0.2, 0.4, 0.9])
    other.update_state([1, 0], [0.5, 0.6])
    one.merge_state([other])
    assert float(one.result()) == pytest.approx(2 / 3) and one.stateful
    with pytest.raises(ValueError, match="merge_state needs state of shapes"):
        keras.metrics.MeanIoU(2).merge_state([keras.metrics.Precision()])
    sums = keras.metrics.MeanTensor()
    assert sums.total is None and sums.count is None
    sums.update_state([2.0, 4.0])
    sums.update_state([4.0, 4.0])
    _near([sums.total, sums.count], [[6, 8], [2, 2]])


@pytest.mark.parametrize("generation", [keras, keras2])
@pytest.mark.parametrize(
    "regularizer, loss", [(lambda _: 0.5, 4.5), (lambda _: 0, 4.0), (lambda _: np.float32(0.5), 4.5)]
)
def test_regularizers_may_give_numbers(generation: Any, regularizer: Any, loss: float) -> None:
    layer = generation.layers.Dense(1, bias_regularizer=regularizer, kernel_initializer="ones", input_shape=(2,))
    model = generation.models.Sequential([layer])
    model.compile("sgd", "mse")
    x, y = np.ones((2, 2)), np.zeros((2, 1))
    assert model.evaluate(x, y, verbose=0) == model.train_on_batch(x, y) == loss


# Activations ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generation", [keras, keras2, keras1])
@pytest.mark.parametrize("name", ["relu", "softmax", "linear", "sigmoid", "tanh", "elu", "hard_sigmoid", "softplus"])
def test_activations_of_layers_equal_those_of_their_name(generation: Any, name: str) -> None:
    """As guided backpropagation looks for its layers."""
    function = getattr(generation.activations, name)
    layers = [generation.layers.Dense(1, activation=given) for given in (name, function)]
    for layer in (*layers, *(type(each).from_config(each.get_config()) for each in layers)):
        assert layer.activation == function and function == layer.activation
        assert layer.activation in {function}
    assert generation.activations.get(name) == function
    others = {"relu", "linear", "tanh"} - {name}
    assert all(layers[0].activation != getattr(generation.activations, other) for other in others)
    assert copy.deepcopy(function) is pickle.loads(pickle.dumps(function)) is function


# Files ----------------------------------------------------------------------------------------------------------------


class Attends(keras.Model):
    """Attention whose projections tf.keras keeps under private names alone."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.attention = keras.layers.MultiHeadAttention(num_heads=3, key_dim=4)

    def get_config(self) -> dict:
        return {}

    def call(self, x: Any) -> Any:
        return self.attention(x, x)


@pytest.mark.parametrize("weights", [False, True], ids=["model", "weights"])
def test_a_model_of_ones_own_with_attention_comes_back(weights: bool, tmp_path: Any) -> None:
    model, x = Attends(), torch.from_numpy(_drawn(3, 2, 4, 8))
    expected = model(x)
    path = str(tmp_path / ("a.weights.h5" if weights else "a.keras"))
    if weights:
        model.save_weights(path)
        again = Attends()
        again(x)
        again.load_weights(path)
    else:
        model.save(path)
        again = keras.models.load_model(path, custom_objects={"Attends": Attends})
    np.testing.assert_array_equal(again(x).detach(), expected.detach())


@pytest.mark.parametrize("own", [False, True])
def test_metrics_of_several_outputs_have_the_names_of_their_results(own: bool) -> None:
    given = keras.Input((3,))
    model = keras.Model(given, [keras.layers.Dense(2, name=name)(given) for name in ("a", "b")])
    made = [keras.metrics.MeanAbsoluteError(name="mae")] if own else ["mae"]
    model.compile("sgd", "mse", metrics=[made, ["mse"]], weighted_metrics=[["mse"], ["mse"]])
    x, y = np.ones((4, 3), "float32"), np.zeros((4, 2), "float32")
    names = ["loss", "a_loss", "b_loss", "a_mae", "a_mse", "b_mse", "b_weighted_mse"]
    assert model.metrics_names in (names, [])  # before the first step they are asked of a copy
    history = model.fit(x, [y, y], verbose=0).history
    for _ in range(2):
        assert [metric.name for metric in model.metrics] == model.metrics_names == [*history] == names
    assert {metric.name: float(metric.result()) for metric in model.metrics} == pytest.approx(
        {name: values[0] for name, values in history.items()}
    )
    assert [*model.evaluate(x, [y, y], verbose=0, return_dict=True)] == names
