"""What code took from inside Keras 1 and 2: helpers of the engine and of the networks of `applications`."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.config import image_data_format
from ...core.layer import Layer
from ...files import h5, older
from ...translation.keras1 import KERAS1
from ..dialect import Dialect
from ..weighting import weighted

if TYPE_CHECKING:
    import h5py


def _collect_previous_mask(input_tensors: Any) -> Any:
    """The mask of a tensor, or of each in a list; None for one that has none."""
    several = isinstance(input_tensors, (list, tuple))
    masks = [getattr(x, "_keras_mask", None) for x in (input_tensors if several else [input_tensors])]
    return masks if len(masks) > 1 else masks[0]


def _collect_input_shape(input_tensors: Any) -> Any:
    """The shape of a tensor, or of each in a list."""
    several = isinstance(input_tensors, (list, tuple))
    shapes = [tuple(x.shape) for x in (input_tensors if several else [input_tensors])]
    return shapes if len(shapes) > 1 else shapes[0]


def _obtain_input_shape(
    input_shape: Sequence[int | None] | None, default_size: int, min_size: int, data_format: str | None = None,
    require_flatten: bool = True, weights: str | None = None, *, include_top: bool = True,
    dim_ordering: str | None = None,
) -> tuple[int | None, ...]:  # fmt: skip
    """The shape of a network's pictures. Raises ValueError for one that is too small, and for another than that of
    `weights="imagenet"`."""
    first = (data_format or dim_ordering or image_data_format()) in ("channels_first", "th")
    flat, known = require_flatten and include_top, weights == "imagenet"

    def ordered(channels: Any, size: int | None) -> tuple[int | None, ...]:
        return (channels, size, size) if first else (size, size, channels)

    if not input_shape:
        return ordered(3, default_size if flat else None)
    shape = tuple(input_shape)
    if len(shape) != 3:
        raise ValueError(f"input_shape: expected three sizes; got {shape}.")
    channels, sides = (shape[0], shape[1:]) if first else (shape[-1], shape[:-1])
    if known and (channels != 3 or (flat and shape != ordered(3, default_size))):
        told = ordered(3, default_size) if flat else "3 channels"
        raise ValueError(f"input_shape: the weights of ImageNet need {told}; got {shape}.")
    if any(side is not None and side < min_size for side in sides) or (flat and None in sides):
        raise ValueError(f"input_shape: expected pictures of {min_size} x {min_size} at least; got {shape}.")
    return shape


obtain_input_shape = _obtain_input_shape


def load_weights_from_hdf5_group(dialect: Dialect, f: h5py.Group, layers: Iterable[Layer]) -> None:
    """The arrays of an open HDF5 file, or of its `model_weights`, for some layers, in order."""
    h5.load_weights(_held(dialect, layers), Path(f.file.filename))


def load_weights_from_hdf5_group_by_name(
    dialect: Dialect, f: h5py.Group, layers: Iterable[Layer], skip_mismatch: bool = False
) -> None:
    """As `load_weights_from_hdf5_group`, for the layers whose names the file has."""
    h5.load_weights(_held(dialect, layers), Path(f.file.filename), skip_mismatch, by_name=True)


def _held(dialect: Dialect, layers: Iterable[Layer]) -> Layer:
    """Layers as a model of the generation has them."""
    held: Any = type("Model", (Layer,), {"_home": dialect.module("models"), "_made_for": None})(name="layers")
    held.layers, held.built = list(layers), True
    return held


def preprocess_weights_for_loading(
    layer: Layer,
    weights: Sequence[np.ndarray],
    original_keras_version: str | None = None,
    original_backend: str | None = None,
) -> list[np.ndarray]:
    """The arrays of a layer in a file of Keras 1, "1", as later ones have them; those of others as they are."""
    if original_keras_version != "1":
        return list(weights)
    rest = iter(weights)
    parts = older.Converter(KERAS1, original_backend or "tensorflow").parts(layer)
    return [array for part in parts for array in part.layout.to_modern([*itertools.islice(rest, part.count)])]


def standardize_weights(
    y: np.ndarray, sample_weight: Any = None, class_weight: Any = None, sample_weight_mode: str | None = None
) -> np.ndarray:
    """The weights of targets' samples, those of their classes included; of steps where the mode is "temporal"."""
    found = weighted(["y"], y, sample_weight, class_weight)
    return np.ones(y.shape[: 1 + (sample_weight_mode == "temporal")], "float32") if found is None else found


def check_loss_and_target_compatibility(targets: Iterable[Any], loss_fns: Iterable[Any], output_shapes: Any) -> None:
    """Raises ValueError for targets that a squared error or a crossentropy cannot compare with outputs so shaped."""
    for y, loss, shape in zip(targets, loss_fns, output_shapes, strict=True):
        name = getattr(getattr(loss, "fn", loss), "__name__", None)
        if y is None or name not in ("mean_squared_error", "binary_crossentropy", "categorical_crossentropy"):
            continue
        if name == "categorical_crossentropy" and y.shape[-1] == 1:
            raise ValueError(
                f"You are passing a target array of shape {y.shape} while using as loss `{name}`, which expects "
                "one-hot targets (see `to_categorical`). For class numbers use `sparse_categorical_crossentropy`."
            )
        if any(out not in (None, size) for size, out in zip(y.shape[1:], shape[1:], strict=False)):
            raise ValueError(
                f"A target array with shape {y.shape} was passed for an output of shape {shape} while using as loss "
                f"`{name}`. This loss expects targets to have the same shape as the output."
            )
