"""Sequences as arrays, pairs of words that stand together, windows of a series."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..training.data import PyDataset
from ..utils import pad_sequences as pad_sequences

__all__ = ["TimeseriesGenerator", "make_sampling_table", "pad_sequences", "skipgrams"]


def _remove_long_seq(maxlen: int, seq: Iterable[Any], label: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """Only the sequences shorter than `maxlen`, and their labels."""
    kept = [(x, y) for x, y in zip(seq, label, strict=False) if len(x) < maxlen]
    return [x for x, _ in kept], [y for _, y in kept]


def make_sampling_table(size: int, sampling_factor: float = 1e-05) -> np.ndarray:
    """For each rank of a word, by how frequent it is, the probability to keep it (`size`,); word2vec, Zipf's law."""
    rank = np.arange(size)
    rank[0] = 1
    rareness = rank * (np.log(rank) + 0.577) + 0.5 - 1.0 / (12.0 * rank)
    share = sampling_factor * rareness
    return np.minimum(1.0, share / np.sqrt(share))


def skipgrams(
    sequence: Sequence[int],
    vocabulary_size: int,
    window_size: int = 4,
    negative_samples: float = 1.0,
    shuffle: bool = True,
    categorical: bool = False,
    sampling_table: Any = None,
    seed: int | None = None,
) -> tuple[list[list[int]], list[Any]]:
    """Pairs of word numbers, and 1 for those at most `window_size` apart, 0 for those with a word drawn at random.

    negative_samples: how many of the latter for each of the former. categorical: labels [0, 1] and [1, 0].
    sampling_table: the probability to keep each word. seed: of the shuffling. 0 is no word. All draws are those of
    Python's `random`.
    """
    couples, count = [], len(sequence)
    for i, word in enumerate(sequence):
        if not word or (sampling_table is not None and sampling_table[word] < random.random()):
            continue
        near = (j for j in range(max(0, i - window_size), min(count, i + window_size + 1)) if j != i)
        couples += [[word, sequence[j]] for j in near if sequence[j]]
    found, drawn = len(couples), 0
    if negative_samples > 0:
        drawn = int(found * negative_samples)
        words = [word for word, _ in couples]
        random.shuffle(words)
        couples += [[words[i % found], random.randint(1, int(vocabulary_size - 1))] for i in range(drawn)]
    yes, no = ([0, 1], [1, 0]) if categorical else (1, 0)
    labels = [yes] * found + [no] * drawn
    if shuffle:
        seed = random.randint(0, 10**7) if seed is None else seed
        for each in (couples, labels):
            random.seed(seed)
            random.shuffle(each)
    return couples, labels


class TimeseriesGenerator(PyDataset):
    """Batches of windows (batch, length / sampling_rate, ...) of a series, with the target behind each.

    sampling_rate: steps between those of one window; stride: between windows. start_index, end_index: the part of the
    series. shuffle: windows at random places. reverse: each window backwards. Raises ValueError where data and targets
    differ in length, and where no window fits.

    Source: Keras 2; see `lamina.utils.timeseries_dataset_from_array`.
    """

    def __init__(
        self,
        data: Any,
        targets: Any,
        length: int,
        sampling_rate: int = 1,
        stride: int = 1,
        start_index: int = 0,
        end_index: int | None = None,
        shuffle: bool = False,
        reverse: bool = False,
        batch_size: int = 128,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if len(data) != len(targets):
            raise ValueError(f"Data and targets have to be of same length; got {len(data)} and {len(targets)}.")
        self.data, self.targets, self.length = data, targets, length
        self.sampling_rate, self.stride = sampling_rate, stride
        self.start_index = start_index + length
        self.end_index = len(data) - 1 if end_index is None else end_index
        self.shuffle, self.reverse, self.batch_size = shuffle, reverse, batch_size
        if self.start_index > self.end_index:
            raise ValueError(
                f"`start_index+length={self.start_index} > end_index={self.end_index}` is disallowed, as no part of "
                "the sequence would be left to be used as current step."
            )

    def __len__(self) -> int:
        step = self.batch_size * self.stride
        return (self.end_index - self.start_index + step) // step

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if self.shuffle:
            rows = np.random.randint(self.start_index, self.end_index + 1, size=self.batch_size)
        else:
            step = self.batch_size * self.stride
            start = self.start_index + step * index
            rows = np.arange(start, min(start + step, self.end_index + 1), self.stride)
        samples = np.array([self.data[row - self.length : row : self.sampling_rate] for row in rows])
        targets = np.array([self.targets[row] for row in rows])
        return (samples[:, ::-1, ...] if self.reverse else samples), targets

    def get_config(self) -> dict[str, Any]:
        """The arguments, data and targets as JSON. Raises TypeError where these cannot be."""
        names = ("length", "sampling_rate", "stride", "start_index", "end_index", "shuffle", "reverse", "batch_size")
        config = {name: _as_json(getattr(self, name), name) for name in ("data", "targets")}
        return config | {name: getattr(self, name) for name in names}

    def to_json(self, **kwargs: Any) -> str:
        """The config as JSON. kwargs: of `json.dumps`."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **kwargs)


def _as_json(value: Any, name: str) -> str:
    try:
        return json.dumps(value.tolist() if isinstance(value, np.ndarray) else value)
    except TypeError as error:
        raise TypeError(f"TimeseriesGenerator: `{name}` cannot be written as JSON: {error}.") from error
