"""Repeated blocks of a diagram shown once."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from .diagram import INPUT, Box, Diagram

LONGEST = 40  # pieces of a block


class _Piece(NamedTuple):
    """Neighbouring parts that one value alone enters and leaves, and what tells them from others. `entries`: how many
    of them read it."""

    start: int
    end: int
    alike: Hashable
    entries: int


def fold_blocks(diagram: Diagram) -> None:
    """Put blocks that follow one another, and differ in names alone, into a frame that says how often they come."""
    for part in diagram.parts:
        if isinstance(part, Diagram):
            fold_blocks(part)
    parts = diagram.parts
    holder = {box.key: place for place, part in enumerate(parts) for box in _boxes(part)}
    links = [(holder[a], holder[b]) for a, b in diagram.arrows if a in holder and b in holder]
    if any(before >= after for before, after in links):  # a layer is shared: there is no order
        return
    pieces = _pieces(parts, links)
    made: list[Box | Diagram] = []
    stands_for: dict[str, str] = {}  # boxes by those that are left out
    enters: dict[str, tuple[str, set[str]]] = {}  # by box: what it reads values from outside from, and who does so, too
    place = 0
    while place < len(pieces):
        period, times = _repeated(pieces, place)
        first, last = pieces[place], pieces[place + period - 1]
        block = parts[first.start : last.end]
        if times > 1:
            for again in range(1, times):
                copies = parts[pieces[place + again * period].start : pieces[place + (again + 1) * period - 1].end]
                pairs = zip(copies, block, strict=True)
                own = ((copy, box) for a, b in pairs for copy, box in zip(_boxes(a), _boxes(b), strict=True))
                stands_for |= {copy.key: box.key for copy, box in own}
            key = _boxes(block[0])[0].key
            if first.entries > 1:  # several read the value: arrows to each of them would pass through boxes
                members = {box.key for part in parts[first.start : first.end] for box in _boxes(part)}
                enters |= dict.fromkeys(members, (f"{key}i", members))
                block = [Box(f"{key}i", "input", colour=INPUT), *block]
            made.append(Diagram(f"{key}x", f"{times} times", block, []))
        else:
            made += block
        place += period * times
    diagram.parts = made
    arrows = []
    for before, after in diagram.arrows:
        if after in stands_for:  # from one repetition to the next there is no arrow
            continue
        before = stands_for.get(before, before)
        entry, members = enters.get(after, ("", {before}))
        arrows += [(before, after)] if before in members else [(before, entry), (entry, after)]
    diagram.arrows = arrows


def _boxes(part: Box | Diagram) -> list[Box]:
    return list(part.boxes()) if isinstance(part, Diagram) else [part]


def _pieces(parts: list[Box | Diagram], links: list[tuple[int, int]]) -> list[_Piece]:
    last_reader: dict[int, int] = {}
    for before, after in links:
        last_reader[before] = max(last_reader.get(before, 0), after)
    made, start = [], 0
    open_ends: dict[int, int] = {}
    for place in range(len(parts)):
        open_ends = {before: after for before, after in open_ends.items() if after > place}
        if last_reader.get(place, 0) > place:
            open_ends[place] = last_reader[place]
        if len(open_ends) <= 1 and all(before >= start for before in open_ends):
            made.append((start, place + 1))
            start = place + 1
    if start < len(parts):
        made.append((start, len(parts)))

    def piece(start: int, end: int) -> _Piece:
        inside = sorted({(max(a - start, -1), b - start) for a, b in links if start <= b < end})
        boxes = tuple(box.alike for part in parts[start:end] for box in _boxes(part))
        entries = sum(a < 0 for a, _ in inside)
        if inside[:1] == [(-1, 0)] and entries == 1:  # a model's first layer may read what has no box
            del inside[0]
        return _Piece(start, end, (boxes, tuple(inside)), entries)

    return [piece(start, end) for start, end in made]


def _repeated(pieces: list[_Piece], place: int) -> tuple[int, int]:
    """The block from a place on that saves the most boxes when it is shown once: its number of pieces, and how often
    it comes; 1 for one that is not repeated."""
    best, saved = (1, 1), 1
    for period in range(1, min(LONGEST, (len(pieces) - place) // 2) + 1):
        block, times = [piece.alike for piece in pieces[place : place + period]], 1
        while [piece.alike for piece in pieces[place + times * period : place + (times + 1) * period]] == block:
            times += 1
        gain = (times - 1) * (pieces[place + period - 1].end - pieces[place].start)
        if gain > saved:
            best, saved = (period, times), gain
    return best
