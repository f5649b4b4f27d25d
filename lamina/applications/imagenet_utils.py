"""Pictures as networks expect them, and predictions in words."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .. import ops
from ..core.config import floatx, image_data_format
from ..core.dtypes import torch_dtype
from ..core.symbolic import SymbolicTensor
from ..utils import get_file

_CLASSES = "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json"
# For each mode: whether channels are turned round, what is taken from them, what they are divided by then.
_MODES = {
    "caffe": (True, (103.939, 116.779, 123.68), None),
    "tf": (False, 127.5, 127.5),
    "torch": (False, (0.485 * 255, 0.456 * 255, 0.406 * 255), (0.229 * 255, 0.224 * 255, 0.225 * 255)),
}


def preprocess_input(x: Any, data_format: str | None = None, mode: str = "caffe") -> Any:
    """Pictures of values from 0 to 255 as a network expects them: an array of arrays, a tensor of tensors.

    mode: "caffe" takes the means of ImageNet from the channels, which become blue, green, red; "tf" gives values from
    -1 to 1; "torch" takes the means and divides by the standard deviations. Raises ValueError for others.
    """
    data_format = data_format or image_data_format()
    if mode not in _MODES:
        raise ValueError(f"preprocess_input: `mode` must be one of {', '.join(_MODES)}; got {mode!r}.")
    if data_format not in ("channels_first", "channels_last"):
        raise ValueError(
            f'preprocess_input: `data_format` must be "channels_first" or "channels_last"; got {data_format!r}.'
        )
    y = x if isinstance(x, SymbolicTensor) else ops.convert_to_tensor(x)
    y = y if torch_dtype(y.dtype).is_floating_point else ops.cast(y, floatx())
    axis = -1 if data_format == "channels_last" else 0 if len(y.shape) == 3 else 1
    turned, mean, deviation = _MODES[mode]
    y = ops.flip(y, axis) if turned else y
    y = y - _along(axis, mean, y)
    y = y if deviation is None else y / _along(axis, deviation, y)
    return ops.convert_to_numpy(y) if isinstance(x, np.ndarray) else y


def _along(axis: int, values: Any, x: Any) -> Any:
    """A number, or one for each channel, as they meet the channels of `x`. Raises ValueError for other channels."""
    if isinstance(values, float):
        return values
    if x.shape[axis] not in (None, len(values)):
        raise ValueError(f"preprocess_input: expected pictures of 3 channels (axis {axis}); got {tuple(x.shape)}.")
    after = len(x.shape) - 1 - axis if axis >= 0 else 0
    return ops.convert_to_tensor(np.reshape(values, (-1, *[1] * after)), dtype=x.dtype)


def preprocessing(mode: str | None) -> Callable[..., Any]:
    """`preprocess_input` of one mode; None for networks that take pictures as they are."""

    def preprocess_input(x: Any, data_format: str | None = None) -> Any:
        return x if mode is None else _preprocess(x, data_format, mode)

    how = "pictures stay as they are" if mode is None else f'as `imagenet_utils.preprocess_input` with `mode="{mode}"`'
    preprocess_input.__doc__ = f"What the networks of this module expect: {how}."
    return preprocess_input


_preprocess = preprocess_input


def decode_predictions(preds: Any, top: int = 5) -> list[list[tuple[str, str, float]]]:
    """For each picture the `top` likeliest classes of ImageNet: (WordNet's name, the name, the score).

    preds: (batch, 1000). Raises ValueError for another shape.
    """
    scores = ops.convert_to_numpy(preds)
    if scores.ndim != 2 or scores.shape[1] != 1000:
        raise ValueError(f"decode_predictions: `preds` must be of shape (batch, 1000); got {scores.shape}.")
    classes = _classes()
    return [[(*classes[str(i)], row[i]) for i in np.argsort(row)[::-1][:top]] for row in scores]


@functools.cache
def _classes() -> dict[str, tuple[str, str]]:
    path = get_file(
        "imagenet_class_index.json", _CLASSES, cache_subdir="models", file_hash="c2c37ea517e94d9795004a39431a14cb"
    )
    return json.loads(Path(path).read_text(encoding="utf-8"))
