"""Layers and weights inside plain lists, tuples and dictionaries."""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterator
from typing import Any

from torch import nn

from .weight import Known


class Children(nn.Module):
    """Makes the layers and variables in a plain list, tuple or dict attribute visible to torch, whatever is appended
    later. A weight that a layer holds as an attribute is that layer's already."""

    def __init__(self, items: list | tuple | dict, by_key: bool = False, around: tuple = ()):
        """by_key: dictionaries give what they hold in the order of their keys."""
        self.__dict__.update(_items=items, _by_key=by_key, _around=(*around, id(items)))  # a list may hold itself
        super().__init__()

    def _named(self) -> Iterator[tuple[str, Any]]:
        items = self.__dict__["_items"]
        pairs = [*(items.items() if isinstance(items, dict) else enumerate(items))]
        if self.__dict__["_by_key"] and len({type(key) for key, _ in pairs}) == 1:
            pairs.sort(key=operator.itemgetter(0))
        yield from ((str(key), item) for key, item in pairs)

    @property
    def _modules(self) -> dict[str, nn.Module]:  # type: ignore[override]
        found = {}
        for key, item in self._named():
            if isinstance(item, nn.Module):
                found[key] = item
            elif isinstance(item, (list, tuple, dict)) and id(item) not in self.__dict__["_around"]:
                found[key] = Children(item, self.__dict__["_by_key"], self.__dict__["_around"])
        return found

    @property
    def _parameters(self) -> dict[str, Any]:  # type: ignore[override]
        return {key: item for key, item in self._named() if isinstance(item, Known) and not item.adopted}

    def live(self) -> Collection[Any]:
        """What it holds at any time; nothing of a list of other things, which may grow with every call."""
        items = self.__dict__["_items"]
        if not may_hold_parts(items):
            return ()
        return items.values() if isinstance(items, dict) else items

    def loose(self) -> list[Any]:
        """The weights inside, through lists and dicts, which are no attributes."""
        return [item for item in leaves(self.__dict__["_items"]) if isinstance(item, Known) and not item.adopted]

    def _ignore(self, value: dict[str, Any]) -> None:
        """What is inside is read from the items alone."""

    _modules, _parameters = _modules.setter(_ignore), _parameters.setter(_ignore)


class Aside(nn.Module):
    """Modules in a list, tuple or dict that train and move with the module which holds them, and are no part of it."""

    def __init__(self, items: list | tuple | dict):
        super().__init__()
        self._modules["items"] = Children(items)

    def named_modules(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        return iter(())


def may_hold_parts(value: object) -> bool:
    """Whether an attribute holds modules or weights, or may do so later: what is empty, or has gaps, is filled."""
    if isinstance(value, tuple) and not any(isinstance(item, (*_PARTS, list, tuple, dict)) for item in value):
        return False
    found = list(leaves([value]))
    return all(item is None for item in found) or any(isinstance(item, _PARTS) for item in found)


_PARTS = (nn.Module, Known)


def leaves(items: list | tuple | dict, seen: set[int] | None = None) -> Iterator[Any]:
    """What is inside, through lists and dicts, each of which is looked into once."""
    seen = {id(items)} if seen is None else seen
    for item in items.values() if isinstance(items, dict) else items:
        if not isinstance(item, (list, tuple, dict)):
            yield item
        elif id(item) not in seen:
            seen.add(id(item))
            yield from leaves(item, seen)


def inside(children: nn.Module) -> Iterator[Any]:
    """The modules directly inside this one, through lists and dicts."""
    for child in children._modules.values():
        if isinstance(child, Children):
            yield from inside(child)
        elif child is not None and type(child) is not Aside:
            yield child


class Counts:
    """Base of metrics, by which layers know those that they hold."""


def may_count(value: object) -> bool:
    """Whether an attribute is a metric, or holds some now or later."""
    return isinstance(value, (Counts, list, dict)) or (isinstance(value, tuple) and any(map(may_count, value)))


def metrics_of(module: nn.Module, aside: Collection[str] = ()) -> list[Any]:
    """The metrics that a module holds as attributes, alone or in lists or dictionaries, but for the names `aside`."""
    found: list[Any] = []
    if not vars(module).get("_may_count", True):
        return found
    for name, value in vars(module).items():
        if name not in aside and isinstance(value, (Counts, list, tuple, dict)):
            held = [value] if isinstance(value, Counts) else value.values() if isinstance(value, dict) else value
            found += [item for item in held if isinstance(item, Counts)]
    return found
