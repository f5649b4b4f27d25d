"""What a model's config says, read as plain data: layers, ends, training, what in it is code or somebody's own."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..translation import origin
from ..translation.keras1 import KERAS1
from ..translation.keras2 import KERAS2
from ..translation.tf_keras import TF_KERAS

Entry = Mapping[str, Any]

_MODELS = ("Sequential", "Model", "Functional")
_SHAPES = ("batch_shape", "batch_input_shape", "build_input_shape", "input_shape")
_SIZES = ("units", "output_dim", "filters", "nb_filter")


def config_of(entry: Any) -> Entry:
    config = entry.get("config") if isinstance(entry, dict) else None
    return config if isinstance(config, dict) else {}


def class_of(entry: Entry) -> str:
    """The class of a layer, and in parentheses that of the one inside."""
    name, inner = str(entry.get("class_name")), config_of(entry).get("layer", config_of(entry).get("cell"))
    return f"{name}({class_of(inner)})" if isinstance(inner, dict) else name


def _stack(described: Any) -> list[Entry] | None:
    """The layers of a model's description; None for what is no model."""
    config = described.get("config") if isinstance(described, dict) else None
    stack = config.get("layers") if isinstance(config, dict) else config
    return [entry for entry in stack if isinstance(entry, dict)] if isinstance(stack, list) else None


def layers(described: Any) -> Iterator[Entry]:
    """The layers of a model, and of the models in it."""
    for entry in _stack(described) or ():
        if _stack(entry) is None or entry.get("class_name") == "Merge":
            yield entry
        yield from layers(entry)


# Ends --------------------------------------------------------------------------------------------------------------


def inputs(described: Any) -> list[str]:
    """Names and shapes of the inputs, as far as they are told."""
    names, config = _by_name(described), config_of(described)
    if "input_layers" in config:
        return [text for name in _ends(config["input_layers"]) if name in names for text in _input(names[name], name)]
    return _first_inputs(described) or _input(described, "")


def outputs(described: Any) -> list[str]:
    """The layers that give the outputs, with their sizes and activations."""
    names, config = _by_name(described), config_of(described)
    last = _ends(config["output_layers"]) if "output_layers" in config else [*names][-1:]
    return [_output(names[name], name) for name in last if name in names]


def _by_name(described: Any) -> dict[str, Entry]:
    entries = _stack(described) or []
    return {str(entry.get("name") or config_of(entry).get("name") or class_of(entry)): entry for entry in entries}


def _first_inputs(described: Any) -> list[str]:
    """Those of a sequential model's first layer; of all models that a Merge joins there."""
    inner = _stack(described)
    if not inner:
        return _input(described, "")
    firsts = inner if described.get("class_name") == "Merge" else inner[:1]
    return [text for first in firsts for text in _first_inputs(first)]


def _ends(ends: Any) -> Iterator[str]:
    """The layers' names in [name, call, output] and structures of these."""
    if isinstance(ends, list) and len(ends) == 3 and isinstance(ends[0], str):
        yield ends[0]
    elif isinstance(ends, (list, dict)):
        for item in ends.values() if isinstance(ends, dict) else ends:
            yield from _ends(item)


def _input(entry: Any, name: str) -> list[str]:
    config = config_of(entry)
    word = next((word for word in _SHAPES if isinstance(config.get(word), list)), None)
    shape = config[word] if word else None
    if shape is None and config.get("input_dim") is not None and "Embedding" not in class_of(entry):
        shape, word = [config["input_dim"]], "input_shape"
    if shape is None:
        return []
    sizes = ", ".join(map(str, [None, *shape] if word == "input_shape" else shape))
    dtype = next((config[key] for key in ("dtype", "input_dtype") if isinstance(config.get(key), str)), "")
    return [f"{name} ({sizes}) {dtype}".strip()]


def _output(entry: Entry, name: str) -> str:
    config = config_of(config_of(entry).get("layer")) or config_of(entry)
    activation = config.get("activation")
    told = [next((config[word] for word in _SIZES if config.get(word)), None)]
    told += [activation] if isinstance(activation, str) and activation != "linear" else []
    return f"{name} ({', '.join(str(part) for part in (class_of(entry), *told) if part is not None)})"


# Training ----------------------------------------------------------------------------------------------------------


def compiled(settings: Entry) -> str:
    """The compile arguments in words."""
    name, config = _object(settings.get("optimizer_config", settings.get("optimizer")))
    rate = config.get("learning_rate", config.get("lr"))
    told = [f"{name}({rate:.6g})" if isinstance(rate, (int, float)) else name]
    told += [f"{word} {', '.join(_names(settings[word]))}" for word in ("loss", "metrics") if settings.get(word)]
    return "; ".join(told)


def unknown_in_training(settings: Entry) -> list[str]:
    """Optimizers, losses and metrics that are somebody's own."""
    optimizer, _ = _object(settings.get("optimizer_config", settings.get("optimizer")))
    listed = [optimizer, *_names(settings.get("loss")), *_names(settings.get("metrics"))]
    return [one for one in dict.fromkeys(listed) if _plain(one) not in _public("losses", "metrics", "optimizers")]


def _object(value: Any) -> tuple[str, Entry]:
    """The name and the arguments of an object in a config."""
    if not isinstance(value, dict):
        return str(value), {}
    if value.get("class_name") in ("function", "class"):
        return str(value.get("config")), {}
    name = str(value.get("registered_name") or value.get("class_name") or value.get("name"))
    return name.removeprefix("Custom>"), config_of(value) or value


def _names(value: Any) -> list[str]:
    """The names in a structure of losses or metrics."""
    if value is None:
        return []
    if isinstance(value, list) or (isinstance(value, dict) and "class_name" not in value):
        return [name for item in (value if isinstance(value, list) else value.values()) for name in _names(item)]
    name, config = _object(value)
    wrapped = config.get("fn") if name.endswith("Wrapper") else None
    return _names(wrapped) if wrapped else [name]


# What has no layers here, code, and what is somebody's own -----------------------------------------------------------


def quantized(described: Any) -> list[str]:
    """To what layers are quantized, as their dtype policies say: "int8", "int4/128"."""
    policies = (config_of(config_of(node).get("dtype")) for node in _nodes(described))
    return [*dict.fromkeys(str(policy["mode"]) for policy in policies if "mode" in policy)]


def unread(described: Any, version: Any) -> str | None:
    """Why layers in a file that Keras of this version wrote are not read, by their config; None where they are."""
    modes = quantized(described)
    calibrated = [mode for mode in modes if mode.partition("/")[0] in ("gptq", "awq")]
    if calibrated:
        return f"its layers are quantized to {', '.join(calibrated)}: save the model in Keras before its `quantize`"
    if "int4" in modes and origin.packs_otherwise(version):
        return (
            "its layers are quantized to int4 in the form of Keras 3.11 to 3.13, which no later version reads: save "
            "the model in Keras before its `quantize`"
        )
    for node in _nodes(described):
        path = config_of(node).get("vocabulary")
        if isinstance(path, str) and node.get("class_name") in ("StringLookup", "IntegerLookup", "TextVectorization"):
            return (
                f"its {node['class_name']} names another file, {path!r}, as vocabulary, which is never read: save the "
                "model with a list of terms"
            )
    return None


def code(described: Any) -> list[str]:
    """What in a config is code: where, and what."""
    found = []
    for node in _nodes(described):
        kind, config = node.get("class_name"), config_of(node)
        words = [word for word in config if _is_bytecode(config, word, kind in ("Lambda", "Merge"))]
        found += [f'{kind} "{config.get("name", "")}": bytecode of its {word}' for word in words]
        if kind == "TorchModuleWrapper" and not isinstance(config.get("module"), dict):
            found.append(f'{kind} "{config.get("name", "")}": a pickled module')
    return found


def _is_bytecode(config: Entry, word: str, of_function: bool = True) -> bool:
    value = config.get(word)
    if isinstance(value, dict) or not of_function:
        return origin.is_lambda(value)
    return config.get(f"{word}_type") == "lambda" or (word == "function" and isinstance(value, list))


def _nodes(value: Any) -> Iterator[Entry]:
    """All dictionaries below a value, in order."""
    stack = [value] if isinstance(value, (dict, list)) else []
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            yield item
            item = item.values()
        stack += [inner for inner in item if isinstance(inner, (dict, list))][::-1]


def unknown(described: Entry) -> list[str]:
    """The classes and functions that are not Keras', in order."""
    found: dict[str, None] = {}
    for entry in (described, *layers(described)):
        name = str(entry.get("class_name"))
        if _is_theirs(entry, name):
            found[name.rpartition(">")[2]] = None
    for node in _nodes(described):
        config = config_of(node)
        if node.get("class_name") == "Lambda":
            lambda_form = _is_bytecode(config, "function")
            found[str(config.get("name")) if lambda_form else _object(config.get("function"))[0]] = None
        for word, value in config.items():
            if isinstance(value, str) and word.endswith("activation") and _plain(value) not in _public("activations"):
                found[value] = None
    return [*found]


_KNOWN = ("keras.", "tf_keras.", "lamina.", "tensorflow.python.keras.", "tensorflow.keras.", "torch.")


def _is_theirs(entry: Entry, name: str) -> bool:
    """Whether a class is somebody's own: by its module, or where files name none, by its name."""
    module = entry.get("module")
    if module == "keras.layers":
        return _plain(name) not in _layer_names()
    if module is not None:
        return ">" in str(entry.get("registered_name")) or not (
            module in ("keras", "torch") or str(module).startswith(_KNOWN)
        )
    called = any(isinstance(node, dict) and "args" in node for node in entry.get("inbound_nodes") or ())
    if called and "trainable" not in config_of(entry):  # so Keras 3 writes calls of `ops`
        return False
    return name not in _MODELS and _plain(name) not in _layer_names()


def _plain(name: str) -> str:
    """A name as functions and classes share it: `mean_squared_error`, `MeanSquaredError`."""
    return name.rpartition(">")[2].replace("_", "").lower()


@functools.cache
def _layer_names() -> frozenset[str]:
    tables = (table.objects["layers"] for table in (KERAS1, KERAS2, TF_KERAS))
    names = (name for table in tables for key, entry in table.items() for name in (key, *entry.aliases.split()))
    return _public("layers", "models") | {_plain(name) for name in names}


_SECOND_NAMES = "acc accuracy ce crossentropy cosine cosine_proximity kullback_leibler_divergence swish hard_swish none"
_NAMED_IN_SOURCE = re.compile(r'^(?:def|class) (\w+)|\bas (\w+),?$|^(\w+) = \w+$|"([\w ]+)"', re.M)
_LISTED = re.compile(r"^__all__ = \[(.*?)\]", re.M | re.S)


@functools.cache
def _public(*modules: str) -> frozenset[str]:
    """The names in the source of Lamina's own modules: to import these would import torch."""
    names = _SECOND_NAMES.split()
    for module in modules:
        path = Path(__file__).parents[1] / module
        source = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")
        lists = [_LISTED.search(file.read_text(encoding="utf-8")) for file in path.rglob("[!_]*.py")]
        for groups in _NAMED_IN_SOURCE.findall("".join([source, *(each[1] for each in lists if each)])):
            names += " ".join(groups).split()
    return frozenset(map(_plain, names))
