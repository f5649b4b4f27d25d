"""Trainer: `compile`, `fit`, `evaluate` and `predict` for any module with a loss and an optimizer."""

from __future__ import annotations

import inspect
import numbers
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from .. import metrics as metrics_module
from .. import optimizers as optimizers_module
from ..core import serialize
from ..core.calling import Calling
from ..core.care import Changes
from ..core.declare import owned, unknown_keyword
from ..core.errors import named
from ..core.work import alone_in, keeps_states, training_flags
from .callbacks import CallbackList, Logs, to_host
from .data import (
    Feed,
    Source,
    check_count,
    check_lengths,
    class_weights,
    make_source,
    per_output,
    split_end,
    tensors_of,
    unpack,
)
from .distributed import warn_of_copies
from .memory import keep_buffers
from .objective import CompiledLoss, CompiledMetrics, check_outputs
from .step import Captured, OwnStep, Step, TrainStep, logger, trainable_weights

_HOMES = ("keras.optimizers", "keras.losses", "keras.metrics")


class Trainer:
    """Mixin for a `torch.nn.Module`: `class Net(Trainer, nn.Module)`.

    Of the module it uses `forward`, `parameters`, `train` and, where there are such things, `losses` (what a call adds
    to the loss), `weight_losses()` (that part of it which depends on weights alone), `trainable_weights`,
    `output_names` and `built` (False: a first call makes the weights). A mask that rides on an output weighs its loss.

    Overriding `train_step(data)`, `test_step(data)`, `predict_step(data)`, `compute_loss` or `compute_metrics` changes
    that part of training alone.
    """

    compiled = False
    loss: Any = None
    run_eagerly = False
    jit_compile: bool | str = "auto"
    steps_per_execution = 1
    stop_training = stop_evaluating = stop_predicting = False
    history: Any = None
    train_function: Any = None
    test_function: Any = None
    predict_function: Any = None
    _compile_keeps = True  # what is left out when compiling again stays as it was
    _optimizer: Any = None
    _compiled_loss: CompiledLoss | None = None
    _compiled_metrics: CompiledMetrics | None = None
    _loss_tracker: Any = None
    _compile_arguments: dict[str, Any] | None = None
    _train_step: Any = None
    _test_step: Any = None
    _initial_epoch = 0

    # -- compile ----------------------------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
        **unknown: Any,
    ) -> None:
        """Say how to train: names, objects or functions; for several outputs lists, or dictionaries by output name.

        steps_per_execution: batches between two calls of batch callbacks. jit_compile: True compiles the model by
        `torch.compile`; "auto" runs the training step as one CUDA graph on a GPU and eagerly elsewhere; False and
        `run_eagerly` always run eagerly. auto_scale_loss: scale the loss of a "mixed_float16" model. Compiled again
        without a loss, or without any metrics, a model keeps what it had.

        Raises ValueError, before any change, for unknown names.
        """
        if unknown:
            known = list(inspect.signature(Trainer.compile).parameters)[1:-1]
            raise TypeError(unknown_keyword("compile", next(iter(unknown)), known))
        before = (self._compile_arguments or {}) if self._compile_keeps else {}
        if loss is None:
            loss, loss_weights = before.get("loss"), before.get("loss_weights", loss_weights)
        if metrics is None and weighted_metrics is None:
            metrics, weighted_metrics = before.get("metrics"), before.get("weighted_metrics")
        loss, loss_weights, metrics, weighted_metrics = map(owned, (loss, loss_weights, metrics, weighted_metrics))
        arguments = {
            "optimizer": optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
        }
        check_count(steps_per_execution, "steps_per_execution")
        names = getattr(self, "output_names", None) if getattr(self, "built", True) else None
        for what in ("loss", "loss_weights", "metrics", "weighted_metrics"):
            check_outputs(arguments[what], self._symbolic_outputs(), names, what)
        made = arguments["optimizer"] = optimizers_module.get(optimizer)
        policy = getattr(getattr(self, "dtype_policy", None), "name", "")
        if auto_scale_loss and policy == "mixed_float16" and isinstance(made, optimizers_module.Optimizer):
            if not isinstance(made, optimizers_module.LossScaleOptimizer):
                made = optimizers_module.LossScaleOptimizer(made, name="loss_scale_optimizer")
        compiled_loss = None if loss is None else CompiledLoss(loss, loss_weights, names)
        compiled_metrics = None
        if metrics is not None or weighted_metrics is not None:
            compiled_metrics = CompiledMetrics(metrics, weighted_metrics, names)
        with alone_in("compile", self):
            vars(self).update(
                compiled=True,
                _optimizer=made,
                loss=loss,
                run_eagerly=run_eagerly,
                jit_compile=False if run_eagerly else jit_compile,
                steps_per_execution=int(steps_per_execution),
                stop_training=False,
                train_function=None,
                test_function=None,
                predict_function=None,
                _compiled_loss=compiled_loss,
                _compiled_metrics=compiled_metrics,
                _loss_tracker=metrics_module.Mean(name="loss"),
                _compile_arguments=arguments,
                _train_step=None,
                _test_step=None,
            )

    def _symbolic_outputs(self) -> Any:
        """The outputs of a model made of recorded calls; None for any other module."""
        return getattr(getattr(self, "_graph", None), "outputs", None)

    @property
    def optimizer(self) -> Any:
        """What updates the weights. Another one, set between or in epochs, counts from the next step on."""
        return self._optimizer

    @optimizer.setter
    def optimizer(self, value: Any) -> None:
        vars(self)["_optimizer"] = value
        Changes.note(self)
        if isinstance(self.train_function, Captured):
            self.train_function.stop()

    def get_compile_config(self) -> dict[str, Any]:
        """The arguments of `compile` as plain data; empty before it."""
        if self._compile_arguments is None:
            return {}
        return {name: serialize.serialize(value) for name, value in self._compile_arguments.items()}

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compile with what `get_compile_config` returned. Warns and does nothing where a user overrides `compile`."""
        if not type(self).compile.__module__.startswith("lamina."):
            warnings.warn(
                f"{type(self).__name__} has a `compile` of its own: the model is loaded uncompiled. Override "
                "`get_compile_config` and `compile_from_config`, or call `compile` yourself.",
                stacklevel=2,
            )
            return
        self.compile(**{name: serialize.deserialize(value, homes=_HOMES) for name, value in config.items()})
        if self.optimizer is not None and getattr(self, "built", True):
            self.optimizer.build(trainable_weights(self))  # type: ignore[arg-type]

    # -- loss and metrics -------------------------------------------------------------------------------------------

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        """The total loss of a batch: the compiled loss and what layers and regularizers add. To be overridden.

        Raises ValueError where there is no loss at all.
        """
        return self._total_loss(y, y_pred, sample_weight, lambda: getattr(self, "losses", ()))

    def _total_loss(
        self, y: Any, y_pred: Any, sample_weight: Any, penalties: Callable | None, scores: Sequence[Any] = ()
    ) -> Tensor:
        compiled = self._compiled_loss
        total = None if compiled is None else compiled(y, y_pred, sample_weight, scores)
        if penalties is not None:
            for penalty in penalties():
                penalty = penalty.sum() if penalty.ndim else penalty
                total = penalty if total is None else total + penalty
        if total is None:
            raise ValueError(
                f"{named(self)} has no loss: give one to `compile`, or add one in a layer with `add_loss`."
            )
        return total

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Update the compiled metrics and return all results. To be overridden."""
        if self._compiled_metrics is not None:
            self._compiled_metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Any]:
        """The present values of all metrics by name, still on the device."""
        results: dict[str, Any] = {}
        for metric in self.metrics:
            value = metric.result()
            results |= value if isinstance(value, Mapping) else {metric.name: value}
        return results

    @property
    def metrics(self) -> list[Any]:
        """The mean loss, the compiled metrics (as one), the outputs' losses, then those of the model and its layers."""
        found = []
        if self.compiled:
            found = [self._loss_tracker]
            found += [] if self._compiled_metrics is None else [self._compiled_metrics]
            found += [] if self._compiled_loss is None else self._compiled_loss.metrics
        taken = {id(metric) for metric in found}
        for module in self.modules():  # type: ignore[attr-defined]
            if module is not self and isinstance(module, Trainer):
                continue
            for name, value in vars(module).items():
                if isinstance(value, _HOLDERS) and name not in _OWN and name not in _OF_MODULES:
                    found += [one for one in _metrics_in(value) if id(one) not in taken]
        return found

    @property
    def metrics_names(self) -> list[str]:
        return [metric.name for metric in self.metrics]

    def reset_metrics(self) -> None:
        """Start all metrics afresh."""
        for metric in self.metrics:
            metric.reset_state()

    # -- steps ------------------------------------------------------------------------------------------------------

    def train_step(self, data: Any) -> dict[str, Any]:
        """Train on `x`, `(x, y)` or `(x, y, sample_weight)` and return results by name. To be overridden."""
        step = self._train_step
        if step is None:
            step = vars(self)["_train_step"] = self._make_step(TrainStep)
        logs = step(*unpack(data))
        return self.get_metrics_result() if logs is None else logs

    def test_step(self, data: Any) -> dict[str, Any]:
        """Measure one batch and return results by name. To be overridden."""
        step = self._test_step
        if step is None:
            step = vars(self)["_test_step"] = self._make_step(Step)
        logs = step(*unpack(data))
        return self.get_metrics_result() if logs is None else logs

    def predict_step(self, data: Any) -> Any:
        """The outputs for one batch. To be overridden."""
        return self(unpack(data)[0])  # type: ignore[operator]

    def _overrides(self, method: str) -> bool:
        return getattr(type(self), method) is not getattr(Trainer, method)

    def _make_step(self, kind: type[Step]) -> Step:
        takes_training = "training" in inspect.signature(self.compute_loss).parameters

        def own_loss(x, y, y_pred, sample_weight, training):
            more = {"training": training} if takes_training else {}
            return self.compute_loss(x, y, y_pred, sample_weight, **more)

        return kind(
            self,
            own_loss if self._overrides("compute_loss") else None,
            self.compute_metrics if self._overrides("compute_metrics") else None,
        )

    def make_train_function(self, force: bool = False) -> Any:
        """What `fit` calls with x, y and sample weights; returns logs, or None for "ask the metrics"."""
        if self.train_function is None or force:
            warn_of_copies(self)  # type: ignore[arg-type]
            if self._overrides("train_step"):
                run: Any = OwnStep(self.train_step)
            else:
                run = self._make_step(TrainStep)
                vars(self)["_train_step"] = run
                if self.jit_compile == "auto" and self._device().type == "cuda" and self._can_capture():
                    run = Captured(run)
            vars(self)["train_function"] = run
        return self.train_function

    def make_test_function(self, force: bool = False) -> Any:
        if self.test_function is None or force:
            if self._overrides("test_step"):
                run: Any = OwnStep(self.test_step)
            else:
                run = self._make_step(Step)
                vars(self)["_test_step"] = run
            vars(self)["test_function"] = run
        return self.test_function

    def make_predict_function(self, force: bool = False) -> Any:
        if self.predict_function is None or force:
            vars(self)["predict_function"] = OwnStep(self.predict_step)
        return self.predict_function

    def _can_capture(self) -> bool:
        optimizer = self.optimizer
        if self._overrides("compute_loss") or self._overrides("compute_metrics"):
            return False
        try:
            optimizer.build(trainable_weights(self))  # type: ignore[arg-type]
            optimizer.capturable = True
        except ValueError as error:
            logger.warning("The training step runs eagerly: %s", error)
            return False
        return True

    def _device(self) -> torch.device:
        weight = next(self.parameters(), None)  # type: ignore[attr-defined]
        return torch.get_default_device() if weight is None else weight.device

    # -- fit, evaluate, predict -------------------------------------------------------------------------------------

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
    ) -> Any:
        """Train for some epochs and return the History.

        x: arrays (NumPy, torch, pandas; lists or dictionaries for several inputs) with y and sample_weight alike, or a
        DataLoader, PyDataset, generator or iterable of batches (x, y[, sample_weight]). validation_split: the last part
        of the arrays is kept for validation. shuffle: True, False or "batch" (within each batch).

        Meanwhile other threads may predict, or call the model with `training=False`; a call that leaves `training` out
        goes by the flags of the layers, which are in training then.

        Raises ValueError, before any change, for data that does not fit, and RuntimeError where another thread trains
        or measures a model with the same layers.
        """
        self._require_compiled("fit")
        check_count(epochs, "epochs", least=0)
        for name, value in (("steps_per_epoch", steps_per_epoch), ("validation_steps", validation_steps)):
            if value is not None:
                check_count(value, name)
        if not isinstance(validation_split, numbers.Real) or not 0 <= validation_split < 1:
            raise ValueError(f"`validation_split` must be a number from 0 to below 1; got {validation_split!r}.")
        check_count(initial_epoch, "initial_epoch", least=0)
        if isinstance(validation_freq, (int, np.integer)):
            check_count(validation_freq, "validation_freq")
        elif not isinstance(validation_freq, (list, tuple, set, range)):
            raise ValueError(f"`validation_freq` must be a number or a list of epochs; got {validation_freq!r}.")
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = split_end((x, y, sample_weight), float(validation_split))
        feed = self._feed(x, y, sample_weight, batch_size, steps_per_epoch, shuffle, class_weight)
        self._require_targets(feed.source, "x")
        held = None
        if validation_data is not None:
            parts = validation_data if isinstance(validation_data, (list, tuple)) else (validation_data,)
            if isinstance(validation_data, (list, tuple)) and not 2 <= len(parts) <= 3:
                raise ValueError(
                    f"`validation_data` must be (x, y), (x, y, sample_weight) or a dataset; got {len(parts)} parts."
                )
            held = self._feed(*unpack(tuple(parts)), validation_batch_size or batch_size, validation_steps)
            self._require_targets(held.source, "validation_data")
        with self._session("train", feed, callbacks, verbose, epochs, history=True) as (run, called):
            logs: dict[str, Any] = {}
            called.on_train_begin()
            begin, vars(self)["_initial_epoch"] = self._initial_epoch or initial_epoch, 0
            for epoch in range(begin, epochs):
                called.on_epoch_begin(epoch)
                self.reset_metrics()
                results = self._pass_over(feed, run, called, "train")
                if results is None:
                    self._ran_dry(feed, epoch == begin)
                    break
                logs = to_host(results)
                if held is not None and _is_due(epoch, validation_freq):
                    held.restart()  # with fewer `validation_steps` than batches: the same ones every time
                    found = self._evaluate(held, called)
                    logs |= {f"val_{name}": value for name, value in found.items()}
                called.on_epoch_end(epoch, logs)
                if self.stop_training:
                    break
            if epochs and hasattr(self.optimizer, "finalize_variable_values"):
                self.optimizer.finalize_variable_values(trainable_weights(self))  # type: ignore[arg-type]
            called.on_train_end(logs)
        return self.history

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The loss and metrics on data: a list in the order of `metrics`, a single number alone, or a dictionary."""
        if kwargs:
            known = [name for name in inspect.signature(self.evaluate).parameters if name != "kwargs"]
            raise ValueError(unknown_keyword("evaluate", next(iter(kwargs)), known))
        self._require_compiled("evaluate")
        feed = self._feed(x, y, sample_weight, batch_size, steps)
        self._require_targets(feed.source, "x")
        with self._session("test", feed, callbacks, verbose) as (_, called):
            logs = self._evaluate(feed, called)
        return logs if return_dict else self._in_order(logs)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The outputs for all samples as NumPy arrays, in the structure of the model's outputs."""
        feed = self._feed(x, None, None, batch_size, steps)
        with self._session("predict", feed, callbacks, verbose) as (run, called):
            called.on_predict_begin()
            collected = _Collected(feed.source.num_samples if steps is None else None)
            begin, end = called.batch_hooks("predict", "begin"), called.batch_hooks("predict", "end")
            bar = called.progress
            with self._no_grad():
                for index, batch in enumerate(feed.epoch()):
                    for hook in begin:
                        hook(index, {})
                    outputs = run(*batch)
                    collected.add(outputs)
                    for hook in end:
                        hook(index, {"outputs": outputs})
                    if bar is not None:
                        bar.after_batch(index, dict)
                    if self.stop_predicting:
                        break
            called.on_predict_end()
        return collected.arrays()

    def _evaluate(self, feed: Feed, called: CallbackList) -> dict[str, Any]:
        vars(self)["stop_evaluating"] = False
        with _mode(self, training=False), torch.no_grad():  # type: ignore[arg-type]
            called.on_test_begin()
            self.reset_metrics()
            results = self._pass_over(feed, self.make_test_function(), called, "test")
            if results is None:
                again = "" if feed.source.restarts else " It cannot start again: pass something that can."
                raise ValueError(f"The {feed.source.kind} gave no batch to evaluate on.{again}")
            logs = to_host(results)
            called.on_test_end(logs)
        return logs

    def _pass_over(self, feed: Feed, run: Callable, called: CallbackList, phase: str) -> Any:
        """One epoch or evaluation; returns its results, still on the device, or None where there was no batch."""
        begin, end = called.batch_hooks(phase, "begin"), called.batch_hooks(phase, "end")
        bar = called.progress if phase == "train" or not called.in_fit else None
        stop = "stop_training" if phase == "train" else "stop_evaluating"
        state, at_once, results = vars(self), self.steps_per_execution, self.get_metrics_result
        logs, index, ended = None, -1, -1
        for index, batch in enumerate(feed.epoch()):
            if begin and index % at_once == 0:
                for hook in begin:
                    hook(index, {})
            logs = run(*batch)
            if end and (index + 1) % at_once == 0:
                ended = index
                shown = Logs(results() if logs is None else logs)
                for hook in end:
                    hook(index, shown)
            if bar is not None:
                bar.after_batch(index, results if logs is None else (lambda logs=logs: logs))
            if state.get(stop):
                break
        if end and ended < index:
            for hook in end:
                hook(index, Logs(results() if logs is None else logs))
        if index < 0:
            return None
        final = results()
        return final if logs is None or set(logs) == set(final) else logs

    @contextmanager
    def _session(
        self, phase: str, feed: Feed, callbacks: Any, verbose: int | str, epochs: int = 1, history: bool = False
    ) -> Iterator[tuple[Callable, CallbackList]]:
        """What is there while fit, evaluate or predict runs, and is put back after it or an error."""
        method = {"train": "fit", "test": "evaluate", "predict": "predict"}[phase]
        with nullcontext() if phase == "predict" else alone_in(method, self):
            self._build_on(feed)
            self._build_optimizer()
            if phase == "train":  # what is trainable may have changed
                vars(self).update(train_function=None, test_function=None, _train_step=None, _test_step=None)
            run = getattr(self, f"make_{phase}_function")()
            called = callbacks
            if not isinstance(callbacks, CallbackList):
                params = {"verbose": verbose, "epochs": epochs, "steps": feed.num_batches}
                called = CallbackList(callbacks, history, verbose != 0, model=self, **params)
            stop = {"train": "stop_training", "test": "stop_evaluating", "predict": "stop_predicting"}[phase]
            vars(self)[stop] = False
            called.in_fit = phase == "train"
            try:
                with keep_buffers(), _mode(self, training=phase == "train"):  # type: ignore[arg-type]
                    yield run, called
            finally:
                called.in_fit = False
                called.close()

    def _no_grad(self) -> Any:
        """Inference mode; without its speed where layers keep state that training goes on with."""
        stateful = any(map(keeps_states, self.modules()))  # type: ignore[attr-defined]
        return torch.no_grad() if stateful else torch.inference_mode()

    def _feed(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        batch_size: int | None = None,
        steps: int | None = None,
        shuffle: bool | str = False,
        class_weight: Mapping[int, float] | None = None,
    ) -> Feed:
        source = make_source(
            x,
            y,
            sample_weight,
            batch_size=batch_size,
            steps=steps,
            shuffle=shuffle,
            class_weight=class_weight,
            device=self._device(),
        )
        return Feed(source, steps)

    def _build_on(self, feed: Feed) -> None:
        """Make the weights of a model that has none yet by a call on the first batch."""
        self._build_by_call(None if getattr(self, "built", True) else feed.peek()[0])

    def _build_by_call(self, x: Any) -> None:
        has_call = getattr(type(self), "call", None) is not Calling.call  # else its own train_step calls what is inside
        if has_call and not getattr(self, "built", True):
            with _mode(self, training=False), torch.no_grad():  # type: ignore[arg-type]
                self(x)  # type: ignore[operator]
        names = getattr(self, "output_names", None)
        for compiled in (self._compiled_loss, self._compiled_metrics):
            if compiled is not None and not compiled.built and compiled.output_names is None:
                compiled.output_names = names

    def _build_optimizer(self) -> None:
        if self.optimizer is not None and not self.optimizer.built:
            weights = trainable_weights(self)  # type: ignore[arg-type]
            if weights:
                self.optimizer.build(weights)

    # -- single batches ---------------------------------------------------------------------------------------------

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Train on one batch; returns its loss and metrics as `evaluate` does."""
        self._require_compiled("train_on_batch")
        with alone_in("train_on_batch", self):
            batch = self._one_batch(x, y, sample_weight, class_weight)
            run = self.make_train_function()
            if self._train_step is not None:
                self._train_step.notice_trainable()
                run = self._train_step if isinstance(run, Captured) else run
            self.reset_metrics()
            with _mode(self, training=True):  # type: ignore[arg-type]
                return self._results(run(*batch), return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The loss and metrics of one batch."""
        self._require_compiled("test_on_batch")
        with alone_in("test_on_batch", self):
            batch = self._one_batch(x, y, sample_weight)
            run = self.make_test_function()
            self.reset_metrics()
            with _mode(self, training=False), torch.no_grad():  # type: ignore[arg-type]
                return self._results(run(*batch), return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch as NumPy arrays."""
        x = tensors_of(x, "x", self._device())
        self._build_by_call(x)
        with _mode(self, training=False), self._no_grad():  # type: ignore[arg-type]
            outputs = self.make_predict_function()(x, None, None)
        given = {leaf.untyped_storage().data_ptr() for leaf in pytree.tree_leaves(x) if isinstance(leaf, Tensor)}

        def apart(leaf: Any) -> Any:  # what only passed through lies where the caller's data does
            found = _to_numpy(leaf)
            through = isinstance(leaf, Tensor) and leaf.untyped_storage().data_ptr() in given
            return found.copy() if through and isinstance(found, np.ndarray) else found

        return pytree.tree_map(apart, outputs)

    def _one_batch(self, x: Any, y: Any, sample_weight: Any, class_weight: Any = None) -> tuple[Any, Any, Any]:
        device = self._device()
        x, y, sample_weight = (
            tensors_of(part, name, device) for part, name in ((x, "x"), (y, "y"), (sample_weight, "sample_weight"))
        )
        if class_weight is not None:
            if sample_weight is not None:
                raise ValueError("Give `class_weight` or `sample_weight`, not both.")
            sample_weight = class_weights(y, class_weight)
        check_lengths(x, y, sample_weight)
        sample_weight = per_output(sample_weight, y)
        self._build_by_call(x)
        self._build_optimizer()
        return x, y, sample_weight

    def _results(self, logs: Any, return_dict: bool) -> Any:
        results = to_host(self.get_metrics_result() if logs is None else logs)
        return results if return_dict else self._in_order(results)

    def _in_order(self, logs: dict[str, Any]) -> Any:
        """Values in the order of `metrics`, then the others by name; alone, a value stands for itself."""
        values = [logs[name] for name in self._names_in_order(logs)]
        return values[0] if len(values) == 1 else values

    def _names_in_order(self, logs: Mapping[str, Any]) -> list[str]:
        names = []
        for metric in self.metrics:
            names += [one.name for one in metric.metrics] if isinstance(metric, CompiledMetrics) else [metric.name]
        names = [*dict.fromkeys(name for name in names if name in logs)]
        return [*names, *sorted(set(logs) - set(names))]

    # -- checks -----------------------------------------------------------------------------------------------------

    def _require_compiled(self, method: str) -> None:
        if not self.compiled:
            raise ValueError(f"{named(self)}: call `compile()` with a loss and an optimizer before `{method}()`.")

    def _require_targets(self, source: Source, name: str) -> None:
        own = self._overrides("train_step") or self._overrides("test_step") or self._overrides("compute_loss")
        if own or self._compiled_loss is None:
            return
        if source.lacks_targets:
            raise ValueError(f"{name} comes without `y`, but the compiled loss compares the outputs with targets.")
        if source.targets is not None:
            self._compiled_loss.check_labels(source.targets, self._symbolic_outputs())
            if self._compiled_metrics is not None:
                self._compiled_metrics.check_targets(source.targets, self._symbolic_outputs())

    def _ran_dry(self, feed: Feed, first: bool) -> None:
        if first:
            raise ValueError(f"The {feed.source.kind} gave no batch to train on.")
        warnings.warn(
            f"The {feed.source.kind} ran out of data and cannot start again: training ends. Set `steps_per_epoch`, or "
            "pass an iterable that starts again.",
            stacklevel=3,
        )


_OWN = {name for name in vars(Trainer) if not name.startswith("__")}
_OF_MODULES = {"_parameters", "_buffers", "_modules"}
_HOLDERS = (metrics_module.Metric, list, tuple, dict)


def _metrics_in(value: Any) -> list[Any]:
    """The metrics that one of `_HOLDERS` is or has."""
    if isinstance(value, metrics_module.Metric):
        return [value]
    if isinstance(value, (list, tuple)):
        return [item for item in value if isinstance(item, metrics_module.Metric)]
    return [item for item in value.values() if isinstance(item, metrics_module.Metric)]


def _is_due(epoch: int, frequency: Any) -> bool:
    return epoch + 1 in frequency if hasattr(frequency, "__contains__") else (epoch + 1) % frequency == 0


def _mode(module: nn.Module, training: bool) -> AbstractContextManager[None]:
    """Inside, the module trains or not; afterwards it is as before."""
    return training_flags(module, module, training, module.train)


def _to_numpy(tensor: Any) -> Any:
    if not isinstance(tensor, Tensor):
        return tensor
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).numpy()


_JOINED = 1 << 26  # bytes of outputs up to which they are joined


class _Collected:
    """The outputs of all batches. Where their number is known, large ones, and those of a GPU, are written into arrays
    of the final size at once; others are joined at the end, which takes less time but for a while twice the memory."""

    def __init__(self, samples: int | None):
        self._samples, self._row = samples, 0
        self._whole: list[Tensor] | None = None
        self._pieces: list[list[Tensor]] = []
        self._spec: Any = None

    def add(self, outputs: Any) -> None:
        leaves = [outputs] if isinstance(outputs, Tensor) else pytree.tree_leaves(outputs)
        if self._spec is None:
            self._spec = pytree.tree_structure(outputs)
            self._pieces = [[] for _ in leaves]
            if self._samples is not None and all(leaf.ndim and leaf.shape[0] <= self._samples for leaf in leaves):
                size = sum(leaf.nbytes * self._samples // max(len(leaf), 1) for leaf in leaves)
                if size > _JOINED or not all(leaf.is_cpu for leaf in leaves):
                    self._whole = [torch.empty((self._samples, *leaf.shape[1:]), dtype=_kept(leaf)) for leaf in leaves]
        if self._whole is not None:
            end = self._row + leaves[0].shape[:1].numel()
            places = [whole[self._row : end] for whole in self._whole]
            if [place.shape for place in places] == [leaf.shape for leaf in leaves]:
                for place, leaf in zip(places, leaves, strict=True):
                    place.copy_(leaf, non_blocking=True)
                self._row = end
                return
            for pieces, whole in zip(self._pieces, self._whole, strict=True):  # sizes vary after all
                pieces.append(whole[: self._row])
            self._whole = None
        for pieces, leaf in zip(self._pieces, leaves, strict=True):
            pieces.append(leaf.detach().to("cpu", _kept(leaf)))

    def arrays(self) -> Any:
        if self._spec is None:
            raise ValueError("There was no batch to predict on.")
        if self._whole is not None:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            found = [whole[: self._row].numpy() for whole in self._whole]
        else:
            found = [np.concatenate([piece.numpy() for piece in pieces]) for pieces in self._pieces]
        return pytree.tree_unflatten(found, self._spec)


def _kept(tensor: Tensor) -> torch.dtype:
    return torch.float32 if tensor.dtype is torch.bfloat16 else tensor.dtype
