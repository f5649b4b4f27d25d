"""Arguments of older generations that change no result here: why, and which values of theirs may be given.

Whatever a table drops (a rename to "") stands here. A value that would change a result in the original is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Unused:
    """Why an argument needs no effect. `allowed`: its values, where others would need one; None: any."""

    reason: str
    allowed: Collection[Any] | Callable[[Any], bool] | None = None


_LOADING = Unused("how batches are made, not which")
_RUNNING = Unused("how it runs, not what it computes")
_SPELLING = Unused("how a config spells a function")
_IGNORED = Unused("the original takes it and leaves it out")
_ONE_SOURCE = Unused("which of a layer's calls and outputs is meant: the first one is", ([0], (0,)))


def _timewise(value: Any) -> bool:
    """Weights of steps need no mode: their shape tells."""
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else [value]
    return all(part in (None, "temporal") for part in parts)


UNUSED = {
    "consume_less": Unused("how the products are grouped", ("cpu", "mem", "gpu")),
    "implementation": Unused("how the products are grouped, and the layout of local kernels", (0, 1, 2, 3)),
    "node_indices": _ONE_SOURCE,
    "tensor_indices": _ONE_SOURCE,
    "transform_bias": _IGNORED,
    "noise_shape": Unused("spatial dropout has one of its own; the original takes another and leaves it out"),
    **dict.fromkeys(("kernel_initializer", "kernel_regularizer", "kernel_constraint"), _IGNORED),  # separable ones
    "filters": Unused("a depthwise convolution has those of its input", ()),
    "groups": Unused("there is one group", (1,)),
    "time_major": Unused("it is read beside the table"),
    "input_dtype": Unused("it is read beside the table"),
    **{f"{name}_type": _SPELLING for name in ("function", "output_shape", "mode", "output_mask", "mask")},
    **dict.fromkeys(("module", "output_shape_module", "mask_module"), _SPELLING),
    "sparse": Unused("gradients of embeddings are the same, dense or sparse", (None, False, True)),
    "rng_type": Unused("how the generator keeps its state"),
    "type_spec": Unused("the shape and the type say the same", ()),
    "layer_range": Unused("plot a model of the layers that are to be seen", ()),
    "dynamic": _RUNNING,
    "jit_compile": _RUNNING,
    "is_legacy_optimizer": Unused("a mark of the original's files"),
    **dict.fromkeys(("robust_masking", "softmax_robust_masking"), Unused("what is masked becomes 0 either way")),
    # Methods of models
    **dict.fromkeys(("max_q_size", "nb_worker", "pickle_safe"), _LOADING),
    **dict.fromkeys(("max_queue_size", "workers", "use_multiprocessing"), _LOADING),
    "show_accuracy": Unused("the original takes it and leaves it out: accuracy is a metric"),
    "sample_weight_mode": Unused("the shape of the weights tells", _timewise),
    "mode": Unused("how Theano ran a function", lambda mode: not isinstance(mode, int)),
    "target_tensors": Unused("targets are what `fit` is given", ()),
}  # fmt: skip


def check(owner: str, word: str, value: Any) -> None:
    """Raises ValueError for a value that would have to have an effect."""
    known = UNUSED[word]
    allowed = known.allowed
    if value is None or allowed is None or (allowed(value) if callable(allowed) else value in allowed):
        return
    fit = "" if callable(allowed) or not allowed else f"; only {', '.join(map(repr, allowed))} can be"
    raise ValueError(f"{owner}: `{word}={value!r}` is not supported here ({known.reason}){fit}. Leave it out.")
