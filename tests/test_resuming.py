"""The same run twice, and runs that go on where they were interrupted: all equal to the last bit."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, RandomSampler, TensorDataset, WeightedRandomSampler

import lamina as keras
from lamina import callbacks, keras1, keras2, layers, metrics, optimizers, tf_keras
from lamina.generations.tensorflow import data as tfdata
from lamina.training.data import make_source
from lamina.training.threads import Threads
from lamina.utils import PyDataset

X = np.random.default_rng(0).normal(size=(44, 5)).astype("float32")
Y = np.tanh(X[:, :3] * 2)
EPOCHS, BATCH = 3, 8  # six batches an epoch, the last one smaller

# Data -----------------------------------------------------------------------------------------------------------------


class Noisy(PyDataset):
    """Draws from all global streams and one of its own, and mixes its order after every epoch."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.order = np.arange(len(X))
        self.own, self.stream = np.random.default_rng(5), keras.random.SeedGenerator(6)
        self.change = layers.GaussianNoise(0.1, seed=2)
        self.on_epoch_end()

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Any:
        rows = self.order[BATCH * index : BATCH * index + BATCH]
        x = X[rows] + 0.1 * np.random.normal(size=(len(rows), 5)) + 0.1 * random.random()
        x = x + 0.1 * torch.rand(len(rows), 1).numpy() + 0.1 * self.own.random()
        x = torch.as_tensor(x, dtype=torch.float32) + 0.1 * keras.random.normal((len(rows), 5), seed=self.stream)
        return self.change(x, training=True), Y[rows]

    def on_epoch_end(self) -> None:
        np.random.shuffle(self.order)


class Endless(Noisy):
    def __next__(self) -> Any:
        raise NotImplementedError


class Rows(Dataset):
    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: int) -> Any:
        return torch.as_tensor(X[index]) + 0.1 * torch.rand(5) + 0.1 * np.random.normal() + random.random(), Y[index]


def generated() -> Any:
    chance = np.random.default_rng(3)
    while True:
        rows = chance.permutation(len(X))[:BATCH]
        yield X[rows] + 0.1 * chance.normal(size=(BATCH, 5)), Y[rows]


class Repeatable:
    def __iter__(self) -> Any:
        for start in np.random.permutation(6) * BATCH:
            yield X[start : start + BATCH] + 0.1 * np.random.normal(), Y[start : start + BATCH]


def loaded(data: Any = None, **options: Any) -> DataLoader:
    data = TensorDataset(torch.as_tensor(X), torch.as_tensor(Y)) if data is None else data
    return DataLoader(data, batch_size=BATCH, **{"shuffle": True, **options})


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures() -> Any:
    from lamina.preprocessing.image import ImageDataGenerator

    changes = ImageDataGenerator(width_shift_range=1, horizontal_flip=True)
    return changes.flow(X.reshape(-1, 5, 1, 1), Y, batch_size=BATCH, seed=3)


ARRAYS: dict[str, Any] = {"x": X, "y": Y, "batch_size": BATCH}
# What `fit` is given, made anew for every process.
DATA: dict[str, Callable[[], dict[str, Any]]] = {
    "arrays": lambda: ARRAYS,
    "arrays in order": lambda: {**ARRAYS, "shuffle": False},
    "arrays mixed in batches": lambda: {**ARRAYS, "shuffle": "batch"},
    "arrays, passes longer than epochs": lambda: {**ARRAYS, "steps_per_epoch": 3},
    "arrays, validation": lambda: {**ARRAYS, "validation_split": 0.2},
    "dataset": lambda: {"x": Noisy()},
    "dataset in order": lambda: {"x": Noisy(), "shuffle": False},
    "dataset read by threads": lambda: {"x": Noisy(workers=3)},
    "dataset read by nobody else": lambda: {"x": Noisy(workers=0)},
    "dataset, passes longer than epochs": lambda: {"x": Noisy(), "steps_per_epoch": 3},
    "dataset without end": lambda: {"x": Endless(), "steps_per_epoch": 4},
    "loader": lambda: {"x": loaded()},
    "loader with a generator": lambda: {"x": loaded(generator=drawn(4))},
    "loader that draws": lambda: {"x": loaded(Rows())},
    "loader with a sampler": lambda: {
        "x": loaded(Rows(), shuffle=False, sampler=RandomSampler(Rows(), generator=drawn(4)))
    },
    "loader with a weighted sampler": lambda: {
        "x": loaded(shuffle=False, sampler=WeightedRandomSampler(np.linspace(1, 2, 44).tolist(), 44))
    },
    "loader, passes longer than epochs": lambda: {"x": loaded(), "steps_per_epoch": 3},
    "generator": lambda: {"x": generated(), "steps_per_epoch": 6},
    "iterable": lambda: {"x": Repeatable()},
}


def slices() -> Any:
    return tfdata.Dataset.from_tensor_slices((X, Y))


def mapped() -> Any:
    chance = np.random.default_rng(3)
    return slices().shuffle(9).map(lambda x, y: (x + 0.1 * torch.rand(5) + float(chance.random()), y))


def from_function() -> Any:
    chance = np.random.default_rng(3)
    rows = lambda: ((X[row], Y[row]) for row in chance.permutation(len(X)))  # noqa: E731
    return tfdata.Dataset.from_generator(rows, output_types=("float32", "float32")).shuffle(7, seed=1)


def zipped() -> Any:
    return tfdata.Dataset.zip(tuple(tfdata.Dataset.from_tensor_slices(each).shuffle(9, seed=1) for each in (X, Y)))


def sampled() -> Any:
    return tfdata.Dataset.sample_from_datasets([slices().repeat(), slices().shuffle(5).repeat()], seed=4)


# Of tf.data: elements in an order that is drawn, and how many steps an epoch has.
PIPELINES: dict[str, tuple[Callable[[], Any], int | None]] = {
    "shuffled": (lambda: slices().shuffle(20), None),
    "shuffled by a seed": (lambda: slices().cache().shuffle(20, seed=3), None),
    "shuffled once": (lambda: slices().shuffle(20, reshuffle_each_iteration=False), None),
    "shuffled without end": (lambda: slices().shuffle(20, seed=3).repeat(), 4),
    "draws of its own": (mapped, None),
    "a function that draws": (from_function, None),
    "zipped": (zipped, None),
    "sampled": (sampled, 5),
    "windows": (
        lambda: slices().shuffle(9, seed=1).window(2).flat_map(lambda *parts: tfdata.Dataset.zip(parts)), None
    ),
}  # fmt: skip
DATA |= {
    f"tf.data, {name}": lambda make=make, steps=steps: {
        "x": make().batch(BATCH).prefetch(1), "steps_per_epoch": steps
    }
    for name, (make, steps) in PIPELINES.items()
}  # fmt: skip
BY_PROCESSES: dict[str, Callable[[], dict[str, Any]]] = {
    "dataset read by processes": lambda: {"x": Noisy(workers=2, use_multiprocessing=True)},
    "loader with processes": lambda: {"x": loaded(Rows(), num_workers=2)},
}

# Models ---------------------------------------------------------------------------------------------------------------


def network(optimizer: Any = None, **settings: Any) -> Any:
    model = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(8, activation="tanh", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.GaussianNoise(0.1, seed=5),
            layers.Dense(3),
        ]
    )
    model.compile(optimizer or optimizers.Adam(0.01), "mse", **{"metrics": ["mae"], **settings})
    return model


def classifier() -> Any:
    model = keras.Sequential([keras.Input((5,)), layers.Dropout(0.2), layers.Dense(3, activation="softmax")])
    measures = ["accuracy", metrics.AUC(multi_label=True), metrics.F1Score(), metrics.R2Score()]
    model.compile("sgd", "categorical_crossentropy", metrics=measures, weighted_metrics=["mse"])
    return model


class TwoOptimizers(keras.Model):
    """Trained in turns by a step of its own, as GANs are; nothing of its optimizers exists before the first."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = layers.Dense(4, activation="tanh"), layers.Dense(3)
        self.rate = metrics.Mean("rate")
        self.build((None, 5))

    def call(self, x: Any) -> Any:
        return self.two(self.one(x))

    def compile(self, **settings: Any) -> None:
        super().compile(loss="mse", metrics=["mae"])
        self.first, self.second = optimizers.Adam(0.01), optimizers.RMSprop(0.01)

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        for layer, optimizer in ((self.one, self.first), (self.two, self.second)):
            y_pred = self(x + 0.1 * torch.randn_like(x), training=True)
            self.zero_grad()
            loss = self.compute_loss(x, y, y_pred)
            loss.backward()
            optimizer.apply([weight.grad for weight in layer.trainable_weights], layer.trainable_weights)
        self.rate.update_state(loss.detach())
        return self.compute_metrics(x, y, y_pred)


def remembering() -> Any:
    model = keras.Sequential([keras.Input((5, 1), batch_size=4), layers.LSTM(4, stateful=True), layers.Dense(3)])
    model.compile("adam", "mse")
    return model


def of_generation(generation: Any) -> Any:
    model = generation.models.Sequential()
    model.add(generation.layers.Dense(6, input_shape=(5,), activation="tanh"))
    model.add(generation.layers.Dropout(0.3))
    model.add(generation.layers.BatchNormalization())
    model.add(generation.layers.Dense(3))
    model.compile("adam", "mse", metrics=["mae"])
    return model


def halves() -> Any:
    policy = keras.dtype_policies.DTypePolicy("mixed_bfloat16")
    model = keras.Sequential([keras.Input((5,)), layers.Dense(8, dtype=policy), layers.Dropout(0.2), layers.Dense(3)])
    model.compile(
        optimizers.LossScaleOptimizer(optimizers.Adam(0.01), initial_scale=64.0, dynamic_growth_steps=3), "mse"
    )
    return model


falling: Any = optimizers.schedules.CosineDecay(0.05, 20)
MODELS: dict[str, Callable[[], Any]] = {
    "layers that draw": network,
    "gradients summed up": lambda: network(optimizers.Adam(0.01, gradient_accumulation_steps=4)),
    "averaged weights": lambda: network(optimizers.SGD(0.1, use_ema=True, ema_overwrite_frequency=5, momentum=0.9)),
    "a schedule": lambda: network(optimizers.AdamW(falling)),
    "several steps at once": lambda: network(steps_per_execution=2),
    "metrics of all kinds": classifier,
    "a step of its own": lambda: compiled(TwoOptimizers()),
    "scaled losses": halves,
    "Keras 1": lambda: of_generation(keras1),
    "Keras 2": lambda: of_generation(keras2),
    "tf.keras": lambda: of_generation(tf_keras),
}


def compiled(model: Any) -> Any:
    model.compile()
    return model


# Runs -----------------------------------------------------------------------------------------------------------------


class Cut(callbacks.Callback):
    """Ends everything at a batch of an epoch."""

    def __init__(self, epoch: int, batch: int):
        self.place, self.epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if (self.epoch, batch) >= self.place:
            raise InterruptedError


def result(model: Any) -> list[np.ndarray]:
    held = [value for value in vars(model).values() if isinstance(value, optimizers.Optimizer)]
    inner = [model.optimizer, *held]
    state = [variable for one in inner if one is not None for variable in one.variables]
    return [tensor.detach().double().numpy().copy() for tensor in [*model.parameters(), *model.buffers(), *state]]


def run(make: Callable, data: Callable, *called: Any, seed: int = 1) -> tuple[dict[str, list], list[np.ndarray]]:
    keras.utils.clear_session(free_memory=False)  # names count from the beginning, as in another process
    keras.utils.set_random_seed(seed)
    model = make()
    history = model.fit(**{"epochs": EPOCHS, "verbose": 0, **data()}, callbacks=[*called]).history
    return {name: np.asarray(values).tolist() for name, values in history.items()}, result(model)


def assert_same(one: tuple, other: tuple) -> None:
    assert one[0] == other[0], (one[0], other[0])
    assert len(one[1]) == len(other[1]) and all(map(np.array_equal, one[1], other[1]))


def go_on_and_compare(make: Callable, data: Callable, folder: Path, cuts: tuple) -> None:
    """Interrupted at each of `cuts` (epoch, batch, how often backups are made), and each time gone on with by a fresh
    model and data under another seed, a run ends as one that was not."""
    whole = run(make, data, callbacks.BackupAndRestore(folder, 99))
    for *cut, frequency in cuts:
        with pytest.raises(InterruptedError):
            run(make, data, callbacks.BackupAndRestore(folder, frequency), Cut(*cut))
        backup = callbacks.BackupAndRestore(folder, frequency)
        assert_same(run(make, data, backup, seed=100), whole)
        assert not folder.exists()


# Twice ----------------------------------------------------------------------------------------------------------------

_SOME_DATA = ("arrays, passes longer than epochs", "dataset read by threads", "tf.data, shuffled by a seed")
_SOME_MODELS = ("a step of its own", "metrics of all kinds")


def some(names: Any, fast: Any) -> list[Any]:
    """Parameters of tests, of which only a few are fast."""
    return [name if name in fast else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.fixture
def deterministic() -> Iterator[None]:
    keras.config.enable_determinism()
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("deterministic")
@pytest.mark.parametrize("name", some({**DATA, **BY_PROCESSES}, _SOME_DATA))
def test_any_data_give_the_same_run_twice(name: str) -> None:
    data = {**DATA, **BY_PROCESSES}[name]
    one = run(network, data)
    assert_same(run(network, data), one)
    if "in order" not in name and name != "generator":
        assert run(network, data, seed=2)[0] != one[0]


@pytest.mark.usefixtures("deterministic")
@pytest.mark.parametrize("name", some(MODELS, _SOME_MODELS))
def test_any_model_gives_the_same_run_twice(name: str) -> None:
    one = run(MODELS[name], DATA["arrays"])
    assert_same(run(MODELS[name], DATA["arrays"]), one)
    assert run(MODELS[name], DATA["arrays"], seed=2)[0] != one[0]


class Slow(PyDataset):
    """Each batch is the two next numbers of NumPy's stream; some take longer to make."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> Any:
        first = np.random.random()
        time.sleep(0.02 * random.Random(index).random())
        value = np.array([[first, np.random.random()]])
        return value, value[:, :1]


@pytest.mark.usefixtures("deterministic")
@pytest.mark.parametrize("workers", [1, 4])
def test_what_threads_draw_does_not_depend_on_the_clock(workers: int) -> None:
    random.seed(0)
    np.random.seed(0)
    found = [x.flatten().tolist() for x, _, _ in make_source(Slow(workers=workers)).batches()]
    numbers = np.random.RandomState(0).random_sample(24).astype("float32").reshape(12, 2)
    np.testing.assert_array_equal(np.array(found, "float32"), numbers)


def test_determinism_keeps_the_number_of_threads() -> None:
    def chosen() -> bool:
        with Threads(network()) as threads:
            return threads.paced(print, "train", None, None) is not print

    before = torch.get_num_threads(), keras.config.thread_choice()
    torch.set_num_threads(2)
    keras.config.set_thread_choice(True)
    try:
        assert chosen()
        keras.config.enable_determinism()
        assert torch.are_deterministic_algorithms_enabled() and not chosen()
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_num_threads(before[0])
        keras.config.set_thread_choice(before[1])


@pytest.mark.slow
def test_processes_give_the_same_runs(tmp_path: Path) -> None:
    """Whatever order Python has sets in, and whether steps are replayed from recordings."""
    here = Path(__file__).parent
    code = "import sys; sys.path.insert(0, sys.argv[1]); import test_resuming; test_resuming.tell_all()"
    folders = os.pathsep.join([str(here.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    told = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": folders}
        done = subprocess.run(
            [sys.executable, "-c", code, str(here)], capture_output=True, text=True, timeout=500, env=environment
        )
        assert done.returncode == 0, done.stderr
        told.append(done.stdout)
    assert told[0] == told[1] and len(told[0].splitlines()) == len(DATA) + len(MODELS)


def tell_all() -> None:
    keras.config.enable_determinism()
    for make, data in [
        *((network, data) for data in DATA.values()),
        *((make, DATA["arrays"]) for make in MODELS.values()),
    ]:
        history, weights = run(make, data)
        print(history, hashlib.sha256(b"".join(weight.tobytes() for weight in weights)).hexdigest())


# Interrupted ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", some(DATA, _SOME_DATA))
def test_a_run_goes_on_in_the_middle_of_any_data(name: str, tmp_path: Path) -> None:
    go_on_and_compare(network, DATA[name], tmp_path / "a", ((0, 3, 1), (1, 1, 3)))


@pytest.mark.slow
@pytest.mark.parametrize("name", BY_PROCESSES)
def test_a_run_goes_on_in_the_middle_of_what_processes_read(name: str, tmp_path: Path) -> None:
    go_on_and_compare(network, BY_PROCESSES[name], tmp_path / "a", ((0, 3, 1), (1, 4, 3)))


@pytest.mark.parametrize("name", some(MODELS, _SOME_MODELS))
def test_a_run_of_any_model_goes_on(name: str, tmp_path: Path) -> None:
    go_on_and_compare(MODELS[name], DATA["arrays"], tmp_path / "a", ((0, 1, 2), (1, 5, 1), (2, 1, "epoch")))


def test_a_run_whose_steps_are_replayed_goes_on(tmp_path: Path) -> None:
    data = {**ARRAYS, "epochs": 60}
    whole = run(network, lambda: data)
    with pytest.raises(InterruptedError):
        run(network, lambda: data, callbacks.BackupAndRestore(tmp_path, 25), Cut(50, 2))
    assert_same(run(network, lambda: data, callbacks.BackupAndRestore(tmp_path, 25), seed=9), whole)


class Counts(callbacks.Callback):
    """A callback whose own state a backup keeps, and what it draws from."""

    def __init__(self) -> None:
        self.seen: list[float] = []
        self.chance = random.Random(3)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seen.append(self.chance.random())

    def on_train_end(self, logs: Any = None) -> None:
        self.model.history.history["seen"] = self.seen

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def load_state_dict(self, state: Any) -> None:
        self.seen = state["seen"]


@pytest.mark.parametrize(("first", "append"), [(True, False), pytest.param(False, True, marks=pytest.mark.slow)])
def test_callbacks_go_on(first: bool, append: bool, tmp_path: Path) -> None:
    """Whether they come before or behind the backup."""
    table, best = tmp_path / "table.csv", tmp_path / "{epoch}.weights.h5"

    def called() -> list[Any]:
        return [
            callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
            callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=0, min_delta=0.5),
            callbacks.EarlyStopping(monitor="mae", patience=4, min_delta=0.2, restore_best_weights=True),
            callbacks.CSVLogger(str(table), append=append),
            callbacks.ModelCheckpoint(filepath=str(best), monitor="loss", save_best_only=True, save_weights_only=True),
            callbacks.ModelCheckpoint(filepath=str(tmp_path / "every.weights.h5"), save_weights_only=True, save_freq=4),
            Counts(),
        ]

    def trained(*more: Any, seed: int = 1) -> tuple:
        backup = callbacks.BackupAndRestore(tmp_path / "backup", 2)
        ordered = [backup, *called()] if first else [*called(), backup]
        return run(network, lambda: {**ARRAYS, "epochs": 12}, *ordered, *more, seed=seed)

    table.write_text("before\n")
    whole = trained()
    text, files = table.read_text(), sorted(path.name for path in tmp_path.iterdir())
    assert 4 < len(whole[0]["loss"]) < 12 and len(set(whole[0]["learning_rate"])) > 3 and len(whole[0]["seen"]) > 24
    assert text.startswith("before") == append
    for place in ((0, 2), (3, 4)):
        table.write_text("before\n")
        with pytest.raises(InterruptedError):
            trained(Cut(*place))
        assert_same(trained(seed=7), whole)
        assert table.read_text() == text
        assert sorted(path.name for path in tmp_path.iterdir()) == files


def test_a_backup_of_another_run_is_refused_and_named(tmp_path: Path) -> None:
    def cut(folder: Path, make: Callable = network, data: Any = ARRAYS) -> None:
        with pytest.raises(InterruptedError):
            run(make, lambda: data, callbacks.BackupAndRestore(folder, 1), Cut(1, 4))

    def goes_on(folder: Path, make: Callable = network, data: Any = ARRAYS) -> Any:
        return run(make, lambda: data, callbacks.BackupAndRestore(folder, 1))

    cut(tmp_path / "a")
    with pytest.raises(ValueError, match=r"latest.weights.h5: 5 batches of an epoch are behind, which has 3 now"):
        goes_on(tmp_path / "a", data={**ARRAYS, "batch_size": 16})
    with pytest.raises(ValueError, match=r"latest.weights.h5: its metrics or other state differ"):
        goes_on(tmp_path / "a", make=lambda: network(metrics=["mae", "mse"]))
    with pytest.warns(UserWarning, match="latest.weights.h5 .*1 streams of them are stored, and there are 0"):
        goes_on(tmp_path / "a", make=lambda: of_generation(keras))
    cut(tmp_path / "d", make=lambda: of_generation(keras))
    with pytest.warns(UserWarning, match="latest.weights.h5 .*the weights do not fit the model"):
        goes_on(tmp_path / "d", make=classifier)
    cut(tmp_path / "b", data={"x": Noisy()})
    with pytest.warns(UserWarning, match="latest.weights.h5 .it was written with other data"):
        goes_on(tmp_path / "b")

    class Odd(Counts):
        def state_dict(self) -> dict[str, Any]:
            return {"seen": object()}

    with pytest.raises(TypeError, match="`state_dict` of a callback or of the data gave <object"):
        run(network, lambda: ARRAYS, callbacks.BackupAndRestore(tmp_path / "c", 1), Odd())


def test_a_backup_of_keras_is_read(tmp_path: Path) -> None:
    """Weights and the number of the epoch, which is all there is."""
    (tmp_path / "a").mkdir()
    keras.utils.set_random_seed(3)
    model = network()
    model.fit(**ARRAYS, verbose=0)
    model.save_weights(tmp_path / "a" / "latest.weights.h5")
    (tmp_path / "a" / "training_metadata.json").write_text('{"epoch": 2, "batch": 0}')
    other = network()
    seen: list[Any] = []
    looks = callbacks.LambdaCallback(on_train_begin=lambda logs: seen.append(result(other)))
    backup = callbacks.BackupAndRestore(tmp_path / "a")
    assert other.fit(**ARRAYS, epochs=4, verbose=0, callbacks=[backup, looks]).epoch == [2, 3]
    assert all(map(np.array_equal, seen[0], result(model)))


def test_backups_in_a_loop_of_ones_own(tmp_path: Path) -> None:
    def trained(epochs: int) -> tuple[int, Any]:
        model = network()
        called = callbacks.CallbackList([callbacks.BackupAndRestore(tmp_path)], model=model, epochs=2)
        called.on_train_begin()
        begin = model._initial_epoch
        for epoch in range(begin, epochs):
            model.train_on_batch(X, Y)
            called.on_epoch_end(epoch)
        return begin, result(model)

    keras.utils.set_random_seed(3)
    first = trained(1)
    keras.utils.set_random_seed(4)
    again = trained(1)
    assert (first[0], again[0]) == (0, 1) and all(map(np.array_equal, first[1], again[1]))


# Several processes ----------------------------------------------------------------------------------------------------


def one_of_several(folder: str, name: str, cut: str, draws: str, seed: str) -> None:
    """Train in as many processes as there are; the first one writes what came out."""

    def make() -> Any:
        if draws == "True":
            return network()
        model = keras.Sequential([keras.Input((5,)), layers.Dense(8, activation="tanh"), layers.Dense(3)])
        model.compile(optimizers.Adam(0.01), "mse", metrics=["mae"])
        return model

    torch.set_num_threads(1)
    called = [callbacks.BackupAndRestore(Path(folder, "backup"), 2), *([Cut(1, 2)] if cut == "True" else [])]
    history, state = run(make, lambda: ARRAYS, *called, seed=int(seed))
    if os.environ.get("RANK", "0") == "0":
        np.savez(Path(folder, name), *state, *history.values())


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(2, 2), (2, 1), (1, 2), (2, 3)])
def test_several_processes_go_on_in_the_middle_of_an_epoch(before: int, after: int, tmp_path: Path) -> None:
    """As many as before to the last bit; others up to rounding, where nothing is drawn in steps."""
    same = before == after

    def trained(processes: int, name: str, cut: bool = False, seed: int = 1) -> str:
        given = (str(tmp_path), name, str(cut), str(same), str(seed))
        script = tmp_path / "script.py"
        script.write_text(f"import test_resuming; test_resuming.one_of_several(*{given})")
        here = Path(__file__).parent
        folders = os.pathsep.join([str(here.parent), str(here), *filter(None, [os.environ.get("PYTHONPATH")])])
        start = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        command = [sys.executable, *(start if processes > 1 else []), str(script)]
        environment = {**os.environ, "PYTHONPATH": folders, "OMP_NUM_THREADS": "1"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300).stderr

    trained(before, "whole.npz")
    said = trained(before, "cut.npz", cut=True)
    assert "InterruptedError" in said and not (tmp_path / "cut.npz").exists(), said
    said = trained(after, "parts.npz", seed=7)
    with np.load(tmp_path / "whole.npz") as whole, np.load(tmp_path / "parts.npz") as parts:
        assert len(whole) == len(parts) > 10
        for name in whole:
            np.testing.assert_allclose(parts[name], whole[name], rtol=0 if same else 1e-4, atol=0 if same else 1e-5)
