"""The numerical check: a model and a module on the same random input."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ..core import dtypes
from ..core.errors import named
from ..core.graph import Graph
from ..core.scope import in_mode
from ..layers import Embedding
from ..models.functional import first_reader

_UNKNOWN = {0: 3, 1: 12}  # sizes that are open: of the batch, of time; pictures are larger


def random_inputs(model: Any, graph: Graph) -> list[Tensor]:
    """One batch for the inputs of a model: normal numbers, integers that its embeddings know."""
    counts = (
        getattr(each, word, None) for each in model.modules() for word in ("input_dim", "num_tokens", "num_classes")
    )
    sizes = [count for count in counts if isinstance(count, int)]
    most = min([*sizes, 100]) if sizes else 2  # of what no layer counts, code may ask for classes
    generator = torch.Generator().manual_seed(0)
    device = next((weight.device for weight in model.parameters()), torch.device("cpu"))
    found = []
    for symbol in graph.inputs:
        rank, dtype = len(symbol.shape), symbol.torch_dtype
        if dtype == dtypes.TEXT:
            raise ValueError(f"to_torch: {named(model)} takes texts, and torch has no tensors of these.")
        shape = [
            (_UNKNOWN.get(axis, 64) if axis == 0 or rank < 4 else 64) if size is None else size
            for axis, size in enumerate(symbol.shape)
        ]
        if dtype.is_floating_point and not isinstance(first_reader(graph, symbol), Embedding):
            made = torch.randn(shape, generator=generator).to(dtype)
        elif dtype is torch.bool:
            made = torch.rand(shape, generator=generator) < 0.7
            made[..., :1], made[..., -1:] = False, True  # as a mask in either sense: not all of a sample
        else:
            made = torch.randint(0, most, shape, generator=generator).to(dtype)
        found.append(made.to(device))
    return found


def largest_difference(first: Any, second: Any) -> tuple[float, float]:
    """Between the outputs of two models, and the largest of the values."""
    pairs = [*zip(pytree.tree_leaves(first), pytree.tree_leaves(second), strict=True)]
    apart = max(float((a.double() - b.double()).abs().max()) if a.numel() else 0.0 for a, b in pairs)
    return apart, max(float(a.double().abs().max()) if a.numel() else 0.0 for a, _ in pairs)


@contextlib.contextmanager
def evaluating(module: nn.Module, training: Any = False) -> Iterator[None]:
    """Inside, a module infers, without gradients."""
    with in_mode(module.modules(), training), torch.no_grad():
        yield


def report(what: str, model: Any, expected: Any, found: Any, tolerance: float) -> None:
    """Print how far results are apart. Raises ValueError where that is above the tolerance, or what half types hold."""
    apart, largest = largest_difference(expected, found)
    halves = [each.dtype for each in pytree.tree_leaves(expected) if each.is_floating_point() and each.itemsize == 2]
    tolerance = max([tolerance, *(8 * torch.finfo(kind).eps for kind in halves)])
    count = sum(weight.numel() for weight in model.parameters())
    if not apart <= tolerance * max(largest, 1.0):
        raise ValueError(
            f"{what}: on random input the results for {named(model)} differ by {apart:.2g}, of values up to "
            f"{largest:.2g}; allowed is {tolerance:g} times that. This is a fault of the conversion unless the model "
            "amplifies rounding: pass verify=False or a larger tolerance to go on."
        )
    print(f"{what}: {named(model)}, {count:,} weights; largest difference {apart:.1e} of values up to {largest:.2g}")
