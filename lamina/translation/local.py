"""Kernels of locally connected layers, as tf.keras' implementations store them.

Implementation 1: (positions, taps, filters), as here. 2: a weight for every input and every output, (*in, C, *out,
filters), or (C, *in, filters, *out) for channels first. 3: the list of those weights that are used, by outputs and
among them by inputs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np


class Places(NamedTuple):
    """Where each used weight lies in the kernel as it is stored, and in today's."""

    stored_shape: tuple[int, ...]
    stored: np.ndarray
    modern_shape: tuple[int, ...]
    modern: np.ndarray

    def to_modern(self, kernel: np.ndarray) -> np.ndarray:
        """Taps in the padding become zero. What has not the shape in question stays as it is."""
        fits = kernel.shape == self.stored_shape
        return _moved(kernel, self.stored, self.modern, self.modern_shape) if fits else kernel

    def to_stored(self, kernel: np.ndarray) -> np.ndarray:
        """Weights between what is not connected are zero."""
        return _moved(kernel, self.modern, self.stored, self.stored_shape)


def _moved(kernel: np.ndarray, there: np.ndarray, here: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    made = np.zeros(math.prod(shape), kernel.dtype)
    made[here] = kernel.reshape(-1)[there]
    return made.reshape(shape)


def places(config: Mapping[str, Any], shape: Sequence[Any]) -> Places | None:
    """Of a layer with this config, built for inputs of this shape; None where the kernel is stored as it is today."""
    if config.get("implementation", 1) == 1:
        return None
    first, same = config["data_format"] == "channels_first", config["padding"] == "same"
    space, channels = (shape[2:], shape[1]) if first else (shape[1:-1], shape[-1])
    filters = config["filters"]
    size, strides = (
        (value,) * len(space) if isinstance(value, int) else tuple(value)
        for value in (config["kernel_size"], config["strides"])
    )
    out = tuple(-(-n // s) if same else (n - k) // s + 1 for n, k, s in zip(space, size, strides, strict=True))

    # (positions, taps): the place of each tap among the inputs; windows are centred, whatever the stride
    at = np.indices(out).reshape(len(out), -1, 1) * np.reshape(strides, (-1, 1, 1))
    at = at + np.indices(size).reshape(len(size), 1, -1) - np.reshape([k // 2 * same for k in size], (-1, 1, 1))
    used = ((at >= 0) & (at < np.reshape(space, (-1, 1, 1)))).all(0)
    place: np.ndarray = np.asarray(np.ravel_multi_index(tuple(at), space, mode="clip"))

    # (positions, taps * channels, filters)
    position, channel, filter_ = np.arange(len(place))[:, None, None], np.arange(channels), np.arange(filters)
    if first:
        inputs = (channel[:, None] * math.prod(space) + place[:, None]).reshape(len(place), -1, 1)
        used, outputs = np.tile(used, channels), filter_ * len(place) + position
        dense = (channels, *space, filters, *out)
    else:
        inputs = (place[..., None] * channels + channel).reshape(len(place), -1, 1)
        used, outputs = np.repeat(used, channels, 1), position * filters + filter_
        dense = (*space, channels, *out, filters)
    inputs, outputs, used = np.broadcast_arrays(inputs, outputs, used[..., None])
    modern, inputs, outputs = used.ravel().nonzero()[0], inputs[used], outputs[used]
    if config["implementation"] == 2:
        return Places(dense, inputs * (filters * math.prod(out)) + outputs, used.shape, modern)
    order = np.lexsort((inputs, outputs))
    return Places((len(order),), np.arange(len(order)), used.shape, modern[order])
