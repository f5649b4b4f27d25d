"""Keras 2.3.1."""

from __future__ import annotations

from typing import Any

from . import keras1, modules
from .classes import told
from .conversions import dropped
from .table import Generation, Value, same

TOLD = told("keras2.json", keras1.TOLD)
LAYERS = TOLD.objects["layers"]
# Modern classes that were another one with some arguments.
ONCE: dict[str, tuple[str, dict[str, Any]]] = TOLD.lists["once"]
SINCE = ("input_axes", "output_axes")  # arguments that this generation's objects did not have


def _object(config: Any) -> Any:
    """An object's modern config in this generation's words."""
    if not isinstance(config, dict) or "class_name" not in config:
        return config
    if config["class_name"] in ("function", "class"):
        return config["config"]
    name, fixed = ONCE.get(config["class_name"], (config["class_name"], {}))
    own = {**fixed, **{key: value for key, value in (config["config"] or {}).items() if key not in SINCE}}
    if own.get("distribution") == "truncated_normal":
        own["distribution"] = "normal"
    return {"class_name": name, "config": own}


def _distribution(value: str) -> str:
    if value not in ("normal", "uniform"):
        raise ValueError(f'VarianceScaling of Keras 2 draws from "normal" or "uniform"; got {value!r}.')
    return value


def _old_distribution(value: str) -> str:
    return "normal" if value == "truncated_normal" else value


VALUES = {
    "dropout": Value(dropped, same),  # of states, too
    **{word: Value(same, _object) for word in ("activation", "initializer", "regularizer", "constraint")},
    "distribution": Value(_distribution, _old_distribution),
}

KERAS2 = Generation(
    name="keras2",
    version="2.3.1",
    objects=TOLD.objects,
    renamed=TOLD.lists["renamed"],
    joined={},
    values=VALUES,
    modules={"objectives": "losses", **modules.BACKENDS},
    holds=modules.KERAS2,
    methods=TOLD.lists["methods"],
    method_words=keras1.METHOD_WORDS | TOLD.lists["method_words"],
    callbacks=keras1.KERAS1.callbacks | TOLD.lists["callbacks"],
    functions=keras1.FUNCTIONS,
    older=keras1.KERAS1,
    **TOLD.lists["facts"],
)
