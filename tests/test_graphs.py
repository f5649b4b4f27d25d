"""Steps and predictions as CUDA graphs, with a stand-in that calls again what a graph would launch again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import lamina as keras
from lamina.training import graphs
from lamina.training.graphs import Captured, Graphed
from lamina.training.trainer import Trainer

L = keras.layers
X = np.random.default_rng(0).standard_normal((40, 5), dtype="float32")
Y = (np.arange(40) % 3).astype("int64")


@pytest.fixture
def recordings(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """One entry for each recorded step; each replayed one runs all that the recording held."""
    found: list[Any] = []

    def capture(run: Callable[[], Any]) -> Callable[[], Any]:
        found.append(run)
        return run

    def captured(self: Any, run: Any) -> Any:
        return Captured(run, capture) if run.can_be_captured() else run

    monkeypatch.setattr(Trainer, "_captured", captured)
    return found


def network(rate: float = 0.0) -> Any:
    keras.utils.set_random_seed(3)
    stack = [L.Dense(8, "relu"), L.BatchNormalization(), L.Dropout(rate), L.Dense(3, "softmax")]
    model = keras.Sequential([keras.Input((5,)), *stack])
    model.compile(keras.optimizers.SGD(0.1, momentum=0.5), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def fit(model: Any, **how: Any) -> dict[str, Any]:
    return model.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0, **how).history


def test_a_second_fit_goes_on_with_the_recording_of_the_first(recordings: list[Any]) -> None:
    model = network()
    for _ in range(3):
        fit(model)
    assert len(recordings) == 1


def test_fits_evaluations_and_validation_are_as_without(recordings: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> Any:
        model = network()
        told = [fit(model, validation_data=(X[:24], Y[:24]), validation_batch_size=4) for _ in range(2)]
        return told, model.evaluate(X, Y, batch_size=8, verbose=0), model.get_weights()

    told, measured, weights = run()
    assert len(recordings) == 4  # the step of training, a validation for each fit, an evaluation
    monkeypatch.setattr(Trainer, "_captured", lambda self, run: run)
    expected = run()
    for one, other in zip(told, expected[0], strict=True):
        for name in one:
            np.testing.assert_allclose(one[name], other[name], rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(measured, expected[1], rtol=1e-6)
    for one, other in zip(weights, expected[2], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def _frozen(model: Any) -> None:
    model.layers[0].trainable = False


def _other_momentum(model: Any) -> None:
    model.optimizer.momentum = 0.9


def _other_rate(model: Any) -> None:
    model.layers[2].rate = 0.5


def _other_memory(model: Any) -> None:
    for weight in model.weights:
        weight.data = weight.data.clone()


def _hooked(model: Any) -> None:
    model.layers[0].register_forward_hook(lambda *_: None)


def _other_optimizer(model: Any) -> None:
    model.optimizer = keras.optimizers.Adam()


def _compiled_again(model: Any) -> None:
    model.compile("sgd", "sparse_categorical_crossentropy")


CHANGES = [_frozen, _other_momentum, _other_rate, _other_memory, _hooked, _other_optimizer, _compiled_again]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_changes_between_two_fits_ends_a_recording(change: Callable, recordings: list[Any]) -> None:
    model = network(rate=0.2)
    fit(model)
    change(model)
    fit(model)
    assert len(recordings) == 2


def test_values_of_weights_and_learning_rate_may_change(recordings: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> list[np.ndarray]:
        model = network()
        fit(model)
        model.set_weights([np.ones_like(weight) for weight in model.get_weights()])
        model.optimizer.learning_rate = 0.01
        fit(model)
        return model.get_weights()

    found = run()
    assert len(recordings) == 1
    monkeypatch.setattr(Trainer, "_captured", lambda self, run: run)
    for one, other in zip(found, run(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_single_batches_are_measured_and_trained_on_eagerly(recordings: list[Any]) -> None:
    model = network()
    for _ in range(6):
        model.train_on_batch(X[:8], Y[:8])
        model.test_on_batch(X[:8], Y[:8])
    assert not recordings


# Predictions ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def on_the_usual_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "_on_the_usual_stream", lambda: True)


@pytest.mark.usefixtures("on_the_usual_stream")
def test_a_graph_gives_copies_of_what_its_buffers_gave() -> None:
    calls = []

    def line(x: torch.Tensor, y: torch.Tensor) -> Any:
        calls.append((x, y))
        return [x + y], [None]

    with torch.inference_mode():
        graphed = Graphed(line, [torch.zeros(2), torch.ones(2)], lambda run: run() or run)
        one = graphed(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    other = graphed(torch.tensor([5.0, 6.0]), torch.tensor([7.0, 8.0]))
    assert one[0][0].tolist() == [4, 6] and other[0][0].tolist() == [12, 14] and one[1] == other[1] == [None]
    assert len({id(x) for x, _ in calls}) == 1  # always the same memory


@pytest.mark.usefixtures("on_the_usual_stream")
def test_other_kernels_and_streams_take_the_line_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.ones(2)
    seen: list[torch.Tensor] = []

    def line(x: torch.Tensor) -> torch.Tensor:
        seen.append(x)
        return 2 * x

    graphed = Graphed(line, [x], lambda run: run)
    graphed(x)
    assert seen.pop() is not x
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", not torch.backends.cudnn.benchmark)
    graphed(x)
    assert seen.pop() is x
    monkeypatch.undo()
    monkeypatch.setattr(graphs, "_on_the_usual_stream", lambda: False)
    graphed(x)
    assert seen.pop() is x
