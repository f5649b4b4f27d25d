"""What people do with one small batch, again and again: Lamina against the same by hand in PyTorch.

Detectors and servers call `model(x, training=False)` on NumPy arrays or `predict(x[:1])`; GANs and agents call
`train_on_batch`. The same in every generation, for models with one input, with a mask, with two inputs. By hand:
`torch.from_numpy`, a module, fused Adam, `inference_mode` where a user would write it (`predict`). Sides alternate.

Prints microseconds, what Lamina adds, and ratios; exits with 1 where a budget is missed.
`python benchmarks/calls.py [part of a model's or generation's name]`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from _ab import alternate
from torch import Tensor, nn
from torch.nn import functional as F

import lamina as keras
from lamina import keras1, keras2, tf_keras

SPACES = {"lamina": keras, "keras1": keras1, "keras2": keras2, "tf_keras": tf_keras}
BUDGETS = {"predict": 1.5, "on_batch": 1.5}  # by the way's name; 1.05 for calls
CALL, NOISE = 1.05, 0.03
Call = Callable[[], Any]


# By hand, up to the scores.


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(16, 32), nn.Linear(8, 32), nn.Linear(64, 4)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.last(torch.cat((F.relu(self.first(a)), F.relu(self.second(b))), 1))


class Text(nn.Module):
    """Rows of words, zeros behind: the state after the last word."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.lstm, self.last = nn.Embedding(100, 16), nn.LSTM(16, 16, batch_first=True), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        lengths = x.ne(0).sum(1)
        packed = nn.utils.rnn.pack_padded_sequence(self.words(x), lengths, batch_first=True, enforce_sorted=False)
        return self.last(self.lstm(packed)[1][0][-1])


def mlp(space: Any) -> Any:
    layers = space.layers
    model = space.models.Sequential([layers.Dense(64, activation="relu", input_shape=(64,))])
    for _ in range(2):
        model.add(layers.Dense(64, activation="relu"))
    model.add(layers.Dense(4, activation="softmax"))
    return model


def cnn(space: Any) -> Any:
    layers = space.layers
    convolution = layers.Convolution2D if space is keras1 else layers.Conv2D
    size = (3, 3) if space is keras1 else (3,)
    layout = {"dim_ordering": "tf"} if space is keras1 else {}
    model = space.models.Sequential()
    model.add(convolution(8, *size, activation="relu", input_shape=(12, 12, 3), **layout))
    model.add(layers.MaxPooling2D(**layout))
    model.add(convolution(16, *size, activation="relu", **layout))
    model.add(layers.Flatten())
    model.add(layers.Dense(4, activation="softmax"))
    return model


def text(space: Any) -> Any:
    layers = space.layers
    model = space.models.Sequential()
    model.add(layers.Embedding(100, 16, mask_zero=True))
    model.add(layers.LSTM(16, **({"inner_activation": "sigmoid"} if space is keras1 else {})))
    model.add(layers.Dense(4, activation="softmax"))
    model(np.ones((1, 10), "int64"))
    return model


def two(space: Any) -> Any:
    layers = space.layers
    a, b = layers.Input((16,), name="a"), layers.Input((8,), name="b")
    hidden = [layers.Dense(32, activation="relu")(x) for x in (a, b)]
    joined = layers.merge(hidden, mode="concat") if space is keras1 else layers.concatenate(hidden)
    return space.models.Model([a, b], layers.Dense(4, activation="softmax")(joined))


def mlp_twin() -> nn.Module:
    hidden = [part for _ in range(3) for part in (nn.Linear(64, 64), nn.ReLU(inplace=True))]
    return nn.Sequential(*hidden, nn.Linear(64, 4))


class FromLast(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 3, 1, 2)


def cnn_twin() -> nn.Module:
    return nn.Sequential(
        FromLast(), nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3),
        nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(144, 4),
    ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # fmt: skip


def samples(count: int) -> dict[str, list[np.ndarray]]:
    draw = np.random.default_rng(0)
    words = draw.integers(1, 100, (count, 10))
    words[:, 7:] = 0
    return {
        "mlp": [draw.standard_normal((count, 64)).astype("float32")],
        "cnn": [draw.standard_normal((count, 12, 12, 3)).astype("float32")],
        "text": [words],
        "two": [draw.standard_normal((count, size)).astype("float32") for size in (16, 8)],
    }


MODELS = {"mlp": (mlp, mlp_twin), "cnn": (cnn, cnn_twin), "text": (text, Text), "two": (two, Two)}


def ways(name: str, model: Any, twin: nn.Module) -> Iterator[tuple[str, Call, Call]]:
    """What is done, by hand, by Lamina."""
    arrays, batch = samples(1)[name], samples(16)[name]
    tensors = [*map(torch.from_numpy, arrays)]
    alone = len(arrays) == 1
    x, given = (arrays[0], tensors[0]) if alone else (arrays, tensors)
    many = batch[0] if alone else batch
    y = np.arange(16) % 4

    def scores(of: list[np.ndarray]) -> Tensor:
        return twin(*map(torch.from_numpy, of))

    def inferred() -> Any:
        with torch.inference_mode():
            return scores(arrays).softmax(-1).numpy()

    def called() -> Any:
        return scores(arrays).softmax(-1)

    def called_on_tensors() -> Any:
        return twin(*tensors).softmax(-1)

    yield "model(tensor)", called_on_tensors, lambda: model(given)
    yield "model(tensor, training=False)", called_on_tensors, lambda: model(given, training=False)
    yield "model(array)", called, lambda: model(x)
    yield "model(array, training=False)", called, lambda: model(x, training=False)
    if not alone:
        named = dict(zip("ab", arrays, strict=True))
        yield "model(dict, training=False)", called, lambda: model(named, training=False)
    yield "predict(x[:1])", inferred, lambda: model.predict(x, verbose=0)
    yield "predict_on_batch", inferred, lambda: model.predict_on_batch(x)
    optimizer = torch.optim.Adam(twin.parameters(), fused=True)

    def trained() -> float:
        twin.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(scores(batch), torch.from_numpy(y))
        loss.backward()
        optimizer.step()
        return loss.item()

    def tested() -> float:
        twin.eval()
        with torch.inference_mode():
            return F.cross_entropy(scores(batch), torch.from_numpy(y)).item()

    yield "train_on_batch", trained, lambda: model.train_on_batch(many, y)
    yield "test_on_batch", tested, lambda: model.test_on_batch(many, y)


def budget(way: str) -> float:
    return next((most for part, most in BUDGETS.items() if part in way), CALL)


def main(*arguments: str, seconds: float = 0.3) -> int:
    part = arguments[0].lower() if arguments else ""
    missed = []
    print(f"{'microseconds':46}{'torch':>8}{'lamina':>8}{'adds':>8}{'ratio':>7}")
    for space_name, space in SPACES.items():
        for name, (make, make_twin) in MODELS.items():
            if part not in f"{space_name} {name}":
                continue
            model, twin = make(space), make_twin().eval()
            model.compile("adam", "sparse_categorical_crossentropy")
            for way, by_hand, ours in ways(name, model, twin):
                for call in (by_hand, ours):
                    call()
                found = alternate(by_hand, ours, seconds=seconds)
                theirs, mine = found.theirs * 1e6, found.ours * 1e6
                over = found.ratio > budget(way) + NOISE
                label = f"{space_name} {name}: {way}"
                missed += [f"{label}: {found.ratio:.2f}, allowed {budget(way):.2f}"] * over
                print(
                    f"{label:46}{theirs:8.1f}{mine:8.1f}{mine - theirs:8.1f}{found.ratio:7.2f}{'!' * over}", flush=True
                )
    print("\n".join(["", *(f"Over budget: {line}" for line in missed)]) if missed else "\nAll within budget.")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
