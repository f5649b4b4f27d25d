"""A bar of one's own loops."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..training.progress import Progress


class Progbar:
    """How far a loop of `target` steps is (None: unknown), with values beside it.

    verbose: 1 a bar where there is a terminal, one line at the end elsewhere; 2 one line at the end; 0 nothing. width:
    of the bar. interval: seconds between two looks. unit_name: what a step is called. Values are shown as they come,
    those of `stateful_metrics` and `stateless_metrics` as others.
    """

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
        self._progress: Progress | None = None
        self._seen = 0
        self._values: dict[str, Any] = {}

    def update(
        self, current: int, values: Iterable[tuple[str, Any]] | None = None, finalize: bool | None = None
    ) -> None:
        """Say that `current` steps are done. finalize: whether these are all; by default, once it is `target`."""
        self._values.update(values or ())
        self._seen = current
        if self._progress is None:
            self._progress = Progress(self.target, self.verbose, self.interval, self.width, self.unit_name)
        if finalize if finalize is not None else self.target is not None and current >= self.target:
            self._progress.finish(current, self._values)
            self._progress = None
        elif self._progress.due():
            self._progress.update(current, lambda: self._values)

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Say that `n` more steps are done."""
        self.update(self._seen + n, values)
