"""What the data sets share: where their files are, and how they are read without running anything from them."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..core.config import image_data_format
from ..utils.files import get_file

Pair = tuple[np.ndarray, np.ndarray]
ADDRESS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"


def fetched(path: str, name: str, file_hash: str) -> str:
    """The path of one of the data sets' files, kept by the name `path`."""
    return get_file(path, ADDRESS + name, file_hash=file_hash)


def arrays_of(path: str | Path, *names: str) -> list[np.ndarray]:
    """Arrays of numbers of an `.npz` file. Raises ValueError for any others."""
    with np.load(path, allow_pickle=False) as file:
        return [file[name] for name in names]


def mixed(arrays: Sequence[np.ndarray], seed: int) -> list[np.ndarray]:
    """The arrays' rows, in the same new order in all of them."""
    order = np.arange(len(arrays[0]))
    np.random.RandomState(seed).shuffle(order)
    return [array[order] for array in arrays]


def split(x: np.ndarray, y: np.ndarray, test_split: float) -> tuple[Pair, Pair]:
    """The first rows to learn from, the last ones to test with. Raises ValueError for a part that is none."""
    if not 0 <= test_split < 1:
        raise ValueError(f"load_data: `test_split` must be a number from 0 to below 1; got {test_split!r}.")
    count = int(len(x) * (1 - test_split))
    return (x[:count], y[:count]), (x[count:], y[count:])


# Pickles -------------------------------------------------------------------------------------------------------------


class _Kind:
    """Stands for NumPy's `dtype` while a pickle is read."""

    def __init__(self, name: Any = "", *_: Any):
        self.name = name.decode() if isinstance(name, bytes) else name

    def __setstate__(self, state: Any) -> None:
        """Byte orders and such: none of these files has another than usual."""


class _Array:
    """Stands for NumPy's `ndarray` while a pickle is read: it keeps what it is given."""

    state: Any = None

    def __init__(self, *_: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def value(self) -> Any:
        """The array of integers, or the list of objects. Raises ValueError for anything else."""
        if isinstance(self.state, tuple) and len(self.state) == 5:
            _, shape, kind, _, content = self.state
            if isinstance(content, list):
                return content
            if isinstance(kind, _Kind) and re.fullmatch("[iu][1248]", str(kind.name)) and isinstance(content, bytes):
                return np.frombuffer(content, kind.name).reshape(shape)
        raise ValueError("The file holds an array of another kind than integers.")


class _Unpickler(pickle.Unpickler):
    """Makes lists, numbers, texts and dictionaries, and stand-ins for arrays; it calls nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            raise ValueError(f"The file asks for {module}.{name}, which no data set does: nothing of it was run.")
        return _STAND_INS[module, name]


def _encoded(text: Any, encoding: Any) -> bytes:
    """How Python 3 writes bytes for Python 2 to read."""
    if not isinstance(text, str) or encoding != "latin1":
        raise ValueError("The file holds bytes in another form than that of pickles.")
    return text.encode("latin1")


_STAND_INS: dict[tuple[str, str], Any] = {
    ("_codecs", "encode"): _encoded,
    ("numpy", "dtype"): _Kind,
    ("numpy", "ndarray"): _Array,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
}


def unpickled(file: IO[bytes]) -> Any:
    """What a pickle of plain data and arrays holds. Raises ValueError for a pickle of anything else."""
    try:
        found = _Unpickler(file, encoding="bytes").load()
    except (pickle.UnpicklingError, EOFError, TypeError, AttributeError, IndexError, KeyError, OverflowError) as error:
        raise ValueError(f"The file is damaged: {error}") from error
    return _plain(found)


def _plain(found: Any) -> Any:
    """With arrays in place of what stood for them; a list of numbers or of lists has none inside."""
    if isinstance(found, _Array):
        return found.value()
    if isinstance(found, tuple):
        return tuple(map(_plain, found))
    if isinstance(found, dict):
        return {key: _plain(item) for key, item in found.items()}
    return found


# Sequences of words --------------------------------------------------------------------------------------------------


def sequences_of(path: str | Path, name: str) -> np.ndarray:
    """Lists of integers, as an `.npz` file holds them: an array of objects, which NumPy would unpickle."""
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        if dtype.kind in "iu" and len(shape) == 2:  # lists of one length
            return as_objects(arrays_of(path, name)[0].tolist())
        if not dtype.hasobject:
            raise ValueError(f"{path}: expected lists in {name!r}; got an array of {dtype}.")
        found = unpickled(file)
    lists = [item.value() if isinstance(item, _Array) else item for item in found] if isinstance(found, list) else None
    if lists is None or not all(isinstance(item, (list, np.ndarray)) for item in lists):
        raise ValueError(f"{path}: expected a list of lists in {name!r}.")
    return as_objects([[int(word) for word in item] for item in lists])


def as_objects(lists: Sequence[list[int]]) -> np.ndarray:
    """One array of lists, of equal lengths too."""
    array = np.empty(len(lists), dtype=object)
    array[:] = lists
    return array


def marked(lists: Iterable[list[int]], start_char: int | None, index_from: int) -> list[list[int]]:
    """Each list with its numbers moved up, behind a mark of its start where there is one."""
    before = [] if start_char is None else [start_char]
    return [[*before, *(word + index_from for word in words)] for words in lists]


def no_longer(lists: list[list[int]], labels: np.ndarray, most: int | None) -> tuple[list[list[int]], np.ndarray]:
    """Only the lists shorter than that, and their labels. Raises ValueError where there is none."""
    if not most:
        return lists, labels
    kept = [index for index, words in enumerate(lists) if len(words) < most]
    if not kept:
        raise ValueError(f"load_data: no sequence has less than {most} words; give a larger `maxlen`.")
    return [lists[index] for index in kept], labels[kept]


def known_words(
    lists: Sequence[list[int]], num_words: int | None, skip_top: int, oov_char: int | None
) -> Callable[[Sequence[list[int]]], np.ndarray]:
    """A function on lists: words that are too frequent or too rare become `oov_char`, or are left out without it.

    num_words: None counts all words of `lists`, but the last.
    """
    end = num_words or max(max(words) for words in lists)

    def limited(lists: Sequence[list[int]]) -> np.ndarray:
        if oov_char is None:
            return as_objects([[word for word in words if skip_top <= word < end] for words in lists])
        return as_objects([[word if skip_top <= word < end else oov_char for word in words] for words in lists])

    return limited


# Pictures ------------------------------------------------------------------------------------------------------------


def cifar_batch(path: Path, labels: str) -> Pair:
    """Pictures, in the order of axes that is set, and their labels (pictures, 1)."""
    with path.open("rb") as file:
        found = unpickled(file)
    pictures, numbers = found[b"data"].reshape(-1, 3, 32, 32), np.array(found[labels.encode()], "uint8")[:, None]
    return (pictures.transpose(0, 2, 3, 1) if image_data_format() == "channels_last" else pictures), numbers
