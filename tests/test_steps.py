"""The parts of training each by itself: what `compile` said, the step and its passes, the loop."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lamina as keras
from lamina import layers
from lamina.callbacks import Callback
from lamina.training.step import Passes, PredictStep, TrainStep
from lamina.training.trainer import Trainer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 3)).astype("float32")
Y = RNG.normal(size=(24, 2)).astype("float32")


def linear(**settings: Any) -> Any:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    model.compile(keras.optimizers.Adam(0.1), "mse", metrics=["mae"], **settings)
    return model


class AfterBatch(Callback):
    """Calls a function with the model and its logs after every batch."""

    def __init__(self, function: Callable[[Any, Any], Any]):
        self._function = function

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._function(self.model, logs)


# Passes ---------------------------------------------------------------------------------------------------------------


class Straight(Passes):
    """Outputs, loss and gradients of one dense layer under the mean squared error, with no graph of torch's."""

    @torch.no_grad()
    def both(self, x: Tensor, y: Tensor, sample_weight: Any, weights: list[Any], scale: Any) -> Any:
        kernel, bias = weights
        outputs = x @ kernel + bias
        error = outputs - y
        slope = 2 / error.numel() * error
        return outputs, scale(error.square().mean()), [x.T @ slope, slope.sum(0)]


def test_other_passes_give_a_step_its_gradients() -> None:
    theirs, ours = linear(), linear()
    step = TrainStep(Straight(ours, ours._compiled, training=True), ours._compiled)
    for _ in range(5):
        expected = theirs.train_on_batch(X, Y, return_dict=True)
        ours.reset_metrics()
        step(torch.tensor(X), torch.tensor(Y), None)
        found = {name: float(value) for name, value in ours.get_metrics_result().items()}
        assert found == pytest.approx(expected, rel=1e-5)
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_accumulated_gradients_need_nothing_of_a_step() -> None:
    whole, parts = linear(), linear()
    parts.compile(keras.optimizers.Adam(0.1, gradient_accumulation_steps=3), "mse")
    whole.fit(X, Y, batch_size=24, epochs=3, shuffle=False, verbose=0)
    parts.fit(X, Y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    for one, other in zip(parts.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_predicting_is_a_step_that_another_stands_in_for() -> None:
    model, seen = linear(), []
    step = model.make_predict_function()
    assert isinstance(step, PredictStep)

    def noted(x: Tensor, y: Any, sample_weight: Any) -> Any:
        seen.append(len(x))
        return step(x, y, sample_weight)

    expected = model.predict(X, verbose=0)
    model.predict_function = noted
    np.testing.assert_array_equal(model.predict(X, batch_size=10, verbose=0), expected)
    np.testing.assert_array_equal(model.predict_on_batch(X), expected)
    assert seen == [10, 10, 4, 24]


# What `compile` said --------------------------------------------------------------------------------------------------


class Own(keras.Sequential):
    def train_step(self, data: Any) -> Any:
        return super().train_step(data)


@pytest.mark.parametrize("kind", [keras.Sequential, Own])
def test_another_optimizer_in_an_epoch_counts_from_the_next_step(kind: type) -> None:
    seen: list[np.ndarray] = []

    def replace(model: Any, logs: Any) -> None:
        seen.append(model.get_weights()[0])
        model.optimizer = keras.optimizers.SGD(0.0)

    model = kind([keras.Input((3,)), layers.Dense(2)])
    model.compile(keras.optimizers.SGD(0.5), "mse")
    model.fit(X, Y, batch_size=8, verbose=0, callbacks=[AfterBatch(replace)])
    assert len(seen) == 3 and all(np.array_equal(seen[0], after) for after in seen[1:])


def test_how_to_run_may_be_set_after_compile() -> None:
    model, batches = linear(), []
    assert (model.steps_per_execution, model.jit_compile, model.run_eagerly) == (1, "auto", False)
    model.steps_per_execution = 2
    model.fit(X, Y, batch_size=8, verbose=0, callbacks=[AfterBatch(lambda *_: batches.append(1))])
    assert len(batches) == 2  # after two batches, and after the last


def test_a_model_has_an_optimizer_without_being_compiled() -> None:
    class Agent(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.optimizer = keras.optimizers.SGD(0.1)

    agent, other = Agent(), keras.Model()
    assert isinstance(agent.optimizer, keras.optimizers.SGD) and other.optimizer is None
    assert not agent.compiled and agent.get_compile_config() == {}


# The loop -------------------------------------------------------------------------------------------------------------


def found_metrics(monkeypatch: pytest.MonkeyPatch, model: Any, **settings: Any) -> int:
    """How often `fit` looks through all attributes for metrics."""
    count, find = 0, Trainer._find_metrics

    def counting(self: Any) -> Any:
        nonlocal count
        count += 1
        return find(self)

    monkeypatch.setattr(Trainer, "_find_metrics", counting)
    seen: list[float] = []
    model.fit(X, Y, verbose=0, callbacks=[AfterBatch(lambda _, logs: seen.append(logs["mae"]))], **settings)
    assert len(set(seen)) == 24 / settings["batch_size"]
    monkeypatch.undo()
    return count


@pytest.mark.parametrize("kind", [keras.Sequential, Own])
def test_metrics_are_not_searched_in_every_batch(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    model = kind([keras.Input((3,)), layers.Dense(2)])
    model.compile("sgd", "mse", metrics=["mae"])
    few, many = (found_metrics(monkeypatch, model, batch_size=size) for size in (12, 1))
    assert few == many <= 4


def test_a_metric_that_the_first_batch_makes_counts() -> None:
    class Lazy(keras.Sequential):
        def train_step(self, data: Any) -> Any:
            if not hasattr(self, "size"):
                self.size = keras.metrics.Mean(name="size")
            self.size.update_state(data[0].abs().mean())
            return super().train_step(data)

    logs: list[set[str]] = []
    model = Lazy([layers.Dense(2)])
    model.compile("sgd", "mse")
    history = model.fit(X, Y, batch_size=8, verbose=0, callbacks=[AfterBatch(lambda _, log: logs.append(set(log)))])
    assert set(history.history) == {"loss", "size"} and logs == [{"loss", "size"}] * 3


def test_a_copy_made_in_an_epoch_looks_for_its_own_metrics() -> None:
    copies: list[Any] = []
    model = linear()
    model.fit(X, Y, batch_size=8, verbose=0, callbacks=[AfterBatch(lambda model, _: copies.append(deepcopy(model)))])
    copies[-1].late = keras.metrics.Mean(name="late")
    assert copies[-1].metrics_names == [*model.metrics_names, "late"]


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_a_warning_points_to_the_line_that_called(method: str) -> None:
    model = linear()
    steps = {"steps_per_epoch" if method == "fit" else "steps": 9}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        getattr(model, method)(*((X,) if method == "predict" else (X, Y)), batch_size=8, verbose=0, **steps)
    assert [one.filename for one in told] == [__file__] and "ran out of data" in str(told[0].message)


def test_a_plain_module_has_all_parts() -> None:
    class Net(Trainer, nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 2)
            self.size = keras.metrics.Mean(name="size")

        def forward(self, x: Tensor) -> Tensor:
            outputs = self.linear(x)
            self.size.update_state(outputs.detach().abs().mean())
            return outputs

    model = Net()
    model.compile(keras.optimizers.SGD(0.1), "mse")
    history = model.fit(X, Y, epochs=3, validation_split=0.25, verbose=0).history
    assert set(history) == {"loss", "size", "val_loss", "val_size"}
    assert history["loss"] == sorted(history["loss"], reverse=True)
