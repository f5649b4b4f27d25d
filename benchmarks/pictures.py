"""A batch of 64 pictures, 224 x 224 x 3, through layers that resize and change them: Keras 3 on torch against Lamina.

Keras lives in an environment of its own (`make bench` sets it up); each side is a process that is stopped while the
other one works. A ratio above 1: Lamina is faster.
"""

from __future__ import annotations

import importlib
import sys

from _ab import compare, rounds, seconds_of
from _side import Side, python_of, serve

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
    """One side: takes names of layers, several for a chain, answers with seconds."""
    import torch

    keras = importlib.import_module(name)
    x = torch.rand(64, 224, 224, 3, generator=torch.Generator().manual_seed(0)) * 255
    made = {key: eval(code, {"L": keras.layers}) for key, code in LAYERS.items()}

    def chain(keys: str) -> None:
        with torch.no_grad():
            y = x
            for key in keys.split():
                y = made[key](y, training=True)

    serve(lambda keys: seconds_of(lambda: chain(keys)))


def main() -> None:
    if not python_of("keras"):
        print("Skipped: Keras 3 with torch is not in .bench; `make bench` sets it up.")
        return
    keras = Side(python_of("keras"), "pictures.py", "keras", KERAS_BACKEND="torch")
    ours = Side(sys.executable, "pictures.py", "lamina")
    for keys in (*LAYERS, " ".join(CHAIN)):
        found = rounds([keras, ours], seconds=0, least=ROUNDS + 1, timed=lambda side, keys=keys: side.ask(keys))[1:]
        print(f"{keys:56} {compare(found, 1, 0).shown('Lamina', 'Keras')}", flush=True)
    keras.close()
    ours.close()


if __name__ == "__main__":
    work(sys.argv[2]) if sys.argv[1:2] == ["--side"] else main()
