"""The time that calls of a model's layers take, forward and back.

A model's plan is run with a clock between its lines; what its lines take in, such as a convolution and its
normalization, is measured as it runs. In models with a `call` of their own torch's hooks stand around the layers.
The way back is told by hooks on the outputs: the engine goes through the calls from the last to the first, so what
passes from one of these hooks to the next belongs to one call.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ..core.care import tend
from ..core.devices import device_of
from ..core.fusion import calls
from ..core.graph import Graph, Plan
from ..core.scope import in_mode
from .cells import layers_of

LEAST, MOST = 4, 200  # how many of each kind of run


class Place(NamedTuple):
    """Something that is timed: a line of a plan, or the calls of one layer."""

    owner: int  # the `id` of the model that it stands in
    layers: tuple[int, ...]  # the `id` of the layer, and of those that run with it


class Times(NamedTuple):
    forward: list[float]  # by place
    backward: list[float | None]
    total: tuple[float, float | None]


class Clock:
    """Notes when calls begin and end, which may stand in each other, and when gradients reach their outputs."""

    def __init__(self, device: torch.device):
        self._cuda = device.type == "cuda"
        self._stack: list[tuple[int, list[int]]] = []
        self._calls: list[tuple[int, Any]] = []  # place and time; the place is -1 where a call ends
        self._back: list[tuple[int, Any]] = []
        self._hooked: dict[int, Tensor] = {}
        self._device = device

    def now(self) -> Any:
        if not self._cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def begin(self, place: int) -> None:
        if self._stack:
            self._stack[-1][1].append(place)
        self._stack.append((place, []))
        self._calls.append((place, self.now()))

    def end(self, *outputs: object) -> None:
        self._calls.append((-1, self.now()))
        place, calls_inside = self._stack.pop()
        if not calls_inside and torch.is_grad_enabled():
            self.watch(place, outputs)

    def watch(self, place: int, tensors: object) -> None:
        """Note when the gradient has reached all of these: what follows on the way back is the place's."""
        for leaf in pytree.tree_leaves(tensors):
            if isinstance(leaf, Tensor) and leaf.requires_grad and id(leaf) not in self._hooked:
                self._hooked[id(leaf)] = leaf
                leaf.register_hook(lambda _: self._back.append((place, self.now())))

    def go_back(self, outputs: object, weights: list[Tensor]) -> None:
        ends = [leaf for leaf in pytree.tree_leaves(outputs) if isinstance(leaf, Tensor) and leaf.requires_grad]
        if ends and weights:
            ones = [torch.ones_like(end) for end in ends]
            self._back.append((0, self.now()))
            torch.autograd.grad(ends, weights, ones, allow_unused=True)
            self._back.append((-1, self.now()))

    def finish(self) -> None:
        """Wait for the device; times become seconds from the first on."""
        first = self._calls[0][1]
        if self._cuda:
            torch.cuda.synchronize(self._device)
            for notes in (self._calls, self._back):
                notes[:] = [(place, first.elapsed_time(event) / 1e3) for place, event in notes]
        self._hooked.clear()

    def _whole(self) -> tuple[float, float | None]:
        """Of the calls, and of the way back."""
        back = self._back[-1][1] - self._back[0][1] if self._back else None
        return self._calls[-1][1] - self._calls[0][1], back

    def total(self) -> float:
        forward, back = self._whole()
        return forward + (back or 0.0)

    def by_place(self, count: int) -> Times:
        forward, stack = [0.0] * count, []
        for place, at in self._calls:
            if place >= 0:
                stack.append((place, at))
            else:
                begun, since = stack.pop()
                forward[begun] += at - since
        back: list[float | None] = [None] * count
        for (place, at), (_, until) in zip(self._back, self._back[1:], strict=False):
            back[place] = (back[place] or 0.0) + until - at
        return Times(forward, back, self._whole())


def run(model: Any, inputs: Any, clock: Clock, train: bool) -> Clock:
    weights = [weight for weight in model.parameters() if weight.requires_grad] if train else []
    clock.begin(0)
    outputs = model(inputs)
    clock.end()
    clock.go_back(outputs, weights)
    clock.finish()
    return clock


def measure(run: Callable[[], Clock], seconds: float) -> list[Clock]:
    made: list[Clock] = []
    until = time.perf_counter() + seconds
    while len(made) < LEAST or (time.perf_counter() < until and len(made) < MOST):
        made.append(run())
    return made


def faster_half(clocks: list[Clock]) -> list[Clock]:
    return sorted(clocks, key=Clock.total)[: (len(clocks) + 1) // 2]


def mean(times: list[Times]) -> Times:
    """The mean of each number; so parts of a whole still add up to it."""

    def mean(values: tuple[float | None, ...]) -> float | None:
        return None if None in values else statistics.fmean(values)  # type: ignore[arg-type]

    forward, backward, total = (
        [mean(values) for values in zip(*each, strict=True)] for each in zip(*times, strict=True)
    )
    return Times(forward, backward, tuple(total))  # type: ignore[arg-type]


class _TimedPlan(Plan):
    """A plan with a clock round every line. places: what the lines are is added to it."""

    def __init__(self, graph: Graph, owner: Any, places: list[Place]):
        self._owner, self._places = owner, places
        self.clock: list[Clock] = []
        super().__init__(graph)

    def _lines(self, graph: Graph) -> Iterator[tuple[str, str]]:
        self._space.update(begin=lambda place: self.clock[0].begin(place), end=lambda *y: self.clock[0].end(*y))
        first = len(self._places)
        self._places += _places_of(graph, self._owner)
        place = first
        for line, note in super()._lines(graph):
            if line.startswith("del "):
                yield line, note
                continue
            yield f"begin({place})", ""
            yield line, note
            yield f"end({line.partition(' = ')[0]})", ""
            place += 1
        assert place == len(self._places)


def _places_of(graph: Graph, owner: Any) -> list[Place]:
    """The lines of a graph's plan: each call with those that it takes in."""
    lines = calls(graph.nodes, [*pytree.tree_leaves(graph.outputs), *graph.masks.values()])
    index = {id(call.node): number for number, call in enumerate(lines)}
    members: list[list[int]] = [[] for _ in lines]
    for node in graph.nodes:
        if id(node) not in index:  # part of the line that makes what it reads
            index[id(node)] = index[id(node.inputs[0].node)]
        members[index[id(node)]].append(id(node.layer))
    return [Place(id(owner), tuple(each)) for each in members]


@contextmanager
def clocked(model: Any, places: list[Place]) -> Iterator[Callable[[Clock], Clock]]:
    """Inside, calls of the model tell the clock that was last given to what this gives."""
    current: list[Clock] = []
    handles, hooked = [], []
    owners = [*opened(model)]
    for owner in owners:
        for layer in () if graph_of(owner) is not None else dict.fromkeys(inside(owner)):
            place = len(places)
            places.append(Place(id(owner), (id(layer),)))
            before, after = _hooks(current, place)
            handles += [layer.register_forward_pre_hook(before), layer.register_forward_hook(after)]
            hooked.append(layer)
    kept = [(owner, vars(owner).get("_plan")) for owner in owners if graph_of(owner) is not None]
    try:
        for owner, _ in kept:
            plan = _TimedPlan(owner._graph, owner, places)
            plan.clock = current
            owner.plan  # noqa: B018 - what follows from a new plan, such as its care, is settled
            vars(owner)["_plan"] = plan

        def put(clock: Clock) -> Clock:
            current[:] = [clock]
            return clock

        yield put
    finally:
        for handle in handles:
            handle.remove()
        for owner, plan in kept:
            vars(owner)["_plan"] = plan
        for layer in hooked:
            tend(layer)


def _hooks(current: list[Clock], place: int) -> tuple[Callable, Callable]:
    def before(_: object, given: object) -> None:
        if current[0]._stack and torch.is_grad_enabled():  # what came between two layers is whose layers they are in
            current[0].watch(current[0]._stack[-1][0], given)
        current[0].begin(place)

    def after(_: object, given: object, outputs: object) -> None:
        current[0].end(outputs)

    return before, after


def opened(model: Any) -> Iterator[Any]:
    """The model, and what in it is looked into: other models, and layers of users that hold layers."""
    seen, left = set(), [model]
    while left:
        owner = left.pop()
        if id(owner) not in seen and is_open(owner):
            seen.add(id(owner))
            yield owner
            left += inside(owner)


def is_open(layer: Any) -> bool:
    return graph_of(layer) is not None or (not layer._ours and bool(inside(layer)))


def inside(owner: Any) -> list[Any]:
    return layers_of(owner) if hasattr(owner, "layers") else list(owner._inner_layers)


def graph_of(layer: Any) -> Any:
    return getattr(layer, "_graph", None)


@contextmanager
def as_found(model: Any, train: bool) -> Iterator[None]:
    """Inside, the model trains or not; afterwards flags, what calls write to and torch's random state are as before."""
    written = [*model.buffers(), *(weight for weight in model.parameters() if not weight.requires_grad)]
    with torch.no_grad():
        kept = [(tensor, tensor.detach().clone()) for tensor in written]
    devices = [device_of(model)] if device_of(model).type == "cuda" else []
    try:
        with in_mode(model.modules(), train), torch.random.fork_rng(devices):
            yield
    finally:
        with torch.no_grad():
            for tensor, before in kept:
                tensor.copy_(before)
