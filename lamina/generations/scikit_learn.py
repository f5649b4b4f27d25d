"""Keras 1's and 2's estimators of scikit-learn, which make their model by `build_fn`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .. import wrappers
from ..core.declare import short
from ..translation.words import signature_of
from ..utils import to_categorical
from .dialect import Dialect

_METHODS = ("fit", "predict", "predict_classes", "predict_proba", "evaluate")


def find(dialect: Dialect, name: str) -> Any:
    """The class of a generation; None for any other name."""
    base = {cls.__name__: cls for cls in (BaseWrapper, KerasClassifier, KerasRegressor)}.get(name)
    if base is None:
        return None
    facts = {"__module__": dialect.module("wrappers.scikit_learn"), "__doc__": base.__doc__, "_dialect": dialect}
    return type(name, (base,), facts)


class BaseWrapper(wrappers.BaseEstimator):
    """An estimator whose `fit` trains the model that `build_fn` makes, or its own `__call__` where that is None.

    sk_params: arguments of `build_fn`, and of the model's `fit`, `predict` and `evaluate`. Raises ValueError for any
    other.
    """

    _dialect: Dialect

    def __init__(self, build_fn: Callable | None = None, **sk_params: Any):
        self.build_fn, self.sk_params = build_fn, sk_params
        self.check_params(sk_params)

    def check_params(self, params: Iterable[str]) -> None:
        known = {"nb_epoch"}.union(self._taken(self._build), *map(self._taken, _METHODS))
        for name in params:
            if name not in known:
                raise ValueError(f"{type(self).__name__}: {name!r} is no argument of `build_fn` or of the model's.")

    @property
    def _build(self) -> Callable:
        own: Any = self
        return own if self.build_fn is None else self.build_fn

    def _taken(self, function: str | Callable) -> list[str]:
        """The arguments that a function takes by name, or a method of models in this generation."""
        if isinstance(function, str):
            told = self._dialect.table.methods.get(function)
            model = self._dialect.find("models", "Sequential")
            signature = inspect.signature(getattr(model, function)) if told is None else signature_of(told)
        else:
            signature = inspect.signature(function)
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        return [parameter.name for parameter in signature.parameters.values() if parameter.kind in named]

    def filter_sk_params(self, fn: str | Callable, override: Any = None) -> dict[str, Any]:
        """Of the arguments given, those that a function (or method, by name) takes, and others over them."""
        taken = {*self._taken(fn), *(("nb_epoch",) if fn == "fit" else ())}
        return {**{name: value for name, value in self.sk_params.items() if name in taken}, **(override or {})}

    def get_params(self, **params: Any) -> dict[str, Any]:
        return {**self.sk_params, "build_fn": self.build_fn}

    def set_params(self, **params: Any) -> BaseWrapper:
        given = dict(params)
        build = given.pop("build_fn", self.build_fn)
        before, self.build_fn = self.build_fn, build
        try:
            self.check_params(given)
        except ValueError:
            self.build_fn = before
            raise
        self.sk_params = {**self.sk_params, **given}
        return self

    def fit(self, x: Any, y: Any, **kwargs: Any) -> Any:
        """Train a model made anew; returns its History. kwargs: what its `fit` takes."""
        self.model = self._build(**self.filter_sk_params(self._build))
        return self.model.fit(x, self._for_loss(np.asarray(y)), **self.filter_sk_params("fit", kwargs))

    def _for_loss(self, y: np.ndarray) -> np.ndarray:
        loss = getattr(self.model.loss, "name", None) or getattr(self.model.loss, "__name__", self.model.loss)
        return to_categorical(y) if loss == "categorical_crossentropy" and y.ndim != 2 else y

    def _of_model(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if not hasattr(self, "model"):
            raise ValueError(f"{type(self).__name__}: call `fit` before `{method}`.")
        return getattr(self.model, method)(*args, **kwargs)

    @functools.cached_property
    def _of_keras1(self) -> bool:
        return self._dialect.table.name == "keras1"


class KerasClassifier(wrappers.ClassifierMixin, BaseWrapper):
    __doc__ = BaseWrapper.__doc__

    def fit(self, x: Any, y: Any, sample_weight: Any = None, **kwargs: Any) -> Any:
        """Train a model made anew on classes of any kind (samples,), or one-hot. Returns its History."""
        y = np.asarray(y)
        if y.ndim not in (1, 2):
            raise ValueError(f"{type(self).__name__}: expected classes (samples,) or one-hot; got {short(y)}.")
        several = y.ndim == 2 and y.shape[1] > 1
        self.classes_ = np.arange(y.shape[1]) if several else np.unique(y)
        self.n_classes_ = len(self.classes_)
        if sample_weight is not None:
            kwargs["sample_weight"] = sample_weight
        return super().fit(x, self._places(y), **kwargs)

    def _places(self, y: np.ndarray) -> np.ndarray:
        """Classes as numbers from 0 on; Keras 1 leaves them as they are."""
        one_hot = y.ndim == 2 and y.shape[1] > 1
        return y if self._of_keras1 or one_hot else np.searchsorted(self.classes_, y)

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """The likeliest class of each sample."""
        classes = self._of_model("predict_classes", x, **self.filter_sk_params("predict_classes", kwargs))
        return classes if self._of_keras1 else self.classes_[classes]

    def predict_proba(self, x: Any, **kwargs: Any) -> np.ndarray:
        """What the model gives, (samples, classes): of one output, also what is missing to 1."""
        found = self._of_model("predict_proba", x, **self.filter_sk_params("predict_proba", kwargs))
        return np.hstack([1 - found, found]) if found.shape[1] == 1 else found

    def score(self, x: Any, y: Any, **kwargs: Any) -> float:
        """The accuracy. Raises ValueError for a model without that metric."""
        y = self._for_loss(self._places(np.asarray(y)))
        results = self._of_model("evaluate", x, y, **self.filter_sk_params("evaluate", kwargs))
        for name, value in zip(self.model.metrics_names, np.atleast_1d(results), strict=False):
            if name in ("accuracy", "acc"):
                return float(value)
        raise ValueError(f'{type(self).__name__}: `score` needs accuracy; compile the model with metrics=["accuracy"].')


class KerasRegressor(wrappers.RegressorMixin, BaseWrapper):
    __doc__ = BaseWrapper.__doc__

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """What the model gives; one number for each is (samples,)."""
        found = np.asarray(self._of_model("predict", x, **self.filter_sk_params("predict", kwargs)))
        return found[..., 0] if found.shape[-1] == 1 else found

    def score(self, x: Any, y: Any, **kwargs: Any) -> float:
        """The loss with its sign turned; in Keras 1 the loss."""
        results = self._of_model("evaluate", x, y, **self.filter_sk_params("evaluate", kwargs))
        loss = float(np.atleast_1d(results)[0])
        return loss if self._of_keras1 else -loss
