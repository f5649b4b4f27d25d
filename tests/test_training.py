"""Training: losses equal a hand-written loop's, data of every kind, weights, several outputs, faults, no waiting."""

from __future__ import annotations

import functools
import json
import logging
import pickle
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import TestCase

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.golden import Case, cases, problems
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import lamina as keras
from lamina import keras1, keras2, layers, tf_keras
from lamina.callbacks import Callback, Logs
from lamina.core.care import Changes
from lamina.training import data as data_module
from lamina.training import loop as loop_module
from lamina.training.data import PyDataset, make_source
from lamina.training.graphs import Captured
from lamina.training.memory import keep_buffers
from lamina.training.trainer import Trainer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(70, 5)).astype("float32")
LABELS = RNG.integers(0, 3, 70)
CROSS = "sparse_categorical_crossentropy"
TARGETS = RNG.normal(size=(70, 3)).astype("float32")


def classifier(activation: str | None = "softmax", units: int = 3, **settings: Any) -> keras.Sequential:
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [keras.Input((5,)), layers.Dense(8, activation="tanh"), layers.Dense(units, activation=activation, **settings)]
    )


def compiled(loss: Any = "mse", activation: str | None = None, units: int = 3, optimizer: Any = None, **settings: Any):
    model = classifier(activation, units)
    model.compile(optimizer or keras.optimizers.SGD(0.1), loss, **settings)
    return model


class Losses(Callback):
    """The running mean loss after every batch."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seen.append(logs["loss"])


def curve(model: Any, *data: Any, **settings: Any) -> list[float]:
    losses = Losses()
    model.fit(*data, shuffle=False, verbose=0, callbacks=[losses], **settings)
    return losses.seen


def loop(
    model: Any, loss_of: Callable[[Tensor, Tensor], Tensor], optimizer: Any, y: Any, size: int = 32
) -> list[float]:
    """What `curve` must give: the running mean of the losses of one epoch, in plain torch."""
    total, count, seen = 0.0, 0, []
    for x, target in zip(torch.tensor(X).split(size), torch.as_tensor(y).split(size), strict=True):
        optimizer.zero_grad()
        loss = loss_of(model(x), target)
        loss.backward()
        optimizer.step()
        total, count = total + loss.item() * len(x), count + len(x)
        seen.append(total / count)
    return seen


# Loss curves ----------------------------------------------------------------------------------------------------------


def from_probabilities(output: Tensor, labels: Tensor) -> Tensor:
    return F.nll_loss(output.log(), labels)


def of_scores(output: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(output, labels)


CURVES = {
    "mse": (None, "mse", TARGETS, F.mse_loss),
    "softmax": ("softmax", "sparse_categorical_crossentropy", LABELS, from_probabilities),
    "scores": (None, keras.losses.SparseCategoricalCrossentropy(from_logits=True), LABELS, of_scores),
    "callable": (None, lambda y, p: (y - p).pow(4).mean(-1), TARGETS, lambda p, y: (y - p).pow(4).mean()),
}


@pytest.mark.parametrize("case", CURVES)
@pytest.mark.parametrize(
    "optimizers",
    [
        (lambda: keras.optimizers.SGD(0.1, momentum=0.9), lambda w: torch.optim.SGD(w, 0.1, 0.9)),
        (lambda: keras.optimizers.Adam(0.01, epsilon=1e-8), lambda w: torch.optim.Adam(w, 0.01)),
    ],
    ids=["sgd", "adam"],
)
def test_loss_curve_equals_a_hand_written_loop(case: str, optimizers: tuple) -> None:
    activation, loss, y, loss_of = CURVES[case]
    ours, theirs = classifier(activation), classifier(activation)
    ours.compile(optimizers[0](), loss)
    found = curve(ours, X, y, batch_size=32)
    expected = loop(theirs, loss_of, optimizers[1](theirs.parameters()), y)
    np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("case", cases({"keras3": ("optimizers",)}), ids=lambda case: case.id)
def test_training_follows_the_recorded_steps_of_keras(case: Case) -> None:
    found = [problem for problem in problems(case, keras) if "config" not in problem]
    assert not found, "\n    ".join([str(case), *found])


RECORDED = json.loads((Path(__file__).parent / "golden/keras3/fit.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("optimizer", RECORDED)
def test_fit_equals_the_recorded_one_of_keras(optimizer: str) -> None:
    """Keras 3.15.1 on torch: logs of 4 epochs, the mean loss after each of 20 steps, and what `evaluate` returns."""
    rng = np.random.default_rng(0)
    x, y, binary = rng.normal(size=(160, 6)), rng.integers(0, 3, 160), rng.integers(0, 2, 160)
    inputs = keras.Input((6,))
    hidden = layers.Dense(8, activation="relu", kernel_regularizer="l2")(inputs)
    a = layers.Dense(3, activation="softmax", name="a")(hidden)
    b = layers.Dense(1, activation="sigmoid", name="b")(hidden)
    model = keras.Model(inputs, [a, b])
    rng = np.random.default_rng(1)
    model.set_weights([0.5 * rng.normal(size=weight.shape) for weight in model.get_weights()])
    model.compile(
        eval(optimizer, vars(keras.optimizers)),
        loss={"a": CROSS, "b": "binary_crossentropy"},
        loss_weights={"a": 1.0, "b": 0.3},
        metrics={"a": ["accuracy"], "b": ["auc", "accuracy"]},
        weighted_metrics={"a": ["accuracy"]},
    )
    weight, losses = np.linspace(0.1, 2, 160), Losses()
    settings = {"batch_size": 32, "epochs": 4, "shuffle": False, "validation_split": 0.1, "verbose": 0}
    logs = model.fit(x, [y, binary], sample_weight=[weight, weight[::-1]], callbacks=[losses], **settings).history
    found = {**logs, "batch": losses.seen, "eval": model.evaluate(x, [y, binary], verbose=0)}
    recorded = RECORDED[optimizer]
    assert list(found) == list(recorded)
    for name, values in recorded.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-6, err_msg=name)


def test_regularizers_activity_and_added_losses_count() -> None:
    class Adds(keras.Layer):
        def call(self, inputs):
            self.add_loss(0.01 * inputs.square().mean())
            return inputs

    def make() -> Any:
        keras.utils.set_random_seed(3)
        dense = layers.Dense(3, kernel_regularizer=keras.regularizers.L2(0.1), activity_regularizer="l2")
        return keras.Sequential([keras.Input((5,)), dense, Adds()])

    ours, theirs = make(), make()
    ours.compile(keras.optimizers.SGD(0.1), "mse")
    kernel = theirs.layers[0].kernel

    def loss_of(output: Tensor, target: Tensor) -> Tensor:
        extra = 0.1 * kernel.square().sum() + 0.01 * output.square().sum() / len(output) + 0.01 * output.square().mean()
        return F.mse_loss(output, target) + extra

    expected = loop(theirs, loss_of, torch.optim.SGD(theirs.parameters(), 0.1), TARGETS)
    np.testing.assert_allclose(curve(ours, X, TARGETS, batch_size=32), expected, rtol=1e-5)


@pytest.mark.parametrize("loss", [None, "mse"])
def test_the_first_batch_counts_a_loss_that_only_a_call_shows(loss: Any) -> None:
    """The layer says its shape, so that nothing has called it before."""

    class Penalty(layers.Layer):
        def call(self, inputs: torch.Tensor) -> torch.Tensor:
            self.add_loss(inputs.square().sum())
            return inputs

        def compute_output_shape(self, input_shape: Any) -> Any:
            return input_shape

    model = keras.Sequential([keras.Input((5,)), Penalty()])
    model.compile("sgd", loss)
    expected = float((X[:4] ** 2).sum()) + (0 if loss is None else float(((X[:4] - 1) ** 2).mean()))
    y = None if loss is None else np.ones((4, 5))
    assert model.test_on_batch(X[:4], y) == pytest.approx(expected, rel=1e-5)
    assert model.test_on_batch(X[:4], y) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("wrong", [keras.Input((2,)), 0.5, lambda: torch.ones(()), np.ones(2), [torch.ones(()), "a"]])
def test_only_tensors_are_added_to_the_loss(wrong: Any) -> None:
    start = keras.Input((2,))
    layer = layers.Dense(2)
    model = keras.Model(start, layer(start))
    for item in (layer, model):
        with pytest.raises(ValueError, match="`add_loss` takes tensors computed in `call`"):
            item.add_loss(wrong)
    assert model.losses == []


def test_weight_regularizers_alone_are_found_once() -> None:
    model = classifier(None, kernel_regularizer=keras.regularizers.L2(0.1))
    model.compile("sgd", "mse")
    kernel = model.layers[1].get_weights()[0]
    plain = classifier(None)
    plain.compile("sgd", "mse")
    difference = model.test_on_batch(X, TARGETS) - plain.test_on_batch(X, TARGETS)
    assert difference == pytest.approx(0.1 * (kernel**2).sum(), rel=1e-5)


@pytest.mark.parametrize(
    ("activation", "loss", "y"),
    [
        ("softmax", "sparse_categorical_crossentropy", LABELS),
        ("softmax", "categorical_crossentropy", np.eye(3, dtype="float32")[LABELS]),
        ("sigmoid", "binary_crossentropy", np.eye(3, dtype="float32")[LABELS]),
        ("sigmoid", keras.losses.BinaryFocalCrossentropy(label_smoothing=0.1), np.eye(3, dtype="float32")[LABELS]),
    ],
)
def test_log_space_is_used_and_changes_no_value(activation: str, loss: Any, y: np.ndarray) -> None:
    model = compiled(loss, activation, metrics=["mae"] if y.ndim > 1 else ["accuracy"])
    inside = model.evaluate(X, y, verbose=0, batch_size=70)
    assert model._steps["test"].passes.asks
    outside = float(model.compute_loss(y=torch.tensor(y), y_pred=model(torch.tensor(X))).detach())
    assert inside[0] == pytest.approx(outside, abs=1e-5)
    assert model.layers[-1].activation is getattr(keras.activations, activation)
    with torch.no_grad():  # a certain and wrong answer keeps its gradient
        model.layers[-1].bias.copy_(torch.tensor([300.0, -300.0, -300.0]))
        model.layers[-1].kernel.zero_()
    before = model.get_weights()
    wrong = np.ones(70) if y.ndim == 1 else np.tile(np.float32([0, 1, 1]), (70, 1))
    model.fit(X, wrong, verbose=0, batch_size=70)
    assert not np.array_equal(before[3], model.get_weights()[3])


def test_log_space_serves_training_and_validation_in_turns() -> None:
    model = compiled(CROSS, "softmax", optimizer=keras.optimizers.SGD(0.0))
    weights = model.get_weights()
    model.set_weights([*weights[:2], 0 * weights[2], np.float32([300, -300, -300])])
    history = model.fit(X, np.ones(70), validation_data=(X, np.ones(70)), epochs=3, verbose=0).history
    assert [*history["loss"], *history["val_loss"]] == pytest.approx([600.0] * 6)


def test_a_loss_of_ones_own_sees_probabilities() -> None:
    class Own(keras.losses.CategoricalCrossentropy):
        def call(self, y_true, y_pred):
            return y_pred.sum(-1)

    assert compiled(Own(), "softmax").evaluate(X, np.eye(3)[LABELS], verbose=0) == pytest.approx(1.0)


def test_log_space_only_where_the_output_is_the_activation() -> None:
    inputs = keras.Input((5,))
    hidden = layers.Dense(3, activation="softmax")(inputs)
    model = keras.Model(inputs, 0.5 * hidden + 0.1)
    model.compile("sgd", "sparse_categorical_crossentropy")
    value = model.evaluate(X, LABELS, verbose=0, batch_size=70)
    assert not model._steps["test"].passes.asks
    outputs = model.predict(X, verbose=0)
    outputs /= outputs.sum(-1, keepdims=True)
    assert value == pytest.approx(-np.log(outputs[np.arange(70), LABELS]).mean(), rel=1e-5)


# Order of the samples -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [True, "batch", False])
@pytest.mark.parametrize("gathered", [1, 1 << 20])
def test_an_epoch_sees_each_sample_once(shuffle: Any, gathered: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_module, "_GATHERED", gathered)
    x = np.arange(70)
    source = make_source(x, x * 2, batch_size=8, shuffle=shuffle)
    orders = []
    for _ in range(2):
        batches = list(source.batches())
        assert [len(batch[0]) for batch in batches] == [8] * 8 + [6]
        assert all(torch.equal(y, 2 * xs) for xs, y, _ in batches)
        orders.append(np.concatenate([batch[0] for batch in batches]))
        assert sorted(orders[-1]) == list(x)
    assert np.array_equal(orders[0], orders[1]) == (shuffle is False)
    if shuffle == "batch":
        assert [sorted(order) for order in np.array_split(orders[0][:64], 8)] == np.arange(64).reshape(8, 8).tolist()


def test_validation_split_is_the_end() -> None:
    model = compiled()
    history = model.fit(X, TARGETS, validation_split=0.25, verbose=0, shuffle=False, batch_size=70).history
    assert history["val_loss"][0] == pytest.approx(model.evaluate(X[52:], TARGETS[52:], verbose=0), rel=1e-5)
    again = compiled()
    assert history["loss"] == again.fit(X[:52], TARGETS[:52], verbose=0, shuffle=False, batch_size=70).history["loss"]


def test_initial_epoch_and_validation_freq() -> None:
    history = compiled().fit(
        X, TARGETS, epochs=6, initial_epoch=2, validation_data=(X, TARGETS), validation_freq=2, verbose=0
    )
    assert history.epoch == [2, 3, 4, 5] and len(history.history["val_loss"]) == 2
    history = compiled().fit(X, TARGETS, epochs=3, validation_data=(X, TARGETS), validation_freq=[1, 3], verbose=0)
    assert len(history.history["val_loss"]) == 2


def test_steps_per_epoch_goes_on_where_the_last_epoch_ended() -> None:
    seen: list[float] = []

    class Spy(Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(batch)

    rows: list[float] = []
    model = compiled()
    model.register_forward_pre_hook(lambda module, args: rows.extend(args[0][:, 0].tolist()))
    model.fit(X, TARGETS, batch_size=10, steps_per_epoch=3, epochs=2, shuffle=False, verbose=0, callbacks=[Spy()])
    assert seen == [0, 1, 2, 0, 1, 2]
    np.testing.assert_array_equal(rows, X[:60, 0])
    with pytest.warns(UserWarning, match="ran out of data after 7 of 9"):
        model.fit(X, TARGETS, batch_size=10, steps_per_epoch=9, verbose=0)


@pytest.mark.parametrize("kind", ["arrays", "loader", "dataset"])
def test_validation_steps_are_the_same_batches_every_epoch(kind: str) -> None:
    whole = {
        "arrays": (X, TARGETS),
        "loader": DataLoader(TensorDataset(torch.tensor(X), torch.tensor(TARGETS)), batch_size=10),
        "dataset": Whole(),
    }[kind]
    model = compiled(optimizer=keras.optimizers.SGD(0.0))
    history = model.fit(
        X, TARGETS, epochs=3, validation_data=whole, validation_steps=2, validation_batch_size=10, verbose=0
    ).history
    assert len(set(history["val_loss"])) == 1


def test_validation_goes_on_in_a_generator() -> None:
    stream = ((X[start : start + 10], TARGETS[start : start + 10]) for start in range(0, 70, 10))
    model = compiled(optimizer=keras.optimizers.SGD(0.0))
    found = model.fit(X, TARGETS, epochs=3, validation_data=stream, validation_steps=2, verbose=0).history["val_loss"]
    expected = [model.evaluate(X[start : start + 20], TARGETS[start : start + 20], verbose=0) for start in (0, 20, 40)]
    assert found == pytest.approx(expected, rel=1e-5)


def test_numpy_integers_count() -> None:
    two, many = np.int64(2), np.int32(20)
    history = compiled().fit(X, TARGETS, batch_size=many, epochs=two, steps_per_epoch=two, verbose=0)
    assert history.epoch == [0, 1]
    assert compiled().predict(X, batch_size=many, verbose=0).shape == (70, 3)


# Kinds of data --------------------------------------------------------------------------------------------------------


class Whole(PyDataset):
    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self.epochs: list[str] = []

    def __len__(self) -> int:
        return 7

    def __getitem__(self, index: int) -> Any:
        return X[index * 10 : index * 10 + 10], TARGETS[index * 10 : index * 10 + 10]

    def on_epoch_begin(self) -> None:
        self.epochs.append("begin")

    def on_epoch_end(self) -> None:
        self.epochs.append("end")


class Frame:
    """Looks like a pandas object."""

    def __init__(self, array: np.ndarray):
        self.array, self.shape = array, array.shape

    def to_numpy(self) -> np.ndarray:
        return self.array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.array

    def __len__(self) -> int:
        return len(self.array)


class Batches:
    def __iter__(self) -> Iterator[Any]:
        return iter(Whole())


DATA = {
    "numpy": lambda: (X, TARGETS),
    "float64": lambda: (X.astype("float64"), TARGETS.astype("float64")),
    "torch": lambda: (torch.tensor(X), torch.tensor(TARGETS, requires_grad=True)),
    "read-only": lambda: (np.broadcast_to(X, X.shape), TARGETS[:, ::-1][:, ::-1]),
    "pandas": lambda: (Frame(X), Frame(TARGETS)),
    "lists": lambda: (X.tolist(), TARGETS.tolist()),
    "DataLoader": lambda: (DataLoader(TensorDataset(torch.tensor(X), torch.tensor(TARGETS)), 10),),
    "generator": lambda: (batch for batch in Whole()),
    "iterable": lambda: (Batches(),),
    "PyDataset": lambda: (Whole(),),
    "threads": lambda: (Whole(workers=3, max_queue_size=2),),
}


@pytest.mark.parametrize("kind", DATA)
def test_every_kind_of_data_trains_alike(kind: str) -> None:
    given = DATA[kind]()
    given = (given,) if not isinstance(given, tuple) else given
    size = {"batch_size": 10} if len(given) == 2 else {}
    expected = curve(compiled(), X, TARGETS, batch_size=10)
    np.testing.assert_allclose(curve(compiled(), *given, **size), expected, rtol=1e-6)


@pytest.mark.slow
def test_processes_read_a_dataset() -> None:
    found = curve(compiled(), Whole(workers=2, use_multiprocessing=True))
    np.testing.assert_allclose(found, curve(compiled(), X, TARGETS, batch_size=10), rtol=1e-6)


def test_a_dataset_is_told_of_epochs_and_mixed() -> None:
    dataset = Whole()
    compiled().fit(dataset, epochs=2, verbose=0)
    assert dataset.epochs == ["begin", "end"] * 2
    order = [batch[0][0, 0].item() for batch in make_source(Whole(), shuffle=True).batches()]
    assert sorted(order) == sorted(X[::10, 0].tolist()) and order != X[::10, 0].tolist()


def test_iterables_start_again_and_generators_end() -> None:
    history = compiled().fit(Batches(), epochs=2, verbose=0, validation_data=Batches())
    assert len(history.history["val_loss"]) == 2
    with pytest.warns(UserWarning, match="generator ran out of data"):
        history = compiled().fit((batch for batch in Whole()), epochs=3, verbose=0)
    assert history.epoch == [0]


def test_types_are_settled_once() -> None:
    source = make_source([X.astype("float64"), LABELS.astype("uint16")], LABELS.astype("int8"))
    (floats, integers), y, _ = next(iter(source.batches()))
    assert (floats.dtype, integers.dtype, y.dtype) == (torch.float32, torch.int32, torch.int8)


def test_inputs_by_name_and_in_lists() -> None:
    a, b = keras.Input((5,), name="a"), keras.Input((5,), name="b")
    model = keras.Model({"a": a, "b": b}, layers.Dense(3)(layers.Add()([a, b])))
    model.compile("sgd", "mse")
    zero = np.zeros_like(X)
    by_name = model.evaluate({"b": X, "a": zero}, TARGETS, verbose=0)
    assert by_name == pytest.approx(model.evaluate({"a": X, "b": zero}, TARGETS, verbose=0), rel=1e-5)
    assert model.predict({"a": X, "b": X}, verbose=0).shape == (70, 3)


@pytest.mark.parametrize("y", [TARGETS[:, 0], TARGETS[:, :1]], ids=["(n,)", "(n, 1)"])
def test_targets_may_lack_the_last_axis(y: np.ndarray) -> None:
    model = compiled("mse", units=1)
    expected = ((model.predict(X, verbose=0)[:, 0] - y.reshape(-1)) ** 2).mean()
    assert model.evaluate(X, y, verbose=0) == pytest.approx(expected, rel=1e-5)


# Weights --------------------------------------------------------------------------------------------------------------


def test_class_weight_follows_the_formula() -> None:
    weights = {0: 2.0, 2: 0.5}
    model = compiled("sparse_categorical_crossentropy", "softmax")
    p = model.predict(X, verbose=0)[np.arange(70), LABELS]
    each = np.array([weights.get(label, 1.0) for label in LABELS])
    expected = (-np.log(p) * each).mean()
    for y in (LABELS, LABELS[:, None], LABELS.astype("float32")):
        history = deepcopy(model).fit(X, y, class_weight=weights, batch_size=70, verbose=0).history
        assert history["loss"][0] == pytest.approx(expected, rel=1e-5)
    onehot = compiled("categorical_crossentropy", "softmax")
    found = onehot.train_on_batch(X, np.eye(3)[LABELS], class_weight=weights)
    assert found == pytest.approx(expected, rel=1e-5)


def test_class_weight_in_streams() -> None:
    weights, model = {1: 3.0}, compiled(CROSS, "softmax")
    whole = deepcopy(model).fit(X, LABELS, class_weight=weights, batch_size=70, shuffle=False, verbose=0).history
    assert deepcopy(model).fit(iter([(X, LABELS)]), class_weight=weights, verbose=0).history == whole
    with pytest.raises(ValueError, match="not both"):
        model.fit(iter([(X, LABELS, X[:, 0])]), class_weight=weights, verbose=0)
    with pytest.raises(ValueError, match="single array of targets"):
        model.fit(X, [LABELS, LABELS], class_weight=weights, verbose=0)


def test_sample_weight_weighs_loss_and_weighted_metrics_alone() -> None:
    weight = RNG.uniform(0.1, 3, 70)
    model = compiled("mse", metrics=["mae"], weighted_metrics=["mae"])
    error = model.predict(X, verbose=0) - TARGETS
    found = model.evaluate(X, TARGETS, sample_weight=weight, verbose=0, return_dict=True, batch_size=70)
    assert found["loss"] == pytest.approx(((error**2).mean(-1) * weight).mean(), rel=1e-5)
    assert found["mae"] == pytest.approx(abs(error).mean(), rel=1e-5)
    assert found["weighted_mae"] == pytest.approx((abs(error).mean(-1) * weight).sum() / weight.sum(), rel=1e-5)
    assert model.test_on_batch(X, TARGETS, [weight], return_dict=True) == pytest.approx(found, rel=1e-5)
    in_list = model.evaluate(X, TARGETS, sample_weight=[weight], verbose=0, return_dict=True)
    assert in_list == pytest.approx(found, rel=1e-5)
    by_batch = model.evaluate(((X, TARGETS, weight) for _ in range(1)), verbose=0, return_dict=True)
    assert by_batch == pytest.approx(found, rel=1e-5)


def test_a_mask_on_the_output_weighs_the_loss() -> None:
    class Marks(keras.Layer):
        def call(self, inputs):
            return inputs * 1.0

        def compute_mask(self, inputs, mask=None):
            return inputs[..., 0] > 0

    x, y = RNG.normal(size=(6, 4, 2)).astype("float32"), RNG.normal(size=(6, 4, 2)).astype("float32")

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.marks = Marks()

        def call(self, inputs):
            return self.marks(inputs)

        def compute_mask(self, inputs, mask=None):
            return inputs[..., 0] > 0

    model = Net()
    model.compile("sgd", "mse")
    kept = x[..., 0] > 0
    expected = (((x - y) ** 2).mean(-1)[kept]).mean()
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("functional", [False, True])
def test_the_mask_of_a_plan_weighs_the_loss(functional: bool) -> None:
    steps = [layers.Embedding(10, 3, mask_zero=True), layers.Dense(2)]
    inputs = keras.Input((4,), dtype="int32")
    model = keras.Model(inputs, steps[1](steps[0](inputs))) if functional else keras.Sequential([inputs, *steps])
    model.compile("sgd", "mse", metrics=["mae"])
    x, y = RNG.integers(0, 3, (6, 4)), RNG.normal(size=(6, 4, 2)).astype("float32")
    error = (model.predict(x, verbose=0) - y)[x != 0]
    found = model.evaluate(x, y, verbose=0)
    assert found == pytest.approx([(error**2).mean(), abs(error).mean()], rel=1e-5)


# Several outputs ------------------------------------------------------------------------------------------------------


def two_outputs(as_dict: bool = False) -> keras.Model:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((5,))
    a, b = layers.Dense(3, name="a")(inputs), layers.Dense(3, activation="softmax", name="b")(inputs)
    return keras.Model(inputs, {"a": a, "b": b} if as_dict else [a, b])


def expected_of(model: Any, wa: float = 1.0, wb: float = 1.0) -> dict[str, float]:
    outputs = model.predict(X, verbose=0)
    a, b = (outputs["a"], outputs["b"]) if isinstance(outputs, dict) else outputs
    mse, ce = ((a - TARGETS) ** 2).mean(), -np.log(b[np.arange(70), LABELS]).mean()
    accuracy = (b.argmax(-1) == LABELS).mean()
    return {"a_loss": mse, "b_loss": ce, "b_accuracy": accuracy, "loss": wa * mse + wb * ce}


@pytest.mark.parametrize("as_dict", [False, True])
@pytest.mark.parametrize(
    ("settings", "y"),
    [
        ({"loss": ["mse", CROSS], "loss_weights": [0.5, 2.0], "metrics": [None, ["accuracy"]]}, [TARGETS, LABELS]),
        (
            {"loss": {"b": CROSS, "a": "mse"}, "loss_weights": {"a": 0.5, "b": 2.0}, "metrics": {"b": "accuracy"}},
            {"b": LABELS, "a": TARGETS},
        ),
    ],
    ids=["lists", "dicts"],
)
def test_several_outputs(as_dict: bool, settings: dict, y: Any) -> None:
    model = two_outputs(as_dict)
    model.compile("sgd", **settings)
    expected = expected_of(model, 0.5, 2.0)
    found = model.evaluate(X, y, verbose=0, return_dict=True)
    assert list(found) == ["a_loss", "b_accuracy", "b_loss", "loss"]
    assert found == pytest.approx(expected, rel=1e-4)
    values = model.evaluate(X, y, verbose=0)
    by_key = as_dict and isinstance(y, dict)  # then the dictionary of losses says the order
    losses = ["b_loss", "a_loss"] if by_key else ["a_loss", "b_loss"]
    assert values == pytest.approx([expected[name] for name in ("loss", *losses, "b_accuracy")], rel=1e-4)
    assert model.metrics_names == ["loss", "compile_metrics", *losses]
    weight = np.arange(70) / 70
    both = model.evaluate(X, y, sample_weight=weight, verbose=0)
    given = {"a": weight, "b": weight} if isinstance(y, dict) else [weight, weight]
    assert both == pytest.approx(model.evaluate(X, y, sample_weight=given, verbose=0), rel=1e-6)
    assert model._steps["test"].passes.asks


def test_an_output_without_a_loss() -> None:
    model = two_outputs()
    model.compile("sgd", loss=[None, CROSS])
    assert model.evaluate(X, [LABELS], verbose=0) == pytest.approx(expected_of(model)["b_loss"], rel=1e-4)
    named = two_outputs(as_dict=True)
    named.compile("sgd", loss={"b": CROSS})
    assert named.evaluate(X, {"b": LABELS}, verbose=0) == pytest.approx(expected_of(named)["b_loss"], rel=1e-4)


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("as_dict", [True, False])
@pytest.mark.parametrize("metrics", [None, "weighted_metrics", "metrics"])
def test_targets_for_the_one_output_with_a_loss(alone: bool, as_dict: bool, metrics: str | None) -> None:
    model = two_outputs(as_dict)
    settings: dict[str, Any] = (
        {} if metrics is None else {metrics: {"b": "accuracy"} if as_dict else [None, ["accuracy"]]}
    )
    model.compile("sgd", loss={"b": CROSS} if as_dict else [None, CROSS], **settings)
    y = LABELS if alone else [LABELS]
    expected = expected_of(model)["b_loss"]
    found = model.evaluate(X, y, verbose=0)
    assert (found if metrics is None else found[0]) == pytest.approx(expected, rel=1e-4)


def test_an_error_in_a_loss_of_ones_own_is_its_own() -> None:
    class Wrong(keras.losses.Loss):
        def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            return keras.ops.sum(keras.ops.squeeze(y_true), 1)

    model = keras.Sequential([keras.layers.Dense(4)])
    model.compile("sgd", Wrong())
    with pytest.raises(ValueError, match="sum cannot take inputs of shape"):
        model.fit(X, np.zeros((len(X), 1), "int32"), verbose=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": {"c": "mse"}}, "loss.*no output `c`.*`a`, `b`"),
        ({"loss": {"a": "mse", "b": {"d": "mae"}}}, "loss: `d` cannot be found.*one output"),
        ({"loss": [{"a": "mse"}, "mse"]}, "loss: `a` cannot be found.*one output"),
        ({"loss": "mse", "metrics": {"b": {"d": "mae"}}}, "metrics: `d` cannot be found.*one output"),
        ({"loss": "mse", "loss_weights": {"b": {"d": 2.0}}}, "loss_weights: `d` cannot be found.*one output"),
        ({"loss": ["mse"]}, "loss.*2 outputs.*1"),
        ({"loss": "mse", "metrics": ["mae", "mae", "mae"]}, "metrics.*2 outputs.*3"),
    ],
)
def test_outputs_that_do_not_fit(settings: dict, message: str) -> None:
    model = two_outputs()
    with pytest.raises(ValueError, match=message):
        model.compile("sgd", **settings)
    assert not model.compiled


SPACES = pytest.mark.parametrize("space", [keras, keras1, keras2, tf_keras], ids=lambda space: space.__name__)
NOWHERE = [
    {"metrics": {"nope": "mae"}},
    {"weighted_metrics": {"nope": ["mae"]}},
    {"loss": {"nope": "mse"}},
    {"loss": {"a": "mse", "nope": "mse"}},
    {"loss_weights": {"nope": 1.0}},
    {"loss": ["mse"] * 3},
    {"loss_weights": [1.0] * 3},
]


@SPACES
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("settings", NOWHERE, ids=str)
def test_what_is_meant_for_no_output_is_refused(space: Any, outputs: int, settings: dict) -> None:
    first = next(iter(settings.values()))
    if space is tf_keras and outputs == 1 and isinstance(first, list):
        pytest.skip("tf.keras takes the first of a list")
    start = space.layers.Input((5,))
    made = [space.layers.Dense(1, name=name)(start) for name in "ab"[:outputs]]
    model = space.models.Model(start, made if outputs > 1 else made[0])
    if outputs > 1 and settings.get("loss") is None:
        settings = {"loss": ["mse", "mse"], **settings}
    name = next(key for key in ("loss_weights", "weighted_metrics", "metrics", "loss") if key in settings)
    with pytest.raises(ValueError, match=rf"^{name}: .*(`a`|one output 'a'|2 outputs)"):
        model.compile("sgd", **{"loss": "mse", **settings})
    assert not model.compiled


def test_a_subclassed_model_says_at_the_first_batch_what_fits_no_output() -> None:
    class Two(keras.Model):
        def call(self, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"a": inputs, "b": inputs}

    for settings in ({"metrics": {"c": "mae"}}, {"loss": {"c": "mse"}}):
        model = Two()
        model.compile("sgd", **{"loss": "mse", **settings})
        with pytest.raises(ValueError, match="no output `c`; its outputs are `a`, `b`"):
            model.evaluate(X, {"a": X, "b": X}, verbose=0)


def test_a_metric_needs_targets() -> None:
    model = two_outputs()
    model.compile("sgd", {"a": "mse"}, metrics={"b": ["accuracy"]})
    with pytest.raises(ValueError, match="`metrics` need targets, but there are none for output 'b'"):
        model.fit(X, {"a": TARGETS}, verbose=0)


@SPACES
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": Callback()}, "Unknown loss"),
        ({"loss": 3}, "Unknown loss 3"),
        ({"loss": {"a": Callback()}}, "Unknown loss"),
        ({"loss": keras.metrics.MeanSquaredError()}, "is a metric"),
        ({"metrics": [Callback()]}, "Unknown metric"),
        ({"metrics": {"a": [3]}}, "Unknown metric 3"),
        ({"loss_weights": {"a": Callback()}}, "must hold numbers"),
        ({"optimizer": torch.optim.Adam([torch.nn.Parameter(torch.ones(1))])}, r"pass optimizers\.Adam\(\.\.\.\)"),
        ({"optimizer": Callback()}, "Unknown optimizer"),
    ],
)
def test_what_compile_does_not_take(space: Any, settings: dict, message: str) -> None:
    start = space.layers.Input((5,))
    model = space.models.Model(start, space.layers.Dense(1, name="a")(start))
    with pytest.raises(ValueError, match=message) as raised:
        model.compile(**{"optimizer": "sgd", "loss": "mse", **settings})
    assert not model.compiled and len(str(raised.value)) < 250


def test_a_config_cannot_name_a_callback_as_loss_or_metric() -> None:
    wrong = {"module": "keras.callbacks", "class_name": "EarlyStopping", "config": {}, "registered_name": None}
    model = classifier()
    for settings in ({"loss": wrong}, {"loss": "mse", "metrics": [wrong]}):
        with pytest.raises(ValueError, match=r"Unknown (loss|metric) EarlyStopping"):
            model.compile_from_config({"optimizer": "sgd", **settings})
    assert not model.compiled


@SPACES
def test_an_unknown_argument_of_compile_gets_a_hint(space: Any) -> None:
    model = space.models.Sequential([space.layers.Dense(1, input_shape=(5,))])
    with pytest.raises(TypeError, match=r"compile has no argument `metric`\. Did you mean `metrics`"):
        model.compile(optimizer="sgd", loss="mse", metric=["mae"])
    assert not model.compiled


@pytest.mark.parametrize("places", [(), ("kernel",), ("kernel", "activity")])
def test_a_penalty_of_any_shape_is_summed(places: tuple[str, ...]) -> None:
    """As Keras 3 does."""
    settings = {f"{place}_regularizer": torch.square for place in places}
    model = keras.Sequential([keras.Input((5,)), layers.Dense(3, **settings)])
    model.compile("sgd", "mse")
    outputs = model.predict(X, verbose=0)
    expected = ((outputs - TARGETS) ** 2).mean()
    expected += (model.get_weights()[0] ** 2).sum() if "kernel" in places else 0
    expected += (outputs**2).sum() / len(X) if "activity" in places else 0
    assert model.evaluate(X, TARGETS, batch_size=70, verbose=0) == pytest.approx(expected, rel=1e-4)
    assert model.fit(X, TARGETS, batch_size=70, verbose=0).history["loss"][0] == pytest.approx(expected, rel=1e-4)


# Labels ---------------------------------------------------------------------------------------------------------------

WRONG_LABELS = [
    (0.5, "class numbers; got 0.5"),
    (np.nan, "got nan"),
    (np.inf, "got inf"),
    (3, "0 to 2"),
    (-1, "0 to 2"),
]
WRONG_LABELS += [(-100, "y holds class -100")]


@SPACES
@pytest.mark.parametrize(("wrong", "message"), WRONG_LABELS)
@pytest.mark.parametrize("method", ["fit", "evaluate", "validation", "train_on_batch", "stream"])
def test_wrong_labels_are_refused(space: Any, wrong: float, message: str, method: str) -> None:
    """Before anything changes, where all of them are at hand."""
    model = space.models.Sequential([space.layers.Dense(3, activation="softmax", input_shape=(5,))])
    model.compile("sgd", CROSS, metrics=["accuracy"])
    before = model.get_weights()
    y = LABELS.astype(float if np.isnan(wrong) or wrong % 1 else int)
    y[60] = wrong
    act = {
        "fit": lambda: model.fit(X, y, batch_size=10, verbose=0),
        "evaluate": lambda: model.evaluate(X, y, batch_size=10, verbose=0),
        "validation": lambda: model.fit(X, LABELS, validation_data=(X, y), verbose=0),
        "train_on_batch": lambda: model.train_on_batch(X, y),
        "stream": lambda: keras.Model.fit(model, iter([(X, y)]), verbose=0),
    }[method]
    with pytest.raises(ValueError, match=message):
        act()
    assert all(map(np.array_equal, before, model.get_weights()))


def test_labels_of_several_outputs_and_ignored_ones() -> None:
    model = two_outputs()
    model.compile("sgd", ["mse", CROSS])
    with pytest.raises(ValueError, match="y holds class 7"):
        model.fit(X, [TARGETS, np.full(70, 7)], verbose=0)
    model.compile("sgd", {"b": keras.losses.SparseCategoricalCrossentropy(ignore_class=-1), "a": "mse"})
    y = LABELS.astype("float32")
    y[:5] = -1
    assert np.isfinite(model.fit(X, {"a": TARGETS, "b": y}, verbose=0).history["loss"]).all()


def test_names_of_trainer_and_layer_do_not_clash() -> None:
    own = {name for name in vars(Trainer) if not name.startswith("__")}
    assert own & set(dir(keras.Layer)) == {
        "compile",
        "metrics",
    }  # torch's and the layer's, which Keras' take the place of


# compile --------------------------------------------------------------------------------------------------------------


def test_compile_config_round_trip() -> None:
    model = compiled("mse", metrics=["mae"], loss_weights=[0.5], optimizer=keras.optimizers.Adam(0.02))
    config = model.get_compile_config()
    assert set(config) == {
        "optimizer", "loss", "loss_weights", "metrics", "weighted_metrics", "run_eagerly", "steps_per_execution",
        "jit_compile",
    }  # fmt: skip
    other = classifier(None)
    assert other.get_compile_config() == {}
    other.compile_from_config(config)
    assert isinstance(other.optimizer, keras.optimizers.Adam) and other.optimizer.built
    np.testing.assert_allclose(curve(other, X, TARGETS, epochs=2), curve(model, X, TARGETS, epochs=2), rtol=1e-6)
    assert other.get_compile_config()["optimizer"]["config"]["learning_rate"] == pytest.approx(0.02)


def test_metrics_stand_beside_the_loss() -> None:
    model = compiled(
        CROSS, "softmax", metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2, name="within")]
    )
    history = model.fit(X, LABELS, verbose=0, validation_split=0.2).history
    assert list(history) == ["accuracy", "loss", "val_accuracy", "val_loss", "val_within", "within"]  # as Keras sorts
    p = model.predict(X, verbose=0)
    found = model.evaluate(X, LABELS, verbose=0)
    assert found[1:] == pytest.approx(
        [(p.argmax(-1) == LABELS).mean(), (p.argsort(-1)[:, 1:] == LABELS[:, None]).any(-1).mean()]
    )
    model.reset_metrics()
    assert all(float(value) == 0 for value in model.get_metrics_result().values())


def test_compiling_again_keeps_what_is_left_out() -> None:
    model = compiled("mse", metrics=["mae"], loss_weights=[2.0])
    model.fit(X, TARGETS, verbose=0)
    model.compile("adam")
    loss, mae = model.evaluate(X, TARGETS, verbose=0)
    error = model.predict(X, verbose=0) - TARGETS
    assert (loss, mae) == pytest.approx((2 * (error**2).mean(), np.abs(error).mean()), rel=1e-5)
    assert model.get_compile_config()["loss"] == "mse"
    model.compile("adam", "mae", metrics=[])
    assert model.evaluate(X, TARGETS, verbose=0) == pytest.approx(mae)


def test_an_empty_list_of_metrics_asks_for_none_of_any_output() -> None:
    start = keras.Input((3,))
    model = keras.Model(start, [keras.layers.Dense(1)(start), keras.layers.Dense(2)(start)])
    model.compile("sgd", "mse", metrics=[], weighted_metrics=[])
    assert isinstance(model.test_on_batch(np.ones((2, 3)), [np.ones((2, 1)), np.ones((2, 2))]), list)
    with pytest.raises(ValueError, match="for each of 2 outputs"):
        model.compile("sgd", [])


def test_metrics_of_one_name() -> None:
    model = compiled("mse", metrics=["mae", "mae"], weighted_metrics=["mae", "mae", "mape"])
    history = model.fit(X, TARGETS, verbose=0).history
    assert list(history) == ["loss", "mae", "mae_1", "mape", "weighted_mae", "weighted_mae_1"]


def test_the_name_of_a_metric_is_looked_up_without_making_one() -> None:
    keras.utils.clear_session(free_memory=False)
    model = compiled("bce", "sigmoid", units=1, metrics=["AUC", "ACC"])
    assert list(model.fit(X, LABELS > 0, verbose=0).history) == ["ACC", "AUC", "loss"]
    assert keras.metrics.AUC().name == "auc_1"
    with pytest.raises(ValueError, match=r"Unknown metric 'acuracy'.*Did you mean"):
        model.compile("sgd", "bce", metrics=["acuracy"])


def test_a_metric_used_before_starts_at_zero() -> None:
    used = keras.metrics.MeanAbsoluteError(name="used")
    used.update_state([0.0], [1000.0])
    history = compiled("mse", metrics=[used, "mae"]).fit(X, TARGETS, verbose=0).history
    assert history["used"] == history["mae"]


def test_frozen_layers_stay_and_thaw() -> None:
    model = compiled(optimizer="adam")
    model.fit(X, TARGETS, verbose=0)
    model.layers[0].trainable = False
    before = model.get_weights()
    model.fit(X, TARGETS, verbose=0)
    after = model.get_weights()
    assert np.array_equal(before[0], after[0]) and not np.array_equal(before[2], after[2])
    model.layers[0].trainable = True
    model.fit(X, TARGETS, verbose=0)
    assert not np.array_equal(after[0], model.get_weights()[0])


def test_freezing_between_single_batches_as_gans_do() -> None:
    judge = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    judge.compile("sgd", "mse")
    judge.train_on_batch(TARGETS, TARGETS[:, 0])
    judge.trainable = False
    both = keras.Sequential([classifier(None), judge])
    both.compile("sgd", "mse")
    for _ in range(2):
        before = judge.get_weights(), both.get_weights()
        both.train_on_batch(X, TARGETS[:, 0])
        assert all(map(np.array_equal, before[0], judge.get_weights()))
        assert not np.array_equal(before[1][0], both.get_weights()[0])
        judge.trainable = True
        judge.train_on_batch(TARGETS, TARGETS[:, 0])
        assert not np.array_equal(before[0][0], judge.get_weights()[0])
        judge.trainable = False
    with pytest.warns(UserWarning, match="no trainable weights"):
        judge.train_on_batch(TARGETS, TARGETS[:, 0])


def test_a_model_without_weights_is_only_measured() -> None:
    model = keras.Sequential([keras.Input((5,)), layers.Activation("tanh")])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="no trainable weights"):
        history = model.fit(X, X, verbose=0).history
    assert history["loss"][0] == pytest.approx(((np.tanh(X) - X) ** 2).mean(), rel=1e-5)


def test_unbuilt_models_are_built_by_the_data() -> None:
    model = keras.Sequential([layers.Dense(4, activation="relu"), layers.Dense(3)])
    model.compile("adam", "mse")
    model.fit((batch for batch in Whole()), verbose=0)
    assert model.built and model.optimizer.built and len(model.weights) == 4
    fresh = keras.Sequential([layers.Dense(2)])
    assert fresh.predict(X, verbose=0).shape == (70, 2)
    fresh.compile("sgd", "mse")
    fresh.fit(X, TARGETS[:, :2], verbose=0)


# Parts of one's own ---------------------------------------------------------------------------------------------------


def test_keras_style_train_step() -> None:
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            keras.utils.set_random_seed(3)
            self.a, self.b = layers.Dense(8, activation="tanh"), layers.Dense(3)

        def call(self, inputs, training=False):
            return self.b(self.a(inputs))

        def train_step(self, data):
            x, y = data
            self.zero_grad()
            y_pred = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=y_pred)
            loss.backward()
            weights = list(self.trainable_weights)
            with torch.no_grad():
                self.optimizer.apply([weight.value.grad for weight in weights], weights)
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, y_pred)
            return {metric.name: metric.result() for metric in self.metrics}

    model = Own()
    model.compile(keras.optimizers.SGD(0.1), "mse", metrics=["mae"])
    losses = Losses()
    history = model.fit(X, TARGETS, batch_size=35, shuffle=False, verbose=0, callbacks=[losses]).history
    assert set(history) == {"loss", "mae"}
    np.testing.assert_allclose(losses.seen, curve(compiled(metrics=["mae"]), X, TARGETS, batch_size=35), rtol=1e-6)


class Doubles(keras.layers.Layer):
    def call(self, x: Tensor, training: bool = True) -> Tensor:
        return x * 2 if training else x


class DoublesWhenTold(keras.layers.Layer):
    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        return x * 2 if training else x


class TellsNothing(keras.layers.Layer):
    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.inner = Doubles()

    def call(self, x: Tensor) -> Tensor:
        return self.inner(x)


class TellsByDefault(TellsNothing):
    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.inner = DoublesWhenTold()

    def call(self, x: Tensor, training: bool = True) -> Tensor:
        return self.inner(x)


class ModelThatTellsByDefault(keras.Model):
    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.inner = DoublesWhenTold()

    def call(self, x: Tensor, training: bool = True) -> Tensor:
        return self.inner(x)


def brightness() -> Any:
    return keras.Sequential([layers.RandomBrightness((1.0, 1.0), value_range=(0, 1000)), layers.Rescaling(1 / 1001)])


@pytest.mark.parametrize(
    ("make", "untold"),
    [
        (Doubles, True),
        (DoublesWhenTold, False),
        (TellsNothing, True),
        (TellsByDefault, True),
        (ModelThatTellsByDefault, True),
        (brightness, True),
    ],
)
def test_calls_that_are_told_nothing_go_by_the_default_of_call(make: Callable[[], Any], untold: bool) -> None:
    """As in Keras 3: `call(x, training=True)` trains outside of fit, and in steps of the user's own."""

    class OwnSteps(keras.Model):
        def test_step(self, data: Any) -> Any:
            return {"changed": changed(self(data[0]))}

        def predict_step(self, data: Any) -> Any:
            return self(data)

    class CallsSuper(keras.Model):
        def test_step(self, data: Any) -> Any:
            return super().test_step(data)

        def predict_step(self, data: Any) -> Any:
            return super().predict_step(data)

    x = np.ones((2, 1, 1, 1), "float32")
    base = make()
    still = np.asarray(base(x, training=False).detach())

    def changed(outputs: Any) -> bool:
        return not np.allclose(np.asarray(torch.as_tensor(outputs).detach()), still)

    def model(kind: Any) -> Any:
        symbol = keras.Input((1, 1, 1))
        made = kind(symbol, make()(symbol))
        made.compile("sgd", "mse")
        return made

    assert changed(base(x)) == untold
    assert changed(base(x, training=True))
    usual = model(keras.Model)
    assert changed(usual(x)) == untold
    assert not changed(usual.predict(x, verbose=0))
    assert usual.evaluate(x, still, verbose=0) == 0
    own = model(OwnSteps)
    for _ in range(2):
        assert own.evaluate(x, still, verbose=0, return_dict=True)["changed"] == untold
        assert changed(own.predict(x, verbose=0)) == untold
        assert own.test_on_batch(x, still, return_dict=True)["changed"] == untold
        assert changed(own.predict_on_batch(x)) == untold
        with pytest.warns(UserWarning, match="no trainable weights"):
            own.fit(x, still, validation_data=(x, still), verbose=0)
        assert own.history.history["val_changed"] == [untold]
    through = model(CallsSuper)
    assert through.evaluate(x, still, verbose=0) == 0
    assert not changed(through.predict(x, verbose=0))


def test_a_train_step_may_do_without_call() -> None:
    class Halves(keras.Model):
        def __init__(self, inner: Any):
            super().__init__()
            self.inner = inner

        def train_step(self, data: Any) -> dict[str, Any]:
            self.zero_grad()
            loss = self.inner(data).square().mean()
            loss.backward()
            self.optimizer.apply([weight.grad for weight in self.trainable_weights], self.trainable_weights)
            return {"size": loss.detach()}

    model = Halves(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))
    model.compile("sgd")
    sizes = model.fit(X[:, :3], batch_size=len(X), epochs=3, verbose=0).history["size"]
    assert sizes == sorted(sizes, reverse=True)
    with pytest.raises(NotImplementedError, match="Halves does not have a `call` method"):
        model(X[:, :3])


@pytest.mark.parametrize("method", ["fit", "train_on_batch"])
def test_a_train_step_of_ones_own_meets_the_model_first(method: str) -> None:
    """It may call the model on another part of the batch: nothing calls it before, and no weight is left out."""

    class Pairs(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = keras.layers.Dense(2), keras.Sequential([keras.layers.Dense(3)])

        def call(self, pair: Any) -> Any:
            return self.first(pair[0]) @ self.second(pair[1]).T[:2]

        def train_step(self, data: Any) -> dict[str, Any]:
            data = data[0] if isinstance(data, tuple) else data
            self.zero_grad()
            loss = self([data["a"], data["b"]]).square().mean()
            loss.backward()
            weights = self.trainable_weights
            self.optimizer.apply([weight.grad for weight in weights], weights)
            return {"loss": loss.detach()}

    model = Pairs()
    model.compile("sgd")
    batch = {"a": X[:8, :3], "b": X[:8]}
    if method == "fit":
        history = model.fit(batch, batch_size=8, epochs=3, verbose=0).history["loss"]
    else:
        history = [model.train_on_batch(batch, return_dict=True)["loss"] for _ in range(3)]
    assert len(model.trainable_weights) == 4
    assert history == sorted(history, reverse=True)


def test_another_optimizer_counts_at_once() -> None:
    def trained(change: Callable) -> list:
        model = compiled()
        model.train_on_batch(X, TARGETS)
        change(model)
        model.train_on_batch(X, TARGETS)
        return model.get_weights()

    def replace(model: Any) -> None:
        model.optimizer = keras.optimizers.SGD(0.5)

    expected = trained(lambda model: model.compile(keras.optimizers.SGD(0.5), "mse"))
    assert all(map(np.array_equal, trained(replace), expected))


def test_super_train_step_and_own_results() -> None:
    class Own(keras.Sequential):
        def train_step(self, data):
            return {**super().train_step(data), "twice": 2 * self.metrics[0].result()}

        def test_step(self, data):
            return {"constant": 5.0}

    model = Own([keras.Input((5,)), layers.Dense(3)])
    model.compile("sgd", "mse")
    history = model.fit(X, TARGETS, verbose=0, validation_data=(X, TARGETS)).history
    assert set(history) == {"loss", "twice", "val_constant"}
    assert history["twice"][0] == pytest.approx(2 * history["loss"][0])


@pytest.mark.parametrize("takes_training", [False, True])
def test_own_compute_loss_metrics_and_predict_step(takes_training: bool) -> None:
    seen = []

    class Plain(keras.Sequential):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
            return super().compute_loss(x, y, y_pred, sample_weight) + 1

        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            return {**super().compute_metrics(x, y, y_pred, sample_weight), "rows": len(x)}

        def predict_step(self, data):
            return super().predict_step(data) + 100

    class WithTraining(Plain):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            seen.append(training)
            return super().compute_loss(x, y, y_pred, sample_weight)

    model = (WithTraining if takes_training else Plain)([keras.Input((5,)), layers.Dense(3)])
    model.compile("sgd", "mse")
    plain = ((model.predict(X, verbose=0) - 100 - TARGETS) ** 2).mean()
    assert model.train_on_batch(X, TARGETS, return_dict=True) == pytest.approx(
        {"loss": plain + 1, "rows": 70}, rel=1e-4
    )
    model.evaluate(X, TARGETS, verbose=0, batch_size=70)
    assert seen == ([True, False] if takes_training else [])


def test_own_compute_loss_that_judges_more_than_the_outputs() -> None:
    class Judged(keras.Model):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return super().compute_loss(x, y, [y_pred, 2 * y_pred], sample_weight, training)

    inputs = keras.Input((5,))
    model = Judged(inputs, layers.Dense(3)(inputs))
    with pytest.raises(ValueError, match="the model has one output"):
        keras.Model(inputs, model.output).compile("sgd", ["mse", "mae"])
    model.compile("sgd", ["mse", "mae"], loss_weights=[0.5, 2])
    found = model.predict(X, verbose=0)
    first, second = ((found - TARGETS) ** 2).mean(), abs(2 * found - TARGETS).mean()
    results = model.evaluate(X, (TARGETS, TARGETS), verbose=0, return_dict=True)
    expected = {"loss": first / 2 + 2 * second, "mse_loss": first, "mae_loss": second}
    assert results == pytest.approx(expected, rel=1e-4)
    assert set(model.fit(X, (TARGETS, TARGETS), verbose=0).history) == set(expected)


def test_metrics_and_losses_of_the_model_itself() -> None:
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3)
            self.size = keras.metrics.Mean(name="size")

        def call(self, inputs):
            outputs = self.dense(inputs)
            self.size.update_state(outputs.abs().mean())
            return outputs

    model = Own()
    model.compile("sgd", "mse")
    assert set(model.fit(X, TARGETS, verbose=0).history) == {"loss", "size"}


def test_any_torch_module_trains() -> None:
    class Net(Trainer, nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(5, 3)
            self.drop = nn.Dropout(0.5)

        def forward(self, x):
            return self.drop(self.linear(x))

    model = Net()
    model.compile("adam", "mse", metrics=["mae"])
    before = model.evaluate(X, TARGETS, verbose=0, return_dict=True)
    history = model.fit(X, TARGETS, epochs=20, verbose=0).history
    assert set(history) == {"loss", "mae"} and model.training
    assert model.evaluate(X, TARGETS, verbose=0)[0] < before["loss"]
    model.eval()
    with torch.no_grad():
        np.testing.assert_allclose(model.predict(X, verbose=0), model(torch.tensor(X)), rtol=1e-5, atol=1e-6)


def test_jit_compile_uses_torch_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(torch, "compile", lambda call: made.append(call) or call)
    model = compiled(jit_compile=True)
    assert curve(model, X, TARGETS) == curve(compiled(), X, TARGETS)
    (call,) = made
    assert torch.equal(call(X[:3]), model(X[:3]))


def test_models_are_compiled_each_for_its_own_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = []

    def counting(graph: Any, inputs: Any) -> Any:
        graphs.append([type(each) for each in inputs])
        return graph.forward

    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=counting))
    sizes = range(2, 2 + torch._dynamo.config.recompile_limit + 2)
    for size in sizes:
        model = keras.Sequential([keras.Input((size,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse", jit_compile=True)
        model.fit(np.ones((4, size)), np.ones((4, 1)), batch_size=4, verbose=0)
    assert len(graphs) == len(sizes)
    assert int not in {kind for each in graphs for kind in each}  # a size that may change is an input


# Single batches -------------------------------------------------------------------------------------------------------


def test_single_batches() -> None:
    model = compiled("mse", metrics=["mae"])
    p = model.predict_on_batch(X)
    expected = [((p - TARGETS) ** 2).mean(), abs(p - TARGETS).mean()]
    assert model.test_on_batch(X, TARGETS) == pytest.approx(expected, rel=1e-5)
    assert model.train_on_batch(X, TARGETS) == pytest.approx(expected, rel=1e-5)
    found = model.train_on_batch(X, TARGETS, return_dict=True)
    assert found["loss"] < expected[0] and set(found) == {"loss", "mae"}
    assert isinstance(compiled().train_on_batch(X, TARGETS), float)
    weight = np.arange(70.0)
    weighted = compiled().test_on_batch(X, TARGETS, sample_weight=weight)
    assert weighted == pytest.approx((((p - TARGETS) ** 2).mean(-1) * weight).mean(), rel=1e-5)
    assert not model.training


# predict --------------------------------------------------------------------------------------------------------------


def test_predict_keeps_structure_and_order() -> None:
    model = two_outputs(as_dict=True)
    whole = model.predict(X, verbose=0, batch_size=70)
    parts = model.predict(X, verbose=0, batch_size=16)
    stream = model.predict((X[i : i + 16] for i in range(0, 70, 16)), verbose=0)
    assert list(whole) == ["a", "b"] and whole["a"].shape == (70, 3)
    for name, expected in whole.items():
        np.testing.assert_allclose(parts[name], expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(stream[name], expected, rtol=1e-5, atol=1e-6)
    assert model.predict(X, steps=2, batch_size=16, verbose=0)["a"].shape == (32, 3)


def test_predict_takes_outputs_of_varying_sizes() -> None:
    class Doubles(keras.Model):
        def call(self, inputs):
            return torch.cat([inputs, inputs])

    found = Doubles().predict(X, batch_size=32, verbose=0)
    np.testing.assert_array_equal(found, np.concatenate([np.tile(part, (2, 1)) for part in (X[:32], X[32:64], X[64:])]))


def test_training_goes_on_after_predict_built_the_model() -> None:
    model = keras.Sequential([layers.Dense(3)])
    model.predict(X, verbose=0)
    assert not any(weight.is_inference() for weight in model.parameters())


# Speed: nothing waits -------------------------------------------------------------------------------------------------


def waits(monkeypatch: pytest.MonkeyPatch, model: Any, run: Callable[[], Any]) -> int:
    """How often `run` reads a value of a tensor, the optimizer's own numbers on the CPU apart."""
    count = 0
    own = {id(variable) for variable in model.optimizer.variables}

    def counting(method: Callable) -> Callable:
        def call(self: Tensor, *args: Any) -> Any:
            nonlocal count
            count += id(self) not in own
            return method(self, *args)

        return call

    for name in ("item", "tolist", "__float__", "__int__", "__bool__", "__index__", "numpy", "cpu"):
        monkeypatch.setattr(torch.Tensor, name, counting(getattr(torch.Tensor, name)))
    try:
        run()
    finally:
        monkeypatch.undo()
    return count


def test_no_value_is_read_inside_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    model = compiled(CROSS, "softmax", metrics=["accuracy"], optimizer="adam")
    model.fit(X, LABELS, verbose=0)

    def fit(size: int) -> int:
        return waits(monkeypatch, model, lambda: model.fit(X, LABELS, batch_size=size, verbose=0))

    few, many = fit(70), fit(1)
    assert few == many <= 4
    losses = Losses()
    read = waits(monkeypatch, model, lambda: model.fit(X, LABELS, batch_size=1, verbose=0, callbacks=[losses]))
    assert read == many + 70


def test_batch_logs_keep_the_values_of_their_batch() -> None:
    kept: list[Logs] = []

    class Keeps(Callback):
        def on_train_batch_end(self, batch, logs=None):
            kept.append(logs)

    losses = Losses()
    compiled().fit(X, TARGETS, verbose=0, batch_size=10, callbacks=[Keeps(), losses])
    assert [logs["loss"] for logs in kept] == losses.seen and len(set(losses.seen)) == 7
    assert {**kept[0]} == {"loss": losses.seen[0]} and isinstance(kept[0], dict)


def test_predicting_and_evaluating_inside_fit() -> None:
    class Looks(Callback):
        def on_train_batch_end(self, batch, logs=None):
            assert self.model.training
            self.model.predict(X, verbose=0)
            assert self.model.training

        def on_epoch_end(self, epoch, logs=None):
            self.model.evaluate(X, TARGETS, verbose=0)

    plain, watched = (
        compiled().fit(X, TARGETS, verbose=0, shuffle=False, callbacks=called, epochs=2) for called in ([], Looks())
    )
    assert plain.history == watched.history


def test_the_step_is_made_anew_when_layers_change() -> None:
    model = compiled()
    step = model.make_train_function()
    model.train_on_batch(X, TARGETS)
    before = step.passes.changes
    model.layers[0].register_forward_hook(lambda *_: None)
    model.train_on_batch(X, TARGETS)
    assert step.passes.changes == Changes.count != before


# One graph ------------------------------------------------------------------------------------------------------------


def replay_by_calling(run: Callable[[], Any]) -> Callable[[], Any]:
    return run


def test_a_captured_step_trains_alike() -> None:
    eager, captured = (compiled(CROSS, "softmax", metrics=["accuracy"], optimizer="adam") for _ in range(2))
    assert captured._step("train").can_be_captured() and captured.optimizer.capturable
    graphed = Captured(captured._step("train"), replay_by_calling)
    for _ in range(3):
        for x, y in zip(torch.tensor(X).split(32), torch.tensor(LABELS).split(32), strict=True):
            graphed(x.clone(), y.clone(), None)
        eager.fit(X, LABELS, verbose=0, shuffle=False)
    assert graphed._replay is not None and graphed._buffers[0].shape == (32, 5)
    for one, other in zip(eager.get_weights(), captured.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    vars(captured)["train_function"] = graphed
    captured.optimizer = keras.optimizers.SGD(0.0)
    before = captured.get_weights()
    for _ in range(2):
        graphed(torch.tensor(X[:32]), torch.tensor(LABELS[:32]), None)
    assert graphed._replay is None and all(map(np.array_equal, before, captured.get_weights()))


@pytest.mark.parametrize("settings", [{}, {"global_clipnorm": 1.0, "weight_decay": 0.1}])
def test_a_capturable_step_reads_nothing_at_all(settings: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    model = compiled(CROSS, "softmax", metrics=["accuracy"], optimizer=keras.optimizers.Adam(0.01, **settings))
    assert model._step("train").can_be_captured()
    step, x, y = model._step("train"), torch.tensor(X), torch.tensor(LABELS)
    step(x, y, None)
    nothing = SimpleNamespace(optimizer=SimpleNamespace(variables=[]))
    assert waits(monkeypatch, nothing, lambda: step(x, y, None)) == 0


def test_a_step_that_cannot_be_captured_runs_eagerly() -> None:
    def fails(run: Callable) -> Callable:
        raise RuntimeError("operation not permitted\nwhen stream is capturing")

    model = compiled()
    graphed = Captured(model._step("train"), fails)
    with TestCase().assertLogs("lamina", logging.WARNING) as said:
        for _ in range(6):
            graphed(torch.tensor(X), torch.tensor(TARGETS), None)
    assert len(said.output) == 1 and "operation not permitted" in said.output[0]
    assert int(model.optimizer.iterations) == 6


# Faults ---------------------------------------------------------------------------------------------------------------


def test_ctrl_c_leaves_the_model_usable() -> None:
    class Interrupts(Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 2:
                raise KeyboardInterrupt

    model = compiled()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, TARGETS, batch_size=10, verbose=0, callbacks=[Interrupts()])
    assert not model.training
    assert np.isfinite(model.fit(X, TARGETS, verbose=0).history["loss"]).all()


def loader_of(x: np.ndarray, y: np.ndarray, **how: Any) -> DataLoader:
    return DataLoader(TensorDataset(torch.tensor(x), torch.tensor(y)), batch_size=4, **how)


class Counted(keras.utils.PyDataset):
    """The same batch twice, with what has been asked for and drawn so far in it."""

    def __init__(self, x: Any, y: Any):
        super().__init__(workers=0)
        self.x, self.y, self.asked, self.draws = x, y, 0, np.random.default_rng(0)
        self.each, self.times, self.seen = [], {}, set()  # type: ignore[var-annotated]

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Any:
        self.asked += 1
        self.each.append(index)
        self.times[index] = self.times.get(index, 0) + 1
        self.seen.add(self.asked)
        return self.x + self.asked + self.draws.random() + np.random.random(), self.y


MISFITS: dict[str, Any] = {
    "targets": lambda x, y: ((x, y[:, :1].repeat(3, 1)), {}),
    "targets of two outputs": lambda x, y: ((x, [y, y]), {}),
    "targets of metrics": lambda x, y: ((x, y), {}),
    "sample_weight": lambda x, y: ((x, y), {"sample_weight": np.ones((len(x), 5), "float32")}),
    "inputs to validate on": lambda x, y: ((x, y), {"validation_data": (x[:8, :3], y[:8])}),
    "targets to validate on": lambda x, y: ((x, y), {"validation_data": (x[:8], y[:8].repeat(3, 1))}),
    "inputs of a loader to validate on": lambda x, y: ((x, y), {"validation_data": loader_of(x[:8, :3], y[:8])}),
    "targets of a dataset to validate on": lambda x, y: (
        (loader_of(x, y), None),
        {"validation_data": Counted(x[:8], y[:8].repeat(3, 1))},
    ),
    "outputs of a dataset to validate on": lambda x, y: ((x, y), {"validation_data": Counted(x[:8], [y[:8], y[:8]])}),
    "size of batches to validate on": lambda x, y: (
        (x, y),
        {"validation_data": (x[:8], y[:8]), "validation_batch_size": 0},
    ),
}


@pytest.mark.parametrize("misfit", MISFITS)
@pytest.mark.parametrize("of", [keras, tf_keras, keras2, keras1], ids=["keras3", "tf_keras", "keras2", "keras1"])
def test_what_does_not_fit_changes_nothing(of: Any, misfit: str) -> None:
    L = of.layers
    x, y = np.random.default_rng(0).random((32, 4), "float32"), np.ones((32, 2), "float32")
    model = of.models.Sequential([L.Dense(3, input_shape=(4,)), L.BatchNormalization(), L.Dropout(0.5), L.Dense(2)])

    def refuses(true: Any, pred: Any) -> Any:
        raise ValueError("these targets are not for me")

    fits = misfit != "targets of metrics"
    model.compile("adam", "mse", metrics=[] if fits else [refuses])
    before = model.get_weights()
    (given, y), more = MISFITS[misfit](x, y)
    called: list[str] = []

    class Told(of.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            called.append("epoch")

    ends = called if "validate" in misfit else []
    with pytest.raises(ValueError):
        model.fit(given, y, 8, verbose=0, callbacks=[Told()], **more)
    assert not ends
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert int(keras.ops.convert_to_numpy(model.optimizer.iterations)) == 0
    if fits:  # and afterwards all is well
        model.fit(x, np.ones((32, 2), "float32"), batch_size=8, verbose=0)
        assert int(keras.ops.convert_to_numpy(model.optimizer.iterations)) >= 4


class Once:
    """Batches of something else, which nobody can look into."""

    def __init__(self, data: Any):
        self.data = data

    def __iter__(self) -> Iterator[Any]:
        return (self.data[index] for index in range(2)) if isinstance(self.data, Counted) else iter(self.data)


@pytest.mark.parametrize("kind", ["loader", "dataset"])
def test_a_stream_that_was_tried_gives_what_it_would_have_given(kind: str) -> None:
    found = []
    for hidden in (False, True):
        keras.utils.set_random_seed(1)
        model = compiled()
        held = loader_of(X, TARGETS, shuffle=True) if kind == "loader" else Counted(X, TARGETS)
        data = Once(held) if hidden else held
        found.append(model.fit(X, TARGETS, epochs=3, verbose=0, validation_data=data).history)
        if isinstance(held, Counted):
            assert (held.asked, held.each, held.times, held.seen) == (6, [0, 1] * 3, {0: 3, 1: 3}, {*range(1, 7)})
    assert found[0] == found[1]


def test_what_cannot_be_read_is_told_when_its_turn_comes() -> None:
    class Broken(Counted):
        def __getitem__(self, index: int) -> Any:
            raise KeyError("row 70")

    epochs: list[int] = []
    with pytest.raises(KeyError, match="row 70"):
        told = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: epochs.append(epoch))
        compiled().fit(X, TARGETS, verbose=0, validation_data=Broken(X, TARGETS), callbacks=[told])
    assert epochs == [0]


@pytest.mark.parametrize("of", [tf_keras, keras2, keras1], ids=["tf_keras", "keras2", "keras1"])
@pytest.mark.parametrize("method", ["fit_generator", "evaluate_generator", "predict_generator"])
def test_a_generator_of_nothing_is_told(of: Any, method: str) -> None:
    model = of.models.Sequential([of.layers.Dense(2, input_shape=(4,))])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="no batch"):
        getattr(model, method)(iter(()), 4, *([1] if of is keras1 and "fit" in method else []))


def test_arrays_of_other_lengths_are_validated_on() -> None:
    model = keras.Sequential([keras.Input((None, 2)), layers.LSTM(3), layers.Dense(1)])
    model.compile("sgd", "mse")
    asked: list[int] = []

    class Counts(Callback):
        def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
            asked.append(batch)

    x, y = np.ones((8, 5, 2), "float32"), np.ones((8, 1), "float32")
    history = model.fit(x, y, verbose=0, validation_data=(np.ones((8, 7, 2), "float32"), y), callbacks=[Counts()])
    assert asked == [0]
    np.testing.assert_allclose(
        history.history["val_loss"], [model.evaluate(np.ones((8, 7, 2), "float32"), y, verbose=0)], rtol=1e-5
    )


def test_an_error_in_the_data_is_its_own() -> None:
    def batches() -> Iterator[Any]:
        yield X, TARGETS
        raise KeyError("row 70")

    model = compiled()
    with pytest.raises(KeyError, match="row 70") as raised:
        model.fit(batches(), verbose=0)
    assert not model.training
    if hasattr(raised.value, "__notes__"):
        assert "generator" in raised.value.__notes__[0] and "batch 2" in raised.value.__notes__[0]

    class Broken(Whole):
        def __getitem__(self, index):
            if index == 3:
                raise OSError("disk")
            return super().__getitem__(index)

    with pytest.raises(OSError, match="disk"):
        model.fit(Broken(workers=2), verbose=0)


def test_a_nan_loss_is_seen(capsys: pytest.CaptureFixture) -> None:
    history = compiled().fit(X, np.full_like(TARGETS, np.nan), verbose=2).history
    assert np.isnan(history["loss"]).all()
    assert "loss: nan" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"x": X[:0], "y": TARGETS[:0]}, "x is empty"),
        ({"x": X, "y": TARGETS[:60]}, "x has 70, y has 60"),
        ({"x": [X, X[:3]], "y": TARGETS}, r"x\[0\] has 70, x\[1\] has 3"),
        ({"x": X, "y": None}, "x comes without `y`"),
        ({"x": [X, object()], "y": TARGETS}, r"x\[1\]: expected an array"),
        ({"x": np.array(["a"]), "y": TARGETS[:1]}, "x: expected numbers"),
        ({"x": 5, "y": TARGETS}, "x: expected an array"),
        ({"x": Whole(), "y": TARGETS}, "Leave out `y`.*PyDataset"),
        ({"x": X, "y": TARGETS, "validation_split": 0.99}, "leaves one part empty"),
        ({"x": Whole(), "validation_split": 0.5}, "`validation_split` works on arrays; got Whole"),
        ({"x": X, "y": TARGETS, "class_weight": {0: 1}, "sample_weight": X[:, 0]}, "not both"),
        ({"x": X, "y": TARGETS, "sample_weight": {"a": X[:, 0]}}, "sample_weight: expected one array"),
        ({"x": iter([]), "y": None}, "gave no batch"),
        ({"x": iter([5]), "y": None}, "Each batch of the iterable must be"),
        ({"x": X, "y": TARGETS, "validation_freq": "1"}, "validation_freq"),
        ({"x": X, "y": TARGETS, "validation_data": X}, "validation_data comes without `y`"),
        ({"x": X, "y": TARGETS, "epochs": 2.5}, "epochs"),
        ({"x": X, "y": TARGETS, "verbose": "loud"}, "verbose.*'loud'"),
        ({"x": X, "y": TARGETS, "callbacks": [5]}, "callbacks"),
        ({"x": X, "y": TARGETS, "callbacks": [keras.callbacks.EarlyStopping]}, "EarlyStopping is a class"),
        ({"x": X, "y": TARGETS, "callbacks": lambda: 3}, "got <lambda>"),
        ({"x": X, "y": TARGETS, "class_weight": [1, 2]}, r"`class_weight` must be a dictionary.*got \[1, 2\]"),
        ({"x": {1}, "y": TARGETS}, r"x: expected an array.*got \{1\}"),
        ({"x": iter([X]), "y": TARGETS}, "x is an iterable"),
        ({"x": X, "y": TARGETS, "validation_freq": 0}, "validation_freq"),
        ({"x": X, "y": TARGETS, "initial_epoch": -1}, "initial_epoch"),
    ],
)
def test_bad_data_is_refused_before_anything_changes(settings: dict, message: str) -> None:
    model = compiled()
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.fit(**{"verbose": 0, **settings})
    assert all(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))
    assert not model.training


class OwnStep(keras.Sequential):
    def train_step(self, data):
        return super().train_step(data)


@pytest.mark.parametrize("kind", [keras.Sequential, OwnStep])
def test_copies_and_pickles_train_on(kind: type) -> None:
    model = kind([keras.Input((5,)), layers.Dense(3)])
    model.compile("adam", "mse")
    model.fit(X, TARGETS, verbose=0)
    for other in (deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.evaluate(X, TARGETS, verbose=0) == pytest.approx(model.evaluate(X, TARGETS, verbose=0))
        before = model.get_weights()
        other.fit(X, TARGETS, verbose=0)
        assert other.evaluate(X, TARGETS, verbose=0) != model.evaluate(X, TARGETS, verbose=0)
        assert all(map(np.array_equal, before, model.get_weights()))


# Progress and memory --------------------------------------------------------------------------------------------------


def test_plain_lines(capsys: pytest.CaptureFixture) -> None:
    compiled(metrics=["mae"]).fit(X, TARGETS, epochs=2, validation_split=0.2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Epoch 1/2" and lines[2] == "Epoch 2/2" and len(lines) == 4
    assert re.match(r"2/2 - \d+s - \d+[mu]?s/step - loss: ", lines[1])
    for part in (" - loss: ", " - mae: ", " - val_loss: ", " - val_mae: "):
        assert part in lines[1]
    compiled().fit(X, TARGETS, verbose=0)
    assert capsys.readouterr().out == ""
    compiled().evaluate(X, TARGETS, verbose=2)
    assert capsys.readouterr().out.startswith("3/3 - ")


def test_a_bar_on_a_terminal(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    from lamina.training import progress

    monkeypatch.setattr(progress, "_on_terminal", lambda: True)
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "100", "TTY_INTERACTIVE": "1"}.items():
        monkeypatch.setenv(name, value)  # what who runs this has is not meant
    monkeypatch.delenv("TTY_COMPATIBLE", raising=False)
    bar = progress.Progress(10, 1, interval=0.0)
    assert bar.due()
    bar.update(4, lambda: {"loss": 0.25})
    bar.finish(10, {"loss": 0.125})
    out = capsys.readouterr().out
    assert "4/10" in out and "loss: 0.2500" in out
    assert out.splitlines()[-1].endswith("loss: 0.1250")


def test_a_bar_sees_the_terminal_of_its_time(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    import rich

    monkeypatch.setattr(rich, "_console", None)
    monkeypatch.setenv("TERM", "dumb")
    rich.get_console()  # made by something else before there was a terminal
    test_a_bar_on_a_terminal(capsys, monkeypatch)


def test_kept_buffers_nest_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    from lamina.training import memory

    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(memory, "_mallopt", lambda: lambda *setting: calls.append(setting))
    with keep_buffers(), keep_buffers():
        assert calls == [(-3, 1 << 30), (-1, 1 << 30)]
    assert calls[2:] == [(-3, 32 << 20), (-1, 32 << 20)]


def test_buffers_are_left_alone_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    from lamina.training import memory

    monkeypatch.setenv("LAMINA_KEEP_BUFFERS", "0")
    memory._mallopt.cache_clear()
    assert memory._mallopt() is None
    memory._mallopt.cache_clear()


def test_logs_read_values_when_asked() -> None:
    logs = Logs({"b": torch.tensor(2.0), "a": {"c": torch.tensor([1.0, 2.0])}, "d": 3})
    assert list(logs) == ["c", "b", "d"] or list(logs) == ["b", "c", "d"]
    assert logs["b"] == 2.0 and type(logs["b"]) is float
    assert logs.get("z", 7) == 7 and dict(logs)["c"].tolist() == [1.0, 2.0]
    assert SimpleNamespace(**logs).d == 3


@pytest.mark.parametrize("joined", [0, 1 << 26])
@pytest.mark.parametrize("batch_size", [3, 4, 7, 100])
def test_predictions_of_all_batches_are_in_order(joined, batch_size, monkeypatch) -> None:
    monkeypatch.setattr(loop_module, "_JOINED", joined)
    inputs = keras.Input((2,))
    model = keras.Model(inputs, {"same": keras.layers.Identity()(inputs), "twice": inputs * 2})
    x = np.arange(22, dtype="float32").reshape(11, 2)
    found = model.predict(x, batch_size=batch_size, verbose=0)
    np.testing.assert_array_equal(found["same"], x)
    np.testing.assert_array_equal(found["twice"], 2 * x)
    found["same"][:] = 0  # the caller's own, not the data
    assert x[1, 1] == 3


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("how", ["fit", "evaluate", "predict", "train_on_batch", "predict_on_batch"])
def test_the_call_that_makes_the_weights_counts_and_draws_nothing(how: str, inside: bool) -> None:
    class Counts(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.stream = keras.random.SeedGenerator(1)

        def build(self, input_shape: Any) -> None:
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, x: Any) -> Any:
            self.count.assign_add(1.0)
            return x + keras.random.normal(x.shape, seed=self.stream)

    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.counts = Counts()
            self.total = self.add_weight(shape=(), initializer="zeros", trainable=False)
            self.dense = keras.layers.Dense(1)

        def call(self, x: Any) -> Any:
            self.total.assign_add(1.0)
            return self.dense(self.counts(x))

    model = keras.Sequential([Own()]) if inside else Own()
    model.compile("sgd", "mse")
    x, options = np.ones((4, 2), "float32"), {} if how.endswith("batch") else {"batch_size": 2, "verbose": 0}
    getattr(model, how)(x, *([] if how.startswith("predict") else [x[:, :1]]), **options)
    own = model.layers[0] if inside else model
    steps = 1 if how.endswith("batch") else 2
    assert [float(own.total), float(own.counts.count), own.counts.stream.state[1].item()] == [steps] * 3
