"""What stands in tf.keras' models beside layers: TensorFlow's functions on tensors, and losses and metrics of these."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.utils import _pytree as pytree

from ..core.operation import Operation
from ..core.symbolic import SymbolicTensor
from ..translation import tf_functions
from .dialect import Dialect


def find(dialect: Dialect, entry: Mapping[str, Any], added: list[Callable[[Any], None]]) -> Callable | None:
    """What a layer's entry in a config does to tensors, where it is no layer; None for a layer.

    `added` takes what to do to the model once it is made. Raises ValueError for a function that is not known.
    """
    make = _STORED.get(str(entry["class_name"])) if dialect.table.shares_modern else None
    return None if make is None else _called(entry["name"], make(dialect, entry["config"], added))


def _called(name: str, function: Callable) -> Callable:
    """The function, as a layer of that name."""

    def call(*args: Any, **kwargs: Any) -> Any:
        found = function(*args, **kwargs)
        for node in {leaf.node for leaf in pytree.tree_leaves(found) if isinstance(leaf, SymbolicTensor)}:
            if node is not None and isinstance(node.layer, Operation):
                node.layer.name = name
        return found

    return call


def _function(dialect: Dialect, name: str) -> Callable:
    path = tf_functions.allowed(name)
    if path is not None and path.startswith("keras.backend."):
        found = dialect.find("backend", path.rpartition(".")[2])
    else:
        from . import tensorflow

        found = None if path is None else tensorflow.NAMES.get(path)
    if not callable(found):
        raise _unread(name)
    return found


def _unread(name: str) -> ValueError:
    return ValueError(
        f"TensorFlow's function {name!r} is not among those that are read. Make the model in code, with a layer in its "
        "place, and load the weights into that."
    )


def _named(dialect: Dialect, config: Mapping[str, Any], added: Any) -> Callable:
    function = _function(dialect, config["function"])

    def call(*args: Any, **kwargs: Any) -> Any:
        told = {word: value for word, value in kwargs.items() if word not in tf_functions.UNHEARD}
        return function(*args, *([told.pop("other")] if "other" in told else []), **told)

    return call


def _slice(dialect: Dialect, config: Mapping[str, Any], added: Any) -> Callable:
    def call(x: Any, slice_spec: Any) -> Any:
        return x[tuple(_index(one) for one in (slice_spec if isinstance(slice_spec, list) else [slice_spec]))]

    return call


def _index(spec: Any) -> Any:
    if isinstance(spec, Mapping):
        return slice(spec["start"], spec["stop"], spec["step"])
    return ... if spec == "..." else spec


def _of_graph(dialect: Dialect, config: Mapping[str, Any], added: Any) -> Callable:
    node = config["node_def"]
    node = json.loads(node) if isinstance(node, str) else node
    attributes = {key: tf_functions.attribute(value) for key, value in node.get("attr", {}).items()}
    constants = {int(place): value for place, value in (config.get("constants") or {}).items()}

    def call(x: Any) -> Any:
        inputs = list(x) if isinstance(x, (list, tuple)) else [x]
        for place in sorted(constants):
            inputs.insert(place, constants[place])
        if node["op"] == "StridedSlice":
            x, begin, end, strides = inputs
            return x[_strided(begin, end, strides, attributes)]
        if node["op"] == "Einsum":
            return _function(dialect, "einsum")(attributes["equation"], *inputs)
        found = tf_functions.graph_call(node["op"], inputs, attributes)
        if found is None:
            raise _unread(node["op"])
        function, args, kwargs = found
        return _function(dialect, function)(*args, **kwargs)

    return call


def _strided(begin: Sequence[int], end: Sequence[int], strides: Sequence[int], masks: Mapping[str, int]) -> tuple:
    """The index that an operation of a graph takes of a tensor, whose bits say what each place is."""
    found: list[Any] = []
    for place, (first, last, step) in enumerate(zip(begin, end, strides, strict=True)):

        def marked(mask: str, place: int = place) -> bool:
            return bool(masks.get(mask, 0) >> place & 1)

        if marked("ellipsis_mask"):
            found.append(...)
        elif marked("new_axis_mask"):
            found.append(None)
        elif marked("shrink_axis_mask"):
            found.append(first)
        else:
            found.append(slice(None if marked("begin_mask") else first, None if marked("end_mask") else last, step))
    return tuple(found)


def _adding(dialect: Dialect, config: Mapping[str, Any], added: list[Callable[[Any], None]]) -> Callable:
    def call(x: Any) -> Any:
        if "metric_name" in config:
            how = {"name": config["metric_name"], "aggregation": config["aggregation"]}
            added.append(lambda model: model.add_metric(x, **how))
        else:
            added.append(lambda model: model.add_loss(x))
        return x

    return call


_STORED: dict[str, Callable[..., Callable]] = {
    "TFOpLambda": _named,
    "SlicingOpLambda": _slice,
    "TensorFlowOpLayer": _of_graph,
    "AddLoss": _adding,
    "AddMetric": _adding,
}
