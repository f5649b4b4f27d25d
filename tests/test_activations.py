"""Activations: values against NumPy, gradients, types, compilation, and finding them by name, config or object."""

from __future__ import annotations

import math
import subprocess
import sys

import mpmath as mp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lamina as keras
from lamina import activations, ops
from lamina import layers as L
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


def exact_sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def clipped(x, least, most):
    return min(max(x, mp.mpf(least)), mp.mpf(most))


# The same functions for one number, in as many digits as it takes.
EXACT = {
    "linear": lambda x: x,
    "relu": lambda x: max(x, mp.mpf(0)),
    "leaky_relu": lambda x: x if x > 0 else mp.mpf(0.2) * x,
    "relu6": lambda x: clipped(x, 0, 6),
    "elu": lambda x: x if x > 0 else mp.mpf(0.7) * mp.expm1(x),
    "selu": lambda x: mp.mpf(1.0507009873554805) * (x if x > 0 else mp.mpf(1.6732632423543772) * mp.expm1(x)),
    "celu": lambda x: x if x > 0 else mp.mpf(0.7) * mp.expm1(x / mp.mpf(0.7)),
    "gelu": lambda x: x * (mp.erfc(-x / mp.sqrt(2)) / 2 if abs(x) < 1e3 else mp.mpf(x > 0)),
    "silu": lambda x: x * exact_sigmoid(x),
    "hard_silu": lambda x: x * clipped(x + 3, 0, 6) / 6,
    "mish": lambda x: x * mp.tanh(mp.log1p(mp.exp(x))),
    "sigmoid": exact_sigmoid,
    "hard_sigmoid": lambda x: clipped(x + 3, 0, 6) / 6,
    "log_sigmoid": lambda x: -mp.log1p(mp.exp(-x)),
    "sparse_sigmoid": lambda x: clipped((x + 1) / 2, 0, 1),
    "tanh": mp.tanh,
    "hard_tanh": lambda x: clipped(x, -1, 1),
    "tanh_shrink": lambda x: x - mp.tanh(x),
    "hard_shrink": lambda x: x if abs(x) > 0.5 else mp.mpf(0),
    "soft_shrink": lambda x: mp.sign(x) * max(abs(x) - mp.mpf(0.3), mp.mpf(0)),
    "softplus": lambda x: mp.log1p(mp.exp(x)),
    "squareplus": lambda x: (x + mp.sqrt(x * x + 3)) / 2,
    "sparse_plus": lambda x: mp.mpf(0) if x <= -1 else x if x >= 1 else (x + 1) ** 2 / 4,
    "softsign": lambda x: x / (1 + abs(x)),
    "exponential": mp.exp,
    "threshold": lambda x: x if x > 0.5 else mp.mpf(-1),
}
# torch's fused kernels multiply by 6 or square on the way. To do without them takes 4 times as long in training.
WITHIN = {"gelu": 2, "hard_silu": 8}
FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def edges(dtype, share=1):
    """Numbers of both signs from 0 and the least to the largest, divided by `share`, that the type can hold."""
    info = torch.finfo(dtype)
    sizes = [info.smallest_normal * info.eps, info.smallest_normal, 1e-4, 0.7, 1.7, 7.3, 30, 100, 2e3, 3e4, 1e10, 1e20]
    sizes = [*(size for size in sizes if size < info.max), info.max**0.5, info.max / 8, info.max / 2, info.max]
    sizes = [size for size in sizes if size <= info.max / share]
    return torch.tensor([0.0, *sizes, *(-size for size in sizes)], dtype=torch.float64).to(dtype)


def slope(function, x):
    step = mp.ldexp(1 + abs(x), -1500)
    return (function(x + step) - function(x - step)) / (2 * step)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", EXACT)
def test_values_and_gradients_at_the_edges_of_a_type(name, dtype):
    info = torch.finfo(dtype)
    x = edges(dtype, WITHIN.get(name, 1)).requires_grad_()
    y = apply(name, x)
    y.sum().backward()
    grain = max(info.eps, 1e-8)  # torch's float64 gradients of celu and hard_sigmoid have float32 constants
    with mp.workprec(4500):
        for point, value, gradient in zip(*(t.detach().double().tolist() for t in (x, y, x.grad)), strict=True):
            exact = mp.mpf(EXACT[name](mp.mpf(point)))
            if abs(exact) <= info.max:
                assert abs(value - exact) <= 8 * info.eps * max(abs(exact), abs(point), 1), (point, value)
            exact = slope(EXACT[name], mp.mpf(point)) if point else mp.inf
            if abs(exact) <= info.max:
                assert abs(gradient - exact) <= 16 * grain * max(abs(exact), 1), (point, gradient)


def test_every_activation_has_its_edges_tested():
    along_an_axis = {"glu", "softmax", "log_softmax", "sparsemax"}
    assert set(EXACT) | along_an_axis == set(CASES)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "sparsemax"])
def test_rows_of_extreme_values(name, dtype):
    most = torch.finfo(dtype).max
    large = min(1e20, most / 4)
    for row in ([most, 0, -5], [large, 0, -large], [0, -most, -most], [1, -3, -most / 2]):
        x = torch.tensor(row, dtype=dtype, requires_grad=True)
        y = apply(name, x)
        exact = apply(name, torch.tensor(row, dtype=torch.float64))
        held = exact.abs() <= most
        grain = 4 * torch.finfo(dtype).eps
        torch.testing.assert_close(y[held].double(), exact[held], rtol=grain, atol=grain)
        assert torch.isfinite(torch.autograd.grad(y.sum(), x)[0]).all()


@pytest.mark.parametrize(
    "row", [[2e7, 0, -5], [1e20, 0, -5], [-1e20, -2e20, -1e20 - 5], [3.0, 3.0, 3.0], [-9.0, -9.5, -8.6]]
)
def test_sparsemax_sees_differences_beside_which_its_one_counts(row):
    x = torch.tensor([row])
    torch.testing.assert_close(activations.sparsemax(x), activations.sparsemax(x.double()).float())
    assert torch.isfinite(activations.sparsemax(x)).all()


def test_glu_of_extreme_values():
    x = torch.tensor([3e38, -3e38, 1e20, 3e38, -3e38, -1e20])
    assert activations.glu(x).tolist() == [x[0], 0, 0]


@pytest.mark.parametrize("name", ["squareplus", "sparsemax", "sparse_plus", "hard_silu"])
def test_ops_are_the_same_at_the_edges(name):
    x = edges(torch.float32)
    assert torch.equal(getattr(ops.nn, name)(x), getattr(activations, name)(x))


@pytest.mark.parametrize("axis", [-1, (0, 1)])
def test_a_masked_softmax_of_the_smallest_values(axis):
    x = torch.full((2, 3), torch.finfo(torch.float32).min)
    y = L.Softmax(axis)(x, mask=torch.zeros(2, 3, dtype=torch.bool))
    assert not y.any()


LAYERS = {
    "Dense": (lambda f: L.Dense(4, activation=f), (5,)),
    "Conv1D": (lambda f: L.Conv1D(4, 2, activation=f), (5, 3)),
    "Conv2DTranspose": (lambda f: L.Conv2DTranspose(4, 2, activation=f), (5, 5, 3)),
    "SeparableConv2D": (lambda f: L.SeparableConv2D(4, 2, activation=f), (5, 5, 3)),
    "DepthwiseConv1D": (lambda f: L.DepthwiseConv1D(2, activation=f), (5, 4)),
    "LocallyConnected1D": (lambda f: L.LocallyConnected1D(4, 2, activation=f), (5, 3)),
    "Activation": (lambda f: L.Activation(f), (5, 4)),
    "TimeDistributed": (lambda f: L.TimeDistributed(L.Dense(4, activation=f)), (5, 3)),
}
CHANGING = {
    "sum": lambda x: x.sum(-1),
    "mean": torch.nn.AdaptiveAvgPool1d(2),
    "stack": lambda x: torch.cat([x, -x], -1),
    "glu": "glu",
    "same": lambda x: x * torch.sigmoid(x),
    "by values": lambda x: x if x.max() > 0 else -x,
}


# The mean over parts takes three axes.
FITTING = [(name, key) for name in LAYERS for key in CHANGING if key != "mean" or len(LAYERS[name][1]) == 2]


@pytest.mark.parametrize(("name", "function"), FITTING)
def test_an_activation_may_change_the_shape(name, function):
    make, sizes = LAYERS[name]
    x = np.ones((2, *sizes), "float32")
    inputs = keras.Input(sizes)
    model = keras.Model(inputs, make(CHANGING[function])(inputs))
    found = model.predict(x, verbose=0)
    assert model.output_shape == (None, *found.shape[1:])
    assert make(CHANGING[function])(x).shape == found.shape


def test_an_activation_that_needs_its_values_is_believed_to_keep_the_shape():
    for function in (torch.nn.LazyLinear(4), lambda x: torch.from_numpy(x.detach().numpy())):
        assert L.Dense(4, activation=function)(keras.Input((3,))).shape == (None, 4)


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


@pytest.mark.parametrize(
    "name", ["linear", *sorted(name for name, function in vars(activations).items() if hasattr(function, "of_tensors"))]
)
def test_arrays_lists_and_symbols(name: str) -> None:
    function = getattr(activations, name)
    more = (0.5, 0.0) if name == "threshold" else ()
    values = np.array([[1.0, -2.0], [0.5, 3.0]])
    expected = function(torch.tensor(values), *more)
    torch.testing.assert_close(function(values, *more), expected, rtol=0, atol=0)
    torch.testing.assert_close(function(values.tolist(), *more), expected, check_dtype=False)
    torch.testing.assert_close(function(np.array([[1, -2]]), *more), function(torch.tensor([[1.0, -2.0]]), *more))
    symbol = function(keras.KerasTensor((None, 2)), *more)
    assert symbol.shape == (None, 1 if name == "glu" else 2)
    with pytest.raises(ValueError, match=function.__name__):
        function("relu", *more)


def test_symbols_need_nothing_loaded_before() -> None:
    code = "import lamina; x = lamina.KerasTensor((2, 3)); assert (x + 1).shape == lamina.activations.relu(x).shape"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("numbers", [[1.0, 2.0], [[1, 2.5]], 0.5, [1, 2], 3])
def test_numbers_of_python_become_the_default_type(numbers: object) -> None:
    for name in ("relu", "softplus", "tanh", "gelu"):
        assert getattr(activations, name)(numbers).dtype is torch.float32
    assert activations.relu(np.ones(2)).dtype is torch.float64
