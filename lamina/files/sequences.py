"""torch's recurrent operators in programs: each stays one, for sequences of any length."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._decomp import decomposition_table

# The operators that run a whole sequence, and those of ONNX.
ONNX = {"lstm": "LSTM", "gru": "GRU", "rnn_tanh": "RNN", "rnn_relu": "RNN"}

_alone = threading.RLock()  # torch's tables are those of the process


@contextmanager
def whole_sequences() -> Iterator[None]:
    """Inside, torch's recurrent operators stay one each, for sequences of any length.

    torch itself would find the shapes of what they give by running a sequence step by step, which fixes its length.
    """
    operators = [getattr(torch.ops.aten, name).input for name in ONNX]
    _alone.acquire()
    before = [(operator, operator.py_kernels.copy(), decomposition_table[operator]) for operator in operators]

    def put(operator: Any, kernels: Mapping[Any, Any], decomposition: Any) -> None:
        operator.py_kernels.update(kernels)
        operator._dispatch_cache.clear()
        decomposition_table[operator] = decomposition

    for operator, kernels, _ in before:
        put(operator, dict.fromkeys(kernels, _shapes_of_sequences), _shapes_of_sequences)
    try:
        yield
    finally:
        for each in before:
            put(*each)
        _alone.release()


def _shapes_of_sequences(x: Tensor, states: Any, *others: Any) -> tuple[Tensor, ...]:
    *_, both, batch_first = others
    ends = (states,) if isinstance(states, Tensor) else tuple(states)
    outer = x.transpose(0, 1) if batch_first else x
    outputs = x.new_empty(*outer.shape[:2], ends[0].shape[-1] * (1 + both))
    return outputs.transpose(0, 1) if batch_first else outputs, *(torch.empty_like(end) for end in ends)
