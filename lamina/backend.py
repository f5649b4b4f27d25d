"""`keras.backend` of Keras 3: settings, names of number types and what tells symbolic tensors."""

from __future__ import annotations

from . import _absent
from .config import backend as backend
from .config import epsilon as epsilon
from .config import floatx as floatx
from .config import image_data_format as image_data_format
from .config import set_epsilon as set_epsilon
from .config import set_floatx as set_floatx
from .config import set_image_data_format as set_image_data_format
from .core import dtypes
from .core.dtypes import result_type as result_type
from .core.layer import clear_session as clear_session
from .core.scope import count_name
from .core.symbolic import is_symbolic as is_keras_tensor
from .utils import standardize_dtype as standardize_dtype

__path__: list[str] = []  # `from lamina.backend import name` is told as well what to use
__all__ = [
    "backend", "clear_session", "epsilon", "floatx", "get_uid", "image_data_format", "is_float_dtype", "is_int_dtype",
    "is_keras_tensor", "result_type", "set_epsilon", "set_floatx", "set_image_data_format", "standardize_dtype",
]  # fmt: skip


def __getattr__(name: str) -> object:
    raise _absent.attribute(__name__, name)


def get_uid(prefix: str = "") -> int:
    """1, 2, 3, ... for each prefix; automatic names of layers count on."""
    return count_name(prefix) + 1


def is_float_dtype(dtype: object) -> bool:
    return dtypes.torch_dtype(standardize_dtype(dtype)).is_floating_point


def is_int_dtype(dtype: object) -> bool:
    return dtypes.kind(dtypes.torch_dtype(standardize_dtype(dtype))) == "integers"
