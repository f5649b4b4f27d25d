"""Nested structures: lists, tuples, named tuples, deques and dictionaries with leaves of any kind.

None is a leaf. Leaves of a dictionary come in the order of its keys sorted, those of an OrderedDict in its own order.
A structure that does not fit another raises ValueError.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from torch.utils import _pytree as pytree

from .core.symbolic import is_shape

Structure = Any  # leaves of any kind in lists, tuples, named tuples, deques and dictionaries, or one leaf alone

__all__ = [
    "MAP_TO_NONE", "assert_same_paths", "assert_same_structure", "flatten", "flatten_with_path", "is_nested",
    "lists_to_tuples", "map_shape_structure", "map_structure", "map_structure_up_to", "pack_sequence_as", "traverse",
]  # fmt: skip


class MAP_TO_NONE:
    """What a function for `traverse` returns to put None in the place of its argument."""


def _children(structure: Structure) -> tuple[list[Any], Any]:
    """What stands directly inside a structure, in its own order, and the rule that puts others in their places."""
    return pytree.tree_flatten(structure, is_leaf=lambda part: part is not structure)


def is_nested(structure: Structure) -> bool:
    """Whether it is a structure and no leaf."""
    return not _children(structure)[1].is_leaf()


def _sorted(structure: Structure) -> Structure:
    if isinstance(structure, defaultdict):
        return defaultdict(structure.default_factory, {key: structure[key] for key in sorted(structure)})
    return {key: structure[key] for key in sorted(structure)} if type(structure) is dict else structure


def _in_order(structure: Structure) -> Structure:
    """The structure with the keys of its dictionaries sorted, at every depth."""
    return traverse(lambda part: None, structure)


def traverse(func: Callable[[Any], Any], structure: Structure, top_down: bool = True) -> Structure:
    """The structure with `func` called on all its parts; what it returns takes their place, unless that is None.

    top_down: call it on a structure before its parts, which are left alone where it returned something; else after
    them. `MAP_TO_NONE` stands for None.
    """
    _check_callable(func, "traverse")

    def visit(part: Structure) -> Structure:
        part = _sorted(part)
        found = func(part) if top_down else None
        if found is None:
            children, rule = _children(part)
            if not rule.is_leaf():
                part = pytree.tree_unflatten([visit(child) for child in children], rule)
            found = None if top_down else func(part)
        return part if found is None else None if found is MAP_TO_NONE else found

    return visit(structure)


def flatten(structure: Structure) -> list[Any]:
    """All leaves."""
    return pytree.tree_leaves(_in_order(structure))


def flatten_with_path(structure: Structure) -> list[tuple[tuple[Any, ...], Any]]:
    """All leaves, each as (path, leaf): the keys and positions that lead to it."""
    return list(_with_paths(_sorted(structure)))


def _with_paths(structure: Structure) -> Iterator[tuple[tuple[Any, ...], Any]]:
    children, rule = _children(structure)
    if rule.is_leaf():
        yield (), structure
        return
    for key, child in zip(structure if isinstance(structure, dict) else range(len(children)), children, strict=True):
        yield from (((key, *path), leaf) for path, leaf in _with_paths(_sorted(child)))


def map_structure(func: Callable, *structures: Structure, none_is_leaf: bool = True) -> Structure:
    """A structure like the first, of what `func` makes of the leaves at the same place in all of them.

    none_is_leaf: with False, where all have None stays None.
    """
    return map_structure_up_to(_first(structures), _on_values(func, none_is_leaf), *structures)


def _on_values(func: Callable, none_is_leaf: bool) -> Callable:
    _check_callable(func, "map_structure")
    if none_is_leaf:
        return func

    def on_values(*leaves: Any) -> Structure:
        if leaves[0] is not None:
            return func(*leaves)
        if any(leaf is not None for leaf in leaves):
            raise ValueError(f"map_structure: expected None in all structures where one has it; got {leaves}.")
        return None

    return on_values


def map_structure_up_to(shallow_structure: Structure, func: Callable, *structures: Structure) -> Structure:
    """A structure like `shallow_structure`, of what `func` makes of the parts at its leaves' places in the others."""
    _check_callable(func, "map_structure_up_to")
    _first(structures)
    return pytree.tree_map(lambda _, *parts: func(*parts), shallow_structure, *structures)


def _first(structures: tuple) -> Structure:
    if not structures:
        raise ValueError("Expected at least one structure; got none.")
    return structures[0]


def pack_sequence_as(structure: Structure, flat_sequence: Iterable[Any]) -> Structure:
    """The structure with leaves from `flat_sequence`, in the order of `flatten`."""
    return pytree.tree_unflatten(list(flat_sequence), pytree.tree_structure(_in_order(structure)))


def assert_same_structure(a: Structure, b: Structure, check_types: bool | None = None) -> None:
    """Raises ValueError unless both are nested alike, in containers of the same types."""
    if check_types is not None:
        warnings.warn(
            "assert_same_structure: `check_types` says nothing; `assert_same_paths` takes lists and tuples for alike.",
            DeprecationWarning,
            stacklevel=2,
        )
    pytree.tree_structure(a).flatten_up_to(b)
    pytree.tree_structure(b).flatten_up_to(a)


def assert_same_paths(a: Structure, b: Structure) -> None:
    """Raises ValueError unless both have leaves at the same paths, in containers of whatever types."""
    paths, others = ({path for path, _ in flatten_with_path(structure)} for structure in (a, b))
    if paths != others:
        raise ValueError(
            f"assert_same_paths: expected the same paths; {sorted(paths - others, key=repr)} are in the first alone, "
            f"{sorted(others - paths, key=repr)} in the second."
        )


def lists_to_tuples(structure: Structure) -> Structure:
    """The structure with tuples in place of lists, at every depth."""
    return traverse(lambda part: tuple(part) if isinstance(part, list) else None, structure, top_down=False)


def map_shape_structure(func: Callable, structure: Structure) -> Structure:
    """A structure of what `func` makes of shapes: tuples or lists of integers and None."""
    _check_callable(func, "map_shape_structure")
    return pytree.tree_map(func, structure, is_leaf=is_shape)


def _check_callable(func: Any, where: str) -> None:
    if not callable(func):
        raise TypeError(f"{where}: `func` must be callable; got {func!r}.")
