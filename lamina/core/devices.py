"""Where tensors are made."""

from __future__ import annotations

import os

import torch


def take_own() -> None:
    """In one of several processes, as torchrun starts them, let "cuda" be the GPU of this one's number."""
    number = os.environ.get("LOCAL_RANK", "")
    if number.isdigit() and os.environ.get("WORLD_SIZE", "1") != "1" and int(number) < torch.cuda.device_count():
        torch.cuda.set_device(int(number))


def device(device_name: str) -> torch.device:
    """torch's device of a name such as "cpu", "gpu" or "gpu:0". Inside `with device(...)` it is where tensors are made.

    Raises ValueError for what names none.
    """
    if not isinstance(device_name, str):
        raise ValueError(f'device: expected a name such as "cpu" or "gpu:0"; got {device_name!r}.')
    kind, _, number = device_name.lower().partition(":")
    try:
        return torch.device({"gpu": "cuda"}.get(kind, kind) + (f":{number}" if number else ""))
    except RuntimeError as error:
        raise ValueError(f'device: expected a name such as "cpu" or "gpu:0"; got {device_name!r}.') from error
