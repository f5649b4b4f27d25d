"""Randomness: torch's own generators, and seeded ones that belong to a layer."""

from __future__ import annotations

import itertools
import random as python_random
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import get_worker_info

from .children import leaves
from .placing import only_shapes
from .weight import Weight


def set_random_seed(seed: int) -> None:
    """Seed Python, NumPy and torch. Raises ValueError unless `seed` is an integer."""
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError(f"set_random_seed: `seed` must be an integer; got {seed!r}.")
    python_random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


class Place(NamedTuple):
    """Where a stream is: its seed, that of its generators, how often it was drawn from, and their states."""

    seed: int
    start: int
    draws: int
    states: dict[torch.device, Tensor]


class SeedState(Weight):
    """Where a stream of random numbers is, as a variable."""

    stream: SeedGenerator

    def __new__(cls, values: Tensor, trainable: bool = False, path: str = "") -> Any:
        return super().__new__(cls, values, trainable=trainable, name="seed_generator_state", path=path)

    def assign(self, value: Any) -> Any:
        """Begin the stream at that place: the same state gives the same draws."""
        super().assign(value)
        self.stream.begin(*self.tolist())
        return self


class SeedGenerator:
    """A stream of random numbers of its own: the same seed gives the same draws, whatever else draws meanwhile.

    It has a torch generator for each device it draws on; one that is `shared` draws from torch's global generators
    until its state is assigned. Copies and pickles go on from where the stream is; in each worker of a DataLoader it is
    another stream, told by the seed and by the worker's.
    """

    _home = "keras.random"
    shared = False

    def __init__(self, seed: int | None = None, name: str | None = None):
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0):
            raise ValueError(f"SeedGenerator: `seed` must be a non-negative integer or None; got {seed!r}.")
        self._seed = python_random.randrange(2**31) if seed is None else int(seed)
        self.name = name
        self._generators: dict[torch.device, torch.Generator] = {}
        self._draws = 0
        self._start = self._seed  # of its generators
        self._worker: int | None = None  # the seed of the DataLoader's worker that draws
        self._enter()

    def _enter(self) -> None:
        self._state: SeedState | None = None
        self._number = next(_numbers)
        _streams[self._number] = self

    @property
    def state(self) -> SeedState:
        """A variable of two integers: the seed, and how often the stream was drawn from when this is asked for."""
        state = self._state
        if state is None:
            state = self._state = SeedState(torch.zeros(2, dtype=torch.int64), path=self.name or "seed_generator")
            state.stream = self
        if state.tolist() != [self._seed, self._draws]:
            state.data.copy_(torch.tensor([self._seed, self._draws]))
        return state

    def next(self, ordered: bool = True) -> Tensor:
        """The state, which is another one after each call; `ordered` or not."""
        state = torch.tensor([self._seed, self._draws])
        self._count()
        return state

    def _count(self) -> None:
        if not only_shapes():  # there nothing is drawn
            self._draws += 1

    def begin(self, seed: int, draws: int) -> None:
        """Go to the place that a state tells: the same one gives the same draws, that of now changes nothing."""
        if (seed, draws) == (self._seed, self._draws):
            return
        self.shared = False
        self._seed, self._draws = seed, draws
        self._start = zlib.crc32(f"{seed} {draws}".encode()) if draws else seed
        for generator in self._generators.values():
            generator.manual_seed(self._start)

    def on(self, device: torch.device) -> torch.Generator:
        """The torch generator of this stream on `device`, for a draw."""
        self._count()
        worker = get_worker_info()
        if worker is not None and worker.seed != self._worker:  # not all workers of a DataLoader are to draw the same
            self._worker, self._generators = worker.seed, {}
        generator = self._generators.get(device)
        if generator is None:
            generator = torch.Generator(device)
            generator.manual_seed(self._start if worker is None else (self._start + worker.seed) % 2**63)
            self._generators[device] = generator
        return generator

    def draw(self, like: Tensor, shape: Sequence[int], how: str, *numbers: float) -> Tensor:
        """A tensor of this shape and of the type and device of `like`, filled by torch's method `how` of `numbers`."""
        if self.shared:
            return getattr(like.new_empty(shape), how)(*numbers)
        if torch.compiler.is_compiling():
            # Of equal calls of `new_empty` some backends keep one, and its two fillings with it.
            values = torch.empty(shape, dtype=like.dtype, device=like.device)
            _fill(values, how, numbers, self._number)
            return values
        return getattr(like.new_empty(shape), how)(*numbers, generator=self.on(like.device))

    def skip(self, draws: int) -> None:
        """Count draws that its generators made by themselves."""
        self._draws += draws

    def place(self) -> Place:
        """Where the stream is."""
        states = {device: generator.get_state() for device, generator in self._generators.items()}
        return Place(self._seed, self._start, self._draws, states)

    def go_to(self, place: Place) -> None:
        """Go on from where the stream was."""
        self._seed, self._start, self._draws, states = place
        for device, generator in self._generators.items():
            generator.set_state(states[device]) if device in states else generator.manual_seed(self._start)

    def depart(self, number: int) -> None:
        """Draw other numbers from now on, on the devices where it drew: told by where it is and by `number`."""
        for device in [*self._generators] or [torch.device("cpu")]:
            state = self.on(device).get_state().numpy().tobytes()
            self.on(device).manual_seed(zlib.crc32(state) + number)
            self._draws -= 2

    def get_config(self) -> dict[str, Any]:
        return {"seed": self._seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        return cls(**config)

    def __getstate__(self) -> dict[str, Any]:
        states = {str(device): generator.get_state() for device, generator in self._generators.items()}
        own = {"_seed": self._seed, "_start": self._start, "name": self.name, "shared": self.shared}
        return {**own, "_generators": states, "_draws": self._draws}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._seed, self.name, self._generators, self._draws = state["_seed"], state["name"], {}, 0
        self._start = state.get("_start", self._seed)
        self._worker, self.shared = None, state.get("shared", False)
        self._enter()
        for device, generator_state in state["_generators"].items():
            if torch.device(device).type == "cpu" or torch.cuda.is_available():
                self.on(torch.device(device)).set_state(generator_state)
        self._draws = state["_draws"]


# A compiled graph holds no generators: it holds the number of a stream, and looks the stream up at every call.
_numbers = itertools.count()
_streams: WeakValueDictionary[int, SeedGenerator] = WeakValueDictionary()


_HOLDERS = (SeedGenerator, list, tuple, dict)


def drawn() -> dict[SeedGenerator, int]:
    """How often each stream was drawn from."""
    return {stream: stream._draws for stream in [*_streams.values()]}


def streams_of(module: nn.Module) -> list[SeedGenerator]:
    """The seeded streams of the layers in a module, each once."""
    found = [stream for each in module.modules() for stream in own_streams(each) if not stream.shared]
    return [*{id(stream): stream for stream in found}.values()]


def own_streams(module: nn.Module) -> list[SeedGenerator]:
    """Those that a module itself holds, alone or in lists and dictionaries."""
    held = (value for value in vars(module).values() if isinstance(value, _HOLDERS))
    return [leaf for leaf in leaves(list(held)) if isinstance(leaf, SeedGenerator)]


def states_of(layer: nn.Module) -> list[SeedState]:
    """The states of its own streams; their paths tell the layer."""
    states = [stream.state for stream in own_streams(layer)]
    for number, state in enumerate(states):
        state.path = f"{layer.path or layer.name}/{state.stream.name or 'seed_generator'}{f'_{number}' * bool(number)}"
    return states


@torch.library.custom_op(
    "lamina::fill",
    mutates_args=("values",),
    schema="(Tensor(a!) values, str how, float[] numbers, SymInt stream) -> ()",
    tags=(torch.Tag.nondeterministic_seeded, torch.Tag.cudagraph_unsafe),
)
def _fill(values: Tensor, how: str, numbers: Sequence[float], stream: int) -> None:
    getattr(values, how)(*numbers, generator=_streams[stream].on(values.device))


def stream(seed: int | SeedGenerator | None) -> SeedGenerator:
    """The stream a `seed` argument stands for; None is torch's global one."""
    if isinstance(seed, SeedGenerator):
        return seed
    made = SeedGenerator(seed or 0)
    made.shared = seed is None
    return made


def generator(stream: SeedGenerator, device: torch.device) -> torch.Generator | None:
    """The torch generator of a stream on `device`; None for torch's global one."""
    return None if stream.shared else stream.on(device)
