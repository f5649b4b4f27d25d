"""Products of two tensors sample by sample, and integers found in a table, against plain NumPy and a dictionary."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import lamina
from lamina.kernels.table import Table


@pytest.mark.parametrize(("a", "b", "axes"), [
    ((2, 3), (2, 3), (1, 1)), ((2, 3, 4), (2, 4), (2, 1)), ((2, 4), (2, 3, 4), (1, 2)), ((2, 3, 4), (2, 4, 5), (2, 1)),
    ((2, 3, 4), (2, 5, 3), (1, 2)), ((2, 3, 4, 5), (2, 6, 4), (2, 2)), ((2, 0, 4), (2, 4, 5), (2, 1)),
])  # fmt: skip
@pytest.mark.parametrize("normalize", [False, True])
def test_products_sample_by_sample(a: tuple, b: tuple, axes: tuple, normalize: bool) -> None:
    chance = np.random.default_rng(0)
    left, right = chance.standard_normal(a), chance.standard_normal(b)
    left[0] *= 1e-9  # shorter than what a length is divided by at least
    layer = lamina.layers.Dot(axes=axes, normalize=normalize, dtype="float64")
    found = layer([torch.from_numpy(left), torch.from_numpy(right)])
    if normalize:
        left, right = (
            part / np.maximum(np.sqrt((part**2).sum(axis, keepdims=True)), 1e-6)
            for part, axis in ((left, axes[0]), (right, axes[1]))
        )
    expected = np.stack([np.tensordot(x, y, (axes[0] - 1, axes[1] - 1)) for x, y in zip(left, right, strict=True)])
    np.testing.assert_allclose(found, expected if expected.ndim > 1 else expected[:, None], rtol=1e-12, atol=0)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 100, 3000])
def test_a_table_finds_integers(count: int) -> None:
    chance = np.random.default_rng(count)
    large = chance.integers(-(1 << 63), (1 << 63) - 1, count // 2)
    keys = np.unique(np.concatenate([chance.permutation(count)[: count - count // 2], large]))
    chance.shuffle(keys)
    places = {int(key): place for place, key in enumerate(keys)}
    asked = np.concatenate([keys, keys[::-1], np.arange(-50, 4000), [0, -1, (1 << 63) - 1, -(1 << 63)]])
    found = Table(torch.from_numpy(keys)).find(torch.from_numpy(asked))
    assert found.tolist() == [places.get(int(key), -1) for key in asked]
    assert Table(torch.from_numpy(keys)).find(torch.zeros(0, dtype=torch.int64)).tolist() == []
