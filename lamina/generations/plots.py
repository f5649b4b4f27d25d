"""Pictures of models with the arguments of the older generations."""

from __future__ import annotations

from typing import Any

from ..pictures import plot
from ..pictures.dot import Dot


def plot_model(
    model: Any,
    to_file: Any = "model.png",
    show_shapes: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: float = 96,
) -> Any:
    """As `plot_model` of Keras 2, and `plot` of Keras 1."""
    return plot.plot_model(model, to_file, show_shapes, False, show_layer_names, rankdir, expand_nested, dpi)


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: float = 96,
    subgraph: bool = False,
) -> Dot:
    return plot.model_to_dot(model, show_shapes, False, show_layer_names, rankdir, expand_nested, dpi, subgraph)


def plot_model_of_tf(
    model: Any,
    to_file: Any = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: float = 96,
    layer_range: Any = None,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
) -> Any:
    """As `plot_model` of tf.keras, but for `layer_range`, which is refused."""
    _refuse(layer_range)
    shown = show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi
    return plot.plot_model(model, to_file, *shown, show_layer_activations, show_trainable)


def model_to_dot_of_tf(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: float = 96,
    subgraph: bool = False,
    layer_range: Any = None,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
) -> Dot:
    _refuse(layer_range)
    shown = show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi, subgraph
    return plot.model_to_dot(model, *shown, show_layer_activations, show_trainable)


def _refuse(layer_range: Any) -> None:
    if layer_range is not None:
        raise ValueError("plot_model: `layer_range` is not supported; plot a model of the layers that are to be seen.")


# By generation: the module that is about pictures, and its names.
FOUND = {
    "keras1": ("utils.visualize_util", {"plot": plot_model, "model_to_dot": model_to_dot}),
    "keras2": ("utils.vis_utils", {"plot_model": plot_model, "model_to_dot": model_to_dot}),
    "tf_keras": ("utils.vis_utils", {"plot_model": plot_model_of_tf, "model_to_dot": model_to_dot_of_tf}),
}
