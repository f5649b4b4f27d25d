"""Columns of a table as vectors: what is learned, encoded, crossed and saved; recorded from Keras 3.15.1."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lamina as keras
from lamina.utils import FeatureSpace
from lamina.utils.feature_space import Cross, Feature

L = keras.layers
RECORDED = Path(__file__).parent / "golden" / "files" / "keras3"
KERAS = dict(np.load(RECORDED / "feature_space.npz"))
DATA: dict[str, list] = {
    "plain": [0.5, -1.0, 2.0, 7.25],
    "normal": [0.0, 1.0, 2.0, 5.0],
    "scaled": [1.0, 2.0, 3.0, 4.0],
    "binned": [0.0, 1.0, 2.0, 3.0],
    "word": ["a", "b b", "", "a"],
    "code": [3, 3, -1, 8],
    "hashed": [1, 20, 300, -4],
    "text": ["x", "long text of many words", "é", "x"],
}


def space(mode: str = "concat", **options: Any) -> FeatureSpace:
    return FeatureSpace(
        {
            "plain": "float",
            "normal": "float_normalized",
            "scaled": FeatureSpace.float_rescaled(2.0, 1.0),
            "binned": FeatureSpace.float_discretized(3),
            "word": "string_categorical",
            "code": FeatureSpace.integer_categorical(max_tokens=3, num_oov_indices=2),
            "hashed": FeatureSpace.integer_hashed(4),
            "text": FeatureSpace.string_hashed(5),
        },
        mode,
        [("word", "code"), FeatureSpace.cross(("hashed", "text"), 3)],
        crossing_dim=6,
        **options,
    )


def adapted(*args: Any, **options: Any) -> FeatureSpace:
    made = space(*args, **options)
    made.adapt(DATA)
    return made


def row(index: int) -> dict[str, Any]:
    return {name: values[index] for name, values in DATA.items()}


def rows() -> list[dict[str, Any]]:
    return [row(index) for index in range(4)]


class _Rows(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        return row(index), index


def loader() -> Any:
    return torch.utils.data.DataLoader(_Rows(), batch_size=3)


LEARNED_FROM: dict[str, Callable[[], Any]] = {
    "lists": lambda: DATA,
    "arrays": lambda: {name: np.array(values) for name, values in DATA.items()},
    "columns": lambda: {name: np.array(values, dtype=object)[:, None].tolist() for name, values in DATA.items()},
    "samples": rows,
    "samples, once": lambda: iter(rows()),
    "pairs": lambda: [(sample, 0) for sample in rows()],
    "loader": loader,
    "batches": lambda: ({name: values[i : i + 2] for name, values in DATA.items()} for i in (0, 2)),
    "with more": lambda: {**DATA, "target": [0, 1, 0, 1]},
}


@pytest.mark.parametrize("source", LEARNED_FROM)
def test_equals_keras_whatever_it_learned_from(source: str) -> None:
    made = space()
    made.adapt(LEARNED_FROM[source]())
    np.testing.assert_allclose(made(DATA), KERAS["concat"], rtol=1e-5)


def test_each_feature_by_its_name() -> None:
    found = adapted("dict")(DATA)
    assert found.keys() == KERAS.keys() - {"concat"}
    for name, value in found.items():
        np.testing.assert_allclose(value, KERAS[name], rtol=1e-5)


@pytest.mark.parametrize("form", [tuple, np.array, lambda values: np.array(values)[:, None]])
def test_columns_of_any_form(form: Callable) -> None:
    given = {name: form(values) for name, values in DATA.items()}
    np.testing.assert_allclose(adapted()(given), KERAS["concat"], rtol=1e-5)


def test_a_single_sample_has_no_batch_axis() -> None:
    np.testing.assert_allclose(adapted()(row(1)), KERAS["concat"][1], rtol=1e-5)
    assert {name: tuple(value.shape) for name, value in adapted("dict")(row(1)).items()} == {
        name: value.shape[1:] for name, value in KERAS.items() if name != "concat"
    }


def test_files_of_keras_and_its_own(tmp_path: Path) -> None:
    keras_own = keras.saving.load_model(RECORDED / "feature_space.keras")
    np.testing.assert_allclose(keras_own(DATA), KERAS["concat"], rtol=1e-5)
    keras_own.save(tmp_path / "again.keras")
    np.testing.assert_allclose(keras.saving.load_model(tmp_path / "again.keras")(DATA), KERAS["concat"], rtol=1e-5)
    config = keras_own.get_config()
    assert config.keys() == {
        "features", "output_mode", "crosses", "crossing_dim", "hashing_dim", "num_discretization_bins"
    }  # fmt: skip
    assert FeatureSpace.from_config(config).get_config() == config


def test_a_model_learns_from_encoded_features_and_predicts_from_raw_ones(tmp_path: Path) -> None:
    made = adapted()
    encoded = made.get_encoded_features()
    outputs = L.Dense(1)(encoded)
    training, inference = keras.Model(encoded, outputs), keras.Model(made.get_inputs(), outputs)
    training.compile("sgd", "mse")
    training.fit(made(DATA), np.ones((4, 1)), epochs=2, verbose=0)
    expected = training.predict(made(DATA), verbose=0)
    raw = {name: np.array(values)[:, None] for name, values in DATA.items()}
    np.testing.assert_allclose(inference(raw).detach(), expected, rtol=1e-5)
    inference.save(tmp_path / "model.keras")
    np.testing.assert_allclose(keras.saving.load_model(tmp_path / "model.keras")(raw).detach(), expected, rtol=1e-5)


def test_it_is_a_layer_of_models(tmp_path: Path) -> None:
    made = adapted()
    inputs = {name: keras.Input((1,), dtype=symbol.dtype, name=name) for name, symbol in made.get_inputs().items()}
    model = keras.Model(inputs, L.Dense(2)(made(inputs)))
    raw = {name: np.array(values)[:, None] for name, values in DATA.items()}
    expected = model(raw).detach()
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(keras.saving.load_model(tmp_path / "model.keras")(raw).detach(), expected)


def test_layers_of_your_own() -> None:
    class Longest(L.Layer):
        most = 1.0

        def adapt(self, data: Any) -> None:
            self.most = max(batch.max().item() for batch in data)

        def call(self, x: torch.Tensor) -> torch.Tensor:
            return x / self.most

    made = FeatureSpace(
        {
            "x": FeatureSpace.feature("float32", Longest(), "float"),
            "t": FeatureSpace.feature("string", L.TextVectorization(output_mode="tf_idf"), "float"),
            "known": FeatureSpace.feature("string", L.StringLookup(vocabulary=["a"]), "one_hot"),
            "edges": FeatureSpace.float_discretized(None, [0.0]),
        }
    )
    made.adapt({"x": [1, 4], "t": ["a b", "b"], "known": ["a", "z"], "edges": [-1.0, 1.0]})
    found = made({"x": [2], "t": ["b"], "known": ["a"], "edges": [3.0]})
    assert found.tolist()[0][:4] == [0, 1, 0, 1]  # by name: edges, known, t, x
    assert found[0, -1] == 0.5 and found.shape == (1, 2 + 2 + 3 + 1)


def test_integers_stay_integers_in_a_dictionary_and_stand_in_no_vector() -> None:
    kinds = {"word": FeatureSpace.string_categorical(output_mode="int"), "plain": "float"}
    whole = FeatureSpace(kinds, "dict")
    whole.adapt(DATA)
    assert whole({"word": ["b b"], "plain": [1]})["word"].dtype is torch.int64
    with pytest.raises(ValueError, match="'word' is not encoded"):
        FeatureSpace(kinds).adapt(DATA)


def test_adapting_again_forgets() -> None:
    made = FeatureSpace({"word": "string_categorical"})
    made.adapt({"word": ["a"]})
    made.adapt({"word": ["a", "b", "c"]})
    assert made({"word": ["c"]}).shape == (1, 4)


def test_defaults_by_name() -> None:
    made = FeatureSpace(
        {"a": "integer_hashed", "b": "string_hashed", "c": "float_discretized"},
        hashing_dim=5,
        num_discretization_bins=3,
    )
    made.adapt({"a": [1], "b": ["b"], "c": [0.5]})
    assert [made.preprocessors[name].num_bins for name in "abc"] == [5, 5, 3]
    assert made.preprocessors["a"].name == "a_preprocessor"


def test_parts_go_through_configs() -> None:
    cross = Cross(["a", "b"], 7, "int")
    assert Cross.from_config(cross.get_config()).get_config() == {
        "feature_names": ("a", "b"), "crossing_dim": 7, "output_mode": "int"
    }  # fmt: skip
    assert cross.name == "a_X_b"
    again = Feature.from_config(FeatureSpace.float_rescaled(3.0).get_config())
    assert again.preprocessor.scale == 3.0 and again.dtype == "float32" and again.output_mode == "float"


@pytest.mark.parametrize(
    ("fails", "says"),
    [
        (lambda: FeatureSpace({}), "features"),
        (lambda: FeatureSpace({"a": "floaty"}), "'floaty'"),
        (lambda: FeatureSpace({"a": "float"}, "vector"), "output_mode"),
        (lambda: FeatureSpace({"a": "float"}, crosses=[("a", "b")]), "`b`"),
        (lambda: FeatureSpace({"a": "float"}, crosses=[("a",)]), "feature_names"),
        (lambda: FeatureSpace.feature("float32", "scale", "float"), "preprocessor"),
        (lambda: FeatureSpace.feature("float32", L.Rescaling(1.0), "two_hot"), "output_mode"),
        (lambda: FeatureSpace({"a": "float_normalized"})({"a": 1}), "call `.adapt"),
        (lambda: FeatureSpace({"a": "float"})({"a": 1, "b": 2}), "knows no `b`"),
        (lambda: FeatureSpace({"a": "float", "b": "float"})({"a": 1}), "misses `b`"),
        (lambda: FeatureSpace({"a": "float"})([1.0]), "dictionary"),
        (lambda: FeatureSpace({"a": "float"})({"a": "one"}), "feature 'a'"),
        (lambda: FeatureSpace({"a": "string_categorical"}).adapt(["a"]), "dictionary"),
        (lambda: FeatureSpace({"a": "string_categorical"}).adapt(np.zeros(3)), "adapt"),
        (lambda: space().adapt({"plain": [1.0]}), "misses"),
        (
            lambda: FeatureSpace({"a": FeatureSpace.feature("float32", L.Rescaling(1.0), "one_hot")})({"a": 1}),
            "must give integers",
        ),
        (
            lambda: FeatureSpace(
                {"a": FeatureSpace.feature("string", L.TextVectorization(vocabulary=["a"]), "one_hot")}
            )({"a": "a"}),
            "does not say how many",
        ),
    ],
)
def test_bad_input(fails: Callable, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        fails()


def test_bins_that_were_asked_for_are_all_columns() -> None:
    space = FeatureSpace({"x": "float_discretized"})
    space.adapt({"x": [0.0, 0.1, 0.2]})  # three values make no 32 bins
    assert space({"x": 0.1}).shape == (32,) and space({"x": [0.0, 0.1]}).shape == (2, 32)
