"""Nested structures: what `keras.tree` of Keras 3.15 on torch answered, and what only Lamina says."""

from __future__ import annotations

import json
from collections import OrderedDict, defaultdict, deque, namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamina import tree

CASES = json.loads((Path(__file__).parent / "golden" / "keras3" / "tree.json").read_text())
P = namedtuple("P", "y x")
NAMES: dict[str, Any] = {
    "tree": tree,
    "P": P,
    "S": ({"b": 1, "a": [2, None]}, P(3, (4,))),
    "OrderedDict": OrderedDict,
    "defaultdict": defaultdict,
    "deque": deque,
    "np": np,
}


@pytest.mark.parametrize(("code", "answer"), CASES, ids=[code for code, _ in CASES])
def test_as_recorded(code: str, answer: str) -> None:
    if answer.startswith("!"):
        with pytest.raises({"ValueError": ValueError, "TypeError": TypeError}[answer[1:]]):
            eval(code, NAMES)
    else:
        if answer.startswith("OrderedDict"):
            answer = repr(eval(answer, NAMES))  # Python 3.12 spells it otherwise
        assert repr(eval(code, NAMES)) == answer


def test_paths_of_named_tuples_are_positions() -> None:
    assert tree.flatten_with_path(NAMES["S"][1]) == [((0,), 3), ((1, 0), 4)]


def test_a_check_of_types_says_nothing() -> None:
    with pytest.warns(DeprecationWarning, match="assert_same_paths"):
        tree.assert_same_structure([1], [2], check_types=False)


def test_structures_stay_the_callers() -> None:
    given = {"b": [1], "a": [2]}
    tree.map_structure(lambda leaf: 0, given)
    tree.traverse(lambda part: 0 if part == 1 else None, given)
    assert list(given.items()) == [("b", [1]), ("a", [2])]
