"""What networks are made of: convolution, normalization and activation, with the names that files know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.layer import Layer
from ..core.symbolic import SymbolicTensor
from ..layers import Activation, BatchNormalization, Conv2D, ZeroPadding2D
from ._network import channel_axis, places


def _relu(name: Any) -> Layer:
    return Activation("relu", name=name)


@dataclass(frozen=True)
class Blocks:
    """A family's way to write convolution, normalization and activation.

    names: of the three, where "{}" stands for what they belong to; one left out is a counted one. options: of the
    convolutions, normal: of the normalizations. axis: of the channels if they are last. activate: makes the activation
    of a name.
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
        names = self.names.split()
        return names[place].format(name) if name and place < len(names) else None


def rounded(filters: float, most_less: float = 0.1) -> int:
    """To a multiple of 8, at least 8, and no smaller by more than that part."""
    near = max(8, int(filters + 4) // 8 * 8)
    return near + 8 if near < (1 - most_less) * filters else near


def padded_to_halve(x: SymbolicTensor, kernel: int, name: str) -> tuple[SymbolicTensor, str]:
    """With zeros around it, so that a window of strides 2 halves it; and the padding that the window is left with."""
    half = kernel // 2
    even = [1 if size is None else 1 - size % 2 for size in places(x.shape[1:])]
    return ZeroPadding2D([(half - less, half) for less in even], name=name)(x), "valid"
