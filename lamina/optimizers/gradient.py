"""Rules that scale the gradient by its own history: SGD, RMSprop, Adagrad, Adadelta, Ftrl, Lion."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softshrink

from ..core.declare import arg, boolean, number
from .base import (
    Group,
    Number,
    Rule,
    approach,
    average_squares,
    descend,
    descend_quotient,
    fraction,
    lists,
    raise_by,
    rate,
    shrink,
    typed_as,
)

_PLAIN = {"weight_decay": 0.0, "momentum": 0.0, "dampening": 0.0}
_fused_sgd: Any = partial(lists._fused_sgd_, **_PLAIN, nesterov=False, maximize=False, is_first_step=False)


def _fuses(weights: list[Tensor]) -> bool:
    """Whether torch's fused kernel may be used: of half precision on a CPU it leaves most values (up to torch 2.13)."""
    return weights[0].dtype.itemsize > 2 or not weights[0].is_cpu


def _step(weights: list[Tensor], updates: list[Tensor], rate: Number, decay: float = 0.0) -> None:
    """weights -= rate * (updates + decay * weights)"""
    if _fuses(weights):
        rate = rate.float() if isinstance(rate, Tensor) else rate  # the kernel reads no other type
        _fused_sgd(weights, updates, [], lr=rate, weight_decay=decay)
        return
    if decay:
        shrink(weights, rate * decay)
    descend(weights, updates, rate)


class SGD(Rule):
    """Gradient descent: w -= learning_rate * g; with momentum v = momentum * v - learning_rate * g, w += v.

    Nesterov's form steps by momentum * v - learning_rate * g.
    """

    learning_rate: float = arg(rate, default=0.01, doc="Step size.", config=False)
    momentum: float = arg(number(0, 1), default=0.0, doc="Share of the last step that is repeated.")
    nesterov: bool = arg(boolean, default=False, doc="Look ahead by the momentum.")

    def _slots_of_rule(self) -> list[tuple[str, ...]]:
        return [("momentum",)] if self.momentum else []

    def _update(self, group: Group, grads: list[Tensor], rate: Number, step: Number, decay: float) -> None:
        weights, grads, velocities = group.as_they_lie(group.weights, grads, group.state.get("momentum", []))
        if not self.momentum:
            _step(weights, grads, rate, decay)
            return
        if decay:
            shrink(weights, rate * decay)
        if isinstance(rate, Tensor) or not _fuses(weights):
            lists._foreach_mul_(velocities, self.momentum)
            descend(velocities, grads, rate)
            lists._foreach_add_(weights, velocities, alpha=self.momentum if self.nesterov else 1.0)
        else:
            # torch adds (1 - dampening) * g to the velocity and subtracts the velocity lr times: here -rate and -1.
            share = -self.momentum if self.nesterov else -1.0
            _fused_sgd(weights, grads, velocities, lr=share, momentum=self.momentum, dampening=1 + rate)
        if self.nesterov:
            _step(weights, grads, rate)


class RMSprop(Rule):
    """w -= learning_rate * g / sqrt(v + epsilon), v the running mean of g^2, `centered` of its variance.

    Hinton, Neural Networks for Machine Learning, lecture 6, 2012.
    """

    rho: float = arg(number(0, 1), default=0.9, doc="Share of the old mean kept each step.")
    momentum: float = arg(number(0, 1), default=0.0, doc="Share of the last step that is repeated.")
    epsilon: float = arg(number(0), default=1e-7, doc="Keeps the denominator above zero.")
    centered: bool = arg(boolean, default=False, doc="Subtract the squared mean gradient.")

    def _slots_of_rule(self) -> list[tuple[str, ...]]:
        names = [("velocity",)]
        names += [("momentum",)] if self.momentum else []
        return [*names, ("average_gradient",)] if self.centered else names

    def _rule(self, group: Group, grads: list[Tensor], rate: Number, step: Number) -> None:
        squares = group.state["velocity"]
        average_squares(squares, grads, self.rho)
        denominators = lists._foreach_add(squares, self.epsilon)
        if self.centered:
            means = group.state["average_gradient"]
            lists._foreach_lerp_(means, grads, 1 - self.rho)
            lists._foreach_addcmul_(denominators, means, means, -1)
        lists._foreach_sqrt_(denominators)
        if self.momentum:
            steps = group.state["momentum"]
            lists._foreach_mul_(steps, -self.momentum)
            descend_quotient(steps, grads, denominators, rate)
            lists._foreach_add_(group.weights, steps)
            lists._foreach_neg_(steps)
        else:
            descend_quotient(group.weights, grads, denominators, rate)


class Adagrad(Rule):
    """w -= learning_rate * g / sqrt(a + epsilon), a the sum of g^2. Duchi, Hazan and Singer, 2011."""

    initial_accumulator_value: float = arg(number(0), default=0.1, doc="First value of the sum.")
    epsilon: float = arg(number(0), default=1e-7, doc="Keeps the denominator above zero.")

    _state_of_weight = ("accumulator",)

    def _initial(self, name: str, weight: Tensor) -> Tensor:
        if name == "accumulator":
            return torch.full_like(weight, self.initial_accumulator_value)
        return super()._initial(name, weight)

    def _rule(self, group: Group, grads: list[Tensor], rate: Number, step: Number) -> None:
        sums = group.state["accumulator"]
        lists._foreach_addcmul_(sums, grads, grads)
        denominators = lists._foreach_add(sums, self.epsilon)
        lists._foreach_sqrt_(denominators)
        descend_quotient(group.weights, grads, denominators, rate)


class Adadelta(Rule):
    """Steps of the size of earlier steps: w -= learning_rate * g * rms(steps) / rms(gradients). Zeiler, 2012."""

    rho: float = arg(number(0, 1), default=0.95, doc="Share of the old means kept each step.")
    epsilon: float = arg(number(0), default=1e-7, doc="Keeps both means above zero.")

    _state_of_weight = ("accumulated_grad", "accumulated_delta_var")

    def _rule(self, group: Group, grads: list[Tensor], rate: Number, step: Number) -> None:
        squares, steps = group.state["accumulated_grad"], group.state["accumulated_delta_var"]
        average_squares(squares, grads, self.rho)
        updates = lists._foreach_add(steps, self.epsilon)
        lists._foreach_div_(updates, lists._foreach_add(squares, self.epsilon))
        lists._foreach_sqrt_(updates)
        lists._foreach_mul_(updates, grads)
        average_squares(steps, updates, self.rho)
        descend(group.weights, updates, rate)


not_positive = number(maximum=0)


class Ftrl(Rule):
    """Follow the regularized leader, with shrinkage: McMahan et al., Ad Click Prediction, 2013.

    a, b: sum of g^2 before and after; p = -learning_rate_power; z += g + 2 * shrinkage * w - (b^p - a^p) / lr * w;
    w = -lr * shrink(z, l1) / (b^p + beta + 2 * lr * l2), shrink(z, l1) = z - clip(z, -l1, l1).
    """

    learning_rate_power: float = arg(not_positive, default=-0.5, doc="How fast the step size falls; 0 keeps it.")
    initial_accumulator_value: float = arg(number(0), default=0.1, doc="First value of the sum of squares.")
    l1_regularization_strength: float = arg(number(0), default=0.0)
    l2_regularization_strength: float = arg(number(0), default=0.0)
    l2_shrinkage_regularization_strength: float = arg(number(0), default=0.0, doc="Penalty inside the gradient.")
    beta: float = arg(number(0), default=0.0, doc="Added to the denominator of the step size.")

    _state_of_weight = ("accumulator", "linear")

    def _initial(self, name: str, weight: Tensor) -> Tensor:
        if name == "accumulator":
            return torch.full_like(weight, self.initial_accumulator_value)
        return super()._initial(name, weight)

    def _rule(self, group: Group, grads: list[Tensor], rate: Number, step: Number) -> None:
        if isinstance(rate, float) and rate == 0:
            return
        sums, linear = group.state["accumulator"], group.state["linear"]
        power, limit = -self.learning_rate_power, self.l1_regularization_strength
        before = _power(sums, power)
        lists._foreach_addcmul_(sums, grads, grads)
        after = _power(sums, power)
        lists._foreach_add_(linear, grads)
        if self.l2_shrinkage_regularization_strength:
            lists._foreach_add_(linear, group.weights, alpha=2 * self.l2_shrinkage_regularization_strength)
        lists._foreach_sub_(before, after)
        lists._foreach_mul_(before, group.weights)
        descend(linear, before, -1 / rate)
        raise_by(after, self.beta + 2 * self.l2_regularization_strength * rate)
        solved = [softshrink(tensor, limit) for tensor in linear]
        lists._foreach_div_(solved, after)
        lists._foreach_mul_(solved, typed_as(-rate, solved))
        lists._foreach_copy_(group.weights, solved)


def _power(tensors: list[Tensor], power: float) -> Sequence[Tensor]:
    return lists._foreach_sqrt(tensors) if power == 0.5 else lists._foreach_pow(tensors, power)


class Lion(Rule):
    """w -= learning_rate * sign(beta_1 * m + (1 - beta_1) * g), then m moves towards g by 1 - beta_2.

    Chen et al., Symbolic Discovery of Optimization Algorithms, 2023.
    """

    beta_1: float = arg(number(0, 1), default=0.9, doc="Share of the momentum in the step.")
    beta_2: float = arg(fraction, default=0.99, doc="Share of the old momentum kept each step.")

    _state_of_weight = ("momentum",)

    def check(self) -> None:
        super().check()
        if self.beta_1 == 0:
            raise ValueError("Lion: argument `beta_1` must be above 0; with 0 the momentum would have no effect.")

    def _rule(self, group: Group, grads: list[Tensor], rate: Number, step: Number) -> None:
        momenta = group.state["momentum"]
        directions = lists._foreach_mul(momenta, self.beta_1)
        lists._foreach_add_(directions, grads, alpha=1 - self.beta_1)
        lists._foreach_sign_(directions)
        descend(group.weights, directions, rate)
        approach(momenta, grads, 1 - self.beta_2)
