"""`tf.lookup`: tables that give a value for each key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...layers import Hashing
from .arrays import convert_to_tensor
from .base import NAMES, as_dtype, named, texts

WHOLE_LINE, LINE_NUMBER = -2, -1
NAMES["lookup.TextFileIndex.WHOLE_LINE"], NAMES["lookup.TextFileIndex.LINE_NUMBER"] = WHOLE_LINE, LINE_NUMBER


@named("lookup.KeyValueTensorInitializer")
class KeyValueTensorInitializer:
    """Keys, and a value for each."""

    def __init__(self, keys, values, key_dtype=None, value_dtype=None):
        self.keys, self.values = convert_to_tensor(keys, key_dtype), convert_to_tensor(values, value_dtype)


@named("lookup.TextFileInitializer")
class TextFileInitializer(KeyValueTensorInitializer):
    """Those in the lines of a file: of each a field, the line itself or its number."""

    def __init__(self, filename, key_dtype, key_index, value_dtype, value_index, vocab_size=None, delimiter="\t",
                 value_index_offset=0):  # fmt: skip
        lines = Path(str(texts(filename))).read_text("utf-8").splitlines()[:vocab_size]

        def column(place: int, dtype: object, first: int = 0) -> Any:
            if place == LINE_NUMBER:
                return np.arange(first, first + len(lines))
            found = lines if place == WHOLE_LINE else [line.split(delimiter)[place] for line in lines]
            return found if dtype == "string" else np.array(found, str(dtype))

        keys, values = column(key_index, key_dtype), column(value_index, value_dtype, value_index_offset)
        super().__init__(keys, values, key_dtype, value_dtype)


class _Table:
    _values: dict[Any, Any]

    def __init__(self, keys: Any, values: Any):
        self._types = keys[:0], values[:0]
        self._values = dict(zip(_items(keys), _items(values), strict=True))

    key_dtype, value_dtype = (property(lambda self, side=side: _type(self._types[side])) for side in (0, 1))

    def size(self, name: str | None = None) -> Tensor:
        return torch.tensor(len(self._values))

    def _found(self, keys: Any, other: Callable[[Any], Any]) -> Any:
        keys = convert_to_tensor(keys)
        found = [self._values[key] if key in self._values else other(key) for key in _items(keys)]
        return _like(found, self._types[1]).reshape(tuple(keys.shape))


@named("lookup.StaticHashTable")
class StaticHashTable(_Table):
    """The value of a key, or `default_value`."""

    def __init__(self, initializer, default_value):
        super().__init__(initializer.keys, initializer.values)
        (self._default,) = _items(_like([default_value], self._types[1]))

    @property
    def default_value(self) -> object:
        return _like([self._default], self._types[1])[0]

    def lookup(self, keys):
        return self._found(keys, lambda _: self._default)

    __getitem__ = lookup

    def export(self):
        """All keys and all values."""
        return _like([*self._values], self._types[0]), _like([*self._values.values()], self._types[1])


@named("lookup.experimental.MutableHashTable")
class MutableHashTable(StaticHashTable):
    """One that begins empty."""

    def __init__(self, key_dtype, value_dtype, default_value):
        super().__init__(KeyValueTensorInitializer([], [], key_dtype, value_dtype), default_value)

    def insert(self, keys, values) -> None:
        self._values.update(zip(_items(convert_to_tensor(keys)), _items(convert_to_tensor(values)), strict=True))

    def remove(self, keys) -> None:
        for key in _items(convert_to_tensor(keys)):
            self._values.pop(key, None)


@named("lookup.StaticVocabularyTable")
class StaticVocabularyTable(_Table):
    """The number of a key; of one without, one of `num_oov_buckets` behind these, by its hash."""

    def __init__(self, initializer, num_oov_buckets):
        super().__init__(initializer.keys, initializer.values)
        self._buckets = Hashing(num_oov_buckets)

    def lookup(self, keys):
        known = len(self._values)
        return self._found(keys, lambda key: known + int(self._buckets(convert_to_tensor([key]))))

    __getitem__ = lookup

    def size(self, name=None):
        return torch.tensor(len(self._values) + self._buckets.num_bins)


def _items(values: Any) -> list[Any]:
    return values.reshape(-1).tolist()


def _type(values: object) -> object:
    return as_dtype(values.dtype if isinstance(values, Tensor) else "string")


def _like(values: list[Any], others: Any) -> Any:
    return torch.tensor(values, dtype=others.dtype) if isinstance(others, Tensor) else texts(values)
