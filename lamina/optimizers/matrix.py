"""Rules that see a weight as a matrix: Adafactor and Muon."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from ..core.declare import Kind, Refused, arg, boolean, integer, listed, number
from ..core.errors import short
from .adam import fused_adam
from .base import Group, Number, Rule, descend, fraction, lists, path_of, shrink
from .gradient import not_positive


class Adafactor(Rule):
    """Adam without momentum, a matrix' mean squares kept as row and column means. Shazeer and Stern, 2018.

    The step is relative to the weight's size; 1 / sqrt(step) caps the learning rate.
    """

    _in_parts = False

    beta_2_decay: float = arg(not_positive, default=-0.8, doc="The mean squares keep a share of 1 - step^beta_2_decay.")
    epsilon_1: float = arg(number(0), default=1e-30, doc="Added to squared gradients.")
    epsilon_2: float = arg(number(0), default=1e-3, doc="Least size of a weight that steps are relative to.")
    clip_threshold: float = arg(number(0), default=1.0, doc="Largest root mean square of a step before scaling.")
    relative_step: bool = arg(boolean, default=True, doc="Kept for configs: the cap holds either way, as in Keras.")

    _state_of_weight = ("row", "column", "velocity")

    def _initial(self, name: str, weight: Tensor) -> Tensor:
        if name not in ("row", "column"):
            return super()._initial(name, weight)
        if weight.dim() < 2:
            return torch.zeros((), dtype=torch.int32)  # a placeholder that Keras' files have, too
        *batch, rows, columns = weight.shape
        return weight.new_zeros((*batch, rows if name == "row" else columns))

    def _rule(self, group: Group, grads: list[Tensor], rate: Number, step: Number) -> None:
        cap = step**-0.5
        rate = rate.clamp(max=cap) if isinstance(rate, Tensor) else min(rate, cap)
        gain = step**self.beta_2_decay
        sizes = torch.stack(_root_mean_squares(group.weights)).clamp(min=self.epsilon_2)
        state = group.state["velocity"], group.state["row"], group.state["column"]
        updates = [self._normalized(*tensors, gain) for tensors in zip(grads, *state, strict=True)]
        excess = (torch.stack(_root_mean_squares(updates)) / self.clip_threshold).clamp(min=1)
        lists._foreach_mul_(updates, (sizes / excess * rate).to(sizes).unbind())
        lists._foreach_sub_(group.weights, updates)

    def _normalized(self, grad: Tensor, mean: Tensor, row: Tensor, column: Tensor, gain: Number) -> Tensor:
        """The gradient over the root of its mean square, after moving the means by `gain` towards this gradient."""
        square = grad * grad
        if mean.dim() < 2:
            mean += (square + self.epsilon_1 - mean) * gain
            return grad * mean.rsqrt()
        row += (square.mean(-1) + self.epsilon_1 - row) * gain
        column += (square.mean(-2) + self.epsilon_1 - column) * gain
        by_row, by_column = (row / row.mean(-1, keepdim=True)).unsqueeze(-1), column.unsqueeze(-2)
        torch.mul(by_row, by_column, out=mean)
        return (grad * by_row.rsqrt()).mul_(by_column.rsqrt())


def _root_mean_squares(tensors: list[Tensor]) -> list[Tensor]:
    return lists._foreach_div(lists._foreach_norm(tensors), [max(tensor.numel(), 1) ** 0.5 for tensor in tensors])


def _words(value: Any, owner: Any) -> list[str]:
    if value is None:
        return []
    if not all(isinstance(item, str) for item in listed(value)):
        raise Refused
    for pattern in value:  # files bring patterns, and some take a time exponential in their length
        if len(re.findall(r"[*+?{]", pattern)) > 2 or pattern.count("(") > 3 or re.search(r"\)[*+{]", pattern):
            raise Refused(f"Write {short(pattern)} with at most two of * + ? {{, three groups, and none repeated.")
        try:
            re.compile(pattern)
        except re.error as error:
            raise Refused(f"{short(pattern)} is no regular expression: {error}.") from None
    return list(value)


_patterns = Kind(
    "a list of patterns of weight paths",
    _words,
    dump=list,
    good=(["head"],),
    bad=("head", [3], ["("], ["(a+)+b"], ["a?" * 30 + "a" * 30]),
)


class Muon(Rule):
    """Steps along the nearest orthogonal matrix to the momentum; AdamW for weights that are no matrices.

    Jordan et al., Muon, 2024; `rms_rate`: Liu et al., Muon is Scalable for LLM Training, 2025. The orthogonal matrix
    comes from Newton-Schulz iterations x <- a x + (b x x' + c (x x')^2) x.
    """

    _in_parts = False
    _order = (  # Keras 3 adds the rest behind `name`
        *("learning_rate", "adam_beta_1", "adam_beta_2", "adam_weight_decay", "epsilon", "weight_decay", "clipnorm"),
        *("clipvalue", "global_clipnorm", "use_ema", "ema_momentum", "ema_overwrite_frequency", "loss_scale_factor"),
        *("gradient_accumulation_steps", "name"),
    )
    adam_beta_1: float = arg(fraction, default=0.9, doc="beta_1 of AdamW.")
    adam_beta_2: float = arg(fraction, default=0.999, doc="beta_2 of AdamW.")
    adam_weight_decay: float | None = arg(number(0).optional(), default=0.004, doc="Weight decay of AdamW.")
    epsilon: float = arg(number(0), default=1e-7, doc="epsilon of AdamW.")
    weight_decay: float | None = arg(number(0).optional(), default=0.004, doc="Weight decay of matrices.")
    exclude_layers: list[str] = arg(_patterns, default=None, doc="Weights left to AdamW.")
    exclude_embeddings: bool = arg(boolean, default=True, doc="Leave embeddings to AdamW.")
    muon_a: float = arg(number(), default=3.4445, doc="First coefficient of the iteration.")
    muon_b: float = arg(number(), default=-4.775, doc="Second coefficient.")
    muon_c: float = arg(number(), default=2.0315, doc="Third coefficient.")
    adam_lr_ratio: float = arg(number(0), default=1, doc="AdamW's learning rate over Muon's.")
    momentum: float = arg(number(0, 1), default=0.95, doc="Share of the old momentum kept each step.")
    ns_steps: int = arg(integer(0), default=5, doc="Newton-Schulz iterations.")
    nesterov: bool = arg(boolean, default=True, doc="Look ahead by the momentum.")
    rms_rate: float | None = arg(number(0).optional(), default=0.2, doc="Scale steps by rms_rate * sqrt(larger side).")

    def _kind(self, weight: Tensor) -> bool:
        """Whether the weight is a matrix for Muon."""
        path = path_of(weight)
        spared = self.exclude_embeddings and "embedding" in path.lower()
        return weight.dim() == 2 and not spared and not any(re.search(word, path) for word in self.exclude_layers)

    _state_of_weight = ("momentum", "velocity")

    def _make_slot(self, name: str, weight: Tensor) -> Any:
        return None if name == "velocity" and self._kind(weight) else super()._make_slot(name, weight)

    def _decay_of(self, group: Group) -> float | None:
        return self.weight_decay if group.kind else self.adam_weight_decay

    def _update(self, group: Group, grads: list[Tensor], rate: Number, step: Number, decay: float) -> None:
        if group.kind:
            super()._update(group, grads, rate, step, decay)
            return
        if decay:
            shrink(group.weights, rate * decay)
        betas = self.adam_beta_1, self.adam_beta_2
        fused_adam(group, grads, rate * self.adam_lr_ratio, step, 0.0, betas, self.epsilon)

    def _rule(self, group: Group, grads: list[Tensor], rate: Number, step: Number) -> None:
        momenta = group.state["momentum"]
        lists._foreach_mul_(momenta, self.momentum)
        lists._foreach_add_(momenta, grads)
        directions = lists._foreach_add(grads, momenta, alpha=self.momentum) if self.nesterov else momenta
        for weight, direction in zip(group.weights, directions, strict=True):
            scale = 1.0 if self.rms_rate is None else max(weight.shape) ** 0.5 * self.rms_rate
            descend([weight], [self._orthogonal(direction)], rate * scale)

    def _orthogonal(self, x: Tensor) -> Tensor:
        tall = x.shape[0] > x.shape[1]
        x = x.mT if tall else x
        x = x / (torch.linalg.vector_norm(x) + 1e-7)
        for _ in range(self.ns_steps):
            gram = x @ x.mT
            x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=self.muon_b, alpha=self.muon_c), x, beta=self.muon_a)
        return x.mT if tall else x
