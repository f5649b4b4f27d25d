"""Subclasses that people wrote of Keras 1's LSTM, GRU and SimpleRNN: another `step`, other constants or states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ..kernels import noise
from ..layers import GRU, LSTM
from . import arithmetic
from .hooks import Hooked
from .updates import carry_out


def run_steps(self: Any, x: Any, mask: Any = None) -> Any:
    """The protocol's `call`: `step(x, states)` along the preprocessed input, from the initial states; behind the states
    come the constants."""
    states = list(self.states) if self.stateful else self.get_initial_states(x)
    constants, prepared = self.get_constants(x), self.preprocess_input(x)
    last, outputs, ends = arithmetic.rnn(self.step, prepared, states, self.go_backwards, mask, constants, self.unroll)
    if self.stateful:
        carry_out([*zip(states, ends, strict=True)])
    return outputs if self.return_sequences else last


_GATES = {LSTM: 4, GRU: 3}
_WHOLE = {"W": "kernel", "U": "recurrent_kernel", "b": "bias"}  # of all gates, asked for in every step


class StepsOfOurs(Hooked):
    """SimpleRNN, GRU and LSTM of Keras 1, which a subclass may change in any part of the protocol; one that changes
    none of it runs as today's."""

    _hook = "step get_constants preprocess_input get_initial_states"
    _by_hook = run_steps

    @property
    def _gates(self) -> int:
        return next((gates for cls, gates in _GATES.items() if isinstance(self, cls)), 0)

    @property
    def states(self) -> Any:
        own = self.__dict__.get("_own_states")
        if own is not None:
            return own
        return (super().states if self.stateful else None) or [None] * len(self.state_size)

    @states.setter
    def states(self, states: Any) -> None:
        self.__dict__["_own_states"] = states

    @property
    def weights(self) -> list[Any]:
        """Those of the gates come before what a subclass adds."""
        first = {id(weight): weight for weight in self.cell.weights}
        return [*({**first, **{id(weight): weight for weight in super().weights}}).values()]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cell, _WHOLE[name]) if name in _WHOLE else super().__getattr__(name)

    def get_constants(self, x: Any) -> list[Any]:
        """Masks of dropout, of the state and of the input, one a gate."""
        count = max(self._gates, 1)

        def masks(rate: float, size: int) -> Any:
            if not 0 < rate < 1:
                drawn = [1.0] * count
            else:
                ones = x.new_ones(x.shape[0], size)
                drawn = [noise.dropout(ones, rate if self.training else 0.0) for _ in range(count)]
            return drawn if self._gates else drawn[0]

        return [masks(self.dropout_U, self.output_dim), masks(self.dropout_W, x.shape[-1])]

    def preprocess_input(self, x: Any) -> Any:
        return x @ self.W + self.b if self.consume_less == "cpu" else x

    def get_initial_states(self, x: Any) -> list[Any]:
        zeros = x.new_zeros(x.shape[0], self.output_dim)
        return [zeros for _ in self.states]

    def step(self, x: Any, states: Any) -> tuple[Any, list[Any]]:
        count = self._gates
        before, (drop_state, drop_input) = states[: len(self.state_size)], states[len(self.state_size) :][:2]
        if not count:
            inputs = x if self.consume_less == "cpu" else (x * drop_input) @ self.W + self.b
            output = self.activation(inputs + (before[0] * drop_state) @ self.U)
            return output, [output]
        kernels, recurrent, biases = (part.chunk(count, -1) for part in (self.W, self.U, self.b))
        if self.consume_less == "cpu":
            inputs: Sequence[Tensor] = x.chunk(count, -1)
        else:
            inputs = [(x * drop) @ kernel + b for drop, kernel, b in zip(drop_input, kernels, biases, strict=True)]
        h, inner = before[0], self.recurrent_activation
        if count == 3:
            z, r = (inner(inputs[gate] + (h * drop_state[gate]) @ recurrent[gate]) for gate in (0, 1))
            candidate = self.activation(inputs[2] + (r * h * drop_state[2]) @ recurrent[2])
            h = z * h + (1 - z) * candidate
            return h, [h]
        i, f, c, o = (inputs[gate] + (h * drop_state[gate]) @ recurrent[gate] for gate in range(4))
        cell = inner(f) * before[1] + inner(i) * self.activation(c)
        h = inner(o) * self.activation(cell)
        return h, [h, cell]
