"""Models as estimators of scikit-learn: its own checks, and what people do with estimators."""

from __future__ import annotations

import pickle
import unittest
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import lamina as keras
from lamina import wrappers as W

sklearn = pytest.importorskip("sklearn")

from sklearn.base import clone  # noqa: E402
from sklearn.datasets import make_classification, make_regression  # noqa: E402
from sklearn.exceptions import DataConversionWarning, NotFittedError  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

BRIEF = {"epochs": 1, "verbose": 0}
LONG = {"epochs": 20, "verbose": 0}


class Maker:
    """Makes a model; a class, so that tests have the same names in every process."""

    def __call__(
        self, X: Any, y: Any, units: int = 8, end: Any = "softmax", loss: str = "categorical_crossentropy"
    ) -> Any:
        keras.utils.set_random_seed(0)  # some checks fit twice and compare
        outputs = y.shape[1] if y.ndim > 1 else 1
        model = keras.Sequential([keras.layers.Dense(units, "relu"), keras.layers.Dense(outputs, activation=end)])
        model.compile(keras.optimizers.Adam(0.05), loss)
        return model

    def __repr__(self) -> str:
        return "make"


make = Maker()
NUMBERS = {"end": None, "loss": "mse"}
X, CLASSES = make_classification(200, 6, n_informative=4, n_classes=3, random_state=0)
WORDS = np.array(["a", "b", "c"])[CLASSES]
XR, VALUES = make_regression(100, 5, random_state=0)
VALUES = VALUES / 100

AS_KERAS = {  # the checks that fail with Keras' own classes too
    "SKLearnClassifier": {
        "check_classifiers_classes": "so few samples do not suffice for all classes",
        "check_classifiers_train": "the scores of two classes are two columns",
    },
    "SKLearnRegressor": {},
    "SKLearnTransformer": {},
}


@parametrize_with_checks(
    [
        W.SKLearnClassifier(make, fit_kwargs={"epochs": 5, "verbose": 0}),
        W.SKLearnRegressor(make, model_kwargs=NUMBERS, fit_kwargs=BRIEF),
        W.SKLearnTransformer(make, model_kwargs=NUMBERS, fit_kwargs=BRIEF),
    ],
    expected_failed_checks=lambda estimator: AS_KERAS[type(estimator).__name__],
)
@pytest.mark.filterwarnings("ignore")
def test_the_checks_of_scikit_learn(estimator: Any, check: Callable) -> None:
    try:
        check(estimator)
    except unittest.SkipTest as why:
        pytest.skip(str(why))


def test_a_classifier() -> None:
    found = W.SKLearnClassifier(make, fit_kwargs=LONG)
    assert found.epoch_ == 0 and found.fit(X, WORDS) is found
    assert found.score(X, WORDS) > 0.7 and found.classes_.tolist() == ["a", "b", "c"]
    assert found.epoch_ == 20 and len(found.history_.history["loss"]) == 20 and found.n_features_in_ == 6
    scores = found.decision_function(X)
    assert scores.shape == (200, 3)
    assert found.predict(X).tolist() == [["a", "b", "c"][i] for i in scores.argmax(-1)]
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.predict(X), found.predict(X))
    options = dict(LONG)
    assert W.SKLearnClassifier(make, fit_kwargs=options).fit(X, WORDS, epochs=2).epoch_ == 2 and options == LONG


def test_parameters_and_copies() -> None:
    found = W.SKLearnClassifier(make, model_kwargs={"units": 3}, fit_kwargs=BRIEF).fit(X, CLASSES)
    assert found.model_.layers[0].units == 3
    copied = clone(found)
    assert repr(copied) == repr(found) and copied.fit_kwargs == BRIEF and not hasattr(copied, "model_")
    assert found.set_params(model_kwargs={"units": 4}).fit(X, CLASSES).model_.layers[0].units == 4


def test_within_searches_and_pipelines() -> None:
    grid = {"model_kwargs": [{"units": 2}, {"units": 8}], "warm_start": [False]}
    search = GridSearchCV(W.SKLearnClassifier(make, fit_kwargs=BRIEF), grid, cv=2).fit(X, WORDS)
    assert search.best_params_["model_kwargs"] in grid["model_kwargs"]
    line = make_pipeline(StandardScaler(), W.SKLearnClassifier(make, fit_kwargs=LONG)).fit(X, WORDS)
    assert line.score(X, WORDS) > 0.7
    line = make_pipeline(W.SKLearnTransformer(make, model_kwargs=NUMBERS, fit_kwargs=BRIEF), StandardScaler())
    assert line.fit_transform(XR, VALUES).shape == (100, 1)


def test_a_model_is_cloned_unless_it_goes_on() -> None:
    model = make(X, np.eye(3)[CLASSES])
    model.build((None, 6))
    before = model.get_weights()
    found = W.SKLearnClassifier(model, fit_kwargs=LONG).fit(X, CLASSES)
    assert found.model_ is not model and found.score(X, CLASSES) > 0.7
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert W.SKLearnClassifier(model, warm_start=True, fit_kwargs=BRIEF).fit(X, CLASSES).model_ is model
    found = W.SKLearnClassifier(make, warm_start=True, fit_kwargs=BRIEF).fit(X, CLASSES)
    assert found.fit(X, CLASSES).model_ is found.model_ and found.model_.optimizer.iterations == 14


def test_a_regressor() -> None:
    found = W.SKLearnRegressor(make, model_kwargs=NUMBERS, fit_kwargs={"epochs": 60, "verbose": 0})
    assert found.fit(XR, VALUES).score(XR, VALUES) > 0.8 and found.predict(XR).shape == (100,)
    both = np.stack([VALUES, -VALUES], 1)
    assert found.fit(XR, both).score(XR, both) > 0.8 and found.predict(XR).shape == (100, 2)
    with pytest.warns(DataConversionWarning):
        assert found.fit(XR, VALUES[:, None], epochs=1).predict(XR).shape == (100,)


@pytest.fixture
def routing() -> Iterator[None]:
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def test_arguments_of_fit_are_passed_on_where_asked_for(routing: None) -> None:
    found = W.SKLearnClassifier(make, fit_kwargs={"verbose": 0})
    with pytest.raises(TypeError, match="epochs"):
        make_pipeline(StandardScaler(), found).fit(X, CLASSES, epochs=3)
    line = make_pipeline(StandardScaler(), found.set_fit_request(epochs=True))
    assert line.fit(X, CLASSES, epochs=3)[-1].epoch_ == 3


@pytest.mark.parametrize(
    ("kind", "call", "message"),
    [
        (NotFittedError, lambda: W.SKLearnTransformer(make).transform(X), "not fitted"),
        (RuntimeError, lambda: W.SKLearnTransformer(make).set_fit_request(epochs=True), "metadata_routing"),
        (
            RuntimeError,
            lambda: W.SKLearnRegressor(lambda X, y: keras.Sequential()).fit(X, CLASSES),
            "compile the model",
        ),
        (TypeError, lambda: W.SKLearnRegressor(3).fit(X, CLASSES), "`model` must be"),
        (ValueError, lambda: W.SKLearnClassifier(make).fit(X, CLASSES * 0), "only one class, 0"),
        (ValueError, lambda: W.SKLearnClassifier(make).fit(X, CLASSES + 0.5), "type continuous"),
        (ValueError, lambda: W.SKLearnClassifier(make).fit(X, np.eye(3)[CLASSES]), "1d array"),
    ],
)
def test_what_does_not_fit(kind: Any, call: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(W, "sklearn", None)
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        W.SKLearnRegressor(make)


# Older generations ---------------------------------------------------------------------------------------------------


def old_model(space: Any, outputs: int, **compiled: Any) -> Callable:
    def build(units: int = 8) -> Any:
        keras.utils.set_random_seed(0)
        Dense = space.layers.Dense
        end = "softmax" if outputs > 1 else "sigmoid" if "metrics" in compiled else None
        model = space.models.Sequential([Dense(units, activation="relu", input_dim=6), Dense(outputs, activation=end)])
        model.compile(optimizer=space.optimizers.Adam(lr=0.05), **compiled)
        return model

    return build


OLD = pytest.mark.parametrize(("space", "epochs"), [(keras.keras1, "nb_epoch"), (keras.keras2, "epochs")])


@OLD
def test_a_classifier_of_an_older_generation(space: Any, epochs: str) -> None:
    home = space.wrappers.scikit_learn
    build = old_model(space, 3, loss="categorical_crossentropy", metrics=["accuracy"])
    found = home.KerasClassifier(build, units=16, verbose=0, **{epochs: 20})
    assert type(found.fit(X, CLASSES)).__name__ == "History" and found.model.layers[0].units == 16
    assert found.score(X, CLASSES) > 0.7 and found.predict_proba(X).shape == (200, 3)
    assert (found.predict(X) == CLASSES).mean() == pytest.approx(found.score(X, CLASSES))
    assert len(found.fit(X, CLASSES, sample_weight=np.ones(200), **{epochs: 1}).history["loss"]) == 1
    again = clone(found)
    assert again.get_params() == found.get_params() and type(again) is home.KerasClassifier
    search = GridSearchCV(again, {"units": [2, 4], epochs: [1]}, cv=2).fit(X, CLASSES)
    assert search.best_params_["units"] in (2, 4)
    assert found.set_params(units=4).get_params()["units"] == 4
    with pytest.raises(ValueError, match="'unit' is no argument"):
        home.KerasClassifier(build, unit=4)
    with pytest.raises(ValueError, match="'unit' is no argument"):
        found.set_params(unit=4)
    with pytest.raises(ValueError, match="call `fit` before"):
        home.KerasClassifier(build).predict(X)


def test_classes_of_an_older_generation() -> None:
    home = keras.keras2.wrappers.scikit_learn
    found = home.KerasClassifier(
        old_model(keras.keras2, 3, loss="sparse_categorical_crossentropy"), epochs=20, verbose=0
    )
    found.fit(X, WORDS)
    assert (found.predict(X) == WORDS).mean() > 0.7
    with pytest.raises(ValueError, match="accuracy"):
        found.score(X, WORDS)
    found = home.KerasClassifier(
        old_model(keras.keras2, 1, loss="binary_crossentropy", metrics=["accuracy"]), epochs=20, verbose=0
    )
    found.fit(X, WORDS == "a")
    assert found.predict_proba(X).shape == (200, 2) and found.score(X, WORDS == "a") > 0.7


@OLD
def test_a_regressor_of_an_older_generation(space: Any, epochs: str) -> None:
    rows, values = X, X @ np.arange(6) / 10
    build = old_model(space, 1, loss="mse")
    found = space.wrappers.scikit_learn.KerasRegressor(build, verbose=0, batch_size=16, **{epochs: 20})
    found.fit(rows, values)
    outputs = found.predict(rows)
    error = ((outputs - values) ** 2).mean()
    assert outputs.shape == (200,)
    assert found.score(rows, values) == pytest.approx(error if space is keras.keras1 else -error, rel=1e-3)


def test_a_class_that_builds_itself() -> None:
    class Own(keras.keras2.wrappers.scikit_learn.KerasRegressor):  # type: ignore[name-defined]
        def __call__(self, units: int = 2) -> Any:
            return old_model(keras.keras2, 1, loss="mse")(units)

    found = Own(units=3, epochs=1, verbose=0)
    found.fit(X, X[:, 0])
    assert found.model.layers[0].units == 3
