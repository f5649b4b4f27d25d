"""The order of results in histories and logs, as the originals gave it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lamina.keras1 as keras1
import lamina.keras2 as keras2
import lamina.tf_keras as tf_keras

NAMES = {keras1: "mean_absolute_error", keras2: "mae", tf_keras: "mae"}


@pytest.mark.parametrize("keras", NAMES, ids=["keras1", "keras2", "tf_keras"])
def test_results_stand_in_the_order_of_their_time(keras: Any) -> None:
    one = keras is keras1
    inputs = keras.layers.Input((3,))
    outputs = [keras.layers.Dense(1, name=name)(inputs) for name in ("b", "a")]
    model = keras.models.Model(**{"input" if one else "inputs": inputs, "output" if one else "outputs": outputs})
    model.compile("sgd", "mse", metrics=["mae"])
    names = ["loss", "b_loss", "a_loss", f"b_{NAMES[keras]}", f"a_{NAMES[keras]}"]
    assert model.metrics_names == ([] if keras is tf_keras else names)
    epochs, batches = [], []

    class Note(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            epochs.append(list(logs))

        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            batches.append(list(logs))

    x, y = np.ones((4, 3), "float32"), np.ones((4, 1), "float32")
    data = {"validation_data": (x, [y, y]), "nb_epoch" if one else "epochs": 1, "verbose": 0}
    history = model.fit(x, [y, y], callbacks=[Note()], **data).history
    held = [f"val_{name}" for name in names]
    expected = [*names, *held] if keras is tf_keras else [*held, *names]
    assert list(history) == expected and epochs == [expected]
    if keras is tf_keras:
        assert list(model.evaluate(x, [y, y], verbose=0, return_dict=True)) == names
    else:
        assert batches == [["batch", "size", *names]]
    assert model.metrics_names == names


def _ahead(by: float) -> Any:
    def ahead(y: Any, y_pred: Any) -> Any:
        return by + 0.0 * y_pred.mean()

    return ahead


LONG = "mean_absolute_error"
TWICE: list[Any] = [
    (keras1, {"metrics": ["mae", "mse", LONG]}, [f"{LONG}_1", "mean_squared_error", f"{LONG}_2"]),
    (keras1, {"metrics": ["acc", "accuracy"]}, ["acc_1", "acc_2"]),
    (keras1, {"metrics": [_ahead(1.0), "mae", _ahead(2.0)]}, ["ahead_1", LONG, "ahead_2"]),
    (keras2, {"metrics": ["mae", "mse", "mae", LONG]}, ["mae", "mse", LONG]),
    (keras2, {"metrics": [_ahead(1.0), _ahead(2.0)]}, ["ahead"]),
    (keras2, {"metrics": ["mae", "mae"], "weighted_metrics": ["mae"]}, ["mae", "mae_1"]),
    (keras2, {"metrics": [keras2.metrics.MeanAbsoluteError(name="mae"), "mae"]}, ["mae"]),
]


@pytest.mark.parametrize(("keras", "given", "names"), TWICE, ids=[str(place) for place in range(len(TWICE))])
def test_metrics_of_one_name_are_told_apart_as_they_were(keras: Any, given: Any, names: list[str]) -> None:
    model = keras.models.Sequential([keras.layers.Dense(2, input_shape=(3,))])
    model.compile("sgd", "mse", **given)
    x, y = np.ones((4, 3), "float32"), np.ones((4, 2), "float32")
    history = model.fit(x, y, verbose=0, **{"nb_epoch" if keras is keras1 else "epochs": 1}).history
    assert list(history) == ["loss", *names]
    own = [value for name, (value,) in history.items() if name.startswith("ahead")]
    assert own == ([2.0] if names == ["ahead"] else [1.0, 2.0][: len(own)])
