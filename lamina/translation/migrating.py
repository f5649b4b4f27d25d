"""What source written for older generations becomes in Keras 3, where the tables of classes do not say it.

Where something has no counterpart in Keras 3, the text says what a person may write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .table import Class


def _same(names: str, signature: str, home: str = "ops") -> dict[str, Class]:
    """Functions that only moved: `old=new`, or one name for both."""
    pairs = (name.partition("=")[::2] for name in names.split())
    return {old: Class(f"{home}.{new or old}", signature) for old, new in pairs}


_REDUCING = "x, axis=None, keepdims=False"
# The functions of `K`. A modern name with braces is an expression of the arguments.
BACKEND: Mapping[str, Class] = {
    **_same("abs square sqrt exp log round sign sin cos tanh sigmoid softplus softsign transpose", "x"),
    **_same("sum max min mean prod var std any all logsumexp", _REDUCING),
    **_same("argmax argmin", "x, axis=-1"),
    **_same("cumsum cumprod", "x, axis=0"),
    **{old: replace(entry, renamed={"x": "x1", "y": "x2"}) for old, entry in _same(
        "maximum minimum equal not_equal greater greater_equal less less_equal lesser=less lesser_equal=less_equal",
        "x, y",
    ).items()},
    **_same("zeros ones", "shape, dtype=None"),
    **{old: replace(entry, renamed={"name": ""}) for old, entry in _same(
        "zeros_like ones_like", "x, dtype=None, name=None"
    ).items()},
    "shape": Class("ops.shape", "x"),
    "stop_gradient": Class("ops.stop_gradient", "variables", renamed={"variables": "variable"}),
    "elu": Class("ops.elu", "x, alpha=1.0"),
    "softmax": Class("ops.softmax", "x, axis=-1"),
    "one_hot": Class("ops.one_hot", "indices, num_classes", renamed={"indices": "x", "nb_classes": "num_classes"}),
    "pow": Class("ops.power", "x, a", renamed={"x": "x1", "a": "x2"}),
    "clip": Class("ops.clip", "x, min_value, max_value", renamed={"min_value": "x_min", "max_value": "x_max"}),
    "cast": Class("ops.cast", "x, dtype"),
    "reshape": Class("ops.reshape", "x, shape", renamed={"shape": "newshape"}),
    "permute_dimensions": Class("ops.transpose", "x, pattern", renamed={"pattern": "axes"}),
    "expand_dims": Class("ops.expand_dims", "x, axis=-1", renamed={"dim": "axis"}),
    "squeeze": Class("ops.squeeze", "x, axis"),
    "concatenate": Class("ops.concatenate", "tensors, axis=-1", renamed={"tensors": "xs"}),
    "stack": Class("ops.stack", "x, axis=0"),
    "tile": Class("ops.tile", "x, n", renamed={"n": "repeats"}),
    "reverse": Class("ops.flip", "x, axes", renamed={"axes": "axis"}),
    "repeat_elements": Class("ops.repeat", "x, rep, axis", renamed={"rep": "repeats"}),
    "arange": Class("ops.arange", "start, stop=None, step=1, dtype='int32'"),
    "eye": Class("ops.eye", "size, dtype=None", renamed={"size": "N"}),
    "binary_crossentropy": Class("ops.binary_crossentropy", "target, output, from_logits=False"),
    "random_normal": Class("random.normal", "shape, mean=0.0, stddev=1.0, dtype=None, seed=None"),
    "random_uniform": Class("random.uniform", "shape, minval=0.0, maxval=1.0, dtype=None, seed=None"),
    "truncated_normal": Class("random.truncated_normal", "shape, mean=0.0, stddev=1.0, dtype=None, seed=None"),
    "categorical_crossentropy": Class(
        "ops.categorical_crossentropy", "target, output, from_logits=False, axis=-1"
    ),
    "ndim": Class("len({x}.shape)", "x"),
    "int_shape": Class("tuple({x}.shape)", "x"),
    "flatten": Class("ops.reshape({x}, (-1,))", "x"),
    "batch_flatten": Class("ops.reshape({x}, (ops.shape({x})[0], -1))", "x"),
    "gather": Class("ops.take({reference}, {indices}, axis=0)", "reference, indices"),
    "l2_normalize": Class("ops.normalize({x}, axis={axis})", "x, axis"),
    "relu": Class(
        "activations.relu", "x, alpha=0.0, max_value=None, threshold=0.0", renamed={"alpha": "negative_slope"}
    ),
    "dot": Class("ops.dot", "x, y", renamed={"x": "x1", "y": "x2"}),
    "repeat": Class("ops.repeat(keras.ops.expand_dims({x}, 1), {n}, axis=1)", "x, n"),
    "dtype": Class("backend.standardize_dtype({x}.dtype)", "x"),
    "hard_sigmoid": Class("ops.clip(0.2 * {x} + 0.5, 0.0, 1.0)", "x"),
    "get_value": Class("ops.convert_to_numpy({x})", "x"),
    "eval": Class("ops.convert_to_numpy({x})", "x"),
    "set_value": Class("{x}.assign({value})", "x, value"),
    "constant": Class("ops.convert_to_tensor({value}, {dtype})", "value, dtype='float32'"),
    "variable": Class(
        "Variable", "value, dtype='float32', name=None", renamed={"value": "initializer"}, fixed={"dtype": "float32"}
    ),
    "placeholder": Class("layers.Input(batch_shape={shape})", "shape"),
    "update": Class("{x}.assign({new_x})", "x, new_x"),
    "update_add": Class("{x}.assign_add({increment})", "x, increment"),
    "update_sub": Class("{x}.assign_sub({decrement})", "x, decrement"),
    "dropout": Class(
        "random.dropout", "x, level, noise_shape=None, seed=None", renamed={"x": "inputs", "level": "rate"}
    ),
    "bias_add": Class("{x} + {bias}", "x, bias"),
}  # fmt: skip
# Those that make a variable, where they give it a name.
NAMED = {
    kind: Class(f"keras.Variable(ops.{kind}({{shape}}, {{dtype}}), name={{name}})", "shape, dtype='float32', name=None")
    for kind in ("zeros", "ones")
}
SWAPPED = {"binary_crossentropy", "categorical_crossentropy"}  # Keras 1 had the output first

# The function that a mode of Keras 1's `merge` is.
MERGED = {
    "sum": "add", "mul": "multiply", "concat": "concatenate", "ave": "average", "max": "maximum", "dot": "dot",
}  # fmt: skip

# Functions and methods around layers, in the words of the time; a home is a module.
AROUND: Mapping[str, Mapping[str, Class]] = {
    "utils": {
        "to_categorical": Class(
            "to_categorical", "y, num_classes=None, dtype='float32'",
            renamed={"y": "x", "nb_classes": "num_classes", "dtype": ""},
        ),
        "plot_model": Class("plot_model", "model, to_file='model.png', show_shapes=False, show_layer_names=False"),
    },
    "activations": {
        "relu": Class("relu", BACKEND["relu"].signature, renamed=BACKEND["relu"].renamed),
    },
    "callbacks": {
        "ReduceLROnPlateau": Class("ReduceLROnPlateau", "", renamed={"epsilon": "min_delta"}),
    },
    "models": {
        "Model": Class("Model", "", renamed={"input": "inputs", "output": "outputs"}),
    },
}  # fmt: skip
ADD_WEIGHT = {
    "keras1": "shape, initializer, name=None, trainable=True, regularizer=None, constraint=None",
    "keras2": ("name, shape, dtype=None, initializer=None, regularizer=None, trainable=True, constraint=None"),
}
ADD_WEIGHT["tf_keras"] = ADD_WEIGHT["keras2"].replace("name, shape", "name=None, shape=None")

# Names that moved, by their paths; what is not here has its name in the module of today.
MOVED = {
    "utils.visualize_util.plot": "utils.plot_model",
    "utils.multi_gpu_model": "",
    **{f"losses.{old}": f"losses.{new}" for old, new in (
        ("cosine_proximity", "cosine_similarity"), ("huber_loss", "huber"), ("logcosh", "log_cosh"),
        ("cosine", "cosine_similarity"),
    )},
    "backend.set_image_dim_ordering": "backend.set_image_data_format",
    "backend.image_dim_ordering": "backend.image_data_format",
}  # fmt: skip

RENAMED = {"get_output_shape_for": "compute_output_shape", "_keras_shape": "shape"}  # attributes of anything
# Methods of models that are called otherwise.
ATTRIBUTES = {
    "fit_generator": "fit", "evaluate_generator": "evaluate", "predict_generator": "predict",
    "predict_proba": "predict",
}  # fmt: skip

# What to write instead of what has no counterpart, by name.
INSTEAD = {
    "predict_classes": "take `predict(x).argmax(axis=-1)`, or `predict(x) > 0.5` where there is one output",
    "to_yaml": "use `to_json`",
    "get_output_at": "use `layer._inbound_nodes`, or `layer.output`",
    "get_input_at": "use `layer.input`",
    "output_shape": "use `layer.output.shape`",
    "input_shape": "use `layer.input.shape`",
    "function": "make a `keras.Model(inputs, outputs)` and call its `predict`",
    "gradients": "gradients are the backend's: torch.autograd.grad, tf.GradientTape, jax.grad",
    "learning_phase": "use the argument `training` of `call`",
    "in_train_phase": "use the argument `training` of `call`",
    "in_test_phase": "use the argument `training` of `call`",
    "batch_dot": "use `keras.ops.matmul`, or `keras.ops.einsum`",
    "switch": "use `keras.ops.where`, or `keras.ops.cond`",
    "rnn": "use a cell in `keras.layers.RNN`, or `keras.ops.scan`",
    "ImageDataGenerator": "read pictures with `keras.utils.image_dataset_from_directory` and change them with layers "
    "such as `RandomFlip`; Lamina has it in `lamina.preprocessing.image`",
    "Tokenizer": "use the layer `TextVectorization`; Lamina has it in `lamina.preprocessing.text`",
    "LocallyConnected1D": "Lamina has it: `lamina.layers.LocallyConnected1D`",
    "LocallyConnected2D": "Lamina has it: `lamina.layers.LocallyConnected2D`",
    "ThresholdedReLU": "write it as `keras.layers.Lambda(lambda x: x * keras.ops.cast(x > theta, x.dtype))`",
    "Merge": "make a functional model, with `concatenate`, `add`, ... of the branches' outputs",
    "KerasClassifier": "use `keras.wrappers.SKLearnClassifier`, which takes the model as `model`",
    "KerasRegressor": "use `keras.wrappers.SKLearnRegressor`, which takes the model as `model`",
    "multi_gpu_model": "use `keras.distribution`, or torch's DistributedDataParallel",
    "get_session": "there are no sessions: call the model",
    "set_session": "there are no sessions: leave it out",
    "causal": "give the call `use_causal_mask=True`",
    "period": "use `save_freq`, which counts batches",
    "weights": "set them once the layer is built: `layer.set_weights(...)`",
    "HDF5Matrix": "use h5py's datasets, or `keras.utils.PyDataset`",
}  # fmt: skip

# Arguments that choose arithmetic which Keras 3 has not. "": of no consequence for what a model predicts.
LOST = {
    **dict.fromkeys(
        ("half", "by_known_batch", "unpacks_one", "unbiased_variance", "zero_output_for_mask", "schedule_decay"), ""
    ),
    "batch_statistics": "",
    "output_shape": "the layer finds the size of its output itself: compare it with the one that was asked for",
    "dropout": "whole words are dropped: put `SpatialDropout1D` or an own layer behind",
    "by_sample": "`mode=1` normalizes each sample: use `LayerNormalization`",
    "weights": INSTEAD["weights"],
}  # fmt: skip
