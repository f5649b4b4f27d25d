"""Every argument of every public class and function changes something that can be observed, or is refused.

The arguments and values to try come from the declarations and signatures; an argument that no value of its own moves
stands in a table with the reason, and one that is not known here at all fails.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import pytest
import torch
from support.declared import FREE, required
from support.examples import EXAMPLES, Example, halved, ids, reset, x
from support.observed import DATA, SCORES, attempt, observed, plain, same

import lamina as keras
from lamina.core.layer import _BASE_KEYWORDS, Layer

L = keras.layers


# Layers -----------------------------------------------------------------------------------------------------------

# Values to try by argument, or by its role; else what the declaration calls good.
ROLES = ("initializer", "regularizer", "constraint", "activation")
LAYER_VALUES: dict[str, list[Callable[[], Any]]] = {
    "initializer": [lambda: keras.initializers.RandomUniform(1.0, 2.0, seed=1)],
    "regularizer": [lambda: "l2"],
    "constraint": [lambda: "non_neg"],
    "activation": [lambda: "softplus"],
    "alpha": [lambda: 0.25],
    "arguments": [lambda: {"by": 3.0}],
    "brightness_factor": [lambda: 0.25],
    "contrast_factor": [lambda: 0.25],
    "hue_factor": [lambda: 0.25],
    "saturation_factor": [lambda: 0.25],
    "axes": [lambda: -1, lambda: (2, 2), lambda: [1, 2]],
    "axis": [lambda: 1, lambda: (1, 2)],
    "bias_axes": [lambda: "d"],
    "cell": [lambda: L.LSTMCell(2)],
    "cells": [lambda: [L.GRUCell(3), L.LSTMCell(2, activation="relu")]],
    "backward_layer": [lambda: L.LSTM(3, activation="relu", go_backwards=True)],
    "cropping": [lambda: 0],
    "data_format": [lambda: "channels_first"],
    "dims": [lambda: (1, 2)],
    "dtype": [lambda: "float64", lambda: "int32"],
    "equation": [lambda: "abc,cd->abd"],
    "factor": [lambda: 0.25, lambda: 0.0, lambda: 4, lambda: (0.75, 1)],
    "idf_weights": [lambda: [1.0, 2.0, 3.0]],
    "fft_length": [lambda: 32, lambda: 16],
    "function": [lambda: torch.exp],
    "groups": [lambda: 2, lambda: 1],
    "input_dim": [lambda: 9],
    "layer": [lambda: L.LSTM(2), lambda: L.Dense(2)],
    "layers": [lambda: [L.Dense(4)]],
    "mask": [lambda: np.array([True, False])],
    "mask_value": [lambda: 0.0, lambda: 3],
    "num_tokens": [lambda: 9],
    "output_mode": [lambda: "count", lambda: "one_hot"],
    "min_power": [lambda: 1.0, lambda: 100.0],
    "output_padding": [lambda: 0],
    "output_shape": [lambda: (5,)],
    "rate": [lambda: 0.25],
    "scale": [lambda: False, lambda: True, lambda: 0.5, lambda: (0.5, 1)],
    "seed": [lambda: 3, lambda: 4, lambda: 5, lambda: 6],
    "renorm_clipping": [lambda: {"rmax": 1.0, "rmin": 1.0, "dmax": 0.0}],
    "shared_axes": [lambda: [1]],
    "stddev": [lambda: 0.25],
    "threshold_factor": [lambda: 1, lambda: (0.5, 1), lambda: 0.9, lambda: 0.8],
    "units": [lambda: 4],
    "vocabulary": [lambda: [6, 5, 1]],
    "weights": [lambda: [np.ones((7, 3))], lambda: [np.ones(shape) for shape in ((3, 12), (3, 12), 12) * 2]],
}
# What an argument needs beside it to count.
LAYER_BESIDE: dict[str, dict[str, Any]] = {
    "dilation_rate": {"strides": 1},
    "groups": {"filters": 4, "padding": "same"},
    "idf_weights": {"idf_weights": [1.0, 1.0, 1.0], "output_mode": "tf_idf"},
    "invert": {"output_mode": "int"},
    "max_tokens": {"max_tokens": 20, "pad_to_max_tokens": True, "output_mode": "count"},
    "mean": {"mean": 0.0, "variance": 1.0},
    "oov_method": {"num_oov_indices": 3},
    "oov_token": {"invert": True, "output_mode": "int"},
    "pad_to_max_tokens": {"max_tokens": 20, "output_mode": "count"},
    "salt": {"num_oov_indices": 3, "oov_method": "farmhash"},
    "variance": {"mean": 0.0, "variance": 1.0},
    "padding": {"kernel_size": 3, "output_padding": None, "dilation_rate": 1},
    "output_padding": {"kernel_size": 3, "strides": 2, "padding": "same"},
    "renorm_clipping": {"renorm": True},
    "renorm_momentum": {"renorm": True},
    "seed": {"dropout": 0.5, "factor": 0.5, "x_factor": 0.5},
    "fill_value": {"fill_mode": "constant", "pad_to_aspect_ratio": True},
    "y_factor": {"factor": 0.5},
    "strides": {"dilation_rate": 1},
}

LAYER_EXCUSED = {
    "*.implementation": "chose between equal results",
    "*.lora_alpha": "Keras 3 sets it to the rank when it builds the layer, as recorded; `enable_lora` takes another",
    "*.unroll": "chose between equal results",
    "*.sparse": "True is refused",
    "Discretization.epsilon": "counts in `adapt`: test_features.py",
    "Discretization.num_bins": "counts in `adapt`: test_features.py",
    "IntegerLookup.vocabulary_dtype": "there is one",
    "IntegerLookup.vocabulary_size": "of a vocabulary that a file holds: test_text.py",
    "IntegerLookup.dtype": "Keras keeps it: indices are 64-bit integers, weights of terms of the default type",
    **dict.fromkeys(
        ("RandomShear.interpolation", "RandomShear.fill_mode", "RandomShear.fill_value", "RandomShear.data_format"),
        "of what is sheared: test_what_is_sheared_is_filled",
    ),
    "*.bounding_box_format": "of boxes, which tests/test_pictures.py gives",
    **dict.fromkeys(
        (
            "RandomBrightness.data_format",
            "RandomInvert.data_format",
            "RandomPosterization.data_format",
            "Solarization.data_format",
        ),
        "each value is changed by itself, wherever it is",
    ),
    **dict.fromkeys(
        ("RandomPosterization.seed", "Solarization.seed"),
        "no factor beside it is good for all; tests/test_pictures.py holds it",
    ),
    "MaxNumBoundingBoxes.*": "of boxes, which tests/test_pictures.py gives",
    "RandomColorJitter.data_format": "held for each of its parts",
    "CutMix.*": "in a batch of two a picture may meet itself; tests/test_pictures.py holds it",
    "MixUp.*": "in a batch of two a picture may meet itself; tests/test_pictures.py holds it",
    "Resizing.fill_mode": "has one value",
    "*.quantization_config": "of layers that `dtype` says are quantized: test_quantized.py",
    "*.flash_attention": "chooses the kernel; True refuses what that cannot do",
    "EinsumDense.gptq_unpacked_column_size": "anything but None is refused",
    "*Cell.units": "a state of another size than the example's is refused",
    "ActivityRegularization.activity_regularizer": "refused",
    "ReversibleEmbedding.logit_soft_cap": "on the way back alone: test_attention.py",
    "ReversibleEmbedding.reverse_dtype": "on the way back alone: test_attention.py",
    "SimpleRNN.activity_regularizer": "Keras 3 takes it and leaves it out; on a finished layer it counts",
    "StackedRNNCells.dtype": "its cells have types of their own",
}


def differs(base: list[Any], seen: Iterator[Any]) -> bool:
    """Whether something seen is not as before; what was or is refused does not count."""
    try:
        pairs = zip(base, seen, strict=False)
        return any(one is not None and other is not None and not same(one, other) for one, other in pairs)
    except (ValueError, TypeError):  # this value does not fit
        return False


def remade(example: Example, **changes: Any) -> Layer:
    """The layer of an example with other arguments."""
    config = example.make().get_config()
    return example.cls.from_config({**config, "name": "same", **changes})


def layer_values(cls: type[Layer], argument: str, default: Any) -> Iterator[Any]:
    good = cls._args[argument].kind.good if argument in cls._args else ()
    role = argument.rpartition("_")[2]
    known = LAYER_VALUES.get(role if role in ROLES else argument)
    for value in [make() for make in known] if known else good:
        if value is not None and not same(value, default):
            yield value


def more(cls: type[Layer], given: Any, *args: Any) -> Example:
    return Example(cls, -1, lambda: cls(**given), args)


MORE = [
    more(L.UnitNormalization, {}, x(3, 4)),
    more(L.RMSNormalization, {}, x(3, 4)),
    more(L.GroupNormalization, {"groups": 2}, x(4, 4)),
    more(L.Softmax, {}, x(3, 4)),
    more(L.Masking, {"mask_value": 1.0}, ids(2, 3, 1)),
    more(L.Concatenate, {}, [x(3, 3), x(3, 3)]),
    more(L.Cropping2D, {"cropping": ((1, 0), (1, 0))}, x(5, 5, 5)),
    more(L.Cropping3D, {"cropping": ((1, 0), (1, 0), (1, 0))}, x(3, 3, 3, 3)),
    more(L.SeparableConv2D, {"filters": 2, "kernel_size": 2}, x(5, 4, 3)),
    more(L.GlobalAveragePooling1D, {}, x(5, 4)),
    more(L.Dot, {"axes": 1}, [x(4, 4), x(4, 4)]),
    more(L.Conv3DTranspose, {"filters": 2, "kernel_size": 2, "strides": 2}, x(2, 3, 2, 2)),
    more(L.Lambda, {"function": halved}, x(4)),
    more(L.RandomFlip, {}, x(6, 5, 5)),
    more(L.RandomErasing, {}, x(6, 5, 5)),
    more(L.Solarization, {"value_range": (0, 9)}, x(6, 5, 5)),
    more(L.RandomPerspective, {}, x(6, 5, 5)),
    more(L.RandomElasticTransform, {"factor": (1, 1), "value_range": (-9, 9)}, x(16, 15, 15)),
    more(L.RandomGrayscale, {}, x(3, 3, 3)),
    more(L.RandomColorJitter, {"value_range": (-9, 9), "brightness_factor": 0.5}, x(3, 3, 3)),
    more(L.RandAugment, {"value_range": (-9, 9), "num_ops": 8}, x(3, 3, 3)),
    more(L.AugMix, {"value_range": (-9, 9), "all_ops": False}, x(3, 3, 3)),
    more(L.MixUp, {}, x(3, 3, 3)),
    more(L.CutMix, {}, x(8, 8, 8)),
    more(L.RandomColorDegeneration, {"factor": (0.4, 0.4), "value_range": (-9, 9)}, x(3, 3, 3)),
    more(L.RandomHue, {"factor": (0.4, 0.4), "value_range": (-9, 9)}, x(3, 3, 3)),
    more(L.RandomSaturation, {"factor": (0.4, 0.4), "value_range": (0, 1)}, x(3, 3, 3)),
    more(L.RandomContrast, {"factor": 0.5, "value_range": (-9, 9)}, x(6, 5, 5)),
    more(L.RandomCrop, {"height": 3, "width": 3}, x(6, 5, 5)),
    more(L.RandomZoom, {"height_factor": 0.5}, x(6, 5, 5)),
    more(L.RandomTranslation, {"height_factor": 0.5, "width_factor": 0.5}, x(6, 5, 5)),
]

BY_CLASS: dict[type, list[Example]] = {}
for _example in (*EXAMPLES, *MORE):
    if not _example.cls._owns_init:
        BY_CLASS.setdefault(_example.cls, []).append(_example)


def beside_of(cls: type[Layer], argument: str) -> dict[str, Any]:
    return {key: value for key, value in LAYER_BESIDE.get(argument, {}).items() if key in cls._args}


@functools.lru_cache(4)
def baseline(index: int, cls: type[Layer], argument: str) -> tuple[Any, dict[str, Any]]:
    """What is observed of a class' example as it stands, with what the argument needs beside it; and its config."""
    example = BY_CLASS[cls][index]
    try:
        base = list(observed(remade(example, **beside_of(cls, argument)), example))
        return base, example.make().get_config()
    except ValueError:  # it does not fit beside the rest
        return None, {}


def moves(cls: type[Layer], argument: str) -> bool:
    """Whether a value of the argument changes what is observed on one of the examples."""
    beside = beside_of(cls, argument)
    for example in reversed(BY_CLASS[cls]):
        base, config = baseline(BY_CLASS[cls].index(example), cls, argument if beside else "")
        default = config.get(argument)
        if base is None:
            continue
        for value in layer_values(cls, argument, default):
            layer = attempt(functools.partial(remade, example, **{**beside, argument: value}))
            if layer is not None and differs(base, observed(layer, example)):
                return True
    return False


@pytest.mark.parametrize("cls", BY_CLASS, ids=lambda cls: cls.__name__)
def test_every_argument_of_a_layer_counts(cls: type[Layer]) -> None:
    for argument in dict.fromkeys((*cls._args, "activity_regularizer")):
        excuse = any(fnmatchcase(f"{cls.__name__}.{argument}", pattern) for pattern in LAYER_EXCUSED)
        assert excuse or moves(cls, argument), f"{cls.__name__}: no value of `{argument}` changes anything"


SET_LATER = "activation dropout num_mel_bins output_size padding pool_size recurrent_activation recurrent_dropout scale"
SET_LATER = f"{SET_LATER} offset size strides".split()
LATER = L.Rescaling, L.MelSpectrogram, L.SimpleRNN, L.LSTM, L.GRU


def with_weights_of(layer: Layer, other: Layer, example: Example) -> Layer:
    with torch.no_grad():
        layer(*example.tensors())
    layer.set_weights(other.get_weights())
    return layer


@pytest.mark.parametrize("cls", [cls for cls in BY_CLASS if cls._worked_out or cls in LATER])
def test_an_argument_set_on_a_built_layer_counts_as_one_given(cls: type[Layer]) -> None:
    example = BY_CLASS[cls][0]
    for argument in [name for name in SET_LATER if name in cls._args]:
        before = example.built()
        for value in layer_values(cls, argument, getattr(before, argument)):
            given = attempt(functools.partial(remade, example, **{argument: value}))
            if given is None or attempt(functools.partial(with_weights_of, given, before, example)) is None:
                continue  # it does not fit beside the rest
            later = with_weights_of(remade(example), before, example)
            setattr(later, argument, value)
            for training in (False, True) if later._takes_training else (None,):
                torch.manual_seed(0)
                expected = reset(given)(*example.tensors(), training=training)
                torch.manual_seed(0)
                found = reset(later)(*example.tensors(), training=training)
                assert same(plain(found), plain(expected)), (argument, value, training)


SHAPES: dict[str, dict[str, Any]] = {
    "input_shape": {"input_shape": (5,)},
    "batch_input_shape": {"batch_input_shape": (2, 5)},
    "batch_shape": {"batch_shape": (2, 5)},
    "input_dim": {"input_dim": 5},
    "input_length": {"input_length": 3, "input_dim": 5},
    "batch_size": {"batch_size": 2, "input_dim": 5},
}


@pytest.mark.parametrize("keyword", SHAPES)
def test_shape_keywords_count(keyword: str) -> None:
    def shape(given: dict[str, Any]) -> Any:
        return keras.Sequential([L.Dense(3, **given)]).input_shape if given else None

    without = {key: value for key, value in SHAPES[keyword].items() if key != keyword}
    assert shape(SHAPES[keyword]) != shape(without)
    other = {"input_shape": (4,), "batch_shape": (3, 4)} | without
    for given in (other | {keyword: SHAPES[keyword][keyword]}, {"batch_size": 2}, {"input_length": 3}):
        with pytest.raises(ValueError, match=r"Dense: .*input"):
            L.Dense(3, **given)
    assert keras.Sequential([L.Embedding(7, 2, input_length=3)]).output_shape == (None, 3, 2)


def test_other_keywords_of_every_layer_count() -> None:
    assert {*SHAPES, "activity_regularizer", "autocast", "weights", "dynamic"} == set(_BASE_KEYWORDS)
    assert L.Dense(1, weights=[np.full((2, 1), 5.0), np.zeros(1)])(torch.ones(1, 2)).item() == 10
    half = {"dtype": "mixed_float16"}
    assert L.Identity(autocast=False, **half)(torch.ones(1)).dtype != L.Identity(**half)(torch.ones(1)).dtype
    # `dynamic`, of tf.keras, asks for what is always so: every call runs as Python.


def test_arguments_of_input_count() -> None:
    def told(**given: Any) -> Any:
        made = keras.Input(**given)
        assert made.node is not None
        return made.shape, made.dtype, made.name, made.node.layer.optional

    base = told(shape=(4,), name="x")
    for given in ({"shape": (5,)}, {"batch_size": 2}, {"dtype": "int32"}, {"name": "y"}, {"optional": True}):
        assert told(**({"shape": (4,), "name": "x"} | given)) != base, given
    tensor = keras.Input((4,), name="x")
    assert told(tensor=tensor) == base
    for given in (
        {"shape": (4,), "batch_shape": (2, 4)}, {"shape": (4,), "input_shape": (4,)}, {"shape": (4,), "sparse": True},
        {"batch_shape": (2, 4), "batch_size": 2}, {"shape": (4,), "ragged": True}, {"tensor": tensor, "shape": (5,)},
        {"tensor": tensor, "batch_size": 2}, {"tensor": tensor, "dtype": "int32"}, {"tensor": tensor, "name": "other"},
        {"tensor": tensor, "batch_shape": (2, 4)}, {"shape": (4,), "tensor": 3},
    ):  # fmt: skip
        with pytest.raises(ValueError, match="Input"):
            keras.Input(**given)


class Maybe(L.Layer):
    def call(self, x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        return x if y is None else x + y

    def compute_output_shape(self, x_shape: tuple, y_shape: tuple | None = None) -> tuple:
        return x_shape


@pytest.mark.parametrize("optional", [True, False])
def test_optional_input_may_be_none(optional: bool) -> None:
    one, other = keras.Input((2,)), keras.Input((2,), optional=optional, name="other")
    model, data = keras.Model([one, other], Maybe()(one, other)), np.ones((3, 2), "float32")
    if optional:
        assert model([data, None]).sum() == model.predict([data, None], verbose=0).sum() == 6
        return
    for call in (model, model.predict):
        with pytest.raises(ValueError, match="misses input `other`"):
            call([data, None])


SPECS: dict[str, tuple[dict[str, Any], Any]] = {
    "dtype": ({"dtype": "int32"}, torch.ones(2, 3)),
    "shape": ({"shape": (None, 4)}, torch.ones(2, 3)),
    "ndim": ({"ndim": 3}, torch.ones(2, 3)),
    "max_ndim": ({"max_ndim": 1}, torch.ones(2, 3)),
    "min_ndim": ({"min_ndim": 3}, torch.ones(2, 3)),
    "axes": ({"axes": {1: 4}}, torch.ones(2, 3)),
    "data_format": ({"ndim": 4, "data_format": "channels_first"}, torch.ones(2, 3)),
}


@pytest.mark.parametrize("argument", SPECS)
def test_arguments_of_input_spec_count(argument: str) -> None:
    """On a user's layer, also when it is called the direct way."""
    given, x = SPECS[argument]
    layer = Maybe()
    layer.build((None, 3))
    layer.input_spec = L.InputSpec(**given)
    with pytest.raises(ValueError, match="channels" if argument == "data_format" else "expected"):
        layer(x)
    assert set(SPECS) | {"allow_last_axis_squeeze", "name", "optional"} == set(
        inspect.signature(L.InputSpec).parameters
    )


def test_input_spec_by_name_squeezed_and_optional() -> None:
    layer = L.Layer()
    layer.input_spec = [L.InputSpec(ndim=1, name="a"), L.InputSpec(shape=(2, 3), name="b", optional=True)]
    layer.check_inputs({"b": torch.ones(2, 3), "a": torch.ones(2)})
    layer.check_inputs([torch.ones(2), None])
    with pytest.raises(ValueError, match="misses input `a`"):
        layer.check_inputs([None, torch.ones(2, 3)])
    for shape, given, fits in (((2, 3), (2, 3, 1), True), ((2, 1), (2,), True), ((2, 3), (2,), False)):
        spec = L.InputSpec(shape=shape, allow_last_axis_squeeze=True)
        assert (spec.problem(given) is None) is fits
        assert L.InputSpec(shape=shape).problem(given)
    spec = L.InputSpec(dtype="int32", shape=(2, None), axes={1: 3})
    assert L.InputSpec.from_config(spec.get_config()).get_config() == spec.get_config()
    assert L.InputSpec(min_ndim=2, max_ndim=3).get_config() | {"min_ndim": 2, "max_ndim": 3} == {
        "dtype": None, "shape": None, "ndim": None, "max_ndim": 3, "min_ndim": 2, "axes": {}
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "fitting", "others"),
    [
        ({"min_ndim": 2, "max_ndim": 3}, [(1, 2), (1, 2, 3)], [(1,), (1, 2, 3, 4)]),
        ({"ndim": 2}, [(4, 5), (None, 5)], [(4,), (4, 5, 6)]),
        ({"axes": {-2: 2, -1: 3}}, [(2, 3), (5, 2, 3), (None, 3)], [(3, 3), (3, 2, 1)]),
        ({"axes": {1: 3}}, [(2,), (2, 3), (2, 3, 4)], [(3, 2)]),
        ({"shape": (2, 3)}, [(2, 3), (None, 3)], [(3, 3), (2, 3, 1)]),
        ({"shape": (2, 3), "allow_last_axis_squeeze": True}, [(2, 3), (2, 3, 1)], [(2,), (2, 3, 2), (2, 1), (3, 1)]),
        ({"shape": (2, 3, 1), "allow_last_axis_squeeze": True}, [(2, 3), (2, 3, 1)], [(2, 2), (2,), (2, 3, 3)]),
    ],
)
def test_what_fits_an_input_spec(given: dict[str, Any], fitting: list[Any], others: list[Any]) -> None:
    spec = L.InputSpec(**given)
    assert [shape for shape in fitting if spec.problem(shape)] == []
    assert [shape for shape in others if not spec.problem(shape)] == []
    assert ("add it with x[None]" in (spec.problem((4,)) or "")) is (spec.ndim == 2)


def test_output_shape_of_a_torch_module_counts() -> None:
    symbol = keras.Input((4,))
    assert L.TorchModuleWrapper(torch.nn.Linear(4, 3))(symbol).shape == (None, 3)
    assert L.TorchModuleWrapper(torch.nn.Linear(4, 3), output_shape=(None, 5))(symbol).shape == (None, 5)


# Losses, metrics, optimizers and the like ---------------------------------------------------------------------------


def see_loss(make: Callable[[], Any]) -> Iterator[Any]:
    loss = make()
    yield loss.name
    yield from (attempt(lambda y=y: loss(*y)) for y in DATA)


def see_metric(make: Callable[[], Any]) -> Iterator[Any]:
    def result(y: tuple) -> Any:
        metric = make()
        metric.update_state(*y)
        metric.update_state(*y)
        return metric.result(), [v.dtype for v in metric.variables]

    yield make().name, make().dtype, [tuple(v.shape) for v in make().variables]
    yield from (attempt(lambda y=y: result(y)) for y in DATA)


def see_initializer(make: Callable[[], Any]) -> Iterator[Any]:
    torch.manual_seed(0)
    yield from (attempt(lambda shape=shape: make()(shape)) for shape in ((6, 8), (8, 6), (4, 4), (8, 1, 5), (3,)))


def see_penalty(make: Callable[[], Any]) -> Iterator[Any]:
    yield from (
        attempt(lambda x=x: make()(x)) for x in (torch.from_numpy(SCORES), torch.from_numpy(SCORES).T[None] * 3)
    )


def see_schedule(make: Callable[[], Any]) -> Iterator[Any]:
    schedule = make()
    yield schedule.name
    yield from (float(schedule(step)) for step in (0, 1, 2, 3, 5, 8, 13, 40, 2000))


def see_optimizer(make: Callable[[], Any], steps: int = 7) -> Iterator[Any]:
    """The weights along a few steps: a kernel, a bias and a table."""
    torch.manual_seed(0)
    layer, table = L.Dense(3, name="dense"), L.Embedding(5, 3, name="embedding")
    layer.build((None, 4))
    table.build(())
    optimizer, x = make(), torch.from_numpy(RNG_X)
    trained = [*layer.trainable_weights, *table.trainable_weights]
    yield optimizer.name, float(optimizer.scale_loss(torch.ones(())))
    optimizer.build(trained)
    for step in range(steps):
        loss = ((layer(x * (1 + step % 3)) + table.embeddings - 5 * (step % 2)) ** 2).sum()
        scaled = optimizer.scale_loss(loss)
        optimizer.apply_gradients(zip(torch.autograd.grad(scaled, trained), trained, strict=True))
        yield plain(trained)
    optimizer.finalize_variable_values(trained)
    yield plain(trained)


RNG_X = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")


SEE = {
    "initializers": see_initializer, "regularizers": see_penalty, "constraints": see_penalty, "losses": see_loss,
    "metrics": see_metric, "optimizers": see_optimizer, "optimizers.schedules": see_schedule,
}  # fmt: skip
OBJECT_VALUES: dict[str, list[Callable[[], Any]]] = {
    "alpha": [lambda: 0.3],
    "beta": [lambda: 0.3],
    "beta_1": [lambda: 0.5],
    "boundaries": [lambda: [2.0]],
    "decay_rate": [lambda: 0.3],
    "decay_steps": [lambda: 10],
    "input_axes": [lambda: [1]],
    "output_axes": [lambda: [0]],
    "exclude_layers": [lambda: ["dense"]],
    "label_weights": [lambda: [0.1, 0.2, 0.9]],
    "num_labels": [lambda: 3],
    "learning_rate": [lambda: 0.03],
    "initial_learning_rate": [lambda: 0.3],
    "learning_rate_power": [lambda: -0.7],
    "power": [lambda: 2.0],
    "precision": [lambda: 0.8],
    "recall": [lambda: 0.9],
    "scaling": [lambda: "spectrum"],
    "sensitivity": [lambda: 0.1],
    "specificity": [lambda: 0.1],
    "target_class_ids": [lambda: [0]],
    "values": [lambda: [0.3, 0.2]],
    "warmup_steps": [lambda: 3],
    "warmup_target": [lambda: 0.5],
    "threshold": [lambda: 0.3],
    "window": [lambda: "hamming"],
}
OBJECT_BESIDE: dict[str, dict[str, Any]] = {
    "alpha": {"apply_class_balancing": True},
    "amsgrad": {"beta_2": 0.5},
    "axis": {"sparse_y_pred": False, "num_classes": 3},
    "decay_rate": {"decay_steps": 5},
    "ema_momentum": {"use_ema": True},
    "ema_overwrite_frequency": {"use_ema": True},
    "boundaries": {"values": [0.3, 0.2]},
    "cycle": {"decay_steps": 5},
    "label_weights": {"multi_label": True},
    "nesterov": {"momentum": 0.9},
    "num_labels": {"multi_label": True},
    "power": {"decay_steps": 5},
    "target_class_ids": {"num_classes": 3},
    "staircase": {"decay_steps": 5, "decay_rate": 0.3},
    "warmup_steps": {"warmup_target": 0.5},
    "warmup_target": {"warmup_steps": 3},
    "input_axes": {"input_axes": [0], "output_axes": [1]},
    "output_axes": {"input_axes": [0], "output_axes": [1], "mode": "fan_out"},
    "reduction": {"axis": 1},
}
OBJECT_EXCUSED = {
    "optimizers.ScheduleFreeAdamW.beta_1": "Keras 3.15 takes it and computes the same, on torch and on TensorFlow",
    "initializers.Lecun*.output_axes": "its variance is that of the inputs",
    "initializers.He*.output_axes": "its variance is that of the inputs",
    "losses.FunctionLoss.*": "is the base of others",
    "optimizers.Adafactor.relative_step": "Keras keeps it and caps the step either way",
}
OBJECTS = {name: cls for name, cls in FREE.items() if not issubclass(cls, Layer)}


@pytest.mark.parametrize("name", OBJECTS)
def test_every_argument_of_an_object_counts(name: str) -> None:
    cls, see, silent = OBJECTS[name], SEE[name.rpartition(".")[0]], []
    seen: dict[str, list[Any]] = {}
    for argument, declared in cls._args.items():
        beside = {"name": "same", **required(cls, argument), **OBJECT_BESIDE.get(argument, {})}
        beside = {key: value for key, value in beside.items() if key in cls._args}
        if repr(beside) not in seen:
            base = seen[repr(beside)] = list(see(lambda beside=beside: cls(**beside)))
            assert same(base, list(see(lambda beside=beside: cls(**beside))))
        base = seen[repr(beside)]
        values = OBJECT_VALUES.get(argument)
        values = [make() for make in values] if values else [value for value in declared.kind.good if value is not None]

        def changes(value: Any, argument: str = argument, beside: Any = beside, base: Any = base) -> bool:
            return differs(base, see(lambda: cls(**beside | {argument: value})))

        excuse = any(fnmatchcase(f"{name}.{argument}", pattern) for pattern in OBJECT_EXCUSED)
        if not (excuse or any(map(changes, values))):
            silent.append(argument)
    assert not silent, f"{name}: no value changes anything: {', '.join(silent)}"
