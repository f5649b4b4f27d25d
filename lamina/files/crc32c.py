"""CRC-32C (Castagnoli), by arrays: the checksum of TensorFlow's files, of which Python has no fast one."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

_POLYNOMIAL = 0x82F63B78  # bits reversed
_MOST_LANES = 1 << 14


def crc32c(data: Any, before: int = 0) -> int:
    """The checksum of anything that gives its bytes, or of that behind what has the checksum `before`.

    A message is a polynomial over two elements, its words of 32 bits the coefficients. Words that lie `lanes` apart are
    summed at once, each sum times x**(32 * lanes) and the next word; then the lanes are folded in halves.
    """
    view = memoryview(data).cast("B")
    lanes = _MOST_LANES
    while lanes > 1 and lanes * 64 > len(view):
        lanes //= 2
    row = 4 * lanes
    start = (len(view) - 1) % row + 1 if len(view) else 0  # the first row may be short: zeros before count for nothing
    first = np.zeros(2 * row, np.uint8)
    first[2 * row - start :] = np.frombuffer(view[:start], np.uint8)
    first[2 * row - start - 4 : 2 * row - start] = _word(before)
    rows = first.view("<u4").reshape(2, lanes)
    total = _times(rows[0], lanes) ^ rows[1]
    for words in np.frombuffer(view[start:], "<u4").reshape(-1, lanes):
        total = _times(total, lanes) ^ words
    while lanes > 1:
        lanes //= 2
        total = _times(total[:lanes], lanes) ^ total[lanes:]
    return int(_times(total, 1)[0]) ^ 0xFFFFFFFF


def _times(words: np.ndarray, power: int) -> np.ndarray:
    """Words times x**(32 * power), modulo the polynomial."""
    low, high = _tables(power)
    return low[words & 0xFFFF] ^ high[words >> 16]


@functools.cache
def _tables(power: int) -> tuple[np.ndarray, np.ndarray]:
    """What each half of a word becomes by `_times`, for a power of two."""
    columns = np.array([1 << bit for bit in range(32)], np.uint32)
    if power == 1:
        for _ in range(32):
            columns = columns >> 1 ^ np.where(columns & 1, _POLYNOMIAL, 0).astype(np.uint32)
    else:
        columns = _times(_times(columns, power // 2), power // 2)
    return _spread(columns[:16]), _spread(columns[16:])


def _spread(columns: np.ndarray) -> np.ndarray:
    table = np.zeros(1 << 16, np.uint32)
    for bit, column in enumerate(columns):
        table[1 << bit : 2 << bit] = table[: 1 << bit] ^ column
    return table


@functools.lru_cache(maxsize=1)
def _word(checksum: int) -> np.ndarray:
    """The word in front that stands for what the register holds after a checksum: that times x**-32."""
    word = checksum ^ 0xFFFFFFFF
    for _ in range(32):
        word = ((word ^ _POLYNOMIAL) << 1 | 1) if word >> 31 else word << 1
    return np.frombuffer(word.to_bytes(4, "little"), np.uint8)
