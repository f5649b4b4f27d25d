"""`keras.utils` of Keras 1 and 2 as far as it is about arrays."""

from __future__ import annotations

from typing import Any

import numpy as np


def to_categorical(
    y: Any, num_classes: int | None = None, dtype: str = "float32", *, nb_classes: int | None = None
) -> Any:
    """One-hot rows (..., num_classes) for integers (...); a last axis of size 1 is dropped."""
    y = np.asarray(y, dtype="int64")
    shape = y.shape[:-1] if y.ndim > 1 and y.shape[-1] == 1 else y.shape
    y = y.reshape(-1)
    count = num_classes or nb_classes or (int(y.max()) + 1 if y.size else 0)
    rows = np.zeros((y.size, count), dtype)
    rows[np.arange(y.size), y] = 1
    return rows.reshape(*shape, count)


def normalize(x: Any, axis: int = -1, order: int = 2) -> Any:
    """`x` divided by its norms along `axis`; zeros stay."""
    norms = np.atleast_1d(np.linalg.norm(x, order, axis))
    norms[norms == 0] = 1
    return x / np.expand_dims(norms, axis)


def probas_to_classes(y_pred: Any) -> Any:
    """The likeliest class of each row, or for a single column whether it exceeds 0.5."""
    return y_pred.argmax(-1) if y_pred.ndim > 1 and y_pred.shape[1] > 1 else np.array([int(p > 0.5) for p in y_pred])
