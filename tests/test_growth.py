"""What is done for a model, and kept of data, grows as they do: work is counted, not timed."""

import copy
import pickle
import threading
import traceback

import numpy as np
import pytest
import torch

import lamina as keras
from lamina import layers
from lamina.core.graph import Graph, Plan
from lamina.core.layer import Layer
from lamina.training import data as training_data

GENERATIONS = ("lamina", "lamina.keras1", "lamina.keras2", "lamina.tf_keras")


@pytest.fixture
def work(monkeypatch):
    """How often graphs and plans are made, and layers called on symbolic tensors or registered."""
    counts = dict.fromkeys(("graphs", "plans", "calls", "names"), 0)

    def counted(cls, method, key):
        inner = getattr(cls, method)

        def counting(self, *args, **kwargs):
            counts[key] += 1
            return inner(self, *args, **kwargs)

        monkeypatch.setattr(cls, method, counting)

    counted(Graph, "__init__", "graphs")
    counted(Plan, "__init__", "plans")
    counted(Layer, "_call_with_care", "calls")
    counted(Layer, "__setattr__", "names")
    return counts


def _modules(generation):
    import importlib

    return importlib.import_module(generation)


def _stack(generation, count, see=False):
    module = _modules(generation)
    model, dense = module.models.Sequential(), module.layers.Dense
    model.add(dense(2, input_shape=(2,)))
    for _ in range(count - 1):
        model.add(dense(2))
        assert not see or tuple(model.output_shape) == (None, 2)
    return model


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("see", [False, True])
def test_a_layer_more_is_one_call_more(generation, see, work):
    found = []
    for count in (20, 40, 80):
        work.update(dict.fromkeys(work, 0))
        model = _stack(generation, count, see)
        found.append(dict(work))
        assert work["plans"] <= 2 and work["graphs"] <= 2
        assert model.built and len(model.layers) == len(list(model.children())) == count
        work.update(dict.fromkeys(work, 0))
        model(np.zeros((1, 2), "float32"))
        assert (work["plans"], work["graphs"]) == (1, 1)
    for key in ("calls", "names"):
        assert found[2][key] - found[1][key] <= 2 * (found[1][key] - found[0][key])


def test_taking_layers_away_calls_none(work):
    model = _stack("lamina", 30)
    twin = _stack("lamina", 10)
    work.update(dict.fromkeys(work, 0))
    for _ in range(20):
        model.pop()
    assert work["plans"] == work["graphs"] == work["calls"] == 0
    assert list(model._modules) == list(twin._modules)
    model.set_weights(twin.get_weights())
    x = np.ones((3, 2), "float32")
    np.testing.assert_array_equal(model.predict(x, verbose=0), twin.predict(x, verbose=0))


def test_names_are_the_same_however_a_stack_came_about():
    shared = layers.Dense(2, name="own.name")

    def parts():
        return [layers.Dense(2), layers.ReLU(), shared, layers.Dense(2), shared, layers.ReLU(name="dense")]

    whole = keras.Sequential([keras.Input((2,)), *parts()])
    grown, popped, late = keras.Sequential([keras.Input((2,))]), keras.Sequential([keras.Input((2,))]), None
    late = keras.Sequential()
    for model in (grown, popped, late):
        for layer in parts():
            model.add(layer)
    for _ in range(5):
        popped.pop()
    for layer in parts()[1:]:
        popped.add(layer)
    late(np.zeros((1, 2), "float32"))
    assert [*whole._modules] == [*grown._modules] == [*popped._modules] == [*late._modules]
    assert [*whole.state_dict()] == [*late.state_dict()]


def test_layers_set_on_a_stack_stay():
    class Own(keras.Sequential):
        def __init__(self):
            super().__init__()
            self.first = layers.Dense(3)
            self.add(self.first)
            self.add(layers.Dense(2))

    model = Own()
    model.beside = layers.Dense(5)
    model.pop()
    assert model.layers == [model.first] and model.beside.units == 5 and [*model._modules][-1] == "dense"


def test_a_layer_that_does_not_fit_changes_nothing():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    model.add(layers.Dense(2))
    weights, names = model.get_weights(), [*model._modules]
    with pytest.raises(ValueError, match=r"rank|dimension|axis|axes"):
        model.add(layers.Conv2D(2, 3))
    assert [*model._modules] == names and model.output_shape == (None, 2) and len(model.layers) == 2
    model.add(layers.Dense(5))
    assert model(np.zeros((1, 4))).shape == (1, 5)
    for before, after in zip(weights, model.get_weights(), strict=False):
        np.testing.assert_array_equal(before, after)


def test_models_that_hold_a_growing_one_follow():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, activation="relu")])
    outer = keras.Sequential([keras.Input((4,)), inner])
    x = torch.ones(2, 4)
    outer(x)
    inner.add(layers.Dense(4))
    torch.testing.assert_close(outer(x), inner(x))
    inner.compile("sgd", "mse")
    inner.fit(np.ones((4, 4)), np.ones((4, 4)), verbose=0)
    inner.add(layers.Rescaling(2.0))
    torch.testing.assert_close(outer(x), inner(x))


class OwnBuild(keras.Sequential):
    builds = 0

    def build(self, input_shape=None):
        type(self).builds += 1
        super().build(input_shape)


def test_a_build_of_ones_own_is_told_of_every_layer():
    model = OwnBuild([keras.Input((2,))])
    for _ in range(3):
        model.add(layers.Dense(2))
    assert OwnBuild.builds == 3


# Copies ---------------------------------------------------------------------------------------------------------------


def _by_pickle(model):
    return pickle.loads(pickle.dumps(model))


@pytest.mark.parametrize("copied", [copy.deepcopy, _by_pickle, keras.models.clone_model])
@pytest.mark.parametrize("kind", ["functional", "sequential", "operations"])
def test_long_chains_are_copied_without_recursion(copied, kind):
    count, x = 500, np.ones((1, 2), "float32")
    inputs = y = keras.Input((2,))
    chain = [layers.Activation("linear") for _ in range(count)]
    if kind == "sequential":
        model = keras.Sequential([inputs, *chain])
    else:
        for layer in chain:
            y = layer(y) if kind == "functional" else y + 0.0
        model = keras.Model(inputs, y)
    np.testing.assert_array_equal(copied(model)(x).detach(), x)


@pytest.mark.parametrize("copied", [copy.deepcopy, _by_pickle])
def test_copies_keep_masks_and_the_calls_of_their_layers(copied):
    inputs = keras.Input((5,), dtype="int64")
    x = layers.Embedding(10, 4, mask_zero=True)(inputs)
    model = keras.Model(inputs, layers.LSTM(3, return_sequences=True)(x))
    x, y = np.array([[1, 2, 0, 0, 0], [3, 4, 5, 0, 0]]), np.ones((2, 5, 3))
    made = copied(model)
    for each in (model, made):
        each.compile("sgd", "mse")
    assert made.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
    half = keras.Model(made.input, made.layers[1].output)
    np.testing.assert_array_equal(half.predict(x, verbose=0), made.layers[1](torch.tensor(x)).detach())
    grown = copied(keras.Sequential([keras.Input((4,)), layers.Dense(3)]))
    grown.add(layers.Dense(2))
    assert grown.output_shape == (None, 2)


# Data larger than memory ----------------------------------------------------------------------------------------------


def _mapped(folder, name, array):
    made = np.memmap(folder / name, array.dtype, "w+", shape=array.shape)
    made[:] = array
    made.flush()
    return np.memmap(folder / name, array.dtype, "r", shape=array.shape)


def _model():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1, kernel_initializer="ones")])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "uint8", "uint16", ">f4"])
@pytest.mark.parametrize("options", [{}, {"validation_split": 0.25}, {"shuffle": False}, {"class_weight": {0: 2.0}}])
def test_arrays_in_files_train_as_arrays_do(tmp_path, monkeypatch, dtype, options):
    monkeypatch.setattr(training_data, "_GATHERED", 256)  # many pieces
    monkeypatch.setattr(training_data, "_MAPPED", 0)
    draw = np.random.default_rng(0)
    x, y = (draw.random((200, 3)) * 9).astype(dtype), draw.integers(2, size=(200, 1)).astype(dtype)
    found = []
    for data in ((x, y), (_mapped(tmp_path, "x", x), _mapped(tmp_path, "y", y))):
        keras.utils.set_random_seed(1)
        model = _model()
        history = model.fit(*data, batch_size=8, epochs=2, verbose=0, **options).history
        found.append((history, model.predict(data[0], verbose=0), model.evaluate(*data, verbose=0)))
    for one, other in zip(*found, strict=True):
        np.testing.assert_equal(one, other)


def test_arrays_in_files_are_converted_piece_by_piece(tmp_path, monkeypatch):
    sizes = []
    inner = training_data.as_tensor

    def watched(value, *args, **kwargs):
        sizes.append(getattr(value, "nbytes", 0))
        return inner(value, *args, **kwargs)

    monkeypatch.setattr(training_data, "as_tensor", watched)
    x = np.memmap(tmp_path / "x", "float64", "w+", shape=(200_000, 64))  # 100 MB, of which the file has nothing yet
    source = training_data.make_source(x, np.zeros((200_000, 1)), shuffle=True)
    for _, _ in zip(range(50), source.batches(), strict=False):
        pass
    assert max(sizes) <= 2 * training_data._GATHERED


# Reading ahead --------------------------------------------------------------------------------------------------------


class Batches(keras.utils.PyDataset):
    """Says which thread made which batch."""

    def __init__(self, fails=None, draws=False, **options):
        super().__init__(**options)
        self.threads, self.fails, self.draws = [], fails, draws

    def __len__(self):
        return 12

    def __getitem__(self, index):
        self.threads.append(threading.current_thread())
        if index == self.fails:
            raise KeyError("lost")
        x = torch.rand(2, 3) if self.draws else np.full((2, 3), index, "float32")
        return x, np.ones((2, 1), "float32")


@pytest.fixture
def always_ahead(monkeypatch):
    monkeypatch.setattr(training_data, "_IDLE", -1.0)
    monkeypatch.setattr(training_data, "_SHARE", -1.0)


def _losses(data):
    keras.utils.set_random_seed(3)
    model, losses = keras.Sequential([keras.Input((3,)), layers.Dropout(0.5), layers.Dense(1)]), []
    model.compile("sgd", "mse")
    told = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: losses.append(logs["loss"]))
    model.fit(data, verbose=0, shuffle=False, callbacks=[told])
    return losses


def test_reading_ahead_changes_no_result(always_ahead):
    ahead, inline = Batches(), Batches(workers=0)
    assert _losses(ahead) == _losses(inline)
    assert {*inline.threads} == {threading.main_thread()} < {*ahead.threads}


def test_what_draws_from_torch_is_not_read_ahead(always_ahead):
    drawing = Batches(draws=True)
    assert _losses(drawing) == _losses(Batches(draws=True, workers=0))
    assert {*drawing.threads} == {threading.main_thread()}


def test_a_quick_reader_is_left_alone(monkeypatch):
    monkeypatch.setattr(training_data, "_IDLE", 1e9)
    quick = Batches()
    _losses(quick)
    assert {*quick.threads} == {threading.main_thread()}


def test_errors_come_with_the_lines_where_they_arose(always_ahead):
    with pytest.raises(KeyError, match="lost") as raised:
        _losses(Batches(fails=9))
    assert "__getitem__" in "".join(traceback.format_tb(raised.value.__traceback__))
    del raised


def test_stopping_early_leaves_no_thread(always_ahead):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 6

    before, data, model = threading.active_count(), Batches(), _model()
    model.fit(data, verbose=0, epochs=3, callbacks=[Stop()])
    assert threading.active_count() == before
    assert len(data.threads) <= 12
    with pytest.raises(ZeroDivisionError):
        fails = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: 1 // (6 - batch))
        model.fit(data, verbose=0, callbacks=[fails])
    assert threading.active_count() == before
