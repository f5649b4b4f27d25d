"""Data sets of the files in a folder, of which every folder inside is a class."""

from __future__ import annotations

import os
import wave
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ..core.errors import short
from .batches import Gathered, check_format, labels_as, loader
from .pictures import MODES, as_mode, opened

_PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
Loaders = DataLoader | tuple[DataLoader, DataLoader]


@dataclass
class _Folder:
    """Which files there are and what class each is of."""

    directory: Any
    labels: Any
    label_mode: str | None
    class_names: Sequence[str] | None
    endings: tuple[str, ...]
    follow_links: bool
    shuffle: bool
    seed: int | None
    split: float | None
    subset: str | None

    def __post_init__(self) -> None:
        self._check()
        root = Path(self.directory)
        inside = sorted(path.name for path in root.iterdir() if path.is_dir()) if self.labels == "inferred" else []
        if self.class_names is not None and self.labels == "inferred":
            if not {*self.class_names} <= {*inside}:
                raise ValueError(f"`class_names` must be names of folders in {root}; got {list(self.class_names)}.")
            inside = list(self.class_names)
        self.files: list[Path] = []
        found: list[int] = []
        for number, name in enumerate(inside or [""]):
            of_class = self._files_in(root / name)
            self.files += of_class
            found += [number] * len(of_class)
        if not self.files:
            raise ValueError(f"There are no files in {root} that end in {', '.join(self.endings)}.")
        if self.labels not in (None, "inferred"):
            found = list(self.labels)
            inside = [str(label) for label in sorted(set(found))]
            if len(found) != len(self.files):
                raise ValueError(
                    f"There must be a label for each file: {len(found)} for the {len(self.files)} in {root}."
                )
        self.numbers, self.names = found, inside
        if self.label_mode == "binary" and len(inside) != 2:
            raise ValueError(f'`label_mode` "binary" needs two classes; there are {inside}.')

    def _check(self) -> None:
        listed = isinstance(self.labels, (list, tuple))
        if not listed and self.labels not in (None, "inferred"):
            raise ValueError(f'`labels` must be "inferred", None or a list of integers; got {short(self.labels)}.')
        if self.label_mode not in ("int", "categorical", "binary", None):
            raise ValueError(f'`label_mode` must be "int", "categorical", "binary" or None; got {self.label_mode!r}.')
        if self.labels is None:
            self.label_mode = None
        if self.class_names is not None and self.labels != "inferred":
            raise ValueError('`class_names` are for `labels` "inferred" alone.')
        if (self.split is None) != (self.subset is None):
            raise ValueError("`validation_split` and `subset` go together: give both or none.")
        if self.split is not None and not 0 < self.split < 1:
            raise ValueError(f"`validation_split` must be a number between 0 and 1; got {self.split!r}.")
        if self.subset not in (None, "training", "validation", "both"):
            raise ValueError(f'`subset` must be "training", "validation" or "both"; got {self.subset!r}.')
        if self.split is not None and self.shuffle and self.seed is None:
            raise ValueError("Give a `seed` with `validation_split` and `shuffle`: else both parts may share files.")

    def _files_in(self, folder: Path) -> list[Path]:
        found = [
            Path(place) / name
            for place, names in walk(folder, self.follow_links)
            for name in names
            if name.lower().endswith(self.endings)
        ]
        return sorted(found, key=lambda path: (path.parent != folder, path))

    def loaders(
        self, read: Callable[[Path], Any], together: Callable[[list[Any]], Any], batch_size: int | None, verbose: bool
    ) -> Loaders:
        """The batches of what `read` gives of each file, of one part of the files or of both."""
        order, seed = np.arange(len(self.files)), self.seed
        if self.shuffle:
            seed = int(np.random.randint(10**6)) if seed is None and self.split is None else seed
            np.random.RandomState(seed).shuffle(order)
        if verbose:
            print(f"Found {len(self.files)} files" + (f" of {len(self.names)} classes." if self.names else "."))
        made = []
        for indices in self._parts(order):
            files, numbers = [self.files[i] for i in indices], [self.numbers[i] for i in indices]
            labels = labels_as(numbers, len(self.names), self.label_mode)
            batches = loader(_examples(files, labels, read, together), batch_size, self.shuffle, seed)
            batches.file_paths = list(map(str, files))  # type: ignore[attr-defined]
            batches.class_names = self.names if self.label_mode else None  # type: ignore[attr-defined]
            made.append(batches)
        return made[0] if len(made) == 1 else (made[0], made[1])

    def _parts(self, order: np.ndarray) -> list[np.ndarray]:
        if self.split is None:
            return [order]
        held = int(self.split * len(order))
        if not 0 < held < len(order):
            raise ValueError(f"`validation_split` {self.split} of {len(order)} files leaves one part empty.")
        parts = {"training": order[:-held], "validation": order[-held:]}
        return [*parts.values()] if self.subset == "both" else [parts[self.subset or ""]]


def walk(folder: Path, follow_links: bool) -> Iterator[tuple[str, list[str]]]:
    """Every folder in a folder, and its files' names; links that lead back to where they stand are not followed."""
    for place, inside, names in os.walk(folder, followlinks=follow_links):
        if follow_links:
            above = {os.path.realpath(each) for each in (place, *Path(place).parents)}
            inside[:] = [name for name in inside if os.path.realpath(Path(place, name)) not in above]
        yield place, names


def _examples(files: list[Path], labels: Tensor | None, read: Callable, together: Callable) -> Gathered:
    def gather(index: Any) -> Any:
        if isinstance(index, int):
            x = read(files[index])
        else:
            with ThreadPoolExecutor(os.cpu_count()) as pool:  # files are decoded without the interpreter's lock
                x = together(list(pool.map(read, [files[each] for each in index])))
        return x if labels is None else (x, labels[index])

    return Gathered(len(files), gather)


def image_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
) -> Loaders:
    """Batches (pictures, labels) of the pictures in a folder, read when needed: a DataLoader, which `fit` takes.

    Pictures: float32 (batch, height, width, channels), from 0 to 255. labels: "inferred" from the folders inside, a
    list in the order of the files' names, or None. label_mode: "int" (batch,), "categorical" (batch, classes), "binary"
    (batch, 1), None for pictures alone. class_names: the folders and their order. validation_split, subset: the
    "training" or the "validation" part, or "both". batch_size: None for single pictures. format: a DataLoader comes in
    any case. The loader has `class_names` and `file_paths`. Raises ValueError for words that it does not know, and for
    a folder without pictures.
    """
    from ..core.config import image_data_format
    from ..ops import image

    check_format(format, "image_dataset_from_directory")
    if color_mode not in ("rgb", "rgba", "grayscale"):
        raise ValueError(f'`color_mode` must be "rgb", "rgba" or "grayscale"; got {color_mode!r}.')
    first = (data_format or image_data_format()) == "channels_first"
    ratio: Any = {"crop_to_aspect_ratio": crop_to_aspect_ratio, "pad_to_aspect_ratio": pad_to_aspect_ratio}

    def resized(pictures: Tensor) -> Tensor:
        return image.resize(pictures, image_size, interpolation, data_format="channels_last", **ratio)

    def read(path: Path) -> Tensor:
        array = np.array(as_mode(opened(path), MODES[color_mode]), "float32")
        picture = resized(torch.from_numpy(array if array.ndim == 3 else array[:, :, None]))
        return picture.permute(2, 0, 1) if first else picture

    resized(torch.zeros(1, 1, 1))  # says what it does not know before any file is read
    named = directory, labels, label_mode, class_names, _PICTURES, follow_links
    folder = _Folder(*named, shuffle, seed, validation_split, subset)
    return folder.loaders(read, torch.stack, batch_size, verbose)


def text_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    format: str = "tf",
    verbose: bool = True,
) -> Loaders:
    """Batches (texts, labels) of the `.txt` files in a folder: a DataLoader whose texts are NumPy arrays of `str`.

    max_length: how many bytes of a file are read at most. The other arguments are those of
    `image_dataset_from_directory`.
    """
    from ..files.safe import require_file

    check_format(format, "text_dataset_from_directory")

    def read(path: Path) -> str:
        require_file(path)
        with path.open("rb") as file:
            return file.read(-1 if max_length is None else max_length).decode("utf-8", errors="replace")

    def together(texts: list[str]) -> np.ndarray:
        return np.array(texts, dtype=object)

    named = directory, labels, label_mode, class_names, (".txt",), follow_links
    folder = _Folder(*named, shuffle, seed, validation_split, subset)
    return folder.loaders(read, together, batch_size, verbose)


def audio_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    sampling_rate: int | None = None,
    output_sequence_length: int | None = None,
    ragged: bool = False,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    verbose: bool = True,
) -> Loaders:
    """Batches (sounds, labels) of the `.wav` files in a folder: a DataLoader, which `fit` takes.

    Sounds: float32 (batch, samples, channels) from -1 to 1, with zeros behind shorter ones. output_sequence_length: the
    number of samples, by default those of the longest in a batch. sampling_rate: what all files have. The other
    arguments are those of `image_dataset_from_directory`. Raises ValueError for `ragged`, which torch has no tensors
    for, and for files of other than 16 bits or of another rate.
    """
    from ..files.safe import require_file

    if ragged:
        raise ValueError("`ragged` must be False: give `output_sequence_length`, or let zeros fill shorter sounds up.")

    def read(path: Path) -> Tensor:
        require_file(path)
        sound, rate = read_sound(str(path))
        if sampling_rate not in (None, rate):
            raise ValueError(f"{path} has {rate} samples a second; expected {sampling_rate}. Convert the file first.")
        return sound if output_sequence_length is None else of_length(sound, output_sequence_length)

    def together(sounds: list[Tensor]) -> Tensor:
        longest = max(len(sound) for sound in sounds)
        return torch.stack([of_length(sound, longest) for sound in sounds])

    named = directory, labels, label_mode, class_names, (".wav",), follow_links
    folder = _Folder(*named, shuffle, seed, validation_split, subset)
    return folder.loaders(read, together, batch_size, verbose)


def read_sound(source: Any) -> tuple[Tensor, int]:
    """The sound (samples, channels) of a `.wav` file, float32 from -1 to 1, and its samples a second."""
    try:
        with wave.open(source) as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            frames = file.readframes(file.getnframes())
            if len(frames) < file.getnframes() * width * channels:
                raise EOFError
    except (EOFError, wave.Error) as error:
        raise ValueError(f"{source} is damaged, or no sound: {str(error) or 'it ends too early'}") from error
    if width != 2:
        raise ValueError(f"{source} has {8 * width} bits; expected 16 bits. Convert the file first.")
    return torch.from_numpy(np.frombuffer(frames, "<i2").reshape(-1, channels) / np.float32(32768)), rate


def of_length(sound: Tensor, length: int) -> Tensor:
    """The sound (samples, channels) cut or filled up with zeros."""
    return torch.nn.functional.pad(sound[:length], (0, 0, 0, max(0, length - len(sound))))
