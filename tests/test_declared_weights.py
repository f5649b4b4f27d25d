"""Declared weights: what a class says of them, and that calls find them wherever torch keeps them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support.examples import EXAMPLES, Example
from torch import nn
from torch.nn.utils import parametrize, prune

import lamina as keras
from lamina.core.declare import arg, boolean, integer
from lamina.core.layer import Layer
from lamina.core.weight import Weight, weight
from lamina.initializers import Constant, initializer
from lamina.layers import old

L = keras.layers


class Scale(Layer):
    """Weights whose shapes come from arguments alone."""

    units: int = arg(integer(1))
    use_shift: bool = arg(boolean, default=True)
    factor_initializer: Any = arg(initializer, default="ones")

    scale = weight("units", role="factor")
    shift = weight("units", when="use_shift", initializer="zeros", regularizer="l2")
    seen = weight(when=lambda layer: layer.units > 1, initializer="zeros", dtype="int32", trainable=False)

    def call(self, inputs):
        return inputs * self.scale if self.shift is None else inputs * self.scale + self.shift


class Sized(Scale):
    """Another weight, and a declaration anew, which keeps its place."""

    table = weight("features", "*sizes", "pairs", order=(2, 0, 1, 3))
    scale = weight("features", role="factor")
    sizes, pairs = (3, 4), 2

    def build(self, input_shape):
        self.make_weights(features=input_shape[-1])
        super().build(input_shape)


def own(layer: Layer) -> dict[str, Any]:
    return {**layer._parameters, **layer._buffers}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.id)
def test_all_weights_are_declared_and_stand_under_their_names(example: Example) -> None:
    layer = example.built()
    for each in (inner for inner in layer._flat_layers() if inner._ours):
        declared = type(each)._weights
        made = {name: item for name, item in own(each).items() if isinstance(item, Weight)}
        assert {name for name in made if not name.startswith("lora_")} <= declared.keys()
        assert declared.keys() <= own(each).keys()
        assert all(getattr(each, name) is own(each)[name] for name in declared)


def test_what_a_class_declares_is_made() -> None:
    layer = Scale(3, factor_initializer=Constant(2.0))
    assert list(Scale._weights) == ["scale", "shift", "seen"]
    layer.build((None, 3))
    assert {name: tuple(item.shape) for name, item in own(layer).items()} == {"scale": (3,), "shift": (3,), "seen": ()}
    assert layer.scale.tolist() == [2.0] * 3
    assert [item.path for item in layer.weights] == [f"{layer.name}/{name}" for name in ("scale", "shift", "seen")]
    assert layer.shift.regularizer is not None and layer.scale.regularizer is None
    assert layer.seen.dtype is torch.int32 and not layer.seen.trainable
    assert layer(torch.ones(2, 3)).tolist() == [[2.0] * 3] * 2


def test_a_first_call_builds_what_has_no_build_of_its_own() -> None:
    layer = Scale(3)
    assert layer(torch.ones(2, 3)).shape == (2, 3)
    assert layer.get_build_config() == {"input_shape": (2, 3)}


def test_an_absent_weight_is_none() -> None:
    layer = Scale(1, use_shift=False)
    layer.build((None, 1))
    assert own(layer).keys() == {"scale", "shift", "seen"}
    assert layer.shift is None and layer.seen is None
    assert len(layer.weights) == len(layer.state_dict()) == 1
    copied = Scale.from_config(layer.get_config())
    copied.build((None, 1))
    copied.load_state_dict(layer.state_dict())
    assert copied.double().shift is None


def test_sizes_of_the_input() -> None:
    layer = Sized(5, use_shift=False)
    layer.build((None, 7))
    assert list(Sized._weights) == ["scale", "shift", "seen", "table"]
    assert [tuple(item.shape) for item in layer.weights] == [(7,), (7, 3, 4, 2), ()]
    assert layer.table.permute(2, 0, 1, 3).is_contiguous()


def test_a_second_build_makes_them_anew_in_their_places() -> None:
    layer = Sized(5)
    layer.build((None, 7))
    layer.build((None, 6))
    assert list(layer._parameters) == ["scale", "shift", "table"]
    assert layer.table.shape[0] == 6


def test_a_build_that_fails_leaves_none() -> None:
    def fail(shape: Any, dtype: Any = None) -> Any:
        raise RuntimeError("no values")

    layer = Scale(3)
    layer.factor_initializer = fail
    with pytest.raises(RuntimeError, match="no values"):
        layer.build((None, 3))
    assert not own(layer) and not layer.built


def test_a_weight_of_a_declared_name_is_registered_under_it() -> None:
    layer = L.Dense(3)
    made = layer.add_weight((2,), name="kernel")
    assert list(layer._parameters) == ["kernel"] and layer.kernel is made
    assert layer.add_weight((2,), name="kernel") is layer.kernel_1
    assert L.Dense(3).add_weight((2,), name="units").shape == (2,)


def test_a_build_of_the_users_own_makes_them_otherwise() -> None:
    class Own(L.Dense):
        def build(self, input_shape: tuple) -> None:
            self.kernel = self.add_weight((input_shape[-1], self.units), "ones", name="mine")
            self.bias = None

    class More(L.Dense):
        def build(self, input_shape: tuple) -> None:
            super().build(input_shape)
            self.bias = self.add_weight((self.units,), "ones", name="bias")

    layer, x = Own(2), torch.ones(1, 3)
    assert layer(x).tolist() == [[3.0, 3.0]] and [item.name for item in layer.weights] == ["mine"]
    layer = More(2, use_bias=False, kernel_initializer="zeros")
    assert layer(x).tolist() == [[1.0, 1.0]] and list(layer._parameters) == ["kernel", "bias"]


ELSEWHERE = [
    (lambda: L.Dense(3), (4,), "kernel"),
    (lambda: L.Dense(3), (4,), "bias"),
    (lambda: L.Conv1D(3, 2), (5, 4), "kernel"),
    (lambda: L.Conv2D(3, 2, use_bias=False), (5, 5, 4), "kernel"),
    (lambda: L.Conv2DTranspose(3, 2), (5, 5, 4), "bias"),
    (lambda: L.DepthwiseConv2D(2), (5, 5, 4), "kernel"),
    (lambda: L.SeparableConv1D(3, 2), (5, 4), "depthwise_kernel"),
    (lambda: L.SeparableConv1D(3, 2), (5, 4), "pointwise_kernel"),
    (lambda: L.LocallyConnected1D(3, 2), (5, 4), "kernel"),
    (lambda: L.LSTM(3), (5, 4), "cell.recurrent_kernel"),
    (lambda: L.GRU(3, return_sequences=True), (5, 4), "cell.bias"),
    (lambda: L.SimpleRNN(3, use_bias=False), (5, 4), "cell.kernel"),
    (lambda: L.Bidirectional(L.LSTM(3)), (5, 4), "backward_layer.cell.kernel"),
    (lambda: L.LayerNormalization(), (4,), "gamma"),
    (lambda: L.BatchNormalization(), (4,), "beta"),
    (lambda: L.RMSNormalization(), (4,), "scale"),
    (lambda: L.PReLU(alpha_initializer="ones"), (4,), "alpha"),
]


@pytest.mark.parametrize(("make", "shape", "path"), ELSEWHERE)
def test_a_property_may_stand_before_a_declared_weight(make: Any, shape: tuple, path: str) -> None:
    torch.manual_seed(0)
    layer, x = make(), torch.rand(2, *shape)
    layer(x)
    owner, name = layer.get_submodule(path.rpartition(".")[0]), path.rpartition(".")[2]
    cls = type(owner)
    owner.__class__ = type("Doubled", (cls,), {name: property(lambda self: 2 * self._parameters[name])})
    seen = layer(x)
    owner.__class__ = cls
    with torch.no_grad():
        owner._parameters[name].mul_(2)
    torch.testing.assert_close(seen, layer(x))


class Double(nn.Module):
    def forward(self, value: torch.Tensor) -> torch.Tensor:
        return 2 * value


class Halved(prune.BasePruningMethod):
    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: torch.Tensor, default_mask: torch.Tensor) -> torch.Tensor:
        return 0.5 * default_mask


@pytest.mark.parametrize("way", ["parametrized", "pruned"])
@pytest.mark.parametrize(("make", "on", "name"), ELSEWHERE, ids=[f"{n}-{one[2]}" for n, one in enumerate(ELSEWHERE)])
def test_torch_may_keep_a_weight_elsewhere(make: Any, on: tuple, name: str, way: str) -> None:
    layer, x = make(), torch.randn(2, *on)
    layer(x)
    inner, _, last = name.rpartition(".")
    holder = layer.get_submodule(inner)
    with torch.no_grad():
        stored = getattr(holder, last)
        stored.add_(torch.rand_like(stored))
        before = stored.clone()
        plain = layer(x)
        stored.copy_(2 * before if way == "parametrized" else 0.5 * before)
        expected = layer(x)
        stored.copy_(before)
        if way == "parametrized":
            parametrize.register_parametrization(holder, last, Double())
        else:
            Halved.apply(holder, last)
        assert last not in holder._parameters
        found = layer(x)
    assert not torch.allclose(found, plain)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("make", "on", "name"), [ELSEWHERE[2], ELSEWHERE[9]], ids=["Conv1D", "LSTM"])
def test_what_torch_keeps_elsewhere_compiles(make: Any, on: tuple, name: str) -> None:
    layer, x = make(), torch.randn(2, *on)
    layer(x)
    inner, _, last = name.rpartition(".")
    parametrize.register_parametrization(layer.get_submodule(inner), last, Double())
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), layer(x))


@pytest.mark.parametrize(
    "function",
    [np.min, np.sum, np.mean, np.std, np.any, np.argmax, np.cumsum, np.nonzero, np.size, np.median, np.squeeze],
)
def test_functions_of_numpy_take_weights_as_arrays(function: Any) -> None:
    values = np.arange(6, dtype="float32").reshape(2, 3) - 2
    expected, found = function(values), function(keras.Variable(values))
    assert type(found) is type(expected)
    np.testing.assert_array_equal(found, expected)


def test_a_weight_is_never_overwritten_with_its_gradient() -> None:
    weight = keras.Variable([1.0])
    weight.overwrite_with_gradient = False
    with pytest.raises(ValueError, match="`overwrite_with_gradient` is not available"):
        weight.overwrite_with_gradient = True


def test_weights_are_shown_with_their_values() -> None:
    assert repr(keras.Variable([1.0, 2.5], name="w")).endswith("shape=(2,), dtype=torch.float32, value=[1.  2.5]>")
    assert repr(keras.Variable([1.5], dtype="bfloat16")).endswith("value=[1.5]>")
    assert f"{keras.Variable(2.5):.2f}" == "2.50"
    with torch.device("meta"):
        assert repr(Weight(torch.empty(3))).endswith("shape=(3,), dtype=torch.float32>")


def test_no_declaration_holds_an_initializer_that_all_layers_would_share() -> None:
    """One object takes its seed once, so what follows `set_random_seed` would depend on what was made before."""
    shared = [
        (cls.__name__, name)
        for cls in {type(example.make()) for example in EXAMPLES}
        for name, declared in cls._weights.items()
        if hasattr(declared.options.get("initializer"), "_take_seed")
    ]
    assert shared == []


def test_no_layer_counts_as_built_before_the_weights_it_declares_are_there() -> None:
    made = [*vars(old).values(), *(getattr(L, name) for name in dir(L))]
    classes = {cls for cls in made if isinstance(cls, type) and issubclass(cls, Layer) and cls._weights}
    assert len(classes) > 40 and not {cls.__name__ for cls in classes if cls._stateless}
    layer = old.SReLU()
    assert not layer.built
    layer(np.ones((2, 3), "float32"))
    assert layer.built and layer.get_build_config() == {"input_shape": (2, 3)}


def test_a_weight_is_rounded_to_digits() -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.12345))
    assert float(round(model.optimizer.learning_rate, 3)) == pytest.approx(0.123, abs=1e-6)
    assert float(round(keras.Variable(2.6))) == 3
