"""Metrics: state updated batch by batch, `update_state(y_true, y_pred, sample_weight=None)`, read with `result()`."""

# ruff: noqa: F403, F405

from __future__ import annotations

import inspect as _inspect
from collections.abc import Mapping as _Mapping
from collections.abc import Sequence as _Sequence
from typing import Any as _Any

from ..core import serialize as _serialize
from ..core.layer import snake_case as _snake_case
from ..losses import _ALIASES as _SHORT
from ..losses import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from ..losses.base import kind_of_targets as _kind_of_targets
from ..losses.base import object_name as _object_name
from . import confusion, pointwise, scores
from .base import Mean, MeanMetricWrapper, Metric, Sum
from .confusion import *
from .pointwise import *
from .scores import *

_ALIASES = {_snake_case(name): name for name, item in list(globals().items()) if _inspect.isclass(item)}
_ALIASES |= {short: _ALIASES[full] for short, full in _SHORT.items()}


def get(identifier: _Any) -> _Any:
    """The metric of a name ("mse", "AUC", "mean_io_u"), a config, a class or a callable; None stays None.

    Raises ValueError for anything unknown.
    """
    return None if identifier is None else _serialize.lookup(identifier, "keras.metrics", "metric", _ALIASES)


def check_name(name: str) -> None:
    """Raises ValueError for a name that `resolve` does not know; makes no metric."""
    known = name.lower() in ("accuracy", "acc") or _serialize.registered_object(name) is not None
    if not (known or callable(_serialize.find(_ALIASES.get(name, name), "keras.metrics"))):
        raise ValueError(_serialize.unknown_name(name, "keras.metrics", "metric"))


def serialize(metric: _Any) -> _Any:
    """Plain data for a metric object or function."""
    return _serialize.serialize(metric)


def deserialize(config: _Any, custom_objects: _Mapping[str, _Any] | None = None) -> _Any:
    """The metric that `serialize` wrote, or one of that name."""
    with _serialize.custom_object_scope(custom_objects or {}):
        return get(config)


_ACCURACIES = {"binary": BinaryAccuracy, "sparse": SparseCategoricalAccuracy, "categorical": CategoricalAccuracy}


def resolve(identifier: _Any, y_true_shape: _Sequence[int | None], y_pred_shape: _Sequence[int | None]) -> Metric:
    """The metric object that `compile(metrics=[identifier])` means for one output of these shapes.

    "accuracy" and "acc" choose by the shapes; functions become means; a metric asked for by a name is called by it.
    Raises ValueError for None and for unknown names.
    """
    if identifier is None:
        raise ValueError("compile: expected a metric; got None.")
    if isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc"):
        return _ACCURACIES[_kind_of_targets(y_true_shape, y_pred_shape)](name=identifier)
    found = get(identifier)
    name = identifier if isinstance(identifier, str) else _object_name(found)
    made = found if isinstance(found, Metric) else MeanMetricWrapper(found)
    made.name = name
    return made


__all__ = [
    "Mean", "MeanMetricWrapper", "Metric", "Sum", "binary_crossentropy", "binary_focal_crossentropy",
    "categorical_crossentropy", "categorical_focal_crossentropy", "categorical_hinge", "deserialize", "get", "hinge",
    "huber", "kl_divergence", "log_cosh", "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_error",
    "mean_squared_logarithmic_error", "poisson", "resolve", "serialize", "sparse_categorical_crossentropy",
    "squared_hinge",
]  # fmt: skip
__all__ += confusion.__all__
__all__ += pointwise.__all__
__all__ += scores.__all__
