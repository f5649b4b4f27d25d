"""What names of losses and metrics mean in a generation. Configs may name functions of `losses`, and none of these."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from .. import losses, metrics
from ..core import serialize
from ..core.layer import Layer
from ..core.scope import put, scope
from ..translation import modules
from . import losses as losses_of
from . import updates
from .dialect import Dialect

_NAMES = {"keras1": modules.KERAS1, "keras2": modules.KERAS2}
# Keras 2.4 and later, which `import keras` may mean as well, had these, too.
_SINCE = "bce BCE huber kl_divergence log_cosh binary_focal_crossentropy categorical_focal_crossentropy".split()
_KINDS = {"losses": "loss", "metrics": "metric"}
_LONG = {"kl_divergence": "kullback_leibler_divergence"}  # of which today's name is another


def find(dialect: Dialect, home: str, name: str) -> Callable[..., Any] | None:
    """The function of a name in `losses` or `metrics` that is not today's; None for any other name."""
    generation = dialect.table.name
    of_samples = losses_of.OF_SAMPLES[generation] if home == "metrics" else {}
    of_batch = home == "metrics" and dialect.table.draws_by_layout
    of_scores = {} if dialect.table.lists_weights else losses_of.CROSSENTROPIES
    kinds = losses_of.OWN[generation][home], of_samples, losses_of.MEANS if of_batch else losses_of.COMPARED, of_scores
    return next((kind[name] for kind in kinds if name in kind), None)


def readers(dialect: Dialect, home: str) -> dict[str, Callable[..., Any]]:
    """`get` and `deserialize` of `losses` or `metrics`, by which names mean what they meant."""
    modern = losses if home == "losses" else metrics

    def get(identifier: Any) -> Any:
        described = isinstance(identifier, Mapping) and identifier.get("module") in (None, f"keras.{home}")
        name = identifier.get("class_name") if described else identifier
        if isinstance(name, str) and serialize.registered_object(name) is None:
            found = dialect.find(home, name) or dialect.find(home, modern._ALIASES.get(name, name))
            if isinstance(found, type):
                return found.from_config(identifier.get("config") or {}) if described else found()
            if found is not None and not described:
                return found
        return modern.get(identifier)

    def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
        with serialize.custom_object_scope(custom_objects or {}):
            return get(name)

    return {"get": get, "deserialize": deserialize}


class Stateful(metrics.Metric):
    """A layer of users with `stateful = True`: a metric of Keras 2.1.5 to 2.2, that counts itself over batches."""

    def __init__(self, layer: Any):
        super().__init__(name=layer.name)
        self._layer, self._value = layer, torch.zeros(())

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: object = None) -> None:
        """Raises ValueError for weights of samples, which the layer knows nothing of."""
        if sample_weight is not None:
            raise ValueError(f"{self.name}: a metric that counts itself takes no `sample_weight`.")
        with put(scope, training=False):  # so that its updates wait
            self._layer.updates = []
            self._value = torch.as_tensor(self._layer(y_true, y_pred)).detach()
        updates.carry_out(self._layer.updates)

    def reset_state(self) -> None:
        self._layer.reset_states()

    def result(self) -> Tensor:
        return self._value


def named(dialect: Dialect, home: str, name: Any) -> Any:
    """What `compile` is to be told for a name: the function it means, where today's `compile` knows none of it."""
    of_batch = home == "metrics" and dialect.table.short_accuracy
    if not isinstance(name, str):
        if isinstance(name, Layer) and name.stateful and dialect.table.name == "keras2":
            return Stateful(name)
        name = losses_of.TODAY.get(name, name) if inspect.isfunction(name) else name
        return losses_of.counting(name) if of_batch and inspect.isfunction(name) else name
    function = losses_of.OWN[dialect.table.name][home].get(name)
    _check_name(dialect, home, name, function)
    second = dialect.table.functions.get(home, {}).get(name)
    known = losses._ALIASES if home == "losses" else metrics._ALIASES
    if function is None and second and (of_batch or (not hasattr(losses, name) and name not in known)):
        function = getattr(losses, second)
    by_shapes = name.lower() in ("accuracy", "acc", "crossentropy", "ce")
    if function is None and home == "metrics" and not by_shapes and serialize.registered_object(name) is None:
        cls = dialect.find(home, name) or getattr(metrics, name, None)
        return cls if inspect.isclass(cls) else name  # called as objects of the class are, not by what was asked for
    if function is None or home == "losses":
        return function() if inspect.isclass(function) else function or name
    if not of_batch:
        return metrics.MeanMetricWrapper(function, name=name)
    long = _LONG.get(function.__name__, function.__name__)
    return metrics.MeanMetricWrapper(losses_of.counting(function), name=long)


def _check_name(dialect: Dialect, home: str, name: str, found: object) -> None:
    """Raises ValueError for the name of a function that Keras 1 or 2 had not, such as "dice"."""
    names = _NAMES.get(dialect.table.name)
    if names is None or found is not None or serialize.registered_object(name) is not None:
        return
    modern = losses if home == "losses" else metrics
    later = name in _SINCE or inspect.isclass(getattr(modern, name, None))
    known = (later and not dialect.table.lists_weights) or name in names[home].split()
    if not (known or (home == "metrics" and name.lower() in ("accuracy", "acc"))):
        such = f", such as `lamina.{home}.{name}`" if hasattr(modern, name) else ""
        version = dialect.table.version
        raise ValueError(f"compile: Keras {version} has no {_KINDS[home]} {name!r}. Pass a function{such}.")
