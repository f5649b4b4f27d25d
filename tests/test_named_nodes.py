"""`Graph` of Keras 0.1 to 1.1: its models are those of the functional API, its data dictionaries by names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lamina.keras1.layers import Activation, Dense, Embedding, Flatten, Input, merge
from lamina.keras1.models import Graph, Model, model_from_json

from lamina import keras1

A, B = np.random.default_rng(0).random((2, 20, 6)).astype("float32")
Y, Z = np.random.default_rng(1).random((20, 3)), np.random.default_rng(2).random((20, 2))
DATA = {"a": A, "b": B, "y": Y, "z": Z}


def graph() -> Any:
    made = Graph()
    made.add_input("a", input_shape=(6,))
    made.add_input(name="b", batch_input_shape=(None, 6))
    made.add_node(Dense(4, activation="tanh"), name="first", input="a")
    made.add_node(Dense(3), name="second", inputs=["first", "b"])
    made.add_shared_node(Dense(2), name="shared", inputs=["first", "first"], outputs=["one", "two"])
    made.add_node(Activation("relu"), name="y", input="second", create_output=True)
    made.add_output("z", inputs=["one", "two"], merge_mode="mul")
    return made


def twin() -> Any:
    a, b = Input((6,), name="a"), Input((6,), name="b")
    first = Dense(4, activation="tanh", name="first")(a)
    second = Dense(3, name="second")(merge([first, b], mode="concat", name="merge_inputs_for_second"))
    shared = Dense(2, name="shared")
    one, two = (Activation("linear", name=name)(shared(first)) for name in ("one", "two"))
    outputs = [Activation("relu", name="y")(second), merge([one, two], mode="mul", name="z")]
    return Model([a, b], outputs)


def both() -> tuple[Any, Any]:
    ours, theirs = graph(), twin()
    theirs.set_weights(ours.get_weights())
    ours.compile("sgd", {"y": "mse", "z": "mae"}, metrics=["accuracy"], loss_weights={"z": 0.5})
    theirs.compile("sgd", {"y": "mse", "z": "mae"}, metrics=["accuracy"], loss_weights={"z": 0.5})
    return ours, theirs


def test_it_computes_and_trains_as_the_functional_model() -> None:
    ours, theirs = both()
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    assert ours.metrics_names == theirs.metrics_names
    pairs = [
        (list(ours.predict(DATA).values()), theirs.predict([A, B])),
        (list(ours.predict_on_batch(DATA).values()), theirs.predict_on_batch([A, B])),
        (ours.train_on_batch(DATA), theirs.train_on_batch([A, B], [Y, Z])),
        (ours.test_on_batch(DATA), theirs.test_on_batch([A, B], [Y, Z])),
        (ours.evaluate(DATA), theirs.evaluate([A, B], [Y, Z], batch_size=128, verbose=0)),
    ]
    for got, expected in pairs:
        for one, other in zip(got, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)
    assert list(ours.predict(DATA)) == ["y", "z"]


def test_fit_and_generators() -> None:
    ours, theirs = both()
    weights = {"y": np.linspace(0, 1, 20), "z": np.ones(20)}
    how: dict[str, Any] = {"nb_epoch": 2, "batch_size": 8, "verbose": 0, "shuffle": False}
    got = ours.fit(DATA, validation_data=DATA, sample_weight=weights, **how)
    expected = theirs.fit([A, B], [Y, Z], validation_data=([A, B], [Y, Z]), sample_weight=weights, **how)
    assert got.history == expected.history

    def batches(pairs: bool) -> Iterator[Any]:
        while True:
            yield ([A, B], [Y, Z], weights) if pairs else (DATA, weights)

    got = ours.fit_generator(batches(False), 40, 2, verbose=0, validation_data=DATA)
    expected = theirs.fit_generator(batches(True), 40, 2, verbose=0, validation_data=([A, B], [Y, Z]))
    assert got.history == expected.history
    assert ours.evaluate_generator(batches(False), 40) == theirs.evaluate_generator(batches(True), 40)


def test_modes_and_words_of_whole_numbers() -> None:
    made = Graph()
    made.add_input("words", input_shape=(5,), dtype="int")
    made.add_node(Embedding(9, 2), name="vectors", input="words")
    made.add_node(Flatten(), name="flat", input="vectors")
    made.add_shared_node(Dense(10), name="sum", inputs=["flat", "flat"], merge_mode="sum", create_output=True)
    made.add_output("dot", inputs=["flat", "sum"], merge_mode="dot", dot_axes=1)
    words = np.arange(10).reshape(2, 5) % 9
    got = made.predict({"words": words})
    vectors, kernel, bias = made.get_weights()
    flat = vectors[words].reshape(2, 10)
    np.testing.assert_allclose(got["sum"], 2 * (flat @ kernel + bias), rtol=1e-5)
    np.testing.assert_allclose(got["dot"], (flat * got["sum"]).sum(1, keepdims=True), rtol=1e-4)


def test_weights_and_configs_come_back(tmp_path: Path) -> None:
    made = graph()
    again = model_from_json(made.to_json())
    assert type(again) is Graph
    for part in ("input_config", "node_config", "output_config"):
        kept = [[{**one, "layer": None} for one in model.get_config()[part]] for model in (made, again)]
        assert json.dumps(kept[0]) == json.dumps(kept[1])
    made.save_weights(tmp_path / "w.h5")
    again.load_weights(tmp_path / "w.h5")
    for name, found in made.predict(DATA).items():
        np.testing.assert_array_equal(again.predict(DATA)[name], found)
    assert isinstance(made, keras1.models.Model)


@pytest.mark.parametrize(
    "add, message",
    [
        (lambda g: g.add_node(Dense(1), "first", input="a"), "there is a node 'first' already"),
        (lambda g: g.add_input("shared", input_shape=(1,)), "there is a node 'shared' already"),
        (
            lambda g: g.add_node(Dense(1), "next", input="nowhere"),
            "there is no node 'nowhere'; those so far: a, b, first",
        ),
        (lambda g: g.add_output("y", input="first"), "there is an output 'y' already"),
        (lambda g: g.add_shared_node(Dense(1), "s", inputs=["a", "b"]), "each of the 2 inputs"),
        (lambda g: g.predict({"a": A}), "expected data for a, b; b is missing"),
        (lambda g: Graph.from_config({"nodes": {}}), "this describes no graph"),
    ],
)
def test_errors(add: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        add(graph())


def test_held_out_data_are_one_dictionary() -> None:
    ours, _ = both()
    with pytest.raises(ValueError, match="one dictionary by names; got a tuple"):
        ours.fit(DATA, nb_epoch=1, verbose=0, validation_data=(DATA, {}))
