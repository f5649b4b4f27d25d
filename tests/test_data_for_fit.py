"""Pictures, windows of series, parts of data, and folders of files; facts are those of Keras 3.15."""

from __future__ import annotations

import io
import os
import re
import sys
import traceback
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

import lamina as keras
from lamina import preprocessing, utils
from lamina.preprocessing.image import ImageDataGenerator

X = torch.arange(10.0)
Y = 2 * X


def listed(batches: Any) -> list[Any]:
    return [tuple(part.tolist() for part in batch) if isinstance(batch, tuple) else batch.tolist() for batch in batches]


# Windows -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("targets", "options", "expected"),
    [
        (Y, {"batch_size": 4}, [([[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]], [0, 2, 4, 6]),
                                ([[4, 5, 6], [5, 6, 7], [6, 7, 8], [7, 8, 9]], [8, 10, 12, 14])]),
        (None, {"sequence_stride": 2, "sampling_rate": 2}, [[[0, 2, 4], [2, 4, 6], [4, 6, 8]]]),
        (Y, {"start_index": 2, "end_index": 8, "batch_size": None},
         [([2, 3, 4], 4), ([3, 4, 5], 6), ([4, 5, 6], 8), ([5, 6, 7], 10)]),
        (Y[:5], {"batch_size": 4}, [([[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]], [0, 2, 4, 6]), ([[4, 5, 6]], [8])]),
        (Y, {"sampling_rate": 3, "sequence_stride": 3}, [([[0, 3, 6], [3, 6, 9]], [0, 6])]),
    ],
)  # fmt: skip
def test_windows(targets: Any, options: dict[str, Any], expected: list[Any]) -> None:
    assert listed(utils.timeseries_dataset_from_array(X, targets, 3, **options)) == expected
    array = None if targets is None else targets.numpy()
    assert listed(preprocessing.timeseries_dataset_from_array(X.tolist(), array, 3, **options)) == expected
    frame, column = Frame(X.numpy()), None if array is None else Frame(array)
    assert listed(utils.timeseries_dataset_from_array(frame, column, 3, **options)) == expected


class Frame:
    """What torch cannot read of a data frame of pandas, and NumPy can."""

    def __init__(self, values: np.ndarray):
        self.values = values

    def to_numpy(self) -> np.ndarray:
        return self.values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.values

    def __len__(self) -> int:
        return len(self.values)


def test_the_number_of_batches_may_be_set() -> None:
    class Numbered(keras.utils.PyDataset):
        def __init__(self) -> None:
            super().__init__()
            self.num_batches = 3

        def __getitem__(self, index: int) -> Any:
            return np.full((2, 1), index, "float32")

    assert [batch[0, 0] for batch in Numbered()] == [0, 1, 2]

    class Counted(Numbered):
        def __len__(self) -> int:
            return self.num_batches

    model = keras.Sequential([keras.layers.Flatten()])
    assert len(model.predict(Counted(), verbose=0)) == len(model.predict(Numbered(), verbose=0)) == 6


def test_windows_mixed_and_wrong() -> None:
    make = utils.timeseries_dataset_from_array
    (mixed,), (again,) = (listed(make(X, Y, 3, shuffle=True, seed=1)) for _ in range(2))
    assert mixed == again and mixed[1] != sorted(mixed[1]) and [2 * row[0] for row in mixed[0]] == mixed[1]
    assert listed(make(X, Y, 11)) == []
    for wrong in ({"start_index": 11}, {"start_index": 2, "end_index": 1}, {"sequence_stride": 0},
                  {"sampling_rate": 10}, {"sequence_length": 0}, {"format": "x"}):  # fmt: skip
        with pytest.raises(ValueError, match="timeseries_dataset_from_array"):
            make(**{"data": X, "targets": Y, "sequence_length": 3, **wrong})


def test_fit_takes_windows() -> None:
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("adam", "mse")
    batches = utils.timeseries_dataset_from_array(np.arange(50.0), np.arange(50.0), 4, batch_size=8)
    assert len(model.fit(batches, epochs=2, verbose=0).history["loss"]) == 2
    assert model.predict(utils.timeseries_dataset_from_array(X, None, 4), verbose=0).shape == (7, 1)


# Parts ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "left", "right"),
    [((0.7,), range(7), range(7, 10)), ((3,), range(3), range(3, 10)), ((None, 0.25), range(8), range(8, 10)),
     ((0.7, 0.1), range(7), [9])],
)  # fmt: skip
def test_parts(sizes: tuple, left: Any, right: Any) -> None:
    expected = list(left), list(right)
    for data in (X, X.numpy(), TensorDataset(X), DataLoader(TensorDataset(X)), (float(x) for x in X)):
        found = utils.split_dataset(data, *sizes)
        assert (
            tuple([float(item[0]) if isinstance(item, tuple) else float(item) for item in part] for part in found)
            == expected
        )
    for pair in ((X, Y), [X, Y.numpy()]):
        assert [listed(part) for part in utils.split_dataset(pair, *sizes)] == [
            [(float(x), float(2 * x)) for x in part] for part in expected
        ]


def test_mixed_parts_are_in_kerass_order() -> None:
    left, right = utils.split_dataset(X, 3, shuffle=True, seed=1)
    assert [listed(left), listed(right)] == [[6, 8, 9], [7, 5, 3, 0, 4, 1, 2]]
    assert listed(DataLoader(left, batch_size=2)) == [[6, 8], [9]]


@pytest.mark.parametrize(
    ("options", "error"),
    [({}, ValueError), ({"left_size": 0.7, "right_size": 0.7}, ValueError), ({"left_size": 20}, ValueError),
     ({"left_size": 0.05}, ValueError), ({"left_size": -1}, ValueError), ({"left_size": 1.0}, ValueError),
     ({"left_size": "a"}, TypeError), ({"left_size": 3, "preferred_backend": "jax"}, ValueError)],
)  # fmt: skip
def test_parts_that_cannot_be(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match="split_dataset"):
        utils.split_dataset(X, **options)
    for data in ({"a": X}, 3):
        with pytest.raises(TypeError, match="split_dataset"):
            utils.split_dataset(data, 3)
    with pytest.raises(ValueError, match="one length"):
        utils.split_dataset((X, Y[:3]), 3)


# Pictures ------------------------------------------------------------------------------------------------------------

PICTURE = (np.arange(4 * 6 * 3).reshape(4, 6, 3) * 3).astype("uint8")


def test_arrays_and_pictures(tmp_path: Path) -> None:
    for channels, mode in ((1, "L"), (3, "RGB"), (4, "RGBA")):
        assert utils.array_to_img(np.ones((2, 2, channels))).mode == mode
    assert utils.array_to_img(np.full((2, 2, 1), 300), scale=False).mode == "I"
    assert utils.array_to_img(np.zeros((3, 5, 2)), "channels_first").size == (2, 5)
    picture = utils.array_to_img(PICTURE, scale=False)
    np.testing.assert_array_equal(utils.img_to_array(picture), PICTURE)
    np.testing.assert_array_equal(utils.img_to_array(utils.array_to_img(np.array([[[1.0], [3.0]]])))[0, :, 0], [0, 255])
    first = utils.img_to_array(picture, "channels_first", "uint8")
    assert first.shape == (3, 4, 6) and first.dtype == np.uint8
    for wrong in (np.ones((2, 2)), np.ones((2, 2, 2))):
        with pytest.raises(ValueError, match="array_to_img"):
            utils.array_to_img(wrong)
    for call in (lambda: utils.array_to_img(PICTURE, "x"), lambda: utils.img_to_array(3)):
        with pytest.raises(ValueError):
            call()
    given = np.ones((2, 2, 3), "float32")
    utils.array_to_img(given)
    assert (given == 1).all()


def test_files_of_pictures(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    utils.save_img(path, PICTURE, scale=False)
    content = io.BytesIO(path.read_bytes())
    for given in (path, str(path), str(path).encode(), content):
        np.testing.assert_array_equal(np.array(utils.load_img(given)), PICTURE)
    assert utils.load_img(path, "grayscale").mode == "L" and utils.load_img(path, "rgba").mode == "RGBA"
    assert utils.load_img(path, target_size=(2, 3)).size == (3, 2)
    kept = utils.load_img(path, target_size=(2, 2), interpolation="nearest", keep_aspect_ratio=True)
    middle = Image.fromarray(PICTURE[:, 1:5]).resize((2, 2), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(np.array(kept), np.array(middle))
    with pytest.warns(UserWarning, match="transparency"):
        utils.save_img(tmp_path / "a.jpg", np.ones((2, 2, 4)))
    assert utils.load_img(tmp_path / "a.jpg").mode == "RGB"
    for wrong in ({"color_mode": "x"}, {"target_size": (2, 2), "interpolation": "x"}):
        with pytest.raises(ValueError, match="load_img"):
            utils.load_img(path, **wrong)
    with pytest.raises(TypeError, match="load_img"):
        utils.load_img(3)


def test_smart_resize() -> None:
    resize = preprocessing.image.smart_resize
    x = np.random.default_rng(0).random((2, 4, 6, 3), "float32")
    made = resize(x, (4, 4))
    assert isinstance(made, np.ndarray)
    np.testing.assert_allclose(made, x[:, :, 1:5], atol=1e-6)
    assert resize(torch.from_numpy(x[0]), (2, 3)).shape == (2, 3, 3)
    for wrong in ({"size": (2,)}, {"x": x[0, 0]}):
        with pytest.raises(ValueError, match="smart_resize"):
            resize(**{"x": x, "size": (2, 2), **wrong})


# Folders -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "pictures"
    for name in "ba":
        (root / name).mkdir(parents=True)
        for number in range(3):
            Image.fromarray(PICTURE + number).save(root / name / f"{number}.png")
    (root / "a" / "sub").mkdir()
    Image.fromarray(PICTURE * 0).save(root / "a" / "sub" / "z.png")
    (root / "a" / "x.txt").write_text("first")
    (root / "b" / "y.txt").write_text("second")
    return root


def read(folder: Path, **options: Any) -> Any:
    return utils.image_dataset_from_directory(
        folder, **{"image_size": (4, 6), "shuffle": False, "verbose": False, **options}
    )


FILES = ["a/0.png", "a/1.png", "a/2.png", "a/sub/z.png", "b/0.png", "b/1.png", "b/2.png"]


def files(batches: Any, folder: Path) -> list[str]:
    return [Path(path).relative_to(folder).as_posix() for path in batches.file_paths]


def test_folders_of_pictures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    batches = read(folder, verbose=True)
    assert capsys.readouterr().out == "Found 7 files of 2 classes.\n"
    ((x, y),) = batches
    assert x.shape == (7, 4, 6, 3) and x.dtype is torch.float32 and y.dtype is torch.int32
    assert y.tolist() == [0, 0, 0, 0, 1, 1, 1] and batches.class_names == ["a", "b"] and files(batches, folder) == FILES
    np.testing.assert_array_equal(x[1], PICTURE + 1)
    assert [len(x) for x, _ in read(folder, batch_size=4)] == [4, 3] and len(read(folder, batch_size=4)) == 2
    assert [picture.shape for picture in read(folder, label_mode=None, batch_size=None)] == [(4, 6, 3)] * 7
    ((x, y),) = read(folder, label_mode="categorical", color_mode="grayscale", data_format="channels_first")
    assert x.shape == (7, 1, 4, 6) and y.dtype is torch.float32 and y[:, 1].tolist() == [0, 0, 0, 0, 1, 1, 1]
    ((_, y),) = read(folder, label_mode="binary", class_names=["b", "a"])
    assert y.tolist() == [[0], [0], [0], [1], [1], [1], [1]]
    ((_, y),) = read(folder, labels=[5, 4, 3, 2, 1, 0, 6])
    assert y.tolist() == [5, 4, 3, 2, 1, 0, 6]
    (x,) = read(folder, labels=None, color_mode="rgba", pad_to_aspect_ratio=True, image_size=(3, 3))
    assert x.shape == (7, 3, 3, 4)


def test_parts_of_folders_are_kerass(folder: Path) -> None:
    held = read(folder, validation_split=0.3, subset="validation")
    assert files(held, folder) == FILES[5:]
    options = {"shuffle": True, "validation_split": 0.3, "seed": 1}
    training, held = read(folder, subset="both", **options)
    assert files(training, folder) == ["b/2.png", "a/2.png", "a/1.png", "a/0.png", "b/0.png"]
    assert files(held, folder) == ["a/sub/z.png", "b/1.png"]
    assert files(read(folder, subset="training", **options), folder) == files(training, folder)
    mixed = read(folder, shuffle=True, seed=3)
    assert files(mixed, folder) == ["b/0.png", "b/2.png", "b/1.png", "a/sub/z.png", "a/1.png", "a/0.png", "a/2.png"]
    ((_, y),) = mixed
    assert sorted(y.tolist()) == [0, 0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    "options",
    [{"color_mode": "x"}, {"label_mode": "x"}, {"labels": [1]}, {"labels": "x"}, {"format": "x"},
     {"validation_split": 2, "subset": "both"}, {"subset": "training"}, {"validation_split": 0.5, "subset": "x"},
     {"validation_split": 0.5, "subset": "both", "shuffle": True}, {"interpolation": "x"},
     {"class_names": ["c"]}, {"class_names": ["a"], "labels": [1] * 7}, {"class_names": ["a"], "label_mode": "binary"},
     {"validation_split": 0.01, "subset": "both"}],
    ids=str,
)  # fmt: skip
def test_what_folders_refuse(folder: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        read(folder, **options)


def test_folders_without_files(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no files"):
        read(tmp_path / "empty")
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "nowhere")


def test_fit_takes_folders(folder: Path) -> None:
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    training, held = read(folder, validation_split=0.3, subset="both", batch_size=2)
    assert "val_loss" in model.fit(training, validation_data=held, verbose=0).history


def test_folders_of_texts(folder: Path) -> None:
    ((texts, labels),) = utils.text_dataset_from_directory(folder, shuffle=False, max_length=4, verbose=False)
    assert texts.tolist() == ["firs", "seco"] and texts.dtype == object and labels.tolist() == [0, 1]
    single = utils.text_dataset_from_directory(folder, label_mode=None, batch_size=None, seed=1, verbose=False)
    assert sorted(single) == ["first", "second"]


def test_folders_of_sounds(tmp_path: Path) -> None:
    for name, content in (("a", [[1, 2], [3, 4], [-32768, 32767]]), ("b", [[5, 6]])):
        (tmp_path / name).mkdir()
        with wave.open(str(tmp_path / name / "x.wav"), "wb") as file:
            file.setparams((2, 2, 8000, 0, "NONE", ""))
            file.writeframes(np.array(content, "<i2").tobytes())
    make = utils.audio_dataset_from_directory
    ((sounds, labels),) = make(tmp_path, shuffle=False, verbose=False, sampling_rate=8000)
    assert sounds.shape == (2, 3, 2) and sounds.dtype is torch.float32 and labels.tolist() == [0, 1]
    np.testing.assert_array_equal(sounds[0] * 32768, [[1, 2], [3, 4], [-32768, 32767]])
    assert sounds[1, 1:].abs().sum() == 0
    ((sounds, _),) = make(tmp_path, shuffle=False, verbose=False, output_sequence_length=2)
    assert sounds.shape == (2, 2, 2)
    assert [len(sound) for sound, _ in make(tmp_path, batch_size=None, shuffle=False, verbose=False)] == [3, 1]
    with pytest.raises(ValueError, match="ragged"):
        make(tmp_path, ragged=True)
    with pytest.raises(ValueError, match="8000 samples a second"):
        list(make(tmp_path, sampling_rate=16000, verbose=False))
    sound = (tmp_path / "a" / "x.wav").read_bytes()
    for damaged in (b"", b"RIFF", b"no sound at all", *(sound[:end] for end in (30, -3, -4))):
        (tmp_path / "b" / "x.wav").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"x\.wav is damaged, or no sound: ."):
            list(make(tmp_path, verbose=False))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
@pytest.mark.parametrize("device", [None, "/dev/zero"])
@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("x.png", lambda folder: next(iter(utils.image_dataset_from_directory(folder)))),
        ("x.png", lambda folder: next(ImageDataGenerator().flow_from_directory(folder))),
        ("x.png", lambda folder: utils.load_img(str(folder / "a" / "x.png").encode())),
        ("x.txt", lambda folder: next(iter(utils.text_dataset_from_directory(folder)))),
        ("x.wav", lambda folder: next(iter(utils.audio_dataset_from_directory(folder)))),
    ],
)
def test_pipes_and_devices_among_files_are_refused(tmp_path: Path, name: str, first: Any, device: str | None) -> None:
    (tmp_path / "a").mkdir()
    if device is None:
        os.mkfifo(tmp_path / "a" / name)
    else:
        (tmp_path / "a" / name).symlink_to(device)
    with pytest.raises(ValueError, match=rf"{re.escape(name)} is a pipe or a device; expected a file"):
        first(tmp_path)


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "a"
    for place in (folder / "in", tmp_path / "elsewhere"):
        place.mkdir(parents=True)
        utils.save_img(place / "x.png", np.zeros((2, 2, 3)))
    (folder / "there").symlink_to(tmp_path / "elsewhere")
    for place, target in ((folder, folder), (folder, folder.parent), (tmp_path / "elsewhere", folder)):
        for name in ("back", "again"):
            (place / f"{name}{target.name}").symlink_to(target)
    for links, count in ((True, 2), (False, 1)):
        found = utils.image_dataset_from_directory(folder.parent, follow_links=links, verbose=False)
        assert len(found.file_paths) == count
        assert ImageDataGenerator().flow_from_directory(folder.parent, follow_links=links).samples == count


@pytest.mark.parametrize(("color_mode", "channels"), [("grayscale", 1), ("rgb", 3), ("rgba", 4)])
def test_pictures_of_16_bits_go_to_255(tmp_path: Path, color_mode: str, channels: int) -> None:
    values = np.arange(12, dtype="uint16").reshape(3, 4) * 5000
    Image.fromarray(values).save(tmp_path / "x.png")
    read = {"labels": None, "image_size": (3, 4), "color_mode": color_mode, "interpolation": "nearest"}
    ((found,),) = utils.image_dataset_from_directory(tmp_path, verbose=False, **read)
    np.testing.assert_array_equal(found[:, :, 0], values >> 8)
    assert found.shape == (3, 4, channels) and (channels < 4 or (found[:, :, 3] == 255).all())


@pytest.mark.parametrize("end", [0, 5, 60, 100])
def test_what_is_said_of_a_damaged_picture_names_it(tmp_path: Path, end: int) -> None:
    utils.save_img(tmp_path / "x.png", np.random.RandomState(0).rand(9, 9, 3))
    content = (tmp_path / "x.png").read_bytes()
    (tmp_path / "x.png").write_bytes(content[:end])
    with pytest.raises((OSError, SyntaxError)) as error:
        utils.load_img(tmp_path / "x.png")
    assert str(tmp_path / "x.png") in "".join(traceback.format_exception(error.value)).rpartition("Error")[2]
