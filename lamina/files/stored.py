"""Arrays in files: what they are, and their values, which go piece by piece to where they belong.

Whoever reads makes the memory first, in the layout and type that it is to have; no array is ever held beside it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

PIECE = 1 << 21  # bytes that are read at once
ALIKE = 512  # bytes; rows at multiples of that distance share lines of the cache

Place = tuple[slice, ...]


class Stored:
    """An array in a file: its name, shape and type, and on demand its values in the machine's byte order."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype  # of the values

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def check(self) -> None:
        """Raises ValueError where reading would, for what the file holds."""

    def pieces(self) -> Iterator[tuple[Place, np.ndarray]]:
        """The values, `PIECE` bytes of the file at most at once, each with where it belongs."""
        raise TypeError(f"{type(self).__name__} tells no pieces")

    def fill(self, values: np.ndarray) -> None:
        """Write the values into contiguous memory of their own type."""
        for place, piece in self.pieces():
            values[place] = piece

    def into(self, target: Any) -> None:
        """Write the values into a tensor or array of this shape, of any layout, type and device."""
        import torch  # what only looks at a file does without

        if getattr(target, "sharded", False):
            target.assign(torch.from_numpy(self.read()))
            return
        memory: Any = target if isinstance(target, np.ndarray) else target.detach()
        values = memory if isinstance(target, np.ndarray) else as_array(memory)
        if values is None:
            for place, piece in self.pieces():
                memory[place].copy_(torch.from_numpy(piece))
        elif values.dtype == self.dtype and values.flags.c_contiguous:
            self.fill(values)
        else:
            with np.errstate(all="ignore"):
                for place, piece in self.pieces():
                    values[place] = piece if values.flags.c_contiguous else _apart(piece)

    def read(self) -> np.ndarray:
        """The values, in memory of their own that torch aligned."""
        import torch

        values = torch.empty(self.shape, dtype=getattr(torch, self.dtype.name)).numpy()
        self.fill(values)
        return values

    def __getitem__(self, place: Any) -> np.ndarray:
        return self.read()[place]


class Given(Stored):
    """An array that is no file's."""

    def __init__(self, name: str, values: np.ndarray):
        self.name, self.shape, self.dtype, self._values = name, values.shape, values.dtype, values

    def pieces(self) -> Iterator[tuple[Any, np.ndarray]]:
        yield ..., self._values


def _apart(values: np.ndarray) -> np.ndarray:
    """The same values, rows at such a distance that a column's do not all share the few same lines of the cache."""
    if values.ndim < 2 or values.strides[-2] % ALIKE:
        return values
    wide = np.empty((*values.shape[:-1], values.shape[-1] + 64 // values.itemsize), values.dtype)
    wide[..., : values.shape[-1]] = values
    return wide[..., : values.shape[-1]]


def as_array(tensor: Any) -> np.ndarray | None:
    """A tensor's memory as NumPy's; None where NumPy cannot see it."""
    tensor = tensor.detach()
    seen = tensor.device.type == "cpu" and str(tensor.dtype) != "torch.bfloat16" and not hasattr(tensor, "placements")
    return tensor.numpy() if seen else None


_SMALLEST = {"f": np.float16, "c": np.complex64, "b": np.bool_, "u": np.uint8, "i": np.int8}


def outline(array: Any) -> np.ndarray:
    """Zeros of an array's shape and kind of values, without the memory."""
    return np.broadcast_to(_SMALLEST[array.dtype.kind](0), array.shape)


def places(shape: Sequence[int], itemsize: int, unit: Sequence[int] | None = None) -> Iterator[Place]:
    """Parts of an array of at most `PIECE` bytes each, in order; of whole units where it is stored in such."""
    sides = list(unit or (1,) * len(shape))
    room = PIECE // max(1, math.prod(sides) * itemsize)
    for axis in reversed(range(len(shape))):
        times = max(1, min(-(-shape[axis] // sides[axis]), room))
        sides[axis], room = sides[axis] * times, room // times
    starts = [range(0, size, side) for size, side in zip(shape, sides, strict=True)]
    for place in itertools.product(*starts):
        yield tuple(
            slice(start, min(start + side, size)) for start, side, size in zip(place, sides, shape, strict=True)
        )


def shown_in_pieces(tensor: Any) -> Iterator[tuple[Place, np.ndarray]]:
    """A tensor's values for a file, in contiguous pieces: all at once where they lie so; bfloat16 as its bits."""
    import torch

    tensor = (tensor.whole() if getattr(tensor, "sharded", False) else tensor).detach()
    tensor = tensor.view(torch.int16) if tensor.dtype is torch.bfloat16 else tensor
    if tensor.device.type == "cpu" and tensor.is_contiguous():
        yield (), tensor.numpy()
        return
    for place in places(tensor.shape, tensor.element_size()):
        piece = tensor[place].cpu().numpy()
        order = sorted(range(piece.ndim), key=lambda axis: -piece.strides[axis])  # as it lies
        yield place, np.asarray(_apart(piece.transpose(order)).transpose(np.argsort(order)), order="C")
