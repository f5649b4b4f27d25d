"""What a call hands down to the layers inside it, names, and the count of changes that make plans stale."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Scope(threading.local):
    """What a call hands down to the layers inside it."""

    training: bool | None = None
    depth = 0
    path: tuple[str, ...] = ()
    calls_left: int | None = None  # how many more calls may be recorded; None: any number


scope = _Scope()


@contextmanager
def at_most(calls: int) -> Iterator[None]:
    """Inside, no more than so many calls on symbolic tensors: nested models may multiply them beyond measure."""
    outer, scope.calls_left = scope.calls_left, calls
    try:
        yield
    finally:
        scope.calls_left = outer


class Changes:
    """Counts what makes a plan stale: hooks, a first `add_loss`, weights replaced by a wrapper."""

    count = 0


_name_counts: dict[str, int] = {}


def snake_case(name: str) -> str:
    """ "Conv2DTranspose" -> "conv2d_transpose", as Keras names layers."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def unique_name(prefix: str) -> str:
    """`prefix`, then `prefix_1`, `prefix_2`, ... within the process, until `clear_session`."""
    count = _name_counts.get(prefix, 0)
    _name_counts[prefix] = count + 1
    return f"{prefix}_{count}" if count else prefix


def clear_session() -> None:
    """Start automatic names afresh."""
    _name_counts.clear()
