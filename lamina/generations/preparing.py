"""What prepares data, in a generation's words: `preprocessing`, `datasets`, `get_file`."""

from __future__ import annotations

import functools
import gzip
import json
import operator
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np

from .. import datasets
from ..core.config import keras_home
from ..datasets import reading
from ..pictures import plot
from ..preprocessing import old
from ..preprocessing.image import ImageDataGenerator
from ..translation.table import Generation
from ..translation.words import Words, signature_of, words
from ..utils import files
from . import shim
from .dialect import Dialect


def homes(table: Generation) -> list[str]:
    """Of what prepares data: all of `preprocessing`, and what the table names."""
    parts = ("preprocessing.image", "preprocessing.text", "preprocessing.sequence")
    told = (home for home in table.objects if home.split(".")[0] in ("datasets", "utils"))
    return list(dict.fromkeys((*parts, *told)))


def find(dialect: Dialect, home: str, modern: Callable[[str], Any], name: str) -> Any:
    """What a name means in a home whose names are `modern`, but for those in the table."""
    if "." in name:
        return None
    if name == "get_file" and home.startswith("datasets."):
        return dialect.find("utils.data_utils", name)
    if name == "load_batch" and home in ("datasets.cifar10", "datasets.cifar100") and "datasets.cifar" in dialect.homes:
        return dialect.find("datasets.cifar", name)
    entry = dialect.table.objects.get(home, {}).get(name)
    if entry is None:
        return modern(name)
    own = words(dialect.table, home, name)
    if entry.modern in _OWN:
        return shim.spoken(dialect, home, own, functools.partial(_OWN[entry.modern], dialect))
    meant = _PLAIN.get(entry.modern) or modern(entry.modern) or operator.attrgetter(entry.modern)(old)
    return _class(dialect, home, own, meant) if isinstance(meant, type) else shim.spoken(dialect, home, own, meant)


def _class(dialect: Dialect, home: str, own: Words, meant: Any) -> type:
    """A class whose arguments, and those of its methods in the table, are in the generation's words."""
    made = type(own.name, (meant,), {"__module__": dialect.module(home), "__doc__": meant.__doc__})
    made.__init__ = _method(dialect, own, meant.__init__)  # type: ignore[misc]
    for name in dialect.table.objects[home]:
        cls, _, method = name.partition(".")
        if method and cls == own.name:
            setattr(made, method, _method(dialect, words(dialect.table, home, name), getattr(meant, method)))
    if issubclass(meant, ImageDataGenerator):
        names = ("NumpyArrayIterator", "DirectoryIterator", "DataFrameIterator")
        made._iterators = tuple(
            _maker(dialect.find(home, n), cls) for n, cls in zip(names, meant._iterators, strict=True)
        )
    return made


def _maker(cls: Any, meant: Any) -> Callable:
    """What makes objects of `cls` from the arguments of the modern class it stands for."""

    def make(*args: Any, **kwargs: Any) -> Any:
        made = cls.__new__(cls)
        meant.__init__(made, *args, **kwargs)
        return made

    return make


def _method(dialect: Dialect, own: Words, meant: FunctionType) -> Callable:
    @functools.wraps(meant)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return meant(self, **own.to_modern(own.bind(args, kwargs), dialect.settings()))

    vars(method)["__signature__"] = signature_of(f"self, {own.entry.signature}")
    return method


# Files --------------------------------------------------------------------------------------------------------------


def _valid(dialect: Dialect) -> Callable[..., bool]:
    """The generation's `validate_file`, as whoever puts another in its place wants it."""
    return sys.modules[dialect.module("utils.data_utils")].validate_file


def _get_file(
    dialect: Dialect,
    fname: str | None,
    origin: str | None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: Any = "auto",
    cache_dir: Any = None,
) -> str:
    """The path of a file in Keras' folder, fetched from the address `origin` where it is not there yet.

    untar: the path of what an archive, kept as `fname`.tar.gz, unpacks to beside itself. extract: the archive's path;
    it is unpacked beside itself, too.
    """
    if not origin:
        raise ValueError("get_file: argument `origin` is needed, the address of the file.")
    fname = fname or origin.rpartition("/")[2]
    folder = Path(cache_dir or keras_home()).expanduser() / cache_subdir
    path = folder / (f"{fname}.tar.gz" if untar else fname)
    if file_hash is None and md5_hash is not None:
        file_hash, hash_algorithm = md5_hash, "md5"

    anew = files.keep(
        origin, path, file_hash, hash_algorithm, lambda name, expected, _: _valid(dialect)(name, expected)
    )
    if untar and (anew or not (folder / fname).exists()):
        files.unpack_beside(path, "tar", anew=True)
    if untar:
        return str(folder / fname)
    if extract:
        files.unpack_beside(path, archive_format, anew)
    return str(path)


# Data sets ----------------------------------------------------------------------------------------------------------
# What lies in Keras' folder is read in the form that its generation gave it; else today's file is fetched.


def _file(dialect: Dialect, of: Any, path: str, today: tuple[str, str], cache_dir: Any = None) -> str:
    """The path of a file of a data set, today's module `of`."""
    found = Path(cache_dir or keras_home()).expanduser() / "datasets" / path
    name, own = today
    older = _SUMS.get(path, ())
    sums = older if _holds_pickle(path) else (*older, own)
    if found.exists() and (not sums or any(_valid(dialect)(str(found), each) for each in sums)):
        return str(found)
    fname = name if _holds_pickle(path) else path
    home = sys.modules[dialect.module(of.__name__.removeprefix("lamina."))]  # whose `get_file` may be another's
    elsewhere = {"cache_dir": cache_dir} if cache_dir else {}
    return home.get_file(fname, reading.ADDRESS + name, False, own, **elsewhere)


def _holds_pickle(path: str) -> bool:
    return path.removesuffix(".gz").endswith(".pkl")


def _pickled(path: str) -> Any:
    with gzip.open(path) if path.endswith(".gz") else Path(path).open("rb") as file:
        return reading.unpickled(file)  # type: ignore[arg-type]


def _mnist(dialect: Dialect, path: str, cache_dir: Any = None) -> Any:
    file = _file(dialect, datasets.mnist, path, datasets.mnist.FILE, cache_dir)
    return _pickled(file) if _holds_pickle(file) else datasets.mnist.read(file)


def _fashion_mnist(dialect: Dialect, cache_dir: Any = None) -> Any:
    return datasets.fashion_mnist.read(functools.partial(_get_file, dialect, cache_dir=cache_dir))


def _boston_housing(dialect: Dialect, path: str, test_split: float, seed: int, cache_dir: Any = None) -> Any:
    file = _file(dialect, datasets.boston_housing, path, datasets.boston_housing.FILE, cache_dir)
    return datasets.boston_housing.read(file, test_split, seed)


def _cifar(dialect: Dialect, of: Any, cache_dir: Any) -> Path:
    return Path(_get_file(dialect, of.FOLDER, of.ADDRESS, untar=True, file_hash=of.SUM, cache_dir=cache_dir))


def _cifar10(dialect: Dialect, cache_dir: Any = None) -> Any:
    return datasets.cifar10.read(_cifar(dialect, datasets.cifar10, cache_dir))


def _cifar100(dialect: Dialect, label_mode: str, cache_dir: Any = None) -> Any:
    datasets.cifar100.check_mode(label_mode)
    return datasets.cifar100.read(_cifar(dialect, datasets.cifar100, cache_dir), label_mode)


def load_batch(fpath: Any, label_key: str) -> tuple[np.ndarray, list[int]]:
    """Pictures (n, 3, 32, 32) and labels of one of the files of CIFAR."""
    with Path(fpath).open("rb") as file:
        found = reading.unpickled(file)
    return found[b"data"].reshape(-1, 3, 32, 32), found[label_key.encode()]


def _labelled(lists: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    return reading.as_objects([list(map(int, each)) for each in lists]), np.array(labels)


def _imdb(
    dialect: Dialect,
    path: str,
    seed: int,
    cache_dir: Any = None,
    one_stream: bool = True,
    apart: bool = True,
    **options: Any,
) -> Any:
    """See `lamina.datasets.imdb`. one_stream: both parts are mixed by one generator; apart: as `prepared` says."""
    file = _file(dialect, datasets.imdb, path, datasets.imdb.FILE, cache_dir)
    parts = [_labelled(*each) for each in _pickled(file)] if _holds_pickle(file) else datasets.imdb.read(file)
    first = np.random.RandomState(seed)
    randoms = (first, first if one_stream else np.random.RandomState(2 * seed))
    return datasets.imdb.prepared(parts, randoms, apart=apart, **options)


def _reuters(dialect: Dialect, path: str, cache_dir: Any = None, as_lists: bool = False, **options: Any) -> Any:
    file = _file(dialect, datasets.reuters, path, datasets.reuters.FILE, cache_dir)
    data = _labelled(*_pickled(file)) if _holds_pickle(file) else datasets.reuters.read(file)
    parts = datasets.reuters.prepared(data, **options)
    return tuple((list(x), list(y)) for x, y in parts) if as_lists else parts


def _words_of(of: Any, dialect: Dialect, path: str) -> dict[str, int]:
    """Words to their numbers."""
    file = _file(dialect, of, path, of.WORDS)
    if not _holds_pickle(file):
        return json.loads(Path(file).read_text(encoding="utf-8"))
    return {
        word.decode("latin1") if isinstance(word, bytes) else word: number for word, number in _pickled(file).items()
    }


# md5 sums of the files that were current once.
_SUMS = {
    "imdb_full.pkl": ("d091312047c43cf9e4e38fef92437263",),
    "imdb_word_index.pkl": ("72d94b01291be4ff843198d3b0e1e4d7",),
    "mnist.npz": ("8a61469f7ea1b51cbae51d4f78837e45",),
    "imdb.npz": ("599dadb1135973df5b59232a0e9a887c",),
    "reuters.npz": ("87aedbeb0cb229e378797a632c1997b6",),
}

_PLAIN: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (files.validate_file, load_batch, plot.plot_model, plot.model_to_dot)
}

# What the tables mean by names that need the generation itself.
_GETTING = _get_file, _mnist, _fashion_mnist, _boston_housing, _cifar10, _cifar100, _imdb, _reuters
_OWN: dict[str, Callable[..., Any]] = {
    **{function.__name__.lstrip("_"): function for function in _GETTING},
    "imdb_words": functools.partial(_words_of, datasets.imdb),
    "reuters_words": functools.partial(_words_of, datasets.reuters),
}
