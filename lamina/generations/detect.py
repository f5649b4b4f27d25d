"""Which generation of Keras a script was written for, told from its source."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .evidence import Evidence, Kind, Reader
from .sources import parsed

_NAMES = {"1": "keras1", "2": "keras2", "t": "tf_keras", "3": "keras3"}
_VERSIONS = {"1": "Keras 1", "2": "Keras 2", "t": "tf.keras", "3": "Keras 3"}
_ORDER = "32t1"  # where several are left, the first is taken

# By `lamina migrate`; and what Keras 3 was called at first.
_TOLD = re.compile(r"^[ \t]*(?:import|from) (?:(?:keras|lamina)\b.*# Keras 3\s*$|keras_core\b)", re.MULTILINE)
Found = dict[tuple[str, str], str]  # what is of which generations: where it stands


def detect(source: str | Mapping[str, str], cells: bool = False) -> tuple[str, str]:
    """The generation, and the reason in words: "taken for ..." where the script fits others, too.

    Several sources by their names are judged as one; the first is the script, or they are the `cells` of a notebook,
    which go on with each other's names. What is no Python 3 is left out by lines.
    """
    sources = source if isinstance(source, Mapping) else {"": source}
    found: dict[Kind, Found] = {kind: {} for kind in Kind}
    plain = False  # the script says `keras`: what another file has of tensorflow.keras does not tell it
    reader: Reader | None = None
    alone = ""  # where it imports tensorflow
    for name, text in sources.items():
        told = _TOLD.search(text) if reader is None or cells else None
        if told:
            why = "keras_core" if told[0].endswith("keras_core") else "a remark says so"
            return "keras3", f"{_place(name, text.count(chr(10), 0, told.end()) + 1)}: {why}"
        tree, unread = parsed(text)
        reader = Reader(tree, reader if cells else None)
        if reader.of_tensorflow and not plain:
            return _of_tensorflow(name, reader)
        plain = plain or reader.of_keras
        alone = alone or (_place(name, reader.tensorflow) if reader.tensorflow else "")
        for each in [*reader.read(), *(Evidence(Kind.HABIT, "12", at, "what is no Python 3") for at in unread[:1])]:
            found[each.kind].setdefault((each.what, each.generations), _place(name, each.line))
    if alone and not plain:
        return "tf_keras", f"{alone}: tensorflow without Keras"
    return _decide(found)


def _of_tensorflow(source: str, reader: Reader) -> tuple[str, str]:
    """`tensorflow.keras` is tf.keras, or from TensorFlow 2.16 on Keras 3: its modules tell, layers may be others'."""
    names = [each for each in reader.read() if each.kind is Kind.NAME]
    only = next((each for each in names if each.generations == "3" and each.what.count(".") == 1), None)
    if only is not None and all("3" in each.generations for each in names):
        return "keras3", f"{_place(source, only.line)}: {only.what} is of Keras 3"
    return "tf_keras", f"{_place(source, reader.of_tensorflow)}: tensorflow.keras"


def _decide(found: Mapping[Kind, Found]) -> tuple[str, str]:
    """Each kind of evidence chooses among what the weightier ones left: those that have most of it."""
    left, fitting, reason = _ORDER, _ORDER, "nothing in it is older than Keras 3"
    for kind, told in found.items():
        if kind is Kind.HABIT and "3" in left:
            left = left.replace("t", "")  # only its own names tell it, where TensorFlow is not asked
        if kind is Kind.WORD and any("2" in ages and "1" not in ages for _, ages in told):
            told = {
                (what, ages if ages != "1" else "12"): place for (what, ages), place in told.items()
            }  # it knows both
        scores = {one: sum(one in ages for _, ages in told) for one in left}
        kept = "".join(one for one in left if scores[one] == max(scores.values()))
        if kept[0] != left[0]:
            telling = [each for each in told.items() if kept[0] in each[0][1] and left[0] not in each[0][1]]
            (what, ages), place = min(
                telling, key=lambda each: len(each[0][1])
            )  # what leaves the fewest to choose from
            reason = f"{place}: {what} is of {_versions(ages)}"
        left = kept
        fitting = left if kind <= Kind.WORD else fitting
    guess = f"taken for {_versions(left[0])}: " * (len(fitting) > 1)
    return _NAMES[left[0]], f"{guess}{reason}"


def _versions(ages: str) -> str:
    return " and ".join(_VERSIONS[one] for one in ages)


def _place(name: str, line: int) -> str:
    return f"{name}, line {line}" if name else f"line {line}"
