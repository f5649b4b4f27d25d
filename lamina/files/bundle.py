"""TensorFlow's checkpoints, `prefix.index` and `prefix.data-00000-of-00001`, read without TensorFlow.

The index is a sorted table of LevelDB's kind: blocks of keys and values, each with a checksum. Its values are protocol
buffers that say where in the data files each tensor lies; those of the first version, one file, are the tensors.
(tensorflow/core/util/tensor_bundle, core/util/saved_tensor_slice.proto, core/lib/io/table.)
"""

from __future__ import annotations

import functools
import itertools
import math
import mmap
import os
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from ..core.errors import short
from . import safe
from .crc32c import crc32c
from .kinds import TABLE_END
from .stored import PIECE, Place, Stored, places
from .wire import Message, message, numbers, varint

INDEX = ".index"
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_DATA = re.compile(r"(.+)\.data-\d{5}-of-\d{5}")
_LATEST = re.compile(r'^model_checkpoint_path:\s*"((?:[^"\\\n]|\\.)*)"', re.MULTILINE)
_ESCAPED = re.compile(rb"\\([0-7]{3}|.)")
_FOOTER = 48
_MAX_RANK = 254  # TensorFlow's own limit
_MAX_COPIES = 64 / 3  # bytes that one byte of Snappy can stand for
_BFLOAT16 = 14
STRING = 7
TYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", STRING: "string", 8: "complex64",
    9: "int64", 10: "bool", 11: "int8", 12: "uint8", 13: "int32", _BFLOAT16: "bfloat16", 15: "int16", 16: "uint16",
    17: "uint16", 18: "complex128", 19: "float16", 22: "uint32", 23: "uint64",
}  # fmt: skip
_OTHERS = {"string": "object", "bfloat16": "uint16", "": "object"}  # what NumPy calls what lies there


def prefix_of(path: Path) -> Path | None:
    """The prefix of a checkpoint that a path means: by itself, by one of its files, or by a SavedModel's folder."""
    name = str(path)
    data = _DATA.fullmatch(name)
    if path.is_file() and data is None and path.suffix != INDEX:
        return path if _is_table(path) else None
    candidates = [name, name.removesuffix(INDEX), data[1] if data else name, str(path / "variables" / "variables")]
    return next((Path(found) for found in candidates if Path(found + INDEX).is_file()), None)


def _is_table(path: Path) -> bool:
    """Whether a file ends as a table does."""
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - len(TABLE_END)))
        return file.read() == TABLE_END


def latest(path: Path) -> Path | None:
    """The prefix of the last checkpoint that a text file `checkpoint` names; None where there is none."""
    if not path.is_file() or path.stat().st_size > safe.FREE_BYTES:
        return None
    found = _LATEST.search(path.read_text("utf-8", "replace"))
    if found is None:
        return None
    name = _ESCAPED.sub(
        lambda mark: bytes([int(mark[1], 8) & 255]) if len(mark[1]) == 3 else mark[1], found[1].encode()
    )
    return prefix_of(path.parent / name.decode("utf-8", "replace"))


def read_checkpoint(path: Any) -> Bundle:
    """The arrays in a TensorFlow checkpoint or SavedModel by name, as a mapping; each is read when it is asked for.

    path: as TensorFlow names a checkpoint ("training/cp.ckpt"), one of its files, or a SavedModel's folder. Raises
    FileNotFoundError where there is none, ValueError for a damaged one.
    """
    prefix = prefix_of(Path(path))
    if prefix is None:
        raise FileNotFoundError(f"There is no TensorFlow checkpoint {str(path)!r}: no file {Path(path).name}{INDEX}.")
    return Bundle(prefix)


Order = Literal["<", ">"]


class Bundle(Mapping[str, np.ndarray]):
    """A checkpoint's arrays by name: texts as `bytes`, bfloat16 as float32. `stored` holds what is known of each."""

    def __init__(self, prefix: Path):
        self.prefix = prefix
        self._maps: dict[int, memoryview] = {}
        path = prefix if prefix.is_file() else Path(f"{prefix}{INDEX}")
        with safe.reading(path):
            if not path.is_file():  # a device would never end
                raise ValueError(f"{path.name} is no file")
            items = _table(path.read_bytes())
            if path is prefix:
                self.stored: dict[str, StoredTensor] = dict(_inline(items))
                return
            header = message(items.pop(b"", b""))
            self._shards = header.number(1)
            order: Order = ">" if header.number(2) else "<"
            if not 0 < self._shards < 100_000 or header.message(3).number(2) > 1:
                raise ValueError("its header is none that is known")
            entries = {key: _entry(value, order) for key, value in items.items()}
            self._check_sizes(entries.values())
            self._pieces = {key: entry for key, entry in entries.items() if key[:1] == b"\0"}
            self.stored = {
                _text(key): StoredTensor(self, _text(key), entry)
                for key, entry in entries.items()
                if key not in self._pieces
            }

    def __getitem__(self, name: str) -> np.ndarray:
        found = self.stored[name]
        with safe.reading(self.prefix):
            return found.checked()

    def __iter__(self) -> Iterator[str]:
        return iter(self.stored)

    def __len__(self) -> int:
        return len(self.stored)

    def __repr__(self) -> str:
        return f"<TensorFlow checkpoint {str(self.prefix)!r}: {len(self)} tensors>"

    def bytes_of(self, entry: Entry) -> memoryview:
        """Where an entry's values lie in its data file. Raises ValueError for a place outside it."""
        if not 0 <= entry.shard < self._shards:
            raise ValueError(f"it names data file {entry.shard} of {self._shards}")
        path = self._data_file(entry.shard)
        if entry.shard not in self._maps:
            if not path.is_file():
                raise ValueError(f"the data file {path.name} is missing")
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
            self._maps[entry.shard] = memoryview(data)  # keeps the file open while it is used
        data = self._maps[entry.shard]
        if not 0 <= entry.offset <= entry.offset + entry.size <= len(data):
            raise ValueError(f"{entry.size} bytes at {entry.offset} lie outside {path.name}, which has {len(data)}")
        return data[entry.offset : entry.offset + entry.size]

    def runs(self, entry: Entry, sizes: Iterable[int]) -> Iterator[memoryview]:
        """The same, so many bytes after so many; what has been used is let go, so that memory holds no file twice."""
        data, at = self.bytes_of(entry), 0
        for size in sizes:
            yield data[at : at + size]
            held = self._maps[entry.shard].obj
            if isinstance(held, mmap.mmap) and hasattr(held, "madvise") and len(data) > PIECE:
                page = (entry.offset + at) // mmap.PAGESIZE * mmap.PAGESIZE
                held.madvise(mmap.MADV_DONTNEED, page, entry.offset + at + size - page)
            at += size

    def _data_file(self, shard: int) -> Path:
        return Path(f"{self.prefix}.data-{shard:05}-of-{self._shards:05}")

    def _check_sizes(self, entries: Iterable[Entry]) -> None:
        """Raises ValueError where tensors that lie over each other make more data than a file has."""
        sizes: dict[int, int] = {}
        for entry in entries:
            sizes[entry.shard] = sizes.get(entry.shard, 0) + max(entry.size, 0)
        for shard, size in sizes.items():
            path = self._data_file(shard)
            if path.is_file() and size > path.stat().st_size:
                raise ValueError(f"its tensors have {size} bytes, but {path.name} has {path.stat().st_size}")

    def slices_of(self, name: str, entry: Entry) -> list[tuple[tuple[slice, ...], Entry]]:
        """Where in a tensor each of its slices goes, and the slice."""
        found = []
        for place in entry.slices:
            ends = [(start, size if length is None else start + length)
                    for (start, length), size in zip(place, entry.shape, strict=True)]  # fmt: skip
            if any(not 0 <= start <= end <= size for (start, end), size in zip(ends, entry.shape, strict=True)):
                raise ValueError(f"a slice of {name!r} lies outside its shape {entry.shape}")
            piece = self._pieces.get(_piece_key(name, place))
            if piece is None or piece.shape != tuple(end - start for start, end in ends) or piece.kind != entry.kind:
                raise ValueError(f"a slice of {name!r} is missing or of another shape")
            found.append((tuple(slice(*pair) for pair in ends), piece))
        if sum(math.prod(piece.shape) for _, piece in found) != math.prod(entry.shape):
            raise ValueError(f"the slices of {name!r} do not make up its shape {entry.shape}")
        return found


class StoredTensor(Stored):
    """A tensor of a checkpoint: its shape and type, and on demand its values; bfloat16 as float32."""

    def __init__(self, bundle: Bundle, name: str, entry: Entry):
        self.name, self.shape, self._bundle, self._entry = name, entry.shape, bundle, entry
        self.type = TYPES.get(entry.kind, "")  # as TensorFlow calls it
        self._stored = np.dtype(_OTHERS.get(self.type, self.type))
        self.dtype = np.dtype("float32") if entry.kind == _BFLOAT16 else self._stored

    @property
    def _places(self) -> list[tuple[tuple[slice, ...], Entry]]:
        return self._bundle.slices_of(self.name, self._entry) if self._entry.slices else [((), self._entry)]

    def check(self) -> None:
        """Raises ValueError where the values are not all there, or not those that were written."""
        if not self.type:
            raise ValueError(f"{self.name!r} holds values of TensorFlow's type {self._entry.kind}, which are no array")
        for _, entry in self._places:
            if entry.kind == STRING:
                data = self._bundle.bytes_of(entry)
                lengths, start = numbers(data, math.prod(entry.shape))
                head = b"".join(struct.pack("<I" if each < 1 << 32 else "<Q", each) for each in lengths)
                checksum = crc32c(data[start:], crc32c(head))
            elif entry.size != math.prod(entry.shape) * self._stored.itemsize:
                raise ValueError(f"{self.name!r} of shape {entry.shape} has {entry.size} bytes")
            else:
                runs = self._bundle.runs(entry, itertools.repeat(PIECE, -(-entry.size // PIECE)))
                checksum = functools.reduce(lambda before, data: crc32c(data, before), runs, 0)
            if masked(checksum) != entry.checksum:
                raise ValueError(f"{self.name!r} is not as it was written: its checksum differs")

    def checked(self) -> np.ndarray:
        """The values, checked."""
        self.check()
        return self._texts() if self.type == "string" else self.read()

    def pieces(self) -> Iterator[tuple[Place, np.ndarray]]:
        """The values, once they are checked."""
        if self._entry.slices:
            yield (), np.zeros((), self.dtype)  # slices may leave something out
        for inside, entry in self._places:
            found = [*places(entry.shape, self._stored.itemsize)]
            shapes = [[each.stop - each.start for each in place] for place in found]
            runs = self._bundle.runs(entry, [math.prod(shape) * self._stored.itemsize for shape in shapes])
            for place, shape, data in zip(found, shapes, runs, strict=True):
                values = np.frombuffer(data, self._stored.newbyteorder(entry.order)).reshape(shape)
                if entry.kind == _BFLOAT16:
                    values = (values.astype(np.uint32) << 16).view(np.float32)
                if inside:
                    starts = [each.start for each in inside]
                    place = tuple(slice(at + own.start, at + own.stop) for at, own in zip(starts, place, strict=True))
                yield place, values.astype(self.dtype)

    def _texts(self) -> np.ndarray:
        if self._entry.slices:
            raise ValueError(f"{self.name!r} holds texts in slices")
        data = self._bundle.bytes_of(self._entry)
        lengths, start = numbers(data, math.prod(self.shape))
        ends = list(itertools.accumulate(lengths, initial=start + 4))
        if ends[-1] != len(data):
            raise ValueError(f"the texts of {self.name!r} do not end where it does")
        values = np.empty(len(lengths), object)
        values[:] = [bytes(data[start:end]) for start, end in itertools.pairwise(ends)]
        return values.reshape(self.shape)


_FIELDS = {1: (5, "<f4"), 2: (6, "<f8"), 9: (10, ""), 10: (11, ""), **dict.fromkeys((3, 4, 5, 6), (7, ""))}


class InlineTensor(StoredTensor):
    """A tensor of a first version's checkpoint, by its slices: where each goes, and its message."""

    def __init__(self, name: str, shape: tuple[int, ...], kind: int, slices: list[tuple[Place, Message]]):
        self.name, self.shape, self._kind, self._slices = name, shape, kind, slices
        self.type = TYPES.get(kind, "")
        self.dtype = np.dtype(_OTHERS.get(self.type, self.type))

    def check(self) -> None:
        """Raises ValueError where the values are not all there."""
        if self._kind not in _FIELDS:
            raise ValueError(f"{self.name!r} holds values of TensorFlow's type {self._kind}, which are not read")
        if sum(values.size for _, values in self._values()) != self.size:
            raise ValueError(f"the slices of {self.name!r} do not make up its shape {self.shape}")

    def pieces(self) -> Iterator[tuple[Place, np.ndarray]]:
        """The values."""
        if len(self._slices) > 1:
            yield (), np.zeros((), self.dtype)  # slices may leave something out
        yield from self._values()

    def _values(self) -> Iterator[tuple[Place, np.ndarray]]:
        field, form = _FIELDS[self._kind]
        for place, told in self._slices:
            values = np.frombuffer(told.bytes(field), form) if form else np.array(told.numbers(field))
            shape = [len(range(size)[each]) for size, each in zip(self.shape, place, strict=True)]
            yield place, values.reshape(shape).astype(self.dtype)


def _inline(items: Mapping[bytes, memoryview]) -> Iterator[tuple[str, InlineTensor]]:
    """The tensors in a table of the first version."""
    for told in message(items.get(b"", b"")).message(1).messages(1):
        name, kind = told.text(1), told.number(3)
        entry = _entry_of(kind, told.message(2), told.messages(4))
        held = [message(items.get(_piece_key(name, place), b"")).message(2).message(3) for place in entry.slices]
        places = [tuple(slice(start, None if size is None else start + size) for start, size in place)
                  for place in entry.slices]  # fmt: skip
        yield name, InlineTensor(name, entry.shape, kind, [*zip(places, held, strict=True)])


def in_order(words: list[Any], places: list[int]) -> list[Any]:
    """The words of a table, texts decoded, by the places that it has for them."""
    pairs = sorted(zip(places, words, strict=True), key=lambda pair: pair[0])
    return [word.decode("utf-8", "replace") if isinstance(word, bytes) else word for _, word in pairs]


class Entry(NamedTuple):
    """Where a tensor's values lie; of one in slices, the slices: (start, length) for each axis, None for all of it."""

    kind: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int
    slices: tuple[tuple[tuple[int, int | None], ...], ...]
    order: Order


def _entry(value: memoryview | bytes, order: Order) -> Entry:
    found = message(value)
    entry = _entry_of(found.number(1), found.message(2), found.messages(7))
    shard, offset, size, checksum = map(found.number, (3, 4, 5, 6))
    return entry._replace(shard=shard, offset=offset, size=size, checksum=checksum, order=order)


def _entry_of(kind: int, told: Message, slices_told: list[Message]) -> Entry:
    """What is known of a tensor's shape and slices. Raises ValueError for absurd ones."""
    shape = tuple(axis.number(1) for axis in told.messages(2))
    if len(shape) > _MAX_RANK or any(not 0 <= size < 1 << 48 for size in shape) or math.prod(shape) >= 1 << 48:
        raise ValueError(f"it has a tensor of shape {short(shape)}")
    slices = tuple(
        tuple((axis.number(1), axis.number(2) if 2 in axis else None) for axis in place.messages(1))
        for place in slices_told
    )
    if any(len(place) != len(shape) for place in slices):
        raise ValueError("a slice has another number of axes than its tensor")
    return Entry(kind, shape, 0, 0, 0, 0, slices, "<")


def _text(key: bytes) -> str:
    return key.decode("utf-8", "backslashreplace")


# The names of slices: TensorFlow's OrderedCode ------------------------------------------------------------------------


def _piece_key(name: str, place: tuple[tuple[int, int | None], ...]) -> bytes:
    escaped = name.encode().replace(b"\xff", b"\xff\0").replace(b"\0", b"\0\xff")
    ends = [_signed(number) for start, length in place for number in (start, -1 if length is None else length)]
    count = len(place)
    return b"\0" + escaped + b"\0\1" + (bytes([1, count]) if count else b"\0") + b"".join(ends)


def _signed(number: int) -> bytes:
    """A number such that bytes sort as numbers do: its length in leading ones, then its bits."""
    bits = (~number if number < 0 else number).bit_length()
    count = bits // 7 + 1
    leading = (1 << 8 * count) - (1 << (8 * count - count))
    return ((number & (1 << 8 * count) - 1) ^ leading).to_bytes(count, "big")


# The table ------------------------------------------------------------------------------------------------------------


def _table(data: bytes) -> dict[bytes, memoryview]:
    """All keys and values of a table. Raises ValueError for a damaged one."""
    view = memoryview(data)
    if len(data) < _FOOTER or data[-8:] != TABLE_END:
        raise ValueError("it does not end as a table of TensorFlow's does")
    footer = view[-_FOOTER:]
    (_, _, offset, size), _ = numbers(footer, 4)
    items: dict[bytes, memoryview] = {}
    room, end, last = safe.allowed(len(data), safe.MAX_WHOLE_EXPANSION), 0, None
    for _, handle in _pairs(_block(view, offset, size)):
        (offset, size), _ = numbers(handle, 2)
        if offset < end:
            raise ValueError("two of its blocks overlap")
        end = offset + size
        for key, value in _pairs(_block(view, offset, size)):
            room -= len(key)
            if room < 0 or (last is not None and key <= last):
                raise ValueError("its keys are out of order, or out of proportion to its size")
            items[key], last = value, key
    return items


def _block(data: memoryview, offset: int, size: int) -> memoryview:
    if offset + size + 5 > len(data) - _FOOTER:
        raise ValueError(f"a block of {size} bytes at {offset} lies outside the file")
    if masked(crc32c(data[offset : offset + size + 1])) != int.from_bytes(data[offset + size + 1 :][:4], "little"):
        raise ValueError(f"the block at {offset} is not as it was written: its checksum differs")
    kind, found = data[offset + size], data[offset : offset + size]
    if kind > 1:
        raise ValueError(f"the block at {offset} is packed in an unknown way, {kind}")
    return memoryview(unsnapped(found)) if kind else found


def _pairs(block: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """The keys and values of a block; a key's beginning may be that of the one before."""
    if len(block) < 4:
        raise ValueError("a block is too short")
    end = len(block) - 4 * (int.from_bytes(block[-4:], "little") + 1)
    if end < 0:
        raise ValueError("a block is shorter than its list of restarts")
    at, key = 0, b""
    while at < end:
        (shared, own, length), start = numbers(block[at:end], 3)
        at += start
        if shared > len(key) or at + own + length > end:
            raise ValueError("an entry of a block lies outside it")
        key = key[:shared] + bytes(block[at : at + own])
        yield key, block[at + own : at + own + length]
        at += own + length


def unsnapped(data: memoryview) -> bytearray:
    """What Snappy packed. Raises ValueError for damaged data, before it takes more memory than these can stand for.

    Written out, since TensorFlow packs no checkpoint itself: a package for it would be asked of everybody for nothing.
    (github.com/google/snappy, format_description.txt.)
    """
    size, at = varint(data, 0)
    if size > _MAX_COPIES * len(data):
        raise ValueError(f"a block of {len(data)} bytes declares {size} unpacked ones")
    found = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            length = tag >> 2
            if length >= 60:
                extra = length - 59
                length = int.from_bytes(data[at : at + extra], "little")
                at += extra
            piece: Any = data[at : at + length + 1]
            at += length + 1
        else:
            extra = (1, 2, 4)[(tag & 3) - 1]
            back = int.from_bytes(data[at : at + extra], "little")
            length = tag >> 2
            if extra == 1:
                back, length = back | tag >> 5 << 8, (length & 7) + 3
            at += extra
            if not 0 < back <= len(found):
                raise ValueError("a packed block refers to what is not there")
            start = len(found) - back
            piece = (found[start : start + length + 1] * (length // back + 1))[: length + 1]
        found += piece
        if at > len(data) or len(found) > size:
            raise ValueError("a packed block does not end where it should")
    if len(found) != size:
        raise ValueError("a packed block does not end where it should")
    return found


def masked(checksum: int) -> int:
    """As it is stored: a checksum of data that hold their own checksum is no good one."""
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF
