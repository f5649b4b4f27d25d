"""Layouts of weights: from a generation's arrays to the modern ones and back, as linear maps, so for gradients too.

A layer's table and its config, with the shape it is built for, say all that a layout depends on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .local import Places, places
from .table import Class

Arrays = list[np.ndarray]
BY_SHAPE = ("axes", "local")  # layouts that depend on the shape of the input


@dataclass(frozen=True)
class Layout:
    """How the arrays of one layer lie."""

    kind: str = ""  # one of `LAYOUTS`
    listed: str = ""  # the table's `weight_names`
    channels_first: bool = False
    theano: bool = False  # kernels are turned round
    fused: bool = False  # all gates are one array
    sizes: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())  # along several axes, by their numbers and as given
    places: Places | None = field(default=None, compare=False)  # of a local kernel that is stored otherwise
    row: tuple[int, int] = (0, 0)  # length and filters of a kernel of time, where they are known

    def names(self) -> list[str]:
        """The generation's names of the weights, without the layer's."""
        if not self.kind.endswith("gates"):
            return self.listed.split()
        return ["W", "U", "b"] if self.fused else [f"{part}_{gate}" for gate in self.listed.split() for part in "WUb"]

    def to_modern(self, arrays: Sequence[np.ndarray]) -> Arrays:
        return [np.asarray(array, order="C") for array in self.as_modern(arrays)]

    def to_old(self, arrays: Sequence[np.ndarray]) -> Arrays:
        return [np.asarray(array, order="C") for array in self.as_old(arrays)]

    def as_modern(self, arrays: Sequence[np.ndarray]) -> Arrays:
        """The same as views, where the layout has such."""
        return LAYOUTS[self.kind][0](arrays, self) if arrays else []

    def as_old(self, arrays: Sequence[np.ndarray]) -> Arrays:
        """The same as views, where the layout has such: what is written there is written to `arrays`."""
        return LAYOUTS[self.kind][1](arrays, self) if arrays else []

    def place_of(self, name: str, count: int) -> tuple[int, int] | None:
        """Which of `count` modern arrays the one of this name lies in, and as which of the parts that `as_old` makes
        of that alone; None where there is none."""
        names = self.names()
        if name not in names:
            return None
        by_gate = self.kind.endswith("gates") and not self.fused
        part, place = divmod(names.index(name), count) if by_gate else (0, names.index(name))
        return (place, part) if place < count else None

    def old_shapes(self, shape: Sequence[int]) -> list[tuple[int, ...]]:
        """Of the arrays that a kernel of this shape stands for."""
        return [array.shape for array in self.as_old([np.broadcast_to(np.float32(0), shape)])]


def layout(entry: Class, config: Mapping[str, Any], shape: Sequence[int | None] = (), backend: str = "") -> Layout:
    """The layout of a layer with this config, in its generation's words, that is built for inputs of this shape."""
    first = config.get("dim_ordering", config.get("data_format")) in ("th", "channels_first")
    fused = config.get("consume_less") == "gpu"
    sizes: Any = ((), ())
    if entry.weights == "axes" and shape:
        given = np.atleast_1d(config["axis"]).tolist()
        sizes = tuple(tuple(shape[axis] for axis in axes) for axes in (sorted(given), given))
    local = places(config, shape) if entry.weights == "local" and shape else None
    row = config.get("filter_length", 0), config.get("nb_filter", 0)
    return Layout(entry.weights, entry.weight_names, first, backend == "theano", fused, sizes, local, row)


# The modern order of the gates, by their names in Keras 1.
_GATES = {"i c f o": "ifco", "z r h": "zrh"}


def _turned(kernel: Any, layout: Layout) -> Any:
    """Theano's kernels (*window, ...) are turned round. Along one element NumPy would count backwards as well, which
    torch does not take."""
    axes = tuple(axis for axis, size in enumerate(kernel.shape[:-2]) if size > 1) if layout.theano else ()
    if not axes:
        return kernel
    return np.flip(kernel, axes) if isinstance(kernel, np.ndarray) else kernel.flip(axes)


def _moved(kernel: Any, before: tuple[int, int], after: tuple[int, int]) -> Any:
    return np.moveaxis(kernel, before, after) if isinstance(kernel, np.ndarray) else kernel.movedim(before, after)


def _kernels(arrays: Sequence[np.ndarray], layout: Layout) -> Arrays:
    """(out, in, *window), of depthwise kernels (multiplier, in, *window), -> (*window, in, out), where channels come
    first."""
    first = layout.channels_first
    moved = (_moved(array, (0, 1), (-1, -2)) if first and array.ndim > 2 else array for array in arrays)
    return [_turned(array, layout) for array in moved]


def _unkernels(arrays: Sequence[np.ndarray], layout: Layout) -> Arrays:
    turned = (_turned(array, layout) for array in arrays)
    first = layout.channels_first
    return [_moved(array, (-1, -2), (0, 1)) if first and array.ndim > 2 else array for array in turned]


def _row_kernel(arrays: Sequence[np.ndarray], layout: Layout) -> Arrays:
    """A kernel of time is a picture's: (length, 1, in, out), or up to Keras 1.0 (out, in, length, 1)."""
    kernel, (length, filters) = arrays[0], layout.row
    if length and kernel.ndim == 4 and (kernel.shape[:2] != (length, 1) or kernel.shape[3] != filters):
        kernel = kernel.transpose(2, 3, 1, 0)
    return [_turned(kernel[:, 0], layout), *arrays[1:]]


def _unrow_kernel(arrays: Sequence[np.ndarray], layout: Layout) -> Arrays:
    return [_turned(array, layout)[:, None] if array.ndim > 1 else array for array in arrays]


def _transposed_kernel(arrays: Sequence[np.ndarray], layout: Layout) -> Arrays:
    """(*window, in, out), or (out, in, *window) -> (*window, out, in)."""
    kernel, *others = _kernels(arrays, layout)
    return [kernel.swapaxes(-1, -2), *others]


def _untransposed_kernel(arrays: Sequence[np.ndarray], layout: Layout) -> Arrays:
    swapped = [array.swapaxes(-1, -2) if array.ndim > 1 else array for array in arrays]
    return _unkernels(swapped, layout)


def _gates(arrays: Sequence[np.ndarray], layout: Layout) -> Arrays:
    """W, U, b of one gate after the other -> the three with all gates along the last axis."""
    if layout.fused:
        return list(arrays)
    names = layout.listed.split()
    count = len(arrays) // len(names)
    parts = ([arrays[count * names.index(gate) + part] for gate in _GATES[layout.listed]] for part in range(count))
    return [np.concatenate(part, -1) for part in parts]


def _ungates(arrays: Sequence[np.ndarray], layout: Layout) -> Arrays:
    if layout.fused:
        return list(arrays)
    order = _GATES[layout.listed]
    sizes = [(array, array.shape[-1] // len(order)) for array in arrays]
    places = [order.index(name) for name in layout.listed.split()]
    return [array[..., place * size : (place + 1) * size] for place in places for array, size in sizes]


def _convolutional_gates(arrays: Sequence[np.ndarray], layout: Layout) -> Arrays:
    return _gates(_kernels(list(map(np.asarray, arrays)), layout), layout)


def _unconvolutional_gates(arrays: Sequence[np.ndarray], layout: Layout) -> Arrays:
    return _unkernels(_ungates(arrays, layout), layout)


def _axes(arrays: Sequence[np.ndarray], layout: Layout) -> Arrays:
    """The axes as they were given -> by their numbers, negative ones first. Values stay in order in either shape."""
    return [array.reshape(layout.sizes[0]) for array in arrays]


def _unaxes(arrays: Sequence[np.ndarray], layout: Layout) -> Arrays:
    return [array.reshape(layout.sizes[1]) for array in arrays]


def _local(arrays: Sequence[np.ndarray], layout: Layout) -> Arrays:
    return [arrays[0] if layout.places is None else layout.places.to_modern(arrays[0]), *arrays[1:]]


def _unlocal(arrays: Sequence[np.ndarray], layout: Layout) -> Arrays:
    return [arrays[0] if layout.places is None else layout.places.to_stored(arrays[0]), *arrays[1:]]


def _by_gate(kernel: Any, units: int) -> Any:
    """(in, gates * units) -> (gates, in, units)."""
    return kernel.reshape(len(kernel), -1, units).swapaxes(0, 1)


def _cudnn(arrays: Sequence[np.ndarray], layout: Layout) -> Arrays:
    """The values of a gate's kernel (in, units) are those of its transpose, as cuDNN reads them; an LSTM needs the sum
    of the biases for input and state, which are in one row."""
    if [array.ndim for array in arrays] != [2, 2, 1] or len(arrays[2]) != 2 * arrays[1].shape[1]:
        return list(arrays)  # which do not fit, or lie as today
    *kernels, bias = arrays
    units = len(kernels[1])
    gates = (_by_gate(kernel, units) for kernel in kernels)
    swapped = [gate.reshape(len(gate), units, -1).swapaxes(1, 2).swapaxes(0, 1) for gate in gates]
    both = bias.reshape(2, -1)
    return [*(kernel.reshape(len(kernel), -1) for kernel in swapped), both.sum(0) if len(bias) == 8 * units else both]


def _uncudnn(arrays: Sequence[np.ndarray], layout: Layout) -> Arrays:
    """Both biases of an LSTM are half of the sum."""
    *kernels, bias = arrays
    units = len(kernels[1])
    gates = (_by_gate(kernel, units).swapaxes(1, 2) for kernel in kernels)
    swapped = [gate.reshape(len(gate), -1, units).swapaxes(0, 1) for gate in gates]
    both = bias if bias.ndim == 2 else (0.5 * bias)[None][[0, 0]]
    return [*(kernel.reshape(len(kernel), -1) for kernel in swapped), both.reshape(-1)]


def _same(arrays: Sequence[np.ndarray], layout: Layout) -> Arrays:
    return list(arrays)


Rule = Callable[[Sequence[np.ndarray], Layout], Arrays]
LAYOUTS: dict[str, tuple[Rule, Rule]]
LAYOUTS = {
    "": (_same, _same),
    "kernel": (_kernels, _unkernels),
    "kernels": (_kernels, _unkernels),
    "row_kernel": (_row_kernel, _unrow_kernel),
    "transposed_kernel": (_transposed_kernel, _untransposed_kernel),
    "simple_rnn": (_same, _same),
    "axes": (_axes, _unaxes),
    "local": (_local, _unlocal),
    "cudnn": (_cudnn, _uncudnn),
    "cudnn_too": (_cudnn, _same),  # files of either are read
    "gates": (_gates, _ungates),
    "convolutional_gates": (_convolutional_gates, _unconvolutional_gates),
}
