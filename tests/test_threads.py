"""Several threads at once are right or refused. Who runs when is decided by events inside the calls, never by time."""

from __future__ import annotations

import copy
import gc
import importlib
import logging
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lamina as keras
from lamina import keras2
from lamina.core.scope import unique_name
from lamina.generations import namespaces
from lamina.saving import custom_object_scope, register_keras_serializable

L = keras.layers
LONG = 60  # seconds after which a test that waits has failed
X = np.random.default_rng(0).normal(size=(12, 4)).astype("float32")
Y = np.random.default_rng(1).normal(size=(12, 2)).astype("float32")


@contextmanager
def elsewhere() -> Iterator[Callable[..., Future]]:
    """Inside, `start(function)` runs it in a thread of its own."""
    pool = ThreadPoolExecutor(4)
    try:
        yield pool.submit
    finally:
        pool.shutdown(wait=True)


def apart(function: Callable[[], Any]) -> Any:
    """What the function returns in another thread, which is waited for."""
    with elsewhere() as start:
        return start(function).result(LONG)


class Pause:
    """A place at which one thread stops until it is let go on."""

    def __init__(self) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        assert self.go_on.wait(LONG)

    def wait(self) -> None:
        assert self.reached.wait(LONG)


class Gate(L.Layer):
    """Runs the hook of the thread that calls it, once; hooks stand under the name that the thread gave itself."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hooks = threading.local()

    def call(self, x: Any) -> Any:
        hook = vars(self.hooks).get("hook")
        if hook is not None:
            hook()
        return x

    def __deepcopy__(self, memo: Any) -> Gate:
        return Gate(name=self.name)

    @contextmanager
    def hooked(self, hook: Callable[[], None], once: bool = False) -> Iterator[None]:
        def run() -> None:
            if once:
                self.hooks.hook = None
            hook()

        self.hooks.hook = run
        try:
            yield
        finally:
            self.hooks.hook = None


class Probe(L.Layer):
    """Notes with which flag every thread calls it."""

    def __init__(self) -> None:
        super().__init__()
        vars(self)["seen"] = {}  # a plain attribute could hold layers

    def call(self, x: Any, training: bool = False) -> Any:
        self.seen.setdefault(threading.get_ident(), []).append(training)
        return x


def probed() -> tuple[Any, Gate, Probe]:
    gate, probe = Gate(), Probe()
    model = keras.Sequential(
        [
            keras.Input((4,)), L.Dense(8, activation="tanh"), gate, L.Dropout(0.5, seed=1),
            L.BatchNormalization(), L.Dense(2), probe,
        ]
    )  # fmt: skip
    model.compile("sgd", "mse")
    probe.seen.clear()
    return model, gate, probe


def fit(model: Any, **more: Any) -> Any:
    return model.fit(X, Y, **{"batch_size": 4, "shuffle": False, "verbose": 0, **more})


def predict(model: Any) -> Any:
    return model.predict(X, batch_size=4, verbose=0)


def infer(model: Any) -> Any:
    return model(torch.tensor(X), training=False)


INFERENCE = {
    "predict": (predict, 2),
    "predict_on_batch": (lambda model: model.predict_on_batch(X), 6),
    "call": (infer, 6),
}


# Training and inference -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("use", "times"), INFERENCE.values(), ids=INFERENCE)
def test_training_beside_inference_is_as_it_is_alone(use: Any, times: int) -> None:
    model, gate, probe = probed()
    alone = copied(model)
    expected, meet = fit(alone, epochs=2).history["loss"], threading.Barrier(2)

    def work() -> int:
        with gate.hooked(lambda: meet.wait(LONG)):  # each of the 6 batches of one meets one of the other
            for _ in range(times):
                use(model)
        return threading.get_ident()

    with elsewhere() as start:
        running = start(work)
        with gate.hooked(lambda: meet.wait(LONG)):
            history = fit(model, epochs=2).history["loss"]
        thread = running.result(LONG)
    assert history == expected
    for ours, theirs in zip(model.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert probe.seen[threading.get_ident()] == [True] * 6 and probe.seen[thread] == [False] * 6
    assert not any(module.training for module in model.modules())


@pytest.mark.parametrize("first_out", ["predict", "fit"])
@pytest.mark.parametrize("first_in", ["predict", "fit"])
@pytest.mark.parametrize("flag", [False, True])
def test_training_and_inference_overlap_in_any_order(first_in: str, first_out: str, flag: bool) -> None:
    model, gate, probe = probed()
    model.train(flag)
    model.layers[0].train(not flag)
    before = [module.training for module in model.modules()]
    pauses = {"predict": Pause(), "fit": Pause()}

    def work(name: str) -> tuple[str, int]:
        with gate.hooked(pauses[name], once=True):
            {"predict": predict, "fit": fit}[name](model)
        return name, threading.get_ident()

    second_in = {"predict": "fit", "fit": "predict"}[first_in]
    with elsewhere() as start:
        running = {}
        for name in (first_in, second_in):
            running[name] = start(work, name)
            pauses[name].wait()
        for name in (first_out, {"predict": "fit", "fit": "predict"}[first_out]):
            pauses[name].go_on.set()
            running[name].result(LONG)
    threads = dict(future.result() for future in running.values())
    assert probe.seen[threads["fit"]] == [True] * 3 and probe.seen[threads["predict"]] == [False] * 3
    assert [module.training for module in model.modules()] == before


def test_a_prediction_that_begins_in_a_validation_may_outlast_it() -> None:
    model, gate, probe = probed()
    pause, calls = Pause(), []

    def work() -> int:
        with gate.hooked(pause, once=True):
            predict(model)
        return threading.get_ident()

    def step() -> None:
        calls.append(None)
        if len(calls) == 5:  # 3 batches of training, 3 of validation, and again
            calls[0] = start(work)
            pause.wait()
        if len(calls) == 8:
            pause.go_on.set()
            calls[0] = calls[0].result(LONG)

    with elsewhere() as start, gate.hooked(step):
        fit(model, validation_data=(X, Y), epochs=2)
    assert probe.seen[calls[0]] == [False] * 3
    assert probe.seen[threading.get_ident()] == ([True] * 3 + [False] * 3) * 2


@pytest.mark.parametrize("generation", ["keras1", "keras2", "tf_keras"])
def test_every_generation_trains_on_while_another_thread_predicts(generation: str) -> None:
    old = importlib.import_module(f"lamina.{generation}")
    gate, pause, probe = Gate(), Pause(), Probe()
    model = old.models.Sequential([old.layers.Dense(3, input_dim=4), gate, old.layers.Dropout(0.5), probe])
    model.compile("sgd", "mse")
    probe.seen.clear()

    def work() -> int:
        with gate.hooked(pause, once=True):
            model.predict(X, verbose=0)
        return threading.get_ident()

    def step() -> None:
        pause.go_on.set()
        running.result(LONG)

    with elsewhere() as start:
        running = start(work)
        pause.wait()
        with gate.hooked(step):
            model.fit(X, X[:, :3], verbose=0)
    trained = probe.seen[threading.get_ident()]
    assert all(trained) and probe.seen == {threading.get_ident(): trained, running.result(): [False]}


# What cannot be right is refused --------------------------------------------------------------------------------------


class ReadsFlag(L.Layer):
    def call(self, x: Any) -> Any:
        return self.dropped(x)

    def dropped(self, x: Any) -> Any:
        return torch.nn.functional.dropout(x, 0.5, training=self.training)


class OwnStep(keras.Model):
    def __init__(self, gate: Gate, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gate, self.last = gate, L.Dense(2)

    def call(self, x: Any) -> Any:
        return self.last(self.gate(x))

    def predict_step(self, data: Any) -> Any:
        self.eval()
        return self(data)


def holding(*layers: Any) -> tuple[Any, Gate]:
    gate = Gate()
    model = keras.Sequential([keras.Input((4,)), gate, *layers, L.Dense(2)])
    model.compile("sgd", "mse")
    return model, gate


def stepping() -> tuple[Any, Gate]:
    gate = Gate()
    model = OwnStep(gate)
    model(torch.tensor(X))
    model.compile("sgd", "mse")
    return model, gate


SHARED_FLAG: dict[str, Callable[[], tuple[Any, Gate]]] = {
    "torch's dropout": lambda: holding(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))),
    "torch's batch norm": lambda: holding(nn.BatchNorm1d(4)),
    "a layer that reads its flag": lambda: holding(ReadsFlag()),
    "a step that sets flags": stepping,
}


@pytest.mark.parametrize("make", SHARED_FLAG.values(), ids=SHARED_FLAG)
def test_inference_beside_training_is_refused_where_code_goes_by_the_flag(make: Any) -> None:
    model, gate = make()
    alone = make()[0]
    alone.set_weights(model.get_weights())
    torch.manual_seed(0)
    expected = fit(alone).history["loss"]
    found: list[Any] = []

    def between() -> None:
        with pytest.raises(RuntimeError, match=r"another thread.*copy") as caught:
            apart(lambda: predict(model))
        found.append(caught)

    with gate.hooked(between):
        torch.manual_seed(0)
        assert fit(model).history["loss"] == expected
    assert len(found) == 3
    with gate.hooked(lambda: None):
        predict(model)


def test_a_call_that_would_turn_flags_of_a_training_is_refused() -> None:
    model, gate = holding(nn.Dropout(0.5))
    flags = []

    def between() -> None:
        with pytest.raises(RuntimeError, match="another thread"):
            apart(lambda: infer(model))
        flags.append([module.training for module in model.modules()])

    with gate.hooked(between):
        fit(model)
    assert flags == [[True] * len(flags[0])] * 3


def test_training_is_refused_while_a_call_holds_the_flags_of_torch_modules() -> None:
    model, gate = holding(nn.Dropout(0.5))
    before = model.get_weights()

    def between() -> None:
        with pytest.raises(RuntimeError, match="another thread"):
            apart(lambda: fit(model))

    with gate.hooked(between):
        found = infer(model)
    np.testing.assert_array_equal(found.detach(), predict(model))
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    fit(model)


def test_torch_modules_without_a_flag_are_no_hindrance() -> None:
    model, gate = holding(nn.Linear(4, 4), nn.ReLU())
    found: list[Any] = []
    with gate.hooked(lambda: found.append(apart(lambda: predict(model)))):
        fit(model)
    assert len(found) == 3


@pytest.mark.parametrize("kinds", [(nn.Dropout, lambda: nn.BatchNorm1d(4)), (lambda: L.Dropout(0.5),)])
def test_predictions_are_those_of_one_thread(kinds: Any) -> None:
    model, gate = holding(*(make() for make in (*kinds, L.BatchNormalization)))
    model.train()
    expected, pauses = predict(model), [Pause(), Pause(), Pause()]

    def work(pause: Pause) -> Any:
        with gate.hooked(pause, once=True):
            return predict(model)

    with elsewhere() as start:
        running = []
        for pause in pauses:
            running.append(start(work, pause))
            pause.wait()
        for place in (0, 2, 1):  # the first goes, and the flags stay for the others
            pauses[place].go_on.set()
            np.testing.assert_array_equal(running[place].result(LONG), expected)
    assert all(module.training for module in model.modules())


def test_states_are_not_shared() -> None:
    gate = Gate()
    model = keras.Sequential([keras.Input(batch_shape=(4, 3, 2)), gate, L.GRU(2, stateful=True)])

    def between() -> None:
        with pytest.raises(RuntimeError, match="states"):
            apart(lambda: model.predict(np.ones((4, 3, 2)), batch_size=4, verbose=0))

    with gate.hooked(between):
        model.predict(np.ones((4, 3, 2)), batch_size=4, verbose=0)


STEPS: dict[str, Callable[[Any], Any]] = {
    "fit": fit,
    "evaluate": lambda model: model.evaluate(X, Y, verbose=0),
    "train_on_batch": lambda model: model.train_on_batch(X, Y),
    "test_on_batch": lambda model: model.test_on_batch(X, Y),
    "compile": lambda model: model.compile("adam", "mae"),
}


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("what", STEPS)
def test_two_trainings_of_one_model_are_refused(what: str, shared: bool) -> None:
    model, gate, _ = probed()
    other = model
    if shared:
        other = keras.Sequential([keras.Input((4,)), *model.layers[:-1]])
        other.compile("sgd", "mse")
    expected = fit(copied(model)).history["loss"]

    def between() -> None:
        with pytest.raises(RuntimeError, match=f"fit.*{what}"):
            apart(lambda: STEPS[what](other))

    with gate.hooked(between):
        history = fit(model).history["loss"]
    assert history == expected
    STEPS[what](other)


def copied(model: Any) -> Any:
    made = copy.deepcopy(model)
    made.compile("sgd", "mse")
    return made


def test_two_models_train_at_once_as_they_do_alone() -> None:
    pairs = [probed() for _ in range(2)]
    expected = [fit(copied(model), epochs=3).history["loss"] for model, _, _ in pairs]
    meet = threading.Barrier(2)

    def work(model: Any, gate: Gate) -> Any:
        with gate.hooked(lambda: meet.wait(LONG)):  # both are inside a step, again and again
            return fit(model, epochs=3).history["loss"]

    with elsewhere() as start:
        running = [start(work, model, gate) for model, gate, _ in pairs]
        assert [future.result(LONG) for future in running] == expected


# What a call keeps in its layers --------------------------------------------------------------------------------------


def test_losses_of_a_call_are_those_of_its_thread() -> None:
    def made() -> tuple[Any, Gate]:
        keras.utils.set_random_seed(0)
        model, _ = holding(L.Dense(3, activity_regularizer="l2"), L.ActivityRegularization(l1=0.1))
        gates = Gate()
        model.add(gates)
        model.compile("sgd", "mse")
        return model, gates

    model, gate = made()
    expected = fit(made()[0]).history["loss"]
    with gate.hooked(lambda: apart(lambda: predict(model))):
        assert fit(model).history["loss"] == expected
    model(torch.tensor(X))
    mine = [loss.item() for loss in model.losses]
    apart(lambda: model(torch.tensor(2 * X)))
    assert [loss.item() for loss in model.losses] == mine
    copy.deepcopy(model)


def two_heads() -> tuple[Any, Gate]:
    gate = Gate(name="gate")
    inputs = keras.Input((4,))
    sure = L.Dense(3, activation="softmax", kernel_initializer="ones", bias_initializer=certain, name="sure")(inputs)
    model = keras.Model(inputs, [sure, L.Dense(2, kernel_initializer="ones", name="other")(gate(inputs))])
    model.compile("sgd", ["sparse_categorical_crossentropy", "mse"])
    return model, gate


def certain(shape: Any, dtype: Any = None) -> torch.Tensor:
    return torch.tensor([0.0, 200.0, 400.0])


def test_a_loss_sees_the_scores_of_its_own_thread() -> None:
    targets = [np.zeros((12, 1), "int64"), Y]
    expected = two_heads()[0].fit(X, targets, shuffle=False, verbose=0).history["loss"]
    assert expected[0] > 300  # of the scores; of their probabilities it would be about 16
    model, gate = two_heads()
    with gate.hooked(lambda: apart(lambda: predict(model))):
        assert model.fit(X, targets, shuffle=False, verbose=0).history["loss"] == expected


def test_a_model_in_a_step_is_saved_and_copied_as_it_is() -> None:
    model, gate = two_heads()
    head = model.get_layer("sure")
    expected, copies, found = head.get_config(), [], []

    def between() -> None:
        found.append(apart(head.get_config))
        copies.append(apart(lambda: copy.deepcopy(head)))

    with gate.hooked(between):
        model.fit(X, [np.zeros((12, 1), "int64"), Y], verbose=0)
    assert found == [expected] and copies[0].activation is keras.activations.softmax


class Scaled(L.Layer):
    """A weight that is read after a pause."""

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight((4,), "ones", name="scale")
        self.pauses = threading.local()

    def call(self, x: Any) -> Any:
        vars(self.pauses).get("pause", lambda: None)()
        return x * self.scale


def test_mixed_precision_casts_for_each_thread_by_itself() -> None:
    layer = Scaled(dtype="mixed_bfloat16")
    x = torch.tensor(X)
    expected, weight, pauses = layer(x), layer.scale, [Pause(), Pause()]
    assert expected.dtype is torch.bfloat16

    def work(pause: Pause) -> Any:
        layer.pauses.pause = pause
        return layer(x)

    with elsewhere() as start:
        running = []
        for pause in pauses:
            running.append(start(work, pause))
            pause.wait()
        assert layer.scale is weight and layer.get_weights()[0].dtype == np.float32
        for pause, future in zip(pauses, running, strict=True):  # the first goes while the second is inside
            pause.go_on.set()
            torch.testing.assert_close(future.result(LONG), expected, rtol=0, atol=0)
    assert layer.scale is weight and weight.dtype is torch.float32 and layer.trainable_weights == [weight]


def test_an_adapted_weight_is_that_of_its_thread() -> None:
    gates = threading.local()

    def activation(x: Any) -> Any:
        vars(gates).get("pause", lambda: None)()
        return x

    layer = L.Dense(3, activation=activation, lora_rank=1)
    x = torch.tensor(X)
    layer(x)
    layer.lora_kernel_b.data.fill_(1.0)
    expected, kernel, pauses = layer(x), layer.kernel, [Pause(), Pause()]

    def work(pause: Pause) -> Any:
        gates.pause = pause
        return layer(x)

    with elsewhere() as start:
        running = []
        for pause in pauses:
            running.append(start(work, pause))
            pause.wait()
        for pause, future in zip(pauses, running, strict=True):
            pause.go_on.set()
            torch.testing.assert_close(future.result(LONG), expected, rtol=0, atol=0)
    assert layer.kernel is kernel


# Making and loading ---------------------------------------------------------------------------------------------------


def test_two_first_calls_build_a_layer_once() -> None:
    done, other = threading.Event(), []

    def initializer(shape: Any, dtype: Any = None) -> torch.Tensor:
        if not other:
            other.append(start(second))
            done.wait(0.2)  # the second call may not end before this one; where it could, it would by now
        values.append(None)
        return torch.full(shape, float(len(values)))

    values: list[None] = []
    layer, x = L.Dense(3, kernel_initializer=initializer), torch.tensor(X)

    def second() -> Any:
        try:
            return layer(x)
        finally:
            done.set()

    with elsewhere() as start:
        torch.testing.assert_close(layer(x), other[0].result(LONG))
    assert [weight.name for weight in layer.weights] == ["kernel", "bias"]


def test_a_name_is_given_once() -> None:
    class Prefix(str):
        def __hash__(self) -> int:
            if steps:
                steps.pop()()
            return str.__hash__(self)

    names: list[str] = []
    for looks in range(4):  # another thread comes in at this look into the table
        steps: list[Any] = [lambda: names.append(apart(lambda: unique_name("taken"))), *[lambda: None] * looks]
        names.append(unique_name(Prefix("taken")))
    assert len(names) > 4 and len({*names}) == len(names)


def test_a_class_of_a_generation_is_made_once() -> None:
    done, others = threading.Event(), []

    def find(name: str) -> Any:
        if not others:
            others.append(start(second))
            done.wait(0.2)
        return object()

    space = namespaces.Namespace("lamina.test", "", find, list)

    def second() -> Any:
        try:
            return space.thing
        finally:
            done.set()

    with elsewhere() as start:
        assert space.thing is others[0].result(LONG)
    assert keras2.layers.Dense is keras2.layers.Dense


pauses_of_loading = threading.local()


@register_keras_serializable("threads")
class Slow(L.Layer):
    """A layer whose making waits."""

    @classmethod
    def from_config(cls, config: Any) -> Any:
        vars(pauses_of_loading).get("pause", lambda: None)()
        return cls(**config)

    def call(self, x: Any) -> Any:
        return x


def test_files_with_shared_layers_load_in_two_threads(tmp_path: Path) -> None:
    shared, inputs = L.Dense(4, name="shared"), keras.Input((4,))
    parts = [keras.Sequential([keras.Input((4,)), shared], name=name) for name in ("first", "second")]
    model = keras.Model(inputs, parts[1](Slow(name="slow")(parts[0](inputs))))
    model.save(tmp_path / "model.keras")
    pauses = [Pause(), Pause()]

    def work(pause: Pause) -> Any:
        pauses_of_loading.pause = pause
        return keras.models.load_model(tmp_path / "model.keras")

    with elsewhere() as start:
        running = []
        for pause in pauses:
            running.append(start(work, pause))
            pause.wait()
        for pause in pauses:
            pause.go_on.set()
        loaded = [future.result(LONG) for future in running]
    for one in loaded:
        np.testing.assert_array_equal(predict(one), predict(model))
        assert one.get_layer("first").layers[0] is one.get_layer("second").layers[0]
    assert not {*map(id, loaded[0].modules())} & {*map(id, loaded[1].modules())}


def test_custom_objects_are_known_in_their_scope_alone() -> None:
    class Mine(L.Layer):
        pass

    described = {"module": None, "class_name": "Mine", "config": {}, "registered_name": "Mine"}
    make, pause = keras.layers.deserialize, Pause()

    def work() -> Any:
        with custom_object_scope({"Mine": Mine}):
            pause()
            return make(described)

    with elsewhere() as start:
        running = start(work)
        pause.wait()
        with pytest.raises((TypeError, ValueError), match="Mine"):
            make(described)
        with custom_object_scope({"Other": Mine}):
            pause.go_on.set()
            assert type(running.result(LONG)) is Mine
            assert type(make({**described, "class_name": "Other", "registered_name": "Other"})) is Mine


def test_trials_in_two_threads_leave_torchs_log_as_it_was() -> None:
    log = logging.getLogger("torch._subclasses.fake_tensor")
    pauses, hooks = [Pause(), Pause()], threading.local()

    def function(x: Any) -> Any:
        vars(hooks).pop("pause", lambda: None)()
        return x + 1

    def work(pause: Pause) -> Any:
        hooks.pause = pause
        return L.Lambda(function)(keras.Input((3,)))

    with elsewhere() as start:
        running = []
        for pause in pauses:
            running.append(start(work, pause))
            pause.wait()
        for pause, future in zip(pauses, running, strict=True):
            pause.go_on.set()
            assert future.result(LONG).shape == (None, 3)
    record = log.makeRecord(log.name, logging.ERROR, "", 0, "a message", (), None)
    assert not log.disabled and log.filter(record)


def test_the_losses_of_a_thread_end_with_it() -> None:
    added = []

    class Counts(L.Layer):
        def call(self, inputs: torch.Tensor) -> torch.Tensor:
            loss = inputs.sum()
            added.append(weakref.ref(loss))
            self.add_loss(loss)
            return inputs

    layer, x = Counts(), torch.from_numpy(X)
    layer(x)
    assert apart(lambda: (layer(x), len(layer.losses))[1]) == 1
    gc.collect()
    assert added[-1]() is None and len(layer.losses) == 1
