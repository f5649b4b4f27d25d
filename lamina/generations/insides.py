"""Names from inside Keras 3 that packages built upon it import: helpers without a public name."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from .. import config, optimizers
from ..core import masking
from ..core.dtypes import torch_dtype
from ..core.operation import Operation
from ..core.scope import snake_case, unique_name
from ..core.stateless import in_symbolic_scope
from ..core.symbolic import any_symbolic
from ..models.functional import Functional
from ..ops.base import tensor
from ..random import dropout
from ..training.data import class_weights
from ..utils.pictures import smart_resize
from .backend import normalize_data_format
from .tensors import KerasTensor


class LazyModule:
    """A module that is imported when something of it is asked for, where it is installed (`available`)."""

    def __init__(self, name: str, pip_name: str | None = None, import_error_msg: str | None = None):
        self._told = name, import_error_msg or f"Install it by `pip install {pip_name or name}`."

    @property
    def available(self) -> bool:
        return importlib.util.find_spec(self._told[0].partition(".")[0]) is not None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if not self.available:
            raise ImportError(f"This needs {self._told[0]}. {self._told[1]}")
        return getattr(importlib.import_module(self._told[0]), name)


def standardize_tuple(value: int | Iterable[int], n: int, name: str, allow_zero: bool = False) -> tuple[int, ...]:
    """`value` for each of `n` axes. Raises ValueError for another number of values, or smaller ones."""
    found = (value,) * n if isinstance(value, int) else tuple(map(int, value))
    if len(found) != n or min(found, default=0) < (0 if allow_zero else 1):
        least = "not below 0" if allow_zero else "above 0"
        raise ValueError(f"`{name}` must be {n} whole numbers {least}; got {value!r}.")
    return found


def correct_pad(inputs: Any, kernel_size: int | Iterable[int]) -> tuple[tuple[int, int], ...]:
    """The zeros around pictures with which a convolution in steps of two ends where it does with "same", for each side:
    `((top, bottom), (left, right))`."""
    first = 1 if config.image_data_format() == "channels_last" else 2
    halves = [size // 2 for size in standardize_tuple(kernel_size, 2, "kernel_size")]
    even = [1 if size is None else 1 - size % 2 for size in inputs.shape[first : first + 2]]
    return tuple((half - less, half) for half, less in zip(halves, even, strict=True))


class DropoutRNNCell:
    """What cells of one's own inherit to drop the same values in all steps. They set `dropout`, `recurrent_dropout` and
    a `seed_generator`; with a `dropout_mask_count` there are so many masks, in a list."""

    dropout: float
    recurrent_dropout: float
    seed_generator: Any
    dropout_mask_count: int | None = None
    _dropout_mask: Any = None
    _recurrent_dropout_mask: Any = None

    def _kept(self, word: str, x: Tensor, rate: float) -> Any:
        if getattr(self, word) is None and rate > 0:
            ones, seed = torch.ones_like(x), self.seed_generator
            masks = [dropout(ones, rate, seed=seed) for _ in range(self.dropout_mask_count or 1)]
            vars(self)[word] = masks[0] if self.dropout_mask_count is None else masks
        return getattr(self, word)

    def get_dropout_mask(self, step_input: Tensor) -> Any:
        return self._kept("_dropout_mask", step_input, self.dropout)

    def get_recurrent_dropout_mask(self, step_input: Tensor) -> Any:
        return self._kept("_recurrent_dropout_mask", step_input, self.recurrent_dropout)

    def reset_dropout_mask(self) -> None:
        vars(self)["_dropout_mask"] = None

    def reset_recurrent_dropout_mask(self) -> None:
        vars(self)["_recurrent_dropout_mask"] = None


MODULES = ("common", "core", "image", "linalg", "math", "nn", "numpy", "random", "torch", "tracking", "variables")

NAMES: dict[str, Any] = {
    "BaseOptimizer": optimizers.Optimizer,
    "DropoutRNNCell": DropoutRNNCell,
    "Functional": Functional,
    "KerasTensor": KerasTensor,
    "correct_pad": correct_pad,
    "LazyModule": LazyModule,
    "any_symbolic_tensors": lambda args=None, kwargs=None: any_symbolic(args, kwargs),
    "auto_name": unique_name,
    "compute_output_spec": lambda fn, *args, **kwargs: Operation(fn).compute_output_spec(*args, **kwargs),
    "class_weight_to_sample_weights": lambda y, class_weight: class_weights(tensor(y), class_weight).numpy(),
    "get_keras_mask": masking.get_mask,
    "in_grain_data_pipeline": lambda: False,
    "in_symbolic_scope": in_symbolic_scope,
    "in_tf_graph": lambda: False,
    "is_tensor": lambda x: isinstance(x, Tensor),
    "no_automatic_dependency_tracking": lambda method: method,  # lists and dicts stay what they are
    "set_keras_mask": masking.set_mask,
    "smart_resize": smart_resize,
    "standardize_data_format": lambda data_format: normalize_data_format(data_format),
    "standardize_tuple": standardize_tuple,
    "tensorflow": LazyModule("tensorflow"),
    "to_snake_case": snake_case,
    "to_torch_dtype": torch_dtype,
}
