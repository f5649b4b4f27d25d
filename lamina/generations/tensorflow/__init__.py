"""A stand-in for `import tensorflow as tf`, for scripts that use a little of it beside Keras: eager, on torch.

`NAMES` of `base` has all it offers, by path. What is not there says so, and what to use.
"""

from __future__ import annotations

import importlib.abc
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from .. import tensors
from . import arrays, data, environment, images, randomness, state  # noqa: F401  they fill NAMES
from .base import NAMES

_VERSIONS = {"keras1": "1.15.5", "keras2": "1.15.5", "tf_keras": "2.15.1", "keras3": "2.18.1"}  # that went with it

# What to use for what is not here, by a part of its path.
_INSTEAD = {
    "estimator": "Train a Keras model with `fit`.",
    "feature_column": "Use Keras' preprocessing layers, or keras.utils.FeatureSpace.",
    "saved_model": "Save models with `model.save('model.keras')`, and export them with `model.export`.",
    "lite": "Export the model with `model.export`, to ONNX or torch.export.",
    "ragged": "Pad sequences to one length; `padded_batch` of tf.data and masks do that.",
    "RaggedTensor": "Pad sequences to one length; `padded_batch` of tf.data and masks do that.",
    "sparse": "Use dense arrays.",
    "SparseTensor": "Use dense arrays.",
    "lookup": "Use the layers StringLookup and IntegerLookup.",
    "contrib": "TensorFlow itself dropped it in 2019; Keras' layers have most of it.",
    "layers": "Use keras.layers.",
    "get_variable": "Use `add_weight` in a Keras layer, or tf.Variable.",
    "placeholder": "Use keras.Input.",
    "train": "Use keras.optimizers, `compile` and `fit`, or tf.GradientTape.",
    "raw_ops": "Use the function of `tf` or of torch.",
    "tpu": "There is no TPU; leave it out.",
    "signal": "Use lamina.ops (stft, fft, ...) or torch.fft.",
    "python": "That is TensorFlow's inside; use its public names.",
    "examples": "Use keras.datasets.mnist.",
}


def _missing(path: str) -> str:
    hint = next((text for part, text in _INSTEAD.items() if part in path.split(".")), "Use torch or lamina.ops for it.")
    return f"tf.{path} is not in Lamina's stand-in for TensorFlow. {hint}"


class StandIn(ModuleType):
    """A module of the stand-in."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(_missing(f"{self.__name__}.{name}".partition(".")[2]))


class Inner(StandIn):
    """A module of TensorFlow's inside, with the names that are public in others."""

    def __getattr__(self, name: str) -> Any:
        home = next((one for one in vars(self)["_public"] if name in vars(one) or hasattr(one, name)), None)
        return super().__getattr__(name) if home is None else getattr(home, name)


_INNER = {
    "python.framework.dtypes": "dtypes", "python.framework.ops": "", "python.framework.tensor_shape": "",
    "python.ops.array_ops": "", "python.ops.control_flow_ops": "", "python.ops.init_ops": "initializers",
    "python.ops.init_ops_v2": "initializers", "python.ops.math_ops": "math", "python.ops.nn": "nn",
    "python.ops.nn_ops": "nn", "python.ops.random_ops": "random", "python.ops.state_ops": "",
    "python.util.nest": "nest",
}  # fmt: skip


class _Absent(importlib.abc.MetaPathFinder):
    """Comes last, and says of a module that is not here what to use."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        if fullname.startswith("tensorflow.") and isinstance(sys.modules.get("tensorflow"), StandIn):
            raise ModuleNotFoundError(_missing(fullname.partition(".")[2]), name=fullname)


sys.meta_path.append(_Absent())


def stand_in(generation: str, keras: dict[str, ModuleType]) -> dict[str, ModuleType]:
    """The modules `tensorflow`, `tensorflow.nn`, ...; `keras`: those of `tf.keras`, by their path below it."""
    tensors.equip()
    made: dict[str, ModuleType] = {}

    def module(path: str) -> ModuleType:
        name = f"tensorflow.{path}".rstrip(".")
        if name not in made:
            made[name] = found = StandIn(name, "Lamina's stand-in for a part of TensorFlow.")
            found.__path__ = []
            found.__spec__ = ModuleSpec(name, None, is_package=True)
            if path:
                parent, _, leaf = path.rpartition(".")
                vars(module(parent)).setdefault(leaf, found)
        return made[name]

    root = module("")
    for path, item in NAMES.items():
        home, _, leaf = path.rpartition(".")
        setattr(module(home), leaf, item)
    for path in ("keras", "python.keras", "compat.v1.keras", "compat.v2.keras"):
        home, _, leaf = path.rpartition(".")
        setattr(module(home), leaf, keras[""])
        made |= {f"tensorflow.{path}.{inner}".rstrip("."): found for inner, found in keras.items()}
    for home in ("initializers", "losses", "metrics", "optimizers"):
        setattr(root, home, keras[home])
        made[f"tensorflow.{home}"] = keras[home]
    for word, name in _INITIALIZERS.items():
        setattr(root, word, getattr(keras["initializers"], name))
    for path, home in _INNER.items():
        name, (parent, _, leaf) = f"tensorflow.{path}", path.rpartition(".")
        made[name] = found = Inner(name)
        vars(found).update(__path__=[], __spec__=ModuleSpec(name, None, is_package=True))
        vars(found)["_public"] = [made[f"tensorflow.{home}".rstrip(".")], root]
        setattr(module(parent), leaf, found)
    root.__version__ = module("version").VERSION = _VERSIONS[generation]  # type: ignore[attr-defined]
    module("version").COMPILER_VERSION = module("version").GIT_VERSION = "lamina"  # type: ignore[attr-defined]
    for path in ("compat.v1", "compat.v2"):  # whoever names a version finds the same
        vars(module(path)).update({key: item for key, item in vars(root).items() if key not in vars(module(path))})
    return made


_INITIALIZERS = {
    "random_normal_initializer": "RandomNormal", "random_uniform_initializer": "RandomUniform",
    "constant_initializer": "Constant", "zeros_initializer": "Zeros", "ones_initializer": "Ones",
    "truncated_normal_initializer": "TruncatedNormal", "glorot_uniform_initializer": "GlorotUniform",
    "glorot_normal_initializer": "GlorotNormal", "orthogonal_initializer": "Orthogonal",
}  # fmt: skip
NAMES["newaxis"] = None
