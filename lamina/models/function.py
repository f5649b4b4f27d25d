"""The calls between some symbolic tensors as one function."""

from __future__ import annotations

from .functional import Functional


class Function(Functional):
    """What leads from `inputs` to `outputs`, symbolic tensors in structures of any kind, as a function of tensors.

    Raises ValueError where an output does not depend on the inputs alone.
    """
