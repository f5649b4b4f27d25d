"""The form of `.safetensors` files: a header of JSON that says what lies where, then the values.

Written out, since its package holds all tensors a second time while it writes, and maps them while it reads.
(github.com/huggingface/safetensors, "Format".)
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from . import safe
from .stored import Place, Stored, places, shown_in_pieces

MAX_HEADER = 100_000_000  # bytes, as its package has it
_NAMES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "F16": "float16", "BF16": "bfloat16",
    "U32": "uint32", "I32": "int32", "F32": "float32", "U64": "uint64", "I64": "int64", "F64": "float64",
    "C64": "complex64",
}  # fmt: skip
_WORDS = {name: word for word, name in _NAMES.items()}


class StoredBytes(Stored):
    """A tensor of a file; bfloat16 as float32."""

    def __init__(self, path: Path, name: str, shape: tuple[int, ...], kind: str, offset: int):
        self.name, self.shape, self._path, self._offset = name, shape, path, offset
        self._half = kind == "bfloat16"
        self.dtype = np.dtype("float32" if self._half else kind)
        self._stored = np.dtype("<u2" if self._half else self.dtype.newbyteorder("<"))

    def pieces(self) -> Iterator[tuple[Place, np.ndarray]]:
        with self._path.open("rb", buffering=0) as file:
            file.seek(self._offset)
            for place in places(self.shape, self._stored.itemsize):
                values = np.empty([each.stop - each.start for each in place], self._stored)
                _read(file, values)
                if self._half:
                    values = (values.astype(np.uint32) << 16).view(np.float32)
                yield place, values.astype(self.dtype, copy=False)

    def fill(self, values: np.ndarray) -> None:
        if self._stored != self.dtype:
            super().fill(values)
            return
        with self._path.open("rb", buffering=0) as file:
            file.seek(self._offset)
            _read(file, values)


def _read(file: IO[bytes], values: np.ndarray) -> None:
    room = _bytes(values)
    while room:
        count = file.readinto(room)  # type: ignore[attr-defined]
        if not count:
            raise ValueError("it ends inside a tensor")
        room = room[count:]


def _bytes(values: np.ndarray) -> memoryview:
    own: Any = values.reshape(-1).view(np.uint8)
    return memoryview(own)


def read(path: Path) -> dict[str, StoredBytes]:
    """The tensors of a file by name. Raises ValueError for one that is damaged, or holds types unknown to NumPy."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(MAX_HEADER, size - 8):
            raise ValueError(f"it declares a header of {length} bytes")
        header = safe.parse_json(file.read(length).decode(), size, "its header", object_pairs_hook=_unique)
    if not isinstance(header, dict):
        raise ValueError("its header tells no names")
    header.pop("__metadata__", None)
    found, end = {}, 0
    for name, told in sorted(header.items(), key=lambda item: _numbers(item[1], "data_offsets")):
        (begin, stop), shape = _numbers(told, "data_offsets"), _numbers(told, "shape")
        if told.get("dtype") not in _NAMES:
            raise ValueError(f"{name!r} is of the type {told.get('dtype')!r}, which is not read")
        found[name] = StoredBytes(path, name, tuple(shape), _NAMES[told["dtype"]], 8 + length + begin)
        if begin != end or stop - begin != found[name].size * found[name]._stored.itemsize:
            raise ValueError(f"{name!r} lies where it has no room, or too much")
        end = stop
    if end != size - 8 - length:
        raise ValueError(f"its tensors have {end} bytes, but the file has {size - 8 - length}")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Raises ValueError where two entries have one name, of which readers would take either."""
    doubled = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if doubled:
        raise ValueError(f"it has two entries of the name {doubled[0]!r}")
    return dict(pairs)


def _numbers(told: Any, key: str) -> list[int]:
    found = told.get(key) if isinstance(told, dict) else None
    if not isinstance(found, list) or not all(type(each) is int and each >= 0 for each in found):
        raise ValueError(f"an entry of its header has no {key}")
    if key == "data_offsets" and len(found) != 2:
        raise ValueError("an entry of its header has other than two offsets")
    return found


def write(path: Path, tensors: Mapping[str, Any]) -> None:
    """Write tensors of torch, piece by piece. Raises ValueError for a type that the form has no word for."""
    kinds = {name: str(tensor.dtype).removeprefix("torch.") for name, tensor in tensors.items()}
    for name, kind in kinds.items():
        if kind not in _WORDS:
            raise ValueError(f"{path.name}: safetensors have no word for {kind}, the type of {name!r}.")
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))  # so that each lies aligned
    header, end = {}, 0
    for name in order:
        size = math.prod(tensors[name].shape) * tensors[name].element_size()
        shape = list(tensors[name].shape)
        header[name] = {"dtype": _WORDS[kinds[name]], "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("rb+", buffering=0) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            for _, values in shown_in_pieces(tensors[name]):
                values = values.astype(values.dtype.newbyteorder("<"), copy=False)
                room = _bytes(values)
                while room:
                    room = room[file.write(room) :]
