"""What a model does in callbacks while it is trained: inference, unless a call says otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lamina as keras
from lamina import layers

HOOKS = [
    "on_train_begin",
    "on_epoch_begin",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_end",
    "on_epoch_end",
    "on_train_end",
]


def _model() -> Any:
    model = keras.Sequential([keras.Input((3,)), layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(2)])
    model.compile("sgd", "mse")
    return model


x, y = np.random.default_rng(0).normal(size=(8, 3)).astype("float32"), np.zeros((8, 2), "float32")


@pytest.mark.parametrize("hook", HOOKS)
def test_a_call_in_a_callback_is_inference(hook: str) -> None:
    model, found = _model(), []

    def look(*_: Any) -> None:
        statistics = model.layers[0].get_weights()[2]
        found.append(np.array_equal(model(x).detach(), model(x, training=False).detach()))
        found.append(np.array_equal(model.layers[0].get_weights()[2], statistics))
        found.append(not np.array_equal(model(x, training=True).detach(), model(x, training=True).detach()))

    callback = keras.callbacks.Callback()
    setattr(callback, hook, look)
    model.fit(x, y, epochs=2, validation_data=(x, y), callbacks=[callback], verbose=0)
    assert found and all(found)


@pytest.mark.parametrize("train", ["fit", "train_on_batch"])
def test_what_a_callback_trains_is_trained(train: str) -> None:
    model, other, moved = _model(), _model(), []

    class Train(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            for each in (other, model):
                before = each.layers[0].get_weights()[2]
                getattr(each, train)(x, y, **({"verbose": 0} if train == "fit" else {}))
                moved.append(not np.array_equal(each.layers[0].get_weights()[2], before))

    model.fit(x, y, callbacks=[Train()], verbose=0)
    assert moved == [True, True]
    before = model.layers[0].get_weights()[2]
    model.fit(x, y, verbose=0)
    assert not np.array_equal(model.layers[0].get_weights()[2], before)
    assert not model.training and np.array_equal(model(x).detach(), model(x).detach())
