"""Thirteen models and their data: one Keras code for Lamina and every Keras. Their twins by hand: `_twins.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

VOCABULARY = 10_000


class Task(NamedTuple):
    """A model, the shapes of a sample and of what it predicts, and how many batches a timing takes."""

    name: str
    model: Callable[[Any], Any]
    sample: tuple[int, ...]
    target: str  # "classes", "yes or no" or "values"
    answer: tuple[int, ...]
    batch: int
    steps: int
    words: bool = False  # its samples are numbers of words

    @property
    def loss(self) -> str:
        return {"classes": "sparse_categorical_crossentropy", "yes or no": "binary_crossentropy", "values": "mse"}[
            self.target
        ]

    def data(self, samples: int) -> tuple[np.ndarray, np.ndarray]:
        draw = np.random.default_rng(0)
        if self.words:
            x = draw.integers(VOCABULARY, size=(samples, *self.sample))
        else:
            x = draw.standard_normal((samples, *self.sample), dtype="float32")
        if self.target == "classes":
            return x, draw.integers(10, size=samples)
        if self.target == "yes or no":
            return x, draw.integers(2, size=(samples, *self.answer)).astype("float32")
        return x, draw.standard_normal((samples, *self.answer), dtype="float32")


def mlp(keras: Any) -> Any:
    layers = keras.layers
    hidden = [layers.Dense(64, activation="relu") for _ in range(3)]
    return keras.Sequential([keras.Input((64,)), *hidden, layers.Dense(10, activation="softmax")])


def cnn(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def vgg(keras: Any) -> Any:
    layers = keras.layers
    blocks = [
        part
        for width in (64, 128)
        for part in (
            layers.Conv2D(width, 3, padding="same", activation="relu"),
            layers.Conv2D(width, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
        )
    ]
    return keras.Sequential(
        [keras.Input((32, 32, 3)), *blocks, layers.Flatten(), layers.Dense(10, activation="softmax")]
    )


WIDTHS = (32, 64, 128)


def separable(keras: Any) -> Any:
    layers = keras.layers
    blocks = [
        part
        for width in WIDTHS
        for part in (
            layers.SeparableConv2D(width, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
        )
    ]
    head = [layers.GlobalAveragePooling2D(), layers.Dense(10, activation="softmax")]
    return keras.Sequential([keras.Input((32, 32, 3)), *blocks, *head])


def resnet(keras: Any) -> Any:
    layers = keras.layers

    def convolved(x: Any, width: int, size: int, strides: int = 1) -> Any:
        # Padding by hand: "same" of TensorFlow and torch's padding=1 differ with strides.
        x = layers.ZeroPadding2D(size // 2)(x) if strides > 1 and size > 1 else x
        padding = "same" if strides == 1 else "valid"
        return layers.BatchNormalization()(layers.Conv2D(width, size, strides, padding, use_bias=False)(x))

    inputs = keras.Input((32, 32, 3))
    x = layers.ReLU()(convolved(inputs, WIDTHS[0], 3))
    for width in WIDTHS:
        for strides in (1 if width == WIDTHS[0] else 2, 1):
            y = layers.ReLU()(convolved(x, width, 3, strides))
            y = convolved(y, width, 3)
            x = convolved(x, width, 1, strides) if strides > 1 else x
            x = layers.ReLU()(layers.add([x, y]))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


def autoencoder(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 4, 2, activation="relu"),
            layers.Conv2D(64, 3, 2, activation="relu"),
            layers.Flatten(),
            layers.Dense(32),
            layers.Dense(6 * 6 * 64, activation="relu"),
            layers.Reshape((6, 6, 64)),
            layers.Conv2DTranspose(64, 3, 2, activation="relu"),
            layers.Conv2DTranspose(32, 4, 2, activation="relu"),
            layers.Conv2D(1, 3, padding="same"),
        ]
    )


DILATIONS = (1, 2, 4, 8, 16, 32, 64, 128)


def wavenet(keras: Any) -> Any:
    layers = keras.layers
    inputs = keras.Input((512, 1))
    x = layers.Conv1D(64, 1)(inputs)
    for dilation in DILATIONS:
        x = layers.add([x, layers.Conv1D(64, 2, padding="causal", dilation_rate=dilation, activation="relu")(x)])
    return keras.Model(inputs, layers.Conv1D(1, 1)(x))


def _of_words(keras: Any, width: int, recurrent: Any, length: int = 80) -> Any:
    layers = keras.layers
    inputs = keras.Input((length,), dtype="int64")
    return keras.Sequential(
        [inputs, layers.Embedding(VOCABULARY, width), recurrent, layers.Dense(1, activation="sigmoid")]
    )


def lstm(keras: Any, length: int = 80) -> Any:
    return _of_words(keras, 128, keras.layers.LSTM(128), length)


def gru(keras: Any) -> Any:
    return _of_words(keras, 64, keras.layers.Bidirectional(keras.layers.GRU(64)))


def local(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.LocallyConnected2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


WIDTH, HEADS = 128, 4


def transformer(keras: Any) -> Any:
    layers = keras.layers
    inputs = keras.Input((64, WIDTH))
    x = layers.add([inputs, layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(inputs, inputs)])
    x = layers.LayerNormalization(epsilon=1e-6)(x)
    y = layers.Dense(WIDTH)(layers.Dense(2 * WIDTH, activation="relu")(x))
    x = layers.LayerNormalization(epsilon=1e-6)(layers.add([x, y]))
    return keras.Model(inputs, layers.Dense(1)(x))


def convlstm(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 32, 32, 1)),
            layers.ConvLSTM2D(32, 3, padding="same", recurrent_activation="sigmoid"),
            layers.Conv2D(1, 3, padding="same"),
        ]
    )


CONTRAST, NOISE = 0.2, 0.05
UNET = (16, 32)


def unet(keras: Any) -> Any:
    """The augmentation changes the picture alone, so that the mask stays right."""
    layers = keras.layers

    def twice(x: Any, width: int) -> Any:
        for _ in range(2):
            x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
        return x

    inputs = keras.Input((64, 64, 3))
    x = layers.GaussianNoise(NOISE)(layers.RandomContrast(CONTRAST)(inputs))
    kept = []
    for width in UNET:
        x = twice(x, width)
        kept.append(x)
        x = layers.MaxPooling2D()(x)
    x = twice(x, 2 * UNET[-1])
    for width in reversed(UNET):
        x = layers.concatenate([layers.Conv2DTranspose(width, 2, 2)(x), kept.pop()])
        x = twice(x, width)
    return keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(x))


TASKS = (
    Task("MLP, 3 x 64, batch 32", mlp, (64,), "classes", (), 32, 300),
    Task("MNIST CNN, batch 128", cnn, (28, 28, 1), "classes", (), 128, 5),
    Task("VGG block, 32 x 32, batch 32", vgg, (32, 32, 3), "classes", (), 32, 5),
    Task("Separable CNN with batch normalization, batch 64", separable, (32, 32, 3), "classes", (), 64, 12),
    Task("ResNet, 32 x 32, batch 32", resnet, (32, 32, 3), "classes", (), 32, 5),
    Task("Autoencoder with transposed convolutions, batch 64", autoencoder, (28, 28, 1), "values", (28, 28, 1), 64, 12),
    Task("WaveNet-like causal Conv1D, 16 x 512 steps", wavenet, (512, 1), "values", (512, 1), 16, 12),
    Task("LSTM on 64 x 80 words", lstm, (80,), "yes or no", (1,), 64, 8, words=True),
    Task("Bidirectional GRU on 64 x 80 words", gru, (80,), "yes or no", (1,), 64, 8, words=True),
    Task("Locally connected, 32 x 32, batch 32", local, (32, 32, 3), "classes", (), 32, 5),
    Task("Transformer block, 16 x 64 steps", transformer, (64, WIDTH), "values", (64, 1), 16, 24),
    Task("ConvLSTM, 8 x 8 frames of 32 x 32", convlstm, (8, 32, 32, 1), "values", (32, 32, 1), 8, 8),
    Task("U-Net with augmentation, 64 x 64, batch 16", unet, (64, 64, 3), "yes or no", (64, 64, 1), 16, 5),
)
