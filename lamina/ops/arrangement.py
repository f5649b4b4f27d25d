"""Where values stand: shapes, axes, joining and splitting, padding, picking and putting."""

from __future__ import annotations

import builtins
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.errors import short
from ..core.symbolic import DIVISIBLE_SIZES, TRIAL_SIZES, SymbolicTensor
from .base import Axis, as_index, axes_of, channels_last, is_trial, needs_values, op, same_dtype, saved, tensor, tensors
from .base import tensor as _tensor

_AXES = 64  # torch computes with no more
_GROUP = re.compile(r"\(([^()]*)\)|([^\s()]+)|([()])")

# Shapes ----------------------------------------------------------------------------------------------------------


def shape(x: Any) -> tuple[int | None, ...]:
    """The sizes of the axes; None where a symbolic tensor's size is unknown."""
    return x.shape if isinstance(x, SymbolicTensor) else tuple(tensor(x).shape)


@saved()
def ndim(x: Any) -> int:
    """The number of axes."""
    return x.ndim if isinstance(x, SymbolicTensor) else tensor(x).ndim


@op
def size(x: Any) -> Tensor:
    """The number of values, int32."""
    x = tensor(x)
    return torch.full((), x.numel(), dtype=torch.int32, device=x.device)


@op
def reshape(x: Any, newshape: Any) -> Tensor:
    """The same values in another shape: -1 is what is left, None the size that axis has (as `shape` gives it)."""
    x = tensor(x)
    newshape = (newshape,) if isinstance(newshape, int) else tuple(newshape)
    if None in newshape:
        newshape = tuple(x.shape[i] if n is None else n for i, n in enumerate(newshape))
    return x.reshape(newshape)


@op
def ravel(x: Any) -> Tensor:
    """All values in one axis."""
    return tensor(x).reshape(-1)


@op
def broadcast_to(x: Any, shape: Any) -> Tensor:
    """`x` repeated along axes of size 1 and new axes in front; -1 and None keep a size."""
    return torch.broadcast_to(tensor(x), [-1 if size is None else size for size in shape])


@op
def expand_dims(x: Any, axis: Any) -> Tensor:
    """New axes of size 1, at these places of the result."""
    x = tensor(x)
    if isinstance(axis, int):
        return x.unsqueeze(axis)
    for place in sorted(axes_of(axis, x.ndim + len(axis))):
        x = x.unsqueeze(place)
    return x


@op
def squeeze(x: Any, axis: Axis = None) -> Tensor:
    """Without axes of size 1: all, or those given. Raises ValueError for one that is longer."""
    x = tensor(x)
    if axis is None:
        return x.squeeze()
    axes = axes_of(axis, x.ndim)
    for place in axes:
        if x.shape[place] != 1:
            raise ValueError(f"squeeze: axis {place} of shape {tuple(x.shape)} has size {x.shape[place]}; expected 1.")
    return x.squeeze(axes)


@op
def transpose(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    """The axes in another order, by default reversed."""
    x = tensor(x)
    return x.permute(tuple(range(x.ndim))[::-1] if axes is None else tuple(axes))


@op
def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """Two axes in each other's place."""
    return torch.swapaxes(tensor(x), axis1, axis2)


@op
def moveaxis(x: Any, source: Any, destination: Any) -> Tensor:
    """Axes moved to other places, the rest in order."""
    return torch.moveaxis(tensor(x), source, destination)


@op(room="einops", call="tensor,pattern,**axes_lengths")
def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Tensor:
    """Axes renamed, split, joined and reordered as a pattern says: "b (h w) c -> b c h w" with h=4."""
    x = _tensor(tensor)
    if not isinstance(pattern, str):
        raise TypeError(f"rearrange: `pattern` must be a string; got {short(pattern)}.")
    left, arrow, right = pattern.partition("->")
    before, after = _groups(left), _groups(right)
    names, wanted = [name for group in before for name in group], [name for group in after for name in group]
    same = len(set(names)) == len(names) <= _AXES and sorted(names) == sorted(wanted)
    if not arrow or len(before) != x.ndim or not same:
        raise ValueError(
            f"rearrange: the pattern {short(pattern)} does not fit a tensor of shape {tuple(x.shape)}. Both sides must "
            f"name the same axes once, at most {_AXES}, the left one as many groups as there are axes; a group is a "
            "name, or names in one pair of brackets."
        )
    sizes = dict(axes_lengths)
    for group, length in zip(before, x.shape, strict=True):
        known = math.prod([sizes[name] for name in group if name in sizes])
        unknown = [name for name in group if name not in sizes]
        if len(unknown) > 1 or (known and length % known) or (not unknown and known != length):
            raise ValueError(
                f"rearrange: cannot split an axis of size {length} into {group} with {axes_lengths} in "
                f"{short(pattern)}."
            )
        sizes.update(dict.fromkeys(unknown, length // known))
    x = x.reshape([sizes[name] for name in names]).permute([names.index(name) for name in wanted])
    return x.reshape([math.prod([sizes[name] for name in group]) for group in after])


def _groups(side: str) -> list[list[str]]:
    """The names of each group. A bracket without a partner gives one name twice, which no pattern may."""
    return [[bracket] * 2 if bracket else (many or one).split() for many, one, bracket in _GROUP.findall(side)]


@op
def flip(x: Any, axis: Axis = None) -> Tensor:
    """The values along the axes (default: all) in reverse order."""
    x = tensor(x)
    return torch.flip(x, axes_of(axis, x.ndim))


@op
def fliplr(x: Any) -> Tensor:
    """Axis 1 reversed."""
    return torch.fliplr(tensor(x))


@op
def flipud(x: Any) -> Tensor:
    """Axis 0 reversed."""
    return torch.flipud(tensor(x))


@op
def rot90(array: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Tensor:
    """Turned by `k` quarters, from the first of the axes towards the second."""
    x = tensor(array)
    if x.ndim < 2 or len(axes) != 2 or len(set(axes_of(tuple(axes), x.ndim))) != 2:
        raise ValueError(f"rot90: needs two different axes; got axes {axes} of a tensor of shape {tuple(x.shape)}.")
    return torch.rot90(x, k, tuple(axes))


@op
def roll(x: Any, shift: Any, axis: Any = None) -> Tensor:
    """Values moved along the axes, what leaves at the end coming in at the front."""
    return torch.roll(tensor(x), shift, axis)


@op
def tile(x: Any, repeats: Any) -> Tensor:
    """`x` as often as `repeats` says for each axis."""
    return torch.tile(tensor(x), (repeats,) if isinstance(repeats, int) else tuple(int(n) for n in repeats))


@op
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Each value, or slice along `axis`, repeated in place; `repeats` may differ from one to the next."""
    x = tensor(x)
    if isinstance(repeats, (list, tuple, np.ndarray)) and len(repeats) == 1:
        repeats = int(repeats[0])
    if isinstance(repeats, (list, tuple, np.ndarray)):
        if axis is None:
            x, axis = x.reshape(-1), 0
        if len(repeats) != x.shape[axis]:
            raise ValueError(f"repeat: {len(repeats)} repeats for axis {axis} of shape {tuple(x.shape)}.")
        places = [place for place, count in enumerate(repeats) for _ in range(count)]
        return x.index_select(axis, torch.tensor(places, dtype=torch.int64, device=x.device))
    if isinstance(repeats, Tensor):
        needs_values(repeats, "repeat", "Give `repeats` as a list.")
    return torch.repeat_interleave(x, repeats, axis)


# Joining and splitting -------------------------------------------------------------------------------------------


@op
def concatenate(xs: Sequence[Any], axis: int = 0) -> Tensor:
    """One after the other along an axis they have."""
    return torch.cat([tensor(x) for x in xs], axis)


@op
def stack(x: Sequence[Any], axis: int = 0) -> Tensor:
    """Side by side along a new axis."""
    return torch.stack(same_dtype(*x), axis)


@op
def append(x1: Any, x2: Any, axis: int | None = None) -> Tensor:
    """x2 after x1; both flattened without an axis."""
    x1, x2 = tensors(x1, x2)
    return torch.cat((x1.reshape(-1), x2.reshape(-1))) if axis is None else torch.cat((x1, x2), axis)


@op
def hstack(xs: Sequence[Any]) -> Tensor:
    """Along axis 1, vectors along axis 0."""
    return torch.hstack([tensor(x) for x in xs])


@op
def vstack(xs: Sequence[Any]) -> Tensor:
    """Along axis 0, vectors as rows."""
    return torch.vstack([tensor(x) for x in xs])


@op
def dstack(xs: Sequence[Any]) -> Tensor:
    """Along axis 2."""
    return torch.dstack([tensor(x) for x in xs])


@op
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """So many equal parts, or the parts between the given places. Raises ValueError where parts are not equal."""
    x = tensor(x)
    if isinstance(indices_or_sections, int) and x.shape[axis] % indices_or_sections:
        raise ValueError(
            f"split: axis {axis} of size {x.shape[axis]} does not divide into {indices_or_sections} equal parts; "
            "give the places to split at, or use array_split."
        )
    return _split(x, indices_or_sections, axis)


def _split(x: Tensor, where: Any, axis: int) -> list[Tensor]:
    if isinstance(where, Tensor):
        where = where.tolist()
    return list(torch.tensor_split(x, where if isinstance(where, int) else tuple(int(i) for i in where), axis))


@op
def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """`split` into parts as equal as can be, longer ones first."""
    return _split(tensor(x), indices_or_sections, axis)


@op
def hsplit(x: Any, indices_or_sections: Any) -> list[Tensor]:
    """`split` along axis 1, a vector along axis 0."""
    x = tensor(x)
    return split(x, indices_or_sections, 1 if x.ndim > 1 else 0)


@op
def vsplit(x: Any, indices_or_sections: Any) -> list[Tensor]:
    """`split` along axis 0."""
    return split(x, indices_or_sections, 0)


@op
def dsplit(x: Any, indices_or_sections: Any) -> list[Tensor]:
    """`split` along axis 2."""
    return split(x, indices_or_sections, 2)


@op(room="core")
def unstack(x: Any, num: int | None = None, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices along an axis, without it."""
    x = tensor(x)
    if num is not None and is_trial(x) and x.shape[axis] in (*TRIAL_SIZES, *DIVISIBLE_SIZES):
        x = x.narrow(axis, 0, num)
    if num is not None and num != x.shape[axis]:
        raise ValueError(f"unstack: axis {axis} of shape {tuple(x.shape)} has {x.shape[axis]} slices; `num` is {num}.")
    return torch.unbind(x, axis)


# Padding ---------------------------------------------------------------------------------------------------------


@op(call="x,constant_values=")
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Tensor:
    """Values round `x`: `pad_width` is one number, one pair (before, after), or a pair for each axis.

    `mode`: "constant" (zeros, or `constant_values`), "edge", "reflect", "symmetric" (reflect with the edge), "wrap".
    """
    x = tensor(x)
    widths = _widths(pad_width, x.ndim)
    if mode == "constant":
        flat = [n for pair in reversed(widths) for n in pair]
        return torch.constant_pad_nd(x, flat, 0 if constant_values is None else constant_values)
    if constant_values is not None:
        given = "Argument `constant_values` can only be provided when `mode == 'constant'`"
        raise ValueError(f"pad: {given}; the mode is {mode!r}.")
    place = PLACES.get(mode)
    if place is None:
        raise ValueError(f"pad: unknown mode {mode!r}; expected constant, {', '.join(PLACES)}.")
    for axis, (before, after) in enumerate(widths):
        if before or after:
            index = torch.arange(-before, x.shape[axis] + after, device=x.device)
            x = x.index_select(axis, place(index, x.shape[axis]))
    return x


def _widths(pad_width: Any, ndim: int) -> list[tuple[int, int]]:
    """A pair for each axis."""
    if isinstance(pad_width, (Tensor, np.ndarray)):
        pad_width = pad_width.tolist()
    if isinstance(pad_width, int):
        return [(pad_width, pad_width)] * ndim
    pairs = list(pad_width)
    if len(pairs) == 2 and all(isinstance(width, int) for width in pairs):
        return [(pairs[0], pairs[1])] * ndim
    if len(pairs) == 1:
        pairs = pairs * ndim
    if len(pairs) != ndim or any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"pad: `pad_width` must be a pair for each of the {ndim} axes; got {pad_width!r}.")
    return [(before, after) for before, after in pairs]


def _mirror(index: Tensor, period: int) -> Tensor:
    index = torch.remainder(index, max(period, 1))
    return torch.minimum(index, period - index)


# Which value of an axis of size n stands at a place beyond its ends.
PLACES: dict[str, Callable[[Tensor, int], Tensor]] = {
    "edge": lambda index, n: index.clamp(0, n - 1),
    "reflect": lambda index, n: _mirror(index, 2 * n - 2),
    "symmetric": lambda index, n: (lambda at: torch.minimum(at, 2 * n - 1 - at))(torch.remainder(index, 2 * n)),
    "wrap": torch.remainder,
    "circular": torch.remainder,
}


# Picking ---------------------------------------------------------------------------------------------------------


@op(call=3)
def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """x1 where the condition holds, x2 elsewhere; with the condition alone, where it holds, as `nonzero`."""
    if (x1 is None) != (x2 is None):
        raise ValueError("where: give both `x1` and `x2`, or neither.")
    if x1 is None:
        return nonzero(condition)
    x1, x2 = tensors(x1, x2)
    return torch.where(tensor(condition, torch.bool, x1.device), x1, x2)


@op(call=3)
def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Tensor:
    """For each place the choice of the first condition that holds there, else the default."""
    if len(condlist) != len(choicelist):
        raise ValueError(f"select: {len(condlist)} conditions for {len(choicelist)} choices; expected as many.")
    result = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        result = where(condition, choice, result)
    return result


@op(call=2)
def get_item(x: Any, key: Any) -> Tensor:
    """x[key]."""
    return tensor(x)[tuple(key) if isinstance(key, list) and any(isinstance(k, builtins.slice) for k in key) else key]


@op(call=2)
def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """The slices along `axis` at these places, negative ones from the end; of the flattened tensor without an axis."""
    x = tensor(x)
    indices = as_index(indices, x.device)
    if axis is None:
        x, axis = x.reshape(-1), 0
    (axis,) = axes_of(axis, x.ndim)
    length = x.shape[axis]
    picked = x.index_select(axis, torch.where(indices < 0, indices + length, indices).reshape(-1))
    return picked if indices.ndim == 1 else picked.reshape((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


@op(call=2)
def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """For each place of `indices` the value there along `axis`; other axes broadcast."""
    x = tensor(x)
    indices = as_index(indices, x.device)
    if axis is None:
        x, axis = x.reshape(-1), 0
        indices = indices.reshape(-1)
    (axis,) = axes_of(axis, x.ndim)
    indices = torch.where(indices < 0, indices + x.shape[axis], indices)
    whole = x.ndim == indices.ndim and x.shape[:axis] == indices.shape[:axis]
    if whole and x.shape[axis + 1 :] == indices.shape[axis + 1 :]:  # which export reads for any number of samples
        return x.gather(axis, indices)
    return torch.take_along_dim(x, indices, axis)


@op
def nonzero(x: Any) -> Tensor:
    """(axes, count) places of the values that are not 0, int32; their number depends on the values."""
    x = tensor(x)
    needs_values(x, "nonzero", "Choose values with where(condition, x1, x2), or call it on data before the model.")
    return torch.nonzero(x).mT.to(torch.int32)


@op
def unravel_index(indices: Any, shape: Sequence[int]) -> tuple[Tensor, ...]:
    """For each axis the places of indices into the flattened tensor."""
    indices = tensor(indices)
    flat = as_index(indices)
    flat = torch.where(flat < 0, flat + math.prod(shape), flat)
    return tuple(place.to(indices.dtype) for place in torch.unravel_index(flat, tuple(shape)))


def _window(starts: Any, sizes: Sequence[int], x: Tensor, name: str) -> tuple[Any, ...]:
    """Indices of a box in `x`: slices, or places counted on the device where its corner is a tensor there."""
    if not len(starts) == len(sizes) <= x.ndim:
        raise ValueError(
            f"{name}: expected a start and a size for each of the {x.ndim} axes of shape {tuple(x.shape)}; got "
            f"{len(starts)} starts and {len(sizes)} sizes."
        )
    if -1 in sizes:
        needs_values(starts, name, "Give sizes in place of -1, or starts as integers.")
        starts = [int(start) for start in starts]
        sizes = [n - start if size == -1 else size for n, start, size in zip(x.shape, starts, sizes, strict=False)]
    if not isinstance(starts, Tensor) and not any(isinstance(start, Tensor) for start in starts):
        return tuple(builtins.slice(int(start), int(start) + size) for start, size in zip(starts, sizes, strict=True))
    ndim = len(sizes)
    return tuple(
        (start + torch.arange(size, device=x.device)).reshape([-1 if place == axis else 1 for place in range(ndim)])
        for axis, (start, size) in enumerate(zip(starts, sizes, strict=True))
    )


@op(room="core", call=2)
def slice(inputs: Any, start_indices: Any, shape: Sequence[int]) -> Tensor:
    """The box of this shape whose first corner is `start_indices`, which may be a tensor. A size of -1 is the rest."""
    x = tensor(inputs)
    return x[_window(start_indices, [int(size) for size in shape], x, "slice")]


@op(room="core", call=3)
def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Tensor:
    """`inputs` with `updates` in the box whose first corner is `start_indices`."""
    x = tensor(inputs)
    updates = tensor(updates, x.dtype, x.device)
    result = x.clone()
    result[_window(start_indices, updates.shape, x, "slice_update")] = updates
    return result


@op(room="core", call=2)
def scatter(indices: Any, values: Any, shape: Sequence[int]) -> Tensor:
    """Zeros of this shape with `values` added at `indices` (..., axes)."""
    values = tensor(values)
    indices = as_index(indices, values.device)
    return values.new_zeros(tuple(shape)).index_put(indices.unbind(-1), values, accumulate=True)


@op(room="core", call=3)
def scatter_update(inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Tensor:
    """`inputs` with `updates` put at `indices` (..., axes), or joined to what is there: "add", "max", "min", "mul"."""
    x = tensor(inputs)
    indices, updates = as_index(indices, x.device), tensor(updates, x.dtype, x.device)
    if reduction in (None, "add"):
        return x.index_put(indices.unbind(-1), updates, accumulate=reduction == "add")
    join = {"max": "amax", "min": "amin", "mul": "prod"}.get(reduction)
    if join is None:
        raise ValueError(f"scatter_update: unknown reduction {reduction!r}; expected None, add, max, min or mul.")
    places = indices.shape[-1]
    flat = torch.zeros_like(indices[..., 0])
    for axis in range(places):
        place = indices[..., axis]
        flat = flat * x.shape[axis] + torch.where(place < 0, place + x.shape[axis], place)
    rows = x.reshape(math.prod(x.shape[:places]), *x.shape[places:])
    flat = flat.reshape(-1, *(1,) * (rows.ndim - 1))
    updates = updates.reshape(flat.shape[0], *rows.shape[1:])
    return rows.scatter_reduce(0, flat.expand_as(updates), updates, join).reshape(x.shape)


# Blocks ----------------------------------------------------------------------------------------------------------


def _check_block(block_size: Any, name: str) -> None:
    if not isinstance(block_size, int) or block_size < 1:
        raise ValueError(f"{name}: `block_size` must be a positive integer; got {block_size!r}.")


@op(room="nn")
def depth_to_space(x: Any, block_size: int, data_format: str = "channels_last") -> Tensor:
    """Channels laid out as blocks of pictures: (N, H, W, b b C) becomes (N, b H, b W, C)."""
    x = tensor(x)
    last = channels_last(data_format)
    channels = x.shape[-1 if last else 1]
    _check_block(block_size, "depth_to_space")
    if channels % block_size**2:
        raise ValueError(f"depth_to_space: {channels} channels do not divide by block_size**2 = {block_size**2}.")
    if last:
        return rearrange(x, "n h w (a b c) -> n (h a) (w b) c", a=block_size, b=block_size)
    return rearrange(x, "n (c a b) h w -> n c (h a) (w b)", a=block_size, b=block_size)


@op(room="nn")
def space_to_depth(x: Any, block_size: int, data_format: str = "channels_last") -> Tensor:
    """Blocks of pictures as channels: (N, b H, b W, C) becomes (N, H, W, b b C)."""
    x = tensor(x)
    _check_block(block_size, "space_to_depth")
    if channels_last(data_format):
        return rearrange(x, "n (h a) (w b) c -> n h w (a b c)", a=block_size, b=block_size)
    return rearrange(x, "n c (h a) (w b) -> n (c a b) h w", a=block_size, b=block_size)


@op(room="math")
def extract_sequences(x: Any, sequence_length: int, sequence_stride: int) -> Tensor:
    """Windows of the last axis: (..., time) becomes (..., windows, sequence_length)."""
    return tensor(x).unfold(-1, sequence_length, sequence_stride)
