"""`tf.lookup`, tensors as bytes, parts of pictures and elements that fail, against what TensorFlow 2.21 gave."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lamina.generations.tensorflow import records


def test_tables_of_keys_and_values(tf: Any) -> None:
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a", "b"], [1, 2]), default_value=-1)
    assert table.lookup(tf.constant([["b"], ["z"]])).tolist() == [[2], [-1]] and int(table.size()) == 2
    assert int(table[tf.constant("a")]) == 1
    assert [int(one) for one in tf.data.Dataset.from_tensor_slices(["a", "c"]).map(table.lookup)] == [1, -1]
    names = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(tf.range(2, dtype=tf.int64), ["x", "y"]), "?")
    assert names.lookup(tf.constant([1, 7])).numpy().tolist() == [b"y", b"?"]


def test_keys_without_a_number_have_one_by_their_hash(tf: Any) -> None:
    places = ["<1H OCEAN", "INLAND", "NEAR OCEAN", "NEAR BAY", "ISLAND"]
    numbers = tf.range(len(places), dtype=tf.int64)
    table = tf.lookup.StaticVocabularyTable(tf.lookup.KeyValueTensorInitializer(places, numbers), 2)
    asked = tf.constant(["NEAR BAY", "DESERT", "INLAND", "INLAND", "JUNGLE", "x"])
    assert table.lookup(asked).tolist() == [3, 5, 1, 1, 6, 5] and int(table.size()) == 7
    pairs = tf.lookup.KeyValueTensorInitializer(tf.constant([10, 20], tf.int64), tf.constant([0, 1], tf.int64))
    assert tf.lookup.StaticVocabularyTable(pairs, 5)[tf.constant([10, 20, 30, 40, 77])].tolist() == [0, 1, 5, 5, 2]


def test_tables_in_lines_of_a_file(tf: Any, tmp_path: Path) -> None:
    path, index = tmp_path / "words.txt", tf.lookup.TextFileIndex
    path.write_text("lake\t20\npalmer\t30\n", "utf-8")
    read = tf.lookup.TextFileInitializer
    table = tf.lookup.StaticHashTable(read(str(path), tf.string, 0, tf.int64, 1), -1)
    assert table.lookup(tf.constant(["palmer", "x", "lake"])).tolist() == [30, -1, 20]
    lines = tf.lookup.StaticHashTable(read(path, tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER), -1)
    assert lines.lookup(tf.constant(["palmer\t30", "x"])).tolist() == [1, -1]


def test_tables_that_change(tf: Any) -> None:
    table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
    table.insert(tf.constant(["a", "b"]), tf.constant([1, 2]))
    table.insert(tf.constant(["b", "c"]), tf.constant([5, 6]))
    table.remove(tf.constant(["a"]))
    assert table.lookup(tf.constant(["a", "b"])).tolist() == [-1, 5] and int(table.size()) == 2
    keys, values = table.export()
    assert keys.numpy().tolist() == [b"b", b"c"] and values.tolist() == [5, 6]


BYTES = {
    "tf.constant([1.0, 2.0])": b'\x08\x01\x12\x04\x12\x02\x08\x02"\x08\x00\x00\x80?\x00\x00\x00@',
    'tf.constant(["a", "bcd"])': b"\x08\x07\x12\x04\x12\x02\x08\x02B\x01aB\x03bcd",
    "tf.zeros((0, 3))": b"\x08\x01\x12\x06\x12\x00\x12\x02\x08\x03",
    "tf.constant(True)": b'\x08\n\x12\x00"\x01\x01',
}


@pytest.mark.parametrize("code", BYTES)
def test_tensors_as_bytes(tf: Any, code: str) -> None:
    tensor = eval(code)
    written = tf.io.serialize_tensor(tensor)
    assert written.numpy() == BYTES[code]
    found = tf.io.parse_tensor(written, tensor.dtype)
    assert found.shape == tensor.shape and found.numpy().tolist() == tensor.numpy().tolist()
    with pytest.raises(ValueError, match="out_type=uint8"):
        tf.io.parse_tensor(written, tf.uint8)


@pytest.mark.parametrize("sizes", [[2**40], [2**62, 2**62], [2**63 - 1], [3], [2, 2], [0]])
def test_tensors_hold_as_many_values_as_their_shape_says(tf: Any, sizes: list[int]) -> None:
    shape = records._field(2, b"".join(records._field(2, b"\x08" + records._varint(size)) for size in sizes))
    for content in (b"", records._field(4, b"\0\0\0\0")):
        if content or sizes != [0]:
            with pytest.raises(ValueError, match=r"bytes are no values of shape"):
                tf.io.parse_tensor(tf.constant(b"\x08\x01" + shape + content), tf.float32)


@pytest.mark.parametrize(
    "size, last",
    [
        ((1, 1), [0.94066, -0.19642, 0.18789, -0.73478, -0.45405, 0.65523]),
        ((3, 3), [1.14472, 0.90159, 0.50249, -0.64305, 0.12967, -0.96696]),
    ],
)
def test_parts_of_pictures(tf: Any, size: tuple[int, int], last: list[float]) -> None:
    image = tf.constant(np.random.RandomState(1).randn(2, 6, 5, 3).astype("float32"))
    boxes = [[0.0, 0.0, 1.0, 1.0], [0.1, 0.2, 0.7, 0.9], [-0.2, 0.1, 1.3, 0.5], [0.8, 0.9, 0.2, 0.1]]
    found = tf.image.crop_and_resize(image, boxes, [0, 1, 1, 0], size, extrapolation_value=7.0)
    np.testing.assert_allclose(found.reshape(-1)[-6:], last, 0, 2e-5)
    assert bool((found[2] == 7.0).any()) is (size == (3, 3))
    near = tf.image.crop_and_resize(image, boxes[:1], [1], (6, 5), "nearest")
    assert near[0].tolist() == image[1].tolist()


def test_elements_that_fail_are_left_out(tf: Any) -> None:
    def checked(x: Any) -> Any:
        return tf.debugging.check_numerics(1.0 / x, "endless")

    dataset = tf.data.Dataset.from_tensor_slices([1.0, 2.0, 0.0, 4.0]).map(checked)
    assert [batch.tolist() for batch in dataset.ignore_errors().batch(2)] == [[1.0, 0.5], [0.25]]
    assert len(list(dataset.apply(tf.data.experimental.ignore_errors()))) == 3


def test_boxes_are_drawn_as_there(tf: Any) -> None:
    """With what lies outside left out, and nothing of boxes whose ends are the wrong way round."""
    boxes = [[[0.1, 0.2, 0.5, 0.9], [-0.2, 0.3, 0.6, 1.4], [0.8, 0.8, 0.2, 0.2]]]
    found = tf.image.draw_bounding_boxes(np.zeros((1, 6, 7, 3), "float32"), boxes, [[1.0, 0, 0], [0, 1.0, 0]]).numpy()
    assert (found[0].argmax(-1) + found[0].any(-1)).tolist() == [
        [0, 2, 1, 1, 1, 1, 0],
        [0, 2, 0, 0, 0, 1, 0],
        [0, 2, 1, 1, 1, 1, 0],
        [0, 2, 2, 2, 2, 2, 2],
        [0] * 7,
        [0] * 7,
    ]
    grey = tf.image.draw_bounding_boxes(np.zeros((1, 4, 4, 1), "float32"), [[[0, 0, 0.4, 0.7], [0.5, 0.5, 2, 2]]], None)
    assert grey.numpy()[0, :, :, 0].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1], [0, 1, 0, 0], [0, 1, 0, 0]]


SEARCHES = {
    "where": (lambda tf, x: tf.where(x > 0), (None, 2), lambda a: np.argwhere(a > 0)),
    "where of rows": (lambda tf, x: tf.where(x[:, 0] > 0)[:, 0], (None,), lambda a: np.flatnonzero(a[:, 0] > 0)),
    "gather": (
        lambda tf, x: tf.gather(x, tf.where(tf.reduce_sum(x, 1) > 0)[:, 0]),
        (None, 3),
        lambda a: a[a.sum(1) > 0],
    ),
    "gather_nd": (lambda tf, x: tf.gather_nd(x, tf.where(x > 0)), (None,), lambda a: a[a > 0]),
    "boolean_mask": (lambda tf, x: tf.boolean_mask(x, x[:, 0] > 0), (None, 3), lambda a: a[a[:, 0] > 0]),
    "boolean_mask of all": (lambda tf, x: tf.boolean_mask(x, x > 0), (None,), lambda a: a[a > 0]),
}


@pytest.mark.parametrize("case", SEARCHES)
def test_what_is_found_in_symbols_has_an_unknown_number_of_rows(tf: Any, case: str) -> None:
    search, shape, expected = SEARCHES[case]
    values = np.random.RandomState(1).randn(4, 3).astype("float32")
    x = tf.keras.Input((3,))
    for outputs in (search(tf, x), tf.keras.layers.Lambda(lambda x: search(tf, x))(x)):
        assert tuple(outputs.shape) == shape
        np.testing.assert_array_equal(tf.keras.Model(x, outputs)(values).numpy(), expected(values))


def test_eigenvalues_are_complex(tf: Any) -> None:
    found = tf.linalg.eigvals(np.array([[[2.0, 1.0], [-1.0, 3.0]]] * 2))
    assert found.dtype == tf.complex128
    np.testing.assert_allclose(np.sort(found.numpy()), np.sort(np.linalg.eigvals([[[2.0, 1.0], [-1.0, 3.0]]] * 2)))
    np.testing.assert_allclose(np.sort(tf.linalg.eig(found.numpy()[0] * np.eye(2))[0]), np.sort(found.numpy()[0]))


# Files of pictures ---------------------------------------------------------------------------------------------------


def _file(pictures: list[Image.Image], kind: str) -> bytes:
    file = io.BytesIO()
    more = {"save_all": True, "append_images": pictures[1:]} if kind == "GIF" else {}
    pictures[0].save(file, kind, **more)
    return file.getvalue()


@pytest.mark.parametrize("channels", [0, 1, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_pictures_of_16_bits(tf: Any, channels: int, dtype: str) -> None:
    values = np.arange(12, dtype="uint16").reshape(3, 4, 1) * 5000
    content = _file([Image.fromarray(values[:, :, 0])], "PNG")
    expected = np.tile(values, (1, 1, channels or 1)) if dtype == "uint16" else np.tile(values >> 8, channels or 1)
    if channels == 4:
        expected[:, :, 3] = 65535 if dtype == "uint16" else 255
    for decode in (tf.io.decode_image, tf.io.decode_png):
        found = decode(content, channels=channels, dtype=getattr(tf, dtype))
        assert found.dtype == dtype
        np.testing.assert_allclose(found.numpy(), expected / 255 if dtype == "float32" else expected, rtol=1e-6)


def test_pictures_of_a_gif(tf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [np.arange(36, dtype="uint8").reshape(3, 4, 3) * k for k in (2, 5, 7)]
    content = _file([Image.fromarray(frame).quantize(64) for frame in frames], "GIF")
    for decode in (tf.io.decode_image, tf.io.decode_gif, tf.image.decode_gif):
        np.testing.assert_array_equal(decode(content).numpy(), frames)
    np.testing.assert_array_equal(
        tf.io.decode_image(content, dtype=tf.uint16).numpy(), np.array(frames) * np.uint16(256)
    )
    for first in (tf.io.decode_image(content, expand_animations=False), tf.io.decode_jpeg(content)):
        np.testing.assert_array_equal(first.numpy(), frames[0])
    assert tf.io.decode_image(_file([Image.fromarray(frames[0]).quantize(64)], "GIF")).shape == (1, 3, 4, 3)
    with pytest.raises(ValueError, match="3 channels"):
        tf.io.decode_gif(content, 1)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 15)  # twice as many are taken
    with pytest.raises(ValueError, match="3 pictures has 36 pixels; expected at most 30"):
        tf.io.decode_gif(content)


@pytest.mark.parametrize("ratio", [1, 2, 4, 8])
def test_jpegs_are_decoded_smaller(tf: Any, ratio: int) -> None:
    steps = np.add.outer(np.arange(40), np.arange(27))[:, :, None] * [1, 2, 3]
    content = _file([Image.fromarray(steps.astype("uint8"))], "JPEG")
    found = tf.io.decode_jpeg(content, ratio=ratio).numpy()
    assert found.shape == (-(-40 // ratio), -(-27 // ratio), 3)
    assert abs(found.mean() - steps.mean()) < 4
    with pytest.raises(ValueError, match="ratio must be 1, 2, 4 or 8; got 3"):
        tf.image.decode_jpeg(content, ratio=3)


def test_transparent_palettes_have_four_channels(tf: Any) -> None:
    picture = Image.new("P", (2, 1), 1)
    picture.putpalette([9, 9, 9, 70, 80, 90])
    picture.putpixel((0, 0), 0)
    picture.info["transparency"] = 0
    assert tf.io.decode_image(_file([picture], "PNG")).tolist() == [[[9, 9, 9, 0], [70, 80, 90, 255]]]
    assert tf.io.decode_image(_file([picture], "PNG"), 3).tolist() == [[[9, 9, 9], [70, 80, 90]]]
