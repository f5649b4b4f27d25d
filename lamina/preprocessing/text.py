"""Texts as lists of numbers: words counted, numbered, hashed. Keras 1 and 2; see `lamina.layers.TextVectorization`."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

__all__ = ["Tokenizer", "hashing_trick", "one_hot", "text_to_word_sequence", "tokenizer_from_json"]

FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'


def text_to_word_sequence(input_text: str, filters: str = FILTERS, lower: bool = True, split: str = " ") -> list[str]:
    """A text's words: in lower case, without the characters in `filters`, parted at `split`."""
    text = input_text.lower() if lower else input_text
    return [word for word in text.translate(dict.fromkeys(map(ord, filters), split)).split(split) if word]


def one_hot(
    input_text: str,
    n: int,
    filters: str = FILTERS,
    lower: bool = True,
    split: str = " ",
    analyzer: Callable[[str], Iterable[str]] | None = None,
) -> list[int]:
    """A text's words as numbers from 1 to n - 1, by Python's `hash`, which differs from process to process."""
    return hashing_trick(input_text, n, hash, filters, lower, split, analyzer)


def hashing_trick(
    text: str,
    n: int,
    hash_function: Callable[[str], int] | str | None = None,
    filters: str = FILTERS,
    lower: bool = True,
    split: str = " ",
    analyzer: Callable[[str], Iterable[str]] | None = None,
) -> list[int]:
    """A text's words as numbers from 1 to n - 1; several may share one.

    hash_function: "md5", the same in every process; a function of a word; None for Python's `hash`. analyzer: a
    function that gives a text's words, in place of `text_to_word_sequence`. Raises ValueError for another name.
    """
    if isinstance(hash_function, str):
        if hash_function != "md5":
            raise ValueError(f'hashing_trick: `hash_function` must be "md5" or a function; got {hash_function!r}.')
        hash_function = _md5
    numbered = hash_function or hash
    words = analyzer(text) if analyzer else text_to_word_sequence(text, filters, lower, split)
    return [numbered(word) % (n - 1) + 1 for word in words]


def _md5(word: str) -> int:
    return int(hashlib.md5(word.encode(), usedforsecurity=False).hexdigest(), 16)


class Tokenizer:
    """Words, or characters, numbered from 1 by how often they occur; 0 stands for none.

    num_words: only words with smaller numbers are used; None for all. filters: characters that part words, as `split`
    does. lower: upper case counts as lower case. char_level: characters instead of words. oov_token: stands for words
    that are not known, and has the number 1. analyzer: a function that gives a text's words. A text may also be a list
    of words.

    Source: Keras 1 and 2.
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: str = FILTERS,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        analyzer: Callable[[str], Iterable[str]] | None = None,
        **kwargs: Any,
    ):
        if "nb_words" in kwargs:
            num_words = kwargs.pop("nb_words")
        self.document_count: int = kwargs.pop("document_count", 0)
        if kwargs:
            raise TypeError(f"Tokenizer has no argument {', '.join(map(repr, kwargs))}.")
        self.word_counts: dict[str, int] = OrderedDict()
        self.word_docs: dict[str, int] = defaultdict(int)
        self.filters, self.split, self.lower, self.num_words = filters, split, lower, num_words
        self.char_level, self.oov_token, self.analyzer = char_level, oov_token, analyzer
        self.index_docs: dict[int, int] = defaultdict(int)
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A pickle that an older Keras wrote lacks what came later."""
        own = dict(state)
        if "nb_words" in own:
            own["num_words"] = own.pop("nb_words")
        own.setdefault("index_word", {number: word for word, number in own.get("word_index", {}).items()})
        self.__init__()  # type: ignore[misc]
        self.__dict__.update(own)

    def _words(self, text: Any) -> Sequence[str]:
        if not (self.char_level or isinstance(text, list)):
            if self.analyzer is not None:
                return list(self.analyzer(text))
            return text_to_word_sequence(text, self.filters, self.lower, self.split)
        if not self.lower:
            return text
        return [word.lower() for word in text] if isinstance(text, list) else text.lower()

    def fit_on_texts(self, texts: Iterable[Any]) -> None:
        """Count and number the words of texts; those of earlier calls stay counted."""
        for text in texts:
            self.document_count += 1
            words = self._words(text)
            for word in words:
                self.word_counts[word] = self.word_counts.get(word, 0) + 1
            for word in set(words):
                self.word_docs[word] += 1
        known = sorted(self.word_counts, key=lambda word: -self.word_counts[word])
        first = [] if self.oov_token is None else [self.oov_token]
        self.word_index = dict(zip([*first, *known], range(1, len(first) + len(known) + 1), strict=True))
        self.index_word = {number: word for word, number in self.word_index.items()}
        for word, count in self.word_docs.items():
            self.index_docs[self.word_index[word]] = count

    def fit_on_sequences(self, sequences: Sequence[Iterable[int]]) -> None:
        """Count in how many sequences of numbers each number occurs."""
        self.document_count += len(sequences)
        for sequence in sequences:
            for number in set(sequence):
                self.index_docs[number] += 1

    def texts_to_sequences(self, texts: Iterable[Any]) -> list[list[int]]:
        """Each text's words as numbers; words that are not known are left out, unless there is an `oov_token`."""
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[Any]) -> Iterator[list[int]]:
        """The same, one by one."""
        unknown = self.word_index.get(self.oov_token)  # type: ignore[arg-type]
        for text in texts:
            numbers = (self._used(self.word_index.get(word), unknown) for word in self._words(text))
            yield [number for number in numbers if number is not None]

    def _used(self, number: int | None, unknown: int | None) -> int | None:
        return unknown if number is None or (self.num_words and number >= self.num_words) else number

    def sequences_to_texts(self, sequences: Iterable[Iterable[int]]) -> list[str]:
        """The words of numbers, with spaces between."""
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Iterable[int]]) -> Iterator[str]:
        """The same, one by one."""
        unknown = self.word_index.get(self.oov_token)  # type: ignore[arg-type]
        for sequence in sequences:
            known = (number if number in self.index_word else None for number in sequence)
            used = (self._used(number, unknown) for number in known)
            yield " ".join(self.index_word[number] for number in used if number is not None)

    def texts_to_matrix(self, texts: Iterable[Any], mode: str = "binary") -> np.ndarray:
        """One row for each text, one column for each number: see `sequences_to_matrix`."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(self, sequences: Sequence[Sequence[int]], mode: str = "binary") -> np.ndarray:
        """One row for each sequence, one column for each number (`num_words`, or all that are known).

        mode: "binary", whether it occurs; "count", how often; "freq", the share of all; "tfidf", 1 + log(count) times
        log(1 + documents / (1 + those with it)). Raises ValueError for another one, and where nothing tells how many
        columns there are, or documents.
        """
        width = self.num_words or (len(self.word_index) + 1 if self.word_index else None)
        if width is None:
            raise ValueError(
                "Give `num_words`, or call `fit_on_texts` first: nothing tells how many columns there are."
            )
        if mode not in ("binary", "count", "freq", "tfidf"):
            raise ValueError(f'`mode` must be "binary", "count", "freq" or "tfidf"; got {mode!r}.')
        if mode == "tfidf" and not self.document_count:
            raise ValueError('Mode "tfidf" needs documents: call `fit_on_texts` or `fit_on_sequences` first.')
        made = np.zeros((len(sequences), width))
        for row, sequence in zip(made, sequences, strict=True):
            for number, count in Counter(each for each in sequence if each < width).items():
                row[number] = self._weight(mode, number, count, len(sequence))
        return made

    def _weight(self, mode: str, number: int, count: int, length: int) -> float:
        if mode == "tfidf":
            documents = self.document_count / (1 + self.index_docs.get(number, 0))
            return (1 + np.log(count)) * np.log(1 + documents)
        return {"binary": 1, "count": count, "freq": count / length}[mode]

    def get_config(self) -> dict[str, Any]:
        """All that is known; tables as JSON."""
        counted = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
        plain = ("num_words", "filters", "lower", "split", "char_level", "oov_token", "document_count")
        return {key: getattr(self, key) for key in plain} | {key: json.dumps(getattr(self, key)) for key in counted}

    def to_json(self, **kwargs: Any) -> str:
        """What `tokenizer_from_json` reads. kwargs: of `json.dumps`."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **kwargs)


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """The tokenizer that `to_json` wrote."""
    return read_tokenizer(Tokenizer, json_string)


def read_tokenizer(cls: Any, json_string: str) -> Any:
    """One of that class."""
    config = json.loads(json_string)["config"]
    tables = {key: json.loads(config.pop(key)) for key in ("word_counts", "word_docs", "word_index")}
    for key in ("index_docs", "index_word"):
        tables[key] = {int(number): value for number, value in json.loads(config.pop(key)).items()}
    made = cls(**config)
    made.__dict__.update(tables)
    return made
