"""What the fast path may cost: frames, imports, lines of a plan. Strict times are in `benchmarks/`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from contract_cases import EXAMPLES, Example
from torch import nn

import lamina as keras

FRAMES = 8


def frames(call: Callable[[], Any]) -> list[str]:
    """The Python functions that `call` runs, by name, itself left out."""
    seen: list[str] = []

    def note(frame: Any, event: str, argument: Any) -> None:
        if event == "call":
            seen.append(frame.f_code.co_qualname if sys.version_info >= (3, 11) else frame.f_code.co_name)

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return seen[1:]


@pytest.mark.parametrize(
    "example", [example for example in EXAMPLES if example.plain], ids=lambda example: example.id
)
def test_frames(example: Example) -> None:
    layer = example.built()
    (given,) = example.tensors()
    with torch.no_grad():
        layer(given)
        found = frames(lambda: layer(given))
    assert len(found) <= FRAMES, f"{len(found)} frames: {found}"
