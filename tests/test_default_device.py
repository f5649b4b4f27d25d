"""What code makes lies where `torch.set_default_device` says, as `lamina run` has it on a machine with a GPU."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import lamina
from lamina import generations, keras1, keras2, ops, tf_keras
from lamina.core import devices

ROW = np.arange(4, dtype="float32")
VALUES: dict[str, Callable[[Any], Any]] = {
    "a variable": lambda K: K.variable(ROW),
    "zeros": lambda K: K.zeros((4,)),
    "an array": lambda K: K.square(ROW),
    "an array in another type": lambda K: K.cast(ROW, "float16"),
    "a variable beside an array": lambda K: K.variable(ROW) * K.cast(ROW, "float32"),
    "draws": lambda K: K.random_normal((4,)),
    "draws of a seed": lambda K: K.random_uniform((4,), seed=3),
    "one-hot": lambda K: K.one_hot(np.array([1, 2]), 3),
}
STEPS: dict[str, Callable[[Any, Any], Any]] = {
    "an array behind": lambda K, x: x * ROW,
    "an array before": lambda K, x: ROW * x,
    "a variable": lambda K, x: K.variable(ROW) + x,
    "a matrix": lambda K, x: K.dot(x, K.variable(np.ones((4, 2)))),
    "a choice": lambda K, x: K.switch(x > 0, x, K.zeros_like(x)),
    "a range": lambda K, x: x + K.cast(K.arange(4), "float32"),
    "an array inside a function": lambda K, x: K.concatenate([x, K.ones_like(x) * ROW]),
}


@pytest.fixture
def elsewhere() -> Iterator[torch.device]:
    """A device other than the CPU that each machine has; its tensors have no values."""
    torch.set_default_device("meta")
    yield torch.device("meta")
    torch.set_default_device(None)


@pytest.mark.parametrize("space", [keras1, keras2, tf_keras], ids=lambda space: space.__name__)
@pytest.mark.parametrize("name", VALUES)
def test_the_backend_makes_tensors_there(space: Any, name: str, elsewhere: torch.device) -> None:
    assert VALUES[name](space.backend).device == elsewhere


@pytest.mark.parametrize("space", [keras2, tf_keras], ids=lambda space: space.__name__)
@pytest.mark.parametrize("name", STEPS)
def test_models_are_built_there(space: Any, name: str, elsewhere: torch.device) -> None:
    inputs = space.layers.Input(shape=(4,))
    hidden = STEPS[name](space.backend, space.layers.Dense(4)(inputs))
    model = space.models.Model(inputs, space.layers.Dense(2)(hidden))
    assert {weight.device for weight in model.weights} == {elsewhere}


def test_a_product_of_a_constant_and_a_variable_is_found_anew_there(elsewhere: torch.device) -> None:
    product = keras2.backend.constant([1.0, 2.0]) * keras2.backend.variable([3.0, 4.0])
    assert product.device == elsewhere


def test_arrays_given_to_operations_and_losses_go_there(elsewhere: torch.device) -> None:
    for made in (ops.convert_to_tensor(ROW), ops.add(ROW, 1), ops.matmul(ROW, ROW), lamina.activations.relu(ROW)):
        assert made.device == elsewhere
    assert lamina.losses.mean_squared_error(ROW, ROW).device == elsewhere


TEXTUAL: dict[str, Callable[[], Any]] = {
    "Hashing": lambda: lamina.layers.Hashing(5),
    "StringLookup": lambda: lamina.layers.StringLookup(vocabulary=["a", "b"]),
    "several of a sample": lambda: lamina.layers.StringLookup(vocabulary=["a", "b"], output_mode="multi_hot"),
    "TextVectorization": lambda: lamina.layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=3),
    "weighed": lambda: lamina.layers.TextVectorization(
        vocabulary=["a", "b"], output_mode="tf_idf", idf_weights=[1.0, 2.0]
    ),
}


@pytest.mark.parametrize("name", TEXTUAL)
@pytest.mark.parametrize("words", [["a", "b c"], ["a" * 100, "b"]], ids=["short", "long"])
def test_texts_are_read_on_the_cpu(name: str, words: list[str], elsewhere: torch.device) -> None:
    assert TEXTUAL[name]()(np.array(words)).device == elsewhere


def test_a_mode_of_a_default_device_hides_nothing(elsewhere: torch.device) -> None:
    with torch.device("cpu"):
        assert not devices.modes()
        with lamina.StatelessScope():
            assert devices.modes()


def test_pipelines_of_data_compute_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    generations.install("tf_keras", replace=True)
    seen: list[str] = []
    try:
        import tensorflow as tf

        def look(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            words = lamina.layers.Hashing(5)(np.array(["a", "b"]))
            seen.extend(each.device.type for each in (x, y, tf.constant(1.0), words))
            return x, y

        torch.set_default_device("meta")
        dataset = tf.data.Dataset.from_tensor_slices((np.ones((6, 2)), np.arange(6))).map(look).batch(3)
        batches = list(dataset)
    finally:
        torch.set_default_device(None)
        generations.uninstall()
    assert set(seen) == {"cpu"}
    assert [leaf.device.type for batch in batches for leaf in batch] == ["meta"] * 4


# On a GPU -------------------------------------------------------------------------------------------------------------

PLAIN = """
import numpy as np
np.random.seed(0)
from keras.models import Sequential, Model
from keras.layers import Dense, Dropout, Input, Lambda
from keras import backend as K
x = np.random.uniform(-1, 1, (64, 6)).astype("float32")
y = (x.sum(1, keepdims=True) > 0).astype("float32")
scale = K.variable(np.linspace(0.5, 1.5, 8))
inputs = Input(shape=(6,))
hidden = Dense(8, activation="tanh")(inputs)
hidden = Lambda(lambda h: h * scale + K.constant([0.1] * 8) if hasattr(K, "constant") else h * scale + 0.1)(hidden)
model = Model(inputs, Dense(1, activation="sigmoid")(hidden))
rows = np.random.RandomState(3)
model.set_weights([rows.uniform(-1, 1, w.shape) for w in model.get_weights()])
own = lambda t, p: K.mean(K.square(t - p) * K.cast(K.greater(p, 0.0), "float32"), axis=-1)
model.compile(optimizer="adam", loss=own, metrics=["accuracy"])
told = model.fit(x, y, batch_size=16, shuffle=False, verbose=0, validation_data=(x, y), **{EPOCHS: 3}).history
print("loss", *told["loss"], *told["val_loss"])
print("inner", float(np.abs(K.function([model.input], [hidden])([x])[0]).sum()))
print("np", float(np.asarray(K.eval(K.square(scale))).sum()), float(model.predict(x).sum()))
print("on", next(iter(model.weights)).device.type)
"""
SCRIPTS = {
    "1": PLAIN.replace("EPOCHS", '"nb_epoch"'),
    "2": PLAIN.replace("EPOCHS", '"epochs"'),
    "tf": """
import numpy as np
import tensorflow as tf
rows = np.random.RandomState(0)
x = rows.uniform(-1, 1, (64, 6)).astype("float32")
y = (x.sum(1) > 0).astype("int32")
data = tf.data.Dataset.from_tensor_slices((x, y)).map(lambda a, b: (a * tf.constant(0.5), tf.one_hot(b, 2))).batch(16)
model = tf.keras.Sequential([tf.keras.layers.Dense(5, "relu", input_shape=(6,)), tf.keras.layers.Dense(2)])
model.set_weights([rows.uniform(-1, 1, w.shape) for w in model.get_weights()])
optimizer, losses = tf.keras.optimizers.SGD(0.1), []
count = tf.keras.losses.CategoricalCrossentropy(from_logits=True)
for a, b in data:
    with tf.GradientTape() as tape:
        loss = count(b, model(a, training=True) * tf.constant([1.0, 1.5])) + 0.01 * tf.reduce_sum(model.weights[0] ** 2)
    optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
    losses.append(loss.numpy())
print("loss", *losses)
model.compile("adam", "mse")
print("fit", *model.fit(data, epochs=2, verbose=0).history["loss"])
print("np", float(np.mean(model(x))), float(tf.reduce_max(model.predict(x, verbose=0))))
print("on", model.weights[0].device.type)
""",
    "3": """
import numpy as np
import keras
from keras import layers, ops
rows = np.random.RandomState(0)
x = rows.uniform(-1, 1, (64, 6, 3)).astype("float32")
y = rows.randint(0, 2, 64)
inputs = keras.Input((6, 3))
hidden = layers.GRU(4, return_sequences=True)(inputs) * np.ones(4, "float32")
hidden = ops.concatenate([hidden, ops.ones((1, 6, 1)) * hidden[..., :1]], -1)
model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(hidden)))
model.set_weights([rows.uniform(-1, 1, w.shape) for w in model.get_weights()])
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
print("loss", *model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0).history["loss"])
print("np", float(np.asarray(ops.convert_to_numpy(model(x))).sum()), float(model.predict(x, verbose=0).sum()))
print("on", model.weights[0].device.type)
""",
}


@pytest.mark.gpu
@pytest.mark.parametrize("generation", SCRIPTS)
def test_a_script_computes_on_the_gpu_what_it_does_on_the_cpu(generation: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPTS[generation])
    found = {}
    for device in ("cpu", "gpu", None):
        asked = [] if device is None else ["--device", device]
        command = [sys.executable, "-m", "lamina", "run", "--keras", generation, *asked, str(script)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-2000:]
        assert ("computes on the GPU" in done.stderr) == (device != "cpu")
        assert ("on cuda" in done.stdout) == (device != "cpu")
        found[device] = [float(number) for number in re.findall(r"-?\d+\.\d+(?:e-?\d+)?", done.stdout)]
    assert len(found["cpu"]) >= 4
    for device in ("gpu", None):
        np.testing.assert_allclose(found[device], found["cpu"], rtol=5e-3, atol=1e-4)


@pytest.mark.gpu
def test_a_script_that_hides_the_gpus_computes_on_the_cpu(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    hides = 'import os\nos.environ["CUDA_VISIBLE_DEVICES"] = "-1"\n'
    script.write_text(
        hides
        + 'from keras.layers import Dense\nlayer = Dense(2)\nlayer.build((3, 3))\nprint("on", layer.kernel.device)'
    )
    command = [sys.executable, "-m", "lamina", "run", "--keras", "2", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "on cpu" in done.stdout, done.stderr[-2000:]


@pytest.mark.gpu
def test_random_numbers_go_on_after_a_step_that_is_no_graph() -> None:
    class Reading(lamina.layers.Layer):
        def call(self, x: Tensor) -> Tensor:
            return x * (2.0 if float(x.detach().sum()) > 1e9 else 1.0)

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

    model = lamina.Sequential(
        [lamina.Input((4,)), lamina.layers.Dense(8), Reading(), lamina.layers.Dropout(0.5), lamina.layers.Dense(1)]
    )
    model.to("cuda")
    model.compile("adam", "mse")
    x = np.ones((8, 4), "float32")
    for _ in range(8):
        model.train_on_batch(x, x[:, :1])
    model.fit(x, x[:, :1], batch_size=2, epochs=3, verbose=0)
    torch.randn(3, device="cuda")
    model.fit(x, x[:, :1], batch_size=2, epochs=1, verbose=0)


@pytest.mark.gpu
def test_products_of_integers() -> None:
    a, b = torch.arange(6, dtype=torch.int32).reshape(2, 3), torch.arange(12, dtype=torch.int32).reshape(3, 4)
    for function in (ops.matmul, ops.dot):
        found = function(a.cuda(), b.cuda())
        assert torch.equal(found.cpu(), function(a, b)) and found.dtype is torch.int32
