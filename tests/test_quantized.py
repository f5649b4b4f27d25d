"""Quantized layers: files of Keras 3.15 predict as they did, go back to it, and train as there."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from support import quantized

import lamina
from lamina import layers, quantizers
from lamina.files.check import check

pytestmark = pytest.mark.filterwarnings("ignore:.*quantize leaves layers")
WAYS = tuple(quantized.WAYS)


def _recorded(way: str) -> dict[str, np.ndarray]:
    return dict(np.load(quantized.FOLDER / f"quantized_{way}.npz"))


@pytest.mark.parametrize("way", WAYS)
def test_a_file_predicts_as_it_did(way: str, tmp_path: Path) -> None:
    path = quantized.FOLDER / f"quantized_{way}.keras"
    model, expected = lamina.load_model(path), _recorded(way)["outputs"]
    np.testing.assert_allclose(quantized.answers(model, way), expected, atol=1e-6)
    model.save(tmp_path / "again.keras")
    again = lamina.load_model(tmp_path / "again.keras")
    np.testing.assert_array_equal(quantized.answers(again, way), quantized.answers(model, way))
    assert [config["dtype"] for config in _configs(again)] == [config["dtype"] for config in _configs(model)]
    found = check(path)
    assert found.readable and {mode.partition("/")[0] for mode in found.quantized} == {way.partition("_")[0]}


def _configs(model: lamina.Model) -> list[dict]:
    return [layer.get_config() for layer in model.layers]


@pytest.mark.parametrize("way", WAYS)
def test_quantizing_gives_the_same_weights_and_training(way: str, tmp_path: Path) -> None:
    model, recorded = quantized.model(lamina, way), _recorded(way)
    model.quantize(**quantized.arguments(lamina, way))
    theirs = lamina.load_model(quantized.FOLDER / f"quantized_{way}.keras")
    for own, their in zip(model.weights, theirs.weights, strict=True):
        assert own.dtype is their.dtype and own.trainable == their.trainable
        np.testing.assert_allclose(own.numpy(), their.numpy(), rtol=1e-6)
    np.testing.assert_allclose(quantized.answers(model, way), recorded["outputs"], atol=1e-6)
    model.save_weights(tmp_path / "m.weights.h5")
    theirs.load_weights(tmp_path / "m.weights.h5")
    if len(recorded["losses"]):
        np.testing.assert_allclose(quantized.training(lamina, way), recorded["losses"], rtol=1e-5)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # of Dynamo's own
@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_what_can_be_done_with_a_quantized_model(mode: str) -> None:
    model = lamina.Sequential([lamina.Input((10,)), layers.Dense(7, activation="relu"), layers.Dense(3)])
    model.quantize(mode)
    x = torch.randn(4, 10)
    expected = model(x)
    clone = lamina.models.clone_model(model)
    clone.set_weights(model.get_weights())
    ways = {
        "copied": copy.deepcopy(model),
        "pickled": pickle.loads(pickle.dumps(model)),
        "cloned": clone,
        "in torch": lamina.port.to_torch(model),
        "compiled": torch.compile(model, fullgraph=True, backend="eager"),
    }
    for name, way in ways.items():
        torch.testing.assert_close(way(x), expected, msg=lambda text, name=name: f"{name}: {text}")


def test_a_low_rank_beside_integers_is_saved_merged(tmp_path: Path) -> None:
    model = quantized.model(lamina, "int8")
    model.quantize("int8")
    layer = next(layer for layer in model.layers if isinstance(layer, layers.EinsumDense))
    layer.enable_lora(2)
    plain = quantized.answers(model, "int8")
    layer.lora_kernel_a.assign(np.linspace(-0.5, 0.5, layer.lora_kernel_a.numel()).reshape(layer.lora_kernel_a.shape))
    layer.lora_kernel_b.assign(np.full(layer.lora_kernel_b.shape, 2.0))
    changed = quantized.answers(model, "int8")
    assert np.abs(changed - plain).max() > 0.1
    model.save(tmp_path / "m.keras")
    again = quantized.answers(lamina.load_model(tmp_path / "m.keras"), "int8")
    np.testing.assert_allclose(again, changed, atol=0.02)


def test_attention_is_quantized_inside() -> None:
    inputs = lamina.Input((6, 8))
    model = lamina.Model(inputs, layers.MultiHeadAttention(2, 4)(inputs, inputs))
    x = torch.randn(3, 6, 8)
    before = model(x)
    model.quantize("int8", filters="query|key")
    assert model.layers[1]._query_dense.kernel_scale.shape == (1, 1, 2, 4)  # as Keras stores it
    assert model.layers[1]._value_dense.quantization_mode is None
    torch.testing.assert_close(model(x), before, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("range_", [(-127, 127), (-8, 8), (-7, 7)])
def test_four_bits_take_one_range(range_: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="value_range"):
        quantizers.Int4QuantizationConfig(quantizers.AbsMaxQuantizer(0, range_), block_size=None)
    fitting = quantizers.Int4QuantizationConfig(quantizers.AbsMaxQuantizer(0, (-8, 7)), "default", None)
    assert fitting.activation_quantizer is None
    assert type(quantizers.get("abs_max_quantizer")) is quantizers.AbsMaxQuantizer


def test_a_quantized_layer_has_what_rounds_its_inputs() -> None:
    own = quantizers.AbsMaxQuantizer(-1, (-100, 100))
    configs = {
        "by default": (quantizers.Int8QuantizationConfig(), quantizers.AbsMaxQuantizer),
        "own": (quantizers.Int8QuantizationConfig(activation_quantizer=own), quantizers.AbsMaxQuantizer),
        "floats": (quantizers.Int4QuantizationConfig(activation_quantizer=None, block_size=-1), type(None)),
    }
    for case, (config, expected) in configs.items():
        layer = layers.Dense(2)
        layer.build((None, 3))
        layer.quantize(config=config)
        assert type(layer.inputs_quantizer) is expected, case
    layer = layers.Dense(2)
    layer.build((None, 3))
    layer.quantize("int4")
    assert layer.inputs_quantizer is None


def test_what_cannot_be_quantized_is_told() -> None:
    dense = layers.Dense(3)
    with pytest.raises(ValueError, match="has no weights yet"):
        dense.quantize("int8")
    dense.build((None, 4))
    with pytest.raises(ValueError, match="got 'gptq'"):
        dense.quantize("gptq")
    dense.dtype_policy = "int8_from_float32"
    assert dense.kernel.dtype is torch.int8
    with pytest.raises(ValueError, match="quantized already"):
        dense.quantize("int8")
    with pytest.raises(ValueError, match="is quantized"):
        dense.dtype_policy = "float32"
    with pytest.raises(ValueError, match="Conv2D cannot be quantized"):
        layers.Conv2D(3, 3, dtype="int8_from_float32")
    with pytest.raises(ValueError, match=r"Dense.*Other modes"):
        layers.Dense(3, dtype="gptq/4/128_from_float32")
    other = layers.Dense(3)
    other.build((None, 4))
    with pytest.raises(ValueError, match="Set its `axis`"):
        other.quantize(config=quantizers.Int8QuantizationConfig(quantizers.AbsMaxQuantizer(axis=1)))
    model = lamina.Sequential([lamina.Input((8, 8, 1)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2)])
    with pytest.warns(UserWarning, match="leaves layers of Conv2D"):
        model.quantize("int8")


@pytest.mark.parametrize("length", [4, 5])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_four_bits_are_packed_and_unpacked(axis: int, length: int) -> None:
    values = torch.randint(-8, 8, (length, length), dtype=torch.int8)
    packed, shape, count = quantizers.pack_int4(values, axis)
    assert packed.shape == shape and shape[axis] == (length + 1) // 2 and count == length
    assert torch.equal(quantizers.unpack_int4(packed, count, axis), values)


@pytest.mark.parametrize("mode", ["int8", "float8"])
def test_a_model_without_weights_cannot_be_quantized(mode: str) -> None:
    class Own(lamina.Model):
        def __init__(self) -> None:
            super().__init__()
            self.unit = layers.Dense(2)

        def call(self, x: torch.Tensor) -> torch.Tensor:
            return self.unit(x)

    model = Own()
    with pytest.raises(ValueError, match="has no weights yet: build it first"):
        model.quantize(mode)
    model(np.ones((1, 3)))
    model.quantize(mode)
    assert model.unit.quantization_mode == mode


@pytest.mark.parametrize(
    "config",
    [{"class_name": "Dense"}, {"class_name": "Int8QuantizationConfig", "config": {"unit": 1}}, {"class_name": 3}],
)
def test_a_config_of_something_else_is_refused_by_name(config: dict) -> None:
    with pytest.raises(ValueError, match=r"^Dense: argument `quantization_config` must be a QuantizationConfig"):
        lamina.layers.Dense(3, quantization_config=config)
