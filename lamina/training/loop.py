"""The loop: epochs over batches, validation, callbacks, and the predictions of all batches."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ..core.children import Children
from ..core.errors import warn
from ..core.layer import Layer
from ..core.work import keeps_states, modules_inside, put_flag, training_flags
from .callbacks import CallbackList, Logs, to_host
from .data import Feed, check_count
from .memory import keep_buffers
from .step import trainable_weights
from .threads import Threads


class Loop:
    """One `fit`, `evaluate` or `predict` (the `phase`: "train", "test", "predict") of a Trainer over its data."""

    def __init__(self, model: Any, phase: str, feed: Feed, callbacks: Any, **params: Any):
        self._model, self._phase, self._feed = model, phase, feed
        self._run: Callable[[Any, Any, Any], Any] = getattr(model, f"make_{phase}_function")()
        if not isinstance(callbacks, CallbackList):
            params["steps"] = feed.num_batches
            make = getattr(model, "_callback_list", CallbackList)  # a model may tell them more
            callbacks = make(callbacks, phase == "train", params["verbose"] != 0, model=model, **params)
        self._called = callbacks
        self._threads = Threads(model)

    @contextmanager
    def open(self) -> Iterator[Loop]:
        """Inside, the model trains or not, and nothing of that is left afterwards."""
        vars(self._model)[_STOPS[self._phase]] = False
        try:
            with keep_buffers(), flagged(self._model, training=self._phase == "train"), self._threads:
                yield self
        finally:
            self._called.close()

    def fit(self, begin: int, end: int, held: Feed | None, validation_freq: int | Sequence[int]) -> None:
        """Train for the epochs from `begin` to before `end`; measure on the data that is held back when it is due."""
        model, called = self._model, self._called
        logs: dict[str, Any] = {}
        called.on_train_begin()
        begin, vars(model)["_initial_epoch"] = model._initial_epoch or begin, 0
        for epoch in range(begin, end):
            called.on_epoch_begin(epoch)
            model.reset_metrics()
            results = self._measured(self._feed, self._run, "train")
            if results is None:
                self._ran_dry(first=epoch == begin)
                break
            logs = to_host(results)
            if held is not None and _is_due(epoch, validation_freq):
                held.restart()  # with fewer `validation_steps` than batches: the same ones every time
                logs |= {f"val_{name}": value for name, value in self.evaluate(held).items()}
            called.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
        if end and hasattr(model.optimizer, "finalize_variable_values"):
            model.optimizer.finalize_variable_values(trainable_weights(model))
        called.on_train_end(logs)

    def evaluate(self, feed: Feed | None = None) -> dict[str, Any]:
        """Loss and metrics on the loop's own data, or on others held back from them."""
        model, called, feed = self._model, self._called, feed or self._feed
        vars(model)["stop_evaluating"] = False
        with flagged(model, training=False), torch.no_grad():
            called.on_test_begin()
            model.reset_metrics()
            results = self._measured(feed, model.make_test_function(), "test")
            if results is None:
                again = "" if feed.source.restarts else " It cannot start again: pass something that can."
                raise ValueError(f"The {feed.source.kind} gave no batch to evaluate on.{again}")
            logs = to_host(results)
            called.on_test_end(logs)
        return logs

    def predict(self, whole: bool) -> Predictions:
        """The outputs of all batches; `whole`: there are as many samples as the source has."""
        collected = Predictions(self._feed.source.num_samples if whole else None)
        self._called.on_predict_begin()
        with without_gradients(modules_inside(self._model).values()):
            for outputs in self._steps(self._feed, self._run, "predict"):
                collected.add(outputs)
        self._called.on_predict_end()
        return collected

    def _measured(self, feed: Feed, run: Callable, phase: str) -> dict[str, Any] | None:
        """The results of one epoch or evaluation, still on the device; None where there was no batch."""
        model, state, logs = self._model, vars(self._model), _NO_BATCH
        try:
            for found in self._steps(feed, run, phase):
                logs = found
                if state.get("_metrics_inside") is None:  # the first batch may have made some
                    state["_metrics_inside"] = model._find_metrics()
        finally:
            state["_metrics_inside"] = None
        if logs is _NO_BATCH:
            return None
        final = model.get_metrics_result()
        return final if logs is None or set(logs) == set(final) else logs

    def _steps(self, feed: Feed, run: Callable, phase: str) -> Iterator[Any]:
        """What `run` gives for each batch, with the callbacks before and after it, until one of them says stop."""
        called, state, stop = self._called, vars(self._model), _STOPS[phase]
        begin, end = called.batch_hooks(phase, "begin"), called.batch_hooks(phase, "end")
        bar, aside = called.progress, phase != self._phase
        at_once = 1 if phase == "predict" else self._model.steps_per_execution
        steps = feed.num_batches if phase == "predict" else None
        run = self._threads.paced(run, phase, steps, None if bar is None or aside else bar.say)
        index = ended = -1
        found = None
        for index, batch in enumerate(feed.epoch()):
            if begin and index % at_once == 0:
                _call(begin, index, {})
            found = run(*batch)
            yield found
            if end and (index + 1) % at_once == 0:
                ended = index
                _call(end, index, self._told(phase, found))
            if bar is not None and aside:
                bar.after_validation(index, feed.num_batches)
            elif bar is not None:
                bar.after_batch(index, functools.partial(self._shown, phase, found))
            if state.get(stop):
                break
        if end and ended < index:
            _call(end, index, self._told(phase, found))

    def _told(self, phase: str, found: Any) -> Mapping[str, Any]:
        """What callbacks are told of a batch."""
        return {"outputs": found} if phase == "predict" else Logs(self._shown(phase, found))

    def _shown(self, phase: str, found: Any) -> Mapping[str, Any]:
        """What the bar shows after a batch."""
        if phase == "predict":
            return {}
        return self._model.get_metrics_result() if found is None else found

    def _ran_dry(self, first: bool) -> None:
        kind = self._feed.source.kind
        if first:
            raise ValueError(f"The {kind} gave no batch to train on.")
        warn(
            f"The {kind} ran out of data and cannot start again: training ends. Set `steps_per_epoch`, or "
            "pass an iterable that starts again."
        )


_STOPS = {"train": "stop_training", "test": "stop_evaluating", "predict": "stop_predicting"}
_NO_BATCH: Any = object()


def _call(hooks: list[Callable[..., None]], index: int, logs: Mapping[str, Any]) -> None:
    for hook in hooks:
        hook(index, logs)


def check_frequency(frequency: Any) -> None:
    """Raises ValueError for a `validation_freq` that is neither a number nor several epochs."""
    if isinstance(frequency, (int, np.integer)):
        check_count(frequency, "validation_freq")
    elif not isinstance(frequency, (list, tuple, set, range)):
        raise ValueError(f"`validation_freq` must be a number or a list of epochs; got {frequency!r}.")


def _is_due(epoch: int, frequency: Any) -> bool:
    """Whether to validate after this epoch: every `frequency` epochs, or in those listed, counted from 1."""
    return epoch + 1 in frequency if hasattr(frequency, "__contains__") else (epoch + 1) % frequency == 0


def flagged(module: nn.Module, training: bool) -> AbstractContextManager[Collection[nn.Module]]:
    """Inside, the module and those in it, which this gives, train or not; afterwards they are as before."""
    return training_flags(module, module, training, functools.partial(_train, module))


def _train(module: nn.Module, training: bool) -> None:
    """torch's `train`; a `train` that users wrote in a layer or model is theirs."""
    if not isinstance(module, (Layer, Children)):
        module.train(training)
        return
    put_flag(module, training)
    for child in module.children():
        _train(child, training)


def without_gradients(modules: Iterable[nn.Module]) -> Any:
    """Inference mode; without its speed where one of the modules keeps state that training goes on with."""
    return torch.no_grad() if any(map(keeps_states, modules)) else torch.inference_mode()


# Predictions ----------------------------------------------------------------------------------------------------------

_JOINED = 1 << 26  # bytes of outputs up to which they are joined


class Predictions:
    """The outputs of all batches. Where their number is known, large ones, and those of a GPU, are written into arrays
    of the final size at once; others are joined at the end, which takes less time but for a while twice the memory."""

    def __init__(self, samples: int | None):
        self._samples, self._row = samples, 0
        self._whole: list[Tensor] | None = None
        self._pieces: list[list[np.ndarray]] = []
        self._spec: Any = None

    def add(self, outputs: Any) -> None:
        leaves = [outputs] if isinstance(outputs, Tensor) else pytree.tree_leaves(outputs)
        if self._spec is None:
            self._spec = pytree.tree_structure(outputs)
            self._pieces = [[] for _ in leaves]
            most = self._samples if all(isinstance(leaf, Tensor) for leaf in leaves) else None  # else they are texts
            if most is not None and all(leaf.ndim and leaf.shape[0] <= most for leaf in leaves):
                size = sum(leaf.nbytes * most // max(len(leaf), 1) for leaf in leaves)
                if size > _JOINED or not all(leaf.is_cpu for leaf in leaves):
                    self._whole = [torch.empty((most, *leaf.shape[1:]), dtype=_kept(leaf)) for leaf in leaves]
        if self._whole is not None:
            end = self._row + leaves[0].shape[:1].numel()
            places = [whole[self._row : end] for whole in self._whole]
            if [place.shape for place in places] == [leaf.shape for leaf in leaves]:
                for place, leaf in zip(places, leaves, strict=True):
                    place.copy_(leaf, non_blocking=True)
                self._row = end
                return
            for pieces, whole in zip(self._pieces, self._whole, strict=True):  # sizes vary after all
                pieces.append(whole[: self._row].numpy())
            self._whole = None
        for pieces, leaf in zip(self._pieces, leaves, strict=True):
            pieces.append(leaf.detach().to("cpu", _kept(leaf)).numpy() if isinstance(leaf, Tensor) else leaf)

    def arrays(self) -> Any:
        if self._spec is None:
            raise ValueError("There was no batch to predict on.")
        if self._whole is not None:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            found = [whole[: self._row].numpy() for whole in self._whole]
        else:
            found = [np.concatenate(pieces) for pieces in self._pieces]
        return pytree.tree_unflatten(found, self._spec)


def _kept(tensor: Tensor) -> torch.dtype:
    return torch.float32 if tensor.dtype is torch.bfloat16 else tensor.dtype
