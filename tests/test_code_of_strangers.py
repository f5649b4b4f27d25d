"""What other people's packages ask of an older Keras and of the TensorFlow beside it."""

from __future__ import annotations

import importlib
import sys
import unittest
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch as pytorch  # under its own name it would tell that this is no code of the time

from lamina import keras1, keras2, tf_keras
from lamina.generations import install
from lamina.generations.alias import uninstall
from lamina.generations.sources import early_keras2


@pytest.fixture
def tf() -> Iterator[Any]:
    install("tf_keras")
    yield importlib.import_module("tensorflow")
    uninstall()


def own_rule(tf: Any, base: Any) -> Any:
    class Own(base):
        def __init__(self, learning_rate=0.1, beta=0.9, weight_decay=0.01, name="Own", **kwargs):
            super().__init__(name, **kwargs)
            self._set_hyper("learning_rate", kwargs.get("lr", learning_rate))
            self._set_hyper("decay", self._initial_decay)
            self._set_hyper("beta", beta)
            self._set_hyper("weight_decay", weight_decay)

        def _create_slots(self, var_list):
            for var in var_list:
                self.add_slot(var, "m")
            for var in var_list:
                self.add_slot(var, "v", initializer="ones")

        def _prepare_local(self, device, dtype, state):
            super()._prepare_local(device, dtype, state)
            state[device, dtype]["two"] = tf.constant(2.0, dtype)

        def _resource_apply_dense(self, grad, var, apply_state=None):
            dtype = var.dtype.base_dtype
            known = (apply_state or {}).get((var.device, dtype)) or self._fallback_apply_state(var.device, dtype)
            beta, step = self._get_hyper("beta", dtype), tf.cast(self.iterations + 1, dtype)
            m, v = self.get_slot(var, "m"), self.get_slot(var, "v")
            m = m.assign(beta * m + (1 - beta) * grad, use_locking=self._use_locking)
            v = v.assign(beta * v + (1 - beta) * tf.square(grad), use_locking=self._use_locking)
            change = m / (tf.sqrt(v) + 1e-7) / (1 - tf.pow(beta, step)) + self._get_hyper("weight_decay", dtype) * var
            return tf.group(*[var.assign_sub(known["lr_t"] * change * known["two"], use_locking=True), m, v])

        def get_config(self):
            names = ("learning_rate", "decay", "beta", "weight_decay")
            return {**super().get_config(), **{name: self._serialize_hyperparameter(name) for name in names}}

    return Own


# By tf_keras 2.21: 3 steps of rate 0.1 from [[1, 2], [3, 4]] with half of the gradients [[.1, .2], [.3, -.4]].
HALVED = {
    "SGD": [0.985, 1.97, 2.955, 4.06],
    "Adam": [0.7, 1.7, 2.7, 4.3],
    "AdamW": [0.6989, 1.6977, 2.6965, 4.2951],
    "RMSprop": [0.2624, 1.2623, 2.2623, 4.7377],
    "Adagrad": [0.9537, 1.9132, 2.8811, 4.1432],
    "Adadelta": [0.9996, 1.9996, 2.9996, 4.0004],
    "Nadam": [0.7452, 1.7452, 2.7452, 4.2548],
    "Ftrl": [-0.034, 0.0063, 0.1706, 0.7626],
    "legacy.SGD": [0.985, 1.97, 2.955, 4.06],
    "legacy.Adam": [0.7, 1.7, 2.7, 4.3],
    "legacy.RMSprop": [0.2623, 1.2623, 2.2623, 4.7377],
    "legacy.Adagrad": [0.9537, 1.9132, 2.8811, 4.1432],
}


@pytest.mark.parametrize("name", HALVED)
def test_a_subclass_may_change_the_step_of_a_weight(tf: Any, name: str) -> None:
    home, _, word = name.rpartition(".")
    base: Any = getattr(getattr(tf.keras.optimizers, home) if home else tf.keras.optimizers, word)

    class Of211(base):
        def update_step(self, gradient: Any, variable: Any) -> None:
            super().update_step(gradient * 0.5, variable)

    class OfSlots(base):
        def _resource_apply_dense(self, grad: Any, var: Any, apply_state: Any = None) -> Any:
            return super()._resource_apply_dense(grad * 0.5, var, apply_state)

    for kind in (OfSlots,) if home else (Of211, OfSlots):
        optimizer, variable = kind(0.1), tf.Variable([[1.0, 2.0], [3.0, 4.0]])
        for _ in range(3):
            optimizer.apply_gradients([(tf.constant([[0.1, 0.2], [0.3, -0.4]]), variable)])
        np.testing.assert_allclose(variable.numpy().ravel(), HALVED[name], atol=1e-4)


X = np.linspace(-1, 1, 24).reshape(8, 3).astype("float32")
Y = X.sum(1, keepdims=True) ** 2


def trained(tf: Any, rule: Any) -> Any:
    model = tf.keras.Sequential([tf.keras.layers.Dense(4, activation="tanh"), tf.keras.layers.Dense(1)])
    model.build((None, 3))
    first = np.linspace(-0.5, 0.5, 12).reshape(3, 4), np.linspace(-1, 1, 4).reshape(4, 1)
    model.set_weights([first[0], np.zeros(4), first[1], np.zeros(1)])
    model.compile(rule, "mse")
    model.fit(X, Y, batch_size=4, epochs=3, shuffle=False, verbose=0)
    return model


@pytest.mark.parametrize("home", ["optimizers.Optimizer", "optimizers.legacy.Optimizer"])
@pytest.mark.parametrize(
    ("words", "recorded"),  # sums of |weights| after six steps in tf_keras 2.21
    [
        ({}, [7.16479, 5.89332, 1.05316, 2.19597]),
        ({"lr": 0.05, "decay": 0.1}, [3.50922, 2.99590, 2.24508, 0.94030]),
        ({"clipnorm": 0.1}, [3.20293, 0.26088, 2.58461, 0.14385]),
        ({"clipvalue": 0.01}, [3.22161, 0.05768, 2.62279, 0.01443]),
        ({"learning_rate": "schedule"}, [5.70445, 3.81467, 1.03760, 1.29048]),
    ],
)
def test_a_rule_by_slots(tf: Any, home: str, words: dict[str, Any], recorded: list[float]) -> None:
    base = tf.keras
    for part in home.split("."):
        base = getattr(base, part)
    if words.get("learning_rate"):
        words = {"learning_rate": tf.keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)}
    model = trained(tf, own_rule(tf, base)(**words))
    sums = [np.abs(weight).sum() for weight in model.get_weights()]
    np.testing.assert_allclose(sums, recorded, rtol=1e-4, atol=3e-5)
    arrays = model.optimizer.get_weights()
    assert [array.shape for array in arrays[:3]] == [(), (3, 4), (4,)]
    assert (len(arrays), int(arrays[0])) == (9, 6)


def test_a_rule_by_slots_is_saved_and_goes_on(tf: Any, tmp_path: Path) -> None:
    Own = own_rule(tf, tf.keras.optimizers.Optimizer)
    model = trained(tf, Own())
    model.optimizer.beta = 0.5
    config = model.optimizer.get_config()
    assert config == Own.from_config(config).get_config()
    assert (config["beta"], float(model.optimizer.lr)) == (0.5, pytest.approx(0.1))
    model.save(tmp_path / "model.h5")
    again = tf.keras.models.load_model(tmp_path / "model.h5", custom_objects={"Own": Own})
    for each in (model, again):
        each.fit(X, Y, batch_size=4, epochs=1, shuffle=False, verbose=0)
    np.testing.assert_allclose(again.get_weights()[0], model.get_weights()[0], atol=1e-6)
    assert isinstance(tf.keras.optimizers.Adam(), tf.keras.optimizers.Optimizer)
    with pytest.raises(TypeError, match="Own has no argument `rate`"):
        Own(rate=1)


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        ("tensorflow.python.keras.backend_config", "epsilon", None),
        ("tensorflow.python.keras.optimizer_v2.optimizer_v2", "OptimizerV2", "optimizers.legacy.Optimizer"),
        ("keras.optimizer_v2.adam", "Adam", "optimizers.legacy.Adam"),
        ("keras.optimizer_v2.learning_rate_schedule", "ExponentialDecay", "optimizers.schedules.ExponentialDecay"),
    ],
)
def test_modules_that_keras_had_for_a_time(tf: Any, module: str, name: str, value: str | None) -> None:
    found = getattr(importlib.import_module(module), name)
    expected = tf.keras.backend.epsilon if value is None else tf.keras
    for part in (value or "").split("."):
        expected = getattr(expected, part) if part else expected
    assert found is expected


def test_types_of_tensors_in_tensorflows_words(tf: Any) -> None:
    for x in (pytorch.ones(2), tf.Variable([1.0]), tf.keras.layers.Dense(1).dtype_policy and tf.constant([1.0])):
        assert x.dtype.base_dtype == pytorch.float32 == x.dtype == "float32"
        assert (x.dtype.name, x.dtype.as_numpy_dtype, x.dtype.size) == ("float32", np.float32, 4)
        assert x.dtype.is_floating
        assert not x.dtype.is_integer
    assert tf.int32.max == 2**31 - 1


def test_the_test_case_of_tensorflow(tf: Any) -> None:
    class Case(tf.test.TestCase):
        def runTest(self) -> None:
            with self.cached_session() as session:
                self.assertAllClose(session.run(tf.constant([1.0])), [1.0])
            self.assertAllClose(
                {"a": tf.ones(2), "b": [tf.ones(2), tf.zeros(3)]}, {"a": [1, 1], "b": [[1, 1], [0] * 3]}
            )
            self.assertAllEqual(tf.constant(["a"]), [b"a"])
            self.assertNotAllClose(tf.ones(2), tf.zeros(2))
            assert Path(self.get_temp_dir()).is_dir()
            for wrong in (
                lambda: self.assertAllClose(tf.ones(2), [1, 2]),
                lambda: self.assertAllEqual(tf.ones(2), 1.0),
                lambda: self.assertNotAllClose([1.0], [1.0]),
                lambda: self.assertAllInRange([0.0, 2.0], 0, 1),
                lambda: self.assertDTypeEqual(tf.ones(1), "int32"),
                lambda: self.assertAllClose(tf.ones(2), 1.0),  # another shape
                lambda: self.assertAllClose([{"a": 1.0}], [{"a": 2.0}]),
                lambda: self.assertAllCloseAccordingToType(tf.ones(2), [1.0, 1.01]),
                lambda: self.assertArrayNear([1.0], [2.0], 0.5),
                lambda: self.assertNDArrayNear(np.ones(2), np.zeros(2), 1.0),
                lambda: self.assertAllGreater([0.0, 2.0], 0),
                lambda: self.assertAllLess([0.0, 2.0], 2),
                lambda: self.assertAllInRange([0.0], 0, 1, open_lower_bound=True),
                lambda: self.assertAllDifferent([tf.ones(2), tf.zeros(2), tf.ones(2)]),
            ):
                with self.assertRaises(AssertionError):
                    wrong()

            self.assertAllCloseAccordingToType(tf.ones(2, "float16"), np.float16([1.0, 1.001]))
            with self.assertRaisesWithPredicateMatch(ValueError, lambda error: "b" in str(error)):
                raise ValueError("abc")
            assert np.random.rand() == np.random.RandomState(87654321).rand()  # as each test begins there

        @tf.test.disable_with_predicate(lambda: True, "not here")
        def left_out(self) -> None:
            raise AssertionError

    result = Case().run()
    assert result.wasSuccessful(), result.failures + result.errors
    assert Case("left_out").run().skipped[0][1] == "not here"
    assert not tf.test.is_gpu_available(cuda_only=True) or pytorch.cuda.is_available()


def test_the_test_case_of_tensorflow_is_abseils(tf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Case(unittest.TestCase):
        prefix = "wrong: "

        def assertLen(self, container: Any, expected_len: int) -> None:
            self.assertEqual(len(container), expected_len, self.prefix)

    absltest = SimpleNamespace(TestCase=Case)
    monkeypatch.setitem(sys.modules, "absl", SimpleNamespace(testing=SimpleNamespace(absltest=absltest)))
    monkeypatch.setitem(sys.modules, "absl.testing", SimpleNamespace(absltest=absltest))
    case = tf.test.TestCase()
    case.assertLen([1], 1)
    with pytest.raises(AssertionError, match="wrong"):
        case.assertLen([1], 2)
    monkeypatch.setitem(sys.modules, "absl", None)
    monkeypatch.setitem(sys.modules, "absl.testing", None)
    with pytest.raises(AttributeError, match="absl-py"):
        case.assertLen([1], 2)


@pytest.mark.parametrize("space", [keras1, keras2, tf_keras], ids=lambda space: space.__name__)
def test_a_layer_that_calls_the_first_init_twice(space: Any) -> None:
    class Twice(space.layers.Dense):
        def __init__(self, units: int, **kwargs: Any):
            super().__init__(units, **kwargs)
            self.inner = space.layers.Dense(2)
            super().__init__(units, **kwargs)

    layer = Twice(3, input_shape=(4,))
    assert [name for name, _ in layer.named_children()] == ["inner"]
    model = space.models.Sequential([layer])
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 4)), np.ones((4, 3)), verbose=0)
    assert len(model.get_weights()) == 2


def numbers(shape: tuple[int, ...], factor: int) -> pytorch.Tensor:
    return pytorch.arange(np.prod(shape)).reshape(shape).mul(factor).remainder(7).sub(3).float()


@pytest.mark.parametrize(
    ("first", "second", "axes", "shape", "total", "weighted"),  # recorded from Keras 2.2.4 on TensorFlow 1.15
    [
        ((5, 4), (5, 4), 1, (5, 1), 43, 70),
        ((4, 4), (4, 4), (0, 1), (4, 1), 4, -22),
        ((2, 3, 4), (2, 4, 5), None, (2, 3, 5), -30, -60),
        ((2, 3, 4), (2, 5, 4), 2, (2, 3, 5), -28, -56),
        ((2, 4), (2, 4, 5), (1, 1), (2, 5), -21, -94),
        ((2, 3, 4), (2, 4), (2, 1), (2, 3), 10, 42),
        ((2, 3, 4, 5), (2, 3, 5, 6), None, (2, 3, 4, 6), -19, -59),
        ((2, 3, 4, 5), (2, 3, 6, 5), (3, 3), (2, 3, 4, 6), 40, 225),
        ((2, 3, 5, 4), (2, 3, 5, 6), (2, 2), (2, 3, 4, 6), -83, -146),
        ((2, 3, 4), (2, 3, 6, 4), (2, 3), (2, 3, 6), -2, -89),
    ],
)
def test_batch_dot_before_keras_2_3(
    first: Any, second: Any, axes: Any, shape: Any, total: float, weighted: float
) -> None:
    install("keras2.2")
    try:
        found = keras2.backend.batch_dot(numbers(first, 3), numbers(second, 5), axes)
    finally:
        uninstall()
    assert tuple(found.shape) == shape
    assert (float(found.sum()), float((found.flatten() * (pytorch.arange(found.numel()) % 5)).sum())) == (
        total,
        weighted,
    )


def test_batch_dot_of_more_axes_says_which_it_is() -> None:
    with pytest.warns(UserWarning, match="--keras 2.2"):
        found = keras2.backend.batch_dot(pytorch.ones(2, 3, 4, 5), pytorch.ones(2, 3, 5, 6))
    assert found.shape == (2, 3, 4, 3, 6)


@pytest.mark.parametrize(
    ("file", "text", "early"),
    [
        ("requirements.txt", "numpy\nKeras==2.2.4\n", True), ("setup.py", "install_requires=['keras<2.3']", True),
        ("requirements-dev.txt", "keras ~= 2.1.0", True), ("requirements.txt", "keras==2.3.1", False),
        ("requirements.txt", "keras>=2.2", False), ("requirements.txt", "keras==2.15", False),
        ("requirements.txt", "my-keras==2.2.4", False),
    ],
)  # fmt: skip
def test_a_project_that_asks_for_an_early_keras_2(tmp_path: Path, file: str, text: str, early: bool) -> None:
    (tmp_path / file).write_text(text)
    assert bool(early_keras2(tmp_path)) == early


def test_a_place_that_a_model_is_to_say_in_a_tensor_is_refused(tf: Any) -> None:
    place = tf.keras.Input((), dtype="int32")
    with pytest.raises(ValueError, match="cannot take inputs"):  # at once
        tf.range(10.0)[place[0]]
    assert tf.range(4)[::-1].numpy().tolist() == [3, 2, 1, 0]
