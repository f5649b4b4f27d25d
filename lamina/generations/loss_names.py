"""What names of losses and metrics mean in a generation. Configs may name functions of `losses`, and none of these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import losses, metrics
from . import losses as losses_of
from .dialect import Dialect


def find(dialect: Dialect, home: str, name: str) -> Callable[..., Any] | None:
    """The function of a name in `losses` or `metrics` that is not today's; None for any other name."""
    of_batch = home == "metrics" and dialect.table.draws_by_layout
    return losses_of.OWN[dialect.table.name][home].get(name) or (
        losses_of.MEANS if of_batch else losses_of.COMPARED
    ).get(name)


def named(dialect: Dialect, home: str, name: Any) -> Any:
    """What `compile` is to be told for a name: the function it means, where today's `compile` knows none of it."""
    if not isinstance(name, str):
        return name
    function = losses_of.OWN[dialect.table.name][home].get(name)
    second = dialect.table.functions.get(home, {}).get(name)
    known = losses._ALIASES if home == "losses" else metrics._ALIASES
    if function is None and second and not hasattr(losses, name) and name not in known:
        function = getattr(losses, second)
    if function is None or home == "losses":
        return function or name
    return metrics.MeanMetricWrapper(function, name=function.__name__ if dialect.table.short_accuracy else name)
