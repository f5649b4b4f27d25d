"""Losses as functions: `fn(y_true, y_pred)` gives one value a sample, the mean (or sum) over the last axis.

Arrays are accepted; `y_true` follows the type and device of `y_pred`. Every function raises ValueError for shapes that
do not fit. Probabilities are kept `epsilon()` away from 0 and 1; scores (`from_logits=True`) stay in log space.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..core import config
from ..core.errors import show_shape
from ..core.masking import set_mask
from ..core.operation import recorded
from .base import FUSED, LOGITS, as_float, as_tensor, class_numbers, misfit, pair

__all__ = [
    "binary_crossentropy", "binary_focal_crossentropy", "categorical_crossentropy", "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy", "categorical_hinge", "circle", "cosine_similarity", "ctc", "dice", "hinge",
    "huber", "kl_divergence", "log_cosh", "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_error",
    "mean_squared_logarithmic_error", "poisson", "sparse_categorical_crossentropy", "squared_hinge", "tversky",
]  # fmt: skip

# Regression ------------------------------------------------------------------------------------------------------


@recorded
def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    y_true, y_pred = pair(y_true, y_pred, "mean_squared_error")
    return (y_true - y_pred).square().mean(-1)


@recorded
def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    y_true, y_pred = pair(y_true, y_pred, "mean_absolute_error")
    return (y_true - y_pred).abs().mean(-1)


@recorded
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Tensor:
    """In percent of `y_true`, which counts as at least `epsilon()`."""
    y_true, y_pred = pair(y_true, y_pred, "mean_absolute_percentage_error")
    return 100 * ((y_true - y_pred) / y_true.abs().clamp(min=config.epsilon())).abs().mean(-1)


@recorded
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Tensor:
    """Squared difference of log(1 + y); values below `epsilon()` count as that."""
    y_true, y_pred = pair(y_true, y_pred, "mean_squared_logarithmic_error")
    least = config.epsilon()
    return (y_true.clamp(min=least).log1p() - y_pred.clamp(min=least).log1p()).square().mean(-1)


@recorded
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    """Half the square of an error up to `delta`, beyond it the tangent."""
    y_true, y_pred = pair(y_true, y_pred, "huber")
    error = (y_true - y_pred).abs()
    return torch.where(error <= delta, 0.5 * error * error, delta * (error - 0.5 * delta)).mean(-1)


@recorded
def log_cosh(y_true: Any, y_pred: Any) -> Tensor:
    y_true, y_pred = pair(y_true, y_pred, "log_cosh")
    error = y_pred - y_true
    return (error + F.softplus(-2 * error) - math.log(2)).mean(-1)


@recorded
def poisson(y_true: Any, y_pred: Any) -> Tensor:
    y_true, y_pred = pair(y_true, y_pred, "poisson")
    return (y_pred - y_true * (y_pred + config.epsilon()).log()).mean(-1)


@recorded
def kl_divergence(y_true: Any, y_pred: Any) -> Tensor:
    y_true, y_pred = pair(y_true, y_pred, "kl_divergence")
    y_true, y_pred = y_true.clamp(config.epsilon(), 1), y_pred.clamp(config.epsilon(), 1)
    return (y_true * (y_true / y_pred).log()).sum(-1)


@recorded
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """The cosine with its sign turned: -1 for parallel vectors, 0 where one of them is 0."""
    y_true, y_pred = pair(y_true, y_pred, "cosine_similarity")
    y_true, y_pred = (F.normalize(y, dim=axis, eps=config.epsilon()) for y in (y_true, y_pred))
    return -(y_true * y_pred).sum(axis)


# Margins ---------------------------------------------------------------------------------------------------------


def _margin(y_true: Any, y_pred: Any, name: str) -> Tensor:
    """max(0, 1 - y_true y_pred); labels 0 and 1 count as -1 and 1."""
    y_true, y_pred = pair(y_true, y_pred, name)
    binary = ((y_true == 0) | (y_true == 1)).all()
    return (1 - torch.where(binary, 2 * y_true - 1, y_true) * y_pred).clamp(min=0)


@recorded
def hinge(y_true: Any, y_pred: Any) -> Tensor:
    return _margin(y_true, y_pred, "hinge").mean(-1)


@recorded
def squared_hinge(y_true: Any, y_pred: Any) -> Tensor:
    return _margin(y_true, y_pred, "squared_hinge").square().mean(-1)


@recorded
def categorical_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """max(0, 1 + the best wrong score - the right score) for one-hot `y_true`."""
    y_true, y_pred = pair(y_true, y_pred, "categorical_hinge")
    return (((1 - y_true) * y_pred).amax(-1) - (y_true * y_pred).sum(-1) + 1).clamp(min=0)


# Crossentropies --------------------------------------------------------------------------------------------------


def _inside(probability: Tensor) -> Tensor:
    """Keep away from 0 and 1; half types cannot hold 1 - epsilon()."""
    margin = config.epsilon() if probability.dtype.itemsize > 2 else torch.finfo(probability.dtype).eps
    return probability.clamp(margin, 1 - margin)


def _log_probabilities(y_pred: Tensor, from_logits: bool, axis: int) -> Tensor:
    if from_logits:
        return y_pred.log_softmax(axis)
    return _inside(y_pred / y_pred.sum(axis, keepdim=True)).log()


def _binary(y_true: Tensor, y_pred: Tensor, from_logits: bool) -> Tensor:
    if from_logits:
        return F.binary_cross_entropy_with_logits(y_pred, y_true, reduction="none")
    y_pred = _inside(y_pred)
    return -(y_true * y_pred.log() + (1 - y_true) * (-y_pred).log1p())


def _classes(y_true: Any, y_pred: Any, label_smoothing: float, axis: int, name: str) -> tuple[Tensor, Tensor]:
    if isinstance(axis, bool):
        raise ValueError(f"{name}: `axis` must be an integer; got {axis}.")
    y_true, y_pred = pair(y_true, y_pred, name, exact=True)
    classes = y_pred.shape[axis]
    if classes == 1:
        warnings.warn(
            f"{name}: with one class (`y_pred` of shape {show_shape(y_pred.shape)}) the loss is always 0; "
            "use binary_crossentropy for a single output.",
            SyntaxWarning,
            stacklevel=3,
        )
    return (_smooth(y_true, label_smoothing, 1 / classes) if label_smoothing and classes else y_true), y_pred


def _smooth(y_true: Tensor, amount: float, towards: float) -> Tensor:
    return y_true * (1 - amount) + amount * towards


@recorded
def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    """-log of the probability given to the right one of two answers, averaged over `axis`."""
    y_true, y_pred = pair(y_true, y_pred, "binary_crossentropy", exact=True)
    if label_smoothing:
        y_true = _smooth(y_true, label_smoothing, 0.5)
    return _binary(y_true, y_pred, from_logits).mean(axis)


@recorded
def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Binary crossentropy times (1 - p)**gamma, p the probability of the right answer (Lin et al. 2017).

    With `apply_class_balancing`, label 1 weighs `alpha` and label 0 weighs 1 - `alpha`.
    """
    y_true, y_pred = pair(y_true, y_pred, "binary_focal_crossentropy", exact=True)
    if label_smoothing:
        y_true = _smooth(y_true, label_smoothing, 0.5)
    probability = y_pred.sigmoid() if from_logits else y_pred
    wrong = y_true + probability - 2 * y_true * probability
    losses = wrong**gamma * _binary(y_true, y_pred, from_logits)
    if apply_class_balancing:
        losses = (y_true * alpha + (1 - y_true) * (1 - alpha)) * losses
    return losses.mean(axis)


@recorded
def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    """-log of the probability given to the right class, for one-hot `y_true`; classes lie along `axis`."""
    y_true, y_pred = _classes(y_true, y_pred, label_smoothing, axis, "categorical_crossentropy")
    return -(y_true * _log_probabilities(y_pred, from_logits, axis)).sum(axis)


@recorded
def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: float | Sequence[float] = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Categorical crossentropy times alpha (1 - p)**gamma (Lin et al. 2017). `alpha`: one number, or one a class."""
    y_true, y_pred = _classes(y_true, y_pred, label_smoothing, axis, "categorical_focal_crossentropy")
    log = _log_probabilities(y_pred.softmax(axis) if from_logits else y_pred, False, axis)
    weight = alpha if isinstance(alpha, (int, float)) else as_tensor(alpha, y_pred, y_pred.dtype)
    return -(weight * (1 - log.exp()) ** gamma * y_true * log).sum(axis)


_NO_CLASS = -(1 << 40)  # what torch's kernels leave out where no class is to be


@recorded
def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Tensor:
    """-log of the probability given to class `y_true` (an integer); classes lie along `axis` of `y_pred`.

    Samples of `ignore_class` get 0, and a mask on the result that leaves them out of means.
    """
    y_pred = as_float(y_pred)
    y_true = class_numbers(as_tensor(y_true, y_pred), "sparse_categorical_crossentropy")
    given = y_true.shape
    if y_true.ndim == y_pred.ndim and y_true.shape[axis] == 1:
        y_true = y_true.squeeze(axis)
    scores = y_pred.movedim(axis, -1)
    if y_true.shape != scores.shape[:-1]:
        expected = f"equal shapes but for the classes (axis {axis} of `y_pred`)"
        raise ValueError(misfit("sparse_categorical_crossentropy", given, y_pred.shape, expected))
    scores = scores.reshape(-1, scores.shape[-1])
    ignored = _NO_CLASS if ignore_class is None else ignore_class
    if from_logits:
        losses = F.cross_entropy(scores, y_true.reshape(-1), ignore_index=ignored, reduction="none")
    else:
        log = _log_probabilities(scores, False, -1)
        losses = F.nll_loss(log, y_true.reshape(-1), ignore_index=ignored, reduction="none")
    losses = losses.reshape(y_true.shape)
    if ignore_class is not None:
        set_mask(losses, y_true != ignore_class)
    return losses


@recorded
def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Tensor:
    """(1 - p**q) / q for the probability p of class `y_true` (Zhang and Sabuncu 2018): robust to wrong labels."""
    y_pred = as_float(y_pred)
    y_true = class_numbers(as_tensor(y_true, y_pred), "categorical_generalized_cross_entropy")
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
        y_true = y_true.squeeze(-1)
    if y_true.shape != y_pred.shape[:-1]:
        name = "categorical_generalized_cross_entropy"
        raise ValueError(misfit(name, y_true.shape, y_pred.shape, "equal shapes but for the classes"))
    probability = y_pred.gather(-1, y_true.unsqueeze(-1)).squeeze(-1)
    return (1 - probability**q) / q


def _fused(mean: Callable[..., Tensor]) -> Callable[..., Tensor | None]:
    def fused(y_true: Tensor, y_pred: Tensor, **kwargs: Any) -> Tensor | None:
        if y_true.shape != y_pred.shape or not y_pred.numel():
            return None
        return mean(y_pred, y_true.to(y_pred.dtype), **kwargs)

    return fused


def _fused_binary(
    y_true: Tensor, y_pred: Tensor, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor | None:
    if not from_logits or label_smoothing or y_true.shape != y_pred.shape or not y_pred.numel():
        return None
    return F.binary_cross_entropy_with_logits(y_pred, y_true.to(y_pred.dtype))


def _fused_categorical(
    y_true: Tensor, y_pred: Tensor, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor | None:
    plain = from_logits and y_true.shape == y_pred.shape and y_pred.ndim == 2 and axis in (-1, 1)
    if not plain or y_pred.shape[1] < 2 or not y_pred.numel():
        return None
    return F.cross_entropy(y_pred, y_true.to(y_pred.dtype), label_smoothing=label_smoothing)


def _fused_sparse(
    y_true: Tensor, y_pred: Tensor, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Tensor | None:
    labels = y_pred.shape[:-1]
    fits = y_true.shape == labels or y_true.shape == (*labels, 1)
    if not from_logits or ignore_class is not None or axis != -1 or not fits or not y_true.numel():
        return None
    scores = y_pred if y_pred.ndim == 2 else y_pred.reshape(-1, y_pred.shape[-1])
    labels = class_numbers(y_true if y_true.ndim == 1 else y_true.reshape(-1), "sparse_categorical_crossentropy")
    return F.cross_entropy(scores, labels, reduction="sum", ignore_index=_NO_CLASS) / y_true.numel()


FUSED.update(
    {
        mean_squared_error: _fused(F.mse_loss),
        mean_absolute_error: _fused(F.l1_loss),
        binary_crossentropy: _fused_binary,
        categorical_crossentropy: _fused_categorical,
        sparse_categorical_crossentropy: _fused_sparse,
    }
)
LOGITS.update(
    {
        binary_crossentropy: "sigmoid",
        binary_focal_crossentropy: "sigmoid",
        categorical_crossentropy: "softmax",
        categorical_focal_crossentropy: "softmax",
        sparse_categorical_crossentropy: "softmax",
    }
)


# Overlap, sequences, embeddings ----------------------------------------------------------------------------------


@recorded
def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None) -> Tensor:
    """1 - Tversky index over `axis` (None: everything). `alpha` weighs missed positives, `beta` false ones."""
    y_true, y_pred = pair(y_true, y_pred, "tversky")
    both = (y_true * y_pred).sum(axis)
    missed = ((1 - y_pred) * y_true).sum(axis)
    false = (y_pred * (1 - y_true)).sum(axis)
    return 1 - both / (both + missed * alpha + false * beta + config.epsilon())


@recorded
def dice(y_true: Any, y_pred: Any, axis: Any = None) -> Tensor:
    """1 - Dice coefficient over `axis` (None: everything)."""
    y_true, y_pred = pair(y_true, y_pred, "dice")
    return 1 - 2 * (y_true * y_pred).sum(axis) / (y_true.sum(axis) + y_pred.sum(axis) + config.epsilon())


@recorded
def ctc(y_true: Any, y_pred: Any) -> Tensor:
    """Connectionist temporal classification. `y_true`: labels (batch, length), padded with the blank, 0.
    `y_pred`: scores (batch, steps, classes). torch's kernel waits for the device to read the lengths."""
    y_pred = as_float(y_pred)
    labels = class_numbers(as_tensor(y_true, y_pred), "ctc")
    for value, what, axes in ((labels, "y_true", "(batch, length)"), (y_pred, "y_pred", "(batch, steps, classes)")):
        if value.ndim != axes.count(",") + 1:
            raise ValueError(f"ctc: `{what}` must have shape {axes}; got {show_shape(value.shape)}.")
    log = (y_pred.float() if y_pred.dtype.itemsize < 4 else y_pred).log_softmax(-1).transpose(0, 1)
    steps = torch.full(log.shape[1:2], log.shape[0], dtype=torch.int64, device=log.device)
    return F.ctc_loss(log, labels, steps, (labels != 0).sum(-1), reduction="none")


@recorded
def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Tensor:
    """Circle loss (Sun et al. 2020) of unit vectors `y_pred` (batch, features) with integer labels `y_true`.

    Each is compared with all of `ref_embeddings` (default: the batch, without itself under `remove_diagonal`). Samples
    with no loss get a mask that leaves them out of means.
    """
    y_pred = as_float(y_pred)
    labels = as_tensor(y_true, y_pred).reshape(-1)
    others = y_pred if ref_embeddings is None else as_tensor(ref_embeddings, y_pred, y_pred.dtype)
    ref_labels = labels if ref_labels is None else as_tensor(ref_labels, y_pred).reshape(-1)
    if y_pred.ndim != 2 or labels.shape[0] != y_pred.shape[0] or ref_labels.shape[0] != others.shape[0]:
        raise ValueError(misfit("circle", labels.shape, y_pred.shape, "shapes (batch,) and (batch, features)"))
    distance = (1 - y_pred @ others.mT).clamp(min=0)
    same = labels[:, None] == ref_labels[None, :]
    positive = same & ~torch.eye(*same.shape, dtype=torch.bool, device=same.device) if remove_diagonal else same
    attract = gamma * (margin + distance) * (distance - margin)
    repel = gamma * (1 + margin - distance).clamp(min=0) * (1 - margin - distance)
    losses = F.softplus(_log_sum_exp(attract, positive) + _log_sum_exp(repel, ~same))
    set_mask(losses, losses > 0)
    return losses


def _log_sum_exp(values: Tensor, where: Tensor) -> Tensor:
    return torch.where(where, values, -math.inf).logsumexp(1)
