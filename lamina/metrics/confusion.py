"""Metrics counted at thresholds: true and false positives and negatives, and the curves drawn through them."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from ..core import config, dtypes
from ..core.declare import Kind, Refused, arg, boolean, integer, listed, number, one_of, owned
from ..core.errors import show_shape
from ..losses.base import DECLARED_BELOW, as_tensor, divide_no_nan, misfit, same_rank
from .base import DeclaredMetric

__all__ = [
    "AUC", "FalseNegatives", "FalsePositives", "Precision", "PrecisionAtRecall", "Recall", "RecallAtPrecision",
    "SensitivityAtSpecificity", "SpecificityAtSensitivity", "TrueNegatives", "TruePositives",
]  # fmt: skip

_BELOW_ALL = -1e10  # the score of classes that are not among the best k
_COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")


def counts(
    y_true: Tensor, y_pred: Tensor, weight: Tensor | None, cuts: Tensor, by_label: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """True and false positives, true and false negatives of `y_pred > cut`, for every one of the ascending `cuts`.

    Tensors of one shape; results (cuts,), or (cuts, labels) if the last axis is counted `by_label`. One pass: every
    prediction adds its weight to the bin of the cuts below it, then bins are summed from above.
    """
    labels = y_pred.shape[-1] if by_label else 1
    bins = torch.bucketize(y_pred.contiguous(), cuts) + (len(cuts) + 1) * (y_true == 0)
    if by_label:
        bins = bins * labels + torch.arange(labels, device=y_pred.device)
    weights = y_pred.new_ones(()).expand(y_pred.shape) if weight is None else weight.expand(y_pred.shape)
    sums = cuts.new_zeros(2 * (len(cuts) + 1) * labels)
    sums.scatter_add_(0, bins.reshape(-1), weights.reshape(-1).to(cuts.dtype))
    above = sums.reshape(2, -1, labels).flip(1).cumsum(1).flip(1)
    positive, negative = above if by_label else above.squeeze(-1)
    return positive[1:], negative[1:], negative[:1] - negative[1:], positive[:1] - positive[1:]


def _keep_top_k(y_pred: Tensor, k: int) -> Tensor:
    """Of equal scores the first count, as in TensorFlow and JAX."""
    places = y_pred.sort(dim=-1, descending=True, stable=True).indices[..., :k]
    return torch.full_like(y_pred, _BELOW_ALL).scatter(-1, places, y_pred.gather(-1, places))


def spread(weight: Tensor, values: Tensor, name: str) -> Tensor:
    """`weight` for each of `values`; the axes it lacks are the last. Raises ValueError where it does not fit."""
    given = weight.shape
    if weight.ndim == values.ndim + 1 and given[-1] == 1:
        weight = weight.squeeze(-1)
    elif 0 < weight.ndim < values.ndim:
        weight = weight.reshape(*given, *[1] * (values.ndim - weight.ndim))
    sizes = zip(weight.shape[::-1], values.shape[::-1], strict=False)
    if weight.ndim > values.ndim or any(own not in (1, size) for own, size in sizes):
        raise ValueError(
            f"{name}: `sample_weight` must be one number for each sample or each prediction, "
            f"{show_shape(values.shape)}; got {show_shape(given)}."
        )
    return weight


def _several(value: Any) -> list:
    return [value] if isinstance(value, Real) else list(listed(value))


def _thresholds(value: Any, owner: Any) -> Any:
    for item in _several(value):
        if isinstance(item, bool) or not isinstance(item, Real) or not 0 <= float(item) <= 1:
            raise Refused
    return value if isinstance(value, Real) else list(value)


def _weights(value: Any, owner: Any) -> list[float]:
    return [float(number().convert(item, owner)) for item in listed(value)]


_WEIGHTS = Kind("one number for each label", _weights, good=([0.2, 0.8],), bad=(3, "a")).optional()
_THRESHOLDS = Kind("a number from 0 to 1, or several", _thresholds, good=(0.3, [0.2, 0.7]), bad=(1.5, "a")).optional()
_CLASS, _CLASS_DOC = integer(0).optional(), "The only class (entry of the last axis) to look at."


class Thresholded(DeclaredMetric):
    """Base of the metrics that count at thresholds.

    State: those `_counted` of true and false positives and negatives, each (thresholds,) or (thresholds, labels).
    """

    _counted = _COUNTS
    _label_weights: Any = None
    thresholds = top_k = class_id = DECLARED_BELOW

    def _make_counts(self, *labels: int) -> None:
        made = self._zeros(*self._counted, shape=(len(self._cuts), *labels))
        for kind, variable in zip(self._counted, made, strict=True):
            setattr(self, kind, variable)

    def _cut_at(self, thresholds: Sequence[float]) -> None:
        """Count at these thresholds, whose order the state keeps."""
        order = sorted(range(len(thresholds)), key=thresholds.__getitem__)
        ascending = [float(thresholds[i]) for i in order]
        places = sorted(range(len(order)), key=order.__getitem__)
        self._cuts = torch.tensor(ascending, dtype=dtypes.torch_dtype(config.floatx()))
        self._places = None if places == order == sorted(order) else torch.tensor(places)
        # A grid over [0, 1] stands for everything beyond it too.
        steps = len(ascending) - 1
        self._clip = steps > 1 and all(abs(cut - i / steps) < 1e-5 for i, cut in enumerate(ascending))

    def to(self, device: Any) -> Thresholded:
        for key in ("_cuts", "_places", "_label_weights"):
            if (constant := getattr(self, key)) is not None:
                setattr(self, key, constant.to(device))
        super().to(device)
        return self

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self._count(y_true, y_pred, sample_weight)

    def _check_classes(self, name: str, y_pred: Tensor) -> None:
        """Raises ValueError where the last axis has too few classes, or others than there are label weights."""
        classes = y_pred.shape[-1] if y_pred.ndim else 0
        for key, least, found in (
            ("top_k", self.top_k or 0, classes),
            ("class_id", -1 if self.class_id is None else self.class_id + 1, classes if y_pred.ndim > 1 else 0),
        ):
            if least > found:
                raise ValueError(
                    f"{name}: `{key}` {getattr(self, key)} needs `y_pred` of shape (batch, classes), at least {least} "
                    f"classes; got {show_shape(y_pred.shape)}."
                )
        if self._label_weights is not None and y_pred.shape[-1:] != self._label_weights.shape:
            raise ValueError(
                f"{name}: `label_weights` must have as many entries as `y_pred`, {show_shape(y_pred.shape)}, has "
                f"labels; got {len(self._label_weights)}."
            )

    def _count(self, y_true: Any, y_pred: Any, sample_weight: Any, by_label: bool = False) -> None:
        name, dtype = type(self).__name__, self._cuts.dtype
        y_pred = as_tensor(y_pred, None, dtype)
        y_true = as_tensor(y_true, y_pred)
        given = y_true.shape, y_pred.shape
        y_pred, y_true = same_rank(y_pred, y_true)
        if y_true.shape != y_pred.shape:
            raise ValueError(misfit(name, *given, "the same shape"))
        self._check_classes(name, y_pred)
        y_pred = y_pred.masked_fill(y_pred.isnan(), -torch.inf)  # what is no number is no positive
        if self.top_k is not None:
            y_pred = _keep_top_k(y_pred, self.top_k)
        if self.class_id is not None:
            y_true, y_pred = y_true[..., self.class_id, None], y_pred[..., self.class_id, None]
        weight = None if sample_weight is None else spread(as_tensor(sample_weight, y_pred, dtype), y_pred, name)
        if self._label_weights is not None and not by_label:
            weight = self._label_weights if weight is None else weight * self._label_weights
        found = counts(y_true, y_pred.clamp(0, 1) if self._clip else y_pred, weight, self._cuts, by_label)
        for kind, value in zip(_COUNTS, found, strict=True):
            if kind in self._counted:
                getattr(self, kind).add_(value if self._places is None else value[self._places])


def _ratio(part: Tensor, rest: Tensor) -> Tensor:
    return divide_no_nan(part, part + rest)


class _AtThresholds(Thresholded):
    """Base of the metrics with one value for each of some given thresholds."""

    thresholds: Any = arg(_THRESHOLDS, default=None, doc="Predictions above it count as 1; None is 0.5.")

    def make_state(self) -> None:
        self.init_thresholds = self.thresholds
        default = 0.5 if self.top_k is None else _BELOW_ALL
        self.thresholds = _several(default if self.thresholds is None else self.thresholds)
        self._cut_at(self.thresholds)
        self._make_counts()

    def result(self) -> Tensor:
        values = self._values()
        return values[0] if len(self.thresholds) == 1 else values

    def _values(self) -> Tensor:
        """Part of a whole, from the counts of the part and of the rest."""
        return _ratio(*(getattr(self, kind) for kind in self._counted))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": owned(self.init_thresholds)}


class _CountOf(_AtThresholds):
    def _make_counts(self, *labels: int) -> None:
        (self.accumulator,) = self._zeros("accumulator", shape=(len(self._cuts),))
        setattr(self, self._counted[0], self.accumulator)

    def _values(self) -> Tensor:
        return self.accumulator.clone()


class TruePositives(_CountOf):
    """How many positives are predicted as such."""

    _counted = ("true_positives",)


class FalsePositives(_CountOf):
    """How many negatives are predicted as positives."""

    _counted = ("false_positives",)


class TrueNegatives(_CountOf):
    """How many negatives are predicted as such."""

    _counted = ("true_negatives",)


class FalseNegatives(_CountOf):
    """How many positives are predicted as negatives."""

    _counted = ("false_negatives",)


class _Share(_AtThresholds):
    _direction = "up"
    top_k: int | None = arg(integer(1).optional(), default=None, doc="Only the best k classes can count as 1.")
    class_id: int | None = arg(_CLASS, default=None, doc=_CLASS_DOC)


class Precision(_Share):
    """The share of true ones among the predicted positives."""

    _counted = ("true_positives", "false_positives")


class Recall(_Share):
    """The share of the positives that are predicted as such."""

    _counted = ("true_positives", "false_negatives")


MAX_THRESHOLDS = 1_000_000


def grid(count: int) -> list[float]:
    """`count` thresholds spread evenly over [0, 1]; a single one is 0.5. Raises ValueError for senselessly many."""
    if count > MAX_THRESHOLDS:
        raise ValueError(f"Argument `num_thresholds` must be at most {MAX_THRESHOLDS}; got {count}.")
    return [i / (count - 1) for i in range(count)] if count > 1 else [0.5]


class _Constrained(Thresholded):
    """Base: the best of one ratio over the thresholds at which the other reaches a given value.

    Ratios are pairs of counts (part, rest).
    """

    _direction = "up"
    _comes_last = ("num_thresholds", "class_id", "name", "dtype")
    _bound = _bounded = _maximized = DECLARED_BELOW
    num_thresholds: int = arg(integer(1), default=200, doc="How many thresholds to try, spread over [0, 1].")
    class_id: int | None = arg(_CLASS, default=None, doc=_CLASS_DOC)

    def make_state(self) -> None:
        self.value = getattr(self, self._bound)
        self.thresholds = grid(self.num_thresholds)
        self._cut_at(self.thresholds)
        self._make_counts()

    def ratios(self) -> list[Tensor]:
        """At each threshold: the ratio that has a value to reach, and the other."""
        return [_ratio(*(getattr(self, kind) for kind in kinds)) for kinds in (self._bounded, self._maximized)]

    def result(self) -> Tensor:
        bounded, maximized = self.ratios()
        return torch.where(bounded >= self.value, maximized, 0).amax()


_SENSITIVITY = ("true_positives", "false_negatives")
_SPECIFICITY = ("true_negatives", "false_positives")
_PRECISION = ("true_positives", "false_positives")


def _to_reach(what: str) -> Any:
    return arg(number(0, 1), doc=f"The {what} to reach.")


class SensitivityAtSpecificity(_Constrained):
    """The best sensitivity at thresholds with at least this specificity."""

    _bound, _bounded, _maximized = "specificity", _SPECIFICITY, _SENSITIVITY
    specificity: float = _to_reach("specificity")


class SpecificityAtSensitivity(_Constrained):
    """The best specificity at thresholds with at least this sensitivity."""

    _bound, _bounded, _maximized = "sensitivity", _SENSITIVITY, _SPECIFICITY
    sensitivity: float = _to_reach("sensitivity")


class PrecisionAtRecall(_Constrained):
    """The best precision at thresholds with at least this recall."""

    _bound, _bounded, _maximized = "recall", _SENSITIVITY, _PRECISION
    recall: float = _to_reach("recall")


class RecallAtPrecision(_Constrained):
    """The best recall at thresholds with at least this precision."""

    _bound, _bounded, _maximized = "precision", _PRECISION, _SENSITIVITY
    precision: float = _to_reach("precision")


def _curve(value: Any, owner: Any) -> str:
    word = value.upper() if isinstance(value, str) else value
    if word not in ("ROC", "PR", "PRGAIN"):
        raise Refused
    return word


_CURVE = Kind('one of "ROC", "PR", "PRGAIN"', _curve, good=("ROC", "pr"), bad=("area", 3))


# None says nothing where thresholds are given.
_GRID = Kind(integer(2).expected, integer(2).optional().convert, good=(2,), bad=(1, 0, 2.5, "a"))


class AUC(Thresholded):
    """Area under a curve through the thresholds: ROC (recall over false positive rate), PR (precision over recall)
    or PRGAIN (precision gain over recall gain, Flach and Kull 2015).

    Under "interpolation" the PR curve bends between thresholds as counts do (Davis and Goadrich 2006).
    """

    _direction = "up"
    _order = ("num_thresholds", "curve", "summation_method", "name", "dtype")
    num_thresholds: Any = arg(_GRID, default=200, doc="How many thresholds, spread over [0, 1].")
    curve: str = arg(_CURVE, default="ROC", doc="Which curve.")
    summation_method: str = arg(
        one_of("interpolation", "minoring", "majoring"), default="interpolation", doc="Height between two thresholds."
    )
    thresholds: Any = arg(_THRESHOLDS, default=None, doc="Thresholds between 0 and 1, in place of `num_thresholds`.")
    multi_label: bool = arg(boolean, default=False, doc="Whether to average the areas of the labels (last axis).")
    num_labels: int | None = arg(integer(1).optional(), default=None, doc="Number of labels, if known beforehand.")
    label_weights: Any = arg(
        _WEIGHTS, default=None, doc="Weights of the labels: of their areas if `multi_label`, else of their counts."
    )
    from_logits: bool = arg(boolean, default=False, doc="Whether predictions are scores rather than probabilities.")

    def check(self) -> None:
        if self.num_thresholds is None and self.thresholds is None:
            raise ValueError("AUC: argument `num_thresholds` must be an integer of at least 2 without `thresholds`.")
        if self.num_labels and not self.multi_label:
            raise ValueError(f"AUC: argument `num_labels` is for `multi_label=True`; got num_labels={self.num_labels}.")
        if self.num_labels and self.label_weights and len(self.label_weights) != self.num_labels:
            raise ValueError(
                f"AUC: argument `label_weights` must have `num_labels`={self.num_labels} entries; "
                f"got {len(self.label_weights)}."
            )

    def make_state(self) -> None:
        self._given = None if self.thresholds is None else sorted(_several(self.thresholds))
        if self._given is not None:
            self.num_thresholds = len(self._given) + 2
        inner = grid(self.num_thresholds)[1:-1] if self._given is None else self._given
        self.thresholds = [-config.epsilon(), *inner, 1 + config.epsilon()]
        self._cut_at(self.thresholds)
        if self.label_weights is not None:
            self._label_weights = torch.tensor(self.label_weights, dtype=self._cuts.dtype)
        if not self.multi_label:
            self._make_counts()
        elif self.num_labels:
            self._make_counts(self.num_labels)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_pred = as_tensor(y_pred, None, self._cuts.dtype)
        if self.multi_label:
            known = self._variables[0].shape[1] if self._variables else None
            if y_pred.ndim != 2 or known not in (None, y_pred.shape[1]):
                raise ValueError(
                    f"AUC with multi_label=True: `y_pred` must have shape (batch, {known or 'labels'}); "
                    f"got {show_shape(y_pred.shape)}."
                )
            if known is None:
                self._make_counts(y_pred.shape[1])
        if self.from_logits:
            y_pred = y_pred.sigmoid()
        self._count(y_true, y_pred, sample_weight, self.multi_label)

    def result(self) -> Tensor:
        areas = self._areas()
        if not self.multi_label:
            return areas
        weights = self._label_weights
        if weights is None:
            return areas.mean()
        return divide_no_nan((areas * weights).sum(), weights.sum())

    def _areas(self) -> Tensor:
        hits, false_alarms, rejections, misses = (getattr(self, kind) for kind in _COUNTS)
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self._interpolated_pr(hits, hits + false_alarms, (hits + misses).clamp_min(0))
        recall = _ratio(hits, misses)
        if self.curve == "ROC":
            x, y = _ratio(false_alarms, rejections), recall
        elif self.curve == "PR":
            x, y = recall, _ratio(hits, false_alarms)
        else:
            odds = divide_no_nan(hits + misses, rejections + false_alarms)
            none = hits == 0
            x = torch.where(none, 0, 1 - odds * divide_no_nan(misses, hits)).clamp(min=0)
            y = torch.where(none, 1, 1 - odds * divide_no_nan(false_alarms, hits))
        heights = {
            "interpolation": lambda left, right: (left + right) / 2,
            "minoring": torch.minimum,
            "majoring": torch.maximum,
        }[self.summation_method](y[:-1], y[1:])
        return ((x[:-1] - x[1:]) * heights).sum(0)

    @staticmethod
    def _interpolated_pr(hits: Tensor, predicted: Tensor, positives: Tensor) -> Tensor:
        """Between two thresholds true positives grow linearly with the predicted ones."""
        gained = hits[:-1] - hits[1:]
        slope = divide_no_nan(gained, predicted[:-1] - predicted[1:])
        intercept = hits[1:] - slope * predicted[1:]
        both = (predicted[:-1] > 0) & (predicted[1:] > 0)
        growth = torch.where(both, divide_no_nan(predicted[:-1], predicted[1:]), 1)
        return divide_no_nan(slope * (gained + intercept * growth.log()), positives[1:]).sum(0)

    def get_config(self) -> dict[str, Any]:
        made = super().get_config()
        del made["thresholds"]
        return made if self._given is None else {**made, "thresholds": owned(self._given)}
