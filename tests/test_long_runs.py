"""Long runs in short: nothing grows. `benchmarks/long_runs.py` runs them at length."""

from __future__ import annotations

import mmap
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import long_runs


@pytest.mark.slow
def test_nothing_grows() -> None:
    done = subprocess.run([sys.executable, long_runs.__file__, "0.05"], capture_output=True, text=True, timeout=1000)
    assert done.returncode == 0 and done.stdout.endswith("Nothing grew.\n"), done.stdout + done.stderr


def test_what_grows_is_found() -> None:
    kept: list[mmap.mmap] = []

    def keep() -> None:
        kept.append(
            mmap.mmap(-1, 1 << 20)
        )  # fresh pages: a process that has freed much would serve a bytearray from those
        kept[-1].write(b"." * (1 << 20))

    def grows():
        """It keeps a megabyte each time."""
        yield keep, 20

    (found,) = long_runs.watch(grows, 1)
    assert found.startswith("grows: ") and found.endswith("MB more in the second half")
