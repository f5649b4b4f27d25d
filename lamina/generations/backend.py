"""`keras.backend` of Keras 1 and 2: functions of tensors under their old names, on torch."""

from __future__ import annotations

import functools
from typing import Any

from ..core import config
from ..core.layer import scope
from . import shim


def set_learning_phase(value: Any) -> None:
    """1: all layers called from now on are in training; 0: none is; None: their own flag counts."""
    scope.training = None if value is None else bool(value)


@functools.cache
def for_generation(name: str) -> dict[str, Any]:
    """The names of a generation's backend."""
    def set_backend(backend: str) -> None:
        if backend not in ("tensorflow", "theano"):
            raise ValueError(f'set_backend: expected "tensorflow" or "theano"; got {backend!r}.')
        shim.backends[name] = backend

    found = {key: value for key, value in globals().items() if not key.startswith("_") and callable(value)}
    return {**found, "set_backend": set_backend, "backend": lambda: shim.backends[name], "config": config}
