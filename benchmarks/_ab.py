"""Timing of several sides in one run, alternating, so that whatever else the machine does falls on all alike."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Comparison(NamedTuple):
    """Medians over all rounds: seconds a call of each side, and the ratio within a round."""

    theirs: float
    ours: float
    ratio: float

    def shown(self, theirs: str, ours: str) -> str:
        return f"{ours} {1e3 * self.ours:8.2f} ms   {theirs} {1e3 * self.theirs:8.2f} ms   ratio {self.ratio:5.2f}"


def seconds_of(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def rounds(
    sides: Sequence[Any], *, seconds: float, least: int = 20, timed: Callable[[Any], float] = seconds_of
) -> list[list[float]]:
    """Call the sides in turn for about `seconds`, in changing order: the time of each, round by round."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        found: list[list[float]] = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(found) < least:
            turn, times = len(found) // 2 % len(sides), [0.0] * len(sides)
            order = [*range(turn, len(sides)), *range(turn)]
            for side in order if len(found) % 2 else reversed(order):
                times[side] = timed(sides[side])
            found.append(times)
    finally:
        if collecting:
            gc.enable()
    return found


def compare(found: Sequence[Sequence[float]], theirs: int, ours: int, calls: int = 1) -> Comparison:
    """Two of the sides of `rounds`, each of which was so many calls."""
    return Comparison(
        statistics.median(times[theirs] for times in found) / calls,
        statistics.median(times[ours] for times in found) / calls,
        statistics.median(times[ours] / times[theirs] for times in found),
    )


def repeated(call: Callable[[], Any], count: int) -> Callable[[], None]:
    """`count` calls as one."""

    def run() -> None:
        for _ in range(count):
            call()

    return run


def alternate(theirs: Callable[[], Any], ours: Callable[[], Any], *, seconds: float = 0.5) -> Comparison:
    """Compare two short calls for about `seconds`, a batch of each in turn."""
    for call in (theirs, ours):
        repeated(call, 10)()
    start = time.perf_counter()
    repeated(theirs, 10)()
    calls = max(1, round(3e-3 / max(time.perf_counter() - start, 1e-6)))
    return compare(rounds([repeated(theirs, calls), repeated(ours, calls)], seconds=seconds), 0, 1, calls)
