"""Texts: lists and arrays of them on the way in, their hashes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...core import arrays, dtypes
from ...core.arrays import TEXTS
from ...core.errors import named, short
from ...core.layer import Layer
from ...core.scope import put, scope
from ...core.symbolic import SymbolicTensor, any_symbolic, shapes_of
from ...kernels import hashing

Data = Tensor | np.ndarray


class _Outside(threading.local):
    device: torch.device | None = None  # the default one, while texts are read on the CPU


_outside = _Outside()


class Textual(Layer):
    """A layer that takes texts, or integers, and runs where they are: texts in no tensor, on the CPU."""

    _takes_text = True
    _autocast = False

    def __call__(self, /, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if scope.trying and self._takes_text and (kind := self._output_type()) != dtypes.TEXT:
            sizes = self.compute_output_shape(shapes_of(inputs))  # of what stands in for texts, a shape is all there is
            batch = torch.as_tensor(inputs[0] if isinstance(inputs, list) else inputs).shape[0]
            return torch.empty([batch if size is None else size for size in sizes], dtype=dtypes.torch_dtype(kind))
        known = type(inputs) is Tensor or hasattr(inputs, "through")  # rows of several lengths ask for each value
        if not known and not any_symbolic(inputs if type(inputs) is not list else inputs[:1]):
            inputs = self._read(inputs)
        if type(inputs) is not np.ndarray or (device := torch.get_default_device()).type == "cpu":
            return super().__call__(inputs, *args, **kwargs)
        with torch.device("cpu"), put(_outside, device=device):
            return super().__call__(inputs, *args, **kwargs)

    def _apply(self, fn: Callable, recurse: bool = True) -> Any:
        super()._apply(fn, recurse)
        vars(self)["_place"] = fn(torch.empty(0)).device
        return self

    def placed(self, found: Tensor) -> Tensor:
        """What came of texts, where the layer is: where its model was moved, else where tensors are made."""
        return found.to(vars(self).get("_place") or _outside.device or torch.get_default_device())

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
    if isinstance(inputs, Tensor) and (inputs.device.type != "cpu" or scope.trying or torch.compiler.is_compiling()):
        words, lengths = hashing.decimal(inputs.reshape(-1))
        return _hash(words, lengths, key, 0).reshape(inputs.shape)
    if isinstance(inputs, Tensor):
        inputs = inputs.numpy().astype("S")
    packed = ascii_words(inputs)
    if packed is None:
        rows: Any = texts_of(inputs, owner)
        rows = rows if "".join(rows).isascii() else encoded(rows)
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        if lengths.max(initial=0) > WIDE:
            return _by_length(rows, lengths, key).reshape(inputs.shape)
        packed = _words(rows, lengths), lengths
    words, lengths = map(torch.from_numpy, packed)
    return _hash(words, lengths, key, int(packed[1].min(initial=WIDE))).reshape(inputs.shape)


WIDE = 64  # bytes up to which texts of all lengths are hashed together


def ascii_words(array: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """The bytes of an array's short texts, eight to a word as `kernels.hashing` reads them, and their number; None
    where it holds texts as objects, long ones or letters beyond ASCII."""
    size = {"U": 4, "S": 1}.get(array.dtype.kind, 0) if isinstance(array, np.ndarray) else 0
    if not size or not array.size or not 0 < array.itemsize <= WIDE * size or not array.dtype.isnative:
        return None
    codes = np.ascontiguousarray(array).reshape(-1).view("u4" if size == 4 else "u1").reshape(array.size, -1)
    if codes.max() > 127:
        return None
    padded = np.zeros((array.size, codes.shape[1] + 15 & -8), np.uint8)
    padded[:, : codes.shape[1]] = codes
    return padded.view("<i8"), np.char.str_len(array.reshape(-1))


def _words(rows: list[Any], lengths: np.ndarray) -> np.ndarray:
    width = int(lengths.max(initial=1)) + 15 & -8
    return np.array(rows, dtype=f"S{width}").view("<i8").reshape(len(rows), width // 8)


def _by_length(rows: list[Any], lengths: np.ndarray, key: list[int] | None) -> Tensor:
    """The hashes of rows, like lengths together: one long text must not make the others long."""
    found, at_most = torch.zeros(len(rows), dtype=torch.int64, device="cpu"), 0
    while (lengths > at_most).any() or not at_most:
        least, at_most = at_most + bool(at_most), max(2 * at_most, WIDE)
        chosen = np.flatnonzero((lengths >= least) & (lengths <= at_most))
        if len(chosen):
            some = lengths[chosen]
            words = _words([rows[index] for index in chosen.tolist()], some)
            found[chosen] = _hash(torch.from_numpy(words), torch.from_numpy(some), key, int(some.min()))
    return found


def _hash(words: Tensor, lengths: Tensor, key: list[int] | None, shortest: int) -> Tensor:
    return hashing.fingerprint(words, lengths, shortest) if key is None else hashing.keyed(words, lengths, key)
