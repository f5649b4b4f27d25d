"""`lamina demo` on real data, the command's exit codes, and the digits it ships."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import lamina as keras
from lamina import __version__, cli
from lamina.data import load_digits


def test_digits_are_complete_and_the_split_is_fixed():
    (x_train, y_train), (x_test, y_test) = load_digits()
    assert x_train.shape == (1437, 8, 8, 1) and x_test.shape == (360, 8, 8, 1)
    assert {array.dtype for array in (x_train, y_train, x_test, y_test)} == {np.dtype("uint8")}
    assert x_train.max() == 16 and set(y_test) == set(range(10))
    # scikit-learn's copy: 64 pixels and the label in each row; rows sorted here, as the split shuffles them
    rows = [np.hstack([x.reshape(len(x), 64), y[:, None]]) for x, y in ((x_train, y_train), (x_test, y_test))]
    together = np.concatenate(rows)
    digest = hashlib.sha256(together[np.lexsort(together.T)].tobytes()).hexdigest()
    assert digest.startswith("922f8bcf76256990")
    assert y_test[:12].tolist() == [7, 9, 4, 7, 0, 2, 6, 1, 3, 1, 3, 7]


def test_demo_learns_saves_loads_and_draws(tmp_path, capsys):
    from lamina import demo

    report = demo.run(out=tmp_path / "new" / "folder")
    assert report.accuracy > 0.97
    assert report.difference == 0
    assert report.model.name == "digits.keras" and report.model.stat().st_size > 100_000
    assert report.picture is not None and report.picture.read_bytes().startswith(b"\x89PNG")
    out = capsys.readouterr().out
    assert "conv2d" in out and "Epoch 12/12" in out and f"{report.accuracy:.1%} accuracy" in out
    assert "\x1b" not in out and "\r" not in out


def test_demo_quiet_prints_results_only(tmp_path, capsys):
    assert cli.main(["demo", "--quiet", "--epochs", "1", "--out", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert [line.split()[0] for line in captured.out.splitlines()] == ["Data", "Held", "Saved", "Picture", "Time"]
    assert captured.err == ""


@pytest.mark.parametrize(("wanted", "inside"), [(None, True), (True, True), (False, False)])
def test_demo_chooses_threads_after_its_seed_unless_told_not_to(tmp_path, monkeypatch, wanted, inside):
    seen, fit = [], keras.Model.fit

    def watched(*arguments, **named):
        seen.append(keras.config.thread_choice())
        return fit(*arguments, **named)

    monkeypatch.setattr(keras.Model, "fit", watched)
    before = keras.config.thread_choice()
    try:
        keras.config.set_thread_choice(wanted)
        assert cli.main(["demo", "--quiet", "--epochs", "1", "--out", str(tmp_path)]) == 0
        assert seen == [inside] and keras.config.thread_choice() is wanted
    finally:
        keras.config.set_thread_choice(before)


def test_demo_without_matplotlib_says_how_to_get_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert cli.main(["demo", "--quiet", "--epochs", "1", "--out", str(tmp_path)]) == 0
    assert "pip install 'lamina[plot]'" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["digits.keras"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_ctrl_c_ends_the_demo_with_one_line(tmp_path):
    # A background job starts its children with SIGINT ignored, and Python then leaves it so.
    heeding = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); import lamina.cli; "
    arguments = ["demo", "--epochs", "300", "--out", str(tmp_path)]
    command = [sys.executable, "-c", f"{heeding}sys.exit(lamina.cli.main({arguments!r}))"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith("Epoch 2/"):
                process.send_signal(signal.SIGINT)
                break
        _, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert err.strip() == "lamina: stopped by Ctrl-C"


def test_unwritable_folder_is_one_clear_line(tmp_path, capsys):
    occupied = tmp_path / "file"
    occupied.touch()
    assert cli.main(["demo", "--out", str(occupied)]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("lamina: ") and str(occupied) in captured.err and captured.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["unknown"], ["demo", "--epochs", "0"], ["demo", "--epochs", "many"]])
def test_wrong_arguments_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit:
        cli.main(arguments)
    assert exit.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("lamina") and "--help" in error and error.count("\n") == 1


def test_version(capsys):
    with pytest.raises(SystemExit) as exit:
        cli.main(["--version"])
    assert exit.value.code == 0
    assert capsys.readouterr().out == f"lamina {__version__}\n"


def test_the_package_runs_as_the_command():
    command = [sys.executable, "-m", "lamina"]
    said = subprocess.run([*command, "--version"], capture_output=True, text=True)
    assert (said.returncode, said.stdout) == (0, f"lamina {__version__}\n")
    assert subprocess.run([*command, "unknown"], capture_output=True).returncode == 2
