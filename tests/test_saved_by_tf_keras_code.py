"""Folders, checkpoints and weights as scripts of tf.keras save them, read again: by models without weights, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

X, Y = (np.random.RandomState(seed).randn(8, width).astype("float32") for seed, width in ((1, 3), (2, 1)))


@pytest.fixture
def make(tf: Any) -> Any:
    """Makes a subclassed model, which has no weights before its first call."""
    keras = tf.keras

    class Net(keras.Model):
        def __init__(self, **kwargs: Any):
            super().__init__(**kwargs)
            self.inner, self.outer = keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(1)
            self.factor = tf.Variable(2.0)

        def call(self, x: Any) -> Any:
            return self.outer(self.inner(x)) * self.factor

    return Net


def _step(tf: Any, model: Any, optimizer: Any) -> float:
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(X) - Y) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return float(loss)


def test_a_checkpoint_waits_for_the_weights(tf: Any, make: Any, tmp_path: Path) -> None:
    """The counter is there at once, as the epoch to go on with; model and optimizer take theirs when they are made."""

    def parts() -> dict[str, Any]:
        return {"net": make(), "optimizer": tf.keras.optimizers.Adam(0.05), "step": tf.Variable(0)}

    first, second = parts(), parts()
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(**first), tmp_path, max_to_keep=2)
    for _ in range(3):
        _step(tf, first["net"], first["optimizer"])
        first["step"].assign_add(1)
    manager.save()
    checkpoint = tf.train.Checkpoint(**second)
    checkpoint.restore(tf.train.latest_checkpoint(tmp_path)).expect_partial()
    assert int(second["step"]) == 3 and not second["net"].built
    going_on = [[_step(tf, each["net"], each["optimizer"]) for _ in range(3)] for each in (first, second)]
    np.testing.assert_allclose(*going_on, 1e-5)


def test_a_checkpoint_that_does_not_fit_says_so_when_the_weights_are_made(tf: Any, make: Any, tmp_path: Path) -> None:
    model = make()
    model(X)
    path = tf.train.Checkpoint(net=model).save(tmp_path / "ck")
    other = tf.keras.Sequential([tf.keras.layers.Dense(1)])
    tf.train.Checkpoint(net=other).restore(path)
    with pytest.raises(ValueError, match="net has 2 arrays here and 5"):
        other(X)


@pytest.mark.parametrize("compiled", [False, True])
def test_weights_wait_for_the_model(tf: Any, make: Any, tmp_path: Path, compiled: bool) -> None:
    first, second = make(), make()
    first.compile("adam", "mse")
    first.fit(X, Y, verbose=0)
    first.save_weights(tmp_path / "cp.ckpt")
    second.load_weights(tf.train.latest_checkpoint(tmp_path)).expect_partial()
    if compiled:
        second.compile("adam", "mse")
        assert second.evaluate(X, Y, verbose=0) == pytest.approx(first.evaluate(X, Y, verbose=0), 1e-5)
    np.testing.assert_array_equal(second.predict(X, verbose=0), first.predict(X, verbose=0))


@pytest.mark.parametrize("name", ["nothing", "no/cp.ckpt", "nothing.weights.h5"])
def test_weights_that_are_not_there_are_missed_at_once(tf: Any, make: Any, tmp_path: Path, name: str) -> None:
    """Not at the first call: a model may have none before it is trained, or be given up."""
    for model in (make(), tf.keras.Sequential([tf.keras.layers.Dense(2)])):
        with pytest.raises(FileNotFoundError, match=r"load_weights: there is no file"):
            model.load_weights(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        tf.train.Checkpoint(model=make()).restore(tmp_path / name)


def test_the_optimizers_state_of_a_models_own_variables_is_kept(make: Any, tmp_path: Path) -> None:
    first, second = make(), make()
    for model in (first, second):
        model.compile("adam", "mse")
        model(X)
    first.fit(X, Y, verbose=0)
    first.save_weights(tmp_path / "cp.ckpt")
    second.load_weights(tmp_path / "cp.ckpt")
    for model in (first, second):
        model.fit(X, Y, verbose=0)
    np.testing.assert_allclose(second.predict(X, verbose=0), first.predict(X, verbose=0), 1e-6)
    assert second.factor.numpy() == first.factor.numpy() != 2.0


def test_variables_of_models_are_among_their_weights(make: Any, tmp_path: Path) -> None:
    first, second = make(), make()
    first(X), second(X)
    first.factor.assign(5.0)
    arrays = first.get_weights()
    assert [array.shape for array in arrays] == [(3, 4), (4,), (4, 1), (1,), ()] and arrays[-1] == 5.0
    assert [tuple(weight.shape) for weight in first.weights] == [array.shape for array in arrays]
    second.set_weights(arrays)
    np.testing.assert_array_equal(second(X).numpy(), first(X).numpy())
    with pytest.raises(ValueError, match="expected 5 arrays; got 4"):
        second.set_weights(arrays[:-1])


def test_a_folder_holds_all(tf: Any, tmp_path: Path) -> None:
    """By `model.save`, `save_model` and `tf.saved_model.save`: predictions, signatures, and the optimizer's state."""
    keras = tf.keras
    model = keras.Sequential([keras.layers.Dense(4, activation="tanh", input_shape=(3,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    folders = [str(tmp_path / name) for name in "abc"]
    model.save(folders[0], save_format="tf")
    keras.models.save_model(model, folders[1])
    tf.saved_model.save(model, folders[2])
    assert all(map(tf.saved_model.contains_saved_model, folders)) and not tf.saved_model.contains_saved_model(tmp_path)
    expected, found = model.predict(X, verbose=0), []
    for folder in folders:
        loaded, bare = keras.models.load_model(folder), tf.saved_model.load(folder)
        served = bare.signatures["serving_default"](tf.constant(X))
        for outputs in (loaded(X), bare(tf.constant(X)), served[bare.output_names[0]]):
            np.testing.assert_allclose(outputs.numpy(), expected, 1e-6, 1e-6)
        again = keras.models.clone_model(model)
        again.load_weights(folder)
        np.testing.assert_allclose(again.predict(X, verbose=0), expected, 1e-6, 1e-6)
        loaded.fit(X, Y, verbose=0)
        found.append(loaded.predict(X, verbose=0))
    model.fit(X, Y, verbose=0)
    for each in found:
        np.testing.assert_allclose(each, model.predict(X, verbose=0), 1e-5, 1e-5)


def test_own_classes_are_known_to_the_process_that_saved_them(tf: Any, make: Any, tmp_path: Path) -> None:
    model = make()
    model(X)
    model.save(tmp_path / "own")
    loaded = tf.keras.models.load_model(tmp_path / "own")
    assert type(loaded) is make
    np.testing.assert_allclose(loaded(X).numpy(), model(X).numpy(), 1e-6)


def test_a_module_has_no_graph_to_save(tf: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a Keras model"):
        tf.saved_model.save(tf.Module(), tmp_path / "m")


def test_managers_that_save_once_in_some_steps(tf: Any, tmp_path: Path) -> None:
    step = tf.Variable(1)
    options: dict[str, Any] = {"step_counter": step, "checkpoint_interval": 2, "init_fn": lambda: step.assign(7)}
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(step=step), tmp_path, max_to_keep=3, **options)
    assert manager.restore_or_initialize() is None and int(step) == 7
    saved = []
    for _ in range(5):
        step.assign_add(1)
        saved.append(manager.save() is not None)
    assert saved == [True, False, True, False, True] and len(manager.checkpoints) == 3
    assert manager.restore_or_initialize() == manager.latest_checkpoint


def test_layers_in_dictionaries_are_in_the_order_of_their_keys(tf: Any) -> None:
    """At any depth, however the keys came; other kinds of keys beside texts leave the order as it is."""
    dense = tf.keras.layers.Dense

    class Inner(tf.keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.parts = {"z": dense(1, name="z"), "a": [dense(1, name="a")]}

        def call(self, x: Any) -> Any:
            return self.parts["a"][0](self.parts["z"](x))

    class Model(tf.keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.numbers = {1: dense(1, name="one"), 0: dense(1, name="zero")}
            self.late: dict[Any, Any] = {}
            for key in ("y", "b"):
                self.late[key] = dense(1, name=key)
            self.rows = [{"q": dense(1, name="q"), "c": dense(1, name="c")}, Inner()]
            self.mixed = {"m": dense(1, name="m"), 3: dense(1, name="three")}

        def call(self, x: Any) -> Any:
            for one in (*self.numbers.values(), *self.late.values(), *self.rows[0].values(), self.rows[1]):
                x = one(x)
            return self.mixed["m"](self.mixed[3](x))

    model = Model()
    model(tf.ones((2, 1)))
    names = [weight.name.split("/")[-2] for weight in model.weights[::2]]
    assert names == ["zero", "one", "b", "y", "c", "q", "a", "z", "m", "three"]
    assert [layer.name for layer in model.layers[:4]] == ["zero", "one", "b", "y"]
