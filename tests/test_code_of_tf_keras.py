"""What code written for tf.keras and TensorFlow 2 relies on beside layers: NumPy, `+=`, shapes, metrics, names."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import own_optimizers

import lamina
from lamina import generations, keras2, tf_keras
from lamina.generations import tensors
from lamina.generations.tensorflow import state

L = tf_keras.layers
X = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")


@pytest.fixture(autouse=True)
def where_old_code_runs() -> Iterator[None]:
    """As `install` leaves tensors."""
    tensors.as_old_code_has_them(True, told=True)
    yield
    tensors.as_old_code_has_them(False)


@pytest.fixture(params=["tf_keras", "keras3"])
def installed(request: pytest.FixtureRequest) -> Iterator[Any]:
    if generations.alias.installed_keras() is not None or importlib.util.find_spec("tensorflow"):
        pytest.skip("a Keras or TensorFlow is installed here")
    generations.install(request.param)
    try:
        yield importlib.import_module("tensorflow")
    finally:
        generations.uninstall()


_LEFT = {  # names that `tf.keras` of Keras 3 still has and `keras` dropped, on the same numbers
    "backend": ["mean", "square", "l2_normalize", "exp"],
    "losses": ["mse", "MAE", "kld", "logcosh"],
    "metrics": ["mae", "MSLE"],
}


@pytest.mark.parametrize(("home", "name"), [(home, name) for home, names in _LEFT.items() for name in names])
def test_tf_keras_has_the_names_that_keras_dropped(installed: Any, home: str, name: str) -> None:
    keras, place = importlib.import_module("keras"), importlib.import_module(f"tensorflow.keras.{home}")
    assert place is getattr(installed.keras, home) and installed.keras.layers.Dense is keras.layers.Dense
    given = [torch.tensor(np.abs(X))] * (1 if home == "backend" else 2)
    expected = getattr(getattr(tf_keras, home), name)(*given)
    torch.testing.assert_close(getattr(place, name)(*given), expected)
    if home == "backend":
        inputs = keras.Input((3,))
        model = keras.Model(inputs, place.l2_normalize(keras.layers.Dense(2)(inputs), -1))
        model.compile("sgd", lambda y, p: getattr(place, name)(y - p))
        assert np.isfinite(model.fit(X, X[:, :2], verbose=0).history["loss"]).all()
    with pytest.raises(AttributeError):
        _ = place.never_was_there


# NumPy and Python -----------------------------------------------------------------------------------------------------

_REDUCTIONS = "mean sum max min std var prod argmax argmin any all cumsum sort argsort median".split()


@pytest.mark.parametrize("name", _REDUCTIONS)
@pytest.mark.parametrize("options", [{}, {"axis": 0}, {"axis": -1}])
def test_functions_of_numpy_take_tensors_as_arrays(name: str, options: dict[str, Any]) -> None:
    tensor, function = torch.tensor(X, requires_grad=True), getattr(np, name)
    found = function(tensor * 1, **options)
    assert not isinstance(found, torch.Tensor)
    np.testing.assert_allclose(found, function(X, **options), rtol=1e-5)


def test_functions_of_numpy_take_lists_of_tensors_and_trial_tensors() -> None:
    tensor = torch.tensor(X, requires_grad=True) * 1
    assert np.concatenate([tensor, X], axis=1).shape == (4, 6) and np.stack([tensor, tensor]).shape == (2, 4, 3)
    assert np.array([tensor.sum(), tensor.mean()]).dtype == "float32"
    assert np.asarray(tensor, dtype="float64").dtype == "float64" and np.shape(tensor) == (4, 3)

    class Flat(L.Layer):
        def call(self, x: Any) -> Any:
            return x.reshape(-1, int(np.prod(np.shape(x)[1:]))) if np.ndim(x) == 3 else x

    assert Flat()(L.Input((2, 5))).shape == (None, 10)


def test_numbers_of_tensors_that_gradients_flow_from() -> None:
    loss = torch.tensor(2.5, requires_grad=True) * 2
    assert (float(loss), int(loss), f"{float(loss):.1f}") == (5.0, 5, "5.0")  # warnings are errors here


def test_in_place_operators_make_another_tensor_in_code_without_torch() -> None:
    code = "y = x\ny += 1\ny *= 2\ny -= 1\ny /= 2\n"
    x = torch.ones(3)
    theirs = {"x": x, "__name__": "script"}
    exec(code, theirs)
    assert x.tolist() == [1, 1, 1] and theirs["y"].tolist() == [1.5, 1.5, 1.5]
    exec(code, {"x": x, "torch": torch, "__name__": "script"})
    assert x.tolist() == [1.5, 1.5, 1.5]  # as torch means it


def test_gradients_flow_past_in_place_operators() -> None:
    class Masked(L.Layer):
        def call(self, x: Any) -> Any:
            own: dict[str, Any] = {"x": x, "sigmoid": torch.sigmoid, "__name__": "script"}
            exec("e = sigmoid(x)\ns = e\ne -= 0.5\ne *= 2\ny = e + s", own)
            return own["y"]

    model = tf_keras.Sequential([L.Dense(3, input_shape=(3,)), Masked()])
    model.compile("sgd", "mse")
    before = model.get_weights()[0]
    model.train_on_batch(X, X)
    assert not np.array_equal(model.get_weights()[0], before)


# Shapes ---------------------------------------------------------------------------------------------------------------


def test_shapes_have_tensorflows_words() -> None:
    shape = L.Input((3, 4)).shape
    assert shape == (None, 3, 4) and shape.as_list() == [None, 3, 4] and shape.rank == shape.ndims == 3
    assert shape[1:].num_elements() == 12 and not shape.is_fully_defined()
    assert (shape[:-1] + (5,)).as_list() == [None, 3, 5]  # noqa: RUF005


@pytest.mark.parametrize("call", ["array", "symbol"])
def test_build_and_shape_rules_are_told_such_shapes(call: str) -> None:
    class Own(L.Layer):
        def build(self, input_shape: Any) -> None:
            self.kernel = self.add_weight("kernel", [input_shape.as_list()[-1], 2])
            super().build(input_shape)

        def call(self, x: Any) -> Any:
            return x @ self.kernel

        def compute_output_shape(self, input_shape: Any) -> Any:
            return input_shape[:-1].concatenate([2])

    assert tuple(Own()(X if call == "array" else L.Input((3,))).shape)[1:] == (2,)


def test_an_axis_alone_is_a_shape() -> None:
    assert tf_keras.Input(shape=4).shape == (None, 4)
    with pytest.raises((TypeError, ValueError)):
        keras2.layers.Input(shape=4)


# Layers and models ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [tf_keras, lamina], ids=["tf_keras", "keras3"])
def test_weights_are_variables(space: Any) -> None:
    layer = space.layers.Layer()
    given = ("kernel", (3, 2)) if space is tf_keras else ((3, 2), "ones")
    assert tuple(layer.add_variable(*given, trainable=False).shape) == (3, 2)
    assert len(layer.non_trainable_weights) == 1


def test_devices_by_the_name_in_tensorflows_inside(installed: Any) -> None:
    from tensorflow.python.client import device_lib  # type: ignore[import-not-found]

    assert device_lib.list_local_devices()[0].name == "/device:CPU:0"


def _scaled(space: Any, base: str, needed: str) -> Any:
    """A layer or model whose `call` takes x and, without defaults, what is named in `needed`."""
    names: dict[str, Any] = {}
    exec(f"def call(self, x, {needed}):\n return self.within(x, locals())", names)

    def init(self: Any) -> None:
        super(made, self).__init__()
        self.dense = space.layers.Dense(3, kernel_initializer="ones")

    def within(self: Any, x: Any, given: dict[str, Any]) -> Any:
        more = [given[name] for name in ("state", "mask") if given.get(name) is not None]
        return self.dense(x) + sum(more) + (100.0 if given.get("training") else 0.0)

    parent = {"Layer": space.layers.Layer, "Model": space.models.Model}[base]
    made = type("Scaled", (parent,), {"__init__": init, "within": within, "call": names["call"]})
    return made()


@pytest.mark.parametrize("space", [tf_keras, keras2, lamina], ids=["tf_keras", "keras2", "keras3"])
@pytest.mark.parametrize("base", ["Layer", "Model"])
@pytest.mark.parametrize(
    ("needed", "args", "kwargs", "plus"),
    [
        ("state", (2.0,), {}, 2),
        ("state", (), {"state": 2.0}, 2),
        ("training", (), {"training": False}, 0),
        ("training", (), {}, 0),
        ("training", (), {"training": True}, 100),
        ("mask", (), {"mask": None}, 0),
        ("state, mask", (2.0,), {"mask": None}, 2),
        ("state, mask", (2.0, None), {}, 2),
        ("state, training, mask", (2.0, True, None), {}, 102),
        ("state, training, mask", (), {"state": 2.0, "training": True, "mask": None}, 102),
    ],
)
def test_calls_may_need_more_than_inputs(
    space: Any, base: str, needed: str, args: tuple, kwargs: dict[str, Any], plus: float
) -> None:
    layer, x = _scaled(space, base, needed), torch.ones(2, 4)
    args = tuple(torch.full((2, 3), item) if type(item) is float else item for item in args)
    kwargs = {word: torch.full((2, 3), item) if type(item) is float else item for word, item in kwargs.items()}
    for _ in range(2):  # the first call makes the weights
        np.testing.assert_allclose(layer(x, *args, **kwargs).detach(), np.full((2, 3), 4.0 + plus))


@pytest.mark.parametrize("space", [tf_keras, keras2, lamina], ids=["tf_keras", "keras2", "keras3"])
@pytest.mark.parametrize("base", ["Layer", "Model"])
@pytest.mark.parametrize("how", ["functional", "told", "sequential", "in order"])
def test_models_are_traced_through_calls_that_need_training(space: Any, base: str, how: str) -> None:
    layer, x, given = _scaled(space, base, "training"), np.ones((2, 4), "float32"), space.layers.Input((4,))
    if how in ("functional", "told"):
        outputs = layer(given, training=True) if how == "told" else layer(given)
        model = space.models.Model(given, outputs)
    else:
        model = space.models.Sequential([given, layer] if how == "in order" else [layer])
    always = 100 if how == "told" else 0
    np.testing.assert_allclose(model.predict(x), np.full((2, 3), 4.0 + always))
    model.compile("sgd", "mae")
    assert model.train_on_batch(x, np.zeros((2, 3))) == pytest.approx(104)


@pytest.mark.parametrize("space", [lamina, keras2, tf_keras])
def test_a_layer_may_call_what_it_keeps_layers(space: Any) -> None:
    class Block(space.layers.Layer):
        def __init__(self, **kwargs: Any):
            self.layers: list[Any] = []
            super().__init__(**kwargs)
            self.layers.append(space.layers.Dense(3))

        def call(self, x: Any) -> Any:
            for layer in self.layers:
                x = layer(x)
            return x

        def compute_output_shape(self, input_shape: Any) -> Any:
            return input_shape

    block = Block()
    model = space.models.Sequential([block])
    model.compile(optimizer="sgd", loss="mse")
    model.train_on_batch(X, X)
    assert len(block.layers) == 1 and len(model.trainable_weights) == 2 and model.layers == [block]
    assert not hasattr(space.layers.Dense(1), "layers")


@pytest.mark.parametrize("space", [lamina, keras2, tf_keras])
def test_a_model_may_have_a_method_train(space: Any) -> None:
    class Network(space.models.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense, self.drop = space.layers.Dense(3), space.layers.Dropout(0.5)

        def call(self, x: Any) -> Any:
            return self.drop(self.dense(x))

        def train(self, data: Any, epochs: int) -> Any:  # type: ignore[override]
            return self.fit(data, data, epochs=epochs, verbose=0)

    model = Network()
    model.compile(optimizer="sgd", loss="mse")
    assert len(model.train(X, 2).history["loss"]) == 2
    np.testing.assert_array_equal(model.predict(X, verbose=0), model.predict(X, verbose=0))


def test_metrics_make_weights_by_name_first() -> None:
    class Sum(tf_keras.metrics.Metric):
        def __init__(self, **kwargs: Any):
            super().__init__(**kwargs)
            self.total = self.add_weight("total", initializer="zeros")
            self.parts = self.add_weight("parts", (2,), initializer="ones")

        def update_state(self, y: Any, p: Any, sample_weight: Any = None) -> None:
            self.total.assign_add(p.sum())

        def result(self) -> Any:
            return self.total / self.parts.sum()

    metric = Sum(name="sum")
    metric.update_state(0, torch.ones(6))
    assert float(metric.result()) == 3 and tuple(metric.parts.shape) == (2,)


def test_add_metric_takes_what_a_metric_gave() -> None:
    class Network(tf_keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense, self.size = L.Dense(1), tf_keras.metrics.Mean(name="size")

        def call(self, x: Any) -> Any:
            y = self.dense(x)
            self.add_metric(self.size(y.abs().mean()))
            return y

    model = Network()
    model.compile("sgd", "mse")
    history = model.fit(X, X[:, :1], verbose=0, batch_size=4).history
    assert set(history) == {"loss", "size"} and history["size"][0] > 0


@pytest.mark.parametrize("space", [keras2, tf_keras])
@pytest.mark.parametrize("name", ["LearningRateScheduler", "ReduceLROnPlateau"])
def test_logs_call_the_learning_rate_lr(space: Any, name: str) -> None:
    told = {"LearningRateScheduler": (lambda epoch: 0.25,), "ReduceLROnPlateau": ("loss",)}[name]
    model = space.models.Sequential([space.layers.Dense(3, input_shape=(3,))])
    model.compile(optimizer=space.optimizers.SGD(0.25), loss="mse")
    history = model.fit(X, X, verbose=0, callbacks=[getattr(space.callbacks, name)(*told)]).history
    assert history["lr"] == [0.25] == history["learning_rate"] and [*history] == ["loss", "lr"]


@pytest.mark.parametrize("metrics", [None, ["mae", "mse"]])
def test_training_steps_of_users_find_what_was_compiled(metrics: Any) -> None:
    class Network(tf_keras.Model):
        def train_step(self, data: Any) -> Any:
            x, y = data
            y_pred = self(x, training=True)
            loss = self.compiled_loss(y, y_pred, regularization_losses=self.losses)
            gradients = torch.autograd.grad(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            self.compiled_metrics.update_state(y, y_pred)
            return {metric.name: metric.result() for metric in self.metrics}

    def history(base: Any) -> Any:
        inputs = tf_keras.Input((3,))
        model = base(inputs, L.Dense(3, "tanh", kernel_initializer="ones", kernel_regularizer="l2")(inputs))
        model.compile("sgd", "mse", metrics=metrics)
        return model.fit(X, X, batch_size=2, epochs=2, shuffle=False, verbose=0).history

    own, expected = history(Network), history(tf_keras.Model)
    assert set(own) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(own[name], values, rtol=1e-5)


def test_folders_of_pictures_are_read_with_smart_resize(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "a").mkdir()
    pixels = np.zeros((4, 8, 3), "uint8")
    pixels[:, 2:6] = 200
    image.fromarray(pixels).save(tmp_path / "a" / "one.png")
    read = tf_keras.utils.image_dataset_from_directory
    found = next(iter(read(str(tmp_path), labels=None, label_mode=None, image_size=(4, 4), smart_resize=True)))
    assert np.asarray(found).min() == 200  # the middle alone


@pytest.mark.parametrize("space", [lamina, tf_keras])
def test_schedules_take_arrays_of_steps(space: Any) -> None:
    schedule = space.optimizers.schedules.InverseTimeDecay(1.0, decay_steps=10, decay_rate=1)
    for steps in (np.array([0, 10, 30]), [0, 10, 30]):
        np.testing.assert_allclose(schedule(steps).numpy(), [1, 1 / 2, 1 / 4])


def test_estimators_of_scikit_learn() -> None:
    pytest.importorskip("sklearn")
    assert tf_keras.wrappers.scikit_learn.KerasRegressor.__module__ == "lamina.tf_keras.wrappers.scikit_learn"


@pytest.mark.parametrize("space", [lamina, tf_keras])
def test_pictures_may_come_in_a_list(space: Any) -> None:
    pictures = [np.full((4, 5, 3), value, "float32") for value in (1, 2)]
    np.testing.assert_array_equal(space.layers.CenterCrop(2, 2)(pictures), np.stack(pictures)[:, 1:3, 1:3])


# TensorFlow beside it -------------------------------------------------------------------------------------------------


def test_parts_of_variables_are_assigned_to(installed: Any) -> None:
    variable = installed.Variable([[1.0, 2.0], [3.0, 4.0]])
    variable[0, 1].assign(42)
    variable[:, 0].assign([0.0, 1.0])
    assert variable.numpy().tolist() == [[0, 42], [1, 4]]


@pytest.mark.parametrize("space", [keras2, tf_keras])
def test_parts_of_weights_are_assigned_to(space: Any) -> None:
    weight = space.layers.Layer().add_weight(name="w", shape=(2, 2), initializer="ones")
    weight[0, 1].assign(weight[0, 1] + 41)
    weight[:, 0].assign([0.0, 3.0])
    assert weight.numpy().tolist() == [[0, 42], [3, 1]]


def test_functions_of_numpy_take_tensors(installed: Any) -> None:
    x = installed.constant([[1.0, 2.0], [3.0, 4.0]])
    assert np.min(x) == 1 and np.max(x) == 4 and np.std(x) == pytest.approx(np.sqrt(1.25))
    assert np.mean(x, axis=1).tolist() == [1.5, 3.5] and np.argmax(x, axis=-1).tolist() == [1, 1]


@pytest.mark.parametrize("kind", ["int32", "int64", "float32", "float64"])
def test_arrays_multiply_matrices_of_any_number_type(installed: Any, kind: str) -> None:
    turn, x = np.array([[0, 2], [1, 0]], dtype=kind), installed.constant([[1.0, 2.0], [3.0, 4.0]])
    assert (turn @ x).numpy().tolist() == [[6.0, 8.0], [1.0, 2.0]] and (turn @ x).dtype == installed.float32
    assert (x @ turn).numpy().tolist() == [[2.0, 2.0], [4.0, 6.0]] and (turn * x).dtype == installed.float32


def test_bounds_of_random_numbers_may_be_tensors_where_shapes_are_tried(installed: Any) -> None:
    class Shift(installed.keras.layers.Layer):
        bounds = (installed.constant(2.0), installed.constant(3.0))

        def call(self, x: Any) -> Any:
            return x + installed.random.uniform((installed.shape(x)[0], 1), *self.bounds)

    inputs = installed.keras.Input((4,))
    found = installed.keras.Model(inputs, Shift()(inputs)).predict(np.zeros((3, 4)), verbose=0)
    assert found.shape == (3, 4) and found.min() >= 2.0 and found.max() < 3.0 and len(np.unique(found)) == 3


def test_rows_of_variables_are_scattered_to(installed: Any) -> None:
    variable = installed.Variable([[1.0, 2.0], [3.0, 4.0]])
    rows = installed.IndexedSlices(values=[[5.0, 6.0], [7.0, 8.0]], indices=[1, 0])
    assert variable.scatter_update(rows).numpy().tolist() == [[7, 8], [5, 6]]
    assert variable.scatter_add(rows).numpy().tolist() == [[14, 16], [10, 12]]
    assert variable.scatter_sub(rows).numpy().tolist() == [[7, 8], [5, 6]]


def test_what_is_read_from_an_array_is_given_up(installed: Any) -> None:
    for kept, left in ((None, [0.0, 2.0]), (True, [0.0, 2.0]), (False, [1.0, 2.0])):
        array = installed.TensorArray(installed.float32, size=2, clear_after_read=kept).unstack([1.0, 2.0])
        assert float(array.read(0)) == 1.0 and array.stack().numpy().tolist() == left
    array.write(3, 1.0)
    with pytest.raises(ValueError, match="nothing at 2"):
        array.read(2)


def test_summaries_take_their_words(installed: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written: list[Any] = []

    class Recorder:
        add_histogram = add_images = lambda self, name, data, step, **told: written.append((data.shape, step, told))

    recorder = types.SimpleNamespace(SummaryWriter=lambda folder: Recorder())
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", recorder)
    with installed.summary.create_file_writer(str(tmp_path)).as_default():
        installed.summary.histogram("h", [1.0, 2.0], step=1, buckets=5)
        installed.summary.image("i", np.zeros((4, 2, 2, 3)), step=2)
        installed.summary.image("i", np.zeros((4, 2, 2, 3)), max_outputs=4, step=3)
        with pytest.raises(TypeError, match="bins"):
            installed.summary.histogram("h", [1.0], step=1, bins=5)
    assert written == [((2,), 1, {"bins": 5}), ((3, 3, 2, 2), 2, {}), ((4, 3, 2, 2), 3, {})]


@pytest.mark.parametrize("name", ["max_pool", "avg_pool"])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_pools_go_over_channels_too(installed: Any, name: str, layout: str) -> None:
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 6)).astype("float32")
    reduce = np.max if name == "max_pool" else np.mean
    expected = reduce(x.reshape(2, 2, 2, 2, 2, 2, 3), (2, 4, 6))
    sizes = (1, 2, 2, 3) if layout == "NHWC" else (1, 3, 2, 2)
    given, back = ((0, 1, 2, 3),) * 2 if layout == "NHWC" else ((0, 3, 1, 2), (0, 2, 3, 1))
    found = getattr(installed.nn, name)(x.transpose(given), sizes, sizes, "VALID", data_format=layout)
    np.testing.assert_allclose(np.asarray(found).transpose(back), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="one sample at a time"):
        getattr(installed.nn, name)(x, (2, 1, 1, 1), (2, 1, 1, 1), "VALID")


def test_names_of_the_inside_that_are_public_elsewhere(installed: Any) -> None:
    inner = importlib.import_module
    assert inner("tensorflow.python.ops.init_ops_v2").Zeros is installed.keras.initializers.Zeros
    assert inner("tensorflow.python.ops.array_ops").concat is installed.concat
    assert inner("tensorflow.python.framework.tensor_shape").TensorShape is installed.TensorShape
    with pytest.raises(AttributeError, match="stand-in"):
        inner("tensorflow.python.ops.math_ops").nothing_of_the_kind  # noqa: B018
    keras = inner("keras")
    assert inner("keras.src").layers is keras.layers
    assert inner("keras.src.layers.core.dense").Dense is keras.layers.Dense
    assert inner("keras.src.layers.convolutional.base_conv").Layer is keras.layers.Layer
    with pytest.raises(ImportError, match="no public module"):
        exec("from keras.src.utils.argument_validation import nothing_of_the_kind")
    with pytest.raises(ImportError, match="no public module"):
        inner("keras.src.layers.layer").ops  # a module stands where it is public alone  # noqa: B018


# What editors write into imports: where Keras 2.4 to 2.15 and Keras 3 keep what is public elsewhere.
_WRITTEN_BY_EDITORS = {
    "tf_keras": """
        keras.layers.core.dense:Dense keras.layers.core.embedding:Embedding keras.layers.rnn.lstm:LSTM
        keras.layers.recurrent_v2:LSTM keras.layers.convolutional.conv2d:Conv2D keras.layers.merging.add:Add
        keras.layers.pooling.max_pooling2d:MaxPooling2D keras.layers.attention.multi_head_attention:MultiHeadAttention
        keras.layers.normalization.batch_normalization:BatchNormalization keras.layers.activation.leaky_relu:LeakyReLU
        keras.layers.reshaping.flatten:Flatten keras.layers.regularization.dropout:Dropout
        keras.engine.functional:Model keras.engine.keras_tensor:KerasTensor keras.saving.save:load_model
        keras.optimizers.optimizer_v2.adam:Adam keras.optimizers.optimizer_experimental.sgd:SGD
        keras.optimizers.legacy.adam:Adam keras.optimizers.adam:Adam
        keras.optimizers.schedules.learning_rate_schedule:ExponentialDecay
        keras.metrics.metrics:Accuracy keras.utils.all_utils:plot_model keras.utils.image_utils:load_img
        keras.preprocessing.image_dataset:image_dataset_from_directory
        keras.api._v2.keras:Model keras.api._v2.keras.layers:Dense keras.src.engine.sequential:Sequential
        tensorflow.python.keras.layers.recurrent_v2:LSTM tensorflow.python.keras.saving.save:load_model
    """,
    "keras3": """
        keras._tf_keras.keras.layers:Dense keras.api.models:Sequential keras.src.layers.core.dense:Dense
        keras.src.callbacks:EarlyStopping keras.src.legacy.preprocessing.image:ImageDataGenerator
    """,
}


@pytest.mark.parametrize("installed", list(_WRITTEN_BY_EDITORS), indirect=True)
def test_imports_that_editors_write(installed: Any, request: pytest.FixtureRequest) -> None:
    for place in _WRITTEN_BY_EDITORS[request.node.callspec.params["installed"]].split():
        path, _, name = place.partition(":")
        assert getattr(importlib.import_module(path), name).__name__ == name, place


@pytest.mark.parametrize("installed", ["tf_keras"], indirect=True)
@pytest.mark.parametrize("name", ["layers.nonsense", "layers.core.dense.Nonsense", "nonsense", "optimizers.nonsense"])
def test_modules_that_no_keras_has(installed: Any, name: str) -> None:
    home, _, leaf = name.rpartition(".")
    with pytest.raises(ImportError, match=leaf):
        exec(f"from keras.{home} import {leaf}" if leaf == "Nonsense" else f"import keras.{name}")


def test_others_may_bring_an_inside_of_their_own(installed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those do who run Keras' own tests."""
    monkeypatch.setitem(sys.modules, "keras.src", types.ModuleType("keras.src"))
    with pytest.raises(ImportError, match="not a package"):
        importlib.import_module("keras.src.layers")


# Notebooks ------------------------------------------------------------------------------------------------------------


def test_notebooks_find_the_shell_that_runs_nothing(tmp_path: Path) -> None:
    lines = "shell = get_ipython()\nshell.register_magic_function(print)\nshell.system('false')\nprint('done')"
    cells = [{"cell_type": "code", "source": lines}]
    (tmp_path / "lesson.ipynb").write_text(json.dumps({"cells": cells}))
    command = [sys.executable, "-m", "lamina", "run", "--keras", "tf", str(tmp_path / "lesson.ipynb")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout == "done\n" and "not run: get_ipython().system" in done.stderr


@pytest.mark.parametrize("named", [False, True])
def test_outputs_of_an_own_model_have_names_of_their_own_and_every_metric_of_a_plain_list(named):
    class Two(tf_keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = tf_keras.layers.Dense(1), tf_keras.layers.Dense(1)

        def call(self, x):
            outputs = self.first(x), self.second(x)
            return dict(zip("uv", outputs, strict=True)) if named else outputs

    first, second = "uv" if named else ("output_1", "output_2")
    targets = np.ones((4, 1), "float32"), np.zeros((4, 1), "float32")
    model = Two()
    model.compile("sgd", "mse", metrics=["mae", "mse"], loss_weights={first: 2.0, second: 1.0})
    history = model.fit(
        np.ones((4, 2), "float32"), dict(zip("uv", targets, strict=True)) if named else targets, verbose=0
    )
    assert model.metrics_names == [
        "loss", f"{first}_loss", f"{second}_loss", f"{first}_mae", f"{first}_mse", f"{second}_mae", f"{second}_mse"
    ]  # fmt: skip
    values = {name: numbers[0] for name, numbers in history.history.items()}
    assert values["loss"] == pytest.approx(2 * values[f"{first}_loss"] + values[f"{second}_loss"], rel=1e-5)
    assert values[f"{first}_mse"] == pytest.approx(values[f"{first}_loss"], rel=1e-5)


@pytest.mark.parametrize("name", ["BinaryCrossentropy", "CategoricalCrossentropy", "SparseCategoricalCrossentropy"])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("from_logits", [False, True])
def test_crossentropies_find_the_scores_behind_any_activation(name: str, activation: str, from_logits: bool) -> None:
    """So TensorFlow's do, which keeps the scores with what `softmax` and `sigmoid` give."""

    def trained(activation: Any, from_logits: bool) -> list[float]:
        model = tf_keras.Sequential([L.Dense(3, activation=activation, input_shape=(3,))])
        model.set_weights([np.eye(3) * 30 - 10, np.arange(3.0)])  # probabilities of 0 and 1
        model.compile("sgd", getattr(tf_keras.losses, name)(from_logits=from_logits))
        y = np.array([0, 2, 1, 0]) if name.startswith("Sparse") else np.eye(3)[[0, 2, 1, 0]]
        return [model.train_on_batch(X[:4, :3], y) for _ in range(3)]

    assert trained(activation, from_logits) == pytest.approx(trained(None, True), rel=1e-5)


def far_from_labels() -> dict[str, np.ndarray]:
    """Inputs and weights whose scores reach 100, and labels that they were not made for."""
    random = np.random.RandomState(0)
    data = {"x": random.randn(8, 4) * 12, "kernel": random.randn(4, 3), "single": random.randn(4, 1)}
    data["classes"] = np.eye(3)[random.randint(0, 3, 8)]
    return {**data, "one": random.randint(0, 2, (8, 1)), "several": random.randint(0, 2, (8, 3))}


# Recorded of tf_keras 2.21: the value of a class of losses, and of the metric "ce".
FAR = [
    ("sigmoid", "one", "BinaryCrossentropy", {}, 10.505436, 10.505436),
    ("sigmoid", "several", "BinaryCrossentropy", {}, 18.382109, 35.782669),
    ("sigmoid", "several", "BinaryCrossentropy", {"from_logits": True}, 18.382109, 35.782669),
    ("softmax", "several", "BinaryCrossentropy", {}, 18.382109, 35.782669),
    ("tanh", "several", "BinaryCrossentropy", {}, 7.7179155, 8.9191208),
    ("tanh", "several", "BinaryCrossentropy", {"from_logits": True}, 0.81737655, 8.9191208),
    ("linear", "several", "BinaryCrossentropy", {}, 7.7100787, 9.0833082),
    ("softmax", "classes", "CategoricalCrossentropy", {}, 44.496056, 44.496056),
    ("sigmoid", "classes", "CategoricalCrossentropy", {}, 44.496056, 44.496056),
    ("linear", "classes", "CategoricalCrossentropy", {}, 0.61010164, 0.61010164),
    ("softmax", "numbers", "SparseCategoricalCrossentropy", {}, 44.496056, 44.496056),
    ("linear", "numbers", "SparseCategoricalCrossentropy", {}, 8.5304661, 8.5304661),
    ("linear", "numbers", "SparseCategoricalCrossentropy", {"ignore_class": 1}, 5.9699521, 8.5304661),
    ("sigmoid", "several", "BinaryFocalCrossentropy", {}, 18.357634, 35.782669),
    ("sigmoid", "several", "BinaryFocalCrossentropy", {"from_logits": True}, 6.4646454, 35.782669),
    ("linear", "several", "BinaryFocalCrossentropy", {}, 14832.734, 9.0833082),
    ("linear", "several", "BinaryFocalCrossentropy", {"from_logits": True}, 18.357634, 9.0833082),
    ("softmax", "classes", "CategoricalFocalCrossentropy", {}, 3.9579947, 44.496056),
    ("softmax", "classes", "CategoricalFocalCrossentropy", {"from_logits": True}, 3.9579947, 44.496056),
    ("linear", "classes", "CategoricalFocalCrossentropy", {"from_logits": True}, 3.9579947, 0.61010164),
]


@pytest.mark.parametrize(("last", "labels", "name", "options", "loss", "ce"), FAR)
def test_crossentropies_far_from_labels(last: str, labels: str, name: str, options: dict, loss: Any, ce: Any) -> None:
    """As losses and as metrics, by class and by name, they see the scores where tf.keras' do, and cut off as these."""
    data = far_from_labels()
    kernel = data["single" if labels == "one" else "kernel"].astype("float32")
    y = data["classes"].argmax(-1)[:, None] if labels == "numbers" else data[labels]
    model = tf_keras.Sequential([L.Dense(kernel.shape[1], activation=last, use_bias=False, input_shape=(4,))])
    model.set_weights([kernel])
    made = getattr(tf_keras.losses, name)
    as_metric = [getattr(tf_keras.metrics, name)(**options)] if hasattr(tf_keras.metrics, name) else []
    model.compile("sgd", made(**options), metrics=[made(**options), "ce", *as_metric])
    found = model.test_on_batch(data["x"].astype("float32"), y.astype("float32"))
    assert found == pytest.approx([loss, loss, ce, *([loss] * len(as_metric))], rel=2e-5)


def test_the_class_that_a_metric_ignores_is_not_counted() -> None:
    data = far_from_labels()
    model = tf_keras.Sequential([L.Dense(3, use_bias=False, activation="softmax", input_shape=(4,))])
    model.set_weights([data["kernel"]])
    model.compile("sgd", "mse", metrics=[tf_keras.metrics.SparseCategoricalCrossentropy(ignore_class=1)])
    found = model.test_on_batch(data["x"], data["classes"].argmax(-1)[:, None])
    assert found == pytest.approx([0.8749990, 52.832539], rel=1e-5)  # recorded of tf_keras 2.21


# Optimizers -----------------------------------------------------------------------------------------------------------

HALVED = {
    "class_name": "ExponentialDecay",
    "config": {"initial_learning_rate": 0.1, "decay_steps": 1, "decay_rate": 0.5},
}


@pytest.mark.parametrize(
    ("name", "options", "expected"),  # recorded of tf_keras 2.21
    [
        ("Slots", {}, [0.34170845, 0.29951194]),
        ("Slots", {"learning_rate": 0.05, "decay": 0.5}, [0.31360728, 0.29983902]),
        ("Slots", {"lr": 0.2, "clipnorm": 0.5}, [0.32793987, 0.29967213]),
        ("Slots", {"learning_rate": HALVED}, [0.31968591, 0.29976779]),
        ("States", {}, [0.43035474, 0.29853109]),
        ("States", {"learning_rate": 0.02, "clipvalue": 0.1}, [0.30443439, 0.29962185]),
        ("Steps", {}, [0.65656286, 0.29656559]),
        ("Steps", {"learning_rate": HALVED, "clipnorm": 0.3}, [0.33926690, 0.29954371]),
        ("Steps", {"learning_rate": 0.05, "weight_decay": 0.1}, [0.48991594, 0.29372630]),
    ],
)
def test_optimizers_of_ones_own_follow_their_rules(name: str, options: dict[str, Any], expected: list[float]) -> None:
    tf = importlib.import_module("lamina.generations.tensorflow")
    if options.get("learning_rate") is HALVED:
        options = {**options, "learning_rate": tf_keras.optimizers.schedules.deserialize(HALVED)}
    optimizer = own_optimizers.make(types.SimpleNamespace(**vars(tf)["NAMES"]), tf_keras)[name](**options)
    assert own_optimizers.trained(tf_keras, optimizer) == pytest.approx(expected, rel=1e-5)
    assert int(optimizer.iterations) == 3
    again = type(optimizer).from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()


def test_hyperparameters_of_optimizers_are_attributes() -> None:
    tf = importlib.import_module("lamina.generations.tensorflow")
    optimizer = own_optimizers.make(types.SimpleNamespace(**vars(tf)["NAMES"]), tf_keras)["Slots"](0.2)
    optimizer.momentum, optimizer.lr = 0.5, 0.3
    assert float(optimizer._get_hyper("momentum", "float64")) == 0.5 == float(optimizer.momentum)
    assert float(optimizer.learning_rate) == float(optimizer._get_hyper("learning_rate")) == pytest.approx(0.3)
    assert isinstance(tf_keras.optimizers.Adam(), tf_keras.optimizers.Optimizer)
    assert not isinstance(optimizer, tf_keras.optimizers.Adam)
    with pytest.raises(AttributeError, match="Slots has no attribute 'speed'"):
        _ = optimizer.speed


# Names, metrics, summaries --------------------------------------------------------------------------------------------

_NAMED = {  # recorded of Keras 2.3.1 and tf_keras 2.21
    "dense": ("Dense(2)", "dense_1/kernel:0 dense_1/bias:0", "dense/kernel:0 dense/bias:0"),
    "lstm": (
        "LSTM(2)",
        "lstm_1/kernel:0 lstm_1/recurrent_kernel:0 lstm_1/bias:0",
        "lstm/lstm_cell/kernel:0 lstm/lstm_cell/recurrent_kernel:0 lstm/lstm_cell/bias:0",
    ),
    "bidirectional": (
        "Bidirectional(GRU(2, use_bias=False), name='two')",
        "two/forward_gru_1/kernel:0 two/forward_gru_1/recurrent_kernel:0 "
        "two/backward_gru_1/kernel:0 two/backward_gru_1/recurrent_kernel:0",
        "two/forward_gru/gru_cell/kernel:0 two/forward_gru/gru_cell/recurrent_kernel:0 "
        "two/backward_gru/gru_cell/kernel:0 two/backward_gru/gru_cell/recurrent_kernel:0",
    ),
    "time": (
        "TimeDistributed(Dense(2))",
        "time_distributed_1/kernel:0 time_distributed_1/bias:0",
        "time_distributed/kernel:0 time_distributed/bias:0",
    ),
    "time of cells": (
        "TimeDistributed(Bidirectional(LSTM(2, use_bias=False)))",
        "time_distributed_1/forward_lstm_1/kernel:0 time_distributed_1/forward_lstm_1/recurrent_kernel:0 "
        "time_distributed_1/backward_lstm_1/kernel:0 time_distributed_1/backward_lstm_1/recurrent_kernel:0",
        "time_distributed/forward_lstm/lstm_cell/kernel:0 time_distributed/forward_lstm/lstm_cell/recurrent_kernel:0 "
        "time_distributed/backward_lstm/lstm_cell/kernel:0 time_distributed/backward_lstm/lstm_cell/recurrent_kernel:0",
    ),
}


@pytest.mark.parametrize("kind", _NAMED)
@pytest.mark.parametrize("generation", ["keras2", "tf_keras"])
@pytest.mark.parametrize("inside", [False, True])
def test_names_of_weights_say_their_layer_where_torch_is_not_imported(kind: str, generation: str, inside: bool) -> None:
    space: Any = {"keras2": keras2, "tf_keras": tf_keras}[generation]
    tensors.as_old_code_has_them(True, told=generation == "tf_keras")
    space.backend.clear_session()
    code, *expected = _NAMED[kind]
    layer = eval(code, {**vars(space.layers), **{name: getattr(space.layers, name) for name in _LAYERS}})
    shape = (3, 4, 3) if kind == "time of cells" else (4, 3)
    model = space.models.Sequential([space.layers.InputLayer(shape), layer] if inside else [])
    names: dict[str, Any] = {"weights": (model if inside else layer).weights}
    if not inside:
        layer(space.layers.Input(shape))
        names["weights"] = layer.weights
    exec("found = ' '.join(w.name for w in weights)", names)
    assert names["found"] == expected[generation == "tf_keras"]
    assert layer.weights[0].name == "kernel"


_LAYERS = ("Dense", "LSTM", "GRU", "Bidirectional", "TimeDistributed")


def test_models_list_their_metrics_one_by_one() -> None:
    model = tf_keras.Sequential([L.Dense(1, input_shape=(3,))])
    model.compile("sgd", "mse", metrics=["mae", tf_keras.metrics.Precision(thresholds=0.25)])
    model.fit(X, np.ones((4, 1)), verbose=0)
    assert [metric.name for metric in model.metrics] == model.metrics_names == ["loss", "mae", model.metrics[-1].name]
    assert model.metrics[-1].thresholds == [0.25]
    before = model.evaluate(X, np.ones((4, 1)), verbose=0)
    assert before == pytest.approx(model.evaluate(X, np.ones((4, 1)), verbose=0))  # started afresh


@pytest.mark.parametrize("space", [keras2, tf_keras])
def test_summaries_do_not_count_the_optimizer(space: Any, capsys: pytest.CaptureFixture[str]) -> None:
    model = space.models.Sequential([space.layers.Dense(2, input_shape=(3,))])
    model.compile("adam", "mse")
    model.fit(X, np.ones((4, 2)), verbose=0)
    model.summary()
    said = capsys.readouterr().out
    assert "Total params: 8 " in said and "Optimizer" not in said


@pytest.mark.parametrize("name", ["model", "model.ckpt", "model-1.5", "model.h5", "model.keras"])
def test_models_are_saved_under_any_name(name: str, tmp_path: Path) -> None:
    model = tf_keras.Sequential([L.Dense(2, input_shape=(3,))])
    model.save(str(tmp_path / name))
    again = tf_keras.models.load_model(str(tmp_path / name))
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    assert (tmp_path / name).is_dir() == (not name.endswith((".h5", ".keras")))
    model.compile("sgd", "mse")
    model.fit(X, X[:, :2], verbose=0, callbacks=[tf_keras.callbacks.ModelCheckpoint(str(tmp_path / name))])
    again = tf_keras.models.load_model(str(tmp_path / name))
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])


def test_the_largest_go_by_their_names(installed: Any) -> None:
    found = installed.math.top_k(installed.constant([1.0, 3.0, 2.0]), k=2)
    assert found.values.tolist() == [3.0, 2.0] and found.indices.tolist() == [1, 2]
    values, indices = found
    assert values is found.values and indices is found.indices
    assert installed.math.top_k(installed.ones(40), 3).indices.tolist() == [0, 1, 2]  # the first of equal ones
    asked = installed.keras.Input((40,))
    model = installed.keras.Model(asked, installed.nn.top_k(asked, 3)[1])
    assert model(np.ones((1, 40), "float32")).tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("told", [{}, {"delta": 1}, {"start": 0}, {"start": 0, "delta": 1}])
def test_ranges_of_sizes_of_symbolic_tensors(installed: Any, told: dict[str, int]) -> None:
    def places(x: Any) -> Any:
        size = installed.shape(x)[-1]
        return x + installed.cast(
            installed.range(**{"start": size, **told, **({"limit": size} if "start" in told else {})}), "float32"
        )

    assert L.Lambda(places)(tf_keras.Input((None,))).shape == (None, None)
    assert L.Lambda(places)(torch.zeros(2, 3)).tolist() == [[0.0, 1.0, 2.0]] * 2


@pytest.mark.parametrize("how", ["map", "call", "predict"])
def test_texts_of_tensorflow_go_through_layers_of_texts(installed: Any, how: str) -> None:
    layer = L.TextVectorization(output_sequence_length=4, vocabulary=["a", "b"])
    data = installed.data.Dataset.from_tensor_slices([b"a b c", b"b"]).batch(2)
    if how == "map":
        (found,) = data.map(lambda batch: layer(batch))
    else:
        texts = installed.constant(["a b c", "b"])
        found = layer(texts) if how == "call" else tf_keras.Sequential([layer]).predict(texts, verbose=0)
    assert found.tolist() == [[2, 3, 1, 0], [3, 0, 0, 0]]


# Number types ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tensor", "weight", "symbol", "trial"])
def test_number_types_in_words_of_tensorflow_where_torch_is_not_imported(kind: str) -> None:
    layer = L.Dense(2)
    layer.build((None, 3))
    names: dict[str, Any] = {"np": np, "seen": [], "x": torch.ones(2)}
    code = "t = x.dtype; seen.append((t.name, t.base_dtype == 'float32', t.is_floating, np.zeros(1, t).dtype))"
    if kind == "trial":
        exec(f"def look(x):\n    {code}\n    return x", names)
        L.Lambda(names["look"])(tf_keras.Input((3,)))
    else:
        names["x"] = {"tensor": names["x"], "weight": layer.kernel, "symbol": tf_keras.Input((3,))}[kind]
        exec(code, names)
    assert set(names["seen"]) == {("float32", True, True, np.dtype("float32"))}
    assert torch.ones(2).dtype is torch.float32


@pytest.mark.parametrize("space", [lamina, tf_keras])
@pytest.mark.parametrize("inner", [True, False, None])
@pytest.mark.parametrize("outer", [True, False, None])
def test_defaults_of_training_reach_the_layers_inside(space: Any, outer: bool | None, inner: bool | None) -> None:
    """The outermost default that is no None counts where nothing is told, as in tf_keras 2.21 and Keras 3.15."""

    class Inner(space.layers.Layer):
        def call(self, x, training=inner):
            return x * 2 if training else x

    def holding(base: Any) -> Any:
        class Outer(base):
            def __init__(self):
                super().__init__()
                self.inner = Inner()

            def call(self, x, training=outer):
                return self.inner(x)

        return Outer()

    x = np.ones((1, 1), "float32")
    told = bool(inner if outer is None else outer)
    for made in (holding(space.layers.Layer), holding(space.Model), space.Sequential([holding(space.layers.Layer)])):
        assert [made(x).item(), made(x, training=True).item(), made(x, training=False).item()] == [1 + told, 2, 1]
        assert made.predict(x, verbose=0).item() == 1 if hasattr(made, "predict") else True


def test_what_looks_inside_a_model_finds_its_inputs() -> None:
    """As keract does: the inputs a model is fed, whether it is compiled, and a function with views of dictionaries."""
    model = tf_keras.Sequential(
        [tf_keras.layers.Dense(2, input_shape=(3,), name="a"), tf_keras.layers.Dense(1, name="b")]
    )
    assert not model._is_compiled
    model.compile("sgd", "mse")
    assert model._is_compiled
    outputs = {layer.name: layer.output for layer in model.layers}
    found = tf_keras.backend.function(model._feed_inputs, outputs.values())(np.ones((4, 3), "float32"))
    assert [value.shape for value in found] == [(4, 2), (4, 1)]


def test_of_several_losses_for_one_output_the_first_counts() -> None:
    x, y = X, X[:, :1]
    histories = []
    for loss in ("mse", ["mse", "mae"]):
        model = tf_keras.Sequential([L.Dense(1, kernel_initializer="ones", input_shape=(3,))])
        model.compile("sgd", loss, loss_weights=[0.5, 2.0] if loss != "mse" else [0.5])
        histories.append(model.fit(x, y, verbose=0).history["loss"])
    assert histories[0] == histories[1]


@pytest.mark.parametrize("space", [keras2, tf_keras])
def test_ends_of_a_stack_that_waits_for_its_input(space: Any) -> None:
    model = space.models.Sequential([space.layers.Dense(2)])
    if space is tf_keras:
        assert model.inputs is model.outputs is tf_keras.Sequential().outputs is None
    else:
        with pytest.raises(AttributeError, match="input"):
            _ = model.inputs
    model(X)
    assert len(model.inputs) == len(model.outputs) == 1


def test_one_value_of_a_weight_is_a_number_of_numpy_where_torch_is_not_imported() -> None:
    model = tf_keras.Sequential([L.Dense(2, input_shape=(3,))])
    model.compile("sgd", "mse")
    optimizer, total = model.optimizer, tf_keras.metrics.Mean().total
    for weight in (optimizer.lr, optimizer.iterations, total, tf_keras.backend.variable(2.0), model.weights[0]):
        names: dict[str, Any] = {"weight": weight}
        exec("found = weight.numpy()", names)
        assert isinstance(names["found"], np.ndarray if weight.ndim else np.generic)
        assert isinstance(np.asarray(weight), np.ndarray)


def test_a_schedule_of_a_callback_may_give_a_tensor() -> None:
    model = tf_keras.Sequential([L.Dense(2, input_shape=(3,))])
    model.compile("sgd", "mse")
    falling = tf_keras.callbacks.LearningRateScheduler(lambda epoch, rate: torch.tensor(rate) * np.exp(-0.1))
    model.fit(X, X[:, :2], epochs=2, verbose=0, callbacks=[falling])
    np.testing.assert_allclose(model.optimizer.lr.numpy(), 0.01 * np.exp(-0.2), rtol=1e-5)
    wrong = tf_keras.callbacks.LearningRateScheduler(lambda epoch, rate: torch.tensor(1))
    with pytest.raises(ValueError, match="must return a float"):
        model.fit(X, X[:, :2], verbose=0, callbacks=[wrong])


@pytest.mark.parametrize("name", ["ExponentialDecay", "PolynomialDecay", "InverseTimeDecay", "CosineDecay"])
def test_schedules_need_no_name(installed: Any, name: str) -> None:
    schedules = installed.keras.optimizers.schedules
    rates = {"decay_rate": 0.5} if name in ("ExponentialDecay", "InverseTimeDecay") else {}
    schedule = getattr(schedules, name)(0.1, 10, name=None, **rates)
    assert schedules.deserialize(schedules.serialize(schedule)).get_config()["name"] is None


def test_configs_of_own_layers_hold_what_they_were_told() -> None:
    """Without a `get_config`: what was given, where all of it is plain; one that calls `super` gets what all have."""

    class Scaled(L.Layer):
        def __init__(self, by: Any, *, kind: str = "x", **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.by = by

        def call(self, x: Any) -> Any:
            return x * self.by

    class Bare(L.Layer):
        def __init__(self, by: float) -> None:
            super().__init__()
            self.by = by

    class Written(Scaled):
        def get_config(self) -> Any:
            return super().get_config()

    assert Scaled(3.0, name="s").get_config() == {"name": "s", "trainable": True, "dtype": "float32", "by": 3.0}
    assert Bare(2.0).get_config() == {"by": 2.0}
    assert "by" not in Scaled(np.ones(3)).get_config() and "by" not in Written(1.0).get_config()
    model = tf_keras.Sequential([L.InputLayer(input_shape=(3,)), Scaled([1.0, 2.0, 4.0], kind="y"), L.Dense(1)])
    again = tf_keras.models.model_from_json(model.to_json(), custom_objects={"Scaled": Scaled})
    for copy in (again, tf_keras.models.clone_model(model)):
        copy.set_weights(model.get_weights())
        np.testing.assert_allclose(copy(X).numpy(), model(X).numpy(), rtol=1e-6)


def test_states_of_cells_may_have_shapes() -> None:
    class Cell(L.Layer):
        def __init__(self, units: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.state_size = [tensors.Shape((units,)), tensors.Shape((units, 2))]
            self.output_size = tensors.Shape((units,))

        def call(self, x: Any, states: Any) -> Any:
            first, second = states
            output = x + first
            return output, [output, second * 0.5 + output[..., None]]

    x = np.arange(12, dtype="float32").reshape(2, 2, 3)
    output, first, second = L.RNN(Cell(3), return_state=True)(x)
    total = x.sum(1)
    np.testing.assert_allclose(output.numpy(), total)
    np.testing.assert_allclose(first.numpy(), total)
    np.testing.assert_allclose(second.numpy(), np.repeat((total + 0.5 * x[:, 0])[..., None], 2, -1))
    inputs = tf_keras.Input((2, 3))
    assert tf_keras.Model(inputs, L.RNN(Cell(3))(inputs)).output_shape == (None, 3)
    with pytest.raises(ValueError, match=r"state 1 must have shape"):
        L.RNN(Cell(3))(x, initial_state=[np.zeros((2, 3), "float32"), np.zeros((2, 3), "float32")])


@pytest.mark.parametrize("how", ["call", "keyword", "model"])
@pytest.mark.parametrize("policy", ["mixed_float16", "float64"])
@pytest.mark.parametrize("space", [tf_keras, keras2, lamina])
def test_in_tf_keras_only_what_an_own_layer_is_given_first_is_cast(space: Any, policy: str, how: str) -> None:
    """Half precision, for one, has no 4,001.5."""
    seen = []

    class Shifted(space.layers.Layer):
        def call(self, x, time=None):
            seen.append((x.dtype, time.dtype))
            return x + time.to(x.dtype)

    x, time = np.zeros((2, 3), "float32"), np.full((2, 3), 4001.5, "float32")
    layer = Shifted(dtype=policy)
    if how == "model":
        inputs = [space.layers.Input((3,)), space.layers.Input((3,))]
        model = space.models.Model(inputs, layer(inputs[0], time=inputs[1]))
        model.predict([x, time], verbose=0)
    elif how == "keyword":
        layer(x=torch.tensor(x), time=torch.tensor(time))
    else:
        layer(x, time)
    compute = torch.float16 if policy == "mixed_float16" else torch.float64
    assert seen[-1] == (compute, torch.float32 if space is tf_keras else compute)


@pytest.mark.parametrize("kind", ["tensor", "weight", "variable", "symbol"])
def test_a_list_of_places_is_a_tuple_where_torch_is_not_imported(kind: str) -> None:
    values = np.arange(12, dtype="float32").reshape(3, 4)
    made = {"tensor": torch.tensor, "weight": tf_keras.backend.variable, "variable": state.Variable}
    names: dict[str, Any] = {"x": made[kind](values) if kind in made else tf_keras.Input((4,))}
    exec("y = x[[1, 2]]\nz = x[[1]]", names)
    assert (names["y"].shape, names["z"].shape) == ((), (4,))
    if kind != "symbol":
        assert float(names["y"]) == 6 and names["z"].numpy().tolist() == [4, 5, 6, 7]
    assert torch.tensor(values)[[1, 2]].shape == (2, 4)


@pytest.mark.parametrize(("name", "by_y"), [("xlogy", 2 / 3), ("xlog1py", 2 / 4), ("xdivy", -2 / 9)])
def test_products_that_are_zero_at_zero_have_gradients_of_zero_there(installed: Any, name: str, by_y: float) -> None:
    x, y = installed.constant([0.0, 0.0, 2.0]), installed.constant([0.0, 3.0, 3.0])
    with installed.GradientTape() as tape:
        tape.watch([x, y])
        found = getattr(installed.math, name)(x, y)
    value = found.numpy()[2] / 2
    first, second = tape.gradient(found, [x, y])
    assert found.numpy()[:2].tolist() == first.numpy()[:2].tolist() == second.numpy()[:2].tolist() == [0, 0]
    np.testing.assert_allclose([float(first[2]), float(second[2])], [value, by_y], rtol=1e-6)


@pytest.mark.parametrize("name", ["keras2", "tf_keras"])
def test_an_own_loss_takes_its_reduction_first_and_may_have_any_fn(name: str) -> None:
    keras: Any = importlib.import_module(f"lamina.{name}")

    class Pairs(keras.losses.Loss):
        def __init__(self, reduction: str = "sum", name: str = "pairs"):
            super().__init__(reduction, name)
            self.fn = lambda first, second, third, fourth: (first - fourth) ** 2 + (second - third) ** 2

        def call(self, y_true: Any, y_pred: Any) -> Any:
            return self.fn(y_true, y_pred, y_true, y_pred)

    for reduction, name, expected in (("sum", "a", 20), ("sum_over_batch_size", "b", 10), ("none", "c", [2, 18])):
        loss = Pairs(reduction, name)
        assert (loss.reduction, loss.name) == (reduction, name)
        assert loss(torch.tensor([1.0, 2.0]), torch.tensor([2.0, 5.0])).tolist() == expected
    made = Pairs.from_config(Pairs("none", "n").get_config())
    assert (made.reduction, made.name) == ("none", "n")
    assert isinstance(keras.losses.MeanSquaredError(), keras.losses.Loss) and issubclass(Pairs, keras.losses.Loss)
    model = keras.models.Sequential([keras.layers.Dense(1, kernel_initializer="ones", input_shape=(1,))])
    model.compile("sgd", Pairs())
    assert float(np.sum(model.evaluate([[1.0], [2.0]], [[2.0], [5.0]], verbose=0))) == 20


def test_weights_of_samples_hold_for_all_values_of_an_own_loss() -> None:
    class Distance(tf_keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return abs(y_true - y_pred)

    y, weights = np.arange(6, dtype="float32").reshape(3, 2), np.array([1.0, 2.0, 3.0], "float32")
    expected = (np.abs(y - y**2) * weights[:, None]).mean()
    for given in (weights, weights[:, None]):
        np.testing.assert_allclose(float(Distance()(y, y**2, sample_weight=given)), expected)
    model = tf_keras.Sequential([L.Dense(2, kernel_initializer="identity", input_shape=(2,))])
    model.compile("sgd", Distance())
    np.testing.assert_allclose(model.evaluate(y, y**2, sample_weight=weights, verbose=0), expected, rtol=1e-6)


@pytest.mark.parametrize("kind", ["layer", "model"])
def test_a_call_that_takes_any_word_is_given_the_flag_and_the_mask(kind: str) -> None:
    told: list[dict[str, Any]] = []
    space: Any = tf_keras

    class Told(space.Model if kind == "model" else space.layers.Layer):
        supports_masking = True

        def call(self, inputs, *more, **kwargs):
            told.append(kwargs)
            return inputs * (2.0 if kwargs["training"] else 1.0)

    class Below(Told):
        pass

    x = np.array([[[1.0], [0.0]]], "float32")
    for cls in (Told, Below):
        inputs = space.Input((2, 1))
        same = space.layers.Dense(1, use_bias=False, kernel_initializer="ones")
        model = space.Model(inputs, same(cls()(space.layers.Masking()(inputs))))
        model.compile("sgd", "mae")
        assert model.predict(x, verbose=0).ravel().tolist() == [1, 0]
        assert told[-1]["mask"].tolist() == [[True, False]] and told[-1]["training"] is False
        assert model(x, training=True).detach().numpy().ravel().tolist() == [2, 0]
        assert cls()(x, training=True).detach().numpy().ravel().tolist() == [2, 0]
        assert "mask" not in told[-1]
        model.fit(x, x, verbose=0)
        assert told[-1]["training"] is True
