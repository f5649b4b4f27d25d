"""Activation functions: plain functions of a tensor, found by name, config or callable."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.modules.lazy import LazyModuleMixin

from .core import serialize as objects
from .core import symbolic
from .core.arrays import floats_of
from .core.declare import Kind, Refused, looked_up
from .core.errors import named, short, show_shape
from .core.operation import record

__all__ = [
    "celu", "deserialize", "elu", "exponential", "gelu", "get", "glu", "hard_shrink", "hard_sigmoid", "hard_silu",
    "hard_swish", "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6",
    "selu", "serialize", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus",
    "sparse_sigmoid", "sparsemax", "squareplus", "swish", "tanh", "tanh_shrink", "threshold",
]  # fmt: skip


Function = TypeVar("Function", bound=Callable[..., Any])


_KERAS_WORDS = {"relu": "re_lu", "exponential": "exp"}  # what Keras calls operations that are named otherwise here


def _activation(function: Function) -> Function:
    """A function of a tensor `x` that also takes an array, lists or a number; of a symbol it is one operation."""

    @functools.wraps(function)
    def taking(x: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(x, Tensor):
            if type(x) is symbolic.SymbolicTensor:
                return record(function, (x, *args), kwargs)
            x = floats_of(x, function.__name__)
        return function(x, *args, **kwargs)

    made: Any = taking
    made.of_tensors = bare = cast(Any, function)
    bare.keras_word = _KERAS_WORDS.get(function.__name__, function.__name__)
    bare.__qualname__ += ".of_tensors"  # where pickles find it
    return made


def _of_torch(name: str, function: Callable[[Tensor], Tensor], doc: str) -> Callable[[Tensor], Tensor]:
    """The activation that a function of torch is."""

    def of_torch(x: Tensor) -> Tensor:
        return function(x)

    of_torch.__name__ = of_torch.__qualname__ = name
    of_torch.__doc__ = doc
    return _activation(of_torch)


def linear(x: Tensor) -> Tensor:
    """`x` itself."""
    return x if isinstance(x, Tensor) else floats_of(x, "linear")


@_activation
def relu(x: Tensor, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    """`x` above `threshold`, `negative_slope * (x - threshold)` below, and never more than `max_value`."""
    if threshold == 0 and negative_slope == 0:
        return torch.relu(x) if max_value is None else F.hardtanh(x, 0.0, max_value)
    if threshold == 0:
        kept = F.leaky_relu(x, negative_slope)
    elif negative_slope == 0:
        kept = F.threshold(x, threshold, 0.0)
    else:
        kept = torch.where(x > threshold, x, negative_slope * (x - threshold))
    return kept if max_value is None else torch.clamp(kept, max=max_value)


@_activation
def leaky_relu(x: Tensor, negative_slope: float = 0.2) -> Tensor:
    """`x` where positive, else `negative_slope * x`."""
    return F.leaky_relu(x, negative_slope)


relu6 = _of_torch("relu6", F.relu6, "`x` kept between 0 and 6.")


@_activation
def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """`x` where positive, else `alpha * (exp(x) - 1)` (Clevert et al., 2015)."""
    return F.elu(x, alpha)


selu = _of_torch(
    "selu", torch.selu, "Scaled `elu` that keeps mean 0 and variance 1 from layer to layer (Klambauer et al., 2017)."
)


@_activation
def celu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """`x` where positive, else `alpha * (exp(x / alpha) - 1)`: an `elu` with a continuous slope (Barron, 2017)."""
    return torch.celu(x, alpha)


@_activation
def gelu(x: Tensor, approximate: bool = False) -> Tensor:
    """`x` times the normal distribution function of `x`, or its tanh approximation (Hendrycks and Gimpel, 2016)."""
    return F.gelu(x, approximate="tanh" if approximate else "none")


silu = _of_torch("silu", F.silu, "`x * sigmoid(x)`, also called swish (Ramachandran et al., 2017).")
hard_silu = _of_torch(
    "hard_silu", F.hardswish, "`x * relu6(x + 3) / 6`: `silu` of straight pieces (Howard et al., 2019)."
)
mish = _of_torch("mish", F.mish, "`x * tanh(softplus(x))` (Misra, 2019).")
sigmoid = _of_torch("sigmoid", torch.sigmoid, "`1 / (1 + exp(-x))`.")
hard_sigmoid = _of_torch("hard_sigmoid", F.hardsigmoid, "`relu6(x + 3) / 6`.")
log_sigmoid = _of_torch("log_sigmoid", F.logsigmoid, "`log(sigmoid(x))`, without overflow.")


@_activation
def sparse_sigmoid(x: Tensor) -> Tensor:
    """0 up to -1, 1 from 1 on, a straight line between."""
    return torch.clamp(0.5 * (x + 1.0), 0.0, 1.0)


tanh = _of_torch("tanh", torch.tanh, "Hyperbolic tangent.")
hard_tanh = _of_torch("hard_tanh", F.hardtanh, "`x` kept between -1 and 1.")
tanh_shrink = _of_torch("tanh_shrink", F.tanhshrink, "`x - tanh(x)`.")


@_activation
def hard_shrink(x: Tensor, threshold: float = 0.5) -> Tensor:
    """`x` where `|x|` exceeds `threshold`, else 0."""
    return F.hardshrink(x, threshold)


@_activation
def soft_shrink(x: Tensor, threshold: float = 0.5) -> Tensor:
    """`x` moved towards 0 by `threshold`, and 0 where it would pass it."""
    return F.softshrink(x, threshold)


@_activation
def softplus(x: Tensor) -> Tensor:
    """`log(1 + exp(x))`."""
    return F.softplus(x, threshold=40)


@_activation
def squareplus(x: Tensor, b: float = 4) -> Tensor:
    """`(x + sqrt(x * x + b)) / 2`: a `softplus` without exponentials (Barron, 2021)."""
    half = 0.5 * x  # hypot: the square of a large x overflows, in float16 from 256 on
    dtype = half.dtype if isinstance(half, Tensor) else torch.float64
    return half + torch.hypot(half, torch.tensor(0.5 * math.sqrt(b), dtype=dtype, device="cpu"))


@_activation
def sparse_plus(x: Tensor) -> Tensor:
    """0 up to -1, `x` from 1 on, a parabola between: the integral of `sparse_sigmoid`."""
    return torch.where(x < 1.0, 0.25 * torch.square(torch.clamp(x + 1.0, 0.0, 2.0)), x)


softsign = _of_torch("softsign", F.softsign, "`x / (1 + |x|)`.")
exponential = _of_torch("exponential", torch.exp, "`exp(x)`.")


@_activation
def threshold(x: Tensor, threshold: float, default_value: float) -> Tensor:
    """`x` where it exceeds `threshold`, else `default_value`."""
    return F.threshold(x, threshold, default_value)


@_activation
def glu(x: Tensor, axis: int = -1) -> Tensor:
    """The first half of `x` along `axis`, times the sigmoid of the second (Dauphin et al., 2016)."""
    return F.glu(x, axis)


@_activation
def softmax(x: Tensor, axis: int | tuple[int, ...] = -1) -> Tensor:
    """Exponentials that sum to 1 along `axis`, or over several axes together."""
    return torch.softmax(x, axis) if isinstance(axis, int) else torch.exp(log_softmax(x, axis))


@_activation
def log_softmax(x: Tensor, axis: int | tuple[int, ...] = -1) -> Tensor:
    """`log(softmax(x))`, without overflow."""
    if isinstance(axis, int):
        return torch.log_softmax(x, axis)
    x = x - torch.amax(x, axis, keepdim=True).detach()
    return x - torch.logsumexp(x, axis, keepdim=True)


@_activation
def sparsemax(x: Tensor, axis: int = -1) -> Tensor:
    """`relu(x - tau)` along `axis`, with `tau` so that many values are exactly 0 (after Martins and Astudillo, 2016).

    As in Keras, `tau` comes from the sum of all running sums over the support. The paper takes the last running sum,
    so the values are probabilities that sum to 1 only where the support is a single value.
    """
    ranked = torch.sort(x, dim=axis, descending=True).values
    top = torch.detach(torch.narrow(ranked, axis, 0, 1))  # 1 is lost beside large values, not beside differences
    ranked = ranked - top
    running = torch.cumsum(ranked, axis)
    support = 1.0 + torch.cumsum(torch.ones_like(ranked), axis) * ranked > running
    total = torch.where(support, running, 0.0).sum(axis, keepdim=True)
    size = support.sum(axis, keepdim=True)
    return torch.relu(x - top - 0.5 * top * (size - 1) - (total - 1.0) / size)


swish = silu
hard_swish = hard_silu


LOG_SPACE = {softmax: "softmax", sigmoid: "sigmoid"}


def log_space(activation: Any) -> Any:
    """The softmax or sigmoid that an activation is, in whose place a loss can take the logarithm; None for others."""
    function = getattr(activation, "stands_for", activation)
    return function if function is softmax or function is sigmoid else None


def get(identifier: Any) -> Any:
    """The activation that a name, a config or a callable stands for; `linear` for None. ValueError if unknown."""
    return linear if identifier is None else objects.lookup(identifier, "keras.activations", "activation")


def serialize(activation: Any) -> str | dict[str, Any]:
    """The name of one of the functions here, the config of anything else."""
    activation = getattr(activation, "stands_for", activation)
    if inspect.isfunction(activation) and activation.__module__ == __name__:
        return activation.__name__
    return objects.serialize(activation)


def deserialize(config: str | Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """What `serialize` described."""
    with objects.custom_object_scope(custom_objects or {}):
        return get(config)


def _keeps_shapes(activation: Any) -> bool:
    """Whether it is known to, since it is one of Lamina's own."""
    own = getattr(activation, "__module__", None) in (__name__, "lamina.generations.activations")
    return own and activation is not glu


def shape_after(activation: Any, shape: tuple, layer: Any) -> tuple:
    """The shape of what an activation makes of a tensor of this shape: what is not Lamina's own is tried on tensors
    without values, and believed to keep the shape where that fails. Raises ValueError if it makes no tensor."""
    if _keeps_shapes(activation):
        return shape
    try:
        if hasattr(activation, "compute_output_shape"):
            return activation.compute_output_shape(shape)
        if isinstance(activation, LazyModuleMixin):
            return shape  # a trial would give it its weights
        found = symbolic.run_on_trial_tensors(activation, (symbolic.SymbolicTensor(shape),), {}, None)
    except Exception:  # it may need values; most keep the shape
        return shape
    if not symbolic.is_symbolic(found):
        gave = f"{short(activation)} gave {short(found)}"
        raise ValueError(f"{named(layer)}: the activation must return a tensor; {gave}.")
    return found.shape


def check_keeps_shape(activation: Any, shape: tuple, layer: Any) -> None:
    """Raises ValueError if an activation is seen to change the shape, where a layer cannot have that."""
    found = shape_after(activation, shape, layer)
    if tuple(found) != tuple(shape):
        raise ValueError(
            f"{named(layer)}: the activation must keep the shape of its input; {short(activation)} made "
            f"{show_shape(found)} of {show_shape(shape)}."
        )


def _of_one_tensor(value: Any, owner: Any) -> Any:
    found = looked_up(get)(value, owner)
    if not _keeps_shapes(found) or found is threshold:
        try:
            inspect.signature(found).bind(None)
        except TypeError:
            raise Refused("It must be a function of one argument, the tensor.") from None
        except ValueError:  # a builtin does not tell
            pass
    return found


activation = Kind(
    "the name of an activation, a function or None",
    _of_one_tensor,
    dump=serialize,
    good=(None, "relu", "hard_silu", tanh),
    bad=("no-such-activation", 3.5, ["relu"], "threshold"),
)
