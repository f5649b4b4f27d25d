"""What layers compute, written slowly and plainly in NumPy's float64: windows, steps and sums, one after the other.

A function here takes the layer, whose arguments it reads, its weights by their attributes, and what it is called on.
Channels stand last. `Refused` says that the layer has to refuse the input.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

Array = Any  # np.ndarray


class Refused(Exception):
    """The layer must raise ValueError for this."""


class Unstable(Exception):
    """States grow so much from step to step that rounding decides what comes out."""


def steady(*states: Array) -> None:
    if not all(np.all(np.abs(state) < 1e8) for state in states):
        raise Unstable


def refuse(when: Any, why: str = "") -> None:
    if when:
        raise Refused(why)


# Activations ------------------------------------------------------------------------------------------------------


def sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * x))


def softplus(x: Array) -> Array:
    return np.logaddexp(x, 0)


def softmax(x: Array, axis: Any = -1) -> Array:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def relu(x: Array, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Array:
    y = np.where(x > threshold, x, negative_slope * (x - threshold))
    return y if max_value is None else np.minimum(y, max_value)


def elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def leaky(x: Array, slope: float) -> Array:
    return np.where(x > 0, x, slope * x)


ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805  # of selu
normal = np.vectorize(lambda x: 0.5 * (1 + math.erf(x / math.sqrt(2))), otypes=[float])

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "relu": relu,
    "leaky_relu": lambda x: leaky(x, 0.2),
    "relu6": lambda x: np.clip(x, 0, 6),
    "elu": elu,
    "selu": lambda x: SCALE * elu(x, ALPHA),
    "celu": elu,
    "gelu": lambda x: x * normal(x),
    "silu": lambda x: x * sigmoid(x),
    "hard_silu": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "mish": lambda x: x * np.tanh(softplus(x)),
    "sigmoid": sigmoid,
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "log_sigmoid": lambda x: -softplus(-x),
    "sparse_sigmoid": lambda x: np.clip(0.5 * (x + 1), 0, 1),
    "tanh": np.tanh,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "tanh_shrink": lambda x: x - np.tanh(x),
    "hard_shrink": lambda x: np.where(abs(x) > 0.5, x, 0),
    "soft_shrink": lambda x: np.sign(x) * np.maximum(abs(x) - 0.5, 0),
    "softplus": softplus,
    "squareplus": lambda x: (x + np.sqrt(x * x + 4)) / 2,
    "sparse_plus": lambda x: np.where(x <= -1, 0, np.where(x >= 1, x, (x + 1) ** 2 / 4)),
    "softsign": lambda x: x / (1 + abs(x)),
    "exponential": np.exp,
}
ALIASES = {"swish": "silu", "hard_swish": "hard_silu"}  # older names of functions
OF_AXES = {"softmax": softmax, "log_softmax": lambda x: np.log(softmax(x))}


def activated(layer: Any, y: Array, name: str = "activation") -> Array:
    word = getattr(getattr(layer, name), "__name__", "linear")
    return (ACTIVATIONS | OF_AXES)[ALIASES.get(word, word)](y)


def activation_layer(layer: Any, w: Any, x: Array) -> Array:
    return activated(layer, x)


def relu_layer(layer: Any, w: Any, x: Array) -> Array:
    return relu(x, layer.negative_slope, layer.max_value, layer.threshold)


def prelu(layer: Any, w: Any, x: Array) -> Array:
    refuse(any(axis >= x.ndim for axis in layer.shared_axes or ()))
    return np.where(x > 0, x, w.alpha * x)


def softmax_layer(layer: Any, w: Any, x: Array, mask: Array | None = None) -> Array:
    axes = [layer.axis] if isinstance(layer.axis, int) else layer.axis
    check_axes(axes, x.ndim)
    if mask is None:
        return softmax(x, tuple(axes))
    e = np.where(mask, np.exp(x - x.max()), 0)
    total = e.sum(tuple(axes), keepdims=True)
    return e / np.where(total, total, 1)


def check_axes(axes: Sequence[int], ndim: int, first: int = 0) -> list[int]:
    """The axes counted from the front; refused where one is out of range, or named twice."""
    refuse(any(not -ndim <= axis < ndim for axis in axes))
    found = [axis % ndim for axis in axes]
    refuse(len({*found}) < len(found) or any(axis < first for axis in found))
    return found


# Products ---------------------------------------------------------------------------------------------------------


def plus(y: Array, bias: Array | None) -> Array:
    return y if bias is None else y + bias


def dense(layer: Any, w: Any, x: Array) -> Array:
    refuse(x.ndim < 2)
    return activated(layer, plus(np.einsum("...i,io->...o", x, w.kernel), w.bias))


def embedding(layer: Any, w: Any, ids: Array) -> Array:
    refuse((ids < 0).any() or (ids >= layer.input_dim).any())
    return w.embeddings[ids.astype(int)]


def reversed_embedding(layer: Any, w: Any, x: Array, reverse: bool = False) -> Array:
    if not reverse:
        return embedding(layer, w, x)
    scores = np.einsum("...o,io->...i", x, w.embeddings if layer.tie_weights else w.reverse_embeddings.T)
    cap = layer.logit_soft_cap
    return scores if cap is None else cap * np.tanh(scores / cap)


def einsum_dense(layer: Any, w: Any, x: Array) -> Array:
    inputs, kernel, outputs = layer.equation.replace("->", ",").split(",")
    terms = [term.replace("...", "") for term in (inputs, kernel, outputs)]
    dots = inputs.startswith("...")
    rest = x.ndim - len(terms[0])
    extra = "".join(chr(ord("A") + i) for i in range(rest))
    left, right = (extra, "") if dots else ("", extra)
    wanted = terms[2] if dots and rest else terms[2][1:]  # the batch is told by the input
    refuse(len(layer.partial_output_shape) != len(wanted))
    sizes = dict(zip(terms[0], x.shape[rest:] if dots else x.shape, strict=False))
    for letter, size in zip(wanted, layer.partial_output_shape, strict=True):
        refuse(size is None and letter not in sizes)
        refuse(size is not None and sizes.get(letter, size) != size)
    y = np.einsum(f"{left}{terms[0]}{right},{terms[1]}->{left}{terms[2]}{right}", x, w.kernel)
    return activated(layer, plus(y, w.bias))


# Windows ----------------------------------------------------------------------------------------------------------


def pads(size: int, kernel: int, stride: int, dilation: int, padding: Any) -> tuple[int, int]:
    """What TensorFlow adds before and after an axis."""
    reach = (kernel - 1) * dilation
    if padding == "same":
        total = max((math.ceil(size / stride) - 1) * stride + reach + 1 - size, 0)
        return total // 2, total - total // 2
    return {"valid": (0, 0), "causal": (reach, 0)}[padding] if isinstance(padding, str) else padding


class Windows:
    """The windows over the spatial axes of x (batch, *spatial, channels): a slow and plain description."""

    def __init__(self, x: Array, kernel: Sequence[int], strides: Any, dilation: Any, padding: Any):
        sizes = x.shape[1:-1]
        refuse(len(sizes) != len(kernel))
        each = padding if isinstance(padding, (list, tuple)) else [padding] * len(sizes)
        axes = list(zip(sizes, kernel, strides, dilation, each, strict=True))
        self.pads = [pads(*axis) for axis in axes]
        self.x = np.pad(x, [(0, 0), *self.pads, (0, 0)], constant_values=np.nan)
        self.kernel, self.strides, self.dilation = kernel, strides, dilation
        spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        self.out = tuple(
            (n + sum(pair) - span) // s + 1 for n, pair, span, s in zip(sizes, self.pads, spans, strides, strict=True)
        )
        refuse(any(size < 1 for size in self.out))

    def taps(self, position: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
        """The window's offsets at `position`, and the places in the padded x they read."""
        for offset in np.ndindex(*self.kernel):
            place = zip(position, self.strides, offset, self.dilation, strict=True)
            yield offset, tuple(p * s + o * d for p, s, o, d in place)

    def gather(self, read: Callable[[Array, tuple], Array]) -> Array:
        """`read(values of the window (batch, taps, channels), position)` at each position."""
        result = np.stack([
            read(np.stack([self.x[(slice(None), *at)] for _, at in self.taps(position)], 1), position)
            for position in np.ndindex(*self.out)
        ], 1)  # fmt: skip
        return result.reshape(self.x.shape[0], *self.out, -1)


def windows(layer: Any, x: Array) -> Windows:
    return Windows(x, layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding)


def convolved(of: Windows, kernel: Array, groups: int = 1) -> Array:
    """kernel (*k, channels // groups, filters)."""
    taps = kernel.reshape(-1, *kernel.shape[-2:])
    parts = np.split(taps, groups, -1)

    def read(values: Array, position: tuple) -> Array:
        inputs = np.split(np.nan_to_num(values), groups, -1)
        return np.concatenate([np.einsum("ntc,tcf->nf", x, k) for x, k in zip(inputs, parts, strict=True)], -1)

    return of.gather(read)


def convolution(layer: Any, w: Any, x: Array) -> Array:
    refuse(x.shape[-1] % layer.groups)
    return activated(layer, plus(convolved(windows(layer, x), w.kernel, layer.groups), w.bias))


def by_channel(of: Windows, kernel: Array) -> Array:
    """kernel (*k, channels, multiplier)."""
    taps = kernel.reshape(-1, *kernel.shape[-2:])
    return of.gather(lambda values, _: np.einsum("ntc,tcm->ncm", np.nan_to_num(values), taps).reshape(len(values), -1))


def depthwise(layer: Any, w: Any, x: Array) -> Array:
    return activated(layer, plus(by_channel(windows(layer, x), w.kernel), w.bias))


def separable(layer: Any, w: Any, x: Array) -> Array:
    y = by_channel(windows(layer, x), w.depthwise_kernel)
    return activated(layer, plus(y @ w.pointwise_kernel.reshape(w.pointwise_kernel.shape[-2:]), w.bias))


def transposed(layer: Any, w: Any, x: Array) -> Array:
    """Each input adds the whole window, weighted, to the output: kernel (*k, filters, channels)."""
    kernel, strides, dilation = w.kernel, layer.strides, layer.dilation_rate
    spans = [(k - 1) * d + 1 for k, d in zip(layer.kernel_size, dilation, strict=True)]
    extra = layer.output_padding or (None,) * len(spans)
    before, sizes = [], []
    for n, s, span, more in zip(x.shape[1:-1], strides, spans, extra, strict=True):
        if layer.padding == "valid":
            before.append(0)
            sizes.append((n - 1) * s + (max(span, s) if more is None else span + more))
        else:
            total = span - s if more is None else span - span % 2 - more
            before.append(max(total, 0) // 2)
            sizes.append(n * s if more is None else (n - 1) * s + span % 2 + more)
    whole = np.zeros((len(x), *(b + n + max(spans) for b, n in zip(before, sizes, strict=True)), kernel.shape[-2]))
    for position in np.ndindex(*x.shape[1:-1]):
        for offset in np.ndindex(*layer.kernel_size):
            place = tuple(p * s + o * d for p, s, o, d in zip(position, strides, offset, dilation, strict=True))
            if all(at < size for at, size in zip(place, whole.shape[1:-1], strict=True)):
                whole[(slice(None), *place)] += x[(slice(None), *position)] @ kernel[offset].T
    inner = [slice(b, b + n) for b, n in zip(before, sizes, strict=True)]
    return activated(layer, plus(whole[(slice(None), *inner)], w.bias))


def locally(layer: Any, w: Any, x: Array) -> Array:
    """kernel (positions, taps * channels, filters); "same" centres each window on its element."""
    size, strides, kernel = layer.kernel_size, layer.strides, w.kernel
    if layer.padding == "same":
        out = [math.ceil(n / s) for n, s in zip(x.shape[1:-1], strides, strict=True)]
        axes = zip(x.shape[1:-1], size, strides, out, strict=True)
        around = [(k // 2, max((o - 1) * s + k - k // 2 - n, 0)) for n, k, s, o in axes]
        x = np.pad(x, [(0, 0), *around, (0, 0)])
    of = Windows(x, size, strides, (1,) * len(size), "valid")
    row, channels = np.arange(math.prod(of.out)).reshape(of.out), x.shape[-1]
    if not layer.channels_last:  # its taps go by channel
        kernel = kernel.reshape(len(kernel), channels, -1, kernel.shape[-1]).swapaxes(1, 2).reshape(kernel.shape)
    bias = w.bias
    if bias is not None and not layer.channels_last:
        bias = np.moveaxis(bias.reshape(-1, *of.out), 0, -1)
    y = of.gather(lambda values, at: values.reshape(len(values), -1) @ kernel[row[at]])
    return activated(layer, plus(y, bias))


# Pooling, padding, enlarging --------------------------------------------------------------------------------------


def pooling(layer: Any, w: Any, x: Array) -> Array:
    of = Windows(x, layer.pool_size, layer.strides, (1,) * len(layer.pool_size), layer.padding)
    reduce = np.nanmax if "Max" in type(layer).__name__ else np.nanmean
    return of.gather(lambda values, _: reduce(values, 1))


def global_pooling(layer: Any, w: Any, x: Array, mask: Array | None = None) -> Array:
    axes = tuple(range(1, x.ndim - 1))
    if mask is not None:
        valid = mask.astype(float)[..., None]
        total = (x * valid).sum(1, keepdims=True) / valid.sum(1, keepdims=True)
        return total if layer.keepdims else total[:, 0]
    return (np.max if "Max" in type(layer).__name__ else np.mean)(x, axes, keepdims=layer.keepdims)


def adaptive(layer: Any, w: Any, x: Array) -> Array:
    reduce = np.max if "Max" in type(layer).__name__ else np.mean
    for axis, parts in enumerate(layer.output_size, start=1):
        n = x.shape[axis]
        cuts = [(i * n // parts, -(-(i + 1) * n // parts)) for i in range(parts)]
        x = np.stack([reduce(x.take(range(*cut), axis), axis) for cut in cuts], axis)
    return x


def zero_padding(layer: Any, w: Any, x: Array) -> Array:
    return np.pad(x, [(0, 0), *layer.padding, (0, 0)])


def cropping(layer: Any, w: Any, x: Array) -> Array:
    for axis, (before, after) in enumerate(layer.cropping, start=1):
        refuse(before + after > x.shape[axis] - layer._least)
        x = x.take(range(before, x.shape[axis] - after), axis)
    return x


def lanczos(radius: int) -> Callable[[Array], Array]:
    return lambda d: np.where(d < radius, np.sinc(d) * np.sinc(d / radius), 0)


def cubic(d: Array) -> Array:
    near, far = 1.5 * d**3 - 2.5 * d**2 + 1, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


TAPS = {
    "bilinear": lambda d: np.maximum(1 - d, 0), "bicubic": cubic, "lanczos3": lanczos(3), "lanczos5": lanczos(5),
}  # fmt: skip


def shares(before: int, after: int, interpolation: str) -> Array:
    """(after, before): what each output takes of each input, both centred on each other."""
    centre = (np.arange(after)[:, None] + 0.5) * before / after - 0.5
    if interpolation == "nearest":
        nearest = np.floor((np.arange(after) + 0.5) * before / after).astype(int)
        return np.eye(before)[nearest]
    if interpolation == "area":
        edges = np.arange(after + 1) * before / after
        low = np.maximum(edges[:-1, None], np.arange(before))
        high = np.minimum(edges[1:, None], np.arange(1, before + 1))
        return np.maximum(high - low, 0) * after / before
    if interpolation == "bilinear":  # outside the borders their values go on
        centre = np.clip(centre, 0, before - 1)
    if interpolation == "bicubic":
        centre = np.round(centre * 1024) / 1024  # TensorFlow's table has so many offsets
    weights = TAPS[interpolation](abs(centre - np.arange(before)))
    return weights / weights.sum(1, keepdims=True)


def resized(x: Array, sizes: Sequence[int], interpolation: str) -> Array:
    for axis, size in enumerate(sizes, start=1):
        matrix = shares(x.shape[axis], size, interpolation)
        x = np.moveaxis(np.tensordot(matrix, x, (1, axis)), 0, axis)
    return x


def upsampling(layer: Any, w: Any, x: Array) -> Array:
    factors = np.broadcast_to(layer.size, (x.ndim - 2,))
    return resized(x, [n * int(f) for n, f in zip(x.shape[1:-1], factors, strict=True)], layer.interpolation)


def flatten(layer: Any, w: Any, x: Array) -> Array:
    return x.reshape(len(x), -1)


def reshape(layer: Any, w: Any, x: Array) -> Array:
    try:
        return x.reshape(len(x), *layer.target_shape)
    except ValueError:
        raise Refused from None


def permute(layer: Any, w: Any, x: Array) -> Array:
    refuse(x.ndim != len(layer.dims) + 1)
    return x.transpose(0, *layer.dims)


def repeat(layer: Any, w: Any, x: Array) -> Array:
    refuse(x.ndim != 2)
    return np.stack([x] * layer.n, 1)


# Several inputs ---------------------------------------------------------------------------------------------------


def aligned(inputs: Sequence[Array]) -> list[Array]:
    """Missing axes stand behind the batch; refused where sizes do not broadcast."""
    rank = max(x.ndim for x in inputs)
    found = [x.reshape(len(x), *(1,) * (rank - x.ndim), *x.shape[1:]) for x in inputs]
    for sizes in zip(*(x.shape for x in found), strict=True):
        refuse(len({*sizes} - {1}) > 1)
    return found


def merged(reduce: Callable[[list[Array]], Array], count: int | None = None) -> Callable[..., Array]:
    def compute(layer: Any, w: Any, inputs: list[Array]) -> Array:
        refuse(count is not None and len(inputs) != count)
        return reduce(aligned(inputs))

    return compute


def concatenate(layer: Any, w: Any, inputs: list[Array]) -> Array:
    refuse(len({x.ndim for x in inputs}) > 1)
    (axis,) = check_axes([layer.axis], inputs[0].ndim)
    for place, sizes in enumerate(zip(*(x.shape for x in inputs), strict=True)):
        refuse(place != axis and len({*sizes}) > 1)
    return np.concatenate(inputs, axis)


def dot(layer: Any, w: Any, inputs: list[Array]) -> Array:
    refuse(len(inputs) != 2)
    a, b = inputs
    axes = (layer.axes,) * 2 if isinstance(layer.axes, int) else layer.axes
    (i,), (j,) = (check_axes([axis], x.ndim, 1) for axis, x in zip(axes, inputs, strict=True))
    refuse(a.shape[i] != b.shape[j])
    if layer.normalize:
        a, b = (x / np.sqrt(np.maximum((x**2).sum(k, keepdims=True), 1e-12)) for x, k in ((a, i), (b, j)))
    y = np.stack([np.tensordot(one, other, (i - 1, j - 1)) for one, other in zip(a, b, strict=True)])
    return y if y.ndim > 1 else y[:, None]


# Normalization ----------------------------------------------------------------------------------------------------


def along(values: Array | None, axes: Sequence[int], ndim: int, missing: float) -> Any:
    """Weights in the form that broadcasts against the input; as in Keras, read in the order of its axes."""
    if values is None:
        return missing
    shape = [1] * ndim
    for place, axis in enumerate(axes):
        shape[axis] = values.shape[place]
    return values.reshape(shape)


def normalized(x: Array, mean: Any, variance: Any, epsilon: float) -> Array:
    with np.errstate(all="ignore"):
        return (x - mean) / np.sqrt(variance + epsilon)


def several(axis: Any) -> list[int]:
    return [axis] if isinstance(axis, int) else list(axis)


def batch_normalization(layer: Any, w: Any, x: Array, training: bool = False) -> Array:
    """In training also the moving statistics: what they should be afterwards stands in `w.after`."""
    axes = several(layer.axis) if layer.axes is None else list(layer.axes)
    axes = check_axes(axes, x.ndim)
    others = tuple(axis for axis in range(x.ndim) if axis not in axes)

    def spread(values: Array | None, missing: float = 0.0) -> Any:
        return along(values, axes, x.ndim, missing) if layer.axes is None or values is None else values

    always = layer.batch_statistics == "always"
    mean, variance = spread(w.moving_mean), spread(w.moving_variance)
    by_batch = always or (training and (layer.trainable or layer.batch_statistics == "frozen"))
    if by_batch:
        mean, variance = x.mean(others, keepdims=True), x.var(others, keepdims=True)
    r, d = 1.0, 0.0
    if by_batch and layer.renorm:
        limits, deviation = layer.renorm_clipping, np.sqrt(variance + layer.epsilon)
        slow_mean, slow = spread(w.renorm_mean), spread(w.renorm_stddev)
        r, d = deviation / slow, (mean - slow_mean) / slow
        r = np.clip(r, limits.get("rmin"), limits.get("rmax")) if limits.keys() & {"rmin", "rmax"} else r
        d = d if limits.get("dmax") is None else np.clip(d, -limits["dmax"], limits["dmax"])
    if by_batch and training and layer.trainable and not always:
        count, momentum = x.size / math.prod(mean.shape), layer.momentum
        w.after["moving_mean"] = spread(w.moving_mean) * momentum + mean * (1 - momentum)
        factor = 1.0
        if layer.unbiased_variance == "spatial" and x.ndim in (4, 5):
            factor = count / (count - 1) if count > 1 else math.nan
        elif layer.unbiased_variance == "always":
            factor = count / (count - 1 - layer.epsilon) * (count / (count - 1) if x.ndim == 4 and count > 1 else 1)
        if not layer.renorm:
            moved = spread(w.moving_variance) * momentum + variance * factor * (1 - momentum)
            w.after["moving_variance"] = moved
    y = normalized(x, mean, variance, layer.epsilon) * r + d
    return y * spread(w.gamma, 1.0) + spread(w.beta)


def layer_normalization(layer: Any, w: Any, x: Array) -> Array:
    given = sorted(several(layer.axis))
    axes = check_axes(given, x.ndim)
    each = tuple(axes)
    mean, variance = x.mean(each, keepdims=True), x.var(each, keepdims=True)
    if layer.rms_scaling:
        with np.errstate(all="ignore"):
            return x / np.sqrt(variance + layer.epsilon) * along(w.gamma, axes, x.ndim, 1.0)
    y = normalized(x, mean, variance, layer.epsilon)
    return y * along(w.gamma, axes, x.ndim, 1.0) + along(w.beta, axes, x.ndim, 0.0)


def rms_normalization(layer: Any, w: Any, x: Array) -> Array:
    axes = check_axes(sorted(several(layer.axis)), x.ndim)
    square = (x**2).mean(tuple(axes), keepdims=True)
    return normalized(x, 0, square, layer.epsilon) * along(w.scale, axes, x.ndim, 1.0)


def group_normalization(layer: Any, w: Any, x: Array) -> Array:
    (axis,) = check_axes([layer.axis], x.ndim, 1)
    channels = x.shape[axis]
    groups = channels if layer.groups == -1 else layer.groups
    refuse(channels % groups)
    split = np.moveaxis(x, axis, 1).reshape(len(x), groups, -1)
    y = normalized(split, split.mean(-1, keepdims=True), split.var(-1, keepdims=True), layer.epsilon)
    y = np.moveaxis(y.reshape(np.moveaxis(x, axis, 1).shape), 1, axis)
    return y * along(w.gamma, [axis], x.ndim, 1.0) + along(w.beta, [axis], x.ndim, 0.0)


def unit_normalization(layer: Any, w: Any, x: Array) -> Array:
    axes = tuple(check_axes(several(layer.axis), x.ndim))
    return x / np.sqrt(np.maximum((x**2).sum(axes, keepdims=True), 1e-12))


# Recurrence -------------------------------------------------------------------------------------------------------


def simple_step(cell: Any, w: Any, x: Array, states: list[Array]) -> list[Array]:
    return [activated(cell, plus(x @ w.kernel + states[0] @ w.recurrent_kernel, w.bias))]


def lstm_step(cell: Any, w: Any, x: Array, states: list[Array]) -> list[Array]:
    z = plus(x @ w.kernel + states[0] @ w.recurrent_kernel, w.bias)
    i, f, c, o = np.split(z, 4, -1)
    i, f, o = (activated(cell, gate, "recurrent_activation") for gate in (i, f, o))
    memory = f * states[1] + i * activated(cell, c)
    return [o * activated(cell, memory), memory]


def gru_step(cell: Any, w: Any, x: Array, states: list[Array]) -> list[Array]:
    (h,), units = states, cell.units
    bias = w.bias if w.bias is not None else np.zeros((2, 3 * units) if cell.reset_after else 3 * units)
    of_input, of_state = bias if cell.reset_after else (bias, np.zeros(3 * units))
    a = np.split(x @ w.kernel + of_input, 3, -1)
    b = np.split(h @ w.recurrent_kernel + of_state, 3, -1)
    z, r = (activated(cell, a[k] + b[k], "recurrent_activation") for k in (0, 1))
    last = r * b[2] if cell.reset_after else (r * h) @ w.recurrent_kernel[:, 2 * units :]
    return [z * h + (1 - z) * activated(cell, a[2] + last)]


STEPS = {"SimpleRNNCell": simple_step, "LSTMCell": lstm_step, "GRUCell": gru_step}


def one_step(cell: Any, w: Any, x: Array, states: list[Any]) -> list[Any]:
    """The states of a cell, or of a stack of them, after a step; the first of the last cell is the output."""
    if not hasattr(cell, "cells"):
        return STEPS[kind_of(cell, STEPS)](cell, w, x, states)
    found = []
    for inner, state in zip(cell.cells, states, strict=True):
        found.append(one_step(inner, w.of(inner), x, state))
        x = found[-1][0]
    return found


def kind_of(layer: Any, table: dict[str, Any]) -> str:
    """The class of a layer, or the one it is derived from, that stands in a table."""
    return next(cls.__name__ for cls in type(layer).__mro__ if cls.__name__ in table)


def cell_call(layer: Any, w: Any, x: Array, states: Any) -> Any:
    found = one_step(layer, w, x, states)
    return [(found[-1] if hasattr(layer, "cells") else found)[0], found]


def zeros(cell: Any, x: Array) -> list[Any]:
    if hasattr(cell, "cells"):
        return [zeros(inner, x) for inner in cell.cells]
    sizes = cell.state_size if isinstance(cell.state_size, list) else [cell.state_size]
    return [np.zeros((len(x), size)) for size in sizes]


def chosen(mask: Array, new: Any, old: Any) -> Any:
    if isinstance(new, list):
        return [chosen(mask, a, b) for a, b in zip(new, old, strict=True)]
    return np.where(mask.reshape(-1, *(1,) * (new.ndim - 1)), new, old)


def leaves(structure: Any) -> list[Array]:
    return [leaf for item in structure for leaf in leaves(item)] if isinstance(structure, list) else [structure]


def recurrent(layer: Any, w: Any, x: Array, mask: Array | None = None, initial_state: Any = None) -> Any:
    """Step by step. A masked step leaves the states, and the output before it, which is zeros at first."""
    cell = layer.cell
    inner = w.of(cell)
    order = range(x.shape[1])[::-1] if layer.go_backwards else range(x.shape[1])
    states = zeros(cell, x) if initial_state is None else initial_state
    last, outputs = None, []
    for t in order:
        new = one_step(cell, inner, x[:, t], states)
        y = (new[-1] if hasattr(cell, "cells") else new)[0]
        if mask is not None:
            new = chosen(mask[:, t], new, states)
            before = np.zeros_like(y) if last is None or layer.zero_output_for_mask else last
            y = chosen(mask[:, t], y, before)
        states, last = new, y
        steady(*leaves(states))
        outputs.append(y)
    output = np.stack(outputs, 1) if layer.return_sequences else last
    return [output, *leaves(states)] if layer.return_state else output


def conv_lstm(layer: Any, w: Any, x: Array) -> Any:
    """Its products are convolutions, those of the state of size 1 steps and padding "same"."""
    cell, inner = layer.cell, w.of(layer.cell)
    ones = (1,) * len(cell.kernel_size)

    def products(step: Array) -> Array:
        return plus(convolved(Windows(step, *windowed), inner.kernel), inner.bias)

    windowed = cell.kernel_size, cell.strides, cell.dilation_rate, cell.padding
    h = c = np.zeros((*products(x[:, 0]).shape[:-1], cell.filters))
    outputs = []
    for t in range(x.shape[1])[::-1] if layer.go_backwards else range(x.shape[1]):
        z = products(x[:, t]) + convolved(Windows(h, cell.kernel_size, ones, ones, "same"), inner.recurrent_kernel)
        i, f, g, o = np.split(z, 4, -1)
        i, f, o = (activated(cell, gate, "recurrent_activation") for gate in (i, f, o))
        c = f * c + i * activated(cell, g)
        h = o * activated(cell, c)
        steady(h, c)
        outputs.append(h)
    output = np.stack(outputs, 1) if layer.return_sequences else h
    return [output, h, c] if layer.return_state else output


def bidirectional(layer: Any, w: Any, x: Array, mask: Array | None = None) -> Any:
    ends, outputs = [], []
    for inner in (layer.forward_layer, layer.backward_layer):
        found = recurrent(inner, w.of(inner), x, mask)
        output, *states = found if isinstance(found, list) else [found]
        outputs.append(output)
        ends += states
    forward, backward = outputs
    if layer.return_sequences:
        backward = backward[:, ::-1]
    merge = {"concat": lambda a, b: np.concatenate([a, b], -1), "sum": np.add, "mul": np.multiply}
    if layer.merge_mode is None:
        return [forward, backward, *ends]
    y = (forward + backward) / 2 if layer.merge_mode == "ave" else merge[layer.merge_mode](forward, backward)
    return [y, *ends] if ends else y


def time_distributed(layer: Any, w: Any, x: Array) -> Array:
    refuse(x.ndim < 3)
    inner = layer.layer
    compute = dense if type(inner).__name__ == "Dense" else flatten
    return np.stack([compute(inner, w.of(inner), x[:, t]) for t in range(x.shape[1])], 1)


# Attention --------------------------------------------------------------------------------------------------------


def attended(scores: Array, value: Array, allowed: Array | None) -> tuple[Array, Array]:
    if allowed is not None:
        scores = np.where(allowed, scores, -np.inf)
    weights = softmax(scores)
    return weights @ value, weights


def attention(
    layer: Any, w: Any, inputs: list[Array], mask: Any = None, use_causal_mask: bool = False,
    return_attention_scores: bool = False,
) -> Any:  # fmt: skip
    query, value, key = (*inputs, inputs[1])[:3]
    if "Additive" in type(layer).__name__:
        sums = np.tanh(query[:, :, None] + key[:, None])
        scores = (sums if w.scale is None else sums * w.scale).sum(-1)
    elif layer.score_mode == "concat":
        sums = query[:, :, None] + key[:, None]
        scores = w.concat_score_weight * np.tanh(sums if w.scale is None else sums * w.scale).sum(-1)
    else:
        scores = query @ key.swapaxes(1, 2) * (1 if w.scale is None else w.scale)
    allowed = np.ones(scores.shape, bool)
    if mask is not None and mask[1] is not None:
        allowed &= mask[1][:, None]
    if use_causal_mask:
        allowed &= np.tri(*scores.shape[1:], dtype=bool)
    y, weights = attended(scores, value, allowed)
    if mask is not None and mask[0] is not None:
        y = y * mask[0][..., None]
    return [y, weights] if return_attention_scores else y


def heads_attention(
    layer: Any, w: Any, query: Array, value: Array, key: Array | None = None, attention_mask: Array | None = None,
    use_causal_mask: bool = False, return_attention_scores: bool = False,
) -> Any:  # fmt: skip
    """Head by head, over the second axis of inputs (batch, steps, features)."""
    key = value if key is None else key

    def project(name: str, x: Array) -> Array:
        inner = w.of(getattr(layer, name))
        return plus(np.einsum("nti,iho->nhto", x, inner.kernel), None if inner.bias is None else inner.bias[:, None])

    q, k, v = project("_query_dense", query), project("_key_dense", key), project("_value_dense", value)
    times = q.shape[1] // k.shape[1]
    k, v = k.repeat(times, 1), v.repeat(times, 1)
    scores = q @ k.swapaxes(2, 3) / math.sqrt(q.shape[-1])
    allowed = np.ones(scores.shape, bool)
    if attention_mask is not None:
        allowed &= attention_mask[:, None]
    if use_causal_mask:
        allowed &= np.tri(*scores.shape[2:], dtype=bool)
    if layer.sliding_window is not None:
        t, s = np.indices(scores.shape[2:])
        allowed &= abs(t - s) < layer.sliding_window
    y, weights = attended(scores, v, allowed)
    if layer.use_gate:
        y = y * sigmoid(project("_gate_dense", query))
    out = w.of(layer._output_dense)
    y = plus(np.einsum("nhto,ho...->nt...", y, out.kernel), out.bias)
    return [y, weights] if return_attention_scores else y


# Preparing --------------------------------------------------------------------------------------------------------


def rescaling(layer: Any, w: Any, x: Array) -> Array:
    return x * layer.scale + layer.offset


def normalization(layer: Any, w: Any, x: Array) -> Array:
    """The deviation is at least epsilon, 1e-7."""
    axes = sorted(check_axes(list(layer.axis), x.ndim))
    if layer.input_mean is None:
        mean, variance = (along(v, axes, x.ndim, 0.0) for v in (w.adapt_mean, w.adapt_variance))
    else:
        mean, variance = layer.input_mean, layer.input_variance
    deviation = np.maximum(np.sqrt(variance), 1e-7)
    return x * deviation + mean if layer.invert else (x - mean) / deviation


def encoded(indices: Array, mode: str, depth: int) -> Array:
    if mode == "int":
        return indices
    rows = np.concatenate([np.eye(depth), np.zeros((1, depth))])  # the last one for what counts nowhere
    indices = np.where(indices < 0, depth, indices)
    if mode == "one_hot":
        squeezed = indices[..., 0] if indices.ndim > 1 and indices.shape[-1] == 1 else indices
        return rows[squeezed]
    counts = rows[indices].sum(min(1, indices.ndim - 1))
    return counts if mode == "count" else np.minimum(counts, 1)


def category_encoding(layer: Any, w: Any, ids: Array) -> Array:
    ids = ids.astype(int)
    refuse((ids >= layer.num_tokens).any())
    return encoded(ids, layer.output_mode, layer.num_tokens)


def discretization(layer: Any, w: Any, x: Array) -> Array:
    bins = (x[..., None] >= np.array(layer.bin_boundaries)).sum(-1)
    return encoded(bins, layer.output_mode, len(layer.bin_boundaries) + 1)


def to_ratio(x: Array, target: tuple[int, int]) -> Array:
    """The middle of pictures (..., height, width, channels) that has the aspect ratio of `target`."""
    height, width = x.shape[-3:-1]
    rows = max(min(height, int(width * target[0] / target[1])), 1)
    columns = max(min(width, int(height * target[1] / target[0])), 1)
    top, left = (height - rows) // 2, (width - columns) // 2
    return x[..., top : top + rows, left : left + columns, :]


def center_crop(layer: Any, w: Any, x: Array) -> Array:
    """Smaller pictures are enlarged."""
    target = layer.height, layer.width
    top, left = (int((have - want) / 2) for have, want in zip(x.shape[-3:-1], target, strict=True))
    if x.shape[-3] < layer.height or x.shape[-2] < layer.width:
        return resized(to_ratio(x, target), target, "bilinear")
    return x[..., top : top + layer.height, left : left + layer.width, :]


def resizing(layer: Any, w: Any, x: Array) -> Array:
    target = layer.height, layer.width
    return resized(to_ratio(x, target) if layer.crop_to_aspect_ratio else x, target, layer.interpolation)


def same(layer: Any, w: Any, x: Array, **kwargs: Any) -> Array:
    return x


def masking(layer: Any, w: Any, x: Array) -> Array:
    return x * (x != layer.mask_value).any(-1, keepdims=True)


def pipeline(layer: Any, w: Any, x: Array) -> Array:
    for inner in layer.layers:
        x = {"Dense": dense, "ReLU": relu_layer}[type(inner).__name__](inner, w.of(inner), x)
    return x


def products_of(values: Sequence[Array]) -> Array:
    return list(itertools.accumulate(values, np.multiply))[-1]
