"""Seven models and their data: the same Keras code for Lamina and for Keras, and the best of each by hand in PyTorch.

The hand-written ones take the same channels-last data, which they read as torch's channels-last memory format, and
return logits. What was tried and is slower on a CPU is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

VOCABULARY = 10_000


class Task(NamedTuple):
    """A model, its hand-written twin, the shape of a sample, what it predicts and how many batches a timing takes."""

    name: str
    model: Callable[[Any], Any]
    twin: Callable[[], nn.Module]
    sample: tuple[int, ...]
    target: str  # "classes", "yes or no" or "values"
    batch: int
    steps: int

    @property
    def loss(self) -> str:
        return {"classes": "sparse_categorical_crossentropy", "yes or no": "binary_crossentropy", "values": "mse"}[
            self.target
        ]

    def loss_of_logits(self, outputs: Tensor, y: Tensor) -> Tensor:
        if self.target == "classes":
            return F.cross_entropy(outputs, y)
        return F.binary_cross_entropy_with_logits(outputs, y) if self.target == "yes or no" else F.mse_loss(outputs, y)

    def prediction(self, outputs: Tensor) -> Tensor:
        return {"classes": lambda z: z.softmax(-1), "yes or no": torch.sigmoid, "values": lambda z: z}[self.target](
            outputs
        )

    def data(self, samples: int) -> tuple[np.ndarray, np.ndarray]:
        draw = np.random.default_rng(0)
        if len(self.sample) == 1 and self.target == "yes or no":
            x = draw.integers(VOCABULARY, size=(samples, *self.sample))
        else:
            x = draw.standard_normal((samples, *self.sample)).astype("float32")
        if self.target == "classes":
            return x, draw.integers(10, size=samples)
        if self.target == "yes or no":
            return x, draw.integers(2, size=(samples, 1)).astype("float32")
        return x, draw.standard_normal((samples, self.sample[0], 1)).astype("float32")


def mlp(keras: Any) -> Any:
    layers = keras.layers
    hidden = [layers.Dense(64, activation="relu") for _ in range(3)]
    return keras.Sequential([keras.Input((64,)), *hidden, layers.Dense(10, activation="softmax")])


def mlp_twin() -> nn.Module:
    hidden = [part for _ in range(3) for part in (nn.Linear(64, 64), nn.ReLU(inplace=True))]
    return nn.Sequential(*hidden, nn.Linear(64, 10))


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


class FromLast(nn.Module):
    """(N, H, W, C) read as (N, C, H, W) in channels-last memory: a view."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 3, 1, 2)


class FlattenLast(nn.Module):
    """Flattens in the order of the memory, without a copy."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


def cnn_twin() -> nn.Module:
    model = nn.Sequential(
        FromLast(),
        nn.Conv2d(1, 32, 3),
        nn.ReLU(inplace=True),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        FlattenLast(),
        nn.Linear(12 * 12 * 64, 128),
        nn.ReLU(inplace=True),
        nn.Linear(128, 10),
    )
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


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


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def separable_twin() -> nn.Module:
    blocks: list[nn.Module] = []
    for before, width in zip((3, *WIDTHS), WIDTHS, strict=False):
        blocks += [
            nn.Conv2d(before, before, 3, padding=1, groups=before, bias=False),
            nn.Conv2d(before, width, 1, bias=False),
            nn.BatchNorm2d(width, 1e-3, 0.01),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        ]
    model = nn.Sequential(FromLast(), *blocks, Mean(), nn.Linear(WIDTHS[-1], 10))
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def lstm(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((80,), dtype="int64"),
            layers.Embedding(VOCABULARY, 128),
            layers.LSTM(128),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


class TextTwin(nn.Module):
    """Time first, as torch's recurrent kernels want it, from the embedding on."""

    def __init__(self, width: int, rnn: nn.Module, features: int):
        super().__init__()
        self.embedding, self.rnn, self.head = nn.Embedding(VOCABULARY, width), rnn, nn.Linear(features, 1)

    def forward(self, x: Tensor) -> Tensor:
        _, state = self.rnn(self.embedding(x.t()))
        state = state[0] if isinstance(state, tuple) else state
        return self.head(state.transpose(0, 1).flatten(1))


def lstm_twin() -> nn.Module:
    return TextTwin(128, nn.LSTM(128, 128), 128)


DILATIONS = (1, 2, 4, 8, 16, 32, 64, 128)


def causal(keras: Any) -> Any:
    layers = keras.layers
    inputs = keras.Input((512, 1))
    x = layers.Conv1D(64, 1)(inputs)
    for dilation in DILATIONS:
        x = layers.add([x, layers.Conv1D(64, 2, padding="causal", dilation_rate=dilation, activation="relu")(x)])
    return keras.Model(inputs, layers.Conv1D(1, 1)(x))


class CausalTwin(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv1d(1, 64, 1), nn.Conv1d(64, 1, 1)
        self.stack = nn.ModuleList(nn.Conv1d(64, 64, 2, dilation=dilation) for dilation in DILATIONS)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x.transpose(1, 2))
        for layer, dilation in zip(self.stack, DILATIONS, strict=True):
            x = x + layer(F.pad(x, (dilation, 0))).relu_()
        return self.last(x).transpose(1, 2)


def gru(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((80,), dtype="int64"),
            layers.Embedding(VOCABULARY, 64),
            layers.Bidirectional(layers.GRU(64)),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def gru_twin() -> nn.Module:
    return TextTwin(64, nn.GRU(64, 64, bidirectional=True), 128)


WIDTH, HEADS = 128, 4


def transformer(keras: Any) -> Any:
    layers = keras.layers
    inputs = keras.Input((64, WIDTH))
    x = layers.add([inputs, layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(inputs, inputs)])
    x = layers.LayerNormalization(epsilon=1e-6)(x)
    y = layers.Dense(WIDTH)(layers.Dense(2 * WIDTH, activation="relu")(x))
    x = layers.LayerNormalization(epsilon=1e-6)(layers.add([x, y]))
    return keras.Model(inputs, layers.Dense(1)(x))


class TransformerTwin(nn.Module):
    """Query, key and value by one product."""

    def __init__(self) -> None:
        super().__init__()
        self.three, self.back = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.first, self.second = nn.LayerNorm(WIDTH, 1e-6), nn.LayerNorm(WIDTH, 1e-6)
        self.wide, self.narrow = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.three(x).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        x = self.first(x + self.back(attended))
        return self.head(self.second(x + self.narrow(self.wide(x).relu_())))


TASKS = (
    Task("MLP, 3 x 64, batch 32", mlp, mlp_twin, (64,), "classes", 32, 300),
    Task("MNIST CNN, batch 128", cnn, cnn_twin, (28, 28, 1), "classes", 128, 8),
    Task("Separable CNN with batch normalization, batch 64", separable, separable_twin, (32, 32, 3), "classes", 64, 16),
    Task("LSTM on 64 x 80 words", lstm, lstm_twin, (80,), "yes or no", 64, 12),
    Task("Causal dilated Conv1D, 16 x 512 steps", causal, CausalTwin, (512, 1), "values", 16, 12),
    Task("Transformer block, 16 x 64 steps", transformer, TransformerTwin, (64, WIDTH), "values", 16, 12),
    Task("Bidirectional GRU on 64 x 80 words", gru, gru_twin, (80,), "yes or no", 64, 10),
)
