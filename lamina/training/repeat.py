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
from ..core.scope import asking, scope
from . import replay
from .graphs import Graphed, cuda_capture
from .replay import FORMATS, Format, Premises, Recorded, below_autograd, watched, write_down

logger = logging.getLogger("lamina")

_MOST = 3  # recordings of one format: whose weights are exchanged again and again gains nothing by them


class Repeated:
    """`run` of a model's plan, for calls without gradients: the first ones of a format are timed, then two recorded,
    those that follow repeated.

    Only calls in which nothing but code of this package runs, nothing is drawn and no value is read are repeated.
    """

    def __init__(self, module: Any, run: Callable):
        self._module, self._run = module, run
        self._formats: dict[Any, Format] = {}
        layers = [*module._flat_layers()]
        self._pool: Any = None  # of the memory of CUDA graphs
        self._never = any(layer._care & (LOSSES | TOLD) for layer in layers)

    def __call__(self, *inputs: Tensor) -> Any:
        if self._never or watched() or scope.thread in asking:  # a recording tells no scores
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
            known = self._formats[key] = Format()
        if (found := known.replay) is not None:
            return self._repeat(known, found, inputs)
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

    def _repeat(self, known: Format, found: Recorded, inputs: tuple[Tensor, ...]) -> Any:
        if found.premises.now() != found.known:
            known.replay, known.seconds = None, 0.0
            known.eager = known.recordings >= _MOST
            return self._run(*inputs)
        try:
            with below_autograd():
                outputs = found.line(*inputs)  # type: ignore[misc]
        except Exception:  # the plan finds the words for it
            return self._run(*inputs)
        if found.spec is None:
            return outputs
        outputs, masks = outputs
        for output, mask in zip(outputs, masks, strict=True):
            set_mask(output, mask)
        return pytree.tree_unflatten(outputs, found.spec)

    def _record(self, known: Format, inputs: tuple[Tensor, ...]) -> Any:
        """A call of which all calls of torch are written down."""
        premises = Premises(self._module)
        once = functools.partial(self._run, *inputs)
        outputs, recording, draws, problem = write_down(self._module, inputs, once, known.first is not None)
        flat, spec = pytree.tree_flatten(outputs)
        masks = [get_mask(output) for output in flat]
        alone = type(outputs) is Tensor and masks == [None]
        names = recording.names([flat, masks])
        if problem is None and draws:
            problem = "random numbers are drawn"
        if problem is None and not recording.keeps_to_itself(names):
            problem = "it writes to what is there before, or gives it back"
        results, spec = (names[0][0], None) if alone else (names, spec)
        known.take(Recorded(recording, results, spec, draws, premises, premises.now()), problem, "Predictions")
        if known.replay is not None and inputs[0].is_cuda:
            known.replay.line = self._graphed(known.replay.line, inputs)
        return outputs

    def _graphed(self, line: Any, inputs: tuple[Tensor, ...]) -> Callable:
        """The line as one CUDA graph; itself where that cannot be."""
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        try:
            with torch.cuda.device(inputs[0].device), below_autograd():
                return Graphed(line, inputs, functools.partial(cuda_capture, pool=self._pool))
        except RuntimeError as error:
            logger.debug("Predictions are launched call by call: %s.", str(error).strip().partition("\n")[0])
            return line


def _is_plain(x: object) -> bool:
    return type(x) is Tensor and (x.is_cpu or x.is_cuda) and get_mask(x) is None
