"""Indices as one-hot, multi-hot and count vectors."""

from __future__ import annotations

import torch
from torch import Tensor


def encode(indices: Tensor, mode: str, depth: int, dtype: torch.dtype, weights: Tensor | None = None) -> Tensor:
    """`indices` as they are ("int"), each as a vector of `depth` values ("one_hot"; a last axis of size 1 gives way to
    it), or each sample as one vector that says which there are ("multi_hot") or how many ("count", by `weights`).

    A sample is the axis behind the batch, as in Keras 3; further axes stay in front of the vector. Negative indices
    count nowhere.
    """
    if mode == "int":
        return indices.to(dtype)
    if mode == "one_hot" and not (indices.ndim > 1 and indices.shape[-1] == 1):
        indices = indices.unsqueeze(-1)
    elif indices.ndim == 0:
        indices = indices.reshape(1)
    if mode != "one_hot" and indices.ndim > 2:
        weights = None if weights is None else weights.reshape(indices.shape).movedim(1, -1)
        indices = indices.movedim(1, -1)
    places = indices.long().clamp(min=-1) + 1  # the first column is dropped
    empty = torch.zeros((*indices.shape[:-1], depth + 1), dtype=dtype, device=indices.device)
    if mode == "count":
        ones = torch.ones_like(places, dtype=dtype) if weights is None else weights.reshape(places.shape).to(dtype)
        return empty.scatter_add(-1, places, ones)[..., 1:]
    return empty.scatter(-1, places, 1)[..., 1:]
