"""Weights alone as safetensors, under the names of `state_dict`."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from ..core.errors import show_shape
from . import safe
from .keras3 import require_built
from .tree import other_kind


def save(model: Any, path: Path) -> None:
    """Write the weights as safetensors. Raises ImportError where that package is missing."""
    from safetensors.torch import save as packed

    require_built(model, "save its weights")
    with safe.replacing(path) as fresh:
        # Not by its `save_file`, which writes another file and moves it over the one that is held.
        fresh.write_bytes(
            packed({name: tensor.detach().cpu().contiguous() for name, tensor in _tensors(model).items()})
        )


def load(model: Any, path: Path, skip_mismatch: bool = False) -> None:
    """Set the weights from a safetensors file. Raises ValueError, before any change, where names or shapes differ."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    require_built(model, "load weights")
    try:
        stored = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: damaged, or no safetensors file: {error}") from error
    _check_names(path)
    own = _tensors(model)
    fits = {name for name, tensor in own.items() if name in stored and stored[name].shape == tensor.shape}
    problems = [f"{name}: stored, but not in the model" for name in stored.keys() - own.keys()]
    problems += [f"{name}: not in the file" for name in own.keys() - stored.keys()]
    problems += [
        f"{name}: expected shape {show_shape(tensor.shape)}; the file has {show_shape(stored[name].shape)}"
        for name, tensor in own.items()
        if name in stored and name not in fits
    ]
    kinds = {name: other_kind({name: own[name]}, {name: stored[name]}) for name in fits}
    problems += [f"{name}: {problem}" for name, problem in kinds.items() if problem]
    if problems:
        message = f"{path}: the weights do not fit the model. " + "; ".join(sorted(problems)[:5])
        if not skip_mismatch:
            raise ValueError(message)
        warnings.warn(f"{message}. These are left as they are.", UserWarning, stacklevel=3)
    with torch.no_grad():
        for name, tensor in own.items():
            if name in fits and not kinds[name]:
                tensor.copy_(stored[name])


def _check_names(path: Path) -> None:
    """Raises ValueError where a sound file has two tensors of one name, of which its readers would take either."""
    with path.open("rb") as file:
        header = file.read(int.from_bytes(file.read(8), "little"))
    names = json.loads(header, object_pairs_hook=lambda pairs: [name for name, _ in pairs])
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise ValueError(f"{path}: damaged: it has two entries of the name {doubled[0]!r}.")


def _tensors(model: Any) -> dict[str, torch.Tensor]:
    """The weights by name, a shared one once."""
    seen: set[int] = set()
    found = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            found[name] = tensor
    return found
