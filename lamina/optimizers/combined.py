"""Optimizers round other optimizers: loss scaling for float16, and several rules in one model."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..core import serialize
from ..core.declare import REQUIRED, Kind, Refused, arg, integer, number, text
from ..core.dtypes import ByPath
from ..core.weight import Weight
from .base import Optimizer, lists, path_of

_HOMES = ("keras.optimizers", "keras.optimizers.schedules")


def _inner(value: Any, owner: Any) -> Optimizer:
    value = serialize.deserialize(value, homes=_HOMES) if isinstance(value, Mapping) else value
    if not isinstance(value, Optimizer) or isinstance(value, LossScaleOptimizer):
        raise Refused
    return value


_optimizer = Kind("an optimizer that does not scale losses itself", _inner, bad=("adam", None))


class LossScaleOptimizer(Optimizer, bare=True):
    """Scales the loss so that float16 gradients neither vanish nor overflow.

    A step with an infinite or NaN gradient changes nothing but halves the scale; `dynamic_growth_steps` good steps in a
    row double it. Eager steps read one flag back from the device; with `capturable` none is read.
    """

    inner_optimizer: Optimizer = arg(_optimizer, default=REQUIRED, doc="Does the updates.")
    initial_scale: float = arg(number(0), default=2.0**15, doc="First scale.")
    dynamic_growth_steps: int = arg(integer(1), default=2000, doc="Good steps until the scale doubles.")
    name: str | None = arg(text.optional(), default=None, doc="Name in configs and files.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not kwargs.pop("dynamic", True):
            raise ValueError(
                "LossScaleOptimizer: `dynamic=False` is not supported, as the scale follows the gradients; for a fixed "
                "one set `loss_scale_factor` of the inner optimizer."
            )
        # Configs of the first Keras 3 versions carry the base's arguments, unset.
        unset = {name for name, declared in Optimizer._args.items() if kwargs.get(name, self) == declared.default}
        super().__init__(*args, **{name: value for name, value in kwargs.items() if name not in unset - {"name"}})
        self.inner_optimizer.loss_scale_factor = None
        self._add_scalar(0.0, torch.float32, "learning_rate")

    def build(self, variables: Iterable[Tensor]) -> None:
        """Make the state of this and the inner optimizer."""
        if not self.built:
            weights = list(variables)
            self.step_counter = self._add_scalar(0, torch.int32, "step_counter")
            self.dynamic_scale = self._add_scalar(self.initial_scale, torch.float32, "dynamic_scale")
            self.inner_optimizer.build(weights)
            super().build(weights)

    @property
    def variables(self) -> list[Weight]:
        return [*self._variables, *self.inner_optimizer.variables]

    @property
    def learning_rate(self) -> Any:
        """The inner optimizer's."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    @property
    def iterations(self) -> Tensor:
        """Updates the inner optimizer made."""
        return self.inner_optimizer.iterations

    def _set_capturable(self, value: bool) -> None:
        super()._set_capturable(value)
        self.inner_optimizer.capturable = value

    def scale_loss(self, loss: Tensor) -> Tensor:
        """The loss times the present scale."""
        return loss * (self.dynamic_scale.detach() if self.built else self.initial_scale)

    def finalize_variable_values(self, var_list: Iterable[Tensor]) -> None:
        self.inner_optimizer.finalize_variable_values(var_list)

    def _apply(self, grads: Sequence[Tensor | None]) -> None:
        present = [grad for grad in grads if grad is not None]
        parts: list[Any] = [grad.to_local() if hasattr(grad, "to_local") else grad for grad in present]  # type: ignore[attr-defined]
        finite = torch.stack([peak.isfinite() for peak in lists._foreach_norm(parts, torch.inf)]).all()
        apart = any(map(operator.is_not, parts, present))
        if apart:
            from ..core.sharded import in_all

            finite = in_all(finite)
        scale = self._divisor()
        unscaled = iter([grad / scale for grad in present] if apart else lists._foreach_div(present, scale))
        grads = [None if grad is None else next(unscaled) for grad in grads]
        if self._capturable:
            self._apply_if(finite, grads)
        elif finite.item():
            self.inner_optimizer._apply(grads)
        finite = finite.to(self.dynamic_scale.device)
        grown = self.step_counter == self.dynamic_growth_steps - 1
        self.dynamic_scale.mul_(torch.where(finite, torch.where(grown, 2.0, 1.0), 0.5))
        self.step_counter.copy_(torch.where(finite & ~grown, self.step_counter + 1, 0))

    def _divisor(self) -> Any:
        """What gradients are divided by."""
        return self.dynamic_scale.detach() if self._capturable else self.dynamic_scale.item()

    def _apply_if(self, finite: Tensor, grads: list[Tensor | None]) -> None:
        """The step, taken back on the device if `finite` is false."""
        changed = [tensor.detach() for tensor in (*self._weights, *self.inner_optimizer.variables)]
        before = [tensor.clone() for tensor in changed]
        self.inner_optimizer._apply(grads)
        lists._foreach_copy_(changed, [torch.where(finite, *pair) for pair in zip(changed, before, strict=True)])


class OptimizerMap(ByPath):
    """Optimizers by the path of the weight: an exact path or a regular expression for all of it.

    Raises ValueError for a path that several expressions fit.
    """

    def __init__(self, default_optimizer: Optimizer, optimizer_map: dict[str, Optimizer] | None = None) -> None:
        if not isinstance(default_optimizer, Optimizer):
            raise TypeError(f"OptimizerMap: `default_optimizer` must be an optimizer; got {default_optimizer!r}.")
        if optimizer_map is not None and not isinstance(optimizer_map, dict):
            raise TypeError(f"OptimizerMap: `optimizer_map` must be a dictionary; got {optimizer_map!r}.")
        super().__init__()
        self.default_optimizer = default_optimizer
        self._held.update(optimizer_map or {})

    def __getitem__(self, path: str) -> Optimizer:
        return self._found(path) or self.default_optimizer

    def __setitem__(self, path: str, optimizer: Optimizer) -> None:
        self._put(path, _optimizer_of(optimizer, path))

    def __call__(self, variable: Tensor) -> Optimizer:
        return self[path_of(variable)]

    def get_config(self) -> dict[str, Any]:
        return {
            "default_optimizer": serialize.serialize(self.default_optimizer),
            "optimizer_map": serialize.serialize(self._held),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> OptimizerMap:
        default, mapped = (
            serialize.deserialize(config[name], custom_objects, homes=_HOMES)
            for name in ("default_optimizer", "optimizer_map")
        )
        return cls(default, mapped)


def _optimizer_of(optimizer: Any, path: str) -> Optimizer:
    if not isinstance(optimizer, Optimizer) or isinstance(optimizer, (LossScaleOptimizer, MultiOptimizer)):
        raise ValueError(f"The optimizer of {path!r} must be a plain optimizer; got {optimizer!r}.")
    return optimizer


def _by_weight(value: Any, owner: Any) -> Any:
    if isinstance(value, dict):
        value = serialize.deserialize(value, homes=_HOMES)
    if not callable(value):
        raise Refused
    return value


_choice = Kind("an OptimizerMap, or a function from a weight to its optimizer", _by_weight, bad=(3, None))


class MultiOptimizer(Optimizer, bare=True):
    """Gives each weight to the optimizer that `optimizer_map` names for it."""

    optimizer_map: Callable[[Tensor], Optimizer] = arg(_choice, default=REQUIRED, doc="The optimizer of a weight.")
    loss_scale_factor: float | None = arg(number().optional(), default=None, doc="Factor for the loss.")
    name: str | None = arg(text.optional(), default=None, doc="Name in configs and files.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._optimizers: list[Optimizer] = []
        super().__init__(*args, **kwargs)
        self._add_scalar(0.0, torch.float32, "learning_rate")
        values = self.optimizer_map.values() if isinstance(self.optimizer_map, Mapping) else ()
        for optimizer in (*values, getattr(self.optimizer_map, "default_optimizer", None)):
            self._include(optimizer)

    def _include(self, optimizer: Optimizer | None) -> None:
        if optimizer is not None and not any(optimizer is known for known in self._optimizers):
            optimizer.loss_scale_factor = None
            self._optimizers.append(optimizer)

    def build(self, variables: Iterable[Tensor]) -> None:
        """Share the weights out and make every optimizer's state."""
        if self.built:
            return
        weights = list(variables)
        chosen = [_optimizer_of(self.optimizer_map(weight), path_of(weight)) for weight in weights]
        for optimizer in chosen:
            self._include(optimizer)
        self._shares = []
        for optimizer in self._optimizers:
            places = [place for place, choice in enumerate(chosen) if choice is optimizer]
            if places:
                optimizer.build([weights[place] for place in places])
                self._shares.append((optimizer, places))
        super().build(weights)

    @property
    def optimizers(self) -> list[Optimizer]:
        """The optimizers that are in use."""
        return self._optimizers[:]

    @property
    def variables(self) -> list[Weight]:
        return [*self._variables, *(variable for optimizer in self._optimizers for variable in optimizer.variables)]

    @property
    def learning_rate(self) -> Any:
        raise AttributeError("A MultiOptimizer has no learning rate of its own; use those of its `optimizers`.")

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        raise AttributeError("A MultiOptimizer has no learning rate of its own; set those of its `optimizers`.")

    def _set_capturable(self, value: bool) -> None:
        super()._set_capturable(value)
        for optimizer, _ in self._shares:
            optimizer.capturable = value

    def finalize_variable_values(self, var_list: Iterable[Tensor]) -> None:
        given = {id(variable) for variable in var_list}
        for optimizer, places in self._shares:
            weights = [self._weights[place] for place in places]
            optimizer.finalize_variable_values([weight for weight in weights if id(weight) in given])

    def _apply(self, grads: Sequence[Tensor | None]) -> None:
        if self.loss_scale_factor is not None:
            grads = [None if grad is None else grad / self.loss_scale_factor for grad in grads]
        for optimizer, places in self._shares:
            optimizer._apply([grads[place] for place in places])
        self._iterations.add_(1)
