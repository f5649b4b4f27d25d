"""Helpers round data, and random draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import lamina as keras
from lamina import random, utils


def test_to_categorical():
    np.testing.assert_array_equal(utils.to_categorical([0, 2]), [[1, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(utils.to_categorical([[1], [0]], 4), [[0, 1, 0, 0], [1, 0, 0, 0]])
    assert utils.to_categorical(torch.tensor([[0, 1]])).shape == (1, 2, 2)
    assert utils.to_categorical([], 3).shape == (0, 3)
    for classes in ([3], [-1]):
        with pytest.raises(ValueError, match="from 0 to 1"):
            utils.to_categorical(classes, 2)
    for classes in (["a"], [0.5], [float("nan")], [None], [1j], [float("inf")]):
        with pytest.raises(ValueError, match="whole numbers"):
            utils.to_categorical(classes)
    np.testing.assert_array_equal(utils.to_categorical([1.0, 0.0]), utils.to_categorical([True, False]))
    with pytest.raises(TypeError):
        utils.to_categorical([1], 2.5)


def test_normalize():
    x = np.array([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(utils.normalize(x), [[0.6, 0.8], [0, 0]])
    np.testing.assert_allclose(utils.normalize(x, axis=0, order=1), [[1, 1], [0, 0]])
    np.testing.assert_allclose(utils.normalize(torch.tensor(x)), [[0.6, 0.8], [0, 0]])


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, [[0, 0, 1], [2, 3, 4]]),
        ({"padding": "post"}, [[1, 0, 0], [2, 3, 4]]),
        ({"maxlen": 2, "value": 9}, [[9, 1], [3, 4]]),
        ({"maxlen": 2, "truncating": "post"}, [[0, 1], [2, 3]]),
        ({"maxlen": 5, "padding": "post", "dtype": "float32"}, [[1, 0, 0, 0, 0], [2, 3, 4, 0, 0]]),
    ],
)
def test_pad_sequences(options, expected):
    padded = utils.pad_sequences([[1], [2, 3, 4]], **options)
    np.testing.assert_array_equal(padded, expected)
    assert padded.dtype == options.get("dtype", "int32")


def test_pad_sequences_of_other_shapes():
    padded = utils.pad_sequences([np.ones((1, 2)), [], np.ones((3, 2))])
    assert padded.shape == (3, 3, 2) and padded[1].sum() == 0
    for wrong, message in (([1, 2], "list of sequences"), ([np.ones((1, 2)), np.ones((1, 3))], "steps of shape")):
        with pytest.raises(ValueError, match=message):
            utils.pad_sequences(wrong)
    with pytest.raises(ValueError, match="`padding`"):
        utils.pad_sequences([[1]], padding="both")


def test_registry():
    @utils.register_keras_serializable("somewhere", "other")
    def function(x):
        return x

    assert utils.get_registered_name(function) == "somewhere>other"
    assert utils.get_registered_object("somewhere>other") is function
    assert utils.get_custom_objects()["somewhere>other"] is function
    assert utils.get_registered_object("nobody") is None
    with utils.CustomObjectScope({"mine": function}):
        assert utils.get_registered_object("mine") is function
    assert utils.get_registered_object("mine") is None


def test_small_helpers():
    assert utils.count_params([np.zeros((2, 3)), np.zeros(())]) == 7
    assert utils.standardize_dtype(torch.float16) == "float16" and utils.standardize_dtype(None) == "float32"
    assert keras.config.backend() == "torch"


DRAWS = {
    "normal": (lambda seed: random.normal((20_000,), 2.0, 3.0, seed=seed), 2.0, 3.0),
    "truncated_normal": (lambda seed: random.truncated_normal((20_000,), seed=seed), 0.0, 0.8796),
    "uniform": (lambda seed: random.uniform((20_000,), -1.0, 3.0, seed=seed), 1.0, 4 / 12**0.5),
    "randint": (lambda seed: random.randint((20_000,), 0, 10, seed=seed), 4.5, (99 / 12) ** 0.5),
    "gamma": (lambda seed: random.gamma((20_000,), 4.0, seed=seed), 4.0, 2.0),
    "beta": (lambda seed: random.beta((20_000,), 2.0, 2.0, seed=seed), 0.5, 0.05**0.5),
    "binomial": (lambda seed: random.binomial((20_000,), 10.0, 0.5, seed=seed), 5.0, 2.5**0.5),
    "categorical": (lambda seed: random.categorical(torch.zeros(1, 3), 20_000, seed=seed), 1.0, (2 / 3) ** 0.5),
    "dropout": (lambda seed: random.dropout(torch.ones(20_000), 0.5, seed=seed), 1.0, 1.0),
    "shuffle": (lambda seed: random.shuffle(torch.arange(2000.0), seed=seed), 999.5, 577.5),
}


@pytest.mark.parametrize("name", DRAWS)
def test_draws(name):
    draw, mean, deviation = DRAWS[name]
    values = draw(7).double()
    assert values.mean().item() == pytest.approx(mean, abs=0.05 * deviation)
    assert values.std().item() == pytest.approx(deviation, rel=0.03)
    assert torch.equal(draw(7).double(), values)
    stream = random.SeedGenerator(7)
    assert not torch.equal(draw(stream), draw(stream))
    utils.set_random_seed(1)
    first = draw(None)
    utils.set_random_seed(1)
    assert torch.equal(draw(None), first) and not torch.equal(draw(None), first)
