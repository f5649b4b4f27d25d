"""Timing of two sides in one run, alternating, so that whatever else the machine does falls on both alike."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple


class Comparison(NamedTuple):
    """Medians over all rounds: seconds a call of each side, and the ratio within a round."""

    theirs: float
    ours: float
    ratio: float


def alternate(theirs: Callable[[], Any], ours: Callable[[], Any], *, seconds: float = 0.5) -> Comparison:
    """Call both for about `seconds`, a short batch of each in turn; who goes first changes from round to round."""
    for call in (theirs, ours):
        _batch(call, 10)
    calls = max(1, round(3e-4 / max(_batch(theirs, 10), 1e-7)))
    rounds: list[tuple[float, float]] = []
    collecting = gc.isenabled()
    gc.disable()
    try:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(rounds) < 20:
            if len(rounds) % 2:
                second, first = _batch(ours, calls), _batch(theirs, calls)
            else:
                first, second = _batch(theirs, calls), _batch(ours, calls)
            rounds.append((first, second))
    finally:
        if collecting:
            gc.enable()
    return Comparison(
        statistics.median(first for first, _ in rounds),
        statistics.median(second for _, second in rounds),
        statistics.median(second / first for first, second in rounds),
    )


def _batch(call: Callable[[], Any], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls
