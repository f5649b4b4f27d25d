"""Rules that turn gradients into steps, with the names, arguments, formulas and files of Keras 3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..core import serialize as _serialization
from ..core.errors import short
from . import schedules
from .adam import Adam, Adamax, AdamW, Lamb, Nadam, ScheduleFreeAdamW
from .base import Optimizer
from .combined import LossScaleOptimizer, MultiOptimizer, OptimizerMap
from .gradient import SGD, Adadelta, Adagrad, Ftrl, Lion, RMSprop
from .matrix import Adafactor, Muon

__all__ = [
    "SGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lamb", "Lion", "LossScaleOptimizer",
    "MultiOptimizer", "Muon", "Nadam", "Optimizer", "OptimizerMap", "RMSprop", "ScheduleFreeAdamW", "deserialize",
    "get", "schedules", "serialize",
]  # fmt: skip

_HOME = "keras.optimizers"
_BY_NAME = {name.lower(): name for name in __all__ if name[0].isupper()}


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """Class and config of an optimizer as plain data."""
    return _serialization.serialize(optimizer)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The optimizer that `serialize` described; the class name may be in any case."""
    name = config["class_name"]
    config = {**config, "class_name": _BY_NAME.get(name.lower(), name)}
    return _serialization.deserialize(config, custom_objects, (_HOME,))


def get(identifier: Any) -> Optimizer | None:
    """An optimizer from a name in any case, a config, a class or an optimizer. Raises ValueError for anything else."""
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, Mapping):
        found = deserialize(identifier)
    elif isinstance(identifier, torch.optim.Optimizer):
        name = type(identifier).__name__
        same = f"optimizers.{name}(...)" if name in __all__ else "one of lamina.optimizers"
        raise ValueError(
            f"torch.optim.{name} holds its weights itself, and compile does not take it: pass {same}, which runs "
            "torch's fused kernels, or write the training loop yourself."
        )
    else:
        name = _BY_NAME.get(identifier.lower(), identifier) if isinstance(identifier, str) else identifier
        found = _serialization.lookup(name, _HOME, "optimizer")
    if not isinstance(found, Optimizer):
        raise ValueError(f"Expected an optimizer, its name or its config; got {short(identifier)}.")
    return found
