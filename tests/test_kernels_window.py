"""Window arithmetic against its definition, and the numeric kernels against slow NumPy loops."""

from __future__ import annotations

import itertools
import math
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina.kernels import convolution, eager, local, pooling, resize, window
from lamina.translation.local import places

RANKS = (1, 2, 3)
FORMATS = (True, False)
NAMES = ("valid", "same", "causal", "full")


def first(x, channels_last):
    """To (N, C, *S), contiguous."""
    return (x.movedim(-1, 1) if channels_last else x).contiguous()


def windows(x, pads, size, strides, dilation, fill):
    """(N, C, *out, *k) of a NumPy array (N, C, *S) by plain loops."""
    x = np.pad(x, [(0, 0), (0, 0), *pads], constant_values=fill)
    spans = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    out = [(n - span) // s + 1 for n, span, s in zip(x.shape[2:], spans, strides, strict=True)]
    y = np.empty((*x.shape[:2], *out, *size))
    for at in itertools.product(*map(range, out)):
        axes = zip(at, strides, spans, dilation, strict=True)
        y[(..., *at, *[slice(None)] * len(size))] = x[(..., *[slice(i * s, i * s + e, d) for i, s, e, d in axes])]
    return y


def draw(rank, channels_last, size=6, channels=4, dtype=torch.float64, batch=2):
    shape = [size + axis for axis in range(rank)]
    x = torch.randn(batch, *shape, channels) if channels_last else torch.randn(batch, channels, *shape)
    return x.to(dtype)


def per_axis_pads(x, channels_last, size, strides, padding, dilation):
    sizes = first(x, channels_last).shape[2:]
    paddings = window.per_axis(padding, len(size))
    return [window.pads(*axis) for axis in zip(sizes, size, strides, paddings, dilation, strict=True)]


# --- window arithmetic


@given(st.integers(1, 20), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3), st.sampled_from(["valid", "same"]))
def test_taps_of_a_window_and_of_its_gradient(size, kernel, stride, dilation, padding):
    """A transposed convolution reads by each tap what it writes by it, and a window reads what its kernel says."""
    before, _ = window.transposed_pads(kernel, stride, padding, None, dilation)
    written = {
        (tap, place, at)
        for at in range(size)
        for tap, place in enumerate(window.taps(at, before, kernel, stride, dilation))
    }
    reads = range(-before, size * stride + kernel * dilation)
    read = {
        (tap, place, at)
        for place in reads
        for tap, at in window.transposed_taps(place, before, kernel, stride, dilation)
        if 0 <= at < size
    }
    assert written == read
    before, _ = window.pads(size, kernel, stride, padding, dilation)
    for at in range(window.output_size(size, kernel, stride, padding, dilation)):
        places = list(window.taps(at, before, kernel, stride, dilation))
        assert places == [at * stride + tap * dilation - before for tap in range(kernel)]
        assert padding == "same" or all(0 <= place < size for place in places)


@given(st.integers(1, 30), st.data())
def test_parts_are_those_of_adaptive_pooling(size, data):
    parts = data.draw(st.integers(1, size))
    x = torch.eye(size, dtype=torch.float64)[:, None]
    seen = torch.nn.functional.adaptive_avg_pool1d(x, parts)[:, 0] > 0  # (place, part)
    for part in range(parts):
        assert list(window.part(part, size, parts)) == seen[:, part].nonzero()[:, 0].tolist()


@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 5), st.integers(1, 4))
def test_same_covers_every_stride_with_the_least_pad(size, kernel, stride, dilation):
    before, after = window.pads(size, kernel, stride, "same", dilation)
    outputs = window.output_size(size, kernel, stride, "same", dilation)
    assert outputs == len(range(0, size, stride))
    assert 0 <= after - before <= 1
    last = (outputs - 1) * stride + window.extent(kernel, dilation)
    assert last == size + before + after or (last < size and before == after == 0)


@given(st.integers(1, 30), st.integers(1, 6), st.integers(1, 5), st.integers(1, 4), st.sampled_from(NAMES))
def test_output_size_counts_window_positions(size, kernel, stride, dilation, padding):
    before, after = window.pads(size, kernel, stride, padding, dilation)
    starts = range(-before, size + after - window.extent(kernel, dilation) + 1, stride)
    expected = len(range(0, size, stride)) if padding == "same" else len(starts)
    assert window.output_size(size, kernel, stride, padding, dilation) == expected
    assert window.output_size(None, kernel, stride, padding, dilation) is None


@given(st.integers(1, 20), st.integers(1, 6), st.integers(1, 5), st.integers(1, 3), st.sampled_from(("valid", "same")))
def test_transposed_size_undoes_output_size(size, kernel, stride, dilation, padding):
    enlarged = window.transposed_size(size, kernel, stride, padding, dilation=dilation)
    assert window.output_size(enlarged, kernel, stride, padding, dilation) == size
    if padding == "same":
        assert window.output_size(enlarged + 1, kernel, stride, padding, dilation) == size + 1


def test_transposed_size_with_output_padding_is_keras():
    # (size, kernel, stride, padding, output_padding, dilation) -> what Keras 3.15 gives
    cases = {
        (5, 3, 2, "valid", 1, 1): 12,
        (5, 5, 3, "valid", 2, 1): 19,
        (5, 3, 2, "same", 0, 1): 9,
        (5, 3, 2, "same", 1, 1): 10,
        (5, 2, 2, "same", 0, 1): 8,
        (5, 3, 1, "valid", None, 2): 9,
        (None, 3, 1, "valid", None, 2): None,
    }
    assert {case: window.transposed_size(*case) for case in cases} == cases


def test_unknown_paddings_are_named():
    with pytest.raises(ValueError, match="'sane'"):
        window.pads(5, 3, 1, "sane")
    with pytest.raises(ValueError, match="transposed convolution"):
        window.transposed_pads(3, 1, "causal")


def test_check_fits_names_the_axis():
    window.check_fits("conv", (None, 4), (9, 4))
    window.check_fits("conv", (2, 2), (3, 3), 4, "same")
    with pytest.raises(ValueError, match=r"conv2d: a window of 3 \(dilated to 5\).* spatial axis 1, which has size 4"):
        window.check_fits("conv2d", (8, 4), (3, 3), (1, 2))


def test_check_fits_tells_all_there_is():
    window.check_fits("pool", (3,), (3,))
    with pytest.raises(ValueError) as told:
        window.check_fits("pool", (9, 2), (3, 3), axes=("height", "width"), padding=((0, 0), (0, 0)))
    assert "pool: a window of 3 does not fit into the width axis, which has size 2 with padding=(0, 0)" in str(
        told.value
    )
    assert "(spatial sizes (9, 2), window (3, 3))" in str(told.value)


def test_paddings_of_an_axis():
    assert window.per_axis("same", 2) == ("same", "same")
    assert window.per_axis([1, (0, 2), "valid"], 3) == ((1, 1), (0, 2), "valid")
    assert window.pads(None, 4, 2, "same") == (None, None)
    assert window.pads(None, 4, 1, "same") == (1, 2)
    assert window.pads(9, 3, 2, (4, 5)) == (4, 5)
    assert window.pads(9, 3, 2, "full", 2) == (4, 4) and window.pads(None, 3, 1, "causal", 3) == (6, 0)
    assert window.pads(7, 2, 4, "same") == (0, 0) and window.pads(5, 1, 4, "same") == (0, 0)
    assert window.known((1, 2)) and not window.known((1, None)) and window.known(())
    assert window.output_size(3, 5, 2) == 0 and window.output_size(7, 3, 2, (1, 2)) == 4
    assert window.output_size(7, 3) == 5 and window.transposed_size(7, 3) == 9


@pytest.mark.parametrize(
    "case, pads",
    [
        ((3, 2, "valid"), (0, 0)), ((2, 4, "valid"), (0, -2)), ((3, 2, "valid", 1), (0, -1)),
        ((3, 2, "valid", 0), (0, 0)),
        ((5, 2, "same"), (1, 2)), ((2, 4, "same"), (0, -2)), ((5, 2, "same", 1), (1, 2)), ((4, 2, "same", 1), (1, 2)),
        ((3, 1, "same", None, 2), (2, 2)), ((3, 2, (1, 2)), (1, 2)), ((3, 2, (1, 2), 1), (1, 1)),
    ],
)  # fmt: skip
def test_pads_of_a_transposed_convolution(case, pads):
    assert window.transposed_pads(*case) == pads


def _layers_of_windows():
    sizes = st.tuples(st.integers(1, 4), st.integers(1, 3), st.sampled_from(("valid", "same", (1, 0))))
    plain = st.tuples(st.just("window"), sizes, st.integers(1, 3))
    return st.lists(plain | st.tuples(st.just("transposed"), sizes, st.integers(1, 3)), max_size=3)


def _through(layers):
    field = window.Field()
    for way, (kernel, stride, padding), dilation in layers:
        more = {"dilation": dilation}
        field = getattr(field, way)(kernel, stride, padding, **more)
    return field


def _seen(layers, output):
    """The inputs that an output sees, tap by tap; none at all where only zeros are between them."""
    if not layers:
        return {output}
    *before, (way, (kernel, stride, padding), dilation) = layers
    found = set()
    for tap in range(kernel):
        if way == "window":
            place = output * stride + tap * dilation - window.pads(stride, kernel, stride, padding, dilation)[0]
        else:
            dropped = window.transposed_pads(kernel, stride, padding, None, dilation)[0]
            place, rest = divmod(output + dropped - tap * dilation, stride)
            if rest:
                continue
        found |= _seen(before, place)
    return found


@given(_layers_of_windows(), st.integers(-9, 9))
def test_a_field_is_what_taps_reach(layers, output):
    seen, field = _seen(layers, output), _through(layers)
    first, last = field.span(output)
    assert (first, last) == ((min(seen), max(seen)) if seen else (math.inf, -math.inf))
    widths = [max(places) - min(places) + 1 for places in (_seen(layers, o) for o in range(60)) if places]
    assert field.size == max(widths, default=0)


@given(_layers_of_windows(), _layers_of_windows())
def test_branches_see_what_both_see(one, other):
    a, b = _through(one), _through(other)
    both = a.joined(b)
    pace = [field.step / len(field.spans) for field in (a, b)]
    assert (both is None) == (pace[0] != pace[1])
    for output in range(-7, 40) if both else ():
        spans = a.span(output), b.span(output)
        assert both.span(output) == (min(span[0] for span in spans), max(span[1] for span in spans))


def test_what_sees_everything():
    every = window.EVERYTHING
    assert every.size == math.inf and every.joined(window.Field()) is every and window.Field().joined(every) is every
    assert window.Field().window(3, 2, "same", size=5).spans == ((-1, 1),)  # of an odd axis, one is padded before it
    assert window.Field().window(3, 2, "same").spans == ((0, 2),)


def test_receptive_field_and_cost():
    field = window.Field().window(3, 2).window(3, dilation=2).window(2, 2)
    assert (field.size, field.step) == (13, 4)
    assert window.multiply_adds((4, 5), (3, 3), 8, 16, groups=2) == 4 * 5 * 9 * 4 * 16


# --- convolution


@pytest.mark.parametrize("filters", [1, 4])
@pytest.mark.parametrize("stride", [2, 3])
@pytest.mark.parametrize("pads", [((0, 0), (0, 0)), ((1, 0), (1, 0))])
def test_one_column_of_one_channel(filters, stride, pads):
    """torch reads beyond its memory here, where data and kernel look like channels last."""
    x, kernel = torch.randn(2, 5, 3, 1), torch.randn(filters, 3, 3, 1).permute(1, 2, 3, 0)
    found = convolution.convolution(x, kernel, None, (1, stride), pads, (1, 1), 1, True)
    exact = convolution.convolution(x.double(), kernel.double(), None, (1, stride), pads, (1, 1), 1, True)
    torch.testing.assert_close(found, exact.float(), rtol=1e-4, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_convolution_is_the_sum_over_windows(data):
    rank = data.draw(st.sampled_from(RANKS))
    channels_last, kernel_first = data.draw(st.booleans()), data.draw(st.booleans())
    groups = data.draw(st.sampled_from((1, 2)))
    size, strides, dilation = (tuple(data.draw(st.integers(1, n)) for _ in range(rank)) for n in (4, 3, 2))
    explicit = tuple((data.draw(st.integers(0, 2)), data.draw(st.integers(0, 3))) for _ in range(rank))
    padding = data.draw(st.sampled_from((*NAMES[1:], explicit, (2,) * rank, "valid")))
    x = draw(rank, channels_last, size=8)
    kernel = torch.randn(6, *size, 4 // groups, dtype=torch.float64).movedim(0, -1)
    kernel = kernel if kernel_first else kernel.contiguous()
    bias = torch.randn(6, dtype=torch.float64)
    y = convolution.convolution(x, kernel, bias, strides, padding, dilation, groups, channels_last)
    pads = per_axis_pads(x, channels_last, size, strides, padding, dilation)
    patches = windows(first(x, channels_last).numpy(), pads, size, strides, dilation, 0)
    patches = patches.reshape(2, groups, 4 // groups, *patches.shape[2:])
    flat = patches.reshape(*patches.shape[: 3 + rank], -1)
    weights = kernel.reshape(-1, 4 // groups, groups, 6 // groups).numpy()
    expected = np.einsum("ngc...k,kcgf->ngf...", flat, weights).reshape(2, 6, *patches.shape[3 : 3 + rank])
    np.testing.assert_allclose(first(y, channels_last), expected + bias.numpy().reshape(-1, *[1] * rank), atol=1e-10)


@pytest.mark.parametrize("padding", ("valid", "same"))
@pytest.mark.parametrize("strides", (1, 2, 3))
@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("channels_last", FORMATS)
def test_transposed_is_the_gradient_of_the_forward_window(rank, strides, padding, channels_last):
    strides, ones, size = (strides,) * rank, (1,) * rank, (3, 2, 4)[:rank]
    y = draw(rank, channels_last, size=2)
    kernel = torch.randn(*size, 3, 4, dtype=torch.float64)
    enlarged = convolution.transposed_convolution(y, kernel, None, strides, padding, None, ones, channels_last)
    x = torch.zeros_like(enlarged, requires_grad=True)
    again = convolution.convolution(x, kernel, None, strides, padding, ones, 1, channels_last)
    (gradient,) = torch.autograd.grad(again, x, y)
    torch.testing.assert_close(enlarged, gradient)


def test_transposed_takes_pairs_and_output_padding():
    x, kernel = draw(1, True, size=4), torch.randn(5, 3, 4, dtype=torch.float64)
    whole = convolution.transposed_convolution(x, kernel, None, (3,), "valid", (0,), (1,), True)
    for pair in ((1, 3), (3, 1), (2, 2)):
        part = convolution.transposed_convolution(x, kernel, None, (3,), (pair,), None, (1,), True)
        torch.testing.assert_close(part, whole[:, pair[0] : whole.shape[1] - pair[1]])
    longer = convolution.transposed_convolution(x, kernel, torch.ones(3).double(), (3,), "valid", (2,), (1,), True)
    torch.testing.assert_close(longer, resize.pad(whole, [(0, 2)], True) + 1)


@pytest.mark.parametrize("output_padding", (None, 0))
@pytest.mark.parametrize("padding", ("valid", "same"))
@pytest.mark.parametrize("channels_last", FORMATS)
@pytest.mark.parametrize("rank", RANKS)
def test_bias_follows_a_transposed_convolution_into_a_size_that_is_no_multiple_of_strides(
    rank, channels_last, padding, output_padding
):
    extra = None if output_padding is None else (output_padding,) * rank
    for size, stride in itertools.product((2, 3, 4), (1, 2, 3)):
        x, ones = draw(rank, channels_last), (1,) * rank
        kernel, bias = torch.randn(*(size,) * rank, 3, 4, dtype=x.dtype), torch.randn(3, dtype=x.dtype)
        plan = convolution.plan_transposed(
            x.shape, (size,) * rank, (stride,) * rank, padding, extra, ones, channels_last
        )
        computed = convolution.run(x, kernel, None, plan._replace(keep=()))
        sizes = computed.shape[1:-1] if channels_last else computed.shape[2:]
        assert (plan.op is convolution._then_bias) == any(n % stride for n in sizes)
        added = bias if channels_last else bias.view(-1, *ones)
        expected = convolution.run(x, kernel, None, plan) + added
        torch.testing.assert_close(convolution.run(x, kernel, bias, plan), expected)


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("channels_last", FORMATS)
def test_separable_is_depthwise_then_pointwise(rank, channels_last):
    x, size, ones = draw(rank, channels_last), (2, 3, 2)[:rank], (1,) * rank
    depthwise = torch.randn(*size, 4, 2, dtype=torch.float64)
    pointwise, bias = torch.randn(*ones, 8, 5, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    full = torch.einsum("...im,iomj->...oj", depthwise, _spread(pointwise.reshape(4, 2, 5)))
    expected = convolution.convolution(x, full, bias, (2,) * rank, "same", ones, 1, channels_last)
    args = (2,) * rank, "same", ones, channels_last
    torch.testing.assert_close(convolution.separable_convolution(x, depthwise, pointwise, bias, *args), expected)


def _spread(pointwise):
    """(in, m, out) as (in, in, m, out), zero off the diagonal: a full kernel's pointwise part."""
    return torch.diag_embed(pointwise.permute(1, 2, 0)).permute(2, 3, 0, 1)


# --- pooling


def check_pooling(x, channels_last, size, strides, padding, rows, many):
    """Largest elements and means of windows are those of NumPy, on every way there."""
    rank = len(size)
    pads = per_axis_pads(x, channels_last, size, strides, padding, (1,) * rank)
    patches = windows(first(x, channels_last).numpy(), pads, size, strides, (1,) * rank, np.nan)
    axes = tuple(range(-rank, 0))
    with mock.patch.object(eager, "MANY", many), mock.patch.object(pooling, "ROW_PAYS", rows):
        largest = pooling.max_pool(x, size, strides, padding, channels_last)
        mean = pooling.average_pool(x, size, strides, padding, channels_last)
    np.testing.assert_array_equal(first(largest, channels_last), np.nanmax(patches, axes))
    np.testing.assert_allclose(first(mean, channels_last), np.nanmean(patches, axes), atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_pooling_sees_the_real_elements_of_each_window(data):
    rank, channels_last = data.draw(st.sampled_from(RANKS)), data.draw(st.booleans())
    size, strides = (tuple(data.draw(st.integers(1, 4)) for _ in range(rank)) for _ in range(2))
    explicit = tuple((data.draw(st.integers(0, k - 1)), data.draw(st.integers(0, k - 1))) for k in size)
    padding = data.draw(st.sampled_from(("valid", "same", explicit)))
    x = draw(rank, channels_last, size=data.draw(st.integers(4, 7)))
    rows, many = (data.draw(st.sampled_from((0, 1 << 16))) for _ in range(2))
    check_pooling(x, channels_last, size, strides, padding, rows, many)


@pytest.mark.parametrize("rows", [0, 1 << 16])
@pytest.mark.parametrize("channels_last", FORMATS)
@pytest.mark.parametrize("rank", RANKS)
def test_pooling_pads_unlike_before_and_behind(rank, channels_last, rows):
    check_pooling(draw(rank, channels_last, size=6), channels_last, (4,) * rank, (1,) * rank, "same", rows, 1 << 16)


@pytest.mark.parametrize("channels_last", FORMATS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int32])
def test_max_pool_of_many_values_is_the_same_with_and_without_gradients(channels_last, dtype):
    x = (100 * torch.randn(4, 66, 65, 6)).to(dtype)
    x = x if channels_last else x.movedim(-1, 1)
    if dtype.is_floating_point:
        x[0, 5, 5, 2], x[1, 4, 4, 3] = float("nan"), float("-inf")
    plan = pooling.plan_max(x.shape, (3, 2), (2, 1), "valid", channels_last)
    assert x.numel() >= eager.MANY and plan.shifted
    y = pooling.run(x, plan)
    torch.testing.assert_close(y, pooling.run(x, plan._replace(shifted=())), rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(pooling.run(x, plan, relu=True), torch.relu(y), rtol=0, atol=0, equal_nan=True)
    if dtype == torch.float32:
        given = x.clone().requires_grad_()
        pooling.run(given, plan).nansum().backward()
        assert given.grad.sum() == y.numel() - y.isnan().sum()


@pytest.mark.parametrize("channels_last", FORMATS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_average_pool_of_many_values_is_the_same_with_and_without_gradients(channels_last, dtype):
    x = torch.randn(4, 66, 65, 6).to(dtype)
    x = x if channels_last else x.movedim(-1, 1)
    plan = pooling.plan_average(x.shape, (3, 2), (2, 1), "valid", channels_last)
    assert x.numel() >= eager.MANY and plan.shifted
    torch.testing.assert_close(pooling.run(x, plan), pooling.run(x.clone().requires_grad_(), plan).detach())


@pytest.mark.parametrize("padding", ("valid", "same", ((2, 1), (0, 2))))
def test_max_pool_of_integers(padding):
    x = torch.randint(-9, -1, (2, 5, 6, 3))
    y = pooling.max_pool(x, (3, 3), (1, 2), padding, True)
    expected = pooling.max_pool(x.double(), (3, 3), (1, 2), padding, True)
    assert y.dtype == x.dtype and torch.equal(y.double(), expected)


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("channels_last", FORMATS)
def test_adaptive_and_global_pooling(rank, channels_last):
    x, parts = draw(rank, channels_last, size=5), (2, 3, 4)[:rank]
    y = first(x, channels_last)
    bounds = [[(i * n // p, -(-(i + 1) * n // p)) for i in range(p)] for n, p in zip(y.shape[2:], parts, strict=True)]
    mean, largest = (f(x, parts, channels_last) for f in (pooling.adaptive_average, pooling.adaptive_max))
    for at in itertools.product(*map(range, parts)):
        part = y[(..., *[slice(*bounds[axis][i]) for axis, i in enumerate(at)])].flatten(2)
        torch.testing.assert_close(first(mean, channels_last)[(..., *at)], part.mean(2))
        assert torch.equal(first(largest, channels_last)[(..., *at)], part.amax(2))
    torch.testing.assert_close(pooling.global_average(x, channels_last), y.flatten(2).mean(2))
    assert torch.equal(pooling.global_max(x, channels_last, keepdims=True).flatten(), y.flatten(2).amax(2).flatten())


@pytest.mark.parametrize("channels_last", FORMATS)
def test_global_average_of_masked_steps(channels_last):
    x, mask = draw(1, channels_last, size=4), torch.tensor([[True, False, True, False], [False, True, True, True]])
    y = pooling.global_average(x, channels_last, mask=mask)
    expected = [sequence[:, keep].mean(1) for sequence, keep in zip(first(x, channels_last), mask, strict=True)]
    torch.testing.assert_close(y, torch.stack(expected))


# --- locally connected


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_locally_connected(data):
    rank, channels_last = data.draw(st.sampled_from(RANKS)), data.draw(st.booleans())
    padding = data.draw(st.sampled_from(("valid", "same")))
    size, strides = (tuple(data.draw(st.integers(1, n)) for _ in range(rank)) for n in (3, 2))
    x = draw(rank, channels_last, size=3, channels=2)
    sizes = tuple(first(x, channels_last).shape[2:])
    out = local.output_sizes(sizes, size, strides, padding)
    geometry = size, strides, padding, channels_last
    kernel = torch.randn(np.prod(out), np.prod(size) * 2, 3, dtype=torch.float64)
    bias = torch.randn(*out, 3, dtype=torch.float64)
    y = first(local.run(x, kernel, bias, local.plan_local(x.shape, *geometry)), channels_last)
    assert y.shape == (2, 3, *out)

    config = {"filters": 3, "kernel_size": size, "strides": strides, "padding": padding, "implementation": 2}
    dense = places({**config, "data_format": "channels_last" if channels_last else "channels_first"}, x.shape)
    wiring = torch.from_numpy(dense.to_stored(kernel.numpy())).reshape(np.prod(sizes) * 2, -1)
    flat = x.flatten(1) @ wiring
    offset = bias.movedim(-1, 0) if channels_last else bias.reshape(3, *out)
    expected = flat.view(2, *out, 3).movedim(-1, 1) if channels_last else flat.view(2, 3, *out)
    torch.testing.assert_close(y, expected + offset)


# --- resizing


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("channels_last", FORMATS)
def test_nearest_repeats(rank, channels_last):
    size = (2, 3, 1)[:rank]
    for x in (draw(rank, channels_last), draw(rank, channels_last).mul(9).long()):
        expected = first(x, channels_last)
        for axis, factor in enumerate(size, start=2):
            expected = expected.repeat_interleave(factor, axis)
        assert torch.equal(first(resize.upsample(x, size, "nearest", channels_last), channels_last), expected)


@pytest.mark.parametrize("interpolation", ("bilinear", "bicubic", "lanczos3", "lanczos5"))
@pytest.mark.parametrize("half_pixel", (True, False))
def test_interpolation_keeps_constants_and_axes_apart(interpolation, half_pixel):
    def grow(x, size, channels_last=True):
        return resize.upsample(x, size, interpolation, channels_last, half_pixel)

    x = draw(2, True)
    y = grow(x, (2, 3))
    torch.testing.assert_close(y, grow(grow(x, (2, 1)), (1, 3)))
    torch.testing.assert_close(y, grow(x.movedim(-1, 1), (2, 3), False).movedim(1, -1))
    torch.testing.assert_close(grow(torch.ones_like(x), (2, 3)), torch.ones_like(y))
    if not half_pixel:
        torch.testing.assert_close(y[:, ::2, ::3], x)


CURVES = {
    "bilinear": lambda d: max(1 - d, 0),
    "bicubic": lambda d: (
        1.5 * d**3 - 2.5 * d**2 + 1 if d <= 1 else -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d < 2 else 0
    ),
    "lanczos3": lambda d: np.sinc(d) * np.sinc(d / 3) if d < 3 else 0,
    "lanczos5": lambda d: np.sinc(d) * np.sinc(d / 5) if d < 5 else 0,
}


def shares(before, after, interpolation, antialias=False, half_pixel=True):
    """(after, before): what each output takes of each input, one after the other."""
    found, scale = np.zeros((after, before)), before / after
    for i, j in np.ndindex(after, before):
        centre = (i + 0.5) * scale - 0.5 if half_pixel else i * scale
        if interpolation == "nearest":
            found[i, j] = j == int((i + 0.5) * scale)
        elif interpolation == "area":
            found[i, j] = max(min((i + 1) * scale, j + 1) - max(i * scale, j), 0)
        else:
            if interpolation == "bicubic" and not antialias:
                centre = round(centre * 1024) / 1024
            found[i, j] = CURVES[interpolation](abs(centre - j) / (max(scale, 1) if antialias else 1))
    return found / found.sum(1, keepdims=True)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("interpolation", ["nearest", "area", *CURVES])
def test_resized_pictures_are_sums_of_shares(interpolation, antialias):
    x = torch.randint(0, 256, (2, 3, 7, 5), dtype=torch.float64)
    for size in ((3, 9), (10, 2), (7, 5), (1, 11)):
        rows, columns = (shares(*sizes, interpolation, antialias) for sizes in zip(x.shape[2:], size, strict=True))
        expected = torch.einsum("ai,ncij,bj->ncab", torch.tensor(rows), x, torch.tensor(columns))
        torch.testing.assert_close(resize.resize(x, size, interpolation, antialias), expected)
        for dtype in (torch.uint8, torch.int16):
            found = resize.resize(x.to(dtype), size, interpolation, antialias)
            whole = expected.round().clamp(torch.iinfo(dtype).min, torch.iinfo(dtype).max)
            torch.testing.assert_close(found.double(), whole, rtol=0, atol=1)
            assert found.dtype == dtype and (found.double() != whole).double().mean() < 0.05  # rounded in float32


@pytest.mark.parametrize("channels_last", FORMATS)
@pytest.mark.parametrize("half_pixel", [True, False])
@pytest.mark.parametrize("interpolation", ["nearest", "area", *CURVES])
def test_enlarged_pictures_are_sums_of_shares(interpolation, half_pixel, channels_last):
    x = draw(2, channels_last, size=4)
    planes = first(x, channels_last)
    whole = half_pixel or interpolation in ("nearest", "area")
    rows, columns = (
        torch.tensor(shares(n, n * factor, interpolation, False, whole))
        for n, factor in zip(planes.shape[2:], (2, 3), strict=True)
    )
    expected = torch.einsum("ai,ncij,bj->ncab", rows, planes, columns)
    found = resize.upsample(x, (2, 3), interpolation, channels_last, half_pixel)
    torch.testing.assert_close(first(found, channels_last), expected)


@pytest.mark.parametrize("target", [(4, 6), (6, 4), (3, 3), (1, 9)])
@pytest.mark.parametrize("size", [(7, 5), (4, 9), (2, 2)])
def test_the_middle_of_a_picture_of_an_aspect_ratio(size, target):
    x = torch.arange(math.prod(size)).reshape(1, 1, *size).double() + 1
    rows, columns = (
        max(min(n, n_other * t // t_other), 1)
        for n, n_other, t, t_other in zip(size, size[::-1], target, target[::-1], strict=True)
    )
    top, left = (size[0] - rows) // 2, (size[1] - columns) // 2
    assert torch.equal(resize.to_ratio(x, target, False), x[:, :, top : top + rows, left : left + columns])
    padded = resize.to_ratio(x, target, True, -1.0)
    grown = [
        n + (max(n, n_other * t // t_other) - n) // 2 * 2
        for n, n_other, t, t_other in zip(size, size[::-1], target, target[::-1], strict=True)
    ]
    expected = torch.full((1, 1, *grown), -1.0, dtype=x.dtype)
    high, wide = ((after - before) // 2 for before, after in zip(size, grown, strict=True))
    expected[:, :, high : high + size[0], wide : wide + size[1]] = x
    assert torch.equal(padded, expected)


def test_legacy_bilinear_equals_the_plain_one_off_by_its_shift():
    x = torch.arange(5.0).view(1, 5, 1, 1)
    legacy = resize.upsample(x, (2, 1), "bilinear", True, half_pixel=False).flatten()
    assert legacy.tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4]
    plain = resize.upsample(x, (2, 1), "bilinear", True).flatten()
    assert plain.tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4]


def test_unknown_interpolation_is_named():
    with pytest.raises(ValueError, match="'cubic'"):
        resize.upsample(torch.zeros(1, 2, 2, 1), (2, 2), "cubic", True)


@pytest.mark.parametrize("channels_last", FORMATS)
def test_crop_is_a_view_that_undoes_pad(channels_last):
    x, pads = draw(3, channels_last), ((1, 0), (2, 3), (0, 0))
    padded = resize.pad(x, pads, channels_last)
    assert padded.sum() == pytest.approx(x.sum().item()) and padded.numel() > x.numel()
    back = resize.crop(padded, pads, channels_last)
    assert torch.equal(back, x) and back.untyped_storage().data_ptr() == padded.untyped_storage().data_ptr()


# --- what holds for all of them


def _kernels():
    """name -> (function of x and weights, weights' shapes, rank); channels last with 4 channels, windows of 2."""
    cases = {}
    for rank in RANKS:
        two, ones, step = (2,) * rank, (1,) * rank, (1, 2, 1)[:rank]
        k = (*two, 4, 6)
        for padding in ("valid", "same"):
            tag = f"{rank}-{padding}"
            conv = (two, padding, ones)
            cases |= {
                f"convolution-{tag}": (
                    lambda x, w, b, cl, a=conv: convolution.convolution(x, w, b, *a, 1, cl),
                    (k, (6,)),
                ),
                f"transposed-{tag}": (
                    lambda x, w, b, cl, s=two, p=padding, o=ones: convolution.transposed_convolution(
                        x, w, b, s, p, None, o, cl
                    ),
                    ((*(3,) * rank, 6, 4), (6,)),
                ),
                f"depthwise-{tag}": (
                    lambda x, w, b, cl, a=conv: convolution.convolution(x, w, b, *a, None, cl),
                    ((*two, 4, 2), (8,)),
                ),
                f"max-{tag}": (lambda x, cl, s=two, o=ones, p=padding: pooling.max_pool(x, s, o, p, cl), ()),
                f"average-{tag}": (lambda x, cl, s=two, o=ones, p=padding: pooling.average_pool(x, s, o, p, cl), ()),
                f"local-{tag}": (
                    lambda x, w, b, cl, s=(two, step), p=padding: local.run(
                        x, w, b, local.plan_local(x.shape, *s, p, cl)
                    ),
                    (lambda sizes, s=(two, step), p=padding: _local_shapes(sizes, *s, p)),
                ),
            }
        cases |= {
            f"adaptive_average-{rank}": (lambda x, cl, s=two: pooling.adaptive_average(x, s, cl), ()),
            f"adaptive_max-{rank}": (lambda x, cl, s=two: pooling.adaptive_max(x, s, cl), ()),
            f"global_average-{rank}": (lambda x, cl: pooling.global_average(x, cl), ()),
            f"global_max-{rank}": (lambda x, cl: pooling.global_max(x, cl), ()),
            f"nearest-{rank}": (lambda x, cl, s=two: resize.upsample(x, s, "nearest", cl), ()),
        }
    for name in ("bilinear", "bicubic", "lanczos3"):
        cases[f"{name}-2"] = (lambda x, cl, n=name: resize.upsample(x, (2, 2), n, cl), ())
    causal = ((1,), "causal", (2,), 1)
    cases["causal-1"] = (lambda x, w, b, cl: convolution.convolution(x, w, b, *causal, cl), ((2, 4, 6), (6,)))
    return cases


def _local_shapes(sizes, size, strides, padding):
    out = local.output_sizes(sizes, size, strides, padding)
    return (int(np.prod(out)), int(np.prod(size)) * 4, 6), (*out, 6)


KERNELS = _kernels()


def prepare(name, channels_last, dtype=torch.float64, batch=2, size=3, grad=False):
    function, shapes = KERNELS[name]
    rank = int(name.split("-")[1])
    x = draw(rank, channels_last, size=size, dtype=dtype, batch=batch)
    if callable(shapes):
        shapes = shapes([size + axis for axis in range(rank)])
    tensors = [x, *(torch.randn(shape).to(dtype) for shape in shapes)]
    return lambda *t: function(*t, channels_last), [t.requires_grad_(grad) for t in tensors]


@pytest.mark.parametrize("channels_last", FORMATS)
@pytest.mark.parametrize("name", KERNELS)
def test_gradients(name, channels_last):
    function, tensors = prepare(name, channels_last, grad=True)
    assert torch.autograd.gradcheck(function, tensors, fast_mode=True)
    if name.startswith("local"):
        assert torch.autograd.gradgradcheck(function, tensors, fast_mode=True)


@pytest.mark.parametrize("channels_last", FORMATS)
@pytest.mark.parametrize("name", KERNELS)
def test_strides_empty_batches_and_half_precision(name, channels_last):
    function, tensors = prepare(name, channels_last)
    expected = function(*tensors)
    odd = [torch.stack([t, t], -1)[..., 0] for t in tensors]
    torch.testing.assert_close(function(*odd), expected)
    empty = tensors[0][:0].requires_grad_()
    y = function(empty, *tensors[1:])
    assert y.shape == (0, *expected.shape[1:])
    assert torch.autograd.grad(y.sum(), empty)[0].shape == empty.shape
    for dtype in (torch.float16, torch.bfloat16):
        y = function(*(t.to(dtype) for t in tensors))
        assert y.dtype == dtype
        torch.testing.assert_close(y.double(), expected, rtol=0.05, atol=0.15)


# torch's tracer itself instantiates autograd.Function, which torch deprecates.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("name", KERNELS)
def test_traced_without_a_graph_break(name):
    function, tensors = prepare(name, True, grad=True)
    torch.compiler.reset()
    compiled = torch.compile(function, fullgraph=True, backend="eager")
    y, expected = compiled(*tensors), function(*tensors)
    torch.testing.assert_close(y, expected)
    torch.autograd.grad(y.sum(), tensors)


# Slices (stride 1 over an even window, odd transposed pads, causal) and products by position stay views.
VIEWS = ("transposed", "local", "causal", *(f"{kind}-{rank}-same" for kind in ("max", "average") for rank in RANKS))


@pytest.mark.parametrize("name", [name for name in KERNELS if not name.startswith(VIEWS)])
def test_channels_last_in_channels_last_out(name):
    size = 4096 if "-1" in name else 6  # one axis runs as a picture, whose memory stays so, where that pays
    function, tensors = prepare(name, True, dtype=torch.float32, size=size)
    if len(tensors) > 1:
        kernel = tensors[1].movedim((-1, -2), (0, -1)).contiguous()
        tensors[1] = kernel.movedim((0, -1), (-1, -2))
    assert function(*tensors).is_contiguous()
