"""Errors of shapes inside models show the way of the data, the layer at fault, and what to do; first comes what they
always said."""

from __future__ import annotations

import re
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lamina as keras
from lamina import Input, Model, Sequential
from lamina import layers as L

Layer = L.Layer


class Said(NamedTuple):
    """What a user reads: the error's first line, and the table below it."""

    error: Exception
    first: str
    rows: list[tuple[str, ...]]  # (indented name, class, shape) of the way, without the culprit
    culprit: tuple[str, ...]
    advice: dict[str, str]
    text: str

    @property
    def names(self) -> list[str]:
        return [row[0] for row in self.rows]


def said(call: Callable[[], Any], kind: type[Exception] = ValueError) -> Said:
    with pytest.raises(kind) as caught:
        call()
    error = caught.value
    assert type(error) is kind
    text = "".join(traceback.format_exception_only(type(error), error))
    lines = text.split("\n")
    assert text.isascii() and "\x1b" not in text and max(map(len, lines[1:])) <= 120 and len(lines) < 26
    first, _, below = text.partition("\nHow the data got there")
    table, _, advice = below.partition("\n\n")[2].rstrip().partition("\n\n")
    rows = [tuple(re.split(r" {2,}", row[7:].strip())) for row in table.split("\n") if not row.startswith("    ->")]
    rows = [(" " * (len(line[7:]) - len(line[7:].lstrip())) + row[0], *row[1:]) for line, row in zip(
        [line for line in table.split("\n") if not line.startswith("    ->")], rows, strict=True)]  # fmt: skip
    (culprit,) = [line[7:] for line in table.split("\n") if line.startswith("    ->")]
    told = dict(re.findall(r"^(Expected|Got|Repair): +(.*(?:\n {10}.*)*)", advice, re.M))
    told = {key: re.sub(r"\s+", " ", value) for key, value in told.items()}
    return Said(
        error, first.removeprefix(f"{kind.__name__}: "), rows, tuple(re.split(r" {2,}", culprit.strip())), told, text
    )


def pictures(size: int | None = 28, channels: int = 1) -> Model:
    inputs = Input((size, size, channels), name="pictures")
    x = L.Conv2D(8, 3, name="conv")(inputs)
    x = L.MaxPooling2D(name="pool")(x)
    x = L.Flatten(name="flat")(x)
    return Model(inputs, L.Dense(10, name="dense")(x))


def stack() -> Sequential:
    model = Sequential([L.Conv2D(8, 3, name="conv"), L.Flatten(name="flat"), L.Dense(10, name="dense")])
    model(np.zeros((2, 8, 8, 1), "float32"))
    return model


class Own(Model):
    def __init__(self) -> None:
        super().__init__()
        self.conv = L.Conv2D(4, 3, name="conv")
        self.flat = L.Flatten(name="flat")
        self.dense = L.Dense(5, name="dense")

    def call(self, inputs: Tensor) -> Tensor:
        return self.dense(self.flat(self.conv(inputs)))


def test_data_of_another_size_reaches_a_dense_layer_after_flatten() -> None:
    told = said(lambda: stack()(torch.zeros(2, 9, 9, 1)))
    assert told.first.startswith(
        'Dense "dense": the input is incompatible with the layer: '
        "expected 288 along the features axis (axis -1); got 392, shape (2, 392)."
    )
    assert [row[1:] for row in told.rows] == [
        ("InputLayer", "(2, 9, 9, 1)"), ("Conv2D", "(2, 7, 7, 8)"), ("Flatten", "(2, 392)"),
    ]  # fmt: skip
    assert told.culprit == ("dense", "Dense", "given (2, 392)")
    assert told.advice["Expected"] == "(batch, features 288)"
    assert told.advice["Got"] == "(batch 2, features 392)"
    assert "Flatten 'flat'" in told.advice["Repair"] and "global pooling" in told.advice["Repair"]


def test_a_functional_model_shows_where_its_input_would_have_failed() -> None:
    told = said(lambda: pictures()(np.zeros((2, 32, 32, 1), "float32")))
    assert told.first.startswith('Functional "functional')
    assert told.rows[0] == ("pictures", "InputLayer", "(2, 32, 32, 1)")
    assert told.names == ["pictures", "conv", "pool", "flat"] and told.culprit[0] == "dense"


@pytest.mark.parametrize("call", ["fit", "predict", "evaluate", "call"])
def test_every_way_to_run_a_model_tells(call: str) -> None:
    model, x = stack(), np.zeros((4, 9, 9, 1), "float32")
    model.compile("sgd", "mse")
    calls = {
        "fit": lambda: model.fit(x, np.zeros((4, 10)), verbose=0),
        "predict": lambda: model.predict(x, verbose=0),
        "evaluate": lambda: model.evaluate(x, np.zeros((4, 10)), verbose=0),
        "call": lambda: model(x, training=True),
    }
    told = said(calls[call])
    assert told.names[1:] == ["conv", "flat"] and told.culprit[0] == "dense"


KINDS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "pictures without channels": (
        lambda: Sequential([Input((28, 28)), L.Conv2D(8, 3)]),
        "(batch, height, width, channels)", "Input((28, 28, 1))",
    ),
    "a convolution after Flatten": (
        lambda: Sequential([Input((28, 28, 1)), L.Flatten(name="flat"), L.Conv2D(8, 3)]),
        "(batch, height, width, channels)", "Flatten 'flat' makes 2 axes of 4",
    ),
    "recurrent layers one on another": (
        lambda: Sequential([Input((10, 4)), L.LSTM(8, name="first"), L.LSTM(8)]),
        "(batch, steps, features)", "LSTM 'first' gives its last output alone: set return_sequences=True",
    ),
    "a recurrent layer on vectors": (
        lambda: Sequential([Input((10,)), L.Dense(4), L.GRU(8)]),
        "(batch, steps, features)", "Reshape((4, 1)) before it",
    ),
    "a pooling of steps on pictures": (
        lambda: Sequential([Input((8, 8, 2)), L.Conv2D(2, 3), L.MaxPooling1D()]),
        "(batch, steps, channels)", "Reshape to 2 axes beside the batch before it, or TimeDistributed",
    ),
    "a window larger than its input": (
        lambda: Sequential([Input((8, 8, 3)), L.MaxPooling2D(4), L.Conv2D(8, 3)]),
        "at least 3 along each spatial axis", "kernel_size <= 2, padding='same'",
    ),
    "a dilated window": (
        lambda: Sequential([Input((8, 3)), L.Conv1D(8, 4, dilation_rate=3)]),
        "at least 10 along each spatial axis", "kernel_size <= 3, padding='same'",
    ),
    "a pool larger than its input": (
        lambda: Sequential([Input((8, 8, 3)), L.MaxPooling2D(4), L.AveragePooling2D(3)]),
        "at least 3 along each spatial axis", "pool_size <= 2, padding='same'",
    ),
    "channels that groups do not divide": (
        lambda: Sequential([Input((8, 8, 6)), L.Conv2D(8, 3, groups=4)]),
        "channels that are a multiple of groups=4", "groups=1 or 2,",
    ),
    "a shape with other than its values": (
        lambda: Sequential([Input((8,)), L.Dense(12), L.Reshape((3, 5))]),
        "15 values for each sample", "target_shape=(3, 4)",
    ),
    "a sum of unequal pictures": (
        lambda: L.Add()([L.Conv2D(8, 3)(Input((8, 8, 2))), L.Conv2D(8, 3, padding="same")(Input((8, 8, 2)))]),
        "equal sizes along height and width", "padding='same'",
    ),
    "a sum of unequal vectors": (
        lambda: L.Add()([L.Dense(3)(Input((8,))), L.Dense(4)(Input((8,)))]),
        "equal sizes along features", "a Dense",
    ),
    "joined pictures of unequal sizes": (
        lambda: L.Concatenate()([L.Conv2D(8, 3)(Input((8, 9, 2))), L.Conv2D(4, (1, 3))(Input((8, 9, 2)))]),
        "equal sizes along height", "Cropping",
    ),
    "joined tensors of unequal ranks": (
        lambda: L.Concatenate()([Input((8, 4)), L.Dense(4)(Input((8,)))]),
        "the same number of axes", "Flatten",
    ),
    "products along unequal axes": (
        lambda: L.Dot(1)([L.Dense(3)(Input((8,))), L.Dense(4)(Input((8,)))]),
        "equal sizes along axes=1", "Dense",
    ),
    "channels first where they are last": (
        lambda: Sequential([Input((3, 32, 32)), L.Conv2D(8, 3), L.Conv2D(8, 3)]),
        "at least 3", "channels_last means Input((32, 32, 3)); else data_format='channels_first'",
    ),
    "data of the other format": (
        lambda: Sequential([Input((None, None, 5)), L.Conv2D(8, 3)])(torch.zeros(2, 5, 32, 32)),
        "(batch, height, width, channels 5)", "data_format='channels_first'? Or x.permute(0, 2, 3, 1)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_misfits_have_their_repairs(kind: str) -> None:
    call, expected, repair = KINDS[kind]
    told = said(call)
    assert expected in told.advice["Expected"] and told.advice["Got"].startswith(("(batch", "12, (batch"))
    assert repair in told.advice["Repair"]


def test_the_repairs_repair() -> None:
    """What the table tells to do, done."""
    Sequential([Input((28, 28, 1)), L.Conv2D(8, 3)])
    Sequential([Input((10, 4)), L.LSTM(8, return_sequences=True), L.LSTM(8)])
    Sequential([Input((10,)), L.Dense(4), L.Reshape((4, 1)), L.GRU(8)])
    Sequential([Input((8, 8, 3)), L.MaxPooling2D(4), L.Conv2D(8, 2)])
    Sequential([Input((8, 3)), L.Conv1D(8, 3, dilation_rate=3)])
    Sequential([Input((8, 8, 3)), L.MaxPooling2D(4), L.AveragePooling2D(2)])
    Sequential([Input((8, 8, 6)), L.Conv2D(8, 3, groups=2)])
    Sequential([Input((8,)), L.Dense(12), L.Reshape((3, 4))])
    Sequential([Input((None, None, 5)), L.Conv2D(8, 3)])(torch.zeros(2, 5, 32, 32).permute(0, 2, 3, 1))


def test_nested_models_are_indented_rows() -> None:
    inner = Sequential(
        [L.Conv2D(4, 3, name="inner_conv"), L.Flatten(name="flat"), L.Conv1D(3, 3, name="bad")], name="inner"
    )
    inputs = Input((8, 8, 1), name="pictures")
    told = said(lambda: inner(L.Conv2D(1, 3, name="outer_conv")(inputs)))
    assert told.names == ["pictures", "outer_conv", "inner", "  inner_conv", "  flat"]
    assert told.rows[2] == ("inner", "Sequential") and told.culprit[0] == "bad"


def test_models_nested_twice_on_data() -> None:
    deep = Sequential(
        [Input((None, None, 2)), L.Conv2D(4, 3, name="deep_conv"), L.MaxPooling2D(3, name="deep_pool")], name="deep"
    )
    middle_in = Input((None, None, 2))
    middle = Model(middle_in, deep(L.Conv2D(2, 3, name="middle_conv")(middle_in)), name="middle")
    inputs = Input((None, None, 2), name="pictures")
    outer = Model(inputs, middle(inputs))
    assert outer(torch.zeros(1, 9, 9, 2)).shape == (1, 1, 1, 4)
    told = said(lambda: outer(torch.zeros(1, 6, 6, 2)))
    assert told.names == ["pictures", "middle", "  middle_conv", "  deep", "    deep_conv"]
    assert told.culprit == ("deep_pool", "MaxPooling2D", "given (1, 2, 2, 4)")


@pytest.mark.parametrize("built", [False, True])
def test_subclassed_models(built: bool) -> None:
    model = Own()
    if built:
        model(torch.zeros(1, 8, 8, 1))
    size = (2, 9, 9, 1) if built else (2, 2, 9, 1)
    told = said(lambda: model(torch.zeros(size)))
    assert told.rows[0] == ("inputs", str(size))
    assert told.names == (["inputs", "conv", "flat"] if built else ["inputs"])
    assert told.culprit[0] == ("dense" if built else "conv")
    assert "weights are for 144" in told.advice["Repair"] if built else "kernel_size <= 2" in told.advice["Repair"]


def test_a_subclassed_model_inside_a_functional_one_and_the_other_way_round() -> None:
    class Outer(Model):
        def __init__(self) -> None:
            super().__init__()
            self.first = L.Conv2D(2, 3, name="first")
            self.inner = Sequential([L.Conv2D(2, 3, name="second"), L.MaxPooling2D(3, name="pool")], name="inner")

        def call(self, inputs: Tensor) -> Tensor:
            return self.inner(self.first(inputs))

    model = Outer()
    model(torch.zeros(1, 9, 9, 1))
    told = said(lambda: model(torch.zeros(1, 6, 6, 1)))
    assert told.names == ["inputs", "first", "inner", "  second"] and told.culprit[0] == "pool"

    inputs = Input((6, 6, 1), name="pictures")
    told = said(lambda: Outer()(L.ReLU(name="relu")(inputs)))
    assert told.names[:2] == ["pictures", "relu"] and told.names[2].startswith("outer")
    assert told.names[3] == "  first" and told.culprit[0] == "pool"


def test_errors_of_torch_keep_their_type_and_words() -> None:
    class Product(Layer):
        def compute_output_shape(self, input_shape: Any) -> Any:
            return (input_shape[0], 3)

        def call(self, inputs: Tensor) -> Tensor:
            return inputs @ torch.ones(7, 3)

    model = Sequential([Input((8,), name="vectors"), L.Dense(4, name="dense"), Product(name="product")])
    told = said(lambda: model(torch.zeros(2, 8)), RuntimeError)
    assert told.first.removeprefix("mm: ") == "mat1 and mat2 shapes cannot be multiplied (2x4 and 7x3)"  # torch 2.15
    assert told.rows == [("vectors", "InputLayer", "(2, 8)"), ("dense", "Dense", "(2, 4)")]
    assert told.culprit == ("product", "Product", "given (2, 4)")


def test_a_module_of_torch_inside_is_found_by_its_attribute() -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(4, 5), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.first(x))

    told = said(lambda: Sequential([Input((8,)), L.Dense(4, name="dense"), Plain()]))
    assert [name.strip() for name in told.names[-2:]] == ["module", "first"]
    assert told.culprit == ("second", "Linear", "given (None, 5)")


def test_long_ways_are_cut_in_the_middle() -> None:
    layers = [L.Dense(4, name=f"dense_{index}") for index in range(40)]
    told = said(lambda: Sequential([Input((4,), name="vectors"), *layers, L.Conv1D(3, 3)]))
    assert told.names[:2] == ["vectors", "dense_0"] and told.names[-1] == "dense_39"
    assert len(told.rows) + 1 == 12 and any("more" in row[0] for row in told.rows)
    cut = int(re.search(r"\.\.\. (\d+) more", told.text)[1])  # type: ignore[index]
    assert cut + len(told.rows) - 1 == 41


def test_both_branches_of_a_sum_are_shown_however_far_apart() -> None:
    inputs = Input((32, 32, 2))
    short, long = L.Conv2D(4, 3, padding="same", name="short")(inputs), inputs
    for index in range(20):
        long = L.Conv2D(4, 3, padding="same" if index else "valid", name=f"long_{index}")(long)
    told = said(lambda: L.Add(name="sum")([short, long]))
    assert {"short", "long_19"} <= set(told.names) and len(told.rows) < 13
    assert told.culprit[2] == "given (None, 32, 32, 4) and (None, 30, 30, 4)"


@pytest.mark.parametrize(
    ("generation", "convolution"), [("keras1", "Convolution2D"), ("keras2", "Conv2D"), ("tf_keras", "Conv2D")]
)
def test_models_of_every_generation(generation: str, convolution: str) -> None:
    space = getattr(keras, generation)
    of, window = space.layers, (3, 3) if generation == "keras1" else (3,)
    form = {"dim_ordering": "tf"} if generation == "keras1" else {"data_format": "channels_last"}
    model = space.models.Sequential()
    model.add(getattr(of, convolution)(4, *window, input_shape=(8, 8, 1), name="conv", **form))
    model.add(of.Flatten(name="flat"))
    told = said(lambda: model.add(getattr(of, convolution)(4, *window, name="again", **form)))
    assert told.names[-2:] == ["conv", "flat"] and told.culprit == ("again", convolution, "given (None, 144)")
    assert "Flatten 'flat' makes 2 axes of 4" in told.advice["Repair"]


def test_what_is_no_matter_of_shapes_has_no_table() -> None:
    inputs = Input((3,), dtype="int32")
    model = Model(inputs, L.Dense(2)(L.Flatten()(L.Embedding(5, 2)(inputs))))
    with pytest.raises((ValueError, IndexError)) as caught:
        model(torch.full((2, 3), 9))
    assert "How the data" not in "".join(traceback.format_exception_only(caught.type, caught.value))

    class Refusing(Layer):
        def compute_output_shape(self, input_shape: Any) -> Any:
            return input_shape

        def call(self, inputs: Tensor) -> Tensor:
            if isinstance(inputs, Tensor) and float(inputs.detach().sum()) > 1:
                raise ValueError("too much")
            return inputs

    model = Sequential([Input((3,)), L.Dense(2, kernel_initializer="ones"), Refusing()])
    with pytest.raises(ValueError, match="too much") as caught:
        model(torch.ones(2, 3))
    assert "How the data" not in "".join(traceback.format_exception_only(caught.type, caught.value))


def test_a_failed_call_leaves_the_model_as_it_was() -> None:
    model = stack()
    before, calls = model.get_weights(), [len(layer._nodes) for layer in model.layers]
    hooks = nn.modules.module._global_forward_hooks, nn.modules.module._global_forward_pre_hooks
    own = Own()
    own(torch.zeros(1, 8, 8, 1))
    for each in (model, own):
        said(lambda each=each: each(torch.zeros(2, 9, 9, 1)))
    assert [len(layer._nodes) for layer in model.layers] == calls and not any(hooks)
    assert all(map(np.array_equal, before, model.get_weights()))
    assert model(torch.zeros(2, 8, 8, 1)).shape == (2, 10) and own(torch.zeros(1, 8, 8, 1)).shape == (1, 5)


def test_before_python_3_11_the_table_is_part_of_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    from lamina.core import errors

    monkeypatch.setattr(errors, "sys", SimpleNamespace(version_info=(3, 10), _getframe=sys._getframe))
    inner = Sequential([L.Flatten(name="flat"), L.Conv1D(3, 3, name="bad")], name="inner")
    with pytest.raises(ValueError) as caught:
        Sequential([Input((8, 1)), L.Dense(2), inner])
    assert not hasattr(caught.value, "__notes__")
    first, _, below = str(caught.value).partition("\n\n")
    assert (
        first.startswith('Conv1D "bad": the input is incompatible with the layer: expected 3 axes')
        and "\n" not in first
    )
    assert below.startswith("How the data got there") and below.count("How the data") == 1 and "inner" in below


def test_a_name_from_outside_cannot_write_to_the_terminal() -> None:
    told = said(lambda: Sequential([Input((8,)), L.Dense(4, name="a\x1b[31m\nb" + "c" * 50), L.Conv1D(3, 3)]))
    assert "\x1b" not in told.text.partition("How the data")[2] and any("..." in name for name in told.names)


def test_what_is_said_of_very_many_axes_does_not_grow_with_their_square() -> None:
    with pytest.raises(ValueError, match="cannot reshape 4 values") as caught:
        Sequential([Input((4,)), L.Reshape([1] * 3000)])
    assert len("".join(traceback.format_exception_only(caught.type, caught.value))) < 20 * 3000


@pytest.mark.parametrize("suffix", [".weights.h5", ".safetensors", ".h5"])
def test_weights_of_other_shapes_are_compared_layer_by_layer(tmp_path: Path, suffix: str) -> None:
    def model(units: int) -> Sequential:
        return Sequential([Input((4,)), L.Dense(3, name="first"), L.Dense(units, name="last")])

    path = tmp_path / f"model{suffix}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (model(2).save if suffix == ".h5" else model(2).save_weights)(path)
    with pytest.raises(ValueError, match="expected shape") as caught:
        model(5).load_weights(path)
    text = "".join(traceback.format_exception_only(caught.type, caught.value))
    marked = [line for line in text.split("\n") if line.startswith("    ->")]
    assert marked and all("last" in line or "dense_1" in line for line in marked)
    assert "(3, 5)" in text and "(3, 2)" in text and "(4, 3)" in text and "skip_mismatch=True" in text


def test_weights_set_by_hand_are_compared_too() -> None:
    model = Sequential([Input((4,)), L.Dense(3), L.Dense(2)])
    with pytest.raises(ValueError, match="set_weights expected shape") as caught:
        model.set_weights([np.zeros((4, 3)), np.zeros(3), np.zeros((3, 5)), np.zeros(5)])
    lines = "".join(traceback.format_exception_only(caught.type, caught.value)).split("\n")
    assert sum(line.startswith("    ->") for line in lines) == 2
