"""Rules with running means of the gradient and of its square: Adam and its kin."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from ..core.declare import arg, boolean, number
from .base import (
    Group,
    Number,
    Rule,
    approach,
    average_squares,
    descend_quotient,
    fraction,
    lists,
    raise_by,
    rate,
    shrink,
    typed_as,
)


def fused_adam(
    group: Group,
    grads: list[Tensor],
    rate: Number,
    step: Number,
    decay: float,
    betas: tuple[float, float],
    epsilon: float,
    peaks: list[Tensor] | None = None,
) -> None:
    """w -= rate * c * m / (sqrt(v) + epsilon): m, v running means of g and g^2, c corrects them for their start at 0.

    torch corrects v inside the square root, which would put epsilon elsewhere. Told that endless steps have passed it
    corrects nothing, and its learning rate carries c.
    """
    weights, state = group.weights, group.state
    if "endless" not in state:
        state["endless"] = [torch.tensor(math.inf, device=weights[0].device)] * len(weights)
    correction = (1 - betas[1] ** step) ** 0.5 / (1 - betas[0] ** step)
    alpha = rate * correction
    if isinstance(alpha, Tensor):
        alpha = alpha.float()
        if decay:
            shrink(weights, rate * decay)
            decay = 0.0
    lists._fused_adamw_(
        *group.as_they_lie(weights, grads, state["momentum"], state["velocity"], peaks or []),
        state["endless"],
        lr=alpha,
        beta1=betas[0],
        beta2=betas[1],
        weight_decay=decay / correction if decay else 0.0,
        eps=epsilon,
        amsgrad=bool(peaks),
        maximize=False,
    )


class _Moments(Rule):
    beta_1: float = arg(fraction, default=0.9, doc="Share of the old mean gradient kept each step.")
    beta_2: float = arg(fraction, default=0.999, doc="Share of the old mean square kept each step.")
    epsilon: float = arg(number(0), default=1e-7, doc="Keeps the denominator above zero.")

    _state_of_weight = ("momentum", "velocity")


class Adam(_Moments):
    """w -= learning_rate * m / (sqrt(v) + epsilon), m and v running means of g and g^2, corrected for their start at 0.

    Kingma and Ba, 2015; epsilon stands where the paper's "epsilon hat" does. AMSGrad: Reddi et al., 2018.
    """

    amsgrad: bool = arg(boolean, default=False, doc="Divide by the largest mean square so far.")

    def _slots_of_rule(self) -> list[tuple[str, ...]]:
        names = super()._slots_of_rule()
        return [*names, ("velocity_hat",)] if self.amsgrad else names

    def _update(self, group: Group, grads: list[Tensor], rate: Number, step: Number, decay: float) -> None:
        peaks = group.state["velocity_hat"] if self.amsgrad else None
        fused_adam(group, grads, rate, step, decay, (self.beta_1, self.beta_2), self.epsilon, peaks)


class AdamW(Adam):
    """Adam with weight decay apart from the gradient. Loshchilov and Hutter, 2019."""

    _order = ("learning_rate", "weight_decay")
    weight_decay: float = arg(
        number(0), default=0.004, doc="Each step first shrinks the weights by learning_rate * weight_decay."
    )


class Adamax(_Moments):
    """w -= learning_rate / (1 - beta_1^t) * m / (u + epsilon), u = max(beta_2 * u, |g|). Kingma and Ba, 2015."""

    _state_of_weight = ("momentum", "norm")

    def _rule(self, group: Group, grads: list[Tensor], rate: Number, step: Number) -> None:
        means, peaks = group.state["momentum"], group.state["norm"]
        lists._foreach_lerp_(means, grads, 1 - self.beta_1)
        lists._foreach_mul_(peaks, self.beta_2)
        lists._foreach_maximum_(peaks, lists._foreach_abs(grads))
        denominators = lists._foreach_add(peaks, self.epsilon)
        descend_quotient(group.weights, means, denominators, rate / (1 - self.beta_1**step))


class Nadam(_Moments):
    """Adam with Nesterov momentum, whose share grows with the steps. Dozat, 2016."""

    _begins_anew = False  # the product of these shares, where a file does not hold it

    def build(self, variables: Iterable[Tensor]) -> None:
        if not self.built:
            super().build(variables)
            self._product = self._add_scalar(1.0, torch.float32, "variable")

    def _update_all(self, pairs: list, rate: Number, step: Number) -> None:
        self._product.mul_(self._share(step))
        super()._update_all(pairs, rate, step)

    def _share(self, step: Number) -> Number:
        return self.beta_1 * (1 - 0.5 * 0.96**step)

    def _rule(self, group: Group, grads: list[Tensor], rate: Number, step: Number) -> None:
        means, squares = group.state["momentum"], group.state["velocity"]
        lists._foreach_lerp_(means, grads, 1 - self.beta_1)
        average_squares(squares, grads, self.beta_2)
        correction = (1 - self.beta_2**step) ** 0.5
        denominators = lists._foreach_sqrt(squares)
        raise_by(denominators, self.epsilon * correction)
        product = self._product.detach().double() if self.capturable else self._product.item()
        rate, following = rate * correction, self._share(step + 1)
        descend_quotient(group.weights, means, denominators, rate * following / (1 - product * following))
        descend_quotient(group.weights, grads, denominators, rate * (1 - self._share(step)) / (1 - product))


class Lamb(_Moments):
    """Adam's step, for each weight rescaled to the size of the weight. You et al., 2020."""

    _in_parts = False

    def _rule(self, group: Group, grads: list[Tensor], rate: Number, step: Number) -> None:
        means, squares = group.state["momentum"], group.state["velocity"]
        lists._foreach_lerp_(means, grads, 1 - self.beta_1)
        average_squares(squares, grads, self.beta_2)
        updates = lists._foreach_sqrt(squares)
        lists._foreach_div_(updates, typed_as((1 - self.beta_2**step) ** 0.5, updates))
        raise_by(updates, self.epsilon)
        lists._foreach_mul_(updates, typed_as(1 - self.beta_1**step, updates))
        lists._foreach_reciprocal_(updates)
        lists._foreach_mul_(updates, means)
        sizes = torch.stack(lists._foreach_norm(group.weights))
        steps = torch.stack(lists._foreach_norm(updates))
        ratios = torch.where((sizes > 0) & (steps > 0), sizes / steps, 1.0) * rate
        lists._foreach_mul_(updates, ratios.unbind())
        lists._foreach_sub_(group.weights, updates)


class ScheduleFreeAdamW(_Moments):
    """Adam whose weights average the path, so that no schedule is needed. Defazio et al., 2024.

    z -= learning_rate * g / (sqrt(v) + epsilon), and w is the mean of all z. Keras 3.15 takes `beta_1`, with which the
    paper mixes z into w, and computes so on torch and on TensorFlow, whatever its value.
    """

    learning_rate: float = arg(rate, default=0.0025, doc="Step size.", config=False)
    beta_1: float = arg(fraction, default=0.9, doc="Accepted for Keras' sake.")
    epsilon: float = arg(number(0), default=1e-8, doc="Keeps the denominator above zero.")
    warmup_steps: float = arg(number(0), default=0, doc="Steps in which the step size rises from 0.")

    def _initial(self, name: str, weight: Tensor) -> Tensor:
        return weight.clone() if name == "momentum" else super()._initial(name, weight)

    def _rule(self, group: Group, grads: list[Tensor], rate: Number, step: Number) -> None:
        iterates, squares = group.state["momentum"], group.state["velocity"]
        if self.warmup_steps:
            risen = step / self.warmup_steps
            rate = rate * (risen.clamp(max=1) if isinstance(risen, Tensor) else min(risen, 1.0))
        average_squares(squares, grads, self.beta_2)
        correction = (1 - self.beta_2**step) ** 0.5
        denominators = lists._foreach_sqrt(squares)
        raise_by(denominators, self.epsilon * correction)
        descend_quotient(iterates, grads, denominators, rate * correction)
        approach(group.weights, iterates, 1 / step)
