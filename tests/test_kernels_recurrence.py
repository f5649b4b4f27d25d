"""`lamina.kernels.recurrence` against cells written out in NumPy, one row and one step at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina.kernels import recurrence

GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3, "gru_reset_before": 3}
CELLS = list(GATES)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numpy_step(cell, x, states, w, units, dropout=None, recurrent_dropout=None):
    """One step of one row; the dropout masks are (gates, features) and (gates, units)."""
    kernel, recurrent, bias = w
    gates = GATES[cell]
    x = [x] * gates if dropout is None else list(x * dropout)
    h = [states[0]] * gates if recurrent_dropout is None else list(states[0] * recurrent_dropout)
    column = [slice(i * units, (i + 1) * units) for i in range(gates)]
    bias = np.zeros((2, gates * units)) if bias is None else bias
    bias = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
    a = [x[i] @ kernel[:, column[i]] + bias[0, column[i]] for i in range(gates)]
    r = [h[i] @ recurrent[:, column[i]] + bias[1, column[i]] for i in range(gates)]
    if cell == "simple_rnn":
        new = np.tanh(a[0] + r[0])
        return new, [new]
    if cell == "lstm":
        i, f, o = (sigmoid(a[j] + r[j]) for j in (0, 1, 3))
        c = f * states[1] + i * np.tanh(a[2] + r[2])
        return o * np.tanh(c), [o * np.tanh(c), c]
    z, reset = (sigmoid(a[j] + r[j]) for j in (0, 1))
    inner = reset * r[2] if cell == "gru" else (reset * h[2]) @ recurrent[:, column[2]]
    new = z * states[0] + (1 - z) * np.tanh(a[2] + inner)
    return new, [new]


def numpy_recurrence(cell, x, w, states, mask=None, reverse=False, zero_output_for_mask=False, **dropout):
    """The sequence, and each state after the last step."""
    batch, time, _ = x.shape
    units = w[1].shape[0]
    sequence = np.zeros((batch, time, units))
    states = [np.array(s) for s in states]
    for b in range(batch):
        row, output = [s[b] for s in states], np.zeros(units)
        masks = {name: np.broadcast_to(m[:, b], (GATES[cell], m.shape[-1])) for name, m in dropout.items()}
        for position, t in enumerate(reversed(range(time)) if reverse else range(time)):
            if mask is None or mask[b, t]:
                output, row = numpy_step(cell, x[b, t], row, w, units, **masks)
                sequence[b, position] = output
            elif not zero_output_for_mask:
                sequence[b, position] = output
        for s, last in zip(states, row, strict=True):
            s[b] = last
    return sequence, states


def make(cell, batch=3, time=5, features=4, units=6, bias=True, dtype=torch.float64, seed=0):
    """Random (x, kernel, recurrent_kernel, bias, initial states), the kernels in the memory order Lamina gives them."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return (torch.randn(*shape, generator=generator, dtype=torch.float64) * 0.7).to(dtype)

    width = GATES[cell] * units
    x, kernel, recurrent = draw(batch, time, features), draw(width, features).t(), draw(width, units).t()
    bias = draw(2, width) if bias and cell == "gru" else draw(width) if bias else None
    states = [draw(batch, units) for _ in range(2 if cell == "lstm" else 1)]
    for leaf in (x, kernel, recurrent, *([] if bias is None else [bias]), *states):
        leaf.requires_grad_()
    return x, kernel, recurrent, bias, states


def run(cell, x, kernel, recurrent, bias, states, **options):
    if cell == "simple_rnn":
        return recurrence.simple_rnn(x, kernel, recurrent, bias, *states, torch.tanh, **options)
    if cell == "lstm":
        return recurrence.lstm(x, kernel, recurrent, bias, *states, torch.tanh, torch.sigmoid, **options)
    reset_after = cell == "gru"
    return recurrence.gru(x, kernel, recurrent, bias, *states, torch.tanh, torch.sigmoid, reset_after, **options)


def some_mask(batch, time, seed=0):
    """Holes anywhere, one row wholly masked and one wholly valid."""
    mask = torch.rand(batch, time, generator=torch.Generator().manual_seed(seed)) < 0.5
    mask[:1] = False
    mask[1:2] = True
    return mask


def weighted_sum(tensors):
    """A scalar in which no two elements count alike."""
    return sum((t * torch.cos(torch.arange(t.numel(), dtype=t.dtype)).view(t.shape)).sum() for t in tensors)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    cell=st.sampled_from(CELLS),
    shape=st.tuples(st.integers(1, 5), st.integers(2, 6), st.integers(1, 3), st.integers(1, 3)),
    fused=st.booleans(),
    bias=st.booleans(),
    initial=st.booleans(),
    masked=st.booleans(),
    reverse=st.booleans(),
    zero=st.booleans(),
    sequences=st.booleans(),
    grad=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_agrees_with_numpy(cell, shape, fused, bias, initial, masked, reverse, zero, sequences, grad, seed):
    *arguments, states = make(cell, *shape, bias=bias, seed=seed)
    mask = some_mask(*shape[:2], seed) if masked else None
    start = [s if initial else torch.zeros_like(s) for s in states]
    w = [None if t is None else t.detach().numpy() for t in arguments]
    expected, expected_states = numpy_recurrence(
        cell, w[0], w[1:], [s.detach().numpy() for s in start], None if mask is None else mask.numpy(), reverse, zero
    )
    with torch.set_grad_enabled(grad):
        sequence, last, end = run(
            cell, *arguments, states if initial else [None] * len(states), fused=fused, mask=mask, reverse=reverse,
            zero_output_for_mask=zero, sequences=sequences,
        )  # fmt: skip
    if sequences:
        np.testing.assert_allclose(sequence.detach(), expected, atol=1e-12)
    else:
        assert sequence is None
    np.testing.assert_allclose(last.detach(), expected[:, -1], atol=1e-12)
    for ours, theirs in zip(end, expected_states, strict=True):
        np.testing.assert_allclose(ours.detach(), theirs, atol=1e-12)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
def test_fused_float32_gradients_are_those_of_the_loop(cell, sequences, masked):
    x, kernel, recurrent, bias, states = make(cell, dtype=torch.float32)
    gradients = []
    for fused in (False, True):
        sequence, last, end = run(
            cell, x, kernel, recurrent, bias, states, fused=fused, sequences=sequences, reverse=True,
            mask=some_mask(3, 5) if masked else None,
        )  # fmt: skip
        outputs = [last, *end] + ([sequence] if sequences else [])
        gradients.append(torch.autograd.grad(weighted_sum(outputs), [x, kernel, recurrent, bias, *states]))
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_gradcheck(cell, bias, fused, masked):
    x, kernel, recurrent, b, states = make(cell, 2, 3, 2, 2, bias=bias)
    inputs = [t.detach().requires_grad_() for t in (x, kernel, recurrent, *([b] if bias else []), *states)]

    def outputs(x, kernel, recurrent, *rest):
        rest = list(rest)
        b = rest.pop(0) if bias else None
        sequence, last, end = run(
            cell, x, kernel, recurrent, b, rest, fused=fused, reverse=True, mask=some_mask(2, 3, 1) if masked else None
        )
        return sequence, last, *end

    assert torch.autograd.gradcheck(outputs, inputs)


@pytest.mark.parametrize("sequences", [False, True])
def test_gru_has_second_derivatives(sequences):
    x, kernel, recurrent, bias, states = make("gru", 2, 3, 2, 2, bias=True)
    inputs = [t.detach().requires_grad_() for t in (x, kernel, recurrent, bias, *states)]

    def outputs(x, kernel, recurrent, bias, h):
        sequence, last, _ = run("gru", x, kernel, recurrent, bias, [h], fused=True, sequences=sequences)
        return sequence if sequences else last

    def both(x, kernel, recurrent, bias, h):
        ways = (kernel, recurrent, bias)
        return recurrence.bidirectional(recurrence.gru, x, ways, ways, (h, h), sequences=sequences)[1]

    for function in (outputs, both):
        assert torch.autograd.gradgradcheck(function, inputs)


@pytest.mark.parametrize(
    ("lengths", "steps", "padded"), [((5, 5), 5, None), ((3, 3), 3, False), ((2, 4), 4, True), ((0, 0), 1, True)]
)
@pytest.mark.parametrize("reverse", (False, True))
@pytest.mark.parametrize("cell", ("simple_rnn", "lstm", "gru"))
def test_steps_that_no_row_needs_are_left_out(cell, reverse, lengths, steps, padded):
    draw = np.random.default_rng(0)
    mask = np.stack([draw.permutation(np.arange(5) < length) for length in lengths])
    x, gates = draw.standard_normal((2, 5, 3)), GATES[cell]
    packed, places = recurrence._pack(torch.from_numpy(x), torch.from_numpy(mask), reverse)
    assert packed.shape == (2, steps, 3)
    assert padded == (None if places is None else places.padding is not None)
    bias = (2, 2 * gates) if cell == "gru" else (2 * gates,)
    w = [draw.standard_normal(shape) for shape in ((3, 2 * gates), (2, 2 * gates), bias)]
    states = [np.zeros((2, 2))] * (2 if cell == "lstm" else 1)
    expected, ends = numpy_recurrence(cell, x, w, states, mask, reverse)
    functions = (torch.tanh, torch.sigmoid, True)[: {"simple_rnn": 1, "lstm": 2, "gru": 3}[cell]]
    given = [torch.from_numpy(each) for each in (x, *w)]
    for sequences in (True, False):
        all_steps, last, found = getattr(recurrence, cell)(
            *given, *[None] * len(states), *functions, torch.from_numpy(mask), reverse, fused=True, sequences=sequences
        )
        torch.testing.assert_close(last, torch.from_numpy(expected[:, -1]))
        assert (all_steps is None) != sequences
        for end, wanted in zip(found, ends, strict=True):
            torch.testing.assert_close(end, torch.from_numpy(wanted))


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
def test_values_at_masked_steps_are_never_used(cell):
    x, kernel, recurrent, bias, states = make(cell)
    mask = some_mask(3, 5)
    outcomes = []
    for fill in (0.0, float("nan")):
        filled = x.detach().masked_fill(~mask.unsqueeze(-1), fill).requires_grad_()
        sequence, last, end = run(cell, filled, kernel, recurrent, bias, states, fused=True, mask=mask)
        outputs = [sequence, last, *end]
        gradients = torch.autograd.grad(weighted_sum(outputs), [filled, kernel, recurrent, bias, *states])
        outcomes.append([*outputs, *gradients])
    torch.testing.assert_close(outcomes[0], outcomes[1])
    assert all(t.isfinite().all() for t in outcomes[1])


def test_relu():
    x, kernel, recurrent, bias, states = make("simple_rnn")
    arguments = (x, kernel, recurrent, bias, *states, torch.relu)
    fused = recurrence.simple_rnn(*arguments, fused=True, relu=True)
    torch.testing.assert_close(fused, recurrence.simple_rnn(*arguments))
    assert fused[1].max() > 1


@pytest.mark.parametrize(
    ("cell", "per_gate"), [(cell, per_gate) for cell in CELLS for per_gate in (False, True)[: GATES[cell]]]
)
def test_dropout_masks(cell, per_gate):
    x, kernel, recurrent, bias, states = make(cell)
    gates = GATES[cell] if per_gate else 1
    generator = torch.Generator().manual_seed(1)
    of_input, of_state = (torch.randint(0, 2, (gates, 3, n), generator=generator, dtype=x.dtype) * 2 for n in (4, 6))
    w = [t.detach().numpy() for t in (x, kernel, recurrent, bias)]
    start = [s.detach().numpy() for s in states]
    passed = (of_input, of_state) if per_gate else (of_input[0], of_state[0])
    for dropped in ({"dropout"}, {"recurrent_dropout"}, {"dropout", "recurrent_dropout"}):
        both = {"dropout": of_input, "recurrent_dropout": of_state}
        expected, _ = numpy_recurrence(cell, w[0], w[1:], start, **{n: both[n].numpy() for n in dropped})
        sequence, _, _ = run(
            cell, x, kernel, recurrent, bias, states, fused=True,
            input_dropout=passed[0].unsqueeze(-2) if "dropout" in dropped else None,
            recurrent_dropout=passed[1] if "recurrent_dropout" in dropped else None,
        )  # fmt: skip
        np.testing.assert_allclose(sequence.detach(), expected, atol=1e-12)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("shape", [(0, 4), (3, 1), (3, 5)])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("cell", CELLS)
def test_dtypes_empty_batches_and_strides(cell, dtype, shape, fused, masked):
    _, kernel, recurrent, bias, states = make(cell, *shape, dtype=dtype)
    kernel, recurrent = (t.detach().contiguous().requires_grad_() for t in (kernel, recurrent))
    x = torch.randn(shape[1], 4, shape[0], generator=torch.Generator().manual_seed(0)).to(dtype).permute(2, 0, 1)
    options = {"mask": some_mask(*shape) if masked else None}
    results = []
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            results.append(run(cell, x, kernel, recurrent, bias, states, fused=fused, **options))
    weighted_sum([results[0][0], results[0][1]]).backward()
    assert kernel.grad.dtype == dtype and kernel.grad.isfinite().all()
    doubles = [t.detach().double() for t in (x, kernel, recurrent, bias)]
    expected = run(cell, *doubles, [s.double() for s in states], **options)
    tolerance = {torch.float16: 1e-2, torch.bfloat16: 6e-2, torch.float32: 1e-5}[dtype]
    for sequence, last, end in results:
        assert {t.dtype for t in (sequence, last, *end)} == {dtype}
        torch.testing.assert_close(
            [sequence, last, *end], [expected[0], expected[1], *expected[2]],
            rtol=tolerance, atol=tolerance, check_dtype=False,
        )  # fmt: skip


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_compiles_into_one_graph(cell, fused, masked):
    def outputs(*arguments):
        sequence, last, end = run(cell, *arguments[:4], arguments[4:-1], fused=fused, mask=arguments[-1], reverse=True)
        return sequence, last, *end

    x, kernel, recurrent, bias, states = make(cell)
    arguments = (x, kernel, recurrent, bias, *states, some_mask(3, 5) if masked else None)
    torch.compiler.reset()
    compiled = torch.compile(outputs, fullgraph=True, backend="eager")(*arguments)
    eager = outputs(*arguments)
    torch.testing.assert_close(compiled, eager)
    torch.testing.assert_close(*(torch.autograd.grad(weighted_sum(each), arguments[:-1]) for each in (compiled, eager)))


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype feature")
@pytest.mark.filterwarnings("ignore:RNN module weights are not part of single contiguous chunk of memory")
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_cuda_agrees_with_the_cpu_and_never_waits(cell, fused, masked):
    *arguments, states = make(cell)
    mask = some_mask(3, 5) if masked else None
    results = []
    for device in ("cpu", "cuda"):
        leaves = [t.detach().to(device).requires_grad_() for t in (*arguments, *states)]
        on_device = mask if mask is None else mask.to(device)
        torch.cuda.set_sync_debug_mode("error")
        try:
            sequence, last, end = run(cell, *leaves[:4], leaves[4:], fused=fused, mask=on_device, reverse=True)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        outputs = [sequence, last, *end]
        total = sum((t * torch.cos(torch.arange(t.numel(), device=device)).view(t.shape)).sum() for t in outputs)
        results.append([*outputs, *torch.autograd.grad(total, leaves)])
    torch.testing.assert_close([t.cpu() for t in results[1]], results[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_cells_share_the_arithmetic_of_the_loop(cell):
    x, kernel, recurrent, bias, states = make(cell, time=1)
    _, last, end = run(cell, x, kernel, recurrent, bias, states)
    if cell == "gru":
        z, more = recurrence.project(x[:, 0], kernel, bias[0]), (bias[1], torch.tanh, torch.sigmoid, True)
    elif cell == "gru_reset_before":
        z, more = recurrence.project(x[:, 0], kernel, bias), (None, torch.tanh, torch.sigmoid, False)
    else:
        z, more = recurrence.project(x[:, 0], kernel, bias), (torch.tanh, torch.sigmoid)[: len(states)]
    step = getattr(recurrence, f"{cell.removesuffix('_reset_before')}_step")
    output, new = step(z, states, recurrent, *more)
    torch.testing.assert_close(output, last)
    torch.testing.assert_close(list(new), list(end))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("zero", [False, True])
def test_scan_of_nested_inputs_states_and_outputs(reverse, zero):
    x = {"a": torch.arange(12.0).view(2, 3, 2), "b": torch.ones(2, 3, 1, 2)}
    mask = torch.tensor([[True, False, False], [False, True, True]])

    def running_sums(x_t, states):
        small, (large,) = states
        small, large = small + x_t["a"], large + x_t["b"]
        return {"double": 2 * small, "pair": (small, large)}, [small, (large,)]

    start = [torch.zeros(2, 2), (torch.zeros(2, 1, 2),)]
    sequence, last, (small, (large,)) = recurrence.scan(running_sums, x, start, mask, reverse, zero)

    steps = [2, 1, 0] if reverse else [0, 1, 2]
    counted = x["a"] * mask.unsqueeze(-1)
    expected = counted[:, steps].cumsum(1)
    torch.testing.assert_close(small, expected[:, -1])
    torch.testing.assert_close(large.flatten(1), mask.sum(1, keepdim=True).expand(2, 2).float())
    if zero:
        expected = expected * mask[:, steps].unsqueeze(-1)
    torch.testing.assert_close(sequence["double"], 2 * expected)
    torch.testing.assert_close(sequence["pair"][0], expected)
    torch.testing.assert_close(last["double"], 2 * expected[:, -1])
    assert sequence["pair"][1].shape == (2, 3, 1, 2)

    nothing, only_last, _ = recurrence.scan(running_sums, x, start, mask, reverse, zero, sequences=False)
    assert nothing is None
    torch.testing.assert_close(only_last, last)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_no_steps_at_all_is_an_error_that_says_so(cell, fused):
    arguments = make(cell, time=0)
    with pytest.raises(ValueError, match=r"at least one step along axis 1 \(time\), got none for a batch of 3"):
        run(cell, *arguments, fused=fused)
