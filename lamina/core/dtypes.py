"""Number types: names to torch types, and policies of compute and storage type."""

from __future__ import annotations

from typing import Any

import torch

from . import config

FLOATS = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float64": torch.float64,
}
TYPES = {
    **FLOATS,
    "uint8": torch.uint8,
    "uint16": torch.uint16,
    "uint32": torch.uint32,
    "uint64": torch.uint64,
    "int8": torch.int8,
    "int16": torch.int16,
    "int32": torch.int32,
    "int64": torch.int64,
    "bool": torch.bool,
    "complex64": torch.complex64,
    "complex128": torch.complex128,
}
_NAMES = {value: name for name, value in TYPES.items()}
_ALIASES = {"half": "float16", "float": "float32", "double": "float64", "int": "int64", "long": "int64"}
_FLOAT_SET = frozenset(FLOATS.values())
_UNTOUCHED = frozenset(TYPES.values()) - _FLOAT_SET


def torch_dtype(dtype: Any) -> torch.dtype:
    """The torch type of a name, NumPy type or torch type. Raises ValueError for anything else."""
    if isinstance(dtype, torch.dtype):
        return dtype
    name = dtype if isinstance(dtype, str) else getattr(dtype, "name", None) or getattr(dtype, "__name__", None)
    name = _ALIASES.get(name, name).removeprefix("torch.") if isinstance(name, str) else name
    if name not in TYPES:
        raise ValueError(f"Unknown dtype {dtype!r}; expected one of {', '.join(TYPES)}.")
    return TYPES[name]


def dtype_name(dtype: Any) -> str:
    return _NAMES[torch_dtype(dtype)]


TEXT: Any = "string"  # in place of a torch type: texts, of which there are no tensors


def data_dtype(dtype: Any) -> Any:
    """The type of data: a torch type, or TEXT."""
    return TEXT if isinstance(dtype, str) and dtype == TEXT else torch_dtype(dtype)


def data_name(dtype: Any) -> str:
    return TEXT if isinstance(dtype, str) and dtype == TEXT else dtype_name(dtype)


def is_float(dtype: torch.dtype) -> bool:
    return dtype in _FLOAT_SET


def passing(compute: torch.dtype | None) -> frozenset[torch.dtype]:
    """The types a layer takes as they are: every integer type, and its own float type (None: every float type)."""
    return _UNTOUCHED | (_FLOAT_SET if compute is None else {compute})


class DTypePolicy:
    """Which type a layer computes in and which it stores: "float32", "bfloat16", "mixed_float16", ...

    A mixed policy stores float32 and computes in the named type.
    """

    def __init__(self, name: str | None = None):
        name = config.floatx() if name is None else name
        if not isinstance(name, str):
            name = dtype_name(name)
        mixed = name.startswith("mixed_")
        compute = name.removeprefix("mixed_")
        if compute not in (FLOATS if mixed else TYPES):
            known = ", ".join([*FLOATS, "mixed_float16", "mixed_bfloat16"])
            raise ValueError(f"Unknown dtype policy {name!r}; expected one of {known}.")
        self.name = name
        self.compute = TYPES[compute]
        self.variable = torch.float32 if mixed else self.compute

    @property
    def compute_dtype(self) -> str:
        return _NAMES[self.compute]

    @property
    def variable_dtype(self) -> str:
        return _NAMES[self.variable]

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DTypePolicy:
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'


_global_policy: DTypePolicy | None = None


def dtype_policy() -> DTypePolicy:
    """The policy of layers that are given none."""
    return _global_policy or DTypePolicy()


def set_dtype_policy(policy: Any) -> None:
    """Set the policy of layers made from now on that are given none."""
    global _global_policy
    _global_policy = get(policy)


def get(identifier: Any) -> DTypePolicy:
    """A policy from a name, a type, a config or a policy; None is the global one."""
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        inner = identifier.get("config", identifier)
        name = inner.get("name") if isinstance(inner, dict) else None
        if not isinstance(name, str):
            raise ValueError("The config of a dtype policy must be a dictionary with its `name`.")
        return DTypePolicy(name)
    return DTypePolicy(identifier)


def kind(dtype: Any) -> str:
    """What a type of torch's or NumPy's holds, in words: values of one kind never turn into another's silently."""
    if isinstance(dtype, torch.dtype):
        letter = "c" if dtype.is_complex else "f" if dtype.is_floating_point else "b" if dtype is torch.bool else "i"
    else:
        letter = dtype.kind
    return {"c": "complex numbers", "f": "floating-point numbers", "b": "truth values"}.get(letter, "integers")
