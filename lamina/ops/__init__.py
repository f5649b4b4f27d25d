"""The array functions of `keras.ops` on torch tensors, arrays, numbers and the symbolic tensors of models."""

# ruff: noqa: F401, F403

from typing import TYPE_CHECKING

from . import arrangement, base, control, creation, elementwise, image, linalg, math, nn, numpy, reduction

# An op is public where it is defined: each file's own names are those of the package.
if TYPE_CHECKING:
    from .arrangement import *
    from .control import *
    from .creation import *
    from .elementwise import *
    from .linalg import *
    from .math import *
    from .nn import *
    from .reduction import *

for _room in (arrangement, control, creation, elementwise, linalg, math, nn, reduction):
    globals().update(base.public(_room))
