"""Counting the Python functions that a call runs."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

import torch

from lamina.kernels import linear


def frames(call: Callable[[], Any]) -> list[str]:
    """The Python functions that `call` runs, by name, itself left out; the least of three, since a collection of
    garbage in between runs finalizers, too."""
    outer, linear.MKL_IS_SLOW = linear.MKL_IS_SLOW, torch.backends.mkldnn.is_available()  # they take the most frames
    try:
        return min((_frames(call) for _ in range(3)), key=len)
    finally:
        linear.MKL_IS_SLOW = outer


def _frames(call: Callable[[], Any]) -> list[str]:
    seen: list[str] = []

    def note(frame: Any, event: str, argument: Any) -> None:
        if event == "call":
            seen.append(getattr(frame.f_code, "co_qualname", frame.f_code.co_name))

    gc.disable()  # a collection would run what others have registered for it
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
        gc.enable()
    return seen[1:]
