"""Calls of `lamina.ops`, of torch and of operators inside models: written as real Keras writes them, and read.

`golden/keras3/operations.json` holds for each expression the operations in the config of the model that Keras 3.15.1
makes of it. This file as a script, run by a Python with Keras, records it anew:
`KERAS_BACKEND=torch PYTHONPATH=. python tests/test_operations.py`.
"""

from __future__ import annotations

import builtins
import functools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.expressions import EXPRESSIONS, SETTING, TENSORS, tensors_of, used
from torch.nn import functional as F

import lamina
from lamina import ops
from lamina.core.scope import snake_case
from lamina.ops import base

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")

GOLDEN = Path(__file__).parent / "golden/keras3/operations.json"


def model_of(expression: str, package: Any) -> Any:
    """The functional model of an expression in the tensors' names, with these as inputs."""
    names = list(dict.fromkeys(used(expression)))
    inputs = {}
    for name in names:
        x = TENSORS[name]
        inputs[name] = package.Input(batch_shape=tuple(x.shape), dtype=str(x.dtype)[6:], name=name)
    functions = {name: getattr(package.ops, name) for name in dir(package.ops) if name[0] != "_"}
    if not expression.startswith("slice("):
        functions["slice"] = builtins.slice
    outputs = eval(expression, {**functions, **SETTING, **TENSORS, **inputs})
    return package.Model(list(inputs.values()), list(outputs) if isinstance(outputs, (list, tuple)) else [outputs])


def record() -> None:
    """Write what real Keras makes of the expressions. Prints those it refuses."""
    import keras

    found = {}
    for expression in EXPRESSIONS:
        keras.utils.clear_session(free_memory=False)
        try:
            config = json.loads(model_of(expression, keras).to_json())["config"]
        except Exception as error:
            print(expression, "--", type(error).__name__, str(error).strip().split("\n")[0][:150])
            continue
        made = [layer for layer in config["layers"] if layer["class_name"] != "InputLayer"]
        found[expression] = {"layers": made, "output_layers": config["output_layers"]}
    lines = [f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in found.items()]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")


# Where Lamina writes something else that Keras reads as the same.
WRITTEN_OTHERWISE = re.compile(r"^layer_normalization(?!.*rms)|^image.extract_patches|^convert_to_tensor")
RECORDED = json.loads(GOLDEN.read_text())
# What Keras takes for A[1, 0] is two slices here, as in torch.
SAVED = [expression for expression in EXPRESSIONS if "lambda" not in expression] + ["A[[1, 0]]"]


def values_of(model: Any) -> list[torch.Tensor]:
    """The outputs for the tensors that the inputs are named after."""
    return tensors_of(model([TENSORS[tensor.name] for tensor in model.inputs]))


def assert_same(got: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, equal_nan=True)


def tree(config: dict[str, Any]) -> Any:
    """The outputs of a model's config as nested calls, without the names of operations."""
    layers = {layer.get("name", layer["config"].get("name")): layer for layer in config["layers"]}

    def expand(value: Any) -> Any:
        if isinstance(value, dict):
            if value.get("class_name") == "__keras_tensor__":
                name, index, output = value["config"].pop("keras_history")
                return [value["config"], of(name), index, output]
            return {key: expand(item) for key, item in value.items()}
        return [expand(item) for item in value] if isinstance(value, list) else value

    @functools.cache
    def of(name: str) -> Any:
        layer = layers.get(name)
        if layer is None or layer["class_name"] == "InputLayer":
            return name
        own = {key: value for key, value in layer["config"].items() if key != "name"}
        return [layer["module"], layer["class_name"], layer["registered_name"], own, expand(layer["inbound_nodes"])]

    return [[of(name), *rest] for name, *rest in config["output_layers"]]


@pytest.mark.parametrize("expression", SAVED)
def test_a_model_is_read_as_it_was_written(expression: str) -> None:
    model = model_of(expression, lamina)
    expected = values_of(model)
    copy = lamina.models.model_from_json(model.to_json())
    assert_same(values_of(copy), expected)
    assert json.loads(copy.to_json()) == json.loads(model.to_json())


@pytest.mark.parametrize("expression", RECORDED)
def test_configs_are_those_of_keras(expression: str) -> None:
    written = json.loads(model_of(expression, lamina).to_json())["config"]
    recorded = json.loads(json.dumps(RECORDED[expression]))
    assert (tree(written) == tree(recorded)) != bool(WRITTEN_OTHERWISE.search(expression))


@pytest.mark.parametrize("expression", RECORDED)
def test_configs_of_keras_are_read(expression: str) -> None:
    model = model_of(expression, lamina)
    config = json.loads(model.to_json())
    inputs = [layer for layer in config["config"]["layers"] if layer["class_name"] == "InputLayer"]
    config["config"] |= RECORDED[expression] | {"layers": inputs + RECORDED[expression]["layers"]}
    assert_same(values_of(lamina.models.model_from_json(json.dumps(config))), values_of(model))


TORCH = {
    "torch.relu(A)": "Relu",
    "A.abs()": "Absolute",
    "F.silu(A)": "Silu",
    "F.softmax(A, -1)": "Softmax",
    "torch.add(A, B)": "Add",
    "torch.sum(A, 1)": "Sum",
    "torch.sum(A, dim=(0, 2), keepdim=True)": "Sum",
    "torch.mean(A, axis=1)": "Mean",
    "A.amax(1, True)": "Amax",
    "torch.softmax(A, 1)": "Softmax",
    "torch.cat([A, B])": "Concatenate",
    "torch.cat([A, B], dim=-1)": "Concatenate",
    "torch.stack([A, B], 1)": "Stack",
    "A.reshape(2, 12)": "Reshape",
    "A.reshape((2, 12))": "Reshape",
    "A.permute(0, 2, 1)": "Transpose",
    "torch.flip(A, (0, 1))": "Flip",
    "A.transpose(0, 1)": "Swapaxes",
    "torch.clamp(A, min=0.2)": "Clip",
    "A.to(torch.float64)": "Cast",
    "torch.unsqueeze(A, 1)": "ExpandDims",
    "A.squeeze()": "Squeeze",
    "torch.where(A > 0, A, B)": "Where",
    "(A > 0) & (B > 0)": "BitwiseAnd",
    "~(A > 0)": "BitwiseNot",
    # What Keras has no name for, or not with these arguments.
    "torch.add(A, B, alpha=2)": "add",
    "torch.sum(A, 1, dtype=torch.float64)": "sum",
    "F.gelu(A)": "gelu",
    "F.softplus(A, 2.0)": "softplus",
    "F.silu(A, inplace=False)": "Silu",
    "F.logsigmoid(A)": "LogSigmoid",
    "F.unfold(A[:, None], 2, padding=1)": "unfold",
    "A.unfold(1, 2, 1)": "unfold",
    "A.diagonal(dim1=-2, dim2=-1)": "diagonal",
    "torch.var_mean(A, -1)[0]": "var_mean",
    "torch.linalg.vector_norm(A, 3, dim=1)": "vector_norm",
    "torch.fft.irfft(torch.fft.rfft(A))": "rfft",
    "F.grid_sample(A[:, None], torch.stack([A, B], -1), align_corners=False)": "grid_sample",
}


# Calls of `lamina.activations`, and what Keras 3.15.1 writes of them; those left out have no options.
ACTIVATIONS = {
    "relu(A)": ("ReLU", {"negative_slope": 0.0, "max_value": None, "threshold": 0.0}),
    "relu(A, 0.1)": ("ReLU", {"negative_slope": 0.1, "max_value": None, "threshold": 0.0}),
    "relu(A, negative_slope=0.1, max_value=1.5, threshold=0.3)": (
        "ReLU",
        {"negative_slope": 0.1, "max_value": 1.5, "threshold": 0.3},
    ),
    "threshold(A, 0.2, default_value=7.0)": ("Threshold", {"threshold": 0.2, "default_value": 7.0}),
    "leaky_relu(A)": ("LeakyRelu", {"negative_slope": 0.2}),
    "elu(A, alpha=0.3)": ("Elu", {"alpha": 0.3}),
    "celu(A)": ("Celu", {"alpha": 1.0}),
    "gelu(A)": ("Gelu", {"approximate": False}),
    "glu(A, axis=2)": ("Glu", {"axis": 2}),
    "hard_shrink(A)": ("HardShrink", {"threshold": 0.5}),
    "soft_shrink(A, 0.7)": ("SoftShrink", {"threshold": 0.7}),
    "squareplus(A)": ("Squareplus", {"b": 4}),
    "softmax(A, axis=1)": ("Softmax", {"axis": 1}),
    "log_softmax(A)": ("LogSoftmax", {"axis": -1}),
    "sparsemax(A)": ("Sparsemax", {"axis": -1}),
    "exponential(A)": ("Exp", {}),
    "swish(A)": ("Silu", {}),
    "hard_swish(A)": ("HardSilu", {}),
}
_WITH_OPTIONS = {expression.partition("(")[0] for expression in ACTIVATIONS} | {"linear", "get", "serialize"}
ACTIVATIONS |= {
    f"{name}(A)": ("".join(part.capitalize() for part in name.split("_")), {})
    for name in lamina.activations.__all__
    if name not in _WITH_OPTIONS | {"deserialize"}
}


@pytest.mark.parametrize(("expression", "class_name", "config"), [(key, *value) for key, value in ACTIVATIONS.items()])
def test_activations_of_symbols_are_operations_of_keras(expression: str, class_name: str, config: dict) -> None:
    symbol = lamina.Input(batch_shape=TENSORS["A"].shape, name="A")
    model = lamina.Model(symbol, eval(expression, vars(lamina.activations), {"A": symbol}))
    written = json.loads(model.to_json())["config"]["layers"][-1]
    room = "activations.activations" if class_name in ("ReLU", "Mish") else "ops."
    assert written["class_name"] == written["registered_name"] == class_name
    assert written["module"].startswith(f"keras.src.{room}")
    assert {key: value for key, value in written["config"].items() if key != "name"} == config
    assert re.sub(r"_\d+$", "", written["name"]) == snake_case(class_name)
    expected = [eval(expression, vars(lamina.activations), TENSORS)]
    assert_same(values_of(model), expected)
    assert_same(values_of(lamina.models.model_from_json(model.to_json())), expected)


def test_the_linear_activation_is_the_symbol() -> None:
    symbol = lamina.Input((3,))
    assert lamina.activations.linear(symbol) is symbol


def torch_model(expression: str) -> Any:
    inputs = {name: lamina.Input(batch_shape=TENSORS[name].shape, name=name) for name in sorted(set(used(expression)))}
    return lamina.Model(list(inputs.values()), [eval(expression, {"torch": torch, "F": F, **inputs})])


@pytest.mark.parametrize(("expression", "class_name"), TORCH.items())
def test_functions_of_torch_are_written_as_those_of_keras(expression: str, class_name: str) -> None:
    model = torch_model(expression)
    config = json.loads(model.to_json())
    assert class_name in [layer["class_name"] for layer in config["config"]["layers"]]
    copy = lamina.models.model_from_json(json.dumps(config))
    assert_same(values_of(copy), values_of(model))
    assert json.loads(copy.to_json()) == config


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("torch.special.bessel_j0(A)", "the function 'special_bessel_j0' cannot be written"),
        ("torch.bernoulli(A)", "the function 'bernoulli' cannot be written"),
        ("A.to('meta')", "arguments of 'to'"),
        ("lamina.ops.clip(A, x_min=B, x_max=2.0)", "keeps the argument 'x_min' of `clip` in a config"),
        ("lamina.ops.map(lambda x: x * 2, A)", "the function 'map' cannot be written"),
    ],
)
def test_what_keras_has_no_form_for_is_refused(expression: str, message: str) -> None:
    inputs = {name: lamina.Input(batch_shape=TENSORS[name].shape, name=name) for name in sorted(set(used(expression)))}
    output = eval(expression, {"torch": torch, "lamina": lamina, **inputs})
    with pytest.raises(ValueError, match=message):
        lamina.Model(list(inputs.values()), output).to_json()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class_name": "Eval"}, "Operation 'sum.*': Eval is not among the operations"),
        ({"config": {"name": "sum", "where": 3}}, "Sum with where is not among"),
        ({"class_name": "Add"}, "Add with axis, keepdims is not among"),
        ({"module": "torch", "class_name": "load"}, "torch.load is not among the functions"),
        ({"module": "torch.Tensor", "class_name": "__reduce_ex__"}, "torch.Tensor.__reduce_ex__ is not among"),
    ],
)
def test_only_listed_operations_are_read(change: dict[str, Any], message: str) -> None:
    config = json.loads(model_of("sum(A, 1)", lamina).to_json())
    config["config"]["layers"][-1] |= change
    with pytest.raises(ValueError, match=message):
        lamina.models.model_from_json(json.dumps(config))


def test_more_arguments_than_the_call_takes_are_refused() -> None:
    config = json.loads(model_of("sum(A, 1)", lamina).to_json())
    config["config"]["layers"][-1]["inbound_nodes"][0]["args"].append(1)
    with pytest.raises(ValueError, match="has more arguments than `sum` takes"):
        lamina.models.model_from_json(json.dumps(config))


def test_names_survive() -> None:
    x = lamina.Input((3,), name="x")
    copy = lamina.models.model_from_json(lamina.Model(x, ops.exp(-x + 1)).to_json())
    again = lamina.models.model_from_json(copy.to_json())
    names = [layer["name"] for layer in json.loads(copy.to_json())["config"]["layers"]]
    assert names == [layer["name"] for layer in json.loads(again.to_json())["config"]["layers"]]


def test_every_listed_operation_is_one_of_lamina() -> None:
    for word, entry in base.OPS.items():
        assert callable(entry.function), word
        taken = {name.strip("*=") for name in entry.taken}
        assert taken <= set(entry.signature.parameters), word


def test_every_op_is_defined_once_and_public_there() -> None:
    rooms = [ops.arrangement, ops.control, ops.creation, ops.elementwise, ops.linalg, ops.math, ops.nn, ops.reduction]
    names = [name for room in rooms for name in base.public(room)]
    assert len(names) == len(set(names)) > 300
    assert all(getattr(ops, name) is item for room in rooms for name, item in base.public(room).items())
    ours = {word: op for word, op in base.OPS.items() if op.function.__module__.startswith("lamina.")}  # not of tests
    listed = {word for word, op in ours.items() if op.room not in ("image", "activations")}
    assert 200 < len(listed) and listed <= set(names)
    assert all(getattr(ops, word) is base.OPS[word].function for word in listed)


if __name__ == "__main__":
    record()


PICTURE = np.random.default_rng(0).random((1, 4, 4, 3)).astype("float32")


@pytest.mark.parametrize(
    ("function", "value", "before", "now", "others"),
    [
        (ops.image.extract_patches, PICTURE, "image", "images", {"size": 2}),
        (ops.image.resize, PICTURE, "image", "images", {"size": (2, 2)}),
        (ops.image.affine_transform, PICTURE, "image", "images", {"transform": np.eye(3).ravel()[:8]}),
        (ops.image.rgb_to_grayscale, PICTURE, "image", "images", {}),
        (ops.image.map_coordinates, PICTURE[0], "input", "inputs", {"coordinates": np.ones((3, 2)), "order": 1}),
        (ops.reshape, (-1, 3), "new_shape", "newshape", {"x": PICTURE}),
    ],
)
def test_words_of_the_first_keras_3(function: Any, value: Any, before: str, now: str, others: dict[str, Any]) -> None:
    """Of 3.0 to 3.4; on values, and in models."""
    found, wanted = (function(**others, **{word: value}) for word in (before, now))
    assert torch.equal(found, wanted)
    if function is not ops.image.map_coordinates:
        x = lamina.Input(PICTURE.shape[1:])
        given = {"x": x, before: value} if "x" in others else {**others, before: x}
        assert torch.equal(lamina.Model(x, function(**given))(torch.tensor(PICTURE)), wanted)
    with pytest.raises(TypeError, match=before):
        function(**others, **{before: value, now: value})
