"""Activations: values against NumPy, gradients, types, compilation, and finding them by name, config or object."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina import activations
from lamina.core.serialize import custom_object_scope

PUBLIC = """celu deserialize elu exponential gelu get glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh
leaky_relu linear log_sigmoid log_softmax mish relu relu6 selu serialize sigmoid silu soft_shrink softmax softplus
softsign sparse_plus sparse_sigmoid sparsemax squareplus swish tanh tanh_shrink threshold""".split()

erf = np.vectorize(math.erf)


def np_sigmoid(x):
    return 1 / (1 + np.exp(-x))


def np_softmax(x, axis=-1):
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def np_relu(x, negative_slope=0.0, max_value=math.inf, threshold=0.0):
    return np.minimum(np.where(x > threshold, x, negative_slope * (x - threshold)), max_value)


def np_sparsemax(x):
    """Row by row from the definition: the support is the longest prefix that its own threshold keeps."""
    out = np.empty_like(x)
    for row, result in zip(x, out, strict=True):
        sums = np.cumsum(np.sort(row)[::-1])
        size = max(k for k in range(1, len(row) + 1) if 1 + k * np.sort(row)[::-1][k - 1] > sums[k - 1])
        result[:] = np.maximum(row - (sums[:size].sum() - 1) / size, 0)
    return out


# Function, arguments, reference.
CASES = {
    "linear": ((), lambda x: x),
    "relu": ((), np_relu),
    "leaky_relu": ((), lambda x: np_relu(x, 0.2)),
    "relu6": ((), lambda x: np.clip(x, 0, 6)),
    "elu": ((0.7,), lambda x: np.where(x > 0, x, 0.7 * np.expm1(x))),
    "selu": ((), lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))),
    "celu": ((0.7,), lambda x: np.where(x > 0, x, 0.7 * np.expm1(x / 0.7))),
    "gelu": ((), lambda x: x * 0.5 * (1 + erf(x / math.sqrt(2)))),
    "silu": ((), lambda x: x * np_sigmoid(x)),
    "hard_silu": ((), lambda x: x * np.clip(x + 3, 0, 6) / 6),
    "mish": ((), lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    "sigmoid": ((), np_sigmoid),
    "hard_sigmoid": ((), lambda x: np.clip(x + 3, 0, 6) / 6),
    "log_sigmoid": ((), lambda x: np.log(np_sigmoid(x))),
    "sparse_sigmoid": ((), lambda x: np.clip((x + 1) / 2, 0, 1)),
    "tanh": ((), np.tanh),
    "hard_tanh": ((), lambda x: np.clip(x, -1, 1)),
    "tanh_shrink": ((), lambda x: x - np.tanh(x)),
    "hard_shrink": ((), lambda x: np.where(abs(x) > 0.5, x, 0)),
    "soft_shrink": ((0.3,), lambda x: np.sign(x) * np.maximum(abs(x) - 0.3, 0)),
    "softplus": ((), lambda x: np.log1p(np.exp(x))),
    "squareplus": ((3.0,), lambda x: (x + np.sqrt(x**2 + 3)) / 2),
    "sparse_plus": ((), lambda x: np.where(x <= -1, 0, np.where(x >= 1, x, (x + 1) ** 2 / 4))),
    "softsign": ((), lambda x: x / (1 + abs(x))),
    "exponential": ((), np.exp),
    "threshold": ((0.5, -1.0), lambda x: np.where(x > 0.5, x, -1)),
    "glu": ((), lambda x: x[..., :4] * np_sigmoid(x[..., 4:])),
    "softmax": ((), np_softmax),
    "log_softmax": ((), lambda x: np.log(np_softmax(x))),
    "sparsemax": ((), np_sparsemax),
}


def draw(dtype=torch.float64):
    """Values on both sides of every kink, and none on a kink."""
    values = torch.randn(6, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 2
    return values.to(dtype)


def apply(name, x):
    return getattr(activations, name)(x, *CASES[name][0])


def test_every_public_name_of_keras_is_there_and_has_a_case():
    assert [name for name in PUBLIC if not hasattr(activations, name)] == []
    assert set(CASES) | {"get", "serialize", "deserialize", "swish", "hard_swish"} == set(PUBLIC)


@pytest.mark.parametrize("name", CASES)
def test_values(name):
    x = draw()
    torch.testing.assert_close(apply(name, x), torch.from_numpy(np.asarray(CASES[name][1](x.numpy()))))


@pytest.mark.parametrize("name", CASES)
def test_gradients(name):
    assert torch.autograd.gradcheck(lambda x: apply(name, x), draw().requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("name", CASES)
def test_types(name, dtype):
    x = draw(dtype).requires_grad_()
    y = apply(name, x)
    y.sum().backward()
    assert y.dtype == dtype and x.grad.dtype == dtype
    tolerance = {torch.float16: 1e-2, torch.bfloat16: 6e-2, torch.float32: 1e-5}[dtype]
    torch.testing.assert_close(y.double(), apply(name, x.detach().double()), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", CASES)
def test_empty_and_strided_input(name):
    assert apply(name, torch.empty(0, 8)).shape == (0, 4 if name == "glu" else 8)
    strided = draw().T.contiguous().T
    torch.testing.assert_close(apply(name, strided), apply(name, strided.contiguous()))


def test_all_compile_into_one_graph():
    def every(x):
        return [apply(name, x) for name in CASES] + [activations.softmax(x, (0, 1)), activations.relu(x, 0.1, 2.0, 0.5)]

    compiled = torch.compile(every, fullgraph=True, backend="eager")
    for one, other in zip(compiled(draw()), every(draw()), strict=True):
        torch.testing.assert_close(one, other)


class Symbol:
    """Answers torch functions and operators with itself, and has no shape."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return cls()

    def _itself(self, *args, **kwargs):
        return self

    __add__ = __radd__ = __mul__ = __rmul__ = __sub__ = __rsub__ = __truediv__ = __gt__ = __lt__ = sum = _itself

    @property
    def values(self):
        return self


@pytest.mark.parametrize("name", CASES)
def test_symbols_pass_without_a_look_at_their_shape(name):
    assert isinstance(apply(name, Symbol()), Symbol)


slopes = st.sampled_from([0.0, 0.1, 1.0])


@settings(deadline=None)
@given(slopes, st.sampled_from([None, 0.5, 2.0]), st.sampled_from([0.0, -0.5, 1.0]))
def test_relu_with_any_arguments(negative_slope, max_value, threshold):
    x = draw()
    expected = np_relu(x.numpy(), negative_slope, math.inf if max_value is None else max_value, threshold)
    torch.testing.assert_close(activations.relu(x, negative_slope, max_value, threshold), torch.from_numpy(expected))


@pytest.mark.parametrize("arguments", [(), (0.0, 6.0)])
def test_relu_has_no_slope_at_zero(arguments):
    x = torch.zeros(3, requires_grad=True)
    activations.relu(x, *arguments).sum().backward()
    assert x.grad.tolist() == [0, 0, 0]


def test_gelu_by_tanh():
    x = draw()
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    torch.testing.assert_close(activations.gelu(x, approximate=True), 0.5 * x * (1 + torch.tanh(inner)))


@pytest.mark.parametrize("axis", [0, 1, (0, 1), (-1, 0)])
def test_softmax_over_any_axes(axis):
    x = draw()
    y = activations.softmax(x, axis)
    torch.testing.assert_close(y, torch.from_numpy(np_softmax(x.numpy(), axis)))
    torch.testing.assert_close(activations.log_softmax(x, axis), torch.log(y))


def test_saturated_values_stay_finite():
    x = torch.tensor([-1e4, 1e4], requires_grad=True)
    for name in ("log_sigmoid", "log_softmax", "softplus", "mish", "squareplus", "softmax"):
        y = apply(name, x)
        assert torch.isfinite(y).all(), name
        assert torch.isfinite(torch.autograd.grad(y.sum(), x)[0]).all(), name


def test_linear_returns_its_input():
    x = draw()
    assert activations.linear(x) is x


@pytest.mark.parametrize("name", CASES)
def test_names_round_trip(name):
    function = activations.get(name)
    assert function is getattr(activations, name)
    assert activations.serialize(function) == name
    assert activations.deserialize(name) is function
    assert activations.get(function) is function


def test_old_names():
    assert activations.get("swish") is activations.silu
    assert activations.get("hard_swish") is activations.hard_silu
    assert activations.get(None) is activations.linear


def test_configs_of_keras_files():
    config = {"module": "keras.activations", "class_name": "function", "config": "relu", "registered_name": "relu"}
    assert activations.get(config) is activations.relu


def test_custom_functions_round_trip():
    def doubled(x):
        return 2 * x

    config = activations.serialize(doubled)
    assert config["class_name"] == "function"
    assert activations.deserialize(config, {"doubled": doubled}) is doubled
    with custom_object_scope({"doubled": doubled}):
        assert activations.get("doubled") is doubled
    with pytest.raises(ValueError, match="doubled"):
        activations.get("doubled")


@pytest.mark.parametrize("wrong", ["get", "serialize", "Kind", "Any", "torch", "_convert", "activation", 3, ["relu"]])
def test_what_is_no_activation_is_refused(wrong):
    with pytest.raises(ValueError, match="Unknown activation"):
        activations.get(wrong)


def test_unknown_names_come_with_near_ones():
    with pytest.raises(ValueError, match=r"'rellu'.*'relu'"):
        activations.get("rellu")


def test_kind():
    kind = activations.activation
    assert [kind.dump(kind.convert(value, None)) for value in kind.good] == ["linear", "relu", "hard_silu", "tanh"]
