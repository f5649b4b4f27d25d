"""`lamina.ops`: values and types as real Keras gives them, shapes of symbolic calls, compilation, gradients."""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from support.expressions import (
    KEY,
    MASK,
    NUMPY,
    OPS,
    RGB,
    SETTING,
    SYMBOLIC,
    TABLE,
    TENSORS,
    U8,
    VAL,
    A,
    B,
    I,
    K,
    Q,
    V,
    X,
    call,
    f,
    tensors_of,
    used,
)
from torch import Tensor

import lamina
from lamina import ops
from lamina.core import config
from lamina.core.graph import Graph, Plan
from lamina.core.symbolic import SymbolicTensor
from lamina.layers import Input

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # by torch.func.jvp itself


def sketch(x: Tensor) -> float:
    """A sum in which every value counts differently."""
    total = 0.0
    for part in (x.real, x.imag) if x.is_complex() else (x,):
        values = torch.nan_to_num(part.double(), 3.5, 7.5, -7.5).reshape(-1)
        total += float(values @ torch.cos(0.37 * torch.arange(values.numel()) + 0.2).double())
    return total


@pytest.mark.parametrize(("expression", "recorded"), TABLE, ids=[expression for expression, _ in TABLE])
def test_values_and_types_are_those_of_keras(expression, recorded):
    got = tensors_of(call(expression))
    expected = recorded.split("; ")
    assert len(got) == len(expected)
    for tensor, entry in zip(got, expected, strict=True):
        kind, _, number = entry.partition(" ")
        assert f"{str(tensor.dtype)[6:]}[{','.join(map(str, tensor.shape))}]" == kind
        size = float(torch.nan_to_num(tensor.to(torch.complex128).abs(), 7.5, 7.5).sum())
        assert sketch(tensor) == pytest.approx(float(number), rel=2e-5, abs=2e-5 * (1 + size))


@pytest.mark.parametrize("expression", NUMPY)
def test_values_are_those_of_numpy(expression):
    arrays = {name: value.numpy() for name, value in TENSORS.items()}
    expected = eval(expression, {name: getattr(np, name, None) for name in OPS} | arrays)
    got = call(expression)
    for tensor, array in zip(tensors_of(got), [expected] if not isinstance(expected, tuple) else expected, strict=True):
        np.testing.assert_allclose(tensor.numpy(), array, rtol=1e-4, atol=1e-5)


def test_arrays_numbers_lists_and_numpy_scalars_are_taken_everywhere():
    array = np.arange(6.0).reshape(2, 3)
    for value in (array, array.tolist(), torch.tensor(array), array[::-1][::-1]):
        assert float(ops.sum(value)) == 15
    assert ops.add(np.float64(2.5), torch.ones(2)).dtype == torch.float32
    assert ops.add(np.ones(2), torch.ones(2)).dtype == torch.float64
    assert ops.convert_to_tensor([torch.ones(2), [1, 2]]).shape == (2, 2)
    assert ops.convert_to_tensor([]).dtype == torch.float32
    assert ops.convert_to_tensor(2**40).dtype == ops.convert_to_tensor([2**40]).dtype == torch.int64
    assert ops.convert_to_tensor(array[:, ::-1]).tolist() == array[:, ::-1].tolist()
    with pytest.raises(ValueError, match="Cannot make a tensor of str"):
        ops.add("x", 1)


# Number types ----------------------------------------------------------------------------------------------------

NAMES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]
# add(row, column) by the places of NAMES; then add(row, 2) and add(row, 2.5).
SUMS = {
    "bool": "0123456789 48",
    "uint8": "1133456789 18",
    "int8": "2323456789 28",
    "int16": "3333456789 38",
    "int32": "4444456789 48",
    "int64": "5555556789 58",
    "float16": "6666666889 66",
    "bfloat16": "7777778789 77",
    "float32": "8888888889 88",
    "float64": "9999999999 99",
}


@pytest.mark.parametrize("first", NAMES)
def test_types_of_two_operands(first):
    x = torch.ones(3, dtype=getattr(torch, first))
    row, numbers = SUMS[first].split()
    for second, place in zip(NAMES, row, strict=True):
        y = torch.ones(3, dtype=getattr(torch, second))
        assert ops.dtype(ops.add(x, y)) == ops.dtype(ops.multiply(y, x)) == NAMES[int(place)]
        assert ops.dtype(ops.maximum(x, y)) == ops.dtype(ops.where(x == 1, x, y)) == NAMES[int(place)]
        assert ops.divide(x, y).is_floating_point() and ops.less(x, y).dtype == torch.bool
        if place != "0":
            product = ops.matmul(x.reshape(1, 3), y)
            assert ops.dtype(product) == ("int32" if first == second == "int8" else NAMES[int(place)])
    for number, place in zip((2, 2.5), numbers, strict=True):
        for function in (ops.add, ops.multiply, ops.maximum, ops.power, ops.mod):
            assert ops.dtype(function(x, number)) == ops.dtype(function(number, x)) == NAMES[int(place)]


@pytest.mark.parametrize("name", NAMES)
def test_types_of_one_operand(name):
    x = torch.ones(2, 2, dtype=getattr(torch, name))
    real = name if name.startswith(("float", "bfloat")) else "float32"
    small = name in ("bool", "uint8", "int8", "int16")
    for function in (
        ops.exp,
        ops.mean,
        ops.sqrt,
        ops.sigmoid,
        ops.softmax,
        ops.logsumexp,
        ops.std,
        ops.median,
        ops.gelu,
    ):
        assert ops.dtype(function(x)) == real
    for function in (ops.sum, ops.prod):
        assert ops.dtype(function(x)) == ("int32" if small else name)
    for function in (ops.max, ops.flip, ops.relu if name != "bool" else ops.sort, ops.zeros_like):
        assert ops.dtype(function(x)) == name
    for function in (ops.argmax, ops.argsort, ops.count_nonzero, ops.size):
        assert ops.dtype(function(x)) == "int32"


def test_integers_become_floatx():
    before = config.floatx()
    config.set_floatx("float16")
    try:
        assert ops.exp(I).dtype == ops.mean(I).dtype == ops.zeros(2).dtype == ops.divide(I, 2).dtype == torch.float16
        assert ops.add(I, 0.5).dtype == ops.convert_to_tensor(1.0).dtype == torch.float16
    finally:
        config.set_floatx(before)


# Models ----------------------------------------------------------------------------------------------------------

# An unknown first size contradicts the constants beside it, or the function needs a square or fixed axis there.
FIXED = re.compile(
    r"SPD|^(conv|depthwise|separable)\w*\((X|S1), K|^(image.affine|trapezoid\(V, x|broadcast_to|squeeze|vsplit|segment|"
    r"diagonal|qr|svd|take_along_axis|categorical|sparse_categ|ctc|matmul\(I, V2T|lstsq|jvp|repeat\(M, \[)"
)


def symbols(names: list[str], unknown: bool) -> dict[str, SymbolicTensor]:
    found = {}
    for name in names:
        shape = list(TENSORS[name].shape)
        found[name] = Input(batch_shape=[None, *shape[1:]] if unknown else shape, dtype=ops.dtype(TENSORS[name]))
    return found


@pytest.mark.parametrize("unknown", [False, True])
@pytest.mark.parametrize("expression", SYMBOLIC)
def test_symbolic_calls_give_the_shapes_types_and_values_of_real_ones(expression, unknown):
    if unknown and FIXED.search(expression):
        return
    inputs = symbols(list(dict.fromkeys(used(expression))), unknown)
    expected, got = (tensors_of(call(expression, **given)) for given in ({}, inputs))
    assert len(got) == len(expected)
    for symbol, tensor in zip(got, expected, strict=True):
        assert symbol.torch_dtype == tensor.dtype and symbol.ndim == tensor.ndim
        for size, real in zip(symbol.shape, tensor.shape, strict=True):
            assert size == real or (unknown and size is None)
    plan = Plan(Graph(list(inputs.values()), got))
    for computed, tensor in zip(plan(*[TENSORS[name] for name in inputs]), expected, strict=True):
        torch.testing.assert_close(computed, tensor, equal_nan=True)


@pytest.mark.parametrize(
    ("expression", "shape"),
    [
        ("reshape(x, (-1, 6))", (None, 6)),
        ("reshape(x, (-1, 2, 3))", (None, 2, 3)),
        ("reshape(x, (shape(x)[0], 6))", (None, 6)),
        ("reshape(x, (shape(x)[0], -1))", (None, 6)),
        ("concatenate([x, x], axis=-1)", (None, 3, 4)),
        ("concatenate([x, x], axis=0)", (None, 3, 2)),
        ("matmul(x, transpose(x, (0, 2, 1)))", (None, 3, 3)),
        ("einsum('bij,bkj->bik', x, x)", (None, 3, 3)),
        ("einsum('bij->j', x)", (2,)),
        ("split(x, 3, axis=1)[2]", (None, 1, 2)),
        ("unstack(x, axis=2)[1]", (None, 3)),
        ("expand_dims(x, (0, -1))", (1, None, 3, 2, 1)),
        ("broadcast_to(x, (None, 3, 2))", (None, 3, 2)),
        ("tile(x, (2, 1, 2))", (None, 3, 4)),
        ("mean(x, 0)", (3, 2)),
        ("reshape(x, (-1, 5, 7, 3, 2))", (None, 5, 7, 3, 2)),
        ("stack([x, x])", (2, None, 3, 2)),
        ("size(x)", ()),
        ("top_k(x, 1)[1]", (None, 3, 1)),
        ("one_hot(argmax(x, -1), 7)", (None, 3, 7)),
        ("where(x > 0, x, 0.0)", (None, 3, 2)),
        ("get_item(x, (slice(None), 0))", (None, 2)),
    ],
)
def test_unknown_sizes(expression, shape):
    x = Input((3, 2))
    assert ops.shape(x) == (None, 3, 2) and ops.ndim(x) == 3 and ops.dtype(x) == "float32" and not ops.is_tensor(x)
    assert call(expression, x=x).shape == shape


def test_an_op_is_one_node_with_its_name():
    x = Input((4,))
    for result, name in [
        (ops.mean(x, axis=-1), "mean"),
        (ops.gelu(x), "gelu"),
        (ops.layer_normalization(x), "layer_normalization"),
        (ops.get_item(x, 0), "get_item"),
        (ops.logaddexp(x, 1.0), "logaddexp"),
        (ops.absolute(x), "absolute"),
        (ops.concatenate([x, x]), "concatenate"),
        (ops.add(x1=1.0, x2=x), "add"),
    ]:
        assert re.fullmatch(rf"{name}(_\d+)?", result.node.layer.name)
        assert all(tensor is x for tensor in result.node.inputs)
        function = result.node.layer.function
        assert function is getattr(ops, function.__name__) and function.__module__.startswith("lamina.ops.")


def test_keywords_of_a_symbolic_call_arrive():
    x, mask = Input(batch_shape=Q.shape), Input(batch_shape=MASK.shape, dtype="bool")
    y = ops.dot_product_attention(x, KEY, value=VAL, mask=mask)
    assert not y.node.kwargs and len(y.node.args) == 5
    real = Plan(Graph([x, mask], [y]))(Q, MASK)[0]
    torch.testing.assert_close(real, ops.dot_product_attention(Q, KEY, VAL, mask=MASK))
    z = Input((3, 4))
    assert ops.softmax(z, axis=None).node.args == (z, None)
    assert ops.sum(z, axis=1, keepdims=True).node.kwargs == {"axis": 1, "keepdims": True}
    with pytest.raises(TypeError, match="dims"):
        ops.sum(z, dims=1)


def test_ops_work_in_models_and_layers():
    inputs = lamina.Input((4,))
    hidden = ops.relu(lamina.layers.Dense(3)(inputs))
    outputs = ops.concatenate([hidden, ops.mean(hidden, axis=-1, keepdims=True)], axis=-1)
    model = lamina.Model(inputs, outputs)
    x = f(5, 4)
    assert model(x).shape == (5, 4)
    model(x).sum().backward()

    class Centred(lamina.layers.Layer):
        def call(self, inputs):
            batch = ops.shape(inputs)[0]
            return ops.reshape(inputs - ops.mean(inputs, axis=-1, keepdims=True), (batch, 2, -1))

    assert Centred()(lamina.Input((4,))).shape == (None, 2, 2) and Centred()(x).shape == (5, 2, 2)


@pytest.mark.parametrize(
    "expression", ["nonzero(x)", "where(x > 0)", "unique(x)", "bincount(x)", "segment_sum(x, x[:, 0])"]
)
def test_what_depends_on_values_is_refused_in_a_model(expression):
    with pytest.raises(ValueError, match="depends on values"):
        call(expression, x=Input((3,)))


def test_loops_and_branches_of_symbols():
    x = Input((3,))
    value = f(2, 3)
    for result, expected in [
        (ops.cond(ops.sum(x) > 1e9, lambda: 1.0, lambda: 2.0), 2.0),
        (ops.while_loop(lambda y: ops.sum(y) < 5, lambda y: (y + 1,), (x,))[0], None),
        (ops.fori_loop(0, 3, lambda i, y: y + i, x), value + 3),
        (ops.scan(lambda c, y: (c + y, c), ops.zeros(3), x)[0], value.sum(0)),
        (ops.switch(1, [lambda y: y, lambda y: 2 * y], x), 2 * value),
        (ops.vectorized_map(lambda y: ops.sum(y), x), value.sum(1)),
        (ops.vectorize(lambda y: y * y, signature="(n)->(n)")(x), value**2),
    ]:
        if not isinstance(result, SymbolicTensor):
            continue
        (real,) = Plan(Graph([x], [result]))(value)
        assert real.shape == tuple(value.shape if expected is None else torch.as_tensor(expected).shape)
        if expected is None:
            assert float(real.sum()) >= 5
        else:
            torch.testing.assert_close(real, torch.as_tensor(expected))


# Compilation and gradients ---------------------------------------------------------------------------------------

COMPILED = """\
add(A, 2); divide(I, I2); clip(A, -0.5, 0.5); round(A, 1); where(A > 0, A, 0.0); sum(A, (0, 2), True); mean(I)
logsumexp(A, 1); max(A, 1, initial=0.3); argmax(A, 1); quantile(A, [0.3, 0.7], axis=1); cumsum(A, 1); top_k(A, 2)
reshape(A, (4, -1)); transpose(A); concatenate([A, B], 1); stack([I, I2], -1); split(A, [1, 2], 1); unstack(A, axis=1)
pad(A, ((0, 0), (1, 1), (2, 0)), 'reflect'); repeat(M, [1, 0, 2], 0); take(A, [0, -1], 1)
slice(A, (0, 1, 1), (2, 2, 2))
slice_update(A, (0, 1, 0), [[[9.0], [8.0]]]); scatter_update(M, [[0, 1], [2, 2]], [0.1, 0.2], reduction='max')
rearrange(A, 'a b (c d) -> a (b d) c', d=2); one_hot(I3, 3); matmul(A, moveaxis(B, 1, 2)); einsum('abc,abd->acd', A, B)
norm(A, axis=1); solve(SPD, [1.0, 2.0, 3.0]); rfft(A); stft(L, 8, 4, 16); gelu(A); softmax(A, (1, 2))
conv(X, K, 2, 'same')
max_pool(X, 3, 2, 'same'); moments(A, [0, 2]); layer_normalization(A, [1.0, 2.0, 3.0, 4.0]); rms_normalization(A)
dot_product_attention(Q, KEY, VAL, mask=MASK); sparse_categorical_crossentropy([0, 2], SM); histogram(A, bins=3)
while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x * 2), (0, A)); scan(lambda c, x: (c + x, c * x), 0.0, V)
associative_scan(lambda a, b: a + b, V); cond(A[0, 0, 0] > 0, lambda: 2, lambda: 3); vectorized_map(lambda x: x * 2, A)
image.resize(X, (3, 5)); image.affine_transform(X, WARP); image.rgb_to_hsv(RGB)
segment_sum(M, [0, 0, 2], num_segments=4)"""


@pytest.mark.parametrize("expression", re.split(r"; |\n", COMPILED))
def test_ops_compile_without_a_graph_break(expression):
    names = list(dict.fromkeys(used(expression)))
    space = {**OPS, **SETTING}
    exec(f"def function({', '.join(names)}):\n    return {expression}\n", space)
    arguments = [TENSORS[name] for name in names]
    torch._dynamo.reset()
    if expression.startswith("cond"):
        space["function"] = lambda A: ops.cond(A[0, 0, 0] > 0, lambda: A * 2, lambda: A * 3)
    compiled = torch.compile(space["function"], fullgraph=True, backend="eager")(*arguments)
    expected = space["function"](*arguments)
    for got, want in zip(tensors_of(compiled), tensors_of(expected), strict=True):
        torch.testing.assert_close(got, want, equal_nan=True)


# Not differentiable (in torch), at a kink or not finite, or symmetric matrices that a check of single entries leaves.
ROUGH = re.compile(
    r"NAN|SPD|Z\)|uint8|^(nextafter|floor_divide|heaviside|trunc|segment_m|sparsemax|vectorize|cond|jvp|"
    r"image.map_coordinates|image.affine|histogram|correlate)"
)
SMOOTH = [
    expression
    for expression, _ in TABLE
    if any(TENSORS[n].is_floating_point() for n in used(expression)) and not ROUGH.search(expression)
][::3]


@pytest.mark.parametrize("expression", SMOOTH)
def test_gradients(expression):
    names = [name for name in dict.fromkeys(used(expression)) if TENSORS[name].is_floating_point()]

    def function(*values):
        result = tensors_of(call(expression, **dict(zip(names, values, strict=True))))
        return tuple(y for y in result if y.requires_grad and y.dtype in (torch.float64, torch.complex128))

    arguments = [TENSORS[name].double().clone().requires_grad_() for name in names]
    if function(*arguments):
        assert torch.autograd.gradcheck(function, arguments, atol=1e-4, rtol=1e-3, fast_mode=True)


def test_a_gradient_of_ones_own():
    @ops.custom_gradient
    def log1pexp(x):
        e = ops.exp(x)

        def grad(*args, upstream=None):
            if upstream is None:
                (upstream,) = args
            return ops.multiply(upstream, 1.0 - 1.0 / ops.add(1, e))

        return ops.log(1 + e), grad

    x = torch.tensor([0.5, 100.0], requires_grad=True)
    log1pexp(x).sum().backward()
    torch.testing.assert_close(x.grad, torch.tensor([0.6224593, 1.0]))

    @ops.custom_gradient
    def twice(x):
        return 2 * x, lambda upstream: 7 * upstream

    y = torch.ones(2, requires_grad=True)
    twice(y).sum().backward()
    assert y.grad.tolist() == [7, 7]
    assert ops.stop_gradient(y).requires_grad is False


def test_nanvar_has_finite_gradients_beside_nan():
    x = torch.tensor([1.0, float("nan"), 4.0], requires_grad=True)
    ops.nanvar(x).backward()
    assert x.grad.tolist() == [-1.5, 0.0, 1.5]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_float_types_stay(dtype):
    x = X.to(getattr(torch, dtype))
    kernel = K.to(x.dtype)
    for y in (
        ops.conv(x, kernel),
        ops.softmax(x),
        ops.layer_normalization(x),
        ops.moments(x, (0, 1, 2))[1],
        ops.quantile(x, 0.5, axis=1),
        ops.image.resize(x, (3, 3)),
        ops.linspace(x[0, 0, 0], x[0, 0, 1], 3),
        ops.normalize(x),
    ):
        assert y.dtype == x.dtype and bool(torch.isfinite(y).all())


@pytest.mark.parametrize("expression", ["mean(E, 1)", "sum(E)", "softmax(E)", "sort(E, 0)", "concatenate([E, E])",
    "matmul(E, M)", "one_hot(argmax(E, 1), 3)", "layer_normalization(E)", "take(M, NONE, 0)", "histogram(E)",
    "logsumexp(E, 1)", "in_top_k(argmax(E, 1), E, 1)", "where(E > 0, E, 0.0)"])  # fmt: skip
def test_empty_batches(expression):
    first = tensors_of(call(expression, E=torch.zeros(0, 3), NONE=torch.zeros(0, dtype=torch.int64)))[0]
    assert first.shape[:1] in ((0,), (10,), ())


def test_inputs_need_not_be_contiguous():
    x = X.permute(2, 0, 3, 1)
    y = x.contiguous()
    torch.testing.assert_close(ops.ravel(x), ops.ravel(y))
    torch.testing.assert_close(ops.median(x, (0, 2)), ops.median(y, (0, 2)))
    torch.testing.assert_close(ops.max_pool(x, 2), ops.max_pool(y, 2))
    places = [ops.searchsorted(V.sort().values, z[..., 0]) for z in (x, y)]
    torch.testing.assert_close(*places)


# The rest --------------------------------------------------------------------------------------------------------


def test_every_public_name_and_argument_of_keras_is_there():
    signatures = json.loads((Path(__file__).parent / "golden/signatures/keras3.json").read_text())
    names = {name[4:]: arguments for name, arguments in signatures.items() if name.startswith("ops.")}
    assert len(names) > 600
    for name, arguments in names.items():
        function = ops
        for part in name.split("."):
            function = getattr(function, part)
        if isinstance(arguments, list) and inspect.isfunction(function):
            parameters = inspect.signature(function).parameters.values()
            given = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters]
            assert given == [argument.lstrip("*") for argument in arguments], name


def test_the_way_to_torch_is_short():
    """`ops.add` is the recording decorator, the function and the check of its operands."""
    frames = []

    def note(frame, event, argument):
        if event == "call":
            frames.append(frame.f_code.co_name)

    for function, arguments, limit in [(ops.add, (A, B), 3), (ops.mean, (A, -1), 3), (ops.relu, (A,), 3)]:
        frames.clear()
        sys.setprofile(note)
        try:
            function(*arguments)
        finally:
            sys.setprofile(None)
        assert len(frames) <= limit, frames


def test_slices_at_a_place_that_is_a_tensor():
    start = torch.tensor([0, 1, 2])
    torch.testing.assert_close(ops.slice(A, start, (2, 2, 2)), A[:2, 1:3, 2:4])
    updated = ops.slice_update(A, start, torch.zeros(2, 2, 2))
    assert float(updated[:, 1:, 2:].abs().sum()) == 0 and torch.equal(updated[:, 0], A[:, 0])


def test_attention_with_a_soft_cap_and_without_anything_to_see():
    nothing = torch.zeros(2, 1, 5, 6, dtype=torch.bool)
    seen = ops.dot_product_attention(Q, KEY, VAL, mask=nothing)
    torch.testing.assert_close(seen, VAL.mean(1, keepdim=True).expand(2, 5, 4, 8))
    wide = ops.dot_product_attention(Q, KEY, VAL, attn_logits_soft_cap=1e4)
    torch.testing.assert_close(wide, ops.dot_product_attention(Q, KEY, VAL), rtol=1e-3, atol=1e-4)
    tight = ops.dot_product_attention(Q, KEY, VAL, attn_logits_soft_cap=1e-4)
    torch.testing.assert_close(tight, VAL.mean(1, keepdim=True).expand(2, 5, 4, 8), rtol=1e-2, atol=1e-3)


def test_random_warps_repeat_with_their_seed():
    first, second, other = (ops.image.elastic_transform(RGB, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first, second) and not torch.equal(first, other) and first.shape == RGB.shape
    calm = ops.image.elastic_transform(RGB, alpha=0.0, seed=3)
    torch.testing.assert_close(calm, RGB)
    alone = ops.image.elastic_transform(U8[0], seed=1)
    assert alone.dtype == torch.uint8 and alone.shape == U8[0].shape


def test_lanczos_keeps_a_plain_picture():
    plain = torch.full((1, 6, 7, 2), 0.3)
    for method in ("lanczos3", "lanczos5"):
        resized = ops.image.resize(plain, (4, 9), method, antialias=True)
        torch.testing.assert_close(resized, torch.full((1, 4, 9, 2), 0.3))


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("split(A, 2, 1)", "axis 1 of size 3 does not divide into 2"),
        ("squeeze(A, 1)", "has size 3; expected 1"),
        ("flip(A, 5)", "there is no axis 5"),
        ("where(A > 0, A)", "both `x1` and `x2`"),
        ("pad(A, 1, 'mirrored')", "unknown mode 'mirrored'"),
        ("pad(A, ((1, 1), (2, 2)))", "a pair for each of the 3 axes"),
        ("conv(X, K[:, :, :3])", "4 channels, which the kernel's 3"),
        ("conv(X, K, padding='full')", '"valid" or "same"'),
        ("conv(X, K, strides=(1, 2, 3))", "one positive integer or 2 of them"),
        ("max_pool(M, 2)", "expected 3, 4 or 5 axes"),
        ("cholesky(M)", "square matrices"),
        ("qr(M, mode='raw')", '"reduced" or "complete"'),
        ("stft(L, 8, 4, 4)", "must be at least sequence_length 8"),
        ("fft(A)", "expected a pair"),
        ("searchsorted(V, V, side='middle')", '"left" or "right"'),
        ("searchsorted(M, V)", "must have 1 axis"),
        ("scatter_update(M, [[0]], [[1.0] * 4], reduction='mean')", "unknown reduction"),
        ("rearrange(A, 'a b c -> a b')", "does not fit"),
        ("rearrange(A, '(a b (c -> (a b (c')", "one pair of brackets"),
        ("rearrange(A, 'a b ((c)) -> a b c')", "one pair of brackets"),
        ("rearrange(A, '( ' * 200_000 + '->')", "at most 64"),  # takes minutes where each bracket reads to the end
        ("rearrange(A, 'a b (c d) -> a b c d', d=3)", "cannot split an axis of size 4"),
        ("image.resize(X, (2, 2), 'quadratic')", "unknown interpolation"),
        ("image.pad_images(X, 1, 1, 1)", "give two of"),
        ("image.crop_images(X, 3, 0, 3, 0, target_height=9)", "give two of"),
        ("image.rgb_to_hsv(U8)", "Divide by 255"),
        ("image.rgb_to_grayscale(X)", "3 channels"),
        ("image.ssim(RGB, RGB)", "smaller than the filter"),
        ("image.map_coordinates(M, [[0.5]], 1)", "1 coordinates for an array of 2 axes"),
        ("image.affine_transform(X, [1.0, 2.0])", r"must be \(8,\) or \(N, 8\)"),
        ("unstack(A, 3)", "`num` is 3"),
        ("slice(M, (0, 0, 0), (1, 1))", "a start and a size for each of the 2 axes"),
        ("slice(M, (0, 0), (1, 1, 1))", "2 starts and 3 sizes"),
        ("digitize(M, M)", "`bins` must have 1 axis"),
        ("segment_sum(M, [[0, 1], [0, 1]], 2)", "`segment_ids` must be a vector"),
        ("segment_max(A, [0], 2)", "an id for each row"),
        ("stft(L, 8, 0, 8)", "`sequence_stride` must be a positive integer"),
        ("istft((M, M), 2, -5, 4)", "`sequence_stride` must be a positive integer"),
        ("istft((M, M), 2, 1.5, 4)", "`sequence_stride` must be a positive integer"),
        ("depth_to_space(X, 0)", "`block_size` must be a positive integer"),
        ("space_to_depth(X, -2)", "`block_size` must be a positive integer"),
        ("eye(2.5)", "integer"),
        ("pad(A, 1, 'edge', 1.0)", "can only be provided when"),
        ("one_hot([1], 3, sparse=True)", "sparse tensors"),
        ("multi_hot([1])", "`num_classes` is needed"),
        ("dot_product_attention(M, M, M)", "need 4 axes"),
        ("average(A, axis=0, weights=[1.0])", "does not fit"),
        ("select([A > 0], [])", "1 conditions for 0 choices"),
        ("scan(lambda c, x: (c, x), 0.0)", "give `xs`"),
        ("normalize(A, order=0)", "at least 1"),
        ("ctc_decode(LOG, [5, 4], strategy='best')", '"greedy" or "beam_search"'),
        ("zeros(2, 'float99')", "Unknown dtype"),
        ("convert_to_tensor([1], sparse=True)", "sparse and ragged"),
        ("image.resize(X, (2, 2), data_format='NHWC')", "channels_last"),
    ],
)
def test_errors_say_what_was_expected(expression, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call(expression)


def misfits():
    """Arguments that fit few ops: of other sizes, of no elements, along an axis that is not there."""
    x, y, scalar = torch.ones(2, 3), torch.ones(4, 5), torch.ones(())
    yield from (((x,), {"axis": 9}), ((y, x), {"axis": 9}), ((x, y), {}), ((x, y, y), {}), ((y, x, x, x), {}))
    yield from (((scalar,), {}), ((torch.ones(0),), {}), (([x, y],), {}), ((x, (7, 7)), {}), ((x, -9), {}))


RECORDED = {
    f"{room.__name__}.{name}": function
    for room in (ops, ops.nn, ops.linalg, ops.image)
    for name, function in sorted(vars(room).items())
    if hasattr(function, "__wrapped__") and function.__name__ == name != "map"  # which wants a function
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", RECORDED)
def test_what_torch_refuses_is_said_with_the_name_of_the_op(name):
    for args, kwargs in misfits():
        try:
            RECORDED[name](*args, **kwargs)
        except (RuntimeError, IndexError) as error:
            assert isinstance(error, NotImplementedError), f"{type(error).__name__}: {error}"
        except ValueError as error:
            if type(error.__cause__) in (RuntimeError, IndexError):
                assert " cannot take inputs of shape (" in str(error) or "there is no axis" in str(error)
        except TypeError:
            pass


def test_the_shapes_of_an_op_that_fails():
    with pytest.raises(ValueError, match=r"^matmul cannot take inputs of shape \(2, 3\), \(4, 5\): (mm: )?mat1"):
        ops.matmul(torch.ones(2, 3), torch.ones(4, 5))
    with pytest.raises(ValueError, match=r"^reshape cannot take inputs of shape \(2, 3\): shape '\[4, 4\]'"):
        ops.reshape(torch.ones(2, 3), (4, 4))


OVER_AXES = ["sum", "mean", "var", "std", "max", "min", "amax", "amin", "ptp", "any", "all"]


@pytest.mark.parametrize("name", [*OVER_AXES, *(f"nan{name}" for name in OVER_AXES[:6])])
def test_a_reduction_over_no_axes_keeps_each_value(name):
    """As NumPy's, and those of Keras 3.15 on torch and TensorFlow; torch's own reduces over all."""
    x = np.array([[1.0, -2.0, 0.0], [4.0, 5.0, 6.0]], "float32")
    for given in ((), []):
        found = getattr(lamina.ops, name)(x, axis=given, keepdims=True)
        np.testing.assert_allclose(found, getattr(np, name)(x, axis=()), rtol=1e-6)
    assert lamina.ops.count_nonzero(x, axis=()).tolist() == (x != 0).tolist()
    np.testing.assert_allclose(lamina.ops.logsumexp(x, axis=()), x, rtol=1e-6)
    np.testing.assert_allclose(lamina.ops.average(x, axis=()), x)


class Pairs(lamina.Layer):
    """Joins neighbouring steps."""

    def call(self, x):
        batch, steps, size = lamina.ops.shape(x)
        return lamina.ops.reshape(x, (batch, steps // 2, 2 * size))


@pytest.mark.parametrize(
    ("function", "shape", "expected"),
    [
        (lambda x: lamina.ops.split(x, 2), (None, 4), [(None, 4)] * 2),
        (lambda x: lamina.ops.split(x, 3, axis=1), (2, None, 4), [(2, None, 4)] * 3),
        (lambda x: lamina.ops.hsplit(x, 5), (2, None), [(2, None)] * 5),
        (lambda x: lamina.ops.reshape(x, (-1, 2, 3)), (None, 3), (None, 2, 3)),
        (lambda x: Pairs()(x), (None, None, 4), (None, None, 8)),
        (lambda x: lamina.ops.unstack(x, num=3), (None, 2), [(2,)] * 3),
    ],
)
def test_an_unknown_size_may_be_divided(function, shape, expected):
    found = function(lamina.KerasTensor(shape))
    assert (found.shape if isinstance(expected, tuple) else [tensor.shape for tensor in found]) == expected


def test_the_number_of_outputs_must_be_known():
    """As in Keras: "Cannot infer argument `num` from shape"."""
    for function in (lamina.ops.unstack, lambda x: lamina.ops.array_split(x, x.shape[0])):
        with pytest.raises((ValueError, TypeError)):
            function(lamina.KerasTensor((None, 3)))
    with pytest.raises(ValueError, match="3 slices; `num` is 2"):
        lamina.ops.unstack(lamina.KerasTensor((3, None)), num=2)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int32"])
def test_distributions_are_drawn_for_every_type(dtype):
    drawn = [
        lamina.random.gamma((2,), 5.0, dtype=dtype, seed=1),
        lamina.random.beta((2,), 5.0, 1.0, dtype=dtype, seed=1) if dtype != "int32" else None,
        lamina.random.binomial((2,), 9, 0.5, dtype=dtype, seed=1),
    ]
    assert all(values is None or (lamina.backend.standardize_dtype(values.dtype) == dtype) for values in drawn)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_half_precision_is_antialiased(interpolation, dtype):
    x = torch.rand(1, 8, 8, 2)
    found = lamina.ops.image.resize(x.to(dtype), (5, 12), interpolation=interpolation, antialias=True)
    assert found.dtype is dtype
    expected = lamina.ops.image.resize(x, (5, 12), interpolation=interpolation, antialias=True)
    torch.testing.assert_close(found.float(), expected, rtol=0.02, atol=0.02)
    assert lamina.layers.Resizing(5, 4, antialias=True, dtype=lamina.backend.standardize_dtype(dtype))(x).dtype is dtype


def test_one_number_keeps_its_type_and_ranges_are_lists():
    assert lamina.ops.squareplus(torch.tensor(1.0)).dtype is torch.float32
    assert lamina.ops.squareplus(torch.tensor(1.0, dtype=torch.float64)).dtype is torch.float64
    assert lamina.ops.array(range(3)).tolist() == [0, 1, 2]


def test_what_numpy_gets_is_a_copy():
    """As in Keras: a value kept before training does not change with the weight."""
    weight, array = lamina.Variable([1.0, 2.0]), np.ones(2)
    for owner in (weight, weight.detach(), torch.ones(2), array, [torch.ones(2), array]):
        kept = lamina.ops.convert_to_numpy(owner)
        kept += 7
        assert not np.allclose(kept, lamina.ops.convert_to_numpy(owner))
    kept = lamina.ops.convert_to_numpy(weight)
    weight.assign([5.0, 6.0])
    assert kept.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(("number", "integer"), [("float16", "int16"), ("float16", "uint8"), ("bfloat16", "int64")])
def test_a_division_keeps_the_type_of_the_floats(number, integer):
    """As Keras 3.15 on torch and JAX."""
    x1, x2 = lamina.ops.cast([1.0, -3.0], number), lamina.ops.cast([2, 0], integer)
    found = lamina.ops.divide_no_nan(x1, x2)
    assert lamina.backend.standardize_dtype(found.dtype) == number
    assert found.tolist() == [0.5, 0.0]


@pytest.mark.parametrize("name", ["max", "min"])
def test_the_extreme_of_no_values_is_the_initial_one(name):
    """As NumPy and Keras 3.15 on JAX."""
    x = np.zeros((2, 0, 3), "float32")
    for axis, keepdims in ((1, False), (1, True), (None, False), ((0, 1), True)):
        found = getattr(lamina.ops, name)(x, axis=axis, keepdims=keepdims, initial=1)
        expected = getattr(np, name)(x, axis=axis, keepdims=keepdims, initial=1)
        assert found.dtype is torch.float32
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("signature", ["(n),()->()", "(),(n)->()", "(n),(m)->()", "(n,m),()->()"])
def test_a_signature_may_name_single_values(signature):
    """Values of numpy.vectorize."""
    shapes = {"": (2,), "n": (2, 3), "m": (2, 4), "n,m": (2, 3, 4)}
    parts = signature.split("->")[0][1:-1].split("),(")
    x, y = (np.arange(1.0, np.prod(shapes[part]) + 1).reshape(shapes[part]) for part in parts)
    found = lamina.ops.vectorize(lambda a, b: lamina.ops.sum(a) * lamina.ops.sum(b), signature=signature)(x, y)
    expected = np.vectorize(lambda a, b: np.sum(a) * np.sum(b), signature=signature)(x, y)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


BOOLEAN_PRODUCTS = {
    "matmul": ("ij,jk->ik", lambda a, b, v: (a, b)),
    "dot": ("ij,jk->ik", lambda a, b, v: (a, b)),
    "tensordot": ("ij,jk->ik", lambda a, b, v: (a, b, 1)),
    "inner": ("ij,kj->ik", lambda a, b, v: (a, a)),
    "vdot": ("i,i->", lambda a, b, v: (v, v)),
}


@pytest.mark.parametrize("name", BOOLEAN_PRODUCTS)
def test_a_product_of_booleans_says_whether_any_pair_is_true(name):
    """As Keras 3.15 on torch; 300 pairs are more than a byte counts."""
    subscripts, arguments = BOOLEAN_PRODUCTS[name]
    a, b, v = (np.arange(n).reshape(shape) % 2 == 0 for n, shape in ((512, (2, 256)), (768, (256, 3)), (256, (256,))))
    a[1] = False
    given = arguments(a, b, v)
    found = getattr(lamina.ops, name)(*given)
    assert found.dtype is torch.bool
    np.testing.assert_array_equal(found, np.einsum(subscripts, *(x.astype(int) for x in given[:2])) > 0)


@pytest.mark.parametrize("name", ["minimum", "maximum", "floor_divide"])
@pytest.mark.parametrize(
    ("one", "other", "both"),
    [("uint8", "int32", "int32"), ("int8", "int32", "int32"), ("float16", "float32", "float32")],
)
def test_single_values_widen_as_any_others(name, one, other, both):
    """As Keras 3.15 on torch."""
    x, value = lamina.ops.cast([1, 2, 5], one), lamina.ops.cast(2, other)
    for pair, numbers in (((x, value), ([1, 2, 5], 2)), ((value, x), (2, [1, 2, 5]))):
        found = getattr(lamina.ops, name)(*pair)
        assert lamina.backend.standardize_dtype(found.dtype) == both
        np.testing.assert_array_equal(found, getattr(np, name)(*numbers))


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_float32_beside_half_precision_gives_float32(half):
    """As Keras 3.15 on torch: targets beside outputs, statistics beside what is normalized."""
    ops = lamina.ops
    output, target = ops.cast([[0.25, 0.75], [0.5, 0.5]], half), ops.convert_to_tensor([[0.0, 1.0], [1.0, 0.0]])
    expected = ops.categorical_crossentropy(target, ops.cast(output, "float32"))
    vector = ops.convert_to_tensor([0.1, 0.2])
    normalized = ops.batch_normalization(output, vector, vector, -1)
    for found in (
        ops.categorical_crossentropy(target, output),
        ops.binary_crossentropy(target, output),
        ops.binary_crossentropy(ops.cast(target, half), ops.cast(output, "float32")),
        normalized,
    ):
        assert found.dtype is torch.float32
    torch.testing.assert_close(ops.categorical_crossentropy(target, output), expected)
    torch.testing.assert_close(
        normalized, ops.batch_normalization(ops.cast(output, "float32"), vector, vector, -1), rtol=1e-6, atol=1e-6
    )
    for kept in (
        ops.categorical_crossentropy(ops.cast(target, "int32"), output),
        ops.batch_normalization(output, ops.cast(vector, half), ops.cast(vector, half), -1, vector, vector),
    ):
        assert kept.dtype is output.dtype


@pytest.mark.parametrize(("dtype", "wider"), [("uint16", "int32"), ("uint32", "int64")])
def test_unsigned_integers_are_held_in_wider_ones(dtype, wider):
    """As Keras 3.15 on torch, which can hardly compute with them: a picture of 16 bits is an array of such."""
    ops, array = lamina.ops, np.array([1, 65535], dtype)
    for found in (ops.convert_to_tensor(array), ops.cast(array, dtype), ops.convert_to_tensor([1, 65535], dtype)):
        assert lamina.backend.standardize_dtype(found.dtype) == wider and found.tolist() == [1, 65535]
    assert ops.add(array, 1).tolist() == [2, 65536] and ops.max(array) == 65535 and ops.negative(array)[1] == -65535
    assert lamina.backend.standardize_dtype(ops.zeros(2, dtype).dtype) == wider


def calls_along(axis: object) -> list[tuple[str, str, dict]]:
    """(name, argument, all arguments) of each function that takes axes."""
    special = {"xs": [A, A], "arrays": [A, A], "k": 1, "num_classes": 2, "shift": 1, "repeats": 1, "ord": 2}
    special |= {"indices_or_sections": 1, "indices": np.array([0]), "source": 0, "destination": 0}
    found = []
    for name, function in sorted(vars(ops).items()):
        parameters = inspect.signature(function).parameters if inspect.isfunction(function) else {}
        for word in parameters.keys() & {"axis", "axes"}:
            needed = [each.name for each in parameters.values() if each.default is each.empty and each.kind == 1]
            given = {**dict.fromkeys(needed, A), **{key: special[key] for key in needed if key in special}}
            if name == "multi_hot":
                given["num_classes"] = 2
            found.append((name, word, given | {word: axis}))
    return found


def test_axes_that_are_none_are_told_with_the_function() -> None:
    assert len(calls_along(0)) > 70
    for axis in ("a", 1.5):
        for name, word, given in calls_along(axis):
            with pytest.raises(ValueError, match=rf"^{name}: `{word}` must be made of integers; got {axis!r}\."):
                getattr(ops, name)(**given)
    inside = {
        "nancumprod": "cumprod",
        "nancumsum": "cumsum",
        "nansum": "sum",
        "geomspace": "linspace",
        "logspace": "linspace",
    }
    for name, word, given in calls_along(7):
        with pytest.raises(ValueError, match=rf"^{inside.get(name, name)}\b") as told:
            getattr(ops, name)(**given)
        assert "7" in str(told.value), (name, word)


def test_one_axis_too_many_is_told_of_symbols_as_of_tensors() -> None:
    for x in (A, lamina.Input((3, 4), batch_size=2)):
        with pytest.raises(
            ValueError, match=r"logsumexp: there is no axis 3 \(`axis`\): the input has shape \(2, 3, 4\)"
        ):
            ops.logsumexp(x, axis=3)
        with pytest.raises(ValueError, match=r"argpartition: there is no axis 3 .* axes -3 to 2"):
            ops.argpartition(x, 1, axis=3)


@pytest.mark.parametrize("key", [0, 2])
@pytest.mark.parametrize("sizes", [(-1, 2), (2, -1), (-1, -1)])
def test_a_size_of_a_slice_may_be_the_rest(sizes: tuple[int, int], key: int) -> None:
    x = torch.arange(20.0).reshape(4, 5)
    ends = [start + size if size >= 0 else None for start, size in zip((key, 1), sizes, strict=True)]
    expected = x[key : ends[0], 1 : ends[1]]
    for starts in ((key, 1), torch.tensor([key, 1])):
        assert torch.equal(ops.slice(x, starts, sizes), expected)
    symbol = ops.slice(SymbolicTensor((None, 5), torch.float32), (key, 1), sizes)
    assert symbol.shape == tuple(
        None if n == -1 and not axis else size for axis, (n, size) in enumerate(zip(sizes, expected.shape, strict=True))
    )
    with pytest.raises(ValueError, match="in place of -1"):
        ops.slice(SymbolicTensor((4, 5), torch.float32), SymbolicTensor((2,), torch.int32), sizes)


@pytest.mark.parametrize(
    "other", [lambda: ops.zeros(4), lambda: ops.zeros(3, "int32"), lambda: (ops.zeros(3),), lambda: 3]
)
def test_branches_of_a_model_give_the_same(other) -> None:
    with pytest.raises(ValueError, match="both branches must give the same"):
        ops.cond(SymbolicTensor((), torch.bool), lambda: ops.ones(3), other)


@pytest.mark.parametrize(
    "name", ["sort", "argsort", "softmax", "log_softmax", "cumsum", "flip", "max", "argmax", "median"]
)
@pytest.mark.parametrize("axis", [2, -3])
def test_an_axis_that_symbols_lack_is_told(name: str, axis: int) -> None:
    for x in (torch.ones(3, 4), SymbolicTensor((3, 4), torch.float32), SymbolicTensor((None, 4), torch.float32)):
        with pytest.raises(ValueError, match=rf"{name}.* {axis}\b"):
            getattr(ops, name)(x, axis=axis)


@pytest.mark.parametrize(
    "values", [[1.0, 2.0, np.inf], [np.inf] * 3, [1.0, np.inf], [-np.inf, 2.0], [-np.inf] * 2, [3e38] * 4]
)
def test_medians_of_infinite_values(values: list[float]) -> None:
    x = np.array(values, "float32")
    expected = np.float32(np.median(np.array(values)))
    assert ops.median(x) == expected and ops.nanmedian([*values, np.nan]) == expected


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_distances_and_angles_in_half_precision(half: str) -> None:
    x = ops.cast(torch.tensor([[0.0, 3.0], [4.0, 0.0]]), half)
    assert ops.dtype(ops.cdist(x, x)) == ops.dtype(ops.cdist(x, x.int())) == half and ops.cdist(x, x)[0, 1] == 5
    assert torch.equal(ops.polar(x, x), torch.polar(x.float(), x.float()))


@pytest.mark.parametrize("invert", [False, True])
def test_truth_values_among_others(invert: bool) -> None:
    assert ops.isin([True, False], [True, True], invert=invert).tolist() == [not invert, invert]


def test_arrays_of_bfloat16() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = np.arange(6).astype(ml_dtypes.bfloat16).reshape(2, 3)
    for each in (x, x.T, x[:, ::-1], x[0, 2]):
        found = ops.convert_to_tensor(each)
        assert found.dtype is torch.bfloat16 and found.tolist() == each.astype("float32").tolist()


@pytest.mark.parametrize("cast", [ops.cast, ops.saturate_cast])
def test_no_type_is_the_default_one(cast) -> None:
    assert cast(np.ones(2, "int32"), None).dtype is torch.float32


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("sign", [1, -1])
def test_moments_of_half_precision_stay_finite(sign: int, keepdims: bool) -> None:
    x = torch.full((2, 3), 60000.0 * sign, dtype=torch.float16)
    x[0] *= -0.5
    mean, variance = ops.moments(x, 0, keepdims)
    assert mean.dtype is variance.dtype is torch.float16 and bool((variance == 65504).all())
    assert mean.reshape(-1).tolist() == [15000.0 * sign] * 3


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_classes_in_time_from_half_precision(half: torch.dtype) -> None:
    scores = torch.randn(2, 6, 4).to(half)
    for function in (
        lambda x: ops.ctc_loss([[1, 2], [3, 1]], x, [2, 1], [6, 5]),
        lambda x: ops.ctc_decode(x, [6, 5])[1],
        lambda x: ops.ctc_decode(x, [6, 5], "beam_search")[1],
    ):
        torch.testing.assert_close(function(scores), function(scores.float()))


@pytest.mark.parametrize(("half", "rounding"), [("float16", 1e-3), ("bfloat16", 8e-3)])
def test_pictures_are_pulled_in_half_precision(half: str, rounding: float) -> None:
    picture, start = torch.rand(5, 6, 2), [[0.0, 0.0], [5.0, 0.0], [0.0, 4.0], [5.0, 4.0]]
    end = [[1.0, 0.0], [5.0, 1.0], [0.0, 4.0], [4.0, 3.0]]
    found = ops.image.perspective_transform(*(ops.cast(each, half) for each in (picture, start, end)))
    assert ops.dtype(found) == half
    expected = ops.image.perspective_transform(picture, start, end)
    torch.testing.assert_close(found.float(), expected, atol=rounding, rtol=0)


@pytest.mark.parametrize(
    ("call", "dtype"),
    [
        (lambda a, b: ops.average(a("int32"), weights=b("bfloat16")), "bfloat16"),
        (lambda a, b: ops.average(a("bool"), weights=b("float16")), "float16"),
        (lambda a, b: ops.average(a("bfloat16"), weights=b("int32")), "bfloat16"),
        (lambda a, b: ops.average(a("int8"), weights=b("int8")), "float32"),
        (lambda a, b: ops.bincount(a("uint8"), weights=b("int8")), "int16"),
        (lambda a, b: ops.bincount(a("int32"), weights=b("int8")), "int32"),
        (lambda a, b: ops.bincount(a("int8"), weights=b("bfloat16")), "bfloat16"),
        (lambda a, b: ops.max(a("bool"), initial=0), "bool"),
        (lambda a, b: ops.min(a("bool"), initial=1), "bool"),
        (lambda a, b: ops.einsum("i,i->i", a("int8"), b("bool")), "int8"),
        (lambda a, b: ops.einsum("i,i->i", a("int8"), b("int8")), "int32"),
        (lambda a, b: ops.digitize(a("bool"), ops.cast([0, 1], "bool")), "int32"),
    ],
)
def test_types_beside_others_as_recorded_from_keras_3_15(call: Callable, dtype: str) -> None:
    def ones(of: str) -> Tensor:
        return ops.ones((2,), of)

    assert call(ones, ones).dtype is getattr(torch, dtype)


def test_truths_have_an_order() -> None:
    truths = torch.tensor([False, True])
    assert ops.digitize(torch.tensor([False, True, True]), truths).tolist() == [1, 2, 2]
    assert ops.searchsorted(truths, torch.tensor([False, True, True])).tolist() == [0, 1, 1]
