"""Words of users and files (names, keywords, arguments) reach a plan as objects: no text of theirs is ever executed."""

from __future__ import annotations

import copy
import io
import json
import keyword
import re
import sys
import tokenize
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import lamina as keras
from lamina import layers, ops
from lamina.files import object_graph  # noqa: F401 - loaded before anything is watched, as its types are compiled

SPACES = ["lamina", "keras1", "keras2", "tf_keras"]
HOSTILE = "a=0)\n    return o(x0)\n__import__('os').system('exit 7')\ndef u(x0):\n    dict(b"
ODD = [
    HOSTILE, "x1", "x0", "f0", "c0", "constant_5", "plan", "training", "scope", "torch", "leaves", "answered", "class",
    "None", "a b", "x²", "µ", "ª", "\uff41", "ﬁ", "a\0b", "\n", "'", "\\", "#", "{", "}", "{x0}", "%s", "", " ", ".",
    "..", "self", "inputs", "__class__", "call", "lambda", "é", "層", "\u202e", "\ud800", "0", "-1", "a.b", "weights",
]  # fmt: skip
WORDS = st.one_of(st.sampled_from(ODD), st.text(max_size=30))
fuzz = settings(max_examples=60, deadline=None)

# What ran while it was watched: everything that Python compiles, executes, imports or starts.
_events: list[tuple[str, Any]] | None = None


def _note(event: str, args: Any) -> None:
    if _events is not None and (event in ("exec", "compile", "import") or event.split(".")[0] in ("os", "subprocess")):
        _events.append((event, args))


sys.addaudithook(_note)  # for ever: there is no way to take it back


@contextmanager
def watched() -> Iterator[list[tuple[str, Any]]]:
    global _events
    _events = found = []
    try:
        yield found
    finally:
        _events = None


def check_ran_nothing(events: list[tuple[str, Any]]) -> None:
    for event, args in events:
        if event == "exec" and args[0].co_filename == "<plan>":
            continue
        if event == "compile" and args[1] == "<plan>":
            check_words((args[0] or b"").decode() if isinstance(args[0], bytes) else args[0])
            continue
        assert event not in ("exec", "compile") or "site-packages" in str(args) or "<string>" not in str(args), args
        assert not event.startswith(("os.system", "os.exec", "os.spawn", "os.posix_spawn", "subprocess")), (event, args)


PROGRAM = {"plan", "training", "scope", "torch", "to", "leaves", "answered", "unflatten", "relu", "time_first"}
PROGRAM |= {"inputs", "mask", "initial_state", "_keras_mask", *(f"float{n}" for n in (16, 32, 64)), "bfloat16"}


def check_words(source: str | None) -> None:
    """Raises AssertionError where a plan's source holds a word that is not of its own making."""
    for token in tokenize.generate_tokens(io.StringIO(source or "").readline):
        assert token.type not in (tokenize.STRING, tokenize.COMMENT), token
        if token.type == tokenize.NAME and not re.fullmatch(r"[xfc]\d+", token.string):
            assert token.string in PROGRAM or keyword.iskeyword(token.string), token


X = np.linspace(-1, 1, 8, dtype="float32").reshape(2, 4)


def model_with(name: str | None = None, layer: str | None = None, other: str | None = None) -> Any:
    inputs = keras.Input((4,), name="i")
    a = layers.Dense(3, kernel_initializer="ones", name=layer)(inputs)
    b = layers.Dense(3, kernel_initializer="ones", name=other)(ops.add(inputs, 0.5))
    return keras.Model(inputs, layers.Add(name="sum")([a, b]), name=name)


EXPECTED = model_with().predict(X, verbose=0)


def same_or_refused(make: Callable[[], Any], refusal: type[Exception] | tuple = ValueError) -> None:
    """`make` gives a model that predicts as with plain names, or one error of one line that is not Python's own."""
    with watched() as events:
        try:
            model = make()
        except refusal as error:
            assert not isinstance(error, UnicodeError)
            assert str(error)
        else:
            np.testing.assert_allclose(model.predict(X, verbose=0), EXPECTED, rtol=1e-6)
            assert str(model.plan).count("\n") == model.plan.source.count("\n")
            check_words(model.plan.source)
    check_ran_nothing(events)


@fuzz
@given(WORDS, WORDS, WORDS)
@example("encoder", "encoder", "other")
@example("x1", "x1", "x2")
@example("a", HOSTILE, HOSTILE + "!")
def test_any_name_will_do(model: str, layer: str, other: str) -> None:
    if "/" in model + layer + other:
        with pytest.raises(ValueError, match='must not contain "/"'):
            model_with(model, layer, other)
    elif layer == other and layer:
        with pytest.raises(ValueError, match="unique"):
            model_with(model, layer, other)
    else:
        same_or_refused(lambda: model_with(model, layer, other), ())


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", ["encoder", "x0", "f0", "x²", "class", "a\0b", HOSTILE.replace("/", "")])
def test_a_model_named_like_one_of_its_layers(space: str, name: str, tmp_path: Path) -> None:
    k = getattr(keras, space) if space != "lamina" else keras
    dense = k.layers.Dense(3, name=name, **({} if space == "lamina" else {"input_shape": (4,)}))
    model = k.models.Sequential([*([keras.Input((4,))] if space == "lamina" else []), dense], name=name)
    assert model.predict(X, verbose=0).shape == (2, 3)
    outer = k.models.Sequential([model], name=name)
    assert outer.predict(X, verbose=0).shape == (2, 3)
    model.compile("sgd", "mse")
    model.fit(X, X[:, :3], verbose=0)
    if "\0" not in name:
        model.save(tmp_path / "model.keras" if space == "lamina" else tmp_path / "model.h5")


@pytest.mark.parametrize("name", [word for word in ODD if word and "/" not in word])
@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5"])
def test_models_with_odd_names_are_saved_and_loaded_or_refused(name: str, suffix: str, tmp_path: Path) -> None:
    model, path = model_with(name, name), tmp_path / f"model{suffix}"
    try:
        model.save_weights(path) if suffix == ".weights.h5" else model.save(path)
    except ValueError as error:
        assert "name" in str(error)
        assert not path.exists()
        return
    with watched() as events:
        if suffix == ".weights.h5":
            loaded = model_with()
            loaded.load_weights(path)
        else:
            loaded = keras.models.load_model(path)
            assert loaded.layers[1].name == name
        np.testing.assert_allclose(loaded.predict(X, verbose=0), EXPECTED, rtol=1e-6)
    check_ran_nothing(events)


# Configs ---------------------------------------------------------------------------------------------------------

MODERN = model_with("m", "a", "b").get_config()
LEGACY = {
    "name": "m",
    "layers": [
        {"class_name": "InputLayer", "name": "i", "config": {"batch_input_shape": [None, 4], "name": "i"}},
        *({"class_name": "Dense", "name": n, "config": {"units": 3, "name": n}} for n in "ab"),
        {"class_name": "Add", "name": "add", "config": {"name": "add"}},
    ],
    "input_layers": [["i", 0, 0]],
    "output_layers": [["add", 0, 0]],
}
LEGACY["layers"][0]["inbound_nodes"] = []
for _entry in LEGACY["layers"][1:3]:
    _entry["inbound_nodes"] = [[["i", 0, 0, {}]]]
    _entry["config"]["kernel_initializer"] = "ones"
LEGACY["layers"][3]["inbound_nodes"] = [[["a", 0, 0, {}], ["b", 0, 0, {}]]]


def entry(config: Any, name: str) -> Any:
    return next(layer for layer in config["layers"] if (layer.get("name") or layer["config"]["name"]) == name)


def operation_in(config: Any) -> Any:
    return next(layer for layer in config["layers"] if layer.get("module", "").startswith("keras.src.ops"))


def keywords_of(config: Any, name: str) -> dict[str, Any]:
    node = entry(config, name)["inbound_nodes"][0]
    return node["kwargs"] if isinstance(node, dict) else node[0][3]


def refused_or_the_same(config: Any) -> None:
    """The config gives a model that runs nothing but its layers, or one error: TypeError for an unknown class."""
    with watched() as events:
        try:
            model = keras.Model.from_config(config)
        except ValueError as error:
            assert str(error)
        except TypeError as error:
            assert str(error).startswith("Unknown class")
        else:
            assert model.predict(X, verbose=0).shape == (2, 3)
            check_words(model.plan.source)
    check_ran_nothing(events)


VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), WORDS, st.lists(WORDS, max_size=3))


@fuzz
@given(st.sampled_from(["modern", "legacy"]), st.sampled_from("ab"), WORDS, VALUES)
@example("modern", "a", HOSTILE, 1)
@example("legacy", "a", HOSTILE, 1)
def test_a_keyword_the_call_does_not_take_is_refused(form: str, layer: str, word: str, value: Any) -> None:
    config = copy.deepcopy(MODERN if form == "modern" else LEGACY)
    keywords_of(config, layer)[word] = value
    if word in ("training", "mask", "relu"):
        return
    with watched() as events, pytest.raises(ValueError, match=f"config of model 'm', a call of '{layer}': Dense"):
        keras.Model.from_config(config)
    check_ran_nothing(events)


@fuzz
@given(WORDS, st.sampled_from(["module", "class_name", "registered_name", "dtype", "name", "activation", "option"]))
def test_any_word_in_a_config(word: str, place: str) -> None:
    config = copy.deepcopy(MODERN)
    described = entry(config, "a")
    if place == "option":
        operation_in(config)["config"][word] = word
    elif place in ("module", "class_name", "registered_name"):
        described[place] = word
    else:
        described["config"][place] = word
    refused_or_the_same(config)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("make", ["Dense", "Conv1D", "BatchNormalization", "Dropout", "Flatten", "Activation", "LSTM"])
def test_layers_take_no_keyword_they_do_not_know(space: str, make: str) -> None:
    k = getattr(keras, space) if space != "lamina" else keras
    arguments = {"Dense": (3,), "Conv1D": (3, 2), "Dropout": (0.5,), "Activation": ("relu",), "LSTM": (3,)}
    name = "Convolution1D" if (space, make) == ("keras1", "Conv1D") else make
    layer = getattr(k.layers, name)(*arguments.get(make, ()))
    for x in (k.layers.Input((5, 4)), torch.zeros(2, 5, 4)):
        with pytest.raises(TypeError, match="nonsense"):
            layer(x, nonsense=1)
    assert layer(k.layers.Input((5, 4))) is not None


@fuzz
@given(WORDS, WORDS)
def test_words_of_operations(word: str, other: str) -> None:
    inputs = keras.Input((4,))
    for make in (
        lambda: ops.rearrange(inputs, "b (h w) -> b h w", **{word: 2}),
        lambda: ops.rearrange(inputs, word),
        lambda: ops.einsum(f"{word},{other}->{word}", inputs, inputs),
        lambda: ops.cast(inputs, word),
    ):
        with watched() as events:
            try:
                check_words(keras.Model(inputs, make()).plan.source)
            except (ValueError, TypeError) as error:
                assert str(error)
        check_ran_nothing(events)


# Whole files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".keras", ".h5", "json"])
def test_a_file_runs_nothing(suffix: str, tmp_path: Path) -> None:
    model, path = model_with("m", "a", "b"), tmp_path / f"model{suffix}"

    def spoilt(text: Any) -> str:
        config = json.loads(text)
        keywords_of(config["config"], "a")[HOSTILE] = 1
        return json.dumps(config)

    if suffix == "json":
        call: Callable[[], Any] = lambda: keras.models.model_from_json(spoilt(model.to_json()))  # noqa: E731
    else:
        model.save(path)
        call = lambda: keras.models.load_model(path)  # noqa: E731
        if suffix == ".h5":
            import h5py

            with h5py.File(path, "r+") as file:
                file.attrs["model_config"] = spoilt(file.attrs["model_config"])
        else:
            with zipfile.ZipFile(path) as archive:
                members = {name: archive.read(name) for name in archive.namelist()}
            members["config.json"] = spoilt(members["config.json"]).encode()
            with zipfile.ZipFile(path, "w") as archive:
                for name, content in members.items():
                    archive.writestr(name, content)
    with watched() as events, pytest.raises(ValueError, match="has no argument"):
        call()
    check_ran_nothing(events)


def test_calls_on_constants_are_refused() -> None:
    config = copy.deepcopy(MODERN)
    operation_in(config)["inbound_nodes"][0]["args"][0] = [[1.0] * 4]
    with pytest.raises(ValueError, match="on no tensor of the model"):
        keras.Model.from_config(config)


def test_deep_arguments_are_refused() -> None:
    inputs = keras.Input((4,))
    deep: Any = 1
    for _ in range(60):
        deep = [deep]

    class Takes(layers.Layer):
        def call(self, inputs: torch.Tensor, more: Any = None) -> torch.Tensor:
            return inputs

    with pytest.raises(ValueError, match="nested more than 50 deep"):
        keras.Model(inputs, Takes()(inputs, more=deep))


# Lists and arrays of the caller ----------------------------------------------------------------------------------


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("change", [list.reverse, list.clear, lambda given: given.append(given[0])])
def test_a_list_given_to_a_call_stays_the_callers(space: str, change: Callable[[list], None]) -> None:
    k = getattr(keras, space) if space != "lamina" else keras
    a, b = k.layers.Input((2,)), k.layers.Input((2,))
    both, ends = [a, b], [a, b]
    if space == "keras1":
        outputs = [k.layers.Merge(mode=lambda pair: pair[0] - pair[1], output_shape=lambda s: s[0])(both)]
    else:
        outputs = [k.layers.Subtract()(both)]
    model = k.models.Model(ends, outputs)
    for given_list in (both, ends, outputs):
        change(given_list)
    first, second = np.full((1, 2), 5.0), np.full((1, 2), 3.0)
    found = model.predict([first, second], verbose=0)
    np.testing.assert_array_equal(found[0] if isinstance(found, list) else found, first - second)


def test_dicts_and_arrays_given_to_a_call_stay_the_callers() -> None:
    class Weighed(layers.Layer):
        def call(self, inputs: Any, factors: Any = None) -> torch.Tensor:
            return inputs["a"] * factors["f"][0] + inputs["b"]

    a, b = keras.Input((2,)), keras.Input((2,))
    given_inputs, factors, shift = {"a": a, "b": b}, {"f": [2.0]}, np.ones(2, "float32")
    outputs = Weighed()(given_inputs, factors=factors) + shift
    model = keras.Model([a, b], outputs)
    given_inputs["a"], factors["f"][0], shift[:] = b, 7.0, 100
    x = torch.ones(1, 2)
    torch.testing.assert_close(model([x, 3 * x]), 6 * x)
