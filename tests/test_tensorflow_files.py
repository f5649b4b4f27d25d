"""TensorFlow's checkpoints and SavedModels are read without TensorFlow: values, training that goes on, safety."""

from __future__ import annotations

import re
import shutil
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lamina
from lamina import tf_keras
from lamina.files import object_graph
from lamina.files.bundle import Bundle, unsnapped
from lamina.files.crc32c import crc32c
from lamina.generations import tensorflow
from lamina.saving import read_checkpoint

RECORDED = Path(__file__).parent / "golden" / "files" / "tensorflow"
tf = tensorflow.NAMES
BOTH = pytest.mark.parametrize("keras", [lamina, tf_keras], ids=["lamina", "tf_keras"])


def recorded(name: str) -> dict[str, np.ndarray]:
    return dict(np.load(RECORDED / f"{name}.npz"))


def several(stored: dict[str, np.ndarray], word: str) -> Any:
    found = [stored[f"{word}{index}"] for index in range(9) if f"{word}{index}" in stored]
    return found[0] if len(found) == 1 else found


def assert_predicts(model: Any, x: Any, expected: Any) -> None:
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-5)


# Values ---------------------------------------------------------------------------------------------------------------


def test_checksums_agree_with_their_definition() -> None:
    def plain(data: bytes) -> int:
        register = 0xFFFFFFFF
        for byte in data:
            register ^= byte
            for _ in range(8):
                register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
        return register ^ 0xFFFFFFFF

    assert crc32c(b"123456789") == 0xE3069283
    data = np.random.default_rng(0).integers(0, 256, 9000, np.uint8).tobytes()
    for size in (*range(10), 63, 64, 65, 127, 128, 1000, 4096, 9000):
        assert crc32c(data[:size]) == plain(data[:size])


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("session/model.ckpt", "session"),
        ("session/model.ckpt.index", "session"),
        ("session/model.ckpt.data-00000-of-00001", "session"),
        ("first.ckpt", "first"),  # the first version, one file
    ],
)
def test_arrays_of_every_type_and_in_slices(path: str, name: str) -> None:
    found, expected = read_checkpoint(RECORDED / path), recorded(name)
    assert set(found) == set(expected)
    for name, value in expected.items():
        got = found[name].astype("S") if found[name].dtype == object else found[name]
        assert (got.dtype, got.shape) == (value.dtype, value.shape)
        np.testing.assert_array_equal(got, value, err_msg=name)


def test_weights_of_the_first_version() -> None:
    model = lamina.Sequential([lamina.Input((2,)), lamina.layers.Dense(3, use_bias=False, name="dense_1")])
    model.load_weights(RECORDED / "first.ckpt")
    np.testing.assert_array_equal(model.get_weights()[0], recorded("first")["dense_1/kernel"])


@pytest.mark.parametrize("place", [0, 100, 200, 300, 400, 500])
def test_a_spoiled_first_version_is_refused(place: int, tmp_path: Path) -> None:
    data = bytearray((RECORDED / "first.ckpt").read_bytes())
    data[place] ^= 9
    (tmp_path / "x.ckpt").write_bytes(data)
    with pytest.raises(ValueError, match=r"x\.ckpt"):
        dict(read_checkpoint(tmp_path / "x.ckpt"))


def test_a_folder_of_a_saved_model_is_a_checkpoint() -> None:
    found = read_checkpoint(RECORDED / "nested")
    assert any(name.endswith("kernel/.ATTRIBUTES/VARIABLE_VALUE") for name in found)
    with pytest.raises(KeyError):
        found["nothing"]
    with pytest.raises(FileNotFoundError, match=r"no file none\.index"):
        read_checkpoint(RECORDED / "none")


# Models ---------------------------------------------------------------------------------------------------------------

MODELS = ["nested", "norms", "opt_ladam", "stacked"]  # `norms` in the form of TensorFlow 2.0 to 2.4


@pytest.mark.parametrize("file", ["", "saved_model.pb"])
@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_predicts_and_trains_on(name: str, file: str) -> None:
    stored = recorded(name)
    model = lamina.load_model(RECORDED / name / file)
    x, y = several(stored, "x"), several(stored, "y")
    assert_predicts(model, x, several(stored, "p"))
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), stored["ev"], rtol=1e-5)
    np.testing.assert_allclose(model.train_on_batch(x, y), stored["nxt"], rtol=1e-5)
    assert_predicts(model, x, several(stored, "q"))


@pytest.mark.filterwarnings("ignore:The model has no trainable weights")
@pytest.mark.parametrize("name", ["learned", "stateful", "nothing_to_train"])  # "learned": of an unknown size
def test_a_saved_model_goes_on_from_what_layers_kept(name: str) -> None:
    stored = recorded(name)
    model = lamina.load_model(RECORDED / name)
    assert_predicts(model, stored["x0"], stored["p0"])
    loss = model.train_on_batch(stored["x0"], np.zeros_like(stored["p0"]))
    np.testing.assert_allclose(loss, stored["nxt"], rtol=1e-5)
    assert_predicts(model, stored["x0"], stored["q0"])


def test_a_learned_vocabulary_with_its_weights() -> None:
    stored = recorded("words")
    model = tf_keras.models.load_model(RECORDED / "words")
    assert_predicts(model, stored["x"], stored["p"])


def test_without_compiling() -> None:
    assert lamina.load_model(RECORDED / "nested", compile=False).optimizer is None


def net(keras: Any) -> Any:
    class Own(keras.layers.Layer):
        def __init__(self, n: int):
            super().__init__()
            self.n = n

        def build(self, shape: Any) -> None:
            self.w = self.add_weight(name="weight_of_mine", shape=(int(shape[-1]), self.n))
            self.shift = self.add_weight(name="sh", shape=(self.n,))
            super().build(shape)

        def call(self, x: Any) -> Any:
            return x @ self.w + self.shift

    class Encoder(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.seqs = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(3)])
            self.own = Own(2)

        def call(self, x: Any) -> Any:
            return self.own(self.seqs(x))

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.enc, self.out = Encoder(), keras.layers.Dense(1)

        def call(self, x: Any) -> Any:
            return self.out(self.enc(x))

    model = Net()
    model(torch.zeros(1, 8))
    return model


@BOTH
@pytest.mark.parametrize("prefix", ["w", "ck-1"])  # by `save_weights`, and a part of a tf.train.Checkpoint
def test_weights_of_an_own_class_and_its_optimizer(keras: Any, prefix: str) -> None:
    stored = recorded("own")
    model = net(keras)
    model.compile(keras.optimizers.Adam(0.5), "mse")
    model.load_weights(RECORDED / "own" / prefix)
    assert_predicts(model, stored["x0"], stored["p0"])
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01)
    model.train_on_batch(stored["x0"], stored["y0"])
    assert_predicts(model, stored["x0"], stored["q0"])


@pytest.mark.parametrize("inside", [False, True])
def test_the_optimizer_below_a_part_of_a_checkpoint(inside: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `tf.train.Checkpoint(model=model)` writes it, or in a list of that."""
    read = object_graph.nodes_of

    def nodes_of(bundle: Any) -> list[object_graph.Node]:
        root, *others = read(bundle) or []
        below = [root, object_graph.Node({"0": len(others) + 1}, {}, [])] if inside else [root]
        return [object_graph.Node({"model": len(others) + len(below)}, {}, []), *others, *below]

    monkeypatch.setattr(object_graph, "nodes_of", nodes_of)
    stored, model = recorded("own"), net(tf_keras)
    model.compile(tf_keras.optimizers.Adam(0.5), "mse")
    tf["train.Checkpoint"](model=[model] if inside else model).restore(RECORDED / "own" / "w")
    model.train_on_batch(stored["x0"], stored["y0"])
    assert_predicts(model, stored["x0"], stored["q0"])


@pytest.mark.parametrize("name", ["v3", "legacy"])
def test_the_state_of_an_optimizer_that_scales_the_loss(name: str) -> None:
    stored, home = recorded("scaled"), tf_keras.optimizers if name == "v3" else tf_keras.optimizers.legacy
    model = tf_keras.Sequential([tf_keras.layers.Dense(2, input_shape=(3,)), tf_keras.layers.Dense(1)])
    inner = home.SGD(0.5, momentum=0.9)
    scaling = tf_keras.mixed_precision.LossScaleOptimizer(inner, initial_scale=2.0, dynamic_growth_steps=3)
    model.compile(scaling, "mse")
    model.load_weights(RECORDED / "scaled" / name)
    assert_predicts(model, stored["x0"], stored["p0"])
    assert (float(scaling.loss_scale), int(scaling.dynamic_counter)) == (stored["scale"], stored["count"])
    assert int(scaling.iterations) == 4 and float(scaling.learning_rate) == pytest.approx(0.1)
    model.train_on_batch(stored["x0"], stored["y0"])
    assert_predicts(model, stored["x0"], stored["q0"])


def test_a_file_of_ones_own_comes_before_a_checkpoint_of_that_name(tmp_path: Path) -> None:
    shutil.copytree(RECORDED / "own", tmp_path / "own")
    model = net(tf_keras)
    model.save_weights(tmp_path / "own" / "w")
    before = model.get_weights()
    model.load_weights(tmp_path / "own" / "w")
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_names_of_a_session(tmp_path: Path) -> None:
    weights = [np.float32([[1], [2]]), np.float32([3])]
    written(tmp_path, {"first/kernel": weights[0], "first/bias": weights[1]})
    model = tf_keras.Sequential([tf_keras.layers.Dense(1, input_shape=(2,), name="first")])
    model.load_weights(tmp_path / "m")
    for one, other in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)
    other_name = tf_keras.Sequential([tf_keras.layers.Dense(1, input_shape=(2,), name="second")])
    with pytest.raises(ValueError, match=r"none for '.*second/kernel'; it has first/bias, first/kernel"):
        other_name.load_weights(tmp_path / "m")


# tf.train -------------------------------------------------------------------------------------------------------------


def test_a_checkpoint_of_two_models_and_two_optimizers_trains_on() -> None:
    layers, optimizers = tf_keras.layers, tf_keras.optimizers
    generator = tf_keras.Sequential([layers.Dense(4, input_shape=(3,))])
    discriminator = tf_keras.Sequential([layers.Dense(1, input_shape=(4,))])
    first, second = optimizers.Adam(0.5), optimizers.legacy.Adam(0.7)
    step = tf["Variable"](0, dtype="int64", trainable=False)
    checkpoint = tf["train.Checkpoint"](
        generator=generator, discriminator=discriminator, generator_optimizer=first, discriminator_optimizer=second,
        step=step,
    )  # fmt: skip
    last = tf["train.latest_checkpoint"](RECORDED / "gan")
    assert last == str(RECORDED / "gan" / "ckpt-3")
    assert tf["train.CheckpointManager"](checkpoint, RECORDED / "gan").latest_checkpoint == last
    checkpoint.restore(last).assert_consumed()
    assert (int(step), int(checkpoint.save_counter), int(first.iterations), int(second.iterations)) == (7, 3, 3, 3)
    x, stored = torch.ones(2, 3), recorded("gan")
    np.testing.assert_allclose(discriminator(generator(x)).detach(), stored["p"], rtol=1e-5)
    with tf["GradientTape"](persistent=True) as tape:
        losses = (discriminator(generator(x)) ** 2).mean(), ((discriminator(generator(x)) - 1) ** 2).mean()
    for optimizer, loss, model in zip((first, second), losses, (generator, discriminator), strict=True):
        optimizer.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True)
        )
    np.testing.assert_allclose(discriminator(generator(x)).detach(), stored["q"], rtol=1e-5)


def test_the_last_checkpoint_is_told_by_a_text(tmp_path: Path) -> None:
    assert tf["train.latest_checkpoint"](tmp_path) is None
    written(tmp_path, {"x": np.float32([1])}).with_suffix(".index").rename(tmp_path / "ä m.index")
    for name, found in ((r"\303\244 m", "ä m"), ("ä m", "ä m"), ("none", None), (r"\8x", None)):
        (tmp_path / "checkpoint").write_text(f'model_checkpoint_path: "{name}"\n', "utf-8")
        assert tf["train.latest_checkpoint"](tmp_path) == (found and str(tmp_path / found))


def test_restoring_says_what_does_not_fit() -> None:
    model = tf_keras.Sequential([tf_keras.layers.Dense(4, input_shape=(5,))])
    before = model.get_weights()
    for parts, message in (
        ({"nobody": model}, "it has no part 'nobody'; it has .*generator"),
        ({"generator": model}, r"expected shape \(5, 4\) for kernel; the checkpoint has \(3, 4\)"),
    ):
        with pytest.raises(ValueError, match=message):
            tf["train.Checkpoint"](**parts).restore(RECORDED / "gan" / "ckpt-3")
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_model_without_weights_takes_them_when_it_has_some() -> None:
    """The whole checkpoint, then: the optimizer's state goes by the weights."""
    whole, waiting, misfit = (tf_keras.Sequential([tf_keras.layers.Dense(units)]) for units in (4, 4, 5))
    whole.build((None, 3))
    for model in (whole, waiting, misfit):
        tf["train.Checkpoint"](generator=model).restore(RECORDED / "gan" / "ckpt-3")
    assert not waiting.built
    waiting(np.ones((1, 3), "float32"))
    for one, other in zip(whole.get_weights(), waiting.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match=r"expected shape \(3, 5\) for kernel; the checkpoint has \(3, 4\)"):
        misfit(np.ones((1, 3), "float32"))


def test_listing_and_reading_by_name() -> None:
    path = RECORDED / "session" / "model.ckpt"
    expected = recorded("session")
    assert dict(tf["train.list_variables"](path)) == {name: list(value.shape) for name, value in expected.items()}
    np.testing.assert_array_equal(tf["train.load_variable"](path, "rows:0"), expected["rows"])
    reader = tf["train.load_checkpoint"](path)
    assert reader.has_tensor("scalar") and not reader.has_tensor("none")
    assert reader.get_variable_to_dtype_map()["v_bfloat16"] == "bfloat16"
    with pytest.raises(ValueError, match="no tensor 'none'"):
        reader.get_tensor("none")
    assert isinstance(tf["train.load_variable"](RECORDED / "gan", "_CHECKPOINTABLE_OBJECT_GRAPH"), bytes)


# What does not fit ----------------------------------------------------------------------------------------------------


def test_what_is_no_model_of_keras_says_so() -> None:
    with pytest.raises(ValueError, match=r"says nothing of Keras' layers.*never run.*read_checkpoint"):
        lamina.load_model(RECORDED / "exported")


def _renamed(tmp_path: Path, old: bytes, new: bytes) -> Path:
    """A copy with one text for another of its length in the metadata."""
    assert len(old) == len(new)
    folder = shutil.copytree(RECORDED / "nested", tmp_path / "nested")
    path = folder / "keras_metadata.pb"
    path.write_bytes(path.read_bytes().replace(old, new))
    return folder


def test_a_class_of_ones_own_is_asked_for(tmp_path: Path) -> None:
    folder = _renamed(tmp_path, b'"class_name": "Functional"', b'"class_name": "MySpecials"')
    with pytest.raises(ValueError, match=r"class 'MySpecials', which is yours\. Pass it as\s+custom_objects="):
        lamina.load_model(folder)
    model = lamina.load_model(folder, custom_objects={"MySpecials": tf_keras.models.Functional})
    assert_predicts(model, recorded("nested")["x0"], recorded("nested")["p0"])


def test_weights_of_other_shapes_change_nothing() -> None:
    model = tf_keras.Sequential([tf_keras.layers.Dense(3, input_shape=(8,)), tf_keras.layers.Dense(1)])
    before = model.get_weights()
    path = RECORDED / "opt_ladam"
    with pytest.raises(ValueError, match=r"expected shape \(8, 3\) for kernel; the checkpoint has \(8, 4\)"):
        model.load_weights(path)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    fitting = tf_keras.Sequential([tf_keras.layers.Dense(4, input_shape=(8,)), tf_keras.layers.Dense(2)])
    with pytest.warns(UserWarning, match=r"expected shape \(4, 2\) for kernel.*left as they are"):
        fitting.load_weights(path, skip_mismatch=True)
    expected = read_checkpoint(path)["layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE"]
    np.testing.assert_array_equal(fitting.get_weights()[0], expected)
    with pytest.raises(ValueError, match="neither `by_name`"):
        model.load_weights(path, by_name=True)


def test_a_layer_that_the_model_lacks_is_told() -> None:
    model = tf_keras.Sequential([tf_keras.layers.Dense(4, input_shape=(8,))])
    with pytest.raises(ValueError, match=r"layer_with_weights-1/kernel: stored, but the model has no such layer"):
        model.load_weights(RECORDED / "opt_ladam")


def test_a_pointer_in_place_of_a_file(tmp_path: Path) -> None:
    folder = shutil.copytree(RECORDED / "nested", tmp_path / "nested")
    (folder / "keras_metadata.pb").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(ValueError, match=r"a pointer of Git LFS.*git lfs pull"):
        lamina.load_model(folder)


# Hostile files --------------------------------------------------------------------------------------------------------


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    found = b""
    while number > 127:
        found, number = found + bytes([number & 127 | 128]), number >> 7
    return found + bytes([number])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def masked(data: bytes) -> bytes:
    checksum = crc32c(data)
    return struct.pack("<I", ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def block(items: list[tuple[bytes, bytes]]) -> bytes:
    entries = b"".join(varint(0) + varint(len(key)) + varint(len(value)) + key + value for key, value in items)
    return entries + struct.pack("<II", 0, 1)


def placed(data: bytes, kind: int = 0) -> bytes:
    return data + bytes([kind]) + masked(data + bytes([kind]))


def table(data_block: bytes, kind: int = 0, handles: list[tuple[int, int]] | None = None) -> bytes:
    """A table of one block, found where `handles` say."""
    handles = handles or [(0, len(data_block))]
    pairs = [(bytes([255, index]), varint(at) + varint(size)) for index, (at, size) in enumerate(handles)]
    first, index = placed(data_block, kind), block(pairs)
    where = varint(0) + varint(0) + varint(len(first)) + varint(len(index))
    return first + placed(index) + where.ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")


def entry(kind: int, shape: tuple[int, ...], offset: int, size: int, data: bytes, shard: int = 0) -> bytes:
    sizes = b"".join(field(2, field(1, axis)) for axis in shape)
    head = field(1, kind) + field(2, sizes) + field(3, shard) + field(4, offset) + field(5, size)
    return head + varint(6 << 3 | 5) + masked(data)


HEADER = (b"", field(1, 1))


def index_of(*items: tuple[bytes, bytes]) -> bytes:
    return table(block(sorted([HEADER, *items])))


def put(folder: Path, index: bytes, data: bytes = b"") -> Path:
    (folder / "m.index").write_bytes(index)
    (folder / "m.data-00000-of-00001").write_bytes(data)
    return folder / "m"


def written(folder: Path, arrays: dict[str, np.ndarray]) -> Path:
    items, data = [], b""
    for name, array in sorted(arrays.items()):
        stored = array.tobytes()
        items.append((name.encode(), entry(1, array.shape, len(data), len(stored), stored)))
        data += stored
    return put(folder, index_of(*items), data)


FOUR = np.arange(4, dtype="<f4").tobytes()


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (entry(1, (4,), 1 << 40, 16, FOUR), "16 bytes at 1099511627776 lie outside"),
        (entry(1, (4,), -8, 16, FOUR), "16 bytes at -8 lie outside"),
        (entry(1, (4,), 8, -4, FOUR), "lie outside|has -4 bytes"),
        (entry(1, (1 << 47,), 0, 16, FOUR), "has 16 bytes"),
        (entry(1, (1 << 40, 1 << 40), 0, 16, FOUR), "it has a tensor of shape"),
        (entry(1, (-1,), 0, 16, FOUR), "it has a tensor of shape"),
        (entry(1, (1,) * 300, 0, 4, FOUR[:4]), "it has a tensor of shape"),
        (entry(1, (4,), 0, 16, b"other"), "not as it was written"),
        (entry(21, (4,), 0, 16, FOUR), "TensorFlow's type 21"),
        (entry(7, (1 << 40,), 0, 16, FOUR), "hold no 1099511627776 numbers"),
        (entry(1, (4,), 0, 16, FOUR, shard=7), "data file 7 of 1"),
        (entry(1, (4,), 0, 0, b"") + field(7, field(1, b"")), "'x' are missing|do not make up|is missing"),
        (entry(1, (4,), 0, 16, FOUR) + field(7, field(1, b"") * 3), "another number of axes"),
        (b"\xff" * 12, "does not end|unknown kind"),
    ],
)
def test_an_entry_that_lies_is_refused(tmp_path: Path, item: bytes, message: str) -> None:
    put(tmp_path, index_of((b"x", item)), FOUR)
    with pytest.raises(ValueError, match=rf"m.*({message})"):
        read_checkpoint(tmp_path / "m")["x"]


def snappy(*parts: bytes | tuple[int, int], size: int) -> bytes:
    """Literals, and copies of a length from so many bytes back."""
    found = varint(size)
    for part in parts:
        if isinstance(part, bytes):
            found += bytes([60 << 2, len(part) - 1]) + part
        else:
            found += bytes([part[0] - 1 << 2 | 2]) + struct.pack("<H", part[1])
    return found


def test_blocks_that_snappy_packed(tmp_path: Path) -> None:
    plain = block([HEADER, (b"x", entry(1, (4,), 0, 16, FOUR))])
    put(tmp_path, table(snappy(plain[:20], plain[20:], size=len(plain)), 1), FOUR)
    np.testing.assert_array_equal(read_checkpoint(tmp_path / "m")["x"], np.arange(4))
    assert unsnapped(memoryview(snappy(b"ab", (7, 2), (3, 1), size=12))) == b"ababababaaaa"
    assert unsnapped(memoryview(bytes([5, 0, 97, 1, 1]))) == b"aaaaa"  # a copy in two bytes
    for packed, message in (
        (snappy(b"ab", size=1 << 40), "declares"),
        (snappy(b"ab", (60, 9), size=62), "what is not there"),
        (snappy(b"ab", size=3), "should"),
        (snappy(b"ab" * 10, *[(64, 1)] * 9, size=100), "should"),
        (bytes([9, 252]), "should|not there"),
    ):
        with pytest.raises(ValueError, match=message):
            unsnapped(memoryview(packed))


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (b"", "does not end as a table"),
        (b"x" * 100, "does not end as a table"),
        (table(block([HEADER]), handles=[(0, 1 << 50)]), "outside the file"),
        (table(block([HEADER]), handles=[(0, len(block([HEADER])))] * 2), "overlap"),
        (table(block([HEADER]), kind=2), "unknown way"),
        (table(block([HEADER, HEADER])), "out of order"),
        (table(b"\0\0\0\0\xff\xff\xff\xff"), "shorter than its list"),
        (table(varint(9) + varint(0) + varint(0) + struct.pack("<II", 0, 1)), "outside it"),
        (table(block([(b"", field(1, 1 << 40))])), "header"),
        (table(block([])), "header"),
    ],
)
def test_a_table_that_lies_is_refused(tmp_path: Path, index: bytes, message: str) -> None:
    put(tmp_path, index)
    with pytest.raises(ValueError, match=rf"m\.index: .*{message}"):
        Bundle(tmp_path / "m")


def test_keys_that_grow_are_bounded(tmp_path: Path) -> None:
    entries = b"".join(varint(max(n - 1, 0)) + varint(1) + varint(0) + b"k" for n in range(100_000))
    put(tmp_path, table(entries + struct.pack("<II", 0, 1)))
    start = time.process_time()
    with pytest.raises(ValueError, match="out of proportion"):
        Bundle(tmp_path / "m")
    assert time.process_time() - start < 5


def test_tensors_over_each_other_are_refused(tmp_path: Path) -> None:
    items = [(b"x%d" % n, entry(1, (4,), 0, 16, FOUR)) for n in range(3)]
    items.append((b"y", entry(1, (4,), 0, -32, FOUR)))
    put(tmp_path, index_of(*items), FOUR)
    with pytest.raises(ValueError, match="its tensors have 48 bytes, but"):
        Bundle(tmp_path / "m")


def _graph(*nodes: bytes) -> bytes:
    return b"".join(field(1, node) for node in nodes)


def _child(name: str, place: int) -> bytes:
    return field(1, field(1, place) + field(2, name.encode()))


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (_graph(_child("layer_with_weights-0", 7)), "an object that is not there"),
        (_graph(_child("layer_with_weights-0", -1)), "an object that is not there"),
        (_graph(_child("layer_with_weights-0", 0)), "not in the checkpoint"),
        (_graph(_child("a", 1), _child("b", 0)), "not in the checkpoint"),
        (_graph(*[_child(f"a{n}", 0) for n in range(20_000)]), "not in the checkpoint"),
        (_graph(b"".join(_child(f"a{n}", n % 200) for n in range(20_000)), *[b""] * 200), "not in the checkpoint"),
        (b"", "empty"),
        (b"\x0a", "does not end"),
    ],
    ids=["outside", "negative", "itself", "circle", "many", "many parts", "empty", "cut"],
)
def test_an_object_graph_that_lies_is_refused_quickly(tmp_path: Path, graph: bytes, message: str) -> None:
    lengths = struct.pack("<I", len(graph))
    checked = masked(lengths)
    data = varint(len(graph)) + checked + graph
    put(
        tmp_path,
        index_of((b"_CHECKPOINTABLE_OBJECT_GRAPH", entry(7, (), 0, len(data), lengths + checked + graph))),
        data,
    )
    model = lamina.Sequential([lamina.Input((2,)), lamina.layers.Dense(1)])
    start = time.process_time()
    with pytest.raises(ValueError, match=message):
        model.load_weights(tmp_path / "m")
    assert time.process_time() - start < 3


def test_a_metadata_file_that_lies_is_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(RECORDED / "nested", tmp_path / "nested")
    for text, message in (
        (b"[" * 100_000, "nested too deeply|no valid JSON"),
        (b"[" + b"{}," * 400_000 + b"{}]", "out of proportion"),
        (b"\xff", "utf-8|codec"),
        (b"7", "says nothing of Keras"),
        (b'{"class_name": "Sequential", "config": {"layers": 3}}', "cannot be made into a model"),
    ):
        (folder / "keras_metadata.pb").write_bytes(field(1, field(3, b"root") + field(5, text)))
        with pytest.raises(ValueError, match=message):
            lamina.load_model(folder)


@pytest.mark.parametrize(
    "name", ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"]
)
def test_damage_is_one_error_that_names_the_file(tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(RECORDED / "norms", tmp_path / "norms")
    good = (folder / name).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(8):
        bad = bytearray(good)
        for place in rng.integers(0, len(good), 4):
            bad[place] ^= int(rng.integers(1, 256))
        (folder / name).write_bytes(bad[: int(rng.integers(len(good) // 2, len(good) + 1))])
        try:
            lamina.load_model(folder)
        except ValueError as error:
            assert re.search("norms", str(error))
