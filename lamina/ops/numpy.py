"""`keras.ops.numpy`: the functions that NumPy has too."""

# ruff: noqa: F403

from typing import TYPE_CHECKING

from . import arrangement, base, creation, elementwise, linalg, reduction
from .control import vectorize as vectorize

if TYPE_CHECKING:
    from .arrangement import *
    from .creation import *
    from .elementwise import *
    from .linalg import *
    from .reduction import *

for _room in (elementwise, reduction, creation, arrangement, linalg):
    globals().update(base.public(_room))
