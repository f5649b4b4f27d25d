"""A bar of one's own loops."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..training.progress import Progress


class Progbar:
    """How far a loop of `target` steps is (None: unknown), with values beside it.

    verbose: 1 a bar where there is a terminal, one line at the end elsewhere; 2 one line at the end; 0 nothing. width:
    of the bar. interval: seconds between two looks. unit_name: what a step is called. Shown are means over the steps so
    far, at the end the last values; those of `stateful_metrics`, or of all but `stateless_metrics`, are shown as they
    come.
    """

    _means_at_end = False

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ):
        self.target, self.width, self.verbose = target, width, verbose
        self.interval, self.unit_name = interval, unit_name
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError("Progbar: only one of `stateful_metrics` and `stateless_metrics` can be given.")
        self.stateful_metrics = None if stateful_metrics is None else set(stateful_metrics)
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        self._progress: Progress | None = None
        self._seen = 0
        self._values: dict[str, tuple[Any, int]] = {}  # sums, and of how many steps

    def update(
        self, current: int, values: Iterable[tuple[str, Any]] | None = None, finalize: bool | None = None
    ) -> None:
        """Say that `current` steps are done. finalize: whether these are all; by default, once it is `target`."""
        ends = finalize if finalize is not None else self.target is not None and current >= self.target
        new = max(current - self._seen, 1)
        for name, value in values or ():
            if isinstance(value, str) or (ends and not self._means_at_end) or not self._is_mean(name):
                self._values[name] = value, 1
            else:
                total, steps = self._values.get(name, (0, 0))
                self._values[name] = total + np.mean(value) * new, steps + new
        self._seen = current
        if self._progress is None:
            self._progress = Progress(self.target, self.verbose, self.interval, self.width, self.unit_name)
        if ends:
            self._progress.finish(current, self._shown())
            self._progress = None
        elif self._progress.due():
            self._progress.update(current, self._shown)

    def _is_mean(self, name: str) -> bool:
        if self.stateless_metrics is not None:
            return name in self.stateless_metrics
        return name not in (self.stateful_metrics or ())

    def _shown(self) -> dict[str, Any]:
        return {name: total if steps == 1 else total / steps for name, (total, steps) in self._values.items()}

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Say that `n` more steps are done."""
        self.update(self._seen + n, values)
