"""Optimizers that people wrote for tf.keras up to 2.10: `_create_slots` makes the state of the variables,
`_resource_apply_dense` changes one of them, and what a rule goes by are hyperparameters."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.dtypes import dtype_name, torch_dtype
from ..core.weight import Weight
from ..optimizers import Optimizer, schedules
from ..optimizers.base import Group

Config = Mapping[str, Any]
States = dict[tuple[torch.device, torch.dtype], dict[str, Any]]  # what a step works out once for a device and a type
_WORDS = {"clipnorm", "clipvalue", "global_clipnorm", "lr", "decay", "gradient_aggregator", "gradient_transformers"}


class _Shared(type):
    """All optimizers are of the base class that a generation shows."""

    def __instancecheck__(cls, instance: object) -> bool:
        return super().__instancecheck__(instance) or (cls is OptimizerV2 and isinstance(instance, Optimizer))

    def __subclasscheck__(cls, subclass: type) -> bool:
        return super().__subclasscheck__(subclass) or (cls is OptimizerV2 and issubclass(subclass, Optimizer))


class OptimizerV2(Optimizer, metaclass=_Shared):
    """Base class of users' optimizers; those without `_resource_apply_dense` are written as today's."""

    _by_slots = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._by_slots = hasattr(cls, "_resource_apply_dense")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not self._by_slots:
            super().__init__(*args, **kwargs)
            return
        name = args[0] if args else kwargs.pop("name", None)
        unknown = kwargs.keys() - _WORDS
        if unknown:
            raise TypeError(f"Unexpected keyword argument passed to optimizer: {min(unknown)}")
        if kwargs.get("gradient_aggregator") or kwargs.get("gradient_transformers"):
            raise ValueError(
                f"{name}: gradients are changed by `get_gradients` or `clipnorm`; transformers are not run."
            )
        decay = kwargs.get("decay", 0.0)
        if decay < 0:
            raise ValueError(f"decay cannot be less than 0. Received: decay={decay}.")
        clips = {key: kwargs[key] for key in ("clipnorm", "clipvalue", "global_clipnorm") if key in kwargs}
        super().__init__(kwargs.get("lr", 0.001), name=name, **clips)
        vars(self).update(_initial_decay=decay, _use_locking=True, _slots_of={}, _applied=None)

    # Hyperparameters

    def _set_hyper(self, name: str, value: Any) -> None:
        if name == "learning_rate":
            self.learning_rate = value
        else:
            vars(self)[name] = value

    def _get_hyper(self, name: str, dtype: Any = None) -> Any:
        value = self._learning_rate if name == "learning_rate" else vars(self)[name]
        if isinstance(value, schedules.LearningRateSchedule):
            return value
        value = value() if callable(value) and not isinstance(value, Tensor) else value
        return torch.as_tensor(value, dtype=None if dtype is None else torch_dtype(dtype))

    def _decayed_lr(self, var_dtype: torch.dtype) -> Tensor:
        rate = self.learning_rate.detach().to(torch_dtype(var_dtype))
        decay = vars(self).get("decay", self._initial_decay)
        return rate / (1 + decay * self.iterations.to(rate.dtype)) if decay else rate

    def _serialize_hyperparameter(self, name: str) -> Any:
        value = self._get_hyper(name)
        return value.item() if isinstance(value, Tensor) else schedules.serialize(value)

    @property
    def lr(self) -> Any:
        return self.learning_rate

    @lr.setter
    def lr(self, value: Any) -> None:
        self.learning_rate = value

    # State

    def build(self, variables: Iterable[Tensor]) -> None:
        weights = list(variables)
        if self._by_slots and not self.built:
            super().build(weights)
            self._create_slots(weights)
        super().build(weights)

    def _create_slots(self, var_list: Iterable[Tensor]) -> None:
        """What a subclass defines: `add_slot(variable, name)` for what it needs."""

    def add_slot(
        self, var: Tensor, slot_name: str, initializer: Any = "zeros", shape: Sequence[int] | None = None
    ) -> Weight:
        slots = self._slots_of.setdefault(slot_name, {})
        if id(var) not in slots:
            made = self.add_variable_from_reference
            slots[id(var)] = (
                made(var, slot_name, initializer)
                if shape is None
                else self.add_variable(shape, initializer, dtype_name(var.dtype), slot_name)
            )
        return slots[id(var)]

    def get_slot(self, var: Tensor, slot_name: str) -> Weight:
        return self._slots_of[slot_name][id(var)]

    def get_slot_names(self) -> list[str]:
        return list(self._slots_of)

    def add_weight(
        self, name: str, shape: Sequence[int], dtype: Any = None, initializer: Any = "zeros", **_: object
    ) -> Weight:
        return self.add_variable(shape, initializer, dtype, name)

    @property
    def variables(self) -> list[Weight]:
        """The step counter, then the slots in the order in which they were made."""
        found = super().variables
        return [each for each in found if each is not self._learning_rate] if self._by_slots else found

    weights = variables

    def get_weights(self) -> list[np.ndarray]:
        return [each.numpy() for each in self.variables]

    # The step

    def _apply(self, grads: Sequence[Tensor | None]) -> None:
        if self._by_slots:
            self._applied = self._prepare(self._weights)
        super()._apply(grads)

    def _prepare(self, var_list: Iterable[Tensor]) -> States:
        state: States = {}
        for device, dtype in {(var.device, var.dtype): None for var in var_list}:
            state[device, dtype] = {}
            self._prepare_local(device, dtype, state)
        return state

    def _prepare_local(self, var_device: torch.device, var_dtype: torch.dtype, apply_state: States) -> None:
        apply_state[var_device, var_dtype]["lr_t"] = self._decayed_lr(var_dtype)

    def _fallback_apply_state(self, var_device: torch.device, var_dtype: torch.dtype) -> dict[str, Any]:
        state: States = {(var_device, var_dtype): {}}
        self._prepare_local(var_device, var_dtype, state)
        return state[var_device, var_dtype]

    def update_step(self, gradient: Tensor, variable: Tensor, learning_rate: float | Tensor) -> None:
        if not self._by_slots:
            super().update_step(gradient, variable, learning_rate)
        apply: Any = self._resource_apply_dense  # type: ignore[attr-defined]
        told = "apply_state" in inspect.signature(apply).parameters
        apply(gradient, variable, **({"apply_state": self._applied} if told else {}))

    def _decay_of(self, group: Group) -> float | None:
        return None if self._by_slots else super()._decay_of(group)  # of the same name is a hyperparameter there

    def _set_capturable(self, value: bool) -> None:
        if self._by_slots:
            raise ValueError(f"{type(self).__name__}: a rule of `_resource_apply_dense` runs step by step.")
        super()._set_capturable(value)

    # Configs

    def get_config(self) -> dict[str, Any]:
        if not self._by_slots:
            return super().get_config()
        clips = {key: getattr(self, key) for key in ("clipnorm", "clipvalue", "global_clipnorm")}
        return {"name": self.name} | {key: value for key, value in clips.items() if value is not None}

    @classmethod
    def from_config(cls, config: Config, custom_objects: Config | None = None) -> Any:
        if not cls._by_slots:
            return super().from_config(config, custom_objects)
        own = dict(config)
        if "lr" in own:
            own["learning_rate"] = own.pop("lr")
        if isinstance(own.get("learning_rate"), Mapping):
            own["learning_rate"] = schedules.deserialize(own["learning_rate"], custom_objects)
        return cls(**own)
