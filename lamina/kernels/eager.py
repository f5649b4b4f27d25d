"""Where a kernel may go a way of its own that only plain data on a CPU can follow."""

from __future__ import annotations

import torch
from torch import Tensor

# Values in an input from which such a way beats torch's own on a CPU.
MANY = 1 << 16


def on_cpu(x: Tensor) -> bool:
    """Whether ``x`` is on a CPU, with nobody tracing, casting or transforming (torch.func) what is done with it."""
    return (
        (x.is_cpu and not torch.compiler.is_compiling())
        and not torch.is_autocast_enabled("cpu")
        and not torch._C._are_functorch_transforms_active()
    )
