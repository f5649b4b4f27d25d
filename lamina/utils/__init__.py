"""Small helpers round data and models."""

from __future__ import annotations

import math
import operator
from collections import abc
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .. import _absent
from ..core.config import (
    disable_interactive_logging,
    enable_interactive_logging,
    floatx,
    is_interactive_logging_enabled,
)
from ..core.dtypes import dtype_name
from ..core.errors import short
from ..core.layer import clear_session
from ..core.random import set_random_seed
from ..core.symbolic import SymbolicTensor
from ..core.symbolic import is_symbolic as is_keras_tensor
from ..pictures.plot import model_to_dot, plot_model
from ..saving import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)
from ..training.data import PyDataset
from ..training.data import pack as pack_x_y_sample_weight
from ..training.data import unpack as unpack_x_y_sample_weight
from . import bounding_boxes, legacy
from .attributes import Config
from .batches import split_dataset, timeseries_dataset_from_array
from .files import get_file
from .folders import audio_dataset_from_directory, image_dataset_from_directory, text_dataset_from_directory
from .pictures import array_to_img, img_to_array, load_img, save_img
from .progbar import Progbar

if TYPE_CHECKING:
    from .feature_space import FeatureSpace as FeatureSpace

Sequence = PyDataset

__all__ = [
    "Config", "CustomObjectScope", "FeatureSpace", "Progbar", "PyDataset", "Sequence", "array_to_img",
    "audio_dataset_from_directory", "bounding_boxes", "clear_session", "count_params", "custom_object_scope",
    "deserialize_keras_object", "disable_interactive_logging", "enable_interactive_logging", "get_custom_objects",
    "get_file", "get_registered_name", "get_registered_object", "get_source_inputs", "image_dataset_from_directory",
    "img_to_array", "is_interactive_logging_enabled", "is_keras_tensor", "legacy", "load_img", "model_to_dot",
    "normalize", "pack_x_y_sample_weight", "pad_sequences", "plot_model", "register_keras_serializable", "save_img",
    "serialize_keras_object", "set_random_seed", "split_dataset", "standardize_dtype", "text_dataset_from_directory",
    "timeseries_dataset_from_array", "to_categorical", "unpack_x_y_sample_weight",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "FeatureSpace":  # with it come the layers that prepare data, which most programs never need
        from .feature_space import FeatureSpace

        return FeatureSpace
    raise _absent.attribute(__name__, name)


def standardize_dtype(dtype: Any) -> str:
    """The name of a number type: torch's, NumPy's or a name; None is the default float type."""
    return floatx() if dtype is None else dtype_name(dtype)


def get_source_inputs(tensor: SymbolicTensor) -> list[SymbolicTensor]:
    """The inputs that a symbolic tensor depends on."""
    found: dict[int, SymbolicTensor] = {}
    seen: set[int] = set()
    waiting = [tensor]
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        before = each.node.inputs if each.node is not None else []
        waiting += reversed(before)
        if not before:
            found[id(each)] = each
    return list(found.values())


def count_params(weights: Iterable[Any]) -> int:
    """The number of values in some weights."""
    return sum(math.prod(weight.shape) for weight in weights)


def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """Class numbers as rows of zeros with a one: (...,) or (..., 1) to (..., num_classes). A tensor gives a tensor.

    num_classes: the largest class plus one if None. Raises ValueError for classes outside it.
    """
    tensor = isinstance(x, torch.Tensor)
    classes = x.detach().cpu().numpy() if tensor else np.asarray(x)
    if classes.dtype.kind not in "biuf" or not np.all(np.isfinite(classes) & (classes == np.floor(classes))):
        raise ValueError(f"to_categorical: expected whole numbers as classes; got {short(x)}.")
    if num_classes is not None:
        num_classes = operator.index(num_classes)
    classes = classes.astype("int64")
    if classes.ndim > 1 and classes.shape[-1] == 1:
        classes = classes[..., 0]
    count = int(classes.max(initial=-1)) + 1 if num_classes is None else num_classes
    if classes.size and not 0 <= classes.min() <= classes.max() < count:
        raise ValueError(
            f"to_categorical: expected classes from 0 to {count - 1}; got {classes.min()} to {classes.max()}."
        )
    rows = np.eye(count)[classes]
    return torch.as_tensor(rows, dtype=torch.get_default_dtype(), device=x.device) if tensor else rows


def normalize(x: Any, axis: int = -1, order: float = 2) -> Any:
    """`x` divided by its norm of that order along `axis`; a norm of 0 leaves it as it is. A tensor gives a tensor.

    An array of one axis is taken as a row: the result has two.
    """
    if isinstance(x, torch.Tensor):
        return torch.nn.functional.normalize(x, p=order, dim=axis)
    norm = np.atleast_1d(np.linalg.norm(x, order, axis))
    return x / np.expand_dims(np.where(norm == 0, 1, norm), axis)


def pad_sequences(
    sequences: abc.Sequence[abc.Sequence[Any]],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Sequences of different lengths as one array (samples, maxlen, ...), filled up with `value`.

    padding, truncating: "pre" or "post", where values are added and cut off. Raises ValueError for anything else, and
    for items that are no sequences or differ in their inner shape.
    """
    for what, word in (("padding", padding), ("truncating", truncating)):
        if word not in ("pre", "post"):
            raise ValueError(f'pad_sequences: `{what}` must be "pre" or "post"; got {word!r}.')
    if not all(hasattr(item, "__len__") for item in sequences):
        raise ValueError("pad_sequences: expected a list of sequences; wrap a single one in a list.")
    arrays = [np.asarray(item) for item in sequences]
    inner = next((array.shape[1:] for array in arrays if len(array)), ())
    length = max(map(len, arrays), default=0) if maxlen is None else maxlen
    if isinstance(value, str) and dtype is not object and not np.issubdtype(dtype, np.str_):
        raise ValueError(f"pad_sequences: `value` {value!r} is text; pass dtype=object with it.")
    padded = np.full((len(arrays), length, *inner), value, dtype=dtype)
    for row, array in zip(padded, arrays, strict=True):
        kept = array[len(array) - length :] if truncating == "pre" and len(array) > length else array[:length]
        if len(kept) == 0:
            continue
        if kept.shape[1:] != inner:
            raise ValueError(f"pad_sequences: expected steps of shape {inner}; got {kept.shape[1:]}.")
        row[slice(-len(kept), None) if padding == "pre" else slice(len(kept))] = kept
    return padded
