"""The state of a `fit`: all that decides how it goes on, so that another process can go on with it to the last bit."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..core.random import SeedGenerator
from ..files import backup, safe, tree
from ..files.safe import FAULTS, reason
from ..optimizers import Optimizer
from .data import Feed
from .distributed import Ranks
from .step import OfModel

# Random numbers -------------------------------------------------------------------------------------------------------


def _place(stream: SeedGenerator) -> Any:
    *_, draws, states = stream.place()
    return [draws, {str(device): state for device, state in states.items()}]


def _go_to(stream: SeedGenerator, place: Any) -> None:
    draws, states = int(place[0]), {torch.device(name): _bytes(state) for name, state in place[1].items()}
    for device in states:
        stream.on(device)
    stream.go_to(stream.place()._replace(draws=draws, states=states))


def _bytes(state: Any) -> Tensor:
    return torch.as_tensor(state, dtype=torch.uint8, device="cpu")


def _words_of(one: random.Random) -> Any:
    version, words, following = one.getstate()
    return [version, np.array(words, np.uint32), following]


def _set_words(one: random.Random, state: Any) -> None:
    one.setstate((state[0], tuple(np.asarray(state[1]).tolist()), state[2]))


def _set_bits(generator: np.random.Generator, state: Any) -> None:
    generator.bit_generator.state = state


# What draws random numbers: how its state is read, and how it is set.
_KINDS: dict[type, tuple[Callable[[Any], Any], Callable[[Any, Any], None]]] = {
    SeedGenerator: (_place, _go_to),
    torch.Generator: (torch.Generator.get_state, lambda one, state: one.set_state(_bytes(state))),
    np.random.Generator: (lambda one: one.bit_generator.state, _set_bits),
    np.random.RandomState: (lambda one: one.get_state(legacy=False), np.random.RandomState.set_state),
    random.Random: (_words_of, _set_words),
}
_PYTHON: Any = random.getstate.__self__  # type: ignore[attr-defined]  # the one that all share
_DEPTH = 3  # of lists and dictionaries in each other that are looked into


def generators_in(*holders: Any) -> list[Any]:
    """What draws random numbers among the attributes of these objects and of the modules in them, each once."""
    found: list[Any] = []
    seen: set[int] = set()
    waiting = [(item, _DEPTH) for holder in holders for item in (holder, *getattr(holder, "__dict__", {}).values())]
    waiting.reverse()
    while waiting:
        value, depth = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, tuple(_KINDS)):
            if not getattr(value, "shared", False):  # torch's own, which is kept by itself
                found.append(value)
        elif isinstance(value, nn.Module):
            waiting += [(item, 1) for module in value.modules() for item in vars(module).values()][::-1]
        elif depth and type(value) in (list, tuple, dict):
            waiting += [(item, depth - 1) for item in (value.values() if type(value) is dict else value)][::-1]
    return found


def _read(generator: Any) -> Any:
    return next(read for kind, (read, _) in _KINDS.items() if isinstance(generator, kind))(generator)


def _set(generator: Any, state: Any) -> None:
    next(put for kind, (_, put) in _KINDS.items() if isinstance(generator, kind))(generator, state)


def random_state(generators: Sequence[Any]) -> dict[str, Any]:
    """Where Python's, NumPy's and torch's random numbers are, and those of the generators."""
    return {
        "python": _read(_PYTHON),
        "numpy": np.random.get_state(legacy=False),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "others": [_read(one) for one in generators],
    }


def put_random_state(generators: Sequence[Any], state: Any) -> None:
    """Go on from there. Raises ValueError, with nothing changed, for what `random_state` did not give for these."""
    before = random_state(generators)
    try:
        _put(generators, state)
    except (*FAULTS, RecursionError) as error:
        _put(generators, before)
        raise ValueError(f"the state of random numbers does not fit: {reason(error)}") from error


def _put(generators: Sequence[Any], state: Any) -> None:
    _set(_PYTHON, state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(_bytes(state["torch"]))
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([*map(_bytes, state["cuda"])])
    if len(state["others"]) != len(generators):
        raise ValueError(f"{len(state['others'])} streams of them are stored, and there are {len(generators)}")
    for one, own in zip(generators, state["others"], strict=True):
        _set(one, own)


@contextmanager
def unchanged(model: Any, data: Any) -> Iterator[None]:
    """What is computed by the model and read of the data inside leaves no random numbers drawn and no attribute of the
    data, its dataset and its samplers changed, nor what lists, dictionaries and sets among these hold."""
    parts = _parts_of(data)
    generators = generators_in(model, *parts)
    held: list[Any] = [vars(part) for part in parts if _has_vars(part)]
    held += [value for own in held for value in own.values() if type(value) in (list, dict, set)]
    state, before = random_state(generators), [one.copy() for one in held]
    try:
        yield
    finally:
        for one, items in zip(held, before, strict=True):
            _put_back(one, items)
        put_random_state(generators, state)


def _put_back(held: Any, items: Any) -> None:
    """What a list, a set or a dictionary held. Another thread may be reading of it: it is never without what stays."""
    if type(held) is list:
        held[:] = items
        return
    held.update(items)
    drop: Callable[[Any], object] = held.remove if type(held) is set else held.pop
    for each in {*held} - {*items}:
        drop(each)


def _has_vars(one: object) -> bool:
    return isinstance(getattr(one, "__dict__", None), dict)


# The run --------------------------------------------------------------------------------------------------------------


class Run(OfModel):
    """One `fit` of a model, which other processes may go on with.

    Of callbacks and of the data (a PyDataset, a DataLoader, its dataset and samplers) it keeps what draws random
    numbers among their attributes, and what `state_dict()` gives where they have it, for `load_state_dict(state)`.
    """

    def __init__(
        self,
        model: Any,
        feed: Feed | None = None,
        callbacks: Sequence[Any] = (),
        step: Callable[[Any], Any] | None = None,
        ranks: Ranks | None = None,
    ):
        self._model, self._feed, self._callbacks, self._step = model, feed, callbacks, step
        self._ranks, self._agreed = ranks, False
        self._data = [] if feed is None else _parts_of(feed.source.data)
        self._stateful = [part for part in self._data if _has_state(part)]
        self._waiting: tuple[dict[str, Any], Path] | None = None
        self._due: Callable[[], None] | None = None

    def keep_place(self) -> None:
        """From now on know where in the data the run is."""
        if self._feed is not None:
            self._feed.keep_place(self._state_of_data)

    @property
    def needs_place(self) -> bool:
        """Whether epochs are parts of a pass over the data."""
        return self._feed is not None and self._feed.steps is not None

    def save_later(self, save: Callable[[], None]) -> None:
        """Call `save` when all callbacks know of the batch or epoch that has just ended."""
        self._due = save
        if self._feed is None:
            self.save()

    def save(self) -> None:
        """What is due."""
        if self._due is not None:
            save, self._due = self._due, None
            save()

    @contextmanager
    def known_to_all(self) -> Iterator[None]:
        """Around what callbacks are told: what is due is saved behind it, even where one of them fails, unless other
        processes would have to save with this one."""
        try:
            yield
        except BaseException:
            if self._ranks is None:
                self.save()
            raise
        self.save()

    def state(self, epoch: int, batch: int) -> dict[str, Any]:
        """What is to be kept beside weights and optimizers, as plain data and arrays, after `batch` batches of `epoch`,
        or with 0 before it. Part of it is each process' own."""
        ranks = self._ranks
        callbacks = [one for one in self._callbacks if _has_state(one)]
        own = {
            "metrics": [metric.variables for metric in self._model._counting_metrics] if batch else [],
            "buffers": [*self._model.buffers()],
            "place": None if self._feed is None else self._feed.place(inside=batch > 0),
            "drawn": None if ranks is None else ranks.drawn,
            **self._state_of_data(),
        }
        return {
            "epoch": epoch,
            "batch": batch,
            "optimizers": [one.variables for one in _other_optimizers(self._model)],
            "callbacks": [[type(one).__name__, one.state_dict()] for one in callbacks],
            "processes": [own] if ranks is None else ranks.told(own),
        }

    def _generators(self) -> list[Any]:
        return generators_in(self._model, *self._callbacks, *self._data)

    def _state_of_data(self) -> dict[str, Any]:
        return {"random": random_state(self._generators()), "data": [part.state_dict() for part in self._stateful]}

    def _put_data(self, state: Any) -> None:
        for part, own in zip(self._stateful, state["data"], strict=True):
            part.load_state_dict(own)
        put_random_state(self._generators(), state["random"])

    def check(self, state: dict[str, Any]) -> None:
        """Raises ValueError, before any change, for what is not the state of such a run."""
        for name, kind in _FORM.items():
            if not isinstance(state[name], kind):
                raise ValueError(f"{name!r} of its run is a {type(state[name]).__name__}")
        for own in state["processes"]:
            for name, kind in _FORM_OF_PROCESS.items():
                if not isinstance(own[name], kind):
                    raise ValueError(f"{name!r} of its run is a {type(own[name]).__name__}")
        own = state["processes"][0]
        if self._feed is not None and len(own["data"]) != len(self._stateful):
            raise ValueError("it was written with other data")
        generators = self._generators()
        before = random_state(generators)
        put_random_state(generators, own["random"])
        put_random_state(generators, before)

    def wait_with(self, state: dict[str, Any], file: Path) -> None:
        """Go on with this, and with weights and optimizers in `file`, as soon as all callbacks have begun."""
        if self._feed is None:
            put_random_state(self._generators(), state["processes"][0]["random"])
        self._waiting = state, file

    def go_on(self, inside: bool) -> int:
        """Put back what waits, before an epoch or `inside` it; how many of its batches are behind.

        The first batch is trained on once before, so that all there is to be put back exists. Several processes go on
        with what the first one has read.
        """
        if self._ranks is not None and not self._agreed:
            self._waiting, self._agreed = self._ranks.of_first(self._waiting), True
        if self._waiting is None or inside != (self._waiting[0]["batch"] > 0):
            return 0
        (state, file), self._waiting = self._waiting, None
        feed: Any = self._feed
        items = [item for _, item in tree.saveables(self._model)] + _other_optimizers(self._model)
        if inside or not all(getattr(item, "built", True) for item in items):
            self._step(feed.peek())  # type: ignore[misc]
            feed.restart()
        with safe.reading(file):
            self._put(state, file, feed)
        return state["batch"]

    def _put(self, state: dict[str, Any], file: Path, feed: Feed) -> None:
        batch, most, ranks = state["batch"], feed.num_batches, self._ranks
        if batch > (most or batch):
            raise safe.Misfit(f"{batch} batches of an epoch are behind, which has {most} now. {_REPAIR}")
        own, as_they_were = self._own_of(state["processes"])
        pairs = [*_matched([[*self._model.buffers()]], [own["buffers"]])]
        pairs += _matched([one.variables for one in _other_optimizers(self._model)], state["optimizers"])
        if batch:
            pairs += _matched([metric.variables for metric in self._model._counting_metrics], own["metrics"])
        if ranks is None or ranks.first:
            backup.load_weights(self._model, file)
        if ranks is not None:
            ranks.send_model(self._model)
        with torch.no_grad():
            for target, value in pairs:
                target.copy_(torch.as_tensor(value))
        left = [*state["callbacks"]]
        for one in filter(_has_state, self._callbacks):
            found = next((pair for pair in left if pair[0] == type(one).__name__), None)
            if found is not None:
                left.remove(found)
                one.load_state_dict(found[1])
        if own["place"] is not None:
            begun, given = own["place"]
            feed.go_to(begun, given, batch, self._put_data)
        self._put_data(own)
        if ranks is not None:
            ranks.draw_on(self._model, torch.as_tensor(own["drawn"]) if as_they_were else None)

    def _own_of(self, processes: list[dict[str, Any]]) -> tuple[dict[str, Any], bool]:
        """What is this process', and whether there are as many as there were. Else all go on with what was the first
        one's, and metrics hold in the first one what all have counted."""
        rank, count = (0, 1) if self._ranks is None else (self._ranks.rank, self._ranks.count)
        if count == len(processes):
            return processes[rank], count > 1
        first = dict(processes[0])
        sums = [metric.variables for metric in self._model._counting_metrics]
        counted = zip(*(own["metrics"] for own in processes), strict=True)
        first["metrics"] = [
            [_sum(values, variable.aggregation, rank) for variable, *values in zip(variables, *each, strict=True)]
            for variables, each in zip(sums, counted, strict=False)
        ]
        return first, False


def _sum(values: list[Any], aggregation: Any, rank: int) -> Any:
    if aggregation != "sum":
        return values[0]
    return sum(values[1:], values[0]) if rank == 0 else np.zeros_like(values[0])


_FORM: dict[str, Any] = {"epoch": int, "batch": int, "optimizers": list, "callbacks": list, "processes": list}
_FORM_OF_PROCESS: dict[str, Any] = {"metrics": list, "buffers": list, "place": (list, type(None)), "data": list}
_REPAIR = "Are model, `compile` and data as they were? To begin anew, delete the backup."


def _parts_of(data: Any) -> list[Any]:
    """The data, and what a DataLoader makes its batches of, each once."""
    parts = [data, *(getattr(data, name, None) for name in ("dataset", "sampler", "batch_sampler"))]
    parts.append(getattr(parts[-1], "sampler", None))
    return [*{id(part): part for part in parts if part is not None}.values()]


def _other_optimizers(model: nn.Module) -> list[Any]:
    """Those that a model has under names of its own, as GANs do: files of weights hold none of them."""
    known = {id(item) for _, item in tree.saveables(model)}
    found = [value for module in model.modules() for value in vars(module).values() if isinstance(value, Optimizer)]
    return [*{id(one): one for one in found if id(one) not in known}.values()]


def _has_state(one: object) -> bool:
    return hasattr(one, "state_dict") and hasattr(one, "load_state_dict")


def _matched(own: Sequence[Sequence[Tensor]], stored: Any) -> Iterator[tuple[Tensor, Any]]:
    """Each tensor with its value. Raises Misfit where there are others."""
    shapes, found = ([[tuple(np.shape(one)) for one in each] for each in some] for some in (own, stored))
    if shapes != found:
        raise safe.Misfit(f"its metrics or other state differ from the model's. {_REPAIR}")
    for some, values in zip(own, stored, strict=True):
        yield from zip(some, values, strict=True)
