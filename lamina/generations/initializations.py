"""Keras 1's initializations: functions of a shape whose fans follow that generation's order of axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .. import initializers
from ..translation.keras1 import INITIALIZERS
from ..translation.table import Generation


def get_fans(shape: Sequence[int], dim_ordering: str = "th") -> tuple[float, float]:
    """Inputs and outputs of a unit: (out, in, *window) for "th", (*window, in, out) for "tf"; else square roots."""
    if len(shape) == 2:
        return shape[0], shape[1]
    if len(shape) in (4, 5):
        if dim_ordering == "th":
            window = math.prod(shape[2:])
            return shape[1] * window, shape[0] * window
        window = math.prod(shape[:-2])
        return shape[-2] * window, shape[-1] * window
    size = math.sqrt(math.prod(shape))
    return size, size


def _made(name: str) -> Callable[..., Tensor]:
    known = INITIALIZERS[name]
    kind, config = known["class_name"], known["config"]

    def initialization(shape: Sequence[int], scale: Any = None, name: str | None = None, dim_ordering: str = "th"):
        shape = tuple(shape)
        if kind == "VarianceScaling":
            fan_in, fan_out = get_fans(shape, dim_ordering)
            fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[config["mode"]]
            deviation = math.sqrt(config["scale"] / fan)
            if config["distribution"] == "uniform":
                return torch.empty(shape).uniform_(-math.sqrt(3) * deviation, math.sqrt(3) * deviation)
            return torch.empty(shape).normal_(0.0, deviation)
        if kind == "Orthogonal":
            flat = (shape[0], math.prod(shape[1:]))
            return initializers.Orthogonal(gain=config["gain"] if scale is None else scale)(flat).reshape(shape)
        if scale is None:
            return getattr(initializers, kind)(**config)(shape)
        if kind == "RandomUniform":
            return initializers.RandomUniform(-scale, scale)(shape)
        return initializers.RandomNormal(0.0, scale)(shape) if kind == "RandomNormal" else scale * torch.eye(*shape)

    initialization.__name__ = initialization.__qualname__ = name
    initialization.__module__ = "lamina.keras1.initializers"
    return initialization


_functions: dict[str, Callable[..., Tensor]] = {}


def find(generation: Generation, key: str) -> Any:
    if key == "get_fans":
        return get_fans
    if key not in INITIALIZERS:
        return None
    return _functions.setdefault(key, _made(key))
