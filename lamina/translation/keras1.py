"""Keras 1.2.2."""

from __future__ import annotations

from typing import Any

from . import modules, preparing
from .table import Class, Generation, Value, same

_FORMATS = {"th": "channels_first", "tf": "channels_last", "default": None}
_UNITS = "init='glorot_uniform', activation=None, weights=None"
_PENALTIES = "W_regularizer=None, b_regularizer=None, activity_regularizer=None, W_constraint=None, b_constraint=None"
_DENSE = f"{_UNITS}, {_PENALTIES}, bias=True, input_dim=None"
_MAXOUT = f"output_dim, nb_feature=4, init='glorot_uniform', weights=None, {_PENALTIES}, bias=True, input_dim=None"
_BIAS = f"{_PENALTIES}, bias=True"
_CONV1 = f"nb_filter, filter_length, {_UNITS}, border_mode='valid', subsample_length=1"
_CONV2 = f"nb_filter, nb_row, nb_col, {_UNITS}, border_mode='valid', subsample=(1, 1)"
_CONV3 = f"nb_filter, kernel_dim1, kernel_dim2, kernel_dim3, {_UNITS}, border_mode='valid', subsample=(1, 1, 1)"
_ORDER = "dim_ordering='default'"
_POOL1 = "pool_length=2, stride=None, border_mode='valid'"
_POOL2 = f"pool_size=(2, 2), strides=None, border_mode='valid', {_ORDER}"
_POOL3 = f"pool_size=(2, 2, 2), strides=None, border_mode='valid', {_ORDER}"
_DROPOUTS = "W_regularizer=None, U_regularizer=None, b_regularizer=None, dropout_W=0.0, dropout_U=0.0"
_RNN = "init='glorot_uniform', inner_init='orthogonal'"
_GATED = "activation='tanh', inner_activation='hard_sigmoid'"
_RECURRENT = (
    "weights=None, return_sequences=False, go_backwards=False, stateful=False, unroll=False, consume_less='cpu', "
    "input_dim=None, input_length=None"
)

_LAST = {"data_format": "channels_last"}  # layers of sequences know no other
_CONV: dict[str, Any] = {
    "part": "convolutional", "kept": "border_mode input_dim input_length", "unsaved": "weights", "adapt": "convolution",
}  # fmt: skip
_POOL: dict[str, Any] = {"part": "pooling", "kept": "border_mode", "adapt": "pooling"}
_PAD: dict[str, Any] = {"part": "convolutional", "kept": "padding", "unsaved": "dim_ordering", "adapt": "zero_padding"}
_CROP: dict[str, Any] = {"part": "convolutional", "kept": "cropping", "unsaved": "dim_ordering"}
_LOCAL: dict[str, Any] = {
    "part": "local", "kept": "input_dim input_length", "unsaved": "weights", "weight_names": "W b", "adapt": "local",
}  # fmt: skip
_TYPED = ("function", "output_shape", "mode", "output_mask", "mask")
KINDS = {  # how configs say what kind of function stands in them
    **{f"{name}_type": "" for name in _TYPED},
    **dict.fromkeys(("module", "output_shape_module", "mask_module"), ""),
}
_CELL: dict[str, Any] = {
    "part": "recurrent", "base": "Recurrent", "unsaved": "weights", "learned": "input_dim", "adapt": "recurrent",
    "kept": "input_length", "write": "stateful",
}  # fmt: skip
_ADVANCED: dict[str, Any] = {"part": "advanced_activations", "unsaved": "weights shared_axes"}
_CORE: dict[str, Any] = {"part": "core", "unsaved": "weights"}

LAYERS = {
    "Dense": Class("Dense", f"output_dim, {_DENSE}", **_CORE, learned="input_dim", weight_names="W b"),
    "TimeDistributedDense": Class(
        "Dense", f"output_dim, {_DENSE}, input_length=None", **_CORE, weight_names="W b", learned="input_dim",
        adapt="of_steps",
    ),
    "MaxoutDense": Class("MaxoutDense", _MAXOUT, **_CORE, weight_names="W b"),
    "Highway": Class("Highway", _DENSE, **_CORE, renamed={"transform_bias": ""}, weight_names="W W_carry b b_carry"),
    "Activation": Class("Activation", "activation", "core"),
    "ActivityRegularization": Class("ActivityRegularization", "l1=0.0, l2=0.0", "core"),
    "Dropout": Class("Dropout", "p, noise_shape=None, seed=None", "core", adapt="clipped_rate",
                     unsaved="noise_shape seed"),
    "SpatialDropout1D": Class("SpatialDropout1D", "p", "core"),
    "SpatialDropout2D": Class("SpatialDropout2D", f"p, {_ORDER}", "core", unsaved="dim_ordering"),
    "SpatialDropout3D": Class("SpatialDropout3D", f"p, {_ORDER}", "core", unsaved="dim_ordering"),
    "Flatten": Class("Flatten", "", "core", fixed=_LAST),
    "Reshape": Class("Reshape", "target_shape", "core"),
    "Permute": Class("Permute", "dims", "core"),
    "RepeatVector": Class("RepeatVector", "n", "core"),
    "Masking": Class("Masking", "mask_value=0.0", "core"),
    "Lambda": Class("LambdaOnCopies", "function, output_shape=None, arguments=None", "core", adapt="lambda_",
                    write="lambda_", renamed=KINDS, fixed={"unpacks_one": True}),
    "Merge": Class(
        "MergeByMode",
        "layers=None, mode='sum', concat_axis=-1, dot_axes=-1, output_shape=None, output_mask=None, arguments=None, "
        "node_indices=None, tensor_indices=None, name=None",
        "core",
        unsaved="layers node_indices tensor_indices name", adapt="lambda_", write="lambda_", renamed=KINDS, closed=True,
    ),
    "Convolution1D": Class(
        "Conv1D", f"{_CONV1}, {_BIAS}, input_dim=None, input_length=None", **_CONV, aliases="Conv1D",
        fixed=_LAST, weights="row_kernel", weight_names="W b",
    ),
    "AtrousConvolution1D": Class(
        "Conv1D", f"{_CONV1}, atrous_rate=1, {_BIAS}", **_CONV, aliases="AtrousConv1D",
        base="Convolution1D", fixed=_LAST, weights="row_kernel", weight_names="W b",
    ),
    "Convolution2D": Class(
        "Conv2D", f"{_CONV2}, {_ORDER}, {_BIAS}", **_CONV, aliases="Conv2D", weights="kernel", weight_names="W b"
    ),
    "AtrousConvolution2D": Class(
        "Conv2D", f"{_CONV2}, atrous_rate=(1, 1), {_ORDER}, {_BIAS}", **_CONV, aliases="AtrousConv2D",
        weights="kernel", weight_names="W b",
    ),
    "Deconvolution2D": Class(
        "DeconvolutionTo",
        f"nb_filter, nb_row, nb_col, output_shape, {_UNITS}, border_mode='valid', subsample=(1, 1), {_ORDER}, {_BIAS}",
        **_CONV, aliases="Deconv2D", weights="transposed_kernel", weight_names="W b",
    ),
    "SeparableConvolution2D": Class(
        "SeparableConv2D",
        f"{_CONV2}, depth_multiplier=1, {_ORDER}, depthwise_regularizer=None, pointwise_regularizer=None, "
        "b_regularizer=None, activity_regularizer=None, depthwise_constraint=None, pointwise_constraint=None, "
        "b_constraint=None, bias=True",
        **_CONV, aliases="SeparableConv2D", renamed={"init": "depthwise_initializer pointwise_initializer"},
        weights="kernels", weight_names="depthwise_kernel pointwise_kernel b",
    ),
    "Convolution3D": Class(
        "Conv3D", f"{_CONV3}, {_ORDER}, {_BIAS}", **_CONV, aliases="Conv3D", weights="kernel", weight_names="W b"
    ),
    "UpSampling1D": Class("UpSampling1D", "length=2", "convolutional", renamed={"length": "size"}),
    "UpSampling2D": Class("UpSampling2D", f"size=(2, 2), {_ORDER}", "convolutional", unsaved="dim_ordering"),
    "UpSampling3D": Class("UpSampling3D", f"size=(2, 2, 2), {_ORDER}", "convolutional", unsaved="dim_ordering"),
    "ZeroPadding1D": Class("ZeroPadding1D", "padding=1", **_PAD, fixed=_LAST),
    "ZeroPadding2D": Class("ZeroPadding2D", f"padding=(1, 1), {_ORDER}", **_PAD),
    "ZeroPadding3D": Class("ZeroPadding3D", f"padding=(1, 1, 1), {_ORDER}", **_PAD),
    "Cropping1D": Class("Cropping1D", "cropping=(1, 1)", "convolutional"),
    "Cropping2D": Class("Cropping2D", f"cropping=((0, 0), (0, 0)), {_ORDER}", **_CROP),
    "Cropping3D": Class("Cropping3D", f"cropping=((1, 1), (1, 1), (1, 1)), {_ORDER}", **_CROP),
    "MaxPooling1D": Class("TheanoMaxPooling1D", _POOL1, **_POOL, fixed=_LAST),
    "MaxPooling2D": Class("TheanoMaxPooling2D", _POOL2, **_POOL),
    "MaxPooling3D": Class("TheanoMaxPooling3D", _POOL3, **_POOL),
    "AveragePooling1D": Class("TheanoAveragePooling1D", _POOL1, **_POOL, fixed=_LAST),
    "AveragePooling2D": Class("TheanoAveragePooling2D", _POOL2, **_POOL),
    "AveragePooling3D": Class("TheanoAveragePooling3D", _POOL3, **_POOL),
    "GlobalMaxPooling1D": Class("GlobalMaxPooling1D", "", "pooling", fixed=_LAST),
    "GlobalMaxPooling2D": Class("GlobalMaxPooling2D", _ORDER, "pooling"),
    "GlobalMaxPooling3D": Class("GlobalMaxPooling3D", _ORDER, "pooling"),
    "GlobalAveragePooling1D": Class("GlobalAveragePooling1D", "", "pooling", fixed=_LAST),
    "GlobalAveragePooling2D": Class("GlobalAveragePooling2D", _ORDER, "pooling"),
    "GlobalAveragePooling3D": Class("GlobalAveragePooling3D", _ORDER, "pooling"),
    "LocallyConnected1D": Class(
        "LocallyConnected1D", f"{_CONV1}, {_BIAS}, input_dim=None, input_length=None", **_LOCAL, fixed=_LAST
    ),
    "LocallyConnected2D": Class("LocallyConnected2D", f"{_CONV2}, {_ORDER}, {_BIAS}", **_LOCAL),
    "Recurrent": Class("RNN", _RECURRENT, "recurrent"),
    "SimpleRNN": Class(
        "SimpleRNN", f"output_dim, {_RNN}, activation='tanh', {_DROPOUTS}", **_CELL,
        weights="simple_rnn", weight_names="W U b",
    ),
    "GRU": Class(
        "GRU", f"output_dim, {_RNN}, {_GATED}, {_DROPOUTS}", **_CELL, fixed={"reset_after": False},
        weights="gates", weight_names="z r h",
    ),
    "LSTM": Class(
        "LSTM", f"output_dim, {_RNN}, forget_bias_init='one', {_GATED}, {_DROPOUTS}", **_CELL,
        weights="gates", weight_names="i c f o",
    ),
    "ConvLSTM2D": Class(
        "ConvLSTM2DFromHalf",
        f"nb_filter, nb_row, nb_col, {_RNN}, forget_bias_init='one', {_GATED}, {_ORDER}, border_mode='valid', "
        f"subsample=(1, 1), {_DROPOUTS}",
        part="convolutional_recurrent", base="ConvRecurrent2D", adapt="conv_lstm", kept="border_mode",
        weights="convolutional_gates", weight_names="i c f o",
        unsaved="weights subsample W_regularizer U_regularizer b_regularizer dropout_W dropout_U",
    ),
    "ConvRecurrent2D": Class(
        "ConvLSTM2D",
        "weights=None, nb_row=None, nb_col=None, nb_filter=None, return_sequences=False, go_backwards=False, "
        "stateful=False, dim_ordering=None",
        "convolutional_recurrent",
    ),
    "Embedding": Class(
        "EmbeddingDroppingWords",
        "input_dim, output_dim, init='uniform', input_length=None, W_regularizer=None, activity_regularizer=None, "
        "W_constraint=None, mask_zero=False, weights=None, dropout=0.0",
        "embeddings",
        renamed={
            "output_dim": "output_dim", "init": "embeddings_initializer", "W_regularizer": "embeddings_regularizer",
            "W_constraint": "embeddings_constraint",
        },
        unsaved="weights", kept="input_length", adapt="embedding", weight_names="W",
    ),
    "BatchNormalization": Class(
        "BatchNormalizationBySample",
        "epsilon=0.001, mode=0, axis=-1, momentum=0.99, weights=None, beta_init='zero', gamma_init='one', "
        "gamma_regularizer=None, beta_regularizer=None",
        "normalization",
        kept="mode", unsaved="weights beta_init gamma_init", adapt="batch_normalization",
        weight_names="gamma beta running_mean running_std",
    ),
    "LeakyReLU": Class(
        "LeakyReLUOfAnySlope", "alpha=0.3", "advanced_activations", renamed={"alpha": "negative_slope"}
    ),
    "ELU": Class("ELU", "alpha=1.0", "advanced_activations"),
    "ThresholdedReLU": Class("ThresholdedReLU", "theta=1.0", "advanced_activations"),
    "PReLU": Class(
        "PReLU", "init='zero', weights=None, shared_axes=None", **_ADVANCED, weight_names="alphas",
        renamed={"init": "alpha_initializer"},
    ),
    "ParametricSoftplus": Class(
        "ParametricSoftplus", "alpha_init=0.2, beta_init=5.0, weights=None, shared_axes=None", **_ADVANCED,
        weight_names="alphas betas",
    ),
    "SReLU": Class(
        "SReLU",
        "t_left_init='zero', a_left_init='glorot_uniform', t_right_init='glorot_uniform', a_right_init='one', "
        "shared_axes=None",
        **_ADVANCED,
    ),
    "GaussianNoise": Class("GaussianNoise", "sigma", "noise"),
    "GaussianDropout": Class("GaussianDropout", "p", "noise"),
    "Wrapper": Class("Wrapper", "layer", "wrappers"),
    "TimeDistributed": Class("TimeDistributedAtOnce", "layer", "wrappers", fixed={"by_known_batch": True}),
    "Bidirectional": Class(
        "BidirectionalFromEitherEnd", "layer, merge_mode='concat', weights=None", "wrappers", kept="layer",
        unsaved="weights", fixed={"zero_output_for_mask": False},
    ),
    "Layer": Class("Layer", "", "core"),
    "InputSpec": Class("InputSpec", "dtype=None, shape=None, ndim=None", "core", closed=True),
    "Input": Class(
        "Input", "shape=None, batch_shape=None, name=None, dtype='float32', sparse=False, tensor=None", "core",
        closed=True,
    ),
    "InputLayer": Class(
        "InputLayer",
        "input_shape=None, batch_input_shape=None, input_dtype=None, input_tensor=None, sparse=False, name=None",
        "core",
        renamed={"input_shape": "shape", "batch_input_shape": "batch_shape", "input_dtype": "dtype"}, closed=True,
    ),
    "merge": Class(
        "merge",
        "inputs, mode='sum', concat_axis=-1, dot_axes=-1, output_shape=None, output_mask=None, arguments=None, "
        "name=None",
        "core", closed=True,
    ),
}  # fmt: skip

RENAMED = {
    "output_dim": "units", "nb_filter": "filters", "filter_length": "kernel_size", "nb_feature": "features",
    "bias": "use_bias", "init": "kernel_initializer", "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation", "beta_init": "beta_initializer", "gamma_init": "gamma_initializer",
    "alpha_init": "alpha_initializer", "t_left_init": "t_left_initializer", "a_left_init": "a_left_initializer",
    "t_right_init": "t_right_initializer", "a_right_init": "a_right_initializer",
    "forget_bias_init": "unit_forget_bias", "W_regularizer": "kernel_regularizer",
    "U_regularizer": "recurrent_regularizer", "b_regularizer": "bias_regularizer", "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint", "dropout_W": "dropout", "dropout_U": "recurrent_dropout",
    "border_mode": "padding", "subsample": "strides", "subsample_length": "strides", "stride": "strides",
    "atrous_rate": "dilation_rate", "pool_length": "pool_size", "dim_ordering": "data_format", "p": "rate",
    "sigma": "stddev", "consume_less": "", "input_dtype": "", "node_indices": "", "tensor_indices": "",
    "output_mask": "mask", "lr": "learning_rate", "clipnorm": "global_clipnorm",
}  # fmt: skip

JOINED = {("nb_row", "nb_col"): "kernel_size", ("kernel_dim1", "kernel_dim2", "kernel_dim3"): "kernel_size"}


def _scaled(scale: float, mode: str, distribution: str) -> dict[str, Any]:
    return {"class_name": "VarianceScaling", "config": {"scale": scale, "mode": mode, "distribution": distribution}}


INITIALIZERS = {
    "zero": {"class_name": "Zeros", "config": {}},
    "one": {"class_name": "Ones", "config": {}},
    "uniform": {"class_name": "RandomUniform", "config": {"minval": -0.05, "maxval": 0.05}},
    "normal": {"class_name": "RandomNormal", "config": {"mean": 0.0, "stddev": 0.05}},
    "identity": {"class_name": "Identity", "config": {}},
    "orthogonal": {"class_name": "Orthogonal", "config": {"gain": 1.1}},
    "lecun_uniform": _scaled(1.0, "fan_in", "uniform"),
    "glorot_uniform": _scaled(1.0, "fan_avg", "uniform"),
    "glorot_normal": _scaled(1.0, "fan_avg", "untruncated_normal"),
    "he_uniform": _scaled(2.0, "fan_in", "uniform"),
    "he_normal": _scaled(2.0, "fan_in", "untruncated_normal"),
}


def _initializer_name(config: Any) -> Any:
    """The name of an initializer, from its modern config."""
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "function":
        return config["config"]
    own = {key: value for key, value in (config.get("config") or {}).items() if value is not None and key != "seed"}
    if "draws" in own:
        return own["draws"]
    for name, known in INITIALIZERS.items():
        if config.get("class_name") == known["class_name"] and own == known["config"]:
            return name
    return own["value"] if config.get("class_name") == "Constant" else config.get("class_name")


def _initializer(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return {"class_name": "Constant", "config": {"value": value}}
    return INITIALIZERS.get(value, value) if isinstance(value, str) else value


def _format(value: Any) -> Any:
    if value not in _FORMATS and value not in (*_FORMATS.values(), None):
        raise ValueError(f"`dim_ordering` must be 'th', 'tf' or 'default'; got {value!r}.")
    return _FORMATS[value] if value in _FORMATS else value


VALUES = {
    "initializer": Value(_initializer, _initializer_name),
    "data_format": Value(_format, {"channels_first": "th", "channels_last": "tf"}.get),
    "unit_forget_bias": Value(
        lambda value: value if isinstance(value, bool) else {"one": True, "zero": False}[value],
        {True: "one", False: "zero"}.get,
    ),
    "activation": Value(
        lambda value: "linear" if value is None else value,
        lambda value: value["config"] if isinstance(value, dict) else value,
    ),
    "mode": Value(same, same),
}

REGULARIZERS = {
    "L1L2Regularizer": Class("L1L2", "l1=0.0, l2=0.0", aliases="WeightRegularizer ActivityRegularizer"),
    "l1": Class("L1L2", "l=0.01", renamed={"l": "l1"}, aliases="activity_l1", makes="L1L2Regularizer"),
    "l2": Class("L1L2", "l=0.01", renamed={"l": "l2"}, aliases="activity_l2", makes="L1L2Regularizer"),
    "l1l2": Class("L1L2", "l1=0.01, l2=0.01", aliases="activity_l1l2", makes="L1L2Regularizer"),
    "EigenvalueRegularizer": Class("EigenvalueRegularizer", "k"),
    "Regularizer": Class("Regularizer", "*args, **kwargs"),
}

CONSTRAINTS = {
    "MaxNorm": Class("MaxNorm", "m=2, axis=0", aliases="maxnorm", renamed={"m": "max_value"}),
    "MinMaxNorm": Class(
        "MinMaxNorm", "low=0.0, high=1.0, rate=1.0, axis=0", renamed={"low": "min_value", "high": "max_value"}
    ),
    "NonNeg": Class("NonNeg", "*args, **kwargs", aliases="nonneg"),
    "UnitNorm": Class("UnitNorm", "axis=0", aliases="unitnorm"),
    "Constraint": Class("Constraint", "*args, **kwargs"),
}

_STEP: dict[str, Any] = {"base": "_Optimizer", "kept": "lr decay", "adapt": "decaying", "write": "drop_missing"}
_EPSILON = "epsilon=1e-08, decay=0.0"
_BETAS = "beta_1=0.9, beta_2=0.999"

OPTIMIZERS = {
    "_Optimizer": Class("Optimizer", "clipnorm=None, clipvalue=None"),
    "Optimizer": Class("Optimizer", "**kwargs"),
    "SGD": Class("SGD", "lr=0.01, momentum=0.0, decay=0.0, nesterov=False", aliases="sgd", **_STEP),
    "RMSprop": Class("RMSpropByRoot", f"lr=0.001, rho=0.9, {_EPSILON}", aliases="rmsprop", **_STEP),
    "Adagrad": Class(
        "AdagradByRoot", f"lr=0.01, {_EPSILON}", aliases="adagrad", **_STEP, fixed={"initial_accumulator_value": 0.0}
    ),
    "Adadelta": Class("Adadelta", f"lr=1.0, rho=0.95, {_EPSILON}", aliases="adadelta", **_STEP),
    "Adam": Class("Adam", f"lr=0.001, {_BETAS}, {_EPSILON}", aliases="adam", **_STEP),
    "Adamax": Class("Adamax", f"lr=0.002, {_BETAS}, {_EPSILON}", aliases="adamax", **_STEP),
    "Nadam": Class(
        "NadamBySchedule", f"lr=0.002, {_BETAS}, epsilon=1e-08, schedule_decay=0.004", aliases="nadam", **_STEP
    ),
}

# Functions that had a second name.
FUNCTIONS = {
    "losses": {
        **dict.fromkeys(("mse", "MSE"), "mean_squared_error"),
        **dict.fromkeys(("mae", "MAE"), "mean_absolute_error"),
        **dict.fromkeys(("mape", "MAPE"), "mean_absolute_percentage_error"),
        **dict.fromkeys(("msle", "MSLE"), "mean_squared_logarithmic_error"),
        **dict.fromkeys(("kld", "KLD", "kullback_leibler_divergence"), "kl_divergence"),
    }
}
FUNCTIONS["metrics"] = FUNCTIONS["losses"]

_FIT = (
    "verbose=None, callbacks=None, validation_split=0.0, validation_data=None, shuffle=True, class_weight=None, "
    "sample_weight=None, initial_epoch=0"
)
_QUEUE = "max_q_size=10, nb_worker=1, pickle_safe=False"
METHODS = {
    "compile": "optimizer, loss=None, metrics=None, loss_weights=None, sample_weight_mode=None, mode=None",
    "fit": f"x, y, batch_size=32, nb_epoch=10, {_FIT}, show_accuracy=False",
    "evaluate": "x, y, batch_size=32, verbose=None, sample_weight=None, show_accuracy=False",
    "predict": "x, batch_size=32, verbose=0",
    "fit_generator": (
        "generator, samples_per_epoch, nb_epoch, verbose=None, callbacks=None, validation_data=None, "
        f"nb_val_samples=None, class_weight=None, {_QUEUE}, initial_epoch=0"
    ),
    "train_on_batch": "x, y, sample_weight=None, class_weight=None",
    "Sequential.train_on_batch": "x, y, class_weight=None, sample_weight=None",
    "test_on_batch": "x, y, sample_weight=None",
    "evaluate_generator": f"generator, val_samples, {_QUEUE}",
    "predict_generator": f"generator, val_samples, {_QUEUE}",
}
METHOD_WORDS = {
    **{"nb_epoch": "epochs", "generator": "x"},
    **dict.fromkeys(("sample_weight_mode", "mode", "show_accuracy", "max_q_size", "nb_worker", "pickle_safe"), ""),
}

KERAS1 = Generation(
    name="keras1",
    version="1.2.2",
    objects={
        "layers": LAYERS,
        "regularizers": REGULARIZERS,
        "constraints": CONSTRAINTS,
        "initializers": {},
        "optimizers": OPTIMIZERS,
        **preparing.KERAS1,
    },
    renamed=RENAMED,
    joined=JOINED,
    values=VALUES,
    modules={"initializations": "initializers", "objectives": "losses", **modules.BACKENDS},
    holds=modules.KERAS1,
    methods=METHODS,
    method_words=METHOD_WORDS,
    functions={**FUNCTIONS, "activations": {"selu": "", "exponential": ""}},
    scalars=True,
    writes_dtype=False,
    named_configs=True,
    short_accuracy=True,
    draws_by_layout=True,
    seeded_by_numpy=True,
    lists_weights=True,
    cuts_to_first=True,
    resets_to_states=False,
    first_name="lower_1",
    extras={"convolutional": "pooling"},
)
