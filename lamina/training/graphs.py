"""Steps and predictions as CUDA graphs: the kernels that a call launches, recorded once and launched again as one.

What a graph reads and writes stays where it is in memory: batches are copied into buffers, results out of them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ..core.care import Changes
from ..optimizers import Optimizer
from .replay import PremisesOfStep, are, attributes
from .step import OfModel, Step, TrainStep

logger = logging.getLogger("lamina")
_WARNS = "set_warn_on_accumulate_grad_stream_mismatch"


def cuda_capture(run: Callable[[], Any], pool: Any = None) -> Callable[[], Any]:
    """Record the kernels that `run` launches; the result launches them again, as one. pool: of memory, which graphs
    share that are never replayed at once."""
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, pool, capture_error_mode="thread_local"):  # other threads may predict meanwhile
            run()
    except BaseException:
        with torch.cuda.graph(torch.cuda.CUDAGraph()):  # torch's random numbers would stay in the failed recording
            torch.zeros((), device="cuda")
        raise
    return graph.replay


class Captured(OfModel):
    """A step that runs eagerly a few times and is then replayed from a recording.

    Batches are copied into buffers of the recording. One of another shape, such as a last shorter one, runs eagerly; so
    does everything, after one logged line, where recording fails. `capture(run)` returns the replaying function.
    """

    EAGER_STEPS = 3  # before the recording: they make the optimizer's state and let kernels be chosen

    def __init__(self, step: Step, capture: Callable[[Callable[[], Any]], Callable[[], Any]] = cuda_capture):
        self.step, self._capture = step, capture
        if capture is cuda_capture and hasattr(torch.autograd.graph, _WARNS):  # the first steps have a stream of theirs
            getattr(torch.autograd.graph, _WARNS)(False)
        self._left: int | None = self.EAGER_STEPS
        self._replay: Callable[[], Any] | None = None
        self._buffers: list[Any] = []
        self.changes = -1
        self._earlier: Captured | None = None

    def go_on(self, earlier: Captured) -> None:
        """Replay what an earlier `fit` has recorded, if at the first batch all that it went by is as it was."""
        if earlier._replay is not None and earlier.step._compiled is self.step._compiled:
            self._earlier = earlier

    def _go_on(self, earlier: Captured) -> None:
        premises = _Premises(self.step)
        if earlier._known == premises.now() and are(earlier._held, attributes(self.step.passes.module)):
            self._replay, self._buffers, self._formats = earlier._replay, earlier._buffers, earlier._formats
            self._known, self._held, self.changes = earlier._known, earlier._held, Changes.count

    def __call__(self, x: Any, y: Any, sample_weight: Any) -> Any:
        leaves, spec = pytree.tree_flatten((x, y, sample_weight))
        if self._earlier is not None:
            earlier, self._earlier = self._earlier, None
            self._go_on(earlier)
        if self._left is None:
            return self.step(x, y, sample_weight)
        if self._replay is None or (self.changes != Changes.count and Changes.concern(self, self.step.passes.module)):
            if self._left > 0:
                self._left -= 1
                return self._warm_up(x, y, sample_weight)
            if not self._record(leaves, spec):
                return self.step(x, y, sample_weight)
        elif [_format(leaf) for leaf in leaves] != self._formats:
            return self.step(x, y, sample_weight)
        for buffer, leaf in zip(self._buffers, leaves, strict=True):
            if buffer is not None:
                buffer.copy_(leaf, non_blocking=True)
        return self._replay()  # type: ignore[misc]

    def renew(self) -> None:
        """Run eagerly from now on: another optimizer may need the host."""
        self._left = self._replay = self._earlier = None
        self.step.renew()

    def _warm_up(self, x: Any, y: Any, sample_weight: Any) -> Any:
        if self._capture is not cuda_capture:
            return self.step(x, y, sample_weight)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            logs = self.step(x, y, sample_weight)
        torch.cuda.current_stream().wait_stream(side)
        return logs

    def _record(self, leaves: list[Any], spec: Any) -> bool:
        if any(isinstance(leaf, np.ndarray) for leaf in leaves):  # texts, which are read on the host
            self._left = None
            return False
        self._buffers = [leaf.clone() if isinstance(leaf, Tensor) else None for leaf in leaves]
        self._formats, self.changes = [_format(leaf) for leaf in leaves], Changes.count
        batch = pytree.tree_unflatten(self._buffers, spec)
        try:
            self._replay = self._capture(lambda: self.step(*batch) and None)
        except (RuntimeError, ValueError, TypeError) as error:
            reason = str(error).strip().split("\n")[0]
            logger.warning("The steps run eagerly: they cannot be one CUDA graph (%s).", reason)
            self._left = self._replay = None
            return False
        self._known, self._held = _Premises(self.step).now(), attributes(self.step.passes.module)
        return True


class _Premises:
    """What a recorded step goes by beside the batch and what its model's modules hold."""

    def __init__(self, step: Step):
        compiled, module = step._compiled, step.passes.module
        self._of_passes = PremisesOfStep(module, compiled, step.passes.weights())
        metrics = getattr(module, "metrics", None) or compiled.trackers()
        self._optimizer = compiled.optimizer if isinstance(step, TrainStep) else None
        self._tensors = [variable for metric in metrics for variable in metric.variables]
        if self._optimizer is not None:
            self._tensors += self._optimizer.variables

    def now(self) -> tuple:
        tensors = [(id(tensor), tensor.data_ptr()) for tensor in self._tensors]
        return self._of_passes.now(), tensors, _settings(self._optimizer), _kernels_chosen()


def _settings(optimizer: Optimizer | None) -> Mapping[str, object]:
    """The numbers and words among an optimizer's attributes, and which other objects there are."""
    held = {} if optimizer is None else vars(optimizer)
    plain = (bool, int, float, str, type(None))
    found = {name: value if isinstance(value, plain) else id(value) for name, value in held.items()}
    return found | {name: _settings(value) for name, value in held.items() if isinstance(value, Optimizer)}


def _kernels_chosen() -> tuple[object, ...]:
    """What torch chooses kernels by, beside shapes and types."""
    return (
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cudnn.benchmark,
        torch.are_deterministic_algorithms_enabled(),
    )


class Graphed:
    """A line of calls as one CUDA graph, which reads buffers that inputs are copied to. What it gives are copies.

    On a stream of the caller's own, inside another graph's recording, or where other kernels are asked for, the line
    itself runs.
    """

    def __init__(
        self,
        line: Callable,
        inputs: Sequence[Tensor],
        capture: Callable[[Callable[[], Any]], Callable[[], Any]] = cuda_capture,
    ):
        self._line, self._lock, self._kernels = line, threading.Lock(), _kernels_chosen()
        with torch.inference_mode(False):  # else they could be written to in that mode alone
            self._buffers = [x.detach().clone() for x in inputs]
        self._outputs: Any = None
        self._replay = capture(self._run)

    def _run(self) -> None:
        self._outputs = self._line(*self._buffers)

    def __call__(self, *inputs: Tensor) -> Any:
        if not _on_the_usual_stream() or _kernels_chosen() != self._kernels:
            return self._line(*inputs)
        with self._lock:  # launches of two threads keep their order
            for buffer, x in zip(self._buffers, inputs, strict=True):
                buffer.copy_(x)
            self._replay()
            outputs = self._outputs
            return outputs.clone() if type(outputs) is Tensor else pytree.tree_map(_copied, outputs)


def _on_the_usual_stream() -> bool:
    return torch.cuda.current_stream() == torch.cuda.default_stream()


def _copied(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


def _format(leaf: Any) -> Any:
    return (leaf.shape, leaf.dtype, leaf.get_device()) if isinstance(leaf, Tensor) else None
