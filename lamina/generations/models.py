"""Models in the words of older generations."""

from __future__ import annotations

import functools
import inspect
import itertools
import json
import math
import operator
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from .. import files
from ..callbacks import by_name
from ..core import masking, serialize
from ..core.children import Children, leaves, may_count
from ..core.errors import named, warn
from ..core.graph import Graph
from ..core.layer import InputSpec, Layer
from ..core.scope import put
from ..core.symbolic import SymbolicTensor, any_symbolic, shapes_of
from ..core.weight import all_or_none, assign_all
from ..layers.old import MergeByMode
from ..metrics import Metric
from ..models import Model, Sequential, clone_model, from_config
from ..models.functional import Functional, GraphModel
from ..models.graph_config import CONSTANT, graph_config, graph_from_config
from ..models.sequential import called_in_turn
from ..optimizers import LossScaleOptimizer, Optimizer
from ..training.data import Arrays, Feed, PyDataset, split_end, unpack
from ..training.objective import CompiledMetrics
from ..training.step import OwnStep
from ..training.trainer import _OWN, Trainer
from ..translation.words import method_arguments, signature_of
from ..utils import get_source_inputs
from . import callbacks, held_data, loss_names, shim, stored_functions, updates
from .activations import in_graph
from .additions import Adds, AddsBeside
from .bases import config_in_file
from .dialect import CountsOthers, Dialect
from .functions import TFOpLambda
from .habits import Call, Told, when_ready
from .named_nodes import config_of_graph, graph_class
from .rules import WeightsAsArrays
from .tensors import uses_learning_phase
from .weighting import (
    OF_GENERATIONS,
    CountsItself,
    LossOfScores,
    MetricsOfScores,
    check_modes,
    modes_of,
    names_to_come,
    spread,
    weigh,
    weigh_both,
)


def find(dialect: Dialect, name: str) -> Any:
    """A model class of a generation, or what reads one's config; None for anything else."""
    if name == "Sequential":
        kind = _StackOfTensorFlow if dialect.table.shares_modern else _Sequential
        return _class(dialect, name, kind, dialect.find("models", "Model"), Sequential)
    if name == "Model":
        return _class(dialect, name, _AnyModel, Model)
    if name == "Functional":
        told = name if dialect.table.shares_modern else "Model"  # what configs and paths of weights call it
        cls = _class(dialect, told, _Functional, Functional, dialect.find("models", "Model"))
        cls.__qualname__ = name  # where pickle finds it
        return cls
    if name == "Graph" and dialect.table.name == "keras1":
        return graph_class(dialect)
    if name == "clone_model" and dialect.table.name == "keras2":
        return functools.partial(_clone_model, dialect)
    if name == "save_model" and dialect.table.shares_modern:
        return _save_model
    if name in ("model_from_config", "model_from_json", "model_from_yaml"):
        return _reading(dialect, getattr(from_config, name))
    return None


def _save_model(model: Any, filepath: Any, overwrite: bool = True, **options: Any) -> None:
    """As `model.save`, into a file or a folder."""
    model.save(filepath, overwrite, **options)


def _clone_model(dialect: Dialect, model: Model, input_tensors: object = None) -> Model:
    """A model of the same layers with weights of their own, on inputs that may be tensors of values."""
    holds = dialect.find("layers", "Input")
    inputs = pytree.tree_map(lambda one: holds(tensor=one) if isinstance(one, Tensor) else one, input_tensors)
    return clone_model(model, inputs)


def _reading(dialect: Dialect, read: Any) -> Any:
    """What reads a model's description, this generation's where it does not tell whose it is."""

    @functools.wraps(read)
    def load(described: Any, custom_objects: Any = None, backend: str | None = None) -> Any:
        if dialect.table.name == "keras1" and (config := config_of_graph(described)):
            return dialect.find("models", "Graph").from_config(config, custom_objects)
        return read(described, custom_objects, backend, otherwise=dialect.table.name)

    return load


def _class(dialect: Dialect, name: str, *bases: type) -> type:
    module, table = dialect.module("models"), dialect.table
    modern = next(base for base in bases if base in (Functional, Sequential, Model))
    members: dict[str, Any] = {"__module__": module, "_home": module, "_dialect": dialect}
    members |= {} if modern is Sequential else {"_instances_of": modern}
    members |= {} if table.shares_modern else {"_takes_integers": False}  # placeholders were of floats
    for told, arguments in table.methods.items() if Functional not in bases else ():  # it has those of Model
        method = told.removeprefix("Sequential.")
        if (told != method) is (Sequential in bases):
            members[method] = _spoken(getattr(_ModelWords, method), arguments)
    return CountsOthers(name, bases, members)


def _spoken(method: Any, arguments: str) -> Any:
    """A method with the signature that its generation gave it."""

    @functools.wraps(method)
    def spoken(self: Any, *args: Any, **kwargs: Any) -> Any:
        return method(self, *args, **kwargs)

    vars(spoken)["__signature__"] = signature_of(f"self, {arguments}")
    return spoken


def _by_steps(given: dict[str, Any], data: str, samples: str, steps: str = "steps") -> dict[str, Any]:
    """Keras 1 counted samples of a generator: as many batches, by the size of the first one."""
    count = given.pop(samples, None)
    if count is None or not isinstance(given.get(data), Iterator):
        return given
    first = next(given[data], None)
    if first is None:  # that there is nothing is said by whoever reads it
        return given
    size = len(pytree.tree_leaves(first)[0])
    return {**given, data: itertools.chain([first], given[data]), steps: -(-count // size)}


def _held_back(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `fit` with what `validation_split` holds back as validation data."""
    if not given.get("validation_split") or given.get("validation_data") is not None:
        return given
    data = tuple(given.get(name) for name in ("x", "y", "sample_weight"))
    kept, held = split_end(data, float(given["validation_split"]))
    named = zip(("x", "y", "sample_weight"), kept, strict=True)
    return {**given, **dict(named), "validation_data": held, "validation_split": 0.0}


class _Compiled:
    """What was trainable at `compile`: layers frozen or thawed since then count from the next `compile` on."""

    def __init__(self, model: Any):
        training = set(_training(model))
        self._flags = [(layer, layer.trainable) for layer in model._flat_layers()]
        self._frozen = [layer for layer, flag in self._flags if flag and layer not in training]
        self._told = False
        self._statistics: Any = None  # by layers, once they are collected

    def collect(self, model: Any) -> None:
        """With the first step: which moving statistics steps keep up. In Keras 2 these are of layers of the model that
        are trainable by now, whatever was at `compile`; in models among them, that were so when these were called."""
        if self._statistics is None:
            trains, self._statistics = dict(self._flags) | dict.fromkeys(self._frozen, False), {}
            for child in model.layers:
                called = getattr(child, "_moved_in_calls", None)
                for layer in child._flat_layers():
                    if getattr(layer, "batch_statistics", None) == "frozen":
                        moves = layer.trainable if called is None else layer in called
                        moves = model.trainable and child.trainable and moves
                        if moves is not trains.get(layer, moves):
                            self._statistics[layer] = "regardless" if moves else "training"

    def changed(self) -> list[tuple[Any, bool]]:
        """Layers whose `trainable` was set since, and what it was."""
        return [(layer, flag) for layer, flag in self._flags if layer.trainable is not flag]

    @contextmanager
    def holds(self) -> Iterator[None]:
        """Inside, layers are trainable as they were then."""
        held = dict(self._flags) | dict.fromkeys(self._frozen, False)
        changed = [(layer, flag) for layer, flag in held.items() if layer.trainable is not flag]
        for layer, flag in changed:
            layer._set_own_trainable(flag)
        before = {layer: layer.batch_statistics for layer in self._statistics or ()}
        for layer in before:
            vars(layer)["batch_statistics"] = self._statistics[layer]
        try:
            yield
        finally:
            for layer, how in before.items():
                vars(layer)["batch_statistics"] = how
            for layer, flag in changed:
                layer._set_own_trainable(not flag)

    def tell(self, model: Any, again: bool = False) -> None:
        """Warn where `trainable` was set since: once in training, `again` whenever asked."""
        changed = [] if self._told and not again else self.changed()
        if changed:
            self._told = not again
            names = ", ".join(layer.name for layer, _ in changed[:3])
            warn(
                f"{named(model)}: Discrepancy between trainable weights and collected trainable weights: `trainable` "
                f"of {names}{', ...' if len(changed) > 3 else ''} was set after `compile`, and training goes by what "
                "it was then, as the two halves of a GAN need it. For the change to count here, compile this model "
                "again."
            )


def _training(module: nn.Module) -> Iterator[nn.Module]:
    """What is inside and trains: nothing of models that are frozen."""
    if not isinstance(module, _ModelWords) or module.trainable:
        yield module
        for child in module.children():
            yield from _training(child)


def _moving(model: Any) -> Iterator[Any]:
    """The layers inside that are not frozen, nor in a model that is."""
    for layer in model.layers:
        if layer.trainable:
            yield from _moving(layer) if isinstance(layer, _ModelWords) else layer._flat_layers()


_Model: Any = object  # the modern class, which comes behind in the classes made
_STEPS = ("steps", "steps_per_epoch", "validation_steps")
_ENDINGS = (".h5", ".hdf5", ".keras", ".safetensors", ".weights.json")


def _told(options: dict[str, Any]) -> dict[str, Any]:
    """What says something: the name says the format, and how TensorFlow writes is its own matter."""
    return {key: value for key, value in options.items() if key not in ("options", "save_format") and value is not None}


class _Beside(WeightsAsArrays):
    """Variables among the layers of a subclassed model: of a list, or of a module that is no layer."""

    def __init__(self, weights: list[Any]):
        self.weights = weights


def _parts_in(holder: nn.Module) -> Iterator[Any]:
    """What the attributes of a subclassed model hold, in the order in which they were set."""
    for part in holder._modules.values():
        if isinstance(part, Layer):
            yield part
        elif isinstance(part, Children):
            yield from _parts_in(part)
            yield _Beside([*part._parameters.values()])
        elif part is not None:
            yield _Beside([*getattr(part, "variables", (*part.parameters(), *part.buffers()))])


_FUNCTIONS = ("make_train_function", "make_test_function", "make_predict_function")


def _over_iterators(make: Callable) -> Callable:
    """A user's own `make_..._function`, which makes a function of an iterator over batches."""

    @functools.wraps(make)
    def made(self: Any, *args: Any, **kwargs: Any) -> Any:
        with put(self, _by_iterator=True):
            function = make(self, *args, **kwargs)
        return function if isinstance(function, OwnStep) else OwnStep(lambda data: function(iter([data])))

    return made


def _of_iterators(name: str) -> Callable:
    """The method of today; asked by a user's own, what takes an iterator."""

    def make(self: Any, *args: Any, **kwargs: Any) -> Any:
        if name == _FUNCTIONS[0] and (args or kwargs):  # by force
            self._take_optimizer()
        run = getattr(super(_ModelWords, self), name)(*args, **kwargs)
        if not self._by_iterator or inspect.isfunction(run):  # which the user's own put there
            return run if name == _FUNCTIONS[2] else self._with_updates(run)

        def results(iterator: Iterator[Any]) -> Any:
            logs = run(*unpack(next(iterator)))
            return self.get_metrics_result() if logs is None else logs

        return results

    return make


class _ModelWords(Adds):
    """The methods of models in the words of a generation."""

    _by_iterator, _traces_in_build = False, True
    make_train_function, make_test_function, make_predict_function = map(_of_iterators, _FUNCTIONS)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in _FUNCTIONS:
            own = vars(cls).get(name)
            if own and not own.__module__.startswith("lamina."):
                setattr(cls, name, _over_iterators(own))

    _dialect: Dialect
    _compile_keeps = _counts_optimizer = _compiled_by_file = dynamic = False
    _compiled_trainable: _Compiled | None = None

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        """In Keras 1 and 2 the layers inside keep their own, but none of them trains in a model that is frozen."""
        if self._dialect.table.shares_modern:
            vars(Layer)["trainable"].__set__(self, value)
        else:
            self._set_own_trainable(bool(value))

    def _node_at(self, index: int, what: str) -> Any:
        """In Keras 1 and 2 the first is the model's own, from its inputs to its outputs."""
        if isinstance(self, GraphModel) and self.built and not self._dialect.table.shares_modern:
            nodes = [SimpleNamespace(input=self.input, outputs=self.output), *self._nodes]
            if -len(nodes) <= index < len(nodes):
                return nodes[index]
        return super()._node_at(index, what)

    def _trained(self) -> set[int]:
        """The ids of the weights outside of models that are frozen."""
        return {id(weight) for module in _training(self) for weight in module.parameters(recurse=False)}

    @property
    def trainable_weights(self) -> list[Any]:
        trained = self._trained()
        found = [weight for weight in super().trainable_weights if id(weight) in trained]
        return Told(self._own_last(found), self._train)

    @trainable_weights.setter
    def trainable_weights(self, weights: Iterable[Tensor]) -> None:
        self._train(weights)

    _set_since: Any = None  # an optimizer that was set after a step

    @property
    def optimizer(self) -> Any:
        """What was compiled, or set since. Steps go by what was there when the first one made their function: another
        one counts after `compile`, or `train_function = None`."""
        return super().optimizer if self._set_since is None else self._set_since

    @optimizer.setter
    def optimizer(self, value: Any) -> None:
        if self.train_function is None or self.run_eagerly or self._overrides("train_step"):
            vars(Trainer)["optimizer"].__set__(self, value)
            return
        if value is not self.optimizer:
            warn(
                f"{named(self)}: training goes on with the optimizer that it began with, as in this generation of "
                "Keras. For the one set now to count, compile the model again."
            )
        self.__dict__["_set_since"] = value

    def _take_optimizer(self) -> None:
        """Let a new function of training go by the optimizer that was set since the last one."""
        if self._set_since is not None:
            vars(Trainer)["optimizer"].__set__(self, self.__dict__.pop("_set_since"))

    def resting(self, given: dict[str, Any]) -> dict[str, Any]:
        """Hook: losses and metrics that name symbolic tensors of a model."""
        return given

    def _optimizer_of(self, identifier: Any) -> Any:
        """The generation's own; in half precision that which scales losses, in words that own steps know."""
        found = self._dialect.get("optimizers", identifier)
        half = self._dialect.table.shares_modern and self.dtype_policy.name == "mixed_float16"
        if half and isinstance(found, Optimizer) and not isinstance(found, LossScaleOptimizer):
            return self._dialect.find("mixed_precision", "LossScaleOptimizer")(found)
        return found

    def _leave_one_loss(self, given: dict[str, Any]) -> None:
        """Of several losses for one output tf.keras takes the first, and so of their weights."""
        single = isinstance(self, Sequential) or len(getattr(self, "outputs", None) or ()) == 1
        for word in ("loss", "loss_weights") if single and self._dialect.table.shares_modern else ():
            if isinstance(given.get(word), (list, tuple)):
                given[word] = given[word][:1]

    def _modes(self, *args: Any, **kwargs: Any) -> Any:
        """The `sample_weight_mode` of a `compile`. Raises ValueError where it does not fit the outputs."""
        modes = kwargs.get("sample_weight_mode", args[4] if len(args) > 4 else None)
        if modes is not None and getattr(self, "output_names", None) and not self._dialect.table.shares_modern:
            modes_of(modes, self.output_names)
        return modes

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As today's, with the generation's own optimizers behind their names."""
        given = self._modern("compile", args, kwargs)
        given["optimizer"] = self._optimizer_of(given["optimizer"])
        self._leave_one_loss(given)
        targets, modes = given.pop("target_tensors", None), self._modes(*args, **kwargs)
        held_targets = held_data.targets_of(targets, getattr(self, "output_names", None) or [self.name])
        told = {name: given[name] for name in ("loss", "metrics", "weighted_metrics") if name in given}
        for name in ("metrics", "weighted_metrics"):
            if isinstance(given.get(name), (str, Metric)) and self._dialect.table.shares_modern:
                given[name] = [given[name]]
            given[name] = spread(given.get(name), getattr(self, "outputs", None) or [None])
        asked, given = given, self.resting(given)
        self.__dict__.pop("_set_since", None)
        asked = {**told, **{what: value for what, value in asked.items() if value is not given[what]}}
        for home, word in (("losses", "loss"), ("metrics", "metrics"), ("metrics", "weighted_metrics")):
            given[word] = pytree.tree_map(functools.partial(loss_names.named, self._dialect, home), given.get(word))
        if self._dialect.before_2_3:
            given["metrics"] = pytree.tree_map(lambda name: "acc" if name == "accuracy" else name, given.get("metrics"))
        super().compile(**given)
        if isinstance(self.optimizer, shim.ListedOptimizer):
            self.optimizer.begin_afresh(self.trainable_weights)
        self._compiled.arguments.update(asked)  # as files name them
        self.__dict__.update(_compiled_trainable=_Compiled(self), _weight_modes=modes, _held_targets=held_targets)
        if self._dialect.table.shares_modern:
            self._compiled.__class__ = CountsItself
        else:
            self.__dict__.update(loss_weights=given.get("loss_weights"), sample_weight_mode=modes)
        of_time = OF_GENERATIONS[self._dialect.table.name]
        if self._compiled.loss is not None:
            counted = OF_GENERATIONS["keras1"] if self._dialect.before_2_3 else of_time
            self._compiled.loss.__class__ = counted.loss
        if self._compiled.metrics is not None:
            self._compiled.metrics.__class__ = of_time.metrics
            if isinstance(self._compiled.loss, LossOfScores):
                self._compiled.loss.beside = self._compiled.metrics
            self._compiled.metrics.loss = given.get("loss")

    @property
    def metrics(self) -> list[Any]:
        """As today's; in tf.keras the compiled metrics one by one, in the order of their results. In Keras 1 and 2
        those that `compile` was given; in Keras 2.3 from the first batch on objects, with those that were added."""
        found: list[Any] = super().metrics
        if not self._dialect.table.shares_modern:
            measured, loss = self._compiled.metrics, self._compiled.loss
            if self._dialect.before_2_3 or measured is None or not measured.built:
                return self._compiled.arguments.get("metrics") or []
            others = [self._compiled.mean_loss, measured, *(() if loss is None else loss.metrics)]
            return [*measured.metrics, *(one for one in found if one not in others)]
        apart = (each.one_by_one() if isinstance(each, MetricsOfScores) else [each] for each in found)
        return [one for some in apart for one in some]

    @property
    def _counting_metrics(self) -> list[Any]:
        return self.metrics if self._dialect.table.shares_modern else super().metrics

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        super().compile_from_config(config)
        self.__dict__["_compiled_by_file"] = True

    def get_compile_config(self) -> dict[str, Any]:
        """The arguments of `compile` that this generation has, as plain data."""
        table, measured = self._dialect.table, self._compiled.metrics
        with measured.as_told() if isinstance(measured, MetricsOfScores) else nullcontext():
            config = super().get_compile_config()
        if not config or table.shares_modern:
            return config
        config["sample_weight_mode"] = self._weight_modes
        names = [argument.partition("=")[0].strip() for argument in table.methods["compile"].split(",")]
        return {name: config[name] for name in names if name in config}

    def compiled_loss(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, regularization_losses: Any = None
    ) -> Any:
        """The loss that was compiled, counted in its mean; for training steps of users, in tf.keras' words."""
        penalties = (lambda: regularization_losses) if regularization_losses else None
        return self._compiled.total_loss(y_true, y_pred, sample_weight, penalties)

    @property
    def compiled_metrics(self) -> CompiledMetrics:
        """The metrics that were compiled, as one."""
        return self._compiled.metrics or CompiledMetrics(None, None)

    def _as_compiled(self) -> AbstractContextManager[None]:
        """Inside, layers are trainable as at `compile`."""
        compiled = self._compiled_trainable
        return nullcontext() if compiled is None else compiled.holds()

    @contextmanager
    def _at_work(self, method: str) -> Iterator[None]:
        if method == "fit":
            self._dialect.seed()
        if self.train_function is None:
            self._take_optimizer()
        if self._compiled_trainable is not None and method in ("fit", "train_on_batch"):
            self._compiled_trainable.tell(self)
            self._compiled_trainable.collect(self)
        graph = nullcontext() if self.run_eagerly else in_graph()
        with updates.at_work(), graph, self._as_compiled(), super()._at_work(method):
            yield

    def _build_optimizer(self) -> None:
        with self._as_compiled():
            super()._build_optimizer()

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        return self._fit(self._modern("fit", args, kwargs))

    _weight_modes: Any = None  # `sample_weight_mode`

    def _weighed(self, given: dict[str, Any]) -> dict[str, Any]:
        """Arguments with the weights of classes in those of samples; in tf.keras where both are given."""
        if self._dialect.table.shares_modern:
            both = given.get("class_weight") is not None and given.get("sample_weight") is not None
            return weigh_both(_held_back(given)) if both else given
        names = getattr(self, "output_names", None) or [self.name]
        if given.get("sample_weight") is not None:
            check_modes(self._weight_modes, names, given["sample_weight"])
        return weigh(names, given, both=not self._dialect.table.lists_weights)

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """As today's; `reset_metrics=False` goes on counting."""
        given = self._weighed(self._modern("train_on_batch", args, kwargs))
        with self._counting(given.pop("reset_metrics", True)):
            return super().train_on_batch(**given)

    def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        given = self._weighed(self._modern("test_on_batch", args, kwargs))
        with self._counting(given.pop("reset_metrics", True)):
            return super().test_on_batch(**given)

    @contextmanager
    def _counting(self, afresh: bool) -> Iterator[None]:
        """Inside, metrics start afresh, or go on."""
        if not afresh:
            self.__dict__["reset_metrics"] = lambda: None
        try:
            yield
        finally:
            self.__dict__.pop("reset_metrics", None)

    def _fit(self, given: dict[str, Any]) -> Any:
        given = self._weighed(given)
        given = _held_back(given) if given.get("callbacks") else given
        self.__dict__["_facts"] = callbacks.facts_of(self._dialect.table, given, self.metrics_names)
        self.__dict__["_passes"] = given.get("epochs", 1) - given.get("initial_epoch", 0)
        try:
            return super().fit(**given)
        finally:
            self.__dict__["_facts"] = {}

    def _feed(self, name: str, data: tuple[object, ...], steps: int | None, **how: object) -> Feed:
        """As today's; in tf.keras the end of data that are learned from in so many steps an epoch ends the training.
        Arrays follow each other, once an epoch."""
        feed = super()._feed(name, data, steps, **how)
        source: Any = feed.source
        if steps and "class_weight" in how and self._dialect.table.shares_modern:
            if isinstance(source, Arrays):
                passes = self.__dict__["_passes"]
                batches = self._passes_over(source.batches, passes)
                vars(source).update(batches=lambda: batches, num_batches=source.num_batches * passes, restarts=False)
            elif source.restarts and not source.endless and steps != source.num_batches:
                vars(source).update(batches=functools.partial(self._passes_over, source.batches, 1), num_batches=None)
                if isinstance(source.data, PyDataset):  # an epoch begins with its first batch
                    source.on_epoch_begin = feed.restart
        return feed

    def _passes_over(self, batches: Callable[[], Iterator[Any]], passes: int) -> Iterator[Any]:
        for _ in range(passes):
            yield from batches()
        self.stop_training = True

    def _callback_list(self, *args: Any, **kwargs: Any) -> Any:
        if self._dialect.table.shares_modern:
            return callbacks.OfTheTime(*args, **kwargs)
        return callbacks.ToldMore(self.__dict__.get("_facts", {}), *args, **kwargs)

    def _arranged(self, results: Mapping[str, Any]) -> Mapping[str, Any]:
        """As a step gives them in tf.keras."""
        return results if self._dialect.table.shares_modern else by_name(results)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        found = super().evaluate(**self._weighed(self._modern("evaluate", args, kwargs)))
        if self._dialect.table.shares_modern or not isinstance(found, dict):
            return found
        return {name: found[name] for name in self._names_in_order(found)}

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        given = self._modern("predict", args, kwargs)
        x = given["x"]
        if self._dialect.table.cuts_to_first and isinstance(x, list) and all(hasattr(each, "shape") for each in x):
            given["x"] = [each[: len(x[0])] for each in x]
        if not self._dialect.table.shares_modern and isinstance(x, np.ndarray) and not len(x):
            return []  # as there is nothing to put together
        return super().predict(**given)

    def _require_compiled(self, method: str) -> None:
        try:
            super()._require_compiled(method)
        except ValueError as problem:
            raise RuntimeError(*problem.args) from None  # its kind until Keras 3

    def predict_on_batch(self, x: object) -> Any:
        given = {"x": x}
        held_data.complete(self, "predict_on_batch", given)
        return super().predict_on_batch(given["x"])

    def _modern(self, method: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        table, own = self._dialect.table, f"Sequential.{method}"
        sequential = isinstance(self, Sequential) and own in table.methods
        given = method_arguments(table, own if sequential else method, args, kwargs)
        if not method.endswith(("generator", "compile")):
            held_data.complete(self, method, given)
        x = given.get("x")
        if type(x) is list and len(x) == 1 and hasattr(x[0], "shape") and not (self.built or table.shares_modern):
            given["x"] = x[0]  # of a model that knows its input it is known to be one
        for key in _STEPS:  # `len(x) / batch_size` counts up
            if isinstance(given.get(key), float):
                given[key] = math.ceil(given[key])
        return given

    @property
    def metrics_names(self) -> list[str]:
        """The names of what `evaluate` returns; Keras 1 and 2 have them from `compile` on, tf.keras from a batch on or
        from a file."""
        loss = self._compiled.loss
        told = self._compiled_by_file or not self._dialect.table.shares_modern
        if told and getattr(self, "_graph", None) is not None and loss is not None and not loss.built:
            found = names_to_come(loss, self._compiled.metrics, self._output_structure, self.output_names)
        else:
            found = self._names_in_order(self.get_metrics_result())
        return found if self._dialect.table.shares_modern else Told(found, functools.partial(self._show, "name"))

    @property
    def metrics_tensors(self) -> list[Any]:
        """Up to Keras 2.2 symbolic tensors to show in logs are appended here, and their names to `metrics_names`."""
        return Told((), functools.partial(self._show, "value"))

    def _show(self, what: str, listed: list[Any]) -> None:
        waiting = self.__dict__.setdefault("_waiting_metric", {})
        waiting[what] = listed[-1]
        if len(waiting) == 2:
            self.add_metric(**self.__dict__.pop("_waiting_metric"))

    @property
    def metrics_updates(self) -> list[object]:
        """Up to Keras 2.2 updates to make at the end of each step are appended here, such as averages of weights."""
        return self.__dict__.setdefault("_updates_at_end", [])

    def _with_updates(self, run: Callable[..., object]) -> Callable[..., object]:
        made = self.__dict__.get("_updates_at_end")

        def step(*batch: object) -> object:
            found = run(*batch)
            updates.carry_out(made or ())
            return found

        return step if made else run

    def _names_in_order(self, logs: Mapping[str, Any]) -> list[str]:
        """The loss, those of the outputs, then the metrics of one output after the other, as they were given."""
        compiled = self._compiled
        losses = () if compiled.loss is None else (metric.name for metric in compiled.loss.metrics)
        measured = () if compiled.metrics is None else compiled.metrics.names()
        names = [name for name in (compiled.mean_loss.name, *losses, *measured) if name in logs]
        others = {name: value for name, value in logs.items() if name not in names}
        return [*names, *super()._names_in_order(others)]

    def fit_generator(self, *args: Any, **kwargs: Any) -> Any:
        """`fit` on a generator; Keras 1's `samples_per_epoch` ends an epoch after as many samples."""
        given = _by_steps(self._modern("fit_generator", args, kwargs), "x", "samples_per_epoch", "steps_per_epoch")
        return self._fit(_by_steps(given, "validation_data", "nb_val_samples", "validation_steps"))

    def evaluate_generator(self, *args: Any, **kwargs: Any) -> Any:
        given = {"verbose": 0, **self._modern("evaluate_generator", args, kwargs)}
        return super().evaluate(**_by_steps(given, "x", "val_samples"))

    def predict_generator(self, *args: Any, **kwargs: Any) -> Any:
        given = {"verbose": 0, **self._modern("predict_generator", args, kwargs)}
        return super().predict(**_by_steps(given, "x", "val_samples"))

    def save_weights(self, filepath: Any, overwrite: bool = True, **options: Any) -> None:
        """As today's for its names; `weights.h5`, `weights.hdf5`, and in Keras 1 and 2 any other, hold them layer by
        layer. tf.keras' other names, such as `cp.ckpt`, become `cp.ckpt.weights.h5`."""
        name = self._weights_file(filepath)
        older = not self._dialect.table.shares_modern and not name.endswith(_ENDINGS)
        by_layers = older or (name.endswith((".h5", ".hdf5")) and not name.endswith(".weights.h5"))
        files.save_weights(self, name, overwrite, by_layers=by_layers, **_told(options))

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, by_name: bool = False, **options: Any) -> Any:
        own = self._weights_file(filepath)
        name = own if Path(own).is_file() and not Path(filepath).is_file() else filepath
        older = not self._dialect.table.shares_modern
        if not older and not str(filepath).endswith(_ENDINGS) and not self._ready:
            files.weights_at(name)
            when_ready(self, lambda: self.load_weights(filepath, skip_mismatch, by_name, **options))
            return _Loaded()
        if Path(name, files.IN_FOLDER).is_file():
            name = Path(name, files.IN_FOLDER)
        files.load_weights(self, name, skip_mismatch, by_name=by_name, any_name=older, **_told(options))
        return _Loaded() if self._dialect.table.shares_modern else None

    def _weights_file(self, filepath: Any) -> str:
        name = str(filepath)
        ours = not self._dialect.table.shares_modern or name.endswith(_ENDINGS)
        return name if ours else f"{name}.weights.h5"

    def save(self, filepath: Any, overwrite: bool = True, **options: Any) -> None:
        """As today's, in Keras 1 and 2 under any name. What in tf.keras is no name of a file is that of a folder, which
        `load_model` takes: it holds `model.keras`."""
        is_path = self._dialect.table.shares_modern and isinstance(filepath, (str, os.PathLike))
        if is_path and (path := Path(filepath)).suffix not in (".keras", ".h5", ".hdf5"):
            path.mkdir(parents=True, exist_ok=True)
            filepath = path / files.IN_FOLDER
            theirs = (type(one) for one in self.modules() if serialize.home_of(type(one)) is None)
            files.classes_in_folder[path.resolve()] = {cls.__name__: cls for cls in theirs}
        super().save(filepath, overwrite, **_told(options), any_name=not self._dialect.table.shares_modern)

    def summary(self, line_length: Any = None, positions: Any = None, print_fn: Any = None, **options: Any) -> None:
        """`print_fn` takes the table line by line. Warns of layers that train otherwise than they say."""
        if self._compiled_trainable is not None:
            self._compiled_trainable.tell(self, again=True)
        by_line = None if print_fn is None else lambda text: [print_fn(line) for line in text.splitlines()]
        super().summary(line_length, positions, by_line, **options)

    def predict_proba(self, x: Any, batch_size: int = 32, verbose: int = 0) -> Any:
        return self.predict(x, batch_size=batch_size, verbose=verbose)

    def predict_classes(self, x: Any, batch_size: int = 32, verbose: int = 0) -> Any:
        """The likeliest class of each sample, or for one output whether it exceeds 0.5."""
        outputs = self.predict(x, batch_size=batch_size, verbose=verbose)
        return outputs.argmax(-1) if outputs.shape[-1] > 1 else (outputs > 0.5).astype("int32")

    def to_json(self, **options: Any) -> str:
        """The architecture in this generation's form; `model_from_json` reads it."""
        return json.dumps(self._described(), **{"default": serialize.plain, **options})

    def to_yaml(self, **options: Any) -> str:
        """As `to_json`, in YAML; `model_from_yaml` reads it. Raises ModuleNotFoundError without PyYAML."""
        from ..files import yaml

        return yaml.library("to_yaml").safe_dump(json.loads(self.to_json()), **options)

    def _described(self) -> dict[str, Any]:
        described = {"class_name": type(self).__name__, "config": self.get_config()}
        return {**described, "keras_version": self._dialect.table.version, "backend": self._made_for or "tensorflow"}

    @property
    def _made_for(self) -> str | None:
        """The backend whose arithmetic its layers follow; None where all have one."""
        found = {layer._made_for for layer in self._flat_layers() if isinstance(layer, shim.LayerShim)} - {None}
        return "theano" if "theano" in found else next(iter(found), None)

    @property
    def stateful(self) -> bool:
        """Whether a layer inside keeps states."""
        return any(getattr(layer, "stateful", False) for layer in self.layers)

    def reset_states(self) -> None:
        """Let the next batch start from zeros."""
        for layer in self.layers:
            if getattr(layer, "stateful", False):
                layer.reset_states()

    def get_weights(self) -> list[Any]:
        """Layer by layer. Of a model inside, Keras 1 and 2 list what is trained first, its moving averages last."""
        own = [weight.numpy() for weight in self._own_in_order()]
        if self._asks_inside:
            listed = [array for part in self._tracked() for array in part.get_weights()]
            return [*dict(zip(self._turns(), listed, strict=True)).values(), *own]
        return [*(array for layer in self._weight_layers() for array in shim.trained_first(layer)), *own]

    def set_weights(self, weights: Sequence[Any]) -> None:
        own = self._own_in_order()
        shim.check_count(self, weights)
        listed = [weights[turn] for turn in self._turns()] if self._asks_inside else weights
        with all_or_none(self.weights):
            for part, arrays in shim.shared_out(self._tracked(), listed, lambda part: part.get_weights()):
                if self._asks_inside:
                    part.set_weights(arrays)
                else:
                    shim.set_trained_first(part, arrays)
            assign_all(self, own, weights[len(weights) - len(own) :])

    def _turns(self) -> list[int]:
        """For each array of the parts, its place in `get_weights`: tf.keras lists a weight that parts share once."""
        if not self._dialect.table.shares_modern:
            return [*range(sum(len(part.get_weights()) for part in self._tracked()))]
        turns: dict[int, int] = {}
        return [turns.setdefault(id(weight), len(turns)) for part in self._tracked() for weight in part.weights]

    @property
    def weights(self) -> list[Any]:
        """Layer by layer, as each has its own; in Keras 1 and 2 those that the layers train, then the others."""
        found = [*(weight for part in self._tracked() for weight in part.weights), *super().weights]
        found = self._own_last(list({id(weight): weight for weight in found}.values()))
        if self._dialect.table.shares_modern:
            return found
        inside = (module for child in self.children() for module in _training(child))
        trained = {id(weight) for module in (self, *inside) for weight in module.parameters(recurse=False)}
        return sorted(found, key=lambda weight: not (id(weight) in trained and weight.requires_grad))

    def _set_attribute(self, name: str, value: Any) -> None:
        super()._set_attribute(name, value)
        if self._dialect.table.shares_modern and name not in _OWN and may_count(value):
            self.__dict__.setdefault("_metrics_behind", {})[name] = len(self._inner_layers)

    # Attributes that may hold metrics, and how many layers were there before.
    _metrics_behind: ClassVar[dict[str, int]] = {}

    def _tracked(self) -> list[Any]:
        """The layers and, in tf.keras, the metrics that are attributes, in the order they were set in."""
        found = self._weight_layers() if self._is_graph or not self._asks_inside else [*_parts_in(self)]
        for name, place in reversed(self._metrics_behind.items()):
            found[place:place] = [one for one in leaves([vars(self).get(name)]) if isinstance(one, Metric)]
        return list({id(one): one for one in found}.values())

    def _own_last(self, weights: list[Any]) -> list[Any]:
        """Those of layers, then those of none."""
        own = {id(weight) for weight in self._own_in_order()}
        return sorted(weights, key=lambda weight: id(weight) in own) if own else weights

    def _own_in_order(self) -> list[Any]:
        """Those of no layer, such as variables that are attributes, the trained ones first."""
        found = self._own_weights()
        if found and not self._is_graph and self._asks_inside:
            beside = {id(one) for part in _parts_in(self) if isinstance(part, _Beside) for one in part.weights}
            found = [weight for weight in found if id(weight) not in beside]
        return sorted(found, key=lambda weight: not weight._trainable)

    _is_graph = property(lambda self: hasattr(self, "_graph"))

    @property
    def _asks_inside(self) -> bool:
        """Whether models inside give their weights layer by layer, too."""
        return self._dialect.table.shares_modern

    weight_parts = shim.parts_of

    def weight_names(self) -> list[str]:
        names = (shim.weight_names(layer) for layer in self._weight_layers() if layer.weights)
        return [*itertools.chain(*names)]

    def to_old_weights(self, arrays: Sequence[Any]) -> list[Any]:
        return shim.in_old_order(self._weight_layers(), arrays)

    def _weight_layers(self) -> list[Any]:
        """Not a Merge: the models that one joins at the beginning of a Sequential are in the graph themselves."""
        return [layer for layer in self.layers if not getattr(layer, "branches", None)]

    # -- what scripts of the time looked at -------------------------------------------------------------------------

    def _make_train_function(self) -> None:
        if self.train_function is None:
            self._take_optimizer()
        self._build_optimizer()
        self.make_train_function()

    def _set_inputs(self, inputs: Any, **options: Any) -> None:
        """Make the weights of a subclassed model for data such as `inputs`: tensors, `Input`s or `tf.TensorSpec`s.

        Raises ValueError for a model that has them.
        """
        if self.built:
            raise ValueError(f"{named(self)}: its inputs are known already.")
        holds = self._dialect.find("layers", "Input")

        def symbolic(like: Any) -> Any:
            if isinstance(like, SymbolicTensor):
                return like
            return holds(batch_shape=(None, *tuple(like.shape)[1:]), dtype=getattr(like.dtype, "name", like.dtype))

        self(pytree.tree_map(symbolic, inputs), **options)

    def _make_test_function(self) -> None:
        self.make_test_function()

    def _make_predict_function(self) -> None:
        self.make_predict_function()

    def run_internal_graph(self, inputs: Any, masks: Any = None) -> tuple[list[Any], list[Any], list[Any]]:
        """The outputs for a list of inputs, their masks and shapes."""
        alone = isinstance(inputs, (list, tuple)) and len(inputs) == 1
        outputs = pytree.tree_leaves(self(inputs[0] if alone else inputs, mask=masks))
        return outputs, [masking.get_mask(output) for output in outputs], shapes_of(outputs)

    @property
    def uses_learning_phase(self) -> bool:
        return any(map(uses_learning_phase, self.outputs))

    @property
    def input_layers(self) -> list[Any]:
        return [tensor.node.layer for tensor in self.inputs]

    @property
    def output_layers(self) -> list[Any]:
        return [tensor.node.layer for tensor in self.outputs]

    input_layers_node_indices = property(lambda self: [tensor._keras_history[1] for tensor in self.inputs])
    input_layers_tensor_indices = property(lambda self: [tensor.index for tensor in self.inputs])
    output_layers_node_indices = property(lambda self: [tensor._keras_history[1] for tensor in self.outputs])
    output_layers_tensor_indices = property(lambda self: [tensor.index for tensor in self.outputs])

    @property
    def nodes_by_depth(self) -> dict[int, list[Any]]:
        """The calls, as `inbound_nodes` has them, by their longest way to an output, or that of a later call of their
        layer."""
        depths: dict[int, int] = {}
        of_layers: dict[int, int] = {}
        nodes = [tensor.node for tensor in self.inputs] + self._graph.nodes
        for node in reversed(nodes):
            depth = max(depths.get(id(node), 0), of_layers.get(id(node.layer), 0))
            depths[id(node)] = of_layers[id(node.layer)] = depth
            for tensor in node.inputs:
                depths[id(tensor.node)] = max(depths.get(id(tensor.node), 0), depth + 1)
        found: dict[int, list[Any]] = {}
        for node in nodes:
            found.setdefault(depths[id(node)], []).append(Call(node))
        return found

    @property
    def layers_by_depth(self) -> dict[int, list[Any]]:
        """The layers by the depth of their deepest call."""
        found: dict[int, list[Any]] = {}
        seen: set[int] = set()
        for depth, calls in sorted(self.nodes_by_depth.items(), reverse=True):
            layers = {id(call.outbound_layer): call.outbound_layer for call in calls}
            found[depth] = [layer for key, layer in layers.items() if key not in seen]
            seen |= layers.keys()
        return found

    @property
    def container_nodes(self) -> set[str]:
        """The calls inside, each as its layer's name and which call of it it is."""
        calls = (call.node for calls in self.nodes_by_depth.values() for call in calls)
        return {f"{node.layer.name}_ib-{node.layer._nodes.index(node)}" for node in calls}

    _input_layers, _output_layers, _network_nodes = input_layers, output_layers, container_nodes
    _feed_inputs = property(lambda self: self.inputs)
    _is_compiled = property(lambda self: self.compiled)
    _compile_metrics = property(lambda self: self.compiled_metrics.metrics)
    _nodes_by_depth, _layers_by_depth = nodes_by_depth, layers_by_depth

    def _call_nearly_plain(self, x: Any, kwargs: dict[str, Any]) -> Any:
        """On symbolic inputs it was called on before, Keras 1 and 2 give the outputs of that call: dropout and moving
        means inside are then of one call."""
        once = self._nodes and not kwargs and not self._dialect.table.shares_modern and any_symbolic(x)
        if once and getattr(self, "_graph", None) is not None:
            inputs = pytree.tree_leaves(x)
            for node in self._nodes:
                if not node.kwargs and len(node.inputs) == len(inputs) and all(map(operator.is_, node.inputs, inputs)):
                    return node.outputs
        return super()._call_nearly_plain(x, kwargs)

    # -- inputs of another rank -------------------------------------------------------------------------------------

    _any_rank = False

    def check_inputs(self, inputs: Any) -> None:
        """Keras 2 lets a model be called on symbolic inputs of any shape that its layers take."""
        if self._dialect.table.calls_models_freely and any_symbolic(inputs):
            self.__dict__["_any_rank"] = True
        if not self._any_rank:
            super().check_inputs(inputs)


class _Loaded:
    """What `load_weights` of tf.keras gives: all was compared before a weight changed."""

    def assert_consumed(self) -> _Loaded:
        return self

    expect_partial = assert_existing_objects_matched = assert_nontrivial_match = assert_consumed


class _OfLayers(AddsBeside, _ModelWords):
    """A model that was made of calls of layers."""

    @property
    def _layers(self) -> list[Layer]:
        """The layers, of a Sequential with its input: code changes `batch_input_shape` there and makes it anew."""
        return [self._input, *self.layers] if isinstance(self, Sequential) and self._input is not None else self.layers

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        if not self._dialect.table.shares_modern:
            self.__dict__.setdefault("_moved_in_calls", set()).update(_moving(self))
        return super().compute_output_spec(*args, **kwargs)


class _Sequential(_OfLayers):
    input, output = GraphModel.input, GraphModel.output  # wherever it was called

    def _end(self, end: str, what: str) -> Any:
        """Of one that holds an input alone, this."""
        return super()._end(end, what) if self._stack or self._input is None else self._input.output

    def __init__(self, layers: Any = None, name: str | None = None, **kwargs: Any):
        if isinstance(layers, Layer) and self._dialect.table.shares_modern:
            layers = [layers]
        super().__init__(layers=layers, name=name or self._dialect.unique_name("Sequential"), **kwargs)

    def _input_of(self, batch_shape: Any, dtype: Any) -> Any:
        """Named after the first layer: a model from `model.input` on writes it into its config."""
        made = self._dialect.find("layers", "InputLayer")
        dtype_word = "dtype" if self._dialect.table.writes_dtype else "input_dtype"
        found = made(batch_input_shape=tuple(batch_shape), name=f"{self._stack[0].name}_input", **{dtype_word: dtype})
        vars(found)["_implied"] = True
        return found

    def build(self, input_shape: Any = None) -> None:
        """Where a Merge of other models comes first, or a model that lends its inputs, these are this model's."""
        if not self._joins:
            super().build(input_shape)
            return
        first, branches = self._stack[0], self._branches
        outputs = [branch.output for branch in branches]
        masks = [
            None if isinstance(branch, Sequential) else masking.get_mask(output)  # of these it knew none
            for branch, output in zip(branches, outputs, strict=True)
        ]
        x = first.output if first._nodes or not branches else first(outputs, mask=masks)
        x = [x, *called_in_turn(self._stack[1:], x)][-1]
        found = (getattr(branch, "inputs", None) or get_source_inputs(branch.output) for branch in branches or [first])
        inputs = list({id(tensor): tensor for tensor in itertools.chain(*found)}.values())
        specs = [InputSpec(shape=(None, *tensor.shape[1:])) for tensor in inputs]
        self.__dict__.update(
            _graph=Graph(inputs, x, self.name),
            _input_structure=inputs if len(inputs) > 1 else inputs[0],
            _output_structure=x,
            input_spec=specs if len(specs) > 1 else specs[0],
        )
        self._register(self._stack)
        self._finish_build()

    def get_layer(self, name: str | None = None, index: int | None = None) -> Any:
        """The layer of that name or at that place; in Keras 1 a place counts the input, too."""
        if self._dialect.table.lists_weights and name is None and index and index > 0 and self._input is not None:
            index -= self.layers[0] is not self._input
        return super().get_layer(name, index)

    def _knows_input(self) -> bool:
        return self._input is not None or self._joins

    @property
    def _joins(self) -> bool:
        first = self._stack[0] if self._stack and self._input is None else None
        return bool(self._branches) or (isinstance(first, GraphModel) and self._lends(first))

    def _lends(self, first: GraphModel) -> bool:
        """Whether a model that comes first lends its inputs: one of several, in Keras 1 any."""
        count = len(getattr(first, "inputs", None) or ())
        return count > 1 or (count == 1 and self._dialect.table.lists_weights and first._graph is not None)

    def _place(self, layer: Layer) -> None:
        told = self._input
        super()._place(layer)
        if len(self._stack) == 1 and isinstance(layer, GraphModel) and self._lends(layer):
            self.__dict__["_input"] = told

    @property
    def _branches(self) -> list[Any]:
        """The models, or layers that were called, that a Merge joins, where one comes first."""
        first = self._stack[0] if self._stack else None
        return first.branches or [] if isinstance(first, MergeByMode) else []

    @property
    def layers(self) -> list[Any]:
        """The layers, in Keras 1 an input that was added as well; to take one out of this list takes it out of the
        model."""
        begins = self._dialect.table.lists_weights and self._input is not None and self._stack[:1] != [self._input]
        first = [self._input] if begins and "_implied" not in vars(self._input) else []
        return Told([*first, *self._stack, *self._beside], self._set_layers)

    def _set_layers(self, layers: list[Any]) -> None:
        beside = [*self._beside, self._input]
        self.__dict__["_stack"] = [layer for layer in layers if all(layer is not one for one in beside)]
        self._maybe_rebuild()

    @property
    def outputs(self) -> list[Any]:
        return list(super().outputs)

    @outputs.setter
    def outputs(self, outputs: list[Any]) -> None:
        """Raises ValueError for anything but the output of one of the layers: those behind it go."""
        places = [place for place, layer in enumerate(self._stack) if len(outputs) == 1 and layer.output is outputs[0]]
        if not places:
            raise ValueError(f"{named(self)}: its output must be that of one of its layers, in a list.")
        self._set_layers(self._stack[: places[0] + 1])

    @property
    def _first_call(self) -> int:
        """A model counts how it was made, in tf.keras where it knew its inputs then."""
        return int(not self._dialect.table.shares_modern or "batch_input_shape" in self._stack[0].get_config())

    @property
    def model(self) -> Any:
        """Itself: there is no model inside."""
        return self

    @property
    def flattened_layers(self) -> list[Any]:
        """The layers, those of the models that a first Merge joins in its place."""
        joined = (getattr(one, "flattened_layers", getattr(one, "layers", [one])) for one in self._branches)
        return [*dict.fromkeys(itertools.chain(*joined, self.layers[1 if self._branches else 0 :]))]

    @property
    def _asks_inside(self) -> bool:
        return self._dialect.table.shares_modern or self._dialect.table.lists_weights

    def _weight_layers(self) -> list[Any]:
        return [*self._branches, *self._stack[1 if self._branches else 0 :]]

    def get_config(self) -> Any:
        self._tell_of_added()
        table, first = self._dialect.table, self._input
        stack, branches = (
            [{"class_name": type(layer).__name__, "config": config_in_file(layer)} for layer in layers]
            for layers in (self._stack, self._branches)
        )
        if branches:
            stack[0]["config"]["layers"] = branches
        known = not stack or isinstance(self._stack[0], Model) or "batch_input_shape" in stack[0]["config"]
        if first is not None and (table.shares_modern or (table.named_configs and not known)):
            stack.insert(0, {"class_name": type(first).__name__, "config": first.get_config()})
        if table.named_configs:
            return stack
        build = {} if known or first is None or table.shares_modern else {"build_input_shape": first.batch_shape}
        return {"name": self.name, "layers": stack, **build}

    @classmethod
    def from_config(cls, config: Any, custom_objects: Any = None) -> Any:
        stack, name = (config, None) if isinstance(config, (list, tuple)) else (config["layers"], config.get("name"))
        made = [cls._dialect.from_config(entry, custom_objects) for entry in stack]
        model = cls(made, name=name)
        shape = config.get("build_input_shape") if isinstance(config, Mapping) else None
        if made and shape and not model.built:
            model.build(tuple(shape))
        return model


class _StackOfTensorFlow(_Sequential):
    """In tf.keras. One whose input nobody told has no ends at first, and is made anew for data of another rank."""

    _found_rank: int | None = None  # of the data that it was made for
    _begins_with_floats = False

    @property
    def inputs(self) -> list[Any] | None:
        return None if self._graph is None else super().inputs

    @property
    def outputs(self) -> list[Any] | None:
        return None if self._graph is None else super().outputs

    @outputs.setter
    def outputs(self, outputs: list[Any]) -> None:
        vars(_Sequential)["outputs"].__set__(self, outputs)

    def _place(self, layer: Layer) -> None:
        told = self._input
        super()._place(layer)
        if getattr(layer, "_found_rank", None) is not None:  # nobody told its input either
            self.__dict__["_input"] = told

    def _build_for(self, args: tuple, kwargs: Mapping[str, Any]) -> None:
        shape = getattr(args[0], "shape", None) if self._input is None else None
        super()._build_for(args, kwargs)
        self._found_rank = None if shape is None else len(shape)

    def _made_ready(self, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any], bool]:
        rank, shape = self._found_rank, getattr(args[0] if args else None, "shape", None)
        if rank is None or shape is None or len(shape) == rank:
            return super()._made_ready(args, kwargs)
        before = {**self.__dict__}
        self._forget()
        self.__dict__.update(_input=None, _found_rank=None, input_spec=None, _made_spec=None)
        try:
            return super()._made_ready(args, kwargs)
        except Exception:  # its layers take no such rank
            self.__dict__.update(before)
            raise


class _AnyModel(_ModelWords):
    """`Model(inputs, outputs)` is functional; subclasses write their own `call`."""

    _joined = type("OwnFunctional", (AddsBeside, Functional), {"__module__": __name__})

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        functional = cls._is_model() and bool(args or {"inputs", "outputs", "input", "output"} & set(kwargs))
        return super().__new__(cls._dialect.find("models", "Functional") if functional else cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any):
        # One argument by position means nothing to a subclass: `super().__init__(self)` is a slip that was let pass.
        super().__init__(*(args if len(args) > 1 or "outputs" in kwargs else ()), **kwargs)

    @classmethod
    def _is_model(cls) -> bool:
        return cls is cls._dialect.find("models", "Model")

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
        if cls._is_model() and "layers" in config:
            return cls._dialect.find("models", "Functional").from_config(config, custom_objects)
        return super().from_config(config, custom_objects)


class _Functional(_OfLayers):
    _lists_sorted = True
    _gone: frozenset[int] = frozenset()  # the layers taken out of `layers`

    @property
    def layers(self) -> list[Any]:
        """The layers, in tf.keras also functions. One that is taken out of this list goes on in the model's calls, as
        in Keras 1 and 2."""
        return Told([layer for layer in self._all_layers() if id(layer) not in self._gone], self._set_layers)

    def _all_layers(self) -> list[Any]:
        shares = self._dialect.table.shares_modern
        return [*self._graph.called_layers, *self._beside] if shares else super().layers

    def _set_layers(self, layers: list[Any]) -> None:
        kept = {id(layer) for layer in layers}
        self.__dict__["_gone"] = frozenset(id(layer) for layer in self._all_layers() if id(layer) not in kept)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """As today's; in Keras 1 and 2 None for each of several outputs without a mask."""
        found, count = super().compute_mask(inputs, mask), len(self.outputs)
        return [None] * count if found is None and count > 1 and not self._dialect.table.shares_modern else found

    @property
    def output_names(self) -> list[str]:
        """Each once, so that every output of a layer has its own loss in logs: `lstm`, `lstm_1`."""
        names: list[str] = []
        for name in super().output_names:
            tried = (name, *(f"{name}_{count}" for count in range(1, len(names) + 1)))
            names.append(next(one for one in tried if one not in names))
        return names

    @property
    def outputs(self) -> list[Any]:
        return list(super().outputs)

    @outputs.setter
    def outputs(self, outputs: list[Any]) -> None:
        """Raises ValueError where these do not rest on the model's inputs alone."""
        found = outputs[0] if len(outputs) == 1 else list(outputs)
        graph = Graph(self._input_structure, found, named(self), self._keywords_sorted)
        self._modules.clear()
        self.__dict__.update(_graph=graph, _output_structure=found)
        self._register(graph.layers)
        self._finish_build()

    def __init__(self, *args: Any, **kwargs: Any):
        for old, new in (("input", "inputs"), ("output", "outputs")):
            if old in kwargs:
                kwargs[new] = kwargs.pop(old)
        names = ("inputs", "outputs", "name")
        kwargs = {**dict(zip(names, args, strict=False)), **kwargs}
        cls = type(self).__name__.replace("Functional", "Model")
        if not {"inputs", "outputs"} <= set(kwargs):
            raise TypeError(f"{cls}: give both ends, as in Model(inputs, outputs); got {', '.join(kwargs)} alone.")
        kwargs["name"] = kwargs.get("name") or self._dialect.unique_name(cls)
        self.__init_graph__(**kwargs)

    def get_config(self) -> dict[str, Any]:
        """The layers and the calls between them, as lists [layer, call, output, arguments]."""
        self._tell_of_added()
        config, plain = graph_config(self, counts_models=True), self._dialect.table.named_configs
        functions = {layer.name: layer.words for layer in self._graph.layers if isinstance(layer, TFOpLambda)}
        names = {layer.name: layer._call_parameters for layer in self._graph.layers} | functions
        layers = []
        for layer in config["layers"]:
            name, kept = layer["name"], {key: layer[key] for key in _KEPT if key in layer}
            if ">" in (layer.get("registered_name") or ""):  # of a package, as tf.keras up to 2.12 has it
                kept["class_name"] = layer["registered_name"]
            nodes = [_node(node, plain, names[name], name in functions) for node in layer["inbound_nodes"]]
            layers.append({**kept, "inbound_nodes": nodes})
        ends = {key: _listed(config[key]) for key in ("input_layers", "output_layers")}
        return {"name": config["name"], "layers": layers, **ends}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
        added: list[Any] = []

        def make(entry: Mapping[str, Any]) -> Any:
            found = stored_functions.find(cls._dialect, entry, added)
            return cls._dialect.from_config(entry) if found is None else found

        with serialize.custom_object_scope(custom_objects or {}):
            inputs, outputs = graph_from_config(config, make)
        model = cls(inputs, outputs, name=config.get("name"))
        model.__dict__["_told_order"] = [entry.get("name") for entry in config["layers"]]
        for add in added:
            add(model)
        return model


_KEPT = ("name", "class_name", "config", "shared_object_id")  # of a layer's entry; the last one is in files alone


def _node(node: Mapping[str, Any], plain: bool, names: Sequence[str], alone: bool) -> Any:
    """One call as Keras 1 and 2 write it: where its inputs come from, the first with the call's other arguments.

    plain: without a place for these where there are none, as Keras 1 has it. names: of the call's parameters; those of
    recurrent layers that are tensors are inputs beside the first. alone: of a function of TensorFlow, without a
    list around one input that is none, and the arguments beside each.
    """
    given = {**dict(zip(names, node["args"], strict=False)), **node["kwargs"]}
    given.pop("_outside", None)  # what the layer's methods name themselves
    if len(node["args"]) > len(names):  # of any number
        given |= {"*": node["args"][len(names) :]}
    first = [given.pop(names[0])] if names and names[0] in given else []
    beside = ("initial_state", "constants") if "initial_state" in names else ("*",)
    inputs = [*_histories(first), *_histories([given.pop(name, None) for name in beside])]
    found = [[*history, {}] for history in inputs]
    single = alone and len(found) < 2 and not (first and isinstance(first[0], (list, tuple)))
    if not found and first:
        found = [[CONSTANT, -1, first[0], {}]]
    told = {name: _referred(value) for name, value in given.items()}
    if first and len(found) == len(pytree.tree_leaves(first, _is_tensor)) and _is_nested(first[0]):
        return pytree.tree_map(lambda one: [*one["config"]["keras_history"], told], first[0], is_leaf=_is_tensor)
    for each in found[: None if alone else 1] if given else ():
        each[3] = told
    return found[0] if single else [history[:3] if plain and not history[3] else history for history in found]


def _histories(value: Any) -> Iterator[Any]:
    """Where all tensors of a structure come from."""
    for leaf in pytree.tree_leaves(value, _is_tensor):
        if _is_tensor(leaf):
            yield leaf["config"]["keras_history"]


def _referred(value: Any) -> Any:
    """The same with tensors as where they come from."""
    return pytree.tree_map(lambda leaf: next(_histories(leaf), leaf), value, is_leaf=_is_tensor)


def _is_nested(value: Any) -> bool:
    """Whether it is more than a list of tensors."""
    if isinstance(value, (list, tuple)):
        return not all(map(_is_tensor, value))
    return isinstance(value, Mapping) and not _is_tensor(value)


def _is_tensor(value: object) -> bool:
    return isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__"


def _listed(ends: Any) -> Any:
    if isinstance(ends, Mapping):
        return ends
    return [ends] if isinstance(ends[0], str) else list(ends)


# Base classes and functions -------------------------------------------------------------------------------------------
