"""Layers that prepare texts and categories, on real Keras (TensorFlow's string kernels) against Lamina: 10,000 texts.

Keras and TensorFlow live in an environment of their own: `python benchmarks/texts.py /path/to/its/python`; without one
there is nothing to do. Each side is a process that waits while the other one works; both run the same code.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROUNDS = 15
COUNT = 10_000


def calls(keras: Any) -> dict[str, Callable[[], Any]]:
    """What is timed. Inputs are NumPy arrays, as users have them."""
    import numpy as np

    layers, draw = keras.layers, random.Random(0)
    words = [f"word{draw.randrange(5000)}" for _ in range(COUNT)]
    texts = [" ".join(draw.choices(words, k=20)) + "." for _ in range(COUNT)]
    tags, docs, numbers = np.array(words), np.array(texts), np.array([draw.randrange(9999) for _ in range(COUNT)])
    vectorize, counts = layers.TextVectorization(4000), layers.TextVectorization(500, output_mode="tf_idf")
    place, number = layers.StringLookup(), layers.IntegerLookup()
    for layer, data in ((vectorize, docs), (counts, docs), (place, tags), (number, numbers)):
        layer.adapt(data)
    hashed, salted, crossed = layers.Hashing(1000), layers.Hashing(1000, salt=7), layers.HashedCrossing(1000)
    again = layers.TextVectorization(4000)
    return {
        "TextVectorization, 20 words": lambda: vectorize(docs),
        "TextVectorization, tf-idf": lambda: counts(docs),
        "TextVectorization, adapt": lambda: again.adapt(docs),
        "StringLookup": lambda: place(tags),
        "IntegerLookup": lambda: number(numbers),
        "Hashing": lambda: hashed(tags),
        "Hashing, salted": lambda: salted(tags),
        "HashedCrossing": lambda: crossed((tags, tags)),
    }


def work(name: str) -> None:
    """One side: reads what is to be timed as a line of JSON, answers with seconds a call."""
    import importlib

    made, answers = calls(importlib.import_module(name)), sys.stdout
    print(json.dumps([*made]), file=answers, flush=True)
    for line in sys.stdin:
        call = made[json.loads(line)]
        start = time.perf_counter()
        call()
        print(json.dumps(time.perf_counter() - start), file=answers, flush=True)


class Side:
    """A process that runs `work`."""

    def __init__(self, python: str, name: str):
        path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
        environment = {
            **os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "",
            "PYTHONPATH": path,
        }  # fmt: skip
        pipe = subprocess.PIPE
        command = [python, str(HERE / "texts.py"), "--side", name]
        self._process: Any = subprocess.Popen(command, env=environment, text=True, stdin=pipe, stdout=pipe)
        self.names = json.loads(self._process.stdout.readline())

    def seconds(self, name: str) -> float:
        print(json.dumps(name), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def main(*arguments: str) -> None:
    if not arguments:
        print("Skipped; to compare: python benchmarks/texts.py /path/to/a/python/with/keras/and/tensorflow")
        return
    keras, ours = Side(arguments[0], "keras"), Side(sys.executable, "lamina")
    try:
        for name in ours.names:
            pairs = []
            for turn in range(ROUNDS + 1):
                order = (keras, ours) if turn % 2 else (ours, keras)
                times = {side: side.seconds(name) * 1e3 for side in order}
                pairs.append((times[keras], times[ours]))
            theirs, mine = (statistics.median(column) for column in zip(*pairs[1:], strict=True))
            ratio = statistics.median(a / b for a, b in pairs[1:])
            print(f"{name:30} Keras {theirs:8.2f} ms   Lamina {mine:8.2f} ms   ratio {ratio:5.2f}", flush=True)
    finally:
        keras.close()
        ours.close()


if __name__ == "__main__":
    work(sys.argv[2]) if sys.argv[1:2] == ["--side"] else main(*sys.argv[1:])
