"""tf_keras 2.21, the last of the Keras 2 line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from . import keras1, keras2, modules
from .classes import told
from .keras2 import KERAS2
from .table import Value, same

TOLD = told("tf_keras.json", keras2.TOLD)
_GONE = ("Highway", "MaxoutDense")
LAYERS = {name: entry for name, entry in keras2.LAYERS.items() if name not in _GONE} | TOLD.objects["layers"]
_OPTIMIZER_MODULES = [f".{name.lower()}" for name in TOLD.objects["optimizers.legacy"] if name[0] != "_"]


def _object(config: Any) -> Any:
    """An object's modern config without what it did not have."""
    if not isinstance(config, dict) or "class_name" not in config:
        return config
    if config["class_name"] == "function":
        return config["config"]
    own = {key: value for key, value in (config["config"] or {}).items() if key not in keras2.SINCE}
    return {**config, "config": own}


VALUES = {word: Value(same, _object) for word in ("activation", "initializer", "regularizer", "constraint")}

TF_KERAS = replace(
    KERAS2,
    name="tf_keras",
    version="2.21",
    methods=KERAS2.methods | TOLD.lists["methods"],
    callbacks=TOLD.lists["callbacks"],
    objects=TOLD.objects | {"layers": LAYERS},
    older=None,
    functions=keras1.FUNCTIONS | {"optimizers.legacy": {"OptimizerV2": "Optimizer"}},
    holds=modules.TF_KERAS,
    modules={
        **KERAS2.modules,
        "optimizers.experimental": "optimizers",
        "layers.experimental.preprocessing": "layers.preprocessing",
        "backend_config": "backend",
        "optimizer_v2.learning_rate_schedule": "optimizers.schedules",
        **{f"optimizer_v2{part}": "optimizers.legacy" for part in ("", ".optimizer_v2", *_OPTIMIZER_MODULES)},
    },
    renamed=KERAS2.renamed | TOLD.lists["renamed"],
    values=VALUES,
    **TOLD.lists["facts"],
)
