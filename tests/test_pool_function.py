"""`pool_function` of tf.keras' pooling layers, which code of the time replaces."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from lamina import tf_keras

layers = tf_keras.layers


def _values(rank: int, first: bool = False) -> torch.Tensor:
    sizes = (4, 6, 2)[:rank]
    return torch.rand((2, 3, *sizes) if first else (2, *sizes, 3), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("kind", ["MaxPooling", "AveragePooling"])
def test_the_function_that_is_set_is_called_and_the_one_before_can_be_wrapped(kind, rank, data_format):
    made = getattr(layers, f"{kind}{rank}D")

    class Own(made):
        def __init__(self, **options):
            super().__init__(**options)
            before = self.pool_function
            self.pool_function = lambda *args, **named: before(*args, **named) * 2 + 1

    x = _values(rank, data_format == "channels_first")
    plain = made(pool_size=2, strides=1, padding="same", data_format=data_format)
    own = Own(pool_size=2, strides=1, padding="same", data_format=data_format)
    model = tf_keras.Sequential([tf_keras.Input(tuple(x.shape[1:])), own])
    expected = plain(x).numpy() * 2 + 1
    np.testing.assert_allclose(own(x).numpy(), expected, rtol=1e-5)
    np.testing.assert_allclose(model.predict(x.numpy(), verbose=0), expected, rtol=1e-5)
    assert own.compute_output_shape(x.shape) == tuple(expected.shape)


@pytest.mark.parametrize(
    ("rank", "told"),
    [
        (1, [((2, 1),), {"strides": (3, 1), "padding": "valid", "data_format": "channels_last"}]),
        (2, [(), {"ksize": (1, 2, 2, 1), "strides": (1, 3, 3, 1), "padding": "VALID", "data_format": "NHWC"}]),
        (3, [(), {"ksize": (1, 2, 2, 2, 1), "strides": (1, 3, 3, 3, 1), "padding": "VALID"}]),
    ],
)
def test_it_is_told_what_tf_keras_told_it(rank, told):
    layer, seen = getattr(layers, f"MaxPooling{rank}D")(2, strides=3), []
    layer.pool_function = lambda x, *args, **named: seen.append([args, named]) or x
    layer(_values(rank))
    assert seen[-1] == told


def test_a_copy_keeps_the_function_and_layers_beside_it_do_not_have_it():
    layer = layers.MaxPooling2D(2)
    layer.pool_function = lambda x, **named: x * 3
    x = _values(2)
    assert torch.equal(copy.deepcopy(layer)(x), x * 3)
    assert torch.equal(layers.MaxPooling2D(2)(x), x[:, :4, :6].unflatten(1, (2, 2)).unflatten(3, (3, 2)).amax((2, 4)))
