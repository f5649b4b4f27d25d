"""What Keras 3 does beside its layers' arithmetic, as scripts and its own tests rely on it."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lamina as keras

L = keras.layers


def test_seed_generators_tell_their_state() -> None:
    stream = keras.random.SeedGenerator(3)
    assert stream.state.tolist() == [3, 0]
    keras.random.normal((2,), seed=stream)
    assert [stream.state.tolist(), stream.next().tolist(), stream.state.tolist()] == [[3, 1], [3, 1], [3, 2]]
    assert copy.deepcopy(stream).state.tolist() == pickle.loads(pickle.dumps(stream)).state.tolist() == [3, 2]


def test_leaky_relu_takes_alpha() -> None:
    layer = L.LeakyReLU(0.1, alpha=0.25)
    assert layer(torch.tensor([-4.0])).item() == -1 and "alpha" not in layer.get_config()
    assert layer.get_config()["negative_slope"] == 0.25
    assert L.LeakyReLU.from_config(layer.get_config()).negative_slope == 0.25


def test_masks_of_numpy() -> None:
    mask = np.array([[True, False, False]]), np.array([[True, True, False]])
    assert L.Add().compute_mask([None, None], mask).tolist() == [[True, True, False]]
    x = np.ones((1, 3, 2), "float32")
    joined = L.Concatenate(axis=1).compute_mask([x, x], mask)
    assert joined.tolist() == [[True, False, False, True, True, False]]


def test_clear_session_frees_memory_where_asked() -> None:
    class Held:
        pass

    def held_by_a_circle() -> weakref.ref:
        one = Held()
        one.itself = one  # type: ignore[attr-defined]
        return weakref.ref(one)

    gc.collect()
    gc.disable()
    try:
        found = held_by_a_circle()
        keras.utils.clear_session(free_memory=False)
        assert found() is not None
        keras.utils.clear_session()
        assert found() is None
    finally:
        gc.enable()
    assert L.Dense(2).name == "dense"


def test_traceback_filtering_is_remembered() -> None:
    config = keras.config
    assert config.is_traceback_filtering_enabled()
    config.disable_traceback_filtering()
    assert not config.is_traceback_filtering_enabled()
    config.enable_traceback_filtering()
    assert config.is_traceback_filtering_enabled()


def test_custom_objects_may_be_none() -> None:
    with keras.saving.custom_object_scope(None):
        layer = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(L.Dense(2)), safe_mode=False)
    assert layer.units == 2


def test_keras_tensors_are_made_in_keras_order() -> None:
    tensor = keras.KerasTensor((None, 3), "int32", True, False, True, "words")
    assert (tensor.shape, tensor.dtype, tensor.sparse, tensor.ragged, tensor.name) == (
        (None, 3), "int32", True, False, "words",
    )  # fmt: skip
    with pytest.raises(ValueError, match="`sparse` and `ragged`"):
        keras.KerasTensor((2,), sparse=True, ragged=True)


def test_variables_have_one_place() -> None:
    with pytest.raises(ValueError, match="`layout`"):
        keras.Variable([1.0], layout="rows")


def test_layers_know_the_metrics_they_hold() -> None:
    class Watching(L.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.mean, self.inner = keras.metrics.Mean(name="mean"), Listing()

    class Listing(L.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.several = [keras.metrics.Sum(name="sum"), keras.metrics.Mean(name="other")]

    layer = Watching()
    assert [metric.name for metric in layer.metrics] == ["mean", "sum", "other"]
    assert L.Dense(2).metrics == []
    model = keras.Sequential([keras.Input((2,)), L.Dense(1)])
    model.watching = layer
    model.compile("sgd", "mse", metrics=["mae"])
    assert [metric.name for metric in model.metrics] == ["loss", "compile_metrics", "mean", "sum", "other"]


MASK = torch.tensor([[True, False]])
LEFT, RIGHT = torch.tensor([[[2.0], [9.0]]]), torch.tensor([[[3.0], [5.0]]])


@pytest.mark.parametrize(
    ("layer", "one", "both"), [(L.Multiply, [6, 5], [6, 0]), (L.Maximum, [3, 5], [3, 9]), (L.Minimum, [2, 5], [2, 9])]
)
def test_what_a_mask_leaves_out_has_no_part_in_a_merge(layer: type, one: list[float], both: list[float]) -> None:
    """As Keras 3.15 computes it: the first input is masked, then both are."""
    assert layer()([LEFT, RIGHT], mask=[MASK, None]).flatten().tolist() == one
    assert layer()([RIGHT, LEFT], mask=[None, MASK]).flatten().tolist() == one
    assert layer()([LEFT, RIGHT], mask=[MASK, MASK]).flatten().tolist() == both
    assert layer()([LEFT, RIGHT]).flatten().tolist() == layer.combine(LEFT, RIGHT).flatten().tolist()


def test_a_masked_and_an_unmasked_input_meet_before_an_lstm() -> None:
    inputs = keras.Input((2, 1)), keras.Input((2, 1))
    merged = L.Multiply()([L.Masking()(inputs[0]), inputs[1]])
    rnn = L.SimpleRNN(1, activation="linear", kernel_initializer="ones", recurrent_initializer="zeros")
    model = keras.Model(inputs, rnn(merged))
    assert model([torch.tensor([[[2.0], [0.0]]]), RIGHT]).item() == 5


@pytest.mark.parametrize(
    ("layer", "shape", "alpha"),
    [(L.Conv1D(2, 2, lora_rank=2, lora_alpha=4), (1, 4, 3), 4), (L.Dense(2, lora_rank=2, lora_alpha=4), (1, 3), 2)],
)
def test_convolutions_keep_lora_alpha(layer: L.Layer, shape: tuple, alpha: int) -> None:
    """Keras 3.15 hands it on for convolutions alone; a dense layer gets its rank."""
    layer.build(shape)
    assert layer.lora_alpha == layer.get_config()["lora_alpha"] == alpha


def test_schedule_free_adamw_goes_where_keras_goes() -> None:
    """The values are those of Keras 3.15 on torch and on TensorFlow."""
    weight = keras.Variable([1.0, -2.0, 3.0])
    optimizer = keras.optimizers.ScheduleFreeAdamW(learning_rate=0.1, weight_decay=0.1)
    optimizer.build([weight])
    for step in range(6):
        optimizer.apply([torch.tensor([0.3 * (step + 1), -0.1, 0.5 - 0.2 * step])], [weight])
    torch.testing.assert_close(
        weight.detach(), torch.tensor([0.535410, -1.606437, 2.823874]), check_dtype=False, rtol=0, atol=5e-6
    )


def test_layers_without_weights_are_built_from_the_start() -> None:
    for layer in (L.ReLU(), L.Dropout(0.1), L.MaxPooling2D(2), L.Reshape((2,)), L.Masking(), L.UnitNormalization()):
        assert layer.built and layer.count_params() == 0 and layer.get_build_config() is None
    for layer in (L.Dense(2), L.Flatten(), L.Add(), L.UpSampling2D(2), L.PReLU(), L.Layer()):
        assert not layer.built

    class WithWeights(L.ReLU):
        def build(self, input_shape: Any) -> None:
            self.factor = self.add_weight((), "ones")

    assert not WithWeights().built and WithWeights()(torch.ones(1, 2)).shape == (1, 2)
    pooled = L.TimeDistributed(L.MaxPooling1D(2))
    assert pooled(torch.zeros(2, 3, 4, 1)).shape == (2, 3, 2, 1)


class Louder(L.Layer):
    """Takes an argument that layers around it hand down."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._register_call_context_args("loud")

    def call(self, x: torch.Tensor, loud: bool = False) -> torch.Tensor:
        return x + 1 if loud else x


class Around(L.Layer):
    def __init__(self, inner: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


@pytest.mark.parametrize("form", ["layer", "sequential", "functional"])
def test_arguments_of_a_call_reach_the_calls_inside(form: str) -> None:
    outer: Any = Around(Around(Louder()))
    if form != "layer":
        inputs = L.Input((2,))
        outer = keras.Sequential([L.Identity(), outer]) if form == "sequential" else keras.Model(inputs, outer(inputs))
    outer._register_call_context_args("loud")
    for x in (torch.zeros(1, 2), np.zeros((1, 2), "float32")):
        assert outer(x, loud=True).sum() == 2
        assert outer(x).sum() == outer(x, loud=False).sum() == 0
    assert Around(Louder())(torch.zeros(1, 2)).sum() == 0
    with pytest.raises(TypeError, match="loud"):
        Around(Louder())(torch.zeros(1, 2), loud=True)  # it never said that it hands it down


def test_a_policy_can_be_set_later() -> None:
    layer = L.Dense(2)
    layer.build((None, 3))
    layer.dtype_policy = "mixed_bfloat16"
    assert layer(torch.ones(1, 3)).dtype is torch.bfloat16 and layer.kernel.dtype is torch.float32
    model = keras.Sequential([keras.Input((3,)), layer])
    layer.dtype_policy = keras.DTypePolicy("float32")
    assert model(torch.ones(1, 3)).dtype is torch.float32
    with pytest.raises(ValueError, match="dtype"):
        layer.dtype_policy = "float99"


def test_arguments_set_later_are_taken_as_by_the_constructor() -> None:
    layer = L.Dense(2, activation="relu")
    layer.build((None, 3))
    layer.activation = None
    assert (layer(torch.full((1, 3), -1.0)) == -layer.kernel.sum(0)).all()
    layer.activation = "relu"
    assert layer.get_config()["activation"] == "relu"
    with pytest.raises(ValueError, match="activation"):
        layer.activation = "rellu"
    assert layer.get_config()["activation"] == "relu"


def test_what_build_takes_is_named_after_what_call_takes() -> None:
    class Strange(L.Layer):
        def build(self, foo_shape: Any, bar: Any) -> None: ...

        def call(self, foo: Any, bar: Any) -> Any:
            return foo + bar

    class Foreign(Strange):
        def build(self, foo_shape: Any, baz_shape: Any) -> None: ...  # type: ignore[override]

    ones = torch.ones(4, 1)
    with pytest.raises(ValueError, match="`bar`, which does not end in `_shape`"):
        Strange()(ones, ones)
    with pytest.raises(ValueError, match=r"`baz_shape`, but `call\(\)` does not have argument `baz`"):
        Foreign()(ones, ones)


def test_group_normalization_of_values_beyond_half_precision() -> None:
    large = torch.full((2, 4, 8), 70000.0)
    outputs = L.GroupNormalization(groups=2, dtype="mixed_float16")(large)
    assert outputs.dtype is torch.float16 and outputs.isfinite().all()


def test_complex_numbers_pass_a_layer_of_the_users_own() -> None:
    class Twice(L.Layer):
        def call(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2

    assert Twice()(torch.ones(2, dtype=torch.complex64)).dtype is torch.complex64
    assert Twice()(keras.KerasTensor((2,), dtype="complex64")).dtype == "complex64"
    with pytest.raises(ValueError, match="imaginary"):
        L.Dense(2)(torch.ones(2, 3, dtype=torch.complex64))


@pytest.mark.parametrize("layer", [L.Add(), L.Concatenate(axis=1)], ids=["Add", "Concatenate"])
def test_masks_of_merges_are_one_for_each_input(layer: Any) -> None:
    x, valid = np.ones((2, 3)), np.array([[True, False, True], [False, True, True]])
    assert isinstance(layer.compute_mask([x, x], [valid, valid]), torch.Tensor)
    for inputs, masks, said in (
        ([x, x], valid, "`mask` should be a list"),
        (x, [None, None], "`inputs` should be a list"),
        ([x, x], [None, None, None], "should have the same length"),
    ):
        with pytest.raises(ValueError, match=said):
            layer.compute_mask(inputs, masks)


class Tripled(L.Layer):
    def call(self, x: torch.Tensor) -> torch.Tensor:
        return x * 3


def test_files_find_loaded_classes_of_the_users_own(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), Tripled()])
    model.save(tmp_path / "model.keras")
    assert type(keras.models.load_model(tmp_path / "model.keras").layers[0]) is Tripled
    described = keras.saving.serialize_keras_object(Tripled())
    with pytest.raises(TypeError, match="Unknown class"):  # not loaded, and never imported
        keras.saving.deserialize_keras_object({**described, "module": "this"})
    assert "this" not in sys.modules
    for module, name in (("torch.nn", "Linear"), ("subprocess", "Popen"), (__name__, "test_a_policy_can_be_set_later")):
        with pytest.raises(TypeError, match="Unknown class"):  # derived from nothing of Lamina's
            keras.saving.deserialize_keras_object(
                {**described, "module": module, "class_name": name, "registered_name": name}
            )


def test_weights_made_in_a_symbolic_call_lie_under_the_layers_around() -> None:
    for inputs in (L.Input((4,)), torch.ones(1, 4)):
        outer = Around(Around(L.Dense(2, name="dense"), name="inner"), name="outer")
        outer(inputs)
        assert [weight.path for weight in outer.weights] == ["outer/inner/dense/kernel", "outer/inner/dense/bias"]


class Holding(L.Layer):
    """Its `get_config` gives objects as they are; Keras writes them."""

    def __init__(self, inner: Any, pair: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner, self.pair = keras.saving.deserialize_keras_object(inner), pair

    def call(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "inner": self.inner, "pair": self.pair}


def test_objects_in_a_config_of_the_users_own_are_written(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), Holding(L.Dense(2, kernel_initializer="ones"), (1, b"2"))])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded(torch.ones(1, 3)).tolist() == [[3, 3]]
    assert loaded.layers[0].inner is not model.layers[0].inner


def test_state_trees_say_all_and_give_it_back() -> None:
    inputs = keras.Input((3,))
    model = keras.Model(inputs, L.BatchNormalization(name="norm")(L.Dense(2, name="out")(inputs)))
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    tree = model.get_state_tree("numpy_array")
    assert tree["trainable_variables"]["out"].keys() == {"kernel", "bias"}
    assert tree["non_trainable_variables"]["norm"].keys() == {"moving_mean", "moving_variance"}
    assert tree["metrics_variables"].keys() == {"loss", "mean_absolute_error"}
    assert tree["optimizer_variables"][model.optimizer.name]["iteration"] == 1
    model.fit(np.zeros((4, 3)), np.ones((4, 2)), verbose=0)
    model.set_state_tree(tree)
    assert str(model.get_state_tree("numpy_array")) == str(tree)
    kernel = model.layers[1].kernel.numpy().copy()
    zeros = {"kernel": np.zeros((3, 2)), "bias": np.zeros(3)}  # the second does not fit: nothing is assigned
    for wrong in ({"trainable_variables": {"out": zeros}}, {"weights": {}}, {"trainable_variables": {"in": 1}}):
        with pytest.raises(ValueError, match="set_state_tree"):
            model.set_state_tree(wrong)
    assert (model.layers[1].kernel.numpy() == kernel).all()
    with pytest.raises(ValueError, match="value_format"):
        model.get_state_tree("list")

    class Twice(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.both = [L.Dense(2, name="a"), L.Dense(2, name="a")]

        def call(self, x: torch.Tensor) -> torch.Tensor:
            return self.both[1](self.both[0](x))

    twice = Twice()
    twice(torch.ones(1, 2))
    with pytest.raises(ValueError, match="found twice"):
        twice.get_state_tree()


@pytest.mark.parametrize(
    "given", [[np.ones((3, 2)), np.zeros((3, 2))], {"a": np.ones((3, 2)), "b": np.zeros((3, 2))}], ids=["list", "dict"]
)
def test_sequential_begins_with_several_inputs(given: Any, tmp_path: Path) -> None:
    first = L.Add() if isinstance(given, list) else L.Lambda(named_sum)
    model = keras.Sequential([first, L.Dense(2)])
    expected = model(given)
    assert expected.shape == (3, 2) and model.predict(given, verbose=0).shape == (3, 2)
    model.summary()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", custom_objects={"named_sum": named_sum})
    torch.testing.assert_close(loaded(given), expected)
    assert keras.Sequential([L.Dense(4), L.Dense(8)]).compute_output_shape((1, 2)) == (1, 8)


def named_sum(inputs: Any) -> Any:
    return inputs["a"] + inputs["b"]


def test_masks_of_softmax_are_no_larger_than_its_input() -> None:
    x = torch.ones(1, 3)
    assert L.Softmax()(x, mask=torch.tensor([True, False, True])).tolist() == [[0.5, 0, 0.5]]
    for mask in (torch.ones(2, 3), torch.ones(1, 1, 3), torch.ones(1, 2)):
        with pytest.raises(ValueError, match="broadcastable"):
            L.Softmax()(x, mask=mask)


def test_a_mask_of_a_lambda_comes_back_from_its_config() -> None:
    layer = L.Lambda(keras.ops.square, mask=torch.ones(2, 3, dtype=torch.bool))
    again = L.Lambda.from_config(layer.get_config(), custom_objects={"square": keras.ops.square})
    assert again.compute_mask(torch.ones(2, 3)).tolist() == layer.mask.tolist()
