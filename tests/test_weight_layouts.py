"""Layouts of the older generations' weights, element by element as they are defined; and back again."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from lamina.translation.keras1 import LAYERS as KERAS1
from lamina.translation.tf_keras import LAYERS as TF_KERAS
from lamina.translation.weights import LAYOUTS, Layout, layout

WINDOWS = ((1,), (3,), (2, 3), (1, 3, 2))
SIDES = tuple(itertools.product((False, True), (False, True)))  # channels first, Theano


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).normal(size=shape).astype("float32")


def same(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
        assert min(one.strides, default=0) >= 0, "torch takes no array that counts backwards"


def both_ways(how: Layout, old: list[np.ndarray], modern: list[np.ndarray]) -> None:
    same(how.to_modern(old), modern)
    same(how.to_old(modern), old)


def kernel(window: tuple[int, ...], ends: tuple[int, int], how: Layout, order: tuple[int, int] = (1, 0)) -> Any:
    """A kernel (*window, *ends) as it is today, and as it was: with `order` of the ends in front for channels first."""
    modern = drawn(*window, *ends)
    old = np.empty((*(ends[place] for place in order), *window) if how.channels_first else modern.shape, "float32")
    for at in itertools.product(*map(range, window)):
        tap = tuple(size - 1 - place for size, place in zip(window, at, strict=True)) if how.theano else at
        for end in itertools.product(*map(range, ends)):
            before = (*(end[place] for place in order), *tap) if how.channels_first else (*tap, *end)
            old[before] = modern[(*at, *end)]
    return old, modern


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("first, theano", SIDES)
def test_kernels(window: tuple[int, ...], first: bool, theano: bool) -> None:
    bias = drawn(4)
    for kind, number in (("kernel", 1), ("kernels", 2)):
        how = Layout(kind, channels_first=first, theano=theano)
        pairs = [kernel(window, (3, 4), how), kernel(window, (4, 2), how)][:number]
        both_ways(how, [*(old for old, _ in pairs), bias], [*(modern for _, modern in pairs), bias])
        assert how.old_shapes((*window, 3, 4)) == [pairs[0][0].shape] if number == 1 else True
    how = Layout("transposed_kernel", channels_first=first, theano=theano)
    old, modern = kernel(window, (4, 3), how, (0, 1))
    both_ways(how, [old if first else old.swapaxes(-1, -2), bias], [modern, bias])


@pytest.mark.parametrize("theano", (False, True))
def test_kernels_of_time(theano: bool) -> None:
    how, bias = Layout("row_kernel", theano=theano, row=(3, 4)), drawn(4)
    old, modern = kernel((3,), (2, 4), how)
    both_ways(how, [old[:, None], bias], [modern, bias])
    same(how.to_modern([old[:, None].transpose(3, 2, 0, 1), bias]), [modern, bias])  # up to Keras 1.0
    unknown = Layout("row_kernel", theano=theano)
    same(unknown.to_modern([old[:, None]]), [modern])
    as_many = Layout("row_kernel", theano=theano, row=(3, 3))
    old, modern = kernel((3,), (1, 3), as_many)
    same(as_many.to_modern([old[:, None].transpose(3, 2, 0, 1)]), [modern])
    square = Layout("row_kernel", theano=theano, row=(3, 3))  # whose shape alone does not tell
    old, modern = kernel((3,), (1, 3), square)
    both_ways(square, [old[:, None]], [modern])


@pytest.mark.parametrize("listed, order", [("i c f o", "ifco"), ("z r h", "zrh")])
@pytest.mark.parametrize("first, theano", SIDES)
def test_gates(listed: str, order: str, first: bool, theano: bool) -> None:
    gates = listed.split()
    assert Layout("gates", listed, fused=True).names() == ["W", "U", "b"]
    how = Layout("gates", listed)
    assert how.names() == [f"{part}_{gate}" for gate in gates for part in "WUb"]
    parts = {gate: [drawn(3, 2) + place, drawn(2, 2) + place, drawn(2) + place] for place, gate in enumerate(gates)}
    modern = [np.concatenate([parts[gate][part] for gate in order], -1) for part in range(3)]
    both_ways(how, [array for gate in gates for array in parts[gate]], modern)
    both_ways(Layout("gates", listed, fused=True), modern, modern)
    how = Layout("convolutional_gates", listed, channels_first=first, theano=theano)
    window = (3,) if theano else (2, 3)
    pairs = {gate: [kernel(window, (2, 3), how), kernel(window, (3, 3), how)] for gate in gates}
    old = [[*(before + place for before, _ in pairs[gate]), drawn(3)] for place, gate in enumerate(gates)]
    modern = [np.concatenate([pairs[gate][part][1] + gates.index(gate) for gate in order], -1) for part in range(2)] + [
        np.concatenate([drawn(3)] * len(gates), -1)
    ]
    both_ways(how, [array for gate in old for array in gate], modern)


def test_what_stays() -> None:
    for kind in ("", "simple_rnn"):
        arrays = [drawn(2, 3), drawn(3)]
        both_ways(Layout(kind, "W b", theano=True), arrays, arrays)
        assert Layout(kind, "W b").names() == ["W", "b"]
    for kind in LAYOUTS:
        both_ways(Layout(kind, "z r h"), [], [])


def test_layouts_are_told_by_tables_and_configs() -> None:
    table = {**KERAS1, **{f"tf {name}": each for name, each in TF_KERAS.items()}}
    for word, value, first in (("dim_ordering", "th", True), ("data_format", "channels_first", True),
                               ("dim_ordering", "tf", False), ("data_format", "channels_last", False)):  # fmt: skip
        told = layout(table["Convolution2D"], {word: value}, backend="theano" if first else "tensorflow")
        assert (told.kind, told.channels_first, told.theano) == ("kernel", first, first)
    time = layout(table["Convolution1D"], {"filter_length": 5, "nb_filter": 7})
    assert (time.kind, time.row, time.names()) == ("row_kernel", (5, 7), ["W", "b"])
    assert layout(table["Convolution1D"], {}).row == (0, 0)
    assert [layout(table["GRU"], {"consume_less": how}).fused for how in ("gpu", "cpu")] == [True, False]
    axes = layout(table["tf LayerNormalization"], {"axis": [-1, 1]}, (None, 3, 5, 7))
    assert axes.sizes == ((7, 3), (7, 3))
    axes = layout(table["tf LayerNormalization"], {"axis": [3, 1]}, (None, 3, 5, 7))
    both_ways(axes, [drawn(7, 3)] * 2, [drawn(7, 3).reshape(3, 7)] * 2)
    assert layout(table["tf LayerNormalization"], {"axis": [3, 1]}).sizes == ((), ())


@pytest.mark.parametrize("first", (False, True))
@pytest.mark.parametrize("padding", ("valid", "same"))
@pytest.mark.parametrize("implementation", (2, 3))
@pytest.mark.parametrize("size, strides", [((3,), (2,)), ((2, 3), (1, 2)), (2, 1)])
def test_local_kernels(size: Any, strides: Any, implementation: int, padding: str, first: bool) -> None:
    """A weight for every input and every output, or the list of those that are used."""
    space, channels, filters = ((5,) if size == (3,) else (4, 3)), 2, 3
    config = {"filters": filters, "kernel_size": size, "strides": strides, "padding": padding}
    config |= {"implementation": implementation, "data_format": "channels_first" if first else "channels_last"}
    shape = (None, channels, *space) if first else (None, *space, channels)
    entry = TF_KERAS[f"LocallyConnected{len(space)}D"]
    how = layout(entry, config, shape)
    window, steps = (np.broadcast_to(each, len(space)).tolist() for each in (size, strides))
    axes = [*zip(space, window, steps, strict=True)]
    out = [-(-n // s) if padding == "same" else (n - k) // s + 1 for n, k, s in axes]
    modern = np.zeros((int(np.prod(out)), int(np.prod(window)) * channels, filters), "float32")
    dense = np.zeros((channels, *space, filters, *out) if first else (*space, channels, *out, filters), "float32")
    used = np.zeros(dense.shape, bool)
    number = 0
    for position, to in enumerate(itertools.product(*map(range, out))):
        for tap, taps in enumerate(itertools.product(*map(range, window))):
            centre = [k // 2 * (padding == "same") for k in window]
            at = [o * s + t - c for o, s, t, c in zip(to, steps, taps, centre, strict=True)]
            if not all(0 <= place < n for place, n in zip(at, space, strict=True)):
                continue
            for channel, filter_ in itertools.product(range(channels), range(filters)):
                number += 1
                row = channel * int(np.prod(window)) + tap if first else tap * channels + channel
                modern[position, row, filter_] = number
                place = (channel, *at, filter_, *to) if first else (*at, channel, *to, filter_)
                dense[place], used[place] = number, True
    inputs = len(space) + 1
    flat, mask = (each.reshape(int(np.prod(each.shape[:inputs])), -1).T for each in (dense, used))
    stored = dense if implementation == 2 else flat[mask]
    both_ways(how, [stored, drawn(2)], [modern, drawn(2)])
    same(how.to_modern([modern]), [modern])  # what has another shape is left as it is
    both_ways(layout(entry, {**config, "implementation": 1}, shape), [modern, drawn(2)], [modern, drawn(2)])
    assert layout(entry, {}, shape).places is None and layout(entry, config).places is None
