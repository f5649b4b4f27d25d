"""The six models on real Keras (PyTorch backend) against Lamina: `fit`, `predict` and a call on one sample.

Keras lives in an environment of its own: `python benchmarks/against_keras.py /path/to/its/python [--write]`; without
one there is nothing to do. Each side is a process that waits while the other one works; both run the same code.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _models import TASKS, Task

HERE = Path(__file__).parent
ROUNDS = 7
SAMPLES = 20  # single calls in one timing
PHASES = ("fit", "predict", "one")

HEAD = {
    "en": ["Keras / Lamina", "`fit`, ms a step", "ratio", "`predict`, ms a batch", "ratio", "one sample, ms", "ratio"],
    "zh": ["Keras / Lamina", "`fit` (毫秒/步)", "比值", "`predict` (毫秒/批)", "比值", "单个样本 (毫秒)", "比值"],
}
NOTE = {
    "en": "{machine}; Keras {version} on the same torch; `python benchmarks/against_keras.py /path/to/python`. "
    "A ratio above 1: Lamina is faster.",
    "zh": "{machine}。Keras {version} 使用同一版本的 torch。`python benchmarks/against_keras.py /path/to/python`。"
    "比值大于 1 表示 Lamina 更快。",
}


def calls(task: Task, keras: Any) -> dict[str, tuple[Callable[[], Any], int]]:
    """What is timed, and by how much a time is to be divided."""
    import torch

    x, y = task.data(task.batch * task.steps)
    model, one = task.model(keras), torch.from_numpy(x[:1])
    model.compile("adam", task.loss)

    def single() -> None:
        with torch.no_grad():
            for _ in range(SAMPLES):
                model(one)

    return {
        "fit": (lambda: model.fit(x, y, batch_size=task.batch, verbose=0), task.steps),
        "predict": (lambda: model.predict(x, batch_size=task.batch, verbose=0), task.steps),
        "one": (single, SAMPLES),
    }


def work(name: str) -> None:
    """One side: reads [task, phase] as a line of JSON, answers with seconds a step, batch or sample."""
    import importlib

    keras = importlib.import_module(name)
    answers = sys.stdout
    sys.stdout = sys.stderr
    print(json.dumps(keras.__version__), file=answers, flush=True)
    made: dict[int, Any] = {}
    for line in sys.stdin:
        index, phase = json.loads(line)
        if index not in made:
            made = {index: calls(TASKS[index], keras)}
        call, count = made[index][phase]
        start = time.perf_counter()
        call()
        print(json.dumps((time.perf_counter() - start) / count), file=answers, flush=True)


class Side:
    """A process that runs `work`."""

    def __init__(self, python: str, name: str):
        path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "KERAS_BACKEND": "torch", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": path}
        command = [python, str(HERE / "against_keras.py"), "--side", name]
        pipe = subprocess.PIPE
        self._process: Any = subprocess.Popen(command, env=environment, text=True, stdin=pipe, stdout=pipe)
        self.version = self._answer()

    def _answer(self) -> Any:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(self._process.args)} ended with {self._process.wait()}.")
        return json.loads(line)

    def seconds(self, index: int, phase: str) -> float:
        print(json.dumps([index, phase]), file=self._process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def measure(keras: Side, ours: Side, index: int) -> list[str]:
    """The cells of one row."""
    cells = []
    for phase in PHASES:
        pairs = []
        for turn in range(ROUNDS + 1):
            first, second = (keras, ours) if turn % 2 else (ours, keras)
            times = {side: side.seconds(index, phase) for side in (first, second)}
            pairs.append((times[keras] * 1e3, times[ours] * 1e3))
        theirs, mine = (statistics.median(column) for column in zip(*pairs[1:], strict=True))
        digits = 3 if mine < 1 else 2 if mine < 10 else 1
        ratio = statistics.median(a / b for a, b in pairs[1:])
        cells += [f"{theirs:.{digits}f} / {mine:.{digits}f}", f"{ratio:.1f}"]
    return cells


def main(*arguments: str) -> None:
    python = next((argument for argument in arguments if not argument.startswith("-")), None)
    if python is None:
        print("Skipped; to compare: python benchmarks/against_keras.py /path/to/a/python/with/keras/and/torch")
        return
    from _readme import machine, table, write

    keras, ours = Side(python, "keras"), Side(sys.executable, "lamina")
    rows = []
    try:
        for index, task in enumerate(TASKS):
            rows.append([task.name, *measure(keras, ours, index)])
            print(" ".join(rows[-1]), file=sys.stderr, flush=True)
    finally:
        keras.close()
        ours.close()
    note = {language: text.format(machine=machine(), version=keras.version) for language, text in NOTE.items()}
    texts = {language: f"{table(head, rows)}\n\n{note[language]}" for language, head in HEAD.items()}
    print(texts["en"])
    if "--write" in arguments:
        write("keras", texts)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--side"]:
        work(sys.argv[2])
    else:
        main(*sys.argv[1:])
