"""Callbacks of older generations that take something else than the modern ones, or in another order."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from torch.utils import _pytree as pytree

from .. import callbacks, losses
from ..core.errors import warn
from ..training.data import check_count
from ..translation.table import Generation
from ..translation.words import by_name

# What may be left out or say nothing; anything else is no argument here.
_NOTHING = frozenset(
    "batch_size count_mode embeddings_data embeddings_layer_names options save_before_preemption "
    "stateful_metrics".split()
)
_SAID = ("batch_size", "count_mode", "stateful_metrics")  # results are means already, and shown by the batch


@functools.cache
def find(table: Generation, name: str) -> Any:
    """The callback of a generation; None where it is the modern one."""
    order, generation = table.callbacks.get(name), table.name
    if order is None:
        return None
    cls = globals().get(name) or getattr(callbacks, name)
    facts = {"_words": tuple(order.split()), "__module__": f"lamina.{generation}.callbacks", "__doc__": cls.__doc__}
    facts["_of_time"] = generation
    return type(name, (_Ordered, cls), facts)


class _Ordered:
    """Takes arguments in the order of its time, and those that say nothing here."""

    _words: tuple[str, ...]

    def __init__(self, *args: Any, **kwargs: Any):
        given = by_name(type(self).__name__, self._words, args, kwargs)
        ignored = [name for name in _NOTHING.intersection(self._words) if name in _SAID or not given.get(name)]
        super().__init__(**{name: value for name, value in given.items() if name not in ignored})

    @property
    def best(self) -> Any:
        """The best value so far: at first infinity, which NaN is not better than."""
        best = vars(self).get("best")
        return (np.inf if self.monitor_op is np.less else -np.inf) if best is None else best  # type: ignore[attr-defined]

    @best.setter
    def best(self, value: Any) -> None:
        vars(self)["best"] = value

    def _known_direction(self) -> str:
        """What `mode="auto"` means, by the name of what is watched."""
        watched: str = self.monitor  # type: ignore[attr-defined]
        return "max" if "acc" in watched or watched.endswith("auc") or watched.startswith("fmeasure") else "min"


class BaseLogger(callbacks.Callback):
    """Made logs means over an epoch, which they are."""


class EarlyStopping(callbacks.EarlyStopping):
    """In Keras 2 `baseline` is the best value at first; in Keras 1 one epoch more than `patience` must be worse."""

    _of_time = ""  # the generation

    def on_train_begin(self, logs: Any = None) -> None:
        super().on_train_begin(logs)
        self.best = None if self._of_time == "tf_keras" else self.baseline

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self._of_time == "tf_keras":
            super().on_epoch_end(epoch, logs)
            return
        self._direction()
        value = self.get_monitor_value(logs)
        if value is None:
            return
        if self.is_improvement(value, self.best):
            self.best, self.wait = value, 0
            if self.restore_best_weights:
                self.best_weights, self.best_epoch = self.model.get_weights(), epoch
            return
        self.wait += 1
        if self.wait >= self.patience + (self._of_time == "keras1"):
            self.stopped_epoch, self.model.stop_training = epoch, True
            if self.best_weights is not None:
                self.model.set_weights(self.best_weights)

    def on_train_end(self, logs: Any = None) -> None:
        if self._of_time != "tf_keras":
            self.best_weights = None  # they are set where training was stopped, and there alone
        super().on_train_end(logs)


_ABBREVIATED = {"acc": "accuracy", "lr": "learning_rate", **losses._ALIASES}


class Results(dict):
    """Results by name; a metric is found by its name and by its abbreviation, which both were in logs in their time."""

    def _name(self, name: Any) -> Any:
        if not super().__contains__(name):
            for pair in _ABBREVIATED.items():
                for asked, logged in (pair, pair[::-1]):
                    head = str(name).removesuffix(asked)
                    if head != name and head[-1:] in ("", "_") and super().__contains__(head + logged):
                        return head + logged
        return name

    def __contains__(self, name: object) -> bool:
        return super().__contains__(self._name(name))

    def __getitem__(self, name: Any) -> Any:
        return super().__getitem__(self._name(name))

    def get(self, name: Any, default: Any = None) -> Any:
        return super().get(self._name(name), default)


class OfTheTime(callbacks.CallbackList):
    """Callbacks that find results under the names of their time."""

    _as_given = True  # results come in the order in which a step gave them

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        for callback in self.callbacks:
            if isinstance(callback, callbacks.History):
                callback.history = Results(callback.history)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_end(epoch, self._in_order(logs or {}, Results()))

    def _in_order(self, logs: Mapping[str, Any], found: Results, held_first: bool = False) -> Results:
        """`found` with results behind it in the order of `metrics_names`, those on the data held back as a whole."""
        own = {name: value for name, value in logs.items() if not name.startswith("val_")}
        names = [*own] if self._as_given else self._model._names_in_order(own)
        held = [f"val_{name}" for name in names if f"val_{name}" in logs]
        for name in (*held, *names, *logs) if held_first else (*names, *held, *logs):
            found[name] = logs[name]
        return found


class ToldMore(OfTheTime):
    """Callbacks of Keras 1 and 2: told in `params` what is trained on, in logs which batch it is and how large, and in
    `validation_data` the arrays that are held back."""

    _as_given = False

    def __init__(self, facts: Mapping[str, Any], *args: Any, **kwargs: Any):
        self.facts = facts
        self._before: dict[str, tuple[float, dict[str, float]]] = {}  # samples and results of the batch before
        super().__init__(*args, **kwargs)
        for callback in self.callbacks:
            callback.validation_data = facts.get("held")

    def _in_order(self, logs: Mapping[str, Any], found: Results, held_first: bool = True) -> Results:
        return super()._in_order(logs, found, held_first)

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params({**params, **self.facts.get("params", {})})

    def tell_steps(self, steps: int | None) -> None:
        """With every epoch on a dataset, changed or not."""
        if self.facts.get("samples") is None:
            self.set_params({**(self.params or {}), "steps": steps})

    def batch_hooks(self, phase: str, moment: str) -> list[Callable[..., None]]:
        hooks = super().batch_hooks(phase, moment)
        return [functools.partial(self._tell, hooks, phase, moment)] if hooks else []

    def _tell(
        self, hooks: list[Callable[..., None]], phase: str, moment: str, batch: int, logs: Mapping[str, Any] | None
    ) -> None:
        """Calls hooks with logs that also hold the batch's number and size."""
        told, logs = Results(batch=batch), dict(logs or {})
        if moment == "end" and "loss" in logs:
            told["size"] = self._make_own(logs, phase, batch)
        samples, size = self.facts.get("samples"), self.facts.get("batch_size")
        if samples and size and phase == "train":
            told["size"] = min(size, samples - batch * size)
        if "outputs" in logs:
            told["outputs"] = pytree.tree_leaves(logs.pop("outputs"))
            told["size"] = len(told["outputs"][0])
        told = self._in_order(logs, told) if moment == "end" else told
        for hook in hooks:
            hook(batch, told)

    def _make_own(self, logs: dict[str, float], phase: str, batch: int) -> int:
        """Let the loss, in Keras 1 all results, be the batch's own instead of the mean up to it. Gives its size."""
        count, now = float(self._model._compiled.mean_loss.count), dict(logs)
        seen, before = self._before.get(phase, (0.0, {})) if batch else (0.0, {})
        self._before[phase] = count, now
        if count > seen > 0:
            names = set(before) & (set(now) if self.facts.get("all_by_batch") else {"loss"})
            logs.update({name: (now[name] * count - before[name] * seen) / (count - seen) for name in names})
        return int(count - seen)


def facts_of(table: Generation, given: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """What the callbacks of a `fit` with these arguments are told."""
    leaf = next((leaf for leaf in pytree.tree_leaves(given.get("x")) if hasattr(leaf, "shape")), None)
    samples, held = None if leaf is None else len(leaf), given.get("validation_data")
    size = None if leaf is None else given.get("batch_size") or 32
    metrics = [*names, *(f"val_{name}" for name in names)] if held is not None else list(names)
    old = table.lists_weights
    params = {
        "do_validation": held is not None,
        "metrics": metrics,
        "nb_epoch" if old else "epochs": given.get("epochs"),
    }
    if samples is not None or old:
        params |= {"batch_size": size, "nb_sample" if old else "samples": samples}
    facts = {"params": params, "samples": samples, "batch_size": size, "held": None, "all_by_batch": old}
    if isinstance(held, (list, tuple)) and len(held) in (2, 3):
        x, y, *weights = (each if isinstance(each, list) else [each] for each in held)
        given_weights = bool(weights) and weights[0][0] is not None
        told = weights[0] if given_weights else [np.ones(len(each), "float32") for each in y if each is not None]
        facts["held"] = [*x, *y, *told]
    return facts


class ModelCheckpoint(callbacks.ModelCheckpoint):
    """Also takes the names of the time, and saves only every `period` epochs. Keras 1 names the first epoch 0."""

    _of_time = ""  # the generation
    _passed = 0  # epochs without a file
    _state = (*callbacks.ModelCheckpoint._state, "_passed")
    _endings: ClassVar = {True: "", False: ""}  # any name: the model makes a file of it

    def __init__(self, *args: Any, period: int = 1, **kwargs: Any):
        check_count(period, "period")
        super().__init__(*args, **kwargs)
        self.period = period

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._passed += 1
        if self._passed >= self.period:
            self._passed = 0
            super().on_epoch_end(epoch - (self._of_time == "keras1"), logs)


class _LogsRate(callbacks.Callback):
    """Logs the learning rate as `lr`."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_end(epoch, logs)
        if logs and "learning_rate" in logs:
            logs["lr"] = logs.pop("learning_rate")


class LearningRateScheduler(_LogsRate, callbacks.LearningRateScheduler):
    """In Keras 1 it logs nothing."""

    _of_time = ""  # the generation

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self._of_time != "keras1":
            super().on_epoch_end(epoch, logs)


class CSVLogger(callbacks.CSVLogger):
    """Has a column for each result of the first epoch, and no others."""

    def _columns(self, logs: Mapping[str, Any]) -> list[str]:
        return sorted(logs)


class ReduceLROnPlateau(_LogsRate, callbacks.ReduceLROnPlateau):
    """Also takes `min_delta` under the name of the time, `epsilon`; in Keras 1 one epoch more than `patience` must be
    worse the first time."""

    _of_time = ""  # the generation
    _cut = False

    def __init__(self, *args: Any, **kwargs: Any):
        if "epsilon" in kwargs:
            kwargs["min_delta"] = kwargs.pop("epsilon")
        super().__init__(*args, **kwargs)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        later = self._of_time == "keras1"
        self._cut = False
        self.patience += later
        try:
            super().on_epoch_end(epoch, logs)
        finally:
            self.patience -= later
        if later and self._cut:
            self.wait = 1  # the epoch in which it was cut counts already

    def _reduce(self, optimizer: Any, epoch: int) -> bool:
        reduced = super()._reduce(optimizer, epoch)
        self._cut = self._cut or reduced
        return reduced


class TensorBoard(callbacks.TensorBoard):
    """Says what of profiles, embeddings and gradients it leaves out."""

    def __init__(self, *args: Any, profile_batch: Any = 0, embeddings_freq: int = 0, embeddings_metadata: Any = None,
                 write_grads: bool = False, **kwargs: Any):  # fmt: skip
        if profile_batch or embeddings_freq or embeddings_metadata:
            warn("TensorBoard: profiles and embeddings are not written; torch.profiler does the former.")
        super().__init__(*args, **kwargs)
        if write_grads and self.histogram_freq:
            warn("TensorBoard: histograms of gradients are not written; those of weights are.")
