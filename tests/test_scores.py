"""Losses of softmax and sigmoid outputs work with the scores these are given, wherever in a model they stand.

The scores of class 0 are 0, those of the others 200 and 400. A loss that sees the scores says 400 for class 0; one that
sees their probabilities, which are 0, about 16.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

import lamina as keras
from lamina import keras1, keras2, tf_keras
from lamina.core.scope import asking, scope

L = keras.layers
SPARSE = "sparse_categorical_crossentropy"
X = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
PICTURES = np.random.default_rng(0).normal(size=(6, 5, 5, 2)).astype("float32")
CERTAIN = [0.0, 200.0, 400.0]


def certain(shape: Any, dtype: Any = None) -> Tensor:
    return torch.tensor(CERTAIN)


SURE: dict[str, Any] = {"kernel_initializer": "zeros", "bias_initializer": certain}
PIXELS: dict[str, Any] = {"pointwise_initializer": "zeros", "bias_initializer": certain, "activation": "softmax"}


def scores(**settings: Any) -> Any:
    return L.Dense(3, **SURE, **settings)


class OfUser(L.Layer):
    """Ends in its activation, as a plan cannot know."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.activation = scores(), keras.activations.softmax

    def call(self, inputs: Tensor) -> Tensor:
        return self.activation(self.inner(inputs))


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.gate, self.last = L.Dense(4, activation="sigmoid"), scores(activation="softmax")

    def call(self, inputs: Tensor) -> Tensor:
        return self.last(inputs * self.gate(inputs))


def stacked(*layers: Any, shape: tuple = (4,)) -> Any:
    return keras.Sequential([keras.Input(shape), *layers])


def with_lora() -> Any:
    model = stacked(scores(activation="softmax"))
    model.layers[0].enable_lora(2)
    return model


def hooked() -> Any:
    model = stacked(scores(activation="softmax"))
    model.layers[0].register_forward_hook(lambda *_: None)
    return model


def shown_twice() -> Any:
    inputs = keras.Input((4,))
    outputs = scores(activation="softmax")(inputs)
    return keras.Model(inputs, [outputs, outputs, 2 * outputs])


def shared() -> Any:
    inputs, last = keras.Input((4,)), scores(activation="softmax")
    return keras.Model(inputs, [last(inputs), last(2 * inputs)])


def of_two_kinds() -> Any:
    inputs = keras.Input((4,))
    return keras.Model(inputs, [OfUser()(inputs), scores(activation="softmax")(inputs)])


def gated() -> Any:
    """Sigmoids inside, which no loss is about."""
    inputs = keras.Input((4,))
    gate = stacked(L.Dense(4, activation="sigmoid"))
    return keras.Model(inputs, scores(activation="softmax")(inputs * gate(inputs)))


PLANNED = {
    "Dense": lambda: stacked(scores(activation="softmax")),
    "Activation": lambda: stacked(scores(), L.Activation("softmax")),
    "Softmax": lambda: stacked(scores(), L.Softmax()),
    "Conv2D": lambda: stacked(L.Conv2D(3, 2, activation="softmax", **SURE), shape=(5, 5, 2)),
    "Conv2DTranspose": lambda: stacked(L.Conv2DTranspose(3, 2, activation="softmax", **SURE), shape=(5, 5, 2)),
    "SeparableConv2D": lambda: stacked(L.SeparableConv2D(3, 2, **PIXELS), shape=(5, 5, 2)),
    "nested": lambda: stacked(stacked(stacked(scores(activation="softmax")))),
    "LoRA": with_lora,
    "shared": shared,
    "shown twice": shown_twice,
    "gated": gated,
    "float64": lambda: stacked(scores(activation="softmax", dtype="float64")),
    "float32 after half": lambda: stacked(L.Dense(4, dtype="mixed_bfloat16"), scores(activation="softmax")),
    "keras1": lambda: keras1.models.Sequential(
        [keras1.layers.Dense(3, input_dim=4, init="zero"), keras1.layers.Activation("softmax")]
    ),
    "keras2": lambda: keras2.models.Sequential([keras2.layers.Dense(3, input_dim=4, activation="softmax", **SURE)]),
    "tf_keras": lambda: tf_keras.Sequential([tf_keras.Input((4,)), tf_keras.layers.Dense(3, "softmax", **SURE)]),
}
WATCHED = {
    "subclassed": Subclassed,
    "user's layer": lambda: stacked(OfUser()),
    "hooked": hooked,
    "mixed": lambda: stacked(scores(activation="softmax", dtype="mixed_bfloat16")),
    "passed on": lambda: stacked(scores(activation="softmax"), L.Identity()),
    "of two kinds": of_two_kinds,
}


def data(model: Any) -> tuple[np.ndarray, Any]:
    x = PICTURES if len(getattr(model, "input_shape", (None, 4))) == 4 else X
    outputs = model(x)
    several = outputs if isinstance(outputs, list) else [outputs]
    y = [np.zeros(output.shape[:-1], "int64") for output in several]
    return x, y if isinstance(outputs, list) else y[0]


def losses_of(model: Any) -> list[float]:
    """The sums of the outputs' losses in evaluation and in training."""
    x, y = data(model)
    if type(model) is keras1.models.Sequential:
        model.layers[0].bias.data.copy_(certain(None))
    model.compile("sgd", SPARSE)
    found = [model.test_on_batch(x, y), model.test_on_batch(x, y), model.train_on_batch(x, y)]
    return [np.atleast_1d(values)[0] for values in found]


@pytest.mark.parametrize("case", [*PLANNED, *WATCHED])
def test_a_loss_sees_the_scores(case: str) -> None:
    model = {**PLANNED, **WATCHED}[case]()
    expected = {"shown twice": 400 + 400 + 16.1, "shared": 400 + 400, "of two kinds": 400 + 400}.get(case, 400)
    if case == "keras1":  # which cut probabilities off at epsilon
        expected = -np.log(1e-7)
    assert losses_of(model) == pytest.approx([expected] * 3, rel=1e-2)
    for step in model._steps.values():
        assert step.passes.asks is (case != "keras1") and bool(step.passes.watched) == (case in WATCHED)
    activations = [vars(layer)["activation"] for layer in model.modules() if "activation" in vars(layer)]
    assert all(activation.__class__.__name__ in ("function", "Telling") for activation in activations)


@pytest.mark.parametrize("case", PLANNED)
def test_telling_changes_no_value_and_no_plan(case: str) -> None:
    model = PLANNED[case]()
    x, _ = data(model)
    source = str(model.plan)
    losses_of(model)
    assert str(model.plan) == str(deepcopy(model).plan) == source and not asking
    given = torch.as_tensor(x).to(model.inputs[0].torch_dtype)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape))
        expected = pytree.tree_leaves(model(given))
        asking[scope.thread] = told = []
        try:
            found = pytree.tree_leaves(model(given))
        finally:
            del asking[scope.thread]
    assert all(map(torch.equal, found, expected))
    assert any(result is found[0] for result, _, _ in told)
    for result, before, last in told:
        torch.testing.assert_close(result, last.stands_for(before), rtol=0, atol=0)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("last", ["own", "layer", "subclassed"])
def test_gradients_are_those_of_the_probabilities(activation: str, last: str) -> None:
    class Seen(keras.losses.CategoricalCrossentropy if activation == "softmax" else keras.losses.BinaryCrossentropy):
        """A class of the user's: it is given the probabilities."""

    y = np.eye(3, dtype="float32")[[0, 1, 2, 0, 1, 2]]

    def trained(loss: Any) -> Any:
        keras.utils.set_random_seed(1)
        ends = [L.Dense(3, activation=activation)] if last == "own" else [L.Dense(3), L.Activation(activation)]
        model = stacked(L.Dense(5, activation="tanh"), *ends)
        if last == "subclassed":
            inner = model

            class Outer(keras.Model):
                def call(self, inputs: Tensor) -> Tensor:
                    for layer in inner.layers:
                        inputs = layer(inputs)
                    return inputs

            model = Outer()
            model.inner = inner
        model.compile(keras.optimizers.SGD(0.1), loss)
        return model.fit(X, y, epochs=4, batch_size=4, shuffle=False, verbose=0).history["loss"], model.get_weights()

    (found, weights), (expected, others) = trained(Seen.__bases__[0]()), trained(Seen())
    assert found == pytest.approx(expected, rel=1e-5)
    for one, other in zip(weights, others, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_a_mask_weighs_the_loss_of_the_scores() -> None:
    inputs = keras.Input((4,), dtype="int32")
    model = keras.Model(inputs, scores(activation="softmax")(L.Embedding(5, 2, mask_zero=True)(inputs)))
    model.compile("sgd", SPARSE)
    x = np.array([[1, 0, 0, 0], [2, 3, 0, 0]])
    y = np.where(x > 0, 0, 2)  # what is masked would cost nothing
    assert model.test_on_batch(x, y) == pytest.approx(400.0) == model.test_on_batch(x, y)


def test_masks_of_inputs_reach_a_nested_model_that_tells_its_scores() -> None:
    inner = keras.Sequential([keras.Input((4, 2)), L.LSTM(3, return_sequences=True), scores(activation="softmax")])
    inputs = keras.Input((4,), dtype="int32")
    model = keras.Model(inputs, inner(L.Embedding(5, 2, mask_zero=True)(inputs)))
    model.compile("sgd", SPARSE)
    x = np.array([[1, 0, 0, 0], [2, 3, 0, 0]])
    for _ in range(2):
        assert model.test_on_batch(x, np.where(x > 0, 0, 2)) == pytest.approx(400.0)
    assert not model._steps["test"].passes.watched


def test_a_softmax_over_another_axis_or_under_a_mask_is_no_end() -> None:
    inputs = keras.Input((3, 3))
    dense = scores()(inputs)
    mask = keras.Input((3, 3), dtype="bool")
    for outputs, ends in (
        (L.Softmax(axis=1)(dense), inputs),
        (L.Softmax()(dense, mask=mask), [inputs, mask]),
        (L.Softmax()(dense) * 2, inputs),
    ):
        plan = keras.Model(ends, outputs).plan
        assert plan.scored.source == plan.source


def test_an_activation_that_changes_is_followed() -> None:
    model = stacked(scores(activation="softmax"))
    assert losses_of(model) == pytest.approx([400.0] * 3)
    model.layers[0].activation = keras.activations.sigmoid
    model.compile("sgd", "binary_crossentropy")
    y = np.zeros((6, 3))
    assert model.test_on_batch(X, y) == pytest.approx((np.log(2) + 200 + 400) / 3, rel=1e-4)


def test_compiled_by_torch_the_loss_sees_probabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Callable] = []
    monkeypatch.setattr(torch, "compile", lambda module: calls.append(module) or module)
    model = stacked(scores(activation="softmax"))
    model.compile("sgd", SPARSE, jit_compile=True)
    assert 10 < model.test_on_batch(X, np.zeros(6, "int64")) < 20
    assert len(calls) == 1 and not model._steps["test"].passes.asks
