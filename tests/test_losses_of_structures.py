"""Losses for nested outputs: which structure each is given, what it is called, what it weighs. Values: Keras 3.15.1."""

from collections import namedtuple

import numpy as np
import pytest

import lamina as keras
from lamina import ops

Pair = namedtuple("Pair", "y1 y2")


def cubes(y_true, y_pred):
    """Tells the places of a structure apart."""
    pairs = zip(keras.tree.flatten(y_true), keras.tree.flatten(y_pred), strict=True)
    return sum((place + 1) * ops.mean(ops.abs(true - pred) ** 3, -1) for place, (true, pred) in enumerate(pairs))


def first(y_true, y_pred):
    return ops.mean(ops.square(keras.tree.flatten(y_true)[0] - keras.tree.flatten(y_pred)[0]), -1)


def structure(kind, a, b, c):
    return {
        "list": [a, b],
        "tuple": (a, b),
        "dict": {"p": a, "q": b},
        "pair": Pair(a, b),
        "deep": {"a": (a, b), "b": {"b1": a, "b2": b}, "c": {"c1": (a, b), "c2": b}, "d": c},
        "beside": [(a, b), c],
        "inside": {"s": c, "l": [a, b]},
    }[kind]


def results(kind, loss, loss_weights=None, sample_weight=None):
    """What `evaluate` tells of three units with fixed weights."""
    x = keras.Input((2,), name="x")
    units = [keras.layers.Dense(1, name=f"y{number}") for number in (1, 2, 3)]
    model = keras.Model(x, structure(kind, *(unit(x) for unit in units)))
    for number, unit in enumerate(units):
        unit.set_weights([np.array([[0.3 + number], [-0.2 * number]]), np.array([0.1 * number])])
    model.compile("sgd", loss, loss_weights=loss_weights)
    data = np.arange(12).reshape(6, 2) / 10
    targets = structure(kind, data[:, :1] ** 2, 1 - data[:, 1:], data[:, :1] * 2)
    return model.evaluate(data, targets, batch_size=4, sample_weight=sample_weight, verbose=0, return_dict=True)


CASES = {
    "a flat list": ("inside", ["mse", "mae", cubes], None),
    "a flat list with weights": ("beside", ["mse", "mae", cubes], [0.5, 2.0, 3.0]),
    "one structure": ("inside", {"l": cubes}, None),
    "a loss of ours for several is given one array": ("inside", {"l": "mse", "s": "mae"}, None),
    "places of a list": ("beside", ["mse", "mae"], [0.5, 2.0]),
    "a part of a structure": ("beside", [(None, first), None], None),
    "several of a tuple": ("tuple", [cubes, (first, "mse")], [0.5, (2.0, 3.0)]),
    "several of a list": ("list", (cubes, [first, "mse"]), [0.5, 2.0, 3.0]),
    "several of a dictionary": ("dict", [cubes, {"q": first}], None),
    "several of a named tuple": ("pair", [cubes, Pair("mae", "mse")], None),
    "named tuples": ("pair", Pair("mae", "mse"), None),
    "several of an output": ("list", [["mse", "mae"], first], None),
    "several of an output by name": ("dict", {"q": [cubes, first]}, None),
    "all": (
        "deep",
        {"a": [cubes, (None, first)], "b": [first, {"b1": cubes}], "c": [cubes, {"c1": first}], "d": "mse"},
        None,
    ),
    "weights as the losses stand": ("inside", {"l": ["mse", cubes]}, [0.5, 2.0]),
}
RECORDED = {
    "a flat list": {"l/y1_loss": 0.114067, "l/y2_loss": 0.636667, "loss": 0.752449, "s_loss": 0.001716},
    "a flat list with weights": {"0/y1_loss": 0.114067, "0/y2_loss": 0.636667, "loss": 1.33551, "y3_loss": 0.001716},
    "one structure": {"loss": 1.21341},
    "a loss of ours for several is given one array": {"l_loss": 0.340733, "loss": 0.450733, "s_loss": 0.11},
    "places of a list": {"0_loss": 0.340733, "loss": 0.390367, "y3_loss": 0.11},
    "a part of a structure": {"loss": 0.5674},
    "several of a tuple": {"loss": 2.53704, "y1_loss": 0.114067, "y1_y2_loss": 1.21341, "y2_loss": 0.5674},
    "several of a list": {"loss": 2.53704, "y1_loss": 0.114067, "y1_y2_loss": 1.21341, "y2_loss": 0.5674},
    "several of a dictionary": {"loss": 1.78081, "p_q_loss": 1.21341, "q_loss": 0.5674},
    "several of a named tuple": {"loss": 2.00414, "y1_loss": 0.223333, "y1_y2_loss": 1.21341, "y2_loss": 0.5674},
    "named tuples": {"loss": 0.790733, "y1_loss": 0.223333, "y2_loss": 0.5674},
    "several of an output": {"loss": 0.9048, "y1_loss": 0.223333, "y2_loss": 0.5674},
    "several of an output by name": {"loss": 1.13969, "q_loss": 0.5674},
    "all": {
        "a/y2_loss": 0.5674,
        "a_loss": 1.21341,
        "b/b1_loss": 0.0688173,
        "b_loss": 0.114067,
        "c/c1_loss": 0.114067,
        "c_loss": 2.93029,
        "d_loss": 0.0132667,
        "loss": 5.02131,
    },
    "weights as the losses stand": {"l/y1_loss": 0.114067, "l/y2_loss": 0.572295, "loss": 1.20162},
}


@pytest.mark.parametrize("case", CASES)
def test_a_loss_of_a_structure_is_given_the_structure(case):
    assert results(*CASES[case]) == pytest.approx(RECORDED[case], rel=1e-4)


WEIGHTS = np.arange(6) / 3


@pytest.mark.parametrize(
    ("loss", "weights", "expected"),
    [
        (cubes, WEIGHTS, {"l_loss": 1.593763, "loss": 1.600541, "s_loss": 0.006777778}),
        ("mse", WEIGHTS, {"l_loss": 0.4189667, "loss": 0.4257444, "s_loss": 0.006777778}),
        (
            "mse",
            {"l": [WEIGHTS, WEIGHTS + 1], "s": WEIGHTS},
            {"l_loss": 0.7026667, "loss": 0.7094445, "s_loss": 0.006777778},
        ),
    ],
)
def test_structures_are_weighed(loss, weights, expected):
    assert results("inside", {"l": loss, "s": first}, None, weights) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("loss", "weights", "message"),
    [
        ({"l": cubes}, [1.0, 2.0], "loss_weights: expected the structure of `loss`"),
        ({"l": cubes, "q": "mse"}, None, "no output `q`"),
        (["mse"], None, "expected one entry for each of 2 outputs; got 1"),
    ],
)
def test_losses_that_fit_no_structure_are_refused_when_compiled(loss, weights, message):
    with pytest.raises(ValueError, match=message):
        results("inside", loss, weights)


def test_several_outputs_of_one_loss_have_one_shape():
    x = keras.Input((2,))
    model = keras.Model(x, {"l": [keras.layers.Dense(1)(x), keras.layers.Dense(2)(x)]})
    model.compile("sgd", {"l": "mse"})
    with pytest.raises(ValueError, match="for outputs of one shape"):
        model.fit(np.ones((4, 2)), {"l": [np.ones((4, 1)), np.ones((4, 2))]}, verbose=0)


def test_named_tuples_are_data():
    x = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    model = keras.Model(x, Pair(keras.layers.Dense(1, name="y1")(x[0]), keras.layers.Dense(1, name="y2")(x[1])))
    model.compile("sgd", "mse")
    ones, column = np.ones((4, 2)), np.ones((4, 1))
    assert {*model.fit(Pair(ones, ones), Pair(column, column), verbose=0).history} == {"loss", "y1_loss", "y2_loss"}


class _Nested(keras.Model):
    def __init__(self):
        super().__init__()
        self.units = [keras.layers.Dense(1, kernel_initializer="zeros") for _ in range(3)]

    def call(self, x):
        a, b, c = (unit(x) for unit in self.units)
        return {"a": a, "b": {"c": b, "d": [c]}}


def test_metrics_of_nested_outputs_without_names_have_names_of_their_own():
    model, ones = _Nested(), np.ones((4, 1))
    named = {
        "a": keras.metrics.MeanSquaredError("one"),
        "b": {"c": keras.metrics.MeanSquaredError("two"), "d": [keras.metrics.MeanAbsoluteError("mae")]},
    }
    model.compile("sgd", "mse", metrics=named)
    results = model.evaluate(
        np.ones((4, 2)), {"a": ones, "b": {"c": ones * 2, "d": [ones * 3]}}, verbose=0, return_dict=True
    )
    assert {"one", "two", "mae"} <= {*results}
    assert (results["one"], results["two"]) == (1, 4)


def test_a_loss_in_a_list_in_a_dictionary_is_one_loss():
    x = keras.Input((2,))
    model = keras.Model(x, keras.layers.Dense(1, name="a")(x))
    model.compile("sgd", {"a": ["mse"]})
    assert model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0).history.keys() == {"loss"}


@pytest.mark.parametrize("x", [None, [None], {"a": None}], ids=str)
def test_data_of_nothing_are_refused(x):
    start = keras.Input((2,), name="a")
    model = keras.Model(start, keras.layers.Dense(1)(start))
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="x: expected data; got"):
        model.fit(x, np.ones((4, 1)), verbose=0)
