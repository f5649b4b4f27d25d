"""Every argument of the models' methods and of callbacks changes what training does, shows or writes, or is refused.

For each callable a table names every argument with a call in which it counts: what stands beside it, and two values
between which something that can be observed must differ. An argument that is not in its table fails.
"""

from __future__ import annotations

import importlib
import inspect
import re
import tempfile
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.declared import CLASSES, required
from support.functions import FUNCTIONS
from support.observed import DATA, WEIGHTS, attempt, plain, same

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
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), L.Dense(3, activation="tanh", name="inner"), L.Dense(1, name="out")])
    model.compile(**{"optimizer": "sgd", "loss": "mse", **settings})
    return model


def text_of(capsys: Any) -> str:
    return re.sub(r"[\d.]+(m|u)?s\b", "", capsys.readouterr().out)


def check(table: dict[str, tuple], function: Callable, see: Callable[[dict[str, Any]], Any], skip: tuple = ()) -> None:
    """Every parameter of `function` is in the table, and what is seen differs between its two values."""
    parameters = inspect.signature(function).parameters.values()
    names = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD and p.name not in ("self", *skip)]
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
        model.dtype_policy = (
            keras.dtype_policies.get("mixed_float16") if hasattr(keras, "dtype_policies") else model.dtype_policy
        )
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
        ahead = keras.training.data._PyBatches(data, None, torch.device("cpu"), False, False)
        return ahead._raw().__name__, data.max_queue_size

    check({"workers": ({}, 1, 2), "max_queue_size": ({"workers": 2}, 10, 3)}, Data, see, skip=("use_multiprocessing",))
    assert (
        net().fit(Data(workers=2), shuffle=False, verbose=0).history
        == net().fit(Data(), shuffle=False, verbose=0).history
    )


def test_data_that_brings_its_own_targets_takes_no_others() -> None:
    for given in ({"y": Y}, {"sample_weight": np.ones(12)}, {"validation_split": 0.5}):
        with pytest.raises(ValueError, match=r"y|sample_weight|validation"):
            net().fit(Data(), verbose=0, **given)


# Models ---------------------------------------------------------------------------------------------------------------


def nested() -> Any:
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
    inner = keras.Sequential([keras.Input((4,)), L.Dense(3, name="deep")], name="inner")
    return keras.Sequential(
        [keras.Input((4,)), inner, L.Dense(2, name="middle", trainable=False), L.Dense(1, name="out")]
    )


SUMMARY = {
    "line_length": ({}, 60, 90),
    "positions": ({"line_length": 90}, LEFT_OUT, [0.5, 0.8, 1.0]),
    "print_fn": ({}, LEFT_OUT, lambda text: print("given", text)),
    "expand_nested": ({}, False, True),
    "layer_range": ({}, LEFT_OUT, ["middle", "out"]),
}
SHOWN = {
    "show_trainable": ({}, False, True),
    "show_costs": ({}, False, True),
    "show_memory": ({}, False, True),
    "show_time": ({}, False, True),
}


def test_arguments_of_summary_count(capsys: Any) -> None:
    from lamina.pictures.summary import further, print_summary

    def see(given: dict[str, Any]) -> Any:
        nested().summary(**given)
        return capsys.readouterr().out

    check(SUMMARY, print_summary, see, skip=("model",))
    check(SHOWN, further, see, skip=("model",))
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
    with pytest.raises(ValueError, match="`zipped=False` would write a folder"):
        model.save(tmp_path / "m.keras", zipped=False)
    with pytest.raises(TypeError, match="unheard"):
        model.save(tmp_path / "m.keras", unheard=1)
    other = keras.Sequential([keras.Input((4,)), L.Dense(3, name="inner"), L.Dense(2, name="out")])
    with pytest.raises(ValueError, match="shape"):
        other.load_weights(tmp_path / "m.weights.h5")
    with pytest.warns(UserWarning, match="shape"):
        other.load_weights(tmp_path / "m.weights.h5", skip_mismatch=True)


# Callbacks ------------------------------------------------------------------------------------------------------------


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
    return (
        history.epoch,
        history.history,
        counts.calls,
        plain(model.weights),
        text_of(capsys),
        model.optimizer.learning_rate.item(),
    )


@pytest.mark.parametrize(("cls", "table"), [
    (callbacks.EarlyStopping, STOPS), (callbacks.ReduceLROnPlateau, REDUCES),
], ids=["EarlyStopping", "ReduceLROnPlateau"])  # fmt: skip
def test_arguments_of_monitors_count(cls: type, table: dict[str, Any], capsys: Any) -> None:
    some = {"patience": 1, "mode": "min"} | ({"factor": 0.5} if cls is callbacks.ReduceLROnPlateau else {})
    check(table, cls, lambda given: run(cls(**some | given), capsys))
    with pytest.raises(ValueError, match="unheard"):
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

    check(
        {name: row for name, row in CHECKPOINT.items() if name != "verbose"},
        callbacks.ModelCheckpoint,
        see,
        skip=("verbose",),
    )
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
            on_train_batch_end=lambda *_: made.append(
                [p.name for p in folder.glob("*.h5*")] if folder.exists() else None
            )
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
    defaults = {"profile_batch": 2, "embeddings_freq": 1, "embeddings_metadata": "file"}
    for name, value in defaults.items():
        with pytest.raises(ValueError, match=f"`{name}` must be 0, as it is not available"):
            callbacks.TensorBoard(**{name: value})
    tried = {"log_dir", "histogram_freq", "write_graph", "write_images", "write_steps_per_second", "update_freq"}
    assert set(inspect.signature(callbacks.TensorBoard).parameters) == tried | set(defaults)


def test_every_callback_is_tried() -> None:
    known = {
        "Callback", "CallbackList", "History", "ProgbarLogger", "LambdaCallback", "TerminateOnNaN", "EarlyStopping",
        "ReduceLROnPlateau", "LearningRateScheduler", "SwapEMAWeights", "ModelCheckpoint", "BackupAndRestore",
        "CSVLogger", "RemoteMonitor", "TensorBoard",
    }  # fmt: skip
    assert set(callbacks.__all__) == known


# Other methods --------------------------------------------------------------------------------------------------------


def weight(**given: Any) -> Any:
    keras.utils.set_random_seed(0)
    layer = L.Layer(name="layer", **({"dtype": "mixed_float16"} if "autocast" in given else {}))
    made = layer.add_weight(**{"shape": (2, 3), **given})
    held = list(map(id, layer._parameters.values()))
    said = (made.name, made.path, made.trainable, made.autocast, made.regularizer is None, made.constraint is None)
    return plain(made), said, made.stride(), id(made) in held


def variable(**given: Any) -> Any:
    made = L.Layer(name="layer").add_variable((2, 3), **given)
    return made.name, made.trainable


def adapted(**given: Any) -> Any:
    keras.utils.set_random_seed(0)
    layer = L.Dense(2)
    layer.build((None, 3))
    layer.enable_lora(1, given.pop("lora_alpha", None), **given)
    return plain(layer.trainable_weights), layer.lora_alpha


def state(**given: Any) -> Any:
    made = keras.metrics.Mean(name="mean").add_variable(**given)
    return plain(made), made.path


def slot(**given: Any) -> Any:
    made = keras.optimizers.SGD(name="sgd").add_variable((2,), **given)
    return plain(made), made.path


def slot_like(**given: Any) -> Any:
    made = keras.optimizers.SGD(name="sgd").add_variable_from_reference(keras.Variable(np.ones(2), name="w"), **given)
    return plain(made), made.path


def slots(**given: Any) -> Any:
    return plain(keras.optimizers.SGD().add_optimizer_variables([keras.Variable(np.ones(2))], "slot", **given))


def spared(**given: Any) -> Any:
    optimizer, some = keras.optimizers.SGD(0.1, weight_decay=0.5), keras.Variable(np.ones(2, "float32"), name="some")
    optimizer.exclude_from_weight_decay(**{name: [some] if value is ... else value for name, value in given.items()})
    optimizer.build([some])
    optimizer.apply([torch.zeros(2)])
    return plain(some)


def applied(both: bool) -> Any:
    keras.utils.clear_session(free_memory=False)
    optimizer, some = keras.optimizers.SGD(0.1), [keras.Variable(np.ones(2, "float32")) for _ in range(2)]
    optimizer.build(some)
    optimizer.apply([torch.ones(2), 2 * torch.ones(2)], some[::-1] if both else None)
    return plain(some)


def forgotten(**given: Any) -> Any:
    optimizer, some = keras.optimizers.SGD(0.1), keras.Variable(np.ones(2, "float32"))
    optimizer.build([some])
    some.grad = torch.ones(2)
    optimizer.zero_grad(**given)
    return some.grad


def function_again(name: str, **given: Any) -> Any:
    model = net()
    return getattr(model, f"make_{name}_function")() is getattr(model, f"make_{name}_function")(**given)


def recurrent(stateful: bool = True, built: bool = True, **given: Any) -> Any:
    keras.utils.set_random_seed(0)
    layer = L.LSTM(2, stateful=stateful)
    if built:
        layer.build((1, 3, 4))
    layer.reset_state(**given)
    return plain(layer(torch.ones(1, 3, 4)))


def loss_of_model(**given: Any) -> Any:
    given = {"y": torch.ones(2, 1), "y_pred": torch.zeros(2, 1), **given}
    return plain(net().compute_loss(**given))


def metrics_of_model(**given: Any) -> Any:
    model = net(weighted_metrics=["mse"])
    return plain(model.compute_metrics(None, torch.ones(2, 1), torch.arange(2.0)[:, None], **given))


def json_of_model(**given: Any) -> str:
    return net().to_json(**given)


def merged(kind: str, **given: Any) -> Any:
    return getattr(L, kind)([keras.Input((2, 2)), keras.Input((2, 2))], **given).node.layer.get_config()


# Each argument: two calls that must differ.
def diagram(**given: Any) -> str:
    inner = keras.Sequential([keras.Input((4,)), L.Dense(3, "relu", name="deep", trainable=False)], name="inner")
    return keras.utils.model_to_dot(keras.Sequential([keras.Input((4,)), inner]), **given).to_string()


def picture(**given: Any) -> Any:
    inner = keras.Sequential([keras.Input((4,)), L.Dense(3, "relu", name="deep", trainable=False)], name="inner")
    inputs = keras.Input((4,), name="in")
    model = keras.Model(inputs, L.Add(name="sum")([L.Dense(3, name="one")(inputs), inner(inputs)]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / given.pop("to_file", "model.svg")
        keras.utils.plot_model(model, path, **given)
        return path.suffix, path.read_bytes()


def column(kind: str, *first: Any, **given: Any) -> Any:
    found = getattr(keras.utils.FeatureSpace, kind)(*first, **given)
    return re.sub(r"_\d+", "", str(found.get_config())) if "name" not in given else found.get_config()


PLOTTED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "show_shapes": ({}, {"show_shapes": True}),
    "show_dtype": ({}, {"show_dtype": True}),
    "show_layer_names": ({"show_layer_names": True}, {"show_layer_names": False}),
    "rankdir": ({}, {"rankdir": "LR"}),
    "expand_nested": ({}, {"expand_nested": True}),
    "dpi": ({"to_file": "model.png"}, {"to_file": "model.png", "dpi": 50}),
    "show_layer_activations": ({"expand_nested": True}, {"expand_nested": True, "show_layer_activations": True}),
    "show_trainable": ({"expand_nested": True}, {"expand_nested": True, "show_trainable": True}),
    "splines": ({}, {"splines": "line"}),
    "to_file": ({"to_file": "model.svg"}, {"to_file": "model.dot"}),
    "subgraph": ({}, {"subgraph": True}),
}
DRAWN = {
    f"{called.__name__}.{name}": (partial(see, **kept), partial(see, **changed))
    for called, see in ((keras.utils.model_to_dot, diagram), (keras.utils.plot_model, picture))
    for name, (kept, changed) in PLOTTED.items()
    if name in inspect.signature(called).parameters
} | {"model_to_dot.dpi": (diagram, lambda: diagram(dpi=50))}
COLUMNS: dict[str, tuple[tuple, dict[str, tuple[dict[str, Any], dict[str, Any]]]]] = {
    "cross": ((("a", "b"), 8), {"output_mode": ({}, {"output_mode": "int"})}),
    "float": ((), {}),
    "float_rescaled": ((), {"scale": ({}, {"scale": 2.0}), "offset": ({}, {"offset": 1.0})}),
    "float_normalized": ((), {}),
    "float_discretized": (
        (), {"bin_boundaries": ({"num_bins": 3}, {"num_bins": None, "bin_boundaries": [0.0, 1.0]}),
             "output_mode": ({"num_bins": 3}, {"num_bins": 3, "output_mode": "int"}),
             "name": ({"num_bins": 3}, {"num_bins": 3, "name": "mine"})},
    ),
    **dict.fromkeys(
        ("integer_categorical", "string_categorical"),
        ((), {"max_tokens": ({}, {"max_tokens": 9}), "num_oov_indices": ({}, {"num_oov_indices": 2}),
              "output_mode": ({}, {"output_mode": "int"})}),
    ),
    **dict.fromkeys(("integer_hashed", "string_hashed"), ((8,), {"output_mode": ({}, {"output_mode": "int"})})),
}  # fmt: skip
SPACES = {
    f"FeatureSpace.{kind}.{name}": (partial(column, kind, *first, **kept), partial(column, kind, *first, **changed))
    for kind, (first, names) in COLUMNS.items()
    for name, (kept, changed) in {**({} if kind == "cross" else {"name": ({}, {"name": "mine"})}), **names}.items()
}

METHODS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    **DRAWN,
    **SPACES,
    "Weights.add_variable.kwargs": (variable, lambda: variable(trainable=False)),
    "Weights.add_weight.shape": (weight, lambda: weight(shape=(4,))),
    "Weights.add_weight.initializer": (weight, lambda: weight(initializer="ones")),
    "Weights.add_weight.dtype": (weight, lambda: weight(dtype="float64")),
    "Weights.add_weight.trainable": (weight, lambda: weight(trainable=False)),
    "Weights.add_weight.autocast": (lambda: weight(autocast=True), lambda: weight(autocast=False)),
    "Weights.add_weight.regularizer": (weight, lambda: weight(regularizer="l2")),
    "Weights.add_weight.constraint": (weight, lambda: weight(constraint="non_neg")),
    "Weights.add_weight.name": (weight, lambda: weight(name="other")),
    "Weights.add_weight.order": (weight, lambda: weight(order=(1, 0))),
    "LoRA.enable_lora.a_initializer": (adapted, lambda: adapted(a_initializer="ones")),
    "LoRA.enable_lora.b_initializer": (adapted, lambda: adapted(b_initializer="ones")),
    "LoRA.enable_lora.lora_alpha": (adapted, lambda: adapted(lora_alpha=3.0)),
    "Metric.add_variable.shape": (state, lambda: state(shape=(2,))),
    "Metric.add_variable.initializer": (state, lambda: state(initializer="ones")),
    "Metric.add_variable.dtype": (state, lambda: state(dtype="int32")),
    "Metric.add_variable.name": (state, lambda: state(name="other")),
    "Optimizer.add_variable.initializer": (slot, lambda: slot(initializer="ones")),
    "Optimizer.add_variable.dtype": (slot, lambda: slot(dtype="int32")),
    "Optimizer.add_variable.name": (slot, lambda: slot(name="other")),
    "Optimizer.add_variable_from_reference.name": (slot_like, lambda: slot_like(name="other")),
    "Optimizer.add_variable_from_reference.initializer": (slot_like, lambda: slot_like(initializer="ones")),
    "Optimizer.add_optimizer_variables.initializer": (slots, lambda: slots(initializer="ones")),
    "Optimizer.apply.trainable_variables": (lambda: applied(True), lambda: applied(False)),
    "Optimizer.exclude_from_weight_decay.var_list": (spared, lambda: spared(var_list=...)),
    "Optimizer.exclude_from_weight_decay.var_names": (spared, lambda: spared(var_names=["some"])),
    "Optimizer.zero_grad.set_to_none": (forgotten, lambda: forgotten(set_to_none=False)),
    "Trainer.make_train_function.force": (lambda: function_again("train"), lambda: function_again("train", force=True)),
    "Trainer.make_test_function.force": (lambda: function_again("test"), lambda: function_again("test", force=True)),
    "Trainer.make_predict_function.force": (
        lambda: function_again("predict"), lambda: function_again("predict", force=True),
    ),
    "Trainer.compute_loss.y": (loss_of_model, lambda: loss_of_model(y=torch.zeros(2, 1))),
    "Trainer.compute_loss.y_pred": (loss_of_model, lambda: loss_of_model(y_pred=torch.ones(2, 1))),
    "Trainer.compute_loss.sample_weight": (loss_of_model, lambda: loss_of_model(sample_weight=torch.ones(2) * 3)),
    "Trainer.compute_metrics.sample_weight": (
        metrics_of_model, lambda: metrics_of_model(sample_weight=torch.tensor([1.0, 3.0])),
    ),
    "Model.to_json.options": (json_of_model, lambda: json_of_model(indent=1)),
    "RNN.reset_state.states": (recurrent, lambda: recurrent(states=[torch.ones(1, 2)] * 2)),
    "RNN.get_initial_state.batch_size": (
        lambda: L.LSTM(2).get_initial_state(3), lambda: L.LSTM(2).get_initial_state(batch_size=1),
    ),
    "_Cell.get_initial_state.batch_size": (
        lambda: L.LSTMCell(2).get_initial_state(3), lambda: L.LSTMCell(2).get_initial_state(batch_size=1),
    ),
    "StackedRNNCells.get_initial_state.batch_size": (
        lambda: L.StackedRNNCells([L.GRUCell(2)]).get_initial_state(3),
        lambda: L.StackedRNNCells([L.GRUCell(2)]).get_initial_state(batch_size=1),
    ),
    "concatenate.axis": (lambda: merged("concatenate"), lambda: merged("concatenate", axis=1)),
    "dot.axes": (lambda: merged("dot"), lambda: merged("dot", axes=1)),
    **{
        f"{name}.kwargs": (lambda name=name: merged(name, name="a"), lambda name=name: merged(name, name="b"))
        for name in ("add", "subtract", "multiply", "average", "maximum", "minimum", "concatenate", "dot")
    },
}  # fmt: skip


@pytest.mark.parametrize("argument", METHODS)
def test_argument_of_a_method_counts(argument: str) -> None:
    one, other = METHODS[argument]
    assert not same(one(), other())


# Where else the arguments of a public callable are tried, or why they are not.
ELSEWHERE = {
    "?et_value.*": "where memory lies, and which session: words of Theano and TensorFlow that change nothing",
    "*.safe_mode": "code from files never runs, whatever it says: test_habits.py",
    "Model.export.*": "test_export.py",
    "Model.quantize.*": "test_quantized.py",
    "Quantizable.quantize.*": "test_quantized.py",
    "Model.get_state_tree.value_format": "test_habits.py",
    "Weights.add_weight.aggregation": "of several replicas: unknown words are refused (below)",
    "Weights.add_weight.overwrite_with_gradient": "True is refused (below)",
    "Metric.add_variable.aggregation": "of several replicas: unknown words are refused (below)",
    "MaxNumBoundingBoxes.transform_bounding_boxes.training": "the same in training and after it",
    "Metric.add_weight.*": "is `add_variable`",
    "*.make_weights.sizes": "test_declared_weights.py",
    "Trainer.compute_loss.*": "given to what users write in its place",
    "*.get_random_transformation.*": "test_pictures.py",
    "Pictures.transform_*.training": "test_pictures.py",
    "_Partners.transform_labels.training": "test_pictures.py",
    "fixed.init": "type checkers read it",
    "Known.numpy.force": "torch's protocol",
    "numpy.force": "torch's protocol, where an older generation is open",
    "copied.force": "the same, of weights",
    "evaluated.session": "of TensorFlow 1: a tensor has its values",
    "save_model.*": "test_arguments_of_saving_count, test_files.py",
    "save_weights.*": "test_arguments_of_saving_count, test_files.py",
    "load_model.*": "test_arguments_of_saving_count, test_files.py",
    "load_weights.*": "test_arguments_of_saving_count, test_files.py",
    "Model.save*": "test_arguments_of_saving_count",
    "Model.load_weights.*": "test_arguments_of_saving_count",
    "Model.summary.*": "test_arguments_of_summary_count",
    "Model.plot.*": "test_plots.py",
    "model_to_dot.fold": "test_plots.py",
    "model_to_dot.columns": "test_plots.py",
    "plot_model.fold": "test_plots.py",
    "plot_model.columns": "test_plots.py",
    "History.*": "test_reprs.py",
    "explain.*": "test_explain.py",
    "profile.*": "test_profile.py",
    "Model.get_layer.*": "test_arguments_of_get_layer_and_stacking_count",
    "Sequential.*.rebuild": "test_arguments_of_get_layer_and_stacking_count",
    "clone_model.*": "test_arguments_of_clone_model_count",
    "Trainer.compile.*": "test_arguments_of_compile_count",
    "Trainer.fit.*": "test_arguments_of_fit_count",
    "Trainer.evaluate.*": "test_arguments_of_evaluate_count",
    "Trainer.predict.*": "test_arguments_of_predict_count",
    "Trainer.*_on_batch.*": "test_arguments_of_single_batches_count",
    "Input.*": "test_arguments_of_input_count",
    "*.custom_objects": "test_files.py, test_callers_objects.py",
    "deserialize.homes": "where names without a module are looked up: test_files.py",
    "register.*": "test_files.py",
    "get_registered_object.*": "test_utils.py",
    "pack.*": "test_utils.py",
    "*.update_state.*": "test_sample_weights_count",
    "Metric.stateless_update_state.kwargs": "go to `update_state`",
    "*.compute_output_spec.kwargs": "are the call's",
    "Layer.compute_output_shape.kwargs": "are the call's",
    "Layer.stateless_call.*": "test_stateless.py; kwargs are the call's",
    "Trainer.stateless_compute_loss.*": "test_stateless.py",
    "*.call.*": "tried as calls: test_contract.py",
    "*.build.*": "given to every layer",
    "*.compute_mask.mask": "given to every layer",
    "*.on_*": "given to every callback",
    "*arg.*": "declares arguments: test_declarations.py",
    "as_tensor.*": "of losses among themselves",
    "cosine.axis": "CosineSimilarity's: test_arguments_have_effects.py",
    "integer.*": "test_declarations.py",
    "number.*": "test_declarations.py",
    "get_file.*": "test_datasets.py",
    **dict.fromkeys(
        ("*_dataset_from_directory.*", "split_dataset.*", "timeseries_dataset_from_array.*", "*img.*", "img_to_*"),
        "test_data_for_fit.py",
    ),
    "Progbar.*": "what it shows: test_operations_of_users.py",
    "clear_session.free_memory": "test_habits.py",
    "deserialize_keras_object.kwargs": "test_around_layers.py",
    "deserialize_keras_object.safe_mode": "test_habits.py",
    "SeedGenerator.next.ordered": "draws are in order in any case",
    "Operation.symbolic_call.*": "test_operations_of_users.py",
    "*.adapt.*": "test_features.py, test_text.py",
    "*.?et_vocabulary.*": "test_text.py",
    "StringLookup.places.kind": "of layers among themselves",
    "Random.uniform.count": "of layers among themselves",
    "*.transform.interpolation": "of layers among themselves: test_pictures.py",
    "_Cell.prepare.sizes": "of layers among themselves",
    "*Attention.compute_output_shape.*": "shapes are held against real ones: test_attention.py",
    "ReversibleEmbedding.compute_output_*": "test_attention.py",
    "*.behind.*": "a plan's way to join layers: test_plans.py",
    "RNN.check_states.argument": "a word of its message",
    "RNN.given_states.kept": "the states of the batch before: test_recurrent.py",
    "*.compute_output_shape.initial_state_shape": "given to every layer: a state changes no shape",
    "*.fix_input.*": "of layers among themselves",
    "model_from_*.backend": "test_one_door.py",
    "model_from_*.otherwise": "test_one_door.py",
    "filled_up.*": "test_tensorflow_stand_in.py",
    "convert.weights": "test_convert.py",
    "convert.options": "test_convert.py",
    "Spatial.with_spatial.channels": "of layers among themselves",
    "Windowed.check_window.*": "of layers among themselves",
}


def public_callables() -> dict[str, Callable]:
    """What is public by itself and what public classes have, but functions that are tried one by one elsewhere."""
    found: dict[str, Callable] = {}
    for room in ("", ".layers", ".models", ".losses", ".metrics", ".optimizers", ".optimizers.schedules", ".callbacks",
                 ".utils", ".saving", ".config", ".initializers", ".regularizers", ".constraints"):  # fmt: skip
        module = importlib.import_module(f"lamina{room}")
        for name in getattr(module, "__all__", None) or [name for name in dir(module) if name[0] != "_"]:
            item = getattr(module, name, None)
            if inspect.isfunction(item) and item.__module__.startswith("lamina.") and item not in FUNCTIONS:
                found[item.__name__] = item
            for base in getattr(item, "__mro__", ()) if inspect.isclass(item) else ():
                for key, method in vars(base).items():
                    method = getattr(method, "__func__", method)
                    own = inspect.isfunction(method) and method.__module__.startswith("lamina.")
                    if own and key[0] != "_" and method not in FUNCTIONS:
                        found[method.__qualname__] = method
    return found


def test_every_argument_of_every_public_callable_is_tried() -> None:
    untried = []
    for name, function in public_callables().items():
        for parameter in inspect.signature(function).parameters.values():
            optional = parameter.default is not parameter.empty or parameter.kind is parameter.VAR_KEYWORD
            place = f"{name}.{parameter.name}"
            if optional and place not in METHODS and not any(fnmatchcase(place, pattern) for pattern in ELSEWHERE):
                untried.append(place)
    assert untried == []


def test_what_a_weight_cannot_be_is_refused() -> None:
    layer = L.Layer()
    for given, error in (
        ({"aggregation": "median"}, ValueError), ({"overwrite_with_gradient": True}, ValueError),
        ({"unheard": 1}, TypeError),
    ):  # fmt: skip
        with pytest.raises(error, match=next(iter(given))):
            layer.add_weight((2,), **given)
    with pytest.raises(ValueError, match="synchronization"):
        keras.Variable(np.ones(2), synchronization="sometimes")
    with pytest.raises(ValueError, match="aggregation"):
        keras.metrics.Mean().add_variable((), aggregation="median")
    assert not layer.weights
    with pytest.raises(ValueError, match="copy=False"):
        np.array(keras.Variable(np.ones(2)), copy=False)


@pytest.mark.parametrize("given", [{"stateful": False}, {"built": False}])
def test_states_for_a_layer_that_keeps_none_are_refused(given: dict[str, bool]) -> None:
    with pytest.raises(ValueError, match="keeps no states"):
        recurrent(states=[torch.ones(1, 2)] * 2, **given)
    recurrent(**given)


PAIRED = [
    name for name, cls in CLASSES.items()
    if name.startswith(("losses.", "metrics.")) and cls.__name__ not in ("Loss", "Metric", "FunctionLoss")
]  # fmt: skip


@pytest.mark.parametrize("name", PAIRED)
def test_sample_weights_count(name: str) -> None:
    cls = CLASSES[name]

    def make() -> Any:
        if cls._owns_init and "fn" in inspect.signature(cls).parameters:
            return cls(lambda y, p: abs(y - p).mean(-1))
        return cls(**required(cls) | ({"k": 1} if "k" in cls._args else {}))

    def value(y: tuple, weights: Any) -> Any:
        made = make()
        if name.startswith("losses."):
            return made(*y, sample_weight=weights)
        y = y[1:] if cls.__name__ in ("Mean", "Sum") else y
        made.update_state(*y, sample_weight=weights)
        return made.result()

    pairs = ((attempt(lambda y=y: value(y, None)), attempt(lambda y=y: value(y, WEIGHTS[: len(y[0])]))) for y in DATA)
    assert any(one is not None and other is not None and not same(one, other) for one, other in pairs)
