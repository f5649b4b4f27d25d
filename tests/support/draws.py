"""Values for declared arguments, drawn by hypothesis from what their kinds accept; and values that fit none."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from lamina.core.declare import REQUIRED, Arg, Declared

from .declared import BASE
from .reference import ACTIVATIONS

Strategy = st.SearchStrategy[Any]
few = functools.partial(st.integers, 1)
signs = st.sampled_from((1, -1))


def grid(low: float, high: float) -> Strategy:
    """Numbers from `low` to `high`, both included, at a distance that keeps arithmetic well conditioned."""
    return st.integers(0, 8).map(lambda step: low + (high - low) * step / 8)


def rank_of(cls: Any) -> int:
    """How many spatial axes its arguments are for; 2 where the class does not say."""
    rank = getattr(cls._makes if hasattr(cls, "_makes") else cls, "rank", 2)
    return rank if isinstance(rank, int) else 2


def each(low: int, high: int) -> Callable[..., Strategy]:
    """One integer for all spatial axes, or one for each."""

    def make(cls: Any, *_: str) -> Strategy:
        number, rank = st.integers(low, high), rank_of(cls)
        return number | st.tuples(*[number] * rank) | st.lists(number, min_size=rank, max_size=rank)

    return make


def pairs(rank: int, high: int = 2) -> Strategy:
    return st.tuples(*[st.tuples(st.integers(0, high), st.integers(0, high))] * rank)


def _words(cls: Any, text: str) -> Strategy:
    words = re.findall(r'"([\w-]+)"', text)
    return st.sampled_from(words)


def _padding(cls: Any) -> Strategy:
    return st.sampled_from(["valid", "same"] + ["causal"] * (rank_of(cls) == 1 and cls._causal)) | pairs(rank_of(cls))


def _amounts(cls: Any) -> Strategy:
    one = st.integers(0, 2)
    return one | st.tuples(*[one] * max(rank_of(cls), 2)) | (pairs(rank_of(cls)) if rank_of(cls) > 1 else st.nothing())


def _number_or_pair(cls: Any) -> Strategy:
    return grid(0, 1) | st.tuples(grid(-1, 0), grid(0, 1))


activations = st.sampled_from([None, *sorted(ACTIVATIONS)])
axes = st.integers(-3, 3)
numbers = grid(-2, 2)
lists = functools.partial(st.lists, min_size=1, max_size=3)


def _choice(values: Any) -> Callable[..., Strategy]:
    return lambda cls, *_: st.sampled_from(values)


# What a kind says that it expects, and what to draw for it.
KINDS: dict[str, Callable[..., Strategy]] = {
    "a positive integer": lambda cls: few(4),
    "a non-negative integer": lambda cls: st.integers(0, 3),
    r"an integer of at least (\d+)": lambda cls, low: st.integers(int(low), int(low) + 3),
    r"an integer above (\d+)": lambda cls, low: st.integers(int(low) + 1, int(low) + 4),
    "an integer": lambda cls: axes,
    r"a number from (\d+) to (\d+)": lambda cls, low, high: grid(int(low), int(high)),
    r"a number from (\d+) to below (\d+)": lambda cls, low, high: grid(int(low), int(high) - 0.2),
    r"a (?:finite )?number of at least (\d+)": lambda cls, low: grid(int(low), int(low) + 2),
    "a number": lambda cls: numbers,
    "True or False": lambda cls: st.booleans() | st.sampled_from((0, 1)),
    '"auto", True or False': _choice(("auto", False)),
    "False": _choice((False,)),
    "1, 2 or 3": _choice((1, 2, 3)),
    '"int64"': _choice(("int64",)),
    "None: GPTQ is not available": _choice((None,)),
    r'(one of (?:"[\w-]+"(?:, )?)+)': _words,
    r'(one of "[^)]*) or a function': _words,
    '"channels_last" or "channels_first" .*': _choice((None, "channels_last", "channels_first")),
    '"valid", "same", "causal".*': _padding,
    r"a positive integer, or one for each spatial axis": each(1, 3),
    r"a positive integer, or one for each spatial axis \(None: .*": lambda cls: st.none() | each(1, 3)(cls),
    "a non-negative integer, or one for each spatial axis": each(0, 2),
    "a non-negative integer, one for each spatial axis, .*": _amounts,
    "an odd integer, or one for each of height and width": lambda cls: st.sampled_from((1, 3, (3, 1))),
    "the name of an activation, a function": lambda cls: activations,
    "the name of an initializer or an initializer": _choice(("zeros", "ones", "glorot_uniform", "he_normal")),
    "the name of a regularizer, a regularizer": _choice(("l1", "l2")),
    "the name of a constraint, a constraint": _choice(("non_neg", "unit_norm")),
    "an integer seed or a SeedGenerator": lambda cls: st.integers(0, 9),
    "a positive integer, or -1 for a group for each channel": lambda cls: st.just(-1) | few(3),
    "an integer or several": lambda cls: axes | lists(axes, unique=True),
    "several integers": lambda cls: lists(axes, unique=True),
    "an integer, several,": lambda cls: axes | lists(axes, unique=True),
    "an axis or a list of them": lambda cls: axes | lists(axes, unique=True),
    "an axis, or a pair of axes": lambda cls: axes | st.tuples(axes, axes),
    "an axis, a tuple of axes": lambda cls: axes | st.tuples(axes, axes),
    "a list of axes from 1, or one": lambda cls: few(3) | lists(few(3), unique=True),
    "a dictionary with numbers for some of .*": lambda cls: st.fixed_dictionaries(
        {}, optional={"rmin": grid(0, 1), "rmax": grid(1, 2), "dmax": grid(0, 2)}
    ),
    "a permutation of 1, 2, ...": lambda cls: few(4).flatmap(lambda n: st.permutations(range(1, n + 1))),
    "a tuple of sizes, one of which may be -1": lambda cls: st.lists(
        st.sampled_from((-1, 1, 2, 3, 4, 6)), max_size=3
    ).filter(lambda sizes: sizes.count(-1) < 2),
    "a tuple of sizes": lambda cls: st.lists(st.none() | few(3), max_size=3),
    "a size, a tuple of sizes": lambda cls: few(4) | st.tuples(few(3), few(3)),
    "a size, or a tuple of sizes and None, without the batch": lambda cls: few(3),  # goes by the equation
    "an equation of the input and a kernel": _choice(("ab,bc->ac", "abc,cd->abd", "...x,xy->...y", "ab...,bc->ac...")),
    "letters of the output": _choice(("c", "d", "y", "ac")),
    "a number or an array of numbers": lambda cls: numbers,
    "a list of numbers in increasing order": lambda cls: st.lists(numbers, max_size=4).map(sorted),
    "a pair of numbers": _choice(((0, 1), (0, 255), (-1, 1))),
    "a pair of positive integers": lambda cls: st.tuples(few(3), few(3)),
    "a list of two numbers": _choice(((0, 1), (0, 255), (-1, 1))),
    "a number, or a pair of numbers": _number_or_pair,
    "a number, or one for each of 3 channels": lambda cls: numbers | st.tuples(numbers, numbers, numbers),
    "two integers, or one": lambda cls: st.integers(0, 99) | st.tuples(st.integers(0, 99), st.integers(0, 99)),
    "an integer or a string": lambda cls: st.integers(0, 4),
    "a positive integer or several": lambda cls: few(3) | st.tuples(few(3), few(3)),
    "an array or a list of terms, .*": lambda cls: st.lists(st.integers(1, 9), min_size=1, unique=True),
    "a type of numbers": _choice(("float32", "float64")),
    "None, an array or one of .*": _choice((None, "hann", "hamming", "blackman")),
    "a string": _choice(("utf-8",)),
    "any value": lambda cls: grid(0, 1),
}  # fmt: skip
# Objects that no kind's words could make: layers, cells, functions and what belongs to values of these.
OBJECTS = (
    "a layer", "a list of layers", "a cell or a list of cells", "a list of cells", "a function", "a mask or a function",
    "a tuple of sizes or a function", "a dictionary", "an array or a list of arrays", "an array or a list of numbers",
    "a QuantizationConfig",
)  # fmt: skip


def for_kind(expected: str, cls: Any) -> Strategy | None:
    """What to draw for a kind; None where nothing can be drawn from its words."""
    for pattern, make in KINDS.items():
        found = re.fullmatch(pattern, expected)
        if found:
            return make(cls, *found.groups())
    if expected.endswith(" or None"):
        inner = for_kind(expected.removesuffix(" or None"), cls)
        return st.none() if inner is None else st.none() | inner
    return None


def own(cls: type[Declared]) -> dict[str, Arg]:
    """The class's arguments but for those every layer takes."""
    return {name: a for name, a in cls._args.items() if name not in BASE}


def arguments(cls: type[Declared], given: dict[str, Strategy] | None = None, **fixed: Any) -> Strategy:
    """Any of the class's own arguments, each mostly left out; `given` has other strategies, `fixed` values for some."""
    given = given or {}
    needed, others = {name: st.just(value) for name, value in fixed.items()}, {}
    for name, a in own(cls).items():
        strategy = given[name] if name in given else for_kind(a.kind.expected, cls)
        if strategy is not None and name not in fixed:
            (needed if a.default is REQUIRED or name in given else others)[name] = strategy
    return st.fixed_dictionaries(needed, optional=others)


# What hardly any argument means.
ODD: Strategy = st.one_of(
    st.sampled_from([
        None, "", "no such word", "3", b"same", math.nan, math.inf, -math.inf, -1, 0, 10**30, -(2**63), 2.5, 1j, True,
        (), [], {}, [[]], [None], {"class_name": "Dense"}, {"class_name": "Dense", "config": {}}, {"config": None},
        {1, 2}, object(), int, np.float64("nan"), np.int64(3), np.array([]), np.ones((2, 2)), np.array("a"), range(3),
        (1, "a"), [1.5, 2], (-1, -1), ("a", "b", "c"), np.array([1, None]), np.datetime64("2020-01-01"), ..., slice(3),
    ]),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.integers(-9, 9) | st.floats() | st.text(max_size=2), max_size=4),
    st.dictionaries(st.text(max_size=3), st.integers(-9, 9), max_size=2),
)  # fmt: skip
