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
