"""Rematerialized calls: the same values, gradients and states, with less kept in between."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch

import lamina as keras
from lamina.core.random import streams_of

L = keras.layers


def model(scope: Any, policy: str = "float32") -> Any:
    keras.utils.set_random_seed(3)
    with scope:
        return keras.Sequential(
            [
                keras.Input((6, 4)),
                L.Dense(5, activation="tanh", dtype=policy, name="first"),
                L.Dropout(0.5, seed=1, dtype=policy),
                L.Dropout(0.5, dtype=policy),
                L.BatchNormalization(dtype=policy),
                L.LSTM(3, dropout=0.2, dtype=policy, name="steps"),
                L.Dense(2, lora_rank=1, dtype=policy),
            ]
        )


SCOPES = {
    "full": {},
    "activations": {"mode": "activations"},
    "larger_than": {"mode": "larger_than", "output_size_threshold": 20},
    "list_of_layers": {"mode": "list_of_layers", "layer_names": ["first", "steps"]},
    "none": {"mode": None},
}


def seen(made: Any) -> list[torch.Tensor]:
    """Outputs, gradients and states of two steps in training."""
    x, found = torch.linspace(-1, 1, 72).view(3, 6, 4).requires_grad_(), []
    for _ in range(2):
        torch.manual_seed(1)
        output = made(x, training=True)
        gradients = torch.autograd.grad(output.float().square().sum(), [x, *made.trainable_weights])
        found += [output.detach(), *gradients, *(buffer.clone() for buffer in made.buffers())]
    return found


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("name", SCOPES)
def test_nothing_differs(name: str, policy: str) -> None:
    expected = seen(model(keras.RematScope(mode=None), policy))
    for again in (lambda made: made, copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))):
        found = seen(again(model(keras.RematScope(**SCOPES[name]), policy)))
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other)


def kept(function: Any, x: torch.Tensor) -> int:
    """How many values are kept for the backward pass."""
    sizes = {}
    with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.setdefault(id(t), t) is None or t, lambda t: t):
        function(x).sum()
    return sum(tensor.numel() for tensor in sizes.values())


@pytest.mark.parametrize(
    ("options", "less"),
    [
        ({}, True),
        ({"mode": "larger_than", "output_size_threshold": 10}, True),
        ({"mode": "larger_than", "output_size_threshold": 10**6}, False),
        ({"mode": "activations"}, True),
        ({"mode": "list_of_layers", "layer_names": ["other"]}, False),
        ({"mode": None}, False),
    ],
)
def test_less_is_kept(options: dict[str, Any], less: bool) -> None:
    x = torch.randn(8, 16, requires_grad=True)
    with keras.RematScope(**options):
        layer = L.Dense(64, activation="gelu")
    plain = L.Dense(64, activation="gelu")
    plain(x), layer(x)
    assert (kept(layer, x) < kept(plain, x)) == less


def test_remat_of_functions_and_layers() -> None:
    calls = []

    def function(x: torch.Tensor, by: float = 2.0) -> torch.Tensor:
        calls.append(1)
        return torch.tanh(torch.tanh(x) * by)

    x = torch.randn(5, requires_grad=True)
    (found,) = torch.autograd.grad(keras.remat(function)(x, by=3.0).sum(), x)
    assert len(calls) == 2
    (expected,) = torch.autograd.grad(function(x, by=3.0).sum(), x)
    torch.testing.assert_close(found, expected)
    norm = L.BatchNormalization()
    given = torch.randn(4, 3, requires_grad=True)
    norm(given)
    twin = copy.deepcopy(norm)
    keras.remat(norm)(given, training=True).square().sum().backward()
    twin(given, training=True)
    torch.testing.assert_close(norm.moving_mean, twin.moving_mean)


def test_scopes_nest_and_end() -> None:
    with keras.RematScope():
        with keras.RematScope(mode=None):
            inner = L.Dense(2)
        outer = L.Dense(2)
    after = L.Dense(2)
    x = torch.randn(3, 4, requires_grad=True)
    assert [type(layer(x).grad_fn).__name__ for layer in (inner, outer, after)]
    assert "call" in vars(outer)
    assert "call" not in vars(after)
    with pytest.raises(ValueError, match="`mode` must be one of"):
        keras.RematScope(mode="some")


def test_a_model_with_it_trains_alike() -> None:
    x = np.random.default_rng(1).normal(size=(32, 6, 4)).astype("float32")

    def losses(mode: str | None) -> list[float]:
        made = model(keras.RematScope(mode))
        made.compile("adam", "mse")
        return made.fit(x, x[:, 0, :2], epochs=3, batch_size=8, verbose=0).history["loss"]

    np.testing.assert_allclose(losses("full"), losses(None), rtol=1e-5)


@pytest.mark.parametrize("kept", [lambda made: made, lambda made: [made], lambda made: {"own": (made,)}])
def test_streams_of_own_layers_go_back_whatever_holds_them(kept: Any) -> None:
    class Noisy(L.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.numbers = kept(keras.random.SeedGenerator(3))

        def call(self, x: torch.Tensor) -> torch.Tensor:
            (stream,) = streams_of(self)
            return x * keras.random.normal(x.shape, seed=stream) * x

    found = []
    for mode in ("full", None):
        with keras.RematScope(mode=mode):
            layer = Noisy()
        x = torch.linspace(-1, 1, 12).view(3, 4).requires_grad_()
        output = layer(x)
        found.append((output.detach(), *torch.autograd.grad(output.sum(), [x])))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
