"""Files of records: TFRecord with `tf.train.Example`, tables of text, sounds; and what their bytes hold."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import math
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...core import dtypes
from ...core.devices import here
from ...files.bundle import TYPES, masked
from ...files.crc32c import crc32c
from ...files.wire import Message, message
from ..tensors import DType
from .arrays import convert_to_tensor
from .base import NAMES, Texts, named, text_bytes, texts
from .data import Dataset, files_of

# TFRecord -------------------------------------------------------------------------------------------------------------


def _unpacked(path: object, compression: str | None) -> Any:
    if compression not in (None, "", "GZIP"):
        raise ValueError(f"compression_type: expected '' or 'GZIP' here; got {compression!r}. Unpack the file first.")
    return gzip.open(str(texts(path))) if compression else Path(str(texts(path))).open("rb")


def _paths(filenames: Any) -> Iterable[Any]:
    return filenames if isinstance(filenames, Dataset) else texts(filenames).reshape(-1)


def _checked(path: object, data: bytes, size: int) -> bytes:
    found, checksum = data[:size], data[size:]
    if len(checksum) < 4 or masked(crc32c(found)) != int.from_bytes(checksum, "little"):
        raise OSError(f"{texts(path)}: a record of this TFRecord file is damaged or ends too early.")
    return found


def _records(path: object, compression: str | None) -> Iterator[Texts]:
    with _unpacked(path, compression) as file:
        while head := file.read(12):
            (size,) = struct.unpack("<Q", _checked(path, head, 8))
            try:
                data = file.read(size + 4)
            except (MemoryError, OverflowError):  # a size that no file has
                data = b""
            yield texts(_checked(path, data, size))


@named("data.TFRecordDataset")
class TFRecordDataset(Dataset):
    """The records of files of TensorFlow's format, each the bytes of one. Raises OSError for a damaged file."""

    def __init__(self, filenames, compression_type=None, buffer_size=None):
        super().__init__(
            lambda: itertools.chain.from_iterable(_records(path, compression_type) for path in _paths(filenames))
        )


@named("io.TFRecordWriter python_io.TFRecordWriter")
class TFRecordWriter:
    """Writes such a file, record by record."""

    def __init__(self, path, options=None):
        kind = getattr(options, "compression_type", options) or ""
        if kind not in ("", "GZIP"):
            raise ValueError(f"TFRecordWriter: expected options '' or 'GZIP' here; got {kind!r}.")
        self._file: Any = gzip.open(str(path), "wb") if kind else Path(path).open("wb")
        self.flush, self.close = self._file.flush, self._file.close

    def write(self, record) -> None:
        data = text_bytes(record)
        for part in (struct.pack("<Q", len(data)), data):
            self._file.write(part + struct.pack("<I", masked(crc32c(part))))

    def __enter__(self) -> TFRecordWriter:
        return self

    def __exit__(self, *error) -> None:
        self.close()


# tf.train.Example -----------------------------------------------------------------------------------------------------


def _varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes((*found, number))


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


class _List:
    """Values of one kind."""

    def __init__(self, value: Iterable[object] = ()):
        self.value = list(value)


def _floats(found: Message) -> list[float]:
    parts = (one.to_bytes(4, "little") if isinstance(one, int) else one for one in found.get(1, []))
    return np.frombuffer(b"".join(parts), "<f4").tolist()


class _Kind(NamedTuple):
    """A list of `Feature`: its class, and how its values are written and read."""

    made: type[_List]
    written: Callable[[list], bytes]
    read: Callable[[Message], list]


_KINDS = {
    "bytes_list": _Kind(
        type("BytesList", (_List,), {}),
        lambda values: b"".join(_field(1, text_bytes(each)) for each in values),
        lambda found: [*map(bytes, found.all(1))],
    ),
    "float_list": _Kind(
        type("FloatList", (_List,), {}),
        lambda values: _field(1, np.asarray([float(each) for each in values], "<f4").tobytes()),
        _floats,
    ),
    "int64_list": _Kind(
        type("Int64List", (_List,), {}),
        lambda values: _field(1, b"".join(_varint(int(each)) for each in values)),
        lambda found: found.numbers(1),
    ),
}
NAMES.update({f"train.{kind.made.__name__}": kind.made for kind in _KINDS.values()})


@named("train.Feature")
class Feature:
    """One list of `Example`, of bytes, floats or whole numbers."""

    def __init__(self, **lists: _List | None):
        self._given = next((word for word in _KINDS if lists.get(word) is not None), None)
        for word, kind in _KINDS.items():
            setattr(self, word, lists.pop(word, None) or kind.made())
        if lists:
            raise ValueError(f"Feature has no list {next(iter(lists))!r}; it has {', '.join(_KINDS)}.")

    def WhichOneof(self, _: str = "kind") -> str | None:
        return self._given

    def SerializeToString(self) -> bytes:
        kind = self._given
        return b"" if kind is None else _field([*_KINDS].index(kind) + 1, _KINDS[kind].written(self.value()))

    def value(self) -> list:
        return getattr(self, self._given).value if self._given else []


@named("train.Features")
class Features:
    def __init__(self, feature: Mapping[str, Feature] | None = None):
        self.feature: dict[str, Feature] = dict(feature or {})


@named("train.Example")
class Example:
    """Lists by name, as TFRecord files hold them."""

    def __init__(self, features: Features | None = None):
        self.features = features or Features()

    def SerializeToString(self) -> bytes:
        found = b""
        for name, feature in self.features.feature.items():
            found += _field(1, _field(1, name.encode()) + _field(2, feature.SerializeToString()))
        return _field(1, found)

    def ParseFromString(self, serialized) -> int:
        data = text_bytes(serialized)
        found = {}
        for entry in message(data).message(1).messages(1):
            lists = entry.message(2)
            places = enumerate(_KINDS.items(), 1)
            given = {word: kind.made(kind.read(lists.message(at))) for at, (word, kind) in places if at in lists}
            found[entry.text(1)] = Feature(**given)
        self.features = Features(found)
        return len(data)

    @classmethod
    def FromString(cls, serialized) -> Example:
        made = cls()
        made.ParseFromString(serialized)
        return made


class FixedLenFeature(NamedTuple):
    """So many values, or the default where there are none."""

    shape: Iterable[int]
    dtype: DType
    default_value: object = None


class VarLenFeature(NamedTuple):
    """Any number of values: not a sparse tensor, but what `tf.sparse.to_dense` makes of it."""

    dtype: DType


class FixedLenSequenceFeature(NamedTuple):
    """Any number of parts of one shape; those of several examples are filled up with zeros or empty texts."""

    shape: Iterable[int]
    dtype: DType
    allow_missing: bool = False


_FEATURES = (FixedLenFeature, VarLenFeature, FixedLenSequenceFeature)
NAMES |= {f"{home}{kind.__name__}": kind for kind in _FEATURES for home in ("io.", "")}


@named("sparse.to_dense sparse_tensor_to_dense")
def to_dense(sp_input, default_value=0):
    """What `VarLenFeature` gave, with the default where an example of several has no value."""
    if isinstance(sp_input, Tensor) and sp_input.is_sparse:
        dense = torch.full(tuple(sp_input.shape), default_value, dtype=sp_input.dtype)
        dense[tuple(sp_input._indices())] = sp_input._values()
        return dense
    found, absent = convert_to_tensor(sp_input), getattr(sp_input, "absent", None)
    if absent is None or default_value in (0, "", b""):
        return found
    if isinstance(found, Texts):
        return texts(np.where(absent, text_bytes(default_value), np.asarray(found)))
    return found.masked_fill(torch.from_numpy(absent).to(found.device), default_value)


@named("io.parse_single_example parse_single_example")
def parse_single_example(serialized, features):
    """What `features` says of one `Example`, by name. Raises ValueError where a list is missing or of another kind."""
    given = Example.FromString(serialized).features.feature
    found = {}
    told: Any
    for name, told in features.items():
        if not isinstance(told, _FEATURES):
            raise ValueError(f"parse_example: {name!r} must be a FixedLenFeature or a VarLenFeature; got {told!r}.")
        if isinstance(told, FixedLenSequenceFeature) and not told.allow_missing and name not in given:
            raise ValueError(f"parse_example: the example has no {name!r}, and its feature no allow_missing=True.")
        value = given[name].value() if name in given else []
        if not value and isinstance(told, FixedLenFeature):
            if told.default_value is None:
                raise ValueError(f"parse_example: the example has no {name!r}, and its feature no default_value.")
            default: Any = told.default_value
            value = np.broadcast_to(default, told.shape).reshape(-1).tolist()
        if any(isinstance(each, bytes) for each in value) != (told.dtype == "string" and bool(value)):
            raise ValueError(f"parse_example: {name!r} is told to be of {told.dtype}, but the file has other values.")
        made = convert_to_tensor(value, told.dtype)
        shape = () if isinstance(told, VarLenFeature) else tuple(told.shape)
        found[name] = made.reshape(shape if isinstance(told, FixedLenFeature) else (-1, *shape))
        if isinstance(told, VarLenFeature):
            found[name].values = made
    return found


@named("io.parse_example parse_example")
def parse_example(serialized, features):
    """Of several examples, stacked; lists of any length are filled up with zeros or empty texts."""
    rows = [parse_single_example(one, features) for one in texts(serialized)]
    found = Dataset(lambda: iter(rows), len(rows)).padded_batch(len(rows)).get_single_element()
    for name, told in features.items():
        if isinstance(told, VarLenFeature):
            counts = np.array([[len(row[name])] for row in rows])
            found[name].absent = np.arange(found[name].shape[1]) >= counts
            found[name].values = NAMES["concat"]([row[name] for row in rows], 0)
    return found


@named("io.decode_raw decode_raw")
def decode_raw(input_bytes, out_type, little_endian=True):
    """The bytes of each text as numbers, along a last axis."""
    kind = np.dtype(str(out_type)).newbyteorder("<" if little_endian else ">")
    found = np.stack([np.frombuffer(text_bytes(text), kind) for text in texts(input_bytes).reshape(-1)])
    return here(torch.from_numpy(found.astype(kind.newbyteorder("=")).reshape(*np.shape(texts(input_bytes)), -1)))


_NUMBERS = {name: number for number, name in reversed(TYPES.items())}


@named("io.serialize_tensor")
def serialize_tensor(tensor):
    """A tensor as bytes, in TensorFlow's form."""
    tensor = convert_to_tensor(tensor)
    is_text = isinstance(tensor, Texts)
    name = "string" if is_text else dtypes.dtype_name(tensor.dtype)
    shape = b"".join(_field(2, b"\x08" + _varint(size) if size else b"") for size in tensor.shape)
    values = [_field(8, text_bytes(one)) for one in tensor.flat] if is_text else [_field(4, _raw(tensor))]
    parts = values if np.size(tensor) else ()
    return texts(b"\x08" + _varint(_NUMBERS[name]) + _field(2, shape) + b"".join(parts))


def _raw(tensor: torch.Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


@named("io.parse_tensor")
def parse_tensor(serialized, out_type):
    """The tensor that `serialize_tensor` wrote. Raises ValueError where its type is another than `out_type`."""
    found = message(text_bytes(serialized))
    name, shape = TYPES.get(found.number(1)), [size.number(1) for size in found.message(2).messages(2)]
    if name != out_type:
        raise ValueError(f"parse_tensor: the bytes hold a tensor of {name}; got out_type={out_type}.")
    if name == "string":
        return texts([bytes(one) for one in found.all(8)]).reshape(shape)
    kind = dtypes.torch_dtype(name)
    data = bytearray(found.bytes(4))
    if len(data) != math.prod(shape) * kind.itemsize:
        raise ValueError(f"parse_tensor: {len(data)} bytes are no values of shape {tuple(shape)}, type {name}.")
    return torch.frombuffer(data, dtype=kind).reshape(shape) if data else torch.zeros(shape, dtype=kind)


# Tables ---------------------------------------------------------------------------------------------------------------


def _rows(lines: Iterable[str], field_delim: str, use_quote_delim: bool) -> list[list[str]]:
    quoting = csv.QUOTE_MINIMAL if use_quote_delim else csv.QUOTE_NONE
    return list(csv.reader(lines, delimiter=field_delim, quoting=quoting))


def _column(fields: Sequence[str], told: Any, na_value: str, what: str) -> Any:
    """Fields of the type of their default, which stands for empty ones. Raises ValueError where there is none."""
    default = convert_to_tensor([], told) if isinstance(told, DType) else convert_to_tensor(told)
    kind: type = str if isinstance(default, Texts) else float if default.is_floating_point() else int
    instead = np.asarray(default).reshape(-1).tolist()
    if not instead and not {"", na_value}.isdisjoint(fields):
        raise ValueError(f"{what} is empty in a line: an empty field needs a default.")
    values = [instead[0] if field in ("", na_value) else kind(field) for field in fields]
    return convert_to_tensor(values, "string" if kind is str else default.dtype)


@named("io.decode_csv decode_csv")
def decode_csv(records, record_defaults, field_delim=",", use_quote_delim=True, na_value="", select_cols=None):
    """The columns of lines, each of the type of its default, which stands for empty fields. Raises ValueError for a
    field that is empty and has no default, and for too few or too many of them."""
    lines = texts(records)
    rows = _rows(lines.reshape(-1).tolist(), field_delim, use_quote_delim)
    if select_cols is None and any(len(row) != len(record_defaults) for row in rows):
        raise ValueError(f"decode_csv: expected {len(record_defaults)} fields in a line, one for each default.")
    pairs = zip(select_cols or range(len(record_defaults)), record_defaults, strict=True)
    found = (_column([row[at] for row in rows], told, na_value, f"decode_csv: field {at}") for at, told in pairs)
    return [column.reshape(tuple(lines.shape)) for column in found]


@named("data.experimental.make_csv_dataset")
def make_csv_dataset(
    file_pattern,
    batch_size,
    column_names=None,
    column_defaults=None,
    label_name=None,
    select_columns=None,
    field_delim=",",
    use_quote_delim=True,
    na_value="",
    header=True,
    num_epochs=None,
    shuffle=True,
    shuffle_buffer_size=10000,
    shuffle_seed=None,
    num_rows_for_inference=100,
    compression_type=None,
):
    """Batches of the columns of CSV files, a dictionary by name; with `label_name` pairs of the others and that one.

    column_defaults: for each column that is taken the value of empty fields, which tells its type, or only the type;
    by default both follow from the first rows. The files are read once, and kept.
    """
    names: list[Any] = list(column_names or ())
    rows: list[Any] = []
    for path in files_of(file_pattern, "make_csv_dataset"):
        with io.TextIOWrapper(_unpacked(path, compression_type), encoding="utf-8", newline="") as file:
            found = [row for row in _rows(file, field_delim, use_quote_delim) if row]
        first = found.pop(0) if header else []
        names = names or first
        rows += found
    wrong = next((row for row in rows if len(row) != len(names)), None)
    if wrong is not None:
        raise ValueError(f"make_csv_dataset: expected {len(names)} fields, for {names}; got {len(wrong)}: {wrong}.")
    places = [names.index(each) if isinstance(each, str) else each for each in select_columns or range(len(names))]
    columns = {}
    for number, place in enumerate(places):
        fields = [row[place] for row in rows]
        seen = [field for field in fields[:num_rows_for_inference] if field not in ("", na_value)]
        told = _default(seen) if column_defaults is None else column_defaults[number]
        columns[names[place]] = _column(fields, told, na_value, f"make_csv_dataset: column {names[place]!r}")
    made = Dataset.from_tensor_slices(columns)
    made = made.shuffle(shuffle_buffer_size, shuffle_seed) if shuffle else made
    made = made.repeat(num_epochs).batch(batch_size, drop_remainder=num_epochs is None)
    if label_name is None:
        return made
    return made.map(lambda row: ({key: part for key, part in row.items() if key != label_name}, row[label_name]))


def _default(fields: Sequence[str]) -> Any:
    """Nothing, of the first type that all of some fields have."""
    for read, kind in ((int, np.int32), (int, np.int64), (float, np.float32), (float, np.float64)):
        try:
            if fields and np.isfinite(np.array([read(each) for each in fields], kind)).all():
                return kind(0)
        except (ValueError, OverflowError):
            pass
    return ""


def _lines(filenames: Any, compression: str | None, left_out: int = 0) -> Dataset:
    """The lines of files, without the first ones of each."""

    def start() -> Iterator[Texts]:
        for path in _paths(filenames):
            with io.TextIOWrapper(_unpacked(path, compression), "utf-8") as file:
                yield from (texts(line.rstrip("\r\n")) for line in itertools.islice(file, left_out, None))

    return Dataset(start)


@named("data.TextLineDataset")
def text_line_dataset(filenames, compression_type=None):
    return _lines(filenames, compression_type)


@named("data.experimental.CsvDataset")
def csv_dataset(filenames, record_defaults, compression_type=None, header=False, **how):
    """The lines of files as tuples, by `decode_csv`."""
    lines = _lines(filenames, compression_type, int(header))
    return lines.map(lambda line: tuple(decode_csv(line, record_defaults, **how)))
