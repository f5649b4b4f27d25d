"""What is compared with the originals in tests/test_preprocessing.py: the same calls on any Keras.

The originals' answers, `golden/preparing.npz`, were made by this function under Keras 1.2.2 and 2.3.1 (with
Keras-Preprocessing 1.1.2, NumPy 1.23, SciPy 1.10) and tf_keras 2.21 (NumPy 2.4, SciPy 1.17), by PYTHONHASHSEED=0.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

OPTIONS: list[dict[str, Any]] = [
    {},
    {"rotation_range": 40},
    {"width_shift_range": 0.2, "height_shift_range": 0.3, "fill_mode": "constant", "cval": 3.0},
    {"shear_range": 0.3, "zoom_range": (0.5, 0.9), "fill_mode": "reflect"},
    {"zoom_range": 0.6, "rotation_range": 80, "fill_mode": "wrap"},
    {"channel_shift_range": 30.0, "vertical_flip": True, "horizontal_flip": True},
    {"samplewise_center": True, "samplewise_std_normalization": True, "rescale": 1 / 255},
    {"featurewise_center": True, "featurewise_std_normalization": True, "rotation_range": 9, "rescale": 0.5},
    {"preprocessing_function": np.sqrt, "rescale": 2.0, "horizontal_flip": True},
]
NEWER: list[dict[str, Any]] = [
    {"width_shift_range": 2, "height_shift_range": [-2, 0, 4]},
    {"width_shift_range": 1.5, "height_shift_range": [0.1, 0.2]},
    {"brightness_range": (0.5, 1.5)},
    {"rotation_range": 30, "interpolation_order": 0, "dtype": "float64"},
]
MODES = ("random_rotation", 30), ("random_shear", 0.4), ("random_zoom", (0.5, 1.2)), ("random_shift", 0.3, 0.2)
TEXTS = [
    "The cat sat on the mat.",
    "the dog ATE my homework!",
    "",
    "a, b; the the a cat",
    "Ünïcode\twith tabs, the cat's",
]


def pictures(folder: Path) -> None:
    """Small pictures in three classes, the same everywhere."""
    from PIL import Image

    rng = np.random.RandomState(0)
    for name, count in (("a", 3), ("b", 2), ("c", 4)):
        (folder / name / "deep").mkdir(parents=True)
        for i in range(count):
            picture = Image.fromarray((rng.rand(5, 6, 4 if i == 1 else 3) * 255).astype("uint8"))
            picture.save(folder / name / ("deep" if i == 2 else "") / f"{name}{i}.png")
    (folder / "a" / "notes.txt").write_text("no picture")


def answers(image: Any, text: Any, sequence: Any, generation: str, folder: Path, pandas: Any) -> Iterator[tuple]:
    """(name, value) of every answer of one generation's three modules."""
    first = generation == "keras1"
    rng = np.random.RandomState(7)
    x = (rng.rand(5, 6, 5, 3) * 255).astype("float32")
    y = rng.randint(0, 4, 5)
    for i, options in enumerate([*OPTIONS, *([] if first else NEWER)]):
        for last in (True,) if "brightness_range" in options else (True, False):
            order = {"dim_ordering": "tf" if last else "th"} if first else {}
            order = order or {"data_format": "channels_last" if last else "channels_first"}
            data = x if last else np.ascontiguousarray(x.transpose(0, 3, 1, 2))
            generator = image.ImageDataGenerator(**options, **order)
            generator.fit(data.copy(), augment=i % 2 == 0, rounds=2, seed=5)
            for seed, size in ((None, 5), (4, 3)):
                np.random.seed(1)
                flow = generator.flow(data.copy(), y, batch_size=size, seed=seed)
                for k in range(2):
                    for j, part in enumerate(next(flow)):
                        yield f"flow {i} {last} {seed} {k} {j}", part
    yield from _functions(image, first, x[0])
    yield from _files(image, first, folder)
    if not first:
        yield from _frames(image, folder, pandas) if pandas else ()
        yield from _several(image, x, y)
    yield from _texts(text, first)
    yield from _sequences(sequence, first)


def _functions(image: Any, first: bool, x: np.ndarray) -> Iterator[tuple]:
    axes = {"row_axis": 0, "col_axis": 1, "channel_axis": 2}
    for fill in ("nearest", "constant", "reflect", "wrap"):
        for name, *given in MODES:
            np.random.seed(2)
            yield f"{name} {fill}", getattr(image, name)(x, *given, fill_mode=fill, cval=9.0, **axes)
    np.random.seed(2)
    yield "random_channel_shift", image.random_channel_shift(x, 20.0, 2)
    if not first:
        yield "random_brightness", image.random_brightness(x, (0.3, 1.4))
        yield "apply_brightness_shift", image.apply_brightness_shift(x - 40, 1.3)
        yield "apply_channel_shift", image.apply_channel_shift(x, 9.5, 2)
        yield "apply_affine_transform", image.apply_affine_transform(x, 20, 1.5, -2, 10, 1.2, 0.8, **axes)
    for shift in (-40, 40):
        yield f"array_to_img {shift}", np.array(image.array_to_img(x + shift))


def _files(image: Any, first: bool, folder: Path) -> Iterator[tuple]:
    for mode in ("categorical", "sparse", None, *(() if first else ("input",))):
        for color in ("rgb", "grayscale", *(() if first else ("rgba",))):
            np.random.seed(6)
            flow = image.ImageDataGenerator(rotation_range=30).flow_from_directory(
                str(folder), target_size=(4, 5), class_mode=mode, color_mode=color, batch_size=4, shuffle=not first
            )
            for k in range(2):
                batch = next(flow)
                # the order of files within a folder was the system's in Keras 1
                for j, part in enumerate(batch if isinstance(batch, tuple) else (batch,)):
                    yield f"folder {mode} {color} {k} {j}", np.shape(part) if first and j == 0 else part
            yield (
                f"folder {mode} {color}",
                json.dumps([flow.class_indices, sorted(flow.filenames), list(map(int, flow.classes))]),
            )


def _frames(image: Any, folder: Path, pandas: Any) -> Iterator[tuple]:
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.png"))
    count = len(names) + 1
    table = pandas.DataFrame({"filename": [*names, "nowhere.png"], "class": [*(name[0] for name in names), "a"]})
    table["v"], table["w"] = np.arange(count) / 2, np.arange(count) * 1.0
    table["multi"] = [[label, "z"] if i % 2 else [label] for i, label in enumerate(table["class"])]
    kinds = [("categorical", "class"), ("categorical", "multi"), ("sparse", "class"), ("raw", "v"), ("raw", ["v", "w"])]
    for mode, column in [*kinds, ("multi_output", ["v", "w"]), ("input", "class"), (None, "class")]:
        for subset in (None, "training", "validation"):
            for classes in (None, ["b", "a"]):
                np.random.seed(8)
                generator = image.ImageDataGenerator(validation_split=0.3, rotation_range=5)
                flow = generator.flow_from_dataframe(
                    table, str(folder), y_col=column, weight_col="w", class_mode=mode, classes=classes, subset=subset,
                    batch_size=3, target_size=(3, 3),
                )  # fmt: skip
                batch = next(flow)
                for j, part in enumerate(batch if isinstance(batch, tuple) else (batch,)):
                    yield f"table {mode} {column} {subset} {classes} {j}", np.stack(part)
                yield f"table {mode} {column} {subset} {classes}", json.dumps(getattr(flow, "class_indices", None))


def _several(image: Any, x: np.ndarray, y: np.ndarray) -> Iterator[tuple]:
    np.random.seed(0)
    flow = image.ImageDataGenerator(rotation_range=3).flow((x, [y, y * 2.0]), y, sample_weight=y / 3.0, batch_size=3)
    for k, index in enumerate((1, 0, 1)):
        inputs, targets, weights = flow[index]
        for j, part in enumerate((*inputs, targets, weights)):
            yield f"several {k} {j}", part
    flow.on_epoch_end()
    yield "several again", flow[0][1]
    for subset in ("training", "validation"):
        flow = image.ImageDataGenerator(validation_split=0.4).flow(x, np.array([0, 1, 0, 1, 0]), subset=subset)
        yield f"part {subset}", next(flow)[1]


def _texts(text: Any, first: bool) -> Iterator[tuple]:
    newer: list[dict[str, Any]] = [] if first else [{"oov_token": "?"}, {"oov_token": "?", "char_level": True}]
    choices: list[dict[str, Any]] = [{}, {"char_level": True}, {"lower": False}, {"filters": ""}, {"split": ","}]
    for i, options in enumerate([*choices, *newer]):
        for count in (None, 4):
            tokenizer = text.Tokenizer(count, **options)
            tokenizer.fit_on_texts(TEXTS[:3])
            tokenizer.fit_on_texts(TEXTS)
            told = [tokenizer.word_index, dict(tokenizer.word_counts), sorted(tokenizer.word_docs.items())]
            told += [sorted(tokenizer.index_docs.items()), tokenizer.document_count]
            yield f"tokens {i} {count}", json.dumps([*told, tokenizer.texts_to_sequences([*TEXTS, "zebra the cat"])])
            for mode in ("binary", "count", "freq", "tfidf"):
                yield f"tokens {i} {count} {mode}", tokenizer.texts_to_matrix([*TEXTS[:3], "zebra cat the"], mode)
            tokenizer.fit_on_sequences([[1, 2, 2], [3]])
            yield (
                f"tokens {i} {count} again",
                json.dumps([sorted(tokenizer.index_docs.items()), tokenizer.document_count]),
            )
            if not first:
                config = json.loads(tokenizer.to_json())["config"]
                config = {key: value for key, value in config.items() if not key.endswith("docs")}
                yield (
                    f"tokens {i} {count} json",
                    json.dumps([config, tokenizer.sequences_to_texts([[1, 2, 99, 5], []])]),
                )
                same = text.tokenizer_from_json(tokenizer.to_json())
                yield f"tokens {i} {count} read", json.dumps([same.texts_to_sequences(TEXTS), same.word_index])
    words = [
        text.text_to_word_sequence(each, lower=low, split=part) for each in TEXTS for low in (1, 0) for part in " a"
    ]
    yield "words", json.dumps(words)
    if not first:
        yield "md5", text.hashing_trick("a b c The cat", 50, "md5")
        yield "len", text.hashing_trick("a b c The cat", 50, len)


def _sequences(sequence: Any, first: bool) -> Iterator[tuple]:
    table = sequence.make_sampling_table(10, 1e-1)
    yield "table", table
    choices: list[dict[str, Any]] = [{}, {"window_size": 2}, {"negative_samples": 2.5}, {"negative_samples": 0.0}]
    choices += [{"shuffle": False}, {"categorical": True}, {"sampling_table": table}, *([] if first else [{"seed": 4}])]
    for i, options in enumerate(choices):
        random.seed(3)
        pairs = sequence.skipgrams([1, 5, 3, 0, 2, 9, 4, 4, 7, 1], 10, **options)
        yield f"skipgrams {i}", json.dumps([*pairs, random.random()])
    for i, options in enumerate(({}, {"maxlen": 2}, {"maxlen": 5, "padding": "post", "value": -1.0})):
        yield f"padded {i}", sequence.pad_sequences([[1, 2, 3], [], [4]], **options)
    if first:
        return
    data = np.arange(30.0)[:, None]
    choices = [{}, {"sampling_rate": 2}, {"stride": 3}, {"start_index": 5, "end_index": 20}]
    for i, options in enumerate([*choices, {"reverse": True}, {"shuffle": True}]):
        series = sequence.TimeseriesGenerator(data, data * 2, length=6, batch_size=4, **options)
        np.random.seed(1)
        for k in range(len(series)):
            for j, part in enumerate(series[k]):
                yield f"series {i} {k} {j}", part
        yield f"series {i}", json.dumps(json.loads(series.to_json()), sort_keys=True)
