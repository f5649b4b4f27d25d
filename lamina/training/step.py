"""The step: forward, loss, backward, update and metrics of one batch, settled once and then replayed.

Nothing in a step branches on a value or reads one back, so that on a GPU the whole of it is one CUDA graph.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from .. import activations
from ..core.care import LOSSES, Changes
from ..core.layer import scope
from .data import pack, rows_of
from .objective import track

logger = logging.getLogger("lamina")

_LOG_SPACE = {activations.softmax: "softmax", activations.sigmoid: "sigmoid"}


class Scores:
    """Stands in for a layer's softmax or sigmoid during a call and remembers what it was given and what it returned.

    Where the model's output is the very tensor it returned, the loss can use the scores instead of their probabilities.
    Other threads may meanwhile call the layer, which is not remembered, save it or copy it.
    """

    def __init__(self, layer: nn.Module):
        self._layer = layer
        self.stands_for: Callable = vars(layer)["activation"]
        self.name = _LOG_SPACE[self.stands_for]
        self.given: Tensor | None = None
        self.returned: Tensor | None = None
        self._thread: int | None = None

    def __call__(self, x: Tensor) -> Tensor:
        y = self.stands_for(x)
        if scope.thread == self._thread:
            self.given, self.returned = x, y
        return y

    def __reduce__(self) -> Any:
        return activations.get, (self.name,)

    def begin(self) -> None:
        self._thread = scope.thread
        vars(self._layer)["activation"] = self

    def end(self) -> None:
        vars(self._layer)["activation"] = self.stands_for

    def forget(self) -> None:
        self.given = self.returned = None


def _ending_in_log_space(module: nn.Module) -> list[Scores]:
    """All places in a model whose output might be probabilities made from scores."""

    def known(activation: Any) -> bool:
        return callable(activation) and getattr(activation, "__hash__", None) is not None and activation in _LOG_SPACE

    return [Scores(inner) for inner in module.modules() if known(vars(inner).get("activation"))]


def penalties_of(module: nn.Module) -> Callable[[], list[Tensor]] | None:
    """What is added to the loss besides the targets' part; None for nothing. Found once instead of in every step."""
    if not hasattr(type(module), "losses"):
        return None
    adding = any(getattr(inner, "_care", 0) & LOSSES for inner in module.modules())
    if adding or not hasattr(module, "weight_losses"):
        return lambda: module.losses  # type: ignore[return-value]
    weights = [weight for weight in trainable_weights(module) if getattr(weight, "regularizer", None)]
    pairs = [(weight.regularizer, weight) for weight in weights]
    return (lambda: [regularizer(weight) for regularizer, weight in pairs]) if pairs else None


def trainable_weights(module: nn.Module) -> list[Any]:
    """What an optimizer updates: Keras' list where the module has one, else the parameters that need a gradient."""
    found = getattr(module, "trainable_weights", None)
    return [weight for weight in module.parameters() if weight.requires_grad] if found is None else list(found)


class OfModel:
    """What belongs to one model; copies of the model start without one."""

    def __reduce__(self) -> Any:
        return type(None), ()


class OwnStep(OfModel):
    """A step that the user wrote, given data in the shortest form."""

    def __init__(self, method: Callable[[Any], Any]):
        self._method = method

    def __call__(self, x: Any, y: Any, sample_weight: Any) -> Any:
        return self._method(pack(x, y, sample_weight))


class Step(OfModel):
    """Loss and metrics of one batch: `step(x, y, sample_weight)`.

    Returns logs only where `own_metrics` makes them, else None.
    """

    training = False

    def __init__(self, model: Any, own_loss: Callable | None = None, own_metrics: Callable | None = None):
        self._model = model
        self.changes = -1
        self._own_loss, self._own_metrics = own_loss, own_metrics
        self._forward: Callable = torch.compile(model) if model.jit_compile is True else model
        self._scores: list[Scores] = []
        self._searching = False

    def _settle(self) -> None:
        """Find out what stays the same from step to step. Done again when a layer changes its ways."""
        self.changes = Changes.count
        self._penalties = penalties_of(self._model)
        self._searching = self._model.jit_compile is not True and self._own_loss is None
        self._scores = _ending_in_log_space(self._model) if self._searching else []

    def __call__(self, x: Any, y: Any, sample_weight: Any) -> Any:
        if self.changes != Changes.count and Changes.concern(self, self._model):
            self._settle()
        outputs, _ = self._outputs_and_loss(x, y, sample_weight)
        return self._measure(x, y, outputs, sample_weight)

    def _outputs_and_loss(self, x: Any, y: Any, sample_weight: Any) -> tuple[Any, Tensor]:
        model, scores = self._model, self._scores
        if scores:
            for one in scores:
                one.begin()
            try:
                outputs = self._forward(x)
            finally:
                for one in scores:
                    one.end()
        else:
            outputs = self._forward(x)
        if self.changes != Changes.count:  # a layer added its first loss in this very call
            self._penalties = penalties_of(model)
        if self._own_loss is not None:
            loss = self._own_loss(x, y, outputs, sample_weight, self.training)
        else:
            if self._searching:
                self._keep_used_scores(y, outputs)
            loss = model._total_loss(y, outputs, sample_weight, self._penalties, self._scores)
        for one in scores:
            one.forget()
        track(model._loss_tracker, loss, rows_of(x))
        return outputs, loss

    def _keep_used_scores(self, y: Any, outputs: Any) -> None:
        compiled = self._model._compiled_loss
        if compiled is not None and not compiled.built:
            compiled.build(y, outputs)
        found, self._scores, self._searching = self._scores, [], False
        if compiled is not None:
            self._scores = compiled.use_scores(outputs, found)

    def _measure(self, x: Any, y: Any, outputs: Any, sample_weight: Any) -> Any:
        model = self._model
        if self._own_metrics is not None:
            return self._own_metrics(x, y, outputs, sample_weight)
        if model._compiled_metrics is not None:
            model._compiled_metrics.update_state(y, outputs, sample_weight)
        return None


class TrainStep(Step):
    """A step that also updates the weights."""

    training = True

    def _settle(self) -> None:
        super()._settle()
        model = self._model
        self._weights = weights = trainable_weights(model)
        self._optimizer = optimizer = model.optimizer
        if not weights:
            warnings.warn("The model has no trainable weights: fit only measures it.", stacklevel=3)
        elif not optimizer.built:
            optimizer.build(weights)
        built = getattr(optimizer, "_weights", None)
        self._all = built is not None and [id(weight) for weight in weights] == [id(weight) for weight in built]

    def notice_trainable(self) -> None:
        """Settle again where other weights are trainable than before, as between the two halves of a GAN's step."""
        if self.changes >= 0 and [*map(id, self._weights)] != [*map(id, trainable_weights(self._model))]:
            self.changes = -1

    def __call__(self, x: Any, y: Any, sample_weight: Any) -> Any:
        if self.changes != Changes.count and Changes.concern(self, self._model):
            self._settle()
        outputs, loss = self._outputs_and_loss(x, y, sample_weight)
        weights, optimizer = self._weights, self._optimizer
        if weights:
            for weight in weights:
                weight.grad = None
            optimizer.scale_loss(loss).backward()
            grads = [weight.grad for weight in weights]
            if self._all:
                optimizer.apply(grads)
            else:
                optimizer.apply(grads, weights)
        return self._measure(x, y, outputs, sample_weight)


# One CUDA graph -------------------------------------------------------------------------------------------------------


def cuda_capture(run: Callable[[], Any]) -> Callable[[], Any]:
    """Record the kernels that `run` launches; the result launches them again, as one."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # other threads may predict meanwhile
        run()
    return graph.replay


class Captured(OfModel):
    """A training step that runs eagerly a few times and is then replayed from a recording.

    Batches are copied into buffers of the recording. One of another shape, such as a last shorter one, runs eagerly; so
    does everything, after one logged line, where recording fails. `capture(run)` returns the replaying function.
    """

    EAGER_STEPS = 3  # before the recording: they make the optimizer's state and let kernels be chosen

    def __init__(self, step: TrainStep, capture: Callable[[Callable[[], Any]], Callable[[], Any]] = cuda_capture):
        self._step, self._capture = step, capture
        self._left: int | None = self.EAGER_STEPS
        self._replay: Callable[[], Any] | None = None
        self._buffers: list[Any] = []
        self.changes = -1

    def __call__(self, x: Any, y: Any, sample_weight: Any) -> Any:
        leaves, spec = pytree.tree_flatten((x, y, sample_weight))
        if self._left is None:
            return self._step(x, y, sample_weight)
        if self._replay is None or Changes.concern(self, self._step._model):
            if self._left > 0:
                self._left -= 1
                return self._warm_up(x, y, sample_weight)
            if not self._record(leaves, spec):
                return self._step(x, y, sample_weight)
        elif [_format(leaf) for leaf in leaves] != self._formats:
            return self._step(x, y, sample_weight)
        for buffer, leaf in zip(self._buffers, leaves, strict=True):
            if buffer is not None:
                buffer.copy_(leaf, non_blocking=True)
        return self._replay()  # type: ignore[misc]

    def stop(self) -> None:
        """Run eagerly from now on."""
        self._left = self._replay = None

    def _warm_up(self, x: Any, y: Any, sample_weight: Any) -> Any:
        if self._capture is not cuda_capture:
            return self._step(x, y, sample_weight)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            logs = self._step(x, y, sample_weight)
        torch.cuda.current_stream().wait_stream(side)
        return logs

    def _record(self, leaves: list[Any], spec: Any) -> bool:
        self._buffers = [leaf.clone() if isinstance(leaf, Tensor) else None for leaf in leaves]
        self._formats, self.changes = [_format(leaf) for leaf in leaves], Changes.count
        batch = pytree.tree_unflatten(self._buffers, spec)
        try:
            self._replay = self._capture(lambda: self._step(*batch) and None)
        except (RuntimeError, ValueError, TypeError) as error:
            reason = str(error).strip().split("\n")[0]
            logger.warning("The training step runs eagerly: it cannot be one CUDA graph (%s).", reason)
            self.stop()
            return False
        return True


def _format(leaf: Any) -> Any:
    return (leaf.shape, leaf.dtype) if isinstance(leaf, Tensor) else None
