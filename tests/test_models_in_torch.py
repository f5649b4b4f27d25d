"""Models under PyTorch's own tools: names and loading of states, conversions, attributes, inference mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

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
