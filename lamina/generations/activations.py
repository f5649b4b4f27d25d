"""Activations of older generations that compute something else than the modern ones of the same name."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import inf
from typing import Any

import torch
from torch import Tensor
from torch.compiler import is_dynamo_compiling

from .. import activations
from ..core.operation import recorded
from ..core.scope import Watched, asking, scope
from ..core.serialize import custom_object_scope
from ..core.symbolic import SymbolicTensor

ALL_FINDERS = (*activations.LOG_SPACE.values(), "from_logits")


class Telling(Watched):
    """A softmax or sigmoid, `function`, that writes on its result what it was given: crossentropies of Keras 2 and
    tf.keras find these scores there, whoever calls them.

    finders: those that do: "softmax" and "sigmoid", which such probabilities are for, and "from_logits", told to take
    scores. rank: of tensors of more axes nothing is written. place: its name here.
    """

    __name__: str

    def __init__(self, place: str, stands_for: Callable, function: Callable, finders: Iterable[str], rank: float = inf):
        super().__init__(stands_for)
        functools.update_wrapper(self, stands_for, ("__name__", "__qualname__", "__doc__"), ())
        function = getattr(function, "_function", function)  # one call less
        self._place, self._function, self._finders, self._rank = place, function, tuple(finders), rank

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        y = self._function(x, *args, **kwargs)
        if isinstance(x, Tensor) and x.ndim <= self._rank and not is_dynamo_compiling():
            vars(y)["_keras_logits"] = dict.fromkeys(self._finders, x)
            if asking and scope.thread in asking:
                asking[scope.thread].append((y, x, self))
        return y

    def __reduce__(self) -> Any:
        return self._place  # as a function, by its name


class _Graphs(threading.local):
    depth = 0


_graphs = _Graphs()


@contextmanager
def in_graph() -> Iterator[None]:
    """Inside, TensorFlow would have made a graph: crossentropies find its own softmax and sigmoid there, too."""
    _graphs.depth += 1
    try:
        yield
    finally:
        _graphs.depth -= 1


def makes_graph() -> bool:
    return _graphs.depth > 0


class _Own:
    """A function in the generation's words, which equals today's: that is what layers have that were told its name."""

    def __init__(self, today: Callable, function: Callable):
        functools.update_wrapper(self, function)
        self.__name__ = today.__name__
        self._today, self._function = today, function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def __eq__(self, other: object) -> bool:
        return other is self or other is self._today

    def __hash__(self) -> int:
        return hash(self._today)

    def __reduce__(self) -> str:
        return self.__qualname__  # type: ignore[attr-defined]


def _own(today: Callable) -> Callable[[Callable], Any]:
    return functools.partial(_Own, today)


def told_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """The backend's: crossentropies of Keras 2 and tf.keras find the scores behind it, whoever calls it."""
    return _SOFTMAX(x) if axis in (-1, x.ndim - 1) else torch.softmax(x, axis)


def told_sigmoid(x: Tensor) -> Tensor:
    """The backend's, as `told_softmax`."""
    return _SIGMOID(x)


def softmax_of_tf(x: Tensor, axis: int = -1) -> Tensor:
    """TensorFlow's own, which tells in graphs."""
    return (told_softmax if makes_graph() else torch.softmax)(x, axis)


def sigmoid_of_tf(x: Tensor) -> Tensor:
    """TensorFlow's own, which tells in graphs."""
    return (told_sigmoid if makes_graph() else torch.sigmoid)(x)


def hard_sigmoid(x: Tensor) -> Tensor:
    """`0.2 * x + 0.5`, kept between 0 and 1 (Keras 1 and 2)."""
    return torch.nn.functional.hardsigmoid(1.2 * x)  # torch's rises by 1 / 6; a step of an LSTM calls it three times


@_own(activations.linear)
def linear(x: Any) -> Any:
    """`x` as it is."""
    return x


def swish(x: Tensor) -> Tensor:
    """`x * sigmoid(x)` (Ramachandran et al., 2017)."""
    return torch.nn.functional.silu(x)


@_own(activations.relu)
def relu(x: Tensor, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    """`x` above `threshold`, `alpha * (x - threshold)` below, and never more than `max_value`."""
    return activations.relu(x, alpha, max_value, threshold)


@_own(activations.softmax)
def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """Exponentials that sum to 1 along `axis`. Raises ValueError for vectors, as Keras 1 and 2 do."""
    _at_least_a_matrix(x)
    return torch.softmax(x, axis)


@_own(activations.softmax)
def softmax_by_rows(x: Tensor, axis: int = -1) -> Tensor:
    """`softmax` that takes the last axis of matrices whatever `axis` says (Keras 2.3)."""
    _at_least_a_matrix(x)
    return torch.softmax(x, -1 if x.ndim == 2 else axis)


def _at_least_a_matrix(x: Tensor) -> None:
    if x.ndim < 2:
        raise ValueError(f"softmax of Keras 1 and 2 takes at least two axes; got shape {tuple(x.shape)}.")


def _or_layer(function: Callable, of_tf: Callable) -> Callable:
    """Of symbolic tensors a layer, that of TensorFlow's own function (tf.keras)."""
    of_tf.__name__ = function.__name__
    layer = recorded(of_tf)

    @functools.wraps(function)
    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        return (layer if isinstance(x, SymbolicTensor) else function)(x, *args, **kwargs)

    return call


_MODERN = activations.softmax, activations.sigmoid
_SOFTMAX = Telling("_SOFTMAX", _MODERN[0], _MODERN[0], ("softmax",))
_SIGMOID = Telling("_SIGMOID", _MODERN[1], _MODERN[1], ("sigmoid",))
_OWN_SOFTMAX = Telling("_OWN_SOFTMAX", _MODERN[0], softmax_by_rows, ("softmax",), rank=2)  # it wrote others out
_OF_TF_SOFTMAX = Telling("_OF_TF_SOFTMAX", _MODERN[0], _or_layer(softmax, softmax_of_tf), ALL_FINDERS)
_OF_TF_SIGMOID = Telling("_OF_TF_SIGMOID", _MODERN[1], _or_layer(_MODERN[1], sigmoid_of_tf), ALL_FINDERS)
_TOLD: Mapping[str, Mapping[Any, Telling]] = {
    "keras2": {_MODERN[0]: _OWN_SOFTMAX, _MODERN[1]: _SIGMOID},
    "tf_keras": {_MODERN[0]: _OF_TF_SOFTMAX, _MODERN[1]: _OF_TF_SIGMOID},
}


def telling(activation: Any, generation: str) -> Any:
    """The same, telling of scores as a generation has it."""
    told = _TOLD.get(generation, {})
    return next((one for function, one in told.items() if function is activation), activation)


def of_generation(generation: str) -> dict[str, Any]:
    """The names that mean something of its own there."""
    told = {one.__name__: one for one in _TOLD.get(generation, {}).values()}
    if not told:
        return {}
    readers = {"get": get, "deserialize": deserialize}
    return told | {name: _telling_of(read, generation) for name, read in readers.items()}


def _telling_of(read: Callable, generation: str) -> Callable:
    return functools.wraps(read)(lambda *args, **kwargs: telling(read(*args, **kwargs), generation))


def get(identifier: Any) -> Any:
    """The activation that a name or a config stands for."""
    if identifier in ("hard_sigmoid", "swish", "silu"):
        return hard_sigmoid if identifier == "hard_sigmoid" else swish
    return activations.get(identifier)


def deserialize(name: object, custom_objects: Mapping[str, object] | None = None) -> Any:
    """What `serialize` described."""
    with custom_object_scope(custom_objects or {}):
        return get(name)


def serialize(activation: Any) -> Any:
    """The name of a function, the config of anything else."""
    if getattr(activation, "__module__", None) == __name__:
        return activation.__name__
    return activations.serialize(activation)
