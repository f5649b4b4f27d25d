"""How time and memory grow: with batch, channels, depth and length of a training step, beside plain PyTorch, and with
the number of layers when models are built, trained, saved and loaded; next to the limits of the machine.

`python benchmarks/growth.py` measures all and writes docs/growth.md; `--part layers` (step, memory, limits) one part,
of at most 100 s. Every row is a process of its own; the sides take turns. Memory is the growth of the resident set
at its peak; a slope is that of a straight line through the logarithms: 1 is linear, 2 square.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import _twins
import numpy as np
import torch
from _models import TASKS, Task, lstm
from _readme import ROOT, machine, replace, table
from torch import Tensor, nn

PAGE = ROOT / "docs" / "growth.md"
USUAL = {"batch": 32, "channels": 32, "depth": 4, "length": 80}
AXES = {
    "batch": (16, 32, 64, 128), "channels": (16, 32, 64, 128), "depth": (2, 4, 8, 16), "length": (40, 80, 160, 320),
}  # fmt: skip
LAYERS = (125, 250, 500, 1000)
ROUNDS = 3


def resident(peak: bool = False) -> float:
    """MB that the process has in memory, or had at most."""
    if peak:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def clock(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


# A training step ------------------------------------------------------------------------------------------------------


Pair = tuple[Task, Callable[[], nn.Module]]  # what Lamina does, and the model by hand


def convolutions(channels: int, depth: int, **_: int) -> Pair:
    """So many convolutions of 32 x 32 places, and one dense layer."""

    def model(keras: Any) -> Any:
        layers = keras.layers
        stack = [layers.Conv2D(channels, 3, padding="same", activation="relu") for _ in range(depth)]
        return keras.Sequential([keras.Input((32, 32, 3)), *stack, layers.Flatten(), layers.Dense(10, "softmax")])

    def twin() -> nn.Module:
        stack = [
            part
            for before in [3, *[channels] * (depth - 1)]
            for part in (nn.Conv2d(before, channels, 3, padding=1), nn.ReLU(inplace=True))
        ]
        made = nn.Sequential(_twins.FromLast(), *stack, _twins.FlattenLast(), nn.Linear(32 * 32 * channels, 10))
        return made.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    return Task("convolutions", model, (32, 32, 3), "classes", (), 32, 8), twin


def recurrence(length: int, **_: int) -> Pair:
    """An LSTM over so many words."""
    model = functools.partial(lstm, length=length)
    return Task("recurrence", model, (length,), "yes or no", (1,), 64, 8, words=True), _twins.lstm


def step(side: str, pair: Pair, batch: int) -> dict[str, float]:
    """Seconds of a step, and the memory of an epoch of some, from before there was a model."""
    epoch_of = by_fit if side == "lamina" else by_hand
    small, (task, _) = TASKS[0], pair
    epoch_of((small, _twins.mlp), *small.data(2), 2)()  # what is imported on the way is imported
    x, y = task.data(batch * task.steps)
    before = resident()
    epoch = epoch_of(pair, x, y, batch)
    epoch()
    seconds = statistics.median(clock(epoch) for _ in range(3)) / task.steps
    return {"seconds": seconds, "memory": resident(peak=True) - before}


def by_fit(pair: Pair, x: np.ndarray, y: np.ndarray, batch: int) -> Callable[[], Any]:
    import lamina

    task, _ = pair
    model = task.model(lamina)
    model.compile("adam", task.loss)
    return lambda: model.fit(x, y, batch_size=batch, shuffle=False, verbose=0)


def by_hand(pair: Pair, x: np.ndarray, y: np.ndarray, batch: int) -> Callable[[], None]:
    task, twin = pair
    model, inputs, targets = twin(), torch.from_numpy(x), torch.from_numpy(y)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def one(inputs: Tensor, targets: Tensor) -> None:
        optimizer.zero_grad()
        _twins.loss_of_logits(task, model(inputs), targets).backward()
        optimizer.step()

    def epoch() -> None:
        for start in range(0, len(x), batch):
            one(inputs[start : start + batch], targets[start : start + batch])

    return epoch


# Building -------------------------------------------------------------------------------------------------------------


def layers(count: int) -> dict[str, float]:
    """Seconds for a model of so many layers: all that is done with it once."""
    import lamina as keras

    def dense() -> Any:
        return keras.layers.Dense(8)

    def added() -> Any:
        model = keras.Sequential([keras.Input((8,))])
        for _ in range(count):
            model.add(dense())
        return model

    def functional() -> Any:
        x = inputs = keras.Input((8,))
        for _ in range(count):
            x = dense()(x)
        return keras.Model(inputs, x)

    functional().fit  # noqa: B018  # what is imported on the way is imported
    found, made = {}, {}
    for name, build in (("`add` in a loop", added), ("functional", functional)):
        found[name] = clock(lambda name=name, build=build: made.__setitem__(name, build()))
    model, x = made["functional"], np.ones((32, 8), "float32")
    model.compile("sgd", "mse")
    found["first step"] = clock(lambda: model.train_on_batch(x, x))
    found["next step"] = clock(lambda: model.train_on_batch(x, x))
    found["`summary`"] = clock(lambda: model.summary(print_fn=lambda line: None))
    found["`clone_model`"] = clock(lambda: keras.models.clone_model(model))
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "model.keras"))
        found["saving"] = clock(lambda: model.save(path))
        found["loading"] = clock(lambda: keras.models.load_model(path))
    return found


# The page -------------------------------------------------------------------------------------------------------------


def limits() -> dict[str, float]:
    """What the machine can do: thousand millions of operations in matrix products, and of bytes copied, a second."""
    a, b = torch.randn(2, 2048, 2048)
    source, target = torch.randn(2, 1 << 26)
    product = min(clock(lambda: a @ b) for _ in range(5))
    copy = min(clock(lambda: target.copy_(source)) for _ in range(5))
    return {"product": 2 * 2048**3 / product / 1e9, "copy": 2 * source.nbytes / copy / 1e9}


def child(*words: Any, **environment: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--side", *map(str, words)]
    done = subprocess.run(command, text=True, capture_output=True, env={**os.environ, **environment})
    if done.returncode:
        raise RuntimeError(f"{words}: exit status {done.returncode}. {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def both(*words: Any, rounds: int = ROUNDS, **environment: str) -> dict[str, dict[str, float]]:
    """The medians of both sides, which take turns."""
    found: dict[str, list[dict[str, float]]] = {"lamina": [], "torch": []}
    for turn in range(rounds):
        for side in sorted(found, reverse=bool(turn % 2)):
            found[side].append(child(side, *words, **environment))
    return {
        side: {key: statistics.median(each[key] for each in all_) for key in all_[0]} for side, all_ in found.items()
    }


def slope(sizes: Sequence[float], values: Sequence[float]) -> str:
    """Of the straight line through the logarithms."""
    found = np.polyfit(np.log(sizes), np.log(np.maximum(values, 1e-9)), 1)
    return f"{found[0]:.2f}"


def part_limits() -> str:
    found = child("limits")
    return (
        f"{machine()}. Matrix products: {found['product']:.0f} GFLOP/s (float32, 2048 x 2048); copies: "
        f"{found['copy']:.1f} GB/s read and written."
    )


def part_layers() -> str:
    found = [child("layers", count) for count in LAYERS]
    rows = [
        [name, *(f"{1e3 * one[name]:.0f}" for one in found), slope(LAYERS, [one[name] for one in found])]
        for name in found[0]
    ]
    return table(["ms for a model of", *(f"{count} layers" for count in LAYERS), "slope"], rows)


def part_step(axes: Sequence[str]) -> str:
    rows = []
    for axis in axes:
        found = [both("step", axis, size, rounds=1) for size in AXES[axis]]
        for key, scale in (("seconds", 1e3), ("memory", 1)):
            ours, theirs = ([one[side][key] for one in found] for side in ("lamina", "torch"))
            cells = [f"{scale * a:.1f} / {scale * b:.1f}" for a, b in zip(ours, theirs, strict=True)]
            unit = "ms" if key == "seconds" else "MB"
            slopes = f"{slope(AXES[axis], ours)} / {slope(AXES[axis], theirs)}"
            rows.append([f"{axis} {', '.join(map(str, AXES[axis]))}: {unit}", *cells, slopes])
    return table(["Lamina / PyTorch", "1", "2", "4", "8", "slopes"], rows)


def part_memory() -> str:
    rows = []
    for place, task in enumerate(TASKS):
        kept = both("task", place, rounds=1, MALLOC_MMAP_THRESHOLD_=str(1 << 30), MALLOC_TRIM_THRESHOLD_=str(1 << 30))
        usual = both("task", place, rounds=1, LAMINA_KEEP_BUFFERS="0")
        cells = []
        for each in (usual, kept):
            ours, theirs = (each[side]["memory"] for side in ("lamina", "torch"))
            cells.append(f"{ours:.0f} / {theirs:.0f}" + (f" = {ours / theirs:.2f}" if theirs > 5 else ""))
        rows.append([task.name, *cells])
    return table(["peak memory, Lamina / PyTorch, MB", "glibc's usual allocator", "buffers kept"], rows)


PARTS: dict[str, Callable[[], str]] = {
    "limits": part_limits,
    "layers": part_layers,
    "step": lambda: part_step(("batch", "channels")),
    "step-2": lambda: part_step(("depth", "length")),
    "memory": part_memory,
}


def work(side: str, *words: str) -> dict[str, float]:
    if side == "limits":
        return limits()
    if side == "layers":
        return layers(int(words[0]))
    if words[0] == "task":
        task = TASKS[int(words[1])]
        pair = task._replace(steps=min(task.steps, 8)), functools.partial(_twins.twin, task)
        return step(side, pair, task.batch)
    sizes = {**USUAL, words[1]: int(words[2])}
    return step(side, (recurrence if words[1] == "length" else convolutions)(**sizes), sizes["batch"])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--side"]:
        found = work(*sys.argv[2:])
        assert all(map(math.isfinite, found.values()))
        print(json.dumps(found))
    else:
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument("--part", choices=PARTS, action="append")
        for part in parser.parse_args().part or PARTS:
            text = PARTS[part]()
            print(text, flush=True)
            replace(PAGE, part, text)
