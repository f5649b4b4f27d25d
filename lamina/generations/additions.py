"""Losses and metrics that code of the older generations adds: in a layer's call, or to a finished model as symbolic
tensors, which the model then computes beside its outputs."""

from __future__ import annotations

import inspect
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils import _pytree as pytree

from .. import metrics
from ..core import care
from ..core.care import Changes
from ..core.declare import short
from ..core.errors import named
from ..core.graph import Graph, Node, Plan
from ..core.layer import Layer, scope, unique_name
from ..core.operation import Operation
from ..core.scope import put
from ..core.symbolic import SymbolicTensor
from ..initializers import Initializer
from ..layers import Input
from .habits import Habits, leaving
from .tensors import names_symbols, nodes_before
from .updates import Expression, Standing, builds, once

_Modern: Any = object  # the modern class, which comes behind in the classes made

_BY_NAME = ("name", "shape", "dtype", "initializer", "regularizer", "trainable", "constraint")
_BY_SHAPE = ("shape", "initializer", "name", "trainable", "regularizer", "constraint")
_WHERE_IT_LIES = ("use_resource", "partitioner", "collections", "caching_device", "getter")  # in TensorFlow


class Adds(Habits):
    """The old words of a layer's `add_weight`, `add_loss` and `add_metric`."""

    _mask_beside_others = True
    _compute_dtype = property(lambda self: self.compute_dtype)
    _track_trackable = staticmethod(lambda trackable, *_, **__: trackable)  # an attribute is tracked as it is set

    def add_weight(self, *args: Any, **kwargs: Any) -> Any:
        """By position either name, shape, dtype, initializer, ... as in Keras 2, or shape, initializer, name, ... as in
        Keras 1."""
        order = _BY_NAME if args and isinstance(args[0], (str, type(None))) else _BY_SHAPE
        given = {**dict(zip(order, args, strict=False)), **kwargs}
        given["autocast"] = given.pop("experimental_autocast", given.get("autocast", True))
        synchronization = given.pop("synchronization", None)  # of replicas; what they only read is not trained
        if given.get("trainable", True) is None:
            given["trainable"] = synchronization != "on_read"
        given["initializer"] = _of_shape(given.get("initializer"))
        given["name"] = given.get("name") or "Variable"
        return super().add_weight(**{key: value for key, value in given.items() if key not in _WHERE_IT_LIES})

    def __init_subclass__(cls, **kwargs: Any) -> None:
        dialect: Any = getattr(cls, "_dialect", None)
        cls._sorts_keys = getattr(getattr(dialect, "table", None), "shares_modern", False)
        build: Any = vars(cls).get("build")
        own = build and not str(build.__module__).startswith("lamina.")
        if own:  # what it computes of weights was computed once and for all, but in a static graph
            cls.build = torch.no_grad()(build) if dialect.table.shares_modern else once(build)
        call: Any = vars(cls).get("call")
        if call and not str(call.__module__).startswith("lamina."):
            cls._rule_is_second = dialect.table.shares_modern
            cls._casts_all = not dialect.table.shares_modern
            if not dialect.table.shares_modern:
                cls.compute_output_spec = leaving(cls.compute_output_spec)
        super().__init_subclass__(**kwargs)

    _names_of_time: frozenset[str] = frozenset()  # of attributes that the generation alone has
    _standing: tuple[Any, ...] = ()  # losses that `build` added, and that count in every step

    def penalized_weights(self) -> list[Any]:
        """Frozen ones count, too; so do losses that stand as if they were those of a weight."""
        weights = [weight for weight in self.weights if getattr(weight, "regularizer", None) is not None]
        return [*weights, *(one for layer in self._flat_layers() for one in getattr(layer, "_standing", ()))]

    def _write_weight(self, name: str, value: Any) -> bool:
        """What is computed of weights outside of calls stands in for a weight from then on."""
        if name in self._names_of_time:
            value = self._as_today(name, value)
        if isinstance(value, Expression) and (own := self._kept_as(name)) in self._parameters:
            self._let_stand_in()
            self._parameters.put(own, value)
            return True
        return super()._write_weight(name, value)

    _loss_functions: tuple[Callable[[], Tensor], ...] = ()

    def weight_losses(self) -> list[Tensor]:
        """Those of the weights' regularizers, and of functions."""
        asked = [function() for layer in self._flat_layers() for function in getattr(layer, "_loss_functions", ())]
        return super().weight_losses() + asked

    def add_loss(self, losses: Any, inputs: Any = None) -> None:
        """`inputs` says what a loss depends on, for `get_losses_for`. A function without arguments is asked anew each
        time, one that a call adds within it alone. What `build` of Keras 1 and 2 adds counts in every step.

        Raises ValueError for a tensor in `build` of tf.keras, where it is computed once and for all.
        """
        functions, losses = _apart(losses)
        if scope.depth and not self._building:
            losses += [function() for function in functions]
        elif functions:
            self.__dict__["_loss_functions"] = (*self._loss_functions, *functions)
            self.__dict__["_care"] |= care.ADDS
            Changes.note(self)
        if not losses:
            return
        losses = _constants(losses, torch.tensor)
        if self._building and self._dialect.table.shares_modern and not scope.trying:
            raise ValueError(
                f"{named(self)}: `add_loss` in `build` got a value computed once and for all. Add the loss in `call`, "
                "or give the weight a `regularizer=` in `add_weight`."
            )
        if builds():
            self._standing += tuple(Standing(one) for one in pytree.tree_leaves(losses) if one is not None)
            return
        count = len(self._losses)
        super().add_loss(losses)
        if inputs is None:
            self._keep_latest("_free_losses", self._losses[count:])

    def add_metric(self, value: Any, name: str | None = None, aggregation: str | None = "mean") -> None:
        """Add a value of the call in progress to the mean that logs show as `name`; a metric's is the metric's own."""
        if "_added_metrics" not in vars(self):
            self.__dict__.update(_added_metrics={}, _may_count=True)  # their states are no weights
        own: dict[str | None, Any] = self._added_metrics
        metric = getattr(value, "_metric_obj", None)
        if metric is not None:
            own[metric.name] = metric
            return
        if not isinstance(value, Tensor):
            raise ValueError(f"{named(self)}: `add_metric` takes tensors computed in `call`; got {short(value)}.")
        if name not in own:
            own[name] = _mean(self, name, aggregation)
        if not isinstance(value, FakeTensor):  # while shapes are inferred
            own[name].update_state(value)


def _constants(losses: Any, make: Callable[[float], Any]) -> Any:
    """Losses with what `make` makes of a number in its place."""
    return pytree.tree_map(lambda one: make(float(one)) if isinstance(one, (int, float)) else one, losses)


def _giving(value: float) -> Callable[[], Tensor]:
    return lambda: torch.tensor(value)


def _apart(losses: Any) -> tuple[list[Any], list[Any]]:
    """Those that are functions, and the others."""
    items = [item for item in pytree.tree_leaves(losses) if item is not None]
    functions = [item for item in items if callable(item) and not isinstance(item, (Tensor, SymbolicTensor))]
    return functions, [item for item in items if all(item is not function for function in functions)]


def _of_shape(initializer: Any) -> Any:
    """An initializer that is called with a shape and a type, of one that may be written for the shape alone."""
    if isinstance(initializer, (type(None), str, Mapping, type, Initializer)) or not callable(initializer):
        return initializer
    try:
        taken = inspect.signature(initializer).parameters.values()
    except (TypeError, ValueError):
        return initializer
    if any(p.name == "dtype" or p.kind is p.VAR_KEYWORD for p in taken):
        return initializer
    named_too = any(p.name == "name" and p.default is p.empty for p in taken)

    def first(shape: Any, dtype: Any = None) -> Any:
        return initializer(shape, name=None) if named_too else initializer(shape)

    return first


def _mean(owner: Any, name: str | None, aggregation: str | None) -> Any:
    if aggregation not in ("mean", None) or not isinstance(name, str):
        raise ValueError(
            f"{named(owner)}: `add_metric` takes a `name` and aggregation='mean'; got name={short(name)}, "
            f"aggregation={short(aggregation)}."
        )
    return metrics.Mean(name=name)


class Addition(Layer):
    """Gives back its first input, and does something with a value computed beside it."""

    _autocast = _creates_mask = False
    supports_masking = True

    def __init__(self, value: Any, act: Callable[[Layer, Any], None], metric: Any = None):
        super().__init__(name=unique_name("add_loss" if metric is None else "add_metric"))
        vars(self).update(value=value, act=act, metric=metric)
        if isinstance(metric, metrics.Metric):
            self.metric = metric  # set as others are, so that models look for it
        if metric is None:
            self.__dict__["_care"] |= care.ADDS
        if metric is None and isinstance(value, SymbolicTensor):
            self._losses.append(value)  # until the first call there is no other
        self._finish_build()

    def call(self, outputs: Any, value: Any = None) -> Any:
        self.act(self, value)
        return outputs

    def compute_output_spec(self, outputs: Any, value: Any = None) -> Any:
        return SymbolicTensor(outputs.shape, outputs.torch_dtype)

    def behind(self, output: Any) -> Any:
        """`output`, resting on this addition."""
        self._nodes.clear()
        return self(output, self.value)

    def on(self, value: Any) -> Addition:
        """The same for another value."""
        metric = None if self.metric is None else metrics.Mean(name=self.metric.name)
        return Addition(value, self.act, metric)


class Held(Addition):
    """Keeps the value for a loss that rests on it."""

    def __init__(self, value: SymbolicTensor):
        super().__init__(value, _keep, self)
        vars(self)["kept"] = threading.local()


def _keep(layer: Any, value: Any) -> None:
    layer.kept.value = value


class Resting:
    """A loss or metric in which symbolic tensors of the model stand beside `y_true` and `y_pred`.

    What does not rest on `y_true` the model computes beside its outputs; `held` are the additions that do so.
    """

    def __init__(self, function: Callable, output: SymbolicTensor):
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        target = Input(batch_shape=output.shape)
        value = function(target, output)
        nodes = {id(tensor): node for node in nodes_before(value) for tensor in pytree.tree_leaves(node.outputs)}
        resting: dict[int, bool] = {id(target): True}

        def rests(tensor: SymbolicTensor) -> bool:
            if id(tensor) not in resting:
                resting[id(tensor)] = sum(map(rests, nodes[id(tensor)].inputs)) > 0  # asks all
            return resting[id(tensor)]

        rests(value)
        readers = [node for key, node in nodes.items() if resting.get(key)]
        apart = {id(each): each for node in readers for each in node.inputs if not resting[id(each)]}
        if not resting[id(value)]:
            apart = {id(value): value}
        self._output = list(apart).index(id(output)) if id(output) in apart else None
        self.held = [Held(each) for key, each in apart.items() if key != id(output)]
        self._plan = Plan(Graph([target, *apart.values()], value, self.__name__)) if resting[id(value)] else None

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        values = [held.kept.value for held in self.held]
        if self._plan is None:
            return values[0]
        if self._output is not None:
            values.insert(self._output, y_pred)
        return self._plan.run(y_true, *values)


def _as_loss(layer: Any, value: Any) -> None:
    layer.add_loss(value)


def _as_metric(layer: Any, value: Any) -> None:
    layer.metric.update_state(value)


def _penalties_to_come(graph: Graph) -> Iterator[Any]:
    for node in graph.nodes:
        layer, inside = node.layer, getattr(node.layer, "_graph", None)
        if inside is not None:
            yield from _penalties_to_come(inside)
        elif layer.activity_regularizer is not None and not layer._losses:
            yield from map(layer.activity_regularizer, pytree.tree_leaves(node.outputs))


class AddsBeside(Adds):
    """A functional or sequential model whose plan goes on to what was added. Its graph is that of its outputs alone."""

    _added: tuple[Addition, ...] = ()
    _keywords_sorted = False
    _whole_graph: Any = None
    _beside: tuple[Layer, ...] = ()  # layers that only what was added rests on
    _told = False
    _held: tuple[Held, ...] = ()

    @property
    def losses(self) -> list[Any]:
        """As today's; until a call has given values, penalties of activities are symbolic in Keras 1 and 2."""
        graph = None if self._dialect.table.shares_modern else self._graph
        return [*super().losses, *(() if graph is None else _penalties_to_come(graph))]

    def resting(self, given: dict[str, Any]) -> dict[str, Any]:
        """What `compile` is to be told, with functions that know their values for losses and metrics that name symbolic
        tensors of the model."""
        asked = {what: given.get(what) for what in ("loss", "metrics", "weighted_metrics")}
        asked = {what: value for what, value in asked.items() if names_symbols(value)}
        if self._graph is None or not asked:
            return given
        held: list[Held] = []

        def rest(value: Any, output: Any) -> Any:
            if isinstance(value, (list, tuple)):
                return [rest(each, output) for each in value]
            if not callable(value) or not names_symbols(value):
                return value
            made = Resting(value, output)
            held.extend(made.held)
            return made

        outputs = self.outputs
        names = dict(zip(self.output_names, outputs, strict=True))
        found = dict(given)
        for what, value in asked.items():
            if isinstance(value, Mapping):
                found[what] = {key: rest(each, names[key]) for key, each in value.items()}
            elif len(outputs) == 1:
                found[what] = rest(value, outputs[0])
            else:
                each = value if isinstance(value, (list, tuple)) else [value] * len(outputs)
                found[what] = [rest(one, output) for one, output in zip(each, outputs, strict=True)]
        self.__dict__["_held"] = tuple(held)
        self._remake()
        return found

    def add_loss(self, losses: Any, inputs: Any = None) -> None:
        """Add symbolic tensors, which rest on the model's inputs, or functions without arguments to the model's loss.

        In a call, or in a training step of one's own, it takes tensors, as that of layers.
        """
        functions, items = _apart(_constants(losses, _giving))
        super().add_loss(functions)
        if items and all(isinstance(item, Tensor) for item in items):
            if scope.depth == 0 and not self._overrides("train_step"):
                raise ValueError(
                    f"{named(self)}: `add_loss` got a tensor of values, computed once and for all. Give it a symbolic "
                    "tensor that rests on the model's inputs; for a loss of weights alone, a regularizer or a function "
                    "without arguments."
                )
            super().add_loss(items)
            return
        self._add([Addition(self._checked(item, "add_loss"), _as_loss) for item in items])

    def add_metric(self, value: Any, name: str | None = None, aggregation: str | None = "mean") -> None:
        """Show the mean of a symbolic tensor, which rests on the model's inputs, in logs as `name`."""
        if isinstance(value, Tensor):
            super().add_metric(value, name, aggregation)
            return
        value = self._checked(value, "add_metric")
        self._add([Addition(value, _as_metric, vars(value).get("_metric_obj") or _mean(self, name, aggregation))])

    def _checked(self, value: Any, method: str) -> Any:
        if not isinstance(value, SymbolicTensor):
            raise ValueError(
                f"{named(self)}: `{method}` takes symbolic tensors that rest on the model's inputs; got {short(value)}."
            )
        if self._graph is None:
            raise ValueError(f"{named(self)}: `{method}` needs a model whose input shape is known; add an Input first.")
        return value

    def _add(self, additions: list[Addition]) -> None:
        self._whole((*self._added, *additions))  # raises where a value does not rest on the inputs
        self.__dict__["_added"] = (*self._added, *additions)
        self._remake()

    def _remake(self) -> None:
        Changes.note(self)
        self._make_plan()

    def _whole(self, added: tuple[Addition, ...]) -> Graph:
        leaves, spec = pytree.tree_flatten(self._output_structure)
        for addition in added:
            leaves[0] = addition.behind(leaves[0])
        outputs = pytree.tree_unflatten(leaves, spec)
        alone = isinstance(outputs, (list, tuple)) and len(outputs) == 1
        return Graph(self._input_structure, outputs[0] if alone else outputs, named(self), self._keywords_sorted)

    @property
    def layers(self) -> list[Layer]:
        return [*super().layers, *self._beside]

    def _with_all(self) -> AbstractContextManager[None]:
        """Inside, the graph is the whole one."""
        return put(self, _graph=self._whole_graph or self._graph)

    def _make_plan(self) -> Any:
        if self._added or self._held:
            whole, own = self._whole((*self._added, *self._held)), {id(layer) for layer in self._graph.layers}
            beside = [layer for layer in whole.layers if id(layer) not in own]
            self._register(beside)
            self.__dict__["_beside"] = tuple(one for one in beside if not isinstance(one, (Operation, Addition)))
            self.__dict__["_whole_graph"] = whole
        with self._with_all():
            return super()._make_plan()

    def _call_masked(self, inputs: Any, mask: Any) -> Any:
        with self._with_all():
            return super()._call_masked(inputs, mask)

    def _apply(self, fn: Callable, recurse: bool = True) -> Any:
        with self._with_all():
            return super()._apply(fn, recurse)

    def nodes_to_copy(self) -> list[Node]:
        if not self._added and not self._held:
            return super().nodes_to_copy()
        return [node for node in self._whole_graph.nodes if not isinstance(node.layer, Addition)]

    def finish_copy(self, made: Any, counterpart: Callable[[Any], Any] | None) -> None:
        made.add_loss([*self._loss_functions])
        if not self._added:
            return
        if counterpart is None:
            raise ValueError(
                f"clone_model: {named(self)} has added losses or metrics; make it a functional model for that."
            )
        made._add([addition.on(counterpart(addition.value)) for addition in self._added])

    def _tell_of_added(self) -> None:
        """Warn, once, that a config leaves out what was added."""
        if (self._added or self._loss_functions) and not self._told:
            self.__dict__["_told"] = True
            warnings.warn(
                f"{named(self)}: its config, and so its files, leave out what `add_loss` and `add_metric` added. Add "
                "it again to the model that is loaded.",
                stacklevel=3,
            )
