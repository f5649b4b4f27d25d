"""11,228 pieces of news of 46 topics: words as numbers, and the topic's number."""

from __future__ import annotations

import json
from pathlib import Path

from .reading import Pair, arrays_of, fetched, known_words, marked, mixed, no_longer, sequences_of, split

__all__ = ["get_label_names", "get_word_index", "load_data"]

FILE = "reuters.npz", "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"
WORDS = "reuters_word_index.json", "4d44cc38712099c9e383dc6e5f11a921"


def load_data(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple[Pair, Pair]:
    """(x_train, y_train), (x_test, y_test): lists of word numbers, by how frequent a word is, and topics.

    test_split: the part to test with. The other arguments are those of `imdb.load_data`.
    """
    data = read(fetched(path, *FILE))
    return prepared(data, num_words, skip_top, maxlen, test_split, seed, start_char, oov_char, index_from)


def read(file: str) -> Pair:
    """The lists and topics, as they are in the file."""
    return sequences_of(file, "x"), arrays_of(file, "y")[0]


def prepared(
    data: Pair,
    num_words: int | None,
    skip_top: int,
    maxlen: int | None,
    test_split: float,
    seed: int,
    start_char: int | None,
    oov_char: int | None,
    index_from: int,
) -> tuple[Pair, Pair]:
    """Both parts as `load_data` gives them, of the lists and labels of a file."""
    x, y = mixed(data, seed)
    lists, labels = no_longer(marked(x, start_char, index_from), y, maxlen)
    return split(known_words(lists, num_words, skip_top, oov_char)(lists), labels, test_split)


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """Words to their numbers, before `index_from` is added."""
    return json.loads(Path(fetched(path, *WORDS)).read_text(encoding="utf-8"))


def get_label_names() -> tuple[str, ...]:
    """The topics' names, in the order of their numbers."""
    return tuple(
        "cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves ship cotton "
        "carcass crude nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin strategic-metal livestock "
        "retail ipi iron-steel rubber heat jobs lei bop zinc orange pet-chem dlr gas silver wpi hog lead".split()
    )
