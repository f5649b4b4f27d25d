"""Places for boxes and arrows: ranks by longest paths, order by barycentres (Sugiyama et al. 1981), coordinates by
least squares. All in points, from the top to the bottom; a model inside another is laid out first and then is one box.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from .diagram import Box, Diagram

GAP = 22.0  # between boxes of a rank
CHANNEL = 26.0  # between ranks, and more for every arrow that turns there
TURN = 7.0
LOOP = 9.0  # how far an arrow from a box to itself goes
WIRE = 10.0  # the room of an arrow that passes a rank
MARGIN = 14.0  # inside the frame of a nested model
SWEEPS = 12
GUTTER = 40.0  # between columns
TALL = 1_500.0  # a picture that is taller is broken into columns
ASPECT = 1.5  # of the width to the height of a picture in columns
MOST_COLUMNS = 16
MANY = 4_000  # places from which on a picture is dense whatever is done


class Place(NamedTuple):
    x: float
    y: float
    width: float
    height: float


Points = list[tuple[float, float]]
Size = tuple[float, float]


@dataclass
class Layout:
    """Where boxes, frames of nested models and arrows are; a size of the whole."""

    width: float = 0.0
    height: float = 0.0
    boxes: dict[str, Place] = field(default_factory=dict)
    frames: list[tuple[str, Place]] = field(default_factory=list)  # outer ones first
    arrows: list[Points] = field(default_factory=list)

    def moved(self, x: float, y: float) -> Layout:
        return self.turned(self.width, self.height, lambda px, py: (px + x, py + y))

    def turned(self, width: float, height: float, point: Callable[[float, float], tuple[float, float]]) -> Layout:
        """One of another size, in which every point is where a function puts it."""

        def place(at: Place) -> Place:
            (x0, y0), (x1, y1) = point(at.x, at.y), point(at.x + at.width, at.y + at.height)
            return Place(min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0))

        boxes, frames = self.boxes.items(), self.frames
        arrows = [[point(*each) for each in points] for points in self.arrows]
        return Layout(
            width, height, {key: place(at) for key, at in boxes}, [(title, place(at)) for title, at in frames], arrows
        )


@dataclass(eq=False)
class _Node:
    """A box, a nested model or, without a part, the place where an arrow passes a rank."""

    width: float
    height: float
    part: Box | Diagram | None = None
    inside: Layout | None = None
    rank: int = 0
    x: float = 0.0  # of the middle
    y: float = 0.0  # of the top
    above: list[_Node] = field(default_factory=list)
    below: list[_Node] = field(default_factory=list)

    def end(self, key: str, downwards: bool) -> tuple[Points, float]:
        """The way between a box inside and the edge of this node, and where that reaches it."""
        if self.inside is None:
            return [], self.x
        at = self.inside.boxes[key]
        x = self.x - self.width / 2 + at.x + at.width / 2
        return [(x, self.y + at.y + (at.height if downwards else 0.0))], x


def laid_out(
    diagram: Diagram, size: Callable[[Box], Size], room: Callable[[str], tuple[Size, Size]], columns: int | None = 1
) -> Layout:
    """Places for all of a diagram. size: of a box; room: what the title of a nested model needs at the left and the top
    of its frame, and how large that must be at least. columns: into how many a long one is broken, where arrows
    from one box alone pass from one to the next; None: as many as make it about as wide as high."""
    nodes: list[_Node] = []
    holder: dict[str, _Node] = {}
    for part in diagram.parts:
        if isinstance(part, Diagram):
            inside = _framed(laid_out(part, size, room, columns), part.title, *room(part.title))
            node = _Node(inside.width, inside.height, part, inside)
            keys = list(inside.boxes)
        else:
            node = _Node(*size(part), part)
            keys = [part.key]
        nodes.append(node)
        holder |= dict.fromkeys(keys, node)
    pairs = _downwards(nodes, [(holder[a], holder[b]) for a, b in diagram.arrows if holder[a] is not holder[b]])
    _rank(nodes, pairs)
    ranks, chains = _with_wires(nodes, pairs)
    _order(ranks)
    _space(ranks)
    height = _stack(ranks)
    made = Layout(max((n.x + n.width / 2 for rank in ranks for n in rank), default=0.0), height)
    for node in nodes:
        x, y = node.x - node.width / 2, node.y
        if node.inside is None:
            assert isinstance(node.part, Box)
            made.boxes[node.part.key] = Place(x, y, node.width, node.height)
        else:
            inside = node.inside.moved(x, y)
            made.boxes |= inside.boxes
            made.frames += inside.frames
            made.arrows += inside.arrows
    tracks = _tracks(ranks)
    for before, after in diagram.arrows:
        if before == after:
            made.arrows.append(_loop(made.boxes[before]))
        elif (holder[before], holder[after]) in chains:
            made.arrows.append(_way(before, after, holder, chains, tracks))
        else:
            made.arrows.append(_way(after, before, holder, chains, tracks)[::-1])
    return made if columns == 1 else _in_columns(made, _cuts(ranks), columns)


# Columns --------------------------------------------------------------------------------------------------------------


def _cuts(ranks: list[list[_Node]]) -> list[tuple[float, float]]:
    """Where arrows from one box alone lead from a rank to the next: the end of the one, the beginning of the other."""
    made = []
    for upper, lower in pairwise(ranks):
        before = [node for node in upper if node.below]
        if len(before) == 1 and before[0].part is not None:
            made.append((max(n.y + n.height for n in upper), min(n.y for n in lower)))
    return made


def _in_columns(layout: Layout, cuts: list[tuple[float, float]], columns: int | None) -> Layout:
    """A layout broken at some of the cuts, so that its columns are as even as these allow."""
    if columns is None:
        if layout.height <= TALL:
            return layout
        tried = [_in_columns(layout, cuts, count) for count in range(1, MOST_COLUMNS + 1)]
        return min(tried, key=lambda made: max(made.width / ASPECT, made.height))
    chosen: list[tuple[float, float]] = []
    low, high = 0.0, layout.height
    while high - low > 1.0:
        height = (low + high) / 2
        found = _filled(layout.height, cuts, height)
        low, high, chosen = (low, height, found) if len(found) < columns else (height, high, chosen)
    return _Columns(layout, chosen).layout()


class _Columns:
    """The parts of a layout between cuts, one beside the other."""

    def __init__(self, layout: Layout, cuts: list[tuple[float, float]]):
        self._old, self._cuts = layout, cuts
        self._starts = [0.0, *(start for _, start in cuts)]
        across: list[list[float]] = [[] for _ in self._starts]
        for at in (*layout.boxes.values(), *(at for _, at in layout.frames)):
            across[self._column(at.y)] += at.x, at.x + at.width
        for x, y in itertools.chain(*layout.arrows):
            across[self._column(y)].append(x)
        self._moves: list[tuple[float, float]] = []
        self._gutters: list[float] = []  # before each column
        left = 0.0
        for start, xs in zip(self._starts, across, strict=True):
            self._gutters.append(left - GUTTER / 2)
            self._moves.append((left - min(xs), CHANNEL / 2 - start))
            left += max(xs) - min(xs) + GUTTER
        ends = [*(end for end, _ in cuts), layout.height]
        self._size = left - GUTTER, max(map(float.__sub__, ends, self._starts)) + CHANNEL

    def _column(self, y: float) -> int:
        return bisect_right(self._starts, y) - 1

    def _moved(self, x: float, y: float) -> tuple[float, float]:
        dx, dy = self._moves[self._column(y)]
        return x + dx, y + dy

    def _arrow(self, points: Points) -> Points:
        """Its way; from a column to the next it goes below the one, between both, and above the other."""
        here, there = self._column(points[0][1]), self._column(points[-1][1])
        if here == there:
            return [self._moved(*point) for point in points]
        end, start = self._cuts[here]
        out = [self._moved(*point) for point in points if point[1] <= end]
        back = [self._moved(*point) for point in points if point[1] >= start]
        below, gutter = end + self._moves[here][1] + CHANNEL / 2, self._gutters[there]
        return [*out, (out[-1][0], below), (gutter, below), (gutter, 0.0), (back[0][0], 0.0), *back]

    def layout(self) -> Layout:
        made = self._old.turned(*self._size, self._moved)
        made.arrows = [self._arrow(points) for points in self._old.arrows]
        return made


def _filled(whole: float, cuts: list[tuple[float, float]], height: float) -> list[tuple[float, float]]:
    """The cuts behind the columns but the last, each as long as a height allows."""
    chosen: list[tuple[float, float]] = []
    start = 0.0
    for cut, after in zip(cuts, [*(end for end, _ in cuts[1:]), whole], strict=True):
        if after - start > height:
            chosen.append(cut)
            start = cut[1]
    return chosen


# Ranks and order ------------------------------------------------------------------------------------------------------


def _framed(inside: Layout, title: str, before: Size, least: Size) -> Layout:
    width = max(inside.width + 2 * MARGIN + before[0], least[0])
    height = max(inside.height + 2 * MARGIN + before[1], least[1])
    framed = inside.moved((width + before[0] - inside.width) / 2, (height + before[1] - inside.height) / 2)
    framed.width, framed.height = width, height
    framed.frames.insert(0, (title, Place(0.0, 0.0, width, height)))
    return framed


def _downwards(nodes: list[_Node], pairs: list[tuple[_Node, _Node]]) -> list[tuple[_Node, _Node]]:
    """The pairs, each once, with those turned round that lead back to where they come from, as calls of a shared layer
    do."""
    readers: dict[_Node, dict[_Node, None]] = {node: {} for node in nodes}
    for before, after in pairs:
        readers[before][after] = None
    made: dict[tuple[_Node, _Node], None] = {}
    open_nodes: set[_Node] = set()
    done: set[_Node] = set()
    for root in nodes:
        stack = [] if root in done else [(root, iter(readers[root]))]
        open_nodes |= {node for node, _ in stack}
        while stack:
            node, rest = stack[-1]
            reader = next(rest, None)
            if reader is None:
                open_nodes.remove(node)
                done.add(node)
                stack.pop()
                continue
            made[(reader, node) if reader in open_nodes else (node, reader)] = None
            if reader not in done and reader not in open_nodes:
                open_nodes.add(reader)
                stack.append((reader, iter(readers[reader])))
    return list(made)


def _rank(nodes: list[_Node], pairs: list[tuple[_Node, _Node]]) -> None:
    """Each node below all that it reads; what reads nothing just above its first reader."""
    readers: dict[_Node, list[_Node]] = defaultdict(list)
    waiting = dict.fromkeys(nodes, 0)
    for before, after in pairs:
        readers[before].append(after)
        waiting[after] += 1
    sources = [node for node in nodes if not waiting[node]]
    ready = list(sources)
    for node in ready:
        for reader in readers[node]:
            reader.rank = max(reader.rank, node.rank + 1)
            waiting[reader] -= 1
            if not waiting[reader]:
                ready.append(reader)
    for node in sources:
        if readers[node]:
            node.rank = min(reader.rank for reader in readers[node]) - 1


def _with_wires(
    nodes: list[_Node], pairs: list[tuple[_Node, _Node]]
) -> tuple[list[list[_Node]], dict[tuple[_Node, _Node], list[_Node]]]:
    """The nodes by rank, with one for every rank that an arrow passes; and those of each arrow."""
    ranks: list[list[_Node]] = [[] for _ in range(max((node.rank for node in nodes), default=-1) + 1)]
    for node in nodes:
        ranks[node.rank].append(node)
    chains: dict[tuple[_Node, _Node], list[_Node]] = {}
    for before, after in pairs:
        chain = [_Node(WIRE, 0.0, rank=rank) for rank in range(before.rank + 1, after.rank)]
        for wire in chain:
            ranks[wire.rank].append(wire)
        chains[before, after] = chain
        way = [before, *chain, after]
        for one, next_one in pairwise(way):
            one.below.append(next_one)
            next_one.above.append(one)
    return ranks, chains


def _order(ranks: list[list[_Node]]) -> None:
    """Sort each rank by where its neighbours are, down and up again, and keep the order with the fewest crossings."""
    best, fewest = [list(rank) for rank in ranks], _crossings(ranks)
    for sweep in range(_sweeps(ranks)):
        down = sweep % 2 == 0
        for rank in ranks[1:] if down else reversed(ranks[:-1]):
            _sort(rank, ranks[rank[0].rank + (-1 if down else 1)], down)
        count = _crossings(ranks)
        if count < fewest:
            best, fewest = [list(rank) for rank in ranks], count
        if not count:
            break
    ranks[:] = best


def _sweeps(ranks: list[list[_Node]]) -> int:
    return SWEEPS if sum(map(len, ranks)) < MANY else 3


def _sort(rank: list[_Node], beside: list[_Node], down: bool) -> None:
    places = {node: index for index, node in enumerate(beside)}
    wanted: dict[_Node, float] = {}
    for index, node in enumerate(rank):
        near = [places[each] for each in (node.above if down else node.below)]
        wanted[node] = sum(near) / len(near) if near else index
    rank.sort(key=wanted.__getitem__)


def _crossings(ranks: list[list[_Node]]) -> int:
    count = 0
    for upper, lower in pairwise(ranks):
        places = {node: index for index, node in enumerate(lower)}
        sorted_ends: list[int] = []
        for node in upper:
            for place in sorted(places[each] for each in node.below):
                before = bisect_right(sorted_ends, place)
                count += len(sorted_ends) - before
                sorted_ends.insert(before, place)
    return count


def _space(ranks: list[list[_Node]]) -> None:
    """Middles along the ranks: near those of the neighbours, chains straight, nothing over another."""
    blocks = _blocks(ranks)
    weights = {node: len(block) * (0.02 if node.part is None else 1.0) for block in blocks for node in block}
    wanted = dict.fromkeys(weights, 0.0)
    for sweep in range(_sweeps(ranks)):
        for block in blocks if sweep else ():
            wanted |= dict.fromkeys(block, _middle(block))
        for _ in range(4):
            for rank in ranks:
                _put(rank, map(wanted.__getitem__, rank), map(weights.__getitem__, rank))
            for block in blocks:
                wanted |= dict.fromkeys(block, sum(node.x for node in block) / len(block))
    _straighten(ranks, blocks, wanted)
    nodes = [node for rank in ranks for node in rank]
    left = min((node.x - node.width / 2 for node in nodes), default=0.0)
    for node in nodes:
        node.x -= left


def _middle(block: list[_Node]) -> float:
    """The middle of what a chain reads and is read by."""
    inside = set(block)
    near = [each.x for node in block for each in (*node.above, *node.below) if each not in inside]
    near = near or [node.x for node in block]
    return sum(near) / len(near)


def _straighten(ranks: list[list[_Node]], blocks: list[list[_Node]], wanted: Mapping[_Node, float]) -> None:
    """Put each chain as a whole, where its neighbours leave room for that."""
    left_of = {after: before for rank in ranks for before, after in pairwise(rank)}
    right_of = {before: after for after, before in left_of.items()}
    for block in blocks * 3:
        low = max(node.x - _room(before, node) if (before := left_of.get(node)) else -math.inf for node in block)
        high = min(node.x + _room(node, after) if (after := right_of.get(node)) else math.inf for node in block)
        if low <= high:
            x = min(max(wanted[block[0]], low), high)
            for node in block:
                node.x = x


def _room(left: _Node, right: _Node) -> float:
    """How much nearer two neighbours may come."""
    return right.x - left.x - (left.width + right.width) / 2 - GAP


def _blocks(ranks: list[list[_Node]]) -> list[list[_Node]]:
    """Chains that are to be straight: nodes that read and are read by one alone, and the wires of an arrow."""
    blocks: list[list[_Node]] = []
    by_end: dict[_Node, list[_Node]] = {}
    for node in (node for rank in ranks for node in rank):
        before = node.above[0] if len(node.above) == 1 else None
        joined = before is not None and len(before.below) == 1 and (before.part is None) == (node.part is None)
        block = by_end.pop(before, None) if joined and before is not None else None
        if block is None:
            blocks.append(block := [])
        block.append(node)
        by_end[node] = block
    return blocks


def _put(rank: Sequence[_Node], wanted: Iterable[float], weights: Iterable[float]) -> None:
    """The places nearest to the wanted ones, by least squares, that keep the order and the gaps: neighbours that would
    overlap are pooled until none do."""
    offsets, at = [], 0.0
    for index, node in enumerate(rank):
        if index:
            at += (rank[index - 1].width + node.width) / 2 + GAP
        offsets.append(at)
    pools: list[tuple[float, float, int]] = []  # mean, weight, count
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        pool = want - offset, weight, 1
        while pools and pools[-1][0] > pool[0]:
            mean, other, count = pools.pop()
            pool = (mean * other + pool[0] * pool[1]) / (other + pool[1]), other + pool[1], count + pool[2]
        pools.append(pool)
    means = [mean for mean, _, count in pools for _ in range(count)]
    for node, mean, offset in zip(rank, means, offsets, strict=True):
        node.x = mean + offset


def _stack(ranks: list[list[_Node]]) -> float:
    """Tops of the ranks; returns where the last ends. Between two there is room for the arrows that turn there."""
    y = 0.0
    for rank in ranks:
        height = max(node.height for node in rank)
        for node in rank:
            node.y = y + (height - node.height) / 2
            if node.part is None:
                node.y, node.height = y, height
        y += height + CHANNEL + TURN * sum(1 for node in rank if _turns(node))
    return y - CHANNEL if ranks else 0.0


def _turns(node: _Node) -> bool:
    return any(abs(each.x - node.x) > 0.5 for each in node.below)


def _tracks(ranks: list[list[_Node]]) -> dict[_Node, float]:
    """Where arrows from a node turn, below its rank: those of each on a line of their own."""
    found: dict[_Node, float] = {}
    for rank in ranks:
        line = max(node.y + node.height for node in rank) + CHANNEL / 2
        for node in rank:
            found[node] = line
            line += TURN * _turns(node)
    return found


def _way(
    before: str,
    after: str,
    holder: Mapping[str, _Node],
    chains: Mapping[tuple[_Node, _Node], list[_Node]],
    tracks: Mapping[_Node, float],
) -> Points:
    """The corners of an arrow with right angles."""
    start, end = holder[before], holder[after]
    out, x = start.end(before, True)
    back, last = end.end(after, False)
    points: Points = [*out, (x, start.y + start.height)]
    at = start
    for wire in (*chains[start, end], end):
        to = last if wire is end else wire.x
        if abs(to - x) > 0.5:
            points += [(x, tracks[at]), (to, tracks[at])]
        x, at = to, wire
    return [*points, (last, end.y), *back]


def _loop(at: Place) -> Points:
    """The way of an arrow from a box to itself, at its right."""
    x, out = at.x + at.width, at.x + at.width + LOOP
    upper, lower = at.y + at.height / 3, at.y + at.height * 2 / 3
    return [(x, upper), (out, upper), (out, lower), (x, lower)]


def without_angles(points: Points) -> Points:
    """The way of an arrow with slopes in place of the turns between ranks."""
    made = [points[0]]
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 != x1 and y0 == y1:
            made[-1] = x0, y0 - CHANNEL / 2 + 2
            made.append((x1, y1 + CHANNEL / 2 - 2))
        else:
            made.append((x1, y1))
    return made
