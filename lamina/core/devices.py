"""Where tensors are made."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from types import MethodDescriptorType
from typing import Any

import torch
from torch import Tensor, nn


def _chosen() -> Any:
    """What `torch.set_default_device` chose in this thread, or None."""
    context = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)  # type: ignore[attr-defined]
    return None if context is None else context.device


def here(found: Tensor) -> Tensor:
    """Where torch makes tensors now: an array's memory is on the CPU."""
    if not torch._C._len_torch_function_stack() and _chosen() is None:
        return found
    return found.to(torch.get_default_device())


def as_chosen() -> AbstractContextManager[Any]:
    """The default device, which torch forgets inside the functions that a class of tensors has of its own."""
    device = _chosen()
    return nullcontext() if device is None else torch.device(device)


def modes() -> bool:
    """Whether a mode sees or changes torch's functions; those of a default device are none of these."""
    count = torch._C._len_torch_function_stack()
    if not count:
        return False
    from torch.utils._device import DeviceContext

    return any(type(torch._C._get_function_stack_at(place)) is not DeviceContext for place in range(count))


def take_gpu() -> None:
    """Make tensors on the GPU from now on, in this thread. NumPy reads them there as well."""
    torch.set_default_device("cuda")
    read: Any = Tensor.numpy
    if isinstance(read, MethodDescriptorType):  # torch's own

        def numpy(self: Tensor, *, force: bool = False) -> Any:
            return read(self.cpu() if self.is_cuda else self, force=force)

        Tensor.numpy = numpy  # type: ignore[method-assign]


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


def device_of(module: nn.Module) -> torch.device:
    """Where the first of a module's weights lies; the default device for one without."""
    stack: list[Any] = [module]
    while stack:
        if (each := stack.pop()) is None:
            continue
        for weight in each._parameters.values():
            if weight is not None:
                return weight.device
        stack.extend(reversed(each._modules.values()))
    return torch.get_default_device()
