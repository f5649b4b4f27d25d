"""A stand-in for the module `time`, for what measures: no time passes there but what is slept."""

from __future__ import annotations

TICK = 1e-4  # seconds that a look at it takes


class Watch:
    def __init__(self) -> None:
        self._now = 0.0

    def perf_counter(self) -> float:
        self._now += TICK
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds
