"""What has to happen around a layer's `call`: one integer a layer, 0 where nothing has.

It is found anew by `tend` whenever one of its causes changes, and read, with a mask, by whoever might leave something
out: the call itself, a plan, a layer that holds another.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from . import placing
from .children import Children
from .spec import InputSpec
from .weight import Changes

UNBUILT = 1  # there are no weights yet
CASTS = 2  # `call` sees the weights in another type than they are kept in
HOOKED = 4  # torch's hooks are to be called
ADDS = 8  # it has added to the loss in its `call`
INSIDE = 16  # so it may be with layers inside, of a user's own or a model; or a call hands arguments down to them
CHECKS = 32  # a user's own, for which more is to be checked than the rank, or which makes masks
ACTIVITY = 64  # its regularizer sees the outputs
MASKS = 128  # it makes a mask of its input
ANSWERS = 256  # a user's own: what `call` gives is looked at
TOLD = 512  # torch modules inside, which are to obey an explicit `training`
SHARED = 1024  # weights inside are shared out over several processes; calls see them whole

LOSSES = ADDS | ACTIVITY  # calls leave something to be added to the loss
IN_PLAN = UNBUILT | CASTS | HOOKED | ADDS | INSIDE | ACTIVITY | SHARED  # a plan calls the layer, not its `call`
BEFORE = UNBUILT | CASTS | HOOKED | ADDS | INSIDE | CHECKS | SHARED  # one plain tensor is not enough for `call`
AFTER = ACTIVITY | MASKS | ANSWERS  # something follows `call`
AROUND = BEFORE | AFTER

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def tend(layer: Any) -> None:
    """Find anew what the layer needs around its `call`, and note that something changed."""
    vars(layer)["_care"] = layer._find_care()
    Changes.note(layer)


def care_of(layer: Any) -> int:
    policy, theirs = layer.dtype_policy, not layer._ours
    causes = {
        ADDS: layer._care & ADDS,
        UNBUILT: not layer._ready,
        CASTS: policy.compute != policy.variable,
        HOOKED: any(hooks_of(layer)),
        ACTIVITY: layer.activity_regularizer is not None,
        MASKS: layer._creates_mask,
        INSIDE: layer._context_words or (layer._modules and theirs),
        ANSWERS: theirs,
        CHECKS: theirs and (layer._creates_mask or not _by_rank(layer.input_spec)),
        TOLD: any(not hasattr(module, "_care") and not isinstance(module, Children) for module in layer.modules()),
        SHARED: placing.used and any(map(placing.is_shared_out, layer.parameters())),
    }
    return sum(care for care, cause in causes.items() if cause)


def hooks_of(module: nn.Module) -> list[Any]:
    """Its hooks of each kind."""
    return [getattr(module, kind) for kind in _HOOKS]


def _by_rank(spec: Any) -> bool:
    """Whether inputs fit a specification if their rank does."""
    if spec is None:
        return True
    return isinstance(spec, InputSpec) and spec.min_ndim is spec.max_ndim is spec.dtype is None and not spec.axes
