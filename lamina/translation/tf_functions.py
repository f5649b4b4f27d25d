"""TensorFlow's functions that stand in tf.keras' configs as layers: which may, and what older ones are called now."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .lists import listed

_LISTS = listed("tf_functions.json")
# Of tensors, without effects: whole modules of TensorFlow, single names of it, and of Keras' backend.
MODULES, NAMES, BACKEND = (frozenset(_LISTS[key].split()) for key in ("modules", "names", "backend"))
OPERATORS: dict[str, str] = _LISTS["operators"]
CALLED: dict[str, str] = _LISTS["called"]  # the names of functions for layers, where it is not their path
# Operations of TensorFlow's graphs, as TensorFlow 1.14 to 2.3 wrote them: the function and its arguments' names, those
# behind the bar from the operation's own attributes. "*": a list of all inputs that are not named behind.
GRAPH_OPERATIONS: dict[str, list[str]] = {name: text.split(" ", 1) for name, text in _LISTS["graph_operations"].items()}
UNHEARD = ("name", "conjugate")  # the latter of tensors that are complex, which Keras' are not


def allowed(function: str) -> str | None:
    """The path of the function that a config names, such as "math.add"; None for one that may not be there."""
    path = OPERATORS.get(function, function).removeprefix("compat.v1.")
    home, _, name = path.rpartition(".")
    if home == "keras.backend":
        return path if name in BACKEND else None
    return path if path in NAMES or home in MODULES else None


def public(paths: Sequence[str]) -> str:
    """Under which of its paths TensorFlow knows a function: that in `math`, in `linalg`, or the first."""
    rooms = (next((path for path in paths if path.startswith(room)), None) for room in ("math.", "linalg.", ""))
    path = next(filter(None, rooms))
    return CALLED.get(path, path)


def graph_call(
    operation: str, inputs: Sequence[Any], attributes: Mapping[str, Any]
) -> tuple[str, list[Any], dict[str, Any]] | None:
    """The function, what it takes by place and what by name, for an operation of a graph; None for an unknown one."""
    known = GRAPH_OPERATIONS.get(operation)
    if known is None:
        return None
    function, words = known
    named, _, settings = words.partition("|")
    own, left, first = named.split(), list(inputs), []
    if own[0] == "*":
        count = len(left) - len(own) + 1
        first, own, left = [left[:count]], own[1:], left[count:]
    if len(left) > len(own):
        return None
    found = dict(zip(own, left, strict=False))
    for word in settings.split():
        attribute, _, name = word.partition(":")
        if attribute in attributes and attributes[attribute] not in ([], None):
            found[name or attribute] = attributes[attribute]
    return function, first, found


def attribute(value: Mapping[str, Any]) -> Any:
    """The value of an operation's attribute, as protobuf writes it into JSON."""
    kind, item = next(iter(value.items()), ("", None))
    read: Callable[[Any], Any] | None = _ATTRIBUTES.get(kind)
    return item if read is None else read(item)


_ATTRIBUTES: dict[str, Callable[[Any], Any]] = {
    "i": int,
    "f": float,
    "b": bool,
    "s": lambda text: base64.b64decode(text).decode(),
    "type": lambda name: str(name).removeprefix("DT_").lower().replace("float", "float32").replace("half", "float16"),
    "list": lambda item: [int(one) for one in item.get("i", [])] if isinstance(item, Mapping) else item,
}
