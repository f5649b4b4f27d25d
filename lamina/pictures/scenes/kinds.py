"""Which pictures a layer has: the files beside this one register a function for each kind of layer."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from torch.utils import _pytree as pytree

from ...layers import attention, merge, recurrent
from ..said import Language
from ..scene import Scene

Shape = tuple[int | None, ...]


class At(NamedTuple):
    """A call that is drawn: the shapes (batch, ...) of all inputs and outputs, the batch unknown, and the language."""

    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    language: Language

    def of_a_step(self) -> At:
        """The call of a layer that is inside another one, on a step of its first axis."""
        inputs, outputs = (tuple((each[0], *each[2:]) for each in shapes) for shapes in self[:2])
        return At(inputs, outputs, self.language)


def together(layer: Any, shapes: list[Any]) -> tuple:
    """The shapes as the arguments of a call: one after the other, or as one list."""
    if isinstance(layer, attention._Projected):
        return tuple(shapes)
    if isinstance(layer, (recurrent._Cell, recurrent.StackedRNNCells)):
        return shapes[0], [(None, size) for size in pytree.tree_leaves(layer.state_size)]
    return (shapes,) if len(shapes) > 1 or isinstance(layer, merge.OfSeveral) else (shapes[0],)


@functools.singledispatch
def scenes(layer: Any, at: At) -> list[Scene]:
    """Pictures of a built layer, the most telling first; none for a kind that has none.

    They are drawn from the layer's own attributes and the arithmetic it computes with. Long axes are cut where the
    rest would repeat what is seen, and a note says so.
    """
    return []
