"""Keeping freed buffers: glibc hands large freed blocks back to the system, and every step has to ask for them anew."""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # parameters of mallopt(3)
_KEEP = 1 << 30
_USUAL = 32 << 20  # where glibc's own moving threshold ends; a fixed one cannot be made to move again
_open = 0  # how many want it, in all threads
_lock = threading.Lock()


@functools.cache
def _mallopt() -> Any:
    """glibc's `mallopt`, or None on another system or with `LAMINA_KEEP_BUFFERS=0`."""
    if os.environ.get("LAMINA_KEEP_BUFFERS") == "0":
        return None
    try:
        if not (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc"):
            return None
        return ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, ValueError):
        return None


def _set(threshold: int) -> None:
    mallopt = _mallopt()
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, threshold)
        mallopt(_TRIM_THRESHOLD, threshold)


@contextmanager
def keep_buffers() -> Iterator[None]:
    """Inside, memory that a step frees stays with the process for the next. Opt out: `LAMINA_KEEP_BUFFERS=0`."""
    global _open
    with _lock:
        if not _open:
            _set(_KEEP)
        _open += 1
    try:
        yield
    finally:
        with _lock:
            _open -= 1
            if not _open:
                _set(_USUAL)
