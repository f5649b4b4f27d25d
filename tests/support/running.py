"""`lamina run` in tests: in this process, and in one of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from lamina.generations.alias import uninstall

ROOT = Path(__file__).parents[2]
OURS = [sys.executable, "-m", "lamina.cli", "run"]


@contextlib.contextmanager
def undone() -> Iterator[None]:
    """What a run changes in this process, which it otherwise ends."""
    before = sys.argv, sys.path[0], sys.modules["__main__"]
    finders = list(sys.meta_path)
    try:
        yield
    finally:
        sys.argv, sys.path[0], sys.modules["__main__"] = before
        os.environ.pop("LAMINA_RUN", None)
        torch.set_default_device(None)
        uninstall()
        sys.meta_path[:] = finders


def start(command: list[str], folder: Path, path: Path = ROOT, text: str = "") -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(path), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, input=text, capture_output=True, text=True, timeout=120, check=False
    )
