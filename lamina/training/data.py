"""Data of any kind as batches of tensors: (x, y, sample_weight), one epoch after another."""

from __future__ import annotations

import itertools
import math
import random
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils.data import DataLoader, IterableDataset

from ..core import arrays, config
from ..core.arrays import PLAIN, alike, is_array, is_listed, numbers, tensor_of
from ..core.calling import takes_texts
from ..core.declare import short
from ..core.devices import device_of
from ..core.dtypes import torch_dtype
from ..core.errors import warn

Batch = tuple[Any, Any, Any]

_MAPPED = 1 << 26  # bytes of an array in a file up to which it is taken as any other
_GATHERED = 1 << 20  # bytes of samples that are fetched from arrays at a time, then cut into batches


# One array ------------------------------------------------------------------------------------------------------------


def as_tensor(value: Any, name: str = "data", device: torch.device | None = None, texts: bool = False) -> Any:
    """An array as a tensor: floats of any size as `floatx`, integers as they are, without a copy where possible. Where
    there may be `texts`, they stay an array of NumPy.

    Raises ValueError for other values that are no numbers.
    """
    if texts and (found := arrays.texts(value)) is not None:
        return found
    value = tensor_of(value, name)
    if value.requires_grad:
        value = value.detach()
    if value.layout is not torch.strided:
        raise ValueError(f"{name}: sparse tensors are not supported; pass {name}.to_dense().")
    if value.is_floating_point() and value.dtype != (kind := torch_dtype(config.floatx())):
        value = value.to(kind)
    return value if device is None or value.device == device else value.to(device, non_blocking=True)


def unlisted(structure: Any, name: str, texts: bool = False) -> Any:
    """The structure with arrays in place of nested lists of numbers or texts, which are data, not several inputs."""
    if is_listed(structure):
        found = arrays.texts(structure) if texts else None
        return numbers(structure, name) if found is None else found
    if isinstance(structure, Mapping):
        return {key: unlisted(item, f"{name}[{key!r}]", texts) for key, item in structure.items()}
    if isinstance(structure, (list, tuple)):
        return alike(structure, (unlisted(item, f"{name}[{i}]", texts) for i, item in enumerate(structure)))
    return structure


def _named_leaves(structure: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every array in a structure, with the name that messages give it."""
    if isinstance(structure, Mapping):
        for key, item in structure.items():
            yield from _named_leaves(item, f"{name}[{key!r}]")
    elif isinstance(structure, (list, tuple)):
        for index, item in enumerate(structure):
            yield from _named_leaves(item, f"{name}[{index}]")
    elif structure is not None:
        yield name, structure


def tensors_of(
    structure: Any, name: str, device: torch.device | None = None, texts: bool = False, mapped: bool = False
) -> Any:
    """A structure of arrays as the same structure of tensors; dictionaries of any kind become plain ones. Where they
    may be `mapped`, arrays in files stay what they are."""
    options = device, texts, mapped
    if isinstance(structure, Tensor):
        return as_tensor(structure, name, device)
    if isinstance(structure, Mapping):
        return {key: tensors_of(item, f"{name}[{key!r}]", *options) for key, item in structure.items()}
    if isinstance(structure, (list, tuple)) and not is_listed(structure):
        return alike(structure, (tensors_of(item, f"{name}[{i}]", *options) for i, item in enumerate(structure)))
    if structure is None or (mapped and _is_mapped(structure)):
        return structure
    return as_tensor(structure, name, device, texts)


def _is_mapped(value: object) -> bool:
    """Whether it is an array in a file whose tensor would be a copy, one that may be large against the memory."""
    if not isinstance(value, np.memmap) or not value.ndim or value.nbytes <= _MAPPED:
        return False
    kind = value.dtype.kind
    return kind in "iuf" and ((kind == "f" and value.dtype != config.floatx()) or value.dtype not in arrays.READ)


def unpack(data: Any) -> Batch:
    """`x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)` as a triple. Raises ValueError for longer tuples."""
    if isinstance(data, list):
        data = tuple(data)
    if not isinstance(data, tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(f"Expected data of the form x, (x, y) or (x, y, sample_weight); got {len(data)} parts.")
    x, y, sample_weight = (*data, None, None)[:3]
    return x, y, sample_weight


def pack(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """The shortest form that `unpack` takes back: what a `train_step` of one's own is given."""
    if sample_weight is not None:
        return x, y, sample_weight
    if y is not None:
        return x, y
    return (x,) if isinstance(x, (list, tuple)) else x


def rows_of(x: Any) -> int:
    """The number of samples in a batch."""
    if type(x) is list and type(x[0]) is Tensor:
        x = x[0]
    return (x if isinstance(x, Tensor) else next(leaf for leaf in pytree.tree_leaves(x) if leaf is not None)).shape[0]


def class_weights(y: Any, weights: Mapping[int, float], sample_weight: Any = None) -> Tensor:
    """The weight of every sample, from its class: 1 for classes that `weights` does not name.

    `y`: class numbers (n,) or (n, 1), or one-hot rows (n, classes). Raises ValueError for several outputs, and
    beside weights of the samples.
    """
    if sample_weight is not None:
        raise ValueError(
            "Give `class_weight` or `sample_weight`, not both; multiply them yourself where both are meant."
        )
    if not isinstance(weights, Mapping):
        raise ValueError(f"`class_weight` must be a dictionary from class to weight, {{0: 1.0}}; got {short(weights)}.")
    if not isinstance(y, Tensor):
        raise ValueError("`class_weight` needs a single array of targets; pass `sample_weight` for several outputs.")
    if y.ndim > 1:
        y = y.squeeze(-1) if y.shape[-1] == 1 else y.argmax(-1)
    labels = y.round() if y.is_floating_point() else y
    found = torch.ones(labels.shape, dtype=torch_dtype(config.floatx()), device=labels.device)
    for label, weight in weights.items():
        try:
            found[labels == int(label)] = float(weight)
        except ValueError:
            raise ValueError(f"`class_weight` goes from class numbers to weights; got {label!r}: {weight!r}.") from None
    return found


def split_end(data: tuple, fraction: float, texts: bool = False) -> tuple[Any, Any]:
    """The first samples of all arrays and, as a second structure, the last `fraction` of them (Keras' rule).

    Raises ValueError for what cannot be sliced and where one of the parts would be empty.
    """
    leaves = [leaf for leaf in pytree.tree_leaves(data) if leaf is not None]
    others = sorted({type(leaf).__name__ for leaf in leaves if not is_array(leaf) and not isinstance(leaf, PLAIN)})
    if others:
        raise ValueError(
            f"`validation_split` works on arrays; got {', '.join(others)}. Pass `validation_data` instead."
        )
    x, y, sample_weight = data
    data = (
        tensors_of(x, "x", texts=texts, mapped=True),
        tensors_of(y, "y", mapped=True),
        tensors_of(sample_weight, "sample_weight"),
    )
    leaves = [leaf for leaf in pytree.tree_leaves(data) if leaf is not None]
    count = len(leaves[0])
    place = math.floor(count * (1 - fraction))
    if place in (0, count):
        raise ValueError(
            f"`validation_split={fraction}` of {count} samples leaves one part empty; give more data or another split."
        )

    def part(begin: int, end: int) -> Any:
        def cut(leaf):
            return None if leaf is None else leaf[begin:end]

        return pytree.tree_map(cut, data)

    return part(0, place), part(place, count)


# Sources --------------------------------------------------------------------------------------------------------------


class Source:
    """Where batches come from. `batches()` starts a pass, at once: all that is drawn for its order is drawn then.

    `num_batches` is None where only the end tells.
    """

    kind = "data"
    num_batches: int | None = None
    num_samples: int | None = None
    lacks_targets = False
    targets: Any = None  # all of them, where they are at hand
    sizes: Any = None  # of a sample of x and y, where all have the same
    restarts = True  # False: what was read is gone
    endless = False  # True: the next pass follows by itself, and an epoch has `num_batches` unless told otherwise
    in_turn = False  # True: no batch is made while another is in use, so that what they draw has one order
    data: Any = None  # what it reads, where that has a state

    def batches(self) -> Iterator[Batch]:
        raise NotImplementedError

    def batches_after(self, count: int) -> Iterator[Batch]:
        """A pass whose first batches are behind."""
        batches = self.batches()
        for _ in itertools.islice(batches, count):
            pass
        return batches

    def beside(self) -> Callable[[], Batch | None] | None:
        """What reads a batch beside the passes; None where reading it could change what these give."""
        return None

    def read_in_turn(self) -> None:
        self.in_turn = True

    def on_epoch_begin(self) -> None:
        """Hook."""

    def on_epoch_end(self) -> None:
        """Hook."""

    def on_pass_end(self) -> None:
        """Hook, where passes follow each other."""


class Arrays(Source):
    """Arrays of equal length, converted once. Small batches are cut from larger gathered pieces. What lies in a file
    (`numpy.memmap`) and is of another type is converted piece by piece."""

    kind = "arrays"

    def __init__(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        batch_size: int | None,
        steps: int | None,
        shuffle: bool | str,
        device: torch.device,
    ):
        leaves, self._spec = pytree.tree_flatten((x, y, sample_weight))
        self._plain = not any(isinstance(part, (list, tuple, dict)) for part in (x, y, sample_weight))
        self.lacks_targets = y is None
        tensors = [leaf for leaf in leaves if leaf is not None]
        self.num_samples = len(tensors[0])
        self.batch_size = batch_size or (math.ceil(self.num_samples / steps) if steps else 32)
        self.num_batches = math.ceil(self.num_samples / self.batch_size)
        self._shuffle, self._device = shuffle, device
        if device.type == "cuda":
            free = torch.cuda.mem_get_info(device)[0]
            if sum(tensor.nbytes for tensor in tensors) < free // 4:
                leaves = [leaf.to(device) if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        self._leaves = leaves
        row = max(1, sum(tensor.nbytes for tensor in tensors) // self.num_samples)
        self._gathered = self.batch_size * max(1, _GATHERED // (row * self.batch_size))

    @property
    def sizes(self) -> Any:  # type: ignore[override]
        given = pytree.tree_unflatten(self._leaves, self._spec)[:2]
        return pytree.tree_map(lambda leaf: None if leaf is None else tuple(leaf.shape[1:]), given)

    @property
    def targets(self) -> Any:  # type: ignore[override]
        targets = pytree.tree_unflatten(self._leaves, self._spec)[1]
        return None if any(map(_is_mapped, pytree.tree_leaves(targets))) else targets

    def batches(self) -> Iterator[Batch]:
        return self._pieces(self._order())

    def _pieces(self, order: Tensor | None) -> Iterator[Batch]:
        size, assemble = self.batch_size, None
        if not self._plain:
            spec = self._spec
            assemble = lambda leaves: pytree.tree_unflatten(leaves, spec)  # noqa: E731
        for start in range(0, self.num_samples or 0, self._gathered):
            place = slice(start, start + self._gathered)
            index = None if order is None else order[place]
            pieces = [
                itertools.repeat(None) if leaf is None else _split(self._fetch(leaf, place, index), size)
                for leaf in self._leaves
            ]
            yield from zip(*pieces, strict=False) if assemble is None else map(assemble, zip(*pieces, strict=False))

    def cuts(self) -> Iterator[tuple[int, int, Callable[[int, int], Batch]]]:
        """Of each batch of a pass, where it begins and ends, and what gives the samples between two such places."""
        return self._cuts(self._order())

    def _cuts(self, order: Tensor | None) -> Iterator[tuple[int, int, Callable[[int, int], Batch]]]:
        def take(start: int, end: int) -> Batch:
            place = slice(start, end)
            index = None if order is None else order[place]
            leaves = [None if leaf is None else self._fetch(leaf, place, index) for leaf in self._leaves]
            return pytree.tree_unflatten(leaves, self._spec)

        for start in range(0, self.num_samples or 0, self.batch_size):
            yield start, min(start + self.batch_size, self.num_samples or 0), take

    def _fetch(self, leaf: Any, place: slice, index: Tensor | None) -> Any:
        if isinstance(leaf, np.ndarray):
            found = leaf[place if index is None else index.numpy()]
            if not _is_mapped(leaf):
                return found
            leaf, index, place = as_tensor(found), None, slice(None)
        found = leaf[place] if index is None else leaf.index_select(0, index.to(leaf.device))
        if found.device == self._device:
            return found
        if self._device.type == "cuda":
            found = found.pin_memory()
        return found.to(self._device, non_blocking=True)

    def _order(self) -> Tensor | None:
        """The order of the samples in one pass: None, all mixed, or mixed within each batch alone."""
        if not self._shuffle:
            return None
        if self._shuffle != "batch":
            return _mixed(self.num_samples or 0)
        starts = range(0, self.num_samples or 0, self.batch_size)
        sizes = [min(self.batch_size, (self.num_samples or 0) - start) for start in starts]
        return torch.cat([start + _mixed(size) for start, size in zip(starts, sizes, strict=True)])


def _mixed(count: int) -> Tensor:
    return torch.randperm(count, device="cpu")


def _split(samples: Any, size: int) -> Iterable[Any]:
    if isinstance(samples, Tensor):
        return samples.split(size)
    return (samples[start : start + size] for start in range(0, len(samples), size))


class Stream(Source):
    """Batches that something else makes: a DataLoader, a generator, any iterable, a PyDataset."""

    def __init__(
        self, data: Iterable, kind: str, weights: Mapping[int, float] | None, device: torch.device, texts: bool
    ):
        self.data, self.kind, self._weights, self._device, self._texts = data, kind, weights, device, texts
        self.restarts = not hasattr(data, "__next__")
        if kind == "torch DataLoader" and hasattr(data.dataset, "__len__"):  # type: ignore[attr-defined]
            self.num_batches = len(data)  # type: ignore[arg-type]
        elif hasattr(data, "cardinality"):  # as those of tf.data have; negative where only the end tells
            count = int(data.cardinality())  # type: ignore[attr-defined]
            self.num_batches = count if count >= 0 else None

    def _raw(self) -> Iterator[Any]:
        iterator, ahead = iter(self.data), getattr(self.data, "reads_ahead", False)
        return read_ahead(iterator, 2) if ahead and not self._one_by_one() else iterator

    def _one_by_one(self) -> bool:
        """Whether no thread may read ahead: with one, whose draw comes next depends on the clock."""
        return self.in_turn or torch.are_deterministic_algorithms_enabled()

    def batches(self) -> Iterator[Batch]:
        return self._standardized(self._raw())

    def beside(self) -> Callable[[], Batch | None] | None:
        """Of a DataLoader without worker processes whose dataset is read by index."""
        data: Any = self.data
        if self.kind != "torch DataLoader" or data.num_workers or isinstance(data.dataset, IterableDataset):
            return None
        return lambda: self._one(lambda: next(iter(data)))

    def _one(self, read: Callable[[], Any]) -> Batch | None:
        """None where reading fails: the pass itself will tell."""
        try:
            raw = read()
        except Exception:
            return None
        return next(self._standardized(iter([raw])))

    def _standardized(self, raw: Iterator[Any]) -> Iterator[Batch]:
        number = 1
        try:
            for batch in raw:
                yield self._standard(batch)
                number += 1
        except Exception as error:
            if hasattr(error, "add_note"):  # Python 3.11
                where = f"while the {self.kind} made batch {number} of its pass over the data"
                error.add_note(f"Raised {where}.")  # type: ignore[attr-defined]
            raise

    def _standard(self, batch: Any) -> Batch:
        if not isinstance(batch, (list, tuple, Mapping)) and not is_array(batch):
            raise ValueError(
                f"Each batch of the {self.kind} must be x, (x, y) or (x, y, sample_weight), made of arrays; "
                f"got {short(batch)}."
            )
        alone = self._texts and isinstance(batch, list) and bool(batch) and isinstance(batch[0], str)
        x, y, weight = (batch, None, None) if alone else unpack(batch)
        x = tensors_of(x, "x", self._device, self._texts)
        y, weight = tensors_of(y, "y", self._device), tensors_of(weight, "sample_weight", self._device)
        if self._weights is not None:
            weight = class_weights(y, self._weights, weight)
        return x, y, weight


class PyDataset:
    """A dataset of whole batches: give `__len__`, and `__getitem__(index)` that returns (x, y[, sample_weight]).

    workers, use_multiprocessing: threads or processes that read ahead. max_queue_size: how many batches ahead.
    `on_epoch_begin` and `on_epoch_end` are called around every epoch.
    """

    workers = 1
    use_multiprocessing = False
    max_queue_size = 10

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10):
        self.workers, self.use_multiprocessing, self.max_queue_size = workers, use_multiprocessing, max_queue_size

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define `__getitem__(self, index)`.")

    def state_dict(self) -> dict[str, Any]:
        """What a backup keeps of it: with hooks of its own, plain numbers and flat arrays or lists of them.

        Such are an order that `on_epoch_end` mixes, and counters. Override both methods where there is more.
        """
        hooks = ("on_epoch_begin", "on_epoch_end")
        if all(getattr(type(self), hook) is getattr(PyDataset, hook) for hook in hooks):
            return {}
        return {name: value for name, value in vars(self).items() if _is_plain_state(value)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with what `state_dict` gave."""
        vars(self).update({name: state[name] for name in self.state_dict()})

    @property
    def num_batches(self) -> int | None:
        """The number of batches of one epoch, None for a dataset without end; may be set."""
        if "_num_batches" in vars(self):
            return self._num_batches
        if hasattr(self, "__len__"):
            return len(self)  # type: ignore[arg-type]
        raise NotImplementedError(f"{type(self).__name__} must define `__len__` or the property `num_batches`.")

    @num_batches.setter
    def num_batches(self, count: int | None) -> None:
        self._num_batches = count

    def __iter__(self) -> Iterator[Any]:
        known = (
            hasattr(self, "__len__")
            or type(self).num_batches is not PyDataset.num_batches
            or "_num_batches" in vars(self)
        )
        count = self.num_batches if known else None
        return (self[index] for index in (itertools.count() if count is None else range(count)))

    def on_epoch_begin(self) -> None:
        """Hook."""

    def on_epoch_end(self) -> None:
        """Hook."""


def _is_plain_state(value: object) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 1 and value.dtype.kind in "iub"
    if isinstance(value, list):
        return all(type(item) is int for item in value)
    return isinstance(value, (bool, int, float, np.integer, np.floating))


class _PyBatches(Stream):
    def __init__(
        self, data: PyDataset, weights: Mapping[int, float] | None, device: torch.device, texts: bool, shuffle: Any
    ):
        super().__init__(data, "PyDataset", weights, device, texts)
        self._shuffle, self._behind = shuffle, 0
        self.endless = hasattr(data, "__next__")  # passes follow each other, however many steps an epoch has
        self.on_epoch_begin = data.on_epoch_begin
        vars(self)["on_pass_end" if self.endless else "on_epoch_end"] = data.on_epoch_end

    @property
    def num_batches(self) -> int | None:  # type: ignore[override]  # it may change between epochs
        return self.data.num_batches  # type: ignore[attr-defined]

    def batches_after(self, count: int) -> Iterator[Batch]:
        """A pass whose first batches are behind: they are not made, except where processes draw for them."""
        if self._by_processes():
            return super().batches_after(count)
        self._behind = count
        try:
            return self.batches()
        finally:
            self._behind = 0

    def beside(self) -> Callable[[], Batch | None] | None:
        """Where no worker processes read."""
        return None if self._by_processes() else lambda: self._one(lambda: self.data[0])  # type: ignore[index]

    def _by_processes(self) -> bool:
        return self.data.use_multiprocessing and self.data.workers > 0  # type: ignore[attr-defined]

    def _raw(self) -> Iterator[Any]:
        data: Any = self.data
        count = data.num_batches
        indices: Iterable[int] = itertools.count() if count is None else range(count)
        if self._shuffle and count is not None:
            indices = random.sample(range(count), count)
        if self._behind:
            indices = itertools.islice(indices, self._behind, None)
        if self._by_processes():
            ahead = max(1, data.max_queue_size // data.workers)
            workers = {"num_workers": data.workers, "prefetch_factor": ahead}
            return iter(DataLoader(data, batch_size=None, sampler=indices, collate_fn=_same, **workers))
        if self._one_by_one():
            return map(data.__getitem__, indices)
        if data.workers > 1:
            return _by_threads(data.__getitem__, indices, data.workers, data.max_queue_size)
        batches = map(data.__getitem__, indices)
        return read_ahead(batches, data.max_queue_size) if data.workers else batches


def _same(item: Any) -> Any:
    return item


_SHARE, _IDLE, _TRIED, _END = 0.05, 5e-4, 16, object()


def read_ahead(items: Iterator[Any], most: int) -> Iterator[Any]:
    """The same items; the next ones, at most so many, are made by a thread while one is in use, where that is seen to
    pay: among the first sixteen, making one leaves the processors idle for half a millisecond and a twentieth of the
    time, as waiting for files does. (What computes gains nothing beside a step that uses all processors.) What draws
    from torch's random stream, as steps do, does not go ahead."""
    idle = whole = 0.0
    for count in range(_TRIED):
        state, start, busy = torch.get_rng_state(), time.perf_counter(), time.process_time()
        item = next(items, _END)
        waited = time.perf_counter() - start - (time.process_time() - busy)
        if item is _END:
            return
        draws = not torch.equal(state, torch.get_rng_state())
        yield item
        if count:  # the first step is another
            idle, whole = idle + max(waited, 0), whole + time.perf_counter() - start
        if draws or (count > 2 and idle > max(_IDLE * count, _SHARE * whole)):
            break
    else:
        draws = True
    if draws:
        yield from items
        return
    with closing(_by_threads(lambda _: next(items, _END), itertools.count(), 1, most)) as ahead:
        yield from itertools.takewhile(lambda item: item is not _END, ahead)


def _by_threads(
    read: Callable[[int], Any], indices: Iterable[int], workers: int, ahead: int
) -> Generator[Any, None, None]:
    """`map(read, indices)` in order, with threads that work on the next ones."""
    pool = ThreadPoolExecutor(workers)
    remaining = iter(indices)
    pending = deque(pool.submit(read, index) for index in itertools.islice(remaining, max(ahead, workers)))
    try:
        while pending:
            item = pending.popleft().result()
            pending.extend(pool.submit(read, index) for index in itertools.islice(remaining, 1))
            yield item
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def check_count(value: Any, name: str, least: int = 1) -> None:
    """Raises ValueError unless `value` is an integer from `least` on."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"`{name}` must be an integer from {least} on; got {short(value)}.")


def make_source(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    steps: int | None = None,
    shuffle: bool | str = False,
    class_weight: Mapping[int, float] | None = None,
    model: nn.Module | None = None,
) -> Source:
    """The source for what a user passed as data for a model. Raises ValueError where it is empty, of no known kind, or
    uneven."""
    device, texts = (torch.device("cpu"), False) if model is None else (device_of(model), takes_texts(model))
    if batch_size is not None:
        check_count(batch_size, "batch_size")
        batch_size = int(batch_size)  # torch takes no NumPy integers
    if isinstance(x, Source):
        return x
    kind = _stream_kind(x)
    if kind is not None:
        for name, value in (("y", y), ("sample_weight", sample_weight)):
            if value is not None:
                a = "an" if kind[0] in "aeiou" else "a"
                raise ValueError(f"Leave out `{name}` where x is {a} {kind}: its batches are (x, y, sample_weight).")
        if kind == "PyDataset":
            return _PyBatches(x, class_weight, device, texts, shuffle)
        return Stream(x, kind, class_weight, device, texts)
    x, y, sample_weight = map(_as_arrays, (x, y, sample_weight), ("x", "y", "sample_weight"), (texts, False, False))
    if not pytree.tree_leaves(pytree.tree_map(lambda leaf: [] if leaf is None else leaf, x)):
        raise ValueError(f"x: expected data; got {short(x)}.")
    batch = as_batch(x, y, sample_weight, class_weight, texts=texts, mapped=True)
    return Arrays(*batch, batch_size, steps, shuffle, device)


def _parts(x: Any) -> Sequence[Any]:
    """What is in a list, a tuple or a dictionary; anything else alone, None as nothing."""
    kind = type(x)
    return x if kind is list or kind is tuple else [*x.values()] if kind is dict else () if x is None else (x,)


def _plain_rows(parts: Sequence[Any]) -> int:
    """The number of rows that all parts, plain arrays, have in common; 0 for any others."""
    count = 0
    for each in parts:
        if (type(each) is not np.ndarray and type(each) is not Tensor) or not each.ndim:
            return 0
        rows = each.shape[0]
        if rows != (count or rows):
            return 0
        count = rows
    return count


def may_hold_texts(x: Any, model: nn.Module) -> bool:
    """Whether there may be texts in `x`, and the model or a layer in it takes some."""
    plain = all(type(each) is Tensor or (type(each) is np.ndarray and each.dtype.kind in "fiub") for each in _parts(x))
    return not plain and takes_texts(model)


def is_batch(x: Any, batch_size: int | None) -> bool:
    """Whether data are plain arrays that make one batch."""
    most = 32 if batch_size is None else batch_size
    return type(most) is int and 0 < _plain_rows(_parts(x)) <= most


def _as_arrays(structure: Any, name: str, texts: bool) -> Any:
    """The structure with arrays in place of nested lists. Raises ValueError for what is no array."""
    structure = unlisted(structure, name, texts)
    for place, leaf in _named_leaves(structure, name):
        if not is_array(leaf):
            raise ValueError(
                f"{place}: expected an array, a DataLoader, a PyDataset or a generator; got {short(leaf)}."
            )
    return structure


def as_batch(
    x: Any,
    y: Any,
    sample_weight: Any,
    class_weight: Mapping[int, float] | None = None,
    device: torch.device | None = None,
    texts: bool = False,
    mapped: bool = False,
) -> Batch:
    """Arrays as tensors, with weights by sample or by class. Raises ValueError where they do not fit each other."""
    x, y = tensors_of(x, "x", device, texts, mapped), tensors_of(y, "y", device, False, mapped and class_weight is None)
    sample_weight = tensors_of(sample_weight, "sample_weight", device)
    if class_weight is not None:
        sample_weight = class_weights(y, class_weight, sample_weight)
    check_lengths(x, y, sample_weight, is_batch=not mapped)
    return x, y, per_output(sample_weight, y)


def _stream_kind(x: Any) -> str | None:
    if isinstance(x, PyDataset):
        return "PyDataset"
    if isinstance(x, DataLoader):
        return "torch DataLoader"
    if is_array(x) or isinstance(x, (list, tuple, Mapping, str, bytes, set, frozenset)) or not hasattr(x, "__iter__"):
        return None
    return "generator" if hasattr(x, "send") else "iterable"


def check_lengths(x: Any, y: Any, sample_weight: Any, is_batch: bool = False) -> None:
    """Raises ValueError, naming arrays and lengths, unless all have the same number of samples, at least 1. The arrays
    of one batch may be those of a graph, of several lengths."""
    if _plain_rows((*_parts(x), *_parts(y), *(() if sample_weight is None else (sample_weight,)))):
        return
    sizes = {}
    for name, part in (("x", x), ("y", y), ("sample_weight", sample_weight)):
        for place, leaf in _named_leaves(part, name):
            if not leaf.ndim:
                raise ValueError(f"{place}: expected an array with a batch axis; got a single number.")
            sizes[place] = leaf.shape[0]
    is_graph = is_batch and len({size for place, size in sizes.items() if place.startswith("x")}) > 1
    if len(set(sizes.values())) > 1 and not is_graph:
        listed = ", ".join(f"{place} has {size}" for place, size in sizes.items())
        raise ValueError(f"All arrays must have the same number of samples: {listed}.")
    if not sizes or not next(iter(sizes.values())):
        raise ValueError(f"{next(iter(sizes), 'x')} is empty: there is no sample to work on.")


def per_output(sample_weight: Any, y: Any) -> Any:
    """One weight array for several outputs must hold one number a sample, and counts for each of them; for one array of
    targets there is one of weights."""
    if isinstance(y, Tensor) and isinstance(sample_weight, (list, tuple, Mapping)):
        if len(sample_weight) != 1 or isinstance(sample_weight, Mapping):
            raise ValueError(f"sample_weight: expected one array, as y is one; got {short(sample_weight)}.")
        sample_weight = sample_weight[0]
    if isinstance(sample_weight, Tensor) and isinstance(y, (list, tuple, Mapping)) and sample_weight[0].numel() != 1:
        raise ValueError(
            f"sample_weight: one array for several outputs must have shape (samples,); got shape "
            f"{tuple(sample_weight.shape)}. Pass one array for each output."
        )
    return sample_weight


class Feed:
    """The epochs of a source: each a whole pass, or the next `steps` batches."""

    _pass_state: Callable[[], Any] | None = None  # what is to be known of the beginning of a pass
    _begun: Any = None  # the same of the present one
    _given = 0  # batches of the present pass, where they are counted

    def __init__(self, source: Source, steps: int | None = None):
        steps = source.num_batches if steps is None and source.endless else steps
        most, count = config.max_steps_per_epoch(), steps or source.num_batches
        self.source, self.steps = source, steps if most is None or (count is not None and count <= most) else most
        self._iterator: Iterator[Batch] | None = None
        self._taken = self._behind = 0  # batches of the present pass before this epoch, and of this epoch

    @property
    def num_batches(self) -> int | None:
        return self.steps or self.source.num_batches

    def restart(self) -> None:
        """Begin the next epoch with the first batch, where the source can be read again."""
        if self.source.restarts:
            self._iterator, self._taken = None, 0

    def peek(self) -> Batch:
        """The first batch of the epoch to come, which still gets it. Raises ValueError where there is none."""
        iterator = self._iterator or self._passes()
        try:
            first = next(iterator)
        except StopIteration:
            raise ValueError(f"The {self.source.kind} gave no batch at all.") from None
        self._iterator = itertools.chain([first], iterator)
        return first

    def epoch(self) -> Iterator[Batch]:
        """The batches of one epoch. Warns where a source ends before its steps are done."""
        count, self._behind = self._behind, 0
        if not count:
            self.source.on_epoch_begin()
        iterator = self._iterator or self._passes()
        self._iterator = None
        if self.steps is None:
            yield from iterator
        else:
            for batch in itertools.islice(iterator, self.steps - count):
                count += 1
                yield batch
            self._taken += count
            if count < self.steps:
                self._taken = 0
                if count:  # whoever reads says where there was nothing at all
                    warn(
                        f"The {self.source.kind} ran out of data after {count} of {self.steps} steps. "
                        "Give more data, or fewer steps."
                    )
            elif self.source.endless or self._taken != self.source.num_batches:
                self._iterator = iterator
            else:
                self._taken = 0
        self.source.on_epoch_end()

    def _passes(self) -> Iterator[Batch]:
        """A pass over the source; those that follow, too, where it has no end."""
        source = self.source
        if self._pass_state is None and not source.endless:
            return source.batches()
        return self._counted(self._begin())

    def _begin(self) -> Iterator[Batch]:
        if self._pass_state is not None:
            self._begun, self._given = self._pass_state(), 0
        return self.source.batches()

    def _counted(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        while True:
            for batch in batches:
                self._given += 1
                yield batch
            if not self.source.endless:
                return
            self.source.on_pass_end()
            batches = self._begin()

    # The place in the data ---------------------------------------------------------------------------------------

    def keep_place(self, pass_state: Callable[[], Any]) -> None:
        """From now on know where in a pass the next batch is, and what `pass_state` said at its beginning."""
        self._pass_state = pass_state
        self.source.read_in_turn()
        self.restart()
        if self._iterator is not None:  # what was looked at is gone
            self._begun, self._given, self._iterator = pass_state(), 0, self._counted(self._iterator)

    def place(self, inside: bool) -> tuple[Any, int] | None:
        """What was said at the beginning of the present pass and how many batches it gave; None where the next one
        begins anew. inside: an epoch is going on."""
        return (self._begun, self._given) if inside or self._iterator is not None else None

    def go_to(self, begun: Any, given: int, behind: int, put: Callable[[Any], None]) -> None:
        """Go on after so many batches of a pass that begins where `put(begun)` leads, and so many of an epoch."""
        if behind:
            self.source.on_epoch_begin()
        put(begun)
        if self.source.restarts or self.source.endless:
            self._iterator = self._counted(self.source.batches_after(given))
        else:  # it may have been looked at
            self._iterator = self._iterator or self._counted(self.source.batches())
            for _ in itertools.islice(self._iterator, given):
                pass
        self._begun, self._given, self._taken, self._behind = begun, given, given - behind, behind
