"""Reviews of films, 25,000 to learn from and 25,000 to test with: words as numbers, and whether it was liked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .reading import Pair, arrays_of, fetched, known_words, marked, no_longer, sequences_of

__all__ = ["get_word_index", "load_data"]

FILE = "imdb.npz", "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"
WORDS = "imdb_word_index.json", "bfafd718b763782e994055a2d397834f"


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
    file = fetched(path, *FILE)
    random = np.random.RandomState(seed)  # one stream for both parts
    return prepared(read(file), (random, random), num_words, skip_top, maxlen, start_char, oov_char, index_from)


def read(file: str) -> list[Pair]:
    """The lists and labels of both parts, as they are in the file."""
    labels = arrays_of(file, "y_train", "y_test")
    return [(sequences_of(file, name), y) for name, y in zip(("x_train", "x_test"), labels, strict=True)]


def prepared(
    parts: Sequence[Pair],
    randoms: Sequence[np.random.RandomState],
    num_words: int | None,
    skip_top: int,
    maxlen: int | None,
    start_char: int | None,
    oov_char: int | None,
    index_from: int,
    apart: bool = True,
) -> tuple[Pair, Pair]:
    """Both parts as `load_data` gives them, mixed by `randoms`.

    apart: each is rid of long reviews by itself; else both together, and the first part is filled up from the second.
    """
    made = []
    for (x, y), random in zip(parts, randoms, strict=True):
        order = np.arange(len(y))
        random.shuffle(order)
        made.append((marked(x[order], start_char, index_from), y[order]))
    if apart:
        made = [no_longer(lists, labels, maxlen) for lists, labels in made]
    else:
        count = len(made[0][0])
        both = [*made[0][0], *made[1][0]], np.concatenate([made[0][1], made[1][1]])
        lists, labels = no_longer(*both, maxlen)
        made = [(lists[:count], labels[:count]), (lists[count:], labels[count:])]
    limited = known_words([*made[0][0], *made[1][0]], num_words, skip_top, oov_char)
    (x_train, y_train), (x_test, y_test) = made
    return (limited(x_train), y_train), (limited(x_test), y_test)


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """Words to their numbers, before `index_from` is added."""
    return json.loads(Path(fetched(path, *WORDS)).read_text(encoding="utf-8"))
