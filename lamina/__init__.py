"""Lamina: every Keras layer ever documented, as a fast PyTorch module.

import lamina as keras
"""

from __future__ import annotations

import importlib
from typing import Any

from ._version import __version__

_MODULES = (
    "activations",
    "callbacks",
    "config",
    "constraints",
    "data",
    "initializers",
    "keras1",
    "keras2",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "random",
    "regularizers",
    "saving",
    "tf_keras",
    "utils",
)
_NAMES = {
    "Function": "lamina.models",
    "Initializer": "lamina.initializers",
    "Input": "lamina.layers",
    "InputSpec": "lamina.layers",
    "KerasTensor": "lamina.core.symbolic:SymbolicTensor",
    "Layer": "lamina.layers",
    "Loss": "lamina.losses",
    "Metric": "lamina.metrics",
    "Model": "lamina.models",
    "Optimizer": "lamina.optimizers",
    "Regularizer": "lamina.regularizers",
    "Sequential": "lamina.models",
    "Variable": "lamina.core.weight:Weight",
    "DTypePolicy": "lamina.core.dtypes:DTypePolicy",
    "arg": "lamina.core.declare:arg",
}

__all__ = ["__version__", "version", *_MODULES, *_NAMES]


def version() -> str:
    """Lamina's version."""
    return __version__


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"lamina.{name}")
    if name in _NAMES:
        module, _, attribute = _NAMES[name].partition(":")
        return getattr(importlib.import_module(module), attribute or name)
    raise AttributeError(f"module 'lamina' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
