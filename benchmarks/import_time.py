"""Seconds that `import lamina` adds to `import torch`: processor time in fresh processes, medians.

Files are compiled before, as an installed package's are. The garbage collector is on, as it is for everybody: where it
goes through all of torch's objects, that takes more than all that is loaded here.
Lamina loads its rooms on first use: what a network and its training take counts as part of the import.
`python benchmarks/import_time.py [rounds]`; exits with 1 where the budget is missed.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUDGETS = {
    "import lamina": 0.05,
    "import lamina; lamina.layers": 0.05,
    "from lamina.layers import Dense; from lamina.models import Sequential; from lamina.optimizers import Adam": 0.1,
    "from lamina.keras2.layers import Dense; from lamina.keras2.models import Sequential": None,
}
_TIMED = "import torch, time; start = time.process_time(); {}; print(time.process_time() - start)"


def added(code: str, cache: str) -> float:
    """The time of `code` in a fresh process that has imported torch. Compiled files are kept in a folder `cache`."""
    command = [sys.executable, "-c", _TIMED.format(code)]
    told = {**os.environ, "PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main(rounds: str = "7") -> int:
    found: dict[str, list[float]] = {code: [] for code in BUDGETS}
    with tempfile.TemporaryDirectory() as cache:
        for code in found:
            added(code, cache)
        for _ in range(int(rounds)):
            for code, times in found.items():
                times.append(added(code, cache))
    missed = False
    for code, times in found.items():
        budget, median = BUDGETS[code], statistics.median(times)
        over = budget is not None and median > budget
        missed |= over
        print(f"{code:110} {median * 1e3:6.0f} ms" + (f", allowed {budget * 1e3:.0f}{' !' * over}" if budget else ""))
    return int(missed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
