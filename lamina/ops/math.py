"""Spectra: Fourier transforms with real and imaginary parts as two tensors, and their short-time forms."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .base import floating, is_trial, op, same_dtype, tensor

Parts = tuple[Tensor, Tensor]


def _complex(x: Any, name: str) -> Tensor:
    if not isinstance(x, (tuple, list)) or len(x) != 2:
        raise ValueError(f"{name}: expected a pair (real, imaginary); got {type(x).__name__}.")
    real, imaginary = same_dtype(floating(x[0]), floating(x[1]))
    if real.shape != imaginary.shape:
        shapes = f"{tuple(real.shape)} and {tuple(imaginary.shape)}"
        raise ValueError(f"{name}: real and imaginary parts must have one shape; got {shapes}.")
    return torch.complex(real, imaginary)


def _parts(x: Tensor) -> Parts:
    return x.real, x.imag


@op(name="FFT")
def fft(x: Any) -> Parts:
    """The spectrum of the last axis."""
    return _parts(torch.fft.fft(_complex(x, "fft")))


@op(name="FFT2")
def fft2(x: Any) -> Parts:
    """The spectrum of the last two axes."""
    return _parts(torch.fft.fft2(_complex(x, "fft2")))


@op(name="IFFT2")
def ifft2(x: Any) -> Parts:
    """The inverse of `fft2`."""
    return _parts(torch.fft.ifft2(_complex(x, "ifft2")))


@op(name="RFFT")
def rfft(x: Any, fft_length: int | None = None) -> Parts:
    """The lower half of the spectrum of real numbers along the last axis, cut or filled up to `fft_length`."""
    return _parts(torch.fft.rfft(floating(x), fft_length))


@op(name="IRFFT")
def irfft(x: Any, fft_length: int | None = None) -> Tensor:
    """The inverse of `rfft`: (real, imaginary) to `fft_length` real numbers."""
    return torch.fft.irfft(_complex(x, "irfft"), fft_length)


def _check_stride(stride: Any, name: str) -> None:
    if not isinstance(stride, int) or stride < 1:
        raise ValueError(f"{name}: `sequence_stride` must be a positive integer; got {stride!r}.")


def _window(window: Any, length: int, like: Tensor, name: str) -> Tensor:
    if window is None:
        return torch.ones(length, dtype=like.dtype, device=like.device)
    if isinstance(window, str):
        if window not in ("hann", "hamming"):
            raise ValueError(f'{name}: `window` must be "hann", "hamming", None or a vector; got {window!r}.')
        make = torch.hann_window if window == "hann" else torch.hamming_window
        return make(length, dtype=like.dtype, device=like.device)
    window = tensor(window, like.dtype, like.device)
    if window.shape != (length,):
        raise ValueError(f"{name}: `window` must have shape ({length},); got {tuple(window.shape)}.")
    return window


@op(name="STFT")
def stft(
    x: Any, sequence_length: int, sequence_stride: int, fft_length: int, window: Any = "hann", center: bool = True
) -> Parts:
    """Spectra of overlapping windows: (..., time) to real and imaginary parts (..., windows, fft_length // 2 + 1).

    `center`: the windows stand round their times, the ends mirrored. Raises ValueError where `fft_length` is shorter
    than a window.
    """
    x = floating(x)
    _check_stride(sequence_stride, "stft")
    if fft_length < sequence_length:
        raise ValueError(f"stft: fft_length {fft_length} must be at least sequence_length {sequence_length}.")
    window = _window(window, sequence_length, x, "stft")
    flat = x.reshape(-1, x.shape[-1])
    spectra = torch.stft(
        flat, fft_length, sequence_stride, sequence_length, window, center=center, return_complex=True
    ).mT
    return _parts(spectra.reshape(*x.shape[:-1], *spectra.shape[-2:]))


@op(name="ISTFT")
def istft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: Any = "hann",
    center: bool = True,
) -> Tensor:
    """The inverse of `stft`: (real, imaginary) to (..., time), `length` values where it is given."""
    spectra = _complex(x, "istft")
    _check_stride(sequence_stride, "istft")
    window = None if window is None else _window(window, sequence_length, spectra.real, "istft")
    if window is not None and center and sequence_length == fft_length and not is_trial(spectra):
        flat = spectra.reshape(-1, *spectra.shape[-2:]).mT
        y = torch.istft(flat, fft_length, sequence_stride, sequence_length, window, True, length=length)
        return y.reshape(*spectra.shape[:-2], y.shape[-1])
    frames = torch.fft.irfft(spectra, fft_length)
    if window is not None:
        # The dual window: overlapping squares of the window sum to 1 once divided by it.
        before = (fft_length - sequence_length) // 2
        window = torch.nn.functional.pad(window, (before, fft_length - sequence_length - before))
        overlaps = -(-fft_length // sequence_stride)
        squares = torch.nn.functional.pad(window.square(), (0, overlaps * sequence_stride - fft_length))
        total = squares.reshape(overlaps, sequence_stride).sum(0).repeat(overlaps)[:fft_length]
        frames = frames * (window / total)
    y = _overlap(frames, sequence_stride)
    start = fft_length // 2 if center else 0
    end = y.shape[-1] - start if length is None else start + length
    return y[..., start:end]


def _overlap(frames: Tensor, stride: int) -> Tensor:
    """The sum of frames (..., frames, length), each `stride` later than the one before."""
    count, length = frames.shape[-2:]
    total = (count - 1) * stride + length
    columns = frames.reshape(-1, count, length).mT
    y = torch.nn.functional.fold(columns, (1, total), (1, length), stride=(1, stride))
    return y.reshape(*frames.shape[:-2], total)
