"""Policies by path, name scopes, limits of training, and the small modules of settings."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

import lamina as keras
from lamina import backend, config, dtype_policies, legacy, mixed_precision
from lamina.dtype_policies import DTypePolicy, DTypePolicyMap, QuantizedDTypePolicy, QuantizedFloat8DTypePolicy

# Policies ------------------------------------------------------------------------------------------------------------


def test_policies_are_written_and_read_as_kerass() -> None:
    written = dtype_policies.serialize(dtype_policies.get("mixed_float16"))
    assert written == {
        "module": "keras", "class_name": "DTypePolicy", "config": {"name": "mixed_float16"}, "registered_name": None,
    }  # fmt: skip
    assert dtype_policies.deserialize(written) == DTypePolicy("mixed_float16")
    other = {"class_name": "FloatDTypePolicy", "config": {"name": "float16"}}
    assert dtype_policies.deserialize(other) == DTypePolicy("float16")
    with pytest.raises(TypeError, match="Unknown class"):
        dtype_policies.deserialize({"class_name": "Nonsense", "config": {}})


def test_a_map_answers_by_path() -> None:
    map_ = DTypePolicyMap("mixed_float16", {"a": "bfloat16", "b/.*": DTypePolicy("float64")})
    found = [map_[path].name for path in ("a", "a/b", "model/a", "b/c/d", "b")]
    assert found == ["bfloat16", "mixed_float16", "mixed_float16", "float64", "mixed_float16"]
    assert (map_.name, map_.compute_dtype, map_.variable_dtype) == ("map_mixed_float16", "float16", "float32")
    assert list(map_) == ["a", "b/.*"] and len(map_) == 2 and map_.pop("a").name == "bfloat16"
    with pytest.raises(ValueError, match="multiple keys"):
        DTypePolicyMap(None, {"a.*": "float16", "a/.*": "float32"})["a/b"]
    with pytest.raises(ValueError, match="already"):
        map_["b/.*"] = "float16"
    with pytest.raises(TypeError, match="policy_map"):
        DTypePolicyMap(None, [3])  # type: ignore[arg-type]
    for wrong in ({"a": "nonsense"}, {3: "float32"}):
        with pytest.raises(ValueError):
            DTypePolicyMap(None, wrong)  # type: ignore[arg-type]


def test_a_map_without_a_default_takes_the_global_policy() -> None:
    map_ = DTypePolicyMap()
    try:
        mixed_precision.set_global_policy("bfloat16")
        assert map_["a"] == mixed_precision.global_policy() == DTypePolicy("bfloat16")
    finally:
        mixed_precision.set_global_policy("float32")
    assert map_.compute_dtype == "float32"


@pytest.mark.parametrize("policy", ["bfloat16", "mixed_bfloat16", "mixed_float16"])
def test_policies_without_a_name_take_the_global_one(policy: str) -> None:
    unnamed = {"class_name": "DTypePolicy", "config": {"name": None}}
    mixed_precision.set_global_policy(policy)
    try:
        for made in (
            DTypePolicy(),
            DTypePolicy(None),
            dtype_policies.get(unnamed),
            dtype_policies.deserialize(unnamed),
        ):
            assert made == DTypePolicy(policy)
        assert QuantizedFloat8DTypePolicy("float8").name == f"float8_from_{policy}"
        with pytest.raises(ValueError, match="None"):
            mixed_precision.set_global_policy(None)
    finally:
        mixed_precision.set_global_policy("float32")


def test_policies_are_equal_by_all_they_say() -> None:
    assert QuantizedFloat8DTypePolicy("float8") == QuantizedFloat8DTypePolicy("float8", "float32", 1024)
    assert QuantizedFloat8DTypePolicy("float8") != QuantizedFloat8DTypePolicy("float8", amax_history_length=16)
    assert QuantizedDTypePolicy("float8") != QuantizedFloat8DTypePolicy("float8")


@pytest.mark.parametrize("source", ["float16", "mixed_float16"])
def test_int8_beside_float16_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match="float16"):
        QuantizedDTypePolicy("int8", source)


@pytest.mark.parametrize(
    "make", [lambda: keras.layers.ReLU(), lambda: keras.Sequential(), lambda: keras.layers.Dense(1)]
)
def test_every_layer_tells_whether_it_is_quantized(make: Any) -> None:
    assert make().quantization_mode is None


def test_a_map_in_a_config() -> None:
    map_ = DTypePolicyMap("float32", {"out/inner": "bfloat16"})
    written = dtype_policies.serialize(map_)
    assert written["module"] == "keras.dtype_policies" and written["config"]["default_policy"] == "float32"
    for read in (dtype_policies.get, dtype_policies.deserialize):
        assert read(json.loads(json.dumps(written))) == map_
    written["config"]["policy_map"] = {"(a+)+b": {"config": {"name": "float32"}}}
    with pytest.raises(ValueError, match=r"up to three"):
        dtype_policies.get(written)


class Outer(keras.Layer):
    def __init__(self, **options: Any):
        super().__init__(**options)
        self.inner = keras.layers.Dense(2, dtype=self.dtype_policy, name="inner")

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.inner(inputs)


def test_layers_take_the_policy_of_their_path() -> None:
    map_ = DTypePolicyMap("float32", {"out/inner": "bfloat16"})
    layer = Outer(name="out", dtype=map_)
    assert layer(torch.ones(1, 2)).dtype is torch.bfloat16
    assert (layer.compute_dtype, layer.inner.compute_dtype) == ("float32", "bfloat16")
    assert layer.inner.kernel.dtype is torch.bfloat16
    written = layer.inner.get_config()
    assert written["dtype"] == dtype_policies.serialize(map_)
    again = keras.layers.Dense.from_config(written)
    assert again.dtype_policy == map_
    flat = keras.layers.Flatten(name="flat", dtype=DTypePolicyMap(None, {"flat": "float16"}))
    assert flat(torch.ones(1, 2)).dtype is torch.float16


# Names ---------------------------------------------------------------------------------------------------------------


COMPUTED: list[Any] = [
    lambda layer, x: keras.ops.einsum("bi,ij->bj", x, layer.w),
    lambda layer, x: keras.ops.cast(x, layer.w.dtype) @ layer.w,
    lambda layer, x: keras.ops.zeros((2, 2), dtype=layer.w.dtype) + layer.w[:2],
    lambda layer, x: keras.ops.matmul(x, layer.w) + layer.v,
]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16", "float64"])
@pytest.mark.parametrize("function", COMPUTED)
def test_a_layer_of_ones_own_tells_the_type_it_computes_in(function: Any, policy: str) -> None:
    class Own(keras.Layer):
        def build(self, input_shape: Any) -> None:
            self.w = self.add_weight(shape=(input_shape[-1], 2), name="w")
            self.v = self.add_weight(shape=(2,), name="v", autocast=False)

        def call(self, x: Any) -> Any:
            return function(self, x)

    inputs = keras.Input((3,), batch_size=2)
    told = Own(dtype=policy)(inputs)
    layer = Own(dtype=policy)
    assert keras.backend.standardize_dtype(layer(torch.ones(2, 3)).dtype) == told.dtype
    model = keras.Model(inputs, keras.layers.Dense(1, dtype="float32")(told))
    assert model(torch.ones(2, 3)).dtype is torch.float32


def test_name_scopes() -> None:
    with keras.name_scope("outer") as outer:
        variable = keras.Variable([1.0], name="w")
        dense = keras.layers.Dense(2, name="dense")
        dense.build((1, 2))
        with keras.name_scope("inner", caller=dense), keras.name_scope("inner", caller=dense):
            inside = keras.Variable([1.0], name="w")
        with keras.name_scope("inner", caller=dense), keras.name_scope("inner", caller=dense, deduplicate=False):
            twice = keras.Variable([1.0], name="w")
        with keras.name_scope("b", override_parent="a"):
            elsewhere = keras.Variable([1.0], name="w")
    assert outer.name == "outer" and keras.Variable([1.0], name="w").path == "w"
    assert dense.kernel is not None and (variable.path, dense.kernel.path) == ("outer/w", "outer/dense/kernel")
    assert [each.path for each in (inside, twice, elsewhere)] == ["outer/inner/w", "outer/inner/inner/w", "a/b/w"]
    for wrong in (3, "a/b"):
        with pytest.raises(ValueError, match="name_scope"):
            keras.name_scope(wrong)  # type: ignore[arg-type]


def test_counts_of_names() -> None:
    keras.utils.clear_session()
    assert [backend.get_uid("dense"), backend.get_uid("dense"), backend.get_uid()] == [1, 2, 1]
    assert keras.layers.Dense(1).name == "dense_2"


# Number types --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("types", "together"),
    [
        ((), "float32"), ((None,), "float32"), (("int32", "float16"), "float16"), (("int8", "uint8"), "int16"),
        (("float16", "bfloat16"), "float32"), (("bool",), "bool"), ((int,), "int32"), ((float, "int8"), "float32"),
        ((int, "uint8"), "uint8"), ((int, "bool"), "int32"), ((float, "float16"), "float16"), (("int64",), "int64"),
        (("uint16", "int8"), "int32"), (("uint32", "bfloat16"), "bfloat16"), (("uint64", "int8"), "float32"),
        ((torch.float16, np.float32), "float32"), (("complex64", float), "complex64"),
    ],
)  # fmt: skip
def test_result_type(types: tuple, together: str) -> None:
    assert backend.result_type(*types) == together


def test_kinds_of_types() -> None:
    assert backend.is_float_dtype("bfloat16") and not backend.is_float_dtype(np.int8)
    assert backend.is_int_dtype(torch.uint8) and not backend.is_int_dtype("bool")
    for ask in (backend.is_float_dtype, backend.is_int_dtype, backend.result_type):
        with pytest.raises(ValueError, match="nonsense"):
            ask("nonsense")


# Settings ------------------------------------------------------------------------------------------------------------


def test_limits_of_training(capsys: pytest.CaptureFixture[str]) -> None:
    x, y = np.zeros((100, 2), "float32"), np.zeros((100, 1), "float32")
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    try:
        config.set_max_epochs(2)
        config.set_max_steps_per_epoch(3)
        assert (config.max_epochs(), config.max_steps_per_epoch()) == (2, 3)
        assert model.fit(x, y, epochs=5, batch_size=10, verbose=2).epoch == [0, 1]
        assert "Epoch 2/2" in capsys.readouterr().out
        assert model.optimizer.iterations == 6
        assert model.predict(x, batch_size=10, verbose=0).shape == (30, 1)
        assert model.predict(x, batch_size=50, verbose=0).shape == (100, 1)
        model.evaluate(x, y, batch_size=10, verbose=2)
        assert "3/3" in capsys.readouterr().out
    finally:
        config.set_max_epochs(None)
        config.set_max_steps_per_epoch(None)
    for wrong in (0, "a", 1.5, True):
        with pytest.raises(ValueError, match="set_max_epochs"):
            config.set_max_epochs(wrong)  # type: ignore[arg-type]


def test_logs_without_bars(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    config.disable_interactive_logging()
    try:
        assert not keras.utils.is_interactive_logging_enabled()
        for verbose in ("auto", 1):
            model.fit(np.zeros((8, 2), "float32"), np.zeros((8, 1), "float32"), verbose=verbose)
            assert capsys.readouterr().out.count("\n") == 1
    finally:
        config.enable_interactive_logging()
    assert config.is_interactive_logging_enabled()


def test_flash_attention_is_torchs_switch() -> None:
    assert config.is_flash_attention_enabled() is None
    config.disable_flash_attention()
    try:
        assert config.is_flash_attention_enabled() is False and not torch.backends.cuda.flash_sdp_enabled()
    finally:
        config.enable_flash_attention()
    assert config.is_flash_attention_enabled() is None


def test_there_is_one_backend_and_no_code_in_files() -> None:
    config.set_backend("torch")
    with pytest.raises(ValueError, match="torch"):
        config.set_backend("jax")
    assert backend.backend() == "torch" and not config.is_nnx_enabled()
    with pytest.warns(UserWarning, match="never runs code"):
        config.enable_unsafe_deserialization()


# The second generation's words ---------------------------------------------------------------------------------------


def test_objects_as_keras_2_writes_them() -> None:
    write, read = legacy.saving.serialize_keras_object, keras.utils.legacy.deserialize_keras_object
    known = vars(keras.regularizers) | vars(keras.activations)
    assert write(None) is None and read(None) is None
    assert write(keras.activations.relu) == "relu" and read("relu", known) is keras.activations.relu
    assert write(keras.regularizers.L2(0.5)) == {"class_name": "L2", "config": {"l2": 0.5}}
    assert read({"class_name": "L2", "config": {"l2": 0.5}}, known).l2 == 0.5
    assert isinstance(read("L2", known), keras.regularizers.L2)
    assert read("own", custom_objects={"own": test_name_scopes}) is test_name_scopes
    with pytest.raises(ValueError, match="Unknown thing: 'nonsense'"):
        read("nonsense", known, printable_module_name="thing")
    for wrong in ({"class": "L2"}, 3):
        with pytest.raises(ValueError):
            read(wrong, known)
    with pytest.raises(ValueError, match="get_config"):
        write(3)


def test_optimizers_of_the_second_generation_are_refused_with_what_to_write() -> None:
    from lamina.optimizers import legacy as old

    for name in old.__all__:
        with pytest.raises(ImportError, match=f"tf_keras.optimizers.{name}"):
            getattr(old, name)(1)
