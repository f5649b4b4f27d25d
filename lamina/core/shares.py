"""The share of a batch that is this process', while several train one model: what sums over a batch go by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Share:
    """So many `rows` of a batch of `whole`. With 0 rows the process computes on a row that does not count, as others
    wait for it in the middle of layers.

    A loss is the mean of the processes' losses, weighed by their rows. `add` sums a tensor over the processes, in
    place; `reduce` makes such a mean of gradients, for these weights; `sending` makes it while a backward pass inside
    it finds them.
    """

    rows: int
    whole: int
    add: Callable[[Tensor], Tensor]
    reduce: Callable[[Sequence[Tensor | None], Sequence[Tensor]], list[Tensor | None]]
    sending: Callable[[Sequence[Tensor]], AbstractContextManager[None]]

    @property
    def part(self) -> float:
        return self.rows / self.whole


present: Share | None = None  # during a step of several processes


def divisor(total: Tensor, least: float | None = None) -> Tensor:
    """What to divide a sum over this process' rows by, where it is to be divided by this `total` of all rows, at least
    `least`, and the mean over the processes is still to come."""
    share = present
    if share is not None:
        total = share.add(total.detach() * (share.rows > 0))
    total = total if least is None else total.clamp(min=least)
    return total if share is None else total * (share.part or 1.0)


def summed(total: Tensor) -> Tensor:
    """A sum over this process' rows, for a mean over the processes that is to be the sum over all rows."""
    return total if present is None else total / (present.part or 1.0)


def counted_once(value: Any, count: Any) -> tuple[Any, Any]:
    """A value that stands for the whole batch, and how often it counts: on each process as much as its rows do."""
    return (value, count) if present is None else (value * present.part, count * present.part)


def weigh(grad: Tensor) -> Tensor:
    """A gradient of which the processes' sum is still to come, for as much as this process' rows count."""
    return grad if present is None else grad * present.part
