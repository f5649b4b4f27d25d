"""What source written for older generations becomes in Keras 3, where the tables of classes do not say it.

Where something has no counterpart in Keras 3, the text says what a person may write.
"""

from __future__ import annotations

from collections.abc import Mapping

from .classes import told
from .lists import listed
from .table import Class

_TOLD = told("migrating.json")


# The functions of `K`. A modern name with braces is an expression of the arguments; those that only moved are told as
# `old=new`, or as one name for both.
BACKEND: Mapping[str, Class] = {
    old: Class(f"ops.{new or old}", group["signature"], renamed=group.get("renamed", {}))
    for group in _TOLD.lists["functions"]
    for old, _, new in (name.partition("=") for name in " ".join(group["names"]).split())
} | _TOLD.objects["backend"]
# Those that make a variable, where they give it a name.
NAMED = {
    kind: Class(f"keras.Variable(ops.{kind}({{shape}}, {{dtype}}), name={{name}})", "shape, dtype='float32', name=None")
    for kind in ("zeros", "ones")
}
SWAPPED = {"binary_crossentropy", "categorical_crossentropy"}  # Keras 1 had the output first

MERGED: dict[str, str] = _TOLD.lists["merged"]  # the function that a mode of Keras 1's `merge` is

# Functions and methods around layers, in the words of the time; a home is a module.
AROUND = {home: _TOLD.objects[home] for home in ("utils", "activations", "callbacks", "models")}
ADD_WEIGHT: dict[str, str] = _TOLD.lists["add_weight"]  # its arguments, by generation

# Names that moved, by their paths; what is not here has its name in the module of today.
MOVED: dict[str, str] = _TOLD.lists["moved"]

RENAMED = {"get_output_shape_for": "compute_output_shape", "_keras_shape": "shape"}  # attributes of anything
ATTRIBUTES: dict[str, str] = _TOLD.lists["attributes"]  # methods of models that are called otherwise

# What to write instead of what has no counterpart, by name.
INSTEAD: dict[str, str] = listed("instead.json")["keras3"]

# Arguments that choose arithmetic which Keras 3 has not. "": of no consequence for what a model predicts.
LOST: dict[str, str] = _TOLD.lists["lost"]


def loss_of_today(name: str, seconds: Mapping[str, str]) -> str:
    """The name of a loss or metric, or the one that Keras 3 knows it by; `seconds`: second names of the generation."""
    return MOVED.get(f"losses.{name}", "").rpartition(".")[2] or seconds.get(name, name)
