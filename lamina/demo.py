"""The main job from end to end on real data: train, evaluate, save, load, compare, draw."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import lamina as keras
from lamina import layers
from lamina.data import load_digits

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

INK, PALE, RIGHT, WRONG = "#30343b", "#a9b0ba", "#1f6f8b", "#c8402f"
CAPTION: dict[str, Any] = {"x": 0.02, "ha": "left", "fontsize": 12, "fontweight": "normal"}
CURVES = {"accuracy": "Accuracy", "loss": "Loss"}
STYLE: dict[Any, Any] = {
    "axes.edgecolor": PALE,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.w_pad": 0.06,
    "figure.titleweight": "bold",
    "font.size": 10,
    "lines.linewidth": 2,
    "lines.markersize": 3,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


@dataclass(frozen=True)
class Report:
    """What one run found; `difference` is the largest one between predictions before saving and after loading."""

    accuracy: float
    loss: float
    difference: float
    seconds: float
    model: Path
    picture: Path | None


def run(epochs: int = 12, out: str | Path = "demo-output", *, quiet: bool = False) -> Report:
    """Trains a small convolutional network on `lamina.data.load_digits` and reports how good it is.

    Writes `digits.keras` and, where matplotlib is installed, `digits.png` into the folder `out`.
    Raises OSError where `out` cannot be written and RuntimeError if the loaded model predicts something else.
    """
    start = time.perf_counter()
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(0)

    (x_train, y_train), (x_test, y_test) = load_digits()
    x_train, x_test = (images.astype("float32") / 16 for images in (x_train, x_test))
    count = len(x_train) + len(x_test)
    _say("Data", f"{count:,} real 8x8 images of handwritten digits (UCI), {len(x_test)} of them held out")

    model = build()
    if not quiet:
        model.summary()
    verbose = 0 if quiet else "auto"
    with _threads_chosen():
        fitted = model.fit(x_train, y_train, batch_size=32, epochs=epochs, validation_split=0.1, verbose=verbose)
    history = fitted.history
    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    probabilities = model.predict(x_test, verbose=0)
    right = int((probabilities.argmax(-1) == y_test).sum())
    _say("Held out", f"{accuracy:.1%} accuracy: {right} of {len(y_test)} images right, loss {loss:.3f}")

    path = folder / "digits.keras"
    model.save(path)
    difference = float(abs(keras.models.load_model(path).predict(x_test, verbose=0) - probabilities).max())
    if difference > 1e-6:
        raise RuntimeError(f"{path}: the loaded model's predictions differ from the saved model's by {difference:.2g}")
    _say("Saved", f"{path} ({path.stat().st_size / 1024:.0f} kB); loaded again, it predicts the same")

    picture = folder / "digits.png"
    try:
        draw(picture, history, x_test, y_test, probabilities, model.layers[0].get_weights()[0])
        _say("Picture", str(picture))
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        picture = None
        _say("Picture", "none, because matplotlib is not installed; to get it: pip install 'lamina[plot]'")
    seconds = time.perf_counter() - start
    _say("Time", f"{seconds:.1f} s")
    return Report(accuracy, loss, difference, seconds, path, picture)


@contextmanager
def _threads_chosen() -> Iterator[None]:
    """Inside, the number of threads may change after a seed, too: here it stands for like results, not for equal bits,
    and beside other busy processes each step would wait for them.
    """
    wanted = keras.config.thread_choice()
    keras.config.set_thread_choice(wanted is not False)
    try:
        yield
    finally:
        keras.config.set_thread_choice(wanted)


def build() -> keras.Model:
    """The compiled, untrained network."""
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.BatchNormalization(momentum=0.9),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ],
        name="digits",
    )
    model.compile(keras.optimizers.Adam(1e-3), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def draw(
    path: Path,
    history: dict[str, list[float]],
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    filters: np.ndarray,
) -> None:
    """Draws the training curves, sample predictions with every mistake among them, and the first layer's filters.

    `history` is `fit`'s; `images` (n, 8, 8, 1), `labels` (n,), `probabilities` (n, 10), `filters` (h, w, 1, count).
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    right = int((probabilities.argmax(-1) == labels).sum())
    with rc_context(STYLE):
        figure = Figure(figsize=(12, 7), dpi=120, layout="constrained")
        figure.suptitle(f"Handwritten digits: {right} of {len(labels)} held-out images read right", fontsize=15)
        left, samples = figure.subfigures(1, 2, squeeze=False, width_ratios=[1, 1.5], wspace=0.05)[0]
        curves, kernels = left.subfigures(2, 1, height_ratios=[1.7, 1], hspace=0.08)
        _draw_curves(curves, history)
        _draw_filters(kernels, filters)
        _draw_samples(samples, images, labels, probabilities)
        figure.savefig(path)


def _draw_curves(figure: SubFigure, history: dict[str, list[float]]) -> None:
    epochs = range(1, len(history["loss"]) + 1)
    axes = figure.subplots(2, 1, sharex=True)
    for axis, (name, title) in zip(axes, CURVES.items(), strict=True):
        axis.plot(epochs, history[name], color=PALE, marker="o", label="training, with dropout")
        axis.plot(epochs, history[f"val_{name}"], color=RIGHT, marker="o", label="validation")
        axis.set_title(title)
        axis.grid(axis="y", color="#e6e8eb", linewidth=0.8)
        axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes[1].legend(frameon=False)
    axes[1].set_xlabel("epoch")


def _draw_filters(figure: SubFigure, filters: np.ndarray) -> None:
    columns = 8
    limit = abs(filters).max()
    axes = figure.subplots(-(-filters.shape[-1] // columns), columns).flat
    figure.suptitle("First layer's filters: red positive, blue negative", **CAPTION)
    for axis, kernel in zip(axes, np.moveaxis(filters[:, :, 0], -1, 0), strict=True):
        axis.imshow(kernel, cmap="RdBu_r", vmin=-limit, vmax=limit)
        axis.set_axis_off()


def _draw_samples(figure: SubFigure, images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray) -> None:
    rows, columns = 6, 8
    answers = probabilities.argmax(-1)
    mistaken = answers != labels
    shown = np.argsort(~mistaken, kind="stable")[: rows * columns]
    figure.suptitle("Sample predictions, mistakes first", **CAPTION)
    for axis, index in zip(figure.subplots(rows, columns).flat, shown, strict=True):
        color, width, text = PALE, 0.8, f"{answers[index]}"
        if mistaken[index]:
            color, width, text = WRONG, 2.5, f"{labels[index]} read as {answers[index]}"
        axis.imshow(images[index, :, :, 0], cmap="gray_r", interpolation="nearest")
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set(visible=True, color=color, linewidth=width)
        axis.set_title(text, loc="center", color=WRONG if mistaken[index] else INK, fontsize=9, pad=3)


def _say(topic: str, text: str) -> None:
    print(f"{topic:<9} {text}", flush=True)
