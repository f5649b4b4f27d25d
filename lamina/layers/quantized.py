"""Layers whose weights are small integers, or are rounded to floats of 8 bits, as Keras 3 quantizes them."""

from __future__ import annotations

import math
import re
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from ..core import dtypes
from ..core.care import Changes
from ..core.declare import Declared, arg
from ..core.errors import named, warn
from ..core.layer import Layer
from ..core.scope import put, scope
from ..core.serialize import home_of
from ..core.weight import Weight
from ..quantizers import (
    AbsMaxQuantizer,
    Int4QuantizationConfig,
    abs_max_quantize_grouped_with_zero_point,
    pack_int4,
    quantization_config,
    resolved,
    unpack_int4,
)

_EXACT = 1024  # products of two bytes that float32 adds up without rounding
_BY_VECTOR = AbsMaxQuantizer()
_SEEN = ("inputs", "kernel", "outputs_grad")  # what floats of 8 bits have scales for


class Quantization(Declared):
    quantization_config: Any = arg(quantization_config, default=None, doc="How `quantize` was told to do it.")


class Quantizable(Layer):
    """A layer with weights that can be quantized: the `kernel` of a product, or tables whose rows are looked up."""

    _equation: ClassVar[Any] = property(lambda self: getattr(self, "equation", "...a,ab->...b"))
    _packed: ClassVar[tuple[str, ...]] = ()  # names of the weights in the order of files, where they are quantized

    def _shared(self) -> dict[str, tuple[int, ...]]:
        """The axes along which values of a weight share a scale, by the names of those that are quantized."""
        if "kernel" not in self._weights:
            return {"embeddings": (1,), "reverse_embeddings": (0,)}
        _, kernel, outputs = re.split(",|->", self._equation)
        return {"kernel": tuple(axis for axis, letter in enumerate(kernel) if letter not in outputs)}

    # -- making ---------------------------------------------------------------------------------------------------

    def make_weights(self, **sizes: Any) -> None:
        super().make_weights(**sizes)
        if self.quantization_mode is not None:
            self._stand_quantized()

    def _make_declared(self, name: str, asked: dict[str, Any]) -> None:
        if self.quantization_mode in (None, "float8") or name not in self._shared():
            super()._make_declared(name, asked)
        else:
            self._make_integers(name, torch.empty(asked["shape"], dtype=self.dtype_policy.variable, device="meta"))

    def _stand_quantized(self) -> None:
        if self.quantization_mode == "float8":
            for each in _SEEN:
                for part, shape in (("scale", ()), ("amax_history", (self.dtype_policy.amax_history_length,))):
                    self._make_part(f"{each}_{part}", torch.empty(shape, device="meta"))
        held = {**dict.fromkeys(("kernel", "bias")), **self._parameters, **self._buffers}
        names = tuple(name for name, weight in held.items() if weight is not None and not name.startswith("lora_"))
        vars(self).update(_packed=names, call=self._call_quantized, forward=self._call_quantized)

    def _make_integers(self, name: str, values: Tensor) -> None:
        vars(self)[f"_{name}_shape"] = tuple(values.shape)
        for part, made in self._integers(name, values).items():
            self._make_part(part, made)

    def _make_part(self, name: str, values: Tensor) -> None:
        first = "ones" if name.endswith("scale") else "zeros"
        made = self.add_weight(tuple(values.shape), first, dtype=values.dtype, trainable=False, name=name)
        self._adopt(name, made)
        if not values.is_meta:
            made.data = values.clone()

    def _integers(self, name: str, values: Tensor) -> dict[str, Tensor]:
        """The weights that stand for one, by name. Raises ValueError for a quantizer that shares scales otherwise."""
        axes, own = self._shared()[name], self.quantization_config and self.quantization_config.weight_quantizer
        if self.quantization_mode == "int8":
            found, scale = (own or AbsMaxQuantizer(axis=axes))(values, to_numpy=True)
            self._check_scale(scale, axes)
            if name == "kernel":
                scale = torch.einsum(self._equation, scale.new_ones([1] * (self.input_spec.ndim or 1)), scale)
            else:
                scale = scale.squeeze(axes[0])
            return {name: found, f"{name}_scale": scale}
        axis, made = self._axis(name), {}
        if name == "kernel":
            values = values.reshape(math.prod(values.shape[axis] for axis in axes), -1)
        if self._block_size < 0:
            found, scale = (own or AbsMaxQuantizer(axis=axis, value_range=(-8, 7)))(values, to_numpy=True)
            self._check_scale(scale, (axis,))
            made[f"{name}_scale"] = scale.squeeze(axis)
        else:
            turned = abs_max_quantize_grouped_with_zero_point(values.movedim(axis, 0), self._block_size, to_numpy=True)
            found, scale, zero = (part.movedim(0, axis) for part in turned)
            zero = zero.to(values.dtype) if name == "reverse_embeddings" else zero  # so it is in Keras
            made |= {f"{name}_scale": scale, f"{name}_zero": zero}
            if name != "reverse_embeddings":
                made["g_idx"] = torch.arange(values.shape[axis], device=values.device).div(self._block_size).floor()
        return {name: pack_int4(found, -1 if name == "kernel" else axis)[0], **made}

    def _shape_of(self, name: str) -> tuple[int, ...]:
        """The shape of a weight before it was quantized."""
        return vars(self).get(f"_{name}_shape", tuple(getattr(self, name).shape))

    def _check_scale(self, scale: Tensor, axes: tuple[int, ...]) -> None:
        if any(scale.shape[axis] != 1 for axis in axes):
            raise ValueError(
                f"{named(self)}: its `weight_quantizer` must give one scale along the axes {axes}, over which products "
                f"are summed; got scales of shape {tuple(scale.shape)}. Set its `axis`."
            )

    @property
    def _block_size(self) -> int:
        told = getattr(self.quantization_config, "block_size", getattr(self.dtype_policy, "block_size", None))
        return -1 if told is None else told

    def quantize(self, mode: str | None = None, type_check: bool = True, config: Any = None) -> None:
        """Replace the weights by quantized ones: "int8", "int4" or "float8", or as a QuantizationConfig says.

        Raises ValueError before the layer is built, and where it is quantized already.
        """
        config = resolved(mode, config)
        if (type_check and home_of(type(self)) is None) or config.mode not in self._quantizes:
            raise NotImplementedError(f"{named(self)} cannot be quantized to {config.mode!r}.")
        if not self.built or self.quantization_mode is not None:
            why = "is quantized already" if self.built else "has no weights yet: build it first"
            raise ValueError(f"{named(self)} {why}.")
        if config.mode == "int8" and self.dtype_policy.compute is torch.float16:
            raise ValueError(f"{named(self)}: int8 needs another type than float16 beside it; use 'mixed_bfloat16'.")
        if config.mode == "float8" and getattr(self, "lora_enabled", False):
            raise ValueError(f"{named(self)}: float8 and LoRA cannot be used together.")
        values = {name: getattr(self, name) for name in self._shared() if getattr(self, name, None) is not None}
        vars(self)["quantization_config"] = config
        block = f"/{self._block_size}" if config.mode == "int4" else ""
        self._set_policy(dtypes.get(f"{config.mode}{block}_from_{self.dtype_policy.name}"))
        path, device = next((each.path, each.device) for each in values.values())
        with device, put(scope, path=tuple(path.split("/")[:-1])):
            for name, value in values.items() if config.mode != "float8" else ():
                self._parameters.pop(name, None)
                self._buffers.pop(name, None)
                self._make_integers(name, value.detach())
            self._stand_quantized()
        self._finish_build()
        Changes.note(self)

    def _change_policy(self, policy: dtypes.DTypePolicy) -> None:
        held, mode = self.dtype_policy, policy.quantization_mode
        if not self.built or held.quantization_mode == mode:
            super()._change_policy(policy)
        elif mode is None:
            raise ValueError(
                f"{named(self)} is quantized; its weights are no longer there for `dtype_policy` {policy.name!r}."
            )
        elif mode == "int4":
            self.quantize(mode, config=Int4QuantizationConfig(block_size=getattr(policy, "block_size", None)))
        else:
            self.quantize(mode)

    def _stored_weights(self) -> list[Weight]:
        return [getattr(self, name) for name in self._packed] if self._packed else super()._stored_weights()

    # -- calling --------------------------------------------------------------------------------------------------

    def _call_quantized(self, inputs: Tensor, reverse: bool = False) -> Tensor:
        if "kernel" in self._weights:
            y, bias = self._multiplied(inputs, "kernel", self._equation), self.bias
            if self.lora_enabled:
                y = self._adapted(y, torch.einsum(self._equation, inputs, self.lora_kernel_a), self.lora_kernel_b)
            if bias is not None and self.quantization_mode == "float8" and bias.dtype is torch.float32:
                bias = bias.bfloat16().float()  # as in Keras, whose kernels take it so
            return self.activation(y if bias is None else y + bias)
        if not reverse:
            return self._rows(inputs)
        name, equation = (
            ("embeddings", "...a,ba->...b") if self.tie_weights else ("reverse_embeddings", "...a,ab->...b")
        )
        scores, cap = self._multiplied(inputs, name, equation), self.logit_soft_cap
        return scores if cap is None else torch.tanh(scores / cap) * cap

    @property
    def inputs_quantizer(self) -> Any:
        """What rounds the inputs of a product, once quantized; None where they stay floats."""
        mode, config = self.quantization_mode, self.quantization_config
        if mode in (None, "float8") or config is not None:
            return config and config.activation_quantizer
        return None if mode == "int4" and "kernel" in self._weights else _BY_VECTOR

    def _adapted(self, y: Tensor, low: Tensor, thin: Tensor) -> Tensor:
        return (y + self.lora_alpha / self.lora_rank * (low @ thin)).to(y.dtype)

    def _multiplied(self, inputs: Tensor, name: str, equation: str) -> Tensor:
        mode, compute = self.quantization_mode, self.dtype_policy.compute
        if mode == "float8":
            learns = self.training if scope.training is None else scope.training
            x = _AsFloat8.apply(inputs, self.inputs_scale, self.inputs_amax_history, learns)
            kernel = _AsFloat8.apply(self.kernel.to(compute), self.kernel_scale, self.kernel_amax_history, learns)
            y = torch.einsum(equation, x, kernel)
            return _GradientAsFloat8.apply(y, self.outputs_grad_scale, self.outputs_grad_amax_history)
        if mode == "int8" or (self._block_size < 0 and not hasattr(self, "equation")):
            kernel, scale = self._unpacked(name), getattr(self, f"{name}_scale").to(compute)
        else:
            kernel, scale = self._numbers(name, compute), None
        return _Product.apply(inputs, kernel, scale, equation, self.inputs_quantizer)

    def _axis(self, name: str) -> int:
        """That along which the stored values of a weight share scales."""
        return 0 if name == "kernel" else self._shared()[name][0]

    def _unpacked(self, name: str) -> Tensor:
        """The integers of a weight: of one with four bits as a matrix."""
        values, shape, axis = getattr(self, name), self._shape_of(name), self._axis(name)
        if self.quantization_mode == "int8":
            return values
        if name == "kernel":
            return unpack_int4(values, math.prod(shape) // len(values), -1)
        return unpack_int4(values, shape[axis], axis)

    def _numbers(self, name: str, dtype: torch.dtype) -> Tensor:
        """What the integers of a weight stand for, in its own shape."""
        values, scale, shape = self._unpacked(name), getattr(self, f"{name}_scale").to(dtype), self._shape_of(name)
        if self.quantization_mode == "int8" and name == "kernel":
            _, kernel, outputs = re.split(",|->", self._equation)
            return values / torch.einsum(f"{outputs},{kernel}->{kernel}", scale, scale.new_ones(shape))
        zero, groups = getattr(self, f"{name}_zero", None), getattr(self, "g_idx", None)
        return dequantized(values, scale, zero, groups, self._axis(name)).reshape(shape)

    def _rows(self, inputs: Tensor) -> Tensor:
        inputs = inputs.int() if inputs.dtype not in (torch.int32, torch.int64) else inputs
        rows = functional.embedding(inputs, self.embeddings)
        if self.quantization_mode == "int4":
            rows = unpack_int4(rows, self.output_dim, -1)
        zero, groups = getattr(self, "embeddings_zero", None), getattr(self, "g_idx", None)
        zero = zero if zero is None else zero[inputs]
        y = dequantized(rows, self.embeddings_scale[inputs], zero, groups, -1).to(self.dtype_policy.compute)
        if self.lora_enabled:
            y = self._adapted(y, functional.embedding(inputs, self.lora_embeddings_a), self.lora_embeddings_b)
        return y


class _Product(torch.autograd.Function):
    """A product with a quantized kernel; its gradient for the inputs is that of what the integers stand for."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, scale: Tensor | None, equation: str, quantizer: Any) -> Tensor:
        ctx.save_for_backward(kernel, scale)
        ctx.equation, dtype = equation, x.dtype
        inputs, _, outputs = re.split(",|->", equation)
        if quantizer is not None:
            letters = inputs.strip(".")
            first = x.ndim - len(letters) if inputs[0] == "." else 0
            axes = [first + axis for axis, letter in enumerate(letters) if letter not in outputs]
            x, by_vector = quantizer(x, axis=axes)
            by_vector = torch.einsum(equation, by_vector, by_vector.new_ones([1] * kernel.ndim))
            scale = by_vector if scale is None else scale * by_vector
            if not kernel.is_floating_point():
                small = math.prod([x.shape[axis] for axis in axes]) <= _EXACT
                exact = torch.float32 if small else torch.float64
                x, kernel = x.to(exact), kernel.to(exact)
        common = torch.promote_types(x.dtype, kernel.dtype)
        y = torch.einsum(equation, x.to(common), kernel.to(common)).to(dtype)
        return y if scale is None else y / scale

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        kernel, scale = ctx.saved_tensors
        inputs, weights, outputs = re.split(",|->", ctx.equation)
        gradient = gradient if scale is None else gradient / scale
        return (
            torch.einsum(f"{outputs},{weights}->{inputs}", gradient, kernel.to(gradient.dtype)),
            None,
            None,
            None,
            None,
        )


def dequantized(values: Tensor, scale: Tensor, zero: Tensor | None, groups: Tensor | None, axis: int) -> Tensor:
    """The numbers that integers stand for; scales are shared along `axis`, or along each of its `groups`."""
    if zero is None or groups is None:
        return values.to(scale.dtype) / scale.unsqueeze(axis)
    index = groups.long()
    return (values - zero.index_select(axis, index).to(scale.dtype)) * scale.index_select(axis, index)


def _as_float8(x: Tensor, scale: Tensor, history: Tensor, learns: bool, dtype: torch.dtype) -> Tensor:
    """Numbers rounded to what a float of 8 bits, times the scale, can be. Learning, the scale becomes that of the
    largest values of the last steps, which gain that of this one."""
    factor, most = scale.to(x.dtype), torch.finfo(dtype).max
    y = (x / factor).clamp(-most, most).to(dtype).to(x.dtype) * factor
    if learns:
        largest = history.amax()
        scale.copy_(torch.where((largest > 0) & largest.isfinite(), (most / largest).reciprocal(), scale))
        history.copy_(torch.cat([x.abs().amax()[None].to(history.dtype), history.roll(-1)[1:]]))
    return y


class _AsFloat8(torch.autograd.Function):
    """Rounded numbers, with the gradients of those before."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, history: Tensor, learns: bool) -> Tensor:
        return _as_float8(x, scale, history, learns, torch.float8_e4m3fn)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        return gradient, None, None, None


class _GradientAsFloat8(torch.autograd.Function):
    """The numbers themselves, with rounded gradients."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, scale: Tensor, history: Tensor) -> Tensor:
        ctx.scale, ctx.history = scale, history
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        return _as_float8(gradient, ctx.scale, ctx.history, True, torch.float8_e5m2), None, None


def quantize_inside(model: Any, config: Any, filters: Any, type_check: bool) -> None:
    """Quantize the layers in a model that can be."""
    if filters is not None and not callable(filters):
        wanted = re.compile("|".join(f"(?:{each})" for each in ([filters] if isinstance(filters, str) else filters)))
        filters = lambda layer: wanted.search(layer.name)  # noqa: E731
    left: dict[str, None] = {}  # names, each once
    for layer in model._flat_layers():
        told = layer.weights or (hasattr(layer, "quantize") and not layer.built)  # which says that it cannot yet
        if told and not any(layer._sublayers()) and (filters is None or filters(layer)):
            try:
                if not hasattr(layer, "quantize"):
                    raise NotImplementedError
                layer.quantize(config=config, type_check=type_check)
            except NotImplementedError:
                left[type(layer).__name__] = None
    if left:
        warn(f"{named(model)}: quantize leaves layers of {', '.join(left)} as they are.")
