"""`fit` in two processes against the same models by hand: DistributedDataParallel, each process with its half.

The sides alternate in the same processes. Both train on batches of the same size, of which each process has half; times
are those of the first process, from the start of an epoch to its end.

`python benchmarks/distributed.py [--processes 2] [--seconds 10] [part of a name]` prints a Markdown table, with
`--write` into docs/distributed.md. Exits with 1 where Lamina takes more than 5 % longer, beyond the noise.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from _models import TASKS, Task
from _readme import FILES, ROOT, machine, table, write
from _twins import train, twin
from torch.nn.parallel import DistributedDataParallel

import lamina as keras

MODELS = ("MLP", "MNIST CNN", "ResNet", "LSTM", "Transformer")  # how their names begin
BUDGET, NOISE = 1.05, 0.03
LEAST = 6  # rounds

FILES["distributed"] = ROOT / "docs" / "distributed.md"
NOTE = (
    "{machine}; `python benchmarks/distributed.py`. Median ms a step in {count} processes on one machine, with batches "
    "of the size that is named in all: by hand with DistributedDataParallel, `fit`, and the median of the ratios."
)


def sides(task: Task) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """An epoch by hand and one of `fit`."""
    rank, count = torch.distributed.get_rank(), torch.distributed.get_world_size()
    x, y = task.data(task.batch * task.steps)
    half = Task(*task[:5], task.batch // count, *task[6:])
    own = [torch.from_numpy(each)[rank::count].contiguous() for each in (x, y)]
    by_hand = DistributedDataParallel(twin(task), gradient_as_bucket_view=True, forward_sync_buffers=False)
    optimizer = torch.optim.Adam(by_hand.parameters(), 1e-3, eps=1e-7, fused=True)
    model = task.model(keras)
    model.compile(keras.optimizers.Adam(1e-3), task.loss)
    fit = {"batch_size": task.batch, "verbose": 0}
    return lambda: train(half, by_hand, optimizer, *own), lambda: model.fit(x, y, **fit)


def measured(task: Task, seconds: float) -> tuple[float, float, float]:
    """Median seconds a step of both sides, and of their ratios; all processes make as many rounds."""
    pair = sides(task)
    for side in pair * 2:
        side()
    found: list[list[float]] = []
    end = time.perf_counter() + seconds
    more = torch.ones(())
    while more:
        times = [0.0, 0.0]
        for which in (0, 1) if len(found) % 2 else (1, 0):
            torch.distributed.barrier()
            start = time.perf_counter()
            pair[which]()
            times[which] = (time.perf_counter() - start) / task.steps
        found.append(times)
        more.fill_(float(time.perf_counter() < end or len(found) < LEAST))
        torch.distributed.broadcast(more, 0)
    by_hand, ours = (statistics.median(times) for times in zip(*found, strict=True))
    return by_hand, ours, statistics.median(times[1] / times[0] for times in found)


def work(names: str, seconds: float, to_write: bool) -> int:
    """What each process does; the first one shows it."""
    torch.distributed.init_process_group("gloo")
    first, count, rows, late = torch.distributed.get_rank() == 0, torch.distributed.get_world_size(), [], []
    for task in TASKS:
        if task.name.startswith(MODELS) and names.lower() in task.name.lower():
            by_hand, ours, ratio = measured(task, seconds)
            rows.append([task.name, f"{1e3 * by_hand:.2f}", f"{1e3 * ours:.2f}", f"{ratio:.2f}"])
            late += [task.name] if ratio > BUDGET + NOISE else []
            if first:
                print("  ".join(rows[-1]), file=sys.stderr, flush=True)
    torch.distributed.destroy_process_group()
    if first:
        text = table(["model", "by hand", "`fit`", "ratio"], rows)
        print(text)
        if to_write:
            write("distributed", {"distributed": f"{NOTE.format(machine=machine(), count=count)}\n\n{text}"})
    return int(first and bool(late))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each model")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("names", nargs="?", default="")
    options = parser.parse_args()
    if "RANK" in os.environ:
        return work(options.names, options.seconds, options.write)
    run = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={options.processes}"]
    return subprocess.run([sys.executable, *run, *sys.argv]).returncode


if __name__ == "__main__":
    sys.exit(main())
