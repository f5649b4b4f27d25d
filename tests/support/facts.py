"""What `docs/generations.md` says in numbers, counted: each text stands between `<!-- name:start -->` and its end.

`make facts` writes them; tests/test_examples.py says when they are no longer true.
"""

from __future__ import annotations

import importlib
import json
import re
import textwrap
from collections import Counter
from pathlib import Path

from .golden import FAMILIES, GOLDEN, MISSING, cases

PAGE = Path(__file__).parents[2] / "docs" / "generations.md"
OLDER = {"keras1": "Keras 1", "keras2": "Keras 2", "tf_keras2": "tf.keras"}  # by their folders in `golden`
MODULES = {"keras1": "keras1", "keras2": "keras2", "tf_keras2": "tf_keras"}


def recorded() -> str:
    """How many of the recorded cases are replayed; each that is passes, or test_recorded.py fails."""
    replayed = Counter((case.generation, case.family) for case in cases())
    totals: Counter[tuple[str, str]] = Counter()
    for generation in OLDER:
        for family in FAMILIES[generation]:
            described = json.loads((GOLDEN / generation / f"{family}.json").read_text(encoding="utf-8"))
            totals[generation, family] = len(described["cases"])
    lines = [f"| family | {' | '.join(OLDER.values())} |", "|---|---|---|---|"]
    for family in (*sorted({family for _, family in totals}), "all"):
        row = []
        for generation in OLDER:
            keys = [key for key in totals if key[0] == generation and family in ("all", key[1])]
            passed, total = (sum(counts[key] for key in keys) for counts in (replayed, totals))
            row.append(f"{passed} of {total}" if total else "not yet")
        lines.append(f"| {family} | {' | '.join(row)} |")
    passed = sum(replayed[key] for key in totals)
    told = (
        f"That is {passed:,} of {totals.total():,}. `tests/support/golden.py` names the rest: `OTHERWISE` with what is "
        "answered differently and why (the original failed, wrote nonsense into a config, or gave another result from "
        f"run to run), `MISSING` with what is to come: {len(MISSING)} cases."
    )
    return "\n".join([*lines, "", textwrap.fill(told, 120)])


def backend() -> str:
    """Which functions of each generation's backend are not there."""
    lines = []
    for generation, title in OLDER.items():
        listed = json.loads((GOLDEN / "signatures" / f"{generation}.json").read_text(encoding="utf-8"))
        names = [name.removeprefix("backend.") for name in listed if re.fullmatch(r"backend\.\w+", name)]
        module = importlib.import_module(f"lamina.{MODULES[generation]}.backend")
        absent = [f"`{name}`" for name in names if not hasattr(module, name)]
        lacks = f"lacks {len(absent)} of {len(names)}: {', '.join(absent)}"
        lines.append(f"- {title} {lacks if absent else f'has all {len(names)}'}")
    return "\n".join(lines)


FACTS = {"recorded": recorded, "backend": backend}


def page(now: str) -> str:
    """The page with its texts as they are to be."""
    for name, count in FACTS.items():
        start, end = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
        before, _, rest = now.partition(start)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"{PAGE.name} has no {start} ... {end}.")
        now = f"{before}{start}\n{count()}\n{end}{after}"
    return now


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
