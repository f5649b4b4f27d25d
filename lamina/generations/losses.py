"""Losses and metrics, as functions of tensors, that older generations compute otherwise than today or alone have."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .. import losses, metrics
from ..core import config
from ..core.operation import recorded
from ..losses import base as _base
from ..metrics.pointwise import accuracy
from .dialect import CountsOthers


def _tensors(y_true: object, y_pred: object) -> tuple[Tensor, Tensor]:
    y_pred = _base.as_float(_base.as_tensor(y_pred))
    return _base.as_tensor(y_true).to(y_pred), y_pred


def _similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    y_true, y_pred = _tensors(y_true, y_pred)
    return F.normalize(y_true, dim=axis) * F.normalize(y_pred, dim=axis)


# Keras 2 --------------------------------------------------------------------------------------------------------------


@recorded
def cosine_proximity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """The negative cosine between targets and predictions, along `axis`."""
    return -_similarity(y_true, y_pred, axis).sum(axis)


@recorded
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """The cosine between targets and predictions, along `axis` (tf.keras)."""
    return _similarity(y_true, y_pred, axis).sum(axis)


def cosine_of(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """The cosine between targets and predictions, along `axis`."""
    return -cosine_proximity(y_true, y_pred, axis)


cosine_of.__name__ = cosine_proximity.__name__  # of which, as a metric, this was


@recorded
def huber_loss(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    """Half the square of an error up to `delta`, beyond it the tangent: of each value."""
    y_true, y_pred = torch.broadcast_tensors(*_tensors(y_true, y_pred))
    return F.huber_loss(y_pred, y_true, reduction="none", delta=delta)


class Huber(losses.Huber):
    """Of each value, where today's is the mean over those of a sample."""

    _home = "keras.losses"
    fn = staticmethod(huber_loss)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        if sample_weight is not None:
            weights = _base.as_tensor(sample_weight)
            sample_weight = weights.reshape(*weights.shape, *(1,) * (np.ndim(y_pred) - weights.ndim))
        return super().__call__(y_true, y_pred, sample_weight)


# tf.keras -------------------------------------------------------------------------------------------------------------


def _inside(probability: Tensor) -> Tensor:
    return probability.clamp(config.epsilon(), 1 - config.epsilon())


def _binary(y_true: Tensor, y_pred: Tensor, from_logits: bool) -> Tensor:
    if from_logits:
        return F.binary_cross_entropy_with_logits(y_pred, y_true, reduction="none")
    y_pred, epsilon = _inside(y_pred), config.epsilon()
    return -(y_true * (y_pred + epsilon).log() + (1 - y_true) * (1 - y_pred + epsilon).log())


def _or_scores(y_pred: Any, from_logits: bool, last: str) -> tuple[Any, bool]:
    """Predictions, or the scores that are known to have been given to the softmax or sigmoid that made them."""
    scores = getattr(y_pred, "_keras_logits", {}).get("from_logits" if from_logits else last)
    return (y_pred, from_logits) if scores is None else (scores, True)


def _labels(y_true: Any, y_pred: Any, smoothing: float, name: str) -> tuple[Tensor, Tensor]:
    y_true, y_pred = _base.pair(y_true, y_pred, name, exact=True)
    return y_true * (1 - smoothing) + smoothing / 2, y_pred


def binary_of_each(y_true: Any, y_pred: Any, from_logits: bool = False) -> Tensor:
    """`binary_crossentropy` of each value."""
    y_pred, from_logits = _or_scores(y_pred, from_logits, "sigmoid")
    return _binary(*_labels(y_true, y_pred, 0.0, "binary_crossentropy"), from_logits)


@recorded
def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    """With epsilon in the logarithms, too (Keras 2, tf.keras)."""
    if np.ndim(y_true) == np.ndim(y_pred):  # a prediction that loses an axis is another tensor
        y_pred, from_logits = _or_scores(y_pred, from_logits, "sigmoid")
    return _binary(*_labels(y_true, y_pred, label_smoothing, "binary_crossentropy"), from_logits).mean(axis)


@recorded
def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    gamma: float = 2.0,
    from_logits: bool = False,
    scores: Tensor | None = None,
    **options: Any,
) -> Tensor:
    """Its factor sees what was predicted, its logarithms the `scores` behind that, where there are some (tf.keras)."""
    if scores is None:
        before, known = _or_scores(y_pred, from_logits, "sigmoid")
        scores = before if known and not from_logits else None
    y_true, y_pred = _labels(y_true, y_pred, options.get("label_smoothing", 0.0), "binary_focal_crossentropy")
    values = _binary(y_true, y_pred, from_logits) if scores is None else _binary(y_true, scores, True)
    probability = y_pred.sigmoid() if from_logits else y_pred
    values = (y_true + probability - 2 * y_true * probability) ** gamma * values
    if options.get("apply_class_balancing"):
        alpha = options.get("alpha", 0.25)
        values = (y_true * alpha + (1 - y_true) * (1 - alpha)) * values
    return values.mean(options.get("axis", -1))


@recorded
def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    """Of the scores behind probabilities, where they are known (Keras 2, tf.keras)."""
    y_pred, from_logits = _or_scores(y_pred, from_logits, "softmax")
    return losses.categorical_crossentropy(y_true, y_pred, from_logits, label_smoothing, axis)


@recorded
def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Tensor:
    """Probabilities are cut off one by one, before they are made to sum to 1 (Keras 2, tf.keras)."""
    y_pred, from_logits = _or_scores(y_pred, from_logits, "softmax")
    if not from_logits:
        y_pred = _inside(_base.as_float(_base.as_tensor(y_pred))).log()
    return losses.sparse_categorical_crossentropy(y_true, y_pred, True, ignore_class, axis)


def crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False) -> Tensor:
    """The one that fits the shapes: binary for a single output, sparse for class numbers (tf.keras' "ce")."""
    if y_pred.shape[-1] == 1:
        return binary_crossentropy(y_true, y_pred, from_logits)
    if y_true.ndim < y_pred.ndim or y_true.shape[-1] == 1:
        return sparse_categorical_crossentropy(y_true, y_pred, from_logits)
    return categorical_crossentropy(y_true, y_pred, from_logits)


_BY_TODAY: Mapping[Callable[..., Any], Callable[..., Tensor]] = {
    losses.binary_crossentropy: binary_crossentropy,
    losses.categorical_crossentropy: categorical_crossentropy,
    losses.sparse_categorical_crossentropy: sparse_categorical_crossentropy,
    losses.binary_focal_crossentropy: binary_focal_crossentropy,
    losses.categorical_focal_crossentropy: losses.categorical_focal_crossentropy,
    crossentropy: crossentropy,
}
TODAY = {own: today for today, own in _BY_TODAY.items()}
# The crossentropies of Keras 2 and tf.keras, which find the scores behind probabilities, by today's function and own.
OF_SCORES: Mapping[Callable[..., Any], Callable[..., Tensor]] = {**_BY_TODAY, **{own: own for own in TODAY}}
_base.LOGITS.update({own: _base.LOGITS[today] for own, today in TODAY.items() if today in _base.LOGITS})
CROSSENTROPIES = {one.__name__: one for one in TODAY if one.__module__ == __name__ and one is not crossentropy}


# Keras 1 --------------------------------------------------------------------------------------------------------------


@recorded
def mean_cosine_proximity(y_true: Any, y_pred: Any) -> Tensor:
    """The negative cosine divided by the number of features (Keras 1)."""
    return -_similarity(y_true, y_pred).mean(-1)


mean_cosine_proximity.__name__ = cosine_proximity.__name__  # as results are called


@recorded
def hinge(y_true: Any, y_pred: Any) -> Tensor:
    """For targets -1 and 1; 0 and 1 are not turned into these (Keras 1)."""
    y_true, y_pred = _tensors(y_true, y_pred)
    return (1 - y_true * y_pred).clamp(min=0).mean(-1)


@recorded
def squared_hinge(y_true: Any, y_pred: Any) -> Tensor:
    y_true, y_pred = _tensors(y_true, y_pred)
    return (1 - y_true * y_pred).clamp(min=0).square().mean(-1)


def _rounded(values: Tensor) -> Tensor:
    return values.clamp(0, 1).round()


@recorded
def precision(y_true: Any, y_pred: Any) -> Tensor:
    """Of the labels that are predicted, how many are right, in this batch."""
    y_true, y_pred = _tensors(y_true, y_pred)
    return _rounded(y_true * y_pred).sum() / (_rounded(y_pred).sum() + config.epsilon())


@recorded
def recall(y_true: Any, y_pred: Any) -> Tensor:
    """Of the labels that are right, how many are predicted, in this batch."""
    y_true, y_pred = _tensors(y_true, y_pred)
    return _rounded(y_true * y_pred).sum() / (_rounded(y_true).sum() + config.epsilon())


def fbeta_score(y_true: Any, y_pred: Any, beta: float = 1) -> Tensor:
    """The weighted harmonic mean of precision and recall in this batch. Raises ValueError for a negative `beta`."""
    if beta < 0:
        raise ValueError(f"fbeta_score: `beta` must be at least 0, which is precision alone; got {beta}.")
    p, r, square = precision(y_true, y_pred), recall(y_true, y_pred), beta**2
    return (1 + square) * (p * r) / (square * p + r + config.epsilon())


def fmeasure(y_true: Any, y_pred: Any) -> Tensor:
    """The harmonic mean of precision and recall in this batch."""
    return fbeta_score(y_true, y_pred)


@recorded
def matthews_correlation(y_true: Any, y_pred: Any) -> Tensor:
    """Matthews' correlation of binary labels in this batch, from -1 to 1."""
    y_true, y_pred = map(_rounded, _tensors(y_true, y_pred))
    right, wrong = (y_true * y_pred).sum(), ((1 - y_true) * y_pred).sum()
    missed, left = (y_true * (1 - y_pred)).sum(), ((1 - y_true) * (1 - y_pred)).sum()
    square = (right + wrong) * (right + missed) * (left + wrong) * (left + missed)
    return (right * left - wrong * missed) / (square.sqrt() + config.epsilon())


# Today's functions take (n, 1) and (n,) as n pairs; those of older generations compared each of n with each.


def _found(prefix: str, function: Callable[..., Tensor], meant: Callable[..., Any]) -> Callable[..., Tensor]:
    """`function`, which stands for another one, under a name of this module by which pickle finds it."""
    function.__module__, function.__qualname__ = __name__, f"{prefix}_{meant.__qualname__}"
    return globals().setdefault(function.__qualname__, function)


def _broadcasting(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    @recorded
    @functools.wraps(function)
    def compared(y_true: Any, y_pred: Any, *args: Any, **kwargs: Any) -> Tensor:
        y_true, y_pred = torch.broadcast_tensors(*_tensors(y_true, y_pred))
        return function(y_true, y_pred, *args, **kwargs)

    return _found("compared", compared, function)


COMPARED = {
    function.__name__: _broadcasting(function)
    for function in (
        losses.mean_squared_error, losses.mean_absolute_error, losses.mean_absolute_percentage_error,
        losses.mean_squared_logarithmic_error, losses.hinge, losses.squared_hinge, losses.categorical_hinge,
        losses.log_cosh, losses.kl_divergence, losses.poisson,
    )
}  # fmt: skip
_COSINES = ("cosine_proximity", "cosine", "cosine_similarity")
_KERAS1 = dict.fromkeys(_COSINES[:2], mean_cosine_proximity) | {"hinge": hinge, "squared_hinge": squared_hinge}
_COUNTS = {one.__name__: one for one in (precision, recall, fbeta_score, fmeasure, matthews_correlation)}
_COUNTS |= dict.fromkeys(("fscore", "f1score"), fmeasure)


def _of_batch(function: Callable[..., Any]) -> Callable[..., Tensor]:
    @recorded
    @functools.wraps(function)
    def mean(*args: Any, **kwargs: Any) -> Tensor:
        return function(*args, **kwargs).mean()

    return _found("mean", mean, function)


def _counted(function: Callable[..., Tensor], y_true: Tensor, y_pred: Tensor) -> Tensor:
    value = function(y_true, y_pred)
    return value.expand(len(y_pred)) if isinstance(value, Tensor) and not value.ndim else value


def counting(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A metric whose value for a batch counts as often as the batch has samples."""
    return functools.update_wrapper(functools.partial(_counted, function), function)


@recorded
def rounded_accuracy(y_true: object, y_pred: object, threshold: float = 0.5) -> Tensor:
    """The share of values that are the target when rounded, of each sample: so targets -1 and 1, too. With another
    threshold, of those on the right side of it (Keras 1, 2)."""
    wanted, given = torch.broadcast_tensors(*_tensors(y_true, y_pred))
    found = given.round() if threshold == 0.5 else (given > threshold).to(wanted)
    return (found == wanted).to(given.dtype).mean(-1)


rounded_accuracy.__name__ = metrics.binary_accuracy.__name__  # as results are called


# Metrics of Keras 1 are means over the batch.
MEANS = {
    name: _of_batch(getattr(metrics, name, None) or getattr(losses, name))
    for name in (
        "categorical_accuracy", "sparse_categorical_accuracy", "top_k_categorical_accuracy",
        "categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy", *COMPARED,
    )
} | {"binary_accuracy": _of_batch(rounded_accuracy)}  # fmt: skip
_LOGCOSH = {"logcosh": COMPARED["log_cosh"]}


@recorded
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Tensor:
    """The share of values on the right side of `threshold`, of each sample (tf.keras)."""
    return metrics.binary_accuracy(y_true, y_pred, threshold).mean(-1)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """1 where class `y_true` is among the `k` with the highest scores, in a row (Keras 2)."""
    return metrics.sparse_top_k_categorical_accuracy(y_true, y_pred, k).flatten()


# By generation: functions of `metrics` whose names mean something else to `compile`, or which give a value for each
# sample where today's have the shape of the targets.
OF_SAMPLES: Mapping[str, Mapping[str, Callable[..., Tensor]]] = {
    "keras1": {},
    "keras2": {one.__name__: one for one in (rounded_accuracy, sparse_top_k_categorical_accuracy, accuracy)},
    "tf_keras": {"binary_accuracy": binary_accuracy, **dict.fromkeys(("accuracy", "acc", "ACC"), accuracy)},
}

_BY_SHAPES = dict.fromkeys(("crossentropy", "ce"), crossentropy)


class _Nearest:
    _home = "keras.metrics"

    def result(self: Any) -> Tensor:
        given, asked = self.ratios()
        return asked[(given - self.value).abs().argmin()]


class SensitivityAtSpecificity(_Nearest, metrics.SensitivityAtSpecificity):
    """The sensitivity at the threshold whose specificity is nearest to the given one (Keras 2)."""


class SpecificityAtSensitivity(_Nearest, metrics.SpecificityAtSensitivity):
    """The specificity at the threshold whose sensitivity is nearest to the given one (Keras 2)."""


_NEAREST = {one.__name__: one for one in (SensitivityAtSpecificity, SpecificityAtSensitivity)}


def _of_time(cls: type, home: str) -> type:
    """A class of crossentropies whose objects compute, when they are called, as those of Keras 2."""
    body = {"fn": staticmethod(OF_SCORES[cls.fn]), "_home": home, "__module__": __name__, "__doc__": cls.__doc__}
    return type(cls)(cls.__name__, (cls,), body)


class ByReduction(losses.Loss):
    """A loss of one's own takes its reduction before its name (Keras 2, tf.keras)."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = None):
        super().__init__(name, reduction)


_OWN_LOSS = {"__module__": "lamina.keras2.losses", "__doc__": losses.Loss.__doc__, "_instances_of": losses.Loss}

_CLASSES: Mapping[str, Mapping[str, type]] = {
    "losses": {
        cls.__name__: _of_time(cls, "keras.losses")
        for cls in (losses.BinaryCrossentropy, losses.BinaryFocalCrossentropy, losses.SparseCategoricalCrossentropy)
    },
    "metrics": {
        cls.__name__: _of_time(cls, "keras.metrics")
        for cls in (metrics.BinaryCrossentropy, metrics.SparseCategoricalCrossentropy)
    },
}

# By generation and home: the functions that names mean which mean nothing today, or another function.
OWN: Mapping[str, Mapping[str, Mapping[str, Callable[..., Any]]]] = {
    "keras1": {"losses": _KERAS1, "metrics": {**{name: _of_batch(one) for name, one in _KERAS1.items()}, **_COUNTS}},
    "keras2": {
        "losses": dict.fromkeys(_COSINES, cosine_proximity)
        | {"huber_loss": huber_loss, "Huber": Huber, **_LOGCOSH, **_CLASSES["losses"]}
        | {"Loss": CountsOthers("Loss", (ByReduction,), _OWN_LOSS)},
        "metrics": dict.fromkeys(_COSINES, cosine_of) | {**_LOGCOSH, **_BY_SHAPES, **_NEAREST, **_CLASSES["metrics"]},
    },
    "tf_keras": {
        "losses": {"huber_loss": losses.huber, "cosine_proximity": cosine_proximity, **_LOGCOSH},
        "metrics": {**dict.fromkeys((_COSINES[0], _COSINES[2]), cosine_similarity), **_BY_SHAPES, **_LOGCOSH},
    },
}
