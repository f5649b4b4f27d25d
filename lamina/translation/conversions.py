"""What names and values alone cannot say: small functions of one call's arguments.

Each takes the modern arguments found so far, the arguments in the generation's own words, and the process' settings,
and returns the modern arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .table import Settings

Arguments = dict[str, Any]


def _sizes(value: Any, rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)


def convolution(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    """Keras 1's border modes. "full" pads by the kernel; on Theano "same" pads k // 2 before, whatever the stride."""
    mode = modern["padding"]
    size = modern["kernel_size"]
    sizes = (size,) if isinstance(size, int) else tuple(size)
    dilation = _sizes(modern.get("dilation_rate", 1), len(sizes))
    reach = [(k - 1) * d for k, d in zip(sizes, dilation, strict=True)]
    if mode == "full":
        modern["padding"] = tuple((r, r) for r in reach)
    elif mode == "same" and settings.get("backend") == "theano":
        modern["padding"] = tuple(((r + 1) // 2, r // 2) for r in reach)
    if "output_shape" in given:
        modern["output_shape"] = given["output_shape"]
    if "input_length" not in given:
        return modern
    if modern.get("input_dim") is None:
        del modern["input_dim"], modern["input_length"]
    return modern


def local(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    """Keras 1 refuses anything but "valid" windows here."""
    if modern["padding"] != "valid":
        raise ValueError(f"Locally connected layers of Keras 1 take border_mode='valid'; got {modern['padding']!r}.")
    if modern.get("input_dim") is None:
        modern.pop("input_dim", None)
        modern.pop("input_length", None)
    return modern


def pooling(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    """On Theano "same" pads by nearly the whole window on both sides and drops what is too much at the end."""
    if modern["padding"] == "same" and settings.get("backend") == "theano":
        modern["padding"] = "theano"
    return modern


def zero_padding(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    """Keras 1 also took (top, bottom, left, right) and a dictionary."""
    value = given["padding"]
    if isinstance(value, Mapping):
        keys = ("left_pad", "right_pad") if "top_pad" not in value and "bottom_pad" not in value and len(value) < 3 else ()
        keys = keys if "data_format" not in modern else ("top_pad", "bottom_pad", "left_pad", "right_pad")
        value = tuple(value.get(key, 0) for key in keys or ("left_pad", "right_pad"))
    if isinstance(value, (tuple, list)) and len(value) == 4:
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
    """`input_dim` and `input_length` stand for the input's shape."""
    if modern.get("input_dim") is None:
        modern.pop("input_dim", None)
        modern.pop("input_length", None)
    return modern


def batch_normalization(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    """Keras 1's modes: 0 by the moving statistics, 1 by each sample, 2 always by the batch."""
    mode = modern.pop("mode")
    if mode == 2:
        modern["batch_statistics"] = "always"
    elif mode == 1:
        modern["by_sample"] = True
    elif mode != 0:
        raise ValueError(f"BatchNormalization of Keras 1 has the modes 0, 1 and 2; got mode={mode!r}.")
    return modern


def several_axes(modern: Arguments, given: Mapping[str, Any], settings: Settings) -> Arguments:
    """tf.keras' BatchNormalization took a list of axes."""
    axis = modern["axis"]
    if isinstance(axis, (list, tuple)):
        modern["axis"] = axis[0]
        if len(axis) > 1:
            modern["axes"] = tuple(axis)
    return modern


ADAPT: dict[str, Callable[[Arguments, Mapping[str, Any], Settings], Arguments]] = {
    function.__name__: function
    for function in (
        batch_normalization, convolution, embedding, local, pooling, recurrent, several_axes, zero_padding,
    )
}  # fmt: skip
