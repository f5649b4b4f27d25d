"""The words that programs and searches go by stand in messages, in sentences of Lamina's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lamina as keras

L = keras.layers
X = np.ones((2, 3), "float32")


def adapted() -> Any:
    layer = L.Dense(2)
    layer.build((None, 3))
    layer.enable_lora(2)
    return layer


class Grows(L.Layer):
    def call(self, x: Any) -> Any:
        self.w = self.add_weight()
        return x


class Named(L.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.w = self.add_weight("matrix", dtype="float32")


TENSOR = keras.KerasTensor((2, 3), dtype="float32")
CALLS: dict[str, Callable[[], Any]] = {
    "incompatible with the layer": lambda: L.Dense(2)(L.Dense(3)(X)[0]),
    "must be called on a list": lambda: L.Attention()(X),
    "should be called on exactly 2 inputs": lambda: L.Subtract()([X, X, X]),
    "matching shapes except for the concatenation axis": lambda: L.Concatenate()([X, X[:1]]),
    "must be equal": lambda: L.MultiHeadAttention(2, 2)(X[None], X[None], X[None, :1]),
    "lora is already enabled": lambda: adapted().enable_lora(2),
    "incompatible with kernel constraints": lambda: L.Dense(2, kernel_constraint="max_norm").enable_lora(2),
    "incompatible with embedding constraints": lambda: L.Embedding(2, 2, embeddings_constraint="max_norm").enable_lora(
        2
    ),
    "`ragged=True` is not supported": lambda: L.InputLayer((2,), ragged=True),
    "cannot pass both `shape` and `batch_shape`": lambda: L.InputLayer((2,), batch_shape=(1, 2)),
    "pass a `shape` argument": lambda: L.InputLayer(),
    **{
        f"cannot provide an incompatible `{word}`": lambda word=word, value=value: L.InputLayer(
            input_tensor=TENSOR, **{word: value}
        )
        for word, value in {
            "shape": (4,),
            "batch_shape": (2, 4),
            "batch_size": 3,
            "dtype": "float16",
            "sparse": True,
            "ragged": True,
        }.items()
    },
    "cannot add new elements of state": lambda: Grows()(X),
    "name as a keyword argument": Named,
    "cannot be more than the number of channels": lambda: L.GroupNormalization(4)(X),
    "no attribute 'kernel' nor 'embeddings'": lambda: L.SpectralNormalization(L.ReLU())(X),
    "must be in the range from -2 to 1": lambda: L.Normalization(axis=3)(X),
    "an empty iterable": lambda: L.Normalization().adapt([]),
    "both `mean` and `variance` must be set": lambda: L.Normalization(mean=1.0),
    "You need to call `adapt": lambda: L.Discretization(num_bins=2)(X),
    "`count_weights` is not used when `output_mode`": lambda: L.CategoryEncoding(4)(X, count_weights=X),
    "`output_sequence_length` must not be set if `output_mode`": lambda: L.TextVectorization(
        output_mode="count", output_sequence_length=2
    ),
    "length 2 or 3": lambda: L.Attention()([X[None]] * 4),
    "layer mask must be a list": lambda: L.Attention()([X[None]] * 2, mask=X[None]),
    "Dropout is not supported when flash attention is enabled": lambda: L.MultiHeadAttention(
        2, 2, dropout=0.1, flash_attention=True
    ),
    "Computed output size would be zero or negative": lambda: L.DepthwiseConv1D(11)(X[None]),
    "Cannot enable lora on a layer that isn't yet built": lambda: L.Dense(2).enable_lora(2),
    "Argument `input_tensor` must be a KerasTensor": lambda: L.InputLayer(input_tensor=X),
    "Values in `cropping` argument should be smaller than the corresponding spatial dimension": lambda: L.Cropping2D(2)(
        X[None, ..., None]
    ),
    "should be a positive integer": lambda: L.RepeatVector(0),
    "num_tokens must be set to use this layer": lambda: L.CategoryEncoding(),
    "`num_tokens` must be >= 1": lambda: L.CategoryEncoding(0),
    "The `num_bins` for `Hashing` cannot be `None` or non-positive": lambda: L.Hashing(0),
    "Invalid value for argument `output_mode`. Expected one of": lambda: L.Hashing(3, output_mode="x"),
    "The `value_range` argument should be a list of two numbers": lambda: L.RandomBrightness(0.1, value_range=[10]),
    "The `factor` argument should be a number": lambda: L.RandomBrightness(1.1),
    "max_value of a ReLU layer cannot be a negative value": lambda: L.ReLU(-1),
    "threshold of a ReLU layer cannot be None": lambda: L.ReLU(threshold=None),
    "The negative_slope value of a Leaky ReLU layer cannot be None": lambda: L.LeakyReLU(None),
    "Invalid value received for argument `rate`. Expected a float value between 0 and 1": lambda: L.Dropout(-0.5),
    "Invalid value for argument `filters`. Expected a strictly positive value. Received filters=0": lambda: L.Conv1D(
        0, 1
    ),
    "Expected a strictly positive value. Received depth_multiplier=0": lambda: L.SeparableConv1D(
        2, 1, depth_multiplier=0
    ),
    "The `kernel_size` argument must be a tuple of 2 integers. Received kernel_size=(1, 0), including values {0} that "
    "do not satisfy `value > 0`": lambda: L.Conv2D(2, (1, 0)),
    "`strides > 1` not supported in conjunction with `dilation_rate > 1`. Received: strides=(2, 2) and "
    "dilation_rate=(2, 1)": lambda: L.Conv2D(2, 2, strides=2, dilation_rate=(2, 1)),
    "The number of groups must be a positive integer. Received: groups=0": lambda: L.Conv2D(5, 2, groups=0),
    "The number of filters must be evenly divisible by the number of groups. Received: groups=2, filters=5": lambda: (
        L.Conv2D(5, 2, groups=2)
    ),
    **{
        f"Invalid value received for argument `noise_shape`. Expected {words}": lambda shape=shape: L.Dropout(
            0.5, noise_shape=shape
        )
        for words, shape in {
            "a tuple or list of integers": "all",
            "all elements to be integers or None": (20, 1.5, 10),
            "all dimensions to be positive integers or None": (20, 0, 10),
        }.items()
    },
    "Expected one of {'dot', 'concat'}": lambda: L.Attention(score_mode="x"),
    "at most one unknown dimension, -1; got target_shape=(-1, -1, 5)": lambda: L.Reshape((-1, -1, 5)),
    "a tuple of non-negative integers with at most one unknown dimension, -1; got target_shape=(-2, 5)": lambda: (
        L.Reshape((-2, 5))
    ),
    "`output_padding` must be strictly less than `strides`": lambda: L.Conv1DTranspose(
        2, 3, strides=2, output_padding=2
    ),
    "`cropping` parameter of `Cropping1D` layer must be smaller than": lambda: L.Cropping1D(3)(X[None]),
    "dmax should be non-negative": lambda: L.BatchNormalization(renorm=True, renorm_clipping={"dmax": -1.0}),
    "rmax should be": lambda: L.BatchNormalization(renorm=True, renorm_clipping={"rmax": 0.0, "rmin": 1.0}),
    "Layer 'This' supplied to Wrapper isn't a supported layer type": lambda: L.Wrapper("This"),
    "input tensor should have a defined dimension but the layer received an input with shape (None, None)": lambda: (
        L.GroupNormalization()(L.Input((None,)))
    ),
    "Specifying `strides > 1` is not compatible with `dilation_rate > 1`": lambda: L.ConvLSTM1D(
        2, 3, strides=2, dilation_rate=2
    ),
    "`power_iterations` should be greater than zero": lambda: L.SpectralNormalization(L.Dense(2), 0),
    "can only be a tuple of size 2": lambda: L.Hashing(2, salt=[1]),
    "argument to be a boolean": lambda: L.Dense(2, trainable="yes"),
    "Invalid `output_shape`": lambda: L.MultiHeadAttention(2, 2, output_shape=8.0),
    "for argument `output_mode`": lambda: keras.utils.FeatureSpace({"a": "float"}, output_mode="x"),
    "Expected the input image to be rank 3 or 4": lambda: L.RandomBrightness(0.1)(X, training=True),
    "Invalid permutation in `dims`": lambda: L.Permute((0, 1)),
    "`mask` passed to the `TimeDistributed` layer has a shape": lambda: L.TimeDistributed(L.Dense(2))(
        X[None], mask=np.ones((1, 5), bool)
    ),
}


@pytest.mark.parametrize("words", CALLS)
def test_messages_hold_the_words_that_programs_go_by(words: str) -> None:
    with pytest.raises(ValueError) as caught:
        CALLS[words]()
    assert words in str(caught.value)


@pytest.mark.parametrize("make", [L.RepeatVector, L.UpSampling1D])
def test_another_type_is_another_error(make: Any) -> None:
    with pytest.raises(TypeError, match=r"Expected an integer value for `(n|size)`"):
        make("3")


def test_an_input_layer_takes_what_its_tensor_is() -> None:
    layer = L.InputLayer((3,), batch_size=2, sparse=False, dtype="float32", input_tensor=TENSOR)
    assert layer.batch_shape == (2, 3)
    assert keras.Input(tensor=layer.output, shape=(3,), batch_size=2, dtype="float32") is layer.output
    with pytest.raises(ValueError, match="incompatible `shape`"):
        keras.Input(shape=(4,), tensor=layer.output)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (L.LayerNormalization, "Expected an int or a list/tuple of ints for the argument 'axis'"),
        (L.UnitNormalization, "Invalid value for `axis` argument: expected an int or a list/tuple of ints"),
    ],
)
def test_axes_of_another_type(make: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        make(axis={"axis": -1})
