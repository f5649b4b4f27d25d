"""Policies of number types: what layers compute in and what they store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .core import serialize as _serialization
from .core.dtypes import DTypePolicy as DTypePolicy
from .core.dtypes import DTypePolicyMap as DTypePolicyMap
from .core.dtypes import Int4DTypePolicy as Int4DTypePolicy
from .core.dtypes import QuantizedDTypePolicy as QuantizedDTypePolicy
from .core.dtypes import QuantizedFloat8DTypePolicy as QuantizedFloat8DTypePolicy
from .core.dtypes import get as get
from .core.dtypes import serialize as serialize

FloatDTypePolicy = DTypePolicy

__all__ = [
    "DTypePolicy", "DTypePolicyMap", "FloatDTypePolicy", "Int4DTypePolicy", "QuantizedDTypePolicy",
    "QuantizedFloat8DTypePolicy", "deserialize", "get", "serialize",
]  # fmt: skip


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> DTypePolicy:
    """The policy that a config describes. Raises TypeError for an unknown class."""
    return _serialization.deserialize(config, custom_objects, ("keras.dtype_policies",))
