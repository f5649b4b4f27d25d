"""What the layers of a model cost for one sample: multiply-adds, and the memory of what they put out."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any, NamedTuple

import torch
from torch.utils import _pytree as pytree

from .. import layers
from ..core import dtypes, symbolic
from ..core.graph import Graph, _input_like
from ..core.symbolic import SymbolicTensor
from ..kernels import window
from ..layers import attention, convolution, convolutional_recurrent, merge, normalization, recurrent
from ..layers.activation import _Elementwise
from ..layers.local import LocallyConnected
from ..layers.preprocessing.strings import Textual
from ..layers.spatial import Spatial
from .field import Fields, fields_after, fields_of_inputs, shown

Shape = tuple[int, ...]


class Count(NamedTuple):
    """Multiply-adds or bytes of one sample; with `each`, of one step or position of an axis whose size is unknown."""

    number: int | None
    each: bool = False

    @property
    def exact(self) -> int | None:
        """The number, where all of it is known."""
        return None if self.each else self.number

    def __str__(self) -> str:
        return "?" if self.number is None else f"{'? x ' if self.each else ''}{self.number:,}"


UNKNOWN = Count(None)


def _total(counts: Iterable[Count]) -> Count:
    counts = list(counts)
    if len(counts) == 1:
        return counts[0]
    return Count(_added([count.exact for count in counts]))


# Multiply-adds --------------------------------------------------------------------------------------------------------


@functools.singledispatch
def multiply_adds(layer: Any, inputs: Shape, outputs: Shape) -> int | None:
    """Multiply-adds of a call for one sample; None for a kind of layer without a formula, which has to be tried out.

    Counted are products with weights and of tensors with each other, as papers and torch's FlopCounterMode (in halves)
    do: not biases, activations, pooling and normalization. Shapes, (batch, ...), are those of the first input and
    output; the batch aside all sizes are known.
    """
    return None


for _kind in (
    layers.InputLayer, layers.Embedding, _Elementwise, normalization._Normalization, merge.Merge, Spatial,
    layers.Flatten, layers.RepeatVector, layers.Rescaling, layers.CategoryEncoding, layers.Discretization, Textual,
):  # fmt: skip
    multiply_adds.register(_kind, lambda layer, inputs, outputs: 0)


@multiply_adds.register
def _(layer: layers.Dense, inputs: Shape, outputs: Shape) -> int:
    return window.multiply_adds(inputs[1:-1], (), inputs[-1], layer.units)


@multiply_adds.register
def _(layer: layers.EinsumDense, inputs: Shape, outputs: Shape) -> int:
    terms, (sizes, others) = layer._terms, layer._sizes(inputs)
    letters = {*terms.inputs, *terms.kernel, *terms.outputs} - ({terms.inputs[0]} if terms.dots != "left" else set())
    rest = others[1:] if terms.dots == "left" else others
    return math.prod([*(sizes[letter] or 1 for letter in letters), *rest])


@multiply_adds.register(convolution.Conv)
@multiply_adds.register(convolution.DepthwiseConv)
@multiply_adds.register(LocallyConnected)
def _(layer: Any, inputs: Shape, outputs: Shape) -> int:
    channels = layer.channels(inputs)
    groups = getattr(layer, "groups", 1) or channels
    return window.multiply_adds(
        layer.spatial(outputs), layer.kernel_size, channels, outputs[layer.channel_axis], groups
    )


@multiply_adds.register
def _(layer: layers.STFTSpectrogram, inputs: Shape, outputs: Shape) -> int:
    frames = math.prod(outputs[1:]) // (2 if layer.mode == "stft" else 1)
    return frames * sum(math.prod(weight.shape[:1]) for weight in layer.weights)


@multiply_adds.register
def _(layer: convolution.ConvTranspose, inputs: Shape, outputs: Shape) -> int:
    return window.multiply_adds(layer.spatial(inputs), layer.kernel_size, layer.channels(inputs), layer.filters)


@multiply_adds.register
def _(layer: convolution.SeparableConv, inputs: Shape, outputs: Shape) -> int:
    positions, channels = layer.spatial(outputs), layer.channels(inputs)
    between = channels * layer.depth_multiplier
    depthwise = window.multiply_adds(positions, layer.kernel_size, channels, between, channels)
    return depthwise + window.multiply_adds(positions, (), between, layer.filters)


@multiply_adds.register
def _(layer: layers.Dot, inputs: Shape, outputs: Shape) -> int:
    axis = layer.axes if isinstance(layer.axes, int) else layer.axes[0]
    return math.prod(outputs[1:]) * inputs[axis]


@multiply_adds.register
def _(cell: recurrent._Cell, inputs: Shape, outputs: Shape) -> int:
    """One step: inputs (batch, features)."""
    return (inputs[-1] + cell.units) * cell._gates * cell.units


@multiply_adds.register
def _(layer: convolutional_recurrent.ConvLSTM, inputs: Shape, outputs: Shape) -> int:
    """The first step has no state to convolve; where it is the only one, it does so nevertheless."""
    cell, steps, step = layer.cell, inputs[1], (inputs[0], *inputs[2:])
    positions = cell.spatial(cell.compute_output_shape(step))
    count = steps * cell.channels(step) + max(steps - (not layer.stateful), 1) * cell.filters
    return window.multiply_adds(positions, cell.kernel_size, count, 4 * cell.filters)


@multiply_adds.register
def _(cell: layers.StackedRNNCells, inputs: Shape, outputs: Shape) -> int | None:
    costs = []
    for one in cell.cells:
        costs.append(multiply_adds(one, inputs, outputs))
        inputs = (inputs[0], recurrent._output_size(one))
    return _added(costs)


@multiply_adds.register
def _(layer: layers.RNN, inputs: Shape, outputs: Shape) -> int | None:
    step = multiply_adds(layer.cell, (inputs[0], *inputs[2:]), outputs)
    return None if step is None else inputs[1] * step


@multiply_adds.register
def _(layer: layers.Bidirectional, inputs: Shape, outputs: Shape) -> int | None:
    return _added([multiply_adds(one, inputs, outputs) for one in (layer.forward_layer, layer.backward_layer)])


@multiply_adds.register
def _(layer: layers.TimeDistributed, inputs: Shape, outputs: Shape) -> int | None:
    step = multiply_adds(layer.layer, (inputs[0], *inputs[2:]), (outputs[0], *outputs[2:]))
    return None if step is None else inputs[1] * step


@multiply_adds.register
def _(layer: layers.Pipeline, inputs: Shape, outputs: Shape) -> int | None:
    costs = []
    for one in layer._pipeline_layers:
        after = one.compute_output_shape(inputs)
        costs.append(multiply_adds(one, inputs, after))
        inputs = after
    return _added(costs)


@multiply_adds.register
def _(layer: layers.SpectralNormalization, inputs: Shape, outputs: Shape) -> int | None:
    return multiply_adds(layer.layer, inputs, outputs)


def attention_multiply_adds(layer: attention._Attention, query: Shape, value: Shape) -> int:
    """Multiply-adds of attention from `query` to `value`, for one sample; the batch aside all sizes are known."""
    steps, sources = math.prod(query[1:-1]), math.prod(value[1:-1])
    if not isinstance(layer, attention._Projected):
        dot = not isinstance(layer, layers.AdditiveAttention) and layer.score_mode == "dot"
        scores = query[-1] if dot else 0
        return steps * sources * (scores + value[-1])
    kernels = [
        (layer._query_dense, steps), (layer._key_dense, sources), (layer._value_dense, sources),
        (layer._output_dense, steps), (getattr(layer, "_gate_dense", None), steps),
    ]  # fmt: skip
    projections = sum(dense.kernel.numel() * count for dense, count in kernels if dense is not None)
    apart = math.prod(query[axis] for axis in range(1, len(query) - 1) if axis not in layer.attention_axes)
    heads, size = layer._query_dense.kernel.shape[-2:]
    return projections + steps * sources // apart * heads * (size + layer._value_dense.kernel.shape[-1])


def _added(costs: list[int | None]) -> int | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


def count_of(layer: Any, args: tuple, kwargs: dict[str, Any], outputs: Any) -> Count:
    """The cost of a recorded call; its arguments and outputs hold symbolic tensors."""
    given, made = ([leaf.shape for leaf in _symbols(part)] for part in ((args, kwargs), outputs))
    unknown = any(None in shape[1:] for shape in (given[0], made[0]))
    known = [tuple(1 if size is None else size for size in shape) for shape in (*given[:2], made[0])]
    if isinstance(layer, attention._Attention):  # its cost is no multiple of an unknown number of steps
        return UNKNOWN if unknown else Count(attention_multiply_adds(layer, known[0], known[min(1, len(given) - 1)]))
    number = multiply_adds(layer, known[0], known[-1])
    return _tried(layer, args, kwargs) if number is None else Count(number, number > 0 and unknown)


def _symbols(structure: Any) -> list[SymbolicTensor]:
    return [leaf for leaf in pytree.tree_leaves(structure) if isinstance(leaf, SymbolicTensor)]


def _tried(layer: Any, args: tuple, kwargs: dict[str, Any]) -> Count:
    """What torch counts in a call on one sample, without values; unknown where that depends on an unknown size."""
    from torch.utils.flop_counter import FlopCounterMode

    found = []

    def single(leaf: Any) -> Any:
        if not isinstance(leaf, SymbolicTensor):
            return leaf
        return SymbolicTensor((1, *leaf.shape[1:]) if leaf.shape[:1] == (None,) else leaf.shape, leaf.torch_dtype)

    def call(*args: Any, **kwargs: Any) -> Any:
        samples = next(leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)).shape[0]
        with FlopCounterMode(display=False, custom_mapping=_UNCOUNTED) as counter:
            outputs = layer.call(*args, **kwargs)
        found.append(Fraction(counter.get_total_flops(), 2 * samples))
        return outputs

    args, kwargs = pytree.tree_map(single, (args, kwargs))
    weight = next(layer.parameters(), None)
    try:
        with torch.device("cpu" if weight is None else weight.device):
            symbolic.run_on_trial_tensors(call, args, kwargs, layer)
    except (ValueError, TypeError, AttributeError, NotImplementedError):  # what does not run without values
        return UNKNOWN
    same = len(set(found)) == 1 and found[0].denominator == 1
    return Count(int(found[0])) if same else UNKNOWN


def _product_flops(total: Shape, a: Shape, b: Shape, *_: Any, **__: Any) -> int:
    return 2 * math.prod(a) * b[-1]


def _recurrent_flops(inputs: Shape, kernel: Shape, recurrent_kernel: Shape, *_: Any, **__: Any) -> int:
    return 2 * math.prod(inputs[:-1]) * (math.prod(kernel) + math.prod(recurrent_kernel))


def _attention_flops(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    return 2 * math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


_UNCOUNTED: dict[Any, Callable] = {  # what torch leaves out: products in place, kernels for whole sequences
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
    torch.ops.aten.addmm_: _product_flops,
    torch.ops.aten.baddbmm_: _product_flops,
    torch.ops.aten.mkldnn_rnn_layer: _recurrent_flops,
    torch.ops.aten._cudnn_rnn: lambda inputs, weights, *_, **__: _recurrent_flops(inputs, *weights[:2]),
}


# Models ---------------------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """What the calls of one layer in a model cost together, its receptive field as text, "3 x 5", and the bytes of what
    they put out."""

    multiply_adds: Count
    field: str
    memory: Count = UNKNOWN


class Memory(NamedTuple):
    """Bytes of one sample: of all that the layers put out, which training keeps for the way back, and of what is there
    at one time at most while it is only computed, the inputs among it. Views count as if they were copies; what a
    kernel needs for itself does not."""

    total: Count
    peak: Count


class Costs(NamedTuple):
    """Of a model: multiply-adds, the row of every layer, those of nested models included, by its `id`, activations."""

    total: Count
    rows: dict[int, Row]
    memory: Memory


def costs(model: Any) -> Costs:
    """What a model costs.

    Of a model with a `call` of its own the calls are not known: each layer counts as it was built, without a field.
    """
    graph = getattr(model, "_graph", None)
    if graph is None:
        found = {id(layer): as_built(layer) for layer in model._flat_layers()}
        rows = {key: Row(count, "?", memory) for key, (count, memory) in found.items() if key != id(model)}
        return Costs(found[id(model)][0], rows, Memory(UNKNOWN, UNKNOWN))
    calls: dict[int, list[tuple[Count, str, Count]]] = {}
    last = next((layer.channels_last for layer in model._flat_layers() if isinstance(layer, Spatial)), True)
    total, memory, _ = _walk(graph, [fields_of_inputs(tensor) for tensor in graph.inputs], last, calls)
    rows = {}
    for key, each in calls.items():
        counts, texts, sizes = zip(*each, strict=True)
        rows[key] = Row(_total(counts), ", ".join(dict.fromkeys(texts)), _total(sizes))
    return Costs(total, rows, memory)


def _walk(
    graph: Graph, given: list[Fields], last: bool, calls: dict[int, list[tuple[Count, str, Count]]]
) -> tuple[Count, Memory, list[Fields]]:
    """The cost of a graph, its memory, and what its outputs see; notes every call under the layer's id."""
    seen: dict[int, Fields] = dict(zip(map(id, graph.inputs), given, strict=True))
    for node, one in zip(graph.input_nodes, given, strict=True):
        calls.setdefault(id(node.layer), []).append((Count(0), shown([one]), Count(0)))
    last_use: dict[int, int] = {}
    for place, node in enumerate(graph.nodes):
        last_use.update((id(tensor), place) for tensor in (*pytree.tree_leaves(node.outputs), *node.inputs))
    kept = (*graph.inputs, *pytree.tree_leaves(graph.outputs))  # whoever calls has them before or afterwards
    last_use.update((id(tensor), len(graph.nodes)) for tensor in kept)
    live = {id(tensor): _bytes([tensor]) for tensor in graph.inputs}
    counts, totals, peaks = [], [], [_total(live.values())]
    for place, node in enumerate(graph.nodes):
        tensors = _symbols(node.args) or node.inputs
        before = [seen[id(tensor)] for tensor in tensors]
        outputs = pytree.tree_leaves(node.outputs)
        inner = getattr(node.layer, "_graph", None)
        if inner is not None:
            fitted = _refitted(inner, tensors)
            count, (memory, peak), after = _walk(fitted, before, last, calls)
            taken = _bytes(fitted.inputs).exact  # which are live here, too
            peak = _total([peak, Count(None if taken is None else -taken)])
        else:
            count = count_of(node.layer, node.args, node.kwargs, node.outputs)
            memory = peak = _bytes(outputs)
            after = [fields_after(node.layer, before, tensors[0].shape, outputs[0].shape, last)] * len(outputs)
        counts.append(count)
        totals.append(memory)
        peaks.append(_total([*live.values(), peak]))
        live |= {id(tensor): _bytes([tensor]) for tensor in outputs}
        live = {key: size for key, size in live.items() if last_use[key] > place}
        calls.setdefault(id(node.layer), []).append((count, shown(after), memory))
        seen.update(zip(map(id, outputs), after, strict=True))
    most = max((peak.exact for peak in peaks if peak.exact is not None), default=None)
    whole = Count(most) if all(peak.exact is not None for peak in peaks) else UNKNOWN
    ends = [seen[id(tensor)] for tensor in pytree.tree_leaves(graph.outputs)]
    return _total(counts), Memory(_total(totals), whole), ends


def _refitted(graph: Graph, tensors: list[SymbolicTensor]) -> Graph:
    """The graph of a nested model for what it is called on, where that says sizes which its own inputs leave open."""
    pairs = list(zip(graph.inputs, tensors, strict=True))
    if not any(own is None and size is not None for a, b in pairs for own, size in zip(a.shape, b.shape, strict=True)):
        return graph
    fresh = [_input_like(own, tensor.shape, own.torch_dtype) for own, tensor in pairs]
    return Graph(fresh, graph.replay(fresh))


def as_built(layer: Any) -> tuple[Count, Count]:
    """Cost and memory of one call on inputs of the shape it was built for."""
    if not layer.built or layer._build_shapes is None:
        return UNKNOWN, UNKNOWN

    def symbol(shape: tuple) -> SymbolicTensor:
        return SymbolicTensor(shape, layer.input_dtype or layer._compute or torch.float32)

    args, kwargs = layer._build_shapes
    args = tuple(symbolic.map_shapes(symbol, shape) for shape in args)
    kwargs = {name.removesuffix("_shape"): symbolic.map_shapes(symbol, shape) for name, shape in kwargs.items()}
    if not pytree.tree_leaves((args, kwargs)):
        return UNKNOWN, UNKNOWN
    try:
        outputs = symbolic.infer(layer, args, kwargs)
    except (TypeError, ValueError, NotImplementedError):  # it asks for more than the build was told
        return UNKNOWN, UNKNOWN
    return count_of(layer, args, kwargs, outputs), _bytes(pytree.tree_leaves(outputs))


def _bytes(tensors: Iterable[SymbolicTensor]) -> Count:
    """Of one sample."""
    tensors = list(tensors)
    if any(tensor.torch_dtype == dtypes.TEXT for tensor in tensors):
        return UNKNOWN

    def one(tensor: SymbolicTensor) -> Count:
        sizes = tensor.shape[1:]
        return Count(tensor.torch_dtype.itemsize * math.prod(1 if n is None else n for n in sizes), None in sizes)

    return _total(map(one, tensors))
