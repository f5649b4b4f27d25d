"""What names and values alone cannot say: small functions of one call's arguments.

Each takes the modern arguments found so far, the arguments in the generation's own words, and the process' settings,
and returns the modern arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .bytecode import described
from .table import Settings

Arguments = dict[str, Any]


def per_axis(value: Any, rank: int) -> tuple[int, ...]:
    """A size for each axis, of one for all or of several."""
    return (value,) * rank if isinstance(value, int) else tuple(value)


def half_pads(size: Sequence[int], dilation: int | Sequence[int]) -> tuple[tuple[int, int], ...]:
    """What "same" pads on Theano, before and after along each axis, whatever the stride."""
    reach = [(k - 1) * d for k, d in zip(size, per_axis(dilation, len(size)), strict=True)]
    return tuple(((r + 1) // 2, r // 2) for r in reach)


def convolution(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    """Keras 1's border modes. "full" pads by the kernel; on Theano "same" pads k // 2 before, whatever the stride."""
    mode = modern["padding"]
    size = modern["kernel_size"]
    sizes = (size,) if isinstance(size, int) else tuple(size)
    dilation = per_axis(modern.get("dilation_rate", 1), len(sizes))
    if mode == "full":
        modern["padding"] = tuple(((k - 1) * d,) * 2 for k, d in zip(sizes, dilation, strict=True))
    elif mode == "same" and "output_shape" not in given and settings.get("backend") == "theano":
        modern["padding"] = half_pads(sizes, dilation)
    if "output_shape" in given:
        modern["half"] = settings.get("backend") == "theano"
    return recurrent(modern, given, settings)


def local(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    """Keras 1 refuses anything but "valid" windows here."""
    if modern["padding"] != "valid":
        raise ValueError(f"locally connected layers of Keras 1 take border_mode='valid'; got {modern['padding']!r}.")
    return recurrent(modern, given, settings)


def pooling(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    """On Theano "same" pads by nearly the whole window on both sides and drops what is too much at the end."""
    if modern["padding"] == "same" and settings.get("backend") == "theano":
        modern["padding"] = "theano"
    return modern


def zero_padding(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    """Keras 1 and 2 also took a dictionary, Keras 1 (top, bottom, left, right), too."""
    value = given["padding"]
    listed = isinstance(value, (tuple, list)) and "data_format" not in given
    if isinstance(value, Mapping):
        sides = ("top_pad", "bottom_pad") if given.keys() & {"dim_ordering", "data_format"} else ()
        value, listed = tuple(value.get(side, 0) for side in (*sides, "left_pad", "right_pad")), True
    if listed and len(value) == 4:
        value = (tuple(value[:2]), tuple(value[2:]))
    modern["padding"] = value
    return modern


def embedding(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    """An Embedding always comes first, with inputs (batch, input_length)."""
    length = given.get("input_length")
    if "input_shape" not in modern and "batch_input_shape" not in modern:
        lengths = tuple(length) if isinstance(length, (tuple, list)) else (length,)
        modern["batch_input_shape"] = (modern.pop("batch_size", None), *lengths)
    modern.pop("input_length", None)
    return modern


def recurrent(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    """`input_dim` and `input_length` stand for the input's shape; where a layer has both, a length alone says none."""
    if given.get("input_dim") is None:
        modern.pop("input_dim", None)
        if "input_dim" in given or given.get("input_length") is None:
            modern.pop("input_length", None)
    for rate in ("dropout", "recurrent_dropout"):
        if modern.get(rate) == 1:
            modern[rate] = 0.0  # see `dropped`
    return modern


def conv_lstm(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    """On Theano the windows of "same", which the state's always are, begin half a kernel before the data."""
    modern["half"] = settings.get("backend") == "theano"
    return recurrent(modern, given, settings)


def sequence(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    """`input_dim` is the size of a step, of as many as `input_length` says."""
    if modern.get("input_dim") is None:
        modern.pop("input_length", None)
    else:
        modern.setdefault("input_length", None)
    return modern


def batch_normalization(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    """Keras 1's modes: 0 by the moving statistics, 1 by each sample, 2 always by the batch. Freezing changed none."""
    mode = modern.pop("mode")
    if mode == 1:
        modern["by_sample"] = True
    elif mode in (0, 2):
        modern["batch_statistics"] = "always" if mode else "regardless"
    else:
        raise ValueError(f"in Keras 1 it has the modes 0, 1 and 2; got mode={mode!r}.")
    return modern


def lambda_(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    """Configs say beside each function how it is written, and of arrays among the arguments that they are some."""
    for key in FUNCTIONS:
        value = modern.get(key)
        if isinstance(value, (list, tuple)) and len(value) == 3 and isinstance(value[0], str):
            modern[key] = described(*value, generation=settings["generation"])
    if isinstance(modern.get("arguments"), Mapping):
        modern["arguments"] = {key: _as_array(value) for key, value in modern["arguments"].items()}
    if isinstance(modern.get("output_shape"), list):
        modern["output_shape"] = tuple(modern["output_shape"])
    return modern


def _as_array(value: Any) -> Any:
    array = isinstance(value, Mapping) and value.get("type") == "ndarray" and "value" in value
    return np.asarray(value["value"]) if array else value


def _of_array(value: Any) -> Any:
    array = isinstance(value, Mapping) and value.get("class_name") == "__numpy__"
    return {"type": "ndarray", "value": value["config"]["value"]} if array else value


def of_steps(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    """A number of steps says a shape only beside their size."""
    return modern if given.get("input_dim") else {**modern, "input_length": None}


def refuse_dilated_strides(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    """tf.keras took no strides together with dilation here."""
    if _largest(modern["strides"]) > 1 and _largest(modern["dilation_rate"]) > 1:
        raise ValueError(
            f"tf.keras takes no strides above 1 together with dilation; got strides={modern['strides']}, "
            f"dilation_rate={modern['dilation_rate']}."
        )
    return modern


def _largest(value: Any) -> int:
    return value if isinstance(value, int) else max(value)


def dropped(rate: Any) -> Any:
    """Keras 1 and 2 dropped only at rates between 0 and 1: at 1, nothing."""
    return rate if rate is None or 0 < rate < 1 else 0.0


def between(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    return {**modern, "rate": dropped(modern["rate"])}


def known_interpolation(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    if modern["interpolation"] not in ("nearest", "bilinear"):
        raise ValueError(f'`interpolation` of Keras 2.3 is "nearest" or "bilinear"; got {modern["interpolation"]!r}.')
    return modern


def decaying(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    """`decay` divides the learning rate, which tf.keras also calls `lr`, by 1 + decay * steps."""
    decay, rate = modern.pop("decay", 0.0), modern.pop("lr", None)
    modern["learning_rate"] = modern["learning_rate"] if rate is None else rate
    if modern.pop("adaptive_epsilon", False):
        raise ValueError("`adaptive_epsilon=True` of tf.keras is not in Lamina; leave it out.")
    if decay:
        schedule = {"initial_learning_rate": modern["learning_rate"], "decay_steps": 1, "decay_rate": decay}
        modern["learning_rate"] = {"class_name": "InverseTimeDecay", "config": schedule}
    return {key: value for key, value in modern.items() if value is not None}


def nadam(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    """`decay` of TensorFlow 2.0 to 2.10 slowed the growth of the momentum's share; later it is not."""
    decay = modern.pop("decay")
    return decaying({**modern, "schedule_decay": 1.0 if decay is None else decay}, given, settings)


def several_axes(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    """tf.keras took a list of axes; of several, with `renorm` or unfused, the variance is biased."""
    axis, unfused = modern["axis"], modern.pop("fused", None) is False
    if isinstance(axis, (list, tuple)):
        modern["axis"] = axis[0]
        if len(axis) > 1:
            modern["axes"] = tuple(axis)
    if "axes" in modern or modern.get("renorm") or unfused:
        modern.pop("unbiased_variance", None)
    return modern


def both_ways(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    """One number is how far both bounds are from 1."""
    if isinstance(modern.get("factor"), (int, float)):
        modern["factor"] = (modern["factor"],) * 2
    return modern


def bins(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    """`bins` was one argument for either: the boundaries, or how many to learn."""
    if isinstance(modern["bin_boundaries"], int) and modern["num_bins"] is None:
        modern["num_bins"], modern["bin_boundaries"] = modern["bin_boundaries"], None
    return modern


def of_terms(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    """Earlier versions told the type of what a layer takes: texts, or whole numbers, vectors or not."""
    of_numbers = "vocabulary_dtype" in modern and modern["output_mode"] != "int"
    if modern.get("dtype") == "string" or (of_numbers and modern.get("dtype") == "int64"):
        del modern["dtype"]
    return modern


def grayscale(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    """`grayscale` was a flag before it was a `color_mode`."""
    if modern.pop("grayscale"):
        modern["color_mode"] = "grayscale"
    return modern


ADAPT: dict[str, Callable[[Arguments, Mapping[str, Any], Settings], Arguments]] = {
    function.__name__: function
    for function in (
        batch_normalization, between, bins, both_ways, conv_lstm, convolution, decaying, embedding, grayscale,
        known_interpolation, lambda_, local, nadam, of_steps, of_terms, pooling, recurrent,
        refuse_dilated_strides, sequence, several_axes, zero_padding,
    )
}  # fmt: skip


# Configs. Each takes the config in the generation's words and the shape of the input, None before the layer is built.


def _how(value: Any) -> str:
    """How a config says a function is written."""
    lambda_form = isinstance(value, Mapping) and value.get("class_name") == "__lambda__"
    return "lambda" if lambda_form else "function" if isinstance(value, Mapping) else "raw"


FUNCTIONS = ("function", "output_shape", "mask", "mode", "output_mask")  # arguments that may be some


def write_lambda(config: Arguments, shape: tuple | None) -> Arguments:
    """Functions with their kind; code as (code, defaults, closure)."""
    found = {}
    for key, value in config.items():
        if key == "arguments" and isinstance(value, Mapping):
            value = {name: _of_array(each) for name, each in value.items()}
        if key not in FUNCTIONS:
            found[key] = value
            continue
        if key == "mask" and value is None:
            continue
        how = found[f"{key}_type"] = _how(value)
        if isinstance(value, Mapping) and how == "lambda":
            code = value["config"]
            value = [code["code"], code["defaults"], code["closure"]]
        found[key] = value["config"] if isinstance(value, Mapping) and how == "function" else value
    return found


def write_lambda_with_modules(config: Arguments, shape: tuple | None) -> Arguments:
    """tf.keras also named the modules of the functions."""
    found = write_lambda(config, shape)
    modules = {key.replace("_type", "_module").replace("function_module", "module") for key in found if "_type" in key}
    return {**found, **dict.fromkeys(modules)}


def write_axes(config: Arguments, shape: tuple | None) -> Arguments:
    """The axes as a list, counted from the front once the layer is built."""
    axis = config["axis"]
    if not config.get("renorm"):
        config = {key: value for key, value in config.items() if not key.startswith("renorm")}
    axes = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    return {**config, "axis": [one % len(shape) for one in axes] if shape else axis}


def drop_missing(config: Arguments, shape: tuple | None) -> Arguments:
    """Without what was not given."""
    return {key: value for key, value in config.items() if value is not None or key == "merge_mode"}


def write_optimizer(config: Arguments, shape: tuple | None) -> Arguments:
    """Without the words of earlier versions, unless they were given."""
    return {key: value for key, value in config.items() if key != "lr" and (key != "decay" or value)}


def write_decaying(config: Arguments, shape: tuple | None) -> Arguments:
    """The optimizers of TensorFlow 2.0 to 2.10 tell their decay, and of limits those that were given."""
    return {key: value for key, value in config.items() if key != "lr" and (not key.count("clip") or value is not None)}


def _where_asked(*words: str) -> Callable[[Arguments, tuple | None], Arguments]:
    """These words stand in the config where there is something to say, and only there."""
    return lambda config, shape: {key: value for key, value in config.items() if key not in words or value}


def write_stateful(config: Arguments, shape: tuple | None) -> Arguments:
    """Stateful layers of Keras 1, once built, have a batch's shape instead of `input_dim` and `input_length`."""
    dropped = ("input_dim", "input_length") if config["stateful"] and shape else ()
    return {key: value for key, value in config.items() if key not in dropped}


def write_lookup(config: Arguments, shape: tuple | None) -> Arguments:
    """The type of a vocabulary's layer is that of what it gives; bins that were learned are none of its arguments."""
    config = {**config, "bin_boundaries": None} if config.get("num_bins") is not None else config
    return {**config, "dtype": "int64"} if config["output_mode"] == "int" else config


def write_clipped_rate(config: Arguments, shape: tuple | None) -> Arguments:
    """A rate stands in the config as one from 0 to 1."""
    return {**config, "rate": min(1.0, max(0.0, config["rate"]))}


WRITE: dict[str, Callable[[Arguments, tuple | None], Arguments]] = {
    "clipped_rate": write_clipped_rate,
    "lambda_": write_lambda,
    "lookup": write_lookup,
    "of_texts": lambda config, shape: {**config, "dtype": "string"},
    "lambda_with_modules": write_lambda_with_modules,
    "axes": write_axes,
    "optimizer": write_optimizer,
    "decaying": write_decaying,
    "recurrent": _where_asked("zero_output_for_mask", "num_constants"),
    "robust": _where_asked("robust_masking"),
    "stateful": write_stateful,
    "drop_missing": drop_missing,
}
