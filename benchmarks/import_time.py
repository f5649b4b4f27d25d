"""Seconds that `import lamina` adds to `import torch`: fresh processes, in turn, medians.

Lamina loads its rooms on first use; what a script with a small model loads is shown as well.
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
    "import lamina; lamina.layers, lamina.models, lamina.optimizers, lamina.losses, lamina.metrics": 0.25,
}
_TIMED = "import torch, time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"


def added(code: str, rounds: int) -> float:
    """The median time of `code` in a process that has imported torch."""
    return statistics.median(_once(code) for _ in range(rounds))


def _once(code: str) -> float:
    command = [sys.executable, "-c", _TIMED.format(code)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main(rounds: str = "7") -> int:
    found: dict[str, list[float]] = {code: [] for code in BUDGETS}
    for _ in range(int(rounds)):
        for code, times in found.items():
            times.append(_once(code))
    missed = False
    for code, times in found.items():
        median = statistics.median(times)
        missed |= median > BUDGETS[code]
        print(f"{code:95} {median * 1e3:6.0f} ms, allowed {BUDGETS[code] * 1e3:.0f}{' !' * (median > BUDGETS[code])}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
