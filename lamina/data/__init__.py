"""Real data small enough to ship; sources and licences are in the README.md beside this file."""

from __future__ import annotations

from importlib.resources import files

import numpy as np

__all__ = ["load_digits"]

Arrays = tuple[np.ndarray, np.ndarray]


def load_digits() -> tuple[Arrays, Arrays]:
    """1,797 real handwritten digits: `(x_train, y_train), (x_test, y_test)`, 1,437 and 360 of them.

    Images are uint8 of shape (n, 8, 8, 1) with pixels from 0 to 16, labels uint8 from 0 to 9. The split is a fixed
    random one, the same on every machine; writers occur on both sides of it.

    E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI Machine Learning Repository (1998),
    doi 10.24432/C50P49, CC BY 4.0.
    """
    with files(__name__).joinpath("digits.npz").open("rb") as file, np.load(file) as stored:
        images, labels = stored["images"][..., None], stored["labels"]
    order = np.random.RandomState(0).permutation(len(labels))
    train, test = order[:-360], order[-360:]
    return (images[train], labels[train]), (images[test], labels[test])
