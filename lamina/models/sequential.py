"""Sequential: layers one after another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial, reduce
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from torch.utils import _pytree as pytree

from ..core import arrays, care, dtypes, serialize, symbolic
from ..core.declare import kept
from ..core.errors import named, short
from ..core.graph import Graph
from ..core.layer import InputSpec, Layer, as_shape, building_inside
from ..core.scope import building
from ..core.symbolic import SymbolicTensor
from ..layers.input import Input, InputLayer
from .functional import GraphModel
from .graph_config import own_kwargs

_HOMES = "keras.layers", "keras.models"  # where names without a module are looked up
_LATER: Any = "later"  # in place of a graph that has not been asked for


class Sequential(GraphModel):
    """Layers run one after another. Without an input shape it builds itself on the first call.

    layers: layers, `torch.nn.Module`s or functions, or a symbolic `Input` as the first.
    """

    _home = "keras"
    _stack: Any = kept()
    _input: Any = kept()
    _named: Any = kept()  # by name: a layer of the stack, and how often it stands there
    _counts: Any = kept()  # of the names under which torch knows the layers
    _tops: Any = kept()  # the symbolic input, and the output of each layer, where the stack was called on it
    _grows = True  # a layer more needs no other build
    _begins_with_floats = True  # whatever it gets first, but texts, complex numbers, and places for an Embedding

    # As of other layers, those of its first call, in a model around it; before, its own ends.
    input = property(lambda self: self._nodes[0].input if self._nodes else self._end("input", "input"))
    output = property(lambda self: self._nodes[0].outputs if self._nodes else self._end("output", "output"))

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):  # a user's own is to be told
            cls._grows = False

    def __init__(
        self, layers: Sequence[Any] | None = None, trainable: bool = True, name: str | None = None, **kwargs: Any
    ):
        if layers is not None and not isinstance(layers, (list, tuple)):
            raise TypeError(f"Sequential: `layers` must be a list of layers; got {type(layers).__name__}.")
        Layer.__init__(self, name=name, trainable=trainable, **kwargs)
        vars(self).update(_stack=[], _input=None, _named={}, _counts={})
        self._append(layers or ())
        self._maybe_rebuild()

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Append a layer. Raises ValueError for what is none, or for a name taken already.

        rebuild: build the model now, where its input's shape is known; else when it is called.
        """
        before = self._input
        (layer,) = self._append([layer])
        try:
            if not rebuild:
                self._forget()
                self._register(self._stack[-1:], self._counts)
            elif not self._grow():
                self._maybe_rebuild()
        except Exception:
            vars(self)["_input"] = before
            if not isinstance(layer, InputLayer):
                self._stack.pop()
            if self._is_called():
                self._register_anew()
            else:
                self._maybe_rebuild()
            raise

    def _append(self, layers: Iterable[Any]) -> list[Layer]:
        """Put layers behind those that are there, and return them."""
        from ..layers.torch_module import as_layer

        held, added = self._named, []
        for item in layers:
            if isinstance(item, SymbolicTensor):
                item = item.node.layer if item.node is not None else None
            layer = as_layer(item, "Sequential.add")
            if not isinstance(layer, InputLayer):
                known, times = held.get(layer.name, (layer, 0))
                if known is not layer and known.name == layer.name:
                    raise ValueError(
                        f"{named(self)}: a layer named {layer.name!r} is there already; give this one another with "
                        "`name=`."
                    )
                held[layer.name] = layer, times + 1
            self._place(layer)
            added.append(layer)
        return added

    def _place(self, layer: Layer) -> None:
        if isinstance(layer, InputLayer):
            if self._input is not None:
                raise ValueError(f"{named(self)} has an input already, of shape {self._input.batch_shape}.")
            vars(self)["_input"] = layer
        else:
            vars(self)["_stack"].append(layer)
            shape = getattr(layer, "_batch_shape", None)
            if len(self._stack) == 1 and self._input is None:
                if shape is not None:
                    vars(self)["_input"] = self._input_of(shape, layer.input_dtype)
                elif isinstance(layer, GraphModel) and layer._graph is not None and len(layer._graph.inputs) == 1:
                    tensor = layer._graph.inputs[0]
                    vars(self)["_input"] = self._input_of(tensor.shape, tensor.dtype)

    def _input_of(self, batch_shape: Any, dtype: Any) -> InputLayer:
        """Hook: the input before the first layer, where none was added."""
        return InputLayer(batch_shape=batch_shape, dtype=dtype)

    def pop(self, rebuild: bool = True) -> Layer:
        """Remove the last layer and return it; `rebuild` as in `add`. Raises ValueError when there is none."""
        if not self._stack:
            raise ValueError(f"{named(self)} has no layer to pop.")
        called = self._is_called()
        layer = self._stack.pop()
        if rebuild and called and self._stack:
            self._tops.pop()
            self._register_anew()
            self._settle()
        else:
            self._maybe_rebuild(rebuild)
        return layer

    def _is_called(self) -> bool:
        """Whether all layers have been called in turn on the symbolic input."""
        return self._tops is not None and len(self._tops) == len(self._stack) + 1

    def _grow(self) -> bool:
        """Take in a layer that was added: call it on what those before it gave, where these have been called. False
        where they must be."""
        layer, waits = self._stack[-1] if self._stack else None, not (self._ready or self._knows_input())
        grows = self._grows and self._tops and len(self._tops) == len(self._stack)
        if layer is None or not (grows or (waits and len(self._stack) > 1)):
            return False
        if grows:
            with building(self), building_inside(self):
                self._tops.extend(called_in_turn([layer], self._tops[-1]))
        if self._named[layer.name][1] == 1:
            self._register([layer], self._counts)
        if grows:
            if not self._trainable:
                layer.trainable = False
            self._settle()
        return True

    def _settle(self) -> None:
        """End in the last layer. What follows from all of them, graph and plan, is made when it is first asked for, so
        that a stack of any height is put up in a time that grows as it does."""
        vars(self).update(_graph=_LATER, _plan=None, _care=care.UNBUILT, _masked_plans={})
        vars(self)["_output_structure"] = self._tops[-1]
        care.Changes.note(self)

    if not TYPE_CHECKING:

        @property
        def _graph(self) -> Graph | None:
            graph = vars(self).get("_graph")
            if graph is _LATER:
                graph = Graph(self._input_structure, self._output_structure, named(self))
                vars(self)["_graph"] = graph
            return graph

    def _forget(self) -> None:
        vars(self).update(_graph=None, _plan=None, _tops=None, _ready=False, _care=care.UNBUILT)

    def _maybe_rebuild(self, rebuild: bool = True) -> None:
        self._forget()
        self._register_anew()
        vars(self)["_takes_text"] = bool(self._stack) and self._stack[0]._takes_text
        if rebuild and self._stack and self._knows_input():
            self.build(None if self._input is None else self._input.batch_shape)

    def _register_anew(self) -> None:
        """Tell torch of the layers in the stack, and no longer of others that were; what the user set stays."""
        for name in [*self._modules]:
            base, _, count = name.rpartition("_")
            if name in self._counts or (base in self._counts and count.isdigit()):
                del self._modules[name]
        self._counts.clear()
        self._register(self._stack, self._counts)
        times = Counter(map(id, self._stack))
        vars(self)["_named"] = {layer.name: (layer, times[id(layer)]) for layer in self._stack}

    def _knows_input(self) -> bool:
        """Whether it can be built."""
        return self._input is not None

    def build(self, input_shape: Any = None) -> None:
        """Build all layers for inputs of shape (batch, ...); None: of the shape that the first layer says.

        Raises ValueError where there are no layers, or no shape.
        """
        if not self._stack:
            raise ValueError(f"{named(self)} has no layers: add some before building it.")
        if (input_shape is None and self._input is None) or isinstance(input_shape, (int, float, str)):
            got = "" if input_shape is None else f"; got {short(input_shape)}"
            raise ValueError(f"{named(self)}: give the shape of its input, as in build((None, 4)){got}.")
        if input_shape is None:
            input_shape = self._input.batch_shape
        kind = self._stack[0].input_dtype or self._stack[0].compute_dtype
        if not symbolic.is_shape(input_shape):
            self._begin_with(symbolic.map_shapes(lambda shape: Input(batch_shape=shape, dtype=kind), input_shape))
            return
        if self._input is None or tuple(self._input.batch_shape) != tuple(input_shape):
            vars(self)["_input"] = self._input_of(tuple(input_shape), kind)
        first: Any = self._input
        self._begin_with(first._nodes[0].outputs)

    def _begin_with(self, inputs: Any) -> None:
        """Build all layers for symbolic inputs: one, or what the first layer takes of several."""
        tops = [inputs, *called_in_turn(self._stack, inputs)]
        vars(self).update(_tops=tops, _graph=_LATER, _input_structure=inputs, _output_structure=tops[-1])
        self._made_spec = InputSpec(ndim=len(inputs.shape)) if isinstance(inputs, SymbolicTensor) else None
        self.input_spec = self._made_spec

    def _first_of(self, data: Any, alone: bool) -> Any:
        """An input for data like these; anything else as it is. alone: not in a list or dictionary."""
        kind = dtypes.TEXT if arrays.texts(data) is not None else getattr(data, "dtype", None)
        if kind is None:
            return data
        kind = kind if isinstance(kind, str) else dtypes.dtype_name(kind)
        kept = kind == dtypes.TEXT or kind.startswith("complex")
        if alone and self._begins_with_floats and not kept and self._stack[0].input_dtype is None:
            kind = self._stack[0].compute_dtype
        return InputLayer(batch_shape=(None, *data.shape[1:]), dtype=kind)

    def _build_for(self, args: tuple, kwargs: Mapping[str, Any]) -> None:
        if self._input is None:
            alone = not isinstance(args[0], (list, tuple, Mapping))
            alike = pytree.tree_map(partial(self._first_of, alone=alone), args[0])
            if not isinstance(alike, InputLayer):
                self._begin_with(pytree.tree_map(lambda first: first._nodes[0].outputs, alike))
                self._finish_build()
                return
            vars(self)["_input"] = alike
        first: Any = self._input
        self.build(first.batch_shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._graph is not None:
            return super().compute_output_shape(input_shape)
        return reduce(lambda shape, layer: layer.compute_output_shape(shape), self._stack, input_shape)

    @property
    def layers(self) -> list[Layer]:
        return list(self._stack)

    output_names = property(lambda self: [self._stack[-1].name])

    def get_config(self) -> dict[str, Any]:
        config = Layer.get_config(self)
        stack = [*([self._input] if self._input is not None else []), *self._stack]
        config = {"name": config["name"], "trainable": config["trainable"], "dtype": config["dtype"]}
        config["layers"] = [serialize.serialize(layer) for layer in stack]
        if self._graph is not None:
            config["build_input_shape"] = symbolic.shapes_of(self._input_structure)
        return config

    @classmethod
    def from_config(
        cls, config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool | None = None
    ) -> Any:
        """Code in a config is never run, whatever `safe_mode` says."""
        if isinstance(config, (list, tuple)):
            config = {"layers": config}
        if not isinstance(config, Mapping):
            raise TypeError(f"{cls.__name__}.from_config: expected a dictionary or a list; got {short(config)}.")
        if "layers" not in config:
            return cls(**config)
        model = cls(name=config.get("name"), trainable=config.get("trainable", True), dtype=config.get("dtype"))
        layers: list[Layer] = []
        known: dict[Any, tuple[Any, Layer]] = {}  # by name: a layer that stands there twice is one
        for described in config["layers"]:
            inner = described.get("config") if isinstance(described, Mapping) else None
            name = inner.get("name") if isinstance(inner, Mapping) else None
            before, layer = known.get(name, (None, None))
            if name is None or layer is None or before != described:
                layer = serialize.deserialize(described, custom_objects, _HOMES)
                known[name] = (described, layer)
            layers.append(layer)
        model._append(layers)
        model._maybe_rebuild()
        if not model.built and config.get("build_input_shape") and model._stack:
            model.build(as_shape(config["build_input_shape"]))
        return model


def called_in_turn(layers: Sequence[Layer], x: Any) -> list[Any]:
    """What each layer gives for the output of the one before; what it gave already is taken, so that a stack may
    change."""

    def places(tensors: Any) -> tuple[int, ...]:
        return tuple(map(id, pytree.tree_leaves(tensors)))

    start = max((tensor.node.number for tensor in pytree.tree_leaves(x) if tensor.node is not None), default=-1)
    calls = {
        layer: {
            places(node.args): node.outputs
            for node in takewhile(lambda node: node.number > start, reversed(layer._nodes))
            if not own_kwargs(node)
        }
        for layer in layers
    }
    found = []
    for layer in layers:
        known = calls[layer].get(places(x))
        x = layer(x) if known is None else known
        found.append(x)
    return found
