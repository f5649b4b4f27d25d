"""Colour pictures of a hundred classes: 50,000 to learn from and 10,000 to test with, 32 x 32."""

from __future__ import annotations

from pathlib import Path

from ..utils.files import get_file
from .reading import Pair, cifar_batch

__all__ = ["load_data"]

ADDRESS = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
SUM = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"
FOLDER = "cifar-100-python"


def load_data(label_mode: str = "fine") -> tuple[Pair, Pair]:
    """(x_train, y_train), (x_test, y_test): pictures (n, 32, 32, 3) and classes (n, 1), both uint8.

    label_mode: "fine", a hundred classes, or "coarse", their twenty groups. With `image_data_format()`
    "channels_first" the pictures are (n, 3, 32, 32). Raises ValueError for another mode.
    """
    check_mode(label_mode)
    folder = get_file(f"{FOLDER}-target", ADDRESS, extract=True, file_hash=SUM)
    return read(Path(folder) / FOLDER, label_mode)


def check_mode(label_mode: str) -> None:
    """Raises ValueError for a mode that is none."""
    if label_mode not in ("fine", "coarse"):
        raise ValueError(f'load_data: `label_mode` must be "fine" or "coarse"; got {label_mode!r}.')


def read(inside: Path, label_mode: str) -> tuple[Pair, Pair]:
    """The same from the folder of the files."""
    return cifar_batch(inside / "train", f"{label_mode}_labels"), cifar_batch(inside / "test", f"{label_mode}_labels")
