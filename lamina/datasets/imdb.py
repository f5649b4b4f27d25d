"""Reviews of films, 25,000 to learn from and 25,000 to test with: words as numbers, and whether it was liked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ..utils.files import get_file
from .reading import ADDRESS, Pair, arrays_of, fetched, known_words, marked, no_longer, sequences_of

__all__ = ["get_word_index", "load_data"]


def load_data(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple[Pair, Pair]:
    """(x_train, y_train), (x_test, y_test): lists of word numbers, by how frequent a word is, and 0 or 1.

    num_words, skip_top: only words up to that number, and without the most frequent ones; others become `oov_char`, or
    are left out where that is None. maxlen: leave out reviews of this length or longer.
    start_char: what begins each review. index_from: what is added to the numbers, which begin with 1.
    """
    file = fetched(path, "imdb.npz", "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f")
    labels = arrays_of(file, "y_train", "y_test")
    random = np.random.RandomState(seed)  # one stream for both parts
    parts = []
    for name, y in zip(("x_train", "x_test"), labels, strict=True):
        order = np.arange(len(y))
        random.shuffle(order)
        parts.append(no_longer(marked(sequences_of(file, name)[order], start_char, index_from), y[order], maxlen))
    limited = known_words([*parts[0][0], *parts[1][0]], num_words, skip_top, oov_char)
    (x_train, y_train), (x_test, y_test) = parts
    return (limited(x_train), y_train), (limited(x_test), y_test)


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """Words to their numbers, before `index_from` is added."""
    file = get_file(path, f"{ADDRESS}imdb_word_index.json", file_hash="bfafd718b763782e994055a2d397834f")
    return json.loads(Path(file).read_text(encoding="utf-8"))
