"""Where a kernel may go a way of its own that only plain data on a CPU can follow."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils._python_dispatch import _get_current_dispatch_mode

# Values in an input from which such a way beats torch's own on a CPU.
MANY = 1 << 16


def on_cpu(x: Tensor) -> bool:
    """Whether ``x`` is on a CPU, with nobody tracing, casting or transforming (torch.func, forward-mode derivatives)
    what is done with it."""
    return (
        (x.is_cpu and not torch.compiler.is_compiling())
        and not torch.is_autocast_enabled("cpu")
        and not torch._C._are_functorch_transforms_active()
        and forward_ad._current_level < 0
    )


def many(x: Tensor) -> bool:
    """Whether an input is so large; False where somebody traces, since then its sizes may be open."""
    return not torch.compiler.is_compiling() and x.numel() >= MANY


def has_values(x: Tensor) -> bool:
    """Whether what a tensor holds may decide what is done: nobody traces the calls, or runs them without values."""
    if type(x) is not Tensor or torch._C._get_tracing_state() is not None:
        return False
    return not torch._C._len_torch_dispatch_stack() or getattr(_get_current_dispatch_mode(), "shows_values", False)


def seen(*args: Any) -> tuple[Any, ...]:
    """Arguments of an autograd function, as a mode that replaces tensors would have torch's own functions see them."""
    if not torch._C._len_torch_function_stack():
        return args
    return tuple(x.view_as(x) if isinstance(x, Tensor) else x for x in args)
