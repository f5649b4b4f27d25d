"""Keras 2.3.1."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from . import keras1, modules, preparing
from .table import Class, Generation, Value, same


def _roles(*names: str, activity: bool = True) -> str:
    """The regularizers and constraints of weights in Keras' order."""
    regularizers = [f"{name}_regularizer=None" for name in names] + ["activity_regularizer=None"] * activity
    return ", ".join(regularizers + [f"{name}_constraint=None" for name in names])


def _initializers(*names: str) -> str:
    values = {"bias": "zeros", "recurrent": "orthogonal"}
    return ", ".join(f"{name}_initializer={values.get(name, 'glorot_uniform')!r}" for name in names)


_KERNEL = f"{_initializers('kernel', 'bias')}, {_roles('kernel', 'bias')}"
_DEPTHWISE = f"{_initializers('depthwise', 'bias')}, {_roles('depthwise', 'bias')}"
_SEPARABLE = f"{_initializers('depthwise', 'pointwise', 'bias')}, {_roles('depthwise', 'pointwise', 'bias')}"
_USED = "activation=None, use_bias=True"
_RNN_WEIGHTS = ("kernel", "recurrent", "bias")
RNN = f"{_initializers(*_RNN_WEIGHTS)}, {_roles(*_RNN_WEIGHTS)}, dropout=0.0, recurrent_dropout=0.0"
_CELL = f"{_initializers(*_RNN_WEIGHTS)}, {_roles(*_RNN_WEIGHTS, activity=False)}, dropout=0.0, recurrent_dropout=0.0"
LSTM = RNN.replace("bias_initializer='zeros'", "bias_initializer='zeros', unit_forget_bias=True")
_LSTM_CELL = _CELL.replace("bias_initializer='zeros'", "bias_initializer='zeros', unit_forget_bias=True")
_CUDNN = (
    f"{_initializers(*_RNN_WEIGHTS)}, {_roles(*_RNN_WEIGHTS)}, return_sequences=False, return_state=False, "
    "stateful=False"
)
GATED = "activation='tanh', recurrent_activation='sigmoid', use_bias=True"
SEQUENCES = "return_sequences=False, return_state=False, go_backwards=False, stateful=False"
_CONV_LSTM = (
    "filters, kernel_size, strides={s}, padding='valid', data_format=None, dilation_rate={s}, activation='tanh', "
    "recurrent_activation='hard_sigmoid', use_bias=True, "
)
CONV_LSTM = f"{_CONV_LSTM}{LSTM}".replace(
    ", dropout=0.0", ", return_sequences=False, go_backwards=False, stateful=False, dropout=0.0"
)
_NORMS = (
    "center=True, scale=True, beta_initializer='zeros', gamma_initializer='ones', {moving}beta_regularizer=None, "
    "gamma_regularizer=None, beta_constraint=None, gamma_constraint=None"
)
NORMS = _NORMS.format(moving="")
MOVING_NORMS = _NORMS.format(moving="moving_mean_initializer='zeros', moving_variance_initializer='ones', ")


def _ones(rank: int) -> str:
    return str((1,) * rank) if rank > 1 else "1"


def conv(rank: int, groups: bool) -> str:
    data_format = "'channels_last'" if rank == 1 else "None"
    return (
        f"filters, kernel_size, strides={_ones(rank)}, padding='valid', data_format={data_format}, "
        f"dilation_rate={_ones(rank)}, {'groups=1, ' * groups}{_USED}, {_KERNEL}"
    )


def transposed(rank: int, dilated: bool = True) -> str:
    dilation = f"dilation_rate={_ones(rank)}, " * dilated
    return (
        f"filters, kernel_size, strides={_ones(rank)}, padding='valid', output_padding=None, data_format=None, "
        f"{dilation}{_USED}, {_KERNEL}"
    )


def depthwise(rank: int) -> str:
    return (
        f"kernel_size, strides={_ones(rank)}, padding='valid', depth_multiplier=1, data_format=None, "
        f"dilation_rate={_ones(rank)}, {_USED}, {_DEPTHWISE}"
    )


def separable(rank: int, data_format: str) -> str:
    return (
        f"filters, kernel_size, strides={_ones(rank)}, padding='valid', data_format={data_format}, "
        f"dilation_rate={_ones(rank)}, depth_multiplier=1, {_USED}, {_SEPARABLE}"
    )


def local(rank: int) -> str:
    return f"filters, kernel_size, strides={_ones(rank)}, padding='valid', data_format=None, {_USED}, {_KERNEL}"


def _pool(rank: int) -> str:
    size = str((2,) * rank) if rank > 1 else "2"
    data_format = "'channels_last'" if rank == 1 else "None"
    return f"pool_size={size}, strides=None, padding='valid', data_format={data_format}"


CONV: dict[str, Any] = {"part": "convolutional"}
_ATROUS: dict[str, Any] = {**CONV, "renamed": {"atrous_rate": "dilation_rate"}}
_SPATIAL: dict[str, Any] = {"part": "core", "base": "Dropout", "renamed": {"noise_shape": ""}, "unsaved": "data_format"}
_LAST_ONLY = {"data_format": "channels_last"}
_FORMAT = "data_format=None"
_LAST = "data_format='channels_last'"


def _as_before(name: str) -> Class:
    """A layer of Keras 1 that was left in its words."""
    entry = keras1.LAYERS[name]
    own = [argument.partition("=")[0].strip() for argument in entry.signature.split(",")]
    renamed = {word: keras1.RENAMED[word] for word in own if word in keras1.RENAMED}
    return replace(entry, renamed={**renamed, **entry.renamed})


# What layers without a `kernel` take and leave out.
OF_NO_KERNEL: dict[str, str] = dict.fromkeys(("kernel_initializer", "kernel_regularizer", "kernel_constraint"), "")

LAYERS = {
    "Dense": Class("Dense", f"units, {_USED}, {_KERNEL}", "core"),
    "Activation": Class("Activation", "activation", "core"),
    "ActivityRegularization": Class("ActivityRegularization", "l1=0.0, l2=0.0", "core"),
    "Dropout": Class("Dropout", "rate, noise_shape=None, seed=None", "core", adapt="clipped_rate"),
    "SpatialDropout1D": Class("SpatialDropout1D", "rate", **_SPATIAL),
    "SpatialDropout2D": Class("SpatialDropout2D", f"rate, {_FORMAT}", **_SPATIAL),
    "SpatialDropout3D": Class("SpatialDropout3D", f"rate, {_FORMAT}", **_SPATIAL),
    "Flatten": Class("Flatten", _FORMAT, "core"),
    "Reshape": Class("Reshape", "target_shape", "core"),
    "Permute": Class("Permute", "dims", "core"),
    "RepeatVector": Class("RepeatVector", "n", "core"),
    "Masking": Class("Masking", "mask_value=0.0", "core"),
    "Lambda": Class(
        "LambdaOnCopies", "function, output_shape=None, mask=None, arguments=None", "core", unsaved="mask",
        adapt="lambda_", renamed=keras1.KINDS, write="lambda_", fixed={"unpacks_one": True},
    ),
    "Highway": _as_before("Highway"),
    "MaxoutDense": _as_before("MaxoutDense"),
    "Merge": _as_before("Merge"),
    "Conv1D": Class("Conv1D", conv(1, False), **CONV, aliases="Convolution1D", adapt="sequence"),
    "Conv2D": Class("Conv2D", conv(2, False), **CONV, aliases="Convolution2D"),
    "Conv3D": Class("Conv3D", conv(3, False), **CONV, aliases="Convolution3D"),
    "Conv2DTranspose": Class(
        "Conv2DTranspose", transposed(2), **CONV, aliases="Deconvolution2D Deconv2D Convolution2DTranspose"
    ),
    "Conv3DTranspose": Class("Conv3DTranspose", transposed(3, False), **CONV, aliases="Deconvolution3D Deconv3D"),
    "AtrousConvolution1D": Class("Conv1D", "*args, **kwargs", **_ATROUS, aliases="AtrousConv1D", makes="Conv1D"),
    "AtrousConvolution2D": Class("Conv2D", "*args, **kwargs", **_ATROUS, aliases="AtrousConv2D", makes="Conv2D"),
    "DepthwiseConv2D": Class(
        "DepthwiseConv2D", depthwise(2), **CONV, weight_names="depthwise_kernel bias",
        renamed={"filters": "", **OF_NO_KERNEL},
    ),
    "SeparableConv1D": Class(
        "SeparableConv1D", separable(1, "'channels_last'"), **CONV, aliases="SeparableConvolution1D",
        renamed=OF_NO_KERNEL,
    ),
    "SeparableConv2D": Class(
        "SeparableConv2D", separable(2, "None"), **CONV, aliases="SeparableConvolution2D", renamed=OF_NO_KERNEL
    ),
    "UpSampling1D": Class("UpSampling1D", "size=2", **CONV),
    "UpSampling2D": Class(
        "UpSampling2DFromCorners", f"size=(2, 2), {_FORMAT}, interpolation='nearest'", **CONV,
        adapt="known_interpolation",
    ),
    "UpSampling3D": Class("UpSampling3D", f"size=(2, 2, 2), {_FORMAT}", **CONV),
    "ZeroPadding1D": Class("ZeroPadding1D", "padding=1", **CONV, fixed=_LAST_ONLY),
    "ZeroPadding2D": Class("ZeroPadding2D", f"padding=(1, 1), {_FORMAT}", **CONV),
    "ZeroPadding3D": Class("ZeroPadding3D", f"padding=(1, 1, 1), {_FORMAT}", **CONV),
    "Cropping1D": Class("Cropping1D", "cropping=(1, 1)", **CONV),
    "Cropping2D": Class("Cropping2D", f"cropping=((0, 0), (0, 0)), {_FORMAT}", **CONV),
    "Cropping3D": Class("Cropping3D", f"cropping=((1, 1), (1, 1), (1, 1)), {_FORMAT}", **CONV),
    "MaxPooling1D": Class("MaxPooling1D", _pool(1), "pooling", aliases="MaxPool1D"),
    "MaxPooling2D": Class("MaxPooling2D", _pool(2), "pooling", aliases="MaxPool2D"),
    "MaxPooling3D": Class("MaxPooling3D", _pool(3), "pooling", aliases="MaxPool3D"),
    "AveragePooling1D": Class("AveragePooling1D", _pool(1), "pooling", aliases="AvgPool1D"),
    "AveragePooling2D": Class("AveragePooling2D", _pool(2), "pooling", aliases="AvgPool2D"),
    "AveragePooling3D": Class("AveragePooling3D", _pool(3), "pooling", aliases="AvgPool3D"),
    "GlobalMaxPooling1D": Class("GlobalMaxPooling1D", _LAST, "pooling", aliases="GlobalMaxPool1D"),
    "GlobalMaxPooling2D": Class("GlobalMaxPooling2D", _FORMAT, "pooling", aliases="GlobalMaxPool2D"),
    "GlobalMaxPooling3D": Class("GlobalMaxPooling3D", _FORMAT, "pooling", aliases="GlobalMaxPool3D"),
    "GlobalAveragePooling1D": Class("GlobalAveragePooling1D", _LAST, "pooling", aliases="GlobalAvgPool1D"),
    "GlobalAveragePooling2D": Class("GlobalAveragePooling2D", _FORMAT, "pooling", aliases="GlobalAvgPool2D"),
    "GlobalAveragePooling3D": Class("GlobalAveragePooling3D", _FORMAT, "pooling", aliases="GlobalAvgPool3D"),
    "LocallyConnected1D": Class("LocallyConnected1D", local(1), "local", unsaved="data_format"),
    "LocallyConnected2D": Class("LocallyConnected2D", local(2), "local"),
    "_WithConstants": Class("Layer", "num_constants=None"),
    "RNN": Class(
        "RNNWithConstants", f"cell, {SEQUENCES}, unroll=False", "recurrent", base="_WithConstants", adapt="sequence",
        write="recurrent",
    ),
    "SimpleRNN": Class(
        "SimpleRNN", f"units, activation='tanh', use_bias=True, {RNN}, {SEQUENCES}, unroll=False", "recurrent",
        adapt="sequence", renamed={"implementation": ""},
    ),
    "GRU": Class(
        "GRU", f"units, {GATED}, {RNN}, implementation=2, {SEQUENCES}, unroll=False, reset_after=False", "recurrent",
        adapt="sequence",
    ),
    "LSTM": Class(
        "LSTM", f"units, {GATED}, {LSTM}, implementation=2, {SEQUENCES}, unroll=False", "recurrent", adapt="sequence"
    ),
    "SimpleRNNCell": Class("SimpleRNNCell", f"units, activation='tanh', use_bias=True, {_CELL}", "recurrent"),
    "GRUCell": Class("GRUCell", f"units, {GATED}, {_CELL}, implementation=2, reset_after=False", "recurrent"),
    "LSTMCell": Class("LSTMCell", f"units, {GATED}, {_LSTM_CELL}, implementation=2", "recurrent"),
    "_Reversed": Class("Layer", "reverse_state_order=False"),
    "StackedRNNCells": Class(
        "StackedRNNCellsInOneList", "cells", "recurrent", base="_Reversed", unsaved="reverse_state_order"
    ),
    "CuDNNGRU": Class(
        "GRU", f"units, {_CUDNN}", "cudnn_recurrent", fixed={"reset_after": True}, adapt="sequence"
    ),
    "CuDNNLSTM": Class(
        "LSTM",
        f"units, {_CUDNN}".replace("bias_initializer='zeros'", "bias_initializer='zeros', unit_forget_bias=True"),
        "cudnn_recurrent",
        adapt="sequence",
    ),
    "ConvLSTM2D": Class("ConvLSTM2D", CONV_LSTM.format(s="(1, 1)"), "convolutional_recurrent", base="_Sequences"),
    "ConvLSTM2DCell": Class(
        "ConvLSTM2DCell", f"{_CONV_LSTM}{_LSTM_CELL}".format(s="(1, 1)"), "convolutional_recurrent"
    ),
    "_Sequences": Class("Layer", "return_state=False, unroll=False"),
    "Embedding": Class(
        "Embedding",
        "input_dim, output_dim, embeddings_initializer='uniform', embeddings_regularizer=None, "
        "activity_regularizer=None, embeddings_constraint=None, mask_zero=False, input_length=None",
        "embeddings",
        adapt="embedding", kept="input_length",
    ),
    "BatchNormalization": Class(
        "BatchNormalization",
        f"axis=-1, momentum=0.99, epsilon=0.001, {MOVING_NORMS}",
        "normalization",
        fixed={"unbiased_variance": "always", "batch_statistics": "frozen"},
    ),
    "LeakyReLU": Class(
        "LeakyReLUOfAnySlope", "alpha=0.3", "advanced_activations", renamed={"alpha": "negative_slope"}
    ),
    "ELU": Class("ELU", "alpha=1.0", "advanced_activations"),
    "ThresholdedReLU": Class("ThresholdedReLU", "theta=1.0", "advanced_activations"),
    "PReLU": Class(
        "PReLU",
        "alpha_initializer='zeros', alpha_regularizer=None, alpha_constraint=None, shared_axes=None",
        "advanced_activations",
    ),
    "ReLU": Class("ReLU", "max_value=None, negative_slope=0.0, threshold=0.0", "advanced_activations"),
    "Softmax": Class("Softmax", "axis=-1", "advanced_activations"),
    "GaussianNoise": Class("GaussianNoise", "stddev", "noise"),
    "GaussianDropout": Class("GaussianDropout", "rate", "noise"),
    "AlphaDropout": Class("AlphaDropout", "rate, noise_shape=None, seed=None", "noise", unsaved="noise_shape seed"),
    "Add": Class("AddOfAllMasks", "", "merge"),
    "Subtract": Class("SubtractOfAllMasks", "", "merge"),
    "Multiply": Class("MultiplyOfAllMasks", "", "merge"),
    "Average": Class("AverageOfAllMasks", "", "merge"),
    "Maximum": Class("MaximumOfAllMasks", "", "merge"),
    "Minimum": Class("MinimumOfAllMasks", "", "merge"),
    "Concatenate": Class("ConcatenateOfAllMasks", "axis=-1", "merge"),
    "Dot": Class("Dot", "axes, normalize=False", "merge"),
    "add": Class("add", "inputs", "merge", makes="Add"),
    "subtract": Class("subtract", "inputs", "merge", makes="Subtract"),
    "multiply": Class("multiply", "inputs", "merge", makes="Multiply"),
    "average": Class("average", "inputs", "merge", makes="Average"),
    "maximum": Class("maximum", "inputs", "merge", makes="Maximum"),
    "minimum": Class("minimum", "inputs", "merge", makes="Minimum"),
    "concatenate": Class("concatenate", "inputs, axis=-1", "merge", makes="Concatenate"),
    "dot": Class("dot", "inputs, axes, normalize=False", "merge", makes="Dot"),
    "TimeDistributed": Class("TimeDistributedAtOnce", "layer", "wrappers", fixed={"by_known_batch": True}),
    "Bidirectional": Class(
        "BidirectionalFromEitherEnd", "layer, merge_mode='concat', weights=None", "wrappers", kept="layer",
        unsaved="weights", fixed={"zero_output_for_mask": False}, base="_WithConstants", write="recurrent",
    ),
    "Wrapper": Class("Wrapper", "*args, **kwargs", "wrappers"),
    "Layer": Class("Layer", "", "core"),
    "InputSpec": Class(
        "InputSpec", "dtype=None, shape=None, ndim=None, max_ndim=None, min_ndim=None, axes=None", "core",
        closed=True,
    ),
    "Input": Class(
        "Input", "shape=None, batch_shape=None, name=None, dtype=None, sparse=False, tensor=None", "core", closed=True
    ),
    "InputLayer": Class(
        "InputLayer",
        "input_shape=None, batch_size=None, batch_input_shape=None, dtype=None, input_tensor=None, sparse=False, "
        "name=None",
        "core",
        renamed={"input_shape": "shape", "batch_input_shape": "batch_shape"}, closed=True,
    ),
}  # fmt: skip

RENAMED = {"implementation": "", "input_dtype": "", "clipnorm": "global_clipnorm"}


def _scaled(scale: float, mode: str, distribution: str) -> Class:
    fixed = {"scale": scale, "mode": mode, "distribution": distribution}
    return Class("VarianceScalingOfVectors", "seed=None", fixed=fixed, makes="VarianceScaling")


INITIALIZERS = {
    "Zeros": Class("Zeros", "*args, **kwargs", aliases="zeros zero"),
    "Ones": Class("Ones", "*args, **kwargs", aliases="ones one"),
    "Constant": Class("Constant", "value=0", aliases="constant"),
    "RandomNormal": Class("RandomNormal", "mean=0.0, stddev=0.05, seed=None", aliases="random_normal normal"),
    "RandomUniform": Class("RandomUniform", "minval=-0.05, maxval=0.05, seed=None", aliases="random_uniform uniform"),
    "TruncatedNormal": Class("TruncatedNormal", "mean=0.0, stddev=0.05, seed=None", aliases="truncated_normal"),
    "VarianceScaling": Class("VarianceScalingOfVectors", "scale=1.0, mode='fan_in', distribution='normal', seed=None"),
    "Orthogonal": Class("Orthogonal", "gain=1.0, seed=None", aliases="orthogonal"),
    "Identity": Class("Identity", "gain=1.0", aliases="identity", kept="gain"),
    "Initializer": Class("Initializer", "*args, **kwargs"),
    "lecun_uniform": _scaled(1.0, "fan_in", "uniform"),
    "lecun_normal": _scaled(1.0, "fan_in", "normal"),
    "glorot_uniform": _scaled(1.0, "fan_avg", "uniform"),
    "glorot_normal": _scaled(1.0, "fan_avg", "normal"),
    "he_uniform": _scaled(2.0, "fan_in", "uniform"),
    "he_normal": _scaled(2.0, "fan_in", "normal"),
}

REGULARIZERS = {
    "L1L2": Class("L1L2", "l1=0.0, l2=0.0"),
    "l1": Class("L1L2", "l=0.01", renamed={"l": "l1"}, makes="L1L2"),
    "l2": Class("L1L2", "l=0.01", renamed={"l": "l2"}, makes="L1L2"),
    "l1_l2": Class("L1L2", "l1=0.01, l2=0.01", makes="L1L2"),
    "Regularizer": Class("Regularizer", "*args, **kwargs"),
}

CONSTRAINTS = {
    "MaxNorm": Class("MaxNorm", "max_value=2, axis=0", aliases="max_norm maxnorm"),
    "MinMaxNorm": Class("MinMaxNorm", "min_value=0.0, max_value=1.0, rate=1.0, axis=0", aliases="min_max_norm"),
    "NonNeg": Class("NonNeg", "*args, **kwargs", aliases="non_neg nonneg"),
    "UnitNorm": Class("UnitNorm", "axis=0", aliases="unit_norm unitnorm"),
    "Constraint": Class("Constraint", "*args, **kwargs"),
}

# Modern classes that were another one with some arguments.
ONCE = {
    "GlorotUniform": ("VarianceScaling", {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform"}),
    "GlorotNormal": ("VarianceScaling", {"scale": 1.0, "mode": "fan_avg", "distribution": "normal"}),
    "LecunUniform": ("VarianceScaling", {"scale": 1.0, "mode": "fan_in", "distribution": "uniform"}),
    "LecunNormal": ("VarianceScaling", {"scale": 1.0, "mode": "fan_in", "distribution": "normal"}),
    "HeUniform": ("VarianceScaling", {"scale": 2.0, "mode": "fan_in", "distribution": "uniform"}),
    "HeNormal": ("VarianceScaling", {"scale": 2.0, "mode": "fan_in", "distribution": "normal"}),
    "L1": ("L1L2", {"l1": 0.0, "l2": 0.0}),
    "L2": ("L1L2", {"l1": 0.0, "l2": 0.0}),
}
SINCE = ("input_axes", "output_axes")  # arguments that this generation's objects did not have


def _object(config: Any) -> Any:
    """An object's modern config in this generation's words."""
    if not isinstance(config, dict) or "class_name" not in config:
        return config
    if config["class_name"] in ("function", "class"):
        return config["config"]
    name, fixed = ONCE.get(config["class_name"], (config["class_name"], {}))
    own = {**fixed, **{key: value for key, value in (config["config"] or {}).items() if key not in SINCE}}
    if own.get("distribution") == "truncated_normal":
        own["distribution"] = "normal"
    return {"class_name": name, "config": own}


def _distribution(value: str) -> str:
    if value not in ("normal", "uniform"):
        raise ValueError(f'VarianceScaling of Keras 2 draws from "normal" or "uniform"; got {value!r}.')
    return value


def _old_distribution(value: str) -> str:
    return "normal" if value == "truncated_normal" else value


VALUES = {
    **{word: Value(same, _object) for word in ("activation", "initializer", "regularizer", "constraint")},
    "distribution": Value(_distribution, _old_distribution),
}

_STEP: dict[str, Any] = {
    "base": "_Optimizer", "kept": "learning_rate decay", "adapt": "decaying", "write": "drop_missing",
}  # fmt: skip
_BETAS = "beta_1=0.9, beta_2=0.999"

OPTIMIZERS = {
    "_Optimizer": Class("Optimizer", "epsilon=1e-07, decay=0.0, clipnorm=None, clipvalue=None"),
    "_Plain": Class("Optimizer", "decay=0.0, clipnorm=None, clipvalue=None"),
    "_Scheduled": Class("Optimizer", "epsilon=1e-07, schedule_decay=0.004, clipnorm=None, clipvalue=None"),
    "Optimizer": Class("Optimizer", "**kwargs"),
    "SGD": Class(
        "SGD", "learning_rate=0.01, momentum=0.0, nesterov=False", aliases="sgd", **{**_STEP, "base": "_Plain"}
    ),
    "RMSprop": Class("RMSpropByRoot", "learning_rate=0.001, rho=0.9", aliases="rmsprop", **_STEP),
    "Adagrad": Class(
        "AdagradByRoot", "learning_rate=0.01", aliases="adagrad", **_STEP, fixed={"initial_accumulator_value": 0.0}
    ),
    "Adadelta": Class("Adadelta", "learning_rate=1.0, rho=0.95", aliases="adadelta", **_STEP),
    "Adam": Class("Adam", f"learning_rate=0.001, {_BETAS}, amsgrad=False", aliases="adam", **_STEP),
    "Adamax": Class("Adamax", f"learning_rate=0.002, {_BETAS}", aliases="adamax", **_STEP),
    "Nadam": Class(
        "NadamBySchedule", f"learning_rate=0.002, {_BETAS}", aliases="nadam", **{**_STEP, "base": "_Scheduled"}
    ),
}  # fmt: skip

_QUEUE = "max_queue_size=10, workers=1, use_multiprocessing=False"
_STEPS = "initial_epoch=0, steps_per_epoch=None, validation_steps=None, validation_freq=1"
METHODS = {
    "compile": (
        "optimizer, loss=None, metrics=None, loss_weights=None, sample_weight_mode=None, weighted_metrics=None, "
        "target_tensors=None, mode=None"
    ),
    "fit": (
        "x=None, y=None, batch_size=None, epochs=1, verbose=None, callbacks=None, validation_split=0.0, "
        f"validation_data=None, shuffle=True, class_weight=None, sample_weight=None, {_STEPS}, {_QUEUE}"
    ),
    "evaluate": (
        f"x=None, y=None, batch_size=None, verbose=None, sample_weight=None, steps=None, callbacks=None, {_QUEUE}"
    ),
    "predict": f"x, batch_size=None, verbose=0, steps=None, callbacks=None, {_QUEUE}",
    "fit_generator": (
        "generator, steps_per_epoch=None, epochs=1, verbose=None, callbacks=None, validation_data=None, "
        f"validation_steps=None, validation_freq=1, class_weight=None, {_QUEUE}, shuffle=True, initial_epoch=0"
    ),
    "train_on_batch": "x, y, sample_weight=None, class_weight=None, reset_metrics=True",
    "test_on_batch": "x, y, sample_weight=None, reset_metrics=True",
    "evaluate_generator": f"generator, steps=None, callbacks=None, {_QUEUE}, verbose=0",
    "predict_generator": f"generator, steps=None, callbacks=None, {_QUEUE}, verbose=0",
}
METHOD_WORDS = {
    **keras1.METHOD_WORDS,
    **dict.fromkeys(("max_queue_size", "workers", "use_multiprocessing", "target_tensors"), ""),
}

KERAS2 = Generation(
    name="keras2",
    version="2.3.1",
    objects={
        "layers": LAYERS, "initializers": INITIALIZERS, "regularizers": REGULARIZERS, "constraints": CONSTRAINTS,
        "optimizers": OPTIMIZERS, **preparing.KERAS2,
    },
    renamed=RENAMED,
    joined={},
    values=VALUES,
    modules={"objectives": "losses", **modules.BACKENDS},
    holds=modules.KERAS2,
    methods=METHODS,
    method_words=METHOD_WORDS,
    functions={**keras1.FUNCTIONS, "activations": {"softmax": "softmax_by_rows"}},
    older=keras1.KERAS1,
    seeded_by_numpy=True,
    calls_models_freely=True,
    cuts_to_first=True,
    extras={"convolutional": "pooling"},
    unread={"initializers": "dtype"},
)  # fmt: skip
