"""Which generations have a name: what tells the age of a script.

Derived from the recorded lists of every public name. A generation is one character: 1, 2, t for tf.keras, 3.
"""

from __future__ import annotations

from collections.abc import Mapping

from .lists import listed

_LISTS = listed("known.json")
# Modules that not all have. What stands in none of these has the age of the module it is in.
MODULES: dict[str, str] = _LISTS["modules"]
# Names of their modules; "*" at the end stands for any ending. Other names have the age of the module.
NAMES: dict[str, dict[str, str]] = _LISTS["names"]
# Modules and names of the same years: Python 2, TensorFlow 1 and 2, and what others had.
TIMES: dict[str, str] = _LISTS["times"]

# Names of Keras 1, in any module, that the first releases of Keras 2 still had: they weigh as its words do.
KEPT = ("Merge", "merge")


def by_name(ages: Mapping[str, str]) -> dict[str, str]:
    """The generations that have each of the names that lists by generation hold."""
    return {name: generations for generations, names in ages.items() for name in names.split()}


# Arguments, and methods of models and layers, by name, beside those that the tables know.
ARGUMENTS = {path: by_name(ages) for path, ages in _LISTS["arguments"].items()}
METHODS = by_name(_LISTS["methods"])
METHOD_WORDS = by_name(_LISTS["method_words"])

BUILTINS = ("xrange", "raw_input", "unicode", "unichr", "execfile")
