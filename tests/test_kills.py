"""kill -9 at any moment of a fit or a save, and disks that take nothing: what was saved stays, and work goes on."""

from __future__ import annotations

import itertools
import os
import random
import resource
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_faults import X, Y, built, finished, save, started

import lamina as keras
from lamina import layers
from lamina.callbacks import BackupAndRestore, Callback, CSVLogger
from lamina.files import backup

FEW, MANY = 6, 50
SHARDED = "m.weights.json"
NAMES = ("m.keras", "m.h5", "m.weights.h5", "m.safetensors", SHARDED)


def forked(work: Callable[[Callable[[], None]], None]) -> tuple[int, int]:
    """A child that does the work, which may tell something by a call; its number, and what to read that from."""
    told, tell = os.pipe()
    pid = os.fork()
    if pid:
        os.close(tell)
        return pid, told
    os.close(told)
    code = 1

    def say() -> None:
        os.write(tell, b".")

    try:
        work(say)
        code = 0
    finally:
        os._exit(code)


def told_and_killed(pid: int, told: int, count: int, wait: float) -> bool:
    """Kill the child some time after it told so many things; whether it still ran."""
    for _ in range(count):
        assert select.select([told], [], [], 100)[0], "the child stands still"
        if not os.read(told, 1):
            break
    end = time.perf_counter() + wait
    while time.perf_counter() < end:
        pass
    os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    os.close(told)
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0, "the child failed"
    return os.WIFSIGNALED(status)


def read_from(folder: Path, name: str) -> Any:
    """What is stored, as one number, which all weights are; None where nothing is."""
    path = folder / name
    if not path.exists():
        return None
    model = built(0)
    model.load_weights(path)
    found = {float(value) for weight in model.weights for value in weight.detach().flatten()}
    assert len(found) == 1, f"{name} holds parts of {len(found)} saves"
    return found.pop()


def store(model: Any, path: Path) -> None:
    if path.name == SHARDED:
        model.save_weights(path, max_shard_size=200 / 2**30)
    else:
        save(model, path)


# fit ------------------------------------------------------------------------------------------------------------------


class Tells(Callback):
    def __init__(self, tell: Callable[[], None]):
        self.tell = tell

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.tell()


def train(folder: Path, epochs: int, tell: Callable[[], None]) -> None:
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((5,)), layers.Dense(64), layers.Dropout(0.3, seed=1), layers.Dense(3)])
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    called = [Tells(tell), BackupAndRestore(folder / "backup", 1), CSVLogger(str(folder / "table.csv"))]
    history = model.fit(X, Y, batch_size=8, epochs=epochs, verbose=0, callbacks=called).history
    arrays = [*model.get_weights(), *(variable.detach() for variable in model.optimizer.variables)]
    np.savez(folder / "result.npz", *arrays, *history.values())


def kill_fits(folder: str, kills: str, seed: str) -> None:
    chance, place, cut_short = random.Random(int(seed)), (0, 0), 0
    whole, parts = Path(folder) / "whole", Path(folder) / "parts"
    for each in (whole, parts):
        each.mkdir()
    epochs = 3 + int(kills)  # more than so many kills let it reach
    for _ in range(int(kills)):
        child = forked(lambda tell: train(parts, epochs, tell))
        assert told_and_killed(*child, chance.randrange(4), chance.uniform(0, 0.03)), "there are too few epochs"
        files = [path.name for path in (parts / "backup").iterdir()] if (parts / "backup").exists() else []
        strays = [name for name in files if name.endswith(".tmp")]
        assert {*files} - {*strays} <= {"latest.weights.h5", "training_metadata.json"} and len(strays) <= 1, files
        cut_short += len(strays)
        if "latest.weights.h5" in files:
            state = backup.read(parts / "backup" / "latest.weights.h5")
            assert (state["epoch"], state["batch"]) >= place
            place = state["epoch"], state["batch"]
    for each in (whole, parts):
        pid, told = forked(lambda tell, each=each: train(each, epochs, tell))
        while os.read(told, 1000):
            pass
        assert os.waitpid(pid, 0)[1] == 0
    assert (parts / "table.csv").read_text() == (whole / "table.csv").read_text()
    with np.load(whole / "result.npz") as expected, np.load(parts / "result.npz") as found:
        assert len(expected) == len(found) > 8
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name])
    assert not (parts / "backup").exists()
    print(cut_short, *place)


@pytest.mark.parametrize("kills", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_a_fit_that_is_killed_again_and_again_ends_as_if_it_had_not_been(kills: int, tmp_path: Path) -> None:
    out, _ = finished(started(kill_fits, tmp_path, kills, 1))
    cut_short, epoch, batch = map(int, out.split())
    assert (epoch, batch) > (0, 0) and (kills == FEW or cut_short > 4), out


# save -----------------------------------------------------------------------------------------------------------------


def save_ever_higher(folder: Path, name: str, value: int, tell: Callable[[], None]) -> None:
    model = built(value)
    for number in itertools.count(value + 1):
        with torch.no_grad():
            for tensor in [*model.weights, *model.optimizer.variables]:
                tensor.fill_(number)
        tell()
        store(model, folder / name)


def kill_saves(text: str, kills: str, seed: str) -> None:
    chance, folder, halves, shards = random.Random(int(seed)), Path(text), 0, 0
    least = dict.fromkeys(NAMES, 0.0)
    kinds = list(NAMES) * (int(kills) // len(NAMES))
    for name in kinds:
        store(built(int(least[name])), folder / name)
        strays = [*folder.glob(f".{name}.*"), *(folder.glob(".m_0*") if name == SHARDED else ())]
        assert not strays, "what a killed save left is still there"
        child = forked(lambda tell, name=name: save_ever_higher(folder, name, int(least[name]), tell))
        assert told_and_killed(*child, chance.randint(1, 5), chance.uniform(0, 0.02))
        halves += len([*folder.glob(".*.tmp")])
        try:
            found = read_from(folder, name)
        except ValueError as error:  # of several files, which cannot change at once
            assert name == SHARDED and "are of two saves" in str(error), error
            shards += 1
            continue
        assert found >= least[name], (name, found, least)
        least[name] = found
    for name in NAMES:
        store(built(1), folder / name)
    assert not [*folder.glob(".*")]
    print(halves, shards)


@pytest.mark.parametrize("kills", [10, pytest.param(MANY, marks=pytest.mark.slow)])
def test_a_killed_save_leaves_the_old_file_or_the_new_one(kills: int, tmp_path: Path) -> None:
    out, _ = finished(started(kill_saves, tmp_path, kills, 2))
    assert kills < MANY or int(out.split()[0]) > 4, out


# Disks that take nothing ----------------------------------------------------------------------------------------------


def full_disk(text: str) -> None:
    """Backups and sharded weights; the other files are tried elsewhere."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    unlimited, folder = resource.getrlimit(resource.RLIMIT_FSIZE), Path(text)
    model, latest = built(), folder / "backup" / "latest.weights.h5"
    store(model, folder / SHARDED)
    keeps = [BackupAndRestore(folder / "backup", delete_checkpoint=False)]
    model.fit(X, Y, verbose=0, callbacks=keeps)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    size = latest.stat().st_size
    acts: list[tuple[Any, Callable[[], Any]]] = [
        (latest, lambda: built().fit(X, Y, epochs=3, verbose=0, callbacks=keeps)),
        (folder / "m_0000", lambda: store(model, folder / SHARDED)),
    ]
    for path, act in acts:
        for limit in (0, 100, 2000, size // 2):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, unlimited[1]))
            try:
                act()
            except OSError as error:
                assert str(path) in str(error) and "File too large" in str(error), error
            else:
                assert limit > 2000 and path is not latest, f"{path} fits into {limit} bytes"
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
            if limit <= 2000 or path is latest:
                assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before, limit
    assert built().fit(X, Y, epochs=3, verbose=0, callbacks=keeps).epoch == [0, 1, 2]


def test_a_full_disk_leaves_backups_and_shards_as_they_were(tmp_path: Path) -> None:
    finished(started(full_disk, tmp_path))


def locked_folder(text: str) -> None:
    folder = Path(text)
    for name in NAMES:
        store(built(), folder / name)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    model = built()
    folder.chmod(0o555)
    for path in folder.iterdir():
        path.chmod(0o444)
    if os.getuid() == 0:
        os.setuid(65534)  # who owns nothing, as root may write anywhere
    for name in (*NAMES, "new.keras"):
        with pytest.raises(PermissionError, match=str(folder)):
            store(model, folder / name)
    with pytest.raises(PermissionError, match=str(folder)):
        model.fit(X, Y, verbose=0, callbacks=[BackupAndRestore(folder / "backup")])
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_that_takes_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    for each in [*tmp_path.parents][:3]:
        each.chmod(each.stat().st_mode | 0o055)
    tmp_path.chmod(0o755)
    finished(started(locked_folder, folder))
    folder.chmod(0o755)
