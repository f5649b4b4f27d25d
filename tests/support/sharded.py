"""Scenarios of models whose weights processes share out, by `ModelParallel` ("model"), that on a mesh of two axes
("grid") or `fully_shard` ("fully"). One process alone does the same without.

As a program: as `together`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

import lamina as keras
from lamina import distribution
from support import together
from support.together import told

layers = keras.layers
RNG = np.random.default_rng(3)
X = RNG.normal(size=(21, 8)).astype("float32")  # batches of 8: the last one is uneven
IMAGES = RNG.normal(size=(21, 8, 8, 2)).astype("float32")
STEPS = RNG.integers(0, 12, (21, 6))
CLASSES = RNG.integers(0, 3, 21)
LAYOUTS = {
    ".*(first|out)/kernel": (None, "model"),
    ".*(first|out)/bias": ("model",),
    ".*second/kernel": ("model", None),
    ".*conv/kernel": (None, None, None, "model"),
    ".*attend/(query|key|value)/kernel": (None, "model", None),
    ".*attend/attention_output/kernel": ("model", None, None),
    ".*recurrent/.*kernel": ("batch", "model"),
    ".*table/embeddings": ("model", "batch"),
}


def count() -> int:
    return distribution.get_device_count("cpu")


@contextmanager
def placed(way: str, **options: Any) -> Iterator[None]:
    """Inside, weights are shared out where there are processes to share them out to."""
    if way == "fully" or count() == 1:
        yield
        return
    shape = (2, count() // 2) if way == "grid" else (1, count())
    mapped = distribution.LayoutMap(distribution.DeviceMesh(shape, ["batch", "model"]))
    mapped.update(LAYOUTS)
    parallel = distribution.ModelParallel(layout_map=mapped, batch_dim_name="batch", **options)
    try:
        with parallel.scope():
            yield
    finally:
        distribution.set_distribution(None)


def shared_out(model: Any, way: str) -> Any:
    if count() == 1:
        return model
    if way == "fully":
        distribution.fully_shard(model)
    sharded = [weight.sharded for weight in model.trainable_weights]
    assert all(sharded) if way == "fully" else any(sharded)
    return model


class Tied(layers.Layer):
    """Scores by the table of another layer, whose weight it reads itself."""

    def __init__(self, table: Any):
        super().__init__()
        self.table = table

    def call(self, x: Any) -> Any:
        return x @ self.table.embeddings.T


def mlp() -> Any:
    first = layers.Dense(12, "relu", name="first", kernel_regularizer="l2", kernel_constraint="max_norm")
    stack = [keras.Input((8,)), first, layers.Dense(8, "tanh", name="second"), layers.Dense(4, "softmax", name="out")]
    return keras.Sequential(stack), X


def convolutional() -> Any:
    x = i = keras.Input((8, 8, 2))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv", bias_regularizer="l1")(x)
    x = layers.MaxPooling2D()(layers.BatchNormalization(momentum=0.9, synchronized=True)(x))
    return keras.Model(i, layers.Dense(4, "softmax", name="out")(layers.Flatten()(x))), IMAGES


def transformer() -> Any:
    i = keras.Input((6,))
    x = layers.Embedding(12, 8, name="table")(i)
    y = layers.LayerNormalization()(x)
    x = layers.Add()([x, layers.MultiHeadAttention(4, 4, name="attend", use_bias=False)(y, y, use_causal_mask=True)])
    x = layers.Add()([x, layers.Dense(8, name="second")(layers.Dense(16, "gelu", name="first")(x))])
    return keras.Model(i, layers.Dense(4, "softmax", name="out")(layers.Flatten()(x))), STEPS


def recurrent() -> Any:
    x = i = keras.Input((6,))
    x = layers.Embedding(12, 4, name="table", mask_zero=True)(x)
    x = layers.Bidirectional(layers.LSTM(4), name="recurrent")(
        layers.GRU(5, return_sequences=True, name="recurrent_1")(x)
    )
    return keras.Model(i, layers.Dense(4, "softmax", name="out")(x)), STEPS


def tied() -> Any:
    i = keras.Input((6,))
    table = layers.Embedding(12, 8, name="table")
    x = layers.GlobalAveragePooling1D()(table(i))
    return keras.Model(i, layers.Dense(4, "softmax")(Tied(table)(x))), STEPS


class Written(keras.Model):
    """With a `call`, and a `train_step`, of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = layers.Dense(12, "relu", name="first"), layers.Dense(4, "softmax", name="second")

    def call(self, x: Any) -> Any:
        return self.second(self.first(x))

    def train_step(self, data: Any) -> Any:
        x, y = data
        y_pred = self(x, training=True)
        loss = self.compute_loss(y=y, y_pred=y_pred)
        self.zero_grad()
        loss.backward()
        with torch.no_grad():
            self.optimizer.apply([weight.grad for weight in self.trainable_weights], self.trainable_weights)
        return self.compute_metrics(x, y, y_pred)


def written() -> Any:
    model = Written()
    model.build((None, 8))
    return model, X


def trained(make: Callable, way: str, optimizer: Any, **options: Any) -> dict[str, Any]:
    with placed(way, **options):
        model, x = make()
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        shared_out(model, way)
        how = {"batch_size": 8, "verbose": 0}
        model.predict(x, **how)  # before training, too
        history = model.fit(x, CLASSES, epochs=2, validation_data=(x[:7], CLASSES[:7]), **how)
        evaluated = model.evaluate(x, CLASSES, return_dict=True, **how)
        return told(model, history, predicted=model.predict(x, **how), **evaluated)


MODELS: dict[str, Callable] = {
    each.__name__: each for each in (mlp, convolutional, transformer, recurrent, tied, written)
}


def optimizers() -> dict[str, Any]:
    kinds = keras.optimizers
    made = {
        kind: getattr(kinds, kind)()
        for kind in (
            "Adafactor", "Adam", "AdamW", "Adadelta", "Adagrad", "Adamax", "Ftrl", "Lamb", "Lion", "Muon", "Nadam",
            "SGD",
        )
    }  # fmt: skip
    made |= {
        "momentum": kinds.SGD(0.1, momentum=0.9, clipnorm=0.1),
        "clipped together": kinds.RMSprop(global_clipnorm=0.05, centered=True),
        "clipped by value": kinds.Adam(clipvalue=0.01, gradient_accumulation_steps=2),
        "averaged": kinds.AdamW(use_ema=True, ema_overwrite_frequency=2),
        "averaged whole": kinds.Lamb(use_ema=True, global_clipnorm=0.05),
        "scaled": kinds.LossScaleOptimizer(kinds.Adam(), initial_scale=8.0),
        "a user's": Signs(0.01),
        "schedule-free": kinds.ScheduleFreeAdamW(),
    }
    return made


class Signs(keras.optimizers.Optimizer):
    """A rule of a user's that looks at a whole weight, and keeps state."""

    def build(self, variables: Any) -> None:
        super().build(variables)
        self.sums = [self.add_variable_from_reference(variable, "sum") for variable in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        total = self.sums[self._get_variable_index(variable)]
        self.assign_add(total, gradient.sign() * gradient.norm())
        self.assign_sub(variable, learning_rate * total)


def stepped(way: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, optimizer in optimizers().items():
        keras.utils.set_random_seed(4)
        with placed(way):
            model = shared_out(mlp()[0], way)
            model.compile(optimizer, "sparse_categorical_crossentropy")
            for place in (0, 8, 16):
                model.train_on_batch(X[place : place + 8], CLASSES[place : place + 8])
            found |= {f"{name}: {key}": value for key, value in told(model).items()}
    return found


def low_precision(way: str) -> dict[str, Any]:
    with placed(way):
        keras.config.set_dtype_policy("mixed_bfloat16")
        try:
            model = shared_out(transformer()[0], way)
        finally:
            keras.config.set_dtype_policy("float32")
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.fit(STEPS, CLASSES, batch_size=21, verbose=0)
        assert {weight.dtype for weight in model.weights} == {torch.float32}
        return told(model)


def written_and_read(way: str) -> dict[str, Any]:
    """What `get_weights`, `set_weights`, `assign` and the state tree say of weights that are shared out."""
    with placed(way):
        model = shared_out(mlp()[0], way)
        model.compile("adam", "mse")
        draw = np.random.default_rng(9).normal
        values = [draw(size=weight.shape).astype("float32") for weight in model.weights]
        model.set_weights(values)
        model.weights[0].assign_add(np.ones(model.weights[0].shape, "float32"))
        model.layers[0].bias = np.arange(12.0)
        tree = model.get_state_tree("numpy_array")["trainable_variables"]
        model.set_state_tree({"trainable_variables": tree})
        return {"got": np.concatenate([each.ravel() for each in model.get_weights()]), "count": model.count_params()}


class Batches(keras.utils.PyDataset):
    def __init__(self, rows: list[slice]):
        super().__init__()
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> Any:
        return X[self.rows[place]], CLASSES[self.rows[place]]


def apart_own_batches(way: str) -> dict[str, Any]:
    """Each process brings its own rows of every batch."""
    with placed(way, auto_shard_dataset=False):
        model = mlp()[0]
        shares = 2 if way == "grid" and count() > 1 else 1
        mine = distribution.distribution().data_shard_id if count() > 1 else 0
        model.compile("sgd", "sparse_categorical_crossentropy")
        rows = [slice(start + 8 * mine // shares, start + 8 * (mine + 1) // shares) for start in (0, 8)]
        history = model.fit(Batches(rows), epochs=2, verbose=0)
        return told(model, history)


def checkpointed(way: str) -> dict[str, Any]:
    """An epoch from what another number of processes wrote, and files of what is then there."""
    folder, at = Path(os.environ["TOGETHER"]), count()
    with placed(way):
        model, x = transformer()
        model.compile("adam", "sparse_categorical_crossentropy")
        shared_out(model, way)
        how = {"batch_size": 8, "verbose": 0, "shuffle": False}
        if (folder / "begin.dcp").exists():
            model.load_weights(folder / "begin.dcp")
        keep = keras.callbacks.ModelCheckpoint
        kept = [keep(folder / f"{way}{at}.dcp", save_weights_only=True), keep(folder / f"{way}{at}.keras")]
        model.fit(x, CLASSES, callbacks=kept, **how)
        model.save_weights(folder / f"{way}{at}.weights.h5")
        model.save_weights(folder / f"{way}{at}.safetensors")
        model.save(folder / f"{way}{at}.h5")
        model.fit(x, CLASSES, **how)
        return told(model)


def _scenarios() -> dict[str, Callable[[], dict[str, Any]]]:
    found: dict[str, Callable] = {}
    for way in ("model", "grid", "fully"):
        for name, make in MODELS.items():
            if not (way == "fully" and name == "tied"):  # FSDP puts a layer's weights together for that layer alone
                optimizer = lambda: keras.optimizers.Adam(0.01, clipnorm=0.5)  # noqa: E731
                found[f"{way} {name}"] = lambda make=make, way=way, optimizer=optimizer: trained(make, way, optimizer())
        for each in (stepped, low_precision, written_and_read, checkpointed):
            found[f"{way} {each.__name__}"] = lambda each=each, way=way: each(way)
    found["grid apart_own_batches"] = lambda: apart_own_batches("grid")
    return found


SCENARIOS = _scenarios()

if __name__ == "__main__":
    torch.set_num_threads(1)
    together.SCENARIOS = SCENARIOS
    together.main(sys.argv[1], sys.argv[2:])
