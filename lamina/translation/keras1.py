"""Keras 1.2.2."""

from __future__ import annotations

from typing import Any

from . import modules
from .classes import told
from .table import Generation, Value, same

TOLD = told("keras1.json")
LAYERS = TOLD.objects["layers"]
RENAMED: dict[str, str] = TOLD.lists["renamed"]
INITIALIZERS: dict[str, dict[str, Any]] = TOLD.lists["initializers"]
METHOD_WORDS: dict[str, str] = TOLD.lists["method_words"]
JOINED = {("nb_row", "nb_col"): "kernel_size", ("kernel_dim1", "kernel_dim2", "kernel_dim3"): "kernel_size"}
_FORMATS = {"th": "channels_first", "tf": "channels_last", "default": None}


def _initializer_name(config: Any) -> Any:
    """The name of an initializer, from its modern config."""
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "function":
        return config["config"]
    own = {key: value for key, value in (config.get("config") or {}).items() if value is not None and key != "seed"}
    if "draws" in own:
        return own["draws"]
    for name, known in INITIALIZERS.items():
        if config.get("class_name") == known["class_name"] and own == known["config"]:
            return name
    return own["value"] if config.get("class_name") == "Constant" else config.get("class_name")


def _initializer(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return {"class_name": "Constant", "config": {"value": value}}
    return INITIALIZERS.get(value, value) if isinstance(value, str) else value


def _format(value: Any) -> Any:
    if value not in _FORMATS and value not in (*_FORMATS.values(), None):
        raise ValueError(f"`dim_ordering` must be 'th', 'tf' or 'default'; got {value!r}.")
    return _FORMATS[value] if value in _FORMATS else value


VALUES = {
    "initializer": Value(_initializer, _initializer_name),
    "data_format": Value(_format, {"channels_first": "th", "channels_last": "tf"}.get),
    "unit_forget_bias": Value(lambda value: value in (True, "one"), {True: "one", False: "zero"}.get),
    "activation": Value(
        lambda value: "linear" if value is None else value,
        lambda value: value["config"] if isinstance(value, dict) else value,
    ),
    "mode": Value(same, same),
}

# Functions that had a second name.
FUNCTIONS: dict[str, dict[str, str]] = dict.fromkeys(("losses", "metrics"), TOLD.lists["second_names"])

KERAS1 = Generation(
    name="keras1",
    version="1.2.2",
    objects=TOLD.objects,
    renamed=RENAMED,
    joined=JOINED,
    values=VALUES,
    modules={"initializations": "initializers", "objectives": "losses", **modules.BACKENDS},
    holds=modules.KERAS1,
    methods=TOLD.lists["methods"],
    method_words=METHOD_WORDS,
    callbacks=TOLD.lists["callbacks"],
    functions={**FUNCTIONS, "activations": {"selu": "", "exponential": ""}},
    **TOLD.lists["facts"],
)
