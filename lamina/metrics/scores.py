"""F-scores, the coefficient of determination, and overlaps (IoU): metrics of sums kept for each class."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ..core import config, dtypes
from ..core.declare import Kind, Refused, arg, as_integer, boolean, integer, number
from ..core.errors import show_shape
from ..losses.base import DECLARED_BELOW, as_tensor, broadcastable, class_numbers, dtype_arg, misfit, name_arg, pair
from .base import DeclaredMetric
from .confusion import _spread


def _columns(metric: DeclaredMetric, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    """Targets and predictions of one shape (batch, outputs), in the metric's dtype. Raises ValueError for others."""
    y_pred = as_tensor(y_pred, None, dtypes.TYPES[metric.dtype])
    y_true, y_pred = pair(y_true, y_pred, type(metric).__name__)
    if y_pred.ndim != 2 or y_true.shape != y_pred.shape:
        raise ValueError(misfit(type(metric).__name__, y_true.shape, y_pred.shape, "the same shape (batch, outputs)"))
    return y_true, y_pred


def _require_values(metric: DeclaredMetric, state: str) -> None:
    """Raises ValueError before the first values, which make the state."""
    if state not in vars(metric):
        raise ValueError(f"{type(metric).__name__}: there is no result yet; call `update_state` first.")


def _fraction(value: Any, owner: Any) -> float:
    if not isinstance(value, float) or not 0 < value <= 1:
        raise Refused
    return value


def _positive(value: Any, owner: Any) -> float:
    if not isinstance(value, float) or not value > 0:
        raise Refused
    return value


def _choice(*choices: str) -> Kind:
    def convert(value: Any, owner: Any) -> str:
        if value not in choices:
            raise Refused
        return value

    return Kind("one of " + ", ".join(map(repr, choices)), convert, good=choices, bad=("unknown-word", 3)).optional()


_FRACTION = Kind("a float above 0, at most 1", _fraction, good=(0.3,), bad=(0.0, 2.0, 1, "a")).optional()
_POSITIVE = Kind("a float above 0", _positive, good=(2.0,), bad=(0.0, -1.0, 1, "a", None))
_AVERAGE = _choice("micro", "macro", "weighted")


class _FScore(DeclaredMetric):
    _direction = "up"
    average = threshold = DECLARED_BELOW
    beta = 1.0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = _columns(self, y_true, y_pred)
        micro = self.average == "micro"
        if not self._variables:
            names = ("true_positives", "false_positives", "false_negatives", "intermediate_weights")
            made = self._zeros(*names, shape=() if micro else y_pred.shape[1:], dtype=self.dtype)
            self.true_positives, self.false_positives, self.false_negatives, self.intermediate_weights = made
        if self.threshold is None:
            chosen = (y_pred >= y_pred.amax(-1, keepdim=True)) & (y_pred.abs() > 1e-9)
        else:
            chosen = y_pred > self.threshold
        weight = None if sample_weight is None else _spread(as_tensor(sample_weight, y_pred, y_pred.dtype), y_pred)
        axis = None if micro else 0

        def total(values: Tensor) -> Tensor:
            return (values if weight is None else values * weight).sum(axis)

        predicted = chosen.to(y_pred.dtype)
        self.true_positives += total(predicted * y_true)
        self.false_positives += total(predicted * (1 - y_true))
        self.false_negatives += total((1 - predicted) * y_true)
        self.intermediate_weights += total(y_true)

    def result(self) -> Tensor:
        _require_values(self, "true_positives")
        tiny = config.epsilon()
        precision = self.true_positives / (self.true_positives + self.false_positives + tiny)
        recall = self.true_positives / (self.true_positives + self.false_negatives + tiny)
        square = self.beta**2
        scores = (1 + square) * precision * recall / (square * precision + recall + tiny)
        if self.average == "weighted":
            return (scores * self.intermediate_weights / (self.intermediate_weights.sum() + tiny)).sum()
        return scores if self.average is None else scores.mean()


class FBetaScore(_FScore):
    """(1 + beta²) precision recall / (beta² precision + recall), for (batch, classes) targets of 0 and 1."""

    average: str | None = arg(_AVERAGE, default=None, doc="How classes become one number; None keeps them apart.")
    beta: float = arg(_POSITIVE, default=1.0, doc="How much more recall weighs than precision.")
    threshold: float | None = arg(_FRACTION, default=None, doc="Predictions above it count; None: the largest does.")
    name: str = name_arg("fbeta_score")
    dtype: str = dtype_arg()


class F1Score(_FScore):
    """2 precision recall / (precision + recall), for (batch, classes) targets of 0 and 1."""

    average: str | None = arg(_AVERAGE, default=None, doc="How classes become one number; None keeps them apart.")
    threshold: float | None = arg(_FRACTION, default=None, doc="Predictions above it count; None: the largest does.")
    name: str = name_arg("f1_score")
    dtype: str = dtype_arg()


class R2Score(DeclaredMetric):
    """1 - squared errors / squared deviations from the mean, for (batch, outputs).

    With `num_regressors`, adjusted for as many variables where there are enough values.
    """

    _direction = "up"
    class_aggregation: str | None = arg(
        _choice("uniform_average", "variance_weighted_average"),
        default="uniform_average",
        doc="How outputs become one number; None keeps them apart.",
    )
    num_regressors: int = arg(integer(0), default=0, doc="Number of independent variables; 0 leaves unadjusted.")
    name: str = name_arg("r2_score")
    dtype: str = dtype_arg()

    def make_state(self) -> None:
        (self.num_samples,) = self._zeros("num_samples")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = _columns(self, y_true, y_pred)
        if len(self._variables) == 1:
            made = self._zeros("squared_sum", "sum", "residual", "count", shape=y_pred.shape[1:])
            self.squared_sum, self.sum, self.total_mse, self.count = made
        weight = y_pred.new_ones(()) if sample_weight is None else as_tensor(sample_weight, y_pred, y_pred.dtype)
        weight = _spread(weight, y_pred).expand_as(y_pred)
        self.sum += (y_true * weight).sum(0)
        self.squared_sum += (y_true.square() * weight).sum(0)
        self.total_mse += ((y_true - y_pred).square() * weight).sum(0)
        self.count += weight.sum(0)
        self.num_samples += y_true.numel()

    def result(self) -> Tensor:
        _require_values(self, "count")
        total = self.squared_sum - self.sum.square() / self.count
        scores = 1 - self.total_mse / total
        scores = torch.where(scores.isinf(), 0, scores)
        if self.class_aggregation == "uniform_average":
            scores = scores.mean()
        elif self.class_aggregation == "variance_weighted_average":
            scores = (total * scores).sum() / total.sum()
        spare = self.num_samples - self.num_regressors - 1
        if self.num_regressors:
            scores = torch.where(spare > 0, 1 - (1 - scores) * (self.num_samples - 1) / spare, scores)
        return scores


# Overlap of classes ----------------------------------------------------------------------------------------------


def _ids(value: Any, owner: Any) -> list[int]:
    if not isinstance(value, Iterable) or isinstance(value, str):
        raise Refused
    found = [as_integer(item) for item in value]
    if not found or min(found) < 0:
        raise Refused
    return found


_IDS = Kind("one or more class numbers", _ids, dump=list, good=([0, 1],), bad=([], [-1], "a", 1, None))


def _class_ids(default: Any = ...) -> Any:
    return arg(_IDS, doc="The classes to average over.", **({} if default is ... else {"default": default}))


def _num_classes() -> Any:
    return arg(integer(1), doc="The number of classes.")


def _ignore_class() -> Any:
    return arg(integer().optional(), default=None, doc="Samples of this class do not count.")


def _sparse(of: str, default: bool = True) -> Any:
    return arg(boolean, default=default, doc=f"Whether {of} are class numbers rather than one entry a class.")


def _axis() -> Any:
    return arg(integer(), default=-1, doc="The axis of the classes, where not sparse.")


class _Overlap(DeclaredMetric):
    """Base: counts pairs (target, prediction) of classes; the result is the mean of intersection over union."""

    _direction = "up"
    _default_dtype = "int32"
    num_classes = target_class_ids = ignore_class = DECLARED_BELOW
    sparse_y_true, sparse_y_pred, axis = True, True, -1

    def check(self) -> None:
        if "target_class_ids" not in self._args:
            self.target_class_ids = range(self.num_classes)
        elif max(self.target_class_ids) >= self.num_classes:
            raise ValueError(
                f"{type(self).__name__}: argument `target_class_ids` must lie below num_classes={self.num_classes}; "
                f"got {self.target_class_ids}."
            )

    def make_state(self) -> None:
        shape = (self.num_classes, self.num_classes)
        self.total_cm = self.add_variable(shape, dtype=self.dtype, name="total_confusion_matrix")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        name, classes = type(self).__name__, self.num_classes
        y_pred = as_tensor(y_pred)
        y_true = as_tensor(y_true, y_pred)
        given = y_true.shape, y_pred.shape
        y_true = class_numbers(y_true, name) if self.sparse_y_true else y_true.argmax(self.axis)
        y_pred = y_pred.long() if self.sparse_y_pred else y_pred.argmax(self.axis)
        if y_true.numel() != y_pred.numel():
            raise ValueError(misfit(name, *given, "as many labels"))
        weight = self._weight(sample_weight, y_true)
        y_true, y_pred = y_true.reshape(-1), y_pred.reshape(-1)
        counted = (y_true >= 0) & (y_true < classes) & (y_pred >= 0) & (y_pred < classes)
        if self.ignore_class is not None:
            counted &= y_true != self.ignore_class
        places = torch.where(counted, y_true * classes + y_pred, 0)
        self.total_cm.view(-1).scatter_add_(0, places, torch.where(counted, weight, 0))

    def _weight(self, sample_weight: Any, y_true: Tensor) -> Tensor:
        dtype = self.total_cm.dtype
        if sample_weight is None:
            return torch.ones((), dtype=dtype, device=y_true.device).expand(y_true.numel())
        weight = as_tensor(sample_weight, y_true)
        if weight.is_floating_point() and not dtype.is_floating_point:
            warnings.warn(
                f"{type(self).__name__}: fractions of `sample_weight` are cut off, because it counts in {self.dtype}; "
                'make it with dtype="float32" to keep them.',
                stacklevel=4,
            )
        weight = _spread(weight, y_true)
        if not broadcastable(weight, y_true) or weight.ndim > y_true.ndim:
            raise ValueError(
                f"{type(self).__name__}: `sample_weight` must be one number for each sample or each label, "
                f"{show_shape(y_true.shape)}; got {show_shape(weight.shape)}."
            )
        return weight.to(dtype).expand(y_true.shape).reshape(-1)

    def result(self) -> Tensor:
        both = self.total_cm.diagonal()
        either = self.total_cm.sum(0) + self.total_cm.sum(1) - both
        both, either = (counts[list(self.target_class_ids)].float() for counts in (both, either))
        seen = either > 1e-9
        tiny = config.epsilon()
        return torch.where(seen, both / (either + tiny), 0).sum() / (seen.sum() + tiny)


class IoU(_Overlap):
    """Intersection over union of chosen classes, averaged over those that occur."""

    num_classes: int = _num_classes()
    target_class_ids: list[int] = _class_ids()
    name: str = name_arg()
    dtype: str = dtype_arg()
    ignore_class: int | None = _ignore_class()
    sparse_y_true: bool = _sparse("targets")
    sparse_y_pred: bool = _sparse("predictions")
    axis: int = _axis()


class MeanIoU(_Overlap):
    """Intersection over union, averaged over the classes that occur."""

    num_classes: int = _num_classes()
    name: str = name_arg()
    dtype: str = dtype_arg()
    ignore_class: int | None = _ignore_class()
    sparse_y_true: bool = _sparse("targets")
    sparse_y_pred: bool = _sparse("predictions")
    axis: int = _axis()


class OneHotIoU(_Overlap):
    """Intersection over union of chosen classes, for one-hot targets."""

    sparse_y_true = False
    num_classes: int = _num_classes()
    target_class_ids: list[int] = _class_ids()
    name: str = name_arg()
    dtype: str = dtype_arg()
    ignore_class: int | None = _ignore_class()
    sparse_y_pred: bool = _sparse("predictions", False)
    axis: int = _axis()


class OneHotMeanIoU(_Overlap):
    """Intersection over union averaged over the classes that occur, for one-hot targets."""

    sparse_y_true = False
    num_classes: int = _num_classes()
    name: str = name_arg()
    dtype: str = dtype_arg()
    ignore_class: int | None = _ignore_class()
    sparse_y_pred: bool = _sparse("predictions", False)
    axis: int = _axis()


class BinaryIoU(_Overlap):
    """Intersection over union of the two classes that a threshold makes."""

    num_classes = 2
    target_class_ids: list[int] = _class_ids((0, 1))
    threshold: float = arg(number(), default=0.5, doc="Predictions from it on count as 1.")
    name: str = name_arg()
    dtype: str = dtype_arg()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        super().update_state(y_true, as_tensor(y_pred) >= self.threshold, sample_weight)
