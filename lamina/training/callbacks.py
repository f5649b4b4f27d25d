"""Callbacks: what is called at the beginning and end of training, epochs and batches."""

from __future__ import annotations

import csv
import json
import math
import os
import random
import re
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ..files.safe import replacing
from .progress import Progress


def to_host(logs: Mapping[str, Any] | None) -> dict[str, Any]:
    """Logs as plain numbers, sorted by name, nested ones flattened; all scalars are read in one go."""
    flat: dict[str, Any] = {}
    for name, value in sorted((logs or {}).items()):
        flat |= to_host(value) if isinstance(value, Mapping) else {name: value}
    scalars = {name: value for name, value in flat.items() if isinstance(value, Tensor) and value.numel() == 1}
    if scalars:
        together = torch.stack([value.detach().reshape(()).double() for value in scalars.values()])
        flat |= dict(zip(scalars, together.tolist(), strict=True))
    return {name: _plain(value) for name, value in flat.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy()
    if isinstance(value, (np.generic, np.ndarray)) and value.size == 1:
        return float(value)
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Logs(dict):
    """A dictionary of results on the device; a value becomes a number when somebody looks at it."""

    def __init__(self, results: Mapping[str, Any]):
        super().__init__()
        for name, value in sorted(results.items()):
            self.update(value if isinstance(value, Mapping) else {name: value})

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if isinstance(value, Tensor):
            value = value.item() if value.numel() == 1 else _plain(value)
            self[name] = value
        return value

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default

    def __iter__(self) -> Iterator[str]:  # also makes dict(logs) and {**logs} look every value up
        return super().__iter__()

    def values(self) -> Any:
        return [self[name] for name in self]

    def items(self) -> Any:
        return [(name, self[name]) for name in self]

    def copy(self) -> dict[str, Any]:
        return dict(self.items())

    def __repr__(self) -> str:
        return repr(self.copy())


class Callback:
    """Base of callbacks. `model` is the model in training; `params` holds "verbose", "epochs" and "steps".

    `logs` holds the results so far. Looking at a value of a batch's logs waits for the device.
    """

    params: dict[str, Any] | None = None
    _model: Any = None

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def set_model(self, model: Any) -> None:
        self._model = model

    @property
    def model(self) -> Any:
        return self._model

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Another name for `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Another name for `on_train_batch_end`."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None: ...

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None: ...

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None: ...

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None: ...

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None: ...

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None: ...

    def on_train_begin(self, logs: Any = None) -> None: ...

    def on_train_end(self, logs: Any = None) -> None: ...

    def on_test_begin(self, logs: Any = None) -> None: ...

    def on_test_end(self, logs: Any = None) -> None: ...

    def on_predict_begin(self, logs: Any = None) -> None: ...

    def on_predict_end(self, logs: Any = None) -> None: ...


def _defines(callback: Callback, hook: str) -> bool:
    """Whether a callback does something at `hook`: in its class or, as LambdaCallback, in the object."""
    return getattr(getattr(callback, hook), "__func__", None) is not getattr(Callback, hook)


class CallbackList(Callback):
    """Several callbacks as one. Loops of one's own call its hooks; `fit` makes one."""

    in_fit = False

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ):
        self.callbacks: list[Any] = [item for item in pytree.tree_leaves(callbacks) if item is not None]
        for item in self.callbacks:
            if not hasattr(item, "on_train_begin"):
                raise ValueError(f"callbacks: expected Callback objects; got {item!r}.")
        if add_history and not any(isinstance(item, History) for item in self.callbacks):
            self.callbacks.append(History())
        if add_progbar and not any(isinstance(item, ProgbarLogger) for item in self.callbacks):
            self.callbacks.append(ProgbarLogger())
        if model is not None:
            self.set_model(model)
        if params:
            self.set_params(params)

    def append(self, callback: Callback) -> None:
        self.callbacks.append(callback)

    @property
    def progress(self) -> ProgbarLogger | None:
        return next((item for item in self.callbacks if isinstance(item, ProgbarLogger)), None)

    def batch_hooks(self, phase: str, moment: str) -> list[Callable[..., None]]:
        """The hooks that do something at the "begin" or "end" of a batch of "train", "test" or "predict".

        Not among them is ProgbarLogger, which is asked by the clock.
        """
        name = f"on_{phase}_batch_{moment}"
        also = f"on_batch_{moment}" if phase == "train" else name
        return [
            getattr(item, name)
            for item in self.callbacks
            if not isinstance(item, ProgbarLogger) and (_defines(item, name) or _defines(item, also))
        ]

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params
        for item in self.callbacks:
            item.set_params(params)

    def set_model(self, model: Any) -> None:
        self._model = model
        for item in self.callbacks:
            item.set_model(model)

    def close(self) -> None:
        """Leave nothing open after an error or Ctrl-C."""
        for item in self.callbacks:
            if hasattr(item, "close"):
                item.close()

    def _call(self, hook: str, *place: int, logs: Any = None) -> None:
        logs = {} if logs is None else logs
        for item in self.callbacks:
            getattr(item, hook)(*place, logs)

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._call("on_batch_begin", batch, logs=logs)

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        self._call("on_batch_end", batch, logs=logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._call("on_epoch_begin", epoch, logs=logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._call("on_epoch_end", epoch, logs=logs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._call("on_train_batch_begin", batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._call("on_train_batch_end", batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._call("on_test_batch_begin", batch, logs=logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._call("on_test_batch_end", batch, logs=logs)

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._call("on_predict_batch_begin", batch, logs=logs)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self._call("on_predict_batch_end", batch, logs=logs)

    def on_train_begin(self, logs: Any = None) -> None:
        self._call("on_train_begin", logs=logs)

    def on_train_end(self, logs: Any = None) -> None:
        self._call("on_train_end", logs=logs)

    def on_test_begin(self, logs: Any = None) -> None:
        self._call("on_test_begin", logs=logs)

    def on_test_end(self, logs: Any = None) -> None:
        self._call("on_test_end", logs=logs)

    def on_predict_begin(self, logs: Any = None) -> None:
        self._call("on_predict_begin", logs=logs)

    def on_predict_end(self, logs: Any = None) -> None:
        self._call("on_predict_end", logs=logs)


class History(Callback):
    """`history` holds the values of every epoch by name, `epoch` the epochs' numbers. What `fit` returns."""

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def set_model(self, model: Any) -> None:
        self._model = model
        vars(model)["history"] = self

    def on_train_begin(self, logs: Any = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class ProgbarLogger(Callback):
    """Shows how far training is, and the results so far: a bar on a terminal, else a line an epoch."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._in_fit = False
        self._seen = 0

    def on_train_begin(self, logs: Any = None) -> None:
        self._in_fit = True

    def on_train_end(self, logs: Any = None) -> None:
        self._in_fit = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        params = self.params or {}
        if params.get("verbose") and params.get("epochs", 1) > 1:
            print(f"Epoch {epoch + 1}/{params['epochs']}", flush=True)
        self._open()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._finish(logs)

    def on_test_begin(self, logs: Any = None) -> None:
        if not self._in_fit:
            self._open()

    def on_test_end(self, logs: Any = None) -> None:
        if not self._in_fit:
            self._finish(logs)

    def on_predict_begin(self, logs: Any = None) -> None:
        self._open()

    def on_predict_end(self, logs: Any = None) -> None:
        self._finish({})

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.after_batch(batch, lambda: logs or {})

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        if not self._in_fit:
            self.after_batch(batch, lambda: logs or {})

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self.after_batch(batch, dict)

    def after_batch(self, batch: int, read_logs: Callable[[], Mapping[str, Any]]) -> None:
        """Count the batch; read and show results only when the bar is due."""
        self._seen = batch + 1
        if self._progress is not None and self._progress.due():
            self._progress.update(self._seen, lambda: to_host(read_logs()))

    def _open(self) -> None:
        params = self.params or {}
        verbose = params.get("verbose", 1)
        weight = next(iter(self.model.parameters()), None) if hasattr(self.model, "parameters") else None
        interval = 0.1 if weight is None or weight.device.type == "cpu" else 0.5
        if verbose != "auto" and not isinstance(verbose, int):
            raise ValueError(f"`verbose` must be 0, 1, 2 or 'auto'; got {verbose!r}.")
        self._progress = Progress(params.get("steps"), 1 if verbose == "auto" else int(verbose), interval)
        self._seen = 0

    def _finish(self, logs: Any) -> None:
        if self._progress is not None:
            self._progress.finish(self._seen, {name: _plain(value) for name, value in (logs or {}).items()})
            self._progress = None

    def close(self) -> None:
        if self._progress is not None:
            self._progress.close()
        self._in_fit = False


class LambdaCallback(Callback):
    """A callback of functions, each given by the name of its hook; other keywords become attributes."""

    def __init__(
        self,
        on_epoch_begin: Callable | None = None,
        on_epoch_end: Callable | None = None,
        on_train_begin: Callable | None = None,
        on_train_end: Callable | None = None,
        on_train_batch_begin: Callable | None = None,
        on_train_batch_end: Callable | None = None,
        **kwargs: Any,
    ):
        hooks = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        }
        vars(self).update(kwargs, **{name: hook for name, hook in hooks.items() if hook is not None})


class TerminateOnNaN(Callback):
    """Stops training at a batch whose loss is NaN or infinite, with RuntimeError where `raise_error`."""

    def __init__(self, raise_error: bool = False):
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(f"The loss at batch {batch} is {loss}: training cannot go on.")
        print(f"Batch {batch}: the loss is {loss}, training stops.", flush=True)
        self.model.stop_training = True


# Watching one value ---------------------------------------------------------------------------------------------------


class _Monitor(Callback):
    """Base of callbacks that watch one value. The direction of "auto" is the metric's own, "min" for losses."""

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0):
        if mode not in ("auto", "min", "max"):
            warnings.warn(f"{type(self).__name__}: mode {mode!r} is unknown; using 'auto'.", stacklevel=3)
            mode = "auto"
        self.monitor, self.mode, self.min_delta = monitor, mode, abs(min_delta)
        self.best: Any = None

    def is_improvement(self, value: Any, reference: Any) -> bool:
        if reference is None:
            return True
        if self._direction() == "min":
            return value + self.min_delta < reference
        return value - self.min_delta > reference

    def _direction(self) -> str:
        if self.mode == "auto":
            self.mode = self._known_direction()
        return self.mode

    def _known_direction(self) -> str:
        name = self.monitor.removeprefix("val_")
        if name == "loss":
            return "min"
        for metric in getattr(self.model, "metrics", ()):
            for one in getattr(metric, "metrics", None) or [metric]:
                if one.name == name and getattr(one, "_direction", None):
                    return "max" if one._direction == "up" else "min"
        raise ValueError(
            f"{type(self).__name__}: cannot tell whether a higher or a lower `{self.monitor}` is better. "
            "Say it with mode='max' or mode='min'."
        )

    def _value(self, logs: Any) -> Any:
        logs = logs or {}
        value = logs.get(self.monitor)
        if value is None:
            warnings.warn(
                f"{type(self).__name__} watches `{self.monitor}`, which is not there. There are: {', '.join(logs)}.",
                stacklevel=3,
            )
        return value


class EarlyStopping(_Monitor):
    """Stops training when `monitor` has not improved by more than `min_delta` for `patience` epochs.

    With `restore_best_weights` the weights of the best epoch come back at the end. Epochs before `start_from_epoch` do
    not count, nor those that improve but stay behind `baseline`.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ):
        super().__init__(monitor, mode, min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self.on_train_begin()

    def on_train_begin(self, logs: Any = None) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = self.best_weights = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._direction()
        value = self._value(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self._remember(epoch)
        self.wait += 1
        if self.is_improvement(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self._remember(epoch)
            if self.baseline is None or self.is_improvement(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def _remember(self, epoch: int) -> None:
        self.best_weights, self.best_epoch = _copy_state(self.model), epoch

    def on_train_end(self, logs: Any = None) -> None:
        if self.stopped_epoch > 0 and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping", flush=True)
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                print(f"Restoring the weights of the best epoch, {self.best_epoch + 1}.", flush=True)
            with torch.no_grad():
                for tensor, value in zip(_state(self.model), self.best_weights, strict=True):
                    tensor.copy_(value)


def _state(module: torch.nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


def _copy_state(module: torch.nn.Module) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in _state(module)]


class ReduceLROnPlateau(_Monitor):
    """Multiplies the learning rate by `factor` when `monitor` has not improved for `patience` epochs.

    After that it waits `cooldown` epochs. The rate never falls below `min_lr`. Raises ValueError for a factor >= 1.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ):
        super().__init__(monitor, mode, min_delta)
        if factor >= 1:
            raise ValueError(f"ReduceLROnPlateau: `factor` must be below 1; got {factor}.")
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr
        self.on_train_begin()

    def on_train_begin(self, logs: Any = None) -> None:
        self.best, self.wait, self.cooldown_counter = None, 0, 0

    def in_cooldown(self) -> bool:
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = {} if logs is None else logs
        _log_rates(self.model.optimizer, logs)
        value = self._value(logs)
        if value is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_improvement(value, self.best):
            self.best, self.wait = value, 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                reduced = [self._reduce(one, epoch) for one in _optimizers(self.model)]
                if any(reduced):
                    self.cooldown_counter, self.wait = self.cooldown, 0

    def _reduce(self, optimizer: Any, epoch: int) -> bool:
        rate = float(optimizer.learning_rate)
        if rate <= np.float32(self.min_lr):
            return False
        optimizer.learning_rate = max(rate * self.factor, self.min_lr)
        if self.verbose:
            print(f"Epoch {epoch + 1}: learning rate reduced to {float(optimizer.learning_rate):.4g}.", flush=True)
        return True


def _optimizers(model: Any) -> list[Any]:
    """The model's optimizer, or those a MultiOptimizer holds."""
    optimizer = model.optimizer
    return list(getattr(optimizer, "optimizers", None) or [optimizer])


def _log_rates(optimizer: Any, logs: dict[str, Any]) -> None:
    several = getattr(optimizer, "optimizers", None)
    if several:
        logs |= {f"learning_rate_{one.name}": float(one.learning_rate) for one in several}
    else:
        logs["learning_rate"] = float(optimizer.learning_rate)


class LearningRateScheduler(Callback):
    """Sets the learning rate of every epoch to `schedule(epoch, current rate)` (or `schedule(epoch)`)."""

    def __init__(self, schedule: Callable[..., float], verbose: int = 0):
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        for optimizer in _optimizers(self.model):
            try:
                rate = self.schedule(epoch, float(optimizer.learning_rate))
            except TypeError:
                rate = self.schedule(epoch)
            if not isinstance(rate, (float, np.floating)):
                raise ValueError(f"LearningRateScheduler: `schedule` must return a float; got {rate!r}.")
            optimizer.learning_rate = float(rate)
            if self.verbose:
                print(f"Epoch {epoch + 1}: learning rate set to {rate:.4g}.", flush=True)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        _log_rates(self.model.optimizer, {} if logs is None else logs)


class SwapEMAWeights(Callback):
    """Puts the optimizer's averaged weights in the model for evaluation and prediction, and back afterwards.

    With `swap_on_epoch` also at the end of every epoch, so that other callbacks save the averages. Raises ValueError
    where the optimizer keeps none (`use_ema=True`).
    """

    def __init__(self, swap_on_epoch: bool = False):
        self.swap_on_epoch = swap_on_epoch
        self._swapped = False

    def _pairs(self) -> list[tuple[Tensor, Tensor]]:
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        found = []
        for one in getattr(optimizer, "optimizers", None) or [optimizer]:
            if getattr(one, "use_ema", False):
                found += zip(one._weights, one._slots["average"], strict=True)
        if not found:
            raise ValueError("SwapEMAWeights: the optimizer keeps no averages; make it with use_ema=True.")
        return found

    def _swap(self, to: bool) -> None:
        if self._swapped == to:
            return
        with torch.no_grad():
            for weight, average in self._pairs():
                kept = weight.clone()
                weight.copy_(average)
                average.copy_(kept)
        self._swapped = to

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.swap_on_epoch:
            self._swap(False)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.swap_on_epoch:
            self._swap(True)
            if self.params and epoch == self.params.get("epochs", 0) - 1:
                with torch.no_grad():
                    for weight, average in self._pairs():
                        average.copy_(weight)

    def on_test_begin(self, logs: Any = None) -> None:
        self._swap(True)

    def on_test_end(self, logs: Any = None) -> None:
        self._swap(False)

    def on_predict_begin(self, logs: Any = None) -> None:
        self._swap(True)

    def on_predict_end(self, logs: Any = None) -> None:
        self._swap(False)


# Files ----------------------------------------------------------------------------------------------------------------


class _Frequency:
    """Says, batch by batch, when every so many batches have passed; never for "epoch"."""

    def __init__(self, save_freq: str | int, owner: str):
        if save_freq != "epoch" and type(save_freq) is not int:
            raise ValueError(f"{owner}: `save_freq` must be 'epoch' or a number of batches; got {save_freq!r}.")
        self._every = None if save_freq == "epoch" else save_freq
        self._since, self._last = 0, -1

    def due(self, batch: int) -> bool:
        if self._every is None:
            return False
        self._since += batch - self._last if batch > self._last else batch + 1
        self._last = batch
        if self._since < self._every:
            return False
        self._since = 0
        return True


class ModelCheckpoint(_Monitor):
    """Saves the model (`.keras`), or with `save_weights_only` its weights (`.weights.h5`), every epoch.

    `save_freq`: every so many batches instead. `filepath` may name values: "{epoch:02d}-{val_loss:.2f}.keras". With
    `save_best_only` only where `monitor` improves on the best so far, at first `initial_value_threshold`.
    """

    _endings: ClassVar = {True: (".weights.h5",), False: (".keras", ".h5")}

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ):
        super().__init__(monitor, mode)
        self.filepath, self.verbose, self.save_freq = os.fspath(filepath), verbose, save_freq
        self.save_best_only, self.save_weights_only = save_best_only, save_weights_only
        self.best = initial_value_threshold
        self._frequency = _Frequency(save_freq, "ModelCheckpoint")
        self._epoch = 0
        endings = self._endings[save_weights_only]
        if not self.filepath.endswith(endings):
            raise ValueError(
                f"ModelCheckpoint: `filepath` must end in {' or '.join(endings)}"
                f"{' with save_weights_only=True' if save_weights_only else ''}; got {self.filepath!r}."
            )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, None, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._frequency.due(batch):
            self._save(self._epoch, batch, logs)

    def _save(self, epoch: int, batch: int | None, logs: Any) -> None:
        logs = dict((logs or {}).items())
        named = {"epoch": epoch + 1, **({} if batch is None else {"batch": batch + 1}), **logs}
        try:
            path = self.filepath.format(**named)
        except KeyError as error:
            raise KeyError(
                f"ModelCheckpoint: `filepath` names {error}, which is not there. There are: {', '.join(named)}."
            ) from None
        if not self._wanted(epoch, logs, path):
            return
        if Path(path).is_dir():
            raise OSError(f"ModelCheckpoint: {path} is a folder; give the path of a file.")
        save = self.model.save_weights if self.save_weights_only else self.model.save
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        save(path, overwrite=True)
        if self.verbose:
            print(f"Epoch {epoch + 1}: saved {path}", flush=True)

    def _wanted(self, epoch: int, logs: Mapping[str, Any], path: str) -> bool:
        if not self.save_best_only:
            return True
        value = self._value(logs)
        if value is None or np.ndim(value):
            return True
        if self.is_improvement(value, self.best):
            self.best = value
            return True
        if self.verbose:
            print(f"Epoch {epoch + 1}: {self.monitor} {value:.5f} is no better than {self.best:.5f}", flush=True)
        return False


class BackupAndRestore(Callback):
    """Saves the state of training every epoch or `save_freq` batches; a later `fit` goes on from there.

    The backup holds weights, optimizer, epoch and the state of random numbers (of Python, NumPy, torch and seeded
    layers), so that the end is that of an uninterrupted run; but an epoch that was not complete starts again, with the
    weights of its last backup. A new backup counts once it is complete. All are deleted when training ends, unless
    `delete_checkpoint=False`; `double_checkpoint` keeps the one before as well. The model must be built before `fit`.
    """

    def __init__(
        self,
        backup_dir: Any,
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ):
        if not backup_dir:
            raise ValueError("BackupAndRestore: `backup_dir` is empty.")
        self.backup_dir, self.save_freq = Path(backup_dir), save_freq
        self.double_checkpoint, self.delete_checkpoint = double_checkpoint, delete_checkpoint
        self._frequency = _Frequency(save_freq, "BackupAndRestore")
        self._epoch = 0

    def _file(self, kind: str) -> Path:
        return self.backup_dir / f"{kind}.weights.h5"

    def on_train_begin(self, logs: Any = None) -> None:
        model = self.model
        if not getattr(model, "built", True):
            raise ValueError("BackupAndRestore: build the model before `fit`, by an Input or by calling it on data.")
        for file in self._backups():
            try:
                state = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
                if model.optimizer is not None and not model.optimizer.built:
                    model.optimizer.build(model.trainable_weights)
                model.load_weights(str(file))
            except (OSError, ValueError) as error:
                warnings.warn(f"BackupAndRestore: cannot read {file} ({error}); trying an older backup.", stacklevel=2)
                continue
            vars(model)["_initial_epoch"] = self._epoch = state["epoch"]
            _set_random_state(model, state["random"])
            return

    def _backups(self) -> list[Path]:
        """The complete backups, the latest first."""
        marks = sorted(self.backup_dir.glob("backup-*.weights.json"), key=_number, reverse=True)
        return [mark.with_suffix(".h5") for mark in marks]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch + 1
        if self.save_freq == "epoch":
            self._save()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._frequency.due(batch):
            self._save()

    def _save(self) -> None:
        """Weights first, then the mark that makes them count; older backups go last."""
        before = self._backups()
        number = _number(before[0]) + 1 if before else 0
        file = self._file(f"backup-{number}")
        self.backup_dir.mkdir(parents=True, exist_ok=True)
        self.model.save_weights(str(file), overwrite=True)
        text = json.dumps({"epoch": self._epoch, "random": _random_state(self.model)})
        with replacing(file.with_suffix(".json")) as fresh:
            fresh.write_text(text, encoding="utf-8")
        for old in before[1 if self.double_checkpoint else 0 :]:
            old.with_suffix(".json").unlink(missing_ok=True)
            old.unlink(missing_ok=True)

    def on_train_end(self, logs: Any = None) -> None:
        if self.delete_checkpoint and self.backup_dir.exists():
            shutil.rmtree(self.backup_dir)


def _random_state(model: Any) -> dict[str, Any]:
    """Where all random numbers are that training may draw, as plain data."""
    name, keys, *numpy = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": [name, keys.tolist(), *numpy],  # type: ignore[union-attr]
        "torch": _as_text(torch.get_rng_state()),
        "cuda": [*map(_as_text, torch.cuda.get_rng_state_all())] if torch.cuda.is_available() else [],
        "layers": [
            {device: _as_text(state) for device, state in stream.__getstate__()["_generators"].items()}
            for stream in _streams(model)
        ],
    }


def _set_random_state(model: Any, state: dict[str, Any]) -> None:
    version, numbers, following = state["python"]
    random.setstate((version, tuple(numbers), following))
    np.random.set_state(tuple(state["numpy"]))
    torch.set_rng_state(_from_text(state["torch"]))
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([*map(_from_text, state["cuda"])])
    for stream, states in zip(_streams(model), state["layers"], strict=False):
        for device, text in states.items():
            stream.on(torch.device(device)).set_state(_from_text(text))


def _streams(model: Any) -> list[Any]:
    """The seeded streams of the layers, each once."""
    found = [vars(module).get("seed_generator") for module in model.modules()]
    return [*{id(stream): stream for stream in found if stream is not None}.values()]


def _as_text(state: Tensor) -> str:
    return state.numpy().tobytes().hex()


def _from_text(text: str) -> Tensor:
    return torch.frombuffer(bytearray.fromhex(text), dtype=torch.uint8)


def _number(path: Path) -> int:
    found = re.match(r"backup-(\d+)\.", path.name)
    return int(found.group(1)) if found else -1


class CSVLogger(Callback):
    """Writes the results of every epoch as a line of a CSV file."""

    def __init__(self, filename: Any, separator: str = ",", append: bool = False):
        self.filename, self.sep, self.append = os.fspath(filename), separator, append
        self._file: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        self.close()
        path = Path(self.filename)
        self._header = not (self.append and path.exists() and path.stat().st_size)
        self._file = path.open("a" if self.append else "w", newline="", encoding="utf-8")
        self._writer: Any = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = logs or {}
        if self._writer is None:
            keys = sorted(logs)
            if not any(key.startswith("val_") for key in keys):
                keys += [f"val_{key}" for key in keys]  # in case validation starts later
            self._writer = csv.DictWriter(self._file, ["epoch", *keys], "NA", "ignore", delimiter=self.sep)
            if self._header:
                self._writer.writeheader()
        self._writer.writerow({"epoch": epoch, **{key: _cell(value) for key, value in logs.items()}})
        self._file.flush()

    def on_train_end(self, logs: Any = None) -> None:
        self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _cell(value: Any) -> Any:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, (list, tuple, np.ndarray)) else value


class RemoteMonitor(Callback):
    """Sends the results of every epoch to a server by HTTP POST, as JSON or as JSON in the form field `field`."""

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: Mapping[str, str] | None = None,
        send_as_json: bool = False,
    ):
        self.root, self.path, self.field, self.headers, self.send_as_json = root, path, field, headers, send_as_json

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        from urllib.error import URLError
        from urllib.parse import urlencode
        from urllib.request import Request, urlopen

        text = json.dumps({"epoch": epoch, **{key: np.asarray(value).tolist() for key, value in (logs or {}).items()}})
        kind = "application/json" if self.send_as_json else "application/x-www-form-urlencoded"
        body = text if self.send_as_json else urlencode({self.field: text})
        request = Request(self.root + self.path, body.encode(), {"Content-Type": kind, **(self.headers or {})})
        try:
            urlopen(request, timeout=10).close()
        except (URLError, TimeoutError) as error:
            warnings.warn(f"RemoteMonitor: cannot reach {self.root} ({error}).", stacklevel=2)


class TensorBoard(Callback):
    """Writes results, and with `histogram_freq` weights, for TensorBoard: `log_dir`/train and `log_dir`/validation.

    update_freq: "epoch", "batch" or every so many batches. Needs the package tensorboard. Graphs, images, embeddings
    and profiles are not written; torch.profiler does the last.
    """

    def __init__(
        self,
        log_dir: Any = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ):
        absent = {
            "write_images": write_images,
            "profile_batch": profile_batch,
            "embeddings_freq": embeddings_freq,
            "embeddings_metadata": embeddings_metadata,
        }
        for name, value in absent.items():
            if value:
                raise ValueError(f"TensorBoard: `{name}` is not available; got {value!r}. Leave it out.")
        if update_freq not in ("epoch", "batch") and type(update_freq) is not int:
            raise ValueError(f"TensorBoard: `update_freq` must be 'epoch', 'batch' or a number; got {update_freq!r}.")
        self.log_dir, self.histogram_freq = os.fspath(log_dir), histogram_freq
        self.write_graph, self.write_images = write_graph, write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq: Any = 1 if update_freq == "batch" else update_freq
        self._writers: dict[str, Any] = {}
        self._batches, self._started = 0, 0.0

    def _writer(self, part: str) -> Any:
        if part not in self._writers:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise ImportError("TensorBoard: install the package first (pip install tensorboard).") from error
            self._writers[part] = SummaryWriter(str(Path(self.log_dir, part)))
        return self._writers[part]

    def on_train_begin(self, logs: Any = None) -> None:
        self._batches = 0
        self._writer("train")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._batches += 1
        if self.update_freq != "epoch" and self._batches % self.update_freq == 0:
            for name, value in (logs or {}).items():
                self._writer("train").add_scalar(f"batch_{name}", value, self._batches)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._started, self._batches_before = time.perf_counter(), self._batches

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = dict((logs or {}).items())
        _log_rates(self.model.optimizer, logs)
        if self.write_steps_per_second:
            logs["steps_per_second"] = (self._batches - self._batches_before) / (time.perf_counter() - self._started)
        for name, value in logs.items():
            part = "validation" if name.startswith("val_") else "train"
            self._writer(part).add_scalar(f"epoch_{name.removeprefix('val_')}", value, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for name, weight in self.model.named_parameters():
                self._writer("train").add_histogram(getattr(weight, "path", name), weight.detach(), epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs: Any = None) -> None:
        self.close()

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}
