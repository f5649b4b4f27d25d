"""Prices of houses in 20,640 districts of California, of 1990."""

from .reading import Pair, arrays_of, fetched, mixed, split

__all__ = ["load_data"]


def load_data(
    version: str = "large", path: str = "california_housing.npz", test_split: float = 0.2, seed: int = 113
) -> tuple[Pair, Pair]:
    """(x_train, y_train), (x_test, y_test): features (n, 8) and prices (n,), in an order that `seed` gives.

    version: "large", or "small", the first 600 districts. Raises ValueError for another one.
    """
    if version not in ("small", "large"):
        raise ValueError(f'load_data: `version` must be "small" or "large"; got {version!r}.')
    file = fetched(path, "california_housing.npz", "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f")
    most = 600 if version == "small" else None
    x, y = mixed([array[:most] for array in arrays_of(file, "x", "y")], seed)
    return split(x, y, test_split)
