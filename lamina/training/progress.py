"""Progress of training on a terminal (rich), else in plain lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..core.config import is_interactive_logging_enabled


def per_step(seconds: float, unit: str = "step") -> str:
    """ "4ms/step" """
    if seconds >= 1:
        return f"{seconds:.0f}s/{unit}"
    return f"{seconds * 1e3:.0f}ms/{unit}" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us/{unit}"


def show_values(logs: Mapping[str, Any]) -> str:
    """ "accuracy: 0.9123 - loss: 0.2714"; small values in exponential form."""
    shown = []
    for name, value in logs.items():
        if isinstance(value, str):
            shown.append(f"{name}: {value}")
            continue
        number = float(np.mean(value))
        shown.append(f"{name}: {number:.4f}" if abs(number) > 1e-3 or number != number else f"{name}: {number:.4e}")
    return " - ".join(shown)


def _on_terminal() -> bool:
    if not is_interactive_logging_enabled():
        return False
    return "ipykernel" in sys.modules or bool(getattr(sys.stdout, "isatty", bool)())


class Progress:
    """One pass over the data. `due()` is cheap and says when `update` has something to show.

    verbose: 1 a bar where there is a terminal, one line a pass elsewhere; 2 one line a pass; 0 nothing.
    """

    def __init__(self, target: int | None, verbose: int, interval: float = 0.1, width: int = 20, unit: str = "step"):
        self._width, self._unit = width, unit
        self.target, self.verbose, self._interval = target, verbose, interval
        self._live: Any = None
        self._task: Any = None
        self._start = time.perf_counter()
        self._next = self._start + interval
        self._seen = 0

    def due(self) -> bool:
        return time.perf_counter() >= self._next

    def update(self, seen: int, read_logs: Callable[[], Mapping[str, Any]]) -> None:
        """Show how far it is. `read_logs` is called only where a bar shows what it returns."""
        self._seen = seen
        self._next = time.perf_counter() + self._interval
        if self.verbose != 1 or not _on_terminal():
            self._next = float("inf")
            return
        if self._live is None:
            self._open()
        self._draw(read_logs())
        self._next = time.perf_counter() + self._interval  # reading a value may have waited for the device

    def finish(self, seen: int, logs: Mapping[str, Any]) -> None:
        """The last values of the pass."""
        self._seen = seen
        seconds = time.perf_counter() - self._start
        self.close()
        if self.verbose:
            total = self.target or seen
            values = show_values(logs)
            rate = per_step(seconds / max(seen, 1), self._unit)
            print(f"{seen}/{total} - {seconds:.0f}s - {rate}{' - ' if values else ''}{values}", flush=True)

    def close(self) -> None:
        """Take the bar off the screen."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        left, text = TimeRemainingColumn(compact=True), TextColumn("{task.fields[text]}")
        # rich's shared console keeps what the terminal was when it was first asked for, and shows one bar at a time.
        self._live = Bar(
            MofNCompleteColumn(), BarColumn(self._width), left, text,
            console=Console(), auto_refresh=False, transient=True,
        )  # fmt: skip
        self._task = self._live.add_task("", total=self.target, text="", start=True)
        self._live.start()

    def _draw(self, logs: Mapping[str, Any]) -> None:
        rate = per_step((time.perf_counter() - self._start) / max(self._seen, 1), self._unit)
        self._live.update(self._task, completed=self._seen, text=f"{rate}  {show_values(logs)}")
        self._live.refresh()
