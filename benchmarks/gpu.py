"""Training on a GPU: `fit` against the same models written by hand in PyTorch, eagerly and as one CUDA graph a step.

All data lie on the GPU. The sides alternate in one run; medians of times and of ratios within a round. "plain memory":
Lamina with every weight contiguous in Keras' shape, instead of in the order that torch's kernels read.

`python benchmarks/gpu.py [part of a name]` prints a Markdown table; it needs a CUDA device.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from _ab import compare, rounds
from _models import TASKS, Task
from _readme import table
from _twins import MADE, FromLast, Mean, loss_of_logits, normalized, twin
from torch import Tensor, nn

import lamina as keras
from lamina.core import weights

SECONDS = 4.0
STEPS = 128
HEAD = [
    "Lamina / PyTorch by hand, eager / as one CUDA graph",
    "`fit`, ms a step",
    "ratio to eager",
    "to a CUDA graph",
    "plain memory to Lamina",
]
WIDE = (128, 128, 256, 256)


def wide(keras: Any) -> Any:
    layers = keras.layers
    blocks = [
        part
        for width in WIDE
        for part in (
            layers.Conv2D(width, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
        )
    ]
    head = [layers.GlobalAveragePooling2D(), layers.Dense(10, activation="softmax")]
    return keras.Sequential([keras.Input((64, 64, 16)), *blocks, *head])


def wide_twin() -> nn.Module:
    blocks: list[nn.Module] = []
    for before, width in zip((16, *WIDE), WIDE, strict=False):
        blocks += [*normalized(before, width, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
    return nn.Sequential(FromLast(), *blocks, Mean(), nn.Linear(WIDE[-1], 10))


MADE["wide"] = wide_twin
WIDE_TASK = Task("Wide CNN, 64 x 64, batch 128", wide, (64, 64, 16), "classes", (), 128, 8)


def by_hand(task: Task, model: nn.Module, x: Tensor, y: Tensor) -> Callable[[], None]:
    """One epoch, eagerly."""
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def epoch() -> None:
        for index in torch.randperm(len(x), device="cuda").split(task.batch):
            optimizer.zero_grad(set_to_none=True)
            loss_of_logits(task, model(x.index_select(0, index)), y.index_select(0, index)).backward()
            optimizer.step()
        torch.cuda.synchronize()

    return epoch


def as_graph(task: Task, model: nn.Module, x: Tensor, y: Tensor) -> Callable[[], None]:
    """One epoch of one replayed CUDA graph a step."""
    optimizer = torch.optim.Adam(model.parameters(), fused=True, capturable=True)
    held_x, held_y = x[: task.batch].clone(), y[: task.batch].clone()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss_of_logits(task, model(held_x), held_y).backward()
        optimizer.step()

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()

    def epoch() -> None:
        for index in torch.randperm(len(x), device="cuda").split(task.batch):
            torch.index_select(x, 0, index, out=held_x)
            torch.index_select(y, 0, index, out=held_y)
            graph.replay()
        torch.cuda.synchronize()

    vars(epoch)["held"] = step  # the graph holds no reference to the weights and the optimizer's state
    return epoch


def of_lamina(task: Task, x: Tensor, y: Tensor) -> Callable[[], None]:
    model = task.model(keras).to("cuda")
    model.compile("adam", task.loss)

    def epoch() -> None:
        model.fit(x, y, batch_size=task.batch, verbose=0)
        torch.cuda.synchronize()

    return epoch


def measure(task: Task) -> list[str]:
    x, y = (torch.from_numpy(part).cuda() for part in task.data(task.batch * STEPS))
    sides = [by_hand(task, twin(task).cuda(), x, y), as_graph(task, twin(task).cuda(), x, y), of_lamina(task, x, y)]
    with mock.patch.object(weights, "allocate", lambda values, order: values.contiguous()):
        sides.append(of_lamina(task, x, y))
    for side in sides * 3:
        side()
    times = rounds(sides, seconds=SECONDS, least=5)
    eager, graph, plain = (compare(times, *pair, STEPS) for pair in ((0, 2), (1, 2), (2, 3)))
    shown = f"{eager.ours * 1e3:.2f} / {eager.theirs * 1e3:.2f} / {graph.theirs * 1e3:.2f}"
    return [task.name, shown, f"{eager.ratio:.2f}", f"{graph.ratio:.2f}", f"{plain.ratio:.2f}"]


def main(part: str = "") -> None:
    rows = []
    for task in (*TASKS, WIDE_TASK):
        if part.lower() in task.name.lower():
            rows.append(measure(task))
            print(" ".join(rows[-1]), file=sys.stderr, flush=True)
    print(table(HEAD, rows))
    where = f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {datetime.date.today()}"
    print(
        f"\n{where}; `python benchmarks/gpu.py`. A ratio below 1: Lamina is faster. What a call of `fit` costs once is"
    )
    print(f"spread over {STEPS} steps.")


if __name__ == "__main__":
    main(*sys.argv[1:])
