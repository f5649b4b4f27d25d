"""Initializers, constraints, regularizers and optimizers of older generations that compute something of their own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .. import initializers, optimizers
from ..constraints import Constraint
from ..core.declare import arg, number
from ..optimizers.base import average_squares, descend_quotient, lists
from ..regularizers import Regularizer
from .activations import makes_graph


class VarianceScalingOfVectors(initializers.VarianceScaling):
    """A vector's fans are the square root of its size (Keras 2)."""

    def _fill(self, values: Tensor, stream: torch.Generator | None) -> Tensor:
        drawn = super()._fill(values, stream)
        return drawn.mul_(values.numel() ** 0.25) if values.ndim == 1 else drawn


class RadialConstraint(Constraint):
    """Kernels (n, n, in, out) that are equal along squares around their centre: of each, the value on the diagonal.

    An odd n's centre has the value before it, and each square that of the square inside it, as in tf.keras.
    """

    def __call__(self, w: Tensor) -> Tensor:
        if w.ndim != 4:
            raise ValueError(f"RadialConstraint: expected a kernel of 4 axes; got shape {tuple(w.shape)}.")
        size = w.shape[0]
        distance = (2 * torch.arange(size, device=w.device) - (size - 1)).abs() // 2
        square = torch.maximum(distance[:, None], distance)
        place = size // 2 - 1 + square + (square > 0) * (size % 2 == 0)
        return w[place, place]


class RMSpropByRoot(optimizers.RMSprop):
    """epsilon is added to the root of the mean square (Keras 1 and 2), without a momentum."""

    def _rule(self, group: Any, grads: list[Tensor], rate: Any, step: Any) -> None:
        if self.momentum:
            super()._rule(group, grads, rate, step)
            return
        squares = group.state["velocity"]
        average_squares(squares, grads, self.rho)
        if self.centered:
            means = group.state["average_gradient"]
            lists._foreach_lerp_(means, grads, 1 - self.rho)
            squares = lists._foreach_addcmul(squares, means, means, -1)
        _descend_by_root(group, grads, squares, rate, self.epsilon)


class AdagradByRoot(optimizers.Adagrad):
    """epsilon is added to the root of the sum of squares (Keras 1 and 2)."""

    def _rule(self, group: Any, grads: list[Tensor], rate: Any, step: Any) -> None:
        sums = group.state["accumulator"]
        lists._foreach_addcmul_(sums, grads, grads)
        _descend_by_root(group, grads, sums, rate, self.epsilon)


def _descend_by_root(group: Any, grads: list[Tensor], squares: list[Tensor], rate: Any, epsilon: float) -> None:
    denominators = lists._foreach_sqrt(squares)
    lists._foreach_add_(denominators, epsilon)
    descend_quotient(group.weights, grads, denominators, rate)


class NadamBySchedule(optimizers.Nadam):
    """With a `schedule_decay` the momentum's share grows as much slower, as in Keras 1 and 2."""

    schedule_decay: float = arg(number(0), default=0.004, kw_only=True, doc="How fast the momentum's share grows.")

    def _share(self, step: Any) -> Any:
        return super()._share(step * self.schedule_decay)


class NadamOfGraphs(NadamBySchedule):
    """In graphs of TensorFlow the product of the momentum's shares takes in one with every weight, but for the weight
    whose number is the step's (tf.keras, which counts there while it traces: twice where the weights' state is new)."""

    _begins_anew = True
    _vanished = 1e-17  # beside 1
    _first: Any = None  # step

    def _update_all(self, pairs: list, rate: Any, step: Any) -> None:
        if not makes_graph():
            super()._update_all(pairs, rate, step)
            return
        self._first = step + 0 if self._first is None else self._first
        each = super(optimizers.Nadam, self)._update_all
        if not self.capturable and self._product.item() < self._vanished:
            each(pairs, rate, step)
            return
        apart = [
            (first, (group.only([at]), [grads[at]])) for group, grads in pairs for at, first in enumerate(group.index)
        ]
        counted = step - len(apart) * (self._first == 1)
        for place, (_, one) in enumerate(sorted(apart, key=lambda pair: pair[0])):
            self._product.mul_(self._share(step) ** (counted != place))
            each([one], rate, step)


class EigenvalueRegularizer(Regularizer):
    """`k` times the square root of the largest eigenvalue of `w.T @ w`, by power iteration."""

    k: float = arg(number(0), doc="Weight of the penalty.")

    def __call__(self, x: Tensor) -> Tensor:
        square = x.T @ x
        vector = x.new_ones(square.shape[0], 1)
        for _ in range(9):
            vector = square @ vector
            vector = vector / torch.linalg.vector_norm(vector)
        return self.k * (vector.T @ square @ vector).sum().sqrt()
