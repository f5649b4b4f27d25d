"""Handwritten digits: 60,000 pictures to learn from and 10,000 to test with, 28 x 28, ten classes."""

from .reading import Pair, arrays_of, fetched

__all__ = ["load_data"]

FILE = "mnist.npz", "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"


def load_data(path: str = "mnist.npz") -> tuple[Pair, Pair]:
    """(x_train, y_train), (x_test, y_test): pictures (n, 28, 28) and classes (n,), both uint8."""
    return read(fetched(path, *FILE))


def read(file: str) -> tuple[Pair, Pair]:
    """The same from the file."""
    x_train, y_train, x_test, y_test = arrays_of(file, "x_train", "y_train", "x_test", "y_test")
    return (x_train, y_train), (x_test, y_test)
