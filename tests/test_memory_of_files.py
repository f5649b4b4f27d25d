"""Opening and saving hold the weights once: the peak of a process that does, in parts of what is stored."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is told by Linux")

MOST = 0.2  # beyond the weights themselves
MIDDLE = 48 << 20  # bytes of weights

# In a process of its own: a small file first, so that all that is loaded once is there, then the one that counts.
SCRIPT = """
import sys, zipfile
from pathlib import Path
import torch
import lamina
from lamina import keras1, tf_keras

generation, kind, state, suffix, dtype, folder = sys.argv[1:]
keras = {"keras1": keras1, "tf_keras": tf_keras}.get(generation, lamina)
L = keras.layers


def layer(width):
    if kind == "conv" and generation == "keras1":
        return L.Convolution2D(width, 3, 3, dim_ordering="th", border_mode="same")
    if kind == "recurrent":
        return L.LSTM(width, return_sequences=True)
    options = {} if generation == "keras1" else {"dtype": dtype}
    return L.Conv2D(width, 3, **options) if kind == "conv" else L.Dense(width, **options)


def made(size):
    arrays = 3 if state == "trained" else 1
    one = {"dense": 1, "conv": 9, "recurrent": 8}[kind] * (2 if dtype == "bfloat16" else 4) * arrays
    count = 1 if suffix == "one.h5" else 6
    width = round((size / one / count) ** 0.5)
    model = keras.models.Sequential([layer(width) for _ in range(count)]) if generation == "lamina" else (
        keras.models.Sequential())
    shape = {"dense": (width,), "conv": (7 * 6, 7 * 6, width), "recurrent": (3, width)}[kind]
    if generation != "lamina":
        first = shape if kind != "conv" or generation != "keras1" else (width, 7 * 6, 7 * 6)
        for place in range(count):
            one = layer(width)
            if place == 0 and generation == "keras1":
                one = type(one).from_config({**one.get_config(), "batch_input_shape": (None, *first)})
            model.add(one)
    if generation != "keras1":
        model.build((None, *shape))
    if state == "trained":
        model.compile("adam", "mse")
        model._build_optimizer()
    return model


def size_of(model):
    state = model.optimizer.variables if state_ else []
    return sum(each.numel() * each.element_size() for each in (*model.weights, *state))


def saved(model, path):
    weights = path.name.endswith((".weights.h5", ".safetensors", ".json"))
    options = {"max_shard_size": size_of(model) / 3 / 2**30} if path.suffix == ".json" else {}
    (model.save_weights if weights else model.save)(str(path), **options)


def opened(path, model=None):
    if model is None:
        return keras.models.load_model(str(path))
    model.load_weights(str(path))
    return model


def status(word):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(word))


def growth(call, *given):
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    kept = call(*given)
    return status("VmHWM") - before


state_ = state == "trained"
for size in (1 << 14, int(%d)):
    path = Path(folder, f"{size}-{suffix.replace('packed', 'm')}")
    into = path.name.endswith((".weights.h5", ".safetensors", ".json")) or suffix == "into.h5"
    model = made(size)
    total = size_of(model)
    writing = growth(saved, model, path)
    if suffix == "packed.keras":
        packing = zipfile.ZipFile(f"{path}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        with zipfile.ZipFile(path) as old, packing as new:
            for name in old.namelist():
                new.writestr(name, old.read(name))
        Path(f"{path}.zip").replace(path)
    if not into:
        del model
    reading = growth(opened, path, model if into else None)
print(writing / total, reading / total - (not into))
"""


def growths(tmp_path, generation, kind, state, suffix, dtype="float32"):
    command = [sys.executable, "-c", SCRIPT % MIDDLE, generation, kind, state, suffix, dtype, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [float(word) for word in done.stdout.split()]


QUICK = (
    "lamina dense trained m.keras", "lamina conv weights packed.keras", "lamina conv weights m.safetensors",
    "lamina conv trained m.weights.h5", "keras1 conv weights m.h5",
)  # fmt: skip
SLOW = (
    "lamina dense weights m.weights.json", "lamina conv trained m.h5", "lamina conv weights one.h5",
    "lamina conv weights into.h5", "lamina conv weights m.keras bfloat16", "keras1 recurrent weights m.h5",
    "tf_keras dense trained m.h5", "tf_keras dense trained m.keras",
)  # fmt: skip


@pytest.mark.parametrize("case", [*QUICK, *(pytest.param(case, marks=pytest.mark.slow) for case in SLOW)])
def test_no_second_copy(case, tmp_path):
    """Layouts that have to be turned, types that change, states of optimizers, archives that are packed."""
    writing, reading = growths(tmp_path, *case.split())
    assert writing < MOST, f"saving took {writing:.2f} times the weights beside them"
    most = 0.5 if "recurrent" in case else MOST  # the arrays of four gates are put together
    assert reading < most, f"opening took {reading:.2f} times the weights beside them"
