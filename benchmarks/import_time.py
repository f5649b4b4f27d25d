"""Seconds that `import lamina` adds to `import torch`: processor time in fresh processes, medians.

Lamina loads its rooms on first use: the layers count as part of the import, what training takes is for information.
`python benchmarks/import_time.py [rounds]`; exits with 1 where the budget is missed.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUDGETS = {
    "import lamina": 0.1,
    "import lamina; lamina.layers": 0.1,
    "import lamina; lamina.layers, lamina.models, lamina.optimizers, lamina.losses, lamina.metrics": None,
}
_TIMED = "import torch, time; start = time.process_time(); {}; print(time.process_time() - start)"


def added(code: str) -> float:
    """The time of `code` in a fresh process that has imported torch."""
    command = [sys.executable, "-c", _TIMED.format(code)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main(rounds: str = "7") -> int:
    found: dict[str, list[float]] = {code: [] for code in BUDGETS}
    for _ in range(int(rounds)):
        for code, times in found.items():
            times.append(added(code))
    missed = False
    for code, times in found.items():
        budget, median = BUDGETS[code], statistics.median(times)
        over = budget is not None and median > budget
        missed |= over
        print(f"{code:95} {median * 1e3:6.0f} ms" + (f", allowed {budget * 1e3:.0f}{' !' * over}" if budget else ""))
    return int(missed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
