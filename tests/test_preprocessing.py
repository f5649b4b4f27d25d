"""What prepares data for models of older generations: pictures, texts, sequences, compared with the originals."""

from __future__ import annotations

import gzip
import importlib
import inspect
import io
import json
import lzma
import pickle
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lamina
from lamina import keras1, keras2, tf_keras
from lamina.generations import install, uninstall
from lamina.generations.dialect import DIALECTS
from lamina.preprocessing import affine
from tests.support import preparing

SPACES = {"keras1": keras1, "keras2": keras2, "tf_keras": tf_keras}
RECORDED = Path(__file__).parent / "golden" / "preparing.npz.xz"
EVERY = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
# Warned about by the originals as well: one way of scaling that brings another along.
pytestmark = pytest.mark.filterwarnings("ignore:.*brings.*along", "ignore:Found 1 invalid", "ignore:`classes` will be")


@pytest.fixture(scope="module")
def recorded() -> dict[str, list[Any]]:
    """By generation, (name, value) of every answer of the original."""
    with np.load(io.BytesIO(lzma.decompress(RECORDED.read_bytes()))) as file:
        listed = json.loads(file["index"].item())
        values = {name: file[f"{name}_values"] for name in SPACES}
    found: dict[str, list[Any]] = {}
    for name, index in listed.items():
        place, found[name] = 0, []
        for key, kind, *shape in index:
            if not shape:
                found[name].append((key, kind))
                continue
            count = int(np.prod(shape[0]))
            found[name].append((key, values[name][place : place + count].astype(kind).reshape(shape[0])))
            place += count
    return found


@pytest.mark.parametrize("name", SPACES)
def test_values_are_those_of_the_original(name: str, recorded: dict[str, list[Any]], tmp_path: Path) -> None:
    try:
        pandas = importlib.import_module("pandas")
    except ImportError:
        pandas = None
    preparing.pictures(tmp_path)
    home = SPACES[name].preprocessing
    expected = {key: value for key, value in recorded[name] if pandas or not key.startswith("table ")}
    count = 0
    for key, value in preparing.answers(home.image, home.text, home.sequence, name, tmp_path, pandas):
        wanted = expected[key]
        if isinstance(wanted, str):
            assert value == wanted, key
        else:
            assert np.shape(value) == wanted.shape, key
            np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=2e-3, err_msg=key)
        count += 1
    assert count == len(expected)


@pytest.mark.parametrize("name", SPACES)
def test_signatures_are_those_of_the_original(name: str) -> None:
    table = DIALECTS[name].table
    listed = json.loads((RECORDED.parent / "signatures" / f"{name.replace('tf_keras', 'tf_keras2')}.json").read_text())
    count = 0
    for home, entries in table.objects.items():
        if home.split(".")[0] not in ("preprocessing", "datasets", "utils"):
            continue
        for own in (key for key in entries if f"{home}.{key}" in listed):
            found = inspect.signature(getattr(importlib.import_module(f"lamina.{name}.{home}"), own))
            assert [str(each) for each in found.parameters.values()] == listed[f"{home}.{own}"], own
            count += 1
    assert count >= {"keras1": 26, "keras2": 26, "tf_keras": 11}[name]


# Pictures -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("mode", ["constant", "nearest", "reflect", "wrap"])
def test_warps_are_those_of_scipy(mode: str, order: int) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    rng = np.random.RandomState(0)
    for kind in ("float32", "float64", "uint8", "int16"):
        for _ in range(12):
            height, width, channels = rng.randint(1, 9, 3)
            x = (rng.rand(channels, height, width) * 200).astype(kind)
            spread = rng.uniform(-1, 1, 4) * (1.5, 4, 4, 0.7)
            matrix = affine.about(affine.matrix_of(*spread, *rng.uniform(0.3, 2, 2)), height / 2 - 0.5, width / 2)
            made = affine.warp(x, matrix, 0, mode, 7, order)
            expected = [
                ndimage.affine_transform(plane, matrix[:2, :2], matrix[:2, 2], order=order, mode=mode, cval=7)
                for plane in x
            ]
            assert made.dtype == x.dtype
            np.testing.assert_allclose(made, expected, atol=1e-5)


@EVERY
def test_an_iterator_goes_on_for_ever_and_trains(space: Any, tmp_path: Path) -> None:
    image = space.preprocessing.image
    x, y = np.random.RandomState(0).rand(10, 4, 4, 1).astype("float32"), np.arange(10.0)
    generator = image.ImageDataGenerator(horizontal_flip=True)
    flow = generator.flow(x, y, batch_size=4, save_to_dir=str(tmp_path), save_prefix="p", save_format="png")
    assert isinstance(flow, image.NumpyArrayIterator)
    assert isinstance(flow, image.Iterator) or space is keras1
    assert [len(next(flow)[0]) for _ in range(7)] == [4, 4, 2] * 2 + [4]
    assert len({path.name for path in tmp_path.iterdir()}) > 20
    model = space.models.Sequential([space.layers.Flatten(input_shape=(4, 4, 1)), space.layers.Dense(1)])
    model.compile("sgd", "mse")
    words = {"samples_per_epoch": 40, "nb_epoch": 2} if space is keras1 else {"steps_per_epoch": 10, "epochs": 2}
    history = model.fit_generator(generator.flow(x, y, batch_size=4), verbose=0, **words)
    assert np.isfinite(history.history["loss"]).all()
    assert model.predict(generator.flow(x, batch_size=4), verbose=0).shape == (10, 1)


def test_passes_are_mixed_anew_whatever_an_epoch_is() -> None:
    seen: list[int] = []

    class Watched(lamina.preprocessing.image.NumpyArrayIterator):
        def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
            seen.extend(index_array.tolist())
            return super()._get_batches_of_transformed_samples(index_array)

    x = np.zeros((6, 2, 2, 1), "float32")
    model = lamina.Sequential([lamina.layers.Flatten(), lamina.layers.Dense(1)])
    model.compile("sgd", "mse")
    flow = Watched(x, np.zeros(6), lamina.preprocessing.image.ImageDataGenerator(), batch_size=2, shuffle=True)
    np.random.seed(0)
    model.fit(flow, epochs=5, steps_per_epoch=3, verbose=0)
    passes = [seen[i : i + 6] for i in range(0, 30, 6)]
    assert all(sorted(each) == list(range(6)) for each in passes)
    assert len({tuple(sorted(map(tuple, np.reshape(each, (3, 2)).tolist()))) for each in passes}) > 1


@EVERY
@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda i, x: i.ImageDataGenerator(zoom_range=(1, 2, 3)), "zoom_range"),
        (lambda i, x: i.ImageDataGenerator(zoom=2), "zoom"),
        (lambda i, x: i.ImageDataGenerator(fill_mode="mirrored", rotation_range=9).random_transform(x[0]), "fill_mode"),
        (lambda i, x: i.ImageDataGenerator().flow(x, [1, 2]), "same length"),
        (lambda i, x: i.ImageDataGenerator().flow(x[0]), "rank 4"),
        (lambda i, x: i.ImageDataGenerator().fit(x[0]), "rank 4"),
        (lambda i, x: i.ImageDataGenerator().flow_from_directory(".", color_mode="cmyk"), "color_mode"),
        (lambda i, x: i.ImageDataGenerator().flow_from_directory(".", class_mode="all"), "class_mode"),
    ],
)
def test_bad_values_are_named(space: Any, call: Any, text: str) -> None:
    with pytest.raises((ValueError, TypeError), match=text):
        call(space.preprocessing.image, np.zeros((3, 4, 4, 3), "float32"))


def test_what_is_not_known_yet_is_told() -> None:
    generator = keras2.preprocessing.image.ImageDataGenerator(featurewise_center=True)
    with pytest.warns(UserWarning, match="hasn't been fit"):
        generator.standardize(np.zeros((2, 2, 1), "float32"))


@EVERY
def test_grayscale_was_a_flag(space: Any, tmp_path: Path) -> None:
    image = space.preprocessing.image
    path = str(tmp_path / "p.png")
    image.array_to_img(np.arange(48.0).reshape(4, 4, 3)).save(path)
    assert image.img_to_array(image.load_img(path, grayscale=True, target_size=(2, 3))).shape == (2, 3, 1)
    assert image.img_to_array(image.load_img(path)).shape == (4, 4, 3)


# Texts ----------------------------------------------------------------------------------------------------------------


@EVERY
def test_tokenizers_are_pickled(space: Any) -> None:
    tokenizer = space.preprocessing.text.Tokenizer(nb_words=5)
    tokenizer.fit_on_texts(preparing.TEXTS)
    copy = pickle.loads(pickle.dumps(tokenizer))
    assert type(copy) is type(tokenizer)
    assert copy.texts_to_sequences(preparing.TEXTS) == tokenizer.texts_to_sequences(preparing.TEXTS)


def test_a_tokenizer_that_an_older_keras_pickled() -> None:
    """It lacks what came later, and its class is of Keras' own module."""
    install("keras2", replace=True)
    try:
        module = sys.modules["keras_preprocessing.text"]
        state = {"nb_words": 3, "word_index": {"a": 1, "b": 2, "c": 3}, "char_level": False, "lower": True}
        state |= {"filters": "", "split": " ", "document_count": 1}
        found = pickle.loads(pickle.dumps(Stub(module.Tokenizer, state)))
    finally:
        uninstall()
    assert found.texts_to_sequences(["a b c"]) == [[1, 2]]
    assert found.sequences_to_texts([[1, 2]]) == ["a b"]


class Stub:
    """Pickles as an object of another class, with a state of its own."""

    def __init__(self, cls: type, state: dict[str, Any]):
        self.cls, self.state = cls, state

    def __reduce__(self) -> Any:
        return object.__new__, (self.cls,), self.state


@EVERY
def test_hashes_are_in_range(space: Any) -> None:
    found = space.preprocessing.text.one_hot("the cat, the dog", 20)
    assert found[0] == found[2]
    assert all(0 < number < 20 for number in found)


# Files and data sets --------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "datasets").mkdir()
    return tmp_path / "datasets"


def archive(path: Path, tar: bool) -> str:
    if tar:
        with tarfile.open(path, "w:gz") as made:
            info = tarfile.TarInfo("flowers/rose.txt")
            info.size = 4
            made.addfile(info, io.BytesIO(b"rose"))
    else:
        with zipfile.ZipFile(path, "w") as made:
            made.writestr("flowers/rose.txt", "rose")
    return path.as_uri()


@EVERY
def test_an_archive_is_unpacked_beside_itself(space: Any, folder: Path, tmp_path: Path) -> None:
    get_file = space.utils.data_utils.get_file
    origin = archive(tmp_path / "made.tgz", tar=True)
    path = Path(get_file("flowers", origin, untar=True))
    assert path == folder / "flowers"
    assert (path / "rose.txt").read_text() == "rose"
    assert (folder / "flowers.tar.gz").exists()
    (path / "rose.txt").write_text("mine")
    get_file("flowers", origin, untar=True)
    assert (path / "rose.txt").read_text() == "mine"
    if space is not keras1:
        zipped = Path(get_file("f.zip", archive(tmp_path / "made.zip", tar=False), extract=True, cache_subdir="other"))
        assert zipped == tmp_path / "other" / "f.zip"
        assert (zipped.parent / "flowers" / "rose.txt").read_text() == "rose"


@EVERY
def test_sums_are_checked_by_the_module_s_own_function(space: Any, folder: Path, monkeypatch: Any) -> None:
    utils = space.utils.data_utils
    (folder / "f.txt").write_text("changed")
    nowhere = (folder / "nowhere.txt").as_uri()
    with pytest.raises(ConnectionError):
        utils.get_file("f.txt", nowhere, md5_hash="0" * 32)
    assert not utils.validate_file(str(folder / "f.txt"), "0" * 32)
    monkeypatch.setattr(utils, "validate_file", lambda *args, **kwargs: True)
    assert utils.get_file("f.txt", nowhere, md5_hash="0" * 32) == str(folder / "f.txt")


def reviews(folder: Path, space: Any) -> list[Any]:
    """Files of IMDB and Reuters as the generation had them; returns the lists and labels."""
    rng = np.random.RandomState(0)
    lists = [rng.randint(1, 30, n).tolist() for n in rng.randint(2, 9, 24)]
    labels = list(range(24))
    if space is keras1:
        halves = [(lists[:12], labels[:12]), (lists[12:], labels[12:])]
        (folder / "imdb_full.pkl").write_bytes(pickle.dumps(tuple(halves), 2))
        (folder / "reuters.pkl").write_bytes(pickle.dumps((lists, labels), 2))
        (folder / "imdb_word_index.pkl").write_bytes(pickle.dumps({"the": 1, "é": 2}, 2))
    else:
        packed = np.empty(24, object)
        packed[:] = lists
        np.savez(folder / "imdb.npz", x_train=packed[:12], y_train=labels[:12], x_test=packed[12:], y_test=labels[12:])
        np.savez(folder / "reuters.npz", x=packed, y=labels)
        (folder / "imdb_word_index.json").write_text(json.dumps({"the": 1, "é": 2}))
    return [lists, labels]


def expected_reviews(lists: list, labels: list, space: Any, maxlen: int | None) -> Any:
    """As Keras 1.2.2 and 2.3.1 say it, at length; tf_keras shortens each part by itself."""
    if space is keras1:
        orders = [np.random.RandomState(seed).permutation(12) for seed in (113, 226)]
    else:
        random = np.random.RandomState(113)
        orders = [random.permutation(12), random.permutation(12)]
    order = [*orders[0], *(orders[1] + 12)]
    pairs = [([1, *(word + 3 for word in lists[i])], labels[i]) for i in order]
    count = 12
    if maxlen:
        if space is tf_keras:
            count = sum(len(x) < maxlen for x, _ in pairs[:12])
        pairs = [(x, y) for x, y in pairs if len(x) < maxlen]
    pairs = [([word if 4 <= word < 20 else 2 for word in x], y) for x, y in pairs]
    return [x for x, _ in pairs[:count]], [y for _, y in pairs[:count]], [x for x, _ in pairs[count:]]


@EVERY
@pytest.mark.parametrize("maxlen", [None, 7])
def test_reviews_are_mixed_and_cut_as_they_were(space: Any, maxlen: Any, folder: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(space.utils.data_utils, "validate_file", lambda *args, **kwargs: True)
    data = reviews(folder, space)
    (x_train, y_train), (x_test, _) = space.datasets.imdb.load_data(nb_words=20, skip_top=4, maxlen=maxlen)
    found = [list(map(list, x_train)), y_train.tolist(), list(map(list, x_test))]
    assert found == list(expected_reviews(*data, space, maxlen))
    assert space.datasets.imdb.get_word_index() == {"the": 1, "é": 2}
    (x_train, y_train), (x_test, y_test) = space.datasets.reuters.load_data(test_split=0.25)
    assert (len(x_train), len(y_test), isinstance(y_test, list)) == (18, 6, space is keras1)
    assert y_train[0] == np.random.RandomState(113).permutation(24)[0]


@EVERY
def test_digits_and_pictures_of_the_time(space: Any, folder: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(space.utils.data_utils, "validate_file", lambda *args, **kwargs: True)
    x, y = np.arange(3 * 28 * 28).reshape(3, 28, 28).astype("uint8"), np.arange(3).astype("uint8")
    if space is keras1:
        with gzip.open(folder / "mnist.pkl.gz", "wb") as file:
            pickle.dump(((x, y), (x[:2], y[:2])), file, 2)
    else:
        np.savez(folder / "mnist.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    (x_train, y_train), (x_test, _) = space.datasets.mnist.load_data()
    np.testing.assert_array_equal(x_train, x)
    assert (y_train.tolist(), x_test.shape) == ([0, 1, 2], (2, 28, 28))
    inside = folder / "cifar-10-batches-py"
    inside.mkdir()
    (folder / "cifar-10-batches-py.tar.gz").write_bytes(b"")
    pixels = np.arange(2 * 3072).reshape(2, 3072).astype("uint8")
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        (inside / name).write_bytes(pickle.dumps({b"data": pixels, b"labels": [3, 4]}, 2))
    (x_train, y_train), _ = space.datasets.cifar10.load_data()
    assert (x_train.shape, y_train.shape, x_train[0, 0, 0].tolist()) == ((10, 32, 32, 3), (10, 1), [0, 0, 0])


def test_a_module_s_own_get_file_is_asked(folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "houses.npz"
    np.savez(path, x=np.zeros((10, 13)), y=np.arange(10))
    monkeypatch.setattr(keras2.datasets.boston_housing, "get_file", lambda *args, **kwargs: str(path))
    (x_train, _), (_, y_test) = keras2.datasets.boston_housing.load_data()
    assert (x_train.shape, len(y_test)) == ((8, 13), 2)


# Around ---------------------------------------------------------------------------------------------------------------


def test_numpy_has_the_names_of_the_time_while_installed() -> None:
    before = "float" in vars(np)
    install("keras1", replace=True)
    try:
        assert np.zeros(2, np.float).dtype == float  # type: ignore[attr-defined]
    finally:
        uninstall()
    assert ("float" in vars(np)) is before


@pytest.mark.parametrize("space", [keras1, keras2], ids=["keras1", "keras2"])
def test_predict_takes_as_many_samples_as_the_first_input_has(space: Any) -> None:
    inputs = [space.layers.Input(shape=(2,)) for _ in range(2)]
    outputs = space.layers.merge.add(inputs) if space is keras2 else space.layers.merge(inputs, mode="sum")
    model = space.models.Model(inputs, outputs)
    found = model.predict([np.ones((3, 2)), np.arange(10.0).reshape(5, 2)])
    np.testing.assert_array_equal(found, 1 + np.arange(6.0).reshape(3, 2))
