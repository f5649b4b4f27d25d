"""Predictions that are recorded and then repeated: for one sample, calls of layers take longer than many a kernel.

A recording counts for inputs of one format, and as long as all that it goes by is as it was; else the plan itself runs.
Its results are those of the plan to the last bit. On a GPU it is replayed as one CUDA graph.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ..core.care import LOSSES, TOLD
from ..core.masking import get_mask, set_mask
from ..core.scope import scope
from . import replay
from .graphs import Graphed, cuda_capture
from .record import Line, Recording
from .replay import FORMATS, Format, below_autograd, data_ptr, watched, write_down

logger = logging.getLogger("lamina")

_MOST = 3  # recordings of one format: whose weights are exchanged again and again gains nothing by them


class _Premises:
    """What a recording goes by beside the inputs: equal to itself as long as nothing of it has changed."""

    def __init__(self, module: Any):
        modules = [*module.modules()]
        registers = [register for one in modules for register in (one._parameters, one._buffers)]
        self._places = [(register, name) for register in registers for name in register if register[name] is not None]
        self._flags = [vars(one) for one in modules if getattr(one, "_takes_training", True)]

    def now(self) -> Any:
        tensors = [register[name] for register, name in self._places]
        return [*map(id, tensors)], [*map(data_ptr, tensors)], [one["training"] for one in self._flags]


class _Repeatable(Format):
    """What is known of inputs of one format; once it is recorded: the function, what it goes by, what it gives."""

    line: Callable | None = None
    recordings = 0
    premises: _Premises
    known: Any
    spec: Any  # None: one tensor without a mask
    found: Recording | None = None


class Repeated:
    """`run` of a model's plan, for calls without gradients: the first ones of a format are timed, then two recorded,
    those that follow repeated.

    Only calls in which nothing but code of this package runs, nothing is drawn and no value is read are repeated.
    """

    def __init__(self, module: Any, run: Callable):
        self._module, self._run = module, run
        self._formats: dict[Any, _Repeatable] = {}
        layers = [*module._flat_layers()]
        self._pool: Any = None  # of the memory of CUDA graphs
        self._never = any(layer._care & (LOSSES | TOLD) for layer in layers)

    def __call__(self, *inputs: Tensor) -> Any:
        if self._never or watched():
            return self._run(*inputs)
        try:
            first = inputs[0]
            key: Any = scope.training, first.shape, first.stride(), first.dtype, first.get_device()
            if len(inputs) > 1:
                key = *key, *[(x.shape, x.stride(), x.dtype, x.get_device()) for x in inputs]
        except AttributeError:  # an optional input that is left out
            return self._run(*inputs)
        known = self._formats.get(key)
        if known is None:
            if len(self._formats) == FORMATS or not all(map(_is_plain, inputs)):
                return self._run(*inputs)
            known = self._formats[key] = _Repeatable()
        if known.line is not None:
            return self._repeat(known, inputs)
        if known.eager:
            return self._run(*inputs)
        least = replay.EAGER_TIME_ON_GPU if first.is_cuda else replay.EAGER_TIME
        if known.seconds >= least and known.is_due(first.is_cuda):
            return self._record(known, inputs)
        begin = time.perf_counter()
        outputs = self._run(*inputs)
        known.seconds += time.perf_counter() - begin
        known.passes += 1
        return outputs

    def _repeat(self, known: _Repeatable, inputs: tuple[Tensor, ...]) -> Any:
        if known.premises.now() != known.known:
            known.line, known.seconds = None, 0.0
            known.eager = known.recordings >= _MOST
            return self._run(*inputs)
        try:
            with below_autograd():
                outputs = known.line(*inputs)  # type: ignore[misc]
        except Exception:  # the plan finds the words for it
            return self._run(*inputs)
        if known.spec is None:
            return outputs
        outputs, masks = outputs
        for output, mask in zip(outputs, masks, strict=True):
            set_mask(output, mask)
        return pytree.tree_unflatten(outputs, known.spec)

    def _record(self, known: _Repeatable, inputs: tuple[Tensor, ...]) -> Any:
        """A call of which all calls of torch are written down."""
        premises = _Premises(self._module)
        once = functools.partial(self._run, *inputs)
        outputs, recording, draws, problem = write_down(self._module, inputs, once, known.found is not None)
        flat, spec = pytree.tree_flatten(outputs)
        masks = [get_mask(output) for output in flat]
        alone = type(outputs) is Tensor and masks == [None]
        names = recording.names([flat, masks])
        results = names[0][0] if alone else names
        problem = recording.problem or problem
        if problem is None and draws:
            problem = "random numbers are drawn"
        if problem is None and not recording.keeps_to_itself(names):
            problem = "it writes to what is there before, or gives it back"
        if problem is None and known.found is not None and not known.found.matches(recording):
            problem = "two calls were not alike"
        if problem is not None:
            logger.debug("Predictions run layer by layer: %s.", problem)
            known.eager, known.found = True, None
        elif known.found is None:
            known.found = recording
        else:
            known.premises, known.known, known.spec = premises, premises.now(), None if alone else spec
            known.line, known.found = Line(recording, results).run, None
            known.recordings += 1
            if inputs[0].is_cuda:
                known.line = self._graphed(known.line, inputs)
        return outputs

    def _graphed(self, line: Callable, inputs: tuple[Tensor, ...]) -> Callable:
        """The line as one CUDA graph; itself where that cannot be."""
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        try:
            with torch.cuda.device(inputs[0].device), below_autograd():
                return Graphed(line, inputs, functools.partial(cuda_capture, pool=self._pool))
        except RuntimeError as error:
            logger.debug("Predictions are launched call by call: %s.", str(error).strip().partition("\n")[0])
            return line


def _is_plain(x: Any) -> bool:
    return type(x) is Tensor and (x.is_cpu or x.is_cuda) and get_mask(x) is None
