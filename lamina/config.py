"""Settings of the process, as functions to read and set them."""

from .core.config import epsilon as epsilon
from .core.config import floatx as floatx
from .core.config import image_data_format as image_data_format
from .core.config import set_epsilon as set_epsilon
from .core.config import set_floatx as set_floatx
from .core.config import set_image_data_format as set_image_data_format
from .core.dtypes import dtype_policy as dtype_policy
from .core.dtypes import set_dtype_policy as set_dtype_policy

__all__ = [
    "backend",
    "dtype_policy",
    "epsilon",
    "floatx",
    "image_data_format",
    "set_dtype_policy",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
]


def backend() -> str:
    """Always "torch"."""
    return "torch"
