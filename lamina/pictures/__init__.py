"""Pictures of models: tables and plots, and what training has made of them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .seen.maps import activations as activations
    from .seen.maps import grad_cam as grad_cam
    from .seen.maps import saliency as saliency
    from .seen.results import confusion as confusion
    from .seen.results import predictions as predictions
    from .seen.weights import filters as filters

__all__ = ["activations", "confusion", "filters", "grad_cam", "predictions", "saliency"]

_NAMES = {
    **dict.fromkeys(("activations", "grad_cam", "saliency"), "seen.maps"),
    **dict.fromkeys(("confusion", "predictions"), "seen.results"),
    "filters": "seen.weights",
}


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
