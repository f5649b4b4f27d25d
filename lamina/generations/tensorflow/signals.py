"""`tf.signal`: spectra, windows and frames of sound."""

from __future__ import annotations

import functools
import io
import math
import wave

import torch
from torch import Tensor

from ...core import dtypes
from ...core.devices import here
from ...layers.preprocessing.audio import mel_weights
from ...ops.base import floating, recorded, tensor
from ...utils.folders import of_length, read_sound
from .base import named, op, text_bytes, whole


def _spectrum(name, function):
    """TensorFlow's `name`, as torch's function of the last axes."""

    @named(f"signal.{name} spectral.{name}", "input")
    @recorded
    def transform(x, fft_length=None):
        if fft_length is None:
            return function(tensor(x))
        lengths = whole(fft_length)
        return function(tensor(x), lengths if isinstance(lengths, int) or "2d" in name else lengths[0])

    transform.__name__ = name


for _name in ("fft", "ifft", "rfft", "irfft"):
    _spectrum(_name, getattr(torch.fft, _name))
    _spectrum(f"{_name}2d", getattr(torch.fft, f"{_name}2"))
_spectrum("fft3d", functools.partial(torch.fft.fftn, dim=(-3, -2, -1)))
_spectrum("ifft3d", functools.partial(torch.fft.ifftn, dim=(-3, -2, -1)))


@op("signal.fftshift")
def fftshift(x, axes=None):
    return torch.fft.fftshift(tensor(x), axes)


@op("signal.ifftshift")
def ifftshift(x, axes=None):
    return torch.fft.ifftshift(tensor(x), axes)


# Windows --------------------------------------------------------------------------------------------------------------


def _raised_cosine(length, periodic, dtype, share):
    """TensorFlow's windows of odd length are symmetric whatever `periodic` says."""
    length = whole(length)
    points = torch.arange(length, dtype=dtypes.torch_dtype(dtype or torch.float32))
    period = length - 1 + (1 if periodic and length % 2 == 0 else 0)
    return share - (1 - share) * torch.cos(2 * math.pi * points / period) if length > 1 else torch.ones_like(points)


@named("signal.hann_window")
def hann_window(window_length, periodic=True, dtype=None):
    return _raised_cosine(window_length, periodic, dtype, 0.5)


@named("signal.hamming_window")
def hamming_window(window_length, periodic=True, dtype=None):
    return _raised_cosine(window_length, periodic, dtype, 0.54)


@named("signal.inverse_stft_window_fn")
def inverse_stft_window_fn(frame_step, forward_window_fn=hann_window):
    """The window with which `inverse_stft` gives back what `stft` took with the other."""

    def inverse(frame_length, dtype=None):
        forward = forward_window_fn(frame_length, dtype=dtype)
        overlaps = -(-frame_length // frame_step)
        padded = torch.nn.functional.pad(forward.square(), (0, overlaps * frame_step - frame_length))
        return forward / padded.reshape(overlaps, frame_step).sum(0).repeat(overlaps)[:frame_length]

    return inverse


# Frames ---------------------------------------------------------------------------------------------------------------


@op("signal.frame")
def frame(signal, frame_length, frame_step, pad_end=False, pad_value=0, axis=-1):
    """Overlapping windows of an axis: (..., time, ...) becomes (..., frames, frame_length, ...)."""
    x = tensor(signal)
    axis = axis % x.ndim
    x = x.movedim(axis, -1)
    if pad_end:
        frames = -(-x.shape[-1] // frame_step)
        x = torch.nn.functional.pad(x, (0, (frames - 1) * frame_step + frame_length - x.shape[-1]), value=pad_value)
    if x.shape[-1] < frame_length:
        return x.new_zeros((*x.shape[:axis], 0, frame_length, *x.shape[axis:-1]))
    return x.unfold(-1, frame_length, frame_step).movedim((-2, -1), (axis, axis + 1))


@op("signal.overlap_and_add")
def overlap_and_add(signal, frame_step):
    """Sums frames that begin `frame_step` apart: (..., frames, frame_length) becomes (..., time)."""
    x = tensor(signal)
    frames, length = x.shape[-2:]
    size = (frames - 1) * frame_step + length
    places = (torch.arange(frames)[:, None] * frame_step + torch.arange(length)).reshape(-1).to(x.device)
    return x.new_zeros((*x.shape[:-2], size)).index_add(-1, places, x.reshape(*x.shape[:-2], -1))


def _fft_length(frame_length):
    return 1 << (frame_length - 1).bit_length()


@op("signal.stft")
def stft(signals, frame_length, frame_step, fft_length=None, window_fn=hann_window, pad_end=False):
    """Complex spectra of windows: (..., time) becomes (..., frames, fft_length // 2 + 1)."""
    frames = frame(floating(signals), frame_length, frame_step, pad_end)
    if window_fn is not None:
        frames = frames * window_fn(frame_length, dtype=frames.dtype)
    return torch.fft.rfft(frames, whole(fft_length) or _fft_length(frame_length))


@op("signal.inverse_stft")
def inverse_stft(stfts, frame_length, frame_step, fft_length=None, window_fn=hann_window):
    frames = torch.fft.irfft(tensor(stfts), whole(fft_length) or _fft_length(frame_length))[..., :frame_length]
    frames = torch.nn.functional.pad(frames, (0, frame_length - frames.shape[-1]))
    if window_fn is not None:
        frames = frames * window_fn(frame_length, dtype=frames.dtype)
    return overlap_and_add(frames, frame_step)


# Sound to the ear -----------------------------------------------------------------------------------------------------


@named("signal.linear_to_mel_weight_matrix")
def linear_to_mel_weight_matrix(
    num_mel_bins=20,
    num_spectrogram_bins=129,
    sample_rate=8000,
    lower_edge_hertz=125.0,
    upper_edge_hertz=3800.0,
    dtype=torch.float32,
):
    """(num_spectrogram_bins, num_mel_bins): bands that are equally wide to the ear."""
    top = whole(sample_rate) / 2
    return mel_weights(num_mel_bins, lower_edge_hertz, upper_edge_hertz, num_spectrogram_bins, top).to(
        dtypes.torch_dtype(dtype)
    )


@op("signal.dct", "input")
def dct(x, type=2, n=None, axis=-1, norm=None):
    """The cosine transform of the last axis. Raises ValueError for a type other than 2 and 3, which undoes 2."""
    x = floating(x)
    if type not in (2, 3) or axis not in (-1, x.ndim - 1) or norm not in (None, "ortho"):
        raise ValueError(
            f"signal.dct: here it is of `type` 2 or 3, along the last axis, with `norm` None or 'ortho'; got {type!r}, "
            f"{axis!r}, {norm!r}."
        )
    if n is not None:
        x = torch.nn.functional.pad(x, (0, n - x.shape[-1]))
    return x @ _cosines(x.shape[-1], type, norm, x)


@op("signal.idct", "input")
def idct(x, type=2, n=None, axis=-1, norm=None):
    return dct(x, {2: 3, 3: 2}.get(type, type), n, axis, norm)


def _cosines(size: int, kind: int, norm: str | None, like: Tensor) -> Tensor:
    """(time, frequency) of the second cosine transform, turned round for the third."""
    points = torch.arange(size, dtype=torch.float64)
    matrix = 2 * torch.cos(math.pi / size * (points[:, None] + 0.5) * points)
    first = torch.ones(size, dtype=torch.float64)
    if norm == "ortho":
        matrix *= math.sqrt(1 / (2 * size))
        first[0] = math.sqrt(0.5)
    elif kind == 3:
        first[0] = 0.5
    matrix = matrix * first
    return (matrix if kind == 2 else matrix.T).to(like)


@op("signal.mfccs_from_log_mel_spectrograms")
def mfccs_from_log_mel_spectrograms(log_mel_spectrograms):
    x = floating(log_mel_spectrograms)
    return dct(x) / math.sqrt(2 * x.shape[-1])


# Files ----------------------------------------------------------------------------------------------------------------


@named("audio.decode_wav")
def decode_wav(contents, desired_channels=-1, desired_samples=-1):
    """The sound (samples, channels), float32 from -1 to 1, of a file's bytes, and its samples a second.

    Missing channels are the last one again; missing samples are zeros.
    """
    sound, rate = read_sound(io.BytesIO(text_bytes(contents)))
    sound = here(sound)
    if desired_channels > 0:
        sound = sound[:, torch.arange(desired_channels).clamp(max=sound.shape[1] - 1)]
    return of_length(sound, desired_samples) if desired_samples >= 0 else sound, torch.tensor(rate, dtype=torch.int32)


@named("audio.encode_wav")
def encode_wav(audio, sample_rate):
    """The bytes of a `.wav` file of 16 bits, of a sound (samples, channels) from -1 to 1."""
    sound, file = (tensor(audio) * 32768).round().clamp(-32768, 32767).to(torch.int16), io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((sound.shape[1], 2, whole(sample_rate), len(sound), "NONE", ""))
        out.writeframes(sound.numpy().tobytes())
    return file.getvalue()
