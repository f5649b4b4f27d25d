"""Kinds of files that public repositories hold: what writers of tf.keras and Keras 3 have of their own, by version."""

from __future__ import annotations

import io
import json
import lzma
import zipfile
from pathlib import Path

import numpy as np
import pytest

import lamina
from lamina.translation import tf_functions

h5py = pytest.importorskip("h5py")
_DENSE = {"trainable": True, "dtype": "float32", "units": 3, "activation": "linear", "use_bias": True}


def _input(name="x", shape=(None, 4)):
    config = {"batch_input_shape": list(shape), "dtype": "float32", "sparse": False, "ragged": False, "name": name}
    return {"class_name": "InputLayer", "config": config, "name": name, "inbound_nodes": []}


def _layer(cls, name, inbound, **config):
    return {"class_name": cls, "config": {"name": name, **config}, "name": name, "inbound_nodes": [inbound]}


def _graph(*layers, output):
    config = {"name": "model", "layers": list(layers), "input_layers": [["x", 0, 0]], "output_layers": [output]}
    return {"class_name": "Functional", "config": config, "keras_version": "2.11.0", "backend": "tensorflow"}


def _read(described, custom_objects=None):
    return lamina.tf_keras.models.model_from_json(json.dumps(described), custom_objects)


def _op(function, name, inbound):
    return _layer("TFOpLambda", name, inbound, trainable=True, dtype="float32", function=function)


X = np.random.default_rng(0).uniform(-1, 1, (3, 4)).astype("float32")


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (_op("math.multiply", "f", ["x", 0, 0, {"y": 2.0, "name": None}]), lambda x: x * 2),
        (_op("__operators__.add", "f", ["x", 0, 0, {"y": ["x", 0, 0], "name": None}]), lambda x: x + x),
        (_op("math.subtract", "f", ["_CONSTANT_VALUE", -1, 1.0, {"y": ["x", 0, 0]}]), lambda x: 1 - x),
        (_op("concat", "f", [["x", 0, 0, {"axis": -1}], ["x", 0, 0, {"axis": -1}]]), lambda x: np.hstack([x, x])),
        (_op("compat.v1.transpose", "f", ["x", 0, 0, {"perm": [0, 1], "conjugate": False}]), lambda x: x),
        (_op("keras.backend.mean", "f", ["x", 0, 0, {"axis": 1}]), lambda x: x.mean(1)),
        (
            _layer("SlicingOpLambda", "f", ["x", 0, 0, {"slice_spec": [
                {"start": None, "stop": None, "step": None}, {"start": 1, "stop": None, "step": None}]}],
                trainable=True, dtype="float32", function="__operators__.getitem"),
            lambda x: x[:, 1:],
        ),
    ],
)  # fmt: skip
def test_functions_of_tensorflow_in_models_of_tf_keras(layer, expected):
    model = _read(_graph(_input(), layer, output=["f", 0, 0]))
    np.testing.assert_allclose(model.predict(X, verbose=0), expected(X), rtol=1e-5, atol=1e-6)


def _node(op, constants, inputs=1, **attributes):
    definition = {"name": "f", "op": op, "input": [], "attr": attributes}
    config = {"trainable": True, "dtype": "float32", "node_def": definition, "constants": constants}
    return _layer("TensorFlowOpLayer", "f", [["x", 0, 0, {}]] * inputs, **config)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (_node("Mul", {"1": 2.0}), lambda x: x * 2),
        (_node("Sub", {"0": 1.0}), lambda x: 1 - x),
        (_node("ConcatV2", {"2": -1}, inputs=2), lambda x: np.hstack([x, x])),
        (_node("Mean", {"1": 1}, keep_dims={"b": True}), lambda x: x.mean(1, keepdims=True)),
        (_node("MatMul", {}, inputs=2, transpose_b={"b": True}), lambda x: x @ x.T),
        (_node("ExpandDims", {"1": -1}), lambda x: x[..., None]),
        (_node("Cast", {}, SrcT={"type": "DT_FLOAT"}, DstT={"type": "DT_HALF"}), lambda x: x.astype("float16")),
        (
            _node("StridedSlice", {"1": [0, 1], "2": [0, 0], "3": [1, 1]}, begin_mask={"i": "1"}, end_mask={"i": "3"}),
            lambda x: x[:, 1:],
        ),
    ],
)
def test_operations_of_tensorflows_graphs(layer, expected):
    model = _read(_graph(_input(), layer, output=["f", 0, 0]))
    np.testing.assert_allclose(model.predict(X, batch_size=3, verbose=0), expected(X), rtol=1e-5, atol=1e-6)


RECORDED = json.loads(lzma.decompress((Path(__file__).parent / "golden" / "graph_operations.json.xz").read_bytes()))
SEEN = {
    "X": np.random.RandomState(0).uniform(-1, 1, (2, 4, 6, 4)).astype("float32"),
    "F": np.random.RandomState(1).uniform(-1, 1, (3, 4)).astype("float32"),
}
SEEN["F1"] = SEEN["F"][:, None]


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["op"])  # what TensorFlow 2.21 gave
def test_operations_of_tensorflows_graphs_give_what_they_gave(case):
    x = SEEN[case["x"]]
    start = _input(shape=(len(x), *x.shape[1:]))
    node = _node(case["op"], case["constants"], inputs=case["inputs"], **case["attr"])
    model = _read(_graph(start, node, output=["f", 0, case["index"]]))
    got = model.predict(x, batch_size=len(x), verbose=0)
    np.testing.assert_allclose(got, np.array(case["value"], got.dtype), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["io.read_file", "py_function", "keras.backend.set_value", "numpy_function", "print"])
def test_functions_with_effects_are_refused_by_name(name):
    with pytest.raises(ValueError, match=f"TensorFlow's function '{name}' is not among those that are read"):
        _read(_graph(_input(), _op(name, "f", ["x", 0, 0, {}]), output=["f", 0, 0]))


def test_every_function_that_may_stand_in_a_file_is_there():
    from lamina.generations.tensorflow import NAMES

    named = {function for function, _ in tf_functions.GRAPH_OPERATIONS.values()} | {*tf_functions.OPERATORS.values()}
    assert not {name for name in named | tf_functions.NAMES if name not in NAMES}
    assert not [name for name in tf_functions.BACKEND if not hasattr(lamina.tf_keras.backend, name)]


@pytest.mark.parametrize(
    ("stored", "value"),
    [
        ({"i": "3"}, 3), ({"f": 0.5}, 0.5), ({"b": True}, True), ({"s": "YWI="}, "ab"),
        ({"type": "DT_FLOAT"}, "float32"), ({"type": "DT_HALF"}, "float16"), ({"type": "DT_INT32"}, "int32"),
        ({"list": {"i": ["1", "2"]}}, [1, 2]), ({"list": {}}, []), ({"list": [1]}, [1]),
        ({"shape": {"dim": []}}, {"dim": []}), ({}, None),
    ],
)  # fmt: skip
def test_attributes_of_operations(stored: dict[str, object], value: object) -> None:
    assert tf_functions.attribute(stored) == value


def test_operations_of_graphs_as_calls() -> None:
    _, listed, named = tf_functions.graph_call("Mean", [1, 2], {"keep_dims": True})
    assert (listed, named) == ([], {"input_tensor": 1, "axis": 2, "keepdims": True})
    assert tf_functions.graph_call("Mean", [1, 2, 3], {}) is None  # more than it takes
    assert tf_functions.graph_call("Mean", [1], {"keep_dims": None}) is not None
    assert tf_functions.graph_call("NoSuch", [], {}) is None
    function, listed, named = tf_functions.graph_call("ConcatV2", [1, 2, 3], {})
    assert (function, listed, named) == ("concat", [[1, 2]], {"axis": 3})


def test_added_losses_come_back():
    dense = _layer("Dense", "d", [["x", 0, 0, {}]], **_DENSE)
    square = _op("math.square", "s", ["d", 0, 0, {}])
    mean = _op("math.reduce_mean", "m", ["s", 0, 0, {}])
    loss = _layer("AddLoss", "l", ["m", 0, 0, {}], trainable=True, dtype="float32", unconditional=True)
    model = _read(_graph(_input(), dense, square, mean, loss, output=["d", 0, 0]))
    model.compile("sgd", "mse")
    y = model.predict(X, verbose=0)
    got = model.train_on_batch(X, y)
    assert np.asarray(got).reshape(-1)[0] == pytest.approx(np.square(y).mean(), rel=1e-5)


@pytest.mark.parametrize("generation", ["2.2.4-tf", "2.3.1"])
@pytest.mark.parametrize("name", ["GlorotUniform", "Zeros", "VarianceScaling", "RandomNormal"])
def test_types_of_initializers_say_nothing(generation, name):
    config = {**_DENSE, "kernel_initializer": {"class_name": name, "config": {"dtype": "float32"}}}
    start = _input()
    if generation == "2.3.1":
        del start["config"]["ragged"]
    described = _graph(start, _layer("Dense", "d", [["x", 0, 0, {}]], **config), output=["d", 0, 0])
    model = lamina.models.model_from_json(json.dumps({**described, "class_name": "Model", "keras_version": generation}))
    assert model.predict(X, verbose=0).shape == (3, 3)


def _archive(path, model, rename, version="2.15.0"):
    """The same `.keras` file with its groups of weights called otherwise."""
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    changed = io.BytesIO()
    with h5py.File(io.BytesIO(members["model.weights.h5"])) as old, h5py.File(changed, "w") as new:
        place = {}
        old.visititems(lambda name, item: place.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
        for name, value in place.items():
            owner, _, key = name.rpartition("/vars/")
            new.create_dataset(f"{rename(owner)}/vars/{key}".lstrip("/"), data=value)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, changed.getvalue() if name == "model.weights.h5" else content)


def _model():
    inner = lamina.Sequential([lamina.Input((4,)), lamina.layers.Dense(4), lamina.layers.Dense(4)])
    model = lamina.Sequential([lamina.Input((4,)), inner, lamina.layers.ReLU(), lamina.layers.Dense(3)])
    model.add(lamina.layers.Dense(2))
    return model


def test_archives_written_on_windows(tmp_path):
    model = _model()
    _archive(tmp_path / "m.keras", model, lambda owner: owner.replace("/", "\\"))
    np.testing.assert_array_equal(lamina.models.load_model(tmp_path / "m.keras").predict(X), model.predict(X))


def _counted(times):
    """How TensorFlow 2.12 to 2.14 named the layers of `_model`: those with weights once or twice in its list."""
    number = {"dense": "dense", "dense_1": f"dense_{times}"}

    def rename(owner):
        parts = [
            "_layer_checkpoint_dependencies" if part == "layers" else number.get(part, part)
            for part in owner.split("/")
        ]
        return "/".join(parts)

    return rename


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("slash", ["/", "\\"])
def test_archives_of_tensorflow_2_12_to_2_14(tmp_path, times, slash):
    model = _model()
    rename = _counted(times)
    _archive(tmp_path / "m.keras", model, lambda owner: rename(owner).replace("/", slash))
    np.testing.assert_array_equal(lamina.models.load_model(tmp_path / "m.keras").predict(X), model.predict(X))


def test_weights_under_private_names(tmp_path):
    x = lamina.Input((4, 6))
    model = lamina.Model(x, lamina.layers.MultiHeadAttention(2, 3)(x, x))

    def rename(owner):
        head, _, tail = owner.rpartition("/")
        return f"{head}/_{tail}" if tail.endswith("_dense") else owner

    _archive(tmp_path / "m.keras", model, rename)
    data = np.random.default_rng(1).uniform(-1, 1, (2, 4, 6)).astype("float32")
    np.testing.assert_array_equal(lamina.models.load_model(tmp_path / "m.keras").predict(data), model.predict(data))


def test_nadams_state_of_keras_up_to_3_9(tmp_path):
    model = lamina.Sequential([lamina.Input((4,)), lamina.layers.Dense(2)])
    model.compile("nadam", "mse")
    y = np.zeros((3, 2), "float32")
    model.train_on_batch(X, y)
    path = tmp_path / "m.keras"
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with h5py.File(io.BytesIO(members["model.weights.h5"])) as file:
        count = len(file["optimizer/vars"])

    changed = io.BytesIO(members["model.weights.h5"])
    with h5py.File(changed, "r+") as file:
        group = file["optimizer/vars"]
        values = [group[str(index)][()] for index in range(count)]
        assert values[-1].shape == ()
        for index, value in enumerate([*values[:2], values[-1], *values[2:-1]]):
            del group[str(index)]
            group.create_dataset(str(index), data=value)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, changed.getvalue() if name == "model.weights.h5" else content)
    loaded = lamina.models.load_model(path)
    for one in (model, loaded):
        one.reset_metrics()
        one.train_on_batch(X, y)
    np.testing.assert_allclose(loaded.predict(X), model.predict(X), rtol=1e-5)


def test_attention_of_tf_keras_with_one_shape_to_build(tmp_path):
    config = {"num_heads": 2, "key_dim": 3, "query_shape": [None, 4, 6], "key_shape": [None, 4, 6],
              "value_shape": [None, 4, 6], "trainable": True, "dtype": "float32"}  # fmt: skip
    layer = _layer("MultiHeadAttention", "a", ["x", 0, 0, {"value": ["x", 0, 0]}], **config)
    layer["build_config"] = {"input_shape": [None, 4, 6]}
    model = _read(_graph(_input(shape=(None, 4, 6)), layer, output=["a", 0, 0]))
    assert model.output_shape == (None, 4, 6) and len(model.weights) == 8


def test_types_of_inputs_in_embeddings_of_keras_up_to_2_0_8():
    layer = {"class_name": "Embedding", "config": {"name": "e", "input_dim": 5, "output_dim": 2, "dtype": "int32",
             "batch_input_shape": [None, 3]}}  # fmt: skip
    described = {"class_name": "Sequential", "config": [layer], "keras_version": "2.0.2", "backend": "tensorflow"}
    model = lamina.models.model_from_json(json.dumps(described))
    assert "float32" in str(model.weights[0].dtype)
    assert model.predict(np.array([[0, 1, 4]]), verbose=0).shape == (1, 3, 2)
