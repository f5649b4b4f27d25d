"""What is wrong in a file is told in Lamina's words: the file, the place in it, what was expected, what came."""

from __future__ import annotations

import copy
import json
import re
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

import lamina as keras
from lamina import keras2, layers

VALUES = [None, [], {}, 5, "x", True, [[["a"]]]]

# How Python, torch and h5py word what they stumble over.
THEIRS = re.compile(
    r"unhashable|object is not|not subscriptable|missing \d+ required|argument of type|has no attribute|object has no|"
    r"indices must be|takes \d+ positional|unexpected keyword|not iterable|could not convert|"
    r"must be a (str,|mapping|real)|int\(\) arg|expected str|cannot be interpreted|"
    r"not enough values|too many values|invalid literal|"
    r"unsupported operand|not supported between|object of type|must be str|KeyError|list index|string indices|can't |"
    r"cannot be converted|update sequence|sequence (item|element)|out of bounds|attribute '"
)


def functional():
    steps = keras.Input((6, 4), name="steps")
    x = layers.LSTM(3, name="l", return_sequences=True)(steps)
    x = keras.ops.sum(layers.Dense(2, name="d", activation="relu", kernel_regularizer="l2")(x), axis=1)
    model = keras.Model(steps, layers.Add(name="z")([x, x]), name="m")
    rate = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    model.compile(keras.optimizers.Adam(rate), "mse", metrics=["mae"])
    return model


def sequential():
    model = keras.Sequential([keras.Input((8, 8, 2)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def around():
    steps = keras.Input((6, 4), name="steps")
    return keras.Model(steps, layers.Bidirectional(layers.GRU(2))(layers.TimeDistributed(layers.Dense(3))(steps)))


def older():
    model = keras2.models.Sequential([keras2.layers.LSTM(3, input_shape=(4, 2)), keras2.layers.Dense(2)])
    model.compile("sgd", "mse")
    return model


def _places(node, place=()):
    yield place
    for key, item in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from _places(item, (*place, key))


def _put(config, place, value):
    if not place:
        return value
    config = node = copy.deepcopy(config)
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    return config


def _variants(path, target, chosen):
    """(place, value) of every change, made in the file `target`; `chosen(number of the place)` gives its values."""
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        config = json.loads(members["config.json"])
        for number, place in enumerate(_places(config)):
            for value in chosen(number):
                with zipfile.ZipFile(target, "w") as archive:
                    for name, content in members.items():
                        archive.writestr(
                            name, json.dumps(_put(config, place, value)) if name == "config.json" else content
                        )
                yield place, value
        return
    for attribute in ("model_config", "training_config"):
        with h5py.File(path) as file:
            config = json.loads(file.attrs[attribute]) if attribute in file.attrs else None
        for number, place in enumerate(_places(config)):
            for value in chosen(number):
                target.write_bytes(path.read_bytes())
                with h5py.File(target, "r+") as file:
                    file.attrs[attribute] = json.dumps(_put(config, place, value))
                yield (attribute, *place), value


def _check(make, suffix, folder, chosen):
    make().save(folder / f"m{suffix}")
    target = folder / f"x{suffix}"
    refused = 0
    for place, value in _variants(folder / f"m{suffix}", target, chosen):
        try:
            keras.models.load_model(target)
            continue
        except ValueError as error:
            text = str(error)
        refused += 1
        assert text.startswith(f"{target}: "), (place, value, text)
        text = text.removeprefix(f"{target}: ")
        assert not THEIRS.search(text), (place, value, text)
        if len(place) > 3 and "the weights do not fit" not in text:
            assert re.match(r"[^:]* at [\w.\[\]]+: ", text), (place, value, text)
    assert refused > 40


MODELS = [functional, sequential, around, older]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_one_wrong_value_in_a_config(make, suffix, tmp_path):
    _check(make, suffix, tmp_path, lambda number: [VALUES[number % len(VALUES)]])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_every_wrong_value_in_a_config(make, suffix, tmp_path):
    _check(make, suffix, tmp_path, lambda number: VALUES)


@pytest.mark.parametrize(
    "place, value, message",
    [
        (("config", "layers", 1, "inbound_nodes", 0, "args", 0, "config", "keras_history"), ["steps", None, 0],
         r"at config\.layers\[1\]\.inbound_nodes\[0\]: expected the call of a layer: .*; got \{'args'"),
        (("config", "layers"), 5, r"at config: expected a list of layers and their calls; got 5"),
        (("config", "layers", 2, "config", "units"), "many",
         r"at config\.layers\[2\]\.config: Dense: argument `units` must be a positive integer; got 'many'"),
        (("config", "layers", 2, "build_config"), [4],
         r"at config\.layers\[2\]\.build_config: expected the shapes that Dense was built for; got"),
        (("compile_config", "optimizer", "config"), [],
         r"cannot compile the model.* at compile_config\.optimizer\.config: expected the arguments of Adam; got"),
    ],
)  # fmt: skip
def test_the_place_is_named(place, value, message, tmp_path):
    functional().save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["config.json"] = json.dumps(_put(json.loads(members["config.json"]), place, value)).encode()
    with zipfile.ZipFile(tmp_path / "x.keras", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match=rf"x\.keras.*{message}"):
        keras.models.load_model(tmp_path / "x.keras")


@keras.saving.register_keras_serializable("messages")
class Theirs(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def call(self, x):
        return x

    def get_config(self):
        return {**super().get_config(), "units": self.units, "extra": 1}


def test_errors_of_other_peoples_classes_keep_their_words(tmp_path):
    keras.Sequential([keras.Input((3,)), Theirs(2)]).save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match=r"at config\.layers\[1\]\.config: .*extra"):
        keras.models.load_model(tmp_path / "m.keras")


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda folder: sequential().save(None), "save_model: expected the path of a file; got None"),
        (lambda folder: sequential().save_weights(3), "save_weights: expected the path of a file; got 3"),
        (lambda folder: sequential().load_weights(None), "load_weights: expected the path of a file; got None"),
        (lambda folder: keras.models.load_model(3), "load_model: expected the path of a file; got 3"),
        (lambda folder: keras.models.load_model(folder / "m.keras", [layers.Dense]), "`custom_objects` must be a dict"),
        (
            lambda folder: keras.Sequential.from_config(5),
            r"Sequential\.from_config: expected a .*list; got 5",
        ),
        (lambda folder: keras.Model.from_config(5), r"Model\.from_config: expected a dictionary.*; got 5"),
        (lambda folder: layers.Dense.from_config(5), r"Dense\.from_config: expected a dictionary.*; got 5"),
    ],
)
def test_wrong_arguments(call, message, tmp_path: Path):
    with pytest.raises(TypeError, match=message):
        call(tmp_path)


@pytest.mark.parametrize("name", ["a\x1b[2J", "a\x9b31m", "\x07", "a\x08", "a\rb", "\u202eabc", "[bold", "[red]a"])
def test_names_of_a_file_do_nothing_to_a_terminal(name, tmp_path, capsys):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2, name=name)], name=name)
    model.save_weights(tmp_path / "m.weights.h5")

    def refused():
        with pytest.raises(ValueError) as caught:
            model.layers[0](np.ones((2, 5)))
        return str(caught.value)

    printers = {
        "summary": model.summary, "profile": lambda: print(keras.profile(model, batch_size=1, seconds=0.01)),
        "repr": lambda: print(model, model.layers[0]), "error": lambda: print(refused()),
        "editor": lambda: keras.saving.KerasFileEditor(str(tmp_path / "m.weights.h5")).summary(),
    }  # fmt: skip
    for printer, run in printers.items():
        run()
        text = capsys.readouterr().out
        assert not [letter for letter in name if letter in text and not letter.isprintable()], printer
        assert name in text or not name.isprintable() or printer == "editor", printer
