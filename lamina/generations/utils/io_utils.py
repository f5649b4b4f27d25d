"""`keras.utils.io_utils` of Keras 1 and 2: arrays in HDF5 files."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np

HDF5_OBJECT_HEADER_LIMIT = 64512  # bytes that an attribute may have


class HDF5Matrix:
    """A dataset of an HDF5 file, read when it is asked for; stands where an array does.

    start, end: its rows. normalizer: what is done to rows that are read. Raises IndexError for rows outside.
    """

    refs: ClassVar[dict[Any, h5py.File]] = {}

    def __init__(
        self, datapath: Any, dataset: str, start: int = 0, end: int | None = None, normalizer: Callable | None = None
    ):
        if datapath not in self.refs:
            self.refs[datapath] = h5py.File(datapath, "r")
        self.data: Any = self.refs[datapath][dataset]
        self.start, self.end = start, self.data.shape[0] if end is None else end
        self.normalizer = normalizer
        first = self._normal(self.data[0:1])
        self._base_shape, self._base_dtype = first.shape[1:], first.dtype

    def _normal(self, rows: Any) -> Any:
        return rows if self.normalizer is None else self.normalizer(rows)

    def __len__(self) -> int:
        return self.end - self.start

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if key.stop is not None and key.stop > len(self):
                raise IndexError(f"HDF5Matrix: asked for rows up to {key.stop} of {len(self)}.")
            return self._normal(self.data[self.start + start : self.start + stop : step])
        rows = np.asarray(key)
        if rows.size and not -len(self) <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"HDF5Matrix: asked for row {rows.max()} of {len(self)}.")
        rows = np.where(rows < 0, rows + len(self), rows) + self.start
        if rows.ndim == 0:
            return self._normal(self.data[int(rows)])
        ascending, places = np.unique(rows, return_inverse=True)  # h5py reads rows in this order alone
        return self._normal(self.data[ascending.tolist()][places])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self._base_shape)

    @property
    def dtype(self) -> Any:
        return self._base_dtype

    @property
    def ndim(self) -> int:
        return self.data.ndim

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))


def ask_to_proceed_with_overwrite(filepath: Any) -> bool:
    """Ask on the terminal whether a file may be written over."""
    answer = input(f"{filepath} is there already. Write over it? [y/n] ").strip().lower()
    while answer not in ("y", "n"):
        answer = input('Say "y" to write over it, or "n". ').strip().lower()
    return answer == "y"


class H5Dict:
    """An HDF5 file or group, or a dictionary, read and written as a dictionary of arrays, lists, texts and groups.

    path: a file's, a group, or a dictionary. mode: "a", "r" or "w". Raises TypeError for any other path; ValueError
    for writing, or asking for a group that is not there, where it may only be read.
    """

    def __init__(self, path: Any, mode: str = "a"):
        self._is_file = isinstance(path, (str, Path))
        if not self.is_supported_type(path):
            raise TypeError(f"H5Dict: expected a file's path, a group or a dictionary; got {type(path).__name__}.")
        self.data: Any = h5py.File(path, mode) if self._is_file else path
        self.read_only = mode == "r"
        if isinstance(path, dict) and mode == "w":
            path.clear()

    @staticmethod
    def is_supported_type(path: object) -> bool:
        return isinstance(path, (h5py.Group, dict, str, Path))

    def __setitem__(self, attr: Any, val: Any) -> None:
        name = attr.decode() if isinstance(attr, bytes) else attr
        if self.read_only:
            raise ValueError(f"H5Dict: cannot write {name!r} into what was opened for reading.")
        if isinstance(self.data, dict):
            self.data[name] = val
        elif name in self.data:
            raise KeyError(f"H5Dict: there is a {name!r} already.")
        elif isinstance(val, (np.ndarray, np.generic)):
            self.data.create_dataset(name, data=val)
        elif isinstance(val, (list, tuple)):
            self._set_list(name, [item.encode() if isinstance(item, str) else item for item in val])
        else:
            self.data.attrs[name] = val

    def _set_list(self, name: str, items: list[Any]) -> None:
        """As one attribute, or as several where one would be too long."""
        if any(np.asarray(item).nbytes > HDF5_OBJECT_HEADER_LIMIT for item in items):
            raise RuntimeError(
                f"H5Dict: an item of {name!r} is longer than the {HDF5_OBJECT_HEADER_LIMIT} bytes of HDF5."
            )
        parts = [np.asarray(items)]
        while any(part.nbytes > HDF5_OBJECT_HEADER_LIMIT for part in parts):
            parts = np.array_split(np.asarray(items), len(parts) + 1)
        for index, part in enumerate(parts):
            self.data.attrs[name if len(parts) == 1 else f"{name}{index}"] = part

    def __getitem__(self, attr: Any) -> Any:
        name = attr.decode() if isinstance(attr, bytes) else attr
        if isinstance(self.data, dict):
            if name not in self.data:
                self._may_make(name)
                self.data[name] = {}
            found = self.data[name]
            return H5Dict(found) if isinstance(found, dict) else found
        if name in self.data.attrs:
            found = self.data.attrs[name]
            return found.tolist() if isinstance(found, np.ndarray) and found.dtype.kind == "S" else found
        if name in self.data:
            found = self.data[name]
            return np.asarray(found) if isinstance(found, h5py.Dataset) else H5Dict(found)
        if f"{name}0" in self.data.attrs:
            return list(self._parts(name))
        self._may_make(name)
        return H5Dict(self.data.create_group(name))

    def _may_make(self, name: str) -> None:
        if self.read_only:
            raise ValueError(f"H5Dict: there is no {name!r}, and what was opened for reading gets no groups.")

    def _parts(self, name: str) -> Iterator[Any]:
        index = 0
        while f"{name}{index}" in self.data.attrs:
            for item in self.data.attrs[f"{name}{index}"]:
                yield item.decode() if isinstance(item, bytes) else item
            index += 1

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.data)

    def __contains__(self, key: object) -> bool:
        return key in self.data or (isinstance(self.data, h5py.Group) and key in self.data.attrs)

    def keys(self) -> Any:
        return self.data.keys()

    def get(self, key: Any, default: Any = None) -> Any:
        return self[key] if key in self else default

    def close(self) -> None:
        if isinstance(self.data, h5py.Group):
            self.data.file.flush()
            if isinstance(self.data, h5py.File) and self._is_file:
                self.data.close()

    def __enter__(self) -> H5Dict:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


h5dict = H5Dict


def load_from_binary_h5py(load_function: Callable[[h5py.File], Any], stream: Any) -> Any:
    """What a function makes of the HDF5 file that a stream of bytes holds."""
    with h5py.File(io.BytesIO(stream.read()), "r") as file:
        return load_function(file)


def save_to_binary_h5py(save_function: Callable[[h5py.File], Any], stream: Any) -> Any:
    """Write the HDF5 file that a function fills into a stream of bytes; returns what the function returns."""
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        found = save_function(file)
    stream.write(image.getvalue())
    return found


def save_array(array: Any, name: Any) -> None:
    """Write an array into an HDF5 file (Keras 1)."""
    with h5py.File(name, "w") as file:
        file.create_dataset("array", data=array)


def load_array(name: Any) -> np.ndarray:
    """The array that `save_array` wrote (Keras 1)."""
    with h5py.File(name, "r") as file:
        return np.asarray(file["array"])
