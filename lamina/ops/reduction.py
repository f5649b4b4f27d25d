"""Functions over axes: sums, extremes, order, running values, histograms. `axis`: None (all), one axis or several."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..core import dtypes
from .base import Axis, as_index, axes_of, floating, floats, needs_values, op, same_dtype, summed_dtype, tensor, tensors


def _joined(x: Tensor, axis: Axis) -> tuple[Tensor, list[int]]:
    """`x` with the axes as one, the last, and its shape with them as 1."""
    axes = axes_of(axis, x.ndim)
    kept = [1 if place in axes else size for place, size in enumerate(x.shape)]
    if axes == (x.ndim - 1,):
        return x, kept
    rest = [place for place in range(x.ndim) if place not in axes]
    y = x.permute((*rest, *axes))
    return y.reshape((*y.shape[: len(rest)], math.prod(y.shape[len(rest) :]))), kept


def _over(x: Any, axis: Axis, keepdims: bool = False) -> tuple[Tensor, Any, bool]:
    """What torch's reductions take: no axes, which are all to them, are one more of size 1."""
    x = tensor(x)
    if axis is None:
        return x, tuple(range(x.ndim)), keepdims
    return (x, axis, keepdims) if axis or isinstance(axis, int) else (x.unsqueeze(-1), -1, False)


# Sums and means --------------------------------------------------------------------------------------------------


@op
def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum; small integers and booleans are counted in int32."""
    x = tensor(x)
    if axis in ((), []):
        x, axis, keepdims = _over(x, axis)
    if x.is_floating_point():
        return torch.sum(x, axis, keepdims)
    return torch.sum(x, axis, keepdims, dtype=summed_dtype(x.dtype))


@op
def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean."""
    x = floating(x)
    return x if axis in ((), []) else torch.mean(x, axis, keepdims)


@op
def var(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean square of the distance from the mean."""
    x, axis, keepdims = _over(floating(x), axis, keepdims)
    return torch.var(x, axis, correction=0, keepdim=keepdims)


@op
def std(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The root of `var`."""
    x, axis, keepdims = _over(floating(x), axis, keepdims)
    return torch.std(x, axis, correction=0, keepdim=keepdims)


@op
def prod(x: Any, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """The product; small integers and booleans are multiplied in int32."""
    x = tensor(x)
    y, kept = _joined(x, axis)
    result = torch.prod(y, -1, dtype=summed_dtype(x.dtype) if dtype is None else dtypes.torch_dtype(dtype))
    return result.reshape(kept) if keepdims else result


@op(call="x,weights=")
def average(x: Any, axis: Axis = None, weights: Any = None) -> Tensor:
    """The mean in which each value counts as much as its weight; `weights` has the shape of `x` or of its one axis."""
    if weights is None:
        return torch.mean(*_over(floating(x), axis))
    x, weights = floats(x, weights)
    weights = weights.to(torch.promote_types(weights.dtype, x.dtype))
    if weights.shape != x.shape:
        if weights.ndim != 1 or not isinstance(axis, int) or weights.shape[0] != x.shape[axis]:
            raise ValueError(
                f"average: `weights` of shape {tuple(weights.shape)} does not fit `x` of shape {tuple(x.shape)} or its "
                f"axis {axis}."
            )
        weights = weights.reshape([-1 if place == axis % x.ndim else 1 for place in range(x.ndim)])
    return torch.sum(x * weights, axis) / torch.sum(weights.expand(x.shape), axis)


@op(room="math")
def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))), without overflow."""
    x, axis, keepdims = _over(floating(x), axis, keepdims)
    return torch.logsumexp(x, axes_of(axis, x.ndim), keepdims)


@op
def count_nonzero(x: Any, axis: Axis = None) -> Tensor:
    """How many values are not 0."""
    return torch.count_nonzero(*_over(x, axis)[:2]).to(torch.int32)


@op
def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Tensor:
    """The integral by trapezoids, at the points `x` or `dx` apart."""
    y = floating(y)
    if x is None:
        return torch.trapezoid(y, dx=dx, dim=axis)
    return torch.trapezoid(y, floating(x), dim=axis)


# Any and all -----------------------------------------------------------------------------------------------------


@op
def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether one value is not 0."""
    x, axis, keepdims = _over(x, axis, keepdims)
    return torch.any(x.to(torch.bool), axes_of(axis, x.ndim), keepdims)


@op
def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether no value is 0."""
    x, axis, keepdims = _over(x, axis, keepdims)
    return torch.all(x.to(torch.bool), axes_of(axis, x.ndim), keepdims)


# Extremes --------------------------------------------------------------------------------------------------------


@op
def max(x: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """The greatest value, at least `initial`; equal ones share the gradient."""
    return _from_initial(torch.amax, torch.maximum, _over(x, axis, keepdims), initial)


@op
def min(x: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """The smallest value, at most `initial`; equal ones share the gradient."""
    return _from_initial(torch.amin, torch.minimum, _over(x, axis, keepdims), initial)


def _from_initial(reduce: Callable, choose: Callable, over: tuple[Tensor, Any, bool], initial: Any) -> Tensor:
    if initial is None:
        return reduce(*over)
    if not over[0].numel():  # of no values the extreme is `initial`; torch reduces none
        return torch.full_like(torch.any(*over), initial, dtype=over[0].dtype)
    found = reduce(*over)
    return choose(*tensors(found, bool(initial) if found.dtype is torch.bool else initial))


@op
def amax(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """`max` without an initial value."""
    return torch.amax(*_over(x, axis, keepdims))


@op
def amin(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """`min` without an initial value."""
    return torch.amin(*_over(x, axis, keepdims))


@op
def ptp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The distance from the smallest to the greatest value."""
    over = _over(x, axis, keepdims)
    return torch.amax(*over) - torch.amin(*over)


@op
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the greatest value is, int32; in the flattened tensor without an axis."""
    return _argument(torch.argmax, x, axis, keepdims)


@op
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the smallest value is, int32; in the flattened tensor without an axis."""
    return _argument(torch.argmin, x, axis, keepdims)


def _argument(function: Callable[..., Tensor], x: Any, axis: int | None, keepdims: bool) -> Tensor:
    x = tensor(x)
    if x.dtype is torch.bool:
        x = x.to(torch.uint8)
    return function(x, axis, keepdims).to(torch.int32)


# Without NaN -----------------------------------------------------------------------------------------------------


def _filled(x: Any, value: float) -> Tensor:
    x = tensor(x)
    return torch.where(torch.isnan(x), value, x) if x.is_floating_point() else x


@op
def nansum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """`sum` of what is not NaN."""
    return sum(_filled(x, 0.0), axis, keepdims)


@op
def nanprod(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """`prod` of what is not NaN."""
    return prod(_filled(x, 1.0), axis, keepdims)


@op
def nanmean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """`mean` of what is not NaN; NaN where nothing is left."""
    return torch.nanmean(*_over(floating(x), axis, keepdims))


@op
def nanvar(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """`var` of what is not NaN; NaN where nothing is left."""
    x, axis, keepdims = _over(floating(x), axis, keepdims)
    axes = axes_of(axis, x.ndim)
    absent = torch.isnan(x)
    distance = torch.where(absent, 0.0, x - torch.nanmean(x, axes, True))
    return distance.square().sum(axes, keepdims) / absent.logical_not().sum(axes, keepdims)


@op
def nanstd(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """`std` of what is not NaN; NaN where nothing is left."""
    return torch.sqrt(nanvar(x, axis, keepdims))


@op
def nanmax(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """`max` of what is not NaN; NaN where nothing is left."""
    return _nan_extreme(torch.amax, x, -math.inf, axis, keepdims)


@op
def nanmin(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """`min` of what is not NaN; NaN where nothing is left."""
    return _nan_extreme(torch.amin, x, math.inf, axis, keepdims)


def _nan_extreme(function: Callable[..., Tensor], x: Any, worst: float, axis: Axis, keepdims: bool) -> Tensor:
    x, axis, keepdims = _over(x, axis, keepdims)
    found = function(_filled(x, worst), axis, keepdims)
    if not x.is_floating_point():
        return found
    return torch.where(torch.all(torch.isnan(x), axes_of(axis, x.ndim), keepdims), math.nan, found)


@op
def nanargmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """`argmax` of what is not NaN; -1 where nothing is left."""
    return _nan_argument(torch.argmax, x, -math.inf, axis, keepdims)


@op
def nanargmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """`argmin` of what is not NaN; -1 where nothing is left."""
    return _nan_argument(torch.argmin, x, math.inf, axis, keepdims)


def _nan_argument(function: Callable[..., Tensor], x: Any, worst: float, axis: int | None, keepdims: bool) -> Tensor:
    x = tensor(x)
    found = _argument(function, _filled(x, worst), axis, keepdims)
    return torch.where(torch.all(torch.isnan(x), axes_of(axis, x.ndim), keepdims), -1, found)


@op
def nancumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """`cumsum` in which NaN counts as 0."""
    return cumsum(_filled(x, 0.0), axis, dtype)


@op
def nancumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """`cumprod` in which NaN counts as 1."""
    return cumprod(_filled(x, 1.0), axis, dtype)


# Running values --------------------------------------------------------------------------------------------------


@op
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Running sums; of the flattened tensor without an axis."""
    return _running(torch.cumsum, x, axis, dtype)


@op
def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Running products; of the flattened tensor without an axis."""
    return _running(torch.cumprod, x, axis, dtype)


def _running(function: Callable[..., Tensor], x: Any, axis: int | None, dtype: Any) -> Tensor:
    x = tensor(x)
    kind = dtypes.torch_dtype(dtype) if dtype is not None else torch.int32 if x.dtype is torch.bool else x.dtype
    return function(x.reshape(-1) if axis is None else x, 0 if axis is None else axis, dtype=kind)


@op
def diff(a: Any, n: int = 1, axis: int = -1) -> Tensor:
    """Differences of neighbours, `n` times over."""
    return torch.diff(tensor(a), n, axis)


# Order -----------------------------------------------------------------------------------------------------------


@op
def sort(x: Any, axis: int | None = -1) -> Tensor:
    """Values in rising order; of the flattened tensor for axis None."""
    return torch.sort(*_sorted_axis(x, axis)).values


def _sorted_axis(x: Any, axis: int | None) -> tuple[Tensor, int]:
    x = tensor(x)
    if axis is None:
        return x.reshape(-1), -1
    (axis,) = axes_of(axis, x.ndim)  # in a trial torch takes any
    return x, axis


@op
def argsort(x: Any, axis: int | None = -1) -> Tensor:
    """Where the values in rising order are, int32; equal ones keep their order."""
    x, axis = _sorted_axis(x, axis)
    return torch.sort(x, dim=axis, stable=True).indices.to(torch.int32)


@op
def argpartition(x: Any, kth: int, axis: int | None = -1) -> Tensor:
    """Indices, int32, that put the `kth` value in its place, smaller ones before and greater ones after it.

    Raises ValueError where there is no `kth` value.
    """
    x = tensor(x)
    count = x.numel() if axis is None else x.shape[axis]
    if not -count <= kth < count:
        raise ValueError(f"argpartition: `kth` must be from {-count} to {count - 1}; got {kth}.")
    return argsort(x, axis)


@op(room="math")
def top_k(x: Any, k: int, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """The `k` greatest values of the last axis, falling, and where they are, int32."""
    values, indices = torch.topk(tensor(x), k, sorted=sorted)
    return values, indices.to(torch.int32)


@op(room="math", call=2)
def in_top_k(targets: Any, predictions: Any, k: int) -> Tensor:
    """Whether the score of the target class is among the `k` greatest: fewer than `k` are above it, and it is finite.

    targets (batch,), predictions (batch, classes).
    """
    predictions = floating(predictions)
    targets = as_index(targets, predictions.device).unsqueeze(-1)
    known = (targets >= 0) & (targets < predictions.shape[-1])
    own = predictions.gather(-1, torch.where(known, targets, 0))
    below = (predictions <= own).sum(-1)  # NaN counts as above
    return (below > predictions.shape[-1] - k) & known.squeeze(-1) & torch.isfinite(own).squeeze(-1)


def _ordered(x1: Any, x2: Any) -> tuple[Tensor, ...]:
    """Both as tensors of one type, of which torch can tell the greater."""
    return tuple(x.byte() if x.dtype is torch.bool else x for x in same_dtype(*tensors(x1, x2)))


@op(name="SearchSorted", call=2)
def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Tensor:
    """Where in the 1-D rising sequence each value would go, int32; equal ones go before (left) or after (right)."""
    if side not in ("left", "right"):
        raise ValueError(f'searchsorted: `side` must be "left" or "right"; got {side!r}.')
    sequence, values = _ordered(sorted_sequence, values)
    if sequence.ndim != 1:
        raise ValueError(f"searchsorted: `sorted_sequence` must have 1 axis; got shape {tuple(sequence.shape)}.")
    return torch.searchsorted(sequence.contiguous(), values.contiguous(), side=side, out_int32=True)


@op(call=2)
def digitize(x: Any, bins: Any) -> Tensor:
    """The number of edges in the rising vector `bins` that are not above each value, int32."""
    x, bins = _ordered(x, bins)
    if bins.ndim != 1:
        raise ValueError(f"digitize: `bins` must have 1 axis; got shape {tuple(bins.shape)}.")
    return torch.bucketize(x, bins, out_int32=True, right=True)


@op(call=2)
def quantile(x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """What a fraction `q` (one, or a vector that becomes the first axis) of the values lies below."""
    return _quantile(torch.quantile, x, q, axis, method, keepdims)


@op(call=2)
def nanquantile(x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """`quantile` of what is not NaN."""
    return _quantile(torch.nanquantile, x, q, axis, method, keepdims)


@op(call=2)
def percentile(x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """`quantile`, with `q` in percent."""
    return _quantile(torch.quantile, x, floating(q) / 100, axis, method, keepdims)


@op(call=2)
def nanpercentile(x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """`percentile` of what is not NaN."""
    return _quantile(torch.nanquantile, x, floating(q) / 100, axis, method, keepdims)


@op
def median(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The value in the middle, or the mean of the two there."""
    return _middle(torch.quantile, x, axis, keepdims)


@op
def nanmedian(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """`median` of what is not NaN."""
    return _middle(torch.nanquantile, x, axis, keepdims)


def _middle(function: Callable[..., Tensor], x: Any, axis: Axis, keepdims: bool) -> Tensor:
    """torch's own way between two infinite values gives NaN."""
    low, high = (_quantile(function, x, 0.5, axis, side, keepdims) for side in ("lower", "higher"))
    return torch.where(low == high, low, low / 2 + high / 2)


def _quantile(function: Callable[..., Tensor], x: Any, q: Any, axis: Axis, method: str, keepdims: bool) -> Tensor:
    x = floating(x)
    joined, kept = _joined(x if x.dtype is torch.float64 else x.float(), axis)
    q = tensor(q, joined.dtype, x.device)
    found = function(joined, q.reshape(-1), -1, interpolation=method).to(x.dtype)
    shape = kept if keepdims else joined.shape[:-1]
    return found.reshape((*q.shape, *shape))


# Counting --------------------------------------------------------------------------------------------------------


@op
def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Tensor:
    """How often each of 0, 1, 2, ... occurs along the last axis, or the sum of its weights; at least `minlength`.

    int32, or the type that holds `x` and the weights. Reads the greatest value from the device.
    """
    if sparse:
        raise ValueError("bincount: sparse tensors are not supported; leave `sparse` False.")
    x = tensor(x)
    of, x = x.dtype, as_index(x)
    needs_values(x, "bincount", "Sum one_hot(x, num_classes) over the axis instead.")
    if weights is not None:
        weights = tensor(weights, device=x.device)
        weights = weights.to(torch.promote_types(weights.dtype, of))
    if x.ndim == 1:
        counts = torch.bincount(x, weights, minlength)
    else:
        length = builtins.max(minlength, int(x.max()) + 1 if x.numel() else 0)
        ones = torch.ones_like(x) if weights is None else weights
        counts = ones.new_zeros((*x.shape[:-1], length)).scatter_add(-1, x, ones)
    return counts.to(torch.int32 if weights is None else weights.dtype)


@op
def histogram(x: Any, bins: int = 10, range: tuple[float, float] | None = None) -> tuple[Tensor, Tensor]:
    """Counts of the values in `bins` equal parts of `range` (default: of all values), and the edges of the parts."""
    x = floating(x).reshape(-1)
    if not isinstance(bins, int) or bins < 1:
        raise ValueError(f"histogram: `bins` must be a positive integer; got {bins!r}.")
    if range is not None and range[0] > range[1]:
        raise ValueError(f"histogram: `range` must rise; got {range}.")
    low, high = (tensor(end, x.dtype, x.device) for end in range) if range else _ends(x)
    flat = low == high
    low, high = torch.where(flat, low - 0.5, low), torch.where(flat, high + 0.5, high)
    steps = torch.arange(bins + 1, dtype=x.dtype, device=x.device)
    edges = torch.where(steps == bins, high, low + steps * ((high - low) / bins))
    places = torch.bucketize(x, edges, right=True) - 1
    places = torch.where(x == high, bins - 1, places)
    inside = (x >= low) & (x <= high)
    counts = x.new_zeros(bins).index_add(0, torch.where(inside, places, 0), inside.to(x.dtype))
    return counts, edges


def _ends(x: Tensor) -> tuple[Tensor, Tensor]:
    return torch.aminmax(x) if x.numel() else (x.new_zeros(()), x.new_ones(()))


@op
def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The different values, or slices along `axis`, in rising order; `size` cuts or fills up to a fixed number of them.

    On demand also, int32: where each first occurs, which of them each value is, how often each occurs.
    """
    x = tensor(x)
    needs_values(x, "unique", "Call it on data before the model.")
    values, inverse, counts = torch.unique(x, sorted, True, True, dim=axis)
    found = [values]
    if return_index:
        flat = inverse.reshape(-1)
        order = torch.arange(flat.numel(), device=x.device)
        first = order.new_full((counts.numel(),), flat.numel()).scatter_reduce(0, flat, order, "amin")
        found.append(first.to(torch.int32))
    if return_inverse:
        found.append(inverse.to(torch.int32))
    if return_counts:
        found.append(counts.to(torch.int32))
    if size is not None:
        found[0] = _resized(values, size, axis or 0, fill_value or 0)
        if return_counts:
            found[-1] = _resized(found[-1], size, 0, 0)
        if return_index:
            found[1] = _resized(found[1], size, 0, 0)
    return found[0] if len(found) == 1 else tuple(found)


def _resized(x: Tensor, size: int, axis: int, fill: Any) -> Tensor:
    if x.shape[axis] >= size:
        return x.narrow(axis, 0, size)
    missing = [size - n if place == axis % x.ndim else n for place, n in enumerate(x.shape)]
    return torch.cat([x, x.new_full(missing, fill)], axis)


@op(name="IsIn")
def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each value of x1 is among x2; `invert`: is not."""
    x1, x2 = same_dtype(*tensors(x1, x2))
    if x1.dtype is torch.bool:
        x1, x2 = x1.to(torch.uint8), x2.to(torch.uint8)
    return torch.isin(x1, x2, assume_unique=assume_unique, invert=invert)


@op
def corrcoef(x: Any) -> Tensor:
    """Correlations of the rows."""
    x = torch.atleast_2d(floating(x))
    x = x - x.mean(1, keepdim=True)
    x = x / torch.linalg.vector_norm(x, dim=1, keepdim=True)
    return (x @ x.mT).clamp(-1, 1).squeeze()


@op
def correlate(x1: Any, x2: Any, mode: str = "valid") -> Tensor:
    """Cross-correlation of two vectors: `mode` "valid", "same" or "full"."""
    x1, x2 = same_dtype(*floats(x1, x2))
    if x1.ndim != 1 or x2.ndim != 1:
        raise ValueError(f"correlate: both must have 1 axis; got shapes {tuple(x1.shape)} and {tuple(x2.shape)}.")
    if mode not in ("valid", "same", "full"):
        raise ValueError(f'correlate: `mode` must be "valid", "same" or "full"; got {mode!r}.')
    long, short = x1.shape[0], x2.shape[0]
    swapped = long < short
    if swapped:
        x1, x2, long, short = x2, x1, short, long
    pad = 0 if mode == "valid" else short - 1
    full = torch.conv1d(x1.reshape(1, 1, -1), x2.reshape(1, 1, -1), padding=pad).reshape(-1)
    if mode == "same":
        full = full.narrow(0, (short - 1) // 2, long)
    return full.flip(0) if swapped else full


# Segments --------------------------------------------------------------------------------------------------------


def _segments(data: Any, segment_ids: Any, num_segments: int | None, reduce: str, empty: Any) -> Tensor:
    """Rows of `data` of the same id joined; ids outside 0 ... num_segments - 1 are left out."""
    data = tensor(data)
    ids = as_index(segment_ids, data.device)
    if ids.ndim != 1 or data.shape[:1] != ids.shape:
        raise ValueError(
            f"segments: `segment_ids` must be a vector with an id for each row of `data`; got shapes "
            f"{tuple(ids.shape)} and {tuple(data.shape)}."
        )
    if num_segments is None:
        needs_values(data, "segments", "Give `num_segments`.")
    count = int((ids.max() + 1 if ids.numel() else 0) if num_segments is None else num_segments)
    ids = torch.where((ids >= 0) & (ids < count), ids, count)
    start = data.new_full((count + 1, *data.shape[1:]), empty)
    places = ids.reshape(-1, *(1,) * (data.ndim - 1)).expand(data.shape)
    return start.scatter_reduce(0, places, data, reduce)[:count]


@op(room="math", call=2)
def segment_sum(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """For each segment the sum of its rows of `data`; 0 where it has none.

    Without `num_segments` it reads the greatest id from the device.
    """
    return _segments(data, segment_ids, num_segments, "sum", 0)


@op(room="math", call=2)
def segment_prod(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """`segment_sum` with products; 1 for empty segments."""
    return _segments(data, segment_ids, num_segments, "prod", 1)


@op(room="math", call=2)
def segment_max(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """`segment_sum` with the greatest values; the least of the type for empty segments."""
    data = tensor(data)
    return _segments(data, segment_ids, num_segments, "amax", _extreme(data, -1))


@op(room="math", call=2)
def segment_min(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """`segment_sum` with the smallest values; the greatest of the type for empty segments."""
    data = tensor(data)
    return _segments(data, segment_ids, num_segments, "amin", _extreme(data, 1))


def _extreme(x: Tensor, sign: int) -> float:
    if x.is_floating_point():
        return sign * math.inf
    limits = torch.iinfo(x.dtype)
    return limits.max if sign > 0 else limits.min
