"""Every public layer, with any of its declared arguments: its values are those of a slow reference in NumPy's float64.

What no reference here computes, a table says which test holds. Values that fit no argument are refused by name.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support import draws, reference
from support.declared import required
from support.examples import EXAMPLES, policy, public_layers
from support.golden import cases
from support.reference import ACTIVATIONS, OF_AXES, Refused, Unstable
from torch.utils import _pytree as pytree

import lamina as keras
from lamina.core.layer import Layer
from lamina.generations.dialect import DIALECTS
from lamina.layers.merge import OfSeveral

L = keras.layers
Draw = st.SearchStrategy[Any]
HERE = Path(__file__).parent


# Inputs -----------------------------------------------------------------------------------------------------------


@st.composite
def values(draw: Any, shape: tuple[int, ...]) -> Any:
    """An array: different values, or few different ones, or large ones."""
    random, style = np.random.default_rng(draw(st.integers(0, 99))), draw(st.sampled_from(("normal", "whole", "large")))
    if style == "whole":
        return random.integers(-2, 3, shape).astype(float)
    return random.normal(size=shape) * (30 if style == "large" else 1)


def is_shape(found: tuple) -> bool:
    return all(size is None or isinstance(size, int) for size in found)


few = st.integers(1, 3)


def sizes(low: int, high: int, count: int) -> Draw:
    return st.tuples(*[st.integers(low, high)] * count)


def called(*args: Draw, **kwargs: Draw) -> Draw:
    return st.tuples(st.tuples(*args), st.fixed_dictionaries({}, optional=kwargs))


def shaped(ranks: tuple[int, int] = (1, 4), largest: int = 4) -> Callable[[Layer], Draw]:
    """One tensor (batch, ...) of some of the ranks."""

    def inputs(layer: Layer) -> Draw:
        return called(st.integers(*ranks).flatmap(lambda n: sizes(1, largest, n)).flatmap(values))

    return inputs


def grid(layer: Any, batch: int = 2, **kwargs: Draw) -> Draw:
    """(batch, *spatial, channels)."""
    rank = draws.rank_of(type(layer))
    shape = st.tuples(st.integers(1, batch), *[st.integers(1, {1: 8, 2: 6, 3: 4}[rank])] * rank, st.integers(1, 4))
    return called(shape.flatmap(values), **kwargs)


def masked_steps(layer: Any) -> Draw:
    shape = st.tuples(st.integers(1, 2), st.integers(1, 6), st.integers(1, 3))
    return shape.flatmap(lambda sizes: called(values(sizes), mask=booleans(sizes[:2], first=True)))


@st.composite
def booleans(draw: Any, shape: tuple[int, ...], first: bool = False) -> Any:
    """A mask; with `first` it lets at least the first of the last axis through."""
    mask = np.random.default_rng(draw(st.integers(0, 99))).random(shape) < draw(st.sampled_from((0.2, 0.6, 1.0)))
    if first:
        mask[..., 0] = True
    return mask


def indices(below: str, ranks: tuple[int, int] = (1, 3)) -> Callable[[Any], Draw]:
    """Integers, hardly ever too large; the layer's argument `below` says what is."""

    def inputs(layer: Any) -> Draw:
        shape = st.integers(*ranks).flatmap(lambda n: sizes(1, 4, n))
        top, low = getattr(layer, below), -1 if isinstance(layer, L.CategoryEncoding) else 0
        pick = st.tuples(shape, st.integers(0, 99), st.sampled_from((0, 0, 0, 1)))
        made = pick.map(lambda p: np.random.default_rng(p[1]).integers(low, top + p[2], p[0]))
        return called(made)

    return inputs


def listed(layer: Any) -> Draw:
    """Several tensors, mostly of shapes that go together."""
    shape = st.integers(1, 4).flatmap(lambda n: sizes(1, 3, n))

    def several(sizes: tuple[int, ...]) -> Draw:
        other = st.just(sizes) | st.sampled_from([sizes[:1] + sizes[2:], (sizes[0], *(1,) * (len(sizes) - 1))])
        return st.lists((other | st.just(sizes)).flatmap(values), min_size=1, max_size=3)

    return called(shape.flatmap(several))


def two(layer: Any) -> Draw:
    size = st.integers(1, 3)
    shapes = st.tuples(st.integers(1, 2), size, size, size).flatmap(
        lambda n: st.sampled_from([
            ((n[0], n[1]), (n[0], n[1])), ((n[0], n[1], n[2]), (n[0], n[3], n[2])),
            ((n[0], n[1], n[2]), (n[0], n[2])), ((n[0], n[1], n[2], n[3]), (n[0], n[2], n[3])),
        ])
    )  # fmt: skip
    return called(shapes.flatmap(lambda pair: st.tuples(*map(values, pair)).map(list)))


def steps(layer: Any) -> Draw:
    """(batch, time, features), perhaps a mask, perhaps states to start from."""
    shape = st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 3))

    def with_mask(n: tuple[int, ...]) -> Draw:
        options: dict[str, Draw] = {"mask": booleans(n[:2])}
        if isinstance(layer, L.RNN) and not hasattr(layer.cell, "cells"):
            states = layer.cell.state_size
            states = states if isinstance(states, list) else [states]
            options["initial_state"] = st.tuples(*[values((n[0], size)) for size in states]).map(list)
        return called(values(n), **options)

    return shape.flatmap(with_mask)


def one_step(layer: Any) -> Draw:
    shape = st.tuples(st.integers(1, 3), st.integers(1, 3))

    def states(cell: Any, batch: int) -> Draw:
        if hasattr(cell, "cells"):
            return st.tuples(*[states(inner, batch) for inner in cell.cells]).map(list)
        sizes = cell.state_size if isinstance(cell.state_size, list) else [cell.state_size]
        return st.tuples(*[values((batch, size)) for size in sizes]).map(list)

    return shape.flatmap(lambda n: called(values(n), states(layer, n[0])))


def moving(layer: Any) -> Draw:
    """(batch, time, *spatial, channels)."""
    rank = draws.rank_of(type(layer))
    shape = st.tuples(st.integers(1, 2), st.integers(1, 3), *[st.integers(1, 4)] * rank, st.integers(1, 2))
    return called(shape.flatmap(values))


def attending(layer: Any) -> Draw:
    """[query, value] or [query, value, key], with masks or without."""
    size = st.integers(1, 3)

    def inputs(n: tuple[int, ...]) -> Draw:
        batch, targets, sources, m, k = n
        pair = [values((batch, targets, k)), values((batch, sources, k))]
        three = [pair[0], values((batch, sources, m)), pair[1]]
        masks = st.tuples(booleans((batch, targets)), booleans((batch, sources), first=True)).map(list)
        return called(
            (st.tuples(*pair) | st.tuples(*three)).map(list),
            mask=masks, use_causal_mask=st.booleans(), return_attention_scores=st.booleans(),
        )  # fmt: skip

    return st.tuples(st.integers(1, 2), size, size, size, size).flatmap(inputs)


def by_heads(layer: Any) -> Draw:
    size = st.integers(1, 3)

    def inputs(n: tuple[int, ...]) -> Draw:
        batch, targets, sources, m, k = n
        query, value = values((batch, targets, m)), values((batch, sources, k))
        options = {"use_causal_mask": st.booleans(), "return_attention_scores": st.booleans()}
        if layer.sliding_window is None:  # so that each target may attend to something
            options["attention_mask"] = booleans((batch, targets, sources), first=True)
        plain = called(query, value, **options)
        return plain | called(query, value, values((batch, sources, m)), **options)

    found = st.tuples(st.integers(1, 2), size, size, size, size)
    same_length = found.map(lambda n: (n[0], n[1], n[1], *n[3:]))  # with a window, as many sources as targets
    return (found if layer.sliding_window is None else same_length).flatmap(inputs)


def by_equation(layer: Any) -> Draw:
    inputs = layer.equation.split(",")[0]
    more = {"": (0, 0)}.get("..." * ("..." in inputs), (0, 2))
    count = len(inputs.replace("...", ""))
    return called(st.integers(*more).flatmap(lambda n: sizes(1, 3, count + n)).flatmap(values))


def picture(layer: Any) -> Draw:
    return called(st.tuples(st.integers(1, 2), st.integers(1, 6), st.integers(1, 6), st.just(3)).flatmap(values))


def in_training(inputs: Callable[[Any], Draw]) -> Callable[[Any], Draw]:
    def more(layer: Any) -> Draw:
        flags = st.fixed_dictionaries({}, optional={"training": st.booleans()})
        return st.tuples(inputs(layer), flags).map(lambda both: (both[0][0], {**both[0][1], **both[1]}))

    return more


def there_or_back(layer: Any) -> Draw:
    vectors = st.tuples(st.integers(1, 2), st.integers(1, 3)).flatmap(lambda n: values((*n, layer.output_dim)))
    back = st.tuples(st.tuples(vectors), st.just({"reverse": True}))
    return indices("input_dim")(layer) | back


# References -------------------------------------------------------------------------------------------------------


@dataclass
class Reference:
    """How a layer's values are computed, what to call it on, which arguments go another way than their kinds say."""

    compute: Callable[..., Any]
    inputs: Callable[[Any], Draw] = field(default_factory=shaped)
    given: dict[str, Draw] | None = None
    fixed: dict[str, Any] | None = None
    conflict: Callable[[dict[str, Any]], Any] = lambda arguments: False


def _dilated(a: dict[str, Any]) -> bool:
    return np.max(a.get("strides", 1)) > 1 and np.max(a.get("dilation_rate", 1)) > 1


def _grouped(a: dict[str, Any]) -> bool:
    return _dilated(a) or a["filters"] % a.get("groups", 1) != 0


def _padded_output(a: dict[str, Any]) -> bool:
    extra = a.get("output_padding")
    return _dilated(a) or (extra is not None and bool((np.asarray(extra) >= np.asarray(a.get("strides", 1))).any()))


def cells() -> Draw:
    units, flag = st.integers(1, 3), st.booleans()
    return st.one_of(
        st.builds(L.SimpleRNNCell, units, dtype=st.just("float64")),
        st.builds(L.LSTMCell, units, dtype=st.just("float64"), use_bias=flag),
        st.builds(L.GRUCell, units, dtype=st.just("float64"), reset_after=flag),
    )


def recurrent_layers() -> Draw:
    flags = {name: st.booleans() for name in ("return_sequences", "return_state", "go_backwards", "use_bias")}
    return st.one_of(*[
        st.builds(cls, st.integers(1, 3), dtype=st.just("float64"), **flags) for cls in (L.SimpleRNN, L.LSTM, L.GRU)
    ])  # fmt: skip


def denses() -> Draw:
    return st.builds(L.Dense, st.integers(1, 3), activation=draws.activations, dtype=st.just("float64"))


R, ref = Reference, reference
ANY = shaped()
any_activation = st.sampled_from([None, *sorted(ACTIVATIONS | OF_AXES)])
REFERENCES: dict[str, Reference] = {
    "Activation": R(ref.activation_layer, shaped(ranks=(2, 4)), {"activation": any_activation}),
    "ReLU": R(ref.relu_layer), "LeakyReLU": R(lambda layer, w, x: ref.leaky(x, layer.negative_slope)),
    "ELU": R(lambda layer, w, x: ref.elu(x, layer.alpha)), "PReLU": R(ref.prelu, shaped(ranks=(2, 4))),
    "Softmax": R(ref.softmax_layer), "Identity": R(ref.same), "ActivityRegularization": R(ref.same),
    "Masking": R(ref.masking, shaped(ranks=(2, 3))),
    **{name: R(ref.same, shaped(ranks=(2, 4))) for name in ("Dropout", "GaussianNoise", "GaussianDropout")},
    "AlphaDropout": R(ref.same, shaped(ranks=(2, 4))),
    **{f"SpatialDropout{rank}D": R(ref.same, grid) for rank in (1, 2, 3)},
    "Dense": R(ref.dense, shaped(ranks=(1, 4)), fixed={"lora_rank": None}),
    "EinsumDense": R(
        ref.einsum_dense, by_equation, {"output_shape": st.lists(st.none() | few, min_size=1, max_size=3)},
        {"lora_rank": None}, lambda a: not set(a.get("bias_axes") or "") <= set(a["equation"].split("->")[1]),
    ),
    "Embedding": R(ref.embedding, indices("input_dim"), fixed={"lora_rank": None}),
    "ReversibleEmbedding": R(ref.reversed_embedding, there_or_back, fixed={"lora_rank": None}),
    **{f"Conv{rank}D": R(ref.convolution, grid, fixed={"lora_rank": None}, conflict=_grouped) for rank in (1, 2, 3)},
    **{f"Conv{rank}DTranspose": R(ref.transposed, grid, conflict=_padded_output) for rank in (1, 2, 3)},
    **{f"DepthwiseConv{rank}D": R(ref.depthwise, grid) for rank in (1, 2)},
    **{f"SeparableConv{rank}D": R(ref.separable, grid) for rank in (1, 2)},
    **{f"LocallyConnected{rank}D": R(ref.locally, grid) for rank in (1, 2, 3)},
    **{f"{kind}Pooling{rank}D": R(ref.pooling, grid) for kind in ("Max", "Average") for rank in (1, 2, 3)},
    **{
        f"Global{kind}Pooling{rank}D": R(ref.global_pooling, grid)
        for kind in ("Max", "Average") for rank in (1, 2, 3)
    },
    "GlobalAveragePooling1D": R(ref.global_pooling, masked_steps),
    **{f"Adaptive{kind}Pooling{rank}D": R(ref.adaptive, grid) for kind in ("Max", "Average") for rank in (1, 2, 3)},
    **{f"ZeroPadding{rank}D": R(ref.zero_padding, grid) for rank in (1, 2, 3)},
    **{f"Cropping{rank}D": R(ref.cropping, grid) for rank in (1, 2, 3)},
    **{f"UpSampling{rank}D": R(ref.upsampling, grid) for rank in (1, 2, 3)},
    "Flatten": R(ref.flatten, shaped(ranks=(2, 4))), "Reshape": R(ref.reshape), "Permute": R(ref.permute),
    "RepeatVector": R(ref.repeat, shaped(ranks=(1, 3))),
    "Add": R(ref.merged(sum), listed), "Average": R(ref.merged(lambda each: sum(each) / len(each)), listed),
    "Multiply": R(ref.merged(ref.products_of), listed), "Subtract": R(ref.merged(lambda e: e[0] - e[1], 2), listed),
    "Maximum": R(ref.merged(lambda e: np.max(np.broadcast_arrays(*e), 0)), listed),
    "Minimum": R(ref.merged(lambda e: np.min(np.broadcast_arrays(*e), 0)), listed),
    "Concatenate": R(ref.concatenate, listed), "Dot": R(ref.dot, two),
    "BatchNormalization": R(ref.batch_normalization, in_training(shaped(ranks=(2, 5)))),
    "LayerNormalization": R(ref.layer_normalization, shaped(ranks=(2, 4))),
    "RMSNormalization": R(ref.rms_normalization, shaped(ranks=(2, 4))),
    "GroupNormalization": R(ref.group_normalization, shaped(ranks=(2, 4))),
    "UnitNormalization": R(ref.unit_normalization, shaped(ranks=(2, 4))),
    **{name: R(ref.recurrent, steps) for name in ("SimpleRNN", "LSTM", "GRU")},
    **{f"{name}Cell": R(ref.cell_call, one_step) for name in ("SimpleRNN", "LSTM", "GRU")},
    "StackedRNNCells": R(ref.cell_call, one_step, {"cells": st.lists(cells(), min_size=1, max_size=3)}),
    "RNN": R(ref.recurrent, steps, {"cell": cells() | st.lists(cells(), min_size=1, max_size=3)}),
    "Bidirectional": R(
        ref.bidirectional, steps, {"layer": recurrent_layers()}, {"backward_layer": None},
        conflict=lambda a: a["layer"].go_backwards,
    ),
    **{f"ConvLSTM{rank}D": R(ref.conv_lstm, moving, conflict=_dilated) for rank in (1, 2, 3)},
    "TimeDistributed": R(
        ref.time_distributed, shaped(ranks=(2, 4)), {"layer": denses() | st.builds(L.Flatten, dtype=st.just("float64"))}
    ),
    "Pipeline": R(
        ref.pipeline, shaped(ranks=(2, 3)),
        {"layers": st.lists(denses() | st.builds(L.ReLU, dtype=st.just("float64")), max_size=3)},
    ),
    "Attention": R(ref.attention, attending), "AdditiveAttention": R(ref.attention, attending),
    "MultiHeadAttention": R(
        ref.heads_attention, by_heads, fixed={"attention_axes": None, "flash_attention": None},
    ),
    "GroupedQueryAttention": R(
        ref.heads_attention, by_heads, fixed={"flash_attention": None},
        conflict=lambda a: a["num_query_heads"] % a["num_key_value_heads"],
    ),
    "Rescaling": R(ref.rescaling),
    "Normalization": R(
        ref.normalization, shaped(ranks=(2, 4)),
        {"mean": st.none()}, {"variance": None},
    ),
    "CategoryEncoding": R(ref.category_encoding, indices("num_tokens"), {"num_tokens": st.integers(1, 4)}),
    "Discretization": R(
        ref.discretization, ANY, {"bin_boundaries": st.lists(draws.numbers, max_size=4).map(sorted)},
        {"num_bins": None}, conflict=lambda a: a.get("epsilon") == 0,
    ),
    "CenterCrop": R(ref.center_crop, picture),
    "Resizing": R(ref.resizing, picture, fixed={"pad_to_aspect_ratio": False, "antialias": False}),
}  # fmt: skip

INNER = {"layer", "layers", "cell", "cells"}  # arguments that are layers, which were made in float64

# Where the values of the others are held: a file of tests, and a function in it.
ELSEWHERE: dict[str, str] = {
    **{
        f"Random{kind}": f"test_pictures.py::{test}"
        for test, kinds in {
            "test_angles_zooms_shifts_and_shears_are_uniform": "Rotation Zoom Translation Shear",
            "test_contrast_and_brightness_are_uniform": "Brightness Contrast",
            "test_colours_are_drawn_in_their_ranges":
                "ColorDegeneration ColorJitter Grayscale Hue Invert Posterization "
            "Saturation Sharpness GaussianBlur Erasing",
            "test_a_perspective_takes_corners_where_it_says": "Perspective",
            "test_pictures_are_drawn_from_the_places_that_are_said": "ElasticTransform",
            "test_half_of_the_pictures_are_flipped": "Flip", "test_crops_are_taken_from_everywhere": "Crop",
        }.items()
        for kind in kinds.split()
    },
    **dict.fromkeys(("AutoContrast", "Equalization", "MelSpectrogram", "Lambda"), "test_recorded.py::test_recorded"),
    **dict.fromkeys(
        ("RandAugment", "AugMix"), "test_pictures.py::test_rand_augment_and_aug_mix_stay_in_range_and_do_something"
    ),
    **dict.fromkeys(("MixUp", "CutMix"), "test_pictures.py::test_mixtures_take_labels_along"),
    **dict.fromkeys(("Hashing", "HashedCrossing", "IntegerLookup", "StringLookup", "TextVectorization"),
                    "test_recorded.py::test_recorded"),
    "ContrastLimitedAdaptiveHistogramEqualization": "test_pictures.py::test_local_equalization_by_the_book",
    "MaxNumBoundingBoxes": "test_pictures.py::test_numbers_of_boxes_are_made_equal",
    "Solarization": "test_pictures.py::test_colours_are_drawn_in_their_ranges",
    "STFTSpectrogram": "test_sounds.py::test_spectra_are_those_of_the_fourier_transform",
    "SpectralNormalization": "test_normalization.py::test_spectral_normalization",
    "InputLayer": "test_contract.py::test_uncalled_layer_round_trips",
    "TorchModuleWrapper": "test_contract.py::test_call_builds",
}  # fmt: skip


class Weights:
    """The weights of a layer in float64, by attribute; None where there is none."""

    def __init__(self, layer: Any):
        self.layer, self.after = layer, {}

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.layer, name, None)
        return None if value is None else value.detach().double().numpy()

    def of(self, inner: Any) -> Weights:
        return Weights(inner)


def scattered(layer: Any) -> None:
    """Give all weights random values; variances and deviations positive ones."""
    random = np.random.default_rng(7)
    with torch.no_grad():
        for name, weight in [*layer.named_parameters(), *layer.named_buffers()]:
            if weight.is_floating_point() and not name.rpartition(".")[2].startswith("_"):
                positive = "variance" in name or "stddev" in name
                drawn = random.uniform(0.5, 1.5, weight.shape) if positive else random.normal(size=weight.shape) * 0.7
                weight.copy_(torch.from_numpy(np.asarray(drawn)))


def moved(layer: Any, x: Any, to_front: bool) -> Any:
    """An array with the channels where the layer has them, or back."""
    if getattr(layer, "data_format", None) != "channels_first":
        return x
    rank = x.ndim - 2 if isinstance(layer, L.Flatten) else draws.rank_of(type(layer))
    if x.ndim < rank + 2 or (isinstance(layer, L.Flatten) and not to_front):
        return x
    return np.moveaxis(x, *((-1, -1 - rank) if to_front else (-1 - rank, -1)))


def tensors(layer: Any, structure: Any, dtype: torch.dtype) -> Any:
    def one(x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            return x
        mask = x.dtype == bool
        tensor = torch.from_numpy(x.copy() if mask else moved(layer, x, True).copy())
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    return pytree.tree_map(one, structure)


def agree(found: Any, expected: Any, tolerance: float) -> None:
    """Equal in shape and values; where the reference has no number, as of 0 / 0, anything goes."""
    assert found.shape == np.shape(expected)
    known = np.isfinite(expected)
    scale = max(1.0, float(np.max(np.abs(expected), where=known, initial=0)))
    np.testing.assert_allclose(found[known], expected[known], rtol=tolerance, atol=tolerance * scale)


def made(cls: type[Layer], arguments: dict[str, Any], dtype: str, conflict: Any) -> Any:
    """The layer, or None where its arguments contradict each other, which it has to say."""
    try:
        layer = cls(**arguments, dtype=dtype)
    except (ValueError, TypeError) as error:
        assert conflict, f"{cls.__name__} refused {arguments}: {error}"
        assert cls.__name__ in str(error)
        return None
    assert not conflict, f"{cls.__name__} took {arguments}"
    return layer


def check_values(layer: Any, wanted: Reference, data: Any, dtype: str) -> None:
    args, kwargs = data.draw(wanted.inputs(layer), label="inputs")
    kind = getattr(torch, dtype)
    exact = [pytree.tree_map(lambda x: x.astype(dtype).astype(float) if x.dtype == float else x, list(args))]
    args = tuple(exact[0])
    x, more = tensors(layer, args, kind), tensors(layer, kwargs, kind)
    x = tuple(list(each) if isinstance(each, tuple) else each for each in x)
    weights = Weights(layer)
    try:
        with torch.no_grad():
            layer(*x, **more)  # builds
        scattered(layer)
        refused = None
    except (ValueError, TypeError) as error:
        refused = error
    if getattr(layer, "stateful", False) and refused is None:
        layer.reset_state()
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            expected = wanted.compute(layer, weights, *args, **kwargs)
    except Unstable:
        hypothesis.reject()
    except Refused:
        assert refused is not None, f"{layer} took {[np.shape(each) for each in pytree.tree_leaves(args)]}"
        assert type(layer).__name__ in str(refused)
        return
    hypothesis.assume("takes at least two axes" not in str(refused))  # the softmax of Keras 2
    assert refused is None, f"refused: {refused}"
    if data.draw(st.booleans(), label="gradients"):
        found = layer(*x, **more)
    else:
        with torch.no_grad():
            found = layer(*x, **more)
    computed = {dtype, getattr(layer, "reverse_dtype", None) or dtype}  # where a part has a type of its own
    tolerance = max({"float64": 1e-9, "float32": 2e-4}[each] for each in computed)
    leaves, others = pytree.tree_leaves(found), ref.leaves(expected)
    assert len(leaves) == len(others)
    for leaf, other in zip(leaves, others, strict=True):
        agree(moved(layer, leaf.detach().double().numpy(), False), np.asarray(other), tolerance)
    for name, value in weights.after.items():
        agree(getattr(layer, name).double().numpy().ravel(), np.ravel(value), tolerance)
    if len(args) == 1 and isinstance(x[0], torch.Tensor) and not more:
        promised = layer.compute_output_shape(tuple(x[0].shape))
        promised = pytree.tree_leaves(promised, is_leaf=lambda shape: isinstance(shape, tuple) and is_shape(shape))
        assert [*map(tuple, promised)] == [tuple(leaf.shape) for leaf in leaves]
    if hasattr(layer, "_words"):
        return  # an older config tells as well what building has taught
    config = layer.get_config()
    assert json.dumps(type(layer).from_config(config).get_config(), default=repr) == json.dumps(config, default=repr)


def test_every_declared_argument_is_drawn() -> None:
    for name, cls in public_layers().items():
        for argument, declared in draws.own(cls).items():
            expected = declared.kind.expected
            known = draws.for_kind(expected.removesuffix(" or None"), cls) is not None
            assert known != (expected.removesuffix(" or None") in draws.OBJECTS), (name, argument, expected)


def test_every_layer_has_a_reference_or_a_test_that_is_named() -> None:
    assert sorted([*REFERENCES, *ELSEWHERE]) == sorted(public_layers())
    for name, place in ELSEWHERE.items():
        file, _, test = place.partition("::")
        text = (HERE / file).read_text()
        assert f"def {test}(" in text, place
        if file == "test_recorded.py":
            assert any(name in case.record["code"] for case in cases()), name
        elif file != "test_contract.py":
            assert re.search(rf"\b{name}\b", text), (name, place)


def run(count: int) -> Any:
    return settings(max_examples=count, suppress_health_check=list(HealthCheck))


def check_layer(name: str, data: Any) -> None:
    cls, wanted = getattr(L, name), REFERENCES[name]
    arguments = data.draw(draws.arguments(cls, wanted.given, **(wanted.fixed or {})), label="arguments")
    types = ("float64",) if any(key in cls._args for key in INNER) else ("float64", "float64", "float32")
    dtype = data.draw(st.sampled_from(types), label="dtype")
    layer = made(cls, arguments, dtype, wanted.conflict(arguments))
    if layer is not None:
        check_values(layer, wanted, data, dtype)


@pytest.mark.parametrize("name", sorted(REFERENCES))
@run(6)
@given(data=st.data())
def test_values_are_those_of_the_reference(name: str, data: Any) -> None:
    check_layer(name, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(REFERENCES))
@run(150)
@given(data=st.data())
def test_values_are_those_of_the_reference_for_many(name: str, data: Any) -> None:
    check_layer(name, data)


# Whatever is given ------------------------------------------------------------------------------------------------


@st.composite
def anything(draw: Any) -> Any:
    """A tensor of any shape and type, hardly ever none at all."""
    shape = draw(st.lists(st.integers(0, 4) if draw(st.integers(0, 5)) == 0 else st.integers(1, 4), max_size=5))
    dtype = draw(st.sampled_from(("float32", "float32", "float64", "float16", "int64", "uint8", "bool")))
    random = np.random.default_rng(draw(st.integers(0, 9)))
    return torch.from_numpy(np.asarray(random.normal(size=shape) * 3)).to(getattr(torch, dtype))


def example_inputs(cls: type[Layer]) -> Draw:
    """What the layer's examples are called on, in some type."""
    own = [example for example in EXAMPLES if example.cls is cls]
    return st.sampled_from(own).map(lambda example: example.tensors()) if own else st.nothing()


def check_whatever(name: str, data: Any) -> None:
    cls = public_layers()[name]
    free = draws.arguments(cls, {}) if not cls._owns_init else st.just({})
    arguments = {**required(cls), **data.draw(free, label="arguments")}
    odd = None
    if arguments and data.draw(st.booleans(), label="odd"):
        odd = data.draw(st.sampled_from(sorted(arguments.keys() | cls._args.keys())), label="argument")
        arguments[odd] = data.draw(draws.ODD, label="value")
    try:
        layer = cls(**arguments)
    except (ValueError, TypeError) as error:
        assert cls.__name__ in str(error), error
        assert odd is None or any(re.search(rf"`{each}\b", str(error)) for each in cls._args), error
        return
    repr(layer)
    torch.manual_seed(0)
    one = anything()
    several = st.lists(one, min_size=1, max_size=3)
    inputs = st.tuples(several if issubclass(cls, OfSeveral) else one)
    args = data.draw(example_inputs(cls) | inputs, label="inputs")
    options = {}
    if cls._takes_training:
        options["training"] = data.draw(st.booleans(), label="training")
    if cls._takes_mask and data.draw(st.integers(0, 3), label="masked") == 0:
        options["mask"] = data.draw(one, label="mask")
    for _ in range(2):  # a refused call leaves a layer that refuses in the same way
        try:
            outputs = layer(*args, **options)
        except (ValueError, TypeError) as error:
            told = any(each in str(error) for each in (cls.__name__, *public_layers()))  # it, or one inside
            assert told or cls is L.Lambda, error  # what a user's function raises is its own
            continue
        assert all(isinstance(leaf, (torch.Tensor, np.ndarray)) for leaf in pytree.tree_leaves(outputs))  # or texts


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", sorted(public_layers()))
@run(4)
@given(data=st.data())
def test_whatever_is_given_is_computed_or_refused_by_name(name: str, data: Any) -> None:
    check_whatever(name, data)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", sorted(public_layers()))
@run(100)
@given(data=st.data())
def test_whatever_is_given_many_times(name: str, data: Any) -> None:
    check_whatever(name, data)


# Older generations ------------------------------------------------------------------------------------------------


SHARED = st.sampled_from((None, "relu", "tanh", "sigmoid"))  # activations that all generations compute alike


def of_generations() -> list[tuple[str, str]]:
    """Layers whose arithmetic is that of today's."""
    return [
        (key, name)
        for key, dialect in DIALECTS.items()
        for name, entry in dialect.table.objects["layers"].items()
        if not name.startswith("_") and entry.modern in REFERENCES and not entry.makes
        and not INNER & getattr(L, entry.modern)._args.keys()
        and hasattr(getattr(importlib.import_module(f"lamina.{key}").layers, name), "_words")
    ]  # fmt: skip


def check_older(key: str, name: str, data: Any) -> None:
    cls = getattr(importlib.import_module(f"lamina.{key}").layers, name)
    modern = getattr(L, cls._words.entry.modern)
    wanted = REFERENCES[modern.__name__]
    alike = {word: SHARED for word in modern._args if word.endswith("activation")}
    drawn = draws.arguments(modern, {**(wanted.given or {}), **alike}, **(wanted.fixed or {}))
    arguments = data.draw(drawn, label="arguments")
    assume(not wanted.conflict(arguments))
    own = cls._words
    dropped = {word: default for word, default in own.accepted.items() if word not in own.several and not own.now(word)}
    with policy("float64"):
        config = own.to_old(modern(**arguments).get_config(), dropped)
        try:
            layer = cls(**config)
        except (ValueError, TypeError) as error:
            assert cls.__name__ in str(error), error
            assume(False)
        check_values(layer, wanted, data, "float64")


@pytest.mark.filterwarnings("ignore:The initializer")  # tf.keras, too, uses those of some layers twice
@pytest.mark.parametrize(("key", "name"), of_generations())
@run(3)
@given(data=st.data())
def test_older_layers_are_those_of_the_reference(key: str, name: str, data: Any) -> None:
    check_older(key, name, data)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The initializer")
@pytest.mark.parametrize(("key", "name"), of_generations())
@run(20)
@given(data=st.data())
def test_older_layers_are_those_of_the_reference_for_many(key: str, name: str, data: Any) -> None:
    check_older(key, name, data)
