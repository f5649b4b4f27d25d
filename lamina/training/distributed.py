"""Training in several processes, which is torch's: what there is to say about it."""

from __future__ import annotations

import os
import warnings

import torch
from torch import nn

_CONNECTED = {"DistributedDataParallel", "FullyShardedDataParallel", "FSDPModule"}
_told = False


def warn_of_copies(module: nn.Module) -> None:
    """Warn, once and in the first process, where each of several processes trains a copy that learns nothing of the
    others: where nothing in `module` is DistributedDataParallel or sharded."""
    global _told
    rank, count = place()
    if _told or count < 2 or any(_connects(inner) for inner in module.modules()):
        return
    _told = True
    if rank == 0:
        warnings.warn(
            f"There are {count} processes, and each trains a copy of the model by itself: gradients are not averaged. "
            "Use one process, or write the loop with torch.nn.parallel.DistributedDataParallel(model); layers and "
            "models are torch modules, and optimizers take their parameters.",
            stacklevel=2,
        )


def place() -> tuple[int, int]:
    """The number of this process and how many there are, as torch knows or torchrun says."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    if not os.environ.get("TORCHELASTIC_RUN_ID"):
        return 0, 1
    words = [os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE")]
    return (int(words[0]), int(words[1])) if all(word.isdigit() for word in words) else (0, 1)


def _connects(module: nn.Module) -> bool:
    return any(cls.__name__ in _CONNECTED for cls in type(module).__mro__)
