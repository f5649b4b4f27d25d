"""Where weights lie: the distribution that is set places those that layers make."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

current: Any = None  # what `set_distribution` was given
used = False  # whether any weight was shared out


def is_shared_out(weight: Any) -> bool:
    """Whether calls are to put a weight together from the parts of several processes."""
    return getattr(weight, "sharded", False) and not weight.hooked


def only_shapes() -> bool:
    """Whether code runs on tensors without values, for which processes exchange nothing."""
    return torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.FAKE) is not None


def seen(weight: Any) -> Any:
    """A weight as calls see it."""
    return weight.seen() if getattr(weight, "sharded", False) else weight


def whole(tensor: Any) -> Any:
    """All of a tensor; of a weight that is shared out, put together in all processes at once."""
    return tensor.whole() if getattr(tensor, "sharded", False) else tensor


@contextmanager
def put_together(model: Any) -> Iterator[None]:
    """Inside, one process alone can read whole weights and optimizer state of a model; all processes call this."""
    held = [*model.parameters(), *getattr(getattr(model, "optimizer", None), "variables", ())] if used else []
    held = [tensor for tensor in held if getattr(tensor, "sharded", False)]
    for tensor in held:
        vars(tensor)["_whole"] = tensor.whole().cpu()
    try:
        yield
    finally:
        for tensor in held:
            del vars(tensor)["_whole"]
