"""Layers that prepare texts and categories, on real Keras (TensorFlow's string kernels) against Lamina: 10,000 texts.

Both run the same code, in environments of their own (`make bench` sets them up), each while the other one is stopped.
"""

from __future__ import annotations

import importlib
import random
import sys
from collections.abc import Callable
from typing import Any

from _ab import compare, rounds, seconds_of
from _side import Side, python_of, serve

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
    """One side: says what can be timed, then answers with seconds a call."""
    made = calls(importlib.import_module(name))
    serve(lambda key: seconds_of(made[key]) if key else [*made])


def main() -> None:
    if not python_of("tensorflow"):
        print("Skipped: Keras 3 with TensorFlow is not in .bench; `make bench` sets it up.")
        return
    keras = Side(python_of("tensorflow"), "texts.py", "keras", KERAS_BACKEND="tensorflow")
    ours = Side(sys.executable, "texts.py", "lamina")
    for name in keras.ask(None) and ours.ask(None):
        found = rounds([keras, ours], seconds=0, least=ROUNDS + 1, timed=lambda side, name=name: side.ask(name))[1:]
        print(f"{name:30} {compare(found, 1, 0).shown('Lamina', 'Keras')}", flush=True)
    keras.close()
    ours.close()


if __name__ == "__main__":
    work(sys.argv[2]) if sys.argv[1:2] == ["--side"] else main()
