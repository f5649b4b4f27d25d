"""Modules of `torch.nn` as the arguments of their constructors, from which they are made again without running code."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from .dtypes import FLOATS
from .weight import context, stand_in

_PLAIN = (bool, int, float, str, type(None))
_BUILT_OF_OTHERS = frozenset({"Transformer", "AdaptiveLogSoftmaxWithLoss", "ParameterList", "ParameterDict"})
MAX_LAYERS = 1_000  # of a recurrent module


def arguments_of(module: nn.Module) -> dict[str, Any] | None:
    """The arguments that make another module of this class and these sizes; None where they cannot be told.

    Told are those of classes of `torch.nn` that keep them as attributes; what was changed by hand, hooked or
    parametrized is not.
    """
    cls = type(module)
    if _class(cls.__name__) is not cls or _hooked(module):
        return None
    if isinstance(module, nn.Sequential):
        inner = {name: _described(child) for name, child in module.named_children()}
        return None if None in inner.values() else {"modules": inner}
    found: dict[str, Any] = {}
    for name, parameter in _parameters(cls).items():
        value = getattr(module, name, inspect.Parameter.empty)
        if isinstance(value, torch.Tensor) or (value is None and isinstance(parameter.default, bool)):
            value = value is not None  # such as `bias`
        if value is inspect.Parameter.empty or not _plain(value):
            value = parameter.default
        if value is inspect.Parameter.empty or not _plain(value):
            return None
        found[name] = value
    tensor = next(iter(module.state_dict().values()), None)
    if tensor is not None and tensor.is_floating_point() and tensor.dtype is not torch.float32:
        found["dtype"] = str(tensor.dtype).removeprefix("torch.")
    try:
        again = _empty(cls.__name__, found)
    except (TypeError, ValueError, RuntimeError):
        return None
    return found if _shown(again) == _shown(module) else None


def made_of(name: Any, arguments: Any) -> nn.Module:
    """The module of that class and these arguments; where weights wait for those of a file, its own wait, too.

    Raises ValueError for one that is not in `torch.nn`, or arguments that are not plain.
    """
    waiting = context.waiting
    if waiting is None:
        return _empty(name, arguments, torch.get_default_device())
    made = _empty(name, arguments)
    for module in made.modules():
        for register in (module._parameters, module._buffers):
            for key, tensor in register.items():
                if tensor is not None:
                    values: Any = stand_in(tuple(tensor.shape), tensor.dtype, f"torch.nn.{name}: {key}")
                    trained = isinstance(tensor, nn.Parameter)
                    register[key] = nn.Parameter(values, tensor.requires_grad) if trained else values
                    made_one: Any = register[key]
                    waiting.add(made_one, functools.partial(_unstored, name, key), None)
    return made


def _unstored(name: str, key: str) -> Any:
    raise ValueError(f"no values are stored for {key!r} of a torch.nn.{name}.")


def _empty(name: Any, arguments: Any, device: Any = "meta") -> nn.Module:
    """The module, by default without memory."""
    cls = _class(name)
    if cls is None or not isinstance(arguments, Mapping):
        raise ValueError(f"torch.nn has no module {name!r} that can be made of a config.")
    if cls is nn.Sequential:
        made: Any = nn.Sequential()
        for key, each in arguments["modules"].items():
            made.add_module(key, _empty(each["class_name"], each["config"], device))
        return made
    given: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in arguments.items()}
    if not all(map(_plain, given.values())) or not given.keys() <= {*_parameters(cls), "dtype"}:
        raise ValueError(f"torch.nn.{name} cannot be made of {sorted(given)}.")
    if "dtype" in given:
        given["dtype"] = FLOATS[given["dtype"]]
    if given.get("num_layers", 1) > MAX_LAYERS:
        raise ValueError(f"torch.nn.{name}: {given['num_layers']} layers are more than {MAX_LAYERS}.")
    with torch.device(device):
        return cls(**given)


def _class(name: Any) -> type[nn.Module] | None:
    """The class of torch.nn of that name, as far as its arguments say all of it."""
    found: Any = getattr(nn, name, None) if isinstance(name, str) and name not in _BUILT_OF_OTHERS else None
    of_modules = isinstance(found, type) and found.__module__.startswith("torch.nn.modules.")
    return found if of_modules and issubclass(found, nn.Module) and found is not nn.Module else None


def _parameters(cls: type) -> dict[str, inspect.Parameter]:
    """The arguments that are words of a config, by name."""
    recurrent = issubclass(cls, nn.RNNBase)
    found = dict(inspect.signature(nn.RNNBase.__init__ if recurrent else cls.__init__).parameters)
    if cls is nn.RNN:
        found["nonlinearity"] = inspect.Parameter("nonlinearity", inspect.Parameter.KEYWORD_ONLY, default="tanh")
    if recurrent and cls is not nn.LSTM:
        del found["proj_size"]
    variable = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    left_out = {"self", "mode", "device", "dtype"} if recurrent else {"self", "device", "dtype"}
    return {
        name: each
        for name, each in found.items()
        if each.kind not in variable and name not in left_out and name[0] != "_"
    }


def _described(module: nn.Module) -> dict[str, Any] | None:
    arguments = arguments_of(module)
    return None if arguments is None else {"class_name": type(module).__name__, "config": arguments}


def _plain(value: Any) -> bool:
    return isinstance(value, _PLAIN) or (isinstance(value, (tuple, list)) and all(map(_plain, value)))


def _hooked(module: nn.Module) -> bool:
    return any(value for name, value in vars(module).items() if name.endswith("_hooks")) or "forward" in vars(module)


def _shown(module: nn.Module) -> Any:
    """What two modules that compute alike have in common."""
    state = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in module.state_dict().items()}
    own = {name: each for name, each in vars(module).items() if name[0] != "_" and name != "training" and _plain(each)}
    return repr(module), state, own
