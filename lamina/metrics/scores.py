"""F-scores, the coefficient of determination, and overlaps (IoU): metrics of sums kept for each class."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from ..core import config, dtypes
from ..core.declare import Kind, Refused, accepts, arg, as_integer, boolean, fixed, integer, number
from ..losses.base import as_tensor, class_numbers, misfit, name_arg, pair
from .base import DeclaredMetric
from .confusion import spread

__all__ = ["BinaryIoU", "F1Score", "FBetaScore", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU", "R2Score"]


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


def _choice(*choices: str) -> Kind:
    words = ", ".join(map(repr, choices))
    return Kind(f"one of {words}", accepts(choices.__contains__), good=choices, bad=("unknown-word", 3)).optional()


def _float(most: float) -> Callable[[Any, Any], float]:
    """A converter of floats above 0; as in Keras of no integers."""
    return accepts(lambda value: isinstance(value, float) and 0 < value <= most)


_FRACTION = Kind("a float above 0, at most 1", _float(1), good=(0.3,), bad=(0.0, 2.0, 1, "a")).optional()
_POSITIVE = Kind("a float above 0", _float(math.inf), good=(2.0,), bad=(0.0, -1.0, 1, "a", None))
_AVERAGE = _choice("micro", "macro", "weighted")


class FBetaScore(DeclaredMetric):
    """(1 + beta²) precision recall / (beta² precision + recall), for (batch, classes) targets of 0 and 1."""

    _direction = "up"
    average: str | None = arg(_AVERAGE, default=None, doc="How classes become one number; None keeps them apart.")
    beta: float = arg(_POSITIVE, default=1.0, doc="How much more recall weighs than precision.")
    threshold: float | None = arg(_FRACTION, default=None, doc="Predictions above it count; None: the largest does.")
    name: str = name_arg("fbeta_score")

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
        weight = None
        if sample_weight is not None:
            weight = spread(as_tensor(sample_weight, y_pred, y_pred.dtype), y_pred, type(self).__name__)
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


class F1Score(FBetaScore):
    """2 precision recall / (precision + recall), for (batch, classes) targets of 0 and 1."""

    beta: float = fixed(1.0)
    name: str = name_arg("f1_score")


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

    def make_state(self) -> None:
        (self.num_samples,) = self._zeros("num_samples")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = _columns(self, y_true, y_pred)
        if len(self._variables) == 1:
            made = self._zeros("squared_sum", "sum", "residual", "count", shape=y_pred.shape[1:])
            self.squared_sum, self.sum, self.total_mse, self.count = made
        weight = y_pred.new_ones(()) if sample_weight is None else as_tensor(sample_weight, y_pred, y_pred.dtype)
        weight = spread(weight, y_pred, type(self).__name__).expand_as(y_pred)
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
_IDS_DOC, _SPARSE_DOC = "The classes to average over.", "Whether {} are class numbers rather than one entry a class."


def _required(kind: Kind, doc: str) -> Any:
    return arg(kind, doc=doc)


class IoU(DeclaredMetric):
    """Intersection over union of chosen classes, averaged over those that occur.

    Counts pairs (target, prediction) of classes.
    """

    _direction = "up"
    _default_dtype = "int32"
    _order, _comes_last = ("num_classes", "target_class_ids", "name", "dtype"), ()
    num_classes: int = _required(integer(1), "The number of classes.")
    target_class_ids: Any = _required(_IDS, _IDS_DOC)
    ignore_class: int | None = arg(integer().optional(), default=None, doc="Samples of this class do not count.")
    sparse_y_true: bool = arg(boolean, default=True, doc=_SPARSE_DOC.format("targets"))
    sparse_y_pred: bool = arg(boolean, default=True, doc=_SPARSE_DOC.format("predictions"))
    axis: int = arg(integer(), default=-1, doc="The axis of the classes, where not sparse.")

    def check(self) -> None:
        if max(self.target_class_ids) >= self.num_classes:
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
        y_true, y_pred = (y.byte() if y.dtype is torch.bool else y for y in (y_true, y_pred))  # for argmax
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
        return spread(weight, y_true, type(self).__name__).to(dtype).expand(y_true.shape).reshape(-1)

    def result(self) -> Tensor:
        both = self.total_cm.diagonal()
        either = self.total_cm.sum(0) + self.total_cm.sum(1) - both
        both, either = (counts[list(self.target_class_ids)].float() for counts in (both, either))
        seen = either > 1e-9
        tiny = config.epsilon()
        return torch.where(seen, both / (either + tiny), 0).sum() / (seen.sum() + tiny)


class MeanIoU(IoU):
    """Intersection over union, averaged over the classes that occur."""

    target_class_ids: Any = fixed(())

    def check(self) -> None:
        self.target_class_ids = range(self.num_classes)


class OneHotIoU(IoU):
    """Intersection over union of chosen classes, for one-hot targets."""

    sparse_y_true: bool = fixed(False)
    sparse_y_pred: bool = arg(boolean, default=False, doc=_SPARSE_DOC.format("predictions"))


class OneHotMeanIoU(MeanIoU):
    """Intersection over union averaged over the classes that occur, for one-hot targets."""

    sparse_y_true: bool = fixed(False)
    sparse_y_pred: bool = arg(boolean, default=False, doc=_SPARSE_DOC.format("predictions"))


class BinaryIoU(IoU):
    """Intersection over union of the two classes that a threshold makes."""

    _order = ("target_class_ids", "threshold", "name", "dtype")
    num_classes, ignore_class, axis = fixed(2), fixed(None), fixed(-1)
    sparse_y_true, sparse_y_pred = fixed(True), fixed(True)
    target_class_ids: Any = arg(_IDS, default=(0, 1), doc=_IDS_DOC)
    threshold: float = arg(number(), default=0.5, doc="Predictions from it on count as 1.")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        super().update_state(y_true, as_tensor(y_pred) >= self.threshold, sample_weight)
