"""The stand-in for Theano beside Keras 1: its functions by value, what is imported and unused, what is not there."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from support.running import undone

import lamina
from lamina.generations.alias import install, installed_keras

pytestmark = [
    pytest.mark.skipif(installed_keras() is not None, reason="a Keras is installed here"),
    pytest.mark.skipif("theano" in sys.modules, reason="Theano is installed here"),
]


@pytest.fixture(name="theano", params=["keras1", "keras2"])
def _theano(request: pytest.FixtureRequest) -> Iterator[Any]:
    with undone():
        install(request.param)
        yield importlib.import_module("theano")


X = np.array([[-1.0, 0.5, 2.0], [0.25, -0.75, 1.0]], np.float32)
Y = np.array([[0.5, 0.5, 1.0], [1.0, 0.25, -1.0]], np.float32)
P = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]], np.float32)
C = np.arange(12, dtype=np.float32).reshape(2, 3, 2) / 4 - 1

# What the function of theano.tensor gives, as NumPy says it.
VALUES: dict[str, tuple[Callable, Any]] = {
    "sum": (lambda T, x: T.sum(x, axis=1), X.sum(1)),
    "mean": (lambda T, x: T.mean(x, axis=0, keepdims=True), X.mean(0, keepdims=True)),
    "std": (lambda T, x: T.std(x, axis=1), X.std(1)),
    "argmax": (lambda T, x: T.argmax(x), X.argmax()),
    "sqr": (lambda T, x: T.sqr(x) + T.abs_(x) - T.sgn(x) + T.neg(x) + T.inv(x), X**2 + abs(X) - np.sign(X) - X + 1 / X),
    "eq": (lambda T, x: 1 - T.eq(x, Y), 1.0 * (X != Y)),
    "ge, le": (lambda T, x: T.ge(x, Y) + T.le(x, Y) + T.gt(x, Y) + T.lt(x, Y), 2.0 + 0 * X),
    "switch": (lambda T, x: T.switch(T.lt(x, 0), 0, x), np.maximum(X, 0)),
    "dot": (lambda T, x: T.dot(x, Y.T), X @ Y.T),
    "T": (lambda T, x: x.T, X.T),
    "batched vectors": (lambda T, x: T.batched_dot(x, Y + 0 * x), (X * Y).sum(1)),
    "batched, by a vector": (lambda T, x: T.batched_dot(x, C + 0 * x.dimshuffle(0, 1, "x")),
                             np.einsum("bi,bij->bj", X, C)),
    "concatenate": (lambda T, x: T.concatenate([x, x]), np.concatenate([X, X])),
    "stack": (lambda T, x: T.stack([x, x], axis=1), np.stack([X, X], 1)),
    "stack of two": (lambda T, x: T.stack(x, x), np.stack([X, X])),
    "flatten": (lambda T, x: T.flatten(T.stack(x, x), 2), np.stack([X, X]).reshape(2, 6)),
    "dimshuffle": (lambda T, x: x.dimshuffle(1, "x", 0), X.T[:, None]),
    "dimshuffle of a list": (lambda T, x: x.dimshuffle(["x", 0, 1]).dimshuffle(2, 1), X.T),
    "softmax": (lambda T, x: T.nnet.softmax(x), np.exp(X) / np.exp(X).sum(1, keepdims=True)),
    "hard_sigmoid": (lambda T, x: T.nnet.hard_sigmoid(4 * x), np.clip(0.8 * X + 0.5, 0, 1)),
    "relu": (lambda T, x: T.nnet.relu(x, 0.1), np.where(X > 0, X, 0.1 * X)),
    "binary": (lambda T, x: T.nnet.binary_crossentropy(P + 0 * x, P[::-1].copy()),
               -(P[::-1] * np.log(P) + (1 - P[::-1]) * np.log(1 - P))),
    "shares": (lambda T, x: T.nnet.categorical_crossentropy(P + 0 * x, P), -(P * np.log(P)).sum(1)),
    "classes": (lambda T, x: T.nnet.categorical_crossentropy(P + 0 * x, T.cast(T.arange(2), "int32")),
                -np.log(P[[0, 1], [0, 1]])),
    "gradient": (lambda T, x: T.grad(T.sum(x**3), x), 3 * X**2),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_functions_by_value(name: str, theano: Any) -> None:
    compute, expected = VALUES[name]
    placeholder = theano.tensor.matrix("x")
    call = theano.function([placeholder], compute(theano.tensor, placeholder), allow_input_downcast=True)
    np.testing.assert_allclose(call(X), expected, rtol=1e-5, atol=1e-6)


def test_variables_are_updated(theano: Any) -> None:
    count, by = theano.shared(np.float32(1)), theano.tensor.scalar()
    call = theano.function([by], [count + by], updates=[(count, count + by)])
    assert [call(2.0)[0], call(3.0)[0], count.get_value()] == [3, 6, 6]
    assert theano.shared(np.arange(3)).get_value().dtype == np.int64


def test_what_is_imported_and_not_used_is_no_obstacle(theano: Any) -> None:
    space: dict = {}
    exec(
        "import theano as th, theano.tensor as T\nfrom theano.tensor.nnet import conv\n"
        "from theano.sandbox.rng_mrg import MRG_RandomStreams as Streams\nfrom theano.tensor.signal import downsample\n"
        "theano = th\ntheano.config.openmp = True\nfloats = theano.config.floatX",
        space,
    )
    assert space["floats"] == "float32"
    for use in ("conv.conv2d(1)", "Streams(seed=1)", "downsample.max_pool_2d(1)", "th.scan(None)"):
        with pytest.raises(AttributeError, match=r"theano\..* is not in Lamina's stand-in for Theano\. Use"):
            exec(use, space)
    with pytest.raises(AttributeError, match=r"function\(givens=\)"):
        theano.function([], [], givens={1: 2})


def test_a_layer_and_a_loss_of_that_time(theano: Any) -> None:
    keras, T = importlib.import_module("keras"), theano.tensor

    class Scale(keras.layers.Layer):
        def call(self, x: Any, mask: Any = None) -> Any:
            return x * T.sum(x, axis=-1).dimshuffle(0, "x")

    model = keras.models.Sequential([Scale(input_shape=(3,)), keras.layers.Dense(1)])
    model.compile("sgd", lambda y_true, y_pred: T.mean(T.sqr(y_true - y_pred), axis=-1))
    first = model.train_on_batch(X, X[:, :1])
    assert model.train_on_batch(X, X[:, :1]) < first


def test_dimshuffle_leaves_out_only_axes_of_size_1(theano: Any) -> None:
    x = theano.shared(X)
    with pytest.raises(ValueError, match=r"axes \[0\] of size 1"):
        x.dimshuffle(1)


def test_nothing_of_it_is_left() -> None:
    with undone():
        install("keras1")
        importlib.import_module("theano.tensor.signal.pool")
    assert not [name for name in sys.modules if name.startswith("theano")]
    assert not hasattr(torch.Tensor, "dimshuffle") and not hasattr(lamina.KerasTensor, "dimshuffle")
