"""Optimizers in tf.keras' words, as code that does not import torch writes them; run by real tf_keras, too."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np


def make(tf: ModuleType, keras: ModuleType) -> dict[str, type]:
    legacy = keras.optimizers.legacy.Optimizer

    class Slots(legacy):
        def __init__(self, learning_rate: Any = 0.1, momentum: float = 0.9, name: str = "Slots", **kwargs: Any) -> None:
            super().__init__(name, **kwargs)
            self._set_hyper("learning_rate", kwargs.get("lr", learning_rate))
            self._set_hyper("decay", self._initial_decay)
            self._set_hyper("momentum", momentum)

        def _create_slots(self, var_list: Any) -> None:
            for var in var_list:
                self.add_slot(var, "momentum")

        def _resource_apply_dense(self, grad: Any, var: Any) -> Any:
            dtype = var.dtype.base_dtype
            slot, momentum = self.get_slot(var, "momentum"), self._get_hyper("momentum", dtype)
            slot.assign(slot * momentum - (1.0 - momentum) * grad)
            return var.assign_add(slot * self._decayed_lr(dtype))

        def get_config(self) -> dict[str, Any]:
            own = {key: self._serialize_hyperparameter(key) for key in ("learning_rate", "decay", "momentum")}
            return {**super().get_config(), **own}

    class States(legacy):
        def __init__(self, learning_rate: Any = 0.1, beta: float = 0.8, name: str = "States", **kwargs: Any) -> None:
            super().__init__(name, **kwargs)
            self._set_hyper("learning_rate", learning_rate)
            self._set_hyper("beta", beta)

        def _create_slots(self, var_list: Any) -> None:
            for var in var_list:
                self.add_slot(var, "v", initializer="ones")

        def _prepare_local(self, var_device: Any, var_dtype: Any, apply_state: Any) -> None:
            super()._prepare_local(var_device, var_dtype, apply_state)
            beta = tf.identity(self._get_hyper("beta", var_dtype))
            power = tf.pow(beta, tf.cast(self.iterations + 1, var_dtype))
            apply_state[(var_device, var_dtype)].update({"beta": beta, "power": power})

        def _resource_apply_dense(self, grad: Any, var: Any, apply_state: Any = None) -> Any:
            place = var.device, var.dtype.base_dtype
            told = (apply_state or {}).get(place) or self._fallback_apply_state(*place)
            v, beta = self.get_slot(var, "v"), told["beta"]
            v_t = v.assign(beta * v + (1 - beta) * tf.square(grad), use_locking=self._use_locking)
            return var.assign_sub(told["lr_t"] * grad / (tf.sqrt(v_t / (1 - told["power"])) + 1e-3), use_locking=False)

        def get_config(self) -> dict[str, Any]:
            own = {key: self._serialize_hyperparameter(key) for key in ("learning_rate", "beta")}
            return {**super().get_config(), **own}

    class Steps(keras.optimizers.Optimizer):
        def __init__(self, learning_rate: Any = 0.1, momentum: float = 0.9, name: str = "Steps", **kwargs: Any) -> None:
            super().__init__(name=name, **kwargs)
            self._learning_rate = self._build_learning_rate(learning_rate)
            self.momentum = momentum

        def build(self, var_list: Any) -> None:
            super().build(var_list)
            if hasattr(self, "_built") and self._built:
                return
            self.momentums = [self.add_variable_from_reference(model_variable=v, variable_name="m") for v in var_list]
            self._built = True

        def update_step(self, gradient: Any, variable: Any) -> None:
            m = self.momentums[self._index_dict[self._var_key(variable)]]
            m.assign(m * self.momentum - gradient)
            variable.assign_add(m * tf.cast(self.learning_rate, variable.dtype))

        def get_config(self) -> dict[str, Any]:
            rate = self._serialize_hyperparameter(self._learning_rate)
            return {**super().get_config(), "learning_rate": rate, "momentum": self.momentum}

    return {"Slots": Slots, "States": States, "Steps": Steps}


def trained(keras: ModuleType, optimizer: Any) -> list[float]:
    """The first two weights after three steps."""
    start = keras.initializers.Constant(0.3)
    model = keras.Sequential([keras.layers.Dense(2, input_shape=(3,), kernel_initializer=start)])
    model.compile(optimizer, "mse")
    x = np.arange(12, dtype="float32").reshape(4, 3) / 10
    for _ in range(3):
        model.train_on_batch(x, np.stack([x.sum(1), x[:, 0]], 1))
    return model.get_weights()[0][0].tolist()
