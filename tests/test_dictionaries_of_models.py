"""Models whose inputs and outputs are dictionaries or tuples: their order, and what does not fit them. Values: Keras
3.15.1 and tf_keras 2.21."""

import warnings

import numpy as np
import pytest
import torch

import lamina as keras
from lamina import tf_keras

SPACES = pytest.mark.parametrize("space", [keras, tf_keras], ids=["lamina", "tf_keras"])


def difference(space, keys):
    first, second = (space.layers.Input((1,), name=key) for key in keys)
    return space.Model(dict(zip(keys, (first, second), strict=True)), space.layers.subtract([first, second]))


FIVE, THREE = np.full((2, 1), 5.0), np.full((2, 1), 3.0)


@SPACES
@pytest.mark.parametrize("keys", [("a", "b"), ("IT", "IS")], ids=str)
@pytest.mark.parametrize("way", ["predict", "call", "symbols"])
def test_a_list_stands_for_a_dictionary_in_the_order_of_its_keys(space, keys, way):
    def of(inputs):
        model = difference(space, keys)
        if way == "predict":
            return model.predict(inputs, verbose=0)[0, 0]
        if way == "call":
            return float(model(inputs)[0, 0])
        start = [space.layers.Input((1,)) for _ in keys]
        outer = space.Model(start, model(start if isinstance(inputs, list) else dict(zip(inputs, start, strict=True))))
        return outer.predict([FIVE, THREE], verbose=0)[0, 0]

    assert of(dict(zip(keys, (FIVE, THREE), strict=True))) == 2
    if keys == ("a", "b"):
        assert of([FIVE, THREE]) == 2
    elif space is tf_keras:
        assert of([FIVE, THREE]) == -2  # "IS" comes before "IT"
    else:
        with pytest.raises(ValueError, match="its inputs are a dictionary of `IT`, `IS`; got a list"):
            of([FIVE, THREE])


@SPACES
def test_what_no_input_takes_is_told(space):
    inputs = {"a": FIVE, "b": THREE, "more": THREE}
    with pytest.warns(UserWarning, match="has no input `more`, which is left out"):
        assert difference(space, ("a", "b")).predict(inputs, verbose=0)[0, 0] == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        difference(space, ("a", "b")).predict({"b": THREE, "a": FIVE}, verbose=0)


@SPACES
def test_inputs_and_outputs_are_listed_in_the_order_of_the_keys(space):
    first, second = space.layers.Input((1,), name="n2"), space.layers.Input((2,), name="n1")
    joined = space.layers.concatenate([first, second])
    one, two = space.layers.Dense(1, name="z")(joined), space.layers.Dense(2, name="c")(joined)
    model = space.Model({"IT": first, "IS": second}, {"later": one, "earlier": two})
    assert [tensor.name for tensor in model.inputs] == ["n1", "n2"]
    assert [tensor.shape[-1] for tensor in model.outputs] == [2, 1]
    assert model.output_names == ["c", "z"]
    assert [*model.input] == ["IT", "IS"] and [*model.output] == ["later", "earlier"]
    model.compile("sgd", {"later": "mse", "earlier": "mae"})
    x = {"IT": np.ones((2, 1)), "IS": np.ones((2, 2))}
    given = model.predict(x, verbose=0)
    results = model.evaluate(
        x, {"later": given["later"] + 2, "earlier": given["earlier"] + 3}, verbose=0, return_dict=True
    )
    names = ("z_loss", "c_loss") if space is tf_keras else ("later_loss", "earlier_loss")
    assert [results[name] for name in names] == pytest.approx([4, 3])


def test_a_users_input_spec_counts():
    start = keras.Input((None, 3))
    model = keras.Model(start, keras.layers.Dense(2)(start))
    model(np.zeros((2, 3, 3)))
    model.input_spec = keras.InputSpec(shape=(None, 4, 3))
    assert model(np.zeros((2, 4, 3))).shape == (2, 4, 2)
    with pytest.raises(ValueError, match="4"):
        model(np.zeros((2, 3, 3)))


@pytest.mark.parametrize("outputs", [lambda a, b: (a, b), lambda a, b: {"q": (a, b), "r": [a]}, lambda a, b: [(a,), b]])
def test_a_config_keeps_tuples(outputs):
    a, b = keras.Input((1,)), keras.Input((1,))
    model = keras.Model((a, b), outputs(a + 1, b))
    again = model.from_config(model.get_config())
    assert isinstance(again.input, tuple)
    keras.tree.assert_same_structure(again.output, model.output)
    assert isinstance(keras.models.model_from_json(model.to_json()).input, list)  # a file has lists alone


@pytest.mark.parametrize(
    "make", [dict, lambda pairs: {"b": pairs["b"], "a": pairs["a"]}, lambda pairs: [*pairs.values()]]
)
def test_a_copy_takes_its_inputs_by_their_keys(make):
    model = difference(keras, ("a", "b"))
    inputs = {key: keras.Input((1,), name=f"other_{key}") for key in ("a", "b")}
    copy = keras.models.clone_model(model, input_tensors=make(inputs))
    assert copy.predict({"a": FIVE, "b": THREE}, verbose=0)[0, 0] == 2


@SPACES
def test_what_calls_models_calls_those_with_dictionaries(space):
    first, second = space.layers.Input((3,), name="x1"), space.layers.Input((2,), name="a1")
    model = space.Model({"x1": first, "a1": second}, space.layers.concatenate([first, second]))
    data = {"x1": torch.rand(4, 3), "a1": torch.rand(4, 2)}
    assert keras.profile(model, batch_size=2, seconds=0.01).rows
    assert torch.equal(keras.port.to_torch(model)(**data), model(data))


@SPACES
@pytest.mark.parametrize("masked", [False, True])
def test_a_model_inside_keeps_its_keys(space, masked, tmp_path):
    layers = space.layers
    keys = {key: layers.Input((3,), name=key, dtype="int32") for key in ("z", "b")}  # not in alphabetical order
    first, second = (layers.Embedding(9, 2, mask_zero=masked)(symbol) for symbol in keys.values())
    inner = space.Model(keys, layers.Dense(1, activity_regularizer="l2")(layers.subtract([first, second])))
    model = space.Model(inner.input, layers.Activation("linear")(inner(inner.input)))
    data = {"b": np.array([[3, 4, 5]]), "z": np.array([[1, 2, 0]])}
    expected = inner.predict(data, verbose=0)
    np.testing.assert_array_equal(model.predict(data, verbose=0), expected)
    model.compile("sgd", "mse")
    model.train_on_batch(data, np.zeros((1, 3, 1)))
    expected = inner.predict(data, verbose=0)
    for name in ("model.keras", "model.h5"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # HDF5 is the older format
            model.save(tmp_path / name)
        again = space.models.load_model(tmp_path / name)
        np.testing.assert_array_equal(again.predict(data, verbose=0), expected)
    assert [*again.layers[-2].input] == ["z", "b"]


def test_tf_keras_writes_calls_on_structures_as_they_are():
    class Sum(tf_keras.layers.Layer):
        def call(self, x, scale=1.0):
            return x[0][0] - x[0][1] + scale * x[1]["q"]

    a, c, d = (tf_keras.Input((1,), name=name) for name in "acd")
    model = tf_keras.Model([a, c, d], Sum(name="sum")([[a, c], {"q": d}], scale=2.0))
    (call,) = model.get_config()["layers"][-1]["inbound_nodes"]
    told = {"scale": 2.0}
    assert call == [[["a", 0, 0, told], ["c", 0, 0, told]], {"q": ["d", 0, 0, told]}]
    again = tf_keras.models.model_from_json(model.to_json(), custom_objects={"Sum": Sum})
    assert again.predict([FIVE, THREE, FIVE], verbose=0)[0, 0] == 12
