"""What Keras refuses is refused here, by an error of the same kind, so that code that catches it still does.

`wrong_calls.txt` holds calls and what Keras 3.15 raised. Where that came from the inside of torch or Python, an error
that says what is wrong with the argument is as good.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lamina as keras
from lamina import layers as L

INSIDE = (RuntimeError, IndexError, AttributeError, NotImplementedError)  # of torch and Python, for the most part
BAD_VALUE = "Keras' code trips over the value; here the argument is refused"
SYMBOLIC = "what has no values is of the wrong type"
OTHERWISE = {
    **dict.fromkeys(
        (
            'L.Dropout("a")', "L.Bidirectional(L.Dense(2))", 'L.BatchNormalization(axis="a")', "L.Reshape(3)",
            'model().fit(X, Y, batch_size="a", verbose=0)', 'compiled(loss={"nope": "mse"}).fit(X, Y, verbose=0)',
            'keras.metrics.MeanIoU("a")', "keras.metrics.IoU(3, 5)", 'keras.initializers.Zeros()("a")',
            'keras.metrics.TopKCategoricalAccuracy("a")(np.ones((2, 3)), np.ones((2, 3)))',
            'keras.optimizers.Adam(gradient_accumulation_steps="a")', 'ops.tile(np.ones(2), "a")',
            'keras.optimizers.schedules.CosineDecayRestarts(1.0, "a")(1)',
            'keras.KerasTensor("a")',
        ),
        BAD_VALUE,
    ),
    "L.Dot(axes=(1, 2, 3))": "one kind of error for whatever is no axis and no pair",
    'keras.Sequential([L.Dense(2)]).load_weights("nope.weights.h5")': "the missing file is noticed first",
    'keras.models.load_model("nope")': "the missing file is noticed first",
    'keras.saving.load_weights(model(), "nope.txt")': "the missing file is noticed first",
    'keras.utils.load_img("nope.png", color_mode="nope")': "the unknown word is noticed first",
    "keras.Model(inputs=L.Input((2,)))": "a missing argument, as Python says it",
    "keras.random.SeedGenerator(nope=1)": "an unknown argument, as Python says it",
    "float(L.Input((2,)))": SYMBOLIC,
    "np.asarray(L.Input((2,)))": SYMBOLIC,
}  # fmt: skip

ops = keras.ops
X, Y = np.ones((4, 3), "float32"), np.ones((4, 2), "float32")


class NoCall(L.Layer):
    pass


class NoSuper(L.Layer):
    def __init__(self) -> None:
        self.a = 1


def built(layer: Any, shape: Any) -> Any:
    layer.build(shape)
    return layer


def model() -> Any:
    made = keras.Sequential([L.Input((3,)), L.Dense(2)])
    made.compile("sgd", "mse")
    return made


def compiled(**options: Any) -> Any:
    made = keras.Sequential([L.Input((3,)), L.Dense(2, "softmax")])
    made.compile("sgd", **options)
    return made


def disconnected() -> Any:
    return keras.Model(L.Input((2,)), L.Dense(2)(L.Input((2,))))


def sections() -> dict[str, list[tuple[str, str]]]:
    """Kinds and calls by their heading."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in (Path(__file__).parent / "wrong_calls.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            listed = found.setdefault(line[2:], [])
        elif line:
            kind, call = line.split(maxsplit=1)
            listed.append((kind, call))
    return {heading: listed for heading, listed in found.items() if listed}


SECTIONS = sections()


def raised(call: str) -> Exception | None:
    try:
        exec(call, dict(globals()))
    except Exception as error:
        return error
    return None


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    settings = keras.config.floatx(), keras.config.image_data_format(), keras.config.epsilon()
    yield
    assert (keras.config.floatx(), keras.config.image_data_format(), keras.config.epsilon()) == settings


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.filterwarnings("ignore")
def test_errors_are_of_the_kinds_that_keras_raises(section: str) -> None:
    wrong = []
    for name, call in SECTIONS[section]:
        kind, error = getattr(builtins, name), raised(call)
        clear = issubclass(kind, INSIDE) and isinstance(error, (ValueError, TypeError))
        if not (isinstance(error, kind) or clear) and not (error is not None and call in OTHERWISE):
            wrong.append(f"{call}: Keras {name}, here {error!r}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.filterwarnings("ignore")
def test_no_excuse_is_left_over() -> None:
    kinds = {call: getattr(builtins, name) for listed in SECTIONS.values() for name, call in listed}
    assert not [call for call in OTHERWISE if call not in kinds or isinstance(raised(call), kinds[call])]


def test_what_a_plan_may_ask_for_is_no_argument_by_position() -> None:
    for layer, shape in ((L.Dense(2), (2, 3)), (L.Conv1D(2, 1), (2, 3, 3)), (L.MaxPooling1D(2), (2, 4, 3))):
        with pytest.raises(TypeError, match="positional"):
            layer(np.ones(shape, "float32"), True)


@pytest.mark.parametrize("number", [1, 1.5])
def test_a_number_is_an_array_without_axes(number: float) -> None:
    for make in (lambda: L.Discretization([0.0, 1.0]), lambda: L.CategoryEncoding(4), lambda: L.Rescaling(2.0)):
        assert torch.equal(make()(number), make()(np.asarray(number)))
    for layer in (L.Dense(2), L.LSTM(2), L.Conv2D(2, 3)):
        with pytest.raises(ValueError, match=r"axes.*shape \(\)"):
            layer(number)
