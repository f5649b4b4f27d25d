"""Arguments that layers share, in groups: base classes, each named by what it holds.

A class takes by position the arguments of its bases, read from right to left, then its own. One that is declared anew
keeps its place. They are base classes, since a type checker knows the arguments of a constructor from nowhere else.
"""

from __future__ import annotations

from typing import Any

from ..activations import activation
from ..constraints import constraint
from ..core.declare import Declared, Kind, Refused, arg, as_sizes, boolean, integer, number, seed, sizes
from ..initializers import initializer
from ..regularizers import regularizer
from .spatial import data_format

# Kernels and biases.


class ActivationBias(Declared):
    activation: Any = arg(activation, default=None)
    use_bias: bool = arg(boolean, default=True)


class KernelBias(Declared):
    kernel_initializer: Any = arg(initializer, default="glorot_uniform")
    bias_initializer: Any = arg(initializer, default="zeros")
    kernel_regularizer: Any = arg(regularizer, default=None)
    bias_regularizer: Any = arg(regularizer, default=None)
    activity_regularizer: Any = arg(regularizer, default=None)
    kernel_constraint: Any = arg(constraint, default=None)
    bias_constraint: Any = arg(constraint, default=None)


# Windows.


def _padding(value: Any, owner: Any) -> Any:
    """A name, or for each spatial axis an integer or a pair (before, after)."""
    if isinstance(value, str):
        word = value.lower()
        if word not in ("valid", "same") and not (word == "causal" and owner.rank == 1 and owner._causal):
            raise Refused('"causal" is for Conv1D; elsewhere, put a ZeroPadding before it.' if word == "causal" else "")
        return word
    if not isinstance(value, (tuple, list)) or len(value) != owner.rank:
        raise Refused
    return tuple(as_sizes(item, 2, 0) for item in value)


_padding_or_pads = Kind(
    '"valid", "same", "causal" (Conv1D), or a pair (before, after) for each spatial axis',
    _padding,
    good=("valid", "same"),
    bad=("sme", 7, (1, 2, 3, 4)),
)


count = integer(1).saying(
    "Invalid value for argument `{0}`. Expected a strictly positive value. Received {0}={got}: it must be {expected}."
)


class Filters(Declared):
    filters: int = arg(count, doc="Number of output channels.")


class Window(Declared):
    kernel_size: Any = arg(sizes(1), doc="Size of the window.")
    strides: Any = arg(sizes(1), default=1, doc="Steps between windows.")
    padding: Any = arg(_padding_or_pads, default="valid")


class DataFormat(Declared):
    data_format: str = arg(data_format, default=None)


class Dilation(Declared):
    dilation_rate: Any = arg(sizes(1), default=1, doc="Steps between the taps of a window.")


# Recurrence: a kernel, one for the state, and a bias. Cells, and the layers made of one, differ in what stands between.


class Units(Declared):
    units: int = arg(integer(1), doc="Size of the state and of the output.")


class Tanh(Declared):
    activation: Any = arg(activation, default="tanh")


class Gates(Declared):
    recurrent_activation: Any = arg(activation, default="sigmoid", doc="Activation of the gates.")
    implementation: int = arg(
        integer(0), default=2, kw_only=True, config=False, doc="Accepted for Keras' sake; one way runs."
    )


class Initializers(Declared):
    use_bias: bool = arg(boolean, default=True)
    kernel_initializer: Any = arg(initializer, default="glorot_uniform")
    recurrent_initializer: Any = arg(initializer, default="orthogonal")
    bias_initializer: Any = arg(initializer, default="zeros")


class ForgetBias(Declared):
    unit_forget_bias: bool = arg(boolean, default=True, doc="Start the bias of the forget gate at 1.")


class Regularizers(Declared):
    kernel_regularizer: Any = arg(regularizer, default=None)
    recurrent_regularizer: Any = arg(regularizer, default=None)
    bias_regularizer: Any = arg(regularizer, default=None)


class Activity(Declared):
    activity_regularizer: Any = arg(regularizer, default=None)


class Constraints(Declared):
    kernel_constraint: Any = arg(constraint, default=None)
    recurrent_constraint: Any = arg(constraint, default=None)
    bias_constraint: Any = arg(constraint, default=None)


class Dropouts(Declared):
    dropout: float = arg(number(0, 1), default=0.0, doc="Fraction of the inputs to drop in training.")
    recurrent_dropout: float = arg(number(0, 1), default=0.0, doc="Fraction of the state to drop in training.")


class Seed(Declared):
    seed: Any = arg(seed, default=None)


# Normalization.


class CenterScale(Declared):
    center: bool = arg(boolean, default=True, doc="Add beta.")
    scale: bool = arg(boolean, default=True, doc="Multiply by gamma.")
    beta_initializer: Any = arg(initializer, default="zeros")
    gamma_initializer: Any = arg(initializer, default="ones")


class BetaGammaLimits(Declared):
    beta_regularizer: Any = arg(regularizer, default=None)
    gamma_regularizer: Any = arg(regularizer, default=None)
    beta_constraint: Any = arg(constraint, default=None)
    gamma_constraint: Any = arg(constraint, default=None)
