"""Losses and metrics of older generations that are none of today's, or are other numbers there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .. import losses
from ..core.config import epsilon
from ..losses.base import pair


def logcosh(y_true: Any, y_pred: Any) -> Tensor:
    return losses.log_cosh(y_true, y_pred)


def huber_loss(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    """Of each value (Keras 2): the mean over the last axis is left to who asks."""
    y_true, y_pred = pair(y_true, y_pred, "huber_loss")
    return functional.huber_loss(y_pred, y_true, reduction="none", delta=delta)


def cosine_proximity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """The cosine with its sign turned, as a loss."""
    return losses.cosine_similarity(y_true, y_pred, axis)


def _cosine(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """The cosine, as a metric (Keras 2)."""
    return -losses.cosine_similarity(y_true, y_pred, axis)


def _mean_of_products(y_true: Any, y_pred: Any) -> Tensor:
    """The cosine with its sign turned, divided by the number of values (Keras 1)."""
    return losses.cosine_similarity(y_true, y_pred) / y_pred.shape[-1]


def _hinge(y_true: Any, y_pred: Any) -> Tensor:
    """For targets -1 and 1, which 0 and 1 are not turned into (Keras 1)."""
    y_true, y_pred = pair(y_true, y_pred, "hinge")
    return (1 - y_true * y_pred).clamp(min=0).mean(-1)


def _squared_hinge(y_true: Any, y_pred: Any) -> Tensor:
    y_true, y_pred = pair(y_true, y_pred, "squared_hinge")
    return (1 - y_true * y_pred).clamp(min=0).square().mean(-1)


def _counts(y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor, Tensor]:
    """How many are right and positive, predicted to be positive, positive: of a batch."""
    right, predicted, positive = (torch.round(x.clamp(0, 1)).sum() for x in (y_true * y_pred, y_pred, y_true))
    return right, predicted, positive


def precision(y_true: Any, y_pred: Any) -> Tensor:
    """Of a batch (Keras 1)."""
    right, predicted, _ = _counts(y_true, y_pred)
    return right / (predicted + epsilon())


def recall(y_true: Any, y_pred: Any) -> Tensor:
    """Of a batch (Keras 1)."""
    right, _, positive = _counts(y_true, y_pred)
    return right / (positive + epsilon())


def fbeta_score(y_true: Any, y_pred: Any, beta: float = 1) -> Tensor:
    """The weighted harmonic mean of a batch's precision and recall (Keras 1). Raises ValueError for a negative beta."""
    if beta < 0:
        raise ValueError("The lowest choosable beta is zero (only precision).")
    p, r = precision(y_true, y_pred), recall(y_true, y_pred)
    found = (1 + beta**2) * (p * r) / (beta**2 * p + r + epsilon())
    return torch.where(torch.round(y_true.clamp(0, 1)).sum() == 0, torch.zeros_like(found), found)


def fmeasure(y_true: Any, y_pred: Any) -> Tensor:
    return fbeta_score(y_true, y_pred, beta=1)


def matthews_correlation(y_true: Any, y_pred: Any) -> Tensor:
    """Of a batch (Keras 1)."""
    predicted, positive = torch.round(y_pred.clamp(0, 1)), torch.round(y_true.clamp(0, 1))
    tp, tn = (positive * predicted).sum(), ((1 - positive) * (1 - predicted)).sum()
    fp, fn = ((1 - positive) * predicted).sum(), (positive * (1 - predicted)).sum()
    root = torch.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return (tp * tn - fp * fn) / (root + epsilon())


def _named(name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    function.__name__ = function.__qualname__ = name
    return function


_named("cosine_proximity", _cosine)
_named("cosine_proximity", _mean_of_products)
_named("hinge", _hinge)
_named("squared_hinge", _squared_hinge)
_KERAS1 = {
    **dict.fromkeys(("cosine", "cosine_proximity"), _mean_of_products),
    "hinge": _hinge,
    "squared_hinge": _squared_hinge,
}
_LOSSES = {"logcosh": logcosh, "huber_loss": huber_loss}
_BATCHWISE = (precision, recall, fbeta_score, fmeasure, matthews_correlation)
_COSINES = ("cosine", "cosine_proximity", "cosine_similarity")
# By generation and home: what a name means there.
_FOUND: dict[tuple[str, str], dict[str, Any]] = {
    ("keras1", "losses"): _KERAS1,
    ("keras1", "metrics"): {**_KERAS1, **{function.__name__: function for function in _BATCHWISE}},
    ("keras2", "losses"): {**_LOSSES, **dict.fromkeys(_COSINES, cosine_proximity)},
    ("keras2", "metrics"): {**_LOSSES, **dict.fromkeys(_COSINES, _cosine)},
    ("tf_keras", "losses"): {"logcosh": logcosh, "cosine_proximity": cosine_proximity},
    ("tf_keras", "metrics"): {"logcosh": logcosh, "cosine_proximity": cosine_proximity},
}


def find(generation: str, home: str, name: str) -> Any:
    """What a name means; None where it is today's."""
    return _FOUND[generation, home].get(name)


def word_for(identifier: Any) -> Any:
    """The name of one of these functions, as configs have it; anything else as it is."""
    own = any(identifier is function for found in _FOUND.values() for function in found.values())
    return identifier.__name__ if own else identifier
