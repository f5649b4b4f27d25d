"""Weights as their generation has them, where they lie otherwise today: axes moved, turned round, gate by gate."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.operation import recorded
from ..core.weight import Known
from ..translation.weights import Layout
from .updates import Expression, made_of


def lying(weight: Any, layout: Layout, part: int = 0) -> Any:
    """What the generation has of a weight, or of its gradient; itself where that lies the same today."""
    return layout.as_old([weight])[part]


class Part(Expression):
    """What a generation has of a weight: it follows the weight, and what it is set to is set there."""

    @property
    def weight(self) -> Any:
        return self._made[1][0]  # type: ignore[index]

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.weight.name

    def assign(self, value: Any) -> Part:
        """Raises ValueError for another shape."""
        _, layout, part = self._made[1]  # type: ignore[misc]
        whole, value = self.weight.numpy(), np.asarray(value)
        own = lying(whole, layout, part)
        if own.shape != value.shape:
            raise ValueError(f"Weight {self.name!r}: expected a value of shape {own.shape}; got {value.shape}.")
        own[...] = value
        self.weight.assign(whole)
        return self

    def of_gradient(self, gradient: Any) -> Any:
        """Its gradient, of that by the weight."""
        return None if gradient is None else recorded(lying)(gradient, *self._made[1][1:])  # type: ignore[index]


def part_of(weight: Any, layout: Layout, part: int = 0) -> Part:
    made = made_of(lying, (weight, layout, part), {})
    found = made.as_subclass(Part)
    found._made = made._made
    return found


def as_listed(x: Any) -> Any:
    """A weight as its generation lists it."""
    layout = vars(x).get("_lies") if isinstance(x, Known) else None
    return x if layout is None else part_of(x, layout)


def weight_of(x: Any) -> Any:
    """The weight that a part is of."""
    return x.weight if isinstance(x, Part) else x


def get_value(self: Any, borrow: bool = False, session: object = None) -> np.ndarray:
    """A copy of a variable's value, in Theano's words; of a weight as its generation has it."""
    listed = as_listed(self)
    return (listed.anew() if isinstance(listed, Expression) else listed).detach().cpu().numpy().copy()


def set_value(self: Any, new_value: Any, borrow: bool = False) -> None:
    as_listed(self).assign(new_value)


class Setting(float):
    """A number of an optimizer, such as its momentum, that `K.set_value` changes."""

    def __new__(cls, value: float, owner: Any = None, name: str = "") -> Setting:
        made = super().__new__(cls, value)
        made.owner, made.name = owner, name
        return made

    owner: Any
    name: str

    def assign(self, value: Any) -> None:
        owner = self.owner
        setattr(owner, self.name, Setting(float(value), owner, self.name))
