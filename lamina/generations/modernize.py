"""A model of an older generation as one of today's classes: the same predictions, and what became of everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch.utils import _pytree as pytree

from .. import layers as today
from .. import losses, metrics
from ..core import masking, serialize
from ..core.errors import named
from ..core.functions import Rebuilt
from ..core.graph import called_again
from ..core.layer import Layer
from ..core.operation import Operation
from ..core.symbolic import Node, SymbolicTensor
from ..core.weight import take
from ..layers.input import InputLayer
from ..layers.old import MergeByMode
from ..models import Model, Sequential
from ..models.functional import Functional, GraphModel
from ..models.graph_config import own_kwargs
from ..translation import keras1, known, migrating
from . import activations
from .dialect import DIALECTS
from .shim import LayerShim, Shim

STEEPER = 1.2  # today's hard_sigmoid rises by 1 / 6, that of Keras 1 and 2 by 0.2
_WHY_STEEPER = "since that of Keras 3 is less steep"

Config = dict[str, Any]


@dataclass
class Changes:
    """What became of a model's layers, training and weights."""

    classes: Counter[tuple[str, str]] = field(default_factory=Counter)  # (before, now)
    words: dict[str, dict[str, str]] = field(default_factory=dict)  # by class: arguments before and now
    explicit: dict[str, None] = field(default_factory=dict)  # values that were defaults and are none today
    layouts: Counter[str] = field(default_factory=Counter)  # how weights were turned, and in how many layers
    rewritten: list[str] = field(default_factory=list)  # layers whose arithmetic is put in other words
    own: list[str] = field(default_factory=list)  # layers that only Lamina has
    lost: list[str] = field(default_factory=list)


def modernized(model: Any, masks: bool = True) -> tuple[Model, Changes]:
    """A model of today's classes that predicts as this one does, compiled alike, and what changed.

    masks: keep layers of the generation that a mask reaches and that treat it otherwise, though it may make no
    difference to the outputs. Raises ValueError for a model that has no weights yet.
    """
    if not model.built:
        raise ValueError(f"{named(model)} is not built: call it on data first.")
    work = _Modernizer(masks)
    made = work.model(model)
    work.hand_over()
    if getattr(model, "compiled", False):
        work.compile(model, made)
    return made, work.changes


def _hand_over_terms(old: Any, new: Any) -> None:
    """A vocabulary, and what was counted of its terms, as files hold them."""
    counted: dict[str, Any] = {}
    old.save_own_variables(counted)
    new.load_own_variables(counted)
    with TemporaryDirectory() as folder:
        old.save_assets(folder)
        new.load_assets(folder)


def modern_from_config(generation: str, described: Mapping[str, Any], custom_objects: Any = None) -> Any:
    """The modern layer or model of what a generation's {"class_name": ..., "config": ...} describes: it computes as
    that generation did, by classes that Keras 3 may not have. Raises ValueError where no modern layer does."""
    with serialize.custom_object_scope(custom_objects or {}):
        return _Modernizer(masks=False, exact=True).layer(DIALECTS[generation].from_config(described))[0]


class _Modernizer:
    """masks: see `modernized`. exact: whether layers become the classes that compute the same, as they stand."""

    def __init__(self, masks: bool, exact: bool = False):
        self._masks, self._exact = masks, exact
        self.changes = Changes()
        self._pairs: list[tuple[Any, Any]] = []  # layers with weights, before and now
        self._steeper: dict[int, torch.Tensor] = {}  # factors of weights, by the id of these
        self._made: dict[int, list[Any]] = {}
        self._masked: set[int] = set()  # layers that a mask reaches

    # -- models -----------------------------------------------------------------------------------------------------

    def model(self, old: Any) -> Any:
        if getattr(old, "_beside", None):
            self.changes.lost.append(f"losses and metrics that were added to {old.name} itself")
        if self._masks and isinstance(old, GraphModel) and old._graph is not None:
            for node in old._graph.nodes:
                if any(mask is not None for mask in pytree.tree_leaves(masking.masks_of(node.args))):
                    self._masked.add(id(node.layer))
        if not isinstance(old, GraphModel) or (old._graph is None and not isinstance(old, Sequential)):
            return self._same(old)
        alone = isinstance(old, Sequential) and (old._graph is None or isinstance(old._input_structure, SymbolicTensor))
        return self._sequential(old) if alone else self._functional(old)

    def _sequential(self, old: Any) -> Any:
        first = [] if old._input is None else [_input(old._input)]
        layers = [new for layer in old.layers for new in self.layer(layer)]
        return Sequential([*first, *layers], name=_name(old), trainable=old.trainable)

    def _functional(self, old: Any) -> Any:
        graph = old._graph
        fresh = [_input(node.layer)._nodes[0].outputs for node in graph.input_nodes]

        def call(node: Node, args: tuple, kwargs: dict[str, Any]) -> Any:
            first, *others = self.layer(node.layer)
            found = first(*args, **{key: kwargs[key] for key in own_kwargs(node)})
            for layer in others:
                found = layer(found)
            return found

        substitute = called_again(graph.nodes, graph.inputs, fresh, call)
        inputs = pytree.tree_unflatten(fresh, pytree.tree_structure(old._input_structure))
        outputs = pytree.tree_map(substitute, old._output_structure)
        return Functional(inputs, outputs, name=_name(old), trainable=old.trainable)

    # -- layers -----------------------------------------------------------------------------------------------------

    def layer(self, old: Any) -> list[Any]:
        """The layers of today that do what one did, the first of them in its place; a shared layer's are shared."""
        if id(old) not in self._made:
            self._made[id(old)] = self._layers(old)
        return self._made[id(old)]

    def _layers(self, old: Any) -> list[Any]:
        if isinstance(old, Operation):
            return [Operation(old.function, name=old.name)]
        if isinstance(old, Model):
            return [self.model(old)]
        if not _is_generations(old):
            return [self._same(old)]
        before, now = self.of_today(old, alone=self._exact)
        if not isinstance(old, MergeByMode):  # which counts the weights of the models that it joins
            self._pairs.append((old, now))
        return [*before, now]

    def _same(self, old: Any) -> Any:
        """A layer or model that is none of the generation's tables, by its own config."""
        made = type(old).from_config(old.get_config())
        if old.built and not made.built:
            made.build_from_config(old.get_build_config() or {})
        self._pairs.append((old, made))
        return made

    def of_today(self, old: Any, alone: bool) -> tuple[list[Any], Any]:
        """The layers before a layer's counterpart, none where that is to be `alone`; and the counterpart."""
        if old._as_given.get("time_major"):
            if self._exact:
                raise ValueError(
                    f"{named(old)}: `time_major` has no modern counterpart; transpose the layer's input and output."
                )
            self._keep(old, "takes time first")
            return [], type(old).from_config(old.get_config())
        public, config = self._class_for(old)
        if isinstance(getattr(old, "function", None), Rebuilt):
            self._keep(old, "holds code as the Python of then had it")
        padded = "kernel_size" in config and isinstance(config["padding"], (list, tuple))
        before = self._padding(old, config, alone) if padded else []
        if public is today.Activation and _told(config["activation"]) == "hard_sigmoid" and not alone:
            if id(old) not in self._masked:  # Rescaling ends masks
                config["activation"] = "hard_sigmoid"
                before = [today.Rescaling(STEEPER, name=f"{_name(old)}_steeper")]
                self.changes.rewritten.append(f"{old.name}: {STEEPER} * x before hard_sigmoid, {_WHY_STEEPER}")
        if not alone:
            self._steepen(old)
        config = {key: self.config(value, key, public) for key, value in config.items()}
        self._tell(old, public, config)
        return before, public.from_config(config)

    def _class_for(self, old: Any) -> tuple[Any, Config]:
        """The class of today for a layer, the public one where it computes the same, and its arguments."""
        cls, config = _own_class(old), {**super(Shim, old).get_config(), "name": _name(old)}
        if self._exact:
            return cls, config
        masked, rewrite = id(old) in self._masked, _REWRITTEN.get(cls.__name__)
        rewritten = rewrite(old, config) if rewrite and not (masked and cls is MergeByMode) else None
        if rewritten:
            return rewritten
        public: Any = _public_of(old)
        differs = cls is not public and _DIFFERS.get(cls.__name__, lambda *_: False)(old, masked)
        if config.get("batch_statistics") == "always" or config.get("axes") is not None or differs:
            public = cls
            self._keep(old, "computes what Keras 3's does not")
        elif public in _BASES or public.__name__ in _GONE:
            public = cls
            self._keep(old, "is no class of Keras 3")
        elif config.pop("unbiased_variance", None):
            self.changes.lost.append(_VARIANCE)
        if public is not cls or _is_public(cls):
            config.pop("batch_statistics", None)
        return public, {key: value for key, value in config.items() if key not in cls._args or key in public._args}

    def _keep(self, old: Any, why: str) -> None:
        self.changes.own.append(f"{old.name} ({type(old).__name__}) {why}")

    def _padding(self, old: Any, config: Config, alone: bool) -> list[Any]:
        """Explicit padding by a word, or as a layer before."""
        pads: Any = tuple(map(tuple, config["padding"]))
        config["padding"] = _as_word(old, pads) or ("valid" if not alone else pads)
        if config["padding"] == pads:
            self._keep(old, "pads as Theano did")
        if _as_word(old, pads) or alone:
            return []
        made = getattr(today, f"ZeroPadding{len(pads)}D")
        pads = pads if len(pads) > 1 else pads[0]
        self.changes.rewritten.append(f"{old.name}: its padding is a layer of its own, {made.__name__}({pads})")
        return [made(pads, data_format=old.data_format, name=f"{_name(old)}_padding")]

    def _steepen(self, old: Any) -> None:
        """Where hard_sigmoid is that of Keras 1 and 2: factors for the weights before it."""
        before = len(self._steeper)
        for part in old.modules():
            self._steeper.update(_factors(part))
        if len(self._steeper) > before:
            if any(getattr(part, "kernel_regularizer", None) is not None for part in old.modules()):
                self.changes.lost.append(f"the size of penalties of {old.name}: its weights are larger now")
            self.changes.rewritten.append(f"{old.name}: weights before hard_sigmoid times {STEEPER}, {_WHY_STEEPER}")

    # -- configs ----------------------------------------------------------------------------------------------------

    def config(self, value: Any, key: str, owner: type) -> Any:
        """Plain data of a modern config, where it describes objects of the generation's, with those of today's."""
        if isinstance(value, list):
            return [self.config(item, key, owner) for item in value]
        if not isinstance(value, Mapping):
            return value
        module = str(value.get("module"))
        if module == activations.__name__:
            steep = value["config"] == "hard_sigmoid" and (self._exact or not _steepens(key, owner))
            return value if steep else _TODAY.get(value["config"], value["config"])
        if value.get("class_name") == "InLayout":
            return _initializer(value["config"]["draws"])
        if value.get("class_name") == "function" and module.startswith("lamina."):
            return self._function(value)
        if module.startswith(("lamina.", "keras.generations")):
            return self._object(serialize.deserialize(value))
        return {name: self.config(item, name, owner) for name, item in value.items()}

    def _function(self, value: Mapping[str, Any]) -> Any:
        name = value["config"]
        if any(serialize.find(name, home) is not None for home in ("keras.losses", "keras.metrics")):
            return name
        self.changes.own.append(f"the function {name} is none of Keras 3's")
        return value

    def _object(self, old: Any) -> Any:
        if isinstance(old, Model):
            inside = _Modernizer(self._masks, self._exact)  # its weights are the outer layer's
            inside.changes = self.changes
            return serialize.serialize(inside.model(old))
        if _is_generations(old):
            return serialize.serialize(self.of_today(old, alone=True)[1])
        own = _own_class(old) if self._exact and isinstance(old, Shim) else None
        public = own or next((base for base in type(old).__mro__ if _is_public(base)), None)
        if public is None or public.__name__ in _ROOTS:
            self.changes.own.append(f"{type(old).__name__} is no class of Keras 3")
            return serialize.serialize(old)
        kept = old.modern_config() if isinstance(old, Shim) else old.get_config()
        known = public._args if hasattr(public, "_args") else kept
        config = {key: self.config(item, key, public) for key, item in kept.items() if key in known or key == "name"}
        return {"module": serialize.home_of(public), "class_name": public.__name__, "config": config,
                "registered_name": None}  # fmt: skip

    # -- weights and training ---------------------------------------------------------------------------------------

    def hand_over(self) -> None:
        """Give the new layers the weights of those before, and the vocabularies."""
        with torch.no_grad():
            for old, new in self._pairs:
                if hasattr(old, "save_assets") and hasattr(new, "load_assets"):
                    _hand_over_terms(old, new)
                for before, now in zip(old.weights, new.weights, strict=True):
                    take(now, self._now(before))

    def _now(self, weight: Any) -> torch.Tensor:
        factors = self._steeper.get(id(weight))
        return weight.detach() if factors is None else weight.detach() * factors

    def compile(self, old: Any, new: Any) -> None:
        """Compile as it was; the optimizer goes on where its arithmetic is the same."""
        settings = old.get_compile_config()
        settings = {key: self.config(value, key, object) for key, value in settings.items()}
        settings.pop("sample_weight_mode", None)  # weights are today of what their shape says
        second = old._dialect.table.functions.get("losses", {})
        for word, module in (("loss", losses), ("metrics", metrics), ("weighted_metrics", metrics)):
            settings[word] = self._by_name(settings.get(word), module, second)
        new.compile_from_config(settings)
        optimizer = getattr(old, "optimizer", None)
        if optimizer is None or not optimizer.built:
            return
        new._build_optimizer()
        counterpart = new.optimizer
        same = _own_class(optimizer) is type(counterpart)
        if self._steeper:
            self.changes.lost.append("the optimizer's state: weights before a hard_sigmoid are others now")
        elif {*optimizer._slots} != {*counterpart._slots}:
            self.changes.lost.append(f"the optimizer's state: {type(counterpart).__name__} of today keeps another one")
        else:
            self._hand_over_state(optimizer, counterpart)
        if not same:
            self.changes.lost.append(
                f"the exact steps of {type(optimizer).__name__}: its formula differs from today's in a detail"
            )

    def _by_name(self, told: Any, module: Any, second: Mapping[str, str]) -> Any:
        """Losses or metrics with the names of today, without those that Keras 3 does not have."""
        if isinstance(told, list):
            found = [self._by_name(one, module, second) for one in told]
            return [one for one in found if one is not None] if module is metrics else found
        if isinstance(told, Mapping) and "class_name" not in told:
            return {key: self._by_name(one, module, second) for key, one in told.items()}
        if not isinstance(told, str) or told in ("accuracy", "acc", "crossentropy", "ce"):
            return told
        name = migrating.loss_of_today(told, second)
        try:
            module.get(name)
        except ValueError:
            self.changes.lost.append(f"{told!r} of compile, which Keras 3 does not have")
            return None
        return name

    def _hand_over_state(self, old: Any, new: Any) -> None:
        partner = {id(b): n for before, now in self._pairs for b, n in zip(before.weights, now.weights, strict=True)}
        place = {id(weight): index for index, weight in enumerate(new._weights)}
        new._iterations.assign(old._iterations)
        if hasattr(new, "_product"):
            new._product.assign(old._product)
        for name, variables in old._slots.items():
            for weight, variable in zip(old._weights, variables, strict=True):
                if variable is not None:
                    new._slots[name][place[id(partner[id(weight)])]].assign(variable)

    # -- what changed -----------------------------------------------------------------------------------------------

    def _tell(self, old: Any, public: type, config: Mapping[str, Any]) -> None:
        own, kind = old._words, old._words.entry.weights
        if told := _LAYOUTS.get(kind):
            turned = old._theano and "kernel" in kind
            self.changes.layouts[f"{told}{', turned round, as Theano had them' if turned else ''}"] += 1
        self.changes.classes[type(old).__name__, public.__name__] += 1
        words, given = self.changes.words.setdefault(type(old).__name__, {}), old.get_config()
        if own.several:
            words[", ".join(own.several)] = own.generation.joined[own.several]
        for key, default in own.accepted.items():
            now = [name for name, _ in own.now(key)]
            used = key in given and given[key] != default and key not in own.several
            if used and now not in ([], [key]) and now[0] in config:
                words[key] = ", ".join(now)
        before = {name: key for key in own.accepted for name, _ in own.now(key)}
        for name, value in config.items():
            default = public._args[name].default if name in getattr(public, "_args", {}) else value
            plain = isinstance(value, (bool, int, float, str)) and isinstance(default, (bool, int, float, str))
            was = own.accepted.get(before.get(name, name), default)
            if plain and value != default and (was == value or name in own.entry.fixed):
                self.changes.explicit[f"{public.__name__}({name}={value!r})"] = None


# What classes of `layers.old` have that today's of the same arithmetic have not ------------------------------------

_BASES = (Layer, today.Wrapper)
_VARIANCE = "in training, the moving variance's factor n / (n - 1), which Keras 3 does not have"
_ROOTS = ("Regularizer", "Constraint", "Initializer", "Optimizer")
_GONE = {name for age, names in known.NAMES["layers"].items() if "3" not in age for name in names.split()}


def _is_generations(layer: object) -> bool:
    """Whether it is a layer of a generation's, not somebody's class derived from one."""
    return isinstance(layer, LayerShim) and "_words" in vars(type(layer))


def _own_class(item: Any) -> type:
    """The class behind the words of a generation."""
    modern = item._words.entry.modern
    return next(cls for cls in type(item).__mro__ if cls.__name__ == modern and "_words" not in vars(cls))


def _is_public(cls: type) -> bool:
    home = serialize.home_of(cls) or ""
    public = home in serialize.HOMES and home.startswith("keras")
    return public and serialize.find(cls.__name__, home) is cls


def _name(layer: Any) -> str:
    return layer.name.replace("/", "_")  # Keras 3 refuses those


def _input(layer: Any) -> Any:
    words = {"sparse": True} if getattr(layer, "sparse", False) else {}
    return InputLayer(batch_shape=tuple(layer.batch_shape), dtype=layer.dtype, name=_name(layer), **words)


_DIFFERS: dict[str, Callable[[Any, bool], bool]] = {
    "LoweredSoftmax": lambda layer, masked: masked,
    "LeakyReLUOfAnySlope": lambda layer, masked: layer.negative_slope < 0,
    "BatchNormalizationBySample": lambda layer, masked: masked or layer.by_sample or layer.batch_statistics == "always",
    "UpSampling2DFromCorners": lambda layer, masked: layer.interpolation != "nearest",
    "CausalSeparableConv1D": lambda layer, masked: layer.padding == "causal",
    "EmbeddingDroppingWords": lambda layer, masked: layer.dropout > 0,
    "BidirectionalFromEitherEnd": lambda layer, masked: masked and not layer.zero_output_for_mask,
    "DeconvolutionTo": lambda layer, masked: _needs_its_shape(layer),
    "ConvLSTM2DFromHalf": lambda layer, masked: layer.half and not all(k % 2 for k in layer.kernel_size),
    **{f"Theano{kind}Pooling{rank}D": lambda layer, masked: layer.padding == "theano"
       for kind in ("Max", "Average") for rank in (1, 2, 3)},
    **{f"{kind}OfAllMasks": lambda layer, masked: masked
       for kind in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")},
    **dict.fromkeys(("CausalAttention", "CausalAdditiveAttention"), lambda layer, masked: layer.causal),
}  # fmt: skip


def _needs_its_shape(layer: Any) -> bool:
    """Whether a transposed convolution to a given shape gives another than that of its arguments."""
    shape = layer.built_shape()
    usual = today.Conv2DTranspose.compute_output_shape(layer, shape)
    return layer.half or tuple(usual[1:]) != tuple(layer.compute_output_shape(shape)[1:])


def _merge(layer: Any, config: Config) -> tuple[type, Config] | None:
    """Keras 1's Merge, by its mode."""
    if not isinstance(layer.mode, str) or layer.mode == "cos":
        return None
    made = layer._merging()
    kept = {key: config[key] for key in ("name", "trainable", "dtype") if key in config}
    kept |= {key: value for key, value in made.get_config().items() if key in ("axis", "axes")}
    return _public_of(made), kept


def _thresholded(layer: Any, config: Config) -> tuple[type, Config]:
    return today.ReLU, {**{key: value for key, value in config.items() if key != "theta"}, "threshold": layer.theta}


_REWRITTEN: dict[str, Callable[[Any, Config], tuple[type, Config] | None]] = {
    "MergeByMode": _merge, "ThresholdedReLU": _thresholded,
}  # fmt: skip


def _as_word(layer: Any, pads: Any) -> str | None:
    """The word for explicit padding of a layer; None where there is none."""
    reach = [(k - 1) * d for k, d in zip(layer.kernel_size, layer.dilation_rate, strict=True)]
    if all(tuple(pair) == (0, 0) for pair in pads):
        return "valid"
    same = [tuple(pair) == (r // 2, r - r // 2) for pair, r in zip(pads, reach, strict=True)]
    return "same" if all(same) and all(stride == 1 for stride in layer.strides) else None


_LAYOUTS = {
    "kernel": "kernels (out, in, *window) or (*window, in, out) -> (*window, in, out)",
    "kernels": "depthwise and pointwise kernels -> (*window, in, out)",
    "row_kernel": "kernels (steps, 1, in, out) -> (steps, in, out)",
    "transposed_kernel": "kernels of transposed convolutions -> (*window, out, in)",
    "gates": "W, U, b of each gate -> kernel, recurrent_kernel, bias of all gates",
    "convolutional_gates": "W, U, b of each gate -> kernel, recurrent_kernel, bias of all gates",
    "local": "local kernels -> one row for each place",
}


# Activations -------------------------------------------------------------------------------------------------------

_TODAY = {"swish": "silu"}
_GATES = {"LSTM": (1, 1, 0, 1), "GRU": (1, 1, 0)}  # which gates the recurrent activation is for


def _told(value: Any) -> Any:
    """The name of an activation."""
    return value.get("config") if isinstance(value, Mapping) else value


def _steepens(key: str, owner: type) -> bool:
    """Whether an argument of a class stands for a function of something that weights can make steeper."""
    lstm = "LSTM" in owner.__name__
    return key == "recurrent_activation" or (key == "activation" and not lstm and owner not in (today.Activation,)
                                             and _is_public(owner))  # fmt: skip


def _factors(part: Any) -> Iterator[tuple[int, torch.Tensor]]:
    """Of the weights of one layer or cell: what makes up for a flatter hard_sigmoid, by the ids of the weights."""
    kind = type(part).__name__
    if hasattr(part, "cell") or ("LSTM" not in kind and not _steepens("activation", _public_of(part))):
        return
    gates = next((shares for name, shares in _GATES.items() if name in kind), (0,))
    gated = getattr(part, "recurrent_activation", None) is activations.hard_sigmoid
    other = getattr(part, "activation", None) is activations.hard_sigmoid and "LSTM" not in kind
    steep = [gated if gate else other for gate in gates]
    if not any(steep):
        return
    for name in ("kernel", "pointwise_kernel", "recurrent_kernel", "bias"):
        weight: Any = getattr(part, name, None)
        if weight is not None:
            width = weight.shape[-1] // len(gates)
            factors = [STEEPER if share else 1.0 for share in steep for _ in range(width)]
            yield id(weight), torch.tensor(factors)


def _public_of(part: Any) -> type:
    return next((base for base in type(part).__mro__ if _is_public(base)), Layer)


def _initializer(name: str) -> Any:
    found = keras1.INITIALIZERS.get(name)
    return {**found, "module": "keras.initializers", "registered_name": None} if found else "glorot_uniform"
