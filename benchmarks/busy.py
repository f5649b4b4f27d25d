"""`fit` and `predict` beside other busy processes, against the same models by hand in PyTorch.

The others are endless loops in Python, or products of large matrices in NumPy on as many threads as it likes. The
sides alternate in one process with torch's default number of threads. Times are means, since what is seldom and long
is what counts here.

`python benchmarks/busy.py [--write] [--seconds 5] [--beside "3 loops"] [part of a name]` prints a Markdown table, with
`--write` into docs/performance.md. Exits with 1 where a budget is missed by more than the noise.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from _ab import rounds
from _models import TASKS, Task
from _readme import FILES, ROOT, machine, table, write
from _twins import predict, train, twin

import lamina as keras

LOOP = "while True: pass"
PRODUCTS = "import numpy\na = numpy.random.rand(1024, 1024)\nwhile True: a @ a"
WATCH = """import os, threading, time
def watch(parent):
    while os.getppid() == parent: time.sleep(1)
    os._exit(0)
threading.Thread(target=watch, args=({parent},), daemon=True).start()
"""  # they end with this process, however it ends
BESIDE: dict[str, list[str]] = {
    "nothing": [],
    "1 loop": [LOOP],
    "2 loops": 2 * [LOOP],
    "3 loops": 3 * [LOOP],
    "1 with products": [PRODUCTS],
    "3 with products": 3 * [PRODUCTS],
}
MODELS = ("MLP", "Autoencoder", "LSTM")  # how their names begin
ALONE, BUSY = 1.02, 0.5  # budgets: alone over Lamina as set, busy over PyTorch
NOISE = 0.03

FILES["performance"] = ROOT / "docs" / "performance.md"
NOTES = (
    "{machine}; `python benchmarks/busy.py`. Mean ms a batch beside other processes (endless loops in Python; products "
    "of matrices in NumPy): PyTorch by hand / Lamina with `set_thread_choice(False)` / Lamina, and the last over the "
    "first.",
    "与其他繁忙进程 (loop: Python 死循环; products: NumPy 矩阵乘法) 同时运行时每批的平均毫秒数: 手写 PyTorch / "
    "`set_thread_choice(False)` 的 Lamina / Lamina, 以及最后一项与第一项之比。",
)


@contextlib.contextmanager
def beside(programs: list[str]) -> Iterator[None]:
    """Inside, these run."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "MKL_", "OPENBLAS_"))}
    watch = WATCH.format(parent=os.getpid())
    others = [subprocess.Popen([sys.executable, "-c", watch + program], env=clean) for program in programs]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def as_set(call: Callable[[], Any]) -> Callable[[], None]:
    def run() -> None:
        keras.config.set_thread_choice(False)
        try:
            call()
        finally:
            keras.config.set_thread_choice(None)

    return run


def measure(task: Task, programs: list[str], seconds: float) -> dict[str, list[float]]:
    """Seconds a batch of "fit" and "predict": by hand, Lamina as set, Lamina."""
    x, y = task.data(task.batch * task.steps)
    x_torch, y_torch = torch.from_numpy(x), torch.from_numpy(y)
    ours, theirs = task.model(keras), twin(task)
    ours.compile("adam", task.loss)
    optimizer = torch.optim.Adam(theirs.parameters(), fused=True)

    def fit() -> None:
        ours.fit(x, y, batch_size=task.batch, verbose=0)

    def predictions() -> None:
        ours.predict(x, task.batch, verbose=0)

    sides = {
        "fit": (lambda: train(task, theirs, optimizer, x_torch, y_torch), as_set(fit), fit),
        "predict": (lambda: predict(task, theirs, x_torch), as_set(predictions), predictions),
    }
    found = {}
    with beside(programs):
        for what, three in sides.items():
            for side in three:
                side()
            times = rounds(three, seconds=seconds, least=3)
            found[what] = [statistics.mean(column) / task.steps for column in zip(*times, strict=True)]
    return found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--beside", choices=BESIDE, action="append")
    parser.add_argument("part", nargs="?", default="")
    given = parser.parse_args()
    tasks = [task for task in TASKS if task.name.startswith(MODELS) and given.part in task.name]
    columns = given.beside or [*BESIDE]
    rows: dict[str, list[str]] = {f"{task.name}: {what}": [] for task in tasks for what in ("fit", "predict")}
    missed = []
    for name in columns:
        for task in tasks:
            for what, (theirs, unchosen, ours) in measure(task, BESIDE[name], given.seconds).items():
                row = f"{task.name}: {what}"
                times = " / ".join(f"{1e3 * each:.3g}" for each in (theirs, unchosen, ours))
                rows[row].append(f"{times}: {ours / theirs:.2f}")
                print(f"{row}, beside {name}: {rows[row][-1]}", file=sys.stderr, flush=True)
                ratio, budget = (ours / unchosen, ALONE) if name == "nothing" else (ours / theirs, BUSY)
                if ratio > budget + NOISE:
                    missed.append(f"{row}, beside {name}: {ratio:.2f}, budget {budget}")
    lines = table(["", *columns], [[row, *found] for row, found in rows.items()])
    text = "\n\n".join([NOTES[0].format(machine=machine()), lines, NOTES[1]])
    print(text)
    if given.write:
        write("busy", {"performance": text})
    for line in missed:
        print(line, file=sys.stderr)
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
