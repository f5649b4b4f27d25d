"""Recurrences over (batch, time, features): SimpleRNN, LSTM, GRU, and a scan for any other cell.

Where the arithmetic is PyTorch's, one fused kernel runs the whole sequence. Everywhere else the input projection is one
matrix product for the whole sequence, and `scan` loops over the recurrent part only.

Weights have Keras' shapes, ``kernel`` (features, gates * units) and ``recurrent_kernel`` (units, gates * units), and
Keras' gate order: LSTM i, f, c, o; GRU z, r, h. Any strides do; where ``.t()`` is contiguous nothing is copied.

`simple_rnn`, `lstm` and `gru` return ``(sequence, last_output, states)``. ``sequence`` (batch, time, units) is in the
order of processing, so with ``reverse`` its first step belongs to the last time step; it is None unless ``sequences``.
An initial state of None means zeros.

Masks (batch, time) follow Keras: a step that is False carries the states over and repeats the output before it (zeros
before the first valid step), or gives zeros with ``zero_output_for_mask``; ``last_output`` is the last step of that.

Dropout masks are multiplied in: ``input_dropout`` broadcasts on x, ``recurrent_dropout`` (batch, units) on the state
before its matrix product. With one more leading axis they hold a mask for each gate, which is what Keras draws for
an LSTM or a GRU with recurrent dropout.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.compiler import is_dynamo_compiling
from torch.nn import functional as F
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

from . import eager
from .linear import dense, multiply

Activation = Callable[[Tensor], Tensor]
Result = tuple[Tensor | None, Tensor, list[Tensor]]

# cuDNN joins weights that do not lie as it reads them in every call, and says so; here they have Keras' shapes.
warnings.filterwarnings("ignore", "RNN module weights are not part", UserWarning)

# A logit whose sigmoid is exactly 0 or 1 in every floating type, and which float16 can hold.
_SATURATED = 1e4


# One step of each cell. `z` is the input's projection, made by `project` for one step or for all steps at once.


def project(x: Tensor, kernel: Tensor, bias: Tensor | None = None, dropout: Tensor | None = None) -> Tensor:
    """``(x * dropout) @ kernel + bias`` along the last axis of x (..., features)."""
    if dropout is not None:
        if _per_gate(dropout, x):
            gates = (x * dropout).flatten(1, -2) @ kernel.unflatten(1, (len(dropout), -1)).movedim(1, 0)
            z = gates.movedim(0, 1).reshape(*x.shape[:-1], kernel.shape[1])
            return z if bias is None else z + bias
        x = x * dropout
    return dense(x, kernel, bias)


def add_product(z: Tensor, h: Tensor, kernel: Tensor, dropout: Tensor | None) -> Tensor:
    return torch.addmm(z, h, kernel) if dropout is None else z + project(h, kernel, None, dropout)


def simple_rnn_step(
    z: Tensor, states: Sequence[Tensor], recurrent_kernel: Tensor, activation: Activation, dropout: Tensor | None = None
) -> tuple[Tensor, list[Tensor]]:
    """``h' = activation(z + h U)``; z and h are (batch, units)."""
    h = activation(add_product(z, states[0], recurrent_kernel, dropout))
    return h, [h]


def lstm_step(
    z: Tensor,
    states: Sequence[Tensor],
    recurrent_kernel: Tensor,
    activation: Activation,
    recurrent_activation: Activation,
    dropout: Tensor | None = None,
) -> tuple[Tensor, list[Tensor]]:
    """Hochreiter and Schmidhuber's cell with a forget gate; z is (batch, 4 * units), the states are h and c."""
    h, c = states
    return lstm_gates(add_product(z, h, recurrent_kernel, dropout), c, activation, recurrent_activation)


def lstm_gates(
    z: Tensor, c: Tensor, activation: Activation, recurrent_activation: Activation, axis: int = -1
) -> tuple[Tensor, list[Tensor]]:
    """An LSTM's step from the arguments of its gates on, which lie along ``axis``: the output, the states h and c."""
    i, f, g, o = z.chunk(4, axis)
    c = recurrent_activation(f) * c + recurrent_activation(i) * activation(g)
    h = recurrent_activation(o) * activation(c)
    return h, [h, c]


def gru_step(
    z: Tensor,
    states: Sequence[Tensor],
    recurrent_kernel: Tensor,
    recurrent_bias: Tensor | None,
    activation: Activation,
    recurrent_activation: Activation,
    reset_after: bool,
    dropout: Tensor | None = None,
) -> tuple[Tensor, list[Tensor]]:
    """Cho's cell; z is (batch, 3 * units).

    The reset gate acts on the state before its product with the recurrent kernel (arXiv:1406.1078v3), or on the product
    with ``reset_after`` (1406.1078v1, cuDNN), which alone knows a ``recurrent_bias`` (3 * units,).
    """
    (h,) = states
    units = h.shape[1]
    z_gates, z_candidate = z.split((2 * units, units), 1)
    if reset_after:
        gates, candidate = project(h, recurrent_kernel, recurrent_bias, dropout).split((2 * units, units), 1)
        update, reset = recurrent_activation(z_gates + gates).chunk(2, 1)
        candidate = torch.addcmul(z_candidate, reset, candidate)
    else:
        kernel, candidate_kernel = recurrent_kernel.split((2 * units, units), 1)
        first = last = dropout
        if dropout is not None and dropout.dim() > h.dim():
            first, last = dropout[:2], dropout[2]
        update, reset = recurrent_activation(add_product(z_gates, h, kernel, first)).chunk(2, 1)
        candidate = add_product(z_candidate, reset * h, candidate_kernel, last)
    candidate = activation(candidate)
    h = torch.lerp(candidate, h.to(candidate.dtype), update)  # under autocast the first state has another type
    return h, [h]


# Whole sequences.


def scan(
    step: Callable[[Any, Any], tuple[Any, Any]],
    x: Any,
    states: Any,
    mask: Tensor | None = None,
    reverse: bool = False,
    zero_output_for_mask: bool = False,
    sequences: bool = True,
) -> tuple[Any, Any, Any]:
    """Run ``step(x_t, states) -> (output, states)`` along axis 1 of x.

    x, states and outputs may be nested lists, tuples or dicts of tensors. Returns the outputs stacked along axis 1
    (None unless ``sequences``), the last output, and the last states. Raises ValueError when there is no step to run.
    """
    if isinstance(x, Tensor):
        steps = list(x.unbind(1))
    else:
        leaves, structure = tree_flatten(x)
        steps = [tree_unflatten(list(x_t), structure) for x_t in zip(*(leaf.unbind(1) for leaf in leaves), strict=True)]
    if not steps:
        raise _no_steps(tree_leaves(x)[0])
    masks = [None] * len(steps) if mask is None else list(mask.unbind(1))
    if reverse:
        steps.reverse()
        masks.reverse()

    outputs = []
    output = None
    for x_t, valid in zip(steps, masks, strict=True):
        before, old_states = output, states
        output, states = step(x_t, states)
        if valid is not None:
            states = _keep(valid, states, old_states)
            if before is None or zero_output_for_mask:
                before = tree_map(torch.zeros_like, output)
            output = _keep(valid, output, before)
        if sequences:
            outputs.append(output)
    return tree_map(lambda *each: torch.stack(each, 1), *outputs) if sequences else None, output, states


def _no_steps(x: Tensor) -> ValueError:
    return ValueError(
        f"A recurrence needs at least one step along axis 1 (time), got none for a batch of {x.shape[0]}. "
        "Drop empty sequences, or pad them and pass a mask."
    )


def _keep(valid: Tensor, now: Any, before: Any) -> Any:
    """For each row the leaves of ``now`` where it is valid, those of ``before`` elsewhere."""
    leaves, structure = tree_flatten(now)
    kept = [
        torch.where(valid.view(-1, *[1] * (new.dim() - 1)), new, old)
        for new, old in zip(leaves, tree_leaves(before), strict=True)
    ]
    return tree_unflatten(kept, structure)


def simple_rnn(
    x: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None,
    h: Tensor | None,
    activation: Activation,
    mask: Tensor | None = None,
    reverse: bool = False,
    *,
    fused: bool = False,
    relu: bool = False,
    sequences: bool = True,
    zero_output_for_mask: bool = False,
    input_dropout: Tensor | None = None,
    recurrent_dropout: Tensor | None = None,
) -> Result:
    """`simple_rnn_step` along time; ``fused`` says that the activation is tanh, or max(0, x) with ``relu``."""
    h = x.new_zeros(x.shape[0], recurrent_kernel.shape[0]) if h is None else h
    if not fused or recurrent_dropout is not None:

        def step(z: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
            return simple_rnn_step(z, states, recurrent_kernel, activation, recurrent_dropout)

        z = project(x, kernel, bias, input_dropout)
        return scan(step, z, [h], mask, reverse, zero_output_for_mask, sequences)

    if x.shape[1] == 0:
        raise _no_steps(x)
    x, places = x if input_dropout is None else x * input_dropout, None
    if mask is not None:
        x, places = _pack(x, mask, reverse)
    elif reverse:
        x = x.flip(1)
    weights = _torch_weights((kernel, recurrent_kernel, bias))
    rnn = torch.rnn_relu if relu else torch.rnn_tanh
    outputs, end = rnn(x, h.unsqueeze(0), weights, bias is not None, 1, 0.0, torch.is_grad_enabled(), False, True)
    if places is not None:
        return _unpack(outputs, places, h, [], zero_output_for_mask, sequences)
    return outputs if sequences else None, end[0], [end[0]]


def lstm(
    x: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None,
    h: Tensor | None,
    c: Tensor | None,
    activation: Activation,
    recurrent_activation: Activation,
    mask: Tensor | None = None,
    reverse: bool = False,
    *,
    fused: bool = False,
    sequences: bool = True,
    zero_output_for_mask: bool = False,
    input_dropout: Tensor | None = None,
    recurrent_dropout: Tensor | None = None,
) -> Result:
    """`lstm_step` along time; ``fused`` says that the activations are tanh and sigmoid. The states are h and c."""
    units = recurrent_kernel.shape[0]
    h = x.new_zeros(x.shape[0], units) if h is None else h
    c = x.new_zeros(x.shape[0], units) if c is None else c
    if not fused or recurrent_dropout is not None or (input_dropout is not None and _per_gate(input_dropout, x)):

        def step(z: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
            return lstm_step(z, states, recurrent_kernel, activation, recurrent_activation, recurrent_dropout)

        z = project(x, kernel, bias, input_dropout)
        return scan(step, z, [h, c], mask, reverse, zero_output_for_mask, sequences)

    if x.shape[1] == 0:
        raise _no_steps(x)
    x, places = x if input_dropout is None else x * input_dropout, None
    weights = _torch_weights((kernel, recurrent_kernel, bias))
    if mask is not None:
        x, places = _pack(x, mask, reverse)
    elif reverse:
        x = x.flip(1)
    if places is not None and places.padding is not None:
        # The kernel tells the last c only, so padding must not change it: one more feature, set in the padding, shuts
        # the input gate and opens the forget gate.
        switch = kernel.new_zeros(4 * units, 1)
        switch[:units] = -_SATURATED
        switch[units : 2 * units] = _SATURATED
        weights[0] = torch.cat((weights[0], switch), 1)
        x = torch.cat((x, places.padding.unsqueeze(-1).to(x.dtype)), -1)
    states = h.unsqueeze(0), c.unsqueeze(0)
    if torch.is_grad_enabled() and is_dynamo_compiling():
        x = _with_gradient(x, (*weights, *states))
    outputs, h_end, c_end = torch.lstm(
        x, states, weights, bias is not None, 1, 0.0, torch.is_grad_enabled(), False, True
    )
    if places is not None:
        return _unpack(outputs, places, h, [c_end[0]], zero_output_for_mask, sequences)
    return outputs if sequences else None, h_end[0], [h_end[0], c_end[0]]


def gru(
    x: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None,
    h: Tensor | None,
    activation: Activation,
    recurrent_activation: Activation,
    reset_after: bool,
    mask: Tensor | None = None,
    reverse: bool = False,
    *,
    fused: bool = False,
    sequences: bool = True,
    zero_output_for_mask: bool = False,
    order: Tensor | None = None,
    input_dropout: Tensor | None = None,
    recurrent_dropout: Tensor | None = None,
) -> Result:
    """`gru_step` along time; bias is (3 * units,), or (2, 3 * units) with ``reset_after``: the input's, the state's.

    ``fused`` says that the activations are tanh and sigmoid; only ``reset_after`` has a fused kernel. ``order`` is
    `torch_gate_order` of the units, where the caller keeps it.
    """
    h = x.new_zeros(x.shape[0], recurrent_kernel.shape[0]) if h is None else h
    stepwise = not (fused and reset_after) or recurrent_dropout is not None
    if stepwise or (input_dropout is not None and _per_gate(input_dropout, x)):
        input_bias, recurrent_bias = bias.unbind(0) if reset_after and bias is not None else (bias, None)
        how = activation, recurrent_activation, reset_after

        def step(z: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
            return gru_step(z, states, recurrent_kernel, recurrent_bias, *how, recurrent_dropout)

        z = project(x, kernel, input_bias, input_dropout)
        return scan(step, z, [h], mask, reverse, zero_output_for_mask, sequences)

    if x.shape[1] == 0:
        raise _no_steps(x)
    x, places = x if input_dropout is None else x * input_dropout, None
    if mask is not None:
        x, places = _pack(x, mask, reverse)
    elif reverse:
        x = x.flip(1)
    # A single sample alone is no slower in torch's own loop.
    several = type(x.shape[0]) is not int or x.shape[0] > 2  # torch.export decides nothing by a symbol
    if (torch.is_grad_enabled() or several) and eager.on_cpu(x):
        outputs = _gru_on_cpu(x.transpose(0, 1), kernel, recurrent_kernel, bias, h).transpose(0, 1)
        end = outputs[:, -1]
    else:
        weights = _torch_gru_weights(order, (kernel, recurrent_kernel, bias))
        outputs, ends = torch.gru(
            x, h.unsqueeze(0), weights, bias is not None, 1, 0.0, torch.is_grad_enabled(), False, True
        )
        end = ends[0]
    if places is not None:
        return _unpack(outputs, places, h, [], zero_output_for_mask, sequences)
    return outputs if sequences else None, end, [end]


def bidirectional(
    cell: Callable[..., Result],
    x: Tensor,
    forward: Sequence[Any],
    backward: Sequence[Any],
    states: Sequence[Tensor] | None = None,
    relu: bool = False,
    order: Tensor | None = None,
    sequences: bool = True,
) -> tuple[Tensor | None, tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Both directions of a fused `simple_rnn`, `lstm` or `gru` (with ``reset_after``) in one kernel, without masks.

    forward, backward: kernel, recurrent kernel and bias of each; states: the forward ones, then the backward ones.
    Returns the outputs (batch, time, 2 * units), both in the order of time, and the last states of each direction.
    Unless ``sequences``, the outputs may be None.
    """
    if x.shape[1] == 0:
        raise _no_steps(x)
    count = 2 if cell is lstm else 1
    if states is None:
        start = [x.new_zeros(2, x.shape[0], forward[1].shape[0])] * count
    else:
        start = [torch.stack((states[i], states[count + i])) for i in range(count)]
    if cell is gru and eager.on_cpu(x):
        steps = x.transpose(0, 1)
        # Stacked in the memory order of the kernels, so that their gradients come in it.
        kernels = [torch.stack((a.t(), b.t())).mT for a, b in zip(forward[:2], backward[:2], strict=True)]
        biases = None if forward[2] is None else torch.stack((forward[2], backward[2]))
        onward, back = _gru_on_cpu(torch.stack((steps, steps.flip(0))), kernels[0], kernels[1], biases, start[0])
        outputs = torch.cat((onward, back.flip(0)), -1).transpose(0, 1) if sequences else None
        return outputs, (onward[-1],), (back[-1],)
    weights = _torch_gru_weights(order, forward, backward) if cell is gru else _torch_weights(forward, backward)
    options = forward[2] is not None, 1, 0.0, torch.is_grad_enabled(), True, True
    if cell is lstm:
        if torch.is_grad_enabled() and is_dynamo_compiling():
            x = _with_gradient(x, (*weights, *start))
        outputs, *ends = torch.lstm(x, start, weights, *options)
    else:
        run = torch.gru if cell is gru else torch.rnn_relu if relu else torch.rnn_tanh
        outputs, *ends = run(x, start[0], weights, *options)
    forward_ends, backward_ends = zip(*map(torch.unbind, ends), strict=True)
    return outputs, forward_ends, backward_ends


def _with_gradient(x: Tensor, others: Iterable[Tensor]) -> Tensor:
    """The same values, asking for a gradient where one of the others does: for an input that asks for none,
    torch.compile takes a kernel of oneDNN whose backward it cannot run (as of torch 2.13)."""
    asking = [one for one in others if one.requires_grad]
    if x.requires_grad or not asking:
        return x
    return torch.where(torch.zeros_like(x, dtype=torch.bool), asking[0].flatten()[0], x)


def torch_gate_order(units: int, device: torch.device | None = None) -> Tensor:
    """Where torch's gates r, z, h of a GRU are found among Keras' z, r, h: indices (3 * units,)."""
    update, reset, candidate = torch.arange(3 * units, device=device).chunk(3)
    return torch.cat((reset, update, candidate))


def _torch_weights(*directions: Sequence[Any]) -> list[Tensor]:
    """Kernel, recurrent kernel and bias as torch's fused kernels take them: transposed, and with a second bias."""
    weights: list[Tensor] = []
    for kernel, recurrent_kernel, bias in directions:
        weights += kernel.t().contiguous(), recurrent_kernel.t().contiguous()  # as cuDNN must have them; mostly no copy
        if bias is not None:
            weights += bias, torch.zeros_like(bias)
    return weights


def _torch_gru_weights(order: Tensor | None, *directions: Sequence[Any]) -> list[Tensor]:
    """The same for a GRU, whose gates have another order in torch."""
    weights: list[Tensor] = []
    for kernel, recurrent_kernel, bias in directions:
        order = torch_gate_order(recurrent_kernel.shape[0], kernel.device) if order is None else order
        weights += kernel.t().index_select(0, order), recurrent_kernel.t().index_select(0, order)
        if bias is not None:
            weights += bias.index_select(1, order).unbind(0)
    return weights


def _per_gate(dropout: Tensor, x: Tensor) -> bool:
    return dropout.dim() > x.dim()


class _Places(NamedTuple):
    """Where the valid steps went: the mask in the order of processing, what is padding now (None: nothing), each row's
    first place."""

    mask: Tensor
    padding: Tensor | None
    rows: Tensor


def _pack(x: Tensor, mask: Tensor, reverse: bool) -> tuple[Tensor, _Places | None]:
    """Move the valid steps of each row to its front, zeros behind them, without waiting for the device.

    Values of x at masked steps are never used. No shape depends on the mask, so that this compiles and can be captured
    in a CUDA graph, which a packed sequence cannot; on a CPU it also trains faster than one, by 1.6 to 3 times at
    64 x 80 steps a third of them masked. There, where asking costs nothing, steps that no row needs are left out; None
    for the places where all are valid.
    """
    if reverse:
        x, mask = x.flip(1), mask.flip(1)
    batch, steps = mask.shape
    shortest, longest = _lengths(mask) if eager.on_cpu(x) and eager.has_values(mask) else (0, steps)
    if shortest == steps:
        return x, None
    padding, order = mask.logical_not().sort(dim=1, stable=True)
    rows = torch.arange(batch, device=x.device).unsqueeze(1)
    if longest < steps:
        padding, order = padding[:, :longest], order[:, :longest]
    x = _take(x, order + rows * steps)
    if shortest == longest:
        return x, _Places(mask, None, rows * longest)
    return x.masked_fill_(padding.unsqueeze(-1), 0), _Places(mask, padding, rows * longest)


def _lengths(mask: Tensor) -> tuple[int, int]:
    """The valid steps of the rows with the fewest and, at least one, with the most."""
    shortest, longest = mask.sum(1).aminmax() if len(mask) else mask.new_zeros(2, dtype=torch.int)
    return int(shortest), max(int(longest), 1)


def _unpack(
    outputs: Tensor, places: _Places, h: Tensor, others: list[Tensor], zero_output_for_mask: bool, sequences: bool
) -> Result:
    """Give each output of a packed sequence to the steps it answers for. `others`: the last states but h."""
    mask = places.mask
    if places.padding is None and not sequences and not zero_output_for_mask:  # each row ends with the last output
        return None, outputs[:, -1], [outputs[:, -1], *others]
    count = mask.cumsum(1)
    begun = count > 0
    answered = mask if zero_output_for_mask else begun
    if not sequences:
        count, answered = count[:, -1:], answered[:, -1:]
    sequence = _take(outputs, (count - 1).clamp_(min=0) + places.rows)
    h = torch.where(begun[:, -1:], sequence[:, -1], h)
    sequence = torch.where(answered.unsqueeze(-1), sequence, 0)
    return sequence if sequences else None, sequence[:, -1], [h, *others]


def _take(x: Tensor, index: Tensor) -> Tensor:
    """Rows of x (batch, time, features) by index (batch, n) into batch * time.

    As an embedding, which copies whole rows forward and backward; gather is 2 to 10 times slower on a CPU.
    """
    return F.embedding(index, x.flatten(0, 1))


def _gru_on_cpu(x: Tensor, kernel: Tensor, recurrent_kernel: Tensor, bias: Tensor | None, h: Tensor) -> Tensor:
    """All outputs (time, batch, units) of the GRU with ``reset_after`` on x (time, batch, features).

    Several at once where everything has one more axis in front: each call inside does the same step of all of them.

    torch has no kernel of its own for it on a CPU: it, too, goes step by step, makes new tensors in each and has
    autograd record them. What compiles, casts or transforms calls (torch.func) must see torch's, though.
    """
    bias = kernel.new_zeros(*kernel.shape[:-2], 2, kernel.shape[-1]) if bias is None else bias
    if torch.is_grad_enabled():
        return _GRU.apply(*eager.seen(x, kernel, recurrent_kernel, bias, h))
    states = x.new_empty(*x.shape[:-1], h.shape[-1])
    _gru_forward(x, kernel, recurrent_kernel, bias, h, itertools.repeat(torch.empty_like(h)), states.unbind(-3))
    return states


def _gru_forward(
    x: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor,
    h: Tensor,
    products: Iterable[Tensor],
    states: Iterable[Tensor],
) -> list[Tensor]:
    """Fills in the states of a GRU; returns its two gates (time, batch, 2 * units) and its candidates.

    For each step there is a tensor for the candidate's product with the state, and one for the new state.
    """
    *several, time, batch, _ = x.shape
    units = h.shape[-1]
    add_product, to_add = (torch.baddbmm, Tensor.baddbmm_) if several else (torch.addmm, Tensor.addmm_)
    input_bias, recurrent_bias = bias[..., :1, :], bias[..., 1:, :]
    # The gates' recurrent bias may as well be added before the loop.
    input_bias = input_bias + torch.constant_pad_nd(recurrent_bias[..., : 2 * units], (0, units))
    candidate_bias = recurrent_bias[..., 2 * units :]
    gate_kernel, candidate_kernel = _gates_apart(recurrent_kernel, units)
    # Gates and candidate apart: the functions of a step go faster over memory without gaps.
    flat, parts = x.flatten(-3, -2), zip(_gates_apart(input_bias, units), _gates_apart(kernel, units), strict=True)
    gates, candidates = [multiply(flat, k, b).view(*several, time, batch, b.shape[-1]) for b, k in parts]
    steps = [each.unbind(-3) for each in (gates, *gates.chunk(2, -1), candidates)]
    for gate, update, reset, candidate, product, state in zip(*steps, products, states, strict=False):
        to_add(gate, h, gate_kernel).sigmoid_()
        add_product(candidate_bias, h, candidate_kernel, out=product)
        candidate.addcmul_(reset, product).tanh_()
        h = torch.lerp(candidate, h, update, out=state)
    return [gates, candidates]


def _gates_apart(values: Tensor, units: int) -> tuple[Tensor, ...]:
    """What belongs to the two gates, and what to the candidate."""
    return torch.split_with_sizes(values, (2 * units, units), -1)


def _gru_by_autograd(x: Tensor, kernel: Tensor, recurrent_kernel: Tensor, bias: Tensor, h: Tensor) -> Tensor:
    """`_gru_on_cpu` as autograd records it, for derivatives of any order."""
    if x.ndim > 3:
        each = zip(x, kernel, recurrent_kernel, bias, h, strict=True)
        return torch.stack([_gru_by_autograd(*one) for one in each])
    input_bias, recurrent_bias = bias.unbind(0)
    states = [h]
    for z in project(x, kernel, input_bias).unbind(0):
        step = gru_step(z, states[-1:], recurrent_kernel, recurrent_bias, torch.tanh, torch.sigmoid, True)
        states.append(step[0])
    return torch.stack(states[1:])


class _GRU(torch.autograd.Function):
    """`_gru_on_cpu` with gradients. No step keeps anything but its gates, its candidate, that one's product and its
    state; each weight's gradient is one product over all steps.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, recurrent_kernel: Tensor, bias: Tensor, h: Tensor) -> Tensor:
        *several, time, batch, _ = x.shape
        units = h.shape[-1]
        states, products = (x.new_empty(*several, steps, batch, units) for steps in (time + 1, time))
        first, *rest = states.unbind(-3)
        first.copy_(h)
        found = _gru_forward(x, kernel, recurrent_kernel, bias, first, products.unbind(-3), rest)
        ctx.save_for_backward(x, kernel, recurrent_kernel, bias, h, *found, products, states)
        return states.narrow(-3, 1, time)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, gates, candidate, products, states = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradients themselves are to be differentiated
            wanted = [each for each, needed in zip(inputs, ctx.needs_input_grad, strict=True) if needed]
            found = iter(torch.autograd.grad(_gru_by_autograd(*inputs), wanted, grad, create_graph=True))
            return tuple(next(found) if needed else None for needed in ctx.needs_input_grad)
        x, kernel, recurrent_kernel = inputs[:3]
        before = states.narrow(-3, 0, x.shape[-3])
        update, reset = gates.chunk(2, -1)
        # The derivatives of each step's state by the arguments of its two gates and by the product that the reset gate
        # scales: these three go back to the state before by one matrix product. All steps at once.
        to_candidate = (1 - update).mul_(1 - candidate * candidate)
        slopes = x.new_empty(*x.shape[:-1], kernel.shape[-1])
        to_update, to_reset, to_product = slopes.chunk(3, -1)
        torch.sub(before, candidate, out=to_update).mul_(update).mul_(1 - update)
        torch.mul(to_candidate, reset, out=to_product)
        torch.mul(to_product, products, out=to_reset).mul_(1 - reset)

        totals = torch.empty_like(products)
        carried = torch.zeros_like(totals.select(-3, 0))
        add_product = Tensor.addmm_ if carried.ndim == 2 else Tensor.baddbmm_
        by_gate = slopes.unflatten(-1, (3, -1)).unbind(-4)[::-1]
        steps = (each.unbind(-3)[::-1] for each in (grad, totals, slopes, update))
        for from_above, total, slope, keep, three in zip(*steps, by_gate, strict=True):
            torch.add(from_above, carried, out=total)
            three.mul_(total.unsqueeze(-2))
            add_product(torch.mul(total, keep, out=carried), slope, recurrent_kernel.mT)
        flat = slopes.flatten(-3, -2)
        # In the memory order of the kernels, so that they become their .grad without a copy.
        grad_recurrent = multiply(flat.mT, before.flatten(-3, -2)).mT
        grad_recurrent_bias = flat.sum(-2)
        torch.mul(totals, to_candidate, out=to_product)
        grad_bias = torch.stack((flat.sum(-2), grad_recurrent_bias), -2)
        grad_kernel = multiply(flat.mT, x.flatten(-3, -2)).mT
        grad_x = multiply(flat, kernel.mT).view(x.shape) if ctx.needs_input_grad[0] else None
        return grad_x, grad_kernel, grad_recurrent, grad_bias, carried
