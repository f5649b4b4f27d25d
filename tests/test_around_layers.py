"""What stands around the layers in the older generations: modules, helpers, losses, networks, and what is absent."""

from __future__ import annotations

import functools
import hashlib
import importlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest
import torch

import lamina
from lamina import generations, keras1, keras2, tf_keras
from lamina.translation import modules

SPACES = {"keras1": keras1, "keras2": keras2, "tf_keras": tf_keras}
HELD = {"keras1": modules.KERAS1, "keras2": modules.KERAS2, "tf_keras": modules.TF_KERAS}


def module(generation: str, path: str) -> ModuleType:
    return importlib.import_module(f"lamina.{generation}.{path}")


@pytest.fixture
def installed() -> Iterator[Callable[[str], None]]:
    yield lambda generation: generations.install(generation, replace=True)
    generations.alias.uninstall()


# Modules -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generation", SPACES)
def test_every_name_of_the_table_means_something(generation: str) -> None:
    for path, names in HELD[generation].items():
        own = module(generation, path)
        missing = [name for name in names.split() if getattr(own, name, None) is None]
        assert not missing, f"{path}: {missing}"
        assert {name for name in names.split() if name[0] != "_"} <= set(own.__all__), path


@pytest.mark.parametrize("generation", ["keras1", "keras2"])
def test_star_imports_leak_what_modules_imported(generation: str, installed: Callable[[str], None]) -> None:
    installed(generation)
    space: dict[str, Any] = {}
    exec("from keras.callbacks import *\nfrom keras.layers.core import *\nimport keras", space)
    assert space["K"] is SPACES[generation].backend and space["np"] is np
    assert space["activations"] is SPACES[generation].activations
    assert space["keras"].__name__ == "keras"
    generations.alias.uninstall()
    assert SPACES[generation].__name__ == f"lamina.{generation}"


@pytest.mark.parametrize("generation", SPACES)
def test_models_are_instances_of_what_code_asks_for(generation: str) -> None:
    space = SPACES[generation]
    model = space.models.Sequential()
    assert isinstance(model, space.models.Model)
    if generation != "tf_keras":
        topology = module(generation, "engine.topology")
        assert isinstance(model, topology.Container) and issubclass(space.layers.Dense, lamina.layers.Layer)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("from lamina.layers.core import Dense", "lamina.keras2.layers.core"),
        ("from lamina.utils.np_utils import to_categorical", "to_categorical"),
        ("import lamina.engine.topology", "lamina.keras2.engine"),
        ("from lamina.metrics import fmeasure", "lamina.keras1.metrics.fmeasure"),
        ("from lamina.backend import mean", "lamina.ops.mean"),
        ("from lamina.keras2.metrics import fmeasure", "lamina.keras1.metrics.fmeasure"),
        ("from lamina.keras2.layers import Dens", "Did you mean `Dense`"),
        ("from lamina.keras1.optimizers import TFOptimizer", "optimizer of TensorFlow"),
        ("from lamina.keras1.applications.music_tagger_crnn import MusicTaggerCRNN", "no longer published"),
    ],
)
def test_an_absent_import_says_what_to_use(line: str, told: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=told):
        exec(line, {})


@pytest.mark.parametrize(
    ("path", "name", "told"),
    [
        ("lamina", "objectives", "lamina.keras2.objectives"),
        ("lamina.backend", "mean", "lamina.ops.mean"),
        ("lamina.backend", "placeholder", "Use `Input`"),
        ("lamina.utils", "multi_gpu_model", "lamina.keras2.utils"),
        ("lamina.keras1.layers", "LayerNormalization", "no attribute"),
    ],
)
def test_an_absent_attribute_says_what_to_use(path: str, name: str, told: str) -> None:
    with pytest.raises(AttributeError, match=told):
        getattr(importlib.import_module(path), name)


def test_an_absent_module_of_keras_3_is_told_under_its_name(installed: Callable[[str], None]) -> None:
    installed("keras3")
    with pytest.raises(ModuleNotFoundError, match=r"lamina\.keras2\.layers\.advanced_activations"):
        exec("from keras.layers.advanced_activations import ELU", {})
    generations.alias.uninstall()
    assert not any(type(finder).__name__ == "Finder" and finder.root == "keras" for finder in sys.meta_path)


def test_only_near_names_are_suggested() -> None:
    with pytest.raises(ValueError, match=r"^Unknown metric 'fmeasure'\.$"):
        lamina.metrics.get("fmeasure")
    with pytest.raises(ValueError, match="Did you mean 'mean_squared_error'"):
        lamina.losses.get("mean_square_error")


def test_everything_of_lamina_can_be_imported() -> None:
    space: dict[str, Any] = {}
    exec("from lamina import *", space)
    assert set(lamina.__all__) <= set(space)


# Helpers -------------------------------------------------------------------------------------------------------------


def test_arguments_and_lists() -> None:
    own = keras2.utils.generic_utils
    assert own.has_arg(lambda x, *, y: x, "y") and not own.has_arg(lambda **k: k, "y")
    assert own.has_arg(lambda **k: k, "y", accept_all=True) and not own.has_arg(len, "obj")
    assert own.to_list((1,)) == [(1,)] and own.to_list((1,), allow_tuple=True) == [1]
    assert own.unpack_singleton([1]) == 1 and own.unpack_singleton([1, 2]) == [1, 2]
    assert own.is_all_none([None, None]) and not own.is_all_none([None, 1])
    x = np.arange(6)
    assert [part.tolist() for part in own.slice_arrays([x, x], [0, 2])] == [[0, 2], [0, 2]]
    assert own.slice_arrays(x, 1, 3).tolist() == [1, 2] and own.slice_arrays([None], 1) == [None]
    assert own.transpose_shape((1, 2, 3, 4), "channels_first", (1, 2)) == (1, 4, 2, 3)
    with pytest.raises(KeyError, match="unknown c"):
        own.check_for_unexpected_keys("name", {"c": 1}, ["a"])


def made(factor: int) -> Callable[[Any], Any]:
    return lambda x: x * factor


@pytest.mark.parametrize("generation", ["keras1", "keras2"])
def test_functions_come_back_in_their_own_process_alone(generation: str) -> None:
    space = SPACES[generation]
    own = space.utils.generic_utils
    assert own.func_load(own.func_dump(made(3)))(2) == 6
    with pytest.raises(ValueError, match="code out of a file is not run"):
        own.func_load("4wEAAAA=\n")
    model = space.models.Sequential()
    model.add(space.layers.Lambda(made(2), input_shape=(2,)))
    model.add(space.layers.Lambda(made(5)))
    text = model.to_json()
    again = space.models.model_from_json(text)
    assert again.predict(np.ones((1, 2)), verbose=0).tolist() == [[10.0, 10.0]]
    described = json.loads(text)
    stack = described["config"] if isinstance(described["config"], list) else described["config"]["layers"]
    lambdas = [layer["config"] for layer in stack if layer["class_name"] == "Lambda"]
    lambdas[0]["function"][0] = lambdas[0]["function"][0].replace("A", "B", 1)
    with pytest.raises(ValueError, match="never run"):
        space.models.model_from_json(json.dumps(described))


def test_objects_of_names() -> None:
    own = keras2.utils.generic_utils
    with own.CustomObjectScope({"a": 1}, {"b": made}):
        assert own.deserialize_keras_object("b") is made
    with pytest.raises(ValueError, match="Unknown thing: 'b'"):
        own.deserialize_keras_object("b", {}, printable_module_name="thing")
    config = keras2.regularizers.serialize(keras2.regularizers.l2(0.5))
    assert set(config) == {"class_name", "config"}
    assert (
        own.deserialize_keras_object(config, vars(keras2.regularizers) | {"L1L2": keras2.regularizers.L1L2}).l2 == 0.5
    )
    assert keras1.utils.generic_utils.get_from_module({"name": "f", "x": 2}, {"f": lambda x: x + 1}, "f") == 3


LENGTHS = [(n, k, s, d) for n in (7, 10) for k in (1, 3) for s in (1, 2) for d in (1, 2)]


@pytest.mark.parametrize(("n", "k", "s", "d"), LENGTHS)
def test_lengths_are_those_of_layers(n: int, k: int, s: int, d: int) -> None:
    own = keras2.utils.conv_utils
    for padding in ("valid", "same"):
        if s == 1 or d == 1:
            layer = keras2.layers.Conv1D(1, k, strides=s, dilation_rate=d, padding=padding)
            assert own.conv_output_length(n, k, padding, s, d) == layer.compute_output_shape((1, n, 1))[1]
        if d == 1:
            layer = keras2.layers.Conv2DTranspose(1, k, strides=s, padding=padding)
            assert own.deconv_length(n, s, k, padding, None) == layer.compute_output_shape((1, n, n, 1))[1]
    assert own.conv_output_length(None, k, "same", s) is None and own.conv_input_length(None, k, "same", s) is None
    assert own.conv_input_length(own.conv_output_length(n, k, "valid", 1), k, "valid", 1) == n
    with pytest.raises(AssertionError, match=r"padding 'diagonal'.*Expected 'valid'"):
        own.conv_output_length(n, k, "diagonal", s)


def test_kernels_turn_round() -> None:
    kernel = np.random.rand(3, 2, 4, 5)
    assert (keras2.utils.conv_utils.convert_kernel(kernel) == kernel[::-1, ::-1]).all()
    assert (keras1.utils.np_utils.convert_kernel(kernel, "th") == kernel[:, :, ::-1, ::-1]).all()
    model = keras2.models.Sequential([keras2.layers.Conv2D(2, 3, input_shape=(5, 5, 1)), keras2.layers.Flatten()])
    before = model.get_weights()
    keras2.utils.layer_utils.convert_all_kernels_in_model(model)
    assert (model.get_weights()[0] == before[0][::-1, ::-1]).all()


def test_rows_of_dense_follow_the_data_format() -> None:
    dense = keras2.layers.Dense(3)
    dense.build((None, 24))
    x, kernel = np.random.rand(1, 2, 3, 4), dense.get_weights()[0]
    keras2.utils.layer_utils.convert_dense_weights_data_format(dense, (4, 2, 3))
    turned = x.transpose(0, 3, 1, 2).reshape(1, -1) @ dense.get_weights()[0]
    np.testing.assert_allclose(turned, x.reshape(1, -1) @ kernel, rtol=1e-6)


class Squares(keras2.utils.Sequence):
    def __init__(self, count: int = 5):
        self.count, self.ended = count, 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        if index == 7:
            raise OverflowError("seven")
        return index**2

    def on_epoch_end(self) -> None:
        self.ended += 1


def test_batches_are_read_ahead() -> None:
    data = keras2.utils.data_utils
    squares = Squares()
    enqueuer = data.OrderedEnqueuer(squares)
    enqueuer.start(workers=2, max_queue_size=3)
    batches = enqueuer.get()
    assert [next(batches) for _ in range(8)] == [0, 1, 4, 9, 16, 0, 1, 4] and squares.ended >= 1
    enqueuer.join_end_of_epoch()
    enqueuer.stop()
    assert not enqueuer.is_running()
    enqueuer = data.GeneratorEnqueuer(iter([1, None, 2]))
    enqueuer.start()
    assert list(enqueuer.get()) == [1, 2]
    enqueuer.stop()
    enqueuer = data.OrderedEnqueuer(Squares(9))
    enqueuer.start()
    with pytest.raises(OverflowError, match="seven"):
        list(enqueuer.get())
    assert not enqueuer.is_running()


def test_files_are_checked(tmp_path: Any) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    data = keras2.utils.data_utils
    assert data.validate_file(path, "900150983cd24fb0d6963f7d28e17f72") and not data.validate_file(path, "00", "md5")
    assert data.validate_file(path, data._hash_file(path), "sha256") and data.validate_file(path, data._hash_file(path))


def test_arrays_in_hdf5(tmp_path: Any) -> None:
    path = tmp_path / "x.h5"
    x = np.random.rand(20, 3).astype("float32")
    with h5py.File(path, "w") as file:
        file["x"] = x
    matrix = keras2.utils.HDF5Matrix(path, "x", 2, 12, normalizer=lambda rows: rows + 1)
    assert matrix.shape == (10, 3) and len(matrix) == 10 and matrix.dtype == x.dtype and matrix.ndim == 2
    for key in (slice(1, 4), [3, 1, 1], np.array([0, 9]), 5, -1, slice(None)):
        np.testing.assert_array_equal(matrix[key], x[2:12][key] + 1)
    for key in (10, [0, 11], slice(0, 11)):
        with pytest.raises(IndexError):
            matrix[key]
    model = keras2.models.Sequential([keras2.layers.Dense(1, input_shape=(3,))])
    model.compile("sgd", "mse")
    np.testing.assert_allclose(
        model.predict(matrix, batch_size=4, verbose=0), model.predict(x[2:12] + 1, verbose=0), rtol=1e-5
    )
    model.fit(matrix, np.zeros((10, 1)), batch_size=4, shuffle="batch", verbose=0)


def test_files_as_dictionaries(tmp_path: Any) -> None:
    long = [f"name {index:05}" for index in range(9000)]
    for target in (tmp_path / "d.h5", {}):
        with keras2.utils.H5Dict(target) as written:
            written["x"], written["names"], written["long"] = np.arange(3), ["a", "b"], long
            written["group"]["y"] = np.float32(2)
            assert written["x"].tolist() == [0, 1, 2] and [*written["long"]] == long and "x" in written
            assert written["group"]["y"] == 2 and written.get("none", 5) == 5
        read = keras2.utils.H5Dict(target, "r")
        with pytest.raises(ValueError, match="opened for reading"):
            read["z"] = 1
        with pytest.raises(ValueError, match="there is no 'z'"):
            read["z"]
        read.close()
    with pytest.raises(TypeError, match="got int"):
        keras2.utils.H5Dict(3)
    stream = io.BytesIO()
    keras2.utils.io_utils.save_to_binary_h5py(lambda file: file.create_dataset("x", data=[1, 2]), stream)
    stream.seek(0)
    assert keras2.utils.io_utils.load_from_binary_h5py(lambda file: file["x"][:].tolist(), stream) == [1, 2]


@pytest.mark.parametrize("generation", ["keras1", "keras2"])
def test_layers_of_users_are_tested(generation: str) -> None:
    space = SPACES[generation]
    own = module(generation, "utils.test_utils")

    class Wrong(space.layers.Layer):
        def call(self, x: Any) -> Any:
            return x[:, :1]

        def compute_output_shape(self, input_shape: Any) -> Any:
            return input_shape

    x = np.random.rand(3, 4).astype("float32")
    output = own.layer_test(space.layers.Activation, {"activation": "relu"}, input_data=x, expected_output=x)
    assert output.shape == (3, 4)
    own.layer_test(space.layers.Dense, {"units" if generation == "keras2" else "output_dim": 2}, (None, 3))
    with pytest.raises(AssertionError, match="compute_output_shape"):
        own.layer_test(Wrong, input_shape=(3, 4))
    (x, y), (_, held) = own.get_test_data(6, 2, (3,), classification=True, num_classes=4)
    assert x.shape == (6, 3) and y.max() < 4 and len(held) == 2


def test_arguments_in_older_words() -> None:
    interfaces = module("keras2", "legacy.interfaces")

    class Layer:
        @interfaces.legacy_conv2d_support
        def __init__(self, filters: int, kernel_size: Any, padding: str = "valid", data_format: str = ""):
            self.told = filters, kernel_size, padding, data_format

    told = Layer(nb_filter=4, nb_row=2, nb_col=3, border_mode="same", dim_ordering="th").told  # type: ignore[call-arg]
    assert told == (4, (2, 3), "same", "channels_first")
    with pytest.raises(TypeError, match="pass one of them"):
        Layer(nb_filter=4, filters=3, kernel_size=1)  # type: ignore[call-arg]


def test_several_devices_have_their_own_way() -> None:
    with pytest.raises(ValueError, match="torchrun"):
        keras2.utils.multi_gpu_model(None, 2)


# Losses and metrics --------------------------------------------------------------------------------------------------

Y = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]), np.array([[0.9, 0.2, 0.4], [0.1, 0.8, 0.7]])


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def huber(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    error = abs(y_true - y_pred)
    return np.where(error < 1, error**2 / 2, error - 0.5)


NUMPY = {
    ("keras1", "losses", "cosine"): lambda t, p: -(unit(t) * unit(p)).mean(-1),
    ("keras1", "metrics", "precision"): lambda t, p: 3 / 3,
    ("keras1", "metrics", "recall"): lambda t, p: 3 / 4,
    ("keras1", "metrics", "mse"): lambda t, p: ((t - p) ** 2).mean(),
    ("keras2", "losses", "cosine"): lambda t, p: -(unit(t) * unit(p)).sum(-1),
    ("keras2", "metrics", "cosine"): lambda t, p: (unit(t) * unit(p)).sum(-1),
    ("keras2", "losses", "huber_loss"): huber,
    ("keras2", "losses", "logcosh"): lambda t, p: np.log(np.cosh(t - p)).mean(-1),
    ("tf_keras", "losses", "huber_loss"): lambda t, p: huber(t, p).mean(-1),
    ("tf_keras", "metrics", "cosine_similarity"): lambda t, p: (unit(t) * unit(p)).sum(-1),
}


@pytest.mark.parametrize(("generation", "home", "name"), NUMPY)
def test_functions_of_their_time(generation: str, home: str, name: str) -> None:
    function = getattr(getattr(SPACES[generation], home), name)
    expected = NUMPY[generation, home, name](*Y)
    np.testing.assert_allclose(function(*Y).numpy(), expected, rtol=1e-5)
    model = SPACES[generation].models.Sequential([SPACES[generation].layers.Dense(3, input_shape=(2,))])
    if home == "losses":
        model.compile("sgd", name)
    else:
        model.compile("sgd", "mse", metrics=[name])
    result = model.train_on_batch(np.ones((2, 2)), Y[0])
    assert np.all(np.isfinite(result))


@pytest.mark.parametrize("generation", SPACES)
@pytest.mark.parametrize("name", ["kullback_leibler_divergence", "kld", "mse", "MAE", "mean_squared_error"])
def test_second_names_compile(generation: str, name: str) -> None:
    space = SPACES[generation]
    model = space.models.Sequential([space.layers.Dense(3, input_shape=(2,), activation="softmax")])
    model.compile("sgd", name, metrics=[name])
    loss, metric = model.train_on_batch(np.ones((2, 2)), Y[0])
    assert metric == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize("generation", SPACES)
def test_each_of_a_vector_is_compared_with_each(generation: str) -> None:
    a, b = np.ones((3, 1)), np.arange(3.0)
    got = SPACES[generation].losses.mean_squared_error(a, b)
    np.testing.assert_allclose(got.numpy(), ((b - a) ** 2).mean(-1))
    assert lamina.losses.mean_squared_error(a, b).tolist() == [1.0, 0.0, 1.0]


def test_weighted_losses() -> None:
    own = keras2.utils.losses_utils
    losses, weights = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([[1.0], [0.0], [2.0]])
    assert own.compute_weighted_loss(losses, weights).item() == pytest.approx(7 / 3)
    assert own.compute_weighted_loss(losses, weights, own.Reduction.NONE).tolist() == [1.0, 0.0, 6.0]
    with pytest.raises(ValueError, match="reduction must be"):
        own.compute_weighted_loss(losses, reduction="all")
    with pytest.raises(ValueError, match="do not fit"):
        own.broadcast_weights(losses, torch.ones(2))


# Layers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generation", ["keras1", "keras2"])
@pytest.mark.parametrize("sequences", [True, False])
def test_recurrent_layers_by_step(generation: str, sequences: bool) -> None:
    space = SPACES[generation]

    class Plain(space.layers.Recurrent):
        def __init__(self, output_dim: int, **kwargs: Any):
            super().__init__(**kwargs)
            self.output_dim = output_dim

        def build(self, input_shape: Any) -> None:
            self.states = [None]
            self.W = self.add_weight(shape=(input_shape[2], self.output_dim), initializer="glorot_uniform", name="W")
            self.U = self.add_weight(shape=(self.output_dim, self.output_dim), initializer="orthogonal", name="U")
            self.built = True

        def step(self, x: Any, states: Any) -> Any:
            h = space.backend.tanh(space.backend.dot(x, self.W) + space.backend.dot(states[0], self.U))
            return h, [h]

    model = space.models.Sequential()
    model.add(Plain(4, return_sequences=sequences, input_shape=(5, 3)))
    x, h = np.random.rand(2, 5, 3).astype("float32"), np.zeros((2, 4))
    w, u = model.get_weights()
    steps = [h := np.tanh(x[:, t] @ w + h @ u) for t in range(5)]
    got = model.predict(x, verbose=0)
    np.testing.assert_allclose(got, np.stack(steps, 1) if sequences else h, atol=1e-5)
    assert isinstance(space.layers.LSTM(2), space.layers.Recurrent) and not isinstance(space.layers.LSTM(2), Plain)
    if generation == "keras1":
        return

    def ends(start: np.ndarray, at: slice = slice(None)) -> np.ndarray:
        for t in range(5)[at]:
            start = np.tanh(x[:, t] @ w + start @ u)
        return start

    inputs, start = space.layers.Input((5, 3)), space.layers.Input((4,))
    first = np.random.rand(2, 4)
    for given in (start, [start]):
        begun = space.models.Model([inputs, start], (layer := Plain(4))(inputs, initial_state=given))
        layer.set_weights([w, u])
        np.testing.assert_allclose(begun.predict([x, first]), ends(first), atol=1e-5)
    with pytest.raises(AttributeError, match="stateful=True"):
        layer.reset_states()
    inputs = space.layers.Input(batch_shape=(2, 5, 3))
    stated = Plain(4, stateful=True, return_state=True, go_backwards=True)
    model = space.models.Model(inputs, stated(inputs))
    stated.set_weights([w, u])
    back = slice(None, None, -1)
    np.testing.assert_allclose(model.predict(x), [ends(np.zeros((2, 4)), back)] * 2, atol=1e-5)
    np.testing.assert_allclose(model.predict(x)[0], ends(ends(np.zeros((2, 4)), back), back), atol=1e-5)
    for states in (first, [first]):
        stated.reset_states(states)
        np.testing.assert_allclose(model.predict(x)[1], ends(first, back), atol=1e-5)
    config = stated.get_config()
    assert config["return_state"] is config["go_backwards"] is config["stateful"] is True
    assert model.output_shape == [(2, 4), (2, 4)]


def test_atrous_convolutions_are_functions_in_keras_2() -> None:
    layer = keras2.layers.AtrousConvolution2D(4, 3, 3, atrous_rate=(2, 2))
    assert layer.dilation_rate == (2, 2) and layer.kernel_size == (3, 3) and type(layer) is keras2.layers.Conv2D


@pytest.mark.parametrize("generation", SPACES)
def test_a_cropping_may_leave_nothing(generation: str) -> None:
    layer = SPACES[generation].layers.Cropping1D((2, 2))
    assert layer(torch.ones(2, 4, 3)).shape == (2, 0, 3) and layer.compute_output_shape((2, 4, 3)) == (2, 0, 3)


def test_paddings_in_a_dictionary() -> None:
    layer = keras1.layers.ZeroPadding1D({"left_pad": 1, "right_pad": 2})
    assert layer.compute_output_shape((1, 5, 3)) == (1, 8, 3)
    sides = {"top_pad": 1, "bottom_pad": 2, "left_pad": 3, "right_pad": 4}
    assert keras1.layers.ZeroPadding2D(sides, dim_ordering="tf").compute_output_shape((1, 5, 5, 3)) == (1, 8, 12, 3)


@pytest.mark.parametrize("generation", ["keras1", "keras2"])
def test_modules_of_datasets_hold_what_they_import(generation: str) -> None:
    read = module(generation, "datasets.cifar").load_batch
    for name in ("cifar10", "cifar100"):
        assert module(generation, f"datasets.{name}").load_batch is read
    assert not hasattr(tf_keras.datasets.cifar10, "load_batch")


# Networks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("generation", "name"),
    [
        ("keras1", "VGG16"),
        pytest.param("keras1", "InceptionV3", marks=pytest.mark.slow),
        ("keras2", "MobileNet"),
        pytest.param("tf_keras", "MobileNet", marks=pytest.mark.slow),
    ],
)
def test_networks_are_models_of_their_generation(generation: str, name: str, tmp_path: Any) -> None:
    space = SPACES[generation]
    network = getattr(space.applications, name)(include_top=False, weights=None, input_shape=(75, 75, 3))
    x = np.random.rand(1, 75, 75, 3)
    network.save(tmp_path / "m.h5")
    again = space.models.load_model(tmp_path / "m.h5")
    assert isinstance(again, space.models.Model)
    np.testing.assert_allclose(again.predict(x, verbose=0), network.predict(x, verbose=0), atol=1e-5)
    flat = space.layers.Flatten()(network.output)
    model = space.models.Model(network.input, space.layers.Dense(2)(flat))
    for layer in network.layers:
        layer.trainable = False
    model.compile("sgd", "mse")
    assert len(model.trainable_weights) == 2


@pytest.mark.parametrize(
    ("name", "size", "names"),
    [
        ("ResNet50", 224, "eb50bf198d4e"),
        pytest.param("InceptionV3", 160, "2c18768b2b5f", marks=pytest.mark.slow),
    ],
)
def test_layers_of_networks_have_the_names_and_the_order_of_keras_2(name: str, size: int, names: str) -> None:
    """Sums of the names in order, as Keras 2.3.1 has them: files of weights go by the order, code by the names."""
    keras2.backend.clear_session()
    top = name == "ResNet50"
    model = getattr(keras2.applications, name)(weights=None, include_top=top, input_shape=(size, size, 3))
    found = "\n".join(layer.name for layer in model.layers)
    assert hashlib.sha1(found.encode()).hexdigest()[:12] == names, found


def test_resnet50_of_keras_1_ends_in_a_pool() -> None:
    keras1.backend.reset_uids()
    model = keras1.applications.ResNet50(weights=None, include_top=False, input_shape=(224, 224, 3))
    assert model.output_shape == (None, 1, 1, 2048) and model.layers[-1].name == "avg_pool"
    assert model.get_layer("activation_49").output_shape == (None, 7, 7, 2048)
    assert model.get_layer("res2a_branch1").output_shape == (None, 55, 55, 256)  # 1.2.2 pads nothing before its pool
    assert model.get_layer("bn5c_branch2c").epsilon == 1e-3


@pytest.mark.parametrize("generation", ["keras1", "keras2"])
def test_the_blocks_of_resnet50_make_what_the_network_has(generation: str) -> None:
    own, space = module(generation, "applications.resnet50"), SPACES[generation]
    start = space.layers.Input((8, 8, 3))
    x = own.identity_block(own.conv_block(start, 3, [2, 2, 6], stage=5, block="a"), 3, [2, 2, 6], stage=5, block="b")
    model = space.models.Model(start, x)
    assert model.output_shape == (None, 4, 4, 6)
    named = [layer.name for layer in model.layers if layer.name[:3] in ("res", "bn5")]
    assert named[4:8] == ["res5a_branch2c", "res5a_branch1", "bn5a_branch2c", "bn5a_branch1"]
    assert named[8:] == [f"{kind}5b_branch2{at}" for at in "abc" for kind in ("res", "bn")]
    assert len(model.trainable_weights) == 7 * 4


def test_networks_begin_with_an_input_of_the_caller() -> None:
    own = module("keras2", "applications.vgg16")
    given = keras2.layers.Input((32, 32, 3))
    network = own.VGG16(include_top=False, weights=None, input_tensor=given)
    assert network.input is given and callable(own.preprocess_input)


def test_helpers_inside_keras_3_that_packages_import(installed: Callable[[str], None]) -> None:
    installed("keras3")
    found: dict[str, Any] = {}
    exec(
        "from keras.src import Functional, Layer\n"
        "from keras.src.applications.imagenet_utils import correct_pad\n"
        "from keras.src.backend import get_keras_mask, set_keras_mask, standardize_data_format\n"
        "from keras.src.distribution import distribution_lib\n"
        "from keras.src.trainers.data_adapters.data_adapter_utils import class_weight_to_sample_weights\n"
        "from keras.src.utils.argument_validation import standardize_tuple\n"
        "from keras.src.utils.backend_utils import in_grain_data_pipeline\n"
        "from keras.src.utils.module_utils import LazyModule\n"
        "from keras.src.utils.naming import to_snake_case\n",
        found,
    )
    assert isinstance(lamina.Model(given := lamina.Input((2,)), given), found["Functional"])
    x, mask = torch.ones(2, 3), torch.tensor([True, False])
    found["set_keras_mask"](x, mask)
    assert found["get_keras_mask"](x) is mask
    assert found["standardize_data_format"](None) == "channels_last"
    assert found["distribution_lib"].distribution() is None
    assert found["correct_pad"](torch.ones(1, 8, 7, 3), 3) == ((0, 1), (1, 1))
    weights = found["class_weight_to_sample_weights"](np.array([0, 1, 2]), {0: 2.0, 1: 3.0})
    np.testing.assert_array_equal(weights, [2, 3, 1])
    assert found["standardize_tuple"](2, 3, "size") == (2, 2, 2)
    with pytest.raises(ValueError, match="`size` must be 2 whole numbers above 0"):
        found["standardize_tuple"]((1, 0), 2, "size")
    assert not found["in_grain_data_pipeline"]()
    assert found["LazyModule"]("json").dumps(1) == "1"
    with pytest.raises(ImportError, match="pip install no-such"):
        found["LazyModule"]("no_such_module", pip_name="no-such").name  # noqa: B018
    assert found["to_snake_case"]("OneTwo") == "one_two"


def test_the_engine_inside_keras_3_by_its_paths(installed: Callable[[str], None]) -> None:
    installed("keras3")
    found: dict[str, Any] = {}
    exec(
        "import keras\n"
        "from keras.src.backend.torch import convert_to_numpy, to_torch_dtype\n"
        "inside = keras.src.backend\n"
        "tracking, trying = keras.src.utils.tracking, inside.common.symbolic_scope.in_symbolic_scope\n"
        "from keras.src.ops import *\n",
        found,
    )
    inside, x = found["inside"], np.ones((2, 3), "float32")
    assert inside.convert_to_tensor(x).shape == inside.nn.relu(x).shape == inside.random.uniform((2, 3)).shape == (2, 3)
    assert (
        float(inside.numpy.sum(x))
        == float(inside.torch.numpy.sum(x))
        == float(found["segment_sum"](x, [0, 0])[0, 0]) * 3
    )
    assert found["to_torch_dtype"]("int8") is torch.int8 and found["convert_to_numpy"](torch.ones(2)).sum() == 2
    assert inside.compute_output_spec(lambda x: x @ x.T, lamina.KerasTensor((2, 3))).shape == (2, 2)
    assert found["tracking"].no_automatic_dependency_tracking(len) is len
    seen: list[bool] = []
    layer = lamina.layers.Lambda(lambda x: seen.append(found["trying"]()) or x * 2)
    layer(lamina.Input((3,)))
    assert seen[-1] and not found["trying"]()


def test_cells_that_keep_their_dropout_for_all_steps(installed: Callable[[str], None]) -> None:
    installed("keras3")
    found: dict[str, Any] = {}
    exec("from keras.src.layers.rnn.dropout_rnn_cell import DropoutRNNCell", found)

    class Cell(lamina.layers.Layer, found["DropoutRNNCell"]):
        state_size, dropout, recurrent_dropout = 50, 0.5, 0.5

        def __init__(self, count: int | None = None) -> None:
            super().__init__()
            self.seed_generator, self.dropout_mask_count = lamina.random.SeedGenerator(1), count

        def call(self, x: torch.Tensor, states: Any, training: bool = False) -> Any:
            if not training:
                return x, states
            mask = self.get_dropout_mask(x)
            return x * (mask if self.dropout_mask_count is None else sum(mask)), states

    run = lamina.layers.RNN(Cell(), return_sequences=True)
    first, second = (run(np.ones((1, 3, 50), "float32"), training=True)[0] for _ in range(2))
    assert bool((first[0] == first[1]).all() and (first[0] == first[2]).all() and (first != second).any())
    assert set(first.unique().tolist()) == {0.0, 2.0}
    both = lamina.layers.RNN(Cell(2))(np.ones((1, 3, 50), "float32"), training=True)
    assert set(both.unique().tolist()) == {0.0, 2.0, 4.0}


def test_objects_by_the_names_that_a_package_gives_them() -> None:
    known = {"half": lamina.regularizers.L2, "twice": abs}
    make = functools.partial(lamina.saving.deserialize_keras_object, module_objects=known)
    assert isinstance(make("half"), lamina.regularizers.L2)
    assert make("twice") is abs and make("other") == "other"
    assert make({"class_name": "half", "config": {"l2": 0.5}}).l2 == 0.5
    with pytest.raises(TypeError, match="has no argument 'objects'"):
        lamina.saving.deserialize_keras_object("half", objects=known)


@pytest.mark.parametrize("generation", ["keras2", "tf_keras", "keras3"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_call_may_take_any_number_of_inputs(generation: str, count: int) -> None:
    space: Any = lamina if generation == "keras3" else getattr(lamina, generation)

    class All(space.layers.Layer):
        def call(self, *inputs, training=None, mask=None):
            return sum(inputs) * (2.0 if training else 1.0)

    class First(space.layers.Layer):
        def call(self, first, *more, training=False):
            return sum(more, first) * (2.0 if training else 1.0)

    for cls in (All, First):
        given = [torch.full((2, 3), float(2**each)) for each in range(count)]
        total = float(2**count - 1)
        assert cls()(*given).unique().tolist() == [total]
        assert cls()(*given, training=True).unique().tolist() == [2 * total]
        inputs = [space.layers.Input((3,)) for _ in given]
        made = cls()(*inputs)
        model = space.models.Model(inputs, made)
        assert np.unique(model.predict([each.numpy() for each in given])).tolist() == [total]


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_a_module_of_torch_takes_floats_of_any_type(dtype: str) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3)).astype(dtype)
    inner = torch.nn.Bilinear(3, 3, 2)
    layer = lamina.layers.TorchModuleWrapper(inner)
    wanted = inner(*2 * [torch.tensor(x).float()])
    for given in (x, torch.tensor(x)):
        torch.testing.assert_close(layer(given, given), wanted)
    torch.testing.assert_close(layer.double()(x.astype("float64"), x.astype("float64")).float(), wanted)
    wide = lamina.layers.TorchModuleWrapper(torch.nn.Linear(3, 2).double())
    assert wide(x.astype("float64")).dtype is torch.float64
