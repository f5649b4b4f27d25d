"""Data that a model of Keras 1 or 2 holds itself: `Input(tensor=)` of values, and `target_tensors` of `compile`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .backend import is_placeholder

_STEPS = {"fit": "steps_per_epoch", "evaluate": "steps", "predict": "steps"}


def targets_of(targets: object, names: list[str]) -> list[Tensor | None] | None:
    """The values told as targets, for each output; None for one whose targets `fit` is given, as placeholders say.

    Raises TypeError for what are no tensors, ValueError where they fit no outputs or are computed of symbolic ones.
    """
    if targets is None:
        return None
    if isinstance(targets, Mapping):
        unknown = [name for name in targets if name not in names]
        if unknown:
            raise ValueError(f"compile: `target_tensors` names {unknown[0]!r}; the outputs are {names}.")
        listed = [targets.get(name) for name in names]
    else:
        listed = targets if isinstance(targets, list) else [targets]
    if len(listed) != len(names) and listed is not targets:
        raise ValueError(
            f"compile: The model has {len(names)} outputs, but you passed a single tensor as `target_tensors`. "
            "Expected a list or a dict of tensors."
        )
    if len(listed) != len(names):
        raise ValueError(
            "compile: When passing a list as `target_tensors`, it should have one entry per model output. The model "
            f"has {len(names)} outputs, but you passed target_tensors={targets}."
        )
    for one in listed:
        if not (one is None or hasattr(one, "shape")):
            raise TypeError(f"compile: `target_tensors` must be tensors; got {type(one).__name__}.")
        if not (one is None or isinstance(one, Tensor) or is_placeholder(one)):
            raise ValueError("compile: `target_tensors` are values or placeholders here; use `add_loss` for others.")
    return [one if isinstance(one, Tensor) else None for one in listed]


def _filled(given: object, held: list[Tensor | None], names: list[str]) -> object:
    """What was given beside what is held. Raises ValueError where both are there."""
    if isinstance(given, Mapping):
        return {**given, **{name: one for name, one in zip(names, held, strict=True) if one is not None}}
    waiting = iter([] if given is None else given if isinstance(given, (list, tuple)) else [given])
    found = [next(waiting, None) if one is None else one for one in held]
    if next(waiting, None) is not None:
        raise ValueError("The model holds data, by `Input(tensor=)` or `target_tensors`; leave these out of the call.")
    return found if len(found) > 1 else found[0]


def complete(model: Any, method: str, given: dict[str, object]) -> None:
    """Put the data that the model holds into the arguments of a method; each of as many `steps` takes them whole."""
    inputs, targets = getattr(getattr(model, "_graph", None), "inputs", ()), vars(model).get("_held_targets") or []
    held = [vars(one.node.layer).get("_held") for one in inputs]
    if all(one is None for one in (*held, *targets)):
        return
    if isinstance(given.get("x"), (list, dict)) and not given["x"]:
        given["x"] = None
    steps = _STEPS.get(method) if given.get("x") is None and given.get("y") is None else None
    if any(one is not None for one in held):
        given["x"] = _filled(given.get("x"), held, [one.node.layer.name for one in inputs])
    if any(one is not None for one in targets):
        given["y"] = _filled(given.get("y"), targets, model.output_names)
    if steps is not None:
        if given.get(steps) is None:
            raise ValueError(f"{method}: the data are tensors that the model holds; give `{steps}=`.")
        data = (given["x"], given.pop("y", None), given.pop("sample_weight", None))
        given["x"] = itertools.repeat(data if data[1] is not None else data[:1])
