"""Which loss and which metrics each output of a model gets: settled at the first batch, applied to every one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import losses as losses_module
from .. import metrics as metrics_module
from ..activations import LOG_SPACE
from ..core.arrays import alike
from ..core.declare import quoted, short
from ..core.masking import get_mask, set_mask
from ..core.scope import Watched
from ..core.serialize import home_of
from ..core.symbolic import in_order
from ..losses.base import object_name

# Structures of outputs ------------------------------------------------------------------------------------------------


def _is_nest(value: object) -> bool:
    return isinstance(value, (list, tuple, Mapping))


def _parts_of(outputs: Any) -> list:
    """What nested outputs hold at their top; nothing where they are one tensor."""
    return list(outputs.values() if isinstance(outputs, Mapping) else outputs) if _is_nest(outputs) else []


def match(value: Any, outputs: Any, names: Sequence[str] | None, what: str) -> list[Any]:
    """What `value` holds for each tensor in `outputs`, in order; None where it holds nothing for one.

    Lists go by position, in the order of the keys where the outputs are a dictionary, and may leave out what outputs
    are nested in; dictionaries by key or by the names of the outputs; anything else is meant for every output.
    Raises ValueError, calling `value` by the name `what`, where it does not fit.
    """
    if not _is_nest(outputs):
        if isinstance(value, Mapping) or (isinstance(value, (list, tuple)) and len(value) == 1):
            items = list(value.values()) if isinstance(value, Mapping) else value
            if len(items) != 1 or (isinstance(value, Mapping) and names and set(value) != set(names)):
                raise ValueError(f"{what}: the model has one output{_called(names)}; got entries for {_keys(value)}.")
            alone = what == "loss" and isinstance(items[0], (list, tuple)) and len(items[0]) == 1
            return [items[0][0] if alone else items[0]]
        if what in ("y", "loss", "loss_weights") and isinstance(value, (list, tuple)):
            raise ValueError(f"{what}: the model has one output{_called(names)}; got {len(value)} entries.")
        return [value]
    parts = _parts_of(outputs)
    if isinstance(value, Mapping):
        labels = list(outputs) if isinstance(outputs, Mapping) else list(names or ())
        _require_among(labels, value, what)
        picked = [value.get(label) for label in labels]
        if not isinstance(outputs, Mapping) and any(map(_is_nest, parts)):
            return in_place(picked, outputs)  # the model's names are those of single tensors
    elif isinstance(value, (list, tuple)) and _is_flat(value) and len(parts) != len(value) == len(leaves_of(outputs)):
        return in_place(value, outputs)
    elif isinstance(value, (list, tuple)):
        picked = _by_place(value, outputs, what)
    else:
        picked = [value] * len(parts)
    return [leaf for item, part in zip(picked, parts, strict=True) for leaf in _inside(item, part, what)]


def _inside(value: Any, part: Any, what: str) -> list[Any]:
    if isinstance(value, Mapping) and "class_name" not in value and not _is_nest(part):
        raise ValueError(f"{what}: {_keys(value)} cannot be found: what it is given for is one output, not several.")
    return match(value, part, None, what)


def _by_place(value: Sequence[Any], outputs: Any, what: str) -> list[Any]:
    if len(value) != len(outputs):
        raise ValueError(f"{what}: expected one entry for each of {len(outputs)} outputs; got {len(value)}.")
    if not isinstance(outputs, Mapping):
        return list(value)
    by_key = dict(zip(in_order(outputs), value, strict=True))
    return [by_key[key] for key in outputs]


def ways_of(outputs: Any, sort: bool = False) -> Iterator[tuple]:
    """The keys and places that lead to each tensor, in the order of `match`, or in that in which Keras sorts keys."""
    if not _is_nest(outputs):
        yield ()
        return
    keys = range(len(outputs)) if not isinstance(outputs, Mapping) else in_order(outputs) if sort else outputs
    for key in keys:
        yield from ((key, *way) for way in ways_of(outputs[key], sort))


def in_place(values: Iterable[Any], outputs: Any) -> list[Any]:
    """One value for each tensor in Keras' order, in that of `match`."""
    by_way = dict(zip(ways_of(outputs, sort=True), values, strict=True))
    return [by_way[way] for way in ways_of(outputs)]


def _walk(structure: Any, way: Iterable[Any]) -> Any:
    """What stands at the end of these keys and places."""
    for key in way:
        structure = structure[key]
    return structure


def _packed(leaves: Iterator[Any], outputs: Any) -> Any:
    """The next leaves in the structure of the outputs."""
    if not _is_nest(outputs):
        return next(leaves)
    if isinstance(outputs, Mapping):
        return {key: _packed(leaves, part) for key, part in outputs.items()}
    return alike(outputs, [_packed(leaves, part) for part in outputs])


def _is_flat(given: Iterable[Any]) -> bool:
    return not any(_is_nest(one) and not (isinstance(one, (list, tuple)) and len(one) == 1) for one in given)


def _assigned(losses: Any, outputs: Any, way: tuple = (), place: tuple = ()) -> Iterator[tuple[tuple, tuple, Any]]:
    """Of each single loss the way to what it judges, an output or a structure of outputs, and its own place in what
    was given. A list holds one entry for each output, or, beside what is no list, several losses of the same.

    Raises LookupError where a way leads nowhere.
    """
    if not _is_nest(losses) or (isinstance(losses, Mapping) and "class_name" in losses):
        if losses is not None:
            yield way, place, losses
        return
    keys = [*losses] if isinstance(losses, Mapping) else [*range(len(losses))]
    steps: list[tuple] = [(key,) for key in keys]
    if not isinstance(losses, Mapping):
        if _is_flat(losses) and len(losses) == len(leaves_of(outputs)):
            steps = [*ways_of(outputs, sort=True)]
        elif isinstance(losses, tuple) is not isinstance(outputs, tuple) or not isinstance(outputs, (list, tuple)):
            steps = [()] * len(keys) if way or len(keys) > 1 else steps
    if () not in steps and not (isinstance(outputs, Mapping) if isinstance(losses, Mapping) else _is_nest(outputs)):
        raise LookupError
    for key, step in zip(keys, steps, strict=True):
        yield from _assigned(losses[key], _walk(outputs, step), (*way, *step), (*place, key))


def _targets_of(asking: Sequence[Any], y: Any, outputs: Any, names: Sequence[str] | None) -> list[Any]:
    """The targets of each output. Those for the outputs alone that ask for some, with a loss or metrics, may come as a
    shorter list, or a single one by itself."""
    given = [y] if isinstance(y, Tensor) else y
    places = [place for place, one in enumerate(asking) if one is not None and one != []]
    if not places and len(asking) > 1:  # losses say whether they fit
        return [None] * len(asking)
    if not isinstance(given, (list, tuple)) or not len(given) == len(places) < len(asking) or not _is_flat(given):
        return match(y, outputs, names, "y")
    targets: list[Any] = [None] * len(asking)
    for place, target in zip(places, given, strict=True):
        targets[place] = target
    return targets


def entries(value: Any) -> Iterator[Any]:
    """The single losses, metrics or numbers in what was given to `compile`; a config counts as one."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from entries(item)
    elif isinstance(value, Mapping) and "class_name" not in value:
        for item in value.values():
            yield from entries(item)
    elif value is not None:
        yield value


def check_outputs(value: Any, outputs: Any, names: Sequence[str] | None, what: str) -> None:
    """Raises ValueError where a part of `value` is meant for an output that is not among `outputs`."""
    if value is None or outputs is None:
        return
    if len(leaves_of(outputs)) > 1:
        match(value, outputs, names, what)
    elif isinstance(value, Mapping):
        _require_among([*outputs] if isinstance(outputs, Mapping) else list(names or value), value, what)


def _require_among(labels: Sequence[Any], value: Iterable[Any], what: str) -> None:
    unknown = [str(key) for key in value if key not in labels]
    if unknown:
        known = quoted(map(str, labels))
        raise ValueError(f"{what}: the model has no output {quoted(unknown)}; its outputs are {known}.")


def _called(names: Sequence[str] | None) -> str:
    return f" {names[0]!r}" if names else ""


def _keys(value: Any) -> str:
    return quoted(map(str, value)) if isinstance(value, Mapping) else str(len(value))


def leaves_of(outputs: Any) -> list[Any]:
    """The tensors of nested outputs in the order of `match`."""
    if not _is_nest(outputs):
        return [outputs]
    return [leaf for part in _parts_of(outputs) for leaf in leaves_of(part)]


def _names_of(outputs: Any, names: Sequence[str] | None) -> list[str | None]:
    """A name for each output: its keys and places, the last place by what the model calls it there."""
    paths = list(ways_of(outputs))
    called = in_place(names, outputs) if names and len(names) == len(paths) else [None] * len(paths)
    found: list[str | None] = []
    for path, name in zip(paths, called, strict=True):
        own = path[-1:] if path and isinstance(path[-1], str) else [name] if name or len(path) < 2 else path[-1:]
        found.append("/".join(str(part) for part in (*path[:-1], *own) if part is not None) or None)
    return found


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(getattr(value, "shape", ()))


# Losses ---------------------------------------------------------------------------------------------------------------


@dataclass
class _Part:
    """One output's loss, its factor in the sum, and its forms for what a softmax or sigmoid is given."""

    name: str
    loss: Any
    factor: float | None = None
    way: tuple = ()  # to what it judges, where that is not one output alone
    tracker: Any = None
    forms: dict[Callable, Any] = field(init=False)

    def __post_init__(self) -> None:
        own = home_of(type(self.loss)) is not None  # a subclass may look at y_pred
        forms = {function: self.loss.on_logits(name) for function, name in LOG_SPACE.items()} if own else {}
        self.forms = {function: form for function, form in forms.items() if form is not None}


def _together(part: _Part, y: Any, y_pred: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    """What a loss of several outputs is given: functions of users the structures, others one array of all."""
    weights = leaves_of(sample_weight)
    sample_weight = weights[0] if all(one is weights[0] for one in weights) else torch.stack(weights)
    if part.loss._casts_targets:
        return y, y_pred, sample_weight
    shapes = [_shape(one) for one in leaves_of(y_pred)]
    if len({*shapes}) > 1:
        raise ValueError(f"loss: {part.name!r} is for outputs of one shape; got {shapes}. Give each a loss of its own.")
    return torch.stack(leaves_of(y)), torch.stack(leaves_of(y_pred)), sample_weight


class CompiledLoss:
    """The loss of a model: each output's loss, times its weight, summed."""

    of_structures = True  # a loss for nested outputs is given them all, once
    weighs_batches = True  # in the mean of an output's losses, by their sizes

    def __init__(self, loss: Any, loss_weights: Any = None, output_names: Sequence[str] | None = None):
        if loss_weights is not None and not isinstance(loss_weights, (list, tuple, Mapping, int, float)):
            got = short(loss_weights)
            raise ValueError(f"compile: `loss_weights` must be a number, a list or a dictionary; got {got}.")
        wrong = [item for item in entries(loss_weights) if not isinstance(item, (int, float, np.number, Tensor))]
        if wrong:
            raise ValueError(
                f"compile: `loss_weights` must hold numbers; got {short(wrong[0])}. Metrics are passed as `metrics=`."
            )
        for one in entries(loss):
            if isinstance(one, metrics_module.Metric):
                raise ValueError(f"compile: {short(one)} is a metric, which has no gradient; pass it as `metrics=`.")
            if not (isinstance(one, str) and one.lower() in ("crossentropy", "ce")):
                losses_module.get(one)
        self.loss, self.loss_weights, self.output_names = loss, loss_weights, output_names
        self.parts: list[_Part | None] = []
        self.more: list[_Part] = []  # those of structures of outputs, and further ones of an output
        self.metrics: list[Any] = []  # the mean of each output's own loss, where there are several
        self.asking: list[Any] = []  # True for each output that a loss judges
        self.built = False

    def build(self, y: Any, outputs: Any) -> None:
        """Settle which loss is whose. Raises ValueError where the losses do not fit the outputs."""
        names, ways = _names_of(outputs, self.output_names), [*ways_of(outputs)]
        assigned = [*self.assigned(outputs)]
        judged = {way for way, _, _ in assigned}
        self.asking = [next((True for size in range(len(way) + 1) if way[:size] in judged), None) for way in ways]
        targets = self._targets(y, outputs, self.asking)
        self.parts = [None] * len(ways)
        for way, identifier, factor in assigned:
            pred, place = _walk(outputs, way), ways.index(way) if way in ways else None
            if place is None:
                own, shapes = "/".join(map(str, way)) or "_".join(filter(None, names)), ((None,), (None,))
            else:
                own, shapes = names[place], (_shape(targets[place]), _shape(pred))
            loss = losses_module.resolve(identifier, *shapes)
            part = _Part(own or getattr(loss, "name", ""), loss, None if factor is None else float(factor), way)
            if place is None or self.parts[place] is not None:
                self.more.append(part)
            else:
                self.parts[place] = part
            if len(assigned) > 1:
                part.tracker = metrics_module.Mean(name=f"{part.name}_loss").to(leaves_of(pred)[0].device)
                self.metrics.append(part.tracker)
        self.built = True

    def assigned(self, outputs: Any) -> Iterator[tuple[tuple, Any, Any]]:
        """Each loss with the way to what it judges, and its weight. Raises ValueError where they fit no outputs."""
        ways, weights = [*ways_of(outputs)], self.loss_weights
        try:
            found = [*_assigned(self.loss, outputs)] if _is_nest(outputs) and _is_nest(self.loss) else []
        except LookupError:
            found = []
        own, judged = self._weights_of(found), [way for way, _, _ in found]
        if self.of_structures and len({*judged}.intersection(ways)) < len(judged):
            if own is None and _is_nest(weights):
                raise ValueError(f"loss_weights: expected the structure of `loss`; got {short(weights)}.")
            own = own or [weights] * len(found)
            yield from ((way, one, weight) for (way, _, one), weight in zip(found, own, strict=True))
            return
        given = dict(zip(ways, match(self.loss, outputs, self.output_names, "loss"), strict=True))
        if own is None:
            own, owners = match(weights, outputs, self.output_names, "loss_weights"), ways
        else:
            owners = judged
        by_way = dict(zip(owners, own, strict=True))
        for way in dict.fromkeys((*judged, *ways)):  # in the order of the losses, as in Keras
            if given.get(way) is not None:
                yield way, given[way], by_way.get(way)

    def _weights_of(self, found: list[tuple[tuple, tuple, Any]]) -> list[Any] | None:
        """The weights of these losses, where they stand as the losses do; None where they are those of outputs."""
        weights, places = self.loss_weights, [*ways_of(self.loss, sort=True)]
        alike_in_number = _is_nest(weights) and len([*ways_of(weights)]) == len(places)
        if not found or not alike_in_number or not self.of_structures:
            return None
        try:
            if isinstance(weights, (list, tuple)) and not any(map(_is_nest, weights)):
                by_place = dict(zip(places, weights, strict=True))
                return [by_place[place] for _, place, _ in found]
            values = [_walk(weights, place) for _, place, _ in found]
        except (LookupError, TypeError):
            return None
        return None if any(map(_is_nest, values)) else values

    def _targets(self, y: Any, outputs: Any, given: list[Any]) -> list[Any]:
        """The targets of each output."""
        if _is_nest(outputs) and isinstance(y, Tensor) and sum(loss is not None for loss in given) > 1:
            raise ValueError(f"y: expected targets for each of {len(given)} outputs; got one array.")
        targets = _targets_of(given, y, outputs, self.output_names)
        for place, loss in enumerate(given):
            if loss is not None and targets[place] is None:
                raise ValueError(
                    "y: the compiled loss needs targets, but there are none"
                    + (f" for output {place}." if len(given) > 1 else ". Pass `y`, or batches of (x, y).")
                )
        return targets

    def __call__(self, y: Any, outputs: Any, sample_weight: Any = None, scores: Sequence[Any] = ()) -> Tensor | None:
        """The sum; None where no output has a loss. `scores`: what was told on the way (see `Watched`)."""
        if not self.built:
            self.build(y, outputs)
        parts = self.parts
        if len(parts) == 1 and isinstance(y, Tensor) and isinstance(outputs, Tensor) and parts[0] is not None:
            return self._value(parts[0], y, outputs, sample_weight, scores)
        targets = self._targets(y, outputs, self.asking)
        weights = match(sample_weight, outputs, self.output_names, "sample_weight")
        total = None
        for part, true, pred, weight in zip(parts, targets, leaves_of(outputs), weights, strict=True):
            if part is not None:
                value = self._value(part, true, pred, weight, scores)
                total = value if total is None else total + value
        for part in self.more:
            true, weight = (_walk(_packed(iter(one), outputs), part.way) for one in (targets, weights))
            value = self._value(part, true, _walk(outputs, part.way), weight, scores)
            total = value if total is None else total + value
        return total

    def _value(self, part: _Part, y: Any, y_pred: Tensor, sample_weight: Any, scores: Sequence[Any]) -> Tensor:
        loss, given = part.loss, y_pred
        for result, before, last in scores:
            if result is y_pred and last.stands_for in part.forms:
                loss, given = part.forms[last.stands_for], before
                set_mask(given, get_mask(y_pred))
        if not isinstance(y_pred, Tensor):
            y, given, sample_weight = _together(part, y, y_pred, sample_weight)
        try:
            value = loss(y, given, sample_weight)
        except (IndexError, ValueError) as error:
            numbers = y if isinstance(y, Tensor) and y.numel() and not y.is_complex() else None
            if IndexError not in (type(error), type(error.__cause__)) or numbers is None:
                raise
            least, most, classes = int(numbers.min()), int(numbers.max()), y_pred.shape[-1]
            if 0 <= least and most < classes:  # the mistake is another one, in a loss of the user's own
                raise
            raise ValueError(_outside(least, most, classes)) from error
        if part.tracker is not None:
            rows = (y_pred if isinstance(y_pred, Tensor) else leaves_of(y_pred)[0]).shape[0]
            track(part.tracker, value, rows if self.weighs_batches else 1)
        return value if part.factor is None else value * part.factor

    def check_labels(self, y: Any, outputs: Any) -> None:
        """Raises ValueError where targets that should be class numbers are none, or beyond the classes.

        outputs: symbolic ones, or None where they are not known. What does not fit them is said in the first step.
        """
        try:
            losses = match(self.loss, y if outputs is None else outputs, self.output_names, "loss")
            targets = leaves_of(y) if outputs is None else self._targets(y, outputs, losses)
        except ValueError:
            return
        shapes = [None] * len(targets) if outputs is None else map(_shape, leaves_of(outputs))
        for identifier, labels, shape in zip(losses, targets, shapes, strict=False):
            if identifier is None or not isinstance(labels, Tensor) or not labels.numel():
                continue
            loss = losses_module.resolve(identifier, _shape(labels), shape or (None, None))
            options = losses_module.class_number_options(loss)
            if options is None:
                continue
            numbers = labels.long()
            if labels.is_floating_point():
                losses_module.require_whole(labels, numbers, object_name(loss))
            classes = shape[options.get("axis", -1)] if shape else None
            least, most = (int(one) for one in numbers.aminmax())
            if classes is not None and options.get("ignore_class") is None and (least < 0 or most >= classes):
                raise ValueError(_outside(least, most, classes))

    def uses(self, outputs: Any, scores: Iterable[tuple[Any, Any, Watched]]) -> set[Watched]:
        """Those whose results are outputs with a loss that can do with what they were given."""
        pairs = list(zip(self.parts, leaves_of(outputs), strict=True))
        return {
            last
            for result, _, last in scores
            if any(result is pred and part is not None and last.stands_for in part.forms for part, pred in pairs)
        }


def _outside(least: int, most: int, classes: int) -> str:
    return (
        f"y holds class {most if most >= classes else least}; the output has {classes} classes, 0 to {classes - 1}. "
        "Check the labels and the units of the last layer."
    )


def track(mean: Any, value: Tensor, rows: int) -> None:
    """Add the mean over `rows` samples to a running `Mean`, in place, without reading anything back."""
    if value.device != mean._device:
        mean.to(value.device)
    mean.total.add_(value.detach(), alpha=rows)
    mean.count.add_(rows)


# Metrics --------------------------------------------------------------------------------------------------------------


@dataclass
class _Measured:
    """The metrics of one output."""

    name: str | None
    metrics: list[Any] = field(default_factory=list)
    weighted: list[Any] = field(default_factory=list)


class CompiledMetrics:
    """All metrics given to `compile`, as one: `update_state`, `result` (a dictionary), `reset_state`."""

    name = "compile_metrics"
    tells_weighted = True
    names_places = False

    def __init__(self, metrics: Any, weighted_metrics: Any, output_names: Sequence[str] | None = None):
        for what, value in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if value is not None and not isinstance(value, (list, tuple, Mapping)):
                raise ValueError(f"compile: `{what}` must be a list or a dictionary; got {short(value)}.")
            for one in entries(value):
                if isinstance(one, str):
                    metrics_module.check_name(one)
                elif not callable(one) and not isinstance(one, (metrics_module.Metric, Mapping)):
                    metrics_module.get(one)
        self._given, self.output_names = (metrics, weighted_metrics), output_names
        self._parts: list[_Measured] = []
        self.built = False

    @property
    def metrics(self) -> list[Any]:
        return [
            *(metric for part in self._parts for metric in part.metrics),
            *(metric for part in self._parts for metric in part.weighted),
        ]

    @property
    def variables(self) -> list[Any]:
        return [variable for metric in self.metrics for variable in metric.variables]

    def build(self, y: Any, outputs: Any) -> None:
        """Settle which metric is whose. Raises ValueError where they do not fit the outputs."""
        leaves, targets = leaves_of(outputs), self._targets(y, outputs)
        names = _names_of(outputs, self.output_names)
        if any(map(_is_nest, _parts_of(outputs))):
            if self.output_names and len(self.output_names) == len(leaves):
                names = in_place(self.output_names, outputs)
            elif not self.names_places:  # in Keras 3 losses alone have their place in their name
                names = [None] * len(leaves)
        parts = [_Measured(name if len(leaves) > 1 else None) for name in names]
        for what, chosen in self._chosen(outputs):
            for part, identifiers, true, pred in zip(parts, chosen, targets, leaves, strict=True):
                group = part.metrics if what == "metrics" else part.weighted
                group += [self._metric(one, _shape(true), _shape(pred)) for one in identifiers]
        self._parts, self.built = parts, True
        self.reset_state()  # metric objects may come with state from elsewhere

    def _metric(self, given: Any, *shapes: tuple[int, ...]) -> Any:
        return metrics_module.resolve(given, *shapes)

    def _chosen(self, outputs: Any) -> Iterator[tuple[str, list[list[Any]]]]:
        """The metrics and the weighted ones of each output, as they were given."""
        for what, given in zip(("metrics", "weighted_metrics"), self._given, strict=True):
            check_outputs(given, outputs, self.output_names, what)
            if given and len(leaves_of(outputs)) == 1:
                yield what, [list(entries(given))]
            elif given:
                yield what, [list(entries(one)) for one in match(given, outputs, self.output_names, what)]

    def _targets(self, y: Any, outputs: Any) -> list[Any]:
        """The targets of each output. Raises ValueError where an output with metrics has none."""
        given = [what for _, what in self._chosen(outputs)]
        asking = [[*chain(*lists)] for lists in zip(*given, strict=True)] or [[] for _ in leaves_of(outputs)]
        targets = _targets_of(asking, y, outputs, self.output_names)
        for what, chosen in self._chosen(outputs):
            for name, identifiers, true in zip(_names_of(outputs, self.output_names), chosen, targets, strict=True):
                if identifiers and true is None:
                    raise ValueError(f"y: `{what}` need targets, but there are none for output {name!r}.")
        return targets

    def check_targets(self, y: Any, outputs: Any) -> None:
        """Raises ValueError where targets are missing. outputs: symbolic ones, None where they are not known."""
        if outputs is not None:
            self._targets(y, outputs)

    def update_state(self, y: Any, outputs: Any, sample_weight: Any = None) -> None:
        if not self.built:
            self.build(y, outputs)
        parts = self._parts
        if len(parts) == 1 and isinstance(y, Tensor) and isinstance(outputs, Tensor):
            self._update(parts[0], y, outputs, sample_weight)
            return
        targets = _targets_of([part.metrics + part.weighted for part in parts], y, outputs, self.output_names)
        weights = match(sample_weight, outputs, self.output_names, "sample_weight")
        for part, true, pred, weight in zip(parts, targets, leaves_of(outputs), weights, strict=True):
            self._update(part, true, pred, weight)

    def _update(self, part: _Measured, y: Any, y_pred: Any, sample_weight: Any) -> None:
        for metric in part.metrics:
            metric.update_state(y, y_pred)
        for metric in part.weighted:
            metric.update_state(y, y_pred, sample_weight=sample_weight)

    def result(self) -> dict[str, Any]:
        """The values by name: `output_metric` where there are several outputs. A name in use becomes `metric_1`, that
        of a weighted metric first `weighted_metric`."""
        results: dict[str, Any] = {}
        for name, metric in self._named():
            results[name] = metric.result()
        return results

    def _named(self) -> Iterator[tuple[str, Any]]:
        taken: set[str] = set()
        for prefix, metric, weighted in self._listed():
            name = base = f"{prefix}{metric.name}"
            if weighted and self.tells_weighted and name in taken:
                name = base = f"{prefix}weighted_{metric.name}"
            count = 1
            while name in taken:
                name, count = f"{base}_{count}", count + 1
            taken.add(name)
            yield name, metric

    def _listed(self) -> Iterator[tuple[str, Any, bool]]:
        """All metrics, with what the name of each begins with, and whether it is weighted."""
        for weighted in (False, True):
            for part in self._parts:
                for metric in part.weighted if weighted else part.metrics:
                    yield f"{part.name}_" if part.name else "", metric, weighted

    def reset_state(self) -> None:
        for metric in self.metrics:
            metric.reset_state()
