"""The instructions of Python 2.7 to 3.14 that functions without loops are made of. Facts of CPython's `opcode.py`."""

from __future__ import annotations

from collections.abc import Iterator

from .lists import listed

# "changes": each version's numbers, as what is otherwise than in the version above it; "-": gone. One version stands
# for those whose functions read alike: 3.5 for 3.4 too, 3.7 for 3.6, 3.9 for 3.8. "caches": how many empty words follow
# an instruction, likewise.
_LISTS = listed("opcodes.json")


def _pairs(text: str) -> Iterator[tuple[str, int]]:
    words = iter(word for word in text.split() if word[0] != "-")
    yield from ((name, int(number)) for name, number in zip(words, words, strict=True))


def _tables(changes: dict[str, str]) -> Iterator[tuple[str, dict[str, int]]]:
    known: dict[str, int] = {}
    for version, text in changes.items():
        gone = {word[1:] for word in text.split() if word[0] == "-"}
        known = {name: number for name, number in known.items() if name not in gone} | dict(_pairs(text))
        yield version, known


NAMES = {version: {number: name for name, number in of.items()} for version, of in _tables(_LISTS["changes"])}
CACHES = dict(_tables(_LISTS["caches"]))
# The last four of these are comparisons up to 3.8.
COMPARISONS: list[str] = _LISTS["comparisons"].split()
# Those of BINARY_OP in its order; the other half of it assigns.
OPERATORS: list[str] = _LISTS["operators"].split()
# The same as the names of instructions of their own up to 3.10. Python 2 divides whole numbers by DIVIDE.
BINARY: dict[str, str] = _LISTS["binary"]
UNARY: dict[str, str] = _LISTS["unary"]
