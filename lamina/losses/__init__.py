"""Losses: functions of targets and predictions, and objects that add arguments, weights, masks and a reduction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

from ..core import serialize as _serialize
from ..core.declare import Kind, arg, as_integer, boolean, integer, listed, number
from . import functions
from .base import FunctionLoss, Loss, LossFunctionWrapper, as_tensor, kind_of_targets, name_arg, object_name
from .base import require_whole as require_whole
from .functions import *  # noqa: F403

__all__ = [
    "CTC", "BinaryCrossentropy", "BinaryFocalCrossentropy", "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy", "CategoricalGeneralizedCrossEntropy", "CategoricalHinge", "Circle",
    "CosineSimilarity", "Dice", "Hinge", "Huber", "KLDivergence", "LogCosh", "Loss", "MeanAbsoluteError",
    "MeanAbsolutePercentageError", "MeanSquaredError", "MeanSquaredLogarithmicError", "Poisson",
    "SparseCategoricalCrossentropy", "SquaredHinge", "Tversky", "deserialize", "get", "serialize",
]  # fmt: skip
__all__ += functions.__all__


def _axes(value: Any, owner: Any) -> Any:
    return tuple(map(as_integer, listed(value))) if isinstance(value, Iterable) else as_integer(value)


def _weights(value: Any, owner: Any) -> Any:
    convert = number().convert
    return [convert(item, owner) for item in value] if isinstance(value, (list, tuple)) else convert(value, owner)


_AXES = Kind("an integer or several", _axes, good=(1, (0, 1)), bad=("a", 1.5)).optional()
_WEIGHTS = Kind("a number, or one for each class", _weights, good=(0.5, [0.2, 0.8]), bad=("a", None))
_INNER_FRACTION = number(0, 1, above=True, below=True)


def _from_logits() -> Any:
    return arg(boolean, default=False, doc="Whether predictions are scores rather than probabilities.")


def _label_smoothing() -> Any:
    return arg(number(0, 1), default=0.0, doc="Share of the label spread over all classes.")


def _axis(config: bool = True) -> Any:
    return arg(integer(), default=-1, doc="The axis of the classes.", config=config)


class MeanSquaredError(FunctionLoss, fn=functions.mean_squared_error):
    """Mean of the squared errors."""


class MeanAbsoluteError(FunctionLoss, fn=functions.mean_absolute_error):
    """Mean of the absolute errors."""


class MeanAbsolutePercentageError(FunctionLoss, fn=functions.mean_absolute_percentage_error):
    """Mean of the absolute errors in percent of the target."""


class MeanSquaredLogarithmicError(FunctionLoss, fn=functions.mean_squared_logarithmic_error):
    """Mean of the squared differences of log(1 + y)."""


class LogCosh(FunctionLoss, fn=functions.log_cosh):
    """Mean of log(cosh(error)): a square near 0, an absolute value far from it."""


class Poisson(FunctionLoss, fn=functions.poisson):
    """Mean of y_pred - y_true log(y_pred)."""


class KLDivergence(FunctionLoss, fn=functions.kl_divergence):
    """Sum of y_true log(y_true / y_pred)."""


class Hinge(FunctionLoss, fn=functions.hinge):
    """Mean of max(0, 1 - y_true y_pred), for labels -1 and 1 (or 0 and 1)."""


class SquaredHinge(FunctionLoss, fn=functions.squared_hinge):
    """Mean of max(0, 1 - y_true y_pred) squared, for labels -1 and 1 (or 0 and 1)."""


class CategoricalHinge(FunctionLoss, fn=functions.categorical_hinge):
    """max(0, 1 + best wrong score - right score), for one-hot labels."""


class CTC(FunctionLoss, fn=functions.ctc):
    """Connectionist temporal classification: labels (batch, length) padded with 0, scores (batch, steps, classes)."""


class Huber(FunctionLoss, fn=functions.huber):
    """Mean of errors that count squared up to `delta` and linearly beyond."""

    delta: float = arg(number(0), default=1.0, doc="Where the square turns into a line.", config=False)
    name: str = name_arg("huber_loss")


class CosineSimilarity(FunctionLoss, fn=functions.cosine_similarity):
    """The cosine of the angle between targets and predictions, sign turned: -1 for parallel vectors."""

    axis: int = arg(integer(), default=-1, doc="The axis of the vectors.", config=False)


class BinaryCrossentropy(FunctionLoss, fn=functions.binary_crossentropy):
    """-log of the probability given to the right one of two answers."""

    from_logits: bool = _from_logits()
    label_smoothing: float = _label_smoothing()
    axis: int = arg(integer(), default=-1, doc="The axis of the mean.")


class BinaryFocalCrossentropy(FunctionLoss, fn=functions.binary_focal_crossentropy):
    """Binary crossentropy times (1 - p)**gamma, p the probability of the right answer (Lin et al. 2017)."""

    apply_class_balancing: bool = arg(boolean, default=False, doc="Whether to weigh the two answers by `alpha`.")
    alpha: float = arg(number(0, 1), default=0.25, doc="The weight of answer 1; answer 0 has the rest.")
    gamma: float = arg(number(), default=2.0, doc="How strongly easy samples are weakened.")
    from_logits: bool = _from_logits()
    label_smoothing: float = _label_smoothing()
    axis: int = arg(integer(), default=-1, doc="The axis of the mean.")


class CategoricalCrossentropy(FunctionLoss, fn=functions.categorical_crossentropy):
    """-log of the probability given to the right class, for one-hot labels."""

    from_logits: bool = _from_logits()
    label_smoothing: float = _label_smoothing()
    axis: int = _axis()


class CategoricalFocalCrossentropy(FunctionLoss, fn=functions.categorical_focal_crossentropy):
    """Categorical crossentropy times alpha (1 - p)**gamma, p the probability of the right class (Lin et al. 2017)."""

    alpha: Any = arg(_WEIGHTS, default=0.25, doc="The weight of the classes.")
    gamma: float = arg(number(), default=2.0, doc="How strongly easy samples are weakened.")
    from_logits: bool = _from_logits()
    label_smoothing: float = _label_smoothing()
    axis: int = _axis()

    def call(self, y_true: Any, y_pred: Any) -> Any:
        if not isinstance(self.alpha, Real):  # copied to the device once, not in every step
            self._kwargs["alpha"] = as_tensor(self._kwargs["alpha"], y_pred, y_pred.dtype)
        return super().call(y_true, y_pred)


class SparseCategoricalCrossentropy(FunctionLoss, fn=functions.sparse_categorical_crossentropy):
    """-log of the probability given to the right class, for labels that are class numbers."""

    _order = ("from_logits", "ignore_class", "reduction", "axis", "name", "dtype")
    from_logits: bool = _from_logits()
    ignore_class: int | None = arg(integer().optional(), default=None, doc="Samples of this class do not count.")
    axis: int = _axis(config=False)


class CategoricalGeneralizedCrossEntropy(FunctionLoss, fn=functions.categorical_generalized_cross_entropy):
    """(1 - p**q) / q for the probability p of the right class (Zhang and Sabuncu 2018): robust to wrong labels."""

    q: float = arg(_INNER_FRACTION, default=0.5, doc="Near 0 it is crossentropy, near 1 an absolute error.")


class Dice(FunctionLoss, fn=functions.dice):
    """1 - Dice coefficient of two regions."""

    _order = ("reduction", "name", "axis", "dtype")
    axis: Any = arg(_AXES, default=None, doc="The axes of the regions; None is all.")


class Tversky(FunctionLoss, fn=functions.tversky):
    """1 - Tversky index of two regions: Dice with weights for missed and false positives."""

    _order = ("alpha", "beta", "reduction", "name", "axis", "dtype")
    alpha: float = arg(number(0), default=0.5, doc="The weight of missed positives.")
    beta: float = arg(number(0), default=0.5, doc="The weight of false positives.")
    axis: Any = arg(_AXES, default=None, doc="The axes of the regions; None is all.")


class Circle(FunctionLoss, fn=functions.circle):
    """Circle loss of unit vectors with class labels (Sun et al. 2020)."""

    gamma: float = arg(number(), default=80.0, doc="Scale of the similarities.")
    margin: float = arg(number(), default=0.4, doc="Relaxation of the two targets.")
    remove_diagonal: bool = arg(boolean, default=True, doc="Whether a sample is not compared with itself.")


# Names -----------------------------------------------------------------------------------------------------------

_ALIASES = {
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "mse": "mean_squared_error",
    "msle": "mean_squared_logarithmic_error",
}
_ALIASES |= {short.upper(): full for short, full in _ALIASES.items()}


def get(identifier: Any) -> Any:
    """The loss of a name ("mse", "Huber"), a config, a class or a callable; None stays None.

    A function's name gives the function, a class's name an object. Raises ValueError for anything unknown.
    """
    return None if identifier is None else _serialize.lookup(identifier, "keras.losses", "loss", _ALIASES)


def serialize(loss: Any) -> Any:
    """Plain data for a loss object or function."""
    return _serialize.serialize(loss)


def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The loss that `serialize` wrote, or one of that name."""
    with _serialize.custom_object_scope(custom_objects or {}):
        return get(name)


_CROSSENTROPIES = {
    "binary": functions.binary_crossentropy,
    "sparse": functions.sparse_categorical_crossentropy,
    "categorical": functions.categorical_crossentropy,
}


def resolve(identifier: Any, y_true_shape: Sequence[int | None], y_pred_shape: Sequence[int | None]) -> Loss | None:
    """The loss object that `compile(loss=identifier)` means for one output of these shapes.

    "crossentropy" and "ce" choose by the shapes; functions become objects of the name they were asked for by.
    """
    if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        found: Any = _CROSSENTROPIES[kind_of_targets(y_true_shape, y_pred_shape)]
    else:
        found = get(identifier)
    if found is None or isinstance(found, Loss):
        return found
    return LossFunctionWrapper(found, name=identifier if isinstance(identifier, str) else object_name(found))


def class_number_options(loss: Any) -> Mapping[str, Any] | None:
    """The arguments of a loss whose targets are class numbers; None for any other."""
    numbered = (functions.sparse_categorical_crossentropy, functions.categorical_generalized_cross_entropy)
    return getattr(loss, "_kwargs", {}) if getattr(loss, "fn", None) in numbered else None
