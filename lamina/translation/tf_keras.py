"""tf_keras 2.21, the last of the Keras 2 line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from . import keras1, keras2, modules, preparing
from .keras2 import CONV, CONV_LSTM, GATED, LSTM, NORMS, RNN, SEQUENCES, conv, depthwise, local, separable, transposed
from .table import Class, Value, same

_OWN = keras2.LAYERS


def _signed(name: str, change: tuple[str, str], **others: Any) -> Class:
    """Keras 2's entry with another signature."""
    before = _OWN[name].signature
    after = before.replace(*change)
    assert after != before, name
    return replace(_OWN[name], signature=after, **others)


_TIME = ("unroll=False", "unroll=False, time_major=False")
_CONV_LSTM = CONV_LSTM.replace("return_sequences=False", "return_sequences=False, return_state=False")
_KERNEL = "kernel_initializer='glorot_uniform', kernel_regularizer=None, kernel_constraint=None"
_UNGROUPED: dict[str, Any] = {"base": "_Grouped", "renamed": {"groups": ""}}  # a single group, in configs only
_DEPTHWISE = {**_UNGROUPED, "renamed": {"groups": "", "filters": "", **keras2.OF_NO_KERNEL}}
_STRICT = "refuse_dilated_strides"
_SEPARABLE: dict[str, Any] = {"base": "_Separable", "renamed": {"groups": "", **keras2.OF_NO_KERNEL}, "adapt": _STRICT}
_ZEROING: dict[str, Any] = {"part": "recurrent", "base": "_Zeroing", "write": "recurrent", "adapt": "sequence"}
_CONV_RECURRENT: dict[str, Any] = {"part": "convolutional_recurrent", "base": "_Unrolled", "write": "recurrent"}
_KEEP = ("data_format=None", "data_format=None, keepdims=False")
_KEEP1 = ("data_format='channels_last'", "data_format='channels_last', keepdims=False")

_PREPARING = "preprocessing"
_TO_INT = "output_mode='int', sparse=False"


def _encoding(name: str, own: str, mode: str, **others: Any) -> Class:
    """A layer that gives indices, or vectors made of them."""
    return Class(name, f"{own}, {mode}", _PREPARING, **{"kept": "sparse", **others})


_DRAWN = "interpolation='bilinear', seed=None"
_FILLED = f"fill_mode='reflect', {_DRAWN}, fill_value=0.0"


def _random(modern: str, own: str, **others: Any) -> Class:
    """A layer that changes pictures at random."""
    return Class(modern, own, _PREPARING, base="_Random", **others)


LAYERS = {
    **{name: entry for name, entry in _OWN.items() if name not in ("Highway", "MaxoutDense", "CuDNNGRU", "CuDNNLSTM")},
    "Conv1D": Class("Conv1D", conv(1, True), **CONV, aliases="Convolution1D"),
    "Conv2D": Class("Conv2D", conv(2, True), **CONV, aliases="Convolution2D"),
    "Conv3D": Class("Conv3D", conv(3, True), **CONV, aliases="Convolution3D"),
    "Conv1DTranspose": Class("Conv1DTranspose", transposed(1), **CONV, **_UNGROUPED, aliases="Convolution1DTranspose"),
    "Conv2DTranspose": Class("Conv2DTranspose", transposed(2), **CONV, **_UNGROUPED, aliases="Convolution2DTranspose"),
    "Conv3DTranspose": Class(
        "Conv3DTranspose", transposed(3), **CONV, **_UNGROUPED, aliases="Convolution3DTranspose",
        unsaved="dilation_rate",
    ),
    "DepthwiseConv1D": Class(
        "DepthwiseConv1D", depthwise(1), **CONV, weight_names="depthwise_kernel bias", **_DEPTHWISE, adapt=_STRICT
    ),
    "DepthwiseConv2D": replace(_OWN["DepthwiseConv2D"], **_DEPTHWISE, adapt=_STRICT),
    "SeparableConv1D": Class(
        "CausalSeparableConv1D", separable(1, "None"), **CONV, **_SEPARABLE, aliases="SeparableConvolution1D"
    ),
    "SeparableConv2D": replace(_OWN["SeparableConv2D"], **_SEPARABLE),
    "UpSampling2D": replace(_OWN["UpSampling2D"], modern="UpSampling2D", adapt=""),
    "Dropout": replace(_OWN["Dropout"], adapt=""),
    "TimeDistributed": replace(_OWN["TimeDistributed"], fixed={}),
    "Lambda": replace(_OWN["Lambda"], fixed={}, unsaved="", write="lambda_with_modules"),
    "LocallyConnected1D": Class("LocallyConnected1D", f"{local(1)}, implementation=1", "local", weights="local"),
    "LocallyConnected2D": Class("LocallyConnected2D", f"{local(2)}, implementation=1", "local", weights="local"),
    "GlobalMaxPooling1D": _signed("GlobalMaxPooling1D", _KEEP1),
    "GlobalMaxPooling2D": _signed("GlobalMaxPooling2D", _KEEP),
    "GlobalMaxPooling3D": _signed("GlobalMaxPooling3D", _KEEP),
    "GlobalAveragePooling1D": replace(_OWN["GlobalAveragePooling1D"], base="GlobalAveragePooling2D"),
    "GlobalAveragePooling2D": _signed("GlobalAveragePooling2D", _KEEP),
    "GlobalAveragePooling3D": _signed("GlobalAveragePooling3D", _KEEP),
    "RNN": _signed("RNN", _TIME, base="_TimeMajorWithConstants", write="recurrent"),
    "GRU": Class(
        "GRU", f"units, {GATED}, {RNN}, {SEQUENCES}, unroll=False, time_major=False, reset_after=True", **_ZEROING
    ),
    "LSTM": Class("LSTM", f"units, {GATED}, {LSTM}, {SEQUENCES}, time_major=False, unroll=False", **_ZEROING),
    "GRUCell": _signed("GRUCell", ("implementation=2, reset_after=False", "reset_after=True"), base="_Implemented"),
    "LSTMCell": _signed("LSTMCell", (", implementation=2", ""), base="_Implemented"),
    "StackedRNNCells": Class("StackedRNNCells", "cells", "recurrent"),  # its states are a list, one a cell
    "_Grouped": Class("Layer", "groups=1"),
    "_Separable": Class("Layer", f"groups=1, {_KERNEL}"),
    "_Implemented": Class("Layer", "implementation=2"),
    "_Zeroing": Class("Layer", "implementation=2, zero_output_for_mask=False"),
    "_Unrolled": Class("Layer", "unroll=False, time_major=False, zero_output_for_mask=False"),
    "_TimeMajor": Class("Layer", "time_major=False, zero_output_for_mask=False"),
    "_TimeMajorWithConstants": Class("Layer", "time_major=False, zero_output_for_mask=False, num_constants=None"),
    "SimpleRNN": replace(_OWN["SimpleRNN"], base="_TimeMajor", write="recurrent"),
    "AbstractRNNCell": Class("Layer", "trainable=True, name=None, dtype=None, dynamic=False", "recurrent"),
    "ConvLSTM1D": Class("ConvLSTM1D", _CONV_LSTM.format(s="1"), **_CONV_RECURRENT),
    "ConvLSTM2D": Class("ConvLSTM2D", _CONV_LSTM.format(s="(1, 1)"), **_CONV_RECURRENT),
    "ConvLSTM3D": Class("ConvLSTM3D", _CONV_LSTM.format(s="(1, 1, 1)"), **_CONV_RECURRENT),
    "Embedding": _signed("Embedding", ("input_length=None", "input_length=None, sparse=False"), unsaved="sparse"),
    "BatchNormalization": _signed(
        "BatchNormalization", ("gamma_constraint=None", "gamma_constraint=None, synchronized=False"),
        fixed={"unbiased_variance": "spatial"}, adapt="several_axes", kept="axis", unsaved="synchronized", write="axes",
        base="_Renormalizing",
    ),
    "_Renormalizing": Class("BatchNormalization", "renorm=False, renorm_clipping=None, renorm_momentum=0.99"),
    "LayerNormalization": Class(
        "LayerNormalization", f"axis=-1, epsilon=0.001, {NORMS}", "normalization", kept="axis", write="axes",
        weights="axes",
    ),
    "GroupNormalization": Class("GroupNormalization", f"groups=32, axis=-1, epsilon=0.001, {NORMS}", "normalization"),
    "UnitNormalization": Class("UnitNormalization", "axis=-1", "normalization"),
    "SpectralNormalization": Class("SpectralNormalization", "layer, power_iterations=1", "wrappers"),
    "Wrapper": Class("Wrapper", "layer", "wrappers"),
    "Bidirectional": _signed(
        "Bidirectional", ("weights=None", "weights=None, backward_layer=None"), fixed={}, kept="layer backward_layer",
        write="drop_missing",
    ),
    "Softmax": _signed("Softmax", ("axis=-1", "axis=-1, robust_masking=False"), unsaved="robust_masking"),
    "GaussianNoise": Class("GaussianNoise", "stddev, seed=None", "noise"),
    "GaussianDropout": Class("GaussianDropout", "rate, seed=None", "noise"),
    "AlphaDropout": Class("AlphaDropout", "rate, noise_shape=None, seed=None", "noise", unsaved="noise_shape"),
    "Identity": Class("Identity", "trainable=True, name=None, dtype=None, dynamic=False", "core", unsaved="dynamic"),
    "EinsumDense": Class(
        "EinsumDenseByShape",
        "equation, output_shape, activation=None, bias_axes=None, kernel_initializer='glorot_uniform', "
        "bias_initializer='zeros', kernel_regularizer=None, bias_regularizer=None, activity_regularizer=None, "
        "kernel_constraint=None, bias_constraint=None", "core",
    ),
    "_Attention": Class("Attention", "dropout=0.0, causal=False"),
    "Attention": Class(
        "CausalAttention", "use_scale=False, score_mode='dot'", "attention", base="_Attention", unsaved="causal"
    ),
    "AdditiveAttention": Class(
        "CausalAdditiveAttention", "use_scale=True", "attention", base="_Attention", unsaved="causal"
    ),
    "_Shaped": Class("Layer", "query_shape=None, key_shape=None, value_shape=None"),
    "MultiHeadAttention": Class(
        "MultiHeadAttentionByShape",
        "num_heads, key_dim, value_dim=None, dropout=0.0, use_bias=True, output_shape=None, attention_axes=None, "
        "kernel_initializer='glorot_uniform', bias_initializer='zeros', kernel_regularizer=None, "
        "bias_regularizer=None, activity_regularizer=None, kernel_constraint=None, bias_constraint=None, "
        "softmax_robust_masking=False", "attention", base="_Shaped", kept="output_shape",
    ),
    "Rescaling": Class("Rescaling", "scale, offset=0.0", _PREPARING),
    "Normalization": Class("CountingNormalization", "axis=-1, mean=None, variance=None, invert=False", _PREPARING),
    "Discretization": _encoding(
        "Discretization", "bin_boundaries=None, num_bins=None, epsilon=0.01", _TO_INT,
        renamed={"bins": "bin_boundaries"}, adapt="bins", write="lookup",
    ),
    "CategoryEncoding": _encoding(
        "CategoryEncoding", "num_tokens=None", "output_mode='multi_hot', sparse=False",
        renamed={"max_tokens": "num_tokens"},
    ),
    "Hashing": _encoding("Hashing", "num_bins, mask_value=None, salt=None", _TO_INT),
    "HashedCrossing": _encoding("HashedCrossing", "num_bins", _TO_INT),
    "StringLookup": _encoding(
        "StringLookup",
        "max_tokens=None, num_oov_indices=1, mask_token=None, oov_token='[UNK]', vocabulary=None, idf_weights=None, "
        "encoding='utf-8', invert=False", f"{_TO_INT}, pad_to_max_tokens=False", base="_Vocabulary", adapt="of_terms",
        write="lookup",
    ),
    "IntegerLookup": _encoding(
        "IntegerLookup",
        "max_tokens=None, num_oov_indices=1, mask_token=None, oov_token=-1, vocabulary=None, vocabulary_dtype='int64', "
        "idf_weights=None, invert=False", f"{_TO_INT}, pad_to_max_tokens=False", base="_Vocabulary", adapt="of_terms",
        write="lookup",
        renamed={"max_values": "max_tokens", "mask_value": "mask_token", "oov_value": "oov_token"},
    ),
    "TextVectorization": _encoding(
        "TextVectorization",
        "max_tokens=None, standardize='lower_and_strip_punctuation', split='whitespace', ngrams=None",
        "output_mode='int', output_sequence_length=None, pad_to_max_tokens=False, vocabulary=None, idf_weights=None, "
        "sparse=False, ragged=False, encoding='utf-8'", base="_Vocabulary", adapt="of_terms", write="of_texts",
    ),
    "_Vocabulary": Class("Layer", "vocabulary_size=None"),
    "_Random": Class("Layer", "rng_type='stateful'"),
    "CenterCrop": Class("CenterCrop", "height, width", _PREPARING),
    "Resizing": Class("Resizing", "height, width, interpolation='bilinear', crop_to_aspect_ratio=False", _PREPARING),
    "RandomBrightness": _random("RandomBrightness", "factor, value_range=(0, 255), seed=None"),
    "RandomContrast": _random("RandomContrast", "factor, seed=None", kept="factor", adapt="both_ways"),
    "RandomCrop": _random("RandomCropOrMiddle", "height, width, seed=None"),
    "RandomFlip": _random("RandomFlip", "mode='horizontal_and_vertical', seed=None"),
    "RandomHeight": _random("RandomHeight", f"factor, {_DRAWN}"),
    "RandomRotation": _random("RandomRotation", f"factor, {_FILLED}", kept="factor"),
    "RandomTranslation": _random("RandomTranslation", f"height_factor, width_factor, {_FILLED}"),
    "RandomWidth": _random("RandomWidth", f"factor, {_DRAWN}"),
    "RandomZoom": _random("RandomZoom", f"height_factor, width_factor=None, {_FILLED}"),
    "Layer": Class("Layer", "trainable=True, name=None, dtype=None, dynamic=False", "core"),
    "InputSpec": Class(
        "InputSpec", "dtype=None, shape=None, ndim=None, max_ndim=None, min_ndim=None, axes=None, "
        "allow_last_axis_squeeze=False, name=None, optional=False", "core", closed=True,
    ),
    "Input": Class(
        "Input",
        "shape=None, batch_size=None, name=None, dtype=None, sparse=None, tensor=None, ragged=None, type_spec=None, "
        "optional=False", "core", renamed={"sparse": "sparse"},
    ),
    "InputLayer": Class(
        "InputLayer",
        "input_shape=None, batch_size=None, dtype=None, input_tensor=None, sparse=None, name=None, ragged=None, "
        "type_spec=None, optional=False", "core",
        renamed={"input_shape": "shape", "batch_input_shape": "batch_shape", "sparse": "sparse"},
    ),
}  # fmt: skip

INITIALIZERS = {"Identity": keras2.INITIALIZERS["Identity"]}
CONSTRAINTS = {"RadialConstraint": Class("RadialConstraint", "*args, **kwargs", aliases="radial_constraint")}
REGULARIZERS = {"L1L2": keras2.REGULARIZERS["L1L2"], "l1_l2": keras2.REGULARIZERS["l1_l2"]}

RENAMED = {
    **keras2.RENAMED,
    **dict.fromkeys(("time_major", "sparse", "dynamic", "type_spec", "robust_masking", "softmax_robust_masking"), ""),
    "rng_type": "",
    **dict.fromkeys(("jit_compile", "is_legacy_optimizer"), ""),  # how it runs, not what it computes
}


def _object(config: Any) -> Any:
    """An object's modern config without what it did not have."""
    if not isinstance(config, dict) or "class_name" not in config:
        return config
    if config["class_name"] == "function":
        return config["config"]
    own = {key: value for key, value in (config["config"] or {}).items() if key not in keras2.SINCE}
    return {**config, "config": own}


VALUES = {word: Value(same, _object) for word in ("activation", "initializer", "regularizer", "constraint")}

_LEGACY: dict[str, Any] = {
    "base": "_Legacy", "renamed": {"clipnorm": "clipnorm"}, "kept": "decay jit_compile", "adapt": "decaying",
    "write": "optimizer",
}  # fmt: skip
_BETAS = "beta_1=0.9, beta_2=0.999, epsilon=1e-07"
_FTRL = (
    "learning_rate=0.001, learning_rate_power=-0.5, initial_accumulator_value=0.1, l1_regularization_strength=0.0, "
    "l2_regularization_strength=0.0, l2_shrinkage_regularization_strength=0.0, beta=0.0"
)
_ADAFACTOR = (
    "learning_rate=0.001, beta_2_decay=-0.8, epsilon_1=1e-30, epsilon_2=0.001, clip_threshold=1.0, relative_step=True"
)


def _optimizer(name: str, own: str, overwrite: int | None = None, decayed: bool = False, **others: Any) -> Class:
    common = (
        "clipnorm=None, clipvalue=None, global_clipnorm=None, use_ema=False, ema_momentum=0.99, "
        f"ema_overwrite_frequency={overwrite}, jit_compile=True, name={name!r}"
    )
    common = common if decayed else f"weight_decay=None, {common}"
    return Class(name, f"{own}, {common}", aliases=name.lower(), **{**_LEGACY, **others})


OPTIMIZERS = {
    "_Legacy": Class("Optimizer", "lr=None, decay=0.0, is_legacy_optimizer=False"),  # words of TensorFlow 2.0 to 2.10
    "_LegacyNadam": Class("Optimizer", "lr=None, decay=None, is_legacy_optimizer=False"),
    "SGD": _optimizer("SGD", "learning_rate=0.01, momentum=0.0, nesterov=False"),
    "RMSprop": _optimizer(
        "RMSprop", "learning_rate=0.001, rho=0.9, momentum=0.0, epsilon=1e-07, centered=False", overwrite=100
    ),
    "Adagrad": _optimizer("Adagrad", "learning_rate=0.001, initial_accumulator_value=0.1, epsilon=1e-07"),
    "Adadelta": _optimizer("Adadelta", "learning_rate=0.001, rho=0.95, epsilon=1e-07"),
    "Adam": _optimizer("Adam", f"learning_rate=0.001, {_BETAS}, adaptive_epsilon=False, amsgrad=False"),
    "AdamW": _optimizer("AdamW", f"learning_rate=0.001, weight_decay=0.004, {_BETAS}, amsgrad=False", decayed=True),
    "Adamax": _optimizer("Adamax", f"learning_rate=0.001, {_BETAS}"),
    "Nadam": replace(
        _optimizer("Nadam", f"learning_rate=0.001, {_BETAS}", base="_LegacyNadam", adapt="nadam"),
        modern="NadamBySchedule",
    ),
    "Ftrl": _optimizer("Ftrl", _FTRL),
    "Lion": _optimizer("Lion", "learning_rate=0.0001, beta_1=0.9, beta_2=0.99"),
    "Adafactor": _optimizer("Adafactor", _ADAFACTOR),
}  # fmt: skip


def _legacy(name: str, own: str, **others: Any) -> Class:
    return Class(name, f"{own}, name={name!r}", aliases=name.lower(), **{**_LEGACY, "base": "_Clipped", **others})


# Those of TensorFlow 2.0 to 2.10, with their arithmetic.
LEGACY_OPTIMIZERS = {
    "_Clipped": Class("Optimizer", "clipnorm=None, clipvalue=None, global_clipnorm=None, lr=None, decay=0.0"),
    "SGD": _legacy("SGD", "learning_rate=0.01, momentum=0.0, nesterov=False"),
    "RMSprop": replace(
        _legacy("RMSprop", "learning_rate=0.001, rho=0.9, momentum=0.0, epsilon=1e-07, centered=False"),
        modern="RMSpropByRoot",
    ),
    "Adagrad": replace(
        _legacy("Adagrad", "learning_rate=0.001, initial_accumulator_value=0.1, epsilon=1e-07"), modern="AdagradByRoot"
    ),
    "Adadelta": _legacy("Adadelta", "learning_rate=0.001, rho=0.95, epsilon=1e-07"),
    "Adam": _legacy("Adam", f"learning_rate=0.001, {_BETAS}, amsgrad=False"),
    "Adamax": _legacy("Adamax", f"learning_rate=0.001, {_BETAS}"),
    "Nadam": replace(_legacy("Nadam", f"learning_rate=0.001, {_BETAS}", adapt="nadam"), modern="NadamBySchedule"),
    "Ftrl": Class(
        "Ftrl",
        "learning_rate=0.001, learning_rate_power=-0.5, initial_accumulator_value=0.1, l1_regularization_strength=0.0, "
        "l2_regularization_strength=0.0, name='Ftrl', l2_shrinkage_regularization_strength=0.0, beta=0.0",
        **{**_LEGACY, "base": "_Clipped"},
    ),
}  # fmt: skip
_OPTIMIZER_MODULES = [f".{name.lower()}" for name in LEGACY_OPTIMIZERS if name[0] != "_"]

METHODS = {
    **keras2.METHODS,
    "compile": (
        "optimizer='rmsprop', loss=None, metrics=None, loss_weights=None, weighted_metrics=None, run_eagerly=None, "
        "steps_per_execution=None, jit_compile=None"
    ),
    "fit": keras2.METHODS["fit"].replace("validation_freq", "validation_batch_size=None, validation_freq"),
    "train_on_batch": "x, y=None, sample_weight=None, class_weight=None, reset_metrics=True, return_dict=False",
    "test_on_batch": "x, y=None, sample_weight=None, reset_metrics=True, return_dict=False",
    "predict": keras2.METHODS["predict"].replace("verbose=0", "verbose=None"),
}

TF_KERAS = replace(
    keras2.KERAS2,
    seeded_by_numpy=False,
    calls_models_freely=False,
    name="tf_keras",
    version="2.21",
    methods=METHODS,
    objects={
        "layers": LAYERS,
        "initializers": INITIALIZERS,
        "regularizers": REGULARIZERS,
        "constraints": CONSTRAINTS,
        "optimizers": OPTIMIZERS,
        **preparing.TF_KERAS,
        "optimizers.legacy": LEGACY_OPTIMIZERS,
    },
    older=None,
    functions=keras1.FUNCTIONS | {"optimizers.legacy": {"OptimizerV2": "Optimizer"}},
    holds=modules.TF_KERAS,
    modules={
        **keras2.KERAS2.modules,
        "optimizers.experimental": "optimizers",
        "layers.experimental.preprocessing": "layers.preprocessing",
        "backend_config": "backend",
        "optimizer_v2.learning_rate_schedule": "optimizers.schedules",
        **{f"optimizer_v2{part}": "optimizers.legacy" for part in ("", ".optimizer_v2", *_OPTIMIZER_MODULES)},
    },
    writes_modules=True,
    shares_modern=True,
    masks_may_end=True,
    renamed=RENAMED,
    values=VALUES,
    first_name="snake",
    sums_activity=False,
)
