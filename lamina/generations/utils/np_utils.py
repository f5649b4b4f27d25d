"""`keras.utils.np_utils` of Keras 1 and 2: class numbers, scores and kernels as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...kernels import window
from ..dialect import Dialect


def to_categorical_rows(y: Any, nb_classes: int | None = None) -> np.ndarray:
    """`to_categorical` of Keras 1: one-hot rows (samples, nb_classes) for integers of any shape."""
    return to_categorical(np.ravel(y), nb_classes)


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


def to_ordinal(y: ArrayLike, num_classes: int | None = None, dtype: str = "float32") -> np.ndarray:
    """Rows (..., num_classes - 1) of as many ones as the integers (...) say; a last axis of size 1 is dropped."""
    classes = np.asarray(y, dtype="int64")
    classes = classes[..., 0] if classes.ndim > 1 and classes.shape[-1] == 1 else classes
    return (np.arange((num_classes or classes.max() + 1) - 1) < classes[..., None]).astype(dtype)


def probas_to_classes(y_pred: Any) -> Any:
    """The likeliest class of each row, or for a single column whether it exceeds 0.5."""
    if y_pred.ndim > 1 and y_pred.shape[1] > 1:
        return categorical_probas_to_classes(y_pred)
    return np.array([int(p > 0.5) for p in np.ravel(y_pred)])


def categorical_probas_to_classes(p: Any) -> Any:
    """The likeliest class of each row."""
    return np.argmax(p, axis=1)


def binary_logloss(p: Any, y: Any) -> Any:
    """The mean binary crossentropy of probabilities `p` and labels `y`, both (samples,)."""
    p, y = np.clip(p, 1e-15, 1 - 1e-15), np.asarray(y)
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p), axis=0)


def multiclass_logloss(p: Any, y: Any) -> Any:
    """The mean crossentropy of rows of probabilities and classes that count from 1."""
    return -np.mean(np.log([row[label - 1] for row, label in zip(p, y, strict=False)]))


def accuracy(p: Any, y: Any) -> Any:
    """How many of the pairs are equal, from 0 to 1."""
    return np.mean([a == b for a, b in zip(p, y, strict=False)])


def convert_kernel(dialect: Dialect, kernel: Any, dim_ordering: str | None = None) -> np.ndarray:
    """A convolution's kernel turned round in space, from Theano's arithmetic to TensorFlow's and back.

    dim_ordering (Keras 1): "tf" for (*space, in, out), "th" for (out, in, *space). Raises ValueError for any other, and
    for an array of another rank than 3 (Keras 2), 4 or 5.
    """
    kernel = np.asarray(kernel)
    order = "tf"
    if dialect.table.scalars:
        order = dim_ordering or dialect.find("backend", "image_dim_ordering")()
    if order not in ("th", "tf"):
        raise ValueError(f'convert_kernel: `dim_ordering` must be "th" or "tf"; got {order!r}.')
    if not 3 + dialect.table.scalars <= kernel.ndim <= 5:
        raise ValueError(f"convert_kernel: expected a kernel of 4 or 5 axes; got shape {kernel.shape}.")
    space = range(2, kernel.ndim) if order == "th" else range(kernel.ndim - 2)
    return np.flip(kernel, tuple(space)).copy()


def conv_output_length(
    input_length: int | None, filter_size: int, padding: str, stride: int, dilation: int = 1
) -> int | None:
    """How long a convolution's output is along one axis; None for an unknown length.

    padding: "valid", "same", "causal" or "full". Raises AssertionError for another.
    """
    known = padding in ("valid", "same", "causal", "full")
    assert known, f"Unknown padding {padding!r}. Expected 'valid', 'same', 'causal' or 'full'."
    return window.output_size(input_length, filter_size, stride, padding, dilation)  # type: ignore[arg-type]


def conv_input_length(output_length: int | None, filter_size: int, padding: str, stride: int) -> int | None:
    """How long the input of a convolution is whose output has that length along one axis."""
    pads = {"valid": 0, "same": filter_size // 2, "full": filter_size - 1}
    if output_length is None:
        return None
    if padding not in pads:
        raise ValueError(f"`padding` must be one of {', '.join(pads)}; got {padding!r}.")
    return window.transposed_size(output_length, filter_size, stride, (pads[padding], pads[padding]))


def deconv_length(
    dim_size: int | None,
    stride_size: int,
    kernel_size: int,
    padding: str,
    output_padding: int | None = None,
    dilation: int = 1,
) -> int | None:
    """How long a transposed convolution's output is along one axis; None for an unknown length."""
    kernel_size = window.extent(kernel_size, dilation)
    pads: Any = (kernel_size - 1, kernel_size - 1) if padding == "full" else padding
    return window.transposed_size(dim_size, kernel_size, stride_size, pads, output_padding)


def normalize_tuple(value: int | Sequence[int], n: int, name: str) -> tuple[int, ...]:
    """`value` as a tuple of n integers. Raises ValueError, naming the argument, where it is none."""
    if isinstance(value, int):
        return (value,) * n
    try:
        values = tuple(value)
        whole = len(values) == n and all(int(item) is not None for item in values)
    except (TypeError, ValueError):
        whole, values = False, ()
    if not whole:
        raise ValueError(f"`{name}` must be a tuple of {n} integers; got {value!r}.")
    return values


def normalize_padding(dialect: Dialect, value: str) -> str:
    """The name of a padding in small letters. Raises ValueError for one that is none."""
    allowed = ["valid", "same", "causal", *["full"] * (dialect.backend == "theano")]
    if value.lower() not in allowed:
        raise ValueError(f"`padding` must be one of {', '.join(allowed)}; got {value!r}.")
    return value.lower()
