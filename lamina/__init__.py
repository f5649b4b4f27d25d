"""Lamina: every Keras layer ever documented, as a fast PyTorch module.

import lamina as keras
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from . import _absent, _loading
from ._version import __version__

if TYPE_CHECKING:
    from . import activations as activations
    from . import applications as applications
    from . import backend as backend
    from . import callbacks as callbacks
    from . import config as config
    from . import constraints as constraints
    from . import data as data
    from . import datasets as datasets
    from . import distribution as distribution
    from . import dtype_policies as dtype_policies
    from . import export as export
    from . import initializers as initializers
    from . import keras1 as keras1
    from . import keras2 as keras2
    from . import layers as layers
    from . import legacy as legacy
    from . import losses as losses
    from . import metrics as metrics
    from . import mixed_precision as mixed_precision
    from . import models as models
    from . import ops as ops
    from . import optimizers as optimizers
    from . import port as port
    from . import preprocessing as preprocessing
    from . import quantizers as quantizers
    from . import random as random
    from . import regularizers as regularizers
    from . import saving as saving
    from . import tf_keras as tf_keras
    from . import tree as tree
    from . import utils as utils
    from . import visualization as visualization
    from . import wrappers as wrappers
    from .core.declare import arg as arg
    from .core.devices import device as device
    from .core.dtypes import DTypePolicy as DTypePolicy
    from .core.layer import Layer as Layer
    from .core.remat import RematScope as RematScope
    from .core.remat import remat as remat
    from .core.scope import name_scope as name_scope
    from .core.spec import InputSpec as InputSpec
    from .core.stateless import StatelessScope as StatelessScope
    from .core.stateless import SymbolicScope as SymbolicScope
    from .core.symbolic import KerasTensor as KerasTensor
    from .core.weight import Variable as Variable
    from .dtype_policies import FloatDTypePolicy as FloatDTypePolicy
    from .initializers import Initializer as Initializer
    from .layers.input import Input as Input
    from .layers.operation import Operation as Operation
    from .losses import Loss as Loss
    from .metrics import Metric as Metric
    from .models import load_model as load_model
    from .models import model_from_config as model_from_config
    from .models import model_from_json as model_from_json
    from .models import model_from_yaml as model_from_yaml
    from .models.function import Function as Function
    from .models.model import Model as Model
    from .models.sequential import Sequential as Sequential
    from .optimizers import Optimizer as Optimizer
    from .pictures.explain import explain as explain
    from .pictures.profile import profile as profile
    from .quantizers import Quantizer as Quantizer
    from .regularizers import Regularizer as Regularizer

_MODULES = (
    "activations applications backend callbacks config constraints data datasets distribution dtype_policies export "
    "initializers keras1 keras2 layers legacy losses metrics mixed_precision models ops optimizers port preprocessing "
    "quantizers random regularizers saving tf_keras tree utils visualization wrappers"
).split()
# Where the other names are: at home, so that who sets `layers.Input` leaves `Input` alone.
_ROOMS = {
    "core.declare": "arg",
    "core.devices": "device",
    "core.dtypes": "DTypePolicy",
    "core.layer": "Layer",
    "core.remat": "RematScope remat",
    "core.scope": "name_scope",
    "core.spec": "InputSpec",
    "core.stateless": "StatelessScope SymbolicScope",
    "core.symbolic": "KerasTensor",
    "core.weight": "Variable",
    "dtype_policies": "FloatDTypePolicy",
    "initializers": "Initializer",
    "layers.input": "Input",
    "layers.operation": "Operation",
    "losses": "Loss",
    "metrics": "Metric",
    "models": "load_model model_from_config model_from_json model_from_yaml",
    "models.function": "Function",
    "models.model": "Model",
    "models.sequential": "Sequential",
    "optimizers": "Optimizer",
    "pictures.explain": "explain",
    "pictures.profile": "profile",
    "quantizers": "Quantizer",
    "regularizers": "Regularizer",
}
_NAMES = {name: f"lamina.{room}" for room, names in _ROOMS.items() for name in names.split()}

# The modules in which a config may name classes, as Keras calls them, and where they are here. Nothing else is ever
# imported for a config. The older generations write their own modules, which are Lamina's.
_HOMES = (
    "activations", "applications", "callbacks", "constraints", "dtype_policies", "initializers", "layers", "losses",
    "metrics", "models", "optimizers", "optimizers.schedules", "quantizers", "random", "regularizers",
)  # fmt: skip
_OLD_HOMES = ("constraints", "initializers", "layers", "models", "optimizers", "regularizers")
HOMES = {"keras": "lamina"} | {f"keras.{home}": f"lamina.{home}" for home in _HOMES}
_OLD = [f"lamina.{generation}.{home}" for generation in ("keras1", "keras2", "tf_keras") for home in _OLD_HOMES]
_OLD += ["lamina.tf_keras.mixed_precision", "lamina.tf_keras.optimizers.legacy"]
HOMES["torch.nn"] = "lamina.core.torch_modules"
HOMES |= dict.fromkeys(("keras.utils", "keras.src.layers.preprocessing.feature_space"), "lamina.utils.feature_space")
HOMES |= {
    home: home
    for home in (
        *_OLD, "lamina.generations.activations", "lamina.generations.losses", "lamina.generations.objects",
        "lamina.layers.old",
    )
}  # fmt: skip
# Those whose functions a config may name. Others hold functions that act, such as `save_model`.
FUNCTION_HOMES = (
    "keras.activations", "keras.initializers", "keras.losses", "keras.metrics", "lamina.generations.activations",
    "lamina.generations.losses",
)  # fmt: skip
# What rebuilds the functions that files hold as bytecode.
REBUILDER = "lamina.generations.lambdas"
# What shows layers in notebooks.
SHOWER = "lamina.pictures.reprs"
# What writes layers as code of torch's.
SPELLER = "lamina.port.code"


def version() -> str:
    """Lamina's version."""
    return __version__


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"lamina.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    if name == "__all__":
        return sorted([*_MODULES, *_NAMES, "__version__", "version"])
    raise _absent.attribute(__name__, name)


def __dir__() -> list[str]:
    return __getattr__("__all__")


sys.meta_path.insert(0, _loading.Finder(__name__))
sys.meta_path.append(_absent.Finder(__name__))  # type: ignore[arg-type]
