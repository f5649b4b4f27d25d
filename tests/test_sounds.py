"""Spectra of sounds, against what they are by definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import lamina as keras

L = keras.layers


def test_a_tone_is_loudest_in_its_band() -> None:
    time = torch.arange(8000) / 8000
    for hertz in (300.0, 1000.0, 2500.0):
        layer = L.MelSpectrogram(512, 128, num_mel_bins=40, sampling_rate=8000)
        loud = layer(torch.sin(2 * math.pi * hertz * time))
        assert loud.shape == (40, 63) and loud.max() - loud.min() <= 80
        edges = np.linspace(*(1127 * np.log1p(np.array([20.0, 4000.0]) / 700)), 42)
        expected = np.searchsorted(edges, 1127 * np.log1p(hertz / 700)) - 1
        assert abs(loud[:, 30].argmax() - expected) <= 1


def test_spectra_are_those_of_the_fourier_transform() -> None:
    x = torch.randn(3, 50, 2, generator=torch.Generator().manual_seed(0))
    window = torch.hann_window(8, periodic=False)
    frames = x.mT.unfold(-1, 8, 4) * window / window.norm()
    expected = torch.fft.rfft(frames, 16).abs()  # (batch, channels, frames, frequencies)
    found = L.STFTSpectrogram("magnitude", 8, 4, 16, expand_dims=True)(x)
    torch.testing.assert_close(found, expected.permute(0, 2, 3, 1), rtol=1e-4, atol=4e-4)
    first = L.STFTSpectrogram("magnitude", 8, 4, 16, expand_dims=True, data_format="channels_first")(x.mT)
    torch.testing.assert_close(first, expected, rtol=1e-4, atol=4e-4)
    flat = L.STFTSpectrogram("magnitude", 8, 4, 16)(x)
    torch.testing.assert_close(flat, expected.mT.flatten(1, 2).mT, rtol=1e-4, atol=4e-4)
    own = L.STFTSpectrogram("magnitude", 8, 4, 16, window=window.numpy())(x)
    torch.testing.assert_close(own, flat, rtol=1e-4, atol=1e-4)


def test_lengths_that_do_not_fit_are_refused() -> None:
    with pytest.raises(
        ValueError, match="`fft_length` must be greater than or equal to `sequence_length`; got 4 and 8"
    ):
        L.MelSpectrogram(4, sequence_length=8)
    with pytest.raises(ValueError, match="`fft_length` must be at least `frame_length`, 8; got 4"):
        L.STFTSpectrogram(frame_length=8, fft_length=4)
    with pytest.raises(ValueError, match="`frame_step` must be at most `frame_length`, 8; got 9"):
        L.STFTSpectrogram(frame_length=8, frame_step=9)
    with pytest.raises(ValueError, match="`window` must hold one value for each of the 8 steps"):
        L.STFTSpectrogram(frame_length=8, window=[1.0, 2.0])
