"""Pieces of clothing: 60,000 pictures to learn from and 10,000 to test with, 28 x 28, ten classes."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import numpy as np

from ..utils.files import get_file
from .reading import ADDRESS, Pair

__all__ = ["load_data"]


def load_data() -> tuple[Pair, Pair]:
    """(x_train, y_train), (x_test, y_test): pictures (n, 28, 28) and classes (n,), both uint8."""
    return read(get_file)


def read(fetch: Callable[..., str]) -> tuple[Pair, Pair]:
    """The same from files that `fetch` gets, as `get_file` does."""

    def numbers(name: str, header: int) -> np.ndarray:
        with gzip.open(fetch(name, ADDRESS + name, cache_subdir="datasets/fashion-mnist")) as file:
            return np.frombuffer(file.read(), np.uint8, offset=header)

    def pair(part: str) -> Pair:
        labels = numbers(f"{part}-labels-idx1-ubyte.gz", 8)
        return numbers(f"{part}-images-idx3-ubyte.gz", 16).reshape(len(labels), 28, 28), labels

    return pair("train"), pair("t10k")
