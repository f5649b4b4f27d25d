"""The file of `BackupAndRestore`: `.weights.h5` as Keras writes it, and in a group of its own the state of the run.

It is one file, so that no moment is between the one and the other.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..core.errors import short
from . import keras3, safe, tree

GROUP, TEXT = "run", "state"


def save(model: Any, path: Path, state: Any) -> None:
    """Write weights, optimizers and the state. Raises TypeError for a state that is not plain data and arrays."""
    arrays: list[Any] = []
    text = json.dumps(_written(state, arrays)).encode()
    keras3.require_built(model, "back it up")
    with safe.replacing_hdf5(path) as file:
        tree.write(model, file)
        group = file.create_group(GROUP)
        group.create_dataset(TEXT, data=np.frombuffer(text, np.uint8))
        for index, value in enumerate(arrays):
            tree.put(group, str(index), value)


def load_weights(model: Any, path: Path) -> None:
    """Set weights and the state of optimizers, of those that have one yet, whichever generation the model is of."""
    keras3.build_optimizer(model)
    skip = {id(item) for _, item in tree.saveables(model) if not getattr(item, "built", True)}
    with keras3.stored_weights(path) as held:
        tree.load(tree.read(model, held, skip), path)


def read(path: Path) -> Any:
    """The state of the run, its arrays as NumPy's; None where there is none, as in a file of Keras."""
    with keras3.stored_weights(path) as held:
        (file,) = held.files
        if GROUP not in file:
            return None
        group = safe.subgroup(file, GROUP)
        arrays = {name: safe.array(group, name) for name in group}
        safe.check_total(arrays.values(), file)
        text = arrays[TEXT].read().tobytes().decode()
        return _read(safe.parse_json(text, file.id.get_filesize(), "the state of its run"), arrays)


def _written(value: Any, arrays: list[Any]) -> Any:
    """Plain data for JSON; arrays are put aside."""
    if isinstance(value, (torch.Tensor, np.ndarray)):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"items": {key: _written(item, arrays) for key, item in value.items()}}
    if isinstance(value, (list, tuple)):
        return [_written(item, arrays) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(
        "A backup keeps numbers, texts, arrays, and lists and dictionaries of them; `state_dict` of a callback or of "
        f"the data gave {short(value)}."
    )


def _read(value: Any, arrays: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_read(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if "items" in value:
        return {key: _read(item, arrays) for key, item in value["items"].items()}
    return arrays[str(value["array"])].read()
