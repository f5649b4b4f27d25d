"""Colour pictures of ten classes: 50,000 to learn from and 10,000 to test with, 32 x 32."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..utils.files import get_file
from .reading import Pair, cifar_batch

__all__ = ["load_data"]

ADDRESS = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
SUM = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
FOLDER = "cifar-10-batches-py"


def load_data() -> tuple[Pair, Pair]:
    """(x_train, y_train), (x_test, y_test): pictures (n, 32, 32, 3) and classes (n, 1), both uint8.

    With `image_data_format()` "channels_first" they are (n, 3, 32, 32).
    """
    folder = get_file(f"{FOLDER}-target", ADDRESS, extract=True, file_hash=SUM)
    return read(Path(folder) / FOLDER)


def read(inside: Path) -> tuple[Pair, Pair]:
    """The same from the folder of the files."""
    pictures, labels = zip(*(cifar_batch(inside / f"data_batch_{i}", "labels") for i in range(1, 6)), strict=True)
    return (np.concatenate(pictures), np.concatenate(labels)), cifar_batch(inside / "test_batch", "labels")
