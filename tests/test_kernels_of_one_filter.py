"""One filter and one sample, on one thread: torch's own convolutions go by the kernel's strides there."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lamina import Input, Sequential, layers


def again(model: Any) -> Any:
    return pickle.loads(pickle.dumps(model))


@pytest.mark.parametrize("made", [lambda model: model, copy.deepcopy, again], ids=["new", "copied", "pickled"])
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize(
    ("layer", "channels"),
    [
        (lambda size: layers.Conv1D(1, size), 2),
        (lambda size: layers.Conv2D(1, size), 2),
        (lambda size: layers.Conv2D(1, size, strides=2, padding="same"), 5),
        (lambda size: layers.Conv3D(1, size), 2),
        (lambda size: layers.Conv2DTranspose(2, size), 1),
        (lambda size: layers.Conv2DTranspose(2, size, strides=2), 1),
        (lambda size: layers.SeparableConv2D(1, size), 2),
    ],
)
def test_train(layer: Callable[[int], Any], channels: int, size: int, made: Callable[[Any], Any]) -> None:
    convolution = layer(size)
    model = Sequential([Input((*[4] * convolution.rank, channels)), convolution])
    model = made(model)
    x = np.ones((1, *model.input_shape[1:]), np.float32)
    before = [weight.copy() for weight in model.get_weights()]
    model.compile("sgd", "mse")
    model.train_on_batch(x, model.predict_on_batch(x) + 1)
    assert all((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))
