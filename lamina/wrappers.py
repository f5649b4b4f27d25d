"""Models as estimators of scikit-learn (`pip install lamina[sklearn]`)."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from .core.errors import short
from .models import Model, clone_model

_BASES = ("BaseEstimator", "ClassifierMixin", "RegressorMixin", "TransformerMixin")
sklearn: Any = None
try:
    sklearn = importlib.import_module("sklearn")
    classes: Any = importlib.import_module("sklearn.base")
    type_of_target = importlib.import_module("sklearn.utils.multiclass").type_of_target
    validation = importlib.import_module("sklearn.utils.validation")
except ImportError:  # the classes are there all the same, and say what to install when one is made
    classes = SimpleNamespace(**{name: type(name, (), {}) for name in _BASES})
BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin = (getattr(classes, name) for name in _BASES)

__all__ = ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]


class _Estimator(BaseEstimator):
    """What is common to the estimators."""

    _several = True  # whether a sample may have several targets

    def __init__(
        self,
        model: Model | Callable[..., Model],
        warm_start: bool = False,
        model_kwargs: Mapping[str, Any] | None = None,
        fit_kwargs: Mapping[str, Any] | None = None,
    ):
        if sklearn is None:
            raise ImportError(f"{type(self).__name__} needs scikit-learn: pip install scikit-learn.")
        self.model, self.warm_start, self.model_kwargs, self.fit_kwargs = model, warm_start, model_kwargs, fit_kwargs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        return tags

    @property
    def epoch_(self) -> int:
        """How many epochs the last `fit` trained."""
        return len(self.history_.epoch) if hasattr(self, "history_") else 0

    def set_fit_request(self, **kwargs: bool | str | None) -> _Estimator:
        """Say which arguments of `fit` meta-estimators pass on: by name True, False, None or another name for it.

        Raises RuntimeError unless scikit-learn's metadata routing is enabled.
        """
        if not sklearn.get_config()["enable_metadata_routing"]:
            raise RuntimeError("set_fit_request: first call sklearn.set_config(enable_metadata_routing=True).")
        requests = self._get_metadata_request()
        for param, alias in kwargs.items():
            requests.fit.add_request(param=param, alias=alias)
        self._metadata_request = requests
        return self

    def fit(self, X: Any, y: Any, **kwargs: Any) -> _Estimator:
        """Train on X (samples, features) and y (samples,), or (samples, targets) except for classes.

        kwargs: what the model's `fit` takes. Raises RuntimeError for a model without loss or optimizer.
        """
        several = self._several and np.asarray(y).shape[1:] not in ((), (1,))
        X, y = validation.validate_data(self, X, y, multi_output=several)
        y = self._encoded(y)
        model = self._model_for(X, y)
        if not (getattr(model, "compiled", False) and model.loss and model.optimizer):
            raise RuntimeError(f"{type(self).__name__}: compile the model with a loss and an optimizer.")
        self.history_ = model.fit(X, y, **{**(self.fit_kwargs or {}), **kwargs})
        self.model_ = model
        return self

    def _model_for(self, X: np.ndarray, y: np.ndarray) -> Model:
        if self.warm_start and hasattr(self, "model_"):
            return self.model_
        if isinstance(self.model, Model):
            return self.model if self.warm_start else clone_model(self.model)
        if not callable(self.model):
            raise TypeError(f"{type(self).__name__}: `model` must be a model or a function; got {short(self.model)}.")
        return self.model(X=X, y=y, **(self.model_kwargs or {}))

    def _encoded(self, y: np.ndarray) -> np.ndarray:
        """The targets as the model gets them, (samples, outputs)."""
        type_of_target(y, raise_unknown=True)
        return y.reshape(len(y), -1)

    def _outputs(self, X: Any) -> np.ndarray:
        validation.check_is_fitted(self)
        return self.model_.predict(validation.validate_data(self, X, reset=False))

    def predict(self, X: Any) -> np.ndarray:
        """What the model gives for X (samples, features); one number for each is (samples,)."""
        found = self._outputs(X)
        return found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found


class SKLearnClassifier(ClassifierMixin, _Estimator):
    """A model that gives each of two or more classes a score, as a classifier of scikit-learn.

    model: a compiled model, of which each `fit` trains a clone, or a function `f(X, y, **model_kwargs)` that makes one.
    Its targets are one-hot, (samples, classes): a loss for it is "categorical_crossentropy". warm_start: train the
    given model itself, or on from the last `fit`. fit_kwargs: what the model's `fit` takes, where the estimator's own
    is not given it. After `fit`, `model_` is the model, `history_` its History and `classes_` what was seen.
    """

    _several = False

    def decision_function(self, X: Any) -> np.ndarray:
        """The scores: what the model gives, (samples, classes)."""
        return self._outputs(X)

    def predict(self, X: Any) -> np.ndarray:
        """The class of the highest score for each of X (samples, features)."""
        scores = self._outputs(X)
        return self.classes_[scores.argmax(-1)]

    def _encoded(self, y: np.ndarray) -> np.ndarray:
        kind = type_of_target(y, raise_unknown=True)
        if kind not in ("binary", "multiclass"):
            raise ValueError(f"{type(self).__name__}: expected one class for each sample; got targets of type {kind}.")
        self.classes_, indices = np.unique(y, return_inverse=True)
        if len(self.classes_) == 1:
            raise ValueError(f"{type(self).__name__}: there is only one class, {self.classes_[0]}; expected two.")
        return np.eye(len(self.classes_))[indices]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags


class SKLearnRegressor(RegressorMixin, _Estimator):
    """A model as a regressor of scikit-learn. Arguments as those of `SKLearnClassifier`; its targets are numbers."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags


class SKLearnTransformer(TransformerMixin, _Estimator):
    """A model as a transformer of scikit-learn, which gives what the model gives. Arguments as `SKLearnRegressor`'s."""

    def transform(self, X: Any) -> np.ndarray:
        """What the model gives for X (samples, features)."""
        return self._outputs(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags
