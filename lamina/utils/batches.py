"""Batches for `fit`, as torch's DataLoader gives them: windows of a series, parts of data."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils.data import DataLoader, Dataset, Subset

from ..core.arrays import is_array
from ..core.errors import short


class Examples(Dataset):
    """So many examples by number, as `gather` gives them."""

    def __init__(self, count: int, gather: Callable[[Any], Any]):
        self._count, self._gather = count, gather

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < self._count:
            raise IndexError(index)
        return self._gather(index)


class Gathered(Examples):
    """Examples of which `gather` also makes whole batches, given several numbers."""

    def __getitems__(self, indices: list[int]) -> Any:  # torch calls it for a whole batch
        return self._gather(indices)


def _as_it_is(batch: Any) -> Any:
    return batch


def loader(examples: Dataset, batch_size: int | None, shuffle: bool, seed: int | None) -> DataLoader:
    """The batches of examples, or with None the examples one by one; mixed anew in every pass where asked for. `fit`
    has the next ones read while a step runs."""
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    shuffle = shuffle and len(examples) > 0  # type: ignore[arg-type]
    made = DataLoader(examples, batch_size, shuffle, collate_fn=_as_it_is, generator=generator)
    made.reads_ahead = True  # type: ignore[attr-defined]
    return made


def _as_tensor(data: Any) -> Tensor:
    return torch.as_tensor(np.array(data) if hasattr(data, "to_numpy") else data)  # a data frame's rows are read-only


def check_format(format: str, where: str) -> None:
    """Raises ValueError for words that Keras does not know; what comes is torch's DataLoader in any case."""
    if format not in ("tf", "grain"):
        raise ValueError(f'{where}: `format` must be "tf" or "grain"; got {format!r}.')


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",
) -> DataLoader:
    """Batches of windows (batch, sequence_length, ...) of a series, with the target at each window's first step.

    targets: one for each step, or None for windows alone. sequence_stride: steps between windows; sampling_rate: steps
    between those of one window. start_index, end_index: the part of the series. batch_size: None for single windows.
    format: a DataLoader comes in any case. Raises ValueError for sizes that do not fit the series.
    """
    check_format(format, "timeseries_dataset_from_array")
    data = _as_tensor(data)
    targets = None if targets is None else _as_tensor(targets)
    start, end = _part(start_index, end_index, len(data))
    for name, value in (
        ("sequence_length", sequence_length), ("sequence_stride", sequence_stride), ("sampling_rate", sampling_rate),
    ):  # fmt: skip
        if value < 1 or (name != "sequence_length" and value >= len(data)):
            raise ValueError(
                f"timeseries_dataset_from_array: `{name}` must be from 1 to below the series' length, {len(data)}; "
                f"got {value}."
            )
    count = end - start - (sequence_length - 1) * sampling_rate
    if targets is not None:
        count = min(count, len(targets) - start)
    starts = torch.arange(start, start + max(count, 0), sequence_stride)
    steps = torch.arange(sequence_length) * sampling_rate

    def gather(index: Any) -> Tensor | tuple[Tensor, Tensor]:
        first = starts[index]
        windows = data[first[..., None] + steps]
        return windows if targets is None else (windows, targets[first])

    return loader(Gathered(len(starts), gather), batch_size, shuffle, seed)


def _part(start: int | None, end: int | None, length: int) -> tuple[int, int]:
    start, end = 0 if start is None else start, length if end is None else end
    if not 0 <= start < end <= length:
        raise ValueError(
            f"timeseries_dataset_from_array: expected 0 <= start_index < end_index <= {length}, the series' length; "
            f"got {start} and {end}."
        )
    return start, end


def split_dataset(
    dataset: Any,
    left_size: float | None = None,
    right_size: float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Dataset, Dataset]:
    """The first examples and the last ones, as two data sets of torch: wrap them in a DataLoader for batches.

    dataset: an array, arrays in a tuple or list, a Dataset or DataLoader of torch, or any iterable of examples.
    left_size, right_size: how many, or which share of them; what one leaves open the other gets. Raises ValueError for
    sizes that do not fit, and TypeError for what is no data.
    """
    if preferred_backend not in (None, "torch"):
        raise ValueError(f'split_dataset: `preferred_backend` must be "torch" or None; got {preferred_backend!r}.')
    examples = _examples(dataset)
    count = len(examples)
    left, right = _sizes(left_size, right_size, count)
    order = list(range(count))
    if shuffle:
        random.Random(seed).shuffle(order)
    return Subset(examples, order[:left]), Subset(examples, order[count - right :])


def _examples(dataset: Any) -> Any:
    data: Any = dataset.dataset if isinstance(dataset, DataLoader) else dataset
    if isinstance(data, Dataset) and hasattr(data, "__len__"):
        return data
    if is_array(data) or (isinstance(data, (tuple, list)) and data and all(map(is_array, data))):
        tensors = pytree.tree_map(_as_tensor, tuple(data) if isinstance(data, list) else data)
        lengths = {len(tensor) for tensor in pytree.tree_leaves(tensors)}
        if len(lengths) > 1:
            raise ValueError(f"split_dataset: the arrays must be of one length; got {sorted(lengths)}.")
        return Examples(lengths.pop(), lambda index: pytree.tree_map(lambda tensor: tensor[index], tensors))
    if isinstance(data, (dict, str, bytes)) or not hasattr(data, "__iter__"):
        raise TypeError(f"split_dataset: expected arrays, a Dataset or an iterable of examples; got {short(data)}.")
    return [*data]


def _sizes(left: float | None, right: float | None, count: int) -> tuple[int, int]:
    if left is None and right is None:
        raise ValueError("split_dataset: give `left_size` or `right_size`.")
    given: list[int | None] = []
    for name, size in (("left_size", left), ("right_size", right)):
        if size is not None and (isinstance(size, bool) or not isinstance(size, (int, float))):
            raise TypeError(f"split_dataset: `{name}` must be a number or None; got {size!r}.")
        most = 1 if isinstance(size, float) else count
        if size is not None and not 0 < size < most:
            raise ValueError(
                f"split_dataset: `{name}` must be a number of examples from 1 to below {count}, or a share between 0 "
                f"and 1; got {size}."
            )
        given.append(round(size * count) if isinstance(size, float) else size)
    first, last = given
    first = count - last if first is None and last is not None else first
    last = count - first if last is None and first is not None else last
    assert first is not None and last is not None
    if first + last > count or not first or not last:
        raise ValueError(f"split_dataset: {count} examples cannot be split into {first} and {last}.")
    return first, last


def labels_as(labels: Sequence[int], classes: int, label_mode: str | None) -> Tensor | None:
    """Class numbers as `label_mode` says: "int" (n,), "categorical" (n, classes), "binary" (n, 1), None for none."""
    if label_mode is None:
        return None
    numbers = torch.as_tensor(np.asarray(labels, "int32"))
    if label_mode == "binary":
        return numbers.float()[:, None]
    return torch.nn.functional.one_hot(numbers.long(), classes).float() if label_mode == "categorical" else numbers
