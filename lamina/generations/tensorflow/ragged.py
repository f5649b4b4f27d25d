"""`tf.RaggedTensor`: rows of different lengths, which `to_tensor` fills up. Layers take what that gives."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ... import layers
from ...core.errors import named as named_layer
from ...ops.base import tensor
from .base import NAMES, TensorShape, Texts, as_dtype, named, texts, whole


@named("RaggedTensor")
class Ragged(list):
    """Rows, each a tensor or texts of its own length; what is inside of them has one shape.

    Operators, and functions of each value, go to the rows; reductions go along them, or over all."""

    flat_values = values = property(lambda self: NAMES["concat"]([*self], 0))
    dtype = property(lambda self: as_dtype(self.values.dtype if isinstance(self.values, Tensor) else "string"))
    shape = property(lambda self: TensorShape((len(self), None, *self.values.shape[1:])))
    row_splits = property(lambda self: torch.tensor([0, *itertools.accumulate(map(len, self))]))

    def row_lengths(self) -> Tensor:
        return torch.tensor([*map(len, self)], dtype=torch.int64)

    def to_list(self) -> list[Any]:
        return [row.numpy().tolist() for row in self]

    def to_tensor(self, default_value=None, shape=None):
        """Rows of one length, that of the longest unless told, with the default, or 0 or no text, behind them."""
        inside = self.values
        told = None if shape is None else whole(shape)[1]
        width = max(map(len, self), default=0) if told in (None, -1) else told
        sizes = (len(self), width, *inside.shape[1:])
        if isinstance(inside, Texts):
            found = np.full(sizes, "" if default_value is None else default_value, object).view(Texts)
        else:
            found = torch.full(sizes, default_value or 0, dtype=inside.dtype)
        for place, row in enumerate(self):
            found[place, : min(len(row), width)] = row[:width]
        return found

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple):
            found = self[key[0]]
            return Ragged(row[key[1:]] for row in found) if isinstance(found, Ragged) else found[key[1:]]
        if isinstance(key, slice):
            return Ragged(super().__getitem__(key))
        return Ragged(map(self.__getitem__, key)) if isinstance(key, list) else super().__getitem__(int(key))

    def __repr__(self) -> str:
        return f"<tf.RaggedTensor {self.to_list()}>"

    __str__ = __repr__
    __hash__ = None  # type: ignore[assignment]

    def through(self, layer: Any) -> Any:
        """What a layer gives that takes each value by itself. Raises ValueError for any other layer of Keras."""
        if isinstance(layer, layers.Lambda):
            return layer.call(self)
        if not isinstance(layer, (layers.StringLookup, layers.IntegerLookup, layers.Hashing, layers.Embedding)):
            raise ValueError(
                f"{named_layer(layer)} cannot take rows of several lengths. Pass what their to_tensor() gives; an "
                "Embedding with mask_zero=True masks the zeros behind."
            )
        return Ragged.from_row_lengths(layer(self.values), self.row_lengths())

    @staticmethod
    def from_row_lengths(values, row_lengths) -> Ragged:
        ends = [*itertools.accumulate(whole(row_lengths), initial=0)]
        values = NAMES["constant"](values)
        return Ragged(values[start:end] for start, end in itertools.pairwise(ends))

    @staticmethod
    def from_row_splits(values, row_splits) -> Ragged:
        return Ragged.from_row_lengths(values, np.diff(whole(row_splits)).tolist())

    @staticmethod
    def from_tensor(tensor, lengths=None, padding=None) -> Ragged:
        """The rows, each as long as told, or up to the `padding` at its end."""
        rows = NAMES["constant"](tensor)
        if lengths is None and padding is not None:
            lengths = [len(np.trim_zeros(np.asarray(row != padding), "b")) for row in rows]
        return Ragged(row[:length] for row, length in zip(rows, lengths or [None] * len(rows), strict=True))


def _operator(name):
    function = getattr(operator, name)

    def method(self, *others):
        return Ragged(itertools.starmap(function, zip(self, *(_beside(other, self) for other in others), strict=True)))

    return method


def _beside(other, rows):
    return other if isinstance(other, Ragged) else [other] * len(rows)


for _word in "add sub mul truediv floordiv mod pow eq ne lt le gt ge neg".split():
    setattr(Ragged, f"__{_word}__", _operator(_word))
for _word in "add", "mul":
    setattr(Ragged, f"__r{_word}__", _operator(_word))


@named("ragged.constant")
def constant(pylist, dtype=None, ragged_rank=1):
    """A list of lists of numbers or texts. Raises ValueError where more than the second axis is ragged."""
    try:
        if ragged_rank not in (None, 1):
            raise ValueError(f"`ragged_rank` must be 1; got {ragged_rank}.")
        values = NAMES["constant"]([each for row in pylist for each in row], dtype)
    except ValueError as error:
        raise ValueError("tf.ragged.constant: only the second axis may be ragged here. Pad what is inside.") from error
    return Ragged.from_row_lengths(values, [*map(len, pylist)])


@named("strings.unicode_decode")
def unicode_decode(input, input_encoding):
    """The numbers of the letters of texts."""
    _require_utf8(input_encoding)
    rows = [torch.tensor([*map(ord, str(text))], dtype=torch.int32) for text in texts(input).flat]
    return Ragged(rows) if np.ndim(input) else rows[0]


@named("strings.unicode_encode")
def unicode_encode(input, output_encoding):
    """A text of each row of the numbers of letters."""
    _require_utf8(output_encoding)
    rows = input if isinstance(input, Ragged) else tensor(input)
    return texts("".join(map(chr, rows)) if np.ndim(rows[0]) == 0 else ["".join(map(chr, row)) for row in rows])


def _require_utf8(encoding):
    if str(encoding).upper() not in ("UTF-8", "UTF8"):
        raise ValueError(f"Texts are UTF-8 here; got {encoding!r}.")


# Functions of rows ----------------------------------------------------------------------------------------------------


def of_rows(function: Callable) -> Callable:
    """The function; of rows what it gives for each of them."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        if not (args and isinstance(args[0], Ragged)):
            return function(*args, **kwargs)
        return Ragged(function(row, *args[1:], **kwargs) for row in args[0])

    return call


def along_rows(function: Callable) -> Callable:
    """The reduction; of rows along them, or of all values. Raises ValueError for one over the rows."""

    @functools.wraps(function)
    def call(*args, axis=None, **kwargs):
        x: Any = args[0] if args else kwargs
        axis = args[1] if len(args) > 1 else axis
        if x is None or not isinstance(x, Ragged):
            return function(*args, **kwargs) if axis is None or len(args) > 1 else function(*args, axis=axis, **kwargs)
        if axis is None:
            return function(x.values, **kwargs)
        if axis == 0:
            raise ValueError(f"{function.__name__}: rows of different lengths have no axis 0; use to_tensor() first.")
        inner = axis > 1 or (axis < 0 and len(x.shape) > 2)
        found = [function(row, axis - (axis > 0) if inner else 0, **kwargs) for row in x]
        return Ragged(found) if inner else NAMES["stack"](found)

    return call
