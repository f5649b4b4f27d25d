"""What layers that learn from data, without training, share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from ...core import arrays
from ...core.declare import Declared, Kind, Refused, arg, boolean
from ...core.errors import named, short


class Adapting:
    """`adapt` goes through data once. A class says in `update_state` what a batch adds."""

    def adapt(self, data: Any, steps: int | None = None, *, batch_size: int | None = None) -> None:
        """Learn from an array or list, or from an iterable of batches, of which `steps` are taken; of a batch
        (x, y) it is x. `batch_size` cuts an array into batches. Raises ValueError where there is none."""
        self.reset_state()
        for batch in self._batches(data, steps, batch_size):
            self.update_state(batch)
        self.finalize_state()

    def _batches(self, data: Any, steps: int | None, batch_size: int | None) -> Iterator[Any]:
        if self._is_whole(data):
            size = batch_size or max(len(data), 1)
            given: Iterable[Any] = (data[start : start + size] for start in range(0, len(data), size))
        elif isinstance(data, Iterable) and not isinstance(data, (str, bytes, Mapping)):
            given = map(first_part, data)
        else:
            raise TypeError(
                f"{named(self)}: `adapt` takes an array, a list or an iterable of batches; got {short(data)}."
            )
        index = -1
        for index, batch in enumerate(given):
            if steps is not None and index >= steps:
                return
            yield batch
        if index < 0:
            raise ValueError(f"{named(self)}: `adapt` got an empty iterable, no batch at all.")

    def _is_whole(self, data: Any) -> bool:
        """Whether it is all of the data, rather than an iterable of batches."""
        return (arrays.is_array(data) and np.ndim(data) > 0) or arrays.is_listed(data)

    def reset_state(self) -> None:
        """Forget what was learned so far."""
        raise NotImplementedError

    def update_state(self, data: Any) -> None:
        """Learn from one batch more."""
        raise NotImplementedError

    def finalize_state(self) -> None:
        """Make what was learned count in calls."""
        raise NotImplementedError


def first_part(batch: Any) -> Any:
    """The data of a batch (x, y)."""
    if not isinstance(batch, (tuple, list)) or not batch:
        return batch
    first = next(iter(batch))
    pair = (
        arrays.is_array(first)
        or isinstance(first, Mapping)
        or (isinstance(batch, tuple) and not isinstance(first, arrays.PLAIN))
    )
    return first if pair else batch


def output_mode(*choices: str) -> Kind[str]:
    """How an index is put out."""
    olds = {"binary": "multi_hot", "tf-idf": "tf_idf"}

    def convert(value: Any, owner: Any) -> str:
        word = olds.get(value, value) if isinstance(value, str) else ""
        if word not in choices:
            raise Refused
        return word

    words = ", ".join(f'"{choice}"' for choice in choices)
    says = "Invalid value for argument `{}`. Expected"
    return Kind(f"one of {words}", convert, good=choices[:1], bad=("no-such-mode", 3.5, None), says=says)


def _dense(value: Any, owner: Any) -> bool:
    if boolean.convert(value, owner):
        raise Refused("Sparse outputs are not supported: PyTorch's layers take dense ones.")
    return False


dense = Kind("False", _dense, good=(False,), bad=(True, "yes"))


def _as_salt(value: Any, owner: Any) -> list[int]:
    both = [value, value] if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(both, (list, tuple)) or len(both) != 2:
        raise Refused
    if not all(isinstance(part, int) and -(2**63) <= part < 2**64 for part in both):
        raise Refused
    return list(both)


salt = Kind(
    "two integers, or one",
    _as_salt,
    good=([3, 3],),
    bad=("a", 1.5, [1, 2, 3], True),
    says="argument `{}` can only be a tuple of size 2,",
).optional()


class Salt(Declared):
    salt: Any = arg(salt, default=None, doc="Key of SipHash, which then takes the place of FarmHash.")


def as_tensor(value: Any, owner: Any) -> Tensor:
    """What holds numbers as a tensor on the CPU."""
    return arrays.tensor_of(value, named(owner)).detach().cpu()


def encoded_shape(shape: Any, mode: str, depth: int | None) -> tuple:
    """The shape of indices of a shape once they are encoded."""
    shape = tuple(shape)
    if mode == "int":
        return shape
    if mode == "one_hot" and not (len(shape) > 1 and shape[-1] == 1):
        return (*shape, depth)
    if mode != "one_hot" and len(shape) > 2:
        return (shape[0], *shape[2:], depth)
    return (*shape[:-1], depth)
