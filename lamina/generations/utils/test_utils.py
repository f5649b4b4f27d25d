"""`keras.utils.test_utils` of Keras 1 and 2: what tests of users' own layers call."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...core import config
from ...core.layer import clear_session
from ..dialect import Dialect
from .generic_utils import check_for_unexpected_keys, has_arg


def get_test_data(
    num_train: int = 1000,
    num_test: int = 500,
    input_shape: tuple[int, ...] = (10,),
    output_shape: tuple[int, ...] = (2,),
    classification: bool = True,
    num_classes: int = 2,
    **older: int,
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Data round centres that the targets tell: (x, y) to train on, (x, y) to test with.

    classification: `y` holds classes (samples,), else numbers of `output_shape`. Keras 1 called the counts `nb_train`,
    `nb_test` and `nb_class`.
    """
    check_for_unexpected_keys("get_test_data", older, ("nb_train", "nb_test", "nb_class"))
    train, test = older.get("nb_train", num_train), older.get("nb_test", num_test)
    classes = older.get("nb_class", num_classes)
    count = train + test
    centres = np.random.randint(0, classes, count) if classification else np.random.random(count)

    def around(shape: tuple[int, ...]) -> np.ndarray:
        spread = np.random.normal(0, 0.7, (count, *shape))
        return (centres.reshape(-1, *[1] * len(shape)) + spread).astype("float32")

    x, y = around(input_shape), centres if classification else around(output_shape)
    return (x[:train], y[:train]), (x[train:], y[train:])


def keras_test(func: Callable) -> Callable:
    """A test that starts the names of layers anew when it is done."""

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        found = func(*args, **kwargs)
        clear_session()
        return found

    return wrapper


def layer_test(
    dialect: Dialect,
    layer_cls: Any,
    kwargs: Mapping[str, Any] | None = None,
    input_shape: tuple | None = None,
    input_dtype: Any = None,
    input_data: Any = None,
    expected_output: Any = None,
    expected_output_dtype: Any = None,
    fixed_batch_size: bool = False,
) -> np.ndarray:
    """Take a layer of one input and one output through weights, shapes, calls, configs and training.

    Returns what it gives for `input_data`, by default random numbers of `input_shape`. Raises AssertionError where
    something does not fit, ValueError where there is neither a shape nor data.
    """
    if input_data is None:
        if not input_shape:
            raise ValueError("layer_test: give `input_shape` or `input_data`.")
        sizes = [np.random.randint(1, 4) if size is None else size for size in input_shape]
        input_data = (10 * np.random.random(sizes)).astype(input_dtype or config.floatx())
    shape = tuple(input_shape or input_data.shape)
    dtype = str(np.dtype(input_dtype or input_data.dtype))
    layer = layer_cls(**dict(kwargs or {}))
    layer.set_weights(layer.get_weights())
    expected_shape = layer.compute_output_shape(shape)
    size = {"batch_shape": shape} if fixed_batch_size else {"shape": shape[1:]}
    x = dialect.find("layers", "Input")(dtype=dtype, **size)
    y = layer(x)
    assert str(y.dtype).removeprefix("torch.") == (expected_output_dtype or dtype), f"the output is {y.dtype}"
    model_class = dialect.find("models", "Model")
    model = model_class(x, y)
    output = model.predict(input_data)
    fits = all(one in (None, other) for one, other in zip(expected_shape, output.shape, strict=False))
    assert fits, f"the output has shape {output.shape}; `compute_output_shape` says {expected_shape}"
    if expected_output is not None:
        np.testing.assert_allclose(output, expected_output, rtol=1e-3)
    again = model_class.from_config(model.get_config())
    if model.weights and not dialect.table.draws_by_layout:  # configs of Keras 1 do not tell all of a layer
        again.set_weights(model.get_weights())
        np.testing.assert_allclose(again.predict(input_data), output, rtol=1e-3)
    if has_arg(layer.call, "training"):
        model.compile("rmsprop", "mse")
        model.train_on_batch(input_data, output)
    type(layer).from_config({**layer.get_config(), "batch_input_shape": shape})
    return output
