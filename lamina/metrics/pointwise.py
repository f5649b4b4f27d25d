"""Metrics that are the mean of a function of every sample: accuracies, errors, correlations, crossentropies."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .. import losses
from ..core import config, dtypes
from ..core.declare import arg, boolean, integer, number
from ..core.operation import recorded
from ..losses.base import as_float, as_tensor, class_numbers, misfit, name_arg, pair
from .base import FunctionMetric, Mean, PlainMetric

__all__ = [
    "Accuracy", "BinaryAccuracy", "BinaryCrossentropy", "CategoricalAccuracy", "CategoricalCrossentropy",
    "CategoricalHinge", "ConcordanceCorrelation", "CosineSimilarity", "Hinge", "KLDivergence", "LogCoshError",
    "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredError", "MeanSquaredLogarithmicError",
    "PearsonCorrelation", "Poisson", "RootMeanSquaredError", "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy", "SparseTopKCategoricalAccuracy", "SquaredHinge", "TopKCategoricalAccuracy",
    "binary_accuracy", "categorical_accuracy", "concordance_correlation", "pearson_correlation",
    "sparse_categorical_accuracy", "sparse_top_k_categorical_accuracy", "top_k_categorical_accuracy",
]  # fmt: skip


def _as_matches(matches: Tensor) -> Tensor:
    return matches.to(dtypes.torch_dtype(config.floatx()))


# Accuracies ------------------------------------------------------------------------------------------------------


@recorded
def accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the values are equal, else 0."""
    y_true, y_pred = pair(y_true, y_pred, "accuracy")
    return _as_matches(y_true == y_pred)


@recorded
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Tensor:
    """1 where `y_pred` lies on the side of `threshold` that `y_true` (0 or 1) says, else 0."""
    y_true, y_pred = pair(y_true, y_pred, "binary_accuracy")
    return _as_matches((y_pred > threshold) == y_true)


@recorded
def categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the largest entries of `y_true` (one-hot) and `y_pred` lie at the same place of the last axis."""
    y_true, y_pred = pair(y_true, y_pred, "categorical_accuracy")
    return _as_matches(y_true.argmax(-1) == y_pred.argmax(-1))


def _labels(y_true: Any, y_pred: Any, name: str) -> tuple[Tensor, Tensor]:
    """Class numbers without a last axis of 1, and scores with one more axis. Raises ValueError for other shapes."""
    y_pred = as_float(y_pred)
    y_true = as_tensor(y_true, y_pred)
    labels = y_true.squeeze(-1) if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1 else y_true
    if labels.shape != y_pred.shape[:-1]:
        raise ValueError(misfit(name, y_true.shape, y_pred.shape, "equal shapes but for the classes"))
    return labels, y_pred


@recorded
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the largest entry of `y_pred` along the last axis is the one that `y_true` numbers.

    Fractions number none.
    """
    labels, y_pred = _labels(y_true, y_pred, "sparse_categorical_accuracy")
    matches = _as_matches(y_pred.argmax(-1) == labels)
    return matches.squeeze(-1) if matches.ndim > 1 and matches.shape[-1] == 1 else matches


def _in_top_k(labels: Tensor, y_pred: Tensor, k: int) -> Tensor:
    right = y_pred.gather(-1, labels.unsqueeze(-1))
    return _as_matches((y_pred <= right).sum(-1) > y_pred.shape[-1] - k)  # NaN is right in none


@recorded
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """1 where the right class (one-hot) is among the `k` with the highest scores; ties count."""
    y_true, y_pred = pair(y_true, y_pred, "top_k_categorical_accuracy")
    return _in_top_k(y_true.argmax(-1), y_pred, k)


@recorded
def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Tensor:
    """1 where class `y_true` is among the `k` with the highest scores, or the first `k` ids in `y_pred`."""
    given = as_tensor(y_true).shape
    if from_sorted_ids:
        y_pred = as_tensor(y_pred)
        labels = as_tensor(y_true, y_pred)
        labels = labels.squeeze(-1) if labels.ndim == y_pred.ndim else labels
        matches = _as_matches((labels.unsqueeze(-1) == y_pred[..., :k]).any(-1))
    else:
        labels, y_pred = _labels(y_true, y_pred, "sparse_top_k_categorical_accuracy")
        matches = _in_top_k(class_numbers(labels, "sparse_top_k_categorical_accuracy"), y_pred, k)
    return matches.reshape(given)


class Accuracy(PlainMetric, fn=accuracy, direction="up"):
    """How often predictions equal the targets."""


class BinaryAccuracy(PlainMetric, fn=binary_accuracy, direction="up"):
    """How often predictions lie on the right side of `threshold`."""

    threshold: float = arg(number(0, 1), default=0.5, doc="Predictions above it count as 1.")


class CategoricalAccuracy(PlainMetric, fn=categorical_accuracy, direction="up"):
    """How often the class with the highest score is the right one, for one-hot labels."""


class SparseCategoricalAccuracy(PlainMetric, fn=sparse_categorical_accuracy, direction="up"):
    """How often the class with the highest score is the right one, for class numbers."""


class TopKCategoricalAccuracy(FunctionMetric, fn=top_k_categorical_accuracy, direction="up"):
    """How often the right class is among the `k` with the highest scores, for one-hot labels."""

    k: int = arg(integer(1), default=5, doc="How many classes count.")


class SparseTopKCategoricalAccuracy(FunctionMetric, fn=sparse_top_k_categorical_accuracy, direction="up"):
    """How often the right class is among the `k` with the highest scores, for class numbers."""

    _order = ("k", "name", "dtype")
    k: int = arg(integer(1), default=5, doc="How many classes count.")
    from_sorted_ids: bool = arg(boolean, default=False, doc="Whether predictions are class numbers, best first.")

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return config if self.from_sorted_ids else {key: config[key] for key in config if key != "from_sorted_ids"}


# Errors ----------------------------------------------------------------------------------------------------------


class MeanSquaredError(PlainMetric, fn=losses.mean_squared_error, direction="down"):
    """Mean of the squared errors."""


class MeanAbsoluteError(PlainMetric, fn=losses.mean_absolute_error, direction="down"):
    """Mean of the absolute errors."""


class MeanAbsolutePercentageError(PlainMetric, fn=losses.mean_absolute_percentage_error, direction="down"):
    """Mean of the absolute errors in percent of the target."""


class MeanSquaredLogarithmicError(PlainMetric, fn=losses.mean_squared_logarithmic_error, direction="down"):
    """Mean of the squared differences of log(1 + y)."""


class LogCoshError(PlainMetric, fn=losses.log_cosh, direction="down"):
    """Mean of log(cosh(error))."""

    name: str = name_arg("logcosh")


class RootMeanSquaredError(Mean):
    """Square root of the mean of the squared errors."""

    _direction = "down"
    name: str = name_arg("root_mean_squared_error")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = pair(y_true, as_tensor(y_pred, None, dtypes.TYPES[self.dtype]), type(self).__name__)
        super().update_state((y_pred - y_true).square(), sample_weight)

    def result(self) -> Tensor:
        return super().result().sqrt()


class Hinge(PlainMetric, fn=losses.hinge, direction="down"):
    """Mean of max(0, 1 - y_true y_pred), for labels -1 and 1 (or 0 and 1)."""


class SquaredHinge(PlainMetric, fn=losses.squared_hinge, direction="down"):
    """Mean of max(0, 1 - y_true y_pred) squared, for labels -1 and 1 (or 0 and 1)."""


class CategoricalHinge(PlainMetric, fn=losses.categorical_hinge, direction="down"):
    """max(0, 1 + best wrong score - right score), for one-hot labels."""


class KLDivergence(PlainMetric, fn=losses.kl_divergence, direction="down"):
    """Sum of y_true log(y_true / y_pred)."""


class Poisson(PlainMetric, fn=losses.poisson, direction="down"):
    """Mean of y_pred - y_true log(y_pred)."""


class BinaryCrossentropy(PlainMetric, fn=losses.binary_crossentropy, direction="down"):
    """-log of the probability given to the right one of two answers."""

    from_logits: bool = arg(boolean, default=False, doc="Whether predictions are scores rather than probabilities.")
    label_smoothing: float = arg(number(0, 1), default=0, doc="Share of the label spread over both answers.")


class CategoricalCrossentropy(PlainMetric, fn=losses.categorical_crossentropy, direction="down"):
    """-log of the probability given to the right class, for one-hot labels."""

    from_logits: bool = arg(boolean, default=False, doc="Whether predictions are scores rather than probabilities.")
    label_smoothing: float = arg(number(0, 1), default=0, doc="Share of the label spread over all classes.")
    axis: int = arg(integer(), default=-1, doc="The axis of the classes.")


class SparseCategoricalCrossentropy(PlainMetric, fn=losses.sparse_categorical_crossentropy, direction="down"):
    """-log of the probability given to the right class, for class numbers."""

    from_logits: bool = arg(boolean, default=False, doc="Whether predictions are scores rather than probabilities.")
    ignore_class: int | None = arg(integer().optional(), default=None, doc="Samples of this class give 0.")
    axis: int = arg(integer(), default=-1, doc="The axis of the classes.")


# Correlations ----------------------------------------------------------------------------------------------------


@recorded
def cosine(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """The cosine of the angle between targets and predictions: 1 for parallel vectors."""
    return -losses.cosine_similarity(y_true, y_pred, axis)


def _moments(y_true: Any, y_pred: Any, axis: int, name: str) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Covariance, variances and means along `axis`."""
    y_true, y_pred = pair(y_true, y_pred, name)
    true_mean, pred_mean = y_true.mean(axis, keepdim=True), y_pred.mean(axis, keepdim=True)
    y_true, y_pred = y_true - true_mean, y_pred - pred_mean
    products = y_true * y_pred, y_true.square(), y_pred.square()
    covariance, true_variance, pred_variance = (product.mean(axis) for product in products)
    return covariance, true_variance, pred_variance, true_mean.squeeze(axis), pred_mean.squeeze(axis)


@recorded
def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """Covariance divided by both standard deviations, along `axis`."""
    covariance, true_variance, pred_variance, *_ = _moments(y_true, y_pred, axis, "pearson_correlation")
    return covariance / (true_variance * pred_variance).sqrt()


@recorded
def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """Agreement with y_true = y_pred along `axis` (Lin 1989): 2 cov / (var + var + squared difference of means)."""
    covariance, *variances, true_mean, pred_mean = _moments(y_true, y_pred, axis, "concordance_correlation")
    return 2 * covariance / (sum(variances) + (true_mean - pred_mean).square() + config.epsilon())


class CosineSimilarity(PlainMetric, fn=cosine, direction="up"):
    """The cosine of the angle between targets and predictions: 1 for parallel vectors."""

    name: str = name_arg("cosine_similarity")
    axis: int = arg(integer(), default=-1, doc="The axis of the vectors.", config=False)


class PearsonCorrelation(PlainMetric, fn=pearson_correlation, direction="up"):
    """Linear correlation of targets and predictions, from -1 to 1."""

    axis: int = arg(integer(), default=-1, doc="The axis along which to correlate.")


class ConcordanceCorrelation(PlainMetric, fn=concordance_correlation, direction="up"):
    """Agreement of targets and predictions with the line y_true = y_pred, from -1 to 1 (Lin 1989)."""

    axis: int = arg(integer(), default=-1, doc="The axis along which to correlate.")
