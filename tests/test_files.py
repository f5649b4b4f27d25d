"""Saving and loading: recorded Keras files, round trips, damage, malice and failure."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import io
import json
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from support.models import (
    ROUND_TRIPS,
    Subclassed,
    layer_inside_and_outside,
    nested,
    sequential,
    shared_and_operators,
    subclassed,
)
from torch.utils import _pytree as pytree

import lamina as keras
from lamina import keras1, keras2, layers, tf_keras
from lamina.core.symbolic import apply
from lamina.files import h5, keras3, safe, tree

RECORDED = Path(__file__).parent / "golden" / "files" / "keras3"
MODELS = json.loads((RECORDED / "models.json").read_text())
FORMATS = (".keras", ".h5")


def sample(model):
    generator = torch.Generator().manual_seed(0)
    if not hasattr(model, "_graph"):
        return torch.randn(5, 4, generator=generator)
    drawn = [torch.randn(5, *tensor.shape[1:], generator=generator) for tensor in model.inputs]
    if isinstance(model.input, dict):
        return dict(zip(model.input, drawn, strict=True))
    return drawn if len(drawn) > 1 else drawn[0]


def same(first, second):
    one, two = pytree.tree_leaves(first), pytree.tree_leaves(second)
    return len(one) == len(two) and all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def as_list(value):
    return [np.asarray(leaf) for leaf in pytree.tree_leaves(value)]


# Recorded files --------------------------------------------------------------------------------------------------


def recorded(entry):
    data = np.load(RECORDED / f"{entry['name']}.npz")

    def numbered(word):
        return [data[f"{word}{i}"] for i in range(len(data.files)) if f"{word}{i}" in data]

    inputs = numbered("input")
    return data, inputs if len(inputs) > 1 else inputs[0], numbered("target"), numbered("output")


@pytest.mark.parametrize("suffix", [*FORMATS, ".weights.h5"])
@pytest.mark.parametrize("entry", MODELS, ids=lambda entry: entry["name"])
def test_files_of_keras_predict_as_recorded(entry, suffix):
    path = RECORDED / f"{entry['name']}{suffix}"
    data, x, targets, outputs = recorded(entry)
    if suffix == ".weights.h5":
        model = keras.models.model_from_json((RECORDED / f"{entry['name']}.json").read_text())
        model.load_weights(path)
    else:
        model = keras.models.load_model(path)
    assert [weight.shape for weight in model.weights] == [torch.Size(shape) for _, shape in entry["weights"]]
    for found, expected in zip(as_list(model.predict(x, verbose=0)), outputs, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    if suffix in FORMATS and "resumed_loss" in data:
        loss = model.train_on_batch(x, targets if len(targets) > 1 else targets[0])
        expected = np.ravel(data["resumed_loss"])[0]
        np.testing.assert_allclose(np.ravel(as_list(loss)[0])[0], expected, rtol=1e-4, atol=1e-5)
        for i, found in enumerate(as_list(model.predict(x, verbose=0))):
            np.testing.assert_allclose(found, data[f"resumed_output{i}"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("entry", MODELS, ids=lambda entry: entry["name"])
def test_saving_lays_the_weights_out_as_keras_does(entry, tmp_path):
    source = RECORDED / f"{entry['name']}.keras"
    keras.models.load_model(source).save(tmp_path / "copy.keras")

    def arrays(path):
        with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
            names = []
            file.visit(names.append)
            return {name: file[name][()] for name in names if isinstance(file[name], h5py.Dataset)}

    ours, theirs = arrays(tmp_path / "copy.keras"), arrays(source)
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array, err_msg=name)


# Round trips -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("build", ROUND_TRIPS, ids=lambda build: build.__name__)
def test_round_trip(build, suffix, tmp_path):
    model = build()
    path = tmp_path / f"model{suffix}"
    model.save(path)
    loaded = keras.models.load_model(path, custom_objects={"Subclassed": Subclassed})
    assert type(loaded) is type(model)
    if build is not subclassed:
        assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]
    if suffix == ".keras":
        assert len(loaded.weights) == len(model.weights)
    x = sample(model)
    assert same(loaded(x), model(x))


@pytest.mark.parametrize("build", ROUND_TRIPS, ids=lambda build: build.__name__)
def test_config_round_trip_is_stable_and_plain(build):
    model = build()
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
    again = keras.models.model_from_json(json.dumps(config)) if build is not subclassed else None
    if again is not None:
        assert json.loads(again.to_json()) == config


def test_a_layer_inside_and_outside_a_nested_model_stays_one_layer(tmp_path):
    model = layer_inside_and_outside()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert len(loaded.weights) == 2


def test_layers_shared_with_a_nested_model_stay_one_in_h5(tmp_path):
    for build in (layer_inside_and_outside, nested):
        model = build()
        model.save(tmp_path / "model.h5")
        assert len(keras.models.load_model(tmp_path / "model.h5").weights) == len(model.weights)


def test_stacked_cells_stand_where_keras_looks_for_them(tmp_path):
    cells = [layers.LSTMCell(3), layers.GRUCell(2), layers.LSTMCell(2)]
    model = keras.Sequential([keras.Input((4, 2)), layers.RNN(cells)])
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5") as file:
        assert sorted(file["layers/rnn/cell/cells"]) == ["gru_cell", "lstm_cell", "lstm_cell_1"]
        assert list(file["layers/rnn/cell"]) == ["cells", "vars"]
    values = model.get_weights()
    model.set_weights([value * 0 for value in values])
    model.load_weights(tmp_path / "m.weights.h5")
    assert all(map(np.array_equal, model.get_weights(), values))


def test_bfloat16_as_keras_writes_it_into_h5(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, dtype="bfloat16", name="d")])
    model.save(tmp_path / "m.h5")
    kernel = model.layers[0].kernel
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        group = file["model_weights/d"]
        name = str(np.asarray(group.attrs["weight_names"]).astype(str)[0])
        del group[name]
        group[name] = kernel.detach().view(torch.int16).numpy().view("V2")
    assert torch.equal(keras.models.load_model(tmp_path / "m.h5").layers[0].kernel, kernel)


def test_weights_go_to_a_model_built_anew(tmp_path):
    for suffix in (".weights.h5", ".keras", ".h5"):
        model, other = sequential(), sequential()
        (model.save_weights if suffix == ".weights.h5" else model.save)(tmp_path / f"w{suffix}")
        other.load_weights(tmp_path / f"w{suffix}")
        assert same(other(sample(model)), model(sample(model)))


def test_optimizer_state_resumes(tmp_path):
    x, y = np.random.default_rng(0).random((2, 8, 4), dtype="float32")
    for suffix in FORMATS:
        model = keras.Sequential([keras.Input((4,)), layers.Dense(4)])
        model.compile("adam", keras.losses.Huber(), metrics=["mae"])
        model.train_on_batch(x, y)
        model.save(tmp_path / f"m{suffix}")
        loaded = keras.models.load_model(tmp_path / f"m{suffix}")
        for _ in range(2):
            loaded.train_on_batch(x, y)
            model.train_on_batch(x, y)
        assert same(loaded.weights, model.weights)
        assert keras.models.load_model(tmp_path / f"m{suffix}", compile=False).compiled is False


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_words_that_earlier_versions_of_keras_3_refuse_stand_in_files_only_where_they_say_something(suffix, tmp_path):
    def words(*options):
        start = keras.Input((6, 5))
        normal, attention = layers.BatchNormalization(**options[0]), layers.MultiHeadAttention(2, 3, **options[1])
        x = normal(start)
        model = keras.Model(start, layers.Dense(2, **options[2])(attention(x, x)))
        path = tmp_path / f"m{suffix}"
        model.save(path)
        again = keras.models.load_model(path)
        assert again.get_config() == model.get_config()
        text = path.read_bytes() if suffix != ".keras" else zipfile.ZipFile(path).read("config.json")
        return {word for word in keras3.LATER if f'"{word}"'.encode() in text}

    assert words({}, {}, {}) == set()
    kernel = keras.initializers.GlorotUniform(input_axes=(0,), output_axes=(1,))
    asked = {"renorm": True, "renorm_momentum": 0.9}, {"use_gate": True, "sliding_window": 2}, {}
    assert words(*asked[:2], {"kernel_initializer": kernel}) == {
        "renorm", "renorm_clipping", "renorm_momentum", "use_gate", "sliding_window", "input_axes", "output_axes"
    }  # fmt: skip


def test_words_left_out_of_files_mean_what_classes_take_without_them():
    rooms = keras.layers, keras.initializers, keras.losses, keras.metrics
    classes = [getattr(room, name) for room in rooms for name in dir(room)]
    classes = [item for item in classes if inspect.isclass(item) and item.__module__.startswith("lamina.")]
    found = [(each, word) for each in classes for word in keras3.LATER if word in inspect.signature(each).parameters]
    assert {word for _, word in found} >= {"quantization_config", "renorm", "input_axes", "salt", "oov_method"}
    for each, word in found:
        assert inspect.signature(each).parameters[word].default == keras3.LATER[word], (each, word)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_rotation_of_keras_3_0_to_3_5_is_read(suffix, tmp_path, monkeypatch):
    model, rotation = keras.Sequential([keras.Input((6, 5, 3)), layers.RandomRotation(0.1)]), layers.RandomRotation
    config = rotation.get_config
    monkeypatch.setattr(rotation, "get_config", lambda self: {**config(self), "value_range": [0, 255]})
    model.save(tmp_path / f"m{suffix}")
    monkeypatch.undo()
    assert keras.models.load_model(tmp_path / f"m{suffix}").layers[0].factor == model.layers[0].factor


@pytest.mark.parametrize("name", ["Adam", "Nadam", "RMSprop"])
@pytest.mark.parametrize("rate", [0.1, keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)], ids=["rate", "falls"])
@pytest.mark.parametrize("shared", [{}, {"use_ema": True}, {"use_ema": True, "gradient_accumulation_steps": 2}])
def test_states_in_the_order_of_keras_before_3_10(name, rate, shared, tmp_path):
    x, y = np.random.default_rng(0).random((2, 8, 4), dtype="float32")
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(4)])
    model.compile(getattr(keras.optimizers, name)(rate, **shared), "mse")
    for _ in range(3):
        model.train_on_batch(x, y)
    model.save_weights(tmp_path / "m.weights.h5")
    variables = model.optimizer.variables
    kept = [variable.numpy().copy() for variable in variables]
    first = min(index for index, value in enumerate(kept) if value.shape)
    weights = [weight.path.replace("/", "_") for weight in model.trainable_variables]

    def place(index):
        of = next((n for n, weight in enumerate(weights) if f"/{weight}_" in variables[index].path), 0)
        if index < first or variables[index].path.endswith(("average", "gradient_accumulator")):
            return index >= first, of
        return 2 if variables[index].path.endswith("variable") else 3, 0

    with h5py.File(tmp_path / "m.weights.h5", "r+") as file:
        group = file["optimizer/vars"]
        for new, old in enumerate(sorted(range(len(kept)), key=place)):
            del group[str(new)]
            group[str(new)] = kept[old]
    model.train_on_batch(x, y)
    model.load_weights(tmp_path / "m.weights.h5")
    assert all(np.array_equal(variable.numpy(), value) for variable, value in zip(variables, kept, strict=True))


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("optimizer", ["Adam", "SGD", "Nadam", "Adafactor"])
@pytest.mark.parametrize("package", [keras, keras1, keras2, tf_keras], ids=lambda package: package.__name__)
def test_a_model_that_was_compiled_and_never_trained_is_read_without_a_word(package, optimizer, suffix, tmp_path):
    model = package.models.Sequential([package.layers.Dense(4, input_shape=(4,))])
    model.compile(getattr(keras.optimizers, optimizer)(0.125), "mse")
    model.save(tmp_path / f"m{suffix}")
    loaded = package.models.load_model(tmp_path / f"m{suffix}")
    assert float(loaded.optimizer.learning_rate) == 0.125 and int(loaded.optimizer.iterations) == 0
    x, y = np.random.default_rng(0).random((2, 8, 4), dtype="float32")
    for one in (model, loaded):
        one.train_on_batch(x, y)
    assert same(loaded.weights, model.weights)


def test_the_state_of_another_optimizer_is_not_taken_for_that_before_the_first_step(tmp_path):
    x, y = np.random.default_rng(0).random((2, 8, 4), dtype="float32")
    for trained in (True, False):
        model, other = (keras.Sequential([keras.Input((4,)), layers.Dense(4)]) for _ in range(2))
        model.compile("sgd", "mse")
        other.compile("adam", "mse")
        for one in (model, other)[not trained :]:
            one.train_on_batch(x, y)
        model.save_weights(tmp_path / "m.weights.h5")
        before = [variable.clone() for variable in other.optimizer.variables]
        with pytest.warns(UserWarning, match="State of optimizer 'adam.*not loaded"):
            other.load_weights(tmp_path / "m.weights.h5")
        assert same(other.optimizer.variables, before)


def test_weights_by_name_and_skipped_mismatches(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="a"), layers.Dense(2, name="b")])
    model.save(tmp_path / "m.h5")
    other = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="a"), layers.Dense(5, name="c")])
    other.load_weights(tmp_path / "m.h5", by_name=True)
    assert same(other.get_layer("a").weights, model.get_layer("a").weights)
    model.save_weights(tmp_path / "m.weights.h5")
    third = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(5)])
    with pytest.warns(UserWarning, match="expected shape \\(3, 5\\) for kernel"):
        third.load_weights(tmp_path / "m.weights.h5", skip_mismatch=True)
    assert same(third.layers[0].weights, model.layers[0].weights)


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("home", ["", ".tf_keras", ".keras2", ".keras1"])
def test_weights_by_layers_are_skipped_one_by_one(home: str, by_name: bool, tmp_path: Path) -> None:
    """As Keras does: what fits of a layer is read, though its other weights do not."""
    space = importlib.import_module(f"lamina{home}")

    def made(features: int, units: int) -> Any:
        model = space.models.Sequential()
        model.add(space.layers.LSTM(2, name="a", input_shape=(3, features)))
        model.add(space.layers.BatchNormalization(name="b"))
        model.add(space.layers.Dense(units, name="c"))
        return model

    model, other = made(4, 5), made(6, 5)
    model.set_weights([np.arange(weight.size).reshape(weight.shape) + 1.0 for weight in model.get_weights()])
    model.save(tmp_path / "m.h5")
    kept = [np.array(weight) for weight in other.get_weights()]
    with pytest.warns(UserWarning, match="layer 'a'.*(6, 8).*(4, 8)"):
        other.load_weights(tmp_path / "m.h5", skip_mismatch=True, by_name=by_name)
    for own, old, stored in zip(other.get_weights(), kept, model.get_weights(), strict=True):
        np.testing.assert_array_equal(own, stored if own.shape == stored.shape else old)
    other = made(6, 5)
    before = [np.array(weight) for weight in other.get_weights()]
    with pytest.raises(ValueError, match="do not fit"):
        other.load_weights(tmp_path / "m.h5", by_name=by_name)
    assert all(map(np.array_equal, before, other.get_weights()))


def test_half_precision_weights_are_kept_exactly(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, dtype="bfloat16"), layers.Dense(2, dtype="float64")])
    for suffix in FORMATS:
        model.save(tmp_path / f"m{suffix}")
        assert same(keras.models.load_model(tmp_path / f"m{suffix}").weights, model.weights)


def test_plain_torch_modules_inside_a_layer_are_stored(tmp_path):
    class Holder(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = torch.nn.BatchNorm1d(4)

        def call(self, x):
            return self.inner(x)

    model, other = (keras.Sequential([keras.Input((4,)), Holder()]) for _ in range(2))
    with torch.no_grad():
        model.layers[0].inner.running_mean.fill_(3)
    model.save_weights(tmp_path / "m.weights.h5")
    other.load_weights(tmp_path / "m.weights.h5")
    assert torch.equal(other.layers[0].inner.running_mean, torch.full((4,), 3.0))


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(
    ("place", "is_aside"),
    [
        ("optimizer", True),
        ("_seeds/a", True),
        ("layers/dense/_metrics/mean", True),
        ("layers/dense/metrics/mean", True),
        ("layers/dense/optimizer/metrics/mean", True),
        ("layers/other/optimizer", False),
        ("layers/dense/_seeds", False),
        ("layers/other", False),
        ("other", False),
    ],
)
def test_states_that_a_model_had_beside_its_layers_are_left_out(place, is_aside, compiled, tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    if compiled and place != "optimizer":
        model.compile("sgd", "mse")
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5", "a") as file:
        file.create_dataset(f"{place}/vars/0", data=np.zeros(2, "f4"))
    model.save(tmp_path / "whole.keras")
    with zipfile.ZipFile(tmp_path / "whole.keras") as archive, zipfile.ZipFile(tmp_path / "m.keras", "w") as changed:
        for name in archive.namelist():
            content = (tmp_path / "m.weights.h5").read_bytes() if name.endswith(".h5") else archive.read(name)
            changed.writestr(name, content)
    for read in (
        lambda: model.load_weights(tmp_path / "m.weights.h5"),
        lambda: keras.models.load_model(tmp_path / "m.keras"),
    ):
        with (
            contextlib.nullcontext() if is_aside else pytest.raises(ValueError, match=f"{place}: stored, but the model")
        ):
            read()


def test_safetensors(tmp_path):
    pytest.importorskip("safetensors")
    model, other = nested(), nested()
    model.save_weights(tmp_path / "m.safetensors")
    other.load_weights(tmp_path / "m.safetensors")
    assert same(other(sample(model)), model(sample(model)))
    before = sequential()
    with pytest.raises(ValueError, match="do not fit"):
        before.load_weights(tmp_path / "m.safetensors")


def test_names_too_long_for_one_attribute(tmp_path):
    names = [f"layer_{'x' * 600}_{i}" for i in range(120)]
    model = keras.Sequential([keras.Input((1,)), *(layers.Dense(1, use_bias=False, name=name) for name in names)])
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as file:
        assert "layer_names1" in file["model_weights"].attrs
    assert same(keras.models.load_model(tmp_path / "m.h5").weights, model.weights)


# Custom objects and code -----------------------------------------------------------------------------------------


def test_unknown_classes_are_refused_and_named(tmp_path):
    class Stranger(layers.Layer):
        def call(self, x):
            return x

    model = keras.Sequential([keras.Input((2,)), Stranger()])
    model.save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match=r"Stranger.*custom_objects"):
        keras.models.load_model(tmp_path / "m.keras")
    assert isinstance(keras.models.load_model(tmp_path / "m.keras", {"Stranger": Stranger}).layers[0], Stranger)
    with keras.saving.CustomObjectScope({"Stranger": Stranger}):
        keras.models.load_model(tmp_path / "m.keras")


@pytest.mark.parametrize("suffix", FORMATS)
def test_lambdas_are_refused_unless_given(tmp_path, suffix):
    model = keras.Sequential([keras.Input((2,)), layers.Lambda(lambda x: torch.add(x, 1), name="plus")])
    model.save(tmp_path / f"m{suffix}")
    with pytest.raises(ValueError, match="never run"):
        keras.models.load_model(tmp_path / f"m{suffix}", safe_mode=False)
    loaded = keras.models.load_model(tmp_path / f"m{suffix}", custom_objects={"plus": lambda x: x + 2})
    assert loaded(torch.zeros(1, 2)).tolist() == [[2.0, 2.0]]


@pytest.mark.parametrize(
    "entry",
    [
        {"module": "os", "class_name": "system", "config": {"command": "touch broken"}},
        {"module": "builtins", "class_name": "eval", "config": {"source": "1"}},
        {"module": "keras.models", "class_name": "load_model", "config": {"filepath": "other.keras"}},
        {"module": "keras.models", "class_name": "function", "config": "save_model"},
        {"module": "lamina.files", "class_name": "save_model", "config": {}},
        {"module": "subprocess", "class_name": "Popen", "config": {"args": ["touch", "broken"]}},
        {"module": "keras.layers", "class_name": "__class__", "config": {}},
        {"class_name": "__lambda__", "config": {"value": "4wA="}},
        {"module": "torch.nn", "class_name": "Linear", "config": {"in_features": 1, "out_features": 1}},
    ],
    ids=lambda entry: f"{entry.get('module')}.{entry['class_name']}",
)
def test_configs_make_nothing_but_layers(entry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": [entry]}}
    with pytest.raises(ValueError):
        keras.models.load_model(_archive(Path("m.keras"), config=json.dumps(config)))
    activation = {"module": "keras.layers", "class_name": "Activation", "config": {"activation": entry}}
    config["config"]["layers"] = [activation]
    with pytest.raises(ValueError):
        keras.models.load_model(_archive(Path("m.keras"), config=json.dumps(config)))
    assert [path.name for path in tmp_path.iterdir()] == ["m.keras"]


# Damage and malice -----------------------------------------------------------------------------------------------


def _archive(path, config=None, weights=None, method=zipfile.ZIP_STORED, extra=()):
    source = RECORDED / "multi_io.keras"
    with zipfile.ZipFile(source) as good, zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("metadata.json", good.read("metadata.json"))
        archive.writestr("config.json", good.read("config.json") if config is None else config)
        archive.writestr("model.weights.h5", good.read("model.weights.h5") if weights is None else weights)
        for name, content in extra:
            archive.writestr(name, content)
    return path


def _weights(change):
    """The weights of multi_io after `change(file)`."""
    with zipfile.ZipFile(RECORDED / "multi_io.keras") as good:
        buffer = io.BytesIO(good.read("model.weights.h5"))
    with h5py.File(buffer, "r+") as file:
        change(file)
    return buffer.getvalue()


KERNEL = "layers/dense/vars/0"


def _soft_link(file):
    del file[KERNEL]
    file[KERNEL] = h5py.SoftLink("/layers/dense/vars/1")


def _external_link(file):
    del file["layers/dense"]
    file["layers/dense"] = h5py.ExternalLink("/etc/passwd", "/")


def _external_storage(file):
    del file[KERNEL]
    file.create_dataset(KERNEL, (5, 6), "f4", external=[("/etc/passwd", 0, 120)])


def _virtual(file):
    del file[KERNEL]
    layout = h5py.VirtualLayout((5, 6), "f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (5, 6))
    file.create_virtual_dataset(KERNEL, layout)


def _huge(file):
    del file[KERNEL]
    file.create_dataset(KERNEL, (1 << 40,), "f4", chunks=(1 << 20,))


def _hollow(file):
    del file["optimizer/vars/2"]
    file.create_dataset("optimizer/vars/2", (1 << 20, 1 << 20), "f4", chunks=(1024, 1024))


def _texts(file):
    del file[KERNEL]
    file.create_dataset(KERNEL, data=np.array([b"x"] * 30, object).reshape(5, 6), dtype=h5py.string_dtype())


def _group_for_array(file):
    del file[KERNEL]
    file.create_group(KERNEL)


def _loop(file):
    file["layers/dense/again"] = file["layers"]


def _many_ways(file):
    """2 ** 60 paths to one group."""
    file.create_group("q0")
    for i in range(60):
        file[f"q{i + 1}/a"] = file[f"q{i + 1}/b"] = file[f"q{i}"]


def _two_links(file):
    """One array of 4 MB under two thousand names."""
    first = file.create_dataset("optimizer/vars/1000", data=np.ones(1 << 20, "f4"), compression="gzip")
    for i in range(1001, 3000):
        file[f"optimizer/vars/{i}"] = first


def _chunk(file):
    """A small array in a chunk of 128 MB."""
    del file[KERNEL]
    file.create_dataset(KERNEL, (5, 6), "f4", chunks=(1 << 13, 1 << 12), maxshape=(None, None), compression="gzip")


def _quadruple(file):
    del file[KERNEL]
    file[KERNEL] = np.zeros((5, 6), "f16" if np.dtype("longdouble").itemsize == 16 else "S3")


def _no_values(file):
    del file[KERNEL]
    file[KERNEL] = h5py.Empty("f4")


def _missing(file):
    del file["layers/dense"]


def _surplus(file):
    file["layers/dense_9/vars/0"] = np.zeros(3)


@pytest.mark.parametrize(
    "change, message",
    [
        (_soft_link, "link"),
        (_external_link, "link"),
        (_external_storage, "another file"),
        (_virtual, "another file"),
        (_huge, "declares"),
        (_hollow, "declares"),
        (_texts, "instead of numbers"),
        (_group_for_array, "no array"),
        (_loop, "several places"),
        (_many_ways, "several places"),
        (_two_links, "declare"),
        (_chunk, "declares"),
        (_quadruple, "instead of numbers"),
        (_no_values, "no array"),
        (_missing, "layers/dense: expected 2 arrays"),
        (_surplus, "no such layer"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_hostile_weights_are_refused(change, message, tmp_path):
    path = _archive(tmp_path / "m.keras", weights=_weights(change))
    with pytest.raises(ValueError, match=rf"m\.keras.*{message}"):
        keras.models.load_model(path)
    model = keras.models.load_model(RECORDED / "multi_io.keras")
    before = [weight.detach().clone() for weight in [*model.weights, *model.optimizer.variables]]
    with pytest.raises(ValueError, match=rf"m\.keras.*{message}"):
        model.load_weights(path)
    assert same([*model.weights, *model.optimizer.variables], before)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda path: path.write_bytes(b""), "no model file"),
        (lambda path: path.write_bytes(b"hello, I am no model"), "no model file"),
        (lambda path: path.write_bytes(path.read_bytes()[:20000]), "m.keras"),
        (lambda path: path.write_bytes(path.read_bytes()[:-400]), "m.keras"),
        (lambda path: path.write_bytes(path.read_bytes().replace(b"__keras_tensor__", b"__keras_tensor_!", 1)), "CRC"),
        (lambda path: _archive(path, config="{"), "m.keras"),
        (lambda path: _archive(path, config="[" * 100_000), "m.keras"),
        (lambda path: _archive(path, config="3"), "no model"),
        (lambda path: _archive(path, config='{"class_name": "Dense", "config": {"units": 3}}'), "m.keras"),
        (lambda path: _archive(path, config='{"class_name": "Functional", "config": {"layers": [{}]}}'), "m.keras"),
        (lambda path: _archive(path, weights=b"no hdf5"), "m.keras"),
        (lambda path: _archive(path, weights=_weights(lambda file: None)[:-2000]), "m.keras"),
        (lambda path: _archive(path, config=b" " * (1 << 24), method=zipfile.ZIP_LZMA), "declares"),
        (lambda path: _archive(path, extra=[(f"assets/{i}", b"") for i in range(10_001)]), "members"),
        (lambda path: zipfile.ZipFile(path, "w").close(), "m.keras"),
    ],
)
def test_damaged_archives_give_one_clear_error(change, message, tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes((RECORDED / "multi_io.keras").read_bytes())
    change(path)
    with pytest.raises(ValueError, match=message) as caught:
        keras.models.load_model(path)
    assert "m.keras" in str(caught.value)


@pytest.mark.parametrize("units", [10**9, 2**40, 2**62, 2**70])
def test_a_config_cannot_ask_for_more_memory_than_its_file_could_fill(units, tmp_path):
    config = json.loads(sequential().to_json())
    config["config"]["layers"][1]["config"]["units"] = units
    path = _archive(tmp_path / "m.keras", config=json.dumps(config))
    with pytest.raises(ValueError, match=r"m\.keras") as caught:
        keras.models.load_model(path)
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("settings", [[1], "adam", 7, {"optimizer": 3}, {"fit": 1}, {"steps_per_execution": -1}])
def test_compile_settings_of_the_wrong_kind_are_refused_and_may_be_left_out(settings, tmp_path):
    config = {**json.loads(sequential().to_json()), "compile_config": settings}
    with io.BytesIO() as weights:
        with h5py.File(weights, "w") as file:
            tree.write(sequential(), file)
        path = _archive(tmp_path / "m.keras", config=json.dumps(config), weights=weights.getvalue())
    with pytest.raises(ValueError, match=r"m\.keras: cannot compile.*compile=False"):
        keras.models.load_model(path)
    assert not keras.models.load_model(path, compile=False).compiled


def test_an_optimizer_that_cannot_take_its_state_keeps_the_old_one(tmp_path):
    def change(file):
        del file["optimizer/vars/3"]
        file["optimizer/vars/3"] = np.ones((9, 9))

    path = _archive(tmp_path / "m.keras", weights=_weights(change))
    model = keras.models.load_model(RECORDED / "multi_io.keras")
    before = [weight.detach().clone() for weight in [*model.weights, *model.optimizer.variables]]
    with pytest.raises(ValueError, match=r"m\.keras: the weights do not fit"):
        model.load_weights(path)
    assert same([*model.weights, *model.optimizer.variables], before)


def test_numbers_in_the_other_byte_order_are_read(tmp_path):
    def change(file):
        values = file[KERNEL][()]
        del file[KERNEL]
        file[KERNEL] = values.astype(values.dtype.newbyteorder("S"))

    path = _archive(tmp_path / "m.keras", weights=_weights(change))
    assert same(keras.models.load_model(path).weights, keras.models.load_model(RECORDED / "multi_io.keras").weights)


def test_two_members_of_one_name_are_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"):
        path = _archive(tmp_path / "m.keras", extra=[("config.json", "{}")])
    with pytest.raises(ValueError, match="two members"):
        keras.models.load_model(path)


def test_a_lying_size_in_the_directory_is_caught(tmp_path):
    path = _archive(tmp_path / "m.keras")
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02", 0, data.rindex(b"model.weights.h5"))
    struct.pack_into("<I", data, entry + 24, 0xFFFFFFF0)
    path.write_bytes(data)
    with pytest.raises(ValueError, match="declares"):
        keras.models.load_model(path)


@pytest.mark.parametrize("cut", [100, 5000, 20000])
def test_damaged_hdf5_gives_one_clear_error(cut, tmp_path):
    path = tmp_path / "m.h5"
    path.write_bytes((RECORDED / "multi_io.h5").read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"m\.h5.*damaged"):
        keras.models.load_model(path)
    with pytest.raises(ValueError, match=r"m\.h5.*damaged"):
        sequential().load_weights(path)


def test_hdf5_without_a_model_and_links_in_it(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(ValueError, match="no architecture"):
        keras.models.load_model(tmp_path / "a.h5")
    path = tmp_path / "b.h5"
    path.write_bytes((RECORDED / "multi_io.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        del file["model_weights/dense_2/dense_2/kernel"]
        file["model_weights/dense_2/dense_2/kernel"] = h5py.SoftLink("/model_weights/dense_3/dense_3/kernel")
    with pytest.raises(ValueError, match="link"):
        keras.models.load_model(path)


def test_missing_files_and_wrong_names(tmp_path):
    model = sequential()
    with pytest.raises(ValueError, match="no file"):
        keras.models.load_model(tmp_path / "no.keras")
    for load in (keras.models.load_model, model.load_weights):
        with pytest.raises(FileNotFoundError, match="no file"):
            load(tmp_path / "no.h5")
    with pytest.raises(ValueError, match=r"end in \.keras"):
        model.save(tmp_path / "m.pkl")
    with pytest.raises(ValueError, match=r"end in \.weights\.h5"):
        model.save_weights(tmp_path / "m.h5")
    with pytest.raises(ValueError, match="not built"):
        keras.Sequential([layers.Dense(2)]).save_weights(tmp_path / "m.weights.h5")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5"])
def test_weights_that_misfit_change_nothing(suffix, tmp_path):
    model = sequential()
    (model.save_weights if suffix == ".weights.h5" else model.save)(tmp_path / f"m{suffix}")
    for other in (
        keras.Sequential([keras.Input((4,)), layers.Dense(5), layers.Dense(3)]),
        keras.Sequential([keras.Input((4,)), layers.Dense(5), layers.Dense(2, use_bias=False)]),
        keras.Sequential([keras.Input((4,)), layers.Dense(5)]),
        keras.Sequential([keras.Input((4,)), layers.Dense(5), layers.Dense(2), layers.Dense(2)]),
    ):
        before = [weight.detach().clone() for weight in other.weights]
        with pytest.raises(ValueError, match=f"m{suffix}"):
            other.load_weights(tmp_path / f"m{suffix}")
        assert same(other.weights, before)


def test_a_layer_that_fails_while_reading_is_set_back(tmp_path):
    class Picky(layers.Dense):
        def load_own_variables(self, store):
            self.kernel.assign(store["0"])
            raise ValueError("I do not like the bias.")

    model = keras.Sequential([keras.Input((3,)), layers.Dense(3), Picky(2)])
    model.save_weights(tmp_path / "m.weights.h5")
    for weight in model.weights:
        weight.assign(torch.ones(weight.shape))
    with pytest.raises(ValueError, match="do not like"):
        model.load_weights(tmp_path / "m.weights.h5")
    assert all(bool((weight == 1).all()) for weight in model.weights)


# Writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5"])
@pytest.mark.parametrize("where", ["h5py.Group.create_dataset", "os.fsync"])
def test_a_failing_save_leaves_the_old_file(suffix, where, tmp_path, monkeypatch):
    model = sequential()
    path = tmp_path / f"m{suffix}"
    save = model.save_weights if suffix == ".weights.h5" else model.save
    save(path)
    before = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if where == "os.fsync":
            patch.setattr(os, "fsync", full)
        else:
            patch.setattr(h5py.Group, "create_dataset", full)
            patch.setattr(h5py.Group, "__setitem__", full)
        with pytest.raises(OSError, match="No space left"):
            save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("count", "length"), [(6000, 9), (300, 250)])
def test_hdf5_holds_more_names_than_one_attribute_may(count, length, tmp_path):
    names = [f"{'n' * (length - 4)}{k:04}" for k in range(count)]
    with h5py.File(tmp_path / "names.h5", "w") as file:
        h5._write_texts(file, "layer_names", names)
        assert safe.texts(file, "layer_names") == names
        for value in file.attrs.values():
            assert value.dtype.kind == "S" and value.nbytes < 1 << 16


def test_replacing_keeps_mode_links_and_new_folders(tmp_path):
    target = tmp_path / "real.keras"
    target.write_text("old")
    target.chmod(0o640)
    link = tmp_path / "link.keras"
    link.symlink_to(target)
    with safe.replacing(link) as fresh:
        fresh.write_text("new")
    assert link.is_symlink() and target.read_text() == "new" and target.stat().st_mode & 0o777 == 0o640
    with safe.replacing(tmp_path / "a" / "b" / "c.h5") as fresh:
        fresh.write_text("x")
    assert (tmp_path / "a" / "b" / "c.h5").read_text() == "x"


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5", ".safetensors"])
def test_the_disk_is_waited_for_where_an_old_file_could_be_lost(suffix, tmp_path, monkeypatch):
    model, waits = sequential(), []
    save = model.save if suffix in (".keras", ".h5") else model.save_weights
    monkeypatch.setattr(os, "fsync", lambda handle: waits.append(os.fstat(handle).st_size))
    save(tmp_path / f"m{suffix}")
    assert waits == []
    save(tmp_path / f"m{suffix}")
    assert waits == [(tmp_path / f"m{suffix}").stat().st_size]


_KILLED = """
import os, sys
from pathlib import Path
from typing import Any
import lamina as keras

model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
held = len(sys.argv) > 2
replace = Path.replace

def stopped(*paths):
    (print("ready", flush=True), sys.stdin.read()) if held else os.kill(os.getpid(), 9)
    return replace(*paths)

Path.replace = stopped
(model.save_weights if sys.argv[1].endswith(("weights.h5", "safetensors")) else model.save)(sys.argv[1])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")
@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5", ".safetensors"])
def test_the_next_save_removes_what_killed_ones_left(suffix, tmp_path):
    model, path = sequential(), tmp_path / f"{'n' * 60}{suffix}"
    save = model.save_weights if suffix in (".weights.h5", ".safetensors") else model.save
    other = tmp_path / f".other{suffix}.0123456789ab.tmp"
    other.write_text("x")
    named = tmp_path / f".{path.name[:40]}.notes.tmp"
    named.write_text("x")
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(path)], check=False)
    assert killed.returncode == -9
    assert len([*tmp_path.glob(".nnn*.tmp")]) == 2
    save(path)
    assert set(tmp_path.iterdir()) == {path, other, named}


@pytest.mark.skipif(sys.platform == "win32", reason="the test asks for what flock tells")
@pytest.mark.parametrize("name", ["m.keras", "m.safetensors"])
def test_a_save_leaves_others_of_that_name_alone(name, tmp_path):
    model, path = sequential(), tmp_path / name
    save = model.save if name == "m.keras" else model.save_weights
    command = [sys.executable, "-c", _KILLED, str(path), "held"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as beside:
        assert beside.stdout.readline() == "ready\n"
        save(path)
        written = path.read_bytes()
        assert len([*tmp_path.glob(".m.*.tmp")]) == 1
        beside.communicate()
    assert beside.returncode == 0
    assert [*tmp_path.iterdir()] == [path]
    assert path.read_bytes() != written  # the later one stands


def test_names_as_long_as_the_system_allows_and_folders_that_are_files(tmp_path):
    model = sequential()
    for suffix in (".keras", ".h5"):
        path = tmp_path / f"{'n' * (255 - len(suffix))}{suffix}"
        model.save(path, save_format="of Keras 2")
        assert same(keras.models.load_model(path).weights, model.weights)
        with pytest.raises(NotADirectoryError, match=f"{path.name}.x.keras"):
            model.save(path / "x.keras")
        (tmp_path / f"folder{suffix}").mkdir()
        with pytest.raises(IsADirectoryError, match=f"folder{suffix}'$"):
            model.save(tmp_path / f"folder{suffix}")
    assert not list(tmp_path.glob(".*"))


def test_overwriting_has_to_be_allowed(tmp_path, monkeypatch):
    model = sequential()
    path = tmp_path / "m.keras"
    model.save(path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        model.save(path, overwrite=False)
    monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda self: True})())
    monkeypatch.setattr("builtins.input", lambda prompt: "n")
    model.save(path, overwrite=False)
    assert path.read_bytes() == before
    monkeypatch.setattr("builtins.input", lambda prompt: "y")
    sequential().save(path, overwrite=False)
    assert path.read_bytes() != before


# Configs and clones ----------------------------------------------------------------------------------------------


def test_config_of_a_functional_model_has_the_form_of_keras():
    entry = next(entry for entry in MODELS if entry["name"] == "multi_io")
    theirs = json.loads((RECORDED / f"{entry['name']}.json").read_text())
    ours = json.loads(keras.models.model_from_json(json.dumps(theirs)).to_json())
    assert {key: ours[key] for key in ("module", "class_name", "registered_name", "build_config")} == {
        key: theirs[key] for key in ("module", "class_name", "registered_name", "build_config")
    }
    config, expected = ours["config"], theirs["config"]
    assert {key: value for key, value in config.items() if key != "layers"} == {
        key: value for key, value in expected.items() if key != "layers"
    }
    for one, two in zip(config["layers"], expected["layers"], strict=True):
        assert {key: value for key, value in one.items() if key != "config"} == {
            key: value for key, value in two.items() if key != "config"
        }


def test_node_lists_of_keras_2():
    def tensor(name, node=0, index=0):
        return [name, node, index, {}]

    def dense(name, units, *nodes):
        config = {"name": name, "units": units}
        return {"name": name, "class_name": "Dense", "config": config, "inbound_nodes": [[node] for node in nodes]}

    start = {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 4], "name": "in"}, "inbound_nodes": []}
    inner = {
        "name": "inner",
        "layers": [{**start, "name": "in"}, dense("d", 4, tensor("in"))],
        "input_layers": [["in", 0, 0]],
        "output_layers": [["d", 0, 0]],
    }
    config = {
        "name": "outer",
        "layers": [
            {**start, "name": "in"},
            {
                "name": "inner",
                "class_name": "Model",
                "config": inner,
                "inbound_nodes": [[tensor("in")], [tensor("inner", 1)]],
            },
            {
                "name": "sum",
                "class_name": "Add",
                "config": {"name": "sum", "trainable": True},
                "inbound_nodes": [[tensor("inner", 1), tensor("inner", 2)]],
            },
        ],
        "input_layers": [["in", 0, 0]],
        "output_layers": [["sum", 0, 0]],
    }
    model = keras.Model.from_config(config)
    x = torch.randn(2, 4)
    once = model.get_layer("inner")(x)
    assert torch.equal(model(x), once + model.get_layer("inner")(once))


def test_loops_and_missing_layers_in_a_config():
    config = json.loads(json.dumps(shared_and_operators().get_config()))
    broken = json.loads(json.dumps(config).replace('["a", 0, 0]', '["nobody", 0, 0]'))
    with pytest.raises(ValueError, match="nobody"):
        keras.Model.from_config(broken)
    broken = json.loads(json.dumps(config).replace('["a", 0, 0]', '["shared", 7, 0]'))
    with pytest.raises(ValueError, match="loops"):
        keras.Model.from_config(broken)


@pytest.mark.parametrize("merge", [layers.Add, layers.Multiply, layers.Average, layers.Maximum])
def test_masks_in_a_config_may_be_called_as_those_that_layers_make(merge, tmp_path):
    """Keras records the operations on masks under automatic names; layers that are called anew use these up again."""
    words = keras.Input((6,), dtype="int32")
    first, second = (layers.Embedding(9, 4, mask_zero=True)(words) for _ in range(2))
    mask = keras.ops.logical_or(words != 0, words == 5)
    mask = keras.ops.logical_or(mask, words == 3)
    x = layers.Multiply()([merge()([first, second]), second])
    model = keras.Model(words, layers.GRU(3)(x, mask=mask))
    model.save(tmp_path / "model.keras")
    keras.utils.clear_session()
    loaded = keras.models.load_model(tmp_path / "model.keras")
    drawn = np.random.default_rng(0).integers(0, 9, (5, 6))
    assert np.array_equal(loaded.predict(drawn, verbose=0), model.predict(drawn, verbose=0))
    assert [item["name"] for item in loaded.get_config()["layers"]] == [
        item["name"] for item in model.get_config()["layers"]
    ]


def test_functions_without_a_name_in_keras_cannot_be_written():
    x = keras.Input((4,))
    model = keras.Model(x, torch.special.bessel_j0(x))
    with pytest.raises(ValueError, match="special_bessel_j0"):
        model.get_config()


def test_a_model_may_start_inside_another_graph():
    x = keras.Input((4,))
    middle = layers.Dense(3)(x)
    model = keras.Model(middle, layers.Dense(2)(middle))
    assert [type(layer).__name__ for layer in model.layers] == ["InputLayer", "Dense"]
    again = keras.models.model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    assert torch.equal(again(torch.ones(1, 3)), model(torch.ones(1, 3)))


def test_functions_are_not_run_again_to_copy_a_model_on_the_same_shapes():
    x = keras.Input((4, None))
    runs = []

    def counted(values):
        runs.append(values.shape)
        return values * 1

    y = keras.ops.concatenate([apply(counted, x), x + 1.0], axis=1)
    model = keras.Model(x, y)
    before = len(runs)
    copied = keras.models.clone_model(model)
    assert len(runs) == before and copied.output.shape == y.shape == (None, 8, None)
    other = keras.models.clone_model(model, input_tensors=keras.Input((6, 3)))
    assert len(runs) > before and other.output.shape == (None, 12, 3)
    values = torch.arange(24.0).reshape(2, 4, 3)
    assert torch.equal(copied(values), model(values))
    assert torch.equal(
        other(torch.ones(2, 6, 3)), torch.tensor([1.0] * 18 + [2.0] * 18).reshape(1, 12, 3).expand(2, -1, -1)
    )


@pytest.mark.parametrize("build", ROUND_TRIPS, ids=lambda build: build.__name__)
def test_clones_have_weights_of_their_own(build):
    model = build()
    clone = keras.models.clone_model(model, recursive=build is not subclassed)
    assert type(clone) is type(model) and [w.shape for w in clone.weights] == [w.shape for w in model.weights]
    assert not {id(weight) for weight in clone.weights} & {id(weight) for weight in model.weights}
    clone.set_weights(model.get_weights())
    x = sample(model)
    expected = model(x)
    assert same(clone(x), expected)
    clone.set_weights([weight + 1 for weight in clone.get_weights()])
    assert same(model(x), expected) and not same(clone(x), expected)


def test_clone_functions():
    model = nested()
    doubled = keras.models.clone_model(
        model,
        clone_function=lambda layer: type(layer).from_config({**layer.get_config(), "use_bias": False}),
        call_function=lambda layer, *args, **kwargs: layer(*args, **kwargs) * 2,
        recursive=True,
    )
    assert sum(weight.ndim == 1 for weight in doubled.weights) == 0
    with pytest.raises(ValueError, match="sequential"):
        keras.models.clone_model(sequential(), call_function=lambda layer, x: x)
    with pytest.raises(ValueError, match="config alone"):
        keras.models.clone_model(subclassed(), clone_function=lambda layer: layer)


@pytest.mark.parametrize("tensors", [[], np.ones((2, 4)), lambda: [keras.Input((4,)), keras.Input((4,))]])
def test_clones_want_one_symbolic_tensor_for_each_input(tensors):
    x = keras.Input((4,))
    for model in (sequential(), keras.Model(x, layers.Dense(2)(x))):
        with pytest.raises(ValueError, match="must be 1 symbolic tensor"):
            keras.models.clone_model(model, input_tensors=tensors() if callable(tensors) else tensors)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "cumsum", "flip", "transpose", "mean", "argmax", "squeeze"])
def test_functions_keep_their_defaults(name: str) -> None:
    x = keras.Input(batch_shape=(2, 3))
    model = keras.Model(x, getattr(keras.ops, name)(x))
    values = torch.randn(2, 3)
    assert torch.equal(keras.Model.from_config(model.get_config())(values), model(values))


def test_functions_of_ops_are_stored_by_name(tmp_path: Path) -> None:
    x = keras.Input((4, 3))
    joined = keras.ops.concatenate([keras.layers.Dense(3)(x), keras.ops.relu(x) * 2], axis=-1)
    model = keras.Model(x, keras.ops.expand_dims(keras.ops.mean(joined, axis=1, keepdims=True), 0)[0])
    model.save(tmp_path / "ops.keras")
    data = torch.randn(2, 4, 3)
    torch.testing.assert_close(keras.models.load_model(tmp_path / "ops.keras")(data), model(data))
    entries = {layer["class_name"]: layer for layer in model.get_config()["layers"]}
    assert {"axis": 1, "keepdims": True}.items() <= entries["Mean"]["config"].items()


def test_nothing_fails_unseen_after_saving_and_loading(tmp_path: Path) -> None:
    """What fails while objects go is told by a Python in its development mode alone, from 3.13 on by all."""
    code = """
import lamina, sys
model = lamina.Sequential([lamina.Input((3,)), lamina.layers.Dense(2)])
for name in ("a.keras", "a.h5", "a.weights.h5", "a.safetensors"):
    path = f"{sys.argv[1]}/{name}"
    plain = name.count(".") == 1 and not name.endswith("safetensors")
    model.save(path) if plain else model.save_weights(path)
    lamina.models.load_model(path) if plain else model.load_weights(path)
"""
    command = [sys.executable, "-X", "dev", "-W", "ignore", "-c", code, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stderr == ""


@pytest.mark.parametrize("compiled", [True, False])
def test_models_in_open_files(compiled: bool) -> None:
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    if compiled:
        model.compile("adam", "mse")
        model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    held = io.BytesIO()
    model.save(held)
    loaded = keras.saving.load_model(io.BytesIO(held.getvalue()))
    assert np.array_equal(loaded.predict(np.ones((1, 3)), verbose=0), model.predict(np.ones((1, 3)), verbose=0))
    assert loaded.compiled is compiled
    with pytest.raises(ValueError, match="damaged, or no model file"):
        keras.saving.load_model(io.BytesIO(b"nothing at all"))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_registered_class_takes_no_place_of_keras_own(suffix, tmp_path, monkeypatch):
    from lamina.core import serialize

    monkeypatch.setattr(serialize, "_registered", {**serialize._registered})
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, activation="relu")])
    model.save(tmp_path / f"m{suffix}")

    @keras.saving.register_keras_serializable()
    class Dense(layers.Layer):
        def call(self, inputs):
            return inputs

    @keras.saving.register_keras_serializable()
    def relu(x):
        return x

    again = keras.load_model(tmp_path / f"m{suffix}")
    assert type(again.layers[0]) is layers.Dense and again.layers[0].activation is keras.activations.relu
    if suffix == ".h5":  # which has no modules: who names it means it
        with pytest.raises(ValueError, match="no argument `units`"):
            keras.load_model(tmp_path / "m.h5", custom_objects={"Dense": Dense})


class _Pairs(keras.Model):
    """Layers in lists inside lists and dictionaries."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.blocks = [(keras.layers.Dense(4), [keras.layers.Dense(4)]) for _ in range(2)]
        self.branches = {"a": keras.layers.Dense(4), "b": [keras.layers.Dense(3)]}
        self.out = keras.layers.Dense(2)

    def call(self, x):
        for first, (second,) in self.blocks:
            x = second(first(x))
        return self.out(self.branches["b"][0](self.branches["a"](x)))


def test_layers_in_nested_lists_of_files_before_keras_3_15_1(tmp_path):
    """They stood among `layers` alone."""
    model, other = _Pairs(), _Pairs()
    x = torch.rand(3, 5)
    expected = model(x)
    assert not torch.equal(other(x), expected)
    with h5py.File(tmp_path / "old.weights.h5", "w") as file:
        tree.write(model, file, walk=functools.partial(tree.saveables, below=tree.outermost))
        assert {"dense", "dense_1", "dense_2", "dense_3"} <= {*file["layers"]} and "blocks" not in file
    other.load_weights(tmp_path / "old.weights.h5")
    assert torch.equal(other(x), expected)
    model.save_weights(tmp_path / "new.weights.h5")
    with h5py.File(tmp_path / "new.weights.h5") as file:
        assert {*file["blocks"]} == {"container", "container_1"}
