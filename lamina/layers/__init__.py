"""All layers: what each file lists in its `__all__`."""

# ruff: noqa: F403, F405

import functools
import importlib
from typing import TYPE_CHECKING, Any

from .. import _absent
from ..core import errors as _errors
from ..core import serialize as _serialize
from ..core.layer import InputSpec as InputSpec
from ..core.layer import Layer as Layer
from .activation import *
from .attention import *
from .convolution import *
from .convolutional_recurrent import *
from .dense import *
from .dropout import *
from .embedding import *
from .input import *
from .lambda_ import *
from .local import *
from .merge import *
from .normalization import *
from .pooling import *
from .recurrent import *
from .reshape import *
from .torch_module import *
from .wrappers import *

if TYPE_CHECKING:
    from .preprocessing.audio import *
    from .preprocessing.colours import *
    from .preprocessing.features import *
    from .preprocessing.geometry import *
    from .preprocessing.hashing import *
    from .preprocessing.lookup import *
    from .preprocessing.mixing import *
    from .preprocessing.text import *

# What prepares data is loaded with the first of its names: many files, which most programs never need.
_PREPROCESSING = ("audio", "colours", "features", "geometry", "hashing", "lookup", "mixing", "text")


@functools.cache
def _load_preprocessing() -> None:
    for room in _PREPROCESSING:
        module = importlib.import_module(f".preprocessing.{room}", __name__)
        globals().update({name: getattr(module, name) for name in module.__all__})


def __getattr__(name: str) -> Any:
    if name == "__all__":
        found = {public: getattr(globals()[public], "__module__", "") for public in __dir__() if public[0] != "_"}
        return [public for public, home in found.items() if home.startswith("lamina.")]  # layers, their functions
    if not name.startswith("__"):
        _load_preprocessing()
        if name in globals():
            return globals()[name]
    raise _absent.attribute(__name__, name)


def __dir__() -> list[str]:
    _load_preprocessing()
    return sorted(globals())


# Keras' other names for the same classes.
Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D
Convolution1DTranspose, Convolution2DTranspose = Conv1DTranspose, Conv2DTranspose
Convolution3DTranspose = Conv3DTranspose
SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D = GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D
GlobalAvgPool3D = GlobalAveragePooling3D
GroupQueryAttention = GroupedQueryAttention


def serialize(layer: Layer) -> dict:
    """The class and config of a layer as plain data."""
    return _serialize.serialize(layer)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The layer that `serialize` described. Raises ValueError for an unknown class, and for what is no layer's."""
    found = _serialize.deserialize(config, custom_objects)
    if not isinstance(found, Layer):
        raise ValueError(f"deserialize: expected the config of a layer; got {_errors.short(config)}.")
    return found


def layer_from_config(config: Any, custom_objects: Any = None) -> Any:
    """`deserialize`, as Keras 1 and 2 call it; {"class_name": ..., "config": ...}."""
    return deserialize(config, custom_objects)
