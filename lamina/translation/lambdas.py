"""The names that functions in files may use to be rebuilt: what they mean is known, and they only compute."""

from __future__ import annotations

from .lists import listed

_LISTS = listed("lambdas.json")
# Names of modules at the top of scripts, and modules that functions import; K is the backend.
ROOTS: dict[str, str] = _LISTS["roots"]
MODULES: dict[str, str] = _LISTS["modules"]
# Functions of Python's `operator` by the classes of `ast`: of two values, of one, and those that compare.
OPERATORS: tuple[dict[str, str], ...] = tuple(_LISTS["operators"][kind] for kind in ("binary", "unary", "compare"))
IN_TURN = frozenset(_LISTS["in_turn"].split())  # which go through an axis step by step
_OTHER_BEFORE = _LISTS["other_before"].split()  # of which TensorFlow 1 had others by these names
# By root. Those of NumPy and Python's math take numbers alone.
TABLE = {root: frozenset(names.split()) for root, names in _LISTS["names"].items()}
TABLE["tf"] |= {f"{module}.{name}" for module, names in _LISTS["inside_tf"].items() for name in names.split()}
TABLE["tf"] |= {*_LISTS["inside_tf"]["math"].split()}


def canonical(path: str) -> str:
    """A dotted name, with the modules inside of others by their own names."""
    for inside, own in _LISTS["inside"].items():
        if path == inside or path.startswith(f"{inside}."):
            return canonical(own + path[len(inside) :])
    return path


def is_known(path: str, generation: str) -> bool:
    """Whether a dotted name means one thing in a generation, and only computes."""
    root, _, name = path.partition(".")
    if root == "tf" and generation in ("keras1", "keras2") and name in _OTHER_BEFORE:
        return name == "reverse" and generation == "keras2"
    return name in TABLE.get(root, ())
