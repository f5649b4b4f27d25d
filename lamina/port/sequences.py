"""How recurrent layers and attention are written in plain torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import layers
from ..core.layer import Layer
from ..kernels.recurrence import torch_gate_order
from ..layers.recurrent import RNN
from .axes import Value
from .writer import From, NoForm, Writer, filled, form, otherwise

_RECURRENT = {layers.LSTMCell: nn.LSTM, layers.GRUCell: nn.GRU, layers.SimpleRNNCell: nn.RNN}


def _gates(cell: Any) -> Callable[[Tensor], Tensor]:
    """Columns of a kernel, or a bias, in the order of torch's gates, as rows."""
    if isinstance(cell, layers.GRUCell):
        return lambda weight: weight[..., torch_gate_order(cell.units)].movedim(-1, 0)
    return lambda weight: weight.movedim(-1, 0)


def _sources(cell: Any) -> dict[str, From]:
    change = _gates(cell)
    if isinstance(cell, layers.GRUCell):  # a bias of the inputs, one of the state
        biases = [From("bias", lambda bias, i=i: change(bias[i])) for i in (0, 1)]
    else:
        biases = [From("bias"), From("bias", second=True)]
    kernels = {"weight_ih_l0": From("kernel", change), "weight_hh_l0": From("recurrent_kernel", change)}
    return kernels | {"bias_ih_l0": biases[0], "bias_hh_l0": biases[1]}


def _fits(to: Writer, layer: Layer) -> bool:
    """Whether torch's module computes what the layer does."""
    return (
        isinstance(layer, RNN)
        and type(layer).call is RNN.call
        and type(layer.cell) in _RECURRENT
        and not layer.stateful
        and layer.cell._options["fused"]
        and (to.inference or not layer.cell.recurrent_dropout)
    )


def _network(to: Writer, cells: Sequence[Any]) -> nn.Module:
    """torch's module of one cell, or of one forward and one backward, which are alike."""
    cell = cells[0]
    options = {"nonlinearity": "relu"} if isinstance(cell, layers.SimpleRNNCell) and cell._options.get("relu") else {}
    sizes = cell.kernel.shape[0], cell.units
    make = partial(_RECURRENT[type(cell)], *sizes, bias=cell.use_bias, batch_first=True, **options)
    with torch.device("meta"):
        module = make(bidirectional=len(cells) > 1)
    for one, suffix in zip(cells, ("", "_reverse"), strict=False):
        for name, value in filled(to, one, make, **_sources(one)).named_parameters():
            module._parameters[f"{name}{suffix}"] = value
    module._init_flat_weights()
    return module


_CELLS = {layers.LSTMCell: nn.LSTMCell, layers.GRUCell: nn.GRUCell, layers.SimpleRNNCell: nn.RNNCell}


@form(*_CELLS)
def cell(to: Writer, layer: Any, x: Value, states: Any) -> tuple[Value, list[Value]]:
    otherwise(type(layer) in _CELLS and layer._options["fused"])
    otherwise(to.inference or not (layer.dropout or layer.recurrent_dropout))
    options = {"nonlinearity": "relu"} if layer._options.get("relu") else {}
    make = partial(_CELLS[type(layer)], layer.kernel.shape[0], layer.units, layer.use_bias, **options)
    sources = {name.removesuffix("_l0"): source for name, source in _sources(layer).items()}
    given = [to.settled(each).made for each in states]
    made = to.module(
        layer, lambda: filled(to, layer, make, **sources), x.made, given[0] if len(given) == 1 else (*given,)
    )
    after = [state.like(made if len(given) == 1 else made[place]) for place, state in enumerate(states)]
    return after[0], after


_STEPS = "Give the number of steps in the input's shape; then they are written out."


def _start(states: Any) -> Any:
    """Initial states as torch takes them."""
    if states is None:
        return ()
    made = [state.made.unsqueeze(0) for state in (states if isinstance(states, (list, tuple)) else [states])]
    return (made[0] if len(made) == 1 else tuple(made),)


@form(layers.RNN, layers.LSTM, layers.GRU, layers.SimpleRNN)
def recurrent(to: Writer, layer: Layer, x: Value, initial_state: Any = None, mask: Value | None = None) -> Any:
    if not _fits(to, layer) and x.shape[1] is None:
        raise NoForm(layer, "has no twin in torch.nn, and runs as many steps as its input has", _STEPS)
    otherwise(_fits(to, layer) and (mask is None or (initial_state is None and not layer.return_state)))
    made, shape = to.settled(x).made, layer.compute_output_shape(x.shape)
    made = made.flip(1) if layer.go_backwards else made
    made = _dropped(to, layer, layer.cell, made)
    outputs, ends = _run(to, layer, [layer.cell], made, mask, _start(initial_state))
    dtype = layer.dtype_policy.compute
    if not layer.return_state:
        return Value(outputs if layer.return_sequences else ends(outputs), shape, dtype)
    state = ends(None)
    values = [outputs if layer.return_sequences else state[0], *state]
    return tuple(Value(each, size, dtype) for each, size in zip(values, shape, strict=True))


def _dropped(to: Writer, layer: Layer, cell: Any, x: Any) -> Any:
    """The steps of x with the same features dropped in all of them."""
    if not cell.dropout or to.inference:
        return x
    return x * to.module(layer, partial(nn.Dropout, cell.dropout), torch.ones_like(x[:, :1]), part="dropout")


def _run(to: Writer, layer: Layer, cells: Any, x: Any, mask: Any, start: Any, part: str = "") -> tuple[Any, Any]:
    """All outputs, and what gives the last one of these, or without them the last states."""
    lstm = isinstance(cells[0], layers.LSTMCell)
    if mask is None:
        both = to.module(layer, lambda: _network(to, cells), x, *start, part=part)
        outputs, states = both[0], both[1]

        def ends(asked: Any) -> Any:
            if asked is not None:
                return asked[:, -1]
            listed = [states[0], states[1]] if lstm else [states]
            return [state if len(cells) > 1 else state.squeeze(0) for state in listed]

        return outputs, ends
    back = layer.go_backwards
    valid = to.once((mask.made.node, back), lambda: mask.made.flip(1) if back else mask.made)
    # The valid steps first, in their order: those behind them do not matter to these.
    order = to.once(
        (mask.made.node, back, "order"),
        lambda: torch.argsort(torch.logical_not(valid).int(), dim=1, stable=True).unsqueeze(-1),
    )
    # The places of the steps' outputs: that of the step before where one is not valid, -1 where there is none.
    places = to.once((mask.made.node, back, "places"), lambda: valid.int().cumsum(1).unsqueeze(-1) - 1)
    outputs = to.module(layer, lambda: _network(to, cells), torch.take_along_dim(x, order, 1), part=part)[0]
    held = torch.take_along_dim(outputs, places.clamp(min=0).long(), 1).masked_fill(places < 0, 0.0)
    sequence = held.masked_fill(torch.logical_not(valid).unsqueeze(-1), 0.0) if layer.zero_output_for_mask else held
    return sequence, lambda asked: held[:, -1]


@form(layers.Bidirectional)
def bidirectional(to: Writer, layer: Layer, x: Value, initial_state: Any = None, mask: Value | None = None) -> Any:
    forward, backward = layer.forward_layer, layer.backward_layer
    otherwise(_fits(to, forward) and _fits(to, backward) and type(forward.cell) is type(backward.cell))
    otherwise(not forward.go_backwards and layer.merge_mode is not None)
    made, cells, units = to.settled(x).made, [forward.cell, backward.cell], forward.cell.units
    alike = {(cell.units, cell.use_bias, str(cell._options)) for cell in cells}
    states: list[Any] = []
    drops = not to.inference and any(cell.dropout for cell in cells)  # each direction by itself
    if mask is None and len(alike) == 1 and not drops:
        start = [state.made for state in initial_state or ()]
        start = [torch.stack(pair) for pair in zip(start, start[len(start) // 2 :], strict=False)]
        outputs, ends = _run(
            to, layer, cells, made, None, (start[0] if len(start) == 1 else (*start,),) if start else ()
        )
        states = [part[i] for i in (0, 1) for part in ends(None)] if layer.return_state else []
        if layer.return_sequences and layer.merge_mode == "concat":
            first = second = None
        elif layer.return_sequences:
            first, second = outputs.narrow(-1, 0, units), outputs.narrow(-1, units, units)
        else:
            first, second = outputs[:, -1, :units], outputs[:, 0, units:]
    else:
        otherwise(not layer.return_state and initial_state is None)
        parts = [
            _run(to, one, [one.cell], _dropped(to, one, one.cell, made.flip(1) if one.go_backwards else made), mask, ())
            for one in _named(to, layer, forward, backward)
        ]
        first, second = (own if layer.return_sequences else ends(own) for own, ends in parts)
        second, outputs = second.flip(1) if layer.return_sequences else second, None
    merged = outputs if first is None else _merged(first, second, layer.merge_mode)
    dtype, shapes = layer.dtype_policy.compute, layer.compute_output_shape(x.shape)
    if not layer.return_state:
        return Value(merged, shapes, dtype)
    return tuple(Value(each, shape, dtype) for each, shape in zip([merged, *states], shapes, strict=True))


def _named(to: Writer, layer: Layer, forward: Any, backward: Any) -> list[Any]:
    name = to.name(layer)
    to._given |= {id(forward): f"{name}_forward", id(backward): f"{name}_backward"}
    return [forward, backward]


def _merged(first: Any, second: Any, mode: Any) -> Any:
    if mode == "concat":
        return torch.cat((first, second), -1)
    return first * second if mode == "mul" else first + second if mode == "sum" else (first + second) / 2


# Attention -----------------------------------------------------------------------------------------------------------


@form(layers.GroupedQueryAttention)
def grouped_attention(to: Writer, layer: Layer, query: Value, value: Value, key: Value | None = None) -> Any:
    otherwise(to.inference or not layer.dropout)
    return multi_head_attention(to, layer, query, value, key)


@form(layers.MultiHeadAttention)
def multi_head_attention(
    to: Writer,
    layer: Layer,
    query: Value,
    value: Value,
    key: Value | None = None,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
    **masks: Value,
) -> Any:
    """A module of four Linears round torch's attention."""
    key = value if key is None else key
    size = layer._output_dense.kernel.shape
    otherwise(len(query.shape) == 3 and layer.attention_axes == (1,) and not layer.use_gate and len(size) == 3)
    otherwise(not layer.sliding_window and type(layer).call is layers.MultiHeadAttention.call)
    queries, others = (dense.kernel.shape[-2] for dense in (layer._query_dense, layer._value_dense))
    given = {"query": query, "value": value, "key": key, **masks}
    given = {name: to.settled(each) for name, each in given.items()}
    same = key is value
    if same:
        del given["key"]
    dropout = layer.dropout and not to.inference

    def make() -> nn.Module:
        inner = Writer(to.weights, to.inference)
        x = {name: inner.placeholder(name, each.shape, each.dtype).made for name, each in given.items()}
        x.setdefault("key", x["value"])
        heads = [
            _project(inner, layer, name, x[name]).unflatten(-1, (count, -1)).transpose(1, 2)
            for name, count in (("query", queries), ("key", others), ("value", others))
        ]
        rank = len(given["attention_mask"].shape) if "attention_mask" in given else 0
        allowed = _allowed(x, rank, use_causal_mask and (len(given) > 3 - same or dropout or return_attention_scores))
        zeros = bool(layer.dropout or return_attention_scores)
        if dropout or return_attention_scores:
            scores = (heads[0] * layer._scale) @ heads[1].transpose(-1, -2)
            scores = scores if allowed is None else scores.masked_fill(torch.logical_not(allowed), _LOW)
            shares = torch.softmax(scores, -1)
            shares = shares if allowed is None else shares.masked_fill(torch.logical_not(allowed), 0.0)
            dropped = inner.module(layer, lambda: nn.Dropout(dropout), shares, part="dropout") if dropout else shares
            y = dropped @ heads[2]
        else:
            shares, attention = None, functional.scaled_dot_product_attention
            if allowed is None:
                shared = {"enable_gqa": True} if queries != others else {}
                y = attention(*heads, is_causal=bool(use_causal_mask), **shared)
            else:
                idle = torch.logical_not(allowed.any(-1, keepdim=True))
                y = attention(heads[0].masked_fill(idle, 0.0), *heads[1:], attn_mask=torch.logical_or(allowed, idle))
                y = y.masked_fill(idle, 0.0) if zeros else y
        y = _project(inner, layer, "output", y.transpose(1, 2).flatten(2))
        made = Value(y, query.shape)
        return inner.finish((made, Value(shares, query.shape)) if return_attention_scores else made)

    output = to.module(layer, make, *(each.made for each in given.values()))
    shape = layer.compute_output_shape(query.shape, value.shape)
    if not return_attention_scores:
        return Value(output, shape, query.dtype)
    scores = (query.shape[0], queries, query.shape[1], value.shape[1])
    return Value(output[0], shape, query.dtype), Value(output[1], scores, query.dtype)


def _project(to: Writer, layer: Layer, word: str, x: Any) -> Any:
    """A Linear for one of the projections."""
    dense, output = getattr(layer, f"_{word}_dense"), word == "output"
    kernel = dense.kernel
    features = kernel.shape[:-1] if output else kernel.shape[:1]
    units = kernel.shape[-1:] if output else kernel.shape[1:]

    def change(weight: Tensor) -> Tensor:
        return weight.reshape(features.numel(), units.numel()).T

    make = partial(nn.Linear, features.numel(), units.numel(), bias=dense.bias is not None)
    to._given[id(dense)] = f"{word}_proj" if output else word
    flat = From("bias", lambda bias: bias.flatten())
    return to.module(dense, lambda: filled(to, dense, make, weight=From("kernel", change), bias=flat), x)


def _allowed(x: dict[str, Any], rank: int, causal: bool) -> Any:
    """What all masks together allow, for (batch, heads, targets, sources). rank: of the one that is given."""
    found = [x["query_mask"].bool().unsqueeze(-1).unsqueeze(1)] if "query_mask" in x else []
    found += [x[name].bool().unsqueeze(1).unsqueeze(1) for name in ("value_mask", "key_mask") if name in x]
    if "attention_mask" in x:
        mask = x["attention_mask"].bool()
        found.append(mask.unsqueeze(1) if rank == 3 else mask)
    if causal:
        pairs = x["query"][:1, :, :1] @ x["value"][:1, :, :1].transpose(-1, -2)
        found.append(torch.ones_like(pairs, dtype=torch.bool).tril().unsqueeze(1))
    return reduce(torch.logical_and, found) if found else None


@form(layers.Attention, layers.AdditiveAttention)
def attention(
    to: Writer,
    layer: Any,
    inputs: Sequence[Value],
    mask: Any = None,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
) -> Any:
    otherwise(type(layer)._calculate_scores in (_DOT, _ADDITIVE))
    query, value, key = (to.settled(each) for each in (*inputs, *inputs[1:])[:3])
    q, v, k = query.made, value.made, key.made
    scale = None if layer.scale is None else to.constant(layer, layer.scale, "scale")
    if layer.score_mode == "dot" and type(layer)._calculate_scores is _DOT:
        scores = (q if scale is None else q * scale) @ k.transpose(-1, -2)
    elif type(layer)._calculate_scores is _DOT:
        sums = q.unsqueeze(-2) + k.unsqueeze(-3)
        sums = sums if scale is None else sums * scale
        scores = torch.tanh(sums).sum(-1) * to.constant(layer, layer.concat_score_weight, "concat_score_weight")
    else:
        sums = torch.tanh(q.unsqueeze(-2) + k.unsqueeze(-3))
        scores = sums.sum(-1) if scale is None else sums @ scale
    query_mask, value_mask = [*mask[:2]] if mask else (None, None)
    allowed = None if value_mask is None else value_mask.made.bool().unsqueeze(-2)
    if use_causal_mask:
        earlier = torch.ones_like(scores, dtype=torch.bool).tril()
        allowed = earlier if allowed is None else torch.logical_and(allowed, earlier)
    scores = scores if allowed is None else scores.masked_fill(torch.logical_not(allowed), _LOW)
    shares = torch.softmax(scores, -1)
    if layer.dropout and not to.inference:
        shares = to.module(layer, partial(nn.Dropout, layer.dropout), shares)
    y = shares @ v
    if query_mask is not None:
        y = y.masked_fill(torch.logical_not(query_mask.made.bool().unsqueeze(-1)), 0.0)
    made = Value(y, (*query.shape[:-1], value.shape[-1]), query.dtype)
    if not return_attention_scores:
        return made
    return made, Value(shares, (query.shape[0], query.shape[1], value.shape[1]), query.dtype)


_DOT, _ADDITIVE = layers.Attention._calculate_scores, layers.AdditiveAttention._calculate_scores
_LOW = -2.3e38  # a score that gives no weight, and no NaN where others are added to it
