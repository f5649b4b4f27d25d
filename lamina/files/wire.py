"""Protocol buffers, read field by field: all that TensorFlow's files need of them."""

from __future__ import annotations

from typing import Any

_SIZES = {1: 8, 2: 0, 5: 4}  # of values by their kind; one of kind 2 says its own


class Message(dict[int, list[Any]]):
    """The fields of a message by number: whole numbers, and the bytes of all that is longer."""

    def number(self, field: int) -> int:
        """The last value of a field of numbers, with its sign; 0 where there is none."""
        found = self.get(field, [0])[-1]
        if not isinstance(found, int):
            raise ValueError(f"field {field} of a message is no number")
        return _signed(found)

    def bytes(self, field: int) -> memoryview:
        """The last value of a field of longer ones; nothing where there is none."""
        found = self[field][-1] if field in self else memoryview(b"")
        if isinstance(found, int):
            raise ValueError(f"field {field} of a message is a number")
        return found

    def text(self, field: int) -> str:
        return str(self.bytes(field), "utf-8")

    def messages(self, field: int) -> list[Message]:
        return [message(found) for found in self[field]] if field in self else []

    def message(self, field: int) -> Message:
        return message(self.bytes(field))

    def numbers(self, field: int) -> list[int]:
        """A list of whole numbers, packed or one by one."""
        found = []
        for item in self.get(field, []):
            at, packed = 0, item if isinstance(item, memoryview) else b""
            found += [] if isinstance(item, memoryview) else [item]
            while at < len(packed):
                value, at = varint(packed, at)
                found.append(value)
        return [_signed(value) for value in found]

    def all(self, field: int) -> list[memoryview]:
        """What a field of longer values holds."""
        found = self.get(field, [])
        if any(isinstance(value, int) for value in found):
            raise ValueError(f"field {field} of a message is a number")
        return found


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def message(data: memoryview | bytes) -> Message:
    """The fields of one message, those inside unread. Raises ValueError where it does not end with its last field."""
    data, at, found = memoryview(data), 0, Message()
    end = len(data)
    while at < end:
        tag, at = (data[at], at + 1) if data[at] < 128 else varint(data, at)
        kind = tag & 7 if tag > 7 else -1  # there is no field 0
        if kind == 0:
            value, at = varint(data, at)
        elif kind in _SIZES:
            size, at = varint(data, at) if kind == 2 else (_SIZES[kind], at)
            if at + size > end:
                raise ValueError("a message ends inside a field")
            part = data[at : at + size]
            value, at = part if kind == 2 else int.from_bytes(part, "little"), at + size
        else:
            raise ValueError(f"a message has a field of unknown kind {kind}")
        if tag >> 3 in found:
            found[tag >> 3].append(value)
        else:
            found[tag >> 3] = [value]
    return found


def varint(data: memoryview | bytes, at: int) -> tuple[int, int]:
    """A number of up to 64 bits, and where it ends."""
    if at < len(data) and data[at] < 128:
        return data[at], at + 1
    value = shift = 0
    while shift < 64 and at < len(data):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (1 << 64) - 1, at
        shift += 7
    raise ValueError("a number does not end")


def numbers(data: memoryview, count: int) -> tuple[list[int], int]:
    """So many numbers, and where they end."""
    if count > len(data):
        raise ValueError(f"{len(data)} bytes hold no {count} numbers")
    found, at = [], 0
    for _ in range(count):
        value, at = varint(data, at)
        found.append(value)
    return found, at
