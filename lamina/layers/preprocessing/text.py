"""Texts as sequences of words in a vocabulary, or as what they hold of it."""

from __future__ import annotations

import itertools
import string
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...core import serialize
from ...core.declare import Declared, Kind, Refused, arg, boolean, integer, items, text
from ...core.errors import as_own, named, short, show_shape
from .adapting import Adapting, dense, encoded_shape, output_mode
from .lookup import StringLookup, _Limits, _Weighing, vocabulary
from .strings import Textual, encoded, texts_of

__all__ = ["TextVectorization"]

_LOWER = bytes.maketrans(string.ascii_uppercase.encode(), string.ascii_lowercase.encode())
_PUNCTUATION = string.punctuation.encode()
_STANDARDS = {
    "lower_and_strip_punctuation": (_LOWER, _PUNCTUATION),
    "lower": (_LOWER, b""),
    "strip_punctuation": (None, _PUNCTUATION),
}


def _word_or_function(*words: str) -> Kind[Any]:
    def convert(value: Any, owner: Any) -> Any:
        value = serialize.deserialize(value) if isinstance(value, Mapping) else value
        if not callable(value) and value not in words:
            raise Refused
        return value

    told = ", ".join(f'"{word}"' for word in words)
    return Kind(f"one of {told} or a function", convert, good=words, bad=("no such word", 3)).optional()


_ngrams = Kind(
    "a positive integer or several",
    lambda v, o: items(v, integer(1), o) if isinstance(v, (tuple, list)) else integer(1).convert(v, o),
    good=(2, (1, 3)),
    bad=(0, "a", 1.5, ()),
).optional()


class _Splitting(_Limits):
    standardize: Any = arg(_word_or_function(*_STANDARDS), default="lower_and_strip_punctuation", doc="First step.")
    split: Any = arg(_word_or_function("whitespace", "character"), default="whitespace", doc="Second step.")
    ngrams: Any = arg(_ngrams, default=None, doc="Widths of groups of neighbours to look up; n: all from 1 to n.")


class _Output(_Splitting):
    output_mode: str = arg(output_mode("int", "one_hot", "multi_hot", "count", "tf_idf"), default="int")
    output_sequence_length: int | None = arg(
        integer(0).optional(), default=None, doc='Cut or fill up with 0 to this length, for "int".'
    )
    pad_to_max_tokens: bool = arg(boolean, default=False, doc="Encode into `max_tokens` values, however few terms.")
    vocabulary: Any = arg(vocabulary, default=None, attribute="input_vocabulary", doc="The terms.")


class _Form(Declared):
    sparse: bool = arg(dense, default=False)
    ragged: bool = arg(boolean, default=False, doc='For "int": a nested tensor, of rows as long as they are.')
    encoding: str = arg(text, default="utf-8", doc="Of texts that come as bytes.")


class _Stored(Declared):
    vocabulary_size: int | None = arg(
        integer(0).optional(), default=None, kw_only=True, config=False, attribute="_stored_size", doc="Of one to come."
    )


class TextVectorization(_Form, _Weighing, _Output, Textual, Adapting, _Stored):
    """Texts, split into words, as the words' places in a vocabulary: 0 is padding, 1 an unknown word.

    Input: an array or list of texts, (batch,) or (batch, 1). Output: integers (batch, words), or by `output_mode` a
    vector for each text, (batch, vocabulary size). Functions for `standardize` and `split` take an array of texts and
    give one, `split` an array or lists of words. Letters are ASCII's to "lower", as in TensorFlow.
    """

    _of_texts = True

    def check(self) -> None:
        mode = self.output_mode
        if mode != "int" and (self.ragged or self.output_sequence_length is not None):
            given = "ragged" if self.ragged else "output_sequence_length"
            raise ValueError(
                f'TextVectorization: `{given}` must not be set if `output_mode` is not "int"; got "{mode}".'
            )
        with as_own("StringLookup", type(self).__name__):
            self._lookup_layer = StringLookup(
                max_tokens=self.max_tokens,
                vocabulary=self.input_vocabulary,
                idf_weights=self.input_idf_weights,
                pad_to_max_tokens=self.pad_to_max_tokens,
                mask_token="",
                output_mode=mode,
                encoding=self.encoding,
                vocabulary_size=self._stored_size,
            )
        self._lookup_layer.build()
        vars(self._lookup_layer)["_of_floats"] = self._of_floats
        vars(self)["input_vocabulary"] = self._lookup_layer.input_vocabulary

    # -- the vocabulary ---------------------------------------------------------------------------------------------

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """The terms, each at its place."""
        return self._lookup_layer.get_vocabulary(include_special_tokens)

    def vocabulary_size(self) -> int:
        """The number of places, those of special terms included."""
        return self._lookup_layer.vocabulary_size()

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Take these terms, a list or the path of a file with one a line."""
        self._lookup_layer.set_vocabulary(vocabulary, idf_weights)

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:  # type: ignore[override]
        """Learn the vocabulary of an array or list of texts, or of an iterable of batches, `steps` of them."""
        super().adapt(data, steps, batch_size=batch_size)

    def _batches(self, data: Any, steps: int | None, batch_size: int | None) -> Any:
        return self._lookup_layer._batches(data, steps, batch_size)

    def reset_state(self) -> None:
        self._lookup_layer.reset_state()

    def update_state(self, data: Any) -> None:
        self._lookup_layer.count(self._documents(np.asarray(self._read(data)))[0])

    def finalize_state(self) -> None:
        self._lookup_layer.finalize_state()

    # -- calls ------------------------------------------------------------------------------------------------------

    def call(self, inputs: np.ndarray) -> Tensor:
        documents, shape = self._documents(inputs)
        lengths = np.fromiter(map(len, documents), np.int64, len(documents))
        places = self._lookup_layer.places([*itertools.chain.from_iterable(documents)], bytes)
        if self.ragged:
            length = self.output_sequence_length
            rows = self.placed(torch.from_numpy(places)).split(lengths.tolist())
            return torch.nested.nested_tensor([row[:length] for row in rows], layout=torch.jagged)
        if self.output_mode == "int":
            return self.placed(torch.from_numpy(self._padded(places, lengths, shape, 0)))
        padded = torch.from_numpy(self._padded(places, lengths, shape, -1))
        return self._lookup_layer.encode(self.placed(padded))

    def _padded(self, places: np.ndarray, lengths: np.ndarray, shape: tuple, fill: int) -> np.ndarray:
        length = int(lengths.max(initial=0)) if self.output_sequence_length is None else self.output_sequence_length
        if lengths.max(initial=0) > length:
            at = np.arange(len(places)) - np.repeat(lengths.cumsum() - lengths, lengths)
            places = places[at < length]
        found = np.full((len(lengths), length), fill, np.int64)
        found[np.arange(length) < lengths[:, None]] = places
        return found.reshape(*shape, length)

    def _documents(self, array: np.ndarray) -> tuple[list[list[bytes]], tuple]:
        """The words of every text, and the shape that the texts have."""
        shape, flat = array.shape, texts_of(array, self, self.encoding)
        if self.split is not None and len(shape) > 1:
            if shape[-1] != 1:
                raise ValueError(
                    f"{named(self)}: to be split, texts come in shape (batch,) or (batch, 1); got {show_shape(shape)}. "
                    "With split=None the last axis holds the words."
                )
            shape = shape[:-1]
        if callable(self.standardize):
            flat = texts_of(np.asarray(self.standardize(np.array(flat, dtype=str).reshape(shape))), self)
        texts = encoded(flat)
        if self.standardize is not None and not callable(self.standardize):
            table, deleted = _STANDARDS[self.standardize]
            texts = [each.translate(table, deleted) for each in texts]
        documents = self._split_up(texts, shape)
        if self.split is None:
            shape = shape[:-1]
        if self.ngrams is not None:
            documents = [_groups(words, self.ngrams) for words in documents]
        return documents, shape

    def _split_up(self, texts: list[bytes], shape: tuple) -> list[list[bytes]]:
        if self.split == "whitespace":
            return [each.split() for each in texts]
        if self.split == "character":
            return [[character.encode() for character in each.decode("utf-8", "replace")] for each in texts]
        if self.split is None:
            length = shape[-1] if shape else 1
            return [texts[start : start + length] for start in range(0, len(texts), length)] if length else []
        found = self.split(np.array([each.decode("utf-8", "replace") for each in texts], dtype=str).reshape(shape))
        rows = [np.asarray(row, dtype=object) for row in ([found] if not shape else found)]
        if len(rows) != max(len(texts), 0):
            raise ValueError(
                f"{named(self)}: `split` must give the words of each of {len(texts)} texts; got {short(found)}."
            )
        return [encoded(texts_of(row, self)) for row in rows]

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        shape = tuple(input_shape)
        if self.split is not None:
            shape = (*(shape[:-1] if len(shape) > 1 else shape), None)
        elif self.ngrams is not None:
            shape = (*shape[:-1], None)
        if self.output_mode != "int":
            return encoded_shape(shape, self.output_mode, self._lookup_layer._depth)
        length = self.output_sequence_length
        return shape if length is None else (*shape[:-1], length)

    # -- files ------------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "vocabulary_size": self._lookup_layer._known_size or self.vocabulary_size()}

    def save_own_variables(self, store: Any) -> None:
        self._lookup_layer.save_own_variables(store)

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        self._lookup_layer.load_own_variables(store)

    def save_assets(self, dir_path: str) -> None:
        """Write a learned vocabulary into a folder, a term a line."""
        self._lookup_layer.save_assets(dir_path)

    def load_assets(self, dir_path: str) -> None:
        """Take the vocabulary that `save_assets` wrote into a folder."""
        self._lookup_layer.load_assets(dir_path)


def _groups(words: list[bytes], widths: int | tuple[int, ...]) -> list[bytes]:
    """All groups of so many neighbours, by width."""
    wanted = range(1, min(widths, len(words)) + 1) if isinstance(widths, int) else widths
    return [b" ".join(words[start : start + width]) for width in wanted for start in range(len(words) - width + 1)]
