"""Plain torch modules and functions as layers of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ..core import serialize, symbolic
from ..core.declare import Kind, Refused
from ..core.errors import short
from ..core.layer import Layer
from ..core.operation import Operation

__all__ = ["TorchModuleWrapper"]


class TorchModuleWrapper(Layer):
    """Runs a `torch.nn.Module` as a layer; its parameters are the layer's weights.

    output_shape: with the batch axis; found by running where not given.
    """

    _autocast = False  # but to the one type that a module's parameters have
    _creates_mask = False

    def __init__(self, module: nn.Module, name: str | None = None, output_shape: Any = None, **kwargs: Any):
        if not isinstance(module, nn.Module):
            raise TypeError(f"TorchModuleWrapper: `module` must be a torch.nn.Module; got {short(module)}.")
        super().__init__(name=name, **kwargs)
        types = {one.dtype for one in module.parameters() if one.is_floating_point()}
        if kwargs.get("autocast", True) and types == {self.dtype_policy.compute}:
            vars(self)["_autocast"] = True
            self._set_policy(self.dtype_policy)
        self.module = module
        self._output_shape = None if output_shape is None else tuple(output_shape)

    def call(self, *args: Any, training: bool | None = None, **kwargs: Any) -> torch.Tensor:
        if training is not None and training != self.module.training:
            self.module.train(training)
        return self.module(*args, **kwargs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return super().compute_output_shape(input_shape) if self._output_shape is None else self._output_shape

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        if self._output_shape is None:
            return symbolic.run_on_trial_tensors(self.call, args, kwargs, self)
        return symbolic.infer(self, args, kwargs)

    def save_own_variables(self, store: Any) -> None:
        """Write the module's `state_dict`, by its names."""
        for name, value in self.module.state_dict().items():
            store[name] = value

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        self.module.load_state_dict({name: torch.as_tensor(store[name]) for name in store})

    def get_config(self) -> dict[str, Any]:
        """A module of `torch.nn` by its class and arguments, one of another class by its own `get_config`."""
        try:
            module = serialize.serialize(self.module)
        except TypeError:
            raise ValueError(
                f'TorchModuleWrapper "{self.name}": a {type(self.module).__name__} has no config to be made '
                "again from. Save the weights alone (save_weights or state_dict), or give the class a `get_config` and "
                "register it."
            ) from None
        frozen = [name for name, parameter in self.module.named_parameters() if not parameter.requires_grad]
        config = {**super().get_config(), "module": module, "output_shape": self._output_shape}
        return {**config, "frozen": frozen} if frozen and self.trainable else config

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
        """Raises ValueError for a module that Keras pickled; `custom_objects` may hold it under the layer's name."""
        config = dict(config)
        frozen = config.pop("frozen", ())
        if not isinstance(config.get("module"), Mapping):
            given = serialize.registered_object(config.get("name") or "", custom_objects)
            if given is None:
                raise ValueError(
                    f'TorchModuleWrapper "{config.get("name")}": the file holds a pickled module, which is never read. '
                    "Pass the module under the layer's name in custom_objects."
                )
            config["module"] = given
        else:
            config["module"] = serialize.deserialize(config["module"], custom_objects, ("torch.nn",))
        made = cls(**config)
        for name, parameter in made.module.named_parameters():
            if name in frozen:
                parameter.requires_grad_(False)
        return made


def as_layer(item: Any, where: str) -> Layer:
    """`item` itself if it is a layer, else a layer that runs it. Raises ValueError for what cannot be called."""
    if isinstance(item, Layer):
        return item
    if isinstance(item, nn.Module):
        return TorchModuleWrapper(item)
    if callable(item) and not isinstance(item, type):
        return Operation(item)
    hint = " Make an instance of it: add parentheses." if isinstance(item, type) else ""
    raise ValueError(f"{where}: expected a layer; got {short(item)}.{hint}")


def _inside(value: Any, owner: Any) -> Layer:
    value = serialize.deserialize(value) if isinstance(value, Mapping) else value
    if not isinstance(value, nn.Module):
        raise Refused("Make an instance of it: add parentheses." if isinstance(value, type) else "")
    return as_layer(value, "")


layer_inside = Kind("a layer", _inside, bad=(3, "dense", None))
