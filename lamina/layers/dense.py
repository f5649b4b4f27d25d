"""Dense layers: every output sees every input."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..activations import activation, linear, shape_after
from ..activations import relu as positive_part
from ..core.declare import Declared, Kind, Refused, accepts, arg, integer, items
from ..core.errors import named, show_shape, unsized
from ..core.fusion import grants
from ..core.layer import InputSpec
from ..core.weight import held, weight
from ..initializers import VarianceScaling
from ..kernels.linear import dense, einsum
from ..regularizers import regularizer
from .activation import Activated
from .arguments import ActivationBias, KernelBias
from .lora import LoRA, LowRank, Quantization, Rank

__all__ = ["Dense", "EinsumDense"]

_FEW = 32  # units, or times as many inputs


class _Units(Declared):
    units: int = arg(integer(1), doc="Size of the output.")


def _kernel_order(layer: Dense) -> tuple[int, int] | None:
    """Memory order of a kernel (in, out): (out, in) where many numbers give few. There its gradient takes down to a
    seventh, and one sample two thirds of the time; where few give many it is the other way round."""
    units, features = layer.units, layer.input_spec.axes.get(-1) or 0
    return (1, 0) if features >= units * (4 if units <= _FEW else _FEW) else None


class Dense(LowRank, KernelBias, ActivationBias, _Units, Activated, LoRA):
    """`activation(inputs @ kernel + bias)` over the last axis.

    Input (batch, ..., features), output (batch, ..., units); kernel (features, units), bias (units,).
    """

    activity_regularizer: Any = arg(regularizer, default=None, config="set")

    supports_masking = True
    input_spec = InputSpec(min_ndim=2)
    _quantizes = (None, "int8", "int4", "float8")
    _product = "kernel"
    kernel = weight("features", "units", order=_kernel_order, adapts=True)
    bias = weight("units", when="use_bias")

    def build(self, input_shape: tuple) -> None:
        features = input_shape[-1]
        if features is None:
            raise unsized(self, "last axis", input_shape)
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features})
        self.make_weights(features=features)

    @grants("relu")
    def call(self, inputs: torch.Tensor, *, relu: bool | None = None) -> torch.Tensor:
        activation, (kernel, bias) = self.activation, held(self, "kernel", "bias")
        y = dense(inputs, kernel, bias, activation is positive_part if relu is None else relu)
        return y if activation is linear or activation is positive_part or relu is not None else activation(y)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return shape_after(self.activation, (*input_shape[:-1], self.units), self)


# By an equation ----------------------------------------------------------------------------------------------------

_FORMS = {
    "": re.compile(r"([a-zA-Z]+),([a-zA-Z]+)->([a-zA-Z]+)"),
    "left": re.compile(r"\.\.\.([a-zA-Z]+),([a-zA-Z]+)->\.\.\.([a-zA-Z]+)"),
    "right": re.compile(r"([a-zA-Z]{2,})\.\.\.,([a-zA-Z]+)->([a-zA-Z]+)\.\.\."),
}


class Equation(NamedTuple):
    """A product of an input and a kernel: a letter for each axis. `dots` says where the input has others besides."""

    inputs: str
    kernel: str
    outputs: str
    dots: str  # "left", "right" or ""

    @classmethod
    def read(cls, equation: str) -> Equation:
        """Raises Refused for an equation that no dense layer can follow."""
        forms = ((dots, form.fullmatch(equation.replace(" ", ""))) for dots, form in _FORMS.items())
        dots, found = next((pair for pair in forms if pair[1]), ("", None))
        if found is None:
            raise Refused('Write "ab,bc->ac", "...a,ab->...b" or "ab...,bc->ac...".')
        inputs, kernel, outputs = found.groups()
        read = cls(inputs, kernel, outputs, dots)
        for letter in read.kernel:
            if letter not in read.inputs + read.outputs:
                raise Refused(f'The axis "{letter}" of the kernel is one of neither the input nor the output.')
        for letter in read.outputs:
            if letter not in read.inputs + read.kernel:
                raise Refused(f'The axis "{letter}" of the output is one of neither the input nor the kernel.')
        return read

    @property
    def summed(self) -> int:
        """How many last axes of the input are summed over with the first ones of the kernel, where that and putting
        the kernel's others in their place is all; else 0."""
        count = len([letter for letter in self.inputs if letter not in self.outputs])
        kept, gone, made = self.inputs[:-count], self.inputs[-count:], self.kernel[count:]
        simple = count and made and self.dots != "right" and len({*self.inputs, *made}) == len(self.inputs + made)
        return count if simple and self.kernel == gone + made and self.outputs == kept + made else 0


def _read(value: Any, owner: Any) -> str:
    if not isinstance(value, str):
        raise Refused
    Equation.read(value)
    return value


_letters = Kind(
    "letters of the output",
    accepts(lambda value: isinstance(value, str) and value.isalpha()),
    good=("c",),
    bad=(3, "a,b"),
)
_equation = Kind("an equation of the input and a kernel", _read, good=("ab,bc->ac",), bad=("ab,bc", 3, "a,b,c->abc"))
_partial_shape = Kind(
    "a size, or a tuple of sizes and None, without the batch",
    lambda v, o: items(v, integer(1).optional(), o, alone=True, least=0),
    good=(3,),
    bad=("a", 1.5, 0),
)


class _Product(Declared):
    equation: str = arg(_equation, doc='Such as "abc,cd->abd": input, kernel, output.')
    output_shape: Any = arg(
        _partial_shape, attribute="partial_output_shape", doc="Sizes of the output; None where the input tells."
    )
    activation: Any = arg(activation, default=None)
    bias_axes: str | None = arg(_letters.optional(), default=None, doc="Axes of the output along which a bias varies.")


class _Unpacked(Declared):
    gptq_unpacked_column_size: Any = arg(
        Kind("None: GPTQ is not available", accepts(lambda value: value is None), good=(None,), bad=(4, "int8")),
        default=None,
        config=False,
    )


class EinsumDense(Quantization, _Unpacked, Rank, KernelBias, _Product, Activated, LoRA):
    """`activation(einsum(equation, inputs, kernel) + bias)`.

    The output's sizes come from `output_shape`; None stands for that of the input's axis of the same letter. Raises
    ValueError where input and `output_shape` contradict the equation or each other.
    """

    activity_regularizer: Any = arg(regularizer, default=None, kw_only=True)

    _takes_alpha = True
    _quantizes = (None, "int8", "int4", "float8")
    _product = "kernel"
    kernel = weight("*kernel_sizes", adapts=True, initializer=lambda layer: layer._initializer())
    bias = weight("*bias_sizes", when=lambda layer: layer.bias_axes is not None)

    def check(self) -> None:
        terms = Equation.read(self.equation)
        for letter in self.bias_axes or "":
            if letter not in terms.outputs:
                raise ValueError(
                    f'{type(self).__name__}: `bias_axes` must be axes of the output, "{terms.outputs}"; '
                    f'got "{self.bias_axes}".'
                )
        vars(self).update(_terms=terms, _summed=terms.summed)

    def _sizes(self, input_shape: tuple) -> tuple[dict[str, int | None], tuple]:
        """The sizes of the axes by their letters, and those of the axes without one."""
        terms, given = self._terms, tuple(self.partial_output_shape)
        count, rest = len(terms.inputs), len(input_shape) - len(terms.inputs)
        if rest < 0 or (rest and not terms.dots):
            at_least = "at least " if terms.dots else ""
            raise ValueError(
                f'{named(self)}: the equation "{self.equation}" needs an input of {at_least}{count} axes; '
                f"got shape {show_shape(input_shape)}."
            )
        left = terms.dots == "left" and rest > 0
        shape = tuple(input_shape)
        others, own = (shape[:rest], shape[rest:]) if terms.dots != "right" else (shape[count:], shape[:count])
        sizes: dict[str, int | None] = dict(zip(terms.inputs, own, strict=True))
        outputs = terms.outputs if left else terms.outputs[1:]  # the batch is told by the input alone
        if len(given) != len(outputs):
            raise ValueError(
                f"{named(self)}: `output_shape` must have {len(outputs)} sizes for the equation "
                f'"{self.equation}"; got {show_shape(given)}.'
            )
        for letter, size in zip(outputs, given, strict=True):
            known = sizes.get(letter)
            if None not in (known, size) and known != size:
                raise ValueError(
                    f'{named(self)}: the axis "{letter}" is {known} in the input of shape {show_shape(input_shape)} '
                    f"and {size} in `output_shape` {show_shape(given)}. Make them equal, or write None."
                )
            sizes[letter] = size if known is None else known
        return sizes, others

    def build(self, input_shape: tuple) -> None:
        sizes, others = self._sizes(input_shape)
        self.input_spec = InputSpec(ndim=len(input_shape))
        bias: list[int | None] = []
        if self.bias_axes is not None:
            outputs = self._terms.outputs
            first = min((outputs.index(letter) for letter in self.bias_axes), default=len(outputs))
            bias = [sizes[letter] if letter in self.bias_axes else 1 for letter in outputs[first:]]
            bias += [1] * len(others) if self._terms.dots == "right" else []
        self.make_weights(kernel_sizes=[sizes[letter] for letter in self._terms.kernel], bias_sizes=bias)

    def _initializer(self) -> Any:
        """The kernel's initializer, which learns from the equation what counts as inputs and outputs."""
        given = self.kernel_initializer
        if not isinstance(given, VarianceScaling) or None not in (given.input_axes, given.output_axes):
            return given
        made = [letter in self._terms.outputs for letter in self._terms.kernel]
        axes = {"input_axes": [i for i, out in enumerate(made) if not out]}
        axes["output_axes"] = [i for i, out in enumerate(made) if out]
        return type(given).from_config({**given.get_config(), **axes})

    @grants("relu")
    def call(self, inputs: Tensor, *, relu: bool | None = None) -> Tensor:
        kernel, bias = held(self, "kernel", "bias")
        y = einsum(self.equation, inputs, kernel, self._summed, bias)
        activation = self.activation
        if relu or (relu is None and activation is positive_part):
            return y.relu_()
        return y if activation is linear or relu is not None else activation(y)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        sizes, others = self._sizes(input_shape)
        own = tuple(sizes[letter] for letter in self._terms.outputs)
        shape = (*own, *others) if self._terms.dots == "right" else (*others, *own)
        return shape_after(self.activation, shape, self)
