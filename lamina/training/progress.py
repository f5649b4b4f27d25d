"""Progress of training on a terminal (rich), else in plain lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from ..core.config import is_interactive_logging_enabled
from ..core.errors import for_screen


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
        number = float(np.mean(value.tolist() if isinstance(value, Tensor) else value))
        shown.append(f"{name}: {number:.4f}" if abs(number) > 1e-3 or number != number else f"{name}: {number:.4e}")
    return " - ".join(shown)


def _on_terminal() -> bool:
    if not is_interactive_logging_enabled():
        return False
    return _in_notebook() or bool(getattr(sys.stdout, "isatty", bool)())


def _in_notebook() -> bool:
    return "ipykernel" in sys.modules


class _Line:
    """A bar in one line that is written over itself: for notebooks, where there is no cursor to move."""

    def __init__(self, total: int | None, width: int):
        self._total, self._width = total, width
        self._start, self._length = time.perf_counter(), 0

    def draw(self, seen: int, text: str) -> None:
        bar, left = "", ""
        if self._total:
            done = min(seen / self._total, 1.0)
            bar = "━" * round(done * self._width) + "─" * (self._width - round(done * self._width)) + " "
            seconds = (time.perf_counter() - self._start) * (1 - done) / done if done else 0.0
            left = f"{int(seconds) // 60:02}:{int(seconds) % 60:02} "
        self._write(f"{seen}/{self._total or '?'} {bar}{left}{text}")

    def stop(self) -> None:
        self._write("")
        sys.stdout.write("\r")

    def _write(self, line: str) -> None:
        print("\r" + line.ljust(self._length), end="", flush=True)
        self._length = len(line)


class _Bar:
    """A bar by rich, on a terminal."""

    def __init__(self, total: int | None, width: int):
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.table import Column

        # rich's shared console keeps what the terminal was when it was first asked for, and shows one bar at a time.
        console = Console()
        width = width if console.width >= 60 else min(width, 8)
        cut = "crop" if console.options.ascii_only else "ellipsis"
        rest = Column(ratio=1, no_wrap=True, overflow=cut)  # what does not fit is cut here, not at the bar
        left, text = TimeRemainingColumn(compact=True), TextColumn("{task.fields[text]}", table_column=rest)
        self._live = Progress(
            MofNCompleteColumn(), BarColumn(width), left, text,
            console=console, auto_refresh=False, transient=True, expand=True,
        )  # fmt: skip
        self._task = self._live.add_task("", total=total, text="", start=True)
        self._live.start()

    def draw(self, seen: int, text: str) -> None:
        from rich.markup import escape

        self._live.update(self._task, completed=seen, text=escape(for_screen(text, self._live.console.encoding)))
        self._live.refresh()

    def stop(self) -> None:
        self._live.stop()


class Progress:
    """One pass over the data. `due()` is cheap and says when `update` has something to show.

    verbose: 1 a bar where there is a terminal, one line a pass elsewhere; 2 one line a pass; 0 nothing.
    """

    def __init__(self, target: int | None, verbose: int, interval: float = 0.1, width: int = 20, unit: str = "step"):
        self._width, self._unit = width, unit
        self.target, self.verbose, self._interval = target, verbose, interval
        self._live: Any = None
        self._start = time.perf_counter()
        self._next = self._start + interval
        self._seen = 0

    def due(self) -> bool:
        return time.perf_counter() >= self._next

    def update(self, seen: int, read_logs: Callable[[], Mapping[str, Any]]) -> None:
        """Show how far it is. `read_logs` is called only where a bar shows what it returns."""
        self._seen = seen
        if self._is_open():
            rate = per_step((time.perf_counter() - self._start) / max(seen, 1), self._unit)
            self._draw(f"{rate}  {show_values(read_logs())}")

    def tell(self, seen: int, text: str) -> None:
        """Show what is going on beside the pass, in place of its values."""
        self._seen = seen
        if self._is_open():
            self._draw(text)

    def finish(self, seen: int, logs: Mapping[str, Any]) -> None:
        """The last values of the pass."""
        self._seen = seen
        seconds = time.perf_counter() - self._start
        self.close()
        if self.verbose:
            total = self.target or seen
            values = show_values(logs)
            rate = per_step(seconds / max(seen, 1), self._unit)
            line = f"{seen}/{total} - {seconds:.0f}s - {rate}{' - ' if values else ''}{values}"
            print(for_screen(line), flush=True)

    def close(self) -> None:
        """Take the bar off the screen."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _is_open(self) -> bool:
        """Whether there is a bar; opens it where there is a terminal for one."""
        if self.verbose != 1 or not _on_terminal():
            self._next = float("inf")
        elif self._live is None:
            self._live = (_Line if _in_notebook() else _Bar)(self.target, self._width)
        return self._live is not None

    def _draw(self, text: str) -> None:
        self._live.draw(self._seen, text)
        self._next = time.perf_counter() + self._interval  # reading a value may have waited for the device
