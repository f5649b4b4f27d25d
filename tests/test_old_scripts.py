"""Scripts as one wrote them for each generation run unchanged under `lamina run`, told its generation or not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent / "old_scripts"
ROOT = SCRIPTS.parent.parent


def run(script: str, folder: Path, *options: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "lamina.cli", "run", *options, str(SCRIPTS / f"{script}.py")]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "accuracy:" in done.stdout
    return done


def test_told_its_generation(tmp_path: Path) -> None:
    run("tf_keras_digits", tmp_path, "--keras", "tf")


@pytest.mark.parametrize(
    ("script", "guess"),
    [("keras1_digits", "keras1"), ("keras2_inputs", "keras2"), ("tf_keras_digits", "keras3")],
)
def test_guesses_its_generation(script: str, guess: str, tmp_path: Path) -> None:
    """The script for tf.keras has no word that Keras 3 lacks, so it runs as one of those."""
    from lamina.generations.alias import installed_keras

    if installed_keras() is not None:
        pytest.skip("a Keras is installed here")
    assert run(script, tmp_path).stderr.startswith(f"lamina: {guess} (")
