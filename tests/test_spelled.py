"""A layer's code of each generation makes that layer in that generation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.examples import EXAMPLES, halved, public_layers

import lamina as keras
import lamina.keras1
import lamina.keras2
import lamina.tf_keras
from lamina.generations.modernize import _Modernizer
from lamina.pictures.said import LANGUAGES
from lamina.pictures.spelled import GENERATIONS, OUTPUT_SHAPE, _arguments, forms, spelled, spelling_table, why_not

L = keras.layers
SPACES: dict[str, Any] = {
    "keras1": lamina.keras1, "keras2": lamina.keras2, "tf_keras": lamina.tf_keras, "keras3": keras
}  # fmt: skip
LAYERS = [example for example in EXAMPLES if example.name not in ("Squash", "TorchModuleWrapper")]


def made(text: str, generation: str) -> Any:
    """The layer that a text makes."""
    space = SPACES[generation]
    names = {name: getattr(space, name) for name in ("initializers", "regularizers", "constraints")}
    return eval(text, {"halved": halved}, _Names(space.layers, names))


class _Names(dict):
    def __init__(self, layers: Any, others: dict[str, Any]):
        super().__init__(others)
        self.layers = layers

    def __missing__(self, name: str) -> Any:
        if name == "halved":
            raise KeyError(name)
        return getattr(self.layers, name)


def plain(value: Any, generation: str) -> Any:
    """A config without names, types and what only says how first values are drawn or a mask is shown."""
    if isinstance(value, dict):
        if value.get("class_name") in ("L1", "L2"):
            return {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.0, **value["config"]}}
        if value.get("class_name") == "VarianceScaling" or (value.get("class_name") == "Orthogonal"):
            return value["class_name"]
        named = {"GlorotUniform", "GlorotNormal", "HeNormal", "HeUniform", "LecunUniform", "LecunNormal"}
        if value.get("class_name") in named:
            return "VarianceScaling"
        left = ("name", "trainable", "dtype", "build_config", "registered_name", "module", "input_axes", "output_axes")
        left += ("seed",) if generation == "keras1" and "minval" in value else ()
        return {key: plain(item, generation) for key, item in value.items() if key not in left}
    if isinstance(value, (list, tuple)):
        items = [plain(item, generation) for item in value]
        return items[0] if len(items) == 1 else items
    return value


def today(layer: Any, generation: str) -> Any:
    return layer if generation == "keras3" else _Modernizer(True).of_today(layer, alone=True)[1]


# Words whose old arithmetic differs from today's in nothing that a prediction shows.
UNSEEN = {"unbiased_variance", "batch_statistics", "zero_output_for_mask"}


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_code_makes_the_layer(generation: Any) -> None:
    count = 0
    for example in LAYERS:
        layer = example.built()
        text = spelled(layer, generation)
        if text is None:
            for language in LANGUAGES:
                assert why_not(layer, generation, language), example.id
            continue
        assert why_not(layer, generation) is None
        found = made(text, generation)
        if text.startswith("Deconvolution2D"):  # what it computes depends on the shape
            found(*example.tensors())
        found = today(found, generation)
        ours, theirs = (plain(each.get_config(), generation) for each in (example.make(), found))
        ours, theirs = ({k: v for k, v in each.items() if k not in UNSEEN} for each in (ours, theirs))
        assert isinstance(layer, type(found)) or isinstance(found, type(layer)), (text, type(found))
        assert theirs == ours, text
        count += 1
    assert count > {"keras1": 60, "keras2": 100, "tf_keras": 140, "keras3": 180}[generation]


OTHERS = {
    "Conv1D with objects": lambda: L.Conv1D(
        4, 3, activation="relu", kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.L2(0.02), bias_regularizer=keras.regularizers.L1L2(0.1, 0.2),
        kernel_constraint=keras.constraints.MaxNorm(3), bias_constraint="non_neg",
    ),
    "initializers": lambda: L.Dense(
        2, kernel_initializer=keras.initializers.RandomNormal(stddev=0.3),
        bias_initializer=keras.initializers.Constant(0.5),
    ),
    "from ones": lambda: L.Dense(2, bias_initializer="ones"),
    "seeded": lambda: L.Dense(2, kernel_initializer=keras.initializers.GlorotNormal(seed=4)),
    "not square": lambda: L.Conv2D(8, (3, 5), strides=(2, 1), padding="same", data_format="channels_first"),
    "dilated": lambda: L.Conv2D(8, 3, dilation_rate=(2, 3)),
    "full": lambda: L.Conv2D(8, (3, 5), dilation_rate=2, padding=((4, 4), (8, 8))),
    "pads": lambda: L.Conv1D(8, 3, padding=((1, 2),)),
    "LSTM": lambda: L.LSTM(
        8, activation="relu", unit_forget_bias=False, dropout=0.1, recurrent_dropout=0.2,
        recurrent_regularizer=keras.regularizers.L1(0.3),
    ),
    "two ways": lambda: L.Bidirectional(L.LSTM(4), backward_layer=L.LSTM(4, activation="relu", go_backwards=True)),
    "gelu": lambda: L.Dense(3, activation="gelu"),
    "silu": lambda: L.Dense(3, activation="silu"),
    "selu": lambda: L.Dense(3, activation="selu"),
    "hard": lambda: L.Dense(3, activation="hard_sigmoid"),
    "cropped": lambda: L.Cropping3D(((0, 1), (2, 3), (1, 1))),
    "padded": lambda: L.ZeroPadding2D(((0, 1), (2, 2))),
    "in steps": lambda: L.TimeDistributed(L.TimeDistributed(L.Dense(3, use_bias=False))),
    "slopes": lambda: L.PReLU(alpha_initializer="ones", shared_axes=[1, 2]),
    "normal": lambda: L.BatchNormalization(axis=1, momentum=0.5, epsilon=1e-2),
}  # fmt: skip


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("name", OTHERS)
def test_arguments_are_put_in_the_words_of_the_time(name: str, generation: Any) -> None:
    layer = OTHERS[name]()
    text = spelled(layer, generation)
    if text is not None:
        found = today(made(text, generation), generation)
        theirs, ours = (plain(each.get_config(), generation) for each in (found, layer))
        assert {**theirs, **dict.fromkeys(UNSEEN)} == {**ours, **dict.fromkeys(UNSEEN)}, text
    else:
        assert (name, generation) in UNSAYABLE, why_not(layer, generation)
    assert (text is None) == ((name, generation) in UNSAYABLE), text


UNSAYABLE = {
    *((name, generation) for name in ("pads", "hard", "full") for generation in ("keras1", "keras2", "tf_keras")),
    *((name, generation) for name in ("gelu", "silu") for generation in ("keras1", "keras2")),
    ("pads", "keras3"), ("full", "keras3"), ("selu", "keras1"), ("initializers", "keras1"), ("two ways", "keras1"),
    ("two ways", "keras2"), ("seeded", "keras1"), ("from ones", "keras1"),
} - {("full", "keras1")}  # fmt: skip


@pytest.mark.parametrize(
    ("layer", "generation", "text"),
    [
        (L.Conv1D(8, 3, dilation_rate=2), "keras1", "AtrousConvolution1D(8, 3, atrous_rate=2)"),
        (L.Conv2D(8, (3, 5), activation="relu"), "keras1", 'Convolution2D(8, 3, 5, activation="relu")'),
        (L.Conv2D(8, 3, strides=2), "keras1", "Convolution2D(8, 3, 3, subsample=(2, 2))"),
        (L.Conv2D(8, 3, padding=((2, 2), (2, 2))), "keras1", 'Convolution2D(8, 3, 3, border_mode="full")'),
        (L.LSTM(16), "keras1", 'LSTM(16, inner_activation="sigmoid")'),
        (L.GRU(16), "keras2", "GRU(16, reset_after=True)"),
        (L.GRU(16), "tf_keras", "GRU(16)"),
        (L.InputLayer((3,)), "keras1", "Input(shape=(3,))"),
        (L.InputLayer((3, None), dtype="int32"), "keras3", 'Input(shape=(3, None), dtype="int32")'),
        (L.MaxPooling2D(3), "keras3", "MaxPooling2D(pool_size=3)"),
        (L.Concatenate(1), "keras1", 'Merge(mode="concat", concat_axis=1)'),
        (L.Dense(3, kernel_regularizer="l2"), "keras1", "Dense(3, W_regularizer=regularizers.l2(0.01))"),
        (L.Dense(3, kernel_initializer="zeros"), "keras1", 'Dense(3, init="zero")'),
        (L.Bidirectional(L.LSTM(4)), "keras3", "Bidirectional(LSTM(4))"),
    ],
)
def test_code_reads_as_people_wrote_it(layer: Any, generation: Any, text: str) -> None:
    assert spelled(layer, generation) == text


@pytest.mark.parametrize(
    ("layer", "generation", "why"),
    [
        (L.Conv1D(8, 3, padding="causal"), "keras1", 'Convolution1D of Keras 1 does not take padding="causal"; '
         "put ZeroPadding1D((2, 0)) before it instead."),
        (L.Conv2D(8, 3, groups=2), "keras2", "Conv2D of Keras 2 has no `groups`: it is always 1."),
        (L.GRU(4), "keras1", "GRU of Keras 1 has no `reset_after`: it is always False."),
        (L.LocallyConnected1D(4, 3), "keras3", "Keras 3 has no LocallyConnected1D."),
        (L.LayerNormalization(), "keras2", "Keras 2 has no LayerNormalization."),
        (L.Conv2DTranspose(4, 3), "keras1", "Deconvolution2D of Keras 1 asks for the shape of its output: build the "
         "layer first."),
    ],
)  # fmt: skip
def test_what_a_generation_lacks_is_said(layer: Any, generation: Any, why: str) -> None:
    assert spelled(layer, generation) is None
    assert why_not(layer, generation) == why
    assert why_not(layer, generation, "zh") != why


def test_classes_of_others_are_not_taken_for_ours() -> None:
    own = type("Own", (L.Dense,), {"__module__": "theirs"})(3)
    assert spelled(own, "keras3") is None
    assert "Own of theirs is no layer" in str(why_not(own, "keras3"))
    assert spelled(lamina.keras1.layers.Dense(3), "keras2") is None
    assert spelled(L.TimeDistributed(own), "keras2") is None


def test_an_unknown_generation_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of keras1"):
        spelled(L.Dense(3), "keras4")  # pyright: ignore[reportArgumentType]


def test_the_table_is_plain_data_about_every_layer() -> None:
    table = json.loads(json.dumps(spelling_table()))
    assert table["layers"].keys() == public_layers().keys() - {"InputLayer"}
    for name, ages in table["layers"].items():
        assert ages.keys() == GENERATIONS.keys()
        for each in (form for found in ages.values() for form in found):
            told = {word["argument"] for word in each["words"] if "argument" in word} | each["otherwise"].keys()
            told = {*told, *(other for word in each["words"] for other in word.get("also", ()))} - {OUTPUT_SHAPE}
            assert each["name"] == "Merge" or told == _arguments(getattr(L, name)).keys(), name


def test_layers_of_keras_3_are_those_of_its_recorded_list() -> None:
    recorded = json.loads((Path(__file__).parent / "golden" / "signatures" / "keras3.json").read_text())
    same = {"GroupedQueryAttention": "GroupQueryAttention"}
    for name in public_layers().keys() - {"InputLayer"}:
        assert bool(forms(name, "keras3")) == (f"layers.{same.get(name, name)}" in recorded), name
