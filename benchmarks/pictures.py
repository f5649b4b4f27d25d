"""A batch of 64 pictures, 224 x 224 x 3, through layers that resize and change them: Keras 3 on torch against Lamina.

Keras lives in an environment of its own: `python benchmarks/pictures.py /path/to/its/python`; without one there is
nothing to do. Each side is a process that waits while the other one works. A ratio above 1: Lamina is faster.
"""

from __future__ import annotations

import importlib
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 5
LAYERS = {
    "Resizing": "L.Resizing(160, 160)",
    "RandomFlip": 'L.RandomFlip("horizontal")',
    "RandomRotation": "L.RandomRotation(0.1)",
    "RandomZoom": "L.RandomZoom(0.2)",
    "RandomContrast": "L.RandomContrast(0.2)",
    "RandomBrightness": "L.RandomBrightness(0.2)",
    "RandomHue": "L.RandomHue(0.2)",
    "RandomErasing": "L.RandomErasing()",
    "MixUp": "L.MixUp()",
}
CHAIN = ("RandomFlip", "RandomRotation", "RandomZoom", "RandomContrast")


def work(name: str) -> None:
    """One side: reads names of layers, several for a chain, answers with seconds."""
    import torch

    keras = importlib.import_module(name)
    x = torch.rand(64, 224, 224, 3, generator=torch.Generator().manual_seed(0)) * 255
    made = {key: eval(code, {"L": keras.layers}) for key, code in LAYERS.items()}
    for line in sys.stdin:
        with torch.no_grad():
            start, y = time.perf_counter(), x
            for key in line.split():
                y = made[key](y, training=True)
            print(time.perf_counter() - start, flush=True)


def side(python: str, name: str) -> subprocess.Popen[str]:
    paths = {"PYTHONPATH": str(Path(__file__).parents[1])} if name == "lamina" else {}
    command = [python, __file__, "--work", name]
    environment = {**os.environ, "KERAS_BACKEND": "torch", **paths}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def timed(process: subprocess.Popen[str], keys: str) -> float:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{keys}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def main(python: str = "") -> int:
    if not python:
        print(__doc__)
        return 0
    theirs, ours = side(python, "keras"), side(sys.executable, "lamina")
    for keys in (*LAYERS, " ".join(CHAIN)):
        timed(theirs, keys), timed(ours, keys)
        rounds = [(timed(theirs, keys), timed(ours, keys)) for _ in range(ROUNDS)]
        keras, lamina = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{keys:56} Keras {1e3 * keras:8.1f} ms  Lamina {1e3 * lamina:7.1f} ms  ratio {keras / lamina:5.2f}")
    for process in (theirs, ours):
        process.communicate()
    return 0


if __name__ == "__main__":
    sys.exit(work(sys.argv[2]) if sys.argv[1:2] == ["--work"] else main(*sys.argv[1:]))
