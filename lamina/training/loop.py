"""The loop: epochs over batches, validation, callbacks, and the predictions of all batches."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ..callbacks import CallbackList, Logs, to_host
from ..core import placing
from ..core.children import Children
from ..core.errors import warn
from ..core.layer import Layer
from ..core.remat import Moment
from ..core.work import aside, keeps_states, modules_inside, put_flag, training_flags
from .data import Feed, check_count
from .distributed import Ranks, ranks_of, spoken
from .memory import keep_buffers
from .step import OwnStep, trainable_weights
from .threads import Threads

if TYPE_CHECKING:
    from .run import Run


class Loop:
    """One `fit`, `evaluate` or `predict` (the `phase`: "train", "test", "predict") of a Trainer over its data."""

    _epoch = -1
    _part: Any = None

    def __init__(self, model: Any, phase: str, feed: Feed, callbacks: Any, **params: Any):
        self._model, self._phase, self._feed = model, phase, feed
        self._run: Callable[[Any, Any, Any], Any] = getattr(model, f"make_{phase}_function")()
        self._ranks = ranks_of(model)
        if not isinstance(callbacks, CallbackList):
            params["steps"] = feed.num_batches
            make = getattr(model, "_callback_list", CallbackList)  # a model may tell them more
            callbacks = make(callbacks, phase == "train", params["verbose"] != 0, model=model, **params)
        self._called = callbacks
        self._threads = Threads(model)
        self._fitting: Run | None = None

    @contextmanager
    def open(self) -> Iterator[Loop]:
        """Inside, the model trains or not, and nothing of that is left afterwards."""
        vars(self._model)[_STOPS[self._phase]] = False
        try:
            flags = flagged(self._model, self._phase == "train", isinstance(self._run, OwnStep))
            with keep_buffers(), flags, self._threads, spoken():
                if self._ranks is not None and self._phase != "train":
                    self._ranks.level(self._model)
                yield self
                if self._ranks is not None and self._phase == "train":
                    self._ranks.wait()  # for files that the first one writes
        except Exception as error:
            if self._ranks is None or (explained := self._ranks.explained(error)) is error:
                raise
            raise explained from error
        finally:
            vars(self._model).pop("_fitting", None)
            self._called.close()

    def fit(self, begin: int, end: int, held: Feed | None, validation_freq: int | Sequence[int]) -> None:
        """Train for the epochs from `begin` to before `end`; measure on the data that is held back when it is due."""
        from .run import Run  # with all that files of weights take

        model, called = self._model, self._called
        logs: dict[str, Any] = {}
        run = self._fitting = vars(model)["_fitting"] = Run(
            model, self._feed, called.callbacks, self._apart, self._ranks
        )
        ranks = self._ranks
        if held is not None and ranks is None:
            self._try(held)
        called.on_train_begin()
        if ranks is not None:
            ranks.begin(model)
        begin, vars(model)["_initial_epoch"] = model._initial_epoch or begin, 0
        run.go_on(inside=False)
        for epoch in range(begin, end):
            if epoch > begin:
                called.tell_steps(self._feed.num_batches)
            called.on_epoch_begin(epoch)
            self._epoch = epoch
            behind = run.go_on(inside=True)
            if not behind:
                model.reset_metrics()
            results = self._measured(self._feed, self._run, "train", behind)
            if results is None:
                self._ran_dry(first=epoch == begin)
                break
            logs = to_host(results)
            if held is not None and _is_due(epoch, validation_freq):
                held.restart()  # with fewer `validation_steps` than batches: the same ones every time
                measured = {f"val_{name}": value for name, value in self.evaluate(held).items()}
                logs = dict(model._arranged(logs | measured))
            with run.known_to_all():
                called.on_epoch_end(epoch, dict(logs))  # what callbacks add is theirs
            if model.stop_training if ranks is None else ranks.any(model.stop_training):
                break
        if end and hasattr(model.optimizer, "finalize_variable_values"):
            model.optimizer.finalize_variable_values(trainable_weights(model))
        called.on_train_end(logs)

    def _try(self, held: Feed) -> None:
        """Raises ValueError where data to validate on cannot be measured: found before the first epoch, not after it.
        Tried are arrays of other sizes than those to train on, and streams of which a batch can be read apart. The
        model and the data are as they were."""
        from .run import unchanged

        own, other, model = self._feed.source.sizes, held.source.sizes, self._model
        if (own is not None and own == other) or not getattr(model, "built", True):
            return
        run = model.make_test_function()
        own_step = isinstance(run, OwnStep)  # which may do more than measure
        read = held.peek if other is not None else None if own_step else held.source.beside()
        if read is None:
            return
        before = Moment(model)
        try:
            with unchanged(model, held.source.data):
                batch = read()
                if batch is not None:
                    with flagged(model, False, own_step), torch.no_grad():
                        run(*batch)
        except ValueError as error:
            raise ValueError(f"validation_data: {error}") from error
        finally:
            before.come_back()
            model.reset_metrics()

    def evaluate(self, feed: Feed | None = None) -> dict[str, Any]:
        """Loss and metrics on the loop's own data, or on others held back from them."""
        model, called, feed = self._model, self._called, feed or self._feed
        vars(model)["stop_evaluating"] = False
        run = model.make_test_function()
        with flagged(model, False, isinstance(run, OwnStep)), torch.no_grad():
            called.on_test_begin()
            model.reset_metrics()
            results = self._measured(feed, run, "test")
            if results is None:
                again = "" if feed.source.restarts else " It cannot start again: pass something that can."
                raise ValueError(f"The {feed.source.kind} gave no batch to evaluate on.{again}")
            logs = to_host(results)
            called.on_test_end(dict(logs))
        return logs

    def predict(self, whole: bool) -> Any:
        """The outputs of all batches as arrays; `whole`: there are as many samples as the source has."""
        ranks = self._ranks
        collected = Predictions(self._feed.source.num_samples if whole and ranks is None else None)
        self._called.on_predict_begin()
        with without_gradients(modules_inside(self._model).values()):
            for outputs in self._steps(self._feed, self._run, "predict"):
                collected.add(outputs)
        arrays = collected.arrays()
        if ranks is not None:
            arrays = ranks.gathered(arrays, self._parts)
        self._called.on_predict_end()
        return arrays

    def _measured(self, feed: Feed, run: Callable, phase: str, behind: int = 0) -> dict[str, Any] | None:
        """The results of one epoch or evaluation, still on the device; None where there was no batch. So many batches
        of it may be `behind`."""
        model, state, logs = self._model, vars(self._model), None if behind else _NO_BATCH
        try:
            for found in self._steps(feed, run, phase, behind):
                logs = found
                if state.get("_metrics_inside") is None:  # the first batch may have made some
                    state["_metrics_inside"] = model._find_metrics()
            if self._ranks is not None and logs is not _NO_BATCH:
                if phase == "train":
                    self._ranks.level(model)
                return results_together(model, self._ranks, logs, self._part)
        finally:
            state["_metrics_inside"] = None
        if logs is _NO_BATCH:
            return None
        final = model.get_metrics_result()
        return model._arranged(final if logs is None or set(logs) == set(final) else logs)

    def _steps(self, feed: Feed, run: Callable, phase: str, behind: int = 0) -> Iterator[Any]:
        """What `run` gives for each batch, with the callbacks before and after it, until one of them says stop."""
        called, state, stop = self._called, vars(self._model), _STOPS[phase]
        begin, end = called.batch_hooks(phase, "begin"), called.batch_hooks(phase, "end")
        hooked = begin or end
        bar, validates = called.progress, phase != self._phase
        at_once = 1 if phase == "predict" else self._model.steps_per_execution
        steps = feed.num_batches if phase == "predict" else None
        run = self._threads.paced(run, phase, steps, None if bar is None or validates else bar.say)
        index = ended = behind - 1
        found = None
        ranks, self._parts = self._ranks, []
        for index, batch in enumerate(feed.epoch(), behind):
            if begin and index % at_once == 0:
                _call(begin, index, {})
            found = run(*batch) if ranks is None else self._together(run, batch, phase, index)
            yield found
            if end and (index + 1) % at_once == 0:
                ended = index
                self._end(end, index, self._told(phase, found))
            if bar is not None and validates:
                bar.after_validation(index, feed.num_batches)
            elif bar is not None:
                bar.after_batch(index, functools.partial(self._shown, phase, found))
            if state.get(stop) if ranks is None or not hooked else ranks.any(state.get(stop)):
                break
        if end and ended < index:
            self._end(end, index, self._told(phase, found))

    def _end(self, hooks: list[Callable[..., None]], index: int, logs: Mapping[str, Any]) -> None:
        with nullcontext() if self._fitting is None else self._fitting.known_to_all():
            _call(hooks, index, logs)

    def _apart(self, batch: Any) -> Any:
        """A step that nobody is told of."""
        return self._run(*batch) if self._ranks is None else self._ranks.run(self._run, batch, self._model)

    def _together(self, run: Callable, part: Any, phase: str, index: int) -> Any:
        """`run` for this process' share of a batch."""
        ranks: Any = self._ranks
        ranks.doing, self._part = (METHODS[phase], self._epoch, index), part
        found = ranks.run(run, part, self._model)
        if phase == "predict":
            self._parts.append((part.rows, part.whole))
            found = found if part.rows else pytree.tree_map(lambda leaf: leaf[:0], found)
        return found

    def _told(self, phase: str, found: Any) -> Mapping[str, Any]:
        """What callbacks are told of a batch."""
        if phase == "predict":
            return {"outputs": found}
        if self._ranks is not None:
            return results_together(self._model, self._ranks, found, self._part)
        return Logs(self._shown(phase, found))

    def _shown(self, phase: str, found: Any) -> Mapping[str, Any]:
        """What the bar shows after a batch."""
        if phase == "predict":
            return {}
        return self._model._arranged(self._model.get_metrics_result() if found is None else found)

    def _ran_dry(self, first: bool) -> None:
        kind = self._feed.source.kind
        if first:
            raise ValueError(f"The {kind} gave no batch to train on.")
        warn(
            f"The {kind} ran out of data and cannot start again: training ends. Set `steps_per_epoch`, or "
            "pass an iterable that starts again."
        )


_STOPS = {"train": "stop_training", "test": "stop_evaluating", "predict": "stop_predicting"}
METHODS = {"train": "fit", "test": "evaluate", "predict": "predict"}
_NO_BATCH: Any = object()


def results_together(model: Any, ranks: Ranks, logs: Any, part: Any) -> dict[str, Any]:
    """The results that several processes have counted up to a batch, of which this one had a `part`. logs: what a step
    of the user's own told of it; numbers in them that no metric holds become means over the processes."""
    with ranks.totals(model._counting_metrics):
        final = to_host(model._arranged(model.get_metrics_result()))
    if logs is None or set(logs) == set(final):
        return final
    told = to_host(model._arranged(logs))
    numbers = {name: value for name, value in told.items() if isinstance(value, float) and name not in final}
    means = ranks.weighed([*numbers.values()], part)
    return {name: final.get(name, value) for name, value in told.items()} | dict(zip(numbers, means, strict=True))


def _call(hooks: list[Callable[..., None]], index: int, logs: Mapping[str, Any]) -> None:
    with aside():
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


def flagged(module: nn.Module, training: bool, own_step: bool = False) -> AbstractContextManager[Collection[nn.Module]]:
    """Inside, the module and those in it, which this gives, train or not; afterwards they are as before. In a step of
    the user's own, layers that train unless a call says otherwise go on so, as in Keras."""
    return training_flags(module, module, training, functools.partial(_train, module, own_step and not training))


def _train(module: nn.Module, own_step: bool, training: bool) -> None:
    """torch's `train`; a `train` that users wrote in a layer or model is theirs."""
    if not isinstance(module, (Layer, Children)):
        module.train(training)
        return
    if not (own_step and getattr(module, "_untold", None) is True):
        put_flag(module, training)
    for child in module.children():
        _train(child, own_step, training)


tapes = False  # whether calls may ask for gradients by themselves


def without_gradients(modules: Iterable[nn.Module]) -> Any:
    """Inference mode; without its speed where one of the modules keeps state that training goes on with, or where
    weights are shared out, which processes put together in memory that training goes on with, or calls may ask for
    gradients by themselves."""
    recorded = placing.used or tapes or any(map(keeps_states, modules))
    return torch.no_grad() if recorded else torch.inference_mode()


# Predictions ----------------------------------------------------------------------------------------------------------

_JOINED = 1 << 26  # bytes of outputs up to which they are joined


class Predictions:
    """The outputs of all batches. Where their number is known, large ones are written into arrays of the final size at
    once; others are joined at the end, which takes less time but for a while twice the memory. Outputs on a GPU wait
    there until there are so many bytes: to fetch each batch would be to wait for it."""

    def __init__(self, samples: int | None):
        self._samples, self._row = samples, 0
        self._whole: list[Tensor] | None = None
        self._pieces: list[list[np.ndarray]] = []
        self._waiting: list[list[Tensor]] = []
        self._bytes = 0  # of those that wait
        self._spec: Any = None

    def add(self, outputs: Any) -> None:
        leaves = [outputs] if isinstance(outputs, Tensor) else pytree.tree_leaves(outputs)
        if self._spec is None:
            self._spec = pytree.tree_structure(outputs)
            self._pieces = [[] for _ in leaves]
            most = self._samples if all(isinstance(leaf, Tensor) for leaf in leaves) else None  # else they are texts
            if most is not None and all(leaf.ndim and leaf.shape[0] <= most for leaf in leaves):
                size = sum(leaf.nbytes * most // max(len(leaf), 1) for leaf in leaves)
                if size > _JOINED:
                    self._whole = [torch.empty((most, *leaf.shape[1:]), dtype=_kept(leaf)) for leaf in leaves]
        if all(isinstance(leaf, Tensor) and leaf.is_cuda and leaf.ndim for leaf in leaves):
            self._waiting.append(leaves)
            self._bytes += sum(leaf.nbytes for leaf in leaves)
            if self._bytes > _JOINED:
                self._fetch()
        else:
            self._fetch()
            self._put(leaves)

    def _fetch(self) -> None:
        """Put what waits, batches of one shape as one."""
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        for _, same in itertools.groupby(waiting, lambda leaves: [leaf.shape[1:] for leaf in leaves]):
            self._put([torch.cat(each) for each in zip(*same, strict=True)])

    def _put(self, leaves: list[Any]) -> None:
        if self._whole is not None:
            end = self._row + leaves[0].shape[:1].numel()
            places = [whole[self._row : end] for whole in self._whole]
            if [place.shape for place in places] == [leaf.shape for leaf in leaves]:
                for place, leaf in zip(places, leaves, strict=True):
                    place.copy_(leaf)
                self._row = end
                return
            for pieces, whole in zip(self._pieces, self._whole, strict=True):  # sizes vary after all
                pieces.append(whole[: self._row].numpy())
            self._whole = None
        for pieces, leaf in zip(self._pieces, leaves, strict=True):
            pieces.append(to_numpy(leaf))

    def arrays(self) -> Any:
        if self._spec is None:
            raise ValueError("There was no batch to predict on.")
        self._fetch()
        if self._whole is not None:
            found = [whole[: self._row].numpy() for whole in self._whole]
        else:
            found = [np.concatenate(pieces) for pieces in self._pieces]
        return pytree.tree_unflatten(found, self._spec)


def to_numpy(value: Any) -> Any:
    """A tensor as an array, in the type that NumPy has for it."""
    if not isinstance(value, Tensor):
        return value
    return value.detach().to("cpu", torch.float32 if value.dtype is torch.bfloat16 else value.dtype).numpy()


def _kept(tensor: Tensor) -> torch.dtype:
    return torch.float32 if tensor.dtype is torch.bfloat16 else tensor.dtype
