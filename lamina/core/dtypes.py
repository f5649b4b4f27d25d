"""Number types: names to torch types, and policies of compute and storage type."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import numpy as np
import torch

from . import config
from .errors import short

_WORDS = "uint8 uint16 uint32 uint64 int8 int16 int32 int64 bool complex64 complex128"
FLOATS: dict[str, torch.dtype] = {name: getattr(torch, name) for name in "float16 bfloat16 float32 float64".split()}
TYPES: dict[str, torch.dtype] = FLOATS | {name: getattr(torch, name) for name in _WORDS.split()}
_NAMES = {value: name for name, value in TYPES.items()}
_ALIASES = {"half": "float16", "float": "float32", "double": "float64", "int": "int64", "long": "int64"}
_UNSIGNED = frozenset({torch.uint16, torch.uint32, torch.uint64})  # torch itself combines them with nothing
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


_WIDER = {torch.uint16: torch.int32, torch.uint32: torch.int64}  # torch can hardly compute with these


def held_dtype(dtype: Any) -> torch.dtype:
    """The type of tensors that are asked for: a wider one in place of uint16 and uint32, as in Keras on torch."""
    asked = torch_dtype(dtype)
    return _WIDER.get(asked, asked)


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


def result_type(*dtypes: Any) -> str:
    """The number type that values of these types have together: `floatx()` without any.

    Python's `int` and `float` take the others' size where these can hold their kind.
    """
    plain = [dtype for dtype in dtypes if dtype in (int, float)]
    found = [torch_dtype(config.floatx() if dtype is None else dtype) for dtype in dtypes if dtype not in (int, float)]
    if float in plain and not any(type_.is_floating_point or type_.is_complex for type_ in found):
        found.append(torch_dtype(config.floatx()))
    if int in plain and all(type_ is torch.bool for type_ in found):
        found.append(torch.int32)
    return dtype_name(functools.reduce(_together, found)) if found else config.floatx()


def _together(one: torch.dtype, other: torch.dtype) -> torch.dtype:
    wide = [dtype in _UNSIGNED for dtype in (one, other)]
    if not any(wide):
        return torch.promote_types(one, other)
    for dtype in (one, other):
        if dtype.is_floating_point or dtype.is_complex:
            return dtype
    name = np.promote_types(dtype_name(one), dtype_name(other)).name
    return torch_dtype(config.floatx() if name == "float64" else name)


class DTypePolicy:
    """Which type a layer computes in and which it stores: "float32", "bfloat16", "mixed_float16", ...

    A mixed policy stores float32 and computes in the named type.
    """

    _home = "keras"
    name: Any
    compute: Any
    variable: Any
    quantization_mode: Any = None  # "int8", "int4" or "float8" of a quantized layer

    def __init__(self, name: str | None = None):
        name = dtype_policy().name if name is None else name
        if not isinstance(name, str):
            name = dtype_name(name)
        mixed = name.startswith("mixed_")
        compute = name.removeprefix("mixed_")
        if compute not in (FLOATS if mixed else TYPES):
            known = ", ".join([*FLOATS, "mixed_float16", "mixed_bfloat16"])
            raise ValueError(f"Cannot convert {short(name)} to a dtype policy; expected one of {known}.")
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

    def of(self, dtype: torch.dtype) -> DTypePolicy:
        """The same of layers whose weights are of another type now."""
        return DTypePolicy(dtype_name(dtype))

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.get_config() == self.get_config()

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f'<{type(self).__name__} "{self.name}">'


class QuantizedDTypePolicy(DTypePolicy):
    """The policy of a layer with quantized weights. `mode`: "int8", "int4" or "float8"; `source_name`: its policy else.

    Raises ValueError for another mode.
    """

    _home = "keras.dtype_policies"
    _form = r"(int8|int4|float8)"
    _expected = "'int8', 'int4' or 'float8'"

    def __init__(self, mode: str, source_name: str | None = None):
        form = re.fullmatch(self._form, mode) if isinstance(mode, str) else None
        if form is None:
            name = type(self).__name__
            raise ValueError(f"{name}: `mode` must be {self._expected}; got {mode!r}. Other modes are not available.")
        super().__init__(source_name)
        if mode == "int8" and self.compute is torch.float16:
            raise ValueError(f"{type(self).__name__}: int8 needs another type than float16 beside it; use bfloat16.")
        self.mode, self.source_name, self.quantization_mode = mode, self.name, form[1]
        self.name = f"{mode}_from_{self.source_name}"

    def get_config(self) -> dict[str, Any]:
        return {"mode": self.mode, "source_name": self.source_name}

    def of(self, dtype: torch.dtype) -> DTypePolicy:
        return type(self)(**{**self.get_config(), "source_name": dtype_name(dtype)})


class Int4DTypePolicy(QuantizedDTypePolicy):
    """The policy of a layer whose weights have four bits. `mode`: "int4/128" for scales of 128 values each, "int4/-1"
    for those of a whole channel."""

    _form = r"(int4)/(-1|[1-9]\d*)"
    _expected = "'int4/-1' or, with the size of blocks, such as 'int4/128'"

    @property
    def block_size(self) -> int:
        return int(self.mode.partition("/")[2])


class QuantizedFloat8DTypePolicy(QuantizedDTypePolicy):
    """The policy of a layer that rounds to floats of 8 bits. `amax_history_length`: of how many steps their largest
    values are kept for the scales."""

    _form, _expected = r"(float8)", "'float8'"

    def __init__(self, mode: str, source_name: str | None = None, amax_history_length: int = 1024):
        super().__init__(mode, source_name)
        if isinstance(amax_history_length, bool) or not isinstance(amax_history_length, int) or amax_history_length < 1:
            name = type(self).__name__
            raise TypeError(f"{name}: `amax_history_length` must be a positive integer; got {amax_history_length!r}.")
        self.amax_history_length = amax_history_length

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "amax_history_length": self.amax_history_length}


_QUANTIZED = {cls.__name__: cls for cls in (QuantizedDTypePolicy, Int4DTypePolicy, QuantizedFloat8DTypePolicy)}


class ByPath(MutableMapping[str, Any]):
    """Values by path: a key is a path, or a regular expression that matches a whole path."""

    def __init__(self) -> None:
        self._held: dict[str, Any] = {}

    def _found(self, path: str) -> Any:
        """The value for a path; None where no key fits. Raises ValueError where several do."""
        fitting = [path] if path in self._held else [key for key in self._held if re.fullmatch(key, path)]
        if len(fitting) > 1:
            raise ValueError(
                f"{type(self).__name__}: {path!r} matches multiple keys, {fitting}; let one of them match it."
            )
        return self._held[fitting[0]] if fitting else None

    def _put(self, key: str, value: Any) -> None:
        """Raises ValueError for a key that is no text, or there already."""
        if not isinstance(key, str):
            raise ValueError(f"{type(self).__name__}: keys must be texts; got {key!r}.")
        if key in self._held:
            raise ValueError(
                f"{type(self).__name__}: {key!r} already exists with {self._held[key]!r}; delete it first."
            )
        self._held[key] = value

    def __delitem__(self, key: str) -> None:
        del self._held[key]

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)


class DTypePolicyMap(DTypePolicy, ByPath):
    """Policies by path, such as "encoder/dense": a layer takes that of its path, else `default_policy`.

    A key is a path, or a regular expression that matches a whole path. Raises ValueError for a path that several
    match, for a key that is there already, and for what is no policy.
    """

    _home = "keras.dtype_policies"

    def __init__(self, default_policy: Any = None, policy_map: Mapping[str, Any] | None = None):
        if policy_map is not None and not isinstance(policy_map, Mapping):
            raise TypeError(f"DTypePolicyMap: `policy_map` must be a dictionary; got {policy_map!r}.")
        self._default = None if default_policy is None else get(default_policy)
        ByPath.__init__(self)
        self.update(policy_map or {})

    @property
    def default_policy(self) -> DTypePolicy:
        return self._default or dtype_policy()

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"map_{self.default_policy.name}"

    @property
    def compute(self) -> torch.dtype:  # type: ignore[override]
        return self.default_policy.compute

    @property
    def variable(self) -> torch.dtype:  # type: ignore[override]
        return self.default_policy.variable

    def __getitem__(self, key: str) -> DTypePolicy:
        return self._found(key) or self.default_policy

    def __setitem__(self, key: str, policy: Any) -> None:
        self._put(key, get(policy))

    def __contains__(self, key: object) -> bool:
        return key in self._held

    def get_config(self) -> dict[str, Any]:
        policies = {key: serialize(policy) for key, policy in self._held.items()}
        return {"default_policy": self._default and self._default.name, "policy_map": policies}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DTypePolicyMap:
        """Raises ValueError for expressions that may take long: a file's hold names and a few ".*"."""
        policies = config.get("policy_map") or {}
        for key in policies if isinstance(policies, Mapping) else ():
            if not re.fullmatch(r"([\w/ -]|\.\*)*", str(key)) or key.count("*") > 3:
                raise ValueError(f"DTypePolicyMap: a config's keys hold names and up to three '.*'; got {key!r}.")
        return cls(config.get("default_policy"), policies)

    def __repr__(self) -> str:
        shown = {key: policy.name for key, policy in self._held.items()}
        return f"<DTypePolicyMap default={self.default_policy.name}, {shown}>"


def serialize(dtype_policy: DTypePolicy) -> dict[str, Any]:
    """The policy as plain data, as configs of layers hold it."""
    home, name = dtype_policy._home, type(dtype_policy).__name__
    return {"module": home, "class_name": name, "config": dtype_policy.get_config(), "registered_name": None}


_global_policy: DTypePolicy | None = None


def dtype_policy() -> DTypePolicy:
    """The policy of layers that are given none."""
    return _global_policy or DTypePolicy(config.floatx())


def set_dtype_policy(policy: Any) -> None:
    """Set the policy of layers made from now on that are given none. Raises ValueError for what is no policy."""
    global _global_policy
    if policy is None:
        raise ValueError("set_dtype_policy: expected a policy or its name, such as 'mixed_bfloat16'; got None.")
    _global_policy = get(policy)


def _quantized(name: str) -> DTypePolicy:
    """The policy of a name such as "int4/128_from_float32"."""
    mode, _, source = name.partition("_from_")
    kinds = {"int4/": Int4DTypePolicy, "float8": QuantizedFloat8DTypePolicy}
    return next((kind for start, kind in kinds.items() if mode.startswith(start)), QuantizedDTypePolicy)(mode, source)


def get(identifier: Any) -> DTypePolicy:
    """A policy from a name, a type, a config or a policy; None is the global one."""
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        inner = identifier.get("config", identifier)
        if identifier.get("class_name") == "DTypePolicyMap" and isinstance(inner, dict):
            return DTypePolicyMap.from_config(inner)
        if isinstance(inner, dict) and "mode" in inner:
            return _QUANTIZED.get(identifier.get("class_name", ""), QuantizedDTypePolicy).from_config(inner)
        if not isinstance(inner, dict) or "name" not in inner:
            raise ValueError("The config of a dtype policy must be a dictionary with its `name`.")
        return DTypePolicy(inner["name"])
    quantized = isinstance(identifier, str) and "_from_" in identifier
    return _quantized(identifier) if quantized else DTypePolicy(identifier)


def kind(dtype: Any) -> str:
    """What a type of torch's or NumPy's holds, in words: values of one kind never turn into another's silently."""
    if isinstance(dtype, torch.dtype):
        letter = "c" if dtype.is_complex else "f" if dtype.is_floating_point else "b" if dtype is torch.bool else "i"
    else:
        letter = dtype.kind
    return {"c": "complex numbers", "f": "floating-point numbers", "b": "truth values", "O": "texts"}.get(
        letter, "integers"
    )
