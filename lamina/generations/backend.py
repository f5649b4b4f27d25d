"""`keras.backend` of Keras 1 and 2: functions of tensors under their old names, on torch."""

from __future__ import annotations

import builtins
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .. import activations as modern_activations
from ..core import dtypes
from ..core.config import epsilon as epsilon
from ..core.config import floatx as floatx
from ..core.config import image_data_format as image_data_format
from ..core.config import set_epsilon as set_epsilon
from ..core.config import set_floatx as set_floatx
from ..core.config import set_image_data_format as set_image_data_format
from ..core.layer import clear_session as _clear_session
from ..core.layer import scope
from ..core.symbolic import SymbolicTensor
from ..core.weight import Weight
from ..kernels import convolution, pooling, products, resize
from ..layers import Input as _Input
from ..models import Model as _Model
from . import updates
from .activations import hard_sigmoid as hard_sigmoid
from .activations import relu as relu
from .dialect import Dialect

Axis = Any
_ORDERINGS = {"th": "channels_first", "tf": "channels_last"}


def _tensor(value: Any) -> Any:
    return value if isinstance(value, (Tensor, SymbolicTensor)) else torch.as_tensor(value)


def _axes(x: Any, axis: Axis) -> Any:
    return tuple(axis) if isinstance(axis, (list, tuple)) else tuple(range(x.ndim)) if axis is None else axis


def _float(x: Any) -> Any:
    return x if x.is_floating_point() else x.to(dtypes.torch_dtype(floatx()))


def _dtype(dtype: Any) -> torch.dtype:
    return dtypes.torch_dtype(floatx() if dtype is None else dtype)


def _last(data_format: str | None) -> bool:
    chosen = image_data_format() if data_format in (None, "default") else _ORDERINGS.get(data_format, data_format)
    return chosen == "channels_last"


# Settings -------------------------------------------------------------------------------------------------------------


def image_dim_ordering() -> str:
    return "th" if image_data_format() == "channels_first" else "tf"


def set_image_dim_ordering(dim_ordering: str) -> None:
    if dim_ordering not in _ORDERINGS:
        raise ValueError(f"set_image_dim_ordering: expected 'th' or 'tf'; got {dim_ordering!r}.")
    set_image_data_format(_ORDERINGS[dim_ordering])


def learning_phase() -> int:
    """1 where layers are told to be in training, else 0."""
    return int(bool(scope.training))


def set_learning_phase(value: Any) -> None:
    """1: all layers called from now on are in training; 0: none is; None: their own flag counts."""
    scope.training = None if value is None else bool(value)


def in_train_phase(x: Any, alt: Any, training: Any = None) -> Any:
    chosen = x if (learning_phase() if training is None else training) else alt
    return chosen() if callable(chosen) else chosen


def in_test_phase(x: Any, alt: Any, training: Any = None) -> Any:
    return in_train_phase(alt, x, training)


def manual_variable_initialization(value: bool) -> None:
    """Accepted: variables have their values from the start."""


# Variables and values -------------------------------------------------------------------------------------------------


def variable(value: Any, dtype: Any = None, name: str | None = None, constraint: Any = None) -> Tensor:
    return Weight(_tensor(value).to(_dtype(dtype)).clone(), name=name, constraint=constraint)


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Tensor:
    made = torch.as_tensor(value, dtype=_dtype(dtype))
    return made if shape is None else made.expand(tuple(shape)).clone()


def placeholder(
    shape: Any = None, ndim: int | None = None, dtype: Any = None, sparse: bool = False, name: Any = None
) -> Any:
    """A symbolic tensor. Raises ValueError for a sparse one."""
    batch_shape = tuple(shape) if shape is not None else (None,) * (ndim or 0)
    return _Input(batch_shape=batch_shape, dtype=dtype, sparse=sparse, name=name)


def is_keras_tensor(x: Any) -> bool:
    return isinstance(x, SymbolicTensor)


is_placeholder = is_keras_tensor


def is_variable(x: Any) -> bool:
    return isinstance(x, torch.nn.Parameter)


def is_tensor(x: Any) -> bool:
    return isinstance(x, Tensor)


def is_sparse(tensor: Any) -> bool:
    return isinstance(tensor, Tensor) and tensor.is_sparse


def to_dense(tensor: Any) -> Any:
    return tensor.to_dense() if is_sparse(tensor) else tensor


def eval(x: Any) -> np.ndarray:
    return _tensor(x).detach().cpu().numpy()


get_value = eval


def set_value(x: Tensor, value: Any) -> None:
    with torch.no_grad():
        x.copy_(torch.as_tensor(value))


def batch_get_value(ops: Sequence[Any]) -> list[np.ndarray]:
    return [eval(x) for x in ops]


def batch_set_value(tuples: Sequence[tuple[Any, Any]]) -> None:
    for x, value in tuples:
        set_value(x, value)


def update(x: Tensor, new_x: Any) -> Any:
    """Gives `x` another value: at once, or, in a layer's call, where `add_update` is told what this returns."""
    return updates.change(x, new_x)


def update_add(x: Tensor, increment: Any) -> Any:
    return update(x, x + increment)


def update_sub(x: Tensor, decrement: Any) -> Any:
    return update(x, x - decrement)


def moving_average_update(x: Tensor, value: Any, momentum: float) -> Any:
    return update(x, x * momentum + value * (1 - momentum))


def shape(x: Any) -> Any:
    return tuple(x.shape)


def int_shape(x: Any) -> tuple:
    return tuple(x.shape)


get_variable_shape = int_shape


def ndim(x: Any) -> int:
    return x.ndim


def dtype(x: Any) -> str:
    return x.dtype if isinstance(x.dtype, str) else dtypes.dtype_name(x.dtype)


def count_params(x: Any) -> int:
    return int(np.prod(tuple(x.shape)))


def cast(x: Any, dtype: Any) -> Any:
    return _tensor(x).to(dtypes.torch_dtype(dtype))


def cast_to_floatx(x: Any) -> np.ndarray:
    return np.asarray(x, dtype=floatx())


def print_tensor(x: Any, message: str = "") -> Any:
    print(message, x)
    return x


def stop_gradient(variables: Any) -> Any:
    return [x.detach() for x in variables] if isinstance(variables, (list, tuple)) else variables.detach()


def gradients(loss: Tensor, variables: Any) -> list[Tensor]:
    variables = variables if isinstance(variables, (list, tuple)) else [variables]
    return list(torch.autograd.grad(loss.sum(), variables, create_graph=True))


_HOW_IT_RUNS = {"name", "mode", "on_unused_input", "allow_input_downcast", "options", "run_metadata"}


def function(inputs: Any, outputs: Any, updates: Any = None, **kwargs: Any) -> Callable[[Any], list[np.ndarray]]:
    """A function of lists of arrays from symbolic inputs to symbolic outputs; the learning phase may follow them.

    updates: pairs (variable, symbolic value); each run ends by setting them. Raises ValueError for other updates, which
    have no value that is known later, and for options that would change what is computed.
    """
    unknown = sorted(kwargs.keys() - _HOW_IT_RUNS)
    if unknown:
        raise ValueError(f"K.function has no option {unknown[0]!r} here.")
    pairs: list[Any] = [pair if isinstance(pair, (list, tuple)) else (pair,) for pair in updates or ()]
    if not builtins.all(len(pair) == 2 and isinstance(pair[1], SymbolicTensor) for pair in pairs):
        raise ValueError(
            "K.function: `updates` must be pairs (variable, symbolic value). What K.update changes is changed at once; "
            "train with `fit` or `train_on_batch`."
        )
    symbols = [x for x in inputs if isinstance(x, SymbolicTensor)]
    results = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    model = _Model(symbols, [*results, *(value for _, value in pairs)])

    def run(values: Sequence[Any]) -> list[np.ndarray]:
        training = bool(values[len(symbols)]) if len(values) > len(symbols) else None
        with torch.no_grad():
            found = model([torch.as_tensor(value) for value in values[: len(symbols)]], training=training)
        found = list(found) if isinstance(found, (list, tuple)) else [found]
        for (target, _), value in zip(pairs, found[len(results) :], strict=True):
            set_value(target, value)
        return [eval(x) for x in found[: len(results)]]

    return run


Function = function


# Creation -------------------------------------------------------------------------------------------------------------


def zeros(shape: Any, dtype: Any = None, name: str | None = None) -> Tensor:
    return torch.zeros(tuple(shape), dtype=_dtype(dtype))


def ones(shape: Any, dtype: Any = None, name: str | None = None) -> Tensor:
    return torch.ones(tuple(shape), dtype=_dtype(dtype))


def eye(size: int, dtype: Any = None, name: str | None = None) -> Tensor:
    return torch.eye(size, dtype=_dtype(dtype))


def zeros_like(x: Any, dtype: Any = None, name: str | None = None) -> Any:
    return torch.zeros_like(x, dtype=None if dtype is None else _dtype(dtype))


def ones_like(x: Any, dtype: Any = None, name: str | None = None) -> Any:
    return torch.ones_like(x, dtype=None if dtype is None else _dtype(dtype))


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = "int32") -> Tensor:
    return torch.arange(*((0, start) if stop is None else (start, stop)), step, dtype=_dtype(dtype))


def random_normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Tensor:
    return torch.empty(tuple(shape), dtype=_dtype(dtype)).normal_(mean, stddev, generator=_stream(seed))


def random_uniform(shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None) -> Tensor:
    return torch.empty(tuple(shape), dtype=_dtype(dtype)).uniform_(minval, maxval, generator=_stream(seed))


def random_binomial(shape: Any, p: float = 0.0, dtype: Any = None, seed: Any = None) -> Tensor:
    return torch.empty(tuple(shape), dtype=_dtype(dtype)).bernoulli_(p, generator=_stream(seed))


def truncated_normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Tensor:
    values = torch.empty(tuple(shape), dtype=_dtype(dtype))
    return torch.nn.init.trunc_normal_(values, 0.0, 1.0, -2.0, 2.0, _stream(seed)).mul_(stddev).add_(mean)


def random_uniform_variable(shape: Any, low: float, high: float, dtype: Any = None, name: Any = None, seed: Any = None):
    return variable(random_uniform(shape, low, high, dtype, seed))


def random_normal_variable(
    shape: Any, mean: float, scale: float, dtype: Any = None, name: Any = None, seed: Any = None
):
    return variable(random_normal(shape, mean, scale, dtype, seed))


def _stream(seed: Any) -> torch.Generator | None:
    return None if seed is None else torch.Generator().manual_seed(int(seed))


# Reductions -----------------------------------------------------------------------------------------------------------


def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return torch.mean(_float(x), _axes(x, axis), keepdims)


def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return torch.sum(x, _axes(x, axis), keepdims)


def max(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return torch.amax(x, _axes(x, axis), keepdims)


def min(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return torch.amin(x, _axes(x, axis), keepdims)


def prod(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    for one in sorted((a % x.ndim for a in ((axis,) if isinstance(axis, int) else _axes(x, axis))), reverse=True):
        x = torch.prod(x, one, True)
        x = x if keepdims else x.squeeze(one)
    return x


def var(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return torch.var(_float(x), _axes(x, axis), correction=0, keepdim=keepdims)


def std(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return torch.sqrt(var(x, axis, keepdims))


def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return torch.amax(x.bool().to(torch.uint8), _axes(x, axis), keepdims).bool()


def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return torch.amin(x.bool().to(torch.uint8), _axes(x, axis), keepdims).bool()


def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return torch.logsumexp(x, _axes(x, axis), keepdims)


def argmax(x: Any, axis: int = -1) -> Any:
    return torch.argmax(x, axis)


def argmin(x: Any, axis: int = -1) -> Any:
    return torch.argmin(x, axis)


def cumsum(x: Any, axis: int = 0) -> Any:
    return torch.cumsum(x, axis)


def cumprod(x: Any, axis: int = 0) -> Any:
    return torch.cumprod(x, axis)


def l2_normalize(x: Any, axis: Axis = None) -> Any:
    """`x` divided by its norm along `axis` (at least 1e-6)."""
    return x * torch.rsqrt(torch.clamp(sum(torch.square(x), axis, True), min=1e-12))


# Value by value -------------------------------------------------------------------------------------------------------

abs = torch.abs
square = torch.square
exp = torch.exp
log = torch.log
sin = torch.sin
cos = torch.cos
sign = torch.sign
round = torch.round
sigmoid = torch.sigmoid
tanh = torch.tanh
softplus = functional.softplus
softsign = functional.softsign
elu = modern_activations.elu
selu = torch.selu
maximum = torch.maximum
minimum = torch.minimum
equal = torch.eq
not_equal = torch.ne
greater = torch.gt
greater_equal = torch.ge
less = lesser = torch.lt
less_equal = lesser_equal = torch.le


def sqrt(x: Any) -> Any:
    return torch.sqrt(torch.clamp(x, min=0))


def pow(x: Any, a: Any) -> Any:
    return torch.pow(x, a)


def clip(x: Any, min_value: Any, max_value: Any) -> Any:
    return torch.clamp(x, min_value, max_value)


def softmax(x: Any, axis: int = -1) -> Any:
    return torch.softmax(x, axis)


def identity(x: Any, name: str | None = None) -> Any:
    return x


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    then: Any = then_expression() if callable(then_expression) else then_expression
    other: Any = else_expression() if callable(else_expression) else else_expression
    condition = _tensor(condition)
    while condition.ndim < then.ndim:
        condition = condition.unsqueeze(-1)
    return torch.where(condition.bool(), then, other)


def dropout(x: Any, level: float, noise_shape: Any = None, seed: Any = None) -> Any:
    kept = torch.empty(tuple(noise_shape or x.shape)).bernoulli_(1 - level, generator=_stream(seed))
    return x * kept / (1 - level)


# Shapes ---------------------------------------------------------------------------------------------------------------


def reshape(x: Any, shape: Any) -> Any:
    return torch.reshape(x, tuple(shape))


def flatten(x: Any) -> Any:
    return torch.reshape(x, (-1,))


def batch_flatten(x: Any) -> Any:
    return torch.flatten(x, 1)


def permute_dimensions(x: Any, pattern: Sequence[int]) -> Any:
    return torch.permute(x, tuple(pattern))


def transpose(x: Any) -> Any:
    return torch.permute(x, tuple(reversed(range(x.ndim))))


def expand_dims(x: Any, axis: int = -1, *, dim: int | None = None) -> Any:
    return torch.unsqueeze(x, axis if dim is None else dim)


def squeeze(x: Any, axis: int) -> Any:
    return torch.squeeze(x, axis)


def concatenate(tensors: Sequence[Any], axis: int = -1) -> Any:
    return torch.cat(list(tensors), axis)


def stack(x: Sequence[Any], axis: int = 0) -> Any:
    return torch.stack(list(x), axis)


def repeat(x: Any, n: int) -> Any:
    """(batch, features) -> (batch, n, features)."""
    return torch.unsqueeze(x, 1).expand(-1, n, -1)


def repeat_elements(x: Any, rep: int, axis: int) -> Any:
    return torch.repeat_interleave(x, rep, axis)


def tile(x: Any, n: Any) -> Any:
    return torch.tile(x, (n,) if isinstance(n, int) else tuple(n))


def reverse(x: Any, axes: Axis) -> Any:
    return torch.flip(x, (axes,) if isinstance(axes, int) else tuple(axes))


def slice(x: Any, start: Sequence[int], size: Sequence[int]) -> Any:
    for axis, (first, length) in enumerate(zip(start, size, strict=True)):
        x = x.narrow(axis, first, x.shape[axis] - first if length == -1 else length)
    return x


def gather(reference: Any, indices: Any) -> Any:
    return functional.embedding(indices.long(), reference) if reference.ndim == 2 else reference[indices.long()]


def one_hot(indices: Any, num_classes: int) -> Any:
    return functional.one_hot(indices.long(), num_classes).to(_dtype(None))


def temporal_padding(x: Any, padding: Any = (1, 1)) -> Any:
    return resize.pad(x, (_pair(padding),), True)


def spatial_2d_padding(x: Any, padding: Any = ((1, 1), (1, 1)), data_format: str | None = None) -> Any:
    return resize.pad(x, tuple(map(_pair, padding)), _last(data_format))


spatial_3d_padding = spatial_2d_padding


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def resize_images(
    x: Any, height_factor: int, width_factor: int, data_format: str | None, interpolation: str = "nearest"
):
    return resize.upsample(x, (height_factor, width_factor), interpolation, _last(data_format))


def _resize_from_corner(
    x: Any, height_factor: int, width_factor: int, data_format: str | None, interpolation: str = "nearest"
):
    """TensorFlow 1's bilinear values are taken at i / factor."""
    return resize.upsample(x, (height_factor, width_factor), interpolation, _last(data_format), half_pixel=False)


def resize_volumes(x: Any, depth_factor: int, height_factor: int, width_factor: int, data_format: str | None) -> Any:
    return resize.upsample(x, (depth_factor, height_factor, width_factor), "nearest", _last(data_format))


# Products -------------------------------------------------------------------------------------------------------------


def dot(x: Any, y: Any) -> Any:
    """Products summed over the last axis of `x` and the last but one of `y`."""
    if y.ndim <= 2:
        return torch.matmul(x, y)
    axes: Any = ([x.ndim - 1], [y.ndim - 2])
    return torch.tensordot(x, y, axes)


def batch_dot(x: Any, y: Any, axes: Any = None) -> Any:
    """Products summed over one axis of each, sample by sample."""
    if axes is None:
        axes = (x.ndim - 1, 1 if y.ndim == 2 else y.ndim - 2)
    a, b = (axes, axes) if isinstance(axes, int) else axes
    return products.batch_dot(x, y, a % x.ndim, b % y.ndim)


def bias_add(x: Any, bias: Any, data_format: str | None = None) -> Any:
    if x.ndim > 2 and bias.ndim == 1 and not _last(data_format):
        return x + bias.reshape(1, -1, *(1,) * (x.ndim - 2))
    return x + bias


def _conv(rank: int) -> Callable[..., Any]:
    def conv(x, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
        sizes = [(v,) * rank if isinstance(v, int) else tuple(v) for v in (strides, dilation_rate)]
        pads: Any = (padding,) * rank
        return convolution.convolution(x, kernel, None, sizes[0], pads, sizes[1], 1, _last(data_format))

    conv.__name__ = f"conv{rank}d"
    return conv


conv1d, conv2d, conv3d = map(_conv, (1, 2, 3))


def depthwise_conv2d(x: Any, depthwise_kernel: Any, strides: Any = (1, 1), padding: str = "valid",
                     data_format: str | None = None, dilation_rate: Any = (1, 1)) -> Any:  # fmt: skip
    pads: Any = (padding,) * 2
    return convolution.depthwise_convolution(
        x, depthwise_kernel, None, tuple(strides), pads, tuple(dilation_rate), _last(data_format)
    )


def _pool(x: Any, pool_size: Any, strides: Any, padding: str, data_format: str | None, pool_mode: str) -> Any:
    pool = pooling.max_pool if pool_mode == "max" else pooling.average_pool
    return pool(x, tuple(pool_size), tuple(strides), padding, _last(data_format))


def pool2d(x: Any, pool_size: Any, strides: Any = (1, 1), padding: str = "valid", data_format: str | None = None,
           pool_mode: str = "max") -> Any:  # fmt: skip
    return _pool(x, pool_size, strides, padding, data_format, pool_mode)


def pool3d(x: Any, pool_size: Any, strides: Any = (1, 1, 1), padding: str = "valid", data_format: str | None = None,
           pool_mode: str = "max") -> Any:  # fmt: skip
    return _pool(x, pool_size, strides, padding, data_format, pool_mode)


# Losses, loops --------------------------------------------------------------------------------------------------------


def batch_normalization(
    x: Any, mean: Any, var: Any, beta: Any, gamma: Any, axis: int = -1, epsilon: float = 1e-3
) -> Any:
    """`x` by the statistics and parameters of its `axis`, where these are vectors."""
    if mean.ndim == 1 and axis % x.ndim != x.ndim - 1:
        shape = [-1 if one == axis % x.ndim else 1 for one in range(x.ndim)]
        mean, var, beta, gamma = (part if part is None else part.reshape(shape) for part in (mean, var, beta, gamma))
    y = (x - mean) * torch.rsqrt(var + epsilon)
    y = y if gamma is None else y * gamma
    return y if beta is None else y + beta


def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    if from_logits:
        return -(target * torch.log_softmax(output, axis)).sum(axis)
    output = output / output.sum(axis, keepdim=True)
    return -(target * torch.log(torch.clamp(output, epsilon(), 1 - epsilon()))).sum(axis)


def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    log_probabilities = (
        torch.log_softmax(output, axis) if from_logits else torch.log(torch.clamp(output, epsilon(), 1 - epsilon()))
    )
    return -torch.gather(log_probabilities, axis, target.long().unsqueeze(axis)).squeeze(axis)


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    if from_logits:
        return functional.binary_cross_entropy_with_logits(output, target, reduction="none")
    output = torch.clamp(output, epsilon(), 1 - epsilon())
    return -(target * torch.log(output) + (1 - target) * torch.log(1 - output))


def in_top_k(predictions: Any, targets: Any, k: int) -> Any:
    chosen = torch.gather(predictions, 1, targets.long().unsqueeze(1))
    return (predictions > chosen).sum(1) < k


def map_fn(fn: Callable, elems: Any, name: str | None = None, dtype: Any = None) -> Any:
    found = torch.stack([fn(x) for x in elems])
    return found if dtype is None else found.to(_dtype(dtype))


def foldl(fn: Callable, elems: Any, initializer: Any = None, name: str | None = None) -> Any:
    return functools.reduce(fn, elems) if initializer is None else functools.reduce(fn, elems, initializer)


def foldr(fn: Callable, elems: Any, initializer: Any = None, name: str | None = None) -> Any:
    return foldl(fn, list(elems)[::-1], initializer)


def rnn(
    step_function: Callable, inputs: Any, initial_states: Any, go_backwards: bool = False, mask: Any = None,
    constants: Any = None, unroll: bool = False, input_length: int | None = None,
) -> tuple[Any, Any, list]:  # fmt: skip
    """Runs `step_function(x, states)` along time: the last output, all outputs (batch, time, ...), the last states."""
    steps = list(inputs.unbind(1))
    masks = [None] * len(steps) if mask is None else list(mask.bool().reshape(*mask.shape[:2]).unbind(1))
    pairs = list(zip(steps, masks, strict=True))
    states, outputs = list(initial_states), []
    for x, valid in reversed(pairs) if go_backwards else pairs:
        output, new = step_function(x, states + list(constants or []))
        if valid is not None:
            before = outputs[-1] if outputs else torch.zeros_like(output)
            output = torch.where(_like(valid, output), output, before)
            new = [torch.where(_like(valid, n), n, s) for n, s in zip(new, states, strict=True)]
        outputs.append(output)
        states = list(new)
    return outputs[-1], torch.stack(outputs, 1), states


def _like(mask: Any, x: Any) -> Any:
    return mask.reshape(-1, *(1,) * (x.ndim - 1))


_MAKING = ("variable", "zeros", "ones", "zeros_like", "ones_like")
_UPDATES = ("update", "update_add", "update_sub", "moving_average_update")
_WORDS = {"border_mode": "padding", "dim_ordering": "data_format", "stride": "strides"}


def _in_keras1(function: Callable) -> Callable:
    """The function with Keras 1's names for its arguments."""
    if not inspect.isfunction(function) or not {*_WORDS.values()} & {*inspect.signature(function).parameters}:
        return function

    @functools.wraps(function)
    def renamed(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **{_WORDS.get(key, key): value for key, value in kwargs.items()})

    return renamed


@functools.cache
def names(dialect: Dialect) -> dict[str, Any]:
    """The names of a generation's backend."""

    def backend() -> str:
        return dialect.backend

    def set_backend(backend: str) -> None:
        dialect.follow(backend)

    def clear_session() -> None:
        """Start automatic names afresh."""
        _clear_session(free_memory=False)
        dialect.reset_names()

    def get_uid(prefix: str = "") -> int:
        """1, 2, 3, ... for each prefix."""
        return dialect.count(f"uid/{prefix}")

    found = {key: value for key, value in globals().items() if key in _PUBLIC}
    own = (backend, set_backend, clear_session, get_uid)
    found |= {function.__name__: function for function in own} | {"reset_uids": clear_session}
    name = dialect.table.name
    if name == "keras2":
        found["resize_images"] = _resize_from_corner
    if name == "tf_keras":
        found |= {key: updates.at_once(found[key]) for key in _UPDATES}
    found |= {key: updates.made_once(found[key]) for key in _MAKING}
    if name == "keras1":
        found = {key: _in_keras1(value) for key, value in found.items()}
        for loss in ("categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy"):
            found[loss] = lambda output, target, *args, of=found[loss], **kwargs: of(target, output, *args, **kwargs)
    return found


_PUBLIC = {key for key, value in globals().items() if callable(value) and not key.startswith("_")} - {
    "Any", "Axis", "Callable", "Sequence", "SymbolicTensor", "Tensor", "Weight", "Dialect", "names",
}  # fmt: skip
