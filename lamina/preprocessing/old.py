"""How Keras 1 and 2 changed pictures, ordered batches and counted words where it was not as in `image` and `text`."""

from __future__ import annotations

import operator
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core import config
from . import iterators
from .affine import about, warp
from .image import ImageDataGenerator, Moves, apply_channel_shift, array_to_img
from .iterators import check_pictures
from .text import FILTERS, Tokenizer, hashing_trick


def _alias(name: str) -> Any:
    """Another name of an attribute."""
    return property(operator.attrgetter(name), lambda self, value: setattr(self, name, value))


# The middle of a picture lay a whole pixel further, and matrices were of (row, column).
moves = Moves(centre=0.5, across_first=False)
moves1 = Moves(centre=0.5, across_first=False, shears_by_radians=True)


class DataFrameIterator2(iterators.DataFrameIterator):
    """Classes that are given are sorted, too."""

    _in_order = staticmethod(sorted)


class ImageDataGenerator2(ImageDataGenerator):
    """As in Keras 2.3."""

    _moves = moves
    _spreads = True
    _iterators = (iterators.NumpyArrayIterator, iterators.DirectoryIterator, DataFrameIterator2)

    def _whitening(self, rows: np.ndarray) -> np.ndarray:
        vectors, values, _ = np.linalg.svd(rows.T @ rows / len(rows))
        return (vectors / np.sqrt(values + self.zca_epsilon)) @ vectors.T

    principal_components = _alias("zca_whitening_matrix")


class _Ordered:
    """Whose `data_format` is Keras 1's `dim_ordering`."""

    data_format: str

    @property
    def dim_ordering(self) -> str:
        return "tf" if self.data_format == "channels_last" else "th"


class _Passes(_Ordered):
    """Keras 1's order: where whole batches fill a pass, the next ones begin with the first again, not mixed anew."""

    _least_left = 0

    def _chosen(self, start: int) -> tuple[Any, int, int]:
        found = super()._chosen(start)  # type: ignore[misc]
        return found, start, len(found)

    def next(self: Any) -> Any:
        with self.lock:
            chosen, _, _ = next(self.index_generator)
        return self._get_batches_of_transformed_samples(chosen)


class Iterator1(_Passes, iterators.Iterator):
    """As in Keras 1."""


class NumpyArrayIterator1(_Passes, iterators.NumpyArrayIterator):
    """As in Keras 1."""

    def _check_pictures(self) -> None:
        check_pictures(self.x, self.data_format, type(self).__name__, strict=True)


class DirectoryIterator1(_Passes, iterators.DirectoryIterator):
    """As in Keras 1."""

    white_list_formats = ("png", "jpg", "jpeg", "bmp")
    allowed_class_modes = frozenset({"categorical", "binary", "sparse", None})
    _names = 10**4

    nb_sample, nb_class = _alias("samples"), _alias("num_classes")

    def _targets_of(self, index_array: np.ndarray, pictures: np.ndarray) -> Any:
        return self.classes[index_array] if self.class_mode == "sparse" else super()._targets_of(index_array, pictures)


class ImageDataGenerator1(_Ordered, ImageDataGenerator2):
    """As in Keras 1: one way of scaling brings no other along, each channel is shifted by itself, shifts are shares."""

    _moves = moves1
    _epsilon = 1e-7
    _iterators = (NumpyArrayIterator1, DirectoryIterator1, DataFrameIterator2)

    def _settle(self) -> None:
        """Nothing needs anything else."""

    def _sample_axes(self) -> Any:
        return self.channel_axis - 1

    def _check_pictures(self, x: np.ndarray) -> None:
        check_pictures(x, self.data_format, "fit", strict=True)

    def _rescaled(self, x: np.ndarray) -> np.ndarray:
        return x

    def _shift(self, far: Any, size: int) -> Any:
        return np.random.uniform(-far, far) * size if far else 0

    def get_random_transform(self, img_shape: Sequence[int], seed: int | None = None) -> dict[str, Any]:
        if seed is not None:
            np.random.seed(seed)
        drawn = self._drawn_moves(img_shape)
        far = self.channel_shift_range
        if far:
            drawn["channel_shift_intensity"] = np.random.uniform(-far, far, img_shape[self.channel_axis - 1])
        drawn["flip_horizontal"] = self.horizontal_flip and np.random.random() < 0.5
        drawn["flip_vertical"] = self.vertical_flip and np.random.random() < 0.5
        return drawn


def random_channel_shift1(x: Any, intensity: float, channel_axis: int = 0) -> np.ndarray:
    """A number of its own, drawn up to `intensity` either way, added to each channel."""
    return apply_channel_shift(x, np.random.uniform(-intensity, intensity, x.shape[channel_axis]), channel_axis)


def transform_matrix_offset_center(matrix: Any, x: int, y: int) -> np.ndarray:
    """The 3 x 3 matrix about the middle of a picture of x rows and y columns."""
    return about(np.asarray(matrix), x / 2 + moves.centre, y / 2 + moves.centre)


def apply_transform(
    x: Any, transform_matrix: Any, channel_axis: int = 0, fill_mode: str = "nearest", cval: float = 0.0
) -> np.ndarray:
    """A picture whose point p shows the pixel nearest to what was at `transform_matrix @ p`."""
    return warp(np.asarray(x), np.asarray(transform_matrix), channel_axis, fill_mode, cval, order=0)


def array_to_img1(x: Any, data_format: str | None = None, scale: bool = True) -> Any:
    """As `array_to_img`, but only values below zero move what black is."""
    if scale:
        x = np.array(x, config.floatx())
        x = x - min(x.min(), 0)
        x = x / x.max() * 255 if x.max() else x
    return array_to_img(x, data_format, scale=False)


def list_pictures(directory: Any, ext: str = "jpg|jpeg|bmp|png") -> list[str]:
    """The pictures below a folder; `ext`: endings, as a regular expression."""
    wanted = re.compile(rf"\w+\.(?:{ext})")
    return [str(Path(root) / name) for root, _, names in os.walk(directory) for name in names if wanted.match(name)]


class Tokenizer1(Tokenizer):
    """As in Keras 1: each call of `fit_on_...` counts documents anew; characters keep their case."""

    nb_words = _alias("num_words")

    def _words(self, text: Any) -> Any:
        return text if self.char_level else super()._words(text)

    def fit_on_texts(self, texts: Any) -> None:
        self.document_count = 0
        super().fit_on_texts(texts)

    def fit_on_sequences(self, sequences: Any) -> None:
        self.document_count, self.index_docs = 0, defaultdict(int)
        super().fit_on_sequences(sequences)


def one_hot1(input_text: str, n: int, filters: str = FILTERS, lower: bool = True, split: str = " ") -> list[int]:
    """As `one_hot`, by the size of the hash without its sign."""
    return hashing_trick(input_text, n, lambda word: abs(hash(word)), filters, lower, split)
