"""Attention: means of values, weighted by how well queries and keys agree."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
    rate: float = 0.0,
    flash: bool = False,
) -> Tensor:
    """softmax(scale * query key^T + bias) value in one kernel: (..., heads, targets, size).

    query (..., heads, targets, n), key (..., heads or a divisor of them, sources, n), value likewise (..., sources,
    size); `bias` broadcasts to (..., heads, targets, sources). `causal` and a bias exclude each other. `scale` defaults
    to n**-0.5; `rate` is that of a dropout of the weights. `flash` accepts no other kernel than that.
    """
    batch = query.shape[:-3]
    if len(batch) != 1:  # torch's fast kernels know one batch axis
        query, key, value = query.flatten(0, -4), key.flatten(0, -4), value.flatten(0, -4)
        bias = None if bias is None else bias.expand(*batch, *bias.shape[-3:]).flatten(0, -4)
    options = {"attn_mask": bias, "dropout_p": rate, "is_causal": causal, "scale": scale}
    options["enable_gqa"] = query.shape[1] != key.shape[1]
    if flash:
        from torch.nn.attention import SDPBackend, sdpa_kernel

        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            result = functional.scaled_dot_product_attention(query, key, value, **options)
    else:
        result = functional.scaled_dot_product_attention(query, key, value, **options)
    return result if len(batch) == 1 else result.unflatten(0, batch)


def scores(query: Tensor, key: Tensor, scale: float | None = None) -> Tensor:
    """scale * query key^T, (..., heads, targets, sources), of a query and a key as `attend` takes them."""
    if query.ndim > 3 and query.shape[-3] != key.shape[-3]:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
    return (query * (query.shape[-1] ** -0.5 if scale is None else scale)) @ key.mT


def combine(weights: Tensor, value: Tensor) -> Tensor:
    """The means of values for given weights, (..., heads, targets, sources)."""
    if weights.ndim > 3 and weights.shape[-3] != value.shape[-3]:
        value = value.repeat_interleave(weights.shape[-3] // value.shape[-3], -3)
    return weights @ value


def masked(query: Tensor, mask: Tensor | None, bias: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
    """The query and bias with which `attend` heeds a mask, true where there is attention. A target that may attend to
    nothing attends to all alike.

    The backward pass of torch's kernels is wrong where a bias is very low for all sources of a target: it makes the
    weights anew, and each becomes 1. A query of zeros without a bias has the same meaning.
    """
    if mask is None:
        return query, bias
    idle = ~mask.any(-1, keepdim=True)
    bias = query.new_zeros(()) if bias is None else bias.masked_fill(idle, 0)
    return query.masked_fill(idle, 0), torch.where(mask | idle, bias, _low(query.dtype))


def shares(scores: Tensor, mask: Tensor | None) -> Tensor:
    """The weights (..., heads, targets, sources) of scores: softmax over what the mask allows. A target that may attend
    to nothing attends to all alike."""
    return torch.softmax(scores if mask is None else scores.masked_fill(~mask, _low(scores.dtype)), -1)


def _low(dtype: torch.dtype) -> float:
    """A score that gives no weight, and no NaN where others are added to it."""
    return torch.finfo(dtype).min * 0.7


def earlier(targets: int, sources: int, device: torch.device) -> Tensor:
    """The mask (targets, sources) of what is not later than the target."""
    return torch.ones(targets, sources, dtype=torch.bool, device=device).tril()


def nearby(targets: int, sources: int, distance: int, device: torch.device) -> Tensor:
    """The mask (targets, sources) of what is less than `distance` steps away."""
    return torch.ones(targets, sources, dtype=torch.bool, device=device).triu(1 - distance).tril(distance - 1)
