"""Layers round a layer: over the steps of a sequence, or over a sequence in both directions."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils import _pytree as pytree

from ..core import care, masking, serialize, symbolic
from ..core.declare import Kind, arg, items, one_of
from ..core.errors import named, short, show_shape
from ..core.fusion import grants
from ..core.layer import Layer, first_values
from ..core.operation import Operation
from .lambda_ import Lambda
from .normalization import BatchNormalization, SpectralNormalization
from .recurrent import RNN, Holder, with_states
from .torch_module import layer_inside

__all__ = ["Bidirectional", "Pipeline", "TimeDistributed", "Wrapper"]


class Wrapper(Holder):
    """Base of layers round another layer, which is in `layer`."""

    layer: Layer = arg(
        layer_inside.saying(
            "argument `{0}` must be {expected}; got {got}. Layer {got} supplied to {1} isn't a supported layer type. "
            "Please ensure wrapped layer is a valid Keras layer."
        ),
        doc="The layer inside.",
    )

    def build(self, input_shape: Any = None) -> None:
        if not self.layer._ready:
            self.layer.build(input_shape)


_several = Kind("a list of layers", lambda v, o: list(items(v, layer_inside, o, least=0)), bad=(3, [3], None))


class Pipeline(Holder):
    """Layers one behind another, as one: a preparation of data, such as random changes of pictures.

    It starts in training: a call that is told nothing else, and no model's `predict`, runs the layers so.
    """

    layers: Any = arg(_several, attribute="_pipeline_layers", doc="What to run, in this order.")

    _autocast = False
    _creates_mask = False
    supports_masking = True

    @classmethod
    def from_config(cls, config: Any) -> Any:
        """Raises ValueError for a config without layers."""
        if not isinstance(config.get("layers"), list):
            raise ValueError(f"{cls.__name__}: its config must have a list `layers`; got {short(config)}.")
        return super().from_config(config)

    def check(self) -> None:
        self._modules.pop("_pipeline_layers", None)  # as in StackedRNNCells: one name a layer
        vars(self)["layers"] = self._pipeline_layers  # by that name files know the list
        for index, layer in enumerate(self._pipeline_layers):
            self.add_module(f"layer_{index}", layer)

    def build(self, input_shape: Any) -> None:
        for layer in self._pipeline_layers:
            if not layer._ready:
                layer.build(input_shape)
            input_shape = layer.compute_output_shape(input_shape)

    def call(self, inputs: Any, training: bool = True, mask: Any = None) -> Any:
        for layer in self._pipeline_layers:
            options: dict[str, Any] = {"training": training} if layer._takes_training else {}
            if mask is not None and layer._takes_mask:
                options["mask"] = mask
            inputs = layer(inputs, **options)
            mask = masking.masks_of(inputs)
        return inputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The input's, where all layers pass it on as it is."""
        passing = (layer.supports_masking and not layer._creates_mask for layer in self._pipeline_layers)
        return mask if all(passing) else None

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {"layers": config["layers"], "name": config["name"]}


class TimeDistributed(Wrapper):
    """Runs a layer on every step: inputs (batch, time, ...), where the layer takes (batch, ...).

    All steps are one call on (batch * time, ...) where every sample is treated by itself; batch normalization in
    training, stateful layers, functions and axes that are not known to do so run step by step. A mask
    (batch, time, ...) is passed to a layer that takes one. Raises ValueError for inputs of fewer than 3 axes.
    """

    supports_masking = True
    _creates_mask = False

    def build(self, input_shape: tuple) -> None:
        super().build(self._inner_shape(input_shape))
        vars(self).update(
            _together=all(map(_takes_samples_singly, self.layer.modules())),
            _coupled=any(isinstance(module, _COUPLED_IN_TRAINING) for module in self.layer.modules()),
        )

    def _inner_shape(self, input_shape: tuple) -> tuple:
        if len(input_shape) < 3:
            raise ValueError(
                f"{named(self)}: expected at least 3 axes (batch, time, ...); got shape {show_shape(input_shape)}. "
                "Without a time axis, call the inner layer itself."
            )
        return (input_shape[0], *input_shape[2:])

    def call(self, inputs: Tensor, training: bool = False, mask: Tensor | None = None) -> Tensor:
        if mask is not None and mask.shape[:2] != inputs.shape[:2]:
            raise masking.misfit(self, mask, inputs.shape[:2])
        inner = self._modules["layer"]
        if not inner._takes_mask:
            mask = None
        if not self._together or (training and self._coupled):
            return self._step_by_step(inputs, mask)
        merged = inputs.flatten(0, 1)
        if mask is not None:
            outputs = inner(merged, mask=mask.flatten(0, 1))
        else:
            bare = not (inner._takes_training or inner._care & care.AROUND) and merged.dtype in inner._passing
            outputs = (inner.call if bare else inner)(merged)
        return outputs.view(*inputs.shape[:2], *outputs.shape[1:])

    def _step_by_step(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        steps = inputs.unbind(1)
        if mask is None:
            return torch.stack([self.layer(x) for x in steps], 1)
        return torch.stack([self.layer(x, mask=valid) for x, valid in zip(steps, mask.unbind(1), strict=True)], 1)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        batch, *rest = self.layer.compute_output_shape(self._inner_shape(input_shape))
        return (batch, input_shape[1], *rest)

    def output_dtype(self, input_dtype: torch.dtype) -> torch.dtype:
        return self.layer.output_dtype(input_dtype)


_COUPLED_IN_TRAINING = (BatchNormalization, SpectralNormalization, _NormBase)


def _takes_samples_singly(module: nn.Module) -> bool:
    """Whether the samples of a batch are known not to matter to each other: by class, functions and axes."""
    if isinstance(module, Lambda) or getattr(module, "stateful", False):
        return False
    functions = (getattr(module, name, None) for name in ("activation", "recurrent_activation"))
    for known in (type(module), *filter(None, functions)):
        if not known.__module__.startswith(("lamina.", "torch")):
            return False
    axes = [getattr(module, "axis", None), getattr(module, "dim", None)]
    for node in module._nodes if isinstance(module, Operation) else ():
        if len({x.shape[:1] for x in (*node.inputs, *pytree.tree_leaves(node.outputs))}) > 1:
            return False
        axes += node.args, node.kwargs
    return not any(type(axis) is int and (axis == 0 or axis < -1) for axis in pytree.tree_leaves(axes))


_merge_mode = one_of("concat", "sum", "ave", "mul").optional()


class _Pair:
    """Whether two recurrent layers may run as one kernel, and whether they drop inputs in training."""

    def __init__(self, forward: Any, backward: Any):
        self.changes = care.Changes.count
        both = isinstance(forward, RNN) and isinstance(backward, RNN)
        self.is_one = both and not forward.go_backwards and forward.pairs_with(backward)
        self.drops = self.is_one and (forward.cell._drops or backward.cell._drops)


class Bidirectional(Holder):
    """Runs a recurrent layer from both ends and merges the outputs.

    `layer` is copied, with weights of its own, as `forward_layer`, and with `go_backwards` as `backward_layer`, unless
    that is given. With `return_state` the states follow, forward ones first; `initial_state` takes them in that order.
    Masked steps of whole sequences give zeros. Raises ValueError where the two layers do not fit together.
    """

    layer: Layer = arg(layer_inside, attribute="forward_layer", doc="The layer that runs forward.")
    merge_mode: str | None = arg(_merge_mode, default="concat", doc="None returns both outputs.")
    weights: Any = arg(first_values, default=None, config=False, attribute="_initial_weights", doc="First weights.")
    backward_layer: Any = arg(layer_inside.optional(), default=None, doc="The layer that runs backward.")

    supports_masking = True
    _creates_mask = False

    def check(self) -> None:
        inner = self.forward_layer
        for name in ("go_backwards", "return_sequences", "return_state"):
            if not hasattr(inner, name):
                raise ValueError(
                    f"{type(self).__name__}: argument `layer` must be a recurrent layer; "
                    f"{named(inner)} has no `{name}`."
                )
        if self.backward_layer is None:
            self.backward_layer = _again(inner, "backward_", go_backwards=True)
        self.forward_layer = _again(inner, "forward_")
        pair = self.forward_layer, self.backward_layer
        for name in ("go_backwards", "stateful", "return_sequences", "return_state"):
            equal = name != "go_backwards"
            forward, backward = (getattr(one, name, False) for one in pair)
            if (forward == backward) != equal:
                raise ValueError(
                    f"{type(self).__name__}: the forward and the backward layer must have "
                    f"{'the same' if equal else 'different'} `{name}`; got {forward} and {backward}."
                )
        for one in pair:
            if hasattr(one, "zero_output_for_mask"):
                one.zero_output_for_mask = one.return_sequences
        vars(self).update(
            stateful=getattr(inner, "stateful", False),
            return_sequences=inner.return_sequences,
            return_state=inner.return_state,
        )
        self.input_spec = inner.input_spec

    def build(self, sequences_shape: tuple, initial_state_shape: Any = None) -> None:
        for inner in (self.forward_layer, self.backward_layer):
            if not inner._ready:
                inner.build(sequences_shape)
        self.input_spec = self.forward_layer.input_spec
        self._pair = _Pair(self.forward_layer, self.backward_layer)

    def _call_with_care(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        return super()._call_with_care(*with_states(self, args, kwargs))

    @grants(says="time_first")
    def call(
        self, sequences: Tensor, initial_state: Any = None, mask: Tensor | None = None, training: bool = False
    ) -> Any:
        forward, backward = self._modules["forward_layer"], self._modules["backward_layer"]
        states: tuple[Any, Any] = None, None
        if initial_state is not None:
            states = self._halves(initial_state, symbolic.shapes_of(initial_state), sequences.shape)
        pair = self._pair
        if pair.changes != care.Changes.count and care.Changes.concern(pair, self):
            pair = vars(self)["_pair"] = _Pair(forward, backward)
        if (
            pair.is_one
            and mask is None
            and not (training and pair.drops)
            and not (forward._care | backward._care) & care.AROUND
            and sequences.dtype in forward._passing
        ):
            start = None
            if initial_state is not None:
                start = [*forward.given_states(sequences, states[0]), *backward.given_states(sequences, states[1])]
            cells = forward._modules["cell"], backward._modules["cell"]
            outputs, ends, back_ends = cells[0].sweep_both(cells[1], sequences, start, self.return_sequences)
            if self.return_sequences and self.merge_mode == "concat":
                merged = outputs
            else:
                both: Any = outputs.chunk(2, -1) if self.return_sequences else (ends[0], back_ends[0])
                merged = _merged(both[0], both[1], self.merge_mode)
        else:
            y, *ends = _run(forward, sequences, states[0], mask, training)
            back, *back_ends = _run(backward, sequences, states[1], mask, training)
            merged = _merged(y, back.flip(1) if self.return_sequences else back, self.merge_mode)
        if not self.return_state:
            return merged
        return (*(merged if self.merge_mode is None else (merged,)), *ends, *back_ends)

    def _halves(self, states: Any, shapes: Any, sequences_shape: tuple) -> tuple[Any, Any]:
        """The forward states and the backward ones. Raises ValueError where they are not a list of as many that fit."""
        count = len(shapes) if not shapes or not symbolic.is_shape(shapes) else 1
        if count % 2:
            raise ValueError(
                f"{named(self)}: `initial_state` must be a list in 2 halves, the forward states and as many backward "
                f"ones; got {count}."
            )
        halves = slice(count // 2), slice(count // 2, None)
        for inner, half in zip((self.forward_layer, self.backward_layer), halves, strict=True):
            if isinstance(inner, RNN):  # both, before the forward one changes anything
                given = pytree.tree_leaves(shapes[half], is_leaf=symbolic.is_shape)
                inner.check_states(given, inner.state_shapes(sequences_shape))
        return states[halves[0]], states[halves[1]]

    def compute_output_shape(self, sequences_shape: tuple, initial_state_shape: Any = None) -> Any:
        if initial_state_shape is not None:
            self._halves(initial_state_shape, initial_state_shape, sequences_shape)
        ways = [layer.compute_output_shape(sequences_shape) for layer in (self.forward_layer, self.backward_layer)]
        (output, *states), (other, *others) = ways if self.return_state else [[way] for way in ways]
        if self.merge_mode == "concat":
            output = (*output[:-1], output[-1] + other[-1])
        outputs = (output, other) if self.merge_mode is None else (output,)
        return (*outputs, *states, *others) if len(outputs) > 1 or self.return_state else output

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask itself for whole sequences; states have none."""
        steps = (mask[0] if isinstance(mask, (list, tuple)) else mask) if self.return_sequences else None
        both = [steps] * (2 if self.merge_mode is None else 1)
        return both if len(both) > 1 or self.return_state else steps

    @property
    def states(self) -> Any:
        """The states kept by the two layers, forward ones first; None where there are none."""
        forward, backward = self.forward_layer.states, self.backward_layer.states
        return (*forward, *backward) if forward and backward else None

    def reset_state(self) -> None:
        """Let the next batch start from zeros. Raises AttributeError unless the layers are stateful."""
        if not self.stateful:
            raise AttributeError(f"{named(self)} keeps no states: make the inner layer with stateful=True.")
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state


def _run(inner: Any, x: Tensor, states: Any, mask: Tensor | None, training: bool) -> tuple:
    """One direction: the output and the states that follow it."""
    kwargs: dict[str, Any] = {"mask": mask} if inner._takes_mask else {}
    if inner._takes_training:
        kwargs["training"] = training
    if states is not None:
        kwargs["initial_state"] = states
    bare = not inner._care & care.AROUND and x.dtype in inner._passing
    outputs = (inner.call if bare else inner)(x, **kwargs)
    return outputs if inner.return_state else (outputs,)


def _merged(forward: Tensor, backward: Tensor, mode: str | None) -> Any:
    if mode == "concat":
        return torch.cat((forward, backward), -1)
    if mode == "mul":
        return forward * backward
    if mode is None:
        return forward, backward
    total = forward + backward
    return total / 2 if mode == "ave" else total


def _again(inner: Layer, prefix: str, **changes: Any) -> Layer:
    """A layer of the same config with weights of its own, named `prefix` + name."""
    described = serialize.serialize(inner)
    name = prefix + inner.name.removeprefix(prefix)
    described["config"] = {**described["config"], "name": name, **changes}
    made = serialize.deserialize(described, _foreign_objects(inner))
    for declared in inner._args.values():
        if not declared.config and declared.attribute in vars(inner):  # no config tells it
            setattr(made, declared.attribute, getattr(inner, declared.attribute))
    return made


def _foreign_objects(inner: Layer) -> dict[str, Any]:
    """The classes and functions in use inside that are the user's own, by the names a config has for them."""
    found = {}
    for module in inner.modules():
        for item in (module, *vars(module).values()):
            item = item if inspect.isfunction(item) else type(item)
            if not item.__module__.startswith(("lamina.", "torch.", "builtins", "collections")):
                found[item.__name__] = item
    return found
