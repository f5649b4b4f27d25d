"""A bar of one's own loops."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from ..training.progress import Progress


class Progbar:
    """How far a loop of `target` steps is (None: unknown), with values beside it.

    verbose: 1 a bar where there is a terminal, one line at the end elsewhere; 2 one line at the end; 0 nothing. width:
    of the bar. interval: seconds between two looks. unit_name: what a step is called. Values are shown as their mean
    over the steps, at the end as the last call gives them; those of `stateful_metrics`, or of all but
    `stateless_metrics`, as they come. Raises ValueError for both lists at once.
    """

    _last_alone = True

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
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError("Progbar: give `stateful_metrics` or `stateless_metrics`, not both.")
        self.stateful_metrics = {*(stateful_metrics or ())}
        self.stateless_metrics = None if stateless_metrics is None else {*stateless_metrics}
        self.target, self.width, self.verbose = target, width, verbose
        self.interval, self.unit_name = interval, unit_name
        self._progress: Progress | None = None
        self._seen = 0
        self._values: dict[str, Any] = {}
        self._sums: dict[str, tuple[Any, int]] = {}

    def update(
        self, current: int, values: Iterable[tuple[str, Any]] | None = None, finalize: bool | None = None
    ) -> None:
        """Say that `current` steps are done. finalize: whether these are all; by default, once it is `target`."""
        ends = self.target is not None and current >= self.target if finalize is None else finalize
        for name, value in values or ():
            value = value.detach() if isinstance(value, Tensor) else value
            self._values[name] = self._mean(name, value, current, ends and self._last_alone)
        self._seen = current
        if self._progress is None:
            self._progress = Progress(self.target, self.verbose, self.interval, self.width, self.unit_name)
        if ends:
            self._progress.finish(current, self._values)
            self._progress = None
        elif self._progress.due():
            self._progress.update(current, lambda: self._values)

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Say that `n` more steps are done."""
        self.update(self._seen + n, values)

    def _mean(self, name: str, value: Any, current: int, alone: bool) -> Any:
        as_given = (
            name in self.stateful_metrics if self.stateless_metrics is None else name not in self.stateless_metrics
        )
        if as_given or alone:
            return value
        total, count = self._sums.get(name, (0, 0))
        steps = max(current - self._seen, 1)
        self._sums[name] = total + value * steps, count + steps
        return self._sums[name][0] / self._sums[name][1]
