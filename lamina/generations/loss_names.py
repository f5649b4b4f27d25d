"""What names of losses and metrics mean in a generation. Configs may name functions of `losses`, and none of these."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from .. import losses, metrics
from . import losses as losses_of
from .dialect import Dialect

_LONG = {"kl_divergence": "kullback_leibler_divergence"}  # of which today's name is another


def find(dialect: Dialect, home: str, name: str) -> Callable[..., Any] | None:
    """The function of a name in `losses` or `metrics` that is not today's; None for any other name."""
    of_batch = home == "metrics" and dialect.table.draws_by_layout
    return losses_of.OWN[dialect.table.name][home].get(name) or (
        losses_of.MEANS if of_batch else losses_of.COMPARED
    ).get(name)


def named(dialect: Dialect, home: str, name: Any) -> Any:
    """What `compile` is to be told for a name: the function it means, where today's `compile` knows none of it."""
    of_batch = home == "metrics" and dialect.table.short_accuracy
    if not isinstance(name, str):
        return losses_of.counting(name) if of_batch and inspect.isfunction(name) else name
    function = losses_of.OWN[dialect.table.name][home].get(name)
    second = dialect.table.functions.get(home, {}).get(name)
    known = losses._ALIASES if home == "losses" else metrics._ALIASES
    if function is None and second and (of_batch or (not hasattr(losses, name) and name not in known)):
        function = getattr(losses, second)
    if function is None or home == "losses":
        return function or name
    if not of_batch:
        return metrics.MeanMetricWrapper(function, name=name)
    long = _LONG.get(function.__name__, function.__name__)
    return metrics.MeanMetricWrapper(losses_of.counting(function), name=long)
