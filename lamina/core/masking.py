"""Masks travel beside tensors: a bool tensor (batch, time), False where a step is padding.

In a model's plan a mask is an ordinary value; only between layers that a user calls by hand does it ride on the tensor.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils import _pytree as pytree

from .errors import named, show_shape


def misfit(layer: Any, mask: Any, expected: Any) -> ValueError:
    """What is said of a mask that has not the sizes of its input."""
    axes = ", (batch, time) as in its input" if len(expected) == 2 else ""
    return ValueError(
        f"{named(layer)}: The `mask` passed to the `{type(layer).__name__}` layer has a shape of "
        f"{show_shape(mask.shape)}; it must have shape {show_shape(expected)}{axes}."
    )


def get_mask(x: Any) -> Any:
    return getattr(x, "_keras_mask", None)


def set_mask(x: Any, mask: Any) -> None:
    """Let `mask` ride on `x`, which must be a tensor of the caller's own (a layer's output)."""
    if mask is not None:
        x._keras_mask = mask


def masks_of(structure: Any) -> Any:
    """The masks riding on a tensor or a structure of tensors; None where there is none at all."""
    if not isinstance(structure, (list, tuple, dict)):
        return get_mask(structure)
    leaves, spec = pytree.tree_flatten(structure)
    masks = [get_mask(leaf) for leaf in leaves]
    return None if all(mask is None for mask in masks) else pytree.tree_unflatten(masks, spec)


def set_masks(outputs: Any, masks: Any) -> None:
    if masks is None:
        return
    if isinstance(outputs, Tensor):
        set_mask(outputs, masks)
        return
    leaves = pytree.tree_leaves(outputs)
    given = masks if isinstance(masks, (list, tuple)) else [masks] if len(leaves) == 1 else pytree.tree_leaves(masks)
    for leaf, mask in zip(leaves, given, strict=False):
        set_mask(leaf, mask)
