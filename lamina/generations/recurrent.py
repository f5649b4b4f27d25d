"""Recurrent layers that people wrote in Keras 1's words: `step`, `get_constants`, `preprocess_input`, run along time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..core.errors import named
from ..core.symbolic import is_shape
from ..layers import GRU, LSTM, RNN

from . import backend as K
from .updates import carry_out

_Modern: Any = object  # the modern class, which comes behind in the classes made
_PROTOCOL = ("step", "get_constants", "preprocess_input", "get_initial_states")


def run_steps(self: Any, x: Any, mask: Any = None) -> Any:
    """The protocol's `call`: `step(x, states)` along the preprocessed input, from the initial states; behind the states
    come the constants."""
    states = list(self.states) if self.stateful else self.get_initial_states(x)
    constants, prepared = self.get_constants(x), self.preprocess_input(x)
    last, outputs, ends = K.rnn(self.step, prepared, states, self.go_backwards, mask, constants, self.unroll)
    if self.stateful:
        carry_out(zip(states, ends, strict=True))
    return outputs if self.return_sequences else last


class Recurrent(_Modern):
    """Base class of a user's own recurrent layers (Keras 1). It makes its weights in `build` and sets `states` there:
    None for each, or variables where it is stateful; `output_dim` is the size of an output."""

    supports_masking = True
    _creates_mask = True

    def step(self, x: Any, states: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs a method `step(x, states)`.")

    def get_constants(self, x: Any) -> list[Any]:
        return []

    def preprocess_input(self, x: Any) -> Any:
        return x

    def get_initial_states(self, x: Any) -> list[Any]:
        """Zeros, (batch, output_dim) for each of `states`."""
        zeros = x.new_zeros(x.shape[0], self.output_dim)
        return [zeros for _ in self.states]

    call = run_steps

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = input_shape if is_shape(input_shape) else input_shape[0]
        return (shape[0], shape[1], self.output_dim) if self.return_sequences else (shape[0], self.output_dim)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return mask if self.return_sequences else None

    def reset_states(self) -> None:
        """Let the next batch start from zeros."""
        for state in self.states:
            K.set_value(state, torch.zeros_like(state))


class InWordsOfKeras2(_Modern):
    """The protocol as Keras 2 has it: the initial states are asked by `get_initial_state(inputs)`, and may be given."""

    return_state = False

    def get_initial_state(self, inputs: Any) -> list[Any]:
        zeros = inputs.new_zeros(inputs.shape[0], self.units)
        return [zeros for _ in self.states]

    def get_constants(self, inputs: Any, training: Any = None) -> list[Any]:
        return []

    def preprocess_input(self, inputs: Any, training: Any = None) -> Any:
        return inputs

    def call(self, inputs: Any, mask: Any = None, training: Any = None, initial_state: Any = None) -> Any:
        if isinstance(inputs, (list, tuple)):
            inputs, *initial_state = inputs
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        if initial_state is None:
            initial_state = list(self.states) if self.stateful else self.get_initial_state(inputs)
        constants, prepared = self.get_constants(inputs, training=None), self.preprocess_input(inputs, training=None)
        last, outputs, ends = K.rnn(self.step, prepared, initial_state, self.go_backwards, mask, constants, self.unroll)
        if self.stateful:
            carry_out(zip(self.states, ends, strict=True))
        output = outputs if self.return_sequences else last
        return [output, *ends] if self.return_state else output

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = input_shape if is_shape(input_shape) else input_shape[0]
        output = (shape[0], shape[1], self.units) if self.return_sequences else (shape[0], self.units)
        return [output, *[(shape[0], self.units) for _ in self.states]] if self.return_state else output

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        output = mask if self.return_sequences else None
        return [output, *[None for _ in self.states]] if self.return_state else output

    def reset_states(self, states: Any = None) -> None:
        """Let the next batch start from `states`, by default zeros."""
        if not self.stateful:
            raise AttributeError(f"Layer must be stateful: make {named(self)} with stateful=True.")
        if self.states[0] is None:
            size = self.input_spec[0].shape[0] if self.input_spec[0].shape else None
            if not size:
                raise ValueError(f"{named(self)}: a stateful layer needs to know its batch size.")
            self.states = [K.zeros((size, self.units)) for _ in self.states]
        given = [None] * len(self.states) if states is None else states if isinstance(states, (list, tuple)) else [states]
        if len(given) != len(self.states):
            raise ValueError(f"{named(self)}: expected {len(self.states)} states; got {len(given)}.")
        values = [torch.zeros_like(state) if one is None else torch.as_tensor(one) for state, one in zip(self.states, given)]
        for state, value in zip(self.states, values, strict=True):
            if value.shape != state.shape:
                raise ValueError(f"{named(self)}: expected states of shape {tuple(state.shape)}; got {tuple(value.shape)}.")
        carry_out(zip(self.states, values, strict=True))


_GATES = {LSTM: "ifco", GRU: "zrh"}  # in the order of the kernel's columns
_PARTS = {"W": "kernel", "U": "recurrent_kernel", "b": "bias"}


class StepsOfOurs(_Modern):
    """SimpleRNN, GRU and LSTM of Keras 1, which a subclass may change in any part of the protocol; one that changes
    none of it runs as today's."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        changed = any(name in own for name in _PROTOCOL) and "_words" not in own
        if changed and "call" not in own and getattr(cls.call, "__module__", "").startswith("lamina."):
            cls.call = run_steps
            cls.__init_subclass__(**kwargs)  # once more: `call` is another one

    @property
    def _gates(self) -> str:
        return next((gates for cls, gates in _GATES.items() if isinstance(self, cls)), "")

    @property
    def states(self) -> Any:
        own = vars(self).get("_own_states")
        if own is not None:
            return own
        return (RNN.states.fget(self) if self.stateful else None) or [None] * len(self.state_size)

    @states.setter
    def states(self, states: Any) -> None:
        vars(self)["_own_states"] = states

    @property
    def weights(self) -> list[Any]:
        """Those of the gates come before what a subclass adds."""
        first = {id(weight): weight for weight in self.cell.weights}
        return [*({**first, **{id(weight): weight for weight in super().weights}}).values()]

    def __getattr__(self, name: str) -> Any:
        """`W`, `U`, `b` of all gates together, or `W_i`, ... of one."""
        part, _, gate = name.partition("_")
        if part in _PARTS and len(gate) <= 1 and (not gate or gate in self._gates):
            whole = getattr(self.cell, _PARTS[part])
            return whole if not gate else whole.chunk(len(self._gates), -1)[self._gates.index(gate)]
        return super().__getattr__(name)

    def get_constants(self, x: Any) -> list[Any]:
        """Masks of dropout, of the state and of the input, one a gate."""
        count = max(len(self._gates), 1)

        def masks(rate: float, size: int) -> Any:
            if not 0 < rate < 1:
                drawn = [1.0] * count
            else:
                ones = x.new_ones(x.shape[0], size)
                drawn = [K.in_train_phase(K.dropout(ones, rate), ones, self.training) for _ in range(count)]
            return drawn if self._gates else drawn[0]

        return [masks(self.dropout_U, self.output_dim), masks(self.dropout_W, x.shape[-1])]

    def preprocess_input(self, x: Any) -> Any:
        return x @ self.W + self.b if self.consume_less == "cpu" else x

    get_initial_states = Recurrent.get_initial_states

    def step(self, x: Any, states: Any) -> tuple[Any, list[Any]]:
        count = len(self._gates)
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
