"""Tensors on their way between two orders of axes: channels last, as Keras has them, and first, as torch has them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

Order = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the model that is read, and what stands for it in the one that is written.

    shape: as the tensor is read, None where unknown. Axis i of `made` is its axis `order[i]`. columns: of what was
    flattened before its axes were back in their order, the shape before as it is written, and its order.
    """

    made: Any
    shape: tuple[int | None, ...]
    dtype: torch.dtype = torch.float32
    order: Order = ()
    columns: tuple[tuple[int, ...], Order] | None = None

    def __post_init__(self) -> None:
        if not self.order:
            object.__setattr__(self, "order", plain(len(self.shape)))

    def like(self, made: Any) -> Value:
        """The result of what treats every value by itself."""
        return replace(self, made=made)

    @property
    def free(self) -> bool:
        """Whether it has no batch: what is made of parameters and constants."""
        return None not in self.shape

    @property
    def turned(self) -> bool:
        """Whether its values lie in another order."""
        return self.columns is not None or self.order != plain(len(self.shape))

    def axis(self, axis: int) -> int:
        """Where an axis of the tensor that is read is in the one that is written."""
        return self.order.index(axis % len(self.shape))

    def sizes(self) -> tuple[int | None, ...]:
        """The shape as it is written."""
        return tuple(self.shape[axis] for axis in self.order)


class Arranging:
    """What brings values into an order."""

    def arranged(self, value: Value, order: Order) -> Value:
        """The value with its axes in this order."""
        raise NotImplementedError

    def settled(self, value: Value) -> Value:
        """The value in the order in which it is read."""
        return self.arranged(value, plain(len(value.shape)))

    def together(self, values: Sequence[Value]) -> list[Value]:
        """The values in one order: that of the first one that is not as it is read, where all have as many axes."""
        values = [self.settled(value) if value.columns else value for value in values]
        order = next((value.order for value in values if value.turned), None)
        if order is None or len({len(value.shape) for value in values}) > 1:
            return [self.settled(value) for value in values]
        return [self.arranged(value, order) for value in values]


def plain(rank: int) -> Order:
    """The order of what is written as it is read."""
    return tuple(range(rank))


def channels_second(rank: int) -> Order:
    """The order that brings the last axis behind the batch."""
    return (0, rank - 1, *range(1, rank - 1)) if rank > 2 else plain(rank)


def channels_behind(rank: int) -> Order:
    """The order that brings the axis behind the batch to the end."""
    return (0, *range(2, rank), 1) if rank > 2 else plain(rank)


def turn(order: Order, wanted: Order) -> Order:
    """The permutation of the axes of a tensor in one order that brings them into another."""
    return tuple(order.index(axis) for axis in wanted)


def reread(x: Value, axes: Sequence[int]) -> Value:
    """A view of x whose axis i is its axis `axes[i]`: nothing is written."""
    axes = [axis % len(x.shape) for axis in axes]
    order = tuple(axes.index(axis) for axis in x.order)
    return Value(x.made, tuple(x.shape[axis] for axis in axes), x.dtype, order)


def flatten_order(columns: tuple[tuple[int, ...], Order]) -> Tensor:
    """For each column of a flattened tensor, the column that it is where the axes are in their own order."""
    written, order = columns
    rank = len(order)
    sizes = [written[order.index(axis)] for axis in range(1, rank)]
    return torch.arange(math.prod(sizes)).reshape(1, *sizes).permute(order).flatten()
