"""Callbacks: what `fit`, `evaluate` and `predict` call at the beginning and end of training, epochs and batches."""

from __future__ import annotations

import copy
import csv
import functools
import inspect
import json
import math
import operator
import os
import re
import shutil
import string
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from .core import config
from .core.declare import (
    Declared,
    Kind,
    Refused,
    accepts,
    arg,
    boolean,
    integer,
    kept,
    mapping,
    number,
    short,
    text,
    unknown_keyword,
)
from .core.errors import needing
from .core.placing import put_together
from .core.work import aside
from .files.safe import FAULTS, reason, remove_leftovers, replacing
from .training.distributed import speaks, writing
from .training.progress import Progress

if TYPE_CHECKING:
    from .training.run import Run

__all__ = [
    "BackupAndRestore", "CSVLogger", "Callback", "CallbackList", "EarlyStopping", "History", "LambdaCallback",
    "LearningRateScheduler", "ModelCheckpoint", "ProgbarLogger", "ReduceLROnPlateau", "RemoteMonitor", "SwapEMAWeights",
    "TensorBoard", "TerminateOnNaN",
]  # fmt: skip


def _path(value: Any, owner: Any) -> str:
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise Refused
    return str(os.fspath(value))


def _verbose(value: Any, owner: Any) -> int:
    return int(value) if isinstance(value, (bool, np.bool_)) else integer(0).convert(value, owner)


def _steps(*words: str) -> Kind:
    """One of some words, or a number of batches."""

    def convert(value: Any, owner: Any) -> Any:
        return value if isinstance(value, str) and value in words else integer(1).convert(value, owner)

    named = ", ".join(map(repr, words))
    bad = ("a", 0, -1, 1.5, True, None)
    return Kind(f"{named} or a positive number of batches", convert, good=(*words, 2), bad=bad)


_PATH = Kind("a path that is not empty", _path, good=("a",), bad=("", 3, None))
_VERBOSE = Kind("0, 1 or 2, or True or False", _verbose, good=(0, 1, True), bad=("a", -1, 1.5, None))
_MODE = Kind("'auto', 'min' or 'max'", text.convert, good=("auto", "min", "max"), bad=(3, None))
_FUNCTION = Kind("a function", accepts(callable), good=(float,), bad=("a", 3, None))
_NONE = Kind("0, as it is not available", accepts(operator.not_), good=(0, None), bad=(2, "a"))
_LETTER = Kind(
    "one character",
    accepts(lambda value: isinstance(value, str) and len(value) == 1 and value not in '\r\n"'),
    good=(";",),
    bad=("", "ab", "\n", 3, None),
)


def to_host(logs: Mapping[str, Any] | None) -> dict[str, Any]:
    """Logs as plain numbers, nested ones flattened; all scalars of a device are read in one go."""
    flat = _flat(logs or {})
    scalars = {name: value for name, value in flat.items() if isinstance(value, Tensor) and value.numel() == 1}
    if all(value.is_cpu for value in scalars.values()):
        flat |= {name: float(value.item()) for name, value in scalars.items()}
    else:
        together = torch.stack([value.detach().reshape(()).double() for value in scalars.values()])
        flat |= dict(zip(scalars, together.tolist(), strict=True))
    return {name: _plain(value) for name, value in flat.items()}


def by_name(logs: Mapping[str, Any]) -> dict[str, Any]:
    """Logs sorted by name, as callbacks of Keras 3 are told of them."""
    return {name: by_name(value) if isinstance(value, Mapping) else value for name, value in sorted(logs.items())}


def _flat(logs: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in logs.items():
        flat |= _flat(value) if isinstance(value, Mapping) else {name: value}
    return flat


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy()
    if isinstance(value, (np.generic, np.ndarray)) and value.size == 1:
        return float(value)
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Logs(dict):
    """A dictionary of results on the device; a value becomes a number when somebody looks at it."""

    def __init__(self, results: Mapping[str, Any]):
        super().__init__(_flat(results))

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

    `state_dict` and `load_state_dict` say what a backup keeps of it: by default nothing.
    """

    params: dict[str, Any] | None = None
    _model: Any = None
    _state: ClassVar[tuple[str, ...]] = ()  # the attributes that a backup keeps

    def state_dict(self) -> dict[str, Any]:
        """What BackupAndRestore keeps: numbers, texts, arrays, and lists and dictionaries of them."""
        return {name: getattr(self, name) for name in self._state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with what `state_dict` gave, after `on_train_begin`."""
        vars(self).update({name: state[name] for name in self._state})

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def set_model(self, model: Any) -> None:
        self._model = model

    @property
    def model(self) -> Any:
        return self._model

    @model.setter
    def model(self, model: Any) -> None:
        self._model = model

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Another name for `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Another name for `on_train_batch_end`."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None: ...

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None: ...

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.on_batch_end(batch, logs)

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
            if isinstance(item, type) and hasattr(item, "on_train_begin"):
                raise ValueError(f"callbacks: {item.__name__} is a class; make one of it: {item.__name__}(...).")
            if not hasattr(item, "on_train_begin"):
                hint = " LambdaCallback makes one of functions." if callable(item) else ""
                raise ValueError(f"callbacks: expected Callback objects; got {short(item)}.{hint}")
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

    def tell_steps(self, steps: int | None) -> None:
        """How many batches the next epoch has: a dataset's number may change between epochs."""
        params = self.params or {}
        if steps != params.get("steps", steps):
            self.set_params({**params, "steps": steps})

    def set_model(self, model: Any) -> None:
        self._model = model
        for item in self.callbacks:
            item.set_model(model)

    def close(self) -> None:
        """Leave nothing open after an error or Ctrl-C."""
        for item in self.callbacks:
            if hasattr(item, "close"):
                item.close()


def _passed_on(hook: str) -> Callable[..., None]:
    """A hook of CallbackList: that of each callback in it, which is given a dictionary of logs in any case."""
    method = getattr(Callback, hook)
    signature = inspect.signature(method)

    @functools.wraps(method)
    def call(self: CallbackList, *args: Any, **kwargs: Any) -> None:
        given = signature.bind(self, *args, **kwargs)
        given.apply_defaults()
        _, *place, logs = given.arguments.values()
        logs = {} if logs is None else logs
        with aside():
            for item in self.callbacks:
                getattr(item, hook)(*place, logs)

    return call


for _hook in [name for name in vars(Callback) if name.startswith("on_")]:
    setattr(CallbackList, _hook, _passed_on(_hook))


class History(Callback):
    """`history` holds the values of every epoch by name, `epoch` the epochs' numbers. What `fit` returns."""

    _state = ("history", "epoch", "_epochs")

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []
        self._epochs: dict[str, list[int]] = {}  # of each value: some are not measured every time

    @classmethod
    def from_csv(cls, path: Any, separator: str = ",") -> History:
        """What a CSVLogger wrote, over all runs that it was appended in. Raises ValueError for another file."""
        made = cls()
        with Path(path).open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, delimiter=separator)
            if "epoch" not in (reader.fieldnames or ()):
                raise ValueError(f"History.from_csv: {str(path)!r} has no column 'epoch'; a CSVLogger writes one.")
            for line in reader:
                logs = {name: _read_cell(value) for name, value in line.items() if name != "epoch" and value != "NA"}
                made.on_epoch_end(int(line["epoch"]), logs)
        return made

    def plot(self, metrics: Any = None, path: Any = None) -> Any:
        """Draw the results over the epochs, one panel a metric; returns matplotlib's Figure.

        Validation is dashed and the best epoch is marked; what spans two decades has a logarithmic axis. metrics: a
        name or several, without "val_"; None is all. path: a file to write it to, `.png`, `.svg`, `.pdf`. Raises
        ValueError for names that are not there and where nothing was trained.
        """
        from .pictures import curves

        return curves.figure(self._panels(metrics), path)

    def _repr_html_(self) -> str:
        from .pictures import curves

        if not self.history:
            return "<i>History: no results yet</i>"
        return curves.as_page(self._panels(), f"History of {len(self.epoch)} epochs")

    def _panels(self, metrics: Any = None) -> Any:
        from .pictures import curves

        return curves.panels(self.history, self._epochs, functools.partial(direction_of, self.model), metrics)

    def set_model(self, model: Any) -> None:
        self._model = model
        vars(model)["history"] = self

    def on_train_begin(self, logs: Any = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self._model is not None:
            vars(self._model)["history"] = self  # a callback may have called `fit`
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
            self._epochs.setdefault(name, []).append(epoch)


def direction_of(model: Any, name: str) -> str | None:
    """Which way a result is better, "min" or "max"; None where nothing tells."""
    name = name.removeprefix("val_")
    if name == "loss" or name.endswith("_loss"):
        return "min"
    for metric in getattr(model, "metrics", ()):
        for one in getattr(metric, "metrics", None) or [metric]:
            if one.name == name and getattr(one, "_direction", None):
                return "max" if one._direction == "up" else "min"
    return "max" if model is None and name in ("acc", "accuracy") else None


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

    def after_validation(self, batch: int, steps: int | None) -> None:
        """Show how far the validation within a training is."""
        if self._progress is not None and self._progress.due():
            self._progress.tell(self._seen, f"validation {batch + 1}/{steps or '?'}")

    def say(self, text: str) -> None:
        """A line of its own, where each pass is a line."""
        if self._progress is not None and self._progress.verbose == 2:
            print(text, flush=True)

    def _open(self) -> None:
        params = self.params or {}
        verbose = params.get("verbose", 1)
        weight = next(iter(self.model.parameters()), None) if hasattr(self.model, "parameters") else None
        interval = 0.1 if weight is None or weight.device.type == "cpu" else 0.5
        if verbose != "auto" and not isinstance(verbose, int):
            raise ValueError(f"`verbose` must be 0, 1, 2 or 'auto'; got {verbose!r}.")
        if verbose == "auto":
            verbose = 1 if config.is_interactive_logging_enabled() else 2
        self._progress = Progress(params.get("steps"), int(verbose), interval)
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
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        known = [name for name in dir(Callback) if name.startswith("on_")]
        for name, hook in given.items():
            if name.startswith("on_") and name not in known:
                raise ValueError(unknown_keyword("LambdaCallback", name, known))
            if name in known and hook is not None and not callable(hook):
                raise ValueError(f"LambdaCallback: argument `{name}` must be a function; got {short(hook)}.")
        vars(self).update({name: value for name, value in given.items() if value is not None or name not in known})


class TerminateOnNaN(Callback, Declared):
    """Stops training at a batch whose loss is NaN or infinite, with RuntimeError where `raise_error`."""

    raise_error: bool = arg(boolean, default=False, doc="Raise instead of ending quietly.")

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(f"The loss at batch {batch} is {loss}: training cannot go on.")
        print(f"Batch {batch}: the loss is {loss}, training stops.", flush=True)
        self.model.stop_training = True


# Watching one value ---------------------------------------------------------------------------------------------------


class _Monitor(Callback, Declared):
    """Base of callbacks that watch one value. The direction of "auto" is the metric's own, "min" for losses."""

    monitor: Any = kept()
    mode: Any = kept()
    min_delta: Any = kept(0.0)
    best: Any = kept()

    def check(self) -> None:
        self.min_delta = abs(self.min_delta)
        if self.mode not in ("auto", "min", "max"):  # which Keras takes, too
            warnings.warn(f"{type(self).__name__}: mode {self.mode!r} is unknown; using 'auto'.", stacklevel=5)
            self.mode = "auto"

    def is_improvement(self, value: Any, reference: Any) -> bool:
        return reference is None or bool(self.monitor_op(value - self.min_delta, reference))

    @functools.cached_property
    def monitor_op(self) -> Any:
        """np.less or np.greater, whichever tells the better of two values; the sign of `min_delta` follows."""
        lower = self._direction() == "min"
        self.min_delta = -abs(self.min_delta) if lower else abs(self.min_delta)
        return np.less if lower else np.greater

    def _direction(self) -> str:
        if self.mode == "auto":
            self.mode = self._known_direction()
        return self.mode

    def _known_direction(self) -> str:
        found = direction_of(self.model, self.monitor)
        if found is not None:
            return found
        raise ValueError(
            f"{type(self).__name__}: cannot tell whether a higher or a lower `{self.monitor}` is better. "
            "Say it with mode='max' or mode='min'."
        )

    def get_monitor_value(self, logs: Any) -> Any:
        """The watched value of an epoch's results; None, with a warning, where it is not there."""
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

    monitor: str = arg(text, default="val_loss", doc="What is watched.")
    min_delta: float = arg(number(), default=0, doc="What does not count as better.")
    patience: float = arg(number(0), default=0, doc="How many epochs to wait.")
    verbose: int = arg(_VERBOSE, default=0, doc="Whether to say so.")
    mode: str = arg(_MODE, default="auto", doc="Which way is better.")
    baseline: float | None = arg(number().optional(), default=None, doc="What has to be reached.")
    restore_best_weights: bool = arg(boolean, default=False, doc="Whether the best weights come back.")
    start_from_epoch: int = arg(integer(0), default=0, doc="The first epoch that counts.")
    _state = ("best", "wait", "stopped_epoch", "best_epoch", "best_weights")

    def check(self) -> None:
        super().check()
        self.on_train_begin()

    def on_train_begin(self, logs: Any = None) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = self.best_weights = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._direction()
        value = self.get_monitor_value(logs)
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
        self.best_weights, self.best_epoch = [tensor.detach().clone() for tensor in _tensors(self.model)], epoch

    def on_train_end(self, logs: Any = None) -> None:
        if self.stopped_epoch > 0 and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping", flush=True)
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                print(f"Restoring the weights of the best epoch, {self.best_epoch + 1}.", flush=True)
            with torch.no_grad():
                for tensor, value in zip(_tensors(self.model), self.best_weights, strict=True):
                    tensor.copy_(torch.as_tensor(value))


def _tensors(module: torch.nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


class ReduceLROnPlateau(_Monitor):
    """Multiplies the learning rate by `factor` when `monitor` has not improved for `patience` epochs.

    After that it waits `cooldown` epochs. The rate never falls below `min_lr`.
    """

    monitor: str = arg(text, default="val_loss", doc="What is watched.")
    factor: float = arg(number(0, 1, below=True), default=0.1, doc="What the rate is multiplied by.")
    patience: float = arg(number(0), default=10, doc="How many epochs to wait.")
    verbose: int = arg(_VERBOSE, default=0, doc="Whether to say so.")
    mode: str = arg(_MODE, default="auto", doc="Which way is better.")
    min_delta: float = arg(number(), default=1e-4, doc="What does not count as better.")
    cooldown: float = arg(number(0), default=0, doc="How many epochs to wait after a change.")
    min_lr: float = arg(number(0), default=0.0, doc="The smallest rate.")
    _state = ("best", "wait", "cooldown_counter")

    def check(self) -> None:
        super().check()
        self.on_train_begin()

    def on_train_begin(self, logs: Any = None) -> None:
        self.best, self.wait, self.cooldown_counter = None, 0, 0

    def in_cooldown(self) -> bool:
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = {} if logs is None else logs
        _log_rates(self.model, logs)
        value = self.get_monitor_value(logs)
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
    """The model's optimizer, or those a MultiOptimizer holds; not what scales the loss round them."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    return getattr(optimizer, "optimizers", None) or [optimizer]


def _log_rates(model: Any, logs: dict[str, Any]) -> None:
    several = _optimizers(model)
    alone = several[0] is getattr(model.optimizer, "inner_optimizer", model.optimizer)
    logs.update(
        {"learning_rate" if alone else f"learning_rate_{one.name}": float(one.learning_rate) for one in several}
    )


class LearningRateScheduler(Callback, Declared):
    """Sets the learning rate of every epoch to `schedule(epoch, current rate)` (or `schedule(epoch)`)."""

    schedule: Any = arg(_FUNCTION, doc="Gives the rate.")
    verbose: int = arg(_VERBOSE, default=0, doc="Whether to say so.")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        for optimizer in _optimizers(self.model):
            try:
                rate = self.schedule(epoch, float(optimizer.learning_rate))
            except TypeError:
                rate = self.schedule(epoch)
            if not isinstance(rate, (float, np.floating)) and not (torch.is_tensor(rate) and rate.is_floating_point()):
                raise ValueError(f"LearningRateScheduler: `schedule` must return a float; got {rate!r}.")
            optimizer.learning_rate = float(rate)
            if self.verbose:
                print(f"Epoch {epoch + 1}: learning rate set to {rate:.4g}.", flush=True)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        _log_rates(self.model, {} if logs is None else logs)


class SwapEMAWeights(Callback, Declared):
    """Puts the optimizer's averaged weights in the model for evaluation and prediction, and back afterwards.

    With `swap_on_epoch` also at the end of every epoch, so that other callbacks save the averages. Raises ValueError
    where the optimizer keeps none (`use_ema=True`).
    """

    swap_on_epoch: bool = arg(boolean, default=False, doc="Whether to swap at the end of epochs, too.")
    _state = ("_swapped",)
    _swapped = False

    def _pairs(self) -> list[tuple[Tensor, Tensor]]:
        found = []
        for one in _optimizers(self.model):
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

    on_predict_begin, on_predict_end = on_test_begin, on_test_end


# Files ----------------------------------------------------------------------------------------------------------------


class _Saving(Callback):
    """Base of what saves every epoch or every `save_freq` batches."""

    save_freq: Any
    _since, _last_batch_seen = 0, -1

    def _due(self, batch: int) -> bool:
        """Told batch by batch: whether so many batches have passed."""
        if self.save_freq == "epoch":
            return False
        self._since += batch - self._last_batch_seen if batch > self._last_batch_seen else batch + 1
        self._last_batch_seen = batch
        if self._since < self.save_freq:
            return False
        self._since = 0
        return True


class _Missing(KeyError):
    """A KeyError that shows its sentence without quotation marks."""

    def __str__(self) -> str:
        return str(self.args[0])


class ModelCheckpoint(_Saving, _Monitor):
    """Saves the model (`.keras`), or with `save_weights_only` its weights (`.weights.h5`), every epoch.

    `save_freq`: every so many batches instead. `filepath` may name values: "{epoch:02d}-{val_loss:.2f}.keras". With
    `save_best_only` only where `monitor` improves on the best so far, at first `initial_value_threshold`.
    """

    filepath: str = arg(_PATH, doc="Where to.")
    monitor: str = arg(text, default="val_loss", doc="What is watched.")
    verbose: int = arg(_VERBOSE, default=0, doc="Whether to say so.")
    save_best_only: bool = arg(boolean, default=False, doc="Whether only what is better than before is saved.")
    save_weights_only: bool = arg(boolean, default=False, doc="Whether the weights alone are saved.")
    mode: str = arg(_MODE, default="auto", doc="Which way is better.")
    save_freq: Any = arg(_steps("epoch"), default="epoch", doc="How often.")
    initial_value_threshold: float | None = arg(number().optional(), default=None, doc="What has to be reached.")
    _endings: ClassVar = {True: (".weights.h5", ".dcp"), False: (".keras", ".h5")}
    _state = ("best", "_since", "_last_batch_seen")
    _epoch = 0

    def check(self) -> None:
        super().check()
        self.best = self.initial_value_threshold
        endings = self._endings[self.save_weights_only]
        if not self.filepath.endswith(endings):
            raise ValueError(
                f"ModelCheckpoint: `filepath` must end in {' or '.join(endings)}"
                f"{' with save_weights_only=True' if self.save_weights_only else ''}; got {self.filepath!r}."
            )
        try:
            names = [name for _, name, _, _ in string.Formatter().parse(self.filepath) if name is not None]
        except ValueError as error:
            raise ValueError(f"ModelCheckpoint: `filepath` {self.filepath!r} cannot be filled in: {error}.") from None
        if any(not re.match("[^0-9]", name) for name in names):
            raise ValueError(
                f"ModelCheckpoint: `filepath` has a place without a name; write {{epoch}} or {{val_loss:.2f}}; got "
                f"{self.filepath!r}."
            )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, None, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._due(batch):
            self._save(self._epoch, batch, logs)

    def _save(self, epoch: int, batch: int | None, logs: Any) -> None:
        place = {"epoch": epoch + 1, **({} if batch is None else {"batch": batch + 1})}
        named = copy.copy(logs or {})
        for name, value in place.items():
            named.setdefault(name, value)
        try:
            path = self.filepath.format_map(named)
        except KeyError as error:
            known = ", ".join({**place, **named})
            raise _Missing(
                f"ModelCheckpoint: `filepath` names {error}, which is not there. There are: {known}."
            ) from None
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            raise ValueError(f"ModelCheckpoint: `filepath` {self.filepath!r} cannot be filled in: {error}.") from None
        if not self._wanted(epoch, logs or {}, path):
            return
        save = self.model.save_weights if self.save_weights_only else self.model.save
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        save(path, overwrite=True)
        if self.verbose:
            print(f"Epoch {epoch + 1}: saved {path}", flush=True)

    def _wanted(self, epoch: int, logs: Mapping[str, Any], path: str) -> bool:
        if not self.save_best_only:
            return True
        value = self.get_monitor_value(logs)
        if value is None or np.ndim(value):
            return True
        if self.is_improvement(value, self.best):
            self.best = value
            return True
        if self.verbose:
            print(f"Epoch {epoch + 1}: {self.monitor} {value:.5f} is no better than {self.best:.5f}", flush=True)
        return False


class BackupAndRestore(_Saving, Declared):
    """Saves the state of training every epoch or `save_freq` batches; a later `fit` goes on from there.

    The end is that of an uninterrupted run, to the last bit on one number of threads: the backup holds weights,
    optimizers, metrics, the place in the data, the state of random numbers (of Python, NumPy, torch and of generators
    that the model, callbacks or data have as attributes) and what `state_dict` of callbacks and data gives. A
    generator or iterator is read again up to the place. A PyDataset is read batch by batch, by no threads.

    It is `latest.weights.h5`, which takes the place of the one before at once; `training_metadata.json` says epoch and
    batch as in Keras. `double_checkpoint` keeps the backup before as `.bkp`. All are deleted when training ends, unless
    `delete_checkpoint=False`. The model must be built before `fit`.
    """

    backup_dir: Any = arg(_PATH, doc="The folder.")
    save_freq: Any = arg(_steps("epoch"), default="epoch", doc="How often.")
    double_checkpoint: bool = arg(boolean, default=False, doc="Whether the one before is kept.")
    delete_checkpoint: bool = arg(boolean, default=True, doc="Whether all are deleted at the end.")
    _state = ("_since", "_last_batch_seen")
    _current_epoch = 0

    def check(self) -> None:
        self.backup_dir = Path(self.backup_dir)
        self._weights_path = self.backup_dir / "latest.weights.h5"
        self._training_metadata_path = self.backup_dir / "training_metadata.json"

    def on_train_begin(self, logs: Any = None) -> None:
        model, run = self.model, self._run
        if not getattr(model, "built", True):
            raise ValueError("BackupAndRestore: build the model before `fit`, by an Input or by calling it on data.")
        if self.backup_dir.exists() and not self.backup_dir.is_dir():
            raise NotADirectoryError(f"BackupAndRestore: `backup_dir` {self.backup_dir} is a file; give it a folder.")
        if self.save_freq != "epoch" or run.needs_place:
            run.keep_place()
        if not speaks():  # what the first process reads is for all
            return
        for path in (self._weights_path, self._training_metadata_path):
            remove_leftovers(path)
        for file in filter(Path.exists, (self._weights_path, _before(self._weights_path))):
            try:
                epoch = self._restore(file, run)
            except (*FAULTS, RecursionError) as error:
                why = reason(error)
                warnings.warn(f"BackupAndRestore: cannot use {file} ({why}); trying an older backup.", stacklevel=2)
                continue
            vars(model)["_initial_epoch"] = self._current_epoch = epoch
            return

    @property
    def _run(self) -> Run:
        """The `fit` that is going on; in a loop of one's own, the model alone."""
        from .training.run import Run

        return getattr(self.model, "_fitting", None) or Run(self.model)

    def _restore(self, file: Path, run: Run) -> int:
        """Set the weights; the rest waits for the run. The epoch to go on with."""
        from .files import backup

        state, epochs = backup.read(file), (self.params or {}).get("epochs")
        of_keras = state is None
        if of_keras:
            mark = self._training_metadata_path
            mark = mark if file == self._weights_path else _before(mark)
            state = json.loads(mark.read_text(encoding="utf-8")) if mark.exists() else {"epoch": 0}
        epoch = state["epoch"]
        if type(epoch) is not int or epoch < 0 or (epochs is not None and epoch > epochs):
            raise ValueError(f"it must hold an epoch from 0 to {epochs}; it holds {short(epoch)}")
        if not of_keras:
            run.check(state)
        backup.load_weights(self.model, file)
        if not of_keras:
            run.wait_with(state, file)
        return epoch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._current_epoch = epoch + 1
        if self.save_freq == "epoch":
            self._save_later(0)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._due(batch):
            self._save_later(batch + 1)

    def _save_later(self, batch: int) -> None:
        run = self._run
        run.save_later(lambda: self._save(run.state(self._current_epoch, batch)))

    def _save(self, state: dict[str, Any]) -> None:
        with put_together(self.model), writing(self.backup_dir) as mine:
            if mine:
                self._write(state)

    def _write(self, state: dict[str, Any]) -> None:
        from .files import backup

        self.backup_dir.mkdir(parents=True, exist_ok=True)
        if self.double_checkpoint:
            for path in (self._weights_path, self._training_metadata_path):
                _keep(path)
        backup.save(self.model, self._weights_path, state)
        with replacing(self._training_metadata_path) as fresh:
            fresh.write_text(json.dumps({name: state[name] for name in ("epoch", "batch")}), encoding="utf-8")

    def on_train_end(self, logs: Any = None) -> None:
        with writing(self.backup_dir) as mine:
            if mine and self.delete_checkpoint and self.backup_dir.exists():
                shutil.rmtree(self.backup_dir)


def _before(path: Path) -> Path:
    return path.with_name(f"{path.name}.bkp")


def _keep(path: Path) -> None:
    """Let the file be the one before."""
    if path.exists():
        path.replace(_before(path))


class CSVLogger(Callback, Declared):
    """Writes the results of every epoch as a line of a CSV file."""

    filename: str = arg(_PATH, doc="The file.")
    separator: str = arg(_LETTER, default=",", doc="What stands between the values.", attribute="sep")
    append: bool = arg(boolean, default=False, doc="Whether to go on with what is there.")
    sep: str = kept()
    _state = ("_end",)
    _file: Any = None
    _end = 0  # bytes before the next line

    def on_train_begin(self, logs: Any = None) -> None:
        self.close()
        self._file = Path(self.filename if speaks() else os.devnull).open("a", newline="", encoding="utf-8")
        self._end = self._file.tell() if self.append else 0
        self._writer: Any = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = logs or {}
        if self._writer is None:
            self._writer = csv.DictWriter(
                self._file, ["epoch", *self._columns(logs)], "NA", "ignore", delimiter=self.sep
            )
            if self._file.tell() > self._end:
                self._file.truncate(self._end)
        try:
            if not self._end:
                self._writer.writeheader()
            self._writer.writerow({"epoch": epoch, **{key: _cell(value) for key, value in logs.items()}})
            self._file.flush()
            self._end = self._file.tell()
        except OSError as error:
            error.filename = self.filename
            with suppress(OSError):  # closing would write once more
                self.close()
            raise

    def _columns(self, logs: Mapping[str, Any]) -> list[str]:
        keys = sorted(logs)
        if not any(key.startswith("val_") for key in keys):
            keys += [f"val_{key}" for key in keys]  # in case validation starts later
        return keys

    def on_train_end(self, logs: Any = None) -> None:
        self.close()

    def close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            file.close()


def _read_cell(text: str) -> Any:
    """What a cell of a file of results holds: a number, or several."""
    try:
        return json.loads(text) if text.startswith("[") else float(text)
    except ValueError:
        return text


def _cell(value: Any) -> Any:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, (list, tuple, np.ndarray)) else value


class RemoteMonitor(Callback, Declared):
    """Sends the results of every epoch to a server by HTTP POST, as JSON or as JSON in the form field `field`."""

    root: str = arg(text, default="http://localhost:9000", doc="The server.")
    path: str = arg(text, default="/publish/epoch/end/", doc="Where on it.")
    field: str = arg(text, default="data", doc="The field of the form.")
    headers: Any = arg(mapping.optional(), default=None, doc="Further headers.")
    send_as_json: bool = arg(boolean, default=False, doc="Whether to send no form.")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if not speaks():
            return
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


class _Silent:
    """The writer of a process that writes nothing."""

    add_scalar = add_histogram = flush = close = staticmethod(lambda *told: None)


class TensorBoard(Callback, Declared):
    """Writes results, and with `histogram_freq` weights, for TensorBoard: `log_dir`/train and `log_dir`/validation.

    update_freq: "epoch", "batch" or every so many batches. Needs the package tensorboard. Graphs, images, embeddings
    and profiles are not written; torch.profiler does the last.
    """

    log_dir: str = arg(_PATH, default="logs", doc="The folder.")
    histogram_freq: int = arg(integer(0), default=0, doc="Every how many epochs weights are written; 0 is never.")
    write_graph: bool = arg(boolean, default=True, doc="Not available: nothing is written.")
    write_images: bool = arg(boolean, default=False, doc="Not available: nothing is written.")
    write_steps_per_second: bool = arg(boolean, default=False, doc="Whether the speed is written.")
    update_freq: Any = arg(_steps("epoch", "batch"), default="epoch", doc="How often results are written.")
    profile_batch: Any = arg(_NONE, default=0)
    embeddings_freq: int = arg(_NONE, default=0)
    embeddings_metadata: Any = arg(_NONE, default=None)

    def check(self) -> None:
        self.update_freq = 1 if self.update_freq == "batch" else self.update_freq
        if self.write_images:
            warnings.warn("TensorBoard: `write_images` is not available; none are written.", stacklevel=4)
        self._writers: dict[str, Any] = {}
        self._batches, self._started = 0, 0.0

    def _writer(self, part: str) -> Any:
        if not speaks():
            return _Silent()
        if part not in self._writers:
            with needing("TensorBoard: install the package first (pip install tensorboard)."):
                from torch.utils.tensorboard import SummaryWriter
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
        _log_rates(self.model, logs)
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
