"""Hashes of bytes and of the decimal text of integers, the same as TensorFlow's; 64 bits in a signed integer.

Bytes come as `words` (rows, count) of eight bytes each, little-endian, with zeros behind a row's end, and `lengths`
(rows,) in bytes. There is one word more than the longest row needs.
"""

from __future__ import annotations

import torch
from torch import Tensor


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


_K0, _K1, _K2 = map(_signed, (0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F))
_CROSS, _CROSS_SEED = _signed(0xC6A4A7935BD1E995), 0xDECAFCAFFE
DIGITS = 19  # of the largest integer


def _right(value: Tensor, by: int) -> Tensor:
    """Shifted right with zeros moving in."""
    return (value >> by).bitwise_and_((1 << (64 - by)) - 1)


def _rotated(value: Tensor, right: int) -> Tensor:
    return _right(value, right).bitwise_or_(value << (64 - right))


def _mixed(value: Tensor) -> Tensor:
    return _right(value, 47).bitwise_xor_(value)


class _Rows:
    """Reads eight bytes of every row at once, from anywhere inside it."""

    def __init__(self, words: Tensor, lengths: Tensor):
        self.words, self.lengths = words, lengths

    def at(self, start: int) -> Tensor:
        """From a place that is a multiple of eight."""
        return self.words[:, start // 8]

    def before_end(self, back: int) -> Tensor:
        start = (self.lengths - back).clamp_(min=0)
        place, bits = (start >> 3)[:, None], (start & 7).mul_(8)
        low, high = self.words.gather(1, place)[:, 0], self.words.gather(1, place + 1)[:, 0]
        # By one and the rest: a shift by all 64 bits would be none.
        rest, ones = 63 - bits, torch.full_like(bits, -2)
        return (low >> bits).bitwise_and_((ones << rest).bitwise_not_()).bitwise_or_((high << 1) << rest)


def fingerprint(words: Tensor, lengths: Tensor, shortest: int = 0) -> Tensor:
    """FarmHash's Fingerprint64 of every row (Pike, 2014), of which none is shorter than so many bytes."""
    rows, width = _Rows(words, lengths), 8 * (words.shape[1] - 1)
    found = _from_8_to_16(rows) if shortest >= 8 else _up_to_16(rows, shortest)
    for above, hashed in ((16, _up_to_32), (32, _up_to_64), (64, _beyond_64)):
        if width > above:
            found = torch.where(lengths > above, hashed(rows), found)
    return found


def _joined(u: Tensor, v: Tensor, factor: Tensor) -> Tensor:
    a = _mixed((u ^ v) * factor)
    return _mixed((v ^ a) * factor) * factor


def _from_8_to_16(rows: _Rows) -> Tensor:
    factor, a, end = _K2 + rows.lengths * 2, rows.at(0) + _K2, rows.before_end(8)
    return _joined(_rotated(end, 37) * factor + a, (_rotated(a, 25) + end) * factor, factor)


def _up_to_16(rows: _Rows, shortest: int) -> Tensor:
    n = rows.lengths
    factor, start = _K2 + n * 2, rows.at(0)
    half = 0xFFFFFFFF
    middle = _joined(n + ((start & half) << 3), (start >> (n - 4).clamp_(0, 4).mul_(8)) & half, factor)
    middle = torch.where(n >= 8, _from_8_to_16(rows), middle)
    if shortest >= 4:
        return middle
    first, last = start & 255, (start >> (n - 1).clamp_(0, 3).mul_(8)) & 255
    second = (start >> ((n >> 1) * 8).clamp_(max=63)) & 255
    short = _mixed(((first + (second << 8)) * _K2) ^ ((n + (last << 2)) * _K0)) * _K2
    return torch.where(n >= 4, middle, torch.where(n > 0, short, torch.full_like(n, _K2)))


def _up_to_32(rows: _Rows) -> Tensor:
    factor = _K2 + rows.lengths * 2
    a, b = rows.at(0) * _K1, rows.at(8)
    c, d = rows.before_end(8) * factor, rows.before_end(16) * _K2
    return _joined(_rotated(a + b, 43) + _rotated(c, 30) + d, a + _rotated(b + _K2, 18) + c, factor)


def _up_to_64(rows: _Rows) -> Tensor:
    factor = _K2 + rows.lengths * 2
    a, b = rows.at(0) * _K2, rows.at(8)
    c, d = rows.before_end(8) * factor, rows.before_end(16) * _K2
    y = _rotated(a + b, 43) + _rotated(c, 30) + d
    z = _joined(y, a + _rotated(b + _K2, 18) + c, factor)
    e, f = rows.at(16) * factor, rows.at(24)
    g, h = (y + rows.before_end(32)) * factor, (z + rows.before_end(24)) * factor
    return _joined(_rotated(e + f, 43) + _rotated(g, 30) + h, e + _rotated(f + a, 18) + g, factor)


State = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def _stirred(four: list[Tensor], a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    a = a + four[0]
    b = _rotated(b + a + four[3], 21)
    whole = a + four[1] + four[2]
    return whole + four[3], b + _rotated(whole, 44) + a


def _round(block: list[Tensor], state: State, factor: Tensor | int, v: int, w: int) -> State:
    """One step over 64 bytes; `v` and `w` weigh what the last step differs in."""
    x, y, z, v0, v1, w0, w1 = state
    x = _rotated(x + y + v0 + block[1], 37) * factor
    y = _rotated(y + v1 + block[6], 42) * factor
    x = x ^ (w1 * w)
    y = y + v0 * v + block[5]
    z = _rotated(z + w0, 33) * factor
    v0, v1 = _stirred(block[:4], v1 * factor, x + w0)
    w0, w1 = _stirred(block[4:], z + w1, y + block[2])
    return z, y, x, v0, v1, w0, w1


def _beyond_64(rows: _Rows) -> Tensor:
    words, n = rows.words, rows.lengths
    zero = torch.zeros_like(n)
    y = zero + _signed((81 * _K1 + 113) % (1 << 64))
    x, z = zero + _signed(81 * _K2 % (1 << 64)) + words[:, 0], _mixed(y * _K2 + 113) * _K2
    state: State = (x, y, z, zero, zero, zero, zero)
    blocks = (n - 1) // 64
    for index in range((words.shape[1] - 2) // 8):
        after = _round(list(words[:, 8 * index : 8 * index + 8].unbind(1)), state, _K1, 1, 1)
        goes_on = blocks > index
        state = tuple(torch.where(goes_on, new, old) for new, old in zip(after, state, strict=True))  # type: ignore[assignment]
    x, y, z, v0, v1, w0, w1 = state
    factor = _K1 + ((z & 255) << 1)
    w0 = w0 + ((n - 1) & 63)
    v0 = v0 + w0
    w0 = w0 + v0
    block = [rows.before_end(64 - 8 * index) for index in range(8)]
    x, y, z, v0, v1, w0, w1 = _round(block, (x, y, z, v0, v1, w0, w1), factor, 9, 9)
    return _joined(_joined(v0, w0, factor) + _mixed(y) * _K0 + z, _joined(v1, w1, factor) + x, factor)


def keyed(words: Tensor, lengths: Tensor, key: list[int]) -> Tensor:
    """SipHash-2-4 of every row (Aumasson & Bernstein, 2012)."""
    secret = (key[0], key[1], key[0], key[1])
    starts = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
    zero = torch.zeros_like(lengths)
    state = [zero + _signed((start ^ part) % (1 << 64)) for start, part in zip(starts, secret, strict=True)]
    last = lengths >> 3
    for index in range(words.shape[1]):
        word = torch.where(last == index, words[:, index] | (lengths << 56), words[:, index])
        after = [*state[:3], state[3] ^ word]
        after = _sip(_sip(after))
        after[0] = after[0] ^ word
        state = [torch.where(last >= index, new, old) for new, old in zip(after, state, strict=True)]
    state[2] = state[2] ^ 255
    for _ in range(4):
        state = _sip(state)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _sip(state: list[Tensor]) -> list[Tensor]:
    a, b, c, d = state
    a, c = a + b, c + d
    b, d = _rotated(b, 51) ^ a, _rotated(d, 48) ^ c
    a, c = _rotated(a, 32) + d, c + b
    b, d = _rotated(b, 47) ^ c, _rotated(d, 43) ^ a
    return [a, b, _rotated(c, 32), d]


def bucket(hashed: Tensor, count: int) -> Tensor:
    """The remainder of the unsigned number that `hashed` stands for."""
    return (_right(hashed, 1) % count * 2 + (hashed & 1)) % count if count < 1 << 61 else _wide_bucket(hashed, count)


def _wide_bucket(hashed: Tensor, count: int) -> Tensor:
    rest = _right(hashed, 1) % count
    rest = torch.where(rest >= count - rest, rest - (count - rest), rest * 2)
    rest = rest + (hashed & 1)
    return torch.where(rest >= count, rest - count, rest)


def crossed(columns: list[Tensor], count: int) -> Tensor:
    """The bucket of several features together, each the fingerprint of a text or an integer itself."""
    found = torch.full_like(columns[0], _CROSS_SEED)
    for column in columns:
        found = (found ^ _CROSS ^ (_mixed(column * _CROSS) * _CROSS)) * _CROSS
        found = _mixed(_mixed(found) * _CROSS)
    return bucket(found, count)


def decimal(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """The decimal text of integers (rows,) as words and lengths."""
    n = numbers.to(torch.int64)
    powers = torch.tensor([10**place for place in range(DIGITS)], device=n.device)
    parts = torch.div(n[:, None], powers, rounding_mode="trunc")
    digits = torch.fmod(parts, 10).abs()
    count = (parts != 0).sum(1).clamp(min=1)
    negative = (n < 0).to(torch.int64)
    lengths = count + negative
    place = torch.arange(32, device=n.device)
    digit = digits.gather(1, (lengths[:, None] - 1 - place).clamp(0, DIGITS - 1)) + ord("0")
    text = torch.where(place < lengths[:, None], digit, 0)
    text = torch.where((place == 0) & (n < 0)[:, None], ord("-"), text)
    shifts = torch.arange(0, 64, 8, device=n.device)
    return (text.reshape(-1, 4, 8) << shifts).sum(2), lengths
