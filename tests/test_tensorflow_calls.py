"""Calls of the stand-in for TensorFlow against what TensorFlow 2.21 gave for them: value, number type and shape."""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

CALLS = json.loads(lzma.decompress((Path(__file__).parent / "golden" / "tensorflow_calls.json.xz").read_bytes()))


def run(program: str) -> Any:
    """What a program leaves under the name `r`."""
    names = {"tf": sys.modules["tensorflow"], "np": np}
    exec(program, names)
    return names["r"]


def differs(found: Any, recorded: Any) -> str:
    """How a result differs from what was recorded; nothing where it does not."""
    kind, *told = recorded
    if kind == "seq":
        if len(found) != len(told[0]):
            return f"{len(found)} parts, not {len(told[0])}"
        return next((why for why in map(differs, found, told[0]) if why), "")
    if kind == "dict":
        return next((why for key in told[0] if (why := differs(found[key], told[0][key]))), "")
    if kind == "shape":
        return "" if list(found) == told[0] else f"shape {found}"
    if kind == "dtype":
        return "" if found.name == told[0] else f"type {found}"
    if kind == "py":
        found = found.decode() if isinstance(found, bytes) else found
        return "" if found == told[0] or np.isclose(found, told[0]) else repr(found)
    dtype, shape, values = told
    array = np.asarray(found.numpy() if hasattr(found, "numpy") else found)
    if dtype == "string":
        texts = [item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item) for item in array.flat]
        return "" if (list(array.shape), texts) == (shape, values) else repr(found)
    expected = np.array(values, np.dtype(dtype[:-2] if dtype == "complex" else "float64"))
    if dtype.startswith("complex"):
        expected, array = expected.reshape(*shape, 2), np.stack([array.real, array.imag], -1).astype("float64")
    elif str(array.dtype) != dtype:
        return f"type {array.dtype}, not {dtype}"
    near = 1e-2 if dtype == "float16" else 2e-5
    if array.shape != (*shape, 2)[: array.ndim]:
        return f"shape {array.shape}, not {tuple(shape)}"
    return "" if np.allclose(array.astype("float64"), expected.reshape(array.shape), near, near, True) else repr(found)


@pytest.mark.filterwarnings("ignore:(std|var)")
@pytest.mark.parametrize("group", CALLS)
def test_calls(tf: Any, group: str) -> None:
    wrong = {}
    for call, recorded in CALLS[group].items():
        try:
            why = differs(eval(call, {"tf": tf, "np": np, "run": run}), recorded)
        except Exception as error:  # which says more beside the call
            why = repr(error)
        if why:
            wrong[call] = why
    assert not wrong, f"{len(wrong)} of {len(CALLS[group])} differ"


def test_lists_beside_variables_are_tensors(tf: Any) -> None:
    """A variable of one whole number is no count that a list is repeated by."""
    for two in (tf.Variable(2), tf.constant(2)):
        assert (two * [3, 4]).numpy().tolist() == ([3, 4] * two).numpy().tolist() == [6, 8]


def test_one_value_is_a_number(tf: Any) -> None:
    names = {"tf": tf}
    exec("kinds = {tf.constant(3).numpy(): 1, tf.Variable(2.0).numpy(): 2}; kind = tf.constant([3]).dtype.name", names)
    assert names["kinds"] == {3: 1, 2.0: 2} and names["kind"] == "int32"


def test_a_signature_says_what_numbers_become(tf: Any) -> None:
    """In a method, too, of which fewer arguments are given."""

    class Doubling:
        factor = 2

        @tf.function(input_signature=(tf.TensorSpec([], tf.float32), tf.TensorSpec([], tf.int32)))
        def __call__(self, x: Any, more: int = 1) -> Any:
            return self.factor * x + more

    found = Doubling()(3), Doubling()(3, 2)
    assert [(each.dtype, each.item()) for each in found] == [(torch.float32, 7), (torch.float32, 8)]


# As TensorFlow 2.21 wrote it: `Example`s of whole numbers, of bytes that are no text, of floats.
RECORDS = Path(__file__).parent / "golden" / "files" / "three.tfrecord.gz"


def test_records(tf: Any, tmp_path: Path) -> None:
    spec = {
        "a": tf.io.FixedLenFeature([3], tf.int64), "b": tf.io.FixedLenFeature([], tf.string),
        "c": tf.io.FixedLenFeature([2], tf.float32), "d": tf.io.VarLenFeature(tf.string),
        "z": tf.io.FixedLenFeature([], tf.int64, default_value=7),
    }  # fmt: skip
    theirs = tf.data.TFRecordDataset(str(RECORDS), "GZIP")
    path = tmp_path / "own.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in theirs:
            example = tf.train.Example.FromString(record.numpy())
            writer.write(example.SerializeToString())
    for records in (theirs, tf.data.TFRecordDataset([str(path)])):
        rows = list(records.map(lambda record: tf.io.parse_single_example(record, spec)))
        assert len(rows) == 3
        assert [rows[0][key].numpy().tolist() for key in "acdz"] == [[1, -2, 3], [0.5, 1.25], [b"hi", b"yo"], 7]
        assert rows[0]["b"].numpy() == b"\xff\xfexyz"
        (batch,) = records.batch(3).map(lambda batch: tf.io.parse_example(batch, spec))
        assert batch["a"].shape == (3, 3) and batch["d"].shape == (3, 2)
        assert tf.sparse.to_dense(batch["d"], default_value=b"").numpy().tolist() == batch["d"].numpy().tolist()
        filled = [[text or b"-" for text in row] for row in batch["d"].numpy().tolist()]
        assert tf.sparse.to_dense(batch["d"], default_value=b"-").numpy().tolist() == filled
    with pytest.raises(ValueError, match="no 'y'"):
        tf.io.parse_single_example(record, {"y": tf.io.FixedLenFeature([], tf.int64)})
    with pytest.raises(ValueError, match="'a' is told to be of string"):
        tf.io.parse_single_example(record, {"a": tf.io.FixedLenFeature([3], tf.string)})
    damaged = bytearray(path.read_bytes())
    damaged[20] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(OSError, match="damaged"):
        list(tf.data.TFRecordDataset(str(path)))


def test_lines_of_fields(tf: Any, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text('a,b,c\n1,2.5,"x,y"\n3,,z\n')
    rows = list(tf.data.experimental.CsvDataset(str(path), [tf.int32, 1.5, ""], header=True))
    assert [[part.numpy() for part in row] for row in rows] == [[1, 2.5, b"x,y"], [3, 1.5, b"z"]]
    for kind in (tf.float32, tf.string):
        with pytest.raises(ValueError, match="field 1 is empty"):
            tf.io.decode_csv(["1,"], [0, tf.constant([], kind)])


def test_columns_of_files(tf: Any, tmp_path: Path) -> None:
    """What TensorFlow 2.21 made of these."""
    (tmp_path / "1.csv").write_text('a,b,c,d\n1,2.5,x,5000000000\n,,"y,z",1\n3,1e3,,2\n')
    (tmp_path / "2.csv").write_text("a,b,c,d\n7,2,x,5\n")

    def columns(pattern: str, **how: Any) -> Any:
        (batch,) = tf.data.experimental.make_csv_dataset(str(tmp_path / pattern), 4, num_epochs=1, shuffle=False, **how)
        given, *label = batch if isinstance(batch, tuple) else (batch,)
        arrays = {key: column.numpy() for key, column in given.items()}
        return {key: (str(x.dtype), x.tolist()) for key, x in arrays.items()}, *(x.numpy().tolist() for x in label)

    assert columns("?.csv") == (
        {
            "a": ("int32", [1, 0, 3, 7]), "b": ("float32", [2.5, 0, 1000, 2]),
            "c": ("object", [b"x", b"y,z", b"", b"x"]), "d": ("int64", [5000000000, 1, 2, 5]),
        },
    )  # fmt: skip
    assert columns("1.csv", select_columns=["a", "c"], label_name="c") == (
        {"a": ("int32", [1, 0, 3])}, [b"x", b"y,z", b""],
    )  # fmt: skip
    assert columns("1.csv", column_defaults=[[9], 0.5, "?", [1.0]], na_value="x")[0] == {
        "a": ("int32", [1, 9, 3]), "b": ("float32", [2.5, 0.5, 1000]), "c": ("object", [b"?", b"y,z", b"?"]),
        "d": ("float32", [5000000000, 1, 2]),
    }  # fmt: skip
    with pytest.raises(ValueError, match="column 'c' is empty in a line"):
        columns("1.csv", column_defaults=[0, 0.5, tf.string, tf.int64])
    with pytest.raises(FileNotFoundError, match="no file matches"):
        columns("no*.csv")
    lines = tf.data.TextLineDataset([str(tmp_path / "2.csv")], compression_type="", buffer_size=8)
    assert [line.numpy() for line in lines] == [b"a,b,c,d", b"7,2,x,5"]


def test_what_a_checkpoint_is_given_later_is_saved(tf: Any, tmp_path: Path) -> None:
    saved = tf.train.Checkpoint()
    saved.step, saved.listed = tf.Variable(3), [tf.Variable(1.0), tf.Variable(2.0)]
    path = saved.save(str(tmp_path / "ckpt"))
    other = tf.train.Checkpoint(step=tf.Variable(0))
    other.listed = [tf.Variable(0.0), tf.Variable(0.0)]
    other.restore(path).assert_consumed()
    assert other.step.numpy() == 3 and [one.numpy() for one in other.listed] == [1, 2]
    part = tf.train.Checkpoint(step=tf.Variable(0)).restore(path)
    with pytest.raises(AssertionError, match="listed"):
        part.assert_consumed()
