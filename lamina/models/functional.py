"""Models made of recorded calls: `Model(inputs, outputs)`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.compiler import is_dynamo_compiling
from torch.nn.modules.module import _global_forward_hooks, _global_forward_pre_hooks
from torch.utils import _pytree as pytree

from ..core import arrays, care, dtypes, masking, serialize, symbolic
from ..core.care import Changes, care_of
from ..core.declare import kept, owned
from ..core.devices import device_of
from ..core.errors import named, quoted, short, warn
from ..core.graph import Graph, Node, Plan, masked_inputs
from ..core.layer import InputSpec, Layer, scope, snake_case, unique_name
from ..core.operation import recorded
from ..core.scope import asking
from ..core.symbolic import SymbolicTensor
from ..core.trail import Trail
from ..layers.input import InputLayer
from ..training.repeat import Repeated
from .graph_config import calls_by_layer, graph_config, graph_from_config
from .model import Model


@recorded
def _mask_of(x: Tensor, rank: int) -> Tensor:
    """The mask that a model's plan set on its output; where only shapes are asked for, one of that rank."""
    mask = masking.get_mask(x)
    return x.new_ones(x.shape[:rank], dtype=torch.bool) if mask is None else mask


class GraphModel(Model):
    """What functional and sequential models share: a graph, and its plan as `call`."""

    _creates_mask = False
    _made_spec: Any = kept()  # what it asks of its inputs by itself
    _graph: Any = kept()  # a Graph, once the shape of the input is known
    _plan: Any = kept()
    _lists_sorted = False  # whether a list stands for any dictionary of inputs, in the order of its sorted keys
    _known_inputs: Any = kept()  # number types, rank and own float type of each, by the key under which it may come

    def _register(self, layers: list[Layer], counts: dict[str, int] | None = None) -> None:
        """Make the layers known to torch, under names that another model made in the same way gives them, too:
        automatic names, counted through the process, are counted afresh, or on from `counts`."""
        counts = {} if counts is None else counts
        for layer in {id(layer): layer for layer in layers}.values():
            base = base_of(layer)
            count = counts.get(base, 0)
            name = f"{base}_{count}" if count else base
            while name in vars(self) or hasattr(type(self), name) or self._modules.get(name, layer) is not layer:
                count += 1
                name = f"{base}_{count}"
            counts[base] = count
            self._modules[name] = layer

    def __setattr__(self, name: str, value: Any) -> None:
        hidden = vars(self).get("_modules", {}).get(name)
        super().__setattr__(name, value)
        if hidden is not None and hidden is not value and any(hidden is layer for layer in self.layers):
            self._register([hidden])

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Run the plan on one tensor, or on inputs in the structure the model was made with."""
        plan = self._plan
        if plan is None or (plan.changes != Changes.count and Changes.concern(plan, self)):
            plan = self._make_plan()
        if _global_forward_hooks or _global_forward_pre_hooks:  # of each module's call
            run: Callable = self._graph.run
        elif asking and scope.thread in asking:  # a step asks for them
            run = plan.scored.run
        else:
            run = plan.run if torch.is_grad_enabled() or is_dynamo_compiling() else plan.repeated
        if training is not None:
            outer, scope.training = scope.training, bool(training)
            try:
                return GraphModel.call(self, inputs, None, mask)
            finally:
                scope.training = outer
        if mask is not None and any(item is not None for item in pytree.tree_leaves(mask)):
            return self._call_masked(inputs, mask)
        if type(inputs) is Tensor:
            return run(inputs)
        return run(*self._flat_inputs(inputs))

    _takes_training = False  # each layer's own flag counts unless the call says otherwise

    @property
    def plan(self) -> Plan:
        """The straight line of calls that runs this model; printing it shows the source."""
        if self._graph is None:
            raise ValueError(f"{named(self)} has no plan before its input shape is known: call it or build it first.")
        if self._plan is None or Changes.concern(self._plan, self):
            return self._make_plan()
        return self._plan

    def _make_plan(self) -> Plan:
        if self._ready and self._care & care.UNBUILT:
            Changes.note(self)  # whatever called it while it had no plan may now call it otherwise
        self._graph.heed_policies()
        plan, structure = Plan(self._graph), self._input_structure
        plan.repeated = Repeated(self, plan.run)
        names = structure if type(structure) is dict else [tensor.name for tensor in self._graph.inputs]
        each = [(_passing(one.torch_dtype), len(one.shape), one.torch_dtype) for one in self._graph.inputs]
        plain = len(names) == len(each) and type(self).call is GraphModel.call
        simple = self._graph.inputs[0] if len(self._graph.inputs) == 1 else None
        vars(self).update(
            _plan=plan,
            _masked_plans={},
            _known_inputs=dict(zip(names, each, strict=True)) if plain else {},
            _ndim=None if simple is None else len(simple.shape),
            _passing=frozenset() if simple is None else _passing(simple.torch_dtype),
            _compute=None,
            _takes_text=any(tensor.torch_dtype == dtypes.TEXT for tensor in self._graph.inputs),
            _floats=None if simple is None else simple.torch_dtype,
            _care=self._find_care(),
        )
        return plan

    def _find_care(self) -> int:
        """As of any layer, but a plan tells the types and runs the layers inside; those may need care."""
        found = care_of(self) & ~(care.CASTS | care.INSIDE | care.CHECKS)
        if self._graph is None or self.input_spec is not self._made_spec:
            found |= care.CHECKS
        called = () if self._graph is None else (node.layer for node in self._graph.nodes)
        if (
            self._context_words
            or any(layer._care & care.IN_PLAN for layer in called)
            or any(layer._care & care.LOSSES for layer in self._flat_layers())
        ):
            found |= care.INSIDE
        return found

    def _finish_build(self) -> None:
        super()._finish_build()
        if self._graph is not None:
            self._make_plan()

    # The ends -----------------------------------------------------------------------------------------------------

    def _end(self, end: str, what: str) -> Any:
        """The structure of symbolic tensors at the "input" or "output"."""
        if vars(self).get("_graph") is None:
            raise AttributeError(
                f"{named(self)} has no {what} before its input shape is known: add an Input or call it on data."
            )
        return owned(vars(self)[f"_{end}_structure"])

    inputs = property(lambda self: symbolic.leaves_in_order(self._end("input", "inputs")))
    outputs = property(lambda self: symbolic.leaves_in_order(self._end("output", "outputs")))
    input = property(lambda self: self._end("input", "input"))
    output = property(lambda self: self._end("output", "output"))
    input_shape = property(lambda self: symbolic.shapes_of(_alone(self._end("input", "input shape"))))
    output_shape = property(lambda self: symbolic.shapes_of(_alone(self._end("output", "output shape"))))
    input_names = property(lambda self: [tensor.name for tensor in self.inputs])

    def nodes_to_copy(self) -> list[Node]:
        """The calls that a copy of the model repeats."""
        return self._graph.nodes

    def finish_copy(self, made: Any, counterpart: Callable[[Any], Any] | None) -> None:
        """Hook: give a copy what these calls do not say. `counterpart` tells the copy's tensor for one of the model's;
        None where that is not known."""

    def _flat_inputs(self, inputs: Any) -> list[Any]:
        """The inputs in the order of the graph's. Raises ValueError where their number or names differ."""
        if isinstance(inputs, Mapping):
            names = [tensor.name for tensor in self._graph.inputs]
            expected = self._input_structure if isinstance(self._input_structure, Mapping) else names
            if len(inputs) > len(expected) and (unused := [key for key in inputs if key not in expected]):
                warn(f"{named(self)}: has no input {quoted(map(str, unused))}, which is left out.")
            if isinstance(self._input_structure, Mapping) and set(self._input_structure) <= set(inputs):
                return pytree.tree_leaves({key: inputs[key] for key in self._input_structure})
            missing = [name for name in names if name not in inputs]
            if missing:
                raise ValueError(f"{named(self)}: misses input {quoted(missing)}; got {quoted(map(str, inputs))}.")
            return [inputs[name] for name in names]
        flat = inputs if _is_flat(inputs) else pytree.tree_leaves(inputs)
        if len(flat) != len(self._graph.inputs):
            raise ValueError(f"{named(self)}: expected {len(self._graph.inputs)} inputs; got {len(flat)}.")
        return flat

    def structured(self, inputs: list[Any]) -> Any:
        """Inputs in the order of the graph's, in the structure the model was made with."""
        return pytree.tree_unflatten(inputs, pytree.tree_structure(self._input_structure))

    def _by_key(self, inputs: Any) -> Any:
        """Inputs in a list as a dictionary, where the model was made with one. Raises ValueError where the order of
        its keys is not the one in which they are sorted, for a list does not tell which was meant."""
        structure = self._input_structure
        if not isinstance(structure, Mapping) or not isinstance(inputs, (list, tuple)) or len(inputs) != len(structure):
            return inputs
        keys = symbolic.in_order(structure)
        if keys != [*structure] and not self._lists_sorted:
            raise ValueError(f"{named(self)}: its inputs are a dictionary of {quoted(structure)}; got a list.")
        return dict(zip(keys, inputs, strict=True))

    def _plain_inputs(self, x: Any) -> list[Tensor] | None:
        kind, known = type(x), self._known_inputs
        if kind is dict:
            if x.keys() != known.keys():
                return None
            x = [x[key] for key in known]
        elif (kind is not list and kind is not tuple) or type(self._input_structure) is dict:
            return None
        if len(x) != len(known):
            return None
        found, device = [], device_of(self)
        for each, (passing, ndim, floats) in zip(x, known.values(), strict=True):
            tensor = arrays.at_once(each, device, passing, floats) if type(each) is np.ndarray else each
            if type(tensor) is not Tensor or tensor.ndim != ndim or tensor.dtype not in passing:
                return None
            if masking.get_mask(tensor) is not None:
                return None
            found.append(tensor)
        return found

    def _call_masked(self, inputs: Any, mask: Any) -> Any:
        """Masks on the model's own inputs: a plan of its own for each pattern of which inputs have one."""
        flat = self._flat_inputs(inputs)
        masks = _flat_masks(mask, len(flat))
        key = tuple(item is not None for item in masks)
        plan = self._masked_plans.get(key)
        if plan is None:
            fresh, carried = masked_inputs(self._graph, masks)
            outputs = self._graph.replay(fresh)
            self._masked_plans[key] = plan = Plan(Graph([*fresh, *carried], outputs, self.name))
        if scope.thread in asking:
            plan = plan.scored
        return plan.run(*flat, *(item for item in masks if item is not None))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The masks of the outputs: what the graph's own layers say, unless masks came in."""
        if self._graph is None or mask is None:
            return None
        if not symbolic.any_symbolic(inputs):
            return masking.masks_of(self._call_masked(inputs, mask))
        flat = self._flat_inputs(inputs)
        before = [masking.get_mask(tensor) for tensor in flat]
        try:
            for tensor, given in zip(flat, _flat_masks(mask, len(flat)), strict=True):
                tensor._keras_mask = given
            return masking.masks_of(self._graph.replay(flat))
        finally:
            for tensor, riding in zip(flat, before, strict=True):
                tensor._keras_mask = riding

    def _call_with_care(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """With the masks that layers inside make of the inputs on symbolic outputs, too."""
        outputs = super()._call_with_care(args, kwargs)
        if symbolic.any_symbolic(outputs):
            for output, inside in zip(*map(pytree.tree_leaves, (outputs, self._graph.outputs)), strict=True):
                mask = self._graph.masks.get(id(inside))
                if mask is not None and masking.get_mask(output) is None:
                    masking.set_mask(output, _mask_of(output, len(mask.shape)))
        return outputs

    def _checked_mask(self, inputs: Any, mask: Any) -> Any:
        """As `compute_mask`; where there are values, the plan has set the masks already."""
        return self.compute_mask(inputs, mask) if symbolic.any_symbolic(inputs) else None

    def _checked_first(self, args: tuple, kwargs: Mapping[str, Any]) -> tuple:
        if self._takes_text and args:
            first, several = args[0], self._graph is not None and len(self._graph.inputs) > 1
            if isinstance(first, Mapping):
                first = {key: _as_array(value) for key, value in first.items()}
            elif several and isinstance(first, (list, tuple)):
                first = [*map(_as_array, first)]
            args = (first if several else _as_array(first), *args[1:])
        return super()._checked_first(args, kwargs)

    def _convert(self, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        """Inputs in the graph's order, types and ranks: a missing or surplus last axis of size 1 is mended."""
        args, kwargs = super()._convert(args, kwargs)
        if self._graph is None or not args:
            return args, kwargs
        flat = self._flat_inputs(self._by_key(args[0]))
        fitted = [_fit(tensor, like) for tensor, like in zip(flat, self._graph.inputs, strict=True)]
        if type(self._input_structure) is dict:  # a list does not tell which key is whose
            return (self.structured(fitted), *args[1:]), kwargs
        return (fitted[0] if len(fitted) == 1 else fitted, *args[1:]), kwargs

    def _explain(self, args: tuple, error: Exception) -> None:
        """Raise the clear error of the layer at fault, found by passing the shapes alone through the graph."""
        self.check_inputs(args[0] if args else None)
        if self._graph is not None and args and type(error) in (RuntimeError, IndexError):
            tensors = self._flat_inputs(args[0])
            try:
                self._graph.replay([SymbolicTensor(t.shape, t.dtype) for t in tensors if isinstance(t, Tensor)])
            except ValueError as clear:
                raise clear from error

    def _again(self, args: tuple, kwargs: Mapping[str, Any]) -> Trail | None:
        if self._graph is None or not args or type(self).call is not GraphModel.call:
            return super()._again(args, kwargs)
        return self._graph.misfit(self._flat_inputs(args[0]))

    def compute_output_shape(self, input_shape: Any) -> Any:
        def symbol(shape):
            return SymbolicTensor(shape)

        return symbolic.shapes_of(self.compute_output_spec(symbolic.map_shapes(symbol, input_shape)))

    def compute_output_spec(self, inputs: Any, **kwargs: Any) -> Any:
        if self._graph is None:
            return symbolic.infer(self, (inputs,), kwargs)
        flat = self._flat_inputs(inputs)
        if scope.by_running:
            return self._graph.replay(flat)
        known, key = self.plan.specs, tuple((tensor.shape, tensor.torch_dtype) for tensor in flat)
        if key not in known:
            found = self._graph.replay(flat)
            known[key] = pytree.tree_map(lambda tensor: SymbolicTensor(tensor.shape, tensor.torch_dtype), found)
        return known[key]

    def _apply(self, fn: Callable, recurse: bool = True) -> Any:
        """Moves and conversions: where the type of the weights changes, that of the inputs follows."""
        before = self.dtype_policy.compute
        super()._apply(fn, recurse)
        after = self.dtype_policy.compute
        if after != before and self._graph is not None:
            for tensor in self._graph.inputs:
                if tensor.torch_dtype == before:
                    tensor.torch_dtype = after
            self._make_plan()
        return self

    def __getstate__(self) -> dict[str, Any]:
        """The graph comes first, which knows in what order symbolic tensors are to be copied."""
        state = super().__getstate__()
        return {
            "_graph": None,
            **state,
            **{"_graph": self._graph, "_plan": None, "_repeated": None, "_masked_plans": {}},
        }


def base_of(layer: Layer) -> str:
    """The name under which torch knows a layer, but for a number."""
    own = snake_case(type(layer).__name__)
    return own if own in (layer.name, re.sub(r"_\d+\Z", "", layer.name)) else layer.name.replace(".", "_")


def _is_flat(inputs: object) -> bool:
    return type(inputs) is list and all(type(each) is Tensor for each in inputs)


def _flat_masks(mask: Any, count: int) -> list[Any]:
    """One mask or None for each of the inputs."""
    masks = mask if isinstance(mask, (list, tuple)) else [mask] if count == 1 else pytree.tree_leaves(mask)
    return (list(masks) + [None] * count)[:count]


def _passing(dtype: torch.dtype) -> frozenset[torch.dtype]:
    """The types an input of this type takes without a cast: floats their own alone, integers any."""
    return frozenset({dtype}) if dtypes.is_float(dtype) else dtypes.passing(dtype)


def _as_array(value: Any) -> Any:
    """A list of texts or numbers as an array of them."""
    if not arrays.is_listed(value):
        return value
    return np.array(value, dtype=object if isinstance(arrays.first_of(value), (str, bytes)) else None)


def _fit(tensor: Any, like: SymbolicTensor) -> Any:
    if not isinstance(tensor, (Tensor, np.ndarray)):
        return tensor
    mask = masking.get_mask(tensor)
    shape = like.shape
    if tensor.ndim == len(shape) + 1 and tensor.shape[-1] == 1:
        tensor = tensor[..., 0]
    elif tensor.ndim == len(shape) - 1 and shape[-1] == 1:
        tensor = tensor[..., None]
    if isinstance(tensor, np.ndarray):
        if like.torch_dtype != dtypes.TEXT:
            raise ValueError(f"input {like.name!r}: expected numbers; got an array of texts.")
        return tensor
    if like.torch_dtype == dtypes.TEXT:
        raise ValueError(f"input {like.name!r}: expected texts; got a tensor of {dtypes.dtype_name(tensor.dtype)}.")
    if tensor.dtype not in _passing(like.torch_dtype):
        tensor = arrays.cast(tensor, like.torch_dtype, f"input {like.name!r}")
    if mask is not None:
        masking.set_mask(tensor, mask)
    return tensor


class Functional(GraphModel):
    """A model of the calls between `inputs` and `outputs`, which are symbolic tensors or lists or dicts of them."""

    _home = "keras.src.models.functional"
    _first_call = 1
    _keywords_sorted = True  # in the walk that orders `layers`
    _names_differ = True  # whether those of its layers have to

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any):
        self.__init_graph__(inputs, outputs, name=name, **kwargs)

    def __init_graph__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any) -> None:
        Layer.__init__(self, name=name or _auto_name(type(self)), **kwargs)
        inputs, outputs = pytree.tree_map(lambda leaf: leaf, (inputs, outputs))  # the caller's lists stay the caller's
        for tensor in pytree.tree_leaves(inputs):
            if not isinstance(tensor, SymbolicTensor):
                raise ValueError(
                    f"{named(self)}: inputs must be symbolic tensors (from lamina.Input); got {short(tensor)}."
                )
        for what, tensors in (("inputs", inputs), ("outputs", outputs)):
            if not pytree.tree_leaves(tensors):
                raise ValueError(f"{named(self)}: `{what}` is empty; a model needs at least one tensor there.")
        for tensor, count in Counter(pytree.tree_leaves(inputs)).items():
            if count > 1:
                raise ValueError(f"{named(self)}: input {tensor.name!r} is given {count} times; give each tensor once.")
        self._set_graph(*_from_own_inputs(inputs, outputs, named(self)))

    def _set_graph(self, inputs: Any, outputs: Any) -> None:
        inputs, outputs = owned(inputs), owned(outputs)
        graph = Graph(inputs, _alone(outputs), named(self), self._keywords_sorted)
        counts = Counter(layer.name for layer in graph.layers)
        if len(counts) < len(graph.layers):  # operations on masks that follow from the layers are in no config
            written = calls_by_layer(graph)
            counts = Counter(layer.name for layer in graph.layers if id(layer) in written)
        doubled = [name for name, count in counts.items() if count > 1 and self._names_differ]
        if doubled:
            raise ValueError(
                f"{named(self)}: layer names must be unique; {quoted(sorted(doubled))} stands for several layers. "
                "Give them names of their own with `name=`."
            )
        state = vars(self)
        state.update(_graph=graph, _input_structure=inputs, _output_structure=outputs)
        self._register(graph.layers)
        specs = [
            InputSpec(
                shape=(None, *tensor.shape[1:]) if tensor.shape else (),
                allow_last_axis_squeeze=True,
                name=tensor.name,
                optional=getattr(getattr(tensor.node, "layer", None), "optional", False),
            )
            for tensor in graph.inputs
        ]
        state["input_spec"] = state["_made_spec"] = specs[0] if len(specs) == 1 else specs
        self._finish_build()

    @property
    def layers(self) -> list[Layer]:
        """The layers, those farthest from the output first. Plain functions are no layers, as in Keras."""
        return list(self._graph.own_layers)

    @property
    def operations(self) -> list[Layer]:
        """The layers and functions that it calls, inputs first."""
        return list(self._graph.layers)

    @property
    def output_names(self) -> list[str]:
        """The names of the layers that give the outputs."""
        return [node.layer.name for node in (tensor.node for tensor in self.outputs) if node is not None]

    def get_config(self) -> dict[str, Any]:
        """The layers and the calls between them, in Keras 3's form."""
        if self._takes_graph():
            return graph_config(self)
        config = Layer.get_config(self)
        return self._captured_config(config) if type(self).get_config is Functional.get_config else config

    def get_build_config(self) -> dict[str, Any]:
        return {"input_shape": None}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None, safe_mode: bool | None = None
    ) -> Any:
        """Code in a config is never run, whatever `safe_mode` says."""
        if not isinstance(config, Mapping):
            raise TypeError(f"{cls.__name__}.from_config: expected a dictionary; got {short(config)}.")
        if "layers" not in config:
            return cls(**config)
        with serialize.custom_object_scope(custom_objects or {}):
            inputs, outputs = graph_from_config(config)
        own = {} if serialize.home_of(cls) is not None else {k: v for k, v in config.items() if k not in _WORDS}
        made = cls(inputs=inputs, outputs=outputs, name=config.get("name"), **own)
        vars(made)["_trainable"] = config.get("trainable", True)  # its layers have flags of their own
        return made

    def __setstate__(self, state: dict[str, Any]) -> None:
        torch.nn.Module.__setstate__(self, state)


_WORDS = {"name", "trainable", "layers", "input_layers", "output_layers"}  # of every config; others are a subclass' own


def _alone(tensors: Any) -> Any:
    """What a list of one holds, as Keras returns it from calls; anything else as it is."""
    return tensors[0] if isinstance(tensors, (list, tuple)) and len(tensors) == 1 else tensors


def _auto_name(cls: type) -> str | None:
    return unique_name("functional" if cls is Functional else snake_case(cls.__name__))


def _from_own_inputs(inputs: Any, outputs: Any, name: str) -> tuple[Any, Any]:
    """A model may start anywhere: where an input comes from inside another graph, the calls are recorded once more
    on an input of its own."""

    def own(tensor: SymbolicTensor) -> SymbolicTensor:
        if tensor.node is None:
            return InputLayer(input_tensor=tensor)._nodes[0].outputs
        if isinstance(tensor.node.layer, InputLayer):
            return tensor
        return InputLayer(batch_shape=tensor.shape, dtype=tensor.dtype)._nodes[0].outputs

    given, spec = pytree.tree_flatten(inputs)
    fresh = [own(tensor) for tensor in given]
    if any(new is not old for new, old in zip(fresh, given, strict=True)):
        outputs = Graph(inputs, outputs, name).replay(fresh)
    return pytree.tree_unflatten(fresh, spec), outputs


Model._of_graph = Functional


def first_reader(graph: Graph, tensor: SymbolicTensor) -> Any:
    """The layer that an input goes to, in models inside as well; None where it goes to none."""
    for node in graph.nodes:
        for place, given in enumerate(pytree.tree_leaves(node.args)):
            if given is tensor:
                inner: Any = node.layer
                inside = inner._graph if isinstance(inner, GraphModel) else None
                return inner if inside is None else first_reader(inside, inside.inputs[place])
    return None
