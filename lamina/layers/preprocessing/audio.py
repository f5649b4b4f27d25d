"""Layers from sound to spectra."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ...core import config
from ...core.declare import Kind, arg, boolean, integer, listed, number, one_of
from ...core.errors import named, show_shape
from ...core.layer import Layer
from ...core.weight import weight
from ...initializers import STFT
from ...kernels import window
from ..arguments import DataFormat
from ..spatial import Spatial

__all__ = ["MelSpectrogram", "STFTSpectrogram"]


def mel_weights(bins: int, low: float, high: float, frequencies: int, top: float) -> Tensor:
    """(frequencies, bins): triangles that stand side by side on the mel scale, of frequencies from 0 to `top` hertz."""
    hertz = torch.linspace(0.0, top, frequencies, dtype=torch.float64)
    mel, edges = (1127 * torch.log1p(each / 700) for each in (hertz, torch.tensor([low, high], dtype=torch.float64)))
    corners = torch.linspace(edges[0].item(), edges[1].item(), bins + 2, dtype=torch.float64)
    left, middle, right = corners[:-2], corners[1:-1], corners[2:]
    rising, falling = (mel[:, None] - left) / (middle - left), (right - mel[:, None]) / (right - middle)
    weights = torch.minimum(rising, falling).clamp(min=0)
    weights[0] = 0
    return weights


class MelSpectrogram(Layer):
    """Loudness over time of bands that are equally wide to the ear. Input (time,) or (batch, time), output
    (..., num_mel_bins, frames).

    Raises ValueError where a frame is longer than `fft_length`.
    """

    fft_length: int = arg(integer(1), default=2048, doc="Length of the transform.")
    sequence_stride: int = arg(integer(1), default=512, doc="Steps between frames.")
    sequence_length: int | None = arg(integer(1).optional(), default=None, doc="Length of a frame; None: `fft_length`.")
    window: str = arg(one_of("hann", "hamming"), default="hann", doc="Multiplies a frame.")
    sampling_rate: float = arg(number(0), default=16000, doc="Samples a second.")
    num_mel_bins: int = arg(integer(1), default=128, doc="How many bands.")
    min_freq: float = arg(number(0), default=20.0, doc="Where the lowest begins, in hertz.")
    max_freq: float | None = arg(number(0).optional(), default=None, doc="Where the highest ends; None: half the rate.")
    power_to_db: bool = arg(boolean, default=True, doc="Give decibels.")
    top_db: float = arg(number(0), default=80.0, doc="What is quieter than the loudest by more, is so by this.")
    mag_exp: float = arg(number(0), default=2.0, doc="Power of the magnitude: 1 for it itself, 2 for the energy.")
    min_power: float = arg(number(0), default=1e-10, doc="Least energy that is told from silence.")
    ref_power: float = arg(number(), default=1.0, doc="What is 0 decibels.")
    _takes_integers = False

    def check(self) -> None:
        length = vars(self)["sequence_length"] = self.sequence_length or self.fft_length
        highest = vars(self)["max_freq"] = self.max_freq or int(self.sampling_rate / 2)
        if self.fft_length < length:
            raise ValueError(
                f"{type(self).__name__}: `fft_length` must be greater than or equal to `sequence_length`; "
                f"got {self.fft_length} and {length}."
            )
        bands = self.num_mel_bins, self.min_freq, highest, self.fft_length // 2 + 1, self.sampling_rate / 2
        vars(self)["_weights_of_bands"] = mel_weights(*bands)

    def _set_attribute(self, name: str, value: Any) -> None:
        super()._set_attribute(name, value)
        if name in self._args and "_weights_of_bands" in vars(self):
            self.check()

    def call(self, inputs: Tensor) -> Tensor:
        from ...ops.math import stft  # brings all operations along

        if inputs.ndim == 2 and not inputs.shape[0]:  # torch transforms no empty batch
            return self.call(inputs.new_zeros(1, inputs.shape[1]))[:0]
        if not inputs.ndim or inputs.shape[-1] <= self.fft_length // 2:
            raise ValueError(
                f"{named(self)}: a signal needs more than {self.fft_length // 2} steps, half of `fft_length`; "
                f"got shape {show_shape(inputs.shape)}. Pad it, or take a smaller `fft_length`."
            )
        exact = torch.promote_types(inputs.dtype, torch.float32)
        given = inputs.to(exact)
        assert self.sequence_length is not None
        parts = stft(given, self.sequence_length, self.sequence_stride, self.fft_length, self.window)
        energy = parts[0].square() + parts[1].square()
        power = energy if self.mag_exp == 2 else energy.pow(self.mag_exp / 2)
        bands = power @ self._weights_of_bands.to(power.device, exact)
        if self.power_to_db:
            bands = 10 * bands.clamp(min=self.min_power).log10()
            bands = bands - 10 * math.log10(max(abs(self.ref_power), self.min_power))
            if bands.numel():
                bands = torch.maximum(bands, bands.amax() - self.top_db)
        return bands.mT.to(inputs.dtype)


def _values_of_window(value: Any, owner: Any) -> Any:
    if value is None or isinstance(value, str):
        return _of_initializer.convert(value, owner)
    return tuple(number().convert(item, owner) for item in listed(value))


_of_initializer = STFT._args["window"].kind
_window = Kind(_of_initializer.expected, _values_of_window, good=("hamming", None), bad=("no-such-window", ["a"], 3))
_length = Kind("a positive integer", integer(1).convert, bad=("3", 2.5, 0)).optional()


def _kernel(part: str, other: str) -> weight:
    """The kernel of the real or imaginary part, where not the other one alone is given."""

    def initializer(layer: Any) -> STFT:
        return STFT(part, layer.window, layer.scaling, layer.periodic)

    return weight("frame_length", "one", "_bins", when=lambda layer: layer.mode != other, initializer=initializer)


class STFTSpectrogram(DataFormat, Spatial):
    """Spectra of overlapping frames, by kernels that can be trained. Input (batch, time, channels), output
    (batch, frames, channels * frequencies), or with `expand_dims` (batch, frames, frequencies, channels).

    Raises ValueError for a step longer than a frame and for a frame longer than the transform.
    """

    rank = 1
    mode: str = arg(
        one_of("log", "magnitude", "psd", "real", "imag", "angle", "stft"), default="log", doc="What is given."
    )
    frame_length: int = arg(integer(1), default=256, doc="Length of a frame.")
    frame_step: int | None = arg(integer(1).optional(), default=None, doc="Steps between frames; None: half a frame.")
    fft_length: int | None = arg(_length, default=None, doc="Length of the transform; None: the next power of 2.")
    window: Any = arg(_window, default="hann", doc="Multiplies a frame.")
    periodic: bool = arg(boolean, default=False, doc="Whether the window goes on with the next frame.")
    scaling: str | None = arg(
        one_of("density", "spectrum").optional(), default="density", doc="Divides by the window's L2 or L1 norm."
    )
    padding: str = arg(one_of("valid", "same"), default="valid")
    expand_dims: bool = arg(boolean, default=False, doc="Give channels an axis of their own.")
    _order = ("mode", "frame_length", "frame_step", "fft_length", "window", "periodic", "scaling", "padding",
              "expand_dims", "data_format")  # fmt: skip
    _takes_integers = False
    real_kernel, imag_kernel = _kernel("real", "imag"), _kernel("imag", "real")

    def check(self) -> None:
        step = self.frame_step or max(self.frame_length // 2, 1)
        length = self.fft_length or 2 ** math.ceil(math.log2(self.frame_length))
        for what, large, small in (("frame_step", self.frame_length, step), ("fft_length", length, self.frame_length)):
            if large < small:
                than = "at most" if what == "frame_step" else "at least"
                raise ValueError(
                    f"{type(self).__name__}: argument `{what}` must be {than} `frame_length`, {self.frame_length}; "
                    f"got {getattr(self, what)}."
                )
        if isinstance(self.window, tuple) and len(self.window) != self.frame_length:
            raise ValueError(
                f"{type(self).__name__}: argument `window` must hold one value for each of the {self.frame_length} "
                f"steps of a frame; got {len(self.window)}."
            )
        vars(self).update(_step=step, _bins=length // 2 + 1)

    def build(self, input_shape: tuple) -> None:
        self.channels(input_shape)
        self.fix_input(input_shape)
        self.make_weights(one=1)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        channels, (steps,) = self.channels(input_shape), self.spatial(input_shape)
        frames = None if steps is None else window.output_size(steps, self.frame_length, self._step, self.padding)
        bins = self._bins * (2 if self.mode == "stft" else 1)
        if not self.expand_dims:
            return self.with_spatial(input_shape, (frames,), channels * bins)
        return (
            (input_shape[0], frames, bins, channels) if self.channels_last else (input_shape[0], channels, frames, bins)
        )

    def call(self, inputs: Tensor) -> Tensor:
        x = inputs.mT if self.channels_last else inputs
        if self.mode == "real":
            y = self._transformed(x, self.real_kernel)
        elif self.mode == "imag":
            y = self._transformed(x, self.imag_kernel)
        else:
            y = self._combined(self._transformed(x, self.real_kernel), self._transformed(x, self.imag_kernel))
        if self.expand_dims:  # y is (batch, channels, frequencies, frames)
            return y.permute(0, 3, 2, 1) if self.channels_last else y.mT
        return y.flatten(1, 2).mT if self.channels_last else y.flatten(1, 2)

    def _transformed(self, x: Tensor, kernel: Tensor) -> Tensor:
        if self.padding == "same":
            x = functional.pad(x, window.pads(x.shape[2], self.frame_length, self._step, "same"))
        batch, channels, steps = x.shape
        y = torch.conv1d(x.reshape(batch * channels, 1, steps), kernel.permute(2, 1, 0), stride=self._step)
        return y.reshape(batch, channels, self._bins, y.shape[2])

    def _combined(self, real: Tensor, imag: Tensor) -> Tensor:
        if self.mode == "angle":
            return torch.atan2(imag, real)
        if self.mode == "stft":
            return torch.cat([real, imag], 2)
        power = real.square() + imag.square()
        if self.mode == "psd":  # all but the first and the last frequency stand for two
            return power + functional.pad(power[:, :, 1:-1], (0, 0, 1, 1))
        magnitude = power.clamp(min=config.epsilon()).sqrt()
        return magnitude if self.mode == "magnitude" else magnitude.clamp(min=config.epsilon()).log()
