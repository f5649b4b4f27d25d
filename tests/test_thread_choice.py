"""The number of threads that steps take: what is found for made costs of a step, and what is left of it outside."""

from __future__ import annotations

import copy
import itertools
import pickle
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch

import lamina as keras
from lamina.core import config
from lamina.training import threads
from lamina.training.threads import Choice, granted, running

X, Y = np.ones((12, 4), "float32"), np.ones((12, 1), "float32")


# What is found --------------------------------------------------------------------------------------------------------


class Machine:
    """Steps by made costs: seconds by number of threads. No time passes."""

    def __init__(
        self, numbers: list[int], busy: bool = False, told: bool = True, noise: Callable[[], float] = lambda: 1
    ):
        self.busy = busy
        self.choice = Choice(numbers, lambda now: self.busy and told)
        self.noise, self.taken = noise, []

    def run(self, costs: Mapping[int, float], seconds: float) -> float:
        """Steps for so long. The mean time of a step over that of the best number alone."""
        best = min(costs, key=lambda number: costs[number])
        passed = alone = 0.0
        self.taken = []
        while passed < seconds:
            noise = self.noise()
            self.taken.append(self.choice.now)
            spent = noise * costs[self.choice.now]
            passed, alone = passed + spent, alone + noise * costs[best]
            self.choice.add(spent)
        return passed / alone


LONG, SHORT = 0.04, 0.003
QUIET, BUSY = {2: 1, 1: 2}, {2: 5, 1: 2}


def times(seconds: float, costs: Mapping[int, float]) -> dict[int, float]:
    return {number: seconds * cost for number, cost in costs.items()}


@pytest.mark.parametrize("step", [LONG, SHORT])
@pytest.mark.parametrize("worse", [1.0, 1.05, 2.0, 30.0])
def test_quiet_costs_next_to_nothing(step: float, worse: float) -> None:
    machine = Machine([2, 1])
    costs = times(step, {2: 1, 1: worse})
    assert machine.run(costs, 60) < 1.02 and machine.run(costs, 60) < 1.005
    assert machine.choice.now == 2


@pytest.mark.parametrize("step", [LONG, SHORT])
def test_nothing_is_tried_in_few_steps(step: float) -> None:
    machine = Machine([2, 1])
    machine.run(times(step, QUIET), 2)
    assert {*machine.taken} == {2}
    machine = Machine([2, 1], busy=True)
    machine.run(times(LONG, BUSY), 4 * LONG)
    assert {*machine.taken} == {2}


@pytest.mark.parametrize("step", [LONG, SHORT])
def test_busy_from_the_start_is_seen_at_once(step: float) -> None:
    machine = Machine([2, 1], busy=True)
    machine.run(times(step, BUSY), 15 * LONG)
    assert machine.choice.now == 1
    assert machine.run(times(step, BUSY), 60) < 1.02


@pytest.mark.parametrize("step", [LONG, SHORT])
@pytest.mark.parametrize("better", [0.5, 0.9])
def test_without_a_sign_it_is_found_later(step: float, better: float) -> None:
    machine = Machine([2, 1], busy=True, told=False)
    machine.run(times(step, {2: 1, 1: better}), 8)
    assert machine.choice.now == 1 and machine.run(times(step, {2: 1, 1: better}), 60) < 1.02


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("step", [LONG, SHORT])
def test_others_come_and_go(step: float, told: bool) -> None:
    machine = Machine([2, 1], told=told)
    machine.run(times(step, QUIET), 30)
    assert machine.choice.now == 2
    machine.busy = True
    machine.run(times(step, BUSY), 5)
    assert machine.choice.now == 1
    machine.run(times(step, BUSY), 20)
    machine.busy = False
    machine.run(times(step, QUIET), 2 if told else 60)
    assert machine.choice.now == 2 and machine.run(times(step, QUIET), 30) < 1.02


def test_signs_that_come_and_go_cost_little() -> None:
    machine = Machine([2, 1])
    lost = []
    for _ in range(100):
        machine.busy = not machine.busy
        lost.append(machine.run(times(LONG, QUIET), 1))
    assert sum(lost) / len(lost) < 1.03


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("step", [LONG, SHORT])
@pytest.mark.parametrize("costs", [QUIET, BUSY], ids=["quiet", "busy"])
def test_noise_and_rare_long_steps(costs: Mapping[int, float], step: float, seed: int) -> None:
    draw = random.Random(seed)
    noise = lambda: draw.lognormvariate(0, 0.2) * (15 if draw.random() < 0.01 else 1)  # noqa: E731
    machine = Machine([2, 1], costs is BUSY, noise=noise)
    machine.run(times(step, costs), 20)
    assert machine.run(times(step, costs), 100) < 1.06


def test_batches_that_alternate_in_length_mislead_nobody() -> None:
    lengths = itertools.cycle([1.0, 3.0])
    machine = Machine([2, 1], noise=lambda: next(lengths))
    machine.run(times(LONG, {2: 1, 1: 1.2}), 100)
    assert machine.choice.now == 2


def test_the_first_steps_do_not_count() -> None:
    choice = Choice([2, 1], lambda now: False)
    assert not choice.add(30.0) and not choice.add(5.0)
    assert not any(choice.add(0.03) for _ in range(80))


def test_neighbours_are_tried_in_turn() -> None:
    for best in (16, 8, 4, 1):
        machine = Machine([16, 8, 4, 1])
        costs = {number: LONG * (1 + abs(number - best)) for number in (16, 8, 4, 1)}
        machine.run(costs, 200)
        assert machine.choice.now == best
        if best == 16:
            machine.run(costs, 1000)
            assert {*machine.taken} == {16, 8}  # 4 and 1 are worse still


# The machine ----------------------------------------------------------------------------------------------------------


def test_what_the_system_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = granted.__wrapped__
    told = {"/proc/loadavg": "0.1 0.2 0.3 5/200 999"}
    monkeypatch.setattr(threads, "_words", lambda path: told.get(path, "").split())
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 8)
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda process: {*range(6)}, raising=False)
    assert running() == 5 and asked() == 6
    told["/sys/fs/cgroup/cpu.max"] = "max 100000"
    assert asked() == 6
    told["/sys/fs/cgroup/cpu.max"] = "250000 100000"
    assert asked() == 3
    told.clear()
    assert running() == 0
    told |= {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}
    assert asked() == 6
    told |= {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "20000"}
    assert asked() == 1


def test_a_missing_file_says_nothing() -> None:
    assert threads._words("/proc/no such file") == []


# Loops ----------------------------------------------------------------------------------------------------------------


class Restless(Choice):
    """Another number after every step."""

    def add(self, seconds: float) -> bool:
        self.now = self.numbers[(self.numbers.index(self.now) + 1) % len(self.numbers)]
        self.found, self.mean = (self.now, 0.001, 0.002), 1.0
        return True


@pytest.fixture(autouse=True)
def restless(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two threads, choices that always want another number, no seed; all is as before afterwards."""
    state, settings, before = torch.get_rng_state(), config._settings, torch.get_num_threads()
    monkeypatch.setattr(threads, "Choice", Restless)
    monkeypatch.setattr(threads, "granted", lambda: 2)
    monkeypatch.setattr(threads, "running", lambda: 1)
    torch.seed()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)
    torch.set_rng_state(state)
    config._settings = settings
    config.set_thread_choice(None)


def make_model(**how) -> Any:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", **how)
    return model


class Seen(keras.callbacks.Callback):
    """The numbers of threads after each batch."""

    def __init__(self, then: Callable[[], object] = lambda: None):
        super().__init__()
        self.numbers: list[int] = []
        self.then = then

    def on_train_batch_end(self, batch, logs=None) -> None:
        self.numbers.append(torch.get_num_threads())
        self.then()

    on_test_batch_end = on_predict_batch_end = on_train_batch_end


def seen(method: str = "fit", model: Any = None, **how) -> list[int]:
    callback = Seen()
    data = (X,) if method == "predict" else (X, Y)
    getattr(model or make_model(), method)(*data, batch_size=3, verbose=0, callbacks=[callback], **how)
    assert torch.get_num_threads() == 2
    return callback.numbers


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_the_number_is_given_back(method: str) -> None:
    assert seen(method) == [1, 2, 1, 2]


def test_a_choice_is_gone_on_with() -> None:
    model = make_model()
    numbers = [seen(model=model, steps_per_epoch=1) for _ in range(3)]
    assert numbers == [[1], [2], [1]]
    torch.set_num_threads(3)  # another number: another choice
    model.fit(X, Y, verbose=0, callbacks=[callback := Seen()])
    assert callback.numbers[0] == 2 and torch.get_num_threads() == 3


def test_a_prediction_that_takes_no_time_is_left_alone() -> None:
    model = make_model()
    assert seen("predict", model, steps=1) == [1]
    choice, _ = model._thread_choices["predict"]
    choice.mean = 1e-4
    assert choice.now == 1 and [seen("predict", model, steps=1) for _ in range(3)] == [[2]] * 3
    assert choice.now == 1
    choice.mean = 1.0
    assert seen("predict", model, steps=1) == [2] and choice.now == 2


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_errors_give_it_back(error: type[BaseException]) -> None:
    def fail() -> None:
        assert torch.get_num_threads() == 1
        raise error

    with pytest.raises(error):
        make_model().fit(X, Y, verbose=0, callbacks=[Seen(fail)])
    assert torch.get_num_threads() == 2


def test_loops_within_loops() -> None:
    """A loop in a callback may take all of the user's threads; it leaves what it found."""
    model, inner, inside = make_model(), make_model(), []

    def predict() -> None:
        before = torch.get_num_threads()
        callback = Seen()
        inner.predict(X, batch_size=3, verbose=0, callbacks=[callback])
        inside.append(callback.numbers)
        assert torch.get_num_threads() == before

    model.fit(X, Y, batch_size=3, verbose=0, callbacks=[Seen(predict)])
    assert inside == 4 * [[1, 2, 1, 2]] and torch.get_num_threads() == 2


def test_who_sets_a_number_inside_keeps_it() -> None:
    calls = itertools.count()
    model = make_model()
    model.fit(X, Y, batch_size=3, verbose=0, callbacks=[Seen(lambda: next(calls) or torch.set_num_threads(3))])
    assert torch.get_num_threads() == 3


def test_other_threads_keep_theirs() -> None:
    """Those that run, and those that begin meanwhile."""
    begun, done, found = threading.Event(), threading.Event(), []

    def before() -> None:
        torch.set_num_threads(2)
        begun.set()
        done.wait(60)
        found.append(torch.get_num_threads())

    first = threading.Thread(target=before)
    first.start()
    begun.wait(60)

    def meanwhile() -> None:
        if torch.get_num_threads() == 1:
            thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
            thread.start()
            thread.join()

    make_model().fit(X, Y, batch_size=3, verbose=0, callbacks=[Seen(meanwhile)])
    done.set()
    first.join()
    assert found == [2, 2, 2]


def test_threads_that_predict_with_one_model() -> None:
    model, met, found = make_model(), threading.Barrier(2, timeout=60), []

    def predict() -> None:
        torch.set_num_threads(2)
        callback = Seen(met.wait)
        model.predict(X, batch_size=3, verbose=0, callbacks=[callback])
        found.append((callback.numbers, torch.get_num_threads()))

    both = [threading.Thread(target=predict) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert found == 2 * [([1, 2, 1, 2], 2)]


ALL = [2, 2, 2, 2]


def test_opting_out_and_in(monkeypatch: pytest.MonkeyPatch) -> None:
    assert keras.config.thread_choice() is None
    keras.config.set_thread_choice(False)
    assert seen() == ALL
    keras.utils.set_random_seed(0)
    keras.config.set_thread_choice(True)
    assert seen() != ALL
    for wrong in (1, "auto"):
        with pytest.raises(ValueError, match="set_thread_choice"):
            keras.config.set_thread_choice(wrong)  # type: ignore[arg-type]
    for word, value in (("0", False), ("1", True), ("", None)):
        monkeypatch.setenv("LAMINA_THREAD_CHOICE", word)
        monkeypatch.setattr(config, "_settings", None)
        assert keras.config.thread_choice() is value


@pytest.mark.parametrize("seed", [lambda: keras.utils.set_random_seed(1), lambda: torch.manual_seed(1)])
def test_who_gave_a_seed_gets_equal_bits(seed: Callable[[], object]) -> None:
    seed()
    assert [seen(method) for method in ("fit", "evaluate", "predict")] == 3 * [ALL]


def test_deterministic_algorithms() -> None:
    torch.use_deterministic_algorithms(True)
    try:
        assert seen() == ALL
    finally:
        torch.use_deterministic_algorithms(False)


def test_nothing_to_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:  # ranks share out the processors
        patch.setattr(threads, "place", lambda: (0, 2))
        assert seen() == ALL
    with monkeypatch.context() as patch:  # on a GPU
        patch.setattr(threads, "device_of", lambda model: torch.device("cuda"))
        assert seen() == ALL
    assert seen(model=make_model(jit_compile=True), method="predict") == ALL
    torch.set_num_threads(1)
    model = make_model()
    model.fit(X, Y, verbose=0)
    assert not model._thread_choices


def test_copies_start_without() -> None:
    model = make_model()
    assert seen(model=model, steps_per_epoch=1) == [1]
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert seen(model=other, steps_per_epoch=1) == [1]


def test_a_line_where_passes_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    said = "1 of 2 threads: 1ms/step instead of 2ms/step"
    for verbose in (0, 1, 2):
        make_model().fit(X, Y, verbose=verbose)
        assert (said in capsys.readouterr().out) == (verbose == 2)
