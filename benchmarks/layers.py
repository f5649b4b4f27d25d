"""A layer's call against its torch.nn twin on tiny tensors, where nothing but overhead shows.

Both sides alternate in one run; medians. Two modes: without gradients, and with the graph of the backward recorded
(that backward is timed as well, without a budget). What has channels is compared three ways:

    first    channels first on both sides
    last     channels last (the default), against the twin and the two permutes a torch user writes for the same data
    native   channels last, against the twin on its own order of the data: for information, different memory

Prints microseconds and ratios; exits with 1 where a budget is missed.
`python benchmarks/layers.py [--write] [part of a name]`; with `--write` a summary goes into the READMEs.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, NamedTuple

import torch
from _ab import Comparison, alternate
from _readme import machine, write
from torch import Tensor, nn

import lamina as keras

L = keras.layers
LAYER, MODEL = 1.10, 1.05
SUMMARY = {
    "en": "A call of a built layer on a tiny tensor against that of its `torch.nn` twin, {count} comparisons: the "
    "median ratio is {plain:.2f} without gradients and {recorded:.2f} with; the largest is {most:.2f} ({name}). "
    "{machine}; `python benchmarks/layers.py`.",
    "zh": "已构建的层在极小张量上的一次调用与其 `torch.nn` 对应层相比 ({count} 组比较)。"
    "不求梯度时比值的中位数为 {plain:.2f}。求梯度时为 {recorded:.2f}。最大为 {most:.2f} ({name})。"
    "{machine}。`python benchmarks/layers.py`。",
}
FIRST, LAST = {"data_format": "channels_first"}, {"data_format": "channels_last"}


class Pair(NamedTuple):
    """A torch call and ours, each with its input, and the ratio allowed (None: for information)."""

    name: str
    shape: str
    theirs: Callable[[Tensor], Any]
    given: Tensor
    ours: Callable[[Tensor], Any]
    taken: Tensor
    budget: float | None = LAYER


def to_last(x: Tensor) -> Tensor:
    return x.movedim(1, -1).contiguous()


def permuted(module: nn.Module, rank: int) -> Callable[[Tensor], Tensor]:
    """The module as a torch user calls it on channels-last data."""
    first, last = (0, rank + 1, *range(1, rank + 1)), (0, *range(2, rank + 2), 1)
    return lambda x: module(x.permute(first)).permute(last)


def plain(name: str, twin: nn.Module, layer: Any, x: Tensor, **options: Any) -> Iterator[Pair]:
    layer(x)
    yield Pair(name, f"{tuple(x.shape)}", twin.eval(), x, layer, x, **options)


def spatial(name: str, rank: int, twin: nn.Module, make: Callable[..., Any], x: Tensor) -> Iterator[Pair]:
    """The three comparisons of a layer with a data format; x is channels first."""
    twin = twin.eval()
    first, last = make(**FIRST), make(**LAST)
    y = to_last(x)
    first(x), last(y)
    yield Pair(f"{name} first", f"{tuple(x.shape)}", twin, x, first, x)
    yield Pair(f"{name} last", f"{tuple(y.shape)}", permuted(twin, rank), y, last, y)
    yield Pair(f"{name} native", f"{tuple(y.shape)}", twin, x, last, y, None)


def normalized(name: str, rank: int, twin: nn.Module, x: Tensor, training: bool) -> Iterator[Pair]:
    """BatchNormalization has an axis instead of a data format."""
    y = to_last(x)
    made = []
    for axis, data in ((1, x), (-1, y)):
        layer = L.BatchNormalization(axis=axis, momentum=0.9)
        layer(data)
        made.append(layer.train(training))
    twin = twin.train(training)
    yield Pair(f"{name} first", f"{tuple(x.shape)}", twin, x, made[0], x)
    yield Pair(f"{name} last", f"{tuple(y.shape)}", permuted(twin, rank), y, made[1], y)
    yield Pair(f"{name} native", f"{tuple(y.shape)}", twin, x, made[1], y, None)


class ConvLSTM(nn.Module):
    """A cell of one convolution and a loop, as torch users write it, on (batch, time, channels, rows, columns)."""

    def __init__(self, channels: int, filters: int, size: int):
        super().__init__()
        self.convolution = nn.Conv2d(channels + filters, 4 * filters, size, padding=size // 2)

    def forward(self, x: Tensor) -> Tensor:
        h = c = x.new_zeros(len(x), self.convolution.out_channels // 4, *x.shape[3:])
        outputs = []
        for step in x.unbind(1):
            i, f, g, o = self.convolution(torch.cat((step, h), 1)).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            outputs.append(h)
        return torch.stack(outputs, 1)


def convolved(x: Tensor) -> Iterator[Pair]:
    """ConvLSTM2D against a cell written by hand; x is channels first."""
    twin, y = ConvLSTM(x.shape[2], 8, 3), x.movedim(2, -1).contiguous()
    first, last = (L.ConvLSTM2D(8, 3, padding="same", return_sequences=True, **k) for k in (FIRST, LAST))
    first(x), last(y)
    yield Pair("ConvLSTM2D first", f"{tuple(x.shape)}", twin, x, first, x)
    yield Pair("ConvLSTM2D last", f"{tuple(y.shape)}", lambda y: twin(y.movedim(-1, 2)).movedim(2, -1), y, last, y)


def layers() -> Iterator[Pair]:
    vector, sequence = torch.randn(2, 8), torch.randn(2, 8, 8)
    line, picture = torch.randn(1, 4, 16), torch.randn(1, 4, 8, 8)
    yield from plain("Dense", nn.Linear(8, 8), L.Dense(8), vector)
    yield from plain("Dense relu", nn.Sequential(nn.Linear(8, 8), nn.ReLU()), L.Dense(8, activation="relu"), vector)
    yield from plain("Dense 3-D", nn.Linear(8, 8), L.Dense(8), sequence)
    yield from plain("ReLU", nn.ReLU(), L.ReLU(), vector)
    yield from plain("Embedding", nn.Embedding(16, 8), L.Embedding(16, 8), torch.randint(16, (2, 8)))
    yield from plain("LayerNormalization", nn.LayerNorm(8), L.LayerNormalization(), vector)
    yield from plain("BatchNormalization", nn.BatchNorm1d(8), L.BatchNormalization(), vector)
    for mode in (False, True):
        label = "BatchNormalization 2-D" + " training" * mode
        yield from normalized(label, 2, nn.BatchNorm2d(4), picture, mode)
    yield from spatial("Conv1D 3", 1, nn.Conv1d(4, 8, 3), lambda **k: L.Conv1D(8, 3, **k), line)
    yield from spatial("Conv2D 3x3", 2, nn.Conv2d(4, 8, 3), lambda **k: L.Conv2D(8, 3, **k), picture)
    same = nn.Conv2d(4, 8, 3, padding=1)
    yield from spatial("Conv2D 3x3 same", 2, same, lambda **k: L.Conv2D(8, 3, padding="same", **k), picture)
    back = nn.ConvTranspose2d(4, 8, 3, 2)
    yield from spatial("Conv2DTranspose 3x3", 2, back, lambda **k: L.Conv2DTranspose(8, 3, 2, **k), picture)
    for kind, torch_kind in (("Max", "Max"), ("Average", "Avg")):
        for rank, data in ((1, line), (2, picture)):
            twin = getattr(nn, f"{torch_kind}Pool{rank}d")(2)
            make = getattr(L, f"{kind}Pooling{rank}D")
            yield from spatial(f"{kind}Pooling{rank}D", rank, twin, lambda make=make, **k: make(2, **k), data)
    for name, twin in (("SimpleRNN", nn.RNN), ("LSTM", nn.LSTM), ("GRU", nn.GRU)):
        layer = getattr(L, name)(8, return_sequences=True)
        yield from plain(name, twin(8, 8, batch_first=True), layer, sequence)
    yield from convolved(torch.randn(2, 6, 4, 8, 8))


def models() -> Iterator[Pair]:
    vector, picture = torch.randn(2, 8), torch.randn(1, 4, 8, 8)
    mlp = nn.Sequential(*(part for _ in range(5) for part in (nn.Linear(8, 8), nn.ReLU())))
    ours = keras.Sequential([part for _ in range(5) for part in (L.Dense(8), L.ReLU())])
    yield from plain("Sequential: 5 Dense, 5 ReLU", mlp, ours, vector, budget=MODEL)
    twin = nn.Sequential(
        nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 2), nn.BatchNorm2d(8),
        nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 8),
    ).eval()  # fmt: skip

    def stack(**k: Any) -> Any:
        axis = 1 if k == FIRST else -1
        return keras.Sequential([
            L.Conv2D(8, 3, **k), L.BatchNormalization(axis), L.ReLU(), L.MaxPooling2D(2, **k), L.Conv2D(8, 2, **k),
            L.BatchNormalization(axis), L.ReLU(), L.AveragePooling2D(2, **k), L.Flatten(), L.Dense(8),
        ])  # fmt: skip

    first, last, y = stack(**FIRST), stack(**LAST), to_last(picture)
    first(picture), last(y)

    def entering(x: Tensor) -> Tensor:
        return twin(x.permute(0, 3, 1, 2))  # once, as a torch user does

    yield Pair("Sequential: CNN of 10, first", f"{tuple(picture.shape)}", twin, picture, first, picture, MODEL)
    yield Pair("Sequential: CNN of 10, last", f"{tuple(y.shape)}", entering, y, last, y, MODEL)


def timed(pair: Pair, seconds: float) -> dict[str, Comparison]:
    """The comparison in each mode."""
    results = {}
    for mode in ("no_grad", "grad"):
        with torch.set_grad_enabled(mode == "grad"):
            results[mode] = alternate(lambda: pair.theirs(pair.given), lambda: pair.ours(pair.taken), seconds=seconds)
    steps = [step(call, x) for call, x in ((pair.theirs, pair.given), (pair.ours, pair.taken))]
    results["with backward"] = alternate(*steps, seconds=seconds)
    return results


def step(call: Callable[[Tensor], Any], x: Tensor) -> Callable[[], Any]:
    """Forward and backward, into the input where it is floating."""
    given = x.clone().requires_grad_(x.is_floating_point())

    def run() -> None:
        y = call(given)
        y = y[0] if isinstance(y, tuple) else y
        y.backward(torch.ones_like(y))

    return run


def summary(ratios: list[tuple[str, float, float]]) -> dict[str, str]:
    most, name = max((max(plain, recorded), name) for name, plain, recorded in ratios)
    middle = {
        "plain": statistics.median(plain for _, plain, _ in ratios),
        "recorded": statistics.median(recorded for _, _, recorded in ratios),
    }
    values = {"count": len(ratios), **middle, "most": most, "name": name}
    return {language: text.format(machine=machine(), **values) for language, text in SUMMARY.items()}


def main(*arguments: str, seconds: float = 0.4) -> int:
    torch.set_num_threads(1)
    part = next((argument for argument in arguments if not argument.startswith("-")), "")
    missed = []
    ratios = []
    modes = ("no_grad", "grad", "with backward")
    print(f"{'microseconds':36}{'shape':16}" + "".join(f"{mode + ': torch':>21} lamina ratio" for mode in modes))
    for pair in chain(layers(), models()):
        if part.lower() not in pair.name.lower():
            continue
        results = timed(pair, seconds)
        if pair.budget is not None:
            ratios.append((pair.name, results["no_grad"].ratio, results["grad"].ratio))
        cells = []
        for mode, result in results.items():
            over = pair.budget is not None and mode != "with backward" and result.ratio > pair.budget
            if over:
                missed.append(f"{pair.name} ({mode}): {result.ratio:.2f}, allowed {pair.budget:.2f}")
            theirs, ours = result.theirs * 1e6, result.ours * 1e6
            cells.append(f"{theirs:21.1f} {ours:6.1f} {result.ratio:5.2f}{'!' if over else ' '}")
        print(f"{pair.name:36}{pair.shape:16}{''.join(cells)}", flush=True)
    print("\n".join(["", *(f"Over budget: {line}" for line in missed)]) if missed else "\nAll within budget.")
    if "--write" in arguments:
        write("layers", summary(ratios))
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
