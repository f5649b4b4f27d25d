"""Loading onto empty weights: what a file fills is never initialized, all else is as if it had been made anew."""

from __future__ import annotations

import contextlib
import threading

import numpy as np
import pytest
import torch
from support.golden import FAMILIES, cases, names_of, namespace, process_settings
from support.models import ROUND_TRIPS, Subclassed

import lamina as keras
from lamina import layers
from lamina.core import weight as weight_module
from lamina.core.weight import context, waiting_weights

FORMATS = (".keras", ".h5")
calls: list[tuple[int, ...]] = []


@keras.saving.register_keras_serializable("loading")
class Counted(keras.initializers.Initializer):
    """Random values, of which every request is noted."""

    def __call__(self, shape, dtype=None):
        calls.append(tuple(shape))
        return torch.rand(*shape, dtype=torch.float32) + 1


@keras.saving.register_keras_serializable("loading")
class Own(layers.Layer):
    """A layer of a user's: `do(self)` at the end of its build; stores and reads the first of its two weights."""

    do = staticmethod(lambda layer: None)
    seen = None

    def build(self, input_shape):
        self.inner = layers.Dense(3, kernel_initializer=Counted())
        self.inner.build(input_shape)
        self.scale = self.add_weight(shape=(3,), initializer=Counted(), name="scale")
        self.extra = self.add_weight(shape=(2,), initializer=Counted(), name="extra")
        type(self).do(self)

    def call(self, x):
        return self.inner(x) * self.scale

    def save_own_variables(self, store):
        store["scale"] = self.scale

    def load_own_variables(self, store):
        type(self).seen = [self.scale.numpy(), self.extra.numpy()]
        self.scale.assign(store["scale"])


def modern():
    x = keras.Input((6, 6, 2))
    y = layers.Conv2D(3, 2, kernel_initializer=Counted())(x)
    y = layers.SeparableConv2D(3, 2, depthwise_initializer=Counted())(layers.BatchNormalization()(y))
    y = layers.Reshape((-1, 3))(layers.Conv2DTranspose(3, 2)(y))
    y = layers.Bidirectional(layers.LSTM(4, recurrent_initializer=Counted()))(y)
    y = layers.SpectralNormalization(layers.Dense(4, kernel_initializer=Counted()))(y)
    return keras.Model(x, keras.Sequential([layers.Dense(2, kernel_initializer=Counted())])(y))


def _first_cases(generation, around=contextlib.nullcontext):
    """The first recorded case of each layer with weights, and the model of it."""
    known = set()
    for case in cases({generation: FAMILIES[generation]}):
        record = case.record
        if record["kind"] != "layer" or not record.get("weights") or record["class"] in known:
            continue
        known.add(record["class"])
        with process_settings(case, keras):
            home = namespace(case, keras)
            names = names_of(record, home)
            symbols = [home.layers.Input(batch_shape=given["shape"]) for given in record["inputs"]]
            made = eval(record["code"], names)
            given = {f"x{index}": symbol for index, symbol in enumerate(symbols)}
            with around():
                outputs = eval(record["calls"][0]["code"], {**names, **given, "layer": made})
            yield record["code"], home.models.Model(symbols[0] if len(symbols) == 1 else symbols, outputs)


@pytest.fixture
def settled(monkeypatch):
    """The weights that were given initial values while loading."""
    found = []
    settle = weight_module._settle

    def noted(weight):
        if weight._awaited is not None:
            found.append(weight.path)
        settle(weight)

    monkeypatch.setattr(weight_module, "_settle", noted)
    return found


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("make", [modern, *ROUND_TRIPS], ids=lambda make: make.__name__)
def test_what_a_file_fills_is_never_initialized(make, suffix, tmp_path, settled):
    model = make()
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_weights)
    model.save(tmp_path / f"m{suffix}")
    calls.clear()
    torch.manual_seed(5)
    state = torch.get_rng_state()
    loaded = keras.models.load_model(tmp_path / f"m{suffix}", {"Subclassed": Subclassed})
    assert not settled and not calls
    assert torch.equal(torch.get_rng_state(), state)
    for one, other in zip(loaded.weights, model.weights, strict=True):
        assert torch.equal(one, other)
        assert one.stride() == other.stride() and one.requires_grad == other.requires_grad
        assert one.data_ptr() % 64 == 0
    assert len({weight.data_ptr() for weight in loaded.weights}) == len(loaded.weights)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of legacy arguments
@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("generation", FAMILIES)
def test_no_layer_of_any_generation_is_initialized(generation, suffix, tmp_path, settled):
    count = 0
    for code, model in _first_cases(generation):
        try:
            model.save(tmp_path / f"m{suffix}")
            loaded = keras.models.load_model(tmp_path / f"m{suffix}")
        except (TypeError, ValueError):
            continue  # holds a function that no file can name, or is a cell called like a layer
        assert not settled, (code, settled)
        for one, other in zip(loaded.weights, model.weights, strict=True):
            assert torch.equal(one, other) and one.stride() == other.stride(), code
        count += 1
    assert count > 15


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("generation", FAMILIES)
def test_initial_values_do_not_depend_on_waiting(generation):
    def made(wait):
        torch.manual_seed(3)
        np.random.seed(3)  # the older generations go by NumPy's
        for code, model in _first_cases(generation, wait):
            yield code, [weight.numpy() for weight in model.weights]

    @contextlib.contextmanager
    def wait():
        with waiting_weights() as waiting:
            yield
            waiting.settle(1 << 20)

    for (code, found), (_, expected) in zip([*made(wait)], [*made(contextlib.nullcontext)], strict=True):
        assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True)), code


def _own(tmp_path):
    model = keras.Sequential([keras.Input((3,)), Own()])
    model.save(tmp_path / "m.keras")
    Own.seen = None
    calls.clear()
    return model


def test_a_layer_that_reads_in_its_own_way_finds_its_initial_values(tmp_path):
    model = _own(tmp_path)
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert sorted(calls) == [(2,), (3,)]  # not the kernel of the layer inside, (3, 3)
    assert all((value >= 1).all() and (value < 2).all() for value in Own.seen)
    own, before = loaded.layers[0], model.layers[0]
    assert torch.equal(own.scale, before.scale) and torch.equal(own.inner.kernel, before.inner.kernel)
    assert np.array_equal(own.extra.numpy(), Own.seen[1])


def _halve(layer):
    layer.inner.kernel.assign(layer.inner.kernel / 2)


def _one_entry(layer):
    with torch.no_grad():
        layer.extra[0] = 7.0


def _into_a_list(layer):
    layer.total = float(torch.cat([layer.extra, layer.scale]).detach().sum())


def _copied(layer):
    layer.numbers = np.asarray(layer.extra)


@pytest.mark.parametrize("do", [_halve, _one_entry, _into_a_list, _copied], ids=lambda do: do.__name__)
def test_code_that_looks_at_a_weight_finds_its_initial_values(do, tmp_path, monkeypatch):
    _own(tmp_path)
    found = {}

    def look(layer):
        do(layer)
        found.update(kernel=layer.inner.kernel.numpy(), extra=layer.extra.numpy(), total=getattr(layer, "total", 7))

    monkeypatch.setattr(Own, "do", staticmethod(look))
    loaded = keras.models.load_model(tmp_path / "m.keras")
    low = 0.5 if do is _halve else 1
    assert (found["kernel"] >= low).all() and (found["kernel"] < 2 * low).all()
    assert found["extra"][1] >= 1 and (found["extra"][0] == 7) == (do is _one_entry)
    assert 5 <= found["total"] < 10
    assert np.array_equal(loaded.layers[0].extra.numpy(), found["extra"])


def test_an_adaptation_that_is_not_stored_begins_anew(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    model.layers[0].enable_lora(2)
    model.save(tmp_path / "m.keras")
    dense = keras.models.load_model(tmp_path / "m.keras").layers[0]
    assert torch.equal(dense.kernel, model.layers[0].kernel)
    assert dense.lora_kernel_a.abs().min() > 0 and dense.lora_kernel_b.abs().max() == 0
    assert dense.lora_kernel_a.is_contiguous()
    with torch.no_grad():
        dense.lora_kernel_b.add_(1.0)
    adapted = keras.Sequential([keras.Input((4,)), dense])
    adapted.load_weights(tmp_path / "m.keras")  # what was learned goes with the kernel that it was learned for
    assert torch.equal(adapted(torch.ones(1, 4)), model(torch.ones(1, 4)))


def test_a_model_stored_before_it_was_built_is_initialized_when_it_is(tmp_path):
    model = keras.Sequential([layers.Dense(3, kernel_initializer=Counted())])
    with pytest.warns(UserWarning, match="before it is built"):
        model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    loaded(torch.zeros(1, 2))
    assert (loaded.layers[0].kernel >= 1).all()


def test_a_load_that_fails_leaves_no_weights_to_others_and_no_garbage(tmp_path, monkeypatch):
    _own(tmp_path)
    made = []

    def fail(layer):
        made.append(layer.inner.kernel)
        raise ValueError("no")

    monkeypatch.setattr(Own, "do", staticmethod(fail))
    with pytest.raises(ValueError, match=r"m\.keras.*no"):
        keras.models.load_model(tmp_path / "m.keras")
    assert context.waiting is None and bool((made[0] == 0).all())
    dense = layers.Dense(3, kernel_initializer=Counted())
    dense.build((None, 2))
    assert (dense.kernel >= 1).all()


def test_weights_made_in_another_thread_do_not_wait(tmp_path, monkeypatch):
    _own(tmp_path)
    kernels = []

    def build():
        dense = layers.Dense(3, kernel_initializer=Counted())
        dense.build((None, 2))
        kernels.append(dense.kernel)

    def beside(layer):
        thread = threading.Thread(target=build)
        thread.start()
        thread.join()
        assert (kernels[0] >= 1).all()

    monkeypatch.setattr(Own, "do", staticmethod(beside))
    keras.models.load_model(tmp_path / "m.keras")


def test_weights_loaded_in_inference_mode_can_be_trained(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    model.save(tmp_path / "m.keras")
    with torch.inference_mode():
        loaded = keras.models.load_model(tmp_path / "m.keras")
    loaded(torch.ones(2, 4)).sum().backward()
    assert loaded.layers[0].kernel.grad is not None


def test_a_set_of_weights_given_while_loading_is_copied(tmp_path, monkeypatch):
    _own(tmp_path)
    table = np.full((3, 3), 4.0, "float32"), np.zeros(3, "float32")
    monkeypatch.setattr(Own, "do", staticmethod(lambda layer: layer.inner.set_weights(table)))
    loaded = keras.models.load_model(tmp_path / "m.keras")
    loaded.layers[0].inner.kernel.assign(torch.zeros(3, 3))
    assert (table[0] == 4).all()


def test_weights_that_are_not_stored_are_bounded_by_the_file(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    model.layers[0].enable_lora(2)
    layer = model.layers[0]
    monster = 10**8
    layer.lora_rank = monster
    model.save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match=r"m\.keras.*no values are stored for weights of \d+ bytes.*lora_kernel_a"):
        keras.models.load_model(tmp_path / "m.keras")
