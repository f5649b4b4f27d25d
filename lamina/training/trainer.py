"""Trainer: `compile`, `fit`, `evaluate` and `predict` for any module with a loss and an optimizer."""

from __future__ import annotations

import functools
import inspect
import numbers
import operator
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ..callbacks import by_name, to_host
from ..core import config, serialize
from ..core.calling import Calling, takes_texts
from ..core.care import Changes
from ..core.children import metrics_of
from ..core.declare import owned, unknown_keyword
from ..core.devices import device_of
from ..core.errors import named
from ..core.remat import Moment
from ..core.scope import told
from ..core.stateless import StatelessScope, paired
from ..core.work import alone_in, modules_inside
from ..metrics import Metric
from .compiled import Compiled, names_in_order, results_of
from .data import (
    Feed,
    Source,
    as_batch,
    check_count,
    is_batch,
    make_source,
    may_hold_texts,
    split_end,
    tensors_of,
    unpack,
)
from .distributed import Ranks, Sending, ranks_of
from .graphs import Captured
from .loop import METHODS, Loop, check_frequency, flagged, results_together, to_numpy, without_gradients
from .memory import keep_buffers
from .replay import Replayed
from .step import OfModel, OwnStep, Passes, PredictStep, Step, TrainStep, trainable_weights

if TYPE_CHECKING:
    from .run import Run

_HOMES = ("keras.optimizers", "keras.losses", "keras.metrics")
_Module = nn.Module if TYPE_CHECKING else object  # what a Trainer is mixed with


def _of_compiled(name: str) -> Any:
    """A part of what `compile` said. Another one, set later, counts from the next `fit`, `evaluate` or batch on."""

    def put(model: Trainer, value: Any) -> None:
        setattr(model._compiled, name, value)

    return property(lambda model: getattr(model._compiled, name), put)


class Trainer(_Module):
    """Mixin for a `torch.nn.Module`: `class Net(Trainer, nn.Module)`.

    Of the module it uses `forward`, `parameters`, `train` and, where there are such things, `losses` (what a call adds
    to the loss), `weight_losses()` (that part of it which depends on weights alone), `trainable_weights`,
    `output_names` and `built` (False: a first call makes the weights). A mask that rides on an output weighs its loss.

    Overriding `train_step(data)`, `test_step(data)`, `predict_step(data)`, `compute_loss` or `compute_metrics` changes
    that part of training alone.
    """

    compiled = False
    loss: Any = None
    stop_training = stop_evaluating = stop_predicting = False
    history: Any = None
    train_function: Any = None
    test_function: Any = None
    predict_function: Any = None
    _compile_keeps = True  # what is left out when compiling again stays as it was
    _compiled: Any = functools.cached_property(lambda self: Compiled())
    _steps: Any = functools.cached_property(lambda self: {})  # those of Trainer's own, by phase
    _thread_choices: Any = functools.cached_property(lambda self: {})  # by phase, and when each was left
    _initial_epoch = 0
    _fitting: Run | None = None  # the `fit` that is going on
    _ranks: Ranks | None = None  # what trains it together with this process, as far as known since `compile`
    _metrics_inside: list[Metric] | None = None  # while they are known

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
        `torch.compile`; "auto" runs the training step as one CUDA graph on a GPU, and on a CPU replays a recording of
        short steps in which no code of users runs; False and `run_eagerly` always run eagerly. auto_scale_loss: scale
        the loss of a "mixed_float16" model. Compiled again without a loss, or without any metrics, a model keeps what
        it had.

        Raises ValueError, before any change, for unknown names.
        """
        if unknown:
            known = list(inspect.signature(Trainer.compile).parameters)[1:-1]
            raise TypeError(unknown_keyword("compile", next(iter(unknown)), known))
        before = self._compiled.arguments if self._compile_keeps else {}
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
        names = getattr(self, "output_names", None) if getattr(self, "built", True) else None
        policy = getattr(getattr(self, "dtype_policy", None), "name", "")
        scale_loss = auto_scale_loss and policy == "mixed_float16"
        ranks_of(self)  # they join
        outputs = None if self._overrides("compute_loss") else self._symbolic_outputs()  # it may judge others
        compiled = Compiled.of(arguments, outputs, names, scale_loss)
        with alone_in("compile", self):
            vars(self).update(compiled=True, loss=loss, stop_training=False, predict_function=None, _compiled=compiled)
            self._forget_steps()

    def _forget_steps(self) -> None:
        vars(self).update(train_function=None, test_function=None, _steps={})

    def _symbolic_outputs(self) -> Any:
        """The outputs of a model made of recorded calls; None for any other module."""
        return getattr(getattr(self, "_graph", None), "outputs", None)

    @property
    def optimizer(self) -> Any:
        """What updates the weights. Another one, set between or in epochs, counts from the next step on."""
        return self._compiled.optimizer

    @optimizer.setter
    def optimizer(self, value: Any) -> None:
        self._compiled.optimizer = value
        for step in (self.train_function, self._steps.get("train")):
            if step is not None:
                step.renew()

    run_eagerly = _of_compiled("run_eagerly")
    jit_compile = _of_compiled("jit_compile")
    steps_per_execution = _of_compiled("steps_per_execution")

    def get_compile_config(self) -> dict[str, Any]:
        """The arguments of `compile` as plain data; empty before it."""
        return self._compiled.config()

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compile with what `get_compile_config` returned. Warns and does nothing where a user overrides `compile`."""
        if not type(self).compile.__module__.startswith("lamina."):
            warnings.warn(
                f"{type(self).__name__} has a `compile` of its own: the model is loaded uncompiled. Override "
                "`get_compile_config` and `compile_from_config`, or call `compile` yourself.",
                stacklevel=2,
            )
            return
        given = {name: serialize.deserialize(value, homes=_HOMES) for name, value in config.items()}
        self.compile(**pytree.tree_map_only(str, lambda name: serialize.registered_object(name) or name, given))
        if getattr(self, "built", True):
            self._build_optimizer()

    # -- loss and metrics -------------------------------------------------------------------------------------------

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        """The total loss of a batch: the compiled loss and what layers and regularizers add. To be overridden.

        Raises ValueError where there is no loss at all.
        """
        return self._compiled.total_loss(y, y_pred, sample_weight, lambda: getattr(self, "losses", ()))

    def stateless_compute_loss(
        self,
        trainable_variables: Sequence[Tensor],
        non_trainable_variables: Sequence[Tensor],
        metrics_variables: Sequence[Tensor],
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> tuple[Tensor, tuple[Sequence[Tensor], list[Tensor], list[Tensor]]]:
        """`compute_loss` with other values of weights and of `metrics_variables`, and all of these after it."""
        model: Any = self
        non_trainable, metrics = model.non_trainable_variables, model.metrics_variables
        pairs = [
            *paired(self, "trainable_variables", model.trainable_weights, trainable_variables),
            *paired(self, "non_trainable_variables", non_trainable, non_trainable_variables),
            *paired(self, "metrics_variables", metrics, metrics_variables),
        ]
        with StatelessScope(pairs) as stateless:
            loss = self.compute_loss(x, y, y_pred, sample_weight, training)
        after, counted = ([*map(stateless.value_of, own)] for own in (non_trainable, metrics))
        return loss, (trainable_variables, after, counted)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Update the compiled metrics and return all results. To be overridden."""
        if self._compiled.metrics is not None:
            self._compiled.metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Any]:
        """The present values of all metrics by name, still on the device."""
        return results_of(self._counting_metrics)

    @property
    def metrics(self) -> list[Any]:
        """The mean loss, the compiled metrics (as one), the outputs' losses, then those of the model and its layers."""
        found = self._compiled.trackers() if self.compiled else []
        inside = self._find_metrics() if self._metrics_inside is None else self._metrics_inside
        taken = {id(metric) for metric in found}
        return [*found, *(metric for metric in inside if id(metric) not in taken)]

    _counting_metrics = property(operator.attrgetter("metrics"))  # of which an older generation shows some alone

    def _find_metrics(self, modules: Iterable[nn.Module] | None = None) -> list[Metric]:
        """The metrics that the model and its layers (the `modules`, where they are known) hold as attributes, alone or
        in lists or dictionaries."""
        found = _Found()
        for module in modules_inside(self).values() if modules is None else modules:
            if module is self or not isinstance(module, Trainer):
                found += metrics_of(module, _OWN)
        return found

    @property
    def metrics_names(self) -> list[str]:
        return [metric.name for metric in self.metrics]

    def reset_metrics(self) -> None:
        """Start all metrics afresh."""
        for metric in self._counting_metrics:
            metric.reset_state()

    # -- steps ------------------------------------------------------------------------------------------------------

    def train_step(self, data: Any) -> dict[str, Any]:
        """Train on `x`, `(x, y)` or `(x, y, sample_weight)` and return results by name. To be overridden."""
        x, y, sample_weight = unpack(data)
        if not getattr(self, "built", True):  # called by a step of the user's own
            self._make_weights(x)
            self._build_optimizer()
        logs = self._step("train")(x, y, sample_weight)
        return self.get_metrics_result() if logs is None else logs

    def test_step(self, data: Any) -> dict[str, Any]:
        """Measure one batch and return results by name. To be overridden."""
        with told(training=False):
            logs = self._step("test")(*unpack(data))
        return self.get_metrics_result() if logs is None else logs

    def predict_step(self, data: Any) -> Any:
        """The outputs for one batch. To be overridden."""
        with told(training=False):
            return self(unpack(data)[0])

    def _overrides(self, method: str) -> bool:
        return getattr(type(self), method) is not getattr(Trainer, method)

    def _step(self, phase: str) -> Any:
        """Trainer's own step for "train" or "test", with those parts that a user wrote."""
        if self._steps.get(phase) is None:
            takes_training = "training" in inspect.signature(self.compute_loss).parameters

            def own_loss(x, y, y_pred, sample_weight, training):
                more = {"training": training} if takes_training else {}
                return self.compute_loss(x, y, y_pred, sample_weight, **more)

            kind, training = (TrainStep, True) if phase == "train" else (Step, False)
            loss = own_loss if self._overrides("compute_loss") else None
            own_metrics = self.compute_metrics if self._overrides("compute_metrics") else None
            replays = training and loss is None and self.jit_compile == "auto"
            way = Replayed if replays else Passes
            if training and ranks_of(self) is not None and Sending.pays(trainable_weights(self)):
                way = Sending
            self._steps[phase] = kind(way(self, self._compiled, training, loss), self._compiled, own_metrics)
        return self._steps[phase]

    def make_train_function(self, force: bool = False) -> Any:
        """What `fit` calls with x, y and sample weights; returns logs, or None for "ask the metrics"."""
        if self.train_function is None or force:
            earlier, captured = self._steps.pop("train", None), self._steps.pop("captured", None)
            run: Any = OwnStep(self.train_step) if self._overrides("train_step") else self._step("train")
            if isinstance(run, TrainStep) and earlier is not None and not force:
                run.passes.go_on(earlier.passes)
            vars(self)["_ranks"] = ranks_of(self)
            run = self._captured(run)
            if isinstance(run, Captured) and isinstance(captured, Captured) and not force:
                run.go_on(captured)
            vars(self)["train_function"] = run
        return self.train_function

    def make_test_function(self, force: bool = False) -> Any:
        if self.test_function is None or force:
            self._steps.pop("test", None)
            vars(self)["_ranks"] = ranks_of(self)
            run: Any = OwnStep(self.test_step) if self._overrides("test_step") else self._step("test")
            vars(self)["test_function"] = self._captured(run)
        return self.test_function

    def _captured(self, run: Any) -> Any:
        """The step; on a GPU one that becomes a CUDA graph, where that may be."""
        graphs = self.jit_compile == "auto" and device_of(self).type == "cuda" and self._ranks is None
        return Captured(run) if graphs and isinstance(run, Step) and run.can_be_captured() else run

    def make_predict_function(self, force: bool = False) -> Any:
        if self.predict_function is None or force:
            own = self._overrides("predict_step")
            vars(self)["predict_function"] = OwnStep(self.predict_step) if own else PredictStep(self)
        return self.predict_function

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

        Raises ValueError, before any change, for arrays that do not fit, and a DataLoader or PyDataset to validate on
        (what else batches come from is found out when they are read), and RuntimeError where another thread trains or
        measures a model with the same layers.
        """
        self._require_compiled("fit")
        for name, value in (("epochs", epochs), ("initial_epoch", initial_epoch)):
            check_count(value, name, least=0)
        counts = {"steps_per_epoch": steps_per_epoch, "validation_steps": validation_steps}
        for name, value in (counts | {"validation_batch_size": validation_batch_size}).items():
            if value is not None:
                check_count(value, name)
        if not isinstance(validation_split, numbers.Real) or not 0 <= validation_split < 1:
            raise ValueError(f"`validation_split` must be a number from 0 to below 1; got {validation_split!r}.")
        check_frequency(validation_freq)
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = split_end(
                (x, y, sample_weight), float(validation_split), takes_texts(self)
            )
        how = {"batch_size": batch_size, "shuffle": shuffle, "class_weight": class_weight}
        feed, held = self._feed("x", (x, y, sample_weight), steps_per_epoch, **how), None
        if validation_data is not None:
            how = {"batch_size": batch_size if validation_batch_size is None else validation_batch_size}
            held = self._feed("validation_data", _parts(validation_data), validation_steps, **how)
        epochs = min(epochs, config.max_epochs() or epochs)
        with self._loop("train", feed, callbacks, verbose=verbose, epochs=epochs) as loop:
            loop.fit(initial_epoch, epochs, held, validation_freq)
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
        feed = self._feed("x", (x, y, sample_weight), steps, batch_size=batch_size)
        with self._loop("test", feed, callbacks, verbose=verbose, epochs=1) as loop:
            logs = loop.evaluate()
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
        if callbacks is None and steps is None and type(verbose) is int and verbose == 0 and is_batch(x, batch_size):
            with keep_buffers():
                return self.predict_on_batch(x)
        feed = self._shares(make_source(x, batch_size=batch_size, steps=steps, model=self), steps)
        with self._loop("predict", feed, callbacks, verbose=verbose, epochs=1) as loop:
            return loop.predict(whole=feed.steps is None)

    def _feed(self, name: str, data: tuple[Any, Any, Any], steps: int | None, **how: Any) -> Feed:
        """x, y and sample weights to learn from or to be measured on, which messages call by `name`."""
        source = make_source(*data, steps=steps, **how, model=self)
        if not any(map(self._overrides, ("train_step", "test_step", "compute_loss"))):
            self._compiled.check_targets(source, name, self._symbolic_outputs())
        return self._shares(source, steps)

    def _shares(self, source: Source, steps: int | None) -> Feed:
        """The batches of a source, or this process' share of each."""
        ranks = ranks_of(self)
        return Feed(source if ranks is None else ranks.shared(source), steps)

    def _at_work(self, method: str) -> AbstractContextManager[None]:
        """Inside, the model trains or is measured, and no other thread does so."""
        return alone_in(method, self)

    @contextmanager
    def _loop(self, phase: str, feed: Feed, callbacks: Any, **params: Any) -> Iterator[Loop]:
        """The loop over `feed`: the model is built, its step made; all is put back after it or an error."""
        with nullcontext() if phase == "predict" else self._at_work(METHODS[phase]):
            self._build_by_call(None if getattr(self, "built", True) else feed.peek()[0], phase)
            if getattr(self, "built", True) or not self._builds_itself(phase):
                self._build_optimizer()
            if phase == "train":  # what is trainable may have changed
                earlier = {"train": self._steps.get("train"), "captured": self.train_function}
                self._forget_steps()
                self._steps.update(earlier)
            elif phase == "test" and isinstance(self.test_function, Captured):  # weights may lie elsewhere
                vars(self)["test_function"] = None
            with Loop(self, phase, feed, callbacks, **params).open() as loop:
                yield loop

    def _build_by_call(self, x: Any, phase: str) -> None:
        """Make the weights. A step of the user's own does so itself, maybe with another part of the batch."""
        if not getattr(self, "built", True) and not self._builds_itself(phase):
            self._make_weights(x)
        self._compiled.name_outputs(self)

    def _builds_itself(self, phase: str) -> bool:
        return self._overrides(f"{phase}_step") and ranks_of(self) is None

    def _make_weights(self, x: Any) -> None:
        if getattr(type(self), "call", None) is not Calling.call:  # else its own train_step calls what is inside
            model: Any = self
            with flagged(self, training=False), torch.no_grad():
                model._make_weights_for(x)
                before = Moment(self)  # what this call counts and draws is no step
                self(x)
                before.come_back()

    def _build_optimizer(self) -> None:
        if self.optimizer is not None and not self.optimizer.built:
            weights = trainable_weights(self)
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
        with self._at_work("train_on_batch"):
            batch = self._one_batch("train", x, y, sample_weight, class_weight)
            made = self.train_function
            run = self.make_train_function()
            if self._ranks is not None and run is not made:
                self._ranks.begin(self)
            if self._steps.get("train") is not None:
                self._steps["train"].notice_trainable()
            return self._run_alone(run, batch, True, return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The loss and metrics of one batch."""
        self._require_compiled("test_on_batch")
        with self._at_work("test_on_batch"):
            batch = self._one_batch("test", x, y, sample_weight)
            with torch.no_grad():
                return self._run_alone(self.make_test_function(), batch, False, return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch as NumPy arrays."""
        x = tensors_of(x, "x", device_of(self), may_hold_texts(x, self))
        self._build_by_call(x, "predict")
        run = self.make_predict_function()
        with flagged(self, False, isinstance(run, OwnStep)) as modules, without_gradients(modules):
            outputs = run(x, None, None)
        given = {leaf.untyped_storage().data_ptr() for leaf in _leaves(x) if isinstance(leaf, Tensor)}

        def apart(leaf: Any) -> Any:  # what only passed through lies where the caller's data does
            found = to_numpy(leaf)
            through = isinstance(leaf, Tensor) and leaf.untyped_storage().data_ptr() in given
            return found.copy() if through and isinstance(found, np.ndarray) else found

        return apart(outputs) if type(outputs) is Tensor else pytree.tree_map(apart, outputs)

    def _one_batch(
        self, phase: str, x: Any, y: Any, sample_weight: Any, class_weight: Any = None
    ) -> tuple[Any, Any, Any]:
        batch = as_batch(x, y, sample_weight, class_weight, device_of(self), may_hold_texts(x, self))
        self._build_by_call(batch[0], phase)
        if getattr(self, "built", True) or not self._builds_itself(phase):
            self._build_optimizer()
        return batch

    def _run_alone(self, run: Callable, batch: tuple[Any, Any, Any], training: bool, return_dict: bool) -> Any:
        """The results of a step on one batch, as of an epoch of its own."""
        state, changes = vars(self), Changes.count
        run = run.step if isinstance(run, Captured) else run
        try:
            ranks = self._ranks
            part: Any = () if ranks is None else ranks.part(batch)
            with flagged(self, training, isinstance(run, OwnStep)) as modules:
                state["_metrics_inside"] = self._find_metrics(modules)
                self.reset_metrics()
                logs = run(*batch) if ranks is None else ranks.run(run, part, self)
            same = modules if Changes.count == changes else None  # the first batch may have made some
            state["_metrics_inside"] = self._find_metrics(same)
            if ranks is not None:
                logs = results_together(self, ranks, logs, part)
            results = to_host(self._arranged(self.get_metrics_result() if logs is None else logs))
            return results if return_dict else self._in_order(results)
        finally:
            state["_metrics_inside"] = None

    def _in_order(self, logs: dict[str, Any]) -> Any:
        """Values in the order of `metrics`, then the others by name; alone, a value stands for itself."""
        values = [logs[name] for name in self._names_in_order(logs)]
        return values[0] if len(values) == 1 else values

    def _names_in_order(self, logs: Mapping[str, Any]) -> list[str]:
        return names_in_order(self._counting_metrics, logs)

    _arranged = staticmethod(by_name)  # results as callbacks are told of them

    def _require_compiled(self, method: str) -> None:
        if not self.compiled:
            raise ValueError(f"{named(self)}: call `compile()` with a loss and an optimizer before `{method}()`.")


_OWN = {name for name in vars(Trainer) if not name.startswith("__")} | {"_parameters", "_buffers", "_modules"}


class _Found(OfModel, list):
    """Metrics that were found in a model."""


def _leaves(structure: Any) -> list[Any]:
    if type(structure) is list and all(type(each) is Tensor for each in structure):
        return structure
    return [structure] if type(structure) is Tensor else pytree.tree_leaves(structure)


def _parts(validation_data: Any) -> tuple[Any, Any, Any]:
    """x, y and sample_weight of `validation_data`. Raises ValueError where a tuple has more or less parts."""
    parts = validation_data if isinstance(validation_data, (list, tuple)) else (validation_data,)
    if isinstance(validation_data, (list, tuple)) and not 2 <= len(parts) <= 3:
        raise ValueError(
            f"`validation_data` must be (x, y), (x, y, sample_weight) or a dataset; got {len(parts)} parts."
        )
    return unpack(tuple(parts))
