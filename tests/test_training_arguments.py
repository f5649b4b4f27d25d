"""Every argument of the models' methods and of the callbacks changes what training does, shows or writes, or is refused.

For each callable a table names every argument with a call in which it counts: what stands beside it, and two values
between which something that can be observed must differ. An argument that is not in its table fails.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_arguments_have_effects import plain, same

import lamina as keras
from lamina import callbacks
from lamina.training.trainer import Trainer

L = keras.layers
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 4)).astype("float32"), RNG.normal(size=(12, 1)).astype("float32")
LABELS = (Y > 0).astype("int32")
HELD = X[:4] + 1, Y[:4] + 1


class Counts(callbacks.Callback):
    """Counts the calls of every hook."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}
        for hook in dir(callbacks.Callback):
            if hook.startswith("on_"):
                setattr(self, hook, lambda *args, hook=hook, **kwargs: self.count(hook, args))

    def count(self, hook: str, args: tuple) -> None:
        self.calls[hook] = self.calls.get(hook, 0) + 1


class Data(keras.utils.PyDataset):
    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        return X[index * 4 : index * 4 + 4], Y[index * 4 : index * 4 + 4]


def net(**settings: Any) -> Any:
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), L.Dense(3, activation="tanh", name="inner"), L.Dense(1, name="out")])
    model.compile(**{"optimizer": "sgd", "loss": "mse", **settings})
    return model


def text_of(capsys: Any) -> str:
    return re.sub(r"[\d.]+(m|u)?s\b", "", capsys.readouterr().out)


def check(table: dict[str, tuple], function: Callable, see: Callable[[dict[str, Any]], Any], skip: tuple = ()) -> None:
    """Every parameter of `function` is in the table, and what is seen differs between its two values."""
    names = [name for name in inspect.signature(function).parameters if name not in ("self", "kwargs", *skip)]
    assert [name for name in names if name not in table] == []
    silent = []
    for name, (beside, one, other) in table.items():
        assert name in names, name
        first, second = (see({**beside, **({} if value is LEFT_OUT else {name: value})}) for value in (one, other))
        if same(first, second):
            silent.append(name)
    assert silent == []


LEFT_OUT: Any = object()

# compile --------------------------------------------------------------------------------------------------------------

COMPILE = {
    "optimizer": ({}, "sgd", "adam"),
    "loss": ({}, "mse", "mae"),
    "loss_weights": ({}, LEFT_OUT, [0.5]),
    "metrics": ({}, LEFT_OUT, ["mae"]),
    "weighted_metrics": ({"metrics": []}, LEFT_OUT, ["mae"]),
    "run_eagerly": ({"jit_compile": True}, False, True),
    "steps_per_execution": ({}, 1, 2),
    "jit_compile": ({}, "auto", True),
}


def test_arguments_of_compile_count(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Any] = []
    monkeypatch.setattr(torch, "compile", lambda model, **_: compiled.append(model) or model)

    def see(given: dict[str, Any]) -> Any:
        compiled.clear()
        model, counts = net(**given), Counts()
        history = model.fit(X, Y, sample_weight=np.linspace(0, 1, 12), batch_size=4, verbose=0, callbacks=counts)
        return history.history, counts.calls, len(compiled), plain(model.weights)

    check(COMPILE, Trainer.compile, see, skip=("auto_scale_loss",))


def test_auto_scale_loss_counts() -> None:
    def optimizer(scale: bool) -> Any:
        model = keras.Sequential([keras.Input((4,)), L.Dense(1)])
        model.dtype_policy = keras.dtype_policies.get("mixed_float16") if hasattr(keras, "dtype_policies") else model.dtype_policy
        model._set_policy(L.Dense(1, dtype="mixed_float16").dtype_policy)
        model.compile("sgd", "mse", auto_scale_loss=scale)
        return type(model.optimizer).__name__

    assert optimizer(True) == "LossScaleOptimizer" != optimizer(False)


# fit, evaluate, predict ---------------------------------------------------------------------------------------------

FIT = {
    "x": ({"y": Y}, X, X + 1),
    "y": ({"x": X}, Y, Y + 1),
    "batch_size": ({}, 4, 6),
    "epochs": ({}, 1, 2),
    "verbose": ({}, 0, 2),
    "callbacks": ({"epochs": 3, "verbose": 2}, LEFT_OUT, [callbacks.EarlyStopping("loss", patience=0, min_delta=9)]),
    "validation_split": ({}, LEFT_OUT, 0.25),
    "validation_data": ({}, LEFT_OUT, HELD),
    "shuffle": ({"batch_size": 4}, False, True),
    "class_weight": ({"y": LABELS}, LEFT_OUT, {0: 1.0, 1: 3.0}),
    "sample_weight": ({}, LEFT_OUT, np.linspace(0, 1, 12)),
    "initial_epoch": ({"epochs": 2}, 0, 1),
    "steps_per_epoch": ({"batch_size": 4}, LEFT_OUT, 2),
    "validation_steps": ({"batch_size": 2, "validation_data": HELD}, LEFT_OUT, 1),
    "validation_batch_size": ({"batch_size": 4, "validation_data": HELD}, LEFT_OUT, 2),
    "validation_freq": ({"epochs": 2, "validation_data": HELD}, 1, 2),
}


def test_arguments_of_fit_count(capsys: Any) -> None:
    def see(given: dict[str, Any]) -> Any:
        model, counts = net(), Counts()
        given = {"x": X, "y": Y, "verbose": 0, **given}
        given["callbacks"] = [*given.get("callbacks", []), counts]
        history = model.fit(**given)
        return history.history, history.epoch, counts.calls, plain(model.weights), text_of(capsys)

    check(FIT, Trainer.fit, see)


EVALUATE = {
    "x": ({}, X, X + 1),
    "y": ({}, Y, Y + 1),
    "batch_size": ({}, 4, 6),
    "verbose": ({}, 0, 2),
    "sample_weight": ({}, LEFT_OUT, np.linspace(0, 1, 12)),
    "steps": ({"batch_size": 4}, LEFT_OUT, 2),
    "callbacks": ({}, LEFT_OUT, [callbacks.LambdaCallback(on_test_begin=lambda logs: print("begin"))]),
    "return_dict": ({}, False, True),
}


def test_arguments_of_evaluate_count(capsys: Any) -> None:
    def see(given: dict[str, Any]) -> Any:
        counts = Counts()
        given = {"x": X, "y": Y, "verbose": 0, **given}
        given["callbacks"] = [*given.get("callbacks", []), counts]
        return net().evaluate(**given), counts.calls, text_of(capsys)

    check(EVALUATE, Trainer.evaluate, see)
    with pytest.raises(ValueError, match="evaluate has no argument `stepps`"):
        net().evaluate(X, Y, stepps=3)


PREDICT = {
    "x": ({}, X, X + 1),
    "batch_size": ({}, 4, 6),
    "verbose": ({}, 0, 2),
    "steps": ({"batch_size": 4}, LEFT_OUT, 2),
    "callbacks": ({}, LEFT_OUT, [callbacks.LambdaCallback(on_predict_begin=lambda logs: print("begin"))]),
}


def test_arguments_of_predict_count(capsys: Any) -> None:
    def see(given: dict[str, Any]) -> Any:
        counts = Counts()
        given = {"x": X, "verbose": 0, **given}
        given["callbacks"] = [*given.get("callbacks", []), counts]
        return net().predict(**given), counts.calls, text_of(capsys)

    check(PREDICT, Trainer.predict, see)


BATCH = {
    "x": ({}, X, X + 1),
    "y": ({}, Y, Y + 1),
    "sample_weight": ({}, LEFT_OUT, np.linspace(0, 1, 12)),
    "class_weight": ({"y": LABELS}, LEFT_OUT, {0: 1.0, 1: 3.0}),
    "return_dict": ({}, False, True),
}


@pytest.mark.parametrize("method", ["train_on_batch", "test_on_batch", "predict_on_batch"])
def test_arguments_of_single_batches_count(method: str) -> None:
    function = getattr(Trainer, method)
    names = inspect.signature(function).parameters

    def see(given: dict[str, Any]) -> Any:
        model = net()
        given = {key: value for key, value in {"x": X, "y": Y, **given}.items() if key in names}
        return getattr(model, method)(**given), plain(model.weights)

    check({name: row for name, row in BATCH.items() if name in names}, function, see)


def test_arguments_of_a_dataset_count() -> None:
    def see(given: dict[str, Any]) -> Any:
        data = Data(**given)
        ahead = keras.training.data._PyBatches(data, None, torch.device("cpu"), False)
        return type(ahead._raw()).__name__, data.max_queue_size

    check({"workers": ({}, 1, 2), "max_queue_size": ({"workers": 2}, 10, 3)}, Data, see, skip=("use_multiprocessing",))
    assert net().fit(Data(workers=2), shuffle=False, verbose=0).history == net().fit(Data(), shuffle=False, verbose=0).history


def test_data_that_brings_its_own_targets_takes_no_others() -> None:
    for given in ({"y": Y}, {"sample_weight": np.ones(12)}, {"validation_split": 0.5}):
        with pytest.raises(ValueError, match="y|sample_weight|validation"):
            net().fit(Data(), verbose=0, **given)


# Models ---------------------------------------------------------------------------------------------------------------


def nested() -> Any:
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    inner = keras.Sequential([keras.Input((4,)), L.Dense(3, name="deep")], name="inner")
    return keras.Sequential([keras.Input((4,)), inner, L.Dense(2, name="middle", trainable=False), L.Dense(1, name="out")])


SUMMARY = {
    "line_length": ({}, 60, 90),
    "positions": ({"line_length": 90}, LEFT_OUT, [0.5, 0.8, 1.0]),
    "print_fn": ({}, LEFT_OUT, lambda text: print("given", text)),
    "expand_nested": ({}, False, True),
    "show_trainable": ({}, False, True),
    "layer_range": ({}, LEFT_OUT, ["middle", "out"]),
    "show_costs": ({}, False, True),
}


def test_arguments_of_summary_count(capsys: Any) -> None:
    from lamina.pictures.summary import print_summary

    def see(given: dict[str, Any]) -> Any:
        nested().summary(**given)
        return capsys.readouterr().out

    check(SUMMARY, print_summary, see, skip=("model",))
    with pytest.raises(TypeError, match="unheard"):
        nested().summary(unheard=1)


def test_arguments_of_get_layer_and_stacking_count() -> None:
    model = nested()
    assert model.get_layer("out") is model.get_layer(index=2) is not model.get_layer(index=1)
    for change in (lambda m, rebuild: m.add(L.Dense(5, name="more"), rebuild), lambda m, rebuild: m.pop(rebuild)):
        for rebuild in (True, False):
            model = nested()
            change(model, rebuild)
            assert model.built is rebuild
            width = model.layers[-1].units
            assert model.predict(X, verbose=0).shape == (12, width)
            assert model.built
            assert model.output_shape == (None, width)


def test_arguments_of_clone_model_count() -> None:
    def see(given: dict[str, Any]) -> Any:
        i = keras.Input((4,))
        inner = keras.Model(i, L.Dense(3, name="deep")(i), name="inner")
        model = keras.Model(i, L.Dense(1, name="out")(inner(i)))
        made = keras.models.clone_model(model, **given)
        return made.get_config(), made.inputs[0].name

    def renamed(layer: Any) -> Any:
        return type(layer).from_config({**layer.get_config(), "name": layer.name + "_copy"})

    def twice(layer: Any, *args: Any, **kwargs: Any) -> Any:
        return L.Activation("relu", name=layer.name + "_relu")(layer(*args, **kwargs))

    table = {
        "input_tensors": ({}, LEFT_OUT, keras.Input((4,), name="other")),
        "clone_function": ({}, LEFT_OUT, renamed),
        "call_function": ({}, LEFT_OUT, twice),
        "recursive": ({"clone_function": lambda layer: renamed(layer) if layer.name == "deep" else layer}, False, True),
    }
    check(table, keras.models.clone_model, see, skip=("model",))


def test_arguments_of_saving_count(tmp_path: Path) -> None:
    """`save` and `load_model`: overwrite, include_optimizer, compile, custom_objects; of others say the names alone."""
    model = net()
    model.fit(X, Y, verbose=0)
    for name in ("m.keras", "m.h5", "m.weights.h5"):
        save = model.save_weights if "weights" in name else model.save
        save(tmp_path / name)
        with pytest.raises(FileExistsError):
            save(tmp_path / name, overwrite=False)
    model.save(tmp_path / "plain.h5", include_optimizer=False)
    load = keras.models.load_model
    assert load(tmp_path / "m.h5").compiled
    assert not load(tmp_path / "plain.h5").compiled
    assert not load(tmp_path / "m.keras", compile=False).compiled
    with pytest.raises(ValueError, match="keras"):
        model.save(tmp_path / "m.keras", zipped=False)
    with pytest.raises(TypeError, match="unheard"):
        model.save(tmp_path / "m.keras", unheard=1)
    other = keras.Sequential([keras.Input((4,)), L.Dense(3, name="inner"), L.Dense(2, name="out")])
    with pytest.raises(ValueError, match="shape"):
        other.load_weights(tmp_path / "m.weights.h5")
    with pytest.warns(UserWarning, match="shape"):
        other.load_weights(tmp_path / "m.weights.h5", skip_mismatch=True)


# Callbacks --------------------------------------------------------------------------------------------------------------


class Plays(callbacks.Callback):
    """Puts values into the logs, epoch by epoch, for the callbacks after it."""

    def __init__(self, **values: list[float]):
        self.values = values

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        for name, values in self.values.items():
            logs[name] = values[epoch]


FALLING, RISING = [1.0, 0.9, 0.8, 0.85, 0.83, 0.84, 0.9, 0.95], [0.1, 0.2, 0.3, 0.2, 0.25, 0.2, 0.1, 0.0]
MONITORED = {
    "monitor": ({}, "val_loss", "down"),
    "mode": ({}, "min", "max"),
    "verbose": ({}, 0, 1),
}
STOPS = {
    **MONITORED,
    "min_delta": ({}, 0, 0.5),
    "patience": ({}, 1, 3),
    "baseline": ({"patience": 3}, LEFT_OUT, 0.1),
    "restore_best_weights": ({"patience": 2}, False, True),
    "start_from_epoch": ({"patience": 1}, 0, 5),
}
REDUCES = {
    **MONITORED,
    "factor": ({}, 0.5, 0.1),
    "patience": ({}, 1, 3),
    "min_delta": ({}, 0, 0.5),
    "cooldown": ({}, 0, 2),
    "min_lr": ({}, 0.0, 0.005),
}


def run(callback: Any, capsys: Any, epochs: int = 8, **fit: Any) -> Any:
    model, counts = net(), Counts()
    plays = Plays(val_loss=FALLING, up=RISING, down=[1.0] * 2 + [0.5] * 6, loss=FALLING)
    history = model.fit(X, Y, batch_size=4, epochs=epochs, verbose=0, callbacks=[plays, callback, counts], **fit)
    return history.epoch, history.history, counts.calls, plain(model.weights), text_of(capsys), model.optimizer.learning_rate.item()


@pytest.mark.parametrize(("cls", "table"), [
    (callbacks.EarlyStopping, STOPS), (callbacks.ReduceLROnPlateau, REDUCES),
], ids=["EarlyStopping", "ReduceLROnPlateau"])  # fmt: skip
def test_arguments_of_monitors_count(cls: type, table: dict[str, Any], capsys: Any) -> None:
    some = {"patience": 1, "mode": "min"} | ({"factor": 0.5} if cls is callbacks.ReduceLROnPlateau else {})
    check(table, cls, lambda given: run(cls(**some | given), capsys))
    with pytest.raises(TypeError, match="unheard"):
        cls(unheard=1)


CHECKPOINT = {
    **MONITORED,
    "filepath": ({}, "{epoch}.keras", "other-{epoch}.keras"),
    "save_best_only": ({}, False, True),
    "save_weights_only": ({}, False, True),
    "save_freq": ({"filepath": "{epoch}-{batch}.keras", "save_best_only": False}, 2, 3),
    "initial_value_threshold": ({}, LEFT_OUT, 0.82),
}


def test_arguments_of_model_checkpoint_count(tmp_path: Path, capsys: Any) -> None:
    count = iter(range(99))

    def see(given: dict[str, Any]) -> Any:
        folder = tmp_path / str(next(count))
        given = {"filepath": "{epoch}.keras", "mode": "min", "save_best_only": True, **given}
        try:
            callback = callbacks.ModelCheckpoint(**{**given, "filepath": str(folder / given["filepath"])})
        except ValueError as error:
            return type(error)
        run(callback, capsys, 4)
        return sorted(path.name for path in folder.iterdir())

    def loud(given: dict[str, Any]) -> Any:
        callback = callbacks.ModelCheckpoint(str(tmp_path / "x.keras"), **given)
        return run(callback, capsys, 2)[4]

    check({name: row for name, row in CHECKPOINT.items() if name != "verbose"}, callbacks.ModelCheckpoint, see, skip=("verbose",))
    check({"verbose": ({}, 0, 1)}, callbacks.ModelCheckpoint, loud, skip=tuple(CHECKPOINT.keys() - {"verbose"}))


def test_arguments_of_other_callbacks_count(tmp_path: Path, capsys: Any) -> None:
    hooks = [name for name in inspect.signature(callbacks.LambdaCallback).parameters if name != "kwargs"]
    for hook in hooks:
        run(callbacks.LambdaCallback(**{hook: lambda *args: print("called")}), capsys, 1)
        run(several := callbacks.LambdaCallback(**{hook: lambda *args: print("called")}, more=3), capsys, 1)
        assert several.more == 3

    def scheduled(given: dict[str, Any]) -> Any:
        return run(callbacks.LearningRateScheduler(**{"schedule": lambda epoch: 0.1, **given}), capsys, 2)

    table = {"schedule": ({}, lambda epoch: 0.1, lambda epoch, rate: rate / 2), "verbose": ({}, 0, 1)}
    check(table, callbacks.LearningRateScheduler, scheduled)

    def logged(given: dict[str, Any]) -> Any:
        path = tmp_path / given.get("filename", "log.csv")
        run(callbacks.CSVLogger(**{**given, "filename": path}), capsys, 1)
        return path.read_text(), path.name

    table = {"filename": ({}, "a.csv", "b.csv"), "separator": ({}, ",", ";"), "append": ({}, False, True)}
    check(table, callbacks.CSVLogger, logged)

    def broken(given: dict[str, Any]) -> Any:
        model = net()
        try:
            model.fit(X * np.nan, Y, epochs=3, verbose=0, callbacks=callbacks.TerminateOnNaN(**given))
        except RuntimeError:
            return "raised"
        return model.stop_training

    check({"raise_error": ({}, False, True)}, callbacks.TerminateOnNaN, broken)

    def swapped(given: dict[str, Any]) -> Any:
        model, seen = net(optimizer=keras.optimizers.SGD(0.1, use_ema=True)), []
        looks = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(plain(model.weights)))
        model.fit(X, Y, batch_size=4, epochs=3, verbose=0, callbacks=[callbacks.SwapEMAWeights(**given), looks])
        return seen

    check({"swap_on_epoch": ({}, False, True)}, callbacks.SwapEMAWeights, swapped)


def test_arguments_of_backups_count(tmp_path: Path, capsys: Any) -> None:
    count = iter(range(99))

    def see(given: dict[str, Any]) -> Any:
        folder = tmp_path / str(next(count)) / given.pop("backup_dir", "a")
        made: list[Any] = []
        looks = callbacks.LambdaCallback(
            on_train_batch_end=lambda *_: made.append([p.name for p in folder.glob("*.h5")] if folder.exists() else None)
        )
        backup = callbacks.BackupAndRestore(folder, **given)
        net().fit(X, Y, batch_size=4, epochs=3, verbose=0, callbacks=[backup, looks])
        return [len(m) if m else 0 for m in made], made[-1], folder.exists(), folder.name

    table = {
        "backup_dir": ({}, "a", "b"), "save_freq": ({}, "epoch", 1), "double_checkpoint": ({}, False, True),
        "delete_checkpoint": ({}, True, False),
    }  # fmt: skip
    check(table, callbacks.BackupAndRestore, see)


def test_arguments_of_callback_lists_count(capsys: Any) -> None:
    def see(given: dict[str, Any]) -> Any:
        made = callbacks.CallbackList(**given)
        return [type(item).__name__ for item in made.callbacks], made.model is None, made.params

    table = {
        "callbacks": ({}, LEFT_OUT, [Counts()]), "add_history": ({}, False, True), "add_progbar": ({}, False, True),
        "model": ({}, LEFT_OUT, net()),
    }  # fmt: skip
    check(table, callbacks.CallbackList, see, skip=("params",))
    assert callbacks.CallbackList(verbose=1).params == {"verbose": 1}


def test_what_tensorboard_does_not_write_is_refused() -> None:
    defaults = {"write_images": True, "profile_batch": 2, "embeddings_freq": 1, "embeddings_metadata": "file"}
    for name, value in defaults.items():
        with pytest.raises(ValueError, match=f"`{name}` is not available"):
            callbacks.TensorBoard(**{name: value})
    tried = {"log_dir", "histogram_freq", "write_graph", "write_steps_per_second", "update_freq"}  # in test_callbacks
    assert set(inspect.signature(callbacks.TensorBoard).parameters) == tried | set(defaults)


def test_every_callback_is_tried() -> None:
    known = {
        "Callback", "CallbackList", "History", "ProgbarLogger", "LambdaCallback", "TerminateOnNaN", "EarlyStopping",
        "ReduceLROnPlateau", "LearningRateScheduler", "SwapEMAWeights", "ModelCheckpoint", "BackupAndRestore", "CSVLogger",
        "RemoteMonitor", "TensorBoard",
    }  # fmt: skip
    assert {name for name, item in vars(callbacks).items() if inspect.isclass(item)} == known
