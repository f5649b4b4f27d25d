"""Bad input is refused with the error Keras raises and a message one can act on, before anything changes."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from support.declared import CLASSES, required

import lamina as keras
from lamina import keras1, keras2, tf_keras

L = keras.layers
NAN = float("nan")


def x(*shape: int) -> torch.Tensor:
    return torch.ones(shape)


def ids(*values: int) -> torch.Tensor:
    return torch.tensor([values])


def inputs(*shape: int | None) -> Any:
    return keras.Input(shape)


def built(layer: Any, *shape: int) -> Any:
    layer(x(*shape))
    return layer


def added(layer: Any = None) -> Any:
    layer = L.Add() if layer is None else layer
    layer([x(2, 3), x(2, 3)])
    return layer


def model(loss: str | None = None, **compiled: Any) -> Any:
    made = keras.Sequential([inputs(3), L.Dense(2, activation="softmax")])
    if loss:
        made.compile(optimizer="sgd", loss=loss, **compiled)
    return made


def fit(y: np.ndarray, loss: str = "mse", rows: int = 4, **settings: Any) -> Any:
    return model(loss).fit(np.ones((rows, 3), "float32"), y, verbose=0, **settings)


def same_name_twice() -> Any:
    a = inputs(3)
    return keras.Model(a, L.Dense(2, name="twin")(L.Dense(2, name="twin")(a)))


Error = type[Exception] | tuple[type[Exception], ...]
EITHER = (TypeError, ValueError)  # Keras fails by accident, somewhere inside


class Bad(NamedTuple):
    use: Callable[[], Any]
    error: Error
    words: tuple[str, ...]


def bad(use: Callable[[], Any], error: Error, *words: str) -> Bad:
    """`use` raises `error`, and its message holds these words (in any case)."""
    return Bad(use, error, words)


ARGUMENTS = {
    # sizes
    "units zero": bad(lambda: L.Dense(0), ValueError, "Dense", "units", "0"),
    "units negative": bad(lambda: L.Dense(-3), ValueError, "Dense", "units", "-3"),
    "weights that are no arrays": bad(lambda: L.Dense(2, weights="w.npy"), ValueError, "Dense", "weights", "array"),
    "units fraction": bad(lambda: L.Dense(2.5), ValueError, "Dense", "units", "integer", "2.5"),
    "units text": bad(lambda: L.Dense("ten"), ValueError, "Dense", "units", "integer", "ten"),
    "units NaN": bad(lambda: L.Dense(NAN), ValueError, "Dense", "units", "integer", "nan"),
    "units None": bad(lambda: L.Dense(None), ValueError, "Dense", "units", "None"),
    "filters zero": bad(lambda: L.Conv2D(0, 3), ValueError, "Conv2D", "filters", "0"),
    "filters NaN": bad(lambda: L.Conv1D(NAN, 3), ValueError, "Conv1D", "filters", "nan"),
    "filters fraction": bad(lambda: L.Conv3D(2.5, 3), ValueError, "Conv3D", "filters", "2.5"),
    "kernel_size zero": bad(lambda: L.Conv2D(4, 0), ValueError, "Conv2D", "kernel_size", "0"),
    "kernel_size of another rank": bad(
        lambda: L.Conv2D(4, (3, 3, 3)), ValueError, "Conv2D", "kernel_size", "2", "(3, 3, 3)"
    ),
    "kernel_size text": bad(lambda: L.Conv2D(4, "3x"), ValueError, "Conv2D", "kernel_size", "3x"),
    "kernel_size NaN": bad(lambda: L.Conv2D(4, (3, NAN)), ValueError, "Conv2D", "kernel_size", "nan"),
    "strides zero": bad(lambda: L.Conv2D(4, 3, strides=0), ValueError, "Conv2D", "strides", "0"),
    "strides negative": bad(lambda: L.Conv1D(4, 3, strides=-1), ValueError, "Conv1D", "strides", "-1"),
    "dilation zero": bad(lambda: L.Conv2D(4, 3, dilation_rate=0), ValueError, "Conv2D", "dilation_rate", "0"),
    "strides with dilation": bad(
        lambda: L.Conv2D(4, 3, strides=2, dilation_rate=2), ValueError, "Conv2D", "strides", "dilation_rate", "2"
    ),
    "strides with dilation, transposed": bad(
        lambda: L.Conv2DTranspose(4, 3, strides=2, dilation_rate=2)(x(1, 8, 8, 2)),
        ValueError, "strides", "dilation_rate",
    ),
    "output_padding as large as the stride": bad(
        lambda: L.Conv2DTranspose(4, 3, strides=2, output_padding=2)(x(1, 8, 8, 2)),
        ValueError, "Conv2DTranspose", "output_padding", "strides", "2",
    ),
    "groups zero": bad(lambda: L.Conv2D(4, 3, groups=0), ValueError, "Conv2D", "groups", "0"),
    "groups do not divide filters": bad(lambda: L.Conv2D(4, 3, groups=3), ValueError, "groups", "filters", "3", "4"),
    "groups do not divide channels": bad(
        lambda: L.Conv2D(4, 3, groups=2)(x(1, 8, 8, 3)), ValueError, "Conv2D", "groups", "channels", "2", "3"
    ),
    "depth_multiplier zero": bad(lambda: L.DepthwiseConv2D(3, depth_multiplier=0), ValueError, "depth_multiplier", "0"),
    "depth_multiplier negative": bad(
        lambda: L.SeparableConv2D(4, 3, depth_multiplier=-1), ValueError, "SeparableConv2D", "depth_multiplier", "-1"
    ),
    "pool_size zero": bad(lambda: L.MaxPooling2D(0), ValueError, "MaxPooling2D", "pool_size", "0"),
    "pool strides zero": bad(lambda: L.AveragePooling1D(2, strides=0), ValueError, "AveragePooling1D", "strides", "0"),
    "implementation 4": bad(
        lambda: L.LocallyConnected2D(4, 3, implementation=4), ValueError, "LocallyConnected2D", "implementation", "4"
    ),
    "input_dim zero": bad(lambda: L.Embedding(0, 3), ValueError, "Embedding", "input_dim", "0"),
    "output_dim negative": bad(lambda: L.Embedding(3, -1), ValueError, "Embedding", "output_dim", "-1"),
    "recurrent units zero": bad(lambda: L.LSTM(0), ValueError, "LSTM", "units", "0"),
    "recurrent units fraction": bad(lambda: L.GRU(2.5), ValueError, "GRU", "units", "2.5"),
    "cell units negative": bad(lambda: L.SimpleRNNCell(-1), ValueError, "SimpleRNNCell", "units", "-1"),
    "repeat never": bad(lambda: L.RepeatVector(0), ValueError, "RepeatVector", "`n`", "positive integer", "got 0"),
    "pipeline without layers": bad(lambda: L.Pipeline.from_config({}), ValueError, "Pipeline", "list `layers`"),
    "repeat text": bad(lambda: L.RepeatVector("3"), TypeError, "RepeatVector", "n", "integer", "3"),
    "upsampling zero": bad(lambda: L.UpSampling2D(0), ValueError, "UpSampling2D", "size", "0"),
    "upsampling fraction": bad(lambda: L.UpSampling2D((1.5, 1.5)), ValueError, "UpSampling2D", "size", "1.5"),
    "padding sizes, three": bad(
        lambda: L.ZeroPadding2D((1, 2, 3)), ValueError, "ZeroPadding2D", "padding", "(1, 2, 3)"
    ),
    "padding sizes, text": bad(lambda: L.ZeroPadding1D("a"), ValueError, "ZeroPadding1D", "padding", "a"),
    "cropping negative": bad(lambda: L.Cropping1D(-1), ValueError, "Cropping1D", "cropping", "-1"),
    "cropping of another rank": bad(lambda: L.Cropping3D((1, 2)), ValueError, "Cropping3D", "cropping", "(1, 2)"),
    "lora_rank negative": bad(lambda: L.Dense(4, lora_rank=-1), ValueError, "Dense", "lora_rank", "-1"),
    "lora_rank zero": bad(lambda: L.Embedding(6, 4, lora_rank=0), ValueError, "Embedding", "lora_rank", "0"),
    # rates
    "rate above one": bad(lambda: L.Dropout(1.5), ValueError, "Dropout", "rate", "1", "1.5"),
    "rate negative": bad(lambda: L.SpatialDropout1D(-0.1), ValueError, "SpatialDropout1D", "rate", "-0.1"),
    "rate NaN": bad(lambda: L.Dropout(NAN), ValueError, "Dropout", "rate", "nan"),
    "noise rate above one": bad(lambda: L.GaussianDropout(1.5), ValueError, "GaussianDropout", "rate", "1.5"),
    "stddev negative": bad(lambda: L.GaussianNoise(-1.0), ValueError, "GaussianNoise", "stddev", "-1"),
    "recurrent dropout above one": bad(lambda: L.LSTM(3, dropout=1.5), ValueError, "LSTM", "dropout", "1.5"),
    "ReLU maximum negative": bad(lambda: L.ReLU(max_value=-1.0), ValueError, "ReLU", "max_value", "-1"),
    "ReLU slope negative": bad(lambda: L.ReLU(negative_slope=-0.1), ValueError, "ReLU", "negative_slope", "-0.1"),
    "LeakyReLU slope None": bad(
        lambda: L.LeakyReLU(negative_slope=None), ValueError, "LeakyReLU", "negative_slope", "None"
    ),
    # names
    "activation": bad(lambda: L.Dense(3, activation="rellu"), ValueError, "activation", "rellu"),
    "activation layer": bad(lambda: L.Activation("nonsense"), ValueError, "activation", "nonsense"),
    "recurrent activation": bad(lambda: L.LSTM(3, recurrent_activation="no"), ValueError, "recurrent_activation", "no"),
    "initializer": bad(lambda: L.Dense(3, kernel_initializer="gloro"), ValueError, "kernel_initializer", "gloro"),
    "regularizer": bad(lambda: L.Dense(3, kernel_regularizer="l3"), ValueError, "kernel_regularizer", "l3"),
    "constraint": bad(lambda: L.Dense(3, bias_constraint="max"), ValueError, "bias_constraint", "max"),
    "padding": bad(lambda: L.Conv2D(4, 3, padding="full"), ValueError, "Conv2D", "padding", "valid", "same", "full"),
    "padding causal in 2-D": bad(lambda: L.Conv2D(4, 3, padding="causal"), ValueError, "Conv2D", "padding", "causal"),
    "padding of pooling": bad(lambda: L.MaxPooling2D(2, padding="full"), ValueError, "MaxPooling2D", "padding", "full"),
    "data_format": bad(lambda: L.Conv2D(4, 3, data_format="last"), ValueError, "data_format", "channels_last", "last"),
    "data_format of Flatten": bad(
        lambda: L.Flatten(data_format="cl"), ValueError, "data_format", "channels_first", "cl"
    ),
    "interpolation": bad(
        lambda: L.UpSampling2D(interpolation="cubicle"), ValueError, "interpolation", "bilinear", "cubicle"
    ),
    "merge_mode": bad(
        lambda: L.Bidirectional(L.LSTM(2), merge_mode="median"), ValueError, "merge_mode", "concat", "median"
    ),
    "dtype": bad(lambda: L.Dense(3, dtype="float31"), ValueError, "dtype", "float31"),
    "activation of no argument": bad(
        lambda: L.Dense(3, activation=lambda: 5), ValueError, "Dense", "activation", "one argument"
    ),
    "activation of two arguments": bad(
        lambda: L.LSTM(3, recurrent_activation=lambda a, b: a),
        ValueError, "LSTM", "recurrent_activation", "one argument",
    ),
    "activation by get": bad(lambda: keras.activations.get("rellu"), ValueError, "activation", "rellu"),
    "initializer by get": bad(lambda: keras.initializers.get("gloro"), ValueError, "initializer", "gloro"),
    "regularizer by get": bad(lambda: keras.regularizers.get("l3"), ValueError, "regularizer", "l3"),
    "constraint by get": bad(lambda: keras.constraints.get("max"), ValueError, "constraint", "max"),
    "loss by get": bad(lambda: keras.losses.get("nope"), ValueError, "loss", "nope"),
    "metric by get": bad(lambda: keras.metrics.get("nope"), ValueError, "metric", "nope"),
    "optimizer by get": bad(lambda: keras.optimizers.get("nope"), ValueError, "optimizer", "nope"),
    "class of a config": bad(
        lambda: L.deserialize({"class_name": "Nonsense", "config": {}}), TypeError, "Nonsense"
    ),
    # missing, unknown, of the wrong kind
    "units missing": bad(lambda: L.Dense(), TypeError, "Dense", "units"),
    "kernel_size missing": bad(lambda: L.Conv2D(4), TypeError, "Conv2D", "kernel_size"),
    "output_dim missing": bad(lambda: L.Embedding(5), TypeError, "Embedding", "output_dim"),
    "pool_size missing": bad(lambda: L.AveragePooling2D(), TypeError, "AveragePooling2D", "pool_size"),
    "unknown argument": bad(lambda: L.Dense(3, unit=4), ValueError, "Dense", "unit"),
    "too many arguments": bad(lambda: L.Flatten("channels_last", 1, 2), TypeError, "Flatten"),
    "argument twice": bad(lambda: L.Dense(3, units=4), TypeError, "Dense", "units"),
    "layer missing": bad(lambda: L.TimeDistributed(), TypeError, "TimeDistributed", "layer"),
    "Bidirectional of a number": bad(lambda: L.Bidirectional(5), ValueError, "Bidirectional", "layer", "5"),
    "Bidirectional of a plain layer": bad(lambda: L.Bidirectional(L.Dense(3)), EITHER, "Bidirectional", "Dense"),
    "TimeDistributed of a number": bad(lambda: L.TimeDistributed(5), ValueError, "TimeDistributed", "layer", "5"),
    "RNN without a cell": bad(lambda: L.RNN(5), ValueError, "RNN", "cell", "5"),
    "axis text": bad(lambda: L.BatchNormalization(axis="last"), EITHER, "BatchNormalization", "axis", "last"),
    "permutation with the batch": bad(lambda: L.Permute((0, 1)), ValueError, "Permute", "dims", "(0, 1)"),
    "permutation with a repeat": bad(lambda: L.Permute((1, 1)), ValueError, "Permute", "dims", "(1, 1)"),
    "Reshape, two unknown": bad(lambda: L.Reshape((-1, -1))(x(2, 4)), ValueError, "Reshape", "target_shape", "-1"),
    "Lambda output_shape text": bad(
        lambda: L.Lambda(lambda a: a, output_shape="wide").compute_output_shape((2, 3)),
        TypeError, "Lambda", "output_shape", "wide",
    ),
    "dot axes text": bad(lambda: L.Dot("ab"), TypeError, "Dot", "axes", "ab"),
    "unknown config key": bad(lambda: L.Dense.from_config({"units": 3, "unit": 1}), EITHER, "Dense", "unit"),
    "Input without a shape": bad(lambda: keras.Input(), ValueError, "Input", "shape"),
    "Input with both shapes": bad(lambda: keras.Input((3,), batch_shape=(2, 3)), ValueError, "shape", "batch_shape"),
    "Input with a negative size": bad(lambda: keras.Input((-2,)), ValueError, "Input", "size", "-2"),
    "clipping twice": bad(
        lambda: keras.optimizers.Adam(clipnorm=1.0, clipvalue=1.0), ValueError, "clipnorm", "clipvalue"
    ),
    "variance scaling mode": bad(
        lambda: keras.initializers.VarianceScaling(mode="fan"), ValueError, "mode", "fan_in", "fan"
    ),
    "variance scale": bad(
        lambda: keras.initializers.VarianceScaling(scale=-1.0), ValueError, "scale", "positive", "-1"
    ),
    "orthogonal vector": bad(lambda: keras.initializers.Orthogonal()((3,)), ValueError, "Orthogonal", "shape", "(3,)"),
    "identity of rank 3": bad(
        lambda: keras.initializers.Identity()((2, 3, 4)), ValueError, "Identity", "2", "(2, 3, 4)"
    ),
    "regularization factor text": bad(lambda: keras.regularizers.L2("a"), ValueError, "L2", "l2", "a"),
}  # fmt: skip

CALLS = {
    # rank
    "Dense on a vector": bad(lambda: L.Dense(3)(x(3)), ValueError, "Dense", "2", "(3,)"),
    "Conv2D on 3-D": bad(lambda: L.Conv2D(4, 3)(x(8, 8, 3)), ValueError, "Conv2D", "4", "3", "(8, 8, 3)"),
    "Conv1D on 4-D": bad(lambda: L.Conv1D(4, 3)(x(1, 8, 8, 3)), ValueError, "Conv1D", "3", "(1, 8, 8, 3)"),
    "Conv3DTranspose on 4-D": bad(lambda: L.Conv3DTranspose(4, 3)(x(1, 8, 8, 3)), ValueError, "Conv3DTranspose", "5"),
    "DepthwiseConv2D on 3-D": bad(lambda: L.DepthwiseConv2D(3)(x(8, 8, 3)), ValueError, "DepthwiseConv2D", "(8, 8, 3)"),
    "MaxPooling2D on 3-D": bad(lambda: L.MaxPooling2D(2)(x(1, 8, 3)), ValueError, "MaxPooling2D", "4", "(1, 8, 3)"),
    "GlobalAveragePooling1D on 2-D": bad(
        lambda: L.GlobalAveragePooling1D()(x(2, 3)), ValueError, "GlobalAveragePooling1D", "3", "(2, 3)"
    ),
    "LocallyConnected1D on 4-D": bad(
        lambda: L.LocallyConnected1D(4, 3)(x(1, 8, 8, 3)), ValueError, "LocallyConnected1D", "3", "(1, 8, 8, 3)"
    ),
    "UpSampling2D on 3-D": bad(lambda: L.UpSampling2D()(x(2, 3, 4)), ValueError, "UpSampling2D", "4", "(2, 3, 4)"),
    "ZeroPadding1D on 2-D": bad(lambda: L.ZeroPadding1D()(x(2, 3)), ValueError, "ZeroPadding1D", "3", "(2, 3)"),
    "RepeatVector on 3-D": bad(lambda: L.RepeatVector(3)(x(2, 3, 4)), ValueError, "RepeatVector", "2", "(2, 3, 4)"),
    "Permute on 2-D": bad(lambda: L.Permute((2, 1))(x(2, 3)), ValueError, "Permute", "(2, 1)", "(2, 3)"),
    "LSTM on 2-D": bad(lambda: L.LSTM(3)(x(2, 5)), ValueError, "LSTM", "3", "(2, 5)"),
    "TimeDistributed on 2-D": bad(
        lambda: L.TimeDistributed(L.Dense(3))(x(2, 5)), ValueError, "TimeDistributed", "3", "(2, 5)"
    ),
    "Bidirectional on 2-D": bad(lambda: L.Bidirectional(L.GRU(3))(x(2, 5)), ValueError, "3", "(2, 5)"),
    "SpatialDropout2D on 3-D": bad(
        lambda: L.SpatialDropout2D(0.5)(x(2, 3, 4), training=True), ValueError, "SpatialDropout2D", "4", "(2, 3, 4)"
    ),
    # size
    "Dense on other features": bad(lambda: built(L.Dense(3), 2, 4)(x(2, 5)), ValueError, "Dense", "4", "5", "(2, 5)"),
    "Conv2D on other channels": bad(
        lambda: built(L.Conv2D(4, 3), 1, 8, 8, 3)(x(1, 8, 8, 2)), ValueError, "Conv2D", "channels", "3", "2"
    ),
    "Conv1D on other channels, first": bad(
        lambda: built(L.Conv1D(4, 3, data_format="channels_first"), 1, 3, 8)(x(1, 2, 8)),
        ValueError, "Conv1D", "channels", "3",
    ),
    "LSTM on other features": bad(lambda: built(L.LSTM(3), 2, 5, 4)(x(2, 5, 6)), ValueError, "LSTM", "4", "6"),
    "BatchNormalization on other channels": bad(
        lambda: built(L.BatchNormalization(), 2, 4)(x(2, 5)), ValueError, "BatchNormalization", "4", "5"
    ),
    "LocallyConnected2D on another image": bad(
        lambda: built(L.LocallyConnected2D(4, 3), 1, 8, 8, 3)(x(1, 9, 8, 3)), ValueError, "LocallyConnected2D", "8", "9"
    ),
    "kernel larger than the input": bad(lambda: L.Conv1D(4, 12)(x(2, 9, 3)), ValueError, "Conv1D", "12", "9"),
    "kernel larger in one axis": bad(
        lambda: L.Conv2D(4, (2, 9))(x(1, 8, 8, 3)), ValueError, "Conv2D", "width", "9", "8"
    ),
    "dilated kernel larger than the input": bad(
        lambda: L.Conv1D(4, 3, dilation_rate=5)(x(2, 9, 3)), ValueError, "Conv1D", "dilat", "9"
    ),
    "local kernel larger than the input": bad(
        lambda: L.LocallyConnected1D(4, 12)(x(2, 9, 3)), ValueError, "LocallyConnected1D", "12", "9"
    ),
    "window larger than the input": bad(lambda: L.MaxPooling2D(9)(x(1, 7, 7, 2)), ValueError, "MaxPooling2D", "9", "7"),
    "unknown features": bad(lambda: L.Dense(3)(inputs(None)), ValueError, "Dense", "None"),
    "unknown channels": bad(lambda: L.Conv2D(4, 3)(inputs(8, 8, None)), EITHER, "Conv2D", "channels", "None"),
    "locally connected, unknown length": bad(
        lambda: L.LocallyConnected1D(4, 3)(inputs(None, 3)), ValueError, "LocallyConnected1D", "None"
    ),
    "cropping everything": bad(lambda: L.Cropping1D((3, 3))(x(2, 5, 3)), ValueError, "Cropping1D", "(3, 3)", "5"),
    "cropping everything, 2-D": bad(lambda: L.Cropping2D(4)(x(1, 6, 9, 1)), ValueError, "Cropping2D", "4", "6"),
    "Reshape to another size": bad(lambda: L.Reshape((5, 5))(x(2, 3, 4)), ValueError, "Reshape", "(5, 5)", "3, 4)"),
    "Reshape with a rest": bad(lambda: L.Reshape((5, -1))(x(2, 3, 4)), ValueError, "Reshape", "(5, -1)", "3, 4)"),
    "noise_shape of another rank": bad(
        lambda: L.Dropout(0.5, noise_shape=(2, 3, 4))(x(2, 3), training=True),
        ValueError, "Dropout", "noise_shape", "(2, 3, 4)",
    ),
    "noise_shape that does not fit": bad(
        lambda: L.Dropout(0.5, noise_shape=(2, 2))(x(2, 3), training=True),
        ValueError, "Dropout", "noise_shape", "(2, 2)",
    ),
    # axis, index
    "BatchNormalization axis": bad(
        lambda: L.BatchNormalization(axis=5)(x(2, 3)), ValueError, "BatchNormalization", "axis", "5", "(2, 3)"
    ),
    "LayerNormalization axis": bad(
        lambda: L.LayerNormalization(axis=5)(x(2, 3)), ValueError, "LayerNormalization", "axis", "5", "(2, 3)"
    ),
    "Softmax axis": bad(lambda: L.Softmax(axis=4)(x(2, 3)), ValueError, "Softmax", "axis", "4", "(2, 3)"),
    "PReLU shared axis": bad(lambda: L.PReLU(shared_axes=[3])(x(2, 3)), ValueError, "PReLU", "shared_axes", "3"),
    "index too large": bad(lambda: L.Embedding(5, 2)(ids(1, 7)), ValueError, "Embedding", "input_dim", "5", "7"),
    "index negative": bad(lambda: L.Embedding(5, 2)(ids(1, -6)), ValueError, "Embedding", "-6"),
    # merging
    "Add on one tensor": bad(lambda: L.Add()(x(2, 3)), ValueError, "Add", "list", "(2, 3)"),
    "Add on nothing": bad(lambda: L.Add()([]), EITHER, "Add", "list"),
    "Multiply on other sizes": bad(
        lambda: L.Multiply()([x(2, 3), x(2, 4)]), ValueError, "Multiply", "(2, 3)", "(2, 4)"
    ),
    "Average on other sizes": bad(lambda: L.Average()([x(2, 5, 3), x(2, 4, 3)]), ValueError, "Average", "5", "4"),
    "Subtract on three": bad(lambda: L.Subtract()([x(2, 3)] * 3), ValueError, "Subtract", "2", "3"),
    "Concatenate on one tensor": bad(lambda: L.Concatenate()(x(2, 3)), ValueError, "Concatenate", "list", "(2, 3)"),
    "Concatenate on other sizes": bad(
        lambda: L.Concatenate()([x(2, 3), x(4, 3)]), ValueError, "Concatenate", "axis", "(2, 3)", "(4, 3)"
    ),
    "Concatenate of text": bad(lambda: L.Concatenate()([["a"], ["b"]]), ValueError, "Concatenate", "numbers", "a at"),
    "Add of a number": bad(lambda: L.Add()([x(2, 3), 5]), ValueError, "Add", "tensor", "item 1", "5"),
    "Add of a number, in a model": bad(lambda: L.Add()([inputs(3), 5]), ValueError, "Add", "tensor", "item 1"),
    "Add of a number, later": bad(lambda: added()([x(2, 3), 5]), ValueError, "Add", "tensor", "item 1", "5"),
    "Add of one tensor, later": bad(lambda: added()(x(2, 3)), ValueError, "Add", "list", "(2, 3)"),
    "Add of nothing, later": bad(lambda: added()([]), ValueError, "Add", "list"),
    "Subtract of three, later": bad(lambda: added(L.Subtract())([x(2, 3)] * 3), ValueError, "Subtract", "2", "3"),
    "Dot of one, later": bad(lambda: added(L.Dot(1))([x(2, 3)]), ValueError, "Dot", "2", "1"),
    "Concatenate on other ranks": bad(
        lambda: L.Concatenate()([x(2, 3), x(2, 3, 4)]), ValueError, "Concatenate", "(2, 3)", "(2, 3, 4)"
    ),
    "Concatenate axis": bad(
        lambda: L.Concatenate(axis=4)([x(2, 3)] * 2), ValueError, "Concatenate", "axis", "4", "2"
    ),
    "Dot on other sizes": bad(lambda: L.Dot(axes=1)([x(2, 3), x(2, 4)]), ValueError, "Dot", "ax", "3", "4"),
    "Dot on three": bad(lambda: L.Dot(axes=1)([x(2, 3)] * 3), ValueError, "Dot", "2", "3"),
    "Dot axis": bad(lambda: L.Dot(axes=4)([x(2, 3)] * 2), ValueError, "Dot", "axes", "4", "(2, 3)"),
    # recurrence
    "too few states": bad(
        lambda: L.LSTM(3)(x(2, 5, 4), initial_state=[x(2, 3)]), ValueError, "LSTM", "initial_state", "2", "1"
    ),
    "too many states": bad(
        lambda: L.GRU(3)(x(2, 5, 4), initial_state=[x(2, 3)] * 2), ValueError, "GRU", "initial_state", "1", "2"
    ),
    "state of another size": bad(
        lambda: L.GRU(3)(x(2, 5, 4), initial_state=[x(2, 6)]), ValueError, "GRU", "initial_state", "3", "6"
    ),
    "states of Bidirectional": bad(
        lambda: L.Bidirectional(L.GRU(3))(x(2, 5, 4), initial_state=[x(2, 3)]),
        ValueError, "Bidirectional", "initial_state", "2", "1",
    ),
    "stateful, unknown batch": bad(
        lambda: L.LSTM(3, stateful=True)(inputs(5, 4)), ValueError, "LSTM", "stateful", "batch"
    ),
    "state that is a number": bad(
        lambda: L.LSTM(3)(x(2, 5, 4), initial_state=5), ValueError, "LSTM", "initial_state", "tensor", "5"
    ),
    "state that is a number, in a model": bad(
        lambda: L.LSTM(3)(inputs(5, 4), initial_state=5), ValueError, "LSTM", "initial_state", "tensor", "5"
    ),
    "states that are numbers": bad(
        lambda: L.Bidirectional(L.GRU(3))(x(2, 5, 4), initial_state=[1, 2]),
        ValueError, "Bidirectional", "initial_state", "[1, 2]",
    ),
    "activation that halves the state": bad(
        lambda: L.GRU(4, activation="glu")(x(2, 5, 4)), ValueError, "GRU", "activation", "glu", "(None, 4)", "(None, 2)"
    ),
    "activation that returns nothing": bad(
        lambda: L.Dense(3, activation=lambda a: None)(inputs(4)), ValueError, "Dense", "activation", "None"
    ),
    "mask of another length": bad(
        lambda: L.LSTM(3)(x(2, 5, 4), mask=torch.ones(2, 6, dtype=torch.bool)), ValueError, "LSTM", "mask", "(2, 6)"
    ),
    "mask of another rank": bad(
        lambda: L.GlobalAveragePooling1D()(x(2, 5, 4), mask=torch.ones(2, 5, 4, 1, dtype=torch.bool)),
        ValueError, "GlobalAveragePooling1D", "mask", "(2, 5, 4, 1)",
    ),
    # the call itself
    "mask that is a number": bad(lambda: L.Dense(3)(x(2, 3), mask=5), ValueError, "Dense", "mask", "5"),
    "mask that is a number, in a model": bad(lambda: L.Dense(3)(inputs(3), mask=5), ValueError, "Dense", "mask", "5"),
    "complex numbers": bad(lambda: L.Conv1D(3, 2)(x(2, 5, 3) * 1j), ValueError, "Conv1D", "complex", "float32"),
    "complex numbers, in a model": bad(
        lambda: L.Dense(3)(keras.Input((3,), dtype="complex64")), ValueError, "Dense", "complex", "float32"
    ),
    "called with nothing": bad(lambda: L.Dense(3)(), TypeError, "Dense", "inputs"),
    "called with text": bad(lambda: L.Dense(3)("text"), ValueError, "Dense", "text"),
    "called with None": bad(lambda: L.Conv2D(4, 3)(None), ValueError, "Conv2D", "None"),
    "called with an unknown argument": bad(
        lambda: L.Dense(3)(x(2, 3), trainning=True), TypeError, "Dense", "trainning"
    ),
    # weights
    "count_params before build": bad(lambda: L.Dense(3).count_params(), ValueError, "Dense", "weights", "buil"),
    "enable_lora before build": bad(lambda: L.Dense(3).enable_lora(2), ValueError, "lora", "buil"),
    "enable_lora twice": bad(
        lambda: built(L.Dense(3, lora_rank=1), 2, 4).enable_lora(2), ValueError, "Dense", "already"
    ),
    "set_weights before build": bad(lambda: L.Dense(3).set_weights([np.ones((4, 3))]), ValueError, "Dense", "0", "1"),
    "set_weights, count": bad(
        lambda: built(L.Dense(3), 2, 4).set_weights([np.ones((4, 3))]), ValueError, "Dense", "2", "1"
    ),
    "set_weights, shape": bad(
        lambda: built(L.Dense(3), 2, 4).set_weights([np.ones((4, 2)), np.ones(3)]),
        ValueError, "kernel", "(4, 3)", "(4, 2)",
    ),
    "set_weights of nothing": bad(lambda: built(L.Dense(3), 2, 4).set_weights(None), ValueError, "Dense", "list"),
    "a weight by attribute, shape": bad(
        lambda: setattr(built(L.Dense(3), 2, 4), "kernel", np.ones((3, 3))), ValueError, "kernel", "(4, 3)", "(3, 3)"
    ),
    "constraint that sums up": bad(
        lambda: L.Dense(3, kernel_constraint=lambda w: w.sum())(x(2, 4)), ValueError, "Dense", "kernel", "(4, 3)", "()"
    ),
    "constraint that returns nothing": bad(
        lambda: L.Dense(3, bias_constraint=lambda w: None)(x(2, 4)), ValueError, "Dense", "bias", "None"
    ),
    "constraint along an axis that is not there": bad(
        lambda: L.Dense(3, bias_constraint=keras.constraints.MaxNorm(axis=1))(x(2, 4)),
        ValueError, "Dense", "bias", "MaxNorm", "(3,)",
    ),
    "assign, shape": bad(lambda: built(L.Dense(3), 2, 4).bias.assign(np.ones(5)), ValueError, "bias", "(3,)", "(5,)"),
    # nodes
    "input of a layer never called": bad(lambda: L.Dense(3).input, AttributeError, "Dense", "input"),
    "output of a layer never called": bad(lambda: L.Dense(3).output, AttributeError, "Dense", "output"),
}  # fmt: skip


class Unbegun(L.Layer):
    def __init__(self, size: int):
        self.size = size

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs


MODELS = {
    "layer whose __init__ calls no super": bad(
        lambda: Unbegun(3)(x(2, 3)), AttributeError, "Unbegun", "super().__init__()"
    ),
    "two inputs by position": bad(lambda: model()(x(2, 3), x(2, 3)), EITHER, "Sequential", "training", "list"),
    "metrics in the place of loss_weights": bad(
        lambda: model().compile("sgd", "mse", ["acc"]), ValueError, "loss_weights", "acc", "metrics="
    ),
    "Sequential of a number": bad(lambda: keras.Sequential([5]), ValueError, "Sequential", "layer", "5"),
    "Sequential.add text": bad(lambda: keras.Sequential().add("Dense"), ValueError, "Sequential", "layer", "Dense"),
    "Sequential.pop on empty": bad(lambda: keras.Sequential().pop(), EITHER, "Sequential", "layer", "pop"),
    "Sequential with one name twice": bad(
        lambda: keras.Sequential([L.Dense(2, name="twin"), L.Dense(2, name="twin")]), ValueError, "twin", "name"
    ),
    "Sequential with a second Input": bad(
        lambda: keras.Sequential([inputs(3), L.Dense(2), inputs(2)]), ValueError, "Sequential", "input"
    ),
    "Sequential that does not fit together": bad(
        lambda: keras.Sequential([inputs(8, 8, 3), L.Flatten(), L.Conv2D(4, 3)]), ValueError, "Conv2D", "4", "2"
    ),
    "names twice": bad(same_name_twice, ValueError, "twin", "name"),
    "disconnected": bad(lambda: keras.Model(inputs(3), L.Dense(2)(inputs(3))), ValueError, "input", "output"),
    "outputs that are no tensors": bad(lambda: keras.Model(inputs(3), 5), ValueError, "outputs", "5"),
    "inputs that are no tensors": bad(lambda: keras.Model(x(2, 3), L.Dense(2)(inputs(3))), ValueError, "inputs"),
    "get_layer, unknown name": bad(lambda: model().get_layer("nope"), ValueError, "layer", "nope"),
    "get_layer, unknown index": bad(lambda: model().get_layer(index=9), ValueError, "layer", "9", "1"),
    "get_layer of nothing": bad(lambda: model().get_layer(), ValueError, "name", "index"),
    "model called on another rank": bad(lambda: model()(x(2, 3, 3, 3)), ValueError, "3"),
    "model called on other features": bad(lambda: model()(x(2, 5)), ValueError, "3", "5"),
    "model with two inputs called on one": bad(
        lambda: keras.Model([a := inputs(3), b := inputs(3)], L.Add()([a, b]))(x(2, 3)), ValueError, "2", "1"
    ),
    "count_params before build": bad(
        lambda: keras.Sequential([L.Dense(2)]).count_params(), ValueError, "Sequential", "weights", "buil"
    ),
    "set_weights, count": bad(lambda: model().set_weights([]), ValueError, "2", "0"),
    # training
    "fit before compile": bad(lambda: model().fit(x(4, 3), x(4, 2)), ValueError, "compile", "fit"),
    "evaluate before compile": bad(lambda: model().evaluate(x(4, 3), x(4, 2)), ValueError, "compile", "evaluate"),
    "optimizer": bad(lambda: model().compile(optimizer="nope"), ValueError, "optimizer", "nope"),
    "loss": bad(lambda: model("nope").fit(x(4, 3), x(4, 2), verbose=0), ValueError, "loss", "nope"),
    "metric": bad(
        lambda: model("mse", metrics=["nope"]).fit(x(4, 3), x(4, 2), verbose=0), ValueError, "metric", "nope"
    ),
    "empty data": bad(lambda: fit(np.ones((0, 2)), rows=0), ValueError, "x", "empty"),
    "labels missing": bad(lambda: fit(None), ValueError, "y", "loss"),
    "fewer labels than samples": bad(lambda: fit(np.ones((3, 2))), ValueError, "x", "y", "4", "3"),
    "labels of another size": bad(lambda: fit(np.ones((4, 5))), ValueError, "(4, 5)", "(4, 2)"),
    "labels of another size, crossentropy": bad(
        lambda: fit(np.ones((4, 5)), "categorical_crossentropy"), ValueError, "(4, 5)", "(4, 2)"
    ),
    "classes given to categorical_crossentropy": bad(
        lambda: fit(np.ones((4, 1)), "categorical_crossentropy"), ValueError, "(4, 1)", "(4, 2)", "sparse"
    ),
    "class too large": bad(
        lambda: fit(np.full(4, 7), "sparse_categorical_crossentropy"), ValueError, "class", "7", "2"
    ),
    "one-hot given to sparse_categorical_crossentropy": bad(
        lambda: fit(np.ones((4, 2)), "sparse_categorical_crossentropy"),
        ValueError, "(4, 2)", "categorical_crossentropy",
    ),
    "batch_size zero": bad(lambda: fit(np.ones((4, 2)), batch_size=0), ValueError, "batch_size", "0"),
    "batch_size fraction": bad(lambda: fit(np.ones((4, 2)), batch_size=1.5), ValueError, "batch_size", "1.5"),
    "epochs text": bad(lambda: fit(np.ones((4, 2)), epochs="ten"), EITHER, "epochs", "ten"),
    "validation_split above one": bad(
        lambda: fit(np.ones((4, 2)), validation_split=1.5), ValueError, "validation_split", "1.5"
    ),
    "validation_data of one part": bad(
        lambda: fit(np.ones((4, 2)), validation_data=(np.ones((4, 3)),)), ValueError, "validation_data"
    ),
    "sample_weight of another length": bad(
        lambda: fit(np.ones((4, 2)), sample_weight=np.ones(3)), ValueError, "sample_weight", "4", "3"
    ),
    "data of another size": bad(lambda: model().predict(np.ones((4, 7)), verbose=0), ValueError, "3", "7"),
    "a dictionary for one tensor": bad(lambda: L.Dense(3)({"x": x(2, 3)}), ValueError, "Dense", "`x`", "inputs['x']"),
    "a set": bad(lambda: L.Dense(3)({1, 2}), ValueError, "Dense", "{1, 2}"),
    "indices NaN": bad(lambda: L.Embedding(4, 2)(torch.tensor([[NAN]])), ValueError, "Embedding", "NaN"),
    "data of text": bad(lambda: model().predict(np.array(["a", "b"]), verbose=0), ValueError, "numbers", "x"),
}  # fmt: skip

TABLE = {
    f"{table}: {name}": case
    for table, part in (("argument", ARGUMENTS), ("call", CALLS), ("model", MODELS))
    for name, case in part.items()
}

NOISE = ("Traceback", 'File "', "site-packages", "object at 0x", "<function", "tensor(", "\x1b", "  ")


@pytest.mark.parametrize("case", TABLE.values(), ids=TABLE)
def test_message(case: Bad) -> None:
    with pytest.raises(case.error) as caught:
        case.use()
    message = str(caught.value)
    missing = [word for word in case.words if word.lower() not in message.lower()]
    assert not missing, f"{missing} not in: {message}"
    assert len(message) < 400, message
    assert "\n" not in message, message
    assert not [noise for noise in NOISE if noise in message], message


LAYERS = {
    "Dense": (lambda: L.Dense(3), (2, 4), (4,)),
    "Conv1D": (lambda: L.Conv1D(4, 3), (2, 9, 3), (2, 2, 3)),
    "Conv2D": (lambda: L.Conv2D(4, 3, groups=2), (1, 8, 8, 2), (1, 8, 8, 3)),
    "Conv2DTranspose": (lambda: L.Conv2DTranspose(4, 3), (1, 8, 8, 2), (8, 8, 2)),
    "SeparableConv2D": (lambda: L.SeparableConv2D(4, 3), (1, 8, 8, 2), (1, 8, 2, 2)),
    "DepthwiseConv1D": (lambda: L.DepthwiseConv1D(3), (1, 8, 2), (1, 8, 2, 2)),
    "LocallyConnected2D": (lambda: L.LocallyConnected2D(4, 3), (1, 8, 8, 2), (1, 8, 2, 2)),
    "BatchNormalization": (lambda: L.BatchNormalization(axis=3), (1, 8, 8, 2), (2, 4)),
    "LayerNormalization": (lambda: L.LayerNormalization(axis=2), (2, 3, 4), (2, 4)),
    "LSTM": (lambda: L.LSTM(3), (2, 5, 4), (2, 5)),
    "GRU": (lambda: L.Bidirectional(L.GRU(3)), (2, 5, 4), (2, 5)),
    "TimeDistributed": (lambda: L.TimeDistributed(L.Dense(3)), (2, 5, 4), (2, 5)),
    "PReLU": (lambda: L.PReLU(shared_axes=[2]), (2, 5, 4), (2, 5)),
}


def weights_of(layer: Any) -> list[np.ndarray]:
    return [np.array(weight) for weight in layer.get_weights()]


def equal(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))


@pytest.mark.parametrize("name", LAYERS)
def test_failed_build_changes_nothing(name: str) -> None:
    make, good, wrong = LAYERS[name]
    layer = make()
    with pytest.raises(ValueError):
        layer(x(*wrong))
    assert not layer.built
    assert layer.weights == []
    layer(x(*good))
    assert layer.weights


@pytest.mark.parametrize("name", LAYERS)
def test_failed_set_weights_changes_nothing(name: str) -> None:
    make, good, _ = LAYERS[name]
    layer = built(make(), *good)
    before = weights_of(layer)
    other = [value + 1 for value in before]
    for wrong in (other[:-1], [*other, other[0]], [*other[:-1], other[-1][..., None]]):
        with pytest.raises(ValueError):
            layer.set_weights(wrong)
        assert equal(weights_of(layer), before)
    layer.set_weights(other)
    assert equal(weights_of(layer), other)


@pytest.mark.parametrize("make", [np.array, torch.tensor, list], ids=["array", "tensor", "list"])
def test_values_are_written_to_a_weight_by_its_attribute(make: Any) -> None:
    layer, norm = built(L.Dense(2), 1, 2), built(L.BatchNormalization(), 2, 2)
    kernel, mean = layer.kernel, norm.moving_mean
    layer.kernel = make([[1.0, 2.0], [3.0, 4.0]])
    norm.moving_mean = np.array([5.0, 6.0])
    assert layer.kernel is kernel is layer.weights[0] and kernel.tolist() == [[1, 2], [3, 4]]
    assert norm.moving_mean is mean and mean.tolist() == [5, 6]
    assert layer(x(1, 2)).tolist() == [[4, 6]]


def test_failed_call_changes_nothing() -> None:
    layer = L.BatchNormalization(activity_regularizer="l2")
    layer(x(2, 4), training=True)
    before, losses = weights_of(layer), len(layer.losses)
    with pytest.raises(ValueError):
        layer(x(2, 5), training=True)
    assert equal(weights_of(layer), before)
    assert len(layer.losses) == losses


def test_failed_state_changes_nothing() -> None:
    layer = L.GRU(3, stateful=True)
    first = layer(x(2, 5, 4))
    with pytest.raises(ValueError):
        layer(x(2, 5, 4), initial_state=[x(2, 3), x(2, 3)])
    second = layer(x(2, 5, 4))
    layer.reset_state()
    assert torch.equal(layer(x(2, 5, 4)), first)
    assert torch.equal(layer(x(2, 5, 4)), second)


def test_failed_symbolic_call_adds_no_node() -> None:
    layer = L.Conv2D(4, 3)
    output = layer(inputs(8, 8, 3))
    with pytest.raises(ValueError):
        layer(inputs(8, 8, 2))
    assert layer.output is output


def test_failed_add_changes_nothing() -> None:
    sequential = keras.Sequential([inputs(8, 8, 3), L.Flatten()])
    for wrong in (5, L.Conv2D(4, 3)):
        with pytest.raises(ValueError):
            sequential.add(wrong)
        assert [type(layer) for layer in sequential.layers] == [L.Flatten]
    sequential.add(L.Dense(2))
    assert sequential.output_shape == (None, 2)


@pytest.mark.parametrize("loss", ["mse", "categorical_crossentropy", "sparse_categorical_crossentropy"])
def test_failed_fit_changes_nothing(loss: str) -> None:
    trained = model(loss)
    before = weights_of(trained)
    with pytest.raises(ValueError):
        trained.fit(np.ones((4, 3), "float32"), np.full((4, 5), 7), verbose=0)
    assert equal(weights_of(trained), before)


def test_failed_compile_changes_nothing() -> None:
    compiled = model("mse")
    with pytest.raises(ValueError):
        compiled.compile(optimizer="nope", loss="mae")
    assert compiled.loss == "mse"
    compiled.fit(np.ones((4, 3), "float32"), np.ones((4, 2), "float32"), verbose=0)


@pytest.mark.parametrize("bad", [np.zeros(7, "float32"), np.array([None, None]), "ab"])
@pytest.mark.parametrize("generation", [keras, keras1, keras2, tf_keras])
def test_weights_that_do_not_fit_change_nothing(generation: Any, bad: Any) -> None:
    """Of a model with a model inside, and of an optimizer: where one array does not fit, none is written."""
    layers = generation.layers
    first = {"input_dim": 4} if generation is keras1 else {"input_shape": (4,)}
    inner = generation.models.Sequential([layers.Dense(3, **first), layers.BatchNormalization()])
    model = generation.models.Sequential([inner, layers.Dense(2)])
    model.compile("adam", loss="mse")
    model.train_on_batch(np.ones((2, 4)), np.ones((2, 2)))

    def held(holder: Any) -> list[np.ndarray]:
        values = holder.get_weights() if hasattr(holder, "get_weights") else holder.variables
        return [np.array(value) for value in values]

    for holder in (model, inner, model.layers[-1], model.optimizer):
        before = held(holder)
        for place in range(len(before)):
            arrays = [value + 1 for value in before]
            arrays[place] = bad
            for given in (arrays, arrays[:place], [*arrays, bad]):
                with pytest.raises((ValueError, TypeError)):
                    holder.set_weights(given)
                for old, new in zip(before, held(holder), strict=True):
                    np.testing.assert_array_equal(new, old)


# Data of every kind, wherever it comes in ---------------------------------------------------------------------------


class Held:
    """An array of another library."""

    def __init__(self, array: np.ndarray, **more: Any):
        self.array, self.shape = array, array.shape
        vars(self).update(more)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.array

    def __len__(self) -> int:
        return len(self.array)


class Frame(Held):
    """As pandas gives it: numbers of several types become objects."""

    def to_numpy(self) -> np.ndarray:
        return self.array

    def isna(self) -> np.ndarray:
        return np.equal(self.array, None)


class Sparse:
    """As SciPy gives it."""

    shape = (4, 2)

    def toarray(self) -> np.ndarray:
        return VALUES


VALUES = np.arange(8).reshape(4, 2) % 3
FLOATS = VALUES.astype("float32")
NUMBERS: dict[str, Callable[[], Any]] = {
    **{
        kind: lambda kind=kind: VALUES.astype(kind) for kind in ("f2", "f4", "f8", "i1", "u1", "i4", "i8", "longdouble")
    },
    **{f"big-endian {kind}": lambda kind=kind: VALUES.astype(f">{kind}") for kind in ("f4", "f8", "i2", "i8", "u4")},
    **{kind: lambda kind=kind: VALUES.astype(kind) for kind in ("u2", "u4", "u8")},
    "negative strides": lambda: np.ascontiguousarray(FLOATS[::-1, ::-1])[::-1, ::-1],
    "odd strides": lambda: _odd(),
    "columns first": lambda: np.asfortranarray(FLOATS),
    "read-only": lambda: _read_only(),
    "matrix": lambda: FLOATS.view(np.matrix),
    "lists": VALUES.tolist,
    "tuples": lambda: tuple(map(tuple, VALUES.tolist())),
    "lists of NumPy's numbers": lambda: [list(row) for row in FLOATS],
    "array interface": lambda: Held(FLOATS),
    "pandas": lambda: Frame(FLOATS),
    "pandas, bool and float": lambda: Frame(
        VALUES.astype(object), dtypes=np.array([np.dtype("bool"), np.dtype("float64")])
    ),
    "torch": lambda: torch.tensor(VALUES),
    "torch, double": lambda: torch.tensor(FLOATS).double(),
    "torch, a view": lambda: torch.tensor(FLOATS.T.copy()).T,
    "memoryview": lambda: memoryview(FLOATS),
    "no value masked": lambda: np.ma.masked_array(FLOATS),
}
NO_NUMBERS: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "objects": (lambda: VALUES.astype(object), ("objects", "astype")),
    "None": (lambda: np.array([[1, 2], [3, None], [1, 2], [None, 0]]), ("None at row 1, column 1", "row 3, column 0")),
    "a text among numbers": (lambda: np.array([[1, "two"]] * 4, object), ("'two' (str) at row 0, column 1",)),
    "pandas, a missing value": (
        lambda: Frame(np.array([[1, None]] * 4), dtypes=np.array([np.dtype("int64")] * 2)), ("None at row 0, column 1",)
    ),
    "text": (lambda: np.array([["a", "b"]] * 4), ("a at row 0", "integers")),
    "text in lists": (lambda: [["a", "b"]] * 4, ("a at row 0", "integers")),
    "bytes": (lambda: np.array([[b"a", b"b"]] * 4), ("row 0", "integers")),
    "dates": (lambda: np.zeros((4, 2), "M8[D]"), ("datetime64", "1970-01-01 at row 0", "days")),
    "time spans": (lambda: np.zeros((4, 2), "m8[s]"), ("timedelta64", "np.timedelta64")),
    "records": (lambda: np.zeros((4, 2), [("a", "f4")]), ("fields",)),
    "masked values": (lambda: np.ma.masked_array(FLOATS, VALUES == 1), ("masked", "filled")),
    "sparse": (Sparse, ("sparse", "toarray")),
    "lists of several lengths": (lambda: [[1.0, 2.0], [3.0], [1.0], [2.0]], ("length",)),
    "objects of several lengths": (lambda: np.array([[1, 2], [3], [1], [2]], object), ("(list) at row 0", "Pad")),
    "complex": (lambda: VALUES.astype("complex64"), ("complex", "imag")),
    "torch, complex": (lambda: torch.tensor(VALUES).cfloat(), ("complex", "imag")),
    "a set": (lambda: {1, 2}, ("{1, 2}",)),
    "too large": (lambda: np.full((4, 2), 2**63 + 5, "uint64"), ("9223372036854775813", "int64")),
}  # fmt: skip


def _odd() -> np.ndarray:
    """Floats that lie 6 bytes apart."""
    rows = np.zeros((4, 2), np.dtype([("number", "f4"), ("gap", "i2")]))
    rows["number"] = VALUES
    return rows["number"]


def _read_only() -> np.ndarray:
    found = FLOATS.copy()
    found.flags.writeable = False
    return found


def net() -> Any:
    made = keras.Sequential([inputs(2), L.Dense(2, kernel_initializer="ones")])
    made.compile("sgd", "mse")
    return made


def dense(value: Any) -> torch.Tensor:
    return L.Dense(2, kernel_initializer="ones")(value)


def first_loss(*data: Any) -> float:
    return net().fit(*data, verbose=0, shuffle=False).history["loss"]


ONES = np.ones((4, 2), "float32")
ENTRIES: dict[str, Callable[[Any], Any]] = {
    "layer": dense,
    "built layer": lambda value: built(L.Dense(2, kernel_initializer="ones"), 1, 2)(value),
    "model": lambda value: net()(value),
    "predict": lambda value: net().predict(value, verbose=0),
    "predict_on_batch": lambda value: net().predict_on_batch(value),
    "fit": lambda value: first_loss(value, ONES),
    "targets": lambda value: first_loss(ONES, value),
    "train_on_batch": lambda value: net().train_on_batch(value, ONES),
    "evaluate": lambda value: net().evaluate(value, ONES, verbose=0),
    "validation": lambda value: net().fit(ONES, ONES, validation_data=(value, ONES), verbose=0).history["val_loss"],
    "the part that is split off": lambda value: net().fit(value, ONES, validation_split=0.5, verbose=0).history["loss"],
    "generator": lambda value: first_loss(batch for batch in [(value, ONES)]),
    "targets of a generator": lambda value: first_loss(batch for batch in [(ONES, value)]),
    "several inputs": lambda value: two_inputs().predict([value, ONES], verbose=0),
}  # fmt: skip
OPS: dict[str, Callable[[Any], Any]] = {
    "convert_to_tensor": lambda value: keras.ops.convert_to_tensor(value),
    "add": lambda value: keras.ops.add(value, 1),
}


def two_inputs() -> Any:
    first, second = inputs(2), inputs(2)
    return keras.Model([first, second], L.Add()([first, second]))


def close(found: Any, expected: Any) -> None:
    found, expected = (item.detach() if isinstance(item, torch.Tensor) else item for item in (found, expected))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def everywhere(kinds: Any, besides: Callable[[str, str], bool]) -> list[tuple[str, str]]:
    """The pairs of an entry and a kind of values, without those of `besides`."""
    return [(entry, kind) for entry in (*ENTRIES, *OPS) for kind in kinds if not besides(entry, kind)]


def torch_adds_no_wide_unsigned(entry: str, kind: str) -> bool:
    return entry == "add" and kind in ("u2", "u4", "u8", "big-endian u4")


def ops_take_them(entry: str, kind: str) -> bool:
    return entry in OPS and kind in ("complex", "torch, complex", "too large")


@pytest.mark.parametrize(("entry", "kind"), everywhere(NUMBERS, torch_adds_no_wide_unsigned))
def test_numbers_of_every_kind_are_taken_everywhere(entry: str, kind: str) -> None:
    use = {**ENTRIES, **OPS}[entry]
    close(use(NUMBERS[kind]()), use(torch.tensor(FLOATS)))


@pytest.mark.parametrize(("entry", "kind"), everywhere(NO_NUMBERS, ops_take_them))
def test_what_are_no_numbers_is_refused_everywhere(entry: str, kind: str) -> None:
    make, words = NO_NUMBERS[kind]
    value = make()
    with pytest.raises(ValueError) as caught:
        {**ENTRIES, **OPS}[entry](value)
    message = str(caught.value)
    assert len(message) < 400 and "\n" not in message, message
    if entry not in OPS and kind != "a set":
        assert not [word for word in words if word not in message], message


ON_ONE = {name: cls for name, cls in CLASSES.items() if issubclass(cls, L.Layer) and cls._takes_one}
NOT_ONE: dict[str, Callable[[], Any]] = {
    "an empty list": list,
    "a list of two": lambda: [x(2, 3, 4), x(2, 3, 4)],
    "a list of symbols": lambda: [inputs(3, 4), inputs(3, 4)],
    "a dictionary": lambda: {"a": x(2, 3, 4)},
    "an empty dictionary": dict,
    "a function": lambda: len,
    "a generator": lambda: iter([x(2, 3, 4)]),
}


@pytest.mark.parametrize("name", ON_ONE)
def test_a_layer_of_one_tensor_takes_nothing_else(name: str) -> None:
    cls = ON_ONE[name]
    several = (cls._stacks and not cls._weights) or "initial_state" in cls._call_parameters
    for kind, make in NOT_ONE.items():
        if not (several and "list of" in kind):  # activations stack them, recurrent layers take states
            layer = cls(**required(cls) if cls is not L.SpectralNormalization else {"layer": L.Dense(2)})
            with pytest.raises(ValueError, match=cls.__name__):
                layer(make())
            assert not layer.weights


@pytest.mark.parametrize("of", [keras, tf_keras, keras2, keras1])
def test_older_layers_of_one_tensor_take_nothing_else(of: Any) -> None:
    for make in (lambda: of.layers.Dense(2), of.layers.Flatten, of.layers.BatchNormalization):
        for bad in NOT_ONE.values():
            layer = make()
            with pytest.raises(ValueError, match=f"{type(layer).__name__}.*expected"):
                layer(bad())
            assert not layer.weights
            layer(x(2, 3, 4))
            with pytest.raises(ValueError, match=f"{type(layer).__name__}.*expected"):
                layer(bad())


def test_a_list_of_one_tensor_is_the_tensor_in_keras_1_alone() -> None:
    """As Keras 1.2.2 calls layers; Keras 2.3.1, tf_keras 2.21 and Keras 3.15 refuse it for `Dense`."""

    class Twice(keras1.layers.Layer):
        def call(self, inputs: Any, mask: Any = None) -> Any:
            return inputs * 2

        def get_output_shape_for(self, input_shape: Any) -> Any:
            return input_shape

    start = keras1.layers.Input(shape=(3, 4))
    for layer in (keras1.layers.Dense(2), keras1.layers.Flatten(), keras1.layers.LSTM(2), Twice()):
        made = keras1.models.Model(start, layer([start]))
        np.testing.assert_allclose(made.predict(x(2, 3, 4).numpy()), layer([x(2, 3, 4)]).detach(), rtol=1e-5)
    assert keras1.layers.Dense(2)([[1.0, 2.0]]).shape == (1, 2)
    for of in (keras2, tf_keras, keras):
        with pytest.raises(ValueError, match="a list of 1"):
            of.layers.Dense(2)([x(2, 3)])


@pytest.mark.parametrize("layer", [L.ELU, L.BatchNormalization, L.Rescaling], ids=lambda cls: cls.__name__)
def test_sparse_inputs_are_told_how_to_be_dense(layer: Any) -> None:
    made = layer(**required(layer))
    with pytest.raises((TypeError, ValueError), match=f"{layer.__name__}.*to_dense"):
        made(torch.eye(3).to_sparse())


@pytest.mark.parametrize(("first", "words"), [("kernel", "name='kernel'"), ((3, 4), "give it once")])
def test_the_first_argument_of_add_weight_is_the_shape(first: Any, words: str) -> None:
    layer = L.Layer()
    with pytest.raises(ValueError, match=f"`shape` was passed both positionally and as a keyword argument.*{words}"):
        layer.add_weight(first, shape=(3, 4))
    assert not layer.weights
    assert tf_keras.layers.Layer().add_weight("kernel", shape=(3, 4)).shape == (3, 4)


def test_pictures_of_several_sizes_are_told() -> None:
    with pytest.raises(ValueError, match=r"RandomFlip.*one size"):
        L.RandomFlip()([np.ones((4, 4, 3), "float32"), np.ones((5, 4, 3), "float32")])


@pytest.mark.parametrize("kind", ["None", "text", "sparse", "objects"])
def test_refused_data_leave_no_trace(kind: str) -> None:
    layer, made = L.Dense(3), net()
    before = made.get_weights()
    with pytest.raises(ValueError):
        layer(NO_NUMBERS[kind][0]())
    for weight in ("x", "y", "sample_weight"):
        data = {"x": ONES, "y": ONES, "sample_weight": ONES[:, 0], weight: NO_NUMBERS[kind][0]()}
        with pytest.raises(ValueError, match=f"^{weight}"):
            made.fit(**data, verbose=0)
    assert not layer.built and equal(made.get_weights(), before)


def test_read_only_arrays_are_neither_copied_nor_written_to() -> None:
    found = _read_only()
    seen = keras.layers.Identity()(found)
    assert seen.data_ptr() == found.ctypes.data
    net().fit(found, found, verbose=0)
    np.testing.assert_array_equal(found, FLOATS)


def test_gaps_in_floats_are_allowed() -> None:
    assert np.isnan(net().predict(np.full((4, 2), np.nan), verbose=0)).all()


def test_a_layer_of_ones_own_may_take_text() -> None:
    class Lengths(keras.layers.Layer):
        def call(self, words: Any) -> torch.Tensor:
            return torch.tensor([len(word) for word in words])

    for words in (["a", "bcd"], np.array(["a", "bcd"])):
        assert Lengths()(words).tolist() == [1, 3]


@pytest.mark.parametrize("generation", ["keras1", "keras2", "tf_keras"])
@pytest.mark.parametrize("kind", ["None", "text", "dates", "complex"])
def test_every_generation_refuses_what_are_no_numbers(generation: str, kind: str) -> None:
    old = importlib.import_module(f"lamina.{generation}")
    made = old.models.Sequential([old.layers.Dense(2, input_dim=2)])
    made.compile("sgd", "mse")
    before, value = made.get_weights(), NO_NUMBERS[kind][0]()
    for use in (made.predict, made.predict_on_batch, lambda value: made.fit(value, ONES, verbose=0), made):
        with pytest.raises(ValueError):
            use(value)
    assert equal(made.get_weights(), before)
    close(made.predict(VALUES.tolist(), verbose=0), made.predict(FLOATS, verbose=0))
