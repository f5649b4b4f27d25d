"""Quantizers: real numbers as small integers with a scale, as Keras 3 makes and stores them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from .core import config
from .core import serialize as objects
from .core.arrays import tensor_of
from .core.declare import Declared, Kind, Refused, arg, integer, items, looked_up, number, one_of
from .core.dtypes import torch_dtype

__all__ = [
    "AbsMaxQuantizer", "Float8QuantizationConfig", "Int4QuantizationConfig", "Int8QuantizationConfig",
    "QuantizationConfig", "Quantizer", "abs_max_quantize", "abs_max_quantize_grouped_with_zero_point",
    "deserialize", "get", "pack_int4", "serialize", "unpack_int4",
]  # fmt: skip

_INT4 = (-8, 7)


def _numbers(inputs: Any, by_numpy: bool) -> tuple[Tensor, torch.dtype]:
    """What is to be quantized, in the type that this is computed in, and the type it had."""
    x = tensor_of(inputs, "inputs").detach()
    return (x.float() if by_numpy and x.itemsize < 4 else x), x.dtype


def abs_max_quantize(
    inputs: Any,
    axis: Any,
    value_range: tuple[int, int] = (-127, 127),
    dtype: Any = "int8",
    epsilon: float | None = None,
    to_numpy: bool = False,
) -> tuple[Tensor, Tensor]:
    """Integers in `value_range`, and the scales that inputs were multiplied with, of size 1 along `axis`.

    to_numpy: compute in float32 at least, as NumPy does.
    """
    x, dtype_before = _numbers(inputs, to_numpy)
    largest = x.abs().amax(axis, keepdim=True) + (config.epsilon() if epsilon is None else epsilon)
    scale = torch.div(x.new_tensor(value_range[1]), largest)
    return (x * scale).round().clamp(*value_range).to(torch_dtype(dtype)), scale.to(dtype_before)


def abs_max_quantize_grouped_with_zero_point(
    inputs: Any,
    block_size: int,
    value_range: tuple[int, int] = _INT4,
    dtype: Any = "int8",
    epsilon: float | None = None,
    to_numpy: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Integers for a matrix, and the scale and zero of each block of `block_size` rows, both (blocks, columns):
    inputs are about (integers - zero) * scale."""
    x, dtype_before = _numbers(inputs, to_numpy)
    (low, high), (rows, columns) = value_range, x.shape
    blocks = torch.nn.functional.pad(x, (0, 0, 0, -rows % block_size)).view(-1, block_size, columns)
    least = blocks.amin(1, keepdim=True)
    spread = blocks.amax(1, keepdim=True) - least + (config.epsilon() if epsilon is None else epsilon)
    scale = torch.div(spread, x.new_tensor(high - low))
    zero = ((-least / scale).round() + low).clamp(low, high)
    values = ((blocks / scale).round() + zero).clamp(low, high).to(torch_dtype(dtype))
    return values.view(-1, columns)[:rows], scale.squeeze(1).to(dtype_before), zero.squeeze(1).to(torch.int8)


def pack_int4(arr: Any, axis: int = 0, dtype: Any = "int8") -> tuple[Tensor, tuple[int, ...], int]:
    """Two values of four bits to a byte along an axis; with that, its shape, and the length of the axis before.

    Raises TypeError for values that are not of the `dtype`.
    """
    x = tensor_of(arr, "pack_int4").movedim(axis, 0)
    if x.dtype is not torch_dtype(dtype):
        raise TypeError(f"pack_int4: expected values of type {dtype}; got {x.dtype}.")
    length = len(x)
    even = torch.cat([x, torch.zeros_like(x[: length % 2])])
    packed = ((even[0::2] & 15) | (even[1::2] << 4)).movedim(0, axis).contiguous()
    return packed, tuple(packed.shape), length


def unpack_int4(packed: Any, orig_len: int, axis: int = 0, dtype: Any = "int8") -> Tensor:
    """What `pack_int4` packed. dtype: "int8" for -8 to 7, "uint8" for 0 to 15."""
    x = tensor_of(packed, "unpack_int4").movedim(axis, 0)
    values = torch.stack([x & 15, (x >> 4) & 15], 1).flatten(0, 1)[:orig_len]
    return ((values ^ 8) - 8 if torch_dtype(dtype) is torch.int8 else values).movedim(0, axis)


# Quantizers and what holds them ------------------------------------------------------------------------------------


class Quantizer(Declared):
    """Makes integers of real numbers; subclasses write `__call__`."""

    output_dtype: str = arg(one_of("int8"), default="int8", doc="Type of the integers.")

    def __call__(self, x: Any) -> Any:
        return x


_axes = Kind(
    "an axis, or several",
    lambda value, owner: items(value, integer(), owner, alone=True),
    good=(-1, (0, 1)),
    bad=("a",),
).optional()


def _two_bytes(value: Any, owner: Any) -> tuple[int, int]:
    low, high, *more = items(value, integer(-128), owner, least=2)
    if more or not low < high <= 127:
        raise Refused
    return low, high


_range = Kind("two integers of 8 bits", _two_bytes, good=((-127, 127),), bad=(3, (-129, 127), (1,)))


class AbsMaxQuantizer(Quantizer):
    """By the largest absolute value along `axis`: returns integers, and the scales that inputs were multiplied with."""

    axis: Any = arg(_axes, default=None, config="set", doc="None: the last, unless the call says another.")
    value_range: tuple[int, int] = arg(_range, default=(-127, 127), doc="Least and largest integer.")
    epsilon: float = arg(number(0), default=1e-7, doc="Added to the largest value.")

    _order = ("axis", "value_range", "epsilon", "output_dtype")

    def __call__(self, x: Any, axis: Any = None, to_numpy: bool = False) -> tuple[Tensor, Tensor]:
        axis = axis if axis is not None else self.axis if self.axis is not None else -1
        return abs_max_quantize(x, axis, self.value_range, self.output_dtype, self.epsilon, to_numpy)


def get(identifier: Any) -> Any:
    """The quantizer that a name, a config, a class or a callable stands for; None for None. ValueError if unknown."""
    names = {"abs_max_quantizer": "AbsMaxQuantizer"}
    return None if identifier is None else objects.lookup(identifier, "keras.quantizers", "quantizer", names)


def serialize(initializer: Any) -> Any:
    """The config of a quantizer."""
    return objects.serialize(initializer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """What `serialize` described."""
    return objects.deserialize(config, custom_objects, ("keras.quantizers",))


_quantizer = Kind("a quantizer or None", looked_up(get), good=(None, AbsMaxQuantizer()), bad=("no-such-quantizer", 3))


class QuantizationConfig(Declared):
    """How a layer is quantized; its subclasses are."""

    weight_quantizer: Any = arg(_quantizer, default=None, doc="For weights; None: by the largest of each channel.")
    activation_quantizer: Any = arg(_quantizer, default=None, doc="For inputs; None: they stay as they are.")
    mode = ""


def _quantizer_or(default: Callable[[], Any]) -> Kind:
    """A quantizer, None, or the word for a default one."""

    def convert(value: Any, owner: Any) -> Any:
        return default() if value == "default" else _quantizer.convert(value, owner)

    return Kind('a quantizer, "default" or None', convert, good=("default", None), bad=("no-such-quantizer", 3))


class Int8QuantizationConfig(QuantizationConfig):
    """Integers of 8 bits for weights and, one scale for each vector, for inputs."""

    activation_quantizer: Any = arg(
        _quantizer_or(AbsMaxQuantizer), default="default", doc="For inputs; None: they stay as they are."
    )
    mode = "int8"


class Int4QuantizationConfig(QuantizationConfig):
    """Integers of 4 bits for weights, with a scale and a zero for each block of them.

    Raises ValueError for quantizers of one's own beside blocks, and for a range that takes more than 4 bits.
    """

    activation_quantizer: Any = arg(
        _quantizer_or(lambda: None), default=None, doc="For inputs; None, the default: they stay as they are."
    )
    block_size: int | None = arg(
        integer(-1).optional(), default=128, doc="How many weights of a channel share a scale; None or -1: all."
    )
    mode = "int4"

    def check(self) -> None:
        if self.block_size == 0:
            raise ValueError("Int4QuantizationConfig: `block_size` must be -1, None or positive; got 0.")
        if (self.block_size or -1) > 0 and (self.weight_quantizer or self.activation_quantizer):
            raise ValueError(
                "Int4QuantizationConfig: quantizers of your own need a scale for each channel; write block_size=None."
            )
        range_ = getattr(self.weight_quantizer, "value_range", _INT4)
        if tuple(range_) != _INT4:
            raise ValueError(
                f"Int4QuantizationConfig: the `value_range` of a weight_quantizer must be {_INT4}; got {range_}."
            )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        return super().from_config({"block_size": None, **config})


class Float8QuantizationConfig(Declared):
    """Floats of 8 bits for weights and inputs."""

    mode = "float8"
    weight_quantizer = activation_quantizer = None


_MODES: dict[Any, Any] = {
    cls.mode: cls for cls in (Int8QuantizationConfig, Int4QuantizationConfig, Float8QuantizationConfig)
}


def resolved(mode: Any, config: Any) -> Any:
    """The config that arguments of `quantize` mean. Raises ValueError for other modes, and where the two differ."""
    if isinstance(config, str):
        mode, config = config, None
    if config is None and mode in _MODES:
        return _MODES[mode]()
    own = getattr(config, "mode", None)
    if own not in _MODES or mode not in (None, own):
        told = mode if config is None else config
        raise ValueError(
            f"`quantize` takes a `mode`, {', '.join(map(repr, _MODES))}, or a `config` such as "
            f"Int8QuantizationConfig(); got {told!r}{'' if config is None or mode is None else f' with mode {mode!r}'}."
        )
    return config


_described = looked_up(deserialize)


def _config(value: Any, owner: Any) -> Any:
    made = _described(value, owner) if isinstance(value, Mapping) else value
    if made is not None and getattr(made, "mode", None) not in _MODES:
        raise Refused
    return made


quantization_config = Kind(
    "a QuantizationConfig or None", _config, good=(None, Int8QuantizationConfig()), bad=("int8", 3, AbsMaxQuantizer())
)
