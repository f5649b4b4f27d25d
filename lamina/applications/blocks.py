"""What networks are made of: convolution, normalization and activation, with the names that files know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.layer import Layer
from ..core.symbolic import SymbolicTensor
from ..layers import Activation, BatchNormalization, Conv2D
from .network import channel_axis


def _relu(name: Any) -> Layer:
    return Activation("relu", name=name)


@dataclass(frozen=True)
class Blocks:
    """A family's way to write convolution, normalization and activation.

    names: of the three, where "{}" stands for what they belong to. options: of the convolutions, normal: of the
    normalizations. axis: of the channels if they are last. activate: makes the activation of a name.
    """

    names: str = "{}_conv {}_bn {}_relu"
    options: Mapping[str, Any] = field(default_factory=dict)
    normal: Mapping[str, Any] = field(default_factory=dict)
    axis: int = 3
    activate: Callable[..., Layer] = _relu

    def __call__(
        self, x: SymbolicTensor, name: str | None, *sizes: Any, active: bool = True, **options: Any
    ) -> SymbolicTensor:
        """All three; `active=False`: without the activation."""
        return self.norm(self.conv(x, name, *sizes, **options), name, active)

    def conv(
        self, x: SymbolicTensor, name: str | None, *sizes: Any, kind: Callable[..., Layer] = Conv2D, **options: Any
    ) -> SymbolicTensor:
        """sizes: what a convolution takes first: filters and kernel. kind: the convolution's class."""
        return kind(*sizes, **{**self.options, **options}, name=self._named(0, name))(x)

    def norm(self, x: SymbolicTensor, name: str | None, active: bool = False) -> SymbolicTensor:
        """active: with the activation after it."""
        axis = 1 if channel_axis() == 1 else self.axis
        x = BatchNormalization(axis=axis, **self.normal, name=self._named(1, name))(x)
        return self.act(x, name) if active else x

    def act(self, x: SymbolicTensor, name: str | None) -> SymbolicTensor:
        return self.activate(name=self._named(2, name))(x)

    def _named(self, place: int, name: str | None) -> Any:
        return name and self.names.split()[place].format(name)
