"""Layouts of weights: from a generation's arrays to the modern ones and back, as linear maps, so for gradients too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Arrays = list[np.ndarray]
Facts = Mapping[str, Any]  # of the layer: "channels_first", "theano", "gates", "fused", "sizes"

# The modern order of the gates, by their names in Keras 1.
_GATES = {"i c f o": "ifco", "z r h": "zrh"}


def _spatial(array: np.ndarray, facts: Facts, *, flips: bool = True) -> np.ndarray:
    """(out, in, *window) -> (*window, in, out) where channels come first; Theano's kernels are turned round."""
    array = np.moveaxis(array, (0, 1), (-1, -2)) if facts["channels_first"] else array
    return np.flip(array, tuple(range(array.ndim - 2))) if flips and facts["theano"] else array


def _unspatial(array: np.ndarray, facts: Facts, *, flips: bool = True) -> np.ndarray:
    array = np.flip(array, tuple(range(array.ndim - 2))) if flips and facts["theano"] else array
    return np.moveaxis(array, (-1, -2), (0, 1)) if facts["channels_first"] else array


def _kernel(arrays: Sequence[np.ndarray], facts: Facts) -> Arrays:
    return [_spatial(arrays[0], facts), *arrays[1:]]


def _unkernel(arrays: Sequence[np.ndarray], facts: Facts) -> Arrays:
    return [_unspatial(arrays[0], facts), *arrays[1:]]


def _kernels(arrays: Sequence[np.ndarray], facts: Facts) -> Arrays:
    """Depthwise kernels are (multiplier, in, *window) where channels come first."""
    return [_spatial(arrays[0], facts), _spatial(arrays[1], facts), *arrays[2:]]


def _unkernels(arrays: Sequence[np.ndarray], facts: Facts) -> Arrays:
    return [_unspatial(arrays[0], facts), _unspatial(arrays[1], facts), *arrays[2:]]


def _row_kernel(arrays: Sequence[np.ndarray], facts: Facts) -> Arrays:
    """A kernel of time is a picture's: (length, 1, in, out)."""
    kernel = arrays[0][:, 0]
    return [np.flip(kernel, 0) if facts["theano"] else kernel, *arrays[1:]]


def _unrow_kernel(arrays: Sequence[np.ndarray], facts: Facts) -> Arrays:
    kernel = np.flip(arrays[0], 0) if facts["theano"] else arrays[0]
    return [kernel[:, None], *arrays[1:]]


def _transposed_kernel(arrays: Sequence[np.ndarray], facts: Facts) -> Arrays:
    """(*window, in, out), or (out, in, *window) -> (*window, out, in)."""
    kernel = arrays[0]
    kernel = np.moveaxis(kernel, (0, 1), (-2, -1)) if facts["channels_first"] else np.swapaxes(kernel, -1, -2)
    return [np.flip(kernel, tuple(range(kernel.ndim - 2))) if facts["theano"] else kernel, *arrays[1:]]


def _untransposed_kernel(arrays: Sequence[np.ndarray], facts: Facts) -> Arrays:
    kernel = arrays[0]
    kernel = np.flip(kernel, tuple(range(kernel.ndim - 2))) if facts["theano"] else kernel
    kernel = np.moveaxis(kernel, (-2, -1), (0, 1)) if facts["channels_first"] else np.swapaxes(kernel, -1, -2)
    return [kernel, *arrays[1:]]


def _gates(arrays: Sequence[np.ndarray], facts: Facts) -> Arrays:
    """W, U, b of one gate after the other -> the three with all gates along the last axis."""
    if facts["fused"]:
        return list(arrays)
    names = facts["gates"].split()
    kernel, recurrent, bias = (
        [np.asarray(arrays[3 * names.index(gate) + part]) for gate in _GATES[facts["gates"]]] for part in range(3)
    )
    return [np.concatenate(part, -1) for part in (kernel, recurrent, bias)]


def _ungates(arrays: Sequence[np.ndarray], facts: Facts) -> Arrays:
    if facts["fused"]:
        return list(arrays)
    order = _GATES[facts["gates"]]
    parts = [np.split(array, len(order), -1) for array in arrays]
    return [part[order.index(name)] for name in facts["gates"].split() for part in parts]


def _convolutional_gates(arrays: Sequence[np.ndarray], facts: Facts) -> Arrays:
    turned = [_spatial(array, facts) if array.ndim > 2 else array for array in map(np.asarray, arrays)]
    return _gates(turned, facts)


def _unconvolutional_gates(arrays: Sequence[np.ndarray], facts: Facts) -> Arrays:
    return [_unspatial(array, facts) if array.ndim > 2 else array for array in _ungates(arrays, facts)]


def _axes(arrays: Sequence[np.ndarray], facts: Facts) -> Arrays:
    """The axes as they were given -> by their numbers, negative ones first. Values stay in order in either shape."""
    return [array.reshape(facts["sizes"][0]) for array in arrays]


def _unaxes(arrays: Sequence[np.ndarray], facts: Facts) -> Arrays:
    return [array.reshape(facts["sizes"][1]) for array in arrays]


def _same(arrays: Sequence[np.ndarray], facts: Facts) -> Arrays:
    return list(arrays)


LAYOUTS: dict[
    str, tuple[Callable[[Sequence[np.ndarray], Facts], Arrays], Callable[[Sequence[np.ndarray], Facts], Arrays]]
]
LAYOUTS = {
    "": (_same, _same),
    "kernel": (_kernel, _unkernel),
    "kernels": (_kernels, _unkernels),
    "row_kernel": (_row_kernel, _unrow_kernel),
    "transposed_kernel": (_transposed_kernel, _untransposed_kernel),
    "simple_rnn": (_same, _same),
    "axes": (_axes, _unaxes),
    "gates": (_gates, _ungates),
    "convolutional_gates": (_convolutional_gates, _unconvolutional_gates),
}


def names(layout: str, given: str, facts: Facts) -> list[str]:
    """The generation's names of a layer's weights, without its own; `given` is the entry's `weight_names`."""
    if layout not in ("gates", "convolutional_gates"):
        return given.split()
    return ["W", "U", "b"] if facts["fused"] else [f"{part}_{gate}" for gate in given.split() for part in "WUb"]


def to_modern(layout: str, arrays: Sequence[np.ndarray], facts: Facts) -> Arrays:
    return [np.ascontiguousarray(array) for array in LAYOUTS[layout][0](arrays, facts)]


def to_old(layout: str, arrays: Sequence[np.ndarray], facts: Facts) -> Arrays:
    return [np.ascontiguousarray(array) for array in LAYOUTS[layout][1](arrays, facts)]
