"""Texts: lists and arrays of them on the way in, their hashes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...core import arrays, dtypes
from ...core.arrays import TEXTS
from ...core.errors import named, short
from ...core.layer import Layer
from ...core.scope import scope
from ...core.symbolic import SymbolicTensor, any_symbolic, shapes_of
from ...kernels import hashing

Data = Tensor | np.ndarray


class Textual(Layer):
    """A layer that takes texts, or integers, and runs where they are: texts in no tensor, on the CPU."""

    _takes_text = True
    _autocast = False

    def __call__(self, /, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if scope.trying and self._takes_text and (kind := self._output_type()) != dtypes.TEXT:
            sizes = self.compute_output_shape(shapes_of(inputs))  # of what stands in for texts, a shape is all there is
            batch = torch.as_tensor(inputs[0] if isinstance(inputs, list) else inputs).shape[0]
            return torch.empty([batch if size is None else size for size in sizes], dtype=dtypes.torch_dtype(kind))
        if type(inputs) is not Tensor and not any_symbolic(inputs if type(inputs) is not list else inputs[:1]):
            inputs = self._read(inputs)
        return super().__call__(inputs, *args, **kwargs)

    def _apply(self, fn: Callable, recurse: bool = True) -> Any:
        super()._apply(fn, recurse)
        vars(self)["_place"] = fn(torch.empty(0)).device
        return self

    def placed(self, found: Tensor) -> Tensor:
        """What came of texts, where the layer is: where its model was moved, else where tensors are made."""
        return found.to(vars(self).get("_place") or torch.get_default_device())

    def _read(self, inputs: Any) -> Data:
        return as_array(inputs, self)

    def build(self, input_shape: Any = None) -> None:
        """There is nothing to make."""

    def compute_output_spec(self, inputs: Any, **kwargs: Any) -> Any:
        return SymbolicTensor(self.compute_output_shape(shapes_of(inputs)), self._output_type())

    def _output_type(self) -> Any:
        """The type of the output, "string" for texts."""
        raise NotImplementedError


def as_array(value: Any, owner: Layer) -> Data:
    """Texts, lists of them, and whatever holds texts as an array of them; tensors as they are."""
    if isinstance(value, (np.ndarray, Tensor)):
        return value
    to_numpy = getattr(value, "to_numpy", None)
    if to_numpy is not None:
        return np.asarray(to_numpy())
    kind = object if isinstance(arrays.first_of(value), TEXTS) else None
    try:
        found = np.array(value, dtype=kind)
        if kind is None or not any(isinstance(item, (list, tuple)) for item in found.flat):
            return found
    except ValueError:  # so NumPy says it of numbers
        pass
    raise ValueError(f"{named(owner)}: the lists differ in length, so they are no array: {short(value)}.")


def texts_of(array: Data, owner: Layer, encoding: str = "utf-8") -> list[str]:
    """All texts of an array, flat. Raises ValueError where there is anything else."""
    found: list[Any] = array.ravel().tolist()
    if isinstance(array, np.ndarray) and array.dtype.kind == "U":
        return found
    kinds = set(map(type, found))
    if kinds <= {str}:
        return found
    if not kinds <= set(TEXTS):
        place = next(index for index, item in enumerate(found) if not isinstance(item, TEXTS))
        raise ValueError(
            f"{named(owner)}: expected texts; got {short(found[place])} ({type(found[place]).__name__}) at place "
            f"{place}."
        )
    return [item.decode(encoding, "surrogateescape") if isinstance(item, bytes) else str(item) for item in found]


def encoded(texts: list[str]) -> list[bytes]:
    return [text.encode("utf-8", "surrogateescape") for text in texts]


def hashes(inputs: Data, owner: Layer, key: list[int] | None = None) -> Tensor:
    """The 64-bit hash of every text, or of the decimal text of every integer: FarmHash, with a `key` SipHash."""
    if isinstance(inputs, Tensor):
        words, lengths = hashing.decimal(inputs.reshape(-1))
        return _hash(words, lengths, key).reshape(inputs.shape)
    rows = encoded(texts_of(inputs, owner))
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.int64)
    found = torch.zeros(len(rows), dtype=torch.int64)
    at_most = 16
    while True:  # rows of like lengths together: one long text must not make the others long
        chosen = ((lengths <= at_most) & ((lengths > at_most // 2) | (at_most == 16))).nonzero()[:, 0]
        if len(chosen):
            some = [rows[index] for index in chosen.tolist()] if len(chosen) < len(rows) else rows
            words = np.array(some, dtype=f"S{at_most + 8}").view("<i8").reshape(len(some), -1)
            found[chosen] = _hash(torch.from_numpy(words), lengths[chosen], key)
        if not (lengths > at_most).any():
            return found.reshape(inputs.shape)
        at_most *= 2


def _hash(words: Tensor, lengths: Tensor, key: list[int] | None) -> Tensor:
    return hashing.fingerprint(words, lengths) if key is None else hashing.keyed(words, lengths, key)
