"""Mixed precision: layers that compute in 16 bits and store 32, by their policy or the global one."""

from .core.dtypes import DTypePolicy as DTypePolicy
from .core.dtypes import dtype_policy as dtype_policy
from .core.dtypes import set_dtype_policy as set_dtype_policy
from .optimizers import LossScaleOptimizer as LossScaleOptimizer

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy

__all__ = [
    "DTypePolicy", "LossScaleOptimizer", "Policy", "dtype_policy", "global_policy", "set_dtype_policy",
    "set_global_policy",
]  # fmt: skip
