"""`keras.utils.layer_utils` of Keras 1 and 2: models described, and their kernels turned round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ... import utils
from ...core.symbolic import SymbolicTensor
from ...layers import Wrapper
from ...models import Model
from ..dialect import Dialect
from . import np_utils


def count_params(weights: Any) -> int:
    """The number of values in some weights, each counted once."""
    return utils.count_params({id(weight): weight for weight in weights}.values())


def count_total_params(layers: Sequence[Any], layer_set: Any = None) -> tuple[int, int]:
    """The number of trainable and of other values in layers, each layer counted once (Keras 1)."""
    found = {id(weight): weight for layer in layers for weight in layer.weights if layer not in (layer_set or ())}
    trainable = {id(weight) for layer in layers for weight in layer.trainable_weights}
    parts = [[weight for key, weight in found.items() if (key in trainable) is one] for one in (True, False)]
    return count_params(parts[0]), count_params(parts[1])


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], Any] | None = None,
) -> None:
    """The table of a model's layers; of a list of layers as of a stack of them."""
    if isinstance(model, (list, tuple)):
        for layer in model:
            print(
                f"{layer.name} ({type(layer).__name__}): {getattr(layer, 'output_shape', '')}, {layer.count_params()}"
            )
        trainable, others = count_total_params(model)
        print(f"Total params: {trainable + others:,}")
        return
    model.summary(line_length=line_length, positions=positions, print_fn=print_fn)


def get_source_inputs(tensor: Any, layer: Any = None, node_index: int | None = None) -> Any:
    """The inputs that a symbolic tensor depends on. layer, node_index: the call that made it, where it is told."""
    if layer is not None and node_index is not None:
        tensor = layer.get_output_at(node_index)
    return utils.get_source_inputs(tensor) if isinstance(tensor, SymbolicTensor) else tensor


def layer_from_config(dialect: Dialect, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
    """The layer or model of {"class_name": ..., "config": ...} (Keras 1)."""
    return dialect.from_config(config, custom_objects)


def convert_all_kernels_in_model(dialect: Dialect, model: Any) -> None:
    """Turn the kernels of all convolutions round, from Theano's arithmetic to TensorFlow's and back.

    Depthwise and separable ones stay: Theano had none.
    """
    for layer in model.layers:
        arrays = layer.get_weights()
        if type(layer).__name__ in _TURNED and arrays and arrays[0].ndim > 2:
            order = {"channels_first": "th", "channels_last": "tf"}.get(getattr(layer, "data_format", ""))
            layer.set_weights([np_utils.convert_kernel(dialect, arrays[0], order), *arrays[1:]])


_TURNED = {f"{name}{rank}D" for name in ("Conv", "Convolution", "AtrousConvolution", "Deconvolution") for rank in "123"}
_TURNED |= {"Conv2DTranspose", "Conv3DTranspose"}


def convert_dense_weights_data_format(
    dense: Any, previous_feature_map_shape: Sequence[int], target_data_format: str = "channels_first"
) -> None:
    """Put the rows of a Dense layer behind a Flatten into the order of another data format.

    previous_feature_map_shape: what is flattened, (channels, rows, columns) where the target is "channels_first", else
    (rows, columns, channels). Raises ValueError for any other target.
    """
    if target_data_format not in ("channels_first", "channels_last"):
        raise ValueError(f'The target must be "channels_first" or "channels_last"; got {target_data_format!r}.')
    kernel, *bias = dense.get_weights()
    shape = tuple(previous_feature_map_shape)
    first = target_data_format == "channels_first"
    before, axes = ((*shape[1:], shape[0]), (2, 0, 1)) if first else ((shape[2], *shape[:2]), (1, 2, 0))
    rows = kernel.reshape(*before, kernel.shape[1]).transpose(*axes, 3)
    dense.set_weights([np.ascontiguousarray(rows).reshape(kernel.shape), *bias])


def is_model(layer: object) -> bool:
    return isinstance(layer, Model)


def is_wrapped_model(layer: object) -> bool:
    """Whether it is a wrapper, such as a TimeDistributed, of a model."""
    return isinstance(layer, Wrapper) and isinstance(layer.layer, Model)


def multi_gpu_model(model: Any, gpus: Any = None, cpu_merge: bool = True, cpu_relocation: bool = False) -> Any:
    """Raises ValueError: says how a model is trained on several devices here."""
    raise ValueError(
        "multi_gpu_model: a model is not split inside one process here. Start the script as it is once a device "
        "with `torchrun --nproc_per_node=GPUS script.py`, or wrap the model in torch.nn.DataParallel for inference."
    )
