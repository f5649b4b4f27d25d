"""Whether memory, handles, threads and speed stay flat: `python benchmarks/long_runs.py [share] [name...]`.

Each run repeats one thing and says at equal shares of it: resident memory in MB, open files, threads, and the processor
time of one repetition. It fails where the second half of a run has grown by more than `LIMIT` MB, opened a file or
started a thread. All of it takes six minutes of a processor, with `share` 0.1 a tenth of that.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import lamina as keras
from lamina import layers

LIMIT = 4.0  # MB that may come in the second half of a run; a kilobyte in each of 10,000 repetitions is 10
SHARES = 10
X = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
Y = X[:, :1]


def memory() -> float:
    """Resident memory in MB."""
    with Path("/proc/self/statm").open() as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def network() -> Any:
    model = keras.Sequential(
        [keras.Input((8,)), layers.Dense(16, activation="relu"), layers.Dropout(0.1), layers.Dense(1)]
    )
    model.compile("adam", "mse", metrics=["mae"])
    return model


# What is repeated: each makes what it needs, then yields the function and how often it is to be called.


def steps() -> Iterator[Any]:
    """Steps of training, 64 in each `fit`."""
    model = network()
    x, y = np.repeat(X, 8, 0), np.repeat(Y, 8, 0)
    yield lambda: model.fit(x, y, batch_size=8, verbose=0), 5000


def predictions() -> Iterator[Any]:
    """`predict` of one sample."""
    model = network()
    x = X[:1]
    yield lambda: model.predict(x, verbose=0), 1_000_000


def calls() -> Iterator[Any]:
    """`model(x)`."""
    model, x = network(), torch.as_tensor(X[:1])
    yield lambda: model(x), 1_000_000


def shapes() -> Iterator[Any]:
    """`predict` and training on batches of ever other lengths."""
    model = keras.Sequential(
        [keras.Input((None, 8)), layers.Conv1D(4, 3, padding="causal"), layers.MaxPooling1D(), layers.LSTM(4)]
    )
    model.add(layers.Dense(1))
    model.compile("adam", "mse")
    lengths = np.random.default_rng(0)

    def work() -> None:
        x = np.zeros((2, lengths.integers(4, 104), 8), "float32")
        model.predict(x, verbose=0)
        model.train_on_batch(x, x[:, 0, :1])

    yield work, 10_000


def models() -> Iterator[Any]:
    """Models made, trained on a batch and dropped."""

    def make() -> None:
        network().train_on_batch(X, Y)

    yield make, 1000


def fits() -> Iterator[Any]:
    """`fit` with callbacks and validation."""
    model = network()
    folder = tempfile.TemporaryDirectory()

    def fit() -> None:
        called = [
            keras.callbacks.EarlyStopping("loss", restore_best_weights=True),
            keras.callbacks.CSVLogger(f"{folder.name}/table.csv"),
            keras.callbacks.BackupAndRestore(f"{folder.name}/backup", 2),
        ]
        model.fit(X, Y, validation_split=0.25, epochs=2, verbose=0, callbacks=called)

    yield fit, 1000
    folder.cleanup()


def files() -> Iterator[Any]:
    """`load_model` of a small file."""
    with tempfile.TemporaryDirectory() as folder:
        network().save(f"{folder}/m.keras")
        yield lambda: keras.models.load_model(f"{folder}/m.keras"), 10_000


def saves() -> Iterator[Any]:
    """`save` of a small file."""
    model = network()
    with tempfile.TemporaryDirectory() as folder:
        yield lambda: model.save(f"{folder}/m.keras"), 2000


def failures() -> Iterator[Any]:
    """A callback that raises in `fit`."""
    model = network()

    class Fails(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            raise InterruptedError

    def fail() -> None:
        try:
            model.fit(X, Y, verbose=0, callbacks=[Fails()])
        except InterruptedError:
            return
        raise AssertionError("it did not fail")

    yield fail, 5000


def readers() -> Iterator[Any]:
    """`fit` on a dataset that four threads read, which fails in the middle every other time."""
    model = network()

    class Data(keras.utils.PyDataset):
        fails = False

        def __len__(self) -> int:
            return 8

        def __getitem__(self, index: int) -> Any:
            if self.fails and index == 4:
                raise InterruptedError
            return X[:8], Y[:8]

    data = Data(workers=4)

    def fit() -> None:
        data.fails = not data.fails
        try:
            model.fit(data, verbose=0)
        except InterruptedError:
            assert data.fails

    yield fit, 2000


RUNS: dict[str, Callable[[], Iterator[Any]]] = {
    run.__name__: run for run in (steps, predictions, calls, shapes, models, fits, files, saves, failures, readers)
}


def watch(run: Callable[[], Iterator[Any]], share: float, tell: Callable[[str], Any] = print) -> list[str]:
    """Repeat it, or a share of that; what has grown."""
    made = run()
    act, count = next(made)
    count = max(SHARES, int(count * share))
    tell(f"{run.__name__}: {run.__doc__} {count:,} times.")
    tell(f"{'times':>12} {'MB':>8} {'files':>6} {'threads':>8} {'us each':>10}")
    seen: list[tuple[float, int, int]] = []
    for part in range(SHARES):
        begin = time.process_time()
        for _ in range(count // SHARES):
            act()
        took = (time.process_time() - begin) / (count // SHARES)
        gc.collect()
        seen.append((memory(), len([*Path("/proc/self/fd").iterdir()]), threading.active_count()))
        done, (held, files, threads) = (part + 1) * (count // SHARES), seen[-1]
        tell(f"{done:12,} {held:8.1f} {files:6} {threads:8} {took * 1e6:10.1f}")
    next(made, None)
    grown = [last - half for last, half in zip(seen[-1], seen[SHARES // 2 - 1], strict=True)]
    names = ("MB", "files", "threads")
    limits = (LIMIT, 0, 0)
    return [
        f"{run.__name__}: {more:.1f} {name} more in the second half"
        for more, name, limit in zip(grown, names, limits, strict=True)
        if more > limit
    ]


def main() -> int:
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")  # of 1,024 shapes it keeps 13 MB, by and by
    share = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    found = [word for name in sys.argv[2:] or RUNS for word in watch(RUNS[name], share)]
    print("\n".join(found) or "Nothing grew.")
    return bool(found)


if __name__ == "__main__":
    raise SystemExit(main())
