"""A plain function as a node of a model: operators, indexing and array functions on symbolic tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import symbolic
from .layer import Layer, unique_name


class Operation(Layer):
    """Calls one function. Has no weights and no arguments of its own: those stand in the recorded call."""

    _autocast = False
    _creates_mask = False

    def __init__(self, function: Callable, name: str | None = None):
        word = getattr(function, "__name__", "operation").strip("_")
        super().__init__(name=name or unique_name("get_item" if word == "getitem" else word))
        self.function = function
        self._finish_build()

    def call(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Functions drop masks, as in Keras 3."""

    def get_config(self) -> dict[str, Any]:
        raise ValueError(
            f'Operation "{self.name}": a plain function has no config. Use a layer (Lambda, Activation) in its place, '
            "or save the weights alone."
        )

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        return symbolic.run_on_trial_tensors(self.function, args, kwargs, self)


symbolic.as_layer = Operation
