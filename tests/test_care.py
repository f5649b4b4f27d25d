"""What a layer needs around its `call`, who notices when that changes, and calls that are nearly plain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from support.frames import frames
from torch import nn

import lamina as keras
from lamina import layers as L
from lamina.core import care

X = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))


def model_of(*layers: Any) -> Any:
    return keras.Sequential([keras.Input((4,)), *layers])


class AddsLoss(L.Layer):
    def call(self, inputs):
        self.add_loss(inputs.square().sum())
        return inputs


class Hundred(L.Layer):
    def call(self, inputs):
        self.add_loss(torch.tensor(100.0))
        return inputs


class Holds(L.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = L.Dense(2)

    def call(self, inputs):
        return self.inner(inputs)


MADE: dict[str, tuple[Callable[[], Any], int]] = {
    "plain": (lambda: L.Dense(2), 0),
    "casts": (lambda: L.Dense(2, dtype="mixed_bfloat16"), care.CASTS),
    "activity": (lambda: L.Dense(2, activity_regularizer="l2"), care.ACTIVITY),
    "masks": (lambda: L.Masking(), care.MASKS),
    "adds": (AddsLoss, care.ADDS | care.ANSWERS),
    "inside": (Holds, care.INSIDE | care.ANSWERS),
    "told": (lambda: L.TorchModuleWrapper(nn.Linear(4, 2)), care.TOLD),
    "model": (lambda: model_of(L.Dense(2), L.ReLU()), 0),
    "model of one that adds": (lambda: model_of(AddsLoss()), care.INSIDE),
    "model of an inner activity": (
        lambda: model_of(L.RepeatVector(2), L.TimeDistributed(L.Dense(2, activity_regularizer="l2"))),
        care.INSIDE,
    ),
    "model of casts": (lambda: model_of(L.Dense(2, dtype="mixed_bfloat16")), care.INSIDE),
}


@pytest.mark.parametrize("name", MADE)
def test_care_is_known_after_the_first_call(name: str) -> None:
    make, expected = MADE[name]
    layer = make()
    if not layer.built:
        assert layer._care & care.UNBUILT
    x = X[:, None] if name == "masks" else X
    layer(x)
    layer(x)
    assert layer._care == expected


def test_each_cause_is_noticed_when_it_comes_later() -> None:
    layer = L.Dense(2)
    layer(X)
    handle = layer.register_forward_hook(lambda *_: None)
    assert layer._care == care.HOOKED
    handle.remove()
    layer.activity_regularizer = keras.regularizers.L2(0.1)
    assert layer._care == care.ACTIVITY
    layer.activity_regularizer = None
    assert layer._care == 0


# Changes --------------------------------------------------------------------------------------------------------------


def test_a_change_makes_stale_what_holds_the_layer_and_nothing_else() -> None:
    shared, own = L.Dense(4), L.Dropout(0.5)
    first, second, other = model_of(shared, own), model_of(shared), model_of(L.Dense(4))
    outer = model_of(first, L.Dense(2))
    models = (first, second, other, outer)
    for model in models:
        model(X)
    before = [model.plan for model in models]
    own.rate = 0.25
    assert [model.plan is plan for model, plan in zip(models, before, strict=True)] == [False, True, True, False]
    before = [model.plan for model in models]
    shared.register_forward_hook(lambda *_: None)
    assert [model.plan is plan for model, plan in zip(models, before, strict=True)] == [False, False, True, False]


def test_a_step_is_settled_anew_for_changes_of_its_own_model_alone() -> None:
    model, other = model_of(L.Dense(2)), model_of(L.Dropout(0.5))
    model.compile("sgd", "mse")
    model.train_on_batch(X, X[:, :2])
    step = model.make_train_function()
    settled = []
    inner, step._settle = step._settle, lambda: (settled.append(1), inner())
    other.layers[0].rate = 0.1
    model.train_on_batch(X, X[:, :2])
    assert not settled
    model.layers[0].register_forward_hook(lambda *_: None)
    model.train_on_batch(X, X[:, :2])
    assert settled


def test_a_layer_added_to_a_users_model_counts_from_then_on() -> None:
    class Grows(keras.Model):
        def __init__(self):
            super().__init__()
            self.stack = [L.Dense(4)]

        def call(self, x):
            for layer in self.stack:
                x = layer(x)
            return x

    model = Grows()
    model.compile("sgd", "mse")
    plain = model.train_on_batch(X, X)
    model.stack.append(AddsLoss())
    model.train_on_batch(0 * X, 0 * X)
    model.stack.append(Hundred())
    assert plain < 100 < model.train_on_batch(X, X)


# Calls that are nearly plain ------------------------------------------------------------------------------------------


class Remembers(nn.Module):
    def forward(self, x):
        self.trained = self.training
        return x


@pytest.mark.parametrize("training", [True, False])
def test_an_explicit_flag_reaches_every_layer_inside(training: bool) -> None:
    seen = []

    class Sees(L.Layer):
        def call(self, inputs, training=None):
            seen.append(training)
            return inputs

    inner = Remembers()
    model = model_of(Sees(), model_of(Sees(), L.TorchModuleWrapper(inner)), Holder(Sees()))
    for given in (X, X.numpy()):
        seen.clear()
        model(given, training=training)
        assert seen == [training] * 3
        assert inner.trained == training
    assert not inner.training
    assert not model.training


class Holder(L.Layer):
    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, inputs):
        return self.inner(inputs)


def test_the_flag_is_forgotten_when_the_call_fails() -> None:
    layer = L.Dropout(0.5)
    layer(X)
    model = model_of(layer, L.Dense(2))
    with pytest.raises(ValueError, match="shape"):
        model(X[:, :3], training=True)
    assert torch.equal(layer(X), X)


ARRAYS = {
    "float32": X.numpy(),
    "float64": X.numpy().astype("float64"),
    "strided": np.repeat(X.numpy(), 2, 1)[:, ::2],
    "read-only": np.broadcast_to(X.numpy()[:1], (3, 4)),
    "half": X.numpy().astype("float16"),
    "fortran": np.asfortranarray(X.numpy()),
    "integers": np.arange(12).reshape(3, 4),
    "bytes": np.arange(12, dtype="uint8").reshape(3, 4),
    "truths": X.numpy() > 0,
    "empty": X.numpy()[:0],
}


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("make", [lambda: L.Dense(2), lambda: model_of(L.Dense(2), L.ReLU()), Holds])
def test_arrays_are_what_tensors_are(make: Any, kind: str) -> None:
    layer, array = make(), ARRAYS[kind]
    layer(X)
    expected = layer(torch.tensor(np.array(array), dtype=torch.float32))
    for found in (layer(array), layer(array, training=False)):
        assert found.dtype is torch.float32
        torch.testing.assert_close(found, expected)


def test_arrays_of_text_are_refused_as_before() -> None:
    model = model_of(L.Dense(2))
    with pytest.raises(ValueError, match="expected numbers"):
        model(np.array([["a", "b", "c", "d"]]))


def test_nearly_plain_calls_take_few_frames() -> None:
    model = model_of(L.Dense(8, "relu"), L.Dense(2))
    model(X)
    array = X.numpy()
    with torch.no_grad():
        plain = len(frames(lambda: model(X)))
        assert len(frames(lambda: model(X, training=False))) <= plain + 2
        assert len(frames(lambda: model(array))) <= plain + 4
        assert len(frames(lambda: model(array.astype("float64"), training=False))) <= plain + 4


def two_inputs(keys: Any = None) -> Any:
    inputs = [keras.Input((4,), name="a"), keras.Input((2,), name="b")]
    outputs = L.Dense(2)(L.Concatenate()(inputs))
    return keras.Model(inputs if keys is None else dict(zip(keys, inputs, strict=True)), outputs)


PAIR = X, torch.randn(3, 2, generator=torch.Generator().manual_seed(1))
STRUCTURES: dict[str, Callable[[Any], Any]] = {
    "list": list,
    "tuple": tuple,
    "names": lambda pair: dict(zip("ab", pair, strict=True)),
    "other order": lambda pair: dict(zip("ba", reversed(pair), strict=True)),
    "keys": lambda pair: dict(zip(("first", "second"), pair, strict=True)),
}


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("kind", ["tensors", "arrays", "float64", "surplus axis"])
def test_several_inputs_are_what_the_careful_way_makes_of_them(structure: str, kind: str) -> None:
    model = two_inputs(("first", "second") if structure == "keys" else None)
    change: Callable[[Any], Any] = {
        "tensors": lambda x: x,
        "arrays": lambda x: x.numpy(),
        "float64": lambda x: x.numpy().astype("float64"),
        "surplus axis": lambda x: x[..., None],
    }[kind]
    given = STRUCTURES[structure]([change(x) for x in PAIR])
    expected = model.plan.run(*PAIR)
    torch.testing.assert_close(model(given), expected)
    torch.testing.assert_close(model(given, training=False), expected)
    torch.testing.assert_close(model(given, mask=None, training=None), expected)
    with torch.no_grad():
        if kind in ("tensors", "arrays", "float64"):
            plain = len(frames(lambda: model.plan.run(*PAIR)))
            assert len(frames(lambda: model(given, training=False))) <= plain + 10
    if kind in ("tensors", "arrays"):
        torch.testing.assert_close(torch.from_numpy(model.predict(given, verbose=0)), expected.detach())


def test_several_inputs_keep_their_masks_hooks_and_errors() -> None:
    steps, mask = torch.ones(1, 3, 4), torch.tensor([[True, False, True]])
    masked = steps.clone()
    masked._keras_mask = mask
    assert L.Add()([masked, masked])._keras_mask.equal(mask)
    model = two_inputs()
    called = []
    handle = model.register_forward_hook(lambda *_: called.append(1))
    model(list(PAIR))
    handle.remove()
    assert called == [1]
    with pytest.raises(ValueError, match="misses input"):
        model({"a": PAIR[0], "c": PAIR[1]})
    with pytest.raises(ValueError, match="expected 2 inputs"):
        model([PAIR[0]])
    with pytest.raises(ValueError, match="expected 4 along"):
        model([PAIR[1], PAIR[1]])


class Counting(keras.Model):
    def __init__(self) -> None:
        self.early = keras.metrics.Mean(name="early")
        super().__init__()
        self.inner, self.more = L.Dense(1), []

    def call(self, inputs: Any) -> Any:
        return self.inner(inputs)


def test_metrics_are_found_wherever_they_were_put() -> None:
    model = Counting()
    model(X)
    model.compile("sgd", "mse")
    model.more.append(keras.metrics.Mean(name="appended"))
    model.inner.of_layer = keras.metrics.Mean(name="of_layer")
    model.pair = (1, keras.metrics.Mean(name="in_tuple"))
    names = {"loss", "early", "appended", "of_layer", "in_tuple"}
    assert {metric.name for metric in model.metrics} == names
    y = np.ones((3, 1), "float32")
    for method in (model.test_on_batch, model.train_on_batch):
        assert set(method(X.numpy(), y, return_dict=True)) == names


def test_a_models_care_counts_the_layers_inside_whatever_is_tended() -> None:
    first, second = keras.Input((4,)), keras.Input((4,))
    model = keras.Model([first, second], AddsLoss()(L.Add()([first, second])))
    model([X, X])
    expected = care.INSIDE
    assert model.plan
    assert model._care == expected
    model.register_forward_hook(lambda *_: None)
    assert model._care == expected | care.HOOKED


@pytest.mark.parametrize("given", [np.array([[1.0, 2.0]]), np.array([[1, 2]]), np.array([[1, 2]], "uint8")])
def test_models_of_integers_take_arrays_of_any_kind(given: np.ndarray) -> None:
    model = keras.Sequential([keras.Input((2,), dtype="int32"), L.Embedding(5, 3)])
    torch.testing.assert_close(model(given), model(torch.tensor([[1, 2]], dtype=torch.int32)))
