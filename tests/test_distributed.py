"""`fit`, `evaluate` and `predict` in several processes give what one process with the whole batch gives."""

from __future__ import annotations

import os
import pickle
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import together

import lamina as keras
from lamina import cli

TESTS = Path(__file__).parent
ALIKE = [name for name in together.SCENARIOS if not name.startswith("apart")]


def environment(**more: Any) -> dict[str, str]:
    home = os.pathsep.join([str(Path(keras.__file__).parents[1]), str(TESTS)])
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": home, "LAMINA_PATIENCE": "40", **more}


class Together:
    """All scenarios of a program in so many processes, which are started once."""

    def __init__(self, count: int, folder: Path, program: str = "together", names: Any = together.SCENARIOS):
        self.count, self.folder = count, folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        told = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TOGETHER": str(folder)}
        command = [sys.executable, "-W", "ignore", str(TESTS / "support" / f"{program}.py"), str(folder), *names]
        self.processes = [
            subprocess.Popen(
                command,
                env=environment(**told, RANK=str(rank), LOCAL_RANK=str(rank), TORCHELASTIC_RUN_ID="test"),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for rank in range(count)
        ]
        self.said = [process.communicate()[0] for process in self.processes]
        files = [folder / f"{rank}.pickle" for rank in range(count)]
        assert all(file.exists() for file in files), self.said[0][-3000:]
        self.found = [pickle.loads(file.read_bytes()) for file in files]

    def of(self, name: str) -> list[dict[str, Any]]:
        for found in self.found:
            assert not isinstance(found[name], str), found[name]
        return [found[name] for found in self.found]


@pytest.fixture(scope="module", params=[2, pytest.param(4, marks=pytest.mark.slow)])
def processes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Together]:
    yield Together(request.param, tmp_path_factory.mktemp("together"))


def close(found: Any, expected: Any, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    np.testing.assert_allclose(np.asarray(found, "float64"), np.asarray(expected, "float64"), rtol, atol)


@pytest.mark.parametrize("name", ALIKE)
def test_several_processes_do_as_one_does(name: str, processes: Together) -> None:
    expected = together.run(name)
    assert isinstance(expected, dict), expected
    for found in processes.of(name):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            try:
                close(found[key], value)
            except AssertionError as error:
                raise AssertionError(f"{key}: {error}") from None


def test_all_processes_have_the_same_weights_to_the_last_bit(processes: Together) -> None:
    for name in ALIKE:
        first, *others = processes.of(name)
        for other in others:
            for key, value in first.items():
                np.testing.assert_array_equal(other[key], value, err_msg=f"{name}: {key}")


def test_ordinary_statistics_of_batches_become_their_mean(processes: Together) -> None:
    count = processes.count
    expected = np.mean([part.mean(0) for part in np.split(together.X[:16], count)], 0) * 0.5
    for found in processes.of("apart_ordinary_statistics"):
        close(found["mean"], expected)


def test_each_process_drops_values_of_its_own(processes: Together) -> None:
    first, *others = processes.of("apart_dropout")
    for seed in (None, 7):
        drawn = first[f"own {seed}"]
        assert len({mask.tobytes() for mask in drawn}) == len(drawn)
        for other in others:
            np.testing.assert_array_equal(other[f"weights {seed}"], first[f"weights {seed}"])
            assert not (other[f"own {seed}"] == drawn).all((1, 2)).any()


def test_gradients_are_sent_while_others_are_still_to_be_found(processes: Together) -> None:
    for found in processes.of("apart_sent_early"):
        assert found["events"][:4] == ["sent", "found", "sent", "sent"]


def test_all_begin_and_stop_as_one(processes: Together) -> None:
    first, *others = processes.of("apart_different_beginnings")
    assert first["epochs"] == 2
    for other in others:
        for key, value in first.items():
            np.testing.assert_array_equal(other[key], value, err_msg=key)


def test_the_first_process_writes_and_shows(processes: Together) -> None:
    for found in processes.of("apart_files"):
        for loaded in found["loaded"]:
            np.testing.assert_array_equal(loaded, found["weights"])
    own = [f"{rank}.weights.h5" for rank in range(processes.count)]
    kept = {"1.keras", "2.keras", "b2.weights.h5", "b4.weights.h5", "log.csv", "whole.keras", *own}
    assert {path.name for path in processes.folder.iterdir()} - {f"{r}.pickle" for r in range(processes.count)} == kept
    assert len((processes.folder / "log.csv").read_text().splitlines()) == 3
    assert "Epoch 1/2" in processes.said[0]
    for said in processes.said[1:]:
        assert "Epoch" not in said


def test_what_is_connected_by_hand_or_not_at_all_is_left_alone(processes: Together) -> None:
    """Each process sees its own data alone; gradients are shared where the user has said so."""
    connected, apart = processes.of("apart_connected_by_hand"), processes.of("apart_each_for_itself")
    for found in (connected, apart):
        assert len({str(one["own loss"]) for one in found}) == processes.count
    assert len({one["weights"].tobytes() for one in connected}) == 1
    assert len({one["weights"].tobytes() for one in apart}) == processes.count


def test_stateful_layers_are_refused(processes: Together) -> None:
    processes.of("apart_stateful")


# Processes that are lost ----------------------------------------------------------------------------------------------

LOST = """
import os, signal, sys, time
import numpy as np
import lamina as keras

keras.utils.set_random_seed(0)
x = np.random.rand(64, 4).astype("float32")
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(1)])
model.compile("adam", "mse")
how, folder = sys.argv[1:]

class Lost(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == (2, 1) and os.environ.get("RANK") == "1":
            if how == "killed" or (how == "killed once" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"):
                os.kill(os.getpid(), signal.SIGKILL)
            if how == "raises":
                raise KeyError("of its own")
            if how == "hangs":
                time.sleep(60)

callbacks = [Lost(), keras.callbacks.BackupAndRestore(folder)]
history = model.fit(x, x[:, :1], epochs=4, batch_size=16, verbose=0, callbacks=callbacks)
told = f"LOSS {history.history['loss'][-1]} {model.get_weights()[0].sum()}{os.linesep}"
os.write(1, told.encode())  # in one piece
"""


def launched(folder: Path, *arguments: str, processes: int = 2, **more: str) -> subprocess.CompletedProcess:
    (folder / "lost.py").write_text(LOST)
    run = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", *arguments]
    return subprocess.run(
        [sys.executable, *run], capture_output=True, text=True, env=environment(**more), timeout=300, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed", "raises", "hangs"])
def test_a_lost_process_ends_the_others_with_its_number_and_place(how: str, tmp_path: Path) -> None:
    begin = time.monotonic()
    command = ["--monitor-interval=20", str(tmp_path / "lost.py"), how, str(tmp_path / "backup")]
    done = launched(tmp_path, *command, LAMINA_PATIENCE="5")  # torchrun would end the others before they can tell
    assert done.returncode and time.monotonic() - begin < 60
    assert "Process 0 ends, because process 1 of 2 (counted from 0) is gone" in done.stderr
    assert "in fit, epoch 3, batch 2" in done.stderr
    assert ("KeyError: 'of its own'" in done.stderr) is (how == "raises")


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4])
def test_training_goes_on_from_the_last_backup_after_a_restart(processes: int, tmp_path: Path) -> None:
    script, backup = str(tmp_path / "lost.py"), str(tmp_path / "backup")
    done = launched(tmp_path, "--max-restarts=1", script, "killed once", backup, processes=processes)
    assert done.returncode == 0, done.stderr[-3000:]
    alone = subprocess.run(
        [sys.executable, script, "not", backup], capture_output=True, text=True, env=environment(), check=True
    )
    found = [numbers.split() for numbers in re.findall(r"LOSS((?: [\d.e+-]+)+)", done.stdout)]  # lines may have merged
    assert len(found) == processes
    for numbers in found:
        close([*map(float, numbers)], [*map(float, alone.stdout.split()[1:])])


# lamina run -----------------------------------------------------------------------------------------------------------

OLD = """
import numpy as np
from keras.models import Sequential
from keras.layers.core import Dense
x = np.random.rand(40, 3)
m = Sequential()
m.add(Dense(1, input_dim=3))
m.compile("sgd", "mse")
m.fit(x, x[:, 0], nb_epoch=2, batch_size=9, verbose=2)
np.save(f"{os.environ['RANK']}.npy", x)
print("done", __name__)
"""


def test_lamina_run_starts_several_processes_that_draw_the_same_and_print_once(tmp_path: Path) -> None:
    (tmp_path / "old.py").write_text("import os" + OLD)
    done = subprocess.run(
        [sys.executable, "-m", "lamina", "run", "--nproc", "2", "old.py"],
        cwd=tmp_path, capture_output=True, text=True, env=environment(), timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("Epoch 1/2") == done.stdout.count("done __main__") == 1
    assert done.stderr.count("lamina: keras1") == done.stderr.count("lamina: 2 processes train together") == 1
    first, second = (np.load(tmp_path / f"{rank}.npy") for rank in (0, 1))
    np.testing.assert_array_equal(first, second)


def test_lamina_run_reads_standard_input_once(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["run", "--nproc", "2", "-"]) == 2
    assert "standard input can be read once" in capsys.readouterr().err
