"""Callbacks: the order of calls, and what each of them does."""

from __future__ import annotations

import ast
import copy
import csv
import inspect
import json
import random
import sys
import threading
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs

import h5py
import numpy as np
import pytest
import torch

import lamina as keras
from lamina import callbacks, keras1, keras2, layers, tf_keras

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 4)).astype("float32")
Y = RNG.normal(size=(20, 2)).astype("float32")


def compiled(optimizer: Any = "sgd", **settings: Any) -> keras.Sequential:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="tanh"), layers.Dense(2)])
    model.compile(optimizer, "mse", **settings)
    return model


def fit(model: Any, *called: Any, **settings: Any) -> dict[str, list[float]]:
    return model.fit(X, Y, verbose=0, callbacks=list(called), **settings).history


class Plays(callbacks.Callback):
    """Overwrites a value of the logs, epoch by epoch, for the callbacks after it."""

    def __init__(self, name: str, values: list[float]):
        self.name, self.values = name, values

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs[self.name] = self.values[epoch]


# Order ----------------------------------------------------------------------------------------------------------------

HOOKS = [
    f"on_{what}_{moment}"
    for what in ("train", "test", "predict", "epoch", "train_batch", "test_batch", "predict_batch")
    for moment in ("begin", "end")
]


class Records(callbacks.Callback):
    def __init__(self) -> None:
        self.calls: list[str] = []
        for hook in HOOKS:
            setattr(self, hook, self.recorder(hook))

    def recorder(self, hook: str) -> Any:
        def record(*args: Any) -> None:
            place = f" {args[0]}" if len(args) > 1 else ""
            assert isinstance(args[-1], dict)
            self.calls.append(hook.removeprefix("on_") + place)

        return record


def test_order_of_calls() -> None:
    records, model = Records(), compiled()
    fit(model, records, batch_size=10, validation_data=(X[:4], Y[:4]), epochs=2)
    epoch = [
        "epoch_begin 0", "train_batch_begin 0", "train_batch_end 0", "train_batch_begin 1", "train_batch_end 1",
        "test_begin", "test_batch_begin 0", "test_batch_end 0", "test_end", "epoch_end 0",
    ]  # fmt: skip
    second = [call.replace("epoch_begin 0", "epoch_begin 1").replace("epoch_end 0", "epoch_end 1") for call in epoch]
    assert records.calls == ["train_begin", *epoch, *second, "train_end"]
    records.calls.clear()
    model.predict(X, batch_size=10, verbose=0, callbacks=[records])
    batches = [f"predict_batch_{moment} {batch}" for batch in (0, 1) for moment in ("begin", "end")]
    assert records.calls == ["predict_begin", *batches, "predict_end"]


def test_steps_per_execution_thins_the_calls_out() -> None:
    records = Records()
    fit(compiled(steps_per_execution=3), records, batch_size=4)
    assert [call for call in records.calls if "batch" in call] == [
        "train_batch_begin 0", "train_batch_end 2", "train_batch_begin 3", "train_batch_end 4",
    ]  # fmt: skip


def test_parameters_model_and_stopping() -> None:
    class Stops(callbacks.Callback):
        def on_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 1

    stops = Stops()
    model = compiled()
    model.fit(X, Y, batch_size=5, epochs=3, verbose=0, callbacks=stops)
    assert stops.params == {"verbose": 0, "epochs": 3, "steps": 4} and stops.model is model
    assert model.history.epoch == [0] and int(model.optimizer.iterations) == 2
    assert model.fit(X, Y, verbose=0).epoch == [0]


def test_the_logs_of_predict_hold_outputs() -> None:
    seen = []
    show = callbacks.LambdaCallback(on_predict_batch_end=lambda batch, logs: seen.append(logs["outputs"].shape))
    compiled().predict(X, batch_size=15, verbose=0, callbacks=[show])
    assert seen == [(15, 2), (5, 2)]


def test_a_list_calls_all_of_its_callbacks_and_can_be_passed() -> None:
    records, model = Records(), compiled()
    called = callbacks.CallbackList([records], add_history=True, add_progbar=False, model=model, epochs=1, verbose=0)
    for hook in HOOKS:
        arguments = (3,) if "batch" in hook or "epoch" in hook else ()
        getattr(called, hook)(*arguments)
    assert [call.split()[0] for call in records.calls] == [hook.removeprefix("on_") for hook in HOOKS]
    records.calls.clear()
    model.fit(X, Y, callbacks=called, batch_size=20)
    assert len(records.calls) == 6 and isinstance(model.history, callbacks.History)
    called.append(callbacks.TerminateOnNaN())
    assert len(called.callbacks) == 3
    with pytest.raises(ValueError, match="callbacks"):
        callbacks.CallbackList([callbacks.EarlyStopping, 5])


# Watching -------------------------------------------------------------------------------------------------------------


def test_what_callbacks_write_into_logs_reaches_those_after_them_alone() -> None:
    class Writes(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            logs["mine"] = 1.0

        def on_test_end(self, logs: Any = None) -> None:
            logs["mine"] = 1.0

        def on_train_end(self, logs: Any = None) -> None:
            self.last = sorted(logs)

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y, writes = np.ones((4, 3)), np.ones((4, 1)), Writes()
    history = model.fit(x, y, validation_data=(x, y), verbose=0, callbacks=[writes]).history
    assert writes.last == ["loss", "val_loss"] and sorted(history) == ["loss", "mine", "val_loss"]
    assert list(model.evaluate(x, y, verbose=0, callbacks=[writes], return_dict=True)) == ["loss"]


def test_early_stopping_stops_and_restores() -> None:
    losses = [3.0, 2.0, 2.5, 2.2, 1.0]
    weights: list[Any] = []
    keep = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(model.get_weights()))
    stopping = callbacks.EarlyStopping("loss", patience=2, restore_best_weights=True)
    model = compiled()
    history = fit(model, Plays("loss", losses), keep, stopping, epochs=5)
    assert history["loss"] == losses[:4] and stopping.stopped_epoch == 3 and stopping.best_epoch == 1
    for found, expected in zip(model.get_weights(), weights[1], strict=True):
        np.testing.assert_array_equal(found, expected)
    assert not np.array_equal(weights[3][0], weights[1][0])


@pytest.mark.parametrize(
    ("settings", "values", "epochs"),
    [
        ({"min_delta": 0.5}, [3, 2.6, 2.4, 2.3], 2),
        ({"patience": 1, "mode": "max"}, [3, 2, 1, 5], 2),
        ({"patience": 2, "mode": "max"}, [3, 2, 4, 3, 3, 9], 5),
        ({"baseline": 1.0, "patience": 2}, [3, 2, 2.5, 2.5], 3),
        ({"start_from_epoch": 2}, [1, 2, 3, 4, 3], 4),
        ({"monitor": "gain", "mode": "auto"}, [1, 2, 1, 1], 3),
    ],
)
def test_when_early_stopping_stops(settings: dict, values: list[float], epochs: int) -> None:
    class Gain(keras.metrics.Mean):
        _direction = "up"

        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(y_pred)

    settings = {"monitor": "loss", **settings}
    model = compiled(metrics=[Gain(name="gain")])
    history = fit(model, Plays(settings["monitor"], values), callbacks.EarlyStopping(**settings), epochs=len(values))
    assert len(history["loss"]) == epochs


def test_watching_something_unknown() -> None:
    with pytest.warns(UserWarning, match="`val_loss`, which is not there. There are: loss"):
        fit(compiled(), callbacks.EarlyStopping())
    with pytest.raises(ValueError, match="mode='max'"):
        fit(compiled(), Plays("speed", [1.0]), callbacks.EarlyStopping("speed"))
    with pytest.warns(UserWarning, match="mode 'most'"):
        callbacks.EarlyStopping("loss", mode="most")


@pytest.mark.parametrize(
    ("settings", "values", "rates"),
    [
        ({"patience": 1, "cooldown": 1, "min_lr": 0.15}, [1.0] * 7, [0.8, 0.8, 0.4, 0.2, 0.15, 0.15, 0.15, 0.15]),
        ({"patience": 2}, [1, 0.9, 0.9, 0.9, 0.9, 0.8, 0.8, 0.8], [0.8, 0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.4, 0.2]),
    ],
)
def test_reduce_on_plateau(settings: dict, values: list[float], rates: list[float]) -> None:
    """The rates are those of Keras 3.15.1."""
    model = compiled(keras.optimizers.SGD(0.8))
    reduces = callbacks.ReduceLROnPlateau("loss", factor=0.5, **settings)
    history = fit(model, Plays("loss", values), reduces, epochs=len(values))
    assert [*history["learning_rate"], float(model.optimizer.learning_rate)] == pytest.approx(rates)
    with pytest.raises(ValueError, match="factor"):
        callbacks.ReduceLROnPlateau(factor=1.0)


@pytest.mark.parametrize("schedule", [lambda epoch: 0.1 / (epoch + 1), lambda epoch, rate: 0.1 / (epoch + 1)])
def test_learning_rate_scheduler(schedule: Any, capsys: pytest.CaptureFixture) -> None:
    history = fit(compiled(), callbacks.LearningRateScheduler(schedule, verbose=1), epochs=3)
    assert history["learning_rate"] == pytest.approx([0.1, 0.05, 0.1 / 3])
    assert "Epoch 2: learning rate set to 0.05" in capsys.readouterr().out
    with pytest.raises(ValueError, match="float"):
        fit(compiled(), callbacks.LearningRateScheduler(lambda epoch: "fast"))


def test_the_line_of_an_epoch_ends_with_the_rate(capsys: pytest.CaptureFixture) -> None:
    model = compiled(metrics=["mae"])
    model.fit(X, Y, callbacks=[callbacks.LearningRateScheduler(lambda epoch: 0.5)], verbose=2, validation_split=0.5)
    shown = [part.split(":")[0] for part in capsys.readouterr().out.strip().split(" - ")[3:]]
    assert shown == ["loss", "mae", "val_loss", "val_mae", "learning_rate"]


def test_terminate_on_nan(capsys: pytest.CaptureFixture) -> None:
    x = X.copy()
    x[10] = np.inf
    model = compiled()
    model.fit(x, Y, batch_size=5, epochs=3, shuffle=False, verbose=0, callbacks=[callbacks.TerminateOnNaN()])
    assert model.history.epoch == [0] and int(model.optimizer.iterations) == 3
    assert "Batch 2" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match="batch 2 is nan"):
        compiled().fit(
            x, Y, batch_size=5, shuffle=False, verbose=0, callbacks=[callbacks.TerminateOnNaN(raise_error=True)]
        )


def test_swap_ema_weights() -> None:
    model = compiled(keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.9))
    inside: list[Any] = []
    look = callbacks.LambdaCallback(on_test_begin=lambda logs: inside.append(model.get_weights()))
    for _ in range(5):
        model.train_on_batch(X, Y)
    before = model.get_weights()
    averages = [variable.numpy() for variable in model.optimizer.variables if "average" in variable.path]
    model.evaluate(X, Y, verbose=0, callbacks=[callbacks.SwapEMAWeights(), look])
    for found, expected, fast in zip(inside[0], averages, before, strict=True):
        np.testing.assert_array_equal(found, expected)
        assert not np.array_equal(found, fast)
    for found, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match="use_ema"):
        compiled().evaluate(X, Y, verbose=0, callbacks=[callbacks.SwapEMAWeights()])


def test_averages_stay_in_the_model_between_epochs() -> None:
    model = compiled(keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.9))
    saved: list[Any] = []
    look = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: saved.append(model.get_weights()))
    fit(model, callbacks.SwapEMAWeights(swap_on_epoch=True), look, epochs=2, batch_size=5)
    for found, last in zip(model.get_weights(), saved[1], strict=True):
        np.testing.assert_array_equal(found, last)


# Files ----------------------------------------------------------------------------------------------------------------


def test_checkpoints_of_every_epoch(tmp_path: Path) -> None:
    model = compiled()
    saves = callbacks.ModelCheckpoint(tmp_path / "sub" / "{epoch:02d}-{loss:.1f}.keras")
    fit(model, Plays("loss", [3.0, 2.0]), saves, epochs=2)
    assert sorted(path.name for path in (tmp_path / "sub").iterdir()) == ["01-3.0.keras", "02-2.0.keras"]
    again = keras.models.load_model(tmp_path / "sub" / "02-2.0.keras")
    np.testing.assert_allclose(again.predict(X, verbose=0), model.predict(X, verbose=0), rtol=1e-6)


def test_the_best_checkpoint_stays(tmp_path: Path) -> None:
    path, weights = tmp_path / "best.weights.h5", []
    model = compiled()
    keep = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(model.get_weights()))
    saves = callbacks.ModelCheckpoint(
        path, "loss", save_best_only=True, save_weights_only=True, initial_value_threshold=4.0
    )
    fit(model, Plays("loss", [5.0, 2.0, 3.0]), keep, saves, epochs=3)
    assert saves.best == 2.0
    model.load_weights(path)
    for found, expected in zip(model.get_weights(), weights[1], strict=True):
        np.testing.assert_array_equal(found, expected)


def test_checkpoints_by_batches(tmp_path: Path) -> None:
    saves = callbacks.ModelCheckpoint(tmp_path / "{epoch}-{batch}.keras", save_freq=3)
    fit(compiled(), saves, batch_size=4, epochs=2)
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["1-3", "2-1", "2-4"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"filepath": "model.txt"}, r"\.keras"),
        ({"filepath": "model.keras", "save_weights_only": True}, r"\.weights\.h5"),
        ({"filepath": "model.keras", "save_freq": "batch"}, "save_freq.*'batch'"),
    ],
)
def test_wrong_checkpoints(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        callbacks.ModelCheckpoint(**settings)


def test_a_checkpoint_named_by_something_unknown(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match=r"speed.*epoch, loss"):
        fit(compiled(), callbacks.ModelCheckpoint(tmp_path / "{speed}.keras"))


def test_a_fit_within_a_fit_leaves_the_outer_history() -> None:
    class Inner(callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 0:
                self.model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=3, verbose=0)

    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    found = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=2, verbose=0, callbacks=[Inner()])
    assert found is model.history and found.epoch == [0, 1]


class Crash(callbacks.Callback):
    def __init__(self, epoch: int):
        self.epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch == self.epoch:
            raise OSError("power cut")


@pytest.mark.parametrize("double", [False, True])
def test_backup_resumes_to_the_same_weights(tmp_path: Path, double: bool) -> None:
    uninterrupted = compiled("adam")
    fit(uninterrupted, epochs=5, batch_size=8)
    backup = callbacks.BackupAndRestore(tmp_path / "backup", double_checkpoint=double)
    with pytest.raises(OSError, match="power cut"):
        fit(compiled("adam"), backup, Crash(2), epochs=5, batch_size=8)
    written = {path.name for path in (tmp_path / "backup").iterdir()}
    names = {"latest.weights.h5", "training_metadata.json"}
    assert written == (names | {f"{name}.bkp" for name in names} if double else names)
    torch.manual_seed(99)
    resumed = compiled("adam")
    torch.manual_seed(99)
    history = resumed.fit(
        X, Y, epochs=5, batch_size=8, verbose=0, callbacks=[callbacks.BackupAndRestore(tmp_path / "backup")]
    )
    assert history.epoch == [0, 1, 3, 4]  # the callback failed before all knew of an epoch
    for found, expected in zip(resumed.get_weights(), uninterrupted.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
    assert not (tmp_path / "backup").exists()
    assert resumed.fit(X, Y, verbose=0).epoch == [0]


def test_a_damaged_backup_gives_way_to_the_one_before(tmp_path: Path) -> None:
    backup = callbacks.BackupAndRestore(tmp_path, double_checkpoint=True, delete_checkpoint=False)
    fit(compiled(), backup, epochs=2)
    latest = tmp_path / "latest.weights.h5"
    latest.write_bytes(latest.read_bytes()[:100])
    with pytest.warns(UserWarning, match="trying an older backup"):
        history = compiled().fit(
            X, Y, epochs=2, verbose=0, callbacks=[callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)]
        )
    assert history.epoch == [0, 1]


def test_backup_needs_a_built_model_and_a_folder(tmp_path: Path) -> None:
    model = keras.Sequential([layers.Dense(2)])
    backup = callbacks.BackupAndRestore(tmp_path)
    backup.set_model(model)
    with pytest.raises(ValueError, match="build the model"):
        backup.on_train_begin()
    with pytest.raises(ValueError, match="path that is not empty"):
        callbacks.BackupAndRestore("")


def rows_of(path: Path) -> list[list[str]]:
    return list(csv.reader(path.read_text(encoding="utf-8").splitlines(), delimiter=";"))


def test_csv_logger(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    fit(compiled(), Plays("loss", [3.0, 2.0]), callbacks.CSVLogger(path, separator=";"), epochs=2)
    rows = rows_of(path)
    assert rows == [["epoch", "loss", "val_loss"], ["0", "3.0", "NA"], ["1", "2.0", "NA"]]
    fit(compiled(), Plays("loss", [1.0]), callbacks.CSVLogger(path, separator=";", append=True))
    assert rows_of(path) == [*rows, ["0", "1.0", "NA"]]
    fit(compiled(), callbacks.CSVLogger(path))
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2


@pytest.mark.parametrize("as_json", [False, True])
def test_remote_monitor(as_json: bool) -> None:
    received = []

    class Server(BaseHTTPRequestHandler):
        def do_POST(self):
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            received.append(json.loads(text if as_json else parse_qs(text)["data"][0]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        monitor = callbacks.RemoteMonitor(f"http://127.0.0.1:{server.server_port}", send_as_json=as_json)
        fit(compiled(), Plays("loss", [3.0]), monitor)
        thread.join()
    assert received == [{"epoch": 0, "loss": 3.0}]
    with pytest.warns(UserWarning, match="cannot reach"):
        fit(compiled(), callbacks.RemoteMonitor("http://127.0.0.1:1"))


def test_tensorboard_writes_scalars(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written: dict[str, list[Any]] = {}

    class SummaryWriter:
        def __init__(self, folder):
            self.part = Path(folder).name

        def add_scalar(self, name, value, step):
            written.setdefault(f"{self.part}/{name}", []).append((step, value))

        def add_histogram(self, name, value, step):
            written.setdefault(f"histogram/{name}", []).append(step)

        def flush(self): ...

        def close(self): ...

    package = ModuleType("torch.utils.tensorboard")
    package.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", package)
    board = callbacks.TensorBoard(tmp_path, histogram_freq=1, update_freq=2, write_steps_per_second=True)
    model = compiled()
    fit(model, Plays("loss", [3.0, 2.0]), board, epochs=2, batch_size=5, validation_data=(X, Y))
    assert written["train/epoch_loss"] == [(0, 3.0), (1, 2.0)]
    assert [step for step, _ in written["validation/epoch_loss"]] == [0, 1]
    assert [step for step, _ in written["train/batch_loss"]] == [2, 4, 6, 8]
    assert written["train/epoch_learning_rate"] == [(0, pytest.approx(0.01)), (1, pytest.approx(0.01))]
    assert written[f"histogram/{model.layers[0].kernel.path}"] == [0, 1]
    with pytest.raises(ValueError, match="profile_batch"):
        callbacks.TensorBoard(profile_batch=2)


def test_tensorboard_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match="pip install tensorboard"):
        fit(compiled(), callbacks.TensorBoard())


# Arguments ------------------------------------------------------------------------------------------------------------

FIRST = {
    "LearningRateScheduler": {"schedule": float},
    "ModelCheckpoint": {"filepath": "a.weights.h5"},
    "BackupAndRestore": {"backup_dir": "a"},
    "CSVLogger": {"filename": "a"},
}


def declared() -> Iterator[tuple[Any, Any]]:
    for name in callbacks.__all__:
        cls = getattr(callbacks, name)
        yield from ((cls, argument) for argument in getattr(cls, "_args", {}).values())


@pytest.mark.parametrize(
    ("cls", "argument"), [pytest.param(*pair, id=f"{pair[0].__name__}-{pair[1].name}") for pair in declared()]
)
def test_every_argument_is_checked_when_a_callback_is_made(cls: Any, argument: Any) -> None:
    needed = FIRST.get(cls.__name__, {})
    assert argument.kind.bad
    for value in argument.kind.bad:
        with pytest.raises((ValueError, TypeError), match=f"{cls.__name__}: argument `{argument.name}` must be"):
            cls(**{**needed, argument.name: value})
    cls(**needed)


def test_every_callback_with_arguments_declares_them() -> None:
    classes = [getattr(callbacks, name) for name in callbacks.__all__]
    undeclared = {cls.__name__ for cls in classes if inspect.signature(cls).parameters and not hasattr(cls, "_args")}
    assert undeclared == {"CallbackList", "LambdaCallback"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: callbacks.EarlyStopping(patient=3), "Did you mean `patience`"),
        (lambda: callbacks.ReduceLROnPlateau(epsilon=1e-3), "no argument `epsilon`"),
        (lambda: callbacks.LambdaCallback(on_epoch_finish=print), "no argument `on_epoch_finish`"),
        (lambda: callbacks.LambdaCallback(on_test_end=3), "`on_test_end` must be a function"),
        (lambda: callbacks.ModelCheckpoint("{}.keras"), "a place without a name"),
        (lambda: callbacks.ModelCheckpoint("{epoch.keras"), "cannot be filled in"),
        (lambda: tf_keras.callbacks.ModelCheckpoint("a.keras", period=0), "`period`"),
        (lambda: callbacks.CallbackList([callbacks.EarlyStopping]), r"is a class; make one of it: EarlyStopping\("),
        (lambda: callbacks.CallbackList([lambda epoch: None]), "got <lambda>. LambdaCallback makes one"),
    ],
)
def test_what_a_callback_does_not_take(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_words_of_the_older_generations() -> None:
    assert tf_keras.callbacks.ReduceLROnPlateau(epsilon=0.5).min_delta == 0.5
    assert keras1.callbacks.ReduceLROnPlateau("loss", 0.1, 2, 0, "auto", 0.25).min_delta == 0.25
    with pytest.warns(UserWarning, match="`write_images` is not available"):
        callbacks.TensorBoard(write_images=True)


# Arguments of the older generations that say nothing here, and callbacks that are not made by users or take nothing.
SILENT = {
    "batch_size", "embeddings_data", "embeddings_freq", "embeddings_layer_names", "embeddings_metadata", "options",
    "profile_batch", "save_before_preemption", "write_grads",
}  # fmt: skip
UNORDERED = {"BaseLogger", "CallbackList", "Progbar", "ProgbarLogger", "SidecarEvaluatorModelExport"}
OTHERS = {"period": 3, "epsilon": 0.25, "headers": {"a": "b"}, "baseline": 0.5, "update_freq": 9}


def ordered() -> Iterator[Any]:
    """Each callback of an older generation, with the names of its arguments and what they are if not given."""
    for old, file in ((keras1, "keras1"), (keras2, "keras2"), (tf_keras, "tf_keras2")):
        recorded = json.loads((Path(__file__).parent / f"golden/signatures/{file}.json").read_text())
        for path, given in recorded.items():
            name = path.removeprefix("callbacks.")
            words = [word.partition("=") for word in given or () if word[0] != "*"]
            if path == f"callbacks.{name}" and "." not in name and name not in UNORDERED and words:
                parameters = {word: ast.literal_eval(value) if sign else None for word, sign, value in words}
                yield pytest.param(getattr(old.callbacks, name), parameters, id=f"{file}-{name}")


@pytest.mark.filterwarnings("ignore:TensorBoard")
@pytest.mark.parametrize(("cls", "parameters"), [*ordered()])
def test_arguments_of_the_older_generations_have_the_places_of_their_time(cls: Any, parameters: dict) -> None:
    defaults = parameters | FIRST.get(cls.__name__, {})
    cls(*defaults.values())
    for place, name in enumerate(defaults):
        if name in SILENT or name in FIRST.get(cls.__name__, {}):
            continue
        good = cls._args[name].kind.good if name in getattr(cls, "_args", {}) else (print,)
        other = OTHERS.get(name) or next(value for value in good if value not in (None, defaults[name]))
        before = dict(list(defaults.items())[:place])
        by_place, by_name, plain = cls(*before.values(), other), cls(**before, **{name: other}), cls(**before)
        seen, expected, unlike = ({**vars(one), "_frequency": None} for one in (by_place, by_name, plain))
        assert seen == expected != unlike, name


def test_what_an_older_callback_does_not_take() -> None:
    with pytest.raises(TypeError, match=r"at most 7 positional arguments .*; got 8"):
        keras2.callbacks.ModelCheckpoint("a.h5", "loss", 0, False, False, "auto", 1, None)
    with pytest.raises(TypeError, match="`verbose` twice"):
        keras2.callbacks.ModelCheckpoint("a.h5", "loss", 0, verbose=1)
    keras2.callbacks.TensorBoard("logs", write_grads=True)  # of no epoch
    with pytest.warns(UserWarning, match="histograms of gradients are not written"):
        keras2.callbacks.TensorBoard("logs", 1, 32, True, True)
    with pytest.raises((TypeError, ValueError), match="options"):
        tf_keras.callbacks.ModelCheckpoint("a.h5", options=object())


@pytest.mark.parametrize("old", [keras1, keras2, tf_keras])
def test_functions_of_batches_in_their_old_places(old: Any) -> None:
    seen: list[int] = []
    fit(compiled(), old.callbacks.LambdaCallback(None, None, None, lambda batch, logs: seen.append(batch)))
    assert seen


def test_a_name_that_cannot_be_filled_in(tmp_path: Path) -> None:
    with pytest.raises(KeyError) as missing:
        fit(compiled(), callbacks.ModelCheckpoint(tmp_path / "{speed}.keras"))
    assert str(missing.value).startswith("ModelCheckpoint: `filepath` names 'speed'")
    with pytest.raises(ValueError, match="cannot be filled in"):
        fit(compiled(), callbacks.ModelCheckpoint(tmp_path / "{loss:d}.keras"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
def test_a_full_disk_is_named() -> None:
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        fit(compiled(), callbacks.CSVLogger("/dev/full"))


# Damaged backups ------------------------------------------------------------------------------------------------------


def backups(folder: Path) -> Path:
    """Those after one and after both batches of the first of two epochs; the latter's file."""
    backup = callbacks.BackupAndRestore(folder, 1, double_checkpoint=True)
    with pytest.raises(OSError, match="power cut"):
        fit(seeded(), callbacks.History(), backup, Crash(0), epochs=2, batch_size=16)
    return folder / "latest.weights.h5"


def seeded() -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2), layers.Dropout(0.5, seed=1)])
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Every node of nested data; of long lists the ends alone."""
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        for index in sorted({*range(min(len(value), 2)), *range(max(len(value) - 1, 0), len(value))}):
            yield from places(value[index], (*path, index))


def mutated(state: Any, path: tuple, value: Any) -> Any:
    """`state` with `value` in place of what stands at `path`; without it where `value` is Ellipsis."""
    if not path:
        return {} if value is ... else value
    state = copy.deepcopy(state)
    inner = state
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return state


def text_of(file: Path) -> str:
    with h5py.File(file) as opened:
        return bytes(opened["run/state"][()]).decode()


def with_text(file: Path, text: str) -> None:
    with h5py.File(file, "a") as opened:
        del opened["run/state"]
        opened["run"].create_dataset("state", data=np.frombuffer(text.encode(), np.uint8))


def test_a_damaged_backup_is_reported_and_the_older_one_taken_or_training_refuses(tmp_path: Path) -> None:
    """Each node of its state in turn is missing or something else. What is still sound may be used."""
    latest = backups(tmp_path / "a")
    older, whole = latest.with_name(f"{latest.name}.bkp"), latest.read_bytes()
    state = json.loads(text_of(latest))
    assert state["items"]["batch"] == 2 and state["items"]["epoch"] == 0 and state["items"]["callbacks"]
    chance = random.Random(0)
    cases = [(path, value) for path in places(state) for value in (..., None, "x", -1, {}, [[]], 1 << 70)]
    cases = chance.sample(cases, 60) + [(("items", "epoch"), value) for value in (-3, 99, "2", 2.0, 4)]
    texts = [json.dumps(mutated(state, *case)) for case in cases]
    texts += ["", "[", json.dumps(state)[:-5], "[" * 100_000, "\0", json.dumps(state) + "}"]
    seen = {"older": 0, "refused": 0, "used": 0}
    for text in texts:
        latest.write_bytes(whole)
        older.write_bytes(whole)
        with_text(latest, text)
        model = seeded()
        backup = callbacks.BackupAndRestore(latest.parent, 99, delete_checkpoint=False)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                model.fit(X, Y, epochs=2, batch_size=16, verbose=0, callbacks=[backup, Crash(0)])
            except ValueError as error:
                assert str(latest) in str(error), text[:200]
                seen["refused"] += 1
            except OSError:
                seen["older" if told else "used"] += 1
        assert not told or (len(told) == 1 and str(latest) in str(told[0].message))
    assert seen["older"] > 25 and seen["older"] + seen["refused"] > 45, seen
    for length in range(0, len(whole), len(whole) // 8):
        latest.write_bytes(whole[:length])
        older.write_bytes(whole)
        with pytest.warns(UserWarning, match="trying an older backup"), pytest.raises(OSError, match="power cut"):
            fit(seeded(), callbacks.BackupAndRestore(latest.parent), Crash(0), epochs=2, batch_size=16)


def test_where_no_backup_is_sound_training_starts_from_the_beginning(tmp_path: Path) -> None:
    latest = backups(tmp_path)
    latest.with_name(f"{latest.name}.bkp").unlink()
    with_text(latest, text_of(latest).replace('"python"', '"pyton"'))
    model = seeded()
    before, python, numpy = model.get_weights(), random.getstate(), np.random.get_state()[1].tolist()
    backup = callbacks.BackupAndRestore(tmp_path)
    backup.set_model(model)
    with pytest.warns(UserWarning, match=r"latest.weights.h5 \(the state of random numbers does not fit"):
        backup.on_train_begin()
    assert all(map(np.array_equal, before, model.get_weights())) and model._initial_epoch == 0
    assert random.getstate() == python and np.random.get_state()[1].tolist() == numpy


def test_a_backup_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file; give it a folder"):
        fit(seeded(), callbacks.BackupAndRestore(tmp_path / "a"))


@pytest.mark.parametrize(("mode", "delta"), [("min", -0.5), ("max", 0.5)])
@pytest.mark.parametrize("space", [keras, keras.keras1, keras.keras2, keras.tf_keras])
def test_callbacks_of_users_compare_by_the_operation_of_the_base(space: Any, mode: str, delta: float) -> None:
    """As `EarlyStopping` of the originals is written: `monitor_op(current - min_delta, best)`."""
    stop = space.callbacks.EarlyStopping("loss", min_delta=0.5, mode=mode)
    better = stop.monitor_op
    assert better is (np.less if mode == "min" else np.greater) and stop.min_delta == delta
    sign = -1 if mode == "min" else 1
    assert better(3 + sign * 0.6 - stop.min_delta, 3) and not better(3 + sign * 0.4 - stop.min_delta, 3)
    assert stop.is_improvement(3 + sign * 0.6, 3) and not stop.is_improvement(3 + sign * 0.4, 3)
