"""Forecasting with causal dilated convolutions: each output sees the past only, and a long stretch of it.

Five layers with kernel size 2 and dilations 1, 2, 4, 8, 16 see 32 hours. The task: an hourly load with a daily and a
weekly rhythm, weather that wanders, and noise; say what it will be six hours later.
"""

from __future__ import annotations

import numpy as np

import lamina as keras
from lamina import layers

AHEAD, SEEN, WINDOW = 6, 32, 96


def main() -> tuple[float, float, float]:
    """Mean absolute errors on the last fifth: the network's, that of "no change" and of "as 24 hours before"."""
    keras.utils.set_random_seed(1)
    series = load(hours=24 * 7 * 40)
    split = int(0.8 * len(series))
    series = (series - series[:split].mean()) / series[:split].std()
    x_train, y_train = windows(series[:split])
    x_test, y_test = windows(series[split:])

    model = keras.Sequential([keras.Input(shape=(None, 1))])
    for dilation in (1, 2, 4, 8, 16):
        model.add(layers.Conv1D(16, 2, padding="causal", dilation_rate=dilation, activation="relu"))
    model.add(layers.Conv1D(1, 1))
    model.compile(optimizer=keras.optimizers.Adam(0.003), loss="mae")
    model.fit(x_train, y_train, epochs=15, batch_size=32, verbose=2)

    forecast = model.predict(x_test, verbose=0)
    whole = slice(SEEN - 1, None)  # before that, part of what the network sees is padding
    truth = y_test[:, whole]
    guesses = forecast[:, whole], x_test[:, whole], y_test[:, SEEN - 1 - 24 : -24]
    network, same, yesterday = (float(abs(guess - truth).mean()) for guess in guesses)
    print(f"mean error {AHEAD} hours ahead, in standard deviations of the series:")
    print(f"network {network:.3f}, no change {same:.3f}, as 24 hours before {yesterday:.3f}")
    return network, same, yesterday


def load(hours: int) -> np.ndarray:
    """A synthetic hourly load: two rhythms, a slow random walk and noise."""
    rng = np.random.default_rng(1)
    hour = np.arange(hours)
    rhythm = np.sin(2 * np.pi * hour / 24) + 0.5 * np.sin(4 * np.pi * hour / 24) + 0.6 * np.sin(2 * np.pi * hour / 168)
    weather = np.zeros(hours)
    for now, push in enumerate(rng.normal(0, 0.1, hours - 1), start=1):
        weather[now] = 0.98 * weather[now - 1] + push
    return (rhythm + weather + rng.normal(0, 0.1, hours)).astype("float32")


def windows(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping stretches (n, WINDOW, 1) of the series and, for each of their hours, the value AHEAD hours later."""
    starts = np.arange(0, len(series) - WINDOW - AHEAD, 8)[:, None] + np.arange(WINDOW)
    return series[starts][..., None], series[starts + AHEAD][..., None]


if __name__ == "__main__":
    main()
