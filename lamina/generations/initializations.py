"""Keras 1's initializations: functions of a shape whose fans follow that generation's order of axes."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import initializers
from ..constraints import Constraint
from ..translation.keras1 import INITIALIZERS
from ..translation.table import Settings
from ..translation.weights import Layout, layout
from ..translation.words import Words


def fans_of(shape: Sequence[int], data_format: str = "channels_last") -> tuple[float, float]:
    """As `get_fans`, with Keras 2's words for the order of axes."""
    return get_fans(shape, {"channels_first": "th", "channels_last": "tf"}[data_format])


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
            deviation = math.sqrt(config["scale"] / max(fan, 1))
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


@functools.cache
def find(name: str) -> Any:
    """The function of that name; None where there is none."""
    return get_fans if name == "get_fans" else _made(name) if name in INITIALIZERS else None


class InLayout:
    """First values drawn array by array in the shapes of Keras 1, by a function of a shape. Fans follow these shapes.

    `draws`: what configs call the function.
    """

    def __init__(self, draws: str, function: Callable, layout: Layout | None = None):
        self.draws, self.function, self.layout = draws, function, layout or Layout()

    def __call__(self, shape: Sequence[int], dtype: Any = None, name: str | None = None) -> Any:
        """First values of a weight of today's; without a type, as own layers ask for it, of an array of this shape."""
        if dtype is None:
            return self.function(shape, name=name)
        drawn = [self.function(each, name=None) for each in self.layout.old_shapes(shape)]
        arrays = [torch.as_tensor(values).detach().numpy() for values in drawn]
        return torch.from_numpy(self.layout.to_modern(arrays)[0])

    def __repr__(self) -> str:
        return self.draws

    def get_config(self) -> dict[str, Any]:
        return {"draws": self.draws}


class ForgetBias(InLayout):
    """Zeros but for the forget gate, whose bias a function draws."""

    def __call__(self, shape: Sequence[int], dtype: object = None, name: str | None = None) -> Tensor:
        units = shape[-1] // 4
        bias = torch.zeros(*shape)
        bias[units : 2 * units] = torch.as_tensor(self.function((units,), name=name)).detach()
        return bias


def forget_bias(init: object) -> dict[str, object]:
    """In today's words what `forget_bias_init` asks for. Raises ValueError for an unknown name."""
    if init in ("one", "zero", True, False):
        return {}
    function = init.function if isinstance(init, InLayout) else find(init) if isinstance(init, str) else None
    if function is None:
        raise ValueError(f"`forget_bias_init` must be a function of a shape, or the name of one; got {init!r}.")
    return {"unit_forget_bias": False, "bias_initializer": ForgetBias(str(init), function)}


class OfEachGate(initializers.Identity):
    """The identity of each gate, side by side: what Keras 2's LSTM and GRU make of an `Identity`, whatever its gain."""

    _home, _public_name = "keras.initializers", "Identity"  # in configs

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        return initializers.Identity()((shape[0], shape[0]), dtype).repeat(1, shape[1] // shape[0])

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}


class ConstraintInLayout(Constraint):
    """A constraint of weights as Keras 1 laid them out. `places`: in today's weight, in the order of the old one."""

    def __init__(self, constraint: Callable, places: Tensor):
        self.constraint, self.places = constraint, places

    def __call__(self, weight: Tensor) -> Tensor:
        places = self.places.to(weight.device)
        flat = weight.new_empty(weight.numel())
        flat[places.flatten()] = self.constraint(weight.reshape(-1)[places]).flatten()
        return flat.reshape(weight.shape)


def constrain_in_layout(weights: Sequence[Any], own: Layout) -> None:
    """Let constraints see these weights of a built layer as they lay in Keras 1."""
    places = [np.arange(weight.numel()).reshape(weight.shape) for weight in weights]
    for weight, now, old in zip(weights, places, own.to_old(places), strict=False):
        if weight.constraint is not None and not np.array_equal(now, old):
            weight.constraint = ConstraintInLayout(weight.constraint, torch.from_numpy(old))


def in_layout(
    words: Words, given: Mapping[str, Any], modern: Mapping[str, Any], settings: Settings
) -> dict[str, InLayout]:
    """Initializers of a layer's kernels that draw as Keras 1 did, for arguments that are bound."""
    config = {"consume_less": given.get("consume_less")}
    if "data_format" in modern:
        config["data_format"] = modern["data_format"] or settings["image_data_format"]
    own = layout(words.entry, config, backend=settings["backend"])
    if not own.names() or own.names()[0][0] != "W":
        return {}
    ordering = "tf" if "dim_ordering" in given and not own.channels_first else "th"
    one_by_one = own.kind == "gates" and not own.fused  # then recurrent kernels are drawn like the others
    by_role = {
        "kernel_initializer": ("init", "init"),
        "embeddings_initializer": ("init", "init"),
        "recurrent_initializer": ("inner_init", "init" if one_by_one else "inner_init"),
    }
    found = {}
    for name, (told, drawn) in by_role.items():
        function, word = _function(given.get(drawn), ordering), given.get(told)
        if name in modern and function is not None and isinstance(word, (str, InLayout)):
            found[name] = InLayout(word if isinstance(word, str) else word.draws, function, own)
    return found


def _function(init: Any, ordering: str) -> Callable | None:
    if isinstance(init, InLayout):
        return init.function
    known = isinstance(init, str) and init in INITIALIZERS
    return functools.partial(find(init), dim_ordering=ordering) if known else None
