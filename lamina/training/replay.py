"""Passes that are recorded and then replayed, on a CPU: a short step spends most of its time on autograd's bookkeeping.

A recording counts for batches of one format, and as long as all that it goes by is as it was; else the pass is an eager
one. Its results are those of the eager pass to the last bit, random numbers included.
"""

from __future__ import annotations

import functools
import logging
import operator
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.modules.module import (
    _global_backward_hooks,
    _global_backward_pre_hooks,
    _global_forward_hooks,
    _global_forward_pre_hooks,
)
from torch.utils import _pytree as pytree

from ..core import config
from ..core.care import LOSSES, hooks_of
from ..core.devices import modes
from ..core.masking import get_mask, set_mask
from ..core.random import SeedGenerator, drawn
from ..core.scope import scope
from .compiled import Compiled
from .record import Line, Recording, Watch
from .step import Passes

logger = logging.getLogger("lamina")

EAGER_PASSES = 25  # that nothing is asked of at first
EAGER_TIME = 0.1  # seconds that others of one format take before two of them are recorded, which takes a tenth of that
EAGER_TIME_ON_GPU = 0.02  # launches alone are timed there
LONGEST = 0.03  # seconds a pass may take on average; the kernels' time is all that counts in longer ones
FORMATS = 8  # of batches that are told apart; those that come later pass eagerly

# Made anew of all else that a module holds, and what tells how far its training is.
_FOLLOWS = {"_changed_at", "_plan", "_masked_plans", "_passing", "_known_inputs", "_metrics_inside"}
_FOLLOWS |= {"train_function", "test_function", "predict_function", "_steps", "history"}
_FOLLOWS |= {"_fitting", "stop_training", "stop_evaluating", "stop_predicting"}

_data_ptr, _size, _stride = torch.Tensor.data_ptr, torch.Tensor.size, torch.Tensor.stride
below_autograd: Any = torch._C._AutoDispatchBelowAutograd
_C: Any = torch._C


def watched() -> bool:
    """Whether somebody watches or changes what is done with tensors."""
    return bool(
        _C._len_torch_dispatch_stack()
        or (_C._len_torch_function_stack() and modes())
        or _C._are_functorch_transforms_active()
        or _C._get_tracing_state()
        or torch.is_autocast_enabled("cpu")
        or torch.is_autocast_enabled("cuda")
        or torch.is_anomaly_enabled()
        or forward_ad._current_level >= 0
        or _global_forward_hooks
        or _global_forward_pre_hooks
    )


def _as_usual() -> bool:
    """Whether that is not so, and gradients may be asked for."""
    usual = torch.is_grad_enabled() and not torch.is_inference_mode_enabled() and not watched()
    return usual and not (_global_backward_hooks or _global_backward_pre_hooks)


def _batch_format(batch: tuple) -> tuple[list[Tensor], Any]:
    """The tensors of a batch, and what its recording goes by; None for what is not recorded."""
    x, y, weight = batch
    if type(x) is type(y) is Tensor and (weight is None or type(weight) is Tensor):
        leaves, spec = [x, y] if weight is None else [x, y, weight], None
    else:
        flat, spec = pytree.tree_flatten(batch)
        leaves = [leaf for leaf in flat if leaf is not None]
        spec = str(spec), *(leaf is None for leaf in flat)
        if any(type(leaf) is not Tensor for leaf in leaves):
            return [], None
    formats = []
    for leaf in leaves:
        if leaf.requires_grad or not leaf.is_cpu or hasattr(leaf, "_keras_mask"):
            return [], None
        formats.append((leaf.shape, leaf.stride(), leaf.dtype))
    return leaves, (spec, *formats)


class Objects(list):
    """Equal to another one of the same objects: both hold them, so that none comes in the place of another."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and are(self, other)


class Premises:
    """What a recording goes by beside its inputs: `now` is equal as long as nothing of it has changed."""

    def __init__(self, module: Any, helpers: Sequence[dict[str, Any]] = ()):
        modules = [*module.modules()]
        holders = [*helpers, *(register for one in modules for register in (one._parameters, one._buffers))]
        self._places = [(each, name) for each in holders for name in each if isinstance(each[name], Tensor)]
        self._flags = [vars(one) for one in modules if getattr(one, "_takes_training", True)]
        self._settings = config.settings()

    def now(self) -> Any:
        try:
            tensors = [holder[name] for holder, name in self._places]
            memory = [*map(_data_ptr, tensors)], [*map(_size, tensors)], [*map(_stride, tensors)]
        except (KeyError, TypeError):  # one of them is gone
            return None
        return [*map(id, tensors)], memory, self._settings["epsilon"], [one["training"] for one in self._flags]


class PremisesOfStep(Premises):
    """What a recorded training step goes by beside the batch."""

    def __init__(self, module: Any, compiled: Compiled, weights: list[Any]):
        self.weights = weights
        loss = compiled.loss
        parts = [part for part in ((*loss.parts, *loss.more) if loss else ()) if part is not None]
        helpers = [one for part in parts for one in (part, part.loss, part.tracker)]
        helpers += [getattr(weight, "regularizer", None) for weight in weights]
        held = [vars(one) for one in helpers if hasattr(one, "__dict__")]
        super().__init__(module, held)
        self._freezing = [vars(one) for one in module.modules() if "_trainable" in vars(one)]
        plain = [one for one in module.modules() if not hasattr(one, "_care")]  # of others, changes are noted
        self._hooks = [hooks for one in plain for hooks in hooks_of(one)]
        self._read = [vars(one) for one in plain] + [one._modules for one in plain] + held

    def now(self) -> Any:
        return (
            super().now(),
            scope.training,
            any(self._hooks),
            [(one.requires_grad, one._backward_hooks, one._post_accumulate_grad_hooks) for one in self.weights],
            [holder["_trainable"] for holder in self._freezing],
            Objects(value for holder in self._read for value in holder.values()),
        )


@dataclass
class Recorded:
    """One recorded pass: what was written down, the names of its results, and what it went by."""

    recording: Recording
    results: list[Any]
    spec: Any
    draws: dict[SeedGenerator, int]
    premises: Any  # `now()` of it is `known` as long as the recording holds
    known: Any
    line: Callable | None = None

    def matches(self, other: Recorded) -> bool:
        mine, theirs = ((one.results, one.spec, one.draws, one.known) for one in (self, other))
        return mine == theirs and self.recording.matches(other.recording)


class Format:
    """What is known of batches of one format: the time of eager passes, then recordings."""

    def __init__(self) -> None:
        self.passes, self.seconds = 0, 0.0
        self.eager = False  # for good
        self.first: Recorded | None = None
        self.replay: Recorded | None = None
        self.recordings = 0  # that were replayed

    def is_due(self, on_gpu: bool = False) -> bool:
        if self.eager or not self.passes or self.seconds < (EAGER_TIME_ON_GPU if on_gpu else EAGER_TIME):
            return False
        self.eager = not on_gpu and self.seconds > LONGEST * self.passes
        return not self.eager

    def take(self, found: Recorded, problem: str | None, what: str) -> None:
        """Replay the second of two equal recordings; pass eagerly for good where there is a problem with one."""
        problem = found.recording.problem or problem
        if problem is None and self.first is not None and not self.first.matches(found):
            problem = "two passes were not alike"
        if problem is not None:
            logger.debug("%s run eagerly: %s.", what, problem)
            self.eager, self.first = True, None
        elif self.first is None:
            self.first = found
        else:
            found.line = Line(found.recording, found.results).run
            self.first, self.replay, self.recordings = None, found, self.recordings + 1


class Replayed(Passes):
    """Passes on a CPU, the first ones eager and timed, then two recorded ones, those that follow replayed.

    Only passes in which nothing but code of this package runs, and no value is read, are replayed. Where a recording
    does not hold any longer for a batch, that batch passes eagerly.
    """

    _begun = 0
    _settled: list[Any] | None = None  # what the modules held when this was settled

    def settle(self) -> None:
        super().settle()
        before, self._settled = self._settled, attributes(self.module)
        if before is None or not are(before, self._settled):  # else layers were frozen and are so no longer, or so
            self._formats: dict[Any, Format] = {}

    def go_on(self, earlier: Passes) -> None:
        if not isinstance(earlier, Replayed) or earlier._settled is None:
            return
        if earlier._compiled is self._compiled and earlier.outputs_used == self.outputs_used:
            self._begun, self._settled, self._formats = earlier._begun, earlier._settled, earlier._formats

    def both(
        self, x: Any, y: Any, sample_weight: Any, weights: list[Any], scale: Callable[[Tensor], Tensor]
    ) -> tuple[Any, Tensor, list[Tensor | None]]:
        if self._begun < EAGER_PASSES:
            self._begun += 1
            return super().both(x, y, sample_weight, weights, scale)
        batch = x, y, sample_weight
        leaves, key = _batch_format(batch)
        known = self._formats.get(key)
        if known is None:
            known = Format()
            if key is not None and len(self._formats) < FORMATS:
                self._formats[key] = known
        found = known.replay
        if found is not None and _as_usual() and _holds(found, weights) and scale(_ANY) is _ANY:
            return self._replayed(found, leaves, batch, weights, scale)
        if found is None and known.is_due() and _as_usual() and scale(_ANY) is _ANY:
            return self._record(known, leaves, batch, weights, scale)
        begin = time.perf_counter()
        passed = super().both(*batch, weights, scale)
        known.seconds += time.perf_counter() - begin
        known.passes += 1
        return passed

    def _replayed(
        self, found: Recorded, leaves: list[Tensor], batch: tuple[Any, Any, Any], weights: list[Any], scale: Any
    ) -> Any:
        for weight in weights:
            weight.grad = None
        try:
            with below_autograd():
                loss, outputs, masks, grads = found.line(*leaves)  # type: ignore[misc]
        except Exception:  # an eager pass finds the words for it
            return super().both(*batch, weights, scale)
        for weight, grad in zip(weights, grads, strict=True):
            weight.grad = grad
        for stream, count in found.draws.items():
            stream.skip(count)
        for output, mask in zip(outputs, masks, strict=True):
            set_mask(output, mask)
        return pytree.tree_unflatten(outputs, found.spec) if outputs else None, loss, grads

    def _record(
        self, known: Format, leaves: list[Tensor], batch: tuple[Any, Any, Any], weights: list[Any], scale: Any
    ) -> Any:
        """An eager pass of which all calls are written down."""
        premises = PremisesOfStep(self.module, self._compiled, weights)
        once = functools.partial(super().both, *batch, weights, scale)
        passed, recording, draws, problem = write_down(self.module, leaves, once, known.first is not None)
        outputs, loss, grads = passed
        flat, spec = pytree.tree_flatten(outputs)
        named = [loss, flat if self.outputs_used else [], [], grads]
        if self.outputs_used:
            named[2] = [get_mask(output) for output in flat]
        found = Recorded(recording, recording.names(named), spec, draws, premises, premises.now())
        known.take(found, problem or self._hindrance(weights), "Training steps")
        return passed

    def _hindrance(self, weights: Sequence[Any]) -> str | None:
        """What keeps a pass from being replayed that its calls do not show."""
        modules = [*self.module.modules()]
        if any(getattr(one, "_care", 0) & LOSSES for one in modules):
            return "a layer adds to the loss"
        hooks = [kind for one in modules for kind in hooks_of(one)]
        hooks += [kind for one in weights for kind in (one._backward_hooks, one._post_accumulate_grad_hooks)]
        if any(hooks):
            return "there are hooks"
        return None


def _holds(found: Recorded, weights: list[Any]) -> bool:
    """Whether all that a recording went by is as it was, for these weights."""
    if weights is not found.premises.weights:
        if not are(weights, found.premises.weights):
            return False
        found.premises.weights = weights
    return found.premises.now() == found.known


def write_down(
    module: Any, given: Sequence[Tensor], run: Callable[[], Any], again: bool
) -> tuple[Any, Recording, dict[SeedGenerator, int], str | None]:
    """`run` with its calls of torch written down: what it gave, the recording, how much was drawn of each stream, and
    what beside the recording's own `problem` keeps it from being made again. `again`: whose code runs is known."""
    before, drawn_before = attributes(module), drawn()
    watch, recording = Watch(), Recording(given)
    with nullcontext() if again else watch.open(), recording:
        result = run()
    draws = {stream: count - drawn_before.get(stream, 0) for stream, count in drawn().items()}
    problem = watch.problem
    if problem is None and not are(before, attributes(module)):
        problem = "a layer keeps something of its inputs"
    return result, recording, {stream: count for stream, count in draws.items() if count}, problem


def attributes(module: Any) -> list[Any]:
    """All that a module and those inside it hold, and what is asked of their weights."""
    weights = [*module.parameters()]
    found = [getattr(weight, role, None) for role in ("regularizer", "constraint") for weight in weights]
    for one in module.modules():
        found += [value for name, value in vars(one).items() if name not in _FOLLOWS]
        for kind in (one._parameters, one._buffers, one._modules):
            found += kind.values()
    return found


def are(some: list[Any], others: list[Any]) -> bool:
    """Whether these are the same objects."""
    return len(some) == len(others) and all(map(operator.is_, some, others))


_ANY = torch.ones(())  # a loss
