"""Models under PyTorch's own tools: names and loading of states, conversions, attributes, inference mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils import parametrizations as P

import lamina as keras
from lamina import layers as L


def stack() -> Any:
    return keras.Sequential(
        [keras.Input((8, 8, 3)), L.Conv2D(4, 3), L.BatchNormalization(), L.Flatten(), L.Dense(5), L.Dense(2)]
    )


def graph() -> Any:
    inputs = keras.Input((4,))
    inner = keras.Model(inputs, L.Dense(3)(inputs))
    outer = keras.Input((4,))
    return keras.Model(outer, L.Dense(2, name="head")(L.concatenate([inner(outer), L.Dense(5)(outer)])))


def batch(model: Any, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.rand(2, *model.input_shape[1:], dtype=dtype)


both = pytest.mark.parametrize("make", [stack, graph])


def test_states_are_named_without_counting_through_the_process() -> None:
    L.Dense(1)
    assert list(stack().state_dict()) == [
        *("conv2d.kernel", "conv2d.bias"),
        *(f"batch_normalization.{name}" for name in ("gamma", "beta", "moving_mean", "moving_variance")),
        *("dense.kernel", "dense.bias", "dense_1.kernel", "dense_1.bias"),
    ]
    assert {name.rpartition(".")[0] for name in graph().state_dict()} == {"functional.dense", "dense", "head"}


@both
@pytest.mark.parametrize("assign", [False, True])
def test_a_twin_takes_the_state(make: Callable, assign: bool) -> None:
    model, twin = make(), make()
    twin.load_state_dict(model.state_dict(), assign=assign)
    x = batch(model)
    assert torch.equal(twin(x), model(x))
    twin.compile("sgd", "mse")
    twin.fit(x, torch.ones(2, 2), verbose=0)
    assert [weight.shape for weight in twin.weights] == [weight.shape for weight in model.weights]


@both
def test_a_model_from_a_config_takes_the_state(make: Callable) -> None:
    model = make()
    copied = type(model).from_config(model.get_config())
    copied.load_state_dict(model.state_dict())
    assert torch.equal(copied(x := batch(model)), model(x))


@both
def test_a_model_on_no_device_takes_the_state(make: Callable) -> None:
    model, empty = make(), make().to("meta")
    assert empty(batch(model).to("meta")).shape == (2, 2)
    empty.load_state_dict(model.state_dict(), assign=True)
    assert torch.equal(empty(x := batch(model)), model(x))


@both
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_inputs_follow_the_type_of_the_weights(make: Callable, dtype: torch.dtype) -> None:
    model = make().to(dtype)
    x = batch(model, dtype)
    assert model(x).dtype == model(x.float()).dtype == dtype
    assert ".to(" not in str(model.plan)
    assert model.predict(x.float().numpy(), verbose=0).shape == (2, 2)
    model.to(torch.float32)
    assert model(x).dtype == torch.float32


def test_an_attribute_hides_no_layer() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            inputs, second = keras.Input((3,)), L.Dense(2)
            super().__init__(inputs=inputs, outputs=second(L.Dense(4)(inputs)))
            self.dense = second

    model = Own()
    assert len(list(model.parameters())) == len(model.weights) == 4


def test_ensembles_by_torch_func() -> None:
    models = [graph() for _ in range(3)]
    base = graph().to("meta")
    x = batch(models[0])
    found = torch.func.vmap(lambda *state: torch.func.functional_call(base, state, (x,)))(
        *torch.func.stack_module_state(models)
    )
    torch.testing.assert_close(found, torch.stack([model(x) for model in models]))


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: keras.Variable(np.ones(2)), torch.ones(2, dtype=torch.float64)),
        (lambda: keras.Variable(1.5, dtype="float16"), torch.tensor(1.5, dtype=torch.float16)),
        (lambda: keras.Variable([1, 2]), torch.tensor([1, 2], dtype=torch.int32)),
        (lambda: keras.Variable(2**40, dtype="int64"), torch.tensor(2**40)),
        (lambda: keras.Variable(np.arange(2)), torch.arange(2)),
        (lambda: keras.Variable([[True]]), torch.tensor([[True]])),
        (lambda: keras.Variable("zeros", (2, 3)), torch.zeros(2, 3)),
        (lambda: keras.Variable(keras.initializers.Ones(), shape=2, dtype="int32"), torch.ones(2, dtype=torch.int32)),
        (lambda: L.Layer().add_weight((2,), initializer="one"), torch.ones(2)),
        (lambda: L.Layer().add_weight((2,), initializer=np.arange(2.0)), torch.arange(2.0)),
    ],
)
def test_variables_from_values_and_initializers(made: Callable, expected: torch.Tensor) -> None:
    variable = made()
    assert variable.requires_grad == variable.is_floating_point()
    torch.testing.assert_close(variable.detach(), expected)


def test_a_variable_needs_a_shape_for_its_initializer() -> None:
    with pytest.raises(ValueError, match="`shape` is needed"):
        keras.Variable("zeros")
    assert keras.Variable(1.0, name="v").name == "v"


class Doubled(torch.nn.Module):
    def forward(self, weight):
        return 2 * weight + 1


@pytest.mark.parametrize(
    ("make", "name", "shape"),
    [
        (lambda: L.Dense(3), "kernel", (2, 4)),
        (lambda: L.Conv2D(3, 2), "bias", (2, 5, 5, 4)),
        (lambda: L.DepthwiseConv2D(2), "kernel", (2, 5, 5, 4)),
        (lambda: L.SeparableConv2D(3, 2), "depthwise_kernel", (2, 5, 5, 4)),
        (lambda: L.SeparableConv2D(3, 2), "pointwise_kernel", (2, 5, 5, 4)),
        (lambda: L.SeparableConv2D(3, 2), "bias", (2, 5, 5, 4)),
        (lambda: L.Conv2DTranspose(3, 2), "kernel", (2, 5, 5, 4)),
        (lambda: L.BatchNormalization(), "gamma", (2, 5, 4)),
        (lambda: L.LayerNormalization(), "beta", (2, 4)),
        (lambda: L.GroupNormalization(2), "gamma", (2, 5, 4)),
        (lambda: L.RMSNormalization(), "scale", (2, 4)),
    ],
)
def test_parametrized_weights_count(make, name, shape) -> None:
    layer, x = make(), torch.randn(*shape)
    layer(x)
    plain = make()
    plain(x)
    for weight in plain.weights:
        values = dict(layer.named_parameters()) | dict(layer.named_buffers())
        key = weight.path.split("/")[-1]
        with torch.no_grad():
            weight.copy_(2 * values[key] + 1 if key == name else values[key])
    torch.nn.utils.parametrize.register_parametrization(layer, name, Doubled())
    torch.testing.assert_close(layer(x), plain(x))


@pytest.mark.parametrize("of", [P.weight_norm, P.spectral_norm, P.orthogonal])
@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: L.Dense(4), (2, 3)),
        (lambda: L.Conv1D(4, 3, padding="causal"), (2, 9, 3)),
        (lambda: L.Conv2DTranspose(4, 3), (2, 9, 9, 3)),
        (lambda: L.EinsumDense("abc,cd->abd", (None, 5)), (2, 9, 3)),
    ],
)
def test_torchs_parametrizations(of: Callable, make: Callable, shape: tuple) -> None:
    layer, x = make(), torch.randn(shape)
    plain = layer(x)
    of(layer, "kernel")
    if of is P.weight_norm:
        torch.testing.assert_close(layer(x), plain)
    layer(x).square().sum().backward()
    before = layer(x)
    torch.optim.SGD(layer.parameters(), 0.1).step()
    assert not torch.equal(layer(x), before)
    twin = make()
    twin(x)
    of(twin, "kernel").load_state_dict(layer.state_dict())
    torch.testing.assert_close(twin(x), layer(x))
    trained = layer(x)
    torch.nn.utils.parametrize.remove_parametrizations(layer, "kernel")
    torch.testing.assert_close(layer(x), trained)


def test_a_parameter_of_a_weight_and_what_is_detached_from_it() -> None:
    layer = L.Dense(3)
    layer(torch.ones(1, 2))
    assert type(layer.kernel.detach()) is torch.Tensor
    assert torch.nn.Parameter(layer.kernel, requires_grad=False).requires_grad is False
    again = torch.nn.Parameter(layer.kernel)
    assert again.requires_grad and again.is_leaf and again.data_ptr() == layer.kernel.data_ptr()


class Resting(L.Layer):
    def build(self, shape: tuple) -> None:
        self.scale = self.add_weight(shape=shape[1:], initializer="ones")

    def call(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale.detach()


def test_torch_compiles_what_detaches_a_weight() -> None:
    layer, x = Resting(), torch.randn(2, 3)
    expected = layer(x)
    torch.testing.assert_close(torch.compile(layer, fullgraph=True, backend="eager")(x), expected)


class Joined(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dense, self.joined, self.attention = L.Dense(3), L.Concatenate(), L.MultiHeadAttention(2, 3)
        self.recurrent = L.LSTM(4, return_sequences=True)
        self.model = keras.Sequential([keras.Input((8, 7)), L.Flatten(), L.Dense(2)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = self.dense(x)
        seen = self.recurrent(steps)
        return self.model(self.joined([steps, self.attention(seen, value=seen)]))


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (
            lambda: torch.nn.Sequential(L.Conv2D(4, 3), L.BatchNormalization(), L.Flatten(), L.Dropout(0.5)),
            (2, 5, 5, 3),
        ),
        (Joined, (2, 8, 5)),
    ],
)
def test_a_layer_is_one_step_of_what_torch_traces(make: Callable, shape: tuple) -> None:
    module, x = make().eval(), torch.randn(shape)
    expected = module(x)
    traced = torch.fx.symbolic_trace(module)
    torch.testing.assert_close(traced(x), expected)
    steps = [node for node in traced.graph.nodes if node.op == "call_module"]
    assert len(steps) == len([*module.children()])
