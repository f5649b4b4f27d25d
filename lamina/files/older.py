"""Files of Keras 1, Keras 2 and tf.keras: told from today's, and read for models of their own generation."""

from __future__ import annotations

import functools
import itertools
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from ..core import serialize
from ..core.errors import named, warn
from ..core.layer import Layer, snake_case
from ..core.placing import whole
from ..core.symbolic import in_order
from ..layers import BatchNormalization
from ..translation import checkpoints, origin, weights
from ..translation.keras1 import KERAS1
from ..translation.keras2 import KERAS2
from ..translation.table import Class, Generation
from ..translation.tf_keras import TF_KERAS
from . import safe
from .layered import Writer
from .stored import Stored, as_array, outline
from .tree import Loads, backwards, put, saveables

_LAYOUTS = {"keras1": KERAS1, "keras2": KERAS2, "tf_keras": TF_KERAS}  # the generations that store arrays otherwise
_ALL_BUT_ZERO = 1_000_000  # steps after which a product of momenta is nothing


def addressed(config: Any, version: str | None) -> Any:
    """A model's config, for the generation that wrote it."""
    return origin.addressed(config, origin.generation_of(config, version)) if isinstance(config, dict) else config


VERSIONS = {"keras1": "1.2.2", "keras2": "2.3.1", "tf_keras": "2.21.0"}  # whose formats are written


def writer_of(model: Any) -> Writer | None:
    """The Keras whose file a model of an older generation is saved as; None for one of today, or that is compiled with
    an optimizer of today, which that Keras could not read."""
    home = serialize.home_of(type(getattr(model, "optimizer", None))) or ""
    for name, version in VERSIONS.items():
        if not home.startswith("keras") and _first_home(model, f"lamina.{name}.models"):
            theano = any(getattr(layer, "_theano", False) for layer in model.modules())
            return Writer(version, "theano" if theano else "tensorflow", name)
    return None


@dataclass(frozen=True)
class Part:
    """The trained weights of one layer, or its others, and how a file has them."""

    layout: weights.Layout
    weights: Sequence[Any]
    count: int  # of arrays in the file
    trained: bool
    epsilon: float | None = None  # where the file has standard deviations, for which later ones have variances


def as_today(own: Sequence[Any], trained: bool) -> Part:
    """Weights that lie in the file as they do today."""
    return Part(weights.Layout(), own, len(own), trained)


@dataclass(frozen=True)
class Converter:
    """How a file stores the arrays of layers, trained ones first."""

    generation: Generation | None = None
    backend: str = ""
    in_turns: bool = False  # an optimizer's state goes from weight to weight
    roots: bool = False  # the file has standard deviations where later ones have variances
    turned: bool = False  # Keras 2 on Theano: the kernels of convolutions are turned round

    def parts(self, layer: Layer) -> list[Part]:
        """The weights of the layers inside one, in the order of the file."""
        found = []
        for trained in (True, False):
            for leaf in dict.fromkeys(_leaves(layer)) if self.generation or self.turned else (layer,):
                layout = _turned(leaf) if self.turned else _layout(leaf, self.generation, self.backend)
                own = _weights(leaf, trained)
                count = len(layout.names()) if own and layout.kind.endswith("gates") else len(own)
                roots = self.roots and not trained and isinstance(leaf, BatchNormalization)
                found.append(Part(layout, own, count, trained, leaf.epsilon if roots else None))
        return found

    def stored(
        self, layer: Layer, value: Callable[[Any], Any] = lambda weight: weight, trained_alone: bool = False
    ) -> list[tuple[str, np.ndarray]]:
        """Names and arrays as a file has them: of the layer's weights, or of what `value` gives for each."""
        found: list[tuple[str, np.ndarray]] = []
        for trained in (True, False)[: 2 - trained_alone]:
            for leaf in dict.fromkeys(_leaves(layer)) if self.generation is not None else (layer,):
                own = [(weight, value(weight)) for weight in _weights(leaf, trained)]
                own = [(weight, tensor) for weight, tensor in own if tensor is not None]
                arrays = [whole(tensor).detach().cpu().numpy() for _, tensor in own]
                old = _layout(leaf, self.generation, self.backend).as_old(arrays)
                found += zip(self._names(leaf, trained, [weight.name for weight, _ in own], len(old)), old, strict=True)
        return found

    def _names(self, leaf: Layer, trained: bool, names: list[str], count: int) -> list[str]:
        """What a file calls the weights of a layer; Keras 1 sorts an optimizer's state by these names."""
        if self.generation is KERAS1 and hasattr(leaf, "weight_names"):
            told = leaf.weight_names()
            told = told[:count] if trained else told[len(told) - count :]
            return [f"{leaf.name}_{name}" + ("" if self.backend == "theano" else ":0") for name in told]
        names = names if len(names) == count else [f"param_{index}" for index in range(count)]
        return [f"{leaf.name}/{name}:0" for name in names]


def _weights(layer: Layer, trained: bool) -> Sequence[Any]:
    return layer.trainable_weights if trained else layer.non_trainable_weights


def fill(layout: weights.Layout, tensors: Sequence[Any], arrays: Sequence[Stored]) -> None:
    """Write the arrays of a layout into tensors that lie as today's weights, None for one that is not wanted.

    Where the layout is one of views, each array goes straight to where it belongs.
    """
    if not layout.kind:
        for tensor, array in zip(tensors, arrays, strict=True):
            if tensor is not None:
                array.into(tensor)
        return
    if all(tensor is None for tensor in tensors):
        return
    own = [array for tensor in tensors if tensor is not None and (array := as_array(tensor)) is not None]
    views = layout.as_old(own) if len(own) == len(tensors) else []
    shown = all(any(np.may_share_memory(view, each) for each in own) for view in views)
    if shown and [view.shape for view in views] == [array.shape for array in arrays]:
        for view, array in zip(views, arrays, strict=True):
            array.into(view)
        return
    for tensor, values in zip(tensors, layout.to_modern([array.read() for array in arrays]), strict=True):
        if tensor is not None:
            tensor.copy_(torch.from_numpy(values))


def outlines(layout: weights.Layout, arrays: Sequence[Any]) -> Sequence[Any]:
    """What the arrays of a layout become, in shape and kind of values alone."""
    return layout.as_modern([outline(array) for array in arrays]) if layout.kind else arrays


def converter_to(source: Writer) -> Converter:
    """What turns a model's arrays into those that its generation stores."""
    return Converter(_LAYOUTS.get(source.generation), source.backend or "", source.generation == "tf_keras")


def converter(model: Any, source: Writer) -> Converter:
    """What turns the arrays of a file into those of a model.

    Raises Misfit where they, or what the layers compute, are others and the model is not of that generation.
    """
    generation, backend = _LAYOUTS.get(source.generation), source.backend or "tensorflow"
    spoken = generation is not None and _first_home(model, f"lamina.{generation.name}.models")
    if generation is not None and spoken and generation is not KERAS2:
        told = source.backend or ("theano" if model._made_for == "theano" else None)  # whoever made it so knew
        _check_backend(model, generation, told)
        roots = source.generation == "keras1" and _has_roots(model, source)
        return Converter(generation, told or "tensorflow", roots=roots)
    others = origin.otherwise(source.generation, backend)
    turned = spoken and backend == "theano"
    earlier = generation is KERAS1 and backend == "tensorflow"
    known = {id(leaf) for layer in model.layers for leaf in _leaves(layer)} if earlier else ()
    for layer in model.modules() if others else ():
        if id(layer) in known or (turned and _same_on_theano(layer)):
            continue
        if any(cls.__name__ in others for cls in type(layer).__mro__):
            remedy = "Write it anew with that Keras on TensorFlow."
            if source.generation == "keras1":
                remedy = "Make the model with lamina.keras1, and load the weights into that."
            raise safe.Misfit(
                f"it was written by Keras {source.version or 1} on {backend}, where {named(layer)} stores or "
                f"computes something else. {remedy}"
            )
    translated = earlier or (spoken and not turned)
    return Converter(generation if translated else None, backend, turned=bool(turned))


def _has_roots(model: Any, source: Writer) -> bool:
    """Whether a file of Keras 1 has standard deviations, as those up to 1.0.5. Warns where only a habit tells."""
    if source.unnamed or source.version is not None:
        return source.unnamed
    found = [one for one in model.modules() if isinstance(one, BatchNormalization) and one.epsilon == 1e-6]
    if found:
        warn(
            f"The moving variances of these weights are read as standard deviations, which Keras kept up to 1.0.5: "
            f"nothing tells the version, but {named(found[0])} has the epsilon of then, 1e-06."
        )
    return bool(found)


_TURNED = {f"Conv{rank}": "kernel" for rank in ("1D", "2D", "3D", "2DTranspose")} | {"ConvLSTM2D": "kernels"}


def _turned(layer: Any) -> weights.Layout:
    """How the arrays of a layer lie in a file of Keras 2 on Theano."""
    return weights.Layout(_TURNED.get(type(layer).__name__, ""), theano=True)


def _same_on_theano(layer: Any) -> bool:
    """Whether a layer of Keras 2 computed the same there: where it pads alike at both ends, or not at all."""
    name, padding = type(layer).__name__, getattr(layer, "padding", None)
    if name not in _TURNED:
        return padding == "valid" and hasattr(layer, "pool_size")
    odd = all((k - 1) * d % 2 == 0 for k, d in zip(layer.kernel_size, layer.dilation_rate, strict=True))
    alike = padding != "same" or (odd and set(layer.strides) == {1} and name != "Conv2DTranspose")
    return alike and (odd or name != "ConvLSTM2D")  # which pads its states


def has_slots(optimizer: Any) -> bool:
    """Whether its state is that of Keras' own optimizers, which belongs to the weights; that of users' may not."""
    return bool(optimizer._slot_names()) or serialize.home_of(type(optimizer)) is not None


def stored_state(model: Any, source: Writer) -> list[tuple[str, np.ndarray]]:
    """An optimizer's state as the model's generation writes it: the steps, then what belongs to the weights, in turns
    as tf.keras has it, or kind by kind."""
    optimizer, convert, by_name = updating(model.optimizer), converter_to(source), origin.sorts_weights(source.version)
    steps = np.asarray(optimizer._iterations.numpy(), "int64")
    groups = [
        [(name, _slots_of(model, optimizer, name, convert, by_name)) for name in names]
        for names in optimizer._slot_names()
    ]
    if convert.in_turns:
        turns = [each for group in groups for row in zip(*(slots for _, slots in group), strict=True) for each in row]
        return [("iteration:0", steps), *turns]
    singles = {"iterations:0": steps}
    if hasattr(optimizer, "_product"):
        singles["m_schedule:0"] = optimizer._product.numpy()
    slots = [each for group in groups for _, slots in group for each in slots]
    unused = [(path, np.zeros_like(array)) for path, array in _slots_of(model, optimizer, "unused", convert, by_name)]
    return origin.written_state(source.generation, type(optimizer).__name__, singles, slots, unused)


_TF_HOMES = {"models": "keras", "layers": "keras.layers", "optimizers": "keras.optimizers"}


def as_tf_keras(described: dict[str, Any]) -> dict[str, Any]:
    """A model's description, which is changed, with the modules that tf.keras itself writes."""
    for entry in origin.entries(described):
        room = str(entry.get("module")).removeprefix("lamina.tf_keras.")
        if room == entry.get("module"):
            continue
        entry["module"] = _TF_HOMES.get(room, f"keras.{room}")
        if room == "models" and "input_layers" in entry["config"]:
            entry |= {"module": "tf_keras.src.engine.functional", "class_name": "Functional"}
            entry["registered_name"] = "Functional"
        if room == "mixed_precision":
            legacy = str(entry["config"]["inner_optimizer"]["module"]).endswith(".legacy")
            name = "LossScaleOptimizer" if legacy else "LossScaleOptimizerV3"
            entry |= {"module": "tf_keras.src.mixed_precision.loss_scale_optimizer", "class_name": name}
            entry["registered_name"] = name
    return described


def learns_bins(layer: Any) -> bool:
    """Whether tf.keras has a weight for the quantiles that a layer learned, `summary`, which is none today."""
    return isinstance(getattr(layer, checkpoints.SUMMARY, None), np.ndarray) and layer.num_bins is not None


def learned(layer: Any) -> dict[str, Any]:
    """What a layer learned that is a weight in tf.keras alone, by its name there: quantiles, weights of terms."""
    if learns_bins(layer):
        return {f"{checkpoints.SUMMARY}:0": layer.summary}
    weights: dict[str, Any] = {}
    if hasattr(layer, "set_vocabulary"):
        layer.save_own_variables(weights)
    return dict(zip(("Variable:0",), weights.values(), strict=False))


def arrays_of_tf_keras(item: Any, arrays: dict[str, Any]) -> dict[str, Any]:
    """What an object stores in a `.keras` file of tf.keras: of an optimizer no rate, and none of Nadam's products."""
    if learns_bins(item):
        return {"0": item.summary}
    if not hasattr(item, "_slot_names"):
        return arrays
    item = updating(item)
    left_out = [id(getattr(item, name, None)) for name in ("_learning_rate", "_product")]
    kept = [variable for variable in item.variables if id(variable) not in left_out]
    return {str(index): variable for index, variable in enumerate(kept)}


def written_as(model: Any) -> dict[str, Any]:
    """How `.keras` and `.weights.h5` files of tf.keras lie, for `tree.write`; empty for a model of today."""
    source = writer_of(model)
    if source is None or source.generation != "tf_keras":  # the only other one that has such files
        return {}
    below = functools.partial(backwards, shown=False)
    return {"adapt": arrays_of_tf_keras, "walk": functools.partial(saveables, below=below, number_all=False)}


_CONFUSED = "true_positives", "true_negatives", "false_positives", "false_negatives"  # in tf.keras' order


def write_metrics(model: Any, file: Any) -> None:
    """Write what a model of tf.keras counted while it trained: one that has trained reads no file without it."""
    compiled = getattr(model, "_compiled", None)
    if compiled is None or compiled.loss is None or not compiled.loss.built:
        return
    found = [("mean", metric) for metric in (compiled.mean_loss, *compiled.loss.metrics)]
    if compiled.metrics is not None:
        given = pytree.tree_leaves(compiled.metrics._given)
        objects, classes = {*map(id, given)}, {one.__name__ for one in given if isinstance(one, type)}
        for part in _by_outputs(model, compiled.metrics._parts):
            for metric in (*part.metrics, *part.weighted):
                name = type(metric).__name__
                known = id(metric) in objects or name in classes  # else it was a function's name, or one
                found.append((snake_case(name) if known else "mean_metric_wrapper", metric))
    counts: Counter[str] = Counter()
    for name, metric in found:
        group = file.create_group(f"metrics/{name}_{counts[name]}/vars" if counts[name] else f"metrics/{name}/vars")
        counts[name] += 1
        variables = sorted(metric.variables, key=lambda v: _CONFUSED.index(v.name) if v.name in _CONFUSED else 0)
        for index, variable in enumerate(variables):
            put(group, str(index), variable)


def _slots_of(model: Any, optimizer: Any, name: str, convert: Converter, by_name: bool) -> list[tuple[str, np.ndarray]]:
    kept = optimizer._slots.get(name, optimizer._weights)
    slots = {id(weight): slot for weight, slot in zip(optimizer._weights, kept, strict=True)}
    layers = dict.fromkeys(model.layers)
    found = [each for layer in layers for each in convert.stored(layer, lambda w: slots.get(id(w)), trained_alone=True)]
    found.sort(key=lambda each: each[0] if by_name else "")
    return [(f"{optimizer.name}/{name[0]}/{path}", array) for path, array in found]


def _first_home(item: Any, home: str) -> type | None:
    """The class, or the first base of it, that configs name in that home."""
    return next((cls for cls in type(item).__mro__ if serialize.home_of(cls) == home), None)


def _check_backend(model: Any, generation: Generation, backend: str | None) -> None:
    """Raises Misfit where the model was not made for that backend's arithmetic; warns where it is not known."""
    for layer in model.modules():
        entry = _entry(layer, generation)
        if entry is None or entry.adapt not in ("convolution", "conv_lstm", "pooling"):
            continue
        if backend is None:
            if entry.weights:
                warn(
                    "Nothing says whether these weights were written on TensorFlow or on Theano, which turns the "
                    f'kernels of {named(layer)} round. They are read as TensorFlow\'s; pass backend="theano" for the '
                    'other, or backend="tensorflow" to confirm.'
                )
                return
            continue
        if layer._theano != (backend == "theano"):
            made = "theano" if layer._theano else "tensorflow"
            raise safe.Misfit(
                f"{named(layer)} was made for {made}, and the file was written on {backend}, which computes "
                f"it otherwise. Make the model by model_from_json(text, backend={backend!r}), or after "
                f"lamina.keras1.backend.set_backend({backend!r})."
            )


def leaves(layer: Any, parts: Callable[[Any], Any]) -> Iterator[Any]:
    """The layers whose weights are a layer's: `parts` gives those inside that its weights are told by, or None."""
    inner = parts(layer)
    if inner is None:
        yield layer
    for part in inner or ():
        yield from leaves(part, parts)


_leaves = functools.partial(leaves, parts=lambda one: one.weight_parts() if hasattr(one, "weight_parts") else None)


_LATER = {"DeconvolutionTo": "Conv2DTranspose", "ConvLSTM2DFromHalf": "ConvLSTM2D"}  # what became of layers of Keras 1


def _entry(layer: Any, generation: Generation) -> Class | None:
    cls = _first_home(layer, f"lamina.{generation.name}.layers")
    if cls is not None or generation is not KERAS1:
        return None if cls is None else generation.find(cls.__name__)
    names = [cls.__name__ for cls in type(layer).__mro__]
    stored = (entry for entry in generation.objects["layers"].values() if entry.weights)
    return next((entry for entry in stored if _LATER.get(entry.modern, entry.modern) in names), None)


def _layout(layer: Any, generation: Generation | None, backend: str) -> weights.Layout:
    entry = None if generation is None else _entry(layer, generation)
    if entry is None or not entry.weights:
        return weights.Layout()
    shape = layer.built_shape() if entry.weights in weights.BY_SHAPE else ()
    return weights.layout(entry, layer.get_config(), shape, backend)


def layout_of(layer: Any) -> weights.Layout:
    """How TensorFlow's checkpoints have the arrays of a layer."""
    return _layout(layer, TF_KERAS, "tensorflow")


def training(settings: Mapping[str, Any], generation: str) -> Mapping[str, Any]:
    """What a file says of training, in words that are read today."""
    return settings if generation == "keras3" else origin.training(settings, generation)


def names_function(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("class_name") == "function"


def by_name(value: Any) -> Any:
    """A function of `compile` as Keras 1 and 2 write it."""
    return value["config"] if names_function(value) else value


def metrics_of_outputs(model: Any, settings: dict[str, Any]) -> None:
    """Put metrics of several outputs as tf.keras stores them in HDF5: under the names by which their values are shown,
    once they have been used."""
    measured = model._compiled.metrics
    if measured is None or len(measured._parts) < 2:
        return
    names = {id(metric): name for name, metric in measured._named()}
    for key, group in (("metrics", "metrics"), ("weighted_metrics", "weighted")):
        settings[key] = []
        for part in _by_outputs(model, measured._parts):
            entries = [(serialize.serialize(metric), names[id(metric)]) for metric in getattr(part, group)]
            settings[key].append([{**each, "config": {**each["config"], "name": name}} for each, name in entries])


def _by_outputs(model: Any, items: Sequence[Any]) -> Sequence[Any]:
    """What belongs to the outputs, in the order in which Keras goes through them."""
    structure = getattr(model, "_output_structure", None)
    if not isinstance(structure, dict) or len(items) != len(structure):
        return items
    by_key = dict(zip(structure, items, strict=True))
    return [by_key[key] for key in in_order(structure)]


def metrics_as_given(model: Any, settings: Mapping[str, Any]) -> None:
    """The other way round: take the outputs' names, which `compile` adds, from those of metrics."""
    names = getattr(model, "output_names", ())
    for key in ("metrics", "weighted_metrics"):
        given = settings.get(key) or ()
        pairs = given.items() if isinstance(given, Mapping) else zip(names, given, strict=False)
        for output, group in pairs if len(names) > 1 else ():
            for entry in origin.entries(group):
                if isinstance(entry["config"], dict) and isinstance(entry["config"].get("name"), str):
                    entry["config"]["name"] = entry["config"]["name"].removeprefix(f"{output}_")


def without_state(loads: Loads) -> Loads:
    """The arrays for the objects of a `.keras` file without the optimizer's, which is set: they have no names there."""
    kept = []
    for item, arrays in loads:
        if not hasattr(item, "_slot_names"):
            kept.append((item, arrays))
            continue
        ordered = [arrays[str(index)] for index in range(len(arrays))]
        words = ["iteration", "learning_rate"] if len(ordered) > 1 and ordered[1].ndim == 0 else ["iteration"]
        names = [*words, *map(str, range(len(ordered) - len(words)))]
        load_state(item, dict(zip(names, ordered, strict=True)))
    return kept


@dataclass(frozen=True)
class Pair:
    """The weights of a layer, or those that a model has of its own, and what a file has for them."""

    what: str  # for messages
    parts: Sequence[Part]
    stored: Mapping[str, Stored]

    @functools.cached_property
    def arrays(self) -> list[Stored]:
        return [*self.stored.values()]

    @functools.cached_property
    def weights(self) -> list[Any]:
        return [weight for part in self.parts for weight in part.weights]

    def outlines(self) -> Sequence[Any]:
        """What the weights are to hold, in shape and kind of values alone."""
        if sum(part.count for part in self.parts) != len(self.arrays):
            return self.arrays  # a misfit, which is told where they are assigned
        rest = iter(self.arrays)
        return [each for part in self.parts for each in outlines(part.layout, [*itertools.islice(rest, part.count)])]

    def fill(self, tensors: Sequence[Any], arrays: Sequence[Stored]) -> None:
        """Write arrays that lie as the file's into tensors that lie as the weights, None for one that is not wanted."""
        into, rest = iter(tensors), iter(arrays)
        for part in self.parts:
            targets = [*itertools.islice(into, len(part.weights))]
            fill(part.layout, targets, [*itertools.islice(rest, part.count)])
            last = targets[-1] if targets else None
            if part.epsilon is not None and last is not None:
                # What it divided by was this and epsilon; today it is the root of the variance and epsilon.
                last.copy_((last + part.epsilon) ** 2 - part.epsilon)

    def trained(self, seen: set[int]) -> list[int]:
        """Which of the arrays are trained, those of weights that were `seen` in other pairs aside."""
        fresh = [id(weight) not in seen for weight in self.weights]
        seen.update(map(id, self.weights))
        whole, count = len(self.weights) == len(self.arrays), sum(part.count for part in self.parts if part.trained)
        return [at for at in range(count) if (fresh[at] if whole else any(fresh))]


def updating(optimizer: Any) -> Any:
    """The optimizer that does the updates: the one inside, where one scales the loss."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def load_state(optimizer: Any, stored: Mapping[str, Any]) -> None:
    """Set an optimizer's state of arrays that lie as today's weights do."""
    own = updating(optimizer)._weights
    pair = Pair("", [as_today(own, True)], {str(at): weight for at, weight in enumerate(own)})
    _set_state(optimizer, stored, [pair], [(pair, at) for at in range(len(own))])


def load_state_of(optimizer: Any, stored: Mapping[str, Any], pairs: Sequence[Pair], by_name: bool) -> None:
    """Set an optimizer's state of arrays that lie as those of a file's layers do; `by_name`: in their names' order."""
    seen: set[int] = set()
    places = [(pair, at) for pair in pairs for at in pair.trained(seen)]
    if by_name:
        places.sort(key=lambda place: [*place[0].stored][place[1]])
    _set_state(optimizer, stored, pairs, places)


def _set_state(
    optimizer: Any, stored: Mapping[str, Any], pairs: Sequence[Pair], places: Sequence[tuple[Pair, int]]
) -> None:
    """`places`: for which arrays of the pairs there is state, in its order. Warns, as older generations do, where the
    state does not fit."""
    optimizer = updating(optimizer)
    shapes = [tuple(pair.arrays[at].shape) for pair, at in places]
    found = origin.optimizer_state(stored, optimizer._slot_names(), shapes)
    if found is None:
        if not _set_as_today(optimizer, stored):
            warnings.warn(f"State of optimizer {optimizer.name!r} not loaded: it does not fit.", stacklevel=4)
        return
    steps, product, slots = found
    set_counts(optimizer, steps, product)
    for name, arrays in slots.items():
        spread = {id(pair): dict[int, Any]() for pair in pairs}
        for (pair, at), array in zip(places, arrays, strict=True):
            spread[id(pair)][at] = array
        kept = dict(zip(map(id, optimizer._weights), optimizer._slots[name], strict=True))
        for pair in reversed(pairs):  # what is met again keeps its first array, which comes last
            own = spread[id(pair)]
            if own:
                targets = [kept.get(id(weight)) for weight in pair.weights]
                pair.fill(targets, [own.get(at, array) for at, array in enumerate(pair.arrays)])


def _set_as_today(optimizer: Any, stored: Mapping[str, Any]) -> bool:
    """Set a state that has today's tensors in today's order, whatever their shapes, as Adafactor's; whether it has."""
    rest = {name: array for name, array in stored.items() if not name.startswith(("iteration", "learning_rate"))}
    steps = [array for name, array in stored.items() if name.split(":")[0] == "iteration"]
    today = optimizer.variables[2:]
    shapes = [array.shape for array in rest.values()]
    each = (today, [one for one in today if one.ndim])  # single numbers in place of slots that a vector has none of
    fitting = (some for some in each if [tuple(one.shape) for one in some] == shapes)
    variables = next(fitting, None) if rest else []  # of one that has made no step tf.keras stores their number alone
    if not steps or variables is None:
        return False
    optimizer._iterations.assign(steps[0])
    for variable, array in zip(variables, rest.values(), strict=True):
        variable.assign(array)
    return True


def set_counts(optimizer: Any, steps: Any, product: Any) -> None:
    """Set an optimizer's count of steps, and Nadam's product."""
    optimizer._iterations.assign(steps)
    if hasattr(optimizer, "_product"):  # Nadam's, which tf.keras does not store
        passed = np.arange(1, min(int(steps), _ALL_BUT_ZERO) + 1)
        found = 1.0 if optimizer._begins_anew else np.prod(optimizer._share(passed))
        optimizer._product.assign(found if product is None else product)
