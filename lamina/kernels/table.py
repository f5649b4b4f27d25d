"""A hash table of integers, for searches of many at once."""

from __future__ import annotations

import torch
from torch import Tensor

_ODD = 0x9E3779B97F4A7C15 - (1 << 64)  # Fibonacci hashing (Knuth, 1973)


class Table:
    """Where each of some different integers stands among them. At most a quarter of the slots is taken; an integer
    whose slot is taken is in the next free one."""

    def __init__(self, keys: Tensor):
        self._bits = max(4 * len(keys), 2).bit_length()
        self._keys = torch.zeros(1 << self._bits, dtype=torch.int64)
        self._index = torch.full_like(self._keys, -1)
        index, slot = torch.arange(len(keys)), self._slot(keys)
        while len(index):
            free = self._index[slot] < 0
            self._index[slot[free]] = index[free]
            left = self._index[slot] != index
            index, slot = index[left], self._next(slot[left])
        taken = self._index >= 0
        self._keys[taken] = keys[self._index[taken]]

    def find(self, keys: Tensor) -> Tensor:
        """The places of integers (n,), -1 for those that are not there."""
        slot, found, left = self._slot(keys), torch.empty_like(keys), None
        while left is None or len(left):
            at, there = self._index.index_select(0, slot), self._keys.index_select(0, slot) == keys
            now = torch.where(there, at, -1)
            found = now if left is None else found.index_copy_(0, left, now)
            on = ((at >= 0) & ~there).nonzero()[:, 0]
            left = on if left is None else left[on]
            slot, keys = self._next(slot[on]), keys[on]
        return found

    def _slot(self, keys: Tensor) -> Tensor:
        return (keys * _ODD >> (64 - self._bits)).bitwise_and_((1 << self._bits) - 1)

    def _next(self, slot: Tensor) -> Tensor:
        return (slot + 1).bitwise_and_((1 << self._bits) - 1)
