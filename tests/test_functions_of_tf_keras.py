"""Functions as layers of tf.keras models: what tf_keras 2.21 calls them, and files of such models."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamina import generations
from lamina import tf_keras as keras


@pytest.fixture
def tf() -> Iterator[Any]:
    generations.install("tf_keras")
    try:
        yield sys.modules["tensorflow"]
    finally:
        generations.uninstall()


# In the names tf_keras gives: code on symbols x and y of shape (None, 3), and the layers it makes.
NAMES = """
x+y: __operators__.add | 1+x: __operators__.add | tf.add(x,y): math.add | 2*x: math.multiply | 1-x: math.subtract
1/x: math.truediv | tf.divide(x,y): math.truediv | x**2: math.pow | tf.pow(x,2): math.pow | -x: math.negative
abs(x): math.abs | x>0: math.greater | x==y: __operators__.eq | tf.equal(x,y): math.equal | x%2: math.floormod
x//2: compat.v1.floor_div | x@tf.transpose(y): compat.v1.transpose linalg.matmul | x[:,0:1]: __operators__.getitem
tf.nn.relu(x): nn.relu | tf.nn.swish(x): nn.silu | tf.nn.sigmoid(x): math.sigmoid | tf.tanh(x): math.tanh
tf.nn.l2_normalize(x,1): math.l2_normalize | tf.norm(x,axis=1): compat.v1.norm | tf.math.softmax(x): nn.softmax
tf.reduce_mean(x,axis=1): math.reduce_mean | keras.backend.mean(x): math.reduce_mean | tf.concat([x,y],-1): concat
tf.stack([x,y]): stack | tf.expand_dims(x,1): expand_dims | tf.squeeze(x): compat.v1.squeeze | tf.identity(x): identity
tf.pad(x,[[0,0],[1,1]]): compat.v1.pad | tf.gather(x,[0],axis=1): compat.v1.gather | tf.argmax(x,-1): math.argmax
tf.maximum(x,y): math.maximum | tf.add_n([x,y]): math.add_n | tf.cumsum(x,1): math.cumsum | tf.reverse(x,[1]): reverse
tf.where(x>0,x,y): math.greater where | keras.activations.relu(x): nn.relu | tf.shape(x): compat.v1.shape
tf.reshape(x,[tf.shape(x)[0],1,3]): compat.v1.shape __operators__.getitem reshape | tf.nn.gelu(x): nn.gelu
x[:,:tf.shape(x)[1]//2]: compat.v1.shape __operators__.getitem compat.v1.floor_div __operators__.getitem_1
tf.reshape(x,tf.concat([tf.shape(x),[1]],0)): compat.v1.shape concat reshape | tf.matmul(x,y,False,True): linalg.matmul
tf.nn.relu(tf.nn.relu(x)): nn.relu nn.relu_1
"""


@pytest.mark.parametrize("line", [each.strip() for each in NAMES.replace("\n", "|").split("|") if each.strip()])
def test_functions_are_called_as_in_tf_keras(tf: Any, line: str) -> None:
    code, _, names = line.partition(": ")
    keras.backend.clear_session()
    x, y = keras.Input((3,), name="x"), keras.Input((3,), name="y")
    model = keras.Model([x, y], eval(code, {"x": x, "y": y, "tf": tf, "keras": keras}))
    found = [layer.name for layer in model.layers if layer.name not in ("x", "y")]
    assert found == [f"tf.{name}" for name in names.split()]
    assert model.output_names == found[-1:]


def _outputs(tf: Any, x: Any, y: Any) -> list[Any]:
    return [
        *(tf.nn.relu(x + 1) * 2 - x / 3, 2 * y, 1 - y, -x, x**2, tf.maximum(x, 0.2), tf.maximum(0.2, y)),
        *(tf.concat([x, y], -1)[:, 1:4:2], tf.reduce_mean(x, axis=1, keepdims=True), tf.stack([x, y], axis=1)),
        *(tf.where(x > 0, x, y), tf.cast(x > y, "float32"), tf.split(x, 3, axis=1)[1], x[:, None, ::2], x[..., 0]),
        *(tf.matmul(x[:, None], y[:, :, None]), tf.transpose(x[:, None], [0, 2, 1]), tf.one_hot(tf.argmax(x, -1), 3)),
        *(tf.reshape(x, [tf.shape(x)[0], 1, 3]), tf.gather(x, [0, 2], axis=1), keras.backend.mean(x, axis=-1)),
    ]


@pytest.mark.parametrize("name", ["model.h5", "model.keras"])
def test_models_of_functions_are_saved(tf: Any, tmp_path: Path, name: str) -> None:
    x, y = keras.Input((3,), name="x"), keras.Input((3,), name="y")
    model = keras.Model([x, y], _outputs(tf, x, y))
    model.save(tmp_path / name)
    loaded = keras.models.load_model(tmp_path / name)
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]
    assert loaded.output_names == model.output_names
    given = [np.random.default_rng(seed).normal(size=(4, 3)).astype("float32") for seed in (1, 2)]
    for one, other in zip(loaded.predict(given, verbose=0), model.predict(given, verbose=0), strict=True):
        np.testing.assert_array_equal(one, other)


def test_calls_are_written_as_tf_keras_writes_them(tf: Any) -> None:
    keras.backend.clear_session()
    x, y = keras.Input((3,), name="x"), keras.Input((3,), name="y")
    outputs = 2 * y, tf.stack([x, y], axis=1), x[:, None], tf.where(x > 0, x, y)
    layers = keras.Model([x, y], outputs).get_config()["layers"]
    every = {"start": None, "stop": None, "step": None}
    assert {layer["name"]: layer["inbound_nodes"][0] for layer in layers if layer["inbound_nodes"]} == {
        "tf.math.multiply": ["_CONSTANT_VALUE", -1, 2.0, {"y": ["y", 0, 0], "name": None}],
        "tf.stack": [["x", 0, 0, {"axis": 1, "name": None}], ["y", 0, 0, {"axis": 1, "name": None}]],
        "tf.__operators__.getitem": ["x", 0, 0, {"slice_spec": [every, None]}],
        "tf.math.greater": ["x", 0, 0, {"y": 0, "name": None}],
        "tf.where": ["tf.math.greater", 0, 0, {"x": ["x", 0, 0], "y": ["y", 0, 0], "name": None}],
    }


def test_a_function_that_no_file_may_name_says_so(tf: Any) -> None:
    x = keras.Input((3,))
    model = keras.Model(x, tf.einsum("bi,bi->b", x, x))
    with pytest.raises(ValueError, match=r'"tf.einsum.*cannot be written into a config'):
        model.get_config()


def test_outputs_that_are_functions_have_their_losses(tf: Any) -> None:
    keras.backend.clear_session()
    x = keras.Input((3,))
    d = keras.layers.Dense(1)(x)
    model = keras.Model(x, [d * 2, tf.nn.relu(d)])
    model.compile("sgd", {"tf.math.multiply": "mse", "tf.nn.relu": "mae"})
    history = model.fit(np.ones((4, 3)), [np.ones((4, 1))] * 2, verbose=0).history
    assert [*history] == ["loss", "tf.math.multiply_loss", "tf.nn.relu_loss"]
