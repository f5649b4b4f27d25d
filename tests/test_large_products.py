"""Large matrix products, and convolutions by them, go by oneDNN where MKL is slow: the same values and gradients, and
nothing else sees it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.profiler import profile
from torch.utils.flop_counter import FlopCounterMode

import lamina as keras
from lamina.kernels import linear
from lamina.kernels.convolution import convolution

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN here")


@pytest.fixture(params=[True, False], ids=["slow", "fast"])
def mkl_is_slow(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    monkeypatch.setattr(linear, "MKL_IS_SLOW", request.param)
    return request.param


@pytest.fixture
def by_onednn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of what oneDNN was given."""
    seen: list[tuple[int, ...]] = []
    asked = linear._by_onednn

    def ask(a: torch.Tensor, b: torch.Tensor) -> bool:
        found = asked(a, b)
        if found:
            seen.append(tuple(a.shape))
        return found

    monkeypatch.setattr(linear, "MKL_IS_SLOW", True)
    monkeypatch.setattr(linear, "_by_onednn", ask)
    return seen


@pytest.mark.parametrize(
    ("mkl", "capability", "maker", "family", "slow"),
    [
        (True, "AVX512", "AuthenticAMD", 26, True),
        (True, "AVX512", "AuthenticAMD", 25, False),
        (True, "AVX512", "GenuineIntel", 26, False),
        (True, "AVX2", "AuthenticAMD", 26, False),
        (False, "AVX512", "AuthenticAMD", 26, False),
    ],
)
@pytest.mark.parametrize("listed", [True, False], ids=["/proc", "no /proc"])
def test_where_mkl_is_slow(
    mkl: bool,
    capability: str,
    maker: str,
    family: int,
    slow: bool,
    listed: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: mkl)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(linear.platform, "processor", lambda: f"AMD64 Family {family} Model 17 Stepping 1, {maker}")
    monkeypatch.setattr(linear, "Path", lambda name: tmp_path / name.strip("/"))
    if listed:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc" / "cpuinfo").write_text(
            f"processor\t: 0\nvendor_id\t: {maker}\ncpu family\t: {family}\nmodel\t\t: 17\n"
        )
        monkeypatch.setattr(linear.platform, "processor", lambda: "")
    assert linear._mkl_is_slow() is slow


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("relu", [False, True], ids=["", "relu"])
@pytest.mark.parametrize("with_bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize("turned", [False, True], ids=["rows", "columns"])
@pytest.mark.parametrize("shape", [(128, 96), (4, 64, 64), (2, 3, 32, 128), (0, 96), (1, 512), (128, 1)], ids=str)
def test_values_and_gradients_of_both_orders(
    mkl_is_slow: bool, shape: tuple, turned: bool, with_bias: bool, relu: bool
) -> None:
    out = 256
    x = drawn(*shape).requires_grad_()
    kernel = drawn(out, shape[-1], seed=1).t() if turned else drawn(shape[-1], out, seed=1)
    kernel = (kernel / shape[-1] ** 0.5).requires_grad_()
    bias = drawn(out, seed=2).requires_grad_() if with_bias else None
    inputs = [each for each in (x, kernel, bias) if each is not None]
    y = linear.dense(x, kernel, bias, relu)
    assert type(y.grad_fn).__name__.startswith("_Product") == (mkl_is_slow and y.numel() * shape[-1] >= 1 << 20)
    wanted = x.double() @ kernel.double()
    wanted = wanted if bias is None else wanted + bias.double()
    wanted = wanted.relu() if relu else wanted
    grad = drawn(*y.shape, seed=3)
    torch.testing.assert_close(y.double(), wanted, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(linear.dense(x, kernel, bias, relu), y, rtol=1e-5, atol=1e-5)
    found = torch.autograd.grad(y, inputs, grad, retain_graph=True)
    expected = torch.autograd.grad(wanted, inputs, grad.double(), create_graph=True)
    for mine, theirs, of in zip(found, expected, inputs, strict=True):
        torch.testing.assert_close(mine, theirs.float(), rtol=1e-4, atol=1e-4)
        assert mine.stride() == of.stride()
    again = torch.autograd.grad(y, inputs, grad, create_graph=True)
    twice = [torch.autograd.grad(sum(each.square().sum() for each in one), inputs[:2]) for one in (again, expected)]
    for mine, theirs in zip(*twice, strict=True):
        torch.testing.assert_close(mine, theirs.float(), rtol=1e-3, atol=1e-3)


def test_only_what_is_wanted_is_computed(by_onednn: list) -> None:
    x, kernel = drawn(128, 128), drawn(128, 128, seed=1).requires_grad_()
    linear.dense(x, kernel, None).sum().backward()
    assert kernel.grad is not None and len(by_onednn) == 2  # the product and the kernel's gradient


LAYERS = {
    "Dense": (lambda: keras.layers.Dense(128, activation="relu"), (128, 96)),
    "EinsumDense": (lambda: keras.layers.EinsumDense("abc,cde->abde", (None, 8, 16), bias_axes="de"), (4, 32, 96)),
    "MultiHeadAttention": (lambda: keras.layers.MultiHeadAttention(4, 32), (4, 32, 96)),
    "GRU": (lambda: keras.layers.GRU(32, return_sequences=True), (16, 24, 64)),
    "Bidirectional": (lambda: keras.layers.Bidirectional(keras.layers.GRU(32)), (16, 24, 64)),
    "masked GRU": (lambda: keras.layers.GRU(32, reset_after=False), (16, 24, 64)),
    "LSTM": (lambda: keras.layers.LSTM(32, activation="relu"), (16, 24, 64)),
    "ReversibleEmbedding": (lambda: Backwards(512, 64), (8, 16, 64)),
}


class Backwards(keras.layers.ReversibleEmbedding):
    def call(self, inputs):
        return super().call(inputs, reverse=True)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.input_dim)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_compute_and_train_as_in_float64(by_onednn: list, name: str) -> None:
    make, shape = LAYERS[name]
    x = drawn(*shape).requires_grad_()
    layer = make()
    args = (x, x) if name == "MultiHeadAttention" else (x,)
    y = layer(*args)
    assert by_onednn
    found = torch.autograd.grad(y.square().mean(), [x, *layer.trainable_weights])
    with keras.name_scope("wide"):
        wide = type(layer).from_config(layer.get_config() | {"dtype": "float64"}) if name != "Bidirectional" else make()
    if name == "Bidirectional":
        wide = keras.layers.Bidirectional(keras.layers.GRU(32, dtype="float64"), dtype="float64")
    x64 = x.detach().double().requires_grad_()
    args = (x64, x64) if name == "MultiHeadAttention" else (x64,)
    wide(*args)
    wide.set_weights(layer.get_weights())
    wanted = wide(*args)
    torch.testing.assert_close(y.double(), wanted, rtol=1e-4, atol=1e-5)
    expected = torch.autograd.grad(wanted.square().mean(), [x64, *wide.trainable_weights])
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=1e-3, atol=1e-6)


def test_a_model_fits_and_predicts_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = drawn(512, 96).numpy(), drawn(512, 1, seed=1).numpy()
    told = []
    for slow in (True, False):
        monkeypatch.setattr(linear, "MKL_IS_SLOW", slow)
        keras.utils.set_random_seed(0)
        dense = keras.layers.Dense
        model = keras.Sequential([keras.Input((96,)), dense(256, activation="relu"), dense(64), dense(1)])
        model.compile("adam", "mse")
        history = model.fit(x, y, batch_size=128, epochs=30, verbose=0).history["loss"]
        told.append((history, model.predict(x, verbose=0), [model(x[:200]).detach() for _ in range(5)][-1]))
    for mine, theirs in zip(*told, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2e-3, atol=2e-4)


@pytest.mark.filterwarnings("ignore:TF32 acceleration")  # by torch's own switch of oneDNN
def test_who_watches_or_changes_calls_sees_those_of_torch(by_onednn: list) -> None:
    x, kernel, bias = drawn(128, 96), drawn(96, 128, seed=1), drawn(128, seed=2)
    wanted = torch.addmm(bias, x, kernel)
    stacked = torch.stack([x, 2 * x])
    each = torch.func.vmap(lambda one: linear.dense(one, kernel, bias))(stacked)
    torch.testing.assert_close(each[0], wanted, rtol=1e-4, atol=1e-4)
    _, slope = torch.func.jvp(lambda one: linear.dense(one, kernel, bias), (x,), (x,))
    torch.testing.assert_close(slope, x @ kernel, rtol=1e-4, atol=1e-4)
    with torch.autograd.forward_ad.dual_level():
        dual = linear.dense(torch.autograd.forward_ad.make_dual(x, x), kernel.clone().requires_grad_(), bias)
        torch.testing.assert_close(
            torch.autograd.forward_ad.unpack_dual(dual).tangent, x @ kernel, rtol=1e-4, atol=1e-4
        )
    with torch.autocast("cpu", torch.bfloat16):
        assert linear.dense(x, kernel, bias).dtype is torch.bfloat16
    for dtype in (torch.float64, torch.bfloat16, torch.float16):
        assert linear.dense(x.to(dtype), kernel.to(dtype), bias.to(dtype)).dtype is dtype
    assert linear.dense(x.to("meta"), kernel.to("meta"), bias.to("meta")).shape == (128, 128)
    with torch.backends.mkldnn.flags(enabled=False):
        torch.testing.assert_close(linear.dense(x, kernel, bias), wanted, rtol=1e-4, atol=1e-4)
    exported = torch.export.export(keras.Sequential([keras.Input((96,)), keras.layers.Dense(128)]), (x,))
    assert "mkldnn" not in str(exported.graph)
    assert not by_onednn


def test_stacked_matrices() -> None:
    a, b, bias = drawn(2, 128, 96), drawn(2, 96, 128, seed=1), drawn(2, 1, 128, seed=2)
    for add in (None, bias):
        wanted = a.double() @ b.double() + (0 if add is None else add.double())
        torch.testing.assert_close(linear.multiply(a, b, add).double(), wanted, rtol=1e-5, atol=1e-5)


def test_forward_mode_derivatives_of_a_recurrence() -> None:
    x, slope = drawn(4, 6, 3), drawn(4, 6, 3, seed=1)
    layer = keras.layers.GRU(5)
    layer(x)
    with torch.autograd.forward_ad.dual_level():
        found = torch.autograd.forward_ad.unpack_dual(layer(torch.autograd.forward_ad.make_dual(x, slope))).tangent
    near = (layer(x + 1e-3 * slope) - layer(x - 1e-3 * slope)) / 2e-3
    torch.testing.assert_close(found, near, rtol=1e-2, atol=1e-3)


CONVOLUTIONS = [
    {"shape": (1, 7, 7, 256), "filters": 256, "kernel_size": 3, "padding": "same"},
    {"shape": (2, 3, 9, 300), "filters": 260, "kernel_size": (2, 4), "padding": "same", "use_bias": False},
    {"shape": (1, 9, 9, 256), "filters": 256, "kernel_size": 3},
    {"shape": (1, 6, 8, 512), "filters": 512, "kernel_size": (1, 3), "padding": "same"},
    {"shape": (1, 14, 14, 256), "filters": 128, "kernel_size": 1, "activation": "relu"},
    {"shape": (4, 14, 14, 256), "filters": 128, "kernel_size": 1},
    {"shape": (1, 14, 14, 512), "filters": 300, "kernel_size": 1, "strides": (2, 1), "padding": "same"},
    {"shape": (1, 200, 512), "filters": 300, "kernel_size": 1, "strides": 2},
]
SMALL = [
    {"shape": (1, 16, 16, 64), "filters": 64, "kernel_size": 3, "padding": "same"},
    {"shape": (1, 28, 21, 32), "filters": 300, "kernel_size": (3, 2), "strides": 2, "use_bias": False},
    {"shape": (1, 14, 14, 100), "filters": 200, "kernel_size": 3, "dilation_rate": (1, 2), "padding": "same"},
    {"shape": (1, 512, 32), "filters": 32, "kernel_size": 2, "dilation_rate": 4, "padding": "causal"},
    {"shape": (1, 128, 128), "filters": 140, "kernel_size": 3, "use_bias": False},
]


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """What convolutions make products of."""
    seen: list[tuple] = []
    multiply = linear.multiply
    monkeypatch.setattr(linear, "multiply", lambda *args: seen.append(args) or multiply(*args))
    return seen


@pytest.fixture
def convolutions(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """What oneDNN is asked to convolve."""
    seen: list[tuple] = []
    convolve = torch.mkldnn_convolution
    monkeypatch.setattr(torch, "mkldnn_convolution", lambda *args: seen.append(args) or convolve(*args))
    return seen


def convolved(shape: tuple, **arguments: object) -> tuple[torch.Tensor, keras.layers.Layer]:
    kind = keras.layers.Conv1D if len(shape) == 3 else keras.layers.Conv2D
    layer = kind(**arguments, bias_initializer="normal")
    layer.build(shape)
    return drawn(*shape), layer


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_a_convolution_of_few_positions_is_one_product(case: dict, mkl_is_slow: bool, products: list) -> None:
    x, layer = convolved(**case)
    wanted = layer(x)
    assert wanted.requires_grad and not products  # torch's own, where gradients are asked for
    with torch.no_grad():
        found = layer(x)
        nothing = layer(x[:0])
    assert len(products) == mkl_is_slow
    torch.testing.assert_close(found, wanted.detach(), rtol=1e-4, atol=1e-5)
    assert nothing.shape == (0, *wanted.shape[1:])


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_a_large_convolution_of_one_small_sample_is_that_of_onednn(
    case: dict, mkl_is_slow: bool, products: list, convolutions: list
) -> None:
    x, layer = convolved(**case)
    wanted = layer(x)
    assert wanted.requires_grad and not convolutions
    with torch.no_grad():
        found = layer(x)
        layer(torch.cat([x, x]))
    assert len(convolutions) == mkl_is_slow and not products
    torch.testing.assert_close(found, wanted.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
@pytest.mark.parametrize("case", [*CONVOLUTIONS, *SMALL], ids=str)
def test_other_numbers_take_the_convolution(
    case: dict, dtype: str, by_onednn: list, products: list, convolutions: list
) -> None:
    x, layer = convolved(**case, dtype=dtype)
    with torch.no_grad():
        layer(x.to(getattr(torch, dtype)))
    assert not products and not by_onednn and not convolutions


@torch.no_grad()
def test_who_watches_or_has_many_positions_sees_the_convolution(by_onednn: list, products: list) -> None:
    x, layer = convolved(**CONVOLUTIONS[0])
    layer(drawn(2, 7, 7, 256))
    torch.func.vmap(layer)(x[:, None])
    with torch.autocast("cpu"):
        layer(x)
    torch._C._set_mkldnn_enabled(False)
    try:
        layer(x)
    finally:
        torch._C._set_mkldnn_enabled(True)
    with FlopCounterMode(display=False) as counter:
        layer(x)
    in_rows = layer.kernel.detach().contiguous()  # an order that no product can read
    convolution(x, in_rows, None, (1, 1), "same", (1, 1), 1, channels_last=True)
    assert not products and not by_onednn
    assert counter.get_total_flops() == 2 * 49 * layer.kernel.numel()


def test_each_thread_needs_enough_to_do(by_onednn: list) -> None:
    x, kernel = drawn(64, 128), drawn(128, 128, seed=1)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            linear.dense(x.repeat(threads, 1), kernel, None)
            linear.dense(x.repeat(threads, 1)[1:], kernel, None)
    finally:
        torch.set_num_threads(before)
    assert [rows for rows, _ in dict.fromkeys(by_onednn)] == [64, 128, 256]


@pytest.mark.parametrize(
    ("features", "units", "turned"),
    [(784, 10, True), (9216, 128, True), (64, 10, True), (1000, 1, True), (16, 1000, False), (64, 64, False)],
)
def test_kernels_of_dense_lie_in_the_order_in_which_products_are_fast(features, units, turned) -> None:
    layer = keras.layers.Dense(units)
    layer.build((None, features))
    kernel = layer.kernel
    assert (kernel.t() if turned else kernel).is_contiguous()
    x = drawn(8, features)
    layer(x).sum().backward()
    assert kernel.grad is not None and kernel.grad.stride() == kernel.stride()
    torch.testing.assert_close(kernel.grad, x.sum(0)[:, None].expand(-1, units), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("steps", [10, 300])
@pytest.mark.parametrize("padding", ["same", "causal", "valid"])
def test_one_dimensional_convolutions_copy_no_kernel(steps, padding) -> None:
    layer = keras.layers.Conv1D(24, 3, padding=padding)
    x = drawn(2, steps, 8)
    layer(x)
    with torch.no_grad(), profile(record_shapes=True) as seen:
        layer(x)
    copied = [event.input_shapes[0] for event in seen.events() if event.name == "aten::copy_"]
    assert not any(math.prod(shape) == 24 * 3 * 8 for shape in copied)
