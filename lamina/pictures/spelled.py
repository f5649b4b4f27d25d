"""The same layer as code of each generation of Keras, written from the tables of `translation`."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple

from .. import layers
from ..core.declare import REQUIRED, Arg, Refused
from ..core.layer import Layer, snake_case
from ..core.serialize import find, home_of
from ..initializers import _ALIASES
from ..layers import old
from ..translation import known, migrating
from ..translation.keras1 import KERAS1
from ..translation.keras2 import KERAS2, ONCE
from ..translation.table import Class, Generation
from ..translation.tf_keras import TF_KERAS
from ..translation.words import _kind, words
from .said import Language, Said, sentences

Name = Literal["keras1", "keras2", "tf_keras", "keras3"]
GENERATIONS: dict[Name, str] = {"keras1": "Keras 1", "keras2": "Keras 2", "tf_keras": "tf.keras", "keras3": "Keras 3"}
_TABLES: dict[str, Generation] = {"keras1": KERAS1, "keras2": KERAS2, "tf_keras": TF_KERAS}
_AGES = {"keras1": "1", "keras2": "2", "tf_keras": "t", "keras3": "3"}
_UNTOLD = ("name", "trainable", "dtype", "vocabulary_size")  # what the code does not repeat
_LORA = ("lora_rank", "lora_alpha")  # in configs, where they are given
_OURS = ("LocallyConnected3D",)  # layers that no Keras has
OUTPUT_SHAPE = "output_shape of the call"  # what Keras 1's transposed convolution asks for


class Why(NamedTuple):
    """Why a generation cannot say something."""

    said: Said
    values: Mapping[str, Any]


class _Unsayable(Exception):
    """Its arguments say why, each a `Why`."""


def _no(said: Said, **values: Any) -> _Unsayable:
    return _Unsayable(Why(said, values))


_SAID = sentences("spelled")


# What the tables do not say: values that a layer of a generation refuses, or computes otherwise ----------------------

_WINDOWS = {f"{kind}{rank}D" for kind in ("Convolution", "AtrousConvolution", "SeparableConvolution") for rank in "123"}
_LIMITS: tuple[tuple[str, set[str], str, tuple, Said], ...] = (
    ("keras1", {*_WINDOWS, "Deconvolution2D"}, "padding", ("valid", "same"), _SAID.not_so),
    ("keras1", {"LocallyConnected1D", "LocallyConnected2D"}, "padding", ("valid",), _SAID.not_so),
    ("keras2", {"LocallyConnected1D", "LocallyConnected2D"}, "padding", ("valid",), _SAID.not_so),
    ("tf_keras", {"LocallyConnected1D", "LocallyConnected2D"}, "padding", ("valid",), _SAID.not_so),
    ("keras2", {"UpSampling2D"}, "interpolation", ("nearest",), _SAID.otherwise),
)
# Arguments without a word, where the old arithmetic differs from today's in nothing that a prediction shows.
_ALIKE = frozenset(word for word, why in migrating.LOST.items() if not why)
# An argument that is not given is as large as another.
_FOLLOWS = {"strides": "pool_size", "value_dim": "key_dim", "lora_alpha": "lora_rank"}
_OF_NO_WINDOW = ("target_shape", "dims", "axes", "output_shape", "vocabulary", "scale", "offset")


# Forms: how a generation writes a class, as plain data ---------------------------------------------------------------

Form = dict[str, Any]


@functools.cache
def spelling_table() -> dict[str, Any]:
    """How each generation writes each layer, as plain data for programs that write such code themselves.

    "generations": their titles. "layers": by class and generation a list of forms, of which the first one that can say
    all is used; none where there is no such layer. A form has the "name" of the layer there, "words" in their order,
    and "otherwise": arguments of today that have no word, with the value that they have there (None where any value is
    as good). A word has its "word" and the "argument" of today that it stands for, and may have "default" (in the
    terms of today; it is left out where the argument equals it, or the argument named "follows"), "part" (of a list of
    sizes), "shape" (how sizes are written: "one" number where all are the same, a "tuple", "sides": a number an axis,
    "flat": all in one tuple), "values" (of today -> in those words) and "only" (values that it can say). Words without
    a default stand first, by position. "activations" and "initializers": names of today -> names there, None for one
    that is not there; what is in no table has the same name everywhere. "merge_modes": of Keras 1's Merge. Where the
    argument of a word is OUTPUT_SHAPE, it is the shape of the output, None for the batch.
    """
    names = [name for name in sorted(dir(layers)) if _is_layer(name)]
    return {
        "generations": dict(GENERATIONS),
        "layers": {name: {age: forms(name, age) for age in GENERATIONS} for name in names},
        "activations": {age: _names_of_activations(age) for age in GENERATIONS},
        "initializers": {age: dict(_INITIALIZERS) if age == "keras1" else {} for age in GENERATIONS},
        "merge_modes": {today: mode for mode, today in _MODES.items()},
    }


def _is_layer(name: str) -> bool:
    found = getattr(layers, name)
    own = inspect.isclass(found) and issubclass(found, Layer) and found.__name__ == name
    return own and name not in ("Layer", "Wrapper", "InputLayer")


@functools.cache
def forms(layer: str, generation: Name) -> list[Form]:
    """The forms of a layer of today, by its class' name, in a generation; see `spelling_table`."""
    cls = getattr(layers, layer)
    if layer in _OURS:
        return []
    if generation == "keras3":
        return [_form_of_today(cls)] if "3" in _age("layers", layer) else []
    table = _TABLES[generation]
    found = [
        _form(table, cls, name, entry)
        for name, entry in table.objects["layers"].items()
        if not entry.makes and name[0] != "_" and _public(entry.modern) is cls
    ]
    if generation == "keras1" and layer.lower() in _MODES.values():
        found = [_merged(layer)]
    told = _age("layers", layer, "")
    return found or ([_form_of_today(cls)] if generation == "tf_keras" and "t" in told else [])


@functools.cache
def _ages(home: str) -> dict[str, str]:
    return {name: age for age, names in known.NAMES.get(home, {}).items() for name in names.split()}


def _age(home: str, name: str, otherwise: str = "12t3") -> str:
    return _ages(home).get(name, otherwise)


@functools.cache
def _public(modern: str) -> Any:
    """Today's class of a name in a table; of one with old arithmetic, the one that it comes from."""
    found = getattr(old, modern, None) or getattr(layers, modern, None)
    if not (inspect.isclass(found) and issubclass(found, Layer)):
        return None
    return next((cls for cls in found.__mro__ if getattr(layers, cls.__name__, None) is cls), None)


def _arguments(cls: Any) -> dict[str, Arg]:
    """What of a class its configs say."""
    args = cls._args.items()
    told = {name: each for name, each in args if each.config or each.default is REQUIRED or name in _LORA}
    return {name: each for name, each in told.items() if name not in _UNTOLD}


def _form_of_today(cls: Any) -> Form:
    own = _arguments(cls)
    found = [_word(cls, name, name, each.default) for name, each in own.items() if _is_keras(name, each)]
    ours = {name: _normal(cls, name, each.default) for name, each in own.items() if not _is_keras(name, each)}
    return {"name": cls.__name__, "words": found, "otherwise": ours}


def _is_keras(name: str, each: Arg) -> bool:
    """Whether Keras 3 has it: keywords alone are additions."""
    return not each.keyword or name in ("activity_regularizer", "data_format", "seed", "zero_output_for_mask", *_LORA)


def _form(table: Generation, cls: Any, name: str, entry: Class) -> Form:
    own, known_words = words(table, "layers", name), _arguments(cls)
    found: list[Form] = []
    for word, default in own.accepted.items():
        if word in own.several:
            now = table.joined[own.several]
            found.append({"word": word, "argument": now, "part": own.several.index(word)})
            continue
        targets = [now for now, _ in own.now(word) if now in known_words]
        if word == "output_shape" and default is REQUIRED and entry.modern == "DeconvolutionTo":
            found.append({"word": word, "argument": OUTPUT_SHAPE})
        elif targets:
            found.append(_word(cls, word, targets[0], default, table))
            found[-1] |= {"also": targets[1:]} if targets[1:] else {}
    told = {target for word in found for target in (word["argument"], *word.get("also", ()))}
    rest = {key: _plain(each.default) for key, each in known_words.items() if key not in told}
    rest |= {key: _plain(value) for key, value in entry.fixed.items() if key in rest}
    for key in _ALIKE & rest.keys():
        rest[key] = _plain(known_words[key].default)
    form = {"name": name, "words": found, "otherwise": {key: _normal(cls, key, value) for key, value in rest.items()}}
    for generation, names, argument, only, _ in _LIMITS:
        for word in found:
            if generation == table.name and name in names and word["argument"] == argument:
                word["only"] = list(only)
    return form


def _word(cls: Any, word: str, argument: str, default: Any, table: Generation | None = None) -> Form:
    found: Form = {"word": word, "argument": argument}
    if default is not REQUIRED:
        modern = default if table is None else _modern_value(table, argument, default)
        found["default"] = _normal(cls, argument, modern)
        if modern is None and argument in _FOLLOWS and _FOLLOWS[argument] in cls._args:
            found["follows"] = _FOLLOWS[argument]
    if argument == "padding" and "strides" in cls._args:  # pairs of numbers are Lamina's
        found["only"] = ["valid", "same", *(["causal"] if cls is layers.Conv1D else [])]
    shape = _shape(cls, argument, table)
    if shape:
        found["shape"] = shape
    if table is not None and table is KERAS1 and argument in ("data_format", "unit_forget_bias"):
        values = ("channels_first", "channels_last") if argument == "data_format" else (True, False)
        kind: Any = _kind(table, argument)
        found["values"] = [[value, kind.old(value)] for value in values]
    return found


def _modern_value(table: Generation, argument: str, value: Any) -> Any:
    kind = _kind(table, argument)
    if argument.endswith("initializer"):
        return _ALIASES.get(value, value)
    return value if kind is None else kind.modern(value)


def _normal(cls: Any, argument: str, value: Any) -> Any:
    """The plain normal form of a value of today, where the class alone can tell."""
    if argument == "data_format" and value is None:
        return "channels_last"
    if argument.endswith("activation") and value is None:
        return "linear"
    if value is None:
        return None
    if isinstance(value, str):
        return _ALIASES.get(value, value) if argument.endswith("initializer") else value
    converted = _converted(cls, argument, value)
    return _plain(value if converted is None else converted)


def _converted(cls: Any, argument: str, value: Any) -> Any:
    """A value as a layer keeps it; None where the class alone cannot tell."""
    if argument in _OF_NO_WINDOW:
        return None
    try:
        return cls._args[argument].kind.convert(value, _owner(cls))
    except (Refused, AttributeError, TypeError, ValueError):
        return None


def _owner(cls: Any) -> Any:
    """What converters of sizes ask of a layer: its rank, which is in the name."""
    found = re.search(r"(\d)D", cls.__name__)
    return SimpleNamespace(rank=int(found[1]) if found else None, _causal=True)


def _shape(cls: Any, argument: str, table: Generation | None) -> str:
    """How sizes are written; empty for what is none."""
    rank = _owner(cls).rank
    if not isinstance(_converted(cls, argument, 2), tuple) or rank is None:
        return ""
    if table is not KERAS1:
        return "one"
    if cls.__name__.startswith("ZeroPadding") and rank > 1:
        return "flat" if rank == 2 else "sides"
    return "one" if rank == 1 else "tuple"


def _plain(value: Any) -> Any:
    """Lists for tuples, None for what stands for nothing."""
    if value is REQUIRED:
        return None
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (bool, int, float, str, Mapping, type(None))) else str(value)


# Keras 1 merges by a mode, in one layer.
_MODES = {"sum": "add", "mul": "multiply", "concat": "concatenate", "ave": "average", "max": "maximum", "dot": "dot"}


def _merged(layer: str) -> Form:
    mode = next(mode for mode, today in _MODES.items() if today == layer.lower())
    found: list[Form] = [{"word": "mode", "value": mode}]
    axes = {"concat": ("concat_axis", "axis"), "dot": ("dot_axes", "axes")}.get(mode)
    if axes:
        found.append({"word": axes[0], "argument": axes[1], "default": -1})
    return {"name": "Merge", "words": found, "otherwise": {"normalize": False} if mode == "dot" else {}}


# Values --------------------------------------------------------------------------------------------------------------

_SAME = "identity orthogonal lecun_uniform glorot_uniform glorot_normal he_uniform he_normal".split()
_INITIALIZERS = {today: then for then, today in _ALIASES.items()} | {name: name for name in _SAME}
_ACTIVATIONS = (
    "celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_tanh leaky_relu linear log_sigmoid "
    "log_softmax mish relu relu6 selu sigmoid silu softmax soft_shrink softplus softsign sparse_plus sparse_sigmoid "
    "sparsemax squareplus tanh tanh_shrink threshold"
).split()


@functools.cache
def _names_of_activations(generation: Name) -> dict[str, str | None]:
    """How a generation calls the activations of today; None for one that it has not, or has as another function."""
    age = _AGES[generation]
    found = {name: name if age in _age("activations", name) else None for name in _ACTIVATIONS}
    found["silu"] = {"t": "swish", "3": "silu"}.get(age)
    if age != "3":
        found["hard_sigmoid"] = None
    return found


@dataclass(frozen=True)
class Code:
    """Python that stands for a value."""

    text: str


@dataclass(frozen=True)
class Object:
    """An initializer, regularizer or constraint: its module, class and the arguments that are no defaults."""

    home: str
    name: str
    config: Mapping[str, Any]

    @property
    def short(self) -> str | None:
        """Its name alone, where there are no arguments."""
        return None if self.config or self.home != "initializers" else snake_case(self.name)


def _value(layer: Any, name: str, each: Arg, config: Mapping[str, Any]) -> Any:
    """The value of an argument: plain, an Object, a layer, or Code."""
    own = vars(layer).get(each.attribute, config.get(name)) if name in ("cells", "layers") else None
    inner = layer._modules.get(each.attribute) if isinstance(layer, Layer) else None
    if isinstance(own, (list, tuple)):
        return list(own)
    if isinstance(inner, Layer):
        if not isinstance(layer, layers.Bidirectional):
            return inner
        return _backward(layer, inner) if name == "backward_layer" else Inner(inner, {"zero_output_for_mask": False})
    if name in _LORA:
        return config.get(name)
    if name == "attention_axes" and layer.built:
        whole = [*range(1, len(_built_for(layer)) - 1)]
        return None if [*layer.attention_axes] == whole else [*layer.attention_axes]
    return _described(config[name] if name in config else each.kind.dump(getattr(layer, each.attribute)), name)


@dataclass(frozen=True)
class Inner:
    """A layer inside another one, which sets some of its arguments itself."""

    layer: Layer
    told: Mapping[str, Any]


def _backward(layer: Any, inner: Layer) -> Layer | None:
    """None where it is the forward layer, turned round."""
    one, other = layer.forward_layer.get_config(), inner.get_config()
    turned = {**other, "go_backwards": not other["go_backwards"], "name": one["name"]}
    return None if turned == one else inner


def _described(value: Any, name: str) -> Any:
    if isinstance(value, Mapping) and "class_name" in value:
        module, config = str(value.get("module")), value["config"]
        if module in (f"keras.{home}" for home in ("initializers", "regularizers", "constraints")):
            cls, home = find(value["class_name"], module), module.removeprefix("keras.")
            given = {
                key: item
                for key, item in config.items()
                if key in cls._args and (home == "regularizers" or cls._args[key].default != item)
            }
            made = Object(home, value["class_name"], given)
            return made.short or made
        if value["class_name"] in ("function", "class") and isinstance(config, str):
            return Code(config.rpartition(">")[2])
        raise _no(_SAID.own, argument=name)
    return _plain(value)


# Writing -------------------------------------------------------------------------------------------------------------


def spelled(layer: Any, generation: Name) -> str | None:
    """The code that makes a layer like this one in a generation of Keras; None where it has none, see `why_not`.

    Defaults of that generation are left out, as are the layer's name, type and whether it is trained. First values may
    be drawn otherwise there (Keras 1's "orthogonal" is 1.1 times as large). Raises ValueError for another generation.
    """
    found = _spelled(layer, generation)
    return found if isinstance(found, str) else None


def why_not(layer: Any, generation: Name, language: Language = "en") -> str | None:
    """Why a generation cannot say this layer, in words; None where it can. Raises ValueError for another generation."""
    found = _spelled(layer, generation)
    return None if isinstance(found, str) else " ".join(said(language, **values) for said, values in found)


def _spelled(layer: Any, generation: Name) -> str | Sequence[Why]:
    if generation not in GENERATIONS:
        raise ValueError(f"spelled: expected one of {', '.join(GENERATIONS)}; got {generation!r}.")
    try:
        return _call(layer, generation)
    except _Unsayable as unsayable:
        return unsayable.args


def _call(layer: Any, generation: Name, told: Mapping[str, Any] | None = None) -> str:
    cls = type(layer)
    public = home_of(cls) == "keras.layers" and find(cls.__name__, "keras.layers") is cls
    if not public or cls in (Layer, layers.Wrapper):
        older = cls.__module__.startswith(tuple(f"lamina.{name}." for name in _TABLES))
        raise _no(_SAID.in_words if older else _SAID.no_class, layer=cls.__name__, module=cls.__module__)
    if cls is layers.InputLayer:  # a function in every generation
        kind = "" if layer.dtype == "float32" else f', dtype="{layer.dtype}"'
        return f"Input(shape={_text(layer.batch_shape[1:], generation, {})}{kind})"
    if cls is layers.TorchModuleWrapper and generation == "keras3":
        return "TorchModuleWrapper(module)"
    found = forms(cls.__name__, generation)
    if not found:
        raise _no(_SAID.no_layer, generation=GENERATIONS[generation], layer=cls.__name__)
    config = layer.get_config()
    values = {name: _value(layer, name, each, config) for name, each in _arguments(cls).items()} | dict(told or {})
    failed: list[_Unsayable] = []
    for form in found:
        try:
            return _written(form, values, generation, layer)
        except _Unsayable as unsayable:
            failed.append(unsayable)
    raise min(failed, key=lambda each: len(each.args))


def _written(form: Form, values: Mapping[str, Any], generation: Name, layer: Any) -> str:
    told: dict[str, Any] = {"generation": GENERATIONS[generation], "name": form["name"]}
    whys = [
        Why(_SAID.always, {**told, "argument": argument, "value": _text(_shaped(value, "one"), generation, told)})
        for argument, value in form["otherwise"].items()
        if not _same(values.get(argument), value)
    ]
    positional, keywords = [], []
    for word in form["words"]:
        try:
            text = _word_with_value(form, word, values, generation, layer)
        except _Unsayable as unsayable:
            whys += unsayable.args
            continue
        if text and ("default" in word or keywords or "value" in word):
            keywords.append(f"{word['word']}={text}")
        elif text:
            positional.append(text)
    if whys:
        raise _Unsayable(*whys)
    return f"{form['name']}({', '.join([*positional, *keywords])})"


def _same(value: Any, default: Any) -> bool:
    if value == {} or (isinstance(value, list) and len(value) == 1 and not isinstance(default, list)):
        value = value[0] if value else None  # one axis, and a list of it
    return value == default and isinstance(value, bool) == isinstance(default, bool)


def _word_with_value(form: Form, word: Form, values: Mapping[str, Any], generation: Name, layer: Any) -> str:
    """The value of a word as text; empty where it is the default."""
    told = {"generation": GENERATIONS[generation], "name": form["name"]}
    argument, value = word.get("argument"), _given(word, values, layer, told)
    for other in word.get("also", ()):
        if values[other] != value:
            raise _no(_SAID.not_so, **told, argument=other, value=_text(values[other], generation, told))
    if "default" in word and (
        _same(value, word["default"]) or ("follows" in word and value == values[word["follows"]])
    ):
        return ""
    if argument is not None and "only" in word and value not in word["only"]:
        value = _full(form, values, generation)
        if value is None:
            limits = [each for each in _LIMITS if each[0] == generation and form["name"] in each[1]]
            said = next((said for *_, name, _, said in limits if name == argument), _SAID.not_so)
            told |= {"argument": argument, "value": _text(values[argument], generation, told)}
            if values[argument] == "causal":
                reach = (values["kernel_size"][0] - 1) * values["dilation_rate"][0]
                raise _no(_SAID.causal, **told, reach=reach)
            raise _no(said, **told)
    return _in_words(word, value, generation, told)


def _given(word: Form, values: Mapping[str, Any], layer: Any, told: Mapping[str, Any]) -> Any:
    if "value" in word:
        return word["value"]
    if word["argument"] == OUTPUT_SHAPE:
        if not layer.built:
            raise _no(_SAID.unbuilt, **told)
        return [None, *layer.compute_output_shape(_built_for(layer))[1:]]
    value = values[word["argument"]]
    return value[word["part"]] if "part" in word else value


def _built_for(layer: Any) -> tuple:
    """The shape of the first input that a layer is built for."""
    args, kwargs = layer._build_shapes
    return tuple((*args, *kwargs.values())[0])


def _full(form: Form, values: Mapping[str, Any], generation: Name) -> str | None:
    """Keras 1's word for padding by all of the window but one element."""
    pads, kernel = values.get("padding"), values.get("kernel_size")
    if generation != "keras1" or not isinstance(pads, list) or not kernel:
        return None
    reach = [(k - 1) * d for k, d in zip(kernel, values["dilation_rate"], strict=True)]
    return "full" if pads == [[r, r] for r in reach] and form["name"] != "Deconvolution2D" else None


def _in_words(word: Form, value: Any, generation: Name, told: Mapping[str, Any]) -> str:
    """The value of a word, as that generation writes it."""
    argument = word.get("argument", "")
    for today, then in word.get("values", ()):
        if value == today:
            value = then
    if isinstance(value, str) and argument.endswith("activation"):
        value = _activation(value, generation, told)
    elif isinstance(value, str) and argument.endswith("initializer") and generation == "keras1":
        if value not in _INITIALIZERS:
            raise _no(_SAID.no_object, **told, value=value)
        value = _INITIALIZERS[value]
    if "shape" in word:
        value = _shaped(value, word["shape"])
        if isinstance(value, list) and word["shape"] == "sides":
            raise _no(_SAID.not_so, **told, argument=argument, value=_text(value, generation, told))
    return _text(value, generation, told)


def _activation(name: str, generation: Name, told: Mapping[str, Any]) -> str:
    found = _names_of_activations(generation).get(name)
    if found is not None:
        return found
    raise _no(_SAID.steeper if name == "hard_sigmoid" else _SAID.no_object, **told, value=name)


def _shaped(sizes: Any, shape: str) -> Any:
    """Sizes as one writes them: see `spelling_table`."""
    if not isinstance(sizes, list) or not sizes:
        return sizes
    flat = [leaf for item in sizes for leaf in (item if isinstance(item, list) else [item])]
    if shape == "one":
        return flat[0] if len({*flat}) == 1 else sizes
    if shape == "tuple":
        return sizes
    if all(item[0] == item[-1] for item in sizes):
        return tuple(item[0] for item in sizes)
    return tuple(flat) if shape == "flat" else sizes


def _text(value: Any, generation: Name, told: Mapping[str, Any]) -> str:
    """Python that gives a value."""
    if isinstance(value, Code):
        return value.text
    if isinstance(value, Object):
        return _object(value, generation, told)
    if isinstance(value, Inner):
        return _call(value.layer, generation, value.told)
    if isinstance(value, Layer):
        return _call(value, generation)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key!r}: {_text(item, generation, told)}' for key, item in value.items())}}}"
    if isinstance(value, (list, tuple)):
        inner = [_text(item, generation, told) for item in value]
        if any(isinstance(item, Layer) for item in value):
            return f"[{', '.join(inner)}]"
        return f"({inner[0]},)" if len(inner) == 1 else f"({', '.join(inner)})"
    return f'"{value}"' if isinstance(value, str) and '"' not in value and "\\" not in value else repr(value)


_REGULARIZERS = {"L1": "l1", "L2": "l2", "L1L2": "l1_l2"}


def _object(made: Object, generation: Name, told: Mapping[str, Any]) -> str:
    """An initializer, regularizer or constraint as a call in its module."""
    name, config, table = made.name, dict(made.config), _TABLES.get(generation)
    if name in _REGULARIZERS:
        name = "l1l2" if (generation, name) == ("keras1", "L1L2") else _REGULARIZERS[name]
        given = ", ".join(f"{key}={value!r}" if name[-3:] == "_l2" or name == "l1l2" else repr(value)
                          for key, value in config.items())  # fmt: skip
        return f"{made.home}.{name}({given})"
    if generation == "keras1" and made.home == "initializers":
        raise _no(_SAID.by_name, **told, value=_object(made, "keras3", told))
    if table is not None and table.find(name, made.home) is None:
        if table is KERAS2 and name in ONCE and made.short is None:
            name = snake_case(name)
        if table.find(name, made.home) is None and not ("t" in _age(made.home, name) and table is TF_KERAS):
            raise _no(_SAID.no_object, **told, value=f"{made.home}.{name}")
    if table is not None and table.find(name, made.home) is not None:
        own = words(table, made.home, name)
        old_words = {now[0][0]: word for word in own.accepted if (now := own.now(word))}
        config = {old_words.get(key, key): value for key, value in config.items()}
    given = ", ".join(f"{key}={_text(value, generation, told)}" for key, value in config.items())
    return f"{made.home}.{name}({given})"
