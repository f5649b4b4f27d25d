"""`class_weight` and `sample_weight` as Keras 1 and 2 take them: by output, and both at once."""

from __future__ import annotations

import copy
import functools
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .. import losses, metrics
from ..activations import LOG_SPACE
from ..core import shares
from ..core.errors import short
from ..core.masking import get_mask, set_mask
from ..core.scope import put
from ..training.compiled import Compiled
from ..training.data import PyDataset, class_weights
from ..training.objective import CompiledLoss, CompiledMetrics, in_place, leaves_of, match, ways_of
from . import losses as losses_of
from .activations import ALL_FINDERS


def _by_output(given: Any, names: Sequence[str], what: str) -> list[Any]:
    """What is given for each output. Raises ValueError for a list of another length, TypeError for what is neither a
    list nor a dictionary where there are several outputs."""
    if given is None or (isinstance(given, (list, tuple, Mapping)) and not len(given)):
        return [None] * len(names)
    if len(names) == 1:
        if isinstance(given, (list, tuple)) and len(given) == 1:
            return [given[0]]
        return [given[names[0]] if isinstance(given, Mapping) and names[0] in given else given]
    if isinstance(given, Mapping):
        return [given.get(name) for name in names]
    if not isinstance(given, (list, tuple)):
        raise TypeError(f"`{what}` of a model with several outputs must be a list or a dictionary; got {short(given)}.")
    if len(given) != len(names):
        raise ValueError(f"`{what}` has {len(given)} entries; the model has {len(names)} outputs.")
    return list(given)


def _of_classes(y: Any, weights: Any) -> Any:
    """A weight for each sample, by its class; None where the weights say nothing, as "auto" does.

    Raises ValueError for targets of more than two axes, and for classes without a weight.
    """
    if not isinstance(weights, Mapping):
        if weights is not None and not isinstance(weights, str):
            warnings.warn("`class_weight` has no effect here unless it is a dictionary, as in Keras 2", stacklevel=2)
        return None
    y = np.asarray(y)
    if y.ndim > 2:
        raise ValueError(f"`class_weight` not supported for 3+ dimensional targets; got shape {y.shape}.")
    classes = y.reshape(len(y)) if y.ndim < 2 or y.shape[1] == 1 else y.argmax(1)
    missing = sorted({one.item() for one in classes} - {*weights})
    if missing:
        raise ValueError(f"`class_weight` must contain all classes in the data; it has none for {missing}.")
    return np.asarray([weights[one] for one in classes.tolist()], "float32")


def weighted(names: Sequence[str], y: Any, sample_weight: Any, class_weight: Any, both: bool = True) -> Any:
    """Sample weights that hold the weights of classes, in the structure of the outputs; None for none.

    both: False where samples that have weights of their own are weighed by these alone.
    """
    targets = _by_output(y, names, "y") if len(names) > 1 else [y[0] if isinstance(y, list) and len(y) == 1 else y]
    samples, classes = (
        _by_output(given, names, what)
        for given, what in ((sample_weight, "sample_weight"), (class_weight, "class_weight"))
    )
    found = []
    for target, sample, of_classes in zip(targets, samples, classes, strict=True):
        own = _of_classes(target, of_classes)
        found.append(own if sample is None else sample if own is None or not both else np.asarray(sample) * own)
    if all(one is None for one in found):
        return None
    if len(names) == 1:
        return found[0]
    return [np.ones(len(y), "float32") if one is None else one for one, y in zip(found, targets, strict=True)]


class Weighted(PyDataset):
    """The batches of a dataset, with the weights of classes."""

    def __init__(self, data: Any, names: Sequence[str], class_weight: Any, both: bool):
        super().__init__()
        self.data, self.names, self.class_weight, self.both = data, names, class_weight, both

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Any:
        return self.of(self.data[index])

    def of(self, batch: Any) -> Any:
        x, y, *more = batch
        return x, y, weighted(self.names, y, more[0] if more else None, self.class_weight, self.both)

    def on_epoch_end(self) -> None:
        if hasattr(self.data, "on_epoch_end"):
            self.data.on_epoch_end()

    def each(self) -> Iterator[Any]:
        return map(self.of, self.data)


def weigh(names: Sequence[str], given: dict[str, Any], both: bool) -> dict[str, Any]:
    """The arguments of `fit` or `train_on_batch`, with the weights of classes in those of samples."""
    class_weight = given.get("class_weight")
    if class_weight is None:
        return given
    given = {**given, "class_weight": None}
    if isinstance(class_weight, str):
        return given  # "auto", which says nothing in the originals
    if not hasattr(class_weight, "__len__"):
        raise TypeError(f"`class_weight` must be a dictionary from classes to weights; got {short(class_weight)}.")
    x = given["x"]
    if isinstance(given.get("y"), (list, tuple, Mapping)) or hasattr(given.get("y"), "shape"):
        given["sample_weight"] = weighted(names, given["y"], given.get("sample_weight"), class_weight, both)
    elif hasattr(x, "__getitem__") and hasattr(x, "__len__"):
        given["x"] = Weighted(x, names, class_weight, both)
    else:
        given["x"] = Weighted(x, names, class_weight, both).each()
    return given


def weigh_both(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `fit` or `train_on_batch` of tf.keras, with a sample's weight times that of its class."""
    if not hasattr(given["y"], "shape"):
        return given
    classes = class_weights(torch.as_tensor(given["y"]), given["class_weight"])
    samples = torch.as_tensor(given["sample_weight"]).to(classes)
    behind = classes.ndim - samples.ndim
    samples, classes = (
        each.reshape(*each.shape, *(1,) * more) for each, more in ((samples, behind), (classes, -behind))
    )
    return {**given, "class_weight": None, "sample_weight": samples * classes}


def spread(given: Any, outputs: Any) -> Any:
    """Metrics in a plain list, for each of several outputs, objects copied; others as they are given."""
    count = len(leaves_of(outputs))
    plain = isinstance(given, (list, tuple)) and not any(isinstance(one, (list, tuple, Mapping)) for one in given)
    if count == 1 or not plain or any(isinstance(one, (list, tuple, Mapping)) for one in outputs):
        return given

    def copied(one: Any) -> Any:
        return type(one).from_config(one.get_config()) if isinstance(one, metrics.Metric) else one

    each = [[*map(copied, given)] for _ in range(count)]
    return dict(zip(outputs, each, strict=True)) if isinstance(outputs, Mapping) else each


def _refuse_doubles(objects: Sequence[Any]) -> None:
    """Raises ValueError for a metric that stands in two places: it would mean both."""
    twice = next((one for place, one in enumerate(objects) if any(one is other for other in objects[:place])), None)
    if twice is not None:
        raise ValueError(f"compile: the metric {twice.name!r} stands in two places; give each output one of its own.")


class _NamesOutputs:
    """Outputs that no layer names are `output_1`, `output_2`, ..."""

    output_names: Any

    def build(self, y: Any, outputs: Any) -> None:
        if self.output_names is None and isinstance(outputs, (list, tuple)) and len(outputs) > 1:
            self.output_names = [f"output_{number + 1}" for number in range(len(outputs))]
        super().build(y, outputs)  # pyright: ignore[reportAttributeAccessIssue]


def _beside(y: object, y_pred: object) -> object:
    """Targets of one axis are a column beside outputs of two, as a user's functions have them in the originals."""
    if isinstance(y, Tensor) and isinstance(y_pred, Tensor) and y.ndim == 1 and y_pred.ndim == 2:
        return y[:, None]
    return y


def _mean(function: Callable[..., Tensor], y_true: Tensor, y_pred: Tensor, **options: object) -> Tensor:
    value = function(y_true, y_pred, **options)
    return value.mean(-1) if value.ndim == y_pred.ndim > 1 else value


def _over_features(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A loss of samples, or of steps, where a user's function may give one for each feature."""
    known = function in losses_of.TODAY or function in losses_of.COMPARED.values()
    ours = known or (getattr(function, "__module__", "") or "").startswith("lamina.losses")
    if ours or isinstance(function, losses.Loss):
        return function
    return functools.update_wrapper(functools.partial(_mean, function), function)


class NamedLoss(_NamesOutputs, CompiledLoss):
    """The loss of functions of the time."""

    of_structures = False
    by_words = False  # crossentropies find the scores behind what they are of, a softmax or a sigmoid
    leaves_out_zeros = False

    def build(self, y: Any, outputs: Any) -> None:
        super().build(y, outputs)
        measured = [part for part in self.parts if part is not None]
        if len(self.parts) > 1 and len(measured) == 1:  # shown also where it is the only one
            device = leaves_of(outputs)[0].device
            measured[0].tracker = metrics.Mean(name=f"{measured[0].name}_loss").to(device)
            self.metrics.append(measured[0].tracker)
        for part in measured:
            if isinstance(part.loss, losses.LossFunctionWrapper):  # others may have an `fn` of any kind
                part.loss = copy.copy(part.loss)
                part.loss.fn = _over_features(part.loss.fn)

    def uses(self, outputs: Any, scores: Iterable[tuple[Any, Any, Any]]) -> set[Any]:
        scores, own = list(scores), zip(self.parts, leaves_of(outputs), strict=True)
        asking = [output for part, output in own if part is not None and _of_users(part.loss)]
        found = {last for result, _, last in scores if any(result is output for output in asking)}
        return super().uses(outputs, scores) | found

    def _value(self, part: Any, y: object, y_pred: Tensor, sample_weight: object, scores: Sequence[Any]) -> Tensor:
        for result, before, last in scores:
            if result is y_pred:
                vars(y_pred)["_keras_logits"] = dict.fromkeys(self._words_for(last.stands_for, y_pred), before)
        return super()._value(part, _beside(y, y_pred), y_pred, sample_weight, scores)

    def _words_for(self, last: Any, y_pred: Tensor) -> Iterable[str]:
        """Whose crossentropies, "softmax" or "sigmoid", a function of users finds the scores with that this made."""
        if not self.by_words:
            return ALL_FINDERS
        written_out = self.leaves_out_zeros or (y_pred.ndim > 2 and LOG_SPACE[last] == "softmax")
        return () if written_out else (LOG_SPACE[last],)


def _of_users(loss: Any) -> bool:
    function = getattr(loss, "fn", type(loss))
    return not (getattr(function, "__module__", "") or "").startswith("lamina.")


def _as_of_the_time(measure: Any, last: Any = None) -> dict[str, Any]:
    """What a loss has otherwise in tf.keras and Keras 2, a metric in tf.keras; `last`: given the scores before that."""
    fn: Any = getattr(measure, "fn", None)
    if isinstance(fn, losses.Loss):
        return {"fn": _copied(fn, last)} if _as_of_the_time(fn) else {}
    own = losses_of.OF_SCORES.get(fn)
    if last is None or own is None:
        return {} if own is None else {"fn": own}
    if own is losses_of.binary_focal_crossentropy:
        return {"fn": lambda y_true, scores, **options: own(y_true, last(scores), scores=scores, **options)}
    return {"_kwargs": {**measure._kwargs, "from_logits": True}}


def _copied(measure: Any, last: Any = None) -> Any:
    made = copy.copy(measure)
    vars(made).update(_as_of_the_time(measure, last))
    return made


class _ByLayers:
    """Results of several outputs are named after the layers that give these, whatever keys a dictionary has for them,
    and come in the order of the keys (tf.keras)."""

    output_names: Any

    def _name_parts(self, parts: Sequence[Any], outputs: Any) -> list[Any]:
        """The parts in that order."""
        paths = list(ways_of(outputs))
        if self.output_names and len(self.output_names) == len(parts) > 1:
            for part, name in zip(parts, in_place(self.output_names, outputs), strict=True):
                if part is not None:
                    part.name = name
        return [parts[place] for place in sorted(range(len(parts)), key=paths.__getitem__)]


class LossOfScores(_ByLayers, NamedLoss):
    """In tf.keras crossentropies, as losses and as metrics, find the scores behind a softmax or sigmoid, whichever of
    the two it is and whatever `from_logits` says: binary crossentropy of a softmax is that of the scores one by one."""

    beside: MetricsOfScores | None = None  # the metrics that were compiled with it

    def _value(self, part: Any, y: object, y_pred: Tensor, sample_weight: object, scores: Sequence[object]) -> Tensor:
        return super()._value(part, y, y_pred, of_steps(sample_weight, y_pred), scores)

    def build(self, y: Any, outputs: Any) -> None:
        super().build(y, outputs)
        measured = [part for part in self._name_parts(self.parts, outputs) if part is not None and part.tracker]
        self.metrics = [part.tracker for part in measured]
        for part in measured:
            part.tracker.name = f"{part.name}_loss"
        if self.beside is not None and not self.beside.built:
            self.beside.build(y, outputs)
        for part in self.parts:
            if part is not None and _as_of_the_time(part.loss):
                part.forms = {last: _copied(part.loss, last) for last in LOG_SPACE}
                part.loss = _copied(part.loss)

    def uses(self, outputs: Any, scores: Iterable[tuple[Any, Any, Any]]) -> set[Any]:
        scores = list(scores)
        measured = [] if self.beside is None else self.beside.outputs_of_scores(outputs)
        found = {last for result, _, last in scores if any(result is output for output in measured)}
        return super().uses(outputs, scores) | found

    def __call__(self, y: Any, outputs: Any, sample_weight: Any = None, scores: Sequence[Any] = ()) -> Any:
        if self.beside is not None:
            self.beside.scores = [(result, before.detach(), last.stands_for) for result, before, last in scores]
        return super().__call__(y, outputs, sample_weight, scores)


class CountsItself(Compiled):
    """In tf.keras the compiled loss counts its mean itself, each time it is asked for: what a `compute_loss` of users
    makes of it is not logged. Batches without targets count alike. Before the first batch there are no results."""

    counted = False

    def total_loss(self, y: Any, outputs: Any, *args: Any, **kwargs: Any) -> Tensor:
        total = super().total_loss(y, outputs, *args, **kwargs)
        self.counted, rows = True, 1 if self.loss is None else len(leaves_of(outputs)[0])
        super().count(total, rows)
        return total

    def count(self, loss: Tensor, rows: int) -> None:
        """That is done."""

    def trackers(self) -> list[Any]:
        """The mean loss, those of the outputs, then the compiled metrics."""
        mean, *measured = super().trackers()
        measured.sort(key=lambda one: one is self.metrics)
        return [mean, *measured] if self.counted else measured


class MetricsOfAll(_NamesOutputs, CompiledMetrics):
    """Metrics in a plain list are those of every output, also where these are known from the first batch alone. Those
    of functions are called as these are."""

    names_places = True

    def _metric(self, given: Any, *shapes: tuple[int, ...]) -> Any:
        made, name = super()._metric(given, *shapes), getattr(given, "__name__", None)
        if name and not isinstance(given, type):
            made.name = name
        return made

    def result(self) -> dict[str, Any]:
        values = super().result()
        return {name: values[name] for name in self.names()}

    def build(self, y: Any, outputs: Any) -> None:
        self._given = tuple(spread(given, outputs) for given in self._given)
        super().build(y, outputs)

    def _update(self, part: Any, y: object, y_pred: object, sample_weight: object) -> None:
        super()._update(part, _beside(y, y_pred), y_pred, sample_weight)

    def names(self) -> list[str]:
        """What results are called, output by output, as the metrics were given."""
        names = {id(metric): name for name, metric in self._named()}
        return [names[id(metric)] for part in self._ordered() for metric in (*part.metrics, *part.weighted)]

    def _ordered(self) -> Sequence[Any]:
        return self._parts


def names_to_come(loss: CompiledLoss, measured: MetricsOfAll | None, outputs: Any, output_names: Any) -> list[str]:
    """What results will be called, as compiled for these symbolic outputs."""
    given = match(loss.loss, outputs, loss.output_names, "loss")
    apart = zip(output_names, given, strict=True) if len(given) > 1 else ()
    names = ["loss", *(f"{name}_loss" for name, one in apart if one is not None)]
    if measured is not None:
        measured = copy.copy(measured)
        measured.build(outputs, outputs)
        names += measured.names()
    return names


class MetricsOfScores(_ByLayers, MetricsOfAll):
    """Those of tf.keras (see `LossOfScores`)."""

    _in_order: Sequence[Any] = ()
    scores: Sequence[tuple[Any, Tensor, Any]] = ()  # outputs, the scores before them, and what made one of the other
    # Metrics that were shown, which from then on have the names of their results, and the names that they had.
    _shown: Sequence[tuple[str, Any]] = ()
    _told: Sequence[tuple[Any, str]] = ()

    def build(self, y: Any, outputs: Any) -> None:
        self._shown = ()
        super().build(y, outputs)
        _refuse_doubles([one for part in self._parts for one in (*part.metrics, *part.weighted)])
        self._in_order = self._name_parts(self._parts, outputs)

    def _ordered(self) -> Sequence[Any]:
        return self._in_order

    def outputs_of_scores(self, outputs: Any) -> list[Any]:
        """The outputs with a metric that can do with scores."""
        pairs = zip(self._parts, leaves_of(outputs), strict=True)
        return [output for part, output in pairs if any(map(_as_of_the_time, (*part.metrics, *part.weighted)))]

    def one_by_one(self) -> list[Any]:
        """The metrics in the order of their results, each by the name of its own."""
        if not self._shown:
            self._shown = [*self._named()]
            self._told = [(metric, metric.name) for _, metric in self._shown]
        for name, metric in self._shown:
            metric.name = name
        return [metric for part in self._ordered() for metric in (*part.metrics, *part.weighted)]

    @contextmanager
    def as_told(self) -> Iterator[None]:
        """Inside, metrics have the names that `compile` was given, which files keep."""
        with ExitStack() as stack:
            for metric, name in self._told:
                stack.enter_context(put(metric, name=name))
            yield

    def _named(self) -> Iterator[tuple[str, Any]]:
        return iter(self._shown) if self._shown else super()._named()

    def update_state(self, y: Any, outputs: Any, sample_weight: Any = None) -> None:
        super().update_state(y, outputs, sample_weight)
        self.scores = ()

    def _update(self, part: Any, y: Any, y_pred: Any, sample_weight: Any) -> None:
        y, sample_weight = _beside(y, y_pred), of_steps(sample_weight, y_pred)
        found = next(((before, last) for result, before, last in self.scores if result is y_pred), (y_pred, None))
        if found[0] is not y_pred:
            set_mask(found[0], get_mask(y_pred))
        each = [(metric, None) for metric in part.metrics] + [(metric, sample_weight) for metric in part.weighted]
        for metric, weight in each:
            own = _as_of_the_time(metric, found[1])
            with put(metric, **own):
                weight = _of_those_counted(metric, y, y_pred, weight)
                metric.update_state(y, found[0] if own else y_pred, sample_weight=weight)


def of_steps(sample_weight: object, y_pred: Tensor) -> object:
    """Weights that, where losses have one axis more than they, hold for all along it, as in tf.keras; a column of them
    is one for each sample."""
    if isinstance(sample_weight, Tensor) and 0 < sample_weight.ndim == y_pred.ndim - 2:
        return sample_weight.unsqueeze(-1)
    if isinstance(sample_weight, Tensor) and sample_weight.ndim == y_pred.ndim == 2 and sample_weight.shape[1] == 1:
        return sample_weight[:, 0]
    return sample_weight


def _of_those_counted(metric: Any, y: Tensor, y_pred: Tensor, weight: Any) -> Any:
    """The weights with 0 for the class that a metric is to ignore, which tf.keras leaves out of the mean."""
    ignored = getattr(metric, "_kwargs", {}).get("ignore_class")
    if ignored is None:
        return weight
    counted = ((y.squeeze(-1) if y.ndim == y_pred.ndim else y) != ignored).to(y_pred.dtype)
    return counted if weight is None else counted * weight.reshape(weight.shape + (1,) * (counted.ndim - weight.ndim))


_ACCURACIES = {
    "binary_crossentropy": metrics.BinaryAccuracy,
    "bce": metrics.BinaryAccuracy,
    "sparse_categorical_crossentropy": metrics.SparseCategoricalAccuracy,
}


def _by_loss(metric: Any, loss: object) -> object:
    """The accuracy or crossentropy that is meant beside a loss; any other metric as it is."""
    name = (loss if isinstance(loss, str) else getattr(getattr(loss, "fn", loss), "__name__", "")).lower()
    if getattr(metric, "fn", None) is losses_of.crossentropy and name in ("binary_crossentropy", "bce"):
        return metrics.MeanMetricWrapper(losses_of.binary_crossentropy, name=metric.name)
    if not isinstance(metric, str) or metric.lower() not in ("accuracy", "acc"):
        return metric
    meant = _ACCURACIES.get(name)
    return metric if meant is None else meant(name=metric)


class MetricsByLoss(MetricsOfAll):
    """In Keras 1 and 2 the loss of an output says which accuracy is meant before the shapes do; an output without one
    has no metrics. Keras 2 takes the last of several metrics of one name."""

    loss: Any = None  # as `compile` was told
    tells_weighted = False
    keeps_all = False

    def build(self, y: Any, outputs: Any) -> None:
        super().build(y, outputs)
        for metric in self.metrics:
            if getattr(metric, "fn", None) is metrics.binary_accuracy:
                vars(metric)["fn"] = losses_of.rounded_accuracy
        if not self.keeps_all:
            for metric in self.metrics:
                vars(metric).update(_as_of_the_time(metric))
            for part in self._parts:
                for group in (part.metrics, part.weighted):
                    named = ((id(metric) if metric.name == "<lambda>" else metric.name, metric) for metric in group)
                    group[:] = dict(named).values()

    def _chosen(self, outputs: Any) -> Iterator[tuple[str, list[list[Any]]]]:
        each = match(self.loss, outputs, self.output_names, "loss")
        for what, chosen in super()._chosen(outputs):
            pairs = zip(chosen, each, strict=True)
            yield what, [[_by_loss(one, loss) for one in part if loss is not None] for part, loss in pairs]


def _each_of(metric: Any, y: object, y_pred: Tensor) -> list[Any]:
    """The metric, or those that its function gives by name."""
    function: Any = getattr(metric, "fn", None)
    if not isinstance(function, functools.partial) or str(function.__module__).startswith("lamina."):
        return [metric]
    with torch.no_grad():
        found = function(y, y_pred)

    def named(name: str) -> Any:
        one = losses_of.counting(lambda y_true, y_pred: function(y_true, y_pred)[name])
        return metrics.MeanMetricWrapper(one, name=name)

    return [named(name) for name in found] if isinstance(found, Mapping) else [metric]


class MetricsOfAllSteps(MetricsByLoss):
    """Metrics of Keras 1 know no masks. Those of one name are `name_1`, `name_2`, ... A function may give several in a
    dictionary."""

    keeps_all = True

    def build(self, y: Any, outputs: Any) -> None:
        super().build(y, outputs)
        for part, true, pred in zip(self._parts, self._targets(y, outputs), leaves_of(outputs), strict=True):
            part.metrics[:] = [one for metric in part.metrics for one in _each_of(metric, _beside(true, pred), pred)]

    def _named(self) -> Iterator[tuple[str, Any]]:
        listed = [(f"{prefix}{metric.name}", metric) for prefix, metric, _ in self._listed()]
        shared = Counter(name for name, _ in listed)
        told: Counter[str] = Counter()
        for name, metric in listed:
            told[name] += 1
            yield f"{name}_{told[name]}" if shared[name] > 1 else name, metric

    def update_state(self, y: Any, outputs: Any, sample_weight: Any = None) -> None:
        with _unmasked(leaves_of(outputs)):
            super().update_state(y, outputs, sample_weight)


@contextmanager
def _unmasked(tensors: Sequence[Any]) -> Iterator[None]:
    """Inside, no mask rides on these."""
    masked = {id(tensor): (tensor, get_mask(tensor)) for tensor in tensors if get_mask(tensor) is not None}
    for tensor, _ in masked.values():
        del tensor._keras_mask
    try:
        yield
    finally:
        for tensor, mask in masked.values():
            set_mask(tensor, mask)


class LossOfTheTime(NamedLoss):
    """One weight a sample also where a loss has further axes. In Keras 1, samples of weight 0 and masked steps are not
    counted; in Keras 2 they are, as zeros.

    Crossentropies see probabilities, cut off at epsilon: in Keras 1 always, in Keras 2 behind a softmax of three axes
    and more, which it wrote out, so that TensorFlow found no scores there.
    """

    by_words = True
    weighs_batches = False

    def build(self, y: Any, outputs: Any) -> None:
        super().build(y, outputs)
        for part, predicted in zip(self.parts, leaves_of(outputs), strict=True):
            if part is None:
                continue
            if self.leaves_out_zeros:
                part.forms = {}
                continue
            part.loss = _copied(part.loss)
            if predicted.ndim > 2:
                part.forms = {each: form for each, form in part.forms.items() if LOG_SPACE[each] != "softmax"}

    def _value(self, part: Any, y: Any, y_pred: Tensor, sample_weight: Any, scores: Any) -> Tensor:
        if sample_weight is not None and sample_weight.ndim == 1 and y_pred.ndim > 2:
            sample_weight = sample_weight.reshape(-1, *(1,) * (y_pred.ndim - 2))
        if sample_weight is not None and self.leaves_out_zeros:
            counted = shares.divisor((sample_weight != 0).to(y_pred.dtype).sum())
            sample_weight = sample_weight / (counted / sample_weight.numel())
        mask = None if self.leaves_out_zeros else get_mask(y_pred)
        if mask is None or mask.ndim >= y_pred.ndim:
            return super()._value(part, y, y_pred, sample_weight, scores)
        weight = mask.to(y_pred.dtype)  # masked steps weigh nothing, and count in the mean
        with _unmasked([y_pred]):
            weight = weight if sample_weight is None else weight * sample_weight
            return super()._value(part, y, y_pred, weight, scores)


class LossOfThoseCounted(LossOfTheTime):
    leaves_out_zeros = weighs_batches = True


class OfGeneration(NamedTuple):
    """What stands in for the compiled loss and metrics of today."""

    loss: type[NamedLoss]
    metrics: type[MetricsOfAll]


OF_GENERATIONS = {
    "keras1": OfGeneration(LossOfThoseCounted, MetricsOfAllSteps),
    "keras2": OfGeneration(LossOfTheTime, MetricsByLoss),
    "tf_keras": OfGeneration(LossOfScores, MetricsOfScores),
}


def modes_of(given: Any, names: Sequence[str]) -> list[Any]:
    """The `sample_weight_mode` of each output. Raises ValueError for a list of another length, and for a dictionary of
    other outputs, or of some alone."""
    if isinstance(given, Mapping) and set(given) != set(names):
        raise ValueError(f"`sample_weight_mode` is for {', '.join(given)}; the model's outputs are {', '.join(names)}.")
    return [given] * len(names) if isinstance(given, str) else _by_output(given, names, "sample_weight_mode")


def check_modes(given: Any, names: Sequence[str], sample_weight: Any) -> None:
    """Raises ValueError for weights of steps where the mode is not "temporal", and for those of samples where it is."""
    for mode, weights in zip(modes_of(given, names), _by_output(sample_weight, names, "sample_weight"), strict=True):
        axes = 2 if mode == "temporal" else 1
        if weights is not None and np.ndim(weights) != axes:
            raise ValueError(
                f"Found a sample_weight array with shape {np.shape(weights)}; with sample_weight_mode={mode!r} it has "
                f"{axes} {'axes, (samples, steps)' if axes == 2 else 'axis, (samples,)'}."
            )
