"""Batches of pictures without end, changed at random: from arrays, from folders, from tables of file names."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Iterator as Iterating
from pathlib import Path
from typing import Any

import numpy as np

from ..core import config
from ..training.data import PyDataset
from ..utils.folders import walk
from ..utils.pictures import array_to_img, img_to_array, load_img

_CHANNELS = {"rgb": 3, "rgba": 4, "grayscale": 1}


class Iterator(PyDataset):
    """Batches of `n` samples, in passes that never end; as a dataset it has `len(iterator)` batches.

    seed: of NumPy's generator, set anew (with the number of batches so far added) before every batch. A subclass gives
    `_get_batches_of_transformed_samples(index_array)`.
    """

    white_list_formats: tuple[str, ...] = ("png", "jpg", "jpeg", "bmp", "ppm", "tif", "tiff")
    _least_left = 1  # samples behind a batch, for the pass to go on

    def __init__(self, n: int, batch_size: int, shuffle: bool, seed: int | None, **kwargs: Any):
        super().__init__(**kwargs)
        self.n, self.batch_size, self.shuffle, self.seed = n, batch_size, shuffle, seed
        self.batch_index = self.total_batches_seen = 0
        self.index_array: np.ndarray | None = None
        self.lock = threading.Lock()
        self.index_generator = self._flow_index()

    def __getstate__(self) -> dict[str, Any]:
        """For other processes: locks and generators stay where they are."""
        return {key: value for key, value in self.__dict__.items() if key not in ("lock", "index_generator")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.lock = threading.Lock()
        self.index_generator = self._flow_index()

    def _set_index_array(self) -> None:
        self.index_array = np.random.permutation(self.n) if self.shuffle else np.arange(self.n)

    def _count_batch(self) -> None:
        if self.seed is not None:
            np.random.seed(self.seed + self.total_batches_seen)
        self.total_batches_seen += 1

    def __getitem__(self, idx: int) -> Any:
        if idx >= len(self):
            raise ValueError(f"There is no batch {idx}: the iterator has {len(self)}.")
        self._count_batch()
        if self.index_array is None:
            self._set_index_array()
        chosen = self.index_array[self.batch_size * idx : self.batch_size * (idx + 1)]  # type: ignore[index]
        return self._get_batches_of_transformed_samples(chosen)

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def on_epoch_end(self) -> None:
        self._set_index_array()

    def reset(self) -> None:
        """Let the next batch be the first one."""
        self.batch_index = 0

    def _flow_index(self) -> Iterating[Any]:
        self.reset()
        while True:
            self._count_batch()
            if self.batch_index == 0:
                self._set_index_array()
            start = self.batch_index * self.batch_size % max(self.n, 1)
            goes_on = self.n - start - self.batch_size >= self._least_left
            self.batch_index = self.batch_index + 1 if goes_on else 0
            yield self._chosen(start)

    def _chosen(self, start: int) -> Any:
        return self.index_array[start : start + self.batch_size]  # type: ignore[index]

    def __iter__(self) -> Any:
        return self

    def __next__(self, *args: Any, **kwargs: Any) -> Any:
        return self.next(*args, **kwargs)

    def next(self) -> Any:
        """The next batch."""
        with self.lock:
            chosen = next(self.index_generator)
        return self._get_batches_of_transformed_samples(chosen)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define `_get_batches_of_transformed_samples`.")


class _Pictures(Iterator):
    """What all iterators over pictures share."""

    _names = 10**7  # how many different numbers stand in the names of saved pictures

    image_data_generator: Any
    data_format: str
    dtype: Any
    save_to_dir: Any
    save_prefix: str
    save_format: str

    def _changed(self, x: np.ndarray) -> np.ndarray:
        generator = self.image_data_generator
        if not generator:
            return x
        return generator.standardize(generator.random_transform(x))

    def _save(self, pictures: np.ndarray, numbers: Iterable[int]) -> None:
        if not self.save_to_dir:
            return
        for picture, number in zip(pictures, numbers, strict=True):
            name = f"{self.save_prefix}_{number}_{np.random.randint(self._names)}.{self.save_format}"
            array_to_img(picture, self.data_format, scale=True).save(Path(self.save_to_dir) / name)


class NumpyArrayIterator(_Pictures):
    """Batches of an array of pictures: x, (x, y) or (x, y, sample_weight); see `ImageDataGenerator.flow`."""

    _names = 10**4

    def __init__(
        self,
        x: Any,
        y: Any,
        image_data_generator: Any,
        batch_size: int = 32,
        shuffle: bool = False,
        sample_weight: Any = None,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        ignore_class_split: bool = False,
        dtype: Any = None,
    ):
        self.dtype = dtype or config.floatx()
        self.data_format = data_format or config.image_data_format()
        others: list[Any] = []
        if isinstance(x, (tuple, list)):
            others = [np.asarray(each) for each in (x[1] if isinstance(x[1], list) else [x[1]])]
            x = x[0]
        for name, each in (
            *(("All of the arrays in `x`", other) for other in others),
            ("`x` (images tensor) and `y` (labels)", y),
            ("`x` (images tensor) and `sample_weight`", sample_weight),
        ):
            if each is not None and len(each) != len(x):
                raise ValueError(f"{name} should have the same length; got {len(x)} and {len(each)}.")
        if subset is not None:
            part = _part(subset, int(len(x) * image_data_generator._validation_split))
            if y is not None and not ignore_class_split:
                held, rest = (np.unique(y[_part(each, part.start or part.stop)]) for each in ("validation", "training"))
                if not np.array_equal(held, rest):
                    raise ValueError(
                        "Training and validation subsets have different number of classes after the split. If your "
                        "numpy arrays are sorted by the label, you might want to shuffle them."
                    )
            others = [other[part] for other in others]
            x, y, sample_weight = (None if each is None else each[part] for each in (x, y, sample_weight))
        self.x, self.x_misc = np.asarray(x, dtype=self.dtype), others
        self.y = None if y is None else np.asarray(y)
        self.sample_weight = None if sample_weight is None else np.asarray(sample_weight)
        self._check_pictures()
        self.image_data_generator = image_data_generator
        self.save_to_dir, self.save_prefix, self.save_format = save_to_dir, save_prefix, save_format
        super().__init__(len(self.x), batch_size, shuffle, seed)

    def _check_pictures(self) -> None:
        check_pictures(self.x, self.data_format, type(self).__name__)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        made = np.zeros((len(index_array), *self.x.shape[1:]), self.dtype)
        for row, index in enumerate(index_array):
            made[row] = self._changed(self.x[index].astype(self.dtype))
        self._save(made, index_array)
        x = [made, *(other[index_array] for other in self.x_misc)] if self.x_misc else made
        if self.y is None:
            return x
        weights = () if self.sample_weight is None else (self.sample_weight[index_array],)
        return x, self.y[index_array], *weights


def _part(subset: str, held: int) -> slice:
    """The first rows are for validation. Raises ValueError for another word than Keras' two."""
    if subset not in ("training", "validation"):
        raise ValueError(f'`subset` must be "training" or "validation"; got {subset!r}.')
    return slice(0, held) if subset == "validation" else slice(held, None)


def check_pictures(x: np.ndarray, data_format: str, where: str, strict: bool = False) -> None:
    """Raises ValueError for another rank than 4, and warns (`strict`: raises) where channels are not 1, 3 or 4."""
    if x.ndim != 4:
        raise ValueError(f"{where}: expected pictures as an array of rank 4; got shape {x.shape}.")
    axis = 3 if data_format == "channels_last" else 1
    if x.shape[axis] not in (1, 3, 4):
        text = (
            f"{where}: expected 1, 3 or 4 channels on axis {axis}, as `data_format` is {data_format!r}; got an array "
            f"of shape {x.shape} ({x.shape[axis]} channels)."
        )
        if strict:
            raise ValueError(text)
        warnings.warn(text, stacklevel=4)


class _Files(_Pictures):
    """What iterators over files share. A subclass knows `filepaths`, `labels` and `sample_weight`."""

    allowed_class_modes: frozenset[str | None]
    class_mode: str | None
    class_indices: dict[str, int]
    classes: Any
    sample_weight: Any = None
    filepaths: list[str]  # in order

    def _settle(
        self,
        image_data_generator: Any,
        target_size: Any,
        color_mode: str,
        class_mode: str | None,
        data_format: str | None,
        save: tuple[Any, str, str],
        subset: str | None,
        interpolation: str,
        keep_aspect_ratio: bool,
        dtype: Any,
    ) -> None:
        if color_mode not in _CHANNELS:
            raise ValueError(f'`color_mode` must be "rgb", "rgba" or "grayscale"; got {color_mode!r}.')
        if class_mode not in self.allowed_class_modes:
            known = ", ".join(sorted(map(repr, self.allowed_class_modes)))
            raise ValueError(f"`class_mode` must be one of {known}; got {class_mode!r}.")
        self.image_data_generator = image_data_generator
        height, width = target_size
        self.target_size, self.color_mode, self.class_mode = (height, width), color_mode, class_mode
        self.data_format = data_format or config.image_data_format()
        self.dtype = dtype or config.floatx()
        channels = (_CHANNELS[color_mode],)
        last = self.data_format == "channels_last"
        self.image_shape = (*self.target_size, *channels) if last else (*channels, *self.target_size)
        self.save_to_dir, self.save_prefix, self.save_format = save
        self.interpolation, self.keep_aspect_ratio, self.subset = interpolation, keep_aspect_ratio, subset
        self.split = None
        if subset is not None:
            _part(subset, 0)
            held = image_data_generator._validation_split
            self.split = (0, held) if subset == "validation" else (held, 1)

    def _in_part(self, items: Any) -> Any:
        if self.split is None:
            return items
        start, stop = (int(share * len(items)) for share in self.split)
        return getattr(items, "iloc", items)[start:stop]

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        made = np.zeros((len(index_array), *self.image_shape), self.dtype)
        files = self.filepaths
        for row, index in enumerate(index_array):
            picture = load_img(
                files[index], self.color_mode, self.target_size, self.interpolation, self.keep_aspect_ratio
            )
            made[row] = self._changed(img_to_array(picture, self.data_format))
        self._save(made, index_array)
        if self.class_mode is None:
            return made
        weights = () if self.sample_weight is None else (self.sample_weight[index_array],)
        return made, self._targets_of(index_array, made), *weights

    def _targets_of(self, index_array: np.ndarray, pictures: np.ndarray) -> Any:
        if self.class_mode == "input":
            return pictures.copy()
        if self.class_mode == "multi_output":
            return [output[index_array] for output in self.labels]
        if self.class_mode == "raw":
            return self.labels[index_array]
        if self.class_mode in ("binary", "sparse"):
            return np.array([self.classes[index] for index in index_array], self.dtype)
        rows = np.zeros((len(index_array), len(self.class_indices)), self.dtype)
        for row, index in zip(rows, index_array, strict=True):
            row[self.classes[index]] = 1
        return rows

    @property
    def labels(self) -> Any:
        """What is known of each file."""
        return self.classes


class DirectoryIterator(_Files):
    """Batches of the pictures in a folder, of which every folder inside is a class; see
    `ImageDataGenerator.flow_from_directory`."""

    allowed_class_modes = frozenset({"categorical", "binary", "sparse", "input", None})

    def __init__(
        self,
        directory: Any,
        image_data_generator: Any,
        target_size: Sequence[int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: Any = None,
    ):
        save = save_to_dir, save_prefix, save_format
        self._settle(image_data_generator, target_size, color_mode, class_mode, data_format, save, subset,
                     interpolation, keep_aspect_ratio, dtype)  # fmt: skip
        self.directory = directory
        inside = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
        names = list(classes) if classes else inside
        self.num_classes, self.class_indices = len(names), {name: number for number, name in enumerate(names)}
        self.filenames: list[str] = []
        numbers: list[int] = []
        for name, number in self.class_indices.items():
            found = self._in_part(list(self._files_in(Path(directory) / name, follow_links)))
            self.filenames += [str(Path(name) / file) for file in found]
            numbers += [number] * len(found)
        self.classes, self.samples = np.array(numbers, "int32"), len(numbers)
        print(f"Found {self.samples} images belonging to {self.num_classes} classes.")
        self.filepaths = [str(Path(directory) / file) for file in self.filenames]
        super().__init__(self.samples, batch_size, shuffle, seed)

    def _files_in(self, folder: Path, follow_links: bool) -> Iterating[str]:
        """Pictures below a folder, by their paths from there."""
        for place, names in sorted(walk(folder, follow_links)):
            for name in sorted(names):
                if name.lower().endswith(".tiff"):
                    warnings.warn("TIFF files with several bands come out distorted; look at them.", stacklevel=4)
                if name.lower().endswith(self.white_list_formats):
                    yield str((Path(place) / name).relative_to(folder))


class DataFrameIterator(_Files):
    """Batches of the pictures that a pandas DataFrame names; see `ImageDataGenerator.flow_from_dataframe`."""

    allowed_class_modes = frozenset({"binary", "categorical", "input", "multi_output", "raw", "sparse", None})
    _in_order: Callable[[Any], Any] = staticmethod(lambda classes: list(classes))  # of the classes that are given

    def __init__(
        self,
        dataframe: Any,
        directory: Any = None,
        image_data_generator: Any = None,
        x_col: str = "filename",
        y_col: Any = "class",
        weight_col: str | None = None,
        target_size: Sequence[int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: Any = None,
        validate_filenames: bool = True,
    ):
        save = save_to_dir, save_prefix, save_format
        self._settle(image_data_generator, target_size, color_mode, class_mode, data_format, save, subset,
                     interpolation, keep_aspect_ratio, dtype)  # fmt: skip
        self.directory = directory or ""
        table = dataframe
        self._check_columns(table, x_col, y_col, weight_col, classes)
        if validate_filenames:
            table = self._readable(table, x_col)
        by_class = class_mode in ("binary", "categorical", "sparse")
        if by_class:
            table, names = _with_known_classes(table, y_col, classes and self._in_order(classes))
            self.class_indices = {name: number for number, name in enumerate(names)}
        table = self._in_part(table)
        self.filenames = list(table[x_col])
        self.samples = len(self.filenames)
        if by_class:
            number = self.class_indices
            self.classes = [
                [number[each] for each in label] if isinstance(label, (list, tuple)) else number[label]
                for label in table[y_col]
            ]
        elif class_mode == "multi_output":
            self._targets = [np.array(list(table[column])) for column in y_col]
        elif class_mode == "raw":
            self._targets = table[y_col].values
        self.sample_weight = table[weight_col].values if weight_col else None
        checked = "validated" if validate_filenames else "non-validated"
        of_classes = f" belonging to {len(self.class_indices)} classes" if by_class else ""
        print(f"Found {self.samples} {checked} image filenames{of_classes}.")
        self.filepaths = [str(Path(self.directory) / file) for file in self.filenames]
        super().__init__(self.samples, batch_size, shuffle, seed)

    @property
    def labels(self) -> Any:
        return self._targets if self.class_mode in ("multi_output", "raw") else self.classes

    def _check_columns(self, table: Any, x_col: str, y_col: Any, weight_col: str | None, classes: Any) -> None:
        mode = self.class_mode
        if mode == "multi_output" and not isinstance(y_col, list):
            raise TypeError(f'With class_mode="multi_output", `y_col` must be a list of columns; got {y_col!r}.')
        if not all(isinstance(name, str) for name in table[x_col]):
            raise TypeError(f"All values in column x_col={x_col} must be strings.")
        kinds: Any = {"binary": str, "sparse": str, "categorical": (str, list, tuple)}.get(mode or "")
        if kinds and not all(isinstance(label, kinds) for label in table[y_col]):
            raise TypeError(
                f'With class_mode="{mode}", values in column y_col={y_col} must be strings'
                + (", lists or tuples." if mode == "categorical" else ".")
            )
        if mode == "binary":
            count = len(set(classes or table[y_col]))
            if count != 2:
                raise ValueError(f'With class_mode="binary" there must be 2 classes; got {count}.')
        if classes and kinds is None:
            warnings.warn(f'`classes` will be ignored given the class_mode="{mode}".', stacklevel=4)
        if weight_col and not issubclass(table[weight_col].dtype.type, np.number):
            raise TypeError(f"Column weight_col={weight_col} must be numeric.")

    def _readable(self, table: Any, x_col: str) -> Any:
        paths = [Path(self.directory) / name for name in table[x_col]]
        there = np.array([p.name.lower().endswith(self.white_list_formats) and p.is_file() for p in paths], bool)
        if not there.all():
            warnings.warn(
                f'Found {(~there).sum()} invalid image filename(s) in x_col="{x_col}". These filename(s) will be '
                "ignored.",
                stacklevel=4,
            )
        return table[there]


def _with_known_classes(table: Any, y_col: str, classes: Sequence[str] | None) -> tuple[Any, list[str]]:
    """The rows of known classes (by default of all), and the classes in order."""
    listed = [list(label) if isinstance(label, (list, tuple)) else label for label in table[y_col]]
    if not classes:
        return table, sorted({each for label in listed for each in (label if isinstance(label, list) else [label])})
    known = list(dict.fromkeys(classes))

    def kept_of(label: Any) -> Any:
        if isinstance(label, list):
            return [each for each in label if each in known] or None
        return label if label in known else None

    kept = list(map(kept_of, listed))
    table = table.copy()
    table[y_col] = kept
    return table[[label is not None for label in kept]], known
