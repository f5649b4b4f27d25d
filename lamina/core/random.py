"""Randomness: torch's own generators, and seeded ones that belong to a layer."""

from __future__ import annotations

import itertools
import random as python_random
import zlib
from collections.abc import Sequence
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils.data import get_worker_info


def set_random_seed(seed: int) -> None:
    """Seed Python, NumPy and torch. Raises ValueError unless `seed` is an integer."""
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError(f"set_random_seed: `seed` must be an integer; got {seed!r}.")
    python_random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


class SeedGenerator:
    """A stream of random numbers of its own: the same seed gives the same draws, whatever else draws meanwhile.

    It has a torch generator for each device it draws on. Copies and pickles go on from where the stream is; in each
    worker of a DataLoader it is another stream, told by the seed and by the worker's.
    """

    _home = "keras.random"

    def __init__(self, seed: int | None = None, name: str | None = None):
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0):
            raise ValueError(f"SeedGenerator: `seed` must be a non-negative integer or None; got {seed!r}.")
        self._seed = python_random.randrange(2**31) if seed is None else int(seed)
        self.name = name
        self._generators: dict[torch.device, torch.Generator] = {}
        self._draws = 0
        self._worker: int | None = None  # the seed of the DataLoader's worker that draws
        self._enter()

    def _enter(self) -> None:
        self._number = next(_numbers)
        _streams[self._number] = self

    @property
    def state(self) -> Tensor:
        """The seed, and how often the stream was drawn from, as they are now."""
        return torch.tensor([self._seed, self._draws])

    def next(self, ordered: bool = True) -> Tensor:
        """The state, which is another one after each call; `ordered` or not."""
        state = self.state
        self._draws += 1
        return state

    def on(self, device: torch.device) -> torch.Generator:
        """The torch generator of this stream on `device`, for a draw."""
        self._draws += 1
        worker = get_worker_info()
        if worker is not None and worker.seed != self._worker:  # not all workers of a DataLoader are to draw the same
            self._worker, self._generators = worker.seed, {}
        generator = self._generators.get(device)
        if generator is None:
            generator = torch.Generator(device)
            generator.manual_seed(self._seed if worker is None else (self._seed + worker.seed) % 2**63)
            self._generators[device] = generator
        return generator

    def draw(self, like: Tensor, shape: Sequence[int], how: str, *numbers: float) -> Tensor:
        """A tensor of this shape and of the type and device of `like`, filled by torch's method `how` of `numbers`."""
        if torch.compiler.is_compiling():
            # Of equal calls of `new_empty` some backends keep one, and its two fillings with it.
            values = torch.empty(shape, dtype=like.dtype, device=like.device)
            _fill(values, how, numbers, self._number)
            return values
        return getattr(like.new_empty(shape), how)(*numbers, generator=self.on(like.device))

    def skip(self, draws: int) -> None:
        """Count draws that its generators made by themselves."""
        self._draws += draws

    def place(self) -> tuple[int, dict[torch.device, Tensor]]:
        """Where the stream is: how often it was drawn from, and its state on each device."""
        return self._draws, {device: generator.get_state() for device, generator in self._generators.items()}

    def go_to(self, place: tuple[int, dict[torch.device, Tensor]]) -> None:
        """Go on from where the stream was."""
        self._draws, states = place
        for device, generator in self._generators.items():
            generator.set_state(states[device]) if device in states else generator.manual_seed(self._seed)

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
        return {"_seed": self._seed, "name": self.name, "_generators": states, "_draws": self._draws}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._seed, self.name, self._generators, self._draws = state["_seed"], state["name"], {}, 0
        self._worker = None
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
    """The seeded streams that the layers in a module hold, alone or in lists and dictionaries, each once."""
    held = (value for each in module.modules() for value in vars(each).values() if isinstance(value, _HOLDERS))
    found = [leaf for value in held for leaf in pytree.tree_leaves(value) if isinstance(leaf, SeedGenerator)]
    return [*{id(stream): stream for stream in found}.values()]


@torch.library.custom_op(
    "lamina::fill",
    mutates_args=("values",),
    schema="(Tensor(a!) values, str how, float[] numbers, SymInt stream) -> ()",
    tags=(torch.Tag.nondeterministic_seeded, torch.Tag.cudagraph_unsafe),
)
def _fill(values: Tensor, how: str, numbers: Sequence[float], stream: int) -> None:
    getattr(values, how)(*numbers, generator=_streams[stream].on(values.device))


def stream(seed: int | SeedGenerator | None) -> SeedGenerator | None:
    """The stream a `seed` argument stands for; None is torch's global one."""
    return seed if seed is None or isinstance(seed, SeedGenerator) else SeedGenerator(seed)


def generator(stream: SeedGenerator | None, device: torch.device) -> torch.Generator | None:
    """The torch generator of a stream on `device`; None for torch's global one."""
    return None if stream is None else stream.on(device)
