"""TensorFlow's functions of arrays: `tf`, `tf.math`, `tf.linalg`, `tf.nn`, on the ops of this package.

Most are an op under another name, a line of the table; the rest have arguments, or a meaning, of their own.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils import _pytree as pytree

from ... import ops, tree
from ...core import dtypes
from ...core.arrays import reversing_item
from ...core.devices import here
from ...core.symbolic import SymbolicTensor
from ...core.weight import Weight
from ...ops import image as pictures
from ...ops import numpy as of_numpy
from ...ops.base import as_index, floating, is_trial, recorded, tensor, tensors
from ...translation.lists import listed
from .. import activations
from ..arithmetic import drawn, stream
from ..tensors import WHOLE
from .base import NAMES, Sizes, Texts, as_dtype, named, op, ops_by_path, taking, texts, whole

_LISTS = listed("tensorflow.json")
_DIVIDING = ("divide", "divide_no_nan", "true_divide")  # of whole numbers these give float64


def _of_one_type(function):
    """The op of two; what is no tensor takes the number type of the tensor beside it, or of the first."""

    @functools.wraps(function)
    def call(x1, x2):
        if not isinstance(x1, _TENSORS):
            x1 = _beside(x1, x2.dtype) if isinstance(x2, _TENSORS) else convert_to_tensor(x1)
        if not isinstance(x2, _TENSORS):
            x2 = _beside(x2, x1.dtype)
        if function.__name__ in _DIVIDING:
            x1, x2 = (each.double() if isinstance(each, Tensor) and each.dtype in WHOLE else each for each in (x1, x2))
        return function(x1, x2)

    return call


_TENSORS = (Tensor, SymbolicTensor)


def _beside(value, dtype):
    value = value.item() if isinstance(value, np.generic) else value
    return tensor(value, dtypes.torch_dtype(dtype)) if isinstance(value, np.ndarray) else value


def _reducing(function):
    """The reduction; along no axes it changes no shape, and what is made of whole numbers is of their type."""

    @functools.wraps(function)
    def call(x, axis=None, keepdims=False):
        x = x if isinstance(x, SymbolicTensor) else tensor(x)
        if isinstance(axis, (list, tuple)) and not axis:
            x, axis, keepdims = x[..., None], -1, False
        kind = x.dtype
        whole_numbers = isinstance(x, Tensor) and not x.is_floating_point() and function in _OF_ONE_TYPE
        if whole_numbers and function is ops.mean and not x.is_complex():
            x = x.double()
        found = function(x, axis=axis, keepdims=keepdims)
        return found.to(kind) if whole_numbers else found

    return call


_OF_ONE_TYPE = (ops.sum, ops.prod, ops.mean, ops.norm)


def _of_torch(function):
    def call(x, y=None):
        return function(tensor(x)) if y is None else function(*tensors(x, y))

    return call


def _table() -> None:
    """Ops, and functions of torch, under their names in TensorFlow: `name=op`, or one name for both; others by path,
    with the words for their first arguments."""
    for kind, words in (("unary", ["x"]), ("binary", ["x", "y"])):
        for line in _LISTS[kind].split():
            name, _, word = line.partition("=")
            function = getattr(ops, word or name)
            call = taking(_of_one_type(function) if kind == "binary" else function, words, name)
            NAMES.update({name: call, f"math.{name}": call})
    for line in _LISTS["reducing"].split():
        name, _, word = line.partition("=")
        call = taking(_reducing(getattr(ops, word)), ["input_tensor"], f"reduce_{name}")
        NAMES.update({f"reduce_{name}": call, f"math.reduce_{name}": call})
    for path, told in _LISTS["ops"].items():
        word, *words = told.split()
        function = next(getattr(home, word) for home in (ops, pictures, tree) if hasattr(home, word))
        NAMES[path] = taking(function, words, path.rpartition(".")[2])
    for paths, told in _LISTS["of_torch"].items():
        word, _, words = told.partition(" ")
        ops_by_path({paths: _of_torch(functools.reduce(getattr, word.split("."), torch))}, words)


_table()


@op("math.reciprocal_no_nan")
def reciprocal_no_nan(x):
    x = tensor(x)
    return torch.where(x == 0, 0, 1 / x)


@op("math.multiply_no_nan")
def multiply_no_nan(x, y):
    """0 where y is 0, whatever x is."""
    x, y = tensors(x, y)
    return torch.where(y == 0, 0, x * y)


@op("reverse_sequence", "input seq_lengths seq_axis batch_axis")
def reverse_sequence(input, seq_lengths, seq_axis, batch_axis=0):
    """The first `seq_lengths` steps of each sample backwards; the rest stays."""
    x, lengths = tensor(input).movedim((batch_axis, seq_axis), (0, 1)), tensor(seq_lengths).long()[:, None]
    steps = torch.arange(x.shape[1], device=x.device)[None]
    places = torch.where(steps < lengths, lengths - 1 - steps, steps)
    turned = torch.gather(x, 1, places.reshape(*places.shape, *[1] * (x.ndim - 2)).expand_as(x))
    return turned.movedim((0, 1), (batch_axis, seq_axis))


def _extreme(paths, is_first):
    """The larger or smaller of two; where they are the same the gradient is the first one's."""

    def call(x1, x2):
        x, y = tensors(x1, x2)
        return torch.where(is_first(x, y) | (x != x), x, y)

    named(paths, "x y")(_of_one_type(recorded(call)))


_extreme("maximum math.maximum", torch.ge)
_extreme("minimum math.minimum", torch.le)


@named("div", "x y")
@_of_one_type
@recorded
def div(x, y):
    """TensorFlow 1's division, which is without a remainder for whole numbers."""
    x, y = tensors(x, y)
    return x / y if x.is_floating_point() else torch.floor_divide(x, y)


# Making and shaping ---------------------------------------------------------------------------------------------------


@named("constant convert_to_tensor")
def convert_to_tensor(value, dtype=None, shape=None, dtype_hint=None):
    """A tensor of an array, of numbers or of texts; one that is a tensor already, in that type."""
    if isinstance(value, SymbolicTensor):
        return value if dtype is None else ops.cast(value, dtype)
    value = value.clone() if isinstance(value, Weight) else value  # which may be written to
    if dtype is None:
        first = _plain(value)
        dtype = first.dtype if isinstance(first, np.generic) and first.dtype.kind in "fc" else dtype_hint
        dtype = "complex128" if isinstance(first, complex) and not isinstance(first, np.generic) else dtype
    value = list(value) if isinstance(value, range) else value
    if not isinstance(value, Tensor) and (dtype == "string" or np.asarray(_plain(value)).dtype.kind in "USO"):
        return texts(value if shape is None else np.resize(np.asarray(value, object), whole(shape)))
    value = value.copy() if isinstance(value, np.ndarray) else value  # which may change
    found = tensor(value, None if dtype is None else dtypes.torch_dtype(dtype))
    if shape is None:
        return found
    return found.reshape(whole(shape)) if found.numel() > 1 else found.expand(whole(shape)).clone()


def _plain(value):
    """What tells whether there are texts: a number in place of each tensor."""
    if isinstance(value, (list, tuple)):
        return _plain(value[0]) if len(value) else 0
    return 0 if isinstance(value, Tensor) else value


@op("linalg.triangular_solve")
def triangular_solve(matrix, rhs, lower=True, adjoint=False):
    """Of each matrix only its lower, or upper, half counts."""
    matrix, rhs = tensors(matrix, rhs)
    return torch.linalg.solve_triangular(matrix.mH if adjoint else matrix, rhs, upper=lower == adjoint)


@op("linalg.lstsq")
def lstsq(matrix, rhs, l2_regularizer=0.0, fast=True):
    """The x with the smallest |matrix x - rhs|^2 + l2_regularizer |x|^2."""
    matrix, rhs = tensors(matrix, rhs)
    if not l2_regularizer:
        return torch.linalg.lstsq(matrix, rhs).solution
    penalty = l2_regularizer * torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    return torch.linalg.solve(matrix.mH @ matrix + penalty, matrix.mH @ rhs)


@op("searchsorted", "sorted_sequence values side out_type")
def searchsorted(sorted_sequence, values, side="left", out_type="int32"):
    rows, values = tensors(sorted_sequence, values)
    return torch.searchsorted(rows, values, side=side).to(dtypes.torch_dtype(out_type))


@op("dynamic_partition", "data partitions num_partitions")
def dynamic_partition(data, partitions, num_partitions):
    data, partitions = tensor(data), tensor(partitions)
    return [data[partitions == place] for place in range(int(num_partitions))]


@op("fill", "dims value")
def fill(shape, value):
    value = convert_to_tensor(value)
    return ops.full(shape, value, value.dtype)


@op("range")
def range_(start, limit=None, delta=1, dtype=None):
    start, limit = (0, start) if limit is None else (start, limit)
    ends = [convert_to_tensor(each) for each in (start, limit, delta)]
    dtype = functools.reduce(torch.promote_types, [end.dtype for end in ends]) if dtype is None else dtype
    given: list[Any] = [start, limit, delta]
    return ops.arange(*(end.item() if hasattr(end, "item") else end for end in given), dtype=dtype)


@op("linspace lin_space", "start stop num axis")
def linspace(start, stop, num, axis=0):
    """Numbers from `start` to `stop`; between whole numbers they are float64."""
    start, stop = tensors(start, stop)
    kind = start.dtype if start.is_floating_point() else torch.float64
    return ops.linspace(start.to(kind), stop.to(kind), int(num), axis=axis)


_BY_NUMBER = {1: "float32", 2: "float64", 3: "int32", 4: "uint8", 9: "int64", 10: "bool", 19: "float16"}


def _filled(op):
    """The op; a number type may be told by TensorFlow's number for it, as in `tf.zeros(1, 1)`."""
    return recorded(lambda shape, dtype=None: op(shape, _BY_NUMBER[dtype] if type(dtype) is int else dtype))


for _word in ("zeros", "ones"):
    NAMES[_word] = taking(_filled(getattr(ops, _word)), (), _word)


@op("eye linalg.eye")
def eye(num_rows, num_columns=None, batch_shape=None, dtype="float32"):
    found = ops.eye(int(num_rows), None if num_columns is None else int(num_columns), dtype=dtype)
    return found if batch_shape is None else found.expand(*whole(batch_shape), *found.shape).clone()


@op("one_hot")
def one_hot(indices, depth, on_value=None, off_value=None, axis=None, dtype=None):
    found = ops.one_hot(indices, int(depth), -1 if axis is None else axis, dtype)
    told = next((each for each in (on_value, off_value) if each is not None), None)
    if told is None:
        return found
    kind = found.dtype if dtype is not None else tensor(told).dtype
    found = torch.where(found.bool(), 1 if on_value is None else on_value, 0 if off_value is None else off_value)
    return found.to(kind)


@named("rank")
def rank(input):
    return input.ndim if isinstance(input, SymbolicTensor) else np.array(np.ndim(input), "int32").view(Sizes)


@op("split")
def split(value, num_or_size_splits, axis=0):
    """Parts of equal size, or of the sizes told, of which one may be -1."""
    value, sizes = tensor(value), whole(num_or_size_splits)
    if isinstance(sizes, int):
        return ops.split(value, sizes, axis)
    sizes = [value.shape[axis] - sum(sizes) - 1 if size == -1 else size for size in sizes]
    return list(torch.split(value, sizes, axis))


def _joining(function):
    """The op; arrays beside tensors take the number type of the first."""

    def call(values, axis=0):
        if isinstance(values, Tensor) and function is ops.concatenate:
            return values
        kind = next((each.dtype for each in values if isinstance(each, Tensor)), None)
        return function([each if kind is None else _beside(each, kind) for each in values], axis)

    call.__name__ = function.__name__  # of which it is known that texts may be moved so
    return recorded(call)


named("concat")(_joining(ops.concatenate))
named("stack")(_joining(ops.stack))


@named("python.ops.rnn_cell_impl._concat")
def join_shapes(prefix, suffix, static=False):
    """Sizes, or shapes, one behind the other; what cells of TensorFlow 1 have states of."""
    found = [ops.reshape(tensor(each, torch.int32), (-1,)) for each in (prefix, suffix)]
    return tuple(map(int, ops.concatenate(found))) if static else ops.concatenate(found)


@op("unstack")
def unstack(value, num=None, axis=0):
    found = list(tensor(value).unbind(axis))
    if num not in (None, len(found)):
        raise ValueError(f"unstack: expected {num} parts along axis {axis}; there are {len(found)}.")
    return found


@op("slice", "input_ begin size")
def slice_(x, begin, size):
    x = tensor(x)
    for axis, (first, length) in enumerate(zip(whole(begin), size, strict=True)):
        x = x.narrow(axis, first, x.shape[axis] - first if length == -1 else length)
    return x


@op("strided_slice", "input_ begin end strides")
def strided_slice(x, begin, end, strides=None):
    """`x[begin:end:strides]`, along as many axes as are told."""
    strides = [1] * len(whole(begin)) if strides is None else whole(strides)
    return reversing_item(tensor(x), tuple(map(slice, whole(begin), whole(end), strides)))


@op("pad", "tensor paddings mode constant_values")
def pad(x, paddings, mode="CONSTANT", constant_values=0):
    values = constant_values if mode.upper() == "CONSTANT" else None
    return ops.pad(x, whole(paddings), mode.lower(), values)


@op("gather")
def gather(params, indices, axis=None, batch_dims=0):
    """The slices of `params` at `indices` along an axis, after as many leading axes that both share."""
    params, indices = tensor(params), as_index(indices)
    batch_dims += indices.ndim if batch_dims < 0 else 0
    axis = (batch_dims if axis is None else axis) % params.ndim
    if batch_dims:
        pairs = zip(params, indices, strict=True)
        return torch.stack([gather(one, index, axis - 1, batch_dims - 1) for one, index in pairs])
    return ops.take(params, indices, axis)


@op("gather_nd")
def gather_nd(params, indices, batch_dims=0):
    params, indices = tensor(params), as_index(indices)
    if batch_dims:
        pairs = zip(params, indices, strict=True)
        return torch.stack([gather_nd(one, index, batch_dims - 1) for one, index in pairs])
    return params[tuple(indices.movedim(-1, 0))]


@op("where")
def where(condition, x=None, y=None):
    """`x` where the condition holds, else `y`; alone, the places where it holds, a row each."""
    condition = tensor(condition)
    if x is None:
        if isinstance(condition, FakeTensor):  # while shapes are found: a number that goes with the unknown ones
            return condition.new_empty((condition.numel(), condition.ndim), dtype=torch.int64)
        return condition.nonzero()
    x, y = (_beside(each, other.dtype) if isinstance(other, Tensor) else each for each, other in ((x, y), (y, x)))
    x, y = tensors(x, y)
    if condition.ndim == 1 and x.ndim > 1 and x.shape == y.shape and condition.shape[0] != x.shape[-1]:
        condition = condition.reshape(-1, *(1,) * (x.ndim - 1))  # TensorFlow 1 chose rows
    return ops.where(condition, x, y)


@named("boolean_mask")
def boolean_mask(tensor, mask, axis=0):
    mask = ops.convert_to_tensor(mask, "bool")
    return ops.convert_to_tensor(tensor)[(slice(None),) * (axis or 0) + where(mask).unbind(-1)]


@op("sequence_mask")
def sequence_mask(lengths, maxlen=None, dtype="bool"):
    lengths = tensor(lengths)
    longest = int(lengths.max() if lengths.numel() else 0) if maxlen is None else int(maxlen)
    return (torch.arange(longest, device=lengths.device) < lengths.unsqueeze(-1)).to(dtypes.torch_dtype(dtype))


def _scattering(reduction, change=lambda updates: updates):
    def call(tensor, indices, updates):
        return ops.scatter_update(tensor, indices, change(updates), reduction)

    return recorded(call)


for _word in ("add", "max", "min"):
    named(f"tensor_scatter_nd_{_word}")(_scattering(_word))
named("tensor_scatter_nd_sub")(_scattering("add", ops.negative))


@named("ensure_shape")
def ensure_shape(x, shape):
    x = convert_to_tensor(x)
    if not NAMES["TensorShape"](shape).is_compatible_with(x.shape):
        raise ValueError(f"ensure_shape: expected shape {tuple(shape)}; got {tuple(x.shape)}.")
    return x


@named("unique")
def unique(x, out_idx="int32"):
    """The values in the order in which they come first, and the place of each value among these."""
    x = convert_to_tensor(x)
    _, first, back = np.unique(np.asarray(x), return_index=True, return_inverse=True)
    order = np.argsort(first)
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    return x[np.sort(first)], here(torch.from_numpy(places[back.reshape(-1)])).to(dtypes.torch_dtype(out_idx))


@named("unique_with_counts")
def unique_with_counts(x, out_idx="int32"):
    """As `unique`, and how often each value is there."""
    values, places = unique(x, out_idx)
    return values, places, torch.bincount(places.long(), minlength=len(values)).to(places.dtype)


@named("add_n math.add_n accumulate_n math.accumulate_n")
def add_n(inputs):
    inputs = [convert_to_tensor(each) for each in inputs]
    return sum(inputs[1:], inputs[0])


for _word, _of in {"to_float": "float32", "to_double": "float64", "to_int32": "int32", "to_int64": "int64"}.items():
    NAMES[_word] = taking(lambda x, dtype=_of: ops.cast(x, dtype))


# Order and extremes ---------------------------------------------------------------------------------------------------


@op("math.count_nonzero count_nonzero", "input")
def count_nonzero(x, axis=None, keepdims=False, dtype="int64"):
    return ops.sum(tensor(x) != 0, axis, keepdims).to(dtypes.torch_dtype(dtype))


@op("argmax math.argmax", "input axis output_type")
def argmax(x, axis=None, output_type="int64"):
    return ops.argmax(x, axis or 0).to(dtypes.torch_dtype(output_type))


@op("argmin math.argmin", "input axis output_type")
def argmin(x, axis=None, output_type="int64"):
    return ops.argmin(x, axis or 0).to(dtypes.torch_dtype(output_type))


class TopK(NamedTuple):
    values: Any
    indices: Any


@op("sort")
def sort(values, axis=-1, direction="ASCENDING"):
    return torch.sort(tensor(values), dim=axis, descending=direction == "DESCENDING", stable=True)[0]


@op("argsort")
def argsort(values, axis=-1, direction="ASCENDING"):
    return torch.argsort(tensor(values), dim=axis, descending=direction == "DESCENDING", stable=True).int()


def _running(function):
    def call(x, axis=0, exclusive=False, reverse=False):
        x = tensor(x)
        x = x.flip(axis) if reverse else x
        found = function(x, axis).to(x.dtype)
        if exclusive:
            first = torch.full_like(found.narrow(axis, 0, 1), _BEFORE[function])
            found = torch.cat([first, found.narrow(axis, 0, found.shape[axis] - 1)], axis)
        return found.flip(axis) if reverse else found

    return recorded(call)


_BEFORE = {torch.cumsum: 0, torch.cumprod: 1, torch.logcumsumexp: float("-inf")}
named("cumsum math.cumsum")(_running(torch.cumsum))
named("math.cumulative_logsumexp")(_running(torch.logcumsumexp))
named("cumprod math.cumprod")(_running(torch.cumprod))


def _segments(word, ordered):
    def call(data, segment_ids, num_segments=None):
        data, ids = tensor(data), as_index(segment_ids)
        if word in ("sum", "prod"):
            return getattr(ops, f"segment_{word}")(data, ids, num_segments)
        counts = ops.segment_sum(torch.ones(ids.shape, dtype=data.dtype), ids, num_segments)
        counts = counts.reshape(*counts.shape, *(1,) * (data.ndim - ids.ndim))
        if word in ("mean", "sqrt_n"):
            counts = counts.clamp(min=1) if word == "mean" else counts.clamp(min=1).sqrt()
            found = ops.segment_sum(data, ids, num_segments)
            return found / counts if found.is_floating_point() else found // counts
        limits = (torch.finfo if data.is_floating_point() else torch.iinfo)(data.dtype)
        empty = 0 if ordered else limits.min if word == "max" else limits.max
        return getattr(ops, f"segment_{word}")(data, ids, num_segments).masked_fill(counts == 0, empty)

    return recorded(call)


for _word in ("sum", "prod", "max", "min", "mean", "sqrt_n"):
    named(f"math.segment_{_word} segment_{_word}" if _word != "sqrt_n" else "")(_segments(_word, True))
    named(f"math.unsorted_segment_{_word} unsorted_segment_{_word}")(_segments(_word, False))


@op("math.bincount")
def bincount(arr, weights=None, minlength=0, maxlength=None, dtype="int32", axis=None, binary_output=False):
    """How often each whole number is there, or the sum of its weights; `axis` -1: in each row."""
    arr, weights = as_index(arr), None if weights is None else tensor(weights)
    if axis is None:
        arr, weights = arr.reshape(-1), None if weights is None else weights.reshape(-1)
    size = max(int(arr.max()) + 1 if arr.numel() else 0, int(minlength or 0))
    size = size if maxlength is None else min(size, int(maxlength))
    kind = dtypes.torch_dtype(dtype) if weights is None else weights.dtype
    added = torch.ones_like(arr, dtype=kind) if weights is None else weights
    found = torch.zeros((*arr.shape[:-1], size), dtype=kind)
    there = arr < size
    found = found.scatter_add(-1, arr * there, added * there) if size else found
    return (found != 0).to(kind) if binary_output else found


@named("squared_difference math.squared_difference")
def squared_difference(x, y):
    return ops.square(NAMES["subtract"](x, y))


@named("math.confusion_matrix confusion_matrix")
def confusion_matrix(labels, predictions, num_classes=None, weights=None, dtype="int32"):
    """How often each class (row) was taken for each (column)."""
    labels, predictions = as_index(labels).reshape(-1), as_index(predictions).reshape(-1)
    count = int(num_classes or max(labels.max(), predictions.max()) + 1)
    weights = torch.ones(len(labels)) if weights is None else tensor(weights).float()
    found = torch.bincount(labels * count + predictions, weights, count * count)
    return found.reshape(count, count).to(dtypes.torch_dtype(dtype))


@named("histogram_fixed_width")
def histogram_fixed_width(values, value_range, nbins=100, dtype="int32"):
    low, high = (float(each) for each in value_range)
    places = ((tensor(values) - low) / (high - low) * nbins).long().clamp(0, nbins - 1)
    return torch.bincount(places.reshape(-1), minlength=nbins).to(dtypes.torch_dtype(dtype))


@op("clip_by_norm")
def clip_by_norm(t, clip_norm, axes=None):
    t = floating(t)
    size = norm(t, axis=axes, keepdims=axes is not None)
    return t * clip_norm / torch.maximum(size, torch.full_like(size, clip_norm))


@named("linalg.global_norm global_norm")
def global_norm(t_list):
    return torch.stack([floating(t).square().sum() for t in t_list if t is not None]).sum().sqrt()


@named("clip_by_global_norm")
def clip_by_global_norm(t_list, clip_norm, use_norm=None):
    """The tensors, made shorter together where they are longer than `clip_norm`; and how long they were."""
    t_list = [None if t is None else floating(t) for t in t_list]
    size = global_norm(t_list) if use_norm is None else use_norm
    scale = clip_norm / torch.clamp(size, min=float(clip_norm))
    return [None if t is None else t * scale for t in t_list], size


# Matrices -------------------------------------------------------------------------------------------------------------


@op("matmul linalg.matmul")
def matmul(a, b, transpose_a=False, transpose_b=False, adjoint_a=False, adjoint_b=False):
    a = tensor(a, b.dtype if isinstance(b, Tensor) else None)
    b = tensor(b, a.dtype)
    a = a.mT if transpose_a else a.mH if adjoint_a else a
    b = b.mT if transpose_b else b.mH if adjoint_b else b
    return ops.matmul(a, b)


@op("norm linalg.norm")
def norm(tensor, ord="euclidean", axis=None, keepdims=False):
    x = floating(tensor)
    if axis is None and ord not in ("euclidean", "fro"):
        x, axis = x.reshape(-1), 0  # of all values, not of a matrix
        return norm(x, ord, axis).reshape((1,) * np.ndim(tensor) if keepdims else ())
    if ord in ("euclidean", "fro", 2) and (axis is None or ord != 2 or isinstance(axis, int)):
        return torch.linalg.vector_norm(x, 2, axis, keepdims)
    return ops.norm(x, ord, axis, keepdims)


@op("linalg.band_part matrix_band_part")
def band_part(input, num_lower, num_upper):
    x, (low, up) = tensor(input), (int(num_lower), int(num_upper))
    x = x if low < 0 else x.triu(-low)
    return x if up < 0 else x.tril(up)


@op("linalg.tensor_diag")
def tensor_diag(diagonal):
    x = tensor(diagonal)
    return torch.diag(x.reshape(-1)).reshape(*x.shape, *x.shape)


@named("linalg.svd svd")
def svd(tensor, full_matrices=False, compute_uv=True):
    """Singular values, left and right vectors."""
    if not compute_uv:
        return ops.svd(tensor, full_matrices, False)
    u, s, vh = ops.svd(tensor, full_matrices)
    return s, u, vh.mH


@named("linalg.qr")
def qr(input, full_matrices=False):
    return ops.qr(input, "complete" if full_matrices else "reduced")


@named("linalg.normalize")
def normalize(tensor, ord="euclidean", axis=None):
    size = norm(tensor, ord, axis, True)
    return floating(tensor) / size, size


# Networks -------------------------------------------------------------------------------------------------------------


def _format(data_format):
    return "channels_first" if data_format and data_format.startswith("NC") else "channels_last"


def _window(sizes, data_format):
    """Of four numbers for all axes, those of the spatial ones."""
    sizes = whole(sizes)
    if isinstance(sizes, int):
        return sizes
    if len(sizes) == 1:
        return sizes[0]
    spatial = sizes[2:] if _format(data_format) == "channels_first" else sizes[1:-1]
    return spatial if len(sizes) > 3 or (len(sizes) == 3 and sizes[0] == sizes[-1] == 1) else sizes


def _edged(x, padding):
    """The input and the padding's word; explicit widths are padded first."""
    if isinstance(padding, str):
        return x, padding.lower()
    return ops.pad(x, padding), "valid"


def _convolution(op):
    def conv(input, filters, strides=1, padding="VALID", data_format=None, dilations=1):
        x, padding = _edged(input, padding)
        sizes = [_window(each if each is not None else 1, data_format) for each in (strides, dilations)]
        return op(x, filters, sizes[0], padding, _format(data_format), sizes[1])

    return recorded(conv)


for _path in ("nn.conv1d", "nn.conv2d", "nn.conv3d", "nn.convolution"):
    named(_path)(_convolution(ops.conv))
named("nn.depthwise_conv2d")(_convolution(ops.depthwise_conv))


@op("nn.separable_conv2d")
def separable_conv2d(input, depthwise_filter, pointwise_filter, strides, padding, data_format=None, dilations=1):
    x, padding = _edged(input, padding)
    sizes = [_window(each or 1, data_format) for each in (strides, dilations)]
    return ops.separable_conv(x, depthwise_filter, pointwise_filter, sizes[0], padding, _format(data_format), sizes[1])


@recorded
def conv_transpose(input, filters, output_shape, strides, padding="SAME", data_format=None, dilations=1):
    """The gradient of a convolution of something of `output_shape`; kernels (*sizes, out, in)."""
    layout, shape = _format(data_format), whole(output_shape)
    spatial = shape[1:-1] if layout == "channels_last" else shape[2:]
    found = ops.conv_transpose(
        input, filters, _window(strides, data_format), "valid", None, layout, _window(dilations or 1, data_format)
    )
    for axis, length in enumerate(spatial, 1 if layout == "channels_last" else 2):
        more = found.shape[axis] - length
        if more > 0:
            found = found.narrow(axis, more // 2 if padding == "SAME" else 0, length)
        elif more < 0:
            found = F.pad(found, (*(0, 0) * (found.ndim - 1 - axis), 0, -more))
    return found


for _path in ("nn.conv1d_transpose", "nn.conv2d_transpose", "nn.conv3d_transpose"):
    named(_path)(conv_transpose)


def _of_channels(sizes, layout):
    """Of numbers for all axes, that of the channels. Raises ValueError where windows go over several samples."""
    sizes = whole(sizes)
    if isinstance(sizes, int) or len(sizes) < 4:
        return 1
    if sizes[0] != 1:
        raise ValueError(f"A pool goes over one sample at a time; got {sizes[0]} for the first axis.")
    return sizes[-1] if layout == "channels_last" else sizes[1]


def _pool(op):
    def pool(input, ksize, strides, padding, data_format=None):
        layout, padding = _format(data_format), padding.lower()
        found = op(input, _window(ksize, data_format), _window(strides, data_format), padding, layout)
        depth, step = (_of_channels(sizes, layout) for sizes in (ksize, strides))
        if depth == step == 1:
            return found
        axis = -1 if layout == "channels_last" else 1
        rows = found.movedim(axis, -1)
        pooled = op(rows.reshape(-1, rows.shape[-1], 1), depth, step, padding, "channels_last")
        return pooled.reshape(*rows.shape[:-1], -1).movedim(-1, axis)

    return recorded(pool)


for _word in ("max_pool", "avg_pool"):
    for _rank in ("", "1d", "2d", "3d"):
        named(f"nn.{_word}{_rank}")(_pool(ops.max_pool if _word == "max_pool" else ops.average_pool))


class _MaxPooled(NamedTuple):
    output: Any
    argmax: Any


@named("nn.max_pool_with_argmax")
@recorded
def max_pool_with_argmax(
    input, ksize, strides, padding, data_format="NHWC", output_dtype=torch.int64, include_batch_in_index=False
):
    """The largest of each window, and its place among the numbers of its sample, or of all of them."""
    size, step = (np.broadcast_to(_window(each, data_format), 2).tolist() for each in (ksize, strides))
    input = tensor(input)
    batch, *sizes, channels = input.shape
    pads = [(0, 0)] * 2
    if padding.upper() == "SAME":
        totals = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(sizes, size, step, strict=True)]
        pads = [(total // 2, total - total // 2) for total in totals]
    padded = F.pad(input.movedim(-1, 1), (*pads[1], *pads[0]), value=float("-inf"))
    found, places = F.max_pool2d(padded, size, step, return_indices=True)
    rows, columns = places // padded.shape[-1] - pads[0][0], places % padded.shape[-1] - pads[1][0]
    places = (rows * sizes[1] + columns) * channels + torch.arange(channels, device=places.device)[:, None, None]
    if include_batch_in_index:
        sample = torch.arange(batch, device=places.device)[:, None, None, None]
        places = places + sample * math.prod((*sizes, channels))
    return _MaxPooled(found.movedim(1, -1), places.movedim(1, -1).to(dtypes.torch_dtype(output_dtype)))


def _blocks(op):
    def function(input, block_size, data_format=None):
        return op(tensor(input), block_size, _format(data_format))

    return recorded(function)


for _word in ("depth_to_space", "space_to_depth"):
    named(f"nn.{_word}")(_blocks(getattr(ops, _word)))


def _zero_at_zero(path, of, elsewhere):
    """`of(x, y)`, 0 where x is, whatever y is, as are the gradients; `elsewhere`: a y for which it is 0 there."""

    def call(x, y):
        x, y = tensors(floating(x), floating(y))
        return of(x, torch.where(x == 0, elsewhere, y))

    named(path, "x y")(recorded(call))


_zero_at_zero("math.xlogy", lambda x, y: x * torch.log(y), 1)
_zero_at_zero("math.xlog1py", lambda x, y: x * torch.log1p(y), 0)
_zero_at_zero("math.xdivy", torch.div, float("inf"))


@op("nn.bias_add")
def bias_add(value, bias, data_format=None):
    value, bias = tensor(value), tensor(bias)
    last = _format(data_format) == "channels_last"
    return value + (bias if last else bias.reshape(-1, *(1,) * (value.ndim - 2)))


_IN_A_LINE: dict[str, Callable] = {
    "linalg.trace": lambda x: torch.diagonal(tensor(x), dim1=-2, dim2=-1).sum(-1, dtype=tensor(x).dtype),
    "linalg.cholesky_solve": lambda chol, rhs: torch.cholesky_solve(*tensors(rhs, chol)),
    "linalg.set_diag": lambda input, diagonal, k=0: torch.diagonal_scatter(*tensors(input, diagonal), k, -2, -1),
    "linalg.matrix_rank": lambda a, tol=None: torch.linalg.matrix_rank(tensor(a), atol=tol).int(),
    "linalg.solve matrix_solve": lambda matrix, rhs, adjoint=False: torch.linalg.solve(
        tensor(matrix).mH if adjoint else tensor(matrix), tensor(rhs)
    ),
    "squeeze": lambda input, axis=None: ops.squeeze(input, axis if isinstance(axis, int) or axis else None),
    "batch_gather": lambda params, indices: gather(params, indices, batch_dims=np.ndim(indices) - 1),
    "math.top_k nn.top_k": lambda input, k=1, sorted=True: _top(input, k),  # falling where any order would do
    "linalg.matvec": lambda a, b, transpose_a=False: matmul(a, tensor(b).unsqueeze(-1), transpose_a).squeeze(-1),
    "linalg.diag matrix_diag": lambda diagonal, k=0: torch.diag_embed(tensor(diagonal), int(k)),
    "linalg.diag_part matrix_diag_part": lambda input, k=0: torch.diagonal(tensor(input), int(k), -2, -1),
    "linalg.matrix_transpose matrix_transpose": lambda a: tensor(a).mT,
    "nn.silu nn.swish": lambda features, beta=1.0: ops.multiply(features, torch.sigmoid(floating(features) * beta)),
    "nn.gelu": lambda features, approximate=False: ops.gelu(features, approximate),
    "nn.crelu": lambda features, axis=-1: torch.cat([F.relu(tensor(features)), F.relu(-tensor(features))], axis),
    "nn.softmax": lambda logits, axis=-1: activations.softmax_of_tf(floating(logits), -1 if axis is None else axis),
    "math.sigmoid sigmoid": lambda x: activations.sigmoid_of_tf(floating(x)),
    "math.nextafter": lambda x1, x2: torch.nextafter(*tensors(floating(x1), floating(x2))),
    "math.invert_permutation": lambda x: torch.argsort(tensor(x)).int(),
    "math.polyval": lambda coeffs, x: functools.reduce(lambda made, each: made * tensor(x) + each, map(tensor, coeffs)),
    "math.scalar_mul scalar_mul": lambda scalar, x: ops.multiply(scalar, x),
    "nn.l2_loss": lambda t: tensor(t).square().sum() / 2,
    "nn.zero_fraction": lambda value: (tensor(value) == 0).float().mean(),
    "vectorized_map": lambda fn, elems: map_fn(fn, elems),
}
ops_by_path(_IN_A_LINE)
NAMES.update({alias: NAMES[path] for alias, path in _LISTS["aliases"].items()})


@op("nn.dropout", "x")
def dropout(x, rate=None, noise_shape=None, seed=None, keep_prob=1):
    """Zeros in place of a share of the values, the others larger. TensorFlow 1's second argument is what is kept."""
    rate = 1 - keep_prob if rate is None else rate
    x = floating(x)
    kept = drawn(torch.rand, whole(noise_shape) or x.shape, None, stream(seed)).to(x.device) >= rate
    return x * kept / (1 - rate)


@op("nn.batch_normalization")
def batch_normalization(x, mean, variance, offset, scale, variance_epsilon):
    x, mean, variance = floating(x), tensor(mean), tensor(variance)
    factor = torch.rsqrt(variance + variance_epsilon)
    factor = factor if scale is None else factor * scale
    y = x * factor - mean * factor
    return y if offset is None else y + offset


@op("nn.l2_normalize math.l2_normalize linalg.l2_normalize")
def l2_normalize(x, axis=None, epsilon=1e-12):
    x = floating(x)
    square = ops.sum(x * x, axis, keepdims=True)
    return x * torch.rsqrt(torch.clamp(square, min=epsilon))


@op("nn.local_response_normalization nn.lrn", "input")
def local_response_normalization(x, depth_radius=5, bias=1.0, alpha=1.0, beta=0.5):
    x = floating(x)
    width = 2 * depth_radius + 1
    around = F.pad(x.square(), (depth_radius, depth_radius)).unfold(-1, width, 1).sum(-1)
    return x / (bias + alpha * around) ** beta


@op("nn.softmax_cross_entropy_with_logits nn.softmax_cross_entropy_with_logits_v2")
def softmax_cross_entropy_with_logits(labels, logits, axis=-1):
    return -(tensor(labels) * torch.log_softmax(floating(logits), axis)).sum(axis)


@op("nn.sparse_softmax_cross_entropy_with_logits")
def sparse_softmax_cross_entropy_with_logits(labels, logits):
    scores = torch.log_softmax(floating(logits), -1)
    return -torch.gather(scores, -1, as_index(labels).unsqueeze(-1)).squeeze(-1)


@op("nn.sigmoid_cross_entropy_with_logits")
def sigmoid_cross_entropy_with_logits(labels=None, logits=None):
    logits = floating(logits)
    return F.binary_cross_entropy_with_logits(logits, tensor(labels).to(logits.dtype), reduction="none")


@op("nn.weighted_cross_entropy_with_logits", "labels logits pos_weight")
def weighted_cross_entropy_with_logits(labels, logits, pos_weight):
    logits = floating(logits)
    labels, share = (tensor(each).to(logits.dtype) for each in (labels, pos_weight))
    return F.binary_cross_entropy_with_logits(logits, labels, pos_weight=share, reduction="none")


@op("nn.embedding_lookup")
def embedding_lookup(params, ids):
    """The rows; several tables are the parts of one."""
    params = ops.concatenate([tensor(each) for each in params]) if isinstance(params, (list, tuple)) else params
    return ops.take(params, ids, 0)


def _top(input, k):
    """Falling; of equal values the first are taken, and stand first."""
    places = ops.argsort(ops.negative(input))[..., : int(k)]
    return TopK(ops.take_along_axis(input, places, -1), places)


@named("nn.in_top_k math.in_top_k")
def in_top_k(targets, predictions, k):
    """TensorFlow 1 has the predictions first."""
    if np.ndim(targets) == 2:
        targets, predictions = predictions, targets
    return ops.in_top_k(targets, predictions, k)


@named("nn.compute_average_loss")
def compute_average_loss(per_example_loss, sample_weight=None, global_batch_size=None):
    loss = tensor(per_example_loss)
    loss = loss if sample_weight is None else loss * tensor(sample_weight)
    return loss.sum() / (global_batch_size or loss.shape[0])


@named("nn.scale_regularization_loss")
def scale_regularization_loss(regularization_loss):
    """The loss divided by the number of replicas, of which there is one."""
    return tensor(regularization_loss).sum()


# Control --------------------------------------------------------------------------------------------------------------


@named("case")
def case(pred_fn_pairs, default=None):
    for pred, function in pred_fn_pairs:
        if pred:
            return function()
    if default is None:
        raise ValueError("case: no condition holds, and there is no default.")
    return default()


@named("switch_case")
def switch_case(branch_index, branch_fns, default=None):
    branches = dict(branch_fns) if not callable(branch_fns[0]) else dict(enumerate(branch_fns))
    return branches.get(int(branch_index), default or branches[max(branches)])()


def _rows(elems) -> list[Any]:
    """The slices along axis 0, of every part of a structure."""
    leaves, spec = pytree.tree_flatten(elems)
    rows = zip(*(convert_to_tensor(leaf) for leaf in leaves), strict=True)
    return [pytree.tree_unflatten(list(row), spec) for row in rows]


@op("map_fn")
def map_fn(fn, elems, dtype=None, fn_output_signature=None):
    """`fn` of each slice along axis 0, stacked, in a number type if told; tuples go in, and come out, as tuples."""
    told = getattr(fn_output_signature, "dtype", fn_output_signature) or dtype
    kind = dtypes.torch_dtype(told) if isinstance(told, str) else None
    found = [fn(row) for row in _rows(elems)]
    return pytree.tree_map(lambda *each: NAMES["stack"]([convert_to_tensor(one, kind) for one in each]), *found)


@op("scan")
def scan(fn, elems, initializer=None, reverse=False):
    """`carry = fn(carry, slice)` along axis 0: every carry, stacked."""
    rows = _rows(elems)[:: -1 if reverse else 1]
    carry, found = initializer, []
    for row in rows:
        carry = row if carry is None else fn(carry, row)
        found.append(carry)
    found = found[::-1] if reverse else found
    return pytree.tree_map(lambda *each: torch.stack([tensor(one) for one in each]), *found)


@named("foldl")
def foldl(fn, elems, initializer=None):
    return functools.reduce(fn, _rows(elems), *[] if initializer is None else [initializer])


@named("foldr")
def foldr(fn, elems, initializer=None):
    return functools.reduce(fn, _rows(elems)[::-1], *[] if initializer is None else [initializer])


@named("numpy_function py_func")
def numpy_function(func=None, inp=(), Tout=None):
    """`py_function` of arrays of NumPy, texts as their bytes. Gradients end here."""
    given = [convert_to_tensor(each) for each in inp]
    arrays = [each if isinstance(each, SymbolicTensor) or is_trial(each) else each.numpy() for each in given]
    return py_function(func, [each[()] if isinstance(each, np.ndarray) else each for each in arrays], Tout)


@named("py_function")
def py_function(func=None, inp=(), Tout=None):
    """The function itself: everything here is Python. What it gives is made tensors, of the types told."""
    if func is None:
        return lambda function: functools.wraps(function)(lambda *given: py_function(function, given, Tout))
    found = func(*inp)
    if Tout == () or Tout == []:
        return None
    if found is None or not isinstance(found, (list, tuple)):
        kind = Tout[0] if isinstance(Tout, (list, tuple)) else Tout
        return None if found is None else convert_to_tensor(found, kind)
    kinds = Tout if isinstance(Tout, (list, tuple)) else [Tout] * len(found)
    return [convert_to_tensor(one, kind) for one, kind in zip(found, kinds, strict=True)]


@named("TensorArray")
class TensorArray:
    """A list of tensors that is written and read by place; what was read is given up, and zeros then, unless
    `clear_after_read` is False."""

    def __init__(self, dtype: Any = None, size: Any = 0, clear_after_read: bool | None = None):
        self._kind = None if dtype is None else dtypes.torch_dtype(dtype)
        self._items: list[Any] = [None] * int(size)
        self._gives_up = clear_after_read is not False

    def write(self, index: Any, value: Any) -> TensorArray:
        index = int(index)
        self._items += [None] * (index + 1 - len(self._items))
        self._items[index] = tensor(value, self._kind)
        return self

    def read(self, index: Any) -> Tensor:
        """Raises ValueError where none was written, or it was read before."""
        found = self._items[int(index)]
        if found is None:  # a trial of shapes goes through a loop once
            found = next((item for item in self._items if item is not None and is_trial(item)), None)
        if found is None:
            raise ValueError(
                f"TensorArray: there is nothing at {int(index)}: it was not written, or was read before, which gives "
                "it up; make it with clear_after_read=False."
            )
        if self._gives_up:
            self._items[int(index)] = None
        return found

    def stack(self) -> Tensor:
        """All, zeros where there is none."""
        written = next(item for item in self._items if item is not None)
        return torch.stack([torch.zeros_like(written) if item is None else item for item in self._items])

    def concat(self) -> Tensor:
        return torch.cat(self._items)

    def gather(self, indices: Any) -> Tensor:
        return torch.stack([self._items[int(index)] for index in indices])

    def unstack(self, value: Any) -> TensorArray:
        self._items = list(tensor(value).unbind(0))
        return self

    def scatter(self, indices: Any, value: Any) -> TensorArray:
        for index, row in zip(indices, tensor(value), strict=True):
            self.write(index, row)
        return self

    def split(self, value: Any, lengths: Any) -> TensorArray:
        self._items = list(tensor(value).split([int(length) for length in lengths]))
        return self

    def size(self) -> int:
        return len(self._items)

    def identity(self) -> TensorArray:
        return self

    @property
    def dtype(self) -> Any:
        return as_dtype(self._kind or next(item for item in self._items if item is not None).dtype)


def _array_again(items: Iterable[Tensor], told: tuple[dict[str, Any], list[int]]) -> TensorArray:
    made, (state, places) = TensorArray(), told
    vars(made).update(state, _items=[*state["_items"]])
    for place, item in zip(places, items, strict=True):
        made._items[place] = item
    return made


def _parts_of_array(array: TensorArray) -> tuple[list[Tensor], tuple[dict[str, object], list[int]]]:
    places = [place for place, item in enumerate(array._items) if item is not None]
    return [array._items[place] for place in places], (dict(vars(array)), places)


pytree.register_pytree_node(TensorArray, _parts_of_array, _array_again)  # as what a loop goes on with


# Texts ----------------------------------------------------------------------------------------------------------------


def _moving(function, words):
    """The function, of texts as of their places in a list, the empty one first."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        given = [*args[: len(words)], *(kwargs[word] for word in words if word in kwargs)]
        if not any(map(_is_text, given)):
            args = [value.copy() if type(value) is np.ndarray else value for value in args]  # which may change
            return function(*args, **kwargs)
        places = {"": 0}

        def encoded(value):
            if not _is_text(value):
                return value
            if words == ["values"] and isinstance(value, (list, tuple)):
                return [coded(each) for each in value]
            return coded(value)

        def coded(value):
            found = texts(value)
            numbers = [places.setdefault(text, len(places)) for text in found.flat]
            return torch.tensor(numbers, dtype=torch.int64).reshape(found.shape)

        args = [encoded(value) if place < len(words) else value for place, value in enumerate(args)]
        found = function(*args, **{key: encoded(value) if key in words else value for key, value in kwargs.items()})
        known = np.array([*places], object)
        return pytree.tree_map_only(Tensor, lambda x: _texts_at(known, x) if x.dtype is torch.int64 else x, found)

    return call


def _texts_at(known, places):
    return texts(known[places.numpy()])


def _is_text(value):
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, (str, bytes, Texts)) or (isinstance(value, np.ndarray) and value.dtype.kind in "OUS")


def _texts_too() -> None:
    """What only moves values, or compares them, does so with texts, too."""
    for path, words in _LISTS["of_texts"].items():
        for name in [name for name, item in NAMES.items() if item is NAMES[path] and name != path] + [path]:
            NAMES[name] = _moving(NAMES[name], words.split())


_texts_too()
NAMES.update({f"experimental.numpy.{name}": item for name, item in vars(of_numpy).items() if inspect.isfunction(item)})


@named("experimental.numpy.experimental_enable_numpy_behavior python.ops.numpy_ops.np_config.enable_numpy_behavior")
def enable_numpy_behavior():
    """`x.astype(...)`, for as long as the process lives; NumPy's other words are torch's, too."""
    Tensor.astype = NAMES["cast"]  # type: ignore[attr-defined]
