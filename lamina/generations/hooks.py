"""Private methods of older generations' layers that code of the time defines in subclasses."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from .. import activations as modern_activations
from ..core.dtypes import torch_dtype
from ..core.errors import named, show_shape
from ..core.layer import InputSpec
from ..core.symbolic import is_shape, map_shapes
from ..kernels import normalization as kernels
from ..kernels import recurrence
from ..layers import (
    BatchNormalization,
    Conv1D,
    Conv2D,
    Conv3D,
    GroupNormalization,
    GRUCell,
    LSTMCell,
    MultiHeadAttention,
    Resizing,
    SimpleRNNCell,
    Softmax,
    StackedRNNCells,
    TimeDistributed,
)
from ..layers.dropout import _Dropping
from ..layers.merge import Merge
from ..layers.pooling import MaxPooling, _Pooling
from . import activations, backend
from .dialect import Dialect
from .habits import is_of_ours

_Parts = Sequence[Tensor]  # one for each gate, or state
_Shape = tuple[int | None, ...]
_Modern: Any = object  # the modern class, which comes behind in the classes made


class NoiseShape(_Modern):
    """Dropout whose mask has the shape that `_get_noise_shape(inputs)` gives."""

    def _get_noise_shape(self, inputs: Any) -> Any:
        return super().mask_shape(inputs)

    def mask_shape(self, inputs: Any) -> tuple | None:
        shape = self._get_noise_shape(inputs)
        if shape is None:
            return None
        return tuple(known if size is None else int(size) for size, known in zip(shape, inputs.shape, strict=True))


class Hooked(_Modern):
    """A subclass that defines one of `_hook` without a `call` of its own is called as `_by_hook` says."""

    _hook = ""
    _by_hook: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        hooks, call = [getattr(cls, name) for name in cls._hook.split()], getattr(cls, "call", None)
        if hooks and call is not cls._by_hook and is_of_ours(call) and not all(map(is_of_ours, hooks)):
            cls.call = cls._by_hook
            cls.__init_subclass__(**kwargs)  # once more: `call` is another one


class MergeFunction(Hooked):
    """A layer of several inputs, which gives `_merge_function(inputs)`."""

    _hook = "_merge_function"

    def _merge_function(self, inputs: Any) -> Any:
        return super().call(inputs)

    def _compute_elemwise_op_output_shape(self, shape1: Any, shape2: Any) -> Any:
        """What two shapes without the batch give; None where one is unknown. Users' `build` asks for it."""
        if shape1 is None or shape2 is None:
            return None
        return super().compute_output_shape([(None, *shape1), (None, *shape2)])[1:]

    def _by_hook(self, inputs: Any) -> Any:
        return self._merge_function(inputs)


class PoolingFunction(Hooked):
    """Pooling by `_pooling_function`, which is given the layer's settings in the generation's words."""

    _hook = "_pooling_function"
    _dialect: Dialect

    def _pooling_function(self, inputs: Any, pool_size: Any, strides: Any, *how: Any, **named: Any) -> Any:
        names = backend.names(self._dialect)
        pool = names["pool3d" if self.rank == 3 else "pool2d"]
        mode = "max" if isinstance(self, MaxPooling) else "avg"
        return pool(inputs, pool_size, strides, *how, **named, pool_mode=mode)

    def _by_hook(self, inputs: Any) -> Any:
        how = {"padding": self.padding, "data_format": self.data_format}
        if self._dialect.table.lists_weights:
            how = {"border_mode": self.padding, "dim_ordering": "tf" if self.channels_last else "th"}
        return _in_two(self, inputs, functools.partial(self._pooling_function, **how))


def _in_two(layer: Any, inputs: Tensor, pool: Callable[..., Tensor]) -> Tensor:
    """What a function pools of the inputs with the layer's sizes; in one dimension a second of size 1 is put in."""
    beside, place = (1,) * (layer.rank == 1), 2 + (not layer.channels_last)
    given = inputs.unsqueeze(place) if beside else inputs
    found = pool(inputs=given, pool_size=(*layer.pool_size, *beside), strides=(*layer.strides, *beside))
    return found.squeeze(place) if beside else found


class PoolFunction(_Modern):
    """Pooling by the layer's `pool_function`, once it is set: in one dimension K.pool2d's arguments, else those of
    tf.nn.max_pool (tf.keras)."""

    _dialect: Dialect

    @property
    def pool_function(self) -> Any:
        if "_pools_by" in vars(self):
            return self._pools_by
        names, mode = backend.names(self._dialect), "max" if isinstance(self, MaxPooling) else "avg"
        if self.rank == 1:
            return functools.partial(names["pool2d"], pool_mode=mode)
        from .tensorflow import arrays

        return arrays.NAMES[f"nn.{mode}_pool"]

    @pool_function.setter
    def pool_function(self, function: Any) -> None:
        self.__dict__["_pools_by"] = function
        self.call = self._by_function

    def _by_function(self, inputs: Any) -> Any:
        first = not self.channels_last
        if self.rank == 1:
            return _in_two(self, inputs, self._of_two)
        at_end, named = self.rank == 3 or not first, {}
        size, steps = ((1, *each, 1) if at_end else (1, 1, *each) for each in (self.pool_size, self.strides))
        if self.rank == 2:
            named["data_format"] = "NCHW" if first else "NHWC"
        inputs = inputs.movedim(1, -1) if first and at_end else inputs
        found = self._pools_by(inputs, ksize=size, strides=steps, padding=self.padding.upper(), **named)
        return found.movedim(-1, 1) if first and at_end else found

    def _of_two(self, inputs: Any, pool_size: Any, strides: Any) -> Any:
        return self._pools_by(inputs, pool_size, strides=strides, padding=self.padding, data_format=self.data_format)


def facts_of(dialect: Dialect, modern: type) -> dict[str, Any]:
    """What a class of the generation knows of its `call` otherwise: a softmax tells of scores, and in Keras 2 sees no
    mask; in tf.keras resized pictures are of floats."""
    shares = dialect.table.shares_modern
    if issubclass(modern, Softmax):
        told = {"_softmax": activations.telling(modern_activations.softmax, dialect.table.name)}
        return told if shares else {**told, "_takes_mask": False}
    return {"_keeps_dtype": False} if modern is Resizing and shares else {}


class CarryAndOutput(Hooked):
    """A step of an LSTM's cell, whose carry and output gate `_compute_carry_and_output_fused(z, c)` gives, for the
    arguments of the four gates, or with implementation 1 `_compute_carry_and_output(x, h, c)` (tf.keras)."""

    _hook = "_compute_carry_and_output _compute_carry_and_output_fused"
    _as_given: dict[str, Any]

    def _compute_carry_and_output(self, x: _Parts, h_tm1: _Parts, c_tm1: Tensor) -> tuple[Tensor, Tensor]:
        kernels = self.recurrent_kernel.chunk(4, 1)
        z = [part + state @ kernel for part, state, kernel in zip(x, h_tm1, kernels, strict=True)]
        return self._compute_carry_and_output_fused(z, c_tm1)

    def _compute_carry_and_output_fused(self, z: _Parts, c_tm1: Tensor) -> tuple[Tensor, Tensor]:
        i, f, g, o = z
        carry = self.recurrent_activation(f) * c_tm1 + self.recurrent_activation(i) * self.activation(g)
        return carry, self.recurrent_activation(o)

    def _by_hook(self, inputs: Tensor, states: _Parts, training: bool = False) -> tuple[Tensor, list[Tensor]]:
        x, (kernel, recurrent, bias), (h, c), (drop, drop_state) = self._prepared(inputs, states, training)
        z = recurrence.project(x, kernel, bias, drop)
        if self._as_given.get("implementation") == 1:
            before = [h] * 4 if drop_state is None else (h * drop_state).expand(4, *h.shape).unbind(0)
            c, o = self._compute_carry_and_output(z.chunk(4, -1), before, c)
        else:
            z = recurrence.add_product(z, h, recurrent, drop_state)
            c, o = self._compute_carry_and_output_fused(z.chunk(4, -1), c)
        h = o * self.activation(c)
        return h, [h, c]


class BatchMoments(_Modern):
    """Batch normalization by the mean and variance that `_moments`, or `_calculate_mean_and_var` below it, gives; not
    where TensorFlow had a kernel for it all (tf.keras)."""

    _as_given: dict[str, Any]

    def _calculate_mean_and_var(
        self, inputs: Tensor, reduction_axes: Sequence[int], keep_dims: bool, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        mean, variance = super()._moments(inputs, mask)
        shape = [1 if axis in reduction_axes else size for axis, size in enumerate(inputs.shape)]
        return (mean.reshape(shape), variance.reshape(shape)) if keep_dims else (mean, variance)

    def _moments(
        self, inputs: Tensor, reduction_axes: Sequence[int], keep_dims: bool, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        masks = () if mask is None else (mask,)  # which the time's own methods may not take
        return self._calculate_mean_and_var(inputs, reduction_axes, keep_dims, *masks)

    def _has_own_moments(self) -> bool:
        ours = is_of_ours(type(self)._moments) and is_of_ours(type(self)._calculate_mean_and_var)
        at_once = self._unbiased is not None and self.input_spec.ndim in (4, 5)
        return not ours and not (at_once and self._as_given.get("fused") is not False)

    def _moments_of(self, inputs: Tensor, mask: Tensor | None) -> Sequence[Tensor]:
        if not self._has_own_moments():
            return kernels.moments(inputs, self._channels, mask, self.synchronized)
        kept = [self._channels] if self.axes is None else self._channels
        kept = [axis % inputs.ndim for axis in kept]
        axes = [axis for axis in range(inputs.ndim) if axis not in kept]
        found = self._moments(inputs, axes, self.axes is not None, *(() if mask is None else (mask,)))
        shape = [1 if axis in axes else size for axis, size in enumerate(inputs.shape)]
        return [each.reshape(shape) for each in found]


class AttentionParts(_Modern):
    """Attention whose parts `_build_from_signature(query, value, key)` makes (tf.keras)."""

    def build(self, query_shape: _Shape, value_shape: _Shape | None = None, key_shape: _Shape | None = None) -> None:
        self._build_from_signature(query_shape, value_shape, key_shape)

    def _build_from_signature(self, query: object, value: object, key: object = None) -> None:
        given: list[Any] = [each for each in (query, value, key) if each is not None]
        shapes = [tuple(getattr(each, "shape", each)) for each in given]
        super().build(*shapes)

    def _build_for(self, args: tuple, kwargs: Mapping[str, Any]) -> None:
        """Where a user's `call` names its inputs otherwise, these are query, value and key in order."""
        given = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if len(getattr(leaf, "shape", ())) > 2]
        if "query" in self._call_parameters or not given:
            super()._build_for(args, kwargs)
        else:
            self.build(*(tuple(leaf.shape) for leaf in (given * 2 if len(given) == 1 else given)[:3]))


class BatchAxes(_Modern):
    """A convolution whose batch may have several axes; which those are its first input says."""

    def build(self, input_shape: _Shape) -> None:
        image = self.rank + 1
        super().build((None, *input_shape[-image:]) if len(input_shape) > image + 1 else input_shape)
        if len(input_shape) > image + 1:
            channels = {-1 if self.channels_last else -image: self.channels((None, *input_shape[-image:]))}
            self.input_spec = InputSpec(min_ndim=image + 1, axes=channels)
            self.__dict__["call"] = functools.partial(_call_on_images, self)

    def compute_output_shape(self, input_shape: _Shape) -> Any:
        image = self.rank + 1
        if len(input_shape) <= image + 1:
            return super().compute_output_shape(input_shape)
        return (*input_shape[:-image], *super().compute_output_shape((None, *input_shape[-image:]))[1:])


def _call_on_images(layer: Any, inputs: Tensor, **fused: Any) -> Tensor:
    batch = inputs.shape[: -layer.rank - 1]
    outputs = type(layer).call(layer, inputs.flatten(0, len(batch) - 1), **fused)
    return outputs.unflatten(0, batch)


class MaskedGroups(_Modern):
    """Group normalization by the mean and the variance of what a mask leaves, or weighs."""

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            return super().call(inputs)
        try:
            weights = mask.broadcast_to(inputs.shape)
        except RuntimeError:
            expected, got = show_shape(inputs.shape), show_shape(mask.shape)
            raise ValueError(
                f"{named(self)}: expected a mask that fits inputs of shape {expected}; got {got}."
            ) from None
        place, wide = self.axis % inputs.ndim, self.dtype_policy.variable
        x, weights = (each.to(wide).unflatten(place, (self.groups, -1)) for each in (inputs, weights))
        axes = [axis for axis in range(1, x.ndim) if axis != place]
        total = weights.sum(axes, True)
        mean = (weights * x).sum(axes, True) / total
        variance = (weights * (x - mean).square()).sum(axes, True) / total
        y = ((x - mean) * torch.rsqrt(variance + self.epsilon)).flatten(place, place + 1).movedim(place, -1)
        y = y if self.gamma is None else y * self.gamma
        y = y if self.beta is None else y + self.beta
        return y.movedim(-1, place).to(self.dtype_policy.compute)


class StepsOfAll(_Modern):
    """TimeDistributed that may have several inputs, each (batch, time, ...), and several outputs."""

    _takes_one = False

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if not is_shape(input_shape):
            self.__dict__["call"] = functools.partial(_call_at_all_steps, self)

    def _inner_shape(self, input_shape: Any) -> Any:
        return map_shapes(super()._inner_shape, input_shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        first = pytree.tree_leaves(input_shape, is_leaf=is_shape)[0]
        inner = self.layer.compute_output_shape(self._inner_shape(input_shape))
        return map_shapes(lambda shape: (*first[:2], *shape[1:]), inner)


def _call_at_all_steps(layer: Any, inputs: Any, training: bool = False, mask: Any = None) -> Any:
    sizes = {tuple(leaf.shape[:2]) for leaf in pytree.tree_leaves(inputs)}
    if len(sizes) > 1:
        raise ValueError(f"{named(layer)}: its inputs must have one number of samples and of steps; got {sizes}.")
    (batch,), takes = sizes, layer.layer._takes_mask and mask is not None

    def run(at: Callable[[Tensor], Tensor]) -> Any:
        return layer.layer(pytree.tree_map(at, inputs), **({"mask": pytree.tree_map(at, mask)} if takes else {}))

    if layer._together and not (training and layer._coupled):
        return pytree.tree_map(lambda y: y.unflatten(0, batch), run(lambda x: x.flatten(0, 1)))
    steps = [run(lambda x, step=step: x[:, step]) for step in range(batch[1])]
    return pytree.tree_map(lambda *outputs: torch.stack(outputs, 1), *steps)


class StatesOfCell(_Modern):
    def get_initial_state(self, inputs: Any = None, batch_size: int | None = None, dtype: Any = None) -> Any:
        """Zeros for a batch as large as that of `inputs`, or `batch_size`; of one state, that alone."""
        states = super().get_initial_state(batch_size if inputs is None else inputs.shape[0])
        if dtype is not None:
            states = pytree.tree_map(lambda state: state.to(torch_dtype(dtype)), states)
        return states if len(states) > 1 else states[0]


_HOOKS: dict[type, tuple[type, ...]] = {
    NoiseShape: (_Dropping,),
    MergeFunction: (Merge,),
    PoolingFunction: (_Pooling,),
    PoolFunction: (_Pooling,),
    CarryAndOutput: (LSTMCell,),
    BatchMoments: (BatchNormalization,),
    AttentionParts: (MultiHeadAttention,),
    BatchAxes: (Conv1D, Conv2D, Conv3D),
    MaskedGroups: (GroupNormalization,),
    StepsOfAll: (TimeDistributed,),
    StatesOfCell: (SimpleRNNCell, GRUCell, LSTMCell, StackedRNNCells),
}
_OF_TF_KERAS = (
    StatesOfCell,
    BatchAxes,
    MaskedGroups,
    StepsOfAll,
    PoolFunction,
    CarryAndOutput,
    BatchMoments,
    AttentionParts,
)


def hooks_of(dialect: Dialect, modern: type) -> tuple[type, ...]:
    """What goes before a modern class so that its private methods of the time are called."""
    others = (PoolingFunction,) if dialect.table.shares_modern else _OF_TF_KERAS
    return tuple(hook for hook, kinds in _HOOKS.items() if issubclass(modern, kinds) and hook not in others)
