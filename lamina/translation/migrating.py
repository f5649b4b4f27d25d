"""What source written for older generations becomes in Keras 3, where the tables of classes do not say it.

Where something has no counterpart in Keras 3, the text says what a person may write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .classes import told
from .lists import listed
from .table import Class

_TOLD = told("migrating.json")


def _same(names: str, signature: str, home: str = "ops") -> dict[str, Class]:
    """Functions that only moved: `old=new`, or one name for both."""
    pairs = (name.partition("=")[::2] for name in names.split())
    return {old: Class(f"{home}.{new or old}", signature) for old, new in pairs}


_REDUCING = "x, axis=None, keepdims=False"
# The functions of `K`. A modern name with braces is an expression of the arguments.
BACKEND: Mapping[str, Class] = {
    **_same("abs square sqrt exp log round sign sin cos tanh sigmoid softplus softsign transpose", "x"),
    **_same("sum max min mean prod var std any all logsumexp", _REDUCING),
    **_same("argmax argmin", "x, axis=-1"),
    **_same("cumsum cumprod", "x, axis=0"),
    **{old: replace(entry, renamed={"x": "x1", "y": "x2"}) for old, entry in _same(
        "maximum minimum equal not_equal greater greater_equal less less_equal lesser=less lesser_equal=less_equal",
        "x, y",
    ).items()},
    **_same("zeros ones", "shape, dtype=None"),
    **{old: replace(entry, renamed={"name": ""}) for old, entry in _same(
        "zeros_like ones_like", "x, dtype=None, name=None"
    ).items()},
    **_TOLD.objects["backend"],
}  # fmt: skip
# Those that make a variable, where they give it a name.
NAMED = {
    kind: Class(f"keras.Variable(ops.{kind}({{shape}}, {{dtype}}), name={{name}})", "shape, dtype='float32', name=None")
    for kind in ("zeros", "ones")
}
SWAPPED = {"binary_crossentropy", "categorical_crossentropy"}  # Keras 1 had the output first

# The function that a mode of Keras 1's `merge` is.
MERGED = {
    "sum": "add", "mul": "multiply", "concat": "concatenate", "ave": "average", "max": "maximum", "dot": "dot",
}  # fmt: skip

# Functions and methods around layers, in the words of the time; a home is a module.
AROUND = {home: _TOLD.objects[home] for home in ("utils", "activations", "callbacks", "models")}
ADD_WEIGHT = {
    "keras1": "shape, initializer, name=None, trainable=True, regularizer=None, constraint=None",
    "keras2": ("name, shape, dtype=None, initializer=None, regularizer=None, trainable=True, constraint=None"),
}
ADD_WEIGHT["tf_keras"] = ADD_WEIGHT["keras2"].replace("name, shape", "name=None, shape=None")

# Names that moved, by their paths; what is not here has its name in the module of today.
MOVED: dict[str, str] = _TOLD.lists["moved"]

RENAMED = {"get_output_shape_for": "compute_output_shape", "_keras_shape": "shape"}  # attributes of anything
# Methods of models that are called otherwise.
ATTRIBUTES = {
    "fit_generator": "fit", "evaluate_generator": "evaluate", "predict_generator": "predict",
    "predict_proba": "predict",
}  # fmt: skip

# What to write instead of what has no counterpart, by name.
INSTEAD: dict[str, str] = listed("instead.json")["keras3"]

# Arguments that choose arithmetic which Keras 3 has not. "": of no consequence for what a model predicts.
LOST: dict[str, str] = _TOLD.lists["lost"]
