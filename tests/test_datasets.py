"""Data sets and files from the network, from small files of the same form: no test leaves this machine."""

from __future__ import annotations

import bz2
import functools
import gzip
import hashlib
import io
import json
import lzma
import pickle
import tarfile
import threading
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lamina as keras
from lamina.datasets import cifar10, cifar100, fashion_mnist, imdb, mnist, reading, reuters
from lamina.datasets.reading import cifar_batch, sequences_of, unpickled
from lamina.utils import get_file


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address of a server on this machine that hands out its files."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "datasets"


def tar_of(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


# Files ---------------------------------------------------------------------------------------------------------------


def test_a_file_is_fetched_once_and_checked(served: tuple[Path, str], home: Path) -> None:
    folder, address = served
    (folder / "a.txt").write_text("one")
    good = hashlib.sha256(b"one").hexdigest()
    assert get_file("b.txt", f"{address}a.txt", file_hash=good) == str(home / "b.txt")
    (folder / "a.txt").write_text("two")
    assert Path(get_file("b.txt", f"{address}a.txt", file_hash=good)).read_text() == "one"
    for wrong in ({"file_hash": "0" * 64}, {"md5_hash": good}, {"file_hash": good, "hash_algorithm": "md5"}):
        with pytest.raises(ValueError, match="not the expected file"):
            get_file("b.txt", f"{address}a.txt", **wrong)
        assert (home / "b.txt").read_text() == "one"
    assert Path(get_file("b.txt", f"{address}a.txt", force_download=True)).read_text() == "two"
    two = hashlib.md5(b"two").hexdigest()
    assert Path(get_file(origin=f"{address}a.txt", md5_hash=two, cache_subdir="x")).parts[-2:] == ("x", "a.txt")
    elsewhere = get_file("c", f"{address}a.txt", cache_dir=folder.parent / "elsewhere")
    assert elsewhere == str(folder.parent / "elsewhere" / "datasets" / "c")
    assert sorted(path.name for path in home.iterdir()) == ["b.txt"]


def test_what_get_file_refuses(served: tuple[Path, str], home: Path) -> None:
    for name in ("/abs/x", "../x", "x/y", ".."):
        with pytest.raises(ValueError, match="without folders"):
            get_file(name, served[1])
    with pytest.raises(ValueError, match="origin"):
        get_file("a")
    with pytest.raises(ValueError, match="hash_algorithm"):
        get_file("a", served[1], file_hash="x", hash_algorithm="crc")
    for address in (f"{served[1]}nothing", "http://127.0.0.1:1/x"):
        with pytest.raises(ConnectionError, match=r"Without a network, put the file at .*datasets"):
            get_file("a", address)
    assert not list(home.glob("*"))


@pytest.mark.parametrize(
    ("name", "folder", "archive"),
    [("c.zip", "c_extracted", "c.zip"), ("c", "c", "c_archive"), ("e.tar.gz", "e_extracted", "e.tar.gz")],
)
def test_archives_are_unpacked(served: tuple[Path, str], home: Path, name: str, folder: str, archive: str) -> None:
    tar_of(served[0] / "t.tar.gz", {"in/a.txt": b"hi"})
    for _ in range(2):
        assert get_file(name, f"{served[1]}t.tar.gz", extract=True) == str(home / folder)
    assert (home / folder / "in" / "a.txt").read_text() == "hi" and (home / archive).exists()
    assert get_file(name, f"{served[1]}t.tar.gz", untar=True, force_download=True) == str(home / folder)
    with pytest.raises(ValueError, match="no archive of the format zip"):
        get_file("other", f"{served[1]}t.tar.gz", extract=True, archive_format="zip")
    with pytest.raises(ValueError, match="archive_format"):
        get_file("third", f"{served[1]}t.tar.gz", extract=True, archive_format="rar")


def test_archives_write_nothing_outside_their_folder(served: tuple[Path, str], home: Path) -> None:
    tar_of(served[0] / "t.tar.gz", {"../../evil": b"x"})
    with pytest.raises(ValueError, match=r"damaged, or not safe to unpack: '.*(outside|absolute)"):
        get_file("t", f"{served[1]}t.tar.gz", extract=True)
    with tarfile.open(served[0] / "l.tar", "w") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(link)
    with pytest.raises(ValueError, match=r"damaged, or not safe to unpack: '.*(outside|absolute)"):
        get_file("l", f"{served[1]}l.tar", extract=True)
    with zipfile.ZipFile(served[0] / "z.zip", "w") as zipped:
        zipped.writestr("../../evil", "x")
    get_file("z", f"{served[1]}z.zip", extract=True)
    assert not list(home.parent.parent.glob("**/evil")) or list(home.parent.parent.glob("**/evil")) == [
        home / "z" / "evil"
    ]
    assert not (home / "t").exists() and not (home / "l").exists()


def test_archives_that_grow_beyond_measure_are_refused(
    served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lamina.utils.files._SPARE", 0)
    with zipfile.ZipFile(served[0] / "z.zip", "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("zeros", bytes(10**6))
    with pytest.raises(ValueError, match="unpack to 1000000 bytes"):
        monkeypatch.setattr("lamina.utils.files._RATIO", 1)
        get_file("z", f"{served[1]}z.zip", extract=True)


def _members(*kinds: tuple[bytes, int, bytes]) -> bytes:
    """An archive of members (kind, size that is told, what follows)."""
    told = b""
    for kind, size, content in kinds:
        member = tarfile.TarInfo("a")
        member.type, member.size = kind, size
        told += member.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)
    return told + bytes(1024)


@pytest.mark.parametrize("kind", [*"xgXLK"])
def test_what_describes_a_member_of_an_archive_is_bounded(served: tuple[Path, str], home: Path, kind: str) -> None:
    size = 3 << 20
    (served[0] / "t.tar").write_bytes(bz2.compress(_members((kind.encode(), size, b"a" * size), (b"0", 0, b""))))
    tracemalloc.start()
    with pytest.raises(ValueError, match=f"a member is described by {size} bytes"):
        get_file("t", f"{served[1]}t.tar", extract=True)
    assert tracemalloc.get_traced_memory()[1] < size
    tracemalloc.stop()
    assert not (home / "t").exists()


def test_what_would_unpack_to_too_much_is_not_unpacked_to_find_out(
    served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lamina.utils.files._SPARE", 10**6)
    monkeypatch.setattr(bz2.BZ2File, "seek", lambda *_: pytest.fail("unpacked"))  # as tarfile passes over what it skips
    (served[0] / "t.tar").write_bytes(bz2.compress(_members((b"0", 10**10, bytes(10**6)))))
    with pytest.raises(ValueError, match="unpack to 10000000000 bytes"):
        get_file("t", f"{served[1]}t.tar", extract=True)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, bytes])
def test_damaged_archives_are_refused_by_name(served: tuple[Path, str], home: Path, compress: Any) -> None:
    content = np.random.RandomState(0).bytes(2_000_000)  # more than a block of bzip2 holds
    packed = bytearray(compress(_members((b"0", len(content), content))))
    (served[0] / "cut").write_bytes(packed[: len(packed) // 2])
    packed[len(packed) // 2] ^= 9
    (served[0] / "flipped").write_bytes(packed)
    for name in ("cut", "flipped")[: 1 if compress is bytes else 2]:  # plain ones have no checksum
        with pytest.raises(ValueError, match=rf"{name}_archive is (damaged, or not safe to unpack|no archive)"):
            get_file(name, f"{served[1]}{name}", extract=True)
        assert not (home / name).exists()


def test_an_empty_archive_is_an_empty_folder(served: tuple[Path, str]) -> None:
    with zipfile.ZipFile(served[0] / "z", "w"):
        pass
    assert not list(Path(get_file("z", f"{served[1]}z", extract=True)).iterdir())


@pytest.mark.parametrize("change", [(8, 1), (10, 99)], ids=["encrypted", "unknown"])
def test_zip_archives_that_cannot_be_unpacked_are_refused_by_name(
    served: tuple[Path, str], home: Path, change: tuple[int, int]
) -> None:
    with zipfile.ZipFile(served[0] / "z", "w") as zipped:
        zipped.writestr("a", "x")
    content = bytearray((served[0] / "z").read_bytes())
    content[content.find(b"PK\1\2") + change[0]] = content[change[0] - 2] = change[1]
    (served[0] / "z").write_bytes(content)
    with pytest.raises(ValueError, match="z_archive is damaged, or not safe to unpack"):
        get_file("z", f"{served[1]}z", extract=True)
    assert not (home / "z").exists()


# Data sets -----------------------------------------------------------------------------------------------------------


def put(monkeypatch: pytest.MonkeyPatch, module: Any, path: Path) -> None:
    """Let a data set find its file at `path`."""
    monkeypatch.setattr(module, "fetched", lambda *_: str(path))


@pytest.mark.parametrize("name", keras.datasets.__all__)
def test_without_a_network(name: str, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    def closed(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", closed)
    with pytest.raises(ConnectionError, match="put the file at"):
        getattr(keras.datasets, name).load_data()


def test_digits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    parts = {f"{kind}_{part}": np.arange(3) for kind in "xy" for part in ("train", "test")}
    np.savez(tmp_path / "mnist.npz", **parts)  # type: ignore[arg-type]
    put(monkeypatch, mnist, tmp_path / "mnist.npz")
    (x_train, y_train), (x_test, y_test) = mnist.load_data()
    assert all(array.tolist() == [0, 1, 2] for array in (x_train, y_train, x_test, y_test))
    np.savez(tmp_path / "mnist.npz", **{**parts, "x_train": np.array([{}], dtype=object)})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="allow_pickle"):
        mnist.load_data()


def test_clothes(home: Path) -> None:
    (home / "fashion-mnist").mkdir(parents=True)
    for part, count in (("train", 3), ("t10k", 2)):
        for kind, size, header in (("labels-idx1", 1, 8), ("images-idx3", 784, 16)):
            path = home / "fashion-mnist" / f"{part}-{kind}-ubyte.gz"
            path.write_bytes(gzip.compress(bytes(header) + bytes([7]) * (size * count)))
    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()
    assert (x_train.shape, y_train.shape, x_test.shape, y_test.shape) == ((3, 28, 28), (3,), (2, 28, 28), (2,))
    assert (x_test == 7).all() and x_test.dtype == np.uint8


def old_pickle(value: Any) -> bytes:
    """As Python 2 and NumPy 1 wrote it: texts of bytes, and NumPy's own names of then."""
    return pickle.dumps(value, protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def cifar_files(folder: Path, names: list[str], labels: dict[str, list[int]]) -> None:
    folder.mkdir(parents=True)
    count = len(next(iter(labels.values())))
    pictures = np.arange(count * 3072, dtype="uint8").reshape(count, 3072)
    content = {b"data": pictures, **{key.encode(): value for key, value in labels.items()}}
    for name in names:
        (folder / name).write_bytes(pickle.dumps(content, protocol=3))


def test_small_pictures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for module in (cifar10, cifar100):
        monkeypatch.setattr(module, "get_file", lambda *_, **__: str(tmp_path))
    batches = [f"data_batch_{i}" for i in range(1, 6)]
    cifar_files(tmp_path / "cifar-10-batches-py", [*batches, "test_batch"], {"labels": [3, 4]})
    cifar_files(tmp_path / "cifar-100-python", ["train", "test"], {"fine_labels": [1, 2], "coarse_labels": [5, 6]})
    (x, y), (x_test, y_test) = cifar10.load_data()
    assert (x.shape, y.shape, x_test.shape) == ((10, 32, 32, 3), (10, 1), (2, 32, 32, 3))
    assert y_test.tolist() == [[3], [4]] and x[0, 0, 1].tolist() == [1, 1, 1] and x.dtype == y.dtype == np.uint8
    assert cifar100.load_data("coarse")[0][1].tolist() == [[5], [6]]
    with pytest.raises(ValueError, match="label_mode"):
        cifar100.load_data("middle")
    keras.config.set_image_data_format("channels_first")
    try:
        assert cifar100.load_data()[0][0].shape == (2, 3, 32, 32)
    finally:
        keras.config.set_image_data_format("channels_last")


WORDS = [[1, 2, 3], [4, 5], [6, 7, 8, 9], [10], [11, 12]]


def words_file(path: Path, **more: Any) -> Path:
    lists = np.empty(len(WORDS), dtype=object)
    lists[:] = WORDS
    y = np.arange(len(WORDS))
    np.savez(path, **{"x": lists, "y": y, "x_train": lists, "y_train": y, "x_test": lists, "y_test": y, **more})
    return path


@pytest.mark.parametrize(
    "options",
    [{}, {"num_words": 9, "skip_top": 5}, {"oov_char": None, "num_words": 9}, {"start_char": None, "index_from": 0},
     {"maxlen": 4}, {"seed": 3}],
)  # fmt: skip
def test_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: dict[str, Any]) -> None:
    path = words_file(tmp_path / "words.npz")
    for module in (imdb, reuters):
        put(monkeypatch, module, path)
    start = [] if options.get("start_char", 1) is None else [1]
    lists = [[*start, *(word + options.get("index_from", 3) for word in words)] for words in WORDS]
    random = np.random.RandomState(options.get("seed", 113))
    orders = [random.permutation(5), random.permutation(5)]
    end = options.get("num_words") or max(map(max, lists))
    oov = options.get("oov_char", 2)

    def expected(order: Any) -> tuple[list[list[int]], list[int]]:
        kept = [index for index in order if len(lists[index]) < options.get("maxlen", 99)]
        if options.get("maxlen"):
            last = max(max(lists[index]) for index in kept)
        else:
            last = end
        known = [[word if options.get("skip_top", 0) <= word < last else oov for word in lists[i]] for i in kept]
        return [[word for word in words if word is not None] for words in known], [int(index) for index in kept]

    (x_train, y_train), (x_test, y_test) = imdb.load_data(**options)
    for (x, y), order in zip(((x_train, y_train), (x_test, y_test)), orders, strict=True):
        assert (x.tolist(), y.tolist()) == expected(order) and x.dtype == object
    (x_train, y_train), (x_test, y_test) = reuters.load_data(**options)
    assert ([*x_train, *x_test], [*y_train, *y_test]) == expected(orders[0])
    assert len(x_test) == len(y_test) == 1


def test_shorter_reviews_than_there_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put(monkeypatch, imdb, words_file(tmp_path / "words.npz"))
    with pytest.raises(ValueError, match="larger `maxlen`"):
        imdb.load_data(maxlen=1)


def test_indices_and_names(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir(parents=True)
    for name, module in (("imdb", imdb), ("reuters", reuters)):
        (home / "index.json").write_text(json.dumps({"the": 1}))
        monkeypatch.setattr(reading, "get_file", lambda path, *_, **__: str(home / path))
        assert module.get_word_index("index.json") == {"the": 1}, name
    assert len(reuters.get_label_names()) == 46 and reuters.get_label_names()[3] == "earn"


def test_houses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    boston, california = keras.datasets.boston_housing, keras.datasets.california_housing
    np.savez(tmp_path / "h.npz", x=np.arange(2000.0).reshape(1000, 2), y=np.arange(1000))
    for module in (boston, california):
        put(monkeypatch, module, tmp_path / "h.npz")
    order = np.random.RandomState(113).permutation(1000)
    (x_train, y_train), (x_test, y_test) = boston.load_data(test_split=0.25)
    assert [*y_train, *y_test] == order.tolist() and len(y_test) == 250 and (x_train[:, 0] == 2 * y_train).all()
    assert [len(part) for part in california.load_data("small")[1]] == [120, 120] and len(x_test) == 250
    for options in ({"test_split": 1}, {"test_split": -0.1}):
        with pytest.raises(ValueError, match="test_split"):
            boston.load_data(**options)
    with pytest.raises(ValueError, match="version"):
        california.load_data("middle")


# Hostile files -------------------------------------------------------------------------------------------------------

RAN = []


class Evil:
    def __init__(self, call: Callable[..., Any], *args: Any):
        self.call = call, args

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    "content",
    [Evil(RAN.append, 1), Evil(eval, "RAN.append(1)"), [Evil(print, "ran")], {b"data": Evil(open, "/tmp/x")},
     Evil(getattr, "x", "upper"), Evil(np.zeros, 3), Evil(np.dtype), np.float64(1), Evil(complex, 1.0)],
    ids=range(9),
)  # fmt: skip
@pytest.mark.parametrize("protocol", range(5))
def test_a_pickle_runs_nothing(content: Any, protocol: int, tmp_path: Path) -> None:
    RAN.clear()
    try:
        text = pickle.dumps(content, protocol=protocol)
    except pickle.PicklingError:
        pytest.skip("Python does not write this")
    found: Any = None
    with pytest.raises(ValueError):
        found = unpickled(io.BytesIO(text))
        raise ValueError(found)  # a stand-in for a type alone is nothing that runs
    assert not RAN and (found is None or type(found) is reading._Kind)


@pytest.mark.parametrize("name", ["words.npz", "batch"])
def test_a_file_runs_nothing(name: str, tmp_path: Path) -> None:
    RAN.clear()
    evil = np.empty(1, dtype=object)
    evil[0] = Evil(eval, "RAN.append(1)")
    if name == "batch":
        (tmp_path / name).write_bytes(pickle.dumps({b"data": evil, b"labels": [1]}, protocol=2))
        with pytest.raises(ValueError, match="nothing of it was run"):
            cifar_batch(tmp_path / name, "labels")
    else:
        np.savez(tmp_path / name, x=evil)
        with pytest.raises(ValueError, match="nothing of it was run"):
            sequences_of(tmp_path / name, "x")
    assert not RAN


def test_damaged_files(tmp_path: Path) -> None:
    whole = pickle.dumps([np.arange(3), [1, 2]], protocol=3)
    for end in range(len(whole)):
        with pytest.raises(ValueError):
            unpickled(io.BytesIO(whole[:end]))
    for wrong in (np.array([1, 2]), np.array([1.5, "a"], dtype=object), np.array([None, None], dtype=object)):
        np.savez(tmp_path / "w.npz", x=wrong)
        with pytest.raises((ValueError, TypeError)):
            sequences_of(tmp_path / "w.npz", "x")


def test_lists_may_be_arrays(tmp_path: Path) -> None:
    lists = np.empty(2, dtype=object)
    lists[:] = [np.array([1, 2]), np.array([3], "int16")]
    np.savez(tmp_path / "w.npz", x=lists)
    assert sequences_of(tmp_path / "w.npz", "x").tolist() == [[1, 2], [3]]
    np.savez(tmp_path / "w.npz", x=np.array([[1, 2], [3, 4]]))
    assert sequences_of(tmp_path / "w.npz", "x").tolist() == [[1, 2], [3, 4]]
    assert unpickled(io.BytesIO(old_pickle([1, "a"]))) == [1, "a"]
