"""Where tensors are made."""

from __future__ import annotations

import torch


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
