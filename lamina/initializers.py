"""Initializers: the first values of a weight, as `initializer(shape, dtype=None) -> tensor`.

Values come on torch's default device. An initializer gives the same values at every call: without a seed it takes one
from torch's global stream, which `set_random_seed` governs, at its first call. A `SeedGenerator` goes on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.signal.windows import general_cosine

from .core import config
from .core import serialize as objects
from .core.declare import Declared, Kind, Refused, arg, as_integer, as_seed, boolean, fixed, looked_up, number, one_of
from .core.dtypes import dtype_name, is_float, torch_dtype
from .core.random import SeedGenerator

__all__ = [
    "STFT", "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity", "IdentityInitializer",
    "Initializer", "LecunNormal", "LecunUniform", "Ones", "Orthogonal", "OrthogonalInitializer", "RandomNormal",
    "RandomUniform", "STFTInitializer", "TruncatedNormal", "VarianceScaling", "Zeros", "constant", "deserialize",
    "get", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "identity", "lecun_normal",
    "lecun_uniform", "ones", "orthogonal", "random_normal", "random_uniform", "serialize", "stft",
    "truncated_normal", "variance_scaling", "zeros",
]  # fmt: skip


class Initializer(Declared):
    """The first values of a weight; subclasses write `__call__(shape, dtype=None)`."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no `__call__(self, shape, dtype=None)` method.")

    def clone(self) -> Initializer:
        """A new initializer with the same arguments."""
        return type(self).from_config(self.get_config())


def _sizes(owner: Any, shape: Any) -> tuple[int, ...]:
    try:
        sizes = tuple(map(as_integer, (shape,) if isinstance(shape, int) else shape))
    except (Refused, TypeError):
        sizes = (-1,)
    if any(size < 0 for size in sizes):
        raise ValueError(f"{type(owner).__name__}: `shape` must consist of known, non-negative sizes; got {shape!r}.")
    return sizes


def _dtype(dtype: Any) -> torch.dtype:
    return torch_dtype(config.floatx() if dtype is None else dtype)


# Fixed values ---------------------------------------------------------------------------------------------------------


class Zeros(Initializer):
    """All 0."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        return torch.zeros(_sizes(self, shape), dtype=_dtype(dtype))


class Ones(Initializer):
    """All 1."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        return torch.ones(_sizes(self, shape), dtype=_dtype(dtype))


def _convert_values(value: Any, owner: Any) -> Any:
    """A Python number, or an array, a tensor or nested lists of numbers as they are."""
    if isinstance(value, Mapping):
        value = objects.deserialize(value)
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, Tensor) and np.asarray(value).dtype.kind not in "biufc":
        raise Refused
    return value.detach().clone() if isinstance(value, Tensor) else value


_values = Kind("a number or an array of numbers", _convert_values, good=(0.5, [1.0, 2.0]), bad=("a", None, ["a"]))


class Constant(Initializer):
    """One number everywhere, or an array that is repeated along missing axes and axes of size 1."""

    value: Any = arg(_values, default=0.0)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        sizes, dtype = _sizes(self, shape), _dtype(dtype)
        if isinstance(self.value, (bool, int, float, complex)):
            return torch.full(sizes, self.value, dtype=dtype)
        values = torch.as_tensor(self.value, dtype=dtype, device=torch.get_default_device())
        try:
            return values.detach().expand(sizes).clone(memory_format=torch.contiguous_format)
        except RuntimeError:
            raise ValueError(
                f"{type(self).__name__}: an array of shape {tuple(values.shape)} does not fill the shape {sizes}."
            ) from None


class Identity(Initializer):
    """A matrix with `gain` on its diagonal, else 0."""

    # Not in the config, as in Keras.
    gain: float = arg(number(), default=1.0, config=False, doc="The value on the diagonal.")

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        sizes = _sizes(self, shape)
        if len(sizes) != 2:
            raise ValueError(f"{type(self).__name__}: `shape` must have two axes; got {shape!r}.")
        return torch.eye(*sizes, dtype=_dtype(dtype)) * self.gain


# Coefficients of `sum((-1)**k * a[k] * cos(2 pi k t))`; scipy.signal calls these windows by the same names.
_COSINE_SUMS = {
    "boxcar": (1.0,),
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
    "nuttall": (0.3635819, 0.4891775, 0.1365995, 0.0106411),
    "blackmanharris": (0.35875, 0.48829, 0.14128, 0.01168),
    "flattop": (0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368),
}


def _convert_window(value: Any, owner: Any) -> Any:
    if isinstance(value, str) and value not in _COSINE_SUMS:
        try:
            from scipy.signal import get_window

            get_window(value, 1)
        except (ImportError, ValueError):
            hint = "With scipy installed any window of scipy.signal has its name; or pass an array of its values."
            raise Refused(hint) from None
    return value if value is None or isinstance(value, str) else _convert_values(value, owner)


_window = Kind(
    f"None, an array or one of {', '.join(_COSINE_SUMS)}",
    _convert_window,
    good=("hann", None, [1.0, 2.0]),
    bad=("no-such-window", ["a"]),
)


class STFT(Initializer):
    """Real or imaginary part of a windowed Fourier transform, as a Conv1D kernel (frame, 1, bins // 2 + 1)."""

    side: str = arg(one_of("real", "imag"), default="real", doc="The part.")
    window: Any = arg(_window, default="hann", doc="Multiplies the frame.")
    scaling: str | None = arg(
        one_of("density", "spectrum").optional(), default="density", doc="Divides by the window's L2 or L1 norm."
    )
    periodic: bool = arg(boolean, default=False, doc="Whether the window goes on with the next frame.")

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        sizes = _sizes(self, shape)
        if len(sizes) != 3:
            raise ValueError(f"{type(self).__name__}: `shape` must be (frame, 1, bins // 2 + 1); got {shape!r}.")
        time = torch.arange(sizes[0], dtype=torch.float64).reshape(-1, 1, 1)
        turns = time * torch.arange(sizes[2], dtype=torch.float64) / max(2 * (sizes[2] - 1), 1)
        kernel = torch.cos(2 * math.pi * turns) if self.side == "real" else -torch.sin(2 * math.pi * turns)
        if self.window is not None:
            window = self._window_values(sizes[0])
            norm = {"density": 2, "spectrum": 1}.get(self.scaling or "")
            kernel = kernel * window.reshape(-1, 1, 1) / (torch.linalg.vector_norm(window, norm) if norm else 1.0)
        return kernel.to(_dtype(dtype))

    def _window_values(self, length: int) -> Tensor:
        coefficients = _COSINE_SUMS.get(self.window) if isinstance(self.window, str) else None
        if coefficients is not None:
            return general_cosine(length, a=coefficients, sym=not self.periodic, dtype=torch.float64)
        if isinstance(self.window, str):
            from scipy.signal import get_window

            return torch.as_tensor(get_window(self.window, length, self.periodic), dtype=torch.float64)
        values = torch.as_tensor(self.window, dtype=torch.float64, device=torch.get_default_device())
        if values.shape != (length,):
            raise ValueError(
                f"{type(self).__name__}: `window` must hold one value for each of the {length} steps of a frame; "
                f"got shape {tuple(values.shape)}."
            )
        return values


# Random values --------------------------------------------------------------------------------------------------------


_seed = Kind("an integer or a SeedGenerator", lambda value, owner: as_seed(value), good=(3,), bad=("a", 1.5)).optional()
_SEED_DOC = "Makes the values repeatable."


class _Random(Initializer):
    """Draws floats; half types are drawn in float32 and rounded. Subclasses have a `seed`."""

    _taken = None  # the seed, where none was given

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        sizes, dtype = _sizes(self, shape), _dtype(dtype)
        if not is_float(dtype):
            raise ValueError(f"{type(self).__name__}: `dtype` must be a float type; got {dtype_name(dtype)!r}.")
        values = torch.empty(sizes, dtype=torch.promote_types(dtype, torch.float32))
        return self._fill(values, self._stream(values)).to(dtype)

    def _stream(self, values: Tensor) -> torch.Generator | None:
        """What to draw `values` from; None where they are only tried out."""
        if values.is_meta or type(values) is not Tensor:
            return None
        seed = vars(self)["seed"]
        if isinstance(seed, SeedGenerator):
            return seed.on(values.device)
        return torch.Generator(values.device).manual_seed(self._take_seed() if seed is None else seed)

    def _take_seed(self) -> int:
        if self._taken is None:
            self._taken = int(torch.randint(2**31, (), device="cpu"))
        return self._taken

    def _fill(self, values: Tensor, stream: torch.Generator | None) -> Tensor:
        """Random values in the place of the undefined `values`."""
        raise NotImplementedError


def _anew(initializer: Any) -> Any:
    """An initializer like this one that draws values of its own, unless a seed tells which."""
    return initializer.clone() if isinstance(initializer, _Random) else initializer


def _fill_truncated(values: Tensor, stream: torch.Generator | None) -> Tensor:
    """Normal values between -2 and 2."""
    return torch.nn.init.trunc_normal_(values, 0.0, 1.0, -2.0, 2.0, generator=stream)


class RandomNormal(_Random):
    """Normally distributed values."""

    mean: float = arg(number(), default=0.0)
    stddev: float = arg(number(0), default=0.05)
    seed: int | SeedGenerator | None = arg(_seed, default=None, doc=_SEED_DOC)

    def _fill(self, values: Tensor, stream: torch.Generator | None) -> Tensor:
        return values.normal_(self.mean, self.stddev, generator=stream)


class TruncatedNormal(_Random):
    """Normally distributed values, none of them further than two `stddev` from `mean`."""

    mean: float = arg(number(), default=0.0)
    stddev: float = arg(number(0), default=0.05, doc="That of the distribution before it is cut.")
    seed: int | SeedGenerator | None = arg(_seed, default=None, doc=_SEED_DOC)

    def _fill(self, values: Tensor, stream: torch.Generator | None) -> Tensor:
        return _fill_truncated(values, stream).mul_(self.stddev).add_(self.mean)


class RandomUniform(_Random):
    """Evenly distributed values from `minval` to below `maxval`."""

    minval: float = arg(number(), default=-0.05)
    maxval: float = arg(number(), default=0.05)
    seed: int | SeedGenerator | None = arg(_seed, default=None, doc=_SEED_DOC)

    def _fill(self, values: Tensor, stream: torch.Generator | None) -> Tensor:
        return values.uniform_(*sorted((self.minval, self.maxval)), generator=stream)


def _convert_distribution(value: Any, owner: Any) -> str:
    return _distributions.convert("truncated_normal" if value == "normal" else value, owner)


def _convert_axes(value: Any, owner: Any) -> tuple[int, ...] | None:
    return value if value is None else tuple(map(as_integer, value if isinstance(value, (list, tuple)) else (value,)))


_scale = number(0, above=True)
_modes = one_of("fan_in", "fan_out", "fan_avg")
_distributions = one_of("truncated_normal", "untruncated_normal", "uniform")
_distribution = Kind(
    _distributions.expected, _convert_distribution, good=("normal", *_distributions.good), bad=_distributions.bad
)
_axes = Kind(
    "integers or None",
    _convert_axes,
    dump=lambda axes: None if axes is None else list(axes),
    good=(None, (0,), [0, 1]),
    bad=("a", 0.5, (0, "a")),
)
_CUT_STDDEV = 0.87962566103423978  # standard deviation of a normal distribution cut at two of its own


class VarianceScaling(_Random):
    """Values around 0 whose variance is `scale` divided by a fan: the number of inputs or outputs of a unit.

    A kernel (*window, in, out) has the fans `in` and `out`, each times the size of the window, unless `input_axes`
    and `output_axes` together say which axes to multiply.
    """

    scale: float = arg(_scale, default=1.0, doc="The variance times the fan.")
    mode: str = arg(_modes, default="fan_in", doc="Which fan, or their mean.")
    distribution: str = arg(_distribution, default="truncated_normal", doc="The shape of the distribution.")
    seed: int | SeedGenerator | None = arg(_seed, default=None, doc=_SEED_DOC)
    input_axes: tuple[int, ...] | None = arg(_axes, default=None, doc="Axes that count as inputs.")
    output_axes: tuple[int, ...] | None = arg(_axes, default=None, doc="Axes that count as outputs.")

    def _fill(self, values: Tensor, stream: torch.Generator | None) -> Tensor:
        fan_in, fan_out = _fans(tuple(values.shape), self.input_axes, self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        stddev = math.sqrt(self.scale / max(fan, 1))
        if self.distribution == "uniform":
            limit = math.sqrt(3) * stddev
            return values.uniform_(-limit, limit, generator=stream)
        if self.distribution == "untruncated_normal":
            return values.normal_(0.0, stddev, generator=stream)
        return _fill_truncated(values, stream).mul_(stddev / _CUT_STDDEV)


def _fans(
    shape: tuple[int, ...], input_axes: tuple[int, ...] | None = None, output_axes: tuple[int, ...] | None = None
) -> tuple[int, int]:
    """Inputs and outputs of a unit with weights of that shape."""
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[axis] for axis in input_axes), math.prod(shape[axis] for axis in output_axes)
    if len(shape) < 2:
        return math.prod(shape), math.prod(shape)
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


class GlorotUniform(VarianceScaling):
    """Evenly distributed, variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010)."""

    scale, mode, distribution = fixed(1.0), fixed("fan_avg"), fixed("uniform")


class GlorotNormal(VarianceScaling):
    """Normal, cut at two standard deviations, variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010)."""

    scale, mode, distribution = fixed(1.0), fixed("fan_avg"), fixed("truncated_normal")


class LecunNormal(VarianceScaling):
    """Normal, cut at two standard deviations, variance 1 / fan_in (LeCun et al., 1998)."""

    scale, mode, distribution = fixed(1.0), fixed("fan_in"), fixed("truncated_normal")


class LecunUniform(VarianceScaling):
    """Evenly distributed, variance 1 / fan_in (LeCun et al., 1998)."""

    scale, mode, distribution = fixed(1.0), fixed("fan_in"), fixed("uniform")


class HeNormal(VarianceScaling):
    """Normal, cut at two standard deviations, variance 2 / fan_in (He et al., 2015)."""

    scale, mode, distribution = fixed(2.0), fixed("fan_in"), fixed("truncated_normal")


class HeUniform(VarianceScaling):
    """Evenly distributed, variance 2 / fan_in (He et al., 2015)."""

    scale, mode, distribution = fixed(2.0), fixed("fan_in"), fixed("uniform")


class Orthogonal(_Random):
    """Orthonormal columns, or rows where those are fewer, times `gain`; all axes but the last count as rows.

    Saxe et al., 2014.
    """

    gain: float = arg(number(), default=1.0, doc="Multiplies the orthonormal vectors.")
    seed: int | SeedGenerator | None = arg(_seed, default=None, doc=_SEED_DOC)

    def _fill(self, values: Tensor, stream: torch.Generator | None) -> Tensor:
        if values.ndim < 2:
            raise ValueError(f"{type(self).__name__}: `shape` must have at least two axes; got {tuple(values.shape)}.")
        rows, columns = math.prod(values.shape[:-1]), values.shape[-1]
        draw = values.new_empty(max(rows, columns), min(rows, columns)).normal_(generator=stream)
        q, r = torch.linalg.qr(draw)
        q = q * torch.sign(r.diagonal())  # without it the draw would not be uniform among orthogonal matrices
        return (self.gain * (q if rows >= columns else q.T)).reshape(values.shape).contiguous()


zeros = Zeros
ones = Ones
constant = Constant
identity = IdentityInitializer = Identity
stft = STFTInitializer = STFT
random_normal = RandomNormal
random_uniform = RandomUniform
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
glorot_uniform = GlorotUniform
glorot_normal = GlorotNormal
lecun_normal = LecunNormal
lecun_uniform = LecunUniform
he_normal = HeNormal
he_uniform = HeUniform
orthogonal = OrthogonalInitializer = Orthogonal

_ALIASES = {"zero": "zeros", "one": "ones", "uniform": "random_uniform", "normal": "random_normal"}


def get(identifier: Any) -> Any:
    """The initializer that a name, a config, an array, a class or a callable stands for; None for None.

    Raises ValueError if unknown.
    """
    if identifier is None:
        return None
    if isinstance(identifier, (Tensor, np.ndarray, np.generic)):
        return Constant(identifier)
    return objects.lookup(identifier, "keras.initializers", "initializer", _ALIASES)


def serialize(initializer: Any) -> Any:
    """The config of an initializer."""
    return objects.serialize(initializer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """What `serialize` described."""
    with objects.custom_object_scope(custom_objects or {}):
        return get(config)


initializer = Kind(
    "the name of an initializer or an initializer",
    looked_up(get),
    good=(None, "zeros", "glorot_uniform", Constant(0.5)),
    bad=("no-such-initializer", 3.5),
    none_is_default=True,
)
