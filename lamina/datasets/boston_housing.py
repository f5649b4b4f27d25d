"""Prices of 506 houses round Boston, of 1978. One of its columns counts people by race: use it to study such data."""

from .reading import Pair, arrays_of, fetched, mixed, split

__all__ = ["load_data"]

FILE = "boston_housing.npz", "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"


def load_data(path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113) -> tuple[Pair, Pair]:
    """(x_train, y_train), (x_test, y_test): features (n, 13) and prices (n,), in an order that `seed` gives."""
    return read(fetched(path, *FILE), test_split, seed)


def read(file: str, test_split: float, seed: int) -> tuple[Pair, Pair]:
    """The same from the file."""
    x, y = mixed(arrays_of(file, "x", "y"), seed)
    return split(x, y, test_split)
