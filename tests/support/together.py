"""What one process and several that train together are to do alike: each scenario gives what is compared.

As a program: runs scenarios as one of several processes, and leaves what each gave, or its error, in a file.
"""

from __future__ import annotations

import functools
import os
import pickle
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler

import lamina as keras
from lamina import keras1, keras2, tf_keras
from lamina.training import distributed, replay
from lamina.training.trainer import Trainer

layers = keras.layers
SCENARIOS: dict[str, Callable[[], dict[str, Any]]] = {}
RNG = np.random.default_rng(5)
X = RNG.normal(size=(37, 6)).astype("float32")  # 37 = 2 * 18 + 1: in the last batch of 12 or 18 somebody has no row
Y = (X.sum(1) > 0).astype("float32")[:, None]
CLASSES = RNG.integers(0, 3, 37)
WEIGHTS = RNG.uniform(0, 3, 37).astype("float32") * (RNG.uniform(size=37) > 0.2)
STEPS = RNG.integers(0, 5, (37, 4))  # 0 is masked


def scenario(function: Callable) -> Callable:
    SCENARIOS[function.__name__] = function
    return function


def rank() -> int:
    return distributed.place()[0]


def mlp(outputs: int = 1, activation: str | None = "sigmoid", **first: Any) -> Any:
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(5, "tanh", **first),
            layers.Dense(outputs, activation, kernel_regularizer="l2"),
        ]
    )


def told(model: Any, history: Any = None, **more: Any) -> dict[str, Any]:
    """Curves, weights and the optimizer's state."""
    found = {f"curve of {name}": values for name, values in (history.history if history else {}).items()}
    found |= {f"weight {i} {weight.path}": weight.numpy() for i, weight in enumerate(model.weights)}
    return found | {f"state {i}": each.numpy() for i, each in enumerate(model.optimizer.variables)} | more


METRICS = [
    "accuracy", "auc", "Precision", "Recall", "mse", "CosineSimilarity", "R2Score", "F1Score", "TruePositives",
    "BinaryIoU", "PrecisionAtRecall", "RootMeanSquaredError", "hinge", "Poisson", "LogCoshError",
]  # fmt: skip


def metrics() -> list[Any]:
    special = {"PrecisionAtRecall": {"recall": 0.5}, "F1Score": {"threshold": 0.5}}
    found = [getattr(keras.metrics, name)(**special.get(name, {})) if name[0].isupper() else name for name in METRICS]
    return [*found, keras.metrics.AUC(curve="PR", name="pr"), keras.metrics.AUC(multi_label=True, name="by_label")]


@scenario
def arrays() -> dict[str, Any]:
    model = mlp(kernel_regularizer="l1", activity_regularizer=keras.regularizers.L2(0.1))
    model.compile("adam", "binary_crossentropy", metrics=metrics(), weighted_metrics=["mae", "auc"])
    how = {"batch_size": 12, "verbose": 0}
    history = model.fit(X, Y, sample_weight=WEIGHTS, validation_split=0.2, epochs=3, **how)
    evaluated = model.evaluate(X, Y, sample_weight=WEIGHTS, return_dict=True, **how)
    return told(model, history, predicted=model.predict(X, **how), **evaluated)


@scenario
def sums_and_weighted_means() -> dict[str, Any]:
    found = {}
    for reduction in ("sum", "mean_with_sample_weight", "mean"):
        model = mlp()
        model.compile(keras.optimizers.SGD(0.01), keras.losses.BinaryCrossentropy(reduction=reduction))
        history = model.fit(X, Y, sample_weight=WEIGHTS, batch_size=18, epochs=2, shuffle=False, verbose=0)
        plain = model.fit(X, Y, batch_size=18, shuffle="batch", verbose=0, class_weight={0: 2.0})
        found |= told(model, history, plain=plain.history["loss"], name=model.evaluate(X, Y, verbose=0))
        found = {f"{reduction}: {name}" if ":" not in name else name: value for name, value in found.items()}
    return found


@scenario
def masks() -> dict[str, Any]:
    model = keras.Sequential([
        keras.Input((4,)), layers.Embedding(5, 3, mask_zero=True), layers.LSTM(4, return_sequences=True),
        layers.Dense(3, "softmax"),
    ])  # fmt: skip
    model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"], weighted_metrics=["accuracy"])
    targets = np.repeat(CLASSES[:, None], 4, 1)
    history = model.fit(STEPS, targets, batch_size=12, epochs=3, verbose=0)
    return told(model, history, predicted=model.predict(STEPS, batch_size=5, verbose=0))


@scenario
def ignored_class() -> dict[str, Any]:
    model = mlp(3, "softmax")
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(ignore_class=1))
    return told(model, model.fit(X, CLASSES, batch_size=12, epochs=2, verbose=0))


@scenario
def several_outputs() -> dict[str, Any]:
    inputs = {"a": keras.Input((6,), name="a"), "b": keras.Input((4,), name="b")}
    joined = layers.Concatenate()([layers.Dense(4, "relu")(inputs["a"]), inputs["b"]])
    outputs = {"one": layers.Dense(1, name="one")(joined), "two": layers.Dense(3, "softmax", name="two")(joined)}
    model = keras.Model(inputs, outputs)
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9, global_clipnorm=0.5),
        {"one": keras.losses.MeanSquaredError(reduction="sum"), "two": "sparse_categorical_crossentropy"},
        loss_weights={"one": 0.3, "two": 2.0},
        metrics={"two": ["accuracy", "sparse_top_k_categorical_accuracy"], "one": ["mae"]},
    )
    data = {"a": X, "b": STEPS.astype("float32")}
    history = model.fit(data, {"one": Y, "two": CLASSES}, batch_size=12, epochs=2, verbose=0)
    predicted = model.predict(data, batch_size=12, verbose=0)
    return told(model, history, one=predicted["one"], two=predicted["two"])


@scenario
def synchronized() -> dict[str, Any]:
    """Also where a process has no row: the statistics are those of the others."""
    model = keras.Sequential([
        keras.Input((6, 2)), layers.Conv1D(4, 3, padding="causal"), layers.BatchNormalization(synchronized=True),
        layers.ReLU(), layers.GlobalAveragePooling1D(), layers.Dense(1),
    ])  # fmt: skip
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True), "mse", metrics=["mae"])
    x = np.stack([X, X**2], -1)
    history = model.fit(x, Y, batch_size=17, epochs=3, validation_data=(x, Y), verbose=0)
    model.train_on_batch(x[:1], Y[:1])
    return told(model, history, predicted=model.predict(x, verbose=0))


@scenario
def convolutions() -> dict[str, Any]:
    model = keras.Sequential([
        keras.Input((6, 6, 1)), layers.Conv2D(4, 3, padding="same", strides=2), layers.SeparableConv2D(3, 2),
        layers.Flatten(), layers.Dense(3, "softmax"),
    ])  # fmt: skip
    model.compile(keras.optimizers.AdamW(0.01, clipnorm=0.1, use_ema=True), "sparse_categorical_crossentropy")
    x = X[:, :, None, None] * X[:, None, :, None]
    return told(model, model.fit(x, CLASSES, batch_size=12, epochs=2, verbose=0))


@scenario
def accumulated() -> dict[str, Any]:
    model = mlp()
    model.compile(keras.optimizers.Adam(0.01, gradient_accumulation_steps=2, clipvalue=0.1), "mse")
    return told(model, model.fit(X, Y, batch_size=12, epochs=3, verbose=0))


@scenario
def scaled_losses() -> dict[str, Any]:
    """A step in which one process' gradient overflows is none for all."""
    model = mlp()
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)), "mse", metrics=["mae"])
    x = X.copy()
    x[1] = 1e38
    history = model.fit(x, Y * 1e30, batch_size=12, epochs=2, shuffle=False, verbose=0)
    return told(model, history, iterations=int(model.optimizer.inner_optimizer.iterations))


@scenario
def several_optimizers() -> dict[str, Any]:
    model = mlp()
    by_path = keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.1), {".*bias": keras.optimizers.Adam(0.01)})
    model.compile(keras.optimizers.MultiOptimizer(by_path), "mse")
    return told(model, model.fit(X, Y, batch_size=12, epochs=2, verbose=0))


@scenario
def unused_weights() -> dict[str, Any]:
    """A weight that the loss does not depend on gets no update."""
    inputs = keras.Input((6,))
    used, other = layers.Dense(1)(inputs), layers.Dense(2)(inputs)
    model = keras.Model(inputs, [used, other])
    model.compile(keras.optimizers.AdamW(0.1, weight_decay=0.1), ["mse", None])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return told(model, model.fit(X, [Y], batch_size=12, epochs=2, verbose=0))


@scenario
def single_batches() -> dict[str, Any]:
    model = mlp()
    model.compile("adam", "mse", metrics=["mae", "auc"])
    found = {}
    for number in range(3):
        found[f"trained {number}"] = model.train_on_batch(X[: 9 + number], Y[: 9 + number], return_dict=True)
    found["weighted"] = model.train_on_batch(X, Y, sample_weight=WEIGHTS)
    found["one row"] = model.train_on_batch(X[:1], Y[:1])
    found["tested"] = model.test_on_batch(X[:7], Y[:7])
    found["predicted"] = model.predict_on_batch(X[:5])
    return told(model) | {key: list(v.values()) if isinstance(v, dict) else v for key, v in found.items()}


class Own(keras.Model):
    """A `train_step` of one's own with a tracker that `metrics` lists, and a result that no metric holds."""

    def __init__(self, by_torch: bool = False) -> None:
        super().__init__()
        self.inner, self.tracker = mlp(), keras.metrics.Mean(name="tracked")
        self.by_torch = torch.optim.SGD(self.inner.parameters(), 0.1, momentum=0.9) if by_torch else None

    def call(self, x: Any) -> Any:
        return self.inner(x)

    @property
    def metrics(self) -> list[Any]:
        return [self.tracker]

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        self.zero_grad()
        loss.backward()
        if self.by_torch is not None:
            self.by_torch.step()
        else:
            self.optimizer.apply([weight.grad for weight in self.trainable_weights], self.trainable_weights)
        self.tracker.update_state(loss)
        return {"tracked": self.tracker.result(), "last": loss.detach()}


@scenario
def own_train_step() -> dict[str, Any]:
    found = {}
    for by_torch in (False, True):
        model = Own(by_torch)
        model.compile("adam", "mse")
        history = model.fit(X, Y, batch_size=12, epochs=2, verbose=0).history
        found |= {f"{by_torch}: {name}": values for name, values in history.items()}
        found |= {f"{by_torch}: {i}": weight for i, weight in enumerate(model.get_weights())}
    return found


class Batches(keras.utils.PyDataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        place = slice(index * 10, index * 10 + 10)
        return X[place], Y[place], WEIGHTS[place]


@scenario
def sources() -> dict[str, Any]:
    def generator() -> Iterator[Any]:
        while True:
            place = np.random.permutation(37)[:11]
            yield X[place], Y[place]

    tensors = TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    given = {
        "dataset": lambda: {"x": Batches(), "shuffle": True},
        "threads": lambda: {"x": Batches(workers=2), "shuffle": True},
        "loader": lambda: {"x": DataLoader(tensors, 9, shuffle=True)},
        "generator": lambda: {"x": generator(), "steps_per_epoch": 3, "validation_data": Batches()},
    }
    found = {}
    for name, make in given.items():
        model = mlp()
        model.compile("adam", "mse", metrics=["mae"])
        history = model.fit(**make(), epochs=2, verbose=0)
        found |= {f"{name}: {key}": value for key, value in told(model, history).items()}
    found["streamed"] = model.predict(Batches(), verbose=0)
    found["some"] = model.predict(Batches(), steps=2, verbose=0)
    return found


@scenario
def cut_by_a_sampler() -> dict[str, Any]:
    """What a DistributedSampler has shared out is not shared again: as many steps as one process makes of it all."""
    data = TensorDataset(torch.from_numpy(X[:36]), torch.from_numpy(Y[:36]))
    count = distributed.place()[1]
    sampler = DistributedSampler(data, shuffle=False, num_replicas=count, rank=rank())
    model = mlp()
    model.compile("adam", "mse", metrics=["mae"])
    if count == 1:
        history = model.fit(DataLoader(data, 12), epochs=2, verbose=0)
    else:
        history = model.fit(DataLoader(data, 12 // count, sampler=sampler), epochs=2, verbose=0)
    return told(model, history)


@scenario
def replayed() -> dict[str, Any]:
    """Recorded steps, and steps in which processes exchange numbers before the end, which are not."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replay, "EAGER_PASSES", 2)
        patch.setattr(replay, "EAGER_TIME", 0)
        for weights in (None, WEIGHTS[:36]):
            model = mlp()
            loss = keras.losses.MeanSquaredError(reduction="mean_with_sample_weight")
            model.compile(keras.optimizers.Adam(0.01), loss, metrics=["mae"])
            history = model.fit(X[:36], Y[:36], sample_weight=weights, batch_size=12, epochs=4, verbose=0)
            found |= {f"{weights is None}: {key}": value for key, value in told(model, history).items()}
            replays = any(each.replay for each in model._steps["train"].passes._formats.values())
            assert replays is (weights is None or distributed.place()[1] == 1)
    return found


@scenario
def stopped_early() -> dict[str, Any]:
    model = mlp()
    model.compile(keras.optimizers.SGD(1.0), "mse")
    callbacks = [
        keras.callbacks.EarlyStopping(patience=1, restore_best_weights=True, min_delta=0.05),
        keras.callbacks.ReduceLROnPlateau(patience=0, factor=0.5, min_delta=0.1),
        keras.callbacks.TerminateOnNaN(),
    ]
    history = model.fit(X, Y, validation_data=(X[::2], Y[::2]), batch_size=12, epochs=9, callbacks=callbacks, verbose=0)
    x = X.copy()
    x[0] = np.nan  # one process alone meets it first
    nan = model.fit(
        x, Y, batch_size=12, epochs=3, shuffle=False, callbacks=[keras.callbacks.TerminateOnNaN()], verbose=0
    )
    return {"curve": history.history["val_loss"], "rates": history.history["learning_rate"], "epochs": nan.epoch}


@scenario
def logs_of_batches() -> dict[str, Any]:
    model = mlp()
    model.compile("adam", "mse", metrics=["auc"])
    seen: list[Any] = []
    say = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append([*dict(logs).values()]))
    model.fit(X, Y, batch_size=12, epochs=2, callbacks=[say], verbose=0)
    return {"seen": seen}


def in_older_words(space: Any, epochs: str) -> dict[str, Any]:
    found = {}
    for weights in (None, WEIGHTS):
        model = space.models.Sequential()
        model.add(space.layers.Dense(5, input_shape=(6,), activation="relu"))
        model.add(space.layers.Dense(1, activation="sigmoid"))
        model.compile(optimizer="sgd", loss="binary_crossentropy", metrics=["accuracy"])
        how = {"batch_size": 12, epochs: 2, "verbose": 0, "sample_weight": weights}
        history = model.fit(X, Y, **how).history
        found |= {f"{weights is None}: {name}": values for name, values in history.items()}
        found |= {f"{weights is None}: {i}": weight for i, weight in enumerate(model.get_weights())}
    return found | {"predicted": model.predict(X, verbose=0)}


@scenario
def in_words_of_keras1() -> dict[str, Any]:
    return in_older_words(keras1, "nb_epoch")


@scenario
def in_words_of_keras2() -> dict[str, Any]:
    return in_older_words(keras2, "epochs")


@scenario
def in_words_of_tf_keras() -> dict[str, Any]:
    return in_older_words(tf_keras, "epochs")


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


@scenario
def modules_of_torch() -> dict[str, Any]:
    model = type("Net", (Trainer, Plain), {})()
    model.compile("adam", "mse", metrics=["mae"])
    history = model.fit(X, Y, batch_size=12, epochs=2, verbose=0).history
    return history | {"weights": model.inner.weight.detach().numpy(), "predicted": model.predict(X, verbose=0)}


class ByRows(layers.Layer):
    """Rows of one kind go through one layer, those of the other through another: some processes need one alone."""

    def build(self, shape: Any) -> None:
        self.ways = [layers.Dense(3), layers.Dense(3)]
        for way in self.ways:
            way.build(shape)

    def compute_output_shape(self, shape: Any) -> Any:
        return *shape[:-1], 3

    def call(self, x: Tensor) -> Tensor:
        kinds = x[:, 0] > 0
        parts = [way(x[rows]) for way, rows in zip(self.ways, (kinds, ~kinds), strict=True) if rows.any()]
        order = torch.cat([rows.nonzero()[:, 0] for rows in (kinds, ~kinds)])
        return torch.cat(parts)[order.argsort()]


@scenario
def weights_that_some_processes_need() -> dict[str, Any]:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(6), ByRows(), layers.Dense(1)])
    model.compile(keras.optimizers.AdamW(0.1), "mse")
    x, y = X[np.argsort(X[:, 0])], Y[np.argsort(X[:, 0])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return told(model, model.fit(x, y, batch_size=12, epochs=2, shuffle=False, verbose=0))


# Gradients that are sent in the backward pass ----------------------------------------------------------------------

EARLY = [
    arrays, sums_and_weighted_means, masks, several_outputs, synchronized, convolutions, accumulated, scaled_losses,
    several_optimizers, unused_weights, single_batches, weights_that_some_processes_need,
]  # fmt: skip


def sent_early(name: str) -> dict[str, Any]:
    """A scenario in which nearly every weight is a piece."""
    made: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distributed, "_PIECES", (8, 24))
        both = distributed.Sending.both
        patch.setattr(distributed.Sending, "both", lambda *given: (made.append(given), both(*given))[1])
        found = SCENARIOS[name]()
    assert bool(made) is (distributed.place()[1] > 1)
    return found


SCENARIOS |= {f"{each.__name__}_sent_early": functools.partial(sent_early, each.__name__) for each in EARLY}


# What has no like in one process ----------------------------------------------------------------------------------


@scenario
def apart_ordinary_statistics() -> dict[str, Any]:
    """Each process normalizes by its own rows; what is kept is the same everywhere after an epoch."""
    model = keras.Sequential([keras.Input((6,)), layers.BatchNormalization(momentum=0.5), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X[:16], Y[:16], batch_size=16, shuffle=False, verbose=0)
    return {"mean": model.layers[0].moving_mean.numpy(), "weights": model.get_weights()[-1]}


@scenario
def apart_dropout() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for seed in (None, 7):
        drop = layers.Dropout(0.5, seed=seed)
        model = keras.Sequential([keras.Input((6,)), drop, layers.Dense(1, use_bias=False)])
        model.compile("sgd", "mse")
        drawn: list[Any] = []
        drop.register_forward_hook(lambda module, given, made, drawn=drawn: drawn.append((made == 0).numpy().copy()))
        model.fit(np.ones((8, 6), "float32"), np.ones((8, 1)), epochs=2, batch_size=8, verbose=0)
        model.fit(np.ones((8, 6), "float32"), np.ones((8, 1)), epochs=1, batch_size=8, shuffle=False, verbose=0)
        found |= {f"own {seed}": np.stack(drawn), f"weights {seed}": model.get_weights()[0]}
    return found


@scenario
def apart_different_beginnings() -> dict[str, Any]:
    """Weights and random numbers begin as those of the first process; one that stops stops all."""
    keras.utils.set_random_seed(100 + rank())
    model = mlp()
    model.compile("adam", "mse")

    class Impatient(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 1 and rank() == distributed.place()[1] - 1:
                self.model.stop_training = True

    history = model.fit(X, Y, batch_size=12, epochs=5, callbacks=[Impatient()], verbose=0)
    return {
        "epochs": len(history.epoch),
        "weights": model.get_weights()[0],
        "drawn": np.random.rand(),
        **history.history,
    }


@scenario
def apart_sent_early() -> dict[str, Any]:
    """The last layer's gradients are on their way before the first one's are found; two in one pass are an error."""
    events: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distributed, "_PIECES", (8, 8))
        send = distributed._Piece.send
        patch.setattr(distributed._Piece, "send", lambda *given: (events.append("sent"), send(*given))[1])
        first, last = layers.Dense(5), layers.Dense(1)
        model = keras.Sequential([keras.Input((6,)), first, last])
        first.activation = lambda x: (x.requires_grad and x.register_hook(lambda grad: events.append("found")), x)[1]
        model.compile("adam", "mse")
        model.fit(X[:12], Y[:12], batch_size=12, verbose=0)

        class Twice(keras.Model):
            def __init__(self) -> None:
                super().__init__()
                self.first, self.last = layers.Dense(6), layers.Dense(1)

            def call(self, x: Any) -> Any:
                x = self.first(x)
                for _ in range(2):
                    x = torch.utils.checkpoint.checkpoint(self.first, x, use_reentrant=True)
                return self.last(x)

        again = Twice()
        again.compile("adam", "mse")
        with pytest.raises(RuntimeError, match=r"'.*/(kernel|bias)' came in two parts.*use_reentrant=False"):
            again.fit(X[:12], Y[:12], batch_size=12, verbose=0)
    return {"events": events}


@scenario
def apart_stateful() -> dict[str, Any]:
    inputs = keras.Input(batch_shape=(12, 6, 1))
    model = keras.Sequential([inputs, layers.LSTM(2, stateful=True), layers.Dense(1)])
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match=r'LSTM "lstm.*": it is stateful.* each of . processes has a share'):
        model.fit(X[:36, :, None], Y[:36], batch_size=12, verbose=0)
    return {}


class Connected(Trainer, nn.Module):
    """Connected by hand: each process trains on all that it is given."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = nn.parallel.DistributedDataParallel(module)

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x)


def fit_own_rows(model: Any) -> list[float]:
    """Train on rows that are this process' alone."""
    model.compile("sgd", "mse")
    own = slice(rank() * 8, rank() * 8 + 8)
    return model.fit(X[own], Y[own], batch_size=8, shuffle=False, verbose=0).history["loss"]


@scenario
def apart_connected_by_hand() -> dict[str, Any]:
    inner = mlp()
    losses = fit_own_rows(Connected(inner))
    return {"weights": inner.get_weights()[0], "own loss": losses}


@scenario
def apart_each_for_itself() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAMINA_TOGETHER", "0")
        model = mlp()
        losses = fit_own_rows(model)
    return {"weights": model.get_weights()[0], "own loss": losses}


@scenario
def apart_files() -> dict[str, Any]:
    """Who writes: the first process; who may read at once: all."""
    folder = Path(os.environ["TOGETHER"])
    model = mlp()
    model.compile("adam", "mse")
    callbacks = [
        keras.callbacks.CSVLogger(folder / "log.csv"),
        keras.callbacks.ModelCheckpoint(folder / "{epoch}.keras"),
        keras.callbacks.ModelCheckpoint(folder / "b{batch}.weights.h5", save_weights_only=True, save_freq=2),
        keras.callbacks.BackupAndRestore(folder / "backup"),
    ]
    model.fit(X, Y, batch_size=12, epochs=2, callbacks=callbacks, verbose=2)
    model.save(folder / "whole.keras")
    model.save_weights(folder / f"{rank()}.weights.h5")
    loaded = [keras.models.load_model(folder / name) for name in ("2.keras", "whole.keras")]
    return {"loaded": [each.get_weights()[0] for each in loaded]} | {"weights": model.get_weights()[0]}


def main(folder: str, names: list[str]) -> None:
    found: dict[str, Any] = {}
    for name in names:
        found[name] = run(name)
    Path(folder, f"{rank()}.pickle").write_bytes(pickle.dumps(found))


def run(name: str) -> Any:
    """What a scenario gives, or its error as text."""
    keras.utils.set_random_seed(1)
    keras.utils.clear_session(free_memory=False)
    try:
        return SCENARIOS[name]()
    except Exception:
        return traceback.format_exc()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1], sys.argv[2:])
