"""What custom training loops of tf.keras ask of optimizers, against what tf_keras 2.21 computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


def _drawn(seed: int, *shape: int) -> np.ndarray:
    return np.random.RandomState(seed).randn(*shape).astype("float32")


@pytest.fixture
def w(tf: Any) -> Any:
    return tf.Variable(_drawn(1, 3, 2))


def _near(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(np.asarray(found.numpy() if hasattr(found, "numpy") else found), expected, 2e-5, 1e-6)


AFTER_THREE = [[1.5491134, -0.5834228], [-0.5037093, -1.0232737], [0.82532597, -2.194942]]


def test_minimize_takes_a_function(tf: Any, w: Any) -> None:
    b = tf.Variable(_drawn(2, 2))
    optimizer = tf.keras.optimizers.SGD(0.1, clipnorm=0.5)
    for _ in range(3):
        optimizer.minimize(lambda: tf.reduce_sum(w**2) + tf.reduce_sum(b), [w, b])
    _near(w, AFTER_THREE)
    _near(b, [-0.52282387, -0.16233285])
    assert int(optimizer.iterations) == 3


def test_minimize_takes_a_tape(tf: Any, w: Any) -> None:
    optimizer, start = tf.keras.optimizers.legacy.SGD(0.1), w.numpy()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(w**2)
    with pytest.raises(ValueError, match="tape"):
        optimizer.minimize(loss, [w])
    optimizer.minimize(loss, [w], tape=tape)
    _near(w, 0.8 * start)
    optimizer.minimize(lambda: tf.reduce_sum(w), lambda: [w], grad_loss=tf.constant(2.0))
    _near(w, 0.8 * start - 0.2)
    ((gradient, weight),) = optimizer.compute_gradients(lambda: tf.reduce_sum(w) * 3.0, [w])
    assert weight is w and gradient.numpy().tolist() == [[3.0, 3.0]] * 3


def test_words_of_several_years(tf: Any, w: Any) -> None:
    """`apply_gradients` with what concerns replicas, `variables` as a method, `_decayed_lr`, weights in and out."""
    schedule = tf.keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
    first, second = (tf.keras.optimizers.legacy.Adam(schedule) for _ in range(2))
    v = tf.Variable(w)
    for step in range(4):
        gradient = tf.constant(_drawn(step, 3, 2))
        first.apply_gradients([(gradient, w)], experimental_aggregate_gradients=False)
        second.apply_gradients([(gradient * 0.0, v)], skip_gradients_aggregation=True)
    _near(w, [[1.3940212, -0.68570447], [-0.6075988, -1.2219025], [0.6931782, -2.0612173]])
    _near(first._decayed_lr(tf.float32), 0.025)
    assert [*first.variables()] == [*first.variables]
    second.set_weights(first.get_weights())
    v.assign(w)
    for optimizer, weight in ((first, w), (second, v)):
        optimizer.apply_gradients([(gradient, weight)])
    _near(v, w.numpy())


def test_averages_begin_with_the_weights(tf: Any, w: Any) -> None:
    optimizer = tf.keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    for step in range(4):
        optimizer.apply_gradients([(tf.constant(_drawn(step, 3, 2)), w)])
    optimizer.finalize_variable_values([w])
    _near(w, [[1.2586608, -0.6133479], [-0.41832364, -1.2190132], [0.76297796, -1.9276652]])


def test_scaled_losses(tf: Any) -> None:
    """`apply_gradients` takes gradients of the loss as it is: those that `get_unscaled_gradients` gives, or whoever."""
    weight = tf.Variable([1.0, 2.0])
    optimizer = tf.keras.mixed_precision.LossScaleOptimizer(
        tf.keras.optimizers.SGD(0.1), dynamic=False, initial_scale=8.0
    )
    with tf.GradientTape() as tape:
        scaled = optimizer.get_scaled_loss(tf.reduce_sum(weight**2))
    gradients = tape.gradient(scaled, [weight])
    assert float(scaled) == 40.0 and gradients[0].numpy().tolist() == [16.0, 32.0]
    gradients = optimizer.get_unscaled_gradients(gradients)
    assert gradients[0].numpy().tolist() == [2.0, 4.0] and float(optimizer.loss_scale) == 8.0
    optimizer.apply_gradients(zip(gradients, [weight], strict=True))
    _near(weight, [0.8, 1.6])
    optimizer.minimize(lambda: tf.reduce_sum(weight), [weight])
    _near(weight, [0.7, 1.5])


@pytest.mark.parametrize(
    ("values", "scale", "expected"),
    [
        ([1.0] * 5, 256.0, [0.5, 1.5]),
        ([1.0, np.inf, 1.0, np.nan, 1.0], 16.0, [0.7, 1.7]),
    ],
)
def test_scales_that_move(tf: Any, values: list[float], scale: float, expected: list[float]) -> None:
    weight = tf.Variable([1.0, 2.0])
    inner = tf.keras.optimizers.SGD(0.1)
    optimizer = tf.keras.mixed_precision.LossScaleOptimizer(inner, initial_scale=64.0, dynamic_growth_steps=2)
    assert float(optimizer.loss_scale) == 64.0
    for value in values:
        optimizer.apply_gradients([(tf.constant([value, 1.0]), weight)])
    _near(weight, expected)
    assert (float(optimizer.loss_scale), int(optimizer.iterations), int(optimizer.dynamic_counter)) == (scale, 5, 1)


def test_mixed_precision_trains_as_ever(tf: Any) -> None:
    """`fit` scales the loss and unscales by itself."""
    keras = tf.keras
    found = []
    for policy in ("float32", "mixed_float16"):
        keras.mixed_precision.set_global_policy(policy)
        try:
            layers = [keras.layers.Dense(units, kernel_initializer="ones") for units in (2, 1)]
            model = keras.Sequential([*layers, keras.layers.Activation("linear", dtype="float32")])
            model.build((None, 3))
            optimizer = keras.optimizers.SGD(0.01)
            if policy != "float32":
                optimizer = keras.mixed_precision.LossScaleOptimizer(optimizer, initial_scale=4.0)
            model.compile(optimizer, "mse")
            model.fit(_drawn(1, 8, 3), _drawn(2, 8, 1), epochs=2, verbose=0, shuffle=False)
            found.append(model.get_weights())
        finally:
            keras.mixed_precision.set_global_policy("float32")
    np.testing.assert_allclose(found[1][0], found[0][0], 1e-2)


@pytest.mark.parametrize("how", ["plain", "scaled", "minimize"])
def test_own_steps_in_mixed_precision(tf: Any, how: str) -> None:
    """`compile` scales the loss, which own steps have to know as they do in tf_keras 2.21: the step is the same."""

    class Own(tf.keras.Sequential):
        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.abs(self(x, training=True) - tf.cast(y, tf.float16)))
                scaled = self.optimizer.get_scaled_loss(loss) if how == "scaled" else loss
            if how == "minimize":
                self.optimizer.minimize(loss, self.trainable_variables, tape=tape)
                return {"loss": loss}
            gradients = tape.gradient(scaled, self.trainable_variables)
            if how == "scaled":
                gradients = self.optimizer.get_unscaled_gradients(gradients)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            return {"loss": loss}

    x = np.ones((1, 2), "float32")
    tf.keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = Own([tf.keras.layers.Dense(1, kernel_initializer="ones")])
        model.compile(tf.keras.optimizers.SGD(0.5), "mse")
        model.fit(x, x[:, :1] * 4, verbose=0)
        assert [each.tolist() for each in model.get_weights()] == [[[1.5], [1.5]], [0.5]]
        assert (float(model.optimizer.loss_scale), int(model.optimizer.iterations)) == (2.0**15, 1)
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")


def test_steps_are_counted_in_int64(tf: Any) -> None:
    class Schedule(tf.keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            self.seen = step.dtype
            return tf.cast(step, tf.float32) * 0.1

    schedule = Schedule()
    model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
    model.compile(tf.keras.optimizers.SGD(schedule), "mse")
    model.fit(np.ones((2, 1)), np.ones((2, 1)), verbose=0)
    assert schedule.seen == model.optimizer.iterations.dtype == tf.int64


def test_gradients_of_complex_variables(tf: Any) -> None:
    x = tf.Variable(tf.complex([1.0, 3.0], [2.0, -1.0]))
    with tf.GradientTape() as tape:
        y = x * x * x
    _near(tape.gradient(y, x), [-9 - 12j, 24 + 18j])


def test_rows_are_whole_tensors(tf: Any) -> None:
    made = tf.IndexedSlices(tf.ones((2, 2)), tf.constant([1, 1]), tf.constant([3, 2]))
    assert made.numpy().tolist() == [[0.0, 0.0], [2.0, 2.0], [0.0, 0.0]] and not isinstance(made, tf.IndexedSlices)


def test_weights_updated_under_a_tape_are_told(tf: Any, w: Any) -> None:
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(w**3)
    w.assign(w * 2.0)
    with pytest.raises(RuntimeError, match="Ask for all gradients first"):
        tape.gradient(loss, w)


# Of a model whose layers are p and q: outputs, losses and metrics; names of results, as tf_keras 2.21 has them.
OUTPUTS = {
    "by layers": (
        lambda p, q: {"y": p, "x": q},
        {"x": "mse", "y": "mae"},
        {"x": ["mae"], "y": ["mse"]},
        ["loss", "q_loss", "p_loss", "q_mae", "p_mse"],
    ),
    "keys of others": (
        lambda p, q: {"q": p, "p": q},
        "mse",
        ["mae"],
        ["loss", "q_loss", "p_loss", "q_mae", "p_mae"],
    ),
    "nested": (lambda p, q: [p, [q]], "mse", None, ["loss", "p_loss", "q_loss"]),
    "one nested": (lambda p, q: {"x": p, "y": [q]}, "mse", None, ["loss", "p_loss", "q_loss"]),
}


@pytest.mark.parametrize("case", OUTPUTS)
def test_results_are_named_after_layers(tf: Any, case: str) -> None:
    """Whatever keys a dictionary has for the outputs, in whose order results come."""
    keras, (arrange, loss, metrics, names) = tf.keras, OUTPUTS[case]
    x = keras.Input((3,))
    p = keras.layers.Dense(1, kernel_initializer="ones", name="p")(x)
    outputs = arrange(p, keras.layers.Dense(1, kernel_initializer="zeros", name="q")(x))
    model = keras.Model(x, outputs)
    model.compile("sgd", loss, metrics=metrics)
    data = _drawn(1, 8, 3)
    zeros = tf.nest.map_structure(lambda each: np.zeros((8, 1), "float32"), arrange(0, 0))
    results = model.evaluate(data, zeros, verbose=0, return_dict=True)
    assert list(results) == model.metrics_names == names
    assert results["q_loss"] == 0 < results["p_loss"] == results["loss"]
    assert model.evaluate(data, zeros, verbose=0) == list(results.values())


def test_a_column_of_weights_weighs_samples(tf: Any) -> None:
    loss = tf.keras.losses.MeanSquaredError(reduction="none")
    found = loss(tf.zeros((2, 1)), tf.constant([[1.0], [2.0]]), sample_weight=tf.constant([[1.0], [3.0]]))
    assert found.numpy().tolist() == [1.0, 12.0]


@pytest.mark.parametrize("name", ["SGD", "Adam", "legacy.SGD", "legacy.Adam"])
def test_a_variable_may_count_the_steps_of_several_optimizers(tf: Any, name: str) -> None:
    def find() -> Any:
        home = tf.keras.optimizers
        return (getattr(home.legacy, name[7:]) if name.startswith("legacy.") else getattr(home, name))(0.1)

    count, optimizers = tf.Variable(5, dtype="int64"), [find(), find()]
    for steps, optimizer in enumerate(optimizers, 6):
        optimizer.iterations = count
        w = tf.Variable([1.0, 2.0])
        optimizer.apply_gradients([(tf.constant([1.0, 1.0]), w)])
        corrected = (1 - 0.999**steps) ** 0.5 / (1 - 0.9**steps) * 0.1 / 0.001**0.5
        _near(w, np.array([1.0, 2.0]) - 0.1 * (corrected if "Adam" in name else 1.0))
    assert optimizers[0].iterations is count
    assert int(count.numpy()) == 7
    with pytest.raises(RuntimeError, match="Cannot set `iterations`"):
        optimizers[0].iterations = tf.Variable(1, dtype="int64")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"epsilon": 0.01}, [0.096893, 0.964669, -1.938362]),
        ({"momentum": 0.9}, [-0.710079, -0.343437, -0.532907]),
        ({"centered": True, "epsilon": 0.01}, [0.038371, 0.847883, -1.815448]),
        ({"rho": 0.5, "momentum": 0.5, "centered": True}, [-0.224547, 0.389818, -1.394007]),
    ],
    ids=str,
)
def test_the_older_rmsprop_by_its_options(tf: Any, options: dict[str, Any], expected: list[float]) -> None:
    optimizer, w = tf.keras.optimizers.legacy.RMSprop(0.1, **options), tf.Variable([1.0, 2.0, -3.0])
    for step in range(1, 5):
        optimizer.minimize(lambda step=step: tf.reduce_sum(w * w) * step, [w])
    _near(w, expected)


def _fitted_by_nadam(tf: Any, layers: int, epochs: int, size: int, **options: Any) -> Any:
    draws = np.random.RandomState(0)
    x, y = draws.randn(10, 3).astype("float32"), draws.randn(10, 2).astype("float32")
    dense = tf.keras.layers.Dense
    first = dense(4, activation="tanh", input_shape=(3,))
    model = tf.keras.Sequential([first, *(dense(4, activation="tanh") for _ in range(layers - 2)), dense(2)])
    draws = np.random.RandomState(1)
    model.set_weights([draws.randn(*weight.shape).astype("float32") * 0.5 for weight in model.get_weights()])
    first.trainable = options.pop("trainable", True)
    model.compile(tf.keras.optimizers.Nadam(0.05), "mse", **options)
    model.fit(x, y, epochs=epochs, batch_size=size, shuffle=False, verbose=0)
    return model, x, y


NADAM = {
    (2, 1, 10): [0.759033, -0.252739, -0.210947, -0.197983, -0.155252, 0.60366, -0.0540228, -0.406738, -0.0110845],
    (2, 9, 10): [0.496001, -0.0118965, 0.0567163, -0.460652, 0.0978706, 0.877164, -0.23152, -0.606786, -0.241784],
    (4, 6, 10): [0.997364, -0.483327, -0.101351, 0.0467978, -0.351148, 0.681794, -0.246403, -0.621621, 0.111351],
}


@pytest.mark.parametrize("case", NADAM)
def test_nadam_in_graphs(tf: Any, case: Any) -> None:
    """Its product takes in the momentum's share once for each weight."""
    model, *_ = _fitted_by_nadam(tf, *case)
    np.testing.assert_allclose(np.ravel([w.ravel()[:3] for w in model.get_weights()[:3]]), NADAM[case], 2e-4, 1e-5)


def test_nadam_in_graphs_counts_weights_with_gradients(tf: Any) -> None:
    model, *_ = _fitted_by_nadam(tf, 3, 3, 5, trainable=False)
    np.testing.assert_allclose(model.get_weights()[2].ravel()[:3], [-0.181634, -0.320617, -0.0175187], 2e-4)


def test_nadam_run_eagerly(tf: Any) -> None:
    model, *_ = _fitted_by_nadam(tf, 3, 3, 5, run_eagerly=True)
    np.testing.assert_allclose(model.get_weights()[0].ravel()[:3], [0.986893, -0.294835, -0.146087], 2e-4)


def test_nadam_goes_on_from_a_file(tf: Any, tmp_path: Any) -> None:
    """Without the product, which none holds."""
    model, x, y = _fitted_by_nadam(tf, 3, 3, 5)
    model.save(tmp_path / "model.h5")
    model = tf.keras.models.load_model(tmp_path / "model.h5")
    model.fit(x, y, epochs=2, batch_size=5, shuffle=False, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0].ravel()[:3], [1.0331, -0.244608, -0.0963774], 2e-4)


@pytest.mark.parametrize(
    ("graph", "expected"), [(False, [0.976926, -0.343749, -0.107852]), (True, [0.973561, -0.41133, -0.200455])]
)
def test_nadam_in_loops(tf: Any, graph: bool, expected: list[float]) -> None:
    model, x, y = _fitted_by_nadam(tf, 3, 0, 5)
    optimizer = tf.keras.optimizers.Nadam(0.05)

    def step(x: Any, y: Any) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x) - y) ** 2)
        found = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(found, model.trainable_variables, strict=True))

    step = tf.function(step) if graph else step
    for _ in range(5):
        step(tf.constant(x), tf.constant(y))
    np.testing.assert_allclose(model.get_weights()[0].ravel()[:3], expected, 2e-4)


@pytest.mark.filterwarnings("ignore:The arrays ran out of data")
@pytest.mark.parametrize(
    ("told", "losses"),
    [
        ({"batch_size": 4, "epochs": 2, "steps_per_epoch": 2}, [1.9438, 2.1694]),
        ({"batch_size": 4, "epochs": 3, "steps_per_epoch": 4}, [2.0405, 1.5631, 1.2257]),
        ({"batch_size": 4, "epochs": 3, "steps_per_epoch": 5}, [1.8488, 1.6352]),
        ({"batch_size": 10, "epochs": 3, "steps_per_epoch": 2}, [1.8182, 1.7869]),
        ({"batch_size": 4, "epochs": 4, "initial_epoch": 2, "steps_per_epoch": 7}, [1.7916]),
        ({"batch_size": 3, "epochs": 1, "steps_per_epoch": 9}, [1.8219]),
        ({"epochs": 2, "steps_per_epoch": 4}, [1.8219, 1.7524]),
        ({"batch_size": 4, "epochs": 2, "steps_per_epoch": 5, "validation_split": 0.2}, [1.9194]),
    ],
)
def test_arrays_are_gone_through_once_an_epoch_whatever_its_steps(
    tf: Any, told: dict[str, Any], losses: list[float]
) -> None:
    model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])
    draws = np.random.RandomState(7)
    model.set_weights([draws.randn(*weight.shape) * 0.4 for weight in model.get_weights()])
    model.compile("sgd", "mse")
    begun: list[int] = []
    callback = tf.keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: begun.append(epoch))
    history = model.fit(_drawn(1, 10, 3), _drawn(2, 10, 2), verbose=0, shuffle=False, callbacks=[callback], **told)
    np.testing.assert_allclose(history.history["loss"], losses, 1e-4)
    assert begun == history.epoch


@pytest.mark.filterwarnings("ignore:The iterable ran out of data")
@pytest.mark.parametrize(
    ("steps", "epochs", "losses"),
    [
        (2, 3, [4.7394, 9.7934]),
        (3, 2, [5.5817, 4.9353]),
        (4, 2, [5.5817]),
        (None, 2, [5.5817, 4.9353]),
        (1, 5, [5.9549, 3.5239, 9.7934]),  # tf_keras adds an epoch without a batch
    ],
)
def test_a_dataset_that_ends_inside_an_epoch_ends_the_training(
    tf: Any, steps: int | None, epochs: int, losses: list[float]
) -> None:
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(3,), kernel_initializer="ones")])
    model.compile("sgd", "mse")
    data = tf.data.Dataset.from_tensor_slices((_drawn(1, 12, 3), _drawn(2, 12, 1))).batch(5)
    history = model.fit(data, steps_per_epoch=steps, epochs=epochs, verbose=0, validation_data=data)
    np.testing.assert_allclose(history.history["loss"], losses, 1e-4)


@pytest.mark.filterwarnings("ignore:The PyDataset ran out of data")
@pytest.mark.parametrize(
    ("steps", "epochs", "losses"), [(2, 2, [1.4390, 1.4012]), (4, 3, [1.0481]), (3, 2, [1.0481, 1.0212])]
)
def test_an_epoch_of_a_sequence_begins_with_its_first_batch(
    tf: Any, steps: int, epochs: int, losses: list[float]
) -> None:
    def drawn(seed: int, *shape: int) -> np.ndarray:
        return np.random.RandomState(seed).uniform(-1, 1, shape).astype("float32")

    class Batches(tf.keras.utils.Sequence):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> Any:
            return drawn(index, 4, 3), drawn(index + 9, 4, 1)

    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(3,), kernel_initializer="ones")])
    model.compile("sgd", "mse")
    history = model.fit(Batches(), steps_per_epoch=steps, epochs=epochs, verbose=0, shuffle=False)
    np.testing.assert_allclose(history.history["loss"], losses, 1e-4)


@pytest.mark.parametrize("kind", ["around the model's", "anew", "as it is"])
def test_functions_of_training_of_ones_own_take_an_iterator(tf: Any, kind: str) -> None:
    keras, calls = tf.keras, []

    class Own(keras.Model):
        def make_train_function(self, force: bool = False) -> Any:
            made = super().make_train_function(force) if kind != "anew" else lambda it: self.train_step(next(it))
            if kind == "as it is":
                return made

            def run(iterator: Any) -> Any:
                calls.append("train")
                logs = dict(made(iterator))
                return logs | {"twice": logs["loss"] * 2}

            self.train_function = run
            return run

        def make_test_function(self, force: bool = False) -> Any:
            self.test_function = lambda it: dict(self.test_step(next(it))) | {"z": tf.constant(3.0)}
            return self.test_function

        def make_predict_function(self, force: bool = False) -> Any:
            self.predict_function = lambda it: self(next(it)) + 1.0
            return self.predict_function

    x = np.random.RandomState(0).rand(6, 3).astype("float32")
    y = x.sum(1, keepdims=True) * 0.5
    inputs = keras.Input((3,))
    model = Own(inputs, keras.layers.Dense(1, kernel_initializer="ones")(inputs))
    model.compile("sgd", "mse")
    history = model.fit(x, y, batch_size=2, epochs=2, verbose=0, shuffle=False, validation_data=(x, y)).history
    np.testing.assert_allclose(history["loss"], [0.6807, 0.5367], atol=1e-4)
    np.testing.assert_allclose(history["val_loss"], [0.5775, 0.4555], atol=1e-4)
    assert history["val_z"] == [3, 3] and len(calls) == (0 if kind == "as it is" else 6)
    if calls:
        np.testing.assert_allclose(history["twice"], np.array(history["loss"]) * 2, rtol=1e-6)
    np.testing.assert_allclose(model.predict(x, verbose=0)[:2, 0], [2.6755, 2.4391], atol=1e-4)
    np.testing.assert_allclose(model.predict_on_batch(x), model.predict(x, verbose=0), rtol=1e-6)
    assert ("twice" in model.train_on_batch(x, y, return_dict=True)) is bool(calls)


def _mixed(tf: Any, base: Any, **options: Any) -> Any:
    class Decays:
        def __init__(self, rate: float, **kwargs: Any):
            super().__init__(**kwargs)
            self._set_hyper("shrink", rate)

        def _prepare_local(self, device: Any, kind: Any, state: Any) -> None:
            super()._prepare_local(device, kind, state)
            state[device, kind]["shrink_t"] = tf.identity(self._get_hyper("shrink", kind))

        def _resource_apply_dense(self, grad: Any, var: Any, apply_state: Any = None) -> Any:
            at = self._fallback_apply_state(var.device, var.dtype.base_dtype)
            with tf.control_dependencies([var.assign_sub(at["shrink_t"] * var, self._use_locking)]):
                return super()._resource_apply_dense(grad, var, apply_state=apply_state)

    return type("Mixed", (Decays, base), {})(0.1, learning_rate=0.01, **options)


def _scaled(tf: Any, base: Any) -> Any:
    class Scaled(base):
        def __init__(self) -> None:
            super().__init__("Scaled")
            self._set_hyper("learning_rate", 0.1)

        def _create_slots(self, weights: Any) -> None:
            for weight in weights:
                self.add_slot(weight, "v", initializer=tf.ones(shape=[], dtype=weight.dtype))

        def _resource_apply_dense(self, grad: Any, var: Any, apply_state: Any = None) -> Any:
            scale = self.get_slot(var, "v")
            scale.assign(scale * 0.5 + tf.reduce_sum(grad**2))
            return var.assign_sub(self._decayed_lr(var.dtype) * grad / scale)

    return Scaled()


def _holding(tf: Any, base: Any) -> Any:
    class Holds(base):
        def __init__(self) -> None:
            super().__init__("Holds")
            self._optimizer = tf.keras.optimizers.get(tf.keras.optimizers.legacy.SGD(0.1), use_legacy_optimizer=True)
            self._track_trackable(self._optimizer, "held")

        @property
        def learning_rate(self) -> Any:
            return self._optimizer._get_hyper("learning_rate")

        @learning_rate.setter
        def learning_rate(self, value: Any) -> None:
            self._optimizer._set_hyper("learning_rate", value)

        def _create_slots(self, weights: Any) -> None:
            self._optimizer._create_slots(var_list=weights)

        def _resource_apply_dense(self, grad: Any, var: Any, apply_state: Any = None) -> Any:
            return self._optimizer._resource_apply_dense(2 * grad, var)

    return Holds()


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda tf, home: _mixed(tf, home.Adam), [0.7019005, 1.4309002]),
        (lambda tf, home: _mixed(tf, home.SGD, momentum=0.9), [0.72376996, 1.4475399]),
        (lambda tf, home: _scaled(tf, home.Optimizer), [0.90399015, 1.8079803]),
        (lambda tf, home: _holding(tf, home.Optimizer), [0.94000006, 1.8800001]),
    ],
)
def test_optimizers_as_libraries_write_them(tf: Any, make: Any, expected: list) -> None:
    """A rule mixed in before Keras' own, a slot of another shape by its first value, a rate that is another's."""
    optimizer, w = make(tf, tf.keras.optimizers.legacy), tf.Variable([1.0, 2.0])
    for _ in range(3):
        optimizer.apply_gradients([(tf.constant([0.1, 0.2]), w)])
    _near(w, expected)


def test_registered_optimizers_are_read_by_their_package(tf: Any) -> None:
    @tf.keras.utils.register_keras_serializable("Shop")
    class Own(tf.keras.optimizers.legacy.SGD):
        pass

    assert type(tf.keras.optimizers.deserialize(tf.keras.optimizers.serialize(Own(0.5)))) is Own
    dense = tf.keras.layers.Dense(3)
    told = tf.keras.layers.serialize(dense, use_legacy_format=True)
    assert told == {"class_name": "Dense", "config": dense.get_config()}
    assert tf.keras.layers.deserialize(told, use_legacy_format=True).units == 3


def test_states_of_metrics_by_a_size(tf: Any) -> None:
    class Own(tf.keras.metrics.Metric):
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None: ...

        def result(self) -> Any: ...

    shapes = [tuple(Own().add_weight(name="w", shape=shape, initializer="zeros").shape) for shape in (None, 3, (2,))]
    assert shapes == [(), (3,), (2,)]


def test_registered_layers_are_read_from_configs_of_models(tf: Any) -> None:
    @tf.keras.utils.register_keras_serializable("Shop")
    class Twice(tf.keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs * 2

    inputs = tf.keras.Input((3,))
    model = tf.keras.Model(inputs, Twice()(inputs))
    again = tf.keras.Model.from_config(model.get_config()), tf.keras.models.model_from_json(model.to_json())
    assert [type(each.layers[1]) for each in again] == [Twice, Twice]
