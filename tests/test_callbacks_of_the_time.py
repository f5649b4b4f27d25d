"""What callbacks of Keras 1 and 2 watch and log, as 1.2.2 and 2.3.1 answered."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import lamina
from lamina import keras1, keras2, tf_keras

BOTH = pytest.mark.parametrize("space", [keras1, keras2], ids=lambda space: space.__name__[7:])
_NAN = float("nan")
# What is watched: the epochs until EarlyStopping(patience=0) ends; the rates of ReduceLROnPlateau(patience=0,
# factor=0.5) behind each epoch; and in which of them ModelCheckpoint(save_best_only=True) saves.
_WATCHED = [
    ("min", (_NAN, _NAN, _NAN), 1, (0.05, 0.025, 0.0125), []),
    ("min", (1.0, _NAN, _NAN, _NAN, 0.5), 2, (0.1, 0.05, 0.025, 0.0125, 0.0125), [0, 4]),
    ("min", (_NAN, 1.0, 0.5, 0.4), 1, (0.05, 0.05, 0.05, 0.05), [1, 2, 3]),
    ("min", (2.0, 1.0, _NAN, 0.5, _NAN, _NAN), 3, (0.1, 0.1, 0.05, 0.05, 0.025, 0.0125), [0, 1, 3]),
    ("max", (_NAN, _NAN, _NAN), 1, (0.05, 0.025, 0.0125), []),
    ("max", (_NAN, 1.0, 0.5, 0.4), 1, (0.05, 0.05, 0.025, 0.0125), [1]),
]


def _run(space: ModuleType, values: tuple[float, ...], callback: Any) -> tuple[int, list[float]]:
    watched, rates = space.callbacks.Callback, []

    class Told(watched):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            logs["v"] = values[epoch]

    class Rates(watched):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            rates.append(float(self.model.optimizer.learning_rate))

    model = space.models.Sequential([space.layers.Dense(1, input_shape=(1,))])
    model.compile(space.optimizers.SGD(0.1), "mse")
    word = "nb_epoch" if space is keras1 else "epochs"
    one = np.ones((2, 1))
    history = model.fit(one, one, verbose=0, callbacks=[Told(), callback, Rates()], **{word: len(values)})
    return len(history.epoch), rates


@BOTH
@pytest.mark.parametrize("mode, values, epochs, rates, saved", _WATCHED)
def test_what_is_no_number_is_no_better_than_nothing(
    space: ModuleType, mode: str, values: tuple, epochs: int, rates: tuple, saved: list[int], tmp_path: Path
) -> None:
    callbacks = space.callbacks
    assert _run(space, values, callbacks.EarlyStopping("v", patience=0, mode=mode))[0] == epochs
    plateau = callbacks.ReduceLROnPlateau("v", factor=0.5, patience=0, mode=mode)
    assert _run(space, values, plateau)[1] == pytest.approx(rates)
    how: dict[str, Any] = {"monitor": "v", "save_best_only": True, "save_weights_only": True, "mode": mode}
    _run(space, values, callbacks.ModelCheckpoint(str(tmp_path / "{epoch}.h5"), **how))
    first = 0 if space is keras1 else 1
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(str(epoch + first) for epoch in saved)


@BOTH
def test_columns_and_keys(space: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    _run(space, (1.0, 2.0), space.callbacks.CSVLogger(str(path)))
    assert path.read_text().splitlines()[0] == "epoch,loss,v"
    model = space.models.Sequential([space.layers.Dense(1, input_shape=(1,))])
    model.compile("sgd", "mse")
    one = np.ones((2, 1))
    logged = model.fit(one, one, verbose=0, callbacks=[space.callbacks.LearningRateScheduler(lambda epoch: 0.1)])
    assert ("lr" in logged.history) == (space is keras2)


@pytest.mark.parametrize("space", [keras1, keras2, tf_keras, lamina])
def test_what_is_watched_may_be_a_class_s_own(space: ModuleType) -> None:
    class Own(space.callbacks.EarlyStopping):
        def get_monitor_value(self, logs: Any) -> Any:
            return -logs["v"]

    assert _run(space, (0.0, 1.0, 2.0, 1.0, 3.0), Own("v", mode="min"))[0] == 4


@pytest.mark.parametrize("space", [keras1, keras2, tf_keras])
@pytest.mark.parametrize("name", ["EarlyStopping", "ModelCheckpoint", "ReduceLROnPlateau"])
def test_the_best_value_is_infinity_at_first(space: ModuleType, name: str) -> None:
    """People copied the loop of the original: `if self.monitor_op(current, self.best)`."""

    class Own(getattr(space.callbacks, name)):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if self.monitor_op(logs["v"], self.best):
                self.best = logs["v"]

    for mode, values, best in (("min", (2.0, 3.0, 1.0), 1.0), ("max", (2.0, 3.0, 1.0), 3.0), ("auto", (2.0,), 2.0)):
        callback = Own(*(["x.h5"] if name == "ModelCheckpoint" else []), monitor="v", mode=mode)
        assert callback.best == (-np.inf if mode == "max" else np.inf)
        _run(space, values, callback)
        assert callback.best == best
