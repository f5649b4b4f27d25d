"""Reading what may be damaged or hostile, and writing so that a failure leaves the old file."""

from __future__ import annotations

import errno
import io
import json
import math
import mmap
import os
import re
import secrets
import shutil
import struct
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np

from ..core.errors import compare, pass_on, warn
from ..core.functions import Told
from .stored import PIECE, Place, Stored, places

try:
    import fcntl
except ImportError:  # Windows
    fcntl: Any = None

MAX_MEMBERS = 10_000
MAX_EXPANSION = 1000  # declared bytes to stored bytes, beyond what `FREE_BYTES` allows; deflate ends at 1032
MAX_WHOLE_EXPANSION = 100  # the same for a whole file, where not everything is zeros
FREE_BYTES = 1 << 20
FREE_TEXT = 1 << 23  # bytes of JSON in any archive, and in larger ones so many to every stored byte
MAX_TEXT_EXPANSION = 20
FREE_PARTS = 200_000  # values in the JSON of any file, and in larger ones one to so many bytes of the whole file
FREE_OBJECTS = 20_000  # of these, what layers and their parts are made of
BYTES_OF_PART = 8  # Keras itself writes 15
IN_MEMORY = 1 << 20  # what is larger is unpacked to disk
WINDOW = 1 << 22  # bytes of a file that are looked at together
MAX_DEPTH = 100  # of groups in HDF5
FREE_BYTES_OF_CHUNK = 64  # beyond its values, for a checksum
MAX_REASON = 1000  # characters of an error that a file provoked

# What damaged or hostile data makes Python, torch and HDF5 raise.
FAULTS = (
    ValueError, TypeError, LookupError, AttributeError, OverflowError, RuntimeError, MemoryError, OSError, EOFError,
    zipfile.BadZipFile, zlib.error, struct.error,
)  # fmt: skip


class Misfit(ValueError):
    """A sound file that does not fit the model."""


def tell_misfits(problems: Sequence[str], skip: bool, pairs: Sequence[tuple[str, Iterable, Iterable]] = ()) -> None:
    """Raises Misfit where there are problems, with `pairs` below it, as `compare` shows them; or with `skip` warns."""
    if not problems:
        return
    more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
    message = f"the weights do not fit the model. {'; '.join(problems[:5])}{more}"
    if skip:
        warn(f"{message}. These are left as they are.")
        return
    error = Misfit(message)
    compare(error, pairs, True)
    raise error


@contextmanager
def reading(path: Any) -> Iterator[None]:
    """Turns whatever a damaged or hostile file provokes into one ValueError that names the file."""
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Misfit as error:
        raise pass_on(error, ValueError(f"{path}: {str(error).removeprefix(f'{path}: ')}")) from None
    except FAULTS as error:
        if _is_pointer(path):
            raise ValueError(f"{path}: a pointer of Git LFS in place of the file; `git lfs pull` fetches it.") from None
        raise ValueError(f"{path}: damaged, or no model file: {reason(error)}") from error


def require_file(path: Path) -> None:
    """Raises ValueError for a pipe or a device, which may never end."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ValueError(f"{path} is a pipe or a device; expected a file. Copy its content to one.")


def _is_pointer(path: Any) -> bool:
    if not Path(path).is_file():
        return False
    with Path(path).open("rb") as file:
        return file.read(23) == b"version https://git-lfs"


def reason(error: BaseException) -> str:
    """An error in one line of bounded length, or more lines where these go together."""
    line = str(error).strip()
    line = (line if isinstance(error, Told) else line.split("\n")[0]) or type(error).__name__
    return line if len(line) <= MAX_REASON else f"{line[:MAX_REASON]}..."


@contextmanager
def replacing(path: Any) -> Iterator[Path]:
    """A fresh path beside `path`; when the block ends well, what was written there takes the place of `path` at once.

    When it raises, the new file is removed and the old one stays; an error of the disk names `path`. An old file goes
    once the disk has the new one; where there is none, nothing waits for the disk. Missing folders are made, and what
    killed processes left of writing the same name is removed.
    """
    target = Path(os.path.realpath(path))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None
    remove_leftovers(target)
    lock = None
    fresh = target
    try:
        fresh, lock = _claimed(target)
        yield fresh
        if target.exists():
            shutil.copymode(target, fresh)
            with fresh.open("rb+") as file:
                os.fsync(file.fileno())
        if fcntl is None:
            lock.close()  # Windows moves no open file
        fresh.replace(target)
    except BaseException as error:
        if lock is not None:
            if fcntl is None:
                lock.close()
            with suppress(OSError):  # a disk that takes no writing hides nothing behind an error of its own
                fresh.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None and error.filename in (None, str(fresh)):
            error.filename = str(path)
            del error.filename2
        raise
    finally:
        if lock is not None:
            lock.close()


def _claimed(target: Path) -> tuple[Path, IO[bytes]]:
    """A new file beside `target`, and what holds it: open, and where the system has that, locked, until its end."""
    while True:
        fresh = target.with_name(f".{target.name[:40]}.{secrets.token_hex(6)}.tmp")  # names may be no longer than that
        lock = fresh.open("xb")
        if fcntl is not None:
            with suppress(OSError):  # some network disks know no locks
                fcntl.flock(lock, fcntl.LOCK_EX)
        if fcntl is None or os.fstat(lock.fileno()).st_nlink:  # else another process took it for a leftover
            return fresh, lock
        lock.close()


def remove_leftovers(target: Path) -> None:
    """Remove what killed processes left of writing `target`: files of `replacing` that nobody holds any more."""
    name = re.compile(rf"\.{re.escape(target.name[:40])}\.[0-9a-f]{{12}}\.tmp")
    with suppress(OSError), os.scandir(target.parent) as entries:
        found = [entry.path for entry in entries if name.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)]
        for path in map(Path, found):
            with suppress(OSError), path.open("rb") as file:
                if fcntl is not None:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
            if fcntl is None:
                with suppress(OSError):  # Windows removes no open file
                    path.unlink()


# Zip archives ----------------------------------------------------------------------------------------------------


@contextmanager
def zip_members(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip archive whose members may be read. Raises ValueError where counts, names or sizes are absurd."""
    with reading(path), path.open("rb") as file:
        archive = zipfile.ZipFile(file)
        members = archive.infolist()
        if len(members) > MAX_MEMBERS:
            raise ValueError(f"the archive has {len(members)} members; at most {MAX_MEMBERS} are read")
        if len({member.filename for member in members}) < len(members):
            raise ValueError("the archive has two members of one name")
        if sum(member.file_size for member in members) > allowed(path.stat().st_size, MAX_WHOLE_EXPANSION):
            raise ValueError("the archive declares far more data than it holds")
        yield archive


def read_json(archive: zipfile.ZipFile, name: str) -> Any:
    """A member as JSON. Raises ValueError where it is missing, no JSON or out of proportion to the archive."""
    with _open_member(archive, name) as file:
        stored, declared = archive.getinfo(name).compress_size, archive.getinfo(name).file_size
        if declared > FREE_TEXT + MAX_TEXT_EXPANSION * stored:
            raise ValueError(f"member {name!r} declares {declared} bytes of text but stores {stored}")
        text = file.read()
    return parse_json(text.decode(), os.fstat(archive.fp.fileno()).st_size, f"member {name!r}")  # type: ignore[union-attr]


def parse_json(text: str, size: int, what: str, **options: Any) -> Any:
    """JSON in a file of `size` bytes. Raises ValueError for what is none, or would take long to make objects of."""
    parts = sum(map(text.count, ",[{"))
    more = size // BYTES_OF_PART
    if parts > FREE_PARTS + more or text.count("{") > FREE_OBJECTS + more:
        raise ValueError(f"{what} describes {parts} values, which is out of proportion to the file's {size} bytes")
    try:
        return json.loads(text, **options)
    except RecursionError:
        raise ValueError(f"{what} is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{what} is no valid JSON: {error}") from None


def unpacked(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """A member as a file one can seek in: where it is stored as it is, the archive's own part; else in memory if small,
    else a temporary file."""
    with _open_member(archive, name) as file:
        member = archive.getinfo(name)
        if member.compress_type == zipfile.ZIP_STORED:
            while file.read(1 << 20):  # which compares the checksum
                pass
            return _part(archive, member)
        copy: IO[bytes] = tempfile.TemporaryFile() if member.file_size > IN_MEMORY else io.BytesIO()
        shutil.copyfileobj(file, copy, 1 << 20)
    copy.seek(0)
    return copy


def _part(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    source: Any = archive.fp
    source.seek(member.header_offset + 26)  # the lengths of two fields before the data
    start = member.header_offset + 30 + sum(struct.unpack("<HH", source.read(4)))
    return io.BufferedReader(_Part(Path(source.name).open("rb", buffering=0), start, member.file_size), 1 << 16)


@contextmanager
def new_member(archive: zipfile.ZipFile, name: str) -> Iterator[Any]:
    """A member of an archive on disk that is written in any order, as HDF5 needs; zipfile's own are written in one go.

    Its header is written twice, the second time with size and checksum.
    """
    target: Any = archive.fp
    member = zipfile.ZipInfo(name, time.localtime()[:6])
    member.header_offset, member.CRC, member.external_attr = archive.start_dir, 0, 0o600 << 16
    target.seek(member.header_offset)
    target.write(member.FileHeader(zip64=True))
    part = _Part(target, target.tell(), 0)
    yield part
    part.seek(0)
    while data := part.read(PIECE):
        member.CRC = zlib.crc32(data, member.CRC)
    member.file_size = member.compress_size = part.size
    target.seek(member.header_offset)
    target.write(member.FileHeader(zip64=True))
    archive.start_dir = part.start + part.size
    archive.filelist.append(member)
    archive.NameToInfo[name] = member


class _Part(io.RawIOBase):
    """So many bytes of a file, from `start` on; more where they are written."""

    def __init__(self, file: Any, start: int, size: int):
        self._file, self.start, self._at = file, start, 0
        self._writable = file.writable()  # a closed file does not tell
        self.size: int = size

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return self._writable

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(0, offset + (0, self._at, self.size)[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        view = view[: max(0, min(len(view), self.size - self._at))]
        self._file.seek(self.start + self._at)
        count = self._file.readinto(view) or 0
        self._at += count
        return count

    def write(self, data: Any) -> int:
        self._file.seek(self.start + self._at)
        count = self._file.write(data)
        self._at += count
        self.size = max(self.size, self._at)
        return count

    def truncate(self, size: int | None = None) -> int:
        self.size = self._at if size is None else size
        self._file.truncate(self.start + self.size)
        return self.size

    def close(self) -> None:
        if not self._writable:  # else the archive closes it
            self._file.close()
        super().close()


def contents(archive: zipfile.ZipFile, folder: str) -> dict[str, bytes]:
    """What the members below a folder hold, by their names there."""
    names = [name for name in archive.namelist() if name.startswith(folder) and not name.endswith("/")]
    return {name[len(folder) :]: _open_member(archive, name).read() for name in names}


def _open_member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    if name not in archive.namelist():
        raise ValueError(f"the archive has no member {name!r}")
    member = archive.getinfo(name)
    if member.file_size > allowed(member.compress_size):
        raise ValueError(f"member {name!r} declares {member.file_size} bytes but stores {member.compress_size}")
    return archive.open(name)


def parts(name: str) -> tuple[str, ...]:
    """The parts of a name that stays inside its folder on every system. Raises ValueError for another."""
    found = PurePosixPath(name).parts
    if any(part in ("..", "/") or set(part) & set('\\:*?"<>|\0') for part in found) or len(name) > 200:
        raise ValueError(f"{name!r} is no name for a file")
    return found


def allowed(stored: int, expansion: int = MAX_EXPANSION) -> int:
    """How many bytes may be made of `stored` ones."""
    return FREE_BYTES + expansion * stored


# HDF5 ------------------------------------------------------------------------------------------------------------


@contextmanager
def replacing_hdf5(path: Path) -> Iterator[Any]:
    """A fresh HDF5 file to fill, which then takes the place of `path` at once."""
    import h5py

    # Through a file of Python's, since HDF5's own way crashes the process where the disk is full.
    with replacing(path) as fresh, fresh.open("rb+") as target, h5py.File(target, "w") as file:
        yield file


def opened_hdf5(path: Path) -> Any:
    """The HDF5 file at `path`, open for reading, once all of its links have been looked at."""
    import h5py

    _check_heaps(path)
    file = h5py.File(path, "r")
    groups(file)
    return file


def _check_heaps(path: Path) -> None:
    """Raises ValueError where a store of texts has free space of size 0, behind which HDF5 would look for ever."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        place = _found(data, 0)
        while place >= 0:
            at, end = place + 16, min(place + int.from_bytes(data[place + 8 : place + 16], "little"), len(data))
            while at + 16 <= end:
                index, _, _, size = struct.unpack_from("<HHIQ", data, at)
                if index == 0 and size == 0:
                    raise ValueError(f"its texts end at byte {at}")
                at += 16 + (size + 7) // 8 * 8 if index else end
            place = _found(data, max(place + 16, min(at, end)))


def _found(data: mmap.mmap, start: int) -> int:
    """Where the next store of texts begins, -1 for nowhere. What was searched does not stay in memory."""
    for begin in range(start - start % WINDOW, len(data), WINDOW):
        place = data.find(b"GCOL\1", max(start, begin), begin + WINDOW + 4)
        if place >= 0:
            return place
        if hasattr(data, "madvise"):
            data.madvise(mmap.MADV_DONTNEED, begin, min(WINDOW, len(data) - begin))
    return -1


def _hdf5() -> Any:
    """h5py, whose lower half has no types."""
    import h5py

    return h5py


def groups(file: Any) -> dict[str, list[str]]:
    """Paths of all groups of an HDF5 file, and the names of what stands in each: no name leads elsewhere then.

    Raises ValueError for links, and for groups that stand in several places or too deep.
    """
    h5l, h5o = _hdf5().h5l, _hdf5().h5o
    links: list[tuple[bytes, int]] = []
    objects: dict[bytes, tuple[int, int]] = {}

    def see_link(name: bytes, info: Any) -> bool | None:
        links.append((name, info.type))
        return True if name.count(b"/") > MAX_DEPTH else None  # which ends it

    def see_object(name: bytes, info: Any) -> None:
        objects[name] = info.type, info.rc

    if file.id.links.visit(see_link, info=True):
        raise ValueError(f"its groups are more than {MAX_DEPTH} deep")
    h5o.visit(file.id, see_object, info=True)
    found: dict[str, list[str]] = {}
    for name, link in links:
        place = name.decode("utf-8", "replace")
        if link != h5l.TYPE_HARD:
            raise ValueError(f"/{place} is a soft or external link, which is never followed")
        kind, count = objects[name] if name in objects else (h5o.get_info(file.id, name).type, 2)
        if kind == h5o.TYPE_GROUP:
            if count > 1:
                raise ValueError(f"/{place} stands in several places")
            found[place] = []
        outer, _, own = place.rpartition("/")
        if outer:
            found[outer].append(own)
    return found


def subgroup(group: Any, path: str) -> Any:
    """The group at `path`. Raises ValueError where there is none."""
    found = group.get(path)
    if not isinstance(found, _hdf5().Group):
        raise ValueError(f"there is no group {group.name.rstrip('/')}/{path}")
    return found


def array(group: Any, path: str) -> StoredArray:
    """The array at `path`. Raises ValueError where there is none."""
    try:
        found = _hdf5().h5o.open(group.id, path.encode())
    except KeyError:
        raise ValueError(f"there is no array {group.name.rstrip('/')}/{path}") from None
    return StoredArray(found)


_FILTERS = (1, 2, 3)  # HDF5's numbers of gzip, of the shuffling before it and of the checksum behind


class StoredArray(Stored):
    """A dataset, by HDF5's identifier, that may be read; bfloat16 as float32, exactly.

    Raises ValueError for one that may not.
    """

    def __init__(self, found: Any):
        h5d, h5i = _hdf5().h5d, _hdf5().h5i
        name = h5i.get_name(found).decode("utf-8", "replace")
        if not isinstance(found, h5d.DatasetID) or found.shape is None:
            raise ValueError(f"{name} is no array")
        dtype, settings = found.dtype, found.get_create_plist()
        layout = settings.get_layout()
        if layout == h5d.VIRTUAL or settings.get_external_count():
            raise ValueError(f"{name} keeps its values in another file, which is never opened")
        self.half = dtype == "V2"  # bfloat16, of which HDF5 knows nothing; Keras stores its bits
        if not self.half and (dtype.kind not in "biufc" or dtype.itemsize > (16 if dtype.kind == "c" else 8)):
            raise ValueError(f"{name} holds {dtype} values instead of numbers")
        self.name, self.shape, self._found = name, found.shape, found
        self.dtype = np.dtype("f4") if self.half else dtype.newbyteorder("=")
        self.declared = self.size * dtype.itemsize  # bytes
        in_chunks = layout == h5d.CHUNKED
        self._chunk = math.prod(settings.get_chunk()) * dtype.itemsize if in_chunks else 0
        held, stored = max(self.declared, self._chunk), found.get_storage_size()  # a chunk is unpacked whole
        if held > allowed(stored):
            raise ValueError(f"{name} declares {held} bytes but stores {stored}")
        filters = [settings.get_filter(index) for index in range(settings.get_nfilters() if in_chunks else 0)]
        unknown = [words.decode() or str(code) for code, _, _, words in filters if code not in _FILTERS]
        if unknown or len({code for code, *_ in filters}) < len(filters):
            raise ValueError(
                f"{name} is packed by {', '.join(unknown) or 'one filter twice'}; only arrays that are plain or packed "
                "by gzip are read. Unpack it, for example with h5repack -f NONE"
            )
        self._packed = any(code == _FILTERS[0] for code, *_ in filters)

    def check(self) -> None:
        """What lies in one piece inside the file can be read; all else is, once."""
        place = self._found.get_offset()  # None for what is in pieces, or not stored
        if place is None or place + self.declared > _hdf5().h5i.get_file_id(self._found).get_filesize():
            for _ in self.pieces():
                pass

    def _check_chunks(self) -> None:
        """Raises ValueError where gzip makes more of a chunk than its size, as HDF5 would let it."""
        if not self._packed:
            return
        chunks: list[tuple[int, ...]] = []
        self._found.chunk_iter(lambda chunk: chunks.append(chunk.chunk_offset))
        for place in chunks:
            _, packed = self._found.read_direct_chunk(place)
            unpacking = zlib.decompressobj()
            room = self._chunk + FREE_BYTES_OF_CHUNK
            with suppress(zlib.error):  # a chunk that is stored as it is, or damaged: HDF5 says so
                if len(unpacking.decompress(packed, room + 1)) > room:
                    raise ValueError(f"{self.name}: a chunk of {self._chunk} bytes unpacks to more")
        self._packed = False  # which it is known to be within bounds

    def pieces(self) -> Iterator[tuple[Place, np.ndarray]]:
        import h5py

        self._check_chunks()
        dataset = h5py.Dataset(self._found)
        for place in places(self.shape, self.dtype.itemsize, dataset.chunks):
            values = np.asarray(dataset[place])
            if self.half:
                values = (values.view("<u2").astype(np.uint32) << 16).view(np.float32)
            yield place, values.astype(self.dtype, copy=False)

    def fill(self, values: np.ndarray) -> None:
        import h5py

        if self.half:
            super().fill(values)
        elif values.size:
            self._check_chunks()
            self._found.read(h5py.h5s.ALL, h5py.h5s.ALL, values)


class Arrays:
    """What open HDF5 files hold, by the paths of objects, which have theirs in groups `vars`. Looked through once."""

    def __init__(self, *files: Any):
        self.files = files
        self.places: dict[str, list[tuple[Any, str, list[str]]]] = {}
        for file in files:
            for place, names in groups(file).items():
                # TensorFlow on Windows joined names by backslashes.
                self.places.setdefault(place.replace("\\", "/"), []).append((file, place, names))
        ends = [f"/{place}".rpartition("/") for place in self.places]
        self.paths = [path[1:] for path, _, name in ends if name == "vars"]

    def has(self, path: str) -> bool:
        return any(names for *_, names in self._at(path))

    def of(self, path: str) -> dict[str, StoredArray]:
        """What is there for the object at that path, by key."""
        arrays: dict[str, StoredArray] = {}
        for file, place, names in self._at(path):
            if not arrays.keys().isdisjoint(names):
                raise ValueError(f"an array of {place} stands in two files")
            arrays |= {name: array(file, f"{place}/{name}") for name in names}
        return arrays

    def attributes(self, path: str) -> dict[str, Any]:
        """What stands beside an object's arrays, such as its name."""
        return {key: attribute(file[place], key) for file, place, _ in self._at(path) for key in file[place].attrs}

    def check_total(self, arrays: Iterable[StoredArray]) -> None:
        """Raises ValueError where these make far more data than the files hold."""
        check_total(arrays, *self.files)

    def _at(self, path: str) -> list[tuple[Any, str, list[str]]]:
        return self.places.get(f"{path}/vars".lstrip("/"), [])


def check_total(arrays: Iterable[StoredArray], *files: Any) -> None:
    """Raises ValueError where arrays that stand in many places of files make far more data than these hold."""
    declared, size = sum(array.declared for array in arrays), sum(file.file.id.get_filesize() for file in files)
    if declared > allowed(size, MAX_WHOLE_EXPANSION):
        raise ValueError(f"its arrays declare {declared} bytes, but the file has {size}")


def attribute(group: Any, name: str) -> Any:
    """An attribute's value. Raises ValueError for other kinds than numbers and texts: lists claim any length."""
    dtype = group.attrs.get_id(name).dtype
    if dtype.kind not in "biufSO" or (dtype.kind == "O" and _hdf5().check_string_dtype(dtype) is None):
        raise ValueError(f"attribute {name!r} of {group.name} is neither numbers nor texts")
    return group.attrs[name]


def texts(group: Any, name: str) -> list[str]:
    """A list of texts in a group's attributes, put together where it was too long for one attribute."""
    if name in group.attrs:
        parts: Iterable[Any] = [attribute(group, name)]
    else:
        parts = []
        while f"{name}{len(parts)}" in group.attrs:
            parts.append(attribute(group, f"{name}{len(parts)}"))
    return [as_text(item) for part in parts for item in np.asarray(part).ravel().tolist()]


def json_of(file: Any, name: str) -> Any:
    """The JSON in an attribute of a file."""
    return parse_json(as_text(attribute(file, name)), file.id.get_filesize(), f"attribute {name!r}")


def count(group: Any, name: str) -> int:
    """A number of things in a group's attributes. Raises ValueError for another value."""
    value = np.asarray(attribute(group, name))
    if value.shape not in ((), (1,)) or value.dtype.kind not in "iu" or value.min() < 0:
        raise ValueError(f"attribute {name!r} of {group.name} is no number of things")
    return int(value.item())


def as_text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
