"""Files from the network, kept in Keras' folder."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from ..core.config import keras_home

_RATIO, _SPARE = 1000, 10**8  # an archive may unpack to so many times its size and so many bytes more
_LONGEST = 1 << 20  # bytes that tell the name of a member and more of it
_PIECE = 1 << 20


def get_file(
    fname: str | None = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str | Sequence[str] | None = "auto",
    cache_dir: str | Path | None = None,
    force_download: bool = False,
) -> str:
    """The path of a file in Keras' folder (`~/.keras`), fetched from the address `origin` where it is not there yet.

    file_hash: the file's sha256 or md5 sum; without the right one it is fetched anew, and refused. extract, untar: the
    path of the folder that the archive, "tar" or "zip", is unpacked into. cache_dir, cache_subdir: the folder.
    Raises ValueError for a file that is not the expected one, and ConnectionError where it cannot be fetched.
    """
    if not origin:
        raise ValueError("get_file: argument `origin` is needed, the address of the file.")
    fname = fname or Path(urllib.request.url2pathname(origin)).name
    if Path(fname).name != fname or fname == "..":
        raise ValueError(f"get_file: `fname` must be a name without folders, which `cache_dir` tells; got {fname!r}.")
    folder = Path(cache_dir or keras_home()) / cache_subdir
    stem = fname.removesuffix(".gz").rpartition(".")[0] if "." in fname else ""
    unpacked = folder / (f"{stem}_extracted" if stem else fname)
    path = folder / (fname if stem or not (extract or untar) else f"{fname}_archive")
    expected = file_hash or md5_hash
    algorithm = "md5" if file_hash is None else _algorithm(hash_algorithm, file_hash)
    if keep(origin, path, expected, algorithm, anew=force_download) and (extract or untar):
        shutil.rmtree(unpacked, ignore_errors=True)
    if not (extract or untar):
        return str(path)
    if not unpacked.exists():
        _unpack(path, unpacked, "tar" if untar else archive_format)
    return str(unpacked)


def _algorithm(asked: str, expected: str) -> str:
    if asked not in ("auto", "sha256", "md5"):
        raise ValueError(f'get_file: `hash_algorithm` must be "auto", "sha256" or "md5"; got {asked!r}.')
    return asked if asked != "auto" else "sha256" if len(expected) == 64 else "md5"


def validate_file(fpath: str | Path, file_hash: str, algorithm: str = "auto", chunk_size: int = 1 << 20) -> bool:
    """Whether a file has the expected sum, sha256 or md5; it is read in pieces of `chunk_size` bytes."""
    return sum_of(fpath, _algorithm(algorithm, file_hash), chunk_size) == file_hash.lower()


def sum_of(fpath: str | Path, algorithm: str, chunk_size: int = 1 << 20) -> str:
    """The "sha256" or "md5" sum of a file, in hexadecimal digits."""
    total = hashlib.new(algorithm, usedforsecurity=False)
    with Path(fpath).open("rb") as file:
        while piece := file.read(chunk_size):
            total.update(piece)
    return total.hexdigest()


def keep(
    origin: str,
    path: Path,
    expected: str | None,
    algorithm: str,
    valid: Callable[[str, str, str], bool] = validate_file,
    anew: bool = False,
) -> bool:
    """Have the file of an address at `path`, with its sum where one is known; True where it was fetched now."""
    if not anew and path.exists() and (expected is None or valid(str(path), expected, algorithm)):
        return False
    _fetch(origin, path, expected, algorithm, valid)
    return True


def _fetch(
    origin: str, path: Path, expected: str | None, algorithm: str, valid: Callable[[str, str, str], bool]
) -> None:
    """Put the file of an address at `path`, which changes once all is there and right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    print(f"Downloading data from {origin}", flush=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        part = Path(folder) / "part"
        try:
            with urllib.request.urlopen(origin, timeout=60) as source, part.open("wb") as target:
                shutil.copyfileobj(source, target)
        except (urllib.error.URLError, OSError) as error:
            raise ConnectionError(
                f"get_file: {origin} cannot be fetched: {error}. Without a network, put the file at {path}."
            ) from error
        if expected is not None and not valid(str(part), expected, algorithm):
            raise ValueError(
                f"get_file: what came from {origin} is not the expected file: its {algorithm} sum is not {expected}."
            )
        part.replace(path)


def _unpack(archive: Path, target: Path, form: str | Sequence[str] | None) -> None:
    """Unpack an archive into a folder, which is there once all is in it."""
    forms = _forms(form)
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        part = Path(folder) / "part"
        if not _unpacked(archive, part, forms):
            raise ValueError(f"get_file: {archive} is no archive of the format {' or '.join(forms) or None}.")
        part.replace(target)


def unpack_beside(archive: Path, form: str | Sequence[str] | None, anew: bool) -> None:
    """Unpack an archive into the folder it lies in, without what lies there already, unless `anew`; a file that is no
    archive stays as it is."""
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        part = Path(folder) / "part"
        if not _unpacked(archive, part, _forms(form)):
            return
        for item in part.iterdir():
            target = archive.parent / item.name
            if target.is_dir() and item.is_dir() and anew:
                shutil.copytree(item, target, dirs_exist_ok=True)
            elif anew or not target.exists():
                item.replace(target)


def _forms(form: str | Sequence[str] | None) -> tuple[str, ...]:
    forms = ("tar", "zip") if form == "auto" else (form,) if isinstance(form, str) else tuple(form or ())
    if not {*forms} <= {"tar", "zip"}:
        raise ValueError(f'get_file: `archive_format` must be "auto", "tar", "zip" or a list of them; got {form!r}.')
    return forms


def _unpacked(archive: Path, target: Path, forms: Sequence[str]) -> bool:
    """Unpack into a folder, outside of which nothing is written; False for a file that is no such archive."""
    target.mkdir()
    try:
        return ("tar" in forms and _untarred(archive, target)) or ("zip" in forms and _unzipped(archive, target))
    except Exception as error:  # of many classes, by the form of the archive
        if isinstance(error, ValueError) or (isinstance(error, OSError) and error.errno is not None):  # of the disk
            raise
        raise ValueError(f"get_file: {archive} is damaged, or not safe to unpack: {error}") from error


def _untarred(archive: Path, target: Path) -> bool:
    try:
        opened = tarfile.open(archive, tarinfo=_Member)
    except tarfile.ReadError:
        return False
    with opened as tar:
        size, source = 0, cast(Any, tar.fileobj)
        for member in tar:
            size += member.size
            _check_size(archive, size)
        while piece := source.read(_PIECE):  # to its end, where the checksum stands
            size += len(piece)
            _check_size(archive, size)
        tar.extractall(target, filter="data")  # refuses links and names that lead outside
    return True


def _unzipped(archive: Path, target: Path) -> bool:
    if not zipfile.is_zipfile(archive):
        return False
    with zipfile.ZipFile(archive) as zipped:
        _check_size(archive, sum(member.file_size for member in zipped.infolist()))
        zipped.extractall(target)  # drops what leads outside from names
    return True


class _Member(tarfile.TarInfo):
    """Has no names and notes of any length, all of which tarfile takes into memory."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> Any:
        member = super().frombuf(buf, encoding, errors)
        if member.type in b"xgXLK" and member.size > _LONGEST:
            raise RuntimeError(f"a member is described by {member.size} bytes")
        return member


def _check_size(archive: Path, size: int) -> None:
    if size > _RATIO * archive.stat().st_size + _SPARE:
        raise ValueError(f"get_file: {archive} would unpack to {size} bytes, far more than an archive of its size may.")
