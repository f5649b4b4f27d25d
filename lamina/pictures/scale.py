"""What training a model takes on many GPUs, by arithmetic alone: bytes sent, memory, and where the limit lies."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..core.errors import named
from ..layers.dense import Dense, EinsumDense
from . import cost

BUCKET = 1 << 26  # bytes of gradients that are sent together
WAYS = ("data parallel", "fully sharded", "tensor parallel")


@dataclass(frozen=True)
class Cluster:
    """GPUs in machines of `node` each. Bytes a second that a GPU sends `inside` a machine and `between` machines,
    floating-point operations a second that it reaches, seconds that a message takes besides."""

    node: int = 8
    inside: float = 450e9
    between: float = 50e9
    flops: float = 400e12
    latency: float = 10e-6


class Counts(NamedTuple):
    """Of a model: bytes of trainable weights, of the optimizer's state, of the largest layer, multiply-adds and bytes
    of activations of one sample, how many layers have weights; and of Dense layers bytes of the kernels and, for one
    sample, bytes that go in and come out, and multiply-adds."""

    weights: int
    state: int
    largest: int
    multiply_adds: int
    activations: int
    layers: int
    kernels: int
    given: int
    made: int
    divided: int


class Line(NamedTuple):
    """One way on so many GPUs: bytes that each sends in a step, seconds of computing and of sending, bytes of memory,
    and the samples on each from which on computing takes longer than sending; None where it never does."""

    gpus: int
    way: str
    sent: float
    computing: float
    sending: float
    memory: float
    batch: int | None


def counts(model: Any, states: float | None = None) -> Counts:
    """Count a built model. states: of the optimizer, in copies of the weights; None: as compiled, else 2, as Adam's.

    Raises ValueError where the cost of a sample is not known.
    """
    if not model.built:
        raise ValueError(f"{named(model)} has no weights yet: give its input shape, or call it on data.")
    found = cost.costs(model)
    total, kept = found.total.exact, found.memory.total.exact
    if total is None or kept is None:
        raise ValueError(
            f"{named(model)}: what a sample costs is not known; give all sizes of the input but the batch."
        )
    weights = _size(model.trainable_weights)
    optimizer = getattr(model, "optimizer", None)
    if states is None and optimizer is not None:
        optimizer.build(model.trainable_weights)
        state = _size(optimizer.variables)
    else:
        state = int(weights * (2 if states is None else states))
    layers = [layer for layer in model._flat_layers() if layer._own_weights() and layer.trainable_weights]
    dense = [layer for layer in layers if isinstance(layer, (Dense, EinsumDense))]
    kernels = sum(_size([layer.kernel]) for layer in dense)
    moved = [_moved(layer) for layer in dense]
    largest = max((_size(layer.trainable_weights) for layer in layers), default=0)
    ends = [sum(each) for each in zip(*moved, strict=True)] or [0, 0, 0]
    return Counts(weights, state, largest, total, kept, len(layers), kernels, *ends)


def _size(tensors: Sequence[Any]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _moved(layer: Any) -> tuple[int, int, int]:
    """Bytes of one sample that go into a Dense layer and come out, and its multiply-adds, in one call of the shape it
    was built for."""
    shape = layer._build_shapes[0][0]
    one, another = ((1, *(size or 1 for size in each[1:])) for each in (shape, layer.compute_output_shape(shape)))
    each = layer.dtype_policy.compute.itemsize
    return each * math.prod(one), each * math.prod(another), cost.multiply_adds(layer, one, another) or 0


def lines(of: Counts, gpus: Sequence[int], batch: int, cluster: Cluster) -> list[Line]:
    """Each way on each number of GPUs, with `batch` samples on each."""
    return [_line(of, count, way, batch, cluster) for count in gpus for way in WAYS]


def _line(of: Counts, count: int, way: str, batch: int, on: Cluster) -> Line:
    speed = on.inside if count <= on.node else on.between
    done = of.multiply_adds
    kept = batch * of.activations
    if way == "data parallel":
        sent, messages = _ring(2 * of.weights, count), math.ceil(of.weights / BUCKET)
        fixed, growing = sent / speed, 0.0
        memory = 3 * of.weights + of.state + kept  # weights, gradients, and these once more as they are sent
    elif way == "fully sharded":
        sent, messages = _ring(3 * of.weights, count), 3 * of.layers
        fixed, growing = sent / speed, 0.0
        memory = (2 * of.weights + of.state) / count + 3 * of.largest + kept
    else:
        team = min(count, on.node)  # all of it see its samples; what is not divided each computes for itself
        done = of.divided + team * max(of.multiply_adds - of.divided, 0)
        mine = of.weights - of.kernels * (1 - 1 / team)
        moved = _ring(of.made + 2 * of.given, team)
        copies = _ring(2 * mine, count // team)
        sent, messages = copies + team * batch * moved, 3 * of.layers
        fixed, growing = copies / speed, team * moved / on.inside
        memory = 3 * mine + of.state * mine / max(of.weights, 1) + team * kept
    fixed += messages * math.log2(max(count, 1)) * on.latency
    per_sample = 6 * done / on.flops  # 2 forward, 4 back
    gain = per_sample - growing
    least = max(1, math.ceil(fixed / gain)) if gain > 0 else None
    return Line(count, way, sent, batch * per_sample, fixed + batch * growing, memory, least)


def _ring(size: float, count: int) -> float:
    """Bytes that each of so many sends for all to have, or to add up, so many bytes on a ring."""
    return size * (count - 1) / count


def text(model: Any, gpus: Sequence[int], batch: int, cluster: Cluster, states: float | None = None) -> str:
    """A table of the lines, and of what they go by."""
    of = counts(model, states)
    told = [
        f"weights {_bytes(of.weights)}, optimizer {_bytes(of.state)}, activations {_bytes(of.activations)} and "
        f"{of.multiply_adds:,} multiply-adds a sample; {batch} samples on each GPU",
        "",
    ]
    rows: list[tuple[str, ...]] = [("GPUs", "way", "sent a step", "computing", "sending", "memory", "from batch")]
    for line in lines(of, gpus, batch, cluster):
        seconds = [f"{1000 * value:.2f} ms" for value in (line.computing, line.sending)]
        least = "never" if line.batch is None else f"{line.batch:,}"
        rows.append((f"{line.gpus:,}", line.way, _bytes(line.sent), *seconds, _bytes(line.memory), least))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(w) if at == 1 else cell.rjust(w) for at, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        told.append("  ".join(cells).rstrip())
    return "\n".join(told)


def _bytes(size: float) -> str:
    power = min(4, int(math.log(size, 1000))) if size >= 1 else 0
    return f"{size / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


def main(options: Any, load: Callable[[str], Any]) -> int:
    """Does what `lamina scale` is asked for, and returns the exit code."""
    inside, between = options.bandwidth
    cluster = Cluster(options.node, inside * 1e9, between * 1e9, options.flops * 1e12, options.latency * 1e-6)
    try:
        print(text(load(options.file), options.gpus, options.batch, cluster, options.states))
    except (OSError, ValueError) as error:
        print(f"lamina: {error}", file=sys.stderr)
        return 1
    return 0
