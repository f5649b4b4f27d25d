"""What there is to see of calls, layers, losses and metrics, and whether two observations are equal."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from lamina.core.layer import Layer

from .examples import Example


def same(one: Any, other: Any) -> bool:
    """Whether two observations are equal: structures of tensors, arrays and plain values."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return same(one.numpy(), other.numpy())
    if isinstance(one, (np.ndarray, float)) and isinstance(other, (np.ndarray, float)):
        one, other = np.asarray(one), np.asarray(other)
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    return type(one) is type(other) and bool(one == other)


def plain(structure: Any) -> Any:
    """Tensors as they are now."""
    return pytree.tree_map(lambda x: x.detach().clone() if isinstance(x, torch.Tensor) else x, structure)


def attempt(call: Callable[[], Any]) -> Any:
    """What a call gives, None where it refuses or cannot be tried on this data."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return plain(call())
    except (ValueError, TypeError, RuntimeError, IndexError):
        return None


def observed(layer: Layer, example: Example) -> Iterator[Any]:
    """All there is to see of a layer on an example's inputs, bit by bit."""
    torch.manual_seed(1)
    yield layer.name, layer.trainable, layer.dtype
    inputs = example.tensors()
    with torch.no_grad():
        layer(*inputs)
        yield plain([(w.path, w.trainable, w) for w in layer.weights])
        torch.manual_seed(2)
        for weight in layer.weights:
            if weight.is_floating_point():
                weight.add_(0.1 * torch.randn(weight.shape).to(weight.dtype))
        yield plain([w.constraint(w) for w in layer.weights if getattr(w, "constraint", None)])
        for training in (False, True, True):
            torch.manual_seed(3)
            y = layer(*inputs, training=training)
            masks = [getattr(leaf, "_keras_mask", None) for leaf in pytree.tree_leaves(y)]
            yield plain([y, masks, list(layer.losses)])
        if layer._takes_mask and isinstance(inputs[0], torch.Tensor) and inputs[0].ndim >= 3:
            mask = torch.tensor([[True, False] * 9, [False, True, True] * 6])[:, : inputs[0].shape[1]]
            torch.manual_seed(3)
            yield attempt(lambda: layer(inputs[0], mask=mask))
        yield plain(list(layer.weights))
    yield len(layer.trainable_weights)
    if example.plain:
        yield layer.compute_output_shape(tuple(inputs[0].shape))


# Truths and predictions of every form that losses and metrics take; not each takes each.
RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(12, 3)).astype("float32")
CHANCES = torch.softmax(torch.from_numpy(SCORES), -1).numpy()
LABELS = RNG.integers(0, 3, 12)
ONE_HOT = np.eye(3, dtype="float32")[LABELS]
BINARY = (RNG.random((12, 3)) > 0.5).astype("float32")
DATA = [
    (ONE_HOT, CHANCES), (LABELS, CHANCES), (BINARY, CHANCES), (SCORES[::-1].copy(), SCORES), (ONE_HOT, SCORES),
    (LABELS, SCORES), (2 * BINARY - 1, SCORES), (LABELS[:, None], LABELS[::-1, None].copy()),
    (ONE_HOT, ONE_HOT[::-1].copy()), (BINARY[:, :1], CHANCES[:, :1]), (LABELS, RNG.integers(0, 3, (12, 1))),
    (LABELS, np.argsort(SCORES, -1)), (np.abs(SCORES), np.abs(SCORES[::-1]).copy()),
    (np.repeat(ONE_HOT[:, None], 2, 1), np.repeat(CHANCES[:, None], 2, 1)), (np.ones((12, 3), "float32"), CHANCES),
    (LABELS[:9].reshape(3, 3), CHANCES[:9].reshape(3, 3, 3)),
    (np.array([[1, 2, 1], [2, 1, 2]]), SCORES.repeat(4, 1)[:, :4].reshape(2, 6, 4)),
]  # fmt: skip
WEIGHTS = np.linspace(0.1, 2, 12).astype("float32")
