"""`keras.utils.losses_utils` and `metrics_utils` of Keras 2."""

from __future__ import annotations

from enum import Enum
from typing import Any

import torch
from torch import Tensor

from ...losses.base import as_tensor, reduce_weighted

NEG_INF = -1e10  # the score of classes that are not among the best


class Reduction:
    """How the losses of samples become one number."""

    NONE, SUM, SUM_OVER_BATCH_SIZE = "none", "sum", "sum_over_batch_size"

    @classmethod
    def all(cls) -> tuple[str, ...]:
        return cls.NONE, cls.SUM, cls.SUM_OVER_BATCH_SIZE

    @classmethod
    def validate(cls, key: str) -> None:
        """Raises ValueError for a word that is none of them."""
        if key not in cls.all():
            raise ValueError(f"A reduction must be one of {', '.join(cls.all())}; got {key!r}.")


class ConfusionMatrix(Enum):
    TRUE_POSITIVES, FALSE_POSITIVES, TRUE_NEGATIVES, FALSE_NEGATIVES = "tp", "fp", "tn", "fn"


class AUCCurve(str, Enum):
    ROC, PR = "ROC", "PR"


class AUCSummationMethod(str, Enum):
    INTERPOLATION, MAJORING, MINORING = "interpolation", "majoring", "minoring"


def squeeze_or_expand_dimensions(y_pred: Any, y_true: Any = None, sample_weight: Any = None) -> tuple[Any, ...]:
    """Predictions, targets and weights; where ranks differ by one, without a last axis of 1, or with one more."""
    y_pred = as_tensor(y_pred)
    found: list[Any] = [None if y_true is None else as_tensor(y_true)]
    if y_true is not None:
        y_pred, found[0] = _dropped(y_pred, found[0]), _dropped(found[0], y_pred)
    if sample_weight is not None:
        weight = as_tensor(sample_weight)
        y_pred = y_pred.unsqueeze(-1) if y_pred.ndim == 0 and weight.ndim == 1 else y_pred
        extra = weight.ndim - y_pred.ndim if weight.ndim else 0
        found.append({1: lambda: weight.squeeze(-1), -1: lambda: weight.unsqueeze(-1)}.get(extra, lambda: weight)())
    return y_pred, *found


def _dropped(tensor: Any, other: Any) -> Any:
    """A tensor without its last axis, where that has size 1 and `other` has one axis less."""
    return tensor.squeeze(-1) if tensor.ndim == other.ndim + 1 and tensor.shape[-1] == 1 else tensor


def broadcast_weights(values: Tensor, sample_weight: Tensor) -> Tensor:
    """Weights of the shape of `values`; axes they lack are the last. Raises ValueError where they do not fit."""
    weight = as_tensor(sample_weight)
    try:
        return weight.reshape(*weight.shape, *[1] * (values.ndim - weight.ndim)).expand_as(values)
    except RuntimeError:  # also where it has more axes
        message = f"Weights of shape {tuple(weight.shape)} do not fit values of shape {tuple(values.shape)}."
        raise ValueError(message) from None


def reduce_weighted_loss(weighted_losses: Tensor, reduction: str = Reduction.SUM_OVER_BATCH_SIZE) -> Tensor:
    return reduce_weighted(weighted_losses, None, None, reduction)


def compute_weighted_loss(
    losses: Any, sample_weight: Any = None, reduction: str = Reduction.SUM_OVER_BATCH_SIZE, name: str | None = None
) -> Tensor:
    """Losses times their weights, reduced. Raises ValueError for weights or a reduction that do not fit."""
    Reduction.validate(reduction)
    losses, _, weight = squeeze_or_expand_dimensions(losses, None, 1.0 if sample_weight is None else sample_weight)
    return reduce_weighted_loss(losses * broadcast_weights(losses, weight), reduction).to(losses.dtype)


def ragged_assert_compatible_and_get_flat_values(values: Any, mask: Any = None) -> tuple[Any, Any]:
    """Values and mask as they are, as nothing here is ragged."""
    return values, mask


def filter_top_k(x: Tensor, k: int) -> Tensor:
    """Scores of which all but the best k of the last axis are far below any other."""
    best = x.topk(k, -1)
    return torch.full_like(x, NEG_INF).scatter(-1, best.indices, best.values)


def assert_thresholds_range(thresholds: Any) -> None:
    """Raises ValueError for a threshold outside 0 to 1."""
    wrong = [one for one in thresholds or () if one is None or not 0 <= one <= 1]
    if wrong:
        raise ValueError(f"Thresholds must be in the range [0, 1]; got {wrong}.")


def parse_init_thresholds(thresholds: Any, default_threshold: float = 0.5) -> list[float]:
    """A list of thresholds, from one, several or None. Raises ValueError for one outside 0 to 1."""
    given = [default_threshold if thresholds is None else thresholds]
    found = list(thresholds) if isinstance(thresholds, (list, tuple)) else given
    assert_thresholds_range(found)
    return found
