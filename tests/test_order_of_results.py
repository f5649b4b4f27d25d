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
