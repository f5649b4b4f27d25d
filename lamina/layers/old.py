"""Layers whose arithmetic only old generations have, and modern ones that also know theirs, by an option."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial, reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils import _pytree as pytree

from ..activations import activation, check_keeps_shape
from ..core import functions, serialize
from ..core.declare import Declared, Kind, Refused, anything, arg, as_integer, boolean, fixed, integer, number, one_of
from ..core.devices import here
from ..core.errors import named
from ..core.fusion import grants
from ..core.layer import InputSpec, Layer
from ..core.operation import recorded
from ..core.symbolic import is_shape
from ..core.weight import weight
from ..initializers import initializer
from ..kernels import noise, normalization, pooling, resize, warp
from ..kernels.convolution import plan_transposed
from .activation import LeakyReLU, PReLU, ReLU, Softmax, _Elementwise, _PerValue
from .arguments import KernelBias
from .attention import AdditiveAttention, Attention, MultiHeadAttention
from .convolution import Conv2DTranspose, SeparableConv1D
from .convolutional_recurrent import ConvLSTM2D, ConvLSTM2DCell
from .dense import EinsumDense
from .embedding import Embedding
from .lambda_ import Lambda, dump_code, function_of
from .merge import Add, Average, Concatenate, Dot, Maximum, Minimum, Multiply, Subtract, masks_of
from .normalization import BatchNormalization
from .pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    MaxPooling,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from .preprocessing.features import Normalization
from .preprocessing.geometry import RandomCrop, RandomRotation, RandomTranslation, RandomZoom, Resizing
from .preprocessing.pictures import Random, Size, Transformation, numbers, span
from .recurrent import RNN, StackedRNNCells, _build_cell, _cell, _listed, _output_size
from .reshape import UpSampling2D
from .wrappers import Bidirectional, TimeDistributed

_dims = Kind(
    "a tuple of sizes, the batch's first",
    lambda value, owner: tuple(None if size is None else as_integer(size) for size in value),
    dump=lambda value: value,
)


class _Maps(Declared):
    units: int = arg(integer(1), doc="Size of the output.")
    features: int = arg(integer(1), default=4, doc="How many maps.")


class MaxoutDense(KernelBias, _Maps, Layer):
    """The largest of `features` affine maps, value by value (Goodfellow et al., 2013).

    Input (batch, n), output (batch, units); kernel (features, n, units), bias (features, units).
    """

    use_bias: bool = arg(boolean, default=True)
    bias_initializer: Any = fixed("zeros")

    input_spec = InputSpec(ndim=2)
    kernel = weight("features", "inputs", "units")
    bias = weight("features", "units", when="use_bias")

    def build(self, input_shape: tuple) -> None:
        self.input_spec = InputSpec(ndim=2, axes={-1: input_shape[-1]})
        self.make_weights(inputs=input_shape[-1])

    def call(self, inputs: Tensor) -> Tensor:
        maps = torch.einsum("bn,fnu->bfu", inputs, self.kernel)
        return (maps if self.bias is None else maps + self.bias).amax(1)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (input_shape[0], self.units)


class _Changing(Declared):
    kernel_initializer: Any = arg(initializer, default="glorot_uniform")
    activation: Any = arg(activation, default=None)


class Highway(KernelBias, _Changing, Layer):
    """`t * activation(x @ kernel + bias) + (1 - t) * x` with the gate `t = sigmoid(x @ carry + carry_bias)`.

    Srivastava et al., 2015. Input and output (batch, n).
    """

    use_bias: bool = arg(boolean, default=True)
    bias_initializer: Any = fixed("zeros")

    input_spec = InputSpec(ndim=2)
    kernel = weight("size", "size")
    carry = weight("size", "size", initializer=lambda layer: layer.kernel_initializer)
    bias = weight("size", when="use_bias")
    carry_bias = weight("size", when="use_bias", initializer="ones")

    def build(self, input_shape: tuple) -> None:
        size = input_shape[-1]
        check_keeps_shape(self.activation, (None, size), self)
        self.input_spec = InputSpec(ndim=2, axes={-1: size})
        self.make_weights(size=size)

    def call(self, inputs: Tensor) -> Tensor:
        gate = torch.sigmoid(functional.linear(inputs, self.carry.T, self.carry_bias))
        changed = self.activation(functional.linear(inputs, self.kernel.T, self.bias))
        return torch.lerp(inputs, changed, gate)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape


class LeakyReLUOfAnySlope(LeakyReLU):
    """The slope below zero may be negative (Keras 1 and 2, tf.keras)."""

    negative_slope: float = arg(number(), default=0.3, doc="Slope below zero.")


class ReLUOfAnyThreshold(ReLU):
    """The identity may begin below zero (Keras 2)."""

    threshold: float = arg(number(), default=0.0, doc="Where the identity begins.")

    def call(self, inputs: Tensor) -> Tensor:
        outputs = super().call(inputs)
        if self.max_value is None or self.threshold >= 0:
            return outputs
        return outputs.masked_fill((inputs > self.threshold) & (inputs < 0), 0.0)  # a largest output has a least one


class ThresholdedReLU(_Elementwise):
    """x above `theta`, else 0 (Konda et al., 2014)."""

    _stacks = False
    theta: float = arg(number(), default=1.0, doc="Where the identity begins.")

    def call(self, inputs: Tensor) -> Tensor:
        return functional.threshold(inputs, self.theta, 0.0)


class ParametricSoftplus(_PerValue):
    """`alpha * log(1 + exp(beta * x))` with trained alpha and beta."""

    alpha_initializer: Any = arg(initializer, default=0.2)
    beta_initializer: Any = arg(initializer, default=5.0)
    shared_axes: Any = PReLU._args["shared_axes"]
    alpha = weight("*places")
    beta = weight("*places")

    def call(self, inputs: Tensor) -> Tensor:
        return self.alpha * functional.softplus(self.beta * inputs)


class SReLU(_PerValue):
    """A straight line between two trained thresholds, and other ones outside (Jin et al., 2015).

    The right threshold is `t_left + |t_right|`.
    """

    t_left_initializer: Any = arg(initializer, default="zeros")
    a_left_initializer: Any = arg(initializer, default="glorot_uniform")
    t_right_initializer: Any = arg(initializer, default="glorot_uniform")
    a_right_initializer: Any = arg(initializer, default="ones")
    shared_axes: Any = PReLU._args["shared_axes"]
    t_left = weight("*places")
    a_left = weight("*places")
    t_right = weight("*places")
    a_right = weight("*places")

    def call(self, inputs: Tensor) -> Tensor:
        left, right = self.t_left, self.t_left + torch.abs(self.t_right)
        below = left + self.a_left * (inputs - left)
        above = right + self.a_right * (inputs - right)
        return torch.where(inputs < left, below, torch.where(inputs < right, inputs, above))


class DeconvolutionTo(Conv2DTranspose):
    """A transposed convolution whose output has a given shape: the gradient of the convolution that reads it.

    `half` lets the windows of "same" begin half a kernel before the output, as with Theano.
    """

    output_shape: Any = arg(_dims, attribute="_output_shape", kw_only=True, doc="Shape of the output.")
    half: bool = arg(boolean, default=False, kw_only=True)

    def pads_for(self, sizes: tuple) -> tuple:
        """What is cut off before and after along each axis, for an input of these spatial sizes."""
        pads = []
        axes = zip(self.spatial(self._output_shape), sizes, self.kernel_size, self.strides, strict=True)
        for size, steps, k, s in axes:
            full = (steps - 1) * s + k
            before = 0 if self.padding == "valid" else k // 2 if self.half else max(full - size, 0) // 2
            if before + size >= full + s:
                raise ValueError(
                    f"{named(self)}: an `output_shape` of {size} along an axis cannot come from {steps} steps of {s}; "
                    f"expected less than {full + s - before}."
                )
            pads.append((before, full - before - size))
        return tuple(pads)

    def make_plan(self, shape: tuple) -> Any:
        pads = self.pads_for(self.spatial(shape))
        return plan_transposed(
            shape, self.kernel_size, self.strides, pads, None, self.dilation_rate, self.channels_last
        )

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (input_shape[0], *self._output_shape[1:])


class BatchNormalizationBySample(BatchNormalization):
    """Masked steps count like others. With `by_sample` the statistics are those of the last axis, and epsilon is added
    to the deviation once more. With `zero_debias` moving statistics are `sum / (1 - momentum ** steps)`, where the sum
    begins with 0, whatever they were before the first step."""

    by_sample: bool = arg(boolean, default=False, kw_only=True, config="set")
    zero_debias: bool = arg(boolean, default=False, kw_only=True, config="set")

    def build(self, input_shape: tuple) -> None:
        super().build(input_shape)
        if self.zero_debias:
            vars(self)["_plain"] = False
            shape = self.moving_mean.shape
            for name, size in (("_steps", ()), ("_sum_of_means", shape), ("_sum_of_variances", shape)):
                self.register_buffer(name, torch.zeros(size, dtype=self.moving_mean.dtype), persistent=False)

    def _move(self, mean: Tensor, variance: Tensor, correction: float) -> None:
        if not self.zero_debias:
            super()._move(mean, variance, correction)
            return
        buffers = self._buffers
        share = 1 - self.momentum ** buffers["_steps"].add_(1)
        sums = buffers["_sum_of_means"], buffers["_sum_of_variances"]
        averages = self.moving_mean, self.moving_variance
        for total, average, value in zip(sums, averages, (mean, variance * correction), strict=True):
            normalization.move(total, value, self.momentum)
            average.copy_(total / share)

    def behind(self, layer: Any) -> Any:
        return None if self.by_sample else super().behind(layer)

    @grants("relu")
    def call(self, inputs: Tensor, training: bool | None = None, *, relu: bool = False) -> Tensor:
        if not self.by_sample:
            return super().call(inputs, training, relu=relu)
        mean = inputs.mean(-1, keepdim=True)
        centred = inputs - mean
        deviation = torch.sqrt(centred.square().mean(-1, keepdim=True) + self.epsilon)
        gamma: Any = self.gamma
        outputs = centred / (deviation + self.epsilon) * gamma + self.beta
        return torch.relu(outputs) if relu else outputs


_Pooling: Any = Declared  # a modern pooling layer comes behind


class _TheanoPooling(_Pooling):
    """Pooling that also knows "same" of Theano: windows begin nearly a whole window before the input."""

    padding: Any = arg(one_of("valid", "same", "theano"), default="valid")

    def check_window(self, input_shape: tuple, size: tuple, dilation: Any = 1, padding: Any = "valid") -> None:
        super().check_window(input_shape, size, dilation, "same" if padding == "theano" else padding)

    def pads_for(self, sizes: tuple) -> tuple:
        """Of Theano's "same", for an input of these spatial sizes: elements before and after along each axis."""
        before = [k - 2 if k % 2 else k - 1 for k in self.pool_size]
        axes = zip(sizes, self.strides, self.pool_size, before, strict=True)
        return tuple((b, max((-(-n // s) - 1) * s + k - n - b, 0)) for n, s, k, b in axes)

    def make_plan(self, shape: tuple) -> Any:
        if self.padding != "theano":
            return super().make_plan(shape)
        counts, pads = self.spatial(self.compute_output_shape(shape)), self.pads_for(self.spatial(shape))
        pool = pooling.max_pool if isinstance(self, MaxPooling) else pooling.average_pool
        padded = (None, None, pool, (self.pool_size, self.strides, pads, self._last), None)
        kept = tuple((axis, 0, count) for axis, count in enumerate(counts, 1 if self._last else 2))
        return pooling.Plan((padded,), None, kept)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        self.check_shape(input_shape)
        if self.padding != "theano":
            return super().compute_output_shape(input_shape)
        return self.resized(input_shape, lambda n, s: None if n is None else -(-n // s), self.strides)


class TheanoMaxPooling1D(_TheanoPooling, MaxPooling1D):
    pass


class TheanoMaxPooling2D(_TheanoPooling, MaxPooling2D):
    pass


class TheanoMaxPooling3D(_TheanoPooling, MaxPooling3D):
    pass


class TheanoAveragePooling1D(_TheanoPooling, AveragePooling1D):
    pass


class TheanoAveragePooling2D(_TheanoPooling, AveragePooling2D):
    pass


class TheanoAveragePooling3D(_TheanoPooling, AveragePooling3D):
    pass


class UpSampling2DFromCorners(UpSampling2D):
    """Values between two are taken at i / size."""

    def call(self, inputs: Tensor) -> Tensor:
        return resize.upsample(inputs, self._factors, self.interpolation, self.channels_last, half_pixel=False)


class CausalSeparableConv1D(SeparableConv1D):
    """Takes padding="causal" as well."""

    _causal = True


class LambdaOnCopies(Lambda):
    """A function with `x -= ...` changes a copy, as where tensors could not be changed; others run as they are.

    A function that names `gradients` finds what lies before it tracked, in inference as well. With `unpacks_one` a list
    of one output is that output.
    """

    unpacks_one: bool = arg(boolean, default=False, kw_only=True, config=False)

    def check(self) -> None:
        super().check()
        vars(self).update(_copies=_assigns_in_place(self.function), _asks_gradients=_names(self.function, "gradients"))

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        if self._copies:
            inputs = pytree.tree_map(torch.clone, inputs)
        found = super().call(inputs, mask, training)
        return found[0] if self.unpacks_one and isinstance(found, (list, tuple)) and len(found) == 1 else found

    def get_config(self) -> dict[str, Any]:
        """Of functions inside of functions, whose name finds nothing, the code: it stands for them in this process."""
        config, own = super().get_config(), (self.function, self._output_shape, self.mask)
        for key, value in zip(("function", "output_shape", "mask"), own, strict=True):
            if inspect.isfunction(value) and "<locals>" in value.__qualname__ and value not in serialize._names:
                config[key] = dump_code(value)
        return config


def _names(function: Any, word: str) -> bool:
    return word in getattr(getattr(function, "__code__", None), "co_names", ())


def _assigns_in_place(function: Any) -> bool:
    code = getattr(function, "__code__", None)
    return code is not None and any(
        step.opname.startswith("INPLACE_") or (step.opname == "BINARY_OP" and step.argrepr.endswith("="))
        for step in dis.get_instructions(code)
    )


class EmbeddingDroppingWords(Embedding):
    """With `dropout`, training drops that fraction of the words of the vocabulary (Gal & Ghahramani, 2016)."""

    dropout: float = arg(number(0, 1), default=0.0, kw_only=True, doc="Fraction to drop.")

    @grants("time_first")
    def call(self, inputs: Tensor, training: bool = False, *, time_first: bool = False) -> Tensor:
        if not training or self.dropout == 0:
            return super().call(inputs, time_first=time_first)
        kept = noise.dropout(torch.ones_like(self.embeddings[:, :1]), self.dropout)
        return functional.embedding(inputs.int(), self.embeddings * kept)


class _FromHalf(Declared):
    half: bool = arg(boolean, default=False, kw_only=True)


class ConvLSTM2DCellFromHalf(_FromHalf, ConvLSTM2DCell):
    @property
    def same(self) -> Any:
        return tuple((k // 2, (k - 1) // 2) for k in self.kernel_size) if self.half else "same"


class ConvLSTM2DFromHalf(_FromHalf, ConvLSTM2D):
    """`half` lets the windows of "same" begin half a kernel before the data, as with Theano."""

    _makes = ConvLSTM2DCellFromHalf


class TimeDistributedAtOnce(TimeDistributed):
    """All steps are one batch, whatever the layer does with it; with `by_known_batch` only where its size is not known.

    Else layers derived from `Layer` alone and stateful ones run step by step where samples may matter to each other.

    The mask is that of the layer inside; where it has none, a step is valid in which anything was. With `passes_mask`
    it is the one that came in.
    """

    by_known_batch: bool = arg(boolean, default=False, kw_only=True, config=False)
    passes_mask: bool = arg(boolean, default=False, kw_only=True, config=False)

    _known = False  # the batch's size

    def check(self) -> None:
        super().check()
        vars(self)["_creates_mask"] = self.layer._creates_mask and not self.passes_mask

    def build(self, input_shape: tuple) -> None:
        super().build(input_shape)
        known = self.by_known_batch and input_shape[0] is not None
        by_step = known
        if not self.by_known_batch:
            base = next(cls for cls in type(self.layer).__mro__ if cls.__module__.startswith("lamina."))
            by_step = base.__name__ == "Layer" or getattr(self.layer, "stateful", False)
        together = self._together or not by_step
        vars(self).update(_known=known, _coupled=self._coupled and known, _together=together)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if self._known or self.passes_mask:
            return mask

        def of_all(x: Any, mask: Any) -> Any:
            return self.layer.compute_mask(x.flatten(0, 1), None if mask is None else mask.flatten(0, 1))

        @recorded
        def by_steps(x: Tensor, mask: Tensor | None) -> Tensor:
            found = of_all(x, mask)
            return found.reshape(*x.shape[:2], *found.shape[1:])

        x = here(torch.from_numpy(inputs)) if isinstance(inputs, np.ndarray) else inputs
        if of_all(x, mask) is not None:
            return by_steps(x, mask)
        return mask if mask is None or mask.ndim == 2 else mask.flatten(2).any(-1)


class StackedRNNCellsInOneList(StackedRNNCells):
    """The states are one list, those of the lowest cell first, or last with `reverse_state_order`."""

    reverse_state_order: bool = arg(boolean, default=False, kw_only=True, config="set")

    def _turned(self, of_cells: list[Any]) -> list[Any]:
        return of_cells[::-1] if self.reverse_state_order else of_cells

    @property
    def state_size(self) -> Any:
        return tuple(size for cell in self._turned(self.cells) for size in _listed(cell.state_size))

    def _flat(self, of_cells: list[Any]) -> list[Any]:
        return [state for states in self._turned(of_cells) for state in _listed(states)]

    def _by_cells(self, states: Any) -> Any:
        rest = iter(states)
        return self._turned([[next(rest) for _ in _listed(cell.state_size)] for cell in self._turned(self.cells)])

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        return self._flat(super().get_initial_state(batch_size))

    @grants("sweep")
    def call(self, inputs: Tensor, states: Any, training: bool = False) -> tuple[Tensor, list[Any]]:
        output, states = super().call(inputs, self._by_cells(states), training)
        return output, self._flat(states)

    def sweep(self, x: Tensor, states: list[Any] | None, how: Any) -> Any:
        outputs, last, ends = super().sweep(x, None if states is None else self._by_cells(states), how)
        return outputs, last, self._flat(ends)


class _Given:
    """A cell, or a layer, whose calls get constants besides."""

    def __init__(self, inner: Any, constants: Any):
        self.inner, self.constants = inner, constants

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def __call__(self, *args: Any, **options: Any) -> Any:
        call = self.inner if callable(self.inner) else self.inner.call
        return call(*args, constants=self.constants, **options)

    call = __call__


def _beside(layer: Any, **inside: Any) -> Any:
    """A layer for one call, with something else inside."""
    twin = object.__new__(type(layer))
    vars(twin).update({**vars(layer), "_modules": {**layer._modules, **inside}, **inside})
    return twin


def _takes_constants(cell: Any) -> bool:
    return "constants" in inspect.signature(cell.call).parameters


def _given(cell: Any, constants: list[Any]) -> Any:
    if isinstance(cell, StackedRNNCells):
        return _beside(cell, cells=[_given(one, constants) for one in cell.cells])
    return _Given(cell, constants) if _takes_constants(cell) else cell


class WithConstants(Declared):
    """`constants`, a tensor or a list of them, are given at every step to the cells whose call takes them. These cells
    are built for a list of shapes, the constants' behind that of a step. Several outputs are a list."""

    num_constants: Any = arg(
        integer(1).optional(), default=None, kw_only=True, config="set", doc="How many inputs, the last, are constants."
    )

    def _call_with_care(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        first, constants = args[0] if args else None, kwargs.get("constants")
        if constants is not None:
            constants = list(constants) if isinstance(constants, (list, tuple)) else [constants]
            self.num_constants, kwargs = len(constants), {**kwargs, "constants": constants}
        elif self.num_constants and isinstance(first, (list, tuple)) and len(first) > self.num_constants:
            place = len(first) - self.num_constants
            args, kwargs = (list(first[:place]), *args[1:]), {**kwargs, "constants": list(first[place:])}
        found = super()._call_with_care(args, kwargs)  # type: ignore[misc]
        return list(found) if type(found) is tuple else found


def _cell_of_later(value: Any, owner: Any) -> Any:
    late = isinstance(value, Layer) and not value._ready and getattr(value, "state_size", 0) is None
    return value if late else _cell.convert(value, owner)


class RNNWithConstants(WithConstants, RNN):
    """Takes constants, and cells that learn their `state_size` in `build`.

    Raises ValueError for constants of cells that take none.
    """

    cell: Any = arg(Kind(_cell.expected, _cell_of_later, bad=_cell.bad), doc="What takes one step.")

    def build(self, sequences_shape: tuple, initial_state_shape: Any = None, constants_shape: Any = None) -> None:
        self._check_shape(sequences_shape)
        shape = (sequences_shape[0], *sequences_shape[2:])
        cells = self.cell.cells if isinstance(self.cell, StackedRNNCells) else [self.cell]
        takers = [one for one in cells if _takes_constants(one)]
        if constants_shape is not None and not takers:
            raise ValueError(f"{named(self)}: none of its cells takes `constants` in its call.")
        for one in cells:
            if constants_shape is not None and isinstance(one, Layer) and not one._ready and one in takers:
                one.build([shape, *constants_shape])
            else:
                _build_cell(one, shape)
            shape = (shape[0], _output_size(one))
        if self.state_size == [None]:
            self.check()
        super().build(sequences_shape)

    def call(
        self,
        sequences: Tensor,
        initial_state: Any = None,
        mask: Tensor | None = None,
        training: bool = False,
        constants: Any = None,
    ) -> Any:
        own = self if constants is None else _beside(self, cell=_given(self.cell, constants))
        return super(RNNWithConstants, own).call(sequences, initial_state, mask, training)


class BidirectionalFromEitherEnd(WithConstants, Bidirectional):
    """With `zero_output_for_mask=False` masked steps repeat the output before them. A layer that runs backwards gets
    one that runs forwards beside it."""

    zero_output_for_mask: bool = arg(boolean, default=True, kw_only=True)

    def check(self) -> None:
        inner: Any = self.forward_layer
        if self.backward_layer is None and getattr(inner, "go_backwards", False):
            turned = {**inner.get_config(), "name": f"backward_{inner.name}", "go_backwards": False}
            self.backward_layer = type(inner).from_config(turned)
        super().check()
        if not self.zero_output_for_mask:
            for one in (self.forward_layer, self.backward_layer):
                vars(one)["zero_output_for_mask"] = False
        if getattr(inner, "time_major", False):
            for one in (self.forward_layer, self.backward_layer):
                for word in ("build", "call", "compute_output_shape"):
                    vars(one).pop(word, None)
            take_time_first(self)

    def build(self, sequences_shape: tuple, initial_state_shape: Any = None, constants_shape: Any = None) -> None:
        pair: tuple[Any, ...] = (self.forward_layer, self.backward_layer)
        for inner in pair if constants_shape is not None else ():
            if not inner._ready:
                inner.build(sequences_shape, constants_shape=constants_shape)
        super().build(sequences_shape, initial_state_shape)

    def call(
        self,
        sequences: Tensor,
        initial_state: Any = None,
        mask: Tensor | None = None,
        training: bool = False,
        constants: Any = None,
    ) -> Any:
        if constants is None:
            return super().call(sequences, initial_state, mask, training)
        names = "forward_layer", "backward_layer"
        own = _beside(self, **{name: _Given(getattr(self, name), constants) for name in names})
        return Bidirectional.call(own, sequences, initial_state, mask, training)


class AllMasks:
    """A step is valid where it is in every input that has a mask."""

    def compute_mask(self: Any, inputs: Any, mask: Any = None) -> Any:
        given = [one for one in masks_of(self, inputs, mask) if one is not None]
        return reduce(torch.logical_and, given) if given else None


class AddOfAllMasks(AllMasks, Add):
    pass


class ConcatenateOfAllMasks(Concatenate):
    """A step is valid where it is in all inputs."""

    _reduced = staticmethod(torch.all)


class SubtractOfAllMasks(AllMasks, Subtract):
    pass


class MultiplyOfAllMasks(AllMasks, Multiply):
    by_values = True


class AverageOfAllMasks(AllMasks, Average):
    pass


class MaximumOfAllMasks(AllMasks, Maximum):
    by_values = True


class MinimumOfAllMasks(AllMasks, Minimum):
    by_values = True


_MERGING: dict[str, Callable[[Any], Layer]] = {
    "sum": lambda by: AddOfAllMasks(),
    "mul": lambda by: MultiplyOfAllMasks(),
    "max": lambda by: MaximumOfAllMasks(),
    "ave": lambda by: AverageOfAllMasks(),
    "concat": lambda by: ConcatenateOfAllMasks(axis=by.concat_axis),
    "dot": lambda by: Dot(axes=by.dot_axes),
    "cos": lambda by: Dot(axes=by.dot_axes, normalize=True),
}


def _maybe_function(part: str) -> Kind:
    def convert(value: Any, owner: Any) -> Any:
        named = isinstance(value, str) and serialize.registered_object(value) is not None
        described = isinstance(value, Mapping) and "class_name" in value
        return function_of(value, owner, part) if named or described else anything.convert(value, owner)

    def dump(value: Any) -> Any:
        code = inspect.isfunction(value) or isinstance(value, functions.Rebuilt)
        return dump_code(value) if code else anything.dump(value)

    return Kind(anything.expected, convert, dump=dump)


class MergeByMode(Layer):
    """Combines several inputs: "sum", "mul", "ave", "max", "concat", "dot", "cos", or a function of their list.

    `layers`: layers or models whose outputs are combined where this one comes first in a sequential model.
    """

    layers: Any = arg(anything, default=None, config=False, attribute="branches", doc="Where the inputs come from.")
    mode: Any = arg(_maybe_function("function"), default="sum", doc="How to combine.")
    concat_axis: int = arg(Kind("an integer", lambda v, o: as_integer(v)), default=-1, doc="Of concat.")
    dot_axes: Any = arg(anything, default=-1, doc="Of dot and cos.")
    output_shape: Any = arg(
        _maybe_function("output_shape"), default=None, attribute="_output_shape", doc="A shape, or a function of it."
    )
    mask: Any = arg(_maybe_function("mask"), default=None, attribute="_output_mask", doc="A function of the masks.")
    arguments: Any = arg(anything, default=None, doc="More arguments for a function.")

    supports_masking = True
    _creates_mask = False

    def check(self) -> None:
        if not callable(self.mode) and self.mode not in [*_MERGING]:
            raise ValueError(f"Merge: `mode` must be one of {', '.join(_MERGING)} or a function; got {self.mode!r}.")
        self.arguments = self.arguments or {}
        vars(self)["_masked"] = "mask" not in self.arguments and "mask" in _parameters(self.mode)

    def build(self, input_shape: Any) -> None:
        shapes = self._shapes(input_shape)
        mode = self.mode
        if isinstance(mode, str) and mode not in ("concat", "dot"):
            if len({tuple(shape[1:]) for shape in shapes}) > 1:
                raise ValueError(f"{named(self)}: inputs of mode {mode!r} must have equal shapes; got {shapes}.")
        if mode in ("dot", "cos"):
            if len(shapes) != 2:
                raise ValueError(f"{named(self)}: mode {mode!r} takes two inputs; got {len(shapes)}.")
            axes = self.dot_axes
            both = [axes, axes] if isinstance(axes, int) else list(axes)
            self.dot_axes = [axis % len(shape) for axis, shape in zip(both, shapes, strict=True)]
        if isinstance(mode, str):
            vars(self)["_merges"] = self._merging()
            self._merges.build(shapes)
        if mode == "dot" and len(shapes[0]) != len(shapes[1]):
            raise ValueError(f"{named(self)}: inputs of mode 'dot' must have as many axes each; got {shapes}.")

    def _merging(self) -> Any:
        """A layer that combines so."""
        return _MERGING[self.mode](self)

    def _shapes(self, input_shape: Any) -> list[tuple]:
        if input_shape is None or is_shape(input_shape) or len(input_shape) < 2:
            raise ValueError(f"{named(self)}: call it on a list of at least two inputs; got shape {input_shape}.")
        return [tuple(shape) for shape in input_shape]

    def call(self, inputs: Sequence[Tensor], mask: Any = None) -> Tensor:
        mode = self.mode
        if not isinstance(mode, str):
            return mode(inputs, **({"mask": mask} if self._masked else {}), **self.arguments)
        if mode == "cos":
            a, b = (x / torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min(1e-6) for x in inputs)
            product = (a * b).sum(-1, keepdim=True)
            return product.unsqueeze(1) if inputs[0].ndim == 2 else product
        return self._merges.call(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = self._shapes(input_shape)
        mode = self.mode
        given: Any = vars(self)["_output_shape"]
        if callable(mode):
            if given is None:
                return super().compute_output_shape(input_shape)
            if not callable(given):
                return (shapes[0][0], *given)
            shape: Any = given(shapes)
            return tuple(shape)
        if mode == "cos":
            return (shapes[0][0], 1, 1) if len(shapes[0]) == 2 else (*shapes[0][:-1], 1)
        return self._merging().compute_output_shape(shapes)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """As the mode has it; a function as mode makes none without one for masks."""
        if mask is None or all(item is None for item in mask):
            return None
        if isinstance(self.mode, str):
            return self._merging().compute_mask(inputs, mask)
        return self._output_mask(mask) if callable(self._output_mask) else None


class LoweredSoftmax(Softmax):
    """Softmax that lowers by 1e9 what its mask hides: where that is all, the result is not 0."""

    robust_masking: bool = arg(boolean, default=False, kw_only=True, doc="Put -1e9 in place of what is hidden.")

    @grants(says="elementwise")
    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            low = torch.finfo(torch.float16).min / 2 if inputs.dtype is torch.float16 else -1e9
            if self.robust_masking:
                inputs = inputs.masked_fill(mask <= 0.5, low)
            else:
                inputs = inputs + (1 - mask.to(inputs.dtype)) * low
        return super().call(inputs)


class CausalAttention(Attention):
    """Attention that may be told once to hide what is later."""

    causal: bool = arg(boolean, default=False, kw_only=True, doc="Hide what is later, at every call.")

    def call(
        self,
        inputs: Sequence[Tensor],
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        return super().call(inputs, mask, training, return_attention_scores, use_causal_mask or self.causal)


class CausalAdditiveAttention(AdditiveAttention, CausalAttention):
    """The same of AdditiveAttention."""


class EinsumDenseByShape(EinsumDense):
    """EinsumDense whose first values follow the shape of the kernel, as those of any other."""

    def _initializer(self) -> Any:
        return self.kernel_initializer


class MultiHeadAttentionByShape(MultiHeadAttention):
    """MultiHeadAttention of such projections; its config tells the shapes it is built for."""

    query_shape: Any = arg(_dims.optional(), default=None, kw_only=True)
    key_shape: Any = arg(_dims.optional(), default=None, kw_only=True)
    value_shape: Any = arg(_dims.optional(), default=None, kw_only=True)

    _makes = EinsumDenseByShape
    _zeros = _takes_masks = False

    def build(self, query_shape: tuple, value_shape: Any = None, key_shape: Any = None) -> None:
        value_shape, key_shape = value_shape or self.value_shape, key_shape or self.key_shape
        super().build(query_shape, value_shape, key_shape)
        key_shape = value_shape if key_shape is None else key_shape
        vars(self).update(query_shape=tuple(query_shape), key_shape=tuple(key_shape), value_shape=tuple(value_shape))


def _parameters(function: Any) -> Collection[str]:
    """The arguments of a function; none where they cannot be told."""
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return ()


def take_time_first(layer: Any) -> None:
    """Makes a recurrent layer take (time, batch, ...), and give whole sequences so. States start with the batch."""
    vars(layer).update(
        build=partial(_build_time_first, layer),
        call=partial(_call_time_first, layer),
        compute_output_shape=partial(_shape_time_first, layer),
    )


def _build_time_first(layer: Any, sequences_shape: tuple, initial_state_shape: Any = None) -> None:
    type(layer).build(layer, _swapped(sequences_shape), initial_state_shape)


def _call_time_first(
    layer: Any, sequences: Tensor, initial_state: Any = None, mask: Tensor | None = None, training: bool = False
) -> Any:
    mask = None if mask is None else mask.transpose(0, 1)
    outputs = type(layer).call(layer, sequences.transpose(0, 1), initial_state, mask, training)
    return _first_swapped(layer, outputs, lambda output: output.transpose(0, 1))


def _shape_time_first(layer: Any, sequences_shape: tuple, initial_state_shape: Any = None) -> Any:
    shapes = type(layer).compute_output_shape(layer, _swapped(sequences_shape), initial_state_shape)
    return _first_swapped(layer, shapes, _swapped)


def _first_swapped(layer: Any, outputs: Any, swap: Callable[[Any], Any]) -> Any:
    if not layer.return_sequences:
        return outputs
    both = getattr(layer, "merge_mode", "") is None  # those of a Bidirectional, apart
    if not (layer.return_state or both):
        return swap(outputs)
    return (*map(swap, outputs[: 1 + both]), *outputs[1 + both :])


def _swapped(shape: tuple) -> tuple:
    return (shape[1], shape[0], *shape[2:])


class CountingNormalization(Normalization):
    """One that keeps in `count` how many values its statistics are of."""

    def finalize_state(self) -> None:
        count = self._seen[0]
        super().finalize_state()
        if count and self._learns:
            self.count.assign(count)


class RandomCropOrMiddle(RandomCrop):
    """At inference, the largest middle part of the same aspect ratio, resized."""

    def call(self, data: Any, training: bool = True) -> Any:
        if training:
            return super().call(data)
        x, alone = self._batch(self._images(data))
        return self._like(resize.resize(resize.to_ratio(x, self.size, False), self.size, "bilinear"), alone)


class RandomRotationAsTensorFlow(RandomRotation):
    """Places outside, and those halfway, as TensorFlow has them."""

    _settle = staticmethod(warp.settled_as_tensorflow)


class RandomTranslationAsTensorFlow(RandomTranslation):
    """Places outside, and those halfway, as TensorFlow has them."""

    _settle = staticmethod(warp.settled_as_tensorflow)


class RandomZoomAsTensorFlow(RandomZoom):
    """Places outside, and those halfway, as TensorFlow has them."""

    _settle = staticmethod(warp.settled_as_tensorflow)


def _stretch(value: Any, owner: Any) -> Any:
    lone = not isinstance(value, (tuple, list))
    lower, upper = (-number().convert(value, owner), value) if lone else numbers(value, owner)
    if not -1 <= lower <= upper:
        raise Refused("The lower bound is at least -1, and not above the upper one.")
    return tuple(value) if isinstance(value, list) else value


_stretches = Kind("a positive number, or a pair of numbers", _stretch, good=(0.5, (0.2, 0.3)), bad=(-0.1, (1, 0), "a"))


class _Stretched(Random):
    """Base of layers that make one side of all pictures longer or shorter, by a random part of it."""

    factor: Any = arg(_stretches, doc="How much longer, in parts of the side.")
    interpolation: str = arg(Resizing._args["interpolation"].kind, default="bilinear")
    seed: Any = arg(RandomCrop._args["seed"].kind, default=None)
    side = 0

    def draw(self, x: Tensor) -> Transformation:
        lower, upper = span(self.factor)
        size = list(x.shape[2:])
        size[self.side] = int((self.uniform(x, (1 + lower, 1 + upper), count=1) * size[self.side]).item())
        return {"size": tuple(size)}

    def transform(self, x: Tensor, how: Transformation) -> Tensor:
        return resize.resize(x, how["size"], self.interpolation)

    def transform_masks(self, masks: Tensor, how: Transformation) -> Tensor:
        return resize.resize(masks, how["size"], "nearest")

    def size_after(self, size: Size, how: Transformation) -> Size:
        return how["size"]

    def compute_output_shape(self, input_shape: Any) -> Any:
        place = len(input_shape) - 3 + self.side
        return (*input_shape[:place], None, *input_shape[place + 1 :])


class RandomHeight(_Stretched):
    """In training, pictures of another height; all of a batch alike."""


class RandomWidth(_Stretched):
    """In training, pictures of another width; all of a batch alike."""

    side = 1
