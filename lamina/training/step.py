"""The step: forward, loss, backward, update and metrics of one batch, settled once and then replayed.

Nothing in a step branches on a value or reads one back, so that on a GPU the whole of it is one CUDA graph (`graphs`).
"""

from __future__ import annotations

import itertools
import logging
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .. import activations
from ..core.care import LOSSES, Changes
from ..core.errors import named, warn
from ..core.placing import seen
from ..core.remat import Moment
from ..core.scope import Watched, asking, scope
from .compiled import Compiled
from .data import pack, rows_of

logger = logging.getLogger("lamina")

_gradient = operator.attrgetter("grad")


def penalties_of(module: nn.Module) -> Callable[[], list[Tensor]] | None:
    """What is added to the loss besides the targets' part; None for nothing. Found once instead of in every step."""
    if not hasattr(type(module), "losses"):
        return None
    adding = any(getattr(inner, "_care", 0) & LOSSES for inner in module.modules())
    penalized: Callable[[], list[Any]] | None = getattr(module, "penalized_weights", None)
    if adding or penalized is None:
        return lambda: module.losses  # type: ignore[return-value]
    pairs = [(weight.regularizer, weight) for weight in penalized()]
    return (lambda: [regularizer(seen(weight)) for regularizer, weight in pairs]) if pairs else None


def trainable_weights(module: nn.Module) -> list[Any]:
    """What an optimizer updates: Keras' list where the module has one, else the parameters that need a gradient."""
    found = getattr(module, "trainable_weights", None)
    return [weight for weight in module.parameters() if weight.requires_grad] if found is None else list(found)


# Passes ---------------------------------------------------------------------------------------------------------------


_numbers = itertools.count()


def _alone(module: nn.Module) -> Callable:
    """Calls of a module by code of its own: torch.compile counts by code how often it compiled and which sizes changed,
    and models share theirs."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return module(*args, **kwargs)

    call.__code__ = call.__code__.replace(co_name=f"call_{next(_numbers)}")
    return call


class Passes:
    """Forward through a model to its outputs and their loss, and back to the gradients of its weights.

    All that a step knows of a model is here. Gradients that are found in another way than by torch's graph, or together
    with other processes, come from a class of their own with these methods.
    """

    def __init__(self, module: nn.Module, compiled: Compiled, training: bool, own_loss: Callable | None = None):
        self.module, self._compiled, self._training, self.own_loss = module, compiled, training, own_loss
        self._call: Callable = torch.compile(_alone(module)) if compiled.jit_compile is True else module
        self.changes = -1
        self.outputs_used = True

    def settle(self) -> None:
        """Find out what stays the same from batch to batch, until something in the model changes its ways."""
        self.changes = Changes.count
        self._penalties = penalties_of(self.module)
        compiled = self._compiled
        self.asks = self._seeks = not (self.own_loss or compiled.loss is None or compiled.jit_compile is True)
        self.watched = _ending_in_log_space(self.module) if self.asks else []

    def go_on(self, earlier: Passes) -> None:
        """Take over what those of an earlier `fit` have found out that still counts."""

    def weights(self) -> list[Any]:
        """The weights to train."""
        return trainable_weights(self.module)

    def forward(self, x: Any, y: Any, sample_weight: Any) -> tuple[Any, Tensor]:
        """The outputs for a batch and its loss."""
        outputs, scores = self._told(x) if self.asks else (self._call(x), ())
        if self.changes != Changes.count:  # a layer added its first loss in this very call
            self._penalties = penalties_of(self.module)
        if self.own_loss is not None:
            return outputs, self.own_loss(x, y, outputs, sample_weight, self._training)
        if self._seeks:
            self._seek(y, outputs, scores)
        return outputs, self._compiled.total_loss(y, outputs, sample_weight, self._penalties, scores)

    def both(
        self, x: Any, y: Any, sample_weight: Any, weights: list[Any], scale: Callable[[Tensor], Tensor]
    ) -> tuple[Any, Tensor, list[Tensor | None]]:
        """The outputs for a batch, its loss, and the gradients of the weights from `scale(loss)`."""
        outputs, loss = self.forward(x, y, sample_weight)
        for weight in weights:
            weight.grad = None
        scaled = scale(loss)
        if not scaled.requires_grad:
            raise ValueError(
                f"{named(self.module)}: the loss has no gradient for any weight. Something on the way, such as an "
                "argmax, a round or a cast to whole numbers, has none."
            )
        torch.autograd.backward(scaled)
        return outputs, loss, [*map(_gradient, weights)]

    def _told(self, x: Any) -> tuple[Any, list[tuple[Any, Any, Watched]]]:
        """The outputs, and what was told by each softmax or sigmoid that is watched on the way: those at the ends of
        plans, and others for which something stands in meanwhile."""
        thread, told = scope.thread, []
        outer, asking[thread] = asking.get(thread), told
        for layer, last in self.watched:
            vars(layer)["activation"] = last
        try:
            return self._call(x), told
        finally:
            if outer is None:
                del asking[thread]
            else:  # a step within another one's
                asking[thread] = outer
            for layer, last in self.watched:
                vars(layer)["activation"] = last.stands_for

    def _seek(self, y: Any, outputs: Any, scores: Sequence[Any]) -> None:
        """Find out, with the first batch, which scores the losses can do with; nothing else is asked for then."""
        loss: Any = self._compiled.loss
        if not loss.built:
            loss.build(y, outputs)
        if any(last.stands_for is activations.softmax and result.shape[-1] == 1 for result, _, last in scores):
            warn("A softmax over one class is always 1, whatever the model learns: use a sigmoid.")
        used = loss.uses(outputs, scores)
        self.watched = [(layer, last) for layer, last in self.watched if last in used]
        self.asks, self._seeks = bool(used), False


def _ending_in_log_space(module: nn.Module) -> list[tuple[nn.Module, Watched]]:
    """The layers in a model whose output might be probabilities made from scores, and what can stand for that."""
    held = ((inner, vars(inner).get("activation")) for inner in module.modules())
    found = ((inner, activations.log_space(function)) for inner, function in held if not isinstance(function, Watched))
    return [(inner, Watched(function)) for inner, function in found if function is not None]


# Steps ----------------------------------------------------------------------------------------------------------------


class OfModel:
    """What belongs to one model; copies of the model start without one."""

    def __reduce__(self) -> Any:
        return type(None), ()

    def renew(self) -> None:
        """What stayed the same no longer does: another optimizer is to update the weights."""


class OwnStep(OfModel):
    """A step that the user wrote, given data in the shortest form."""

    def __init__(self, method: Callable[[Any], Any]):
        self._method = method

    def __call__(self, x: Any, y: Any, sample_weight: Any) -> Any:
        return self._method(pack(x, y, sample_weight))


class PredictStep(OfModel):
    """The outputs for one batch."""

    def __init__(self, module: nn.Module):
        self._module = module

    def __call__(self, x: Any, y: Any, sample_weight: Any) -> Any:
        return self._module(x)


class Step(OfModel):
    """Loss and metrics of one batch: `step(x, y, sample_weight)`.

    Returns logs only where `own_metrics` makes them, else None.
    """

    def __init__(self, passes: Passes, compiled: Compiled, own_metrics: Callable | None = None):
        self.passes, self._compiled, self._own_metrics = passes, compiled, own_metrics
        passes.outputs_used = own_metrics is not None or compiled.metrics is not None

    def __call__(self, x: Any, y: Any, sample_weight: Any) -> Any:
        if self.passes.changes != Changes.count and Changes.concern(self.passes, self.passes.module):
            self._settle()
        outputs, loss = self.passes.forward(x, y, sample_weight)
        return self._measure(x, y, outputs, sample_weight, loss)

    def _settle(self) -> None:
        self.passes.settle()

    def can_be_captured(self) -> bool:
        """Whether all of it may be one CUDA graph; if so, whatever has to know is told."""
        return self._own_metrics is None and self.passes.own_loss is None

    def _measure(self, x: Any, y: Any, outputs: Any, sample_weight: Any, loss: Tensor) -> Any:
        compiled = self._compiled
        compiled.count(loss, rows_of(x))
        if self._own_metrics is not None:
            return self._own_metrics(x, y, outputs, sample_weight)
        if compiled.metrics is not None:
            compiled.metrics.update_state(y, outputs, sample_weight)
        return None


class TrainStep(Step):
    """A step that also updates the weights.

    The first one measures before it updates, as data may fit the model and neither the loss nor the metrics: where it
    fails, it has changed nothing.
    """

    _fits = False  # whether one was done

    def __call__(self, x: Any, y: Any, sample_weight: Any) -> Any:
        passes = self.passes
        if passes.changes != Changes.count and Changes.concern(passes, passes.module):
            self._settle()
        weights, optimizer = self._weights, self._optimizer
        before = None if self._fits else Moment(passes.module)
        early = before is not None and self._own_metrics is None
        try:
            if weights:
                outputs, loss, grads = passes.both(x, y, sample_weight, weights, optimizer.scale_loss)
            else:
                (outputs, loss), grads = passes.forward(x, y, sample_weight), None
            if early:
                self._measure(x, y, outputs, sample_weight, loss)
        except Exception:
            if before is not None:
                before.come_back()
            raise
        if grads is not None:
            optimizer.apply(grads, self._among)
        self._fits = True
        return None if early else self._measure(x, y, outputs, sample_weight, loss)

    def _settle(self) -> None:
        super()._settle()
        self._weights = weights = self.passes.weights()
        self._optimizer = optimizer = self._compiled.optimizer
        if not weights:
            warn("The model has no trainable weights: fit only measures it.")
        elif not optimizer.built or getattr(optimizer, "_serves_several", False):
            optimizer.build(weights)
        built = getattr(optimizer, "_weights", None)
        all_of_them = built is not None and [*map(id, weights)] == [*map(id, built)]
        self._among = None if all_of_them else weights  # the optimizer need not look for its weights one by one

    def renew(self) -> None:
        self.passes.changes = -1

    def notice_trainable(self) -> None:
        """Settle again where other weights are trainable than before, as between the two halves of a GAN's step."""
        if self.passes.changes >= 0 and [*map(id, self._weights)] != [*map(id, self.passes.weights())]:
            self.renew()

    def can_be_captured(self) -> bool:
        if not super().can_be_captured():
            return False
        optimizer = self._compiled.optimizer
        try:
            optimizer.build(self.passes.weights())
            optimizer.capturable = True
        except ValueError as error:
            logger.warning("The training step runs eagerly: %s", error)
            return False
        return True
