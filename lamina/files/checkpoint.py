"""Weights alone as safetensors, under the names of `state_dict`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from . import safe, safetensors, tree
from .keras3 import require_built


def save(model: Any, path: Path) -> None:
    """Write the weights as safetensors."""
    require_built(model, "save its weights")
    with safe.replacing(path) as fresh:
        safetensors.write(fresh, _tensors(model))


def load(model: Any, path: Path, skip_mismatch: bool = False) -> None:
    """Set the weights from a safetensors file. Raises ValueError, before any change, where names or shapes differ."""
    require_built(model, "load weights")
    with safe.reading(path):
        stored = safetensors.read(path)
        own = _tensors(model)
        problems = dict.fromkeys(stored.keys() - own.keys(), "stored, but not in the model")
        problems |= dict.fromkeys(own.keys() - stored.keys(), "not in the file")
        for name in own.keys() & stored.keys():
            problem = tree.misfit({name: own[name]}, {name: stored[name]})
            problems |= {name: problem} if problem else {}
        pairs = [(name, [own[name]], [stored[name]] if name in stored else []) for name in own]
        pairs += [(name, [], [stored[name]]) for name in stored if name not in own]
        safe.tell_misfits(sorted(f"{name}: {problem}" for name, problem in problems.items()), skip_mismatch, pairs)
        with torch.no_grad():
            for name in own.keys() - problems.keys():
                stored[name].into(own[name])


def _tensors(model: Any) -> dict[str, torch.Tensor]:
    """The weights by name, a shared one once."""
    found: dict[int, tuple[str, torch.Tensor]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        found.setdefault(id(tensor), (name, tensor))
    return dict(found.values())
