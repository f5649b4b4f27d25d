"""YAML as plain data: nothing that a text names is ever made, whatever its tags say."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

import numpy as np

from . import safe

FREE_PARTS = 20_000  # values in any text, and in longer ones one to so many bytes as in JSON
MAX_NUMBER = 1_000  # characters
_PLAIN = ("str", "unicode", "int", "long", "float", "bool", "none", "list", "dict")  # types that Python's tags name


@functools.cache
def library(what: str) -> Any:
    """PyYAML. Raises ModuleNotFoundError where it is missing."""
    try:
        import yaml
    except ModuleNotFoundError:
        raise ModuleNotFoundError(f"{what} needs PyYAML: pip install lamina[yaml]. JSON needs nothing.") from None
    return yaml


@functools.cache
def _loader() -> Any:
    yaml = library("model_from_yaml")

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        """Reads as well the tuples and texts that Keras 1 and 2 wrote in Python's tags."""

    Loader.add_constructor("tag:yaml.org,2002:python/tuple", lambda own, node: own.construct_sequence(node, True))
    for name in _PLAIN:
        kind = {"unicode": "str", "long": "int", "none": "null", "list": "seq", "dict": "map"}.get(name, name)
        make = yaml.SafeLoader.yaml_constructors[f"tag:yaml.org,2002:{kind}"]
        Loader.add_constructor(f"tag:yaml.org,2002:python/{name}", make)
    Loader.add_constructor(f"{_APPLIED}numpy.dtype", _number_type)
    for module in ("numpy.core", "numpy._core"):
        Loader.add_constructor(f"{_APPLIED}{module}.multiarray.scalar", _number)
    return Loader


_APPLIED = "tag:yaml.org,2002:python/object/apply:"


def _number_type(loader: Any, node: Any) -> str:
    """How one of NumPy's types is written, such as "<i8"."""
    told = loader.construct_mapping(node, True)
    code, order = str(told["args"][0]), str(told["state"][1])
    if not re.fullmatch(r"[biuf][1248]", code) or order not in ("<", ">", "|", "="):
        raise ValueError(f"{code!r} is no type of a number")
    return order + code


def _number(loader: Any, node: Any) -> Any:
    """One of NumPy's numbers, which stands there as its type and its bytes."""
    code, data = loader.construct_sequence(node, True)
    (value,) = np.frombuffer(data, code).tolist()
    return value


def read(text: str) -> Any:
    """What a YAML text says. Raises ValueError for what is none, names objects, or means far more than it writes."""
    yaml = library("model_from_yaml")
    limit = FREE_PARTS + len(text) // safe.BYTES_OF_PART
    if sum(map(text.count, ",[{\n")) > limit:
        raise ValueError(f"model_from_yaml: the text names more than {limit} values, too many for its length.")
    loader = _loader()(text)
    try:
        node = loader.get_single_node()
        if node is None:
            raise ValueError("it is empty")
        _check(node, yaml, limit)
        return json.loads(json.dumps(loader.construct_document(node), default=str))
    except RecursionError:
        raise ValueError("model_from_yaml: the text is nested too deeply.") from None
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise ValueError(f"model_from_yaml: this is no YAML of a model: {safe.reason(error)}") from error
    finally:
        loader.dispose()


def _check(root: Any, yaml: Any, limit: int) -> None:
    """Raises ValueError where references make a circle, or of little text more than `limit` values."""
    sizes: dict[int, int | None] = {}  # of what has been looked at; None while it is

    def size(node: Any) -> int:
        key = id(node)
        if key in sizes:
            known = sizes[key]
            if known is None:
                raise ValueError("it contains itself")
            return known
        sizes[key] = None
        inner: list[Any] = []
        if isinstance(node, yaml.MappingNode):
            if any(name.tag == "tag:yaml.org,2002:merge" for name, _ in node.value):
                raise ValueError("merge keys are not read")
            inner = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            inner = node.value
        elif len(node.value) > MAX_NUMBER and node.tag.endswith(("int", "long", "float")):
            raise ValueError(f"a number of {len(node.value)} characters")  # quadratic work where it is to base 60
        sizes[key] = found = 1 + sum(map(size, inner))
        if found > limit:
            raise ValueError(f"its references mean more than {limit} values")
        return found

    size(root)
