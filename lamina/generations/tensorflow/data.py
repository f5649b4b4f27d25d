"""`tf.data`: pipelines of elements, each a tensor, a tuple or a dictionary of tensors or texts."""

from __future__ import annotations

import functools
import itertools
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from glob import glob
from types import CellType, FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...core import dtypes
from ...core.devices import here
from ...core.errors import warn
from ...core.random import SeedGenerator
from .arrays import convert_to_tensor
from .base import NAMES, TensorShape, TensorSpec, Texts, heard, named, texts, whole
from .ragged import Ragged

AUTOTUNE = -1
DRAWING = random.Random, np.random.Generator, np.random.RandomState, torch.Generator, SeedGenerator
INFINITE, UNKNOWN = -1, -2  # what `cardinality` says instead of a number


def _mapped(function: Callable[..., Any], *structures) -> Any:
    """The structure with the function of its leaves: lists are leaves, other than tuples and dictionaries."""
    first = structures[0]
    if isinstance(first, Mapping):
        return {key: _mapped(function, *(each[key] for each in structures)) for key in first}
    if isinstance(first, tuple):
        parts = [_mapped(function, *each) for each in zip(*structures, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)
    return function(*structures)


def _leaves(structure) -> list[Any]:
    found: list[Any] = []
    _mapped(found.append, structure)
    return found


def _as_leaf(value) -> Any:
    if isinstance(value, (Dataset, Ragged)):
        return value
    if hasattr(value, "to_numpy"):  # of pandas
        value = value.to_numpy()
    return _moved(torch.Tensor.cpu, convert_to_tensor(value))


def made_of(value) -> Any:
    return _mapped(_as_leaf, value)


def _moved(how: Callable, leaf: Any) -> Any:
    return how(leaf) if isinstance(leaf, Tensor) else leaf


def _on_host() -> AbstractContextManager[Any]:
    """Where elements are computed: a GPU is for models, and gets whole batches."""
    return nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu")


def _computed_on_host(start: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    """The elements, put where tensors are made."""
    with _on_host():
        elements, ended = start(), object()
    while True:
        with _on_host():
            element = next(elements, ended)
        if element is ended:
            return
        yield _mapped(functools.partial(_moved, here), element)


def _stacked(*items) -> Any:
    if isinstance(items[0], Tensor):
        return torch.stack(items)
    return np.stack(items).view(Texts)


def _rows(*items) -> Any:
    return Ragged(items) if items[0].ndim else _stacked(*items)


def _arguments(function: Callable) -> Callable[[Any], Any]:
    """The function of an element; a tuple's parts are its arguments."""
    return lambda element: function(*element) if isinstance(element, tuple) else function(element)


def _spec(leaf, loose: bool) -> Any:
    if isinstance(leaf, Dataset):
        return leaf.element_spec
    dtype = "string" if isinstance(leaf, np.ndarray) else dtypes.dtype_name(leaf.dtype)
    return TensorSpec((None, *leaf.shape[1:]) if loose else leaf.shape, dtype)


class Elements:
    """The elements, one after the other."""

    def __init__(self, elements: Iterator[Any]):
        self.get_next = self.next = functools.partial(next, elements)
        self._elements = elements

    def __iter__(self) -> Iterator[Any]:
        return self._elements

    def __next__(self) -> Any:
        return next(self._elements)


class NumpyIterator(Elements):
    """The elements as arrays of NumPy."""


def _as_numpy(leaf) -> Any:
    found = leaf.numpy()
    return found[()] if isinstance(leaf, Tensor) and not leaf.ndim else found


@named("data.Dataset")
class Dataset:
    """Elements that can be gone through again and again; `fit`, `evaluate` and `predict` take batches of it.

    count: the number of elements, INFINITE or UNKNOWN. Everything runs in the thread that asks, in order: how many
    threads, what is read ahead and how it is sharded, which TensorFlow lets one say, has no effect on the elements.
    """

    def __init__(self, start: Callable[[], Iterator[Any]], count: int = UNKNOWN):
        self._start, self._count = start, count
        self._drawing = _drawing(start)  # where a `fit` that goes on finds it
        self._known_spec: Any = None
        self._loose = False  # batches, of which the last may be smaller

    # -- where elements come from --------------------------------------------------------------------------------------

    @staticmethod
    def from_tensor_slices(tensors) -> Dataset:
        """The slices along axis 0 of arrays of one length."""
        with _on_host():
            arrays = made_of(tuple(tensors) if isinstance(tensors, tuple) else _columns(tensors))
        lengths = {len(leaf) for leaf in _leaves(arrays)}
        if len(lengths) != 1:
            raise ValueError(f"from_tensor_slices: expected arrays of one length; got lengths {sorted(lengths)}.")
        places = range(lengths.pop())
        return Rows(arrays, Dataset(lambda: iter(places), len(places)))

    @staticmethod
    def from_tensors(tensors) -> Dataset:
        with _on_host():
            element = made_of(_columns(tensors))
        return Dataset(lambda: iter((element,)), 1)

    @staticmethod
    def from_generator(generator: Callable, output_types = None, output_shapes = None, args = (),
                       output_signature = None) -> Dataset:  # fmt: skip
        """What a function yields, in the number types told. Raises TypeError unless it is a function."""
        if not callable(generator):
            raise TypeError("from_generator: expected a function that returns an iterator; wrap it in a lambda.")
        told = output_types if output_signature is None else output_signature

        def cast(spec, value) -> Any:
            return convert_to_tensor(value, getattr(spec, "dtype", spec))

        def start() -> Iterator[Any]:
            for item in generator(*args):
                item = tuple(item) if isinstance(told, tuple) and isinstance(item, list) else item
                yield made_of(item) if told is None else _mapped(cast, told, item)

        made = Dataset(start)
        made._known_spec = output_signature
        if output_signature is None and output_shapes is not None:
            made._known_spec = _mapped(lambda dtype, shape: TensorSpec(shape, dtype), output_types, output_shapes)
        return made

    @staticmethod
    def range(*args, output_type="int64") -> Dataset:
        numbers, kind = range(*map(int, args)), dtypes.torch_dtype(output_type)
        return Dataset(lambda: (torch.tensor(number, dtype=kind) for number in numbers), len(numbers))

    @staticmethod
    def zip(*datasets, **options) -> Dataset:
        """Tuples of the elements of several, until the shortest ends."""
        given = options["datasets"] if "datasets" in options else datasets[0] if len(datasets) == 1 else datasets
        counts = [each._count for each in _leaves(given)]
        finite = [count for count in counts if count != INFINITE]
        count = UNKNOWN if UNKNOWN in counts else min(finite, default=INFINITE)

        def start() -> Iterator[Any]:
            running = _mapped(iter, given)
            while True:
                try:
                    element = _mapped(next, running)
                except StopIteration:
                    return
                yield element

        return Dataset(start, count)

    @staticmethod
    def counter(start: int = 0, step: int = 1, dtype="int64") -> Dataset:
        kind = dtypes.torch_dtype(dtype)
        return Dataset(lambda: (torch.tensor(n, dtype=kind) for n in itertools.count(start, step)), INFINITE)

    @staticmethod
    def choose_from_datasets(datasets, choice_dataset: Dataset, stop_on_empty_dataset: bool = True) -> Dataset:
        """The next element of the dataset whose place `choice_dataset` says."""

        def start() -> Iterator[Any]:
            running = [iter(each) for each in datasets]
            for choice in choice_dataset:
                try:
                    yield next(running[int(choice)])
                except StopIteration:
                    if stop_on_empty_dataset:
                        return

        return Dataset(start)

    @staticmethod
    def list_files(file_pattern, shuffle: bool | None = None, seed: int | None = None) -> Dataset:
        found = files_of(file_pattern, "list_files")
        made = Dataset.from_tensor_slices(found)
        return made.shuffle(len(found), seed) if shuffle is not False else made

    @staticmethod
    def sample_from_datasets(datasets, weights = None, seed: int | None = None,
                             stop_on_empty_dataset: bool = False) -> Dataset:  # fmt: skip
        """Elements of several, each drawn from one of them by chance."""
        shares = [1.0] * len(datasets) if weights is None else [float(each) for each in weights]

        def start() -> Iterator[Any]:
            pairs = zip(datasets, shares, strict=True)
            draw, running = _chance(seed), [(iter(each), share) for each, share in pairs if share > 0]
            while running:
                place = draw.choices(range(len(running)), [share for _, share in running])[0]
                try:
                    yield next(running[place][0])
                except StopIteration:
                    if stop_on_empty_dataset:
                        return
                    del running[place]

        return Dataset(start, INFINITE if any(each._count == INFINITE for each in datasets) else UNKNOWN)

    def rejection_resample(self, class_func, target_dist, initial_dist=None, seed: int | None = None) -> Dataset:
        """Pairs of class and element, of elements kept by chance so that the classes come in the shares told; which
        shares they have before is counted on the way, if it is not told."""
        classify, wanted = _arguments(class_func), np.asarray(target_dist, "float64")

        def start() -> Iterator[Any]:
            draw, seen = _chance(seed), np.zeros_like(wanted)
            for element in self:
                label = int(classify(element))
                seen[label] += 1
                before = seen / seen.sum() if initial_dist is None else np.asarray(initial_dist, "float64")
                kept = wanted / np.maximum(before, np.finfo("float32").tiny)
                if draw.random() * kept.max() < kept[label]:
                    yield torch.tensor(label, dtype=torch.int32), element

        return Dataset(start, INFINITE if self._count == INFINITE else UNKNOWN)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise AttributeError(
            f"tf.data.Dataset.{name} is not in Lamina's stand-in for TensorFlow. Write the dataset as a generator, and "
            "use Dataset.from_generator."
        )

    # -- going through it ----------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Any]:
        alone = torch.get_default_device().type == "cpu"
        return Elements(self._start() if alone else _computed_on_host(self._start))

    def __len__(self) -> int:
        if self._count < 0:
            raise TypeError(f"The dataset's length is {'infinite' if self._count == INFINITE else 'unknown'}.")
        return self._count

    def __bool__(self) -> bool:
        return True

    def cardinality(self) -> Tensor:
        """The number of elements; -1 without end, -2 where only going through it tells."""
        return torch.tensor(self._count)

    def as_numpy_iterator(self) -> NumpyIterator:
        return NumpyIterator(_mapped(_as_numpy, element) for element in self)

    def get_single_element(self) -> Any:
        (element,) = self
        return element

    @property
    def element_spec(self) -> Any:
        """Shape and type of what an element holds; of a batch the size is not told."""
        if self._known_spec is None:
            first = next(iter(self), None)
            if first is None:
                raise ValueError("element_spec: the dataset is empty.")
            self._known_spec = _mapped(functools.partial(_spec, loose=self._loose), first)
        return self._known_spec

    @property
    def output_shapes(self) -> Any:
        """The shapes in `element_spec`, as TensorFlow 1 told them."""
        return _mapped(lambda spec: spec.shape, self.element_spec)

    @property
    def output_types(self) -> Any:
        """The types in `element_spec`, as TensorFlow 1 told them."""
        return _mapped(lambda spec: spec.dtype, self.element_spec)

    # -- element by element --------------------------------------------------------------------------------------------

    def map(self, map_func: Callable, num_parallel_calls=None) -> Dataset:
        """The function of each element, whose parts are its arguments where it is a tuple."""
        function = _arguments(map_func)

        def apply(element: Any) -> Any:
            with torch.no_grad():
                found = function(element)
            return made_of(tuple(found) if isinstance(found, list) else found)

        return Dataset(lambda: map(apply, self), self._count)

    def filter(self, predicate: Callable) -> Dataset:
        holds = _arguments(predicate)
        return Dataset(lambda: (element for element in self if bool(holds(element))), UNKNOWN if self._count else 0)

    def ignore_errors(self, log_warning: bool = False) -> Dataset:
        """Without the elements that a function given to `map` raises an error for."""

        def start() -> Iterator[Any]:
            running, ended = iter(self), object()
            while True:
                try:
                    element = next(running, ended)
                except Exception as error:
                    if log_warning:
                        warn(f"ignore_errors: left out an element: {error}")
                    continue
                if element is ended:
                    return
                yield element

        return Dataset(start)

    def flat_map(self, map_func: Callable) -> Dataset:
        """All elements of the datasets that the function makes of each element."""
        function = _arguments(map_func)
        return Dataset(lambda: itertools.chain.from_iterable(map(function, self)))

    def interleave(self, map_func: Callable, cycle_length=None, block_length: int = 1) -> Dataset:
        """As `flat_map`, of `cycle_length` datasets in turn, `block_length` elements at a time."""
        function, width = _arguments(map_func), int(cycle_length or 0)

        def start() -> Iterator[Any]:
            waiting, slots = iter(self), [None] * (width if width > 0 else 4)
            place, ended = 0, object()
            while True:
                if slots[place] is None and (each := next(waiting, ended)) is not ended:
                    slots[place] = iter(function(each))
                if all(slot is None for slot in slots):
                    return
                if (slot := slots[place]) is not None:
                    block = list(itertools.islice(slot, block_length))
                    yield from block
                    if len(block) < block_length:  # the next one comes when it is this place's turn again
                        slots[place] = None
                place = (place + 1) % len(slots)

        return Dataset(start)

    def enumerate(self, start: int = 0) -> Dataset:
        return Dataset.zip((Dataset.counter(int(start)), self))

    def scan(self, initial_state, scan_func: Callable) -> Dataset:
        def start() -> Iterator[Any]:
            state = made_of(initial_state)
            for element in self:
                state, found = scan_func(state, element)
                yield made_of(found)

        return Dataset(start, self._count)

    def reduce(self, initial_state, reduce_func: Callable) -> Any:
        state = made_of(initial_state)
        with _on_host():
            for element in self:
                state = made_of(reduce_func(state, element))
        return _mapped(functools.partial(_moved, here), state)

    def apply(self, transformation_func: Callable) -> Any:
        return transformation_func(self)

    # -- which elements, in which order --------------------------------------------------------------------------------

    def _ordered(self, start: Callable[[Iterable[Any]], Iterator[Any]], count: int) -> Dataset:
        """Some of the same elements in another order."""
        made = Dataset(lambda: start(self), count)
        made._loose, made._known_spec = self._loose, self._known_spec
        return made

    def shuffle(self, buffer_size, seed: int | None = None, reshuffle_each_iteration: bool | None = None) -> Dataset:
        """In random order: each element is drawn from the `buffer_size` that come next."""
        most = int(buffer_size)
        if most < 1:
            raise ValueError(f"shuffle: `buffer_size` must be at least 1; got {most}.")
        again = reshuffle_each_iteration is not False
        chance = _chance(seed)

        def start(elements: Iterable[Any]) -> Iterator[Any]:
            draw = chance if again else copy(chance)
            buffer: list[Any] = []
            for element in elements:
                if len(buffer) < most:
                    buffer.append(element)
                    continue
                place = int(draw.random() * most)
                yield buffer[place]
                buffer[place] = element
            draw.shuffle(buffer)
            yield from buffer

        return self._ordered(start, self._count)

    def repeat(self, count=None) -> Dataset:
        """`count` times over; without end where it is None or -1."""
        times = INFINITE if count is None else int(count)

        def start(elements: Iterable[Any]) -> Iterator[Any]:
            for _ in itertools.repeat(None) if times < 0 else itertools.repeat(None, times):
                empty = True
                for element in elements:
                    empty = False
                    yield element
                if empty:
                    return

        unending = INFINITE if self._count else 0
        return self._ordered(start, unending if times < 0 else self._count * times if self._count >= 0 else self._count)

    def take(self, count) -> Dataset:
        return self._at(0, int(count)) if int(count) >= 0 else self

    def skip(self, count) -> Dataset:
        return self._at(int(count), None) if int(count) >= 0 else self.take(0)

    def shard(self, num_shards: int, index: int) -> Dataset:
        return self._at(index, None, num_shards)

    def _at(self, first: int, end: int | None, step: int = 1) -> Dataset:
        """The elements at these places, to the last one where there is no end."""
        count = self._shorter(lambda n: len(range(n)[first:end:step]), INFINITE if end is None else end)
        return self._ordered(lambda elements: itertools.islice(elements, first, end, step), count)

    def _shorter(self, of: Callable[[int], int], endless: int) -> int:
        return of(self._count) if self._count >= 0 else endless if self._count == INFINITE else UNKNOWN

    def take_while(self, predicate: Callable) -> Dataset:
        holds = _arguments(predicate)
        return Dataset(lambda: itertools.takewhile(lambda element: bool(holds(element)), self))

    def concatenate(self, dataset: Dataset) -> Dataset:
        counts = (self._count, dataset._count)
        count = INFINITE if INFINITE in counts else UNKNOWN if UNKNOWN in counts else sum(counts)
        return Dataset(lambda: itertools.chain(self, dataset), count)

    def cache(self, filename="") -> Dataset:
        """Elements of the first whole pass are kept in memory."""
        kept: list[Any] | None = None

        def start(elements: Iterable[Any]) -> Iterator[Any]:
            nonlocal kept
            if kept is not None:
                yield from kept
                return
            found = []
            for element in elements:
                found.append(element)
                yield element
            kept = found

        return self._ordered(start, self._count)

    def snapshot(self, path, shard_func=None, reader_func=None) -> Dataset:
        return self.cache()

    def prefetch(self, buffer_size) -> Dataset:
        return self

    def with_options(self, options) -> Dataset:
        return self

    # -- batches -------------------------------------------------------------------------------------------------------

    def batch(self, batch_size, drop_remainder: bool = False) -> Dataset:
        """`batch_size` elements as one, stacked; the last may be smaller."""
        return self._batches(lambda group: _mapped(_stacked, *group), batch_size, drop_remainder)

    def ragged_batch(self, batch_size, drop_remainder: bool = False) -> Dataset:
        """Batches of elements of different lengths, each part a ragged tensor."""
        return self._batches(lambda group: _mapped(_rows, *group), batch_size, drop_remainder)

    def _batches(
        self, join: Callable[[list[Any]], Any], batch_size, drop: bool, elements: Iterable[Any] | None = None
    ) -> Dataset:
        """What is made of `batch_size` elements each, of these or others."""
        size = int(batch_size)
        if size < 1:
            raise ValueError(f"`batch_size` must be at least 1; got {size}.")
        count = self._shorter(lambda n: n // size if drop else math.ceil(n / size), INFINITE)
        made = Dataset(lambda: map(join, _groups(self if elements is None else elements, size, drop)), count)
        made._loose = not drop
        return made

    def padded_batch(self, batch_size, padded_shapes = None, padding_values = None,
                     drop_remainder: bool = False) -> Dataset:  # fmt: skip
        """Batches of elements of different shapes, made as large as the largest, or as told."""

        def padded(shape, value, items: list[Any]) -> Any:
            longest = [max(sizes) for sizes in zip(*(item.shape for item in items), strict=True)]
            told = [None] * len(longest) if shape is None else list(whole(shape))
            sizes = [long if want in (None, -1) else want for want, long in zip(told, longest, strict=True)]
            if any(long > want for long, want in zip(longest, sizes, strict=True)):
                raise ValueError(f"padded_batch: an element of shape {tuple(longest)} is larger than {tuple(sizes)}.")
            if not isinstance(items[0], Tensor):
                found = np.full((len(items), *sizes), "" if value is None else value, object).view(Texts)
            else:
                found = torch.full((len(items), *sizes), 0 if value is None else value, dtype=items[0].dtype)
            for row, item in enumerate(items):
                found[(row, *(slice(length) for length in item.shape))] = item  # type: ignore[index]
            return found

        def joined(group: list[Any]) -> Any:
            columns = _mapped(lambda *items: list(items), *group)
            shapes = _alike(
                columns,
                padded_shapes,
                lambda each: isinstance(each, (TensorShape, list)) or each is None or _is_sizes(each),
            )
            values = _alike(columns, padding_values, lambda each: not isinstance(each, (tuple, Mapping)))
            return _mapped(lambda items, shape, value: padded(shape, value, items), columns, shapes, values)

        return self._batches(joined, batch_size, drop_remainder)

    def unbatch(self) -> Dataset:
        def start() -> Iterator[Any]:
            for element in self:
                for row in range(len(_leaves(element)[0])):
                    yield _mapped(lambda leaf, row=row: _row(leaf, row), element)

        return Dataset(start, UNKNOWN if self._count else 0)

    def rebatch(self, batch_size, drop_remainder: bool = False) -> Dataset:
        return self.unbatch().batch(batch_size, drop_remainder)

    def window(self, size: int, shift: int | None = None, stride: int = 1, drop_remainder: bool = False) -> Dataset:
        """Datasets of `size` elements, `stride` apart, each beginning `shift` after the one before."""
        step = size if shift is None else int(shift)

        def start() -> Iterator[Any]:
            elements = list(self)
            for first in range(0, len(elements), step):
                found = elements[first : first + size * stride : stride]
                if len(found) < size and drop_remainder:
                    return
                yield _mapped(lambda *items: Dataset(lambda: iter(items), len(items)), *found)

        first = (size - 1) * stride if drop_remainder else 0
        return Dataset(start, self._shorter(lambda n: max(math.ceil((n - first) / step), 0), INFINITE))

    def group_by_window(self, key_func: Callable, reduce_func: Callable, window_size=None,
                        window_size_func: Callable | None = None) -> Dataset:  # fmt: skip
        """What `reduce_func` makes of a key and of `window_size` elements that have it, as a dataset."""
        key_of = _arguments(key_func)

        def start() -> Iterator[Any]:
            windows: dict[int, list[Any]] = {}
            for element in self:
                key = int(key_of(element))
                windows.setdefault(key, []).append(element)
                size: Any = window_size if window_size_func is None else window_size_func(torch.tensor(key))
                if len(windows[key]) == int(size):
                    yield from reduced(key, windows.pop(key))
            for key in sorted(windows):
                yield from reduced(key, windows[key])

        def reduced(key: int, group: list[Any]) -> Any:
            return reduce_func(torch.tensor(key), Dataset(lambda: iter(group), len(group)))

        return Dataset(start)

    def unique(self) -> Dataset:
        """Each element once, where it first comes."""

        def start() -> Iterator[Any]:
            seen = set()
            for element in self:
                told = tuple(np.asarray(leaf).tobytes() if isinstance(leaf, Tensor) else tuple(leaf.flat)
                             for leaf in _leaves(element))  # fmt: skip
                if told not in seen:
                    seen.add(told)
                    yield element

        return Dataset(start)

    def bucket_by_sequence_length(self, element_length_func: Callable, bucket_boundaries, bucket_batch_sizes,
                                  padded_shapes = None, padding_values = None,
                                  drop_remainder: bool = False) -> Dataset:  # fmt: skip
        """Batches of elements of about the same length, padded to their longest."""

        def place(*parts) -> int:
            return int(np.searchsorted(bucket_boundaries, int(element_length_func(*parts)), "right"))

        def joined(key: Tensor, group: Dataset) -> Dataset:
            return group.padded_batch(bucket_batch_sizes[int(key)], padded_shapes, padding_values, drop_remainder)

        return self.group_by_window(place, joined, window_size_func=lambda key: bucket_batch_sizes[int(key)])


@heard
class Rows(Dataset):
    """Rows of arrays in some order: batches are taken from the arrays at once."""

    def __init__(self, arrays, places: Dataset):
        super().__init__(
            lambda: (_mapped(lambda leaf, place=place: _row(leaf, place), arrays) for place in places._start()),
            places._count,
        )
        self._arrays, self._places = arrays, places

    def _ordered(self, start: Callable[[Iterable[Any]], Iterator[Any]], count: int) -> Dataset:
        return Rows(self._arrays, self._places._ordered(start, count))

    def cache(self, filename="") -> Dataset:
        return Rows(self._arrays, self._places.cache())

    def batch(self, batch_size, drop_remainder: bool = False) -> Dataset:
        def taken(group: list[Any]) -> Any:
            return _mapped(lambda leaf: leaf[group], self._arrays)

        return self._batches(taken, batch_size, drop_remainder, self._places)


def _columns(tensors) -> Any:
    """A data frame or a dictionary of columns as a dictionary of arrays."""
    if hasattr(tensors, "columns") and hasattr(tensors, "to_numpy"):
        return tensors.to_numpy()
    return dict(tensors) if isinstance(tensors, Mapping) else tensors


def _row(leaf, place) -> Any:
    return leaf[place] if isinstance(leaf, (Tensor, Ragged)) else texts(leaf[int(place)])


def _drawing(start: Callable) -> list[Any]:
    """What draws random numbers in a pipeline: in what its functions hold, and in the datasets that it reads."""
    found: list[Any] = []
    waiting: list[Any] = [start]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, Dataset):
            found += one._drawing
        elif isinstance(one, DRAWING):
            found.append(one)
        elif isinstance(one, functools.partial):
            waiting += [one.func, *one.args]
        elif isinstance(one, (list, tuple)):
            waiting += [each for each in one if isinstance(each, (Dataset, *DRAWING))]
        elif isinstance(one, FunctionType):
            waiting += [cell.cell_contents for cell in one.__closure__ or () if cell != CellType()]
    return found


def _chance(seed) -> random.Random:
    """Draws that follow from the seed, or else from torch's."""
    return random.Random(int(torch.randint(2**62, ())) if seed is None else int(seed))


def _groups(elements: Iterable[Any], size: int, drop: bool) -> Iterator[list[Any]]:
    running = iter(elements)
    while (group := list(itertools.islice(running, size))) and not (drop and len(group) < size):
        yield group


def _is_sizes(value) -> bool:
    return isinstance(value, tuple) and all(each is None or isinstance(each, int) for each in value)


def _alike(columns, told, is_leaf: Callable[[Any], bool]) -> Any:
    """What is told for all, or for each part, in the structure of the columns."""
    if isinstance(columns, Mapping) and isinstance(told, Mapping):
        return {key: _alike(part, told[key], is_leaf) for key, part in columns.items()}
    if isinstance(columns, tuple) and isinstance(told, tuple) and not is_leaf(told):
        return tuple(_alike(part, each, is_leaf) for part, each in zip(columns, told, strict=True))
    return _mapped(lambda _: told, columns)


def files_of(file_pattern, asked: str) -> list[str]:
    """The files that fit one pattern or several, in order. Raises FileNotFoundError where there is none."""
    patterns = texts(file_pattern).reshape(-1)
    found = sorted(path for pattern in patterns for path in glob(str(pattern)))  # noqa: PTH207
    if not found:
        raise FileNotFoundError(f"{asked}: no file matches {file_pattern!r}.")
    return found


NAMES.update({
    "data.AUTOTUNE": AUTOTUNE, "data.experimental.AUTOTUNE": AUTOTUNE, "data.INFINITE_CARDINALITY": INFINITE,
    "data.UNKNOWN_CARDINALITY": UNKNOWN, "data.experimental.INFINITE_CARDINALITY": INFINITE,
    "data.experimental.UNKNOWN_CARDINALITY": UNKNOWN, "data.experimental.cardinality": Dataset.cardinality,
    "data.DatasetSpec": TensorSpec,
    "data.experimental.sample_from_datasets": Dataset.sample_from_datasets, "data.NumpyIterator": NumpyIterator,
    "data.Iterator": Elements, "data.experimental.get_structure": lambda dataset: dataset.element_spec,
    "compat.v1.data.get_output_shapes": lambda dataset: dataset.output_shapes,
    "compat.v1.data.get_output_types": lambda dataset: dataset.output_types,
    "data.experimental.Counter": Dataset.counter,
    "data.experimental.choose_from_datasets": Dataset.choose_from_datasets,
})  # fmt: skip


@named("data.experimental.assert_cardinality")
def assert_cardinality(expected_cardinality):
    return lambda dataset: Dataset(dataset._start, int(expected_cardinality))


def _applied(method: Callable) -> Callable:
    """For `dataset.apply`: the method with these arguments."""
    return lambda *args, **kwargs: lambda dataset: method(dataset, *args, **kwargs)


for _path in (
    "bucket_by_sequence_length scan group_by_window ignore_errors rejection_resample snapshot unique take_while".split()
):
    NAMES[f"data.experimental.{_path}"] = _applied(getattr(Dataset, _path))
NAMES["data.experimental.dense_to_ragged_batch"] = _applied(Dataset.ragged_batch)
NAMES["data.experimental.enumerate_dataset"] = _applied(Dataset.enumerate)
NAMES["data.experimental.get_single_element"] = Dataset.get_single_element
