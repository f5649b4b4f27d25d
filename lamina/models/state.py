"""All that a model holds as a tree: dictionaries by the parts of the variables' paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.errors import named, quoted, short, show_shape
from ..core.placing import whole


def state_tree(model: Any, value_format: str) -> dict[str, Any]:
    """Copies of the values of all variables, as tensors or NumPy arrays."""
    if value_format not in ("backend_tensor", "numpy_array"):
        raise ValueError(
            f'get_state_tree: `value_format` must be "backend_tensor" or "numpy_array"; got {short(value_format)}.'
        )
    tree: dict[str, Any] = {}
    for kind, variables in _variables(model).items():
        tree[kind] = {}
        for path, variable in variables.items():
            *folders, name = path.split("/")
            place = tree[kind]
            for folder in folders:
                place = place.setdefault(folder, {})
            value = whole(variable).detach().clone()
            place[name] = value if value_format == "backend_tensor" else value.cpu().numpy()
    return tree


def set_state_tree(model: Any, tree: Mapping[str, Any]) -> None:
    """Assign the values in a tree, which may be a part of the whole, once all of them are found to fit."""
    known, found = _variables(model), []
    for kind, inner in tree.items():
        if kind not in known:
            raise ValueError(f"set_state_tree: a tree has {quoted(known)}; got {kind!r}.")
        for path, value in _leaves(inner):
            variable, array = known[kind].get(path), torch.as_tensor(value)
            if variable is None:
                raise ValueError(f"set_state_tree: {named(model)} has no {path!r} among its {kind}.")
            if variable.shape != array.shape:
                expected, got = show_shape(variable.shape), show_shape(array.shape)
                raise ValueError(f"set_state_tree: {path!r} has shape {expected}; got values of shape {got}.")
            found.append((variable, array))
    with torch.no_grad():
        for variable, array in found:
            variable.assign(array)


def _variables(model: Any) -> dict[str, dict[str, Tensor]]:
    """By kind and path. Raises ValueError for a path that is found twice."""
    optimizer = getattr(model, "optimizer", None)
    kinds = {
        "trainable_variables": model.trainable_variables,
        "non_trainable_variables": model.non_trainable_variables,
        "optimizer_variables": [] if optimizer is None else optimizer.variables,
        "metrics_variables": model.metrics_variables,
    }
    by_path: dict[str, dict[str, Tensor]] = {}
    for kind, variables in kinds.items():
        by_path[kind] = {}
        for variable in variables:
            if by_path[kind].setdefault(variable.path, variable) is not variable:
                raise ValueError(
                    f"{named(model)}: the following variable path is found twice in the model: {variable.path!r}. "
                    "Give its layers names of their own."
                )
    return by_path


def _leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(tree, Mapping):
        if not isinstance(tree, (Tensor, np.ndarray, np.generic, int, float, list)):
            raise ValueError(f"set_state_tree: expected arrays in dictionaries; got {short(tree)} at {path!r}.")
        yield path, tree
        return
    for name, inner in tree.items():
        yield from _leaves(inner, f"{path}/{name}" if path else name)
