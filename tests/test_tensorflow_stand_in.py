"""`import tensorflow as tf` where there is no TensorFlow: values, symbols, gradients, pipelines, refusals."""

from __future__ import annotations

import functools
import gzip
import importlib
import operator
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lamina import generations
from lamina.generations.tensorflow.base import NAMES

A = np.random.default_rng(0).normal(size=(3, 4, 5)).astype("float32")
LONG = np.random.default_rng(1).normal(size=20).astype("float32")
TRIANGLE = np.tril(np.ones((4, 4), "float32"))


@pytest.fixture
def tf() -> Iterator[Any]:
    yield from _installed("tf_keras")


@pytest.fixture
def tf1() -> Iterator[Any]:
    yield from _installed("keras2")


def _installed(generation: str) -> Iterator[Any]:
    if generations.alias.installed_keras() is not None or generations.alias.importlib.util.find_spec("tensorflow"):
        pytest.skip("a Keras or TensorFlow is installed here")
    generations.install(generation)
    try:
        yield sys.modules["tensorflow"]
    finally:
        generations.uninstall()


# Functions ------------------------------------------------------------------------------------------------------------

# Calls, and what TensorFlow 2.21 gives for them (as NumPy says it).
CALLS = {
    "tf.reduce_sum(A, axis=[0, 2], keepdims=True)": A.sum((0, 2), keepdims=True),
    "tf.reduce_mean(tf.constant([1, 2, 4]))": np.int32(2),
    "tf.reduce_mean(input_tensor=A, axis=1)": A.mean(1),
    "tf.reduce_sum(A, reduction_indices=1, keep_dims=True)": A.sum(1, keepdims=True),
    "tf.math.reduce_std(A, 1)": A.std(1),
    "tf.argmax(A)": A.argmax(0),
    "tf.argmax(A, axis=-1, output_type=tf.int32)": A.argmax(-1).astype("int32"),
    "tf.image.rgb_to_yuv([[[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]])": np.array(
        [[[0.299, -0.14714119, 0.61497538], [0.114, 0.43601035, -0.10001026]]], "float32"
    ),
    "tf.image.yuv_to_rgb(tf.image.rgb_to_yuv(A[..., :3]))": A[..., :3],
    "tf.math.unsorted_segment_mean(A, [2, 0, 2], 4)": np.stack([A[1], A[0] * 0, (A[0] + A[2]) / 2, A[0] * 0]),
    "tf.experimental.numpy.mean(tf.experimental.numpy.square(A), axis=0)": np.square(A).mean(0),
    "tf.cumsum([1, 2, 3], exclusive=True)": np.array([0, 1, 3], "int32"),
    "tf.cumsum([1, 2, 3], reverse=True, name='c')": np.array([6, 5, 3], "int32"),
    "tf.gather(A, [[0, 2], [1, 1]], axis=1)": A[:, [[0, 2], [1, 1]]],
    "tf.gather(A, [[0, 2], [1, 1], [3, 0]], batch_dims=1)": np.stack(
        [a[i] for a, i in zip(A, [[0, 2], [1, 1], [3, 0]], strict=True)]
    ),
    "tf.gather(A, [[4], [1], [3]], axis=2, batch_dims=1)": np.stack(
        [a[:, i] for a, i in zip(A, [[4], [1], [3]], strict=True)]
    ),
    "tf.gather_nd(A, [[0, 1], [2, 3]])": A[[0, 2], [1, 3]],
    "tf.where(A > 2)": np.argwhere(A > 2),
    "tf.where(A > 0, A, 0.0)": np.where(A > 0, A, 0),
    "tf.boolean_mask(A, A > 0)": A[A > 0],
    "tf.one_hot([1, 0], 3, on_value=5.0, off_value=-1.0)": np.array([[-1, 5, -1], [5, -1, -1]], "float32"),
    "tf.range(2, 10, 3)": np.array([2, 5, 8], "int32"),
    "tf.fill([2, 1], 7)": np.array([[7], [7]], "int32"),
    "tf.split(A, [1, -1], 1)": [A[:, :1], A[:, 1:]],
    "tf.split(value=A, num_or_size_splits=2, axis=1)": [A[:, :2], A[:, 2:]],
    "tf.unstack(A, axis=1)": [A[:, i] for i in range(4)],
    "tf.pad(A, [[0, 0], [1, 2], [0, 1]], 'REFLECT')": np.pad(A, [[0, 0], [1, 2], [0, 1]], "reflect"),
    "tf.pad(A, [[0, 0], [1, 2], [0, 1]], constant_values=3.0)": np.pad(
        A, [[0, 0], [1, 2], [0, 1]], constant_values=3.0
    ),
    "tf.slice(A, [0, 1, 0], [2, -1, 3])": A[:2, 1:, :3],
    "tf.matmul(A, A, transpose_b=True)": A @ A.transpose(0, 2, 1),
    "tf.norm(A, ord=1, axis=-1)": np.abs(A).sum(-1),
    "tf.linalg.band_part(np.ones((4, 4), 'float32'), -1, 0)": TRIANGLE,
    "tf.sequence_mask([1, 3], 3, dtype=tf.float32)": np.array([[1, 0, 0], [1, 1, 1]], "float32"),
    "tf.unique([3, 1, 3, 2])[1]": np.array([0, 1, 0, 2], "int32"),
    "tf.math.confusion_matrix([0, 1, 1], [0, 1, 0])": np.array([[1, 0], [1, 1]], "int32"),
    "tf.clip_by_norm(A, 1.0)": A / np.linalg.norm(A),
    "tf.scan(lambda a, x: a + x, A)": A.cumsum(0),
    "tf.foldl(lambda a, x: a * 0.5 + x, A)": A[0] / 4 + A[1] / 2 + A[2],
    "tf.foldr(lambda a, x: a * 0.5 + x, A)": A[2] / 4 + A[1] / 2 + A[0],
    "tf.foldl(lambda a, x: a + x[0] * x[1], (A, A + 1), initializer=1.0)": 1 + (A * (A + 1)).sum(0),
    "tf.foldr(lambda a, x: a * 0.5 + x['p'], {'p': A}, initializer=0.0)": A[2] / 4 + A[1] / 2 + A[0],
    "tf.TensorArray(tf.float32, size=3).scatter([2, 0, 1], A).stack()": A[[1, 2, 0]],
    "tf.TensorArray(tf.float32, size=2).split(A, [1, 2]).read(1)": A[1:],
    "tf.nn.batch_normalization(A, A[0, 0], A[1, 1] ** 2, A[2, 2], A[0, 1], 0.1)": (
        (A - A[0, 0]) / np.sqrt(A[1, 1] ** 2 + 0.1) * A[0, 1] + A[2, 2]
    ),
    "tf.nn.batch_normalization(A, A[0, 0], A[1, 1] ** 2, None, None, 0.1)": (
        (A - A[0, 0]) / np.sqrt(A[1, 1] ** 2 + 0.1)
    ),
    "tf.image.resize(np.float64(A), (2, 4))": A[[0, 2]] * np.float32(0.75) + A[[1, 1]] * np.float32(0.25),
    "tf.compat.v1.image.resize_bilinear(np.float64(A)[None], (3, 2))": A[None, :, ::2],
    "tf.linalg.eigvalsh([[2.0, 1.0], [1.0, 3.0]])": np.float32([2.5 - 5**0.5 / 2, 2.5 + 5**0.5 / 2]),
    "tf.linalg.lstsq([[1.0, 0.0], [0.0, 2.0]], [[1.0], [4.0]])": np.float32([[1.0], [2.0]]),
    "tf.map_fn(lambda x: x * 2, A)": A * 2,
    "tf.constant(np.arange(3.0))": np.arange(3.0),
    "tf.shape(A)[1] * 2": np.int32(8),
    "tf.cast(tf.shape(A), tf.float32)": np.array([3, 4, 5], "float32"),
    "tf.nn.l2_normalize(A, axis=-1)": A / np.linalg.norm(A, axis=-1, keepdims=True),
    "tf.nn.avg_pool2d(A[None], 2, 2, 'VALID')": A[None, :2, :4].reshape(1, 1, 2, 2, 2, 5).mean((2, 4)),
    "tf.nn.moments(A, axes=[0, 1])[1]": A.var((0, 1)),
    "tf.image.flip_left_right(A)": A[:, ::-1],
    "tf.image.resize(A, (6, 8), method='nearest')": A.repeat(2, 0).repeat(2, 1),
    "tf.image.resize(np.ones((4, 4, 1), 'float32'), (2, 2), method='area')": np.ones((2, 2, 1), "float32"),
    "tf.image.resize_with_crop_or_pad(A, 1, 6)": np.pad(A[1:2], ((0, 0), (1, 1), (0, 0))),
    "tf.image.convert_image_dtype(np.array([[[255, 0]]], 'uint8'), tf.float32)": np.array([[[1, 0]]], "float32"),
    "tf.signal.frame(A, 2, 2, axis=1)": A.reshape(3, 2, 2, 5),
    "tf.signal.frame(A[0], 3, 4, pad_end=True, pad_value=7)": np.stack(
        [A[0, :, :3], np.pad(A[0, :, 4:], ((0, 0), (0, 2)), constant_values=7)], 1
    ),
    "tf.signal.overlap_and_add(A, 5)": A.reshape(3, 20),
    "tf.signal.stft(A, 4, 1, fft_length=8)": np.fft.rfft(
        np.stack([A[..., :4], A[..., 1:]], -2) * np.array([0, 0.5, 1, 0.5]), 8
    ).astype("complex64"),
    "tf.signal.inverse_stft(tf.signal.stft(L, 4, 2), 4, 2, window_fn=tf.signal.inverse_stft_window_fn(2))[2:-2]": LONG[
        2:-2
    ],
    "tf.signal.hann_window(5)": np.array([0, 0.5, 1, 0.5, 0], "float32"),
    "tf.signal.irfft2d(tf.signal.rfft2d(A), [4, 5])": A,
    "tf.signal.idct(tf.signal.dct(A))": 10 * A,
    "tf.signal.idct(tf.signal.dct(A, norm='ortho'), norm='ortho')": A,
    "tf.reduce_sum(tf.signal.linear_to_mel_weight_matrix(1, 3, 8.0, 0.0, 4.0)[::2])": np.float32(0),
    "tf.strings.to_number('3.5')": np.float32(3.5),
    "tf.strings.length('hé')": np.int32(3),
}


@pytest.mark.parametrize("call", CALLS)
def test_values(tf: Any, call: str) -> None:
    found, expected = eval(call, {"tf": tf, "A": A, "L": LONG, "np": np}), CALLS[call]
    for one, other in zip(*((x if isinstance(x, list) else [x]) for x in (found, expected)), strict=True):
        one = np.asarray(one)
        assert (one.shape, one.dtype) == (np.shape(other), other.dtype)
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_transposed_convolution_is_the_gradient(tf: Any) -> None:
    """For every output size that the forward convolution takes to the input's."""
    kernel = torch.randn(3, 3, 2, 4)
    for padding, size in (("SAME", 7), ("SAME", 8), ("VALID", 9), ("VALID", 10)):
        x = torch.randn(1, size, size, 2, requires_grad=True)
        y = tf.nn.conv2d(x, kernel, 2, padding)
        upstream = torch.randn_like(y)
        (expected,) = torch.autograd.grad(y, x, upstream)
        found = tf.nn.conv2d_transpose(upstream, kernel, tf.shape(x), [1, 2, 2, 1], padding)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_functions_of_symbols_are_layers(tf: Any) -> None:
    x = tf.keras.Input((4, 3))
    batch = tf.shape(x)[0]
    assert tf.keras.backend.is_keras_tensor(batch)
    flat = tf.reshape(x, [batch, tf.shape(x)[1] * 3])
    assert flat.shape == (None, 12)
    twice = tf.tile(tf.reduce_mean(x, axis=1, keepdims=True), [1, 2, 1])
    counted = tf.cast(batch, tf.float32) + tf.zeros((batch * 2 // 2, 1))
    model = tf.keras.Model(x, [flat, twice, counted, tf.nn.relu(x) * tf.constant(2.0), tf.concat([x, x], -1)])
    data = np.random.default_rng(1).normal(size=(5, 4, 3)).astype("float32")
    flat, twice, counted, relu, both = (np.asarray(y) for y in model(data))
    np.testing.assert_allclose(flat, data.reshape(5, 12))
    np.testing.assert_allclose(twice, data.mean(1, keepdims=True).repeat(2, 1), rtol=1e-5, atol=1e-6)
    assert (counted == 5).all() and counted.shape == (5, 1)
    np.testing.assert_allclose(relu, np.maximum(data, 0) * 2)
    assert both.shape == (5, 4, 6)
    assert model(data[:2])[2][0, 0] == 2


def test_every_function_takes_the_name_of_a_node(tf: Any) -> None:
    assert tf.reduce_sum(A, name="sum") == tf.reduce_sum(A)
    with pytest.raises(TypeError, match="unexpected keyword"):
        tf.reduce_sum(A, nome="sum")


@pytest.mark.parametrize("name", ["multiply", "add", "maximum", "pow", "greater", "exp", "identity", "stop_gradient"])
def test_the_name_of_a_node_may_come_last(tf: Any, name: str) -> None:
    given = [tf.constant([1.0, 2.0])] * (2 if name in ("multiply", "add", "maximum", "pow", "greater") else 1)
    function = getattr(tf, name)
    assert np.array_equal(function(*given, "of_the_node"), function(*given))
    with pytest.raises(TypeError):
        function(*given, given[0])


def test_types_and_shapes(tf: Any) -> None:
    assert tf.constant(A).dtype == tf.float32 and tf.float32 != tf.float64 and tf.as_dtype(np.int32) == tf.int32
    assert np.dtype(tf.float32) == np.float32 and tf.float32.is_floating and tf.int32.max == 2**31 - 1
    assert tf.TensorShape([None, 3]).as_list() == [None, 3] and tf.TensorShape([2, 3]).num_elements() == 6
    assert tf.TensorShape(None).rank is None and isinstance(tf.constant(1), tf.Tensor)
    assert tf.TensorSpec([None, 2], tf.int32) == tf.TensorSpec((None, 2), "int32")


# Gradients ------------------------------------------------------------------------------------------------------------


def test_tapes(tf: Any) -> None:
    v, c = tf.Variable([1.0, 2.0]), tf.constant([3.0, 4.0])
    with tf.GradientTape() as tape:
        tape.watch(c)
        y = tf.reduce_sum(v**2 * c)
    dv, dc = tape.gradient(y, [v, c])
    assert dv.tolist() == [6, 16] and dc.tolist() == [1, 4]
    assert not c.requires_grad and not (c * 2).requires_grad  # what follows outside is not recorded
    with pytest.raises(RuntimeError, match="persistent=True"):
        tape.gradient(y, v)
    with tf.GradientTape(persistent=True) as outer:
        with tf.GradientTape() as inner:
            y = tf.reduce_sum(v**3)
        first = inner.gradient(y, {"v": v})["v"]
        other = v * 2
    assert outer.gradient(first, v).tolist() == [6, 12] and outer.jacobian(other, v).tolist() == [[2, 0], [0, 2]]
    assert outer.gradient(first, c) is None
    assert outer.gradient(first, c, unconnected_gradients=tf.UnconnectedGradients.ZERO).tolist() == [0, 0]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        y = tf.reduce_sum(v)
    assert tape.gradient(y, v) is None


def test_two_tapes_over_one_graph(tf: Any) -> None:
    """As a GAN's two halves: what the first asks for leaves the second's graph whole."""
    a, b = tf.Variable(2.0), tf.Variable(3.0)
    with tf.GradientTape() as one, tf.GradientTape() as other:
        fake = tf.exp(a * b)
        first, second = fake * 2, fake * b
    assert float(one.gradient(first, a)) > 0 and float(other.gradient(second, b)) > 0


def test_gradients_of_what_was_not_recorded_are_refused(tf: Any) -> None:
    weight, x = tf.Variable(3.0), tf.constant(3.0)
    assert [each.item() for each in tf.gradients(weight * weight, [weight])] == [6.0]
    with pytest.raises(ValueError, match=r"nothing recorded .* tf\.Variable"):
        tf.gradients(x * x, x)


def test_variables_of_a_module_come_before_those_of_its_parts(tf: Any) -> None:
    """As TensorFlow 2.21 lists them."""

    class Part(tf.Module):
        def __init__(self, name: str) -> None:
            super().__init__(name=name)
            self.b, self.a = tf.Variable(2.0, trainable=False), [tf.Variable(1.0)]

    class Whole(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.m, self.d, self.z = Part("m"), {"k": Part("d")}, (tf.Variable(7.0),)
            self.m.sub, self.same = Part("deep"), self.m

    whole = Whole()
    assert [float(one) for one in whole.variables] == [7, 1, 2, 1, 2, 1, 2]
    assert [float(one) for one in whole.trainable_variables] == [7, 1, 1, 1]
    assert [float(one) for one in whole.non_trainable_variables] == [2, 2, 2]
    assert (whole.name, [part.name for part in whole.submodules]) == ("whole", ["d", "m", "deep"])


def test_custom_training(tf: Any) -> None:
    tf.random.set_seed(0)
    x = np.random.default_rng(2).normal(size=(64, 3)).astype("float32")
    y = x.sum(1, keepdims=True)
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(3,))])
    optimizer, loss_of = tf.keras.optimizers.SGD(0.1), tf.keras.losses.MeanSquaredError(reduction="auto")
    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(64, seed=1).batch(16).prefetch(tf.data.AUTOTUNE)

    @tf.function(input_signature=[tf.TensorSpec([None, 3]), tf.TensorSpec([None, 1])])
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss.detach()

    losses = [float(step(*batch)) for _ in range(20) for batch in data]
    assert losses[-1] < losses[0] / 100
    with tf.distribute.MirroredStrategy().scope():
        assert float(tf.distribute.get_strategy().run(step, (x, y))) < losses[0]


def test_variables_and_modules(tf: Any) -> None:
    class Linear(tf.Module):
        def __init__(self):
            super().__init__(name="linear")
            self.w = [tf.Variable(tf.ones((2, 2)), name="w"), tf.Variable(1, trainable=False)]
            self.dense = tf.keras.layers.Dense(2)

    module = Linear()
    module.dense(tf.ones((1, 3)))
    assert len(module.variables) == 4 and len(module.trainable_variables) == 3
    assert all(isinstance(v, tf.Variable) for v in module.variables)
    w = module.w[0]
    w.assign_add(tf.ones((2, 2)))
    assert w.numpy().tolist() == [[2, 2], [2, 2]] and w.value().shape == (2, 2)
    with pytest.raises(ValueError, match="shape"):
        w.assign([1.0])


@pytest.mark.parametrize("how", ["layer", "model", "sequential"])
def test_variables_of_modules_inside_layers_are_trained_and_saved(tf: Any, how: str, tmp_path: Path) -> None:
    """Values are those of tf_keras 2.21 after one step; so is their order, but in a module as a layer."""
    ones = functools.partial(tf.keras.layers.Dense, 1, kernel_initializer="ones")

    class Part(tf.Module):
        def __init__(self):  # without `super().__init__()`
            self.w = tf.Variable([[1.0, 2.0]])
            self.scale = [tf.Variable(0.5), tf.Variable(3.0, trainable=False)]

        def __call__(self, x):
            return x @ self.w * self.scale[0]

    def holding(base: Any) -> Any:
        class Holder(base):
            def __init__(self):
                super().__init__()
                self.rows, self.first, self.part, self.last = [], ones(), Part(), ones()
                if base is tf.keras.Model:
                    self.rows.append(tf.Variable(5.0))

            def call(self, x):
                y = self.last(self.part(self.first(x)))
                return y * self.rows[0] if self.rows else y

        return Holder()

    def make() -> Any:
        if how == "model":
            return holding(tf.keras.Model)
        inside = [holding(tf.keras.layers.Layer)] if how == "layer" else [ones(input_shape=(2,)), Part(), ones()]
        return tf.keras.Sequential(inside)

    model, x = make(), np.ones((1, 2), "float32")
    model.compile(tf.keras.optimizers.SGD(0.01), "mae")
    model.fit(x, x[:, :1], verbose=0)
    expected = {
        "layer": [1.97, -0.015, 0.44, 2.98, 1.97, -0.01, 3],
        "sequential": [1.97, -0.015, 0.44, 3, 2.98, 1.97, -0.01],
        "model": [4.97, 1.85, -0.075, 0.2, 3, 2.9, 1.85, -0.05],
    }[how]
    assert len(model.trainable_weights) == len(expected) - 1
    arranged = sorted if how == "sequential" else list
    for found in model.get_weights(), model.weights:
        sums = arranged(float(tf.reduce_sum(each)) for each in found)
        np.testing.assert_allclose(sums, arranged(expected), atol=1e-6)
    again = make()
    again(x)
    model.save_weights(tmp_path / "w.weights.h5")
    again.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    model.trainable = False
    assert not model.trainable_weights and len(model.weights) == len(expected)


def test_checkpoints(tf: Any, tmp_path: Path) -> None:
    model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])
    step = tf.Variable(7, trainable=False)
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(model=model, step=step), tmp_path, max_to_keep=2)
    for _ in range(3):
        manager.save()
    assert len(manager.checkpoints) == 2 and tf.train.latest_checkpoint(tmp_path) == manager.latest_checkpoint
    before = model.get_weights()
    model.set_weights([w * 0 for w in before])
    step.assign(0)
    manager.checkpoint.restore(manager.latest_checkpoint).expect_partial()
    assert int(step) == 7 and np.array_equal(model.get_weights()[0], before[0])
    model.save_weights(tmp_path / "other" / "cp.ckpt")
    model.load_weights(tf.train.latest_checkpoint(tmp_path / "other")).expect_partial()
    model.save(tmp_path / "folder")
    assert np.array_equal(tf.keras.models.load_model(tmp_path / "folder").get_weights()[0], before[0])


# Pipelines ------------------------------------------------------------------------------------------------------------


def _values(dataset: Any) -> list[Any]:
    return [x.tolist() if hasattr(x, "tolist") else x for x in dataset.as_numpy_iterator()]


def test_lists_beside_tensors_and_variables(tf: Any) -> None:
    w, x = tf.Variable([[1.0, 2.0], [3.0, 4.0]]), tf.constant([3.0, 4.0])
    np.testing.assert_array_equal([[1.0, 2.0]] @ w, [[7, 10]])
    np.testing.assert_array_equal(w @ [[1], [2]], [[5], [11]])
    one = [1, 2]
    for found, expected in [
        (one + x, [4, 6]), (x + one, [4, 6]), ((1, 2) - x, [-2, -2]), (x - (1, 2), [2, 2]), ([2, 3] * x, [6, 12]),
        (x * [2, 3], [6, 12]), ([6, 8] / x, [2, 2]), (x / [3, 2], [1, 2]), (x ** [2, 1], [9, 4]), (one**x, [1, 16]),
        (w[0] + one, [2, 4]), (tf.constant(one) * [2, 3], [2, 6]), (1 - x, [-2, -3]),
    ]:  # fmt: skip
        assert isinstance(found, torch.Tensor) and found.dtype in (torch.float32, torch.int32)
        np.testing.assert_array_equal(found, expected)
    words = ["a", "b"]
    with pytest.raises(TypeError):
        x + words


def test_what_a_function_returns_is_a_tensor(tf: Any) -> None:
    @tf.function
    def step(x: Any) -> Any:
        return {"loss": 0, "many": [1.5, x, None]}

    found = step(tf.constant(2.0))
    assert found["loss"].numpy() == 0 and found["many"][0].numpy() == 1.5 and found["many"][2] is None


def test_numbers_are_formatted(tf: Any) -> None:
    v = tf.Variable(0.5)
    assert f"{v:.3f} {v * 2:.1f} {tf.reduce_sum(v):1.2f}" == "0.500 1.0 0.50"


def test_what_a_checkpoint_holds(tf: Any, tmp_path: Path) -> None:
    tf.train.Checkpoint(v=tf.Variable([[1.0, 2.0]])).write(str(tmp_path / "saved"))
    names = dict(tf.train.list_variables(str(tmp_path / "saved")))
    assert names == {"save_counter": [], "v/0": [1, 2]}
    assert tf.train.load_variable(str(tmp_path / "saved"), "v/0").tolist() == [[1, 2]]
    assert tf.train.load_checkpoint(str(tmp_path / "saved")).get_variable_to_dtype_map()["v/0"] is tf.float32


def test_pipelines(tf: Any) -> None:
    count = tf.data.Dataset.range
    assert _values(count(5).map(lambda x: x * 2, num_parallel_calls=tf.data.AUTOTUNE)) == [0, 2, 4, 6, 8]
    assert _values(count(7).batch(3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert _values(count(7).batch(3, drop_remainder=True)) == [[0, 1, 2], [3, 4, 5]]
    assert _values(count(3).repeat(2).skip(1).take(3)) == [1, 2, 0]
    assert _values(count(6).filter(lambda x: x % 2 == 0)) == [0, 2, 4]
    assert _values(count(2).concatenate(count(5, 7)).enumerate().map(lambda i, x: i + x)) == [0, 2, 7, 9]
    assert _values(count(4).batch(2).unbatch()) == [0, 1, 2, 3]
    assert _values(count(5).window(2, shift=1, drop_remainder=True).flat_map(lambda w: w.batch(2)))[0] == [0, 1]
    assert _values(count(1, 4).map(tf.range).padded_batch(3, padding_values=-1)) == [
        [[0, -1, -1], [0, 1, -1], [0, 1, 2]]
    ]
    assert int(count(5).reduce(0, lambda a, x: a + x)) == 10
    zipped = tf.data.Dataset.zip((count(3), count(10)))
    assert len(zipped) == 3 and [tuple(map(int, pair)) for pair in zipped] == [(0, 0), (1, 1), (2, 2)]
    assert int(count(3).repeat().cardinality()) == -1 and int(count(3).filter(bool).cardinality()) == -2
    with pytest.raises(TypeError, match="infinite"):
        len(count(3).repeat())


def test_shapes_and_types_as_tensorflow_1_told_them(tf: Any) -> None:
    data = tf.data.Dataset.from_tensor_slices({"x": np.zeros((4, 3), "float32"), "y": np.zeros(4, "int64")}).batch(2)
    assert {key: tuple(shape) for key, shape in data.output_shapes.items()} == {"x": (None, 3), "y": (None,)}
    assert data.output_types == {"x": tf.float32, "y": tf.int64}
    assert tf.dtypes.cast(tf.constant([1.7]), tf.int32) == 1


def test_a_loop_goes_on_with_an_array_of_tensors(tf: Any) -> None:
    def powers(x: Any) -> Any:
        _, rows, columns = x.get_shape()
        array = tf.TensorArray(tf.float32, size=3, clear_after_read=False)
        found = tf.while_loop(
            lambda i, y, array: i < 3,
            lambda i, y, array: (i + 1, y * x, array.write(i, y * x)),
            [0, tf.ones_like(x), array],
        )
        return found[2].read(2) * rows.value * columns.value

    x = tf.keras.Input((2, 3))
    model = tf.keras.Model(x, tf.keras.layers.Lambda(powers)(x))
    assert np.allclose(model.predict(np.full((1, 2, 3), 2.0)), 8.0 * 6)


def test_rows_of_arrays(tf: Any) -> None:
    x = {"a": np.arange(10.0), "b": np.array([str(n) for n in range(10)])}
    rows = tf.data.Dataset.from_tensor_slices((x, np.arange(10)))
    first = next(iter(rows))
    assert float(first[0]["a"]) == 0 and first[0]["b"].numpy() == b"0"
    shuffled = rows.shuffle(10, seed=3)
    once, again = ([int(y) for _, y in shuffled] for _ in range(2))
    assert sorted(once) == list(range(10)) and once != again
    fixed = rows.shuffle(10, seed=3, reshuffle_each_iteration=False)
    assert [int(y) for _, y in fixed] == [int(y) for _, y in fixed]
    near = [int(y) for _, y in rows.shuffle(2, seed=1)]
    assert sorted(near) == list(range(10)) and all(place >= value - 1 for place, value in enumerate(near))
    batch = next(iter(rows.batch(4)))
    assert batch[0]["a"].shape == (4,) and batch[0]["b"].shape == (4,) and len(rows.batch(4)) == 3
    assert rows.batch(4).element_spec[1] == tf.TensorSpec([None], tf.int64)
    with pytest.raises(ValueError, match="one length"):
        tf.data.Dataset.from_tensor_slices((np.ones(2), np.ones(3)))


def test_generators_cache_and_fit(tf: Any) -> None:
    passes = []

    def make():
        passes.append(1)
        for n in range(8):
            yield np.full(3, n), [n]

    signature = (tf.TensorSpec([3], tf.float32), tf.TensorSpec([1], tf.float32))
    data = tf.data.Dataset.from_generator(make, output_signature=signature).cache()
    assert data.element_spec == signature and next(iter(data))[0].dtype == tf.float32
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(3,))])
    model.compile("adam", "mse")
    seen = len(list(data)) and len(passes)
    history = model.fit(data.batch(4), epochs=2, validation_data=data.batch(2), verbose=0)
    assert len(history.history["val_loss"]) == 2 and len(passes) == seen
    model.fit(data.repeat().batch(4), steps_per_epoch=3, epochs=2, verbose=0)
    assert model.predict(data.batch(3).map(lambda x, y: x), verbose=0).shape == (8, 1)
    with pytest.raises(TypeError, match="function"):
        tf.data.Dataset.from_generator(make())


# What it stands beside ------------------------------------------------------------------------------------------------


def test_words_of_tensorflow_1(tf1: Any) -> None:
    tf = tf1
    import tensorflow.compat.v1 as v1

    assert tf.__version__ < "2" and v1.reduce_sum is tf.reduce_sum
    config = tf.ConfigProto()
    config.gpu_options.allow_growth = True
    with tf.Session(config=config, graph=tf.get_default_graph()) as session, session.graph.as_default():
        session.run(tf.global_variables_initializer())
        with pytest.raises(RuntimeError, match="no graph"):
            session.run(tf.constant(1))
    K = tf.keras.backend
    K.get_session().close()  # as people free a GPU, to begin with a configuration of their own
    K.set_session(tf.Session(config=config))
    model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])
    x = np.ones((4, 3), "float32")
    with K.get_session().as_default() as session:
        found = session.run(model.output, feed_dict={model.input: x})
    np.testing.assert_allclose(found, model.predict(x, verbose=0), rtol=1e-6)
    tf.set_random_seed(1)
    tf.logging.set_verbosity(tf.logging.ERROR)
    x = tf.keras.layers.Input((4,))
    assert tf.keras.layers.Lambda(lambda x: tf.reduce_mean(x, axis=-1, keep_dims=True))(x).shape == (None, 1)


def test_an_argument_by_its_names_of_two_times(tf: Any) -> None:
    """As packages call it that served TensorFlow 1 and 2: the name that says None says nothing."""
    x = tf.constant([[1.0, 2.0], [3.0, 5.0]])
    for given in (tf.reduce_sum(x, axis=1, reduction_indices=None), tf.reduce_sum(x, 1, reduction_indices=None)):
        assert given.numpy().tolist() == [3, 8]
    assert tf.reduce_sum(x, reduction_indices=0, keep_dims=True).numpy().tolist() == [[4, 7]]
    assert tf.nn.softmax(x, axis=0, dim=None).numpy().sum(0) == pytest.approx([1, 1])
    with pytest.raises(TypeError, match="given twice"):
        tf.reduce_sum(x, axis=1, reduction_indices=0)


def test_cells_of_tensorflow_1_are_imported(tf: Any) -> None:
    space: dict[str, Any] = {}
    exec(
        "from tensorflow.python.ops.rnn_cell import *\nfrom tensorflow.python.ops import array_ops, rnn_cell_impl",
        space,
    )
    assert issubclass(space["RNNCell"], tf.keras.layers.Layer) and space["array_ops"].stack is tf.stack
    join = space["rnn_cell_impl"]._concat
    assert join(tf.constant(3), [4, 5]).numpy().tolist() == [3, 4, 5] and join(3, 4, static=True) == (3, 4)


def test_the_time_of_day(tf: Any) -> None:
    hours = tf.cast(tf.timestamp() % (24 * 60 * 60) // 3600, tf.int32)
    assert 0 <= int(hours) < 24 and tf.timestamp().dtype == tf.float64


def test_a_variable_made_in_a_call(tf: Any) -> None:
    """As Mask R-CNN has its anchors."""
    anchors, layers = np.arange(6, dtype="float32").reshape(2, 3), tf.keras.layers
    x = layers.Input((4,))
    held, made = layers.Lambda(lambda x: tf.Variable(anchors))(x), layers.Lambda(lambda x: tf.Variable(x * 2))(x)
    assert held.shape == (2, 3)
    found = tf.keras.Model(x, [held, made]).predict(np.ones((5, 4)), verbose=0)
    np.testing.assert_array_equal(found[0], anchors)
    np.testing.assert_array_equal(found[1], np.full((5, 4), 2))


def test_no_eager_execution_is_no_harm(tf: Any) -> None:
    tf.compat.v1.disable_eager_execution()
    assert tf.executing_eagerly()
    assert len(tf.config.list_physical_devices("GPU")) == torch.cuda.device_count()
    for device in tf.config.experimental.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(device, True)
    with tf.device("/cpu:0"), tf.name_scope("part"):
        assert tf.zeros(2).device.type == "cpu"
    with pytest.raises(ValueError, match="TPU"):
        tf.distribute.cluster_resolver.TPUClusterResolver()
    with pytest.raises(tf.errors.InvalidArgumentError, match="assert_equal"):
        tf.debugging.assert_equal(1, 2)


def test_assertions_of_nearness_and_values_that_are_known(tf: Any) -> None:
    tf.debugging.assert_near(1.0, 1.000002)  # ten times the last digit, twice
    tf.debugging.assert_near([1.0, 2.0], [1.05, 2.1], atol=0, rtol=0.1)
    tf.debugging.assert_near(1.0, 1.05, 0, 0.1)
    for x, y, options in ((1.0, 1.00001, {}), ([1.0, 2.0], [1.0, 2.1], {"atol": 0.05}), (0.1, 0.0, {"rtol": 1})):
        with pytest.raises(tf.errors.InvalidArgumentError, match="assert_near"):
            tf.debugging.assert_near(x, y, **options)
    assert tf.get_static_value(tf.constant([1, 2])).tolist() == [1, 2]
    assert tf.get_static_value(tf.keras.Input((2,))) is None


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("tf.feature_column.numeric_column", r"tf\.feature_column is not in .* stand-in .* preprocessing layers"),
        ("tf.nn.no_such_thing", r"tf\.nn\.no_such_thing is not in"),
        ("tf.saved_model.Asset", r"model\.export"),
    ],
)
def test_what_is_not_there_says_so(tf: Any, code: str, said: str) -> None:
    with pytest.raises(AttributeError, match=said):
        eval(code, {"tf": tf})


def test_decorators_of_copies_of_keras_own_files(tf: Any) -> None:
    from tensorflow.python.util.tf_export import keras_export  # pyright: ignore[reportMissingImports]

    @keras_export("keras.applications.own.Own", v1=[])
    def own() -> int:
        return 3

    assert own() == 3


def test_modules_that_are_not_there_say_so(tf: Any) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"tf\.contrib\.layers is not in .* dropped it in 2019"):
        __import__("tensorflow.contrib.layers")
    from tensorflow.python.keras import layers

    assert layers is tf.keras.layers
    assert not hasattr(tf, "__wrapped__")


def test_files_and_texts(tf: Any, tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    picture = np.random.default_rng(0).integers(0, 255, (4, 6, 3)).astype("uint8")
    path = str(tmp_path / "sub" / "p.png")
    tf.io.write_file(path, tf.io.encode_png(picture))
    assert tf.io.gfile.exists(path) and tf.io.gfile.glob(str(tmp_path / "*" / "*.png")) == [path]
    names = tf.data.Dataset.list_files(str(tmp_path / "*" / "*.png"))
    (found,) = names.map(lambda name: tf.image.decode_png(tf.io.read_file(name), channels=3))
    assert np.array_equal(found, picture)
    assert tf.strings.split(next(iter(names)), "/")[-1].numpy() == b"p.png"
    assert tf.strings.regex_replace(tf.strings.lower("A<br />B"), "<br />", " ").numpy() == b"a b"


def test_it_is_light() -> None:
    """It comes with `install` alone, and every path of it can be read."""
    code = "import lamina, sys; print([n for n in sys.modules if n.startswith('lamina.generations')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
    assert len(NAMES) > 500 and all(item is not None or path == "newaxis" for path, item in NAMES.items())


# Files of tables and sounds, texts in pieces: values recorded from TensorFlow 2.21 ------------------------------------

TABLE = "a,b,c,y\n1,2.5,x,0\n3,?,y,1\n,4,z,1\n7,8,,0\n9,1,w,1\n"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"batch_size": 2, "num_epochs": 1},
            [
                {"a": [1, 3], "b": [2.5, 0.0], "c": ["x", "y"], "y": [0, 1]},
                {"a": [0, 7], "b": [4.0, 8.0], "c": ["z", ""], "y": [1, 0]},
                {"a": [9], "b": [1.0], "c": ["w"], "y": [1]},
            ],
        ),
        (
            {"batch_size": 3, "select_columns": ["a", "y"]},
            [{"a": [1, 3, 0], "y": [0, 1, 1]}, {"a": [7, 9, 1], "y": [0, 1, 0]}],
        ),
        (
            {"batch_size": 3, "num_epochs": 1, "column_defaults": [[9.5], [8], ["NA"], [5]]},
            [{"a": [1.0, 3.0, 9.5], "c": ["x", "y", "z"]}, {"a": [7.0, 9.0], "c": ["NA", "w"]}],
        ),
    ],
)
def test_tables_in_files(tf: Any, tmp_path: Path, options: dict[str, Any], expected: list[dict[str, list]]) -> None:
    path = tmp_path / "table.csv"
    path.write_text(TABLE if "column_defaults" not in options else TABLE.replace("2.5", "2"))
    found = tf.data.experimental.make_csv_dataset(str(path), shuffle=False, na_value="?", **options)
    for batch, told in zip(found.take(len(expected)), expected, strict=True):
        assert {name: np.asarray(batch[name]).tolist() for name in told} == told
        assert options.get("select_columns", ["a", "b", "c", "y"]) == [*batch]


def test_tables_with_a_label_and_without_a_header(tf: Any, tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("1|u\n2|v\n")
    (tmp_path / "2.csv").write_text("3|w\n")
    make, names = tf.data.experimental.make_csv_dataset, ["n", "t"]
    told = {"header": False, "column_names": names, "field_delim": "|", "num_epochs": 1, "shuffle": False}
    ((features, label),) = make(str(tmp_path / "*.csv"), 9, label_name="n", **told)
    assert list(features) == ["t"]
    assert features["t"].tolist() == ["u", "v", "w"]
    assert label.tolist() == [1, 2, 3]
    assert label.dtype == torch.int32
    mixed = make(str(tmp_path / "*.csv"), 3, label_name="n", **{**told, "shuffle": True, "shuffle_seed": 1})
    assert {tuple(label.tolist()) for _ in range(9) for _, label in mixed} != {(1, 2, 3)}
    with pytest.raises(FileNotFoundError, match="no file matches"):
        make(str(tmp_path / "none.csv"), 9)
    with pytest.raises(ValueError, match="expected 3 fields"):
        make(str(tmp_path / "1.csv"), 9, column_names=["a", "b", "c"], header=False, field_delim="|")
    with pytest.raises(ValueError, match="empty field"):
        (tmp_path / "3.csv").write_text("1|\n")
        make(str(tmp_path / "3.csv"), 9, column_defaults=[tf.int32, tf.string], **told)


@pytest.mark.parametrize(
    ("options", "shape", "fourth"),
    [
        ({}, (50, 2), [-0.1497802734375, 0.94024658203125]),
        ({"desired_channels": 1}, (50, 1), [-0.1497802734375]),
        ({"desired_channels": 3}, (50, 3), [-0.1497802734375, 0.94024658203125, 0.94024658203125]),
        ({"desired_samples": 60}, (60, 2), [-0.1497802734375, 0.94024658203125]),
        ({"desired_samples": 20}, (20, 2), [-0.1497802734375, 0.94024658203125]),
    ],
)
def test_sounds_in_files(tf: Any, options: dict[str, int], shape: tuple[int, ...], fourth: list[float]) -> None:
    sound = (np.random.RandomState(0).rand(50, 2).astype("float32") - 0.5) * 2.4
    file = tf.audio.encode_wav(sound, 8000)
    assert (len(file), sum(file)) == (244, 26897)
    found, rate = tf.audio.decode_wav(file, **options)
    assert (tuple(found.shape), int(rate), rate.dtype) == (shape, 8000, torch.int32)
    assert found[3].tolist() == fourth
    if len(found) > 50:
        assert not found[50:].any()


def test_several_texts_in_pieces(tf: Any) -> None:
    pieces = tf.strings.split(["a,b,c", "d"], ",")
    assert [row.tolist() for row in pieces] == [["a", "b", "c"], ["d"]]
    assert pieces.to_tensor().tolist() == [["a", "b", "c"], ["d", "", ""]]
    assert pieces.to_tensor("x", shape=[None, 2]).tolist() == [["a", "b"], ["d", "x"]]
    numbers = tf.strings.to_number(tf.strings.split(["1 2 3", "4"]), tf.float32)
    assert numbers.to_tensor().tolist() == [[1.0, 2.0, 3.0], [4.0, 0.0, 0.0]]
    assert [row.tolist() for row in tf.strings.unicode_split(["abé", "d"], "UTF-8")] == [["a", "b", "é"], ["d"]]
    assert tf.strings.length(tf.strings.bytes_split("aé")).tolist() == [1, 1, 1]  # a letter of two bytes
    with pytest.raises(ValueError, match="expected one text or a row"):
        tf.strings.split([["a"]])


def test_sizes_of_trial_tensors_in_shapes(tf: Any) -> None:
    class Lengths(tf.keras.layers.Layer):
        def call(self, x: Any) -> Any:
            batch, steps = (tf.cast(tf.shape(x)[axis], "int64") for axis in (0, 1))
            return steps * tf.ones(shape=(batch, 1), dtype="int64")

    x = tf.keras.Input((None,))
    model = tf.keras.Model(x, Lengths()(x))
    assert model.output_shape == (None, 1)
    assert model(np.zeros((3, 5), "float32")).tolist() == [[5]] * 3


@pytest.mark.parametrize("generation", ["keras1", "keras2", "tf_keras", "keras3"])
def test_sizes_that_data_decide(generation: str) -> None:
    for tf in _installed(generation):
        x = tf.keras.layers.Input((None, 3))
        batch, steps = tf.shape(x)[0], tf.shape(x)[1]
        rows = tf.reshape(x, tf.concat([tf.shape(x)[:1], [-1]], 0))
        parts = [
            rows,
            tf.matmul(tf.eye(steps), x),
            tf.zeros((batch * 2 // 2, steps * 2 - 3)),
            tf.cast(tf.size(x), "float32"),
        ]
        model = tf.keras.models.Model(x, [*parts[:3], x * parts[3]])
        data = np.arange(30, dtype="float32").reshape(2, 5, 3)
        rows, same, rest, counted = model.predict(data)
        assert rows.tolist() == data.reshape(2, 15).tolist() and same.tolist() == data.tolist()
        assert rest.shape == (2, 7) and counted.tolist() == (data * 30).tolist()


@pytest.fixture
def keras3() -> Iterator[Any]:
    yield from _installed("keras3")


def test_data_sets_of_keras_3_are_pipelines(keras3: Any, tmp_path: Path) -> None:
    import keras

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(3):
            (tmp_path / name / f"{number}.txt").write_text(f"{name} {number}")
    Dataset = keras3.data.Dataset
    for utils in (keras.utils, keras.preprocessing):
        found = utils.text_dataset_from_directory(tmp_path, batch_size=2, shuffle=False, verbose=False)
        assert isinstance(found, Dataset)
        assert found.class_names == ["a", "b"]
        ((texts, labels),) = found.map(lambda text, label: (keras3.strings.upper(text), label)).take(1)
        assert (texts.tolist(), labels.tolist()) == (["A 0", "A 1"], [0, 0])
        windows = utils.timeseries_dataset_from_array(np.arange(5), None, 3, batch_size=2)
        assert [batch.tolist() for batch in windows.skip(1)] == [[[2, 3, 4]]]
    parts = keras.utils.split_dataset((np.arange(5), np.arange(5)), left_size=0.6)
    assert [len(part) for part in parts] == [3, 2]
    assert [batch[0].tolist() for batch in parts[0].batch(2)] == [[0, 1], [2]]
    generations.uninstall()
    found = keras.utils.text_dataset_from_directory(tmp_path, verbose=False)
    assert isinstance(found, torch.utils.data.DataLoader)


def test_the_first_keras_within_tensorflow(tf: Any) -> None:
    from tensorflow.contrib.keras import layers

    assert tf.contrib.keras is tf.keras and layers is tf.keras.layers
    with pytest.raises(AttributeError, match="dropped it in 2019"):
        tf.contrib.slim()


# As TensorFlow 2.21 gave it.
_M, _B = "tf.constant([[2.0, 9.0], [1.0, 4.0]])", "tf.constant([[2.0], [9.0]])"
_D = "tf.data.Dataset.range(4)"
SINCE = {
    f"tf.linalg.triangular_solve({_M}, {_B})": [[1.0], [2.0]],
    f"tf.linalg.triangular_solve({_M}, {_B}, adjoint=True)": [[-0.125], [2.25]],
    f"tf.linalg.triangular_solve({_M}, {_B}, lower=False)": [[-9.125], [2.25]],
    f"tf.linalg.cholesky_solve({_M}, {_B})": [[0.25], [0.5]],
    "tf.linalg.lstsq(tf.ones((4, 1)), tf.reshape(tf.range(4.0), (4, 1)), l2_regularizer=2.0)": [[1.0]],
    f"tf.linalg.set_diag({_M}, [5.0], k=1)": [[2.0, 5.0], [1.0, 4.0]],
    f"tf.linalg.adjoint({_M})": [[2.0, 1.0], [9.0, 4.0]],
    "tf.searchsorted([1.0, 2.0, 2.0], [2.0, 9.0], side='right')": [3, 3],
    "tf.dynamic_partition([1, 2, 3], [0, 1, 0], 2)[0]": [1, 3],
    f"tf.data.experimental.get_single_element({_D}.batch(4))": [0, 1, 2, 3],
    f"tf.stack(list({_D}.apply(tf.data.experimental.scan(tf.constant(1, tf.int64), lambda s, x: (s + x, s * x)))))": [
        0, 1, 4, 12
    ],
    f"tf.stack(list({_D}.apply(tf.data.experimental.enumerate_dataset(2))))": [[2, 0], [3, 1], [4, 2], [5, 3]],
    f"tf.stack(list(tf.data.Dataset.sample_from_datasets([{_D}, {_D}], weights=[1.0, 0.0])))": [0, 1, 2, 3],
    "tf.linalg.trace(tf.reshape(tf.range(8), (2, 2, 2)))": [3, 11],
    "tf.constant('x', shape=(2,))": [b"x", b"x"],
    "tf.image.resize_with_pad(tf.ones((6, 5, 1)), 8, 8)[0, :, 0]": [1, 1, 1, 1, 1, 1, 0, 0],
    "tf.io.decode_png(tf.io.encode_png(tf.constant([[[0], [37], [255]]], tf.uint8)), dtype=tf.uint16)[0, :, 0]": [
        0, 9509, 65535
    ],
    "tf.stack(list(tf.data.Dataset.range(4).interleave(lambda x: tf.data.Dataset.range(10 * x, 11 * x + 1), 3)))": [
        0, 10, 20, 11, 21, 30, 22, 31, 32, 33
    ],
}  # fmt: skip


@pytest.mark.parametrize("call", SINCE)
def test_values_as_recorded(tf: Any, call: str) -> None:
    found = eval(call, {"tf": tf})
    assert found.numpy().tolist() == SINCE[call]


@pytest.mark.parametrize("generation", ["keras2", "tf_keras"])
def test_sizes_tell_their_value_as_those_of_tensorflow_1(generation: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("tf1" if generation == "keras2" else "tf")
    layers = importlib.import_module(f"lamina.{generation}.layers")
    for tensor in (layers.Input((6, 4, 1)), torch.zeros(2, 6, 4, 1)):
        shape = tensor.get_shape()
        assert shape[1].value == 6 and (shape[1] - shape[2]).value == 2 and int(shape[2]) == 4
        assert type(shape[1].value) is int and (10 - shape[1]).value == 4 and (shape[1] // 4).value == 1


def test_shapes_that_broadcast(tf: Any) -> None:
    assert tf.broadcast_dynamic_shape(tf.shape(torch.zeros(2, 1, 3)), tf.shape(torch.zeros(4, 1))).tolist() == [2, 4, 3]
    assert tf.broadcast_static_shape(tf.TensorShape([2, 1]), tf.TensorShape([3])) == [2, 3]
    with pytest.raises(ValueError, match="broadcast"):
        tf.broadcast_static_shape(tf.TensorShape([2]), tf.TensorShape([3]))
    x, y = tf.keras.Input((1, 4)), tf.keras.Input((3, 1))
    wide = tf.broadcast_to(x, tf.broadcast_dynamic_shape(tf.shape(x), tf.shape(y)))
    model = tf.keras.Model([x, y], wide)
    assert wide.shape == (None, 3, 4) and model([np.ones((2, 1, 4)), np.ones((2, 3, 1))]).shape == (2, 3, 4)
    told = tf.TensorShape([2, None]), tf.TensorShape(None)
    assert [str(shape) for shape in told] == ["(2, None)", "<unknown>"]
    assert [repr(shape) for shape in told] == ["TensorShape([2, None])", "TensorShape(None)"]


def test_texts_are_shown_as_bytes(tf: Any) -> None:
    found = tf.constant(["a", "b"])
    assert str(found) == "[b'a' b'b']" and str(found[0]) == "a" and f"{found}" == "[b'a' b'b']"


def test_tables_that_are_packed(tf: Any, tmp_path: Path) -> None:
    with gzip.open(tmp_path / "t.csv.gz", "wt") as file:
        file.write("a,b\n1,x\n2,y\n")
    found = tf.data.experimental.make_csv_dataset(
        str(tmp_path / "t.csv.gz"), 2, shuffle=False, num_epochs=1, compression_type="GZIP"
    )
    (batch,) = found
    assert batch["a"].tolist() == [1, 2] and batch["b"].numpy().tolist() == [b"x", b"y"]


def test_the_best_boxes_are_chosen_inside_a_model(tf: Any) -> None:
    """As the YOLO and SSD of 2017-20 end: how many there are rests on values."""
    keras = tf.keras
    boxes, scores = keras.Input((6, 4)), keras.Input((6,))
    wanted = tf.boolean_mask(boxes[0], scores[0] > 0.2), tf.boolean_mask(scores[0], scores[0] > 0.2)
    chosen = tf.image.non_max_suppression(*wanted, 3, iou_threshold=0.1)
    model = keras.Model([boxes, scores], [tf.gather(wanted[0], chosen), tf.gather(wanted[1], chosen)])
    x = np.sort(np.random.default_rng(0).random((1, 6, 2, 2)).astype("float32"), 2).reshape(1, 6, 4)
    y = np.array([[0.9, 0.1, 0.8, 0.3, 0.5, 0.7]], "float32")
    above = np.flatnonzero(y[0] > 0.2)
    places = above[tf.image.non_max_suppression(x[0][above], y[0][above], 3, iou_threshold=0.1).numpy()]
    found, best = model([x, y])
    np.testing.assert_array_equal(found.numpy(), x[0][places])
    np.testing.assert_array_equal(best.numpy(), y[0][places])


@pytest.mark.parametrize("initial_dist", [None, [0.9, 0.1]])
def test_classes_are_resampled_to_the_shares_told(tf: Any, initial_dist: Any) -> None:
    labels = (np.arange(2000) % 10 == 0).astype("int32")
    data = tf.data.Dataset.from_tensor_slices((np.arange(2000), labels))
    found = list(data.rejection_resample(lambda x, y: y, [0.5, 0.5], initial_dist, seed=1))
    assert all(int(label) == int(y) for label, (_, y) in found)
    assert 300 < len(found) < 500 and np.mean([int(label) for label, _ in found]) == pytest.approx(0.5, abs=0.1)


def test_a_method_that_datasets_lack_says_so(tf: Any) -> None:
    with pytest.raises(AttributeError, match=r"tf\.data\.Dataset\.save is not in Lamina's stand-in"):
        tf.data.Dataset.range(3).save("folder")


def test_slices_by_their_ends_and_values_with_counts(tf: Any) -> None:
    assert tf.strided_slice([[1, 2, 3], [4, 5, 6]], [0, 2], [2, 0], [1, -1]).tolist() == [[3, 2], [6, 5]]
    values, places, counts = tf.unique_with_counts([1, 2, 1, 5, 5])
    assert (values.tolist(), places.tolist(), counts.tolist()) == ([1, 2, 5], [0, 1, 0, 2, 2], [2, 1, 2])


def test_max_pool_with_argmax(tf: Any) -> None:
    """By TensorFlow 2.21."""
    x = np.random.RandomState(0).randn(2, 5, 6, 3).astype("float32")
    expected = {
        (2, 2, "SAME"): ((2, 3, 3, 3), 49.38059, [3, 4, 2, 24, 28, 29, 12, 16, 14], 2664, 5094),
        (2, 2, "VALID"): ((2, 2, 3, 3), 41.15861, [3, 4, 2, 24, 28, 29, 12, 16, 14], 1224, 2844),
        (3, 2, "SAME"): ((2, 3, 3, 3), 73.42428, [24, 4, 2, 24, 28, 29, 12, 16, 14], 2451, 4881),
        ((1, 3, 2, 1), (1, 1, 2, 1), "VALID"): ((2, 3, 3, 3), 72.06845, [3, 4, 2, 24, 43, 29, 12, 16, 14], 2313, 4743),
    }
    for (size, step, padding), (shape, total, first, places, of_all) in expected.items():
        found = tf.nn.max_pool_with_argmax(tf.constant(x), size, step, padding)
        assert tuple(found.output.shape) == tuple(found.argmax.shape) == shape
        assert float(tf.reduce_sum(found.output)) == pytest.approx(total, rel=1e-5)
        assert found.argmax.numpy().ravel()[:9].tolist() == first and found.argmax.numpy().sum() == places
        _, argmax = tf.nn.max_pool_with_argmax(tf.constant(x), size, step, padding, include_batch_in_index=True)
        assert argmax.numpy().sum() == of_all and argmax.numpy().dtype == "int64"


@pytest.mark.parametrize(
    ("told", "scores", "classes"),
    [
        (
            {},
            [[0.9763, 0.9727, 0.7148, 0.5472, 0.0], [0.9834, 0.949, 0.863, 0.7863, 0.0]],
            [[0, 0, 1, 1, 0], [1, 1, 0, 0, 0]],
        ),
        (
            {"pad_per_class": True, "clip_boxes": False, "score_threshold": 0.4},
            [[0.9763, 0.9727, 0.7148, 0.5472], [0.9834, 0.949, 0.863, 0.7863]],
            [[0, 0, 1, 1], [1, 1, 0, 0]],
        ),
    ],
)
def test_the_best_boxes_of_each_class(tf: Any, told: Any, scores: Any, classes: Any) -> None:
    """As TensorFlow 2.21 found them."""
    boxes = np.random.RandomState(3).rand(2, 6, 1, 4).astype("float32") * 1.2 - 0.1
    values = np.random.RandomState(4).rand(2, 6, 2).astype("float32")
    found = tf.image.combined_non_max_suppression(boxes, values, 2, 5, iou_threshold=0.3, **told)
    np.testing.assert_allclose(found.nmsed_scores, scores, atol=1e-4)
    assert found.nmsed_classes.tolist() == classes and found.valid_detections.tolist() == [4, 4]
    np.testing.assert_allclose(found.nmsed_boxes[0, 0], [0.679, 0.2342, 0.7115, 0.609], atol=1e-4)
    keras = tf.keras
    inputs = keras.Input((6, 1, 4)), keras.Input((6, 2))
    model = keras.Model(inputs, tf.image.combined_non_max_suppression(*inputs, 2, 5, iou_threshold=0.3))
    at_once = tf.image.combined_non_max_suppression(boxes, values, 2, 5, iou_threshold=0.3)
    np.testing.assert_allclose(model([boxes, values])[1], at_once.nmsed_scores)


def test_functions_of_sums_and_quotients(tf: Any) -> None:
    x = tf.constant([[0.5, 1.0, -2.0]])
    np.testing.assert_allclose(tf.math.cumulative_logsumexp(x, 1, exclusive=True), [[-np.inf, 0.5, 1.4740770]], 1e-6)
    assert tf.math.xdivy(tf.constant([0.0, 1.0]), tf.constant([0.0, 4.0])).tolist() == [0, 0.25]
    assert tf.math.rint(tf.constant([0.5, 1.5])).tolist() == [0, 2]
    assert tf.cumsum(tf.constant([1, 2, 3], tf.uint8)).dtype == tf.uint8


# Beside TensorFlow 2.21, which gave these values ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, options, expected",
    [
        ("GradientDescent", {"learning_rate": 0.1}, [0.97, 1.87]),
        ("Momentum", {"learning_rate": 0.1, "momentum": 0.9}, [0.8665, 2.014]),
        ("Momentum", {"learning_rate": 0.1, "momentum": 0.9, "use_nesterov": True}, [0.84985, 1.8826]),
        ("Adam", {"name": "adam"}, [0.99792516, 2.0010145]),
        ("Adam", {"learning_rate": 0.01, "beta1": 0.8, "beta2": 0.9, "epsilon": 0.1}, [0.98777556, 2.006247]),
        ("Adagrad", {"learning_rate": 0.1, "initial_accumulator_value": 0.5}, [0.9608023, 1.973267]),
        ("Adadelta", {"learning_rate": 0.1}, [0.9999724, 1.9999678]),
        ("RMSProp", {"learning_rate": 0.01}, [0.99717635, 1.9887321]),
        ("RMSProp", {"learning_rate": 0.01, "epsilon": 0.1, "use_locking": False}, [0.99728596, 1.9891276]),
        (
            "RMSProp",
            {"learning_rate": 0.01, "decay": 0.8, "momentum": 0.5, "centered": True},
            [0.9920403, 1.9956542],
        ),
    ],
)
def test_optimizers_of_tensorflow_1(tf: Any, name: str, options: dict[str, Any], expected: list[float]) -> None:
    make = getattr(tf.compat.v1.train, f"{name}Optimizer")
    optimizer, variable = make(**options), tf.Variable([1.0, 2.0])
    for gradient in ([0.5, -1.0], [0.2, 0.3], [-0.4, 2.0]):
        optimizer.apply_gradients([(tf.constant(gradient), variable)])
    np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-5)
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,))])
    model.compile(make(**options), "mse")
    before = model.get_weights()[0]
    model.fit(np.ones((4, 2)), np.zeros((4, 1)), verbose=0)
    assert not np.array_equal(model.get_weights()[0], before)


def test_functions_of_few_scripts(tf: Any) -> None:
    i, j = tf.constant([7, -7, 5]), tf.constant([2, 2, -3])
    assert tf.truncatemod(i, j).tolist() == [1, -1, 2] and tf.bitwise.invert(i).tolist() == [-8, 6, -6]
    assert tf.math.invert_permutation([2, 0, 1]).numpy().tolist() == [1, 2, 0]
    assert tf.math.multiply_no_nan([np.inf, 2.0], [0.0, 3.0]).tolist() == [0.0, 6.0]
    assert tf.math.reciprocal_no_nan([0.0, 2.0]).tolist() == [0.0, 0.5]
    rows = tf.reshape(tf.range(12), (3, 4))
    expected = [[0, 1, 2, 3], [5, 4, 6, 7], [11, 10, 9, 8]]
    assert tf.reverse_sequence(rows, [1, 2, 4], seq_axis=1).tolist() == expected
    turned = tf.reverse_sequence(tf.transpose(rows), [1, 2, 4], seq_axis=0, batch_axis=1)
    assert tf.transpose(turned).tolist() == expected
    for found, value in (
        (tf.math.igammac(0.5, 2.0), 0.04550026),
        (tf.math.zeta(1.5, 2.0), 1.6123754),
        (tf.math.ndtri(0.3), -0.5244005),
        (tf.math.bessel_i0(2.5), 3.2898395),
    ):
        np.testing.assert_allclose(found, value, rtol=1e-5)
    logits = np.random.RandomState(1).uniform(-1, 1, (6, 2, 4)).astype("float32")
    labels, lengths = [[1, 2, 2], [3, 0, 0]], ([3, 1], [6, 5])
    by_time = tf.nn.ctc_loss(labels, logits, *lengths, blank_index=0)
    np.testing.assert_allclose(by_time, [4.931409, 4.5486097], rtol=1e-5)
    batches = tf.nn.ctc_loss(labels, logits.swapaxes(0, 1), *lengths, logits_time_major=False)
    np.testing.assert_allclose(batches, by_time)
    other = tf.nn.ctc_loss([[1, 2, 2], [0, 0, 0]], logits, *lengths, blank_index=-1)
    np.testing.assert_allclose(other, [6.8530073, 4.4259157], rtol=1e-5)


def test_a_tensor_of_a_variable_stays_as_it_is(tf: Any) -> None:
    variable = tf.Variable([1.0, 2.0])
    kept = tf.convert_to_tensor(variable)
    variable.assign([3.0, 4.0])
    assert kept.tolist() == [1.0, 2.0]


def test_lists_in_examples_of_any_length(tf: Any) -> None:
    def example(count: int) -> Any:
        numbers = tf.train.Feature(int64_list=tf.train.Int64List(value=range(count)))
        pairs = tf.train.Feature(int64_list=tf.train.Int64List(value=range(2 * count)))
        words = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"a"] * count))
        feature = {"numbers": numbers, "pairs": pairs, "words": words}
        return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()

    features = {
        "numbers": tf.io.VarLenFeature(tf.int64),
        "words": tf.io.VarLenFeature(tf.string),
        "pairs": tf.io.FixedLenSequenceFeature([2], tf.int64, allow_missing=True),
    }
    found = tf.io.parse_example([example(1), example(2), example(0)], features)
    assert tf.sparse.to_dense(found["numbers"]).tolist() == [[0, 0], [0, 1], [0, 0]]
    assert tf.sparse.to_dense(found["numbers"], default_value=-1).tolist() == [[0, -1], [0, 1], [-1, -1]]
    assert tf.sparse.to_dense(found["words"], "z").numpy().tolist() == [[b"a", b"z"], [b"a", b"a"], [b"z", b"z"]]
    assert found["pairs"].tolist() == [[[0, 1], [0, 0]], [[0, 1], [2, 3]], [[0, 0], [0, 0]]]
    one = tf.io.parse_single_example(example(1), features)
    assert tf.sparse.to_dense(one["numbers"], default_value=7).tolist() == [0] and one["pairs"].tolist() == [[0, 1]]
    with pytest.raises(ValueError, match="allow_missing=True"):
        tf.io.parse_single_example(example(1), {"other": tf.io.FixedLenSequenceFeature([], tf.int64)})


@pytest.mark.parametrize("first", ["picture", "batch", "mapped"])
def test_stacks_without_a_told_input_take_data_of_another_rank(tf: Any, first: str) -> None:
    """As in TensorFlow's tutorial of augmentation: one picture, then batches, then as a part of a model."""
    L = tf.keras.layers
    pictures = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 3)).astype("float32")
    expected = pictures.reshape(4, 4, 2, 4, 2, 3).mean((2, 4)) / 255  # halved, bilinear
    ready = tf.keras.Sequential([L.Resizing(4, 4), L.Rescaling(1.0 / 255)])
    if first == "picture":
        np.testing.assert_allclose(ready(pictures[0]).numpy(), expected[0], atol=1e-6)
    elif first == "mapped":
        data = tf.data.Dataset.from_tensor_slices(pictures).map(ready).batch(4)
        np.testing.assert_allclose(next(iter(data)).numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(ready(pictures).numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(ready(pictures[1]).numpy(), expected[1], atol=1e-6)
    model = tf.keras.Sequential([ready, L.Conv2D(2, 3), L.Flatten(), L.Dense(1)])
    assert not model.built
    model.compile("sgd", "mse")
    model.fit(pictures, np.ones((4, 1)), verbose=0)
    assert len(model.weights) == 4 and model.predict(pictures, verbose=0).shape == (4, 1)
    with pytest.raises(ValueError, match="expected 4 axes"):
        model(pictures[0])
    assert model.predict(pictures, verbose=0).shape == (4, 1)  # as before
    told = tf.keras.Sequential([L.Dense(2, input_shape=(8,))])
    with pytest.raises(ValueError, match="expected 2 axes"):
        told(pictures[0])


def test_texts_as_numbers_and_in_rows(tf: Any) -> None:
    """Values of TensorFlow 2.21."""
    words = tf.constant(["a", "hello world", "x" * 40, "y" * 100, "é", ""])
    assert tf.strings.to_hash_bucket_fast(words, 1000003).numpy().tolist() == [
        291400,
        234754,
        326595,
        299856,
        47472,
        377723,
    ]
    assert tf.strings.to_hash_bucket_strong(words, 1000, [1, 2]).numpy().tolist() == [646, 446, 927, 281, 591, 435]
    assert tf.strings.ngrams(["a", "b", "c"], 2).numpy().tolist() == [b"a b", b"b c"]
    found = tf.strings.ngrams([["a", "b", "c"], ["d", "e", "f"]], [1, 2], separator="_")
    assert found.numpy().tolist() == [[b"a", b"b", b"c", b"a_b", b"b_c"], [b"d", b"e", b"f", b"d_e", b"e_f"]]
    pieces = tf.strings.split(["a b c", "d"])
    assert pieces.row_lengths().numpy().tolist() == [3, 1]
    assert pieces.flat_values.numpy().tolist() == [b"a", b"b", b"c", b"d"]
    assert [row.numpy().tolist() for row in tf.strings.ngrams(pieces, 2)] == [[b"a b", b"b c"], []]
    assert pieces.to_list() == [[b"a", b"b", b"c"], [b"d"]]


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_pictures_in_jpeg(tf: Any, kind: str) -> None:
    picture = np.kron(np.arange(16).reshape(4, 4, 1) % 5 * 60, np.ones((8, 8, 3))).astype("uint8")
    given = tf.image.convert_image_dtype(picture, kind)
    for left in (tf.image.adjust_jpeg_quality(given, 95), tf.image.random_jpeg_quality(given, 90, 100)):
        assert str(left.dtype).endswith(kind) and left.shape == (32, 32, 3)
        np.testing.assert_allclose(tf.image.convert_image_dtype(left, "float32"), picture / 255, atol=0.1)
    assert tf.image.is_jpeg(tf.io.encode_jpeg(picture)) and not tf.image.is_jpeg(tf.io.encode_png(picture))


def test_ragged_tensors(tf: Any) -> None:
    """What TensorFlow 2.21 gives."""
    rows = [[3, 1, 4, 1], [], [5, 9, 2], [6]]
    x, texts = tf.ragged.constant(rows), tf.ragged.constant([["a", "bc"], ["d"]])
    assert isinstance(x, tf.RaggedTensor) and not isinstance(tf.constant(1), tf.RaggedTensor)
    assert (x.dtype, texts.dtype, x.shape.as_list()) == (tf.int32, tf.string, [4, None])
    assert x.to_tensor().numpy().tolist() == [[3, 1, 4, 1], [0] * 4, [5, 9, 2, 0], [6, 0, 0, 0]]
    assert x.to_tensor(-1, shape=[None, 2]).numpy().tolist() == [[3, 1], [-1, -1], [5, 9], [6, -1]]
    assert texts.to_tensor().numpy().tolist() == [[b"a", b"bc"], [b"d", b""]]
    assert [x.row_lengths().tolist(), x.row_splits.tolist(), x.values.tolist()] == [
        [4, 0, 3, 1],
        [0, 4, 4, 7, 8],
        [3, 1, 4, 1, 5, 9, 2, 6],
    ]
    assert (x[0].tolist(), int(x[2, 1]), x[:2].to_list()) == (rows[0], 9, rows[:2])
    assert x[:, -1:].to_list() == [[1], [], [2], [6]] and x[2:, 1:].to_list() == [[9, 2], []]
    assert (x + 1).to_list() == (1 + x).to_list() == [[value + 1 for value in row] for row in rows]
    assert (x + x).to_list() == (x * 2).to_list() and (x > 2).to_list()[3] == [True]
    assert tf.cast(x, tf.float32).dtype == tf.float32 and str(x) == f"<tf.RaggedTensor {rows}>"
    assert tf.reduce_sum(x, axis=1).numpy().tolist() == [9, 0, 16, 6] and int(tf.reduce_sum(x)) == 31
    assert tf.strings.reduce_join(texts, axis=-1).numpy().tolist() == [b"abc", b"d"]
    assert tf.strings.length(texts).to_list() == [[1, 2], [1]]
    inner = tf.ragged.constant([[[1, 2], [3, 4]], [[5, 6]]], ragged_rank=1)
    assert inner.shape.as_list() == [2, None, 2]
    assert inner.to_tensor().numpy().tolist() == [[[1, 2], [3, 4]], [[5, 6], [0, 0]]]
    padded = tf.constant([[1, 2, 0], [3, 0, 0]])
    assert tf.RaggedTensor.from_tensor(padded, padding=0).to_list() == [[1, 2], [3]]
    assert tf.RaggedTensor.from_tensor(padded, lengths=[1, 2]).to_list() == [[1], [3, 0]]
    assert tf.RaggedTensor.from_row_splits([1, 2, 3], [0, 2, 2, 3]).to_list() == [[1, 2], [], [3]]
    for wrong, match in (
        (lambda: tf.ragged.constant([[[1], []]]), "second axis"),
        (lambda: tf.reduce_sum(x, 0), "axis 0"),
    ):
        with pytest.raises(ValueError, match=match):
            wrong()


def test_ragged_tensors_in_pipelines(tf: Any) -> None:
    x = tf.ragged.constant([[3, 1], [], [5, 9, 2]])
    pairs = tf.data.Dataset.from_tensor_slices((x, [0, 1, 2])).batch(2)
    assert [(rows.to_list(), y.tolist()) for rows, y in pairs] == [([[3, 1], []], [0, 1]), ([[5, 9, 2]], [2])]
    each = tf.data.Dataset.range(1, 4).map(lambda n: (tf.range(n), n))
    for batches in (each.ragged_batch(2), each.apply(tf.data.experimental.dense_to_ragged_batch(2))):
        found = [(rows.to_tensor().tolist(), n.tolist()) for rows, n in batches]
        assert found == [([[0, 0], [0, 1]], [1, 2]), ([[0, 1, 2]], [3])]


def test_ragged_tensors_in_layers(tf: Any) -> None:
    """Value by value where a layer goes so; as in TensorFlow's tutorial on the generation of texts."""
    layers = tf.keras.layers
    letters = tf.strings.unicode_split(["ad", "d"], "UTF-8")
    lookup = layers.StringLookup(vocabulary=["a", "d"], mask_token=None)
    numbers = lookup(letters)
    assert numbers.to_list() == [[1, 2], [2]]
    back = layers.StringLookup(vocabulary=lookup.get_vocabulary(), invert=True, mask_token=None)(numbers)
    assert tf.strings.reduce_join(back, axis=-1).numpy().tolist() == [b"ad", b"d"]
    assert layers.Embedding(3, 2, embeddings_initializer="ones")(numbers).to_list() == [[[1, 1], [1, 1]], [[1, 1]]]
    assert layers.Lambda(lambda rows: rows.to_tensor())(numbers).numpy().tolist() == [[1, 2], [2, 0]]
    words = layers.TextVectorization(ragged=True, vocabulary=["a", "b"])
    assert words(tf.constant(["a b", "b"])).to_tensor().numpy().tolist() == [[2, 3], [3, 0]]
    with pytest.raises(ValueError, match=r"cannot take rows of several lengths. Pass what their to_tensor\(\)"):
        layers.Dense(2)(numbers)


def test_letters_as_numbers(tf: Any) -> None:
    assert tf.strings.unicode_decode(["Café", "a"], "UTF-8").to_list() == [[67, 97, 102, 233], [97]]
    assert tf.strings.unicode_decode("Café", "UTF-8").numpy().tolist() == [67, 97, 102, 233]
    assert tf.strings.unicode_encode(tf.constant([67, 233]), "UTF-8").numpy() == "Cé".encode()
    assert tf.strings.unicode_encode(tf.ragged.constant([[67], [97, 233]]), "UTF-8").numpy()[1] == "aé".encode()


def test_sparse_tensors_keep_zeros_that_are_values(tf: Any) -> None:
    sparse = tf.SparseTensor(indices=[[1, 2], [0, 0]], values=[2.0, 0.0], dense_shape=[2, 3])
    assert sparse.indices.numpy().tolist() == [[0, 0], [1, 2]] and sparse.values.numpy().tolist() == [0, 2]
    assert isinstance(sparse, tf.SparseTensor) and not isinstance(tf.constant(1), tf.SparseTensor)
    whole = tf.cast(sparse, tf.int64)
    assert isinstance(whole, tf.SparseTensor) and whole.dense_shape.numpy().tolist() == [2, 3]
    assert tf.sparse.to_dense(whole, default_value=-1).numpy().tolist() == [[0, -1, -1], [-1, -1, 2]]
    dense = tf.sparse.from_dense([[0.0, 3.0], [4.0, 0.0]])
    assert dense.values.numpy().tolist() == [3, 4]
    weight = tf.Variable([[1.0], [2.0]])
    with tf.GradientTape() as tape:
        found = tf.sparse.sparse_dense_matmul(dense, weight)
    assert found.numpy().tolist() == [[6], [4]] and tape.gradient(found, weight).numpy().tolist() == [[4], [3]]
    with pytest.raises(RuntimeError, match="size is inconsistent with indices"):
        tf.SparseTensor([[0, 3]], [1.0], [2, 3])


LABELS = np.array([[1, 2, 0], [3, 0, 0], [2, 2, 1]])  # of TensorFlow 2.21: what follows of them
SCORES = np.random.RandomState(0).randn(6, 3, 5).astype("float32")


@pytest.mark.parametrize("how", ["dense", "sparse", "first", "positions of TensorFlow 1", "words of TensorFlow 1"])
def test_labels_of_ctc_may_be_sparse(tf: Any, how: str) -> None:
    labels, steps = tf.sparse.from_dense(LABELS), np.array([6, 5, 6])
    if how == "dense":
        found = tf.nn.ctc_loss(LABELS, SCORES, [2, 1, 3], steps, blank_index=-1)
    elif how == "sparse":
        found = tf.nn.ctc_loss(labels, SCORES, None, steps, blank_index=4)
    elif how == "first":
        found = tf.nn.ctc_loss(labels, SCORES.transpose(1, 0, 2), None, steps, logits_time_major=False)
    elif how == "words of TensorFlow 1":
        found = tf.compat.v1.nn.ctc_loss(inputs=SCORES, labels=labels, sequence_length=steps)
    else:
        found = tf.compat.v1.nn.ctc_loss(labels, SCORES, steps)
    np.testing.assert_allclose(found.numpy(), [4.1336, 5.9542, 7.3244], atol=1e-4)


def test_paths_of_ctc_are_sparse(tf: Any) -> None:
    (path,), scores = tf.nn.ctc_greedy_decoder(SCORES, [6, 5, 6])
    assert tf.sparse.to_dense(path, -1).numpy().tolist() == [[3, 1, 2, -1, -1], [1, 1, 2, -1, -1], [1, 3, 0, 2, 0]]
    np.testing.assert_allclose(scores.numpy()[:, 0], [-5.1242, -5.2998, -8.4014], atol=1e-4)
    (_, second), scores = tf.nn.ctc_beam_search_decoder(SCORES, [6, 5, 6], beam_width=20, top_paths=2)
    assert tf.sparse.to_dense(second, -1).numpy().tolist() == [[3, 1, 2, 1], [1, 1, 2, -1], [1, 3, 0, -1]]
    np.testing.assert_allclose(scores.numpy()[0], [-3.7069, -4.0711], atol=1e-4)


def test_edit_distances(tf: Any) -> None:
    first = tf.sparse.from_dense([[1, 2, 0, 3], [0, 0, 0, 0], [4, 4, 5, 0]])
    second = tf.sparse.from_dense([[1, 3, 0, 0], [2, 0, 0, 0], [4, 5, 5, 6]])
    assert tf.edit_distance(first, second, normalize=False).numpy().tolist() == [1, 1, 2]
    assert tf.edit_distance(first, second).numpy().tolist() == [0.5, 1, 0.5]
    np.testing.assert_allclose(tf.edit_distance(second, first).numpy(), [1 / 3, np.inf, 2 / 3])


def test_number_types_by_their_numbers(tf: Any) -> None:
    """`tf.zeros(1, 1)` of Keras' guide on own layers: 1 is float32."""
    assert (tf.zeros(1, 1).dtype, tf.zeros(1, 1).shape, tf.ones((2,), 3).dtype) == (tf.float32, (1,), tf.int32)


def test_small_words_of_tensorflow(tf: Any) -> None:
    x = tf.Variable([[1.0, 2.0], [3.0, 5.0]])
    with tf.GradientTape() as tape:
        rounded = tf.grad_pass_through(tf.round)(x * 1.4)
    assert rounded.numpy().tolist() == [[1, 3], [4, 7]]
    np.testing.assert_allclose(tape.gradient(rounded, x).numpy(), 1.4)
    assert x.gather_nd([[1, 0]]).numpy().tolist() == [3]
    assert int(tf.linalg.matrix_rank([[1.0, 2.0], [2.0, 4.0]])) == 1
    b = tf.constant([[1.0], [2.0]])
    np.testing.assert_allclose(tf.linalg.solve(x, b, adjoint=True).numpy(), tf.linalg.solve(tf.transpose(x), b).numpy())
    array = tf.TensorArray(tf.float32, size=1)
    assert array.identity() is array and array.dtype == tf.float32
    data = tf.data.Dataset.from_tensor_slices(([[1, 2], [3, 4]], ["a", "b"]))
    assert tf.compat.v1.data.get_output_shapes(data) == ((2,), ())
    assert tf.compat.v1.data.get_output_types(data) == (tf.int32, tf.string)
    assert tf.data.experimental.get_structure(data)[1].dtype == tf.string


def test_values_of_features_of_any_length(tf: Any) -> None:
    def example(*words: bytes) -> bytes:
        feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=words))
        return tf.train.Example(features=tf.train.Features(feature={"words": feature})).SerializeToString()

    told = {"words": tf.io.VarLenFeature(tf.string)}
    one = tf.io.parse_single_example(example(b"a", b"bc"), told)["words"]
    assert one.values.numpy().tolist() == [b"a", b"bc"]
    several = tf.io.parse_example([example(b"a", b"bc"), example(b"d")], told)["words"]
    assert several.values.numpy().tolist() == [b"a", b"bc", b"d"]
    rows = tf.data.Dataset.from_tensor_slices([example(b"a", b"bc"), example(b"d")])
    single = [row["words"] for row in rows.map(lambda row: tf.io.parse_single_example(row, told))]
    assert [row.values.numpy().tolist() for row in single] == [[b"a", b"bc"], [b"d"]]
    (batch,) = rows.batch(2).map(lambda row: tf.io.parse_example(row, told)).prefetch(1)
    assert batch["words"].values.numpy().tolist() == [b"a", b"bc", b"d"]
    assert tf.sparse.to_dense(batch["words"], "-").numpy().tolist() == [[b"a", b"bc"], [b"d", b"-"]]


def test_tensors_behave_as_numpys(tf: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(torch.Tensor, "astype", None, raising=False)  # undone afterwards
    inside = importlib.import_module("tensorflow.python.ops.numpy_ops").np_config
    for enable in (inside.enable_numpy_behavior, tf.experimental.numpy.experimental_enable_numpy_behavior):
        monkeypatch.delattr(torch.Tensor, "astype")
        enable()
        for kind in ("int32", np.int32, tf.int32):
            found = tf.constant([[1.5, 2.0]]).astype(kind)
            assert found.dtype == tf.int32 and found.reshape(-1).tolist() == [1, 2]


@pytest.mark.parametrize(("told", "dynamic", "scale"), [("dynamic", True, 2.0**15), (1024, False, 1024)])
def test_scales_of_losses_as_tensorflow_2_1_told_them(tf: Any, told: Any, dynamic: bool, scale: float) -> None:
    for given in ({"loss_scale": told}, {"dynamic": told}):
        made = tf.keras.mixed_precision.LossScaleOptimizer(tf.keras.optimizers.SGD(), **given)
        assert made.dynamic is dynamic and float(made.loss_scale) == scale


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((1.1, 0.2, -1.3, -0.1, 0.9, 0.7, 0.01, 0.02), [[-1, 7, 1, 2, 3], [-1, 7, 8, 9, 10], [-1, 14, 15, 16, 17]]),
        ((1, 0, 0.5, 0, 1, 0.5, 0, 0), [[8, 9, 10, 11, 12], [15, 16, 17, 18, 19], [22, 23, 24, 25, 26]]),
    ],
)
def test_projected_pictures(tf: Any, numbers: tuple, expected: list) -> None:
    """By TensorFlow 2.21: the nearest of two as near is the one farther out."""
    picture = np.arange(42).reshape(1, 6, 7, 1).astype("float32")
    told = {"output_shape": tf.constant([3, 5]), "fill_value": tf.constant(-1.0), "interpolation": "NEAREST"}
    found = tf.raw_ops.ImageProjectiveTransformV3(images=picture, transforms=tf.constant([numbers]), **told)
    assert found[0, :, :, 0].tolist() == expected


@pytest.mark.parametrize(
    ("shift", "how", "expected"),
    [
        (-3.4, "NEAREST", [3, 4, 5, 5, 2]),
        (-3.4, "BILINEAR", [2.6, 3.6, 4.6, 5, 1.6]),
        (7.3, "NEAREST", [3, 1, 1, 1, 2]),
        (7.3, "BILINEAR", [3.3, 1, 1, 1.3, 2.3]),
    ],
)
def test_projected_pictures_that_come_again(tf: Any, shift: float, how: str, expected: list) -> None:
    """By TensorFlow 2.21, whose period is another one."""
    picture, numbers = np.arange(1, 6, dtype="float32").reshape(1, 1, 5, 1), [[1, 0, shift, 0, 1, 0, 0, 0]]
    told = {"output_shape": [1, 5], "fill_value": 0.0, "interpolation": how, "fill_mode": "WRAP"}
    found = tf.raw_ops.ImageProjectiveTransformV3(images=picture, transforms=tf.constant(numbers), **told)
    np.testing.assert_allclose(found.flatten(), expected, rtol=1e-5)


def test_words_of_libraries(tf: Any) -> None:
    assert tf.math.polyval([2.0, -1.0, 0.5], tf.constant([[1.0, 2.0], [3.0, -4.0]])).tolist() == [
        [1.5, 6.5],
        [15.5, 36.5],
    ]
    assert tf.realdiv([1.0], [4.0]).tolist() == [0.25] and tf.scalar_mul(2.0, tf.constant([1.0])).tolist() == [2]
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a"], tf.constant([1], tf.int64)), -1)
    assert (int(table.default_value), table.key_dtype, table.value_dtype) == (-1, tf.string, tf.int64)
    assert (
        operator.add([1], tf.TensorShape([2, 3])) == tf.TensorShape([1, 2, 3]) == tf.TensorShape([1, 2, 3]).with_rank(3)
    )
    with pytest.raises(ValueError, match="rank"):
        tf.TensorShape([1]).with_rank(2)
    assert float(tf.math.nextafter(1, 0)) == float(np.nextafter(np.float32(1), np.float32(0)))
    assert tf.bfloat16.as_numpy_dtype is np.float32
    tf.debugging.assert_rank_in(A, [2, 3])
    with pytest.raises(ValueError, match="1 or 2"):
        tf.debugging.assert_rank_in(A, [1, 2])
    places = tf.nn.max_pool_with_argmax(A[None, ..., :1], 2, 1, "VALID")[1]
    assert tuple(places.shape) == (1, 2, 3, 1)
    assert not isinstance(A, tf.RaggedTensorSpec)
    with pytest.raises(AttributeError, match="no TPU"):
        tf.tpu.experimental.embedding.SGD(0.1)


@pytest.mark.parametrize(
    "move",
    [
        lambda tf, x: tf.expand_dims(x, -1),
        lambda tf, x: tf.squeeze(x, -1),
        lambda tf, x: tf.reshape(x, (-1,)),
        lambda tf, x: tf.concat([x, x], 1),
        lambda tf, x: tf.stack([x, x], axis=1),
        lambda tf, x: tf.gather(x, [0, 0], axis=1),
        lambda tf, x: tf.tile(x, [1, 2]),
        lambda tf, x: tf.identity(x),
        lambda tf, x: tf.keras.backend.concatenate([x, x]),
        lambda tf, x: x[:, 0],
    ],
)
def test_texts_are_moved_in_models(tf: Any, move: Any) -> None:
    lookup = tf.keras.layers.StringLookup(vocabulary=["a", "b"])
    x = tf.keras.Input((1,), dtype="string")
    model = tf.keras.Model(x, lookup(move(tf, x)))
    wanted = move(tf, tf.constant([[1], [2], [0]])).numpy()
    assert model.output_shape[1:] == wanted.shape[1:]
    for data in ([["a"], ["b"], ["c"]], np.array([["a"], ["b"], ["c"]], dtype=object)):
        np.testing.assert_array_equal(model.predict(tf.constant(data), verbose=0), wanted)
