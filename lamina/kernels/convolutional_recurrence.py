"""LSTM whose products are convolutions (Shi et al., 2015), along (batch, time, ...), channels first or last.

``kernel`` is (*window, channels, 4 * filters), ``recurrent_kernel`` (*window, filters, 4 * filters), gates in the order
i, f, c, o along the channels' ``axis``, counted from the end. Dropout masks have four times the channels, for one gate
after the other. With them goes another plan, of a convolution in four groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .convolution import Plan, run
from .recurrence import Activation, lstm_gates


def project(x: Tensor, kernel: Tensor, bias: Tensor | None, plan: Plan, axis: int, dropout: Tensor | None) -> Tensor:
    """The convolutions of all steps at once; a mask broadcasts along time."""
    return run(_for_gates(x, dropout, axis).flatten(0, 1), kernel, bias, plan).unflatten(0, x.shape[:2])


def initial_states(z: Tensor, axis: int, masked: bool) -> list[Any]:
    """Zeros for a sequence that `project` gave. None stands for an h whose convolution can be left out."""
    shape = [z.shape[0], *z.shape[2:]]
    shape[axis] //= 4
    zeros = z.new_zeros(shape)
    return [zeros if masked or z.shape[1] == 1 else None, zeros]  # some step must use the kernel, for its gradient


def conv_lstm_step(
    z: Tensor,
    states: Sequence[Any],
    recurrent_kernel: Tensor,
    plan: Plan,
    axis: int,
    activation: Activation,
    recurrent_activation: Activation,
    dropout: Tensor | None = None,
) -> tuple[Tensor, list[Tensor]]:
    """One step from its part of what `project` gave; the states are h and c."""
    h, c = states
    if h is not None:
        z = z + run(_for_gates(h, dropout, axis), recurrent_kernel, None, plan)
    return lstm_gates(z, c, activation, recurrent_activation, axis)


def _for_gates(x: Tensor, dropout: Tensor | None, axis: int) -> Tensor:
    return x if dropout is None else torch.cat([x] * 4, axis) * dropout
